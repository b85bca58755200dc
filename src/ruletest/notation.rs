//! The values of a series in a rule test, in Prometheus's notation: `0+80x600`, `5`, `5x9`, `_`,
//! `_x5`, `stale`, and for scrapes that fail `fail`, `failx5`, `fail:timeoutx5`. It must never read
//! a text otherwise than Prometheus's own rule tests do. Values are kept in the parts in which they
//! were written: a day of values takes no more memory than the text did.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::config::syntax::Diagnostic;
use crate::model::scrape::FailureClass;

/// The most values of one series: a week of one each second.
pub(crate) const MAX_VALUES: u64 = 604_801;

/// What a failed scrape may be called.
const CLASSES: [(&str, FailureClass); 8] = [
    ("refused", FailureClass::Refused),
    ("timeout", FailureClass::TimedOut),
    ("dns", FailureClass::Dns),
    ("tls", FailureClass::Tls),
    ("status", FailureClass::Status),
    ("malformed", FailureClass::Malformed),
    ("too-large", FailureClass::TooLarge),
    ("broken", FailureClass::Broken),
];

/// What a series has at one scrape of its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    /// A sample; may be NaN or infinite.
    Sample(f64),
    /// The page does not have the series.
    Absent,
    /// The scrape of the whole target failed.
    Failed(FailureClass),
}

/// Some points in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointRun {
    /// The first point.
    pub first: Point,
    /// What each sample adds to the one before it.
    pub step: f64,
    /// How many points there are.
    pub count: u64,
}

/// The points of a series in the order of its target's scrapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// The parts, and how many points there are before each.
    parts: Vec<(u64, PointRun)>,
    count: u64,
}

impl Points {
    /// Adds points at the end.
    pub fn push(&mut self, part: PointRun) {
        self.parts.push((self.count, part));
        self.count = self.count.saturating_add(part.count);
    }

    /// How many points there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The point at a scrape, from 0. Behind the last one the page does not have the series.
    pub fn at(&self, scrape: u64) -> Point {
        let behind = self.parts.partition_point(|(before, _)| *before <= scrape);
        let Some((before, part)) = behind.checked_sub(1).map(|ix| self.parts[ix]) else {
            return Point::Absent;
        };
        match part.first {
            _ if scrape - before >= part.count => Point::Absent,
            // Computed, not added up: the error does not grow with the number of points.
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 points")]
            Point::Sample(first) => Point::Sample(first + (scrape - before) as f64 * part.step),
            point @ (Point::Absent | Point::Failed(_)) => point,
        }
    }

    /// The scrapes that fail, as first, count and class.
    pub fn failures(&self) -> impl Iterator<Item = (u64, u64, FailureClass)> {
        self.parts.iter().filter_map(|(before, part)| match part.first {
            Point::Failed(class) => Some((*before, part.count, class)),
            Point::Sample(_) | Point::Absent => None,
        })
    }
}

/// Reads the values of a series.
pub(crate) fn points(text: &str) -> Result<Points, Diagnostic> {
    if let Some(at) = text.find("{{") {
        let error = Diagnostic::new(at..text.len(), "native histograms are not in this notation");
        return Err(error.help("write the buckets as series, as in `name_bucket{le=\"0.5\"}`"));
    }
    let mut points = Points::default();
    let mut at = 0;
    for word in text.split_ascii_whitespace() {
        // Each word stands behind the one before it, so the first find is the word itself.
        at += text[at..].find(word).unwrap_or_default();
        let part = NotationParser { word, at: 0, start: at }.part()?;
        points.push(part);
        if part.count > MAX_VALUES || points.count() > MAX_VALUES {
            let message = format!("more than {MAX_VALUES} values");
            return Err(Diagnostic::new(at..at + word.len(), message));
        }
        at += word.len();
    }
    Ok(points)
}

/// One word of the text.
struct NotationParser<'a> {
    word: &'a str,
    at: usize,
    /// Where the word stands in the text.
    start: usize,
}

