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
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::condition::Cond;
use crate::model::index::{RuleIx, TargetIx};
use crate::model::name::RuleName;
use crate::model::plan::Plan;
use crate::model::rule::Severity;
use crate::model::scrape::{Failure, Scrape};
use crate::model::target::Target;
use crate::model::time::Instant;

use super::near_limit::is_near;
use crate::engine::rules::evaluator::Evaluator;
use crate::engine::rules::signals::mark;
use crate::engine::rules::state::RuleState;

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

/// Another interval for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PaceChange {
    pub(crate) target: TargetIx,
    pub(crate) interval: Duration,
    pub(crate) pace: Pace,
}

/// Why a target is sampled as often as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// At its interval: nothing that it feeds is about to be decided.
    #[default]
    Plain,
    /// At its `sharpen`.
    Sharpened,
    /// Less often than at its `sharpen`, because its scrapes take too long for that.
    Slow,
    /// At its interval, because it fails, or failed when it was sampled more often.
    Failing,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "nothing that it feeds is about to be decided",
            Self::Sharpened => "something that it feeds is about to be decided",
            Self::Slow => "its scrapes take too long",
            Self::Failing => "it failed a short while ago",
        })
    }
}

/// How each target's last scrape went, and how often it is sampled.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    targets: Vec<TargetSampling>,
}

/// How one target is sampled.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetSampling {
    last: LastScrape,
    /// How long the last successful scrapes took, at most [`SCRAPES`].
    took: VecDeque<Duration>,
    /// When something that it feeds was last near.
    near: Option<Instant>,
    /// Until when it keeps its interval, having failed while sharpened.
    rest: Option<Instant>,
    /// The interval that was asked for last, where it is not the target's own.
    sharpened: Option<Duration>,
    pace: Pace,
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

/// What may soon be decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deciding<'a> {
    Nothing,
    /// A rollback, by the rules but for those that were set aside: they decide nothing in this
    /// deployment, however long they go on holding.
    Rollback {
        set_aside: &'a [RuleName],
    },
    /// Whether a rollback helped: by the cure's condition, or without one by the critical rules.
    Cure(Option<&'a Cond>),
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
            Some(self.targets[place].clone().at_its_interval())
        };
        self.targets = new.targets.iter().map(|target| kept(target).unwrap_or_default()).collect();
    }

    /// How a target is sampled.
    pub(crate) fn target(&self, ix: TargetIx) -> &TargetSampling {
        &self.targets[ix.0]
    }

    /// Takes in how a scrape went.
    pub(crate) fn on_scrape(&mut self, scrape: &Scrape) {
        if let Some(target) = self.targets.get_mut(scrape.target.0) {
            target.on_scrape(scrape);
        }
    }

    /// Asks for another interval for each target that is to have one.
    pub(crate) fn keep_pace(
        &mut self,
        evaluator: &Evaluator,
        deciding: Deciding<'_>,
        now: Instant,
    ) -> Vec<PaceChange> {
        let plan = evaluator.plan();
        let mut changes = Vec::new();
        if plan.targets.iter().all(|target| target.sharpen.is_none()) {
            return changes;
        }
        let near = near_targets(evaluator, deciding);
        for (index, (target, own)) in plan.targets.iter().zip(&mut self.targets).enumerate() {
            if near[index] {
                own.near = Some(now);
            }
            let (wanted, pace) = own.wanted(target, now);
            let changed = own.sharpened != wanted;
            (own.sharpened, own.pace) = (wanted, pace);
            if changed {
                let interval = own.interval(target);
                changes.push(PaceChange { target: TargetIx(index), interval, pace });
            }
        }
        changes
    }

    /// Nothing is decided any more: every target gets its interval back. Asked for even where it
    /// has it, since what was asked for last may not have been done.
    pub(crate) fn relax(&mut self, plan: &Plan) -> Vec<PaceChange> {
        let mut changes = Vec::new();
        for (index, (target, own)) in plan.targets.iter().zip(&mut self.targets).enumerate() {
            *own = TargetSampling { near: None, ..std::mem::take(own).at_its_interval() };
            if target.sharpen.is_some() {
                let (target, interval) = (TargetIx(index), target.interval);
                changes.push(PaceChange { target, interval, pace: Pace::Plain });
            }
        }
        changes
    }
}

impl TargetSampling {
    /// How its last scrape went.
    pub(crate) const fn last(&self) -> &LastScrape {
        &self.last
    }

    /// The time between two scrapes.
    pub(crate) fn interval(&self, target: &Target) -> Duration {
        self.sharpened.unwrap_or(target.interval)
    }

    /// Why it is that.
    pub(crate) const fn pace(&self) -> Pace {
        self.pace
    }

    fn at_its_interval(self) -> Self {
        Self { sharpened: None, pace: Pace::Plain, ..self }
    }

    fn on_scrape(&mut self, scrape: &Scrape) {
        let last = &mut self.last;
        (last.at, last.took) = (Some(scrape.at), scrape.took);
        match &scrape.result {
            Ok(page) => {
                (last.samples, last.malformed) = (page.sample_count, page.malformed_count);
                (last.bytes, last.failure) = (page.bytes, None);
                if self.took.len() == SCRAPES {
                    self.took.pop_front();
                }
                self.took.push_back(scrape.took);
            }
            Err(failure) => {
                last.failure = Some(failure.clone());
                if self.sharpened.is_some() {
                    self.rest = Some(scrape.at.after(scrape.took).after(REST));
                }
            }
        }
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
fn near_targets(evaluator: &Evaluator, deciding: Deciding<'_>) -> Vec<bool> {
    let plan = evaluator.plan();
    let mut near = vec![false; plan.targets.len()];
    let mut add = |which: &dyn Fn(RuleIx) -> bool| {
        let rules = (0..plan.rules.len()).map(RuleIx).filter(|ix| which(*ix));
        rules.for_each(|ix| mark(&mut near, evaluator.rule(ix).fed_by()));
    };
    match deciding {
        Deciding::Nothing => {}
        // In warm-up and where nothing would be done, too: what is recorded then is to be as exact.
        Deciding::Rollback { set_aside } => add(&|ix| {
            evaluator.applies(ix)
                && !set_aside.contains(&plan.rule(ix).name)
                && is_active_or_near(evaluator, ix)
        }),
        Deciding::Cure(Some(condition)) => {
            let mut signals = Vec::new();
            condition.for_each_signal(&mut |signal| signals.push(signal));
            near = evaluator.fed_by(&signals);
        }
        Deciding::Cure(None) => add(&|ix| plan.rule(ix).severity == Severity::Critical),
    }
    near
}

/// Whether a rule is pending or firing, or its condition is near in one of its groups.
fn is_active_or_near(evaluator: &Evaluator, ix: RuleIx) -> bool {
    let (plan, rule) = (evaluator.plan(), evaluator.rule(ix));
    let mut groups = rule.clocks().iter().map(|known| &known.group);
    rule.state() != RuleState::Inactive
        || groups.any(|group| {
            is_near(plan.rule(ix), plan, &|signal| evaluator.reading_in(signal, group))
        })
}
