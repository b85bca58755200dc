//! Sizes and looks: what a reader can hold in mind, counted.

use crate::source::{Source, close, is_word, line_of};

/// A file longer than this may have two subjects, which is worth a look and no failure: cutting a
/// subject in two is worse.
const FILE_LINES: usize = 500;
/// A function longer than this does not fit a screen.
const FUNCTION_LINES: usize = 60;
/// Two files side by side.
const COLUMNS: usize = 100;

/// Everything wrong with a file of `src/`.
pub(crate) fn check_shipped(source: &Source) -> Vec<String> {
    let mut problems = check_any(source);
    problems.extend(function_lengths(source));
    problems.extend(header(source));
    problems.extend(only_declares(source));
    problems
}

/// Everything wrong with any Rust file: tests, benches and examples as well.
pub(crate) fn check_any(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, line) in source.text.split('\n').enumerate() {
        let whats = [long_line(line), white_space(line), left_over(line)];
        problems.extend(whats.into_iter().flatten().map(|what| source.at(index + 1, &what)));
    }
    if !source.text.ends_with('\n') {
        problems.push(source.at(source.text.split('\n').count(), "no line end at the end"));
    }
    problems
}

/// A line without a space to break it at, such as one with a URL, may be as long as it is.
fn long_line(line: &str) -> Option<String> {
    let columns = line.chars().count();
    let long = columns > COLUMNS && !line.contains("://");
    long.then(|| format!("{columns} columns; {COLUMNS} are enough"))
}

fn white_space(line: &str) -> Option<String> {
    if line.contains('\t') {
        return Some("a tab".to_owned());
    }
    line.ends_with(|c: char| c.is_whitespace()).then(|| "white space at the end".to_owned())
}

/// Unfinished work belongs in the tracker. Spelled in halves so as not to find itself.
fn left_over(line: &str) -> Option<String> {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("unimple", "mented"),
        concat!("to", "do!"),
    ];
    let has_word = |mark: &&&str| {
        line.match_indices(**mark).any(|(at, _)| {
            let bytes = line.as_bytes();
            let before = at.checked_sub(1).map(|i| bytes[i]);
            let after = bytes.get(at + mark.len()).copied();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    };
    marks.iter().find(has_word).map(|mark| format!("`{mark}`: finish it or leave it out"))
}

/// Says what is worth a look in a file of `src/`.
pub(crate) fn file_length(source: &Source) -> Option<String> {
    let lines = source.text.lines().zip(&source.is_test).filter(|(_, test)| !**test).count();
    let what = format!("{lines} lines without tests; {FILE_LINES} are enough");
    (lines > FILE_LINES).then(|| source.at(1, &what))
}

fn function_lengths(source: &Source) -> Vec<String> {
    let code = source.shipped();
    let mut problems = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let Some((name, body)) = function(&code, at) else { continue };
        let first = line_of(&code, at);
        let lines = line_of(&code, body.saturating_sub(1)) - first + 1;
        if lines > FUNCTION_LINES {
            let what = format!("`{name}` has {lines} lines; {FUNCTION_LINES} are enough");
            problems.push(source.at(first, &what));
        }
    }
    problems
}

/// The name and the end of the function whose `fn` is at `at`, if it is one and has a body.
fn function(code: &str, at: usize) -> Option<(&str, usize)> {
    let bytes = code.as_bytes();
    if at > 0 && is_word(bytes[at - 1]) {
        return None;
    }
    let name = code[at + 3..].split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    let mut at = at + 3;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => return (!name.is_empty()).then(|| (name, close(code, at))),
            b';' => return None,
            b'(' | b'[' => at = close(code, at),
            _ => at += 1,
        }
    }
    None
}

fn header(source: &Source) -> Option<String> {
    let has = source.text.starts_with("//! ");
    (!has).then(|| source.at(1, "no `//!` header: what it is for, why, what it must never do"))
}

/// `mod.rs` and `lib.rs` are maps: modules and re-exports.
fn only_declares(source: &Source) -> Option<String> {
    if !source.path.ends_with("/mod.rs") && source.path != "src/lib.rs" {
        return None;
    }
    let code = source.shipped();
    let mut at = 0;
    while let Some(skipped) = code[at..].find(|c: char| !c.is_whitespace()) {
        at += skipped;
        let end = match code.as_bytes()[at] {
            b'#' => code[at..].find('[').map_or(code.len(), |open| close(&code, at + open)),
            _ => code[at..].find(';').map_or(code.len(), |end| at + end + 1),
        };
        if !code[at..].starts_with('#') && !is_declaration(&code[at..end]) {
            return Some(source.at(line_of(&code, at), "only `mod` and `use` belong here"));
        }
        at = end;
    }
    None
}

