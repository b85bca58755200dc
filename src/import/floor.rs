//! The evidence floor of a rule: what must be there before its condition means anything. Only what
//! follows from the alert itself is derived; a floor that is a matter of taste is left to people.

use std::time::Duration;

use crate::model::condition::{Compare, Cond, Num};
use crate::model::index::SignalIx;
use crate::model::time::format_duration;

use super::ast::Selector;
use super::compare::{and, linear};
use super::fit::Fitter;
use super::place::Spot;
use super::signal::{Across, Buckets, Kind, Signal};

/// A floor above this is not reached by what people roll back: the limit is not about shares.
const MAX_FLOOR: f64 = 1e6;

impl Fitter<'_> {
    /// `given` of a rule.
    pub(super) fn given(&mut self, when: &Cond, spot: Spot) -> Option<Cond> {
        let any_of = has_or(when);
        if any_of && !self.singles.is_empty() {
            let why = "`or` over rates of single series, which are added up here";
            return self.flaw(spot, why, "sum them, or write one alert for each side");
        }
        let mut floors = self.single_series();
        let thin =
            |ix: &SignalIx| matches!(self.kind(*ix), Kind::Ratio { .. } | Kind::Quantile { .. });
        if any_of && signals_of(when).iter().any(thin) {
            self.note("no evidence floor: `given` would be for both sides of `or`");
        } else if !any_of {
            for_each_compare(when, &mut |left, op, right| {
                let floor = self.floor(left, op, right);
                floors.extend(floor.filter(|floor| !floors.contains(floor)));
            });
        }
        let alone = |ix: &SignalIx| matches!(self.kind(*ix), Kind::Gauge { across: None, .. });
        if signals_of(when).iter().any(alone) {
            self.note(
                "each series was judged alone; here there is a reading only while one matches. For \
                 several, name the label that tells them apart in `by`",
            );
        }
        floors.into_iter().reduce(and)
    }

    /// Counters are added up: a rule about single ones is judged only while there is one.
    fn single_series(&mut self) -> Vec<Cond> {
        let mut floors = Vec::new();
        for single in std::mem::take(&mut self.singles) {
            let signal = self.signals[single.0].clone();
            for of in signal.counted() {
                let kind = Kind::Gauge { of, across: Some(Across::Count), over: None };
                let ix = self.add(Signal { kind, ..signal.clone() });
                let one = Cond::Compare(Num::Signal(ix), Compare::Less, Num::Const(2.0));
                if !floors.contains(&one) {
                    floors.push(one);
                }
            }
            self.note(
                "each series was judged alone; here `given` asks that there be only one. For \
                 several, delete that and name the label that tells them apart in `by`",
            );
        }
        floors
    }

    fn floor(&mut self, left: &Num, op: Compare, right: &Num) -> Option<Cond> {
        let limit = super::compare::constant(right)?;
        let ix = super::compare::only_signal(left)?;
        let signal = self.signals[ix.0].clone();
        match &signal.kind {
            Kind::Ratio { to, window, .. } => {
                let (slope, offset) = linear(left, ix)?;
                let share = deciding_share(slope, op, (limit - offset) / slope);
                let Some(share) = share else {
                    self.note("no evidence floor: its limit is no share; add `given`");
                    return None;
                };
                let least = match op {
                    Compare::GreaterOrEqual | Compare::LessOrEqual => (1.0 / share).floor() + 1.0,
                    Compare::Greater | Compare::Less | Compare::Equal | Compare::NotEqual => {
                        (1.0 / share - 1e-9).ceil()
                    }
                };
                self.at_least(to.clone(), *window, least, &signal)
            }
            Kind::Quantile { q, of, window, buckets: Buckets::Classic } if *q < 1.0 => {
                let least = (1.0 / (1.0 - q) - 1e-9).ceil();
                self.at_least(of.named(format!("{}_count", of.metric)), *window, least, &signal)
            }
            Kind::Quantile { .. } => {
                self.note("no evidence floor: add `given`");
                None
            }
            Kind::Rate(..)
            | Kind::Increase(..)
            | Kind::Mean(..)
            | Kind::Gauge { .. }
            | Kind::Count { .. }
            | Kind::Age { .. }
            | Kind::Up => None,
        }
    }

    /// So many events in the window that one alone does not decide.
    fn at_least(
        &mut self,
        of: Selector,
        window: Duration,
        least: f64,
        like: &Signal,
    ) -> Option<Cond> {
        if least > MAX_FLOOR {
            self.note("no evidence floor: its limit is too close to none; add `given`");
            return None;
        }
        let ix = self.add(Signal { kind: Kind::Increase(of, window), ..like.clone() });
        self.note(format!(
            "evidence floor, not in the alert: below {least} in {} a single one decides",
            format_duration(window)
        ));
        Some(Cond::Compare(Num::Signal(ix), Compare::GreaterOrEqual, Num::Const(least)))
    }
}

/// The share of all events that decides, counted from the side on which nothing has happened.
fn deciding_share(slope: f64, op: Compare, limit: f64) -> Option<f64> {
    let above = match op {
        Compare::Greater | Compare::GreaterOrEqual => slope > 0.0,
        Compare::Less | Compare::LessOrEqual => slope < 0.0,
        Compare::Equal | Compare::NotEqual => return None,
    };
    let share = if above { limit } else { 1.0 - limit };
    (share > 0.0 && share < 1.0).then_some(share)
}

fn has_or(cond: &Cond) -> bool {
    match cond {
        Cond::Or(..) => true,
        Cond::And(left, right) => has_or(left) || has_or(right),
        Cond::Not(of) => has_or(of),
        Cond::Compare(..) => false,
    }
}

fn for_each_compare(cond: &Cond, f: &mut impl FnMut(&Num, Compare, &Num)) {
    match cond {
        Cond::Compare(left, op, right) => f(left, *op, right),
        Cond::And(left, right) | Cond::Or(left, right) => {
            for_each_compare(left, f);
            for_each_compare(right, f);
        }
        Cond::Not(of) => for_each_compare(of, f),
    }
}

/// The signals that a condition reads.
pub(super) fn signals_of(cond: &Cond) -> Vec<SignalIx> {
    let mut found = Vec::new();
    cond.for_each_signal(&mut |ix| found.push(ix));
    found
}
