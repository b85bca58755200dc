//! A page as metric families: what they are called, of which type, with which labels. Of the type
//! the page's own word counts; where it says nothing, the names of the samples do.

use std::collections::{BTreeMap, HashMap};

use crate::exposition::{Sample, for_each_series};
use crate::model::scrape::Page;

/// Values of one label that are kept: more than any status, bucket or backend label has, and what
/// has more is none of these.
const MAX_VALUES: usize = 512;

/// Labels of one family that are kept; a series of a sane page has a tenth of it.
const MAX_LABELS: usize = 64;

/// Families that are kept: ten times the largest pages.
const MAX_FAMILIES: usize = 20_000;

/// The longest name and value that are looked at. No library writes such, and a file that people
/// read does not show them.
const MAX_TEXT: usize = 256;

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only grows.
    Counter,
    /// Any number.
    Gauge,
    /// Buckets.
    Histogram,
    /// Sum and count, possibly with quantiles.
    Summary,
    /// Neither the page nor the name tells.
    #[default]
    Unknown,
}

/// A metric family.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricFamily {
    /// As a selector names it: of a counter with its `_total`, of a histogram or summary without
    /// `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// Its type.
    pub kind: FamilyKind,
    /// Its labels, without `le` and `quantile`, and their values.
    pub labels: BTreeMap<String, LabelValues>,
    /// How many series it has; of a histogram or summary, those of its count.
    pub series: u64,
    /// The sum over them: of a histogram or summary, all observations.
    pub total: f64,
    /// The sum of all observations of a histogram or summary.
    pub sum: f64,
    /// A histogram's upper bounds, ascending, and the observations at or below each.
    pub bounds: Vec<(f64, f64)>,
    /// Whether all series of the histogram have the same bounds.
    pub alike: bool,
    /// A summary's own quantiles.
    pub quantiles: Vec<f64>,
}

/// Values of one label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelValues {
    /// Each with the number of series that have it and the sum over these.
    pub seen: BTreeMap<String, (u64, f64)>,
    /// There are more than are kept, or some too long to be.
    pub more: bool,
}

/// The families of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageFamilies {
    list: BTreeMap<String, MetricFamily>,
    /// Families that the page declares and has no sample of.
    pub empty: Vec<String>,
    /// The page's size in bytes.
    pub bytes: u64,
    /// How many samples it has.
    pub samples: u64,
}

impl LabelValues {
    fn add(&mut self, value: &str, sample: f64) {
        let fits = value.len() <= MAX_TEXT
            && (self.seen.len() < MAX_VALUES || self.seen.contains_key(value));
        if !fits {
            self.more = true;
            return;
        }
        let seen = self.seen.entry(value.to_owned()).or_default();
        seen.0 += 1;
        seen.1 += sample;
    }

    /// The sum over the series that have this value.
    pub fn weight(&self, value: &str) -> f64 {
        self.seen.get(value).map_or(0.0, |(_, total)| *total)
    }
}

/// Adds a sample to those of its name.
fn gather(names: &mut BTreeMap<String, MetricFamily>, sample: &Sample<'_>, value: f64) {
    let full = names.len() >= MAX_FAMILIES && !names.contains_key(&*sample.name);
    if sample.name.len() > MAX_TEXT || full {
        return;
    }
    let value = if value.is_finite() { value } else { 0.0 };
    let samples = names.entry(sample.name.clone().into_owned()).or_default();
    samples.series += 1;
    samples.total += value;
    for (label, text) in sample.labels.iter() {
        let known = samples.labels.contains_key(&*label);
        if label.len() <= MAX_TEXT && (known || samples.labels.len() < MAX_LABELS) {
            samples.labels.entry(label.into_owned()).or_default().add(&text, value);
        }
    }
}

impl PageFamilies {
    /// Takes a page that was read whole.
    pub fn read(page: &Page) -> Self {
        let mut names = BTreeMap::new();
        for_each_series(page, |sample, value| gather(&mut names, sample, value));
        let kinds = page.kinds().iter().map(|(name, kind)| (name.as_str(), kind.as_str()));
        let fold = Fold { names, kinds: kinds.collect() };
        let list = fold.families();
        let has = |name: &&str| {
            let with = |suffix: &str| list.contains_key(&format!("{name}{suffix}"));
            ["", "_total", "_info"].into_iter().any(with)
        };
        let mut empty: Vec<_> = fold.kinds.keys().copied().filter(|name| !has(name)).collect();
        empty.retain(|name| name.len() <= MAX_TEXT);
        empty.sort_unstable();
        let empty = empty.into_iter().map(str::to_owned).collect();
        Self { list, empty, bytes: page.bytes, samples: page.sample_count }
    }

