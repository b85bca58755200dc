//! One target's side of the windows: turns a page into gains and values for every accumulator.
//!
//! What a series gained is decided here, once, for all signals: a decrease is a reset, a series
//! that appears while its target was being scraped started at 0, and one that comes back goes on
//! from where it was.
//!
//! A series' identity is by name and labels, however a page orders or spaces them. The text on the
//! page is only the key of a cache, and since pages list their series in the same order every time,
//! the common case is one comparison with the text that stood there last time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::exposition::{Format, Limits, Malformed, Reader, Sample, Sink, Whole};
use crate::model::group::Group;
use crate::model::index::SignalIx;
use crate::model::native::NativeHistogram;
use crate::model::plan::Plan;
use crate::model::reading::NoData;
use crate::model::scrape::{Page, Scrape};
use crate::model::target::Target;
use crate::model::time::{Instant, Timestamp};

use super::accumulator::{Accumulator, Accumulators, Contribution, CurrentSample};
use super::selection::{Destination, START_TIME, Selections};
use crate::engine::window::native;

/// By how much a process's start time must rise before it counts as a restart. Some libraries
/// derive it from the boot time, which moves by a second when the clock is adjusted.
const START_TIME_SLACK: f64 = 1.5;

/// What is known of one target.
#[derive(Clone, Debug)]
pub(crate) struct TargetIngest {
    selections: Selections,
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
    pub(crate) fn new(plan: &Plan, target: &Target) -> Self {
        let (selections, history) = (Selections::new(plan, target), PastPages::default());
        Self { selections, history, samples: Vec::new(), natives: Vec::new() }
    }

