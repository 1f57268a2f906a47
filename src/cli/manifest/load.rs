//! Loads all documents of all files into resources and Secrets, and knows where each one stands.
//! Called by the commands of `cli`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::files::{Source, read_all};
use super::kinds::{Kinds, read};
use super::node::{Content, Node, Position};
use super::schema::Misfit;
use super::yaml;
use crate::api::crd::GROUP;
use crate::cli::secrets::ManifestSecrets;
use crate::plan::{Problem, ResourceName, Resources, Severity};

/// What the manifests say.
#[derive(Default)]
pub struct Loaded {
    pub resources: Resources,
    pub secrets: ManifestSecrets,
    /// What is wrong with files and documents.
    pub findings: Vec<Finding>,
    /// Where each resource stands, by kind and name.
    origins: BTreeMap<(String, ResourceName), Origin>,
}

/// Where a resource stands.
#[derive(Debug)]
pub struct Origin {
    pub file: String,
    node: Node,
}

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    #[serde(flatten)]
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        if !self.problem.is_error() {
            f.write_str("warning: ")?;
        }
        let Problem {
            resource,
            field,
            message,
            severity: _,
        } = &self.problem;
        let parts = [resource, field, message];
        let mut parts = parts.into_iter().filter(|p| !p.is_empty());
        if let Some(first) = parts.next() {
            f.write_str(first)?;
        }
        parts.try_for_each(|part| write!(f, ": {part}"))
    }
}

/// Loads the manifests that `paths` name; `namespace` is for resources without one.
pub fn load(paths: &[PathBuf], namespace: &str) -> Loaded {
    Texts::read(paths).load(namespace)
}

/// What stands in the files that `-f` names.
pub struct Texts {
    sources: Vec<Source>,
    /// What could not be read.
    errors: Vec<String>,
    /// What was named.
    names: String,
}

impl Texts {
    pub fn read(paths: &[PathBuf]) -> Self {
        let (sources, errors) = read_all(paths);
        let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        Self {
            sources,
            errors,
            names: names.join(", "),
        }
    }

    /// All documents as one stream.
    pub fn joined(&self) -> String {
        let texts: Vec<&str> = self.sources.iter().map(|s| s.text.as_str()).collect();
        texts.join("\n---\n")
    }

    /// The resources; `namespace` is for those without one.
    pub fn load(&self, namespace: &str) -> Loaded {
        let mut loader = Loader {
            namespace,
            kinds: Kinds::new(),
            loaded: Loaded::default(),
        };
        let named = |message: String| Finding {
            file: None,
            line: None,
            column: None,
            problem: Problem::error("", "", message),
        };
        let errors = self.errors.iter().cloned().map(named);
        loader.loaded.findings.extend(errors);
        for source in &self.sources {
            loader.source(source);
        }
        let mut loaded = loader.loaded;
        if self.errors.is_empty() && loaded.origins.is_empty() && loaded.findings.is_empty() {
            let message = format!("{}: no Connection, Mapping or Sync here", self.names);
            loaded.findings.push(named(message));
        }
        loaded
    }
}

impl Loaded {
    /// Puts a problem of a resource at its place in the files.
    pub fn place(&self, namespace: &str, problem: Problem) -> Finding {
        let origin = problem.resource.split_once('/').and_then(|(kind, name)| {
            let name = ResourceName::new(namespace, name);
            self.origins.get(&(kind.to_owned(), name))
        });
        let at = origin.map(|o| o.node.locate(&problem.field));
        Finding {
            file: origin.map(|o| o.file.clone()),
            line: at.map(|p| p.line),
            column: at.map(|p| p.column),
            problem,
        }
    }

    /// The resources in the order of kind, namespace and name, each with its file.
    pub fn origins(&self) -> impl Iterator<Item = (&str, &ResourceName, &Origin)> {
        self.origins
            .iter()
            .map(|((kind, name), origin)| (kind.as_str(), name, origin))
    }

    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|f| f.problem.severity == Severity::Error)
    }
}

struct Loader<'a> {
    namespace: &'a str,
    kinds: Kinds,
    loaded: Loaded,
}

