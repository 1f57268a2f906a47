//! Tries a Connection out: does the system answer, and does it accept the credential?
//! Used by `runtime` and `worker` through [`Connector`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::build::Parts;
use super::classify::Purpose;
use super::{Connector, ScanStart};
use crate::expression::Scope;
use crate::plan::ObjectPlan;
use crate::record::{Class, Failure, TargetId};

/// What a system is asked to see whether it answers: reads that change nothing.
#[derive(Clone, Debug)]
pub enum Question {
    /// The Connection's probe.
    Probe,
    /// The first page of an object's list.
    List,
    /// A record that it has.
    Get(TargetId),
    /// Records with these match values, as for [`Connector::find`], with the values of `${source.…}`.
    Find { matching: Value, source: Value },
}

impl Connector {
    /// Sends the Connection's probe once, also while the circuit is open; `Ok` where it has none. Any answer but a 401
    /// or a 5xx shows that the system is there and takes the credential.
    pub async fn probe(&self) -> Result<(), Failure> {
        match self.send_probe().await {
            None | Some(Ok(())) => Ok(()),
            Some(Err(failure)) => match failure.class {
                Class::Transient | Class::Authentication | Class::Configuration => Err(failure),
                _ => Ok(()),
            },
        }
    }

    /// Asks whether the system answers, also while the circuit is open; an answer closes that.
    pub async fn ask_after(
        &self,
        object: &Arc<ObjectPlan>,
        question: Question,
    ) -> Result<(), Failure> {
        self.inner.circuit.hasten(Instant::now());
        match question {
            Question::Probe => self.send_probe().await.unwrap_or(Ok(())),
            Question::List => {
                let mut pages = self.pages(Arc::clone(object), ScanStart::default());
                pages.next().await.map(|_| ())
            }
            Question::Get(id) => self.get(object, &id).await.map(|_| ()),
            Question::Find { matching, source } => {
                self.find(object, &matching, &source).await.map(|_| ())
            }
        }
    }

    async fn send_probe(&self) -> Option<Result<(), Failure>> {
        let probe = self.inner.plan.probe.as_ref()?;
        let parts = Parts {
            operation: &probe.request,
            scope: Scope::default(),
            record: None,
            body: None,
            inject: &[],
            url: None,
        };
        let prepared = match self.inner.base.prepare(&self.inner.plan, parts) {
            Ok(prepared) => prepared,
            Err(failure) => return Some(Err(failure)),
        };
        let name = probe.request.path.source();
        self.inner.circuit.hasten(Instant::now());
        let answer = self.exchange(&prepared, Purpose::Get, name).await;
        Some(answer.map(|_| ()))
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
