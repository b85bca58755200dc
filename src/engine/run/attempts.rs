//! The attempts at a hook's steps. Rollbacks, stage entries and drills all run their hooks through
//! this driver: it holds the hook, the hook's time limit and what is awaited. How far the hook has
//! got is durable, and `procedure` decides from that what comes next.
//!
//! The driver never acts by itself. Its owner asks it to advance, does what the answer says, and
//! records the outcomes.

use std::time::Duration;

use crate::model::entry::{Attempt, AttemptEvent, StepResult};
use crate::model::hook::Hook;
use crate::model::name::HookName;
use crate::model::time::Instant;

use super::order::{HookContext, Occasion};
use super::procedure::{At, Next};
use crate::engine::context::Cx;
use crate::engine::durable::deployment::{Deployment, Phase};
use crate::engine::durable::progress::HookProgress;
use crate::engine::durable::stage::{EntryState, Standing};
use crate::engine::effect::{DrillEffect, Effect, Outcome};
use crate::engine::view::evidence;

/// What says that it is a drill, beside the rest of a step's environment.
const DRILL_VARIABLE: &str = "ROLLGUARD_DRILL";

/// A function of `procedure` that says what comes next.
pub(crate) type Choose = fn(At<'_>) -> Next;

/// What the rest of the guard has to do for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum RunStep {
    /// Nothing.
    Nothing,
    /// Check the live version before this attempt of a rollback, and tell with
    /// [`Rollback::go_on`](super::rollback::Rollback::go_on) what it is.
    Check {
        /// The attempt's number.
        number: u32,
    },
    /// Read the live version soon: the cure is being looked for.
    LiveVersion,
    /// The stage was entered: its time begins.
    Entered,
    /// The attempt that was called off has ended: what waited for that goes on.
    StrayEnded,
    /// The drill has ended: what waited for that goes on.
    DrillEnded,
}

/// What a hook is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunKind {
    Rollback,
    StageEntry,
    Drill,
}

/// A run that is under way, as it is on record.
pub(crate) struct RecordedRun<'a> {
    /// What its hook is told. What enters a stage is told the readings, too, once it starts.
    pub(crate) context: HookContext<'a>,
    pub(crate) progress: &'a HookProgress,
    /// The newest attempt at the step at hand.
    pub(crate) newest: Attempt,
}

impl RunKind {
    /// The run of this kind, where one is under way.
    pub(crate) fn recorded<'a>(self, cx: &'a Cx<'_>) -> Option<RecordedRun<'a>> {
        let (state, at) = (cx.state(), cx.now.wall);
        let attempt =
            |hook: &HookName, of: &HookProgress| Attempt::of(hook.clone(), of.step, of.number);
        let (context, progress, newest) = match self {
            Self::Rollback => {
                let current = cx.current().filter(|now| now.phase == Phase::RollingBack)?;
                let (progress, (_, decision)) = (&current.progress, current.decision.as_ref()?);
                let context = HookContext::of(current, Occasion::Rollback, at);
                let context = HookContext { signals: &decision.signals, ..context };
                (context, progress, attempt(&decision.hook, progress))
            }
            Self::StageEntry => {
                let (current, entry) = entry(cx)?;
                let context = HookContext::of(current, Occasion::Enter, at);
                (context, &entry.progress, entry.attempt())
            }
            Self::Drill => {
                let (open, progress) = (state.drills.open()?, state.drills.progress());
                (HookContext::of_drill(open, at), progress, attempt(&open.hook, progress))
            }
        };
        Some(RecordedRun { context, progress, newest })
    }

    /// Whether an outcome is that of the attempt at hand.
    pub(crate) fn awaits(self, cx: &Cx<'_>, outcome: &Outcome) -> bool {
        self.recorded(cx).is_some_and(|RecordedRun { context, progress, newest }| {
            progress.open && newest == outcome.attempt && *context.deployment == outcome.deployment
        })
    }
}

/// The guarded deployment and the entry of its stage, while the entry's hook is being run.
pub(crate) fn entry<'a>(cx: &'a Cx<'_>) -> Option<(&'a Deployment, &'a EntryState)> {
    let current = cx.guarded()?;
    let entry = current.staging.entry.as_ref()?;
    (entry.standing == Standing::Running).then_some((current, entry))
}

/// A hook that is being run, or was run last.
#[derive(Debug, Default)]
pub(crate) struct HookRun {
    /// The hook as it was when its run began: a reload does not change it.
    hook: Option<Hook>,
    /// When the hook's time is over, where it has a limit.
    limit: Option<Instant>,
    awaits: Awaits,
}

/// What a hook that is being run waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Awaits {
    /// Nothing: its owner has to do something, or the run is over.
    #[default]
    Nothing,
    /// The outcome of an attempt.
    Outcome,
    /// The time of the next attempt.
    Backoff { until: Instant },
    /// A check of the live version, before the next attempt.
    Check,
}

