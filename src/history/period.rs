//! Periods: since when, and weeks and months, in UTC. Weeks begin on Monday, as ISO 8601 has them.

use std::time::Duration;

use crate::model::time::{DurationError, Timestamp, parse_duration};

/// Milliseconds of a day; UTC as computers count it has no other days.
const DAY_MS: i64 = 86_400_000;

/// 1970-01-01 was a Thursday, three days after a Monday.
const EPOCH_WEEKDAY: i64 = 3;

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// Since this time.
    At(Timestamp),
}

impl Since {
    /// As a time.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.before(span),
            Self::At(at) => at,
        }
    }
}

/// Why a text does not say since when.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinceError {
    /// It begins like a date and is none.
    #[error("`{0}` is no date, write one like 2026-11-21 or 2026-11-21T07:00:00Z")]
    Date(String),
    /// It is no duration either.
    #[error("{0}; or a date like 2026-11-21")]
    Duration(#[from] DurationError),
}

/// Reads `30d` (so long ago), `2026-11-21` or `2026-11-21T07:00:00Z` (UTC).
///
/// # Errors
/// It is neither a duration nor a date.
pub fn parse_since(text: &str) -> Result<Since, SinceError> {
    let is_date = text.contains('-') && text.starts_with(|c: char| c.is_ascii_digit());
    if !is_date {
        return Ok(Since::Ago(parse_duration(text)?));
    }
    let whole = if text.len() == "2026-11-21".len() {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    let at = serde_json::from_value(serde_json::Value::String(whole));
    at.map(Since::At).map_err(|_| SinceError::Date(text.to_owned()))
}

/// The periods that figures are given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Weeks, each named by its Monday: `2026-11-16`.
    Week,
    /// Months: `2026-11`.
    Month,
}

impl By {
    /// The name of the period that a time is in. Names sort by time.
    pub fn name(self, at: Timestamp) -> String {
        let (at, length) = match self {
            Self::Week => (monday(at), "2026-11-16".len()),
            Self::Month => (at, "2026-11".len()),
        };
        // A timestamp is written in ASCII, its date first.
        at.to_string().chars().take(length).collect()
    }
}

fn monday(at: Timestamp) -> Timestamp {
    let day = at.as_millis().div_euclid(DAY_MS);
    let weekday = (day + EPOCH_WEEKDAY).rem_euclid(7);
    Timestamp::from_millis((day - weekday) * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-26T07:33:20Z, a Monday.
    const AT: i64 = 1_793_000_000_000;

    #[test]
    fn since_is_a_duration_or_a_date() {
        let day = |days: u64| Since::Ago(Duration::from_secs(days * 86_400));
        assert_eq!(parse_since("30d"), Ok(day(30)));
        let at = Since::At(Timestamp::from_millis(AT));
        assert_eq!(parse_since("2026-10-26T07:33:20Z"), Ok(at));
        let midnight = Timestamp::from_millis(AT - 7 * 3_600_000 - 33 * 60_000 - 20_000);
        assert_eq!(parse_since("2026-10-26"), Ok(Since::At(midnight)));
        assert_eq!(day(1).resolve(Timestamp::from_millis(AT)).as_millis(), AT - DAY_MS);
    }

    #[test]
    fn what_is_neither_says_what_is_wanted() {
        for text in
            ["2026-13-01", "2026-1-1", "2026-02-30", "2026-11-21T25:00:00Z", "7-é", "1é-34567"]
        {
            let said = parse_since(text).unwrap_err().to_string();
            assert!(said.contains("is no date, write one like 2026-11-21"), "{said}");
        }
        assert!(parse_since("yesterday").unwrap_err().to_string().contains("or a date like"));
        assert!(parse_since("").is_err());
    }

    #[test]
    fn weeks_begin_on_monday_and_have_seven_days() {
        let name = |days: i64| By::Week.name(Timestamp::from_millis(AT + days * DAY_MS));
        assert_eq!(name(-1), "2026-10-19");
        assert_eq!(name(0), "2026-10-26");
        assert_eq!(name(6), "2026-10-26");
        assert_eq!(name(7), "2026-11-02");
        assert_eq!(By::Week.name(Timestamp::from_millis(4 * DAY_MS)), "1970-01-05");
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let name = |days: i64| By::Month.name(Timestamp::from_millis(AT + days * DAY_MS));
        assert_eq!((name(5), name(6)), ("2026-10".to_owned(), "2026-11".to_owned()));
    }
}
