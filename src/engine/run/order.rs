//! Orders: a hook's steps with everything filled in. What reaches a hook comes from the
//! configuration, the deployment and the person who asked; never from anything sampled.

use std::time::Duration;

use serde::Serialize;

use crate::model::entry::{Attempt, RuleEvidence, SignalEvidence, Trigger};
use crate::model::hook::{Hook, Placeholder, Step, Template};
use crate::model::name::{DeploymentId, ServiceName, StageName, Version};
use crate::model::time::Timestamp;

use crate::engine::durable::deployment::Deployment;
use crate::engine::durable::drills::DrillStatus;
use crate::engine::effect::{Notice, NoticeStep, Order, Rerun};

/// Attempt numbers that one notice may use up; no step may be tried that often.
const NOTICE_STRIDE: u32 = 1000;

/// Attempt numbers from here on are those of notices that no record precedes.
const WITHOUT_JOURNAL: u32 = 1 << 31;

/// What the hook of a drill gets as the reason.
const DRILL: &str = "drill";

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

/// What a hook is told: a deployment, or what a drill puts in its place, and why it is run. It is
/// also the JSON document on a step's standard input.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct HookContext<'a> {
    pub(crate) occasion: Occasion,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) drill: bool,
    pub(crate) at: Timestamp,
    pub(crate) deployment: &'a DeploymentId,
    pub(crate) service: &'a ServiceName,
    pub(crate) version: &'a Version,
    pub(crate) good: Option<&'a Version>,
    /// The attempt; it is filled in for each order.
    pub(crate) hook: &'a str,
    pub(crate) step: u32,
    pub(crate) attempt: u32,
    pub(crate) key: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) rule: Option<&'a RuleEvidence>,
    pub(crate) trigger: Option<&'a Trigger>,
    pub(crate) signals: &'a [SignalEvidence],
    #[serde(skip)]
    pub(crate) stage: Option<&'a StageName>,
    /// How many entries concern the deployment.
    #[serde(skip)]
    pub(crate) records: u32,
}

impl<'a> HookContext<'a> {
    /// What a hook is told of a deployment, without a reason and readings.
    pub(crate) fn of(of: &'a Deployment, occasion: Occasion, at: Timestamp) -> Self {
        let (trigger, stage, records) = (of.trigger(), of.stage.as_ref(), of.records);
        let (reason, rule) = (trigger.map_or("", Trigger::reason), trigger.and_then(Trigger::rule));
        let names = Self::new(&of.id, &of.service, &of.version, of.good.as_ref());
        Self { occasion, at, reason, rule, trigger, stage, records, ..names }
    }

    /// The same of what a drill puts in the place of a deployment.
    pub(crate) fn of_drill(of: &'a DrillStatus, at: Timestamp) -> Self {
        let names = Self::new(&of.drill, &of.service, &of.version, Some(&of.good));
        Self { occasion: Occasion::Drill, drill: true, at, reason: DRILL, ..names }
    }

    fn new(
        deployment: &'a DeploymentId,
        service: &'a ServiceName,
        version: &'a Version,
        good: Option<&'a Version>,
    ) -> Self {
        Self {
            occasion: Occasion::Rollback,
            drill: false,
            at: Timestamp::default(),
            deployment,
            service,
            version,
            good,
            hook: "",
            step: 0,
            attempt: 0,
            key: "",
            reason: "",
            rule: None,
            trigger: None,
            signals: &[],
            stage: None,
            records: 0,
        }
    }

    /// One attempt at a step.
    pub(crate) fn order(&self, hook: &Hook, step: &Step, attempt: Attempt) -> Order {
        let (key, number) = (attempt.key(self.deployment), attempt.number.to_string());
        let told = HookContext {
            hook: hook.name.as_str(),
            step: attempt.step,
            attempt: attempt.number,
            key: &key,
            ..*self
        };
        let action = step.action.map(&|text: &Template| text.fill(|p| told.value(p, &number)));
        let rerun = if step.idempotent { Rerun::Safe } else { Rerun::Never };
        let env = Placeholder::ALL.map(|(name, place)| {
            let variable = format!("ROLLGUARD_{}", name.to_uppercase());
            (variable, told.value(place, &number).to_owned())
        });
        let document = serde_json::to_string(&told);
        let document = document.expect("plain data with string keys always serializes");
        let deployment = self.deployment.clone();
        let (timeout, env) = (step.timeout, env.into());
        Order { deployment, attempt, action, rerun, timeout, env, document }
    }

    /// The whole hook as a notice. Its attempts are numbered after the record that it follows, so
    /// that no two notices of a deployment share one: an attempt can start only once. A record
    /// that the journal refused is forgotten by the next start, so without a journal they are
    /// numbered by the time.
    pub(crate) fn notice(&self, hook: &Hook) -> Notice {
        let first = if self.occasion == Occasion::JournalLost {
            WITHOUT_JOURNAL | numbered_by_time(self.at)
        } else {
            self.records.saturating_mul(NOTICE_STRIDE).min(WITHOUT_JOURNAL - 1)
        };
        let steps = hook.steps.iter().zip(0..).map(|(step, place)| {
            let mut order = self.order(hook, step, Attempt::of(hook.name.clone(), place, 1));
            order.attempt.number = order.attempt.number.saturating_add(first);
            NoticeStep { order, attempts: step.attempts, backoff: step.backoff }
        });
        let (steps, deployment) = (steps.collect(), self.deployment.clone());
        Notice { hook: hook.name.clone(), deployment, steps, timeout: hook.timeout }
    }

    fn value<'v>(&'v self, placeholder: Placeholder, number: &'v str) -> &'v str {
        match placeholder {
            Placeholder::Service => self.service.as_str(),
            Placeholder::Version => self.version.as_str(),
            Placeholder::Good => self.good.map_or("", Version::as_str),
            Placeholder::Deployment => self.deployment.as_str(),
            Placeholder::Stage => self.stage.map_or("", StageName::as_str),
            Placeholder::Rule => self.rule.map_or("", |rule| rule.rule.as_str()),
            Placeholder::Reason => self.reason,
            Placeholder::Key => self.key,
            Placeholder::Attempt => number,
        }
    }
}

/// Another number for every millisecond: a guard that loses its journal again right after a restart
/// must be heard again. A number comes back after three days (2^28 ms), so two losses of one
/// deployment share one only where they are as far apart to the millisecond.
fn numbered_by_time(at: Timestamp) -> u32 {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    let number = millis * u64::from(NOTICE_STRIDE) % u64::from(WITHOUT_JOURNAL);
    u32::try_from(number).expect("it is less than a number of 32 bits")
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
