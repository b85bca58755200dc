//! Pages for a terminal, line by line. A line is never wider than a terminal and never holds what
//! could move a cursor; it has colour only where that was asked for. Beside them the phrases that
//! several pages share: who asked, how long something took, how many there are.

use std::time::Duration;

use crate::engine::view::health::Health;
use crate::model::entry::Caller;
use crate::model::time::format_duration;

/// Columns of the narrowest terminal that still counts.
pub const WIDTH: usize = 80;

/// Whether text may carry colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Characters only.
    Plain,
    /// With the escape codes of a terminal.
    Health,
}

/// How a piece of a line is to look. The words say the same without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// Emphasised.
    Bold,
    /// Held back.
    Dim,
    /// Good.
    Green,
    /// To be watched.
    Yellow,
    /// Bad.
    Red,
    /// Unknown.
    Grey,
}

impl Paint {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Green => Some("1;32"),
            Self::Yellow => Some("1;33"),
            Self::Red => Some("1;31"),
            Self::Grey => Some("1;90"),
        }
    }
}

impl Health {
    /// How its name is shown.
    pub(super) const fn paint(self) -> Paint {
        match self {
            Self::Green => Paint::Green,
            Self::Unknown => Paint::Grey,
            Self::Yellow => Paint::Yellow,
            Self::Red => Paint::Red,
        }
    }
}

/// A line of pieces, cut at [`WIDTH`] columns, without a newline or spaces at its end.
pub fn line(style: Style, pieces: &[(Paint, &str)]) -> String {
    let mut text = String::new();
    let whole: String = pieces.iter().map(|(_, piece)| plain(piece)).collect();
    let whole = clip(whole.trim_end(), WIDTH);
    let (mut room, mut left) = (whole.chars(), whole.chars().count());
    for (paint, piece) in pieces {
        let shown = plain(piece).chars().count().min(left);
        left -= shown;
        let piece: String = room.by_ref().take(shown).collect();
        text += &match paint.code().filter(|_| style == Style::Health && !piece.is_empty()) {
            Some(code) => format!("\x1b[{code}m{piece}\x1b[0m"),
            None => piece,
        };
    }
    text
}

/// The text with everything that is not a visible character replaced: it stays on its line and
/// does nothing to a terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_visible(c) { c } else { ' ' }).collect()
}

/// Controls, and the characters that change the direction of what follows or have no width.
fn is_visible(c: char) -> bool {
    let formats = matches!(
        c,
        '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !formats
}

/// The text, cut to so many columns; `…` at its end says that something is missing.
pub(super) fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += column_count(*c);
        used < columns
    };
    text.chars().take_while(fits).chain((columns > 0).then_some('…')).collect()
}

/// The text cut or filled up with spaces to exactly so many columns.
pub(super) fn pad(text: &str, columns: usize) -> String {
    let text = clip(text, columns);
    format!("{text}{}", " ".repeat(columns - width(&text)))
}

/// The text cut or, at its left, filled up with spaces to exactly so many columns.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = clip(text, columns);
    format!("{}{text}", " ".repeat(columns - width(&text)))
}

/// How many columns a terminal takes to show the text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(column_count).sum()
}

/// East Asian wide characters and pictures take two columns. Combining characters are counted as
/// if they took one, which errs on the narrow side.
const fn column_count(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f000}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// The text on lines of so many columns, broken at spaces where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = clip(word, columns);
        let last = lines.last_mut().expect("begins with one line and only grows");
        if last.is_empty() {
            last.push_str(&word);
        } else if width(last) + 1 + width(&word) <= columns {
            last.push(' ');
            last.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

/// A span for people, two units at most: `0.4 s`, `12.3 s`, `2m05s`, `1h30m`, `3d04h`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=59 => {
            let millis = duration.as_millis();
            match (millis + 50) / 100 {
                0 if millis > 0 => format!("{millis} ms"),
                tenths if tenths % 10 == 0 => format!("{} s", tenths / 10),
                tenths => format!("{}.{} s", tenths / 10, tenths % 10),
            }
        }
        60..=3_599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Milliseconds from a moment, with their sign: `+6 ms`, `+3.25 s`, `-2m05s`.
pub fn offset(millis: i64) -> String {
    let sign = if millis < 0 { '-' } else { '+' };
    let size = millis.unsigned_abs();
    match size {
        0..=999 => format!("{sign}{size} ms"),
        1_000..=59_999 => format!("{sign}{}.{:02} s", size / 1_000, size % 1_000 / 10),
        _ => format!("{sign}{}", span(Duration::from_millis(size))),
    }
}

