//! What `rollguard try` prints: each target, signal and rule with what it sees, what it lacks and
//! what to do about that.

use std::time::Duration;

use crate::match_report::{
    LimitUse, MatchReport, RuleMatch, SelectorMatch, SignalMatch, TargetMatch,
};
use crate::model::entry::SignalEvidence;
use crate::model::signal::Unit;

use super::line::{NAME, Paint, Screen, Style, count, list, pad, plain, span, span_ms};
use super::number::{Compared, number, reading};

/// Columns before what is said of a selector.
const KEY: usize = 11;

/// The most targets that are named beside one selector; `--json` has all of them.
const MAX_TARGETS: usize = 4;

/// The most problems that are repeated at the end.
const MAX_PROBLEMS: usize = 12;

/// The whole report.
pub fn match_report(report: &MatchReport, style: Style) -> String {
    let mut page = Screen::new(style);
    page.line(&[(Paint::Dim, &pad("TARGET", NAME + 2)), (Paint::Dim, "STATE")]);
    report.targets.iter().for_each(|target| about_target(&mut page, target));
    if !report.signals.is_empty() {
        page.title("SIGNAL", "READING");
    }
    report.signals.iter().for_each(|signal| about_signal(&mut page, signal));
    if !report.rules.is_empty() {
        page.title("RULE", "STATE");
    }
    report.rules.iter().for_each(|rule| about_rule(&mut page, rule));
    if !report.lints.is_empty() {
        page.line(&[]);
    }
    for lint in &report.lints {
        page.beside(&[(Paint::Yellow, "lint: ")], lint, Paint::Plain);
    }
    page.line(&[]);
    conclusion(&mut page, report);
    page.into_text()
}

