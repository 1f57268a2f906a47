//! The way to a system: names, addresses, connections, certificates, credentials.

use super::table;
use crate::bench::{Cure, ROW, Row};
use crate::server::{Full, Reply};
use crate::tls::{Trust, shop_with};

const SHOP: &str = r#"baseURL: "http://127.0.0.1:PORT""#;

table! {
    nobody_listens: Row {
        manifests: &[(SHOP, r#"baseURL: "http://127.0.0.1:9""#)],
        says: &["reading customers of Connection shop: Connection/shop: no connection to 127.0.0.1:9: Connection refused (os error 111); is it up, and is spec.http.baseURL right, https or http?"],
        ..ROW
    },
    a_name_that_does_not_resolve: Row {
        manifests: &[(SHOP, r#"baseURL: "http://shop.invalid""#)],
        says: &["Connection/shop: the name of shop.invalid:80 does not resolve: ", "check spec.http.baseURL and this machine's DNS"],
        ..ROW
    },
    a_host_that_does_not_answer: Row {
        spoil: |bench| {
            let full = Full::start();
            bench.replace(&format!("127.0.0.1:{}", bench.port), &format!("127.0.0.1:{}", full.port));
            Box::new(full)
        },
        says: &["Connection/shop: no connection to 127.0.0.1:", "is it up, and is spec.http.baseURL right, https or http?"],
        ..ROW
    },
    a_metadata_address: Row {
        manifests: &[(SHOP, r#"baseURL: "http://169.254.169.254""#)],
        says: &["Connection/shop: 169.254.169.254 is a link-local or metadata address; such addresses are never called; check spec.http.baseURL"],
        ..ROW
    },
    a_wrong_key_at_the_source: Row {
        fault: |request, _| (request.path[0] == "customers").then(|| Reply::text(401, "text/plain", "no")),
        says: &["Connection/shop: the credential in Secret keys key shop is not accepted (401); put a valid one there", "(first correct what is said above; it goes on where it stopped)"],
        ..ROW
    },
    a_wrong_key_at_the_target: Row {
        fault: |request, _| (request.path[0] == "contacts").then(|| Reply::text(401, "text/plain", "no")),
        says: &["writing contacts of Connection crm: Connection/crm: the credential in Secret keys key crm is not accepted (401)"],
        ..ROW
    },
    a_key_that_may_not_read: Row {
        fault: |request, _| (request.path[0] == "customers").then(|| Reply::text(403, "text/plain", "not yours")),
        says: &["Connection/shop: GET /customers answered 403"],
        ..ROW
    },
    a_key_that_may_not_write: Row {
        fault: |request, _| (request.method == "POST").then(|| Reply::text(403, "text/plain", "not yours")),
        says: &[
            "5 Forbidden",
            "writing contacts of Connection crm: Connection/crm: POST /contacts answered 403 Forbidden; the credential may not do this: give it the right to, or use another",
        ],
        dead: &[("c1", &["Forbidden", "POST /contacts answered 403", "replay customers c1"])],
        cure: Cure::Command(&["deadletters", "replay", "customers", "--all"]),
        ..ROW
    },
    a_certificate_that_nobody_signed: Row {
        spoil: |bench| {
            shop_with(bench, "127.0.0.1", false, Trust::Machine);
            Box::new(())
        },
        says: &["Connection/shop: the certificate of 127.0.0.1:", " is not accepted: invalid peer certificate: UnknownIssuer; check the host name, who signed it and until when"],
        ..ROW
    },
    a_certificate_of_another_host: Row {
        spoil: |bench| {
            shop_with(bench, "other.example.com", false, Trust::Shop);
            Box::new(())
        },
        says: &["is not accepted: invalid peer certificate: certificate not valid for name", "check the host name, who signed it and until when"],
        ..ROW
    },
    a_certificate_that_has_expired: Row {
        spoil: |bench| {
            shop_with(bench, "127.0.0.1", true, Trust::Shop);
            Box::new(())
        },
        says: &["is not accepted: invalid peer certificate: certificate expired", "check the host name, who signed it and until when"],
        ..ROW
    },
    a_machine_without_certificates: Row {
        spoil: |bench| {
            shop_with(bench, "127.0.0.1", false, Trust::Nobody);
            Box::new(())
        },
        says: &["Connection/shop: the HTTP client cannot be made: ", "https needs the machine's certificates"],
        ..ROW
    },
    https_where_http_is_spoken: Row {
        manifests: &[(SHOP, r#"baseURL: "https://127.0.0.1:PORT""#)],
        says: &["Connection/shop: no TLS connection to 127.0.0.1:PORT", "check that spec.http.baseURL speaks https"],
        ..ROW
    },
}
