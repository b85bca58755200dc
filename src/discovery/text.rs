//! Text that is written: selectors, TOML strings, numbers and comments. Names and values come from
//! a page, that is from strangers: none of them can end a string, a comment or a line.

use std::fmt::Write;

/// The width of comments: a terminal.
const COLUMNS: usize = 80;

/// How much of a name or value is shown to people; the longest sensible ones are half of it.
const MAX_SHOWN: usize = 60;

/// One matcher of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The label.
    pub(super) label: String,
    /// `=`, `!=` or `=~`.
    pub(super) operator: &'static str,
    /// The value, or a regular expression of our own.
    pub(super) value: String,
}

impl Match {
    pub(super) fn new(label: &str, operator: &'static str, value: &str) -> Self {
        Self { label: label.to_owned(), operator, value: value.to_owned() }
    }
}

/// A selector, such that reading it gives exactly this metric and these matchers.
pub(super) fn selector(metric: &str, matchers: &[Match]) -> String {
    let (head, inner) = if is_bare(metric, ":") {
        (metric.to_owned(), None)
    } else {
        (String::new(), Some(quoted(metric)))
    };
    let written = matchers.iter().map(|Match { label, operator, value }| {
        let label = if is_bare(label, "") { label.clone() } else { quoted(label) };
        format!("{label}{operator}{}", quoted(value))
    });
    let parts: Vec<String> = inner.into_iter().chain(written).collect();
    if parts.is_empty() { head } else { format!("{head}{{{}}}", parts.join(", ")) }
}

/// A selector as a TOML string. Selectors hold no quote of that kind and nothing that cannot be
/// seen, so they stand there as they are.
pub(super) fn selector_string(metric: &str, matchers: &[Match]) -> String {
    format!("'{}'", selector(metric, matchers))
}

fn is_bare(name: &str, extra: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || extra.contains(c);
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(inside)
}

/// A quoted text of a selector; what TOML or an eye could take otherwise is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c != '\'' && is_visible(c) => out.push(c),
            c if u32::from(c) <= 0xffff => push(&mut out, format_args!("\\u{:04x}", u32::from(c))),
            c => push(&mut out, format_args!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

/// Whether an editor shows the character, and it alone.
fn is_visible(c: char) -> bool {
    c == ' '
        || !(c.is_control() || c.is_whitespace() || c.escape_debug().to_string().starts_with("\\u"))
}

/// A text as a TOML string; whatever it holds, reading it gives the same text.
#[must_use]
pub fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_visible(c) => out.push(c),
            c => push(&mut out, format_args!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// A name or value from the page within a comment or a message: cut, and on one line.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == MAX_SHOWN {
            out.push('…');
            break;
        }
        out.push(if c == ' ' || !is_visible(c) { '\u{fffd}' } else { c });
    }
    // A space would let the comment be broken within the name; it is shown as one all the same.
    out.replace('\u{fffd}', "\u{b7}")
}

/// A comment, broken at spaces.
pub(super) fn comment(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width <= COLUMNS {
            push(&mut out, format_args!(" {word}"));
            column += 1 + width;
        } else {
            let end = if column > 0 { "\n" } else { "" };
            push(&mut out, format_args!("{end}# {word}"));
            column = 2 + width;
        }
    }
    if column > 0 {
        out.push('\n');
    }
    out
}

/// A number of seconds as a condition writes it.
pub(super) fn seconds(value: f64) -> String {
    // Away from the rounding of 0.1 * 1000, and no finer than a bucket is.
    let millis = (value * 1e9).round() / 1e6;
    if millis.fract() != 0.0 {
        return format!("{}", millis / 1e3);
    }
    if millis % 1e3 == 0.0 { format!("{}s", millis / 1e3) } else { format!("{millis}ms") }
}

/// A share as people say it.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 {
        return "below 0.1%".to_owned();
    }
    format!("{}%", (percent * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_holds_nothing_that_ends_the_string_around_it() {
        let check = |metric: &str, value: &str, expected: &str| {
            let matchers = [Match::new("code", "=", value)];
            assert_eq!(selector_string(metric, &matchers), expected);
        };
        check("m:total", "5xx", "'m:total{code=\"5xx\"}'");
        check("my.name", "a'b\"\\", "'{\"my.name\", code=\"a\\u0027b\\\"\\\\\"}'");
        check("m", "a\nb\u{202e}\u{1}", "'m{code=\"a\\nb\\u202e\\u0001\"}'");
        check("5m", "\u{e0001}", "'{\"5m\", code=\"\\U000e0001\"}'");
        assert_eq!(selector("m", &[]), "m");
    }

    #[test]
    fn a_comment_stays_a_comment_and_within_the_terminal() {
        let long = "word ".repeat(60) + &shown("a\nb[x]\r");
        let written = comment(&long);
        assert!(written.lines().all(|line| line.starts_with("# ") && line.chars().count() <= 80));
        assert!(written.contains("a\u{b7}b[x]\u{b7}"));
        assert_eq!(comment(""), "");
        assert!(shown(&"x".repeat(1000)).chars().count() <= MAX_SHOWN + 1);
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!(seconds(2.0), "2s");
        assert_eq!(seconds(2.5), "2500ms");
        assert_eq!(seconds(0.25), "250ms");
        assert_eq!(seconds(0.000_5), "0.0005");
        assert_eq!(seconds(1.789_569_706), "1.789569706");
        assert_eq!(percent(0.0), "0%");
        assert_eq!(percent(0.000_1), "below 0.1%");
        assert_eq!(percent(0.0123), "1.2%");
    }
}
