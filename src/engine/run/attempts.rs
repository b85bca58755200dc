//! The attempts at a hook's steps. Rollbacks, stage entries and drills all run their hooks through
//! this driver: it holds the hook, the hook's time limit and what is awaited. How far the hook has
//! got is durable, and `procedure` decides from that what comes next.
//!
//! The driver never acts by itself. Its owner asks it to advance, does what the answer says, and
//! records the outcomes.

use std::time::Duration;

use crate::model::entry::{Attempt, AttemptEvent, StepResult};
use crate::model::hook::{Hook, Step};
use crate::model::name::DeploymentId;
use crate::model::time::Instant;

use super::order::HookContext;
use super::procedure::{At, Next};
use crate::engine::context::Cx;
use crate::engine::durable::progress::HookProgress;
use crate::engine::effect::{Effect, Order};

/// A function of `procedure` that says what comes next.
pub(crate) type Choose = fn(At<'_>) -> Next;

/// A hook that is being run.
#[derive(Debug)]
pub(crate) struct HookRun {
    /// The hook as it was when its run began: a reload does not change it.
    hook: Hook,
    /// When the hook's time is over, where it has a limit.
    limit: Option<Instant>,
    awaits: Awaits,
}

/// What a hook that is being run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// Nothing: its owner has to do something, or the run is over.
    Nothing,
    /// The outcome of an attempt.
    Outcome,
    /// The time of the next attempt.
    Backoff { until: Instant },
}

impl HookRun {
    /// Runs a hook that has been under way for `spent`.
    pub(crate) fn new(hook: Hook, at: Instant, spent: Duration) -> Self {
        let limit = hook.timeout.map(|timeout| at.after(timeout.saturating_sub(spent)));
        Self { hook, limit, awaits: Awaits::Nothing }
    }

    /// The hook.
    pub(crate) const fn hook(&self) -> &Hook {
        &self.hook
    }

    /// The hook, for a plan in which it refers to other hooks by other places.
    pub(crate) const fn hook_mut(&mut self) -> &mut Hook {
        &mut self.hook
    }

    /// The step that `progress` is at; `None` when all of them are done.
    pub(crate) fn step(&self, progress: &HookProgress) -> Option<&Step> {
        self.hook.steps.get(progress.step as usize)
    }

    /// Whether the outcome of an attempt is awaited.
    pub(crate) const fn is_attempting(&self) -> bool {
        matches!(self.awaits, Awaits::Outcome)
    }

    /// Whether the outcome of an attempt or the time of the next one is awaited.
    pub(crate) const fn is_waiting(&self) -> bool {
        !matches!(self.awaits, Awaits::Nothing)
    }

    /// When the next attempt starts, where that is a matter of time alone.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.awaits {
            Awaits::Backoff { until } => Some(until),
            Awaits::Nothing | Awaits::Outcome => None,
        }
    }

    /// Postpones the next attempt.
    pub(crate) const fn wait_until(&mut self, until: Instant) {
        self.awaits = Awaits::Backoff { until };
    }

    /// Awaits nothing any more.
    pub(crate) const fn stop(&mut self) {
        self.awaits = Awaits::Nothing;
    }

    /// Ends the pause before the next attempt where its time has come; whether it did.
    pub(crate) fn end_pause(&mut self, at: Instant) -> bool {
        let is_due = self.deadline().is_some_and(|until| until <= at);
        if is_due {
            self.stop();
        }
        is_due
    }

    /// Returns what comes next. An attempt that has to wait for a while is awaited from now on, and
    /// so is the outcome of an open one.
    pub(crate) fn advance(
        &mut self,
        at: Instant,
        deployment: &DeploymentId,
        progress: &HookProgress,
        choose: Choose,
    ) -> Next {
        let next = choose(At { hook: &self.hook, progress, deployment, left: self.left(at) });
        self.awaits = match &next {
            Next::Await => Awaits::Outcome,
            Next::Start { pause, .. } if !pause.is_zero() => {
                Awaits::Backoff { until: at.after(*pause) }
            }
            Next::Start { .. } | Next::LookForCure(_) | Next::Verify | Next::GiveUp(_) => {
                Awaits::Nothing
            }
        };
        next
    }

    /// The order for an attempt. It ends within what is left of the hook's time.
    pub(crate) fn order(&self, at: Instant, context: &HookContext<'_>, attempt: Attempt) -> Order {
        let step = self.hook.steps.get(attempt.step as usize);
        let step = step.expect("an attempt is only started at a step that the hook has");
        context.order(&self.hook, step, attempt).within(self.left(at))
    }

    /// Records that an attempt is about to start and awaits its outcome. Returns the order to be
    /// performed; `None` where nothing can be recorded any more.
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>, order: Order) -> Option<Box<Order>> {
        let (attempt, what) = (order.attempt.clone(), order.action.describe());
        cx.record_for(Some(order.deployment.clone()), AttemptEvent::Intent { attempt, what });
        if cx.log.is_halted() {
            return None;
        }
        self.awaits = Awaits::Outcome;
        Some(Box::new(order))
    }

    /// Goes on with a run that the journal left open, at this attempt if it has no outcome. Returns
    /// whether the owner may go on at once; otherwise the outcome is awaited.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>, open: Option<Attempt>) -> bool {
        let Some(attempt) = open else { return true };
        let step = self.hook.steps.get(attempt.step as usize);
        // Doing it twice changes nothing, so it is simply done again. What enters a stage shifts
        // traffic, and the hook may have been edited: there whatever was begun must have ended.
        let is_harmless = step.is_some_and(|step| step.action.is_harmless());
        if is_harmless && attempt.entering.is_none() {
            let (result, output) = (StepResult::Unknown, String::new());
            cx.record(AttemptEvent::Outcome { attempt, result, output, took_ms: 0 });
            return true;
        }
        let longest = step.map(|step| step.action.longest(step.timeout)).unwrap_or_default();
        let timeout = self.left(cx.now.at).map_or(longest, |left| left.min(longest));
        let current = cx.current().expect("only what the current deployment runs is resumed");
        let deployment = current.id.clone();
        self.awaits = Awaits::Outcome;
        cx.push(Effect::Inspect { deployment, attempt, timeout });
        false
    }

    /// How much is left of the hook's time.
    fn left(&self, at: Instant) -> Option<Duration> {
        self.limit.map(|limit| limit.since(at))
    }
}
