//! L1: configuration as text: TOML strings, tables with aligned keys, comments and selectors.
//!
//! What is written often comes from strangers, such as the names on a metrics page or the texts of
//! somebody's alerts. No name and no value may end a string, a comment or a line, and reading the
//! text again must give exactly what was written.

use std::collections::HashSet;
use std::fmt;

/// One matcher of a selector, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatcherText {
    /// The label.
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub op: &'static str,
    /// The value or the regular expression.
    pub value: String,
}

impl MatcherText {
    /// A matcher of its parts.
    pub fn new(label: &str, op: &'static str, value: &str) -> Self {
        Self { label: label.to_owned(), op, value: value.to_owned() }
    }
}

/// A selector that reads back as this metric and these matchers. `separator` stands between two
/// matchers.
pub fn selector(metric: &str, matchers: &[MatcherText], separator: &str) -> String {
    let (head, inner) = if is_bare(metric, ":") { (metric, None) } else { ("", Some(metric)) };
    let matchers = matchers.iter().map(|MatcherText { label, op, value }| {
        let label = if is_bare(label, "") { label.clone() } else { quoted(label) };
        format!("{label}{op}{}", quoted(value))
    });
    let parts: Vec<String> = inner.map(quoted).into_iter().chain(matchers).collect();
    if parts.is_empty() { head.to_owned() } else { format!("{head}{{{}}}", parts.join(separator)) }
}

fn is_bare(name: &str, extra: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || extra.contains(c);
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(inside)
}

/// A selector as a TOML literal. A single quote can only stand in a quoted text, where it is
/// escaped.
pub fn selector_literal(metric: &str, matchers: &[MatcherText]) -> String {
    format!("'{}'", selector(metric, matchers, ", ").replace('\'', "\\u0027"))
}

/// A text in double quotes; `escape` writes what an editor does not show.
fn in_quotes(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_visible(c) => out.push(c),
            c => out.push_str(&escape(c)),
        }
    }
    out + "\""
}

/// A quoted text of a selector.
fn quoted(text: &str) -> String {
    in_quotes(text, |c| match c {
        '\n' | '\r' | '\t' => c.escape_default().to_string(),
        c if u32::from(c) <= 0xffff => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    })
}

/// Whether an editor shows the character, and it alone.
pub fn is_visible(c: char) -> bool {
    c == ' '
        || !(c.is_control() || c.is_whitespace() || c.escape_debug().to_string().starts_with("\\u"))
}

/// A TOML string. It stands in single quotes where that saves escapes, so that selectors stay
/// readable.
pub fn string(text: &str) -> String {
    let literal = !text.contains('\'') && text.chars().all(is_visible);
    if literal && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    in_quotes(text, |c| format!("\\U{:08x}", u32::from(c)))
}

/// A table and the rows below its header.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    header: String,
    rows: Vec<(&'static str, String)>,
}

impl Table {
    /// An empty table; the header without its brackets.
    pub fn new(header: impl Into<String>) -> Self {
        Self { header: header.into(), rows: Vec::new() }
    }

    /// Adds a value that is a string.
    #[must_use]
    pub fn text(self, key: &'static str, value: &str) -> Self {
        self.raw(key, string(value))
    }

    /// Adds a string, where there is one.
    #[must_use]
    pub fn optional(self, key: &'static str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.text(key, value.as_ref()),
            None => self,
        }
    }

    /// Adds a value that is TOML already.
    #[must_use]
    pub fn raw(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.rows.push((key, value.into()));
        self
    }
}

impl fmt::Display for Table {
    /// The header and the rows, with the values in a column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[{}]", self.header)?;
        let width = self.rows.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        self.rows.iter().try_for_each(|(key, value)| writeln!(f, "{key:width$} = {value}"))
    }
}

/// The words of a text on lines of at most `width` characters, where words are not longer than
/// that. The first line begins with `first`, every other one with `rest`. Without words there is
/// no line.
pub fn fill(first: &str, rest: &str, text: &str, width: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let columns = word.chars().count();
        let (between, start) = if column == 0 {
            ("", first)
        } else if column + 1 + columns <= width {
            (" ", "")
        } else {
            column = 0;
            ("\n", rest)
        };
        out.extend([between, start, word]);
        column += start.chars().count() + between.trim_matches(|c| c == '\n').len() + columns;
    }
    if column > 0 {
        out.push('\n');
    }
    out
}

/// A comment on lines of at most `width` characters.
pub fn comment(text: &str, width: usize) -> String {
    fill("# ", "# ", text, width)
}

/// The names of one kind that are taken.
#[derive(Debug, Default)]
pub struct UniqueNames(HashSet<String>);

impl UniqueNames {
    /// Takes the first of the candidates that is free, else the first of them with a number.
    pub fn take(&mut self, candidates: &[String], separator: char) -> String {
        let first = candidates.first().map_or("", String::as_str);
        let numbered = (2_u64..).map(|number| format!("{first}{separator}{number}"));
        let mut names = candidates.iter().cloned().chain(numbered);
        let name = names.find(|name| !self.0.contains(name)).expect("numbers do not run out");
        self.0.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_holds_nothing_that_ends_the_string_around_it() {
        let check = |metric: &str, value: &str, expected: &str| {
            let matchers = [MatcherText::new("code", "=", value)];
            assert_eq!(selector_literal(metric, &matchers), expected);
        };
        check("m:total", "5xx", "'m:total{code=\"5xx\"}'");
        check("my.name", "a'b\"\\", "'{\"my.name\", code=\"a\\u0027b\\\"\\\\\"}'");
        check("m", "a\nb\u{202e}\u{1}", "'m{code=\"a\\nb\\u202e\\u0001\"}'");
        check("5m", "\u{e0001}", "'{\"5m\", code=\"\\U000e0001\"}'");
        assert_eq!(selector("m", &[], ", "), "m");
    }

    #[test]
    fn a_string_is_quoted_in_the_way_that_stays_readable() {
        assert_eq!(string("plain"), "\"plain\"");
        assert_eq!(string("m{a=\"b\"}"), "'m{a=\"b\"}'");
        assert_eq!(string("it's \"b\""), "\"it's \\\"b\\\"\"");
        assert_eq!(string("a\nb\\"), "\"a\\U0000000ab\\\\\"");
    }

    #[test]
    fn a_comment_stays_a_comment_and_within_its_width() {
        let written = comment(&("word ".repeat(60) + "a\nb\r"), 80);
        assert!(written.lines().all(|line| line.starts_with("# ") && line.chars().count() <= 80));
        assert_eq!(comment("", 80), "");
        assert_eq!(fill("  - ", "    ", "aa bb cc", 9), "  - aa bb\n    cc\n");
    }

    #[test]
    fn a_name_is_taken_once() {
        let mut names = UniqueNames::default();
        let candidates = ["a".to_owned(), "a_b".to_owned()];
        let taken: Vec<_> = (0..4).map(|_| names.take(&candidates, '_')).collect();
        assert_eq!(taken, ["a", "a_b", "a_2", "a_3"]);
    }
}
