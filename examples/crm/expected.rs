//! What the CRM should hold for a record of the shop, written by hand and independent of any Mapping: the
//! other opinion that a check needs. Pure; used by `check`.

use serde_json::{Value, json};

use crate::store::Fields;
use crate::validate::is_email;

/// The contact that a customer should become, or why it must be refused.
pub fn contact(customer: &Value) -> Result<Fields, &'static str> {
    let email = match &customer["email"] {
        Value::String(email) => email.trim(),
        _ => return Err("it has no email"),
    };
    if !is_email(email) {
        return Err("the CRM refuses its email");
    }
    let signed_up_on = iso_date(customer["created"].as_str().unwrap_or_default())?;
    let full_name = customer["full_name"].as_str().unwrap_or_default();
    let mut words = full_name.split_whitespace();
    let first = words.next().unwrap_or_default();
    let last: Vec<&str> = words.collect();
    let address = &customer["billing"]["address"];
    let mut place =
        json!({"line1": address["street"], "city": address["city"], "country": address["country"]});
    if !address["postcode"].is_null() {
        place["postal_code"] = address["postcode"].clone();
    }
    let orders = customer["completed_orders"].as_u64().unwrap_or_default();
    let mut contact = json!({
        "first_name": first,
        "last_name": last.join(" "),
        "email": email.to_lowercase(),
        "phone": customer["phone"],
        "language": customer["language"],
        "newsletter": customer["newsletter"],
        "segment": if orders > 10 { "vip" } else { "standard" },
        "signed_up_on": signed_up_on,
        "address": place,
        "origin": "shop",
    });
    if !customer["company"].is_null() {
        contact["company"] = customer["company"].clone();
    }
    fields(contact)
}

/// The deal that an order should become, without its contact, or why it must be refused.
pub fn deal(order: &Value) -> Result<Fields, &'static str> {
    let stage = match order["status"].as_str() {
        Some("complete") => "won",
        Some("new" | "pending") => "open",
        Some("cancelled") => "lost",
        _ => return Err("its status is unknown"),
    };
    let currency = order["currency"].as_str().unwrap_or_default();
    let amount = minor_units(order["total"].as_str().unwrap_or_default(), currency)?;
    let placed_on = iso_date(order["placed"].as_str().unwrap_or_default())?;
    let empty = Vec::new();
    let items = order["items"].as_array().unwrap_or(&empty);
    let lines: Vec<Value> = items
        .iter()
        .map(|item| json!({"sku": item["sku"], "qty": item["quantity"]}))
        .collect();
    fields(json!({
        "name": format!("Order {}", order["id"].as_str().unwrap_or_default()),
        "stage": stage,
        "amount": amount,
        "currency": currency,
        "placed_on": placed_on,
        "lines": lines,
    }))
}

fn fields(value: Value) -> Result<Fields, &'static str> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err("it is not an object"),
    }
}

/// `12/31/2025` as `2025-12-31`, if the calendar has that day.
fn iso_date(text: &str) -> Result<String, &'static str> {
    const IMPOSSIBLE: &str = "its date is not in the calendar";
    let parts: Vec<i16> = text
        .split('/')
        .map_while(|part| part.parse().ok())
        .collect();
    let [month, day, year] = parts[..] else {
        return Err(IMPOSSIBLE);
    };
    let small = |number: i16| i8::try_from(number).map_err(|_| IMPOSSIBLE);
    let date = jiff::civil::Date::new(year, small(month)?, small(day)?).map_err(|_| IMPOSSIBLE)?;
    Ok(date.to_string())
}

/// `12.30` in USD as 1230: the number of digits is the currency's (ISO 4217).
fn minor_units(text: &str, currency: &str) -> Result<i64, &'static str> {
    const BAD: &str = "its total is not an amount of its currency";
    let digits = match currency {
        "JPY" => 0,
        "KWD" => 3,
        _ => 2,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > digits {
        return Err(BAD);
    }
    format!("{whole}{fraction:0<digits$}")
        .parse()
        .map_err(|_| BAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        assert_eq!(minor_units("12.30", "USD"), Ok(1230));
        assert_eq!(minor_units("12.3", "EUR"), Ok(1230));
        assert_eq!(minor_units("0.05", "EUR"), Ok(5));
        assert_eq!(minor_units("1250", "JPY"), Ok(1250));
        assert_eq!(minor_units("1.234", "KWD"), Ok(1234));
        assert!(minor_units("1.5", "JPY").is_err());
    }

    #[test]
    fn only_days_of_the_calendar_are_dates() {
        assert_eq!(iso_date("12/31/2025").as_deref(), Ok("2025-12-31"));
        assert_eq!(iso_date("02/29/2024").as_deref(), Ok("2024-02-29"));
        for bad in [
            "02/30/2024",
            "13/01/2024",
            "00/10/2024",
            "04/31/2020",
            "",
            "2024-01-01",
        ] {
            assert!(iso_date(bad).is_err(), "{bad}");
        }
    }
}
