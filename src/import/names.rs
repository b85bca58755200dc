//! Names for what had none or had other ones: rules after their alerts, signals after what they
//! measure. The same input gives the same names.

use super::signal::{ImportedKind, ImportedSignal, OverTime};
use crate::model::signal::Aggregation;
use crate::model::time::format_duration;

/// How long a name may become before a number is put behind it.
const MAX_LEN: usize = 96;

/// Words that a condition reads otherwise.
const RESERVED: [&str; 8] = ["min", "max", "abs", "and", "or", "not", "true", "false"];

/// `HighErrorRate` and `high error_rate` as `high-error-rate`; then with the severity.
pub(super) fn rule_names(alert: &str, severity: Option<&str>) -> Vec<String> {
    let name = bounded(words(alert, '-'), "alert");
    let with = severity.map(|severity| format!("{name}-{}", words(severity, '-')));
    std::iter::once(name).chain(with).collect()
}

/// Letters and digits in lower case, with a separator where a word begins.
fn words(text: &str, separator: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut name = String::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map_or(' ', |at| chars[at]);
        let lower_follows = chars.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let begins = c.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || (lower_follows && (before.is_ascii_digit() || before.is_ascii_uppercase())));
        let is_inside = c.is_ascii_alphanumeric();
        if (begins || !is_inside) && !name.is_empty() && !name.ends_with(separator) {
            name.push(separator);
        }
        name.extend(is_inside.then(|| c.to_ascii_lowercase()));
    }
    name.trim_end_matches(separator).to_owned()
}

fn bounded(mut name: String, empty: &str) -> String {
    name.truncate(MAX_LEN);
    if name.is_empty() { empty.to_owned() } else { name }
}

/// Names for a signal, from the shortest to ones that say more.
pub(super) fn signal_names(signal: &ImportedSignal) -> Vec<String> {
    let mut name = words(&described(signal), '_');
    if name.starts_with(|c: char| c.is_ascii_digit()) || RESERVED.contains(&name.as_str()) {
        name = format!("s_{name}");
    }
    let name = bounded(name, "signal");
    let with = |more: &str| words(&format!("{name}_{more}"), '_');
    let by = signal.by.join("_");
    let with_by = (!by.is_empty()).then(|| bounded(with(&format!("by_{by}")), ""));
    let with_values = matched(signal).map(|values| bounded(with(&values), ""));
    let with_window = signal.window.map(|window| with(&format_duration(window)));
    let longer: Vec<_> = [with_by, with_values, with_window].into_iter().flatten().collect();
    std::iter::once(name).chain(longer).collect()
}

fn metric(name: &str) -> &str {
    name.strip_suffix("_total").filter(|rest| !rest.is_empty()).unwrap_or(name)
}

/// What a histogram is of, without its unit.
fn subject(name: &str) -> &str {
    let name = metric(name);
    name.strip_suffix("_seconds").filter(|rest| !rest.is_empty()).unwrap_or(name)
}

fn described(signal: &ImportedSignal) -> String {
    let of = &signal.of.metric;
    match &signal.kind {
        ImportedKind::Rate => format!("{}_rate", metric(of)),
        ImportedKind::Increase => format!("{}_increase", metric(of)),
        ImportedKind::Ratio { to } if *of == to.metric => format!("{}_ratio", metric(of)),
        ImportedKind::Ratio { to } => format!("{}_per_{}", metric(of), metric(&to.metric)),
        ImportedKind::Quantile { q, .. } => {
            let per = format!("{}", (q * 1e6).round() / 1e4).replace('.', "_");
            format!("{}_p{per}", subject(of))
        }
        ImportedKind::Mean => format!("{}_mean", subject(of)),
        ImportedKind::Gauge { across, over } => {
            let words = [across.map(Aggregation::word), over.map(OverTime::word)];
            let mut words: Vec<&str> = words.into_iter().flatten().collect();
            words.dedup();
            std::iter::once(metric(of)).chain(words).collect::<Vec<_>>().join("_")
        }
        ImportedKind::Count { .. } => format!("{}_matching", metric(of)),
        ImportedKind::Age(_) => format!("{}_age", metric(of)),
        ImportedKind::Up => format!("{}_up", signal.target.as_deref().unwrap_or("target")),
    }
}

/// Values of the matchers, where they are words.
fn matched(signal: &ImportedSignal) -> Option<String> {
    let values = signal.of.matchers.iter().map(|matcher| matcher.value.as_str());
    let is_word = |value: &&str| value.chars().filter(char::is_ascii_alphanumeric).count() > 1;
    let values: Vec<&str> = values.filter(is_word).collect();
    (!values.is_empty()).then(|| values.join("_"))
}
