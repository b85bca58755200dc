//! L1: what people read, from plain values: the status, log lines and the incident report. Nothing
//! here decides, asks for the time or prints.

mod compare;
mod detail;
mod doctor;
mod drill;
mod entry;
mod figures;
mod history;
mod junit;
mod line;
mod markdown;
mod match_report;
mod metrics;
mod number;
mod page;
mod people;
mod report;
mod rule_tests;
mod status;
mod verification;

#[cfg(test)]
mod tests;

pub use compare::{Compared, comparisons, readings};
pub use detail::detail;
pub use doctor::doctor;
pub use drill::{DRILL_EVERY, drill, drill_warning, last_drill};
pub use entry::{entry, event};
pub use figures::figures;
pub use history::history;
pub use junit::junit;
pub use line::{Paint, Style, WIDTH, line, offset, plain, wrap};
pub use match_report::match_report;
pub use metrics::{METRICS_TYPE, Vitals, metrics};
pub use number::number;
pub use report::{report, undecided};
pub use rule_tests::{rule_tests, tally};
pub use status::status;
pub use verification::verification;
