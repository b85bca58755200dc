//! What the pages of one target mean: which samples are believed, what each gained, and what it is
//! to each signal.

use std::collections::BTreeMap;
use std::time::Duration;

use rollguard::model::plan::Plan;
use rollguard::model::reading::NoData;
use rollguard::model::selector::{Matcher, Selector};
use rollguard::model::signal::{Reduction, Signal, SignalKind};
use rollguard::model::target::Target;
use rollguard::model::time::{Instant, Timestamp};

const START_TIME: &str = "process_start_time_seconds";

/// A line of a page, as it is meant.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Sample(Sample),
    Bad(Option<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) metric: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
    pub(crate) stamp: Option<Timestamp>,
}

/// A scrape; `None` is a failed one.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) at: Instant,
    pub(crate) wall: Timestamp,
    pub(crate) lines: Option<Vec<Line>>,
}

/// The group of everything.
pub(super) const ALL: &str = "";

/// A page that could be read, and what each believed sample of it means.
pub(super) struct Known {
    pub(super) at: Instant,
    wall: Timestamp,
    spoiled: Vec<(Option<String>, NoData)>,
    facts: Vec<Fact>,
    /// For each signal and group what it selects.
    parts: Vec<BTreeMap<String, Vec<Selected>>>,
    /// For each signal the groups of all samples that it selects, believed or not.
    mentions: Vec<Vec<String>>,
    /// For each signal why the page tells nothing of any of its groups.
    spoils: Vec<Option<NoData>>,
    /// For each signal the groups in which a sample is infinite.
    infinite: Vec<Vec<String>>,
    started: Option<f64>,
    /// The process that it is about is another than on the page before.
    restarted: bool,
}

struct Fact {
    sample: Sample,
    gain: f64,
    age: Duration,
}

/// A fact as what a signal selects it.
struct Selected {
    part: Part,
    /// Too old by its own timestamp.
    old: bool,
    fact: usize,
}

/// What a sample is to a signal.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    Counter(usize),
    Bucket(f64),
    Gauge,
    Count,
    Age,
}

/// A sample that is not too old.
#[derive(Clone, Copy)]
pub(super) struct Number {
    pub(super) part: Part,
    pub(super) value: f64,
    pub(super) gain: f64,
    /// How old it was by its own timestamp when the page was read.
    pub(super) age: Duration,
    /// How long before the page was read the time lies that it holds.
    pub(super) ago: Duration,
}

impl Known {
    /// Adds what the page is to the next signal of the plan.
    pub(super) fn mean(&mut self, signal: &Signal, samples: &[Sample], stale: Duration) {
        self.mentions.push(mentions(signal, samples));
        self.parts.push(parts(signal, self, stale));
        self.spoils.push(spoils(signal, self));
        self.infinite.push(infinite(signal, self));
    }

    fn parts(&self, signal: usize, group: &str) -> impl Iterator<Item = &Selected> {
        self.parts[signal].get(group).into_iter().flatten()
    }

    /// Whether there is something for a signal in a group that is not too old.
    pub(super) fn matches(&self, signal: usize, group: &str) -> bool {
        self.parts(signal, group).any(|each| !each.old)
    }

    /// Whether there is something for a signal in a group, but too old.
    pub(super) fn is_outdated(&self, signal: usize, group: &str) -> bool {
        self.parts(signal, group).next().is_some() && !self.matches(signal, group)
    }

    /// Whether a sample of the group stands on the page, believed or not.
    pub(super) fn mentions(&self, signal: usize, group: &str) -> bool {
        self.mentions[signal].iter().any(|each| each == group)
    }

    /// The groups of the samples on the page, believed or not.
    pub(super) fn groups(&self, signal: usize) -> &[String] {
        &self.mentions[signal]
    }

    /// Why the page tells nothing of a signal in a group.
    pub(super) fn spoils(&self, signal: usize, group: &str) -> Option<NoData> {
        let infinite = self.infinite[signal].iter().any(|each| each == group);
        self.spoils[signal].or(infinite.then_some(NoData::NotFinite))
    }

    /// The numbers for a signal in a group that are not too old, and what was gained.
    pub(super) fn numbers(&self, signal: usize, group: &str) -> impl Iterator<Item = Number> {
        let wanted = self.parts(signal, group).filter(|each| !each.old);
        let numbers = wanted.map(|selected| {
            let Fact { sample, gain, age } = &self.facts[selected.fact];
            let held = Timestamp::from_millis((sample.value * 1000.0) as i64);
            let ago = self.wall.since(held);
            Number { part: selected.part, value: sample.value, gain: *gain, age: *age, ago }
        });
        numbers.filter(|number| number.value.is_finite())
    }
}

