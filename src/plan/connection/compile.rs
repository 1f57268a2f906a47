//! A ConnectionSpec becomes a ConnectionPlan with its objects, or a list of problems.
//! Pure. Called by `plan`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::auth::compile_auth;
use super::check::{Checker, RequestParts};
use super::object::compile_object;
use super::request::{check_header, compile_request};
use super::webhook::compile_webhooks;
use super::{
    AccessPlan, ConnectionPlan, ConnectionWithObjects, LimitPlan, ProbePlan, ResponseRule,
    RetryPlan,
};
use crate::api::connection::{
    Access, ConnectionSpec, HttpSpec, LimitSpec, Method, Parameters, ProbeSpec, ResponseSpec,
};
use crate::plan::Problem;

/// Requests under way at once where nothing else is configured.
const DEFAULT_CONCURRENCY: usize = 16;

/// Variables of `responses[].when`.
const ANSWER_VARIABLES: [&str; 4] = ["status", "headers", "body", "request"];
const ITEM_VARIABLES: [&str; 5] = ["status", "headers", "body", "request", "item"];

/// Checks and compiles a Connection. All problems are found in one go, each with its field.
pub fn compile(
    namespace: &str,
    name: &str,
    spec: &ConnectionSpec,
) -> Result<ConnectionWithObjects, Vec<Problem>> {
    let settings = Value::Object(
        spec.settings
            .iter()
            .map(|(k, v)| (k.clone(), Value::String(v.clone())))
            .collect(),
    );
    let mut checker = Checker::new(name, &settings);
    checker.objects = &spec.objects;
    let base_url = compile_base_url(&spec.http, &mut checker);
    let base = base_url.clone().unwrap_or_default();
    let auth = compile_auth(&spec.auth, &base, spec.http.allow_plaintext, &mut checker);
    let (headers, query) = compile_common(&spec.http, &mut checker);
    let limits = compile_limits(&spec.limits, &mut checker);
    let responses = compile_responses(&spec.responses, &mut checker);
    let retry = RetryPlan {
        initial_delay: spec.retry.initial_delay.to_std(),
        max_delay: spec.retry.max_delay.to_std(),
    };
    if retry.initial_delay.is_zero() || retry.initial_delay > retry.max_delay {
        checker.problem(
            "spec.retry.initialDelay",
            "must be more than 0 and at most maxDelay",
        );
    }
    if spec.http.timeout.to_std().is_zero() {
        checker.problem("spec.http.timeout", "must be more than 0");
    }
    let probe = spec
        .probe
        .as_ref()
        .and_then(|p| compile_probe(p, &mut checker));
    let objects = compile_objects(spec, &mut checker);
    let webhooks = compile_webhooks(&spec.webhooks, &objects, &mut checker);
    let problems = std::mem::take(&mut checker.problems);
    let (Some(base_url), Some(auth), true) = (base_url, auth, problems.is_empty()) else {
        return Err(problems);
    };
    let connection = ConnectionPlan {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        base_url,
        settings,
        concurrency: concurrency(&limits),
        headers,
        query,
        timeout: spec.http.timeout.to_std(),
        max_response_bytes: spec.http.max_response_bytes.bytes(),
        auth,
        access: AccessPlan {
            read: spec.access.contains(&Access::Read),
            create: spec.access.contains(&Access::Create),
            update: spec.access.contains(&Access::Update),
            delete: spec.access.contains(&Access::Delete),
        },
        limits,
        retry,
        responses,
        probe,
    };
    Ok(ConnectionWithObjects {
        connection: Arc::new(connection),
        objects,
        webhooks,
    })
}

fn compile_probe(spec: &ProbeSpec, checker: &mut Checker<'_>) -> Option<ProbePlan> {
    let interval = spec.interval.to_std();
    if interval < Duration::from_secs(1) {
        checker.problem("spec.probe.interval", "must be at least 1s");
    }
    let none = Parameters::new();
    let parts = RequestParts {
        method: Method::Get,
        path: &spec.path,
        query: &none,
        headers: &none,
        body: None,
        answer: ("path", None),
    };
    let request = compile_request(parts, &["settings"], "spec.probe", checker)?;
    Some(ProbePlan { request, interval })
}

fn compile_objects(
    spec: &ConnectionSpec,
    checker: &mut Checker<'_>,
) -> BTreeMap<String, Arc<super::ObjectPlan>> {
    let mut objects = BTreeMap::new();
    for (i, object) in spec.objects.iter().enumerate() {
        let field = format!("spec.objects[{i}]");
        if objects.contains_key(&object.name) {
            checker.problem(
                &format!("{field}.name"),
                format!("there are two objects named {:?}", object.name),
            );
        }
        if let Some(plan) = compile_object(object, &field, checker) {
            objects.insert(object.name.clone(), Arc::new(plan));
        }
    }
    objects
}

