//! Every series of a target that some signal wants: who it is, what it last said, what it gained.
//!
//! Identity is by name and labels, however a page orders or spaces them. The text on the page is
//! only the key of a cache, and since pages list their series in the same order every time, the
//! common case is one comparison with the text that stood there last time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::exposition::{Format, Limits, Malformed, Reader, Sample, Sink, Whole};
use crate::model::native::NativeHistogram;
use crate::model::target::Target;

use super::accumulators::Accumulators;
use super::selection::{Destination, Selections};

/// A series' index in the [`SeriesCache`].
pub(crate) type SeriesIx = usize;

/// How many series that are no longer on the page are remembered, beyond those that are. A series
/// that comes back continues from where it was, so forgetting is the last resort: it is for pages
/// that never stop inventing label values.
const MAX_VANISHED: usize = 100_000;

/// What is known of one series.
#[derive(Clone, Debug)]
pub(crate) struct CachedSeries {
    /// Name and labels in one canonical text.
    key: Arc<str>,
    /// Name and labels as they stood on a page.
    text: Arc<str>,
    /// Where its samples go; `None`: that is to be decided when it is seen again.
    destinations: Option<Box<[Destination]>>,
    /// Its metric.
    pub(crate) metric: Arc<str>,
    /// The last value.
    pub(crate) last: Option<f64>,
    /// What it last had counted as a native histogram.
    pub(crate) native: Option<Box<NativeHistogram>>,
    /// The number of the scrape that had it last, and its value there.
    pub(crate) seen: u64,
    pub(crate) found: f64,
}

/// The series of one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesCache {
    series: Vec<CachedSeries>,
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
    /// Begins a page.
    pub(crate) const fn open(&mut self) {
        self.found = 0;
    }

    /// The series at an index.
    pub(crate) fn get(&self, ix: SeriesIx) -> &CachedSeries {
        &self.series[ix]
    }

    /// The series at an index, to be changed.
    pub(crate) fn get_mut(&mut self, ix: SeriesIx) -> &mut CachedSeries {
        &mut self.series[ix]
    }

    /// All series, to be changed.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, CachedSeries> {
        self.series.iter_mut()
    }

    /// The series that a page writes like this; a new one if it was never seen.
    pub(crate) fn find(
        &mut self,
        text: &str,
        selections: &Selections,
        accumulators: &mut Accumulators,
    ) -> SeriesIx {
        let place = self.found;
        self.found += 1;
        if let Some((known, ix)) = self.order.get(place)
            && **known == *text
        {
            return *ix;
        }
        let (text, ix) = match self.by_text.get_key_value(text) {
            Some((text, ix)) => (text.clone(), *ix),
            None => self.learn(text, selections, accumulators),
        };
        self.series[ix].decide(selections, accumulators);
        if place < self.order.len() {
            self.order[place] = (text, ix);
        } else {
            self.order.push((text, ix));
        }
        ix
    }

    fn learn(
        &mut self,
        text: &str,
        selections: &Selections,
        accumulators: &mut Accumulators,
    ) -> (Arc<str>, SeriesIx) {
        let text: Arc<str> = text.into();
        let identity = Identity::read(&text, selections.target());
        let key: Arc<str> = identity.key.as_str().into();
        let ix = *self.by_key.entry(key).or_insert_with_key(|key| {
            self.series.push(CachedSeries {
                key: key.clone(),
                text: text.clone(),
                destinations: Some(identity.destinations(selections, accumulators)),
                metric: identity.name.as_str().into(),
                last: None,
                native: None,
                seen: 0,
                found: f64::NAN,
            });
            self.series.len() - 1
        });
        self.by_text.insert(text.clone(), ix);
        (text, ix)
    }

    /// Ends a page. Where far more series have vanished than are kept in mind, those unseen for
    /// longest are forgotten.
    pub(crate) fn close(&mut self, scrape: u64) {
        self.order.truncate(self.found);
        if self.series.len() > 2 * self.found + 2 * MAX_VANISHED
            || self.by_text.len() > 4 * self.found + 4 * MAX_VANISHED
        {
            self.forget(scrape);
        }
    }

    /// Forgets the series that are not on the page, but for those that were there last.
    fn forget(&mut self, scrape: u64) {
        self.series.sort_by_key(|series| scrape.saturating_sub(series.seen));
        let present = self.series.partition_point(|series| series.seen == scrape);
        self.series.truncate(present + MAX_VANISHED);
        self.order.clear();
        let all = || self.series.iter().enumerate();
        self.by_text = all().map(|(ix, series)| (series.text.clone(), ix)).collect();
        self.by_key = all().map(|(ix, series)| (series.key.clone(), ix)).collect();
    }

    /// Decides anew where the samples of each series go, after the signals or their accumulators
    /// changed: of those of the page of `scrape` now, of the others when they are seen again. A
    /// group takes no room for a series that is gone.
    pub(crate) fn reassign(
        &mut self,
        scrape: u64,
        selections: &Selections,
        accumulators: &mut Accumulators,
    ) {
        for series in &mut self.series {
            series.destinations = None;
            if series.seen == scrape {
                series.decide(selections, accumulators);
            }
        }
    }
}

impl CachedSeries {
    /// Where its samples go.
    pub(crate) fn destinations(&self) -> &[Destination] {
        self.destinations.as_deref().unwrap_or_default()
    }

    fn decide(&mut self, selections: &Selections, accumulators: &mut Accumulators) {
        if self.destinations.is_none() {
            let identity = Identity::read(&self.text, selections.target());
            self.destinations = Some(identity.destinations(selections, accumulators));
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
        identity.key = identity.to_key();
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

    fn destinations(
        &self,
        selections: &Selections,
        accumulators: &mut Accumulators,
    ) -> Box<[Destination]> {
        selections.destinations(&self.name, |label| self.label(label), accumulators)
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

    /// One text for one identity: no name or value can hold the separator's meaning, because each
    /// is preceded by its length.
    fn to_key(&self) -> String {
        let mut key = self.name.clone();
        for (name, value) in &self.labels {
            key.push_str(&format!("|{}:{name}={}:{value}", name.len(), value.len()));
        }
        key
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
