//! The same command on the state of a cluster: it is run in the Pod that leads, where that state is.
//! Only says the command again; `cluster::exec` runs it.

use super::args::{Command, DeadLetters, Discard, Replay, Selection};
use crate::cli::Exit;
use crate::cli::hint::Again;
use crate::cli::output::OutputFormat;

impl DeadLetters {
    pub(super) async fn run_in_cluster(self, output: OutputFormat) -> anyhow::Result<Exit> {
        let place = &self.place;
        let cluster = place.cluster.connect(place.namespace.as_deref()).await?;
        let operator = place.operator_namespace.as_deref();
        let operator = operator.unwrap_or(&cluster.namespace).to_owned();
        let words = words(&self.command, &cluster.namespace, output);
        let again = Again::new(
            &place.cluster,
            &cluster.namespace,
            place.operator_namespace.as_deref(),
        );
        cluster.exec(&operator, words, &again, None).await
    }
}

/// The words of the command. Nothing that a person typed can become an option: it follows `=` or `--`.
fn words(command: &Command, namespace: &str, output: OutputFormat) -> Vec<String> {
    let (verb, options, values) = match command {
        Command::List(list) => {
            let limit = format!("--limit={}", list.limit);
            let reason = list.reason.iter().map(|r| format!("--reason={r}"));
            let closed = list.closed.then(|| "--closed".to_owned());
            let values = vec![list.sync.clone()];
            (
                "list",
                reason.chain([limit]).chain(closed).collect(),
                values,
            )
        }
        Command::Show(show) => {
            let values = vec![Some(show.sync.clone()), Some(show.key.clone())];
            ("show", Vec::new(), values)
        }
        Command::Export(export) => {
            let reason = export.reason.iter().map(|r| format!("--reason={r}"));
            ("export", reason.collect(), vec![export.sync.clone()])
        }
        Command::Replay(Replay { selection }) => selected("replay", selection),
        Command::Discard(Discard { selection, note }) => {
            let (verb, mut options, values) = selected("discard", selection);
            options.extend(note.iter().map(|note| format!("--note={note}")));
            (verb, options, values)
        }
    };
    let mut words = vec!["deadletters".to_owned(), verb.to_owned()];
    words.extend(options);
    words.push(format!("--namespace={namespace}"));
    if output == OutputFormat::Json {
        words.push("--output=json".to_owned());
    }
    words.push("--".to_owned());
    words.extend(values.into_iter().flatten());
    words
}

type Words = (&'static str, Vec<String>, Vec<Option<String>>);

fn selected(verb: &'static str, selection: &Selection) -> Words {
    let mut options: Vec<String> = Vec::new();
    options.extend(selection.reason.iter().map(|r| format!("--reason={r}")));
    options.extend(selection.all.then(|| "--all".to_owned()));
    let values = vec![Some(selection.sync.clone()), selection.key.clone()];
    (verb, options, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    /// What a command line says again.
    fn again(line: &[&str]) -> Vec<String> {
        let words = std::iter::once(&"syncline").chain(line);
        let cli = Cli::parse_from(words);
        let output = cli.common.output;
        match cli.command {
            crate::cli::Command::DeadLetters(letters) => words_of(&letters, output),
            other => panic!("{other:?}"),
        }
    }

    fn words_of(letters: &DeadLetters, output: OutputFormat) -> Vec<String> {
        words(&letters.command, "sales", output)
    }

    #[test]
    fn a_command_says_itself_again_and_nothing_typed_becomes_an_option() {
        for line in [
            "deadletters list --limit=50 --namespace=sales -- a",
            "deadletters list --reason=Missing --limit=7 --namespace=sales --output=json --",
            "deadletters show --namespace=sales -- a --state",
            "deadletters replay --all --namespace=sales -- a",
            "deadletters list --limit=50 --closed --namespace=sales -- a",
            "deadletters discard --namespace=sales -- a -1",
            "deadletters discard --reason=Gone --note=--all --namespace=sales -- a",
            "deadletters export --reason=Gone --namespace=sales --",
            "deadletters export --namespace=sales --",
        ] {
            let line: Vec<&str> = line.split(' ').collect();
            assert_eq!(again(&line), line);
        }
    }
}
