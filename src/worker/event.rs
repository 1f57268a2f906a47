//! What comes to the engine's task: pages, answers, durable commits. Data only.

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::connector::{Answer, Found};
use crate::mapping::Links;
use crate::record::{Failure, Key, Verb};
use crate::state::{Exception, Known, Link, Millis, Present, StoreError, Totals};

use super::confirm::Confirmed;
use super::digest::Digest;
use super::flight::{FlightId, Home};
use super::inbox::Told;
use super::outcome::Outcome;
use super::reading::Reading;
use super::redact::Unread;

/// What a finished future brings.
pub enum Event {
    Page(
        Box<Reading>,
        Result<Option<crate::connector::Page>, Failure>,
    ),
    Known(Box<Digest>),
    /// What the source told, by a request that began then.
    Told(Instant, Result<Told, Failure>),
    /// T1 of a page is durable: these flights may be sent, as long as they are still about these entries of it.
    Committed(Vec<(FlightId, Home)>, usize),
    /// The same of a page that pages after it may not be judged without.
    Filed(Vec<(FlightId, Home)>),
    /// This version is kept in the store behind one in doubt.
    Blocked(FlightId),
    /// T2: these creates may be sent.
    Noted(Vec<FlightId>),
    /// T3: these outcomes are durable.
    Settled(Vec<Outcome>),
    Searched(FlightId, Box<Searched>),
    /// The store knows the target record that a create in doubt has made.
    Bound(FlightId),
    Answered(Vec<FlightId>, Verb, Answer),
    /// Whether the target answers at all, while records fail.
    AskedAfter(Result<(), Failure>),
    /// Exceptions that are due, and when the next one will be.
    Due(Vec<(Exception, Known)>, Option<Millis>),
    /// The source record as it is now, and the links that its Mapping needs.
    Remapped(FlightId, Result<(Bytes, Links), Unread>),
    /// So many dead letters were dropped.
    Expired(u64),
    /// Whether another source record is linked to the target record that is to be removed.
    Owned(FlightId, bool),
    /// What the store has, to hold removals against the delete guard.
    Counted(Totals),
    /// Links, to be held against what a complete list shows.
    Present(Vec<Present>),
    /// What the source says of records that its list does not show, by requests that began then; `true`: no more
    /// links are to be looked at.
    Confirmed(Instant, bool, Confirmed),
    /// What was held back is due, durably.
    Released,
}

/// What was found for a match value.
pub enum Searched {
    /// Our own links have it.
    Linked(Link),
    /// Another record with this match value may have been created.
    InDoubt(Key),
    /// What the target returned.
    Target(Result<Vec<Match>, Failure>),
}

/// A target record that was found, and which other source record is linked to it.
pub struct Match {
    pub found: Found,
    pub owner: Option<Link>,
}

pub type Finished = Result<Event, StoreError>;
pub type Work = BoxFuture<'static, Finished>;
