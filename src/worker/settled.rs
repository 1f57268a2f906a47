//! What the store knows of a flight's key once its outcome is durable: for the version that waits behind it, and for
//! pages that were looked up before, which seldom ask. Plain data, part of a `flight`.

use crate::record::TargetId;
use crate::state::{Exception, Known};

use super::flight::Flight;
use super::outcome::applied_link;

/// What the store will know.
#[derive(Debug)]
pub enum Settled {
    /// This version is applied; its link is made of the flight when somebody asks.
    Applied {
        target: Option<TargetId>,
        own: bool,
    },
    Known(Box<Known>),
}

impl Settled {
    /// The exception that there is of the key.
    pub fn exception(&self) -> Option<&Exception> {
        match self {
            Self::Applied { .. } => None,
            Self::Known(known) => known.exception.as_deref(),
        }
    }
}

impl Flight {
    /// What the store knows of its key; `None` until its outcome is being committed. `keeps_fields`: with a hash of
    /// each field.
    pub fn known(&self, keeps_fields: bool) -> Option<Known> {
        Some(match self.settled.as_ref()? {
            Settled::Applied { target, own } => Known {
                link: Some(applied_link(self, target.clone(), *own, keeps_fields)),
                exception: None,
            },
            Settled::Known(known) => (**known).clone(),
        })
    }
}
