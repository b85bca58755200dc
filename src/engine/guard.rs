//! The guard: owns the evaluator and the durable state, and turns what happens into effects.
//!
//! Everything durable goes through `record`: the entry is applied to the durable state and handed
//! to the shell as the effect that must be on disk before anything after it starts. What is not in
//! the durable state (timers, the attempt being awaited) follows from it again after a restart.

use std::sync::Arc;

use crate::model::deployment::{Arm, Mode};
use crate::model::entry::{Caller, Entry, Event, Refusal};
use crate::model::hook::Hook;
use crate::model::index::{HookIx, RuleIx};
use crate::model::name::{DeploymentId, HookName, RuleName};
use crate::model::plan::Plan;
use crate::model::rule::Then;
use crate::model::scrape::Scrape;
use crate::model::time::{Instant, Moment};

use super::effect::Effect;
use crate::engine::command::{Accepted, Rejection};
use crate::engine::context::{Cx, ReadCx};
use crate::engine::deployment::live_version::LiveState;
use crate::engine::deployment::stages::Stages;
use crate::engine::deployment::telemetry;
use crate::engine::durable::log::{Halt, Log};
use crate::engine::durable::state::{Deployment, Durable, Phase};
use crate::engine::notify::incident;
use crate::engine::notify::outbox::{self, Announced};
use crate::engine::policy::approval::{self, Approvals, Unheeded};
use crate::engine::policy::pause::Pauses;
use crate::engine::policy::refusal;
use crate::engine::rules::evaluator::Evaluator;
use crate::engine::rules::state::State;
use crate::engine::run::drill::Drills;
use crate::engine::run::order::Occasion;
use crate::engine::run::stage_entry::StageEntry;
use crate::engine::run::verify::Watch;
use crate::engine::sampling::interval::TargetState;

/// The deterministic core.
#[derive(Debug)]
pub struct Guard {
    pub(crate) evaluator: Evaluator,
    pub(crate) log: Log,
    pub(crate) doing: Doing,
    pub(crate) timers: Timers,
    /// When the guard was started: its windows hold nothing older.
    pub(crate) started: Instant,
    pub(crate) targets: Vec<TargetState>,
    /// The hook of the rollback under way, as it was when the rollback was decided.
    pub(crate) hook: Option<Hook>,
    /// When that hook's time is over, where it has a limit.
    pub(crate) limit: Option<Instant>,
    /// Rules that held when the deployment began, and that nothing was seen of since the guard was
    /// restarted, or they were changed, in warm-up.
    pub(crate) unseen: Vec<RuleName>,
    pub(crate) approvals: Approvals,
    pub(crate) pauses: Pauses,
    /// What the stages of the deployment wait for.
    pub(crate) stages: Stages,
    pub(crate) stage_entry: StageEntry,
    pub(crate) drills: Drills,
    pub(crate) live: LiveState,
}

/// What a rollback is waiting for.
#[derive(Debug, Default)]
pub(crate) enum Doing {
    /// Nothing: there is no rollback, or it is over.
    #[default]
    Nothing,
    /// The outcome of an attempt.
    Attempt,
    /// What the live version is, before the next attempt.
    Comparing,
    /// The time of the next attempt.
    Backoff { until: Instant },
    /// The cure.
    Cure(Watch),
}

/// A guarded deployment's times on the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timers {
    /// When guarding began, or was resumed.
    pub(crate) armed: Instant,
    /// The end of warm-up; `None` once rules that held before were set aside.
    pub(crate) warm: Option<Instant>,
    /// The end of the bake; `None`: for ever.
    pub(crate) bake: Option<Instant>,
    /// The end of the bake was met, but nothing was committed: what that waits for is a scrape,
    /// not time.
    pub(crate) overdue: bool,
}

impl Guard {
    /// A guard that knows what the journal says. Nothing happens before [`start`](Self::start).
    #[must_use]
    pub fn new(plan: Arc<Plan>, entries: &[Entry]) -> Self {
        let targets = vec![TargetState::default(); plan.targets.len()];
        Self {
            evaluator: Evaluator::new(plan),
            log: Log::replay(entries),
            doing: Doing::Nothing,
            timers: Timers::default(),
            started: Instant::ZERO,
            targets,
            hook: None,
            limit: None,
            unseen: Vec::new(),
            approvals: Approvals::default(),
            pauses: Pauses::default(),
            stages: Stages::default(),
            stage_entry: StageEntry::default(),
            drills: Drills::default(),
            live: LiveState::default(),
        }
    }

