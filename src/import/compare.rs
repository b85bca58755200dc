//! Conditions: comparisons and what joins them. An alert is about every single series; a rule about
//! one number. Where a comparison with a constant asks whether any series passes, the extreme of
//! all of them answers the same; everywhere else a plain series has to be the only one.

use crate::model::condition::{Arith, Compare, Cond, Num};
use crate::model::index::SignalIx;

use super::ast::{Binary, Expr, Kind as Of, Op, Series};
use super::fit::{Fitter, Measure, Shape};
use super::place::Spot;
use super::signal::{Across, Kind, Over};

/// Whether a comparison is the whole condition or one of several that must hold for one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Alone,
    Joined,
}

impl Fitter<'_> {
    /// A condition and the labels of what it holds for.
    pub(super) fn condition(&mut self, expr: &Expr, stands: Stands) -> Option<(Cond, Shape)> {
        match &expr.kind {
            Of::Binary(binary) => match binary.op {
                Op::And => self.joined(binary, expr.spot, Stands::Joined),
                Op::Or => self.joined(binary, expr.spot, stands),
                Op::Unless => {
                    let why = "`unless` holds where the other side is unknown";
                    let instead = "join the opposite comparison with `and`";
                    self.flaw(expr.spot, why, instead)
                }
                Op::Equal => self.compare(binary, Compare::Equal, expr.spot, stands),
                Op::NotEqual => self.compare(binary, Compare::NotEqual, expr.spot, stands),
                Op::Less => self.compare(binary, Compare::Less, expr.spot, stands),
                Op::LessOrEqual => self.compare(binary, Compare::LessOrEqual, expr.spot, stands),
                Op::Greater => self.compare(binary, Compare::Greater, expr.spot, stands),
                Op::GreaterOrEqual => {
                    self.compare(binary, Compare::GreaterOrEqual, expr.spot, stands)
                }
                Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Mod | Op::Atan2 | Op::Pow => {
                    self.bare(expr)
                }
            },
            Of::Call { name, args } if name == "absent" => self.absent(args, expr.spot),
            Of::Number(_)
            | Of::Text
            | Of::Series(_)
            | Of::Call { .. }
            | Of::Aggregate { .. }
            | Of::Neg(_)
            | Of::Shifted(..) => self.bare(expr),
        }
    }

    /// An alert that fires while its expression has a value, whatever it is.
    fn bare<T>(&mut self, expr: &Expr) -> Option<T> {
        if let Of::Call { name, .. } = &expr.kind
            && ["vector", "absent_over_time"].contains(&name.as_str())
        {
            let why = "it has no comparison: it fires always or where nothing is known";
            return self.flaw(expr.spot, why, "to watch the guard itself, scrape its own page");
        }
        // What is wrong with the number is said first; what is not, lacks a limit.
        let found = self.flaws.len();
        self.measure(expr);
        if self.flaws.len() > found {
            return None;
        }
        let why = "it has no comparison: it fires while there is a value, whatever it is";
        self.flaw(expr.spot, why, "compare it with a limit, as in `> 0`")
    }

    fn joined(&mut self, binary: &Binary, spot: Spot, stands: Stands) -> Option<(Cond, Shape)> {
        if let Some((word, spot)) = binary.modifier {
            return self.modifier(word, spot);
        }
        let left = self.condition(&binary.left, stands);
        let right = self.condition(&binary.right, stands);
        let ((left, a), (right, b)) = (left?, right?);
        let either = binary.op == Op::Or;
        let ungrouped = a.labels().is_empty() && b.labels().is_empty();
        let shape =
            if either && a != b && ungrouped { Shape::Any } else { self.agree(spot, a, b)? };
        let (left, right) = (Box::new(left), Box::new(right));
        let cond = if either { Cond::Or(left, right) } else { Cond::And(left, right) };
        Some((cond, shape))
    }

    fn compare(
        &mut self,
        binary: &Binary,
        op: Compare,
        spot: Spot,
        stands: Stands,
    ) -> Option<(Cond, Shape)> {
        if let Some((word, spot)) = binary.modifier {
            return self.modifier(word, spot);
        }
        let known = self.singles.len();
        let (left, right) = (self.measure(&binary.left), self.measure(&binary.right));
        let (left, right) = (left?, right?);
        let shape = self.agree(spot, left.shape.clone(), right.shape.clone())?;
        if shape == Shape::Scalar {
            let why = "it compares constants";
            return self.flaw(spot, why, "compare a series with a limit");
        }
        // The constant stands on the right, as people say it.
        let (left, op, right) = match constant(&left.num) {
            Some(_) => (right, mirrored(op), left),
            None => (left, op, right),
        };
        let limit = constant(&right.num).filter(|_| stands == Stands::Alone);
        if let (Shape::Series, Some(limit)) = (&shape, limit) {
            if let Some(cond) = self.any_series(&left, op, limit, &right.num) {
                self.extremes = true;
                return Some((cond, Shape::Any));
            }
            if self.is_gain(&left.num) && op == Compare::Greater && limit == 0.0 {
                // Some series gained something exactly where their sum did.
                self.singles.truncate(known);
                self.extremes = true;
                return Some((Cond::Compare(left.num, op, right.num), Shape::Any));
            }
        }
        let counts = self.zero_counts(&left, op, &right);
        let compared = Cond::Compare(left.num, op, right.num);
        Some((counts.into_iter().fold(compared, and), shape))
    }

    fn is_gain(&self, num: &Num) -> bool {
        let Num::Signal(ix) = num else { return false };
        matches!(self.kind(*ix), Kind::Rate(..) | Kind::Increase(..))
    }

    /// Whether any series passes, where one number can tell.
    fn any_series(
        &mut self,
        left: &Measure,
        op: Compare,
        limit: f64,
        written: &Num,
    ) -> Option<Cond> {
        let ix = only_signal(&left.num)?;
        let Kind::Gauge { of, across: None, over } = self.kind(ix).clone() else { return None };
        let (slope, _) = linear(&left.num, ix)?;
        let across = match op {
            Compare::Greater | Compare::GreaterOrEqual if slope > 0.0 => Across::Max,
            Compare::Less | Compare::LessOrEqual if slope < 0.0 => Across::Max,
            Compare::Greater | Compare::GreaterOrEqual if slope < 0.0 => Across::Min,
            Compare::Less | Compare::LessOrEqual if slope > 0.0 => Across::Min,
            Compare::Equal | Compare::NotEqual if left.num == Num::Signal(ix) && over.is_none() => {
                let value = Some(format!("{} {limit}", symbol(op)));
                let counted = self.replace(ix, Kind::Count { of, value });
                return Some(positive(counted));
            }
            Compare::Less
            | Compare::LessOrEqual
            | Compare::Greater
            | Compare::GreaterOrEqual
            | Compare::Equal
            | Compare::NotEqual => return None,
        };
        let commutes = over.is_none_or(|(over, _)| Over::commutes(over, across));
        if !commutes {
            return None;
        }
        let extreme = self.replace(ix, Kind::Gauge { of, across: Some(across), over });
        let num = substituted(&left.num, ix, extreme);
        Some(Cond::Compare(num, op, written.clone()))
    }

    /// The same signal of another kind.
    fn replace(&mut self, ix: SignalIx, kind: Kind) -> SignalIx {
        let signal = super::signal::Signal { kind, ..self.signals[ix.0].clone() };
        self.add(signal)
    }

    /// A count of nothing is 0 here and no value in Prometheus: where 0 would pass, there has to be
    /// something.
    fn zero_counts(&self, left: &Measure, op: Compare, right: &Measure) -> Vec<Cond> {
        let (Num::Signal(ix), Some(limit)) = (&left.num, constant(&right.num)) else {
            return Vec::new();
        };
        let counts = matches!(self.kind(*ix), Kind::Count { .. });
        if counts && op.test(0.0, limit) { vec![positive(*ix)] } else { Vec::new() }
    }

    fn absent(&mut self, args: &[Expr], spot: Spot) -> Option<(Cond, Shape)> {
        let [Expr { kind: Of::Series(Series { selector, range: None }), spot: at }] = args else {
            let why = "`absent` of something other than a series";
            return self.flaw(spot, why, "ask for the series itself");
        };
        if selector.metric == "up" {
            let why = "`absent(up)`: a target that is configured is always there";
            return self.flaw(*at, why, "ask whether it answers: up = \"TARGET\" and `x < 1`");
        }
        let ix = self.signal(*at, selector, &[], |of| Kind::Count { of, value: None })?;
        self.note("absent from a page that was read; a dead target is unknown, not absent");
        let none = Cond::Compare(Num::Signal(ix), Compare::Less, Num::Const(1.0));
        Some((none, Shape::Labels(Vec::new())))
    }
}

