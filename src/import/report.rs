//! Reports what became of each alert: for people 80 columns wide and in the order of the files, for
//! programs as JSON, whose fields are documented with the command and stable. Every note is in the
//! report, because people read it nowhere else.

use std::fmt;

use serde::Serialize;

use super::spot::Spot;
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

/// What became of each alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Alerts that became rules, in the order of the files.
    pub kept: Vec<ImportedAlert>,
    /// Reasons why alerts did not, in the order of the files.
    pub misfits: Vec<Misfit>,
    /// How many alerts did not.
    pub refused: usize,
    /// Labels whose matchers were left out.
    pub dropped: Vec<DroppedLabel>,
    /// How many recording rules there were.
    pub records: usize,
}

/// A place in a file, with the file's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilePlace {
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
    /// The same, in the order of the files.
    #[serde(skip)]
    pub spot: Spot,
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
    /// The same, in the order of the files.
    #[serde(skip)]
    pub spot: Spot,
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

/// What `--json` prints.
#[derive(Serialize)]
struct ReportDocument<'r> {
    imported: &'r [ImportedAlert],
    not_imported: &'r [Misfit],
    dropped_labels: &'r [DroppedLabel],
    summary: Totals,
    #[serde(skip_serializing_if = "Option::is_none")]
    toml: Option<&'r str>,
}

#[derive(Serialize)]
struct Totals {
    imported: usize,
    not_imported: usize,
    recording_rules: usize,
}

impl ImportReport {
    /// The report as one JSON document, with the rules where they are not written elsewhere.
    pub fn json(&self, toml: Option<&str>) -> String {
        let document = ReportDocument {
            imported: &self.kept,
            not_imported: &self.misfits,
            dropped_labels: &self.dropped,
            summary: Totals {
                imported: self.kept.len(),
                not_imported: self.refused,
                recording_rules: self.records,
            },
            toml,
        };
        let text = serde_json::to_string_pretty(&document);
        text.expect("texts, numbers and lists are always JSON") + "\n"
    }

    /// The report for people: each alert, then the totals.
    pub fn render(&self) -> String {
        let kept = self.kept.iter().map(|kept| (kept.spot, kept.render()));
        let misfits = self.misfits.iter().map(|misfit| (misfit.spot, misfit.render()));
        let mut parts: Vec<(Spot, String)> = kept.chain(misfits).collect();
        parts.sort_by_key(|(spot, _)| *spot);
        let mut out: String = parts.into_iter().map(|(_, text)| text).collect();
        if !out.is_empty() {
            out.push('\n');
        }
        if !self.dropped.is_empty() {
            let each = self.dropped.iter().map(|of| format!("{} {}×", of.label, of.matchers));
            let each = each.collect::<Vec<_>>().join(", ");
            out += &paragraph(
                "",
                &format!(
                    "matchers left out, not on a page: {each} (keep them with --drop-label '')"
                ),
            );
        }
        if self.records > 0 {
            out += &format!("recording rules, which a page does not have: {}\n", self.records);
        }
        out + &format!("{} imported, {} not\n", self.kept.len(), self.refused)
    }
}

impl ImportedAlert {
    fn render(&self) -> String {
        let (alert, rule) = (shown(&self.alert), &self.rule);
        let head = format!("{}: alert {alert}: imported as {rule}", self.place);
        let notes = self.notes.iter().map(|note| paragraph("    ", &format!("note: {note}")));
        paragraph("", &head) + &notes.collect::<String>()
    }
}

impl Misfit {
    fn render(&self) -> String {
        let head = format!("{}: alert {}: {}", self.place, shown(&self.alert), self.why);
        paragraph("", &head) + &paragraph("    ", &format!("instead: {}", self.instead))
    }
}

/// A name from a file, safe for a terminal.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(60).collect();
    short.escape_debug().to_string()
}

/// A paragraph whose further lines are indented by four more than the first.
fn paragraph(indent: &str, text: &str) -> String {
    fill(indent, &format!("{indent}    "), text, WIDTH)
}
