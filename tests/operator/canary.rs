//! No credential is in anything that the operator shows or keeps: a value that stands in every Secret is looked
//! for everywhere, while vendors of many kinds refuse it and repeat it in their answers, written in every way.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::cluster::{ApiServer, eventually, text};
use super::manifests::{MAPPING, SYNC, secret};
use super::server::{Reply, Request, serve};
use super::stage::{BOUND, Stage};

/// Begins every secret value; what follows has to be quoted in URLs and in JSON.
const CANARY: &str = "cAnary-9f31";

fn value(kind: &str) -> String {
    format!("{CANARY}/{kind}+q=&\"z")
}

/// What must be nowhere: the value as it is, and as it is sent by those who encode it.
fn traces() -> Vec<String> {
    let kinds = KINDS.iter().flat_map(|kind| {
        let value = value(kind);
        [
            STANDARD.encode(&value),
            STANDARD.encode(format!("{value}:{value}")),
        ]
    });
    kinds.chain([CANARY.to_owned()]).collect()
}

/// Each way to authenticate, by the name of its Connection.
const KINDS: [&str; 7] = [
    "header", "query", "cookie", "bearer", "basic", "oauth", "session",
];

fn auth(kind: &str, port: u16) -> String {
    let key = |place: &str, name: &str| {
        format!("apiKey: {{in: {place}, name: {name}, secretRef: {{name: {kind}, key: value}}}}")
    };
    let reference = format!("{{name: {kind}, key: value}}");
    match kind {
        "header" => key("Header", "X-Api-Key"),
        "query" => key("Query", "token"),
        "cookie" => key("Cookie", "sid"),
        "bearer" => format!("bearer: {{secretRef: {reference}}}"),
        "basic" => format!("basic: {{usernameRef: {reference}, passwordRef: {reference}}}"),
        "oauth" => format!(
            "oauth2: {{grant: RefreshToken, tokenURL: \"http://127.0.0.1:{port}/token\", clientIDRef: {reference}, \
             clientSecretRef: {reference}, refreshTokenRef: {reference}}}"
        ),
        _ => format!(
            "session: {{login: {{method: POST, path: /login, credentials: [{{secretRef: {reference}, in: Body, name: \
             password}}]}}, token: access_token, sendAs: {{in: Header, name: X-Session}}}}"
        ),
    }
}

/// A vendor that says all that it was told, in every way, with a status that the path names.
fn echo(request: &Request) -> Reply {
    let mut told: Vec<String> = request.query.iter().map(|(_, v)| v.clone()).collect();
    for name in ["x-api-key", "cookie", "authorization", "x-session"] {
        told.extend(request.header(name).map(str::to_owned));
    }
    let quoted = |t: &String| {
        let url: String = url::form_urlencoded::byte_serialize(t.as_bytes()).collect();
        let lower = url
            .replace("%2F", "%2f")
            .replace("%2B", "%2b")
            .replace("%3D", "%3d");
        [t.clone(), url, lower, STANDARD.encode(t)]
    };
    let told: Vec<String> = told.iter().flat_map(quoted).collect();
    let last = request.path.last().map(String::as_str);
    match last {
        Some("token" | "login") => Reply::json(
            200,
            &json!({"access_token": value("access"), "refresh_token": value("refresh"), "expires_in": 3600}),
        ),
        Some("people") if request.path.len() > 1 => {
            let people = json!([{"id": "1", "name": "Ada"}, {"id": "2", "name": "Grace"}]);
            Reply::json(200, &json!({"data": people}))
        }
        Some(last) => {
            let status = last.parse().unwrap_or(422);
            Reply::json(status, &json!({"error": "invalid", "told": told}))
        }
        None => Reply::json(404, &json!({"told": told})),
    }
}

