//! L1: text to a validated plan, or everything that is wrong with the text. Pure: which files there
//! are and who may write them is `load`'s business.

pub(crate) mod compile;
pub(crate) mod expr;
mod lint;
pub(crate) mod syntax;
pub(crate) mod tables;

pub use compile::{
    CheckedRules, Compiled, check_rules, compile, compile_found, compile_rules, is_main,
};
pub use syntax::diagnostic::{
    Color, Diagnostic, DiagnosticLevel, Diagnostics, SourceFile, SourceSpan,
};
pub use tables::main_file::{
    Listen, Pattern, Settings, patterns, rules_path, state_path, wrong_patterns,
};
pub use tables::target::target_at;
