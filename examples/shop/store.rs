//! What the shop holds, in the order of change, and the changes that a demo asks for.
//! In memory only; used by `routes`.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use jiff::Timestamp;

use crate::data::{Customer, Order, customer, customer_id, name, order, phone, rfc3339};
use crate::names::PEOPLE;
use crate::support::random::Random;
use crate::support::roles::{Role, role};

/// A record with an id and the time of its last change, in milliseconds.
pub trait Row {
    fn id(&self) -> &str;
    fn updated(&self) -> i64;
}

impl Row for Customer {
    fn id(&self) -> &str {
        &self.id
    }
    fn updated(&self) -> i64 {
        self.updated
    }
}

impl Row for Order {
    fn id(&self) -> &str {
        &self.id
    }
    fn updated(&self) -> i64 {
        self.updated
    }
}

/// Where a page ends: time of change and place in the table.
pub type Position = (i64, usize);

/// Records by id and by time of change.
pub struct Table<T> {
    rows: Vec<T>,
    by_id: HashMap<String, usize>,
    by_time: BTreeSet<Position>,
}

impl<T: Row> Table<T> {
    fn new(rows: impl Iterator<Item = T>) -> Self {
        let mut table = Self {
            rows: Vec::new(),
            by_id: HashMap::new(),
            by_time: BTreeSet::new(),
        };
        rows.for_each(|row| table.push(row));
        table
    }

    fn push(&mut self, row: T) {
        self.by_id.insert(row.id().to_owned(), self.rows.len());
        self.by_time.insert((row.updated(), self.rows.len()));
        self.rows.push(row);
    }

    pub fn get(&self, id: &str) -> Option<&T> {
        self.by_id.get(id).map(|at| &self.rows[*at])
    }

    pub fn all(&self) -> &[T] {
        &self.rows
    }

    /// Up to `limit` records changed at or after `since` and after `position`, oldest change first, and where
    /// the next page begins if there is one.
    pub fn page(
        &self,
        since: i64,
        position: Option<Position>,
        limit: usize,
    ) -> (Vec<&T>, Option<Position>) {
        let begin = match position {
            Some(position) if position.0 >= since => Bound::Excluded(position),
            _ => Bound::Included((since, 0)),
        };
        let mut found = self.by_time.range((begin, Bound::Unbounded));
        let taken: Vec<Position> = found.by_ref().take(limit).copied().collect();
        let next = found.next().and(taken.last().copied());
        (
            taken.into_iter().map(|(_, at)| &self.rows[at]).collect(),
            next,
        )
    }

    fn change(&mut self, at: usize, work: impl FnOnce(&mut T)) {
        self.by_time.remove(&(self.rows[at].updated(), at));
        work(&mut self.rows[at]);
        self.by_time.insert((self.rows[at].updated(), at));
    }
}

/// Everything that the shop holds.
pub struct Shop {
    pub customers: Table<Customer>,
    pub orders: Table<Order>,
    held_back: Vec<u64>,
    seed: u64,
    random: Random,
    last_change: i64,
}

impl Shop {
    pub fn new(seed: u64, customers: u64, orders: u64) -> Self {
        let (mut held_back, present): (Vec<u64>, Vec<u64>) =
            (1..=customers).partition(|n| role(*n) == Role::ComesLater);
        held_back.reverse();
        Self {
            customers: Table::new(present.into_iter().map(|n| customer(seed, n))),
            orders: Table::new((1..=orders).map(|n| order(seed, n, customers))),
            held_back,
            seed,
            random: Random::new(seed, u64::MAX),
            last_change: 0,
        }
    }

    /// A time of change that no earlier change had.
    fn now(&mut self) -> i64 {
        self.last_change = Timestamp::now().as_millisecond().max(self.last_change + 1);
        self.last_change
    }

    /// Gives `count` customers that can be synced another name and phone number; their ids.
    pub fn change_customers(&mut self, count: usize) -> Vec<String> {
        let mut owners: HashMap<String, usize> = HashMap::new();
        for email in self.customers.all().iter().filter_map(address) {
            *owners.entry(email).or_default() += 1;
        }
        let fit = self
            .customers
            .rows
            .iter()
            .enumerate()
            .filter(|(_, customer)| {
                let alone = address(customer).is_some_and(|email| owners.get(&email) == Some(&1));
                let known_twice = (crate::support::roles::number(&customer.id))
                    .is_some_and(|n| role(n) == Role::KnownTwice);
                alone && !known_twice && is_date(&customer.created)
            });
        let fit = fit.map(|(at, _)| at).collect();
        let chosen = self.choose(fit, count);
        chosen
            .into_iter()
            .map(|at| self.change_customer(at))
            .collect()
    }

    fn change_customer(&mut self, at: usize) -> String {
        let updated = self.now();
        let random = &mut self.random;
        let people = &PEOPLE[random.below(PEOPLE.len() as u64) as usize];
        let old = self.customers.rows[at].full_name.clone();
        let (mut new, _) = name(people, random);
        if new == old {
            new = "Renée Descartes".to_owned();
        }
        let phone = phone(random);
        self.customers.change(at, |customer| {
            (customer.full_name, customer.phone) = (new, phone);
            (customer.updated, customer.updated_at) = (updated, rfc3339(updated));
        });
        self.customers.rows[at].id.clone()
    }

    /// Adds one more piece to the first item of `count` orders that can be synced; their ids.
    pub fn change_orders(&mut self, count: usize) -> Vec<String> {
        let fit = self.orders.rows.iter().enumerate().filter(|(_, order)| {
            let known = ["complete", "new", "pending", "cancelled"].contains(&order.status);
            known && is_date(&order.placed) && self.customers.get(&order.customer_id).is_some()
        });
        let fit = fit.map(|(at, _)| at).collect();
        let mut ids = Vec::new();
        for at in self.choose(fit, count) {
            let updated = self.now();
            self.orders.change(at, |order| {
                order
                    .items
                    .iter_mut()
                    .take(1)
                    .for_each(|item| item.quantity += 1);
                (order.updated, order.updated_at) = (updated, rfc3339(updated));
            });
            ids.push(self.orders.rows[at].id.clone());
        }
        ids
    }

    /// Lets up to `count` customers sign up whose orders are there already; their ids.
    pub fn arrive(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count
            && let Some(n) = self.held_back.pop()
        {
            let updated = self.now();
            let mut new = customer(self.seed, n);
            (new.updated, new.updated_at) = (updated, rfc3339(updated));
            self.customers.push(new);
            ids.push(customer_id(n));
        }
        ids
    }

    /// `count` of the places, in an order of their own.
    fn choose(&mut self, mut places: Vec<usize>, count: usize) -> Vec<usize> {
        let count = count.min(places.len());
        for i in 0..count {
            let j = i + self.random.below((places.len() - i) as u64) as usize;
            places.swap(i, j);
        }
        places.truncate(count);
        places
    }
}

/// The email in small letters, if it is one.
fn address(customer: &Customer) -> Option<String> {
    let email = customer.email.as_ref()?.as_ref()?;
    email.contains('@').then(|| email.to_lowercase())
}

/// Whether `12/31/2025` is in the calendar; the demo's days never pass the 28th unless they are wrong.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('/').map(str::parse::<u32>);
    matches!(
        (parts.next(), parts.next()),
        (Some(Ok(1..=12)), Some(Ok(1..=28)))
    )
}

#[cfg(test)]
mod tests;
