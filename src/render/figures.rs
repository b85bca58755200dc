//! The statistics as tables. What is not known is `none`, never a zero.

use crate::history::{Counts, Figures, Hints, Period, Spread, Stats};
use crate::model::signal::Unit;

use super::line::{WIDTH, clip, list, more, pad, paragraph, right, sections, took};
use super::number::number;

/// How many deployments a hint names; `--json` has all of them.
const MAX_IDS: usize = 5;

/// Columns of the names of times.
const NAME: usize = 32;

/// Columns of a number.
const CELL: usize = 10;

/// What is not known.
const NONE: &str = "none";

/// The statistics of deployments; `of` says of which.
pub fn figures(stats: &Stats, of: &str) -> String {
    let all = &stats.all;
    sections([head(all, of), times(all), refusals(all), hints(&all.hints), periods(&stats.periods)])
}

fn head(all: &Figures, of: &str) -> String {
    let Counts { deployments, baked, rolled_back, rollback_failed, ended, superseded, under_way } =
        all.counts;
    let ends = format!(
        "{baked} baked, {rolled_back} rolled back, {rollback_failed} rollback failed, {ended} \
         ended, {superseded} superseded, {under_way} under way"
    );
    let rate = match all.change_failure_rate {
        Some(_) => format!(
            "{} ({} of {} with a verdict)",
            rate(all),
            all.counts.failures(),
            all.counts.judged()
        ),
        None => format!("{NONE}, no deployment has a verdict"),
    };
    let first = clip(&format!("deployments {of}: {deployments}"), WIDTH);
    format!("{first}\n{}change failure rate: {rate}\n", paragraph(&ends, 2))
}

fn rate(of: &Figures) -> String {
    of.change_failure_rate.map_or(NONE.to_owned(), |rate| number(rate, Some(Unit::Ratio)))
}

/// A name and numbers beside it.
fn row<const N: usize>(name: &str, cells: [&str; N]) -> String {
    format!("{}{}\n", pad(name, NAME), cells.map(|cell| right(cell, CELL)).concat())
}

fn times(all: &Figures) -> String {
    let times = &all.times;
    let rows = [
        ("time to detect", None),
        ("  rule holds -> decided", Some(times.holding_to_decision)),
        ("  deployment begun -> decided", Some(times.begun_to_decision)),
        ("time to roll back", None),
        ("  decided -> last step done", Some(times.decision_to_last_step)),
        ("time to recover", None),
        ("  decided -> cure seen", Some(times.decision_to_cure)),
        ("  rule holds -> cure seen", Some(times.holding_to_cure)),
    ];
    let rows = rows.map(|(name, spread)| {
        let Some(Spread { count, median_ms, p95_ms, max_ms }) = spread else {
            return format!("{name}\n");
        };
        row(name, [&count.to_string(), &time(median_ms), &time(p95_ms), &time(max_ms)])
    });
    row("", ["count", "median", "p95", "max"]) + &rows.concat()
}

/// A time that something took, where it is known.
fn time(millis: Option<u64>) -> String {
    millis.map_or_else(|| NONE.to_owned(), took)
}

fn refusals(all: &Figures) -> String {
    if all.refusals.is_empty() {
        return "refused: nothing\n".to_owned();
    }
    let rows = all.refusals.iter().map(|refused| {
        let (rules, deployments) = (refused.count.to_string(), refused.deployments.to_string());
        row(&format!("  {}", refused.reason), [&rules, &deployments])
    });
    row("refused", ["rules", "in depl."]) + &rows.collect::<String>()
}

fn hints(hints: &Hints) -> String {
    let Hints { rolled_back_by_person, ended_while_refused, baked_later } = hints;
    let hints = [
        ("rolled back by a person; is a rule missing or too slow?", rolled_back_by_person),
        ("ended although a rule fired; is the rule wrong?", ended_while_refused),
        ("rolled back, and the version baked later; a false alarm?", baked_later),
    ];
    let hints = hints.into_iter().filter(|(_, ids)| !ids.is_empty()).map(|(what, ids)| {
        let rest = more(ids.len().saturating_sub(MAX_IDS));
        let named = list(ids.iter().rev().take(MAX_IDS)) + &rest;
        format!("  {what}\n{}", paragraph(&named, 4))
    });
    let hints: String = hints.collect();
    if hints.is_empty() { hints } else { format!("to look at\n{hints}") }
}

/// Columns of a period's name and of its numbers.
const PERIODS: [(&str, usize); 8] = [
    ("period", 10),
    ("depl.", 7),
    ("baked", 7),
    ("back", 6),
    ("failed", 8),
    ("failure", 9),
    ("detect", 10),
    ("recover", 10),
];

fn periods(periods: &[Period]) -> String {
    if periods.is_empty() {
        return String::new();
    }
    let row = |cells: [String; 8]| {
        let cells = cells.iter().zip(PERIODS).map(|(cell, (_, columns))| right(cell, columns));
        format!("{}\n", cells.collect::<String>())
    };
    let rows = periods.iter().map(|Period { period, figures }| {
        let counts = &figures.counts;
        row([
            period.clone(),
            counts.deployments.to_string(),
            counts.baked.to_string(),
            counts.rolled_back.to_string(),
            counts.rollback_failed.to_string(),
            rate(figures),
            time(figures.times.holding_to_decision.median_ms),
            time(figures.times.decision_to_cure.median_ms),
        ])
    });
    let head = row(PERIODS.map(|(name, _)| name.to_owned()));
    let note = "back: rolled back; failure: change failure rate; detect, recover: medians\n";
    format!("{head}{}{note}", rows.collect::<String>())
}
