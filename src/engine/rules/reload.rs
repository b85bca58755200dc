//! Which signals of a new plan are those of an old one, although their places may have changed.
//! What they have gathered survives a reload.

use crate::model::condition::Num;
use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::signal::SignalKind;

/// For each signal of the new plan, its place in the old one if nothing about its reading changed.
pub(crate) fn same_signals(old: &Plan, new: &Plan) -> Vec<Option<SignalIx>> {
    let mut same: Vec<Option<SignalIx>> = Vec::with_capacity(new.signals.len());
    for signal in &new.signals {
        let before = old.signals.iter().position(|before| before.name == signal.name);
        let unchanged = before.filter(|before| {
            let before = &old.signals[*before];
            before.stale == signal.stale
                && before.by == signal.by
                && match (&before.kind, &signal.kind) {
                    (SignalKind::Expr(a), SignalKind::Expr(b)) => same_number(a, b, &same),
                    (a, b) if a.looks_back().is_some() => {
                        let places = (a.looks_back(), b.looks_back());
                        same_earlier(places, &same) && same_terms(a, b)
                    }
                    (a, b) => a == b,
                }
        });
        same.push(unchanged.map(SignalIx));
    }
    same
}

type Look = Option<(SignalIx, std::time::Duration)>;

/// Whether both look back as far, at what is the same signal.
fn same_earlier((old, new): (Look, Look), same: &[Option<SignalIx>]) -> bool {
    match (old, new) {
        (Some((a, far)), Some((b, long))) => far == long && place_of(b, same) == Some(a),
        (Some(_) | None, Some(_) | None) => false,
    }
}

fn place_of(new: SignalIx, same: &[Option<SignalIx>]) -> Option<SignalIx> {
    same.get(new.0).copied().flatten()
}

/// Whether both make the same of what they look back at.
fn same_terms(old: &SignalKind, new: &SignalKind) -> bool {
    let needed = |kind: &SignalKind| {
        if let SignalKind::Baseline { min_readings, .. } = kind {
            Some(*min_readings)
        } else {
            None
        }
    };
    needed(old) == needed(new)
}

fn same_number(old: &Num, new: &Num, same: &[Option<SignalIx>]) -> bool {
    let both = |(a, b): (&Num, &Num)| same_number(a, b, same);
    match (old, new) {
        (Num::Signal(a), Num::Signal(b)) => place_of(*b, same) == Some(*a),
        (Num::Neg(a), Num::Neg(b)) | (Num::Abs(a), Num::Abs(b)) => both((a, b)),
        (Num::Arith(p, a, b), Num::Arith(q, c, d)) => p == q && both((a, c)) && both((b, d)),
        (Num::Extreme(p, a), Num::Extreme(q, b)) => {
            p == q && a.len() == b.len() && a.iter().zip(b).all(both)
        }
        (a, b) => a == b,
    }
}
