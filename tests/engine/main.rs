//! The library alone, on virtual time: what is judged and decided, what the journal keeps, how
//! pages and configurations are read. No daemon, no other program, no waiting.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod config;
mod evaluator;
mod exposition;
mod guard;
mod import;
mod journal;
mod load;
mod pace;
mod simulation;
mod worst;

// `CARGO_BIN_EXE_rollguard` exists for the package's own test binaries only, so what they share
// cannot be a crate. This is the one module that is found by its path.
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each of the test binaries needs a part of it")]
mod support;
