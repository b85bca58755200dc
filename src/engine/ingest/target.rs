//! One target's side of the windows: turns a page into gains and values for every accumulator.
//!
//! What a series gained is decided here, once, for all signals: a decrease is a reset, a series
//! that appears while its target was being scraped started at 0, and one that comes back goes on
//! from where it was.

use std::time::Duration;

use crate::model::group::Group;
use crate::model::index::{SignalIx, TargetIx};
use crate::model::native::NativeHistogram;
use crate::model::plan::Plan;
use crate::model::reading::NoData;
use crate::model::scrape::{Page, Scrape};
use crate::model::time::{Instant, Timestamp};

use super::accumulator::{Accumulator, Contribution, CurrentSample};
use super::accumulators::Accumulators;
use super::selection::{START_TIME, Selections};
use super::series::{CachedSeries, SeriesCache, SeriesIx};
use crate::engine::window::native;

/// By how much a process's start time must rise before it counts as a restart. Some libraries
/// derive it from the boot time, which moves by a second when the clock is adjusted.
const START_TIME_SLACK: f64 = 1.5;

/// What is known of one target.
#[derive(Clone, Debug)]
pub(crate) struct TargetIngest {
    selections: Selections,
    accumulators: Accumulators,
    history: PastPages,
    /// The samples of the page at hand.
    samples: Vec<(SeriesIx, f64, Option<Timestamp>)>,
    /// Its native histograms.
    natives: Vec<(SeriesIx, NativeHistogram, Option<Timestamp>)>,
}

/// What is known of the pages so far, whatever the signals are.
#[derive(Clone, Debug, Default)]
struct PastPages {
    series: SeriesCache,
    /// The start time of the process that answered last.
    started: Option<f64>,
    /// How many scrapes succeeded so far.
    successes: u64,
    /// A page has shown every series, so one that appears is new: a page that was surely whole, or
    /// any that followed another, as no two in a row are cut.
    complete: bool,
    /// What the previous page spoiled.
    spoiled: SpoiledMetrics,
    /// The last scrape, and whether it succeeded.
    last: Option<(Instant, Result<(), ()>)>,
    last_success: Option<Instant>,
    /// A reload brought the target in at this instant: an older page is another target's.
    begun: Instant,
}

/// The metrics about which a page cannot be believed.
#[derive(Clone, Debug, Default)]
struct SpoiledMetrics {
    /// A line could not be read so far as to tell its metric: it may be of any.
    all: bool,
    metrics: Vec<String>,
}

impl SpoiledMetrics {
    /// Adds a metric once: a page may say the same of each of its lines.
    fn note(&mut self, metric: &str) {
        if !self.metrics.iter().any(|each| each == metric) {
            self.metrics.push(metric.to_owned());
        }
    }

    fn contains(&self, metric: &str) -> bool {
        self.all || self.metrics.iter().any(|each| each == metric)
    }
}

impl TargetIngest {
    /// A target of which nothing was seen yet.
    pub(crate) fn new(plan: &Plan, ix: TargetIx) -> Self {
        let (selections, accumulators) = Selections::new(plan, plan.target(ix));
        let (samples, natives) = (Vec::new(), Vec::new());
        Self { selections, accumulators, history: PastPages::default(), samples, natives }
    }

    /// Takes over what is known of the same target under another plan: its series, and what was
    /// accumulated for every signal that `same` finds among the earlier ones.
    pub(crate) fn inherit(&mut self, old: Self, same: impl Fn(SignalIx) -> Option<SignalIx>) {
        self.accumulators.inherit(&old.accumulators, same);
        self.history = old.history;
        self.reassign(self.history.successes);
    }

    /// Begins to sample a target that a reload has brought in.
    pub(crate) const fn begin(&mut self, at: Instant) {
        self.history.begun = at;
    }

    /// Whether a scrape is no newer than the last one, or older than the target.
    pub(crate) fn is_late(&self, scrape: &Scrape) -> bool {
        let PastPages { last, begun, .. } = &self.history;
        scrape.at < *begun || last.is_some_and(|(at, _)| scrape.at <= at)
    }

    fn reassign(&mut self, scrape: u64) {
        self.history.series.reassign(scrape, &self.selections, &mut self.accumulators);
    }

    /// What was accumulated for the signals.
    pub(crate) const fn accumulators(&self) -> &Accumulators {
        &self.accumulators
    }

