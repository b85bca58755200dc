//! What came of rule tests, as people read it: nothing of what passed but its number, and of what
//! did not the readings around the moment. As JUnit XML, as pipelines read it, there is one suite
//! for each file, and in it one case for each test; times are those of the virtual clock, so that
//! they say what was played.

use crate::ruletest::{CaseResult, Miss, Row};

use super::line::{Paint, Screen, Style, after, count, duration_ms, list, pad, width};
use super::number::shown;

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
fn failures(file: &str, result: &CaseResult, style: Style) -> String {
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

/// The results of some files, each with its path.
pub fn junit(files: &[(String, Vec<CaseResult>)]) -> String {
    let counts = counts(files.iter().flat_map(|(_, results)| results));
    let suites: String = files.iter().map(|(file, results)| suite(file, results)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"rollguard\" {counts}>\n\
         {suites}</testsuites>\n"
    )
}

fn suite(file: &str, results: &[CaseResult]) -> String {
    let (name, counts) = (escaped(file), counts(results.iter()));
    let cases: String = results.iter().map(|result| case(file, result)).collect();
    format!("  <testsuite name=\"{name}\" {counts} skipped=\"0\">\n{cases}  </testsuite>\n")
}

fn case(file: &str, result: &CaseResult) -> String {
    let (name, line, suite) = (escaped(&result.name), result.line, escaped(file));
    let rest = result.failures.first().map_or("/>\n".to_owned(), |miss| {
        let message = escaped(&format!("{}: {}", miss.when, miss.why));
        let body = failures(file, result, Style::Plain);
        let body: Vec<String> = body.lines().map(escaped).collect();
        format!(
            ">\n      <failure message=\"{message}\" type=\"expectation\">{}</failure>\n    \
             </testcase>\n",
            body.join("\n")
        )
    });
    format!(
        "    <testcase name=\"{name}\" classname=\"{suite}\" file=\"{suite}\" line=\"{line}\" \
         time=\"{}\"{rest}",
        seconds(result.virtual_ms)
    )
}

fn counts<'r>(results: impl Iterator<Item = &'r CaseResult>) -> String {
    let results: Vec<_> = results.collect();
    let (tests, failed) = (results.len(), results.iter().filter(|result| !result.has_passed()));
    let (failed, time) = (failed.count(), results.iter().map(|result| result.virtual_ms));
    let time = seconds(time.fold(0, u64::saturating_add));
    format!("tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" time=\"{time}\"")
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// The text with what means something to XML written otherwise; what it cannot hold is replaced.
fn escaped(text: &str) -> String {
    let is_unfit = |c: char| matches!(c, '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\n', "&#10;").replace(is_unfit, "\u{fffd}")
}
