//! The guard: owns the evaluator and the durable state, and turns what happens into effects.
//!
//! Everything durable goes through `record`: the entry is applied to the durable state and handed
//! to the shell as the effect that must be on disk before anything after it starts. What is not in
//! the durable state (timers, the attempt being awaited) follows from it again after a restart.

use std::sync::Arc;

use crate::model::deployment::{Arm, Milestone, Mode};
use crate::model::entry::{
    Caller, DaemonEvent, DeploymentBegun, DeploymentEvent, Entry, Event, NoticeEvent, Refusal,
    StageEvent, Trigger,
};
use crate::model::index::{RuleIx, SignalIx, TargetIx};
use crate::model::name::{DeploymentId, HookName, StageName, Version};
use crate::model::time::{Instant, Moment};
use crate::model::{hook::Hook, live::Live, plan::Plan, rule::Then, scrape::Scrape};

use super::command::{Accepted, Command, Force, Rejection, Terms, check_reason};
use super::effect::{Announced, Effect, Outcome};
use crate::engine::context::{Cx, ReadCx};
use crate::engine::deployment::bake::{self, Bake};
use crate::engine::deployment::live_version::{self, LiveVersion, ReadingPurpose};
use crate::engine::deployment::stages::{self, StageGate};
use crate::engine::deployment::version_change::{ChangeStep, VersionChange};
use crate::engine::deployment::version_check::{
    self, CheckPurpose, CheckStep, LiveComparison, RollbackCase, VersionCheck,
};
use crate::engine::deployment::warmup::{self, Warmup};
use crate::engine::durable::deployment::{Deployment, Phase};
use crate::engine::durable::drills::{self, DrillStatus};
use crate::engine::durable::log::{Halt, Log};
use crate::engine::policy::approval::{self, Approvals, Unheeded};
use crate::engine::policy::{budget, refusal};
use crate::engine::run::attempts::RunStep;
use crate::engine::run::drill::{self, DrillRunner};
use crate::engine::run::rollback::Rollback;
use crate::engine::run::stage_entry::StageEntry;
use crate::engine::sampling::interval::Sampling;
use crate::engine::view::health::{Health, colour};
use crate::engine::view::snapshot::{
    DeploymentProgress, DeploymentStatus, GuardState, RuleStatus, Snapshot, TargetStatus,
};
use crate::engine::view::stage::{NoStage, StageProgress, StageStanding};
use crate::engine::{
    deployment::telemetry, durable::stage::Standing, durable::state::Durable, notify::incident,
    notify::outbox, policy::pause::Pauses, policy::quarantine, rules::evaluator::Evaluator,
    rules::state::RuleState, run::order::Occasion, view::evidence,
};

/// What those who wait are told when the journal cannot be written.
const JOURNAL_LOST: &str = "the journal cannot be written, so the guard does not act any more";

/// The deterministic core.
#[derive(Debug)]
pub struct Guard {
    base: Base,
    rollback: Rollback,
    stage_entry: StageEntry,
    check: VersionCheck,
    warmup: Warmup,
    bake: Bake,
    /// When the guard was started: its windows hold nothing older.
    started: Instant,
    sampling: Sampling,
    approvals: Approvals,
    pauses: Pauses,
    stage_gate: StageGate,
    drills: DrillRunner,
    live: LiveVersion,
    change: VersionChange,
}

/// What the guard lends to its components.
#[derive(Debug)]
struct Base {
    evaluator: Evaluator,
    log: Log,
}

impl Base {
    /// What a component is asked with.
    const fn read(&self, now: Moment) -> ReadCx<'_> {
        ReadCx { now, evaluator: &self.evaluator, log: &self.log }
    }

    /// What a component is called with.
    const fn cx(&mut self, now: Moment) -> Cx<'_> {
        Cx { now, evaluator: &self.evaluator, log: &mut self.log }
    }
}

/// A deployment that begins.
struct Beginning {
    /// Its id; `None` makes one from the version and the time.
    id: Option<DeploymentId>,
    version: Version,
    good: Option<Version>,
    terms: Terms,
    /// Since when it may have been live, where that was detected afterwards.
    live_since: Option<Instant>,
}

impl Guard {
    /// A guard that knows what the journal says. Nothing happens before [`start`](Self::start).
    pub fn new(plan: Arc<Plan>, entries: &[Entry]) -> Self {
        let sampling = Sampling::new(&plan);
        Self {
            base: Base { evaluator: Evaluator::new(plan), log: Log::replay(entries) },
            rollback: Rollback::default(),
            stage_entry: StageEntry::default(),
            check: VersionCheck::default(),
            warmup: Warmup::default(),
            bake: Bake::default(),
            started: Instant::ZERO,
            sampling,
            approvals: Approvals::default(),
            pauses: Pauses::default(),
            stage_gate: StageGate::default(),
            drills: DrillRunner::default(),
            live: LiveVersion::default(),
            change: VersionChange::default(),
        }
    }

    /// Resumes what the journal left open, or arms where starting the daemon does.
    pub fn start(&mut self, now: Moment, rollguard: &str, pid: u32) -> Vec<Effect> {
        self.started = now.at;
        self.rollback.start(now.at);
        if let Some(current) = &self.base.log.state().current {
            self.base.evaluator.freeze(&current.baselines, now.at);
            self.base.evaluator.note_seen(&current.lost);
            self.base.evaluator.enter(current.stage.clone(), now.at);
        }
        self.record(now, DaemonEvent::Started { rollguard: rollguard.to_owned(), pid });
        if let Some(hook) = incident::tell_owed(&mut self.base.cx(now)) {
            self.rollback.remember(hook, now.at);
        }
        self.pauses.restart(now, self.base.log.state());
        self.approvals.restart(&mut self.base.cx(now));
        drill::end_old(&mut self.base.cx(now));
        outbox::send_remembered(&mut self.base.log, &self.base.evaluator, now);
        self.base.cx(now).call_off();
        self.watch_live(now);
        if self.is_rolling_back() {
            let need = self.rollback.resume(&mut self.base.cx(now));
            self.provide(now, need);
        } else if self.is_released_anew() {
            let version = self.plan().deployment.version.clone();
            if let Some(version) = version.or_else(|| Version::new("unknown").ok()) {
                // What runs must be guarded, whatever became of it before.
                self.begin_by_itself(now, version, None, None);
            }
        } else if self.base.read(now).guarded().is_some() {
            self.resume_guarding(now);
        }
        self.pursue_live(now);
        self.finish(now)
    }

