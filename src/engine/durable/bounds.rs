//! Bounds what an entry may hold. An entry that does not fit a journal line cannot be written, and
//! what is not on record is not done: a decision to roll back must fit, however many rules and
//! groups there are. Readings are left out rather than that.

use serde::Serialize;

use crate::model::entry::{
    ApprovalEvent, DeploymentEvent, Event, RollbackEvent, RuleEvent, RuleEvidence, RuleStanding,
    Trigger,
};

/// The most bytes of one list in an entry. A decision has three: its rules, its readings and
/// those of the rule that fired. With the names of 4,000 rules that held, which is the most that
/// there can be, and [`MAX_BASELINES`], the beginning of a deployment has less than 1 MiB, too.
const MAX_LIST: usize = 256 * 1024;

/// The most bytes of the baselines of a deployment: about 2,000 groups.
pub(crate) const MAX_BASELINES: usize = 384 * 1024;

/// Leaves out what is too much.
pub(crate) fn bound(event: &mut Event) {
    if let Event::Deployment(DeploymentEvent::Begun(begun)) = event {
        keep(&mut begun.signals);
    } else if let Event::Rollback(
        RollbackEvent::Cured { signals, .. } | RollbackEvent::Failed { signals, .. },
    ) = event
    {
        keep(signals);
    } else if let Event::Rule(
        RuleEvent::SetAside { evidence } | RuleEvent::Refused { evidence, .. },
    ) = event
    {
        keep(&mut evidence.signals);
    } else if let Event::Rollback(RollbackEvent::Decided(decision))
    | Event::Approval(ApprovalEvent::Asked { decision, .. }) = event
    {
        if let Trigger::Rule(evidence) = &mut decision.trigger {
            keep(&mut evidence.signals);
        }
        keep_rules(&mut decision.rules);
        keep(&mut decision.signals);
    }
}

/// Keeps those that say most: a rule's readings stand among those of the decision as well, and a
/// rule that does not hold has no part in it.
fn keep_rules(rules: &mut Vec<RuleEvidence>) {
    if bytes(rules) > MAX_LIST {
        rules.iter_mut().for_each(|rule| rule.signals.clear());
    }
    if bytes(rules) > MAX_LIST {
        rules.retain(|rule| rule.state != RuleStanding::Inactive);
    }
    if bytes(rules) > MAX_LIST {
        rules.iter_mut().for_each(|rule| rule.groups.clear());
    }
    keep(rules);
}

/// Keeps the first of a list.
fn keep<T: Serialize>(list: &mut Vec<T>) {
    let mut left = MAX_LIST;
    let fits = |each: &&T| {
        let rest = left.checked_sub(bytes(*each));
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let count = list.iter().take_while(fits).count();
    list.truncate(count);
}

/// How many bytes something takes in a line, with the comma after it.
pub(crate) fn bytes(what: &(impl Serialize + ?Sized)) -> usize {
    serde_json::to_string(what).map_or(usize::MAX, |text| text.len() + 1)
}
