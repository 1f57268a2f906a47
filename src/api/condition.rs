//! The types and reasons of conditions, and the annotations that people set: the words between the
//! controller and whoever reads a status. Data only; written by `controller`, read by people and tools.
//!
//! Conditions follow kstatus: `Ready` says that a resource is configured, resolved and supervised, so that
//! `kubectl wait --for=condition=Ready` is about the manifest; how the data is doing stands in the others.
//! `Reconciling` and `Stalled` are only there while they are True.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// All kinds. True: configured, resolved and supervised. Unknown: trouble that may pass. False: it is not
/// in use, and the message says why.
pub const READY: &str = "Ready";
/// All kinds, only while True: the controller works on it, and may succeed without help.
pub const RECONCILING: &str = "Reconciling";
/// All kinds, only while True: a person has to do something.
pub const STALLED: &str = "Stalled";
/// Connection with a probe: whether the system answers.
pub const REACHABLE: &str = "Reachable";
/// Connection with a probe: whether the system accepts the credential.
pub const AUTHENTICATED: &str = "Authenticated";
/// Mapping: whether its own tests pass.
pub const TESTS_PASSED: &str = "TestsPassed";
/// Sync: whether the target is as fresh as `freshness.maxAge` asks. A quiet source is fresh, a full
/// outbox is not: the age counts from the start of the last completed scan, or from when the oldest
/// record was first seen that is still on its way.
pub const FRESH: &str = "Fresh";
/// Sync: whether no record waits for a person.
pub const DEAD_LETTERS_EMPTY: &str = "DeadLettersEmpty";

/// Why a condition is what it is. Each is used with the conditions that its comment names.
pub mod reason {
    /// Ready of a Connection: its spec is sound and its Secrets are there.
    pub const CONFIGURED: &str = "Configured";
    /// Ready of a Mapping: it is compiled and its tests pass.
    pub const COMPILED: &str = "Compiled";
    /// Ready of a Sync: its worker runs when its trigger says so.
    pub const SUPERVISED: &str = "Supervised";
    /// Ready, Fresh of a Sync: `spec.suspend` is true.
    pub const SUSPENDED: &str = "Suspended";
    /// Ready, Stalled: the object cannot be read as this version of Syncline knows its kind.
    pub const INVALID_OBJECT: &str = "InvalidObject";
    /// Ready: the object's definition has filled in fields that this version of Syncline doesn't know; what was in
    /// use before is in use still.
    pub const DEFINITION_NEWER: &str = "DefinitionNewer";
    /// Ready, Stalled: the spec breaks a rule that the schema cannot check.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// Ready: a Secret, or a key in it, is not there.
    pub const SECRET_MISSING: &str = "SecretMissing";
    /// Ready of a Sync: something it refers to is not there, or may not be used from its namespace.
    pub const REFERENCE_MISSING: &str = "ReferenceMissing";
    /// Ready of a Sync: something it refers to cannot be used as it is.
    pub const REFERENCE_NOT_READY: &str = "ReferenceNotReady";
    /// Ready, Stalled, TestsPassed of a Mapping.
    pub const TESTS_FAILED: &str = "TestsFailed";
    /// TestsPassed of a Mapping.
    pub const TESTS_PASSED: &str = "TestsPassed";
    /// TestsPassed of a Mapping: it has no tests.
    pub const NO_TESTS: &str = "NoTests";
    /// Reachable: the system answered the probe.
    pub const ANSWERED: &str = "Answered";
    /// Ready, Reconciling, Reachable: the system does not answer.
    pub const UNREACHABLE: &str = "Unreachable";
    /// Authenticated.
    pub const ACCEPTED: &str = "Accepted";
    /// Ready, Stalled, Authenticated: the system does not accept the credential (401).
    pub const CREDENTIAL_REJECTED: &str = "CredentialRejected";
    /// Ready, Stalled: the system answers as it should not, so that its Connection must be looked at.
    pub const MISCONFIGURED: &str = "Misconfigured";
    /// Ready, Stalled of a Sync: the credential may not do what the Sync needs (403).
    pub const FORBIDDEN: &str = "Forbidden";
    /// Ready, Stalled of a Sync: its state belongs to other systems than its Connections name now.
    pub const STATE_MISMATCH: &str = "StateMismatch";
    /// Ready, Stalled of a Sync: many of its target's records are gone at once.
    pub const TARGET_SUSPECT: &str = "TargetSuspect";
    /// Ready, Stalled of a Sync: more records would be deleted than `write.deleteGuard` allows.
    pub const DELETE_GUARD: &str = "DeleteGuard";
    /// Ready, Stalled of a Sync: too many records of one run were rejected for good; it pauses until a person acts.
    pub const MAPPING_SUSPECT: &str = "MappingSuspect";
    /// Ready, Reconciling of a Sync: its worker failed and is started again after a while.
    pub const WORKER_FAILED: &str = "WorkerFailed";
    /// Ready, Reconciling of a Sync: the store could not be used.
    pub const STORE_FAILED: &str = "StoreFailed";
    /// Fresh: within `freshness.maxAge`.
    pub const WITHIN_MAX_AGE: &str = "WithinMaxAge";
    /// Fresh: older than `freshness.maxAge`.
    pub const STALE: &str = "Stale";
    /// Fresh: no scan has been completed yet.
    pub const NEVER_SCANNED: &str = "NeverScanned";
    /// DeadLettersEmpty.
    pub const NONE: &str = "None";
    /// DeadLettersEmpty: records wait for a person.
    pub const DEAD_LETTERS: &str = "DeadLetters";
}

/// Starts a run now: any new value, such as the time; of a longer one, [`LONGEST_REQUEST`] bytes count. Answered in
/// `status.lastHandledReconcileAt`; while no run can start, seen in `status.pendingReconcileAt`.
pub const REQUESTED_AT: &str = "syncline.dev/requestedAt";
/// Bytes of a request that count.
pub const LONGEST_REQUEST: usize = 256;
/// What to do with state that belongs to other systems: `Adopt-HASH` keeps it, `Reset-HASH` forgets it.
/// The message of `StateMismatch` names the hash.
pub const STATE: &str = "syncline.dev/state";

/// Allows the deletes that `write.deleteGuard` holds back, once: the value is in the message of `DeleteGuard`.
pub const ALLOW_DELETES: &str = "syncline.dev/allowDeletes";

/// The condition of this type.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}
