//! One of our resources as far as it can be read, so that one that cannot never hides the others. Unlike
//! kube's `DeserializeGuard` it says which field is wrong, keeps the status of what it cannot read, and reads
//! a resource whose status another version of Syncline has written. Used by `streams`.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A resource, or why it cannot be read.
#[derive(Clone, Debug)]
pub struct Guarded<K> {
    meta: ObjectMeta,
    pub read: Result<K, Unreadable>,
}

/// A resource that cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Which field, and what is wrong with it.
    pub problem: String,
    /// As it was written.
    pub spec: Value,
    pub status: Option<Value>,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        let meta = object.get("metadata").unwrap_or(&Value::Null);
        let meta = ObjectMeta::deserialize(meta).map_err(D::Error::custom)?;
        let read = match read(&object) {
            Ok(object) => Ok(object),
            Err(problem) => {
                let status = object.as_object_mut().and_then(|o| o.remove("status"));
                read(&object).map_err(|_| Unreadable {
                    problem,
                    spec: object["spec"].take(),
                    status,
                })
            }
        };
        Ok(Self { meta, read })
    }
}

fn read<K: DeserializeOwned>(object: &Value) -> Result<K, String> {
    serde_path_to_error::deserialize(object).map_err(|error| match error.path().to_string() {
        path if path == "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::mapping::Mapping;

    fn mapping(spec: Value, status: Value) -> Guarded<Mapping> {
        let object = json!({
            "apiVersion": "syncline.dev/v1alpha1", "kind": "Mapping", "metadata": {"name": "m", "uid": "u"},
            "spec": spec, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_cannot_be_read_names_its_field_and_keeps_its_status() {
        let status = json!({"observedGeneration": 3});
        let item = mapping(json!({"fields": [{"to": "a", "frm": "b"}]}), status.clone());
        assert_eq!(item.meta().uid.as_deref(), Some("u"));
        let unreadable = item.read.unwrap_err();
        assert!(
            unreadable.problem.starts_with("spec.fields[0].frm: "),
            "{unreadable:?}"
        );
        assert_eq!(unreadable.status, Some(status));
    }

    #[test]
    fn a_status_of_another_version_makes_no_spec_unreadable() {
        let spec = json!({"fields": [{"to": "a", "from": "b"}]});
        let item = mapping(spec, json!({"conditions": "all is well"}));
        let object = item.read.unwrap();
        assert_eq!((object.spec.fields.len(), object.status), (1, None));
    }
}
