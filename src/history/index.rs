//! The summaries of a journal's deployments that match a filter. It must never grow without bound:
//! the oldest are dropped for the newest, and their number is kept.

use std::collections::{HashMap, VecDeque};

use crate::model::entry::Entry;
use crate::model::name::{DeploymentId, ServiceName};
use crate::model::time::Timestamp;

use super::summary::Summary;
use crate::engine::durable::drills::DrillLog;

/// How many deployments are kept at most: five a day for decades, some tens of megabytes.
pub const MAX_KEPT: usize = 50_000;

/// Which deployments to keep. A criterion that is `None` matches every deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those that began then or later.
    pub since: Option<Timestamp>,
    /// The one of this id.
    pub deployment: Option<DeploymentId>,
    /// Those of this service.
    pub service: Option<ServiceName>,
}

impl Filter {
    fn matches(&self, summary: &Summary) -> bool {
        self.since.is_none_or(|since| summary.begun >= since)
            && self.deployment.as_ref().is_none_or(|id| summary.id == *id)
            && self.service.as_ref().is_none_or(|service| summary.service == *service)
    }
}

/// The newest deployments of a journal, in brief.
#[derive(Clone, Debug)]
pub struct Index {
    filter: Filter,
    room: usize,
    kept: VecDeque<Summary>,
    /// How many older ones were dropped.
    left_out: usize,
    /// The index of each deployment, counted from the first that was ever kept.
    positions: HashMap<DeploymentId, usize>,
    drills: DrillLog,
}

impl Index {
    /// An index of the newest `room` deployments, at most [`MAX_KEPT`], that match the filter.
    pub fn new(filter: Filter, room: usize) -> Self {
        let room = room.min(MAX_KEPT);
        let (kept, positions) = (VecDeque::new(), HashMap::new());
        Self { filter, room, kept, left_out: 0, positions, drills: DrillLog::default() }
    }

    /// Applies the next entry of the journal.
    pub fn apply(&mut self, entry: &Entry) {
        self.drills.apply(entry);
        let Some(id) = &entry.deployment else { return };
        if let Some(summary) = Summary::begun(entry.at, id, &entry.event) {
            return self.begin(summary);
        }
        let Some(position) = self.positions.get(id) else { return };
        if let Some(summary) = self.kept.get_mut(position - self.left_out) {
            summary.apply(entry.at, &entry.event);
        }
    }

    fn begin(&mut self, summary: Summary) {
        // If an id is used twice, later entries belong to the newer deployment.
        self.positions.remove(&summary.id);
        if self.room == 0 || !self.filter.matches(&summary) {
            return;
        }
        if self.kept.len() == self.room
            && let Some(oldest) = self.kept.pop_front()
        {
            if self.positions.get(&oldest.id) == Some(&self.left_out) {
                self.positions.remove(&oldest.id);
            }
            self.left_out += 1;
        }
        self.positions.insert(summary.id.clone(), self.left_out + self.kept.len());
        self.kept.push_back(summary);
    }

    /// The deployments, oldest first.
    pub fn deployments(&self) -> impl DoubleEndedIterator<Item = &Summary> + ExactSizeIterator {
        self.kept.iter()
    }

    /// All drills; the filter does not apply to them.
    pub const fn drills(&self) -> &DrillLog {
        &self.drills
    }

    /// How many deployments matched the filter and were dropped for newer ones.
    pub const fn left_out(&self) -> usize {
        self.left_out
    }
}
