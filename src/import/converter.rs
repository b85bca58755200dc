//! What is collected while the expression of an alert is converted, and how the labels of both
//! sides of an operator must agree. `conditions` converts conditions, `numbers` and `functions`
//! convert numbers, `evidence_floor` derives `given`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::promql::{Expr, SeriesSelector};
use super::signal::{ImportedKind, ImportedSignal};
use super::spot::{Flaw, Spot};
use crate::config::{Diagnostic, SourceFile, check_rules};
use crate::model::condition::{Cond, Num};
use crate::model::index::SignalIx;
use crate::toml_text::{MatcherText, string};

/// Which target a job of Prometheus is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOf {
    /// The job; `None` stands for every job.
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

    /// Whether Prometheus adds the label, so that no page has it.
    pub(super) fn drops(&self, label: &str) -> bool {
        self.drop_labels.iter().any(|dropped| dropped == label)
    }
}

/// Which labels tell the values of an expression apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueLabels {
    /// It is a constant.
    Constant,
    /// These; none where everything was put together.
    Only(Vec<String>),
    /// All that the series have.
    Every,
    /// They do not matter any more: a condition that holds for any one series.
    Any,
}

/// A number and what tells its values apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) num: Num,
    pub(super) labels: ValueLabels,
}

/// What is collected while an expression is converted.
#[derive(Default)]
pub(super) struct Converter {
    pub(super) options: Options,
    pub(super) signals: Vec<ImportedSignal>,
    /// Signals that mean one series and would add up several.
    pub(super) singles: Vec<SignalIx>,
    pub(super) flaws: Vec<Flaw>,
    pub(super) notes: Vec<String>,
    /// Labels whose matchers were left out, and how often.
    pub(super) dropped: BTreeMap<String, usize>,
    /// Whether a condition over any one series became one over their extreme.
    pub(super) extremes: bool,
    /// Whether an `or` joins conditions.
    pub(super) any_of: bool,
    /// Selectors as they are on a page, their target, and what was left out of them.
    left_out: Vec<(SeriesSelector, Option<String>, Vec<MatcherText>)>,
}

/// Converts an expression to `when` and `given`, or says everything that cannot be converted.
pub(super) fn convert(
    expr: &Expr,
    options: &Options,
) -> Result<(Cond, Option<Cond>, Converter), Vec<Flaw>> {
    let mut converter = Converter { options: options.clone(), ..Converter::default() };
    let when = converter.condition(expr, true).filter(|_| converter.flaws.is_empty());
    let Some((when, _)) = when else { return Err(converter.flaws) };
    let given = converter.given(&when, expr.spot);
    if converter.flaws.is_empty() { Ok((when, given, converter)) } else { Err(converter.flaws) }
}

/// What rollguard says first against a text of rules, where it does not accept it.
pub(super) fn objection(text: String) -> Option<Diagnostic> {
    let checked = check_rules(&[SourceFile { path: String::new(), text }]);
    checked.err()?.iter().next().cloned()
}

impl Converter {
    /// Reports what cannot be converted.
    pub(super) fn flaw<T>(
        &mut self,
        spot: Spot,
        why: impl Into<String>,
        instead: impl Into<String>,
    ) -> Option<T> {
        self.flaws.push(Flaw::new(spot, why, instead));
        None
    }

    /// Notes what is not the same as it was.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The signal's index; equal signals are one.
    pub(super) fn add(&mut self, signal: ImportedSignal) -> SignalIx {
        let known = self.signals.iter().position(|known| *known == signal);
        SignalIx(known.unwrap_or_else(|| {
            self.signals.push(signal);
            self.signals.len() - 1
        }))
    }

    pub(super) fn kind(&self, ix: SignalIx) -> &ImportedKind {
        &self.signals[ix.0].kind
    }

    /// Adds the same signal of another kind.
    pub(super) fn add_like(&mut self, ix: SignalIx, kind: ImportedKind) -> SignalIx {
        let signal = ImportedSignal { kind, ..self.signals[ix.0].clone() };
        self.add(signal)
    }

    /// The reading of a selector by these labels. Without any it means one series: counters are
    /// added up, so that there must be only one, and of a gauge only one may match.
    pub(super) fn reading(
        &mut self,
        spot: Spot,
        of: &SeriesSelector,
        by: Option<&[String]>,
        kind: ImportedKind,
        window: Option<Duration>,
    ) -> Option<Number> {
        let adds_up = !matches!(kind, ImportedKind::Gauge { .. });
        let ix = self.signal(spot, of, by.unwrap_or_default(), kind, window)?;
        if by.is_none() && adds_up {
            self.singles.push(ix);
        }
        let labels = by.map_or(ValueLabels::Every, |labels| ValueLabels::Only(labels.to_vec()));
        Some(Number { num: Num::Signal(ix), labels })
    }

