//! The values of a series in a rule test, in Prometheus's notation: `0+80x600`, `5`, `5x9`, `_`,
//! `_x5`, `stale`, and for scrapes that fail `fail`, `failx5`, `fail:timeoutx5`. It must never read
//! a text otherwise than Prometheus's own rule tests do.

use std::ops::Range;

use crate::model::scrape::FailureClass;
use crate::ruletest::{Point, PointRun, Points};

use crate::config::syntax::TextError;
use crate::config::syntax::diagnostic::nearest;

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

/// Reads the values of a series.
pub(crate) fn points(text: &str) -> Result<Points, TextError> {
    if let Some(at) = text.find("{{") {
        let error = TextError::new(at..text.len(), "native histograms are not in this notation");
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
            return Err(TextError::new(at..at + word.len(), message));
        }
        at += word.len();
    }
    Ok(points)
}

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

    fn span(&self, from: usize, to: usize) -> Range<usize> {
        self.start + from..self.start + to
    }

    fn eat(&mut self, word: &str) -> bool {
        let there = self.rest().starts_with(word);
        self.at += if there { word.len() } else { 0 };
        there
    }

    fn part(&mut self) -> Result<PointRun, TextError> {
        let point = if self.eat("_") {
            Point::Absent
        } else if self.eat("stale") {
            self.end()?;
            return Ok(PointRun { first: Point::Absent, step: 0.0, count: 1 });
        } else if self.eat("fail") {
            Point::Failed(self.class()?)
        } else {
            return self.samples();
        };
        let count = self.times()?.unwrap_or(1);
        self.end()?;
        Ok(PointRun { first: point, step: 0.0, count })
    }

    fn class(&mut self) -> Result<FailureClass, TextError> {
        if !self.eat(":") {
            return Ok(FailureClass::Refused);
        }
        let from = self.at;
        if let Some((word, class)) = CLASSES.iter().find(|(word, _)| self.rest().starts_with(*word))
        {
            self.at += word.len();
            return Ok(*class);
        }
        let names = || CLASSES.iter().map(|(word, _)| *word);
        let unknown = self.rest();
        let error = TextError::new(
            self.span(from, self.word.len()),
            format!("a scrape does not fail like `{}`", unknown.escape_debug()),
        );
        let error = match nearest(unknown, names()) {
            Some(near) => error.label(format!("did you mean `{near}`?")),
            None => error,
        };
        Err(error.help(format!("known are {}", names().collect::<Vec<_>>().join(", "))))
    }

    /// `a`, `axn`, `a+bxn` or `a-bxn`: with `xn` the first value and n more.
    fn samples(&mut self) -> Result<PointRun, TextError> {
        let first = self.number()?;
        let sign = match self.rest().as_bytes().first() {
            Some(b'+') => 1.0,
            Some(b'-') => -1.0,
            Some(_) | None => 0.0,
        };
        let step = if sign == 0.0 {
            0.0
        } else {
            self.at += 1;
            sign * self.number()?
        };
        let from = self.at;
        let times = self.times()?;
        self.end()?;
        let count = match times {
            Some(times) => times.saturating_add(1),
            None if sign == 0.0 => 1,
            None => {
                let error = TextError::new(self.span(from, from), "how often is not said");
                return Err(error.help("write `0+80x600` for 0 and 600 more, each 80 larger"));
            }
        };
        Ok(PointRun { first: Point::Sample(first), step, count })
    }

    fn number(&mut self) -> Result<f64, TextError> {
        let from = self.at;
        let bytes = self.word.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = from + usize::from(matches!(bytes.get(from), Some(b'+' | b'-')));
        let word = self.word.get(end..end + 3).unwrap_or_default();
        if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan") {
            end += 3;
        } else {
            end = digits(end);
            if bytes.get(end) == Some(&b'.') {
                end = digits(end + 1);
            }
            if matches!(bytes.get(end), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
                let exponent = digits(end + 1 + sign);
                // Without a digit the letter is no exponent, and nothing else either.
                end = if exponent > end + 1 + sign { exponent } else { end };
            }
        }
        let number = self.word[from..end].parse().map_err(|_| {
            TextError::new(self.span(0, self.word.len()), "not a value")
                .help("write `5`, `0+80x600`, `5x9`, `_`, `_x5`, `stale`, `fail` or `failx5`")
        })?;
        self.at = end;
        Ok(number)
    }

    /// `xn`
    fn times(&mut self) -> Result<Option<u64>, TextError> {
        if !self.eat("x") {
            return Ok(None);
        }
        let from = self.at;
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let times = rest[..len].parse();
        self.at += len;
        let end = self.word.len();
        let wrong = || TextError::new(self.span(from, end), "expected a number behind `x`");
        let too_many =
            || TextError::new(self.span(from, self.at), format!("more than {MAX_VALUES} values"));
        match times {
            Ok(times) => Ok(Some(times)),
            Err(_) if len > 0 => Err(too_many()),
            Err(_) => Err(wrong()),
        }
    }

    fn end(&self) -> Result<(), TextError> {
        if self.rest().is_empty() {
            return Ok(());
        }
        let span = self.span(self.at, self.word.len());
        Err(TextError::new(span, "the value should end here")
            .help("values are separated by blanks"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(&text[error.span], wrong, "{text}: {}", error.message);
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
