//! Metrics in protobuf to the samples that the text format of the same page gives.
//!
//! Every series is written as text would have it and read by the parser of lines, so that a label
//! or name that one refuses the other cannot accept, and a rule means the same on both pages.

use std::borrow::Cow;

use super::format::Format;
use super::line::{self, LineParser, ParsedLine};
use super::metric::{Metric, MetricType, MetricValue};
use super::names::{Head, NameFilter};
use super::wire::MetricFault;
use super::{Malformed, NameSet, PageError, Reason, Sample, Sink, Tally, Timestamp, float, scan};
use crate::model::native::MAX_PAGE_BUCKETS;

/// What may stand behind a family's name in the name of a sample.
const SUFFIXES: [&str; 4] = ["", "_bucket", "_sum", "_count"];

/// A family at hand.
#[derive(Debug, Default)]
pub(super) struct FamilyMessage {
    /// Empty until it was read.
    pub(super) name: String,
    /// Which of its names are wanted, in the order of [`SUFFIXES`].
    samples: [bool; SUFFIXES.len()],
    native: bool,
    /// From 1.
    pub(super) number: u64,
}

impl FamilyMessage {
    /// Goes on to the next family, of which nothing is read. The name's memory is used again.
    pub(super) fn next(&mut self) {
        self.name.clear();
        (self.samples, self.native, self.number) = ([false; _], false, self.number + 1);
    }

    /// Takes the name and looks up every name that samples of the family may have.
    pub(super) fn rename(&mut self, name: &str, names: Option<&NameSet>) {
        name.clone_into(&mut self.name);
        self.samples = SUFFIXES.map(|suffix| {
            self.name.push_str(suffix);
            let wanted = names.is_none_or(|names| names.contains(self.name.as_bytes()));
            self.name.truncate(name.len());
            wanted
        });
        self.native = names.is_none_or(|names| names.contains_native(name.as_bytes()));
    }

    /// Whether any of its names is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.native || self.samples.contains(&true)
    }

    fn wants(&self, suffix: &str) -> bool {
        SUFFIXES.iter().zip(self.samples).any(|(known, wanted)| *known == suffix && wanted)
    }
}

/// Why a metric gave less than it should.
#[derive(Debug)]
pub(super) enum MetricStop {
    /// It is malformed.
    Fault(MetricFault),
    /// The page is lost.
    Page(PageError),
}

/// Hands metrics to a sink.
#[derive(Debug)]
pub(super) struct Emitter {
    parser: LineParser,
    text: String,
    max_samples: u64,
    native_buckets: usize,
    pub(super) tally: Tally,
}

