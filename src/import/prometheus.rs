//! Alerting rules of Prometheus: from files to rules, and what became of each alert.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Diagnostics, SourceFile, check_rules};
use crate::model::time::{MAX_DURATION, format_duration};

use super::alert::{Alert, Rules, duration};
use super::fit::{Fitted, Flaw, fit};
use super::floor::signals_of;
use super::inline::Records;
use super::names::{Taken, rule_names, signal_names};
use super::output::{Imported, Kept, Misfit, Report};
use super::parser::parse;
use super::place::Spot;
use super::signal::Signal;
use super::write::{self, Named};
use super::yaml::YamlError;

/// The longest description; more does not fit a line of the status.
const MAX_DESCRIPTION: usize = 300;

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its path, as it is shown.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Which target a job of Prometheus is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOf {
    /// The job; `None` is any.
    pub job: Option<String>,
    /// The target's name.
    pub target: String,
}

/// How alerts are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Labels that Prometheus adds and no page has.
    pub drop_labels: Vec<String>,
    /// Which target a job is.
    pub targets: Vec<TargetOf>,
}

impl Options {
    /// The target of a job; of any job where none is named.
    pub(super) fn target_of(&self, job: Option<&str>) -> Option<&str> {
        let named = self.targets.iter().find(|of| job.is_some() && of.job.as_deref() == job);
        let any = || self.targets.iter().find(|of| of.job.is_none());
        named.or_else(any).map(|of| of.target.as_str())
    }
}

/// Turns the alerts of some files into rules.
///
/// # Errors
/// The first file that is not one of rules, and where.
pub fn prometheus(files: &[Input], options: &Options) -> Result<Imported, YamlError> {
    let mut rules = Rules::default();
    for (place, file) in files.iter().enumerate() {
        rules.read(place, &file.text)?;
    }
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let mut import = Import::new(options, &paths);
    let records = Records::new(&rules.records);
    for alert in &rules.alerts {
        if let Err(flaws) = import.alert(alert, &records) {
            import.refuse(alert, flaws);
        }
    }
    import.report.records = rules.records.len();
    Ok(import.finish())
}

/// A signal that is used, and the name that it was given.
struct Used {
    name: String,
    signal: Signal,
    from: Spot,
}

struct Import<'a> {
    options: &'a Options,
    signals: Vec<Used>,
    signal_names: Taken,
    rule_names: Taken,
    rules: String,
    dropped: BTreeMap<String, usize>,
    report: Report,
}

impl<'a> Import<'a> {
    fn new(options: &'a Options, paths: &[String]) -> Self {
        Self {
            options,
            signals: Vec::new(),
            signal_names: Taken::default(),
            rule_names: Taken::default(),
            rules: String::new(),
            dropped: BTreeMap::new(),
            report: Report { files: paths.to_vec(), ..Report::default() },
        }
    }

    fn refuse(&mut self, alert: &Alert, mut flaws: Vec<Flaw>) {
        flaws.dedup();
        self.report.refused += 1;
        let misfits = flaws.into_iter().map(|Flaw { spot, why, instead }| Misfit {
            alert: alert.name.clone(),
            spot,
            why,
            instead,
        });
        self.report.misfits.extend(misfits);
    }

    fn alert(&mut self, alert: &Alert, records: &Records<'_>) -> Result<(), Vec<Flaw>> {
        let expr = parse(&alert.expr).map_err(|error| {
            let instead = "mend the expression; `promtool check rules` reads it as well".to_owned();
            vec![Flaw { spot: error.spot, why: error.why, instead }]
        })?;
        let (expr, inlined) = records.inline(expr).map_err(|stuck| {
            vec![Flaw { spot: stuck.spot, why: stuck.why, instead: stuck.instead }]
        })?;
        let mut fitted = fit(&expr, self.options)?;
        if !inlined.is_empty() {
            let names = inlined.join(", ");
            fitted.notes.insert(0, format!("recorded series replaced by what they say: {names}"));
        }
        let hold = held(&alert.hold)?;
        let keep = held(&alert.keep)?;
        self.take(alert, fitted, hold, keep)
    }

