//! A shop that lists people and a CRM that takes contacts: real HTTP servers on one port of loopback, which ask
//! for credentials, repeat wrong ones in their answers, and remember everything that they were asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::manifests::{CRM_KEY, SHOP_KEY};
use super::server::{Reply, Request, serve};

/// A request, as a system saw it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `shop` or `crm`.
    pub system: String,
    /// Method and path below the system's.
    pub line: String,
    /// The credential that came with it.
    pub key: String,
    /// The header that tells the versions of a Connection apart.
    pub version: String,
    /// Order of beginnings and ends over all requests.
    pub begun: u64,
    pub ended: Option<u64>,
}

/// What both systems hold, and how they behave.
pub struct Held {
    /// Name by id.
    pub people: BTreeMap<String, String>,
    pub shop_key: String,
    pub crm_key: String,
    /// Another that the CRM takes too.
    pub crm_key_too: Option<String>,
    /// Each contact by its id.
    pub contacts: BTreeMap<String, Value>,
    pub asked: Vec<Asked>,
    /// The shop's connections end without an answer.
    pub down: bool,
    /// How long the CRM takes for a write.
    pub slow: Duration,
    /// The CRM refuses contacts of this name, and repeats the credential in what it says.
    pub refuses: Option<String>,
    /// Beginnings and ends so far.
    moment: u64,
}

/// Both systems.
#[derive(Clone)]
pub struct World {
    held: Arc<Mutex<Held>>,
    pub port: u16,
}

impl World {
    /// Systems with some people.
    pub fn start(people: usize) -> Self {
        let held = Held {
            people: (0..people)
                .map(|n| (format!("p{n:04}"), format!("Person {n}")))
                .collect(),
            shop_key: SHOP_KEY.into(),
            crm_key: CRM_KEY.into(),
            crm_key_too: None,
            contacts: BTreeMap::new(),
            asked: Vec::new(),
            down: false,
            slow: Duration::ZERO,
            refuses: None,
            moment: 0,
        };
        let held = Arc::new(Mutex::new(held));
        let answering = Arc::clone(&held);
        let port = serve(None, move |request| answer(&answering, request));
        Self { held, port }
    }

    pub fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

impl Held {
    /// Requests to a system with this credential.
    pub fn count(&self, system: &str, key: &str) -> usize {
        let with = |asked: &&Asked| asked.system == system && asked.key == key;
        self.asked.iter().filter(with).count()
    }

    /// How often a contact was made of this person.
    pub fn contacts_of(&self, id: &str) -> usize {
        let of = |contact: &&Value| contact["ref"] == id;
        self.contacts.values().filter(of).count()
    }

    /// Whether the CRM holds each person once, under the present name; else what is wrong.
    pub fn agree(&self) -> Result<(), String> {
        for (id, name) in &self.people {
            let found: Vec<_> = self
                .contacts
                .values()
                .filter(|c| c["ref"] == **id)
                .collect();
            match found.as_slice() {
                [contact] if contact["name"] == **name => {}
                [] => {
                    return Err(format!(
                        "{id} is missing; {} are there",
                        self.contacts.len()
                    ));
                }
                other => return Err(format!("{id} {name}: {other:?}")),
            }
        }
        match self.contacts.len() == self.people.len() {
            true => Ok(()),
            false => Err(format!("{} contacts too many", self.contacts.len())),
        }
    }

    fn next(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(held: &Mutex<Held>, request: &Request) -> Reply {
    let system = request.path.first().cloned().unwrap_or_default();
    let below = request.path.get(1..).unwrap_or_default().join("/");
    let line = format!("{} /{below}", request.method);
    let bearer = request.header("authorization");
    let bearer = bearer.and_then(|text| text.strip_prefix("Bearer "));
    let key = request.header("x-api-key").or(bearer).unwrap_or_default();
    let (index, slow) = {
        let mut held = lock(held);
        let asked = Asked {
            system: system.clone(),
            line,
            key: key.to_owned(),
            version: request.header("x-version").unwrap_or_default().to_owned(),
            begun: held.next(),
            ended: None,
        };
        held.asked.push(asked);
        (held.asked.len() - 1, held.slow)
    };
    if system == "crm" && request.method != "GET" {
        std::thread::sleep(slow);
    }
    let mut held = lock(held);
    let reply = match system.as_str() {
        "shop" => shop(&held, request, key),
        _ => crm(&mut held, request, key),
    };
    let end = held.next();
    held.asked[index].ended = Some(end);
    reply
}

/// What vendors say who mean well.
fn unauthorized(key: &str) -> Reply {
    let error = format!("invalid key {key}; give another instead of {key}");
    Reply::json(401, &json!({"error": error}))
}

fn shop(held: &Held, request: &Request, key: &str) -> Reply {
    if held.down {
        return Reply::Drop;
    }
    if key != held.shop_key {
        return unauthorized(key);
    }
    match request.path.get(1).map(String::as_str) {
        Some("me") => Reply::json(200, &json!({"id": "me"})),
        Some("people") => {
            let person = |(id, name): (&String, &String)| json!({"id": id, "name": name});
            let people: Vec<Value> = held.people.iter().map(person).collect();
            Reply::json(200, &json!({"data": people}))
        }
        _ => Reply::json(404, &json!({"error": "there is no such thing"})),
    }
}

fn crm(held: &mut Held, request: &Request, key: &str) -> Reply {
    if key != held.crm_key && Some(key) != held.crm_key_too.as_deref() {
        return unauthorized(key);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if body["name"].is_string() && body["name"].as_str() == held.refuses.as_deref() {
        let error = format!("{key} may not write this name");
        return Reply::json(422, &json!({"error": error}));
    }
    match (request.method.as_str(), request.path.get(2)) {
        ("GET", None) => {
            let wanted = request.parameter("ref").unwrap_or_default();
            let found = held.contacts.values().filter(|c| c["ref"] == wanted);
            let found: Vec<Value> = found.cloned().collect();
            Reply::json(200, &json!({"data": found}))
        }
        ("POST", None) => {
            let mut contact = body;
            let id = format!("c{}", held.contacts.len() + 1);
            contact["id"] = json!(id);
            held.contacts.insert(id, contact.clone());
            Reply::json(201, &contact)
        }
        ("PATCH", Some(id)) => match (held.contacts.get_mut(id), body) {
            (Some(contact), Value::Object(fields)) => {
                for (name, value) in fields {
                    contact[name] = value;
                }
                Reply::json(200, contact)
            }
            _ => Reply::json(404, &json!({"error": "there is no such contact"})),
        },
        _ => Reply::json(405, &json!({"error": "not this way"})),
    }
}
