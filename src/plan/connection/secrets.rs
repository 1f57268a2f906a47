//! Which keys of Secrets a Connection names, and what for: the one list for whoever reads, watches or misses
//! them. Pure. Called by `controller` (index and status) and `cli` (validation).

use super::{ConnectionWithObjects, SecretRef};

/// A key of a Secret that a Connection names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedSecret<'a> {
    pub secret: &'a SecretRef,
    pub used_for: SecretUse<'a>,
}

/// What a key of a Secret is for; what stops most comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretUse<'a> {
    /// Every request: without it nothing can be read or written.
    Requests,
    /// The deliveries of the webhook of this name: without it those that it signs are refused.
    Webhook(&'a str),
}

impl ConnectionWithObjects {
    /// Every key of a Secret that the Connection names.
    pub fn secrets(&self) -> Vec<NamedSecret<'_>> {
        let requests = self.connection.auth.secrets().into_iter();
        let requests = requests.map(|secret| NamedSecret {
            secret,
            used_for: SecretUse::Requests,
        });
        let of_webhooks = self.webhooks.iter().flat_map(|(name, webhook)| {
            webhook.verify.keys().iter().map(|secret| NamedSecret {
                secret,
                used_for: SecretUse::Webhook(name),
            })
        });
        requests.chain(of_webhooks).collect()
    }
}
