//! Who is told of what: which entries of the journal are alerts, which of them were sent, and what
//! is still owed.

pub(crate) mod alerts;
pub(crate) mod incident;
pub mod outbox;
pub(crate) mod pending;
pub(crate) mod resolved;
