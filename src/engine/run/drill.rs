//! A drill: a hook run for real, step by step as in a rollback, with what `[drill]` says in the
//! place of a deployment. It must never act on the guarded service unless a person says that this
//! is fine, and never be in the way of a rollback: one that must start calls the drill off.
//!
//! What comes next is decided by `procedure`, as for a rollback. The rules see the guarded service
//! and not the drill target, so no cure is looked for: the hook's own probes have to tell.

use std::time::Duration;

use crate::model::drill::{DrillEnd, DrillResult, DrillSettings, DrillStart, Reach};
use crate::model::entry::{Attempt, Caller, Entry, Event, StepResult};
use crate::model::hook::{Hook, Placeholder};
use crate::model::name::{DeploymentId, HookName, ServiceName};
use crate::model::time::{Instant, Moment};

use super::order::{Context, Occasion};
use super::procedure::{self, At, Next};
use crate::engine::command::{Accepted, Rejection};
use crate::engine::durable::drills::DrillStatus;
use crate::engine::durable::state::{Deployment, Durable, Phase};
use crate::engine::effect::{DrillEffect, Effect, Outcome};
use crate::engine::guard::{Doing, Guard};
use crate::engine::view::evidence;

/// How long a step of a drill that is called off has between TERM and KILL, and therefore the most
/// that a rollback waits for it: a program that cleans up takes less, and detection to action is
/// to take no more than 30 s.
pub const CALL_OFF_GRACE: Duration = Duration::from_secs(3);

/// What hooks get as the reason.
const REASON: &str = "drill";

/// What became of a step that was ended because its drill was called off.
const CALLED_OFF: &str = "called off";

/// What says that it is a drill, beside the rest of a step's environment.
const VARIABLE: &str = "ROLLGUARD_DRILL";

/// Why there is no drill.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrillRefusal {
    /// The configuration does not say what to drill on.
    #[error(
        "no drill target: write [drill] with service, version and good, something that nobody \
         uses"
    )]
    NoTarget,
    /// The drill target is what is guarded.
    #[error("the service of [drill], {0}, is the guarded one: name something that nobody uses")]
    IsGuarded(ServiceName),
    /// No hook is named.
    #[error("no hook to drill: name one with --hook, or with `hook` in [drill]")]
    NoHook,
    /// There is no such hook.
    #[error("no hook is called {0}")]
    UnknownHook(HookName),
    /// A step would do the same in a drill as in a rollback.
    #[error(
        "step {step} of hook {hook} names neither {{service}} nor {{deployment}}, so in a drill it \
         would act on what it acts on in a rollback; if that is harmless: --for-real"
    )]
    WouldAct {
        /// The hook.
        hook: HookName,
        /// The step, from 1.
        step: usize,
    },
    /// A rollback is under way.
    #[error("deployment {0} is being rolled back")]
    RollingBack(DeploymentId),
    /// One is enough.
    #[error("{0} is under way")]
    Drilling(DeploymentId),
    /// The daemon is ending.
    #[error("the daemon is stopping")]
    Stopping,
}

/// The drill at hand, and whether there may be another.
#[derive(Debug, Default)]
pub(crate) struct Drills {
    run: Option<Drill>,
    closed: bool,
}

/// A drill under way.
#[derive(Debug)]
struct Drill {
    hook: Hook,
    /// What stands in the place of a deployment.
    stand_in: Box<Deployment>,
    begun: Instant,
    /// When the hook's time is over, where it has a limit.
    limit: Option<Instant>,
    waiting: Waiting,
}

#[derive(Debug)]
enum Waiting {
    /// For the outcome of an attempt.
    Attempt,
    /// For the time of the next one.
    Backoff { until: Instant },
    /// For an attempt to be ended, because the drill was called off.
    End { until: Instant, why: String },
}

impl Guard {
    /// Whether a drill is under way.
    #[must_use]
    pub const fn is_drilling(&self) -> bool {
        self.drills.run.is_some()
    }

