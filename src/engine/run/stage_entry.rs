//! Stage entry: runs the hook that enters a stage, by the same driver as a rollback's. The guard
//! may also end it: where something else must come first its attempt is called off, and nothing
//! else starts before that attempt has ended.

use std::time::Duration;

use crate::model::entry::{AttemptEvent, Refusal, StageEvent, StepResult};
use crate::model::hook::{Hook, Placeholder};
use crate::model::time::{Instant, Moment, millis};

use super::attempts::{Awaits, Choose, HookRun, RunKind, RunStep, entry};
use super::order::Occasion;
use super::procedure::{self, Next};
use crate::engine::context::Cx;
use crate::engine::durable::log::Log;
use crate::engine::durable::stage::StrayAttempt;
use crate::engine::effect::{Outcome, Rerun};
use crate::engine::notify::incident;

const KIND: RunKind = RunKind::StageEntry;

/// How long the end of what was called off is waited for, beyond its own grace period: a kill that
/// the system takes its time for, a manager of units that is slow to answer, and as much again. A
/// rollback cannot wait for ever for something that no kill ends.
const CALL_OFF: Duration = Duration::from_secs(30);

/// The hook that enters the current stage, and the attempt of an earlier one that was called off.
#[derive(Debug, Default)]
pub(crate) struct StageEntry {
    run: HookRun,
    /// Until when the end of the attempt that was called off is waited for.
    stray_until: Option<Instant>,
}

impl StageEntry {
    /// Prepares to enter a stage by a hook, or by none. The end of an attempt that was called off
    /// is still waited for.
    pub(crate) fn begin(&mut self, hook: Option<Hook>, at: Instant) {
        self.run = hook.map(|hook| HookRun::new(hook, at, Duration::ZERO)).unwrap_or_default();
    }

    /// Whether an attempt is under way, or was and may still be.
    pub(crate) fn is_attempting(&self) -> bool {
        self.run.awaits() == Awaits::Outcome || self.stray_until.is_some()
    }

    /// Whether a step is being run or will be.
    pub(crate) fn has_steps(&self) -> bool {
        self.run.awaits() != Awaits::Nothing || self.stray_until.is_some()
    }

    /// When [`wake`](Self::wake) must be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.run.deadline().into_iter().chain(self.stray_until).min()
    }

    /// Does what comes next, unless an attempt that was called off has to end first.
    pub(crate) fn pursue(&mut self, cx: &mut Cx<'_>) -> RunStep {
        self.follow(cx, procedure::next)
    }

    fn follow(&mut self, cx: &mut Cx<'_>, choose: Choose) -> RunStep {
        if cx.log.is_halted() || cx.state().stray.is_some() {
            return RunStep::Nothing;
        }
        let has_good = cx.current().is_some_and(|current| current.good.is_some());
        let needs_good = self.run.hook().is_some_and(|hook| hook.names(Placeholder::Good));
        match self.run.advance(cx, KIND, choose) {
            Next::Start { .. } if needs_good && !has_good => {
                self.run.wait_for(Awaits::Nothing);
                fail(cx, Refusal::NoGoodVersion.to_string())
            }
            Next::Start { number, pause } if pause.is_zero() => self.run.start(cx, KIND, number),
            Next::Await | Next::Start { .. } => RunStep::Nothing,
            Next::LookForCure(Rerun::Safe) => self.follow(cx, procedure::next_without_cure),
            Next::LookForCure(Rerun::Never) => {
                let why = "it was interrupted, nobody knows whether it took effect, and its step \
                           is not `idempotent`";
                fail(cx, why.to_owned())
            }
            Next::Verify => complete(cx),
            Next::GiveUp(why) => fail(cx, why),
        }
    }

    /// Takes in what became of an attempt; `None` if it is none that is awaited.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>, outcome: &Outcome) -> Option<RunStep> {
        let Outcome { deployment, attempt, .. } = outcome;
        let stray = cx.state().stray.as_ref();
        let is_stray =
            stray.is_some_and(|stray| stray.deployment == *deployment && stray.attempt == *attempt);
        if cx.log.is_halted() || (!is_stray && !KIND.awaits(cx, outcome)) {
            return None;
        }
        cx.record_for(Some(deployment.clone()), outcome.event());
        Some(if is_stray { RunStep::StrayEnded } else { self.pursue(cx) })
    }

    /// Keeps account of the attempt that was called off, which the durable state knows. To be
    /// called after everything that may have recorded one.
    pub(crate) fn watch_stray(&mut self, now: Moment, log: &Log, hooks: &[Hook]) {
        match &log.state().stray {
            Some(stray) if self.stray_until.is_none() && !log.is_halted() => {
                self.run.wait_for(Awaits::Nothing);
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
    pub(crate) fn wake(&mut self, cx: &mut Cx<'_>) -> RunStep {
        if self.stray_until.is_some_and(|until| until <= cx.now.at) {
            self.stray_until = None;
            return give_up_on_stray(cx);
        }
        if cx.guarded().is_none() {
            self.run.wait_for(Awaits::Nothing);
        }
        if self.run.end_pause(cx.now.at) {
            return self.follow(cx, procedure::next_after_pause);
        }
        RunStep::Nothing
    }

    /// Goes on with entering a stage that the journal left open.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>) -> RunStep {
        let Some(run) = KIND.recorded(cx) else { return RunStep::Nothing };
        self.run = match HookRun::restore(cx, &run) {
            Ok(run) => run,
            Err(why) => return fail(cx, why),
        };
        if self.run.resume(cx, KIND) { self.pursue(cx) } else { RunStep::Nothing }
    }
}

fn complete(cx: &mut Cx<'_>) -> RunStep {
    let Some((_, entry)) = entry(cx) else { return RunStep::Nothing };
    let stage = entry.entering.stage.clone();
    let took_ms = millis(cx.now.wall.since(entry.begun));
    cx.record(StageEvent::Entered { stage, took_ms });
    RunStep::Entered
}

fn fail(cx: &mut Cx<'_>, why: String) -> RunStep {
    let Some((_, entry)) = entry(cx) else { return RunStep::Nothing };
    let stage = entry.entering.stage.clone();
    let reason = format!("stage {stage} was not entered: {why}");
    cx.record(StageEvent::NotEntered { stage, why });
    incident::tell(cx, None, &reason, Occasion::StageNotEntered);
    RunStep::Nothing
}

/// Records that nobody knows what became of the attempt that was called off.
fn give_up_on_stray(cx: &mut Cx<'_>) -> RunStep {
    let Some(StrayAttempt { deployment, attempt }) = cx.state().stray.clone() else {
        return RunStep::Nothing;
    };
    let output = "it was called off and is not known to have ended".to_owned();
    let event = AttemptEvent::Outcome { attempt, result: StepResult::Unknown, output, took_ms: 0 };
    cx.record_for(Some(deployment), event);
    RunStep::StrayEnded
}
