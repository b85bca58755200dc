//! What came of rule tests as JUnit XML, as pipelines read it: one suite for each file, and in it
//! one case for each test. Times are those of the virtual clock, so that they say what was played.

use crate::ruletest::CaseResult;

use super::line::Style;
use super::rule_tests::failures;

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
