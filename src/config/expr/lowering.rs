//! Conditions: text to the typed program that the core evaluates. evalexpr builds the tree, for
//! which every operand is renamed to its place among the words; so each node of the tree is
//! known by where it stands, and nothing that evalexpr makes of a literal matters.
//!
//! It must never hand evalexpr a text that was not cut and checked by `token` first: evalexpr
//! overflows the stack on deep ones.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use evalexpr::{Node, Operator};

use crate::model::condition::{Arith, Compare, Cond, Condition, Extreme, Num};
use crate::model::index::SignalIx;
use crate::model::signal::Unit;

use super::lexer::{Token, Word, tokenize};
use super::units::{self, Measure};
use crate::config::syntax::diagnostic::{MAX_SUGGESTED, nearest};
use crate::config::syntax::tree::Fault;

/// The signals that a condition may name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Where a signal is and what it measures. A signal that could not be read has a place too,
    /// so that its users are judged for their own mistakes only.
    signals: HashMap<String, (SignalIx, Option<Unit>)>,
    /// The labels by which a signal is read, where it is.
    by: HashMap<SignalIx, Vec<String>>,
    /// Why a signal has no earlier reading.
    no_before: HashMap<String, String>,
    /// For how many unknown names a near one was looked up.
    suggested: Cell<usize>,
    /// How many words were read.
    words: Cell<usize>,
}

/// The most words in the conditions and expressions of all files: a thousand rules of fifty
/// words each, where people write ten. Each takes most of a microsecond.
const MAX_WORDS: usize = 50_000;

impl Names {
    pub(crate) fn insert(&mut self, name: &str, ix: SignalIx, unit: Option<Unit>) {
        self.signals.insert(name.to_owned(), (ix, unit));
    }

    /// Says by which labels a signal is read.
    pub(crate) fn read_by(&mut self, ix: SignalIx, by: &[String]) {
        self.by.insert(ix, by.to_vec());
    }

    /// Says why a signal has no earlier reading.
    pub(crate) fn refuse_before(&mut self, name: &str, why: String) {
        self.no_before.insert(name.to_owned(), why);
    }

    /// The labels by which the signals are read that `each` goes through; an error says which two
    /// are read by different ones.
    pub(crate) fn by(
        &self,
        each: impl FnOnce(&mut dyn FnMut(SignalIx)),
    ) -> Result<Vec<String>, String> {
        let mut found: Option<SignalIx> = None;
        let mut odd: Option<(SignalIx, SignalIx)> = None;
        each(&mut |ix| {
            let Some(by) = self.by.get(&ix).filter(|by| !by.is_empty()) else { return };
            match found {
                None => found = Some(ix),
                Some(first) if self.by.get(&first) != Some(by) => odd = odd.or(Some((first, ix))),
                Some(_) => {}
            }
        });
        match (found, odd) {
            (_, Some((a, b))) => Err(format!("{} but {}", self.describe(a), self.describe(b))),
            (Some(ix), None) => Ok(self.by[&ix].clone()),
            (None, None) => Ok(Vec::new()),
        }
    }

    fn describe(&self, ix: SignalIx) -> String {
        let named = |(name, (at, _)): (&String, &(SignalIx, Option<Unit>))| {
            (*at == ix).then(|| name.clone())
        };
        let name = self.signals.iter().filter_map(named).min().unwrap_or_default();
        let by = self.by.get(&ix).map(|by| by.join(", ")).unwrap_or_default();
        format!("`{name}` is read by {by}")
    }
}

/// Why a condition cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It says something wrong.
    Wrong(Fault),
    /// It names a signal that is not there.
    Missing(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Wrong(fault)
    }
}

/// Reads a truth value.
pub(crate) fn condition(text: &str, names: &Names) -> Result<Condition, Refused> {
    let whole = 0..text.len();
    let Lowered { value, signals, span } = lower(text, names)?;
    let Value::Truth(cond) = value else {
        return Err(Fault::new(span, "a condition compares, this is a number")
            .label("add a limit, as in `> 5%`")
            .into());
    };
    if signals == 0 {
        return Err(Fault::new(whole, "the condition names no signal, it never changes").into());
    }
    // In one line, because it is shown in tables and in the journal.
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(Condition { text: lines.join(" "), cond })
}

/// Reads arithmetic.
pub(crate) fn arithmetic(text: &str, names: &Names) -> Result<Num, Refused> {
    let Lowered { value, signals, span } = lower(text, names)?;
    match value {
        Value::Number(..) if signals == 0 => {
            Err(Fault::new(span, "the expression names no signal")
                .help("a constant is written with `value`")
                .into())
        }
        Value::Number(num, _) => Ok(num),
        Value::Truth(_) => Err(Fault::new(span, "an `expr` is a number, this compares")
            .help("comparisons belong into a rule's `when`")
            .into()),
    }
}

