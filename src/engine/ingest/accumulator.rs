//! What one signal gathers from one target: totals of counters, buckets of histograms, gauges.
//!
//! Samples are added one by one during a scrape; `close` turns them into a row of the window. A
//! scrape that spoiled one of the signal's metrics gives no row, and the reading says why.
//!
//! A target has one accumulator for each signal that may find something there, and for a signal
//! that is read by labels one more for each group, made when the group's first series appears.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::group::{Group, MAX_GROUPS};
use crate::model::index::SignalIx;
use crate::model::native::NativeHistogram;
use crate::model::reading::NoData;
use crate::model::signal::{AgeOf, Threshold};
use crate::model::time::{Instant, Timestamp};

use crate::engine::window::counter::Window;
use crate::engine::window::native_window::NativeWindow;

/// What a matched series contributes to a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contribution {
    /// Its increase, to this column.
    Counter(usize),
    /// Its increase, to the bucket with this upper bound.
    Bucket(f64),
    /// Its increase, if it is a native histogram.
    Native,
    /// Its value as it is.
    Gauge,
    /// One, where its value passes.
    Counted(Option<Threshold>),
    /// The time when something happened.
    Age(AgeOf),
}

impl Contribution {
    /// Whether the value is one that only rises until its process starts anew.
    pub(crate) const fn is_counter(self) -> bool {
        matches!(self, Self::Counter(_) | Self::Bucket(_))
    }
}

/// A finite sample of the page at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CurrentSample {
    pub(crate) value: f64,
    /// How much its series gained since it was last seen.
    pub(crate) gain: f64,
    /// How old it is, where it has a timestamp of its own.
    pub(crate) age: Option<Duration>,
    /// The time of the scrape.
    pub(crate) at: Instant,
    pub(crate) wall: Timestamp,
}

