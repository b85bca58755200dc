//! L1: the deterministic core. It owns all mutable state of judging and guarding and reads no
//! clock: time comes in as an argument, what to do comes out as [`effect::Effect`] values.

pub mod command;
mod context;
mod deployment;
pub mod durable;
pub mod effect;
mod guard;
mod ingest;
pub mod notify;
pub mod policy;
mod rules;
pub mod run;
mod sampling;
pub mod view;
mod window;

pub use durable::state::Durable;
pub use guard::Guard;
pub use ingest::selection::{wanted_names, wanted_natives};
pub use rules::evaluator::Evaluator;
