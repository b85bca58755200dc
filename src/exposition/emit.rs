//! Metrics in protobuf to the samples that the text format of the same page gives.
//!
//! Every series is written as text would have it and read by the parser of lines, so that a label
//! or name that one refuses the other cannot accept, and a rule means the same on both pages.

use std::borrow::Cow;

use super::format::Dialect;
use super::line::{self, LineParser, ParsedLine};
use super::metric::{
    HistogramMessage, Metric, MetricFault, MetricType, MetricValue, SummaryMessage,
};
use super::names::{Head, NameFilter};
use super::{Malformed, NameSet, Native, PageError, Reason, Sample, Sink, Tally, Timestamp};
use super::{float, scan};
use crate::model::native::{MAX_PAGE_BUCKETS, NativeHistogram};

/// What may stand behind a family's name in the name of a sample.
const SUFFIXES: [&str; 4] = ["", "_bucket", "_sum", "_count"];

/// Which of a family's names are wanted, in the order of [`SUFFIXES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WantedNames {
    samples: [bool; SUFFIXES.len()],
    native: bool,
}

impl WantedNames {
    /// Looks up every name that samples of the family may have.
    pub(super) fn new(family: &[u8], names: Option<&NameSet>, scratch: &mut Vec<u8>) -> Self {
        let samples = SUFFIXES.map(|suffix| {
            scratch.clear();
            scratch.extend_from_slice(family);
            scratch.extend_from_slice(suffix.as_bytes());
            names.is_none_or(|names| names.contains(scratch))
        });
        Self { samples, native: names.is_none_or(|names| names.contains_native(family)) }
    }

    /// Whether any is.
    pub(super) fn any(self) -> bool {
        self.native || self.samples.contains(&true)
    }

    fn has(self, suffix: &str) -> bool {
        SUFFIXES.iter().zip(self.samples).any(|(known, wanted)| *known == suffix && wanted)
    }
}

/// A family at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct FamilyMessage<'a> {
    pub(super) name: &'a str,
    pub(super) wanted: WantedNames,
    /// From 1.
    pub(super) number: u64,
}

/// Why a metric gave less than it should.
#[derive(Debug)]
pub(super) enum MetricStop {
    /// It is malformed.
    Fault(MetricFault),
    /// The page is lost.
    Page(PageError),
}

