//! Lints about a single selector or hook: what can match nothing, and what may be filled in with
//! nothing. It must never call suspicious what has one sensible reading.

use crate::model::hook::Placeholder;
use crate::model::index::HookIx;
use crate::model::plan::Plan;
use crate::model::selector::{Matcher, Selector, Test};

use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::Item;
use crate::config::tables::named::Declared;

/// Says what is suspicious of a selector.
pub(crate) fn selector(item: Item<'_>, selector: &Selector, sink: &mut Sink) {
    let found = contradiction(selector).map(|message| (message, "no series is ever selected"));
    let found = found.or_else(|| selector.matchers.iter().find_map(empty));
    if let Some((message, help)) = found {
        sink.report(Diagnostic::lint(item.place(), message).help(help));
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

/// Hooks that tell people run while no good version is known, too.
pub(crate) fn empty_good(plan: &Plan, hooks: &[Declared<'_>], sink: &mut Sink) {
    let next = |HookIx(hook): &HookIx| plan.hooks.get(*hook)?.on_failure;
    for HookIx(at) in std::iter::successors(plan.deployment.notify, next) {
        let (Some(hook), Some(declared)) = (plan.hooks.get(at), hooks.get(at)) else { return };
        if hook.steps.iter().any(|step| step.action.names(Placeholder::Good)) {
            let steps = declared.section.get("steps").map(|item| item.place());
            let place = steps.unwrap_or(declared.place.clone());
            let message = format!("`{{good}}` may be empty in hook `{}`", declared.name);
            sink.report(Diagnostic::lint(place, message).help(
                "people are also told while no good version is known; `{reason}` says what is",
            ));
        }
    }
}
