//! Stage entry: runs the hook that enters a stage, by the same driver as a rollback's. The guard
//! may also end it: where something else must come first its attempt is called off, and nothing
//! else starts before that attempt has ended.

use std::time::Duration;

use crate::model::entry::{Attempt, AttemptEvent, Refusal, StageEvent, StepResult};
use crate::model::hook::{Hook, Placeholder};
use crate::model::time::{Instant, Moment};

use super::attempts::{Choose, HookRun};
use super::order::{HookContext, Occasion};
use super::procedure::{self, Next};
use crate::engine::context::Cx;
use crate::engine::durable::log::Log;
use crate::engine::durable::stage::{EntryState, Standing, StrayAttempt};
use crate::engine::effect::{Effect, Outcome, Rerun};
use crate::engine::notify::incident;
use crate::engine::view::evidence;

/// How long the end of what was called off is waited for, beyond its own grace period: a kill that
/// the system takes its time for, a manager of units that is slow to answer, and as much again. A
/// rollback cannot wait for ever for something that no kill ends.
const CALL_OFF: Duration = Duration::from_secs(30);

/// The hook that enters the current stage, and the attempt of an earlier one that was called off.
#[derive(Debug, Default)]
pub(crate) struct StageEntry {
    attempts: Option<HookRun>,
    /// Until when the end of the attempt that was called off is waited for.
    stray_until: Option<Instant>,
}

/// What the rest of the guard has to do for the entry of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum EntryStep {
    /// Nothing.
    Nothing,
    /// The stage was entered: its time begins.
    Entered,
    /// The attempt that was called off has ended: what waited for that goes on.
    StrayEnded,
}

impl StageEntry {
    /// Prepares to enter a stage by a hook, or by none. The end of an attempt that was called off
    /// is still waited for.
    pub(crate) fn begin(&mut self, hook: Option<Hook>, at: Instant) {
        self.attempts = hook.map(|hook| HookRun::new(hook, at, Duration::ZERO));
    }

    /// Whether an attempt is under way, or was and may still be.
    pub(crate) fn is_attempting(&self) -> bool {
        self.attempts.as_ref().is_some_and(HookRun::is_attempting) || self.stray_until.is_some()
    }

    /// Whether a step is being run or will be.
    pub(crate) fn has_steps(&self) -> bool {
        self.attempts.as_ref().is_some_and(HookRun::is_waiting) || self.stray_until.is_some()
    }

