//! The body of a metrics page: unpacked if need be, through the reader, into a page of selected
//! samples. Chunk by chunk; of a page of any size only the samples that somebody wants are kept.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use hyper::{Response, StatusCode};

use super::failure::of_page;
use crate::exposition::{
    Format, Limits, Malformed, NameSet, PageError, Reader, Sample, Sink, Whole,
};
use crate::model::native::NativeHistogram;
use crate::model::scrape::{Failure, FailureClass, MalformedLine, Page};
use crate::model::time::Timestamp;
use crate::source::failure::failure;

/// How much of a content type is shown: the longest registered ones are this long.
const MAX_TYPE: usize = 80;

/// Takes a page in.
pub(super) struct Intake<'n> {
    unpack: Unpack<'n>,
    /// What it means that the body ended without an error.
    end: Whole,
}

enum Unpack<'n> {
    Nothing(Collect<'n>),
    Gzip(MultiGzDecoder<Collect<'n>>),
}

impl<'n> Intake<'n> {
    /// Looks at the head of an answer; `names` are the metrics that are wanted, `None` for all.
    ///
    /// # Errors
    /// It is not a metrics page, or announces more than `max_body` bytes.
    pub(super) fn new(
        answer: &Response<Incoming>,
        max_body: u64,
        names: Option<&'n NameSet>,
    ) -> Result<Self, Failure> {
        check_status(answer.status())?;
        let format = format(answer.headers())?;
        let announced = answer.body().size_hint().exact();
        if announced.is_some_and(|length| length > max_body) {
            return Err(of_page(PageError::BodyTooLarge { limit: max_body }));
        }
        let limits = Limits { body_bytes: max_body, ..Limits::default() };
        let collect = Collect {
            reader: Reader::new(format, limits, names),
            filler: Filler(Page::default()),
            error: None,
        };
        let whole = announced.is_some() || is_chunked(answer.headers());
        let end = if whole { Whole::Yes } else { Whole::Unknown };
        Ok(Self { unpack: Unpack::new(collect, answer.headers())?, end })
    }

    /// Takes the next piece of the body.
    ///
    /// # Errors
    /// A limit was passed, or the compression is broken.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        match &mut self.unpack {
            Unpack::Nothing(collect) => collect.feed(chunk).map_err(of_page),
            Unpack::Gzip(gzip) => gzip.write_all(chunk).map_err(|error| of_gzip(gzip, &error)),
        }
    }

    /// The server sent more than it announced: the end may be anywhere.
    pub(super) fn doubt_end(&mut self) {
        self.end = Whole::Unknown;
    }

    /// The body has ended without an error.
    ///
    /// # Errors
    /// The page is not whole, or a limit was passed.
    pub(super) fn finish(self) -> Result<Page, Failure> {
        let collect = match self.unpack {
            Unpack::Nothing(collect) => collect,
            Unpack::Gzip(mut gzip) => {
                gzip.try_finish().map_err(|error| of_gzip(&gzip, &error))?;
                gzip.finish().map_err(|error| {
                    failure(FailureClass::Malformed, format_args!("failed to unpack: {error}"))
                })?
            }
        };
        let Collect { reader, mut filler, .. } = collect;
        let tally = reader.finish(self.end, &mut filler).map_err(of_page)?;
        filler.0.bytes = tally.bytes;
        filler.0.may_lack_series = !tally.whole || tally.bytes == 0;
        Ok(filler.0)
    }
}

impl<'n> Unpack<'n> {
    fn new(collect: Collect<'n>, headers: &HeaderMap) -> Result<Self, Failure> {
        let Some(encoding) = headers.get(CONTENT_ENCODING) else {
            return Ok(Self::Nothing(collect));
        };
        let is = |name: &str| encoding.as_bytes().eq_ignore_ascii_case(name.as_bytes());
        if is("identity") || is("") {
            Ok(Self::Nothing(collect))
        } else if is("gzip") || is("x-gzip") {
            Ok(Self::Gzip(MultiGzDecoder::new(collect)))
        } else {
            let detail = "the page is compressed in a way that was not asked for";
            Err(failure(FailureClass::Malformed, detail))
        }
    }
}

fn check_status(status: StatusCode) -> Result<(), Failure> {
    if status == StatusCode::OK {
        return Ok(());
    }
    let why = if status.is_redirection() { ", redirects are not followed" } else { "" };
    Err(failure(FailureClass::Status, format_args!("{status}{why}")))
}

fn format(headers: &HeaderMap) -> Result<Format, Failure> {
    let header = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    Format::from_content_type(header).ok_or_else(|| {
        let essence = header.split(';').next().unwrap_or_default().trim();
        let shown: String = essence.chars().take(MAX_TYPE).collect();
        let class = FailureClass::Malformed;
        failure(class, format_args!("content type `{shown}` is not a metrics page"))
    })
}

/// Whether the body's end is marked by a last chunk.
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

fn of_gzip(gzip: &MultiGzDecoder<Collect<'_>>, error: &io::Error) -> Failure {
    gzip.get_ref().error.map_or_else(
        || failure(FailureClass::Malformed, format_args!("failed to unpack the page: {error}")),
        of_page,
    )
}

/// Where unpacked bytes go.
struct Collect<'n> {
    reader: Reader<'n>,
    filler: Filler,
    error: Option<PageError>,
}

impl Collect<'_> {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), PageError> {
        self.reader.feed(bytes, &mut self.filler)
    }
}

impl Write for Collect<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.feed(bytes).map_err(|error| {
            self.error = Some(error);
            io::Error::other(error)
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what the reader finds.
struct Filler(Page);

impl Sink for Filler {
    fn sample(&mut self, sample: Sample<'_>) {
        let timestamp = sample.timestamp.map(|t| Timestamp::from_millis(t.as_millis()));
        self.0.push(sample.series, sample.value, timestamp);
    }

    fn native(&mut self, series: Sample<'_>, histogram: NativeHistogram) {
        let timestamp = series.timestamp.map(|t| Timestamp::from_millis(t.as_millis()));
        self.0.push_native(series.series, histogram, timestamp);
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        self.0.push_malformed(MalformedLine {
            line: malformed.line,
            name: malformed.name.map(std::borrow::Cow::into_owned),
            reason: format!("{} at column {}", malformed.reason, malformed.column),
        });
    }

    fn kind(&mut self, family: &str, kind: &str) {
        self.0.push_kind(family, kind);
    }
}