    /// Whether starting the daemon arms: nothing is known yet, or the configuration names a
    /// version that it did not name before.
    fn is_released_anew(&self) -> bool {
        let settings = &self.plan().deployment;
        let Some(current) = &self.base.log.state().current else {
            return settings.arm == Arm::Always;
        };
        let known = [Some(&current.version), self.base.log.state().armed.as_ref()];
        let version = settings.version.as_ref();
        settings.arm == Arm::Always && version.is_some() && !known.contains(&version)
    }

    /// Takes in a scrape.
    pub fn observe(&mut self, now: Moment, scrape: &Scrape) -> Vec<Effect> {
        if self.base.evaluator.is_late(scrape) {
            return self.tick(now);
        }
        self.base.evaluator.wake(now.at);
        self.stage_gate.judge(self.base.read(now), &self.warmup, None);
        self.sampling.on_scrape(scrape);
        self.live.on_scrape(self.base.evaluator.plan(), scrape);
        self.base.evaluator.observe(scrape);
        self.proceed(now, Some(scrape));
        self.finish(now)
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Moment) -> Vec<Effect> {
        self.base.evaluator.wake(now.at);
        self.proceed(now, None);
        self.finish(now)
    }

    /// When [`tick`](Self::tick) must next be called.
    pub fn deadline(&self) -> Option<Instant> {
        let view = self.base.read(Moment::default());
        let acting = [
            self.live.deadline(),
            self.check.deadline(),
            self.stage_entry.deadline(),
            self.stage_gate.deadline(view),
        ];
        let acting = acting.into_iter().filter(|_| !self.base.log.is_halted());
        let guarding = [self.warmup.deadline(), self.bake.deadline()].into_iter();
        let guarding = guarding.filter(|_| view.guarded().is_some());
        let always = [
            self.base.evaluator.deadline(),
            self.rollback.deadline(),
            self.drills.deadline(),
            self.pauses.deadline(&self.base.log),
            self.approvals.deadline(view).filter(|_| !self.check.is_answered()),
            telemetry::deadline(view),
        ];
        acting.chain(guarding).chain(always).flatten().min()
    }

    /// The journal could not be written. From here on nothing is done any more: a rollback that
    /// is not on record could run again.
    pub fn journal_lost(&mut self, now: Moment) -> Vec<Effect> {
        // What was asked for and not handed out is not done.
        drop(self.base.log.take_effects());
        if self.base.log.halt(Halt::JournalLost).is_none() {
            self.rollback.halt();
            self.stage_gate = StageGate::default();
            self.stage_entry = StageEntry::default();
            self.check.give_up();
            self.drills.halt(&mut self.base.cx(now));
            let (hook, why) = (self.rollback.on_failure(), "the journal cannot be written");
            incident::tell_by(&mut self.base.cx(now), hook, None, why, Occasion::JournalLost);
            outbox::send_journal_lost(&mut self.base.log, &self.base.evaluator, now);
            self.sampling.relax(&mut self.base.cx(now));
        }
        self.base.log.take_effects()
    }

    /// Of the entries that were asked for last only these were made durable. The others did not
    /// happen: nobody may be told that a version has baked, or was rolled back, that will not have
    /// after a restart.
    pub fn unrecord(&mut self, written: &[Entry]) {
        self.base.log.unrecord(written);
    }

    /// People were told of a deployment, or could not be. By now another may be the current one.
    pub fn notified(
        &mut self,
        now: Moment,
        deployment: DeploymentId,
        hook: HookName,
        failure: Option<String>,
    ) -> Vec<Effect> {
        self.base.cx(now).record_for(Some(deployment), NoticeEvent::Notified { hook, failure });
        self.base.log.take_effects()
    }

    /// The daemon was told to stop.
    pub fn stop(&mut self, now: Moment, by: Caller) -> Vec<Effect> {
        self.record(now, DaemonEvent::Stopped { by });
        let step = self.drills.close(&mut self.base.cx(now));
        self.provide(now, step);
        self.base.log.take_effects()
    }

    /// The daemon is ending and leaves the next attempt to the next start: nothing is awaited.
    pub fn hand_over(&mut self) {
        self.base.log.halt(Halt::HandedOver);
        self.rollback.halt();
        self.stage_gate = StageGate::default();
        self.stage_entry = StageEntry::default();
    }

    /// Whether an attempt at a step is under way.
    pub fn is_attempting(&self) -> bool {
        self.rollback.is_attempting() || self.stage_entry.is_attempting()
    }

    /// Whether a step of a rollback, or of what enters a stage, is being run or will be.
    pub fn has_steps_to_run(&self) -> bool {
        self.rollback.has_steps_to_run() || self.stage_entry.has_steps()
    }

    /// Whether a rollback is under way, so that the daemon must not replace its plan.
    pub fn is_rolling_back(&self) -> bool {
        self.base.log.state().phase() == Some(&Phase::RollingBack)
    }

