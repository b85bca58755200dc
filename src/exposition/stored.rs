//! Takes the series of a stored page apart again, for whoever looks at the page as a whole.

use super::{Format, Limits, Malformed, Reader, Sample, Sink};
use crate::model::scrape::Page;

/// Hands each sample on.
struct Each<F>(F);

impl<F: FnMut(&Sample<'_>)> Sink for Each<F> {
    fn sample(&mut self, sample: Sample<'_>) {
        (self.0)(&sample);
    }

    fn malformed(&mut self, _: Malformed<'_>) {}
}

/// Calls `f` with the name and the labels of each sample of a page, and with its value. The number
/// of samples was limited when the page was stored. What comes after a series that is too long for
/// a line of text, which other formats can have, is left out.
pub fn for_each_series(page: &Page, mut f: impl FnMut(&Sample<'_>, f64)) {
    let limits = Limits { samples: u64::MAX, body_bytes: u64::MAX, ..Limits::default() };
    let mut reader = Reader::new(Format::Text, limits, None);
    for stored in page.samples() {
        let mut each = Each(|sample: &Sample<'_>| f(sample, stored.value));
        if reader.feed(format!("{} 0\n", stored.series).as_bytes(), &mut each).is_err() {
            return;
        }
    }
}