    /// The family of that name.
    pub fn get(&self, name: &str) -> Option<&MetricFamily> {
        self.list.get(name)
    }

    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = &MetricFamily> {
        self.list.values()
    }
}

/// Samples by name on the way to families.
struct Fold<'p> {
    names: BTreeMap<String, MetricFamily>,
    kinds: HashMap<&'p str, &'p str>,
}

impl Fold<'_> {
    fn families(&self) -> BTreeMap<String, MetricFamily> {
        let mut list = BTreeMap::new();
        for name in self.names.keys() {
            let family = match self.base(name) {
                Some(base) if list.contains_key(base) => continue,
                Some(base) => self.observed(base),
                None => self.plain(name),
            };
            list.insert(family.name.clone(), family);
        }
        list
    }

    fn has(&self, name: &str, label: &str) -> bool {
        self.names.get(name).is_some_and(|samples| samples.labels.contains_key(label))
    }

    /// The histogram or summary that samples of this name belong to.
    fn base<'n>(&self, name: &'n str) -> Option<&'n str> {
        let base = name.strip_suffix("_bucket").filter(|_| self.has(name, "le"));
        if base.is_some() {
            return base;
        }
        let counted = |base: &str| {
            let with = |suffix: &str| self.names.contains_key(&format!("{base}{suffix}"));
            with("_sum") && with("_count")
        };
        if self.has(name, "quantile") && counted(name) {
            return Some(name);
        }
        let base = name.strip_suffix("_sum").or(name.strip_suffix("_count"))?;
        let buckets = self.has(&format!("{base}_bucket"), "le");
        (buckets || counted(base)).then_some(base)
    }

    fn plain(&self, name: &str) -> MetricFamily {
        let bare = name.strip_suffix("_total").unwrap_or(name);
        let kind = match self.kinds.get(name).or(self.kinds.get(bare)).copied() {
            Some("counter") => FamilyKind::Counter,
            Some("gauge" | "stateset" | "info") => FamilyKind::Gauge,
            Some(_) | None if name.ends_with("_total") => FamilyKind::Counter,
            Some(_) | None => FamilyKind::Unknown,
        };
        let samples = self.names[name].clone();
        MetricFamily { name: name.to_owned(), kind, alike: true, ..samples }
    }

    fn observed(&self, base: &str) -> MetricFamily {
        let of = |suffix: &str| self.names.get(&format!("{base}{suffix}"));
        let (buckets, count, own) = (of("_bucket"), of("_count"), of(""));
        let kind = if buckets.is_some() { FamilyKind::Histogram } else { FamilyKind::Summary };
        let labels = count.or(buckets).or(own).map(|samples| samples.labels.clone());
        let mut labels = labels.unwrap_or_default();
        labels.retain(|label, _| label != "le" && label != "quantile");
        let bounds = buckets.and_then(|samples| samples.labels.get("le"));
        let quantiles = own.and_then(|samples| samples.labels.get("quantile"));
        MetricFamily {
            name: base.to_owned(),
            kind,
            labels,
            series: count.map_or(0, |samples| samples.series),
            total: count.map_or(0.0, |samples| samples.total),
            sum: of("_sum").map_or(0.0, |samples| samples.total),
            alike: bounds.is_some_and(are_alike),
            bounds: bounds.map(ascending).unwrap_or_default(),
            quantiles: quantiles.map(|values| numbers(values).collect()).unwrap_or_default(),
        }
    }
}

fn numbers(values: &LabelValues) -> impl Iterator<Item = f64> {
    values.seen.keys().filter_map(|text| text.parse().ok()).filter(|number: &f64| !number.is_nan())
}

fn are_alike(values: &LabelValues) -> bool {
    let mut counts = values.seen.values().map(|(series, _)| series);
    let first = counts.next();
    !values.more && counts.all(|count| Some(count) == first)
}