    /// Takes over what is known of the same target under another plan: its series, and what was
    /// accumulated for every signal that `same` finds among the earlier ones.
    pub(crate) fn inherit(&mut self, old: Self, same: impl Fn(SignalIx) -> Option<SignalIx>) {
        self.selections.accumulators_mut().inherit(old.accumulators(), same);
        self.history = old.history;
        self.history.series.reassign(self.history.successes, &mut self.selections);
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

    /// What was accumulated for the signals.
    pub(crate) const fn accumulators(&self) -> &Accumulators {
        self.selections.accumulators()
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
        self.selections.accumulators_mut().iter_mut().for_each(Accumulator::open);
        let duplicates = self.find(page, scrape);
        let mut spoiled = self.spoil(page, duplicates);
        if !spoiled.contains(START_TIME) {
            self.watch_for_restart(&spoiled);
        }
        let infinite = self.add(&spoiled, at, wall);
        // Where such a series stands is as little known to the next page as after a bad line.
        infinite.metrics.iter().for_each(|metric| spoiled.note(metric));
        self.history.spoiled = spoiled;
        let accumulators = self.selections.accumulators_mut();
        accumulators.iter_mut().for_each(|each| each.close(at));
        self.history.series.close(scrape);
        if accumulators.make_room(at) {
            self.history.series.reassign(scrape, &mut self.selections);
        }
    }

    /// Finds the series of every sample; answers the metrics of which one stands there twice with
    /// different values. Saying the same twice does no harm.
    fn find(&mut self, page: &Page, scrape: u64) -> SpoiledMetrics {
        let Self { selections, history: PastPages { series, .. }, .. } = self;
        let mut duplicates = SpoiledMetrics::default();
        self.samples.clear();
        self.natives.clear();
        series.found = 0;
        for sample in page.samples() {
            let ix = series.find(sample.series, selections);
            let known = &mut series.all[ix];
            if known.seen != scrape {
                (known.seen, known.found) = (scrape, sample.value);
                self.samples.push((ix, sample.value, sample.timestamp));
            } else if known.found.to_bits() != sample.value.to_bits() {
                duplicates.note(&known.metric);
            }
        }
        for native in page.natives() {
            let ix = series.find(native.series, selections);
            let known = &mut series.all[ix];
            if known.seen != scrape {
                known.seen = scrape;
                self.natives.push((ix, native.value.clone(), native.timestamp));
            } else if self.natives.iter().all(|(of, own, _)| *of != ix || own != native.value) {
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
        let is_start = |(ix, ..): &&(SeriesIx, _, _)| *series.all[*ix].metric == *START_TIME;
        let mut times = self.samples.iter().filter(is_start);
        let (Some(&(_, time, _)), None) = (times.next(), times.next()) else { return };
        if !time.is_finite() {
            return;
        }
        let before = self.history.started.replace(time);
        let started_anew = before.is_some_and(|before| time > before + START_TIME_SLACK);
        if started_anew && self.a_counter_fell(spoiled) {
            for series in &mut self.history.series.all {
                series.last = series.last.map(|_| 0.0);
                if let Some(native) = &mut series.native {
                    **native = NativeHistogram::empty();
                }
            }
        }
    }

    fn a_counter_fell(&self, spoiled: &SpoiledMetrics) -> bool {
        self.samples.iter().any(|(ix, value, _)| {
            let series = &self.history.series.all[*ix];
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
            self.selections.spoil(metric, NoData::Duplicate);
        }
        // Of lines that are not kept another of the same metric is.
        for line in page.malformed() {
            let why = NoData::Malformed(line.line);
            if let Some(metric) = &line.name {
                self.selections.spoil(metric, why);
                spoiled.note(metric);
            } else {
                self.selections.accumulators_mut().iter_mut().for_each(|each| each.spoil(why));
                spoiled.all = true;
            }
        }
        spoiled
    }

    /// Adds the samples of the page; answers the metrics that have infinite ones.
    fn add(&mut self, spoiled: &SpoiledMetrics, at: Instant, wall: Timestamp) -> SpoiledMetrics {
        let (accumulators, history) = (self.selections.accumulators_mut(), &mut self.history);
        // The page before would have shown a series that was never seen before.
        let starts_at_zero =
            |series: &CachedSeries| history.complete && !history.spoiled.contains(&series.metric);
        let mut infinite = SpoiledMetrics::default();
        for &(ix, value, timestamp) in &self.samples {
            let series = &mut history.series.all[ix];
            if value.is_infinite() {
                infinite.note(&series.metric);
            }
            if spoiled.contains(&series.metric) {
                continue;
            }
            let age = timestamp.map(|time| wall.since(time));
            let gain = gain(series, value, starts_at_zero(series));
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
        for (ix, histogram, timestamp) in self.natives.drain(..) {
            let series = &mut history.series.all[ix];
            if spoiled.contains(&series.metric) {
                continue;
            }
            let gain = match &series.native {
                Some(last) => native::gain(last, &histogram),
                None if starts_at_zero(series) => histogram.clone(),
                None => NativeHistogram::empty(),
            };
            let age = timestamp.map(|time| wall.since(time));
            let natives = series.destinations().iter();
            for each in natives.filter(|each| each.contribution == Contribution::Native) {
                accumulators.get_mut(each.accumulator).add_native(&gain, age);
            }
            series.native = Some(Box::new(histogram));
        }
        infinite
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

/// A series' index in the [`SeriesCache`].
type SeriesIx = usize;

/// How many series that are no longer on the page are remembered, beyond those that are. A series
/// that comes back continues from where it was, so forgetting is the last resort: it is for pages
/// that never stop inventing label values.
const MAX_VANISHED: usize = 100_000;

/// What is known of one series.
#[derive(Clone, Debug)]
struct CachedSeries {
    /// Name and labels in one canonical text.
    key: Arc<str>,
    /// Name and labels as they stood on a page.
    text: Arc<str>,
    /// Where its samples go; `None`: that is to be decided when it is seen again.
    destinations: Option<Box<[Destination]>>,
    /// Its metric.
    metric: Arc<str>,
    /// The last value.
    last: Option<f64>,
    /// What it last had counted as a native histogram.
    native: Option<Box<NativeHistogram>>,
    /// The number of the scrape that had it last, and its value there.
    seen: u64,
    found: f64,
}

/// The series of one target.
#[derive(Clone, Debug, Default)]
struct SeriesCache {
    all: Vec<CachedSeries>,
    by_text: HashMap<Arc<str>, SeriesIx>,
    by_key: HashMap<Arc<str>, SeriesIx>,
    /// The last page's series in their order.
    order: Vec<(Arc<str>, SeriesIx)>,
    /// How many series of the page at hand were found.
    found: usize,
}

/// Name and labels, read from a page's text.
#[derive(Default)]
pub(crate) struct Identity {
    name: String,
    labels: Vec<(String, String)>,
    /// Tells series apart by what the page says: a label that the target overrides still does.
    key: String,
}

impl SeriesCache {
    /// The series that a page writes like this; a new one if it was never seen.
    fn find(&mut self, text: &str, selections: &mut Selections) -> SeriesIx {
        let place = self.found;
        self.found += 1;
        if let Some((known, ix)) = self.order.get(place)
            && **known == *text
        {
            return *ix;
        }
        let (text, ix) = match self.by_text.get_key_value(text) {
            Some((text, ix)) => (text.clone(), *ix),
            None => self.learn(text, selections),
        };
        self.all[ix].decide(selections);
        if place < self.order.len() {
            self.order[place] = (text, ix);
        } else {
            self.order.push((text, ix));
        }
        ix
    }

    fn learn(&mut self, text: &str, selections: &mut Selections) -> (Arc<str>, SeriesIx) {
        let text: Arc<str> = text.into();
        let identity = Identity::read(&text, selections.target());
        let key: Arc<str> = identity.key.as_str().into();
        let ix = *self.by_key.entry(key).or_insert_with_key(|key| {
            self.all.push(CachedSeries {
                key: key.clone(),
                text: text.clone(),
                destinations: Some(identity.destinations(selections)),
                metric: identity.name.as_str().into(),
                last: None,
                native: None,
                seen: 0,
                found: f64::NAN,
            });
            self.all.len() - 1
        });
        self.by_text.insert(text.clone(), ix);
        (text, ix)
    }

    /// Ends a page. Where far more series have vanished than are kept in mind, those unseen for
    /// longest are forgotten.
    fn close(&mut self, scrape: u64) {
        self.order.truncate(self.found);
        if self.all.len() > 2 * self.found + 2 * MAX_VANISHED
            || self.by_text.len() > 4 * self.found + 4 * MAX_VANISHED
        {
            self.forget(scrape);
        }
    }

    /// Forgets the series that are not on the page, but for those that were there last.
    fn forget(&mut self, scrape: u64) {
        self.all.sort_by_key(|series| scrape.saturating_sub(series.seen));
        let present = self.all.partition_point(|series| series.seen == scrape);
        self.all.truncate(present + MAX_VANISHED);
        self.order.clear();
        let all = || self.all.iter().enumerate();
        self.by_text = all().map(|(ix, series)| (series.text.clone(), ix)).collect();
        self.by_key = all().map(|(ix, series)| (series.key.clone(), ix)).collect();
    }

    /// Decides anew where the samples of each series go, after the signals or their accumulators
    /// changed: of those of the page of `scrape` now, of the others when they are seen again. A
    /// group takes no room for a series that is gone.
    fn reassign(&mut self, scrape: u64, selections: &mut Selections) {
        for series in &mut self.all {
            series.destinations = None;
            if series.seen == scrape {
                series.decide(selections);
            }
        }
    }
}

impl CachedSeries {
    /// Where its samples go.
    fn destinations(&self) -> &[Destination] {
        self.destinations.as_deref().unwrap_or_default()
    }

    fn decide(&mut self, selections: &mut Selections) {
        if self.destinations.is_none() {
            let identity = Identity::read(&self.text, selections.target());
            self.destinations = Some(identity.destinations(selections));
        }
    }
}

impl Identity {
    /// Reads the name and labels that a page gave; the target's own labels win over the page's.
    pub(crate) fn read(text: &str, target: &Target) -> Self {
        let mut identity = Self::default();
        let mut reader = Reader::new(Format::Text, Limits::default(), None);
        let read = reader.feed(text.as_bytes(), &mut identity).is_ok()
            && reader.feed(b" 0\n", &mut identity).is_ok()
            && reader.finish(Whole::Yes, &mut identity).is_ok();
        debug_assert!(read, "a reader takes back what it gave: {text}");
        // An empty label is an absent one.
        identity.labels.retain(|(_, value)| !value.is_empty());
        identity.labels.sort();
        // No name or value can hold the separator's meaning: each is preceded by its length.
        identity.key.clone_from(&identity.name);
        for (name, value) in &identity.labels {
            identity.key.push_str(&format!("|{}:{name}={}:{value}", name.len(), value.len()));
        }
        for (name, value) in &target.labels {
            identity.set(name, value);
        }
        identity.set("target", target.name.as_str());
        identity
    }

    fn set(&mut self, name: &str, value: &str) {
        self.labels.retain(|(known, _)| known != name);
        self.labels.push((name.to_owned(), value.to_owned()));
    }

    fn destinations(&self, selections: &mut Selections) -> Box<[Destination]> {
        selections.destinations(&self.name, |label| self.label(label))
    }

    /// Whether it is of this metric.
    pub(crate) fn is_of(&self, metric: &str) -> bool {
        self.name == metric
    }

    /// A label's value, empty where there is none.
    pub(crate) fn label(&self, name: &str) -> &str {
        let label = self.labels.iter().find(|(known, _)| known == name);
        label.map_or("", |(_, value)| value)
    }
}

impl Sink for Identity {
    fn sample(&mut self, sample: Sample<'_>) {
        self.name = sample.name.into_owned();
        let labels = sample.labels.iter();
        self.labels = labels.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    }

    fn malformed(&mut self, _: Malformed<'_>) {}
}