/// The gauges of one scrape, aggregated in every way that may be asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GaugeAggregate {
    pub(crate) count: u32,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl GaugeAggregate {
    pub(crate) const NONE: Self =
        Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    fn add(&mut self, value: f64) {
        self.merge(Self { count: 1, sum: value, min: value, max: value });
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// What one signal knows from one target.
#[derive(Clone, Debug)]
pub(crate) struct Accumulator {
    signal: SignalIx,
    stale: Duration,
    length: Duration,
    totals: Vec<f64>,
    window: Window,
    /// Upper bounds of histogram columns, in the order in which they appeared.
    bounds: Vec<f64>,
    natives: NativeWindow,
    /// What the page at hand, or the last one, says.
    page: PageState,
    /// The gauges of the last scrape that could be read.
    gauges: GaugeAggregate,
    /// How long ago something happened, and when that was known.
    age: Option<(Instant, Duration)>,
    last_match: Option<Instant>,
    last_close: Option<Instant>,
}

/// What one page says to a signal.
#[derive(Clone, Copy, Debug)]
struct PageState {
    /// The bucket before the one at hand was not the last of its histogram.
    in_histogram: bool,
    gauges: GaugeAggregate,
    /// How long ago something happened, as its gauges say.
    youngest: Option<Duration>,
    spoiled: Option<NoData>,
    /// A series matched, but its own timestamp is too old.
    outdated: bool,
    matched: bool,
}

impl PageState {
    const NEW: Self = Self {
        in_histogram: false,
        gauges: GaugeAggregate::NONE,
        youngest: None,
        spoiled: None,
        outdated: false,
        matched: false,
    };
}

/// What an accumulator can contribute to a reading at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// No page of the target could be read yet: nobody can say whether something matches.
    Unknown,
    /// Nothing on this target matches.
    Absent,
    /// The last scrape spoiled it.
    Spoiled(NoData),
    /// Its samples are too old.
    Stale,
    /// It can be read.
    Ready,
}

impl Accumulator {
    /// An accumulator over a window of `length` with that many counter columns; histograms start
    /// with none.
    pub(crate) fn new(signal: SignalIx, length: Duration, stale: Duration, columns: usize) -> Self {
        Self {
            signal,
            stale,
            length,
            totals: vec![0.0; columns],
            window: Window::new(length, stale, columns),
            bounds: Vec::new(),
            natives: NativeWindow::default(),
            page: PageState::NEW,
            gauges: GaugeAggregate::NONE,
            age: None,
            last_match: None,
            last_close: None,
        }
    }

    /// Begins a scrape.
    pub(crate) const fn open(&mut self) {
        self.page = PageState::NEW;
    }

    /// A sample of this scrape. Its own timestamp must not be too old, except where the age is what
    /// is read.
    pub(crate) fn add(&mut self, contribution: Contribution, sample: &CurrentSample) {
        let is_age = matches!(contribution, Contribution::Age(_));
        if !is_age && self.is_outdated(sample.age) {
            return;
        }
        self.page.matched = true;
        match contribution {
            Contribution::Counter(column) => self.totals[column] += sample.gain,
            Contribution::Native => {}
            Contribution::Bucket(bound) => self.add_to_bucket(bound, sample.gain),
            Contribution::Gauge => self.page.gauges.add(sample.value),
            Contribution::Counted(threshold) => {
                let passes = threshold.is_none_or(|threshold| threshold.passes(sample.value));
                self.page.gauges.count += u32::from(passes);
            }
            Contribution::Age(since) => self.note_age(since, sample),
        }
    }

    /// A native histogram of this scrape: how much it gained since the last one, and how old it is
    /// by its own timestamp.
    pub(crate) fn add_native(&mut self, gain: &NativeHistogram, age: Option<Duration>) {
        if !self.is_outdated(age) {
            self.page.matched = true;
            self.natives.add(gain);
        }
    }

    /// Whether a sample is too old to count; notes that one was.
    fn is_outdated(&mut self, age: Option<Duration>) -> bool {
        let outdated = age.is_some_and(|age| age > self.stale);
        self.page.outdated |= outdated;
        outdated
    }

    fn add_to_bucket(&mut self, bound: f64, gain: f64) {
        // Pages list a histogram's buckets one after another and ascending.
        let was_within = std::mem::replace(&mut self.page.in_histogram, bound != f64::INFINITY);
        if bound == f64::INFINITY && !was_within {
            self.natives.add_bare(gain);
        }
        let column = self.bounds.iter().position(|known| known.total_cmp(&bound).is_eq());
        let column = column.unwrap_or_else(|| {
            self.bounds.push(bound);
            self.totals.push(0.0);
            self.window.add_column();
            self.bounds.len() - 1
        });
        self.totals[column] += gain;
    }

    /// A sample that was there stays the newest though its series vanishes; what a gauge held is
    /// over with it.
    fn note_age(&mut self, since: AgeOf, sample: &CurrentSample) {
        let least = |known: Option<Duration>, ago: Duration| known.map_or(ago, |age| age.min(ago));
        match since {
            AgeOf::Sample => {
                let ago = sample.age.unwrap_or_default();
                self.age = Some((sample.at, least(self.age(sample.at), ago)));
            }
            AgeOf::Value => {
                // Whole milliseconds of time since 1970; what is out of range is clamped.
                let time = Timestamp::from_millis((sample.value * 1000.0) as i64);
                self.page.youngest = Some(least(self.page.youngest, sample.wall.since(time)));
            }
        }
    }

    /// A series that matches is there, but has no value. For a gauge that is worth knowing: a
    /// summary that observed nothing says so.
    pub(crate) fn note_empty(&mut self, contribution: Contribution) {
        self.page.matched |= contribution == Contribution::Gauge;
    }

    /// This scrape tells nothing about the signal, for this reason.
    pub(crate) fn spoil(&mut self, why: NoData) {
        self.page.spoiled = self.page.spoiled.or(Some(why));
    }

    /// Ends a scrape whose samples are those of `at`.
    pub(crate) fn close(&mut self, at: Instant) {
        if self.page.matched {
            self.last_match = Some(at);
        }
        if self.page.spoiled.is_none() {
            self.window.push(at, &mut self.totals);
            if self.last_close.is_none_or(|last| last < at) {
                self.natives.push(at, self.window.oldest());
            }
            self.gauges = self.page.gauges;
            self.age = self.page.youngest.map(|age| (at, age)).or(self.age);
            self.last_close = Some(at);
        }
    }

    /// What it can contribute to a reading at `at`.
    pub(crate) fn availability(&self, at: Instant) -> Availability {
        if let Some(why) = self.page.spoiled {
            return Availability::Spoiled(why);
        }
        if self.page.outdated && !self.page.matched {
            return Availability::Stale;
        }
        match (self.last_match, self.last_close) {
            (Some(_), Some(closed)) if at.since(closed) > self.stale => Availability::Stale,
            (Some(_), Some(_)) if self.is_known() => Availability::Ready,
            // What vanished has left the window, too.
            (None | Some(_), Some(_)) => Availability::Absent,
            (None | Some(_), None) => Availability::Unknown,
        }
    }

    /// Whether something that matches was ever there and may still have a share.
    pub(crate) fn is_known(&self) -> bool {
        match (self.last_match, self.last_close) {
            (Some(matched), Some(closed)) => closed.since(matched) <= self.length + self.stale,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The time of the last scrape that could be read; `None`: no page could be read yet.
    pub(crate) const fn last_close(&self) -> Option<Instant> {
        self.last_close
    }

    /// The totals of its counters and buckets.
    pub(crate) const fn window(&self) -> &Window {
        &self.window
    }

    /// The histogram's upper bounds, unordered, one a column.
    pub(crate) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// The gains of its native histograms.
    pub(crate) const fn natives(&self) -> &NativeWindow {
        &self.natives
    }

    /// How long ago something happened, as of `at`.
    pub(crate) fn age(&self, at: Instant) -> Option<Duration> {
        self.age.map(|(when, ago)| ago + at.since(when))
    }

    /// The gauges of the last scrape that could be read.
    pub(crate) const fn gauges(&self) -> GaugeAggregate {
        self.gauges
    }
}

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
        self.list[..self.of_signals].iter().position(|each| each.signal == signal)
    }

    /// The groups of the signal whose accumulator is `of`, in order.
    pub(crate) fn groups(&self, of: AccumulatorIx) -> impl Iterator<Item = (&Group, &Accumulator)> {
        let all = (of, Group::ALL)..(of + 1, Group::ALL);
        self.groups.range(all).map(|((_, group), ix)| (group, &self.list[*ix]))
    }

    /// A group's accumulator, if there is one.
    pub(crate) fn of_group(&self, of: AccumulatorIx, group: &Group) -> Option<&Accumulator> {
        self.groups.get(&(of, group.clone())).map(|ix| &self.list[*ix])
    }

    /// When the next sample of a signal, in any of its groups, will be too old.
    pub(crate) fn expires(&self, of: AccumulatorIx, at: Instant) -> Option<Instant> {
        let all = self.groups(of).map(|(_, accumulator)| accumulator).chain([&self.list[of]]);
        let expires =
            |each: &Accumulator| Some(each.last_match.and(each.last_close)?.after(each.stale));
        all.filter_map(expires).filter(|expires| *expires >= at).min()
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
        let all = (of, Group::ALL)..(of + 1, Group::ALL);
        for ix in self.groups.range(all).map(|(_, ix)| *ix).chain([of]) {
            self.list[ix].spoil(why);
        }
    }

    /// Whether a series of the signal whose accumulator is `of` found no room for its group.
    pub(crate) fn is_crowded_at(&self, of: AccumulatorIx) -> bool {
        self.crowded.contains(&of)
    }

    /// Where there was no room for a group, forgets those of which nothing has been seen for longer
    /// than their windows. Returns whether it did: every index of a group's accumulator is void
    /// then.
    pub(crate) fn make_room(&mut self, at: Instant) -> bool {
        if std::mem::take(&mut self.crowded).is_empty() {
            return false;
        }
        let groups = std::mem::take(&mut self.groups);
        let old = self.list.split_off(self.of_signals);
        for ((of, group), ix) in groups {
            let own = &old[ix - self.of_signals];
            if own.availability(at) != Availability::Absent {
                self.add_group(of, group, own.clone());
            }
        }
        true
    }

    /// Takes over what is known of the signals that `same` finds among those of another plan, with
    /// their groups.
    pub(crate) fn inherit(&mut self, old: &Self, same: impl Fn(SignalIx) -> Option<SignalIx>) {
        for ix in 0..self.of_signals {
            let signal = self.list[ix].signal;
            let before = same(signal).and_then(|before| old.of_signal(before));
            let Some(before) = before else { continue };
            let moved = |own: &Accumulator| Accumulator { signal, ..own.clone() };
            self.list[ix] = moved(&old.list[before]);
            for (group, own) in old.groups(before) {
                self.add_group(ix, group.clone(), moved(own));
            }
        }
    }
}
