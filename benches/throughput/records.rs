//! The job of the measurement: what a source record looks like and what it becomes in the target.
//! Deterministic and hand-coded; used by the servers to make and check records, and by the ceiling.

use serde::{Deserialize, Serialize};

/// Records in one page and in one batch.
pub const PAGE: usize = 100;

/// A record of the source, twelve fields.
#[derive(Serialize, Deserialize)]
pub struct Customer<'a> {
    #[serde(borrow)]
    pub id: &'a str,
    pub number: u64,
    #[serde(borrow)]
    pub full_name: &'a str,
    #[serde(borrow)]
    pub email: &'a str,
    #[serde(borrow)]
    pub phone: Option<&'a str>,
    #[serde(borrow)]
    pub status: &'a str,
    #[serde(borrow)]
    pub total: &'a str,
    #[serde(borrow)]
    pub currency: &'a str,
    #[serde(borrow)]
    pub created: &'a str,
    #[serde(borrow)]
    pub updated_at: &'a str,
    #[serde(borrow)]
    pub billing: Billing<'a>,
    #[serde(borrow)]
    pub tags: Vec<&'a str>,
}

#[derive(Serialize, Deserialize)]
pub struct Billing<'a> {
    pub street: &'a str,
    pub city: &'a str,
    pub zip: &'a str,
    pub country: &'a str,
}

/// A record of the target.
#[derive(Serialize)]
pub struct Contact<'a> {
    pub external_id: &'a str,
    pub account_number: u64,
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<&'a str>,
    pub stage: &'static str,
    pub total_cents: i64,
    pub currency: &'a str,
    pub signed_up_on: String,
    pub address: Address<'a>,
    pub labels: Vec<&'a str>,
    pub origin: &'static str,
}

#[derive(Serialize)]
pub struct Address<'a> {
    pub line1: &'a str,
    pub city: &'a str,
    pub postcode: &'a str,
    pub country: &'a str,
}

/// One page as the source sends it.
#[derive(Serialize, Deserialize)]
pub struct Page<'a> {
    #[serde(borrow)]
    pub data: Vec<Customer<'a>>,
    #[serde(borrow)]
    pub next_cursor: Option<&'a str>,
}

impl<'a> Customer<'a> {
    /// The transformation that the ceiling does by hand and the engine by its Mapping; `None` when the
    /// record has a value that it does not know.
    pub fn contact(&self) -> Option<Contact<'a>> {
        let (first_name, last_name) = self.full_name.split_once(' ')?;
        Some(Contact {
            external_id: self.id,
            account_number: self.number,
            first_name,
            last_name,
            email: self.email,
            phone: self.phone,
            stage: match self.status {
                "new" => "open",
                "paid" => "won",
                "complete" => "fulfilled",
                "cancelled" => "lost",
                _ => return None,
            },
            total_cents: cents(self.total)?,
            currency: self.currency,
            signed_up_on: iso_date(self.created)?,
            address: Address {
                line1: self.billing.street,
                city: self.billing.city,
                postcode: self.billing.zip,
                country: self.billing.country,
            },
            labels: self.tags.clone(),
            origin: "shop",
        })
    }
}

/// `12.30` as 1230.
fn cents(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    if fraction.len() != 2 {
        return None;
    }
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(100)?
        .checked_add(fraction.parse().ok()?)
}

/// `12/31/2015` as `2015-12-31`.
fn iso_date(text: &str) -> Option<String> {
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    Some([year, "-", month, "-", day].concat())
}

/// The text fields of record `index`, owned, so that a [`Customer`] can borrow them.
pub struct Seed {
    id: String,
    number: u64,
    full_name: String,
    email: String,
    phone: Option<String>,
    total: String,
    created: String,
    updated_at: String,
    street: String,
    zip: String,
}

impl Seed {
    pub fn new(index: usize) -> Self {
        let first = ["Ada", "Grace", "Zoë", "Łukasz", "Mei", "Olu", "Ravi"][index % 7];
        let last = ["King Lovelace", "Hopper", "Müller", "Nowak", "Chen"][index % 5];
        Self {
            id: format!("c-{index:07}"),
            number: 10_000 + index as u64,
            full_name: format!("{first} {last}"),
            email: format!("customer{index}@mail{}.example.com", index % 13),
            phone: (!index.is_multiple_of(10))
                .then(|| format!("+49 30 {:07}", index * 37 % 10_000_000)),
            total: format!("{}.{:02}", index * 7 % 5_000, index * 31 % 100),
            created: format!(
                "{:02}/{:02}/{}",
                1 + index % 12,
                1 + index % 28,
                2005 + index % 20
            ),
            updated_at: format!(
                "2026-{:02}-{:02}T{:02}:{:02}:00Z",
                1 + index / 40_320 % 9,
                1 + index / 1_440 % 28,
                index / 60 % 24,
                index % 60
            ),
            street: format!("{} Harbour Street", 1 + index % 400),
            zip: format!("{:05}", 10_000 + index % 80_000),
        }
    }

    pub fn customer(&self) -> Customer<'_> {
        let index = self.number as usize;
        Customer {
            id: &self.id,
            number: self.number,
            full_name: &self.full_name,
            email: &self.email,
            phone: self.phone.as_deref(),
            status: ["new", "paid", "complete", "cancelled"][index % 4],
            total: &self.total,
            currency: ["EUR", "USD", "GBP"][index % 3],
            created: &self.created,
            updated_at: &self.updated_at,
            billing: Billing {
                street: &self.street,
                city: ["Hamburg", "Lyon", "Kraków", "Porto"][index % 4],
                zip: &self.zip,
                country: ["DE", "FR", "PL", "PT"][index % 4],
            },
            tags: ["newsletter", "wholesale", "beta"][..index % 4].to_vec(),
        }
    }
}

/// The number in an id that [`Seed::new`] made.
pub fn index_of(id: &str) -> Option<usize> {
    id.strip_prefix("c-")?.parse().ok()
}
