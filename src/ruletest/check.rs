//! Compares what is wanted with what is seen. Everything is compared by the same plain values that
//! a status shows; what the core decided so far is read off the entries that it asks to have made
//! durable.

use crate::engine::view::snapshot::{RuleStatus, Snapshot};
use crate::model::entry::{
    ApprovalEvent, Event, Refusal, RollbackEvent, RuleEvent, RuleStanding, SignalEvidence,
};
use crate::model::name::{RuleName, StageName};

use super::result::Aspect;
use super::script::{Expectation, ExpectedFact, ShownWord};

/// Everything that can be seen at one instant.
pub(crate) struct TestView<'s> {
    pub(crate) snapshot: Snapshot,
    pub(crate) decisions: &'s Decisions,
}

/// Every thing that is expected beside what is seen.
pub(crate) fn compare(expect: &Expectation, observed: &TestView<'_>) -> Vec<Aspect> {
    expect.facts.iter().map(|wanted| aspect(wanted, expect.rule.as_ref(), observed)).collect()
}

/// Whether it must not be met at any instant before its time: what was done too early cannot be
/// undone.
pub(crate) fn is_final(expect: &Expectation) -> bool {
    expect.facts.iter().any(|wanted| match wanted {
        ExpectedFact::Word(ShownWord::State, state) => *state == RuleStanding::Firing.to_string(),
        ExpectedFact::Word(ShownWord::Decision, decision) => decision != Acted::Nothing.name(),
        ExpectedFact::Passed(_) => true,
        ExpectedFact::Word(..) | ExpectedFact::Signal(..) => false,
    })
}

/// A rule as the snapshot shows it.
pub(crate) fn rule<'s>(snapshot: &'s Snapshot, name: &RuleName) -> Option<&'s RuleStatus> {
    snapshot.rules.iter().find(|rule| rule.evidence.rule == *name)
}

fn aspect(wanted: &ExpectedFact, name: Option<&RuleName>, observed: &TestView<'_>) -> Aspect {
    let TestView { snapshot, decisions } = observed;
    match wanted {
        ExpectedFact::Word(what, expected) => {
            let rule = name.and_then(|name| rule(snapshot, name));
            let got = match what {
                ShownWord::State => rule.map(|rule| rule.evidence.state.to_string()),
                ShownWord::Verdict => Some(rule.map_or_else(|| "no data".to_owned(), verdict_of)),
                ShownWord::Reason => rule.and_then(|rule| rule.no_data.clone()),
                ShownWord::Decision => Some(decisions.of(name).name().to_owned()),
                ShownWord::Refusal => rule.and_then(|rule| Some(rule.refusal?.to_string())),
                ShownWord::Colour => Some(snapshot.colour.name().to_owned()),
                ShownWord::Stage => {
                    let deployment = snapshot.deployment.as_ref();
                    deployment.and_then(|deployment| Some(deployment.stage.as_ref()?.to_string()))
                }
            };
            let (what, got) = (what.to_string(), got.unwrap_or_else(|| "none".to_owned()));
            Aspect { what, met: *expected == got, expected: expected.clone(), got }
        }
        ExpectedFact::Passed(stage) => passed(stage, observed),
        ExpectedFact::Signal(wanted, tolerance) => {
            let readings = || snapshot.signals.iter().map(|signal| &signal.reading);
            let named = || readings().filter(|reading| reading.signal == wanted.signal);
            let found = named().find(|reading| reading.group == wanted.group);
            let met = found.is_some_and(|found| fits(wanted, found, *tolerance));
            let others = || {
                let groups: Vec<_> = named().filter_map(|other| other.group.as_deref()).collect();
                format!("no such group, there are {}", groups.join(" and "))
            };
            let got = found.map_or_else(others, read);
            Aspect { what: wanted.label(), expected: read(wanted), got, met }
        }
    }
}

/// Whether a stage has passed; where it has not, what keeps it.
fn passed(stage: &StageName, observed: &TestView<'_>) -> Aspect {
    let mut stages = observed.snapshot.deployment.iter().flat_map(|deployment| &deployment.stages);
    let shown = stages.find(|shown| shown.stage == *stage);
    let met = shown.is_some_and(|shown| shown.standing.is_over());
    let standing = shown.map(|shown| match &shown.why {
        Some(why) => format!("{}, {why}", shown.standing),
        None => shown.standing.to_string(),
    });
    let (expected, got) = ("passed".to_owned(), standing.unwrap_or_else(|| "none".to_owned()));
    Aspect { what: format!("stage {stage}"), expected, got, met }
}

/// The rule's verdict, in the words that a test uses for it.
pub(crate) fn verdict_of(rule: &RuleStatus) -> String {
    rule.verdict.replace('_', " ")
}

fn fits(wanted: &SignalEvidence, found: &SignalEvidence, tolerance: f64) -> bool {
    match (wanted.value, found.value) {
        (Some(value), Some(read)) => {
            wanted.at_least == found.at_least && (read - value).abs() <= tolerance
        }
        (None, None) => wanted.no_data.is_none() || wanted.no_data == found.no_data,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// A reading in the words that a test uses for it.
fn read(reading: &SignalEvidence) -> String {
    match (reading.value, &reading.no_data) {
        (Some(value), _) if reading.at_least => format!("at least {value}"),
        (Some(value), _) => value.to_string(),
        (None, Some(why)) => format!("no data: {why}"),
        (None, None) => "no data".to_owned(),
    }
}

/// What was decided, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Acted {
    Nothing,
    /// People were told.
    Notify,
    /// People were asked whether to roll back.
    Ask,
    /// The deployment is rolled back.
    Rollback,
}

impl Acted {
    /// The word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Notify => "notify",
            Self::Ask => "ask",
            Self::Rollback => "rollback",
        }
    }
}

/// What was decided so far, and because of which rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decisions(Vec<(Acted, RuleName)>);

impl Decisions {
    /// Takes note of an entry.
    pub(crate) fn note(&mut self, event: &Event) {
        let (acted, rule) = if let Event::Rollback(RollbackEvent::Decided(decision)) = event {
            (Acted::Rollback, decision.trigger.rule())
        } else if let Event::Approval(ApprovalEvent::Asked { decision, .. }) = event {
            (Acted::Ask, decision.trigger.rule())
        } else if let Event::Rule(RuleEvent::Refused { refusal, evidence }) = event
            // Who only observes tells nobody.
            && *refusal != Refusal::Observing
        {
            (Acted::Notify, Some(evidence))
        } else {
            return;
        };
        self.0.extend(rule.map(|rule| (acted, rule.rule.clone())));
    }

    /// The most that was decided because of the rule, or of any.
    pub(crate) fn of(&self, rule: Option<&RuleName>) -> Acted {
        let of_rule = self.0.iter().filter(|(_, name)| rule.is_none_or(|rule| rule == name));
        of_rule.map(|(acted, _)| *acted).max().unwrap_or(Acted::Nothing)
    }
}
