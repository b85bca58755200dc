//! No protocol in strings: what one part of the program tells another is an enum, which the
//! compiler compares. A string is compared where text from outside is read, and there only.

use crate::source::{Source, is_word, line_of};

/// Where text from outside is read: configuration, metrics pages, other people's rules, arguments.
const READERS: [&str; 7] = [
    "src/cli/",
    "src/config/",
    "src/discovery/",
    "src/exposition/",
    "src/import/",
    "src/ruletest/file.rs",
    "src/ruletest/series.rs",
];

/// The names of functions that make a value of a text start with one of these.
const PARSERS: [&str; 4] = ["parse", "from_str", "from_name", "try_from"];

/// A message for each comparison with a literal outside readers and parsers. The paths of requests
/// are text from outside wherever they are compared.
pub(crate) fn compared(source: &Source) -> Vec<String> {
    if READERS.iter().any(|reader| source.path.starts_with(reader)) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (start, end) in source.strings() {
        let text = &source.text[start..end];
        let line = line_of(&source.code, start);
        let is_test = source.is_test[line - 1];
        if is_test || text.starts_with("\"/") || !is_compared(&source.code, start, end) {
            continue;
        }
        if !function(&source.code[..start]).is_some_and(is_parser) {
            problems.push(source.at(line, &format!("compares with {text}")));
        }
    }
    problems
}

/// Whether a literal is an operand of `==` or `!=`, or stands in a pattern.
fn is_compared(code: &str, start: usize, end: usize) -> bool {
    let before = code[..start].trim_end();
    let after = code[end..].trim_start_matches(|c: char| c.is_whitespace() || c == ')');
    let operators = ["==", "!="];
    let is_operand = operators.iter().any(|operator| before.ends_with(operator))
        || operators.iter().any(|operator| code[end..].trim_start().starts_with(operator));
    let in_pattern = after.starts_with("=>")
        || after.starts_with("| ") && !after.starts_with("||")
        || after.starts_with("if ");
    is_operand || in_pattern
}

/// The name of the last function that begins before.
fn function(before: &str) -> Option<&str> {
    let is_start = |at: &usize| !before[..*at].bytes().last().is_some_and(is_word);
    let at = before.rmatch_indices("fn ").map(|(at, _)| at).find(is_start)?;
    before[at + 3..].split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn is_parser(name: &str) -> bool {
    PARSERS.iter().any(|parser| name.starts_with(parser))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        let found = compared(&Source::new(path, text));
        let found: Vec<_> = found.iter().map(|f| f.rsplit_once("with ").unwrap().1).collect();
        assert_eq!(found, expected, "of {text:?}");
    }

    #[test]
    fn a_literal_that_is_compared_or_matched_is_found() {
        let file = "src/engine/a.rs";
        check(file, "fn f() { if x == \"a\" {} }", &["\"a\""]);
        check(file, "fn f() { \"a\" != x; x.filter(|y| *y == \n \"b\") }", &["\"a\"", "\"b\""]);
        check(file, "fn f() { match x { \"a\" | \"b\" => 1, _ => 2 } }", &["\"a\"", "\"b\""]);
        check(
            file,
            "fn f() { match x { (A, Some(\"a\")) => 1, \"b\" if y => 2 } }",
            &["\"a\"", "\"b\""],
        );
        check(file, "fn f() { matches!(x, \"a\" | r\"b\") }", &["\"a\""]);
    }

    #[test]
    fn what_is_only_said_is_not() {
        let file = "src/engine/a.rs";
        check(file, "fn f() { match x { A => \"a\", B => g(\"b\") } h(\"c\") || y }", &[]);
        check(file, "// x == \"a\"\nconst A: &str = \"x == y => |\"; fn f() { x == y }", &[]);
        check(file, "#[cfg(test)]\nmod t { fn f() { x == \"a\" } }", &[]);
        check(file, "fn f(a: &str) -> bool { a == \"/metrics\" }", &[]);
    }

    #[test]
    fn readers_and_parsers_compare_strings_by_trade() {
        check("src/config/a.rs", "fn f() { x == \"a\" }", &[]);
        check(
            "src/engine/a.rs",
            "fn parse_kind() { x == \"a\" } fn g() { y == \"b\" }",
            &["\"b\""],
        );
        check("src/engine/a.rs", "fn from_str(s: &str) { match s { \"a\" => 1, _ => 2 } }", &[]);
    }
}
