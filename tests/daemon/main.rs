//! The daemon and the parts of its shell, on the loopback: real processes, sockets and files, and
//! the real binary.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod crash;
mod dead;
mod deployments;
mod drill;
mod ending;
mod hooks;
mod isolation;
mod journal;
mod live;
mod modes;
mod notifications;
mod pace;
mod people;
mod reload;
mod scrape;
mod stages;
mod steps;
mod twins;

// `CARGO_BIN_EXE_rollguard` exists for the package's own test binaries only, so what they share
// cannot be a crate. This is the one module that is found by its path.
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each of the test binaries needs a part of it")]
mod support;
