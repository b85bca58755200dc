//! Maps each character of a YAML scalar back to its line and column in the file. YAML folds,
//! indents and escapes text, so value and file are walked side by side. A spot is always within
//! the file.

use std::fmt;

use saphyr_parser::ScalarStyle;

/// A character of a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The file's index in the list of files.
    pub file: usize,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Spot {
    /// `line:column`; only whoever has the list of files knows the file's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong at a place, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) spot: Spot,
    pub(super) why: String,
    pub(super) instead: String,
}

impl Flaw {
    pub(super) fn new(spot: Spot, why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { spot, why: why.into(), instead: instead.into() }
    }
}

/// The characters of a file.
pub(super) struct FileChars {
    file: usize,
    chars: Vec<char>,
}

impl FileChars {
    pub(super) fn new(file: usize, text: &str) -> Self {
        Self { file, chars: text.chars().collect() }
    }

    /// The spot of every byte of a scalar's value, and of its end. `from` is the index of the
    /// scalar's first character in the file, `spot` that character's spot.
    pub(super) fn spots(
        &self,
        value: &str,
        style: ScalarStyle,
        from: usize,
        spot: Spot,
    ) -> Vec<Spot> {
        let mut walk = Walk { chars: &self.chars, at: from, spot, style };
        walk.skip_start();
        let mut spots = Vec::with_capacity(value.len() + 1);
        for c in value.chars() {
            // White space is folded in many ways, and nothing is ever reported on it.
            if !c.is_whitespace() {
                walk.skip_space();
            }
            spots.extend(std::iter::repeat_n(walk.spot, c.len_utf8()));
            if !c.is_whitespace() {
                walk.skip_character();
            }
        }
        spots.push(walk.spot);
        spots
    }

    pub(super) fn spot(&self, line: usize, column: usize) -> Spot {
        Spot { file: self.file, line, column }
    }
}

/// A position within a scalar as it stands in the file.
struct Walk<'c> {
    chars: &'c [char],
    at: usize,
    spot: Spot,
    style: ScalarStyle,
}

impl Walk<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        match self.peek(0) {
            Some('\n') => (self.spot.line, self.spot.column) = (self.spot.line + 1, 1),
            Some(_) => self.spot.column += 1,
            None => return,
        }
        self.at += 1;
    }

    fn skip_while(&mut self, skipped: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&skipped) {
            self.step();
        }
    }

    /// Skips tags and anchors, with which no expression starts, and what opens the scalar.
    fn skip_start(&mut self) {
        while matches!(self.peek(0), Some('!' | '&')) {
            self.skip_while(|c| !c.is_whitespace());
            self.skip_while(char::is_whitespace);
        }
        match self.style {
            ScalarStyle::Plain => {}
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.step(),
            // The parser says where the header of a block is, or where its text is.
            ScalarStyle::Literal | ScalarStyle::Folded => {
                if matches!(self.peek(0), Some('|' | '>')) {
                    self.skip_while(|c| c != '\n');
                    self.step();
                }
            }
        }
    }

    /// Skips white space, however it is written.
    fn skip_space(&mut self) {
        let escapes = self.style == ScalarStyle::DoubleQuoted;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(c), _) if c.is_whitespace() => self.step(),
                (Some('\\'), Some('n' | 't' | 'r' | ' ' | '\n')) if escapes => {
                    self.step();
                    self.step();
                }
                _ => return,
            }
        }
    }

    /// Skips one character of the value, however it is written.
    fn skip_character(&mut self) {
        let written = match (self.style, self.peek(0), self.peek(1)) {
            (ScalarStyle::SingleQuoted, Some('\''), Some('\'')) => 2,
            (ScalarStyle::DoubleQuoted, Some('\\'), Some(code)) => match code {
                'x' => 4,
                'u' => 6,
                'U' => 10,
                _ => 2,
            },
            _ => 1,
        };
        (0..written).for_each(|_| self.step());
    }
}
