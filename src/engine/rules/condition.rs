//! Evaluates conditions under Kleene's three-valued logic. A reading that is only a lower bound
//! settles the comparisons that it can settle; every other one is no data.

use crate::model::condition::{Arith, Compare, Cond, Extreme, Num};
use crate::model::index::SignalIx;
use crate::model::reading::{NoData, Reading, Verdict};

/// What a condition says. `reading` answers a signal's reading.
pub(crate) fn verdict(cond: &Cond, reading: &impl Fn(SignalIx) -> Reading) -> Verdict {
    match cond {
        Cond::Compare(left, op, right) => match (number(left, reading), number(right, reading)) {
            (Reading::NoData(why), _) | (_, Reading::NoData(why)) => Verdict::NoData(why),
            (Reading::Value(left), Reading::Value(right)) => known(op.test(left, right)),
            (Reading::AtLeast(left), Reading::Value(right)) => at_least(left, *op, right),
            (Reading::Value(left), Reading::AtLeast(right)) => at_least(right, op.turned(), left),
            (Reading::AtLeast(_), Reading::AtLeast(_)) => Verdict::NoData(NoData::Stale),
        },
        Cond::And(left, right) => and(verdict(left, reading), || verdict(right, reading)),
        Cond::Or(left, right) => {
            negated(and(negated(verdict(left, reading)), || negated(verdict(right, reading))))
        }
        Cond::Not(inner) => negated(verdict(inner, reading)),
    }
}

const fn known(holds: bool) -> Verdict {
    if holds { Verdict::Holds } else { Verdict::Fails }
}

const fn negated(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Holds => Verdict::Fails,
        Verdict::Fails => Verdict::Holds,
        Verdict::NoData(why) => Verdict::NoData(why),
    }
}

fn and(left: Verdict, right: impl FnOnce() -> Verdict) -> Verdict {
    match left {
        Verdict::Fails => Verdict::Fails,
        Verdict::Holds => right(),
        Verdict::NoData(why) => match right() {
            Verdict::Fails => Verdict::Fails,
            Verdict::Holds | Verdict::NoData(_) => Verdict::NoData(why),
        },
    }
}

/// Compares a number known to be `bound` or more: known where all such numbers compare alike.
fn at_least(bound: f64, op: Compare, right: f64) -> Verdict {
    let (least, most) = (op.test(bound, right), op.test(f64::INFINITY, right));
    let may_be_equal = matches!(op, Compare::Equal | Compare::NotEqual) && bound <= right;
    if least == most && !may_be_equal { known(least) } else { Verdict::NoData(NoData::Stale) }
}

/// What an arithmetic expression reads. Never infinite, never NaN.
pub(crate) fn number(num: &Num, reading: &impl Fn(SignalIx) -> Reading) -> Reading {
    match num {
        Num::Const(value) => Reading::Value(*value),
        Num::Signal(signal) => reading(*signal),
        Num::Neg(inner) => exact(number(inner, reading), |value| -value),
        Num::Abs(inner) => exact(number(inner, reading), f64::abs),
        Num::Arith(op, left, right) => {
            let read = arith(*op, number(left, reading), number(right, reading));
            read.unwrap_or_else(Reading::NoData)
        }
        Num::Extreme(which, operands) => {
            let readings = operands.iter().map(|operand| number(operand, reading));
            let join = |a, b| extreme(*which, a, b).unwrap_or_else(Reading::NoData);
            readings.reduce(join).unwrap_or(Reading::NoData(NoData::NotFinite))
        }
    }
}

/// Applies a function under which a lower bound does not stay one, and a finite number does.
fn exact(reading: Reading, f: impl FnOnce(f64) -> f64) -> Reading {
    match reading {
        Reading::Value(value) => Reading::Value(f(value)),
        Reading::AtLeast(_) => Reading::NoData(NoData::Stale),
        Reading::NoData(why) => Reading::NoData(why),
    }
}

const fn is_exact(reading: Reading) -> bool {
    matches!(reading, Reading::Value(_))
}

fn arith(op: Arith, left: Reading, right: Reading) -> Result<Reading, NoData> {
    let (a, b) = (left.known()?, right.known()?);
    // Where a lower bound stays one: more on either side of a sum, on the left of a difference,
    // and anything scaled by an exact number that is not negative.
    let (value, bound_stays) = match op {
        Arith::Add => (a + b, true),
        Arith::Sub => (a - b, is_exact(right)),
        Arith::Mul => (a * b, is_exact(right) && b >= 0.0 || is_exact(left) && a >= 0.0),
        Arith::Div if b == 0.0 => return Err(NoData::DivisionByZero),
        Arith::Div => (a / b, is_exact(right) && b > 0.0),
    };
    match (is_exact(left) && is_exact(right), bound_stays) {
        (false, false) => Err(NoData::Stale),
        _ if !value.is_finite() => Err(NoData::NotFinite),
        (true, _) => Ok(Reading::Value(value)),
        (false, true) => Ok(Reading::AtLeast(value)),
    }
}

