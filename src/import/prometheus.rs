//! Imports alerting rules of Prometheus: from files to a file of rules and a report.

use std::collections::BTreeMap;
use std::time::Duration;

use super::algebra::signals_of;
use super::converter::{Converted, Flaw, convert};
use super::names::{rule_names, signal_names};
use super::options::Options;
use super::promql::{duration, parse};
use super::recording_rules::Records;
use super::report::{DroppedLabel, FilePlace, ImportReport, Imported, ImportedAlert, Misfit};
use super::rule_files::{AlertingRule, RuleFiles};
use super::signal::ImportedSignal;
use super::spot::Spot;
use super::writer::{NamedSignal, condition, signal_table};
use super::yaml::YamlError;
use crate::config::{SourceFile, check_rules};
use crate::model::rule::Severity;
use crate::model::time::{MAX_DURATION, format_duration};
use crate::toml_text::{Table, UniqueNames, comment, fill};

/// The longest description; more does not fit a line of the status.
const MAX_DESCRIPTION: usize = 300;

/// How wide comments are.
const WIDTH: usize = 98;

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its path, as it is shown.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Turns the alerts of some files into rules.
///
/// # Errors
/// The first file that is not one of rules, and where.
pub fn prometheus(files: &[Input], options: &Options) -> Result<Imported, YamlError> {
    let mut rules = RuleFiles::default();
    for (index, file) in files.iter().enumerate() {
        rules.read(index, &file.text)?;
    }
    let mut import = Import {
        options,
        records: Records::new(&rules.records),
        files: files.iter().map(|file| file.path.as_str()).collect(),
        signals: Vec::new(),
        signal_names: UniqueNames::default(),
        rule_names: UniqueNames::default(),
        rules: String::new(),
        dropped: BTreeMap::new(),
        report: ImportReport { records: rules.records.len(), ..ImportReport::default() },
    };
    for alert in &rules.alerts {
        if let Err(flaws) = import.alert(alert) {
            import.refuse(alert, flaws);
        }
    }
    Ok(import.finish())
}

/// A signal that a rule uses, and the name that it was given.
struct Used {
    name: String,
    signal: ImportedSignal,
    from: Spot,
}

