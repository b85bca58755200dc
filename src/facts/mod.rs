//! L2: looks at everything that a rollback will need, before it is needed. It must never change
//! anything, never send a request that a server could take for an order, and never take longer than
//! it says. What is looked at, and what it means, `doctor` says.

mod files;
mod network;
mod programs;
mod run;

pub use run::{Subject, WHOLE, examine};
