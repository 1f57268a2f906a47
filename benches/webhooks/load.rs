//! A system that sends signed webhooks over many connections at once, each waiting for its answer. As cheap as it
//! can be, because it shares the machine: requests are made and signed before the start. Used by `main`.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Result, Run};

/// The key of the webhook (Standard Webhooks: base64 after a prefix).
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Sends every event once.
pub fn run(port: u16, connections: usize, events: usize) -> Result<Run> {
    let requests = requests(connections, events)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let begun = Instant::now();
        let tasks: Vec<_> = requests
            .into_iter()
            .map(|requests| tokio::spawn(send(port, requests)))
            .collect();
        let mut waits = Vec::with_capacity(events);
        for task in tasks {
            waits.extend(task.await??);
        }
        Ok(Run::of(waits, begun.elapsed().as_secs_f64()))
    })
}

/// Sends over one connection; gives how long each answer took, in nanoseconds.
async fn send(port: u16, requests: Vec<Vec<u8>>) -> Result<Vec<u64>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut waits = Vec::with_capacity(requests.len());
    let mut answer = Vec::with_capacity(1024);
    for request in requests {
        let sent = Instant::now();
        stream.write_all(&request).await?;
        answer.clear();
        // A good answer has no body.
        while !answer.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("the receiver hung up".into());
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&answer).into_owned().into());
        }
        waits.push(sent.elapsed().as_nanos() as u64);
    }
    Ok(waits)
}

/// The requests of each connection.
fn requests(connections: usize, events: usize) -> Result<Vec<Vec<Vec<u8>>>> {
    let encoded = SECRET.strip_prefix("whsec_").unwrap_or(SECRET);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(encoded)?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok((0..connections)
        .map(|connection| {
            (connection..events)
                .step_by(connections)
                .map(|number| request(&key, number, now))
                .collect()
        })
        .collect())
}

fn request(key: &hmac::Key, number: usize, now: u64) -> Vec<u8> {
    let body = format!(
        r#"{{"type":"customer.updated","timestamp":"2026-11-28T02:00:00Z","data":{{"id":"cus_{number:08}","email":"customer-{number}@example.com","name":"Ada King Lovelace","status":"active","changed":["email","status"]}}}}"#
    );
    let signed = hmac::sign(key, format!("msg_{number}.{now}.{body}").as_bytes());
    let signature = STANDARD.encode(signed.as_ref());
    format!(
        "POST /hooks/default/shop/events HTTP/1.1\r\nhost: hooks.example.com\r\nuser-agent: webhooks/1\r\n\
         content-type: application/json\r\nwebhook-id: msg_{number}\r\nwebhook-timestamp: {now}\r\n\
         webhook-signature: v1,{signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
