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

use super::accumulators::Tracks;
use super::selection::{Selections, Use};

/// A series' place in [`Series::slots`].
pub(crate) type SlotIx = usize;

/// How many series that are no longer on the page are remembered, beyond those that are. A series
/// that comes back continues from where it was, so forgetting is the last resort: it is for pages
/// that never stop inventing label values.
const MAX_VANISHED: usize = 100_000;

/// What is known of one series.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Name and labels in one canonical text.
    key: Arc<str>,
    /// Name and labels as they stood on a page.
    text: Arc<str>,
    /// What it is used for.
    pub(crate) uses: Box<[Use]>,
    /// That is to be decided anew when it is seen again.
    undecided: bool,
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
pub(crate) struct Series {
    pub(crate) slots: Vec<Slot>,
    by_text: HashMap<Arc<str>, SlotIx>,
    by_key: HashMap<Arc<str>, SlotIx>,
    /// The last page's series in their order.
    order: Vec<(Arc<str>, SlotIx)>,
    next: usize,
}

/// Name and labels, read from a page's text.
#[derive(Default)]
pub(crate) struct Identity {
    name: String,
    labels: Vec<(String, String)>,
    /// Tells series apart by what the page says: a label that the target overrides still does.
    key: String,
}

impl Series {
    /// Begins a page.
    pub(crate) const fn open(&mut self) {
        self.next = 0;
    }

    /// The series that a page writes like this; a new one if it was never seen.
    pub(crate) fn find(
        &mut self,
        text: &str,
        target: &Target,
        all: &Selections,
        tracks: &mut Tracks,
    ) -> SlotIx {
        let place = self.next;
        self.next += 1;
        if let Some((known, slot)) = self.order.get(place)
            && **known == *text
        {
            return *slot;
        }
        let (text, slot) = match self.by_text.get_key_value(text) {
            Some((text, slot)) => (text.clone(), *slot),
            None => self.learn(text, target, all, tracks),
        };
        if self.slots[slot].undecided {
            self.slots[slot].decide(target, all, tracks);
        }
        if place < self.order.len() {
            self.order[place] = (text, slot);
        } else {
            self.order.push((text, slot));
        }
        slot
    }

    fn learn(
        &mut self,
        text: &str,
        target: &Target,
        all: &Selections,
        tracks: &mut Tracks,
    ) -> (Arc<str>, SlotIx) {
        let text: Arc<str> = text.into();
        let identity = Identity::read(&text, target);
        let key: Arc<str> = identity.key.as_str().into();
        let slot = match self.by_key.get(&key) {
            Some(slot) => *slot,
            None => {
                self.slots.push(Slot {
                    key: key.clone(),
                    text: text.clone(),
                    uses: all.uses(&identity.name, |label| identity.label(label), tracks),
                    undecided: false,
                    metric: identity.name.as_str().into(),
                    last: None,
                    native: None,
                    seen: 0,
                    found: f64::NAN,
                });
                self.by_key.insert(key, self.slots.len() - 1);
                self.slots.len() - 1
            }
        };
        self.by_text.insert(text.clone(), slot);
        (text, slot)
    }

    /// Ends a page. Where far more series have vanished than are kept in mind, those unseen for
    /// longest are forgotten.
    pub(crate) fn close(&mut self, scrape: u64) {
        self.order.truncate(self.next);
        if self.slots.len() > 2 * self.next + 2 * MAX_VANISHED
            || self.by_text.len() > 4 * self.next + 4 * MAX_VANISHED
        {
            self.forget(scrape);
        }
    }

    /// Forgets the series that are not on the page, but for those that were there last.
    fn forget(&mut self, scrape: u64) {
        let mut slots = std::mem::take(&mut self.slots);
        slots.sort_by_key(|slot| scrape.saturating_sub(slot.seen));
        let present = slots.partition_point(|slot| slot.seen == scrape);
        slots.truncate(present + MAX_VANISHED);
        (self.by_text, self.by_key) = (HashMap::new(), HashMap::new());
        self.order.clear();
        for (index, slot) in slots.iter().enumerate() {
            self.by_text.insert(slot.text.clone(), index);
            self.by_key.insert(slot.key.clone(), index);
        }
        self.slots = slots;
    }

    /// Decides anew what each series is used for, after the signals or their tracks changed: those
    /// of the page of `scrape` now, the others when they are seen again. A group takes no place
    /// for a series that is gone.
    pub(crate) fn reassign(
        &mut self,
        scrape: u64,
        target: &Target,
        all: &Selections,
        tracks: &mut Tracks,
    ) {
        for slot in &mut self.slots {
            if slot.seen == scrape {
                slot.decide(target, all, tracks);
            } else {
                (slot.uses, slot.undecided) = (Box::default(), true);
            }
        }
    }
}

impl Slot {
    fn decide(&mut self, target: &Target, all: &Selections, tracks: &mut Tracks) {
        let identity = Identity::read(&self.text, target);
        self.uses = all.uses(&identity.name, |label| identity.label(label), tracks);
        self.undecided = false;
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
