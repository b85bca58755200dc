//! L1: text to a validated plan, or everything that is wrong with the text. Pure: which files
//! there are and who may write them is `load`'s business.

mod compile;
mod condition;
mod declare;
mod deployment;
mod derived;
mod diagnostic;
mod dimension;
mod hook;
mod json;
mod lint;
mod order;
mod rule;
mod selector;
mod signal;
mod sink;
mod target;
mod template;
mod token;
mod walk;

pub use compile::{CheckedRules, Compiled, Pattern, check_rules, compile, is_main, patterns};
pub use deployment::{Listen, Settings};
pub use diagnostic::{Color, Diagnostic, Diagnostics, Level, Place, SourceFile};
