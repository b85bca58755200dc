//! Names for what had none, or had others: rules after their alerts, signals after what they
//! measure. Each is unique, and the same input gives the same names.

use std::collections::HashSet;
use std::time::Duration;

use crate::model::time::format_duration;

use super::ast::Selector;
use super::signal::{Kind, Over, Signal};

/// How long a name may become before a number is put behind it.
const MAX_LEN: usize = 96;

/// Words that a condition reads otherwise.
const RESERVED: [&str; 8] = ["min", "max", "abs", "and", "or", "not", "true", "false"];

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct Taken(HashSet<String>);

impl Taken {
    /// The first of the candidates that is free, else the first with a number.
    pub(super) fn take(&mut self, candidates: &[String], separator: char) -> String {
        let first = candidates.first().cloned().unwrap_or_default();
        let numbered = (2_u32..).map(|number| format!("{first}{separator}{number}"));
        let name = candidates.iter().cloned().chain(numbered).find(|name| !self.0.contains(name));
        let name = name.unwrap_or(first);
        self.0.insert(name.clone());
        name
    }
}

/// `HighErrorRate` and `high error_rate` as `high-error-rate`.
pub(super) fn rule_names(alert: &str, severity: Option<&str>) -> Vec<String> {
    let name = bounded(words(alert, '-'), "alert");
    let with = severity.map(|severity| format!("{name}-{}", words(severity, '-')));
    std::iter::once(name.clone()).chain(with).collect()
}

/// Letters and digits in lower case, with a separator where a word begins.
fn words(text: &str, separator: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut name = String::new();
    for (at, c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !name.is_empty() && !name.ends_with(separator) {
                name.push(separator);
            }
            continue;
        }
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1);
        let begins = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || (before.is_ascii_digit() && after.is_some_and(char::is_ascii_lowercase))
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins && !name.ends_with(separator) {
            name.push(separator);
        }
        name.push(c.to_ascii_lowercase());
    }
    name.trim_end_matches(separator).to_owned()
}

fn bounded(mut name: String, empty: &str) -> String {
    name.truncate(MAX_LEN);
    if name.is_empty() { empty.to_owned() } else { name }
}

/// Names for a signal, from the shortest to one that says more.
pub(super) fn signal_names(signal: &Signal) -> Vec<String> {
    let (base, window) = described(signal);
    let mut name = words(&base, '_');
    if name.starts_with(|c: char| c.is_ascii_digit()) || RESERVED.contains(&name.as_str()) {
        name = format!("s_{name}");
    }
    let name = bounded(name, "signal");
    let with_window =
        window.map(|window| words(&format!("{name}_{}", format_duration(window)), '_'));
    let by = signal.by.join("_");
    let with_by = (!by.is_empty()).then(|| bounded(words(&format!("{name}_by_{by}"), '_'), ""));
    let values = matched(signal).map(|values| bounded(words(&format!("{name}_{values}"), '_'), ""));
    std::iter::once(name).chain(with_by).chain(values).chain(with_window).collect()
}

fn metric(of: &Selector) -> &str {
    let name = of.metric.strip_suffix("_total").unwrap_or(&of.metric);
    if name.is_empty() { &of.metric } else { name }
}

/// What a histogram is of, without its unit.
fn subject(of: &Selector) -> &str {
    let name = metric(of);
    name.strip_suffix("_seconds").filter(|name| !name.is_empty()).unwrap_or(name)
}

fn described(signal: &Signal) -> (String, Option<Duration>) {
    match &signal.kind {
        Kind::Rate(of, window) => (format!("{}_rate", metric(of)), Some(*window)),
        Kind::Increase(of, window) => (format!("{}_increase", metric(of)), Some(*window)),
        Kind::Ratio { of, to, window } => {
            let same = of.metric == to.metric;
            let (part, whole) = (metric(of), metric(to));
            let base = if same { format!("{part}_ratio") } else { format!("{part}_per_{whole}") };
            (base, Some(*window))
        }
        Kind::Quantile { q, of, window, .. } => {
            let per = format!("{}", (q * 1e6).round() / 1e4).replace('.', "_");
            (format!("{}_p{per}", subject(of)), Some(*window))
        }
        Kind::Mean(of, window) => (format!("{}_mean", subject(of)), Some(*window)),
        Kind::Gauge { of, across, over } => {
            let across = across.map_or(String::new(), |across| format!("_{}", across.text()));
            let over_text = over.map_or(String::new(), |(over, _)| over_name(over));
            let same = over_text == across;
            let across = if same { String::new() } else { across };
            (format!("{}{across}{over_text}", metric(of)), over.map(|(_, window)| window))
        }
        Kind::Count { of, .. } => (format!("{}_matching", metric(of)), None),
        Kind::Age { of, .. } => (format!("{}_age", metric(of)), None),
        Kind::Up => (format!("{}_up", signal.target.as_deref().unwrap_or("target")), None),
    }
}

fn over_name(over: Over) -> String {
    format!("_{}", over.text())
}

/// Values of the first selector's matchers, where they are words.
fn matched(signal: &Signal) -> Option<String> {
    let of = match &signal.kind {
        Kind::Rate(of, _)
        | Kind::Increase(of, _)
        | Kind::Mean(of, _)
        | Kind::Ratio { of, .. }
        | Kind::Quantile { of, .. }
        | Kind::Gauge { of, .. }
        | Kind::Count { of, .. }
        | Kind::Age { of, .. } => of,
        Kind::Up => return None,
    };
    let values: Vec<&str> = of
        .matchers
        .iter()
        .map(|m| m.value.as_str())
        .filter(|value| value.chars().filter(char::is_ascii_alphanumeric).count() > 1)
        .collect();
    (!values.is_empty()).then(|| values.join("_"))
}
