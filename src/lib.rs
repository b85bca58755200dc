//! rollguard: notices a bad release first and brings the good version back, once, provably.
//!
//! The library holds every part of the guard; the binary is only its command line. Read
//! ARCHITECTURE.md for the map. From bytes to hook is one straight line, and everything between a
//! scrape and a decision is pure: time comes in as an argument, what to do comes out as a value.

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

pub mod announce;
pub mod cli;
pub mod clock;
pub mod config;
mod daemon;
pub mod doctor;
pub mod engine;
pub mod examine;
pub mod exposition;
#[cfg(debug_assertions)]
mod failpoint;
pub mod fit;
pub mod hook;
pub mod import;
pub mod journal;
pub mod live;
pub mod load;
pub mod model;
pub mod notify;
pub mod past;
pub mod record;
pub mod rehearsal;
pub mod render;
pub mod serve;
pub mod source;
pub mod survey;
