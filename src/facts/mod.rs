//! L2: gathers the facts for a preflight: it runs the checks that `preflight` lists. A check never
//! changes anything, never sends a request that a server could take for an order, and never takes
//! longer than its limit.

mod files;
mod network;
mod programs;
mod run;

pub use run::{Subject, WHOLE, examine};
