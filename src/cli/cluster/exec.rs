//! Runs a command of this program where the state is: in the Pod of the operator that leads, as `kubectl exec`
//! does. The API server decides who may (`pods/exec`) and keeps a record of it; nothing listens for this.

use std::io::Write;

use anyhow::Context;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Cluster, within};
use crate::cli::Exit;
use crate::cli::hint::Again;
use crate::controller::LEASE;

/// The container and the program in it, as the chart and the Dockerfile name them.
const CONTAINER: &str = "syncline";
const PROGRAM: &str = "/syncline";

impl Cluster {
    /// Runs the program with these arguments in the leading Pod of `operator`, a namespace, and prints what it
    /// prints; `again` is how a person calls it, for its hints, and `input` what it reads.
    ///
    /// # Errors
    /// No operator leads there, or the API server refuses.
    pub async fn exec(
        &self,
        operator: &str,
        args: Vec<String>,
        again: &Again,
        input: Option<String>,
    ) -> anyhow::Result<Exit> {
        let pod = self.leader(operator).await?;
        let params = AttachParams::default()
            .container(CONTAINER)
            .stdin(input.is_some())
            .stdout(true)
            .stderr(true);
        let mut command = vec![PROGRAM.to_owned()];
        command.extend(again.flags());
        command.extend(args);
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), operator);
        let process = within(pods.exec(&pod, command, &params))
            .await
            .with_context(|| {
                format!(
                    "running a command in Pod {operator}/{pod}, which needs create on pods/exec"
                )
            })?;
        relay(process, input).await
    }

    /// The Pod that leads: its name begins the identity that holds the Lease.
    async fn leader(&self, operator: &str) -> anyhow::Result<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), operator);
        let lease = within(leases.get_opt(LEASE)).await;
        let lease = lease.with_context(|| format!("reading the Lease {operator}/{LEASE}"))?;
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        let pod = holder
            .as_deref()
            .and_then(|holder| holder.rsplit_once('_'))
            .map(|(pod, _)| pod.to_owned());
        pod.with_context(|| {
            format!(
                "no operator leads in namespace {operator}: name the one that it is installed in with --operator-namespace"
            )
        })
    }
}

/// Prints what the command prints, as it comes, and takes over how it ends.
async fn relay(mut process: AttachedProcess, input: Option<String>) -> anyhow::Result<Exit> {
    let status = process.take_status();
    let (out, err) = (process.stdout(), process.stderr());
    let fed = feed(process.stdin(), input.unwrap_or_default());
    let (out, err) = (copy(out, std::io::stdout()), copy(err, std::io::stderr()));
    tokio::try_join!(fed, out, err)?;
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    let _ = process.join().await;
    ended(status.as_ref())
}

/// Gives the command what it reads. One that doesn't want all of it has its reasons, and says them.
async fn feed(to: Option<impl AsyncWrite + Unpin>, text: String) -> std::io::Result<()> {
    if let Some(mut to) = to
        && to.write_all(text.as_bytes()).await.is_ok()
    {
        let _ = to.shutdown().await;
    }
    Ok(())
}

async fn copy(from: Option<impl AsyncRead + Unpin>, mut to: impl Write) -> std::io::Result<()> {
    let Some(mut from) = from else {
        return Ok(());
    };
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.flush(),
            count => to.write_all(&buffer[..count])?,
        }
    }
}

/// What a command's end means; it has said itself what went wrong.
fn ended(status: Option<&Status>) -> anyhow::Result<Exit> {
    let Some(status) = status else {
        anyhow::bail!("the connection to the Pod broke before the command had ended");
    };
    if status.status.as_deref() == Some("Success") {
        return Ok(Exit::Good);
    }
    if status.reason.as_deref() == Some("NonZeroExitCode") {
        return Ok(Exit::Problems);
    }
    let message = status.message.as_deref().unwrap_or("without a reason");
    anyhow::bail!("the command could not be run in the Pod: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_found_problems_is_told_from_one_that_could_not_run() {
        let status = |status: &str, reason: Option<&str>| Status {
            status: Some(status.to_owned()),
            reason: reason.map(str::to_owned),
            message: Some("why".to_owned()),
            ..Status::default()
        };
        assert_eq!(ended(Some(&status("Success", None))).unwrap(), Exit::Good);
        let failed = status("Failure", Some("NonZeroExitCode"));
        assert_eq!(ended(Some(&failed)).unwrap(), Exit::Problems);
        let refused = ended(Some(&status("Failure", Some("InternalError"))));
        assert!(refused.unwrap_err().to_string().contains("why"));
        assert!(ended(None).is_err());
    }
}