    /// The last scrape, and whether it succeeded.
    pub(crate) const fn last(&self) -> Option<(Instant, Result<(), ()>)> {
        self.history.last
    }

    /// The last scrape that succeeded.
    pub(crate) const fn last_success(&self) -> Option<Instant> {
        self.history.last_success
    }

    /// Whether the target may have a share of a group, going by the labels that it gives to all
    /// its series.
    pub(crate) fn may_have(&self, group: &Group, by: &[String]) -> bool {
        let own = |label: &String| self.selections.target().own_label(label);
        by.iter().all(|label| own(label).is_none_or(|value| group.may_have(label, value)))
    }

    /// Takes in a scrape. A failed one tells nothing but that it failed.
    pub(crate) fn take(&mut self, scrape: &Scrape) {
        let Ok(page) = &scrape.result else {
            self.history.last = Some((scrape.at, Err(())));
            return;
        };
        self.read(page, scrape.at, scrape.wall);
        let history = &mut self.history;
        history.last = Some((scrape.at, Ok(())));
        history.last_success = Some(scrape.at);
        let follows_another = history.successes > 0 && page.bytes > 0;
        history.complete |= !page.may_lack_series || follows_another;
        history.successes += 1;
    }

    fn read(&mut self, page: &Page, at: Instant, wall: Timestamp) {
        let scrape = self.history.successes + 1;
        self.accumulators.iter_mut().for_each(Accumulator::open);
        let duplicates = self.find(page, scrape);
        let mut spoiled = self.spoil(page, duplicates);
        if !spoiled.contains(START_TIME) {
            self.watch_for_restart(&spoiled);
        }
        let infinite = self.add_samples(&spoiled, (at, wall));
        self.add_natives(&spoiled, wall);
        // Where such a series stands is as little known to the next page as after a bad line.
        infinite.metrics.iter().for_each(|metric| spoiled.note(metric));
        self.history.spoiled = spoiled;
        self.accumulators.iter_mut().for_each(|each| each.close(at));
        self.history.series.close(scrape);
        if self.accumulators.is_crowded() {
            self.accumulators.forget(at);
            self.reassign(scrape);
        }
    }

    /// Finds the series of every sample; answers the metrics of which one stands there twice with
    /// different values. Saying the same twice does no harm.
    fn find(&mut self, page: &Page, scrape: u64) -> SpoiledMetrics {
        let Self { selections, accumulators, history: PastPages { series, .. }, .. } = self;
        let mut duplicates = SpoiledMetrics::default();
        self.samples.clear();
        self.natives.clear();
        series.open();
        for sample in page.samples() {
            let ix = series.find(sample.series, selections, accumulators);
            let known = series.get_mut(ix);
            if known.seen != scrape {
                (known.seen, known.found) = (scrape, sample.value);
                self.samples.push((ix, sample.value, sample.timestamp));
            } else if known.found.to_bits() != sample.value.to_bits() {
                duplicates.note(&known.metric);
            }
        }
        for native in page.natives() {
            let ix = series.find(native.series, selections, accumulators);
            let known = series.get_mut(ix);
            if known.seen != scrape {
                known.seen = scrape;
                self.natives.push((ix, native.histogram.clone(), native.timestamp));
            } else if self.natives.iter().all(|(of, own, _)| *of != ix || own != native.histogram) {
                duplicates.note(&known.metric);
            }
        }
        duplicates
    }

    /// A process that started anew counts from 0, whatever its counters have reached since. Only
    /// a page of one process can tell, and only where a counter did fall: an exporter that was
    /// restarted starts anew while the counters of what it stands for go on, and counting those in
    /// full would be a jump of a lifetime.
    fn watch_for_restart(&mut self, spoiled: &SpoiledMetrics) {
        let series = &self.history.series;
        let is_start = |(ix, ..): &&(SeriesIx, _, _)| &*series.get(*ix).metric == START_TIME;
        let mut times = self.samples.iter().filter(is_start);
        let (Some(&(_, time, _)), None) = (times.next(), times.next()) else { return };
        if !time.is_finite() {
            return;
        }
        let started_anew =
            self.history.started.is_some_and(|before| time > before + START_TIME_SLACK);
        if started_anew && self.a_counter_fell(spoiled) {
            for series in self.history.series.iter_mut() {
                series.last = series.last.map(|_| 0.0);
                if let Some(native) = &mut series.native {
                    **native = NativeHistogram::empty();
                }
            }
        }
        self.history.started = Some(time);
    }