/// The most columns of a text from elsewhere (a reason, a failure, a command) within a line.
const MAX_TEXT: usize = 200;

/// Puts a text that comes from elsewhere on one line of bounded length.
pub(super) fn text(from_elsewhere: &str) -> String {
    clip(&plain(from_elsewhere), MAX_TEXT)
}

/// Who asked for something.
pub(super) fn caller(caller: &Caller) -> String {
    match caller {
        Caller::Guard => "the guard".to_owned(),
        Caller::Process { pid: Some(pid), uid } => format!("process {pid} of user {uid}"),
        Caller::Process { pid: None, uid } => format!("a process of user {uid}"),
    }
}

/// A span that is recorded in milliseconds.
pub(super) fn span_ms(millis: u64) -> String {
    span(Duration::from_millis(millis))
}

/// The same as the configuration writes it.
pub(super) fn duration_ms(millis: u64) -> String {
    format_duration(Duration::from_millis(millis))
}

/// A time that something took. No time at all reads as less than the clock can tell.
pub(super) fn took(millis: u64) -> String {
    if millis == 0 { "under 1 ms".to_owned() } else { span_ms(millis) }
}

/// A number and what is counted, in the plural where it takes one: `1 rule`, `2 rules`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Names in a row, separated by commas.
pub(super) fn list<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    names.join(", ")
}

/// The same; `None` where there are none.
pub(super) fn names<T: ToString>(names: impl IntoIterator<Item = T>) -> Option<String> {
    Some(list(names)).filter(|names| !names.is_empty())
}

/// How many more there are than are named, as the end of a list; empty where all of them are.
pub(super) fn more(number: usize) -> String {
    if number == 0 { String::new() } else { format!(" and {number} more") }
}

/// The text with `before` in front of it; empty where there is none.
pub(super) fn after(before: &str, text: Option<impl std::fmt::Display>) -> String {
    text.map(|text| format!("{before}{text}")).unwrap_or_default()
}

/// The parts of a page that are not empty, with an empty line between them.
pub(super) fn sections(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colour_is_shown_only_where_it_was_asked_for() {
        let pieces = [(Paint::Red, "red"), (Paint::Plain, " api")];
        assert_eq!(line(Style::Plain, &pieces), "red api");
        assert_eq!(line(Style::Health, &pieces), "\x1b[1;31mred\x1b[0m api");
    }

    #[test]
    fn a_line_that_is_too_long_says_so() {
        let text = line(Style::Plain, &[(Paint::Plain, &"x".repeat(81))]);
        assert_eq!(text.chars().count(), WIDTH);
        assert!(text.ends_with("x…"));
    }

    #[test]
    fn what_could_move_a_cursor_or_break_a_line_becomes_a_space() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{202e}d"), "a [2Jb c d");
    }

    #[test]
    fn spans_and_offsets_read_like_a_clock() {
        let check = |millis, text: &str| assert_eq!(span(Duration::from_millis(millis)), text);
        check(0, "0 s");
        check(42, "42 ms");
        check(400, "0.4 s");
        check(3_000, "3 s");
        check(12_340, "12.3 s");
        check(3_599, "3.6 s");
        check(59_970, "60 s");
        check(49, "49 ms");
        check(50, "0.1 s");
        check(125_000, "2m05s");
        check(5_400_000, "1h30m");
        check(273_600_000, "3d04h");
        assert_eq!(offset(3_259), "+3.25 s");
        assert_eq!(offset(-90), "-90 ms");
        assert_eq!(offset(125_000), "+2m05s");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_a_terminal(pieces in prop::collection::vec(".{0,60}", 0..5)) {
            let pieces: Vec<_> = pieces.iter().map(|p| (Paint::Red, p.as_str())).collect();
            let text = line(Style::Plain, &pieces);
            prop_assert!(width(&text) <= WIDTH);
            prop_assert!(!text.contains(char::is_control));
            let coloured = line(Style::Health, &pieces);
            let stripped = coloured.replace("\x1b[1;31m", "").replace("\x1b[0m", "");
            prop_assert_eq!(stripped, text);
        }

        #[test]
        fn a_padded_text_has_exactly_its_width(text in ".{0,40}", columns in 1..30_usize) {
            let padded = pad(&plain(&text), columns);
            prop_assert_eq!(width(&padded), columns);
        }
    }
}
