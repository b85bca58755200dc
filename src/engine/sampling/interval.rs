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

use crate::model::index::{RuleIx, TargetIx};
use crate::model::rule::Severity;
use crate::model::scrape::{Failure, Scrape};
use crate::model::target::Target;
use crate::model::time::Instant;

use super::near_limit::is_near;
use crate::engine::durable::state::Phase;
use crate::engine::effect::{Effect, Pace};
use crate::engine::guard::Guard;
use crate::engine::rules::state::State;

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

/// How a target's last scrape went, for the status, and how often it is sampled.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetState {
    pub(crate) at: Option<Instant>,
    pub(crate) took: Duration,
    pub(crate) samples: u64,
    pub(crate) malformed: u64,
    pub(crate) bytes: u64,
    pub(crate) failure: Option<Failure>,
    pacing: Pacing,
}

/// What a target's pace depends on.
#[derive(Clone, Debug, Default)]
struct Pacing {
    /// The last successful scrapes, at most [`SCRAPES`].
    took: VecDeque<Duration>,
    /// When something that it feeds was last near.
    near: Option<Instant>,
    /// Until when it keeps its interval, having failed while sharpened.
    rest: Option<Instant>,
    /// The interval that was asked for last, where it is not the target's own.
    sharpened: Option<Duration>,
    /// What was said of it.
    pace: Pace,
}

impl TargetState {
    /// Takes in how a scrape went.
    fn note(&mut self, scrape: &Scrape) {
        (self.at, self.took) = (Some(scrape.at), scrape.took);
        match &scrape.result {
            Ok(page) => {
                (self.samples, self.malformed) = (page.sample_count, page.malformed_count);
                (self.bytes, self.failure) = (page.bytes, None);
            }
            Err(failure) => self.failure = Some(failure.clone()),
        }
        self.pacing.note(scrape);
    }

    /// The time between two scrapes.
    pub(crate) fn interval(&self, target: &Target) -> Duration {
        self.pacing.sharpened.unwrap_or(target.interval)
    }

    /// Why it is that.
    pub(crate) const fn pace(&self) -> Pace {
        self.pacing.pace
    }

    /// The state of the same target in a new plan, in which it starts at its interval.
    pub(crate) fn at_its_interval(mut self) -> Self {
        (self.pacing.sharpened, self.pacing.pace) = (None, Pace::Plain);
        self
    }
}

impl Pacing {
    fn note(&mut self, scrape: &Scrape) {
        if scrape.result.is_ok() {
            if self.took.len() == SCRAPES {
                self.took.pop_front();
            }
            self.took.push_back(scrape.took);
        } else if self.sharpened.is_some() {
            self.rest = Some(scrape.at.after(scrape.took).after(REST));
        }
    }

    /// The interval that is wanted where it is not the target's own, and why.
    fn wanted(&self, target: &Target, answers: bool, now: Instant) -> (Option<Duration>, Pace) {
        let Some(sharpen) = target.sharpen else { return (None, Pace::Plain) };
        if self.near.is_none_or(|near| now.since(near) >= CALM) {
            return (None, Pace::Plain);
        }
        if !answers || self.rest.is_some_and(|rest| rest > now) {
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

impl Guard {
    /// Notes how a target's scrape went.
    pub(crate) fn note_target(&mut self, scrape: &Scrape) {
        if let Some(state) = self.targets.get_mut(scrape.target.0) {
            state.note(scrape);
        }
    }

    /// Asks for another interval for each target that is to have one.
    pub(crate) fn keep_pace(&mut self, now: Instant) {
        let plan = self.plan().clone();
        if plan.targets.iter().all(|target| target.sharpen.is_none()) {
            return;
        }
        let near = self.near_targets();
        for (index, target) in plan.targets.iter().enumerate() {
            let state = &mut self.targets[index];
            if near[index] {
                state.pacing.near = Some(now);
            }
            let (wanted, pace) = state.pacing.wanted(target, state.failure.is_none(), now);
            let changed = state.pacing.sharpened != wanted;
            (state.pacing.sharpened, state.pacing.pace) = (wanted, pace);
            if changed {
                let interval = wanted.unwrap_or(target.interval);
                self.push(Effect::Pace { target: TargetIx(index), interval, pace });
            }
        }
    }

    /// Nothing is decided any more: every target gets its interval back. Asked for even where it
    /// has it, since what was asked for last may not have been done.
    pub(crate) fn relax(&mut self) {
        let plan = self.plan().clone();
        for (index, target) in plan.targets.iter().enumerate() {
            let state = &mut self.targets[index];
            *state = std::mem::take(state).at_its_interval();
            state.pacing.near = None;
            if target.sharpen.is_some() {
                let (target, interval) = (TargetIx(index), target.interval);
                self.push(Effect::Pace { target, interval, pace: Pace::Plain });
            }
        }
    }

    /// The targets that feed what may soon be decided.
    fn near_targets(&self) -> Vec<bool> {
        let mut near = vec![false; self.targets.len()];
        let phase = self.log.state().current.as_ref().map(|deployment| &deployment.phase);
        let verifying = self.rollback.is_verifying();
        match phase {
            _ if self.log.is_halted() => {}
            Some(Phase::Guarding) => self.add_near_rules(&mut near),
            Some(Phase::RollingBack) if verifying => self.add_cure(&mut near),
            None
            | Some(
                Phase::RollingBack
                | Phase::RolledBack
                | Phase::Failed(_)
                | Phase::Baked
                | Phase::Ended(_),
            ) => {}
        }
        near
    }

    /// The targets of rules that are near, pending or firing. In warm-up and where nothing would
    /// be done, too: what is recorded then is to be as exact. Only what was set aside decides
    /// nothing in this deployment, however long it goes on holding.
    fn add_near_rules(&self, near: &mut [bool]) {
        let plan = self.plan();
        let set_aside = self.log.state().current.as_ref().map(|deployment| &deployment.set_aside);
        for (index, rule) in plan.rules.iter().enumerate() {
            let state = self.evaluator.rule(RuleIx(index));
            let is_close = match state.state {
                State::Pending(_) | State::Firing(_) => true,
                State::Inactive => self.is_near_in_a_group(RuleIx(index)),
            };
            let applies = self.evaluator.applies(RuleIx(index));
            if is_close && applies && !set_aside.is_some_and(|names| names.contains(&rule.name)) {
                add(near, &state.fed_by);
            }
        }
    }

    fn is_near_in_a_group(&self, ix: RuleIx) -> bool {
        let (plan, judge) = (self.plan(), &self.evaluator);
        let mut groups = judge.rule(ix).clocks.iter().map(|known| &known.group);
        groups.any(|group| is_near(plan.rule(ix), plan, &|signal| judge.reading_in(signal, group)))
    }

    /// The targets on which the cure is looked for: those of its signals, or without one those of
    /// the rules that must clear.
    fn add_cure(&self, near: &mut [bool]) {
        if let Some(cure) = self.rollback.hook().and_then(|hook| hook.cure.as_ref()) {
            let mut signals = Vec::new();
            cure.when.cond.for_each_signal(&mut |signal| signals.push(signal));
            return add(near, &self.evaluator.fed_by(&signals));
        }
        for (index, rule) in self.plan().rules.iter().enumerate() {
            if rule.severity == Severity::Critical {
                add(near, &self.evaluator.rule(RuleIx(index)).fed_by);
            }
        }
    }
}

fn add(all: &mut [bool], more: &[bool]) {
    all.iter_mut().zip(more).for_each(|(all, more)| *all |= more);
}
