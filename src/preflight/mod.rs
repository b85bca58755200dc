//! L1: what is to be proved before a rollback is needed, and what was found. Which checks a plan
//! asks for, and what a sandbox means for a program, is said here; looking is done by `examine`.

mod checks;
mod program;
mod report;
mod sandbox;

pub use checks::{Check, Checks, OnFailure, Url, checks};
pub use program::{Facts, Interpreter, Standing, arguments, judge, script};
pub use report::{Finding, Group, Inside, Level, Report};
pub use sandbox::{Mount, Sandbox};