impl Loader<'_> {
    fn source(&mut self, source: &Source) {
        let (documents, error) = yaml::read(&source.text);
        for document in documents {
            self.document(&source.name, document);
        }
        if let Some(error) = error {
            self.find(&source.name, error.at, "", "", error.message);
        }
    }

    fn find(
        &mut self,
        file: &str,
        at: Position,
        resource: &str,
        field: &str,
        message: impl Into<String>,
    ) {
        self.loaded.findings.push(Finding {
            file: Some(file.to_owned()),
            line: Some(at.line),
            column: Some(at.column),
            problem: Problem::error(resource, field, message),
        });
    }

    fn document(&mut self, file: &str, node: Node) {
        if !matches!(node.content, Content::Map(_)) {
            let message = format!(
                "a manifest is an object with apiVersion and kind, not {}",
                node.kind()
            );
            return self.find(file, node.at, "", "", message);
        }
        let text = |name: &str| {
            node.get(name)
                .and_then(Node::text)
                .unwrap_or_default()
                .to_owned()
        };
        let (version, kind) = (text("apiVersion"), text("kind"));
        if version.is_empty() || kind.is_empty() {
            let missing = if version.is_empty() {
                "apiVersion"
            } else {
                "kind"
            };
            return self.find(file, node.at, "", missing, "is missing");
        }
        let group = version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind.as_str()) {
            (_, list) if list.ends_with("List") && (group.is_empty() || group == GROUP) => {
                self.unpack(file, node);
            }
            (GROUP, _) => self.resource(file, &kind, node),
            ("", "Secret") => self.secret(file, &node),
            // Other systems' resources may stand beside ours.
            _ => {}
        }
    }

    fn unpack(&mut self, file: &str, node: Node) {
        let Content::Map(entries) = node.content else {
            return;
        };
        let items = entries
            .into_iter()
            .find(|e| e.key == "items")
            .map(|e| e.value.content);
        match items {
            Some(Content::List(items)) => {
                items.into_iter().for_each(|item| self.document(file, item))
            }
            _ => self.find(file, node.at, "", "items", "is missing"),
        }
    }

    /// Namespace and name of a document.
    fn name_of(&self, node: &Node) -> ResourceName {
        let part = |name: &str| {
            let metadata = node.get("metadata").and_then(|m| m.get(name));
            metadata.and_then(Node::text).map(str::to_owned)
        };
        ResourceName {
            namespace: part("namespace").unwrap_or_else(|| self.namespace.to_owned()),
            name: part("name").unwrap_or_default(),
        }
    }

    fn resource(&mut self, file: &str, kind: &str, node: Node) {
        let name = self.name_of(&node);
        let resource = match name.name.as_str() {
            "" => kind.to_owned(),
            name => format!("{kind}/{name}"),
        };
        if let Some(first) = self.loaded.origins.get(&(kind.to_owned(), name.clone())) {
            let at = first.node.at.line;
            let message = format!(
                "stands a second time here; the first is in {}:{at}",
                first.file
            );
            return self.find(file, node.at, &resource, "", message);
        }
        let mut misfits = Vec::new();
        if let Some(checked) = self.kinds.check(&node, &mut misfits) {
            self.keep(
                &node,
                checked.kind.as_str(),
                checked.spec,
                &name,
                &mut misfits,
            );
        }
        if !misfits.is_empty() {
            let unusable = &mut self.loaded.resources.unusable;
            unusable.insert((kind.to_owned(), name.clone()));
        }
        for Misfit { field, at, message } in misfits {
            self.find(file, at, &resource, &field, message);
        }
        if !name.name.is_empty() {
            let origin = Origin {
                file: file.to_owned(),
                node,
            };
            self.loaded.origins.insert((kind.to_owned(), name), origin);
        }
    }

    fn keep(
        &mut self,
        node: &Node,
        kind: &str,
        spec: serde_json::Value,
        name: &ResourceName,
        misfits: &mut Vec<Misfit>,
    ) {
        let resources = &mut self.loaded.resources;
        match kind {
            "Connection" => {
                let spec = read(node, spec, misfits);
                resources
                    .connections
                    .extend(spec.map(|s| (name.clone(), s)));
            }
            "Mapping" => {
                let spec = read(node, spec, misfits);
                resources.mappings.extend(spec.map(|s| (name.clone(), s)));
            }
            _ => {
                let spec = read(node, spec, misfits);
                resources.syncs.extend(spec.map(|s| (name.clone(), s)));
            }
        }
    }

    fn secret(&mut self, file: &str, node: &Node) {
        let name = self.name_of(node);
        for (field, message) in self.loaded.secrets.add(&name, &node.to_json()) {
            let at = node.locate(&field);
            self.find(file, at, &format!("Secret/{}", name.name), &field, message);
        }
    }
}
