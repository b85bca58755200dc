//! Baselines: what signals read before a deployment was armed, frozen for as long as it is judged.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::entry::Frozen;
use crate::model::group::Group;
use crate::model::index::SignalIx;
use crate::model::name::SignalName;
use crate::model::plan::Plan;
use crate::model::reading::{NoData, Reading};
use crate::model::signal::SignalKind;
use crate::model::time::Instant;

use super::definition;
use crate::engine::durable::bounds::{MAX_BASELINES, bytes};
use crate::engine::window::history::ReadingHistory;

/// What was frozen, for each signal and group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Baselines {
    /// The number, and how many readings it was made of. A signal that is here without a group was
    /// measured when that group was not there.
    frozen: HashMap<SignalName, HashMap<Group, (Option<f64>, u32)>>,
}

impl Baselines {
    /// Measures every baseline of a plan at `at`, as far as they fit on record. `histories` answers
    /// a signal's, and the least time between two readings that count.
    pub(crate) fn measure<'h, H>(
        plan: &Plan,
        histories: impl Fn(SignalIx) -> (Duration, H),
        at: Instant,
    ) -> Vec<Frozen>
    where
        H: Iterator<Item = (&'h Group, &'h ReadingHistory)>,
    {
        let mut all = Vec::new();
        let mut left = MAX_BASELINES;
        let definitions = definition::hashes(plan);
        for signal in &plan.signals {
            let SignalKind::Baseline { of, window, min_readings } = signal.kind else { continue };
            let before = all.len();
            let frozen = |group: &Group, found, value: Option<f64>| Frozen {
                signal: plan.signal(of).name.clone(),
                group: group.text().map(str::to_owned),
                value: value.filter(|_| found >= min_readings),
                readings: found,
                needed: min_readings,
                definition: definitions[of.0].clone(),
            };
            let (spacing, groups) = histories(of);
            for (group, history) in groups {
                let median = history.median(at, window, spacing);
                all.push(frozen(group, median.found, median.value));
            }
            if all.len() == before {
                all.push(frozen(&Group::ALL, 0, None));
            }
            // All of a signal's or none: a group without one would look as if nothing was read.
            match left.checked_sub(bytes(&all[before..])) {
                Some(rest) => left = rest,
                None => all.truncate(before),
            }
        }
        all
    }

    /// What was frozen, as far as it is of signals of this plan as they are now.
    pub(crate) fn of(plan: &Plan, frozen: &[Frozen]) -> Self {
        let mut baselines = Self::default();
        let definitions = definition::hashes(plan);
        for each in frozen {
            let place = plan.signals.iter().position(|signal| signal.name == each.signal);
            if place.is_some_and(|place| definitions[place] == each.definition) {
                let group = Group::from_text(each.group.as_deref().unwrap_or_default());
                let groups = baselines.frozen.entry(each.signal.clone()).or_default();
                groups.insert(group, (each.value, each.readings));
            }
        }
        baselines
    }

    /// Keeps those of the signals of another plan that are `unchanged`.
    pub(crate) fn retain(&mut self, plan: &Plan, unchanged: &[Option<SignalIx>]) {
        let signals = plan.signals.iter().zip(unchanged);
        let is_kept = |name: &SignalName| {
            signals.clone().any(|(signal, before)| signal.name == *name && before.is_some())
        };
        self.frozen.retain(|name, _| is_kept(name));
    }

    /// A signal's baseline.
    pub(crate) fn reading(&self, of: &SignalName, group: &Group, needed: u32) -> Reading {
        let Some(groups) = self.frozen.get(of) else { return Reading::NoData(NoData::NotFrozen) };
        let (value, found) = groups.get(group).copied().unwrap_or((None, 0));
        let thin = Reading::NoData(NoData::BaselineTooThin { found, needed });
        value.map_or(thin, Reading::Value)
    }
}
