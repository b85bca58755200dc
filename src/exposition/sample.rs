//! What a page says: samples, and lines that say nothing readable.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use super::Labels;
use crate::model::native::NativeHistogram;

/// One line of a page, read. Everything is borrowed from the line and dies with the call.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    /// The metric's name, unescaped; owned only for a quoted name with an escape in it.
    pub name: Cow<'a, str>,
    /// The labels, without the name.
    pub labels: Labels<'a>,
    /// The value; NaN and the infinities only if the page spells them out.
    pub value: f64,
    /// The time on the line, if there is one.
    pub timestamp: Option<Timestamp>,
    /// The exemplar, if there is one.
    pub exemplar: Option<Exemplar<'a>>,
    /// The line, from 1; on a page in protobuf the metric family.
    pub line: u64,
    /// Name and labels as they stand on the page, or as text would have them: equal text means the
    /// same series, so it is a key for a cache of identities (the reverse does not hold).
    pub series: &'a str,
}

/// An exemplar: one observation behind a counter or bucket.
#[derive(Debug, Clone)]
pub struct Exemplar<'a> {
    /// Its labels, for instance `trace_id`.
    pub labels: Labels<'a>,
    /// What was observed.
    pub value: f64,
    /// When, if it says.
    pub timestamp: Option<Timestamp>,
}

/// An instant as a page writes it, exact to the nanosecond, relative to the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

impl Timestamp {
    /// From whole milliseconds, the unit of the text format.
    pub fn from_millis(millis: i64) -> Self {
        let nanos =
            u32::try_from(millis.rem_euclid(1000)).expect("a remainder below 1000") * 1_000_000;
        Self { seconds: millis.div_euclid(1000), nanos }
    }

    /// From seconds and the nanoseconds to add to them; `None` if those are a second or more.
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        (nanos < 1_000_000_000).then_some(Self { seconds, nanos })
    }

    /// Nanoseconds since the Unix epoch.
    pub fn as_nanos(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }

    /// Milliseconds since the Unix epoch, rounded down; at the ends of `i64`, its ends.
    pub fn as_millis(self) -> i64 {
        let millis = self.as_nanos().div_euclid(1_000_000);
        let limit = if millis < 0 { i64::MIN } else { i64::MAX };
        i64::try_from(millis).unwrap_or(limit)
    }

    /// Seconds since the Unix epoch; nanoseconds do not survive for dates of this century.
    pub fn as_seconds(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanos) / 1e9
    }
}

/// Exact decimal seconds, without trailing zeros.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.as_nanos();
        let (whole, part) =
            (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
        let sign = if nanos < 0 { "-" } else { "" };
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{part:09}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed<'a> {
    /// The line, from 1; on a page in protobuf the metric family.
    pub line: u64,
    /// The byte in the line or message where reading stopped, from 1.
    pub column: u64,
    /// Why.
    pub reason: Reason,
    /// The metric that the line is about; `None` if it cannot be told, so it may be any.
    pub name: Option<Cow<'a, str>>,
    /// The beginning of the line, at most [`Malformed::EXCERPT_BYTES`], invalid UTF-8 replaced.
    pub text: Cow<'a, str>,
}

impl Malformed<'_> {
    /// 120 bytes: one line of a terminal or a log.
    pub const EXCERPT_BYTES: usize = 120;
}

/// Why a line could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Reason {
    /// No legal metric name where one must be.
    #[error("not a metric name")]
    BadName,
    /// The braces hold no metric name and none stands before them.
    #[error("no metric name")]
    MissingName,
    /// A second metric name.
    #[error("a second metric name")]
    SecondName,
    /// No legal label name where one must be.
    #[error("not a label name")]
    BadLabelName,
    /// A label called `__name__`, which would be a second metric name.
    #[error("the label name __name__ is reserved")]
    ReservedLabelName,
    /// A label name that this series already has.
    #[error("duplicate label name")]
    DuplicateLabel,
    /// No `=` after a label's name.
    #[error("expected = after the label name")]
    MissingEquals,
    /// No `"` where a label's value begins.
    #[error("expected a quoted label value")]
    MissingQuote,
    /// A quote that is never closed.
    #[error("unterminated quote")]
    UnterminatedQuote,
    /// Neither `,` nor `}` after a label.
    #[error("expected , or }} after the label")]
    MissingComma,
    /// Braces that are never closed.
    #[error("unterminated braces")]
    UnterminatedBraces,
    /// No value.
    #[error("no value")]
    MissingValue,
    /// A value that is not a number.
    #[error("not a number")]
    BadValue,
    /// A number that does not fit a 64-bit float.
    #[error("number out of range")]
    ValueOutOfRange,
    /// A timestamp that is not one in this format.
    #[error("not a timestamp")]
    BadTimestamp,
    /// An exemplar that cannot be read.
    #[error("not an exemplar")]
    BadExemplar,
    /// Something after the end of the sample.
    #[error("text after the sample")]
    TrailingText,
    /// Bytes that are not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// Something after `# EOF`.
    #[error("text after # EOF")]
    AfterEof,
    /// The last line has no newline and the body may not be whole.
    #[error("truncated line")]
    Truncated,
    /// A protobuf message that breaks off or is encoded in no known way.
    #[error("not a protobuf message")]
    BadMessage,
    /// A metric family or metric that lacks what its type demands, or whose parts are out of order.
    #[error("not a metric of its family's type")]
    BadFamily,
    /// A native histogram of another kind, or whose parts contradict each other.
    #[error("not a native histogram with exponential buckets")]
    BadHistogram,
    /// Readable, but not as OpenMetrics demands; reported by the strict reader only.
    #[error("{0}")]
    Strict(&'static str),
}

/// Receives what a [`Reader`](super::Reader) finds, in the order of the page.
pub trait Sink {
    /// A selected sample.
    fn sample(&mut self, sample: Sample<'_>);
    /// A selected native histogram, which only a page in protobuf has, with its series, whose value
    /// is its count. Count and sum are handed over as samples besides, as in the text format;
    /// whoever has no use for more may leave it at that.
    fn native(&mut self, _: Sample<'_>, _: NativeHistogram) {}
    /// A line that is, or may be, about a selected metric and cannot be read.
    fn malformed(&mut self, malformed: Malformed<'_>);
    /// A `# TYPE` line: the family and its type, as they stand there. Told only of a page that is
    /// read whole; whoever asks for names knows what they are.
    fn kind(&mut self, _family: &str, _kind: &str) {}
}
