//! One step of a hook: which kind it is, and what all kinds have in common.

use std::time::Duration;

use crate::model::hook::Step;
use crate::model::step::Action;

use super::http_step::http_action;
use super::probe::probe_action;
use super::run_step::run_action;
use super::unix_step::unix_action;
use crate::config::syntax::{ErrorSink, TomlTable, TomlValue};

const RUN_TIMEOUT: Duration = Duration::from_secs(60);
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const UNIX_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads one step.
pub(crate) fn step(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Step> {
    let table = TomlTable::of(value, "step", sink)?;
    let kinds = table.kinds();
    let [kind] = kinds.as_slice() else {
        let error =
            table.error("a step has exactly one of `run`, `http`, `unix`, `probe` and `sleep`");
        let unknown = table.entries().into_iter().find(|entry| !table.declares(entry.key));
        let error = match unknown {
            Some(entry) if kinds.is_empty() => {
                sink.suggest(error, entry.key, table.one_of().iter().copied())
            }
            Some(_) | None => error,
        };
        return sink.refuse(error);
    };
    let known = table.check_keys_for(kind.key, &[], sink);
    let (action, timeout) = match kind.key {
        "run" => (run_action(&table, sink), RUN_TIMEOUT),
        "http" => (table.read("http", sink, http_action), HTTP_TIMEOUT),
        "unix" => (table.read("unix", sink, unix_action), UNIX_TIMEOUT),
        "probe" => (probe_action(&table, sink), PROBE_TIMEOUT),
        _ => return table.read("sleep", sink, TomlValue::duration).filter(|_| known).map(pause),
    };
    let written = table.opt("timeout", sink, TomlValue::duration);
    let attempts = table.read("attempts", sink, TomlValue::integer);
    let backoff = table.read("backoff", sink, TomlValue::duration);
    let idempotent = table.read("idempotent", sink, TomlValue::boolean);
    Some(Step {
        action: action?,
        timeout: written?.unwrap_or(timeout),
        attempts: attempts?,
        backoff: backoff?,
        idempotent: idempotent?,
    })
}

/// A pause has nothing that could fail.
const fn pause(pause: Duration) -> Step {
    let action = Action::Sleep(pause);
    let backoff = Duration::from_secs(1);
    Step { action, timeout: pause, attempts: 1, backoff, idempotent: true }
}
