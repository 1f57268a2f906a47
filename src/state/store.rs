//! The [`Store`] trait: what every store must do, said once. `state::contract` holds both stores to it;
//! `worker`, `runtime` and `cli` know nothing else of them.

use futures::future::BoxFuture;

use crate::record::{Fingerprint, Key, SyncName, TargetId};

use super::{
    Change, Closed, Closing, Delivered, Exception, Keep, Known, Link, Millis, Notice, OnMismatch,
    Present, Session, StoreError, Stored, SyncState, Totals,
};

/// Another source record that has a match value.
#[derive(Clone, Debug, PartialEq)]
pub enum Holder {
    /// It may have created the target record: nobody else may, until that is known.
    InDoubt(Key),
    Linked(Link),
}

/// Which exceptions to read.
#[derive(Clone, Debug)]
pub enum Pick {
    /// `Retry` and `Unknown` that are due at this moment, oldest first.
    Due(Millis),
    /// Waiting records that can go on: their link is there now, or no other record with their match
    /// value is in doubt any more.
    Awaited,
    /// Dead letters, by key, after this one.
    DeadLetters { after: Option<Key> },
}

/// Which dead letters a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Key(Key),
    Reason(String),
    All,
}

/// What [`Store::open`] does when another process that lives runs the Sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Takeover {
    /// It refuses: two are not meant to run one Sync.
    #[default]
    Refuse,
    /// It ends the other's right first: the caller was elected, the other one was cut off.
    Force,
}

/// Durable state. Every method takes effect as a whole or not at all, and what was answered survives a
/// power failure and is seen by every later call.
///
/// - **Epochs.** Each [`Store::open`] raises the Sync's epoch; [`Store::commit`] checks it inside its
///   transaction and refuses an older session with [`StoreError::Fenced`], so that a worker that was
///   replaced can change nothing any more. Sessions of other Syncs are not disturbed.
/// - **Failure.** After one failed commit every later commit of that session fails too, because it builds
///   on what was not kept. Where the answer to a commit is lost with the connection, its fate is not
///   known: that is a failed commit, and whoever wants to go on opens the Sync again and reads what is there.
/// - **Groups.** Commits that wait at the same time may share one transaction, and fail together when that
///   fails; one that is refused because of its session harms no other. They take effect in the order in which
///   `commit` was called.
/// - **Text** may hold any character, NUL too; keys are ordered byte by byte.
/// - **Times.** A link's [`Moment::Time`](crate::record::Moment::Time) comes back as the number of its
///   nanoseconds.
pub trait Store: Send + Sync {
    /// Takes a Sync over: raises its epoch, so that whoever had it can change nothing any more. A Sync that
    /// has no state gets an empty one.
    ///
    /// # Errors
    /// [`StoreError::Running`] or [`StoreError::Locked`] where another process runs the Sync, and
    /// [`StoreError::Mismatch`] where the stored identity is another one and `on` says `Refuse`; the epoch
    /// stays as it is then. `Adopt` keeps the state under the new identity, `Reset` forgets all of it.
    fn open(
        &self,
        sync: &SyncName,
        identity: Fingerprint,
        on: OnMismatch,
    ) -> BoxFuture<'_, Result<(Session, SyncState), StoreError>>;

    /// The outbox as the last worker left it, oldest first.
    fn outbox(&self, session: &Session) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>>;

    /// What is known of these keys, in their order (a key may come twice); exceptions only when asked for.
    fn known(
        &self,
        session: &Session,
        keys: Vec<Key>,
        exceptions: bool,
    ) -> BoxFuture<'_, Result<Vec<Known>, StoreError>>;

    /// The targets that other Syncs linked to these keys, in their order.
    fn linked(
        &self,
        wanted: Vec<(SyncName, Key)>,
    ) -> BoxFuture<'_, Result<Vec<Option<TargetId>>, StoreError>>;

    /// Who else has this match value: a source record whose create is in doubt, before one that is
    /// linked to a target. `except` is the key that asks. A create that is confirmed meanwhile is seen as
    /// the one or the other.
    fn by_match(
        &self,
        session: &Session,
        matching: i64,
        except: &Key,
    ) -> BoxFuture<'_, Result<Option<Holder>, StoreError>>;

    /// A source record other than `except` that is linked to this target record; only for Syncs with `match`.
    fn by_target(
        &self,
        session: &Session,
        target: &TargetId,
        except: &Key,
    ) -> BoxFuture<'_, Result<Option<Link>, StoreError>>;