/// The names that an expression mentions, each once, functions left out; nothing where it cannot
/// be read.
pub(crate) fn mentioned(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for word in tokenize(text).unwrap_or_default() {
        if let Token::Name(name) = word.token
            && !super::lexer::FUNCTIONS.contains(&name.as_str())
            && !all.contains(&name)
        {
            all.push(name);
        }
    }
    all
}

/// A lowered expression.
struct Lowered {
    value: Value,
    /// How many signals it reads.
    signals: usize,
    /// Where it stands.
    span: Range<usize>,
}

enum Value {
    Number(Num, Measure),
    Truth(Cond),
}

/// The text that evalexpr is given: the word's place for every name and literal.
fn rename(words: &[Word]) -> String {
    let mut text = String::new();
    for (place, word) in words.iter().enumerate() {
        match &word.token {
            Token::Number(..) | Token::Name(_) => text.push_str(&format!("t{place}")),
            Token::Binary(operator) => text.push_str(operator),
            Token::Minus => text.push('-'),
            Token::Not => text.push('!'),
            Token::Open => text.push('('),
            Token::Close => text.push(')'),
            Token::Comma => text.push(','),
        }
        text.push(' ');
    }
    text
}

fn lower(text: &str, names: &Names) -> Result<Lowered, Refused> {
    let words = tokenize(text)?;
    let all = names.words.get() + words.len();
    if all > MAX_WORDS {
        let message = format!("all conditions together have more than {MAX_WORDS} words");
        return Err(Fault::new(0..text.len(), message).into());
    }
    names.words.set(all);
    let unreadable = |_| Fault::new(0..text.len(), "the expression cannot be read");
    let tree = evalexpr::build_operator_tree(&rename(&words)).map_err(unreadable)?;
    Lowering { words: &words, names, text }.node(&tree)
}

/// Walks the tree.
struct Lowering<'a> {
    words: &'a [Word],
    names: &'a Names,
    text: &'a str,
}

