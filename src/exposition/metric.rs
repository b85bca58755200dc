//! One `io.prometheus.client.Metric`, decoded: labels, time, and what its family's type says.
//!
//! Field numbers are those of `metrics.proto` in prometheus/client_model. Whatever its order, a
//! message says the same; unknown fields are skipped, as protobuf wants it. Never: a bucket that
//! was guessed, or a loop over a length that the message merely claims.

use crate::model::native::{Bucket, NativeHistogram, Parts};

use super::Reason;
use super::wire::{Bad, FieldValue, Fields, zigzag};

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricType {
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl MetricType {
    /// The type of that number.
    pub(super) const fn of(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Counter,
            1 => Self::Gauge,
            2 => Self::Summary,
            3 => Self::Untyped,
            4 => Self::Histogram,
            5 => Self::GaugeHistogram,
            _ => return None,
        })
    }

    /// The field of a metric that holds it.
    const fn field(self) -> u32 {
        match self {
            Self::Gauge => 2,
            Self::Counter => 3,
            Self::Summary => 4,
            Self::Untyped => 5,
            Self::Histogram | Self::GaugeHistogram => 7,
        }
    }
}

/// A metric. Names and values may be any bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric<'a> {
    /// Names and values, in their order.
    pub(super) labels: Vec<(&'a [u8], &'a [u8])>,
    /// Milliseconds since the epoch.
    pub(super) timestamp: Option<i64>,
    /// What it says.
    pub(super) body: MetricValue,
}

/// What a metric says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum MetricValue {
    /// A counter, gauge or untyped value.
    Single(f64),
    /// A summary.
    Summary(SummaryMessage),
    /// A histogram of either kind, or both.
    Histogram(Box<HistogramMessage>),
}

/// A summary: its quantiles as they stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SummaryMessage {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) quantiles: Vec<(f64, f64)>,
}

/// A histogram, its native part not yet looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HistogramMessage {
    count: u64,
    count_float: f64,
    pub(super) sum: f64,
    /// Upper bounds and cumulative counts, as they stand.
    pub(super) buckets: Vec<(f64, f64)>,
    schema: i64,
    zero_threshold: f64,
    zero_count: u64,
    zero_count_float: f64,
    positive: NativeSide,
    negative: NativeSide,
}

/// The buckets on one side of zero: where runs of them stand and how full they are.
#[derive(Debug, Clone, Default, PartialEq)]
struct NativeSide {
    spans: Vec<(i64, u64)>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// Why a metric cannot be read, and at which byte.
pub(super) type MetricFault = (usize, Reason);

impl From<Bad> for MetricFault {
    fn from(bad: Bad) -> Self {
        (bad.at, Reason::BadMessage)
    }
}

impl<'a> Metric<'a> {
    /// Reads a metric of a family of that type.
    pub(super) fn read(bytes: &'a [u8], kind: MetricType) -> Result<Self, MetricFault> {
        let mut fields = Fields::new(bytes);
        let (mut labels, mut timestamp, mut body) = (Vec::new(), None, None);
        while let Some((field, value)) = fields.next()? {
            match (field, value) {
                (1, FieldValue::Bytes(pair)) => labels.push(label(pair)?),
                (6, FieldValue::Number(millis)) => timestamp = Some(millis as i64),
                (field, FieldValue::Bytes(message)) if field == kind.field() => {
                    // Told twice, which of the two counts is anybody's guess.
                    if body.replace(read_body(message, kind)?).is_some() {
                        return Err((0, Reason::BadFamily));
                    }
                }
                (1 | 6, _) => return Err((0, Reason::BadMessage)),
                (field, _) if field == kind.field() => return Err((0, Reason::BadMessage)),
                (_, _) => {}
            }
        }
        let body = body.ok_or((0, Reason::BadFamily))?;
        Ok(Self { labels, timestamp, body })
    }
}

fn read_body(message: &[u8], kind: MetricType) -> Result<MetricValue, MetricFault> {
    match kind {
        MetricType::Counter | MetricType::Gauge | MetricType::Untyped => {
            let mut value = 0.0;
            read(message, |field, found| match field {
                1 => float(found, &mut value),
                _ => Ok(()),
            })?;
            Ok(MetricValue::Single(value))
        }
        MetricType::Summary => summary(message).map(MetricValue::Summary),
        MetricType::Histogram | MetricType::GaugeHistogram => {
            histogram(message).map(|histogram| MetricValue::Histogram(Box::new(histogram)))
        }
    }
}

/// Calls `each` with every field of a message.
fn read<'a>(
    message: &'a [u8],
    mut each: impl FnMut(u32, FieldValue<'a>) -> Result<(), MetricFault>,
) -> Result<(), MetricFault> {
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        each(field, value)?;
    }
    Ok(())
}

