//! Every signal's readings, in each of its groups, and when they change. Readings follow from what
//! targets accumulated and from one another; no rule is evaluated here.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::model::entry::Frozen;
use crate::model::group::Group;
use crate::model::index::SignalIx;
use crate::model::name::SignalName;
use crate::model::plan::Plan;
use crate::model::reading::{NoData, Reading, Telemetry};
use crate::model::scrape::Scrape;
use crate::model::signal::{Reduction, Signal, SignalKind};
use crate::model::target::Target;
use crate::model::time::Instant;

use super::{condition, definition, reading};
use crate::engine::durable::bounds::{MAX_BASELINES, bytes};
use crate::engine::ingest::accumulator::{Accumulator, AccumulatorIx};
use crate::engine::ingest::target::TargetIngest;
use crate::engine::window::gauge::GaugeWindow;
use crate::engine::window::history::ReadingHistory;

/// What signals are read from, and when.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) targets: &'a [TargetIngest],
    pub(crate) at: Instant,
}

/// The signals of a plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    states: Vec<SignalState>,
    /// What signals read before a deployment was armed, frozen for as long as it is judged: the
    /// number, and how many readings it was made of. A signal that is here without a group was
    /// measured when that group was not there.
    baselines: HashMap<SignalName, HashMap<Group, (Option<f64>, u32)>>,
}

#[derive(Clone, Debug)]
struct SignalState {
    /// Its accumulators: the target's index and the index there.
    accumulators: Vec<(usize, AccumulatorIx)>,
    /// Its readings in the order of their groups; one for everything unless it is read by labels.
    readings: Vec<(Group, Reading)>,
    /// Why a group that is not among them has no reading.
    absent: NoData,
    /// The windows of a gauge that is read over time.
    gauge_windows: BTreeMap<Group, GaugeWindow>,
    /// What it read, where another signal looks back at it, and how far back.
    history: BTreeMap<Group, ReadingHistory>,
    keep: Option<Duration>,
    /// When its newest samples will be too old.
    expires: Option<Instant>,
    /// The targets that it depends on, directly or through other signals.
    fed_by: Vec<bool>,
    /// Those of them of which a failed scrape changes the reading, too.
    fed_by_failures: Vec<bool>,
}

impl SignalState {
    /// Replaces the readings of groups. What is kept of groups that are no more goes with them.
    fn set_groups(&mut self, readings: Vec<(Group, Reading)>) {
        self.readings = readings;
        let Self { readings, gauge_windows, history, .. } = self;
        let is_there = |group: &Group| readings.iter().any(|(known, _)| known == group);
        gauge_windows.retain(|group, _| is_there(group));
        history.retain(|group, _| is_there(group));
    }

    /// Keeps the readings, where another signal looks back at them.
    fn remember(&mut self, at: Instant) {
        let Some(keep) = self.keep else { return };
        let others = Group::others();
        for (group, reading) in self.readings.iter().filter(|(group, _)| *group != others) {
            self.history.entry(group.clone()).or_default().push(at, *reading, keep);
        }
    }

    /// The targets that it depends on.
    fn targets<'p>(&self, plan: &'p Plan) -> impl Iterator<Item = &'p Target> {
        plan.targets.iter().zip(&self.fed_by).filter(|(_, fed)| **fed).map(|(target, _)| target)
    }

    /// The time that must lie between two samples for both to count, where targets are sampled more
    /// often at times; zero where each counts.
    fn spacing(&self, plan: &Plan) -> Duration {
        let sharpened = self.targets(plan).filter(|target| target.sharpen.is_some());
        sharpened.map(|target| target.interval).max().unwrap_or_default()
    }

    /// The same between two readings. Where several targets feed it, readings within the time in
    /// which each has had its turn are of almost the same samples.
    fn reading_spacing(&self, plan: &Plan) -> Duration {
        let shortest = self.targets(plan).map(|target| target.interval).min();
        let turn = shortest.filter(|_| self.targets(plan).nth(1).is_some()).unwrap_or_default();
        turn.max(self.spacing(plan))
    }
}

impl Signals {
    /// The signals of a plan, before anything was seen.
    pub(crate) fn new(plan: &Plan, targets: &[TargetIngest]) -> Self {
        let mut all = Self::default();
        for index in 0..plan.signals.len() {
            let state = all.initial_state(plan, targets, SignalIx(index));
            all.states.push(state);
        }
        for (of, keep) in plan.signals.iter().filter_map(|signal| signal.kind.looks_back()) {
            let state = &mut all.states[of.0];
            state.keep = state.keep.max(Some(keep));
        }
        all
    }