impl Lowering<'_> {
    fn node(&self, node: &Node) -> Result<Lowered, Refused> {
        let children = node.children();
        match (node.operator(), children) {
            (Operator::RootNode, [inner]) => self.node(inner),
            (Operator::VariableIdentifierRead { identifier }, []) => self.leaf(identifier),
            (Operator::FunctionIdentifier { identifier }, [operands]) => {
                self.call(identifier, operands)
            }
            (Operator::Neg, [operand]) => self.negate(operand),
            (Operator::Not, [operand]) => self.not(operand),
            (operator, [left, right]) => {
                if let Some(arith) = arith(operator) {
                    self.arith(arith, left, right)
                } else if let Some(compare) = compare(operator) {
                    self.compare(compare, left, right)
                } else {
                    self.logic(operator, left, right)
                }
            }
            _ => Err(self.unreadable()),
        }
    }

    fn unreadable(&self) -> Refused {
        Fault::new(0..self.text.len(), "the expression cannot be read").into()
    }

    fn word(&self, identifier: &str) -> Result<&Word, Refused> {
        let place: Option<usize> = identifier.strip_prefix('t').and_then(|n| n.parse().ok());
        place.and_then(|place| self.words.get(place)).ok_or_else(|| self.unreadable())
    }

    fn leaf(&self, identifier: &str) -> Result<Lowered, Refused> {
        let Word { token, span } = self.word(identifier)?;
        let number = |num, measure, signals| {
            Ok(Lowered { value: Value::Number(num, measure), signals, span: span.clone() })
        };
        match token {
            Token::Number(value, None) => number(Num::Const(*value), Measure::PLAIN, 0),
            Token::Number(value, unit @ Some(_)) => {
                let measure = Measure { literal: Some(span.clone()), ..Measure::of(*unit) };
                number(Num::Const(*value), measure, 0)
            }
            Token::Name(name) => match self.names.signals.get(name) {
                Some((ix, unit)) => number(Num::Signal(*ix), Measure::of(*unit), 1),
                None => Err(Refused::Missing(self.unknown(name, span))),
            },
            Token::Binary(_)
            | Token::Minus
            | Token::Not
            | Token::Open
            | Token::Close
            | Token::Comma => Err(self.unreadable()),
        }
    }

    fn unknown(&self, name: &str, span: &Range<usize>) -> Fault {
        let derived = name.split_once('.').filter(|(of, _)| self.names.signals.contains_key(*of));
        match derived {
            Some((of, "baseline")) => {
                return Fault::new(span.clone(), format!("signal `{of}` has no baseline"))
                    .help(format!("write [signal.{of}.baseline], as in `from = \"before\"`"));
            }
            Some((of, _)) => {
                let why = self.names.no_before.get(of).map_or("", String::as_str);
                return Fault::new(span.clone(), format!("there is no `{name}`")).label(why);
            }
            None => {}
        }
        let fault = Fault::new(span.clone(), format!("unknown signal `{name}`"));
        let suggested = self.names.suggested.get();
        if suggested == MAX_SUGGESTED {
            return fault;
        }
        self.names.suggested.set(suggested + 1);
        let mut known: Vec<_> = self.names.signals.keys().map(String::as_str).collect();
        known.sort_unstable();
        match nearest(name, known) {
            Some(near) => fault.label(format!("did you mean `{near}`?")),
            None => fault,
        }
    }

    fn call(&self, identifier: &str, operands: &Node) -> Result<Lowered, Refused> {
        let Word { token, span } = self.word(identifier)?;
        let Token::Name(name) = token else { return Err(self.unreadable()) };
        let mut end = span.end;
        let (mut nums, mut signals, mut all) = (Vec::new(), 0, Measure::PLAIN);
        for operand in flatten(operands) {
            let (num, measure, lowered) = self.number(operand, name)?;
            all = if nums.is_empty() { measure } else { self.agree(all, measure)? };
            nums.push(num);
            signals += lowered.signals;
            end = lowered.span.end;
        }
        let num = match name.as_str() {
            "min" => Num::Extreme(Extreme::Min, nums),
            "max" => Num::Extreme(Extreme::Max, nums),
            "abs" => {
                let mut nums = nums.into_iter();
                match (nums.next(), nums.next()) {
                    (Some(operand), None) => Num::Abs(Box::new(operand)),
                    _ => return Err(Fault::new(span.start..end, "`abs` takes one operand").into()),
                }
            }
            _ => return Err(self.unreadable()),
        };
        Ok(Lowered { value: Value::Number(num, all), signals, span: span.start..end })
    }

    fn negate(&self, operand: &Node) -> Result<Lowered, Refused> {
        let (num, measure, inner) = self.number(operand, "-")?;
        Ok(inner.with(Value::Number(Num::Neg(Box::new(num)), measure)))
    }

    fn not(&self, operand: &Node) -> Result<Lowered, Refused> {
        let (cond, inner) = self.truth(operand, "!")?;
        Ok(inner.with(Value::Truth(Cond::Not(Box::new(cond)))))
    }

    fn arith(&self, operator: Arith, left: &Node, right: &Node) -> Result<Lowered, Refused> {
        let symbol = match operator {
            Arith::Add => "+",
            Arith::Sub => "-",
            Arith::Mul => "*",
            Arith::Div => "/",
        };
        let (left, left_measure, inner) = self.number(left, symbol)?;
        let (right, right_measure, other) = self.number(right, symbol)?;
        if operator == Arith::Div && right == Num::Const(0.0) {
            return Err(Fault::new(other.span, "dividing by zero never gives a reading").into());
        }
        let measure = match operator {
            Arith::Add | Arith::Sub => self.agree(left_measure, right_measure)?,
            Arith::Mul | Arith::Div => left_measure.scaled(operator, right_measure),
        };
        let num = Num::Arith(operator, Box::new(left), Box::new(right));
        Ok(join(Value::Number(num, measure), &inner, &other))
    }

    fn compare(&self, operator: Compare, left: &Node, right: &Node) -> Result<Lowered, Refused> {
        let symbol = operator.to_string();
        let (left, left_measure, inner) = self.number(left, &symbol)?;
        let (right, right_measure, other) = self.number(right, &symbol)?;
        self.agree(left_measure, right_measure)?;
        Ok(join(Value::Truth(Cond::Compare(left, operator, right)), &inner, &other))
    }

    fn logic(&self, operator: &Operator, left: &Node, right: &Node) -> Result<Lowered, Refused> {
        let and = *operator == Operator::And;
        if !and && *operator != Operator::Or {
            return Err(self.unreadable());
        }
        let symbol = if and { "&&" } else { "||" };
        let (left, inner) = self.truth(left, symbol)?;
        let (right, other) = self.truth(right, symbol)?;
        let (left, right) = (Box::new(left), Box::new(right));
        let cond = if and { Cond::And(left, right) } else { Cond::Or(left, right) };
        Ok(join(Value::Truth(cond), &inner, &other))
    }

    /// What both operands measure, if a literal does not say otherwise.
    fn agree(&self, left: Measure, right: Measure) -> Result<Measure, Refused> {
        left.agree(right).map_err(|(left, right, literal)| {
            let (left, right) = (units::name(left), units::name(right));
            let written = &self.text[literal.clone()];
            Fault::new(literal, format!("`{written}` does not fit"))
                .label(format!("{left} against {right}"))
                .help("a signal's `unit` says what it measures, where its name misleads")
                .into()
        })
    }

    /// The operand of something that needs a number.
    fn number(&self, node: &Node, of: &str) -> Result<(Num, Measure, Operand), Refused> {
        let Lowered { value, signals, span } = self.node(node)?;
        match value {
            Value::Number(num, measure) => Ok((num, measure, Operand { signals, span })),
            Value::Truth(_) => {
                let fault =
                    Fault::new(span, format!("`{of}` needs numbers, this is true or false"));
                Err(fault.help("comparisons are joined with `&&`, as in `1 < a && a < 5`").into())
            }
        }
    }

    /// The operand of something that needs a truth value.
    fn truth(&self, node: &Node, of: &str) -> Result<(Cond, Operand), Refused> {
        let Lowered { value, signals, span } = self.node(node)?;
        match value {
            Value::Truth(cond) => Ok((cond, Operand { signals, span })),
            Value::Number(..) => {
                let fault =
                    Fault::new(span, format!("`{of}` needs true or false, this is a number"));
                Err(match of {
                    "!" => fault.help("put the comparison into parentheses, as in `!(a > 5)`"),
                    _ => fault.label("add a limit, as in `> 5%`"),
                }
                .into())
            }
        }
    }
}

