//! Numbers as people read them: three significant digits and the unit that keeps them short; and
//! comparisons, with the reading and the limit in the reading's unit.
//!
//! Evidence holds both sides of a comparison as numbers. Which signal a side is follows from its
//! value, and is left open where two signals with that value would make it ambiguous.

use crate::model::condition::Compare;
use crate::model::entry::{Comparison, RuleEvidence, SignalEvidence};
use crate::model::name::SignalName;
use crate::model::signal::Unit;

use super::line::list;

/// Significant digits where a number stands alone. Nobody acts on the fourth.
pub(super) const DIGITS: usize = 3;

/// The most significant digits: what a 64-bit float holds for certain.
pub(super) const MAX_DIGITS: usize = 15;

/// From small to large: what one of the unit is in the signal's own unit, and how it is written.
type Scales = &'static [(f64, &'static str)];

const SECONDS: Scales =
    &[(1e-6, " µs"), (1e-3, " ms"), (1.0, " s"), (60.0, " min"), (3600.0, " h"), (86400.0, " d")];
const BYTES: Scales = &[
    (1.0, " B"),
    (1024.0, " KiB"),
    (1_048_576.0, " MiB"),
    (1_073_741_824.0, " GiB"),
    (1_099_511_627_776.0, " TiB"),
];

/// A signal's value in its unit: `5.2%`, `312 ms`, `1.4 MiB`, `12.3/s`.
pub fn number(value: f64, unit: Option<Unit>) -> String {
    with_digits(value, unit, DIGITS)
}

/// A signal's reading in its unit; `None` where there is none.
pub(super) fn reading(signal: &SignalEvidence, unit: Option<Unit>) -> Option<String> {
    let value = number(signal.value?, unit);
    Some(if signal.at_least { format!("at least {value}") } else { value })
}

/// A signal's reading in its unit, or why there is none.
pub(super) fn shown(signal: &SignalEvidence, unit: Option<Unit>) -> String {
    let why = || signal.no_data.clone().unwrap_or("no data".to_owned());
    reading(signal, unit).unwrap_or_else(why)
}

/// The same with another number of significant digits.
pub(super) fn with_digits(value: f64, unit: Option<Unit>, digits: usize) -> String {
    let scales: Scales = match unit {
        Some(Unit::Ratio) => &[(0.01, "%")],
        Some(Unit::Seconds) => SECONDS,
        Some(Unit::Bytes) => BYTES,
        Some(Unit::PerSecond) => &[(1.0, "/s"), (1e6, "M/s"), (1e9, "G/s"), (1e12, "T/s")],
        Some(Unit::Count) | None => &[(1.0, ""), (1e6, "M"), (1e9, "G"), (1e12, "T")],
    };
    let (size, name) = scale(value, scales, digits);
    format!("{}{name}", short(value / size, digits))
}

/// The largest scale at which the rounded number is at least 1. Zero is written in the unit
/// itself: `0 s`, `0 B`.
fn scale(value: f64, scales: Scales, digits: usize) -> (f64, &'static str) {
    let at_least_one = |size: f64| {
        let shown: f64 = short(value.abs() / size, digits).parse().unwrap_or(f64::INFINITY);
        shown >= 1.0
    };
    let own = scales.iter().find(|(size, _)| *size >= 1.0);
    let fits = scales.iter().rev().find(|(size, _)| at_least_one(*size));
    let zero = own.filter(|_| value == 0.0);
    *zero.or(fits).unwrap_or(&scales[0])
}

/// A number with so many significant digits, but all of those before the point, without zeros at
/// its end. Very large and very small ones have an exponent.
fn short(value: f64, digits: usize) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { value.to_string() };
    }
    if !(1e-4..1e12).contains(&size) {
        return format!("{value:.*e}", digits.saturating_sub(1));
    }
    // Whole digits before the point: 1 for 5.2, 2 for 52, 0 for 0.52, -1 for 0.052.
    #[expect(clippy::cast_possible_truncation, reason = "between -3 and 12, from the range above")]
    let before = size.log10().floor() as i32 + 1;
    let digits = i32::try_from(digits).unwrap_or(i32::MAX);
    let after = usize::try_from(digits.saturating_sub(before)).unwrap_or(0);
    let text = format!("{value:.after$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// One side or both of a comparison, seen as a signal's reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared<'a> {
    /// The signal, where that is certain.
    pub signal: Option<&'a SignalName>,
    /// What it measures.
    pub unit: Option<Unit>,
    /// The comparison, the signal on its left.
    pub left: Option<f64>,
    /// The operator, turned round where the sides were.
    pub op: Compare,
    /// The limit.
    pub right: Option<f64>,
}

