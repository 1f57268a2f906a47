//! The threads of the embedded store: how they begin and how they answer.
//! Used by the store itself.

use tokio::sync::oneshot;

use crate::state::StoreError;

pub fn spawn(
    name: &str,
    place: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<(), StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(|_| ())
        .map_err(|e| StoreError::Broken {
            place: place.to_owned(),
            problem: format!("cannot start a thread: {e}"),
        })
}

pub fn send<T>(
    reply: &std::sync::Mutex<Option<oneshot::Sender<Result<T, StoreError>>>>,
    result: Result<T, StoreError>,
) {
    let sender = reply.lock().ok().and_then(|mut slot| slot.take());
    if let Some(sender) = sender {
        // The caller may have gone; the transaction stands all the same.
        let _ = sender.send(result);
    }
}
