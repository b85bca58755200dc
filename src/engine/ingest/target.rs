//! One target's side of the windows: turns a page into gains and values for every track.
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
use crate::model::signal::Since;
use crate::model::target::Target;
use crate::model::time::{Instant, Timestamp};

use super::accumulator::{Role, Track};
use super::accumulators::Tracks;
use super::selection::{START_TIME, Selections, Use};
use super::series::{Series, Slot, SlotIx};
use crate::engine::window::native;

/// By how much a process's start time must rise before it counts as a restart. Some libraries
/// derive it from the boot time, which moves by a second when the clock is adjusted.
const START_TIME_SLACK: f64 = 1.5;

/// What is known of one target.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    target: Target,
    selections: Selections,
    series: Series,
    pub(crate) tracks: Tracks,
    started: Option<f64>,
    /// How many scrapes succeeded so far.
    successes: u64,
    /// A page has shown every series, so one that appears is new: a page that was surely whole, or
    /// any that followed another, as no two in a row are cut.
    complete: bool,
    /// Metrics that the previous page spoiled; `None` within stands for every metric.
    spoiled: Vec<Option<String>>,
    /// The last scrape, and whether it succeeded.
    pub(crate) last: Option<(Instant, Result<(), ()>)>,
    pub(crate) last_success: Option<Instant>,
    /// The samples of the page at hand.
    hits: Vec<(SlotIx, f64, Option<Timestamp>)>,
    /// Its native histograms.
    native_hits: Vec<(SlotIx, NativeHistogram, Option<Timestamp>)>,
}

impl Feed {
    pub(crate) fn new(plan: &Plan, ix: TargetIx) -> Self {
        let target = plan.target(ix).clone();
        let (selections, tracks) = Selections::new(plan, &target);
        Self {
            target,
            selections,
            series: Series::default(),
            tracks,
            started: None,
            successes: 0,
            complete: false,
            spoiled: Vec::new(),
            last: None,
            last_success: None,
            hits: Vec::new(),
            native_hits: Vec::new(),
        }
    }

    /// Takes over what an earlier feed of the same target knows: its series, and the track of
    /// every signal that `same` finds among the earlier ones.
    pub(crate) fn inherit(&mut self, mut old: Self, same: impl Fn(usize) -> Option<usize>) {
        for place in 0..self.tracks.fixed() {
            let before = same(self.tracks[place].signal.0).map(SignalIx);
            if let Some(from) = before.and_then(|before| old.tracks.of_signal(before)) {
                self.tracks.inherit(place, &old.tracks, from);
            }
        }
        let Self { target, selections, tracks, .. } = &mut *self;
        old.series.reassign(old.successes, target, selections, tracks);
        self.series = old.series;
        self.started = old.started;
        self.successes = old.successes;
        self.complete = old.complete;
        self.spoiled = old.spoiled;
        self.last = old.last;
        self.last_success = old.last_success;
    }

    /// Whether the target may have a share of a group, going by the labels that it gives to all
    /// its series.
    pub(crate) fn may_have(&self, group: &Group, by: &[String]) -> bool {
        let Target { name, labels, .. } = &self.target;
        let own = |label: &String| match labels.iter().find(|(known, _)| known == label) {
            _ if label == "target" => Some(name.as_str()),
            known => known.map(|(_, value)| value.as_str()),
        };
        by.iter().all(|label| own(label).is_none_or(|value| group.may_have(label, value)))
    }

    /// Takes in a scrape. A failed one tells nothing but that it failed.
    pub(crate) fn take(&mut self, scrape: &Scrape) {
        match &scrape.result {
            Ok(page) => {
                self.read(page, scrape.at, scrape.wall);
                self.last = Some((scrape.at, Ok(())));
                self.last_success = Some(scrape.at);
                let second = self.successes > 0 && page.bytes > 0;
                self.complete |= !page.may_lack_series || second;
                self.successes += 1;
            }
            Err(_) => self.last = Some((scrape.at, Err(()))),
        }
    }

