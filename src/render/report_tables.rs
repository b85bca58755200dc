//! The reports' tables: the timeline, the signals, the rules, the steps.

use crate::engine::effect::Incident;
use crate::model::condition::Compare;
use crate::model::entry::{
    ApprovalEvent, AttemptEvent, Decision, Entry, Event, LiveEvent, RuleEvent, RuleEvidence,
    SignalEvidence,
};
use crate::model::name::SignalName;
use crate::model::time::Timestamp;

use super::compare::{Units, comparisons, readings, unit_in};
use super::entry::event_in;
use super::line::offset;
use super::markdown::{block, code, code_cell, row, table_head, table_section, text};
use super::number;
use super::people;
use super::words::{duration_ms, span_ms, took};

/// The end of a step's output that a report shows, in bytes. The journal has all that was kept.
const MAX_OUTPUT: usize = 4 * 1024;

/// What happened when.
pub(super) fn timeline(
    entries: &[Entry],
    begun: Timestamp,
    decided: Option<Timestamp>,
    units: Units<'_>,
) -> String {
    let titles = ["time (UTC)", "since begin", "since decision", "what"];
    let from = |at: Timestamp, origin: Timestamp| offset(at.as_millis() - origin.as_millis());
    let row = |entry: &Entry| {
        row(&[
            entry.at.to_string(),
            from(entry.at, begun),
            decided.map(|decided| from(entry.at, decided)).unwrap_or_default(),
            text(&event_in(&entry.event, units)),
        ])
    };
    let rows: String = entries.iter().map(row).collect();
    format!("## Timeline\n\n{}{rows}", table_head(&titles))
}

/// Every signal before the deployment, when it was decided and now.
pub(super) fn signals(incident: &Incident) -> String {
    let titles = ["signal", "before", "at the decision", "now", "the release", "since then"];
    let Incident { before, after, decision, units, .. } = incident;
    // Read from a journal that tells of no end yet, there is no now.
    let listed = if after.is_empty() { &decision.signals } else { after };
    let shown = |reading: Option<&SignalEvidence>| match reading {
        Some(reading) => text(&number::shown(reading, unit_in(units, &reading.signal))),
        None => "unknown".to_owned(),
    };
    let cells = |signal: &SignalEvidence| {
        let [before, then, now] =
            [before, &decision.signals, after].map(|all| reading_of(all, signal));
        let moved = |from, to| moved(decision, &signal.signal, from, to).to_owned();
        row(&[
            code_cell(&signal.label()),
            shown(before),
            shown(then),
            shown(now),
            moved(before, then),
            moved(then, now),
        ])
    };
    let rows: String = listed.iter().map(cells).collect();
    format!(
        "## Signals\n\n{}{rows}\nWorse is a reading that moved towards the limit of a rule. The \
         last two columns compare the decision with what was before, and now with the decision.\n",
        table_head(&titles)
    )
}

/// The reading of the same signal and group among others.
pub(super) fn reading_of<'a>(
    all: &'a [SignalEvidence],
    of: &SignalEvidence,
) -> Option<&'a SignalEvidence> {
    all.iter().find(|reading| reading.signal == of.signal && reading.group == of.group)
}

/// Whether a reading moved towards the limit of a rule, or away from it.
fn moved(
    decision: &Decision,
    signal: &SignalName,
    from: Option<&SignalEvidence>,
    to: Option<&SignalEvidence>,
) -> &'static str {
    let value = |reading: Option<&SignalEvidence>| reading?.value;
    let (Some(before), Some(after)) = (value(from), value(to)) else { return "unknown" };
    match is_higher_worse(decision, signal) {
        _ if before.to_bits() == after.to_bits() => "same",
        None => "",
        Some(higher) if higher == (after > before) => "worse",
        Some(_) => "better",
    }
}

/// What the rules' limits say of a signal; `None` where none of them says anything, or they
/// disagree.
fn is_higher_worse(decision: &Decision, signal: &SignalName) -> Option<bool> {
    let all = decision.rules.iter().flat_map(|rule| comparisons(rule, |_| None));
    let mine = all.filter(|reading| reading.signal == Some(signal));
    let mut directions = mine.filter_map(|reading| match reading.op {
        Compare::Greater | Compare::GreaterOrEqual => Some(true),
        Compare::Less | Compare::LessOrEqual => Some(false),
        Compare::Equal | Compare::NotEqual => None,
    });
    let first = directions.next()?;
    directions.all(|other| other == first).then_some(first)
}

