//! Kinds of steps against real servers and misbehaving ones, through the executor and through the
//! whole daemon.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod bench;
#[path = "../common/mod.rs"]
mod common;
mod daemon;
mod haproxy;
mod http;
mod misbehaving;
mod real;
mod run;
mod sampled;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod unit;
mod unix;
