//! L0: the vocabulary as validated plain data. Nothing here reads a clock, does I/O or logs, and
//! nothing here can be constructed wrong: a value of these types has already been checked.

#[macro_use]
pub(crate) mod words;

pub mod alert;
pub mod attempt;
pub mod channel;
pub mod condition;
pub mod deployment;
pub mod drill;
pub mod entry;
pub mod event;
pub mod evidence;
pub mod group;
pub mod hook;
pub mod index;
pub mod live;
pub mod name;
pub mod native;
pub mod plan;
pub mod reading;
pub mod refusal;
pub mod rule;
pub mod scrape;
pub mod secrecy;
pub mod selector;
pub mod signal;
pub mod stage;
pub mod step;
pub mod target;
pub mod time;
