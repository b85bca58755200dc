//! PromQL as a tree: as much of the language as is needed to say what does not fit and where.

use std::fmt;
use std::time::Duration;

use super::place::Spot;

/// An expression and where it starts; for operators, where the operator stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expr {
    pub(super) spot: Spot,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Text,
    Series(Series),
    Call {
        name: String,
        args: Vec<Expr>,
    },
    Aggregate {
        op: String,
        grouping: Grouping,
        /// One argument, or a parameter and an argument.
        args: Vec<Expr>,
    },
    Neg(Box<Expr>),
    Binary(Box<Binary>),
    /// `offset`, `@` or a subquery: which, of what.
    Shifted(&'static str, Box<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Binary {
    pub(super) op: Op,
    pub(super) left: Expr,
    pub(super) right: Expr,
    /// The first of `bool`, `on`, `ignoring`, `group_left`, `group_right`, where there is one.
    pub(super) modifier: Option<(&'static str, Spot)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Atan2,
    Pow,
}

impl Op {
    /// How tightly it binds; higher is tighter.
    pub(super) const fn tightness(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Unless => "unless",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Atan2 => "atan2",
            Self::Pow => "^",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Grouping {
    All,
    By(Vec<String>),
    Without(Spot),
}

/// A selector, with a range where it has one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) selector: Selector,
    pub(super) range: Option<Duration>,
}

/// A metric and matchers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Selector {
    /// Empty where none is named.
    pub(super) metric: String,
    pub(super) matchers: Vec<Matcher>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matcher {
    pub(super) label: String,
    pub(super) op: &'static str,
    pub(super) value: String,
}

impl Selector {
    /// The same over another metric.
    pub(super) fn named(&self, metric: impl Into<String>) -> Self {
        Self { metric: metric.into(), matchers: self.matchers.clone() }
    }
}

impl fmt::Display for Selector {
    /// As our selectors are read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = is_plain(&self.metric, true);
        if plain {
            f.write_str(&self.metric)?;
        }
        if plain && self.matchers.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        let mut between = "";
        if !plain {
            write!(f, "{}", quoted(&self.metric))?;
            between = ",";
        }
        for Matcher { label, op, value } in &self.matchers {
            let label = if is_plain(label, false) { label.clone() } else { quoted(label) };
            write!(f, "{between}{label}{op}{}", quoted(value))?;
            between = ",";
        }
        f.write_str("}")
    }
}

fn is_plain(name: &str, metric: bool) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || (metric && c == ':');
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(inside)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