fn extreme(which: Extreme, left: Reading, right: Reading) -> Result<Reading, NoData> {
    let (a, b) = (left.known()?, right.known()?);
    let (value, is_exact) = match which {
        // Whatever a lower bound hides, the largest is no smaller than the largest bound, and the
        // smallest is exact only where an exact operand lies at or below every bound.
        Extreme::Max => (a.max(b), is_exact(left) && is_exact(right)),
        Extreme::Min if a < b => (a, is_exact(left)),
        Extreme::Min if b < a => (b, is_exact(right)),
        Extreme::Min => (a, is_exact(left) || is_exact(right)),
    };
    Ok(if is_exact { Reading::Value(value) } else { Reading::AtLeast(value) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use NoData::{NoTraffic, Stale};
    use Reading::{AtLeast, Value};
    use Verdict::{Fails, Holds};

    fn signal() -> Num {
        Num::Signal(SignalIx(0))
    }

    fn compare(op: Compare, limit: f64) -> Cond {
        Cond::Compare(signal(), op, Num::Const(limit))
    }

    #[test]
    fn a_comparison_with_no_data_is_no_data() {
        let reading = |_| Reading::NoData(NoTraffic);
        let cond = compare(Compare::Greater, 1.0);
        assert_eq!(verdict(&cond, &reading), Verdict::NoData(NoTraffic));
        let not = Cond::Not(Box::new(cond));
        assert_eq!(verdict(&not, &reading), Verdict::NoData(NoTraffic));
    }

    #[test]
    fn connectives_follow_kleene() {
        let verdicts = [Holds, Fails, Verdict::NoData(NoTraffic)];
        let as_cond = |verdict| match verdict {
            Holds => Cond::Compare(Num::Const(1.0), Compare::Greater, Num::Const(0.0)),
            Fails => Cond::Compare(Num::Const(0.0), Compare::Greater, Num::Const(1.0)),
            Verdict::NoData(_) => compare(Compare::Greater, 0.0),
        };
        let rank = |verdict| match verdict {
            Fails => 0,
            Verdict::NoData(_) => 1,
            Holds => 2,
        };
        let reading = |_| Reading::NoData(NoTraffic);
        for left in verdicts {
            for right in verdicts {
                let (l, r) = (Box::new(as_cond(left)), Box::new(as_cond(right)));
                let and = verdict(&Cond::And(l.clone(), r.clone()), &reading);
                let or = verdict(&Cond::Or(l, r), &reading);
                assert_eq!(rank(and), rank(left).min(rank(right)), "{left:?} && {right:?}");
                assert_eq!(rank(or), rank(left).max(rank(right)), "{left:?} || {right:?}");
            }
        }
    }

    #[test]
    fn a_lower_bound_settles_only_what_it_can() {
        let check = |op, limit, expected| {
            assert_eq!(verdict(&compare(op, limit), &|_| AtLeast(10.0)), expected, "{op} {limit}");
            let turned = Cond::Compare(Num::Const(limit), op.turned(), signal());
            assert_eq!(verdict(&turned, &|_| AtLeast(10.0)), expected, "turned {op} {limit}");
        };
        check(Compare::Greater, 2.0, Holds);
        check(Compare::Greater, 20.0, Verdict::NoData(Stale));
        check(Compare::GreaterOrEqual, 10.0, Holds);
        check(Compare::Less, 2.0, Fails);
        check(Compare::Less, 20.0, Verdict::NoData(Stale));
        check(Compare::LessOrEqual, 10.0, Verdict::NoData(Stale));
        check(Compare::Equal, 2.0, Fails);
        check(Compare::Equal, 20.0, Verdict::NoData(Stale));
        check(Compare::NotEqual, 2.0, Holds);
    }

    #[test]
    fn arithmetic_never_leaves_the_finite_numbers() {
        let check = |op, left, right, expected| {
            let num = Num::Arith(op, Box::new(signal()), Box::new(Num::Const(right)));
            assert_eq!(number(&num, &|_| left), expected, "{left:?} {op:?} {right}");
        };
        check(Arith::Div, Value(1.0), 2.0, Value(0.5));
        check(Arith::Div, Value(1.0), 0.0, Reading::NoData(NoData::DivisionByZero));
        check(Arith::Div, Value(0.0), 0.0, Reading::NoData(NoData::DivisionByZero));
        check(Arith::Mul, Value(1e300), 1e300, Reading::NoData(NoData::NotFinite));
        check(Arith::Mul, AtLeast(2.0), 3.0, AtLeast(6.0));
        check(Arith::Mul, AtLeast(2.0), -3.0, Reading::NoData(Stale));
        check(Arith::Sub, AtLeast(2.0), 1.0, AtLeast(1.0));
        check(Arith::Add, Reading::NoData(NoTraffic), 1.0, Reading::NoData(NoTraffic));
    }

    #[test]
    fn extremes_keep_track_of_what_is_exact() {
        let check = |which, limit, expected| {
            let sides = [signal(), Num::Const(limit)];
            let turned = sides.iter().rev().cloned().collect();
            for operands in [sides.to_vec(), turned] {
                let num = Num::Extreme(which, operands);
                assert_eq!(number(&num, &|_| AtLeast(10.0)), expected, "{which:?} {limit}");
            }
        };
        check(Extreme::Max, 20.0, AtLeast(20.0));
        check(Extreme::Max, 2.0, AtLeast(10.0));
        check(Extreme::Min, 2.0, Value(2.0));
        check(Extreme::Min, 20.0, AtLeast(10.0));
        check(Extreme::Min, 10.0, Value(10.0));
    }
}