impl NotationParser<'_> {
    fn rest(&self) -> &str {
        &self.word[self.at..]
    }

    /// What is wrong from this byte of the word on.
    fn wrong(&self, from: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.start + from..self.start + self.word.len(), message)
    }

    fn eat(&mut self, word: &str) -> bool {
        let there = self.rest().starts_with(word);
        self.at += if there { word.len() } else { 0 };
        there
    }

    fn part(&mut self) -> Result<PointRun, Diagnostic> {
        let (first, step, count) = if self.eat("stale") {
            (Point::Absent, 0.0, 1)
        } else if self.eat("_") {
            (Point::Absent, 0.0, self.times()?.unwrap_or(1))
        } else if self.eat("fail") {
            (Point::Failed(self.class()?), 0.0, self.times()?.unwrap_or(1))
        } else {
            self.samples()?
        };
        if self.rest().is_empty() {
            return Ok(PointRun { first, step, count });
        }
        let error = self.wrong(self.at, "the value should end here");
        Err(error.help("values are separated by blanks"))
    }

    fn class(&mut self) -> Result<FailureClass, Diagnostic> {
        if !self.eat(":") {
            return Ok(FailureClass::Refused);
        }
        if let Some((_, class)) = CLASSES.iter().find(|(word, _)| self.eat(word)) {
            return Ok(*class);
        }
        let (unknown, names) = (self.rest(), CLASSES.map(|(word, _)| word));
        let message = format!("a scrape does not fail like `{}`", unknown.escape_debug());
        let error = self.wrong(self.at, message).suggest(unknown, names);
        Err(error.help(format!("known are {}", names.join(", "))))
    }

    /// `a`, `axn`, `a+bxn` or `a-bxn`: with `xn` the first value and n more.
    fn samples(&mut self) -> Result<(Point, f64, u64), Diagnostic> {
        let first = Point::Sample(self.number()?);
        let sign = if self.eat("+") {
            1.0
        } else if self.eat("-") {
            -1.0
        } else {
            return Ok((first, 0.0, self.times()?.unwrap_or(0).saturating_add(1)));
        };
        let step = sign * self.number()?;
        let (at, times) = (self.start + self.at, self.times()?);
        if times.is_some() || !self.rest().is_empty() {
            return Ok((first, step, times.unwrap_or(0).saturating_add(1)));
        }
        let error = Diagnostic::new(at..at, "how often is not said");
        Err(error.help("write `0+80x600` for 0 and 600 more, each 80 larger"))
    }

    fn number(&mut self) -> Result<f64, Diagnostic> {
        static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
            let number = "^[+-]?(?i:inf|nan|[0-9]*(?:[.][0-9]*)?(?:e[+-]?[0-9]+)?)";
            Regex::new(number).expect("a constant that is a regular expression")
        });
        let text = NUMBER.find(self.rest()).map_or("", |found| found.as_str());
        let number = text.parse().map_err(|_| {
            self.wrong(0, "not a value")
                .help("write `5`, `0+80x600`, `5x9`, `_`, `_x5`, `stale`, `fail` or `failx5`")
        })?;
        self.at += text.len();
        Ok(number)
    }

    /// `xn`
    fn times(&mut self) -> Result<Option<u64>, Diagnostic> {
        if !self.eat("x") {
            return Ok(None);
        }
        let rest = self.rest();
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        if digits.is_empty() {
            return Err(self.wrong(self.at, "expected a number behind `x`"));
        }
        let at = self.start + self.at;
        let too_many =
            |_| Diagnostic::new(at..at + digits.len(), format!("more than {MAX_VALUES} values"));
        let times = digits.parse().map_err(too_many)?;
        self.at += digits.len();
        Ok(Some(times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_found_in_its_part_and_nothing_is_behind_the_last() {
        let mut values = Points::default();
        assert_eq!(values.at(0), Point::Absent);
        values.push(PointRun { first: Point::Sample(1.0), step: 0.5, count: 3 });
        values.push(PointRun { first: Point::Failed(FailureClass::Dns), step: 0.0, count: 2 });
        values.push(PointRun { first: Point::Sample(f64::INFINITY), step: 0.0, count: 1 });
        let points: Vec<_> = (0..8).map(|scrape| values.at(scrape)).collect();
        let failed = Point::Failed(FailureClass::Dns);
        let sample = Point::Sample;
        assert_eq!(
            points,
            [
                sample(1.0),
                sample(1.5),
                sample(2.0),
                failed,
                failed,
                sample(f64::INFINITY),
                Point::Absent,
                Point::Absent
            ]
        );
        assert_eq!(values.count(), 6);
        assert_eq!(values.failures().collect::<Vec<_>>(), [(3, 2, FailureClass::Dns)]);
    }

    fn shown(text: &str) -> String {
        let values = points(text).unwrap();
        let point = |at| match values.at(at) {
            Point::Sample(value) => value.to_string(),
            Point::Absent => "_".to_owned(),
            Point::Failed(class) => format!("{class}"),
        };
        (0..values.count()).map(point).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_mean_what_they_mean_to_prometheus() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text), expected, "{text}");
        check("-2+4x3", "-2 2 6 10");
        check("1-2x4", "1 -1 -3 -5 -7");
        check("1x4", "1 1 1 1 1");
        check("4x1", "4 4");
        check("1 _x3 stale", "1 _ _ _ _");
        check("  1\t2\n3  ", "1 2 3");
        check("1e3 1e+2+1x1 -1.5e-1x0", "1000 100 101 -0.15");
        check("NaN Inf -Inf +5 0--1x1", "NaN inf -inf 5 0 1");
        check("", "");
        check("_x0 1", "1");
    }

    #[test]
    fn scrapes_fail_in_every_known_way() {
        assert_eq!(shown("fail"), "connection refused");
        assert_eq!(shown("1 failx2 2"), "1 connection refused connection refused 2");
        assert_eq!(shown("fail:timeoutx2"), "timed out timed out");
        for (word, class) in CLASSES {
            assert_eq!(shown(&format!("fail:{word}")), class.to_string());
        }
    }

    #[test]
    fn what_is_not_in_the_notation_is_refused_where_it_goes_wrong() {
        let check = |text: &str, wrong: &str| {
            let error = points(text).unwrap_err();
            assert_eq!(&text[error.span.start..error.span.end], wrong, "{text}: {}", error.message);
        };
        check("1 2a", "a");
        check("0+80", "");
        check("0+x5", "0+x5");
        check("5x", "");
        check("5xx", "x");
        check("1 fail:timeuot", "timeuot");
        check("failed", "ed");
        check("stalex5", "x5");
        check("1 {{schema:1}}", "{{schema:1}}");
        check("1x99999999", "1x99999999");
        check("1x99999999999999999999999", "99999999999999999999999");
        check("1ex5", "ex5");
        check("1_000", "_000");
        check("é", "é");
    }
}
