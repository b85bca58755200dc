//! Parses PromQL by recursive descent with a bounded depth. It is our own code because every
//! message needs the place of what it is about: the `promql-parser` crate keeps no places in its
//! tree, and brings sixty crates, a parser generator that runs in the build among them.

use std::time::Duration;

use super::ast::{Binary, Expr, ExprKind, Grouping, Op, SeriesSelector};
use super::lexer::{PromToken, tokens};
use crate::import::rule_files::ExprText;
use crate::import::spot::{Flaw, Spot};
use crate::toml_text::MatcherText;

/// How deep parentheses, calls and signs may nest; ten times what people write.
const MAX_DEPTH: usize = 64;

/// Aggregations of one argument, and those that have a parameter before it.
const AGGREGATIONS: [&[&str]; 2] = [
    &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"],
    &["topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"],
];

/// Parses an expression; `instead` says what to do where it cannot be parsed.
pub(in crate::import) fn parse(source: &ExprText, instead: &str) -> Result<Expr, Flaw> {
    let parse = |tokens: Vec<(PromToken, Spot)>| {
        let mut parser = PromParser { tokens: &tokens, at: 0, depth: 0 };
        let expr = parser.binary(1)?;
        if *parser.token() == PromToken::End { Ok(expr) } else { parser.fail("an operator") }
    };
    let parsed = tokens(source).and_then(parse);
    parsed.map_err(|flaw| Flaw { instead: instead.to_owned(), ..flaw })
}

struct PromParser<'t> {
    /// The last one is the end.
    tokens: &'t [(PromToken, Spot)],
    at: usize,
    depth: usize,
}

