//! What became of each alert, for people: 80 columns wide, in the order of the files. It must never
//! leave out a note: what is not said here is not read anywhere.

use std::fmt::Write as _;

use super::output::{Kept, Misfit, Report};
use super::place::Spot;

/// A terminal's width.
const WIDTH: usize = 80;

impl Report {
    /// The table and the summary.
    #[must_use]
    pub fn render(&self) -> String {
        let kept = self.kept.iter().map(|kept| (kept.spot, self.kept_text(kept)));
        let misfits = self.misfits.iter().map(|misfit| (misfit.spot, self.misfit_text(misfit)));
        let mut parts: Vec<(Spot, String)> = kept.chain(misfits).collect();
        parts.sort_by_key(|(spot, _)| *spot);
        let mut out: String = parts.into_iter().map(|(_, text)| text).collect();
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&self.summary());
        out
    }

    fn kept_text(&self, kept: &Kept) -> String {
        let mut out = String::new();
        let what = format!("alert {}: imported as {}", shown(&kept.alert), kept.rule);
        wrapped(&mut out, &format!("{}: ", self.place(kept.spot)), &what);
        for note in &kept.notes {
            wrapped(&mut out, "    note: ", note);
        }
        out
    }

    fn misfit_text(&self, misfit: &Misfit) -> String {
        let mut out = String::new();
        let what = format!("alert {}: {}", shown(&misfit.alert), misfit.why);
        wrapped(&mut out, &format!("{}: ", self.place(misfit.spot)), &what);
        wrapped(&mut out, "    instead: ", &misfit.instead);
        out
    }

    /// `file:line:column`.
    #[must_use]
    pub fn place(&self, spot: Spot) -> String {
        format!("{}:{spot}", self.files.get(spot.file).map_or("", String::as_str))
    }

    fn summary(&self) -> String {
        let mut out = String::new();
        if !self.dropped.is_empty() {
            let each: Vec<_> =
                self.dropped.iter().map(|(label, times)| format!("{label} {times}×")).collect();
            let text = format!("{} (keep them with --drop-label '')", each.join(", "));
            wrapped(&mut out, "matchers left out, not on a page: ", &text);
        }
        if self.records > 0 {
            let _ = writeln!(out, "recording rules, which a page does not have: {}", self.records);
        }
        let _ = writeln!(out, "{} imported, {} not", self.kept.len(), self.refused);
        out
    }
}

/// A name from a file, safe for a terminal.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(60).collect();
    short.escape_debug().to_string()
}

/// A paragraph whose further lines are indented by four more than the first.
fn wrapped(out: &mut String, lead: &str, text: &str) {
    let indent = lead.chars().take_while(|c| *c == ' ').count() + 4;
    let mut line = lead.to_owned();
    let mut fresh = true;
    for word in text.split_whitespace() {
        let over = line.chars().count() + 1 + word.chars().count() > WIDTH;
        if over && (!fresh || !line.trim().is_empty()) && line.chars().count() > indent {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent);
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}
