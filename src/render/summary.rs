//! The sentences that an operator reads first: what is going on, and what is to be done. Each is
//! wrapped, never cut: half an advice is worse than none.

use crate::engine::view::health::{Health, colour, of_rule, of_rules};
use crate::engine::view::snapshot::{DeploymentStatus, GuardState, RuleStatus, Snapshot};
use crate::model::deployment::Mode;
use crate::model::entry::{Refusal, RuleStanding, Trigger};
use crate::model::rule::Severity;

use super::compare::comparisons;
use super::line::clip;
use super::number::unit_of;
use super::people;
use super::words::span_ms;

/// Columns that a name may take within a sentence.
const NAME: usize = 24;

/// The last steps of a story that a person may have to tell the guard.
const BY_HAND: &str = "`rollguard rollback --reason ...` rolls back at once";

/// What is going on.
pub(super) fn what(snapshot: &Snapshot) -> String {
    if !snapshot.journal_ok {
        return "the journal cannot be written, so nothing will be done any more".to_owned();
    }
    let worst = worst_rule(snapshot);
    let deployment = snapshot.deployment.as_ref();
    match (snapshot.state, deployment) {
        (GuardState::RollingBack | GuardState::Verifying, Some(deployment)) => {
            format!("{}, because {}", progress(snapshot.state, deployment), cause(deployment))
        }
        (GuardState::RollbackFailed, Some(deployment)) => {
            format!("the rollback failed: {}", deployment.why.as_deref().unwrap_or("see below"))
        }
        (GuardState::AwaitingApproval, Some(DeploymentStatus { approval: Some(asked), .. })) => {
            people::asks(asked, snapshot.at)
        }
        (GuardState::RolledBack, Some(deployment)) => {
            format!("it was rolled back, because {}", cause(deployment))
        }
        (
            GuardState::Idle
            | GuardState::Guarding
            | GuardState::AwaitingApproval
            | GuardState::RollingBack
            | GuardState::Verifying
            | GuardState::RolledBack
            | GuardState::RollbackFailed
            | GuardState::Baked
            | GuardState::Ended,
            _,
        ) => worst.map_or_else(|| "no rules are configured".to_owned(), |rule| of(rule, snapshot)),
    }
}

fn worst_rule(snapshot: &Snapshot) -> Option<&RuleStatus> {
    // The first of equals: `max_by_key` would take the last.
    snapshot.rules.iter().rev().max_by_key(|rule| (of_rule(rule), rule.evidence.state as u8))
}

fn of(rule: &RuleStatus, snapshot: &Snapshot) -> String {
    let evidence = &rule.evidence;
    let name = clip(evidence.rule.as_str(), NAME);
    match (evidence.state, of_rule(rule)) {
        (RuleStanding::Inactive, Health::Unknown) => {
            format!("rule {name} cannot tell: {}", rule.no_data.as_deref().unwrap_or("no data"))
        }
        (RuleStanding::Inactive, Health::Green | Health::Yellow | Health::Red) => {
            match snapshot.rules.len() {
                1 => "the rule does not hold".to_owned(),
                count => format!("none of the {count} rules holds"),
            }
        }
        (RuleStanding::Pending, _) => {
            let (held, hold) = (span_ms(evidence.held_ms), span_ms(evidence.for_ms));
            format!("rule {name} has held {held} of {hold}: {}", readings(rule, snapshot))
        }
        (RuleStanding::Firing, _) => format!("rule {name} fires: {}", readings(rule, snapshot)),
    }
}

/// A rule's comparisons in a row, each cut so that one of them cannot take the line.
pub(super) fn readings(rule: &RuleStatus, snapshot: &Snapshot) -> String {
    let unit =
        |name: &_| unit_of(snapshot.signals.iter().find(|signal| signal.reading.signal == *name)?);
    let all = comparisons(&rule.evidence, unit);
    let all: Vec<String> = all.iter().map(|comparison| clip(&comparison.named(), 46)).collect();
    if all.is_empty() { rule.evidence.when.clone() } else { all.join(", ") }
}

fn progress(state: GuardState, deployment: &DeploymentStatus) -> String {
    match (state, deployment.step) {
        (GuardState::RollingBack, Some((step, of))) => {
            format!("rolling back, step {step} of {of}")
        }
        (GuardState::Verifying, _) => "rolled back, looking for the cure".to_owned(),
        (
            GuardState::Idle
            | GuardState::Guarding
            | GuardState::AwaitingApproval
            | GuardState::RollingBack
            | GuardState::RolledBack
            | GuardState::RollbackFailed
            | GuardState::Baked
            | GuardState::Ended,
            _,
        ) => "rolling back".to_owned(),
    }
}

