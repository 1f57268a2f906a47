//! The same command in a cluster: run in the Pod that leads, which has the state, the credentials and the way to
//! the systems. Manifests of this machine go along. Only says the command again; `cluster::exec` runs it.

use super::Preview;
use crate::cli::Exit;
use crate::cli::hint::{Again, quoted};
use crate::cli::manifest::Texts;
use crate::cli::output::OutputFormat;
use crate::cli::project::complain;

impl Preview {
    pub(super) async fn run_in_pod(self, output: OutputFormat) -> anyhow::Result<Exit> {
        anyhow::ensure!(
            self.secrets.is_none(),
            "--secrets is for a preview that runs on this machine; in a cluster, Secrets are there, or in -f"
        );
        let cluster = self.cluster.connect(self.namespace.as_deref()).await?;
        let namespace = cluster.namespace.as_str();
        let input = match self.files.is_empty() {
            true => None,
            false => {
                let texts = Texts::read(&self.files);
                // What can be known here is said here, with the lines of the files.
                if complain(&texts.load(namespace).findings) {
                    return Ok(Exit::Problems);
                }
                Some(texts.joined())
            }
        };
        let operator = self.operator_namespace.as_deref();
        let next = self.next(&Again::new(&self.cluster, namespace, None), namespace);
        let again = Again::new(&self.cluster, namespace, operator).then(next);
        let words = self.words(namespace, output);
        let operator = operator.unwrap_or(namespace);
        cluster.exec(operator, words, &again, input).await
    }

    /// What a person does when it looks good.
    fn next(&self, again: &Again, namespace: &str) -> String {
        if self.files.is_empty() {
            let syncs: Vec<String> = self.syncs.iter().map(|sync| quoted(sync)).collect();
            return match syncs.is_empty() {
                true => again.command("status", ""),
                false => again.command("sync now --wait", &syncs.join(" ")),
            };
        }
        let files = self.files.iter();
        let files = files.map(|file| format!(" -f {}", quoted(&file.display().to_string())));
        let files: String = files.collect();
        format!("kubectl apply --namespace {}{files}", quoted(namespace))
    }

    /// The words of the command. Nothing that a person typed can become an option: it follows `=` or `--`.
    fn words(&self, namespace: &str, output: OutputFormat) -> Vec<String> {
        let mut words = vec![
            "preview".to_owned(),
            "--here".to_owned(),
            format!("--namespace={namespace}"),
            format!("--limit={}", self.limit),
            format!("--wait={}", self.how.wait.as_str()),
        ];
        if !self.files.is_empty() {
            words.push("--filename=-".to_owned());
        }
        if self.how.full_refresh {
            words.push("--full-refresh".to_owned());
        }
        let adopt = self.how.adopt_state.iter();
        words.extend(adopt.map(|sync| format!("--adopt-state={sync}")));
        let reset = self.how.reset_state.iter();
        words.extend(reset.map(|sync| format!("--reset-state={sync}")));
        if output == OutputFormat::Json {
            words.push("--output=json".to_owned());
        }
        words.push("--".to_owned());
        words.extend(self.syncs.iter().cloned());
        words
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command};
    use clap::Parser;

    #[test]
    fn a_command_says_itself_again_and_nothing_typed_becomes_an_option() {
        for line in [
            "preview --here --namespace=sales --limit=3 --wait=30s -- a --state",
            "preview --here --namespace=sales --limit=0 --wait=2m --filename=- --full-refresh --output=json --",
            "preview --here --namespace=sales --limit=3 --wait=1s --adopt-state=a --reset-state=b -- a",
        ] {
            let line: Vec<&str> = line.split(' ').collect();
            let cli = Cli::parse_from(std::iter::once(&"syncline").chain(&line));
            let Command::Preview(preview) = &cli.command else {
                panic!("{line:?}");
            };
            assert_eq!(preview.words("sales", cli.common.output), line);
        }
    }
}
