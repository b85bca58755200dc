//! L1: text to a validated plan, or everything that is wrong with the text. Pure: which files
//! there are and who may write them is `load`'s business.

mod address;
mod call;
mod channel;
mod compile;
mod condition;
mod declare;
mod deployment;
mod derived;
mod diagnostic;
mod dimension;
mod drill;
mod expectation;
mod habit;
mod hook;
mod json;
mod lint;
mod live;
mod notation;
mod order;
mod pattern;
mod people;
mod probe;
mod rehearsal;
mod relative;
mod rule;
mod selector;
mod series;
mod signal;
mod sink;
mod stage;
mod step;
mod suspicion;
mod target;
mod template;
mod toggle;
mod token;
mod walk;
mod wording;

pub use compile::{
    CheckedRules, Compiled, check_rules, compile, compile_found, compile_rules, is_main,
};
pub use deployment::{Listen, Settings};
pub use diagnostic::{Color, Diagnostic, Diagnostics, Level, Place, SourceFile};
pub use pattern::{Pattern, patterns, rules_path, state_path, wrong_patterns};
pub use rehearsal::{Basics, Basis, basics, rehearsal};
pub use target::target_at;
