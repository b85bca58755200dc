//! `[rule.NAME]`: a condition, how long it must hold and what follows.

use std::time::Duration;

use crate::model::condition::Condition;
use crate::model::index::HookIx;
use crate::model::name::{RuleName, StageName};
use crate::model::rule::{About, OnNoData, Quorum, Rule, Severity, Share, Then};
use crate::model::signal::Unit;
use crate::model::stage::MAX_STAGES;

use super::named::{Declared, Listed};
use super::stage::Stages;
use crate::config::expr::lexer::literal;
use crate::config::expr::lowering::{Names, Refused, condition};
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Item, Section};

const KEYS: [&str; 15] = [
    "when",
    "given",
    "for",
    "share",
    "quorum",
    "stages",
    "telemetry_lost_after",
    "keep_firing_for",
    "on_no_data",
    "then",
    "severity",
    "relative",
    "description",
    "runbook",
    "owner",
];

/// After how long without any reading people are told, unless the rule says otherwise.
const DEFAULT_LOST: Duration = Duration::from_secs(30);

/// The shortest time after which a loss may be told of. Below it every restart is one.
const MIN_LOST: Duration = Duration::from_secs(1);

/// The longest time that a rule with a share may look back over; its course is kept in memory.
const MAX_SHARED: Duration = Duration::from_secs(24 * 3600);

/// The most groups that a quorum may ask for: as many as are kept apart.
const MAX_QUORUM: u32 = 1000;

/// What rules refer to.
#[derive(Clone, Copy)]
pub(crate) struct Refers<'a> {
    pub(crate) signals: &'a Names,
    pub(crate) hooks: &'a Listed,
    /// The hook of rules that name none.
    pub(crate) then: Option<HookIx>,
    pub(crate) stages: &'a Stages<'a>,
}

/// Reads one rule.
pub(crate) fn rule(declared: &Declared<'_>, refers: Refers<'_>, sink: &mut Sink) -> Option<Rule> {
    let section = &declared.section;
    section.only(&KEYS, &[], sink);
    let name = RuleName::new(declared.name)
        .map_err(|e| sink.report(Diagnostic::error(declared.place.clone(), e.to_string())))
        .ok();
    let when = section.required("when", sink);
    let when = when.and_then(|item| read_condition(item, refers.signals, sink));
    let given = section.opt("given", |item| read_condition(item, refers.signals, sink));
    let hold = section.or("for", Duration::ZERO, |item| item.duration(sink));
    let share = section.or("share", Share::ALL, |item| share(item, section, hold, sink));
    let quorum = section.opt("quorum", |item| quorum(item, sink));
    let stages = section.or("stages", Vec::new(), |item| stages(item, refers.stages, sink));
    let lost = section.or("telemetry_lost_after", DEFAULT_LOST, |item| {
        item.duration_within(MIN_LOST, MAX_SHARED, sink)
    });
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
    let (severity, when, given) = (severity?, when?, given?);
    grouped(section, &when, given.as_ref(), refers.signals, sink)?;
    Some(Rule {
        name: name?,
        when,
        given,
        hold: hold?,
        share: share?,
        quorum: quorum?.unwrap_or_default(),
        stages: stages?,
        telemetry_lost_after: lost?,
        keep_firing_for: keep?,
        on_no_data: on_no_data?,
        then: allowed(then?, severity),
        severity,
        relative: relative?,
        about: about?,
    })
}

/// A share of time: `"80%"` or 0.8.
fn share(
    item: Item<'_>,
    section: &Section<'_>,
    hold: Option<Duration>,
    sink: &mut Sink,
) -> Option<Share> {
    let number = if item.value().as_str().is_some() {
        let (number, unit) = item.text(sink)?.parse(sink, literal)?;
        (unit.is_none() || unit == Some(Unit::Ratio)).then_some(number)
    } else {
        Some(item.number(sink)?)
    };
    let wrong = |message: &str| Diagnostic::error(item.place(), message.to_owned());
    let Some(share) = number.and_then(Share::new) else {
        sink.report(wrong("a share is more than 0% and at most 100%"));
        return None;
    };
    match hold {
        Some(hold) if hold.is_zero() => {
            let error = wrong("`share` has no meaning without a `for`");
            sink.report(error.help("it is a share of the time in the window of length `for`"));
            None
        }
        Some(hold) if hold > MAX_SHARED => {
            let place = section.get("for").map_or(item.place(), |item| item.place());
            let message = "with a `share`, `for` is 24h at most";
            sink.report(Diagnostic::error(place, message));
            None
        }
        Some(_) | None => Some(share),
    }
}

fn quorum(item: Item<'_>, sink: &mut Sink) -> Option<Quorum> {
    if item.value().as_integer().is_some() {
        return item.integer(1..MAX_QUORUM + 1, sink).map(Quorum::AtLeast);
    }
    if item.value().as_str().is_none() {
        return item.expected("\"any\", \"all\" or a number of groups", sink);
    }
    item.choice(&[("any", Quorum::Any), ("all", Quorum::All)], &[], sink)
}

fn stages(item: Item<'_>, known: &Stages<'_>, sink: &mut Sink) -> Option<Vec<StageName>> {
    let list = item.list(sink)?;
    if list.is_empty() || list.len() > MAX_STAGES {
        let message = format!("`stages` names 1 to {MAX_STAGES} stages");
        let error = Diagnostic::error(item.place(), message);
        sink.report(error.help("leave it out for a rule of every stage"));
        return None;
    }
    let all: Option<Vec<Vec<StageName>>> =
        list.into_iter().map(|item| known.named(item.text(sink)?, sink)).collect();
    let mut names = all?.concat();
    names.dedup();
    Some(names)
}

/// Whether all signals of a rule are read by the same labels, and by any where it has a quorum.
fn grouped(
    section: &Section<'_>,
    when: &Condition,
    given: Option<&Condition>,
    names: &Names,
    sink: &mut Sink,
) -> Option<()> {
    let by = names.by(|each| {
        when.cond.for_each_signal(&mut |ix| each(ix));
        if let Some(given) = given {
            given.cond.for_each_signal(&mut |ix| each(ix));
        }
    });
    match (by, section.get("quorum")) {
        (Err(odd), _) => {
            let place = section.get("when").map_or(section.place.clone(), |item| item.place());
            let error = Diagnostic::error(place, odd);
            sink.report(error.help("a rule's signals are read by the same labels, or by none"));
            None
        }
        (Ok(by), Some(quorum)) if by.is_empty() => {
            let message = "no signal of the rule is read `by` labels, so it has no groups";
            sink.report(Diagnostic::error(quorum.place(), message));
            None
        }
        (Ok(_), Some(_) | None) => Some(()),
    }
}

/// Reads a condition.
pub(crate) fn read_condition(
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
