//! The tables of the configuration language, one file for each.

pub(crate) mod address;
pub(crate) mod call;
pub(crate) mod channel;
pub(crate) mod deployment;
pub(crate) mod derived;
pub(crate) mod drill;
pub(crate) mod hook;
pub(crate) mod live;
pub(crate) mod named;
pub(crate) mod people;
pub(crate) mod probe;
pub(crate) mod rule;
pub(crate) mod rules_files;
pub(crate) mod secret_text;
pub(crate) mod signal;
pub(crate) mod signal_order;
pub(crate) mod stage;
pub(crate) mod step;
pub(crate) mod target;
