//! What `rollguard try` prints: each target, signal and rule with what it sees, what it lacks and
//! what to do about that. No line is wider than [`WIDTH`] columns.

use std::time::Duration;

use crate::match_report::{
    LimitUse, MatchReport, RuleMatch, SelectorMatch, SeriesCount, SignalMatch, TargetMatch,
};
use crate::model::entry::{RuleStanding, SignalEvidence};
use crate::model::signal::Unit;

use super::compare::Compared;
use super::health::of_rule;
use super::line::{Paint, Style, WIDTH, pad, plain, span, wrap};
use super::number::{number, unit_named};
use super::status::{NAME, Page};

/// Columns before what is said of a selector.
const KEY: usize = 11;

/// The most targets that are named beside one selector; `--json` has all of them.
const MAX_TARGETS: usize = 4;

/// The most problems that are repeated at the end.
const MAX_PROBLEMS: usize = 12;

/// The whole trial.
#[must_use]
pub fn trial(trial: &MatchReport, style: Style) -> String {
    let mut page = Page { text: String::new(), style };
    page.line(&[(Paint::Dim, &pad("TARGET", NAME + 2)), (Paint::Dim, "STATE")]);
    trial.targets.iter().for_each(|target| about_target(&mut page, target));
    if !trial.signals.is_empty() {
        page.title("SIGNAL", "READING");
    }
    trial.signals.iter().for_each(|signal| about_signal(&mut page, signal));
    if !trial.rules.is_empty() {
        page.title("RULE", "STATE");
    }
    trial.rules.iter().for_each(|rule| about_rule(&mut page, rule));
    if !trial.lints.is_empty() {
        page.line(&[]);
    }
    for lint in &trial.lints {
        item(&mut page, ("lint: ", Paint::Yellow), lint);
    }
    page.line(&[]);
    conclusion(&mut page, trial);
    page.text
}

/// A word and a sentence, on as many lines as that takes.
fn item(page: &mut Page, (word, paint): (&str, Paint), text: &str) {
    let mut word = word.to_owned();
    let columns = word.chars().count();
    for part in wrap(&plain(text), WIDTH - columns) {
        page.line(&[(paint, &word), (Paint::Plain, &part)]);
        word = " ".repeat(columns);
    }
}

/// A sentence below a row.
fn below(page: &mut Page, text: &str, paint: Paint) {
    for part in wrap(&plain(text), WIDTH - NAME - 2) {
        page.line(&[(Paint::Plain, &pad("", NAME + 2)), (paint, &part)]);
    }
}