    /// The links by which the target has, or may have, records whose source records are not known to be gone: by
    /// key, after this one, at most `limit`.
    fn present(
        &self,
        session: &Session,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Present>, StoreError>>;

    /// At most `limit` exceptions.
    fn exceptions(
        &self,
        session: &Session,
        pick: Pick,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Exception>, StoreError>>;

    /// When the first `Retry` or `Unknown` is due that is not due at this moment.
    fn next_due(
        &self,
        session: &Session,
        after: Millis,
    ) -> BoxFuture<'_, Result<Option<Millis>, StoreError>>;

    fn totals(&self, session: &Session) -> BoxFuture<'_, Result<Totals, StoreError>>;

    /// Applies a group of changes as one durable transaction. The session must come from [`Store::open`]
    /// of this store. The change is on its way when this returns, whether or not the answer is awaited.
    fn commit(
        &self,
        session: &Session,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>>;

    /// [`Store::commit`] for what nobody waits for: the store may keep it for some milliseconds while others
    /// come to share its transaction. The order among all commits stays that of the calls.
    fn commit_soon(
        &self,
        session: &Session,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        self.commit(session, changes)
    }

    /// The Syncs that have state, with it, by namespace and name. Changes nothing and takes nothing over.
    fn list(&self) -> BoxFuture<'_, Result<Vec<(Session, SyncState)>, StoreError>>;

    /// A Sync that has state, with it; `None`: it has none. Changes nothing and takes nothing over.
    fn find(
        &self,
        sync: &SyncName,
    ) -> BoxFuture<'_, Result<Option<(Session, SyncState)>, StoreError>>;

    /// When the oldest record was first seen that is still on its way: to be tried again, of unknown
    /// fate, or waiting for a link. A listed session will do.
    fn oldest_open(&self, session: &Session) -> BoxFuture<'_, Result<Option<Millis>, StoreError>>;

    /// Notes when the state of a Sync is to be forgotten, or that it is not; nothing where there is none.
    /// Only for a Sync that nobody runs: a worker would write the state as it knows it.
    fn expire(&self, sync: &SyncName, at: Option<Millis>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets everything of a Sync. Whoever works on it can change nothing any more.
    fn forget(&self, sync: &SyncName) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Dead letters go back to work: `keys`, or all of this reason, or all. They are due at once, through
    /// the Mapping again. Needs no session of its own: a listed one will do. Returns how many.
    fn replay(&self, session: &Session, which: Which) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Dead letters are dropped: the version seen counts as dealt with. An ambiguous one stands in the
    /// target then, under an id that is [not told](TargetId::untold), and keeps its match value; a newer
    /// one that waited behind it goes to work. What is noted of them is kept, for the last
    /// [`super::MOST_CLOSED`] of a Sync. A listed session will do. Returns how many.
    fn discard(
        &self,
        session: &Session,
        which: Which,
        closing: Closing,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Drops dead letters that are too old or too many, the oldest first, as [`Store::discard`] does; at most
    /// `limit` at once. Returns how many: as many as `limit` means that there may be more.
    fn expire_dead_letters(
        &self,
        session: &Session,
        keep: Keep,
        at: Millis,
        limit: usize,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Dead letters that are gone, the last one first.
    fn closed(
        &self,
        session: &Session,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Closed>, StoreError>>;

    /// Keeps what a Connection (`NAMESPACE/NAME`) was told, durably. An event that was kept within the last
    /// [`crate::state::inbox::REMEMBERED`] is not kept again. Returns how many events were new.
    ///
    /// # Errors
    /// [`StoreError::InboxFull`] when more than [`crate::state::inbox::MOST`] notices wait, beside what every method may say.
    fn receive(
        &self,
        connection: &str,
        events: Vec<Delivered>,
        at: Millis,
    ) -> BoxFuture<'static, Result<u64, StoreError>>;

    /// The notices after this number, oldest first. A number that was once returned has no unseen one below.
    fn inbox(
        &self,
        connection: &str,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, Notice)>, StoreError>>;

    /// Number of the newest notice of any Connection; 0 when there was never one.
    fn inbox_end(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Forgets the notices that every Sync with a position in this Connection's inbox has passed, those that
    /// nobody took for [`crate::state::inbox::REMEMBERED`], and the ids of older events.
    fn prune_inbox(&self, connection: &str, at: Millis) -> BoxFuture<'_, Result<(), StoreError>>;

    /// A value kept beside the state of Syncs: a sealed refresh token, a manifest.
    fn load_value(&self, name: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;
    /// Keeps a value in place of the one of its name; `None` forgets that.
    fn save_value(
        &self,
        name: &str,
        value: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;
    /// The names of all values that begin so, in order.
    fn value_names(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;
}
