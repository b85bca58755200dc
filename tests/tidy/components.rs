//! A component owns its state: its fields are private, so that only its own file can change them.
//! The guard, which owns the components, has one file of its own as well.

use std::collections::BTreeSet;

use crate::source::{Source, close, is_word, line_of};

/// The one file of the guard's methods.
const GUARD: &str = "src/engine/guard.rs";

/// A message for each other file that implements the guard's own methods.
pub(crate) fn guard_elsewhere(sources: &[&Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| source.path != GUARD);
    let found = others.filter_map(|source| {
        let (line, _, _) = impls(source).into_iter().find(|(_, name, _)| name == "Guard")?;
        Some(source.at(line, &format!("`impl Guard` belongs in {GUARD}")))
    });
    found.collect()
}

/// A message for each type of `src/engine/` with methods that change it and fields that others
/// reach.
pub(crate) fn open(sources: &[&Source]) -> Vec<String> {
    let engine = || sources.iter().copied().filter(|source| source.path.starts_with("src/engine/"));
    let changing: BTreeSet<String> = engine()
        .flat_map(impls)
        .filter(|(_, _, body)| body.contains("(&mut self"))
        .map(|(_, name, _)| name)
        .collect();
    let mut problems = Vec::new();
    for source in engine() {
        for (line, name, fields) in structs(source) {
            if changing.contains(&name) && fields > 0 {
                let what =
                    format!("others reach {fields} fields of `{name}`, which changes itself");
                problems.push(source.at(line, &what));
            }
        }
    }
    problems
}

/// The line, type and body of each `impl Type`; `impl Trait for Type` is none.
fn impls(source: &Source) -> Vec<(usize, String, String)> {
    let code = source.shipped();
    let mut found = Vec::new();
    for at in items(&code, "impl") {
        let Some(open) = code[at..].find('{').map(|open| at + open) else { continue };
        let head = &code[at + "impl".len()..open];
        let head = if head.starts_with('<') { behind_generics(head) } else { head };
        if head.contains(" for ") {
            continue;
        }
        let name: String =
            head.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        found.push((line_of(&code, at), name, code[open..close(&code, open)].to_owned()));
    }
    found
}

/// The line and name of each `struct` with named fields, and how many of those are not private.
fn structs(source: &Source) -> Vec<(usize, String, usize)> {
    let code = source.shipped();
    let mut found = Vec::new();
    for at in items(&code, "struct") {
        let rest = &code[at + "struct".len()..];
        let Some(end) = rest.find(['{', ';', '(']) else { continue };
        let open = at + "struct".len() + end;
        let name: String =
            rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let body = &code[open..close(&code, open)];
        let fields = body.lines().filter(|line| line.trim_start().starts_with("pub"));
        if code.as_bytes()[open] == b'{' {
            found.push((line_of(&code, at), name, fields.count()));
        }
    }
    found
}

/// Where a keyword stands that begins an item.
fn items(code: &str, keyword: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let is_item = |at: &usize| {
        let before = code[..*at].trim_end_matches([' ', '\t']);
        let starts = before.is_empty()
            || before.ends_with(['\n', '}', ';'])
            || before.ends_with("pub")
            || before.ends_with(')') && before.rsplit('\n').next().is_some_and(is_visibility);
        starts && !bytes.get(at + keyword.len()).copied().is_some_and(is_word)
    };
    code.match_indices(keyword).map(|(at, _)| at).filter(is_item).collect()
}

fn is_visibility(line: &str) -> bool {
    line.trim_start().starts_with("pub(")
}

fn behind_generics(head: &str) -> &str {
    let mut depth = 0_usize;
    for (at, byte) in head.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return &head[at + 1..];
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        guard_elsewhere(&sources.iter().collect::<Vec<_>>())
    }

    fn opened(path: &str, text: &str) -> Vec<String> {
        open(&[&Source::new(path, text)])
    }

    #[test]
    fn the_guard_has_methods_in_one_file() {
        let guard = ("src/engine/guard.rs", "pub struct Guard {}\nimpl Guard { fn f() {} }");
        assert_eq!(elsewhere(&[guard]), [""; 0]);
        let other = ("src/engine/a.rs", "use x;\nimpl Guard {\n fn g() {} }\nimpl Guard {}");
        assert_eq!(
            elsewhere(&[guard, other]),
            ["src/engine/a.rs:2: `impl Guard` belongs in src/engine/guard.rs"]
        );
        let fine = "impl Clone for Guard {}\nimpl GuardRail {}\nfn f() -> impl Guard {}\n\
                    #[cfg(test)]\nmod t { impl Guard {} }";
        assert_eq!(elsewhere(&[("src/engine/a.rs", fine)]), [""; 0]);
    }

    #[test]
    fn what_changes_itself_has_private_fields() {
        let text = "pub(crate) struct A<T> {\n    a: T,\n    pub(crate) b: u8,\n    pub c: u8,\n}\n\
                    impl<T: Into<u8>> A<T> {\n    fn set(&mut self) {}\n}\n";
        assert_eq!(
            opened("src/engine/a.rs", text),
            ["src/engine/a.rs:1: others reach 2 fields of `A`, which changes itself"]
        );
        for fine in [
            text.replace("pub(crate) b", "b").replace("pub c", "c"),
            text.replace("&mut self", "&self"),
            text.replace("impl<T: Into<u8>> A<T>", "impl<T> X for A<T>"),
        ] {
            assert_eq!(opened("src/engine/a.rs", &fine), [""; 0], "of {fine:?}");
        }
        assert_eq!(opened("src/serve/a.rs", text), [""; 0]);
    }
}
