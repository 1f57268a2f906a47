//! What happened to a flight before. A `Detail` takes more room than all else of a flight, and an update that did not
//! fail has nothing to say in one: with it, fewer flights fit into a processor's cache. Plain data, part of a `flight`.

use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use crate::state::Detail;

static NOTHING: LazyLock<Detail> = LazyLock::new(Detail::default);

/// A [`Detail`] that takes room only where it says something: it reads as the default until somebody writes to it.
#[derive(Clone, Debug, Default)]
pub struct Past(Option<Box<Detail>>);

impl Past {
    /// A copy that somebody keeps.
    pub fn detail(&self) -> Detail {
        self.0.as_deref().cloned().unwrap_or_default()
    }
}

impl From<Detail> for Past {
    fn from(detail: Detail) -> Self {
        Self(Some(Box::new(detail)))
    }
}

impl Deref for Past {
    type Target = Detail;

    fn deref(&self) -> &Detail {
        self.0.as_deref().unwrap_or_else(|| &NOTHING)
    }
}

impl DerefMut for Past {
    fn deref_mut(&mut self) -> &mut Detail {
        self.0.get_or_insert_default()
    }
}
