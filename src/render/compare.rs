//! Comparisons as people read them: the reading and the limit in the reading's unit.
//!
//! Evidence holds both sides of a comparison as numbers. Which signal a side is follows from its
//! value, and is left open where two signals with that value would make it ambiguous.

use crate::model::condition::Compare;
use crate::model::entry::{Comparison, RuleEvidence, SignalEvidence};
use crate::model::name::SignalName;
use crate::model::signal::Unit;

use super::line::list;
use super::number::{DIGITS, MAX_DIGITS, with_digits};

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
    rule.comparisons.iter().filter_map(|comparison| reading(rule, comparison, &unit)).collect()
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

fn reading<'a>(
    rule: &'a RuleEvidence,
    comparison: &Comparison,
    unit: &impl Fn(&SignalName) -> Option<Unit>,
) -> Option<Compared<'a>> {
    let op = OPERATORS.into_iter().find(|known| known.to_string() == comparison.op)?;
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

const OPERATORS: [Compare; 6] = [
    Compare::Less,
    Compare::LessOrEqual,
    Compare::Greater,
    Compare::GreaterOrEqual,
    Compare::Equal,
    Compare::NotEqual,
];

impl Compared<'_> {
    /// `19.8% > 5%`, or `0.2%, not > 5%`; where both sides would read the same, with as many
    /// digits as it takes to tell them apart. `?` stands for what is not known.
    pub fn text(&self) -> String {
        let (left, right) = self.sides();
        match self.holds() {
            Some(false) => format!("{left}, not {} {right}", self.op),
            Some(true) | None => format!("{left} {} {right}", self.op),
        }
    }

    /// The same with the signal's name before it, where that is known.
    pub fn named(&self) -> String {
        match self.signal {
            Some(signal) => format!("{signal} {}", self.text()),
            None => self.text(),
        }
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
}
