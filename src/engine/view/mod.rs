//! What status, page, metrics and reports may see: plain values with documented, stable field
//! names. Nothing is decided here.

pub(crate) mod evidence;
pub mod health;
pub mod snapshot;
pub mod stage;
pub(crate) mod state;