fn cause(deployment: &DeploymentStatus) -> String {
    match deployment.decision.as_ref().map(|decision| &decision.trigger) {
        Some(Trigger::Rule(rule)) => {
            format!("rule {} held for {}", clip(rule.rule.as_str(), NAME), span_ms(rule.for_ms))
        }
        Some(Trigger::Person { reason, .. }) => format!("a person said so: {}", clip(reason, 60)),
        None => "it was decided so".to_owned(),
    }
}

/// What is to be done.
pub(super) fn advice(snapshot: &Snapshot) -> String {
    if !snapshot.journal_ok {
        return "watch the service yourself; make room on the disk, then restart rollguard".into();
    }
    let good = good_version(snapshot);
    let bad = matches!(of_rules(snapshot), Health::Yellow | Health::Red);
    match snapshot.state {
        GuardState::Idle if bad => {
            "look into it: no deployment is guarded, so rollguard will do nothing".to_owned()
        }
        GuardState::Baked | GuardState::Ended if bad => {
            format!("decide: it is not guarded any more, so rollguard does nothing; {BY_HAND}")
        }
        GuardState::RolledBack if bad => {
            "look into it: the cure was seen, and now a rule holds again or still".to_owned()
        }
        GuardState::Idle => "nothing; `rollguard deploy begin` starts the guarding".to_owned(),
        GuardState::Guarding => while_guarding(snapshot),
        GuardState::AwaitingApproval => people::how_to_answer(snapshot, &good),
        GuardState::RollingBack | GuardState::Verifying => {
            format!("wait; rollguard is bringing {good} back and looks whether it helps")
        }
        GuardState::RolledBack => {
            "nothing now; read the report, and find out why the version was bad".to_owned()
        }
        GuardState::RollbackFailed => {
            format!("act now: bring {good} back by hand; rollguard will not try a second time")
        }
        GuardState::Baked => format!("nothing; if it turns out bad after all, {BY_HAND}"),
        GuardState::Ended => "nothing; this deployment is not guarded any more".to_owned(),
    }
}

fn while_guarding(snapshot: &Snapshot) -> String {
    let worst = worst_rule(snapshot);
    let critical = worst.filter(|rule| rule.evidence.severity == Severity::Critical);
    match (colour(snapshot), critical) {
        (Health::Green, _) => "nothing".to_owned(),
        (Health::Unknown, _) => {
            "find out why there is no data: what is not seen is not guarded".to_owned()
        }
        (Health::Yellow | Health::Red, Some(rule)) => match rule.refusal {
            None => acts_soon(rule, snapshot),
            Some(Refusal::SetAside) => {
                "look into it: it held before this deployment, which is not to blame".to_owned()
            }
            Some(refusal @ Refusal::NoGoodVersion) => format!(
                "decide: rollguard will do nothing ({refusal}); bring one back by hand, and \
                 begin the next deployment with `--good`"
            ),
            Some(refusal @ Refusal::Paused) => {
                format!(
                    "decide: rollguard will do nothing ({refusal}) until the pause ends; {BY_HAND}"
                )
            }
            Some(refusal @ Refusal::Irreversible) => format!(
                "decide: rollguard will do nothing ({refusal}); if going back does less harm, \
                 `rollguard rollback --force --reason ...` goes back"
            ),
            Some(refusal) => {
                format!("decide: rollguard will do nothing ({refusal}); {BY_HAND}")
            }
        },
        (Health::Yellow | Health::Red, None) => {
            format!("watch it: warnings never roll back; {BY_HAND}")
        }
    }
}

fn acts_soon(rule: &RuleStatus, snapshot: &Snapshot) -> String {
    let rest = span_ms(rule.evidence.for_ms.saturating_sub(rule.evidence.held_ms));
    let good = good_version(snapshot);
    match snapshot.mode {
        Mode::Confirm => {
            format!("be ready; rollguard asks for a rollback if this goes on for {rest}")
        }
        Mode::Observe | Mode::Notify | Mode::Auto => {
            format!("nothing; rollguard brings {good} back if this goes on for {rest}")
        }
    }
}

fn good_version(snapshot: &Snapshot) -> String {
    let good = snapshot.deployment.as_ref().and_then(|deployment| deployment.good.as_ref());
    good.map_or("the good version".to_owned(), |good| clip(good.as_str(), NAME))
}
