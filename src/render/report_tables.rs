//! The report's tables: the timeline, the signals, the rules, the steps.

use crate::model::condition::Compare;
use crate::model::entry::{
    ApprovalEvent, AttemptEvent, Decision, Entry, Event, LiveEvent, RuleEvent, RuleEvidence,
    SignalEvidence,
};
use crate::model::name::{RuleName, SignalName};
use crate::model::signal::Unit;
use crate::model::time::Timestamp;

use super::compare::{Compared, comparisons};
use super::entry::event_in;
use super::line::offset;
use super::markdown::{block, code, code_cell, row, table_head, table_section, text};
use super::number::reading;
use super::people;
use super::story::Story;
use super::words::{duration_ms, span_ms, took};

/// The end of a step's output that a report shows, in bytes. The journal has all that was kept.
const MAX_OUTPUT: usize = 4 * 1024;

/// What happened when.
pub(super) fn timeline(story: &Story<'_>) -> String {
    let Story { incident, decided, .. } = story;
    timeline_of(&incident.entries, incident.begun, *decided, &|signal| story.unit(signal))
}

/// The same of entries alone.
pub(super) fn timeline_of(
    entries: &[Entry],
    begun: Timestamp,
    decided: Option<Timestamp>,
    unit: &dyn Fn(&SignalName) -> Option<Unit>,
) -> String {
    let titles = ["time (UTC)", "since begin", "since decision", "what"];
    let from = |at: Timestamp, origin: Timestamp| offset(at.as_millis() - origin.as_millis());
    let row = |entry: &Entry| {
        row(&[
            entry.at.to_string(),
            from(entry.at, begun),
            decided.map(|decided| from(entry.at, decided)).unwrap_or_default(),
            text(&event_in(&entry.event, unit)),
        ])
    };
    let rows: String = entries.iter().map(row).collect();
    format!("## Timeline\n\n{}{rows}", table_head(&titles))
}

/// Every signal before the deployment, when it was decided and now.
pub(super) fn signals(story: &Story<'_>) -> String {
    let incident = story.incident;
    let titles = ["signal", "before", "at the decision", "now", "the release", "since then"];
    // Read from a journal that tells of no end yet, there is no now.
    let known = [&incident.after, &incident.decision.signals];
    let listed = known.into_iter().find(|readings| !readings.is_empty());
    let rows: String = listed
        .into_iter()
        .flatten()
        .map(|signal| {
            let before = reading_of(&incident.before, signal);
            let then = reading_of(&incident.decision.signals, signal);
            let now = reading_of(&incident.after, signal);
            row(&[
                code_cell(&signal.label()),
                shown(story, before),
                shown(story, then),
                shown(story, now),
                moved(story, before, then).to_owned(),
                moved(story, then, now).to_owned(),
            ])
        })
        .collect();
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
    all.iter().find(|reading| is_same(reading, of))
}

/// Whether two readings are of the same signal and group.
pub(super) fn is_same(one: &SignalEvidence, other: &SignalEvidence) -> bool {
    one.signal == other.signal && one.group == other.group
}

fn shown(story: &Story<'_>, reading: Option<&SignalEvidence>) -> String {
    let Some(reading) = reading else { return "unknown".to_owned() };
    let shown = self::reading(reading, story.unit(&reading.signal));
    shown.unwrap_or_else(|| text(reading.no_data.as_deref().unwrap_or("no data")))
}

/// Whether a reading moved towards the limit of a rule, or away from it.
fn moved(
    story: &Story<'_>,
    from: Option<&SignalEvidence>,
    to: Option<&SignalEvidence>,
) -> &'static str {
    let (Some(from), Some(to)) = (from, to) else { return "unknown" };
    let (Some(before), Some(after)) = (from.value, to.value) else { return "unknown" };
    if before.to_bits() == after.to_bits() {
        return "same";
    }
    match (worse_is(story, &to.signal), after > before) {
        (None, _) => "",
        (Some(Worse::Higher), true) | (Some(Worse::Lower), false) => "worse",
        (Some(Worse::Higher), false) | (Some(Worse::Lower), true) => "better",
    }
}

/// Which way is worse for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worse {
    Higher,
    Lower,
}

