//! The guard's durable state. It changes only by applying journal entries, live and on replay
//! alike, so what a restarted guard knows is what the guard knew.

use std::collections::VecDeque;

use crate::model::deployment::MAX_ROLLBACKS;
use crate::model::entry::{
    ApprovalEvent, Attempt, AttemptEvent, Caller, Decision, DeploymentBegun, DeploymentEvent,
    Entry, Event, Frozen, LiveEvent, PauseEvent, Refusal, RollbackEvent, RuleEvent, SignalEvidence,
    StageEvent, Trigger,
};
use crate::model::name::{DeploymentId, RuleName, ServiceName, StageName, Version};
use crate::model::time::Timestamp;

use super::alerts::NewsLog;
use super::approval::Ask;
use super::cleared::Clearings;
use super::drills::DrillLog;
use super::pause::Pause;
use super::pending::Owed;
use super::progress::HookProgress;
use super::quarantine::Quarantine;
use super::stage::{Staging, Standing, StrayAttempt};

/// How many deployment ids are remembered, so that none is used twice. Ids that rollguard makes
/// hold the time to the millisecond; a pipeline's own would have to come back after this many.
const MAX_PAST: usize = 10_000;

/// How many entries of one deployment are kept for its report. Steps, attempts and refusals are
/// each bounded far below it; starts, reloads and notices are not, and make room for them.
const MAX_ENTRIES: usize = 512;

/// What the journal says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durable {
    /// The newest deployment, guarded or not.
    pub(crate) current: Option<Deployment>,
    /// The last version that finished its bake.
    pub(crate) good: Option<Version>,
    /// The version of the last deployment that the guard began by itself.
    pub(crate) armed: Option<Version>,
    /// When rollbacks were decided lately, and of which service, the oldest first: no more than
    /// the largest budget asks for.
    pub(crate) rollbacks: VecDeque<(ServiceName, Timestamp)>,
    /// The versions that were rolled back.
    pub(crate) quarantine: Quarantine,
    /// Nothing is rolled back automatically.
    pub(crate) pause: Option<Pause>,
    /// The version that was last known to be live, where changes of it are looked for.
    pub(crate) live: Option<Version>,
    /// Deployments before the current one, and how each ended.
    past: VecDeque<(DeploymentId, Phase)>,
    /// What was and is to be told.
    pub(crate) news: NewsLog,
    /// What must have ended before anything else may be run.
    pub(crate) stray: Option<StrayAttempt>,
    /// What was drilled.
    pub(crate) drills: DrillLog,
}

/// What is known of a deployment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deployment {
    pub(crate) id: DeploymentId,
    pub(crate) service: ServiceName,
    pub(crate) version: Version,
    /// Pinned when it began.
    pub(crate) good: Option<Version>,
    pub(crate) begun: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) before: Vec<SignalEvidence>,
    /// The rules that held when it began.
    pub(crate) holding: Vec<RuleName>,
    /// Frozen when it began.
    pub(crate) baselines: Vec<Frozen>,
    pub(crate) stage: Option<StageName>,
    pub(crate) staging: Staging,
    /// The rules that have had no reading for too long.
    pub(crate) lost: Vec<RuleName>,
    pub(crate) set_aside: Vec<RuleName>,
    pub(crate) refused: Vec<(RuleName, Refusal)>,
    /// The rules of them that do not fire any more.
    pub(crate) cleared: Clearings,
    /// Begun as one that is not rolled back automatically.
    pub(crate) irreversible: bool,
    /// Begun although its version had been rolled back.
    pub(crate) forced: bool,
    /// What people are asked.
    pub(crate) ask: Option<Ask>,
    /// The rules that may not roll it back, because the answer was no.
    pub(crate) denied: Vec<RuleName>,
    /// What hooks are still to tell.
    pub(crate) owed: Owed,
    /// What comparisons with the live version came to.
    pub(crate) checked: Vec<(Option<Version>, Option<Refusal>)>,
    pub(crate) decision: Option<(Timestamp, Decision)>,
    pub(crate) progress: HookProgress,
    /// How many entries concern it, those beyond `entries` included.
    pub(crate) records: u32,
    pub(crate) entries: Vec<Entry>,
}

/// Where a deployment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Guarding,
    RollingBack,
    RolledBack,
    Failed(String),
    Baked,
    Ended(String),
}

impl Durable {
    /// What a journal's entries amount to.
    pub fn replay(entries: &[Entry]) -> Self {
        let mut durable = Self::default();
        entries.iter().for_each(|entry| durable.apply(entry));
        durable
    }

