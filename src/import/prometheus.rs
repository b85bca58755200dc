//! Imports alerting rules of Prometheus: from files to a file of rules and a report.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use regex_lite::Regex;

use super::algebra::signals_of;
use super::converter::{Converter, Options, convert, objection};
use super::names::{rule_names, signal_names};
use super::promql::{duration, parse};
use super::recording_rules::{Records, inline};
use super::report::{
    DroppedLabel, FilePlace, ImportReport, Imported, ImportedAlert, Misfit, shown,
};
use super::rule_files::{AlertingRule, RuleFiles, find};
use super::signal::{ImportedSignal, NamedSignals, signal_table};
use super::spot::{Flaw, Spot};
use super::yaml::YamlError;
use crate::config::{Diagnostic, SourceFile};
use crate::model::condition::Cond;
use crate::model::time::{MAX_DURATION, format_duration};
use crate::toml_text::{Table, UniqueNames, comment, fill};

/// The longest description; more does not fit a line of the status.
const MAX_DESCRIPTION: usize = 300;

/// How wide comments are.
const WIDTH: usize = 98;

/// Turns the alerts of some files into rules.
///
/// # Errors
/// The first file that is not one of rules, and where.
pub fn prometheus(files: &[SourceFile], options: &Options) -> Result<Imported, YamlError> {
    let mut rules = RuleFiles::default();
    for (index, file) in files.iter().enumerate() {
        rules.read(index, &file.text)?;
    }
    let files = files.iter().map(|file| file.path.as_str()).collect();
    let mut import = Import { options: options.clone(), files, ..Import::default() };
    for record in &rules.records {
        import.records.entry(&record.name).or_default().push(record);
        import.report.summary.recording_rules += 1;
    }
    for alert in &rules.alerts {
        if let Err(flaws) = import.alert(alert) {
            import.refuse(alert, flaws);
        }
    }
    Ok(import.finish())
}

#[derive(Default)]
struct Import<'a> {
    options: Options,
    records: Records<'a>,
    files: Vec<&'a str>,
    /// The signals that rules use, the names that they were given, and where they come from.
    signals: Vec<(String, ImportedSignal, Spot)>,
    signal_names: UniqueNames,
    rule_names: UniqueNames,
    /// The rules as they are written.
    rules: String,
    dropped: BTreeMap<String, usize>,
    report: ImportReport,
}