    fn read(&mut self, page: &Page, at: Instant, wall: Timestamp) {
        self.tracks.iter_mut().for_each(Track::open);
        let twice = self.find(page);
        let mut spoiled = self.spoil(page, twice);
        if !concerns(&spoiled, START_TIME) {
            self.watch_for_restart(&spoiled);
        }
        let hits = std::mem::take(&mut self.hits);
        let mut infinite = Vec::new();
        for (slot, value, timestamp) in &hits {
            let metric = &self.series.slots[*slot].metric;
            if value.is_infinite() {
                note(&mut infinite, metric);
            }
            if !concerns(&spoiled, metric) {
                self.sample(*slot, *value, *timestamp, (at, wall));
            }
        }
        self.hits = hits;
        for (slot, histogram, timestamp) in std::mem::take(&mut self.native_hits) {
            if !concerns(&spoiled, &self.series.slots[slot].metric) {
                self.native(slot, histogram, timestamp.map(|time| wall.since(time)));
            }
        }
        // Where such a series stands is as little known to the next page as after a bad line.
        spoiled.append(&mut infinite);
        self.spoiled = spoiled;
        self.tracks.iter_mut().for_each(|track| track.close(at));
        self.series.close(self.successes + 1);
        if self.tracks.is_crowded() {
            self.tracks.forget(at);
            let Self { series, target, selections, tracks, .. } = self;
            series.reassign(self.successes + 1, target, selections, tracks);
        }
    }

    /// Finds the series of every sample; answers the metrics of which one stands there twice with
    /// different values. Saying the same twice does no harm.
    fn find(&mut self, page: &Page) -> Vec<Option<String>> {
        let scrape = self.successes + 1;
        let mut twice = Vec::new();
        self.hits.clear();
        self.series.open();
        for sample in page.samples() {
            let Self { series, target, selections, tracks, .. } = self;
            let ix = series.find(sample.series, target, selections, tracks);
            let slot = &mut self.series.slots[ix];
            if slot.seen != scrape {
                (slot.seen, slot.found) = (scrape, sample.value);
                self.hits.push((ix, sample.value, sample.timestamp));
            } else if slot.found.to_bits() != sample.value.to_bits() {
                note(&mut twice, &slot.metric);
            }
        }
        self.find_natives(page, &mut twice);
        twice
    }

    fn find_natives(&mut self, page: &Page, twice: &mut Vec<Option<String>>) {
        let scrape = self.successes + 1;
        self.native_hits.clear();
        for native in page.natives() {
            let Self { series, target, selections, tracks, .. } = self;
            let ix = series.find(native.series, target, selections, tracks);
            let slot = &mut self.series.slots[ix];
            if slot.seen != scrape {
                slot.seen = scrape;
                self.native_hits.push((ix, native.histogram.clone(), native.timestamp));
            } else if self.native_hits.iter().all(|hit| hit.0 != ix || hit.1 != *native.histogram) {
                note(twice, &slot.metric);
            }
        }
    }

    /// A process that started anew counts from 0, whatever its counters have reached since. Only
    /// a page of one process can tell, and only where a counter did fall: an exporter that was
    /// restarted starts anew while the counters of what it stands for go on, and counting those in
    /// full would be a jump of a lifetime.
    fn watch_for_restart(&mut self, spoiled: &[Option<String>]) {
        let slots = &self.series.slots;
        let mut times = self.hits.iter().filter(|(slot, ..)| &*slots[*slot].metric == START_TIME);
        let (Some(&(_, time, _)), None) = (times.next(), times.next()) else { return };
        if !time.is_finite() {
            return;
        }
        let started_anew = self.started.is_some_and(|before| time > before + START_TIME_SLACK);
        if started_anew && self.a_counter_fell(spoiled) {
            for slot in self.series.slots.iter_mut().filter(|slot| slot.last.is_some()) {
                slot.last = Some(0.0);
            }
            let natives = self.series.slots.iter_mut().filter_map(|slot| slot.native.as_mut());
            natives.for_each(|last| **last = NativeHistogram::empty());
        }
        self.started = Some(time);
    }

    fn a_counter_fell(&self, spoiled: &[Option<String>]) -> bool {
        self.hits.iter().any(|(slot, value, _)| {
            let slot = &self.series.slots[*slot];
            let is_counter = |each: &Use| match each.role {
                Role::Counter(_) | Role::Bucket(_) => true,
                Role::Gauge | Role::Native | Role::Count(_) | Role::Age(_) => false,
            };
            value.is_finite()
                && slot.last.is_some_and(|last| *value < last)
                && slot.uses.iter().any(is_counter)
                && !concerns(spoiled, &slot.metric)
        })
    }

