//! The demo's shop and CRM as processes of their own, the real binary with its manifests, and what both
//! hold. Knows nothing of what a preview should say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::systems::System;

/// Records of one object by their key.
pub type Records = BTreeMap<String, Value>;

/// Both systems, and a folder with manifests and state.
pub struct Demo {
    pub shop: System,
    pub crm: System,
    folder: TempDir,
}

impl Demo {
    /// Starts a shop with some thousand records, and the CRM that knows some of its customers.
    pub fn start() -> Self {
        let shop = System::start("shop", &[]);
        let crm = System::start("crm", &["--shop", &shop.url]);
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let manifests = folder.path().join("manifests");
        std::fs::create_dir(&manifests).expect("a folder for manifests");
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop-to-crm");
        for file in std::fs::read_dir(examples).expect("the example") {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("a manifest");
            let text = text
                .replace("http://127.0.0.1:8181", &shop.url)
                .replace("http://127.0.0.1:8182", &crm.url);
            std::fs::write(manifests.join(path.file_name().expect("a name")), text)
                .expect("a manifest");
        }
        Self { shop, crm, folder }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Runs the binary in the folder.
    pub fn syncline(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("SYNCLINE_STATE", self.state())
            .stdin(Stdio::null());
        command.output().expect("the binary starts")
    }

    /// The lines of JSON that a command prints, and its exit code.
    pub fn lines(&self, arguments: &[&str]) -> (Vec<Value>, i32) {
        let output = self.syncline(arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {line:?}"))
        });
        let errors = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        (
            lines.collect(),
            code.unwrap_or_else(|| panic!("killed: {errors}")),
        )
    }

    /// What the CRM has of an object, by the field `key`.
    pub fn held(&self, object: &str, key: &str) -> Records {
        let (records, _) =
            self.lines(&["get", "-f", "manifests", "crm", object, "--limit", "100000"]);
        let named = |record: Value| (record[key].to_string().trim_matches('"').to_owned(), record);
        records.into_iter().map(named).collect()
    }

    /// Requests by which the CRM was asked to change something since the last call.
    pub fn writes(&self) -> BTreeMap<String, u64> {
        let Value::Object(stats) = self.crm.get("/_stats") else {
            panic!("no stats")
        };
        self.crm.post("/_stats/reset", &json!({}));
        let reads = ["find", "get", "list"];
        let writes = stats.into_iter().filter_map(|(name, count)| {
            let (_, what) = name.split_once('.')?;
            (!reads.contains(&what)).then(|| (name.clone(), count.as_u64().unwrap_or(0)))
        });
        writes.collect()
    }

    /// Everything that the state holds: each row of each table, as text.
    pub fn state_rows(&self) -> Vec<String> {
        let file = self.state().join("syncline.sqlite");
        if !file.exists() {
            return Vec::new();
        }
        let db = rusqlite::Connection::open(file).expect("the state opens");
        let tables = ["sync", "link", "segment", "mark", "exception", "value"];
        let mut rows = Vec::new();
        for table in tables {
            let mut query = db
                .prepare(&format!("SELECT * FROM {table}"))
                .expect("a table");
            let columns = query.column_count();
            let found = query
                .query_map([], |row| {
                    (0..columns)
                        .map(|column| Ok(format!("{:?}", row.get_ref(column)?)))
                        .collect::<Result<Vec<_>, _>>()
                })
                .expect("rows");
            rows.extend(found.map(|row| format!("{table} {:?}", row.expect("a row"))));
        }
        rows
    }
}

/// The leaves of a record by dotted path; lists count as leaves.
pub fn leaves(record: &Value) -> BTreeMap<String, Value> {
    fn walk(prefix: &str, map: &Map<String, Value>, found: &mut BTreeMap<String, Value>) {
        for (name, value) in map {
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                Value::Object(inner) => walk(&path, inner, found),
                Value::Null => {}
                value => drop(found.insert(path, value.clone())),
            }
        }
    }
    let mut found = BTreeMap::new();
    if let Value::Object(map) = record {
        walk("", map, &mut found);
    }
    found
}
