//! The shop's customers and orders, made from a seed and messy on purpose: what is wrong with whom depends on
//! the seed and the record's number alone. Pure; used by `store`.

use serde::Serialize;

use crate::names::{Order as NameOrder, PEOPLE, People, SINGLE};
use crate::support::random::Random;

/// 2025-01-06T08:00:00Z, the oldest change, in milliseconds.
const BEGIN: i64 = 1_736_150_400_000;
const MINUTE: i64 = 60_000;

#[derive(Clone, Debug, Serialize)]
pub struct Customer {
    pub id: String,
    pub full_name: String,
    /// Some customers have the field and no value, some don't even have the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Option<String>>,
    pub phone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    pub language: &'static str,
    pub newsletter: bool,
    pub completed_orders: u64,
    /// As in the United States, month first: `12/31/2025`.
    pub created: String,
    pub billing: Billing,
    pub updated_at: String,
    #[serde(skip)]
    pub updated: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Billing {
    pub address: Address,
}

#[derive(Clone, Debug, Serialize)]
pub struct Address {
    pub street: &'static str,
    pub city: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    pub country: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct Order {
    pub id: String,
    pub customer_id: String,
    pub status: &'static str,
    pub placed: String,
    /// A decimal number as text, in whole units of the currency: `12.30`.
    pub total: String,
    pub currency: &'static str,
    pub items: Vec<Item>,
    pub updated_at: String,
    #[serde(skip)]
    pub updated: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Item {
    pub sku: String,
    pub quantity: u64,
}

/// `2025-01-06T08:00:00.000Z`
pub fn rfc3339(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    format!("{time:.3}")
}

/// Customer number `n`, from 1.
pub fn customer(seed: u64, n: u64) -> Customer {
    let mut random = Random::new(seed, n);
    let people = &PEOPLE[random.below(PEOPLE.len() as u64) as usize];
    let (full_name, _) = name(people, &mut random);
    let address = Address {
        street: random.pick(people.streets),
        city: random.pick(people.cities),
        postcode: random
            .chance(0.9)
            .then(|| format!("{:05}", random.below(100_000))),
        country: people.country,
    };
    let updated = BEGIN + n as i64 * 3 * MINUTE / 5 / MINUTE * MINUTE;
    let company = random.chance(0.3).then(|| {
        format!(
            "{} {}",
            people.cities[0],
            random.pick(&["Labs", "& Co.", "GmbH", "Ltd"])
        )
    });
    Customer {
        id: customer_id(n),
        full_name,
        email: email(seed, n),
        phone: phone(&mut random),
        company,
        language: people.language,
        newsletter: random.chance(0.4),
        completed_orders: random.below(16),
        created: us_date(&mut random, 0.006),
        billing: Billing { address },
        updated_at: rfc3339(updated),
        updated,
    }
}

/// Order number `n`, from 1, of one of `customers` customers, or of one that never comes.
pub fn order(seed: u64, n: u64, customers: u64) -> Order {
    let mut random = Random::new(seed ^ 0x6f72_6465_7273, n);
    let never = random.chance(0.004);
    let customer = random.below(customers) + 1;
    let status = match random.below(1000) {
        0..600 => "complete",
        600..800 => "new",
        800..900 => "pending",
        900..985 => "cancelled",
        985..993 => "archived?",
        _ => "COMPLETE (legacy)",
    };
    let (currency, digits) = random.pick(&[
        ("USD", 2),
        ("USD", 2),
        ("EUR", 2),
        ("EUR", 2),
        ("JPY", 0),
        ("KWD", 3),
    ]);
    let amount = random.below(5_000_000) + 1;
    let lines = random.below(3) + 1;
    let items = (0..lines)
        .map(|_| Item {
            sku: format!("SKU-{:04}", random.below(400)),
            quantity: random.below(5) + 1,
        })
        .collect();
    let updated = BEGIN + n as i64 * MINUTE / 2 / MINUTE * MINUTE;
    Order {
        id: format!("ord_{n:06}"),
        customer_id: customer_id(if never {
            customers + 1_000_000 + n
        } else {
            customer
        }),
        status,
        placed: us_date(&mut random, 0.004),
        total: decimal(amount, digits),
        currency,
        items,
        updated_at: rfc3339(updated),
        updated,
    }
}

pub fn customer_id(n: u64) -> String {
    format!("cus_{n:06}")
}

pub fn phone(random: &mut Random) -> String {
    format!(
        "+{} {:03} {:06}",
        1 + random.below(98),
        random.below(1000),
        random.below(1_000_000)
    )
}

/// Given and family name in the way of the language, and the Latin letters of both.
pub fn name(people: &People, random: &mut Random) -> (String, String) {
    if random.chance(0.02) {
        let (native, latin) = random.pick(SINGLE);
        return (native.to_owned(), latin.to_owned());
    }
    let (given, family) = (random.pick(people.given), random.pick(people.family));
    let latin = format!("{}.{}", given.1, family.1);
    let native = match people.order {
        NameOrder::FamilyFirstJoined => format!("{}{}", family.0, given.0),
        NameOrder::FamilyFirstWide => format!("{}\u{3000}{}", family.0, given.0),
        NameOrder::GivenFirst => {
            let space = match random.below(20) {
                0 => "  ",
                1 => "\u{a0}",
                _ => " ",
            };
            format!("{}{space}{}", given.0, family.0)
        }
    };
    (native, latin)
}

/// The address that customer `n` would have if nothing were wrong with it.
fn proper_email(seed: u64, n: u64) -> String {
    let mut random = Random::new(seed, n);
    let people = &PEOPLE[random.below(PEOPLE.len() as u64) as usize];
    let (_, latin) = name(people, &mut random);
    format!(
        "{latin}{n}@example.{}",
        ["com", "net", "org"][(n % 3) as usize]
    )
}

/// The address that customer `n` has: absent, null, in capitals, not an address, that of the customer before,
/// or a proper one.
fn email(seed: u64, n: u64) -> Option<Option<String>> {
    let mut random = Random::new(seed ^ 0x65_6d61_696c, n);
    let proper = proper_email(seed, n);
    match random.below(1000) {
        0..10 => None,
        10..18 => Some(None),
        18..50 => Some(Some(proper.to_uppercase())),
        50..55 => Some(Some(proper.replace('@', " at "))),
        55..65 if n > 1 => Some(Some(proper_email(seed, n - 1))),
        65..70 if n > 1 => Some(Some(proper_email(seed, n - 1).to_uppercase())),
        _ => Some(Some(proper)),
    }
}

/// A date of the last ten years; with probability `impossible`, one that no calendar has.
fn us_date(random: &mut Random, impossible: f64) -> String {
    let year = 2016 + random.below(10);
    if random.chance(impossible) {
        return format!(
            "{}/{year}",
            random.pick(&["02/30", "13/01", "04/31", "00/10"])
        );
    }
    format!(
        "{:02}/{:02}/{year}",
        1 + random.below(12),
        1 + random.below(28)
    )
}

/// `amount` of the currency's smallest unit as decimal text.
fn decimal(amount: u64, digits: u32) -> String {
    if digits == 0 {
        return amount.to_string();
    }
    let unit = 10_u64.pow(digits);
    format!(
        "{}.{:0width$}",
        amount / unit,
        amount % unit,
        width = digits as usize
    )
}
