//! The target system: one object that gives the case's guarantee, and a log of every accepted write. Pure
//! state; `world` puts it on the network, `judge` reads it.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::case::{Case, Guarantee};

pub type Answer = (u16, Value);

pub struct Stored {
    pub id: u64,
    pub content: Map<String, Value>,
    visible: Instant,
    pub gone: bool,
}

/// A request to the target, taken apart.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// After the object's own name.
    pub rest: Vec<String>,
    pub query: HashMap<String, String>,
    pub idempotency_key: Option<String>,
    pub body: Value,
}

impl Request {
    /// The source record that it is about, as far as the request says.
    pub fn about(&self) -> String {
        match &self.body["external_ref"] {
            Value::String(id) => id.clone(),
            _ => format!("{:?}", self.rest),
        }
    }
}

pub struct Target {
    case: Case,
    pub records: Vec<Stored>,
    /// Idempotency key → the request's body and the answer that it got.
    answers: HashMap<String, (Value, Answer)>,
    /// The content of a record after each write of the engine that took effect, in order.
    pub log: Vec<Value>,
    /// The source records whose target records the engine deleted, in order.
    pub deleted: Vec<String>,
}

impl Target {
    pub fn new(case: Case) -> Self {
        Self {
            case,
            records: vec![],
            answers: HashMap::new(),
            log: vec![],
            deleted: vec![],
        }
    }

    /// Every record that is there.
    pub fn contents(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.records.iter().filter(|r| !r.gone).map(|r| &r.content)
    }

    /// Carries out a request and gives its answer.
    pub fn handle(&mut self, request: &Request) -> Answer {
        let rest: Vec<&str> = request.rest.iter().map(String::as_str).collect();
        match (
            request.method.as_str(),
            rest.as_slice(),
            self.case.guarantee,
        ) {
            ("GET", [], _) if self.case.searches() => self.search(&request.query),
            ("PUT", ["by", external], Guarantee::Repeatable) => {
                let known = self.find(external).map(|record| record.id);
                match known {
                    Some(id) => self.update(&id.to_string(), &request.body),
                    None => self.create(&request.body),
                }
            }
            ("POST", [], Guarantee::IdempotencyKey) => self.create_once(request),
            ("POST", [], guarantee) if guarantee != Guarantee::Repeatable => {
                self.create(&request.body)
            }
            ("DELETE", [id], _) if self.case.vanishes => self.delete(id),
            ("PATCH", [id], _) => self.update(id, &request.body),
            _ => (405, json!({"error": "this object does not do that"})),
        }
    }

    pub fn find(&self, external: &str) -> Option<&Stored> {
        let is = |r: &&Stored| !r.gone && r.content["external_ref"] == external;
        self.records.iter().find(is)
    }

    fn search(&self, query: &HashMap<String, String>) -> Answer {
        let field = if self.case.twins {
            "email"
        } else {
            "external_ref"
        };
        let Some(wanted) = query.get(field) else {
            return (400, json!({"error": "nothing to look for"}));
        };
        let data: Vec<Value> = self
            .records
            .iter()
            .filter(|r| !r.gone && r.visible <= Instant::now())
            .filter(|r| r.content.get(field) == Some(&json!(wanted)))
            .map(|record| {
                let mut content = record.content.clone();
                content.insert("id".into(), record.id.into());
                Value::Object(content)
            })
            .collect();
        (200, json!({"data": data}))
    }

    fn create_once(&mut self, request: &Request) -> Answer {
        let Some(key) = &request.idempotency_key else {
            return (400, json!({"error": "Idempotency-Key is missing"}));
        };
        match self.answers.get(key) {
            Some((first, answer)) if *first == request.body => answer.clone(),
            Some(_) => (422, json!({"error": "this key came with another body"})),
            None => {
                let answer = self.create(&request.body);
                let kept = (request.body.clone(), answer.clone());
                self.answers.insert(key.clone(), kept);
                answer
            }
        }
    }

    fn create(&mut self, body: &Value) -> Answer {
        let Some(content) = body.as_object() else {
            return (400, json!({"error": "the body is no object"}));
        };
        self.log.push(body.clone());
        (201, json!({"id": self.add(content.clone())}))
    }

    /// A record that somebody else makes.
    pub fn add(&mut self, content: Map<String, Value>) -> u64 {
        let id = 1000 + self.records.len() as u64;
        self.records.push(Stored {
            id,
            content,
            visible: Instant::now() + self.case.index_lag(),
            gone: false,
        });
        id
    }

    fn update(&mut self, id: &str, body: &Value) -> Answer {
        let is = |r: &&mut Stored| !r.gone && r.id.to_string() == id;
        let Some(record) = self.records.iter_mut().find(is) else {
            return (404, json!({"error": "no such record"}));
        };
        if let Some(content) = body.as_object() {
            record.content.extend(content.clone());
        }
        let log = Value::Object(record.content.clone());
        let id = record.id;
        self.log.push(log);
        (200, json!({"id": id}))
    }

    fn delete(&mut self, id: &str) -> Answer {
        let is = |r: &&mut Stored| !r.gone && r.id.to_string() == id;
        let Some(record) = self.records.iter_mut().find(is) else {
            return (404, json!({"error": "no such record"}));
        };
        record.gone = true;
        let about = record.content["external_ref"].as_str();
        self.deleted.push(about.unwrap_or_default().to_owned());
        (204, json!({}))
    }

    /// Somebody else deletes a record.
    pub fn remove(&mut self, id: &str) {
        for record in &mut self.records {
            record.gone |= record.id.to_string() == id;
        }
    }
}
