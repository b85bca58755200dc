//! L1: what people read, from plain values: the status, log lines and the incident report. Nothing
//! here decides, asks for the time or prints.

mod compare;
mod detail;
mod doctor;
mod drill;
mod entry;
mod figures;
mod health;
mod history;
mod junit;
mod line;
mod markdown;
mod metrics;
mod number;
mod page;
mod people;
mod rehearsal;
mod report;
mod report_tables;
mod status;
mod story;
mod summary;
mod trial;
mod undecided;
mod verification;
mod words;

#[cfg(test)]
mod tests;

pub use compare::{Compared, comparisons, readings, unit_in};
pub use detail::detail;
pub use doctor::doctor;
pub use drill::{DRILL_EVERY, drill, drill_warning, last_drill};
pub use entry::{entry, event};
pub use figures::figures;
pub use health::Health;
pub use history::history;
pub use junit::junit;
pub use line::{Paint, Style, WIDTH, line, offset, plain, wrap};
pub use metrics::{METRICS_TYPE, Vitals, metrics};
pub use number::{number, unit_named};
pub use rehearsal::{rehearsal, tally};
pub use report::report;
pub use status::status;
pub use trial::trial;
pub use undecided::undecided;
pub use verification::verification;
