//! The judge as its users see it: scrapes in, readings and rule states out.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../common/mod.rs"]
mod common;
mod differences;
mod groups;
mod invariants;
mod model;
mod native;
mod oracle;
mod plans;
mod promtool;
#[path = "../common/protobuf.rs"]
mod protobuf;
mod readings;
mod rules;
mod service;
mod world;
