//! Bytes of a metrics page to samples.
//!
//! One pass over a stream of chunks, in constant memory: Prometheus text 0.0.4, OpenMetrics 1.0
//! text and delimited protobuf, which says the same and has native histograms besides. What nobody
//! asked for is skipped at the speed of a newline search; what is asked for is read exactly as it
//! stands on the page, because a stranger's URL in a label must never become a value. A malformed
//! line is reported and does not lose the rest; a page past a limit fails whole. Never: I/O,
//! clocks, guesses about a line that cannot be read.

mod cursor;
mod emit;
mod family;
mod float;
mod format;
mod labels;
mod limits;
mod line;
mod lines;
mod metric;
mod names;
mod number;
mod protobuf;
mod reader;
mod sample;
mod scan;
mod stored;
mod strict;
mod text;
mod wire;

pub(crate) use emit::series_text;
pub use format::Format;
pub use labels::Labels;
pub use limits::{Limits, PageError};
pub use names::NameSet;
pub use reader::{Reader, Tally, Whole};
pub use sample::{Exemplar, Malformed, Reason, Sample, Sink, Timestamp};
pub use stored::for_each_series;
pub use strict::StrictReader;

#[cfg(test)]
mod tests;
