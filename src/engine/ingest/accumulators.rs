//! The accumulators of one target: one for each signal that may find something there, and for a
//! signal that is read by labels one more for each group, made when the group's first series
//! appears.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::group::{Group, MAX_GROUPS};
use crate::model::index::SignalIx;
use crate::model::reading::NoData;
use crate::model::time::Instant;

use super::accumulator::{Accumulator, Availability};

/// An accumulator's index in [`Accumulators`]. Those of signals never change, those of groups may
/// when groups are forgotten.
pub(crate) type AccumulatorIx = usize;

/// The accumulators of one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accumulators {
    /// Those of signals, then those of groups.
    list: Vec<Accumulator>,
    /// How many of them are of signals.
    of_signals: usize,
    groups: BTreeMap<(AccumulatorIx, Group), AccumulatorIx>,
    /// The signals of which a group found no room since groups were last forgotten.
    crowded: BTreeSet<AccumulatorIx>,
}

impl Accumulators {
    /// Adds a signal's accumulator. Not to be called after the first group was made.
    pub(crate) fn add(&mut self, accumulator: Accumulator) -> AccumulatorIx {
        debug_assert_eq!(self.of_signals, self.list.len());
        self.list.push(accumulator);
        self.of_signals = self.list.len();
        self.of_signals - 1
    }

    /// The accumulator at an index.
    pub(crate) fn get(&self, ix: AccumulatorIx) -> &Accumulator {
        &self.list[ix]
    }

    /// The accumulator at an index, to be changed.
    pub(crate) fn get_mut(&mut self, ix: AccumulatorIx) -> &mut Accumulator {
        &mut self.list[ix]
    }

    /// All of them, those of signals first.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Accumulator> {
        self.list.iter_mut()
    }

    /// The accumulator of a signal on this target, over all its groups.
    pub(crate) fn of_signal(&self, signal: SignalIx) -> Option<AccumulatorIx> {
        self.list[..self.of_signals].iter().position(|each| each.signal() == signal)
    }

    fn group_ixs(&self, of: AccumulatorIx) -> impl Iterator<Item = (&Group, AccumulatorIx)> {
        let all = (of, Group::ALL)..(of + 1, Group::ALL);
        self.groups.range(all).map(|((_, group), ix)| (group, *ix))
    }

    /// The groups of the signal whose accumulator is `of`, in order.
    pub(crate) fn groups(&self, of: AccumulatorIx) -> impl Iterator<Item = (&Group, &Accumulator)> {
        self.group_ixs(of).map(|(group, ix)| (group, &self.list[ix]))
    }

    /// A group's accumulator, if there is one.
    pub(crate) fn of_group(&self, of: AccumulatorIx, group: &Group) -> Option<&Accumulator> {
        self.groups.get(&(of, group.clone())).map(|ix| &self.list[*ix])
    }

    /// When the next sample of a signal, in any of its groups, will be too old.
    pub(crate) fn expires(&self, of: AccumulatorIx, at: Instant) -> Option<Instant> {
        let groups = self.groups(of).map(|(_, accumulator)| accumulator);
        let all = groups.chain([&self.list[of]]).filter_map(Accumulator::expires);
        all.filter(|expires| *expires >= at).min()
    }

    /// The accumulator of a group, a new one if it was never seen: as if the signal's own, which
    /// has no series, had been its accumulator from the start. `None` where there are too many.
    pub(crate) fn in_group(&mut self, of: AccumulatorIx, group: Group) -> Option<AccumulatorIx> {
        if group == Group::ALL {
            return Some(of);
        }
        if let Some(ix) = self.groups.get(&(of, group.clone())) {
            return Some(*ix);
        }
        if self.groups(of).count() >= MAX_GROUPS {
            self.crowded.insert(of);
            return None;
        }
        Some(self.add_group(of, group, self.list[of].clone()))
    }

    fn add_group(&mut self, of: AccumulatorIx, group: Group, own: Accumulator) -> AccumulatorIx {
        let ix = self.list.len();
        self.list.push(own);
        self.groups.insert((of, group), ix);
        ix
    }

    /// This scrape tells nothing about a signal, in any of its groups.
    pub(crate) fn spoil(&mut self, of: AccumulatorIx, why: NoData) {
        let groups: Vec<AccumulatorIx> = self.group_ixs(of).map(|(_, ix)| ix).collect();
        for ix in groups.into_iter().chain([of]) {
            self.list[ix].spoil(why);
        }
    }

    /// Whether a series found no room for its group.
    pub(crate) fn is_crowded(&self) -> bool {
        !self.crowded.is_empty()
    }

    /// Whether one of the signal whose accumulator is `of` did not.
    pub(crate) fn is_crowded_at(&self, of: AccumulatorIx) -> bool {
        self.crowded.contains(&of)
    }

    /// Forgets the groups of which nothing has been seen for longer than their windows. Every index
    /// of a group's accumulator is void afterwards.
    pub(crate) fn forget(&mut self, at: Instant) {
        self.crowded.clear();
        let groups = std::mem::take(&mut self.groups);
        let old = self.list.split_off(self.of_signals);
        for ((of, group), ix) in groups {
            let own = &old[ix - self.of_signals];
            if own.availability(at) != Availability::Absent {
                self.add_group(of, group, own.clone());
            }
        }
    }

    /// Takes over what is known of the signals that `same` finds among those of another plan, with
    /// their groups.
    pub(crate) fn inherit(&mut self, old: &Self, same: impl Fn(SignalIx) -> Option<SignalIx>) {
        for ix in 0..self.of_signals {
            let signal = self.list[ix].signal();
            let before = same(signal).and_then(|before| old.of_signal(before));
            let Some(before) = before else { continue };
            self.list[ix] = old.list[before].moved_to(signal);
            for (group, own) in old.groups(before) {
                self.add_group(ix, group.clone(), own.moved_to(signal));
            }
        }
    }
}
