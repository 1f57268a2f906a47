//! `syncline deadletters` with the real binary: what a person sees of a dead letter, as text and as JSON, and what
//! becomes of it when it is replayed or discarded. No value that is to be hidden is in any of it.

mod systems;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use systems::{KEY, SSN, Systems};

/// Manifests and state of one test.
struct Folder {
    folder: TempDir,
    systems: Systems,
}

/// What a command said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Folder {
    async fn new() -> Self {
        let systems = Systems::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let text = include_str!("manifests.yaml")
            .replace("SYSTEMS", &systems.address.to_string())
            .replace("APIKEY", KEY);
        std::fs::write(folder.path().join("all.yaml"), text).expect("a file");
        Self { folder, systems }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn syncline(&self, words: &[&str]) -> Said {
        let said = run(&self.path("state"), words).await;
        for hidden in [SSN, KEY] {
            let all = format!("{}{}", said.out, said.err);
            assert!(!all.contains(hidden), "{words:?} shows {hidden}: {all}");
        }
        said
    }

    /// One run of everything.
    async fn run(&self) {
        let manifests = self.path("all.yaml");
        let manifests = manifests.to_str().expect("a path");
        let said = self.syncline(&["run", "--once", "-f", manifests]).await;
        assert!(said.out.contains("customers"), "{} {}", said.out, said.err);
    }

    async fn json(&self, words: &[&str]) -> Value {
        let words = [words, &["--output", "json"]].concat();
        let said = self.syncline(&words).await;
        assert_eq!(said.code, 0, "{words:?}: {}", said.err);
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{words:?}: {e}: {}", said.out))
    }

    /// The keys of the dead letters that there are.
    async fn keys(&self) -> Vec<String> {
        let list = self.json(&["deadletters", "list"]).await;
        let rows = list.as_array().expect("a list");
        let key = |row: &Value| row["key"].as_str().expect("a key").to_owned();
        rows.iter().map(key).collect()
    }
}

async fn run(state: &Path, words: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    command.args(words).arg("--state").arg(state);
    let done = tokio::task::spawn_blocking(move || command.output()).await;
    let output = done.expect("a task").expect("the binary runs");
    Said {
        code: output.status.code().expect("an end of its own"),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_what_was_sent_what_came_back_and_what_to_do() {
    let folder = Folder::new().await;
    folder.run().await;
    assert_eq!(folder.keys().await, ["long", "secret", "undated"]);

    let one = folder
        .json(&["deadletters", "show", "customers", "long"])
        .await;
    assert_eq!(one["reason"], "Permanent");
    assert_eq!(one["source"]["name"], "Long");
    assert_eq!(one["mapped"]["name"], "Long");
    assert_eq!(one["request"]["method"], "PUT");
    let url = one["request"]["url"].as_str().expect("a URL");
    assert!(url.ends_with("/contacts/long?v=2&key=***"), "{url}");
    let body = one["request"]["body"].as_str().expect("a body");
    assert!(body.contains("\"name\":\"Long\""), "{body}");
    assert_eq!(one["answer"]["status"], 422);
    let excerpt = one["answer"]["excerpt"].as_str().expect("an answer");
    assert!(excerpt.contains("too long for ***"), "{excerpt}");
    assert_eq!(one["attempts"], 1);
    assert_eq!(one["tried"][0]["status"], 422);
    assert_eq!(one["tried"][0]["class"], "Permanent");
    let next = one["next"].as_str().expect("advice");
    assert!(next.starts_with("read the answer, and correct"), "{next}");
    assert!(
        next.contains("syncline deadletters replay customers long"),
        "{next}"
    );

    let text = folder
        .syncline(&["deadletters", "show", "customers", "long"])
        .await;
    for part in [
        "reason",
        "request   PUT http",
        "422 Permanent",
        "answer    422",
        "source record",
        "mapped record",
        "next",
    ] {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
    // Its value is hidden where it stands and where it is repeated; its neighbours are not.
    let secret = folder
        .json(&["deadletters", "show", "customers", "secret"])
        .await;
    assert_eq!(secret["source"]["ssn"], "[redacted]");
    assert_eq!(secret["source"]["name"], "Secret");
    assert_eq!(secret["mapped"]["tax"], "[redacted]");
    assert_eq!(secret["redacted"], true);
    assert!(
        secret["answer"]["excerpt"]
            .as_str()
            .expect("an answer")
            .contains("[redacted] is no tax number")
    );

    let lines = folder
        .syncline(&["deadletters", "export", "--reason", "BadDate"])
        .await;
    let line: Value = serde_json::from_str(lines.out.trim()).expect("one line of JSON");
    assert_eq!(
        (&line["key"], &line["field"]),
        (&json!("undated"), &json!("since"))
    );
    let all = folder.syncline(&["deadletters", "export"]).await;
    assert_eq!(all.out.lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_again_and_a_discard_keeps_its_note() {
    let folder = Folder::new().await;
    folder.run().await;
    let none = folder
        .syncline(&["deadletters", "replay", "customers", "--reason", "Gone"])
        .await;
    assert_eq!(none.code, 1, "{}", none.err);
    assert!(
        none.err.contains("no dead letter with reason \"Gone\""),
        "{}",
        none.err
    );

    folder.systems.accept_all();
    let replayed = folder
        .json(&[
            "deadletters",
            "replay",
            "customers",
            "--reason",
            "Permanent",
        ])
        .await;
    assert_eq!(replayed["count"], 2);
    folder.run().await;
    assert_eq!(folder.keys().await, ["undated"]);
    // What was hidden was read again: the target has the real value.
    assert_eq!(folder.systems.contact("secret")["tax"], SSN);
    assert_eq!(folder.systems.contact("long")["name"], "Long");

    let words = [
        "deadletters",
        "discard",
        "customers",
        "undated",
        "--note",
        "born before dates",
    ];
    let gone = folder.syncline(&words).await;
    assert_eq!(gone.code, 0, "{}", gone.err);
    assert!(folder.keys().await.is_empty());
    let closed = folder
        .json(&["deadletters", "list", "--closed", "customers"])
        .await;
    assert_eq!(closed[0]["key"], "undated");
    assert_eq!(closed[0]["note"], "born before dates");
    assert_eq!(
        (&closed[0]["closed"], &closed[0]["reason"]),
        (&json!("Discarded"), &json!("BadDate"))
    );
    let text = folder.syncline(&["deadletters", "list", "--closed"]).await;
    assert!(text.out.contains("born before dates"), "{}", text.out);
    folder.run().await;
    assert!(
        folder.keys().await.is_empty(),
        "it does not come back by itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_no_hidden_value() {
    let folder = Folder::new().await;
    folder.systems.accept_all();
    let manifests = folder.path("all.yaml");
    let manifests = manifests.to_str().expect("a path");
    let words = ["preview", "-f", manifests, "--output", "json"];
    let said = folder.syncline(&words).await;
    let lines: Vec<Value> = said
        .out
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let secret = lines.iter().find(|line| line["key"] == "secret");
    let secret = secret.unwrap_or_else(|| panic!("{}", said.out));
    let changes = secret["changes"].as_array().expect("changes");
    let field = |name: &str| changes.iter().find(|change| change["field"] == name);
    assert_eq!(field("tax").expect("the field")["to"], "[redacted]");
    assert_eq!(field("name").expect("the field")["to"], "Secret");
}
