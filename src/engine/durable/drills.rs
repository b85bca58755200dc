//! What the journal says of drills: how many there were, and how the last one went. It changes only
//! by applying entries. It must never mix up a drill with a deployment: the ids of drills have a
//! shape that no deployment may have.

use serde::{Deserialize, Serialize};

use crate::model::drill::{DrillEnd, DrillResult};
use crate::model::entry::{AttemptEvent, DrillEvent, Entry, Event};
use crate::model::name::{DeploymentId, HookName, ServiceName, Version};
use crate::model::time::{Timestamp, millis};

use super::progress::HookProgress;

/// What the id of a drill begins with; a number follows.
const PREFIX: &str = "drill-";

/// Whether an id is one of a drill. No deployment may have it: the attempts of both would be the
/// same ones, and an attempt starts only once.
pub fn is_drill(id: &DeploymentId) -> bool {
    let number = id.as_str().strip_prefix(PREFIX);
    number.is_some_and(|of| !of.is_empty() && of.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A drill, as the journal knows it. The field names are documented and stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillStatus {
    /// Its id: `drill-` and a number.
    pub drill: DeploymentId,
    /// The hook.
    pub hook: HookName,
    /// The drill target.
    pub service: ServiceName,
    /// What the hook was told to roll back.
    pub version: Version,
    /// What the hook was told to go back to.
    pub good: Version,
    /// When it began.
    pub begun: Timestamp,
    /// How it ended; `None`: it has not.
    pub result: Option<DrillResult>,
    /// Why, where it did not end well.
    pub why: Option<String>,
    /// From its beginning to its end, in milliseconds.
    pub took_ms: Option<u64>,
    /// From its beginning to the start of the first attempt, in milliseconds, as far as the wall
    /// clock knows.
    pub to_action_ms: Option<u64>,
    /// How many steps the hook has.
    pub of_steps: u32,
    /// The steps that were begun, in order.
    pub steps: Vec<DrillStep>,
}

/// A step of a drill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrillStep {
    /// What is done, for people.
    pub what: String,
    /// How many attempts were begun.
    pub attempts: u32,
    /// How long they took together, without the pauses between them, in milliseconds.
    pub took_ms: u64,
    /// What became of the last one; `None`: nothing yet.
    pub result: Option<String>,
}

/// Every drill of a journal, in brief.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrillLog {
    /// The number of the newest.
    newest: u32,
    last: Option<DrillStatus>,
    /// When one last ended well.
    done: Option<Timestamp>,
    progress: HookProgress,
}

impl DrillLog {
    /// The newest drill.
    pub const fn last(&self) -> Option<&DrillStatus> {
        self.last.as_ref()
    }

    /// When a drill last ended well.
    pub const fn done(&self) -> Option<Timestamp> {
        self.done
    }

    /// The drill that has no end yet.
    pub(crate) fn open(&self) -> Option<&DrillStatus> {
        self.last.as_ref().filter(|drill| drill.result.is_none())
    }

    /// How far the newest one has got.
    pub(crate) const fn progress(&self) -> &HookProgress {
        &self.progress
    }

    /// An id for the next drill; `is_taken` knows ids of deployments from before there were drills.
    pub(crate) fn next_id(&self, is_taken: impl Fn(&DeploymentId) -> bool) -> DeploymentId {
        let ids = (self.newest.saturating_add(1)..).map(|number| {
            DeploymentId::new(&format!("{PREFIX}{number}")).expect("letters, a dash and digits")
        });
        ids.into_iter().find(|id| !is_taken(id)).expect("finitely many are taken")
    }

    /// Takes an entry into account.
    pub fn apply(&mut self, entry: &Entry) {
        let Some(id) = &entry.deployment else { return };
        if let Event::Drill(DrillEvent::Begun(start)) = &entry.event {
            let number = id.as_str().strip_prefix(PREFIX).and_then(|number| number.parse().ok());
            self.newest = number.unwrap_or(self.newest).max(self.newest);
            self.progress = HookProgress::begun(entry.at);
            self.last = Some(DrillStatus {
                drill: id.clone(),
                hook: start.hook.clone(),
                service: start.service.clone(),
                version: start.version.clone(),
                good: start.good.clone(),
                begun: entry.at,
                result: None,
                why: None,
                took_ms: None,
                to_action_ms: None,
                of_steps: start.steps,
                steps: Vec::new(),
            });
            return;
        }
        let Some(last) = self.last.as_mut().filter(|last| last.drill == *id) else { return };
        if let Event::Attempt(event) = &entry.event {
            self.progress.apply(event);
            match event {
                AttemptEvent::Intent { attempt, what } => {
                    if attempt.step as usize >= last.steps.len() {
                        last.steps.push(DrillStep { what: what.clone(), ..DrillStep::default() });
                    }
                    if let Some(step) = last.steps.last_mut() {
                        step.attempts = step.attempts.saturating_add(1);
                    }
                }
                AttemptEvent::Outcome { attempt, result, took_ms, .. } => {
                    let since = millis(entry.at.since(last.begun));
                    last.to_action_ms.get_or_insert(since.saturating_sub(*took_ms));
                    if let Some(step) = last.steps.get_mut(attempt.step as usize) {
                        step.took_ms = step.took_ms.saturating_add(*took_ms);
                        step.result = Some(result.to_string());
                    }
                }
            }
        }
        if let Event::Drill(DrillEvent::Done(DrillEnd { result, why, took_ms })) = &entry.event {
            (last.result, last.took_ms) = (Some(*result), Some(*took_ms));
            last.why.clone_from(why);
            if *result == DrillResult::Done {
                self.done = Some(entry.at);
            }
        }
    }
}
