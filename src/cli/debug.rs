//! `rollguard debug exposition`: shows what the daemon would read from a page, through the same
//! reader. It is for the writers of exporters, and for finding out why a series is not seen.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::exit;
use super::out::{CommandError, Ended};
use crate::exposition::{
    Exemplar, Format, Labels, Limits, Malformed, PageError, Reader, Sample, Sink, StrictReader,
    Tally, Whole,
};
use crate::model::native::{NativeHistogram, Parts};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 << 10;

#[derive(Subcommand)]
pub(super) enum DebugCommand {
    /// Show what is read from a metrics page: one JSON object a sample
    ///
    /// Malformed lines go to standard error with line and column. The exit status is
    /// 1 if there were any, 2 if the page cannot be read at all.
    ///
    /// Example: curl -s localhost:9100/metrics | rollguard debug exposition
    #[command(verbatim_doc_comment)]
    Exposition {
        /// The page's format [default: text, or openmetrics with --strict]
        #[arg(long, value_parser = format())]
        format: Option<Format>,
        /// Hold the page against the OpenMetrics specification
        #[arg(long)]
        strict: bool,
        /// The page; standard input if absent or -
        file: Option<PathBuf>,
    },
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["text", "openmetrics", "protobuf"]).map(|name| match &*name {
        "openmetrics" => Format::OpenMetrics,
        "protobuf" => Format::Protobuf,
        _ => Format::Text,
    })
}

pub(super) fn run(command: DebugCommand) -> Ended {
    let DebugCommand::Exposition { format, strict, file } = command;
    match show(format, strict, file) {
        Ok(code) => Ok(code),
        // Whoever read the output has enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::OK),
        // A page that cannot be read at all is as any wrong use.
        Err(error) => {
            Err(CommandError::new(exit::USAGE, format_args!("failed to read the page: {error}")))
        }
    }
}

fn show(format: Option<Format>, strict: bool, file: Option<PathBuf>) -> io::Result<u8> {
    let scraped = match (format, strict) {
        (Some(Format::Text | Format::Protobuf), true) => {
            return Err(io::Error::other("--strict is about OpenMetrics, no other format"));
        }
        (None | Some(Format::OpenMetrics), true) => None,
        (format, false) => Some(format.unwrap_or(Format::Text)),
    };
    let input: Box<dyn Read> = match file.filter(|file| file.as_os_str() != "-") {
        Some(file) => Box::new(File::open(&file).map_err(|error| {
            io::Error::new(error.kind(), format!("open {}: {error}", file.display()))
        })?),
        None => Box::new(io::stdin().lock()),
    };
    exposition(scraped, input, BufWriter::new(io::stdout().lock()), io::stderr().lock())
}

/// Writes one JSON object a sample to `out`, and every malformed line to `err`.
///
/// The fields: `name`; `labels`, an object in the order of the page; `value`, a string, because
/// JSON has no `NaN`, `+Inf` and `-Inf`: otherwise the shortest decimal that reads back as the
/// same float, such as `3`, `0.1` or `1e300`; `timestamp`, seconds as an exact number, or null;
/// `exemplar`, null or an object of `labels`, `value` and `timestamp`. A native histogram has,
/// instead of the last, `native`: an object of `schema`, `zero_threshold`, `zero_count`, `count`
/// and `sum`, and of `positive` and `negative`, each a list of pairs of a bucket's index and count;
/// its `value` is its count, as in the sample `_count` that every page has besides.
///
/// The page is read as a scrape of the format `scraped` reads it; `None`: as OpenMetrics to the
/// letter. The exit code is 0 if every line is as it should be, 1 if a line, or the page as a
/// whole, is not.
///
/// # Errors
/// The input cannot be read or an output cannot be written.
fn exposition(
    scraped: Option<Format>,
    input: impl Read,
    out: impl Write,
    err: impl Write,
) -> io::Result<u8> {
    let mut printer = Printer { out, err, failed: None };
    let page = match scraped {
        Some(format) => {
            let mut reader = Reader::new(format, limits(), None);
            let fed = chunks(input, |chunk| reader.feed(chunk, &mut printer))?;
            // A file ends where it ends.
            fed.and_then(|()| reader.finish(Whole::Yes, &mut printer))
        }
        None => {
            let mut reader = StrictReader::new(limits());
            let fed = chunks(input, |chunk| reader.feed(chunk, &mut printer))?;
            fed.and_then(|()| reader.finish(&mut printer))
        }
    };
    let Printer { mut out, mut err, failed } = printer;
    if let Some(error) = failed {
        return Err(error);
    }
    out.flush()?;
    match page {
        Ok(Tally { malformed: 0, .. }) => Ok(exit::OK),
        Ok(_) => Ok(exit::FAILED),
        Err(error) => {
            writeln!(err, "failed to {error}")?;
            Ok(exit::FAILED)
        }
    }
}

