//! The rules of expressions, by example.
//! Tests only.

use proptest::prelude::*;
use serde_json::json;

use super::*;

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
fn what_is_too_long_or_too_deep_is_refused_before_it_runs() {
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    assert!(Expression::compile(&deep, &[]).is_err());
    let calls = format!("1{}", ".string()".repeat(100));
    assert!(Expression::compile(&calls, &[]).is_err());
    let loops = "record.a.all(x, record.a.all(y, record.a.all(z, x == y && y == z)))";
    assert!(Expression::compile(loops, &["record"]).is_err());
    assert!(Expression::compile(&"1+".repeat(MAX_TEXT), &[]).is_err());
}

#[test]
fn the_deepest_expression_fits_a_small_stack() {
    let long = vec!["record.a"; MAX_DEPTH - 3].join(" + ");
    let nested = format!("{}record.a{}", "string(".repeat(40), ")".repeat(40));
    let lists = format!("{}record.a{}", "[".repeat(40), "]".repeat(40));
    let run = move || {
        for text in [long, nested, lists] {
            run(&text, &json!({"a": "x"})).unwrap();
        }
    };
    // The stack of a worker's thread.
    let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    small.spawn(run).unwrap().join().unwrap();
}

#[test]
fn what_is_not_there_is_said_when_it_is_compiled() {
    for (text, part) in [
        ("record.name.lower()", "there is no function \"lower\""),
        ("upper(record.name)", "there is no function \"upper\""),
        ("math.cbrt(1)", "\"cbrt\""),
        ("Point{x: 1}", "there is no type \"Point\""),
        ("recrod.x", "there is no variable \"recrod\""),
        ("record.a.all(x, y == 1)", "there is no variable \"y\""),
        ("record.", "Syntax error"),
    ] {
        let problem = Expression::compile(text, &["record"]).unwrap_err().problem;
        assert!(problem.contains(part), "{text}: {problem}");
    }
}

#[test]
fn every_function_that_is_allowed_is_there() {
    for name in functions::FUNCTIONS {
        let text = format!("{name}()");
        let tree = Program::compile(&text).unwrap().expression().clone();
        let result =
            panics::quietly(|| kube_cel::cel::Value::resolve(&tree, &functions::context()));
        if let Ok(Err(kube_cel::cel::ExecutionError::UndeclaredReference(missing))) = result {
            panic!("{name}: there is no {missing}");
        }
    }
    for (text, expected) in [
        ("math.abs(-3)", json!(3)),
        ("lists.range(3)", json!([0, 1, 2])),
        ("sets.contains([1, 2], [1])", json!(true)),
        ("'a-b'.replace('-', '+')", json!("a+b")),
        ("optional.of(1).orValue(2)", json!(1)),
        ("'%s is %d'.format(['x', 3])", json!("x is 3")),
        ("['a', 'b'].join('/')", json!("a/b")),
        (
            "timestamp('2024-01-01T00:00:00Z') + duration('1h')",
            json!("2024-01-01T01:00:00+00:00"),
        ),
    ] {
        assert_eq!(run(text, &Value::Null).unwrap(), expected, "{text}");
    }
}

#[test]
fn work_without_bound_is_ended() {
    let record =
        json!({"a": vec![7; 50_000], "s": "x".repeat(100_000), "n": 1_000_000_000_000_i64});
    let doubled = format!("[record.s]{}", ".map(x, x + x)".repeat(30));
    let nested = format!(
        "[record.s]{}",
        ".map(x, [x, x, x, x, x, x, x, x])".repeat(20)
    );
    let quoted = format!("{}record.s{}", "strings.quote(".repeat(40), ")".repeat(40));
    for text in [
        "record.a.all(x, record.a.all(y, x == y))",
        "record.a.map(x, x)",
        "record.a.filter(x, record.a.exists(y, y > x))",
        "lists.range(record.n)",
        "record.s.replace('', record.s)",
        "record.a.map(x, 'x').join(record.s)",
        "record.a.all(x, record.s.size() > 0)",
        "record.a.all(x, record.s == record.s)",
        "record.a.exists(x, 'aaaa'.matches('(a{50}){50}'))",
        "record.a.distinct()",
        "'%.900000000f'.format([1.0])",
        "record.s.indexOf(record.s + 'y')",
        "record.a.all(x, lists.range(1000).size() == 1000) || true",
        &doubled,
        &nested,
        &quoted,
    ] {
        let Err(error) = run(text, &record) else {
            panic!("{text} was not ended");
        };
        assert!(error.problem.contains("steps"), "{text}: {}", error.problem);
    }
    let large = json!({"a": "x".repeat(10_000_000)});
    assert!(
        run("record.a", &large)
            .unwrap_err()
            .problem
            .contains("too long")
    );
    assert_eq!(run("has(record.b)", &large).unwrap(), json!(false));
    let usual = json!({"tags": vec!["a-tag"; 1_000]});
    assert_eq!(
        run("record.tags.exists(t, t.matches('^b'))", &usual),
        Ok(json!(false))
    );
    assert_eq!(
        run("record.tags.map(t, t.upperAscii()).size()", &usual),
        Ok(json!(1_000))
    );
}

#[test]
fn what_makes_the_evaluator_panic_is_an_error() {
    for text in [
        "b'x'.contains(b'')",
        "'é'.substring(0, 1)",
        "-(-9223372036854775807 - 1)",
        "'x'.format([])",
    ] {
        let _ = run(text, &json!({}));
    }
    assert!(run("b'x'.contains(b'')", &json!({})).is_err());
}

