//! Names and numbers as the written file shows them. Names and values come from a page, that is
//! from strangers: none of them can end a comment or a line.

use crate::toml_text::is_visible;

/// The width of comments: a terminal.
pub(super) const COLUMNS: usize = 80;

/// How much of a name or value is shown to people; the longest sensible ones are half of it.
const MAX_SHOWN: usize = 60;

/// A name or value from the page within a comment or a message: cut, and on one line. A space
/// would let the comment be broken within the name, so it is shown as a dot.
pub(super) fn shown(text: &str) -> String {
    let shown = text.chars().take(MAX_SHOWN);
    let shown = shown.map(|c| if c == ' ' || !is_visible(c) { '\u{b7}' } else { c });
    shown.chain(text.chars().nth(MAX_SHOWN).map(|_| '…')).collect()
}

/// Names from the page, each as [`shown`] shows it and quoted.
pub(super) fn quoted_names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ")
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
    fn a_name_from_the_page_stays_within_its_comment() {
        assert_eq!(shown("a\nb[x]\r c"), "a\u{b7}b[x]\u{b7}\u{b7}c");
        assert!(shown(&"x".repeat(1000)).chars().count() <= MAX_SHOWN + 1);
        assert_eq!(quoted_names(["a", "b"].into_iter()), "`a`, `b`");
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
