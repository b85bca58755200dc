//! Conditions: text to the typed program that the core evaluates. evalexpr builds the tree, for
//! which every operand is renamed to its index among the tokens; so each node of the tree is known
//! by where it stands, and nothing that evalexpr makes of a literal matters.
//!
//! It must never hand evalexpr a text that the lexer did not cut and check first: evalexpr
//! overflows the stack on deep ones.

use std::ops::Range;

use evalexpr::{Node, Operator};

use crate::model::condition::{Arith, Compare, Cond, Condition, Extreme, Num};

use super::lexer::{ExprToken, LocatedToken, is_signal, tokenize};
use super::scope::{MAX_WORDS, SignalScope};
use super::units::{self, Quantity};
use crate::config::syntax::Diagnostic;

/// Reads a truth value.
pub(crate) fn condition(text: &str, signals: &SignalScope) -> Result<Condition, Diagnostic> {
    let (lowered, names_signal) = lower(text, signals)?;
    let cond = match lowered {
        Lowered::Truth(cond, _) => cond,
        Lowered::Number(_, _, span) => {
            let error = Diagnostic::new(span, "a condition compares, this is a number");
            return Err(error.label("add a limit, as in `> 5%`"));
        }
    };
    if !names_signal {
        let message = "the condition names no signal, it never changes";
        return Err(Diagnostic::new(0..text.len(), message));
    }
    // In one line, because it is shown in tables and in the journal.
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(Condition { text: lines.join(" "), cond })
}

/// Reads arithmetic.
pub(crate) fn arithmetic(text: &str, signals: &SignalScope) -> Result<Num, Diagnostic> {
    match lower(text, signals)? {
        (Lowered::Number(_, _, span), false) => {
            let error = Diagnostic::new(span, "the expression names no signal");
            Err(error.help("a constant is written with `value`"))
        }
        (Lowered::Number(num, ..), true) => Ok(num),
        (Lowered::Truth(_, span), _) => {
            let error = Diagnostic::new(span, "an `expr` is a number, this compares");
            Err(error.help("comparisons belong into a rule's `when`"))
        }
    }
}

/// What makes one condition of two.
type Join = fn(Box<Cond>, Box<Cond>) -> Cond;

/// A lowered expression and where it stands.
enum Lowered {
    Number(Num, Quantity, Range<usize>),
    Truth(Cond, Range<usize>),
}

/// The text that evalexpr is given: the token's index for every name and literal.
fn rename(tokens: &[LocatedToken]) -> String {
    let mut text = String::new();
    for (index, located) in tokens.iter().enumerate() {
        match &located.token {
            ExprToken::Number(..) | ExprToken::Name(_) => text.push_str(&format!("t{index}")),
            ExprToken::Binary(operator) => text.push_str(operator),
            ExprToken::Minus => text.push('-'),
            ExprToken::Not => text.push('!'),
            ExprToken::Open => text.push('('),
            ExprToken::Close => text.push(')'),
            ExprToken::Comma => text.push(','),
        }
        text.push(' ');
    }
    text
}

/// The lowered text, and whether it names a signal.
fn lower(text: &str, signals: &SignalScope) -> Result<(Lowered, bool), Diagnostic> {
    let tokens = tokenize(text)?;
    if !signals.count_words(tokens.len()) {
        let message = format!("all conditions together have more than {MAX_WORDS} words");
        return Err(Diagnostic::new(0..text.len(), message));
    }
    let lowering = Lowering { tokens: &tokens, signals, text };
    let tree = evalexpr::build_operator_tree(&rename(&tokens));
    let lowered = lowering.node(&tree.map_err(|_| lowering.unreadable())?)?;
    Ok((lowered, tokens.iter().any(|located| is_signal(&located.token))))
}

/// Walks the tree.
struct Lowering<'a> {
    tokens: &'a [LocatedToken],
    signals: &'a SignalScope,
    text: &'a str,
}

