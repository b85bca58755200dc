//! One deployment in full, for a terminal: what was decided on what evidence, everything that
//! happened, what each step printed, and the readings before and after.

use crate::history::{Detail, Summary};
use crate::model::entry::{
    AttemptEvent, Decision, Entry, Event, RollbackEvent, RuleEvidence, SignalEvidence, Trigger,
};
use crate::model::time::{Timestamp, format_duration};

use super::compare::comparisons;
use super::entry::{caller, event};
use super::history::{detail, moment, paint, times, why};
use super::line::{Paint, Style, WIDTH, line, offset, pad, plain, span, wrap};
use super::number::number;
use super::report::millis;

/// The end of a step's output that is shown, in lines; `--json` has all that was kept.
const MAX_LINES: usize = 20;

/// Columns of the time since the beginning.
const OFFSET: usize = 11;

/// Columns of a signal and of a reading.
const SIGNAL: usize = 32;
const READING: usize = 15;

/// The account of a deployment; empty where the journal does not know it.
#[must_use]
pub fn account(account: &Detail, style: Style) -> String {
    let Some(brief) = account.summary() else { return String::new() };
    let decision = account.entries().iter().find_map(|entry| {
        let Event::Rollback(RollbackEvent::Decided(decision)) = &entry.event else { return None };
        Some(&**decision)
    });
    let parts = [
        head(brief, style),
        decision.map(decided).unwrap_or_default(),
        timeline(account, brief.begun),
        signals(account, decision),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn head(brief: &Summary, style: Style) -> String {
    let good = brief.good.as_ref().map_or("no good version".to_owned(), |v| format!("good {v}"));
    let title = line(
        style,
        &[
            (Paint::Bold, &format!("{} {}", brief.service, brief.version)),
            (Paint::Plain, ": "),
            (paint(brief.ending), brief.ending.words()),
        ],
    );
    let by = caller(&brief.by);
    let begun = format!("{} UTC by {by}, mode {}, {good}", moment(brief.begun), brief.mode);
    let stage = brief.stage.as_ref().map(ToString::to_string);
    let details = [
        ("deployment", Some(brief.id.to_string())),
        ("begun", Some(begun)),
        ("ended", brief.ended.map(|at| format!("{} UTC", moment(at)))),
        ("stage", stage),
        ("why", why(brief)),
        ("took", times(brief)),
    ];
    let details = details.into_iter().filter_map(|(name, text)| Some(detail(name, &text?)));
    format!("{title}\n{}", details.collect::<String>())
}

/// The decision with its evidence.
fn decided(decision: &Decision) -> String {
    let mut text = "decision\n".to_owned();
    match &decision.trigger {
        Trigger::Rule(rule) => text.push_str(&rule_details(rule)),
        Trigger::Person { reason, by } => text.push_str(&detail(&caller(by), reason)),
    }
    text.push_str(&detail("hook", decision.hook.as_str()));
    if !decision.cure.is_empty() {
        text.push_str(&detail("cure", &decision.cure));
    }
    let deciding = match &decision.trigger {
        Trigger::Rule(rule) => Some(&rule.rule),
        Trigger::Person { .. } => None,
    };
    let others = decision.rules.iter().filter(|rule| Some(&rule.rule) != deciding);
    text + &others.map(other_rule).collect::<String>()
}

fn rule_details(rule: &RuleEvidence) -> String {
    let held = format!(
        "{} of {}{}",
        span(millis(rule.held_ms)),
        format_duration(millis(rule.for_ms)),
        rule.since.map(|since| format!(", since {since}")).unwrap_or_default()
    );
    let about = &rule.about;
    let groups: Vec<String> = rule
        .groups
        .iter()
        .map(|group| format!("{} {} for {}", group.group, group.state, span(millis(group.held_ms))))
        .collect();
    let details = [
        ("rule", Some(rule.rule.to_string())),
        ("when", Some(rule.when.clone())),
        ("given", rule.given.clone()),
        ("held", Some(held)),
        ("readings", Some(readings(rule))),
        ("groups", (!groups.is_empty()).then(|| groups.join("; "))),
        ("about", about.description.clone()),
        ("runbook", about.runbook.clone()),
        ("owner", about.owner.clone()),
    ];
    details.into_iter().filter_map(|(name, text)| Some(detail(name, &text?))).collect()
}

fn other_rule(rule: &RuleEvidence) -> String {
    detail("other rule", &format!("{} {}: {}", rule.rule, rule.state, readings(rule)))
}

fn readings(rule: &RuleEvidence) -> String {
    let all = comparisons(rule, |_| None);
    let all: Vec<String> = all.iter().map(super::compare::Compared::named).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn timeline(account: &Detail, begun: Timestamp) -> String {
    let mut text = "timeline\n".to_owned();
    for entry in account.entries() {
        text.push_str(&step(entry, begun));
    }
    match account.left_out() {
        0 => text,
        more => format!("{text}  {more} entries about the guard itself are not shown\n"),
    }
}

fn step(entry: &Entry, begun: Timestamp) -> String {
    let at = offset(entry.at.as_millis().saturating_sub(begun.as_millis()));
    let lines = wrap(&event(&entry.event), WIDTH - OFFSET - 2);
    let times = std::iter::once(at.as_str()).chain(std::iter::repeat(""));
    let shown = lines.iter().zip(times);
    let mut text: String =
        shown.map(|(line, at)| format!("  {}{line}\n", pad(at, OFFSET))).collect();
    if let Event::Attempt(AttemptEvent::Outcome { output, .. }) = &entry.event {
        text.push_str(&printed(output));
    }
    text
}

/// The end of what a step printed.
fn printed(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let shown = &lines[lines.len().saturating_sub(MAX_LINES)..];
    let shown = shown.iter().map(|text| {
        let margin = format!("  {}| ", pad("", OFFSET));
        format!("{}\n", line(Style::Plain, &[(Paint::Plain, &margin), (Paint::Plain, text)]))
    });
    shown.collect()
}

/// Every signal that is known of: before, and where there are such, at the decision and after.
fn signals(account: &Detail, decision: Option<&Decision>) -> String {
    let then = decision.map_or(&[][..], |decision| &decision.signals);
    let columns = [("before", account.before()), ("at decision", then), ("after", account.after())];
    let columns: Vec<_> = columns.into_iter().filter(|(_, all)| !all.is_empty()).collect();
    let mut all: Vec<&SignalEvidence> = Vec::new();
    for reading in columns.iter().rev().flat_map(|(_, readings)| *readings) {
        if find(all.iter().copied(), reading).is_none() {
            all.push(reading);
        }
    }
    let row = |name: &str, cells: Vec<String>| {
        let cells = cells.iter().map(|cell| format!(" {}", pad(cell, READING)));
        let text = format!("{}{}", pad(name, SIGNAL), cells.collect::<String>());
        format!("{}\n", text.trim_end())
    };
    if all.is_empty() {
        return String::new();
    }
    let head = row("readings", columns.iter().map(|(title, _)| (*title).to_owned()).collect());
    let rows = all.iter().map(|signal| {
        let of = |readings: &[SignalEvidence]| shown(find(readings.iter(), signal));
        let cells = columns.iter().map(|(_, readings)| of(readings));
        row(&format!("  {}", plain(&signal.label())), cells.collect())
    });
    head + &rows.collect::<String>()
}

fn find<'a>(
    mut all: impl Iterator<Item = &'a SignalEvidence>,
    of: &SignalEvidence,
) -> Option<&'a SignalEvidence> {
    all.find(|one| one.signal == of.signal && one.group == of.group)
}

fn shown(reading: Option<&SignalEvidence>) -> String {
    let Some(reading) = reading else { return "unknown".to_owned() };
    match (reading.value, reading.at_least) {
        (Some(value), true) => format!("at least {}", number(value, None)),
        (Some(value), false) => number(value, None),
        (None, _) => plain(reading.no_data.as_deref().unwrap_or("no data")),
    }
}
