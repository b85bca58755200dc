//! The durable state: what the entries of the journal amount to. It changes only by applying
//! entries, live and on replay alike, and knows no component of the guard.

pub(crate) mod alerts;
pub(crate) mod bounds;
pub(crate) mod cleared;
pub(crate) mod deployment;
pub mod drills;
pub(crate) mod log;
pub(crate) mod progress;
pub mod quarantine;
pub(crate) mod stage;
pub mod state;
