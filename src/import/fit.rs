//! An alert's expression fitted to signals and a condition. This file is the frame: what is
//! collected on the way, and how labels on both sides of an operator must agree. `measure` fits
//! numbers, `compare` fits conditions.

use std::collections::BTreeMap;

use crate::config::{SourceFile, check_rules};
use crate::model::condition::{Cond, Num};
use crate::model::index::SignalIx;

use super::ast::{Expr, Matcher, Selector};
use super::place::Spot;
use super::prometheus::Options;
use super::signal::{Kind, Signal};

/// A part that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) spot: Spot,
    pub(super) why: String,
    pub(super) instead: String,
}

/// Which labels tell the values of an expression apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A constant.
    Scalar,
    /// These; none where everything was put together.
    Labels(Vec<String>),
    /// All that the series have.
    Series,
    /// It does not matter any more: a condition that holds for any one series.
    Any,
}

/// A number and what tells its values apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measure {
    pub(super) num: Num,
    pub(super) shape: Shape,
}

/// What an alert becomes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    pub(super) signals: Vec<Signal>,
    pub(super) when: Cond,
    pub(super) given: Option<Cond>,
    pub(super) notes: Vec<String>,
    /// Labels whose matchers were left out, and how often.
    pub(super) dropped: BTreeMap<String, usize>,
    /// Whether several series or groups can make it hold in turn.
    pub(super) in_turn: bool,
}

/// What is collected while an expression is fitted.
pub(super) struct Fitter<'o> {
    pub(super) options: &'o Options,
    pub(super) signals: Vec<Signal>,
    /// Signals that mean one series and would add up several.
    pub(super) singles: Vec<SignalIx>,
    pub(super) flaws: Vec<Flaw>,
    pub(super) notes: Vec<String>,
    pub(super) dropped: BTreeMap<String, usize>,
    /// Whether a condition over any one series became one over their extreme.
    pub(super) extremes: bool,
    /// Selectors as they are on a page, their target, and what was left out of them.
    left_out: Vec<(Selector, Option<String>, Vec<Matcher>)>,
}

/// Fits an expression, or says everything that does not fit.
pub(super) fn fit(expr: &Expr, options: &Options) -> Result<Fitted, Vec<Flaw>> {
    let mut fitter = Fitter {
        options,
        signals: Vec::new(),
        singles: Vec::new(),
        flaws: Vec::new(),
        notes: Vec::new(),
        dropped: BTreeMap::new(),
        extremes: false,
        left_out: Vec::new(),
    };
    let fitted = fitter.condition(expr, super::compare::Stands::Alone);
    let Some((when, _)) = fitted.filter(|_| fitter.flaws.is_empty()) else {
        return Err(fitter.flaws);
    };
    let given = fitter.given(&when, expr.spot);
    if !fitter.flaws.is_empty() {
        return Err(fitter.flaws);
    }
    fitter.notes.dedup();
    let Fitter { signals, notes, dropped, extremes, .. } = fitter;
    let in_turn = extremes || signals.iter().any(|signal| !signal.by.is_empty());
    Ok(Fitted { signals, when, given, notes, dropped, in_turn })
}

