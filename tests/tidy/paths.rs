//! Every path that a file mentions, written out: `use a::{b, c::d};` mentions `a::b` and `a::c::d`.
//! Enough of Rust's grammar to see what a module imports, in `use` and in expressions alike.

use crate::source::{Source, is_word};

/// A path as written and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// 1-based.
    pub(crate) line: usize,
    /// `*` stands for a glob; `$crate` is written `crate`.
    pub(crate) segments: Vec<String>,
}

/// All paths outside tests, in order. A name behind a dot is a field or a method, not a path.
pub(crate) fn mentions(source: &Source) -> Vec<Mention> {
    let code = source.shipped();
    let mut reader = Reader { code: &code, at: 0, line: 1, counted: 0, found: Vec::new() };
    while reader.at < code.len() {
        if reader.starts_path() {
            reader.path(&[]);
        } else {
            reader.at += 1;
        }
    }
    reader.found
}

struct Reader<'a> {
    code: &'a str,
    at: usize,
    /// The line of the offset `counted`, which trails `at`.
    line: usize,
    counted: usize,
    found: Vec<Mention>,
}

impl Reader<'_> {
    fn byte(&self) -> Option<u8> {
        self.code.as_bytes().get(self.at).copied()
    }

    fn starts_path(&self) -> bool {
        let is_start = self.byte().is_some_and(|b| is_word(b) && !b.is_ascii_digit());
        let before = &self.code.as_bytes()[..self.at];
        let in_word = before.last().is_some_and(|b| is_word(*b));
        is_start && !in_word && !is_field(before)
    }

    fn skip_space(&mut self) {
        while self.byte().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let taken = self.code[self.at..].starts_with(token);
        if taken {
            self.at += token.len();
        }
        taken
    }

    fn word(&mut self) -> Option<String> {
        self.take("r#");
        let start = self.at;
        while self.byte().is_some_and(is_word) {
            self.at += 1;
        }
        (self.at > start).then(|| self.code[start..self.at].to_owned())
    }

    /// Reads one path behind `prefix`, groups and all.
    fn path(&mut self, prefix: &[String]) {
        self.skip_space();
        self.line += self.code[self.counted..self.at].matches('\n').count();
        self.counted = self.at;
        let line = self.line;
        let mut segments = prefix.to_vec();
        loop {
            if self.take("{") {
                return self.group(&segments);
            }
            let segment = if self.take("*") { Some("*".to_owned()) } else { self.word() };
            let Some(segment) = segment else { break };
            // Inside a group, `self` names the group itself.
            if !(segment == "self" && segments.len() == prefix.len() && !prefix.is_empty()) {
                segments.push(segment);
            }
            // rustfmt leaves no space here, so `use ::a` and `return ::a` are two paths.
            if !self.code[self.at..].starts_with("::") {
                break;
            }
            self.at += 2;
        }
        self.found.push(Mention { line, segments });
    }

    /// Reads the members of a group whose brace is behind us.
    fn group(&mut self, prefix: &[String]) {
        while self.at < self.code.len() && !self.take("}") {
            let start = self.at;
            self.path(prefix);
            if self.take("as ") {
                self.word();
            }
            self.take(",");
            // Not a group after all: give up rather than stand still.
            if self.at == start {
                return;
            }
        }
    }
}

/// Whether what stands before a name makes it a field or method; `..name` is a range.
fn is_field(before: &[u8]) -> bool {
    let before = before.trim_ascii_end();
    before.ends_with(b".") && !before.ends_with(b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found = mentions(&Source::new("x.rs", text));
        let found: Vec<_> = found.iter().map(|m| m.segments.join("::")).collect();
        for path in expected {
            assert!(found.iter().any(|f| f == path), "{path} in {found:?} of {text:?}");
        }
    }

    #[test]
    fn groups_globs_and_renames_are_written_out() {
        check("use a::{b, c::{d, self}, e as f, *};", &["a::b", "a::c::d", "a::c", "a::e", "a::*"]);
        check(
            "use crate::{\n    a::b,\n    c,\n};\nuse x::y;",
            &["crate::a::b", "crate::c", "x::y"],
        );
        check("use {a::b, ::c::d};", &["a::b", "c::d"]);
    }

    #[test]
    fn paths_in_expressions_types_and_macros_count() {
        check("let x = std::fs::read::<T>(y::z);", &["std::fs::read", "y::z"]);
        check("fn f(x: &crate::a::B) -> super::C {}", &["crate::a::B", "super::C"]);
        check("m! { $crate::a::b() }", &["crate::a::b"]);
        check("let p = r#async::b;", &["async::b"]);
        check("x..a::b", &["a::b"]);
    }

    #[test]
    fn comments_strings_fields_and_tests_do_not() {
        let text = "//! a::b\nlet x = \"a::b\"; x.a . a\n#[cfg(test)]\nmod t { use a::b; }";
        let found = mentions(&Source::new("x.rs", text));
        assert!(found.iter().all(|m| m.segments[0] != "a"), "{found:?}");
    }

    #[test]
    fn a_mention_knows_its_line() {
        let found = mentions(&Source::new("x.rs", "\nuse a::{\n  b,\n  c,\n};"));
        let lines: Vec<_> = found.iter().filter(|m| m.segments[0] == "a").map(|m| m.line).collect();
        assert_eq!(lines, [3, 4]);
    }
}
