//! Parses PromQL by recursive descent with a bounded depth. It is our own code because every
//! message needs the place of what it is about: the `promql-parser` crate keeps no places in its
//! tree, and brings sixty crates, a parser generator that runs in the build among them.

use std::time::Duration;

use super::ast::{Binary, Expr, ExprKind, Grouping, Op, SeriesSelector};
use super::lexer::{PromToken, Unreadable, tokens};
use crate::import::rule_files::ExprText;
use crate::import::spot::Spot;
use crate::toml_text::MatcherText;

/// How deep parentheses, calls and signs may nest; ten times what people write.
const MAX_DEPTH: usize = 64;

/// Aggregations, and how many arguments each has.
const AGGREGATIONS: [(&str, usize); 14] = [
    ("sum", 1),
    ("avg", 1),
    ("min", 1),
    ("max", 1),
    ("count", 1),
    ("group", 1),
    ("stddev", 1),
    ("stdvar", 1),
    ("topk", 2),
    ("bottomk", 2),
    ("quantile", 2),
    ("count_values", 2),
    ("limitk", 2),
    ("limit_ratio", 2),
];

/// Parses an expression.
pub(in crate::import) fn parse(source: &ExprText) -> Result<Expr, Unreadable> {
    let (tokens, end) = tokens(source)?;
    let mut parser = PromParser { tokens: &tokens, at: 0, end, depth: 0 };
    let expr = parser.binary(1)?;
    if parser.token().is_some() { parser.fail("an operator") } else { Ok(expr) }
}

struct PromParser<'t> {
    tokens: &'t [(PromToken, Spot)],
    at: usize,
    end: Spot,
    depth: usize,
}

fn shown(token: &PromToken) -> String {
    match token {
        PromToken::Number(number) => number.to_string(),
        PromToken::Duration(_) => "a duration".to_owned(),
        PromToken::Name(name) => name.chars().take(40).collect(),
        PromToken::Text(_) => "a text".to_owned(),
        PromToken::Symbol(symbol) => (*symbol).to_owned(),
    }
}

