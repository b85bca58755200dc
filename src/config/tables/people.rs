//! What `[deployment]` says of people: how they are asked in mode `confirm`, and how often
//! rollguard may act without them.

use std::time::Duration;

use crate::model::deployment::{Budget, Confirm, MAX_ROLLBACKS, Mode, Unanswered};

use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Item, Section};

/// The shortest time to answer: nobody reads a page and types a command in less.
const MIN_ANSWER: Duration = Duration::from_secs(10);

/// The longest time to answer. A bad release that waits for a day has done what harm it can.
const MAX_ANSWER: Duration = Duration::from_secs(24 * 3600);

/// The shortest time that a budget is for: less says nothing about a service.
const MIN_PER: Duration = Duration::from_secs(60);

/// The longest time that a budget is for.
const MAX_PER: Duration = Duration::from_secs(30 * 24 * 3600);

/// How to write it.
const CONFIRM: &str = "write confirm = { within = \"10m\", default = \"rollback\" } below \
                       [deployment], or default = \"deny\" to keep the version";

/// Reports keys of `[deployment]` that stand beside `mode`, where one looks for them first.
pub(crate) fn misplaced<'a>(root: &Section<'a>, sink: &mut Sink) -> Vec<&'a str> {
    let mut misplaced = root.entries();
    misplaced.retain(|entry| ["confirm", "budget"].contains(&entry.key));
    for entry in &misplaced {
        let message = format!("`{}` belongs below [deployment]", entry.key);
        sink.report(Diagnostic::error(entry.key_place(), message));
    }
    misplaced.iter().map(|entry| entry.key).collect()
}

/// Reads `confirm`, which mode `confirm` needs: what happens when nobody answers is for people to
/// choose beforehand.
pub(crate) fn confirm(
    section: &Section<'_>,
    mode: Option<Mode>,
    sink: &mut Sink,
) -> Option<Option<Confirm>> {
    let Some(item) = section.get("confirm") else {
        if mode == Some(Mode::Confirm) {
            let message = "mode `confirm` asks people, and nobody said what happens when none \
                           answers";
            sink.missing(Diagnostic::error(section.place.clone(), message).help(CONFIRM));
            return None;
        }
        return Some(None);
    };
    let section = item.section("`confirm`", sink)?;
    section.only(&["within", "default"], &[], sink);
    let within = required(&section, "within", sink);
    let within = within.and_then(|item| item.duration_within(MIN_ANSWER, MAX_ANSWER, sink));
    let words = [("rollback", Unanswered::Rollback), ("deny", Unanswered::Deny)];
    let default = required(&section, "default", sink);
    let default = default.and_then(|item| item.choice(&words, &[], sink));
    Some(Some(Confirm { within: within?, default: default? }))
}

fn required<'a>(section: &Section<'a>, key: &str, sink: &mut Sink) -> Option<Item<'a>> {
    let item = section.get(key);
    if item.is_none() {
        let message = format!("`confirm` has no `{key}`");
        sink.missing(Diagnostic::error(section.place.clone(), message).help(CONFIRM));
    }
    item
}

/// Reads `budget`.
pub(crate) fn budget(section: &Section<'_>, sink: &mut Sink) -> Option<Budget> {
    let Some(item) = section.get("budget") else { return Some(Budget::default()) };
    let section = item.section("`budget`", sink)?;
    section.only(&["rollbacks", "per"], &[], sink);
    let rollbacks = section.required("rollbacks", sink);
    let rollbacks = rollbacks.and_then(|item| count(item, sink));
    let per = section.required("per", sink);
    let per = per.and_then(|item| item.duration_within(MIN_PER, MAX_PER, sink));
    Some(Budget { rollbacks: rollbacks?, per: per? })
}

fn count(item: Item<'_>, sink: &mut Sink) -> Option<u32> {
    if item.value().as_integer().is_some_and(|number| number.as_str() == "0") {
        let error = Diagnostic::error(item.place(), "a budget of 0 never rolls back");
        sink.report(error.help("say mode = \"notify\" to be told only"));
        return None;
    }
    item.integer(1..MAX_ROLLBACKS + 1, sink)
}
