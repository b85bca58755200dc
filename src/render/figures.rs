//! The statistics as tables. What is not known is `none`, never a zero.

use crate::history::{Counts, Figures, Hints, Period, Spread, Stats};
use crate::model::name::DeploymentId;
use crate::model::signal::Unit;

use super::line::{WIDTH, clip, pad, right};
use super::number::number;
use super::page::paragraph;
use super::words::{list, more, sections, took};

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
        Some(rate) => format!(
            "{} ({} of {} with a verdict)",
            number(rate, Some(Unit::Ratio)),
            all.counts.failures(),
            all.counts.judged()
        ),
        None => format!("{NONE}, no deployment has a verdict"),
    };
    let first = clip(&format!("deployments {of}: {deployments}"), WIDTH);
    format!("{first}\n{}change failure rate: {rate}\n", paragraph(&ends, 2))
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
    let titles = ["count", "median", "p95", "max"].map(cell).concat();
    let rows = rows.map(|(name, spread)| match spread {
        Some(spread) => format!("{}{}\n", pad(name, NAME), cells(spread)),
        None => format!("{name}\n"),
    });
    format!("{}{titles}\n{}", pad("", NAME), rows.concat())
}

fn cells(spread: Spread) -> String {
    let Spread { count, median_ms, p95_ms, max_ms } = spread;
    let times = [median_ms, p95_ms, max_ms].map(|millis| cell(&time(millis)));
    cell(&count.to_string()) + &times.concat()
}

fn cell(text: &str) -> String {
    right(text, CELL)
}

/// A time that something took, where it is known.
fn time(millis: Option<u64>) -> String {
    millis.map_or_else(|| NONE.to_owned(), took)
}

fn refusals(all: &Figures) -> String {
    if all.refusals.is_empty() {
        return "refused: nothing\n".to_owned();
    }
    let row = |name: &str, rules: &str, deployments: &str| {
        format!("{}{}{}\n", pad(name, NAME), cell(rules), cell(deployments))
    };
    let rows = all.refusals.iter().map(|refused| {
        let name = format!("  {}", refused.reason);
        row(&name, &refused.count.to_string(), &refused.deployments.to_string())
    });
    row("refused", "rules", "in depl.") + &rows.collect::<String>()
}

fn hints(hints: &Hints) -> String {
    let Hints { rolled_back_by_person, ended_while_refused, baked_later } = hints;
    let hints = [
        ("rolled back by a person; is a rule missing or too slow?", rolled_back_by_person),
        ("ended although a rule fired; is the rule wrong?", ended_while_refused),
        ("rolled back, and the version baked later; a false alarm?", baked_later),
    ];
    let hints: Vec<String> = hints.into_iter().filter_map(|(what, ids)| hint(what, ids)).collect();
    if hints.is_empty() { String::new() } else { format!("to look at\n{}", hints.concat()) }
}

fn hint(what: &str, ids: &[DeploymentId]) -> Option<String> {
    let rest = more(ids.len().saturating_sub(MAX_IDS));
    let named = list(ids.iter().rev().take(MAX_IDS)) + &rest;
    (!ids.is_empty()).then(|| format!("  {what}\n{}", paragraph(&named, 4)))
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
        let rate = figures.change_failure_rate;
        row([
            period.clone(),
            figures.counts.deployments.to_string(),
            figures.counts.baked.to_string(),
            figures.counts.rolled_back.to_string(),
            figures.counts.rollback_failed.to_string(),
            rate.map_or_else(|| NONE.to_owned(), |rate| number(rate, Some(Unit::Ratio))),
            time(figures.times.holding_to_decision.median_ms),
            time(figures.times.decision_to_cure.median_ms),
        ])
    });
    let head = row(PERIODS.map(|(name, _)| name.to_owned()));
    let note = "back: rolled back; failure: change failure rate; detect, recover: medians\n";
    format!("{head}{}{note}", rows.collect::<String>())
}
