//! A shop and a CRM that work as they should, until a row's fault speaks in their place. Judges what the
//! CRM holds. Put on the network by `server`, driven by `bench`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Map, Value, json};

use crate::server::{Reply, Request};

/// What both systems want to see in `X-Api-Key`. No message of the program may hold it.
pub const KEY: &str = "canary-7f3a";
/// Records of one page.
const PAGE: usize = 2;

/// Answers in place of a system; `None`: the system answers itself.
pub type Fault = fn(&Request, &Systems) -> Option<Reply>;

#[derive(Default)]
pub struct World {
    /// Name and time of the last change by id.
    pub customers: BTreeMap<String, (String, String)>,
    /// What the CRM holds: content by id.
    contacts: Vec<(u64, Map<String, Value>)>,
    /// The answers by idempotency key.
    answers: BTreeMap<String, Value>,
    pub fault: Option<Fault>,
    /// What happens just before the first write of all.
    pub at_first_write: Option<Box<dyn FnOnce() + Send>>,
    /// Requests since the fault began.
    pub requests: Vec<String>,
}

#[derive(Clone, Default)]
pub struct Systems(Arc<Mutex<World>>);

impl Systems {
    pub fn new() -> Self {
        let systems = Self::default();
        for (n, name) in ["Ada", "Grace", "Zoë", "Li Wei", "Nemo"]
            .into_iter()
            .enumerate()
        {
            let time = format!("2026-11-0{}T10:00:00Z", n + 1);
            systems
                .world()
                .customers
                .insert(format!("c{}", n + 1), (name.to_owned(), time));
        }
        systems
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn answer(&self, request: &Request) -> Reply {
        let fault = {
            let mut world = self.world();
            world.requests.push(request.line());
            if request.method != "GET"
                && let Some(happens) = world.at_first_write.take()
            {
                happens();
            }
            world.fault
        };
        // A fault may take its time: nobody waits for it.
        if let Some(reply) = fault.and_then(|fault| fault(request, self)) {
            return reply;
        }
        if request.header("x-api-key") != Some(KEY) {
            return Reply::json(401, &json!({"error": "who are you?"}));
        }
        self.world().handle(request)
    }
}

impl World {
    fn handle(&mut self, request: &Request) -> Reply {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let content: Map<String, Value> = serde_json::from_slice(&request.body).unwrap_or_default();
        let (status, json) = match (request.method.as_str(), path.as_slice()) {
            ("GET", ["customers"]) => match self.page(request) {
                Some(page) => (200, page),
                None => (400, json!({"error": "that cursor is none of mine"})),
            },
            ("GET", ["contacts"]) => (200, self.search(request.parameter("ref"))),
            ("POST", ["contacts"]) => self.create(request.header("idempotency-key"), content),
            ("PATCH", ["contacts", id]) => self.update(id, content),
            ("PUT", ["contacts", "by-ref", wanted]) => {
                let found = self.contacts.iter().find(|(_, c)| c["ref"] == *wanted);
                match found.map(|(id, _)| id.to_string()) {
                    Some(id) => self.update(&id, content),
                    None => self.create(None, content),
                }
            }
            _ => (404, json!({"error": "no such path"})),
        };
        Reply::json(status, &json)
    }

    fn page(&self, request: &Request) -> Option<Value> {
        let from: usize = request
            .parameter("cursor")
            .map_or(Some(0), |cursor| cursor.parse().ok())?;
        let since = request.parameter("updated_since").unwrap_or_default();
        let all: Vec<Value> = self
            .customers
            .iter()
            .filter(|(_, (_, time))| time.as_str() >= since)
            .map(|(id, (name, time))| json!({"id": id, "name": name, "updated_at": time}))
            .collect();
        let next = (all.len() > from + PAGE).then(|| (from + PAGE).to_string());
        let data: Vec<_> = all.into_iter().skip(from).take(PAGE).collect();
        Some(json!({"data": data, "next_cursor": next}))
    }

    fn search(&self, wanted: Option<&str>) -> Value {
        let found = self
            .contacts
            .iter()
            .filter(|(_, c)| Some(&c["ref"]) == wanted.map(Value::from).as_ref());
        let data: Vec<Value> = found
            .map(|(id, content)| {
                let mut content = content.clone();
                content.insert("id".into(), (*id).into());
                content.into()
            })
            .collect();
        json!({"data": data})
    }

    fn create(&mut self, key: Option<&str>, content: Map<String, Value>) -> (u16, Value) {
        if let Some(answer) = key.and_then(|key| self.answers.get(key)) {
            return (201, answer.clone());
        }
        let id = 100 + self.contacts.len() as u64;
        self.contacts.push((id, content));
        let answer = json!({"id": id});
        if let Some(key) = key {
            self.answers.insert(key.to_owned(), answer.clone());
        }
        (201, answer)
    }

    fn update(&mut self, id: &str, content: Map<String, Value>) -> (u16, Value) {
        match self
            .contacts
            .iter_mut()
            .find(|(known, _)| known.to_string() == id)
        {
            Some((id, known)) => {
                known.extend(content);
                (200, json!({"id": *id}))
            }
            None => (404, json!({"error": "no such contact"})),
        }
    }

    /// Carries out a write that the fault will not answer properly.
    pub fn commit(&mut self, request: &Request) {
        let _ = self.handle(request);
    }

    /// What is wrong with what the CRM holds: lost, twice, or not what the shop has. Until `complete`
    /// contacts may be missing or old.
    pub fn judge(&self, complete: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, (name, _)) in &self.customers {
            let found: Vec<_> = self
                .contacts
                .iter()
                .filter(|(_, c)| c["ref"] == **id)
                .collect();
            match found.as_slice() {
                [] if complete => wrong.push(format!("{id} is lost")),
                [(_, content)] if complete && content["name"] != **name => {
                    wrong.push(format!(
                        "{id} is {} and should be {name:?}",
                        content["name"]
                    ));
                }
                [] | [_] => {}
                many => wrong.push(format!("{id} is there {} times", many.len())),
            }
        }
        for (_, content) in &self.contacts {
            let known = content["ref"]
                .as_str()
                .is_some_and(|id| self.customers.contains_key(id));
            if !known {
                wrong.push(format!("{content:?} belongs to nobody"));
            }
        }
        wrong
    }
}
