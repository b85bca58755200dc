//! Kinds of steps against real servers and misbehaving ones, through the executor and through the
//! whole daemon.

mod daemon;
mod http;
mod misbehaving;
mod run;
mod sampled;
mod secrets;
mod unit;
mod unix;
