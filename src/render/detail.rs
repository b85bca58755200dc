//! One deployment in full, for a terminal: what was decided on what evidence, everything that
//! happened, what each step printed, and the readings before and after.

use crate::history::{Detail, Summary};
use crate::model::entry::{
    AttemptEvent, Decision, Entry, Event, RollbackEvent, RuleEvidence, SignalEvidence, Trigger,
};
use crate::model::time::Timestamp;

use super::compare::readings;
use super::entry::event;
use super::history::{moment, paint, times, why};
use super::line::{Paint, Style, line, offset, pad, plain};
use super::number::reading;
use super::page::{Screen, fact, facts};
use super::report::group_list;
use super::report_tables::{is_same, others, reading_of};
use super::words::{after, caller, duration_ms, sections, span_ms};

/// The end of a step's output that is shown, in lines; `--json` has all that was kept.
const MAX_LINES: usize = 20;

/// Columns of the time since the beginning.
const OFFSET: usize = 11;

/// Columns of a signal and of a reading.
const SIGNAL: usize = 32;
const READING: usize = 15;

/// A deployment in full; empty where the journal does not know it.
pub fn detail(deployment: &Detail, style: Style) -> String {
    let Some(summary) = deployment.summary() else { return String::new() };
    let decision = deployment.entries().iter().find_map(|entry| {
        let Event::Rollback(RollbackEvent::Decided(decision)) = &entry.event else { return None };
        Some(&**decision)
    });
    sections([
        head(summary, style),
        decision.map(decided).unwrap_or_default(),
        timeline(deployment, summary.begun),
        signals(deployment, decision),
    ])
}

fn head(summary: &Summary, style: Style) -> String {
    let good = summary.good.as_ref().map_or("no good version".to_owned(), |v| format!("good {v}"));
    let title = line(
        style,
        &[
            (Paint::Bold, &format!("{} {}", summary.service, summary.version)),
            (Paint::Plain, ": "),
            (paint(summary.ending), summary.ending.word()),
        ],
    );
    let by = caller(&summary.by);
    let begun = format!("{} UTC by {by}, mode {}, {good}", moment(summary.begun), summary.mode);
    let stage = summary.stage.as_ref().map(ToString::to_string);
    let known = [
        ("deployment", Some(summary.id.to_string())),
        ("begun", Some(begun)),
        ("ended", summary.ended.map(|at| format!("{} UTC", moment(at)))),
        ("stage", stage),
        ("why", why(summary)),
        ("took", times(summary)),
    ];
    format!("{title}\n{}", facts(known))
}

/// The decision with its evidence.
fn decided(decision: &Decision) -> String {
    let mut text = "decision\n".to_owned();
    match &decision.trigger {
        Trigger::Rule(rule) => text.push_str(&rule_details(rule)),
        Trigger::Person { reason, by } => text.push_str(&fact(&caller(by), reason)),
    }
    text.push_str(&fact("hook", decision.hook.as_str()));
    if !decision.cure.is_empty() {
        text.push_str(&fact("cure", &decision.cure));
    }
    text + &others(decision).map(other_rule).collect::<String>()
}

fn rule_details(rule: &RuleEvidence) -> String {
    let held = format!(
        "{} of {}{}",
        span_ms(rule.held_ms),
        duration_ms(rule.for_ms),
        after(", since ", rule.since)
    );
    let about = &rule.about;
    let groups = Some(group_list(&rule.groups)).filter(|groups| !groups.is_empty());
    facts([
        ("rule", Some(rule.rule.to_string())),
        ("when", Some(rule.when.clone())),
        ("given", rule.given.clone()),
        ("held", Some(held)),
        ("readings", Some(comparisons(rule))),
        ("groups", groups),
        ("about", about.description.clone()),
        ("runbook", about.runbook.clone()),
        ("owner", about.owner.clone()),
    ])
}

fn other_rule(rule: &RuleEvidence) -> String {
    fact("other rule", &format!("{} {}: {}", rule.rule, rule.state, comparisons(rule)))
}

fn comparisons(rule: &RuleEvidence) -> String {
    let all = readings(rule, |_| None);
    if all.is_empty() { "none".to_owned() } else { all }
}

fn timeline(deployment: &Detail, begun: Timestamp) -> String {
    let mut text = "timeline\n".to_owned();
    for entry in deployment.entries() {
        text.push_str(&step(entry, begun));
    }
    match deployment.left_out() {
        0 => text,
        more => format!("{text}  {more} entries about the guard itself are not shown\n"),
    }
}

fn step(entry: &Entry, begun: Timestamp) -> String {
    let mut page = Screen::new(Style::Plain);
    let at = offset(entry.at.as_millis().saturating_sub(begun.as_millis()));
    page.beside(&[(Paint::Plain, &margin(&at))], &event(&entry.event), Paint::Plain);
    if let Event::Attempt(AttemptEvent::Outcome { output, .. }) = &entry.event {
        let lines: Vec<&str> = output.lines().collect();
        let margin = margin("") + "| ";
        for text in &lines[lines.len().saturating_sub(MAX_LINES)..] {
            page.line(&[(Paint::Plain, &margin), (Paint::Plain, text)]);
        }
    }
    page.into_text()
}

fn margin(at: &str) -> String {
    format!("  {}", pad(at, OFFSET))
}

/// Every signal that is known of: before, and where there are such, at the decision and after.
fn signals(deployment: &Detail, decision: Option<&Decision>) -> String {
    let then = decision.map_or(&[][..], |decision| &decision.signals);
    let columns =
        [("before", deployment.before()), ("at decision", then), ("after", deployment.after())];
    let columns: Vec<_> = columns.into_iter().filter(|(_, all)| !all.is_empty()).collect();
    let mut all: Vec<&SignalEvidence> = Vec::new();
    for reading in columns.iter().rev().flat_map(|(_, readings)| *readings) {
        if !all.iter().any(|known| is_same(known, reading)) {
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
        let of = |readings: &[SignalEvidence]| shown(reading_of(readings, signal));
        let cells = columns.iter().map(|(_, readings)| of(readings));
        row(&format!("  {}", plain(&signal.label())), cells.collect())
    });
    head + &rows.collect::<String>()
}

fn shown(evidence: Option<&SignalEvidence>) -> String {
    let Some(evidence) = evidence else { return "unknown".to_owned() };
    let no_data = || plain(evidence.no_data.as_deref().unwrap_or("no data"));
    reading(evidence, None).unwrap_or_else(no_data)
}
