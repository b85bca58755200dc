//! L1: the checks that prove beforehand that a rollback has what it needs, and their findings. This
//! module says which checks a plan asks for and what the facts mean for a hook; `facts` gathers the
//! facts.

mod checks;
mod program;
mod report;
mod sandbox;

pub use checks::{CheckGroup, PreflightCheck, checks};
pub use program::{Interpreter, ProcessContext, ProgramFacts, arguments, judge, script};
pub use report::{Finding, FindingGroup, FindingLevel, Inside, PreflightReport};
pub use sandbox::{Mount, Sandbox};