    /// A signal over a selector, which loses what is not on a page; one job may be a target.
    pub(super) fn signal(
        &mut self,
        spot: Spot,
        of: &SeriesSelector,
        labels: &[String],
        kind: ImportedKind,
        window: Option<Duration>,
    ) -> Option<SignalIx> {
        const ONE_EACH: &str = "write one alert for each metric";
        if of.metric.is_empty() {
            return self.flaw(spot, "a selector that names no metric", ONE_EACH);
        }
        if of.matchers.iter().any(|matcher| matcher.label == "__name__") {
            return self.flaw(spot, "several metrics are selected by `__name__`", ONE_EACH);
        }
        let (left_out, matchers): (Vec<_>, Vec<_>) =
            of.matchers.iter().cloned().partition(|matcher| self.options.drops(&matcher.label));
        let mut target = None;
        for MatcherText { label, op, value } in &left_out {
            if (label.as_str(), *op) == ("job", "=")
                && let Some(found) = self.options.target_of(Some(value))
            {
                target = Some(found.to_owned());
                continue;
            }
            *self.dropped.entry(label.clone()).or_default() += 1;
            self.note(format!("left out, not on the page: {label}{op}\"{value}\""));
        }
        let kept = SeriesSelector { metric: of.metric.clone(), matchers };
        self.readable(spot, &kept)?;
        let known = self.left_out.iter().find(|known| known.0 == kept && known.1 == target);
        if known.is_some_and(|known| known.2 != left_out) {
            let why = "two of its selectors differ only by labels that a page does not have";
            return self.flaw(spot, why, "name their targets with --target JOB=TARGET");
        }
        self.left_out.push((kept.clone(), target.clone(), left_out));
        let by = self.by(labels);
        Some(self.add(ImportedSignal { kind, of: kept, window, by, target }))
    }

    /// Checks that rollguard reads the selector: its regular expressions are not quite the same.
    fn readable(&mut self, spot: Spot, selector: &SeriesSelector) -> Option<()> {
        let text = format!("[signal.s]\ngauge = {}\n", string(&selector.text()));
        let Some(Diagnostic { message, label, .. }) = objection(text) else { return Some(()) };
        let why = label.map_or(message.clone(), |label| format!("{message}: {label}"));
        // What a regular expression's error draws below the text does not fit a line.
        let why = why.lines().last().unwrap_or_default();
        self.flaw(spot, why, "select the same with `=`, `!=` or a plainer expression")
    }

    /// The labels that a page has. An instance of Prometheus is a target here.
    fn by(&mut self, labels: &[String]) -> Vec<String> {
        let mut by = Vec::new();
        for label in labels {
            if !self.options.drops(label) {
                by.push(label.clone());
            } else if label == "instance" {
                by.push("target".to_owned());
                self.note("`instance` is `target` here: one target is one instance");
            } else {
                self.note(format!("all values of `{label}` are put together, it is not on a page"));
            }
        }
        by.sort_unstable();
        by
    }

    /// What both sides of an operator have in common.
    pub(super) fn agree(
        &mut self,
        spot: Spot,
        a: ValueLabels,
        b: ValueLabels,
    ) -> Option<ValueLabels> {
        use ValueLabels::{Any, Constant};
        match (a, b) {
            (Constant, other) | (other, Constant) | (Any, other) | (other, Any) => Some(other),
            (a, b) if a == b => Some(a),
            (a, b) => {
                let why = format!(
                    "its sides have different labels, {} and {}",
                    a.described(),
                    b.described()
                );
                let why = why + ", so Prometheus finds no pair";
                self.flaw(spot, why, "aggregate both sides by the same labels")
            }
        }
    }
}

impl ValueLabels {
    fn described(&self) -> String {
        match self {
            Self::Constant | Self::Any => "any".to_owned(),
            Self::Every => "all of the series".to_owned(),
            Self::Only(labels) if labels.is_empty() => "none".to_owned(),
            Self::Only(labels) => labels.join(", "),
        }
    }

    /// Whether it is one value, or several that no label of a group tells apart.
    pub(super) fn is_ungrouped(&self) -> bool {
        !matches!(self, Self::Only(labels) if !labels.is_empty())
    }
}
