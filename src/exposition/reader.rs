//! Chunks in, samples out.

use std::borrow::Cow;

use super::labels::Piece;
use super::line::{self, Line, Parser};
use super::lines::Lines;
use super::names::{Filter, Head};
use super::{Format, Limits, Malformed, NameSet, PageError, Reason, Sink, scan};

/// What the transport says about the body when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// It is complete: the content length is satisfied or the last chunk was seen.
    Yes,
    /// The connection was closed and nothing says how long the body should have been.
    Unknown,
    /// It was cut: fewer bytes than announced.
    No,
}

/// What was read of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Bytes of the body.
    pub bytes: u64,
    /// Lines, of any kind.
    pub lines: u64,
    /// Samples handed to the sink.
    pub samples: u64,
    /// Malformed lines handed to the sink.
    pub malformed: u64,
    /// The first of them, from 1.
    pub first_malformed_line: Option<u64>,
    /// Whether the page ends with `# EOF`.
    pub eof: bool,
    /// Whether the page is known to be complete, by the transport or by `# EOF`. If not, a page
    /// cut just behind a newline cannot be told from a whole one.
    pub whole: bool,
}

/// Reads one page from chunks of any size, in constant memory.
///
/// ```
/// use rollguard::exposition::{Format, Limits, Malformed, NameSet, Reader, Sample, Sink, Whole};
///
/// struct Sum(f64);
/// impl Sink for Sum {
///     fn sample(&mut self, sample: Sample<'_>) {
///         self.0 += sample.value;
///     }
///     fn malformed(&mut self, _: Malformed<'_>) {}
/// }
///
/// let names = NameSet::new(["errors_total"]);
/// let mut reader = Reader::new(Format::Text, Limits::default(), Some(&names));
/// let mut sum = Sum(0.0);
/// reader.feed(b"errors_total{code=\"500\"} 2\nother 7\nerr", &mut sum)?;
/// reader.feed(b"ors_total{code=\"502\"} 1\n", &mut sum)?;
/// let tally = reader.finish(Whole::Yes, &mut sum)?;
/// assert_eq!((sum.0, tally.samples, tally.lines), (3.0, 2, 3));
/// # Ok::<(), rollguard::exposition::PageError>(())
/// ```
#[derive(Debug)]
pub struct Reader<'n> {
    lines: Lines,
    page: Page<'n>,
    failed: Option<PageError>,
}

impl<'n> Reader<'n> {
    /// A reader of one page; with `names`, of those metrics only.
    #[must_use]
    pub fn new(format: Format, limits: Limits, names: Option<&'n NameSet>) -> Self {
        let line_bytes = limits.line_bytes.min(Piece::LINE_END);
        let limits = Limits { line_bytes, ..limits };
        let page = Page {
            format,
            max_samples: limits.samples,
            filter: Filter::new(names),
            parser: Parser::new(format, limits.labels),
            tally: Tally::default(),
        };
        Self { lines: Lines::new(&limits), page, failed: None }
    }

    /// Reads the next chunk. After an error the page is lost and every call returns that error.
    ///
    /// # Errors
    /// A limit was passed.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), PageError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let page = &mut self.page;
        let fed = self.lines.split(chunk, &mut |line, number| page.line(line, number, sink));
        self.failed = fed.err();
        fed
    }

    /// Ends the page. A last line without its newline counts only if the body is known to be
    /// whole; otherwise it may be cut and is reported as [`Reason::Truncated`].
    ///
    /// # Errors
    /// A limit was passed, or [`PageError::Truncated`]: the transport says so, or it cannot tell
    /// and an OpenMetrics page lacks its `# EOF`.
    pub fn finish(self, whole: Whole, sink: &mut impl Sink) -> Result<Tally, PageError> {
        let Self { lines, mut page, failed } = self;
        if let Some(error) = failed {
            return Err(error);
        }
        match lines.rest() {
            Some((rest, number)) if whole == Whole::Yes || is_eof(rest) => {
                page.line(rest, number, sink)?;
            }
            Some((rest, number)) => page.cut(rest, number, sink),
            None => {}
        }
        let tally = Tally {
            bytes: lines.bytes(),
            lines: lines.count(),
            whole: page.tally.eof || whole == Whole::Yes,
            ..page.tally
        };
        let cut = match (whole, page.format) {
            (Whole::Yes, _) | (Whole::Unknown, Format::Text) => false,
            (Whole::Unknown, Format::OpenMetrics) | (Whole::No, _) => !tally.eof,
        };
        if cut { Err(PageError::Truncated { bytes: tally.bytes }) } else { Ok(tally) }
    }
}

