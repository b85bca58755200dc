//! Evidence: rules and readings at one moment, as plain values for the journal and for people.

use std::cmp::Reverse;
use std::time::Duration;

use crate::model::condition::{Cond, Num};
use crate::model::entry::{
    Comparison, GroupEvidence, RuleEvidence, RuleStanding, SignalEvidence, Trigger,
};
use crate::model::index::{RuleIx, SignalIx};
use crate::model::rule::{Quorum, Share};
use crate::model::time::{Moment, format_duration};
use crate::model::{group::Group, hook::Hook, name::SignalName, reading::Reading, signal::Unit};

pub(crate) use crate::model::time::millis;

use crate::engine::{rules::condition, rules::evaluator::Evaluator, rules::state::GroupClock};

/// The most comparisons of one condition that are shown. Conditions are bounded, people's
/// patience more so.
const MAX_COMPARISONS: usize = 16;

/// The most groups of a signal or a rule that are shown and kept: the worst of them tell the story.
const MAX_GROUPS: usize = 16;

/// A rule that fires, as what a rollback rests on.
pub(crate) fn trigger(evaluator: &Evaluator, ix: RuleIx, now: Moment) -> Trigger {
    Trigger::Rule(Box::new(of_rule(evaluator, ix, now)))
}

/// What must be seen after a hook's steps, in a line for people.
pub(crate) fn describe_cure(hook: &Hook) -> String {
    hook.cure.as_ref().map_or_else(
        || "no critical rule holds any more".to_owned(),
        |cure| {
            let (hold, within) = (format_duration(cure.hold), format_duration(cure.within));
            format!("{} for {hold}, within {within} of the last step", cure.when.text)
        },
    )
}

/// A rule and what it rests on.
pub(crate) fn of_rule(evaluator: &Evaluator, ix: RuleIx, now: Moment) -> RuleEvidence {
    let plan = evaluator.plan();
    let rule = plan.rule(ix);
    let known = evaluator.rule(ix);
    let state = known.state;
    let signals = plan.signals_of(rule);
    let mut groups: Vec<&GroupClock> =
        known.clocks.iter().filter(|clock| clock.group != Group::ALL).collect();
    let grouped = !groups.is_empty();
    // In the groups that speak for it; where none does, in the first.
    let others = Group::others();
    groups.sort_by_key(|known| (Reverse(rank(known)), known.group == others));
    let first = groups.first().map_or(Group::ALL, |known| known.group.clone());
    groups.retain(|known| rank(known).0 > 0);
    groups.truncate(MAX_GROUPS);
    RuleEvidence {
        rule: rule.name.clone(),
        when: rule.when.text.clone(),
        given: rule.given.as_ref().map(|given| given.text.clone()),
        state: state.standing(),
        for_ms: millis(rule.hold),
        held_ms: millis(state.held()),
        since: state.since().map(|since| now.wall.before(now.at.since(since))),
        severity: rule.severity,
        signals: signals.into_iter().flat_map(|signal| of_signal(evaluator, signal)).collect(),
        comparisons: comparisons(evaluator, &rule.when.cond, &first),
        share: (rule.share != Share::ALL).then(|| rule.share.get()),
        quorum: grouped.then(|| match rule.quorum {
            Quorum::Any => "any".to_owned(),
            Quorum::All => "all".to_owned(),
            Quorum::AtLeast(count) => count.to_string(),
        }),
        groups: groups
            .into_iter()
            .map(|known| of_group(evaluator, &rule.when.cond, known))
            .collect(),
        about: rule.about.clone(),
    }
}

/// Every rule.
pub(crate) fn of_rules(evaluator: &Evaluator, now: Moment) -> Vec<RuleEvidence> {
    (0..evaluator.plan().rules.len()).map(|rule| of_rule(evaluator, RuleIx(rule), now)).collect()
}

/// How much a group speaks for its rule.
fn rank(known: &GroupClock) -> (u8, Duration) {
    let state = known.clock.state();
    let standing = match state.standing() {
        RuleStanding::Inactive => 0,
        RuleStanding::Pending => 1,
        RuleStanding::Firing => 2,
    };
    (standing, state.held())
}

fn of_group(evaluator: &Evaluator, cond: &Cond, known: &GroupClock) -> GroupEvidence {
    let state = known.clock.state();
    GroupEvidence {
        group: known.group.to_string(),
        state: state.standing(),
        held_ms: millis(state.held()),
        comparisons: comparisons(evaluator, cond, &known.group),
    }
}

/// A signal's readings, one for each group; of too many those in groups that speak for a rule come
/// first.
pub(crate) fn of_signal(evaluator: &Evaluator, ix: SignalIx) -> Vec<SignalEvidence> {
    let readings = evaluator.readings(ix);
    if readings.is_empty() {
        return vec![of_reading(evaluator, ix, &Group::ALL, evaluator.reading(ix))];
    }
    let mut shown: Vec<&(Group, Reading)> = readings.iter().collect();
    if shown.len() > MAX_GROUPS {
        let speaking = evaluator.active_groups();
        shown.sort_by_key(|(group, _)| !speaking.contains(group));
        shown.truncate(MAX_GROUPS);
    }
    shown.into_iter().map(|(group, reading)| of_reading(evaluator, ix, group, *reading)).collect()
}

fn of_reading(
    evaluator: &Evaluator,
    ix: SignalIx,
    group: &Group,
    reading: Reading,
) -> SignalEvidence {
    let no_data = match reading {
        Reading::NoData(why) => Some(why.to_string()),
        Reading::Value(_) | Reading::AtLeast(_) => None,
    };
    SignalEvidence {
        signal: evaluator.plan().signal(ix).name.clone(),
        group: group.text().map(str::to_owned),
        value: reading.value(),
        at_least: matches!(reading, Reading::AtLeast(_)),
        no_data,
    }
}

/// Every signal.
pub(crate) fn of_signals(evaluator: &Evaluator) -> Vec<SignalEvidence> {
    (0..evaluator.plan().signals.len()).flat_map(|ix| of_signal(evaluator, SignalIx(ix))).collect()
}

/// What the signals measure, where that is known.
pub(crate) fn units(evaluator: &Evaluator) -> Vec<(SignalName, Unit)> {
    let signals = evaluator.plan().signals.iter();
    signals.filter_map(|signal| Some((signal.name.clone(), signal.unit?))).collect()
}

/// Both sides of each comparison of a condition in a group, in the order in which it is written.
pub(crate) fn comparisons(evaluator: &Evaluator, cond: &Cond, group: &Group) -> Vec<Comparison> {
    let mut all = Vec::new();
    collect(evaluator, cond, group, &mut all);
    all.truncate(MAX_COMPARISONS);
    all
}

fn collect(evaluator: &Evaluator, cond: &Cond, group: &Group, all: &mut Vec<Comparison>) {
    let reading = |signal| evaluator.reading_in(signal, group);
    let value = |num: &Num| condition::number(num, &reading).value();
    match cond {
        Cond::Compare(left, op, right) => {
            all.push(Comparison { left: value(left), op: op.to_string(), right: value(right) });
        }
        Cond::And(left, right) | Cond::Or(left, right) => {
            collect(evaluator, left, group, all);
            collect(evaluator, right, group, all);
        }
        Cond::Not(inner) => collect(evaluator, inner, group, all),
    }
}
