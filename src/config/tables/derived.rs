//! Signals that follow from others: `x.baseline`, which `[signal.x.baseline]` defines, and
//! `x.before`, which conditions name. In the plan they are signals like any other.

use std::time::Duration;

use crate::model::index::SignalIx;
use crate::model::name::TargetName;
use crate::model::selector::{Matcher, Selector, Test};
use crate::model::signal::{Signal, SignalKind};

use super::named::{Declared, Listed};
use super::signal::{MAX_WINDOW, value};
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Item, Section};

/// How far a baseline looks back unless it says otherwise.
const DEFAULT_WINDOW: Duration = Duration::from_secs(600);

/// The shortest window of a baseline: less is noise.
const MIN_WINDOW: Duration = Duration::from_secs(1);

/// How many readings a baseline takes unless it says otherwise.
const DEFAULT_READINGS: u32 = 30;

/// The most readings that may be asked for: those of the longest window, ten a second.
const MAX_READINGS: u32 = 864_000;

/// Where a baseline comes from.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Before,
    Target,
    Value,
}

/// The signal's baseline, as a signal of its own; `place` is the signal's. `None` where it has
/// none, or where that is wrong.
pub(crate) fn baseline(
    declared: &Declared<'_>,
    signal: &Signal,
    place: SignalIx,
    targets: &Listed,
    sink: &mut Sink,
) -> Option<Signal> {
    let item = declared.section.get("baseline")?;
    let section = item.section(&format!("[signal.{}.baseline]", declared.name), sink)?;
    section.only(&["from", "window", "min_readings", "target", "value"], &[], sink);
    let words = [("before", From::Before), ("target", From::Target), ("value", From::Value)];
    let from = section.or("from", From::Before, |item| item.choice(&words, &["promql"], sink))?;
    foreign(&section, from, sink);
    let kind = match from {
        From::Before => before_arming(&section, signal, place, item, sink)?,
        From::Target => of_target(&section, signal, targets, declared, sink)?,
        From::Value => value(section.required("value", sink)?, sink)?.0,
    };
    let by = if from == From::Value { Vec::new() } else { signal.by.clone() };
    let description = Some(format!("the baseline of {}", signal.name));
    let (name, unit, stale) = (signal.name.baseline(), signal.unit, signal.stale);
    Some(Signal { name, kind, unit, description, by, stale })
}

/// Reports the keys that mean nothing for where the baseline comes from.
fn foreign(section: &Section<'_>, from: From, sink: &mut Sink) {
    let (word, keys): (&str, &[&str]) = match from {
        From::Before => ("before", &["target", "value"]),
        From::Target => ("target", &["window", "min_readings", "value"]),
        From::Value => ("value", &["window", "min_readings", "target"]),
    };
    for entry in section.entries().iter().filter(|entry| keys.contains(&entry.key)) {
        let message = format!("`{}` has no meaning for a baseline from `{word}`", entry.key);
        sink.report(Diagnostic::error(entry.key_place(), message));
    }
}

fn before_arming(
    section: &Section<'_>,
    signal: &Signal,
    of: SignalIx,
    item: Item<'_>,
    sink: &mut Sink,
) -> Option<SignalKind> {
    let window = section
        .or("window", DEFAULT_WINDOW, |item| item.duration_within(MIN_WINDOW, MAX_WINDOW, sink));
    let readings = section
        .or("min_readings", DEFAULT_READINGS, |item| item.integer(1..MAX_READINGS + 1, sink));
    if signal.kind.constant().is_some() {
        sink.report(Diagnostic::error(item.place(), "a constant needs no baseline"));
        return None;
    }
    Some(SignalKind::Baseline { of, window: window?, min_readings: readings? })
}

/// The same signal of another target.
fn of_target(
    section: &Section<'_>,
    signal: &Signal,
    targets: &Listed,
    declared: &Declared<'_>,
    sink: &mut Sink,
) -> Option<SignalKind> {
    let item = section.required("target", sink)?;
    let text = item.text(sink)?;
    targets.find("target", text, sink)?;
    let name = text.name(sink, TargetName::new)?;
    let own = declared.section.get("target").and_then(|own| own.value().as_str());
    let wrong = match (&signal.kind, own) {
        (kind, _) if kind.selections().next().is_none() => {
            Some("only a signal over series has a baseline from another target")
        }
        (_, Some(own)) if own == name.as_str() => Some("the baseline's target is the signal's own"),
        (_, None) => Some("the signal looks at every target, the baseline's own included"),
        (_, Some(_)) => None,
    };
    if let Some(message) = wrong {
        let error = Diagnostic::error(text.place(), message);
        sink.report(error.help("say with `target` which target the signal itself looks at"));
        return None;
    }
    let mut kind = signal.kind.clone();
    kind.selectors_mut().for_each(|selector| retarget(selector, &name));
    Some(kind)
}

fn retarget(selector: &mut Selector, target: &TargetName) {
    selector.matchers.retain(|matcher| matcher.label != "target");
    let test = Test::Equal(target.as_str().to_owned());
    selector.matchers.push(Matcher { label: "target".to_owned(), test });
}

/// What the signal at `place` read one window ago, as a signal of its own; `window` is the longest
/// of the signal and of all that it is computed from.
///
/// # Errors
/// Why there is no such thing.
pub(crate) fn before(signal: &Signal, place: SignalIx, window: Duration) -> Result<Signal, String> {
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
    let kind = SignalKind::Before { of: place, window };
    Ok(Signal { name, kind, unit, description, by, stale: signal.stale })
}
