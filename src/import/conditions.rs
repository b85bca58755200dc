//! Converts conditions: comparisons and what joins them. An alert is about every single series, a
//! rule about one number. Where a comparison with a constant asks whether any series passes, the
//! extreme of all of them gives the same answer. Everywhere else a plain series must be the only
//! one.

use super::algebra::{and, compared, constant, linear, only_signal, substituted, upwards};
use super::converter::{Converter, ValueLabels};
use super::promql::{Binary, Expr, ExprKind, Op};
use super::signal::ImportedKind;
use super::spot::Spot;
use crate::model::condition::{Compare, Cond, Num};
use crate::model::signal::Aggregation;

/// A condition and the labels of what it holds for.
pub(super) type Judged = (Cond, ValueLabels);

impl Converter {
    /// A condition, which is the whole one of an alert where it stands alone, and else one of
    /// several that must hold for one series.
    pub(super) fn condition(&mut self, expr: &Expr, alone: bool) -> Option<Judged> {
        if let Some(("absent", args)) = expr.call() {
            return self.absent(args, expr.spot);
        }
        let ExprKind::Binary(binary) = &expr.kind else { return self.without_limit(expr) };
        match binary.op {
            Op::And => self.joined(binary, false),
            Op::Or => self.joined(binary, alone),
            Op::Unless => {
                let why = "`unless` holds where the other side is unknown";
                self.flaw(expr.spot, why, "join the opposite comparison with `and`")
            }
            Op::Compare(op) => self.compare(binary, op, alone),
            Op::Arith(_) | Op::Mod | Op::Atan2 | Op::Pow => self.without_limit(expr),
        }
    }

    /// An alert that fires while its expression has a value, whatever it is.
    fn without_limit<T>(&mut self, expr: &Expr) -> Option<T> {
        if let Some(("vector" | "absent_over_time", _)) = expr.call() {
            let why = "it has no comparison: it fires always or where nothing is known";
            return self.flaw(expr.spot, why, "to watch the guard itself, scrape its own page");
        }
        // What is wrong with the number is said first; a number that is in order lacks a limit.
        let found = self.flaws.len();
        self.number(expr);
        if self.flaws.len() > found {
            return None;
        }
        let why = "it has no comparison: it fires while there is a value, whatever it is";
        self.flaw(expr.spot, why, "compare it with a limit, as in `> 0`")
    }

    fn joined(&mut self, binary: &Binary, alone: bool) -> Option<Judged> {
        self.unmodified(binary)?;
        let left = self.condition(&binary.left, alone);
        let right = self.condition(&binary.right, alone);
        let ((left, a), (right, b)) = (left?, right?);
        if binary.op == Op::And {
            return Some((and(left, right), self.agree(binary.spot, a, b)?));
        }
        self.any_of = true;
        let any = a != b && a.is_ungrouped() && b.is_ungrouped();
        let labels = if any { ValueLabels::Any } else { self.agree(binary.spot, a, b)? };
        Some((Cond::Or(Box::new(left), Box::new(right)), labels))
    }

    fn compare(&mut self, binary: &Binary, op: Compare, alone: bool) -> Option<Judged> {
        self.unmodified(binary)?;
        let known = self.singles.len();
        let (left, right) = self.both(&binary.left, &binary.right)?;
        let labels = self.agree(binary.spot, left.labels, right.labels)?;
        if labels == ValueLabels::Constant {
            let why = "it compares constants";
            return self.flaw(binary.spot, why, "compare a series with a limit");
        }
        let (left, right) = (left.num, right.num);
        // The constant stands on the right, as people say it.
        let (left, op, right) = match constant(&left) {
            Some(_) => (right, op.turned(), left),
            None => (left, op, right),
        };
        let limit = constant(&right).filter(|_| alone);
        if let (ValueLabels::Every, Some(limit)) = (&labels, limit) {
            if let Some(cond) = self.any_series(&left, op, limit, &right) {
                self.extremes = true;
                return Some((cond, ValueLabels::Any));
            }
            if let Num::Signal(ix) = left
                && matches!(self.kind(ix), ImportedKind::Rate | ImportedKind::Increase)
                && op == Compare::Greater
                && limit == 0.0
            {
                // Some series gained something exactly where their sum did.
                self.singles.truncate(known);
                self.extremes = true;
                return Some((Cond::Compare(left, op, right), ValueLabels::Any));
            }
        }
        let present = match (&left, constant(&right)) {
            // A count of nothing is 0 here and no value in Prometheus: where 0 would pass, there
            // has to be something.
            (Num::Signal(ix), Some(limit)) if op.test(0.0, limit) => {
                let counts = matches!(self.kind(*ix), ImportedKind::Count { .. });
                counts.then(|| compared(*ix, Compare::Greater, 0.0))
            }
            _ => None,
        };
        let compared = Cond::Compare(left, op, right);
        Some((present.into_iter().fold(compared, and), labels))
    }

    /// Whether any series passes, where one number can tell.
    fn any_series(&mut self, left: &Num, op: Compare, limit: f64, right: &Num) -> Option<Cond> {
        let ix = only_signal(left)?;
        let ImportedKind::Gauge { across: None, over } = *self.kind(ix) else { return None };
        let (slope, _) = linear(left, ix)?;
        let Some(upwards) = upwards(op, slope) else {
            if *left != Num::Signal(ix) || over.is_some() {
                return None;
            }
            let value = Some(format!("{op} {limit}"));
            let counted = self.add_like(ix, ImportedKind::Count { value });
            return Some(compared(counted, Compare::Greater, 0.0));
        };
        let across = match upwards {
            upwards if upwards > 0.0 => Aggregation::Max,
            upwards if upwards < 0.0 => Aggregation::Min,
            _ => return None,
        };
        if over.is_some_and(|over| !over.commutes(across)) {
            return None;
        }
        let extreme = self.add_like(ix, ImportedKind::Gauge { across: Some(across), over });
        Some(Cond::Compare(substituted(left, ix, extreme), op, right.clone()))
    }

    fn absent(&mut self, args: &[Expr], spot: Spot) -> Option<Judged> {
        let [Expr { kind: ExprKind::Series(selector, None), spot: at }] = args else {
            let why = "`absent` of something other than a series";
            return self.flaw(spot, why, "ask for the series itself");
        };
        if selector.metric == "up" {
            let why = "`absent(up)`: a target that is configured is always there";
            return self.flaw(*at, why, "ask whether it answers: up = \"TARGET\" and `x < 1`");
        }
        let ix = self.signal(*at, selector, &[], ImportedKind::Count { value: None }, None)?;
        self.note("absent from a page that was read; a dead target is unknown, not absent");
        Some((compared(ix, Compare::Less, 1.0), ValueLabels::Only(Vec::new())))
    }
}
