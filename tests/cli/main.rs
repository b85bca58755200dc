//! The commands of the binary, run as people and scripts run them, and the files that are shipped
//! with it.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod check;
mod demo;
mod doctor;
mod exposition;
mod help;
mod hook_examples;
mod import;
mod init;
mod manual;
mod past;
mod rules_test;
mod schema;
mod r#try;

// `CARGO_BIN_EXE_rollguard` exists for the package's own test binaries only, so what they share
// cannot be a crate. This is the one module that is found by its path.
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each of the test binaries needs a part of it")]
mod support;
