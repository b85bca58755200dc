//! One deployment in full, for its report. The entries are applied to the durable state that the
//! guard itself uses, so the report knows what the guard knew. It must never mix two deployments.

use crate::engine::Durable;
use crate::engine::durable::deployment::Deployment;
use crate::engine::effect::{Conclusion, Incident};
use crate::model::entry::{Entry, Event, RollbackEvent, SignalEvidence};
use crate::model::name::DeploymentId;
use crate::model::time::Timestamp;

use super::summary::{DeploymentOutcome, Summary};

/// How many ids are suggested for one that is not known.
const MAX_SUGGESTIONS: usize = 3;

/// Which deployment is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest.
    Last,
    /// The one of this id.
    Id(DeploymentId),
}

/// One deployment in full.
#[derive(Clone, Debug)]
pub struct Detail {
    which: Which,
    summary: Option<Summary>,
    durable: Durable,
    at: Timestamp,
    /// The ids that are most like the one that was asked for, with their distance, nearest first.
    suggestions: Vec<(usize, DeploymentId)>,
    newest: Option<DeploymentId>,
}

impl Detail {
    /// The detail of that deployment, before any entry is applied.
    pub fn new(which: Which) -> Self {
        let (durable, at, suggestions) = (Durable::default(), Timestamp::default(), Vec::new());
        Self { which, summary: None, durable, at, suggestions, newest: None }
    }

    /// Applies the next entry of the journal.
    pub fn apply(&mut self, entry: &Entry) {
        let Some(id) = &entry.deployment else { return };
        if let Some(summary) = Summary::begun(entry.at, id, &entry.event) {
            self.newest = Some(id.clone());
            if self.is_meant(id) {
                self.durable = Durable::default();
                self.summary = Some(summary);
            }
        }
        let Some(summary) = self.summary.as_mut().filter(|known| known.id == *id) else { return };
        summary.apply(entry.at, &entry.event);
        self.durable.apply(entry);
        self.at = entry.at;
    }

    fn is_meant(&mut self, id: &DeploymentId) -> bool {
        let asked = match &self.which {
            Which::Last => return true,
            Which::Id(asked) if asked == id => return true,
            Which::Id(asked) => asked.as_str(),
        };
        let distance = distance(asked, id.as_str());
        // Of two ids at the same distance, the newer one comes first.
        let index = self.suggestions.partition_point(|(other, _)| *other < distance);
        self.suggestions.insert(index, (distance, id.clone()));
        self.suggestions.truncate(MAX_SUGGESTIONS);
        false
    }

    /// The summary of the deployment; `None`: the journal does not know it.
    pub const fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    const fn deployment(&self) -> Option<&Deployment> {
        self.durable.current.as_ref()
    }

    /// The entries of the deployment, in order.
    pub fn entries(&self) -> &[Entry] {
        self.deployment().map_or(&[], |known| &known.entries)
    }

    /// How many entries that are not about the deployment itself, such as starts and notices, were
    /// left out because there were too many.
    pub fn left_out(&self) -> usize {
        self.deployment().map_or(0, |known| known.records as usize - known.entries.len())
    }

    /// The readings when the deployment began.
    pub fn before(&self) -> &[SignalEvidence] {
        self.deployment().map_or(&[], |known| &known.before)
    }

    /// The time of the newest entry of the deployment.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The incident, as the daemon reports it; `None`: no rollback was decided. The units of
    /// signals are missing, because the journal does not record them.
    pub fn incident(&self) -> Option<Incident> {
        let (summary, known) = (self.summary()?, self.deployment()?);
        let (_, decision) = known.decision.as_ref()?;
        let ended = match summary.ending {
            DeploymentOutcome::RolledBack => Conclusion::RolledBack,
            DeploymentOutcome::RollbackFailed => Conclusion::Failed,
            // No guard records another ending after a decision; only the decision is certain then.
            DeploymentOutcome::Guarding
            | DeploymentOutcome::RollingBack
            | DeploymentOutcome::Baked
            | DeploymentOutcome::Ended
            | DeploymentOutcome::Superseded => Conclusion::Underway,
        };
        Some(Incident {
            deployment: summary.id.clone(),
            service: summary.service.to_string(),
            begun: summary.begun,
            at: self.at,
            ended,
            why: summary.why.clone(),
            decision: decision.clone(),
            before: known.before.clone(),
            after: self.after().to_vec(),
            units: Vec::new(),
            entries: known.entries.clone(),
        })
    }

    /// The readings when the rollback ended; empty where it has not, or none were recorded.
    pub fn after(&self) -> &[SignalEvidence] {
        let last = self.entries().iter().rev().find_map(|entry| {
            if let Event::Rollback(RollbackEvent::Cured { signals, .. })
            | Event::Rollback(RollbackEvent::Failed { signals, .. }) = &entry.event
            {
                return Some(&signals[..]);
            }
            None
        });
        last.unwrap_or_default()
    }

    /// The ids that are most like the unknown one that was asked for, nearest first.
    pub fn nearest(&self) -> Vec<&DeploymentId> {
        let Which::Id(asked) = &self.which else { return Vec::new() };
        // An id that differs in more than half of its characters is not suggested.
        let limit = (asked.as_str().len() / 2).max(1);
        let near = self.suggestions.iter().filter(|(distance, _)| *distance <= limit);
        near.map(|(_, id)| id).collect()
    }

    /// The newest deployment of all.
    pub const fn newest(&self) -> Option<&DeploymentId> {
        self.newest.as_ref()
    }
}

/// The edit distance of two ids. An id that contains the one that was asked for counts as 1.
fn distance(asked: &str, id: &str) -> usize {
    if id.contains(asked) { 1 } else { strsim::damerau_levenshtein(asked, id) }
}
