//! Where things stand: characters of a scalar's value back to lines and columns of the file. YAML
//! folds, indents and escapes, so the two are walked side by side. It must never name a place that
//! is not in the file.

use std::fmt;

/// A character of a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The file's place in the list of files.
    pub file: usize,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Spot {
    /// `line:column`; the file's name is with whoever has the list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// Indented below `|` or `>`.
    Block,
}

/// A file, ready to be asked where a character stands.
pub(super) struct Chars {
    file: usize,
    chars: Vec<char>,
}

impl Chars {
    pub(super) fn new(file: usize, text: &str) -> Self {
        Self { file, chars: text.chars().collect() }
    }

    /// The spot of every character of a scalar's value, and of its end. `from` is where the scalar
    /// starts: the index of its first character and that character's spot.
    pub(super) fn spots(&self, value: &str, style: Style, from: usize, spot: Spot) -> Vec<Spot> {
        let mut walk = Walk { chars: &self.chars, at: from, spot };
        walk.properties();
        match style {
            Style::Plain => {}
            Style::Single | Style::Double => walk.step(),
            Style::Block => walk.header(),
        }
        let mut spots = Vec::with_capacity(value.len() + 1);
        for c in value.chars() {
            // White space is folded in many ways and nothing is ever reported on it.
            if !c.is_whitespace() {
                walk.skip_space(style);
                spots.push(walk.spot);
                walk.over(style);
            } else {
                spots.push(walk.spot);
            }
        }
        spots.push(walk.spot);
        spots
    }

    pub(super) fn spot(&self, line: usize, column: usize) -> Spot {
        Spot { file: self.file, line, column }
    }
}

struct Walk<'c> {
    chars: &'c [char],
    at: usize,
    spot: Spot,
}

impl Walk<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        match self.peek(0) {
            Some('\n') => {
                self.spot.line += 1;
                self.spot.column = 1;
            }
            Some(_) => self.spot.column += 1,
            None => return,
        }
        self.at += 1;
    }

    /// Past tags and anchors: no expression starts like one.
    fn properties(&mut self) {
        while matches!(self.peek(0), Some('!' | '&')) {
            while self.peek(0).is_some_and(|c| !c.is_whitespace()) {
                self.step();
            }
            while self.peek(0).is_some_and(char::is_whitespace) {
                self.step();
            }
        }
    }

    /// Past the line that opens a block, where the scalar starts there and not with its text.
    fn header(&mut self) {
        if !matches!(self.peek(0), Some('|' | '>')) {
            return;
        }
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.step();
        }
        self.step();
    }

    /// Past white space, however it is written.
    fn skip_space(&mut self, style: Style) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(c), _) if c.is_whitespace() => self.step(),
                (Some('\\'), Some(c))
                    if style == Style::Double && matches!(c, 'n' | 't' | 'r' | ' ' | '\n') =>
                {
                    self.step();
                    self.step();
                }
                _ => return,
            }
        }
    }

    /// Past one character of the value.
    fn over(&mut self, style: Style) {
        let written = match (style, self.peek(0), self.peek(1)) {
            (Style::Single, Some('\''), Some('\'')) => 2,
            (Style::Double, Some('\\'), Some('x')) => 4,
            (Style::Double, Some('\\'), Some('u')) => 6,
            (Style::Double, Some('\\'), Some('U')) => 10,
            (Style::Double, Some('\\'), Some(_)) => 2,
            (Style::Plain | Style::Single | Style::Double | Style::Block, _, _) => 1,
        };
        (0..written).for_each(|_| self.step());
    }
}
