//! Ends a command gracefully on Ctrl-C and on SIGTERM, as a terminal, a service manager or Kubernetes sends
//! them: what is under way is finished. A second signal ends it at once.

use tokio::sync::watch;

/// Sets `stop` at the first signal.
pub fn stop_on_signal(stop: watch::Sender<bool>) {
    tokio::spawn(async move {
        if next().await.is_err() {
            return;
        }
        eprintln!("stopping: what is under way is finished first; once more to stop at once");
        stop.send_replace(true);
        if next().await.is_ok() {
            // 128 + SIGINT, as shells say it.
            std::process::exit(130);
        }
    });
}

#[cfg(unix)]
async fn next() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn next() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
