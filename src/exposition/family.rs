//! What OpenMetrics demands of the samples of a metric family, and of families among each other.

use std::collections::HashSet;
use std::fmt;

use super::{Sample, Timestamp};

/// A departure from OpenMetrics that does not keep a line from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A blank line.
    BlankLine,
    /// A carriage return at the end of a line.
    CarriageReturn,
    /// A space or tab where there must be none, or none where there must be one.
    Spacing,
    /// A comma behind the last label.
    TrailingComma,
    /// A label name that begins with two underscores.
    ReservedLabelName,
    /// A comment that is neither HELP, TYPE, UNIT nor EOF, or not well-formed.
    BadMetadata,
    /// A TYPE that OpenMetrics does not know.
    UnknownType,
    /// HELP, TYPE or UNIT behind a sample of the family.
    MetadataAfterSamples,
    /// A second HELP, TYPE or UNIT for the family.
    RepeatedMetadata,
    /// A unit that the family's name does not end with, or on a type that has none.
    BadUnit,
    /// A family, or a name that it may use, was on the page before.
    RepeatedFamily,
    /// No `le`, `quantile` or state label, or one that is no canonical number.
    BadTypeLabel,
    /// A count that is not a whole number.
    NotInteger,
    /// A negative value or NaN where only counting can lead.
    BadCount,
    /// A state that is neither 0 nor 1, or an info that is not 1.
    BadState,
    /// An exemplar on something that is neither a bucket nor a counter.
    MisplacedExemplar,
    /// An exemplar with more than 128 characters of labels.
    LongExemplar,
    /// Samples of one series or histogram that do not stand together.
    Interleaved,
    /// A series with and without timestamps.
    MixedTimestamps,
    /// A timestamp before that of the line before.
    Backwards,
    /// The same series at the same time again.
    Duplicate,
    /// Buckets that do not ascend.
    BucketOrder,
    /// No bucket for +Inf.
    NoInfBucket,
    /// A count that is not that of the +Inf bucket.
    CountMismatch,
    /// A sum without count, a count without sum, or a sum where negative values are observed.
    BadSum,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BlankLine => "blank line",
            Self::CarriageReturn => "carriage return",
            Self::Spacing => "parts must be separated by exactly one space",
            Self::TrailingComma => "comma after the last label",
            Self::ReservedLabelName => "label names that begin with __ are reserved",
            Self::BadMetadata => "not a HELP, TYPE, UNIT or EOF line",
            Self::UnknownType => "unknown type",
            Self::MetadataAfterSamples => "metadata after samples of the family",
            Self::RepeatedMetadata => "metadata repeated for the family",
            Self::BadUnit => "the unit does not fit the family's name or type",
            Self::RepeatedFamily => "the family's name clashes with an earlier family",
            Self::BadTypeLabel => "the label that the type demands is missing or not canonical",
            Self::NotInteger => "a count must be a whole number",
            Self::BadCount => "a count cannot be negative or NaN",
            Self::BadState => "the type demands a value of 0 or 1",
            Self::MisplacedExemplar => "exemplars belong on buckets and counters only",
            Self::LongExemplar => "exemplar labels of more than 128 characters",
            Self::Interleaved => "samples of one metric must stand together",
            Self::MixedTimestamps => "timestamps on some samples of the metric only",
            Self::Backwards => "timestamps go backwards",
            Self::Duplicate => "duplicate series",
            Self::BucketOrder => "buckets out of order",
            Self::NoInfBucket => "no +Inf bucket",
            Self::CountMismatch => "the count is not that of the +Inf bucket",
            Self::BadSum => "sum and count do not go together",
        })
    }
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenMetricsType {
    Counter,
    Gauge,
    Summary,
    Histogram,
    GaugeHistogram,
    Info,
    StateSet,
    Unknown,
}

impl OpenMetricsType {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "summary" => Self::Summary,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "unknown" => Self::Unknown,
            _ => return None,
        })
    }

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

