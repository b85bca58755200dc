//! Running hooks: what a rollback, the entry of a stage and a drill do next, and whether the cure
//! was seen.

pub(crate) mod attempts;
pub mod drill;
pub(crate) mod order;
pub(crate) mod procedure;
pub(crate) mod rollback;
pub(crate) mod stage_entry;
