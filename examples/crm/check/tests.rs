use serde_json::json;

use super::*;

fn customer(id: &str, email: &str, name: &str) -> Value {
    json!({
        "id": id, "full_name": name, "email": email, "phone": "+1 2", "language": "en", "newsletter": true,
        "completed_orders": 11, "created": "12/31/2025",
        "billing": {"address": {"street": "1 Mill Lane", "city": "Bath", "country": "GB"}},
    })
}

fn order(id: &str, customer: &str) -> Value {
    json!({
        "id": id, "customer_id": customer, "status": "complete", "placed": "01/31/2025", "total": "12.30",
        "currency": "USD", "items": [{"sku": "A", "quantity": 2}],
    })
}

/// Two customers in step with the CRM, one of them with an order.
fn in_step() -> (Crm, Export) {
    let customers = vec![
        customer("cus_1", "A@b.co", "Ada  King\u{a0}Lovelace"),
        customer("cus_2", "c@d.co", "Björk"),
    ];
    let shop = Export {
        customers,
        orders: vec![order("ord_1", "cus_1"), order("ord_2", "cus_9")],
    };
    let mut crm = Crm::default();
    let ids: Vec<u64> = shop
        .customers
        .iter()
        .map(|customer| crm.add_contact(expected::contact(customer).unwrap()))
        .collect();
    let mut deal = expected::deal(&shop.orders[0]).unwrap();
    deal.insert("contact_id".to_owned(), json!(ids[0]));
    crm.put_deal("ord_1", deal);
    (crm, shop)
}

#[test]
fn two_systems_in_step_are_ok() {
    let (crm, shop) = in_step();
    let report = check(&crm, &shop);
    assert!(report.ok, "{}", report.summary);
    assert_eq!((report.contacts.present, report.deals.present), (2, 1));
    assert_eq!(report.deals.waiting, ["ord_2"], "its customer never came");
}

#[test]
fn a_name_is_split_at_its_first_white_space() {
    let (crm, _) = in_step();
    let names: Vec<_> = crm
        .contacts
        .values()
        .map(|c| (c["first_name"].clone(), c["last_name"].clone()))
        .collect();
    assert_eq!(
        names,
        [
            (json!("Ada"), json!("King Lovelace")),
            (json!("Björk"), json!(""))
        ]
    );
}

#[test]
fn whatever_is_wrong_is_found() {
    let (mut crm, mut shop) = in_step();
    shop.customers[0]["phone"] = json!("+1 3");
    assert_eq!(check(&crm, &shop).contacts.stale, ["cus_1: phone"]);
    let second = expected::contact(&shop.customers[1]).unwrap();
    crm.add_contact(second);
    assert_eq!(
        check(&crm, &shop).contacts.duplicates,
        ["cus_2: 2 contacts"]
    );
    shop.customers.push(customer("cus_3", "e@f.co", "New"));
    assert_eq!(check(&crm, &shop).contacts.missing, ["cus_3"]);
    shop.customers.retain(|customer| customer["id"] != "cus_2");
    assert_eq!(
        check(&crm, &shop).contacts.unexpected.len(),
        2,
        "nobody accounts for them"
    );
    assert!(!check(&crm, &shop).ok);
}

#[test]
fn a_deal_with_another_contact_is_stale() {
    let (mut crm, shop) = in_step();
    let mut deal = crm.deals["ord_1"].clone();
    deal.insert("contact_id".to_owned(), json!(1002));
    crm.put_deal("ord_1", deal);
    assert_eq!(check(&crm, &shop).deals.stale, ["ord_1: contact_id"]);
}

#[test]
fn either_customer_of_one_email_may_own_its_contact() {
    for winner in 0..2 {
        let customers = vec![
            customer("cus_1", "a@b.co", "Ada"),
            customer("cus_2", "A@B.CO", "Bea"),
        ];
        let mut crm = Crm::default();
        crm.add_contact(expected::contact(&customers[winner]).unwrap());
        let report = check(
            &crm,
            &Export {
                customers,
                orders: vec![],
            },
        );
        assert!(report.ok, "{}", report.summary);
        let loser = ["cus_2", "cus_1"][winner];
        assert_eq!(report.contacts.rejected.keys().collect::<Vec<_>>(), [loser]);
    }
}

#[test]
fn the_crms_own_fields_and_people_are_left_alone() {
    let known = |email: &str| {
        let fields = json!({"first_name": "Old", "last_name": "", "email": email, "owner": "sam"});
        fields.as_object().unwrap().clone()
    };
    let shop = Export {
        customers: vec![customer("cus_1", "a@b.co", "Ada")],
        orders: vec![],
    };
    let mut crm = Crm::with_known(vec![known("A@b.co"), known("walk-in@crm.example")]);
    let mapped = expected::contact(&shop.customers[0]).unwrap();
    crm.patch_contact(1001, mapped);
    assert!(check(&crm, &shop).ok);
    crm.patch_contact(1001, Fields::from_iter([("owner".to_owned(), Value::Null)]));
    assert_eq!(check(&crm, &shop).contacts.stale, ["cus_1: owner"]);
    crm.patch_contact(1002, Fields::from_iter([("phone".to_owned(), json!("1"))]));
    assert_eq!(
        check(&crm, &shop).contacts.unexpected,
        ["1002: was not the shop's to change"]
    );
}