/// A page in the course of being read.
#[derive(Debug)]
struct Page<'n> {
    format: Format,
    max_samples: u64,
    filter: Filter<'n>,
    parser: Parser,
    tally: Tally,
}

impl Page<'_> {
    #[inline]
    fn line(&mut self, line: &[u8], number: u64, sink: &mut impl Sink) -> Result<(), PageError> {
        let head = self.filter.head(line);
        if self.tally.eof {
            return self.after_eof(line, number, head, sink);
        }
        match head {
            Head::Unwanted | Head::Blank => Ok(()),
            Head::Comment => {
                self.tally.eof = is_eof(line);
                if self.filter.wants_all()
                    && let Some((family, kind)) = declared(line)
                {
                    sink.kind(family, kind);
                }
                Ok(())
            }
            Head::Named { .. } | Head::Braces { .. } => self.read(line, number, head, sink),
        }
    }

    #[inline]
    fn read(
        &mut self,
        line: &[u8],
        number: u64,
        head: Head,
        sink: &mut impl Sink,
    ) -> Result<(), PageError> {
        match self.parser.read(line, number, head, &self.filter)? {
            Line::Sample(_) if self.tally.samples == self.max_samples => {
                Err(PageError::TooManySamples { limit: self.max_samples })
            }
            Line::Sample(sample) => {
                self.tally.samples += 1;
                sink.sample(sample);
                Ok(())
            }
            Line::Malformed(malformed) => {
                self.tally.report(malformed, sink);
                Ok(())
            }
            Line::Unwanted => Ok(()),
        }
    }

    /// In OpenMetrics nothing may follow `# EOF`, as the page may be two pages run together. In
    /// the text format it is a comment like any other, unless it is the last line.
    #[cold]
    fn after_eof(
        &mut self,
        line: &[u8],
        number: u64,
        head: Head,
        sink: &mut impl Sink,
    ) -> Result<(), PageError> {
        let said = matches!(head, Head::Named { .. } | Head::Braces { .. } | Head::Unwanted);
        match self.format {
            Format::Text if said => {
                self.tally.eof = false;
                self.line(line, number, sink)
            }
            Format::Text => Ok(()),
            Format::OpenMetrics => {
                let name = match self.parser.read(line, number, head, &self.filter)? {
                    Line::Sample(sample) => Some(sample.name),
                    Line::Malformed(malformed) => malformed.name,
                    Line::Unwanted => return Ok(()),
                };
                let text = line::excerpt(line);
                let reason = Reason::AfterEof;
                let malformed = Malformed { line: number, column: 1, reason, name, text };
                self.tally.report(malformed, sink);
                Ok(())
            }
        }
    }

    /// The last line has no newline and may go on: even its name may.
    #[cold]
    fn cut(&mut self, line: &[u8], number: u64, sink: &mut impl Sink) {
        let name = match self.filter.head(line) {
            Head::Named { to, .. } | Head::Braces { at: to } if to == line.len() => None,
            Head::Unwanted if scan::name_end(line, scan::space_end(line, 0)) == line.len() => None,
            Head::Unwanted | Head::Comment | Head::Blank => return,
            Head::Named { from, to } => std::str::from_utf8(&line[from..to]).ok(),
            Head::Braces { .. } => None,
        };
        let malformed = Malformed {
            line: number,
            column: line.len() as u64 + 1,
            reason: Reason::Truncated,
            name: name.filter(|name| !name.is_empty()).map(Cow::Borrowed),
            text: line::excerpt(line),
        };
        self.tally.report(malformed, sink);
    }
}

impl Tally {
    #[cold]
    pub(super) fn report(&mut self, malformed: Malformed<'_>, sink: &mut impl Sink) {
        self.malformed += 1;
        self.first_malformed_line.get_or_insert(malformed.line);
        sink.malformed(malformed);
    }
}

/// Family and type of a `# TYPE` line. A quoted name with an escape in it is none that can be
/// borrowed; its type stays unknown.
fn declared(line: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(scan::trim_end(line)).ok()?;
    let rest = text.trim_start().strip_prefix('#')?.trim_start().strip_prefix("TYPE")?;
    let (family, kind) = rest.strip_prefix([' ', '\t'])?.trim().rsplit_once([' ', '\t'])?;
    let family = family.trim_end();
    let plain = family.strip_prefix('"').and_then(|family| family.strip_suffix('"'));
    let family = plain.unwrap_or(family);
    (!family.is_empty() && !family.contains('\\')).then_some((family, kind))
}

fn is_eof(line: &[u8]) -> bool {
    scan::trim_end(line) == b"# EOF"
}
