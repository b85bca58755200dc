//! PromQL's grammar, read by recursive descent with a bounded depth. Own code, because the parser
//! that exists keeps no places and brings sixty crates; what is needed here is a few hundred lines.

use std::time::Duration;

use super::alert::Source;
use super::ast::{Binary, Expr, Grouping, Kind, Matcher, Op, Selector, Series};
use super::lexer::{Token, Unreadable, Word, words};
use super::place::Spot;

/// How deep parentheses, calls and signs may nest; ten times what people write.
const MAX_DEPTH: usize = 64;

const AGGREGATIONS: [&str; 14] = [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
    "limitk",
    "limit_ratio",
];

/// Aggregations with a parameter before what they aggregate.
const WITH_PARAMETER: [&str; 6] =
    ["topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"];

/// Reads an expression.
pub(super) fn parse(source: &Source) -> Result<Expr, Unreadable> {
    let (words, end) = words(source)?;
    let mut parser = Parser { words: &words, at: 0, end, depth: 0 };
    let expr = parser.binary(1)?;
    match parser.words.get(parser.at) {
        None => Ok(expr),
        Some(word) => Err(unexpected(word, "an operator")),
    }
}

struct Parser<'w> {
    words: &'w [Word],
    at: usize,
    end: Spot,
    depth: usize,
}

fn shown(token: &Token) -> String {
    match token {
        Token::Number(number) => number.to_string(),
        Token::Duration(_) => "a duration".to_owned(),
        Token::Name(name) => name.chars().take(40).collect(),
        Token::Text(_) => "a text".to_owned(),
        Token::Symbol(symbol) => (*symbol).to_owned(),
    }
}

fn unexpected(word: &Word, wanted: &str) -> Unreadable {
    let why = format!("not PromQL: expected {wanted}, found `{}`", shown(&word.token));
    Unreadable { spot: word.spot, why }
}