    fn initial_state(&self, plan: &Plan, targets: &[TargetIngest], ix: SignalIx) -> SignalState {
        let signal = plan.signal(ix);
        let own = |target: &TargetIngest| target.accumulators().of_signal(ix);
        let all = targets.iter().enumerate();
        let accumulators: Vec<_> = all.filter_map(|(t, target)| Some((t, own(target)?))).collect();
        let mut fed_by = vec![false; targets.len()];
        accumulators.iter().for_each(|(target, _)| fed_by[*target] = true);
        let up = signal.kind.up();
        for (target, fed) in plan.targets.iter().zip(&mut fed_by) {
            *fed |= Some(&target.name) == up;
        }
        let sees_failures = up.is_some() || signal.kind.outlives_silence();
        let mut fed_by_failures: Vec<bool> =
            fed_by.iter().map(|fed| *fed && sees_failures).collect();
        signal.kind.for_each_signal(&mut |inner| {
            mark(&mut fed_by, &self.states[inner.0].fed_by);
            mark(&mut fed_by_failures, &self.states[inner.0].fed_by_failures);
        });
        let never = Reading::NoData(NoData::NeverScraped);
        SignalState {
            accumulators,
            readings: if signal.by.is_empty() { vec![(Group::ALL, never)] } else { Vec::new() },
            absent: NoData::NeverScraped,
            gauge_windows: BTreeMap::new(),
            history: BTreeMap::new(),
            keep: None,
            expires: None,
            fed_by,
            fed_by_failures,
        }
    }

    /// Takes over what is known of the signals of an earlier plan that are `unchanged`.
    pub(crate) fn inherit(&mut self, mut old: Self, plan: &Plan, unchanged: &[Option<SignalIx>]) {
        for (state, before) in self.states.iter_mut().zip(unchanged) {
            if let Some(before) = before {
                let before = &mut old.states[before.0];
                state.gauge_windows = std::mem::take(&mut before.gauge_windows);
                if state.keep.is_some() {
                    state.history = std::mem::take(&mut before.history);
                }
            }
        }
        let kept = plan.signals.iter().zip(unchanged).filter(|(_, before)| before.is_some());
        let mut baselines = old.baselines;
        self.baselines =
            kept.filter_map(|(signal, _)| baselines.remove_entry(&signal.name)).collect();
    }

    /// Which of the signals a scrape feeds.
    pub(crate) fn fed(&self, scrape: &Scrape) -> Vec<bool> {
        (0..self.states.len()).map(|ix| self.is_fed(SignalIx(ix), scrape)).collect()
    }

    /// Whether a scrape fed a signal.
    pub(crate) fn is_fed(&self, signal: SignalIx, scrape: &Scrape) -> bool {
        let signal = &self.states[signal.0];
        let by = if scrape.result.is_ok() { &signal.fed_by } else { &signal.fed_by_failures };
        by[scrape.target.0]
    }

    /// The targets that any of the signals depends on.
    pub(crate) fn fed_by(&self, targets: usize, signals: &[SignalIx]) -> Vec<bool> {
        let mut fed_by = vec![false; targets];
        signals.iter().for_each(|signal| mark(&mut fed_by, &self.states[signal.0].fed_by));
        fed_by
    }

    /// Which signals have samples that are too old by now.
    pub(crate) fn expired(&self, at: Instant) -> Vec<bool> {
        self.states.iter().map(|s| s.expires.is_some_and(|time| time < at)).collect()
    }

