//! One deployment in full, for a terminal: what was decided on what evidence, everything that
//! happened, what each step printed, and the readings before and after.

use crate::history::{Detail, Summary};
use crate::model::entry::{
    AttemptEvent, Decision, Event, RollbackEvent, RuleEvidence, SignalEvidence, Trigger,
};
use crate::model::time::Timestamp;

use super::entry::event;
use super::history::{moment, paint, times, why};
use super::line::{
    Paint, Screen, Style, after, caller, duration_ms, fact, facts, line, offset, pad, plain,
    sections, span_ms,
};
use super::number::{readings, shown};
use super::report::{group_list, others, reading_of};

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
    let Summary { service, version, ending, mode, stage, .. } = summary;
    let good = summary.good.as_ref().map_or("no good version".to_owned(), |v| format!("good {v}"));
    let name = format!("{service} {version}");
    let ended = (paint(*ending), ending.word());
    let title = line(style, &[(Paint::Bold, &name), (Paint::Plain, ": "), ended]);
    let (begun, by) = (moment(summary.begun), caller(&summary.by));
    let known = facts([
        ("deployment", Some(summary.id.to_string())),
        ("begun", Some(format!("{begun} UTC by {by}, mode {mode}, {good}"))),
        ("ended", summary.ended.map(|at| format!("{} UTC", moment(at)))),
        ("stage", stage.as_ref().map(ToString::to_string)),
        ("why", why(summary)),
        ("took", times(summary)),
    ]);
    format!("{title}\n{known}")
}

/// The decision with its evidence.
fn decided(decision: &Decision) -> String {
    let by = match &decision.trigger {
        Trigger::Rule(rule) => rule_details(rule),
        Trigger::Person { reason, by } => fact(&caller(by), reason),
    };
    let cure = Some(decision.cure.clone()).filter(|cure| !cure.is_empty());
    let known = facts([("hook", Some(decision.hook.to_string())), ("cure", cure)]);
    let others = others(decision).map(|rule| {
        fact("other rule", &format!("{} {}: {}", rule.rule, rule.state, compared(rule)))
    });
    format!("decision\n{by}{known}{}", others.collect::<String>())
}

fn rule_details(rule: &RuleEvidence) -> String {
    let (held, hold) = (span_ms(rule.held_ms), duration_ms(rule.for_ms));
    let about = &rule.about;
    facts([
        ("rule", Some(rule.rule.to_string())),
        ("when", Some(rule.when.clone())),
        ("given", rule.given.clone()),
        ("held", Some(format!("{held} of {hold}{}", after(", since ", rule.since)))),
        ("readings", Some(compared(rule))),
        ("groups", Some(group_list(&rule.groups)).filter(|groups| !groups.is_empty())),
        ("about", about.description.clone()),
        ("runbook", about.runbook.clone()),
        ("owner", about.owner.clone()),
    ])
}

fn compared(rule: &RuleEvidence) -> String {
    let all = readings(rule, &[]);
    if all.is_empty() { "none".to_owned() } else { all }
}

fn timeline(deployment: &Detail, begun: Timestamp) -> String {
    let mut page = Screen::new(Style::Plain);
    page.append("timeline\n");
    let margin = |at: &str| format!("  {}", pad(at, OFFSET));
    for entry in deployment.entries() {
        let at = margin(&offset(entry.at.as_millis().saturating_sub(begun.as_millis())));
        page.beside(&[(Paint::Plain, &at)], &event(&entry.event), Paint::Plain);
        if let Event::Attempt(AttemptEvent::Outcome { output, .. }) = &entry.event {
            let lines: Vec<&str> = output.lines().collect();
            for text in &lines[lines.len().saturating_sub(MAX_LINES)..] {
                page.line(&[(Paint::Plain, &margin("")), (Paint::Plain, &format!("| {text}"))]);
            }
        }
    }
    if let more @ 1.. = deployment.left_out() {
        page.append(&format!("  {more} entries about the guard itself are not shown\n"));
    }
    page.into_text()
}

/// Every signal that is known of: before, and where there are such, at the decision and after.
fn signals(deployment: &Detail, decision: Option<&Decision>) -> String {
    let then = decision.map_or(&[][..], |decision| &decision.signals);
    let columns =
        [("before", deployment.before()), ("at decision", then), ("after", deployment.after())];
    let columns: Vec<_> = columns.into_iter().filter(|(_, all)| !all.is_empty()).collect();
    let mut all: Vec<&SignalEvidence> = Vec::new();
    for reading in columns.iter().rev().flat_map(|(_, readings)| *readings) {
        if !all.iter().any(|known| known.label() == reading.label()) {
            all.push(reading);
        }
    }
    let row = |name: &str, cells: Vec<String>| {
        let cells = cells.iter().map(|cell| format!(" {}", pad(cell, READING)));
        let text = pad(name, SIGNAL) + &cells.collect::<String>();
        format!("{}\n", text.trim_end())
    };
    if all.is_empty() {
        return String::new();
    }
    let rows = all.iter().map(|signal| {
        let cell = |(_, readings): &(&str, &[SignalEvidence])| {
            let found = reading_of(readings, signal);
            found.map_or("unknown".to_owned(), |reading| plain(&shown(reading, None)))
        };
        row(&format!("  {}", plain(&signal.label())), columns.iter().map(cell).collect())
    });
    let titles = columns.iter().map(|(title, _)| (*title).to_owned());
    row("readings", titles.collect()) + &rows.collect::<String>()
}
