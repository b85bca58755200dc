//! Every reason not to act: refusals, the budget, pauses, quarantine, and the approval of people.

pub(crate) mod approval;
pub(crate) mod budget;
pub mod pause;
pub(crate) mod quarantine;
pub(crate) mod refusal;