/// What is known of an operand apart from its value.
struct Operand {
    signals: usize,
    span: Range<usize>,
}

impl Operand {
    fn with(self, value: Value) -> Lowered {
        Lowered { value, signals: self.signals, span: self.span }
    }
}

fn join(value: Value, left: &Operand, right: &Operand) -> Lowered {
    let span = left.span.start.min(right.span.start)..left.span.end.max(right.span.end);
    Lowered { value, signals: left.signals + right.signals, span }
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

fn arith(operator: &Operator) -> Option<Arith> {
    let all = [
        (Operator::Add, Arith::Add),
        (Operator::Sub, Arith::Sub),
        (Operator::Mul, Arith::Mul),
        (Operator::Div, Arith::Div),
    ];
    all.into_iter().find(|(theirs, _)| theirs == operator).map(|(_, ours)| ours)
}

fn compare(operator: &Operator) -> Option<Compare> {
    let all = [
        (Operator::Lt, Compare::Less),
        (Operator::Leq, Compare::LessOrEqual),
        (Operator::Gt, Compare::Greater),
        (Operator::Geq, Compare::GreaterOrEqual),
        (Operator::Eq, Compare::Equal),
        (Operator::Neq, Compare::NotEqual),
    ];
    all.into_iter().find(|(theirs, _)| theirs == operator).map(|(_, ours)| ours)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::expr::lexer::{MAX_DEPTH, MAX_TOKENS};

    fn names() -> Names {
        let mut names = Names::default();
        names.insert("a", SignalIx(0), None);
        names.insert("b", SignalIx(1), None);
        names.insert("error_rate", SignalIx(2), Some(Unit::Ratio));
        names.insert("p95", SignalIx(3), Some(Unit::Seconds));
        names.insert("used", SignalIx(4), Some(Unit::Bytes));
        names.insert("limit", SignalIx(5), Some(Unit::Bytes));
        names.insert("requests", SignalIx(6), Some(Unit::PerSecond));
        names
    }

    fn fault(text: &str) -> Fault {
        match condition(text, &names()) {
            Err(Refused::Wrong(fault) | Refused::Missing(fault)) => fault,
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
            let fault = fault(text);
            assert_eq!(&text[fault.span.clone()], wrong, "{text}: {}", fault.message);
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
            assert!(condition(text, &names()).is_ok(), "{text}: {:?}", fault(text));
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
            assert_eq!(&text[fault(text).span], wrong, "{text}");
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
        fn no_soup_of_words_makes_it_panic_and_every_fault_stands_within_the_text(
            words in proptest::collection::vec(proptest::sample::select(vec![
                "a", "b", "p95", "min", "abs", "(", ")", ",", "-", "!", "+", "/", "*", ">", "<=",
                "==",
                "&&", "||", "5%", "2s", "1", "0", ";", "=", "é", "  ", "a.before", "1e", "&",
            ]), 0..24)
        ) {
            let text = words.concat();
            let read = condition(&text, &names());
            if let Err(Refused::Wrong(fault) | Refused::Missing(fault)) = read {
                prop_assert!(text.get(fault.span.clone()).is_some(), "{} {:?}", text, fault);
            }
        }
    }
}
