//! What was found before a rollback is needed, group by group, with a remedy for what is wrong.

use crate::preflight::{Finding, FindingLevel, Inside, PreflightReport};

use super::line::{Paint, Screen, Style, pad, paragraph};

/// Columns of the word at the left.
const WORD: usize = 6;

/// Everything that was found.
pub fn doctor(report: &PreflightReport, style: Style) -> String {
    let mut page = Screen::new(style);
    for group in &report.groups {
        page.line(&[(Paint::Bold, &group.group)]);
        group.findings.iter().for_each(|finding| about(&mut page, finding));
        page.line(&[]);
    }
    let inside = match report.inside {
        Inside::Daemon => "looked at inside the daemon",
        Inside::Command => "looked at by this command, not inside the daemon",
    };
    let [ok, warn, fail] =
        [FindingLevel::Ok, FindingLevel::Warn, FindingLevel::Fail].map(|level| report.count(level));
    let PreflightReport { pid, uid, .. } = report;
    let counts =
        format!("{ok} ok, {warn} to look at, {fail} failed; {inside}, process {pid} of user {uid}");
    page.append(&paragraph(&counts, 0));
    page.into_text()
}

fn about(page: &mut Screen, finding: &Finding) {
    let (word, paint) = match finding.level {
        FindingLevel::Ok => ("ok", Paint::Green),
        FindingLevel::Warn => ("warn", Paint::Yellow),
        FindingLevel::Fail => ("FAIL", Paint::Red),
    };
    page.beside(&[(Paint::Plain, "  "), (paint, &pad(word, WORD))], &finding.what, Paint::Plain);
    if let Some(remedy) = &finding.remedy {
        let margin = pad("", 2 + WORD);
        page.beside(&[(Paint::Plain, &margin)], &format!("-> {remedy}"), Paint::Plain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::FindingGroup;
    use crate::render::line::WIDTH;

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
