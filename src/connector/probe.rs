//! Tries a Connection out: does the system answer, and does it accept the credential?
//! Used by `runtime` through [`Connector`].

use std::time::{Duration, Instant};

use super::Connector;
use super::build::Parts;
use super::classify::Purpose;
use crate::expression::Scope;
use crate::record::{Class, Failure};

impl Connector {
    /// Sends the Connection's probe once, also while the circuit is open; `Ok` where it has none. Any answer but a 401 or a 5xx shows
    /// that the system is there and takes the credential.
    pub async fn probe(&self) -> Result<(), Failure> {
        let Some(probe) = &self.inner.plan.probe else {
            return Ok(());
        };
        let parts = Parts {
            operation: &probe.request,
            scope: Scope::default(),
            record: None,
            body: None,
            inject: &[],
            url: None,
        };
        let prepared = self.inner.base.prepare(&self.inner.plan, parts)?;
        let name = probe.request.path.source();
        self.inner.circuit.hasten(Instant::now());
        match self.exchange(&prepared, Purpose::Get, name).await {
            Ok(_) => Ok(()),
            Err(failure) => match failure.class {
                Class::Transient | Class::Authentication | Class::Configuration => Err(failure),
                _ => Ok(()),
            },
        }
    }

    /// How long until a request is sent again with a credential that was rejected; `None`: it was not.
    pub fn stalled_for(&self) -> Option<Duration> {
        self.inner.stall.rest(Instant::now())
    }

    /// Forgets the credential, because its Secret has changed: the next request reads it afresh.
    pub async fn forget_credential(&self) {
        self.inner.auth.forget().await;
        self.inner.stall.clear();
    }
}
