//! What came of rule tests, as people read it: nothing of what passed but its number, and of what
//! did not the readings around the moment.

use crate::engine::view::snapshot::SignalStatus;
use crate::ruletest::{Aspect, CaseResult, Miss, Row};

use super::line::{Paint, Style, clip, pad, width};
use super::number::{self, unit_of};
use super::page::Screen;
use super::words::{count, duration_ms, list};

/// Columns of the words below a failed test.
const LABEL: usize = 12;

/// Columns of a signal's reading: its name or what is read, whichever is shorter to cut.
const READING: usize = 22;

/// The tests of one file.
pub fn rehearsal(file: &str, results: &[CaseResult], style: Style) -> String {
    let mut page = Screen::new(style);
    let failed: Vec<_> = results.iter().filter(|result| !result.has_passed()).collect();
    if failed.is_empty() {
        let tests = count(results.len(), "test");
        page.line(&[(Paint::Green, "ok    "), (Paint::Plain, &format!("{file}: {tests}"))]);
    }
    for result in failed {
        let place = format!("{file}:{}", result.line);
        page.line(&[(Paint::Red, "FAIL  "), (Paint::Plain, &place)]);
        page.beside(&[(Paint::Plain, "      ")], &result.name, Paint::Bold);
        page.append(&failures(file, result, style));
    }
    page.into_text()
}

/// The expectations of one test that were not met.
pub(super) fn failures(file: &str, result: &CaseResult, style: Style) -> String {
    let mut page = Screen::new(style);
    result.failures.iter().for_each(|miss| missed(&mut page, file, miss));
    page.line(&[]);
    page.into_text()
}

/// The line that closes a run of tests.
pub fn tally(passed: usize, failed: usize) -> String {
    format!("{passed} passed, {failed} failed\n")
}

impl Screen {
    /// Adds a word below a failed test and what it stands for.
    fn note(&mut self, label: &str, value: &str, paint: Paint) {
        let label = pad(&format!("  {label}"), LABEL + 2);
        self.beside(&[(Paint::Dim, &label)], value, paint);
    }
}

fn missed(page: &mut Screen, file: &str, miss: &Miss) {
    page.line(&[]);
    let rule = miss.rule.as_ref().map(|rule| format!(", rule {rule}")).unwrap_or_default();
    page.note("where", &format!("{file}:{}", miss.line), Paint::Plain);
    page.note("when", &format!("{}{rule}", miss.when), Paint::Plain);
    page.note("failed", &miss.why, Paint::Plain);
    let wrong: Vec<_> = miss.aspects.iter().filter(|aspect| !aspect.met).collect();
    if wrong.is_empty() {
        // It was so, at the wrong time.
        let all: Vec<_> = miss.aspects.iter().collect();
        page.note("seen", &said(&all, |aspect| &aspect.got), Paint::Red);
    } else {
        page.note("expected", &said(&wrong, |aspect| &aspect.expected), Paint::Green);
        page.note("got", &said(&wrong, |aspect| &aspect.got), Paint::Red);
    }
    page.line(&[]);
    table(page, miss);
}

/// Each thing with what is said of it.
fn said<'a>(aspects: &[&'a Aspect], of: impl Fn(&'a Aspect) -> &'a String) -> String {
    list(aspects.iter().map(|aspect| format!("{} {}", aspect.what, of(aspect))))
}

fn table(page: &mut Screen, miss: &Miss) {
    let Some(first) = miss.around.first() else { return };
    let mut head = format!("    {}", pad("AT", 11));
    if first.rule.is_some() {
        head.push_str(&format!("{}{}", pad("STATE", 10), pad("HELD", 9)));
    }
    let columns = columns(&miss.around);
    for (name, column) in &columns {
        head.push_str(&format!("{}  ", pad(name, *column)));
    }
    page.line(&[(Paint::Dim, &head)]);
    for row in &miss.around {
        let here = row.at_ms == miss.at_ms;
        let (mark, paint) = if here { ("  > ", Paint::Bold) } else { ("    ", Paint::Plain) };
        page.line(&[(paint, mark), (paint, &cells(row, &columns))]);
    }
    let reasons = reasons(&miss.around);
    if !reasons.is_empty() {
        page.note("no verdict", &reasons, Paint::Dim);
    }
}

/// Every signal of every row, and how wide it is shown: a group may come and go.
fn columns(rows: &[Row]) -> Vec<(String, usize)> {
    let mut columns: Vec<(String, usize)> = Vec::new();
    for signal in rows.iter().flat_map(|row| &row.signals) {
        let name = name(signal);
        let wide = width(&reading(signal)).max(width(&name)).min(READING);
        match columns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, column)) => *column = wide.max(*column),
            None => columns.push((name, wide)),
        }
    }
    columns
}

fn name(signal: &SignalStatus) -> String {
    let group = signal.reading.group.as_ref().map(|group| format!("{{{group}}}"));
    format!("{}{}", signal.reading.signal, group.unwrap_or_default())
}

fn cells(row: &Row, columns: &[(String, usize)]) -> String {
    let mut text = pad(&duration_ms(row.at_ms), 11);
    if let Some(rule) = &row.rule {
        text.push_str(&pad(&rule.state.to_string(), 10));
        text.push_str(&pad(&duration_ms(rule.held_ms), 9));
    }
    for (wanted, column) in columns {
        let found = row.signals.iter().find(|signal| name(signal) == *wanted);
        let shown = found.map_or_else(|| "-".to_owned(), reading);
        text.push_str(&format!("{}  ", pad(&shown, *column)));
    }
    text
}

/// Why the rule had no verdict, once for each reason.
fn reasons(rows: &[Row]) -> String {
    let mut all: Vec<&str> = Vec::new();
    for why in rows.iter().filter_map(|row| row.rule.as_ref()?.no_data.as_deref()) {
        if !all.contains(&why) {
            all.push(why);
        }
    }
    all.join(", ")
}

fn reading(signal: &SignalStatus) -> String {
    number::reading(&signal.reading, unit_of(signal))
        .unwrap_or_else(|| clip(signal.reading.no_data.as_deref().unwrap_or("no data"), READING))
}
