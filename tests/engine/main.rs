//! The judge as its users see it: scrapes in, readings and rule states out.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod differences;
mod invariants;
mod model;
mod oracle;
mod plans;
mod promtool;
mod readings;
mod rules;
mod service;
mod world;
