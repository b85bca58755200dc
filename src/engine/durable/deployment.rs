//! A deployment as the journal knows it: what it began with and what became of it. It changes only
//! by applying entries.

use crate::model::deployment::Unanswered;
use crate::model::entry::{
    ApprovalEvent, Attempt, AttemptEvent, Decision, DeploymentBegun, DeploymentEvent, Entry, Event,
    Frozen, LiveEvent, NoticeEvent, PauseEvent, Refusal, RollbackEvent, RuleEvent, RuleEvidence,
    SignalEvidence, StageEvent, Trigger,
};
use crate::model::name::{DeploymentId, RuleName, ServiceName, StageName, Version};
use crate::model::time::Timestamp;

use super::cleared::Clearings;
use super::progress::HookProgress;
use super::stage::{Staging, Standing};

/// How many entries of one deployment are kept for its report. Steps, attempts and refusals are
/// each bounded far below it; starts, reloads and notices are not, and make room for them.
const MAX_ENTRIES: usize = 512;

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

impl Phase {
    /// Why the deployment failed or ended.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Failed(why) | Self::Ended(why) => Some(why),
            Self::Guarding | Self::RollingBack | Self::RolledBack | Self::Baked => None,
        }
    }
}

/// What people are asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) at: Timestamp,
    /// What would be done.
    pub(crate) decision: Decision,
    /// When it is too late to answer.
    pub(crate) until: Timestamp,
    /// What is done then.
    pub(crate) default: Unanswered,
}

/// What hooks were still to tell people when the guard died: the newest of it, as whoever is told
/// of that looks. It is told again at the next start, so that a death between a record and its page
/// is not silence. Told twice is better than never; what is on record as told is never told again.
/// Channels keep account of their own, in `alerts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Nothing: it is on record that they were told, or there is nothing to tell any more.
    Nothing,
    /// The rollback failed, and why.
    Failure(String),
    /// Nothing is done for a rule, whose condition this is.
    Refusal(RuleName, String),
}

impl Ask {
    /// The rule that asks.
    pub(crate) fn rule(&self) -> Option<&RuleEvidence> {
        self.decision.trigger.rule()
    }
}

impl Deployment {
    /// A deployment that begins.
    pub(super) fn new(id: DeploymentId, at: Timestamp, begun: &DeploymentBegun) -> Self {
        let begun = begun.clone();
        Self {
            id,
            service: begun.service,
            version: begun.version,
            good: begun.good,
            begun: at,
            phase: Phase::Guarding,
            before: begun.signals,
            holding: begun.holding,
            baselines: begun.baselines,
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
        }
    }

    /// Takes an entry into account. Returns the attempt that it leaves behind.
    pub(super) fn apply(&mut self, entry: &Entry) -> Option<Attempt> {
        self.keep(entry);
        let left_behind = self.staging.left_behind(&entry.event);
        self.records = self.records.saturating_add(1);
        if self.phase == Phase::RollingBack {
            self.progress.pass(entry.at);
        }
        self.staging.apply(self.stage.as_ref(), entry.at, &entry.event);
        match &entry.event {
            Event::Deployment(event) => self.apply_deployment(event),
            Event::Rule(event) => self.apply_rule(event),
            Event::Approval(event) => self.apply_approval(entry.at, event),
            Event::Rollback(event) => self.apply_rollback(entry.at, event),
            Event::Attempt(event) if self.rolls_back_with(event) => self.progress.apply(event),
            Event::Stage(StageEvent::Staged { stage, .. }) => self.stage = Some(stage.clone()),
            // One that is told of once in each pause.
            Event::Pause(PauseEvent::Paused { .. }) => {
                self.refused.retain(|(_, why)| *why != Refusal::Paused);
            }
            Event::Live(LiveEvent::Checked { live, refusal, .. }) => {
                self.checked.push((live.version().cloned(), *refusal));
            }
            Event::Notice(NoticeEvent::Notified { failure: None, .. }) => {
                self.owed = Owed::Nothing;
            }
            Event::Daemon(_)
            | Event::Stage(_)
            | Event::Pause(_)
            | Event::Live(_)
            | Event::Attempt(_)
            | Event::Drill(_)
            | Event::Notice(_) => {}
        }
        left_behind
    }

    fn apply_deployment(&mut self, event: &DeploymentEvent) {
        self.phase = match event {
            DeploymentEvent::Begun(_) => return,
            DeploymentEvent::Baked { .. } => Phase::Baked,
            DeploymentEvent::Ended { reason, .. } => Phase::Ended(reason.clone()),
            DeploymentEvent::Superseded { by } => Phase::Ended(format!("superseded by {by}")),
        };
        self.owed = Owed::Nothing;
        if self.phase != Phase::Baked {
            self.ask = None;
        }
    }

    fn apply_rule(&mut self, event: &RuleEvent) {
        match event {
            RuleEvent::SetAside { evidence } => self.set_aside.push(evidence.rule.clone()),
            RuleEvent::Refused { refusal, evidence } => self.refuse(evidence, *refusal),
            RuleEvent::Cleared { rule } => {
                if matches!(&self.owed, Owed::Refusal(owed, _) if owed == rule) {
                    self.owed = Owed::Nothing;
                }
                self.cleared.clear(rule);
            }
            RuleEvent::TelemetryLost { rules, .. } => self.lost.extend(rules.iter().cloned()),
            RuleEvent::TelemetryBack { rules } => self.lost.retain(|rule| !rules.contains(rule)),
        }
    }

    fn apply_approval(&mut self, at: Timestamp, event: &ApprovalEvent) {
        self.ask = match event {
            ApprovalEvent::Asked { decision, until, default } => {
                let decision = (**decision).clone();
                Some(Ask { at, decision, until: *until, default: *default })
            }
            ApprovalEvent::Denied { rule, .. } => {
                self.denied.push(rule.clone());
                None
            }
            ApprovalEvent::DenialLifted { rule } => {
                return self.denied.retain(|denied| denied != rule);
            }
            ApprovalEvent::Lapsed { .. } => None,
        };
    }

    fn apply_rollback(&mut self, at: Timestamp, event: &RollbackEvent) {
        match event {
            RollbackEvent::Decided(decision) => {
                (self.ask, self.phase, self.owed) = (None, Phase::RollingBack, Owed::Nothing);
                self.progress = HookProgress::begun(at);
                self.decision = Some((at, (**decision).clone()));
            }
            RollbackEvent::Cured { .. } => self.phase = Phase::RolledBack,
            RollbackEvent::Failed { why, .. } => {
                self.owed = Owed::Failure(why.clone());
                self.phase = Phase::Failed(why.clone());
            }
        }
    }

    fn refuse(&mut self, evidence: &RuleEvidence, refusal: Refusal) {
        let rule = &evidence.rule;
        if !self.has_refused(rule, refusal) {
            self.refused.push((rule.clone(), refusal));
            if refusal != Refusal::Observing {
                self.owed = Owed::Refusal(rule.clone(), evidence.when.clone());
            }
        }
        self.cleared.fire(rule, refusal);
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

    fn rolls_back_with(&self, event: &AttemptEvent) -> bool {
        let (AttemptEvent::Intent { attempt, .. } | AttemptEvent::Outcome { attempt, .. }) = event;
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
