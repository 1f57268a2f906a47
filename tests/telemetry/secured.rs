//! A collector that speaks TLS with a certificate of its own authority, and only with clients that this authority
//! knows.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::collector;
use super::systems::RECORDS;
use super::traces::{ENDPOINT, result, run};

/// Takes only connections whose handshake went well.
struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.listener.accept().await.expect("a connection");
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// An authority, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.0).expect("a certificate"), key)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut known = rustls::RootCertStore::empty();
        known.add(self.0.der().clone()).expect("a root");
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(known), Arc::clone(&provider));
        let (certificate, key) = self.sign("127.0.0.1");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(clients.build().expect("a verifier"))
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            );
        TlsAcceptor::from(Arc::new(config.expect("TLS")))
    }
}

fn pem(folder: &Path, name: &str, what: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let file = folder.join(name);
    std::fs::write(
        &file,
        format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n"),
    )
    .expect("a file");
    file.display().to_string()
}

#[tokio::test]
async fn a_collector_behind_tls_is_told_by_who_trusts_it_and_shows_who_it_is() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let collector = collector::serve(Secured {
        listener,
        acceptor: authority.acceptor(),
    });
    let (certificate, key) = authority.sign("syncline");
    let root = pem(folder.path(), "ca.pem", "CERTIFICATE", authority.0.der());
    let shown = pem(
        folder.path(),
        "client.pem",
        "CERTIFICATE",
        certificate.der(),
    );
    let key = pem(
        folder.path(),
        "key.pem",
        "PRIVATE KEY",
        &key.serialize_der(),
    );
    let to = (ENDPOINT, &*url);
    let trusts = ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*root);
    let shows = [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*shown),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key),
    ];

    for settings in [vec![to, shows[0], shows[1]], vec![to, trusts]] {
        let output = run(&settings).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.matches("traces are not taken").count(), 1, "{said}");
        assert_eq!(result(&output)["counts"]["read"], RECORDS);
    }
    assert!(collector.bytes().is_empty(), "it was told by a stranger");

    let packed = ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    let output = run(&[to, trusts, shows[0], shows[1], packed]).await;
    assert_eq!(result(&output)["counts"]["read"], RECORDS);
    // The run, its page, and its writes of which one came twice.
    assert_eq!(collector.spans().len() as u64, RECORDS + 3);
    let codings = collector.header("content-encoding");
    assert!(codings.iter().all(|coding| coding == "gzip"), "{codings:?}");
}