const MISTYPED: MetricFault = (0, Reason::BadMessage);

fn float(value: FieldValue<'_>, into: &mut f64) -> Result<(), MetricFault> {
    let FieldValue::Float(number) = value else { return Err(MISTYPED) };
    *into = number;
    Ok(())
}

fn number(value: FieldValue<'_>, into: &mut u64) -> Result<(), MetricFault> {
    let FieldValue::Number(number) = value else { return Err(MISTYPED) };
    *into = number;
    Ok(())
}

fn bytes(value: FieldValue<'_>) -> Result<&[u8], MetricFault> {
    let FieldValue::Bytes(bytes) = value else { return Err(MISTYPED) };
    Ok(bytes)
}

/// Calls `each` until it has read all of many packed numbers.
fn packed<'a>(
    value: FieldValue<'a>,
    mut each: impl FnMut(&mut Fields<'a>) -> Result<(), Bad>,
) -> Result<(), MetricFault> {
    let mut packed = Fields::new(bytes(value)?);
    while !packed.is_done() {
        each(&mut packed)?;
    }
    Ok(())
}

fn label(pair: &[u8]) -> Result<(&[u8], &[u8]), MetricFault> {
    let (mut name, mut text): (&[u8], &[u8]) = (b"", b"");
    read(pair, |field, value| {
        match field {
            1 => name = bytes(value)?,
            2 => text = bytes(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, text))
}

fn summary(message: &[u8]) -> Result<SummaryMessage, MetricFault> {
    let mut summary = SummaryMessage::default();
    read(message, |field, value| match field {
        1 => {
            let mut count = 0;
            number(value, &mut count)?;
            summary.count = count as f64;
            Ok(())
        }
        2 => float(value, &mut summary.sum),
        3 => {
            let (mut quantile, mut at) = (0.0, 0.0);
            read(bytes(value)?, |field, value| match field {
                1 => float(value, &mut quantile),
                2 => float(value, &mut at),
                _ => Ok(()),
            })?;
            summary.quantiles.push((quantile, at));
            Ok(())
        }
        _ => Ok(()),
    })?;
    Ok(summary)
}

fn histogram(message: &[u8]) -> Result<HistogramMessage, MetricFault> {
    let mut all = HistogramMessage::default();
    read(message, |field, value| match field {
        1 => number(value, &mut all.count),
        2 => float(value, &mut all.sum),
        3 => {
            all.buckets.push(bucket(bytes(value)?)?);
            Ok(())
        }
        4 => float(value, &mut all.count_float),
        5 => {
            let mut schema = 0;
            number(value, &mut schema)?;
            all.schema = zigzag(schema);
            Ok(())
        }
        6 => float(value, &mut all.zero_threshold),
        7 => number(value, &mut all.zero_count),
        8 => float(value, &mut all.zero_count_float),
        9 => all.negative.span(value),
        10 => all.negative.deltas(value),
        11 => all.negative.counts(value),
        12 => all.positive.span(value),
        13 => all.positive.deltas(value),
        14 => all.positive.counts(value),
        _ => Ok(()),
    })?;
    Ok(all)
}

fn bucket(message: &[u8]) -> Result<(f64, f64), MetricFault> {
    let (mut count, mut count_float, mut bound) = (0, 0.0, 0.0);
    read(message, |field, value| match field {
        1 => number(value, &mut count),
        2 => float(value, &mut bound),
        4 => float(value, &mut count_float),
        _ => Ok(()),
    })?;
    Ok((bound, if count_float > 0.0 { count_float } else { count as f64 }))
}

impl NativeSide {
    fn span(&mut self, value: FieldValue<'_>) -> Result<(), MetricFault> {
        let (mut offset, mut length) = (0, 0);
        read(bytes(value)?, |field, value| match field {
            1 => number(value, &mut offset),
            2 => number(value, &mut length),
            _ => Ok(()),
        })?;
        self.spans.push((zigzag(offset), length));
        Ok(())
    }

    fn deltas(&mut self, value: FieldValue<'_>) -> Result<(), MetricFault> {
        if let FieldValue::Number(number) = value {
            self.deltas.push(zigzag(number));
            return Ok(());
        }
        packed(value, |packed| {
            self.deltas.push(zigzag(packed.number()?));
            Ok(())
        })
    }

    fn counts(&mut self, value: FieldValue<'_>) -> Result<(), MetricFault> {
        if let FieldValue::Float(count) = value {
            self.counts.push(count);
            return Ok(());
        }
        packed(value, |packed| {
            self.counts.push(packed.float()?);
            Ok(())
        })
    }

    /// The counts of whole observations and their total.
    fn whole(&self) -> Option<(Vec<f64>, u64)> {
        let (mut counts, mut count, mut total) = (Vec::new(), 0_i64, 0_u64);
        for delta in &self.deltas {
            count = count.checked_add(*delta)?;
            let whole = u64::try_from(count).ok()?;
            total = total.checked_add(whole)?;
            counts.push(whole as f64);
        }
        self.counts.is_empty().then_some((counts, total))
    }

    /// Gives each count its index. The spans must have a place for every count and no more.
    fn place(&self, counts: &[f64]) -> Option<Vec<Bucket>> {
        let mut counts = counts.iter();
        let (mut buckets, mut next) = (Vec::new(), 0_i64);
        for (number, (offset, length)) in self.spans.iter().enumerate() {
            if number > 0 && *offset < 0 {
                return None;
            }
            next = next.checked_add(*offset)?;
            if *length > counts.len() as u64 {
                return None;
            }
            for _ in 0..*length {
                buckets.push((i32::try_from(next).ok()?, *counts.next()?));
                next += 1;
            }
        }
        (counts.len() == 0).then_some(buckets)
    }
}

impl HistogramMessage {
    /// How much it has observed.
    pub(super) fn count(&self) -> f64 {
        if self.count_float > 0.0 { self.count_float } else { self.count as f64 }
    }

    /// Whether it has a native part: a client marks one that has not observed anything by a span
    /// without length, or by the width of its zero bucket.
    fn is_native(&self) -> bool {
        let spans = !self.positive.spans.is_empty() || !self.negative.spans.is_empty();
        spans || self.zero_threshold > 0.0 || self.zero_count > 0 || self.zero_count_float > 0.0
    }

    fn is_float(&self) -> bool {
        let counts = !self.positive.counts.is_empty() || !self.negative.counts.is_empty();
        counts || self.count_float > 0.0 || self.zero_count_float > 0.0
    }

    /// The native part, if there is one.
    ///
    /// A count must be the sum of its buckets, or no less where observations were not a number:
    /// as Prometheus demands of whole numbers, while floats may be rounded.
    pub(super) fn native(&self) -> Result<Option<NativeHistogram>, Reason> {
        if !self.is_native() {
            return Ok(None);
        }
        let parts = if self.is_float() { self.floats() } else { self.whole() };
        let histogram = parts.and_then(|parts| NativeHistogram::new(parts).ok());
        histogram.map(Some).ok_or(Reason::BadHistogram)
    }

    fn whole(&self) -> Option<Parts> {
        let (positive, above) = self.positive.whole()?;
        let (negative, below) = self.negative.whole()?;
        let total = above.checked_add(below)?.checked_add(self.zero_count)?;
        let fits = if self.sum.is_nan() { total <= self.count } else { total == self.count };
        let parts = self.parts(&positive, &negative)?;
        fits.then_some(Parts { zero_count: self.zero_count as f64, ..parts })
    }

    fn floats(&self) -> Option<Parts> {
        let whole = !self.positive.deltas.is_empty() || !self.negative.deltas.is_empty();
        let parts = self.parts(&self.positive.counts, &self.negative.counts)?;
        (!whole).then_some(Parts { zero_count: self.zero_count_float, ..parts })
    }

    fn parts(&self, positive: &[f64], negative: &[f64]) -> Option<Parts> {
        Some(Parts {
            schema: i32::try_from(self.schema).ok()?,
            zero_threshold: self.zero_threshold,
            zero_count: 0.0,
            positive: self.positive.place(positive)?,
            negative: self.negative.place(negative)?,
            count: self.count(),
            sum: self.sum,
        })
    }
}