impl Import<'_> {
    fn place(&self, spot: Spot) -> FilePlace {
        let file = self.files[spot.file].to_owned();
        FilePlace { index: spot.file, file, line: spot.line, column: spot.column }
    }

    fn refuse(&mut self, alert: &AlertingRule, mut flaws: Vec<Flaw>) {
        flaws.dedup();
        self.report.summary.not_imported += 1;
        for Flaw { spot, why, instead } in flaws {
            let (alert, place) = (alert.name.clone(), self.place(spot));
            self.report.not_imported.push(Misfit { alert, place, why, instead });
        }
    }

    /// Imports an alert, or says everything that cannot be converted.
    fn alert(&mut self, alert: &AlertingRule) -> Result<(), Vec<Flaw>> {
        let mend = "mend the expression; `promtool check rules` reads it as well";
        let mut expr = parse(&alert.expr, mend).map_err(|flaw| vec![flaw])?;
        let inlined = inline(&self.records, &mut expr).map_err(|flaw| vec![flaw])?;
        let (when, given, mut converter) = convert(&expr, &self.options)?;
        if !inlined.is_empty() {
            let note = format!("recorded series replaced by what they say: {}", inlined.join(", "));
            converter.notes.insert(0, note);
        }
        let (hold, keep) = (span_of(&alert.hold)?, span_of(&alert.keep)?);
        let severity = severity(alert, &mut converter.notes);
        notes(alert, hold, &mut converter);
        let Converter { signals, notes, dropped, .. } = converter;
        let section = RuleSection { alert, when, given, signals, severity, hold, keep };
        section.accepted()?;
        let names = self.name_signals(&section);
        let candidates = rule_names(&alert.name, find(&alert.labels, "severity"));
        let rule = self.rule_names.take(&candidates, '-');
        self.rules += &self.origin(alert, &notes);
        self.rules += &section.table(&rule, &names).to_string();
        for (label, times) in dropped {
            *self.dropped.entry(label).or_default() += times;
        }
        let (alert, place) = (alert.name.clone(), self.place(alert.spot));
        self.report.imported.push(ImportedAlert { alert, rule, place, notes });
        self.report.summary.imported += 1;
        Ok(())
    }

    /// The names of the signals that are used. A signal that is not used has none.
    fn name_signals(&mut self, section: &RuleSection<'_>) -> Vec<String> {
        let mut used = signals_of(&section.when);
        used.extend(section.given.iter().flat_map(signals_of));
        let mut names = vec![String::new(); section.signals.len()];
        for ix in used {
            let signal = &section.signals[ix.0];
            let known = self.signals.iter().find(|(_, known, _)| known == signal);
            names[ix.0] = known.map(|(name, ..)| name.clone()).unwrap_or_else(|| {
                let name = self.signal_names.take(&signal_names(signal), '_');
                self.signals.push((name.clone(), signal.clone(), section.alert.spot));
                name
            });
        }
        names
    }

    /// The comments above a rule.
    fn origin(&self, alert: &AlertingRule, notes: &[String]) -> String {
        let lead = |lead: &str, text: &str| {
            let indent = " ".repeat(lead.len());
            fill(&format!("# {lead}"), &format!("# {indent}"), text, WIDTH)
        };
        let FilePlace { file, line, .. } = self.place(alert.spot);
        let group = &alert.group;
        let group = if group.is_empty() { String::new() } else { format!(", group {group}") };
        let mut out = format!("\n{}", lead("", &format!("{file}:{line}: {}{group}", alert.name)));
        let lines = alert.expr.text.lines().filter(|line| !line.trim().is_empty());
        for (at, line) in lines.enumerate() {
            out += &lead(if at == 0 { "  expr: " } else { "        " }, line);
        }
        notes.iter().for_each(|note| out += &lead("  note: ", note));
        out
    }

    fn finish(mut self) -> Imported {
        let dropped = std::mem::take(&mut self.dropped).into_iter();
        let dropped = dropped.map(|(label, matchers)| DroppedLabel { label, matchers });
        self.report.dropped_labels = dropped.collect();
        let mut toml = head(&self.files, &self.report.dropped_labels);
        for (name, signal, from) in &self.signals {
            let FilePlace { file, line, .. } = self.place(*from);
            toml += &format!("\n{}", comment(&format!("{file}:{line}"), WIDTH));
            toml += &signal_table(name, signal).to_string();
        }
        toml += &self.rules;
        Imported { toml, report: self.report }
    }
}

/// What a file of imported rules says first.
fn head(files: &[&str], dropped: &[DroppedLabel]) -> String {
    const WHAT_DIFFERS: &str = "\
#
# Read before use: the words are the same, their meaning is not always.
#   - An increase is what was counted between samples; nothing is extrapolated to the window's ends.
#   - A series that appears while its target is watched counts from 0: a first error is not lost.
#   - 0/0 is no data, and so is x/0: without traffic there is no verdict.
#   - A part that no series matches is 0 while the whole has some; Prometheus then says nothing.
#   - Where data is missing a rule waits: `for` stops, and neither fires nor starts anew.
#   - Rules are judged at every scrape, so a window of minutes can often be shorter.
#   - An alert tells people; a critical rule rolls back. Decide for each whether it should.
";
    let mut out = comment(&format!("Imported from {}.", files.join(", ")), WIDTH) + WHAT_DIFFERS;
    for DroppedLabel { label, matchers } in dropped {
        let what = format!(
            "Matchers of `{label}` were left out {matchers}×: Prometheus adds it, a page does not \
             have it. Restrict signals with `target` where several targets have the metric."
        );
        out += &format!("#\n{}", comment(&what, WIDTH));
    }
    out
}

/// A rule without its comments.
struct RuleSection<'b> {
    alert: &'b AlertingRule,
    when: Cond,
    given: Option<Cond>,
    signals: Vec<ImportedSignal>,
    severity: Option<&'static str>,
    hold: Duration,
    keep: Duration,
}

