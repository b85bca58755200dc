//! Compares what is wanted with what is seen. Everything is compared by the same plain values that
//! a status shows.

use crate::engine::view::snapshot::{RuleStatus, SignalStatus, Snapshot};
use crate::model::entry::SignalEvidence;
use crate::model::name::{RuleName, StageName};

use super::decisions::Decisions;
use super::result::Aspect;
use super::script::{Expectation, ExpectedFact, ExpectedReading, VerdictKind};

/// Everything that can be seen at one instant.
pub(crate) struct TestView<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) decisions: &'s Decisions,
}

/// Every thing that is expected beside what is seen.
pub(crate) fn compare(expect: &Expectation, observed: &TestView<'_>) -> Vec<Aspect> {
    expect.facts.iter().map(|wanted| aspect(wanted, expect.rule.as_ref(), observed)).collect()
}

/// Whether all that is expected is so.
pub(crate) fn is_met(expect: &Expectation, observed: &TestView<'_>) -> bool {
    compare(expect, observed).iter().all(|aspect| aspect.met)
}

/// A rule as the snapshot shows it.
pub(crate) fn rule<'s>(snapshot: &'s Snapshot, name: &RuleName) -> Option<&'s RuleStatus> {
    snapshot.rules.iter().find(|rule| rule.evidence.rule == *name)
}

fn aspect(wanted: &ExpectedFact, name: Option<&RuleName>, observed: &TestView<'_>) -> Aspect {
    let rule = name.and_then(|name| rule(observed.snapshot, name));
    let none = || "none".to_owned();
    match wanted {
        ExpectedFact::State(state) => {
            let got = rule.map(|rule| rule.evidence.state.to_string());
            same("state", state.to_string(), got.unwrap_or_else(none))
        }
        ExpectedFact::Verdict(verdict) => {
            let got = rule.map(verdict_of).unwrap_or(VerdictKind::NoData.name());
            same("verdict", verdict.name().to_owned(), got.to_owned())
        }
        ExpectedFact::Reason(reason) => {
            let got = rule.and_then(|rule| rule.no_data.clone());
            same("reason", reason.clone(), got.unwrap_or_else(none))
        }
        ExpectedFact::Decision(decision) => {
            let got = observed.decisions.of(name);
            same("decision", decision.name().to_owned(), got.name().to_owned())
        }
        ExpectedFact::Refusal(refusal) => {
            let got = rule.and_then(|rule| rule.refusal);
            let show = |refusal: Option<_>| {
                refusal
                    .map_or_else(none, |refusal: crate::model::entry::Refusal| refusal.to_string())
            };
            same("refusal", show(*refusal), show(got))
        }
        ExpectedFact::Health(colour) => {
            let got = observed.snapshot.colour;
            same("colour", colour.name().to_owned(), got.name().to_owned())
        }
        ExpectedFact::Stage(stage) => {
            let deployment = observed.snapshot.deployment.as_ref();
            let got = deployment.and_then(|deployment| deployment.stage.as_ref());
            same("stage", stage.to_string(), got.map_or_else(none, ToString::to_string))
        }
        ExpectedFact::Passed(stage) => passed(stage, observed),
        ExpectedFact::Signal(signal, group, reading, tolerance) => {
            let named = || observed.snapshot.signals.iter().filter(|s| s.reading.signal == *signal);
            let found = named().find(|s| group_of(&s.reading) == group.as_deref());
            let met = found.is_some_and(|found| fits(reading, &found.reading, *tolerance));
            let others = || {
                let groups: Vec<_> = named().filter_map(|s| group_of(&s.reading)).collect();
                format!("no such group, there are {}", groups.join(" and "))
            };
            let (expected, got) = (expected(reading), found.map_or_else(others, read));
            let group = group.as_ref().map(|group| format!("{{{group}}}")).unwrap_or_default();
            Aspect { what: format!("{signal}{group}"), expected, got, met }
        }
    }
}

/// Whether a stage has passed; where it has not, what keeps it.
fn passed(stage: &StageName, observed: &TestView<'_>) -> Aspect {
    let deployment = observed.snapshot.deployment.as_ref();
    let stages = deployment.map(|deployment| deployment.stages.as_slice()).unwrap_or_default();
    let shown = stages.iter().find(|shown| shown.stage == *stage);
    let met = shown.is_some_and(|shown| shown.standing.is_over());
    let standing = shown.map_or_else(
        || "none".to_owned(),
        |shown| {
            let why = shown.why.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
            format!("{}{why}", shown.standing)
        },
    );
    Aspect { what: format!("stage {stage}"), expected: "passed".to_owned(), got: standing, met }
}

fn same(what: &str, expected: String, got: String) -> Aspect {
    Aspect { what: what.to_owned(), met: expected == got, expected, got }
}

/// The rule's verdict, as a word.
pub(crate) fn verdict_of(rule: &RuleStatus) -> &'static str {
    match rule.verdict.as_str() {
        "holds" => VerdictKind::Holds.name(),
        "fails" => VerdictKind::Fails.name(),
        _ => VerdictKind::NoData.name(),
    }
}

/// The group that a reading is of, where it is read by labels.
fn group_of(reading: &SignalEvidence) -> Option<&str> {
    reading.group.as_deref()
}

fn fits(wanted: &ExpectedReading, reading: &SignalEvidence, tolerance: f64) -> bool {
    let near = |value: f64| reading.value.is_some_and(|got| (got - value).abs() <= tolerance);
    match wanted {
        ExpectedReading::Value(value) => !reading.at_least && near(*value),
        ExpectedReading::AtLeast(value) => reading.at_least && near(*value),
        ExpectedReading::NoData(why) => {
            let reason = |why: &String| reading.no_data.as_ref() == Some(why);
            reading.value.is_none() && why.as_ref().is_none_or(reason)
        }
    }
}

fn expected(wanted: &ExpectedReading) -> String {
    match wanted {
        ExpectedReading::Value(value) => value.to_string(),
        ExpectedReading::AtLeast(value) => format!("at least {value}"),
        ExpectedReading::NoData(None) => "no data".to_owned(),
        ExpectedReading::NoData(Some(why)) => format!("no data: {why}"),
    }
}

/// A reading in the words that a test uses for it.
fn read(signal: &SignalStatus) -> String {
    let SignalEvidence { value, at_least, no_data, .. } = &signal.reading;
    match (value, no_data) {
        (Some(value), _) if *at_least => format!("at least {value}"),
        (Some(value), _) => value.to_string(),
        (None, Some(why)) => format!("no data: {why}"),
        (None, None) => "no data".to_owned(),
    }
}
