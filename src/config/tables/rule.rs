//! `[rule.NAME]`: a condition, how long it must hold and what follows.

use std::time::Duration;

use crate::model::condition::Condition;
use crate::model::index::HookIx;
use crate::model::name::StageName;
use crate::model::rule::{About, Quorum, Rule, Severity, Share, Then};
use crate::model::signal::Unit;

use super::condition::groups;
use super::stage::StageTables;
use crate::config::expr::lexer::literal;
use crate::config::syntax::{FromToml, TomlTable, TomlValue};

/// The longest time that a rule with a share may look back over; its course is kept in memory.
const MAX_SHARED: Duration = Duration::from_secs(24 * 3600);

/// Reads one rule; `default` is the hook of rules that name none.
pub(crate) fn rule(
    table: &TomlTable<'_>,
    default: Option<HookIx>,
    known: &StageTables<'_>,
) -> Option<Rule> {
    table.check_keys();
    let name = table.own_name();
    let conditions: Option<(_, Option<_>)> = table.all(["when", "given"]);
    let hold = table.read("for");
    let share = table.opt("share", |value| share(value, table, hold));
    let stages = table.opt("stages", |value| stages(value, known));
    let read = table.all(["quorum", "telemetry_lost_after", "keep_firing_for", "on_no_data"]);
    let then = table.opt("then", then);
    let flags = table.all(["severity", "relative"]);
    let about = table.all(["description", "runbook", "owner"]);
    let ((when, given), (severity, relative)) = (conditions?, flags?);
    check_groups(table, &when, given.as_ref())?;
    let (quorum, telemetry_lost_after, keep_firing_for, on_no_data) = read?;
    let (description, runbook, owner) = about?;
    let then = then?.unwrap_or_else(|| default.map_or(Then::Notify, Then::Rollback));
    Some(Rule {
        name: name?,
        when,
        given,
        hold: hold?,
        share: share?.unwrap_or(Share::ALL),
        quorum,
        stages: stages?.unwrap_or_default(),
        telemetry_lost_after,
        keep_firing_for,
        on_no_data,
        // Warnings never roll back.
        then: match (severity, then) {
            (Severity::Warning, Then::Rollback(_)) => Then::Notify,
            (Severity::Warning | Severity::Critical, then) => then,
        },
        severity,
        relative,
        about: About { description, runbook, owner },
    })
}

/// A share of time: `"80%"` or 0.8.
fn share(value: TomlValue<'_>, table: &TomlTable<'_>, hold: Option<Duration>) -> Option<Share> {
    let number = if value.as_str().is_some() {
        let (number, unit) = value.parse(literal)?;
        (unit.is_none() || unit == Some(Unit::Ratio)).then_some(number)
    } else {
        Some(value.number()?)
    };
    let Some(share) = number.and_then(Share::new) else {
        return value.refuse("a share is more than 0% and at most 100%");
    };
    match hold {
        Some(hold) if hold.is_zero() => {
            let error = value.error("`share` has no meaning without a `for`");
            value.cx.refuse(error.help("it is a share of the time in the window of length `for`"))
        }
        Some(hold) if hold > MAX_SHARED => {
            value.cx.refuse(table.error_at("for", "with a `share`, `for` is 24h at most"))
        }
        Some(_) | None => Some(share),
    }
}

impl FromToml for Quorum {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        if value.toml().is_integer() {
            return value.integer().map(Self::AtLeast);
        }
        if value.as_str().is_none() {
            return value.expected("\"any\", \"all\" or a number of groups");
        }
        value.choice()
    }
}

fn stages(value: TomlValue<'_>, known: &StageTables<'_>) -> Option<Vec<StageName>> {
    let mut names = value.each(|value| known.named(value))?.concat();
    names.dedup();
    Some(names)
}

/// Checks that all signals of a rule are read by the same labels, and by any where it has a quorum.
fn check_groups(table: &TomlTable<'_>, when: &Condition, given: Option<&Condition>) -> Option<()> {
    let conditions = std::iter::once(when).chain(given).map(|condition| &condition.cond);
    match (groups(conditions, &table.cx.signals.borrow()), table.get("quorum")) {
        (Err(odd), _) => {
            let error = table.error_at("when", odd);
            table.cx.refuse(error.help("a rule's signals are read by the same labels, or by none"))
        }
        (Ok(by), Some(quorum)) if by.is_empty() => {
            quorum.refuse("no signal of the rule is read `by` labels, so it has no groups")
        }
        (Ok(_), Some(_) | None) => Some(()),
    }
}

fn then(value: TomlValue<'_>) -> Option<Then> {
    match value.text()? {
        "notify" => Some(Then::Notify),
        "report" => Some(Then::Report),
        _ => HookIx::from_toml(value).map(Then::Rollback),
    }
}
