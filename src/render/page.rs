//! Pages for a terminal, line by line. No line is wider than [`WIDTH`] columns.

use super::line::{Paint, Style, WIDTH, line, pad, plain, width, wrap};

/// Columns of a name in a table. Longer ones are cut; `--json` has them whole.
pub(super) const NAME: usize = 26;

/// Columns before the text of a [`fact`].
const DETAIL: usize = 13;

/// The lines of a page so far.
pub(super) struct Screen {
    text: String,
    style: Style,
}

impl Screen {
    pub(super) const fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Adds one line, which is cut where it is too long.
    pub(super) fn line(&mut self, pieces: &[(Paint, &str)]) {
        self.text.push_str(&line(self.style, pieces));
        self.text.push('\n');
    }

    /// Adds lines that are already made.
    pub(super) fn append(&mut self, lines: &str) {
        self.text.push_str(lines);
    }

    /// Adds a text on as many lines as it takes. The first begins with the margin; the others
    /// leave its columns blank.
    pub(super) fn beside(&mut self, margin: &[(Paint, &str)], text: &str, paint: Paint) {
        let columns = margin.iter().map(|(_, piece)| width(piece)).sum();
        let blank = " ".repeat(columns);
        let mut margin = margin.to_vec();
        for part in wrap(&plain(text), WIDTH - columns) {
            margin.push((paint, &part));
            self.line(&margin);
            margin = vec![(Paint::Plain, &blank)];
        }
    }

    /// Adds an empty line and the titles of a table.
    pub(super) fn title(&mut self, name: &str, rest: &str) {
        self.line(&[]);
        self.line(&[(Paint::Dim, &pad(name, NAME + 2)), (Paint::Dim, rest)]);
    }

    /// Adds a row of a table: a name, a painted word and what is said beside it.
    pub(super) fn row(&mut self, name: &str, paint: Paint, word: &str, rest: &str) {
        let name = pad(&plain(name), NAME + 2);
        self.line(&[(Paint::Plain, &name), (paint, word), (Paint::Plain, rest)]);
    }

    /// Adds a second line below a row, which is cut where it is too long.
    pub(super) fn below(&mut self, text: &str) {
        self.line(&[(Paint::Plain, &pad("", NAME + 2)), (Paint::Dim, text)]);
    }

    /// Adds a sentence below a row, on as many lines as it takes.
    pub(super) fn sentence_below(&mut self, text: &str, paint: Paint) {
        self.beside(&[(Paint::Plain, &pad("", NAME + 2))], text, paint);
    }
}

/// The text on as many lines as it takes, each of them indented.
pub(super) fn paragraph(text: &str, indent: usize) -> String {
    let lines = wrap(text, WIDTH - indent).into_iter();
    lines.map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// Named texts, each on as many lines as it takes; what is `None` is left out.
pub(super) fn facts<'a>(all: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    all.into_iter().filter_map(|(name, text)| Some(fact(name, &text?))).collect()
}

/// A named text on as many lines as it takes.
pub(super) fn fact(name: &str, text: &str) -> String {
    let mut page = Screen::new(Style::Plain);
    let name = pad(name, DETAIL - 2);
    let margin = [(Paint::Plain, "  "), (Paint::Plain, &name[..])];
    page.beside(&margin, &broken(&plain(text), WIDTH - DETAIL), Paint::Plain);
    page.into_text()
}

/// The text with spaces in words that no line has room for: half an id is of no use.
fn broken(text: &str, columns: usize) -> String {
    let (mut broken, mut used) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        let more = width(c.encode_utf8(&mut [0; 4]));
        used = if c == ' ' { 0 } else { used + more };
        if used > columns {
            broken.push(' ');
            used = more;
        }
        broken.push(c);
    }
    broken
}
