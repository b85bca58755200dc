//! The deployments of a journal, each in brief, those that somebody asked for. It must never grow
//! without bound: the oldest make room for the newest, and it says how many did.

use std::collections::{HashMap, VecDeque};

use crate::model::entry::Entry;
use crate::model::name::{DeploymentId, ServiceName};
use crate::model::time::Timestamp;

use super::summary::Brief;
use crate::engine::durable::drills::DrillLog;

/// How many deployments are kept at most: five a day for decades, some tens of megabytes.
pub const MAX_KEPT: usize = 50_000;

/// Which deployments are meant. What is `None` asks for nothing.
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
    fn wants(&self, brief: &Brief) -> bool {
        self.since.is_none_or(|since| brief.begun >= since)
            && self.deployment.as_ref().is_none_or(|id| brief.id == *id)
            && self.service.as_ref().is_none_or(|service| brief.service == *service)
    }
}

/// Deployments in brief, as their entries come.
#[derive(Clone, Debug)]
pub struct Book {
    filter: Filter,
    room: usize,
    kept: VecDeque<Brief>,
    /// How many older ones made room.
    left_out: usize,
    /// Where a deployment is, counted from the first that was ever kept.
    places: HashMap<DeploymentId, usize>,
    drills: DrillLog,
}

impl Book {
    /// A book for the newest `room` deployments, at most [`MAX_KEPT`], that the filter asks for.
    #[must_use]
    pub fn new(filter: Filter, room: usize) -> Self {
        let room = room.min(MAX_KEPT);
        let (kept, places) = (VecDeque::new(), HashMap::new());
        Self { filter, room, kept, left_out: 0, places, drills: DrillLog::default() }
    }

    /// Takes the next entry of the journal into account.
    pub fn take(&mut self, entry: &Entry) {
        self.drills.apply(entry);
        let Some(id) = &entry.deployment else { return };
        if let Some(brief) = Brief::begun(entry.at, id, &entry.event) {
            return self.begin(brief);
        }
        let Some(place) = self.places.get(id) else { return };
        if let Some(brief) = self.kept.get_mut(place - self.left_out) {
            brief.take(entry.at, &entry.event);
        }
    }

    fn begin(&mut self, brief: Brief) {
        // Should an id come back, what follows is of the newer deployment.
        self.places.remove(&brief.id);
        if self.room == 0 || !self.filter.wants(&brief) {
            return;
        }
        if self.kept.len() == self.room
            && let Some(oldest) = self.kept.pop_front()
        {
            if self.places.get(&oldest.id) == Some(&self.left_out) {
                self.places.remove(&oldest.id);
            }
            self.left_out += 1;
        }
        self.places.insert(brief.id.clone(), self.left_out + self.kept.len());
        self.kept.push_back(brief);
    }

    /// The deployments, oldest first.
    pub fn deployments(&self) -> impl DoubleEndedIterator<Item = &Brief> + ExactSizeIterator {
        self.kept.iter()
    }

    /// What was drilled, whatever deployments are asked for.
    #[must_use]
    pub const fn drills(&self) -> &DrillLog {
        &self.drills
    }

    /// How many that were asked for are older than those that are kept.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }
}
