//! The rules of expressions, by example.
//! Tests only.

use super::*;
use serde_json::json;

fn run(text: &str, record: &Value) -> Result<Value, ExpressionError> {
    Expression::compile(text, &["record"])?.evaluate(&[("record", record)])
}

#[test]
fn an_expression_sees_fields_types_and_the_kubernetes_functions() {
    let record = json!({"orders": 12, "name": "Ada", "tags": ["a", "b"], "big": u64::MAX});
    for (text, expected) in [
        (
            r#"has(record.orders) && record.orders > 10 ? "vip" : "standard""#,
            json!("vip"),
        ),
        (r#"has(record.none) ? 1 : 2"#, json!(2)),
        (r#"record.name.lowerAscii()"#, json!("ada")),
        (r#"record.tags.exists(t, t == "b")"#, json!(true)),
        (
            r#"record.tags.map(t, t + record.name)"#,
            json!(["aAda", "bAda"]),
        ),
        ("record.big", json!(u64::MAX)),
        (r#"record["name"]"#, json!("Ada")),
    ] {
        assert_eq!(run(text, &record).unwrap(), expected, "{text}");
    }
}

#[test]
fn an_unknown_variable_is_named_with_the_known_ones() {
    let problem = Expression::compile("recrod.x == 1", &["record"])
        .unwrap_err()
        .problem;
    assert!(
        problem.contains("recrod") && problem.contains("record"),
        "{problem}"
    );
}

#[test]
fn what_would_cost_too_much_is_refused_before_it_runs() {
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    assert!(Expression::compile(&deep, &[]).is_err());
    let loops = "record.a.all(x, record.a.all(y, record.a.all(z, x == y && y == z)))";
    assert!(Expression::compile(loops, &["record"]).is_err());
    let long = json!({"a": vec![1; MAX_ITEMS_NESTED + 1]});
    assert!(run("record.a.all(x, record.a.all(y, x == y))", &long).is_err());
    assert!(Expression::compile(&"1+".repeat(MAX_TEXT), &[]).is_err());
}

#[test]
fn an_error_is_no_answer() {
    let record = json!({"a": "x"});
    assert!(run("record.b == 1", &record).is_err());
    let yes_or_no = Expression::compile("record.a", &["record"]).unwrap();
    assert!(yes_or_no.test(&[("record", &record)]).is_err());
}
