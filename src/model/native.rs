//! Native histograms: observations counted in buckets whose bounds are powers of a common base.
//!
//! Only what can be judged is a value of this type: counts are finite and not negative, buckets
//! ascend and none is empty. Never here: what a histogram gained, or its quantiles.

use thiserror::Error;

/// The coarsest resolution: a bucket spans a factor of 65,536.
pub const MIN_SCHEMA: i32 = -4;

/// The finest resolution: a bucket spans a factor of 1.0027. Beyond it and [`MIN_SCHEMA`] schemas
/// are reserved, or mean buckets of another kind.
pub const MAX_SCHEMA: i32 = 8;

/// The most buckets of one histogram. Clients keep to 160 unless told otherwise; this is the
/// finest schema over five decades, on either side of zero.
pub const MAX_BUCKETS: usize = 8_192;

/// The most buckets of native histograms on one page, 16 MiB of them: a thousand series as large
/// as clients let them grow, six times over.
pub const MAX_PAGE_BUCKETS: usize = 1_000_000;

/// The farthest index of a bucket. At the finest schema it is a little beyond the range of a
/// 64-bit float, whose exponents are -1074 to 1024.
pub const MAX_INDEX: i32 = 1_100 << MAX_SCHEMA;

/// One populated bucket: its index and how many observations it holds.
pub type Bucket = (i32, f64);

/// A histogram whose bucket `i` of schema `s` holds what is above `2^((i-1)/2^s)` and at most
/// `2^(i/2^s)`; negative observations are mirrored, those near zero are counted apart.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeHistogram {
    parts: Parts,
}

/// What a native histogram is made of.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Parts {
    /// The resolution: powers of two are divided into `2^schema` buckets.
    pub schema: i32,
    /// Observations as near to zero as this are in the zero bucket.
    pub zero_threshold: f64,
    /// How many those are.
    pub zero_count: f64,
    /// Positive observations, ascending by index.
    pub positive: Vec<Bucket>,
    /// Negative observations by the index of their absolute value, ascending.
    pub negative: Vec<Bucket>,
    /// All observations, including those that are not a number and so are in no bucket.
    pub count: f64,
    /// Their sum; not a number where one of them is not.
    pub sum: f64,
}

/// Why parts make no histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NativeError {
    /// Another kind of buckets, or a reserved schema.
    #[error("read a native histogram of schema {0}")]
    Schema(i32),
    /// A zero bucket that is not there.
    #[error("read the zero bucket's width")]
    ZeroThreshold,
    /// Negative, infinite or not a number.
    #[error("read a count of observations")]
    Count,
    /// Out of order, twice, or out of range.
    #[error("read the buckets in ascending order")]
    Order,
    /// More than [`MAX_BUCKETS`].
    #[error("read a native histogram of more than {MAX_BUCKETS} buckets")]
    TooMany,
}

impl NativeHistogram {
    /// Checks the parts. Empty buckets are left out.
    ///
    /// # Errors
    /// The first thing about them that cannot be.
    pub fn new(mut parts: Parts) -> Result<Self, NativeError> {
        if !(MIN_SCHEMA..=MAX_SCHEMA).contains(&parts.schema) {
            return Err(NativeError::Schema(parts.schema));
        }
        if !is_count(parts.zero_threshold) {
            return Err(NativeError::ZeroThreshold);
        }
        if !is_count(parts.zero_count) || !is_count(parts.count) {
            return Err(NativeError::Count);
        }
        for side in [&mut parts.positive, &mut parts.negative] {
            check(side)?;
            side.retain(|(_, count)| *count > 0.0);
        }
        if parts.positive.len() + parts.negative.len() > MAX_BUCKETS {
            return Err(NativeError::TooMany);
        }
        Ok(Self { parts })
    }

    /// A histogram of no observations.
    pub fn empty() -> Self {
        Self { parts: Parts { schema: MAX_SCHEMA, ..Parts::default() } }
    }

    /// What it is made of.
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Takes it apart.
    pub fn into_parts(self) -> Parts {
        self.parts
    }

    /// How many buckets it has, without that for zero.
    pub fn len(&self) -> usize {
        self.parts.positive.len() + self.parts.negative.len()
    }

    /// Whether it has no bucket but that for zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn is_count(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

fn check(side: &[Bucket]) -> Result<(), NativeError> {
    let ascends = side.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let in_range = side.iter().all(|(index, _)| (-MAX_INDEX..=MAX_INDEX).contains(index));
    if !ascends || !in_range {
        return Err(NativeError::Order);
    }
    if side.iter().all(|(_, count)| is_count(*count)) { Ok(()) } else { Err(NativeError::Count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Parts), expected: Result<usize, NativeError>) {
        let mut parts = Parts {
            schema: 2,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive: vec![(-3, 2.0), (4, 0.0), (5, 1.0)],
            negative: vec![(1, 1.0)],
            count: 5.0,
            sum: f64::NAN,
        };
        change(&mut parts);
        assert_eq!(NativeHistogram::new(parts).map(|histogram| histogram.len()), expected);
    }

    #[test]
    fn parts_that_cannot_be_make_no_histogram() {
        check(|_| (), Ok(3));
        check(|parts| parts.schema = -4, Ok(3));
        check(|parts| parts.schema = 9, Err(NativeError::Schema(9)));
        check(|parts| parts.schema = -53, Err(NativeError::Schema(-53)));
        check(|parts| parts.zero_threshold = f64::NAN, Err(NativeError::ZeroThreshold));
        check(|parts| parts.zero_threshold = -1.0, Err(NativeError::ZeroThreshold));
        check(|parts| parts.count = f64::INFINITY, Err(NativeError::Count));
        check(|parts| parts.zero_count = -1.0, Err(NativeError::Count));
        check(|parts| parts.negative[0].1 = -1.0, Err(NativeError::Count));
        check(|parts| parts.positive[1].0 = -3, Err(NativeError::Order));
        check(|parts| parts.negative[0].0 = i32::MIN, Err(NativeError::Order));
        let many = |parts: &mut Parts| {
            parts.positive = (0..=MAX_BUCKETS as i32).map(|index| (index, 1.0)).collect();
        };
        check(many, Err(NativeError::TooMany));
    }
}