fn manifests(port: u16) -> String {
    let mut all = vec![
        MAPPING
            .replace("  tests:", "  tests: []\n  #")
            .replace("    - {name: takes", "  # -"),
    ];
    for (index, kind) in KINDS.iter().enumerate() {
        let status = [401, 403, 400, 500, 422, 404, 401][index];
        let auth = auth(kind, port);
        all.push(secret(kind, &value(kind)));
        all.push(format!(
            r#"apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: {kind}}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}", allowPlaintext: true, timeout: 2s}}
  auth: {{{auth}}}
  access: [Read, Create, Update]
  retry: {{initialDelay: 20ms, maxDelay: 50ms}}
  probe: {{path: /probe/{status}, interval: 1s}}
  objects:
    - {{name: people, key: [id], list: {{path: /good/people, records: data}}}}
    - {{name: broken, key: [id], list: {{path: /broken/{status}, records: data}}}}
    - name: contacts
      key: [id]
      upsert: {{method: PUT, path: "/contacts/${{source.id}}/422", id: {{id: id}}}}
"#
        ));
        for (object, suffix) in [("people", "writes"), ("broken", "reads")] {
            let sync = SYNC
                .replace("name: people}", &format!("name: {kind}-{suffix}}}"))
                .replace(
                    "{name: shop}, object: people",
                    &format!("{{name: {kind}}}, object: {object}"),
                )
                .replace("{name: crm}", &format!("{{name: {kind}}}"))
                .replace("  match: {fields: [{source: id, target: ref}]}\n", "");
            all.push(sync);
        }
    }
    all.join("---\n")
}

#[test]
fn no_credential_is_shown_or_kept_anywhere() {
    let port = serve(None, echo);
    for format in ["json", "text"] {
        look_everywhere(port, format);
    }
}

fn look_everywhere(port: u16, format: &str) {
    let stage = Stage::alone(ApiServer::shared(), "canary", 0);
    let mut operator = stage.operator(&["--log", "debug", "--log-format", format]);
    operator.until_leading();
    stage.apply(&manifests(port));
    for kind in KINDS {
        let failed = format!("{kind}-reads");
        stage.until("Sync", &failed, "run", |sync| {
            sync["status"]["lastRun"]["outcome"].is_string()
        });
        eventually(BOUND, || {
            let shown = stage.get("Sync", &format!("{kind}-writes"));
            let ran = shown["status"]["lastRun"]["outcome"].is_string();
            ran.then_some(()).ok_or(shown.to_string())
        });
    }
    // One whose credential the vendor takes has dead letters with what the vendor said.
    stage.until("Sync", "query-writes", "with dead letters", |sync| {
        sync["status"]["deadLettersOpen"] == 2
    });
    let shown: Vec<String> = ["Connection", "Mapping", "Sync", "Event"]
        .iter()
        .flat_map(|kind| stage.api.list(&stage.namespace, kind))
        .map(|object| object.to_string())
        .collect();
    look("a status or an Event", shown.join("\n").as_bytes());
    look("the metrics", operator.metrics().as_bytes());
    look("/readyz", operator.get("/readyz").unwrap().1.as_bytes());
    assert_eq!(operator.stop().code(), Some(0), "{}", operator.log());
    let log = operator.log();
    assert!(log.contains("DEBUG"), "{log}");
    look("the log", log.as_bytes());
    let state = operator.folder.path().join("state");
    let letters = commands(&state, operator.folder.path(), &manifests(port));
    assert!(
        letters.contains("***"),
        "the vendor's words are shown: {letters}"
    );
    files(&state);
}

/// What commands say of the same state, and of the same manifests.
fn commands(state: &Path, folder: &Path, manifests: &str) -> String {
    std::fs::write(folder.join("manifests.yaml"), manifests).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        let output = command.current_dir(folder).args(args).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        look(&args.join(" "), said.as_bytes());
        said
    };
    let state = state.to_str().unwrap();
    for kind in KINDS {
        run(&[
            "get",
            "-f",
            "manifests.yaml",
            "--state",
            "other",
            kind,
            "broken",
        ]);
    }
    run(&["validate", "-f", "manifests.yaml"]);
    run(&["status", "--state", state]);
    run(&["deadletters", "list", "--state", state])
        + &run(&["deadletters", "export", "--state", state])
}

/// Every byte of the store.
fn files(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path),
            false => look(&path.display().to_string(), &std::fs::read(&path).unwrap()),
        }
    }
}

fn look(place: &str, bytes: &[u8]) {
    for trace in traces() {
        let found = bytes
            .windows(trace.len())
            .position(|w| w.eq_ignore_ascii_case(trace.as_bytes()));
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(600)..(at + 100).min(bytes.len())];
            panic!("{place}: {trace} is in it: …{}", text(around));
        }
    }
}