    /// Takes what fits, unless our own reading of it fails.
    fn take(
        &mut self,
        alert: &Alert,
        mut fitted: Fitted,
        hold: Duration,
        keep: Duration,
    ) -> Result<(), Vec<Flaw>> {
        let severity = severity(alert, &mut fitted.notes);
        let unknown = alert.unknown.iter().map(|(key, _)| {
            let key: String = key.chars().take(40).collect();
            format!("left out, not a key of alerts: {}", key.escape_debug())
        });
        fitted.notes.extend(unknown);
        if fitted.in_turn && !hold.is_zero() {
            let note = "`for` was about one series; here several may make it hold in turn";
            fitted.notes.push(note.to_owned());
        }
        if alert.annotations.iter().any(|(_, text)| text.contains("{{")) {
            fitted.notes.push("templates of annotations became `…`".to_owned());
        }
        let text = self.section(alert, &fitted, severity, hold, keep);
        self.accepted(&text, &fitted, alert)?;
        let names = self.name_signals(&fitted, alert);
        let written = label(alert, "severity");
        let name = self.rule_names.take(&rule_names(&alert.name, written), '-');
        self.rules.push_str(&self.block(alert, &fitted.notes));
        let section = Body { fitted: &fitted, names: &names, severity, hold, keep };
        self.rules.push_str(&section.write(&name, alert));
        for (label, times) in fitted.dropped {
            *self.dropped.entry(label).or_default() += times;
        }
        self.report.kept.push(Kept {
            alert: alert.name.clone(),
            rule: name,
            spot: alert.spot,
            notes: fitted.notes,
        });
        Ok(())
    }

    /// The rule by itself, with its signals numbered.
    fn section(
        &self,
        alert: &Alert,
        fitted: &Fitted,
        severity: Severity,
        hold: Duration,
        keep: Duration,
    ) -> String {
        let names: Vec<String> = (0..fitted.signals.len()).map(|at| format!("s{at}")).collect();
        let mut text = String::new();
        for (name, signal) in names.iter().zip(&fitted.signals) {
            write::signal(&mut text, name, signal);
        }
        let body = Body { fitted, names: &names, severity, hold, keep };
        text + &body.write("r", alert)
    }

    /// Whether our own configuration accepts it: what cannot be loaded must not be written.
    fn accepted(&self, text: &str, fitted: &Fitted, alert: &Alert) -> Result<(), Vec<Flaw>> {
        let file = SourceFile { path: String::new(), text: text.to_owned() };
        let wrong = |found: Diagnostics| {
            let first = found.iter().next().map(|wrong| wrong.message.clone());
            let why = first.unwrap_or_else(|| "the rule cannot be read".to_owned());
            let spot = alert.expr.spots.first().copied().unwrap_or(alert.spot);
            let instead = match fitted.signals.len() {
                0 | 1 => "write the rule by hand",
                _ => "split the alert, or write the rule by hand",
            };
            vec![Flaw { spot, why, instead: instead.to_owned() }]
        };
        check_rules(&[file]).map(|_| ()).map_err(wrong)
    }

    /// The names of the signals that are used; the others keep a place.
    fn name_signals(&mut self, fitted: &Fitted, alert: &Alert) -> Vec<String> {
        let mut used = signals_of(&fitted.when);
        used.extend(fitted.given.iter().flat_map(signals_of));
        let mut names = vec![String::new(); fitted.signals.len()];
        for ix in used {
            let signal = &fitted.signals[ix.0];
            names[ix.0] = match self.signals.iter().find(|used| used.signal == *signal) {
                Some(used) => used.name.clone(),
                None => {
                    let name = self.signal_names.take(&signal_names(signal), '_');
                    let (name, signal) = (name, signal.clone());
                    self.signals.push(Used { name: name.clone(), signal, from: alert.spot });
                    name
                }
            };
        }
        names
    }

    fn place(&self, spot: Spot) -> String {
        format!("{}:{}", self.report.files[spot.file], spot.line)
    }

