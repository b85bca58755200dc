//! One step of a hook: which kind it is, and what all kinds have in common.

use std::time::Duration;

use crate::model::hook::Step;
use crate::model::step::Action;

use super::http_step::http_action;
use super::probe::probe_action;
use super::run_step::run_action;
use super::unix_step::unix_action;
use crate::config::syntax::{TomlTable, TomlValue};

/// Reads one step.
pub(crate) fn step(value: TomlValue<'_>) -> Option<Step> {
    let table = TomlTable::unchecked(value, "step")?;
    let kinds = table.kinds();
    let [kind] = kinds.as_slice() else {
        let error =
            table.error("a step has exactly one of `run`, `http`, `unix`, `probe` and `sleep`");
        let unknown = table.entries().into_iter().find(|entry| !table.declares(entry.key));
        return table.cx.refuse(match unknown {
            Some(entry) if kinds.is_empty() => {
                table.cx.suggest(error, entry.key, table.one_of().iter().copied())
            }
            Some(_) | None => error,
        });
    };
    let known = table.check_keys_for(kind.key, &[]);
    let (action, seconds) = match kind.key {
        "run" => (run_action(&table), 60),
        "http" => (table.read_with("http", http_action), 10),
        "unix" => (table.read_with("unix", unix_action), 5),
        "probe" => (probe_action(&table), 5),
        _ => return table.read("sleep").filter(|_| known).map(pause),
    };
    let (timeout, attempts, backoff, idempotent): (Option<_>, _, _, _) =
        table.all(["timeout", "attempts", "backoff", "idempotent"])?;
    let timeout = timeout.unwrap_or(Duration::from_secs(seconds));
    Some(Step { action: action?, timeout, attempts, backoff, idempotent })
}

/// A pause has nothing that could fail.
const fn pause(pause: Duration) -> Step {
    let action = Action::Sleep(pause);
    let backoff = Duration::from_secs(1);
    Step { action, timeout: pause, attempts: 1, backoff, idempotent: true }
}
