//! What an expression measures, as far as that can be known: enough to refuse `error_rate > 5s`,
//! and never so much that a plain number or an unknown signal is refused.

use std::ops::Range;

use crate::model::condition::Arith;
use crate::model::signal::{SignalKind, Unit};

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    /// A plain number, which fits everything.
    Plain,
    /// A signal that says nothing about itself.
    Unknown,
    /// This.
    Known(Unit),
}

/// What an operand measures, and the literal with a unit in it, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) dimension: Dimension,
    pub(crate) literal: Option<Range<usize>>,
}

impl Measure {
    pub(crate) const PLAIN: Self = Self { dimension: Dimension::Plain, literal: None };

    pub(crate) fn of(unit: Option<Unit>) -> Self {
        let dimension = unit.map_or(Dimension::Unknown, Dimension::Known);
        Self { dimension, literal: None }
    }

    /// What both measure where they are added or compared; an error is the pair that contradicts
    /// each other and where the literal stands that says so. Without a literal nothing is refused:
    /// what signals measure is partly guessed from their names.
    pub(crate) fn agree(self, other: Self) -> Result<Self, (Unit, Unit, Range<usize>)> {
        use Dimension::{Known, Plain, Unknown};
        let literal = self.literal.or(other.literal);
        let dimension = match (self.dimension, other.dimension) {
            (Known(left), Known(right)) if left != right => match literal {
                Some(literal) => return Err((left, right, literal)),
                None => Unknown,
            },
            (Known(unit), Known(_) | Plain | Unknown) | (Plain | Unknown, Known(unit)) => {
                Known(unit)
            }
            (Plain, Plain) => Plain,
            (Plain | Unknown, Unknown) | (Unknown, Plain) => Unknown,
        };
        Ok(Self { dimension, literal })
    }

    /// What the product or quotient measures. What only scales, a plain number or a share, says
    /// nothing about the other's unit.
    pub(crate) fn scaled(self, operator: Arith, by: Self) -> Self {
        use Dimension::{Known, Plain, Unknown};
        match (operator, self.dimension, by.dimension) {
            (_, _, Plain | Known(Unit::Ratio)) => self,
            (Arith::Mul, Plain | Known(Unit::Ratio), _) => by,
            (Arith::Div, Known(left), Known(right)) if left == right => {
                Self { dimension: Known(Unit::Ratio), literal: self.literal.or(by.literal) }
            }
            (
                Arith::Add | Arith::Sub | Arith::Mul | Arith::Div,
                Plain | Unknown | Known(_),
                Unknown | Known(_),
            ) => Self { dimension: Unknown, literal: None },
        }
    }
}

/// The unit as people say it.
pub(crate) fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Ratio => "a ratio",
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::PerSecond => "a rate per second",
        Unit::Count => "a count",
    }
}

/// What a signal measures by its kind and the conventional ending of its metric's name.
pub(crate) fn infer(kind: &SignalKind) -> Option<Unit> {
    use crate::model::signal::{Across, Over};
    match kind {
        SignalKind::Ratio { .. } => Some(Unit::Ratio),
        // The rate of a counter of seconds or bytes is neither.
        SignalKind::Rate { of, .. } => match ending(&of.metric) {
            Some(_) => None,
            None => Some(Unit::PerSecond),
        },
        SignalKind::Increase { of, .. } => ending(&of.metric),
        SignalKind::Gauge { across: Some(Across::Count), .. } | SignalKind::Count { .. } => {
            Some(Unit::Count)
        }
        SignalKind::Age { .. } => Some(Unit::Seconds),
        // A slope is in units a second.
        SignalKind::Gauge { over: Over::Slope(_), .. } => None,
        SignalKind::Quantile { of, .. }
        | SignalKind::Mean { of, .. }
        | SignalKind::Gauge { of, .. } => ending(&of.metric),
        SignalKind::Baseline { .. } | SignalKind::Before { .. } => None,
        SignalKind::Up(_) | SignalKind::Value(_) | SignalKind::Expr(_) => None,
    }
}

fn ending(metric: &str) -> Option<Unit> {
    let base = metric.strip_suffix("_total").unwrap_or(metric);
    let ends = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes), ("_ratio", Unit::Ratio)];
    ends.into_iter().find(|(end, _)| base.ends_with(end)).map(|(_, unit)| unit)
}
