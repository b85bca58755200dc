//! How often each target is sampled. While something that a target feeds is about to be decided it
//! is sampled at `sharpen` instead of `interval`: the earliest moment at which a rule can be known
//! to hold is that of a sample, and so is every moment at which its clock advances.
//!
//! A target is never sampled more often than it can answer, and one that fails when it is sampled
//! more often is left in peace: the guard must not be the load that breaks a service. Nothing else
//! depends on the pace. Timeout and staleness stay those of `interval`, a window is measured in
//! time and not in samples, and it holds at most as many as a target with that `interval` would
//! give it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::condition::{Compare, Cond, Num};
use crate::model::index::{RuleIx, SignalIx, TargetIx};
use crate::model::plan::Plan;
use crate::model::reading::Reading;
use crate::model::rule::{Rule, Severity};
use crate::model::scrape::{Failure, Scrape};
use crate::model::target::Target;
use crate::model::time::Instant;

use crate::engine::context::{Cx, ReadCx};
use crate::engine::durable::deployment::Phase;
use crate::engine::effect::{Effect, Pace};
use crate::engine::rules::condition::number;
use crate::engine::rules::evaluator::Evaluator;
use crate::engine::rules::signals::mark;
use crate::engine::rules::state::RuleState;
use crate::engine::run::rollback::Rollback;

/// For how long nothing must have been near before a target is sampled at its interval again.
/// Readings that hover about half of a limit would otherwise change the pace every second. Longer
/// than the pauses in traffic of a service under load, and short beside what a bake costs.
const CALM: Duration = Duration::from_secs(10);

/// For how long a target that failed while sharpened keeps its interval: as long as most services
/// take to start or to get over a burst.
const REST: Duration = Duration::from_secs(60);

/// How many scrapes are looked back at for the slowest: seconds when sharpened, so that one slow
/// page does not blunt the pace for the whole of an incident.
const SCRAPES: usize = 16;

/// How many times the slowest scrape fits into the time between two: a target is busy with
/// answering for half of the time at most.
const ROOM: u32 = 2;

/// What follows a signal's name in the names of what it is compared with: its baseline, and its own
/// reading one window ago.
const RESTS: [&str; 2] = [".baseline", ".before"];

/// How each target's last scrape went, and how often it is sampled.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    targets: Vec<TargetSampling>,
}

/// How one target is sampled.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetSampling {
    pub(crate) last: LastScrape,
    /// How long the last successful scrapes took, at most [`SCRAPES`].
    took: VecDeque<Duration>,
    /// When something that it feeds was last near.
    near: Option<Instant>,
    /// Until when it keeps its interval, having failed while sharpened.
    rest: Option<Instant>,
    /// The interval that was asked for last, where it is not the target's own.
    sharpened: Option<Duration>,
    /// Why its interval is what it is.
    pub(crate) pace: Pace,
}

/// How a target's last scrape went, for the status; of a failed one the counts are those before.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastScrape {
    pub(crate) at: Option<Instant>,
    pub(crate) took: Duration,
    pub(crate) samples: u64,
    pub(crate) malformed: u64,
    pub(crate) bytes: u64,
    pub(crate) failure: Option<Failure>,
}

impl Sampling {
    /// Every target at its interval; no scrape is known.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { targets: vec![TargetSampling::default(); plan.targets.len()] }
    }

    /// Keeps what is known of the targets that a new plan has as they were. All start at their
    /// interval.
    pub(crate) fn reload(&mut self, old: &Plan, new: &Plan) {
        let kept = |target: &Target| {
            let place = old.targets.iter().position(|before| before == target)?;
            let own = self.targets[place].clone();
            Some(TargetSampling { sharpened: None, pace: Pace::Plain, ..own })
        };
        self.targets = new.targets.iter().map(|target| kept(target).unwrap_or_default()).collect();
    }

    /// How a target is sampled.
    pub(crate) fn target(&self, ix: TargetIx) -> &TargetSampling {
        &self.targets[ix.0]
    }

    /// Takes in how a scrape went.
    pub(crate) fn on_scrape(&mut self, scrape: &Scrape) {
        let Some(own) = self.targets.get_mut(scrape.target.0) else { return };
        let last = &mut own.last;
        (last.at, last.took) = (Some(scrape.at), scrape.took);
        match &scrape.result {
            Ok(page) => {
                (last.samples, last.malformed) = (page.sample_count, page.malformed_count);
                (last.bytes, last.failure) = (page.bytes, None);
                if own.took.len() == SCRAPES {
                    own.took.pop_front();
                }
                own.took.push_back(scrape.took);
            }
            Err(failure) => {
                last.failure = Some(failure.clone());
                if own.sharpened.is_some() {
                    own.rest = Some(scrape.at.after(scrape.took).after(REST));
                }
            }
        }
    }

    /// Asks for another interval for each target that is to have one.
    pub(crate) fn keep_pace(&mut self, cx: &mut Cx<'_>, rollback: &Rollback) {
        let plan = cx.plan();
        if plan.targets.iter().all(|target| target.sharpen.is_none()) {
            return;
        }
        let (near, now) = (near_targets(cx.read(), rollback), cx.now.at);
        for (index, (target, own)) in plan.targets.iter().zip(&mut self.targets).enumerate() {
            if near[index] {
                own.near = Some(now);
            }
            let (wanted, pace) = own.wanted(target, now);
            own.pace = pace;
            if std::mem::replace(&mut own.sharpened, wanted) != wanted {
                let interval = own.interval(target);
                cx.push(Effect::Pace { target: TargetIx(index), interval, pace });
            }
        }
    }

    /// Nothing is decided any more: every target gets its interval back. Asked for even where it
    /// has it, since what was asked for last may not have been done.
    pub(crate) fn relax(&mut self, cx: &mut Cx<'_>) {
        for (index, (target, own)) in cx.plan().targets.iter().zip(&mut self.targets).enumerate() {
            (own.near, own.sharpened, own.pace) = (None, None, Pace::Plain);
            if target.sharpen.is_some() {
                let (target, interval) = (TargetIx(index), target.interval);
                cx.push(Effect::Pace { target, interval, pace: Pace::Plain });
            }
        }
    }
}

