//! `GET /_check`: holds what the CRM has against what the shop has, and says what is missing, double, old or
//! not accounted for. Knows nothing of Syncline: any tool that keeps the two in step must satisfy it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use crate::expected;
use crate::shop::{Export, by_email};
use crate::store::{Crm, Fields, repeated};

/// Most problems that are told in a line each.
const MOST_PROBLEMS: usize = 20;

/// The result of a check. The lists hold ids, each with what is wrong.
#[derive(Default, Serialize)]
pub struct Report {
    pub ok: bool,
    pub summary: String,
    /// The first of what is wrong, a line each.
    pub problems: Vec<String>,
    pub contacts: Findings,
    pub deals: Findings,
}

/// What was found of one kind of record.
#[derive(Default, Serialize)]
pub struct Findings {
    /// Records that must be there.
    pub expected: usize,
    /// Of those, how many are, as they should be.
    pub present: usize,
    pub missing: Vec<String>,
    pub duplicates: Vec<String>,
    /// There, but with other values than the shop's.
    pub stale: Vec<String>,
    /// There, and nothing accounts for them.
    pub unexpected: Vec<String>,
    /// Records of the shop that must not arrive, and why.
    pub rejected: BTreeMap<String, String>,
    /// Orders that wait for their customer.
    pub waiting: Vec<String>,
}

impl Findings {
    /// What is wrong, a line each.
    fn problems(&self) -> impl Iterator<Item = String> {
        let kinds = [
            ("missing", &self.missing),
            ("twice", &self.duplicates),
            ("stale", &self.stale),
            ("unexpected", &self.unexpected),
        ];
        kinds
            .into_iter()
            .flat_map(|(kind, found)| found.iter().map(move |what| format!("{kind}: {what}")))
    }

    fn line(&self, name: &str) -> String {
        format!(
            "{name}: {} of {} present, {} missing, {} twice, {} stale, {} unexpected; {} must be rejected, {} wait",
            self.present,
            self.expected,
            self.missing.len(),
            self.duplicates.len(),
            self.stale.len(),
            self.unexpected.len(),
            self.rejected.len(),
            self.waiting.len()
        )
    }
}

/// Which contact each customer of the shop became.
type Owners<'a> = HashMap<&'a str, u64>;

/// Checks everything.
pub fn check(crm: &Crm, shop: &Export) -> Report {
    let mut report = Report::default();
    let owners = check_contacts(crm, shop, &mut report.contacts);
    check_deals(crm, shop, &owners, &mut report.deals);
    let problems = report.contacts.problems().chain(report.deals.problems());
    report.problems = problems.take(MOST_PROBLEMS).collect();
    report.ok = report.problems.is_empty();
    report.summary = format!(
        "{}. {}. {}.",
        if report.ok { "OK" } else { "NOT OK" },
        report.contacts.line("Contacts"),
        report.deals.line("Deals")
    );
    report
}

fn check_contacts<'a>(crm: &Crm, shop: &'a Export, found: &mut Findings) -> Owners<'a> {
    let mut owners = Owners::new();
    let twice_known = repeated(crm.known.values());
    let mut accounted: HashSet<u64> = HashSet::new();
    for customer in shop
        .customers
        .iter()
        .filter(|customer| !customer["email"].is_string())
    {
        found
            .rejected
            .insert(id(customer).to_owned(), "it has no email".to_owned());
    }
    for (address, customers) in by_email(&shop.customers) {
        let mut candidates: Vec<(&str, Fields)> = Vec::new();
        for customer in customers {
            match expected::contact(customer) {
                Err(reason) => drop(
                    found
                        .rejected
                        .insert(id(customer).to_owned(), reason.to_owned()),
                ),
                Ok(_) if twice_known.contains(&address) => {
                    let reason = "the CRM had two contacts with its email".to_owned();
                    found.rejected.insert(id(customer).to_owned(), reason);
                }
                Ok(fields) => candidates.push((id(customer), fields)),
            }
        }
        if !candidates.is_empty() {
            check_group(
                crm,
                &address,
                candidates,
                &mut owners,
                &mut accounted,
                found,
            );
        }
    }
    for (id, contact) in crm
        .contacts
        .iter()
        .filter(|(id, _)| !accounted.contains(id))
    {
        match crm.known.get(id) {
            Some(known) if known == contact => {}
            Some(_) => found
                .unexpected
                .push(format!("{id}: was not the shop's to change")),
            None => found
                .unexpected
                .push(format!("{id}: no customer of the shop accounts for it")),
        }
    }
    owners
}

