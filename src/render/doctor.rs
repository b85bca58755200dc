//! What was found before a rollback is needed, group by group, with a remedy for what is wrong.

use crate::preflight::{Finding, FindingGroup, FindingLevel, Inside, PreflightReport};

use super::line::{Paint, Style, WIDTH, line, pad, plain, wrap};

/// Columns of the word at the left.
const WORD: usize = 6;

/// Columns before a finding.
const INDENT: usize = 2 + WORD;

/// Everything that was found.
#[must_use]
pub fn doctor(report: &PreflightReport, style: Style) -> String {
    let mut text = String::new();
    for group in &report.groups {
        text.push_str(&about(group, style));
        text.push('\n');
    }
    let inside = match report.inside {
        Inside::Daemon => "looked at inside the daemon",
        Inside::Command => "looked at by this command, not inside the daemon",
    };
    let (pid, uid) = (report.pid, report.uid);
    let counts = format!(
        "{} ok, {} to look at, {} failed; {inside}, process {pid} of user {uid}",
        report.count(FindingLevel::Ok),
        report.count(FindingLevel::Warn),
        report.count(FindingLevel::Fail)
    );
    for part in wrap(&counts, WIDTH) {
        text.push_str(&format!("{part}\n"));
    }
    text
}

fn about(group: &FindingGroup, style: Style) -> String {
    let mut text = format!("{}\n", line(style, &[(Paint::Bold, &group.group)]));
    for finding in &group.findings {
        text.push_str(&of(finding, style));
    }
    text
}

fn of(finding: &Finding, style: Style) -> String {
    let (word, paint) = match finding.level {
        FindingLevel::Ok => ("ok", Paint::Green),
        FindingLevel::Warn => ("warn", Paint::Yellow),
        FindingLevel::Fail => ("FAIL", Paint::Red),
    };
    let mut text = String::new();
    let mut word = word;
    let remedy = finding.remedy.as_ref().map(|remedy| format!("-> {remedy}"));
    for said in std::iter::once(&finding.what).chain(&remedy) {
        for part in wrap(&plain(said), WIDTH - INDENT) {
            let word_and_space = pad(word, WORD);
            let pieces = [(Paint::Plain, "  "), (paint, &word_and_space), (Paint::Plain, &part)];
            text.push_str(&format!("{}\n", line(style, &pieces)));
            word = "";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_a_terminal_and_what_is_wrong_has_a_remedy() {
        let long = "/very/long/".repeat(6);
        let findings = vec![
            Finding::ok("a"),
            Finding::warn(format!("{long} is odd"), "look at it"),
            Finding::fail("c is not there", format!("install it from {long}")),
        ];
        let report = PreflightReport {
            rollguard: "1".to_owned(),
            inside: Inside::Daemon,
            pid: 7,
            uid: 998,
            config: "/etc/x".into(),
            groups: vec![FindingGroup { group: "hook h".to_owned(), findings }],
        };
        let text = doctor(&report, Style::Plain);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for part in
            ["hook h\n  ok    a\n", "  FAIL  c is not there\n        -> install", "1 failed"]
        {
            assert!(text.contains(part), "no {part:?}: {text}");
        }
        assert_eq!(report.worst(), FindingLevel::Fail);
    }
}
