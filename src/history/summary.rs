//! One deployment in brief: what a history shows of it and what statistics count. It is small, so
//! that the deployments of decades fit into memory. It must never state what is not recorded.

use serde::Serialize;

use crate::model::deployment::Mode;
use crate::model::entry::{
    ApprovalEvent, Attempt, AttemptEvent, Caller, Decision, DeploymentEvent, Event, Refusal,
    RollbackEvent, RuleEvent, StageEvent, Trigger,
};
use crate::model::name::{DeploymentId, HookName, RuleName, ServiceName, StageName, Version};
use crate::model::time::Timestamp;
use crate::model::words::words;

use super::span::between;

/// How many rules are named for one reason. More is a list that nobody reads; `count` counts on.
const MAX_RULES: usize = 8;

/// A deployment in brief. A time that the journal does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: DeploymentId,
    /// The service.
    pub service: ServiceName,
    /// The version that is judged.
    pub version: Version,
    /// The version to go back to, where one was known.
    pub good: Option<Version>,
    /// The mode when it began.
    pub mode: Mode,
    /// Who began it.
    pub by: Caller,
    /// The stage that it was in last.
    pub stage: Option<StageName>,
    /// When it began.
    pub begun: Timestamp,
    /// How it ended, or that it has not.
    pub ending: DeploymentOutcome,
    /// Why it ended so: a person's reason, why the rollback failed, the deployment that took over.
    pub why: Option<String>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When its version counted as good, also where it was rolled back later.
    pub baked: Option<Timestamp>,
    /// Who or what decided to roll back.
    pub cause: Option<Cause>,
    /// The hook that rolls back.
    pub hook: Option<HookName>,
    /// When the rule that decided began to hold.
    pub since: Option<Timestamp>,
    /// When it was decided.
    pub decided: Option<Timestamp>,
    /// How many attempts at steps of the rollback were started.
    pub attempts: u32,
    /// When the newest outcome of a step was recorded.
    pub stepped: Option<Timestamp>,
    /// When the cure was seen.
    pub cured: Option<Timestamp>,
    /// What was refused, by reason.
    pub refusals: Vec<Refused>,
    /// The rules that were set aside, because they held before it began.
    pub set_aside: Vec<RuleName>,
    /// How often rules lost their readings.
    pub telemetry_lost: u32,
}

words! {
    /// How a deployment ended.
    pub enum DeploymentOutcome {
        /// It has not: it is guarded.
        Guarding = "guarding",
        /// It has not: it is being rolled back.
        RollingBack = "rolling back",
        /// It was rolled back and the cure was seen.
        RolledBack = "rolled back",
        /// The rollback did not help or could not be done.
        RollbackFailed = "rollback failed",
        /// It survived its bake.
        Baked = "baked",
        /// Guarding ended without a verdict.
        Ended = "ended",
        /// A newer deployment took its place before there was a verdict.
        Superseded = "superseded",
    }
}

/// Who or what decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A rule.
    Rule {
        /// Its name.
        name: RuleName,
        /// Its condition as written.
        when: String,
    },
    /// A person.
    Person {
        /// Their reason.
        reason: String,
        /// Who asked.
        by: Caller,
    },
}

/// What was refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The reason.
    pub reason: Refusal,
    /// How often: a rule is refused for a reason once in a deployment.
    pub count: u32,
    /// The first rules that were refused for it.
    pub rules: Vec<RuleName>,
}

impl Summary {
    /// The deployment that an event begins; `None`: it begins none.
    pub(super) fn begun(at: Timestamp, id: &DeploymentId, event: &Event) -> Option<Self> {
        let Event::Deployment(DeploymentEvent::Begun(begun)) = event else { return None };
        Some(Self {
            id: id.clone(),
            service: begun.service.clone(),
            version: begun.version.clone(),
            good: begun.good.clone(),
            mode: begun.mode,
            by: begun.by.clone(),
            stage: None,
            begun: at,
            ending: DeploymentOutcome::Guarding,
            why: None,
            ended: None,
            baked: None,
            cause: None,
            hook: None,
            since: None,
            decided: None,
            attempts: 0,
            stepped: None,
            cured: None,
            refusals: Vec::new(),
            set_aside: Vec::new(),
            telemetry_lost: 0,
        })
    }

