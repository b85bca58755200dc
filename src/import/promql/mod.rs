//! Reads PromQL: as much of the language as is needed to convert an expression, or to say what
//! cannot be converted and where. Nothing here knows what can be.

mod ast;
mod lexer;
mod parser;

pub(super) use ast::{Binary, Expr, ExprKind, Grouping, Op, SeriesSelector};
pub(super) use lexer::duration;
pub(super) use parser::parse;
