//! One line to one sample.
//!
//! A single pass from left to right, so that nothing inside quotes can be taken for anything else.
//! The grammar is that of Prometheus' own parser with its tolerance for spaces; what Prometheus
//! refuses is refused, and the place where reading stopped is kept.

use std::borrow::Cow;

use super::cursor::{Cursor, LineStop, NameSlot, decoded};
use super::format::Format;
use super::labels::{LabelSpan, LineSlice};
use super::names::{Head, NameFilter};
use super::scan;
use super::{Exemplar, Labels, Malformed, PageError, Reason, Sample, Timestamp};

/// What a line turned out to be.
#[derive(Debug)]
pub(super) enum ParsedLine<'a> {
    /// A sample of a wanted metric.
    Sample(Sample<'a>),
    /// Not readable, and about a wanted metric or possibly about one.
    Malformed(Malformed<'a>),
    /// About a metric that nobody asked for.
    Unwanted,
}

/// Reads lines; holds the memory that they share.
#[derive(Debug)]
pub(super) struct LineParser {
    format: Format,
    max_labels: usize,
    labels: Vec<LabelSpan>,
    exemplar: Vec<LabelSpan>,
    /// The line before, up to its last label, which is where `labels` stand.
    before: Vec<u8>,
}

/// The structure of a line, before its bytes are known to be UTF-8.
struct LineParts {
    name: LineSlice,
    series: (usize, usize),
    value: f64,
    timestamp: Option<Timestamp>,
    exemplar: Option<ExemplarValue>,
}

/// An exemplar's value and time.
type ExemplarValue = (f64, Option<Timestamp>);

impl LineParser {
    /// A parser of lines of that format.
    pub(super) fn new(format: Format, max_labels: usize) -> Self {
        Self { format, max_labels, labels: Vec::new(), exemplar: Vec::new(), before: Vec::new() }
    }

    /// Reads a line that begins as `head` says.
    #[inline]
    pub(super) fn read<'a>(
        &'a mut self,
        line: &'a [u8],
        number: u64,
        head: Head,
        filter: &NameFilter<'_>,
    ) -> Result<ParsedLine<'a>, PageError> {
        let mut slot = NameSlot::Empty;
        let draft = self.draft(scan::trim_end(line), head, filter, &mut slot);
        let text = std::str::from_utf8(line);
        match (draft, text) {
            (Ok(draft), Ok(line)) => {
                let exemplar = draft.exemplar.map(|(value, timestamp)| {
                    let labels = Labels { line, spans: &self.exemplar };
                    Exemplar { labels, value, timestamp }
                });
                Ok(ParsedLine::Sample(Sample {
                    name: draft.name.text(line),
                    labels: Labels { line, spans: &self.labels },
                    value: draft.value,
                    timestamp: draft.timestamp,
                    exemplar,
                    line: number,
                    series: &line[draft.series.0..draft.series.1],
                }))
            }
            (Ok(_), Err(error)) => {
                let stop = (error.valid_up_to(), Reason::InvalidUtf8);
                Ok(ParsedLine::Malformed(malformed(line, number, stop, slot)))
            }
            (Err(LineStop::At(at, reason)), _) => {
                if matches!(slot, NameSlot::Taken(name) if !wanted(name, line, filter)) {
                    return Ok(ParsedLine::Unwanted);
                }
                Ok(ParsedLine::Malformed(malformed(line, number, (at, reason), slot)))
            }
            (Err(LineStop::TooManyLabels), _) => {
                Err(PageError::TooManyLabels { line: number, limit: self.max_labels })
            }
            (Err(LineStop::Unwanted), _) => Ok(ParsedLine::Unwanted),
        }
    }

    #[inline]
    fn draft(
        &mut self,
        line: &[u8],
        head: Head,
        filter: &NameFilter<'_>,
        slot: &mut NameSlot,
    ) -> Result<LineParts, LineStop> {
        let from = match head {
            Head::Named { from, to } if from < to => {
                *slot = NameSlot::Taken(LineSlice::new(from, to, false));
                from
            }
            Head::Named { from, .. } => return Err(LineStop::At(from, Reason::BadName)),
            Head::Braces { at } => at,
            Head::Unwanted | Head::Comment | Head::Blank => return Err(LineStop::Unwanted),
        };
        let named = if let NameSlot::Taken(name) = slot { name.to() } else { from };
        let mut cursor = Cursor { line, at: named };
        let series_end = self.series(&mut cursor, slot)?;
        let NameSlot::Taken(name) = *slot else {
            return Err(LineStop::At(from, Reason::MissingName));
        };
        if matches!(head, Head::Braces { .. }) && !wanted(name, line, filter) {
            return Err(LineStop::Unwanted);
        }
        let value = cursor.number()?;
        let (timestamp, exemplar) = self.tail(&mut cursor)?;
        Ok(LineParts { name, series: (from, series_end), value, timestamp, exemplar })
    }

    /// Reads the braces, if there are any, and says where name and labels end.
    #[inline]
    fn series(&mut self, cursor: &mut Cursor<'_>, slot: &mut NameSlot) -> Result<usize, LineStop> {
        let name_end = cursor.at;
        cursor.skip_space();
        match cursor.peek() {
            Some(b'{') => {
                cursor.at += 1;
                self.braces(cursor, slot)?;
                Ok(cursor.at)
            }
            Some(_) if cursor.at == name_end => Err(cursor.stop(Reason::BadName)),
            _ => {
                self.labels.clear();
                self.before.clear();
                Ok(name_end)
            }
        }
    }

    /// Reads the labels. Where the line repeats the one before, so do its labels: only those
    /// behind the first difference are read again.
    #[inline]
    fn braces(&mut self, cursor: &mut Cursor<'_>, slot: &mut NameSlot) -> Result<(), LineStop> {
        let same = scan::common_prefix(&self.before, cursor.line);
        let kept = self.labels.iter().rposition(|span| span.end() <= same).map_or(0, |i| i + 1);
        self.labels.truncate(kept);
        // A quoted name may stand between the labels: that line is no use to the next.
        let reusable = matches!(slot, NameSlot::Taken(_));
        let read = cursor.braces(&mut self.labels, self.max_labels, slot);
        match self.labels.last() {
            Some(last) if reusable && read.is_ok() => {
                self.before.truncate(same);
                self.before.extend_from_slice(&cursor.line[same..last.end().max(same)]);
            }
            Some(_) | None => self.before.clear(),
        }
        read
    }

    /// Reads what may follow the value.
    #[inline]
    fn tail(
        &mut self,
        cursor: &mut Cursor<'_>,
    ) -> Result<(Option<Timestamp>, Option<ExemplarValue>), LineStop> {
        cursor.skip_space();
        let timestamp = match cursor.peek() {
            None => return Ok((None, None)),
            Some(b'#') => None,
            Some(_) => Some(cursor.timestamp(self.format)?),
        };
        cursor.skip_space();
        match cursor.peek() {
            None => Ok((timestamp, None)),
            Some(b'#') => Ok((timestamp, Some(self.exemplar(cursor)?))),
            Some(_) => Err(cursor.stop(Reason::TrailingText)),
        }
    }

    /// Reads an exemplar from its `#` to the end of the line. Accepted in both formats: no other
    /// reading of it exists. Its timestamp is in seconds in both.
    fn exemplar(&mut self, cursor: &mut Cursor<'_>) -> Result<ExemplarValue, LineStop> {
        self.exemplar.clear();
        cursor.at += 1;
        cursor.skip_space();
        if cursor.peek() != Some(b'{') {
            return Err(cursor.stop(Reason::BadExemplar));
        }
        cursor.at += 1;
        cursor.braces(&mut self.exemplar, self.max_labels, &mut NameSlot::Forbidden)?;
        let value = cursor.number()?;
        cursor.skip_space();
        if cursor.peek().is_none() {
            return Ok((value, None));
        }
        let timestamp = cursor.timestamp(Format::OpenMetrics)?;
        cursor.skip_space();
        match cursor.peek() {
            None => Ok((value, Some(timestamp))),
            Some(_) => Err(cursor.stop(Reason::TrailingText)),
        }
    }
}

fn wanted(name: LineSlice, line: &[u8], filter: &NameFilter<'_>) -> bool {
    filter.wants(&decoded(name, line))
}

#[cold]
fn malformed(
    line: &[u8],
    number: u64,
    (at, reason): (usize, Reason),
    slot: NameSlot,
) -> Malformed<'_> {
    let name = match slot {
        NameSlot::Taken(piece) => match decoded(piece, line) {
            Cow::Borrowed(raw) => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
            Cow::Owned(raw) => String::from_utf8(raw).ok().map(Cow::Owned),
        },
        NameSlot::Empty | NameSlot::Forbidden => None,
    };
    Malformed { line: number, column: at as u64 + 1, reason, name, text: excerpt(line) }
}

/// The beginning of the line, cut between characters.
pub(super) fn excerpt(line: &[u8]) -> Cow<'_, str> {
    let mut end = line.len().min(Malformed::EXCERPT_BYTES);
    while line.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) && end > 0 {
        end -= 1;
    }
    String::from_utf8_lossy(&line[..end])
}
