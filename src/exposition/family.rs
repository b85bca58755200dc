//! What OpenMetrics demands of the samples of a metric family, and of families among each other.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use super::{Sample, Timestamp};

/// A departure from OpenMetrics that does not keep a line from being read, for people.
pub(super) type Violation = &'static str;

const BAD_TYPE_LABEL: Violation = "the label that the type demands is missing or not canonical";
pub(super) const BAD_METADATA: Violation = "not a HELP, TYPE, UNIT or EOF line";

/// The type of a family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OpenMetricsType {
    Counter,
    Gauge,
    Summary,
    Histogram,
    GaugeHistogram,
    Info,
    StateSet,
    #[default]
    Unknown,
}

impl OpenMetricsType {
    /// What may follow the family's name in the names of its samples.
    fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total", "_created"],
            Self::Summary => &["", "_count", "_sum", "_created"],
            Self::Histogram => &["_count", "_sum", "_bucket", "_created"],
            Self::GaugeHistogram => &["_gcount", "_gsum", "_bucket"],
            Self::Info => &["_info"],
            Self::Gauge | Self::StateSet | Self::Unknown => &[""],
        }
    }

    fn has_buckets(self) -> bool {
        matches!(self, Self::Histogram | Self::GaugeHistogram)
    }
}

type Pairs = Vec<(String, String)>;

/// The families of a page so far.
#[derive(Debug, Default)]
pub(super) struct SeenFamilies {
    taken: HashSet<String>,
    current: Option<OpenFamily>,
}

#[derive(Debug, Default)]
struct OpenFamily {
    name: String,
    line: u64,
    kind: Option<OpenMetricsType>,
    unit: Option<String>,
    has_help: bool,
    has_samples: bool,
    groups: HashSet<Pairs>,
    group: Option<MetricGroup>,
    complaints: Vec<(u64, Violation)>,
}

/// The samples that belong together: one series, histogram, summary or state set.
#[derive(Debug)]
struct MetricGroup {
    labels: Pairs,
    timestamp: Option<Timestamp>,
    series: HashSet<(String, Pairs)>,
    histogram: HistogramChecks,
    line: u64,
}

/// The samples of one histogram at one time.
#[derive(Debug, Default)]
struct HistogramChecks {
    bucket: Option<f64>,
    in_bucket: f64,
    count: Option<f64>,
    has_negative_buckets: bool,
    has_sum: bool,
    /// Whether it is negative, where there is one.
    gsum: Option<bool>,
}

/// What only the end of a family can show: line, family, violation.
pub(super) type Closed = Vec<(u64, String, Violation)>;

impl SeenFamilies {
    /// Whether that is the name of the family at hand.
    pub(super) fn is_current(&self, name: &str) -> bool {
        self.current.as_ref().is_some_and(|family| family.name == name)
    }

    /// Whether a sample of that name belongs to the family at hand.
    pub(super) fn holds(&self, sample: &str) -> bool {
        self.current.as_ref().is_some_and(|family| {
            let suffix = sample.strip_prefix(family.name.as_str());
            suffix.is_some_and(|suffix| family.kind().suffixes().contains(&suffix))
        })
    }

    /// Begins a family and ends the one before it.
    pub(super) fn open(&mut self, name: &str, line: u64) -> Closed {
        let closed = self.close();
        self.current = Some(OpenFamily { name: name.to_owned(), line, ..OpenFamily::default() });
        closed
    }

    /// Takes a line of metadata into the family at hand.
    pub(super) fn declare(&mut self, key: &str, text: &str) -> Result<(), Violation> {
        let family = self.current.as_mut().expect("metadata opens its family first");
        let kind = OpenMetricsType::deserialize(StrDeserializer::<Error>::new(text)).ok();
        let repeated = match key {
            "TYPE" if kind.is_none() => return Err("unknown type"),
            "HELP" | "TYPE" | "UNIT" if family.has_samples => {
                return Err("metadata after samples of the family");
            }
            "HELP" => std::mem::replace(&mut family.has_help, true),
            "TYPE" => std::mem::replace(&mut family.kind, kind).is_some(),
            "UNIT" => family.unit.replace(text.to_owned()).is_some(),
            _ => return Err(BAD_METADATA),
        };
        if repeated { Err("metadata repeated for the family") } else { Ok(()) }
    }

