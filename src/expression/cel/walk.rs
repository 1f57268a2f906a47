//! What an expression uses and how deep it goes, before it is ever evaluated. Pure; used by `cel` alone.

use std::collections::{BTreeSet, HashMap};

use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, operators,
};
use kube_cel::cel::parser::Expression as Tree;

use super::functions::FUNCTIONS;
use super::{MAX_DEPTH, MAX_LOOPS, Uses};

const OPERATORS: [&str; 20] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::OPT_INDEX,
    operators::NOT_STRICTLY_FALSE,
    operators::IN,
];

/// Deepest nesting of brackets, wherever they stand.
pub fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Whether a call is one of an operator.
pub fn is_operator(name: &str) -> bool {
    OPERATORS.contains(&name) || name == operators::OPT_SELECT
}

/// The full name of a call of a function in a namespace, such as `math.abs`.
pub fn namespaced(call: &CallExpr) -> Option<String> {
    match &call.target.as_ref()?.expr {
        Expr::Ident(prefix) => {
            let name = format!("{prefix}.{}", call.func_name);
            FUNCTIONS.contains(&name.as_str()).then_some(name)
        }
        _ => None,
    }
}

/// The variables that an expression uses.
#[derive(Default)]
pub struct Walk {
    pub uses: HashMap<String, Uses>,
    bound: Vec<String>,
    problem: Option<String>,
}

impl Walk {
    /// Walks through a whole expression.
    ///
    /// # Errors
    /// What it may not use, or that it is too deep.
    pub fn of(tree: &Tree) -> Result<Self, String> {
        let mut walk = Self::default();
        walk.visit(tree, 0, 0);
        match walk.problem.take() {
            Some(problem) => Err(problem),
            None => Ok(walk),
        }
    }

    fn refuse(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    fn visit(&mut self, tree: &Tree, depth: usize, loops: usize) {
        if depth > MAX_DEPTH {
            return self.refuse(format!("nested deeper than {MAX_DEPTH}"));
        }
        match &tree.expr {
            Expr::Literal(_) => {}
            Expr::Unspecified => self.refuse("it is empty".into()),
            Expr::Ident(name) => self.note(name, None),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) => self.note(name, Some(&select.field)),
                _ => self.visit(&select.operand, depth + 1, loops),
            },
            Expr::Call(call) => self.call(call, depth, loops),
            Expr::List(list) => {
                for element in &list.elements {
                    self.visit(element, depth + 1, loops);
                }
            }
            Expr::Map(map) => self.entries(&map.entries, depth, loops),
            Expr::Struct(object) => self.refuse(format!(
                "there is no type {:?}; write a map with its names in quotes",
                object.type_name
            )),
            Expr::Comprehension(c) => self.comprehension(c, depth, loops),
        }
    }

    fn call(&mut self, call: &CallExpr, depth: usize, loops: usize) {
        let name = call.func_name.as_str();
        if namespaced(call).is_none() {
            if !is_operator(name) && !FUNCTIONS.contains(&name) {
                self.refuse(format!("there is no function {name:?}"));
            }
            if let Some(target) = &call.target {
                self.visit(target, depth + 1, loops);
            }
        }
        for argument in &call.args {
            self.visit(argument, depth + 1, loops);
        }
    }

    fn comprehension(&mut self, c: &ComprehensionExpr, depth: usize, loops: usize) {
        if loops == MAX_LOOPS {
            return self.refuse(format!("more than {MAX_LOOPS} loops inside each other"));
        }
        self.visit(&c.iter_range, depth + 1, loops);
        let before = self.bound.len();
        self.bound.push(c.iter_var.clone());
        self.bound.push(c.accu_var.clone());
        self.bound.extend(c.iter_var2.clone());
        for part in [&c.accu_init, &c.loop_cond, &c.loop_step, &c.result] {
            self.visit(part, depth + 1, loops + 1);
        }
        self.bound.truncate(before);
    }

    fn entries(&mut self, entries: &[IdedEntryExpr], depth: usize, loops: usize) {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => self.visit(&field.value, depth + 1, loops),
                EntryExpr::MapEntry(pair) => {
                    self.visit(&pair.key, depth + 1, loops);
                    self.visit(&pair.value, depth + 1, loops);
                }
            }
        }
    }

    fn note(&mut self, name: &str, field: Option<&str>) {
        // Names with a sign in them are the macros' own.
        if name.starts_with('@') || name.starts_with("__") || self.bound.iter().any(|b| b == name) {
            return;
        }
        let entry = self.uses.entry(name.to_owned()).or_insert_with(|| Uses {
            fields: Some(BTreeSet::new()),
            times: 0,
        });
        entry.times += 1;
        match (entry.fields.as_mut(), field) {
            (Some(fields), Some(field)) => {
                fields.insert(field.to_owned());
            }
            _ => entry.fields = None,
        }
    }
}
