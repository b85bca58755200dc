//! Time as data: instants of a monotonic clock that is always an argument, wall-clock timestamps
//! for people and files, and durations as operators write them. Nothing here can ask for "now".

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point on the guard's monotonic clock: nanoseconds since an origin that the clock's owner
/// chose. Only differences mean anything, and no instant survives a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `millis` milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero where it is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant and `span` more; the last representable one where that is out of range.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// This instant less `span`; the origin where that would be before it.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z. It may step; nothing is ever
/// judged by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The timestamp `millis` milliseconds after the epoch (before it, where negative).
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was; zero where it is not earlier (the wall clock may have stepped).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This timestamp less `span`.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This timestamp and `span` more.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds. Times outside 1970 to 9999 are shown at that border.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: u64 = 253_402_300_799_999;
        let millis = u64::try_from(self.0).unwrap_or(0).min(LAST);
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis)).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)?;
        let since = time.duration_since(UNIX_EPOCH).map_err(serde::de::Error::custom)?;
        Ok(Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// One moment on both clocks. Judging uses `at` only; `wall` is for people and files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock.
    pub at: Instant,
    /// On the wall clock.
    pub wall: Timestamp,
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("empty duration, write one like \"30s\", \"2m\" or \"1h30m\"")]
    Empty,
    /// A number without a unit.
    #[error("`{0}` has no unit, write ms, s, m, h or d after it")]
    NoUnit(String),
    /// A unit that is none of ours.
    #[error("unknown unit `{0}`, use ms, s, m, h or d")]
    UnknownUnit(String),
    /// Not a number where one should be.
    #[error("expected a whole number at `{0}`")]
    NotANumber(String),
    /// Units must go from large to small, each once.
    #[error("units must go from large to small, each once")]
    Order,
    /// Over [`MAX_DURATION`].
    #[error("longer than 365d")]
    TooLong,
}

/// The longest duration an operator may write: a year. Longer ones are typing errors, and the
/// bound keeps every sum of durations and instants far from overflow.
pub const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration: one or more of `<whole number><d|h|m|s|ms>`, from large to small, as in
/// `250ms`, `10s`, `1h30m`.
///
/// # Errors
/// Says what is wrong with the text; see [`DurationError`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut smallest = None;
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count: u64 =
            rest[..digits].parse().map_err(|_| DurationError::NotANumber(rest.to_owned()))?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = &after[..letters];
        if unit.is_empty() {
            return Err(DurationError::NoUnit(rest.to_owned()));
        }
        let place = UNITS.iter().position(|(name, _)| *name == unit);
        let place = place.ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))?;
        if smallest.is_some_and(|s| place <= s) {
            return Err(DurationError::Order);
        }
        smallest = Some(place);
        let span = count.checked_mul(UNITS[place].1).ok_or(DurationError::TooLong)?;
        millis = millis.checked_add(span).ok_or(DurationError::TooLong)?;
        rest = &after[letters..];
    }
    let duration = Duration::from_millis(millis);
    if duration > MAX_DURATION { Err(DurationError::TooLong) } else { Ok(duration) }
}

/// Writes a duration the way [`parse_duration`] reads it, to the millisecond: `1h30m`, `250ms`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

/// Whole milliseconds; the largest number where they are more.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_operators_write_them() {
        let check = |text: &str, millis: u64| {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        };
        check("250ms", 250);
        check("10s", 10_000);
        check("2m", 120_000);
        check("1h30m", 5_400_000);
        check("7d", 604_800_000);
        check("0s", 0);
        check("1s500ms", 1_500);
    }

    #[test]
    fn what_is_not_a_duration_says_why() {
        let check = |text: &str, error: DurationError| {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        };
        check("", DurationError::Empty);
        check("10", DurationError::NoUnit("10".into()));
        check("10 s", DurationError::UnknownUnit(" s".into()));
        check("1w", DurationError::UnknownUnit("w".into()));
        check("s", DurationError::NotANumber("s".into()));
        check("-1s", DurationError::NotANumber("-1s".into()));
        check("1.5s", DurationError::UnknownUnit(".".into()));
        check("1s1m", DurationError::Order);
        check("1s1s", DurationError::Order);
        check("366d", DurationError::TooLong);
        check("99999999999999999999s", DurationError::NotANumber("99999999999999999999s".into()));
    }

    #[test]
    fn a_duration_survives_being_written_and_read() {
        for millis in [0, 1, 999, 1_000, 61_000, 3_600_000, 90_061_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn a_timestamp_survives_being_written_and_read() {
        let time = Timestamp::from_millis(1_793_000_000_123);
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(text, "\"2026-10-26T07:33:20.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time);
    }
}
