//! A type's name has one meaning in the whole crate, so that a reader of `Kind` knows which kind is
//! meant.

use std::collections::BTreeMap;

use crate::source::{Source, is_word, line_of};

/// A message for each name that several types have.
pub(crate) fn shared(sources: &[&Source]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources {
        for (name, line) in types(source) {
            places.entry(name).or_default().push(format!("{}:{line}", source.path));
        }
    }
    let several = places.into_iter().filter(|(_, places)| places.len() > 1);
    several
        .map(|(name, places)| {
            format!("{}: `{name}` also means {}", places[0], places[1..].join(", "))
        })
        .collect()
}

/// The types that a file defines, with their lines. An associated type is none: it stands in an
/// `impl` or a trait, where other items do not.
fn types(source: &Source) -> Vec<(String, usize)> {
    let code = source.shipped();
    let mut found = Vec::new();
    for keyword in ["struct ", "enum ", "union ", "trait ", "type "] {
        for (at, _) in code.match_indices(keyword) {
            let before = &code[..at];
            let in_word = before.bytes().last().is_some_and(is_word);
            let is_associated = keyword == "type " && depth(before) > 0;
            let name: String = code[at + keyword.len()..].chars().take_while(name_part).collect();
            if !in_word && !is_associated && name.starts_with(char::is_uppercase) {
                found.push((name, line_of(&code, at)));
            }
        }
    }
    found
}

fn name_part(c: &char) -> bool {
    c.is_alphanumeric() || *c == '_'
}

/// How many braces are open.
fn depth(before: &str) -> usize {
    let count = |brace| before.matches(brace).count();
    count('{').saturating_sub(count('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        shared(&sources.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_name_of_two_types_fails_whatever_they_are() {
        for second in ["enum Kind { A }", "pub(crate) trait Kind {}", "type Kind = u8;"] {
            let problems = found(&[("src/a.rs", "\npub struct Kind;"), ("src/b.rs", second)]);
            assert_eq!(problems, ["src/a.rs:2: `Kind` also means src/b.rs:1"]);
        }
        let local = [("src/a.rs", "struct A<T>(T); fn f() { struct A; }")];
        assert_eq!(found(&local), ["src/a.rs:1: `A` also means src/a.rs:1"]);
    }

    #[test]
    fn associated_types_uses_and_tests_define_nothing() {
        let other = "use a::Kind; impl X for Y { type Kind = u8; } fn f(mytype: Kind) {}\n\
                     // struct Kind\n#[cfg(test)]\nmod t { struct Kind; }";
        assert_eq!(found(&[("src/a.rs", "struct Kind;"), ("src/b.rs", other)]), [""; 0]);
    }
}
