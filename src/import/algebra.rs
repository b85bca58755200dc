//! Arithmetic over signals as algebra: what is constant, and what is linear in one signal.

use crate::model::condition::{Arith, Compare, Cond, Num};
use crate::model::index::SignalIx;

pub(super) fn arith(op: Arith, left: Num, right: Num) -> Num {
    Num::Arith(op, Box::new(left), Box::new(right))
}

pub(super) fn and(left: Cond, right: Cond) -> Cond {
    Cond::And(Box::new(left), Box::new(right))
}

/// A condition on one signal.
pub(super) fn compared(ix: SignalIx, op: Compare, limit: f64) -> Cond {
    Cond::Compare(Num::Signal(ix), op, Num::Const(limit))
}

/// The value of an expression without signals.
pub(super) fn constant(num: &Num) -> Option<f64> {
    // Without a signal it does not matter which one the expression is linear in.
    let (_, value) = linear(num, SignalIx(0)).filter(|_| signals(num).is_empty())?;
    value.is_finite().then_some(value)
}

fn signals(num: &Num) -> Vec<SignalIx> {
    let mut found = Vec::new();
    num.for_each_signal(&mut |ix| found.push(ix));
    found
}

/// The one signal of an expression, however often it stands there.
pub(super) fn only_signal(num: &Num) -> Option<SignalIx> {
    let mut found = signals(num);
    found.dedup();
    if let [ix] = found[..] { Some(ix) } else { None }
}

/// The signals that a condition reads.
pub(super) fn signals_of(cond: &Cond) -> Vec<SignalIx> {
    let mut found = Vec::new();
    cond.for_each_signal(&mut |ix| found.push(ix));
    found
}

/// An expression as `slope * signal + offset`.
pub(super) fn linear(num: &Num, signal: SignalIx) -> Option<(f64, f64)> {
    match num {
        Num::Const(number) => Some((0.0, *number)),
        Num::Signal(ix) => (*ix == signal).then_some((1.0, 0.0)),
        Num::Neg(of) => linear(of, signal).map(|(a, b)| (-a, -b)),
        Num::Arith(op, left, right) => {
            let ((a, b), (c, d)) = (linear(left, signal)?, linear(right, signal)?);
            match op {
                Arith::Add => Some((a + c, b + d)),
                Arith::Sub => Some((a - c, b - d)),
                Arith::Mul if a == 0.0 => Some((b * c, b * d)),
                Arith::Mul if c == 0.0 => Some((a * d, b * d)),
                Arith::Div if c == 0.0 && d != 0.0 => Some((a / d, b / d)),
                Arith::Mul | Arith::Div => None,
            }
        }
        Num::Extreme(..) | Num::Abs(_) => None,
    }
}

/// How a number on the left of a comparison moves towards passing as its signal grows: up where
/// it is positive. `None` where the comparison has no direction.
pub(super) fn upwards(op: Compare, slope: f64) -> Option<f64> {
    match op {
        Compare::Greater | Compare::GreaterOrEqual => Some(slope),
        Compare::Less | Compare::LessOrEqual => Some(-slope),
        Compare::Equal | Compare::NotEqual => None,
    }
}

/// A signal, or a constant times a signal: the signal and the constant.
pub(super) fn scaled(num: &Num) -> Option<(SignalIx, Option<Num>)> {
    if let Num::Signal(ix) = num {
        return Some((*ix, None));
    }
    let Num::Arith(Arith::Mul, left, right) = num else { return None };
    let pair = |factor: &Num, of: &Num| match (constant(factor), of) {
        (Some(_), Num::Signal(ix)) => Some((*ix, Some(factor.clone()))),
        _ => None,
    };
    pair(left, right).or_else(|| pair(right, left))
}

/// The expression with another signal in the place of one.
pub(super) fn substituted(num: &Num, from: SignalIx, to: SignalIx) -> Num {
    let again = |num: &Num| substituted(num, from, to);
    match num {
        Num::Const(_) => num.clone(),
        Num::Signal(ix) => Num::Signal(if *ix == from { to } else { *ix }),
        Num::Neg(of) => Num::Neg(Box::new(again(of))),
        Num::Abs(of) => Num::Abs(Box::new(again(of))),
        Num::Arith(op, left, right) => arith(*op, again(left), again(right)),
        Num::Extreme(which, of) => Num::Extreme(*which, of.iter().map(again).collect()),
    }
}