/// The base URL with its settings, without a trailing slash.
fn compile_base_url(spec: &HttpSpec, checker: &mut Checker<'_>) -> Option<String> {
    let field = "spec.http.baseURL";
    let text = checker.resolve(field, &spec.base_url)?;
    check_url(&text, spec.allow_plaintext, field, checker)
        .then(|| text.trim_end_matches('/').to_owned())
}

/// Whether this is a URL that may be called; says why not.
pub(super) fn check_url(
    text: &str,
    plaintext: bool,
    field: &str,
    checker: &mut Checker<'_>,
) -> bool {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            checker.problem(
                field,
                format!(
                    "{text:?} is not a URL ({error}); write it as https://shop.example.com/api"
                ),
            );
            return false;
        }
    };
    let problem = match url.scheme() {
        "http" if !plaintext => {
            "http:// sends credentials in the clear: use https://, or set spec.http.allowPlaintext: true"
        }
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            "a URL with user or password puts them in plain sight: use spec.auth.basic"
        }
        "http" | "https" if url.query().is_some() || url.fragment().is_some() => {
            "no query or fragment here: put parameters into query"
        }
        "http" | "https" => return true,
        _ => "only https:// and http:// can be called",
    };
    checker.problem(field, problem);
    false
}

type Pairs = Vec<(String, String)>;

/// Headers and query of every request, with their settings.
fn compile_common(spec: &HttpSpec, checker: &mut Checker<'_>) -> (Pairs, Pairs) {
    let mut headers = Vec::with_capacity(spec.headers.len());
    for (name, text) in &spec.headers {
        let field = format!("spec.http.headers.{name}");
        check_header(name, &field, checker);
        if let Some(value) = checker.resolve(&field, text) {
            if http::HeaderValue::from_str(&value).is_err() {
                checker.problem(&field, "holds a character that no header value may hold");
            }
            headers.push((name.to_ascii_lowercase(), value));
        }
    }
    let mut query = Vec::with_capacity(spec.query.len());
    for (name, text) in &spec.query {
        if let Some(value) = checker.resolve(&format!("spec.http.query.{name}"), text) {
            query.push((name.clone(), value));
        }
    }
    (headers, query)
}

fn compile_limits(specs: &[LimitSpec], checker: &mut Checker<'_>) -> Vec<LimitPlan> {
    let mut limits = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let field = format!("spec.limits[{i}]");
        let rate = match (spec.requests, &spec.per) {
            (Some(requests), Some(per)) if requests > 0 && !per.to_std().is_zero() => {
                Some((requests, per.to_std()))
            }
            (None, None) => None,
            _ => {
                checker.problem(
                    &field,
                    "requests and per belong together and are more than 0: requests: 120, per: 1m",
                );
                continue;
            }
        };
        if spec.concurrency == Some(0) || (rate.is_none() && spec.concurrency.is_none()) {
            checker.problem(
                &field,
                "give requests and per, or concurrency (more than 0), or all three",
            );
        }
        let matching = spec.matching.as_ref();
        limits.push(LimitPlan {
            rate,
            concurrency: spec.concurrency.map(|c| c as usize),
            method: matching
                .and_then(|m| m.method)
                .map(|m| m.as_str().to_owned()),
            path: matching
                .and_then(|m| m.path.as_ref())
                .map(|p| p.split('*').map(str::to_owned).collect()),
        });
    }
    limits
}

/// The lowest concurrency that holds for every request.
fn concurrency(limits: &[LimitPlan]) -> usize {
    let all = limits
        .iter()
        .filter(|l| l.method.is_none() && l.path.is_none());
    all.filter_map(|l| l.concurrency)
        .min()
        .unwrap_or(DEFAULT_CONCURRENCY)
}

fn compile_responses(specs: &[ResponseSpec], checker: &mut Checker<'_>) -> Vec<ResponseRule> {
    use crate::expression::Expression;
    let mut rules = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let field = format!("spec.responses[{i}]");
        let when = checker.expression(&format!("{field}.when"), &spec.when, &ITEM_VARIABLES);
        let retry_after = spec.retry_after.as_ref().and_then(|text| {
            checker.expression(&format!("{field}.retryAfter"), text, &ITEM_VARIABLES)
        });
        if let Some(when) = when {
            // An expression that does not compile without `item` is about single results of a batch.
            let per_item = Expression::compile(&spec.when, &ANSWER_VARIABLES).is_err();
            let needs_body = Expression::compile(&spec.when, &["status", "headers", "request"])
                .is_err()
                || retry_after.is_some();
            rules.push(ResponseRule {
                when,
                class: spec.class,
                retry_after,
                per_item,
                needs_body,
            });
        }
    }
    rules
}