impl HookRun {
    /// Runs a hook that has been under way for `spent`.
    pub(crate) fn new(hook: Hook, at: Instant, spent: Duration) -> Self {
        let limit = hook.timeout.map(|timeout| at.after(timeout.saturating_sub(spent)));
        Self { hook: Some(hook), limit, awaits: Awaits::Nothing }
    }

    /// The run that the journal left open, by the hook as it is now.
    ///
    /// # Errors
    /// There is no such hook any more.
    pub(crate) fn restore(cx: &Cx<'_>, run: &RecordedRun<'_>) -> Result<Self, String> {
        let name = &run.newest.hook;
        let hook = cx.read().hook_named(name).cloned();
        let hook = hook.ok_or_else(|| format!("hook {name} is not in the configuration any more"));
        Ok(Self::new(hook?, cx.now.at, run.progress.spent(cx.now.wall)))
    }

    /// The hook.
    pub(crate) const fn hook(&self) -> Option<&Hook> {
        self.hook.as_ref()
    }

    /// The hook, for a plan in which it refers to other hooks by other places.
    pub(crate) const fn hook_mut(&mut self) -> Option<&mut Hook> {
        self.hook.as_mut()
    }

    /// What is awaited.
    pub(crate) const fn awaits(&self) -> Awaits {
        self.awaits
    }

    /// Awaits this from now on.
    pub(crate) const fn wait_for(&mut self, awaits: Awaits) {
        self.awaits = awaits;
    }

    /// When the next attempt starts, where that is a matter of time alone.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        if let Awaits::Backoff { until } = self.awaits { Some(until) } else { None }
    }

    /// Ends the pause before the next attempt where its time has come; whether it did.
    pub(crate) fn end_pause(&mut self, at: Instant) -> bool {
        let is_due = self.deadline().is_some_and(|until| until <= at);
        if is_due {
            self.awaits = Awaits::Nothing;
        }
        is_due
    }

    /// Returns what comes next; `Await` where no run of this kind is under way. An attempt that has
    /// to wait for a while is awaited from now on, and so is the outcome of an open one.
    pub(crate) fn advance(&mut self, cx: &Cx<'_>, kind: RunKind, choose: Choose) -> Next {
        let (Some(hook), Some(run)) = (&self.hook, kind.recorded(cx)) else { return Next::Await };
        let (deployment, left) = (run.context.deployment, self.left(cx.now.at));
        let next = choose(At { hook, progress: run.progress, deployment, left });
        self.awaits = match &next {
            Next::Await => Awaits::Outcome,
            Next::Start { pause, .. } if !pause.is_zero() => {
                Awaits::Backoff { until: cx.now.at.after(*pause) }
            }
            Next::Start { .. } | Next::LookForCure(_) | Next::Verify | Next::GiveUp(_) => {
                Awaits::Nothing
            }
        };
        next
    }

    /// Records that an attempt at the step at hand is about to start, asks for it and awaits its
    /// outcome. It ends within what is left of the hook's time.
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>, kind: RunKind, number: u32) -> RunStep {
        let (Some(hook), Some(run)) = (&self.hook, kind.recorded(cx)) else {
            return RunStep::Nothing;
        };
        let attempt = Attempt { number, ..run.newest };
        let step = hook.steps.get(attempt.step as usize);
        let step = step.expect("an attempt is only started at a step that the hook has");
        let (signals, reason);
        let mut context = run.context;
        if let Some(entering) = &attempt.entering {
            signals = evidence::of_signals(cx.evaluator);
            reason = format!("enter stage {}", entering.stage);
            (context.signals, context.reason) = (&signals, &reason);
        }
        let mut order = context.order(hook, step, attempt.clone()).within(self.left(cx.now.at));
        let what = order.action.describe();
        cx.record_for(Some(order.deployment.clone()), AttemptEvent::Intent { attempt, what });
        self.awaits = Awaits::Nothing;
        if cx.log.is_halted() {
            return RunStep::Nothing;
        }
        self.awaits = Awaits::Outcome;
        cx.push(if kind == RunKind::Drill {
            order.env.push((DRILL_VARIABLE.to_owned(), "1".to_owned()));
            Effect::Drill(DrillEffect::Run(Box::new(order)))
        } else {
            Effect::Run(Box::new(order))
        });
        RunStep::Nothing
    }

    /// Goes on with a run that the journal left open, at its newest attempt if that has no outcome.
    /// Returns whether the owner may go on at once; otherwise the outcome is awaited.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>, kind: RunKind) -> bool {
        let open = kind.recorded(cx).filter(|run| run.progress.open);
        let Some(RecordedRun { newest: attempt, context, .. }) = open else { return true };
        let deployment = context.deployment.clone();
        let step = self.hook.as_ref().and_then(|hook| hook.steps.get(attempt.step as usize));
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
        self.awaits = Awaits::Outcome;
        cx.push(Effect::Inspect { deployment, attempt, timeout });
        false
    }

    /// How much is left of the hook's time.
    fn left(&self, at: Instant) -> Option<Duration> {
        self.limit.map(|limit| limit.since(at))
    }
}
