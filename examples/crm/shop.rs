//! What the CRM's self-check knows of the shop: its export, read over HTTP, and the contacts that the sales
//! team had typed in for some of its customers. Used at the start and by `check`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::store::Fields;
use crate::support::random::Random;
use crate::support::roles::{Role, number, role};

/// The people of the sales team, who own contacts.
const SALES: &[&str] = &["kim", "robin", "sam"];

/// Everything that the shop holds.
#[derive(Deserialize)]
pub struct Export {
    pub customers: Vec<Value>,
    pub orders: Vec<Value>,
}

/// Asks the shop for what it holds.
pub async fn export(client: &reqwest::Client, shop: &str) -> anyhow::Result<Export> {
    let url = format!("{}/_export", shop.trim_end_matches('/'));
    let answer = client
        .get(&url)
        .timeout(Duration::from_secs(30))
        .send()
        .await;
    let answer = answer.with_context(|| format!("the shop does not answer at {url}"))?;
    if !answer.status().is_success() {
        bail!("the shop answers {} at {url}", answer.status());
    }
    let body = answer
        .bytes()
        .await
        .context("the shop's answer broke off")?;
    serde_json::from_slice(&body).context("the shop's answer is not an export")
}

/// The same, for the start: waits up to 20 seconds until the shop is there.
pub async fn export_when_up(client: &reqwest::Client, shop: &str) -> anyhow::Result<Export> {
    let mut tries = 0;
    loop {
        match export(client, shop).await {
            Err(_) if tries < 100 => tokio::time::sleep(Duration::from_millis(200)).await,
            result => return result,
        }
        tries += 1;
    }
}

/// Contacts that the CRM has from before: old names and numbers, the email in other letters, and an owner
/// that no Sync may touch. And some people who never shopped.
pub fn known_contacts(export: &Export) -> Vec<Fields> {
    let mut known = Vec::new();
    let mut random = Random::new(0, 0);
    for customer in &export.customers {
        let part = customer["id"].as_str().and_then(number).map(role);
        let Some(email) = customer["email"]
            .as_str()
            .filter(|email| crate::validate::is_email(email))
        else {
            continue;
        };
        let times = match part {
            Some(Role::Known) => 1,
            Some(Role::KnownTwice) => 2,
            _ => 0,
        };
        for _ in 0..times {
            known.push(contact(
                "Former",
                "Name",
                &other_case(email),
                random.pick(SALES),
            ));
        }
    }
    for n in 1..=20 {
        known.push(contact(
            "Walk-in",
            &n.to_string(),
            &format!("walk-in-{n}@crm.example"),
            random.pick(SALES),
        ));
    }
    known
}

fn contact(first: &str, last: &str, email: &str, owner: &str) -> Fields {
    let fields = json!({
        "first_name": first, "last_name": last, "email": email, "phone": "+1 000 000000", "owner": owner,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

/// `ada@example.com` as `Ada@Example.com`; capitals become small letters.
fn other_case(email: &str) -> String {
    let mut start = true;
    let change = |letter: char| {
        let upper = start && letter.is_lowercase();
        start = !letter.is_alphanumeric();
        if upper {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        }
    };
    email.chars().map(change).collect()
}

/// Customers by email in small letters: more than one with the same is a contest.
pub fn by_email(customers: &[Value]) -> HashMap<String, Vec<&Value>> {
    let mut groups: HashMap<String, Vec<&Value>> = HashMap::new();
    for customer in customers {
        if let Some(email) = customer["email"].as_str() {
            groups
                .entry(email.to_lowercase())
                .or_default()
                .push(customer);
        }
    }
    groups
}
