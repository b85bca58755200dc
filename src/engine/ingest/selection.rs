//! Which series of a target concern which signals, and as what. Decided once for each new series,
//! never again while it lives.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::group::Group;
use crate::model::index::SignalIx;
use crate::model::live::LiveSource;
use crate::model::plan::Plan;
use crate::model::reading::NoData;
use crate::model::selector::Selector;
use crate::model::signal::{Selection, Shape, SignalKind};
use crate::model::target::Target;

use super::accumulator::{Accumulator, AccumulatorIx, Accumulators, Contribution};

/// The metric that tells when a target's process started.
pub(crate) const START_TIME: &str = "process_start_time_seconds";

/// One selector of one accumulator.
#[derive(Clone, Debug)]
struct SelectorInput {
    accumulator: AccumulatorIx,
    what: Input,
    selector: Selector,
    by: Arc<[String]>,
}

/// What the series that a selector matches contribute.
#[derive(Clone, Copy, Debug)]
struct Input {
    /// A bucket's bound is only known by its label.
    contribution: Contribution,
    /// They are a summary's own quantile.
    quantile: Option<f64>,
}

/// What is selected on one target, and what the signals have accumulated of it.
#[derive(Clone, Debug)]
pub(crate) struct Selections {
    target: Target,
    by_metric: HashMap<String, Vec<SelectorInput>>,
    accumulators: Accumulators,
}

/// An accumulator that a series adds to, and as what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Destination {
    pub(crate) accumulator: AccumulatorIx,
    pub(crate) contribution: Contribution,
}

impl Selections {
    /// What the plan's signals select on a target, and an empty accumulator for each signal that
    /// may find something there.
    pub(crate) fn new(plan: &Plan, target: &Target) -> Self {
        let (target, accumulators) = (target.clone(), Accumulators::default());
        let mut all = Self { target, by_metric: HashMap::new(), accumulators };
        for (index, signal) in plan.signals.iter().enumerate() {
            if !signal.kind.selections().any(|selection| selection.selector.may_match(&all.target))
            {
                continue;
            }
            let inputs = inputs(&signal.kind);
            let is_column =
                |(_, input): &&(_, Input)| matches!(input.contribution, Contribution::Counter(_));
            let columns = inputs.iter().filter(is_column).count();
            let stale = signal.stale.unwrap_or_else(|| all.target.stale());
            let window = signal.kind.window();
            let own = Accumulator::new(SignalIx(index), window, stale, columns);
            let accumulator = all.accumulators.add(own);
            let by: Arc<[String]> = signal.by.clone().into();
            for (selector, what) in inputs {
                let inputs = all.by_metric.entry(selector.metric.clone()).or_default();
                inputs.push(SelectorInput { accumulator, what, selector, by: by.clone() });
            }
        }
        all
    }

    /// The target.
    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// What was accumulated for the signals.
    pub(crate) const fn accumulators(&self) -> &Accumulators {
        &self.accumulators
    }

    /// The same, to be changed.
    pub(crate) const fn accumulators_mut(&mut self) -> &mut Accumulators {
        &mut self.accumulators
    }

    /// Where a series of this metric with these labels adds to. Makes the accumulators of groups
    /// that it is the first series of.
    pub(crate) fn destinations<'a>(
        &mut self,
        metric: &str,
        label: impl Fn(&str) -> &'a str,
    ) -> Box<[Destination]> {
        let Self { by_metric, accumulators, .. } = self;
        let inputs = by_metric.get(metric).into_iter().flatten();
        let matching = inputs.filter(|each| each.selector.accepts(&label));
        matching
            .filter_map(|each| {
                let contribution = contribution(each.what, &label)?;
                let group = Group::of(&each.by, &label);
                let accumulator = accumulators.in_group(each.accumulator, group)?;
                Some(Destination { accumulator, contribution })
            })
            .collect()
    }

    /// The page at hand tells nothing of a metric.
    pub(crate) fn spoil(&mut self, metric: &str, why: NoData) {
        for each in self.by_metric.get(metric).into_iter().flatten() {
            self.accumulators.spoil(each.accumulator, why);
        }
    }
}

/// What a series with these labels contributes.
fn contribution<'a>(what: Input, label: &impl Fn(&str) -> &'a str) -> Option<Contribution> {
    match (what.contribution, what.quantile) {
        (contribution, Some(q)) => {
            let own: f64 = label("quantile").parse().ok()?;
            own.total_cmp(&q).is_eq().then_some(contribution)
        }
        (Contribution::Bucket(_), None) => bound(label("le")).map(Contribution::Bucket),
        (Contribution::Native, None) if !label("quantile").is_empty() => None,
        (contribution, None) => Some(contribution),
    }
}

/// The series that a signal reads, by their own names on a page, and what they are to it.
fn inputs(kind: &SignalKind) -> Vec<(Selector, Input)> {
    let of_selection = |(place, Selection { selector, shape, .. }): (usize, Selection<'_>)| {
        let plain = |contribution| Input { contribution, quantile: None };
        let own = |contribution| (selector.clone(), plain(contribution));
        let with = |suffix, contribution| (selector.with_suffix(suffix), plain(contribution));
        let summary =
            |q| (selector.clone(), Input { contribution: Contribution::Gauge, quantile: Some(q) });
        match shape {
            Shape::Counter => vec![own(Contribution::Counter(place))],
            Shape::Mean => vec![
                with("_sum", Contribution::Counter(0)),
                with("_count", Contribution::Counter(1)),
            ],
            Shape::Histogram(q) => {
                let buckets = with("_bucket", Contribution::Bucket(f64::INFINITY));
                vec![buckets, own(Contribution::Native), summary(q)]
            }
            Shape::Summary(q) => vec![summary(q)],
            Shape::Gauge => vec![own(Contribution::Gauge)],
            Shape::Counted(value) => vec![own(Contribution::Counted(value))],
            Shape::Age(since) => vec![own(Contribution::Age(since))],
        }
    };
    kind.selections().enumerate().flat_map(of_selection).collect()
}

/// The names that a scrape of the target must keep.
pub fn wanted_names(plan: &Plan, target: &Target) -> Vec<String> {
    let mut names: Vec<String> = Selections::new(plan, target).by_metric.into_keys().collect();
    names.push(START_TIME.to_owned());
    if let Some(LiveSource::Metric { of, .. }) = plan.deployment.live.as_ref().map(|l| &l.source)
        && of.may_match(target)
    {
        names.push(of.metric.clone());
    }
    names.sort();
    names.dedup();
    names
}

/// The histograms of which a scrape of the target keeps the native ones, by their base names:
/// those of which a signal reads a quantile. A mean needs no more than `_sum` and `_count`, which
/// every format has.
pub fn wanted_natives(plan: &Plan, target: &Target) -> Vec<String> {
    let selections = plan.signals.iter().flat_map(|signal| signal.kind.selections());
    let natives = selections.filter(|selection| {
        matches!(selection.shape, Shape::Histogram(_)) && selection.selector.may_match(target)
    });
    natives.map(|selection| selection.selector.metric.clone()).collect()
}

/// A bucket's upper bound, as Prometheus reads it.
fn bound(le: &str) -> Option<f64> {
    match le {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        _ => le.parse().ok().filter(|bound: &f64| !bound.is_nan()),
    }
}
