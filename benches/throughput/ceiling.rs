//! The ceiling: one program written by hand for this one job, with reqwest (over the hyper client that the
//! engine uses too), typed structs and nothing durable. Sixteen requests under way, the next page fetched
//! meanwhile.

use std::error::Error;

use bytes::Bytes;
use futures::stream::{self, TryStreamExt};
use reqwest::Client;
use serde::Deserialize;

use crate::Mode;
use crate::records::Page;

/// Requests under way at once; the engine's manifests say the same.
pub const IN_FLIGHT: usize = 16;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Deserialize)]
struct BatchAnswer<'a> {
    #[serde(borrow)]
    results: Vec<BatchResult<'a>>,
}

#[derive(Deserialize)]
struct BatchResult<'a> {
    #[serde(borrow)]
    id: &'a str,
    status: u16,
}

/// Copies every record once and prints the peak memory in KiB.
pub fn copy(base: &str, mode: Mode, threads: usize) -> Result<(), Failure> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "TLS provider was set before")?;
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .build()?
        .block_on(copy_all(base, mode))?;
    println!("{}", crate::measure::peak_kib("self").unwrap_or(0));
    Ok(())
}

async fn copy_all(base: &str, mode: Mode) -> Result<(), Failure> {
    let client = Client::builder().build()?;
    let first = tokio::spawn(fetch(client.clone(), format!("{base}/records?limit=100")));
    let pages = stream::try_unfold(Some(first), |next| {
        let client = client.clone();
        async move {
            let Some(task) = next else {
                return Ok::<_, Failure>(None);
            };
            let body = task.await??;
            let page: Page<'_> = serde_json::from_slice(&body)?;
            let following = page.next_cursor.map(|cursor| {
                tokio::spawn(fetch(
                    client,
                    format!("{base}/records?limit=100&cursor={cursor}"),
                ))
            });
            let requests = match mode {
                Mode::Put => puts(&page),
                Mode::Batch => batch(&page),
            };
            Ok(Some((
                requests.ok_or("a record could not be mapped")?,
                following,
            )))
        }
    });
    pages
        .map_ok(|requests| stream::iter(requests.into_iter().map(Ok::<_, Failure>)))
        .try_flatten()
        .try_for_each_concurrent(IN_FLIGHT, |(path, body)| {
            send(&client, base, mode, path, body)
        })
        .await
}

async fn fetch(client: Client, url: String) -> Result<Bytes, Failure> {
    Ok(client
        .get(url)
        .send()
        .await?
        .error_for_status()?
        .bytes()
        .await?)
}

fn puts(page: &Page<'_>) -> Option<Vec<(String, Vec<u8>)>> {
    page.data
        .iter()
        .map(|customer| {
            Some((
                customer.id.to_owned(),
                serde_json::to_vec(&customer.contact()?).ok()?,
            ))
        })
        .collect()
}

fn batch(page: &Page<'_>) -> Option<Vec<(String, Vec<u8>)>> {
    let mut body = br#"{"records":["#.to_vec();
    for (at, customer) in page.data.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, &customer.contact()?).ok()?;
    }
    body.extend_from_slice(b"]}");
    Some(vec![(String::new(), body)])
}

async fn send(
    client: &Client,
    base: &str,
    mode: Mode,
    id: String,
    body: Vec<u8>,
) -> Result<(), Failure> {
    let request = match mode {
        Mode::Put => client.put(format!("{base}/records/{id}")),
        Mode::Batch => client.post(format!("{base}/batch")),
    };
    let request = request
        .header("content-type", "application/json")
        .body(body);
    let answer = request.send().await?.error_for_status()?.bytes().await?;
    if mode == Mode::Batch {
        let answer: BatchAnswer<'_> = serde_json::from_slice(&answer)?;
        if let Some(refused) = answer.results.iter().find(|result| result.status != 200) {
            return Err(format!("{} was refused", refused.id).into());
        }
    }
    Ok(())
}