    /// The durable state: what [`Durable::replay`] makes of every entry asked for so far.
    pub const fn durable(&self) -> &Durable {
        self.base.log.state()
    }

    /// The plan in force.
    pub fn plan(&self) -> &Arc<Plan> {
        self.base.evaluator.plan()
    }

    /// Applies an event to the durable state and asks for it to be made durable.
    fn record(&mut self, now: Moment, event: impl Into<Event>) {
        self.base.cx(now).record(event);
    }

    /// A channel was sent an alert, or could not be.
    pub fn announced(&mut self, now: Moment, announced: Announced) -> Vec<Effect> {
        if let Some((deployment, event)) = announced.event() {
            self.base.cx(now).record_for(deployment, event);
        }
        self.base.log.take_effects()
    }

    /// Everything that may follow from new readings or passed time, in order.
    fn proceed(&mut self, now: Moment, scrape: Option<&Scrape>) {
        let cx = &mut self.base.cx(now);
        self.warmup.end_due(cx);
        if let Some(scrape) = scrape {
            self.warmup.set_aside_late(cx, scrape);
        }
        self.warmup.set_aside_unseen(cx);
        self.pauses.end_due(cx);
        approval::lift_denials(cx, self.started);
        // An answer that was given waits for the live version only.
        let is_open = !self.check.is_answered();
        match is_open.then(|| self.approvals.end_due(cx)).flatten() {
            Some(Unheeded::Denied) => self.check.give_up(),
            Some(Unheeded::RollBack(case)) => self.roll_back(now, *case),
            None => {}
        }
        self.pursue_live(now);
        let step = self.drills.wake(&mut self.base.cx(now));
        self.provide(now, step);
        self.wake_rollback(now, scrape);
        self.decide(now);
        refusal::record_cleared(&mut self.base.cx(now));
        telemetry::watch(&mut self.base.cx(now));
        self.watch_stage(now, scrape);
        // A deployment that survived its bake.
        if self.bake.end_due(&mut self.base.cx(now), self.warmup.armed()) {
            incident::go_along(&mut self.base.cx(now), Milestone::Commit);
        }
        self.keep_pace(now);
    }

    /// Samples the targets more often that feed what may soon be decided.
    fn keep_pace(&mut self, now: Moment) {
        self.sampling.keep_pace(&mut self.base.cx(now), &self.rollback);
    }

    /// Hands out what was asked for.
    fn finish(&mut self, now: Moment) -> Vec<Effect> {
        let hooks = &self.base.evaluator.plan().hooks;
        self.stage_entry.watch_stray(now, &self.base.log, hooks);
        self.base.log.take_effects()
    }

    /// Acts on the rule that fired first, or notes why nothing is done.
    fn decide(&mut self, now: Moment) {
        let mut firing: Vec<(Instant, RuleIx)> = (0..self.plan().rules.len())
            .map(RuleIx)
            .filter_map(|ix| self.fired(ix).map(|fired| (fired, ix)))
            .collect();
        firing.sort();
        for (_, ix) in firing {
            if self.base.read(now).active().is_none() {
                return;
            }
            if let Some(refusal) = refusal::of_rule(self.base.read(now), &self.warmup, ix) {
                refusal::record(&mut self.base.cx(now), ix, refusal);
            } else if let Then::Rollback(hook) = self.plan().rule(ix).then {
                self.act_on(now, ix, self.plan().hook(hook).clone());
            }
        }
    }

    /// When a rule fired that fires now. On what is over, or was not seen since, nothing is done.
    fn fired(&self, ix: RuleIx) -> Option<Instant> {
        match self.base.evaluator.rule(ix).state {
            RuleState::Firing(firing) if self.base.evaluator.fires_now(ix) => Some(firing.fired),
            RuleState::Firing(_) | RuleState::Inactive | RuleState::Pending(_) => None,
        }
    }

    /// Rolls back because a rule fired, or asks whether to, once it is certain what is live.
    fn act_on(&mut self, now: Moment, ix: RuleIx, hook: Hook) {
        if live_version::settings(self.plan()).is_none() {
            self.act_at_once(now, ix, hook);
        } else if !self.check.is_closed_to_rules(now.at) {
            let trigger = evidence::trigger(&self.base.evaluator, ix, now);
            let case = RollbackCase { trigger, hook, approval: None };
            self.begin_check(now, CheckPurpose::Rollback(Box::new(case)));
        }
    }

    /// The same, as nothing that is live speaks against it.
    fn act_at_once(&mut self, now: Moment, ix: RuleIx, hook: Hook) {
        let cx = &mut self.base.cx(now);
        match cx.plan().mode {
            Mode::Confirm => self.approvals.ask(cx, ix, &hook),
            Mode::Observe | Mode::Notify | Mode::Auto => {
                let trigger = evidence::trigger(cx.evaluator, ix, now);
                self.decide_on(now, RollbackCase { trigger, hook, approval: None });
            }
        }
    }
}

// What people want.
impl Guard {
    fn approve(
        &mut self,
        now: Moment,
        id: Option<&DeploymentId>,
        reason: Option<String>,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let (case, accepted) = approval::approve(self.base.read(now), id, reason, by)?;
        if let Some(deployment) = self.deployment_id().filter(|_| self.is_asked()) {
            return Err(Rejection::Comparing(deployment.clone()));
        }
        self.roll_back(now, case);
        self.take_answer().transpose()?;
        Ok(accepted)
    }