#[test]
fn no_error_shows_a_value() {
    let record = json!({"s": "hunter2", "m": {"hunter2": 1}, "n": 1_234_567, "l": ["hunter2"]});
    for text in [
        "record.s + 1",
        "record.s - record.s",
        "record.s > 1",
        "-record.s",
        "record[record.s]",
        "record.m[record.n]",
        "record.l[record.s]",
        "record.l[record.n]",
        "int(record.s)",
        "double(record.s)",
        "size(record.n)",
        "timestamp(record.s)",
        "duration(record.s)",
        "record.n / 0",
        "record.n % 0",
        "record.n * 9223372036854775807",
        "record.s.matches('[' + record.s)",
        "{record.m: 1}",
        "record.s ? 1 : 2",
        "record.l.join(record.n)",
        "quantity(record.s)",
        "semver(record.s)",
        "url(record.s)",
        "ip(record.s)",
        "record.s.all(x, x)",
        "record.s.a.b",
        "base64.decode(record.s)",
        "!record.s",
        "lists.range(-record.n)",
        "record.s in record.n",
        "b'x'.contains(b'')",
    ] {
        let problem = run(text, &record).unwrap_err().problem;
        assert!(
            !problem.contains("hunter2") && !problem.contains("1234567"),
            "{text}: {problem}"
        );
    }
}

#[test]
fn a_field_of_what_is_no_object_is_an_error_and_not_false() {
    let record = json!({"name": "Ada", "list": [1]});
    assert!(run("record.name.first", &record).is_err());
    assert!(run("record.list.first", &record).is_err());
    assert_eq!(run("has(record.name.first)", &record), Ok(json!(false)));
}

#[test]
fn the_result_is_the_same_every_time() {
    let record = json!({"m": (0..50).map(|n| (format!("k{n}"), n)).collect::<std::collections::BTreeMap<_, _>>()});
    let first = run("record.m.map(k, k)", &record).unwrap();
    for _ in 0..5 {
        assert_eq!(run("record.m.map(k, k)", &record).unwrap(), first);
    }
    assert_eq!(first[0], json!("k0"));
}

#[test]
fn an_error_is_no_answer() {
    let record = json!({"a": "x"});
    let missing = run("record.b == 1", &record).unwrap_err().problem;
    assert!(missing.contains("has(record.field)"), "{missing}");
    let yes_or_no = Expression::compile("record.a", &["record"]).unwrap();
    assert!(yes_or_no.test(&[("record", &record)]).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,40}", start in prop::sample::select(vec!["", "record.a", "record.a.map(x, ", "[record.a, "])) {
        let text = format!("{start}{text}");
        if let Ok(expression) = Expression::compile(&text, &["record"]) {
            let _ = expression.evaluate(&[("record", &json!({"a": [1, "x", null]}))]);
        }
    }

    #[test]
    fn no_program_makes_it_panic(
        parts in prop::collection::vec(prop::sample::select(vec![
            "record", ".a", ".b", "[0]", "[\"k\"]", "(", ")", "[", "]", "{", "}", "1", "-", "+", "*", " == ", " && ", " || ", "!",
            "'x'", "b'x'", "null", "true", " ? ", " : ", ",", ".map(x, ", ".all(x, ", ".filter(x, ", "x", ".size()",
            "has(record.a)", ".contains(", ".split('')", "lists.range(", "string(", "9223372036854775807", "1.5", "1u", ".format([",
            "timestamp(", "duration('1h')", ".replace('', 'x')", ".substring(1, ", "?.a", "optional.of(", ".join(", " in ",
        ]), 1..14)
    ) {
        let text = parts.concat();
        if let Ok(expression) = Expression::compile(&text, &["record"]) {
            let record = json!({"a": [1, "é", null, {"k": 2}], "b": {"k": "v"}});
            let first = expression.evaluate(&[("record", &record)]);
            prop_assert_eq!(first, expression.evaluate(&[("record", &record)]));
        }
    }
}

/// The same expression, always given to CEL.
fn by_cel(text: &str) -> Expression {
    let expression = Expression::compile(text, &["record"]).unwrap();
    Expression {
        plain: None,
        ..expression
    }
}

#[test]
fn what_is_answered_without_cel_is_answered_as_cel_would() {
    let records = [
        json!({}),
        json!(null),
        json!({"type": "customer.created", "data": {"id": "c1", "odd name": "x", "paid": true}}),
        json!({"type": "", "data": {"id": 7, "odd name": null, "paid": "true"}}),
        json!({"type": null, "data": "text"}),
        json!({"type": ["customer."], "data": [{"id": "c1"}]}),
        json!({"type": {"customer": 1}, "data": {"id": {"id": "c1"}}}),
    ];
    for (text, plain) in [
        ("record.type", true),
        (r#"record["type"]"#, true),
        (r#"record.data["odd name"]"#, true),
        ("record.data.paid", true),
        (r#"record.type == "customer.created""#, true),
        (r#""" == record.type"#, true),
        (r#"record.data.id != "c1""#, true),
        (r#"record.type.startsWith("customer.")"#, true),
        (r#"record.data.id.startsWith("")"#, true),
        ("record.data[0]", false),
        ("has(record.type)", false),
        (r#"record.type.endsWith("created")"#, false),
        (r#"record.type == "a" || record.type == """#, false),
        ("record.type == record.data", false),
        (r#""a" == "a""#, false),
    ] {
        let expression = Expression::compile(text, &["record"]).unwrap();
        assert_eq!(expression.plain.is_some(), plain, "{text}");
        for record in &records {
            let record = [("record", record)];
            assert_eq!(
                expression.evaluate(&record),
                by_cel(text).evaluate(&record),
                "{text} of {record:?}"
            );
            assert_eq!(
                expression.test(&record),
                by_cel(text).test(&record),
                "{text} of {record:?}"
            );
        }
    }
}
