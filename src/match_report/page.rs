//! What one target's page holds, as far as anybody may ask. Of the metrics that are wanted every
//! series is kept with its labels, of all others the name and the kind.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::exposition::{Sample, for_each_series};
use crate::model::scrape::Page;
use crate::model::target::Target;

/// How many metrics' names are kept of a page. Large services have two thousand metrics, and a
/// page that never stops inventing names must not fill the memory with them.
const MAX_NAMES: usize = 20_000;

/// A series' labels: those of the page, those of the target, and `target`.
pub(super) type SeriesLabels = Vec<(String, String)>;

/// What a page holds.
#[derive(Clone, Debug, Default)]
pub struct PageContents {
    pub(super) target: String,
    pub(super) names: BTreeSet<String>,
    /// What the page says that a family is.
    pub(super) kinds: HashMap<String, String>,
    series: HashMap<String, Vec<SeriesLabels>>,
    /// How many samples the page has.
    pub(super) samples: u64,
}

impl PageContents {
    /// Reads a page that was scraped whole; the series of `wanted` metrics are kept.
    pub fn read(page: &Page, target: &Target, wanted: &HashSet<String>) -> Self {
        let mut contents = Self {
            target: target.name.to_string(),
            samples: page.sample_count,
            kinds: page.kinds().iter().cloned().collect(),
            ..Self::default()
        };
        for_each_series(page, |sample, _| contents.take(sample, target, wanted));
        contents
    }

    fn take(&mut self, sample: &Sample<'_>, target: &Target, wanted: &HashSet<String>) {
        if self.names.len() < MAX_NAMES && !self.names.contains(&*sample.name) {
            self.names.insert(sample.name.clone().into_owned());
        }
        if !wanted.contains(&*sample.name) {
            return;
        }
        // The target's own labels win over the page's, as in the engine.
        let own = ("target".to_owned(), target.name.to_string());
        let mut labels: SeriesLabels = vec![own];
        labels.extend(target.labels.iter().cloned());
        for (name, value) in sample.labels.iter() {
            if label(&labels, &name).is_empty() && !value.is_empty() {
                labels.push((name.into_owned(), value.into_owned()));
            }
        }
        self.series.entry(sample.name.clone().into_owned()).or_default().push(labels);
    }

    /// The series of a wanted metric.
    pub(super) fn series(&self, metric: &str) -> &[SeriesLabels] {
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
}

/// A label's value; an absent label equals the empty text.
pub(super) fn label<'l>(labels: &'l SeriesLabels, name: &str) -> &'l str {
    labels.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}
