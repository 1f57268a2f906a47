//! Certificates as they should not be, and a shop that speaks TLS with them.

use std::sync::Arc;

use base64::Engine;
use rcgen::{CertificateParams, KeyPair};

use crate::bench::Bench;
use crate::server::serve;

/// Who the program is told to trust.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The certificates of this machine.
    Machine,
    /// The shop's own certificate.
    Shop,
    /// Nobody: a machine without certificates.
    Nobody,
}

/// Serves the shop over TLS with a certificate of its own making, and sends the manifests there.
pub fn shop_with(bench: &Bench, name: &str, expired: bool, trust: Trust) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    if expired {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    }
    let certificate = params.self_signed(&key).expect("a certificate");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .and_then(|builder| {
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        builder
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
    })
    .expect("TLS");
    let systems = bench.systems.clone();
    let port = serve(Some(Arc::new(config)), move |request| {
        systems.answer(request)
    });
    bench.replace(
        &format!("http://127.0.0.1:{}", bench.port),
        &format!("https://127.0.0.1:{port}"),
    );
    let file = bench.folder().join("trusted.pem");
    let trusted = match trust {
        Trust::Machine => return,
        Trust::Shop => {
            let text = base64::engine::general_purpose::STANDARD.encode(certificate.der());
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        }
        Trust::Nobody => String::new(),
    };
    std::fs::write(&file, trusted).expect("a file");
    bench.set("SSL_CERT_FILE", file.display().to_string());
}
