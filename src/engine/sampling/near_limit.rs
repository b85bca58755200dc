//! Whether a condition is near: it holds, or a reading is beyond half of its limit. It only says
//! where looking more often is worth it; it never takes part in judging.
//!
//! What is not known is not near: a rule that misses a reading cannot come to hold before there is
//! one, and more pages like the last would not bring it.

use crate::model::condition::{Compare, Cond, Num};
use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::reading::Reading;
use crate::model::rule::Rule;

use crate::engine::rules::condition::number;

/// What follows a signal's name in the names of what it is compared with: its baseline, and its own
/// reading one window ago.
const RESTS: [&str; 2] = [".baseline", ".before"];

/// Whether a rule's condition is near, and its evidence floor, too: below the floor it cannot hold.
pub(crate) fn is_near(rule: &Rule, plan: &Plan, reading: &impl Fn(SignalIx) -> Reading) -> bool {
    let near = |cond: &Cond| is_cond_near(cond, Polarity::Positive, plan, reading);
    rule.given.as_ref().is_none_or(|given| near(&given.cond)) && near(&rule.when.cond)
}

/// Whether a condition must hold for the rule to hold, or must fail: it stands below an odd number
/// of negations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polarity {
    Positive,
    Negative,
}

fn is_cond_near(
    cond: &Cond,
    polarity: Polarity,
    plan: &Plan,
    reading: &impl Fn(SignalIx) -> Reading,
) -> bool {
    let inner = |cond: &Cond| is_cond_near(cond, polarity, plan, reading);
    match (cond, polarity) {
        (Cond::Compare(left, op, right), polarity) => {
            let op = if polarity == Polarity::Positive { *op } else { op.negated() };
            Sides { left, op, right, plan }.are_near(reading)
        }
        // De Morgan: `!(a && b)` is `!a || !b`.
        (Cond::And(left, right), Polarity::Positive)
        | (Cond::Or(left, right), Polarity::Negative) => inner(left) && inner(right),
        (Cond::Or(left, right), Polarity::Positive)
        | (Cond::And(left, right), Polarity::Negative) => inner(left) || inner(right),
        (Cond::Not(cond), Polarity::Positive) => {
            is_cond_near(cond, Polarity::Negative, plan, reading)
        }
        (Cond::Not(cond), Polarity::Negative) => {
            is_cond_near(cond, Polarity::Positive, plan, reading)
        }
    }
}

/// A comparison of two numbers.
struct Sides<'a> {
    left: &'a Num,
    op: Compare,
    right: &'a Num,
    plan: &'a Plan,
}

impl Sides<'_> {
    fn are_near(&self, reading: &impl Fn(SignalIx) -> Reading) -> bool {
        let Some((left, right)) = self.values(reading) else { return false };
        if self.op.test(left, right) {
            return true;
        }
        // As if both sides were to be exceeded.
        let turned = match self.op {
            Compare::Greater | Compare::GreaterOrEqual => 1.0,
            Compare::Less | Compare::LessOrEqual => -1.0,
            // Equality is not approached: the number before the one asked for says nothing.
            Compare::Equal | Compare::NotEqual => return false,
        };
        let (left, right) = (left * turned, right * turned);
        match self.at_rest(reading) {
            // Half of the way from where the reading rests to where the comparison holds.
            Some((left_rest, right_rest)) => {
                right - left <= turned * (right_rest - left_rest) / 2.0
            }
            None => !self.is_two_valued() && is_beyond_half(left, right),
        }
    }

    /// Both sides as numbers. A reading that is only a lower bound counts as that bound: it is all
    /// that is known.
    fn values(&self, reading: &impl Fn(SignalIx) -> Reading) -> Option<(f64, f64)> {
        let side = |num| number(num, reading).value();
        Some((side(self.left)?, side(self.right)?))
    }

    /// Both sides as they would be if each signal that is compared with its own baseline, or with
    /// itself a window ago, read that: a limit of twice the baseline is not half reached by being
    /// normal.
    fn at_rest(&self, reading: &impl Fn(SignalIx) -> Reading) -> Option<(f64, f64)> {
        let mut signals = Vec::new();
        self.left.for_each_signal(&mut |signal| signals.push(signal));
        self.right.for_each_signal(&mut |signal| signals.push(signal));
        let name = |signal: SignalIx| self.plan.signal(signal).name.as_str();
        let rest = |signal: SignalIx| {
            let is_its = |other: &&SignalIx| {
                RESTS.iter().any(|end| name(**other).strip_suffix(end) == Some(name(signal)))
            };
            signals.iter().find(is_its).copied()
        };
        signals.iter().any(|signal| rest(*signal).is_some()).then_some(())?;
        self.values(&|signal| reading(rest(signal).unwrap_or(signal)))
    }

    /// Whether it asks whether a target is up: 1 is not half of the way to 0.
    fn is_two_valued(&self) -> bool {
        let mut found = false;
        let mut look = |signal: SignalIx| {
            found |= self.plan.signal(signal).kind.up().is_some();
        };
        self.left.for_each_signal(&mut look);
        self.right.for_each_signal(&mut look);
        found
    }
}

