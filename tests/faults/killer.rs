//! When one life of the engine ends: at the n-th passing of a moment in the systems or in the store. Shared by
//! `world` and `store`, armed by `life`.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// A moment at which the engine can end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// A page was asked for and is not answered.
    Page,
    /// A write has arrived and is not carried out.
    BeforeWrite,
    /// A write is carried out and not answered.
    AfterWrite,
    /// The engine wants to keep something, and it is not kept.
    BeforeCommit,
    /// It is kept, and the engine does not hear of it.
    AfterCommit,
    /// A delivery of a webhook is to be kept, and it is not kept.
    BeforeReceive,
}

pub const MOMENTS: [Moment; 6] = [
    Moment::Page,
    Moment::BeforeWrite,
    Moment::AfterWrite,
    Moment::BeforeCommit,
    Moment::AfterCommit,
    Moment::BeforeReceive,
];

pub struct Killer {
    armed: Mutex<Option<(Moment, u64)>>,
    dead: AtomicBool,
    told: watch::Sender<bool>,
}

impl Killer {
    pub fn new(at: Option<(Moment, u64)>) -> Self {
        Self {
            armed: Mutex::new(at),
            dead: AtomicBool::new(false),
            told: watch::Sender::new(false),
        }
    }

    /// Whether the engine ends with this passing of the moment.
    pub fn passes(&self, moment: Moment) -> bool {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((wanted, left)) = armed.as_mut() else {
            return false;
        };
        if *wanted != moment {
            return false;
        }
        *left -= 1;
        let now = *left == 0;
        if now {
            *armed = None;
            self.dead.store(true, SeqCst);
            let told = self.told.clone();
            if moment == Moment::BeforeReceive {
                // An answer that was given already still arrives.
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    told.send_replace(true);
                });
            } else {
                told.send_replace(true);
            }
        }
        now
    }

    /// What a dead engine does has no effect any more.
    pub fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    pub async fn killed(&self) {
        let mut told = self.told.subscribe();
        // The sender lives as long as `self`.
        let _ = told.wait_for(|told| *told).await;
    }
}