    /// When [`wake`](Self::wake) must be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let attempts = self.attempts.as_ref().and_then(HookRun::deadline);
        attempts.into_iter().chain(self.stray_until).min()
    }

    /// Does what comes next, unless an attempt that was called off has to end first.
    pub(crate) fn pursue(&mut self, cx: &mut Cx<'_>) -> EntryStep {
        self.follow(cx, procedure::next)
    }

    fn follow(&mut self, cx: &mut Cx<'_>, choose: Choose) -> EntryStep {
        if cx.log.is_halted() || cx.state().stray.is_some() {
            return EntryStep::Nothing;
        }
        let (Some(current), Some(attempts)) = (cx.guarded(), &mut self.attempts) else {
            return EntryStep::Nothing;
        };
        let Some(entry) = running(current.staging.entry.as_ref()) else {
            return EntryStep::Nothing;
        };
        let needs_good = attempts.hook().names(Placeholder::Good) && current.good.is_none();
        match attempts.advance(cx.now.at, &current.id, &entry.progress, choose) {
            Next::Start { .. } if needs_good => {
                attempts.stop();
                self.fail(cx, Refusal::NoGoodVersion.to_string())
            }
            Next::Start { number, pause } if pause.is_zero() => self.start_attempt(cx, number),
            Next::Await | Next::Start { .. } => EntryStep::Nothing,
            Next::LookForCure(Rerun::Safe) => self.follow(cx, procedure::next_without_cure),
            Next::LookForCure(Rerun::Never) => {
                let why = "it was interrupted, nobody knows whether it took effect, and its step \
                           is not `idempotent`";
                self.fail(cx, why.to_owned())
            }
            Next::Verify => self.complete(cx),
            Next::GiveUp(why) => self.fail(cx, why),
        }
    }

    fn start_attempt(&mut self, cx: &mut Cx<'_>, number: u32) -> EntryStep {
        let (Some(deployment), Some(attempts)) = (cx.guarded(), &mut self.attempts) else {
            return EntryStep::Nothing;
        };
        let Some(entry) = running(deployment.staging.entry.as_ref()) else {
            return EntryStep::Nothing;
        };
        let signals = evidence::of_signals(cx.evaluator);
        let context = HookContext {
            deployment: deployment.into(),
            occasion: Occasion::Enter,
            at: cx.now.wall,
            reason: &format!("enter stage {}", entry.entering.stage),
            rule: None,
            trigger: None,
            signals: &signals,
        };
        let order = attempts.order(cx.now.at, &context, Attempt { number, ..entry.attempt() });
        if let Some(order) = attempts.start(cx, order) {
            cx.push(Effect::Run(order));
        }
        EntryStep::Nothing
    }

    fn complete(&mut self, cx: &mut Cx<'_>) -> EntryStep {
        let entry = cx.guarded().and_then(|current| current.staging.entry.as_ref());
        let Some(entry) = entry else { return EntryStep::Nothing };
        let stage = entry.entering.stage.clone();
        let took_ms = evidence::millis(cx.now.wall.since(entry.begun));
        cx.record(StageEvent::Entered { stage, took_ms });
        EntryStep::Entered
    }

    fn fail(&mut self, cx: &mut Cx<'_>, why: String) -> EntryStep {
        let entry = cx.guarded().and_then(|current| current.staging.entry.as_ref());
        let Some(entry) = entry else { return EntryStep::Nothing };
        let stage = entry.entering.stage.clone();
        let reason = format!("stage {stage} was not entered: {why}");
        cx.record(StageEvent::NotEntered { stage, why });
        incident::tell(cx, None, &reason, Occasion::StageNotEntered);
        EntryStep::Nothing
    }

    /// Takes in what became of an attempt; `None` if it is none that is awaited.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>, outcome: &Outcome) -> Option<EntryStep> {
        let Outcome { deployment, attempt, .. } = outcome;
        let stray = cx.state().stray.as_ref();
        let is_stray =
            stray.is_some_and(|stray| stray.deployment == *deployment && stray.attempt == *attempt);
        let current = cx.guarded().filter(|current| current.id == *deployment);
        let entry = current.and_then(|current| current.staging.entry.as_ref());
        let is_awaited =
            entry.is_some_and(|entry| entry.progress.open && entry.attempt() == *attempt);
        if cx.log.is_halted() || (!is_stray && !is_awaited) {
            return None;
        }
        cx.record_for(Some(deployment.clone()), outcome.event());
        Some(if is_stray { EntryStep::StrayEnded } else { self.pursue(cx) })
    }

    /// Keeps account of the attempt that was called off, which the durable state knows. To be
    /// called after everything that may have recorded one.
    pub(crate) fn watch_stray(&mut self, now: Moment, log: &Log, hooks: &[Hook]) {
        match &log.state().stray {
            Some(stray) if self.stray_until.is_none() && !log.is_halted() => {
                if let Some(attempts) = &mut self.attempts {
                    attempts.stop();
                }
                let hook = hooks.iter().find(|hook| hook.name == stray.attempt.hook);
                let step = hook.and_then(|hook| hook.steps.get(stray.attempt.step as usize));
                let grace = step.map(|step| step.action.grace()).unwrap_or_default();
                self.stray_until = Some(now.at.after(grace + CALL_OFF));
            }
            Some(_) => {}
            None => self.stray_until = None,
        }
    }

    /// Looks whether the time has come that entering a stage waits for.
    pub(crate) fn wake(&mut self, cx: &mut Cx<'_>) -> EntryStep {
        if self.stray_until.is_some_and(|until| until <= cx.now.at) {
            self.stray_until = None;
            return give_up_on_stray(cx);
        }
        let Some(attempts) = &mut self.attempts else { return EntryStep::Nothing };
        if cx.guarded().is_none() {
            attempts.stop();
        }
        if attempts.end_pause(cx.now.at) {
            return self.follow(cx, procedure::next_after_pause);
        }
        EntryStep::Nothing
    }

    /// Goes on with entering a stage that the journal left open.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>) -> EntryStep {
        let entry = cx.guarded().and_then(|current| running(current.staging.entry.as_ref()));
        let Some(entry) = entry else { return EntryStep::Nothing };
        let open = entry.progress.open.then(|| entry.attempt());
        let spent = entry.progress.spent(cx.now.wall);
        let Some(hook) = cx.read().hook_named(&entry.hook).cloned() else {
            let why = format!("hook {} is not in the configuration any more", entry.hook);
            return self.fail(cx, why);
        };
        let attempts = self.attempts.insert(HookRun::new(hook, cx.now.at, spent));
        if attempts.resume(cx, open) { self.pursue(cx) } else { EntryStep::Nothing }
    }
}

/// The entry, while its hook is being run.
fn running(entry: Option<&EntryState>) -> Option<&EntryState> {
    entry.filter(|entry| entry.standing == Standing::Running)
}

/// Records that nobody knows what became of the attempt that was called off.
fn give_up_on_stray(cx: &mut Cx<'_>) -> EntryStep {
    let Some(StrayAttempt { deployment, attempt }) = cx.state().stray.clone() else {
        return EntryStep::Nothing;
    };
    let output = "it was called off and is not known to have ended".to_owned();
    let event = AttemptEvent::Outcome { attempt, result: StepResult::Unknown, output, took_ms: 0 };
    cx.record_for(Some(deployment), event);
    EntryStep::StrayEnded
}