    fn a_counter_fell(&self, spoiled: &SpoiledMetrics) -> bool {
        self.samples.iter().any(|(ix, value, _)| {
            let series = self.history.series.get(*ix);
            value.is_finite()
                && series.last.is_some_and(|last| *value < last)
                && series.destinations().iter().any(|each| each.contribution.is_counter())
                && !spoiled.contains(&series.metric)
        })
    }

    /// The metrics about which this page cannot be believed, each noted with its accumulators.
    fn spoil(&mut self, page: &Page, duplicates: SpoiledMetrics) -> SpoiledMetrics {
        let mut spoiled = duplicates;
        for metric in &spoiled.metrics {
            self.spoil_metric(metric, NoData::Duplicate);
        }
        // Of lines that are not kept another of the same metric is.
        for line in page.malformed() {
            let why = NoData::Malformed(line.line);
            if let Some(metric) = &line.name {
                self.spoil_metric(metric, why);
                spoiled.note(metric);
            } else {
                self.accumulators.iter_mut().for_each(|each| each.spoil(why));
                spoiled.all = true;
            }
        }
        spoiled
    }

    fn spoil_metric(&mut self, metric: &str, why: NoData) {
        for accumulator in self.selections.accumulators_of(metric) {
            self.accumulators.spoil(accumulator, why);
        }
    }

    /// Adds the samples of the page; answers the metrics that have infinite ones.
    fn add_samples(
        &mut self,
        spoiled: &SpoiledMetrics,
        (at, wall): (Instant, Timestamp),
    ) -> SpoiledMetrics {
        let Self { accumulators, history, samples, .. } = self;
        let mut infinite = SpoiledMetrics::default();
        for (ix, value, timestamp) in samples {
            let value = *value;
            let from_zero = history.starts_at_zero(*ix);
            let series = history.series.get_mut(*ix);
            if value.is_infinite() {
                infinite.note(&series.metric);
            }
            if spoiled.contains(&series.metric) {
                continue;
            }
            let age = timestamp.map(|time| wall.since(time));
            let gain = gain(series, value, from_zero);
            let sample = CurrentSample { value, gain, age, at, wall };
            for each in series.destinations() {
                let accumulator = accumulators.get_mut(each.accumulator);
                if value.is_nan() {
                    accumulator.note_empty(each.contribution);
                } else if value.is_infinite() {
                    accumulator.spoil(NoData::NotFinite);
                } else {
                    accumulator.add(each.contribution, &sample);
                }
            }
            if value.is_finite() {
                series.last = Some(value);
            }
        }
        infinite
    }

    fn add_natives(&mut self, spoiled: &SpoiledMetrics, wall: Timestamp) {
        for (ix, histogram, timestamp) in std::mem::take(&mut self.natives) {
            let from_zero = self.history.starts_at_zero(ix);
            let series = self.history.series.get_mut(ix);
            if spoiled.contains(&series.metric) {
                continue;
            }
            let gain = native_gain(series, &histogram, from_zero);
            let age: Option<Duration> = timestamp.map(|time| wall.since(time));
            let natives = series.destinations().iter();
            for each in natives.filter(|each| each.contribution == Contribution::Native) {
                self.accumulators.get_mut(each.accumulator).add_native(&gain, age);
            }
            series.native = Some(Box::new(histogram));
        }
    }
}

impl PastPages {
    /// Whether a series that was never seen before started at 0: the page before would have shown
    /// it.
    fn starts_at_zero(&self, ix: SeriesIx) -> bool {
        self.complete && !self.spoiled.contains(&self.series.get(ix).metric)
    }
}

/// How much a native histogram gained, by the rules of [`gain`].
fn native_gain(series: &CachedSeries, now: &NativeHistogram, from_zero: bool) -> NativeHistogram {
    match &series.native {
        Some(last) => native::gain(last, now),
        None if from_zero => now.clone(),
        None => NativeHistogram::empty(),
    }
}

/// How much a counter gained since it was last seen. A decrease is a reset: all of the new value
/// is gain. One never seen before started at 0 if `from_zero`, else nothing is known of its past.
fn gain(series: &CachedSeries, value: f64, from_zero: bool) -> f64 {
    match series.last {
        Some(last) if value >= last => value - last,
        None if !from_zero => 0.0,
        Some(_) | None => value.max(0.0),
    }
}
