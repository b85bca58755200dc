//! Orders: a hook's steps with everything filled in. What reaches a hook comes from the
//! configuration, the deployment and the person who asked; never from anything sampled.

use std::time::Duration;

use serde::Serialize;

use crate::model::entry::{Attempt, RuleEvidence, SignalEvidence, Trigger};
use crate::model::hook::{Hook, Placeholder, Step, Template};
use crate::model::name::{DeploymentId, ServiceName, StageName, Version};
use crate::model::time::Timestamp;

use crate::engine::durable::drills::DrillStatus;
use crate::engine::durable::state::Deployment;
use crate::engine::effect::{Notice, NoticeStep, Order, Rerun};

/// Attempt numbers that one notice may use up; no step may be tried that often.
const NOTICE_STRIDE: u32 = 1000;

/// Attempt numbers from here on are those of notices that no record precedes.
const WITHOUT_JOURNAL: u32 = 1 << 31;

/// Why a hook is run, as its standard input says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Occasion {
    /// To roll back.
    Rollback,
    /// To enter a stage.
    Enter,
    /// To tell people that a stage was not entered.
    StageNotEntered,
    /// To tell people that a stage has not passed in time.
    StageOverdue,
    /// To go along: a deployment begins.
    OnBegin,
    /// To go along: it has entered a stage.
    OnStage,
    /// To go along: it is to be rolled back.
    OnTrip,
    /// To go along: its version counts as good.
    OnCommit,
    /// The same, but it is only a drill: what a hook does must not depend on the word.
    #[serde(rename = "rollback")]
    Drill,
    /// To tell people that a rule fires and nothing is done.
    Refused,
    /// To ask people whether to roll back.
    AwaitingApproval,
    /// To tell people that the answer was no, or that there was none that could be done.
    Denied,
    /// To tell people that nothing is rolled back automatically for a while.
    Paused,
    /// To tell people that automatic rollbacks are on again.
    Resumed,
    /// To tell people that a rollback failed.
    RollbackFailed,
    /// To tell people that rules see nothing any more.
    TelemetryLost,
    /// To tell people that the journal cannot be written and nothing is done any more.
    JournalLost,
}

/// The JSON document on a hook's standard input.
#[derive(Serialize)]
struct HookDocument<'a> {
    occasion: Occasion,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    drill: bool,
    at: Timestamp,
    deployment: &'a str,
    service: &'a str,
    version: &'a str,
    good: Option<&'a str>,
    hook: &'a str,
    step: u32,
    attempt: u32,
    key: &'a str,
    reason: &'a str,
    rule: Option<&'a RuleEvidence>,
    trigger: Option<&'a Trigger>,
    signals: &'a [SignalEvidence],
}

/// What a hook is run for: a deployment, or what a drill puts in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HookSubject<'a> {
    id: &'a DeploymentId,
    service: &'a ServiceName,
    version: &'a Version,
    good: Option<&'a Version>,
    stage: Option<&'a StageName>,
    /// How many entries concern it.
    records: u32,
}

impl<'a> From<&'a Deployment> for HookSubject<'a> {
    fn from(of: &'a Deployment) -> Self {
        Self {
            id: &of.id,
            service: &of.service,
            version: &of.version,
            good: of.good.as_ref(),
            stage: of.stage.as_ref(),
            records: of.records,
        }
    }
}

impl<'a> From<&'a DrillStatus> for HookSubject<'a> {
    fn from(of: &'a DrillStatus) -> Self {
        let DrillStatus { drill: id, service, version, good, .. } = of;
        Self { id, service, version, good: Some(good), stage: None, records: 0 }
    }
}

/// What a hook is told.
pub(crate) struct HookContext<'a> {
    pub(crate) deployment: HookSubject<'a>,
    pub(crate) occasion: Occasion,
    pub(crate) at: Timestamp,
    pub(crate) reason: &'a str,
    pub(crate) rule: Option<&'a RuleEvidence>,
    pub(crate) trigger: Option<&'a Trigger>,
    pub(crate) signals: &'a [SignalEvidence],
}

