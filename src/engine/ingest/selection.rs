//! Which series of a target concern which signals, and as what. Decided once for each new series,
//! never again while it lives.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::group::Group;
use crate::model::index::SignalIx;
use crate::model::live::LiveSource;
use crate::model::plan::Plan;
use crate::model::selector::Selector;
use crate::model::signal::{Limit, SignalKind, Since};
use crate::model::target::Target;

use super::accumulator::{Role, Track};
use super::accumulators::{TrackIx, Tracks};

/// The metric that tells when a target's process started.
pub(crate) const START_TIME: &str = "process_start_time_seconds";

/// What a selector's series are to a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Counter(usize),
    Bucket,
    Native,
    Quantile(f64),
    Gauge,
    Count(Option<Limit>),
    Age(Since),
}

/// One selection of one track.
#[derive(Clone, Debug)]
struct Selection {
    track: TrackIx,
    part: Part,
    selector: Selector,
    by: Arc<[String]>,
}

/// All selections on one target, by metric name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selections {
    by_metric: HashMap<String, Vec<Selection>>,
}

/// A track that a series feeds, and as what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Use {
    pub(crate) track: TrackIx,
    pub(crate) role: Role,
}

impl Selections {
    /// The selections of the plan's signals on a target, and an empty track for each signal that
    /// may find something there.
    pub(crate) fn new(plan: &Plan, target: &Target) -> (Self, Tracks) {
        let mut all = Self::default();
        let mut tracks = Tracks::default();
        for (index, signal) in plan.signals.iter().enumerate() {
            let parts = parts(&signal.kind);
            let possible = parts.iter().any(|(selector, _)| possible(selector, target));
            if !possible {
                continue;
            }
            let columns = parts.iter().filter(|(_, part)| matches!(part, Part::Counter(_))).count();
            let stale = signal.stale.unwrap_or_else(|| target.stale());
            let window = signal.kind.window();
            let track = tracks.add(Track::new(SignalIx(index), window, stale, columns));
            let by: Arc<[String]> = signal.by.clone().into();
            for (selector, part) in parts {
                let selection = Selection { track, part, selector, by: by.clone() };
                let metric = selection.selector.metric.clone();
                all.by_metric.entry(metric).or_default().push(selection);
            }
        }
        (all, tracks)
    }

    /// What a series of this metric with these labels is used for. Makes the tracks of groups that
    /// it is the first series of.
    pub(crate) fn uses<'a>(
        &self,
        metric: &str,
        label: impl Fn(&str) -> &'a str,
        tracks: &mut Tracks,
    ) -> Box<[Use]> {
        let selections = self.by_metric.get(metric).into_iter().flatten();
        let matching = selections.filter(|selection| selection.selector.accepts(&label));
        matching
            .filter_map(|selection| {
                let role = match selection.part {
                    Part::Counter(column) => Role::Counter(column),
                    Part::Gauge => Role::Gauge,
                    Part::Count(value) => Role::Count(value),
                    Part::Age(since) => Role::Age(since),
                    Part::Bucket => Role::Bucket(bound(label("le"))?),
                    Part::Native if label("quantile").is_empty() => Role::Native,
                    Part::Native => return None,
                    Part::Quantile(q) => {
                        let own: f64 = label("quantile").parse().ok()?;
                        (own.total_cmp(&q).is_eq()).then_some(Role::Gauge)?
                    }
                };
                let track = tracks.group(selection.track, Group::of(&selection.by, &label))?;
                Some(Use { track, role })
            })
            .collect()
    }

    /// The tracks that a metric feeds.
    pub(crate) fn tracks_of(&self, metric: &str) -> impl Iterator<Item = TrackIx> {
        self.by_metric.get(metric).into_iter().flatten().map(|selection| selection.track)
    }
}

