//! Lints about a single selector: what can match nothing. It must never call suspicious what has
//! one sensible reading.

use crate::model::selector::{Matcher, Selector, Test};

use crate::config::syntax::{Diagnostic, TomlValue};

/// Says what is suspicious of a selector.
pub(crate) fn selector(value: TomlValue<'_>, selector: &Selector) {
    let found = contradiction(selector).map(|message| (message, "no series is ever selected"));
    let found = found.or_else(|| selector.matchers.iter().find_map(empty));
    if let Some((message, help)) = found {
        value.cx.report(Diagnostic::lint(value.span(), message).help(help));
    }
}

/// Why no series can match.
fn contradiction(selector: &Selector) -> Option<String> {
    for (at, matcher) in selector.matchers.iter().enumerate() {
        let label = matcher.label.escape_debug();
        match &matcher.test {
            Test::Equal(value) => {
                let others = selector.matchers.iter().enumerate().filter(|(other, _)| *other != at);
                let mut others = others.map(|(_, other)| other);
                if others.any(|o| o.label == matcher.label && !o.test.accepts(value)) {
                    return Some(format!("the matchers of label `{label}` exclude each other"));
                }
            }
            Test::NotMatches(regex) if matches!(inner(regex.as_str()), ".*" | "(.*)") => {
                return Some(format!("every value of label `{label}` is excluded"));
            }
            Test::NotEqual(_) | Test::Matches(_) | Test::NotMatches(_) => {}
        }
    }
    None
}

/// A regular expression of which a part is empty, and so matches where the label is not there.
fn empty(matcher: &Matcher) -> Option<(String, &'static str)> {
    let Test::Matches(regex) = &matcher.test else { return None };
    let (label, pattern) = (matcher.label.escape_debug(), inner(regex.as_str()));
    if !regex.is_match("") {
        return None;
    }
    if pattern.chars().all(|c| "|()".contains(c)) {
        let message = format!("the expression for label `{label}` matches nothing but its absence");
        return Some((message, "write `=\"\"` if that is meant"));
    }
    let has_empty_branch = pattern.starts_with('|')
        || pattern.ends_with('|')
        || ["||", "(|", "|)"].iter().any(|branch| pattern.contains(branch));
    has_empty_branch.then(|| {
        let message = format!("an alternative for label `{label}` is empty");
        (message, "it also matches series without the label; drop that `|` unless it is meant")
    })
}

/// The expression without its anchors.
fn inner(anchored: &str) -> &str {
    let inner = anchored.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$"));
    inner.unwrap_or(anchored)
}
