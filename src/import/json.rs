//! What became of each alert, for programs. The fields are documented with the command and stay.

use serde::Serialize;

use super::output::Report;
use super::place::Spot;

#[derive(Serialize)]
struct Document<'r> {
    imported: Vec<Rule<'r>>,
    not_imported: Vec<Reason<'r>>,
    dropped_labels: Vec<Dropped<'r>>,
    summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    toml: Option<&'r str>,
}

#[derive(Serialize)]
struct Place<'r> {
    file: &'r str,
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Rule<'r> {
    alert: &'r str,
    rule: &'r str,
    place: Place<'r>,
    notes: &'r [String],
}

#[derive(Serialize)]
struct Reason<'r> {
    alert: &'r str,
    place: Place<'r>,
    why: &'r str,
    instead: &'r str,
}

#[derive(Serialize)]
struct Dropped<'r> {
    label: &'r str,
    matchers: usize,
}

#[derive(Serialize)]
struct Summary {
    imported: usize,
    not_imported: usize,
    recording_rules: usize,
}

impl Report {
    /// The report as one JSON document, with the rules where they are not written elsewhere.
    #[must_use]
    pub fn json(&self, toml: Option<&str>) -> String {
        let place = |spot: Spot| Place {
            file: self.files.get(spot.file).map_or("", String::as_str),
            line: spot.line,
            column: spot.column,
        };
        let imported = self.kept.iter().map(|kept| Rule {
            alert: &kept.alert,
            rule: &kept.rule,
            place: place(kept.spot),
            notes: &kept.notes,
        });
        let reasons = self.misfits.iter().map(|misfit| Reason {
            alert: &misfit.alert,
            place: place(misfit.spot),
            why: &misfit.why,
            instead: &misfit.instead,
        });
        let dropped =
            self.dropped.iter().map(|(label, matchers)| Dropped { label, matchers: *matchers });
        let document = Document {
            imported: imported.collect(),
            not_imported: reasons.collect(),
            dropped_labels: dropped.collect(),
            summary: Summary {
                imported: self.kept.len(),
                not_imported: self.refused,
                recording_rules: self.records,
            },
            toml,
        };
        let text = serde_json::to_string_pretty(&document);
        text.expect("texts, numbers and lists are always JSON") + "\n"
    }
}