    /// Takes a sample into the family at hand.
    pub(super) fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Violation> {
        let family = self.current.as_mut().expect("a sample opens its family first");
        family.has_samples = true;
        family.sample(sample)
    }

    /// Ends the family at hand.
    pub(super) fn close(&mut self) -> Closed {
        let Some(mut family) = self.current.take() else { return Vec::new() };
        family.end_group();
        let (kind, line) = (family.kind(), family.line);
        let unfit = family.unit.as_deref().is_some_and(|unit| {
            let named = family.name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'));
            !unit.is_empty()
                && (!named || matches!(kind, OpenMetricsType::Info | OpenMetricsType::StateSet))
        });
        if unfit {
            family.complaints.push((line, "the unit does not fit the family's name or type"));
        }
        let bare = kind.suffixes().iter().filter(|suffix| !suffix.is_empty()).chain(&[""]);
        let clashes =
            bare.filter(|suffix| !self.taken.insert(format!("{}{suffix}", family.name))).count();
        if clashes > 0 {
            family.complaints.push((line, "the family's name clashes with an earlier family"));
        }
        let OpenFamily { name, complaints, .. } = family;
        complaints.into_iter().map(|(line, what)| (line, name.clone(), what)).collect()
    }
}

impl OpenFamily {
    fn kind(&self) -> OpenMetricsType {
        self.kind.unwrap_or_default()
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Violation> {
        let kind = self.kind();
        let suffix = sample.name.get(self.name.len()..).unwrap_or_default();
        let special = self.type_label(suffix, sample)?;
        let grouped = self.group(special.as_deref(), sample);
        let group = self.group.as_mut().expect("grouping leaves a group");
        let le = sample.labels.get("le").and_then(|le| le.parse().ok());
        // Taken in whatever else is wrong, so that one fault makes one complaint.
        let ordered = group.histogram.sample(suffix, le, sample.value);
        check_value(kind, suffix, sample.value)?;
        check_exemplar(kind, suffix, sample)?;
        grouped?;
        if kind.has_buckets() { ordered } else { Ok(()) }
    }

    /// The name of the label that tells the samples of one metric apart, if there is one.
    fn type_label(&self, suffix: &str, sample: &Sample<'_>) -> Result<Option<String>, Violation> {
        let kind = self.kind();
        let name = match (kind, suffix) {
            (OpenMetricsType::StateSet, _) => self.name.as_str(),
            (OpenMetricsType::Summary, "") => "quantile",
            (_, "_bucket") if kind.has_buckets() => "le",
            (_, _) => return Ok(None),
        };
        let text = sample.labels.get(name).ok_or(BAD_TYPE_LABEL)?;
        if kind != OpenMetricsType::StateSet {
            let number: f64 = text.parse().map_err(|_| BAD_TYPE_LABEL)?;
            let canonical = !number.is_nan() && (number != f64::INFINITY || text == "+Inf");
            let in_range = kind.has_buckets() || (0.0..=1.0).contains(&number);
            if !canonical || !in_range {
                return Err(BAD_TYPE_LABEL);
            }
        }
        Ok(Some(name.to_owned()))
    }

    fn group(&mut self, special: Option<&str>, sample: &Sample<'_>) -> Result<(), Violation> {
        let info = self.kind() == OpenMetricsType::Info;
        let labels = if info { Pairs::new() } else { pairs(sample, special) };
        let key = (sample.name.clone().into_owned(), pairs(sample, None));
        let current = self.group.as_mut().filter(|group| group.labels == labels);
        let fresh = current.is_none();
        if let Some(group) = current {
            group.line = sample.line;
            let (before, now) = (group.timestamp, sample.timestamp);
            if before.is_some() != now.is_some() {
                return Err("timestamps on some samples of the metric only");
            }
            if now < before && !info {
                return Err("timestamps go backwards");
            }
            if before == now {
                return if group.series.insert(key) { Ok(()) } else { Err("duplicate series") };
            }
        }
        self.end_group();
        let again = fresh && !self.groups.insert(labels.clone());
        self.group = Some(MetricGroup {
            labels,
            timestamp: sample.timestamp,
            series: HashSet::from([key]),
            histogram: HistogramChecks::default(),
            line: sample.line,
        });
        if again { Err("samples of one metric must stand together") } else { Ok(()) }
    }

    fn end_group(&mut self) {
        let has_buckets = self.kind().has_buckets();
        if let Some(group) = self.group.as_ref().filter(|_| has_buckets)
            && let Err(violation) = group.histogram.end()
        {
            self.complaints.push((group.line, violation));
        }
    }
}

fn pairs(sample: &Sample<'_>, without: Option<&str>) -> Pairs {
    let labels = sample.labels.iter().filter(|(name, _)| Some(name.as_ref()) != without);
    let pairs = labels.map(|(name, value)| (name.into_owned(), value.into_owned()));
    let mut pairs: Pairs = pairs.collect();
    pairs.sort_unstable();
    pairs
}

fn check_value(kind: OpenMetricsType, suffix: &str, value: f64) -> Result<(), Violation> {
    let counts = matches!(suffix, "_bucket" | "_count" | "_gcount");
    if counts && !(value.is_finite() && value.fract() == 0.0) {
        return Err("a count must be a whole number");
    }
    let counting = counts || matches!(suffix, "_total" | "_sum");
    let quantile = kind == OpenMetricsType::Summary && suffix.is_empty();
    if (counting || suffix == "_gsum") && value.is_nan() || (counting || quantile) && value < 0.0 {
        return Err("a count cannot be negative or NaN");
    }
    let off = kind == OpenMetricsType::StateSet && value == 0.0;
    let stated = matches!(kind, OpenMetricsType::StateSet | OpenMetricsType::Info);
    if stated && value != 1.0 && !off {
        return Err("the type demands a value of 0 or 1");
    }
    Ok(())
}

fn check_exemplar(
    kind: OpenMetricsType,
    suffix: &str,
    sample: &Sample<'_>,
) -> Result<(), Violation> {
    let Some(exemplar) = &sample.exemplar else { return Ok(()) };
    let on_bucket = kind.has_buckets() && suffix == "_bucket";
    let on_counter = kind == OpenMetricsType::Counter && suffix == "_total";
    if !on_bucket && !on_counter {
        return Err("exemplars belong on buckets and counters only");
    }
    let characters =
        exemplar.labels.iter().map(|(name, value)| name.chars().count() + value.chars().count());
    let long = characters.sum::<usize>() > 128;
    if long { Err("exemplar labels of more than 128 characters") } else { Ok(()) }
}

impl HistogramChecks {
    fn sample(&mut self, suffix: &str, le: Option<f64>, value: f64) -> Result<(), Violation> {
        match (suffix, le) {
            ("_bucket", Some(le)) => {
                self.has_negative_buckets |= le < 0.0;
                let ordered = self.bucket.is_none_or(|last| last < le) && self.in_bucket <= value;
                (self.bucket, self.in_bucket) = (Some(le), value);
                return if ordered { Ok(()) } else { Err("buckets out of order") };
            }
            ("_count" | "_gcount", _) => self.count = Some(value),
            ("_sum", _) => self.has_sum = true,
            ("_gsum", _) => self.gsum = Some(value < 0.0 || self.gsum == Some(true)),
            (_, _) => {}
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Violation> {
        if self.bucket != Some(f64::INFINITY) {
            return Err("no +Inf bucket");
        }
        if self.count.is_some_and(|count| count != self.in_bucket) {
            return Err("the count is not that of the +Inf bucket");
        }
        let paired = (self.has_sum || self.gsum.is_some()) == self.count.is_some();
        let sum_with_negatives = self.has_negative_buckets && self.has_sum;
        let negative_sum = !self.has_negative_buckets && self.gsum == Some(true);
        let fits = paired && !sum_with_negatives && !negative_sum;
        if fits { Ok(()) } else { Err("sum and count do not go together") }
    }
}