    /// The comments above a rule.
    fn block(&self, alert: &Alert, notes: &[String]) -> String {
        let mut out = String::from("\n");
        let group =
            if alert.group.is_empty() { String::new() } else { format!(", group {}", alert.group) };
        write::comment(&mut out, "", &format!("{}: {}{group}", self.place(alert.spot), alert.name));
        for (at, line) in alert.expr.text.lines().filter(|l| !l.trim().is_empty()).enumerate() {
            write::comment(&mut out, if at == 0 { "  expr: " } else { "        " }, line);
        }
        for note in notes {
            write::comment(&mut out, "  note: ", note);
        }
        out
    }

    fn finish(mut self) -> Imported {
        self.report.dropped = self.dropped.clone().into_iter().collect();
        let mut toml = String::new();
        head(&mut toml, &self.report);
        for Used { name, signal, from } in &self.signals {
            toml.push('\n');
            write::comment(&mut toml, "", &self.place(*from));
            write::signal(&mut toml, name, signal);
        }
        toml.push_str(&self.rules);
        Imported { toml, report: self.report }
    }
}

/// What a file of imported rules says first.
fn head(out: &mut String, report: &Report) {
    write::comment(out, "", &format!("Imported from {}.", report.files.join(", ")));
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
    out.push_str(WHAT_DIFFERS);
    for (label, times) in &report.dropped {
        let what = format!(
            "Matchers of `{label}` were left out {times}×: Prometheus adds it, a page does not \
             have it. Restrict signals with `target` where several targets have the metric."
        );
        out.push_str("#\n");
        write::comment(out, "", &what);
    }
}

/// A rule without its comments.
struct Body<'b> {
    fitted: &'b Fitted,
    names: &'b [String],
    severity: Severity,
    hold: Duration,
    keep: Duration,
}

impl Body<'_> {
    fn write(&self, name: &str, alert: &Alert) -> String {
        let named: Vec<_> = self
            .names
            .iter()
            .zip(&self.fitted.signals)
            .map(|(name, signal)| Named { name, signal })
            .collect();
        let annotation = |names: &[&str]| {
            let found = names.iter().find_map(|name| find(&alert.annotations, name));
            found.map(plain).filter(|text| !text.is_empty())
        };
        let mut keys: Vec<(&str, String)> = Vec::new();
        let mut text = |key, value: Option<String>| {
            keys.extend(value.map(|value| (key, write::string(&value))));
        };
        text("description", annotation(&["summary", "description", "message"]));
        text("when", Some(write::condition(&self.fitted.when, &named)));
        text("given", self.fitted.given.as_ref().map(|given| write::condition(given, &named)));
        let span = |span: Duration| (!span.is_zero()).then(|| format_duration(span));
        text("for", span(self.hold));
        text("keep_firing_for", span(self.keep));
        text("severity", (self.severity == Severity::Warning).then(|| "warning".to_owned()));
        text("runbook", annotation(&["runbook_url", "runbook"]));
        let owner = ["team", "owner"].iter().find_map(|name| label(alert, name));
        text("owner", owner.map(plain).filter(|text| !text.is_empty()));
        let mut out = format!("[rule.{name}]\n");
        write::entries(&mut out, &keys);
        out
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Severity {
    Critical,
    Warning,
}

fn find<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn label<'l>(alert: &'l Alert, name: &str) -> Option<&'l str> {
    find(&alert.labels, name)
}

/// What is not known to be critical does not roll back.
fn severity(alert: &Alert, notes: &mut Vec<String>) -> Severity {
    let Some(written) = label(alert, "severity") else {
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

fn held(written: &Option<(String, Spot)>) -> Result<Duration, Vec<Flaw>> {
    let Some((text, spot)) = written else { return Ok(Duration::ZERO) };
    duration(text).filter(|duration| *duration <= MAX_DURATION).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        let why = format!("`{}` is not a duration up to a year", text.escape_debug());
        vec![Flaw { spot: *spot, why, instead: "write one like 5m".to_owned() }]
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
    let mut line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() > MAX_DESCRIPTION {
        line = line.chars().take(MAX_DESCRIPTION - 1).collect::<String>() + "…";
    }
    line
}