    /// Applies an event of this deployment. The kinds that are not named change nothing here.
    pub(super) fn apply(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::Rollback(RollbackEvent::Decided(decision)) => self.decide(at, decision),
            Event::Attempt(AttemptEvent::Intent { attempt, .. }) if self.is_rollback(attempt) => {
                self.attempts += 1
            }
            Event::Attempt(AttemptEvent::Outcome { attempt, .. }) if self.is_rollback(attempt) => {
                self.stepped = Some(at)
            }
            Event::Rollback(RollbackEvent::Cured { .. }) => {
                self.cured = Some(at);
                self.end(at, DeploymentOutcome::RolledBack, None);
            }
            Event::Rollback(RollbackEvent::Failed { why, .. }) => {
                self.end(at, DeploymentOutcome::RollbackFailed, Some(why.clone()))
            }
            Event::Deployment(DeploymentEvent::Baked { .. }) => {
                self.baked = Some(at);
                self.end(at, DeploymentOutcome::Baked, None);
            }
            Event::Deployment(DeploymentEvent::Ended { reason, .. }) => {
                self.end(at, DeploymentOutcome::Ended, Some(reason.clone()))
            }
            Event::Deployment(DeploymentEvent::Superseded { by }) => {
                self.end(at, DeploymentOutcome::Superseded, Some(by.to_string()))
            }
            Event::Rule(RuleEvent::Refused { refusal, evidence }) => {
                self.refuse(*refusal, &evidence.rule)
            }
            Event::Approval(ApprovalEvent::Denied { rule, .. }) => {
                self.refuse(Refusal::Denied, rule)
            }
            Event::Rule(RuleEvent::SetAside { evidence }) => {
                self.set_aside.push(evidence.rule.clone())
            }
            Event::Rule(RuleEvent::TelemetryLost { .. }) => self.telemetry_lost += 1,
            Event::Stage(StageEvent::Staged { stage, .. }) => self.stage = Some(stage.clone()),
            Event::Daemon(_)
            | Event::Deployment(_)
            | Event::Stage(_)
            | Event::Rule(_)
            | Event::Approval(_)
            | Event::Pause(_)
            | Event::Live(_)
            | Event::Attempt(_)
            | Event::Drill(_)
            | Event::Notice(_) => {}
        }
    }

    fn decide(&mut self, at: Timestamp, decision: &Decision) {
        self.decided = Some(at);
        self.hook = Some(decision.hook.clone());
        self.since = decision.trigger.rule().and_then(|rule| rule.since);
        self.cause = Some(match &decision.trigger {
            Trigger::Rule(rule) => Cause::Rule { name: rule.rule.clone(), when: rule.when.clone() },
            Trigger::Person { reason, by } => {
                Cause::Person { reason: reason.clone(), by: by.clone() }
            }
        });
        // A person may roll back a deployment that has baked or ended, and reopens it by that.
        (self.ending, self.why, self.ended) = (DeploymentOutcome::RollingBack, None, None);
    }

    fn end(&mut self, at: Timestamp, ending: DeploymentOutcome, why: Option<String>) {
        (self.ending, self.why, self.ended) = (ending, why, Some(at));
    }

    fn refuse(&mut self, reason: Refusal, rule: &RuleName) {
        match self.refusals.iter_mut().find(|refused| refused.reason == reason) {
            Some(refused) => {
                refused.count += 1;
                if refused.rules.len() < MAX_RULES {
                    refused.rules.push(rule.clone());
                }
            }
            None => self.refusals.push(Refused { reason, count: 1, rules: vec![rule.clone()] }),
        }
    }

    fn is_rollback(&self, attempt: &Attempt) -> bool {
        self.hook.as_ref() == Some(&attempt.hook) && attempt.entering.is_none()
    }

    /// Milliseconds from when the deciding rule began to hold to the decision.
    pub fn detected_ms(&self) -> Option<u64> {
        between(self.since?, self.decided?)
    }

    /// Milliseconds from the beginning of the deployment to the decision.
    pub fn decided_ms(&self) -> Option<u64> {
        between(self.begun, self.decided?)
    }

    /// Milliseconds from the decision to the outcome of the last step, of a rollback that helped:
    /// of another the journal does not tell which step was to be the last.
    pub fn rolled_back_ms(&self) -> Option<u64> {
        self.cured?;
        between(self.decided?, self.stepped?)
    }

    /// Milliseconds from the decision to the sight of the cure.
    pub fn cured_ms(&self) -> Option<u64> {
        between(self.decided?, self.cured?)
    }

    /// Milliseconds from when the deciding rule began to hold to the sight of the cure.
    pub fn recovered_ms(&self) -> Option<u64> {
        between(self.since?, self.cured?)
    }

    /// Milliseconds from the beginning to the end.
    pub fn took_ms(&self) -> Option<u64> {
        between(self.begun, self.ended?)
    }
}
