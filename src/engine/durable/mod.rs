//! The durable state: what the entries of the journal amount to. It changes only by applying
//! entries, live and on replay alike.

pub(crate) mod bounds;
pub mod drills;
pub(crate) mod log;
pub(crate) mod progress;
pub(crate) mod stage;
pub(crate) mod state;
