//! From readings to rule states: signals, conditions, baselines, and the clocks of rules. Knows
//! nothing of deployments.

pub(crate) mod condition;
mod definition;
pub(crate) mod evaluator;
pub(crate) mod reading;
pub(crate) mod signals;
pub(crate) mod state;
