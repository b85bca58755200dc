//! What one signal gathers from one target: totals of counters, buckets of histograms, gauges.
//!
//! Samples are added one by one during a scrape; `close` turns them into a row of the window. A
//! scrape that spoiled one of the signal's metrics gives no row, and the reading says why.

use std::time::Duration;

use crate::model::index::SignalIx;
use crate::model::native::NativeHistogram;
use crate::model::reading::NoData;
use crate::model::signal::{Limit, Since};
use crate::model::time::Instant;

use crate::engine::window::counter::{Span, Window};
use crate::engine::window::native_window::{Gains, NativeWindow};

/// What a matched series is to a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// Its increase belongs to this column.
    Counter(usize),
    /// Its increase belongs to the bucket with this upper bound.
    Bucket(f64),
    /// If it is a native histogram, its increase counts.
    Native,
    /// Its value counts as it is.
    Gauge,
    /// It counts where its value passes.
    Count(Option<Limit>),
    /// It says when something happened.
    Age(Since),
}

/// Gauges of one scrape, combined in every way that may be asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gauges {
    pub(crate) count: u32,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Gauges {
    pub(crate) const NONE: Self =
        Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    pub(crate) fn add(&mut self, value: f64) {
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
pub(crate) struct Track {
    pub(crate) signal: SignalIx,
    pub(crate) stale: Duration,
    length: Duration,
    totals: Vec<f64>,
    window: Window,
    /// Upper bounds of histogram columns, in the order in which they appeared.
    bounds: Vec<f64>,
    natives: NativeWindow,
    /// The bucket before the one at hand.
    last_bound: f64,
    gauges: Gauges,
    gathering: Gauges,
    /// How long ago something happened as the gauges of this scrape say, and as was known when.
    youngest: Option<Duration>,
    age: Option<(Instant, Duration)>,
    spoiled: Option<NoData>,
    /// A series matched, but its own timestamp is too old.
    outdated: bool,
    matched: bool,
    last_match: Option<Instant>,
    last_close: Option<Instant>,
}

/// How a track stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
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

impl Track {
    /// A track over a window of `length` with that many counter columns; histograms start with
    /// none.
    pub(crate) fn new(signal: SignalIx, length: Duration, stale: Duration, columns: usize) -> Self {
        Self {
            signal,
            stale,
            length,
            totals: vec![0.0; columns],
            window: Window::new(length, stale, columns),
            bounds: Vec::new(),
            natives: NativeWindow::default(),
            last_bound: f64::INFINITY,
            gauges: Gauges::NONE,
            gathering: Gauges::NONE,
            youngest: None,
            age: None,
            spoiled: None,
            outdated: false,
            matched: false,
            last_match: None,
            last_close: None,
        }
    }

    /// A sample of this scrape: its value, and how much its series gained since the last one.
    pub(crate) fn add(&mut self, role: Role, value: f64, gain: f64) {
        self.matched = true;
        match role {
            Role::Counter(column) => self.totals[column] += gain,
            Role::Native => {}
            Role::Bucket(bound) => {
                // Pages list a histogram's buckets one after another and ascending.
                if bound == f64::INFINITY && self.last_bound == f64::INFINITY {
                    self.natives.add_bare(gain);
                }
                self.last_bound = bound;
                let column = self.bounds.iter().position(|known| known.total_cmp(&bound).is_eq());
                let column = column.unwrap_or_else(|| self.add_bucket(bound));
                self.totals[column] += gain;
            }
            Role::Gauge => self.gathering.add(value),
            Role::Count(limit) => {
                self.gathering.count += u32::from(limit.is_none_or(|limit| limit.passes(value)));
            }
            Role::Age(_) => {}
        }
    }

    /// A sample of the scrape of `at` says that something happened this long ago. A sample that
    /// was there stays the newest though its series vanishes; what a gauge held is over with it.
    pub(crate) fn note_age(&mut self, since: Since, at: Instant, ago: Duration) {
        self.matched = true;
        match since {
            Since::Sample => self.age = Some((at, self.age(at).map_or(ago, |age| age.min(ago)))),
            Since::Value => {
                self.youngest = Some(self.youngest.map_or(ago, |known| known.min(ago)));
            }
        }
    }

    /// A native histogram of this scrape: how much it gained since the last one.
    pub(crate) fn add_native(&mut self, gain: &NativeHistogram) {
        self.matched = true;
        self.natives.add(gain);
    }

    fn add_bucket(&mut self, bound: f64) -> usize {
        self.bounds.push(bound);
        self.totals.push(0.0);
        self.window.add_column();
        self.bounds.len() - 1
    }

    /// A series that matches is there, but has no value. For a gauge that is worth knowing: a
    /// summary that observed nothing says so.
    pub(crate) const fn note_empty(&mut self, role: Role) {
        match role {
            Role::Gauge => self.matched = true,
            Role::Counter(_) | Role::Bucket(_) | Role::Native | Role::Count(_) | Role::Age(_) => {}
        }
    }

    /// This scrape tells nothing about the signal, for this reason.
    pub(crate) fn spoil(&mut self, why: NoData) {
        self.spoiled = self.spoiled.or(Some(why));
    }

    /// A series that matches is there, but its own timestamp is too old to count.
    pub(crate) const fn note_outdated(&mut self) {
        self.outdated = true;
    }

    /// Begins a scrape.
    pub(crate) const fn open(&mut self) {
        self.spoiled = None;
        self.outdated = false;
        self.matched = false;
        self.last_bound = f64::INFINITY;
        self.gathering = Gauges::NONE;
        self.youngest = None;
    }

    /// Ends a scrape whose samples are those of `at`.
    pub(crate) fn close(&mut self, at: Instant) {
        if self.matched {
            self.last_match = Some(at);
        }
        if self.spoiled.is_none() {
            self.window.push(at, &mut self.totals);
            if self.last_close.is_none_or(|last| last < at) {
                self.natives.push(at, self.window.oldest());
            }
            self.gauges = self.gathering;
            self.age = self.youngest.map(|age| (at, age)).or(self.age);
            self.last_close = Some(at);
        }
    }

    /// How the track stands at `at`.
    pub(crate) fn standing(&self, at: Instant) -> Standing {
        if let Some(why) = self.spoiled {
            return Standing::Spoiled(why);
        }
        if self.outdated && !self.matched {
            return Standing::Stale;
        }
        match (self.last_match, self.last_close) {
            (Some(_), Some(closed)) if at.since(closed) > self.stale => Standing::Stale,
            // What vanished has left the window, too.
            (Some(matched), Some(closed)) if closed.since(matched) > self.length + self.stale => {
                Standing::Absent
            }
            (Some(_), Some(_)) => Standing::Ready,
            (None | Some(_), None) => Standing::Unknown,
            (None, Some(_)) => Standing::Absent,
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

    /// Whether no page of the target could be read yet.
    pub(crate) const fn is_untried(&self) -> bool {
        self.last_close.is_none()
    }

    /// The time of the last scrape that could be read.
    pub(crate) const fn last_close(&self) -> Option<Instant> {
        self.last_close
    }

    /// When the track's samples will be too old, unless more come.
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
    pub(crate) const fn gauges(&self) -> Gauges {
        self.gauges
    }
}