fn ascending(values: &LabelValues) -> Vec<(f64, f64)> {
    let parse = |(text, (_, total)): (&String, &(u64, f64))| Some((text.parse().ok()?, *total));
    let mut bounds: Vec<(f64, f64)> = values.seen.iter().filter_map(parse).collect();
    bounds.retain(|(bound, _)| !bound.is_nan());
    bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    bounds
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::exposition::{Format, Limits, Malformed, Reader, Sink, Whole};

    struct Fill(Page);

    impl Sink for Fill {
        fn sample(&mut self, sample: Sample<'_>) {
            self.0.push(sample.series, sample.value, None);
        }

        fn malformed(&mut self, _: Malformed<'_>) {}

        fn kind(&mut self, family: &str, kind: &str) {
            self.0.push_kind(family, kind);
        }
    }

    /// The families of a page in the text format.
    pub(in crate::discovery) fn families(text: &str) -> PageFamilies {
        let mut fill = Fill(Page::default());
        let mut reader = Reader::new(Format::Text, Limits::default(), None);
        reader.feed(text.as_bytes(), &mut fill).unwrap();
        reader.finish(Whole::Yes, &mut fill).unwrap();
        PageFamilies::read(&fill.0)
    }

    #[test]
    fn types_are_taken_from_the_page_and_otherwise_from_the_names() {
        let page = families(
            "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\nb_total 1\nc 1\n# TYPE d_total gauge\n\
             d_total 1\n# TYPE e counter\ne_total 1\n# TYPE \"f.g\" gauge\n{\"f.g\"} 1\n",
        );
        let kind = |name: &str| page.get(name).unwrap().kind;
        assert_eq!(kind("a"), FamilyKind::Counter);
        assert_eq!(kind("b_total"), FamilyKind::Counter);
        assert_eq!(kind("c"), FamilyKind::Unknown);
        assert_eq!(kind("d_total"), FamilyKind::Gauge);
        assert_eq!(kind("e_total"), FamilyKind::Counter);
        assert_eq!(kind("f.g"), FamilyKind::Gauge);
        let a = page.get("a").unwrap();
        assert_eq!((a.series, a.total, a.labels["x"].weight("2")), (2, 5.0, 3.0));
        assert_eq!(page.empty, Vec::<String>::new());
    }

    #[test]
    fn histograms_and_summaries_are_one_family_each() {
        let page = families(
            "h_bucket{le=\"1\",p=\"a\"} 1\nh_bucket{le=\"+Inf\",p=\"a\"} 4\nh_sum{p=\"a\"} 9\n\
             h_count{p=\"a\"} 4\nq{quantile=\"0.9\"} NaN\nq_sum 3\nq_count 2\nm_sum 1\nm_count 1\n\
             lone_count 1\n# TYPE none histogram\n",
        );
        let names: Vec<_> = page.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names, ["h", "lone_count", "m", "q"]);
        let h = page.get("h").unwrap();
        assert_eq!((h.kind, h.total, h.sum, h.alike), (FamilyKind::Histogram, 4.0, 9.0, true));
        assert_eq!(h.bounds, [(1.0, 1.0), (f64::INFINITY, 4.0)]);
        assert_eq!(h.labels.keys().collect::<Vec<_>>(), ["p"]);
        assert_eq!(page.get("q").unwrap().quantiles, [0.9]);
        assert_eq!(page.get("m").unwrap().kind, FamilyKind::Summary);
        assert_eq!(page.empty, ["none"]);
    }

    #[test]
    fn series_that_disagree_on_their_bounds_are_told() {
        let page = families(
            "h_bucket{le=\"1\",p=\"a\"} 1\nh_bucket{le=\"+Inf\",p=\"a\"} 4\n\
             h_bucket{le=\"+Inf\",p=\"b\"} 4\n",
        );
        assert!(!page.get("h").unwrap().alike);
    }

    #[test]
    fn a_label_without_end_is_cut_and_says_so() {
        let text: String = (0..2000).map(|n| format!("m{{u=\"{n}\"}} 1\n")).collect();
        let page = families(&text);
        let m = page.get("m").unwrap();
        assert_eq!((m.series, m.labels["u"].seen.len()), (2000, MAX_VALUES));
        assert!(m.labels["u"].more);
    }
}
