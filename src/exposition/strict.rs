//! OpenMetrics to the letter.
//!
//! The [`Reader`](super::Reader) takes what can only mean one thing; this one holds a page against
//! the specification, for people who write exporters. It keeps what it needs of the whole page and
//! must therefore never sit on the path of a scrape.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::family::{BAD_METADATA, Closed, SeenFamilies, Violation};
use super::format::Format;
use super::line::{self, ParsedLine};
use super::lines::Lines;
use super::names::Head;
use super::text::TextPage;
use super::{Limits, Malformed, PageError, Reason, Sample, Sink, Tally, scan};

const SPACING: Violation = "parts must be separated by exactly one space";
const TRAILING_COMMA: Violation = "comma after the last label";

/// Reads one OpenMetrics page and reports every departure from the specification.
///
/// A sample that departs from it is reported and not handed to the sink.
#[derive(Debug)]
pub struct StrictReader {
    lines: Lines,
    page: StrictPage,
}

#[derive(Debug)]
struct StrictPage {
    text: TextPage<'static>,
    families: SeenFamilies,
}

impl StrictReader {
    /// A reader of one page.
    pub fn new(limits: Limits) -> Self {
        let text = TextPage::new(Format::OpenMetrics, limits, None);
        let page = StrictPage { text, families: SeenFamilies::default() };
        Self { lines: Lines::new(&limits), page }
    }

    /// Reads the next chunk.
    ///
    /// # Errors
    /// A limit was passed; the page is lost.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), PageError> {
        let page = &mut self.page;
        self.lines.split(chunk, &mut |line, number| page.line(line, number, sink))
    }

    /// Ends the page.
    ///
    /// # Errors
    /// A limit was passed, or [`PageError::Truncated`]: there was no `# EOF`.
    pub fn finish(self, sink: &mut impl Sink) -> Result<Tally, PageError> {
        let Self { lines, mut page } = self;
        if let Some((rest, number)) = lines.rest() {
            page.line(rest, number, sink)?;
        }
        let closed = page.families.close();
        report_closed(closed, &mut page.text.tally, sink);
        let (bytes, tally) = (lines.bytes(), page.text.tally);
        if !tally.eof {
            return Err(PageError::Truncated { bytes });
        }
        Ok(Tally { bytes, lines: lines.count(), whole: true, ..tally })
    }
}

impl StrictPage {
    fn line(&mut self, line: &[u8], number: u64, sink: &mut impl Sink) -> Result<(), PageError> {
        let complaint = if self.text.tally.eof {
            Some((0, Reason::AfterEof))
        } else if line.is_empty() {
            Some((0, Reason::Strict("blank line")))
        } else if line.ends_with(b"\r") {
            Some((line.len() - 1, Reason::Strict("carriage return")))
        } else if line == b"# EOF" {
            self.text.tally.eof = true;
            None
        } else if line.starts_with(b"#") {
            self.metadata(line, number, sink).err().map(|violation| (0, Reason::Strict(violation)))
        } else {
            let complaint = self.sample(line, number, sink)?;
            complaint.map(|(at, violation)| (at, Reason::Strict(violation)))
        };
        if let Some((at, reason)) = complaint {
            let (column, text) = (at as u64 + 1, line::excerpt(line));
            let malformed = Malformed { line: number, column, reason, name: None, text };
            self.text.tally.report(malformed, sink);
        }
        Ok(())
    }

    fn metadata(
        &mut self,
        line: &[u8],
        number: u64,
        sink: &mut impl Sink,
    ) -> Result<(), Violation> {
        let (kind, name, text) = metadata(line).ok_or(BAD_METADATA)?;
        if !self.families.is_current(&name) {
            let closed = self.families.open(&name, number);
            report_closed(closed, &mut self.text.tally, sink);
        }
        self.families.declare(kind, text)
    }

    fn sample(
        &mut self,
        line: &[u8],
        number: u64,
        sink: &mut impl Sink,
    ) -> Result<Option<(usize, Violation)>, PageError> {
        let TextPage { filter, parser, tally, max_samples, .. } = &mut self.text;
        let head = match filter.head(line) {
            Head::Blank => return Ok(Some((0, "blank line"))),
            Head::Comment => return Ok(Some((0, SPACING))),
            head @ (Head::Named { .. } | Head::Braces { .. } | Head::Unwanted) => head,
        };
        let sample = match parser.read(line, number, head, filter)? {
            ParsedLine::Sample(sample) => sample,
            ParsedLine::Malformed(malformed) => {
                tally.report(malformed, sink);
                return Ok(None);
            }
            ParsedLine::Unwanted => return Ok(None),
        };
        let spelled = spelling(&sample);
        if !self.families.holds(&sample.name) {
            report_closed(self.families.open(&sample.name, number), tally, sink);
        }
        let judged = self.families.sample(&sample);
        let complaint = spelled.err().or_else(|| judged.err().map(|violation| (0, violation)));
        if complaint.is_none() {
            tally.hand_over(sample, *max_samples, sink)?;
        }
        Ok(complaint)
    }
}

