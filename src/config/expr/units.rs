//! What an expression measures, as far as that can be known: enough to refuse `error_rate > 5s`,
//! and never so much that a plain number or an unknown signal is refused.

use std::ops::Range;

use crate::model::condition::Arith;
use crate::model::signal::Unit;

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
pub(crate) struct Quantity {
    pub(crate) dimension: Dimension,
    pub(crate) literal: Option<Range<usize>>,
}

impl Quantity {
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
            _ => Self { dimension: Unknown, literal: None },
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