struct Import<'a> {
    options: &'a Options,
    records: Records<'a>,
    files: Vec<&'a str>,
    signals: Vec<Used>,
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
        FilePlace { file, line: spot.line, column: spot.column }
    }

    fn refuse(&mut self, alert: &AlertingRule, mut flaws: Vec<Flaw>) {
        flaws.dedup();
        self.report.refused += 1;
        for Flaw { spot, why, instead } in flaws {
            let (alert, place) = (alert.name.clone(), self.place(spot));
            self.report.misfits.push(Misfit { alert, place, spot, why, instead });
        }
    }

    /// Imports an alert, or says everything that cannot be converted.
    fn alert(&mut self, alert: &AlertingRule) -> Result<(), Vec<Flaw>> {
        let mut expr = parse(&alert.expr).map_err(|error| {
            let instead = "mend the expression; `promtool check rules` reads it as well";
            vec![Flaw::new(error.spot, error.why, instead)]
        })?;
        let inlined = self.records.inline(&mut expr).map_err(|flaw| vec![flaw])?;
        let mut converted = convert(&expr, self.options)?;
        if !inlined.is_empty() {
            let note = format!("recorded series replaced by what they say: {}", inlined.join(", "));
            converted.notes.insert(0, note);
        }
        let (hold, keep) = (span_of(&alert.hold)?, span_of(&alert.keep)?);
        let severity = severity(alert, &mut converted.notes);
        notes(alert, hold, &mut converted);
        let section = RuleSection { alert, converted: &converted, severity, hold, keep };
        section.accepted()?;
        let names = self.name_signals(&converted, alert);
        let candidates = rule_names(&alert.name, alert.label("severity"));
        let rule = self.rule_names.take(&candidates, '-');
        self.rules += &self.origin(alert, &converted.notes);
        self.rules += &section.table(&rule, &names).to_string();
        for (label, times) in converted.dropped {
            *self.dropped.entry(label).or_default() += times;
        }
        let place = self.place(alert.spot);
        let (alert, spot, notes) = (alert.name.clone(), alert.spot, converted.notes);
        self.report.kept.push(ImportedAlert { alert, rule, place, spot, notes });
        Ok(())
    }

    /// The names of the signals that are used. A signal that is not used has none.
    fn name_signals(&mut self, converted: &Converted, alert: &AlertingRule) -> Vec<String> {
        let mut used = signals_of(&converted.when);
        used.extend(converted.given.iter().flat_map(signals_of));
        let mut names = vec![String::new(); converted.signals.len()];
        for ix in used {
            let signal = &converted.signals[ix.0];
            let known = self.signals.iter().find(|used| used.signal == *signal);
            names[ix.0] = known.map(|used| used.name.clone()).unwrap_or_else(|| {
                let name = self.signal_names.take(&signal_names(signal), '_');
                let (from, signal) = (alert.spot, signal.clone());
                self.signals.push(Used { name: name.clone(), signal, from });
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
        self.report.dropped = dropped.collect();
        let mut toml = head(&self.files, &self.report.dropped);
        for Used { name, signal, from } in &self.signals {
            let FilePlace { file, line, .. } = self.place(*from);
            toml += &format!("\n{}", comment(&format!("{file}:{line}"), WIDTH));
            toml += &signal_table(&NamedSignal { name, signal }).to_string();
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
    converted: &'b Converted,
    severity: Severity,
    hold: Duration,
    keep: Duration,
}

impl RuleSection<'_> {
    fn table(&self, name: &str, names: &[String]) -> Table {
        let Self { alert, converted, .. } = self;
        let signals = names.iter().zip(&converted.signals);
        let signals: Vec<_> = signals.map(|(name, signal)| NamedSignal { name, signal }).collect();
        let annotation = |names: &[&str]| {
            let found = names.iter().find_map(|name| alert.annotation(name));
            found.map(plain).filter(|text| !text.is_empty())
        };
        let owner = ["team", "owner"].iter().find_map(|name| alert.label(name));
        let span = |span: Duration| (!span.is_zero()).then(|| format_duration(span));
        let warning = (self.severity == Severity::Warning).then_some("warning");
        Table::new(format!("rule.{name}"))
            .optional("description", annotation(&["summary", "description", "message"]))
            .text("when", &condition(&converted.when, &signals))
            .optional("given", converted.given.as_ref().map(|given| condition(given, &signals)))
            .optional("for", span(self.hold))
            .optional("keep_firing_for", span(self.keep))
            .optional("severity", warning)
            .optional("runbook", annotation(&["runbook_url", "runbook"]))
            .optional("owner", owner.map(plain).filter(|text| !text.is_empty()))
    }

    /// Whether rollguard accepts the rule: what cannot be loaded must not be written.
    fn accepted(&self) -> Result<(), Vec<Flaw>> {
        let (alert, signals) = (self.alert, &self.converted.signals);
        let names: Vec<String> = (0..signals.len()).map(|at| format!("s{at}")).collect();
        let named = names.iter().zip(signals).map(|(name, signal)| NamedSignal { name, signal });
        let mut text: String = named.map(|named| signal_table(&named).to_string()).collect();
        text += &self.table("r", &names).to_string();
        let checked = check_rules(&[SourceFile { path: String::new(), text }]);
        checked.map(|_| ()).map_err(|found| {
            let first = found.iter().next().map(|wrong| wrong.message.clone());
            let why = first.unwrap_or_else(|| "the rule cannot be read".to_owned());
            let spot = alert.expr.spots.first().copied().unwrap_or(alert.spot);
            let several = signals.len() > 1;
            let split = "split the alert, or write the rule by hand";
            vec![Flaw::new(spot, why, if several { split } else { "write the rule by hand" })]
        })
    }
}

/// What is not converted of an alert beside its expression.
fn notes(alert: &AlertingRule, hold: Duration, converted: &mut Converted) {
    for key in &alert.unknown_keys {
        let key: String = key.chars().take(40).collect();
        converted.notes.push(format!("left out, not a key of alerts: {}", key.escape_debug()));
    }
    if converted.in_turn && !hold.is_zero() {
        let note = "`for` was about one series; here several may make it hold in turn";
        converted.notes.push(note.to_owned());
    }
    if alert.annotations.iter().any(|(_, text)| text.contains("{{")) {
        converted.notes.push("templates of annotations became `…`".to_owned());
    }
}

/// What is not known to be critical does not roll back.
fn severity(alert: &AlertingRule, notes: &mut Vec<String>) -> Severity {
    let Some(written) = alert.label("severity") else {
        let note = "no severity: a warning, which never rolls back; delete `severity` to change it";
        notes.push(note.to_owned());
        return Severity::Warning;
    };
    match written.trim().to_ascii_lowercase().as_str() {
        "critical" | "page" | "crit" | "error" | "emergency" | "fatal" => Severity::Critical,
        "warning" | "warn" => Severity::Warning,
        _ => {
            let written: String = written.chars().take(40).collect();
            notes.push(format!("severity `{}` became warning", written.escape_debug()));
            Severity::Warning
        }
    }
}

/// The time that `for` or `keep_firing_for` says; zero where it is absent.
fn span_of(written: &Option<(String, Spot)>) -> Result<Duration, Vec<Flaw>> {
    let Some((text, spot)) = written else { return Ok(Duration::ZERO) };
    duration(text).filter(|duration| *duration <= MAX_DURATION).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        let why = format!("`{}` is not a duration up to a year", text.escape_debug());
        vec![Flaw::new(*spot, why, "write one like 5m")]
    })
}

/// A text without templates, on one line.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("{{") {
        out.push_str(before);
        out.push('…');
        rest = inside.split_once("}}").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let words: Vec<&str> = out.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() <= MAX_DESCRIPTION {
        return line;
    }
    line.chars().take(MAX_DESCRIPTION - 1).collect::<String>() + "…"
}
