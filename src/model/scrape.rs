//! One attempt to sample a target: samples, or a failure with its class. This is all that the
//! outside world ever tells the core about a service.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::index::TargetIx;
use super::native::NativeHistogram;
use super::time::{Instant, Timestamp};

/// One attempt to sample a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrape {
    /// Which target.
    pub target: TargetIx,
    /// When the request was sent, or the slot that it was sent in: the time of its samples.
    pub at: Instant,
    /// The same moment on the wall clock, for samples that carry their own timestamps.
    pub wall: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub result: Result<Page, Failure>,
}

/// The samples of a page that some signal wants, kept in one buffer. Nobody asked for the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    text: String,
    samples: Vec<Stored<f64>>,
    natives: Vec<Stored<NativeHistogram>>,
    malformed: Vec<MalformedLine>,
    kinds: Vec<(String, String)>,
    /// How many samples the reader returned.
    pub sample_count: u64,
    /// How many malformed lines the page had, including those not kept in detail.
    pub malformed_count: u64,
    /// The size of the page in bytes, after decompression.
    pub bytes: u64,
    /// That a series is not on the page does not show that it is not there: nothing says where the
    /// page ends, or it is empty.
    pub may_lack_series: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Stored<T> {
    /// Where name and labels stand in the text.
    series: Range<u32>,
    value: T,
    timestamp: Option<Timestamp>,
}

/// A sample on a page: a number, or what a native histogram has counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageSample<'a, T> {
    /// Name and labels as they stand on the page, escapes and all; of a native histogram as the
    /// text format writes them.
    pub series: &'a str,
    /// The value; a number may be NaN or infinite.
    pub value: T,
    /// The time that the page gives for it.
    pub timestamp: Option<Timestamp>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedLine {
    /// Its number, from 1.
    pub line: u64,
    /// The metric, where that much could be read. `None` may concern any metric.
    pub name: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

/// How many malformed lines are kept in detail. A person reads the first few; of the rest the
/// count is kept, and one line for each metric that none of the others concerns, because a signal
/// over such a metric must not pass for known. Selected names are few.
pub const MAX_MALFORMED: usize = 256;

/// How many `# TYPE` lines are kept: more families than the largest pages have, and only pages that
/// are read whole have any here.
pub const MAX_KINDS: usize = 20_000;

/// Why an attempt gave no samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub class: FailureClass,
    /// For people: the address, the status, the system's own words. Bounded, never a secret.
    pub detail: String,
}

words! {
    /// What kind of failure.
    pub enum FailureClass {
        /// The connection was refused.
        Refused = "connection refused",
        /// No answer, or not a whole one, within the timeout.
        TimedOut = "timed out",
        /// The name could not be resolved.
        Dns = "name not resolved",
        /// The TLS handshake failed.
        Tls = "TLS failed",
        /// An HTTP status other than 200.
        Status = "unexpected status",
        /// The answer is not a metrics page, or not a whole one.
        Malformed = "malformed",
        /// Larger than a limit allows.
        TooLarge = "too large",
        /// The connection broke, or could not be made for another reason.
        Broken = "connection broken",
    }
}

impl Page {
    /// Adds a sample: name and labels as they stand on the page, and its value.
    pub fn push(&mut self, series: &str, value: f64, timestamp: Option<Timestamp>) {
        let series = self.keep(series);
        self.samples.push(Stored { series, value, timestamp });
        self.sample_count += 1;
    }

    /// Adds a native histogram. Whoever fills a page keeps to [`MAX_PAGE_BUCKETS`].
    ///
    /// [`MAX_PAGE_BUCKETS`]: super::native::MAX_PAGE_BUCKETS
    pub fn push_native(
        &mut self,
        series: &str,
        histogram: NativeHistogram,
        timestamp: Option<Timestamp>,
    ) {
        let series = self.keep(series);
        self.natives.push(Stored { series, value: histogram, timestamp });
    }

    fn keep(&mut self, series: &str) -> Range<u32> {
        let start = self.end();
        self.text.push_str(series);
        start..self.end()
    }

    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).expect("readers limit a page to far less than 4 GiB")
    }

    /// Notes a line that could not be read.
    pub fn push_malformed(&mut self, line: MalformedLine) {
        self.malformed_count += 1;
        let full = self.malformed.len() >= MAX_MALFORMED;
        if !full || self.malformed.iter().all(|kept| kept.name != line.name) {
            self.malformed.push(line);
        }
    }

    /// The samples, in the page's order.
    pub fn samples(&self) -> impl Iterator<Item = PageSample<'_, f64>> {
        self.samples.iter().map(|stored| self.on_page(stored, stored.value))
    }

    /// The native histograms, in the page's order.
    pub fn natives(&self) -> impl ExactSizeIterator<Item = PageSample<'_, &NativeHistogram>> {
        self.natives.iter().map(|stored| self.on_page(stored, &stored.value))
    }

    fn on_page<S, T>(&self, stored: &Stored<S>, value: T) -> PageSample<'_, T> {
        let Range { start, end } = stored.series;
        let series = &self.text[start as usize..end as usize];
        PageSample { series, value, timestamp: stored.timestamp }
    }

    /// The malformed lines that were kept.
    pub fn malformed(&self) -> &[MalformedLine] {
        &self.malformed
    }

    /// Notes the type that the page gives to a family; of the first [`MAX_KINDS`].
    pub fn push_kind(&mut self, family: &str, kind: &str) {
        if self.kinds.len() < MAX_KINDS {
            self.kinds.push((family.to_owned(), kind.to_owned()));
        }
    }

    /// Families and the types that the page gives them, as they stand there. Only of a page that
    /// was read whole.
    pub fn kinds(&self) -> &[(String, String)] {
        &self.kinds
    }

    /// Forgets everything but keeps the memory, for the next scrape of the same target.
    pub fn clear(&mut self) {
        self.text.clear();
        self.samples.clear();
        self.natives.clear();
        self.malformed.clear();
        self.kinds.clear();
        (self.sample_count, self.malformed_count, self.bytes) = (0, 0, 0);
        self.may_lack_series = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_with_a_malformed_line_is_known_however_many_lines_are_malformed() {
        let line = |name: &str| MalformedLine {
            line: 1,
            name: Some(name.to_owned()),
            reason: String::new(),
        };
        let mut page = Page::default();
        for _ in 0..MAX_MALFORMED * 2 {
            page.push_malformed(line("noise"));
        }
        assert_eq!(page.malformed().len(), MAX_MALFORMED);
        page.push_malformed(line("errors_total"));
        page.push_malformed(line("errors_total"));
        assert_eq!(page.malformed().last(), Some(&line("errors_total")));
        assert_eq!(page.malformed().len(), MAX_MALFORMED + 1);
        assert_eq!(page.malformed_count, 2 * MAX_MALFORMED as u64 + 2);
    }
}
