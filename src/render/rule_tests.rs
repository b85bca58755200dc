//! What came of rule tests, as people read it: nothing of what passed but its number, and of what
//! did not the readings around the moment.

use crate::ruletest::{CaseResult, Miss, Row};

use super::line::{Paint, Style, after, count, duration_ms, list, pad, width};
use super::number::shown;
use super::page::Screen;

/// Columns of the words below a failed test.
const LABEL: usize = 12;

/// Columns of a signal's reading: its name or what is read, whichever is shorter to cut.
const READING: usize = 22;

/// The tests of one file.
pub fn rule_tests(file: &str, results: &[CaseResult], style: Style) -> String {
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

/// Adds a word below a failed test and what it stands for.
fn note(page: &mut Screen, label: &str, value: &str, paint: Paint) {
    page.beside(&[(Paint::Dim, &pad(&format!("  {label}"), LABEL + 2))], value, paint);
}

fn missed(page: &mut Screen, file: &str, miss: &Miss) {
    page.line(&[]);
    let rule = after(", rule ", miss.rule.as_ref());
    note(page, "where", &format!("{file}:{}", miss.line), Paint::Plain);
    note(page, "when", &format!("{}{rule}", miss.when), Paint::Plain);
    note(page, "failed", &miss.why, Paint::Plain);
    let all_met = miss.aspects.iter().all(|aspect| aspect.met);
    let shown = || miss.aspects.iter().filter(|aspect| all_met || !aspect.met);
    let got = list(shown().map(|aspect| format!("{} {}", aspect.what, aspect.got)));
    if all_met {
        // It was so, at the wrong time.
        note(page, "seen", &got, Paint::Red);
    } else {
        let expected = list(shown().map(|aspect| format!("{} {}", aspect.what, aspect.expected)));
        note(page, "expected", &expected, Paint::Green);
        note(page, "got", &got, Paint::Red);
    }
    page.line(&[]);
    table(page, miss);
}

fn table(page: &mut Screen, miss: &Miss) {
    let Some(first) = miss.around.first() else { return };
    let columns = columns(&miss.around);
    let mut head = format!("    {}", pad("AT", 11));
    if first.rule.is_some() {
        head += &(pad("STATE", 10) + &pad("HELD", 9));
    }
    head.extend(columns.iter().map(|(name, column)| pad(name, *column) + "  "));
    page.line(&[(Paint::Dim, &head)]);
    for row in &miss.around {
        let here = row.at_ms == miss.at_ms;
        let (mark, paint) = if here { ("  > ", Paint::Bold) } else { ("    ", Paint::Plain) };
        page.line(&[(paint, mark), (paint, &cells(row, &columns))]);
    }
    // Why the rule had no verdict, once for each reason.
    let mut reasons: Vec<&str> = Vec::new();
    for why in miss.around.iter().filter_map(|row| row.rule.as_ref()?.no_data.as_deref()) {
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    }
    if !reasons.is_empty() {
        note(page, "no verdict", &reasons.join(", "), Paint::Dim);
    }
}

/// Every signal of every row, and how wide it is shown: a group may come and go.
fn columns(rows: &[Row]) -> Vec<(String, usize)> {
    let mut columns: Vec<(String, usize)> = Vec::new();
    for signal in rows.iter().flat_map(|row| &row.signals) {
        let name = signal.reading.label();
        let wide = width(&shown(&signal.reading, signal.unit)).max(width(&name)).min(READING);
        match columns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, column)) => *column = wide.max(*column),
            None => columns.push((name, wide)),
        }
    }
    columns
}

fn cells(row: &Row, columns: &[(String, usize)]) -> String {
    let mut text = pad(&duration_ms(row.at_ms), 11);
    if let Some(rule) = &row.rule {
        text += &(pad(&rule.state.to_string(), 10) + &pad(&duration_ms(rule.held_ms), 9));
    }
    for (wanted, column) in columns {
        let found = row.signals.iter().find(|signal| signal.reading.label() == *wanted);
        let shown = found.map(|signal| shown(&signal.reading, signal.unit));
        text += &(pad(shown.as_deref().unwrap_or("-"), *column) + "  ");
    }
    text
}