    /// Rolls back because a person says so.
    fn roll_back_on_demand(
        &mut self,
        now: Moment,
        id: Option<DeploymentId>,
        reason: String,
        force: Force,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let current = self.base.read(now).addressed(id.as_ref())?;
        let deployment = current.id.clone();
        let hook = refusal::check_manual(self.plan(), current, &reason, force)?.clone();
        let case = RollbackCase { trigger: Trigger::Person { reason, by }, hook, approval: None };
        match force {
            Force::Yes => {
                self.check.give_up();
                self.decide_on(now, case);
                return Ok(Accepted::rolling_back(deployment));
            }
            Force::No if self.is_asked() => return Err(Rejection::Comparing(deployment)),
            Force::No => self.roll_back(now, case),
        }
        self.take_answer().unwrap_or_else(|| Ok(Accepted::rolling_back(deployment)))
    }

    /// Rolls back as people want, once it is certain that the judged version is live.
    fn roll_back(&mut self, now: Moment, case: RollbackCase) {
        if live_version::settings(self.plan()).is_none() {
            self.decide_on(now, case);
        } else {
            self.begin_check(now, CheckPurpose::Rollback(Box::new(case)));
        }
    }

    /// Puts the decision on record, once for a deployment, and begins.
    fn decide_on(&mut self, now: Moment, case: RollbackCase) {
        let cx = &mut self.base.cx(now);
        self.rollback.decide(cx, case);
        // The rollback starts after this one's end, whatever that is.
        let _ = self.drills.call_off(cx, "a rollback must start");
        if let Some(until) = self.drills.deadline() {
            self.rollback.wait_until(until);
        } else {
            let need = self.rollback.pursue(cx);
            self.provide(now, need);
        }
        incident::go_along(&mut self.base.cx(now), Milestone::Trip);
    }

    /// Looks whether what a rollback waits for has come.
    fn wake_rollback(&mut self, now: Moment, scrape: Option<&Scrape>) {
        let since = self.rollback.verified_since();
        let live = since.and_then(|since| self.live.since(self.base.read(now), since));
        let need = self.rollback.wake(&mut self.base.cx(now), scrape, live.as_ref());
        self.provide(now, need);
    }

    /// Does what a run needs.
    fn provide(&mut self, now: Moment, step: RunStep) {
        match step {
            RunStep::Nothing => {}
            RunStep::Check { number } => self.begin_check(now, CheckPurpose::Resume { number }),
            RunStep::LiveVersion => self.live.look_soon(self.base.evaluator.plan(), now.at),
            RunStep::Entered => {
                // What was seen before it had its traffic says nothing of it.
                self.stage_gate.start_anew(now.at);
                incident::go_along(&mut self.base.cx(now), Milestone::Stage);
            }
            RunStep::StrayEnded => self.carry_on(now),
            RunStep::DrillEnded => {
                let step = self.rollback.stop_waiting(&mut self.base.cx(now));
                self.provide(now, step);
            }
        }
    }

    /// Takes in what became of an attempt.
    pub fn settle(&mut self, now: Moment, outcome: &Outcome) -> Vec<Effect> {
        let cx = &mut self.base.cx(now);
        if outcome.attempt.entering.is_some() {
            if let Some(step) = self.stage_entry.settle(cx, outcome) {
                self.provide(now, step);
                self.keep_pace(now);
            }
            return self.finish(now);
        }
        let step = self.drills.settle(cx, outcome);
        self.provide(now, step);
        if let Some(need) = self.rollback.settle(&mut self.base.cx(now), outcome) {
            self.provide(now, need);
            self.keep_pace(now);
        }
        self.finish(now)
    }

    /// Does what comes next in entering the stage.
    fn pursue_entering(&mut self, now: Moment) {
        let step = self.stage_entry.pursue(&mut self.base.cx(now));
        self.provide(now, step);
    }

    /// Goes on with what waited for the end of an attempt that was called off.
    fn carry_on(&mut self, now: Moment) {
        if !self.is_rolling_back() {
            self.pursue_entering(now);
        // A drill that was called off, too, may not have ended yet; its end goes on.
        } else if self.drills.deadline().is_none() {
            let need = self.rollback.pursue(&mut self.base.cx(now));
            self.provide(now, need);
        }
    }

    /// Whether a drill is under way.
    pub const fn is_drilling(&self) -> bool {
        self.drills.is_drilling()
    }

    /// The newest drill.
    pub const fn last_drill(&self) -> Option<&DrillStatus> {
        self.base.log.state().drills.last()
    }

    fn begin_check(&mut self, now: Moment, purpose: CheckPurpose) {
        self.check.begin(&self.base.cx(now), purpose);
        self.read_for_check(now);
    }

    /// Whether a person waits for a check of the live version.
    pub fn is_asked(&self) -> bool {
        self.check.is_for_a_person()
    }

    /// What a person who waited for a check of the live version is to be told.
    pub const fn take_answer(&mut self) -> Option<Result<Accepted, Rejection>> {
        self.check.take_answer()
    }

    /// Does what a check of the live version waits for, where its time has come.
    fn pursue_check(&mut self, now: Moment) {
        match self.check.wake(now.at) {
            CheckStep::Wait => {}
            CheckStep::Read => self.read_for_check(now),
            CheckStep::GiveUp => {
                let last = self.live.last().filter(|live| live.version().is_none()).cloned();
                let live = last.unwrap_or_else(|| Live::unknown("no answer within its time"));
                self.settle_check(now, live);
            }
        }
    }

    /// Acts on a reading that was made for the check under way.
    fn settle_check(&mut self, now: Moment, live: Live) {
        let cx = &mut self.base.cx(now);
        let Some((purpose, compared)) = self.check.settle(cx, &live) else { return };
        match purpose {
            CheckPurpose::Resume { number } => {
                let need = self.rollback.go_on(cx, number, &live, compared);
                self.provide(now, need);
            }
            CheckPurpose::Rollback(case) => {
                let refusal = version_check::refusal(cx.plan(), compared);
                self.conclude(now, &live, refusal, *case);
            }
        }
    }