    /// The newest drill.
    #[must_use]
    pub const fn last_drill(&self) -> Option<&DrillStatus> {
        self.log.state().drills.last()
    }

    /// Begins a drill because somebody asks for it.
    pub(crate) fn drill(
        &mut self,
        now: Moment,
        hook: Option<&HookName>,
        reach: Reach,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let (settings, hook) = self.drillable(hook, reach)?;
        let id = self.log.state().drills.next_id(|id| self.log.state().knows(id));
        let steps = u32::try_from(hook.steps.len()).unwrap_or(u32::MAX);
        let message = format!("drilling hook {} as {id}: {steps} steps", hook.name);
        let DrillSettings { service, good, version, .. } = settings;
        let start = DrillStart { hook: hook.name.clone(), steps, service, version, good, by };
        let stand_in = Box::new(stand_in(now, &id, &start));
        let event = Event::DrillBegun(start);
        self.record_entry(Entry { at: now.wall, deployment: Some(id.clone()), event });
        let limit = hook.timeout.map(|timeout| now.at.after(timeout));
        let (begun, waiting) = (now.at, Waiting::Attempt);
        self.drills.run = Some(Drill { hook, stand_in, begun, limit, waiting });
        self.follow_drill(now, procedure::next);
        Ok(Accepted { deployment: Some(id), message })
    }

    /// What would be drilled, unless something speaks against it.
    fn drillable(
        &self,
        asked: Option<&HookName>,
        reach: Reach,
    ) -> Result<(DrillSettings, Hook), DrillRefusal> {
        let plan = self.plan();
        let settings = plan.drill.clone().ok_or(DrillRefusal::NoTarget)?;
        if settings.service == plan.deployment.service {
            return Err(DrillRefusal::IsGuarded(settings.service));
        }
        let hook = match asked {
            Some(name) => {
                let hook = plan.hooks.iter().find(|hook| hook.name == *name);
                hook.ok_or_else(|| DrillRefusal::UnknownHook(name.clone()))?
            }
            None => {
                let ix = settings.hook.or(plan.deployment.then).ok_or(DrillRefusal::NoHook)?;
                plan.hook(ix)
            }
        };
        if reach == Reach::DrillTarget
            && let Some(step) = acting_step(hook)
        {
            return Err(DrillRefusal::WouldAct { hook: hook.name.clone(), step });
        }
        if let Some(current) = &self.log.state().current
            && current.phase == Phase::RollingBack
        {
            return Err(DrillRefusal::RollingBack(current.id.clone()));
        }
        if let Some(drill) = &self.drills.run {
            return Err(DrillRefusal::Drilling(drill.stand_in.id.clone()));
        }
        if self.drills.closed {
            return Err(DrillRefusal::Stopping);
        }
        Ok((settings, hook.clone()))
    }

    /// When the drill at hand must be looked at again.
    pub(crate) fn drill_deadline(&self) -> Option<Instant> {
        match self.drills.run.as_ref()?.waiting {
            Waiting::Attempt => None,
            Waiting::Backoff { until } | Waiting::End { until, .. } => Some(until),
        }
    }

    /// Does what a drill waited for, where its time has come.
    pub(crate) fn pursue_drill(&mut self, now: Moment) {
        match self.drills.run.as_ref().map(|drill| &drill.waiting) {
            Some(Waiting::Backoff { until }) if *until <= now.at => {
                self.follow_drill(now, procedure::next_after_pause);
            }
            Some(Waiting::End { until, why }) if *until <= now.at => {
                let why = format!("{why}; what it ran was still there");
                self.end_drill(now, DrillResult::CalledOff, Some(why));
            }
            Some(Waiting::Attempt | Waiting::Backoff { .. } | Waiting::End { .. }) | None => {}
        }
    }