/// Checks the one contact that customers of one email may have: it is any one of them.
fn check_group<'a>(
    crm: &Crm,
    address: &str,
    candidates: Vec<(&'a str, Fields)>,
    owners: &mut Owners<'a>,
    accounted: &mut HashSet<u64>,
    found: &mut Findings,
) {
    found.expected += 1;
    let name = candidates[0].0;
    let contacts: Vec<(u64, &Fields)> = crm
        .find(address)
        .into_iter()
        .filter_map(|contact| Some((contact["id"].as_u64()?, contact)))
        .collect();
    accounted.extend(contacts.iter().map(|(id, _)| *id));
    let (contact_id, contact) = match contacts[..] {
        [] => return found.missing.push(name.to_owned()),
        [only] => only,
        _ => {
            return found
                .duplicates
                .push(format!("{name}: {} contacts", contacts.len()));
        }
    };
    let as_it_should = |fields: &Fields| differences(contact, fields, crm.known.get(&contact_id));
    let winner = candidates
        .iter()
        .position(|(_, fields)| as_it_should(fields).is_empty());
    match winner {
        None => {
            let fields = as_it_should(&candidates[0].1).join(", ");
            found.stale.push(format!("{name}: {fields}"));
        }
        Some(winner) => {
            found.present += 1;
            owners.insert(candidates[winner].0, contact_id);
            for (i, (loser, _)) in candidates.iter().enumerate() {
                if i != winner {
                    let reason = format!("its email is that of {}", candidates[winner].0);
                    found.rejected.insert((*loser).to_owned(), reason);
                }
            }
        }
    }
}

/// Names of the fields that differ: those of the shop, and those that were the CRM's own.
fn differences(has: &Fields, should: &Fields, known: Option<&Fields>) -> Vec<String> {
    let own = |name: &&String| !should.contains_key(*name) && *name != "id";
    let kept = known.into_iter().flat_map(Fields::keys).filter(own);
    let kept = kept.filter(|name| has.get(*name) != known.and_then(|known| known.get(*name)));
    let extra = has
        .keys()
        .filter(own)
        .filter(|name| !known.is_some_and(|known| known.contains_key(*name)));
    let wrong = should
        .iter()
        .filter(|(name, value)| has.get(*name) != Some(value))
        .map(|(name, _)| name);
    kept.chain(extra).chain(wrong).cloned().collect()
}

fn check_deals(crm: &Crm, shop: &Export, owners: &Owners<'_>, found: &mut Findings) {
    let mut accounted: HashSet<&str> = HashSet::new();
    for order in &shop.orders {
        // Whatever else may be wrong with it, an order without a contact waits.
        let Some(contact) = order["customer_id"]
            .as_str()
            .and_then(|customer| owners.get(customer))
        else {
            found.waiting.push(id(order).to_owned());
            continue;
        };
        let fields = match expected::deal(order) {
            Ok(fields) => fields,
            Err(reason) => {
                found
                    .rejected
                    .insert(id(order).to_owned(), reason.to_owned());
                continue;
            }
        };
        found.expected += 1;
        accounted.insert(id(order));
        match crm.deals.get(id(order)) {
            None => found.missing.push(id(order).to_owned()),
            Some(deal) => {
                let mut wrong = differences_of_deal(deal, &fields);
                if deal["contact_id"].as_u64() != Some(*contact) {
                    wrong.push("contact_id");
                }
                match wrong.is_empty() {
                    true => found.present += 1,
                    false => found
                        .stale
                        .push(format!("{}: {}", id(order), wrong.join(", "))),
                }
            }
        }
    }
    let unaccounted = crm
        .deals
        .keys()
        .filter(|external| !accounted.contains(external.as_str()));
    found
        .unexpected
        .extend(unaccounted.map(|external| format!("{external}: no order accounts for it")));
}

fn differences_of_deal<'a>(deal: &Fields, should: &'a Fields) -> Vec<&'a str> {
    should
        .iter()
        .filter(|(name, value)| deal.get(*name) != Some(value))
        .map(|(name, _)| name.as_str())
        .collect()
}

fn id(record: &Value) -> &str {
    record["id"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
