//! The guard's durable state. It changes only by applying journal entries, live and on replay
//! alike, so what a restarted guard knows is what the guard knew.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::deployment::MAX_ROLLBACKS;
use crate::model::entry::{
    AttemptEvent, Caller, DeploymentEvent, Entry, Event, LiveEvent, PauseEvent, RollbackEvent,
};
use crate::model::name::{DeploymentId, ServiceName, Version};
use crate::model::time::Timestamp;

use super::alerts::NewsLog;
use super::deployment::{Deployment, Phase};
use super::drills::DrillLog;
use super::quarantine::Quarantine;
use super::stage::StrayAttempt;

/// How many deployment ids are remembered, so that none is used twice. Ids that rollguard makes
/// hold the time to the millisecond; a pipeline's own would have to come back after this many.
const MAX_PAST: usize = 10_000;

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

/// A pause of automatic rollbacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Who asked for it.
    pub by: Caller,
    /// Why.
    pub reason: String,
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
            && let Some(id) = entry.deployment.clone()
        {
            if begun.by == Caller::Guard {
                self.armed = Some(begun.version.clone());
            }
            self.past.extend(self.current.take().map(|current| (current.id, current.phase)));
            if self.past.len() > MAX_PAST {
                self.past.pop_front();
            }
            self.current = Some(Deployment::new(id, entry.at, begun));
        } else if let Event::Pause(event) = &entry.event {
            self.pause = match event.clone() {
                PauseEvent::Paused { until, reason, by } => {
                    Some(Pause { since: entry.at, until, by, reason })
                }
                PauseEvent::Resumed { .. } => None,
            };
        } else if let Event::Live(LiveEvent::Seen { version }) = &entry.event {
            self.live = Some(version.clone());
        } else if let Event::Attempt(AttemptEvent::Outcome { attempt, .. }) = &entry.event {
            let ended = |stray: &mut StrayAttempt| {
                entry.deployment.as_ref() == Some(&stray.deployment) && *attempt == stray.attempt
            };
            self.stray.take_if(ended);
        }
        let Some(current) = &mut self.current else { return };
        if entry.deployment.as_ref() != Some(&current.id) {
            return;
        }
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
            // A version that is rolled back is not good, even if it baked before.
            if self.good.as_ref() == Some(&decision.version) {
                self.good = decision.good.clone().filter(|good| *good != decision.version);
            }
        }
        if let Some(attempt) = current.apply(entry) {
            self.stray = Some(StrayAttempt { deployment: current.id.clone(), attempt });
        }
    }

    /// Whether a deployment of that id was ever begun.
    pub(crate) fn knows(&self, id: &DeploymentId) -> bool {
        self.phase_of(id).is_some()
    }

    /// Where the newest deployment stands.
    pub(crate) fn phase(&self) -> Option<&Phase> {
        self.current.as_ref().map(|current| &current.phase)
    }

    /// An id of version and time that was never used.
    pub(crate) fn fresh_id(&self, version: &Version, at: Timestamp) -> DeploymentId {
        let safe = |c: char| if c.is_ascii_alphanumeric() || ".-_+".contains(c) { c } else { '-' };
        let version: String = version.as_str().chars().map(safe).take(64).collect();
        let version = version.trim_start_matches('.');
        let time: String = at.to_string().chars().filter(|c| !"-:".contains(*c)).collect();
        (0..)
            .map(|n: u32| if n == 0 { String::new() } else { format!("-{n}") })
            .filter_map(|suffix| DeploymentId::new(&format!("{version}-{time}{suffix}")).ok())
            .find(|id| !self.knows(id))
            .expect("of endless suffixes only finitely many are used")
    }

    /// Where a deployment stands, or how it ended.
    pub(crate) fn phase_of(&self, id: &DeploymentId) -> Option<&Phase> {
        let current = self.current.as_ref().map(|current| (&current.id, &current.phase));
        let past = self.past.iter().rev().map(|(id, phase)| (id, phase));
        current.into_iter().chain(past).find(|(known, _)| *known == id).map(|(_, phase)| phase)
    }
}
