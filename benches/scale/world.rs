//! What is declared: groups of a hundred Syncs, each with a Connection, a Secret and a Mapping of its own, and one
//! target for all. Three of four Syncs are suspended, the fourth runs once a day.

use std::path::Path;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use serde_json::{Value, json};

/// Syncs that use one Connection.
pub const GROUP: usize = 100;
/// One of so many is not suspended.
const RUNS: usize = 4;
/// Requests under way at once while everything is declared.
const WRITERS: usize = 32;

pub struct World {
    pub client: Client,
    namespace: String,
    port: u16,
}

pub fn resource(kind: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk("syncline.dev", "v1alpha1", kind);
    ApiResource::from_gvk(&kind)
}

fn sync_name(number: usize) -> String {
    format!("sync-{number:05}")
}

/// Whether the Sync of this name is not suspended.
pub fn runs(name: &str) -> bool {
    let number = name
        .rsplit_once('-')
        .and_then(|(_, n)| n.parse::<usize>().ok());
    number.is_some_and(|number| number.is_multiple_of(RUNS))
}

/// The names of the Syncs of a group.
pub fn group(number: usize) -> Vec<String> {
    let first = number * GROUP;
    (first..first + GROUP).map(sync_name).collect()
}

impl World {
    pub async fn connect(kubeconfig: &Path, namespace: &str, port: u16) -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
            namespace: namespace.to_owned(),
            port,
        })
    }

    /// Declares so many Syncs and what they need.
    pub async fn declare(&self, syncs: usize) -> Result<()> {
        let groups = syncs.div_ceil(GROUP);
        for number in 0..groups {
            self.set_secret(number, Some("first-key")).await?;
        }
        self.create("Connection", "target", target(self.port))
            .await?;
        let rest = (0..groups).flat_map(|number| {
            [
                (
                    "Connection",
                    format!("source-{number}"),
                    source(self.port, number),
                ),
                ("Mapping", format!("mapping-{number}"), mapping()),
            ]
        });
        let syncs = (0..syncs).map(|number| ("Sync", sync_name(number), sync(number)));
        stream::iter(rest.chain(syncs))
            .map(|(kind, name, spec)| async move { self.create(kind, &name, spec).await })
            .buffer_unordered(WRITERS)
            .try_collect::<()>()
            .await
    }

    async fn create(&self, kind: &str, name: &str, spec: Value) -> Result<()> {
        let resource = resource(kind);
        let api =
            Api::<DynamicObject>::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let object = DynamicObject::new(name, &resource).data(json!({"spec": spec}));
        api.create(&PostParams::default(), &object).await?;
        Ok(())
    }

    /// Sets the key in the Secret of a group, or takes it away.
    pub async fn set_secret(&self, number: usize, key: Option<&str>) -> Result<()> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let data = key.map_or_else(|| json!({"other": "x"}), |key| json!({"key": key}));
        let name = format!("secret-{number}");
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": data,
        });
        let params = PatchParams::apply("bench").force();
        if key.is_none() {
            // `stringData` only adds.
            api.delete(&name, &kube::api::DeleteParams::default())
                .await?;
        }
        api.patch(&name, &params, &Patch::Apply(&secret)).await?;
        Ok(())
    }
}

fn system(port: u16, auth: &Value, access: &Value) -> Value {
    json!({
        "http": {"baseURL": format!("http://127.0.0.1:{port}"), "allowPlaintext": true},
        "auth": auth,
        "access": access,
        "probe": {"path": "/me", "interval": "1h"},
        "objects": [{
            "name": "records",
            "key": ["id"],
            "list": {"path": "/records", "records": "data"},
            "upsert": {"method": "PUT", "path": "/records/${source.id}", "id": {"id": "id"}},
        }],
    })
}

fn source(port: u16, number: usize) -> Value {
    let secret = json!({"name": format!("secret-{number}"), "key": "key"});
    let auth = json!({"apiKey": {"in": "Header", "name": "X-Api-Key", "secretRef": secret}});
    system(port, &auth, &json!(["Read"]))
}

fn target(port: u16) -> Value {
    system(
        port,
        &json!({"none": {}}),
        &json!(["Read", "Create", "Update"]),
    )
}

/// Of usual length.
fn mapping() -> Value {
    let fields = [
        "email", "name", "phone", "company", "language", "city", "street", "country",
    ];
    let copied = fields.map(|field| json!({"to": field, "from": field, "onMissing": "Omit"}));
    json!({
        "fields": copied,
        "tests": [{"name": "copies", "given": {"name": "Ada"}, "expect": {"name": "Ada"}}],
    })
}

fn sync(number: usize) -> Value {
    json!({
        "source": {
            "connectionRef": {"name": format!("source-{}", number / GROUP)},
            "object": "records",
            "backfill": "All",
        },
        "target": {"connectionRef": {"name": "target"}, "object": "records"},
        "mappingRef": {"name": format!("mapping-{}", number / GROUP)},
        "trigger": {"interval": "24h"},
        "write": {"mode": "Upsert"},
        "suspend": !number.is_multiple_of(RUNS),
    })
}