impl Parser<'_> {
    fn token(&self) -> Option<&Token> {
        self.words.get(self.at).map(|word| &word.token)
    }

    fn spot(&self) -> Spot {
        self.words.get(self.at).map_or(self.end, |word| word.spot)
    }

    fn fail<T>(&self, wanted: &str) -> Result<T, Unreadable> {
        match self.words.get(self.at) {
            Some(word) => Err(unexpected(word, wanted)),
            None => {
                let why = format!("not PromQL: it ends where {wanted} should follow");
                Err(Unreadable { spot: self.end, why })
            }
        }
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.token(), Some(Token::Symbol(found)) if *found == symbol)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let there = self.is(symbol);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Unreadable> {
        if self.eat(symbol) { Ok(()) } else { self.fail(&format!("`{symbol}`")) }
    }

    /// A keyword, in whatever case.
    fn keyword(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let Some(Token::Name(name)) = self.token() else { return None };
        let found = words.iter().find(|word| name.eq_ignore_ascii_case(word)).copied();
        self.at += usize::from(found.is_some());
        found
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        if self.depth >= MAX_DEPTH {
            let why = format!("it nests deeper than {MAX_DEPTH}");
            return Err(Unreadable { spot: self.spot(), why });
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// The operator that comes next, if it is one.
    fn operator(&self) -> Option<Op> {
        const WORDS: [Op; 4] = [Op::Or, Op::And, Op::Unless, Op::Atan2];
        const SYMBOLS: [Op; 12] = [
            Op::Equal,
            Op::NotEqual,
            Op::Less,
            Op::LessOrEqual,
            Op::Greater,
            Op::GreaterOrEqual,
            Op::Add,
            Op::Sub,
            Op::Mul,
            Op::Div,
            Op::Mod,
            Op::Pow,
        ];
        match self.token()? {
            Token::Name(name) => WORDS.into_iter().find(|op| name.eq_ignore_ascii_case(op.text())),
            Token::Symbol(symbol) => SYMBOLS.into_iter().find(|op| op.text() == *symbol),
            Token::Number(_) | Token::Duration(_) | Token::Text(_) => None,
        }
    }

    /// Operands joined by operators that bind at least this tightly.
    fn binary(&mut self, tightness: u8) -> Result<Expr, Unreadable> {
        let mut left = self.unary()?;
        while let Some(op) = self.operator().filter(|op| op.tightness() >= tightness) {
            let spot = self.spot();
            self.at += 1;
            let modifier = self.modifiers()?;
            // Only powers lean to the right.
            let next = op.tightness() + u8::from(op != Op::Pow);
            let right = self.deeper(|parser| parser.binary(next))?;
            let binary = Binary { op, left, right, modifier };
            left = Expr { spot, kind: Kind::Binary(Box::new(binary)) };
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
            let grouped = word.starts_with("group");
            if word != "bool" && (!grouped || self.is("(")) {
                self.labels()?;
            }
        }
    }

    /// A sign binds less tightly than a power and more than a product.
    fn unary(&mut self) -> Result<Expr, Unreadable> {
        let spot = self.spot();
        if self.eat("+") {
            return self.deeper(|parser| parser.binary(Op::Pow.tightness()));
        }
        if !self.eat("-") {
            return self.postfix();
        }
        let of = self.deeper(|parser| parser.binary(Op::Pow.tightness()))?;
        Ok(Expr { spot, kind: Kind::Neg(Box::new(of)) })
    }

    fn postfix(&mut self) -> Result<Expr, Unreadable> {
        let mut expr = self.primary()?;
        loop {
            let spot = self.spot();
            let what = if self.is("[") {
                self.at += 1;
                match self.range(&mut expr)? {
                    Some(what) => what,
                    None => continue,
                }
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
            if self.depth_of_shifts(&expr) > MAX_DEPTH {
                return Err(Unreadable { spot, why: format!("it nests deeper than {MAX_DEPTH}") });
            }
            expr = Expr { spot, kind: Kind::Shifted(what, Box::new(expr)) };
        }
    }

    fn depth_of_shifts(&self, expr: &Expr) -> usize {
        let (mut depth, mut expr) = (0, expr);
        while let Kind::Shifted(_, of) = &expr.kind {
            (depth, expr) = (depth + 1, of);
        }
        depth
    }

    /// `[5m]` gives a selector its range; `[1h:5m]` makes a subquery.
    fn range(&mut self, expr: &mut Expr) -> Result<Option<&'static str>, Unreadable> {
        let range = self.duration()?;
        if self.eat(":") {
            if !self.is("]") {
                self.duration()?;
            }
            self.expect("]")?;
            return Ok(Some("a subquery"));
        }
        self.expect("]")?;
        match &mut expr.kind {
            Kind::Series(series) if series.range.is_none() => {
                series.range = Some(range);
                Ok(None)
            }
            Kind::Series(_)
            | Kind::Number(_)
            | Kind::Text
            | Kind::Call { .. }
            | Kind::Aggregate { .. }
            | Kind::Neg(_)
            | Kind::Binary(_)
            | Kind::Shifted(..) => {
                let why = "not PromQL: a range stands only behind a selector".to_owned();
                Err(Unreadable { spot: expr.spot, why })
            }
        }
    }

    fn instant(&mut self) -> Result<(), Unreadable> {
        if self.keyword(&["start", "end"]).is_some() {
            self.expect("(")?;
            return self.expect(")");
        }
        self.eat("-");
        match self.token() {
            Some(Token::Number(_)) => {
                self.at += 1;
                Ok(())
            }
            _ => self.fail("a time"),
        }
    }

    fn duration(&mut self) -> Result<Duration, Unreadable> {
        let duration = match self.token() {
            Some(Token::Duration(duration)) => *duration,
            // Newer versions read a number as seconds.
            Some(Token::Number(seconds)) if *seconds >= 0.0 => {
                match Duration::try_from_secs_f64(*seconds) {
                    Ok(duration) => duration,
                    Err(_) => return self.fail("a duration"),
                }
            }
            _ => return self.fail("a duration"),
        };
        self.at += 1;
        Ok(duration)
    }

    fn primary(&mut self) -> Result<Expr, Unreadable> {
        let spot = self.spot();
        let kind = match self.token().cloned() {
            Some(Token::Number(number)) => {
                self.at += 1;
                Kind::Number(number)
            }
            Some(Token::Duration(duration)) => {
                self.at += 1;
                Kind::Number(duration.as_secs_f64())
            }
            Some(Token::Text(_)) => {
                self.at += 1;
                Kind::Text
            }
            Some(Token::Symbol("(")) => {
                self.at += 1;
                let inner = self.deeper(|parser| parser.binary(1))?;
                self.expect(")")?;
                return Ok(inner);
            }
            Some(Token::Symbol("{")) => self.series(String::new())?,
            Some(Token::Name(name)) => {
                self.at += 1;
                return self.named(name, spot);
            }
            Some(Token::Symbol(_)) | None => return self.fail("a series, a number or `(`"),
        };
        Ok(Expr { spot, kind })
    }

    /// A function, an aggregation or a metric.
    fn named(&mut self, name: String, spot: Spot) -> Result<Expr, Unreadable> {
        let lower = name.to_ascii_lowercase();
        let groups = matches!(self.token(), Some(Token::Name(next))
            if ["by", "without"].iter().any(|word| next.eq_ignore_ascii_case(word)));
        let kind = if AGGREGATIONS.contains(&lower.as_str()) && (self.is("(") || groups) {
            self.aggregate(lower)?
        } else if self.is("(") {
            let args = self.deeper(Self::arguments)?;
            Kind::Call { name, args }
        } else {
            self.series(name)?
        };
        Ok(Expr { spot, kind })
    }

    /// The grouping stands before or behind the arguments.
    fn aggregate(&mut self, op: String) -> Result<Kind, Unreadable> {
        let before = self.grouping()?;
        let args = self.deeper(Self::arguments)?;
        let grouping = match before {
            Grouping::All => self.grouping()?,
            Grouping::By(_) | Grouping::Without(_) => before,
        };
        let wanted = 1 + usize::from(WITH_PARAMETER.contains(&op.as_str()));
        if args.len() != wanted {
            return self.fail(&format!("{wanted} arguments of `{op}`"));
        }
        Ok(Kind::Aggregate { op, grouping, args })
    }

    fn grouping(&mut self) -> Result<Grouping, Unreadable> {
        let spot = self.spot();
        Ok(match self.keyword(&["by", "without"]) {
            None => Grouping::All,
            Some("by") => Grouping::By(self.labels()?),
            Some(_) => {
                self.labels()?;
                Grouping::Without(spot)
            }
        })
    }

    fn labels(&mut self) -> Result<Vec<String>, Unreadable> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.eat(")") {
            match self.token() {
                Some(Token::Name(label) | Token::Text(label)) => labels.push(label.clone()),
                Some(Token::Number(_) | Token::Duration(_) | Token::Symbol(_)) | None => {
                    return self.fail("a label");
                }
            }
            self.at += 1;
            if !self.eat(",") && !self.is(")") {
                return self.fail("`,` or `)`");
            }
        }
        labels.sort_unstable();
        labels.dedup();
        Ok(labels)
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Unreadable> {
        self.expect("(")?;
        let mut args = Vec::new();
        while !self.eat(")") {
            args.push(self.binary(1)?);
            if !self.eat(",") && !self.is(")") {
                return self.fail("`,` or `)`");
            }
        }
        Ok(args)
    }

    fn series(&mut self, metric: String) -> Result<Kind, Unreadable> {
        let mut selector = Selector { metric, matchers: Vec::new() };
        if self.eat("{") {
            while !self.eat("}") {
                self.matcher(&mut selector)?;
                if !self.eat(",") && !self.is("}") {
                    return self.fail("`,` or `}`");
                }
            }
        }
        Ok(Kind::Series(Series { selector, range: None }))
    }

    fn matcher(&mut self, selector: &mut Selector) -> Result<(), Unreadable> {
        let label = match self.token() {
            Some(Token::Name(label) | Token::Text(label)) => label.clone(),
            Some(Token::Number(_) | Token::Duration(_) | Token::Symbol(_)) | None => {
                return self.fail("a label");
            }
        };
        let quoted = matches!(self.token(), Some(Token::Text(_)));
        self.at += 1;
        let Some(op) = ["=~", "!~", "!=", "="].into_iter().find(|op| self.is(op)) else {
            if quoted && selector.metric.is_empty() && (self.is(",") || self.is("}")) {
                selector.metric = label;
                return Ok(());
            }
            return self.fail("`=`, `!=`, `=~` or `!~`");
        };
        self.at += 1;
        let Some(Token::Text(value)) = self.token() else { return self.fail("a text in quotes") };
        let value = value.clone();
        self.at += 1;
        if label == "__name__" && op == "=" && selector.metric.is_empty() {
            selector.metric = value;
        } else {
            selector.matchers.push(Matcher { label, op, value });
        }
        Ok(())
    }
}
