//! A small HTTP/1.1 server on loopback that can answer anything, also what no library would send. Knows
//! nothing of records; `world` decides what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A request, read whole.
pub struct Request {
    pub method: String,
    /// The path's segments.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    /// By lower-case name.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Method and path, such as `GET /records`.
    pub fn line(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

/// What is written back.
pub enum Reply {
    /// Status, further headers, body; the length is added.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A head, then a body that is made while it is sent; the connection closes after it.
    Stream(String, Box<dyn Read + Send>),
    /// The connection closes without a word.
    Drop,
    /// Nothing is said until the client goes.
    Silence,
}

impl Reply {
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    pub fn text(status: u16, kind: &str, body: &str) -> Self {
        let kind = ("content-type", kind.to_owned());
        Self::Answer(status, vec![kind], body.as_bytes().to_vec())
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer(_, headers, _) = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// Listens until the process ends; returns the port.
pub fn serve(
    tls: Option<Arc<rustls::ServerConfig>>,
    handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let port = listener.local_addr().expect("an address").port();
    let handler: Handler = Arc::new(handler);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (handler, tls) = (handler.clone(), tls.clone());
            // Without it, the second part of an answer waits for the acknowledgement of the first (Nagle).
            stream.set_nodelay(true).expect("a socket");
            std::thread::spawn(move || {
                // A client that leaves in the middle is what some of the rows are about.
                let _ = match tls {
                    None => converse(stream, &handler),
                    Some(config) => rustls::ServerConnection::new(config)
                        .map_err(std::io::Error::other)
                        .and_then(|tls| converse(rustls::StreamOwned::new(tls, stream), &handler)),
                };
            });
        }
    });
    port
}

/// Answers the requests of one connection.
fn converse(stream: impl Read + Write, handler: &Handler) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = match read(&mut stream) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) => {
                // What servers that speak plain HTTP say to TLS.
                stream
                    .get_mut()
                    .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?;
                return Err(error);
            }
        };
        let to = stream.get_mut();
        match handler(&request) {
            Reply::Answer(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                to.write_all(format!("{head}\r\n").as_bytes())?;
                to.write_all(&body)?;
                to.flush()?;
            }
            Reply::Stream(head, mut body) => {
                to.write_all(head.as_bytes())?;
                std::io::copy(&mut body, to)?;
                return to.flush();
            }
            Reply::Drop => return Ok(()),
            Reply::Silence => {
                // Ends when the client closes the connection.
                stream.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
        }
    }
}

/// The first byte of a client that speaks TLS (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Reads a request; `None`: the client has closed the connection.
fn read(stream: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    if stream.fill_buf()?.first() == Some(&TLS_HANDSHAKE) {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or("/"),
    );
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                request
                    .headers
                    .push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    let length = request
        .header("content-length")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// Accepts nothing and has no room for more: a connection to it is never made.
pub struct Full {
    pub port: u16,
    _listener: tokio::net::TcpListener,
    _runtime: tokio::runtime::Runtime,
    _waiting: Vec<TcpStream>,
}

impl Full {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = {
            let _inside = runtime.enter();
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket
                .bind(([127, 0, 0, 1], 0).into())
                .expect("a loopback port");
            socket.listen(1).expect("it listens")
        };
        let address = listener.local_addr().expect("an address");
        let mut waiting = Vec::new();
        // The queue takes one or two more than it is told; then attempts to connect are not answered.
        while let Ok(stream) =
            TcpStream::connect_timeout(&address, std::time::Duration::from_millis(200))
        {
            waiting.push(stream);
            assert!(waiting.len() < 16, "the queue has no end");
        }
        Self {
            port: address.port(),
            _listener: listener,
            _runtime: runtime,
            _waiting: waiting,
        }
    }
}
