//! Signals that follow from others: `x.baseline`, which `[signal.x.baseline]` defines, and
//! `x.before`, which conditions name. In the plan they are signals like any other.

use std::time::Duration;

use crate::model::index::SignalIx;
use crate::model::name::TargetName;
use crate::model::selector::{Matcher, Selector, Test};
use crate::model::signal::{Signal, SignalKind};

use super::signal::{MAX_WINDOW, constant};
use crate::config::syntax::{FromToml, TomlTable, TomlValue};

/// The baseline that a signal's table defines, as a signal of its own; `ix` is the signal's.
/// `None` where that is wrong.
pub(crate) fn baseline(
    of: &TomlTable<'_>,
    value: TomlValue<'_>,
    signal: &Signal,
    ix: SignalIx,
) -> Option<Signal> {
    let mut table = TomlTable::unchecked(value, "baseline")?;
    table.title = format!("[signal.{}.baseline]", of.name);
    table.check_keys();
    let from = table.read_with("from", TomlValue::word)?;
    table.check_meaning(from, &format!("a baseline from `{from}`"));
    let kind = match from {
        "before" => {
            let read = table.all(["window", "min_readings"]);
            if signal.kind.constant().is_some() {
                return value.refuse("a constant needs no baseline");
            }
            let (window, min_readings) = read?;
            SignalKind::Baseline { of: ix, window, min_readings }
        }
        "target" => table.read_with("target", |value| of_target(value, signal, of))?,
        _ => table.read_with("value", constant)?.0,
    };
    let by = if from == "value" { Vec::new() } else { signal.by.clone() };
    let description = Some(format!("the baseline of {}", signal.name));
    let (name, unit, stale) = (signal.name.baseline(), signal.unit, signal.stale);
    Some(Signal { name, kind, unit, description, by, stale })
}

/// The same signal of another target.
fn of_target(value: TomlValue<'_>, signal: &Signal, of: &TomlTable<'_>) -> Option<SignalKind> {
    let name = TargetName::from_toml(value)?;
    let own = of.get("target").and_then(|own| own.as_str());
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
    value.cx.refuse(error.help("say with `target` which target the signal itself looks at"))
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
