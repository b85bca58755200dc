//! The judge again, slow and obvious: every page is kept, and each reading is worked out anew from
//! all of them by the words of the rule language. Nothing is shared with the engine but the
//! vocabulary of the model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rollguard::model::condition::{Arith, Compare, Cond, Extreme, Num};
use rollguard::model::entry::RuleStanding;
use rollguard::model::plan::Plan;
use rollguard::model::reading::{NoData, Reading, Verdict};
use rollguard::model::rule::{OnNoData, Rule};
use rollguard::model::selector::{Matcher, Selector};
use rollguard::model::signal::{Across, Over, Signal, SignalKind};
use rollguard::model::target::Target;
use rollguard::model::time::{Instant, Timestamp};

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

/// A page that could be read, and what each believed sample of it means.
struct Known {
    at: Instant,
    spoiled: Vec<(Option<String>, NoData)>,
    facts: Vec<Fact>,
    /// For each signal what it selects: as what, whether too old by itself, and which fact.
    parts: Vec<Vec<(Part, bool, usize)>>,
    /// For each signal why the page tells nothing of it.
    spoils: Vec<Option<NoData>>,
    started: Option<f64>,
    /// The process that it is about is another than on the page before.
    restarted: bool,
}

struct Fact {
    sample: Sample,
    gain: f64,
    age: Duration,
}

impl Known {
    /// Whether there is something for a signal that is not too old.
    fn matches(&self, signal: usize) -> bool {
        self.parts[signal].iter().any(|(_, old, _)| !old)
    }

    /// The numbers for a signal that are not too old, and what was gained.
    fn numbers(&self, signal: usize) -> impl Iterator<Item = (Part, f64, f64)> {
        let fresh = self.parts[signal].iter().filter(|(_, old, _)| !old);
        let facts = fresh.map(|(part, _, fact)| (*part, &self.facts[*fact]));
        facts.map(|(part, f)| (part, f.sample.value, f.gain)).filter(|(_, v, _)| v.is_finite())
    }
}

/// What a sample is to a signal.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Counter(usize),
    Bucket(f64),
    Gauge,
}

/// What one target says of a signal.
enum Share {
    None,
    Missing(NoData),
    Spoiled(NoData),
    Known(Duration, Vec<(Part, f64)>),
}

/// What a target that can be read says: over how long, and what each part comes to.
type Said = (Duration, Vec<(Part, f64)>);

/// A verdict of a rule, as it came.
#[derive(Clone, Copy, Debug)]
struct Judged {
    at: Instant,
    verdict: Verdict,
    fresh: bool,
}

pub(crate) struct Oracle {
    plan: Arc<Plan>,
    attempts: Vec<Vec<Attempt>>,
    known: Vec<Vec<Known>>,
    readings: Vec<Reading>,
    read_at: Vec<Instant>,
    /// For gauges over time: every value across series so far.
    across: Vec<Vec<(Instant, f64)>>,
    judged: Vec<Vec<Judged>>,
}

const START_TIME: &str = "process_start_time_seconds";