impl RuleSection<'_> {
    fn table(&self, name: &str, names: &[String]) -> Table {
        let alert = self.alert;
        let named = NamedSignals { names, signals: &self.signals };
        let annotation = |names: &[&str]| {
            let found = names.iter().find_map(|name| find(&alert.annotations, name));
            found.map(plain).filter(|text| !text.is_empty())
        };
        let owner = ["team", "owner"].iter().find_map(|name| find(&alert.labels, name));
        let span = |span: Duration| (!span.is_zero()).then(|| format_duration(span));
        Table::new(format!("rule.{name}"))
            .optional("description", annotation(&["summary", "description", "message"]))
            .text("when", &named.condition(&self.when))
            .optional("given", self.given.as_ref().map(|given| named.condition(given)))
            .optional("for", span(self.hold))
            .optional("keep_firing_for", span(self.keep))
            .optional("severity", self.severity)
            .optional("runbook", annotation(&["runbook_url", "runbook"]))
            .optional("owner", owner.map(plain).filter(|text| !text.is_empty()))
    }

    /// Whether rollguard accepts the rule: what cannot be loaded must not be written.
    fn accepted(&self) -> Result<(), Vec<Flaw>> {
        let signals = &self.signals;
        let names: Vec<String> = (0..signals.len()).map(|at| format!("s{at}")).collect();
        let tables = names.iter().zip(signals).map(|(name, signal)| signal_table(name, signal));
        let tables = tables.chain([self.table("r", &names)]).map(|table| table.to_string());
        let Some(Diagnostic { message, .. }) = objection(tables.collect()) else { return Ok(()) };
        let split = if signals.len() > 1 { "split the alert, or " } else { "" };
        let instead = format!("{split}write the rule by hand");
        Err(vec![Flaw::new(self.alert.expr.spot(0), message, instead)])
    }
}

/// Notes what is not converted of an alert beside its expression.
fn notes(alert: &AlertingRule, hold: Duration, converter: &mut Converter) {
    for key in &alert.unknown_keys {
        converter.notes.push(format!("left out, not a key of alerts: {}", shown(key, 40)));
    }
    let by_labels = converter.signals.iter().any(|signal| !signal.by.is_empty());
    if (converter.extremes || by_labels) && !hold.is_zero() {
        let note = "`for` was about one series; here several may make it hold in turn";
        converter.notes.push(note.to_owned());
    }
    if alert.annotations.iter().any(|(_, text)| text.contains("{{")) {
        converter.notes.push("templates of annotations became `…`".to_owned());
    }
}

/// What is not known to be critical is a warning, which does not roll back.
fn severity(alert: &AlertingRule, notes: &mut Vec<String>) -> Option<&'static str> {
    let Some(written) = find(&alert.labels, "severity") else {
        let note = "no severity: a warning, which never rolls back; delete `severity` to change it";
        notes.push(note.to_owned());
        return Some("warning");
    };
    match written.trim().to_ascii_lowercase().as_str() {
        "critical" | "page" | "crit" | "error" | "emergency" | "fatal" => return None,
        "warning" | "warn" => {}
        _ => notes.push(format!("severity `{}` became warning", shown(written, 40))),
    }
    Some("warning")
}

/// The time that `for` or `keep_firing_for` says; zero where it is absent.
fn span_of(written: &Option<(String, Spot)>) -> Result<Duration, Vec<Flaw>> {
    let Some((text, spot)) = written else { return Ok(Duration::ZERO) };
    duration(text).filter(|duration| *duration <= MAX_DURATION).ok_or_else(|| {
        let why = format!("`{}` is not a duration up to a year", shown(text, 40));
        vec![Flaw::new(*spot, why, "write one like 5m")]
    })
}

/// A text without templates, on one line.
fn plain(text: &str) -> String {
    static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?s)\{\{.*?(?:\}\}|$)").expect("a constant that is a regular expression")
    });
    let text = TEMPLATE.replace_all(text, "…");
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() <= MAX_DESCRIPTION {
        return line;
    }
    line.chars().take(MAX_DESCRIPTION - 1).collect::<String>() + "…"
}