/// What the samples of a page mean, by looking back at all pages before it.
///
/// Answers the page and all its samples, believed or not.
pub(super) fn known(
    plan: &Plan,
    target: usize,
    attempt: &Attempt,
    pages: &[Known],
) -> Option<(Known, Vec<Sample>)> {
    let target = &plan.targets[target];
    let lines = attempt.lines.as_ref()?;
    let samples: Vec<Sample> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Sample(sample) => Some(identified(sample, target)),
            Line::Bad(_) => None,
        })
        .collect();
    let spoiled = spoiled(lines, &samples);
    let mut facts: Vec<Fact> = Vec::new();
    for sample in &samples {
        let believed = !spoiled
            .iter()
            .any(|(metric, _)| metric.as_ref().is_none_or(|metric| *metric == sample.metric));
        if believed && !facts.iter().any(|fact| same(&fact.sample, sample)) {
            let age = sample.stamp.map_or(Duration::ZERO, |stamp| attempt.wall.since(stamp));
            facts.push(Fact { sample: sample.clone(), gain: 0.0, age });
        }
    }
    let started = start_time(&facts);
    let before = pages.iter().filter_map(|page| page.started).next_back();
    let anew = matches!((before, started), (Some(old), Some(new)) if new > old + 1.5);
    // Only where a counter fell, too: an exporter may start anew while its counters go on.
    let fell = |fact: &Fact| {
        let last = counted_from(&fact.sample, pages);
        is_counter(plan, &fact.sample) && last.is_some_and(|last| fact.sample.value < last)
    };
    let restarted = anew && facts.iter().any(|f| f.sample.value.is_finite() && fell(f));
    for fact in &mut facts {
        fact.gain = gain(&fact.sample, pages, restarted);
    }
    let page = Known {
        at: attempt.at,
        wall: attempt.wall,
        spoiled,
        facts,
        parts: Vec::new(),
        mentions: Vec::new(),
        spoils: Vec::new(),
        infinite: Vec::new(),
        started,
        restarted,
    };
    Some((page, samples))
}

fn identified(sample: &Sample, target: &Target) -> Sample {
    let mut sample = sample.clone();
    sample.labels.extend(target.labels.iter().cloned());
    sample.labels.insert("target".to_owned(), target.name.to_string());
    sample.labels.retain(|_, value| !value.is_empty());
    sample
}

fn same(a: &Sample, b: &Sample) -> bool {
    a.metric == b.metric && a.labels == b.labels
}

fn spoiled(lines: &[Line], samples: &[Sample]) -> Vec<(Option<String>, NoData)> {
    let mut spoiled = Vec::new();
    for (place, sample) in samples.iter().enumerate() {
        let first = samples[..place].iter().find(|earlier| same(earlier, sample));
        if first.is_some_and(|first| first.value.to_bits() != sample.value.to_bits()) {
            spoiled.push((Some(sample.metric.clone()), NoData::Duplicate));
        }
    }
    for line in lines {
        if let Line::Bad(metric) = line {
            spoiled.push((metric.clone(), NoData::Malformed(7)));
        }
    }
    spoiled
}

fn start_time(facts: &[Fact]) -> Option<f64> {
    let times: Vec<f64> =
        facts.iter().filter(|f| f.sample.metric == START_TIME).map(|f| f.sample.value).collect();
    (times.len() == 1 && times[0].is_finite()).then(|| times[0])
}

/// What a series counts on from: the last number that was believed of it, or 0 if its process
/// started anew since.
fn counted_from(sample: &Sample, pages: &[Known]) -> Option<f64> {
    pages.iter().enumerate().rev().find_map(|(place, page)| {
        let last = page.facts.iter().find(|fact| same(&fact.sample, sample))?.sample.value;
        let anew = pages[place + 1..].iter().any(|page| page.restarted);
        last.is_finite().then_some(if anew { 0.0 } else { last })
    })
}

/// Whether some signal takes the series for a counter.
fn is_counter(plan: &Plan, sample: &Sample) -> bool {
    let label = |name: &str| sample.labels.get(name).cloned();
    let all = plan.signals.iter().flat_map(|signal| selections(&signal.kind));
    let mut counters = all.filter(|(_, part)| matches!(part, None | Some(Part::Counter(_))));
    counters
        .any(|(selector, _)| selector.metric == sample.metric && passes(&selector.matchers, label))
}

/// What a counter gained on a page since it was last seen on one of those before.
fn gain(sample: &Sample, pages: &[Known], restarted: bool) -> f64 {
    let value = sample.value;
    if let Some(last) = counted_from(sample, pages) {
        return if restarted || value < last { value.max(0.0) } else { value - last };
    }
    match pages.last() {
        None => 0.0,
        Some(previous) => {
            let infinite = |fact: &Fact| {
                fact.sample.metric == sample.metric && fact.sample.value.is_infinite()
            };
            let unsure = previous.facts.iter().any(infinite)
                || previous
                    .spoiled
                    .iter()
                    .any(|(metric, _)| metric.as_ref().is_none_or(|m| *m == sample.metric));
            if unsure { 0.0 } else { value.max(0.0) }
        }
    }
}

fn passes(matchers: &[Matcher], label: impl Fn(&str) -> Option<String>) -> bool {
    matchers.iter().all(|m| m.test.accepts(&label(&m.label).unwrap_or_default()))
}

