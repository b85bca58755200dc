//! `[hook.NAME]`: steps, how the cure is seen, and what follows when it is not.

use crate::model::hook::{Cure, Hook};
use crate::model::index::HookIx;
use crate::model::name::HookName;

use super::condition::read_condition;
use super::deployment::hook_named;
use super::named_table::{KnownNames, NamedTable};
use super::step::step;
use crate::config::expr::scope::SignalScope;
use crate::config::syntax::{ErrorSink, TomlTable, TomlValue};

/// Reads one hook.
pub(crate) fn hook(
    named: &NamedTable<'_>,
    signals: &SignalScope,
    hooks: &KnownNames,
    sink: &mut ErrorSink,
) -> Option<Hook> {
    let table = &named.table;
    table.check_keys(sink);
    let name = name(named, sink);
    let steps = table.read("steps", sink, |value, sink| value.each(sink, step));
    let timeout = table.opt("timeout", sink, TomlValue::duration);
    let cure = table.opt("cure", sink, |value, sink| cure(value, signals, sink));
    let on_failure = table.opt("on_failure", sink, |value, sink| hook_named(value, hooks, sink));
    Some(Hook {
        name: name?,
        steps: steps?,
        timeout: timeout?,
        cure: cure?,
        on_failure: on_failure?,
    })
}

fn name(named: &NamedTable<'_>, sink: &mut ErrorSink) -> Option<HookName> {
    let name = named.name;
    if ["notify", "report"].contains(&name) {
        let message =
            format!("a hook is not called `{name}`, a rule's `then` means something else by it");
        return sink.refuse(named.table.error(message));
    }
    named.read_name(sink, HookName::new)
}

/// Reports hooks that are run when they fail themselves.
pub(crate) fn refuse_circles(
    hooks: &[Option<Hook>],
    tables: &[NamedTable<'_>],
    sink: &mut ErrorSink,
) {
    let next = |hook: usize| hooks.get(hook)?.as_ref()?.on_failure.map(|HookIx(next)| next);
    for (start, named) in tables.iter().enumerate() {
        let mut followers = std::iter::successors(next(start), |at| next(*at)).take(hooks.len());
        if followers.any(|at| at == start) {
            let message = "a hook that failed is run again by its own `on_failure`";
            sink.report(named.table.error_at("on_failure", message));
        }
    }
}

fn cure(value: TomlValue<'_>, signals: &SignalScope, sink: &mut ErrorSink) -> Option<Cure> {
    let table = TomlTable::of(value, "cure", sink)?;
    table.check_keys(sink);
    let when = table.read("when", sink, |value, sink| read_condition(value, signals, sink));
    let hold = table.read("for", sink, TomlValue::duration);
    let within = table.read("within", sink, TomlValue::duration);
    let (when, hold, within) = (when?, hold?, within?);
    if hold >= within {
        let message = "the cure can never be seen: `for` is not shorter than `within`";
        return sink.refuse(value.error(message));
    }
    Some(Cure { when, hold, within })
}