fn report_closed(closed: Closed, tally: &mut Tally, sink: &mut impl Sink) {
    for (line, family, violation) in closed {
        let (name, text) = (Some(Cow::Borrowed(&*family)), line::excerpt(family.as_bytes()));
        let reason = Reason::Strict(violation);
        tally.report(Malformed { line, column: 1, reason, name, text }, sink);
    }
}

/// The parts of `# KIND name text`.
fn metadata(line: &[u8]) -> Option<(&str, Cow<'_, str>, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let (kind, rest) = line.strip_prefix("# ")?.split_once(' ')?;
    if rest.starts_with('"') {
        let mut cursor = Cursor { line: rest.as_bytes(), at: 0 };
        let name = cursor.quoted().ok().filter(|name| name.from() < name.to())?;
        return Some((kind, name.text(rest), rest[cursor.at..].strip_prefix(' ')?));
    }
    let (name, text) = rest.split_once(' ')?;
    let legal = !name.is_empty() && scan::name_end(name.as_bytes(), 0) == name.len();
    legal.then_some((kind, Cow::Borrowed(name), text))
}

/// One space between the parts of a line and none elsewhere, no comma behind the last label, no
/// reserved label name. Spaces between labels are let through, as by the Python client.
fn spelling(sample: &Sample<'_>) -> Result<(), (usize, Violation)> {
    let line = sample.labels.line;
    let series = sample.series;
    let spacing = |at: usize| (at, SPACING);
    if !line.starts_with(series) {
        return Err(spacing(0));
    }
    let name_end = series.find(['{', ' ', '\t']).unwrap_or(series.len());
    if !series[name_end..].is_empty() && !series[name_end..].starts_with('{') {
        return Err(spacing(name_end));
    }
    let inner = series.strip_suffix('}').unwrap_or(series).trim_end();
    if inner.ends_with(',') {
        return Err((inner.len() - 1, TRAILING_COMMA));
    }
    reserved(sample)?;
    let rest = &line[series.len()..];
    let (plain, exemplar) = match rest.find('#') {
        Some(hash) => (rest[..hash].strip_suffix(' ').unwrap_or(""), Some(&rest[hash..])),
        None => (rest, None),
    };
    if !single_spaced(plain) {
        return Err(spacing(series.len()));
    }
    let (Some(text), Some(exemplar)) = (exemplar, &sample.exemplar) else { return Ok(()) };
    let at = line.len() - text.len();
    let labels_end = exemplar.labels.spans.last().map_or(at + 3, super::labels::LabelSpan::end);
    match line[labels_end.min(line.len())..].trim_start().strip_prefix('}') {
        _ if !text.starts_with("# {") => Err(spacing(at)),
        Some(tail) if single_spaced(tail) => Ok(()),
        Some(_) => Err(spacing(labels_end)),
        None => Err((labels_end, TRAILING_COMMA)),
    }
}

/// Whether the text is words with one space before each.
fn single_spaced(text: &str) -> bool {
    text.strip_prefix(' ')
        .is_some_and(|words| !words.contains('\t') && words.split(' ').all(|word| !word.is_empty()))
}