impl Lowering<'_> {
    fn node(&self, node: &Node) -> Result<Lowered, Diagnostic> {
        match (node.operator(), node.children()) {
            (Operator::RootNode, [inner]) => self.node(inner),
            (Operator::VariableIdentifierRead { identifier }, []) => self.leaf(identifier),
            (Operator::FunctionIdentifier { identifier }, [operands]) => {
                self.call(identifier, operands)
            }
            (Operator::Neg, [operand]) => {
                let (num, quantity, span) = self.number(operand, "-")?;
                Ok(Lowered::Number(Num::Neg(Box::new(num)), quantity, span))
            }
            (Operator::Not, [operand]) => {
                let (cond, span) = self.truth(operand, "!")?;
                Ok(Lowered::Truth(Cond::Not(Box::new(cond)), span))
            }
            (Operator::Add, [left, right]) => self.arith(Arith::Add, "+", [left, right]),
            (Operator::Sub, [left, right]) => self.arith(Arith::Sub, "-", [left, right]),
            (Operator::Mul, [left, right]) => self.arith(Arith::Mul, "*", [left, right]),
            (Operator::Div, [left, right]) => self.arith(Arith::Div, "/", [left, right]),
            (Operator::Lt, [left, right]) => self.compare(Compare::Less, [left, right]),
            (Operator::Leq, [left, right]) => self.compare(Compare::LessOrEqual, [left, right]),
            (Operator::Gt, [left, right]) => self.compare(Compare::Greater, [left, right]),
            (Operator::Geq, [left, right]) => self.compare(Compare::GreaterOrEqual, [left, right]),
            (Operator::Eq, [left, right]) => self.compare(Compare::Equal, [left, right]),
            (Operator::Neq, [left, right]) => self.compare(Compare::NotEqual, [left, right]),
            (Operator::And, [left, right]) => self.logic(Cond::And, "&&", [left, right]),
            (Operator::Or, [left, right]) => self.logic(Cond::Or, "||", [left, right]),
            _ => Err(self.unreadable()),
        }
    }

    fn unreadable(&self) -> Diagnostic {
        Diagnostic::new(0..self.text.len(), "the expression cannot be read")
    }

    fn token(&self, identifier: &str) -> Result<&LocatedToken, Diagnostic> {
        let index: Option<usize> = identifier.strip_prefix('t').and_then(|n| n.parse().ok());
        index.and_then(|index| self.tokens.get(index)).ok_or_else(|| self.unreadable())
    }

    fn leaf(&self, identifier: &str) -> Result<Lowered, Diagnostic> {
        let LocatedToken { token, span } = self.token(identifier)?;
        let number = |num, quantity| Ok(Lowered::Number(num, quantity, span.clone()));
        if let ExprToken::Number(value, unit) = token {
            let quantity = match unit {
                None => Quantity::PLAIN,
                Some(_) => Quantity { literal: Some(span.clone()), ..Quantity::of(*unit) },
            };
            return number(Num::Const(*value), quantity);
        }
        let ExprToken::Name(name) = token else { return Err(self.unreadable()) };
        match self.signals.get(name) {
            Some((ix, unit)) => number(Num::Signal(ix), Quantity::of(unit)),
            None => Err(Diagnostic { is_missing: true, ..self.signals.unknown(name, span) }),
        }
    }

    fn call(&self, identifier: &str, operands: &Node) -> Result<Lowered, Diagnostic> {
        let LocatedToken { token, span } = self.token(identifier)?;
        let ExprToken::Name(name) = token else { return Err(self.unreadable()) };
        let mut end = span.end;
        let (mut nums, mut all) = (Vec::new(), Quantity::PLAIN);
        for operand in flatten(operands) {
            let (num, quantity, span) = self.number(operand, name)?;
            all = if nums.is_empty() { quantity } else { self.agree(all, quantity)? };
            nums.push(num);
            end = span.end;
        }
        let span = span.start..end;
        let num = match name.as_str() {
            "min" => Num::Extreme(Extreme::Min, nums),
            "max" => Num::Extreme(Extreme::Max, nums),
            _ => match nums.pop() {
                Some(operand) if nums.is_empty() => Num::Abs(Box::new(operand)),
                _ => return Err(Diagnostic::new(span, "`abs` takes one operand")),
            },
        };
        Ok(Lowered::Number(num, all, span))
    }

    fn arith(&self, operator: Arith, symbol: &str, of: [&Node; 2]) -> Result<Lowered, Diagnostic> {
        let (left, left_quantity, left_span) = self.number(of[0], symbol)?;
        let (right, right_quantity, right_span) = self.number(of[1], symbol)?;
        if operator == Arith::Div && right == Num::Const(0.0) {
            let message = "dividing by zero never gives a reading";
            return Err(Diagnostic::new(right_span, message));
        }
        let quantity = match operator {
            Arith::Add | Arith::Sub => self.agree(left_quantity, right_quantity)?,
            Arith::Mul | Arith::Div => left_quantity.scaled(operator, right_quantity),
        };
        let num = Num::Arith(operator, Box::new(left), Box::new(right));
        Ok(Lowered::Number(num, quantity, left_span.start..right_span.end))
    }

    fn compare(&self, operator: Compare, of: [&Node; 2]) -> Result<Lowered, Diagnostic> {
        let symbol = operator.to_string();
        let (left, left_quantity, left_span) = self.number(of[0], &symbol)?;
        let (right, right_quantity, right_span) = self.number(of[1], &symbol)?;
        self.agree(left_quantity, right_quantity)?;
        let cond = Cond::Compare(left, operator, right);
        Ok(Lowered::Truth(cond, left_span.start..right_span.end))
    }

    fn logic(&self, join: Join, symbol: &str, of: [&Node; 2]) -> Result<Lowered, Diagnostic> {
        let (left, left_span) = self.truth(of[0], symbol)?;
        let (right, right_span) = self.truth(of[1], symbol)?;
        let cond = join(Box::new(left), Box::new(right));
        Ok(Lowered::Truth(cond, left_span.start..right_span.end))
    }

    /// What both operands measure, if a literal does not say otherwise.
    fn agree(&self, left: Quantity, right: Quantity) -> Result<Quantity, Diagnostic> {
        left.agree(right).map_err(|(left, right, literal)| {
            let (left, right) = (units::name(left), units::name(right));
            let written = &self.text[literal.clone()];
            Diagnostic::new(literal, format!("`{written}` does not fit"))
                .label(format!("{left} against {right}"))
                .help("a signal's `unit` says what it measures, where its name misleads")
        })
    }

    /// The operand of something that needs a number.
    fn number(&self, node: &Node, of: &str) -> Result<(Num, Quantity, Range<usize>), Diagnostic> {
        match self.node(node)? {
            Lowered::Number(num, quantity, span) => Ok((num, quantity, span)),
            Lowered::Truth(_, span) => {
                let message = format!("`{of}` needs numbers, this is true or false");
                let error = Diagnostic::new(span, message);
                Err(error.help("comparisons are joined with `&&`, as in `1 < a && a < 5`"))
            }
        }
    }

    /// The operand of something that needs a truth value.
    fn truth(&self, node: &Node, of: &str) -> Result<(Cond, Range<usize>), Diagnostic> {
        match self.node(node)? {
            Lowered::Truth(cond, span) => Ok((cond, span)),
            Lowered::Number(_, _, span) => {
                let message = format!("`{of}` needs true or false, this is a number");
                let error = Diagnostic::new(span, message);
                Err(match of {
                    "!" => error.help("put the comparison into parentheses, as in `!(a > 5)`"),
                    _ => error.label("add a limit, as in `> 5%`"),
                })
            }
        }
    }
}