    /// When the next sample will be too old.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // That is once more than `stale` has passed.
        let just_after = |time: Instant| time.after(Duration::from_nanos(1));
        self.states.iter().filter_map(|signal| signal.expires.map(just_after)).min()
    }

    /// Reads signals anew; those computed from others come after them in the plan.
    pub(crate) fn refresh(&mut self, inputs: Inputs<'_>, which: impl Fn(usize) -> bool) {
        let mut changed = vec![false; self.states.len()];
        for (index, signal) in inputs.plan.signals.iter().enumerate() {
            let mut due = which(index);
            signal.kind.for_each_signal(&mut |inner| due |= changed[inner.0]);
            if due {
                changed[index] = true;
                self.read(signal, SignalIx(index), inputs);
            }
        }
    }

    fn read(&mut self, signal: &Signal, ix: SignalIx, inputs: Inputs<'_>) {
        let expires = self.expires(signal, ix, inputs).filter(|expires| *expires >= inputs.at);
        self.states[ix.0].expires = expires;
        if signal.by.is_empty() {
            let reading = self.read_group(signal, ix, &Group::ALL, inputs);
            self.states[ix.0].readings[0].1 = reading;
        } else {
            let mut readings = Vec::new();
            let others = Group::others();
            for group in self.groups_of(ix, &signal.kind, inputs.targets) {
                let reading = match group == others {
                    true => Reading::NoData(NoData::TooManyGroups),
                    false => self.read_group(signal, ix, &group, inputs),
                };
                readings.push((group, reading));
            }
            self.states[ix.0].absent = self.absent(signal, ix, inputs);
            self.states[ix.0].set_groups(readings);
        }
        self.states[ix.0].remember(inputs.at);
    }

    /// The groups that a signal has now, in order.
    fn groups_of(&self, ix: SignalIx, kind: &SignalKind, targets: &[TargetIngest]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        kind.for_each_signal(&mut |inner| {
            groups.extend(self.groups(inner).iter().map(|(group, _)| group.clone()));
        });
        for (target, of) in &self.states[ix.0].accumulators {
            let all = targets[*target].accumulators();
            let known = all.groups(*of).filter(|(_, accumulator)| accumulator.is_known());
            groups.extend(known.map(|(group, _)| group.clone()));
            groups.extend(all.is_crowded_at(*of).then(Group::others));
        }
        groups.retain(|group| *group != Group::ALL);
        sorted(groups)
    }

    /// Why a group that is not known has no reading. What is computed from other signals says what
    /// they say of such a group.
    fn absent(&mut self, signal: &Signal, ix: SignalIx, inputs: Inputs<'_>) -> NoData {
        if signal.kind.is_sampled() {
            let all = self.accumulators(ix, &[], &Group::ALL, inputs.targets);
            return reading::absence(all.map(|each| each.availability(inputs.at)));
        }
        self.read_group(signal, ix, &Group::ALL, inputs).known().err().unwrap_or(NoData::NoSeries)
    }

    /// The accumulators of a signal in one group. A target of which nothing is known yet may have a
    /// share of any group that its labels do not rule out.
    fn accumulators<'t>(
        &self,
        ix: SignalIx,
        by: &'t [String],
        group: &'t Group,
        targets: &'t [TargetIngest],
    ) -> impl Iterator<Item = &'t Accumulator> + use<'_, 't> {
        self.states[ix.0].accumulators.iter().filter_map(move |(target, of)| {
            let (target, all) = (&targets[*target], targets[*target].accumulators());
            if *group == Group::ALL {
                return Some(all.get(*of));
            }
            let may_have = |over_all: &&Accumulator| {
                over_all.last_close().is_none() && target.may_have(group, by)
            };
            all.of_group(*of, group).or_else(|| Some(all.get(*of)).filter(may_have))
        })
    }

    fn read_group(
        &mut self,
        signal: &Signal,
        ix: SignalIx,
        group: &Group,
        inputs: Inputs<'_>,
    ) -> Reading {
        match &signal.kind {
            SignalKind::Value(value) => Reading::Value(*value),
            SignalKind::Up(_) => self.read_up(signal, ix, inputs).0,
            SignalKind::Expr(expr) => {
                condition::number(expr, &|inner| self.reading_in(inner, group))
            }
            SignalKind::Baseline { of, min_readings: needed, .. } => {
                match self.baselines.get(&inputs.plan.signal(*of).name) {
                    None => Reading::NoData(NoData::NotFrozen),
                    Some(groups) => match groups.get(group).copied().unwrap_or((None, 0)) {
                        (Some(value), _) => Reading::Value(value),
                        (None, found) => {
                            Reading::NoData(NoData::BaselineTooThin { found, needed: *needed })
                        }
                    },
                }
            }
            SignalKind::Before { of, window } => {
                let history = self.states[of.0].history.get(group);
                let stale = self.stale_before(*of, *window, inputs.plan);
                let earlier = history.and_then(|history| history.before(inputs.at, *window, stale));
                earlier.map_or(Reading::NoData(NoData::NoEarlierReading), |(_, reading)| reading)
            }
            SignalKind::Series { reduction, window, .. } => {
                let all = self.accumulators(ix, &signal.by, group, inputs.targets);
                let all: Vec<&Accumulator> = all.collect();
                let now = reading::read(reduction, &all, inputs.at);
                let Reduction::Gauge { over, .. } = reduction else { return now };
                if window.is_zero() {
                    return now;
                }
                // As of the newest sample: looking again adds nothing.
                let sampled = all.iter().filter_map(|each| each.last_close()).max();
                let state = &mut self.states[ix.0];
                let spacing = state.spacing(inputs.plan);
                let gauge = state.gauge_windows.entry(group.clone());
                let gauge = gauge.or_insert_with(|| GaugeWindow::new(*over, *window, spacing));
                gauge.read(sampled.unwrap_or(inputs.at), now)
            }
        }
    }

    /// How much older than its window the reading of one window ago may be: as old as the samples
    /// of the signal may be.
    fn stale_before(&self, of: SignalIx, window: Duration, plan: &Plan) -> Duration {
        let slowest = self.states[of.0].targets(plan).map(Target::stale).max();
        plan.signal(of).stale.or(slowest).unwrap_or(window)
    }

    /// Whether a target is up, and until when that is known.
    fn read_up(
        &self,
        signal: &Signal,
        ix: SignalIx,
        inputs: Inputs<'_>,
    ) -> (Reading, Option<Instant>) {
        let Some(target) = self.states[ix.0].fed_by.iter().position(|fed| *fed) else {
            return (Reading::NoData(NoData::NoSeries), None);
        };
        let stale = signal.stale.unwrap_or_else(|| inputs.plan.targets[target].stale());
        let Some((when, result)) = inputs.targets[target].last() else {
            return (Reading::NoData(NoData::NeverScraped), None);
        };
        if inputs.at.since(when) > stale {
            return (Reading::NoData(NoData::Stale), None);
        }
        (Reading::Value(if result.is_ok() { 1.0 } else { 0.0 }), Some(when.after(stale)))
    }

    fn expires(&self, signal: &Signal, ix: SignalIx, inputs: Inputs<'_>) -> Option<Instant> {
        let Inputs { plan, targets, at } = inputs;
        match signal.kind {
            SignalKind::Up(_) => self.read_up(signal, ix, inputs).1,
            SignalKind::Before { of, window } => {
                let stale = self.stale_before(of, window, plan);
                let histories = self.states[of.0].history.values();
                let used = histories.filter_map(|history| history.before(at, window, stale));
                used.map(|(read, _)| read.after(window).after(stale)).min()
            }
            SignalKind::Series { .. } if signal.kind.outlives_silence() => None,
            SignalKind::Series { .. } => {
                // What is silent already has expired; the others still may.
                let all = self.states[ix.0].accumulators.iter();
                all.filter_map(|(t, of)| targets[*t].accumulators().expires(*of, at)).min()
            }
            SignalKind::Baseline { .. } | SignalKind::Value(_) | SignalKind::Expr(_) => None,
        }
    }

    /// A signal's reading over everything.
    pub(crate) fn reading(&self, signal: SignalIx) -> Reading {
        self.reading_in(signal, &Group::ALL)
    }

    /// A signal's reading in a group; one that is not read by labels has the same in all.
    pub(crate) fn reading_in(&self, signal: SignalIx, group: &Group) -> Reading {
        let state = &self.states[signal.0];
        match &state.readings[..] {
            [(only, reading)] if *only == Group::ALL => *reading,
            readings => match readings.binary_search_by(|(known, _)| known.cmp(group)) {
                Ok(place) => readings[place].1,
                Err(_) => Reading::NoData(state.absent),
            },
        }
    }

    /// Whether the samples of a signal are there, in any of its groups.
    pub(crate) fn telemetry(&self, signal: SignalIx) -> Telemetry {
        let state = &self.states[signal.0];
        let of_groups = state.readings.iter().map(|(_, reading)| reading.telemetry()).min();
        of_groups.unwrap_or(Reading::NoData(state.absent).telemetry())
    }

    /// A signal's readings in the order of their groups.
    pub(crate) fn groups(&self, signal: SignalIx) -> &[(Group, Reading)] {
        &self.states[signal.0].readings
    }

    /// What is so in each of the groups that any of the signals has, in order.
    pub(crate) fn in_groups<T>(
        &self,
        signals: &[SignalIx],
        what: impl Fn(&Group) -> T,
    ) -> impl Iterator<Item = (Group, T)> {
        let all = signals.iter().flat_map(|signal| self.groups(*signal));
        let groups = sorted(all.map(|(group, _)| group.clone()).collect());
        groups.into_iter().map(move |group| {
            let what = what(&group);
            (group, what)
        })
    }

    /// Measures every baseline of a plan at `at`, as far as they fit on record.
    pub(crate) fn measure(&self, plan: &Plan, at: Instant) -> Vec<Frozen> {
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
            let state = &self.states[of.0];
            for (group, history) in &state.history {
                let (found, median) = history.median(at, window, state.reading_spacing(plan));
                all.push(frozen(group, found, median));
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

    /// Freezes baselines until others are, as far as they are of signals of this plan as they are
    /// now.
    pub(crate) fn freeze(&mut self, plan: &Plan, frozen: &[Frozen]) {
        self.baselines.clear();
        let definitions = definition::hashes(plan);
        for each in frozen {
            let place = plan.signals.iter().position(|signal| signal.name == each.signal);
            if place.is_some_and(|place| definitions[place] == each.definition) {
                let group = Group::from_text(each.group.as_deref().unwrap_or_default());
                let groups = self.baselines.entry(each.signal.clone()).or_default();
                groups.insert(group, (each.value, each.readings));
            }
        }
    }
}

/// Adds the targets that `more` marks to those of `all`.
pub(crate) fn mark(all: &mut [bool], more: &[bool]) {
    all.iter_mut().zip(more).for_each(|(all, more)| *all |= more);
}

/// Each group once, in order.
fn sorted(mut groups: Vec<Group>) -> Vec<Group> {
    groups.sort();
    groups.dedup();
    groups
}
