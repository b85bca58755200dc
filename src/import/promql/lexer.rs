//! Cuts an expression into tokens with their places. Comments and white space are left out.

use std::time::Duration;

use crate::import::rule_files::ExprText;
use crate::import::spot::Spot;

/// The most tokens of an expression. A chain of operators becomes a tree as deep as it is long, and
/// whatever walks trees does so on the stack.
const MAX_TOKENS: usize = 2048;

/// Why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Unreadable {
    pub(in crate::import) spot: Spot,
    pub(in crate::import) why: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum PromToken {
    Number(f64),
    Duration(Duration),
    Name(String),
    Text(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 24] = [
    "==", "!=", "=~", "!~", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", "=", "<", ">", "+", "-",
    "*", "/", "%", "^", "@", ":",
];

/// Cuts an expression; the last spot is where it ends.
pub(super) fn tokens(source: &ExprText) -> Result<(Vec<(PromToken, Spot)>, Spot), Unreadable> {
    let mut lexer = Lexer { chars: source.text.chars().collect(), at: 0, spots: &source.spots };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        let spot = lexer.spot();
        if lexer.at >= lexer.chars.len() {
            return Ok((tokens, spot));
        }
        if tokens.len() >= MAX_TOKENS {
            return Err(Unreadable { spot, why: format!("it is longer than {MAX_TOKENS} words") });
        }
        tokens.push((lexer.token()?, spot));
    }
}

struct Lexer<'s> {
    chars: Vec<char>,
    at: usize,
    spots: &'s [Spot],
}

impl Lexer<'_> {
    fn spot(&self) -> Spot {
        self.spots.get(self.at).or(self.spots.last()).copied().unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn wrong<T>(&self, why: impl Into<String>) -> Result<T, Unreadable> {
        Err(Unreadable { spot: self.spot(), why: why.into() })
    }

    /// Takes characters while they belong to it.
    fn take(&mut self, inside: impl Fn(char) -> bool) -> String {
        let rest = self.chars[self.at..].iter().copied();
        let taken: String = rest.take_while(|c| inside(*c)).collect();
        self.at += taken.chars().count();
        taken
    }

    fn skip_space(&mut self) {
        self.take(char::is_whitespace);
        while self.peek(0) == '#' {
            self.take(|c| c != '\n');
            self.take(char::is_whitespace);
        }
    }

    fn token(&mut self) -> Result<PromToken, Unreadable> {
        let c = self.peek(0);
        if c.is_ascii_digit() || (c == '.' && self.peek(1).is_ascii_digit()) {
            return self.number();
        }
        if c.is_ascii_alphabetic() || c == '_' {
            return Ok(self.name());
        }
        if matches!(c, '"' | '\'' | '`') {
            return self.text(c);
        }
        let rest: String = self.chars[self.at..].iter().take(2).collect();
        match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(PromToken::Symbol(symbol))
            }
            None => self.wrong(format!("`{}` means nothing to PromQL", c.escape_debug())),
        }
    }

    /// A metric's name may hold `:`; `[5m:1m]` is no name, as it starts with a digit.
    fn name(&mut self) -> PromToken {
        let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        match name.to_ascii_lowercase().as_str() {
            "inf" => PromToken::Number(f64::INFINITY),
            "nan" => PromToken::Number(f64::NAN),
            _ => PromToken::Name(name),
        }
    }

    fn number(&mut self) -> Result<PromToken, Unreadable> {
        let start = self.at;
        if self.peek(0) == '0' && matches!(self.peek(1), 'x' | 'X') {
            self.at += 2;
            let digits = self.take(|c| c.is_ascii_hexdigit());
            return match u64::from_str_radix(&digits, 16) {
                #[expect(clippy::cast_precision_loss, reason = "as every number of PromQL")]
                Ok(value) => Ok(PromToken::Number(value as f64)),
                Err(_) => self.wrong("not a number"),
            };
        }
        let mut text = self.take(|c| c.is_ascii_digit() || c == '.');
        let signed = usize::from(matches!(self.peek(1), '+' | '-'));
        if matches!(self.peek(0), 'e' | 'E') && self.peek(1 + signed).is_ascii_digit() {
            text.extend(&self.chars[self.at..=self.at + signed]);
            self.at += 1 + signed;
            text += &self.take(|c| c.is_ascii_digit());
        } else if self.peek(0).is_ascii_alphabetic() {
            text += &self.take(|c| c.is_ascii_alphanumeric());
            if let Some(duration) = duration(&text) {
                return Ok(PromToken::Duration(duration));
            }
        }
        match text.parse() {
            Ok(value) => Ok(PromToken::Number(value)),
            Err(_) => {
                self.at = start;
                self.wrong(format!("`{}` is not a number", text.escape_debug()))
            }
        }
    }

    fn text(&mut self, quote: char) -> Result<PromToken, Unreadable> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        while self.at < self.chars.len() {
            let c = self.peek(0);
            self.at += 1;
            match c {
                c if c == quote => return Ok(PromToken::Text(value)),
                '\\' if quote != '`' => value.push(self.escape()?),
                c => value.push(c),
            }
        }
        self.at = start;
        self.wrong("the quote is never closed")
    }

    fn escape(&mut self) -> Result<char, Unreadable> {
        const PLAIN: [(char, char); 10] = [
            ('a', '\u{7}'),
            ('b', '\u{8}'),
            ('f', '\u{c}'),
            ('n', '\n'),
            ('r', '\r'),
            ('t', '\t'),
            ('v', '\u{b}'),
            ('\\', '\\'),
            ('\'', '\''),
            ('"', '"'),
        ];
        let c = self.peek(0);
        if let Some((_, meant)) = PLAIN.into_iter().find(|(written, _)| *written == c) {
            self.at += 1;
            return Ok(meant);
        }
        let (from, len, radix) = match c {
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='7' => (0, 3, 8),
            _ => return self.wrong("unknown escape; write `\\\\` for a backslash"),
        };
        let digits = self.chars[self.at..].iter().skip(from).take(len);
        let digits: String = digits.take_while(|c| c.is_digit(radix)).collect();
        let code = u32::from_str_radix(&digits, radix).ok().filter(|_| digits.len() == len);
        // Bytes that are no characters of their own do not stand in the labels of a page.
        let code = code.filter(|code| matches!(c, 'u' | 'U') || *code < 0x80);
        let Some(meant) = code.and_then(char::from_u32) else {
            return self.wrong("an escape that is not a character");
        };
        self.at += from + len;
        Ok(meant)
    }
}

/// A duration as Prometheus writes it: `1h30m`, `5m`, `1w`, `0`.
pub(in crate::import) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = text.trim();
    if matches!(rest, "" | "0") {
        return (rest == "0").then_some(Duration::ZERO);
    }
    let (mut millis, mut next) = (0_u64, 0);
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        // Units come from large to small, each once.
        let place = UNITS.iter().skip(next).position(|(name, _)| *name == unit)? + next;
        let count: u64 = digits.parse().ok()?;
        millis = millis.checked_add(count.checked_mul(UNITS[place].1)?)?;
        (rest, next) = (after, place + 1);
    }
    Some(Duration::from_millis(millis))
}
