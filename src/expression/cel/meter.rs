//! Meters built into an expression, and the budget that they draw on. Pure; used by `cel` alone.
//!
//! The evaluator itself cannot be stopped, but what it calls can fail. So every call, concatenation and
//! turn of a loop is wrapped in a function of ours that draws the size of what it touches from the
//! budget, and fails when that is spent; from then on all of them fail, until the evaluation ends.

use std::cell::Cell;

use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators,
};
use kube_cel::cel::objects::Key;
use kube_cel::cel::parser::Expression as Tree;
use kube_cel::cel::{Context, ExecutionError, FunctionContext, Value};

use super::convert::size;
use super::functions::{context, extra_cost};
use super::message::message;
use super::walk::{is_operator, namespaced};

/// Steps that one evaluation may take; less than a second of work.
pub const BUDGET: u64 = 3_000_000;

/// Draws the size of its argument.
const SPEND: &str = "@spend";
/// What a loop runs over: draws its size, and puts the keys of a map in order.
const RANGE: &str = "@range";
/// A call: its name, the values, and the call itself on the names of these values.
const CALL: &str = "@call";
/// Names of the values of a call.
const VALUES: &str = "@value";

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static SPENT: Cell<bool> = const { Cell::new(false) };
    static FUNCTIONS: Context<'static> = {
        let mut context = context();
        context.add_function(SPEND, spend as fn(&FunctionContext) -> _);
        context.add_function(RANGE, range as fn(&FunctionContext) -> _);
        context.add_function(CALL, call as fn(&FunctionContext) -> _);
        context
    };
}

/// Evaluates a metered expression; `work` is what reading the variables costs.
///
/// # Errors
/// What CEL says, without values, and that the budget is spent.
pub fn evaluate(tree: &Tree, variables: Vec<(&str, Value)>, work: u64) -> Result<Value, String> {
    let too_much =
        || format!("it takes more than {BUDGET} steps; shorten its lists and texts, or its loops");
    SPENT.set(false);
    LEFT.set(BUDGET);
    draw(work).map_err(|_| too_much())?;
    let result = FUNCTIONS.with(|functions| {
        let mut scope = functions.new_inner_scope();
        for (name, value) in variables {
            scope.add_variable_from_value(name, value);
        }
        Value::resolve(tree, &scope)
    });
    // `a || b` forgets an error in one of them; a spent budget ends all.
    if SPENT.get() {
        return Err(too_much());
    }
    result.map_err(|e| message(&e))
}

fn draw(amount: u64) -> Result<(), ExecutionError> {
    match LEFT.get().checked_sub(amount) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => {
            SPENT.set(true);
            LEFT.set(0);
            Err(ExecutionError::function_error(SPEND, "the budget is spent"))
        }
    }
}

fn spend(f: &FunctionContext) -> Result<Value, ExecutionError> {
    let value = argument(f, 0)?;
    draw(size(&value))?;
    Ok(value)
}

fn range(f: &FunctionContext) -> Result<Value, ExecutionError> {
    let value = spend(f)?;
    let Value::Map(map) = value else {
        return Ok(value);
    };
    // A map of the evaluator has another order each time, and so would the result.
    let mut keys: Vec<&Key> = map.map.keys().collect();
    keys.sort();
    Ok(Value::List(
        keys.into_iter().map(Value::from).collect::<Vec<_>>().into(),
    ))
}

fn call(f: &FunctionContext) -> Result<Value, ExecutionError> {
    let [name, values @ .., call] = f.args else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let name = match &name.expr {
        Expr::Literal(LiteralValue::String(name)) => name.inner(),
        _ => return Err(ExecutionError::missing_argument_or_target()),
    };
    let mut found = Vec::with_capacity(values.len());
    for value in values {
        let value = Value::resolve(value, f.ptx)?;
        draw(size(&value))?;
        found.push(value);
    }
    draw(extra_cost(name, &found))?;
    let mut scope = f.ptx.new_inner_scope();
    for (at, value) in found.into_iter().enumerate() {
        scope.add_variable_from_value(format!("{VALUES}{at}"), value);
    }
    let result = Value::resolve(call, &scope)?;
    draw(size(&result))?;
    Ok(result)
}

fn argument(f: &FunctionContext, at: usize) -> Result<Value, ExecutionError> {
    let argument = f.args.get(at);
    Value::resolve(
        argument.ok_or_else(ExecutionError::missing_argument_or_target)?,
        f.ptx,
    )
}

/// The same expression with its meters.
pub fn metered(tree: Tree) -> Tree {
    build(tree, false)
}

