//! The hook that enters a stage: its steps in order, by the same procedure as a rollback's. It is
//! the guard's to run, so it is also the guard's to end: where something else must come first its
//! attempt is called off, and nothing else starts before that has ended.

use std::time::Duration;

use crate::model::deployment::Milestone;
use crate::model::entry::{Attempt, Decision, Entry, Event, StepResult};
use crate::model::hook::Hook;
use crate::model::index::HookIx;
use crate::model::time::{Instant, Moment};

use super::order::{Context, Occasion};
use super::procedure::{self, At, Next};
use super::rollback;
use crate::engine::durable::stage::{self, Standing};
use crate::engine::durable::state::Phase;
use crate::engine::effect::{Effect, Outcome, Rerun};
use crate::engine::guard::Guard;
use crate::engine::view::evidence;

/// How long the end of what was called off is waited for, beyond its own grace period: a kill that
/// the system takes its time for, a manager of units that is slow to answer, and as much again. A
/// rollback cannot wait for ever for something that no kill ends.
const CALL_OFF: Duration = Duration::from_secs(30);

/// What the hook that enters the stage waits for.
#[derive(Debug, Default)]
pub(crate) struct StageEntry {
    entering: Entering,
    /// The hook, as it was when the stage was asked for.
    hook: Option<Hook>,
    /// When its time is over, where it has a limit.
    limit: Option<Instant>,
    /// Until when the end of what was called off is waited for.
    stray: Option<Instant>,
}

/// What the hook that enters a stage waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Entering {
    /// Nothing: there is none, or it is over.
    #[default]
    Nothing,
    /// The outcome of an attempt.
    Attempt,
    /// The time of the next attempt.
    Backoff { until: Instant },
}

impl StageEntry {
    /// Prepares to enter a stage by a hook, or by none. The end of an attempt that was called off
    /// is still waited for.
    pub(crate) fn begin(&mut self, hook: Option<Hook>, at: Instant) {
        let limit = hook.as_ref().and_then(|hook| hook.timeout).map(|limit| at.after(limit));
        *self = Self { entering: Entering::Nothing, hook, limit, stray: self.stray };
    }

    /// When time alone may change something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let backoff = match self.entering {
            Entering::Backoff { until } => Some(until),
            Entering::Nothing | Entering::Attempt => None,
        };
        backoff.into_iter().chain(self.stray).min()
    }

    /// Whether an attempt is under way, or was and may still be.
    pub(crate) const fn is_attempting(&self) -> bool {
        matches!(self.entering, Entering::Attempt) || self.stray.is_some()
    }

    /// Whether a step is being run or will be.
    pub(crate) const fn has_steps(&self) -> bool {
        !matches!(self.entering, Entering::Nothing) || self.stray.is_some()
    }
}

impl Guard {
    /// Does what comes next in entering the stage, unless something has to end first.
    pub(crate) fn pursue_entering(&mut self, now: Moment) {
        self.enter_by(now, procedure::next);
    }

