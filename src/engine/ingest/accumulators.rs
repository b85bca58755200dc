//! The tracks of one target: one for each signal that may find something there, and for a signal
//! that is read by labels one more for each group, made when the group's first series appears.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Index, IndexMut};

use crate::model::group::{Group, MAX_GROUPS};
use crate::model::index::SignalIx;
use crate::model::reading::NoData;
use crate::model::time::Instant;

use super::accumulator::{Standing, Track};

/// A track's place in [`Tracks`]. Those of signals never change, those of groups may when groups
/// are forgotten.
pub(crate) type TrackIx = usize;

/// The tracks of one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracks {
    list: Vec<Track>,
    /// How many of them are of signals; the rest are of groups.
    fixed: usize,
    groups: BTreeMap<(TrackIx, Group), TrackIx>,
    /// The signals' tracks of which a group found no place since groups were last forgotten.
    crowded: BTreeSet<TrackIx>,
}

impl Tracks {
    /// Adds a signal's track. Not to be called after the first group was made.
    pub(crate) fn add(&mut self, track: Track) -> TrackIx {
        debug_assert_eq!(self.fixed, self.list.len());
        self.list.push(track);
        self.fixed = self.list.len();
        self.fixed - 1
    }

    /// How many tracks of signals there are.
    pub(crate) const fn fixed(&self) -> usize {
        self.fixed
    }

    /// All of them, those of signals first.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Track> {
        self.list.iter_mut()
    }

    /// The track of a signal on this target, and its place.
    pub(crate) fn of_signal(&self, signal: SignalIx) -> Option<TrackIx> {
        self.list[..self.fixed].iter().position(|track| track.signal == signal)
    }

    /// The groups of the signal whose track stands at `of`, in order.
    pub(crate) fn groups(&self, of: TrackIx) -> impl Iterator<Item = (&Group, &Track)> {
        let all = (of, Group::ALL)..(of + 1, Group::ALL);
        self.groups.range(all).map(|((_, group), place)| (group, &self.list[*place]))
    }

    /// A group's track, if there is one.
    pub(crate) fn of_group(&self, of: TrackIx, group: &Group) -> Option<&Track> {
        self.groups.get(&(of, group.clone())).map(|place| &self.list[*place])
    }

    /// When the next sample of a signal, in any of its groups, will be too old.
    pub(crate) fn expires(&self, of: TrackIx, at: Instant) -> Option<Instant> {
        let groups = self.groups(of).map(|(_, track)| track);
        let all = groups.chain([&self.list[of]]).filter_map(Track::expires);
        all.filter(|expires| *expires >= at).min()
    }

    /// The track of a group, a new one if it was never seen: as if the signal's own track, which
    /// has no series, had been its track from the start. `None` where there are too many.
    pub(crate) fn group(&mut self, of: TrackIx, group: Group) -> Option<TrackIx> {
        if group == Group::ALL {
            return Some(of);
        }
        if let Some(place) = self.groups.get(&(of, group.clone())) {
            return Some(*place);
        }
        if self.groups(of).count() >= MAX_GROUPS {
            self.crowded.insert(of);
            return None;
        }
        self.list.push(self.list[of].clone());
        self.groups.insert((of, group), self.list.len() - 1);
        Some(self.list.len() - 1)
    }

    /// This scrape tells nothing about a signal, in any of its groups.
    pub(crate) fn spoil(&mut self, of: TrackIx, why: NoData) {
        let groups: Vec<TrackIx> =
            self.groups.range((of, Group::ALL)..(of + 1, Group::ALL)).map(|(_, ix)| *ix).collect();
        for place in groups.into_iter().chain([of]) {
            self.list[place].spoil(why);
        }
    }

    /// Whether a series found no place for its group.
    pub(crate) fn is_crowded(&self) -> bool {
        !self.crowded.is_empty()
    }

    /// Whether one of the signal whose track stands at `of` did.
    pub(crate) fn is_crowded_at(&self, of: TrackIx) -> bool {
        self.crowded.contains(&of)
    }

    /// Forgets the groups that nothing of has been seen for longer than their windows. Every place
    /// of a group's track is void afterwards.
    pub(crate) fn forget(&mut self, at: Instant) {
        self.crowded.clear();
        let mut list = self.list[..self.fixed].to_vec();
        let mut groups = BTreeMap::new();
        for (key, place) in std::mem::take(&mut self.groups) {
            let track = &self.list[place];
            if track.standing(at) != Standing::Absent {
                list.push(track.clone());
                groups.insert(key, list.len() - 1);
            }
        }
        (self.list, self.groups) = (list, groups);
    }

    /// Takes over the track of the same signal of another plan, and its groups.
    pub(crate) fn inherit(&mut self, place: TrackIx, old: &Self, from: TrackIx) {
        let signal = self.list[place].signal;
        let moved = |track: &Track| {
            let mut track = track.clone();
            track.signal = signal;
            track
        };
        self.list[place] = moved(&old.list[from]);
        for (group, track) in old.groups(from) {
            self.list.push(moved(track));
            self.groups.insert((place, group.clone()), self.list.len() - 1);
        }
    }
}

impl Index<TrackIx> for Tracks {
    type Output = Track;
    fn index(&self, place: TrackIx) -> &Track {
        &self.list[place]
    }
}

impl IndexMut<TrackIx> for Tracks {
    fn index_mut(&mut self, place: TrackIx) -> &mut Track {
        &mut self.list[place]
    }
}
