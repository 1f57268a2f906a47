//! One request shape for every operation, compiled: method, templates and body.
//! Pure. Made by `compile_request`, rendered by `connector`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::check::{Checker, RequestParts};
use crate::api::connection::{BodySpec, Encoding, Injection, Place};
use crate::expression::{Path, Scope, Template, TemplateError};

/// One request shape for every operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operation {
    pub method: String,
    /// Below the base URL, beginning with `/`.
    pub path: Template,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(String, Template)>,
    pub body: BodyPlan,
    /// Where the record, or the list of records, stands in the answer.
    pub answer: Path,
    /// Which namespaces of one record its templates use.
    pub uses: Uses,
}

/// Namespaces that the templates of an operation use; known in advance, because what is not used need
/// not be parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    pub record: bool,
    pub source: bool,
    pub current: bool,
}

/// What stands in a request's body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BodyPlan {
    None,
    /// The mapped record, under a path when there is one; nothing where no record is written.
    Record {
        encoding: Encoding,
        wrap: Option<Path>,
    },
    /// A template, with the mapped record at a path when there is one.
    Template {
        encoding: Encoding,
        template: JsonTemplate,
        record: Option<Path>,
    },
}

impl BodyPlan {
    pub fn encoding(&self) -> Encoding {
        match self {
            Self::None => Encoding::None,
            Self::Record { encoding, .. } | Self::Template { encoding, .. } => *encoding,
        }
    }
}

/// JSON whose strings are templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum JsonTemplate {
    Literal(Value),
    Text(Template),
    List(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    pub fn render(&self, scope: &Scope<'_>) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Text(template) => template.render_value(scope)?,
            Self::List(items) => Value::Array(
                items
                    .iter()
                    .map(|i| i.render(scope))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Object(fields) => {
                let mut map = Map::new();
                for (name, value) in fields {
                    map.insert(name.clone(), value.render(scope)?);
                }
                Value::Object(map)
            }
        })
    }

    fn visit<'a>(&'a self, templates: &mut Vec<&'a Template>) {
        match self {
            Self::Literal(_) => {}
            Self::Text(template) => templates.push(template),
            Self::List(items) => items.iter().for_each(|i| i.visit(templates)),
            Self::Object(fields) => fields.iter().for_each(|(_, v)| v.visit(templates)),
        }
    }
}

/// Where a value goes in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectionPlan {
    pub place: Place,
    /// Name of the header, query parameter or cookie.
    pub name: String,
    /// For a place in the body: the path there.
    pub path: Path,
}

impl InjectionPlan {
    /// Checks and compiles; `field` is its path in the manifest.
    pub fn compile(spec: &Injection, field: &str, checker: &mut Checker<'_>) -> Option<Self> {
        let path = match spec.place {
            Place::Body => checker.path(&format!("{field}.name"), &spec.name)?,
            Place::Header | Place::Query | Place::Cookie => Path::default(),
        };
        let fits = match spec.place {
            Place::Header => http::HeaderName::from_bytes(spec.name.as_bytes()).is_ok(),
            Place::Cookie => http::HeaderName::from_bytes(spec.name.as_bytes()).is_ok(),
            Place::Query => true,
            Place::Body => !path.is_root(),
        };
        if !fits {
            checker.problem(
                &format!("{field}.name"),
                format!("{:?} cannot be the name of a {:?}", spec.name, spec.place),
            );
            return None;
        }
        Some(Self {
            place: spec.place,
            name: spec.name.clone(),
            path,
        })
    }
}

impl Operation {
    /// Every template of the operation.
    fn templates(&self) -> Vec<&Template> {
        let mut all = vec![&self.path];
        all.extend(self.query.iter().map(|(_, t)| t));
        all.extend(self.headers.iter().map(|(_, t)| t));
        if let BodyPlan::Template { template, .. } = &self.body {
            template.visit(&mut all);
        }
        all
    }

