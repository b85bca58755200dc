//! Readings and verdicts. The absence of a number is a value with its reason: unknown is neither
//! healthy nor bad.

use std::fmt;

/// A signal's value at an instant, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A finite number.
    Value(f64),
    /// This number or more: a quantile that fell into the `+Inf` bucket, or a sum from which the
    /// share of a target that does not answer is missing. A comparison that it cannot settle is
    /// no data.
    AtLeast(f64),
    /// Nothing is known.
    NoData(NoData),
}

/// Why nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoData {
    /// No scrape of a target that it needs has succeeded yet.
    NeverScraped,
    /// Fewer than two scrapes within the window.
    WindowFilling,
    /// No series matches.
    NoSeries,
    /// 0 of 0.
    NoTraffic,
    /// A histogram or summary observed nothing within the window.
    NoObservations,
    /// The newest sample is too old.
    Stale,
    /// A line of the metric could not be read; its number on the page.
    Malformed(u64),
    /// A series stands twice on the page with different values.
    Duplicate,
    /// Several series match and nothing says how to combine them; how many.
    SeveralSeries(u32),
    /// The histogram has no `+Inf` bucket, or nothing but it.
    NoBuckets,
    /// No deployment was armed, or the signal was changed since, so that nothing was frozen.
    NotFrozen,
    /// There were too few readings before the deployment was armed for a baseline.
    BaselineTooThin {
        /// How many there were.
        found: u32,
        /// How many it takes.
        needed: u32,
    },
    /// What was read one window ago is not known.
    NoEarlierReading,
    /// More groups than are kept apart.
    TooManyGroups,
    /// A division by zero.
    DivisionByZero,
    /// The arithmetic left the range of a 64-bit float.
    NotFinite,
    /// The rule's `given` does not hold.
    EvidenceTooThin,
}

/// Whether samples are there that should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Telemetry {
    /// They are, whatever they amount to.
    There,
    /// No series matches, which is a loss only where one did: many count what has not happened.
    Absent,
    /// They are not.
    Lost,
}

impl Reading {
    /// Whether the samples that it is made of are there.
    pub const fn telemetry(self) -> Telemetry {
        let Self::NoData(why) = self else { return Telemetry::There };
        match why {
            NoData::NoSeries => Telemetry::Absent,
            NoData::NeverScraped
            | NoData::Stale
            | NoData::Malformed(_)
            | NoData::Duplicate
            | NoData::SeveralSeries(_)
            | NoData::NoBuckets
            | NoData::TooManyGroups
            | NoData::NotFinite => Telemetry::Lost,
            NoData::WindowFilling
            | NoData::NoTraffic
            | NoData::NoObservations
            | NoData::NotFrozen
            | NoData::BaselineTooThin { .. }
            | NoData::NoEarlierReading
            | NoData::DivisionByZero
            | NoData::EvidenceTooThin => Telemetry::There,
        }
    }
}

impl fmt::Display for NoData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverScraped => f.write_str("not scraped yet"),
            Self::WindowFilling => f.write_str("window filling"),
            Self::NoSeries => f.write_str("no matching series"),
            Self::NoTraffic => f.write_str("no traffic"),
            Self::NoObservations => f.write_str("no observations"),
            Self::Stale => f.write_str("stale"),
            Self::Malformed(line) => write!(f, "malformed line {line}"),
            Self::Duplicate => f.write_str("a series stands twice on the page"),
            Self::SeveralSeries(count) => write!(f, "{count} series match, say `across`"),
            Self::NoBuckets => f.write_str("no usable buckets"),
            Self::NotFrozen => f.write_str("no baseline was frozen"),
            Self::BaselineTooThin { found, needed } => {
                write!(f, "baseline too thin, {found} of {needed} readings")
            }
            Self::NoEarlierReading => f.write_str("no reading one window ago"),
            Self::TooManyGroups => f.write_str("too many groups"),
            Self::DivisionByZero => f.write_str("division by zero"),
            Self::NotFinite => f.write_str("not a finite number"),
            Self::EvidenceTooThin => f.write_str("evidence too thin"),
        }
    }
}

/// What a condition says at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not hold.
    Fails,
    /// It cannot be told.
    NoData(NoData),
}

impl Reading {
    /// The number, where there is one.
    pub fn value(self) -> Option<f64> {
        self.known().ok()
    }

    /// The number, or why there is none.
    ///
    /// # Errors
    /// The reason for its absence.
    pub fn known(self) -> Result<f64, NoData> {
        match self {
            Self::Value(value) | Self::AtLeast(value) => Ok(value),
            Self::NoData(why) => Err(why),
        }
    }
}
