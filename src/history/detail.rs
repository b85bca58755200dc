//! All that a journal says of one deployment, for its report. It keeps what the guard itself would
//! know of it, by the guard's own durable state. It must never mix two deployments.

use crate::engine::Durable;
use crate::engine::effect::Incident;
use crate::model::entry::{Entry, Event, RollbackEvent, SignalEvidence};
use crate::model::name::DeploymentId;
use crate::model::time::Timestamp;

use super::summary::{Brief, Ending};

/// How many ids are suggested for one that is not known.
const MAX_NEAR: usize = 3;

/// Which deployment is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest.
    Last,
    /// The one of this id.
    Id(DeploymentId),
}

/// What is known of one deployment.
#[derive(Clone, Debug)]
pub struct Account {
    which: Which,
    brief: Option<Brief>,
    durable: Durable,
    at: Timestamp,
    /// The ids that are most like the one that is asked for, the nearest first.
    near: Vec<(usize, DeploymentId)>,
    newest: Option<DeploymentId>,
}

impl Account {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(which: Which) -> Self {
        let (brief, durable, at) = (None, Durable::default(), Timestamp::default());
        Self { which, brief, durable, at, near: Vec::new(), newest: None }
    }

    /// Takes the next entry of the journal into account.
    pub fn take(&mut self, entry: &Entry) {
        let Some(id) = &entry.deployment else { return };
        if let Some(brief) = Brief::begun(entry.at, id, &entry.event) {
            self.newest = Some(id.clone());
            if self.is_meant(id) {
                self.durable = Durable::default();
                self.brief = Some(brief);
            }
        }
        let Some(brief) = self.brief.as_mut().filter(|brief| brief.id == *id) else { return };
        brief.take(entry.at, &entry.event);
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
        // Of equally near ones the newer is meant more likely.
        let place = self.near.partition_point(|(other, _)| *other < distance);
        self.near.insert(place, (distance, id.clone()));
        self.near.truncate(MAX_NEAR);
        false
    }

    /// The deployment in brief; `None`: the journal does not know it.
    #[must_use]
    pub const fn brief(&self) -> Option<&Brief> {
        self.brief.as_ref()
    }

    /// What the journal says of it, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.durable.current.as_ref().map_or(&[], |current| &current.entries)
    }

    /// How many entries of the guard's own life, its starts and notices, were too many to keep.
    #[must_use]
    pub fn left_out(&self) -> usize {
        let current = self.durable.current.as_ref();
        current.map_or(0, |known| known.records as usize - known.entries.len())
    }

    /// The readings when it began.
    #[must_use]
    pub fn before(&self) -> &[SignalEvidence] {
        self.durable.current.as_ref().map_or(&[], |current| &current.before)
    }

    /// When the journal last said something of it.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// What the daemon's incident report is made of; `None`: nothing was decided. What signals
    /// measure the journal does not tell.
    #[must_use]
    pub fn incident(&self) -> Option<Incident> {
        let (brief, current) = (self.brief.as_ref()?, self.durable.current.as_ref()?);
        let (_, decision) = current.decision.as_ref()?;
        let ended = match brief.ending {
            Ending::RolledBack | Ending::RollbackFailed => brief.ending,
            // No guard writes the others after a decision; what is sure is that it was decided.
            Ending::RollingBack
            | Ending::Guarding
            | Ending::Baked
            | Ending::Ended
            | Ending::Superseded => Ending::RollingBack,
        };
        let ended = ended.words();
        Some(Incident {
            deployment: brief.id.clone(),
            service: brief.service.to_string(),
            begun: brief.begun,
            at: self.at,
            ended,
            why: brief.why.clone(),
            decision: decision.clone(),
            before: current.before.clone(),
            after: self.after().to_vec(),
            units: Vec::new(),
            entries: current.entries.clone(),
        })
    }

    /// The readings when it was over; empty where it is not, or they were not recorded.
    #[must_use]
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

    /// The ids that are most like the one that is not known, the nearest first.
    #[must_use]
    pub fn nearest(&self) -> Vec<&DeploymentId> {
        let Which::Id(asked) = &self.which else { return Vec::new() };
        // Where half of it would have to be typed anew, nobody meant that one.
        let limit = (asked.as_str().len() / 2).max(1);
        let near = self.near.iter().filter(|(distance, _)| *distance <= limit);
        near.map(|(_, id)| id).collect()
    }

    /// The newest deployment of all.
    #[must_use]
    pub const fn newest(&self) -> Option<&DeploymentId> {
        self.newest.as_ref()
    }
}

/// How unlike two ids are. One that holds what was asked for is as like as one typing error.
fn distance(asked: &str, id: &str) -> usize {
    if id.contains(asked) { 1 } else { strsim::damerau_levenshtein(asked, id) }
}