/// Whether a number that is to exceed a limit is within a factor of two of it. Zero is no scale:
/// what is to exceed it is near only once it does.
fn is_beyond_half(number: f64, limit: f64) -> bool {
    if limit > 0.0 { number >= limit / 2.0 } else { limit < 0.0 && number >= limit * 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Color, SourceFile, compile};
    use crate::model::reading::NoData;

    /// Whether a rule over the gauges `a` and `b`, the constant `base` and whether the target is
    /// up is near where they read this.
    #[track_caller]
    fn check(rule: &str, readings: [Reading; 2], expected: bool) {
        let text = format!(
            "[deployment]\nservice = \"s\"\n[target.t]\nscrape = \"http://h/\"\n\
             [signal.a]\ngauge = 'a'\n\
             [signal.a.baseline]\nfrom = \"value\"\nvalue = 1\n\
             [signal.b]\ngauge = 'b'\n[signal.alive]\nup = \"t\"\n\
             [rule.r]\n{rule}\nseverity = \"warning\"\n[rule.all]\nwhen = \"a + b + alive > 0\"\n\
             severity = \"warning\"\n"
        );
        let file = SourceFile { path: "near.toml".to_owned(), text };
        let plan = match compile(&file, &[]) {
            Ok(compiled) => compiled.plan,
            Err(wrong) => panic!("{}", wrong.render(Color::Plain)),
        };
        let reading = |signal: SignalIx| match plan.signal(signal).name.as_str() {
            "a" => readings[0],
            "b" => readings[1],
            _ => Reading::Value(1.0),
        };
        assert_eq!(is_near(&plan.rules[0], &plan, &reading), expected, "{rule} of {readings:?}");
    }

    /// A rule over `a` alone.
    #[track_caller]
    fn of(when: &str, a: f64, expected: bool) {
        let readings = [Reading::Value(a), Reading::NoData(NoData::NoSeries)];
        check(&format!("when = \"{when}\""), readings, expected);
    }

    /// A rule over both.
    #[track_caller]
    fn both(rule: &str, a: f64, b: f64, expected: bool) {
        check(rule, [Reading::Value(a), Reading::Value(b)], expected);
    }

    #[test]
    fn a_reading_is_near_beyond_half_of_its_limit() {
        for (reading, expected) in [(0.0, false), (2.4, false), (2.5, true), (5.0, true)] {
            of("a > 5", reading, expected);
            of("a >= 5", reading, expected);
            of("5 < a", reading, expected);
            of("!(a <= 5)", reading, expected);
            of("-a < -5", reading, expected);
        }
        for (reading, expected) in [(99.0, false), (10.1, false), (10.0, true), (1.0, true)] {
            of("a < 5", reading, expected);
            of("a <= 5", reading, expected);
            of("!(a > 5)", reading, expected);
            of("-a > -5", reading, expected);
        }
    }

    #[test]
    fn zero_and_equality_are_not_approached() {
        for reading in [-1.0, 0.0] {
            of("a > 0", reading, false);
        }
        of("a > 0", 0.1, true);
        of("a < 0", 0.1, false);
        of("a == 3", 2.9, false);
        of("a == 3", 3.0, true);
        of("a != 3", 3.0, false);
        of("!(a == 3)", 3.0, false);
    }

    #[test]
    fn a_target_that_is_up_is_not_half_down() {
        both("when = \"alive < 1\"", 0.0, 0.0, false);
        both("when = \"alive < 2\"", 0.0, 0.0, true);
    }

    #[test]
    fn being_normal_is_not_half_of_the_way_to_twice_the_baseline() {
        for (reading, expected) in [(0.5, false), (1.0, false), (1.4, false), (1.5, true)] {
            of("a > 2 * a.baseline", reading, expected);
            of("a - a.baseline > 1", reading, expected);
        }
        for (reading, expected) in [(1.0, false), (0.76, false), (0.75, true), (0.4, true)] {
            of("a < a.baseline / 2", reading, expected);
        }
    }

    #[test]
    fn a_rule_is_near_only_if_all_that_it_needs_is() {
        for (a, b, expected) in [(4.0, 4.0, true), (4.0, 1.0, false), (9.0, 3.0, true)] {
            both("when = \"a > 5 && b > 5\"", a, b, expected);
            both("when = \"!(a <= 5 || b <= 5)\"", a, b, expected);
            both("when = \"a > 5\"\ngiven = \"b > 5\"", a, b, expected);
        }
        for (a, b, expected) in [(4.0, 1.0, true), (1.0, 4.0, true), (1.0, 1.0, false)] {
            both("when = \"a > 5 || b > 5\"", a, b, expected);
            both("when = \"!(a <= 5 && b <= 5)\"", a, b, expected);
            both("when = \"!!(a > 5 || b > 5)\"", a, b, expected);
        }
    }

    #[test]
    fn what_is_not_known_is_not_near_and_a_lower_bound_counts_as_it_is() {
        let none = Reading::NoData(NoData::WindowFilling);
        check("when = \"a > 5 && b > 5\"", [Reading::Value(9.0), none], false);
        check("when = \"a > 5 || b > 5\"", [Reading::Value(9.0), none], true);
        check("when = \"a > 5\"\ngiven = \"b > 5\"", [Reading::Value(9.0), none], false);
        check("when = \"!(a > 5)\"", [none, none], false);
        check("when = \"a > 5\"", [Reading::AtLeast(3.0), none], true);
        check("when = \"a > 5\"", [Reading::AtLeast(1.0), none], false);
    }
}
