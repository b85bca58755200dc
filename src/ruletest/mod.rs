//! L1: rule tests on a virtual clock. A script of pages is played to the same core that the daemon
//! runs, and what was expected is compared with what the core then shows. Nothing here judges.

mod check;
mod decisions;
mod expectation;
mod file;
mod harness;
mod notation;
mod result;
mod runner;
mod script;
mod series;
mod values;

pub use file::{Basics, Basis, basics, rehearsal};
pub use result::{Aspect, CaseResult, Miss, Row, Told};
pub use runner::play;
pub use script::{Acted, Case, Expect, Feed, SignalExpect, Standing, Wanted, When};
pub use values::{Part, Point, Values};
