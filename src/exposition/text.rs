//! Pages of lines: the Prometheus text format and OpenMetrics, chunk by chunk.

use std::borrow::Cow;

use super::format::Format;
use super::line::{self, LineParser, ParsedLine};
use super::lines::Lines;
use super::names::{Head, NameFilter};
use super::{Limits, Malformed, NameSet, PageError, Reason, Sink, Tally, Whole, scan};

/// Reads one page of lines.
#[derive(Debug)]
pub(super) struct TextReader<'n> {
    lines: Lines,
    page: TextPage<'n>,
}

impl<'n> TextReader<'n> {
    /// A reader of one page; with `names`, of those metrics only.
    pub(super) fn new(format: Format, limits: Limits, names: Option<&'n NameSet>) -> Self {
        Self { lines: Lines::new(&limits), page: TextPage::new(format, limits, names) }
    }

    /// Reads the next chunk.
    pub(super) fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), PageError> {
        let page = &mut self.page;
        self.lines.split(chunk, &mut |line, number| page.line(line, number, sink))
    }

    /// Ends the page.
    pub(super) fn finish(self, whole: Whole, sink: &mut impl Sink) -> Result<Tally, PageError> {
        let Self { lines, mut page } = self;
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
        let may_end = whole == Whole::Unknown && page.format == Format::Text;
        if whole != Whole::Yes && !may_end && !tally.eof {
            Err(PageError::Truncated { bytes: tally.bytes })
        } else {
            Ok(tally)
        }
    }
}

/// A page in the course of being read.
#[derive(Debug)]
pub(super) struct TextPage<'n> {
    format: Format,
    pub(super) max_samples: u64,
    pub(super) filter: NameFilter<'n>,
    pub(super) parser: LineParser,
    pub(super) tally: Tally,
}

impl<'n> TextPage<'n> {
    pub(super) fn new(format: Format, limits: Limits, names: Option<&'n NameSet>) -> Self {
        Self {
            format,
            max_samples: limits.samples,
            filter: NameFilter::new(names),
            parser: LineParser::new(format, limits.labels),
            tally: Tally::default(),
        }
    }

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
            ParsedLine::Sample(sample) => {
                return self.tally.hand_over(sample, self.max_samples, sink);
            }
            ParsedLine::Malformed(malformed) => self.tally.report(malformed, sink),
            ParsedLine::Unwanted => {}
        }
        Ok(())
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
        if self.format == Format::Text {
            self.tally.eof = !said;
            return if said { self.line(line, number, sink) } else { Ok(()) };
        }
        let name = match self.parser.read(line, number, head, &self.filter)? {
            ParsedLine::Sample(sample) => Some(sample.name),
            ParsedLine::Malformed(malformed) => malformed.name,
            ParsedLine::Unwanted => return Ok(()),
        };
        let (reason, text) = (Reason::AfterEof, line::excerpt(line));
        self.tally.report(Malformed { line: number, column: 1, reason, name, text }, sink);
        Ok(())
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
