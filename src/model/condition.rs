//! Conditions and arithmetic after they were checked and lowered: two types, so that a number can
//! never stand where a truth value belongs. Everything is a 64-bit float.

use super::index::SignalIx;

/// An arithmetic expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Num {
    /// A literal, its unit already applied.
    Const(f64),
    /// A signal's reading.
    Signal(SignalIx),
    /// Negation.
    Neg(Box<Num>),
    /// Two operands; division by zero is no data, never infinity.
    Arith(Arith, Box<Num>, Box<Num>),
    /// `min(…)`, `max(…)` of at least one operand.
    Extreme(Extreme, Vec<Num>),
    /// `abs(x)`.
    Abs(Box<Num>),
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arith {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
}

/// Functions over several operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The smallest operand.
    Min,
    /// The largest operand.
    Max,
}

/// A condition as it was written and as it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As the operator wrote it.
    pub text: String,
    /// As it is evaluated.
    pub cond: Cond,
}

/// A truth-valued expression, under Kleene's three-valued logic.
#[derive(Clone, Debug, PartialEq)]
pub enum Cond {
    /// A comparison; no data on either side is no data.
    Compare(Num, Compare, Num),
    /// `&&`
    And(Box<Cond>, Box<Cond>),
    /// `||`
    Or(Box<Cond>, Box<Cond>),
    /// `!`
    Not(Box<Cond>),
}

words! {
    /// Comparison operators.
    pub enum Compare {
        /// `<`
        Less = "<",
        /// `<=`
        LessOrEqual = "<=",
        /// `>`
        Greater = ">",
        /// `>=`
        GreaterOrEqual = ">=",
        /// `==`
        Equal = "==",
        /// `!=`
        NotEqual = "!=",
    }
}

impl Compare {
    /// What the operator says of two numbers.
    pub fn test(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            // Exactly equal is what an operator asked for: `up == 1`, `queue == 0`.
            #[expect(clippy::float_cmp, reason = "the language's == is exact equality")]
            Self::Equal => left == right,
            #[expect(clippy::float_cmp, reason = "the language's != is exact inequality")]
            Self::NotEqual => left != right,
        }
    }

    /// The operator that says the opposite.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
        }
    }

    /// The operator that says the same with its sides exchanged.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }

    /// How far a reading has gone towards its limit: 0 at zero, 1 at the limit, more beyond.
    /// `None` where no such share means anything.
    pub fn used(self, reading: f64, limit: f64) -> Option<f64> {
        let share = match self {
            Self::Greater | Self::GreaterOrEqual => reading / limit,
            Self::Less | Self::LessOrEqual => limit / reading,
            Self::Equal | Self::NotEqual => return None,
        };
        (share.is_finite() && share >= 0.0).then_some(share)
    }
}

impl Num {
    /// Calls `f` with every signal that the expression reads, in the order in which it is written.
    pub fn for_each_signal(&self, f: &mut impl FnMut(SignalIx)) {
        match self {
            Self::Const(_) => {}
            Self::Signal(signal) => f(*signal),
            Self::Neg(inner) | Self::Abs(inner) => inner.for_each_signal(f),
            Self::Arith(_, left, right) => {
                left.for_each_signal(f);
                right.for_each_signal(f);
            }
            Self::Extreme(_, operands) => operands.iter().for_each(|o| o.for_each_signal(f)),
        }
    }
}

impl Cond {
    /// Calls `f` with every signal that the condition reads, in the order in which it is written.
    pub fn for_each_signal(&self, f: &mut impl FnMut(SignalIx)) {
        self.for_each_comparison(&mut |left, _, right| {
            left.for_each_signal(f);
            right.for_each_signal(f);
        });
    }

    /// Calls `f` with the sides of every comparison, in the order in which they are written.
    pub fn for_each_comparison<'c>(&'c self, f: &mut impl FnMut(&'c Num, Compare, &'c Num)) {
        match self {
            Self::Compare(left, op, right) => f(left, *op, right),
            Self::And(left, right) | Self::Or(left, right) => {
                left.for_each_comparison(f);
                right.for_each_comparison(f);
            }
            Self::Not(inner) => inner.for_each_comparison(f),
        }
    }
}
