//! Every signal's readings, in each of its groups, and when they change. Readings follow from what
//! targets accumulated and from one another; no rule is evaluated here.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::entry::Frozen;
use crate::model::group::Group;
use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::reading::{NoData, Reading, Telemetry};
use crate::model::scrape::Scrape;
use crate::model::signal::{Reduction, Signal, SignalKind};
use crate::model::target::Target;
use crate::model::time::Instant;

use super::baseline::Baselines;
use super::condition;
use super::reading;
use crate::engine::ingest::accumulator::Accumulator;
use crate::engine::ingest::accumulators::AccumulatorIx;
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
    baselines: Baselines,
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

    /// The time in which each of several targets has had its turn to feed it: its readings within
    /// that time are of almost the same samples. Zero where there is only one.
    fn turn(&self, plan: &Plan) -> Duration {
        let shortest = self.targets(plan).map(|target| target.interval).min();
        shortest.filter(|_| self.targets(plan).nth(1).is_some()).unwrap_or_default()
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
        let is_up = signal.kind.up().is_some();
        if let Some(name) = signal.kind.up()
            && let Some(target) = plan.targets.iter().position(|target| target.name == *name)
        {
            fed_by[target] = true;
        }
        let mut fed_by_failures = vec![false; targets.len()];
        if is_up || signal.kind.outlives_silence() {
            fed_by_failures.clone_from(&fed_by);
        }
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
        self.baselines = old.baselines;
        self.baselines.retain(plan, unchanged);
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
            let groups = self.groups_of(ix, &signal.kind, inputs.targets);
            let others = Group::others();
            let read = |group: Group| {
                let reading = match group == others {
                    true => Reading::NoData(NoData::TooManyGroups),
                    false => self.read_group(signal, ix, &group, inputs),
                };
                (group, reading)
            };
            let readings: Vec<_> = groups.into_iter().map(read).collect();
            let absent = self.absent(signal, ix, inputs);
            let state = &mut self.states[ix.0];
            state.absent = absent;
            state.set_groups(readings);
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
            SignalKind::Baseline { of, min_readings, .. } => {
                self.baselines.reading(&inputs.plan.signal(*of).name, group, *min_readings)
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
        match inputs.targets[target].last() {
            None => (Reading::NoData(NoData::NeverScraped), None),
            Some((when, _)) if inputs.at.since(when) > stale => {
                (Reading::NoData(NoData::Stale), None)
            }
            Some((when, Ok(()))) => (Reading::Value(1.0), Some(when.after(stale))),
            Some((when, Err(()))) => (Reading::Value(0.0), Some(when.after(stale))),
        }
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

    /// The groups that any of the signals has, in order.
    pub(crate) fn groups_of_any(&self, signals: &[SignalIx]) -> Vec<Group> {
        let all = signals.iter().flat_map(|signal| self.groups(*signal));
        sorted(all.map(|(group, _)| group.clone()).collect())
    }

    /// The baselines as they are at `at`.
    pub(crate) fn measure(&self, plan: &Plan, at: Instant) -> Vec<Frozen> {
        let histories = |of: SignalIx| {
            let state = &self.states[of.0];
            (state.spacing(plan).max(state.turn(plan)), state.history.iter())
        };
        Baselines::measure(plan, histories, at)
    }

    /// Freezes baselines until others are.
    pub(crate) fn freeze(&mut self, plan: &Plan, frozen: &[Frozen]) {
        self.baselines = Baselines::of(plan, frozen);
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
