//! What the controller takes when a cluster declares thousands of Syncs: `cargo bench --bench scale` (or
//! `make bench-scale`) starts a real API server, declares them, starts the release build with the chart's own
//! rights, and prints times, memory and writes as a table. Judges nothing. Needs what tests/cluster/build needs.
//!
//! `SYNCLINE_SCALE` chooses other numbers of Syncs (`1000 10000`), `SYNCLINE_SCALE_QUIET` how many seconds are
//! watched for writes when nothing happens (300), `SYNCLINE_SCALE_PROGRAM` another build of the program.

#[path = "../../tests/support/cluster.rs"]
mod cluster;
mod controller;
mod observer;
mod system;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use cluster::ApiServer;
use controller::Controller;
use observer::Observer;
use system::System;
use world::{GROUP, World};

/// Longer than that and something hangs.
const LONGEST: Duration = Duration::from_secs(1800);
/// Nothing is written for so long: the start is over. Longer than the controller gathers numbers for.
const SETTLED: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sizes = std::env::var("SYNCLINE_SCALE").unwrap_or_else(|_| "1000 10000".to_owned());
    let quiet = std::env::var("SYNCLINE_SCALE_QUIET").unwrap_or_else(|_| "300".to_owned());
    let quiet = Duration::from_secs(quiet.parse().context("SYNCLINE_SCALE_QUIET")?);
    println!(
        "| Syncs | all reconciled | first runs done | memory at rest | peak | status writes in {} quiet s | CPU in them | \
         {GROUP} Syncs hear that a Secret's key is gone | and that it is back |",
        quiet.as_secs()
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for size in sizes.split_whitespace() {
        println!(
            "{}",
            measure(size.parse().context("SYNCLINE_SCALE")?, quiet).await?
        );
    }
    Ok(())
}

/// One row of the table.
async fn measure(size: usize, quiet: Duration) -> Result<String> {
    // It waits for processes: not on a thread that others wait for.
    let server = tokio::task::spawn_blocking(ApiServer::start).await?;
    let namespace = server.namespace("scale");
    let roles = server.install_roles(&namespace, &[]);
    let system = System::start().await?;
    let world = World::connect(&server.kubeconfig(), &namespace, system.port).await?;
    let clock = Instant::now();
    world.declare(size).await?;
    eprintln!("{size} Syncs declared in {:.0?}", clock.elapsed());

    let observer = Observer::start(world.client.clone(), &namespace);
    observer.until(LONGEST, |all| all.len() == size).await?;
    let mut controller = Controller::start(&roles)?;
    let clock = Instant::now();
    observer
        .until(LONGEST, |all| all.values().all(|one| one.is_ready()))
        .await?;
    let reconciled = clock.elapsed();
    observer
        .until(LONGEST, |all| {
            all.iter().all(|(name, one)| one.ran || !world::runs(name))
        })
        .await?;
    let ran = clock.elapsed();
    eprintln!("{size} reconciled after {reconciled:.1?}, first runs done after {ran:.1?}");

    observer.until_quiet(SETTLED, LONGEST).await?;
    let (writes, cpu) = (observer.writes(), controller.cpu()?);
    tokio::time::sleep(quiet).await;
    let (writes, cpu) = (observer.writes() - writes, controller.cpu()? - cpu);
    let memory = controller.memory()?;

    let users = world::group(0);
    world.set_secret(0, None).await?;
    let clock = Instant::now();
    let missing = |all: &observer::Seen| users.iter().all(|u| all[u].reason == "SecretMissing");
    observer.until(LONGEST, missing).await?;
    let noticed = clock.elapsed();
    world.set_secret(0, Some("second-key")).await?;
    let clock = Instant::now();
    observer
        .until(LONGEST, |all| users.iter().all(|u| all[u].is_ready()))
        .await?;
    system.until_used("second-key", LONGEST).await?;
    let restored = clock.elapsed();
    controller.stop()?;
    Ok(format!(
        "| {size} | {:.1} s | {:.1} s | {:.0} MiB | {:.0} MiB | {writes} | {cpu:.1} s | {:.1} s | {:.1} s |",
        reconciled.as_secs_f64(),
        ran.as_secs_f64(),
        memory.now,
        memory.peak,
        noticed.as_secs_f64(),
        restored.as_secs_f64(),
    ))
}
