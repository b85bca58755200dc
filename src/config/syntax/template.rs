//! Texts with placeholders. `{name}` is a placeholder; every other brace is itself, so that JSON
//! and the templates of other tools can be passed on as they are. There is no escape: a word in
//! single braces that is no placeholder is an error, and so is a placeholder in doubled braces or
//! with spaces, because each would silently reach the hook as text.

use std::ops::Range;

use crate::model::hook::{Piece, Placeholder, Template};

use super::diagnostic::Diagnostic;
use super::diagnostic::nearest;

/// Reads a text with placeholders.
pub(crate) fn template(text: &str) -> Result<Template, Diagnostic> {
    let mut pieces = Vec::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|n| at + n) {
        let end = text[open..].find('}').map_or(text.len(), |n| open + n + 1);
        // The innermost opening brace belongs to the closing one.
        let open = text[open..end].rfind('{').map_or(open, |n| open + n);
        if let Some(placeholder) = placeholder(text, open..end)? {
            if done < open {
                pieces.push(Piece::Text(text[done..open].to_owned()));
            }
            pieces.push(Piece::Fill(placeholder));
            done = end;
        }
        at = end;
    }
    if done < text.len() {
        pieces.push(Piece::Text(text[done..].to_owned()));
    }
    Ok(Template(pieces))
}

/// What the braces at this place mean; `None` if they are text.
fn placeholder(text: &str, span: Range<usize>) -> Result<Option<Placeholder>, Diagnostic> {
    let Some(inner) = text[span.clone()].strip_prefix('{').and_then(|t| t.strip_suffix('}')) else {
        return Ok(None);
    };
    let known = |name: &str| Placeholder::ALL.iter().find(|(n, _)| *n == name).map(|(_, p)| *p);
    let doubled = text[..span.start].ends_with('{') && text[span.end..].starts_with('}');
    if doubled || inner != inner.trim() {
        let name = inner.trim();
        return match known(name) {
            Some(_) => {
                let error = Diagnostic::new(span, "this is not how a placeholder is written");
                Err(error.label(format!("write `{{{name}}}`")))
            }
            None => Ok(None),
        };
    }
    let is_word = inner.starts_with(|c: char| c.is_ascii_alphabetic())
        && inner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !is_word {
        return Ok(None);
    }
    known(inner).map(Some).ok_or_else(|| unknown(inner, span))
}

fn unknown(name: &str, span: Range<usize>) -> Diagnostic {
    let error = Diagnostic::new(span, format!("unknown placeholder `{{{name}}}`"));
    match nearest(name, Placeholder::ALL.iter().map(|(name, _)| *name)) {
        Some(near) => error.label(format!("did you mean `{{{near}}}`?")),
        None => {
            let names: Vec<_> = Placeholder::ALL.iter().map(|(n, _)| format!("{{{n}}}")).collect();
            error.help(format!("placeholders are {}", names.join(" ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        template(text).unwrap().fill(|_| "X")
    }

    #[test]
    fn placeholders_are_found_and_every_other_brace_is_itself() {
        assert_eq!(shown("{good}"), "X");
        assert_eq!(shown("app:{good}-{service}!"), "app:X-X!");
        assert_eq!(shown(r#"{"spec":{"color":"{good}"}}"#), r#"{"spec":{"color":"X"}}"#);
        assert_eq!(shown("{{.Image}} {{json .}} {{end}}"), "{{.Image}} {{json .}} {{end}}");
        assert_eq!(shown("{} { a {.items[0]} }{"), "{} { a {.items[0]} }{");
        assert_eq!(shown(r#"{"a":{{good}}"#.replace("{{", "{\"b\":{").as_str()), r#"{"a":{"b":X}"#);
        assert_eq!(shown(""), "");
    }

    #[test]
    fn what_looks_like_a_placeholder_and_is_none_is_refused() {
        for text in ["{gud}", "{GOOD}", "{print}", "{{good}}", "{ good }", "a {{ version }} b"] {
            assert!(template(text).is_err(), "{text}");
        }
    }
}