    /// The metrics about which this page cannot be believed, each noted with its tracks.
    fn spoil(&mut self, page: &Page, twice: Vec<Option<String>>) -> Vec<Option<String>> {
        let mut spoiled = twice;
        for metric in &spoiled {
            self.spoil_metric(metric.as_deref(), NoData::Duplicate);
        }
        // Of lines that are not kept another of the same metric is.
        for line in page.malformed() {
            self.spoil_metric(line.name.as_deref(), NoData::Malformed(line.line));
            match &line.name {
                Some(name) => note(&mut spoiled, name),
                None => spoiled.push(None),
            }
        }
        spoiled
    }

    fn spoil_metric(&mut self, metric: Option<&str>, why: NoData) {
        match metric {
            Some(metric) => {
                for track in self.selections.tracks_of(metric) {
                    self.tracks.spoil(track, why);
                }
            }
            None => self.tracks.iter_mut().for_each(|track| track.spoil(why)),
        }
    }

    fn sample(
        &mut self,
        slot: SlotIx,
        value: f64,
        time: Option<Timestamp>,
        (at, wall): (Instant, Timestamp),
    ) {
        let slot = &mut self.series.slots[slot];
        if value.is_nan() {
            slot.uses.iter().for_each(|each| self.tracks[each.track].note_empty(each.role));
            return;
        }
        if !value.is_finite() {
            slot.uses.iter().for_each(|each| self.tracks[each.track].spoil(NoData::NotFinite));
            return;
        }
        let from_zero = self.complete && !concerns(&self.spoiled, &slot.metric);
        let gain = gain(slot, value, from_zero);
        let age = time.map(|time| wall.since(time));
        for each in &slot.uses {
            let track = &mut self.tracks[each.track];
            if let Role::Age(since) = each.role {
                track.note_age(
                    since,
                    at,
                    match since {
                        Since::Sample => age.unwrap_or_default(),
                        // Whole milliseconds of time since 1970; what is out of range is clamped.
                        Since::Value => wall.since(Timestamp::from_millis((value * 1000.0) as i64)),
                    },
                );
            } else if age.is_some_and(|age| age > track.stale) {
                track.note_outdated();
            } else {
                track.add(each.role, value, gain);
            }
        }
        slot.last = Some(value);
    }

    fn native(&mut self, slot: SlotIx, histogram: NativeHistogram, age: Option<Duration>) {
        let slot = &mut self.series.slots[slot];
        let from_zero = self.complete && !concerns(&self.spoiled, &slot.metric);
        let gain = native_gain(slot, &histogram, from_zero);
        for each in slot.uses.iter().filter(|each| each.role == Role::Native) {
            let track = &mut self.tracks[each.track];
            if age.is_some_and(|age| age > track.stale) {
                track.note_outdated();
            } else {
                track.add_native(&gain);
            }
        }
        slot.native = Some(Box::new(histogram));
    }
}

/// How much a native histogram gained, by the rules of [`gain`].
fn native_gain(slot: &Slot, now: &NativeHistogram, from_zero: bool) -> NativeHistogram {
    match &slot.native {
        Some(last) => native::gain(last, now),
        None if from_zero => now.clone(),
        None => NativeHistogram::empty(),
    }
}

/// How much a counter gained since it was last seen. A decrease is a reset: all of the new value
/// is gain. One never seen before started at 0 if `from_zero`, else nothing is known of its past.
fn gain(slot: &Slot, value: f64, from_zero: bool) -> f64 {
    match slot.last {
        Some(last) if value >= last => value - last,
        Some(_) => value.max(0.0),
        None if from_zero => value.max(0.0),
        None => 0.0,
    }
}

/// Adds a metric once: a page may say the same of each of its lines.
fn note(metrics: &mut Vec<Option<String>>, metric: &str) {
    if !metrics.iter().any(|each| each.as_deref() == Some(metric)) {
        metrics.push(Some(metric.to_owned()));
    }
}

fn concerns(spoiled: &[Option<String>], metric: &str) -> bool {
    spoiled.iter().any(|each| each.as_deref().is_none_or(|name| name == metric))
}