impl Fitter<'_> {
    /// Reports what does not fit.
    pub(super) fn flaw<T>(
        &mut self,
        spot: Spot,
        why: impl Into<String>,
        instead: impl Into<String>,
    ) -> Option<T> {
        self.flaws.push(Flaw { spot, why: why.into(), instead: instead.into() });
        None
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The signal's place; equal ones are one.
    pub(super) fn add(&mut self, signal: Signal) -> SignalIx {
        if let Some(place) = self.signals.iter().position(|known| *known == signal) {
            return SignalIx(place);
        }
        self.signals.push(signal);
        SignalIx(self.signals.len() - 1)
    }

    pub(super) fn kind(&self, ix: SignalIx) -> &Kind {
        &self.signals[ix.0].kind
    }

    /// A signal over selectors, which lose what is not on a page.
    pub(super) fn signal(
        &mut self,
        spot: Spot,
        of: &Selector,
        labels: &[String],
        kind: impl FnOnce(Selector) -> Kind,
    ) -> Option<SignalIx> {
        let (of, target) = self.on_page(spot, of)?;
        let by = self.by(labels);
        Some(self.add(Signal { kind: kind(of), by, target }))
    }

    /// The selector as it can match on a page, and the one target that it was restricted to.
    fn on_page(&mut self, spot: Spot, of: &Selector) -> Option<(Selector, Option<String>)> {
        if of.metric.is_empty() {
            let why = "a selector that names no metric";
            return self.flaw(spot, why, "write one alert for each metric");
        }
        let mut left_out = Vec::new();
        let mut kept = Selector { metric: of.metric.clone(), matchers: Vec::new() };
        let mut target = None;
        for matcher in &of.matchers {
            if matcher.label == "__name__" {
                let why = "several metrics are selected by `__name__`";
                return self.flaw(spot, why, "write one alert for each metric");
            }
            if !self.options.drop_labels.contains(&matcher.label) {
                kept.matchers.push(matcher.clone());
                continue;
            }
            left_out.push(matcher.clone());
            let job = (matcher.label == "job" && matcher.op == "=").then_some(&*matcher.value);
            if let Some(found) = job.and_then(|job| self.options.target_of(Some(job))) {
                target = Some(found.to_owned());
                continue;
            }
            *self.dropped.entry(matcher.label.clone()).or_default() += 1;
            let written = format!("{}{}\"{}\"", matcher.label, matcher.op, matcher.value);
            self.note(format!("left out, not on the page: {written}"));
        }
        self.readable(spot, &kept)?;
        let known = self.left_out.iter().find(|known| known.0 == kept && known.1 == target);
        if known.is_some_and(|known| known.2 != left_out) {
            let why = "two of its selectors differ only by labels that a page does not have";
            return self.flaw(spot, why, "name their targets with --target JOB=TARGET");
        }
        self.left_out.push((kept.clone(), target.clone(), left_out));
        Some((kept, target))
    }

    /// Whether our own selectors are the same: regular expressions are not quite.
    fn readable(&mut self, spot: Spot, selector: &Selector) -> Option<()> {
        let text = super::write::string(&selector.to_string());
        let text = format!("[signal.s]\ngauge = {text}\n");
        let Err(wrong) = check_rules(&[SourceFile { path: String::new(), text }]) else {
            return Some(());
        };
        let why = wrong.iter().next().map(|wrong| match &wrong.label {
            Some(label) => format!("{}: {label}", wrong.message),
            None => wrong.message.clone(),
        });
        let why = why.unwrap_or_else(|| "the selector cannot be read".to_owned());
        // What a regular expression's error draws below the text does not fit a line.
        let why = why.lines().last().unwrap_or_default().to_owned();
        self.flaw(spot, why, "select the same with `=`, `!=` or a plainer expression")
    }

    /// The labels that a page has. An instance of Prometheus is a target here.
    fn by(&mut self, labels: &[String]) -> Vec<String> {
        let mut by = Vec::new();
        for label in labels {
            if !self.options.drop_labels.contains(label) {
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
    pub(super) fn agree(&mut self, spot: Spot, left: Shape, right: Shape) -> Option<Shape> {
        match (left, right) {
            (Shape::Scalar, other) | (other, Shape::Scalar) => Some(other),
            (Shape::Any, other) | (other, Shape::Any) => Some(other),
            (left, right) if left == right => Some(left),
            (left, right) => {
                let why = format!(
                    "its sides have different labels, {} and {}, so Prometheus finds no pair",
                    left.described(),
                    right.described()
                );
                self.flaw(spot, why, "aggregate both sides by the same labels")
            }
        }
    }
}

impl Shape {
    pub(super) fn described(&self) -> String {
        match self {
            Self::Scalar | Self::Any => "any".to_owned(),
            Self::Series => "all of the series".to_owned(),
            Self::Labels(labels) if labels.is_empty() => "none".to_owned(),
            Self::Labels(labels) => labels.join(", "),
        }
    }

    /// The labels of a group.
    pub(super) fn labels(&self) -> &[String] {
        match self {
            Self::Labels(labels) => labels,
            Self::Scalar | Self::Series | Self::Any => &[],
        }
    }
}