impl Oracle {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let (targets, signals) = (plan.targets.len(), plan.signals.len());
        let mut oracle = Self {
            attempts: vec![Vec::new(); targets],
            known: (0..targets).map(|_| Vec::new()).collect(),
            readings: vec![Reading::NoData(NoData::NeverScraped); signals],
            read_at: vec![Instant::ZERO; signals],
            across: vec![Vec::new(); signals],
            judged: vec![Vec::new(); plan.rules.len()],
            plan,
        };
        oracle.read_all(Instant::ZERO, |_, _| true);
        oracle
    }

    pub(crate) fn reading(&self, signal: usize) -> Reading {
        self.readings[signal]
    }

    /// A scrape is taken in.
    pub(crate) fn observe(&mut self, target: usize, attempt: Attempt) {
        self.catch_up(attempt.at);
        let (at, read) = (attempt.at, attempt.lines.is_some());
        if let Some(mut page) = known(&self.plan, target, &attempt, &self.known[target]) {
            for signal in &self.plan.signals {
                let stale = self.stale(signal, &self.plan.targets[target]);
                page.parts.push(parts(signal, &page, stale));
                page.spoils.push(spoils(signal, &page));
            }
            self.known[target].push(page);
        }
        self.attempts[target].push(attempt);
        let news: Vec<bool> =
            (0..self.plan.signals.len()).map(|signal| self.is_news(signal, target, read)).collect();
        self.read_all(at, |signal, _| news[signal]);
        for rule in 0..self.plan.rules.len() {
            let signals = self.plan.signals_of(&self.plan.rules[rule]);
            let fresh = signals.iter().any(|signal| news[signal.0]);
            let breach = self.plan.rules[rule].on_no_data == OnNoData::Breach;
            if fresh || (!read && breach) {
                self.judge(rule, at, fresh);
            }
        }
    }

    /// Time passes.
    pub(crate) fn advance(&mut self, at: Instant) {
        let expired: Vec<bool> = (0..self.plan.signals.len())
            .map(|signal| {
                let ends = self.expiries(signal);
                ends.iter().any(|end| *end >= self.read_at[signal] && *end < at)
            })
            .collect();
        self.read_all(at, |signal, _| expired[signal]);
        (0..self.plan.rules.len()).for_each(|rule| self.judge(rule, at, false));
    }

    /// When time alone changes something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let expiries = (0..self.plan.signals.len()).flat_map(|signal| {
            let ahead =
                self.expiries(signal).into_iter().filter(move |e| *e >= self.read_at[signal]);
            ahead.map(|end| end.after(Duration::from_nanos(1)))
        });
        expiries.chain((0..self.judged.len()).filter_map(|rule| self.story(rule).2)).min()
    }

    fn catch_up(&mut self, at: Instant) {
        let mut next = self.deadline();
        while let Some(time) = next.filter(|time| *time < at) {
            self.advance(time);
            next = self.deadline().filter(|next| *next > time);
        }
    }

    fn is_news(&self, signal: usize, target: usize, read: bool) -> bool {
        match &self.plan.signals[signal].kind {
            SignalKind::Value(_) => false,
            SignalKind::Count { .. }
            | SignalKind::Age { .. }
            | SignalKind::Baseline { .. }
            | SignalKind::Before { .. } => panic!("not in these histories"),
            SignalKind::Up(name) => *name == self.plan.targets[target].name,
            SignalKind::Expr(expr) => {
                let mut news = false;
                expr.for_each_signal(&mut |inner| news |= self.is_news(inner.0, target, read));
                news
            }
            SignalKind::Rate { .. }
            | SignalKind::Increase { .. }
            | SignalKind::Ratio { .. }
            | SignalKind::Quantile { .. }
            | SignalKind::Mean { .. }
            | SignalKind::Gauge { .. } => {
                let kind = &self.plan.signals[signal].kind;
                read && concerns(kind, &self.plan.targets[target])
            }
        }
    }

    fn read_all(&mut self, at: Instant, due: impl Fn(usize, &Self) -> bool) {
        let mut changed = vec![false; self.plan.signals.len()];
        for signal in 0..changed.len() {
            changed[signal] = due(signal, self);
            if let SignalKind::Expr(expr) = &self.plan.signals[signal].kind {
                expr.for_each_signal(&mut |inner| changed[signal] |= changed[inner.0]);
            }
            if changed[signal] {
                self.readings[signal] = self.read(signal, at);
                self.read_at[signal] = at;
            }
        }
    }

    fn stale(&self, signal: &Signal, target: &Target) -> Duration {
        signal.stale.unwrap_or(target.interval * 3 + target.timeout)
    }

    /// When the samples of each target become too old for a signal.
    fn expiries(&self, index: usize) -> Vec<Instant> {
        let signal = &self.plan.signals[index];
        let mut ends = Vec::new();
        for (target, known) in self.plan.targets.iter().zip(&self.known) {
            let stale = self.stale(signal, target);
            let closed = known.iter().rfind(|page| page.spoils[index].is_none());
            let matched = known.iter().any(|page| page.matches(index));
            if concerns(&signal.kind, target)
                && matched
                && let Some(closed) = closed
            {
                ends.push(closed.at.after(stale));
            }
        }
        if let SignalKind::Up(name) = &signal.kind {
            let place = self.plan.targets.iter().position(|target| target.name == *name).unwrap();
            let last = self.attempts[place].last().map(|attempt| attempt.at);
            ends.extend(last.map(|at| at.after(self.stale(signal, &self.plan.targets[place]))));
        }
        ends
    }

    fn read(&mut self, index: usize, at: Instant) -> Reading {
        let plan = self.plan.clone();
        let signal = &plan.signals[index];
        match &signal.kind {
            SignalKind::Value(value) => Reading::Value(*value),
            SignalKind::Count { .. }
            | SignalKind::Age { .. }
            | SignalKind::Baseline { .. }
            | SignalKind::Before { .. } => panic!("not in these histories"),
            SignalKind::Expr(expr) => number(expr, &self.readings),
            SignalKind::Up(name) => {
                let place = plan.targets.iter().position(|target| target.name == *name).unwrap();
                match self.attempts[place].last() {
                    None => Reading::NoData(NoData::NeverScraped),
                    Some(last) if at.since(last.at) > self.stale(signal, &plan.targets[place]) => {
                        Reading::NoData(NoData::Stale)
                    }
                    Some(last) => Reading::Value(if last.lines.is_some() { 1.0 } else { 0.0 }),
                }
            }
            SignalKind::Gauge { across, over, .. } => {
                let now = self.read_across(index, *across, at);
                let sampled = self.last_row(index).unwrap_or(at);
                over_time(*over, &mut self.across[index], now, sampled)
            }
            SignalKind::Quantile { .. } => {
                let mut pages = self.known.iter().flatten();
                let histogram = pages.any(|page| {
                    page.numbers(index).any(|(part, ..)| matches!(part, Part::Bucket(_)))
                });
                if histogram { self.read_counters(index, at) } else { self.read_summary(index, at) }
            }
            SignalKind::Rate { .. }
            | SignalKind::Increase { .. }
            | SignalKind::Ratio { .. }
            | SignalKind::Mean { .. } => self.read_counters(index, at),
        }
    }

    fn last_row(&self, index: usize) -> Option<Instant> {
        let targets = self.plan.targets.iter().zip(&self.known);
        let concerned =
            targets.filter(|(target, _)| concerns(&self.plan.signals[index].kind, target));
        concerned
            .filter_map(|(_, known)| {
                known.iter().rfind(|page| page.spoils[index].is_none()).map(|p| p.at)
            })
            .max()
    }

    /// What each target says, or the reason that spoils all; and why a share is missing.
    fn shares(
        &self,
        index: usize,
        at: Instant,
        instant: bool,
    ) -> Result<(Vec<Said>, Option<NoData>), NoData> {
        let signal = &self.plan.signals[index];
        let (mut shares, mut missing, mut stale) = (Vec::new(), None, false);
        for (target, known) in self.plan.targets.iter().zip(&self.known) {
            if !concerns(&signal.kind, target) {
                continue;
            }
            let (window, stale_after) = (signal.kind.window(), self.stale(signal, target));
            match share(index, window, stale_after, known, at, instant) {
                Share::None => {}
                Share::Spoiled(why) => return Err(why),
                Share::Missing(NoData::Stale) => stale = true,
                Share::Missing(why) => missing = missing.or(Some(why)),
                Share::Known(elapsed, parts) => shares.push((elapsed, parts)),
            }
        }
        let missing = if stale { Some(NoData::Stale) } else { missing };
        if shares.is_empty() {
            return Err(missing.unwrap_or(NoData::NoSeries));
        }
        Ok((shares, missing))
    }

    fn read_counters(&self, index: usize, at: Instant) -> Reading {
        let (shares, missing) = match self.shares(index, at, false) {
            Ok(shares) => shares,
            Err(why) => return Reading::NoData(why),
        };
        let gained = |share: &[(Part, f64)], wanted: Part| -> f64 {
            share.iter().filter(|(part, _)| *part == wanted).map(|(_, gain)| gain).sum()
        };
        let all = |wanted: Part| shares.iter().map(|(_, share)| gained(share, wanted)).sum::<f64>();
        let sum = |sum| match missing {
            None => Reading::Value(sum),
            Some(_) => Reading::AtLeast(sum),
        };
        let share = |nothing| {
            if all(Part::Counter(1)) > 0.0 {
                Reading::Value(all(Part::Counter(0)) / all(Part::Counter(1)))
            } else {
                Reading::NoData(nothing)
            }
        };
        match &self.plan.signals[index].kind {
            SignalKind::Rate { .. } => sum(shares
                .iter()
                .map(|(elapsed, share)| gained(share, Part::Counter(0)) / elapsed.as_secs_f64())
                .sum()),
            SignalKind::Increase { .. } => sum(all(Part::Counter(0))),
            SignalKind::Ratio { .. } => share(NoData::NoTraffic),
            SignalKind::Mean { .. } => share(NoData::NoObservations),
            SignalKind::Quantile { q, .. } => {
                let mut bounds: Vec<f64> = Vec::new();
                for (part, _) in shares.iter().flat_map(|(_, share)| share) {
                    if let Part::Bucket(bound) = part
                        && !bounds.contains(bound)
                    {
                        bounds.push(*bound);
                    }
                }
                bounds.sort_by(f64::total_cmp);
                let counts = bounds.iter().map(|bound| all(Part::Bucket(*bound))).collect();
                quantile(*q, &bounds, counts)
            }
            SignalKind::Gauge { .. } | SignalKind::Up(_) => panic!("not over counters"),
            SignalKind::Count { .. }
            | SignalKind::Age { .. }
            | SignalKind::Baseline { .. }
            | SignalKind::Before { .. } => panic!("not in these histories"),
            SignalKind::Value(_) | SignalKind::Expr(_) => panic!("not over counters"),
        }
    }

    fn read_summary(&self, index: usize, at: Instant) -> Reading {
        match self.shares(index, at, true) {
            Err(why) => Reading::NoData(why),
            Ok((shares, missing)) => {
                let values = shares.iter().flat_map(|(_, share)| share).map(|(_, value)| *value);
                match (values.reduce(f64::max), missing) {
                    (None, why) => Reading::NoData(why.unwrap_or(NoData::NoObservations)),
                    (Some(max), None) => Reading::Value(max),
                    (Some(max), Some(_)) => Reading::AtLeast(max),
                }
            }
        }
    }

    fn read_across(&self, index: usize, across: Option<Across>, at: Instant) -> Reading {
        let (shares, missing) = match self.shares(index, at, true) {
            Ok(shares) => shares,
            Err(why) => return Reading::NoData(why),
        };
        let values: Vec<f64> =
            shares.iter().flat_map(|(_, share)| share).map(|(_, value)| *value).collect();
        let count = values.len() as f64;
        let Some(max) = values.iter().copied().reduce(f64::max) else {
            return Reading::NoData(missing.unwrap_or(NoData::NoSeries));
        };
        let sum: f64 = values.iter().sum();
        match (across, missing) {
            (None, _) if values.len() > 1 => {
                Reading::NoData(NoData::SeveralSeries(u32::try_from(values.len()).unwrap()))
            }
            (Some(Across::Max), Some(_)) => Reading::AtLeast(max),
            (Some(Across::Count), Some(_)) => Reading::AtLeast(count),
            (_, Some(why)) => Reading::NoData(why),
            (Some(Across::Max), None) => Reading::Value(max),
            (Some(Across::Count), None) => Reading::Value(count),
            (None | Some(Across::Sum), None) => Reading::Value(sum),
            (Some(Across::Avg), None) => Reading::Value(sum / count),
            (Some(Across::Min), None) => Reading::Value(values.into_iter().fold(max, f64::min)),
        }
    }

    fn judge(&mut self, rule: usize, at: Instant, fresh: bool) {
        let Rule { when, given, .. } = &self.plan.rules[rule];
        let floor = given.as_ref().map(|given| verdict(&given.cond, &self.readings));
        let verdict = match floor {
            Some(Verdict::Fails) => Verdict::NoData(NoData::EvidenceTooThin),
            Some(Verdict::NoData(why)) => Verdict::NoData(why),
            Some(Verdict::Holds) | None => verdict(&when.cond, &self.readings),
        };
        let tried = self.plan.signals_of(&self.plan.rules[rule]).into_iter().any(|signal| {
            (0..self.attempts.len()).any(|target| {
                !self.attempts[target].is_empty() && self.is_news(signal.0, target, true)
            })
        });
        if tried || !matches!(verdict, Verdict::NoData(_)) {
            self.judged[rule].push(Judged { at, verdict, fresh });
        }
    }

    pub(crate) fn standing(&self, rule: usize) -> RuleStanding {
        self.story(rule).0
    }

    /// A rule's state and for how long it was seen to hold, told from its first verdict on, and
    /// when time alone may change it.
    pub(crate) fn story(&self, rule: usize) -> (RuleStanding, Duration, Option<Instant>) {
        use RuleStanding::{Firing, Inactive, Pending};
        let terms = &self.plan.rules[rule];
        let patience = terms.hold.max(Duration::from_secs(60));
        let mut state = Inactive;
        let (mut held, mut seen, mut held_last) = (Duration::ZERO, None, Instant::ZERO);
        let (mut dark, mut last) = (None, None);
        for judged in &self.judged[rule] {
            let Judged { at, verdict, fresh } = *judged;
            let absent = matches!(verdict, Verdict::NoData(_));
            let breach = absent && terms.on_no_data == OnNoData::Breach;
            let fails =
                verdict == Verdict::Fails || (absent && terms.on_no_data == OnNoData::Clear);
            if verdict == Verdict::Holds || breach {
                match state {
                    Inactive => {
                        (state, held, seen, dark) = (Pending, Duration::ZERO, Some(at), None);
                    }
                    Pending if fresh || breach => {
                        held += seen.map_or(Duration::ZERO, |seen| at.since(seen));
                        seen = Some(seen.map_or(at, |seen: Instant| seen.max(at)));
                        dark = None;
                    }
                    Pending => {}
                    Firing => (held_last, dark) = (held_last.max(at), None),
                }
                if state == Pending && held >= terms.hold && (fresh || breach || held.is_zero()) {
                    (state, held_last, dark) = (Firing, at, None);
                }
            } else if fails {
                if state == Firing && at.since(held_last) < terms.keep_firing_for {
                    dark = None;
                } else {
                    (state, held) = (Inactive, Duration::ZERO);
                }
            } else if state != Inactive {
                seen = None;
                let since = *dark.get_or_insert(at);
                if at.since(since) >= patience {
                    (state, held) = (Inactive, Duration::ZERO);
                }
            }
            last = Some(verdict);
        }
        let next = match (state, last, terms.on_no_data) {
            (Pending, Some(Verdict::NoData(_)), OnNoData::Breach) => {
                seen.map(|seen: Instant| seen.after(terms.hold.saturating_sub(held)))
            }
            (Pending | Firing, Some(Verdict::NoData(_)), OnNoData::Hold) => {
                dark.map(|dark: Instant| dark.after(patience))
            }
            (Firing, Some(Verdict::Fails), _)
            | (Firing, Some(Verdict::NoData(_)), OnNoData::Clear) => {
                Some(held_last.after(terms.keep_firing_for))
            }
            _ => None,
        };
        (state, held, next)
    }
}