/// A rule's comparisons; `unit` answers what a signal measures.
pub fn comparisons<'a>(
    rule: &'a RuleEvidence,
    unit: impl Fn(&SignalName) -> Option<Unit>,
) -> Vec<Compared<'a>> {
    rule.comparisons.iter().filter_map(|comparison| compared(rule, comparison, &unit)).collect()
}

/// What signals measure, as far as that is known.
pub(super) type Units<'a> = &'a [(SignalName, Unit)];

/// What a signal measures, where that is known.
pub(super) fn unit_in(units: Units<'_>, signal: &SignalName) -> Option<Unit> {
    units.iter().find(|(name, _)| name == signal).map(|(_, unit)| *unit)
}

/// A rule's comparisons in a row: `error_rate 19.8% > 5%`.
pub fn readings(rule: &RuleEvidence, units: &[(SignalName, Unit)]) -> String {
    list(comparisons(rule, |signal| unit_in(units, signal)).iter().map(Compared::named))
}

fn compared<'a>(
    rule: &'a RuleEvidence,
    comparison: &Comparison,
    unit: &impl Fn(&SignalName) -> Option<Unit>,
) -> Option<Compared<'a>> {
    let (_, op) = Compare::ALL.into_iter().find(|(known, _)| *known == comparison.op)?;
    let (left, right) = (comparison.left, comparison.right);
    Some(match (signal_of(rule, left), signal_of(rule, right)) {
        (None, Some(signal)) => Compared {
            signal: Some(signal),
            unit: unit(signal),
            left: right,
            op: op.turned(),
            right: left,
        },
        (signal, _) => Compared { signal, unit: signal.and_then(unit), left, op, right },
    })
}

/// The only signal of the rule's condition that reads this value.
fn signal_of(rule: &RuleEvidence, value: Option<f64>) -> Option<&SignalName> {
    let value = value?;
    // The identifiers of the condition.
    let words = || rule.when.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_candidate = |signal: &&SignalEvidence| {
        signal.value.is_some_and(|known| known.to_bits() == value.to_bits())
            && words().any(|word| word == signal.signal.as_str())
    };
    let mut candidates = rule.signals.iter().filter(is_candidate);
    let first = candidates.next()?;
    // Groups of one signal may read the same.
    candidates.all(|other| other.signal == first.signal).then_some(&first.signal)
}

