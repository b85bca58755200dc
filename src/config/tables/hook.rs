//! `[hook.NAME]`: steps, how the cure is seen, and what follows when it is not.

use crate::model::hook::{Cure, Hook};
use crate::model::index::HookIx;

use super::step::step;
use crate::config::syntax::{FromToml, TomlTable, TomlValue};

/// Reads one hook.
pub(crate) fn hook(table: &TomlTable<'_>) -> Option<Hook> {
    table.check_keys();
    let name = if ["notify", "report"].contains(&table.name) {
        let name = table.name;
        let message =
            format!("a hook is not called `{name}`, a rule's `then` means something else by it");
        table.cx.refuse(table.error(message))
    } else {
        table.own_name()
    };
    let steps = table.read_with("steps", |value| value.each(step));
    let (timeout, cure, on_failure) = table.all(["timeout", "cure", "on_failure"])?;
    Some(Hook { name: name?, steps: steps?, timeout, cure, on_failure })
}

/// Reports hooks that are run when they fail themselves.
pub(crate) fn refuse_circles(hooks: &[Option<Hook>], tables: &[TomlTable<'_>]) {
    let next = |hook: usize| hooks.get(hook)?.as_ref()?.on_failure.map(|HookIx(next)| next);
    for (start, table) in tables.iter().enumerate() {
        let mut followers = std::iter::successors(next(start), |at| next(*at)).take(hooks.len());
        if followers.any(|at| at == start) {
            let message = "a hook that failed is run again by its own `on_failure`";
            table.cx.report(table.error_at("on_failure", message));
        }
    }
}

impl FromToml for Cure {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        let (when, hold, within) = TomlTable::of(value, "cure")?.all(["when", "for", "within"])?;
        if hold >= within {
            return value.refuse("the cure can never be seen: `for` is not shorter than `within`");
        }
        Some(Self { when, hold, within })
    }
}
