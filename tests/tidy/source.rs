//! A Rust file as the checks see it: its text, its code with comments and literals blanked out,
//! and which of its lines are tests. Not a parser: it knows just enough not to be fooled by a brace
//! in a string, a quote in a comment or a lifetime.

/// One file, ready to be checked.
pub(crate) struct Source {
    /// Relative to the package, with forward slashes.
    pub(crate) path: String,
    /// As it is on disk.
    pub(crate) text: String,
    /// Same length and same lines; comments and literals are spaces.
    pub(crate) code: String,
    /// For each line, whether it belongs to an item under `#[cfg(test)]`.
    pub(crate) is_test: Vec<bool>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let is_test = test_lines(&code);
        Self { path: path.to_owned(), text: text.to_owned(), code, is_test }
    }

    /// The code outside tests: test lines are emptied, so that line numbers stay.
    pub(crate) fn shipped(&self) -> String {
        let kept = |(line, test): (&str, &bool)| if *test { "" } else { line }.to_owned();
        self.code.split('\n').zip(&self.is_test).map(kept).collect::<Vec<_>>().join("\n")
    }

    /// Where each string literal starts and ends, in bytes, quotes and all.
    pub(crate) fn strings(&self) -> Vec<(usize, usize)> {
        let bytes = self.text.as_bytes();
        let (mut found, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let end = literal_end(bytes, at);
            if end > at && matches!(bytes[at], b'"' | b'r' | b'b' | b'c') {
                found.push((at, end));
            }
            at = end.max(at + 1);
        }
        found
    }

    /// A message that an editor can jump to.
    pub(crate) fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// The 1-based line of a byte offset.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count()
}

/// Whether a byte may stand in an identifier.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The offset just behind the bracket that closes the one at `open`; the end if none does.
pub(crate) fn close(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    code.len()
}

/// Replaces comments and literals by spaces and keeps every line break.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        for byte in out.iter_mut().take(end).skip(at).filter(|b| **b != b'\n') {
            *byte = b' ';
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("whole literals are replaced, never a part of a character")
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none starts there.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let in_word = at > 0 && is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => at + find(rest, b"\n").unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + 1 + quoted(&rest[1..], b'"'),
        [b'\'', ..] => at + character(rest),
        [b'r', ..] if !in_word => at + raw_string(rest, 1),
        [b'b' | b'c', b'r', ..] if !in_word => at + raw_string(rest, 2),
        _ => at,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Behind the closing quote; a backslash takes the next byte with it.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// A character literal, or nothing where the quote starts a lifetime.
fn character(rest: &[u8]) -> usize {
    let Some(first) = rest.get(1) else { return 0 };
    if *first == b'\\' {
        return 1 + quoted(&rest[1..], b'\'');
    }
    let width = match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0.. => 4,
    };
    if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

/// A raw string whose hashes start at `hashes`, or nothing where it is a name such as `r#type`.
fn raw_string(rest: &[u8], hashes: usize) -> usize {
    let count = rest[hashes..].iter().take_while(|b| **b == b'#').count();
    let body = hashes + count + 1;
    if rest.get(body - 1) != Some(&b'"') {
        return 0;
    }
    let end = [b"\"".as_slice(), &rest[hashes..hashes + count]].concat();
    find(&rest[body..], &end).map_or(rest.len(), |at| body + at + end.len())
}

/// Marks the lines of every item under `#[cfg(test)]`; all lines under `#![cfg(test)]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut lines = vec![false; code.split('\n').count()];
    if code.contains("#![cfg(test)]") {
        lines.fill(true);
    }
    for (start, _) in code.match_indices("#[cfg(test)]") {
        let last = line_of(code, item_end(code, start).max(1) - 1);
        lines[line_of(code, start) - 1..last].fill(true);
    }
    lines
}

/// Behind the item whose attributes start at `at`: its semicolon or its closing brace.
fn item_end(code: &str, mut at: usize) -> usize {
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b'{' => return close(code, at),
            b';' => return at + 1,
            b'(' | b'[' => at = close(code, at),
            _ => at += 1,
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str) {
        assert_eq!(blank(text), code, "of {text:?}");
    }

    #[test]
    fn comments_and_literals_become_spaces_and_nothing_else_does() {
        check("a // {\nb", "a     \nb");
        check("a /* { /* } */ { */ b", "a                   b");
        check(r#"a("{\"}") b"#, r"a(      ) b");
        check(r##"a(r#"{"}"#) b"##, r"a(        ) b");
        check(r##"a(br#"{"# ) b"##, r"a(        ) b");
        check("a('{', '\\'', b'\"', 'é') b", "a(   ,     , b   ,     ) b");
        check("fn a<'a>(x: &'a str) {}", "fn a<'a>(x: &'a str) {}");
        check("'a: loop { break 'a }", "'a: loop { break 'a }");
        check("r#type + bar\"{\"", "r#type + bar   ");
        check("\"// no comment\" + x // \"", "                + x     ");
        check("\"two\nlines {\" }", "    \n         }");
    }

    #[test]
    fn an_unfinished_literal_reaches_to_the_end_without_a_panic() {
        for text in ["\"a", "\"a\\", "r#\"a\"", "/* a", "'", "'\\", "// a", "r", "b"] {
            assert_eq!(blank(text).len(), text.len());
        }
    }

    #[test]
    fn only_the_item_under_cfg_test_is_a_test() {
        let text =
            "fn a() {}\n#[cfg(test)]\n#[path = \"x\"]\nmod t {\n fn b() { \"}\" }\n}\nfn c() {}";
        let source = Source::new("x.rs", text);
        assert_eq!(source.is_test, [false, true, true, true, true, true, false]);
        assert_eq!(source.shipped(), "fn a() {}\n\n\n\n\n\nfn c() {}");
        let file = Source::new("x.rs", "//! x\n#![cfg(test)]\nfn a() {}");
        assert!(file.is_test.iter().all(|test| *test));
        let field = Source::new("x.rs", "#[cfg(test)]\nmod t;\nfn a() {}");
        assert_eq!(field.is_test, [true, true, false]);
    }
}