impl TargetSampling {
    /// The time between two scrapes.
    pub(crate) fn interval(&self, target: &Target) -> Duration {
        self.sharpened.unwrap_or(target.interval)
    }

    /// The interval that is wanted where it is not the target's own, and why.
    fn wanted(&self, target: &Target, now: Instant) -> (Option<Duration>, Pace) {
        let Some(sharpen) = target.sharpen else { return (None, Pace::Plain) };
        if self.near.is_none_or(|near| now.since(near) >= CALM) {
            return (None, Pace::Plain);
        }
        if self.last.failure.is_some() || self.rest.is_some_and(|rest| rest > now) {
            return (None, Pace::Failing);
        }
        let slowest = self.took.iter().max().copied().unwrap_or_default();
        // Doubled rather than fitted, so that it does not change with every scrape.
        let doubled = |interval: &Duration| interval.checked_mul(2);
        let wanted = std::iter::successors(Some(sharpen), doubled)
            .find(|interval| *interval >= slowest.saturating_mul(ROOM))
            .filter(|interval| *interval < target.interval);
        let pace = if wanted == Some(sharpen) { Pace::Sharpened } else { Pace::Slow };
        (wanted, pace)
    }
}

/// The targets that feed what may soon be decided.
fn near_targets(cx: ReadCx<'_>, rollback: &Rollback) -> Vec<bool> {
    let (plan, evaluator) = (cx.plan(), cx.evaluator);
    let mut near = vec![false; plan.targets.len()];
    let mut add = |which: &dyn Fn(RuleIx) -> bool| {
        let rules = (0..plan.rules.len()).map(RuleIx).filter(|ix| which(*ix));
        rules.for_each(|ix| mark(&mut near, &evaluator.rule(ix).fed_by));
    };
    let current = cx.current().filter(|_| !cx.log.is_halted());
    let cure = rollback.hook().and_then(|hook| hook.cure.as_ref());
    match (current.map(|current| (&current.phase, &current.set_aside)), cure) {
        // In warm-up and where nothing would be done, too: what is recorded then is to be as exact.
        // Rules that were set aside decide nothing in this deployment, however long they hold.
        (Some((Phase::Guarding, set_aside)), _) => add(&|ix| {
            evaluator.applies(ix)
                && !set_aside.contains(&plan.rule(ix).name)
                && (evaluator.rule(ix).state != RuleState::Inactive || is_near(evaluator, ix))
        }),
        (Some((Phase::RollingBack, _)), Some(cure)) if rollback.is_verifying() => {
            let mut signals = Vec::new();
            cure.when.cond.for_each_signal(&mut |signal| signals.push(signal));
            near = evaluator.fed_by(&signals);
        }
        (Some((Phase::RollingBack, _)), None) if rollback.is_verifying() => {
            add(&|ix| plan.rule(ix).severity == Severity::Critical);
        }
        (Some(_) | None, _) => {}
    }
    near
}

/// Whether a rule's condition is near in one of its groups.
fn is_near(evaluator: &Evaluator, ix: RuleIx) -> bool {
    let plan = evaluator.plan();
    evaluator.rule(ix).clocks.iter().any(|known| {
        is_rule_near(plan.rule(ix), plan, &|signal| evaluator.reading_in(signal, &known.group))
    })
}

