//! Lints about what was. A rule that compares with a baseline shrinks with it: twice almost nothing
//! is almost nothing, and one slow request on a quiet night rolls back. Such a rule needs a floor
//! that does not shrink. And a baseline that can never be taken leaves its rules silent for ever.
//!
//! It must never call a rule bare that has a floor, however that is written; so a comparison is
//! judged by what becomes of it when all readings shrink alike, not by its looks.

use std::collections::HashSet;

use crate::model::condition::{Arith, Compare, Cond, Num};
use crate::model::deployment::Arm;
use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::rule::Rule;
use crate::model::signal::{Signal, SignalKind, Unit};
use crate::model::time::format_duration;

use crate::config::syntax::TomlTable;

/// What becomes of an expression when every reading shrinks to the same fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    /// It is zero and stays it.
    Zero,
    /// It shrinks by this power of the fraction: 0 for a constant, 1 for a reading.
    Power(i32),
    /// Something else: a constant is added to what shrinks.
    Mixed,
}

impl Scale {
    const fn of(number: f64) -> Self {
        if number == 0.0 { Self::Zero } else { Self::Power(0) }
    }

    /// Of a sum or of the larger of two.
    fn beside(self, other: Self) -> Self {
        match (self, other) {
            (Self::Zero, one) | (one, Self::Zero) => one,
            (Self::Power(a), Self::Power(b)) if a == b => self,
            _ => Self::Mixed,
        }
    }

    fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Zero, _) | (_, Self::Zero) => Self::Zero,
            (Self::Power(a), Self::Power(b)) => Self::Power(a.saturating_add(b)),
            _ => Self::Mixed,
        }
    }

    fn inverse(self) -> Self {
        match self {
            Self::Power(power) => Self::Power(power.saturating_neg()),
            Self::Zero | Self::Mixed => Self::Mixed,
        }
    }
}

/// What is known of a signal.
#[derive(Clone, Copy)]
struct SignalScale {
    scale: Scale,
    /// The first baseline or earlier reading that it is made of.
    past: Option<SignalIx>,
    /// The signal that it follows from, or itself.
    base: SignalIx,
}

/// The rules of a plan, to be looked at for floors.
pub(crate) struct Floors<'p> {
    plan: &'p Plan,
    scales: Vec<SignalScale>,
}

/// A comparison that shrinks with the past: what of the past it reads, and whether it holds where
/// something is larger than that.
type PastComparison = (SignalIx, bool);

impl<'p> Floors<'p> {
    /// Looks at each signal once.
    pub(crate) fn of(plan: &'p Plan) -> Self {
        let mut floors = Self { plan, scales: Vec::with_capacity(plan.signals.len()) };
        for (ix, signal) in plan.signals.iter().enumerate() {
            let scale = floors.signal_scale(SignalIx(ix), signal);
            floors.scales.push(scale);
        }
        floors
    }

    /// What a signal derives from comes right before it, and so do all that it is computed from.
    fn signal_scale(&self, ix: SignalIx, signal: &Signal) -> SignalScale {
        let derived = signal.name.is_derived();
        let base = self.scales.last().filter(|_| derived).map_or(ix, |before| before.base);
        let (scale, past) = match &signal.kind {
            SignalKind::Value(number) => (Scale::of(*number), None),
            SignalKind::Expr(num) => (self.scale(num), self.past(num)),
            SignalKind::Series { .. }
            | SignalKind::Baseline { .. }
            | SignalKind::Before { .. }
            | SignalKind::Up(_) => (Scale::Power(1), None),
        };
        SignalScale { scale, past: if derived { Some(ix) } else { past }, base }
    }

    fn scale(&self, num: &Num) -> Scale {
        match num {
            Num::Const(number) => Scale::of(*number),
            Num::Signal(ix) => self.scales[ix.0].scale,
            Num::Neg(inner) | Num::Abs(inner) => self.scale(inner),
            Num::Arith(operator, left, right) => {
                let (left, right) = (self.scale(left), self.scale(right));
                match operator {
                    Arith::Add | Arith::Sub => left.beside(right),
                    Arith::Mul => left.times(right),
                    Arith::Div => left.times(right.inverse()),
                }
            }
            Num::Extreme(_, operands) => {
                // The larger of a reading and zero is the reading, or nothing.
                operands.iter().map(|num| self.scale(num)).fold(Scale::Zero, Scale::beside)
            }
        }
    }

    fn past(&self, num: &Num) -> Option<SignalIx> {
        let mut past = None;
        num.for_each_signal(&mut |ix| past = past.or(self.scales[ix.0].past));
        past
    }