/// What a signal selects, as what; `None` is a bucket by its bound.
fn selections(kind: &SignalKind) -> Vec<(Selector, Option<Part>)> {
    match kind {
        SignalKind::Series { of, reduction, window } => match reduction {
            Reduction::Rate | Reduction::Increase => vec![(of.clone(), Some(Part::Counter(0)))],
            Reduction::Ratio { to } => {
                vec![(of.clone(), Some(Part::Counter(0))), (to.clone(), Some(Part::Counter(1)))]
            }
            Reduction::Mean => vec![
                (of.with_suffix("_sum"), Some(Part::Counter(0))),
                (of.with_suffix("_count"), Some(Part::Counter(1))),
            ],
            Reduction::Quantile(_) if window.is_zero() => vec![(of.clone(), Some(Part::Gauge))],
            Reduction::Quantile(_) => {
                vec![(of.with_suffix("_bucket"), None), (of.clone(), Some(Part::Gauge))]
            }
            Reduction::Gauge { .. } => vec![(of.clone(), Some(Part::Gauge))],
            Reduction::Count(_) => vec![(of.clone(), Some(Part::Count))],
            Reduction::Age(_) => vec![(of.clone(), Some(Part::Age))],
        },
        SignalKind::Up(_) | SignalKind::Value(_) | SignalKind::Expr(_) => Vec::new(),
        SignalKind::Baseline { .. } | SignalKind::Before { .. } => Vec::new(),
    }
}

/// Whether a signal may find something on a target, by the labels that all its series have.
pub(super) fn concerns(kind: &SignalKind, target: &Target) -> bool {
    selections(kind).iter().any(|(selector, _)| {
        selector.matchers.iter().all(|m| match m.label.as_str() {
            "target" => m.test.accepts(target.name.as_str()),
            label => {
                let own = target.labels.iter().find(|(name, _)| name == label);
                own.is_none_or(|(_, value)| m.test.accepts(value))
            }
        })
    })
}

/// As what a signal selects a sample.
fn select(signal: &Signal, sample: &Sample) -> Vec<Part> {
    let label = |name: &str| sample.labels.get(name).cloned();
    let mut found = Vec::new();
    for (selector, part) in selections(&signal.kind) {
        if selector.metric != sample.metric || !passes(&selector.matchers, label) {
            continue;
        }
        let of_quantile =
            if let SignalKind::Series { reduction: Reduction::Quantile(q), .. } = &signal.kind {
                Some(*q)
            } else {
                None
            };
        found.extend(match (of_quantile, part) {
            (_, None) => match label("le").as_deref() {
                Some("+Inf") => Some(Part::Bucket(f64::INFINITY)),
                le => le.map(|le| Part::Bucket(le.parse().unwrap())),
            },
            (Some(q), Some(_)) => {
                let own = label("quantile").map(|own| own.parse::<f64>().unwrap());
                (own == Some(q)).then_some(Part::Gauge)
            }
            (None, part) => part,
        });
    }
    found
}

/// The group of a sample: the values of the labels by which the signal is read.
fn group(signal: &Signal, sample: &Sample) -> String {
    let label = |name: &String| sample.labels.get(name).cloned().unwrap_or_default();
    let pairs = signal.by.iter().map(|name| format!("{name}=\"{}\"", label(name)));
    pairs.collect::<Vec<_>>().join(",")
}

fn mentions(signal: &Signal, samples: &[Sample]) -> Vec<String> {
    let selected = samples.iter().filter(|sample| !select(signal, sample).is_empty());
    let mut groups: Vec<String> = selected.map(|sample| group(signal, sample)).collect();
    groups.sort();
    groups.dedup();
    groups
}

/// The facts of a page that a signal selects, as what, and whether they are too old by themselves.
fn parts(signal: &Signal, page: &Known, stale: Duration) -> BTreeMap<String, Vec<Selected>> {
    let mut found: BTreeMap<String, Vec<Selected>> = BTreeMap::new();
    for (place, fact) in page.facts.iter().enumerate() {
        for part in select(signal, &fact.sample) {
            let value = fact.sample.value;
            // What is not a number is no sample, but a gauge that is there says that much.
            if value.is_finite() || (value.is_nan() && part == Part::Gauge) {
                // An age is what a timestamp is for.
                let old = part != Part::Age && value.is_finite() && fact.age > stale;
                let group = found.entry(group(signal, &fact.sample)).or_default();
                group.push(Selected { part, old, fact: place });
            }
        }
    }
    found
}

/// Why a page tells nothing of a signal, in any group.
fn spoils(signal: &Signal, page: &Known) -> Option<NoData> {
    let selections = selections(&signal.kind);
    let wanted = |m: &String| selections.iter().any(|(selector, _)| selector.metric == *m);
    let spoiled = page.spoiled.iter().find(|(metric, _)| metric.as_ref().is_none_or(wanted));
    spoiled.map(|(_, why)| *why)
}

/// The groups in which a sample of a signal is infinite.
fn infinite(signal: &Signal, page: &Known) -> Vec<String> {
    let samples = page.facts.iter().map(|fact| &fact.sample);
    let infinite = samples.filter(|sample| sample.value.is_infinite());
    let selected = infinite.filter(|sample| !select(signal, sample).is_empty());
    selected.map(|sample| group(signal, sample)).collect()
}