    /// Takes in what became of an attempt, if it is one of the drill at hand.
    pub(crate) fn settle_drill(&mut self, now: Moment, outcome: &Outcome) {
        let Some(drill) = &self.drills.run else { return };
        if outcome.deployment != drill.stand_in.id
            || self.log.state().drills.open_attempt().as_ref() != Some(&outcome.attempt)
        {
            return;
        }
        let called_off = match &drill.waiting {
            Waiting::End { why, .. } => Some(why.clone()),
            Waiting::Attempt | Waiting::Backoff { .. } => None,
        };
        let Outcome { attempt, result, output, took, .. } = outcome.clone();
        // It was ended, which is not what an interruption is.
        let was_ended = matches!(result, StepResult::Unknown | StepResult::TimedOut);
        let was_called_off = called_off.is_some() && was_ended;
        let result =
            if was_called_off { StepResult::Failed(CALLED_OFF.to_owned()) } else { result };
        let took_ms = evidence::millis(took);
        self.record_drill(now, Event::Outcome { attempt, result, output, took_ms });
        match called_off {
            Some(why) => self.end_drill(now, DrillResult::CalledOff, Some(why)),
            None => self.follow_drill(now, procedure::next),
        }
    }

    /// Calls the drill at hand off, if there is one.
    pub(crate) fn call_off_drill(&mut self, now: Moment, why: &str) {
        let Some(drill) = &mut self.drills.run else { return };
        match drill.waiting {
            Waiting::Attempt => {
                let (until, why) = (now.at.after(CALL_OFF_GRACE), why.to_owned());
                drill.waiting = Waiting::End { until, why };
                self.push(Effect::Drill(DrillEffect::CallOff));
            }
            Waiting::Backoff { .. } => {
                self.end_drill(now, DrillResult::CalledOff, Some(why.to_owned()));
            }
            Waiting::End { .. } => {}
        }
    }

    /// The same, for a rollback that was decided: whether it must wait, and until when at most.
    pub(crate) fn make_way(&mut self, now: Moment) -> Option<Instant> {
        self.call_off_drill(now, "a rollback must start");
        self.drill_deadline()
    }

    /// No drill from here on.
    pub(crate) fn close_drills(&mut self, now: Moment) {
        self.drills.closed = true;
        self.call_off_drill(now, "rollguard was told to stop");
    }

    /// Nothing can be put on record any more.
    pub(crate) fn drop_drill(&mut self) {
        self.drills.closed = true;
        if self.drills.run.take().is_some() {
            self.push(Effect::Drill(DrillEffect::CallOff));
        }
    }

    /// Ends what an earlier guard left open: what it ran may still be there.
    pub(crate) fn end_old_drill(&mut self, now: Moment) {
        let Some(open) = self.log.state().drills.open() else { return };
        let (id, begun) = (open.drill.clone(), open.begun);
        if let Some(attempt) = self.log.state().drills.open_attempt() {
            let (deployment, timeout) = (id.clone(), Duration::ZERO);
            self.push(Effect::Inspect { deployment, attempt, timeout });
        }
        let took_ms = evidence::millis(now.wall.since(begun));
        let why = Some("rollguard ended in the middle of it".to_owned());
        let end = DrillEnd { result: DrillResult::CalledOff, why, took_ms };
        let event = Event::DrillDone(end);
        self.record_entry(Entry { at: now.wall, deployment: Some(id), event });
    }

    fn record_drill(&mut self, now: Moment, event: Event) {
        let id = self.drills.run.as_ref().map(|drill| drill.stand_in.id.clone());
        self.record_entry(Entry { at: now.wall, deployment: id, event });
    }

