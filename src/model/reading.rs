//! Readings and verdicts. The absence of a number is a value with its reason: unknown is neither
//! healthy nor bad.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoData {
    /// No scrape of a target that it needs has succeeded yet.
    #[error("not scraped yet")]
    NeverScraped,
    /// Fewer than two scrapes within the window.
    #[error("window filling")]
    WindowFilling,
    /// No series matches.
    #[error("no matching series")]
    NoSeries,
    /// 0 of 0.
    #[error("no traffic")]
    NoTraffic,
    /// A histogram or summary observed nothing within the window.
    #[error("no observations")]
    NoObservations,
    /// The newest sample is too old.
    #[error("stale")]
    Stale,
    /// A line of the metric could not be read; its number on the page.
    #[error("malformed line {0}")]
    Malformed(u64),
    /// A series stands twice on the page with different values.
    #[error("a series stands twice on the page")]
    Duplicate,
    /// Several series match and nothing says how to combine them; how many.
    #[error("{0} series match, say `across`")]
    SeveralSeries(u32),
    /// The histogram has no `+Inf` bucket, or nothing but it.
    #[error("no usable buckets")]
    NoBuckets,
    /// No deployment was armed, or the signal was changed since, so that nothing was frozen.
    #[error("no baseline was frozen")]
    NotFrozen,
    /// There were too few readings before the deployment was armed for a baseline.
    #[error("baseline too thin, {found} of {needed} readings")]
    BaselineTooThin {
        /// How many there were.
        found: u32,
        /// How many it takes.
        needed: u32,
    },
    /// What was read one window ago is not known.
    #[error("no reading one window ago")]
    NoEarlierReading,
    /// More groups than are kept apart.
    #[error("too many groups")]
    TooManyGroups,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The arithmetic left the range of a 64-bit float.
    #[error("not a finite number")]
    NotFinite,
    /// The rule's `given` does not hold.
    #[error("evidence too thin")]
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