/// `looped`: inside a loop, where also what is only compared must be counted.
fn build(tree: Tree, looped: bool) -> Tree {
    let id = tree.id;
    let boxed = |tree: Box<Tree>| Box::new(build(*tree, looped));
    let expr = match tree.expr {
        Expr::Call(call) => return build_call(id, call, looped),
        Expr::Comprehension(c) => return build_loop(id, *c, looped),
        Expr::Select(mut select) if select.test => {
            select.operand = boxed(select.operand);
            Expr::Select(select)
        }
        // The evaluator's own selection copies the value, and is false where there is no object.
        Expr::Select(select) => Expr::Call(CallExpr {
            func_name: operators::INDEX.into(),
            target: None,
            args: vec![build(*select.operand, looped), text(id, &select.field)],
        }),
        Expr::List(mut list) => {
            let elements = list.elements.into_iter();
            list.elements = elements.map(|e| spent(build(e, looped))).collect();
            Expr::List(list)
        }
        Expr::Map(mut map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(pair) = &mut entry.expr {
                    pair.key = spent(build(std::mem::take(&mut pair.key), looped));
                    pair.value = spent(build(std::mem::take(&mut pair.value), looped));
                }
            }
            Expr::Map(map)
        }
        other => other,
    };
    Tree { id, expr }
}

fn build_call(id: u64, mut call: CallExpr, looped: bool) -> Tree {
    let name = call.func_name.as_str();
    let whole_name = namespaced(&call);
    if is_operator(name) && whole_name.is_none() {
        let compares = looped
            && [
                operators::EQUALS,
                operators::NOT_EQUALS,
                operators::IN,
                operators::LESS,
                operators::LESS_EQUALS,
                operators::GREATER,
                operators::GREATER_EQUALS,
                operators::INDEX,
                operators::OPT_INDEX,
            ]
            .contains(&name);
        let adds = name == operators::ADD;
        // What is looked into is not read as a whole.
        let whole = usize::from(name == operators::INDEX || name == operators::OPT_INDEX);
        let args = call.args.into_iter().enumerate();
        call.args = args
            .map(|(at, arg)| match build(arg, looped) {
                arg if compares && at >= whole => spent(arg),
                arg => arg,
            })
            .collect();
        let tree = Tree {
            id,
            expr: Expr::Call(call),
        };
        return if adds { spent(tree) } else { tree };
    }
    let mut values = vec![text(id, whole_name.as_deref().unwrap_or(name))];
    let ident = |at: usize| Tree {
        id,
        expr: Expr::Ident(format!("{VALUES}{at}")),
    };
    if whole_name.is_none()
        && let Some(target) = call.target.take()
    {
        call.target = Some(Box::new(ident(values.len() - 1)));
        values.push(build(*target, looped));
    }
    for arg in &mut call.args {
        let name = ident(values.len() - 1);
        values.push(build(std::mem::replace(arg, name), looped));
    }
    values.push(Tree {
        id,
        expr: Expr::Call(call),
    });
    function(id, CALL, values)
}

fn build_loop(id: u64, c: ComprehensionExpr, looped: bool) -> Tree {
    let c = ComprehensionExpr {
        iter_range: function(id, RANGE, vec![build(c.iter_range, looped)]),
        accu_init: build(c.accu_init, true),
        loop_cond: build(c.loop_cond, true),
        loop_step: spent(step(c.loop_step)),
        result: build(c.result, true),
        ..c
    };
    Tree {
        id,
        expr: Expr::Comprehension(Box::new(c)),
    }
}

/// A turn of a loop: what it makes is counted by the loop, so that `all + [item]` needs no meter.
fn step(tree: Tree) -> Tree {
    let id = tree.id;
    let mut call = match tree.expr {
        Expr::Call(call)
            if [operators::ADD, operators::CONDITIONAL].contains(&&*call.func_name) =>
        {
            call
        }
        expr => return build(Tree { id, expr }, true),
    };
    let adds = call.func_name == operators::ADD;
    let args = call.args.into_iter().enumerate();
    call.args = args
        .map(|(at, arg)| match at {
            0 if !adds => build(arg, true),
            _ if adds => build(arg, true),
            _ => step(arg),
        })
        .collect();
    Tree {
        id,
        expr: Expr::Call(call),
    }
}

fn spent(tree: Tree) -> Tree {
    match tree.expr {
        Expr::Literal(_) => tree,
        _ => function(tree.id, SPEND, vec![tree]),
    }
}

fn function(id: u64, name: &str, args: Vec<Tree>) -> Tree {
    Tree {
        id,
        expr: Expr::Call(CallExpr {
            func_name: name.into(),
            target: None,
            args,
        }),
    }
}

fn text(id: u64, text: &str) -> Tree {
    Tree {
        id,
        expr: Expr::Literal(LiteralValue::String(text.into())),
    }
}