    /// Does what a rule or people want, unless what is live speaks against it.
    fn conclude(&mut self, now: Moment, live: &Live, refusal: Option<Refusal>, case: RollbackCase) {
        if let Trigger::Rule(rule) = &case.trigger
            && case.approval.is_none()
        {
            // Much may have changed while it was read: a rule that cleared asks for nothing any
            // more.
            let view = self.base.read(now);
            let asks = |ix: &RuleIx| {
                refusal::of_rule(view, &self.warmup, *ix).is_none() && self.fired(*ix).is_some()
            };
            let Some(ix) = view.rule_named(&rule.rule).filter(asks) else { return };
            version_check::record(&mut self.base.cx(now), live, refusal);
            let Some(refusal) = refusal else { return self.act_at_once(now, ix, case.hook) };
            if let Some(settings) = live_version::settings(self.plan()) {
                self.check.close_to_rules(now.at.after(settings.interval));
            }
            return refusal::record(&mut self.base.cx(now), ix, refusal);
        }
        let waits = case.is_for_a_person();
        version_check::record(&mut self.base.cx(now), live, refusal);
        match refusal {
            None => {
                self.decide_on(now, case);
                if let Some(id) = self.deployment_id().filter(|_| waits) {
                    self.check.answer(Ok(Accepted::rolling_back(id.clone())));
                }
            }
            // What people were asked they may still answer otherwise.
            Some(refusal) if waits => {
                let force = "`rollback --force` does it all the same";
                let why = format!("refused: {refusal}; the live version is {live}; {force}");
                self.check.answer(Err(Rejection::because(why)));
            }
            Some(why) => self.approvals.lapse(&mut self.base.cx(now), why.to_string()),
        }
    }

    /// Why a rollback would be refused, going by the newest reading of the live version.
    fn live_refusal(&self) -> Option<Refusal> {
        live_version::settings(self.plan())?;
        let current = self.base.log.state().current.as_ref()?;
        let compared = LiveComparison::new(self.live.last()?, current);
        version_check::refusal(self.plan(), compared)
    }
}

// The live version.
impl Guard {
    fn watch_live(&mut self, now: Moment) {
        self.live.watch(self.base.evaluator.plan(), now.at);
        self.change.reset();
    }

    /// Reads the live version where its time has come, and does what waits for it.
    fn pursue_live(&mut self, now: Moment) {
        if self.base.log.is_halted() || live_version::settings(self.plan()).is_none() {
            return;
        }
        self.pursue_check(now);
        if let Some(live) = self.live.expire(self.base.read(now)) {
            self.heed_change(now, &live);
        }
        if let Some(live) = self.live.look(&mut self.base.cx(now), self.rollback.is_verifying()) {
            self.heed_change(now, &live);
        }
    }

    fn read_for_check(&mut self, now: Moment) {
        if let Some(live) = self.live.read(&mut self.base.cx(now), ReadingPurpose::Check) {
            self.settle_check(now, live);
        }
    }

    /// Takes in what the shell read, by the number of the request.
    pub fn live(&mut self, now: Moment, number: u64, live: Live) -> Vec<Effect> {
        let purpose = self.live.answer(self.base.read(now), number, &live);
        if let Some(purpose) = purpose.filter(|_| !self.base.log.is_halted()) {
            match purpose {
                ReadingPurpose::Watch => self.heed_change(now, &live),
                ReadingPurpose::Check => {
                    self.change.confirm(&live);
                    self.settle_check(now, live);
                }
            }
            self.pursue_live(now);
            self.wake_rollback(now, None);
            self.keep_pace(now);
        }
        self.finish(now)
    }

    /// Follows a change of the live version, where a reading shows one.
    fn heed_change(&mut self, now: Moment, live: &Live) {
        let stood = self.live.stood_until();
        match self.change.heed(&mut self.base.cx(now), live) {
            ChangeStep::Nothing => {}
            ChangeStep::End => {
                let reason = format!("the live version is the good version {live} again");
                self.check.give_up();
                self.record(now, DeploymentEvent::Ended { reason, by: Caller::Guard });
            }
            // It is live already, whether or not it was rolled back before. What was seen since
            // the version before was last read may be its doing, although nobody knew of it.
            ChangeStep::Begin { version, good } => {
                self.begin_by_itself(now, version, good, Some(stood));
            }
        }
    }
}

// Deployment.
impl Guard {
    /// Goes on guarding after a restart.
    fn resume_guarding(&mut self, now: Moment) {
        let view = self.base.read(now);
        self.warmup.restart(view);
        self.bake.restart(view);
        self.stage_gate = StageGate::restart(view);
        let step = self.stage_entry.resume(&mut self.base.cx(now));
        self.provide(now, step);
    }

    /// Goes over to a stage because somebody asks for it.
    fn stage(
        &mut self,
        now: Moment,
        id: Option<DeploymentId>,
        stage: StageName,
        force: Force,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let view = self.base.read(now);
        let current = view.addressed_guarded(id.as_ref())?;
        let deployment = current.id.clone();
        // A pipeline that asks again because it did not hear the answer.
        if !current.is_in_stage(&stage) {
            let forced = self.stage_gate.admit(view, &self.warmup, &stage, force)?;
            self.go_to(now, stage.clone(), forced, by);
        }
        let entry =
            self.base.read(now).guarded().and_then(|current| current.staging.entry.as_ref());
        let message = match entry {
            Some(entry) if entry.standing == Standing::Running => {
                format!("deployment {deployment} enters stage {stage} with hook {}", entry.hook)
            }
            Some(_) | None => format!("deployment {deployment} is in stage {stage}"),
        };
        Ok(Accepted { deployment: Some(deployment), message })
    }