/// Whether a rule's condition is near, and its evidence floor, too: below the floor it cannot hold.
/// A condition is near where it holds or a reading is beyond half of its limit; this never takes
/// part in judging. What is not known is not near: a rule that misses a reading cannot come to hold
/// before there is one, and more pages like the last would not bring it.
fn is_rule_near(rule: &Rule, plan: &Plan, reading: &impl Fn(SignalIx) -> Reading) -> bool {
    let near = |cond: &Cond| is_cond_near(cond, Polarity::Positive, plan, reading);
    rule.given.as_ref().is_none_or(|given| near(&given.cond)) && near(&rule.when.cond)
}

/// Whether a condition must hold for the rule to hold, or must fail: it stands below an odd number
/// of negations.
#[derive(Clone, Copy)]
enum Polarity {
    Positive,
    Negative,
}

fn is_cond_near(
    cond: &Cond,
    polarity: Polarity,
    plan: &Plan,
    reading: &impl Fn(SignalIx) -> Reading,
) -> bool {
    use Polarity::{Negative, Positive};
    let near = |cond: &Cond, polarity| is_cond_near(cond, polarity, plan, reading);
    match (cond, polarity) {
        (Cond::Compare(left, op, right), Positive) => {
            is_comparison_near(left, *op, right, plan, reading)
        }
        (Cond::Compare(left, op, right), Negative) => {
            is_comparison_near(left, op.negated(), right, plan, reading)
        }
        // De Morgan: `!(a && b)` is `!a || !b`.
        (Cond::And(left, right), Positive) | (Cond::Or(left, right), Negative) => {
            near(left, polarity) && near(right, polarity)
        }
        (Cond::Or(left, right), Positive) | (Cond::And(left, right), Negative) => {
            near(left, polarity) || near(right, polarity)
        }
        (Cond::Not(inner), Positive) => near(inner, Negative),
        (Cond::Not(inner), Negative) => near(inner, Positive),
    }
}

fn is_comparison_near(
    left: &Num,
    op: Compare,
    right: &Num,
    plan: &Plan,
    reading: &impl Fn(SignalIx) -> Reading,
) -> bool {
    let Some((value, limit)) = both(left, right, reading) else { return false };
    // As if both sides were to be exceeded.
    let turned = match op {
        _ if op.test(value, limit) => return true,
        Compare::Greater | Compare::GreaterOrEqual => 1.0,
        Compare::Less | Compare::LessOrEqual => -1.0,
        // Equality is not approached: the number before the one asked for says nothing.
        Compare::Equal | Compare::NotEqual => return false,
    };
    let (value, limit) = (value * turned, limit * turned);
    let mut signals = Vec::new();
    left.for_each_signal(&mut |signal| signals.push(signal));
    right.for_each_signal(&mut |signal| signals.push(signal));
    // As if each signal that is compared with its own baseline, or with itself a window ago, read
    // that: a limit of twice the baseline is not half reached by being normal.
    let rest = |signal: &SignalIx| {
        let name = |ix: &SignalIx| plan.signal(*ix).name.as_str();
        let is_its = |other: &&SignalIx| {
            RESTS.iter().any(|end| name(other).strip_suffix(end) == Some(name(signal)))
        };
        signals.iter().find(is_its).copied()
    };
    let compared = signals.iter().any(|signal| rest(signal).is_some());
    let at_rest = |signal: SignalIx| reading(rest(&signal).unwrap_or(signal));
    match compared.then(|| both(left, right, &at_rest)).flatten() {
        // Half of the way from where the reading rests to where the comparison holds.
        Some((rest, goal)) => limit - value <= turned * (goal - rest) / 2.0,
        // That a target is up, 1, is not half of the way to 0.
        None if signals.iter().any(|ix| plan.signal(*ix).kind.up().is_some()) => false,
        // Zero is no scale: what is to exceed it is near only once it does.
        None if limit > 0.0 => value >= limit / 2.0,
        None => limit < 0.0 && value >= limit * 2.0,
    }
}