impl HookContext<'_> {
    /// One attempt at a step.
    pub(crate) fn order(&self, hook: &Hook, step: &Step, attempt: Attempt) -> Order {
        let key = attempt.key(self.deployment.id);
        let number = attempt.number.to_string();
        let fill = |template: &Template| template.fill(|p| self.value(p, &key, &number));
        let action = step.action.map(&fill);
        let rerun = if step.idempotent { Rerun::Safe } else { Rerun::Never };
        let env = Placeholder::ALL.map(|(_, placeholder)| {
            (variable(placeholder), self.value(placeholder, &key, &number).to_owned())
        });
        let document = self.document(hook, &attempt, &key);
        let deployment = self.deployment.id.clone();
        let (timeout, env) = (step.timeout, env.into());
        Order { deployment, attempt, action, rerun, timeout, env, document }
    }

    /// The whole hook as a notice. Its attempts are numbered after the record that it follows, so
    /// that no two notices of a deployment share one: an attempt can start only once. A record
    /// that the journal refused is forgotten by the next start, so without a journal they are
    /// numbered by the time.
    pub(crate) fn notice(&self, hook: &Hook) -> Notice {
        let first = match self.occasion {
            Occasion::Rollback
            | Occasion::Drill
            | Occasion::Refused
            | Occasion::AwaitingApproval
            | Occasion::Denied
            | Occasion::Paused
            | Occasion::Resumed
            | Occasion::RollbackFailed
            | Occasion::Enter
            | Occasion::StageNotEntered
            | Occasion::StageOverdue
            | Occasion::OnBegin
            | Occasion::OnStage
            | Occasion::OnTrip
            | Occasion::OnCommit
            | Occasion::TelemetryLost => {
                self.deployment.records.saturating_mul(NOTICE_STRIDE).min(WITHOUT_JOURNAL - 1)
            }
            Occasion::JournalLost => WITHOUT_JOURNAL | numbered_by_time(self.at),
        };
        let steps = hook.steps.iter().enumerate().map(|(place, step)| {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            let attempt = Attempt::of(hook.name.clone(), place, 1);
            let mut order = self.order(hook, step, attempt);
            order.attempt.number = order.attempt.number.saturating_add(first);
            NoticeStep { order, attempts: step.attempts, backoff: step.backoff }
        });
        let deployment = self.deployment.id.clone();
        let (hook, timeout) = (hook.name.clone(), hook.timeout);
        Notice { hook, deployment, steps: steps.collect(), timeout }
    }

    fn value<'a>(&'a self, placeholder: Placeholder, key: &'a str, number: &'a str) -> &'a str {
        match placeholder {
            Placeholder::Service => self.deployment.service.as_str(),
            Placeholder::Version => self.deployment.version.as_str(),
            Placeholder::Good => self.deployment.good.map_or("", Version::as_str),
            Placeholder::Deployment => self.deployment.id.as_str(),
            Placeholder::Stage => self.deployment.stage.map_or("", StageName::as_str),
            Placeholder::Rule => self.rule.map_or("", |rule| rule.rule.as_str()),
            Placeholder::Reason => self.reason,
            Placeholder::Key => key,
            Placeholder::Attempt => number,
        }
    }

    fn document(&self, hook: &Hook, attempt: &Attempt, key: &str) -> String {
        let document = HookDocument {
            occasion: self.occasion,
            drill: self.occasion == Occasion::Drill,
            at: self.at,
            deployment: self.deployment.id.as_str(),
            service: self.deployment.service.as_str(),
            version: self.deployment.version.as_str(),
            good: self.deployment.good.map(Version::as_str),
            hook: hook.name.as_str(),
            step: attempt.step,
            attempt: attempt.number,
            key,
            reason: self.reason,
            rule: self.rule,
            trigger: self.trigger,
            signals: self.signals,
        };
        serde_json::to_string(&document).expect("plain data with string keys always serializes")
    }
}

/// Another number for every millisecond: a guard that loses its journal again right after a restart
/// must be heard again. The numbers come back after 35 minutes, so two losses of one deployment
/// share one only where they are whole periods apart to the millisecond.
fn numbered_by_time(at: Timestamp) -> u32 {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    let number = millis * u64::from(NOTICE_STRIDE) % u64::from(WITHOUT_JOURNAL);
    u32::try_from(number).expect("it is less than a number of 32 bits")
}

const fn variable(placeholder: Placeholder) -> &'static str {
    match placeholder {
        Placeholder::Service => "ROLLGUARD_SERVICE",
        Placeholder::Version => "ROLLGUARD_VERSION",
        Placeholder::Good => "ROLLGUARD_GOOD",
        Placeholder::Deployment => "ROLLGUARD_DEPLOYMENT",
        Placeholder::Stage => "ROLLGUARD_STAGE",
        Placeholder::Rule => "ROLLGUARD_RULE",
        Placeholder::Reason => "ROLLGUARD_REASON",
        Placeholder::Key => "ROLLGUARD_KEY",
        Placeholder::Attempt => "ROLLGUARD_ATTEMPT",
    }
}

impl Order {
    /// The order, to be over within `left` where the whole hook has no more time.
    pub(crate) fn within(mut self, left: Option<Duration>) -> Self {
        let Some(left) = left else { return self };
        self.timeout = self.timeout.min(left);
        self.action.limit(left);
        self
    }
}
