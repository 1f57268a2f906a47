//! The demo's source: an online shop with customers and orders, an API key and pages by token.
//! `cargo run --example shop`; a program of its own that knows nothing of Syncline.

mod data;
mod names;
mod routes;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::net::IpAddr;
use std::sync::Arc;

use clap::Parser;

/// An online shop with messy data.
#[derive(Parser)]
struct Flags {
    /// Address to listen at.
    #[arg(long, default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port to listen at; 0 takes a free one and prints it.
    #[arg(long, default_value_t = 8181)]
    port: u16,
    /// How many customers there are.
    #[arg(long, default_value_t = 2000)]
    data: u64,
    /// How many orders there are.
    #[arg(long, default_value_t = 3000)]
    orders: u64,
    /// The same seed makes the same data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Flags {
        listen,
        port,
        data,
        orders,
        seed,
    } = Flags::parse();
    let server = routes::Server::new(move || store::Shop::new(seed, data, orders));
    support::serve::serve(
        "shop",
        (listen, port).into(),
        routes::routes(Arc::new(server)),
    )
    .await
}