/// Both sides as numbers. A reading that is only a lower bound counts as that bound: it is all that
/// is known.
fn both(left: &Num, right: &Num, reading: &impl Fn(SignalIx) -> Reading) -> Option<(f64, f64)> {
    Some((number(left, reading).value()?, number(right, reading).value()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Color, SourceFile, compile};
    use crate::model::reading::NoData;

    /// Whether a rule over the gauges `a` and `b`, the constant `base` and whether the target is
    /// up is near where they read this.
    #[track_caller]
    fn check(rule: &str, readings: [Reading; 2], expected: bool) {
        let text = format!(
            "[deployment]\nservice = \"s\"\n[target.t]\nscrape = \"http://h/\"\n\
             [signal.a]\ngauge = 'a'\n\
             [signal.a.baseline]\nfrom = \"value\"\nvalue = 1\n\
             [signal.b]\ngauge = 'b'\n[signal.alive]\nup = \"t\"\n\
             [rule.r]\n{rule}\nseverity = \"warning\"\n[rule.all]\nwhen = \"a + b + alive > 0\"\n\
             severity = \"warning\"\n"
        );
        let file = SourceFile { path: "near.toml".to_owned(), text };
        let plan = match compile(&file, &[]) {
            Ok(compiled) => compiled.plan,
            Err(wrong) => panic!("{}", wrong.render(Color::Plain)),
        };
        let reading = |signal: SignalIx| match plan.signal(signal).name.as_str() {
            "a" => readings[0],
            "b" => readings[1],
            _ => Reading::Value(1.0),
        };
        assert_eq!(
            is_rule_near(&plan.rules[0], &plan, &reading),
            expected,
            "{rule} of {readings:?}"
        );
    }

    /// A rule over `a` alone.
    #[track_caller]
    fn of(when: &str, a: f64, expected: bool) {
        let readings = [Reading::Value(a), Reading::NoData(NoData::NoSeries)];
        check(&format!("when = \"{when}\""), readings, expected);
    }

    /// A rule over both.
    #[track_caller]
    fn both(rule: &str, a: f64, b: f64, expected: bool) {
        check(rule, [Reading::Value(a), Reading::Value(b)], expected);
    }

    #[test]
    fn a_reading_is_near_beyond_half_of_its_limit() {
        for (reading, expected) in [(0.0, false), (2.4, false), (2.5, true), (5.0, true)] {
            of("a > 5", reading, expected);
            of("a >= 5", reading, expected);
            of("5 < a", reading, expected);
            of("!(a <= 5)", reading, expected);
            of("-a < -5", reading, expected);
        }
        for (reading, expected) in [(99.0, false), (10.1, false), (10.0, true), (1.0, true)] {
            of("a < 5", reading, expected);
            of("a <= 5", reading, expected);
            of("!(a > 5)", reading, expected);
            of("-a > -5", reading, expected);
        }
    }

    #[test]
    fn zero_and_equality_are_not_approached() {
        for reading in [-1.0, 0.0] {
            of("a > 0", reading, false);
        }
        of("a > 0", 0.1, true);
        of("a < 0", 0.1, false);
        of("a == 3", 2.9, false);
        of("a == 3", 3.0, true);
        of("a != 3", 3.0, false);
        of("!(a == 3)", 3.0, false);
    }

    #[test]
    fn a_target_that_is_up_is_not_half_down() {
        both("when = \"alive < 1\"", 0.0, 0.0, false);
        both("when = \"alive < 2\"", 0.0, 0.0, true);
    }

    #[test]
    fn being_normal_is_not_half_of_the_way_to_twice_the_baseline() {
        for (reading, expected) in [(0.5, false), (1.0, false), (1.4, false), (1.5, true)] {
            of("a > 2 * a.baseline", reading, expected);
            of("a - a.baseline > 1", reading, expected);
        }
        for (reading, expected) in [(1.0, false), (0.76, false), (0.75, true), (0.4, true)] {
            of("a < a.baseline / 2", reading, expected);
        }
    }

    #[test]
    fn a_rule_is_near_only_if_all_that_it_needs_is() {
        for (a, b, expected) in [(4.0, 4.0, true), (4.0, 1.0, false), (9.0, 3.0, true)] {
            both("when = \"a > 5 && b > 5\"", a, b, expected);
            both("when = \"!(a <= 5 || b <= 5)\"", a, b, expected);
            both("when = \"a > 5\"\ngiven = \"b > 5\"", a, b, expected);
        }
        for (a, b, expected) in [(4.0, 1.0, true), (1.0, 4.0, true), (1.0, 1.0, false)] {
            both("when = \"a > 5 || b > 5\"", a, b, expected);
            both("when = \"!(a <= 5 && b <= 5)\"", a, b, expected);
            both("when = \"!!(a > 5 || b > 5)\"", a, b, expected);
        }
    }

    #[test]
    fn what_is_not_known_is_not_near_and_a_lower_bound_counts_as_it_is() {
        let none = Reading::NoData(NoData::WindowFilling);
        check("when = \"a > 5 && b > 5\"", [Reading::Value(9.0), none], false);
        check("when = \"a > 5 || b > 5\"", [Reading::Value(9.0), none], true);
        check("when = \"a > 5\"\ngiven = \"b > 5\"", [Reading::Value(9.0), none], false);
        check("when = \"!(a > 5)\"", [none, none], false);
        check("when = \"a > 5\"", [Reading::AtLeast(3.0), none], true);
        check("when = \"a > 5\"", [Reading::AtLeast(1.0), none], false);
    }
}
