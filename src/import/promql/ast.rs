//! The tree of an expression.

use std::time::Duration;

use crate::import::spot::Spot;
use crate::model::condition::{Arith, Compare};
use crate::toml_text::MatcherText;

/// An expression and where it starts; of an operator, where the operator stands.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::import) struct Expr {
    pub(in crate::import) spot: Spot,
    pub(in crate::import) kind: ExprKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::import) enum ExprKind {
    Number(f64),
    Text,
    /// A selector, with a range where it has one.
    Series(SeriesSelector, Option<Duration>),
    Call {
        name: String,
        args: Vec<Expr>,
    },
    Aggregate {
        op: String,
        grouping: Grouping,
        /// What is aggregated, after the parameter where there is one.
        args: Vec<Expr>,
    },
    Neg(Box<Expr>),
    Binary(Box<Binary>),
    /// `offset`, `@` or a subquery: which of them, and of what.
    Shifted(&'static str, Box<Expr>),
}

impl Expr {
    /// The name and the arguments of a function's call.
    pub(in crate::import) fn call(&self) -> Option<(&str, &[Self])> {
        if let ExprKind::Call { name, args } = &self.kind { Some((name, args)) } else { None }
    }

    /// The expressions that it consists of.
    pub(in crate::import) fn children_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            ExprKind::Number(_) | ExprKind::Text | ExprKind::Series(..) => Vec::new(),
            ExprKind::Call { args, .. } | ExprKind::Aggregate { args, .. } => {
                args.iter_mut().collect()
            }
            ExprKind::Neg(of) | ExprKind::Shifted(_, of) => vec![&mut **of],
            ExprKind::Binary(binary) => vec![&mut binary.left, &mut binary.right],
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::import) struct Binary {
    pub(in crate::import) spot: Spot,
    pub(in crate::import) op: Op,
    pub(in crate::import) left: Expr,
    pub(in crate::import) right: Expr,
    /// The first of `bool`, `on`, `ignoring`, `group_left`, `group_right`, where there is one.
    pub(in crate::import) modifier: Option<(&'static str, Spot)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Op {
    Or,
    And,
    Unless,
    Compare(Compare),
    Arith(Arith),
    Mod,
    Atan2,
    Pow,
}

/// How each operator is written, and how tightly it binds; higher is tighter.
const OPERATORS: [(&str, u8, Op); 16] = [
    ("or", 1, Op::Or),
    ("and", 2, Op::And),
    ("unless", 2, Op::Unless),
    ("==", 3, Op::Compare(Compare::Equal)),
    ("!=", 3, Op::Compare(Compare::NotEqual)),
    ("<", 3, Op::Compare(Compare::Less)),
    ("<=", 3, Op::Compare(Compare::LessOrEqual)),
    (">", 3, Op::Compare(Compare::Greater)),
    (">=", 3, Op::Compare(Compare::GreaterOrEqual)),
    ("+", 4, Op::Arith(Arith::Add)),
    ("-", 4, Op::Arith(Arith::Sub)),
    ("*", 5, Op::Arith(Arith::Mul)),
    ("/", 5, Op::Arith(Arith::Div)),
    ("%", 5, Op::Mod),
    ("atan2", 5, Op::Atan2),
    ("^", 6, Op::Pow),
];

impl Op {
    /// The operator that is written so; words in whatever case.
    pub(super) fn written(text: &str) -> Option<Self> {
        let found = OPERATORS.iter().find(|(written, _, _)| text.eq_ignore_ascii_case(written));
        found.map(|(_, _, op)| *op)
    }

    fn row(self) -> &'static (&'static str, u8, Self) {
        let row = OPERATORS.iter().find(|(_, _, op)| *op == self);
        row.expect("every operator is in the table")
    }

    pub(in crate::import) fn tightness(self) -> u8 {
        self.row().1
    }

    pub(in crate::import) fn text(self) -> &'static str {
        self.row().0
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::import) enum Grouping {
    All,
    By(Vec<String>),
    Without(Spot),
}

/// A metric and matchers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::import) struct SeriesSelector {
    /// Empty where none is named.
    pub(in crate::import) metric: String,
    pub(in crate::import) matchers: Vec<MatcherText>,
}

impl SeriesSelector {
    /// The same matchers over another metric.
    pub(in crate::import) fn named(&self, metric: impl Into<String>) -> Self {
        Self { metric: metric.into(), matchers: self.matchers.clone() }
    }

    /// The selector as rollguard reads it.
    pub(in crate::import) fn text(&self) -> String {
        crate::toml_text::selector(&self.metric, &self.matchers, ",")
    }
}