fn seconds(seconds: f64) -> String {
    span(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn about_target(page: &mut Screen, target: &TargetMatch) {
    let (name, wanted) = (&target.target, target.wanted_samples);
    match (target.up, &target.failure) {
        (None, _) => page.row(name, Paint::Grey, "not scraped", ""),
        (Some(_), Some(failure)) => {
            page.row(name, Paint::Red, "DOWN", &format!(": {}", failure.class));
            page.sentence_below(&failure.detail, Paint::Dim);
            page.sentence_below(target.hint.as_deref().unwrap_or_default(), Paint::Plain);
        }
        (Some(_), None) => {
            let took = number(target.took_s, Some(Unit::Seconds));
            let of = target.samples.map(|all| format!(" of {all}")).unwrap_or_default();
            let rest = format!(", took {took}, {wanted}{of} samples wanted");
            page.row(name, Paint::Green, "up", &rest);
            if target.samples.is_none() {
                page.sentence_below("its page could not be looked at as a whole", Paint::Yellow);
            }
        }
    }
    let (scrapes, failed) = (target.scrapes, target.failed_scrapes);
    if failed > 0 && failed < scrapes {
        page.sentence_below(&format!("{failed} of {scrapes} scrapes failed"), Paint::Yellow);
    }
    if let Some(first) = &target.first_malformed {
        let text = format!("{} lines cannot be read, first {first}", target.malformed);
        page.sentence_below(&text, Paint::Yellow);
    }
}

fn about_signal(page: &mut Screen, signal: &SignalMatch) {
    let needs = signal.needs_s.map(|needs| format!(": needs {} more", seconds(needs)));
    let needs = needs.unwrap_or_default();
    let row = |page: &mut Screen, name: &str, evidence: &SignalEvidence, rest: &str| {
        let why = || evidence.no_data.clone().unwrap_or("no reading".to_owned());
        let shown = reading(evidence, signal.status.unit).unwrap_or_else(why);
        let paint = match evidence.value {
            Some(_) => Paint::Plain,
            None if signal.benign => Paint::Grey,
            None => Paint::Yellow,
        };
        page.row(name, paint, &plain(&shown), rest);
    };
    let name = signal.status.reading.signal.as_str();
    if signal.groups.is_empty() {
        row(page, name, &signal.status.reading, &needs);
    } else {
        let (groups, by) = (count(signal.group_count, "group"), signal.by.join(" and "));
        page.row(name, Paint::Plain, &format!("{groups} by {by}{needs}"), "");
    }
    for group in &signal.groups {
        row(page, &format!("  {}", group.group.as_deref().unwrap_or_default()), group, "");
    }
    more(page, signal.group_count, signal.groups.len());
    for selector in &signal.selectors {
        about_selector(page, selector, signal);
    }
}

/// Says how many groups are not shown.
fn more(page: &mut Screen, count: usize, shown: usize) {
    if let Some(more @ 1..) = count.checked_sub(shown) {
        page.sentence_below(&format!("and {more} more groups"), Paint::Dim);
    }
}

fn about_selector(page: &mut Screen, selector: &SelectorMatch, signal: &SignalMatch) {
    let total: usize = selector.series.iter().map(|found| found.count).sum();
    let is_wrong = selector.is_wrong(signal);
    // How many series are where, if there is more than one place.
    let shown = selector.series.iter().take(MAX_TARGETS);
    let shown = list(shown.map(|at| format!("{} {}", at.target, at.count)));
    let places = match selector.series.len() {
        0 | 1 => String::new(),
        all if all <= MAX_TARGETS => format!(" ({shown})"),
        all => format!(" ({shown}, and {} more targets)", all - MAX_TARGETS),
    };
    let text = match total {
        0 if is_wrong => format!("no series of {}", selector.selector),
        0 => format!("no series yet of {}", selector.selector),
        _ => format!("{total} series of {}{}", selector.selector, places),
    };
    let paint = if is_wrong { Paint::Yellow } else { Paint::Dim };
    page.beside(&[(Paint::Dim, &pad(&format!("  {}", selector.key), KEY))], &text, paint);
    let Some(problem) = &selector.problem else { return };
    for text in std::iter::once(&problem.text).chain(&problem.hint) {
        page.beside(&[(Paint::Plain, &pad("", KEY))], text, Paint::Plain);
    }
}

fn about_rule(page: &mut Screen, rule: &RuleMatch) {
    let evidence = &rule.status.evidence;
    let held = match &rule.status.no_data {
        Some(why) => format!(" {why}"),
        None => format!(" held {} of {}", span_ms(evidence.held_ms), span_ms(evidence.for_ms)),
    };
    page.rule(&rule.status, &held);
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
        page.sentence_below(&distance(limit), Paint::Plain);
    }
    for floor in &rule.floors {
        page.sentence_below(&format!("given {}", compared(floor)), Paint::Dim);
    }
}

/// A reading and its limit.
fn compared(limit: &LimitUse) -> String {
    let LimitUse { signal, unit, reading: left, compare: op, limit: right, .. } = limit;
    let (signal, unit) = (signal.as_ref(), *unit);
    Compared { signal, unit, left: *left, op: *op, right: *right }.named()
}

/// A reading, its limit, and how much of the limit is used.
fn distance(limit: &LimitUse) -> String {
    let text = compared(limit);
    match limit.used.map(|used| used * 100.0) {
        None => text,
        Some(percent) if percent > 0.0 && percent < 1.0 => format!("{text}: below 1% of the limit"),
        Some(percent) if percent < 1000.0 => format!("{text}: {percent:.0}% of the limit"),
        Some(percent) => {
            format!("{text}: {} times the limit", number((percent / 100.0).round(), None))
        }
    }
}

fn conclusion(page: &mut Screen, report: &MatchReport) {
    let watched = seconds(report.watched_s);
    if report.ok {
        let text = format!("watched for {watched}: nothing is wrong with targets and signals");
        page.beside(&[(Paint::Green, "ok: ")], &text, Paint::Plain);
    } else {
        let problems = count(report.problems.len(), "problem");
        page.line(&[(Paint::Red, &format!("{problems} after {watched}"))]);
        let more = report.problems.len().saturating_sub(MAX_PROBLEMS);
        let more = (more > 0).then(|| format!("and {more} more, see above"));
        for problem in report.problems.iter().take(MAX_PROBLEMS).chain(&more) {
            page.beside(&[(Paint::Plain, "- ")], problem, Paint::Plain);
        }
    }
    if report.longest_window_s > report.watched_s {
        let window = seconds(report.longest_window_s);
        let text = format!(
            "Windows are up to {window} long and hold {watched} so far; a longer `--for` fills \
             them."
        );
        page.beside(&[], &text, Paint::Dim);
    }
}