/// The names that a scrape of the target must keep.
#[must_use]
pub fn wanted_names(plan: &Plan, target: &Target) -> Vec<String> {
    let (selections, _) = Selections::new(plan, target);
    let mut names: Vec<String> = selections.by_metric.into_keys().collect();
    names.push(START_TIME.to_owned());
    names.extend(live_name(plan, target));
    names.sort();
    names.dedup();
    names
}

/// The metric that tells the live version, where the target may have it.
fn live_name(plan: &Plan, target: &Target) -> Option<String> {
    match &plan.deployment.live.as_ref()?.source {
        LiveSource::Metric { of, .. } => possible(of, target).then(|| of.metric.clone()),
        LiveSource::Symlink(_)
        | LiveSource::File { .. }
        | LiveSource::Http(_)
        | LiveSource::Run(_) => None,
    }
}

/// The histograms of which a scrape of the target keeps the native ones, by their base names:
/// those of which a signal reads a quantile. A mean needs no more than `_sum` and `_count`, which
/// every format has.
#[must_use]
pub fn wanted_natives(plan: &Plan, target: &Target) -> Vec<String> {
    let bases = plan.signals.iter().filter_map(|signal| match &signal.kind {
        SignalKind::Quantile { of, window: Some(_), .. } => Some(of),
        SignalKind::Quantile { window: None, .. }
        | SignalKind::Rate { .. }
        | SignalKind::Increase { .. }
        | SignalKind::Ratio { .. }
        | SignalKind::Mean { .. }
        | SignalKind::Gauge { .. }
        | SignalKind::Count { .. }
        | SignalKind::Age { .. }
        | SignalKind::Baseline { .. }
        | SignalKind::Before { .. }
        | SignalKind::Up(_)
        | SignalKind::Value(_)
        | SignalKind::Expr(_) => None,
    });
    bases.filter(|of| possible(of, target)).map(|of| of.metric.clone()).collect()
}

fn parts(kind: &SignalKind) -> Vec<(Selector, Part)> {
    match kind {
        SignalKind::Rate { of, .. } | SignalKind::Increase { of, .. } => {
            vec![(of.clone(), Part::Counter(0))]
        }
        SignalKind::Ratio { of, to, .. } => {
            vec![(of.clone(), Part::Counter(0)), (to.clone(), Part::Counter(1))]
        }
        SignalKind::Mean { of, .. } => vec![
            (of.with_suffix("_sum"), Part::Counter(0)),
            (of.with_suffix("_count"), Part::Counter(1)),
        ],
        SignalKind::Quantile { q, of, window } => {
            let histogram = window
                .map(|_| [(of.with_suffix("_bucket"), Part::Bucket), (of.clone(), Part::Native)]);
            let summary = (of.clone(), Part::Quantile(*q));
            histogram.into_iter().flatten().chain([summary]).collect()
        }
        SignalKind::Gauge { of, .. } => vec![(of.clone(), Part::Gauge)],
        SignalKind::Count { of, value } => vec![(of.clone(), Part::Count(*value))],
        SignalKind::Age { of, since } => vec![(of.clone(), Part::Age(*since))],
        SignalKind::Baseline { .. } | SignalKind::Before { .. } => Vec::new(),
        SignalKind::Up(_) | SignalKind::Value(_) | SignalKind::Expr(_) => Vec::new(),
    }
}

/// Whether a selector can match anything on a target, going by the labels that the target gives
/// to all its series.
pub(crate) fn possible(selector: &Selector, target: &Target) -> bool {
    selector.matchers.iter().all(|matcher| {
        let own = target.labels.iter().find(|(name, _)| *name == matcher.label);
        match own {
            _ if matcher.label == "target" => matcher.test.accepts(target.name.as_str()),
            Some((_, value)) => matcher.test.accepts(value),
            None => true,
        }
    })
}

/// A bucket's upper bound, as Prometheus reads it.
fn bound(le: &str) -> Option<f64> {
    match le {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        _ => le.parse().ok().filter(|bound: &f64| !bound.is_nan()),
    }
}
