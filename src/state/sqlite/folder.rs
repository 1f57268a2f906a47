//! The state folder: made, locked for one process, and tried for room, so that a start says plainly what
//! is wrong with it. Knows nothing of the database; called by `SqliteStore::open`.

use std::fs::File;
use std::path::Path;

use crate::state::StoreError;

/// Makes the folder where there is none, and takes it for this process as long as the file is open.
pub fn take(directory: &Path) -> Result<File, StoreError> {
    let place = directory.display().to_string();
    let failed = |error: &std::io::Error| unusable(&place, error);
    std::fs::create_dir_all(directory).map_err(|e| failed(&e))?;
    // Opened as it is: a full disk has no room for a new file, and needs none.
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join("lock"))
        .map_err(|e| failed(&e))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::Locked { place }),
        Err(std::fs::TryLockError::Error(e)) => {
            return Err(StoreError::Broken {
                place,
                problem: format!("it cannot be locked: {e}"),
            });
        }
    }
    probe(directory).map_err(|e| failed(&e))?;
    Ok(lock)
}

/// Room that a start needs: SQLite tells a full disk, a quota or a limit of file sizes less well.
const ROOM: usize = 256 << 10;

/// Whether the folder can be written and has some room.
fn probe(directory: &Path) -> std::io::Result<()> {
    let file = directory.join("probe");
    let written = std::fs::write(&file, vec![0; ROOM]);
    // What cannot be removed is overwritten by the next start.
    let _ = std::fs::remove_file(&file);
    written
}

/// A state folder that cannot be made or written.
fn unusable(place: &str, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind::{
        AlreadyExists, FileTooLarge, NotADirectory, QuotaExceeded, StorageFull,
    };
    let place = place.to_owned();
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => StoreError::Full { place },
        AlreadyExists | NotADirectory => StoreError::NotAFolder { place },
        _ => StoreError::Unwritable {
            place,
            problem: error.to_string(),
        },
    }
}
