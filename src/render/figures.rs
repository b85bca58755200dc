//! The statistics as tables. What is not known is `none`, never a zero.

use crate::history::{Counts, Figures, Hints, Period, Spread, Stats};
use crate::model::name::DeploymentId;
use crate::model::signal::Unit;

use super::entry::took;
use super::line::{WIDTH, clip, pad, width, wrap};
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
#[must_use]
pub fn figures(stats: &Stats, of: &str) -> String {
    let all = &stats.all;
    let parts =
        [head(all, of), times(all), refusals(all), hints(&all.hints), periods(&stats.periods)];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
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
    let lines = wrap(&ends, WIDTH - 2).into_iter().map(|line| format!("  {line}\n"));
    let first = clip(&format!("deployments {of}: {deployments}"), WIDTH);
    format!("{first}\n{}change failure rate: {rate}\n", lines.collect::<String>())
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
    let titles = ["count", "median", "p95", "max"].map(right).concat();
    let rows = rows.map(|(name, spread)| match spread {
        Some(spread) => format!("{}{}\n", pad(name, NAME), cells(spread)),
        None => format!("{name}\n"),
    });
    format!("{}{titles}\n{}", pad("", NAME), rows.concat())
}

fn cells(spread: Spread) -> String {
    let time = |millis: Option<u64>| right(&millis.map_or_else(|| NONE.to_owned(), took));
    let Spread { count, median_ms, p95_ms, max_ms } = spread;
    [right(&count.to_string()), time(median_ms), time(p95_ms), time(max_ms)].concat()
}

/// At the right of its cell.
fn right(text: &str) -> String {
    let text = clip(text, CELL);
    format!("{}{text}", " ".repeat(CELL - width(&text)))
}

fn refusals(all: &Figures) -> String {
    if all.refusals.is_empty() {
        return "refused: nothing\n".to_owned();
    }
    let row = |reason: &crate::history::RefusalCount| {
        let (deployments, count) = (reason.deployments, reason.count);
        let name = format!("  {}", reason.reason);
        format!(
            "{}{}{}\n",
            pad(&name, NAME),
            right(&count.to_string()),
            right(&deployments.to_string())
        )
    };
    let head = format!("{}{}{}\n", pad("refused", NAME), right("rules"), right("in depl."));
    head + &all.refusals.iter().map(row).collect::<String>()
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
    let newest: Vec<&str> = ids.iter().rev().take(MAX_IDS).map(DeploymentId::as_str).collect();
    let more = ids.len() - newest.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = wrap(&format!("{}{more}", newest.join(", ")), WIDTH - 4);
    let named: String = named.into_iter().map(|line| format!("    {line}\n")).collect();
    (!ids.is_empty()).then(|| format!("  {what}\n{named}"))
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
        let cells = cells.iter().zip(PERIODS).map(|(cell, (_, columns))| {
            format!("{}{cell}", " ".repeat(columns.saturating_sub(width(cell))))
        });
        format!("{}\n", cells.collect::<String>())
    };
    let rows = periods.iter().map(|Period { period, figures }| {
        let time = |spread: Spread| spread.median_ms.map_or_else(|| NONE.to_owned(), took);
        let rate = figures.change_failure_rate;
        row([
            period.clone(),
            figures.counts.deployments.to_string(),
            figures.counts.baked.to_string(),
            figures.counts.rolled_back.to_string(),
            figures.counts.rollback_failed.to_string(),
            rate.map_or_else(|| NONE.to_owned(), |rate| number(rate, Some(Unit::Ratio))),
            time(figures.times.holding_to_decision),
            time(figures.times.decision_to_cure),
        ])
    });
    let head = row(PERIODS.map(|(name, _)| name.to_owned()));
    let note = "back: rolled back; failure: change failure rate; detect, recover: medians\n";
    format!("{head}{}{note}", rows.collect::<String>())
}
