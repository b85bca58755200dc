//! A drill: a hook run for real, step by step as in a rollback, with what `[drill]` says in the
//! place of a deployment. It must never act on the guarded service unless a person says that this
//! is fine, and never be in the way of a rollback: one that must start calls the drill off.
//!
//! The rules see the guarded service and not the drill target, so no cure is looked for: the hook's
//! own probes have to tell.

use std::time::Duration;

use crate::model::drill::{DrillEnd, DrillRefusal, DrillResult, DrillSettings, DrillStart, Reach};
use crate::model::entry::{Caller, DrillEvent, StepResult};
use crate::model::hook::{Hook, Placeholder};
use crate::model::name::{DeploymentId, HookName};
use crate::model::time::{Instant, millis};

use super::attempts::{Awaits, Choose, HookRun, RunKind, RunStep};
use super::procedure::{self, Next};
use crate::engine::context::Cx;
use crate::engine::durable::deployment::Phase;
use crate::engine::effect::{DrillEffect, Effect, Outcome};

const KIND: RunKind = RunKind::Drill;

/// How long a step of a drill that is called off has between TERM and KILL, and therefore the most
/// that a rollback waits for it: a program that cleans up takes less, and detection to action is
/// to take no more than 30 s.
pub const CALL_OFF_GRACE: Duration = Duration::from_secs(3);

/// What became of a step that was ended because its drill was called off.
const CALLED_OFF: &str = "called off";

/// The drill under way, and whether there may be another.
#[derive(Debug, Default)]
pub(crate) struct DrillRunner {
    /// Without a hook there is no drill under way.
    run: HookRun,
    begun: Instant,
    call_off: Option<CallOff>,
    is_closed: bool,
}

/// A drill whose attempt is being ended.
#[derive(Clone, Debug)]
struct CallOff {
    /// Until when that is waited for.
    until: Instant,
    why: String,
}

impl DrillRunner {
    /// Whether a drill is under way.
    pub(crate) const fn is_drilling(&self) -> bool {
        self.run.hook().is_some()
    }

    /// Begins a drill because somebody asks for it. Returns its id and what it does, in a line.
    pub(crate) fn begin(
        &mut self,
        cx: &mut Cx<'_>,
        hook: Option<&HookName>,
        reach: Reach,
        by: Caller,
    ) -> Result<(DeploymentId, String), DrillRefusal> {
        let (settings, hook) = self.drillable(cx, hook, reach)?;
        let id = cx.state().drills.next_id(|id| cx.state().knows(id));
        let steps = u32::try_from(hook.steps.len()).unwrap_or(u32::MAX);
        let message = format!("drilling hook {} as {id}: {steps} steps", hook.name);
        let DrillSettings { service, good, version, .. } = settings;
        let start = DrillStart { hook: hook.name.clone(), steps, service, version, good, by };
        cx.record_for(Some(id.clone()), DrillEvent::Begun(start));
        self.run = HookRun::new(hook, cx.now.at, Duration::ZERO);
        self.begun = cx.now.at;
        // No rollback can wait for its end yet.
        let _ = self.follow(cx, procedure::next);
        Ok((id, message))
    }

    /// What would be drilled, unless something speaks against it.
    fn drillable(
        &self,
        cx: &Cx<'_>,
        asked: Option<&HookName>,
        reach: Reach,
    ) -> Result<(DrillSettings, Hook), DrillRefusal> {
        let plan = cx.plan();
        let settings = plan.drill.clone().ok_or(DrillRefusal::NoTarget)?;
        if settings.service == plan.deployment.service {
            return Err(DrillRefusal::IsGuarded(settings.service));
        }
        let hook = match asked {
            Some(name) => {
                cx.read().hook_named(name).ok_or_else(|| DrillRefusal::UnknownHook(name.clone()))?
            }
            None => plan.hook(settings.hook.or(plan.deployment.then).ok_or(DrillRefusal::NoHook)?),
        };
        Err(match (acting_step(hook), cx.current(), cx.state().drills.open()) {
            (Some(step), ..) if reach == Reach::DrillTarget => {
                DrillRefusal::WouldAct { hook: hook.name.clone(), step }
            }
            (_, Some(current), _) if current.phase == Phase::RollingBack => {
                DrillRefusal::RollingBack(current.id.clone())
            }
            (.., Some(drill)) => DrillRefusal::Drilling(drill.drill.clone()),
            _ if self.is_closed => DrillRefusal::Stopping,
            _ => return Ok((settings, hook.clone())),
        })
    }

