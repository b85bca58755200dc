//! What one page may cost, and how a page fails as a whole.

use thiserror::Error;

/// Bounds on one page. Past any of them the page fails; nothing is cut off silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body, after decompression.
    pub body_bytes: u64,
    /// Bytes of one line without its newline; also the most that is carried between chunks.
    pub line_bytes: usize,
    /// Labels of one series, or of one exemplar.
    pub labels: usize,
    /// Samples handed to the sink.
    pub samples: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A hundred times a large page, and a decompression bomb stops there.
            body_bytes: 64 << 20,
            // The longest honest line (a full URL in a label) is a twentieth of it.
            line_bytes: 64 << 10,
            // Prometheus installations that set a limit choose 30 to 64.
            labels: 128,
            // Above what rules over one target can need by two orders.
            samples: 200_000,
        }
    }
}

/// Why a whole page is unusable. What was handed to the sink before it must not be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageError {
    /// The body passed [`Limits::body_bytes`].
    #[error("read a page of more than {limit} bytes")]
    BodyTooLarge {
        /// The limit in force, in bytes.
        limit: u64,
    },
    /// A line passed [`Limits::line_bytes`], or a metric in protobuf several times that.
    #[error("read line {line}: it is longer than {limit} bytes")]
    LineTooLong {
        /// The line, from 1.
        line: u64,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// A series or exemplar passed [`Limits::labels`].
    #[error("read line {line}: it has more than {limit} labels")]
    TooManyLabels {
        /// The line, from 1.
        line: u64,
        /// The limit in force.
        limit: usize,
    },
    /// The page passed [`Limits::samples`].
    #[error("read a page of more than {limit} selected samples")]
    TooManySamples {
        /// The limit in force.
        limit: u64,
    },
    /// The native histograms have too many buckets in all.
    #[error("read a page of more than {limit} buckets of native histograms")]
    TooManyBuckets {
        /// The limit in force.
        limit: usize,
    },
    /// A page in protobuf does not say how long its next message is.
    #[error("read the page past byte {at}: no delimited protobuf message begins there")]
    NotDelimited {
        /// Where, from 0.
        at: u64,
    },
    /// The body is not all there.
    #[error("read the page to its end: it is truncated after {bytes} bytes")]
    Truncated {
        /// The bytes that did arrive.
        bytes: u64,
    },
}