pub(super) fn and(left: Cond, right: Cond) -> Cond {
    Cond::And(Box::new(left), Box::new(right))
}

fn positive(ix: SignalIx) -> Cond {
    Cond::Compare(Num::Signal(ix), Compare::Greater, Num::Const(0.0))
}

const fn mirrored(op: Compare) -> Compare {
    match op {
        Compare::Less => Compare::Greater,
        Compare::LessOrEqual => Compare::GreaterOrEqual,
        Compare::Greater => Compare::Less,
        Compare::GreaterOrEqual => Compare::LessOrEqual,
        Compare::Equal => Compare::Equal,
        Compare::NotEqual => Compare::NotEqual,
    }
}

pub(super) const fn symbol(op: Compare) -> &'static str {
    match op {
        Compare::Less => "<",
        Compare::LessOrEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterOrEqual => ">=",
        Compare::Equal => "==",
        Compare::NotEqual => "!=",
    }
}

/// The value of an expression without signals.
pub(super) fn constant(num: &Num) -> Option<f64> {
    let mut any = false;
    num.for_each_signal(&mut |_| any = true);
    // Where there is no signal, it does not matter which one is asked for.
    let (_, value) = linear(num, SignalIx(0)).filter(|_| !any)?;
    value.is_finite().then_some(value)
}

/// The one signal of an expression, however often it stands there.
pub(super) fn only_signal(num: &Num) -> Option<SignalIx> {
    let mut found = Vec::new();
    num.for_each_signal(&mut |ix| found.push(ix));
    found.dedup();
    match found[..] {
        [ix] => Some(ix),
        _ => None,
    }
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

fn substituted(num: &Num, from: SignalIx, to: SignalIx) -> Num {
    let again = |num: &Num| Box::new(substituted(num, from, to));
    match num {
        Num::Const(_) => num.clone(),
        Num::Signal(ix) => Num::Signal(if *ix == from { to } else { *ix }),
        Num::Neg(of) => Num::Neg(again(of)),
        Num::Abs(of) => Num::Abs(again(of)),
        Num::Arith(op, left, right) => Num::Arith(*op, again(left), again(right)),
        Num::Extreme(which, of) => {
            Num::Extreme(*which, of.iter().map(|num| substituted(num, from, to)).collect())
        }
    }
}