impl PromParser<'_> {
    fn token(&self) -> &PromToken {
        &self.tokens[self.at].0
    }

    fn spot(&self) -> Spot {
        self.tokens[self.at].1
    }

    fn fail<T>(&self, wanted: &str) -> Result<T, Flaw> {
        let found = match self.token() {
            PromToken::End => {
                let why = format!("not PromQL: it ends where {wanted} should follow");
                return Err(Flaw::new(self.spot(), why, ""));
            }
            PromToken::Number(number) => number.to_string(),
            PromToken::Duration(_) => "a duration".to_owned(),
            PromToken::Text(_) => "a text".to_owned(),
            PromToken::Name(name) | PromToken::Symbol(name) => name.chars().take(40).collect(),
        };
        let why = format!("not PromQL: expected {wanted}, found `{found}`");
        Err(Flaw::new(self.spot(), why, ""))
    }

    /// Whether this symbol or keyword comes next, the keyword in whatever case.
    fn is(&self, word: &str) -> bool {
        let (PromToken::Name(found) | PromToken::Symbol(found)) = self.token() else {
            return false;
        };
        found.eq_ignore_ascii_case(word)
    }

    /// Takes one of these symbols or keywords, if one comes next.
    fn eat(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let found = words.iter().find(|word| self.is(word)).copied();
        self.at += usize::from(found.is_some());
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), Flaw> {
        if self.eat(&[symbol]).is_some() { Ok(()) } else { self.fail(&format!("`{symbol}`")) }
    }

    /// Takes a name or a quoted text.
    fn label(&mut self) -> Result<String, Flaw> {
        let (PromToken::Name(label) | PromToken::Text(label)) = self.token() else {
            return self.fail("a label");
        };
        let label = label.clone();
        self.at += 1;
        Ok(label)
    }

    /// Parses items in brackets, with commas between them.
    fn list<T>(
        &mut self,
        (open, close): (&'static str, &'static str),
        mut item: impl FnMut(&mut Self) -> Result<T, Flaw>,
    ) -> Result<Vec<T>, Flaw> {
        self.expect(open)?;
        let mut items = Vec::new();
        while self.eat(&[close]).is_none() {
            items.push(item(self)?);
            if self.eat(&[","]).is_none() && !self.is(close) {
                return self.fail(&format!("`,` or `{close}`"));
            }
        }
        Ok(items)
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(self.spot()));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Operands joined by operators that bind at least this tightly.
    fn binary(&mut self, tightness: u8) -> Result<Expr, Flaw> {
        let mut left = self.unary()?;
        while let PromToken::Name(word) | PromToken::Symbol(word) = self.token()
            && let Some(op) = Op::written(word).filter(|op| op.tightness() >= tightness)
        {
            let spot = self.spot();
            self.at += 1;
            let modifier = self.modifiers()?;
            // Only powers associate to the right.
            let next = op.tightness() + u8::from(op != Op::Pow);
            let right = self.deeper(|parser| parser.binary(next))?;
            let binary = Binary { spot, op, left, right, modifier };
            left = Expr { spot, kind: ExprKind::Binary(Box::new(binary)) };
        }
        Ok(left)
    }

    fn modifiers(&mut self) -> Result<Option<(&'static str, Spot)>, Flaw> {
        let mut first = None;
        loop {
            let spot = self.spot();
            let words = ["bool", "on", "ignoring", "group_left", "group_right"];
            let Some(word) = self.eat(&words) else { return Ok(first) };
            first = first.or(Some((word, spot)));
            if word != "bool" && (!word.starts_with("group") || self.is("(")) {
                self.labels()?;
            }
        }
    }

    /// A sign binds less tightly than a power and more tightly than a product.
    fn unary(&mut self) -> Result<Expr, Flaw> {
        let spot = self.spot();
        let Some(sign) = self.eat(&["-", "+"]) else { return self.postfix() };
        let of = self.deeper(|parser| parser.binary(Op::Pow.tightness()))?;
        let neg = |of| Expr { spot, kind: ExprKind::Neg(Box::new(of)) };
        Ok(if sign == "-" { neg(of) } else { of })
    }

    fn postfix(&mut self) -> Result<Expr, Flaw> {
        let (mut expr, mut shifts) = (self.primary()?, 0);
        loop {
            let spot = self.spot();
            let what = match self.eat(&["[", "@", "offset"]) {
                None => return Ok(expr),
                Some("[") => {
                    let given = self.duration()?;
                    if self.eat(&[":"]).is_none() {
                        self.expect("]")?;
                        // This gives a selector its range.
                        let ExprKind::Series(_, range @ None) = &mut expr.kind else {
                            let why = "not PromQL: a range stands only behind a selector";
                            return Err(Flaw::new(expr.spot, why, ""));
                        };
                        *range = Some(given);
                        continue;
                    }
                    if !self.is("]") {
                        self.duration()?;
                    }
                    self.expect("]")?;
                    "a subquery"
                }
                Some("@") => {
                    self.instant()?;
                    "`@`"
                }
                Some(_) => {
                    self.eat(&["-"]);
                    self.duration()?;
                    "`offset`"
                }
            };
            if shifts > MAX_DEPTH {
                return Err(too_deep(spot));
            }
            shifts += 1;
            expr = Expr { spot, kind: ExprKind::Shifted(what, Box::new(expr)) };
        }
    }

    fn instant(&mut self) -> Result<(), Flaw> {
        if self.eat(&["start", "end"]).is_some() {
            self.expect("(")?;
            return self.expect(")");
        }
        self.eat(&["-"]);
        if !matches!(self.token(), PromToken::Number(_)) {
            return self.fail("a time");
        }
        self.at += 1;
        Ok(())
    }

    fn duration(&mut self) -> Result<Duration, Flaw> {
        let duration = match self.token() {
            PromToken::Duration(duration) => Some(*duration),
            // Newer versions read a number as seconds.
            PromToken::Number(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            PromToken::Name(_) | PromToken::Symbol(_) => None,
            PromToken::Text(_) | PromToken::End => None,
        };
        let Some(duration) = duration else { return self.fail("a duration") };
        self.at += 1;
        Ok(duration)
    }

    fn primary(&mut self) -> Result<Expr, Flaw> {
        let spot = self.spot();
        if self.eat(&["("]).is_some() {
            let inner = self.deeper(|parser| parser.binary(1))?;
            self.expect(")")?;
            return Ok(inner);
        }
        let kind = match self.token().clone() {
            PromToken::Number(number) => ExprKind::Number(number),
            PromToken::Duration(duration) => ExprKind::Number(duration.as_secs_f64()),
            PromToken::Text(_) => ExprKind::Text,
            PromToken::Symbol(brace) if brace == "{" => {
                return Ok(Expr { spot, kind: self.series(String::new())? });
            }
            PromToken::Symbol(_) | PromToken::End => {
                return self.fail("a series, a number or `(`");
            }
            PromToken::Name(name) => {
                self.at += 1;
                return Ok(Expr { spot, kind: self.named(name)? });
            }
        };
        self.at += 1;
        Ok(Expr { spot, kind })
    }

    /// An aggregation, a function or a metric, after its name.
    fn named(&mut self, name: String) -> Result<ExprKind, Flaw> {
        let op = name.to_ascii_lowercase();
        let is_called = self.is("(");
        if let Some(parameters) = AGGREGATIONS.iter().position(|known| known.contains(&&*op)) {
            // The grouping stands before or behind the arguments.
            let before = self.grouping()?;
            if is_called || before != Grouping::All {
                let args = self.deeper(Self::arguments)?;
                let all = before == Grouping::All;
                let grouping = if all { self.grouping()? } else { before };
                if args.len() != parameters + 1 {
                    return self.fail(&format!("{} arguments of `{op}`", parameters + 1));
                }
                return Ok(ExprKind::Aggregate { op, grouping, args });
            }
        }
        if is_called {
            let args = self.deeper(Self::arguments)?;
            return Ok(ExprKind::Call { name, args });
        }
        self.series(name)
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Flaw> {
        self.list(("(", ")"), |parser| parser.binary(1))
    }

    fn grouping(&mut self) -> Result<Grouping, Flaw> {
        let spot = self.spot();
        Ok(match self.eat(&["by", "without"]) {
            None => Grouping::All,
            Some("by") => Grouping::By(self.labels()?),
            Some(_) => {
                self.labels()?;
                Grouping::Without(spot)
            }
        })
    }

    /// Labels in parentheses, sorted.
    fn labels(&mut self) -> Result<Vec<String>, Flaw> {
        let mut labels = self.list(("(", ")"), Self::label)?;
        labels.sort_unstable();
        labels.dedup();
        Ok(labels)
    }

    fn series(&mut self, metric: String) -> Result<ExprKind, Flaw> {
        let mut selector = SeriesSelector { metric, matchers: Vec::new() };
        if self.is("{") {
            self.list(("{", "}"), |parser| parser.matcher(&mut selector))?;
        }
        Ok(ExprKind::Series(selector, None))
    }

    fn matcher(&mut self, selector: &mut SeriesSelector) -> Result<(), Flaw> {
        let quoted = matches!(self.token(), PromToken::Text(_));
        let label = self.label()?;
        let Some(op) = self.eat(&["=~", "!~", "!=", "="]) else {
            // A metric whose name needs quotes stands among the matchers.
            if quoted && selector.metric.is_empty() && (self.is(",") || self.is("}")) {
                selector.metric = label;
                return Ok(());
            }
            return self.fail("`=`, `!=`, `=~` or `!~`");
        };
        let PromToken::Text(value) = self.token().clone() else {
            return self.fail("a text in quotes");
        };
        self.at += 1;
        if label == "__name__" && op == "=" && selector.metric.is_empty() {
            selector.metric = value;
        } else {
            selector.matchers.push(MatcherText { label, op, value });
        }
        Ok(())
    }
}

fn too_deep(spot: Spot) -> Flaw {
    Flaw::new(spot, format!("it nests deeper than {MAX_DEPTH}"), "")
}
