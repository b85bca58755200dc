//! Signals that follow from others: `x.baseline`, which `[signal.x.baseline]` defines, and
//! `x.before`, which conditions name. In the plan they are signals like any other.

use std::time::Duration;

use crate::model::index::SignalIx;
use crate::model::name::TargetName;
use crate::model::selector::{Matcher, Selector, Test};
use crate::model::signal::{Signal, SignalKind};

use super::named_table::{KnownNames, NamedTable};
use super::signal::{MAX_WINDOW, constant};
use crate::config::syntax::{ErrorSink, TomlTable, TomlValue};

/// The signal's baseline, as a signal of its own; `ix` is the signal's. `None` where it has none,
/// or where that is wrong.
pub(crate) fn baseline(
    named: &NamedTable<'_>,
    signal: &Signal,
    ix: SignalIx,
    targets: &KnownNames,
    sink: &mut ErrorSink,
) -> Option<Signal> {
    let value = named.table.get("baseline")?;
    let title = format!("[signal.{}.baseline]", named.name);
    let table = TomlTable::titled(value, "baseline", &title, sink)?;
    table.check_keys(sink);
    let words = ["before", "target", "value"].map(|word| (word, word));
    let from = table.read("from", sink, |value, sink| value.choice(&words, sink))?;
    table.check_meaning(from, &format!("a baseline from `{from}`"), sink);
    let kind = match from {
        "before" => before_arming(&table, signal, ix, value, sink)?,
        "target" => of_target(&table, signal, targets, named, sink)?,
        _ => table.read("value", sink, constant)?.0,
    };
    let by = if from == "value" { Vec::new() } else { signal.by.clone() };
    let description = Some(format!("the baseline of {}", signal.name));
    let (name, unit, stale) = (signal.name.baseline(), signal.unit, signal.stale);
    Some(Signal { name, kind, unit, description, by, stale })
}

fn before_arming(
    table: &TomlTable<'_>,
    signal: &Signal,
    of: SignalIx,
    value: TomlValue<'_>,
    sink: &mut ErrorSink,
) -> Option<SignalKind> {
    let window = table.read("window", sink, TomlValue::duration);
    let readings = table.read("min_readings", sink, TomlValue::integer);
    if signal.kind.constant().is_some() {
        return sink.refuse(value.error("a constant needs no baseline"));
    }
    Some(SignalKind::Baseline { of, window: window?, min_readings: readings? })
}

/// The same signal of another target.
fn of_target(
    table: &TomlTable<'_>,
    signal: &Signal,
    targets: &KnownNames,
    named: &NamedTable<'_>,
    sink: &mut ErrorSink,
) -> Option<SignalKind> {
    let value = table.value("target", sink)?;
    targets.find("target", value, sink)?;
    let name = value.name(sink, TargetName::new)?;
    let own = named.table.get("target").and_then(|own| own.as_str());
    let wrong = match (&signal.kind, own) {
        (kind, _) if kind.selections().next().is_none() => {
            "only a signal over series has a baseline from another target"
        }
        (_, Some(own)) if own == name.as_str() => "the baseline's target is the signal's own",
        (_, None) => "the signal looks at every target, the baseline's own included",
        (_, Some(_)) => {
            let mut kind = signal.kind.clone();
            kind.selectors_mut().for_each(|selector| retarget(selector, &name));
            return Some(kind);
        }
    };
    let error = value.error(wrong);
    sink.refuse(error.help("say with `target` which target the signal itself looks at"))
}

fn retarget(selector: &mut Selector, target: &TargetName) {
    selector.matchers.retain(|matcher| matcher.label != "target");
    let test = Test::Equal(target.as_str().to_owned());
    selector.matchers.push(Matcher { label: "target".to_owned(), test });
}

/// What the signal at `ix` read one window ago, as a signal of its own; `window` is the longest
/// of the signal and of all that it is computed from.
///
/// # Errors
/// Why there is no such thing.
pub(crate) fn before(signal: &Signal, ix: SignalIx, window: Duration) -> Result<Signal, String> {
    if window.is_zero() {
        let why = if signal.kind.constant().is_some() {
            "is a constant"
        } else if signal.kind.can_have_window() {
            "looks at one instant, add `over` and `window`"
        } else {
            "looks at one instant, it has no window"
        };
        return Err(format!("`{}` {why}", signal.name));
    }
    if window > MAX_WINDOW {
        return Err(format!("`{}` looks back further than a day already", signal.name));
    }
    let description = Some(format!("{} one window earlier", signal.name));
    let (name, unit, by) = (signal.name.before(), signal.unit, signal.by.clone());
    let kind = SignalKind::Before { of: ix, window };
    Ok(Signal { name, kind, unit, description, by, stale: signal.stale })
}