    /// When [`wake`](Self::wake) must be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.call_off.as_ref().map(|call_off| call_off.until).or(self.run.deadline())
    }

    /// Does what a drill waited for, where its time has come.
    pub(crate) fn wake(&mut self, cx: &mut Cx<'_>) -> RunStep {
        match &self.call_off {
            Some(call_off) if call_off.until <= cx.now.at => {
                let why = format!("{}; what it ran was still there", call_off.why);
                self.end(cx, DrillResult::CalledOff, Some(why))
            }
            None if self.run.end_pause(cx.now.at) => self.follow(cx, procedure::next_after_pause),
            Some(_) | None => RunStep::Nothing,
        }
    }

    /// Takes in what became of an attempt, if it is one of the drill under way.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>, outcome: &Outcome) -> RunStep {
        if !self.is_drilling() || !KIND.awaits(cx, outcome) {
            return RunStep::Nothing;
        }
        let call_off = self.call_off.clone();
        let mut outcome = outcome.clone();
        // It was ended, which is not what an interruption is.
        let was_ended = matches!(outcome.result, StepResult::Unknown | StepResult::TimedOut);
        if call_off.is_some() && was_ended {
            outcome.result = StepResult::Failed(CALLED_OFF.to_owned());
        }
        cx.record_for(Some(outcome.deployment.clone()), outcome.event());
        match call_off {
            Some(CallOff { why, .. }) => self.end(cx, DrillResult::CalledOff, Some(why)),
            None => self.follow(cx, procedure::next),
        }
    }

    /// Calls the drill under way off, if there is one.
    pub(crate) fn call_off(&mut self, cx: &mut Cx<'_>, why: &str) -> RunStep {
        if !self.is_drilling() || self.call_off.is_some() {
            return RunStep::Nothing;
        }
        let why = why.to_owned();
        if self.run.awaits() != Awaits::Outcome {
            return self.end(cx, DrillResult::CalledOff, Some(why));
        }
        self.call_off = Some(CallOff { until: cx.now.at.after(CALL_OFF_GRACE), why });
        cx.push(Effect::Drill(DrillEffect::CallOff));
        RunStep::Nothing
    }

    /// There is no drill from here on.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>) -> RunStep {
        self.is_closed = true;
        self.call_off(cx, "rollguard was told to stop")
    }

    /// Nothing can be recorded any more.
    pub(crate) fn halt(&mut self, cx: &mut Cx<'_>) {
        self.is_closed = true;
        if self.is_drilling() {
            *self = Self { is_closed: true, ..Self::default() };
            cx.push(Effect::Drill(DrillEffect::CallOff));
        }
    }

    fn follow(&mut self, cx: &mut Cx<'_>, choose: Choose) -> RunStep {
        match self.run.advance(cx, KIND, choose) {
            Next::Start { number, pause } if pause.is_zero() => self.run.start(cx, KIND, number),
            Next::Await | Next::Start { .. } => RunStep::Nothing,
            // No cure of a drill can be seen.
            Next::LookForCure(_) => self.follow(cx, procedure::next_without_cure),
            Next::Verify => self.end(cx, DrillResult::Done, None),
            Next::GiveUp(why) => self.end(cx, DrillResult::Failed, Some(why)),
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, result: DrillResult, why: Option<String>) -> RunStep {
        let took_ms = millis(cx.now.at.since(self.begun));
        *self = Self { is_closed: self.is_closed, ..Self::default() };
        record_end(cx, DrillEnd { result, why, took_ms });
        RunStep::DrillEnded
    }
}

fn record_end(cx: &mut Cx<'_>, end: DrillEnd) {
    let id = cx.state().drills.open().map(|open| open.drill.clone());
    cx.record_for(id, DrillEvent::Done(end));
}

/// Ends a drill that an earlier guard left open: what it ran may still be there.
pub(crate) fn end_old(cx: &mut Cx<'_>) {
    let Some(open) = cx.state().drills.open() else { return };
    let took_ms = millis(cx.now.wall.since(open.begun));
    if let Some(attempt) = KIND.recorded(cx).filter(|run| run.progress.open).map(|run| run.newest) {
        let (deployment, timeout) = (open.drill.clone(), Duration::ZERO);
        cx.push(Effect::Inspect { deployment, attempt, timeout });
    }
    let why = Some("rollguard ended in the middle of it".to_owned());
    record_end(cx, DrillEnd { result: DrillResult::CalledOff, why, took_ms });
}

/// The first step, from 1, that changes something and does not say where by what is other in a
/// drill; such a hook is not drilled unless a person insists. That it names a version says nothing:
/// the place may still be that of the guarded service.
pub fn acting_step(hook: &Hook) -> Option<usize> {
    let tells = [Placeholder::Service, Placeholder::Deployment];
    let acts = hook.steps.iter().position(|step| {
        !step.action.is_harmless() && !tells.iter().any(|place| step.action.names(*place))
    });
    acts.map(|place| place + 1)
}