    /// Says so of a rule that compares with the past and with nothing else.
    pub(crate) fn check(&self, rule: &Rule, table: &TomlTable<'_>) {
        let mut floors = HashSet::new();
        if let Some(given) = &rule.given {
            self.add(&given.cond, &mut floors);
        }
        let Some(bare) = self.bare(&rule.when.cond, &floors) else { return };
        let past = self.plan.signal(bare.0);
        let message =
            format!("rule `{}` compares with `{}` and has no floor", table.name, past.name);
        let help = format!(
            "where `{}` is next to nothing, so is what it is compared with; add a floor, as in \
             \"&& {}\"",
            past.name,
            self.advice(bare)
        );
        table.lint("when", message, help);
    }

    fn advice(&self, (past, rises): PastComparison) -> String {
        let base = self.plan.signal(self.scales[past.0].base);
        let past = self.plan.signal(past);
        let step = match base.unit {
            Some(Unit::Seconds) => "50ms",
            Some(Unit::Ratio) => "1%",
            Some(Unit::Bytes) => "10MiB",
            Some(Unit::PerSecond | Unit::Count) | None => "10",
        };
        match rises {
            true => format!("{} > {} + {step}", base.name, past.name),
            false => format!("{} > {step}", past.name),
        }
    }

    /// The first comparison with the past beside which no floor stands.
    fn bare(&self, cond: &Cond, floors: &HashSet<SignalIx>) -> Option<PastComparison> {
        match cond {
            Cond::Compare(left, op, right) => {
                let is_left = self.past(left).is_some();
                let past = self.past(left).or_else(|| self.past(right))?;
                let floored = self.named(cond).iter().any(|base| floors.contains(base));
                let rises = match op {
                    Compare::Greater | Compare::GreaterOrEqual => !is_left,
                    Compare::Less | Compare::LessOrEqual => is_left,
                    Compare::Equal | Compare::NotEqual => false,
                };
                (self.shrinks(left, right) && !floored).then_some((past, rises))
            }
            Cond::And(left, right) => {
                let mut floors = floors.clone();
                self.add(cond, &mut floors);
                self.bare(left, &floors).or_else(|| self.bare(right, &floors))
            }
            Cond::Or(left, right) => self.bare(left, floors).or_else(|| self.bare(right, floors)),
            Cond::Not(inner) => self.bare(inner, floors),
        }
    }

    /// Whether the comparison says the same when all readings shrink alike.
    fn shrinks(&self, left: &Num, right: &Num) -> bool {
        self.scale(left).beside(self.scale(right)) != Scale::Mixed
    }

    /// Adds the signals that a condition holds against something absolute whenever it holds.
    fn add(&self, cond: &Cond, floors: &mut HashSet<SignalIx>) {
        match cond {
            Cond::Compare(left, _, right) => {
                if !self.shrinks(left, right) {
                    floors.extend(self.named(cond));
                }
            }
            Cond::And(left, right) => {
                self.add(left, floors);
                self.add(right, floors);
            }
            Cond::Or(left, right) => {
                let (mut one, mut other) = (HashSet::new(), HashSet::new());
                self.add(left, &mut one);
                self.add(right, &mut other);
                floors.extend(one.intersection(&other));
            }
            Cond::Not(inner) => self.add(inner, floors),
        }
    }

    /// The signals that a condition names, baselines as what they are the baseline of.
    fn named(&self, cond: &Cond) -> Vec<SignalIx> {
        let mut all = Vec::new();
        cond.for_each_signal(&mut |ix| all.push(self.scales[ix.0].base));
        all
    }
}

/// A baseline from before the deployment that can never be taken. `most` is the number of readings
/// of the signal that fit into its window.
pub(crate) fn never_taken(plan: &Plan, ix: SignalIx, most: u128, table: &TomlTable<'_>) {
    let SignalKind::Baseline { window, min_readings, .. } = &plan.signal(ix).kind else { return };
    if plan.deployment.arm == Arm::Always {
        let help = "with arm = \"always\" take the baseline from = \"target\" or \"value\", or \
                    compare with `.before`";
        let message = "the guard is armed as it starts, so nothing was read before";
        table.lint("baseline", message, help);
    } else if most < u128::from(*min_readings) {
        let window = format_duration(*window);
        let message = format!("{min_readings} readings never fit into {window}, {most} do");
        let help = "give the baseline a longer `window` or fewer `min_readings`";
        let value = table.get("baseline");
        let baseline = value.and_then(|value| TomlTable::unchecked(value, "baseline"));
        if let Some(baseline) = baseline {
            baseline.lint("min_readings", message, help);
        }
    }
}
