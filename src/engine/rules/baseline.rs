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

use crate::engine::durable::bounds::{MAX_BASELINES, bytes};
use crate::engine::window::history::History;

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
        H: Iterator<Item = (&'h Group, &'h History)>,
    {
        let mut all = Vec::new();
        let mut left = MAX_BASELINES;
        let definitions = definitions(plan);
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
        let definitions = definitions(plan);
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

    /// What is still true of the signals of another plan, those that are `unchanged`.
    pub(crate) fn kept(mut self, plan: &Plan, unchanged: impl Fn(usize) -> bool) -> Self {
        let is_kept = |name: &SignalName| {
            plan.signals.iter().position(|signal| signal.name == *name).is_some_and(&unchanged)
        };
        self.frozen.retain(|name, _| is_kept(name));
        self
    }

    /// A signal's baseline.
    pub(crate) fn reading(&self, of: &SignalName, group: &Group, needed: u32) -> Reading {
        let Some(groups) = self.frozen.get(of) else { return Reading::NoData(NoData::NotFrozen) };
        match groups.get(group) {
            Some((Some(value), _)) => Reading::Value(*value),
            Some((None, found)) => {
                Reading::NoData(NoData::BaselineTooThin { found: *found, needed })
            }
            None => Reading::NoData(NoData::BaselineTooThin { found: 0, needed }),
        }
    }
}

/// Tells two definitions of each signal apart, the same way in every process: a baseline in seconds
/// must not be taken for one in milliseconds because a file was edited while the guard was away.
/// Of what is computed from other signals theirs are a part, and their places are not.
fn definitions(plan: &Plan) -> Vec<String> {
    /// FNV-1a, 64 bits.
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut all: Vec<String> = Vec::with_capacity(plan.signals.len());
    for signal in &plan.signals {
        let mut text = format!("{:?} {:?} {:?}", signal.kind, signal.by, signal.stale);
        signal.kind.for_each_signal(&mut |inner| {
            text = text.replace(&format!("{inner:?}"), &all[inner.0]);
        });
        let hash = text.bytes().fold(OFFSET, |hash, b| (hash ^ u64::from(b)).wrapping_mul(PRIME));
        all.push(format!("{hash:016x}"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Color, SourceFile, compile};

    /// The definition of the signal `x`.
    fn of(signals: &str) -> String {
        let text = format!(
            "[deployment]\nservice = \"s\"\n[target.t]\nscrape = \"http://h/\"\n{signals}\n\
             [rule.r]\nwhen = \"x > x.baseline\"\nseverity = \"warning\"\n"
        );
        let file = SourceFile { path: "of.toml".to_owned(), text };
        let plan = match compile(&file, &[]) {
            Ok(compiled) => compiled.plan,
            Err(wrong) => panic!("{}", wrong.render(Color::Plain)),
        };
        let place = plan.signals.iter().position(|signal| signal.name.as_str() == "x").unwrap();
        definitions(&plan).swap_remove(place)
    }

    #[test]
    fn what_is_computed_is_defined_by_what_it_is_computed_from_and_not_by_places() {
        let a = "[signal.a]\ngauge = 'seconds'\n";
        let b = "[signal.b]\ngauge = 'bytes'\n";
        let x = "[signal.x]\nexpr = \"a / b\"\n[signal.x.baseline]\n";
        let defined = of(&format!("{a}{b}{x}"));
        for same in [
            [b, a, x],
            [x, b, a],
            [
                "[signal.c]\ngauge = 'c'\n[rule.q]\nwhen = \"c > 1\"\n\
            severity = \"warning\"\n",
                a,
                &format!("{b}{x}"),
            ],
        ] {
            assert_eq!(of(&same.concat()), defined, "{same:?}");
        }
        let other = a.replace("seconds", "milliseconds");
        for changed in [[&other, b, x], [&a.replace(".a]", ".b]"), &b.replace(".b]", ".a]"), x]] {
            assert_ne!(of(&changed.concat()), defined, "{changed:?}");
        }
    }
}
