//! Webhooks: what systems tell us is verified, kept durably, and only then acknowledged. Stateless but
//! for the store; knows no Kubernetes. Run by `runtime`; `worker` takes what it kept.

mod admit;
mod endpoints;
mod receiver;
mod signature;
#[cfg(test)]
mod tests;

pub use admit::{Admission, admit};
pub use endpoints::{Endpoint, Endpoints};
pub use receiver::Receiver;
pub use signature::verify;

use crate::telemetry::Delivery;

/// Why a delivery is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such webhook")]
    Unknown,
    #[error("webhooks are sent with POST")]
    NotPost,
    #[error("the body is larger than the webhook's maxBodyBytes")]
    TooLarge,
    #[error("the body must be JSON: content-type application/json")]
    NotJsonType,
    #[error("the signature, or what belongs to it, is missing")]
    Unsigned,
    #[error("the signature does not fit")]
    Forged,
    #[error("the time of sending is too far from ours")]
    Stale,
    #[error("the body is not JSON")]
    NotJson,
    #[error("the body did not arrive whole")]
    Interrupted,
    #[error("the webhook's own key cannot be used")]
    BadKey,
    #[error("too many deliveries at once")]
    Busy,
    #[error("it cannot be kept now")]
    NotKept,
}

impl Refusal {
    /// As it is counted.
    pub fn counted(self) -> Delivery {
        match self {
            Self::Unknown => Delivery::UnknownWebhook,
            Self::NotPost => Delivery::NotPost,
            Self::TooLarge => Delivery::TooLarge,
            Self::NotJsonType => Delivery::WrongContentType,
            Self::Unsigned => Delivery::Unsigned,
            Self::Forged => Delivery::Forged,
            Self::Stale => Delivery::Stale,
            Self::NotJson => Delivery::NotJson,
            Self::Interrupted => Delivery::Interrupted,
            Self::BadKey => Delivery::BadKey,
            Self::Busy => Delivery::Busy,
            Self::NotKept => Delivery::NotKept,
        }
    }

    /// The status to answer with (RFC 9110), and after how many seconds to try again.
    pub fn answer(self) -> (u16, Option<u32>) {
        match self {
            Self::Unknown => (404, None),
            Self::NotPost => (405, None),
            Self::TooLarge => (413, None),
            Self::NotJsonType => (415, None),
            Self::Unsigned | Self::Forged | Self::Stale => (401, None),
            Self::NotJson | Self::Interrupted => (400, None),
            // Not the sender's fault: it is to come again.
            Self::BadKey => (503, Some(60)),
            Self::Busy => (503, Some(1)),
            Self::NotKept => (503, Some(30)),
        }
    }
}
