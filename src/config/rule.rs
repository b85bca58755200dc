//! `[rule.NAME]`: a condition, how long it must hold and what follows.

use std::time::Duration;

use crate::model::condition::Condition;
use crate::model::name::RuleName;
use crate::model::place::HookIx;
use crate::model::rule::{About, OnNoData, Rule, Severity, Then};

use super::condition::{Names, Refused, condition};
use super::declare::{Declared, Listed};
use super::diagnostic::Diagnostic;
use super::sink::Sink;
use super::walk::{Item, Section};

const KEYS: [&str; 11] = [
    "when",
    "given",
    "for",
    "keep_firing_for",
    "on_no_data",
    "then",
    "severity",
    "relative",
    "description",
    "runbook",
    "owner",
];
const LATER: [&str; 4] = ["share", "quorum", "stages", "telemetry_lost_after"];

/// What rules refer to.
#[derive(Clone, Copy)]
pub(super) struct Refers<'a> {
    pub(super) signals: &'a Names,
    pub(super) hooks: &'a Listed,
    /// The hook of rules that name none.
    pub(super) then: Option<HookIx>,
}

/// Reads one rule.
pub(super) fn rule(declared: &Declared<'_>, refers: Refers<'_>, sink: &mut Sink) -> Option<Rule> {
    let section = &declared.section;
    section.only(&KEYS, &LATER, sink);
    let name = RuleName::new(declared.name)
        .map_err(|e| sink.report(Diagnostic::error(declared.place.clone(), e.to_string())))
        .ok();
    let when = section.required("when", sink);
    let when = when.and_then(|item| read_condition(item, refers.signals, sink));
    let given = section.opt("given", |item| read_condition(item, refers.signals, sink));
    let hold = section.or("for", Duration::ZERO, |item| item.duration(sink));
    let keep = section.or("keep_firing_for", Duration::ZERO, |item| item.duration(sink));
    let no_data =
        [("hold", OnNoData::Hold), ("clear", OnNoData::Clear), ("breach", OnNoData::Breach)];
    let on_no_data =
        section.or("on_no_data", OnNoData::Hold, |item| item.choice(&no_data, &[], sink));
    let words = [("warning", Severity::Warning), ("critical", Severity::Critical)];
    let severity =
        section.or("severity", Severity::Critical, |item| item.choice(&words, &[], sink));
    let then = then(section, refers, sink);
    let relative = section.or("relative", false, |item| item.boolean(sink));
    let about = about(section, sink);
    let severity = severity?;
    Some(Rule {
        name: name?,
        when: when?,
        given: given?,
        hold: hold?,
        keep_firing_for: keep?,
        on_no_data: on_no_data?,
        then: allowed(then?, severity),
        severity,
        relative: relative?,
        about: about?,
    })
}

/// Reads a condition.
pub(super) fn read_condition(
    item: Item<'_>,
    signals: &Names,
    sink: &mut Sink,
) -> Option<Condition> {
    let text = item.text(sink)?;
    let refused = |refused| match refused {
        Refused::Wrong(fault) => sink.report(text.fault(fault)),
        Refused::Missing(fault) => sink.missing(text.fault(fault)),
    };
    condition(text.value, signals).map_err(refused).ok()
}

fn then(section: &Section<'_>, refers: Refers<'_>, sink: &mut Sink) -> Option<Then> {
    let Some(item) = section.get("then") else {
        return Some(refers.then.map_or(Then::Notify, Then::Rollback));
    };
    let name = item.text(sink)?;
    match name.value {
        "notify" => Some(Then::Notify),
        "report" => Some(Then::Report),
        _ => refers.hooks.find("hook", name, sink).map(|place| Then::Rollback(HookIx(place))),
    }
}

/// Warnings never roll back.
const fn allowed(then: Then, severity: Severity) -> Then {
    match (severity, then) {
        (Severity::Warning, Then::Rollback(_)) => Then::Notify,
        (Severity::Warning | Severity::Critical, then) => then,
    }
}

fn about(section: &Section<'_>, sink: &mut Sink) -> Option<About> {
    let description = section.opt("description", |item| item.string(sink));
    let runbook = section.opt("runbook", |item| item.string(sink));
    let owner = section.opt("owner", |item| item.string(sink));
    Some(About { description: description?, runbook: runbook?, owner: owner? })
}