impl From<MetricFault> for MetricStop {
    fn from(fault: MetricFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<PageError> for MetricStop {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

/// Hands metrics to a sink.
#[derive(Debug)]
pub(super) struct Emitter {
    scribe: Scribe,
    max_samples: u64,
    native_buckets: usize,
    pub(super) tally: Tally,
}

/// Writes series as text and reads them.
#[derive(Debug)]
struct Scribe {
    parser: LineParser,
    filter: NameFilter<'static>,
    text: String,
}

/// A label besides those of the metric.
type Extra = Option<(&'static str, f64)>;

impl Emitter {
    pub(super) fn new(max_labels: usize, max_samples: u64) -> Self {
        let parser = LineParser::new(Dialect::Text, max_labels);
        let scribe = Scribe { parser, filter: NameFilter::new(None), text: String::new() };
        Self { scribe, max_samples, native_buckets: 0, tally: Tally::default() }
    }

    /// Hands over what a metric of the family says.
    pub(super) fn metric(
        &mut self,
        (family, kind): (FamilyMessage<'_>, MetricType),
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), MetricStop> {
        let metric = Metric::read(bytes, kind)?;
        match &metric.body {
            MetricValue::Single(value) => self.sample(family, &metric, ("", None), *value, sink),
            MetricValue::Summary(summary) => self.summary(family, &metric, summary, sink),
            MetricValue::Histogram(histogram) => {
                let native = match kind {
                    // What it counts goes up and down, so that it observed nothing.
                    MetricType::GaugeHistogram => None,
                    MetricType::Histogram
                    | MetricType::Counter
                    | MetricType::Gauge
                    | MetricType::Summary
                    | MetricType::Untyped => histogram.native().map_err(|reason| (0, reason))?,
                };
                self.histogram(family, &metric, histogram, sink)?;
                match native {
                    Some(native) => self.native(family, &metric, native, sink),
                    None => Ok(()),
                }
            }
        }
    }

    fn summary(
        &mut self,
        family: FamilyMessage<'_>,
        metric: &Metric<'_>,
        summary: &SummaryMessage,
        sink: &mut impl Sink,
    ) -> Result<(), MetricStop> {
        for (quantile, value) in &summary.quantiles {
            self.sample(family, metric, ("", Some(("quantile", *quantile))), *value, sink)?;
        }
        self.sample(family, metric, ("_sum", None), summary.sum, sink)?;
        self.sample(family, metric, ("_count", None), summary.count, sink)
    }

    /// The buckets, and that for all observations if it is not among them.
    fn histogram(
        &mut self,
        family: FamilyMessage<'_>,
        metric: &Metric<'_>,
        histogram: &HistogramMessage,
        sink: &mut impl Sink,
    ) -> Result<(), MetricStop> {
        let last = (f64::INFINITY, histogram.count());
        let lacks_last = histogram.buckets.iter().all(|(bound, _)| *bound != f64::INFINITY);
        for (bound, count) in histogram.buckets.iter().chain(lacks_last.then_some(&last)) {
            self.sample(family, metric, ("_bucket", Some(("le", *bound))), *count, sink)?;
        }
        self.sample(family, metric, ("_sum", None), histogram.sum, sink)?;
        self.sample(family, metric, ("_count", None), histogram.count(), sink)
    }

    fn sample(
        &mut self,
        family: FamilyMessage<'_>,
        metric: &Metric<'_>,
        (suffix, extra): (&'static str, Extra),
        value: f64,
        sink: &mut impl Sink,
    ) -> Result<(), MetricStop> {
        if !family.wanted.has(suffix) {
            return Ok(());
        }
        if self.tally.samples == self.max_samples {
            return Err(PageError::TooManySamples { limit: self.max_samples }.into());
        }
        let sample = self.scribe.series(family, metric, (suffix, extra))?;
        self.tally.samples += 1;
        // Which of the many that are not a number it is means nothing on a page of text.
        let value = if value.is_nan() { f64::NAN } else { value };
        sink.sample(Sample { value, timestamp: timestamp(metric), ..sample });
        Ok(())
    }

    fn native(
        &mut self,
        family: FamilyMessage<'_>,
        metric: &Metric<'_>,
        histogram: NativeHistogram,
        sink: &mut impl Sink,
    ) -> Result<(), MetricStop> {
        if !family.wanted.native {
            return Ok(());
        }
        self.native_buckets += histogram.len() + 1;
        if self.native_buckets > MAX_PAGE_BUCKETS {
            return Err(PageError::TooManyBuckets { limit: MAX_PAGE_BUCKETS }.into());
        }
        let series = self.scribe.series(family, metric, ("", None))?;
        let Sample { name, labels, line, series, .. } = series;
        self.tally.natives += 1;
        let timestamp = timestamp(metric);
        sink.native(Native { name, labels, histogram, timestamp, line, series });
        Ok(())
    }

    /// Reports that a metric, or all of a family, cannot be read: each name that it may concern.
    #[cold]
    pub(super) fn report(
        &mut self,
        family: FamilyMessage<'_>,
        (at, reason): MetricFault,
        sink: &mut impl Sink,
    ) {
        let text = line::excerpt(family.name.as_bytes());
        let concerned = SUFFIXES.iter().filter(|suffix| {
            family.wanted.has(suffix) || (suffix.is_empty() && family.wanted.native)
        });
        let names = concerned.map(|suffix| Some(Cow::Owned(format!("{}{suffix}", family.name))));
        // Without a name, it may concern any.
        let unnamed = family.name.is_empty().then_some(None);
        let names: Vec<_> =
            if family.name.is_empty() { unnamed.into_iter().collect() } else { names.collect() };
        for name in names {
            let (line, column) = (family.number, at as u64 + 1);
            let malformed = Malformed { line, column, reason, name, text: text.clone() };
            self.tally.report(malformed, sink);
        }
    }
}

impl Scribe {
    /// Name and labels as a sample without value.
    fn series(
        &mut self,
        family: FamilyMessage<'_>,
        metric: &Metric<'_>,
        (suffix, extra): (&str, Extra),
    ) -> Result<Sample<'_>, MetricStop> {
        self.text.clear();
        let head = write(&mut self.text, family.name, suffix, &metric.labels, extra)?;
        self.text.push_str(" 0");
        match self.parser.read(self.text.as_bytes(), family.number, head, &self.filter)? {
            ParsedLine::Sample(sample) => Ok(sample),
            ParsedLine::Malformed(malformed) => Err(MetricStop::Fault((0, malformed.reason))),
            ParsedLine::Unwanted => Err(MetricStop::Fault((0, Reason::BadName))),
        }
    }
}

fn timestamp(metric: &Metric<'_>) -> Option<Timestamp> {
    metric.timestamp.map(Timestamp::from_millis)
}

/// Name and labels of a series as a page has them.
pub(crate) fn series_text(name: &str, labels: &[(String, String)]) -> String {
    let labels = labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let mut text = String::new();
    let written = write(&mut text, name, "", &labels.collect::<Vec<_>>(), None);
    written.expect("names and values are text");
    text
}

/// Writes a series as client_golang does and says how the line begins.
fn write(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &[(&[u8], &[u8])],
    extra: Extra,
) -> Result<Head, MetricFault> {
    let plain = !name.is_empty() && scan::name_end(name.as_bytes(), 0) == name.len();
    let mut separator = '{';
    let head = if plain {
        text.push_str(name);
        text.push_str(suffix);
        Head::Named { from: 0, to: text.len() }
    } else {
        text.push_str("{\"");
        escape(text, name);
        text.push_str(suffix);
        text.push('"');
        separator = ',';
        Head::Braces { at: 0 }
    };
    for (name, value) in labels {
        let utf8 = |bytes| std::str::from_utf8(bytes).map_err(|_| (0, Reason::InvalidUtf8));
        text.push(separator);
        label(text, utf8(name)?);
        escape(text, utf8(value)?);
        text.push('"');
        separator = ',';
    }
    if let Some((name, value)) = extra {
        text.push(separator);
        label(text, name);
        float::push(text, value);
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    Ok(head)
}

/// A label's name up to the quote that opens its value.
fn label(text: &mut String, name: &str) {
    if !name.is_empty() && scan::label_name_end(name.as_bytes(), 0) == name.len() {
        text.push_str(name);
    } else {
        text.push('"');
        escape(text, name);
        text.push('"');
    }
    text.push_str("=\"");
}

fn escape(text: &mut String, raw: &str) {
    let mut rest = raw;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        text.push_str(&rest[..at]);
        text.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &rest[at + 1..];
    }
    text.push_str(rest);
}
