//! The tables of the configuration language, one file for each, and what several of them hold.
//! Which keys a table has, `language.toml` declares.

pub(crate) mod baseline;
pub(crate) mod channel;
pub(crate) mod condition;
pub(crate) mod deployment;
pub(crate) mod header;
pub(crate) mod hook;
pub(crate) mod http_step;
pub(crate) mod live;
pub(crate) mod main_file;
pub(crate) mod named_table;
pub(crate) mod probe;
pub(crate) mod rule;
pub(crate) mod run_step;
pub(crate) mod secret;
pub(crate) mod signal;
pub(crate) mod signal_order;
pub(crate) mod stage;
pub(crate) mod step;
pub(crate) mod target;
pub(crate) mod unix_step;
pub(crate) mod url;
mod word;

#[cfg(test)]
mod tests;