    /// Resumes what the journal left open, or arms where starting the daemon does.
    pub fn start(&mut self, now: Moment, rollguard: &str, pid: u32) -> Vec<Effect> {
        self.started = now.at;
        if let Some(current) = &self.log.state().current {
            self.evaluator.freeze(&current.baselines, now.at);
            self.evaluator.note_seen(&current.lost);
            self.evaluator.enter(current.stage.clone(), now.at);
        }
        self.record(now, Event::Started { rollguard: rollguard.to_owned(), pid });
        self.hook = incident::tell_owed(&mut self.cx(now));
        self.pauses.restart(now, self.log.state());
        self.approvals.restart(&mut Cx::new(now, &self.evaluator, &mut self.log));
        self.end_old_drill(now);
        outbox::send_remembered(&mut self.log, &self.evaluator, now);
        self.call_off(now);
        self.watch_live(now);
        let phase = self.log.state().current.as_ref().map(|deployment| &deployment.phase);
        match phase {
            Some(Phase::RollingBack) => self.resume_rollback(now),
            Some(Phase::Guarding) if !self.is_released_anew() => {
                self.resume_guarding(now);
                self.resume_stage(now);
            }
            None
            | Some(
                Phase::Guarding
                | Phase::RolledBack
                | Phase::Failed(_)
                | Phase::Baked
                | Phase::Ended(_),
            ) => {
                if self.is_released_anew() {
                    self.arm_always(now);
                }
            }
        }
        self.pursue_live(now);
        self.effects()
    }

    /// Whether starting the daemon arms: nothing is known yet, or the configuration names a
    /// version that it did not name before.
    fn is_released_anew(&self) -> bool {
        let settings = &self.plan().deployment;
        let Some(current) = &self.log.state().current else { return settings.arm == Arm::Always };
        let known = [Some(&current.version), self.log.state().armed.as_ref()];
        let version = settings.version.as_ref();
        settings.arm == Arm::Always && version.is_some() && !known.contains(&version)
    }

    /// Takes in a scrape.
    pub fn observe(&mut self, now: Moment, scrape: &Scrape) -> Vec<Effect> {
        if self.evaluator.is_late(scrape) {
            return self.tick(now);
        }
        self.evaluator.wake(now.at);
        self.watch_gate(now, None);
        self.note_target(scrape);
        self.note_live(scrape);
        self.evaluator.observe(scrape);
        self.proceed(now, Some(scrape));
        self.effects()
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Moment) -> Vec<Effect> {
        self.evaluator.wake(now.at);
        self.proceed(now, None);
        self.effects()
    }