#[derive(Debug)]
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
    has_gsum: bool,
    has_negative_gsum: bool,
}

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

    pub(super) fn open(&mut self, name: &str, line: u64) {
        self.current = Some(OpenFamily {
            name: name.to_owned(),
            line,
            kind: None,
            unit: None,
            has_help: false,
            has_samples: false,
            groups: HashSet::new(),
            group: None,
            complaints: Vec::new(),
        });
    }

    pub(super) fn help(&mut self) -> Result<(), Violation> {
        let family = self.declared()?;
        let repeated = std::mem::replace(&mut family.has_help, true);
        if repeated { Err(Violation::RepeatedMetadata) } else { Ok(()) }
    }

    pub(super) fn kind(&mut self, kind: OpenMetricsType) -> Result<(), Violation> {
        let repeated = self.declared()?.kind.replace(kind).is_some();
        if repeated { Err(Violation::RepeatedMetadata) } else { Ok(()) }
    }

    pub(super) fn unit(&mut self, unit: &str) -> Result<(), Violation> {
        let repeated = self.declared()?.unit.replace(unit.to_owned()).is_some();
        if repeated { Err(Violation::RepeatedMetadata) } else { Ok(()) }
    }

    fn declared(&mut self) -> Result<&mut OpenFamily, Violation> {
        let family = self.current.as_mut().expect("metadata opens its family first");
        if family.has_samples { Err(Violation::MetadataAfterSamples) } else { Ok(family) }
    }

    /// Takes a sample into the family at hand.
    pub(super) fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Violation> {
        let family = self.current.as_mut().expect("a sample opens its family first");
        family.has_samples = true;
        family.sample(sample)
    }

    /// Ends the family at hand and says what only its end can show: line, family, violation.
    pub(super) fn close(&mut self) -> Vec<(u64, String, Violation)> {
        let Some(mut family) = self.current.take() else { return Vec::new() };
        family.end_group();
        let (kind, line) = (family.kind(), family.line);
        let unfit = family.unit.as_deref().is_some_and(|unit| {
            let named = family.name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'));
            !unit.is_empty()
                && (!named || matches!(kind, OpenMetricsType::Info | OpenMetricsType::StateSet))
        });
        if unfit {
            family.complaints.push((line, Violation::BadUnit));
        }
        let bare = kind.suffixes().iter().filter(|suffix| !suffix.is_empty()).chain(&[""]);
        let clashes =
            bare.filter(|suffix| !self.taken.insert(format!("{}{suffix}", family.name))).count();
        if clashes > 0 {
            family.complaints.push((line, Violation::RepeatedFamily));
        }
        let OpenFamily { name, complaints, .. } = family;
        complaints.into_iter().map(|(line, what)| (line, name.clone(), what)).collect()
    }
}

