//! The kinds of events, one file for each group of them. A group says of each of its kinds what
//! any consumer may ask ([`meaning::Meaning`]), so that a consumer matches only the groups that
//! it acts on.

pub mod approval;
pub mod attempt;
pub mod caller;
pub mod daemon;
pub mod deployment;
pub mod drill;
pub mod live;
pub mod meaning;
pub mod notice;
pub mod pause;
pub mod rollback;
pub mod rule;
pub mod stage;
