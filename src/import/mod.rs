//! L1: other people's alerting rules, turned into ours. A file is read into alerts, each alert's
//! expression into a tree with places, the tree is fitted to signals and a condition, and both are
//! written as TOML. What does not fit is named with its place and a way out; nothing is ever
//! imported so that it means less or more than it says without a comment that tells.

mod alert;
mod ast;
mod compare;
mod fit;
mod floor;
mod functions;
mod inline;
mod json;
mod lexer;
mod measure;
mod names;
mod output;
mod parser;
mod place;
mod prometheus;
mod signal;
mod table;
mod write;
mod yaml;

pub use output::{Imported, Kept, Misfit, Report};
pub use place::Spot;
pub use prometheus::{Input, Options, TargetOf, prometheus};
pub use yaml::{MAX_FILE, YamlError};
