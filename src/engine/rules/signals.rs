//! Every signal's readings, in each of its groups, and when they change. Readings follow from the
//! feeds' tracks and from one another; nothing here judges.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::entry::Frozen;
use crate::model::group::Group;
use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::reading::{NoData, Reading, Telemetry};
use crate::model::scrape::Scrape;
use crate::model::signal::{Signal, SignalKind, Since};
use crate::model::time::Instant;

use super::baseline::Baselines;
use super::condition;
use super::reading::{self, Tracks};
use crate::engine::ingest::accumulator::Track;
use crate::engine::ingest::accumulators::TrackIx;
use crate::engine::ingest::target::Feed;
use crate::engine::window::gauge::OverWindow;
use crate::engine::window::history::History;

/// The signals of a plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    states: Vec<SignalState>,
    baselines: Baselines,
}

#[derive(Clone, Debug)]
struct SignalState {
    /// Where its tracks are: target and place there.
    tracks: Vec<(usize, TrackIx)>,
    /// Its readings in the order of their groups; one for everything unless it is read by labels.
    readings: Vec<(Group, Reading)>,
    /// Why a group that is not among them has no reading.
    absent: NoData,
    /// The windows of a gauge that is read over time.
    over: BTreeMap<Group, OverWindow>,
    /// What it read, where somebody looks back, and how far back.
    history: BTreeMap<Group, History>,
    keep: Option<Duration>,
    /// When its newest samples will be too old.
    expires: Option<Instant>,
    /// The targets that it depends on, directly or through other signals.
    fed_by: Vec<bool>,
    /// Those of them whose silence is news, too.
    asks_after: Vec<bool>,
}

impl SignalState {
    /// What is kept of groups that are no more, goes with them.
    fn forget_groups(&mut self) {
        let Self { readings, over, history, .. } = self;
        let is_there = |group: &Group| readings.iter().any(|(known, _)| known == group);
        over.retain(|group, _| is_there(group));
        history.retain(|group, _| is_there(group));
    }

    /// Keeps the readings, where somebody looks back.
    fn remember(&mut self, at: Instant) {
        let Some(keep) = self.keep else { return };
        let others = Group::others();
        for (group, reading) in self.readings.iter().filter(|(group, _)| *group != others) {
            self.history.entry(group.clone()).or_default().push(at, *reading, keep);
        }
    }
}

impl Signals {
    /// The signals of a plan, before anything was seen.
    pub(crate) fn new(plan: &Plan, feeds: &[Feed]) -> Self {
        let mut all = Self::default();
        for index in 0..plan.signals.len() {
            let state = all.state(plan, feeds, SignalIx(index));
            all.states.push(state);
        }
        for (of, keep) in plan.signals.iter().filter_map(|signal| signal.kind.looks_back()) {
            let state = &mut all.states[of.0];
            state.keep = state.keep.max(Some(keep));
        }
        all
    }

    fn state(&self, plan: &Plan, feeds: &[Feed], ix: SignalIx) -> SignalState {
        let signal = plan.signal(ix);
        let places = feeds.iter().enumerate();
        let tracks: Vec<_> = places
            .filter_map(|(target, feed)| Some((target, feed.tracks.of_signal(ix)?)))
            .collect();
        let mut fed_by = vec![false; feeds.len()];
        tracks.iter().for_each(|(target, _)| fed_by[*target] = true);
        let mut asks_after = vec![false; feeds.len()];
        if let SignalKind::Up(name) = &signal.kind
            && let Some(target) = plan.targets.iter().position(|t| t.name == *name)
        {
            (fed_by[target], asks_after[target]) = (true, true);
        }
        if let SignalKind::Age { since: Since::Sample, .. } = signal.kind {
            asks_after.clone_from(&fed_by);
        }
        signal.kind.for_each_signal(&mut |inner| {
            add(&mut fed_by, &self.states[inner.0].fed_by);
            add(&mut asks_after, &self.states[inner.0].asks_after);
        });
        let never = Reading::NoData(NoData::NeverScraped);
        SignalState {
            tracks,
            readings: if signal.by.is_empty() { vec![(Group::ALL, never)] } else { Vec::new() },
            absent: NoData::NeverScraped,
            over: BTreeMap::new(),
            history: BTreeMap::new(),
            keep: None,
            expires: None,
            fed_by,
            asks_after,
        }
    }