    /// Enters the first stage of a deployment that begins, where there are stages.
    fn enter_first(&mut self, now: Moment, by: Caller) {
        // What the deployment before waited for is over, but for the end of what was called off.
        self.stage_gate = StageGate::default();
        self.stage_entry.begin(None, now.at);
        if let Some(first) = self.plan().stages.first().map(|stage| stage.name.clone()) {
            self.go_to(now, first, Force::No, by);
        }
    }

    fn go_to(&mut self, now: Moment, stage: StageName, forced: Force, by: Caller) {
        self.warmup.keep_resting(self.base.read(now));
        let plan = self.plan().clone();
        let declared = plan.stage(&stage).map(|(_, stage)| stage);
        let hook = declared.and_then(|stage| stage.enter).map(|hook| plan.hook(hook).clone());
        let enter = hook.as_ref().map(|hook| hook.name.clone());
        self.base.evaluator.enter(Some(stage.clone()), now.at);
        self.stage_gate = StageGate::begin(declared, now.at);
        self.stage_entry.begin(hook, now.at);
        let (enters, forced) = (enter.is_some(), forced == Force::Yes);
        self.record(now, StageEvent::Staged { stage, enter, forced, by });
        if enters {
            self.pursue_entering(now);
        } else {
            incident::go_along(&mut self.base.cx(now), Milestone::Stage);
        }
    }

    /// Everything that may follow for a stage from new readings or passed time.
    fn watch_stage(&mut self, now: Moment, scrape: Option<&Scrape>) {
        if self.base.log.is_halted() {
            return;
        }
        let step = self.stage_entry.wake(&mut self.base.cx(now));
        self.provide(now, step);
        self.stage_gate.judge(self.base.read(now), &self.warmup, scrape);
        let cx = &mut self.base.cx(now);
        self.stage_gate.pass(cx, &self.warmup);
        self.stage_gate.tell_overdue(cx, &self.warmup);
    }
}

// Commands.
impl Guard {
    /// Carries out a command.
    ///
    /// # Errors
    /// Why it cannot be carried out; nothing has changed then, but that the live version may have
    /// been compared and put on record. Where a person must wait for that, see
    /// [`is_asked`](Guard::is_asked).
    pub fn command(
        &mut self,
        now: Moment,
        command: Command,
        by: Caller,
    ) -> (Result<Accepted, Rejection>, Vec<Effect>) {
        let answer = match command {
            _ if self.base.log.is_halted() => Err(Rejection::Refused(Refusal::JournalUnusable)),
            Command::Begin { id, version, good, terms } => {
                self.begin(now, Beginning { id, version, good, terms, live_since: None }, by)
            }
            Command::Stage { id, stage, force } => self.stage(now, id, stage, force, by),
            Command::End { id, reason } => self.end(now, id, reason, by),
            Command::Rollback { id, reason, force } => {
                self.roll_back_on_demand(now, id, reason, force, by)
            }
            Command::Approve { id, reason } => self.approve(now, id.as_ref(), reason, by),
            Command::Deny { id, reason } => {
                let denied = self.approvals.deny(&mut self.base.cx(now), id.as_ref(), reason, by);
                if denied.is_ok() {
                    // A yes before it may still wait for the live version.
                    self.check.give_up();
                    // Another rule that fires asks at once.
                    self.decide(now);
                }
                denied
            }
            Command::Pause { span, reason } => {
                self.pauses.begin(&mut self.base.cx(now), span, reason, by)
            }
            Command::Resume { reason } => {
                let resumed = self.pauses.resume(&mut self.base.cx(now), reason, by);
                // What fires already does not wait for the next scrape.
                if resumed.is_ok() {
                    self.decide(now);
                }
                resumed
            }
            Command::Drill { hook, reach } => {
                let begun = self.drills.begin(&mut self.base.cx(now), hook.as_ref(), reach, by);
                let accepted =
                    begun.map(|(id, message)| Accepted { deployment: Some(id), message });
                accepted.map_err(Rejection::from)
            }
        };
        // What was not carried out asks for nothing.
        if answer.is_ok() {
            self.keep_pace(now);
        }
        (answer, self.finish(now))
    }

    /// Replaces the plan; windows and rule states that still mean the same are kept. Not to be
    /// called during a rollback, see [`is_rolling_back`](Guard::is_rolling_back).
    pub fn reload(&mut self, now: Moment, plan: Arc<Plan>, by: Caller) -> Vec<Effect> {
        let rules = plan.rules.len();
        let old = self.plan().clone();
        let suspended = self.warmup.suspended(self.base.read(now));
        let judge = std::mem::replace(&mut self.base.evaluator, Evaluator::new(plan.clone()));
        self.sampling.reload(&old, &plan);
        if old != plan {
            self.bake.reload(&plan, now.at);
        }
        self.rollback.reload(&old, &plan);
        self.base.evaluator = judge.reloaded(plan, now.at);
        if let Some(current) = &self.base.log.state().current {
            // Rules that change back have their baselines again, as they would after a restart.
            self.base.evaluator.freeze(&current.baselines, now.at);
            self.base.evaluator.note_seen(&current.lost);
        }
        self.warmup.reload(&self.base.evaluator, suspended);
        if old != *self.plan() {
            self.stage_gate.start_anew(now.at);
        }
        self.check.give_up();
        if old.deployment.live != self.plan().deployment.live || old.targets != self.plan().targets
        {
            self.watch_live(now);
        }
        self.record(now, DaemonEvent::Reloaded { by, rules });
        outbox::send_open(&mut self.base.log, &self.base.evaluator);
        self.keep_pace(now);
        self.base.log.take_effects()
    }

