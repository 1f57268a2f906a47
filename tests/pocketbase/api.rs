//! Asks the systems themselves what they hold, past the program that is tested. Used by `main` to judge.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Contacts of one system by email; panics where an email is there twice.
pub type Contacts = BTreeMap<String, Value>;

pub struct Http(reqwest::Client);

impl Http {
    pub fn new() -> Self {
        // The binary under test does this in its own process; here nobody else does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self(reqwest::Client::new())
    }

    /// Sends JSON, or nothing, and answers the JSON that comes back; any refusal ends the test.
    pub async fn ask(&self, method: &str, url: &str, token: &str, body: Option<&Value>) -> Value {
        let mut request = self
            .0
            .request(method.parse().expect("a method"), url)
            .header("authorization", token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method} {url}: {error}"));
        let (status, text) = (
            answer.status(),
            answer.text().await.expect("a whole answer"),
        );
        assert!(status.is_success(), "{method} {url}: {status}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// PocketBase's own API, as its superuser.
pub struct PocketBase {
    http: Http,
    base: String,
    token: String,
}

impl PocketBase {
    pub async fn log_in(url: &str) -> Self {
        let http = Http::new();
        let base = format!("{url}/api/collections");
        let who = json!({"identity": "syncline@example.com", "password": "demo-password"});
        let login = format!("{base}/_superusers/auth-with-password");
        let answer = http.ask("POST", &login, "", Some(&who)).await;
        let token = answer["token"].as_str().expect("a token").to_owned();
        Self { http, base, token }
    }

    pub async fn count(&self) -> u64 {
        let url = format!("{}/contacts/records?perPage=1&fields=id", self.base);
        let answer = self.http.ask("GET", &url, &self.token, None).await;
        answer["totalItems"].as_u64().expect("a number")
    }

    pub async fn contacts(&self) -> Contacts {
        let mut all = Contacts::new();
        for page in 1.. {
            let url = format!(
                "{}/contacts/records?perPage=500&page={page}&sort=id",
                self.base
            );
            let answer = self.http.ask("GET", &url, &self.token, None).await;
            let items = answer["items"].as_array().expect("a list");
            items.iter().for_each(|item| add(&mut all, item));
            if items.len() < 500 {
                break;
            }
        }
        all
    }

    pub async fn create(&self, contact: &Value) {
        let url = format!("{}/contacts/records", self.base);
        self.http
            .ask("POST", &url, &self.token, Some(contact))
            .await;
    }

    pub async fn change(&self, id: &str, change: &Value) {
        let url = format!("{}/contacts/records/{id}", self.base);
        self.http
            .ask("PATCH", &url, &self.token, Some(change))
            .await;
    }
}

/// The demo CRM's API: the contacts that the test has made in PocketBase. It knew others before.
pub async fn crm_contacts(url: &str) -> Contacts {
    use base64::Engine;
    let http = Http::new();
    let client =
        base64::engine::general_purpose::STANDARD.encode("demo-crm-client:demo-crm-secret");
    let answer = http
        .0
        .post(format!("{url}/oauth/token"))
        .header("authorization", format!("Basic {client}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials")
        .send()
        .await
        .expect("the CRM answers");
    let text = answer.text().await.expect("a whole answer");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let token = format!(
        "Bearer {}",
        answer["access_token"].as_str().expect("a token")
    );
    let mut all = Contacts::new();
    let mut offset = 0;
    loop {
        let page = format!("{url}/v1/contacts?limit=200&offset={offset}");
        let answer = http.ask("GET", &page, &token, None).await;
        let results = answer["results"].as_array().expect("a list");
        let ours = |contact: &&Value| {
            contact["email"]
                .as_str()
                .is_some_and(|email| email.starts_with("person"))
        };
        results
            .iter()
            .filter(ours)
            .for_each(|contact| add(&mut all, contact));
        offset += results.len();
        if results.is_empty() {
            return all;
        }
    }
}

fn add(all: &mut Contacts, contact: &Value) {
    let email = contact["email"].as_str().unwrap_or_default().to_lowercase();
    let twice = all.insert(email, contact.clone());
    assert!(twice.is_none(), "twice: {contact} and {twice:?}");
}
