//! Evidence: rules and readings at one moment, as plain values for the journal and for people.

use crate::model::condition::{Cond, Num};
use crate::model::entry::{Comparison, RuleEvidence, SignalEvidence};
use crate::model::name::SignalName;
use crate::model::place::{RuleIx, SignalIx};
use crate::model::reading::Reading;
use crate::model::signal::Unit;
use crate::model::time::{Moment, Timestamp};

use super::condition;
use super::judge::Judge;

/// The most comparisons of one condition that are shown. Conditions are bounded, people's
/// patience more so.
const MAX_COMPARISONS: usize = 16;

/// A rule and what it rests on.
pub(crate) fn of_rule(judge: &Judge, ix: RuleIx, now: Moment) -> RuleEvidence {
    let plan = judge.plan();
    let rule = plan.rule(ix);
    let state = &judge.rule(ix).state;
    let signals = plan.signals_of(rule);
    RuleEvidence {
        rule: rule.name.clone(),
        when: rule.when.text.clone(),
        given: rule.given.as_ref().map(|given| given.text.clone()),
        state: state.standing(),
        for_ms: millis(rule.hold),
        held_ms: millis(state.held()),
        since: state.since().map(|since| wall(since, now)),
        severity: rule.severity,
        signals: signals.into_iter().map(|signal| of_signal(judge, signal)).collect(),
        comparisons: comparisons(judge, &rule.when.cond),
        about: rule.about.clone(),
    }
}

/// Every rule.
pub(crate) fn of_rules(judge: &Judge, now: Moment) -> Vec<RuleEvidence> {
    (0..judge.plan().rules.len()).map(|rule| of_rule(judge, RuleIx(rule), now)).collect()
}

/// A signal's reading.
pub(crate) fn of_signal(judge: &Judge, ix: SignalIx) -> SignalEvidence {
    let reading = judge.reading(ix);
    let no_data = match reading {
        Reading::NoData(why) => Some(why.to_string()),
        Reading::Value(_) | Reading::AtLeast(_) => None,
    };
    SignalEvidence {
        signal: judge.plan().signal(ix).name.clone(),
        value: reading.value(),
        at_least: matches!(reading, Reading::AtLeast(_)),
        no_data,
    }
}

/// Every signal.
pub(crate) fn of_signals(judge: &Judge) -> Vec<SignalEvidence> {
    (0..judge.plan().signals.len()).map(|signal| of_signal(judge, SignalIx(signal))).collect()
}

/// What the signals measure, where that is known.
pub(crate) fn units(judge: &Judge) -> Vec<(SignalName, Unit)> {
    let signals = judge.plan().signals.iter();
    signals.filter_map(|signal| Some((signal.name.clone(), signal.unit?))).collect()
}

/// Both sides of each comparison of a condition, in the order in which it is written.
pub(crate) fn comparisons(judge: &Judge, cond: &Cond) -> Vec<Comparison> {
    let mut all = Vec::new();
    collect(judge, cond, &mut all);
    all.truncate(MAX_COMPARISONS);
    all
}

fn collect(judge: &Judge, cond: &Cond, all: &mut Vec<Comparison>) {
    let value = |num: &Num| condition::number(num, &|signal| judge.reading(signal)).value();
    match cond {
        Cond::Compare(left, op, right) => {
            all.push(Comparison { left: value(left), op: op.to_string(), right: value(right) });
        }
        Cond::And(left, right) | Cond::Or(left, right) => {
            collect(judge, left, all);
            collect(judge, right, all);
        }
        Cond::Not(inner) => collect(judge, inner, all),
    }
}

/// An instant on the wall clock, going by the difference of the two clocks now.
pub(crate) fn wall(at: crate::model::time::Instant, now: Moment) -> Timestamp {
    now.wall.before(now.at.since(at))
}

/// Whole milliseconds.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