    /// New rules were refused; the old ones stay.
    pub fn reload_refused(
        &mut self,
        now: Moment,
        by: Caller,
        errors: usize,
        first: String,
    ) -> Vec<Effect> {
        self.record(now, DaemonEvent::ReloadRefused { by, errors, first });
        self.base.log.take_effects()
    }

    /// Begins a deployment whose version is live, whatever is known of it.
    fn begin_by_itself(
        &mut self,
        now: Moment,
        version: Version,
        good: Option<Version>,
        live_since: Option<Instant>,
    ) {
        let terms = Terms { irreversible: false, force: Force::Yes };
        let beginning = Beginning { id: None, version, good, terms, live_since };
        let begun = self.begin(now, beginning, Caller::Guard);
        debug_assert!(begun.is_ok(), "no rollback is under way and the id is new");
    }

    fn begin(
        &mut self,
        now: Moment,
        beginning: Beginning,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let Beginning { id, version, good, terms, live_since } = beginning;
        let id = id.unwrap_or_else(|| self.base.log.state().fresh_id(&version, now.wall));
        if let Some(known) = self.begun_already(&id, &version)? {
            return Ok(known);
        }
        let forced = quarantine::admit(self.base.log.state(), &version, terms.force)?;
        if drills::is_drill(&id) {
            let why = format!("deployment id {id} is one of a drill, take another");
            return Err(Rejection::because(why));
        }
        if self.base.read(now).guarded().is_some() {
            self.record(now, DeploymentEvent::Superseded { by: id.clone() });
        }
        let plan = self.plan().clone();
        let good = good
            .or(plan.deployment.good.clone())
            .or(quarantine::good_by_default(self.base.log.state()));
        let known = quarantine::describe_good(self.base.log.state(), good.as_ref());
        self.rollback.reset();
        self.check.reset();
        let armed = live_since.unwrap_or(now.at);
        let baselines = self.base.evaluator.baselines(armed);
        self.base.evaluator.freeze(&baselines, now.at);
        self.base.evaluator.enter(None, now.at);
        let thin = warmup::thin(&plan, &baselines);
        let paused = self.base.log.state().pause.as_ref().map(|pause| pause.until);
        let paused = paused.map(|until| format!("; PAUSED until {until}")).unwrap_or_default();
        let message = format!("guarding {version} as deployment {id}; {known}{thin}{paused}");
        let event = DeploymentEvent::Begun(Box::new(DeploymentBegun {
            service: plan.deployment.service.clone(),
            version,
            good,
            mode: plan.mode,
            signals: evidence::of_signals(&self.base.evaluator),
            holding: warmup::holding(&self.base.evaluator, live_since),
            baselines,
            irreversible: terms.irreversible,
            forced,
            by: by.clone(),
        }));
        let cx = &mut self.base.cx(now);
        cx.record_for(Some(id.clone()), event);
        self.bake = Bake::begin(cx.read());
        self.warmup.begin(cx, armed);
        self.enter_first(now, by);
        incident::go_along(&mut self.base.cx(now), Milestone::Begin);
        Ok(Accepted { deployment: Some(id), message })
    }

    /// What a pipeline that asks again is told: it did not hear the answer.
    fn begun_already(
        &self,
        id: &DeploymentId,
        version: &Version,
    ) -> Result<Option<Accepted>, Rejection> {
        if let Some(current) = &self.base.log.state().current {
            if current.phase == Phase::RollingBack {
                return Err(Rejection::RollingBack(current.id.clone()));
            }
            if current.phase == Phase::Guarding && current.id == *id && current.version == *version
            {
                let message = format!("deployment {id} is guarded already");
                return Ok(Some(Accepted { deployment: Some(id.clone()), message }));
            }
        }
        if self.base.log.state().knows(id) {
            return Err(Rejection::because(format!(
                "deployment id {id} was used before; at most one rollback runs for an id, so take \
                 another"
            )));
        }
        Ok(None)
    }

    fn end(
        &mut self,
        now: Moment,
        id: Option<DeploymentId>,
        reason: String,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let view = self.base.read(now);
        view.addressed(id.as_ref())?;
        check_reason(&reason)?;
        let deployment = view.addressed_guarded(id.as_ref())?.id.clone();
        self.check.give_up();
        self.record(now, DeploymentEvent::Ended { reason, by });
        let message = format!("deployment {deployment} is not guarded any more");
        Ok(Accepted { deployment: Some(deployment), message })
    }
}

