//! Lints: what is allowed and will hardly do what was meant.

pub(crate) mod baselines;
pub(crate) mod commands;
pub(crate) mod hooks;
pub(crate) mod plan;
pub(crate) mod rules;
pub(crate) mod selectors;
pub(crate) mod signals;