/// How every rule that did not decide stood.
pub(super) fn other_rules(incident: &Incident) -> String {
    let rule_row = |rule: &RuleEvidence| {
        row(&[
            code_cell(rule.rule.as_str()),
            code_cell(&rule.when),
            rule.state.to_string(),
            format!("{} of {}", span_ms(rule.held_ms), duration_ms(rule.for_ms)),
            text(&readings(rule, &incident.units)),
        ])
    };
    let rows: String = others(&incident.decision).map(rule_row).collect();
    let titles = ["rule", "when", "state", "held", "readings"];
    table_section("The other rules at the decision", &titles, &rows)
}

/// The rules that did not decide.
pub(super) fn others(decision: &Decision) -> impl Iterator<Item = &RuleEvidence> {
    let deciding = decision.trigger.rule().map(|rule| &rule.rule);
    decision.rules.iter().filter(move |rule| Some(&rule.rule) != deciding)
}

/// What was done, attempt by attempt, and what each printed.
pub(super) fn steps(entries: &[Entry]) -> String {
    let step = |entry: &Entry| {
        let Event::Attempt(event) = &entry.event else { return None };
        Some(match event {
            AttemptEvent::Intent { attempt, what } => format!(
                "\n### {}, step {}, attempt {}\n\n- action: {}\n",
                text(attempt.hook.as_str()),
                attempt.step + 1,
                attempt.number,
                code(what),
            ),
            AttemptEvent::Outcome { result, output, took_ms, .. } => {
                let (result, took) = (text(&result.to_string()), took(*took_ms));
                format!("- outcome: {result} after {took}\n{}", printed(output))
            }
        })
    };
    let steps: String = entries.iter().filter_map(step).collect();
    if steps.is_empty() { steps } else { format!("## Steps\n{steps}") }
}

fn printed(output: &str) -> String {
    if output.trim().is_empty() {
        return "- output: none\n".to_owned();
    }
    let start = output.len().saturating_sub(MAX_OUTPUT);
    let start = (start..).find(|at| output.is_char_boundary(*at)).unwrap_or(0);
    let part = if start == 0 { "output" } else { "the end of its output" };
    format!("- {part}:\n\n{}", block(&output[start..]))
}

/// Everything that was not done, and why.
pub(super) fn refusals(entries: &[Entry]) -> String {
    let refusal = |entry: &Entry| {
        let (rule, why) = match &entry.event {
            Event::Rule(RuleEvent::Refused { refusal, evidence }) => {
                (Some(&evidence.rule), refusal.to_string())
            }
            Event::Rule(RuleEvent::SetAside { evidence }) => {
                (Some(&evidence.rule), "set aside: it held before the deployment began".to_owned())
            }
            Event::Approval(ApprovalEvent::Denied { rule, answer }) => {
                (Some(rule), format!("denied by {}", people::answered(answer)))
            }
            Event::Approval(ApprovalEvent::Lapsed { rule, why }) => {
                (Some(rule), format!("nobody answered, and its default could not be done: {why}"))
            }
            Event::Live(LiveEvent::Checked { live, refusal: Some(why), .. }) => {
                (None, format!("{why}: {live}"))
            }
            Event::Daemon(_)
            | Event::Deployment(_)
            | Event::Stage(_)
            | Event::Rule(_)
            | Event::Approval(_)
            | Event::Pause(_)
            | Event::Live(_)
            | Event::Rollback(_)
            | Event::Attempt(_)
            | Event::Drill(_)
            | Event::Notice(_) => return None,
        };
        let rule = rule.map_or("live version".to_owned(), |rule| code_cell(rule.as_str()));
        Some(row(&[entry.at.to_string(), rule, text(&why)]))
    };
    let rows: String = entries.iter().filter_map(refusal).collect();
    table_section("Refusals", &["time (UTC)", "rule", "why nothing was done"], &rows)
}
