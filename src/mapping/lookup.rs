//! Fields whose value is the key of a record that another Sync links: what they ask for and what they get.
//! Pure; used by `field` and `mapping`.

use serde_json::Value;

use crate::api::mapping::OnUnlinked;
use crate::record::{Key, LookupKey};

use super::field::{Context, Field, Shape, Stop, Waiting, shown};

impl Field {
    pub fn look_up(
        &self,
        name: &str,
        otherwise: OnUnlinked,
        value: &Value,
        context: &Context<'_>,
    ) -> Result<Option<Value>, Stop> {
        if let Value::Array(items) = value {
            let mut ids = Vec::with_capacity(items.len());
            let mut waiting = Waiting::default();
            for item in items {
                let id = self.look_up_one(name, otherwise, item, context);
                ids.extend(waiting.unless_rejected(id)?.flatten());
            }
            return waiting.0.map_or(Ok(Some(Value::Array(ids))), Err);
        }
        self.look_up_one(name, otherwise, value, context)
    }

    fn look_up_one(
        &self,
        name: &str,
        otherwise: OnUnlinked,
        value: &Value,
        context: &Context<'_>,
    ) -> Result<Option<Value>, Stop> {
        let Some(wanted) = lookup_key(name, value) else {
            return Err(self.reject("BadKey", format!("{} cannot be a key", shown(value))));
        };
        if let Some(target) = context.links.get(&wanted) {
            return Ok(Some(target.to_value()));
        }
        match otherwise {
            OnUnlinked::Wait => Err(Stop::Waiting(Box::new(wanted))),
            OnUnlinked::Omit => Ok(None),
            OnUnlinked::Reject => Err(self.reject(
                "Unlinked",
                format!("record {} is not linked by lookup {name}", wanted.key),
            )),
        }
    }

    pub fn has_lookup(&self) -> bool {
        match &self.shape {
            Shape::Lookup { .. } => true,
            Shape::Each(fields) => fields.iter().any(Self::has_lookup),
            _ => false,
        }
    }

    /// The lookups that this field uses.
    pub fn lookup_names<'f>(&'f self, names: &mut Vec<&'f str>) {
        match &self.shape {
            Shape::Lookup { name, .. } => names.push(name),
            Shape::Each(fields) => fields.iter().for_each(|field| field.lookup_names(names)),
            _ => {}
        }
    }

    /// The links that a record needs for this field.
    pub fn lookups(&self, record: &Value, wanted: &mut Vec<LookupKey>) {
        if !self.has_lookup() {
            return;
        }
        let Ok(Some(value)) = self.read(record) else {
            return;
        };
        match (&self.shape, value.as_ref()) {
            (Shape::Lookup { name, .. }, Value::Array(items)) => {
                wanted.extend(items.iter().filter_map(|item| lookup_key(name, item)));
            }
            (Shape::Lookup { name, .. }, value) => wanted.extend(lookup_key(name, value)),
            (Shape::Each(fields), Value::Array(items)) => {
                for item in items {
                    fields.iter().for_each(|field| field.lookups(item, wanted));
                }
            }
            _ => {}
        }
    }
}

fn lookup_key(name: &str, value: &Value) -> Option<LookupKey> {
    let key = Key::from_values([("key", Some(value))].into_iter()).ok()?;
    Some(LookupKey {
        lookup: name.to_owned(),
        key,
    })
}
