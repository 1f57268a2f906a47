//! What the CRM accepts: contacts and deals are checked field by field, and everything that is wrong is said at
//! once, as `{"errors": [{"field": …, "message": …}]}`. Pure; used by `contacts` and `deals`.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::store::Fields;
use crate::support::answer::answer;

/// What is wrong with which field.
#[derive(Default)]
pub struct Errors(Vec<(String, String)>);

impl Errors {
    pub fn add(&mut self, field: &str, message: &str) {
        self.0.push((field.to_owned(), message.to_owned()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// 422 with every error.
    pub fn answer(&self) -> Response {
        let errors: Vec<Value> = self
            .0
            .iter()
            .map(|(field, message)| json!({"field": field, "message": message}))
            .collect();
        answer(StatusCode::UNPROCESSABLE_ENTITY, json!({"errors": errors}))
    }
}

const CONTACT: &[&str] = &[
    "first_name",
    "last_name",
    "email",
    "phone",
    "company",
    "language",
    "newsletter",
    "segment",
    "signed_up_on",
    "address",
    "origin",
    "owner",
];
const ADDRESS: &[&str] = &["line1", "city", "postal_code", "country"];
const DEAL: &[&str] = &[
    "name",
    "contact_id",
    "amount",
    "currency",
    "stage",
    "placed_on",
    "lines",
];
const LINE: &[&str] = &["sku", "qty"];
const STAGES: &[&str] = &["open", "won", "lost"];
const CURRENCIES: &[&str] = &["EUR", "JPY", "KWD", "USD"];

/// Checks the fields that are given; a new contact also needs a name and an email.
pub fn contact(fields: &Fields, new: bool) -> Errors {
    let mut errors = Errors::default();
    unknown(fields, CONTACT, "", &mut errors);
    for name in ["first_name", "email"] {
        if new && !fields.contains_key(name) {
            errors.add(name, "is required");
        }
    }
    for name in [
        "first_name",
        "last_name",
        "email",
        "phone",
        "company",
        "language",
        "segment",
        "origin",
        "owner",
    ] {
        text(fields, name, "", &mut errors);
    }
    if let Some(email) = fields.get("email").and_then(Value::as_str)
        && !is_email(email)
    {
        errors.add("email", "is not an email address");
    }
    if fields
        .get("first_name")
        .and_then(Value::as_str)
        .is_some_and(|name| name.trim().is_empty())
    {
        errors.add("first_name", "must not be empty");
    }
    if fields
        .get("newsletter")
        .is_some_and(|value| !value.is_boolean())
    {
        errors.add("newsletter", "must be true or false");
    }
    date(fields, "signed_up_on", &mut errors);
    match fields.get("address") {
        None | Some(Value::Null) => {}
        Some(Value::Object(address)) => {
            unknown(address, ADDRESS, "address.", &mut errors);
            ADDRESS
                .iter()
                .for_each(|name| text(address, name, "address.", &mut errors));
        }
        Some(_) => errors.add("address", "must be an object"),
    }
    errors
}

/// Checks a whole deal; `exists` says whether there is a contact with an id.
pub fn deal(fields: &Fields, exists: impl Fn(u64) -> bool) -> Errors {
    let mut errors = Errors::default();
    unknown(fields, DEAL, "", &mut errors);
    for name in ["name", "contact_id", "amount", "currency", "stage"] {
        if !fields.contains_key(name) {
            errors.add(name, "is required");
        }
    }
    text(fields, "name", "", &mut errors);
    if fields
        .get("contact_id")
        .is_some_and(|id| !id.as_u64().is_some_and(&exists))
    {
        errors.add("contact_id", "is not the id of a contact");
    }
    if fields
        .get("amount")
        .is_some_and(|amount| !amount.is_i64() && !amount.is_u64())
    {
        errors.add(
            "amount",
            "must be a whole number of the currency's smallest unit",
        );
    }
    one_of(fields, "currency", CURRENCIES, &mut errors);
    one_of(fields, "stage", STAGES, &mut errors);
    date(fields, "placed_on", &mut errors);
    match fields.get("lines") {
        None => {}
        Some(Value::Array(lines)) => lines.iter().for_each(|line| check_line(line, &mut errors)),
        Some(_) => errors.add("lines", "must be a list"),
    }
    errors
}

fn check_line(line: &Value, errors: &mut Errors) {
    let Some(line) = line.as_object() else {
        return errors.add("lines", "must be a list of objects");
    };
    unknown(line, LINE, "lines.", errors);
    text(line, "sku", "lines.", errors);
    if !line.get("qty").is_some_and(Value::is_u64) {
        errors.add("lines.qty", "must be a whole number");
    }
}

fn unknown(fields: &Fields, known: &[&str], prefix: &str, errors: &mut Errors) {
    for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        errors.add(&format!("{prefix}{name}"), "is not a field");
    }
}

/// A text of at most 254 characters; null empties the field.
fn text(fields: &Fields, name: &str, prefix: &str, errors: &mut Errors) {
    match fields.get(name) {
        None | Some(Value::Null) => {}
        Some(Value::String(value)) if value.chars().count() <= 254 => {}
        Some(_) => errors.add(
            &format!("{prefix}{name}"),
            "must be a text of at most 254 characters",
        ),
    }
}

fn one_of(fields: &Fields, name: &str, allowed: &[&str], errors: &mut Errors) {
    if fields
        .get(name)
        .is_some_and(|value| !value.as_str().is_some_and(|text| allowed.contains(&text)))
    {
        errors.add(name, &format!("must be one of {}", allowed.join(", ")));
    }
}

fn date(fields: &Fields, name: &str, errors: &mut Errors) {
    let is_date = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| text.parse::<jiff::civil::Date>().is_ok())
    };
    if fields
        .get(name)
        .is_some_and(|value| !value.is_null() && !is_date(value))
    {
        errors.add(name, "must be a date such as 2025-12-31");
    }
}

/// One `@` with something on both sides, and no white space.
pub fn is_email(text: &str) -> bool {
    let parts: Vec<&str> = text.split('@').collect();
    matches!(parts[..], [user, host] if !user.is_empty() && !host.is_empty())
        && !text.contains(char::is_whitespace)
}