fn reserved(sample: &Sample<'_>) -> Result<(), (usize, Violation)> {
    let exemplar = sample.exemplar.as_ref().map(|exemplar| exemplar.labels).unwrap_or_default();
    for span in sample.labels.spans.iter().chain(exemplar.spans) {
        if span.name.text(sample.labels.line).starts_with("__") {
            return Err((span.name.from(), "label names that begin with __ are reserved"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Complaints(Vec<String>);

    impl Sink for Complaints {
        fn sample(&mut self, _: Sample<'_>) {}

        fn malformed(&mut self, malformed: Malformed<'_>) {
            let Malformed { line, column, reason, .. } = malformed;
            self.0.push(format!("{line}:{column} {reason}"));
        }
    }

    #[track_caller]
    fn check(page: &str, expected: &[&str]) {
        let mut complaints = Complaints(Vec::new());
        let mut reader = StrictReader::new(Limits::default());
        reader.feed(page.as_bytes(), &mut complaints).unwrap();
        let tally = reader.finish(&mut complaints).unwrap();
        assert_eq!(complaints.0, expected, "{page}");
        assert_eq!(tally.malformed, expected.len() as u64, "{page}");
    }

    #[test]
    fn a_page_to_the_letter_has_no_complaints() {
        check(
            "# HELP m Requests\\n.\n# TYPE m counter\nm_total{a=\"1\"} 3 1.5 # {t=\"} \"} 1 2\n\
             m_created{a=\"1\"} 1 1.5\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n\
             h_seconds_bucket{le=\"1\"} 1 # {} 1\nh_seconds_bucket{le=\"+Inf\"} 2\n\
             h_seconds_sum 1\nh_seconds_count 2\nsolo{a=\"1\", b=\"2\"} NaN\n\
             # TYPE \"my.name\" stateset\n{\"my.name\",\"my.name\"=\"on\"} 1\n\
             # TYPE i info\ni_info{v=\"1\"} 1\n# HELP s \n\
             # TYPE s summary\ns{quantile=\"0.5\"} 1\n# EOF\n",
            &[],
        );
        check("# EOF", &[]);
    }

    #[test]
    fn every_departure_is_located() {
        for (page, expected) in [
            ("\n", "1:1 blank line"),
            ("m 1\r\n", "1:4 carriage return"),
            (" m 1\n", "1:1 parts must be separated by exactly one space"),
            ("m  1\n", "1:2 parts must be separated by exactly one space"),
            ("m\t1\n", "1:2 parts must be separated by exactly one space"),
            ("m 1 \n", "1:2 parts must be separated by exactly one space"),
            ("m {} 1\n", "1:2 parts must be separated by exactly one space"),
            ("m{}1\n", "1:4 parts must be separated by exactly one space"),
            ("m{a=\"\",} 1\n", "1:7 comma after the last label"),
            ("m{__a=\"\"} 1\n", "1:3 label names that begin with __ are reserved"),
            ("# comment\n", "1:1 not a HELP, TYPE, UNIT or EOF line"),
            ("# TYPE m untyped\n", "1:1 unknown type"),
            ("m 1\n# HELP m x\n", "2:1 metadata after samples of the family"),
            ("# HELP m x\n# HELP m y\n", "2:1 metadata repeated for the family"),
            ("# UNIT m seconds\n", "1:1 the unit does not fit the family's name or type"),
            ("m 1\nn 1\nm 1\n", "3:1 the family's name clashes with an earlier family"),
            ("# TYPE m counter\nm 1\n", "2:1 the family's name clashes with an earlier family"),
            ("# TYPE m counter\nm_total -1\n", "2:1 a count cannot be negative or NaN"),
            ("# TYPE m info\nm_info 2\n", "2:1 the type demands a value of 0 or 1"),
            ("m 1 # {} 1\n", "1:1 exemplars belong on buckets and counters only"),
            (
                "# TYPE m counter\nm_total 1  # {} 1\n",
                "2:8 parts must be separated by exactly one space",
            ),
            ("# TYPE m counter\nm_total 1 # {a=\"\",} 1\n", "2:18 comma after the last label"),
            (
                "m{a=\"1\"} 1\nm{a=\"2\"} 1\nm{a=\"1\"} 1\n",
                "3:1 samples of one metric must stand together",
            ),
            ("m 1\nm 1\n", "2:1 duplicate series"),
            ("m 1 1\nm 1\n", "2:1 timestamps on some samples of the metric only"),
            ("m 1 2\nm 1 1\n", "2:1 timestamps go backwards"),
            ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\n", "2:1 no +Inf bucket"),
            (
                "# TYPE h histogram\nh_bucket{le=\"inf\"} 1\n",
                "2:1 the label that the type demands is missing or not canonical",
            ),
            (
                "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1.5\n",
                "2:1 a count must be a whole number",
            ),
            (
                "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 2\nh_sum 1\n",
                "4:1 the count is not that of the +Inf bucket",
            ),
            (
                "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n",
                "3:1 sum and count do not go together",
            ),
        ] {
            check(&format!("{page}# EOF\n"), &[expected]);
        }
        check("# EOF\nm 1\n", &["2:1 text after # EOF"]);
    }

    #[test]
    fn a_page_without_its_end_is_truncated() {
        let mut reader = StrictReader::new(Limits::default());
        reader.feed(b"m 1\n", &mut Complaints(Vec::new())).unwrap();
        let finished = reader.finish(&mut Complaints(Vec::new()));
        assert_eq!(finished, Err(PageError::Truncated { bytes: 4 }));
    }
}