/// What the samples of a page mean, by looking back at all pages before it.
fn known(plan: &Plan, target: usize, attempt: &Attempt, pages: &[Known]) -> Option<Known> {
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
    for sample in samples {
        let believed = !spoiled
            .iter()
            .any(|(metric, _)| metric.as_ref().is_none_or(|metric| *metric == sample.metric));
        if believed && !facts.iter().any(|fact| same(&fact.sample, &sample)) {
            let age = sample.stamp.map_or(Duration::ZERO, |stamp| attempt.wall.since(stamp));
            facts.push(Fact { sample, gain: 0.0, age });
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
    let (parts, spoils) = (Vec::new(), Vec::new());
    Some(Known { at: attempt.at, spoiled, facts, parts, spoils, started, restarted })
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
    let mut counters = all.filter(|(_, part)| !matches!(part, Some(Part::Gauge)));
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

fn selections(kind: &SignalKind) -> Vec<(Selector, Option<Part>)> {
    match kind {
        SignalKind::Rate { of, .. } | SignalKind::Increase { of, .. } => {
            vec![(of.clone(), Some(Part::Counter(0)))]
        }
        SignalKind::Ratio { of, to, .. } => {
            vec![(of.clone(), Some(Part::Counter(0))), (to.clone(), Some(Part::Counter(1)))]
        }
        SignalKind::Mean { of, .. } => vec![
            (of.with_suffix("_sum"), Some(Part::Counter(0))),
            (of.with_suffix("_count"), Some(Part::Counter(1))),
        ],
        SignalKind::Quantile { of, window: Some(_), .. } => {
            vec![(of.with_suffix("_bucket"), None), (of.clone(), Some(Part::Gauge))]
        }
        SignalKind::Quantile { of, window: None, .. } => vec![(of.clone(), Some(Part::Gauge))],
        SignalKind::Gauge { of, .. } => vec![(of.clone(), Some(Part::Gauge))],
        SignalKind::Up(_) | SignalKind::Value(_) | SignalKind::Expr(_) => Vec::new(),
        SignalKind::Count { .. }
        | SignalKind::Age { .. }
        | SignalKind::Baseline { .. }
        | SignalKind::Before { .. } => panic!("not in these histories"),
    }
}

/// Whether a signal may find something on a target, by the labels that all its series have.
fn concerns(kind: &SignalKind, target: &Target) -> bool {
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

/// The facts of a page that a signal selects, as what, and whether they are too old by themselves.
fn parts(signal: &Signal, page: &Known, stale: Duration) -> Vec<(Part, bool, usize)> {
    let mut found = Vec::new();
    let selections = selections(&signal.kind);
    for (place, fact) in page.facts.iter().enumerate() {
        let label = |name: &str| fact.sample.labels.get(name).cloned();
        for (selector, part) in &selections {
            if selector.metric != fact.sample.metric || !passes(&selector.matchers, label) {
                continue;
            }
            let part = match (&signal.kind, part) {
                (SignalKind::Quantile { .. }, None) => match label("le").as_deref() {
                    Some("+Inf") => Part::Bucket(f64::INFINITY),
                    Some(le) => Part::Bucket(le.parse().unwrap()),
                    None => continue,
                },
                (SignalKind::Quantile { q, .. }, Some(_)) => match label("quantile") {
                    Some(own) if own.parse::<f64>().unwrap() == *q => Part::Gauge,
                    Some(_) | None => continue,
                },
                (_, part) => part.unwrap(),
            };
            let value = fact.sample.value;
            let is_gauge = part == Part::Gauge;
            // What is not a number is no sample, but a gauge that is there says that much.
            if value.is_finite() || (value.is_nan() && is_gauge) {
                found.push((part, value.is_finite() && fact.age > stale, place));
            }
        }
    }
    found
}

/// Why a page tells nothing of a signal.
fn spoils(signal: &Signal, page: &Known) -> Option<NoData> {
    let selections = selections(&signal.kind);
    for (metric, why) in &page.spoiled {
        let wanted = |m: &String| selections.iter().any(|(selector, _)| selector.metric == *m);
        if metric.as_ref().is_none_or(wanted) {
            return Some(*why);
        }
    }
    page.facts.iter().find_map(|fact| {
        let label = |name: &str| fact.sample.labels.get(name).cloned();
        let selected = selections.iter().any(|(selector, _)| {
            let quantile = |q| label("quantile").is_some_and(|own| own.parse() == Ok::<f64, _>(q));
            let own = if let SignalKind::Quantile { q, .. } = &signal.kind {
                label("le").is_some() || quantile(*q)
            } else {
                true
            };
            own && selector.metric == fact.sample.metric && passes(&selector.matchers, label)
        });
        (selected && fact.sample.value.is_infinite()).then_some(NoData::NotFinite)
    })
}

/// What one target says of a signal at an instant, or over the window that ends there.
fn share(
    signal: usize,
    window: Duration,
    stale: Duration,
    pages: &[Known],
    at: Instant,
    instant: bool,
) -> Share {
    let Some(newest) = pages.last() else { return Share::Missing(NoData::NeverScraped) };
    if let Some(why) = newest.spoils[signal] {
        return Share::Spoiled(why);
    }
    if !newest.parts[signal].is_empty() && !newest.matches(signal) {
        return Share::Missing(NoData::Stale);
    }
    let Some(matched) = pages.iter().rfind(|page| page.matches(signal)) else {
        return Share::None;
    };
    if at.since(newest.at) > stale {
        return Share::Missing(NoData::Stale);
    }
    if newest.at.since(matched.at) > window + stale {
        return Share::None;
    }
    if instant {
        let gauges = newest.numbers(signal).filter(|(part, ..)| *part == Part::Gauge);
        return Share::Known(
            Duration::ZERO,
            gauges.map(|(part, value, _)| (part, value)).collect(),
        );
    }
    let at = at.max(newest.at);
    let age = |row: &usize| at.since(pages[*row].at);
    let rows = (0..pages.len()).filter(|row| pages[*row].spoils[signal].is_none());
    let (before, inside): (Vec<usize>, Vec<usize>) = rows.partition(|row| age(row) >= window);
    let before = before.last().filter(|row| age(row) - window <= stale);
    let used: Vec<usize> = before.into_iter().chain(&inside).copied().collect();
    if used.len() < 2 || inside.is_empty() {
        return Share::Missing(NoData::WindowFilling);
    }
    let (first, last) = (used[0], used[used.len() - 1]);
    // A bucket that was ever there has a count, if only of zero.
    let ever = pages[..=first].iter().flat_map(|page| page.numbers(signal));
    let ever = ever.map(|(part, ..)| (part, 0.0));
    let gains = pages[first + 1..=last].iter().flat_map(|page| page.numbers(signal));
    let gains = gains.map(|(part, _, gain)| (part, gain));
    Share::Known(pages[last].at.since(pages[first].at), ever.chain(gains).collect())
}

fn over_time(over: Over, all: &mut Vec<(Instant, f64)>, now: Reading, at: Instant) -> Reading {
    let length = match (over, now) {
        (Over::Last, _) | (_, Reading::NoData(_)) => return now,
        (_, Reading::AtLeast(_)) => return Reading::NoData(NoData::Stale),
        (
            Over::Avg(length)
            | Over::Min(length)
            | Over::Max(length)
            | Over::Median(length)
            | Over::Stddev(length)
            | Over::Delta(length)
            | Over::Slope(length),
            Reading::Value(value),
        ) => {
            if all.last().is_none_or(|(last, _)| *last < at) {
                all.push((at, value));
            }
            length
        }
    };
    let newest = all.last().unwrap().0;
    let inside: Vec<f64> =
        all.iter().filter(|(time, _)| newest.since(*time) < length).map(|(_, v)| *v).collect();
    if inside.len() < 2 {
        return Reading::NoData(NoData::WindowFilling);
    }
    Reading::Value(match over {
        Over::Min(_) => inside.iter().copied().fold(f64::INFINITY, f64::min),
        Over::Max(_) => inside.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Over::Median(_) | Over::Stddev(_) | Over::Delta(_) | Over::Slope(_) => {
            panic!("not in these histories")
        }
        Over::Avg(_) | Over::Last => inside.iter().sum::<f64>() / inside.len() as f64,
    })
}

fn quantile(q: f64, bounds: &[f64], mut counts: Vec<f64>) -> Reading {
    let last = match bounds.last() {
        Some(bound) if bound.is_infinite() && bounds.len() > 1 => bounds.len() - 1,
        _ => return Reading::NoData(NoData::NoBuckets),
    };
    for bucket in 1..=last {
        counts[bucket] = counts[bucket].max(counts[bucket - 1]);
    }
    if counts[last] <= 0.0 {
        return Reading::NoData(NoData::NoObservations);
    }
    let rank = q * counts[last];
    let mut bucket = 0;
    while bucket < last && counts[bucket] < rank {
        bucket += 1;
    }
    if bucket == last {
        return Reading::AtLeast(bounds[last - 1]);
    }
    let (low, below) = if bucket > 0 { (bounds[bucket - 1], counts[bucket - 1]) } else { (0., 0.) };
    let inside = counts[bucket] - below;
    let share = if inside > 0.0 { (rank - below) / inside } else { 0.0 };
    Reading::Value(low + (bounds[bucket] - low) * share)
}

/// A reading as the interval that it stands for; no data is `Err`.
fn interval(reading: Reading) -> Result<(f64, f64), NoData> {
    match reading {
        Reading::Value(value) => Ok((value, value)),
        Reading::AtLeast(value) => Ok((value, f64::INFINITY)),
        Reading::NoData(why) => Err(why),
    }
}

/// Arithmetic over the values and bounds that the generator writes: sums, scaled differences.
fn number(num: &Num, readings: &[Reading]) -> Reading {
    let of = |num: &Num| interval(number(num, readings));
    let result = match num {
        Num::Const(value) => return Reading::Value(*value),
        Num::Signal(signal) => return readings[signal.0],
        Num::Neg(inner) => of(inner).map(|(low, high)| (-high, -low)),
        Num::Abs(inner) => of(inner).map(|(low, high)| match high.is_finite() {
            true => (low.abs(), low.abs()),
            false => (f64::NEG_INFINITY, f64::INFINITY),
        }),
        Num::Arith(op, left, right) => match (of(left), of(right)) {
            (Err(why), _) | (_, Err(why)) => Err(why),
            (Ok((a, b)), Ok((c, d))) => match op {
                Arith::Add => Ok((a + c, b + d)),
                Arith::Sub => Ok((a - d, b - c)),
                Arith::Mul if b.is_finite() && d.is_finite() => Ok((a * c, a * c)),
                Arith::Mul if d.is_finite() && c >= 0.0 => Ok((a * c, f64::INFINITY)),
                Arith::Mul if b.is_finite() && a >= 0.0 => Ok((a * c, f64::INFINITY)),
                Arith::Mul => Err(NoData::Stale),
                Arith::Div if c == 0.0 => Err(NoData::DivisionByZero),
                Arith::Div if b.is_finite() && d.is_finite() => Ok((a / c, a / c)),
                Arith::Div if d.is_finite() && c > 0.0 => Ok((a / c, f64::INFINITY)),
                Arith::Div => Err(NoData::Stale),
            },
        },
        Num::Extreme(which, operands) => {
            let intervals: Result<Vec<_>, _> = operands.iter().map(of).collect();
            intervals
                .map(|all| {
                    let lows = all.iter().map(|(low, _)| *low);
                    let highs = all.iter().map(|(_, high)| *high);
                    match which {
                        Extreme::Max => (lows.reduce(f64::max), highs.reduce(f64::max)),
                        Extreme::Min => (lows.reduce(f64::min), highs.reduce(f64::min)),
                    }
                })
                .map(|(low, high)| (low.unwrap(), high.unwrap()))
        }
    };
    match result {
        Err(why) => Reading::NoData(why),
        Ok((low, high)) if low.is_finite() && low.total_cmp(&high).is_eq() => Reading::Value(low),
        Ok((low, _)) if low.is_finite() => Reading::AtLeast(low),
        Ok(_) => Reading::NoData(NoData::Stale),
    }
}

/// A comparison holds if it does so for every number that its sides may stand for.
fn verdict(cond: &Cond, readings: &[Reading]) -> Verdict {
    let is_absent = |verdict| matches!(verdict, Verdict::NoData(_));
    match cond {
        Cond::Not(inner) => match verdict(inner, readings) {
            Verdict::Holds => Verdict::Fails,
            Verdict::Fails => Verdict::Holds,
            absent @ Verdict::NoData(_) => absent,
        },
        Cond::And(left, right) => match (verdict(left, readings), verdict(right, readings)) {
            (Verdict::Fails, _) | (_, Verdict::Fails) => Verdict::Fails,
            (Verdict::Holds, Verdict::Holds) => Verdict::Holds,
            (left, right) => {
                if is_absent(left) {
                    left
                } else {
                    right
                }
            }
        },
        Cond::Or(left, right) => match (verdict(left, readings), verdict(right, readings)) {
            (Verdict::Holds, _) | (_, Verdict::Holds) => Verdict::Holds,
            (Verdict::Fails, Verdict::Fails) => Verdict::Fails,
            (left, right) => {
                if is_absent(left) {
                    left
                } else {
                    right
                }
            }
        },
        Cond::Compare(left, op, right) => {
            let sides = (interval(number(left, readings)), interval(number(right, readings)));
            let ((a, b), (c, d)) = match sides {
                (Err(why), _) | (_, Err(why)) => return Verdict::NoData(why),
                (Ok(left), Ok(right)) => (left, right),
            };
            // (never true, always true)
            let (never, always) = match op {
                Compare::Greater => (b <= c, a > d),
                Compare::GreaterOrEqual => (b < c, a >= d),
                Compare::Less => (a >= d, b < c),
                Compare::LessOrEqual => (a > d, b <= c),
                Compare::Equal => (b < c || a > d, a == b && c == d && a == c),
                Compare::NotEqual => (a == b && c == d && a == c, b < c || a > d),
            };
            match (never, always) {
                (true, _) => Verdict::Fails,
                (_, true) => Verdict::Holds,
                (false, false) => Verdict::NoData(NoData::Stale),
            }
        }
    }
}
