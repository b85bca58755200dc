//! L1: turns other people's alerting rules into rules of rollguard.
//!
//! `rule_files` reads the YAML into alerts, `promql` reads the expression of an alert into a tree
//! with places, `converter` and its neighbours convert the tree into signals and a condition, and
//! `signal` writes both as TOML. What cannot be converted is reported with its place, the reason
//! and a way out. An alert is never imported with another meaning unless a comment says so.

mod algebra;
mod conditions;
mod converter;
mod evidence_floor;
mod functions;
mod names;
mod numbers;
mod prometheus;
mod promql;
mod recording_rules;
mod report;
mod rule_files;
mod signal;
mod spot;
mod yaml;

pub use converter::{Options, TargetOf};
pub use prometheus::prometheus;
pub use report::{
    DroppedLabel, FilePlace, ImportReport, ImportTotals, Imported, ImportedAlert, Misfit,
};
pub use spot::Spot;
pub use yaml::{MAX_FILE, YamlError};
