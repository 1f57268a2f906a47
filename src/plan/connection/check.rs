//! What the parts of a Connection are checked with: one list of problems, and the parsers that report
//! to it under the field's path. Pure. Used by all of `plan::connection`.

use serde_json::Value;

use crate::api::connection::{BodySpec, Method, ObjectSpec, Parameters};
use crate::expression::{Expression, Path, Scope, Template};
use crate::plan::Problem;

/// Collects the problems of one Connection.
pub struct Checker<'a> {
    resource: String,
    /// The Connection's settings: `${settings.…}` must name one of them.
    pub settings: &'a Value,
    /// The Connection's objects, for lists that are read for each record of another one.
    pub objects: &'a [ObjectSpec],
    pub problems: Vec<Problem>,
}

/// The parts of a request that every operation has.
#[derive(Clone, Copy)]
pub struct RequestParts<'a> {
    /// The method as written, else the operation's default.
    pub method: Method,
    pub path: &'a str,
    pub query: &'a Parameters,
    pub headers: &'a Parameters,
    pub body: Option<&'a BodySpec>,
    /// The field that says where the record stands in the answer (`record`, `records`), and its value;
    /// the whole answer when there is none.
    pub answer: (&'static str, Option<&'a str>),
}

impl<'a> Checker<'a> {
    pub fn new(name: &str, settings: &'a Value) -> Self {
        Self {
            resource: format!("Connection/{name}"),
            settings,
            objects: &[],
            problems: Vec::new(),
        }
    }

    /// Notes a problem at `field`, such as `spec.objects[0].create.path`.
    pub fn problem(&mut self, field: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::error(self.resource.clone(), field, message));
    }

    /// Parses a template; `namespaces` are those that mean something in this place.
    pub fn template(&mut self, field: &str, text: &str, namespaces: &[&str]) -> Option<Template> {
        let template = match Template::parse(text, namespaces) {
            Ok(template) => template,
            Err(error) => {
                self.problem(field, error.to_string());
                return None;
            }
        };
        for path in template.paths_of("settings") {
            if path.get(self.settings).is_none() {
                self.problem(
                    field,
                    format!("${{settings.{path}}} is not set; add it to spec.settings"),
                );
                return None;
            }
        }
        Some(template)
    }

    /// The text of a template that may only hold `${settings.…}`.
    pub fn resolve(&mut self, field: &str, text: &str) -> Option<String> {
        let template = self.template(field, text, &["settings"])?;
        let scope = Scope {
            settings: Some(self.settings),
            ..Scope::default()
        };
        template
            .render(&scope)
            .map_err(|error| self.problem(field, error.to_string()))
            .ok()
    }

    pub fn path(&mut self, field: &str, text: &str) -> Option<Path> {
        Path::parse(text)
            .map_err(|error| self.problem(field, error.to_string()))
            .ok()
    }

    pub fn optional_path(&mut self, field: &str, text: Option<&str>) -> Option<Path> {
        self.path(field, text?)
    }

    pub fn expression(
        &mut self,
        field: &str,
        text: &str,
        variables: &[&str],
    ) -> Option<Expression> {
        Expression::compile(text, variables)
            .map_err(|error| self.problem(field, error.to_string()))
            .ok()
    }
}