impl OpenFamily {
    fn kind(&self) -> OpenMetricsType {
        self.kind.unwrap_or(OpenMetricsType::Unknown)
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Violation> {
        let kind = self.kind();
        let suffix = sample.name.get(self.name.len()..).unwrap_or_default().to_owned();
        let special = self.type_label(&suffix, sample)?;
        let grouped = self.group(special.as_deref(), sample);
        let group = self.group.as_mut().expect("grouping leaves a group");
        let le = sample.labels.get("le").and_then(|le| le.parse().ok());
        // Taken in whatever else is wrong, so that one fault makes one complaint.
        let ordered = group.histogram.sample(&suffix, le, sample.value);
        check_value(kind, &suffix, sample.value)?;
        check_exemplar(kind, &suffix, sample)?;
        grouped?;
        if kind.has_buckets() { ordered } else { Ok(()) }
    }

    /// The name of the label that tells the samples of one metric apart, if there is one.
    fn type_label(&self, suffix: &str, sample: &Sample<'_>) -> Result<Option<String>, Violation> {
        let name = match (self.kind(), suffix) {
            (OpenMetricsType::Histogram | OpenMetricsType::GaugeHistogram, "_bucket") => "le",
            (OpenMetricsType::Summary, "") => "quantile",
            (OpenMetricsType::StateSet, _) => {
                let name = self.name.clone();
                let present = sample.labels.get(&name).is_some();
                return present.then_some(Some(name)).ok_or(Violation::BadTypeLabel);
            }
            (_, _) => return Ok(None),
        };
        let text = sample.labels.get(name).ok_or(Violation::BadTypeLabel)?;
        let number: f64 = text.parse().map_err(|_| Violation::BadTypeLabel)?;
        let canonical = !number.is_nan() && (number != f64::INFINITY || text == "+Inf");
        let in_range = name == "le" || (0.0..=1.0).contains(&number);
        (canonical && in_range).then(|| Some(name.to_owned())).ok_or(Violation::BadTypeLabel)
    }

    fn group(&mut self, special: Option<&str>, sample: &Sample<'_>) -> Result<(), Violation> {
        let series = pairs(sample, None);
        let labels = match self.kind() {
            OpenMetricsType::Info => Pairs::new(),
            OpenMetricsType::Counter
            | OpenMetricsType::Gauge
            | OpenMetricsType::Summary
            | OpenMetricsType::Histogram
            | OpenMetricsType::GaugeHistogram
            | OpenMetricsType::StateSet
            | OpenMetricsType::Unknown => pairs(sample, special),
        };
        let key = (sample.name.clone().into_owned(), series);
        let info = self.kind() == OpenMetricsType::Info;
        if let Some(group) = self.group.as_mut().filter(|group| group.labels == labels) {
            group.line = sample.line;
            let (before, now) = (group.timestamp, sample.timestamp);
            if before.is_some() != now.is_some() {
                return Err(Violation::MixedTimestamps);
            }
            if now < before && !info {
                return Err(Violation::Backwards);
            }
            if before == now {
                let fresh = group.series.insert(key);
                return if fresh { Ok(()) } else { Err(Violation::Duplicate) };
            }
        }
        self.end_group();
        let again = self.group.as_ref().is_none_or(|group| group.labels != labels)
            && !self.groups.insert(labels.clone());
        self.group = Some(MetricGroup {
            labels,
            timestamp: sample.timestamp,
            series: HashSet::from([key]),
            histogram: HistogramChecks::default(),
            line: sample.line,
        });
        if again { Err(Violation::Interleaved) } else { Ok(()) }
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
    let mut pairs: Pairs = sample
        .labels
        .iter()
        .filter(|(name, _)| Some(name.as_ref()) != without)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    pairs.sort_unstable();
    pairs
}

fn check_value(kind: OpenMetricsType, suffix: &str, value: f64) -> Result<(), Violation> {
    let whole = value.is_finite() && value.fract() == 0.0;
    let counts = matches!(suffix, "_bucket" | "_count" | "_gcount");
    if counts && !whole {
        return Err(Violation::NotInteger);
    }
    let counting = counts || matches!(suffix, "_total" | "_sum");
    let quantile = kind == OpenMetricsType::Summary && suffix.is_empty();
    if (counting || suffix == "_gsum") && value.is_nan() || (counting || quantile) && value < 0.0 {
        return Err(Violation::BadCount);
    }
    let fits = match kind {
        OpenMetricsType::StateSet => value == 0.0 || value == 1.0,
        OpenMetricsType::Info => value == 1.0,
        OpenMetricsType::Counter
        | OpenMetricsType::Gauge
        | OpenMetricsType::Summary
        | OpenMetricsType::Histogram
        | OpenMetricsType::GaugeHistogram
        | OpenMetricsType::Unknown => true,
    };
    if fits { Ok(()) } else { Err(Violation::BadState) }
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
        return Err(Violation::MisplacedExemplar);
    }
    let characters =
        exemplar.labels.iter().map(|(name, value)| name.chars().count() + value.chars().count());
    if characters.sum::<usize>() > 128 { Err(Violation::LongExemplar) } else { Ok(()) }
}

impl HistogramChecks {
    fn sample(&mut self, suffix: &str, le: Option<f64>, value: f64) -> Result<(), Violation> {
        match (suffix, le) {
            ("_bucket", Some(le)) => {
                self.has_negative_buckets |= le < 0.0;
                let ordered = self.bucket.is_none_or(|last| last < le) && self.in_bucket <= value;
                (self.bucket, self.in_bucket) = (Some(le), value);
                return if ordered { Ok(()) } else { Err(Violation::BucketOrder) };
            }
            ("_count" | "_gcount", _) => self.count = Some(value),
            ("_sum", _) => self.has_sum = true,
            ("_gsum", _) => {
                self.has_gsum = true;
                self.has_negative_gsum |= value < 0.0;
            }
            (_, _) => {}
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Violation> {
        if self.bucket != Some(f64::INFINITY) {
            return Err(Violation::NoInfBucket);
        }
        if self.count.is_some_and(|count| count != self.in_bucket) {
            return Err(Violation::CountMismatch);
        }
        let paired = (self.has_sum || self.has_gsum) == self.count.is_some();
        let sum_with_negatives = self.has_negative_buckets && self.has_sum;
        let negative_sum = !self.has_negative_buckets && self.has_negative_gsum;
        let fits = paired && !sum_with_negatives && !negative_sum;
        if fits { Ok(()) } else { Err(Violation::BadSum) }
    }
}