impl PromParser<'_> {
    fn token(&self) -> Option<&PromToken> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn spot(&self) -> Spot {
        self.tokens.get(self.at).map_or(self.end, |(_, spot)| *spot)
    }

    fn fail<T>(&self, wanted: &str) -> Result<T, Unreadable> {
        let why = match self.token() {
            Some(found) => format!("not PromQL: expected {wanted}, found `{}`", shown(found)),
            None => format!("not PromQL: it ends where {wanted} should follow"),
        };
        Err(Unreadable { spot: self.spot(), why })
    }

    fn too_deep<T>(&self, spot: Spot) -> Result<T, Unreadable> {
        Err(Unreadable { spot, why: format!("it nests deeper than {MAX_DEPTH}") })
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.token(), Some(PromToken::Symbol(found)) if *found == symbol)
    }

    /// Takes a symbol, if it comes next.
    fn eat(&mut self, symbol: &str) -> bool {
        let there = self.is(symbol);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Unreadable> {
        if self.eat(symbol) { Ok(()) } else { self.fail(&format!("`{symbol}`")) }
    }

    /// Takes one of these keywords, in whatever case, if one comes next.
    fn keyword(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let Some(PromToken::Name(name)) = self.token() else { return None };
        let found = words.iter().find(|word| name.eq_ignore_ascii_case(word)).copied();
        self.at += usize::from(found.is_some());
        found
    }

    /// Takes a name or a quoted text.
    fn label(&mut self) -> Result<String, Unreadable> {
        let Some(PromToken::Name(label) | PromToken::Text(label)) = self.token() else {
            return self.fail("a label");
        };
        let label = label.clone();
        self.at += 1;
        Ok(label)
    }

    /// Parses items up to a closing symbol, with commas between them.
    fn list(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        while !self.eat(close) {
            item(self)?;
            if !self.eat(",") && !self.is(close) {
                return self.fail(&format!("`,` or `{close}`"));
            }
        }
        Ok(())
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        if self.depth >= MAX_DEPTH {
            return self.too_deep(self.spot());
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// The operator that comes next, if one does.
    fn operator(&self) -> Option<Op> {
        match self.token()? {
            PromToken::Name(word) => Op::written(word),
            PromToken::Symbol(symbol) => Op::written(symbol),
            PromToken::Number(_) | PromToken::Duration(_) | PromToken::Text(_) => None,
        }
    }

    /// Operands joined by operators that bind at least this tightly.
    fn binary(&mut self, tightness: u8) -> Result<Expr, Unreadable> {
        let mut left = self.unary()?;
        while let Some(op) = self.operator().filter(|op| op.tightness() >= tightness) {
            let spot = self.spot();
            self.at += 1;
            let modifier = self.modifiers()?;
            // Only powers associate to the right.
            let next = op.tightness() + u8::from(op != Op::Pow);
            let right = self.deeper(|parser| parser.binary(next))?;
            let binary = Binary { op, left, right, modifier };
            left = Expr { spot, kind: ExprKind::Binary(Box::new(binary)) };
        }
        Ok(left)
    }

    fn modifiers(&mut self) -> Result<Option<(&'static str, Spot)>, Unreadable> {
        let mut first = None;
        loop {
            let spot = self.spot();
            let words = ["bool", "on", "ignoring", "group_left", "group_right"];
            let Some(word) = self.keyword(&words) else { return Ok(first) };
            first = first.or(Some((word, spot)));
            if word != "bool" && (!word.starts_with("group") || self.is("(")) {
                self.labels()?;
            }
        }
    }

    /// A sign binds less tightly than a power and more tightly than a product.
    fn unary(&mut self) -> Result<Expr, Unreadable> {
        let spot = self.spot();
        let negative = self.is("-");
        if !negative && !self.is("+") {
            return self.postfix();
        }
        self.at += 1;
        let of = self.deeper(|parser| parser.binary(Op::Pow.tightness()))?;
        if !negative {
            return Ok(of);
        }
        Ok(Expr { spot, kind: ExprKind::Neg(Box::new(of)) })
    }

    fn postfix(&mut self) -> Result<Expr, Unreadable> {
        let (mut expr, mut shifts) = (self.primary()?, 0);
        loop {
            let spot = self.spot();
            let what = if self.eat("[") {
                let range = self.duration()?;
                if !self.eat(":") {
                    self.range(&mut expr, range)?;
                    continue;
                }
                if !self.is("]") {
                    self.duration()?;
                }
                self.expect("]")?;
                "a subquery"
            } else if self.eat("@") {
                self.instant()?;
                "`@`"
            } else if self.keyword(&["offset"]).is_some() {
                self.eat("-");
                self.duration()?;
                "`offset`"
            } else {
                return Ok(expr);
            };
            if shifts > MAX_DEPTH {
                return self.too_deep(spot);
            }
            shifts += 1;
            expr = Expr { spot, kind: ExprKind::Shifted(what, Box::new(expr)) };
        }
    }

    /// Ends `[5m]`, which gives a selector its range.
    fn range(&mut self, expr: &mut Expr, given: Duration) -> Result<(), Unreadable> {
        self.expect("]")?;
        if let ExprKind::Series(_, range @ None) = &mut expr.kind {
            *range = Some(given);
            return Ok(());
        }
        let why = "not PromQL: a range stands only behind a selector".to_owned();
        Err(Unreadable { spot: expr.spot, why })
    }

    fn instant(&mut self) -> Result<(), Unreadable> {
        if self.keyword(&["start", "end"]).is_some() {
            self.expect("(")?;
            return self.expect(")");
        }
        self.eat("-");
        if !matches!(self.token(), Some(PromToken::Number(_))) {
            return self.fail("a time");
        }
        self.at += 1;
        Ok(())
    }

    fn duration(&mut self) -> Result<Duration, Unreadable> {
        let duration = match self.token() {
            Some(PromToken::Duration(duration)) => Some(*duration),
            // Newer versions read a number as seconds.
            Some(PromToken::Number(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
            _ => None,
        };
        let Some(duration) = duration else { return self.fail("a duration") };
        self.at += 1;
        Ok(duration)
    }

    fn primary(&mut self) -> Result<Expr, Unreadable> {
        let spot = self.spot();
        let Some(token) = self.token().cloned() else {
            return self.fail("a series, a number or `(`");
        };
        let kind = match token {
            PromToken::Number(number) => ExprKind::Number(number),
            PromToken::Duration(duration) => ExprKind::Number(duration.as_secs_f64()),
            PromToken::Text(_) => ExprKind::Text,
            PromToken::Symbol("(") => {
                self.at += 1;
                let inner = self.deeper(|parser| parser.binary(1))?;
                self.expect(")")?;
                return Ok(inner);
            }
            PromToken::Symbol("{") => {
                let kind = self.series(String::new())?;
                return Ok(Expr { spot, kind });
            }
            PromToken::Symbol(_) => return self.fail("a series, a number or `(`"),
            PromToken::Name(name) => {
                self.at += 1;
                let kind = self.named(name)?;
                return Ok(Expr { spot, kind });
            }
        };
        self.at += 1;
        Ok(Expr { spot, kind })
    }

    /// An aggregation, a function or a metric, after its name.
    fn named(&mut self, name: String) -> Result<ExprKind, Unreadable> {
        let lower = name.to_ascii_lowercase();
        let aggregation = AGGREGATIONS.iter().find(|(known, _)| *known == lower);
        let is_called = self.is("(");
        if let Some((op, arguments)) = aggregation {
            // The grouping stands before or behind the arguments.
            let before = self.grouping()?;
            if is_called || before != Grouping::All {
                let args = self.deeper(Self::arguments)?;
                let all = before == Grouping::All;
                let grouping = if all { self.grouping()? } else { before };
                if args.len() != *arguments {
                    return self.fail(&format!("{arguments} arguments of `{op}`"));
                }
                return Ok(ExprKind::Aggregate { op: lower, grouping, args });
            }
        }
        if is_called {
            let args = self.deeper(Self::arguments)?;
            return Ok(ExprKind::Call { name, args });
        }
        self.series(name)
    }

    fn grouping(&mut self) -> Result<Grouping, Unreadable> {
        let spot = self.spot();
        let Some(word) = self.keyword(&["by", "without"]) else { return Ok(Grouping::All) };
        let labels = self.labels()?;
        Ok(if word == "by" { Grouping::By(labels) } else { Grouping::Without(spot) })
    }

    /// Labels in parentheses, sorted.
    fn labels(&mut self) -> Result<Vec<String>, Unreadable> {
        self.expect("(")?;
        let mut labels = Vec::new();
        self.list(")", |parser| {
            labels.push(parser.label()?);
            Ok(())
        })?;
        labels.sort_unstable();
        labels.dedup();
        Ok(labels)
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Unreadable> {
        self.expect("(")?;
        let mut args = Vec::new();
        self.list(")", |parser| {
            args.push(parser.binary(1)?);
            Ok(())
        })?;
        Ok(args)
    }

    fn series(&mut self, metric: String) -> Result<ExprKind, Unreadable> {
        let mut selector = SeriesSelector { metric, matchers: Vec::new() };
        if self.eat("{") {
            self.list("}", |parser| parser.matcher(&mut selector))?;
        }
        Ok(ExprKind::Series(selector, None))
    }

    fn matcher(&mut self, selector: &mut SeriesSelector) -> Result<(), Unreadable> {
        let quoted = matches!(self.token(), Some(PromToken::Text(_)));
        let label = self.label()?;
        let Some(op) = ["=~", "!~", "!=", "="].into_iter().find(|op| self.is(op)) else {
            // A metric whose name needs quotes stands among the matchers.
            if quoted && selector.metric.is_empty() && (self.is(",") || self.is("}")) {
                selector.metric = label;
                return Ok(());
            }
            return self.fail("`=`, `!=`, `=~` or `!~`");
        };
        self.at += 1;
        let Some(PromToken::Text(value)) = self.token().cloned() else {
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
