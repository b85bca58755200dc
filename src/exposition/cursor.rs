//! The grammar: a cursor that moves over a line from left to right.
//!
//! Nothing is looked up ahead of the cursor, so nothing within quotes can be taken for structure.

use std::borrow::Cow;

use super::format::Format;
use super::labels::{self, LabelSpan, LineSlice};
use super::{Reason, Timestamp, number, scan};

/// Why reading stopped.
pub(super) enum LineStop {
    /// At this byte the line is malformed.
    At(usize, Reason),
    /// The limit on labels was passed.
    TooManyLabels,
    /// Nobody asked for the metric.
    Unwanted,
}

/// Whether a metric name may stand between the braces, and which was found.
#[derive(Clone, Copy)]
pub(super) enum NameSlot {
    /// It may, none was found yet.
    Empty,
    /// This one.
    Taken(LineSlice),
    /// It may not: the braces are those of an exemplar.
    Forbidden,
}

/// A place in a line.
pub(super) struct Cursor<'a> {
    pub(super) line: &'a [u8],
    pub(super) at: usize,
}

impl Cursor<'_> {
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        if self.peek().is_some_and(scan::is_space) {
            self.at = scan::space_end(self.line, self.at);
        }
    }

    pub(super) fn stop(&self, reason: Reason) -> LineStop {
        LineStop::At(self.at, reason)
    }

    /// The bytes up to the next space, and where they begin.
    #[inline]
    fn token(&mut self) -> (usize, &[u8]) {
        let from = self.at;
        let rest = &self.line[from..];
        let length = rest.iter().position(|&byte| scan::is_space(byte)).unwrap_or(rest.len());
        self.at += length;
        (from, &rest[..length])
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<f64, LineStop> {
        self.skip_space();
        let (from, token) = self.token();
        if token.is_empty() {
            return Err(LineStop::At(from, Reason::MissingValue));
        }
        number::value(token).map_err(|reason| LineStop::At(from, reason))
    }

    pub(super) fn timestamp(&mut self, format: Format) -> Result<Timestamp, LineStop> {
        let (from, token) = self.token();
        let timestamp = match format {
            Format::Text => number::millis(token),
            Format::OpenMetrics | Format::Protobuf => number::seconds(token),
        };
        timestamp.map_err(|reason| LineStop::At(from, reason))
    }

    /// Reads from behind `{` to behind `}`. Labels that are in `spans` already are those at the
    /// beginning of these braces: reading goes on behind them.
    #[inline]
    pub(super) fn braces(
        &mut self,
        spans: &mut Vec<LabelSpan>,
        limit: usize,
        slot: &mut NameSlot,
    ) -> Result<(), LineStop> {
        let open = self.at - 1;
        let mut behind_label = false;
        if let Some(last) = spans.last() {
            (self.at, behind_label) = (last.end(), true);
        }
        loop {
            self.skip_space();
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                None => return Err(LineStop::At(open, Reason::UnterminatedBraces)),
                // The last label may lack the comma.
                Some(b',') if behind_label => {
                    self.at += 1;
                    behind_label = false;
                }
                Some(_) if behind_label => return Err(self.stop(Reason::MissingComma)),
                Some(_) => {
                    let from = self.at;
                    if let Some((name, value)) = self.label(slot)? {
                        let span = admit(self.line, (name, value), spans, limit, from)?;
                        spans.push(span);
                    }
                    behind_label = true;
                }
            }
        }
    }

    /// Reads one label, or a quoted metric name, which goes into the slot.
    #[inline]
    fn label(&mut self, slot: &mut NameSlot) -> Result<Option<(LineSlice, LineSlice)>, LineStop> {
        let from = self.at;
        let quoted = self.peek() == Some(b'"');
        let name = if quoted {
            self.quoted()?
        } else {
            self.at = scan::label_name_end(self.line, from);
            LineSlice::new(from, self.at, false)
        };
        if name.from() == name.to() {
            return Err(LineStop::At(from, Reason::BadLabelName));
        }
        self.skip_space();
        if self.peek() != Some(b'=') {
            return match slot {
                NameSlot::Empty if quoted => {
                    *slot = NameSlot::Taken(name);
                    Ok(None)
                }
                NameSlot::Taken(_) if quoted => Err(LineStop::At(from, Reason::SecondName)),
                NameSlot::Empty | NameSlot::Taken(_) | NameSlot::Forbidden => {
                    Err(self.stop(Reason::MissingEquals))
                }
            };
        }
        self.at += 1;
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.stop(Reason::MissingQuote));
        }
        Ok(Some((name, self.quoted()?)))
    }

    /// Reads a quoted string from its opening to behind its closing quote.
    #[inline]
    pub(super) fn quoted(&mut self) -> Result<LineSlice, LineStop> {
        let from = self.at + 1;
        let mut to = from;
        let mut escaped = false;
        loop {
            to = scan::quote_or_backslash(self.line, to);
            match self.line.get(to) {
                Some(b'"') => break,
                // The escaped byte may be missing, then the quote is not closed either.
                Some(_) if to + 1 < self.line.len() => to += 2,
                Some(_) | None => return Err(self.stop(Reason::UnterminatedQuote)),
            }
            escaped = true;
        }
        self.at = to + 1;
        Ok(LineSlice::new(from, to, escaped))
    }
}

/// The span of a label, unless it may not stand behind these.
#[inline]
fn admit(
    line: &[u8],
    (name, value): (LineSlice, LineSlice),
    spans: &[LabelSpan],
    limit: usize,
    from: usize,
) -> Result<LabelSpan, LineStop> {
    if name.raw(line) == b"__name__" {
        return Err(LineStop::At(from, Reason::ReservedLabelName));
    }
    let before = spans.last().map_or(0, |last| last.seen);
    let bits = name_bits(name, line);
    if before & bits != 0 && spans.iter().any(|old| decoded(old.name, line) == decoded(name, line))
    {
        return Err(LineStop::At(from, Reason::DuplicateLabel));
    }
    if spans.len() == limit {
        return Err(LineStop::TooManyLabels);
    }
    Ok(LabelSpan { name, value, seen: before | bits })
}

/// The bit of a label name: names that share none differ, so most are never compared. Names with
/// an escape share a bit: several spellings stand for one name, but none without a backslash does.
#[inline]
fn name_bits(name: LineSlice, line: &[u8]) -> u64 {
    if name.is_escaped() {
        return 1;
    }
    let raw = name.raw(line);
    let [first, last] = [raw.first(), raw.last()].map(|byte| u64::from(*byte.unwrap_or(&0)));
    let key = raw.len() as u64 ^ first << 8 ^ last << 16;
    1 << (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

/// The name that the piece stands for.
pub(super) fn decoded(piece: LineSlice, line: &[u8]) -> Cow<'_, [u8]> {
    let raw = piece.raw(line);
    if !piece.is_escaped() {
        return Cow::Borrowed(raw);
    }
    // What is not UTF-8 is refused for it later.
    let text = std::str::from_utf8(raw);
    text.map_or(Cow::Borrowed(raw), |text| Cow::Owned(labels::unescape(text).into_bytes()))
}
