//! L1: rule tests on a virtual clock. A script of pages is played to the same core that the daemon
//! runs, and what was expected is compared with what the core then shows. Nothing here judges.

mod check;
mod decisions;
mod play;
mod result;
mod script;
mod stage;
mod values;

pub use play::play;
pub use result::{Aspect, CaseResult, Miss, Row, Told};
pub use script::{Acted, Case, Expect, Feed, SignalExpect, Standing, Wanted, When};
pub use values::{Part, Point, Values};