    /// Takes an entry into account.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        self.apply_to_deployments(entry);
        self.drills.apply(entry);
        let concerned = |current: &&Deployment| entry.deployment.as_ref() == Some(&current.id);
        self.news.apply(entry, self.current.as_ref().filter(concerned));
    }

    fn apply_to_deployments(&mut self, entry: &Entry) {
        if let Event::Deployment(DeploymentEvent::Begun(begun)) = &entry.event
            && let Some(id) = &entry.deployment
        {
            if begun.by == Caller::Guard {
                self.armed = Some(begun.version.clone());
            }
            self.begin(id.clone(), entry.at, begun);
        }
        if let Event::Pause(event) = &entry.event {
            self.pause = Pause::after(entry.at, event);
        }
        self.clear_stray(entry);
        if let Event::Live(LiveEvent::Seen { version }) = &entry.event {
            self.live = Some(version.clone());
        }
        let Some(current) = &mut self.current else { return };
        if entry.deployment.as_ref() != Some(&current.id) {
            return;
        }
        current.keep(entry);
        if let Event::Deployment(DeploymentEvent::Baked { version }) = &entry.event {
            self.good = Some(version.clone());
            self.quarantine.lift(version);
        }
        if let Event::Rollback(RollbackEvent::Decided(decision)) = &entry.event {
            self.quarantine.add(&current.id, entry.at, decision);
            self.rollbacks.push_back((current.service.clone(), entry.at));
            if self.rollbacks.len() > MAX_ROLLBACKS as usize {
                self.rollbacks.pop_front();
            }
        }
        // A version that is rolled back is not good, even if it baked before.
        if let Event::Rollback(RollbackEvent::Decided(decision)) = &entry.event
            && self.good.as_ref() == Some(&decision.version)
        {
            self.good = decision.good.clone().filter(|good| *good != decision.version);
        }
        if let Some(attempt) = current.staging.left_behind(&entry.event) {
            self.stray = Some(StrayAttempt { deployment: current.id.clone(), attempt });
        }
        current.apply(entry);
    }

    fn clear_stray(&mut self, entry: &Entry) {
        if let (Some(stray), Event::Attempt(AttemptEvent::Outcome { attempt, .. })) =
            (&self.stray, &entry.event)
            && entry.deployment.as_ref() == Some(&stray.deployment)
            && *attempt == stray.attempt
        {
            self.stray = None;
        }
    }

    fn begin(&mut self, id: DeploymentId, at: Timestamp, begun: &DeploymentBegun) {
        let before = self.current.take().map(|current| (current.id, current.phase));
        self.past.extend(before);
        if self.past.len() > MAX_PAST {
            self.past.pop_front();
        }
        self.current = Some(Deployment {
            id,
            service: begun.service.clone(),
            version: begun.version.clone(),
            good: begun.good.clone(),
            begun: at,
            phase: Phase::Guarding,
            before: begun.signals.clone(),
            holding: begun.holding.clone(),
            baselines: begun.baselines.clone(),
            stage: None,
            staging: Staging::default(),
            lost: Vec::new(),
            set_aside: Vec::new(),
            refused: Vec::new(),
            cleared: Clearings::default(),
            irreversible: begun.irreversible,
            forced: begun.forced,
            ask: None,
            denied: Vec::new(),
            owed: Owed::Nothing,
            checked: Vec::new(),
            decision: None,
            progress: HookProgress::default(),
            records: 0,
            entries: Vec::new(),
        });
    }

    /// Whether a deployment of that id was ever begun.
    pub(crate) fn knows(&self, id: &DeploymentId) -> bool {
        self.phase_of(id).is_some()
    }

    /// Where a deployment stands, or how it ended.
    pub(crate) fn phase_of(&self, id: &DeploymentId) -> Option<&Phase> {
        let current = self.current.as_ref().map(|current| (&current.id, &current.phase));
        let past = self.past.iter().rev().map(|(id, phase)| (id, phase));
        current.into_iter().chain(past).find(|(known, _)| *known == id).map(|(_, phase)| phase)
    }
}

impl Deployment {
    fn apply(&mut self, entry: &Entry) {
        self.records = self.records.saturating_add(1);
        self.note_owed(&entry.event);
        if self.phase == Phase::RollingBack {
            self.progress.pass(entry.at);
        }
        self.staging.apply(self.stage.as_ref(), entry.at, &entry.event);
        match &entry.event {
            Event::Deployment(event) => self.apply_deployment(event),
            Event::Rule(event) => self.apply_rule(event),
            Event::Approval(event) => self.apply_approval(entry.at, event),
            Event::Rollback(event) => self.apply_rollback(entry.at, event),
            Event::Attempt(event) => self.apply_attempt(event),
            Event::Stage(StageEvent::Staged { stage, .. }) => self.stage = Some(stage.clone()),
            // One that is told of once in each pause.
            Event::Pause(PauseEvent::Paused { .. }) => {
                self.refused.retain(|(_, why)| *why != Refusal::Paused);
            }
            Event::Live(LiveEvent::Checked { live, refusal, .. }) => {
                self.checked.push((live.version().cloned(), *refusal));
            }
            Event::Daemon(_)
            | Event::Stage(_)
            | Event::Pause(_)
            | Event::Live(_)
            | Event::Drill(_)
            | Event::Notice(_) => {}
        }
    }

