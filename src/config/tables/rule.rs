//! `[rule.NAME]`: a condition, how long it must hold and what follows.

use std::time::Duration;

use crate::model::condition::Condition;
use crate::model::index::HookIx;
use crate::model::name::{RuleName, StageName};
use crate::model::rule::{About, OnNoData, Quorum, Rule, Severity, Share, Then};
use crate::model::signal::Unit;

use super::condition::{groups, read_condition};
use super::deployment::hook_named;
use super::named_table::{KnownNames, NamedTable};
use super::stage::StageTables;
use crate::config::expr::lexer::literal;
use crate::config::expr::scope::SignalScope;
use crate::config::syntax::{ErrorSink, TomlTable, TomlValue};

/// The longest time that a rule with a share may look back over; its course is kept in memory.
const MAX_SHARED: Duration = Duration::from_secs(24 * 3600);

/// What rules refer to.
#[derive(Clone, Copy)]
pub(crate) struct RuleScope<'a> {
    pub(crate) signals: &'a SignalScope,
    pub(crate) hooks: &'a KnownNames,
    /// The hook of rules that name none.
    pub(crate) then: Option<HookIx>,
    pub(crate) stages: &'a StageTables<'a>,
}

/// Reads one rule.
pub(crate) fn rule(
    named: &NamedTable<'_>,
    scope: RuleScope<'_>,
    sink: &mut ErrorSink,
) -> Option<Rule> {
    let table = &named.table;
    table.check_keys(sink);
    let name = named.read_name(sink, RuleName::new);
    let condition =
        |value: TomlValue<'_>, sink: &mut ErrorSink| read_condition(value, scope.signals, sink);
    let when = table.read("when", sink, condition);
    let given = table.opt("given", sink, condition);
    let hold = table.read("for", sink, TomlValue::duration);
    let share = table.opt("share", sink, |value, sink| share(value, table, hold, sink));
    let quorum = table.read("quorum", sink, quorum);
    let stages = table.opt("stages", sink, |value, sink| stages(value, scope.stages, sink));
    let lost = table.read("telemetry_lost_after", sink, TomlValue::duration);
    let keep = table.read("keep_firing_for", sink, TomlValue::duration);
    let words =
        [("hold", OnNoData::Hold), ("clear", OnNoData::Clear), ("breach", OnNoData::Breach)];
    let on_no_data = table.read("on_no_data", sink, |value, sink| value.choice(&words, sink));
    let words = [("warning", Severity::Warning), ("critical", Severity::Critical)];
    let severity = table.read("severity", sink, |value, sink| value.choice(&words, sink));
    let then = then(table, scope, sink);
    let relative = table.read("relative", sink, TomlValue::boolean);
    let [description, runbook, owner] =
        ["description", "runbook", "owner"].map(|key| table.opt(key, sink, TomlValue::string));
    let (severity, when, given) = (severity?, when?, given?);
    check_groups(table, &when, given.as_ref(), scope.signals, sink)?;
    Some(Rule {
        name: name?,
        when,
        given,
        hold: hold?,
        share: share?.unwrap_or(Share::ALL),
        quorum: quorum?,
        stages: stages?.unwrap_or_default(),
        telemetry_lost_after: lost?,
        keep_firing_for: keep?,
        on_no_data: on_no_data?,
        then: allowed(then?, severity),
        severity,
        relative: relative?,
        about: About { description: description?, runbook: runbook?, owner: owner? },
    })
}

/// A share of time: `"80%"` or 0.8.
fn share(
    value: TomlValue<'_>,
    table: &TomlTable<'_>,
    hold: Option<Duration>,
    sink: &mut ErrorSink,
) -> Option<Share> {
    let number = if value.as_str().is_some() {
        let (number, unit) = value.parse(sink, literal)?;
        (unit.is_none() || unit == Some(Unit::Ratio)).then_some(number)
    } else {
        Some(value.number(sink)?)
    };
    let Some(share) = number.and_then(Share::new) else {
        return sink.refuse(value.error("a share is more than 0% and at most 100%"));
    };
    match hold {
        Some(hold) if hold.is_zero() => {
            let error = value.error("`share` has no meaning without a `for`");
            sink.refuse(error.help("it is a share of the time in the window of length `for`"))
        }
        Some(hold) if hold > MAX_SHARED => {
            sink.refuse(table.error_at("for", "with a `share`, `for` is 24h at most"))
        }
        Some(_) | None => Some(share),
    }
}

fn quorum(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Quorum> {
    if value.toml().is_integer() {
        return value.integer(sink).map(Quorum::AtLeast);
    }
    if value.as_str().is_none() {
        return value.expected("\"any\", \"all\" or a number of groups", sink);
    }
    value.choice(&[("any", Quorum::Any), ("all", Quorum::All)], sink)
}

fn stages(
    value: TomlValue<'_>,
    known: &StageTables<'_>,
    sink: &mut ErrorSink,
) -> Option<Vec<StageName>> {
    let mut names = value.each(sink, |value, sink| known.named(value, sink))?.concat();
    names.dedup();
    Some(names)
}

/// Checks that all signals of a rule are read by the same labels, and by any where it has a quorum.
fn check_groups(
    table: &TomlTable<'_>,
    when: &Condition,
    given: Option<&Condition>,
    signals: &SignalScope,
    sink: &mut ErrorSink,
) -> Option<()> {
    let conditions = std::iter::once(when).chain(given).map(|condition| &condition.cond);
    match (groups(conditions, signals), table.get("quorum")) {
        (Err(odd), _) => {
            let error = table.error_at("when", odd);
            sink.refuse(error.help("a rule's signals are read by the same labels, or by none"))
        }
        (Ok(by), Some(quorum)) if by.is_empty() => {
            let message = "no signal of the rule is read `by` labels, so it has no groups";
            sink.refuse(quorum.error(message))
        }
        (Ok(_), Some(_) | None) => Some(()),
    }
}

fn then(table: &TomlTable<'_>, scope: RuleScope<'_>, sink: &mut ErrorSink) -> Option<Then> {
    let Some(value) = table.get("then") else {
        return Some(scope.then.map_or(Then::Notify, Then::Rollback));
    };
    match value.text(sink)? {
        "notify" => Some(Then::Notify),
        "report" => Some(Then::Report),
        _ => hook_named(value, scope.hooks, sink).map(Then::Rollback),
    }
}

/// Warnings never roll back.
const fn allowed(then: Then, severity: Severity) -> Then {
    match (severity, then) {
        (Severity::Warning, Then::Rollback(_)) => Then::Notify,
        (Severity::Warning | Severity::Critical, then) => then,
    }
}
