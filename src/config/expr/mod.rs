//! Conditions and arithmetic: text to words, words to the typed program that the core evaluates.

pub(crate) mod lexer;
pub(crate) mod lowering;
pub(crate) mod units;
