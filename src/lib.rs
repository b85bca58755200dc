//! rollguard: notices a bad release first and brings the good version back, once, provably.
//!
//! The library holds every part of the guard; the binary is only its command line. Read
//! ARCHITECTURE.md for the map. From bytes to hook is one straight line, and everything between a
//! scrape and a decision is pure: time comes in as an argument, what to do comes out as a value.

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

pub mod cli;
pub mod clock;
pub mod config;
mod daemon;
pub mod discovery;
pub mod engine;
pub mod exposition;
pub mod facts;
#[cfg(debug_assertions)]
mod failpoint;
pub mod history;
pub mod hook;
pub mod import;
pub mod journal;
pub mod live_version;
pub mod load;
pub mod match_report;
pub mod message;
pub mod model;
mod net;
pub mod notify;
pub mod preflight;
pub mod record;
pub mod render;
pub mod ruletest;
pub mod serve;
pub mod source;
pub mod toml_text;
