//! The CustomResourceDefinitions of the three kinds, made from their types.
//! Called by `cli` for the YAML in `crds/` and for checking manifests as the API server does, and by `controller`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::connection::Connection;
use super::mapping::Mapping;
use super::sync::Sync;

/// API group of all kinds.
pub const GROUP: &str = "syncline.dev";

/// The one version that there is.
pub const VERSION: &str = "v1alpha1";

/// A kind and its definition.
#[derive(Clone, Debug)]
pub struct Crd {
    /// `Sync`
    pub kind: String,
    /// `syncs`
    pub plural: String,
    /// The definition as JSON.
    pub definition: Value,
}

impl Crd {
    /// A definition that was written as JSON.
    pub fn read(definition: Value) -> Self {
        let name = |field: &str| {
            let name = definition["spec"]["names"][field].as_str();
            name.unwrap_or_default().to_owned()
        };
        Self {
            kind: name("kind"),
            plural: name("plural"),
            definition,
        }
    }

    /// The OpenAPI schema of a whole resource.
    pub fn schema(&self) -> &Value {
        &self.definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    }

    /// The definition as YAML, the same for the same types.
    pub fn yaml(&self) -> String {
        super::yaml::to_yaml(&self.definition)
    }

    /// The definition as JSON without what is only said to people, the same for the same types.
    pub fn json(&self) -> String {
        let mut definition = self.definition.clone();
        slim(&mut definition);
        format!("{definition}\n")
    }
}

/// Takes the descriptions out of a schema, and writes whole numbers as such. A property may have that name: it is no
/// text.
fn slim(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|name, value| name != "description" || !value.is_string());
            fields.values_mut().for_each(slim);
        }
        Value::Array(items) => items.iter_mut().for_each(slim),
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && float.fract() == 0.0
                && float.abs() < 1e15
            {
                *schema = json!(float as i64);
            }
        }
        _ => {}
    }
}

/// The definitions of Connection, Mapping and Sync as [`Crd::json`] gives them: making them with [`all`] would take
/// most of a short command's time, and so would reading them as YAML. A test holds the files to the types.
pub const WRITTEN: [&str; 3] = [
    include_str!("written/connections.json"),
    include_str!("written/mappings.json"),
    include_str!("written/syncs.json"),
];

/// The definitions of Connection, Mapping and Sync, made from their types; each on a thread of its own, because
/// that takes long.
pub fn all() -> [Crd; 3] {
    std::thread::scope(|threads| {
        let connection = threads.spawn(|| finish(&Connection::crd()));
        let mapping = threads.spawn(|| finish(&Mapping::crd()));
        let sync = finish(&Sync::crd());
        let made = [connection, mapping].map(|thread| match thread.join() {
            Ok(crd) => crd,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        let [connection, mapping] = made;
        [connection, mapping, sync]
    })
}

/// kstatus takes a resource without status for "Current"; an `observedGeneration` of -1 says that no
/// controller has seen it. kube-derive has no attribute for that.
fn finish(crd: &CustomResourceDefinition) -> Crd {
    let mut definition = serde_json::to_value(crd).unwrap_or_default();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
    if let Some(status) = definition.pointer_mut(&format!("{schema}/status")) {
        status["default"] = json!({"observedGeneration": -1});
    }
    Crd::read(definition)
}