    /// When [`tick`](Self::tick) must next be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let doing = match &self.doing {
            Doing::Nothing | Doing::Attempt | Doing::Comparing => None,
            Doing::Backoff { until } => Some(*until),
            Doing::Cure(watch) => Some(watch.deadline()),
        };
        let bake = self.timers.bake.filter(|_| !self.timers.overdue);
        let guarding = self.guarded().and(self.timers.warm.into_iter().chain(bake).min());
        let view = self.read(Moment::default());
        let lost = telemetry::deadline(view);
        let answer = self.approvals.deadline(view, self.is_answered());
        let waits = self.pauses.deadline(&self.log).into_iter().chain(answer);
        let looks = lost.into_iter().chain(self.live_deadline()).chain(waits);
        let looks = looks.chain(self.drill_deadline()).chain(self.stage_deadline());
        self.evaluator.deadline().into_iter().chain(doing).chain(guarding).chain(looks).min()
    }

    /// The journal could not be written. From here on nothing is done any more: a rollback that
    /// is not on record could run again.
    pub fn journal_lost(&mut self, now: Moment) -> Vec<Effect> {
        self.log.drop_effects();
        if self.log.halt(Halt::JournalLost).is_none() {
            self.doing = Doing::Nothing;
            self.stages = Stages::default();
            self.stage_entry = StageEntry::default();
            self.drop_check();
            self.drop_drill();
            self.tell(now, None, "the journal cannot be written", Occasion::JournalLost);
            outbox::send_journal_lost(&mut self.log, &self.evaluator, now);
            self.relax();
        }
        self.effects()
    }

    /// Of the entries that were asked for last only these were made durable. The others did not
    /// happen: nobody may be told that a version has baked, or was rolled back, that will not have
    /// after a restart.
    pub fn unrecord(&mut self, written: &[Entry]) {
        self.log.unrecord(written);
    }

    /// People were told of a deployment, or could not be. By now another may be the current one.
    pub fn notified(
        &mut self,
        now: Moment,
        deployment: DeploymentId,
        hook: HookName,
        failure: Option<String>,
    ) -> Vec<Effect> {
        let event = Event::Notified { hook, failure };
        self.record_entry(Entry { at: now.wall, deployment: Some(deployment), event });
        self.effects()
    }

    /// The daemon was told to stop.
    pub fn stop(&mut self, now: Moment, by: Caller) -> Vec<Effect> {
        self.record(now, Event::Stopped { by });
        self.close_drills(now);
        self.effects()
    }

    /// The daemon is ending and leaves the next attempt to the next start: nothing is awaited.
    pub fn hand_over(&mut self) {
        self.log.halt(Halt::HandedOver);
        self.doing = Doing::Nothing;
        self.stages = Stages::default();
        self.stage_entry = StageEntry::default();
    }

    /// Whether an attempt at a step is under way.
    #[must_use]
    pub const fn is_attempting(&self) -> bool {
        matches!(self.doing, Doing::Attempt) || self.stage_entry.is_attempting()
    }

    /// Whether a step of a rollback, or of what enters a stage, is being run or will be.
    #[must_use]
    pub const fn has_steps_to_run(&self) -> bool {
        matches!(self.doing, Doing::Attempt | Doing::Comparing | Doing::Backoff { .. })
            || self.stage_entry.has_steps()
    }

    /// Whether a rollback is under way, so that the daemon must not replace its plan.
    #[must_use]
    pub fn is_rolling_back(&self) -> bool {
        self.log.state().current.as_ref().is_some_and(|d| d.phase == Phase::RollingBack)
    }

    /// The durable state: what [`Durable::replay`] makes of every entry asked for so far.
    #[must_use]
    pub const fn durable(&self) -> &Durable {
        self.log.state()
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        self.evaluator.plan()
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        self.log.take_effects()
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.log.push(effect);
    }

    /// What a component is asked with.
    pub(crate) const fn read(&self, now: Moment) -> ReadCx<'_> {
        ReadCx { now, evaluator: &self.evaluator, log: &self.log }
    }

    /// What a component is called with.
    pub(crate) const fn cx(&mut self, now: Moment) -> Cx<'_> {
        Cx::new(now, &self.evaluator, &mut self.log)
    }

    /// Applies an event to the durable state and asks for it to be made durable.
    pub(crate) fn record(&mut self, now: Moment, event: Event) {
        self.cx(now).record(event);
        self.call_off(now);
    }

    pub(crate) fn record_entry(&mut self, entry: Entry) {
        if self.log.record(entry) {
            outbox::send_newest(&mut self.log, &self.evaluator);
        }
    }

    pub(crate) fn tell(
        &mut self,
        now: Moment,
        rule: Option<RuleIx>,
        reason: &str,
        occasion: Occasion,
    ) {
        let failed = matches!(occasion, Occasion::RollbackFailed | Occasion::JournalLost);
        let hook = self.hook.as_ref().filter(|_| failed).and_then(|hook| hook.on_failure);
        incident::tell_by(&mut self.cx(now), hook, rule, reason, occasion);
    }

    /// A channel was sent an alert, or could not be.
    pub fn announced(&mut self, now: Moment, announced: Announced) -> Vec<Effect> {
        if let Some((deployment, event)) = announced.event() {
            self.cx(now).record_for(deployment, event);
        }
        self.effects()
    }

    /// Everything that may follow from new readings or passed time, in order.
    fn proceed(&mut self, now: Moment, scrape: Option<&Scrape>) {
        self.end_warmup(now);
        self.set_aside_unseen(now);
        self.pauses.end_due(&mut Cx::new(now, &self.evaluator, &mut self.log));
        approval::lift_denials(&mut Cx::new(now, &self.evaluator, &mut self.log), self.started);
        self.end_wait_for_answer(now);
        self.pursue_live(now);
        self.pursue_drill(now);
        self.pursue_wait(now, scrape);
        self.decide(now);
        refusal::record_cleared(&mut self.cx(now));
        telemetry::watch(&mut self.cx(now));
        self.watch_stage(now, scrape);
        self.bake(now);
        self.keep_pace(now.at);
    }

    /// The deployment, while it is guarded.
    pub(crate) fn guarded(&self) -> Option<&Deployment> {
        self.log.state().current.as_ref().filter(|deployment| deployment.phase == Phase::Guarding)
    }

    /// Acts on the rule that fired first, or notes why nothing is done.
    pub(crate) fn decide(&mut self, now: Moment) {
        let mut firing: Vec<(Instant, RuleIx)> = (0..self.plan().rules.len())
            .map(RuleIx)
            .filter_map(|ix| self.fired(ix).map(|fired| (fired, ix)))
            .collect();
        firing.sort();
        for (_, ix) in firing {
            if self.log.is_halted() || self.guarded().is_none() {
                return;
            }
            match (self.refusal(ix, now), self.plan().rule(ix).then) {
                (None, Then::Rollback(hook)) => self.act_on(now, ix, hook),
                (Some(refusal), _) => self.refuse(now, ix, refusal),
                (None, Then::Notify | Then::Report) => {}
            }
        }
    }

    /// When a rule fired that fires now. On what is over, or was not seen since, nothing is done.
    fn fired(&self, ix: RuleIx) -> Option<Instant> {
        match self.evaluator.rule(ix).state {
            State::Firing(firing) if self.evaluator.fires_now(ix) => Some(firing.fired),
            State::Firing(_) | State::Inactive | State::Pending(_) => None,
        }
    }

    /// Whether a rule fires now.
    pub(crate) fn is_firing(&self, ix: RuleIx) -> bool {
        self.fired(ix).is_some()
    }
}

