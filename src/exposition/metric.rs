//! One `io.prometheus.client.Metric`, decoded: labels, time, and what its family's type says.
//!
//! Field numbers are those of `metrics.proto` in prometheus/client_model. Whatever its order, a
//! message says the same; unknown fields are skipped, as protobuf wants it. Never: a bucket that
//! was guessed, or a loop over a length that the message merely claims.

use crate::model::native::{Bucket, NativeHistogram, Parts};

use super::Reason;
use super::wire::{FieldValue, Fields, MetricFault, zigzag};

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricType {
    /// A counter, gauge or untyped value, in this field of a metric.
    Single(u32),
    Summary,
    Histogram,
    GaugeHistogram,
}

impl MetricType {
    /// What an absent type means: the first of the enumeration.
    pub(super) const COUNTER: Self = Self::Single(3);
    const GAUGE: Self = Self::Single(2);
    const UNTYPED: Self = Self::Single(5);

    /// The type of that number.
    pub(super) const fn of(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::COUNTER,
            1 => Self::GAUGE,
            2 => Self::Summary,
            3 => Self::UNTYPED,
            4 => Self::Histogram,
            5 => Self::GaugeHistogram,
            _ => return None,
        })
    }

    /// The field of a metric that holds it.
    const fn field(self) -> u32 {
        match self {
            Self::Single(field) => field,
            Self::Summary => 4,
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
    /// A summary, or a histogram of either kind or both.
    Observed(Box<Observations>),
}

/// A summary or histogram, the native part of it not yet looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observations {
    count: u64,
    count_float: f64,
    pub(super) sum: f64,
    /// Quantiles and their values, or upper bounds and cumulative counts, as they stand.
    pub(super) parts: Vec<(f64, f64)>,
    schema: u64,
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

impl<'a> Metric<'a> {
    /// Reads a metric of a family of that type.
    pub(super) fn read(bytes: &'a [u8], kind: MetricType) -> Result<Self, MetricFault> {
        let (mut labels, mut timestamp, mut body) = (Vec::new(), None, None);
        read(bytes, |field, value| {
            match field {
                1 => labels.push(label(value.bytes()?)?),
                6 => value.number(timestamp.get_or_insert(0))?,
                // Told twice, which of the two counts is anybody's guess.
                field if field == kind.field() => {
                    let before = body.replace(read_body(value.bytes()?, kind)?);
                    if before.is_some() {
                        return Err((0, Reason::BadFamily));
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        let body = body.ok_or((0, Reason::BadFamily))?;
        Ok(Self { labels, timestamp: timestamp.map(|millis| millis as i64), body })
    }
}

fn read_body(message: &[u8], kind: MetricType) -> Result<MetricValue, MetricFault> {
    if let MetricType::Single(_) = kind {
        let mut single = 0.0;
        read(message, |field, value| if field == 1 { value.float(&mut single) } else { Ok(()) })?;
        return Ok(MetricValue::Single(single));
    }
    observations(message, kind).map(|all| MetricValue::Observed(Box::new(all)))
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

fn label(pair: &[u8]) -> Result<(&[u8], &[u8]), MetricFault> {
    let (mut name, mut text): (&[u8], &[u8]) = (b"", b"");
    read(pair, |field, value| {
        match field {
            1 => name = value.bytes()?,
            2 => text = value.bytes()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, text))
}

fn observations(message: &[u8], kind: MetricType) -> Result<Observations, MetricFault> {
    let mut all = Observations::default();
    let of_summary = kind == MetricType::Summary;
    read(message, |field, value| match field {
        1 => value.number(&mut all.count),
        2 => value.float(&mut all.sum),
        3 => {
            let message = value.bytes()?;
            all.parts.push(if of_summary { quantile(message)? } else { bucket(message)? });
            Ok(())
        }
        _ if of_summary => Ok(()),
        4 => value.float(&mut all.count_float),
        5 => value.number(&mut all.schema),
        6 => value.float(&mut all.zero_threshold),
        7 => value.number(&mut all.zero_count),
        8 => value.float(&mut all.zero_count_float),
        9..=11 => all.negative.field(field - 9, value),
        12..=14 => all.positive.field(field - 12, value),
        _ => Ok(()),
    })?;
    Ok(all)
}

fn quantile(message: &[u8]) -> Result<(f64, f64), MetricFault> {
    let (mut quantile, mut at) = (0.0, 0.0);
    read(message, |field, value| match field {
        1 => value.float(&mut quantile),
        2 => value.float(&mut at),
        _ => Ok(()),
    })?;
    Ok((quantile, at))
}

fn bucket(message: &[u8]) -> Result<(f64, f64), MetricFault> {
    let (mut count, mut count_float, mut bound) = (0, 0.0, 0.0);
    read(message, |field, value| match field {
        1 => value.number(&mut count),
        2 => value.float(&mut bound),
        4 => value.float(&mut count_float),
        _ => Ok(()),
    })?;
    Ok((bound, if count_float > 0.0 { count_float } else { count as f64 }))
}

impl NativeSide {
    /// Takes in a span, deltas or counts, the latter two packed or one by one.
    fn field(&mut self, field: u32, value: FieldValue<'_>) -> Result<(), MetricFault> {
        match (field, value) {
            (0, value) => {
                let (mut offset, mut length) = (0, 0);
                read(value.bytes()?, |field, value| match field {
                    1 => value.number(&mut offset),
                    2 => value.number(&mut length),
                    _ => Ok(()),
                })?;
                self.spans.push((zigzag(offset), length));
            }
            (1, FieldValue::Number(number)) => self.deltas.push(zigzag(number)),
            (2, FieldValue::Float(count)) => self.counts.push(count),
            (_, value) => {
                let mut packed = Fields::new(value.bytes()?);
                while !packed.is_done() {
                    match field {
                        1 => self.deltas.push(zigzag(packed.number()?)),
                        _ => self.counts.push(packed.float()?),
                    }
                }
            }
        }
        Ok(())
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
        Some((counts, total))
    }

    /// Gives each count its index. The spans must have a place for every count and no more.
    fn place(&self, counts: &[f64]) -> Option<Vec<Bucket>> {
        let mut counts = counts.iter();
        let (mut buckets, mut next) = (Vec::new(), 0_i64);
        for (number, (offset, length)) in self.spans.iter().enumerate() {
            next = next.checked_add(*offset)?;
            if (number > 0 && *offset < 0) || *length > counts.len() as u64 {
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

impl Observations {
    /// How much it has observed.
    pub(super) fn count(&self) -> f64 {
        if self.count_float > 0.0 { self.count_float } else { self.count as f64 }
    }

    /// The native part, if there is one: a client marks one that has not observed anything by a
    /// span without length, or by the width of its zero bucket.
    pub(super) fn native(&self) -> Result<Option<NativeHistogram>, MetricFault> {
        let spans = !self.positive.spans.is_empty() || !self.negative.spans.is_empty();
        let zero = self.zero_count > 0 || self.zero_count_float > 0.0 || self.zero_threshold > 0.0;
        if !spans && !zero {
            return Ok(None);
        }
        let histogram = self.parts().and_then(|parts| NativeHistogram::new(parts).ok());
        histogram.map(Some).ok_or((0, Reason::BadHistogram))
    }

    /// A count must be the sum of its buckets, or no less where observations were not a number:
    /// as Prometheus demands of whole numbers, while floats may be rounded.
    fn parts(&self) -> Option<Parts> {
        let (positive, negative) = (&self.positive, &self.negative);
        let counts = !positive.counts.is_empty() || !negative.counts.is_empty();
        let floats = counts || self.count_float > 0.0 || self.zero_count_float > 0.0;
        let ((above, more), (below, less)) = (positive.whole()?, negative.whole()?);
        let (zero_count, above, below) = if floats {
            let whole = !positive.deltas.is_empty() || !negative.deltas.is_empty();
            (!whole).then_some((self.zero_count_float, &positive.counts, &negative.counts))?
        } else {
            let total = more.checked_add(less)?.checked_add(self.zero_count)?;
            let fits = if self.sum.is_nan() { total <= self.count } else { total == self.count };
            fits.then_some((self.zero_count as f64, &above, &below))?
        };
        Some(Parts {
            schema: i32::try_from(zigzag(self.schema)).ok()?,
            zero_threshold: self.zero_threshold,
            zero_count,
            positive: positive.place(above)?,
            negative: negative.place(below)?,
            count: self.count(),
            sum: self.sum,
        })
    }
}
