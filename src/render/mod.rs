//! L1: what people read, from plain values: the status, log lines and the incident report. Nothing
//! here decides, asks for the time or prints.

mod detail;
mod doctor;
mod drill;
mod entry;
mod figures;
mod history;
mod line;
mod markdown;
mod match_report;
mod metrics;
mod number;
mod people;
mod report;
mod rule_tests;
mod status;
mod verification;

#[cfg(test)]
mod tests;

pub use detail::detail;
pub use doctor::doctor;
pub use drill::{DRILL_EVERY, drill, drill_warning, last_drill};
pub use entry::{entry, event};
pub use figures::figures;
pub use history::history;
pub use line::{Paint, Style, WIDTH, line, offset, plain, wrap};
pub use match_report::match_report;
pub use metrics::{METRICS_TYPE, Vitals, metrics};
pub use number::{Compared, comparisons, number, readings};
pub use report::{report, undecided};
pub use rule_tests::{junit, rule_tests, tally};
pub use status::status;
pub use verification::verification;
