//! The sentences that an operator reads first: what is going on, and what is to be done. Each is
//! wrapped, never cut: half an advice is worse than none.

use crate::engine::view::health::{Health, colour, of_rule, of_rules};
use crate::engine::view::snapshot::{DeploymentStatus, GuardState, RuleStatus, Snapshot};
use crate::model::deployment::Mode;
use crate::model::entry::{Refusal, RuleStanding, Trigger};
use crate::model::rule::Severity;

use super::compare::comparisons;
use super::line::clip;
use super::people;
use super::words::{list, span_ms};

/// Columns that a name may take within a sentence.
const NAME: usize = 24;

/// The last steps of a story that a person may have to tell the guard.
const BY_HAND: &str = "`rollguard rollback --reason ...` rolls back at once";

/// What is going on.
pub(super) fn what(snapshot: &Snapshot) -> String {
    if !snapshot.journal_ok {
        return "the journal cannot be written, so nothing will be done any more".to_owned();
    }
    let deployment = snapshot.deployment.as_ref();
    let known = deployment.and_then(|deployment| match snapshot.state {
        GuardState::RollingBack => {
            let step = deployment.step.map(|(step, of)| format!(", step {step} of {of}"));
            let step = step.unwrap_or_default();
            Some(format!("rolling back{step}, because {}", cause(deployment)))
        }
        GuardState::Verifying => {
            Some(format!("rolled back, looking for the cure, because {}", cause(deployment)))
        }
        GuardState::RollbackFailed => {
            let why = deployment.why.as_deref().unwrap_or("see below");
            Some(format!("the rollback failed: {why}"))
        }
        GuardState::AwaitingApproval => {
            Some(people::asks(deployment.approval.as_ref()?, snapshot.at))
        }
        GuardState::RolledBack => {
            Some(format!("it was rolled back, because {}", cause(deployment)))
        }
        GuardState::Idle | GuardState::Guarding | GuardState::Baked | GuardState::Ended => None,
    });
    known.unwrap_or_else(|| of_worst_rule(snapshot))
}

fn worst_rule(snapshot: &Snapshot) -> Option<&RuleStatus> {
    // The first of equals: `max_by_key` would take the last.
    snapshot.rules.iter().rev().max_by_key(|rule| (of_rule(rule), rule.evidence.state as u8))
}

fn of_worst_rule(snapshot: &Snapshot) -> String {
    let Some(rule) = worst_rule(snapshot) else { return "no rules are configured".to_owned() };
    let evidence = &rule.evidence;
    let (name, readings) = (clip(evidence.rule.as_str(), NAME), readings(rule, snapshot));
    match evidence.state {
        RuleStanding::Inactive if of_rule(rule) == Health::Unknown => {
            format!("rule {name} cannot tell: {}", rule.no_data.as_deref().unwrap_or("no data"))
        }
        RuleStanding::Inactive if snapshot.rules.len() == 1 => "the rule does not hold".to_owned(),
        RuleStanding::Inactive => format!("none of the {} rules holds", snapshot.rules.len()),
        RuleStanding::Pending => {
            let (held, hold) = (span_ms(evidence.held_ms), span_ms(evidence.for_ms));
            format!("rule {name} has held {held} of {hold}: {readings}")
        }
        RuleStanding::Firing => format!("rule {name} fires: {readings}"),
    }
}

/// A rule's comparisons in a row, each cut so that one of them cannot take the line.
pub(super) fn readings(rule: &RuleStatus, snapshot: &Snapshot) -> String {
    let unit =
        |name: &_| snapshot.signals.iter().find(|signal| signal.reading.signal == *name)?.unit;
    let all = list(comparisons(&rule.evidence, unit).iter().map(|all| clip(&all.named(), 46)));
    if all.is_empty() { rule.evidence.when.clone() } else { all }
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
    let good = snapshot.deployment.as_ref().and_then(|deployment| deployment.good.as_ref());
    let good = good.map_or("the good version".to_owned(), |good| clip(good.as_str(), NAME));
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
        GuardState::Guarding => while_guarding(snapshot, &good),
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

fn while_guarding(snapshot: &Snapshot, good: &str) -> String {
    match colour(snapshot) {
        Health::Green => return "nothing".to_owned(),
        Health::Unknown => {
            return "find out why there is no data: what is not seen is not guarded".to_owned();
        }
        Health::Yellow | Health::Red => {}
    }
    let worst = worst_rule(snapshot);
    let Some(rule) = worst.filter(|rule| rule.evidence.severity == Severity::Critical) else {
        return format!("watch it: warnings never roll back; {BY_HAND}");
    };
    let rest = span_ms(rule.evidence.for_ms.saturating_sub(rule.evidence.held_ms));
    let then = match rule.refusal {
        None if snapshot.mode == Mode::Confirm => {
            return format!("be ready; rollguard asks for a rollback if this goes on for {rest}");
        }
        None => return format!("nothing; rollguard brings {good} back if this goes on for {rest}"),
        Some(Refusal::SetAside) => {
            return "look into it: it held before this deployment, which is not to blame"
                .to_owned();
        }
        Some(Refusal::NoGoodVersion) => {
            "; bring one back by hand, and begin the next deployment with `--good`".to_owned()
        }
        Some(Refusal::Paused) => format!(" until the pause ends; {BY_HAND}"),
        Some(Refusal::Irreversible) => {
            "; if going back does less harm, `rollguard rollback --force \
                                        --reason ...` goes back"
                .to_owned()
        }
        Some(_) => format!("; {BY_HAND}"),
    };
    let refusal = rule.refusal.map(|refusal| refusal.to_string()).unwrap_or_default();
    format!("decide: rollguard will do nothing ({refusal}){then}")
}