fn seconds(seconds: f64) -> String {
    span(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn about_target(page: &mut Page, target: &TargetMatch) {
    match (target.up, &target.failure) {
        (None, _) => page.row(&target.target, Paint::Grey, "not scraped", ""),
        (Some(_), Some(failure)) => {
            page.row(&target.target, Paint::Red, "DOWN", &format!(": {}", failure.class));
            below(page, &failure.detail, Paint::Dim);
            below(page, target.hint.as_deref().unwrap_or_default(), Paint::Plain);
        }
        (Some(_), None) => {
            let took = number(target.took_s, Some(Unit::Seconds));
            let wanted = target.wanted_samples;
            let samples = match target.samples {
                Some(all) => format!("{} of {all} samples wanted", wanted),
                None => format!("{wanted} samples wanted"),
            };
            let rest = format!(", took {took}, {samples}");
            page.row(&target.target, Paint::Green, "up", &rest);
            if target.samples.is_none() {
                below(page, "its page could not be looked at as a whole", Paint::Yellow);
            }
        }
    }
    let (scrapes, failed) = (target.scrapes, target.failed_scrapes);
    if failed > 0 && failed < scrapes {
        below(page, &format!("{failed} of {scrapes} scrapes failed"), Paint::Yellow);
    }
    if let Some(first) = &target.first_malformed {
        let text = format!("{} lines cannot be read, first {first}", target.malformed);
        below(page, &text, Paint::Yellow);
    }
}

fn about_signal(page: &mut Page, signal: &SignalMatch) {
    let needs = signal.needs_s.map(|needs| format!(": needs {} more", seconds(needs)));
    let needs = needs.as_deref().unwrap_or_default();
    let name = signal.status.reading.signal.as_str();
    if signal.groups.is_empty() {
        let (shown, paint) = read(&signal.status.reading, signal);
        page.row(name, paint, &plain(&shown), needs);
    } else {
        let count = signal.group_count;
        let groups = if count == 1 { "group" } else { "groups" };
        let by = signal.by.join(" and ");
        page.row(name, Paint::Plain, &format!("{count} {groups} by {by}{needs}"), "");
    }
    for group in &signal.groups {
        let (shown, paint) = read(group, signal);
        let name = group.group.as_deref().unwrap_or_default();
        page.row(&format!("  {name}"), paint, &plain(&shown), "");
    }
    more(page, signal.group_count, signal.groups.len());
    for selector in &signal.selectors {
        about_selector(page, selector, signal);
    }
}

/// Says how many groups are not shown.
fn more(page: &mut Page, count: usize, shown: usize) {
    if let Some(more @ 1..) = count.checked_sub(shown) {
        below(page, &format!("and {more} more groups"), Paint::Dim);
    }
}

/// A reading, or why there is none, and how that looks.
fn read(reading: &SignalEvidence, signal: &SignalMatch) -> (String, Paint) {
    let unit = signal.status.unit.as_deref().and_then(unit_named);
    match (reading.value, reading.at_least) {
        (Some(value), true) => (format!("at least {}", number(value, unit)), Paint::Plain),
        (Some(value), false) => (number(value, unit), Paint::Plain),
        (None, _) => {
            let why = reading.no_data.clone().unwrap_or_else(|| "no reading".to_owned());
            (why, if signal.benign { Paint::Grey } else { Paint::Yellow })
        }
    }
}

fn about_selector(page: &mut Page, selector: &SelectorMatch, signal: &SignalMatch) {
    let total: usize = selector.series.iter().map(|found| found.count).sum();
    let text = match total {
        0 if selector.is_wrong(signal) => format!("no series of {}", selector.selector),
        0 => format!("no series yet of {}", selector.selector),
        1 => format!("1 series of {}{}", selector.selector, places(&selector.series)),
        _ => format!("{total} series of {}{}", selector.selector, places(&selector.series)),
    };
    let paint = if selector.is_wrong(signal) { Paint::Yellow } else { Paint::Dim };
    let mut key = format!("  {}", selector.key);
    for part in wrap(&plain(&text), WIDTH - KEY) {
        page.line(&[(Paint::Dim, &pad(&key, KEY)), (paint, &part)]);
        key.clear();
    }
    let Some(problem) = &selector.problem else { return };
    let said = [Some(&problem.text), problem.hint.as_ref()];
    for part in said.into_iter().flatten().flat_map(|text| wrap(&plain(text), WIDTH - KEY)) {
        page.line(&[(Paint::Plain, &pad("", KEY)), (Paint::Plain, &part)]);
    }
}

/// How many series are where, if there is more than one place.
fn places(series: &[SeriesCount]) -> String {
    if series.len() < 2 {
        return String::new();
    }
    let shown = series.iter().take(MAX_TARGETS);
    let shown: Vec<String> = shown.map(|at| format!("{} {}", at.target, at.count)).collect();
    match series.len().saturating_sub(MAX_TARGETS) {
        0 => format!(" ({})", shown.join(", ")),
        more => format!(" ({}, and {more} more targets)", shown.join(", ")),
    }
}

fn about_rule(page: &mut Page, rule: &RuleMatch) {
    let evidence = &rule.status.evidence;
    let word = match (evidence.state, &rule.status.no_data) {
        (RuleStanding::Inactive, Some(_)) => "unknown".to_owned(),
        (RuleStanding::Inactive | RuleStanding::Pending | RuleStanding::Firing, _) => {
            evidence.state.to_string()
        }
    };
    let held = match &rule.status.no_data {
        Some(why) => format!(" {why}"),
        None => format!(
            " held {} of {}",
            span(Duration::from_millis(evidence.held_ms)),
            span(Duration::from_millis(evidence.for_ms)),
        ),
    };
    let paint = of_rule(&rule.status).paint();
    page.row(evidence.rule.as_str(), paint, &pad(&word, 8), &held);
    for group in &rule.by_group {
        let distances: Vec<String> = group.limits.iter().map(distance).collect();
        let name = format!("  {}", group.group);
        page.row(&name, Paint::Plain, &plain(&distances.join("; ")), "");
    }
    more(page, rule.group_count, rule.by_group.len());
    if !rule.by_group.is_empty() {
        return;
    }
    for limit in &rule.limits {
        below(page, &distance(limit), Paint::Plain);
    }
    for floor in &rule.floors {
        below(page, &format!("given {}", compared(floor).named()), Paint::Dim);
    }
}

fn compared(limit: &LimitUse) -> Compared<'_> {
    Compared {
        signal: limit.signal.as_ref(),
        unit: limit.unit.as_deref().and_then(unit_named),
        left: limit.reading,
        op: limit.compare,
        right: limit.limit,
    }
}

/// A reading, its limit, and how much of the limit is used.
fn distance(limit: &LimitUse) -> String {
    let text = compared(limit).named();
    match limit.used.map(|used| used * 100.0) {
        None => text,
        Some(percent) if percent > 0.0 && percent < 1.0 => format!("{text}: below 1% of the limit"),
        Some(percent) if percent < 1000.0 => format!("{text}: {percent:.0}% of the limit"),
        Some(percent) => {
            format!("{text}: {} times the limit", number((percent / 100.0).round(), None))
        }
    }
}

fn conclusion(page: &mut Page, trial: &MatchReport) {
    let watched = seconds(trial.watched_s);
    if trial.ok {
        let text = format!("watched for {watched}: nothing is wrong with targets and signals");
        item(page, ("ok: ", Paint::Green), &text);
    } else {
        let count = trial.problems.len();
        let word = if count == 1 { "problem" } else { "problems" };
        let text = format!("{count} {word} after {watched}");
        page.line(&[(Paint::Red, &text)]);
        for problem in trial.problems.iter().take(MAX_PROBLEMS) {
            item(page, ("- ", Paint::Plain), problem);
        }
        if let Some(more @ 1..) = count.checked_sub(MAX_PROBLEMS) {
            item(page, ("- ", Paint::Plain), &format!("and {more} more, see above"));
        }
    }
    if trial.longest_window_s > trial.watched_s {
        let window = seconds(trial.longest_window_s);
        let text = format!(
            "Windows are up to {window} long and hold {watched} so far; a longer `--for` fills \
             them."
        );
        for part in wrap(&text, WIDTH) {
            page.line(&[(Paint::Dim, &part)]);
        }
    }
}
