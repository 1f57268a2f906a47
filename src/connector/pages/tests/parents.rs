//! Lists that are read for values, for another object's records, and on several levels.

use super::*;

fn objects(for_each: Value) -> Value {
    json!([
        {"name": "shops", "key": ["id"], "list": {"path": "/shops", "pagination": {"page": {"sendAs": query("page")}}}},
        {"name": "orders", "key": ["id"], "list": {
            "path": "/shops/${parent.id}/orders",
            "forEach": [{"object": {"name": "shops"}}],
            "include": [{"field": "shop", "from": "id"}],
            "pagination": {"page": {"sendAs": query("page")}},
        }},
        {"name": "things", "key": ["id"], "list": {
            "path": "/shops/${parent.shop}/orders/${parent.id}/things",
            "forEach": for_each,
            "include": [{"field": "order", "from": "id"}, {"field": "shop", "from": "shop"}],
            "pagination": {"page": {"sendAs": query("page")}},
        }},
    ])
}

/// Two pages of everything: shops 1..=4, orders `shop * 10 + 1..=4`, things `order * 10 + 1..=4`.
fn tree(asked: &Asked) -> Answered {
    let page = asked.number("page", 1);
    let parts: Vec<&str> = asked.path.split('/').collect();
    let parent: i64 = match parts[..] {
        ["", "shops"] => 0,
        ["", "shops", _, "orders", order, "things"] => order.parse().unwrap(),
        ["", "shops", shop, "orders"] => shop.parse().unwrap(),
        _ => return refused(404),
    };
    let from = parent * 10 + 1 + (page as i64 - 1) * 2;
    let ids = if page <= 2 { from..from + 2 } else { 0..0 };
    Value::from(
        ids.map(|id| json!({"id": id, "other": "big"}))
            .collect::<Vec<_>>(),
    )
    .into()
}

#[tokio::test]
async fn a_list_is_read_for_each_value() {
    let list = json!({
        "path": "/${parent.value}/things",
        "forEach": [{"values": ["eu", "a/b"]}, {"values": ["us"]}],
        "include": [{"field": "region", "from": "value"}],
    });
    let system = System::new(list, |a: &Asked| {
        json!([{"id": a.path.len(), "region": "?"}]).into()
    });
    let pages = system.pages(ScanStart::default()).await.unwrap();
    assert_eq!(
        system.paths(),
        ["/eu/things", "/a%2Fb/things", "/us/things"]
    );
    let regions: Vec<Value> = pages
        .iter()
        .flat_map(|p| &p.records)
        .map(|r| value(r)["region"].clone())
        .collect();
    assert_eq!(regions, ["eu", "a/b", "us"]);
    for (i, page) in pages.iter().enumerate() {
        let rest = system.pages(resume(page)).await.unwrap();
        assert_eq!(ids(&rest), ids(&pages[i + 1..]), "after page {i}");
    }
}

#[tokio::test]
async fn a_list_is_read_for_each_record_of_two_levels() {
    let system = System::with(objects(json!([{"object": {"name": "orders"}}])), tree);
    let pages = system.pages(ScanStart::default()).await.unwrap();
    let mut expected = Vec::new();
    for shop in 1..=4 {
        for order in 1..=4 {
            expected.extend((1..=4).map(|thing| shop * 100 + order * 10 + thing));
        }
    }
    assert_eq!(ids(&pages), expected);
    let first = value(&pages[0].records[0]);
    assert_eq!(
        first,
        json!({"id": 111, "other": "big", "order": 11, "shop": 1})
    );
    assert!(
        !pages[0].position.to_string().contains("big"),
        "only what is used of a parent is kept"
    );
}

#[tokio::test]
async fn a_scan_goes_on_at_the_parent_that_it_was_at() {
    let system = System::with(objects(json!([{"object": {"name": "orders"}}])), tree);
    let pages = system.pages(ScanStart::default()).await.unwrap();
    for (i, page) in pages.iter().enumerate() {
        let rest = system.pages(resume(page)).await.unwrap();
        assert_eq!(ids(&rest), ids(&pages[i + 1..]), "after page {i}");
    }
}

#[tokio::test]
async fn parents_that_moved_meanwhile_are_read_again_rather_than_missed() {
    let system = System::with(objects(json!([{"object": {"name": "orders"}}])), tree);
    let pages = system.pages(ScanStart::default()).await.unwrap();
    let inside = pages
        .iter()
        .position(|p| ids(std::slice::from_ref(p)).first() == Some(&121))
        .unwrap();
    // Order 12 is gone from its page: the position's parent is not found there.
    system.becomes(|a| match (a.path.as_str(), a.number("page", 1)) {
        ("/shops/1/orders", 1) => json!([{"id": 11}, {"id": 15}]).into(),
        _ => tree(a),
    });
    let rest = ids(&system.pages(resume(&pages[inside])).await.unwrap());
    for order in [11, 13, 14, 15, 21, 44] {
        assert!(rest.contains(&(order * 10 + 1)), "order {order}");
    }
}

#[tokio::test]
async fn a_parent_that_is_gone_meanwhile_is_counted_and_passed() {
    let system = System::with(
        objects(json!([{"object": {"name": "orders"}}])),
        |a: &Asked| match a.path.as_str() {
            "/shops/1/orders/11/things" => refused(404),
            _ => tree(a),
        },
    );
    let pages = system.pages(ScanStart::default()).await.unwrap();
    assert_eq!(ids(&pages).len(), 60);
    assert_eq!(pages.iter().map(|p| p.ignored).sum::<u32>(), 1);
}

#[tokio::test]
async fn a_path_that_no_parent_has_is_an_error() {
    let system = System::with(
        objects(json!([{"object": {"name": "orders"}}])),
        |a: &Asked| match a.path.ends_with("things") {
            true => refused(404),
            false => tree(a),
        },
    );
    let failure = system.failure().await;
    assert!(
        failure.message.contains("for all of 16 parents"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_parent_without_the_field_is_counted_and_passed() {
    let system = System::with(
        objects(json!([{"object": {"name": "orders"}}])),
        |a: &Asked| match a.path.as_str() {
            "/shops" if a.number("page", 1) == 1 => json!([{"id": null}, {"id": 2}]).into(),
            "/shops" => json!([]).into(),
            _ => tree(a),
        },
    );
    let pages = system.pages(ScanStart::default()).await.unwrap();
    assert_eq!(ids(&pages).len(), 16);
    assert_eq!(pages.iter().map(|p| p.ignored).sum::<u32>(), 1);
}

#[tokio::test]
async fn no_parents_make_an_empty_scan() {
    let system = System::with(
        objects(json!([{"object": {"name": "orders"}}])),
        |_: &Asked| json!([]).into(),
    );
    let pages = system.pages(ScanStart::default()).await.unwrap();
    assert_eq!(
        (pages.len(), pages[0].records.len(), pages[0].ignored),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_failure_at_a_parents_list_is_not_the_end() {
    let system = System::with(
        objects(json!([{"object": {"name": "orders"}}])),
        |a: &Asked| match a.path.as_str() {
            "/shops/2/orders" => refused(500),
            _ => tree(a),
        },
    );
    let mut reader = system.read("things", ScanStart::default());
    let mut read = Vec::new();
    let failure = loop {
        match reader.next().await {
            Ok(page) => read.push(page.expect("an end that is none")),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.status, Some(500));
    system.becomes(tree);
    while let Some(page) = reader.next().await.unwrap() {
        read.push(page);
    }
    assert_eq!(ids(&read).len(), 64, "the same reader goes on");
}