    /// Takes over what is known of the signals that `same` finds among those of an earlier plan.
    pub(crate) fn inherit(&mut self, mut old: Self, plan: &Plan, same: &[Option<SignalIx>]) {
        for (state, before) in self.states.iter_mut().zip(same) {
            if let Some(before) = before {
                let before = &mut old.states[before.0];
                state.over = std::mem::take(&mut before.over);
                if state.keep.is_some() {
                    state.history = std::mem::take(&mut before.history);
                }
            }
        }
        let unchanged = |ix: usize| same.get(ix).copied().flatten().is_some();
        self.baselines = old.baselines.kept(plan, unchanged);
    }

    /// Which of the signals a scrape feeds.
    pub(crate) fn fed(&self, scrape: &Scrape) -> Vec<bool> {
        (0..self.states.len()).map(|ix| self.is_fed(SignalIx(ix), scrape)).collect()
    }

    /// Whether a scrape fed a signal. A failed one is news only to those who ask after the target.
    pub(crate) fn is_fed(&self, signal: SignalIx, scrape: &Scrape) -> bool {
        let signal = &self.states[signal.0];
        let targets = if scrape.result.is_ok() { &signal.fed_by } else { &signal.asks_after };
        targets[scrape.target.0]
    }

    /// The targets that any of the signals depends on.
    pub(crate) fn fed_by(&self, targets: usize, signals: &[SignalIx]) -> Vec<bool> {
        let mut fed_by = vec![false; targets];
        signals.iter().for_each(|signal| add(&mut fed_by, &self.states[signal.0].fed_by));
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
    pub(crate) fn refresh(
        &mut self,
        plan: &Plan,
        feeds: &[Feed],
        which: impl Fn(usize) -> bool,
        at: Instant,
    ) {
        let mut changed = vec![false; self.states.len()];
        for (index, signal) in plan.signals.iter().enumerate() {
            let mut due = which(index);
            signal.kind.for_each_signal(&mut |inner| due |= changed[inner.0]);
            if due {
                changed[index] = true;
                self.read(signal, SignalIx(index), plan, feeds, at);
            }
        }
    }

    fn read(&mut self, signal: &Signal, ix: SignalIx, plan: &Plan, feeds: &[Feed], at: Instant) {
        let expires = self.expires(signal, ix, plan, feeds, at).filter(|expires| *expires >= at);
        self.states[ix.0].expires = expires;
        if signal.by.is_empty() {
            let reading = self.read_group(signal, ix, &Group::ALL, plan, feeds, at);
            self.states[ix.0].readings[0].1 = reading;
        } else {
            let groups = self.groups_of(ix, &signal.kind, feeds);
            let others = Group::others();
            let read = |group: Group| {
                let reading = match group == others {
                    true => Reading::NoData(NoData::TooManyGroups),
                    false => self.read_group(signal, ix, &group, plan, feeds, at),
                };
                (group, reading)
            };
            let readings: Vec<_> = groups.into_iter().map(read).collect();
            let absent = self.absent(signal, ix, plan, feeds, at);
            let state = &mut self.states[ix.0];
            (state.readings, state.absent) = (readings, absent);
            state.forget_groups();
        }
        self.states[ix.0].remember(at);
    }

    /// The groups that a signal has now, in order.
    fn groups_of(&self, ix: SignalIx, kind: &SignalKind, feeds: &[Feed]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        kind.for_each_signal(&mut |inner| {
            groups.extend(self.groups(inner).iter().map(|(group, _)| group.clone()));
        });
        for (feed, track) in &self.states[ix.0].tracks {
            let known = feeds[*feed].tracks.groups(*track);
            groups.extend(known.filter(|(_, t)| t.is_known()).map(|(group, _)| group.clone()));
            groups.extend(feeds[*feed].tracks.is_crowded_at(*track).then(Group::others));
        }
        groups.retain(|group| *group != Group::ALL);
        groups.sort();
        groups.dedup();
        groups
    }

    /// Why a group that is not known has no reading. What is computed from other signals says what
    /// they say of such a group.
    fn absent(
        &mut self,
        signal: &Signal,
        ix: SignalIx,
        plan: &Plan,
        feeds: &[Feed],
        at: Instant,
    ) -> NoData {
        if signal.kind.is_sampled() {
            let tracks: Tracks<'_> = self.tracks(ix, &[], &Group::ALL, feeds).collect();
            return reading::absence(&tracks, at);
        }
        match self.read_group(signal, ix, &Group::ALL, plan, feeds, at) {
            Reading::NoData(why) => why,
            Reading::Value(_) | Reading::AtLeast(_) => NoData::NoSeries,
        }
    }

    /// The tracks of a signal in one group. A target of which nothing is known yet may have a
    /// share of any group that its labels do not rule out.
    fn tracks<'f>(
        &self,
        ix: SignalIx,
        by: &'f [String],
        group: &'f Group,
        feeds: &'f [Feed],
    ) -> impl Iterator<Item = &'f Track> + use<'_, 'f> {
        self.states[ix.0].tracks.iter().filter_map(move |(feed, track)| {
            let tracks = &feeds[*feed].tracks;
            if *group == Group::ALL {
                return Some(&tracks[*track]);
            }
            let own = tracks.of_group(*track, group);
            let may_have = |track: &&Track| track.is_untried() && feeds[*feed].may_have(group, by);
            own.or_else(|| Some(&tracks[*track]).filter(may_have))
        })
    }

    fn read_group(
        &mut self,
        signal: &Signal,
        ix: SignalIx,
        group: &Group,
        plan: &Plan,
        feeds: &[Feed],
        at: Instant,
    ) -> Reading {
        let tracks: Tracks<'_> = self.tracks(ix, &signal.by, group, feeds).collect();
        let now = match &signal.kind {
            SignalKind::Value(value) => Reading::Value(*value),
            SignalKind::Up(_) => self.read_up(signal, ix, plan, feeds, at).0,
            SignalKind::Expr(expr) => {
                condition::number(expr, &|inner| self.reading_in(inner, group))
            }
            SignalKind::Baseline { of, min_readings, .. } => {
                self.baselines.reading(&plan.signal(*of).name, group, *min_readings)
            }
            SignalKind::Before { of, window } => {
                let history = self.states[of.0].history.get(group);
                let earlier = history.and_then(|history| {
                    history.before(at, *window, self.reach_before(*of, *window, plan))
                });
                earlier.map_or(Reading::NoData(NoData::NoEarlierReading), |(_, reading)| reading)
            }
            SignalKind::Quantile { .. } if !reading::has_buckets(&tracks) => {
                reading::summary_quantile(&tracks, at)
            }
            SignalKind::Count { .. } => reading::count(&tracks, at),
            SignalKind::Age { since, .. } => reading::age(*since, &tracks, at),
            SignalKind::Gauge { across, .. } => reading::across(*across, &tracks, at),
            kind @ (SignalKind::Rate { .. }
            | SignalKind::Increase { .. }
            | SignalKind::Ratio { .. }
            | SignalKind::Mean { .. }
            | SignalKind::Quantile { .. }) => reading::over_counters(kind, &tracks, at),
        };
        let (SignalKind::Gauge { over, .. }, false) =
            (&signal.kind, signal.kind.window().is_zero())
        else {
            return now;
        };
        // As of the newest sample: looking again adds nothing.
        let sampled = tracks.iter().filter_map(|track| track.last_close()).max();
        let spacing = spacing(plan, &self.states[ix.0].fed_by);
        let window = &mut self.states[ix.0].over;
        let window = window.entry(group.clone()).or_insert_with(|| OverWindow::new(*over, spacing));
        reading::over_time(window, now, sampled.unwrap_or(at))
    }

    /// How much older than its window the reading of one window ago may be: as old as the samples
    /// of the signal may be.
    fn reach_before(&self, of: SignalIx, window: Duration, plan: &Plan) -> Duration {
        let fed_by = plan.targets.iter().zip(&self.states[of.0].fed_by);
        let slowest = fed_by.filter(|(_, fed)| **fed).map(|(target, _)| target.stale()).max();
        plan.signal(of).stale.or(slowest).unwrap_or(window)
    }

    fn read_up(
        &self,
        signal: &Signal,
        ix: SignalIx,
        plan: &Plan,
        feeds: &[Feed],
        at: Instant,
    ) -> (Reading, Option<Instant>) {
        let target = self.states[ix.0].fed_by.iter().position(|fed| *fed);
        let Some((target, feed)) = target.map(|t| (&plan.targets[t], &feeds[t])) else {
            return (Reading::NoData(NoData::NoSeries), None);
        };
        let stale = signal.stale.unwrap_or_else(|| target.stale());
        match feed.last {
            None => (Reading::NoData(NoData::NeverScraped), None),
            Some((when, _)) if at.since(when) > stale => (Reading::NoData(NoData::Stale), None),
            Some((when, Ok(()))) => (Reading::Value(1.0), Some(when.after(stale))),
            Some((when, Err(()))) => (Reading::Value(0.0), Some(when.after(stale))),
        }
    }

    fn expires(
        &self,
        signal: &Signal,
        ix: SignalIx,
        plan: &Plan,
        feeds: &[Feed],
        at: Instant,
    ) -> Option<Instant> {
        if let SignalKind::Up(_) = signal.kind {
            return self.read_up(signal, ix, plan, feeds, at).1;
        }
        if let SignalKind::Age { since: Since::Sample, .. } = signal.kind {
            return None;
        }
        if let SignalKind::Before { of, window } = signal.kind {
            let stale = self.reach_before(of, window, plan);
            let histories = self.states[of.0].history.values();
            let used = histories.filter_map(|history| history.before(at, window, stale));
            return used.map(|(read, _)| read.after(window).after(stale)).min();
        }
        // What is silent already has expired; the others still may.
        let tracks = &self.states[ix.0].tracks;
        let of_track = |(feed, track): &(usize, TrackIx)| feeds[*feed].tracks.expires(*track, at);
        tracks.iter().filter_map(of_track).min()
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

    /// The baselines as they are at `at`.
    pub(crate) fn measure(&self, plan: &Plan, at: Instant) -> Vec<Frozen> {
        let histories = |of: SignalIx| {
            let state = &self.states[of.0];
            (spacing(plan, &state.fed_by).max(turn(plan, &state.fed_by)), state.history.iter())
        };
        Baselines::measure(plan, histories, at)
    }

    /// Freezes baselines until others are.
    pub(crate) fn freeze(&mut self, plan: &Plan, frozen: &[Frozen]) {
        self.baselines = Baselines::of(plan, frozen);
    }
}

/// The time that must lie between two samples for both to count, where targets are sampled more
/// often at times; zero where each counts.
fn spacing(plan: &Plan, fed_by: &[bool]) -> Duration {
    let targets = plan.targets.iter().zip(fed_by).filter(|(_, fed)| **fed);
    let sharpened = targets.filter(|(target, _)| target.sharpen.is_some());
    sharpened.map(|(target, _)| target.interval).max().unwrap_or_default()
}

/// The time in which each of several targets has had its turn to feed a signal: its readings within
/// that time are of almost the same samples. Zero where there is only one.
fn turn(plan: &Plan, fed_by: &[bool]) -> Duration {
    let intervals = plan.targets.iter().zip(fed_by).filter(|(_, fed)| **fed);
    let intervals: Vec<Duration> = intervals.map(|(target, _)| target.interval).collect();
    let shortest = intervals.iter().min().copied().unwrap_or_default();
    if intervals.len() > 1 { shortest } else { Duration::ZERO }
}

/// Adds the targets that `more` marks to those of `all`.
fn add(all: &mut [bool], more: &[bool]) {
    all.iter_mut().zip(more).for_each(|(all, more)| *all |= more);
}