/// A label besides those of the metric.
type Extra = Option<(&'static str, f64)>;

impl Emitter {
    pub(super) fn new(max_labels: usize, max_samples: u64) -> Self {
        let parser = LineParser::new(Format::Text, max_labels);
        let (text, tally) = (String::new(), Tally::default());
        Self { parser, text, max_samples, native_buckets: 0, tally }
    }

    /// Hands over what a metric of the family says. Of a histogram the buckets, and that for all
    /// observations if it is not among them.
    pub(super) fn metric(
        &mut self,
        (family, kind): (&FamilyMessage, MetricType),
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), MetricStop> {
        let metric = &Metric::read(bytes, kind).map_err(MetricStop::Fault)?;
        let all = match &metric.body {
            MetricValue::Single(value) => {
                return self.sample(family, metric, ("", None), *value, sink);
            }
            MetricValue::Observed(all) => all,
        };
        // What a gauge histogram counts goes up and down, so that it observed nothing.
        let native = (kind == MetricType::Histogram).then(|| all.native());
        let native = native.transpose().map_err(MetricStop::Fault)?.flatten();
        let of_summary = kind == MetricType::Summary;
        let (suffix, label) = if of_summary { ("", "quantile") } else { ("_bucket", "le") };
        let last = (f64::INFINITY, all.count());
        let lacks_last = !of_summary && all.parts.iter().all(|(bound, _)| *bound != f64::INFINITY);
        for (at, value) in all.parts.iter().chain(lacks_last.then_some(&last)) {
            self.sample(family, metric, (suffix, Some((label, *at))), *value, sink)?;
        }
        self.sample(family, metric, ("_sum", None), all.sum, sink)?;
        self.sample(family, metric, ("_count", None), all.count(), sink)?;
        if let Some(native) = native.filter(|_| family.native) {
            self.native_buckets += native.len() + 1;
            if self.native_buckets > MAX_PAGE_BUCKETS {
                let limit = MAX_PAGE_BUCKETS;
                return Err(MetricStop::Page(PageError::TooManyBuckets { limit }));
            }
            let series = series(
                (&mut self.parser, &mut self.text),
                (family, metric),
                ("", None),
                all.count(),
            )?;
            self.tally.natives += 1;
            sink.native(series, native);
        }
        Ok(())
    }

    fn sample(
        &mut self,
        family: &FamilyMessage,
        metric: &Metric<'_>,
        (suffix, extra): (&'static str, Extra),
        value: f64,
        sink: &mut impl Sink,
    ) -> Result<(), MetricStop> {
        if !family.wants(suffix) {
            return Ok(());
        }
        if self.tally.samples == self.max_samples {
            return Err(MetricStop::Page(PageError::TooManySamples { limit: self.max_samples }));
        }
        let sample =
            series((&mut self.parser, &mut self.text), (family, metric), (suffix, extra), value)?;
        self.tally.samples += 1;
        sink.sample(sample);
        Ok(())
    }

    /// Reports that a metric, or all of a family, cannot be read: each name that it may concern.
    #[cold]
    pub(super) fn report(
        &mut self,
        family: &FamilyMessage,
        (at, reason): MetricFault,
        sink: &mut impl Sink,
    ) {
        // Without a name, it may concern any.
        let unnamed = family.name.is_empty();
        for suffix in SUFFIXES {
            let is_plain = suffix.is_empty();
            let wanted = family.wants(suffix) || (is_plain && family.native);
            if (unnamed && is_plain) || (!unnamed && wanted) {
                let name = (!unnamed).then(|| Cow::Owned(format!("{}{suffix}", family.name)));
                let text = line::excerpt(family.name.as_bytes());
                let (line, column) = (family.number, at as u64 + 1);
                self.tally.report(Malformed { line, column, reason, name, text }, sink);
            }
        }
    }
}

/// The sample that a line of text would be.
fn series<'a>(
    (parser, text): (&'a mut LineParser, &'a mut String),
    (family, metric): (&FamilyMessage, &Metric<'_>),
    (suffix, extra): (&str, Extra),
    value: f64,
) -> Result<Sample<'a>, MetricStop> {
    text.clear();
    let head = write(text, &family.name, suffix, &metric.labels, extra);
    let head = head.map_err(MetricStop::Fault)?;
    text.push_str(" 0");
    let read = parser.read(text.as_bytes(), family.number, head, &NameFilter::new(None));
    let sample = match read.map_err(MetricStop::Page)? {
        ParsedLine::Sample(sample) => sample,
        ParsedLine::Malformed(line) => return Err(MetricStop::Fault((0, line.reason))),
        ParsedLine::Unwanted => return Err(MetricStop::Fault((0, Reason::BadName))),
    };
    // Which of the many that are not a number it is means nothing on a page of text.
    let value = if value.is_nan() { f64::NAN } else { value };
    Ok(Sample { value, timestamp: metric.timestamp.map(Timestamp::from_millis), ..sample })
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
        label(text, &mut separator, utf8(name)?);
        escape(text, utf8(value)?);
        text.push('"');
    }
    if let Some((name, value)) = extra {
        label(text, &mut separator, name);
        float::push(text, value);
        text.push('"');
    }
    if separator == ',' {
        text.push('}');
    }
    Ok(head)
}

/// A label's name up to the quote that opens its value.
fn label(text: &mut String, separator: &mut char, name: &str) {
    text.push(std::mem::replace(separator, ','));
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
