//! Derives the evidence floor of a rule: what must be there before its condition means anything.
//! Only what follows from the alert itself is derived. A floor that is a matter of taste is left to
//! people.

use super::algebra::{and, compared, constant, linear, only_signal, signals_of, upwards};
use super::converter::Converter;
use super::promql::SeriesSelector;
use super::signal::{ImportedKind, ImportedSignal};
use super::spot::Spot;
use crate::model::condition::{Compare, Cond, Num};
use crate::model::signal::Aggregation;
use crate::model::time::format_duration;

/// A floor above this is not reached by what people roll back: the limit is not about shares.
const MAX_FLOOR: f64 = 1e6;

impl Converter {
    /// `given` of a rule.
    pub(super) fn given(&mut self, when: &Cond, spot: Spot) -> Option<Cond> {
        if self.any_of && !self.singles.is_empty() {
            let why = "`or` over rates of single series, which are added up here";
            return self.flaw(spot, why, "sum them, or write one alert for each side");
        }
        let mut floors = self.single_series();
        let reads = |converter: &Self, what: fn(&ImportedKind) -> bool| {
            signals_of(when).iter().any(|ix| what(converter.kind(*ix)))
        };
        if !self.any_of {
            when.for_each_comparison(&mut |left, op, right| {
                let floor = self.floor(left, op, right);
                floors.extend(floor.filter(|floor| !floors.contains(floor)));
            });
        } else if reads(self, |kind| {
            matches!(kind, ImportedKind::Ratio { .. } | ImportedKind::Quantile { .. })
        }) {
            self.note("no evidence floor: `given` would be for both sides of `or`");
        }
        if reads(self, |kind| matches!(kind, ImportedKind::Gauge { across: None, .. })) {
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
                let kind = ImportedKind::Gauge { across: Some(Aggregation::Count), over: None };
                let count = ImportedSignal { kind, of, window: None, ..signal.clone() };
                let one = Some(compared(self.add(count), Compare::Less, 2.0));
                floors.extend(one.filter(|one| !floors.contains(one)));
            }
            self.note(
                "each series was judged alone; here `given` asks that there be only one. For \
                 several, delete that and name the label that tells them apart in `by`",
            );
        }
        floors
    }

    fn floor(&mut self, left: &Num, op: Compare, right: &Num) -> Option<Cond> {
        let (limit, ix) = (constant(right)?, only_signal(left)?);
        let signal = self.signals[ix.0].clone();
        if let ImportedKind::Ratio { to } = &signal.kind {
            let (slope, offset) = linear(left, ix)?;
            let Some(share) = deciding_share(slope, op, (limit - offset) / slope) else {
                self.note("no evidence floor: its limit is no share; add `given`");
                return None;
            };
            // Whether the share itself passes.
            let least = if op.test(0.0, 0.0) {
                (1.0 / share).floor() + 1.0
            } else {
                (1.0 / share - 1e-9).ceil()
            };
            return self.at_least(to.clone(), least, &signal);
        }
        let ImportedKind::Quantile { q, native } = signal.kind else { return None };
        if !native && q < 1.0 {
            return self.at_least(signal.count(), (1.0 / (1.0 - q) - 1e-9).ceil(), &signal);
        }
        self.note("no evidence floor: add `given`");
        None
    }

    /// So many events in the window of a signal that one alone does not decide.
    fn at_least(&mut self, of: SeriesSelector, least: f64, like: &ImportedSignal) -> Option<Cond> {
        if least > MAX_FLOOR {
            self.note("no evidence floor: its limit is too close to none; add `given`");
            return None;
        }
        let window = format_duration(like.window.unwrap_or_default());
        self.note(format!(
            "evidence floor, not in the alert: below {least} in {window} a single one decides"
        ));
        let events = ImportedSignal { kind: ImportedKind::Increase, of, ..like.clone() };
        Some(compared(self.add(events), Compare::GreaterOrEqual, least))
    }
}

/// The share of all events that decides, counted from the side on which nothing has happened.
fn deciding_share(slope: f64, op: Compare, limit: f64) -> Option<f64> {
    let share = if upwards(op, slope)? > 0.0 { limit } else { 1.0 - limit };
    (share > 0.0 && share < 1.0).then_some(share)
}
