//! Objects of the API server as JSON, read and changed as an administrator. Faster than a kubectl for each look;
//! what kubectl itself has to show is asked of kubectl.

use std::path::Path;
use std::sync::OnceLock;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::Runtime;

/// An administrator of one API server.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

impl Api {
    pub fn new(kubeconfig: &Path) -> Self {
        // Another test may have been quicker; either does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = runtime().block_on(async {
            let file = Kubeconfig::read_from(kubeconfig).unwrap();
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(file, &options).await;
            let mut config = config.unwrap();
            config.default_retry = false;
            Client::try_from(config).unwrap()
        });
        Self { client }
    }

    /// Sends a request; the error is what the API server said.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Option<&Value>,
    ) -> Result<Value, kube::Error> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(body.map(Value::to_string).unwrap_or_default().into_bytes())
            .unwrap();
        runtime().block_on(self.client.request(request))
    }

    /// `None`: there is no such object.
    pub fn get(&self, namespace: &str, kind: &str, name: &str) -> Option<Value> {
        match self.send("GET", &path(namespace, kind, name), "", None) {
            Ok(object) => Some(object),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{kind} {namespace}/{name}: {error}"),
        }
    }

    pub fn list(&self, namespace: &str, kind: &str) -> Vec<Value> {
        let list = self.send("GET", &path(namespace, kind, ""), "", None);
        match list.unwrap()["items"].take() {
            Value::Array(items) => items,
            other => panic!("no list: {other}"),
        }
    }

    /// Changes some fields (RFC 7386).
    pub fn patch(&self, namespace: &str, kind: &str, name: &str, change: &Value) -> Value {
        let path = path(namespace, kind, name);
        self.send("PATCH", &path, "application/merge-patch+json", Some(change))
            .unwrap_or_else(|error| panic!("{kind} {namespace}/{name}: {error}"))
    }

    pub fn delete(&self, namespace: &str, kind: &str, name: &str) {
        self.send("DELETE", &path(namespace, kind, name), "", None)
            .unwrap_or_else(|error| panic!("{kind} {namespace}/{name}: {error}"));
    }
}

fn path(namespace: &str, kind: &str, name: &str) -> String {
    let plural = format!("{}s", kind.to_ascii_lowercase());
    let group = match kind {
        "Secret" | "Pod" => "api/v1",
        "Event" => "apis/events.k8s.io/v1",
        "Lease" => "apis/coordination.k8s.io/v1",
        _ => "apis/syncline.dev/v1alpha1",
    };
    format!("/{group}/namespaces/{namespace}/{plural}/{name}")
        .trim_end_matches('/')
        .to_owned()
}
