//! A survey: what one target's page holds, as far as anybody may ask. Of the metrics that are
//! wanted every series is kept with its labels, of all others the name and the kind.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::exposition::{Format, Limits, Malformed, Reader, Sample, Sink, Whole};
use crate::model::scrape::Page;
use crate::model::target::Target;

/// How many metrics' names are kept of a page. Large services have two thousand metrics, and a
/// page that never stops inventing names must not fill the memory with them.
const MAX_NAMES: usize = 20_000;

/// A series' labels: those of the page, those of the target, and `target`.
pub(super) type Labels = Vec<(String, String)>;

/// What a page holds.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    pub(super) target: String,
    pub(super) names: BTreeSet<String>,
    kinds: HashMap<String, String>,
    series: HashMap<String, Vec<Labels>>,
    /// How many samples the page has.
    pub(super) samples: u64,
}

impl Survey {
    /// Reads a page that was scraped whole; the series of `wanted` metrics are kept.
    #[must_use]
    pub fn read(page: &Page, target: &Target, wanted: &HashSet<String>) -> Self {
        let survey = Self {
            target: target.name.to_string(),
            samples: page.sample_count,
            kinds: page.kinds().iter().cloned().collect(),
            ..Self::default()
        };
        let mut taker = Taker { survey, target, wanted };
        let mut reader = Reader::new(Format::Text, Limits::default(), None);
        for sample in page.samples() {
            // A page that passed the limits once passes them again: its text only got shorter.
            let fed = reader.feed(sample.series.as_bytes(), &mut taker);
            if fed.and_then(|()| reader.feed(b" 0\n", &mut taker)).is_err() {
                break;
            }
        }
        let read = reader.finish(Whole::Yes, &mut taker);
        debug_assert!(read.is_ok(), "a reader takes back what it gave: {read:?}");
        taker.survey
    }

    /// The series of a wanted metric.
    pub(super) fn series(&self, metric: &str) -> &[Labels] {
        self.series.get(metric).map_or(&[], Vec::as_slice)
    }

    /// What the page says that a metric is, by the name of its samples: `counter`, `gauge`,
    /// `histogram`, `summary`. In OpenMetrics it says so of the name without its ending.
    pub(super) fn kind(&self, metric: &str) -> Option<&str> {
        const ENDINGS: [&str; 5] = ["", "_total", "_bucket", "_count", "_sum"];
        let bases = ENDINGS.iter().filter_map(|ending| metric.strip_suffix(ending));
        let mut kinds = bases.filter_map(|base| self.kinds.get(base));
        kinds.next().map(String::as_str)
    }

    /// What the page says of exactly this name.
    pub(super) fn kind_of_family(&self, family: &str) -> Option<&str> {
        self.kinds.get(family).map(String::as_str)
    }
}

/// A label's value; an absent label equals the empty text.
pub(super) fn label<'l>(labels: &'l Labels, name: &str) -> &'l str {
    labels.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// Takes series in.
struct Taker<'a> {
    survey: Survey,
    target: &'a Target,
    wanted: &'a HashSet<String>,
}

impl Sink for Taker<'_> {
    fn sample(&mut self, sample: Sample<'_>) {
        if self.survey.names.len() < MAX_NAMES && !self.survey.names.contains(&*sample.name) {
            self.survey.names.insert(sample.name.clone().into_owned());
        }
        if !self.wanted.contains(&*sample.name) {
            return;
        }
        let own = sample.labels.iter().map(|(name, value)| (name.into_owned(), value.into_owned()));
        let given = self.target.labels.iter().cloned();
        let target = ("target".to_owned(), self.target.name.to_string());
        // The target's own labels win over the page's, as in the engine.
        let mut labels: Labels = std::iter::once(target).chain(given).collect();
        for (name, value) in own {
            if label(&labels, &name).is_empty() && !value.is_empty() {
                labels.push((name, value));
            }
        }
        self.survey.series.entry(sample.name.into_owned()).or_default().push(labels);
    }

    fn malformed(&mut self, _: Malformed<'_>) {}
}
