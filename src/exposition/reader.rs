//! Chunks in, samples out.

use super::protobuf::ProtobufReader;
use super::text::TextReader;
use super::{Format, Limits, Malformed, NameSet, PageError, Sample, Sink};

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
    /// Lines, of any kind; of a page in protobuf, metric families.
    pub lines: u64,
    /// Samples handed to the sink.
    pub samples: u64,
    /// Native histograms handed to the sink.
    pub natives: u64,
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
    kind: FormatReader<'n>,
    failed: Option<PageError>,
}

#[derive(Debug)]
enum FormatReader<'n> {
    Text(TextReader<'n>),
    Protobuf(ProtobufReader<'n>),
}

impl<'n> Reader<'n> {
    /// A reader of one page; with `names`, of those metrics only.
    pub fn new(format: Format, limits: Limits, names: Option<&'n NameSet>) -> Self {
        let kind = match format {
            Format::Text | Format::OpenMetrics => {
                FormatReader::Text(TextReader::new(format, limits, names))
            }
            Format::Protobuf => FormatReader::Protobuf(ProtobufReader::new(limits, names)),
        };
        Self { kind, failed: None }
    }

    /// Reads the next chunk. After an error the page is lost and every call returns that error.
    ///
    /// # Errors
    /// A limit was passed, or a page in protobuf is not delimited as one.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), PageError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let fed = match &mut self.kind {
            FormatReader::Text(reader) => reader.feed(chunk, sink),
            FormatReader::Protobuf(reader) => reader.feed(chunk, sink),
        };
        self.failed = fed.err();
        fed
    }

    /// Ends the page. A last line without its newline counts only if the body is known to be
    /// whole; otherwise it may be cut and is reported as [`Reason::Truncated`].
    ///
    /// # Errors
    /// A limit was passed, or [`PageError::Truncated`]: the transport says so, it cannot tell and
    /// an OpenMetrics page lacks its `# EOF`, or a page in protobuf ends within a message.
    ///
    /// [`Reason::Truncated`]: super::Reason::Truncated
    pub fn finish(self, whole: Whole, sink: &mut impl Sink) -> Result<Tally, PageError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.kind {
            FormatReader::Text(reader) => reader.finish(whole, sink),
            FormatReader::Protobuf(reader) => reader.finish(whole),
        }
    }
}

impl Tally {
    /// Hands a sample to the sink, unless there were `most` of them.
    #[inline]
    pub(super) fn hand_over(
        &mut self,
        sample: Sample<'_>,
        most: u64,
        sink: &mut impl Sink,
    ) -> Result<(), PageError> {
        if self.samples == most {
            return Err(PageError::TooManySamples { limit: most });
        }
        self.samples += 1;
        sink.sample(sample);
        Ok(())
    }

    #[cold]
    pub(super) fn report(&mut self, malformed: Malformed<'_>, sink: &mut impl Sink) {
        self.malformed += 1;
        self.first_malformed_line.get_or_insert(malformed.line);
        sink.malformed(malformed);
    }
}