// Policy.
impl Guard {
    /// Why a rule would not be acted on if it fired now; `None` if it would.
    pub(crate) fn refusal(&self, ix: RuleIx, now: Moment) -> Option<Refusal> {
        refusal::of_rule(self.read(now), self.timers.warm.is_some(), ix)
    }

    /// Why a hook cannot be run for the newest deployment.
    pub(crate) fn hook_refusal(&self, hook: &Hook) -> Option<Refusal> {
        refusal::of_hook(self.log.state().current.as_ref()?, hook)
    }

    pub(crate) fn refuse(&mut self, now: Moment, ix: RuleIx, refusal: Refusal) {
        refusal::record(&mut self.cx(now), ix, refusal);
    }

    /// Rolls back because a rule fired, or asks whether to, once it is certain what is live.
    fn act_on(&mut self, now: Moment, ix: RuleIx, hook: HookIx) {
        match self.plan().mode {
            Mode::Confirm if self.live_settings().is_none() => {
                let hook = self.plan().hook(hook).clone();
                self.ask(now, ix, &hook);
            }
            Mode::Confirm | Mode::Observe | Mode::Notify | Mode::Auto => {
                self.roll_back_for(now, ix, hook);
            }
        }
    }

    pub(crate) fn ask(&mut self, now: Moment, ix: RuleIx, hook: &Hook) {
        self.approvals.ask(&mut Cx::new(now, &self.evaluator, &mut self.log), ix, hook);
    }

    pub(crate) fn approve(
        &mut self,
        now: Moment,
        id: Option<&DeploymentId>,
        reason: Option<String>,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let asked = self.is_asked();
        let (case, accepted) = approval::approve(self.read(now), id, reason, by, asked)?;
        self.roll_back(now, case);
        self.take_answer().transpose()?;
        Ok(accepted)
    }

    pub(crate) fn deny(
        &mut self,
        now: Moment,
        id: Option<&DeploymentId>,
        reason: String,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let mut cx = Cx::new(now, &self.evaluator, &mut self.log);
        let accepted = self.approvals.deny(&mut cx, id, reason, by)?;
        // A yes before it may still wait for the live version.
        self.drop_check();
        // Another rule that fires asks at once.
        self.decide(now);
        Ok(accepted)
    }

    fn end_wait_for_answer(&mut self, now: Moment) {
        let answered = self.is_answered();
        let mut cx = Cx::new(now, &self.evaluator, &mut self.log);
        match self.approvals.end_due(&mut cx, answered) {
            Some(Unheeded::Denied) => self.drop_check(),
            Some(Unheeded::RollBack(case)) => self.roll_back(now, *case),
            None => {}
        }
    }

    pub(crate) fn lapse(&mut self, now: Moment, why: String) {
        self.approvals.lapse(&mut Cx::new(now, &self.evaluator, &mut self.log), why);
    }
}