fn is_declaration(item: &str) -> bool {
    let item = match item.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => &rest[close(rest, 0)..],
        Some(rest) => rest,
        None => item,
    };
    let item = item.trim_start();
    item.ends_with(';')
        && (item.starts_with("use ") || item.starts_with("mod "))
        && !(item.starts_with("mod ") && item.contains('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fails(path: &str, text: &str, expected: &str) {
        let found = check_shipped(&Source::new(path, text)).join("\n");
        assert!(found.contains(expected), "wanted {expected:?}, found {found:?} of {text:?}");
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        assert_eq!(check_shipped(&Source::new(path, text)), Vec::<String>::new(), "of {text:?}");
    }

    fn function_of(lines: usize, body: &str) -> String {
        format!("//! x\npub fn long() {{\n{}}}\nfn b() {{}}\n", body.repeat(lines - 2))
    }

    #[test]
    fn a_function_is_as_long_as_its_braces_say() {
        passes("src/a.rs", &function_of(60, "    f();\n"));
        fails("src/a.rs", &function_of(61, "    f();\n"), "src/a.rs:2: `long` has 61 lines");
        fails("src/a.rs", &function_of(61, "    f(\"}\");\n"), "`long` has 61 lines");
        fails("src/a.rs", &function_of(61, "    f('}'); // }\n"), "`long` has 61 lines");
        fails("src/a.rs", &function_of(61, "    f(r#\"\"}\"#);\n"), "`long` has 61 lines");
        fails("src/a.rs", &function_of(61, "    if x { y() } /* } */\n"), "`long` has 61 lines");
        fails("src/a.rs", &function_of(61, "    f::<'a>(b'}');\n"), "`long` has 61 lines");
        passes("src/a.rs", &function_of(60, "    f(\"{\", '{', r\"{\"); // {\n"));
    }

    #[test]
    fn a_signature_without_a_body_and_a_function_in_a_test_have_no_length() {
        let tests = format!("//! x\n#[cfg(test)]\nmod t {{\n{}}}\n", function_of(90, "f();\n"));
        passes("src/a.rs", &tests.replace("//! x\npub", "pub"));
        let abstracts = "//! x\ntrait T { fn a(x: [u8; 2]) -> fn(u8) -> u8; }\n";
        passes("src/a.rs", &format!("{abstracts}{}", "const A: u8 = 1;\n".repeat(90)));
    }

    #[test]
    fn a_long_file_is_warned_of_and_measured_without_its_tests() {
        let code = |lines: usize| format!("//! x\n{}", "const A: u8 = 1;\n".repeat(lines - 1));
        let warning = |text: &str| file_length(&Source::new("src/a.rs", text));
        assert_eq!(warning(&code(500)), None);
        let long = warning(&code(501)).unwrap();
        assert!(long.starts_with("src/a.rs:1: 501 lines without tests"), "{long}");
        passes("src/a.rs", &code(501));
        let tests = format!("#[cfg(test)]\nmod t {{\n{}}}\n", "fn f() {}\n".repeat(600));
        assert_eq!(warning(&format!("{}{tests}", code(500))), None);
        assert!(warning(&format!("{}{tests}const B: u8 = 1;\n", code(500))).is_some());
    }

    #[test]
    fn lines_have_at_most_100_columns() {
        passes("src/a.rs", &format!("//! {}\n", "é".repeat(96)));
        fails("src/a.rs", &format!("//! {}\n", "e".repeat(97)), "src/a.rs:1: 101 columns");
        passes("src/a.rs", &format!("//! https://{}\n", "e".repeat(97)));
    }

    #[test]
    fn tabs_trailing_space_and_left_overs_fail() {
        fails("src/a.rs", "//! x\n\tx\n", "src/a.rs:2: a tab");
        fails("src/a.rs", "//! x \n", "white space at the end");
        fails("src/a.rs", "//! x\r\n", "white space at the end");
        fails("src/a.rs", "//! x", "no line end");
        fails("src/a.rs", concat!("//! x\n// TO", "DO: y\n"), "src/a.rs:2: `TO");
        fails("src/a.rs", concat!("//! x\nfn a() { unimple", "mented!() }\n"), "unimple");
        passes("src/a.rs", concat!("//! TO", "DOS FIX", "MES\n"));
    }

    #[test]
    fn a_module_starts_with_its_header() {
        fails("src/a.rs", "use x;\n//! x\n", "src/a.rs:1: no `//!` header");
        fails("src/a.rs", "", "no `//!` header");
    }

    #[test]
    fn a_mod_file_only_declares() {
        let map = "//! x\n#![cfg_attr(a, warn(b))]\n\n/// y\npub mod a;\nmod b;\n\
                   #[cfg(test)]\nmod t {}\npub(crate) use b::{c, d};\n";
        passes("src/a/mod.rs", map);
        passes("src/lib.rs", map);
        for item in ["fn f() {}", "pub struct A;", "mod c {}", "const A: u8 = 1;", "pub mod c { }"]
        {
            fails("src/a/mod.rs", &format!("{map}{item}\n"), "src/a/mod.rs:10: only `mod`");
            fails("src/lib.rs", &format!("{map}{item}\nmod z;\n"), "src/lib.rs:10: only `mod`");
            passes("src/a/b.rs", &format!("{map}{item}\n"));
        }
    }
}
