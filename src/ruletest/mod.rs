//! L1: rule tests on a virtual clock. A script of pages is played to the same core that the daemon
//! runs, and what was expected is compared with what the core then shows. Nothing here judges.

mod check;
mod expectation;
mod file;
mod harness;
mod notation;
mod result;
mod runner;
mod script;
mod series;

pub use file::{Basics, basics, rehearsal, rules_alone};
pub use notation::{Point, PointRun, Points};
pub use result::{Aspect, CaseResult, Miss, Row, RuleRow};
pub use runner::play;
pub use script::{Expectation, ExpectedFact, ShownWord, TargetPages, TestCase, When};