/// The operands of a call: evalexpr wraps several in a tuple, each in a root of its own.
fn flatten(operands: &Node) -> Vec<&Node> {
    let inner = match (operands.operator(), operands.children()) {
        (Operator::RootNode, [inner]) => inner,
        _ => operands,
    };
    if *inner.operator() == Operator::Tuple {
        inner.children().iter().collect()
    } else {
        vec![inner]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::expr::lexer::{MAX_DEPTH, MAX_TOKENS};
    use crate::model::index::SignalIx;
    use crate::model::signal::Unit;

    fn names() -> SignalScope {
        let mut names = SignalScope::default();
        names.insert("a", SignalIx(0), None);
        names.insert("b", SignalIx(1), None);
        names.insert("error_rate", SignalIx(2), Some(Unit::Ratio));
        names.insert("p95", SignalIx(3), Some(Unit::Seconds));
        names.insert("used", SignalIx(4), Some(Unit::Bytes));
        names.insert("limit", SignalIx(5), Some(Unit::Bytes));
        names.insert("requests", SignalIx(6), Some(Unit::PerSecond));
        names
    }

    fn error(text: &str) -> Diagnostic {
        match condition(text, &names()) {
            Err(error) => error,
            Ok(condition) => panic!("{text} reads as {:?}", condition.cond),
        }
    }

    #[test]
    fn a_condition_is_lowered_as_it_is_read_aloud() {
        let cond = |text: &str| condition(text, &names()).unwrap().cond;
        let signal = |ix| Num::Signal(SignalIx(ix));
        assert_eq!(
            cond("error_rate > 5%"),
            Cond::Compare(signal(2), Compare::Greater, Num::Const(0.05))
        );
        assert_eq!(cond("a > 1 || a > 2 && a > 3"), cond("a > 1 || (a > 2 && a > 3)"));
        assert_eq!(cond("a + b * 2 > 1"), cond("(a + (b * 2)) > 1"));
        assert_eq!(cond("-a * b > 1"), cond("(-a) * b > 1"));
        assert_eq!(cond("a - b - 1 > 0"), cond("((a - b) - 1) > 0"));
        assert_eq!(cond("!(a > 1) && b > 1"), cond("(!(a > 1)) && (b > 1)"));
        assert_eq!(cond("a>-1"), cond("a > (-1)"));
        assert_eq!(cond("a - -1 > 0"), cond("a - (-1) > 0"));
    }

    #[test]
    fn a_condition_over_several_lines_is_shown_in_one() {
        let read = condition("\n  a > 1\r\n    && b > 2\n", &names()).unwrap();
        assert_eq!(read.text, "a > 1 && b > 2");
    }

    #[test]
    fn what_is_wrong_is_found_where_it_stands() {
        let check = |text: &str, wrong: &str| {
            let error = error(text);
            assert_eq!(&text[error.span.start..error.span.end], wrong, "{text}: {}", error.message);
        };
        check("eror_rate > 5%", "eror_rate");
        check("a < b < 3", "a < b");
        check("a > 1; true", ";");
        check("a > 1, b > 2", ",");
        check("a = 1", "=");
        check("a > 1 && b", "b");
        check("(a > 1) + 1 > 0", "a > 1");
        check("!a > 1", "a");
        check("a", "a");
        check("1 > 0", "1 > 0");
        check("a > 5 % 2", "%");
        check("abs(a, b) > 1", "abs(a, b");
        check("a / 0 > 1", "0");
        check("sqrt(a) > 1", "sqrt");
        check("min > 1", "min");
        check("p95.baseline > 1", "p95.baseline");
        check("a > 1e999", "1e999");
        check("a == \"x\"", "\"");
        check("a > 1 and b > 1", "and");
        check("true", "true");
        check("", "");
    }

    #[test]
    fn a_literal_fits_what_it_is_compared_with() {
        let fits = [
            "error_rate > 5%",
            "error_rate > 0.05",
            "p95 > 250ms",
            "used > 64MiB",
            "a > 5%",
            "a > 5s",
            "used > 90% * limit",
            "used / limit > 90%",
            "p95 * 2 > 1s",
            "p95 / 2 > 1s",
            "-p95 < 1s",
            "p95 > a + 1s",
            "max(p95, 1s) > 2",
            "requests > 1",
            "p95 > used",
            "used - 5MiB > limit",
            "abs(p95 - 1s) > 100ms",
        ];
        for text in fits {
            assert!(condition(text, &names()).is_ok(), "{text}: {:?}", error(text));
        }
        let contradicts = [
            ("error_rate > 5s", "5s"),
            ("p95 > 5%", "5%"),
            ("64MiB < p95", "64MiB"),
            ("p95 + 5% > 1", "5%"),
            ("used / limit > 5s", "5s"),
            ("max(p95, 5%) > 1", "5%"),
            ("requests > 5s", "5s"),
            ("abs(p95) > 1KiB", "1KiB"),
            ("used * 90% > 5s", "5s"),
            ("used / 50% > 5s", "5s"),
            ("90% * used > 5s", "5s"),
            ("p95 * 2 > 5%", "5%"),
        ];
        for (text, wrong) in contradicts {
            let span = error(text).span;
            assert_eq!(&text[span.start..span.end], wrong, "{text}");
        }
    }

    #[test]
    fn the_longest_condition_that_is_allowed_does_not_overflow_the_stack() {
        let flat = "a".to_owned() + &"+a".repeat(MAX_TOKENS / 2 - 2) + ">1";
        assert!(condition(&flat, &names()).is_ok());
        let deep = "(".repeat(MAX_DEPTH) + "a" + &")".repeat(MAX_DEPTH) + ">1";
        assert!(condition(&deep, &names()).is_ok());
        let long = "a".to_owned() + &"+a".repeat(MAX_TOKENS) + ">1";
        assert!(condition(&long, &names()).is_err());
        for deep in ["(", "-", "!", "abs(", "a+(", "!!(-"] {
            assert!(condition(&deep.repeat(100_000), &names()).is_err());
        }
    }

    /// How tightly an operator binds, as every language that operators know has it.
    fn num_strength(num: &Num) -> u8 {
        match num {
            Num::Arith(Arith::Add | Arith::Sub, ..) => 4,
            Num::Arith(Arith::Mul | Arith::Div, ..) => 5,
            Num::Neg(_) => 6,
            Num::Const(_) | Num::Signal(_) | Num::Extreme(..) | Num::Abs(_) => 7,
        }
    }

    fn cond_strength(cond: &Cond) -> u8 {
        match cond {
            Cond::Or(..) => 1,
            Cond::And(..) => 2,
            Cond::Compare(..) => 3,
            Cond::Not(_) => 6,
        }
    }

    fn parenthesised(text: String, strength: u8, least: u8) -> String {
        if strength < least { format!("({text})") } else { text }
    }

    /// Written with as few parentheses as possible; a right operand of the same strength needs
    /// them.
    fn write_num(num: &Num, least: u8) -> String {
        let text = match num {
            Num::Const(value) => format!("{value}"),
            Num::Signal(SignalIx(ix)) => ["a", "b"][*ix].to_owned(),
            Num::Neg(inner) => format!("-{}", write_num(inner, 6)),
            Num::Abs(inner) => format!("abs({})", write_num(inner, 0)),
            Num::Extreme(extreme, nums) => {
                let name = match extreme {
                    Extreme::Min => "min",
                    Extreme::Max => "max",
                };
                let nums: Vec<_> = nums.iter().map(|num| write_num(num, 0)).collect();
                format!("{name}({})", nums.join(","))
            }
            Num::Arith(operator, left, right) => {
                let (symbol, strength) = match operator {
                    Arith::Add => ("+", 4),
                    Arith::Sub => ("-", 4),
                    Arith::Mul => ("*", 5),
                    Arith::Div => ("/", 5),
                };
                format!("{}{symbol}{}", write_num(left, strength), write_num(right, strength + 1))
            }
        };
        parenthesised(text, num_strength(num), least)
    }

    fn write_cond(cond: &Cond, least: u8) -> String {
        let text = match cond {
            Cond::Compare(left, operator, right) => {
                format!("{} {operator} {}", write_num(left, 4), write_num(right, 4))
            }
            Cond::And(left, right) => {
                format!("{} && {}", write_cond(left, 2), write_cond(right, 3))
            }
            Cond::Or(left, right) => format!("{} || {}", write_cond(left, 1), write_cond(right, 2)),
            Cond::Not(inner) => format!("!{}", write_cond(inner, 6)),
        };
        parenthesised(text, cond_strength(cond), least)
    }

    fn any_num() -> impl Strategy<Value = Num> {
        let leaf = prop_oneof![
            (1_u32..1000).prop_map(|n| Num::Const(f64::from(n) / 8.0)),
            (0_usize..2).prop_map(|ix| Num::Signal(SignalIx(ix))),
        ];
        leaf.prop_recursive(5, 24, 3, |inner| {
            let arith =
                prop_oneof![Just(Arith::Add), Just(Arith::Sub), Just(Arith::Mul), Just(Arith::Div)];
            let extreme = prop_oneof![Just(Extreme::Min), Just(Extreme::Max)];
            prop_oneof![
                4 => (arith, inner.clone(), inner.clone())
                    .prop_map(|(o, l, r)| Num::Arith(o, Box::new(l), Box::new(r))),
                1 => inner.clone().prop_map(|n| Num::Neg(Box::new(n))),
                1 => inner.clone().prop_map(|n| Num::Abs(Box::new(n))),
                1 => (extreme, proptest::collection::vec(inner, 1..4))
                    .prop_map(|(e, nums)| Num::Extreme(e, nums)),
            ]
        })
    }

    fn any_cond() -> impl Strategy<Value = Cond> {
        let compare = prop_oneof![
            Just(Compare::Less),
            Just(Compare::LessOrEqual),
            Just(Compare::Greater),
            Just(Compare::GreaterOrEqual),
            Just(Compare::Equal),
            Just(Compare::NotEqual),
        ];
        let leaf = (any_num(), compare, any_num()).prop_map(|(l, o, r)| Cond::Compare(l, o, r));
        leaf.prop_recursive(4, 6, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone())
                    .prop_map(|(l, r)| Cond::And(Box::new(l), Box::new(r))),
                (inner.clone(), inner.clone())
                    .prop_map(|(l, r)| Cond::Or(Box::new(l), Box::new(r))),
                inner.prop_map(|c| Cond::Not(Box::new(c))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_with_few_parentheses_is_read_as_the_same_tree(cond in any_cond()) {
            let mut signals = 0;
            cond.for_each_signal(&mut |_| signals += 1);
            let text = write_cond(&cond, 0);
            prop_assume!(signals > 0 && tokenize(&text).is_ok());
            let read = condition(&text, &names());
            prop_assert_eq!(read.map(|c| c.cond), Ok(cond), "{}", text);
        }

        #[test]
        fn no_text_whatever_makes_it_panic(text in "\\PC{0,80}") {
            let _ = condition(&text, &names());
            let _ = arithmetic(&text, &names());
        }

        #[test]
        fn no_soup_of_words_makes_it_panic_and_every_error_stands_within_the_text(
            words in proptest::collection::vec(proptest::sample::select(vec![
                "a", "b", "p95", "min", "abs", "(", ")", ",", "-", "!", "+", "/", "*", ">", "<=",
                "==",
                "&&", "||", "5%", "2s", "1", "0", ";", "=", "é", "  ", "a.before", "1e", "&",
            ]), 0..24)
        ) {
            let text = words.concat();
            let read = condition(&text, &names());
            if let Err(error) = read {
                let within = text.get(error.span.start..error.span.end);
                prop_assert!(within.is_some(), "{} {:?}", text, error);
            }
        }
    }
}
