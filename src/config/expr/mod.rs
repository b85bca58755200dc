//! Conditions and arithmetic: text to tokens, tokens to the typed program that the core evaluates.

pub(crate) mod lexer;
pub(crate) mod lowering;
pub(crate) mod scope;
pub(crate) mod units;