/// What the rules' limits say of it; `None` where none of them says anything, or they disagree.
fn worse_is(story: &Story<'_>, signal: &SignalName) -> Option<Worse> {
    let decision = &story.incident.decision;
    let mut directions = decision.rules.iter().flat_map(|rule| {
        let mine = |reading: &Compared<'_>| reading.signal == Some(signal);
        let all = comparisons(rule, |name| story.unit(name)).into_iter().filter(mine);
        all.filter_map(|reading| match reading.op {
            Compare::Greater | Compare::GreaterOrEqual => Some(Worse::Higher),
            Compare::Less | Compare::LessOrEqual => Some(Worse::Lower),
            Compare::Equal | Compare::NotEqual => None,
        })
        .collect::<Vec<_>>()
    });
    let first = directions.next()?;
    directions.all(|other| other == first).then_some(first)
}

/// How every rule that did not decide stood.
pub(super) fn other_rules(story: &Story<'_>) -> String {
    let rows: String = others(&story.incident.decision).map(|rule| rule_row(story, rule)).collect();
    let titles = ["rule", "when", "state", "held", "readings"];
    table_section("The other rules at the decision", &titles, &rows)
}

/// The rules that did not decide.
pub(super) fn others(decision: &Decision) -> impl Iterator<Item = &RuleEvidence> {
    let deciding = decision.trigger.rule().map(|rule| &rule.rule);
    decision.rules.iter().filter(move |rule| Some(&rule.rule) != deciding)
}

fn rule_row(story: &Story<'_>, rule: &RuleEvidence) -> String {
    row(&[
        code_cell(rule.rule.as_str()),
        code_cell(&rule.when),
        rule.state.to_string(),
        format!("{} of {}", span_ms(rule.held_ms), duration_ms(rule.for_ms)),
        text(&story.readings(rule)),
    ])
}

/// What was done, attempt by attempt, and what each printed.
pub(super) fn steps(story: &Story<'_>) -> String {
    let mut text = String::new();
    for entry in &story.incident.entries {
        if let Event::Attempt(AttemptEvent::Intent { attempt, what }) = &entry.event {
            text.push_str(&format!(
                "\n### {}, step {}, attempt {}\n\n- action: {}\n",
                self::text(attempt.hook.as_str()),
                attempt.step + 1,
                attempt.number,
                code(what),
            ));
        }
        if let Event::Attempt(AttemptEvent::Outcome { result, output, took_ms, .. }) = &entry.event
        {
            let (result, took) = (self::text(&result.to_string()), took(*took_ms));
            text.push_str(&format!("- outcome: {result} after {took}\n"));
            text.push_str(&printed(output));
        }
    }
    if text.is_empty() { text } else { format!("## Steps\n{text}") }
}

fn printed(output: &str) -> String {
    if output.trim().is_empty() {
        return "- output: none\n".to_owned();
    }
    let mut start = output.len().saturating_sub(MAX_OUTPUT);
    while !output.is_char_boundary(start) {
        start += 1;
    }
    let part = if start == 0 { "output" } else { "the end of its output" };
    format!("- {part}:\n\n{}", block(&output[start..]))
}

/// Everything that was not done, and why.
pub(super) fn refusals(entries: &[Entry]) -> String {
    let cell = |rule: &RuleName| code_cell(rule.as_str());
    let refusal = |event: &Event| {
        Some(match event {
            Event::Rule(RuleEvent::Refused { refusal, evidence }) => {
                (cell(&evidence.rule), refusal.to_string())
            }
            Event::Rule(RuleEvent::SetAside { evidence }) => {
                (cell(&evidence.rule), "set aside: it held before the deployment began".to_owned())
            }
            Event::Approval(ApprovalEvent::Denied { rule, answer }) => {
                (cell(rule), text(&format!("denied by {}", people::answered(answer))))
            }
            Event::Approval(ApprovalEvent::Lapsed { rule, why }) => {
                let why = format!("nobody answered, and its default could not be done: {why}");
                (cell(rule), text(&why))
            }
            Event::Live(LiveEvent::Checked { live, refusal: Some(why), .. }) => {
                ("live version".to_owned(), text(&format!("{why}: {live}")))
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
        })
    };
    let rows = entries.iter().filter_map(|entry| {
        let (rule, why) = refusal(&entry.event)?;
        Some(row(&[entry.at.to_string(), rule, why]))
    });
    let titles = ["time (UTC)", "rule", "why nothing was done"];
    table_section("Refusals", &titles, &rows.collect::<String>())
}
