//! PromQL cut into words, each with its spot. Comments and white space are dropped.

use std::time::Duration;

use super::alert::{Source, duration};
use super::place::Spot;

/// The most words of an expression. A chain of operators becomes a tree as deep as it is long, and
/// what walks trees does so on the stack.
const MAX_WORDS: usize = 2048;

/// Why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) spot: Spot,
    pub(super) why: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Duration(Duration),
    Name(String),
    Text(String),
    Symbol(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) token: Token,
    pub(super) spot: Spot,
}

const SYMBOLS: [&str; 24] = [
    "==", "!=", "=~", "!~", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", "=", "<", ">", "+", "-",
    "*", "/", "%", "^", "@", ":",
];

/// Cuts an expression; the last spot is where it ends.
pub(super) fn words(source: &Source) -> Result<(Vec<Word>, Spot), Unreadable> {
    let mut lexer = Lexer { chars: source.text.chars().collect(), at: 0, spots: &source.spots };
    let mut words = Vec::new();
    loop {
        lexer.skip();
        let spot = lexer.spot();
        if lexer.at >= lexer.chars.len() {
            return Ok((words, spot));
        }
        if words.len() >= MAX_WORDS {
            return Err(Unreadable { spot, why: format!("it is longer than {MAX_WORDS} words") });
        }
        words.push(Word { token: lexer.word()?, spot });
    }
}

struct Lexer<'s> {
    chars: Vec<char>,
    at: usize,
    spots: &'s [Spot],
}

impl Lexer<'_> {
    fn spot(&self) -> Spot {
        let last = self.spots.last().copied().unwrap_or_default();
        self.spots.get(self.at).copied().unwrap_or(last)
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn wrong<T>(&self, why: impl Into<String>) -> Result<T, Unreadable> {
        Err(Unreadable { spot: self.spot(), why: why.into() })
    }

    fn skip(&mut self) {
        while self.at < self.chars.len() {
            match self.peek(0) {
                '#' => {
                    while self.at < self.chars.len() && self.peek(0) != '\n' {
                        self.at += 1;
                    }
                }
                c if c.is_whitespace() => self.at += 1,
                _ => return,
            }
        }
    }

    fn run(&mut self, inside: impl Fn(char) -> bool) -> String {
        let from = self.at;
        while self.at < self.chars.len() && inside(self.peek(0)) {
            self.at += 1;
        }
        self.chars[from..self.at].iter().collect()
    }

    fn word(&mut self) -> Result<Token, Unreadable> {
        let c = self.peek(0);
        if c.is_ascii_digit() || (c == '.' && self.peek(1).is_ascii_digit()) {
            return self.number();
        }
        if c.is_ascii_alphabetic() || c == '_' {
            return Ok(self.name());
        }
        if matches!(c, '"' | '\'' | '`') {
            return self.text(c).map(Token::Text);
        }
        let rest: String = self.chars[self.at..].iter().take(2).collect();
        match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => self.wrong(format!("`{}` means nothing to PromQL", c.escape_debug())),
        }
    }

    /// A metric's name may hold `:`, and `[5m:1m]` is no name.
    fn name(&mut self) -> Token {
        let name = self.run(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        match name.to_ascii_lowercase().as_str() {
            "inf" => Token::Number(f64::INFINITY),
            "nan" => Token::Number(f64::NAN),
            _ => Token::Name(name),
        }
    }

    fn number(&mut self) -> Result<Token, Unreadable> {
        let start = self.at;
        if self.peek(0) == '0' && matches!(self.peek(1), 'x' | 'X') {
            self.at += 2;
            let digits = self.run(|c| c.is_ascii_hexdigit());
            return match u64::from_str_radix(&digits, 16) {
                #[expect(clippy::cast_precision_loss, reason = "as every number of PromQL")]
                Ok(value) => Ok(Token::Number(value as f64)),
                Err(_) => self.wrong("not a number"),
            };
        }
        let mut text = self.run(|c| c.is_ascii_digit() || c == '.');
        if matches!(self.peek(0), 'e' | 'E')
            && (self.peek(1).is_ascii_digit()
                || (matches!(self.peek(1), '+' | '-') && self.peek(2).is_ascii_digit()))
        {
            text.push('e');
            self.at += 1;
            if matches!(self.peek(0), '+' | '-') {
                text.push(self.peek(0));
                self.at += 1;
            }
            text.push_str(&self.run(|c| c.is_ascii_digit()));
        } else if self.peek(0).is_ascii_alphabetic() {
            text.push_str(&self.run(|c| c.is_ascii_alphanumeric()));
            if let Some(duration) = duration(&text) {
                return Ok(Token::Duration(duration));
            }
            self.at = start;
            return self.wrong(format!("`{}` is not a number", text.escape_debug()));
        }
        match text.parse() {
            Ok(value) => Ok(Token::Number(value)),
            Err(_) => {
                self.at = start;
                self.wrong(format!("`{text}` is not a number"))
            }
        }
    }

    fn text(&mut self, quote: char) -> Result<String, Unreadable> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        while self.at < self.chars.len() {
            let c = self.peek(0);
            self.at += 1;
            match c {
                c if c == quote => return Ok(value),
                '\\' if quote != '`' => value.push(self.escape()?),
                c => value.push(c),
            }
        }
        self.at = start;
        self.wrong("the quote is never closed")
    }

    fn escape(&mut self) -> Result<char, Unreadable> {
        let c = self.peek(0);
        let (from, len, radix) = match c {
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='7' => (0, 3, 8),
            _ => {
                let plain = [
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
                let Some((_, meant)) = plain.into_iter().find(|(written, _)| *written == c) else {
                    return self.wrong("unknown escape; write `\\\\` for a backslash");
                };
                self.at += 1;
                return Ok(meant);
            }
        };
        let digits: String = self.chars[self.at..].iter().skip(from).take(len).collect();
        let code = (digits.chars().count() == len && digits.chars().all(|c| c.is_digit(radix)))
            .then(|| u32::from_str_radix(&digits, radix).ok())
            .flatten();
        // Bytes that are no characters of their own do not stand in the labels of a page.
        let code = code.filter(|code| matches!(c, 'u' | 'U') || *code < 0x80);
        let Some(meant) = code.and_then(char::from_u32) else {
            return self.wrong("an escape that is not a character");
        };
        self.at += from + len;
        Ok(meant)
    }
}