    fn apply_deployment(&mut self, event: &DeploymentEvent) {
        match event {
            DeploymentEvent::Begun(_) => {}
            DeploymentEvent::Baked { .. } => self.phase = Phase::Baked,
            DeploymentEvent::Ended { reason, .. } => self.end(reason.clone()),
            DeploymentEvent::Superseded { by } => self.end(format!("superseded by {by}")),
        }
    }

    fn apply_rule(&mut self, event: &RuleEvent) {
        match event {
            RuleEvent::SetAside { evidence } => self.set_aside.push(evidence.rule.clone()),
            RuleEvent::Refused { refusal, evidence } => self.refuse(&evidence.rule, *refusal),
            RuleEvent::Cleared { rule } => self.cleared.clear(rule),
            RuleEvent::TelemetryLost { rules, .. } => self.lost.extend(rules.iter().cloned()),
            RuleEvent::TelemetryBack { rules } => self.lost.retain(|rule| !rules.contains(rule)),
        }
    }

    fn apply_approval(&mut self, at: Timestamp, event: &ApprovalEvent) {
        match event {
            ApprovalEvent::Asked { decision, until, default } => {
                let decision = (**decision).clone();
                self.ask = Some(Ask { at, decision, until: *until, default: *default });
            }
            ApprovalEvent::Denied { rule, .. } => {
                self.ask = None;
                self.denied.push(rule.clone());
            }
            ApprovalEvent::DenialLifted { rule } => self.denied.retain(|denied| denied != rule),
            ApprovalEvent::Lapsed { .. } => self.ask = None,
        }
    }

    fn apply_rollback(&mut self, at: Timestamp, event: &RollbackEvent) {
        match event {
            RollbackEvent::Decided(decision) => self.decide(at, (**decision).clone()),
            RollbackEvent::Cured { .. } => self.phase = Phase::RolledBack,
            RollbackEvent::Failed { why, .. } => self.phase = Phase::Failed(why.clone()),
        }
    }

    fn apply_attempt(&mut self, event: &AttemptEvent) {
        match event {
            AttemptEvent::Intent { attempt, .. } if self.rolls_back_with(attempt) => {
                self.progress.start(attempt.number);
            }
            AttemptEvent::Outcome { attempt, result, took_ms, .. }
                if self.rolls_back_with(attempt) =>
            {
                self.progress.settle(result, *took_ms);
            }
            AttemptEvent::Intent { .. } | AttemptEvent::Outcome { .. } => {}
        }
    }

    fn decide(&mut self, at: Timestamp, decision: Decision) {
        (self.ask, self.phase) = (None, Phase::RollingBack);
        self.progress = HookProgress::begun(at);
        self.decision = Some((at, decision));
    }

    fn refuse(&mut self, rule: &RuleName, refusal: Refusal) {
        if !self.has_refused(rule, refusal) {
            self.refused.push((rule.clone(), refusal));
        }
        self.cleared.fire(rule, refusal);
    }

    fn note_owed(&mut self, event: &Event) {
        let mut owed = std::mem::take(&mut self.owed);
        owed.apply(event, |rule, refusal| !self.has_refused(rule, refusal));
        self.owed = owed;
    }

    fn end(&mut self, why: String) {
        self.ask = None;
        self.phase = Phase::Ended(why);
    }

    /// Keeps an entry for the report. Whatever the guard's own life adds over the months, the
    /// deployment's story stays whole.
    fn keep(&mut self, entry: &Entry) {
        if self.entries.len() >= MAX_ENTRIES {
            let aside = self.entries.iter().position(|kept| !kept.meaning().is_story);
            let Some(aside) = aside.filter(|_| entry.meaning().is_story) else { return };
            self.entries.remove(aside);
        }
        self.entries.push(entry.clone());
    }

    /// What a rollback was decided for.
    pub(crate) fn trigger(&self) -> Option<&Trigger> {
        self.decision.as_ref().map(|(_, decision)| &decision.trigger)
    }

    fn rolls_back_with(&self, attempt: &Attempt) -> bool {
        let decision = self.decision.as_ref().filter(|_| attempt.entering.is_none());
        decision.is_some_and(|(_, decision)| decision.hook == attempt.hook)
    }

    /// Whether the deployment is in a stage, or its hook is about to bring it there.
    pub(crate) fn is_in_stage(&self, stage: &StageName) -> bool {
        let entry = self.staging.entry.as_ref().map(|entry| &entry.standing);
        self.stage.as_ref() == Some(stage) && !matches!(entry, Some(Standing::Failed(_)))
    }

    /// Whether a refusal of this rule for this reason is on record.
    pub(crate) fn has_refused(&self, rule: &RuleName, refusal: Refusal) -> bool {
        self.refused.iter().any(|(known, why)| known == rule && *why == refusal)
    }
}
