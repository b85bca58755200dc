//! Reports what became of each alert: for people 80 columns wide and in the order of the files, for
//! programs as JSON, whose fields are documented with the command and stable. Every note is in the
//! report, because people read it nowhere else.

use std::fmt;

use serde::Serialize;

use crate::toml_text::fill;

/// A terminal's width.
const WIDTH: usize = 80;

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// A file of rules, with a comment for each that tells where it comes from.
    pub toml: String,
    /// What became of each alert.
    pub report: ImportReport,
}

/// What became of each alert, as `--json` prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Alerts that became rules, in the order of the files.
    pub imported: Vec<ImportedAlert>,
    /// Reasons why alerts did not, in the order of the files.
    pub not_imported: Vec<Misfit>,
    /// Labels whose matchers were left out.
    pub dropped_labels: Vec<DroppedLabel>,
    /// How many there were.
    pub summary: ImportTotals,
}

/// How many rules there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportTotals {
    /// Alerts that became rules.
    pub imported: usize,
    /// Alerts that did not.
    pub not_imported: usize,
    /// Recording rules.
    pub recording_rules: usize,
}

/// A place in a file, with the file's name. Places are in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FilePlace {
    /// The file's index in the list of files.
    #[serde(skip)]
    pub index: usize,
    /// The file as it is shown.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for FilePlace {
    /// `file:line:column`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// An alert that became a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportedAlert {
    /// The alert's name.
    pub alert: String,
    /// The rule's name.
    pub rule: String,
    /// Where the alert is.
    pub place: FilePlace,
    /// What is not the same as it was.
    pub notes: Vec<String>,
}

/// One reason why an alert did not become a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// The alert's name.
    pub alert: String,
    /// What cannot be converted.
    pub place: FilePlace,
    /// Why.
    pub why: String,
    /// What to do instead.
    pub instead: String,
}

/// A label whose matchers were left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DroppedLabel {
    /// The label.
    pub label: String,
    /// How many matchers.
    pub matchers: usize,
}

impl ImportReport {
    /// The report as one JSON document, with the rules where they are not written elsewhere.
    pub fn json(&self, toml: Option<&str>) -> String {
        #[derive(Serialize)]
        struct ReportDocument<'r> {
            #[serde(flatten)]
            report: &'r ImportReport,
            #[serde(skip_serializing_if = "Option::is_none")]
            toml: Option<&'r str>,
        }
        let text = serde_json::to_string_pretty(&ReportDocument { report: self, toml });
        text.expect("texts, numbers and lists are always JSON") + "\n"
    }

    /// The report for people: each alert, then the totals.
    pub fn render(&self) -> String {
        let imported = self.imported.iter().map(|ImportedAlert { alert, rule, place, notes }| {
            let head = format!("{place}: alert {}: imported as {rule}", shown(alert, 60));
            let notes = notes.iter().map(|note| paragraph("    ", &format!("note: {note}")));
            (place, paragraph("", &head) + &notes.collect::<String>())
        });
        let misfits = self.not_imported.iter().map(|Misfit { alert, place, why, instead }| {
            let head = format!("{place}: alert {}: {why}", shown(alert, 60));
            (place, paragraph("", &head) + &paragraph("    ", &format!("instead: {instead}")))
        });
        let mut parts: Vec<_> = imported.chain(misfits).collect();
        parts.sort_by_key(|(place, _)| *place);
        let mut out: String = parts.into_iter().map(|(_, text)| text).collect();
        if !out.is_empty() {
            out.push('\n');
        }
        if !self.dropped_labels.is_empty() {
            let each =
                self.dropped_labels.iter().map(|of| format!("{} {}×", of.label, of.matchers));
            let each = each.collect::<Vec<_>>().join(", ");
            let keep = "(keep them with --drop-label '')";
            out += &paragraph("", &format!("matchers left out, not on a page: {each} {keep}"));
        }
        let ImportTotals { imported, not_imported, recording_rules } = self.summary;
        if recording_rules > 0 {
            out += &format!("recording rules, which a page does not have: {recording_rules}\n");
        }
        out + &format!("{imported} imported, {not_imported} not\n")
    }
}

/// The beginning of a text from a file, safe for a terminal.
pub(super) fn shown(text: &str, most: usize) -> String {
    text.chars().take(most).collect::<String>().escape_debug().to_string()
}

/// A paragraph whose further lines are indented by four more than the first.
fn paragraph(indent: &str, text: &str) -> String {
    fill(indent, &format!("{indent}    "), text, WIDTH)
}
