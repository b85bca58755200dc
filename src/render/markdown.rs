//! Markdown that means what it says: whatever a rule, a hook or a page says, it stays text.

use super::line::plain;

/// Text as text: characters that Markdown or HTML would read as something else are escaped, and
/// it stays on one line. It must not begin a line, where yet others have a meaning.
pub(super) fn text(text: &str) -> String {
    let text = plain(text);
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.clone().next().unwrap_or(' ');
        // Within a word an underscore is an underscore, and names are full of them.
        let in_word = before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric();
        if "\\`*[]<|&~$".contains(c) || c == '_' && !in_word {
            escaped.push('\\');
        }
        escaped.push(c);
        before = c;
    }
    escaped
}

/// A code span in a table. A table would end a cell at a `|` even within a code span, so that is
/// escaped as tables ask for.
pub(super) fn code_cell(text: &str) -> String {
    code(&text.replace('|', "\\|"))
}

/// A code span on one line, fenced by more backticks than it holds in a row.
pub(super) fn code(text: &str) -> String {
    let text = plain(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    // A backtick at an end would join the fence, and a span of nothing is none.
    match text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

/// A fenced block, fenced by more backticks than it holds in a row, so that nothing in it can end
/// it. Lines stay lines; other control characters become spaces.
pub(super) fn block(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(plain).collect();
    let text = lines.join("\n");
    let fence = "`".repeat((longest_run(&text) + 1).max(3));
    format!("{fence}text\n{text}\n{fence}\n")
}

/// An address as a link where it is one, else as text.
pub(super) fn link(address: &str) -> String {
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    let is_whole = address.bytes().all(|b| b.is_ascii_graphic() && !b"<>`|\\".contains(&b));
    if is_web && is_whole { format!("<{address}>") } else { text(address) }
}

/// A table row.
pub(super) fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A section with a table; empty where the table has no rows.
pub(super) fn table_section(title: &str, titles: &[&str], rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("## {title}\n\n{}{rows}", table_head(titles))
}

/// A table's head.
pub(super) fn table_head(titles: &[&str]) -> String {
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let rule = vec!["---".to_owned(); titles.len()];
    format!("{}{}", row(&titles), row(&rule))
}

/// The facts that are known as a list: `- name: fact`.
pub(super) fn bullets<'a>(facts: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let known = facts.into_iter().filter_map(|(name, fact)| Some(format!("- {name}: {}\n", fact?)));
    known.collect()
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(text("a|b *c*\n<img>"), "a\\|b \\*c\\* \\<img>");
    }

    #[test]
    fn an_underscore_within_a_word_needs_no_escape() {
        assert_eq!(text("error_rate _x_ a_"), "error_rate \\_x\\_ a\\_");
    }

    #[test]
    fn a_code_span_holds_backticks_and_a_cell_holds_bars() {
        assert_eq!(code_cell("a || b"), "`a \\|\\| b`");
        assert_eq!(code("a || b"), "`a || b`");
        assert_eq!(code("`x``"), "``` `x`` ```");
        assert_eq!(code(""), "`  `");
    }

    #[test]
    fn only_a_whole_web_address_becomes_a_link() {
        assert_eq!(link("https://wiki.example/x?a=b"), "<https://wiki.example/x?a=b>");
        assert_eq!(link("javascript:alert(1)"), "javascript:alert(1)");
        assert_eq!(link("https://x> <script>"), "https://x> \\<script>");
    }

    proptest! {
        #[test]
        fn nothing_within_a_block_can_end_it(inner in "[`~a\n\r\x1b]{0,40}") {
            let block = block(&inner);
            let fence: String = block.chars().take_while(|c| *c == '`').collect();
            let closing = block.lines().skip(1).filter(|line| {
                line.trim().len() >= fence.len() && line.trim().chars().all(|c| c == '`')
            });
            prop_assert_eq!(closing.count(), 1);
            let end = format!("\n{fence}\n");
            prop_assert!(block.ends_with(&end));
        }

        #[test]
        fn a_cell_never_ends_early(inner in "[a|`\\\\\n]{0,30}") {
            let cell = text(&inner);
            let mut escaped = false;
            for c in cell.chars() {
                prop_assert!(c != '|' || escaped, "{cell}");
                escaped = c == '\\' && !escaped;
            }
            prop_assert!(!cell.contains('\n'));
        }
    }
}