    fn follow_drill(&mut self, now: Moment, choose: fn(At<'_>) -> Next) {
        let Some(drill) = &self.drills.run else { return };
        let (hook, deployment) = (&drill.hook, &drill.stand_in.id);
        let left = drill.limit.map(|limit| limit.since(now.at));
        let at = At { hook, progress: &self.log.state().drills.progress, deployment, left };
        let next = match choose(at) {
            // No cure of a drill can be seen.
            Next::LookForCure(_) => procedure::next_without_cure(at),
            next @ (Next::Await | Next::Start { .. } | Next::Verify | Next::GiveUp(_)) => next,
        };
        match next {
            Next::Start { number, pause } if pause.is_zero() => {
                self.start_drill_attempt(now, number, left);
            }
            Next::Start { pause, .. } => self.wait_in_drill(now.at.after(pause)),
            Next::Verify => self.end_drill(now, DrillResult::Done, None),
            Next::GiveUp(why) => self.end_drill(now, DrillResult::Failed, Some(why)),
            Next::Await | Next::LookForCure(_) => {}
        }
    }

    fn wait_in_drill(&mut self, until: Instant) {
        if let Some(drill) = &mut self.drills.run {
            drill.waiting = Waiting::Backoff { until };
        }
    }

    fn start_drill_attempt(&mut self, now: Moment, number: u32, left: Option<Duration>) {
        let place = self.log.state().drills.progress.step;
        let Some(drill) = &mut self.drills.run else { return };
        let Some(step) = drill.hook.steps.get(place as usize) else { return };
        let attempt = Attempt::of(drill.hook.name.clone(), place, number);
        let context = Context {
            deployment: &drill.stand_in,
            occasion: Occasion::Drill,
            at: now.wall,
            reason: REASON,
            rule: None,
            trigger: None,
            signals: &[],
        };
        let mut order = context.order(&drill.hook, step, attempt.clone()).within(left);
        order.env.push((VARIABLE, "1".to_owned()));
        drill.waiting = Waiting::Attempt;
        self.record_drill(now, Event::Intent { attempt, what: order.action.describe() });
        if !self.log.is_halted() {
            self.push(Effect::Drill(DrillEffect::Run(Box::new(order))));
        }
    }

    fn end_drill(&mut self, now: Moment, result: DrillResult, why: Option<String>) {
        let Some(drill) = &self.drills.run else { return };
        let took_ms = evidence::millis(now.at.since(drill.begun));
        self.record_drill(now, Event::DrillDone(DrillEnd { result, why, took_ms }));
        self.drills.run = None;
        self.go_ahead(now);
    }

    /// A rollback that waits for its first attempt waits for the drill, and need not any more.
    fn go_ahead(&mut self, now: Moment) {
        let waits = self.log.state().current.as_ref().is_some_and(|current| {
            current.phase == Phase::RollingBack && current.progress.number == 0
        });
        if let Doing::Backoff { until } = &mut self.doing
            && waits
        {
            *until = now.at;
            self.pursue_wait(now, None);
        }
    }
}

/// The first step, from 1, that changes something and does not say where by what is other in a
/// drill; such a hook is not drilled unless a person insists. That it names a version says nothing:
/// the place may still be that of the guarded service.
#[must_use]
pub fn acting_step(hook: &Hook) -> Option<usize> {
    let tells = [Placeholder::Service, Placeholder::Deployment];
    let acts = hook.steps.iter().position(|step| {
        !step.action.is_harmless() && !tells.iter().any(|place| step.action.names(*place))
    });
    acts.map(|place| place + 1)
}

/// What stands in the place of a deployment: what the durable state would know of one.
fn stand_in(now: Moment, id: &DeploymentId, start: &DrillStart) -> Deployment {
    let DrillStart { service, version, good, by, .. } = start.clone();
    let event = Event::Begun {
        service,
        version,
        good: Some(good),
        mode: crate::model::deployment::Mode::default(),
        signals: Vec::new(),
        holding: Vec::new(),
        baselines: Vec::new(),
        irreversible: false,
        forced: false,
        by,
    };
    let entry = Entry { at: now.wall, deployment: Some(id.clone()), event };
    Durable::replay(&[entry]).current.expect("it was just begun")
}