/// A scrape selects and is bounded by what it selects; here the whole page is wanted.
fn limits() -> Limits {
    Limits { samples: u64::MAX, ..Limits::default() }
}

/// Feeds the input in pieces. The outer error is the input's, the inner one the page's.
fn chunks(
    mut input: impl Read,
    mut feed: impl FnMut(&[u8]) -> Result<(), PageError>,
) -> io::Result<Result<(), PageError>> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Err(error) = feed(&buffer[..length]) {
            return Ok(Err(error));
        }
    }
}

struct Printer<O, E> {
    out: O,
    err: E,
    failed: Option<io::Error>,
}

impl<O: Write, E: Write> Sink for Printer<O, E> {
    fn sample(&mut self, sample: Sample<'_>) {
        if self.failed.is_none() {
            self.failed = print(&mut self.out, &sample).err();
        }
    }

    fn native(&mut self, series: Sample<'_>, histogram: NativeHistogram) {
        if self.failed.is_none() {
            self.failed = print_native(&mut self.out, &series, histogram.parts()).err();
        }
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        let Malformed { line, column, reason, .. } = malformed;
        if self.failed.is_none() {
            self.failed = writeln!(self.err, "line {line}, column {column}: {reason}").err();
        }
    }
}

/// What every line begins with: the object is left open.
fn head(
    out: &mut impl Write,
    name: &str,
    of: Labels<'_>,
    value: f64,
    timestamp: Option<impl std::fmt::Display>,
) -> io::Result<()> {
    write!(out, r#"{{"name":{},"labels":"#, json(name)?)?;
    point(out, of, value, timestamp)
}

/// Labels, value and timestamp, after the key of the labels.
fn point(
    out: &mut impl Write,
    of: Labels<'_>,
    value: f64,
    timestamp: Option<impl std::fmt::Display>,
) -> io::Result<()> {
    labels(out, of)?;
    let timestamp = timestamp.map_or_else(|| "null".to_owned(), |at| at.to_string());
    write!(out, r#","value":"{}","timestamp":{timestamp}"#, number(value))
}

fn print(out: &mut impl Write, sample: &Sample<'_>) -> io::Result<()> {
    head(out, &sample.name, sample.labels, sample.value, sample.timestamp)?;
    match &sample.exemplar {
        Some(Exemplar { labels, value, timestamp }) => {
            write!(out, r#","exemplar":{{"labels":"#)?;
            point(out, *labels, *value, *timestamp)?;
            writeln!(out, "}}}}")
        }
        None => writeln!(out, r#","exemplar":null}}"#),
    }
}

fn print_native(out: &mut impl Write, series: &Sample<'_>, parts: &Parts) -> io::Result<()> {
    head(out, &series.name, series.labels, parts.count, series.timestamp)?;
    let (schema, threshold) = (parts.schema, number(parts.zero_threshold));
    write!(out, r#","native":{{"schema":{schema},"zero_threshold":"{threshold}""#)?;
    for (name, value) in
        [("zero_count", parts.zero_count), ("count", parts.count), ("sum", parts.sum)]
    {
        write!(out, r#","{name}":"{}""#, number(value))?;
    }
    for (name, side) in [("positive", &parts.positive), ("negative", &parts.negative)] {
        let pairs = side.iter().map(|(index, count)| format!(r#"[{index},"{}"]"#, number(*count)));
        write!(out, r#","{name}":[{}]"#, pairs.collect::<Vec<_>>().join(","))?;
    }
    writeln!(out, "}}}}")
}

fn labels(out: &mut impl Write, labels: Labels<'_>) -> io::Result<()> {
    write!(out, "{{")?;
    for (index, (name, value)) in labels.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(out, "{comma}{}:{}", json(&name)?, json(&value)?)?;
    }
    write!(out, "}}")
}

fn json(text: &str) -> io::Result<String> {
    serde_json::to_string(text).map_err(io::Error::from)
}

fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let shown = format!("{value:?}");
    shown.strip_suffix(".0").map_or_else(|| shown.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scraped: Option<Format>, page: &str, out: &str, err: &str, outcome: u8) {
        let (mut found_out, mut found_err) = (Vec::new(), Vec::new());
        let found = exposition(scraped, page.as_bytes(), &mut found_out, &mut found_err).unwrap();
        assert_eq!(String::from_utf8(found_out).unwrap(), out);
        assert_eq!(String::from_utf8(found_err).unwrap(), err);
        assert_eq!(found, outcome);
    }

    const TEXT: Option<Format> = Some(Format::Text);
    const OPEN: Option<Format> = Some(Format::OpenMetrics);

    #[test]
    fn a_sample_is_one_line_of_json_with_an_exact_timestamp() {
        check(
            OPEN,
            "m_total{b=\"\\n\",a=\"é\\\"\"} 3 1700000000.123456789 # {t=\"1\"} 0.5 -1.25\n# EOF\n",
            "{\"name\":\"m_total\",\"labels\":{\"b\":\"\\n\",\"a\":\"é\\\"\"},\"value\":\"3\",\
             \"timestamp\":1700000000.123456789,\"exemplar\":{\"labels\":{\"t\":\"1\"},\
             \"value\":\"0.5\",\"timestamp\":-1.25}}\n",
            "",
            exit::OK,
        );
    }

    #[test]
    fn values_that_json_lacks_are_strings_like_all_others() {
        let page = "m NaN\nm -Inf\nm +Inf\nm 1e300\nm 0.1 1500\n";
        let row = |value: &str, timestamp: &str| {
            format!(
                "{{\"name\":\"m\",\"labels\":{{}},\"value\":\"{value}\",\
                 \"timestamp\":{timestamp},\"exemplar\":null}}\n"
            )
        };
        let rows = [
            ("NaN", "null"),
            ("-Inf", "null"),
            ("+Inf", "null"),
            ("1e300", "null"),
            ("0.1", "1.5"),
        ];
        let out: String = rows.iter().map(|(value, timestamp)| row(value, timestamp)).collect();
        check(TEXT, page, &out, "", exit::OK);
    }

    #[test]
    fn a_native_histogram_is_shown_bucket_by_bucket() {
        let page =
            concat!("\x15\n\x01h\x18\x04\"\x0e:\x0c", "\x08\x03(\x04b\x04\x08\x02\x10\x01h\x06");
        let shown = |name: &str, labels: &str, value: &str, rest: &str| {
            format!(
                "{{\"name\":\"{name}\",\"labels\":{{{labels}}},\"value\":\"{value}\",\
                 \"timestamp\":null,{rest}}}\n"
            )
        };
        let none = "\"exemplar\":null";
        let native = "\"native\":{\"schema\":2,\"zero_threshold\":\"0\",\"zero_count\":\"0\",\
                      \"count\":\"3\",\"sum\":\"0\",\"positive\":[[1,\"3\"]],\"negative\":[]}";
        let out = [
            shown("h_bucket", "\"le\":\"+Inf\"", "3", none),
            shown("h_sum", "", "0", none),
            shown("h_count", "", "3", none),
            shown("h", "", "3", native),
        ];
        check(Some(Format::Protobuf), page, &out.concat(), "", exit::OK);
    }

    #[test]
    fn malformed_lines_are_located_and_set_the_outcome() {
        let sample =
            "{\"name\":\"m\",\"labels\":{},\"value\":\"1\",\"timestamp\":null,\"exemplar\":null}\n";
        check(
            TEXT,
            "m{a=1} 1\nm 1",
            sample,
            "line 1, column 5: expected a quoted label value\n",
            exit::FAILED,
        );
        check(OPEN, "m 1", sample, "", exit::OK);
        let truncated = "failed to read the page to its end: it is truncated after 4 bytes\n";
        check(None, "m 1\n", sample, truncated, exit::FAILED);
    }
}
