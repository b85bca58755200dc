//! The daemon's life against a real server, with real hooks and through the real binary.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod deployments;
mod ending;
mod isolation;
mod journal;
mod live;
mod modes;
mod pace;
mod people;
mod reload;
mod stages;
mod twins;