// View.
impl Guard {
    /// What may be seen of the guard now.
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        let plan = self.plan();
        let mut snapshot = Snapshot {
            at: now.wall,
            service: plan.deployment.service.to_string(),
            mode: plan.mode,
            state: self.state(),
            colour: Health::Unknown,
            deployment: self.base.read(now).current().map(|current| self.deployment(current, now)),
            good: self.base.log.state().good.clone(),
            paused: self.pauses.status(now, self.base.log.state()),
            budget: budget::status(self.base.read(now)),
            quarantine: self.base.log.state().quarantine.all(),
            live: self.live.status(plan, now, self.check.is_under_way()),
            targets: (0..plan.targets.len()).map(|target| self.target(target, now)).collect(),
            signals: (0..plan.signals.len())
                .flat_map(|ix| self.base.evaluator.signal_status(SignalIx(ix)))
                .collect(),
            rules: (0..plan.rules.len()).map(|rule| self.rule(RuleIx(rule), now)).collect(),
            journal_ok: self.base.log.halted() != Some(Halt::JournalLost),
            drill: self.last_drill().cloned(),
        };
        snapshot.colour = colour(&snapshot);
        snapshot
    }

    /// The guard's state.
    pub fn state(&self) -> GuardState {
        match &self.base.log.state().current {
            None => GuardState::Idle,
            Some(current) if current.ask.is_some() => GuardState::AwaitingApproval,
            Some(current) => self.state_in(&current.phase),
        }
    }

    fn state_in(&self, phase: &Phase) -> GuardState {
        match phase {
            Phase::Guarding => GuardState::Guarding,
            Phase::RollingBack if self.rollback.is_verifying() => GuardState::Verifying,
            Phase::RollingBack => GuardState::RollingBack,
            Phase::RolledBack => GuardState::RolledBack,
            Phase::Failed(_) => GuardState::RollbackFailed,
            Phase::Baked => GuardState::Baked,
            Phase::Ended(_) => GuardState::Ended,
        }
    }

    /// Where a deployment stands; `None` if it is not known.
    pub fn progress(&self, id: &DeploymentId) -> Option<DeploymentProgress> {
        let phase = self.base.log.state().phase_of(id)?;
        let state =
            if self.deployment_id() == Some(id) { self.state() } else { self.state_in(phase) };
        // Without a journal nothing is decided any more, so nothing is worth waiting for.
        let lost = !state.is_final() && self.base.log.halted() == Some(Halt::JournalLost);
        let why = if lost { Some(JOURNAL_LOST) } else { phase.why() }.map(str::to_owned);
        let is_final = state.is_final() || lost;
        Some(DeploymentProgress { deployment: id.clone(), state, is_final, why })
    }

    /// The current deployment's id.
    pub fn deployment_id(&self) -> Option<&DeploymentId> {
        self.base.log.state().current.as_ref().map(|deployment| &deployment.id)
    }

    fn deployment(&self, current: &Deployment, now: Moment) -> DeploymentStatus {
        let guarded = current.phase == Phase::Guarding;
        let (decided_at, decision) = current.decision.clone().unzip();
        let wall = |at: crate::model::time::Instant| now.wall.after(at.since(now.at));
        let bakes = self.bake.until().filter(|_| guarded);
        let steps = self.rollback.hook().map(|hook| hook.steps.len()).unwrap_or_default();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let running = current.phase == Phase::RollingBack && current.progress.step < steps;
        DeploymentStatus {
            id: current.id.clone(),
            version: current.version.clone(),
            good: current.good.clone(),
            stage: current.stage.clone(),
            stages: self.stage_gate.statuses(self.base.read(now), &self.warmup),
            lost: current.lost.clone(),
            begun: current.begun,
            bakes_at: bakes.map(wall),
            withheld: bakes
                .filter(|bake| *bake <= now.at)
                .and_then(|_| bake::withheld(self.base.read(now), self.warmup.armed())),
            warm_at: self.warmup.deadline().filter(|_| guarded).map(wall),
            decision,
            decided_at,
            irreversible: current.irreversible,
            forced: current.forced,
            approval: self.approvals.status(self.base.read(now)),
            step: running.then_some((current.progress.step + 1, steps)),
            why: current.phase.why().map(str::to_owned),
        }
    }

    fn target(&self, index: usize, now: Moment) -> TargetStatus {
        let (target, sampling) =
            (&self.plan().targets[index], self.sampling.target(TargetIx(index)));
        let last = &sampling.last;
        TargetStatus {
            name: target.name.to_string(),
            url: target.kind.to_string(),
            up: last.at.map(|_| last.failure.is_none()),
            failure: last.failure.clone(),
            age_s: last.at.map(|at| now.at.since(at).as_secs_f64()),
            took_s: last.took.as_secs_f64(),
            samples: last.samples,
            malformed: last.malformed,
            bytes: last.bytes,
            interval_ms: evidence::millis(sampling.interval(target)),
            sharpened: sampling.interval(target) < target.interval,
            pace: sampling.pace,
        }
    }

    fn rule(&self, ix: RuleIx, now: Moment) -> RuleStatus {
        RuleStatus {
            refusal: refusal::in_status(self.base.read(now), &self.warmup, self.live_refusal(), ix),
            ..self.base.evaluator.rule_status(ix, now)
        }
    }
}

impl Guard {
    /// How far a stage of a deployment is.
    ///
    /// # Errors
    /// There is no such stage, or no such deployment.
    pub fn stage_progress(
        &self,
        now: Moment,
        id: &DeploymentId,
        name: &StageName,
    ) -> Result<StageProgress, NoStage> {
        let stages = &self.plan().stages;
        let Some((_, stage)) = self.plan().stage(name) else {
            let known = stages.iter().map(|stage| stage.name.to_string()).collect();
            let unknown = NoStage::Unknown { asked: name.clone(), known };
            return Err(if stages.is_empty() { NoStage::None } else { unknown });
        };
        let progress = self.progress(id).ok_or_else(|| NoStage::Deployment(id.clone()))?;
        let mut stage = self.stage_gate.status(self.base.read(now), &self.warmup, stage);
        if self.deployment_id() != Some(id) {
            (stage.standing, stage.clean_ms) = (StageStanding::Next, 0);
        }
        // While it is rolled back, or people are asked whether to, nobody may go on.
        let goes_on = progress.state == GuardState::Guarding;
        let over = stage.standing.is_over() || stage.standing == StageStanding::NotEntered;
        let is_final = progress.is_final || (goes_on && over);
        // Without a journal nobody may go on, whatever was passed before.
        if goes_on && progress.is_final {
            stage.standing = StageStanding::Watched;
        }
        stage.why = progress.why.or(stage.why);
        Ok(StageProgress { deployment: id.clone(), state: progress.state, is_final, stage })
    }

    /// What those who wait for a stage must be woken for.
    pub fn stage_mark(&self) -> Option<(StageName, StageStanding)> {
        let name = self.base.log.state().current.as_ref()?.stage.as_ref()?;
        Some((name.clone(), stages::standing(self.base.read(Moment::default()), name)))
    }
}