impl Compared<'_> {
    /// `19.8% > 5%`, or `0.2%, not > 5%`; where both sides would read the same, with as many
    /// digits as it takes to tell them apart. `?` stands for what is not known.
    pub fn text(&self) -> String {
        let (left, right) = self.sides();
        let not = if self.holds() == Some(false) { ", not" } else { "" };
        format!("{left}{not} {} {right}", self.op)
    }

    /// The same with the signal's name before it, where that is known.
    pub fn named(&self) -> String {
        let name = self.signal.map(|signal| format!("{signal} ")).unwrap_or_default();
        name + &self.text()
    }

    /// Whether the comparison holds; `None` where a side is not known.
    pub fn holds(&self) -> Option<bool> {
        Some(self.op.test(self.left?, self.right?))
    }

    /// Both sides, told apart.
    pub fn sides(&self) -> (String, String) {
        let side = |value: Option<f64>, digits| {
            value.map_or("?".to_owned(), |value| with_digits(value, self.unit, digits))
        };
        let at = |digits| (side(self.left, digits), side(self.right, digits));
        let differ = self.left != self.right;
        (DIGITS..=MAX_DIGITS)
            .map(at)
            .find(|(left, right)| left != right || !differ)
            .unwrap_or_else(|| at(MAX_DIGITS))
    }

    /// How far the reading has gone towards its limit: 0 at zero, 1 at the limit, more beyond.
    /// `None` where no such share means anything.
    pub fn share(&self) -> Option<f64> {
        self.op.used(self.left?, self.right?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::{rule, signal};
    use proptest::prelude::*;

    #[test]
    fn a_number_is_short_and_in_its_unit() {
        let check = |value, unit, text: &str| assert_eq!(number(value, unit), text);
        check(0.052, Some(Unit::Ratio), "5.2%");
        check(0.198_2, Some(Unit::Ratio), "19.8%");
        check(1.0, Some(Unit::Ratio), "100%");
        check(0.0, Some(Unit::Ratio), "0%");
        check(0.000_5, Some(Unit::Ratio), "0.05%");
        check(0.312, Some(Unit::Seconds), "312 ms");
        check(0.999_7, Some(Unit::Seconds), "1 s");
        check(2.0, Some(Unit::Seconds), "2 s");
        check(90.0, Some(Unit::Seconds), "1.5 min");
        check(0.000_05, Some(Unit::Seconds), "50 µs");
        check(0.0, Some(Unit::Seconds), "0 s");
        check(1_468_006.4, Some(Unit::Bytes), "1.4 MiB");
        check(0.0, Some(Unit::Bytes), "0 B");
        check(12.3, Some(Unit::PerSecond), "12.3/s");
        check(0.25, Some(Unit::PerSecond), "0.25/s");
        check(12_345.0, Some(Unit::Count), "12345");
        check(1_234_567.0, Some(Unit::Count), "1.23M");
        check(-0.5, None, "-0.5");
        check(1.0, None, "1");
        check(100.0, None, "100");
        check(1e20, None, "100000000T");
        check(0.000_012, None, "1.20e-5");
    }

    #[test]
    fn a_unit_is_found_by_the_name_that_a_status_gives_it() {
        let named = |name: &str| serde_json::from_value::<Unit>(name.into()).ok();
        assert_eq!(named("per_second"), Some(Unit::PerSecond));
        assert_eq!(named("furlongs"), None);
    }

    fn ratio(_: &SignalName) -> Option<Unit> {
        Some(Unit::Ratio)
    }

    #[test]
    fn a_comparison_is_read_in_the_unit_of_its_signal() {
        let rule = rule("error_rate > 5%", &[signal("error_rate", 0.198)], &[(0.198, ">", 0.05)]);
        let all = comparisons(&rule, ratio);
        assert_eq!(all[0].named(), "error_rate 19.8% > 5%");
        assert!((all[0].share().unwrap() - 3.96).abs() < 1e-9);
    }

    #[test]
    fn a_limit_on_the_left_is_turned_round() {
        let rule = rule("5% < error_rate", &[signal("error_rate", 0.198)], &[(0.05, "<", 0.198)]);
        assert_eq!(comparisons(&rule, ratio)[0].named(), "error_rate 19.8% > 5%");
    }

    #[test]
    fn two_signals_with_one_value_leave_it_open_which_is_meant() {
        let signals = [signal("a", 0.0), signal("b", 0.0)];
        let rule = rule("a > 1 && b > 2", &signals, &[(0.0, ">", 1.0), (0.0, ">", 2.0)]);
        assert_eq!(comparisons(&rule, ratio)[0].named(), "0, not > 1");
    }

    #[test]
    fn a_reading_just_beyond_its_limit_is_told_apart_from_it() {
        let rule = rule("a > 5%", &[signal("a", 0.050_01)], &[(0.050_01, ">", 0.05)]);
        assert_eq!(comparisons(&rule, ratio)[0].text(), "5.001% > 5%");
    }

    proptest! {
        #[test]
        fn any_number_stays_short(value in proptest::num::f64::ANY, unit in 0..6_usize) {
            let units = [
                None, Some(Unit::Ratio), Some(Unit::Seconds), Some(Unit::Bytes),
                Some(Unit::PerSecond), Some(Unit::Count),
            ];
            prop_assert!(number(value, units[unit]).chars().count() <= 20);
        }

        #[test]
        fn a_number_is_what_it_says_to_half_a_per_cent(value in 1e-3..1e5_f64) {
            let shown: f64 = number(value, None).parse().unwrap();
            prop_assert!((shown - value).abs() <= 0.005 * value, "{value} as {shown}");
        }
    }
}
