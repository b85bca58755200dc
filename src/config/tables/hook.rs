//! `[hook.NAME]`: steps, how the cure is seen, and what follows when it is not.

use std::time::Duration;

use crate::model::hook::{Cure, Hook};
use crate::model::index::HookIx;
use crate::model::name::HookName;

use super::named::{Declared, Listed};
use super::rule::read_condition;
use super::step::{MAX_WAIT, MIN_WAIT, steps};
use crate::config::expr::lowering::Names;
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::Item;

const CURE_FOR: Duration = Duration::from_secs(10);
const CURE_WITHIN: Duration = Duration::from_secs(120);

/// The least time of a whole hook: below it no step could be expected to end.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads one hook.
pub(crate) fn hook(
    declared: &Declared<'_>,
    signals: &Names,
    hooks: &Listed,
    sink: &mut Sink,
) -> Option<Hook> {
    let section = &declared.section;
    section.only(&["steps", "timeout", "cure", "on_failure"], &[], sink);
    let name = name(declared, sink);
    let steps = section.required("steps", sink).and_then(|item| steps(item, sink));
    let timeout = section.opt("timeout", |item| item.duration_within(MIN_TIMEOUT, MAX_WAIT, sink));
    let cure = section.opt("cure", |item| cure(item, signals, sink));
    let on_failure = section.opt("on_failure", |item| {
        let name = item.text(sink)?;
        hooks.find("hook", name, sink).map(HookIx)
    });
    let (name, steps, timeout) = (name?, steps?, timeout?);
    Some(Hook { name, steps, timeout, cure: cure?, on_failure: on_failure? })
}

fn name(declared: &Declared<'_>, sink: &mut Sink) -> Option<HookName> {
    let mut wrong =
        |message: String| sink.report(Diagnostic::error(declared.place.clone(), message));
    if ["notify", "report"].contains(&declared.name) {
        wrong(format!(
            "a hook is not called `{}`, a rule's `then` means something else by it",
            declared.name
        ));
        return None;
    }
    HookName::new(declared.name).map_err(|e| wrong(e.to_string())).ok()
}

/// Reports hooks that are run when they fail themselves.
pub(crate) fn refuse_circles(hooks: &[Option<Hook>], declared: &[Declared<'_>], sink: &mut Sink) {
    let next = |hook: usize| hooks.get(hook)?.as_ref()?.on_failure.map(|HookIx(next)| next);
    for (start, declared) in declared.iter().enumerate() {
        let followers = std::iter::successors(next(start), |at| next(*at)).take(hooks.len());
        if followers.into_iter().any(|at| at == start) {
            let place = declared.section.get("on_failure").map(|item| item.place());
            let place = place.unwrap_or(declared.place.clone());
            let message = "a hook that failed is run again by its own `on_failure`";
            sink.report(Diagnostic::error(place, message));
        }
    }
}

fn cure(item: Item<'_>, signals: &Names, sink: &mut Sink) -> Option<Cure> {
    let section = item.section("the cure", sink)?;
    section.only(&["when", "for", "within"], &[], sink);
    let when = section.required("when", sink);
    let when = when.and_then(|item| read_condition(item, signals, sink));
    let hold =
        section.or("for", CURE_FOR, |item| item.duration_within(Duration::ZERO, MAX_WAIT, sink));
    let within =
        section.or("within", CURE_WITHIN, |item| item.duration_within(MIN_WAIT, MAX_WAIT, sink));
    let (when, hold, within) = (when?, hold?, within?);
    if hold >= within {
        let message = "the cure can never be seen: `for` is not shorter than `within`";
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    Some(Cure { when, hold, within })
}
