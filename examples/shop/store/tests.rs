use super::*;

fn walk(shop: &Shop, since: i64, limit: usize) -> Vec<String> {
    let (mut ids, mut position) = (Vec::new(), None);
    loop {
        let (page, next) = shop.customers.page(since, position, limit);
        ids.extend(page.iter().map(|c| c.id.clone()));
        match next {
            Some(_) => position = next,
            None => return ids,
        }
    }
}

#[test]
fn pages_hold_every_record_once_whatever_their_size() {
    let shop = Shop::new(1, 300, 0);
    let whole = walk(&shop, 0, 1000);
    assert_eq!(whole.len(), 299, "one of 300 comes later");
    for limit in [1, 7, 100, 299] {
        assert_eq!(walk(&shop, 0, limit), whole, "pages of {limit}");
    }
}

#[test]
fn changed_records_are_all_that_is_found_since_then() {
    let mut shop = Shop::new(1, 2000, 3000);
    let before = Timestamp::now().as_millisecond();
    let mut changed = shop.change_customers(10);
    let mut found = walk(&shop, before, 3);
    changed.sort();
    found.sort();
    assert_eq!(found, changed);
    assert_eq!(changed.len(), 10);
    assert_eq!(walk(&shop, 0, 100).len(), 1992, "nothing was added or lost");
}

#[test]
fn the_same_seed_makes_the_same_shop() {
    let text = |seed| serde_json::to_string(Shop::new(seed, 50, 50).customers.all()).unwrap();
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}

#[test]
fn every_kind_of_mess_is_there() {
    let shop = Shop::new(1, 2000, 3000);
    let customers = shop.customers.all();
    let emails: Vec<_> = customers.iter().map(|c| &c.email).collect();
    assert!(emails.contains(&&None), "no email field");
    assert!(emails.contains(&&Some(None)), "an email that is null");
    assert!(
        emails
            .iter()
            .any(|e| matches!(e, Some(Some(e)) if !e.contains('@'))),
        "not an address"
    );
    assert!(
        emails
            .iter()
            .any(|e| matches!(e, Some(Some(e)) if *e == e.to_uppercase())),
        "in capitals"
    );
    for space in ["  ", "\u{a0}", "\u{3000}"] {
        assert!(
            customers.iter().any(|c| c.full_name.contains(space)),
            "{space:?} in a name"
        );
    }
    assert!(
        customers
            .iter()
            .any(|c| !c.full_name.contains(char::is_whitespace)),
        "one word"
    );
    assert!(
        customers.iter().any(|c| !is_date(&c.created)),
        "an impossible date"
    );
    let orders = shop.orders.all();
    assert!(
        orders.iter().any(|o| o.status == "archived?"),
        "an unknown status"
    );
    assert!(
        orders.iter().any(|o| !is_date(&o.placed)),
        "an impossible date"
    );
    for currency in ["USD", "EUR", "JPY", "KWD"] {
        assert!(orders.iter().any(|o| o.currency == currency), "{currency}");
    }
    let lost = orders
        .iter()
        .filter(|o| shop.customers.get(&o.customer_id).is_none())
        .count();
    assert!(lost > 8, "customers that come later or never: {lost}");
}