    fn enter_by(&mut self, now: Moment, choose: fn(At<'_>) -> Next) {
        if self.log.is_halted() || self.log.state().stray.is_some() {
            return;
        }
        let Some(deployment) = self.guarded() else { return };
        let Some(entry) = &deployment.staging.entry else { return };
        let Some(hook) = &self.stage_entry.hook else { return };
        if entry.standing != Standing::Running {
            return;
        }
        let (progress, deployment) = (&entry.progress, &deployment.id);
        let left = self.stage_entry.limit.map(|limit| limit.since(now.at));
        let next = choose(At { hook, progress, deployment, left });
        self.take_entering(now, next);
    }

    fn take_entering(&mut self, now: Moment, next: Next) {
        match next {
            Next::Await => self.stage_entry.entering = Entering::Attempt,
            Next::Start { number, pause } if pause.is_zero() => {
                self.start_entering(now, number);
            }
            Next::Start { pause, .. } => {
                self.stage_entry.entering = Entering::Backoff { until: now.at.after(pause) };
            }
            Next::LookForCure(Rerun::Safe) => self.enter_by(now, procedure::next_without_cure),
            Next::LookForCure(Rerun::Never) => {
                let why = "it was interrupted, nobody knows whether it took effect, and its step \
                           is not `idempotent`";
                self.not_entered(now, why.to_owned());
            }
            Next::Verify => self.entered(now),
            Next::GiveUp(why) => self.not_entered(now, why),
        }
    }

    fn start_entering(&mut self, now: Moment, number: u32) {
        let (Some(hook), Some(deployment)) = (&self.stage_entry.hook, self.guarded()) else {
            return;
        };
        let Some(entry) = &deployment.staging.entry else { return };
        let Some(step) = hook.steps.get(entry.progress.step as usize) else { return };
        let attempt = Attempt { number, ..entry.attempt() };
        let reason = format!("enter stage {}", entry.entering.stage);
        let signals = evidence::of_signals(&self.evaluator);
        let context = Context {
            deployment,
            occasion: Occasion::Enter,
            at: now.wall,
            reason: &reason,
            rule: None,
            trigger: None,
            signals: &signals,
        };
        let left = self.stage_entry.limit.map(|limit| limit.since(now.at));
        let order = context.order(hook, step, attempt.clone()).within(left);
        self.record(now, Event::Intent { attempt, what: order.action.describe() });
        if !self.log.is_halted() {
            self.push(Effect::Run(Box::new(order)));
            self.stage_entry.entering = Entering::Attempt;
        }
    }

    fn entered(&mut self, now: Moment) {
        self.stage_entry.entering = Entering::Nothing;
        let Some(entry) = self.guarded().and_then(|of| of.staging.entry.as_ref()) else { return };
        let stage = entry.entering.stage.clone();
        let took_ms = evidence::millis(now.wall.since(entry.begun));
        self.record(now, Event::StageEntered { stage, took_ms });
        // What was seen before it had its traffic says nothing of it.
        self.watch_anew(now);
        self.go_along(now, Milestone::Stage);
    }

    fn not_entered(&mut self, now: Moment, why: String) {
        self.stage_entry.entering = Entering::Nothing;
        let Some(entry) = self.guarded().and_then(|of| of.staging.entry.as_ref()) else { return };
        let stage = entry.entering.stage.clone();
        let reason = format!("stage {stage} was not entered: {why}");
        self.record(now, Event::StageNotEntered { stage, why });
        self.tell(now, None, &reason, Occasion::StageNotEntered);
    }

    /// Takes in what became of an attempt to enter a stage.
    pub(crate) fn settle_entering(&mut self, now: Moment, outcome: &Outcome) {
        if self.log.is_halted() {
            return;
        }
        let Outcome { deployment, attempt, result, output, took } = outcome;
        let stray = self.log.state().stray.as_ref();
        let is_stray =
            stray.is_some_and(|stray| stray.deployment == *deployment && stray.attempt == *attempt);
        let awaited = self.guarded().filter(|current| current.id == *deployment);
        let awaited = awaited.and_then(|current| current.staging.entry.as_ref());
        let is_awaited =
            awaited.is_some_and(|entry| entry.progress.open && entry.attempt() == *attempt);
        if !is_stray && !is_awaited {
            return;
        }
        let event = Event::Outcome {
            attempt: attempt.clone(),
            result: result.clone(),
            output: output.clone(),
            took_ms: evidence::millis(*took),
        };
        self.record_entry(Entry { at: now.wall, deployment: Some(deployment.clone()), event });
        if is_stray {
            self.stage_entry.stray = None;
            self.carry_on(now);
        } else {
            self.pursue_entering(now);
        }
        self.keep_pace(now.at);
    }

    /// Goes on with what waited for the end of an attempt that was called off.
    fn carry_on(&mut self, now: Moment) {
        match self.log.state().current.as_ref().map(|current| &current.phase) {
            // A drill that was called off, too, may not have ended yet; its end goes on.
            Some(Phase::RollingBack) if self.drill_deadline().is_some() => {}
            Some(Phase::RollingBack) => self.pursue(now),
            Some(Phase::Guarding) => self.pursue_entering(now),
            None | Some(Phase::RolledBack | Phase::Failed(_) | Phase::Baked | Phase::Ended(_)) => {}
        }
    }

    /// Asks for the end of an attempt that nobody needs any more, where there is one.
    pub(crate) fn call_off(&mut self, now: Moment) {
        let Some(stage::Stray { deployment, attempt }) = self.log.state().stray.clone() else {
            return;
        };
        if self.stage_entry.stray.is_some() || self.log.is_halted() {
            return;
        }
        let hook = self.stage_entry.hook.as_ref();
        let step = hook.and_then(|hook| hook.steps.get(attempt.step as usize));
        let grace = step.map_or(Duration::ZERO, |step| step.action.grace());
        self.stage_entry.entering = Entering::Nothing;
        self.stage_entry.stray = Some(now.at.after(grace + CALL_OFF));
        self.push(Effect::CallOff { deployment, attempt });
    }

    /// Looks whether the time has come that entering a stage waits for.
    pub(crate) fn pursue_waits(&mut self, now: Moment) {
        if self.stage_entry.stray.is_some_and(|until| until <= now.at) {
            self.give_up_on_stray(now);
        }
        if let Entering::Backoff { until } = self.stage_entry.entering {
            match self.guarded() {
                Some(_) if until <= now.at => self.enter_by(now, procedure::next_after_pause),
                Some(_) => {}
                None => self.stage_entry.entering = Entering::Nothing,
            }
        }
    }

    fn give_up_on_stray(&mut self, now: Moment) {
        self.stage_entry.stray = None;
        let Some(stage::Stray { deployment, attempt }) = self.log.state().stray.clone() else {
            return;
        };
        let output = "it was called off and is not known to have ended".to_owned();
        let event = Event::Outcome { attempt, result: StepResult::Unknown, output, took_ms: 0 };
        self.record_entry(Entry { at: now.wall, deployment: Some(deployment), event });
        self.carry_on(now);
    }

    /// Goes on with entering a stage that the journal left open.
    pub(crate) fn resume_entering(&mut self, now: Moment) {
        let Some(current) = self.guarded() else { return };
        let Some(entry) = &current.staging.entry else { return };
        if entry.standing != Standing::Running {
            return;
        }
        let (id, attempt, open) = (current.id.clone(), entry.attempt(), entry.progress.open);
        let spent = now.wall.since(entry.begun);
        let hook = self.plan().hooks.iter().find(|hook| hook.name == entry.hook).cloned();
        let Some(hook) = hook else {
            let why = format!("hook {} is not in the configuration any more", entry.hook);
            return self.not_entered(now, why);
        };
        self.stage_entry.limit = left(&hook, spent, now.at);
        let step = hook.steps.get(attempt.step as usize);
        let longest = step.map(|step| step.action.longest(step.timeout));
        self.stage_entry.hook = Some(hook);
        if !open {
            return self.pursue_entering(now);
        }
        let left = self.stage_entry.limit.map(|limit| limit.since(now.at));
        let timeout = longest.into_iter().chain(left).min().unwrap_or_default();
        self.stage_entry.entering = Entering::Attempt;
        self.push(Effect::Inspect { deployment: id, attempt, timeout });
    }

    /// Runs the hook that goes along with something, once, beside the critical path.
    pub(crate) fn go_along(&mut self, now: Moment, on: Milestone) {
        let plan = self.plan().clone();
        let Some(HookIx(place)) = plan.deployment.along.at(on) else { return };
        let Some(hook) = plan.hooks.get(place).filter(|_| !self.log.is_halted()) else { return };
        self.record(now, Event::HookBegun { hook: hook.name.clone(), on });
        let Some(deployment) = &self.log.state().current else { return };
        let decision: Option<&Decision> =
            deployment.decision.as_ref().map(|(_, decision)| decision);
        let trigger = decision.map(|decision| &decision.trigger);
        let signals = evidence::of_signals(&self.evaluator);
        let context = Context {
            deployment,
            occasion: match on {
                Milestone::Begin => Occasion::OnBegin,
                Milestone::Stage => Occasion::OnStage,
                Milestone::Trip => Occasion::OnTrip,
                Milestone::Commit => Occasion::OnCommit,
            },
            at: now.wall,
            reason: trigger.map_or("", rollback::reason),
            rule: trigger.and_then(rollback::rule),
            trigger,
            signals: &signals,
        };
        let notice = context.notice(hook);
        self.push(Effect::GoAlong(Box::new(notice)));
    }
}

fn left(hook: &Hook, spent: Duration, at: Instant) -> Option<Instant> {
    hook.timeout.map(|timeout| at.after(timeout.saturating_sub(spent)))
}
