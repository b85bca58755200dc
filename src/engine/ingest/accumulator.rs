//! What one signal gathers from one target: totals of counters, buckets of histograms, gauges.
//!
//! Samples are added one by one during a scrape; `close` turns them into a row of the window. A
//! scrape that spoiled one of the signal's metrics gives no row, and the reading says why.

use std::time::Duration;

use crate::model::index::SignalIx;
use crate::model::native::NativeHistogram;
use crate::model::reading::NoData;
use crate::model::signal::{AgeOf, Threshold};
use crate::model::time::{Instant, Timestamp};

use crate::engine::window::counter::{Span, Window};
use crate::engine::window::native_window::{Gains, NativeWindow};

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
    /// The bucket before the one at hand.
    last_bound: f64,
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
        last_bound: f64::INFINITY,
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

    /// The signal that it is of.
    pub(crate) const fn signal(&self) -> SignalIx {
        self.signal
    }

    /// The same for a signal of another plan.
    pub(crate) fn moved_to(&self, signal: SignalIx) -> Self {
        Self { signal, ..self.clone() }
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
        if bound == f64::INFINITY && self.page.last_bound == f64::INFINITY {
            self.natives.add_bare(gain);
        }
        self.page.last_bound = bound;
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

    /// When its samples will be too old, unless more come.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.last_match.and(self.last_close).map(|closed| closed.after(self.stale))
    }

    /// The rows that a window ending at `at` uses.
    ///
    /// # Errors
    /// `WindowFilling`, where there are fewer than two.
    pub(crate) fn span(&self, at: Instant) -> Result<Span, NoData> {
        self.window.span(at)
    }

    /// How much a column grew over a span.
    pub(crate) fn increase(&self, span: Span, column: usize) -> f64 {
        self.window.increase(span, column)
    }

    /// The histogram's upper bounds, unordered, one a column.
    pub(crate) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// Whether a native histogram was seen within the window.
    pub(crate) fn has_natives(&self) -> bool {
        self.natives.is_known()
    }

    /// What native histograms gained over a span.
    pub(crate) fn natives(&self, span: Span) -> Gains {
        self.natives.gains(self.window.times(span))
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
