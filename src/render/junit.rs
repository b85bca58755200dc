//! What came of rule tests as JUnit XML, as pipelines read it: one suite for each file, and in it
//! one case for each test. Times are those of the virtual clock, so that they say what was played.

use std::fmt::Write;

use crate::ruletest::CaseResult;

use super::line::Style;
use super::rule_tests::failures;

/// The results of some files, each with its path.
pub fn junit(files: &[(String, Vec<CaseResult>)]) -> String {
    let all = || files.iter().flat_map(|(_, results)| results);
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let counts = counts(all());
    let _ = writeln!(text, "<testsuites name=\"rollguard\" {counts}>");
    for (file, results) in files {
        suite(&mut text, file, results);
    }
    text.push_str("</testsuites>\n");
    text
}

fn suite(text: &mut String, file: &str, results: &[CaseResult]) {
    let (name, counts) = (escaped(file), counts(results.iter()));
    let _ = writeln!(text, "  <testsuite name=\"{name}\" {counts} skipped=\"0\">");
    for result in results {
        let (case, seconds) = (escaped(&result.name), seconds(result.virtual_ms));
        let line = result.line;
        let _ = write!(
            text,
            "    <testcase name=\"{case}\" classname=\"{name}\" file=\"{name}\" line=\"{line}\" \
             time=\"{seconds}\""
        );
        if result.has_passed() {
            text.push_str("/>\n");
            continue;
        }
        let first = result.failures.first().map(|miss| format!("{}: {}", miss.when, miss.why));
        let message = escaped(&first.unwrap_or_default());
        let body = failures(file, result, Style::Plain);
        let body: Vec<String> = body.lines().map(escaped).collect();
        let body = body.join("\n");
        let _ = writeln!(
            text,
            ">\n      <failure message=\"{message}\" type=\"expectation\">{body}</failure>\n    \
             </testcase>"
        );
    }
    text.push_str("  </testsuite>\n");
}

fn counts<'r>(results: impl Iterator<Item = &'r CaseResult>) -> String {
    let (mut tests, mut failed, mut millis) = (0, 0, 0_u64);
    for result in results {
        tests += 1;
        failed += usize::from(!result.has_passed());
        millis = millis.saturating_add(result.virtual_ms);
    }
    let time = seconds(millis);
    format!("tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" time=\"{time}\"")
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// The text with what means something to XML written otherwise; what it cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
