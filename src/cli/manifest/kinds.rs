//! One document becomes a resource: its schema, then the schema's CEL rules, then its Rust type.
//! Called by `manifest::load`.

use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::node::{Content, Node, Position};
use super::schema::{self, Misfit};
use crate::api::crd::{Crd, GROUP, VERSION, WRITTEN};
use crate::plan::suggest::hint;

/// The three kinds with their schemas and rules, compiled once.
pub struct Kinds {
    kinds: Vec<(Crd, CompiledSchema)>,
    validator: Validator,
}

/// A resource of one of the three kinds that fits its schema.
pub struct Resource {
    pub kind: String,
    pub spec: Value,
}

impl Kinds {
    pub fn new() -> Self {
        let kinds = std::thread::scope(|threads| {
            let made = WRITTEN.map(|text| threads.spawn(move || compile(text)));
            made.into_iter()
                .filter_map(|thread| match thread.join() {
                    Ok(kind) => kind,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        Self {
            kinds,
            validator: Validator::new(),
        }
    }

    /// Checks a document of our group. `None` when it doesn't fit: see `misfits`.
    pub fn check(&self, node: &Node, misfits: &mut Vec<Misfit>) -> Option<Resource> {
        let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
        let names = || self.kinds.iter().map(|(crd, _)| crd.kind.as_str());
        let Some((crd, compiled)) = self.kinds.iter().find(|(crd, _)| crd.kind == kind) else {
            let message = format!("{GROUP} has no kind {kind:?}{}", hint(kind, names()));
            misfits.push(misfit("kind", node.locate("kind"), message));
            return None;
        };
        let version = node
            .get("apiVersion")
            .and_then(Node::text)
            .unwrap_or_default();
        if version != format!("{GROUP}/{VERSION}") {
            let message = format!("{version:?} is not served; use {GROUP}/{VERSION}");
            misfits.push(misfit("apiVersion", node.locate("apiVersion"), message));
            return None;
        }
        let before = misfits.len();
        check_metadata(node, misfits);
        let spec = check_parts(node, crd.schema(), misfits);
        let spec = spec.filter(|_| misfits.len() == before)?;
        let object = serde_json::json!({"apiVersion": version, "kind": kind, "spec": spec});
        self.check_rules(node, compiled, &object, misfits);
        (misfits.len() == before).then(|| Resource {
            kind: kind.to_owned(),
            spec,
        })
    }

    /// The CEL rules of the schema, by the same language that the API server uses.
    fn check_rules(
        &self,
        node: &Node,
        compiled: &CompiledSchema,
        object: &Value,
        misfits: &mut Vec<Misfit>,
    ) {
        let Err(errors) = self.validator.validate_compiled(compiled, object, None) else {
            return;
        };
        for error in errors.into_vec() {
            let message = match error.kind {
                ErrorKind::ValidationFailure => error.message,
                _ => format!(
                    "the rule {:?} cannot be evaluated: {}",
                    error.rule, error.message
                ),
            };
            let at = node.locate(&error.field_path);
            misfits.push(misfit(&error.field_path, at, message));
        }
    }
}

/// A definition with its rules; `None` for what is no JSON, which the written definitions are.
fn compile(text: &str) -> Option<(Crd, CompiledSchema)> {
    let crd = Crd::read(serde_json::from_str(text).ok()?);
    let compiled = compile_schema(crd.schema());
    Some((crd, compiled))
}

/// Reads a checked spec into its type.
pub fn read<T: DeserializeOwned>(node: &Node, spec: Value, misfits: &mut Vec<Misfit>) -> Option<T> {
    serde_json::from_value(spec)
        .map_err(|error| misfits.push(misfit("spec", node.locate("spec"), error.to_string())))
        .ok()
}

fn misfit(field: &str, at: Position, message: impl Into<String>) -> Misfit {
    Misfit {
        field: field.to_owned(),
        at,
        message: message.into(),
    }
}

/// The spec with its defaults. Fields beside it are `status`, which the controller owns and which is
/// ignored, and mistakes.
fn check_parts(node: &Node, schema: &Value, misfits: &mut Vec<Misfit>) -> Option<Value> {
    const PARTS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    if let Content::Map(entries) = &node.content {
        for entry in entries.iter().filter(|e| !PARTS.contains(&e.key.as_str())) {
            let message = format!("unknown field{}", hint(&entry.key, PARTS));
            misfits.push(misfit(&entry.key, entry.at, message));
        }
    }
    let Some(spec) = node.get("spec") else {
        misfits.push(misfit("spec", node.at, "is missing"));
        return None;
    };
    let schema = &schema["properties"]["spec"];
    Some(schema::check(spec, schema, "spec", misfits))
}

/// What the API server checks of metadata: the names, and that labels and annotations are texts.
fn check_metadata(node: &Node, misfits: &mut Vec<Misfit>) {
    let Some(metadata) = node.get("metadata") else {
        misfits.push(misfit(
            "metadata",
            node.at,
            "is missing; give the resource a name",
        ));
        return;
    };
    match metadata.get("name") {
        None => misfits.push(misfit(
            "metadata.name",
            node.locate("metadata"),
            "is missing; give the resource a name",
        )),
        Some(name) if name.text().is_none_or(|n| !is_dns_name(n, 253)) => misfits.push(misfit(
            "metadata.name",
            node.locate("metadata.name"),
            "must be a name of lower-case letters, digits, - and . that begins and ends with a letter or digit",
        )),
        Some(_) => {}
    }
    if let Some(namespace) = metadata.get("namespace")
        && namespace
            .text()
            .is_none_or(|n| !is_dns_name(n, 63) || n.contains('.'))
    {
        misfits.push(misfit(
            "metadata.namespace",
            node.locate("metadata.namespace"),
            "must be a name of lower-case letters, digits and -",
        ));
    }
    for part in ["labels", "annotations"] {
        let Some(Content::Map(entries)) = metadata.get(part).map(|n| &n.content) else {
            continue;
        };
        for entry in entries.iter().filter(|e| e.value.text().is_none()) {
            let kind = entry.value.kind();
            misfits.push(misfit(
                &format!("metadata.{part}.{}", entry.key),
                entry.at,
                format!("must be a string, not {kind}; put it in quotes"),
            ));
        }
    }
}

/// RFC 1123 subdomain, as Kubernetes wants names.
pub fn is_dns_name(name: &str, longest: usize) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= longest
        && name.split('.').all(|part| {
            part.starts_with(letter)
                && part.ends_with(letter)
                && part.chars().all(|c| letter(c) || c == '-')
        })
}
