//! What the API server refuses, before the operator sees it: each message names the field.

use super::cluster::{ApiServer, feed, text};
use super::manifests::{self, MAPPING, SYNC};
use super::stage::Stage;

/// What is replaced in a good manifest, by what, and what has to be said about it.
type Wrong = (&'static str, &'static str, &'static [&'static str]);

const CONNECTION: &[Wrong] = &[
    (
        "in: Header",
        "in: Footer",
        &["spec.auth.apiKey.in", "Footer", "Header"],
    ),
    (
        "in: Header",
        "in: Body",
        &["spec.auth.apiKey", "Header, Query or Cookie"],
    ),
    (
        "auth: {",
        "auth: {none: {}, ",
        &["spec.auth", "exactly one of"],
    ),
    (
        "auth: {apiKey",
        "auth: {} #",
        &["spec.auth", "exactly one of"],
    ),
    ("  auth: {apiKey", "  # {", &["spec.auth", "Required value"]),
    (
        "timeout: 2s",
        "timeout: 2 seconds",
        &["spec.http.timeout", "should match"],
    ),
    (
        "timeout: 2s",
        "timeout: 2",
        &["spec.http.timeout", "string"],
    ),
    (
        ", allowPlaintext: true",
        "",
        &["spec.http", "allowPlaintext: true"],
    ),
    (
        "timeout: 2s",
        "timeout: 2s, maxResponseBytes: 64MB",
        &["spec.http.maxResponseBytes"],
    ),
    (
        "access: [Read]",
        "access: [Write]",
        &["spec.access[0]", "Write", "Update"],
    ),
    (
        "access: [Read]",
        "access: [Read, Read]",
        &["spec.access", "duplicate"],
    ),
    ("access: [Read]", "acess: [Read]", &["spec.acess"]),
    ("timeout: 2s", "timeot: 2s", &["spec.http.timeot"]),
    (
        "      key: [id]\n",
        "",
        &["spec.objects[0].key", "Required value"],
    ),
    (
        "    - name: people",
        "    - name: ''",
        &["spec.objects[0].name"],
    ),
    (
        "  access:",
        "  allowedNamespaces: {from: Names}\n  access:",
        &["spec.allowedNamespaces", "belong together"],
    ),
    (
        "list: {path: /people",
        "list: {pagination: {page: {}, offset: {}}, path: /people",
        &["spec.objects[0].list.pagination"],
    ),
];

const MAPPINGS: &[Wrong] = &[
    (
        "onMissing: Reject",
        "onMissing: Ignore",
        &["spec.fields[0].onMissing", "Ignore", "Omit"],
    ),
    ("from: id, ", "frm: id, ", &["spec.fields[0].frm"]),
    ("  tests:", "  test:", &["spec.test"]),
];

const SYNCS: &[Wrong] = &[
    (
        "backfill: All",
        "backfill: Everything",
        &["spec.source.backfill", "Everything", "Since"],
    ),
    (
        "backfill: All",
        "backfill: Since",
        &["spec.source", "belong together"],
    ),
    (
        "interval: 1h",
        "interval: hourly",
        &["spec.trigger.interval"],
    ),
    (
        "interval: 1h",
        "interval: 1h, cron: '0 3 * * *'",
        &["spec.trigger", "exclude each other"],
    ),
    (
        "interval: 1h",
        "interval: 1h, timeZone: Europe/Berlin",
        &["spec.trigger", "timeZone belongs to cron"],
    ),
    (
        "  mappingRef: {name: person-to-contact}\n",
        "",
        &["spec.mappingRef", "Required value"],
    ),
    ("  freshness:", "  freshnes:", &["spec.freshnes"]),
    (
        "fields: [{source: id, target: ref}]",
        "fields: []",
        &["spec.match.fields"],
    ),
];

/// Changes of a Sync that is there.
const CHANGES: &[Wrong] = &[
    (
        "{name: shop}, object: people",
        "{name: shop}, object: others",
        &["spec.source", "cannot be changed"],
    ),
    (
        "connectionRef: {name: shop}",
        "connectionRef: {name: crm}",
        &["spec.source", "cannot be changed"],
    ),
    (
        "object: contacts",
        "object: others",
        &["spec.target", "cannot be changed"],
    ),
    (
        "connectionRef: {name: crm}",
        "connectionRef: {name: crm, namespace: other}",
        &["spec.target", "cannot be changed"],
    ),
];

/// What kubectl says when it refuses a manifest.
fn refused(stage: &Stage, manifest: &str, server_side: &str) -> String {
    let mut kubectl = stage.server.kubectl();
    kubectl.args([
        "apply",
        server_side,
        "--namespace",
        &stage.namespace,
        "-f",
        "-",
    ]);
    let output = feed(&mut kubectl, manifest);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!output.status.success(), "it is taken: {said}\n{manifest}");
    said
}

#[test]
fn the_schema_refuses_what_is_wrong_and_names_the_field() {
    let stage = Stage::alone(ApiServer::shared(), "schema", 0);
    let shop = manifests::shop(stage.world.port);
    let mut failed = Vec::new();
    for (good, table) in [
        (shop.as_str(), CONNECTION),
        (MAPPING, MAPPINGS),
        (SYNC, SYNCS),
    ] {
        for (index, (piece, other, wanted)) in table.iter().enumerate() {
            assert!(good.contains(piece), "{piece}");
            // An unknown field is refused whichever way it is applied.
            let way = ["--server-side=true", "--server-side=false"][index % 2];
            let said = refused(&stage, &good.replacen(piece, other, 1), way);
            if !wanted.iter().all(|word| said.contains(word)) {
                failed.push(format!("{other}: {wanted:?}\n{said}"));
            }
        }
    }
    stage.apply_all();
    for (piece, other, wanted) in CHANGES {
        assert!(SYNC.contains(piece), "{piece}");
        let said = refused(
            &stage,
            &SYNC.replacen(piece, other, 1),
            "--server-side=true",
        );
        if !wanted.iter().all(|word| said.contains(word)) {
            failed.push(format!("{other}: {wanted:?}\n{said}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