    /// The paths that are used of one namespace, each once.
    pub fn paths_of(&self, namespace: &str) -> Vec<Path> {
        let mut paths: Vec<Path> = Vec::new();
        for path in self
            .templates()
            .into_iter()
            .flat_map(|t| t.paths_of(namespace))
        {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    /// The paths that `${source.…}` names.
    pub fn source_paths(&self) -> Vec<Path> {
        self.paths_of("source")
    }

    /// Whether the target record is read first, for `${current.…}`.
    pub fn uses_current(&self) -> bool {
        self.uses.current
    }
}

/// Headers that the connector writes itself.
const OWN_HEADERS: [&str; 5] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "accept-encoding",
];

/// Compiles one request. `namespaces` are those that mean something here; `field` is the operation's
/// path in the manifest, such as `spec.objects[0].create`.
pub fn compile_request(
    parts: RequestParts<'_>,
    namespaces: &[&str],
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<Operation> {
    let before = checker.problems.len();
    let place = format!("{field}.path");
    if !parts.path.starts_with('/') {
        checker.problem(
            &place,
            format!(
                "{:?} must begin with / (it stands below the base URL)",
                parts.path
            ),
        );
    } else if parts.path.contains(['?', '#']) {
        checker.problem(
            &place,
            format!(
                "{:?} holds a query or fragment; put parameters into query",
                parts.path
            ),
        );
    }
    let path = checker.template(&place, parts.path, namespaces);
    let mut query = Vec::with_capacity(parts.query.len());
    for (name, text) in parts.query {
        if let Some(template) = checker.template(&format!("{field}.query.{name}"), text, namespaces)
        {
            query.push((name.clone(), template));
        }
    }
    let mut headers = Vec::with_capacity(parts.headers.len());
    for (name, text) in parts.headers {
        let place = format!("{field}.headers.{name}");
        check_header(name, &place, checker);
        if let Some(template) = checker.template(&place, text, namespaces) {
            headers.push((name.to_ascii_lowercase(), template));
        }
    }
    let body = match parts.body {
        None => Some(BodyPlan::None),
        Some(body) => compile_body(body, namespaces, &format!("{field}.body"), checker),
    };
    let (name, answer) = parts.answer;
    let answer = checker.path(&format!("{field}.{name}"), answer.unwrap_or_default());
    if checker.problems.len() > before {
        return None;
    }
    let mut operation = Operation {
        method: parts.method.as_str().to_owned(),
        path: path?,
        query,
        headers,
        body: body?,
        answer: answer?,
        uses: Uses::default(),
    };
    let used = |namespace: &str| !operation.paths_of(namespace).is_empty();
    operation.uses = Uses {
        record: used("record"),
        source: used("source"),
        current: used("current"),
    };
    Some(operation)
}

/// A header's name must be one, and not one that the connector writes.
pub(super) fn check_header(name: &str, place: &str, checker: &mut Checker<'_>) {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        checker.problem(place, format!("{name:?} is not a header name (RFC 9110)"));
    } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        checker.problem(
            place,
            format!("{name} is written by the connector; remove it"),
        );
    }
}

/// Compiles `body`.
fn compile_body(
    spec: &BodySpec,
    namespaces: &[&str],
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<BodyPlan> {
    let encoding = spec.encoding.unwrap_or(Encoding::Json);
    if encoding == Encoding::None {
        if spec.wrap.is_some() || spec.template.is_some() {
            checker.problem(
                field,
                "encoding None sends no body: remove wrap and template",
            );
        }
        return Some(BodyPlan::None);
    }
    let Some(template) = &spec.template else {
        let wrap = checker.optional_path(&format!("{field}.wrap"), spec.wrap.as_deref());
        return Some(BodyPlan::Record {
            encoding,
            wrap: wrap.filter(|p| !p.is_root()),
        });
    };
    if spec.wrap.is_some() {
        checker.problem(field, "give wrap or template, not both");
    }
    let template = compile_json(template, namespaces, &format!("{field}.template"), checker)?;
    let record = checker.optional_path(&format!("{field}.record"), spec.record.as_deref());
    if record.as_ref().is_some_and(Path::is_root) {
        checker.problem(
            &format!("{field}.record"),
            "the record would replace the whole template: name a field of it",
        );
    }
    Some(BodyPlan::Template {
        encoding,
        template,
        record,
    })
}

/// Compiles JSON whose strings are templates; parts without placeholders stay as they are.
pub(super) fn compile_json(
    value: &Value,
    namespaces: &[&str],
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<JsonTemplate> {
    Some(match value {
        Value::String(text) => {
            let template = checker.template(field, text, namespaces)?;
            // `$${` in a literal is unescaped by rendering, so only texts without a `$` stay as they are.
            if text.contains('$') {
                JsonTemplate::Text(template)
            } else {
                JsonTemplate::Literal(value.clone())
            }
        }
        Value::Array(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (i, item) in items.iter().enumerate() {
                list.push(compile_json(
                    item,
                    namespaces,
                    &format!("{field}[{i}]"),
                    checker,
                )?);
            }
            if list.iter().all(|i| matches!(i, JsonTemplate::Literal(_))) {
                JsonTemplate::Literal(value.clone())
            } else {
                JsonTemplate::List(list)
            }
        }
        Value::Object(map) => {
            let mut fields = Vec::with_capacity(map.len());
            for (name, item) in map {
                fields.push((
                    name.clone(),
                    compile_json(item, namespaces, &format!("{field}.{name}"), checker)?,
                ));
            }
            if fields
                .iter()
                .all(|(_, v)| matches!(v, JsonTemplate::Literal(_)))
            {
                JsonTemplate::Literal(value.clone())
            } else {
                JsonTemplate::Object(fields)
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => JsonTemplate::Literal(value.clone()),
    })
}
