//! Reads what Prometheus would read: the samples of a scrape, by name and labels.

use std::collections::BTreeMap;

/// The samples of a scrape: `name{labels}` as it is written → value.
pub struct Scrape {
    pub text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Asks `address` for its metrics, in the format of this `accept`.
    pub async fn of(address: &str, accept: &str) -> Self {
        let client = reqwest::Client::new();
        let request = client
            .get(format!("http://{address}/metrics"))
            .header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                (series.to_owned(), value.parse().unwrap())
            })
            .collect();
        Self { text, samples }
    }

    /// The value of a series, given as it is written; zero where there is none.
    pub fn value(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or(0.0)
    }

    pub fn has(&self, series: &str) -> bool {
        self.samples.contains_key(series)
    }
}
