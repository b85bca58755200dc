//! The twin itself: what is kept, when readings are worked out anew and when rules are judged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rollguard::model::condition::Cond;
use rollguard::model::entry::RuleStanding;
use rollguard::model::name::StageName;
use rollguard::model::plan::Plan;
use rollguard::model::reading::{NoData, Reading, Verdict};
use rollguard::model::rule::{OnNoData, Quorum, Rule};
use rollguard::model::signal::{AgeOf, Reduction, SignalKind};
use rollguard::model::target::Target;
use rollguard::model::time::Instant;

use super::arithmetic::{median, verdict};
use super::clocks::{Clock, Judged};
use super::page::{ALL, Attempt, Known, concerns, known};

pub(crate) struct Oracle {
    pub(super) plan: Arc<Plan>,
    pub(super) attempts: Vec<Vec<Attempt>>,
    pub(super) known: Vec<Vec<Known>>,
    /// For each signal its groups' readings.
    readings: Vec<BTreeMap<String, Reading>>,
    /// For each signal why a group that it does not have reads nothing.
    absent: Vec<NoData>,
    read_at: Vec<Instant>,
    /// For gauges over time: every value across series so far.
    pub(super) across: Vec<BTreeMap<String, Vec<(Instant, f64)>>>,
    /// For signals that are looked back at: every reading so far.
    pub(super) history: Vec<BTreeMap<String, Vec<(Instant, Reading)>>>,
    pub(super) frozen: Vec<Measured>,
    rules: Vec<RuleTwin>,
    stage: Option<StageName>,
}

/// A baseline as it was when it was frozen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) signal: String,
    pub(crate) group: String,
    pub(crate) value: Option<f64>,
    pub(crate) readings: u32,
    pub(crate) needed: u32,
}

/// A rule: the clock of each of its groups, and where it stood when it was last judged.
struct RuleTwin {
    clocks: BTreeMap<String, (Clock, Verdict)>,
    standing: RuleStanding,
    tried: bool,
}

impl Oracle {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let (targets, signals) = (plan.targets.len(), plan.signals.len());
        let rule = |_: &Rule| RuleTwin {
            clocks: BTreeMap::new(),
            standing: RuleStanding::Inactive,
            tried: false,
        };
        let mut oracle = Self {
            attempts: vec![Vec::new(); targets],
            known: (0..targets).map(|_| Vec::new()).collect(),
            readings: vec![BTreeMap::new(); signals],
            absent: vec![NoData::NeverScraped; signals],
            read_at: vec![Instant::ZERO; signals],
            across: vec![BTreeMap::new(); signals],
            history: vec![BTreeMap::new(); signals],
            frozen: Vec::new(),
            rules: plan.rules.iter().map(rule).collect(),
            stage: None,
            plan,
        };
        oracle.read_all(Instant::ZERO, |_, _| true);
        oracle
    }

    pub(crate) fn readings(&self, signal: usize) -> &BTreeMap<String, Reading> {
        &self.readings[signal]
    }

    /// A reading in a group; what is not read by labels reads the same in all.
    pub(crate) fn reading_in(&self, signal: usize, group: &str) -> Reading {
        let group = if self.plan.signals[signal].by.is_empty() { ALL } else { group };
        let absent = Reading::NoData(self.absent[signal]);
        self.readings[signal].get(group).copied().unwrap_or(absent)
    }

    pub(crate) fn standing(&self, rule: usize) -> RuleStanding {
        self.rules[rule].standing
    }

    /// A scrape is taken in.
    pub(crate) fn observe(&mut self, target: usize, attempt: Attempt) {
        self.catch_up(attempt.at);
        let (at, read) = (attempt.at, attempt.lines.is_some());
        if let Some((mut page, samples)) = known(&self.plan, target, &attempt, &self.known[target])
        {
            for signal in 0..self.plan.signals.len() {
                let stale = self.stale(signal, &self.plan.targets[target]);
                page.mean(&self.plan.signals[signal], &samples, stale);
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

    /// The deployment goes over to a stage.
    pub(crate) fn enter(&mut self, stage: Option<StageName>, at: Instant) {
        self.stage = stage;
        (0..self.plan.rules.len()).for_each(|rule| self.judge(rule, at, false));
    }

    /// A configuration is loaded that says the same as before.
    pub(crate) fn reload(&mut self, at: Instant) {
        self.read_all(at, |_, _| true);
        (0..self.plan.rules.len()).for_each(|rule| self.judge(rule, at, false));
    }

    /// The time in which several targets each have their turn to feed a signal: of its readings
    /// within that time one counts. Zero where there is only one target.
    fn turn(&self, signal: usize) -> Duration {
        let feeds = |target: &usize| self.is_news(signal, *target, true);
        let feeding: Vec<usize> = (0..self.plan.targets.len()).filter(feeds).collect();
        let intervals = feeding.iter().map(|target| self.plan.targets[*target].interval);
        if feeding.len() > 1 { intervals.min().unwrap() } else { Duration::ZERO }
    }

    /// The baselines as they would be frozen at an instant.
    pub(crate) fn measure(&self, at: Instant) -> Vec<Measured> {
        let mut all = Vec::new();
        for signal in &self.plan.signals {
            let SignalKind::Baseline { of, window, min_readings: needed } = signal.kind else {
                continue;
            };
            let none = BTreeMap::from([(ALL.to_owned(), Vec::new())]);
            let known = &self.history[of.0];
            for (group, history) in if known.is_empty() { &none } else { known } {
                let inside =
                    history.iter().filter(|(time, _)| *time <= at && at.since(*time) < window);
                let turn = self.turn(of.0);
                let (mut values, mut last) = (Vec::new(), None);
                for (time, reading) in inside {
                    let soon = last.is_some_and(|last| time.since(last) < turn - turn / 10);
                    if let (Reading::Value(value), false) = (reading, soon) {
                        values.push(*value);
                        last = Some(*time);
                    }
                }
                let readings = u32::try_from(values.len()).unwrap();
                all.push(Measured {
                    signal: self.plan.signals[of.0].name.to_string(),
                    group: group.clone(),
                    value: (readings > 0 && readings >= needed).then(|| median(values)),
                    readings,
                    needed,
                });
            }
        }
        all
    }

    /// A deployment is armed.
    pub(crate) fn freeze(&mut self, frozen: Vec<Measured>, at: Instant) {
        self.frozen = frozen;
        let plan = self.plan.clone();
        self.read_all(at, |signal, _| plan.signals[signal].kind.looks_back().is_some());
        (0..self.plan.rules.len()).for_each(|rule| self.judge(rule, at, false));
    }

    /// When time alone changes something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let expiries = (0..self.plan.signals.len()).flat_map(|signal| {
            let ahead =
                self.expiries(signal).into_iter().filter(move |e| *e >= self.read_at[signal]);
            ahead.map(|end| end.after(Duration::from_nanos(1)))
        });
        let rules = self.rules.iter().zip(&self.plan.rules).filter(|(twin, _)| twin.tried);
        let clocks = rules.flat_map(|(twin, rule)| {
            twin.clocks.values().filter_map(|(clock, verdict)| clock.deadline(rule, *verdict))
        });
        expiries.chain(clocks).min()
    }

    fn catch_up(&mut self, at: Instant) {
        let mut next = self.deadline();
        while let Some(time) = next.filter(|time| *time < at) {
            self.advance(time);
            next = self.deadline().filter(|next| *next > time);
        }
    }

    /// Whether a scrape of a target tells something of a signal; `read` is one that succeeded.
    pub(super) fn is_news(&self, signal: usize, target: usize, read: bool) -> bool {
        let (kind, target_of) = (&self.plan.signals[signal].kind, &self.plan.targets[target]);
        match kind {
            SignalKind::Value(_) => false,
            SignalKind::Up(name) => *name == target_of.name,
            // That there is no newer sample is what an age tells.
            SignalKind::Series { reduction: Reduction::Age(AgeOf::Sample), .. } => {
                concerns(kind, target_of)
            }
            SignalKind::Baseline { of, .. } | SignalKind::Before { of, .. } => {
                self.is_news(of.0, target, read)
            }
            SignalKind::Expr(expr) => {
                let mut news = false;
                expr.for_each_signal(&mut |inner| news |= self.is_news(inner.0, target, read));
                news
            }
            SignalKind::Series { .. } => read && concerns(kind, target_of),
        }
    }

    fn read_all(&mut self, at: Instant, due: impl Fn(usize, &Self) -> bool) {
        let plan = self.plan.clone();
        let mut changed = vec![false; plan.signals.len()];
        for (index, signal) in plan.signals.iter().enumerate() {
            changed[index] = due(index, self);
            signal.kind.for_each_signal(&mut |inner| changed[index] |= changed[inner.0]);
            if changed[index] {
                let groups = self.groups(index);
                self.across[index].retain(|group, _| groups.contains(group));
                let read = |group: String| (group.clone(), self.read(index, &group, at));
                self.readings[index] = groups.into_iter().map(read).collect();
                self.absent[index] = self.absence(index, at);
                self.read_at[index] = at;
                self.remember(index, at);
            }
        }
    }

    fn remember(&mut self, index: usize, at: Instant) {
        let Self { history, readings, .. } = self;
        history[index].retain(|group, _| readings[index].contains_key(group));
        for (group, reading) in &readings[index] {
            let history = history[index].entry(group.clone()).or_default();
            if history.last().is_some_and(|(last, _)| *last == at) {
                history.pop();
            }
            if history.last().is_none_or(|(last, _)| *last < at) {
                history.push((at, *reading));
            }
        }
    }

    pub(super) fn stale(&self, signal: usize, target: &Target) -> Duration {
        self.plan.signals[signal].stale.unwrap_or(target.interval * 3 + target.timeout)
    }

    /// When the samples of each target become too old for a signal, and what it looks back at.
    fn expiries(&self, index: usize) -> Vec<Instant> {
        let signal = &self.plan.signals[index];
        let mut ends = Vec::new();
        match &signal.kind {
            SignalKind::Series { reduction: Reduction::Age(AgeOf::Sample), .. } => return ends,
            SignalKind::Before { of, window } => {
                for history in self.history[of.0].values() {
                    let used = self.earlier(*of, *window, history, self.read_at[index]);
                    let reach = *window + self.stale_before(*of, *window);
                    ends.extend(used.map(|(time, _)| time.after(reach)));
                }
                return ends;
            }
            SignalKind::Up(name) => {
                let at = self.plan.targets.iter().position(|target| target.name == *name).unwrap();
                let last = self.attempts[at].last().map(|attempt| attempt.at);
                ends.extend(last.map(|last| last.after(self.stale(index, &self.plan.targets[at]))));
                return ends;
            }
            SignalKind::Series { .. } => {}
            SignalKind::Value(_) | SignalKind::Expr(_) | SignalKind::Baseline { .. } => {}
        }
        for (target, known) in self.plan.targets.iter().zip(&self.known) {
            if !concerns(&signal.kind, target) {
                continue;
            }
            for group in self.mentioned(index, known) {
                let closed = known.iter().rfind(|page| page.spoils(index, &group).is_none());
                let matched = known.iter().any(|page| page.matches(index, &group));
                let closed = closed.filter(|_| matched);
                ends.extend(closed.map(|page| page.at.after(self.stale(index, target))));
            }
        }
        ends
    }

    fn judge(&mut self, rule: usize, at: Instant, fresh: bool) {
        let plan = self.plan.clone();
        let terms = &plan.rules[rule];
        let read = plan.signals_of(terms);
        let tried = read.iter().any(|signal| {
            (0..self.attempts.len()).any(|target| {
                !self.attempts[target].is_empty() && self.is_news(signal.0, target, true)
            })
        });
        let by: Vec<usize> =
            read.iter().map(|ix| ix.0).filter(|ix| !plan.signals[*ix].by.is_empty()).collect();
        let mut groups: Vec<String> =
            by.iter().flat_map(|ix| self.readings[*ix].keys().cloned()).collect();
        groups.extend(by.is_empty().then(|| ALL.to_owned()));
        groups.sort();
        groups.dedup();
        let mut before = std::mem::take(&mut self.rules[rule].clocks);
        for group in groups {
            // A group that is gone took its clock along.
            let clock = before.remove(&group).map(|(clock, _)| clock).unwrap_or_default();
            let verdict = self.verdict_in(terms, &group);
            self.rules[rule].clocks.insert(group, (clock, verdict));
        }
        let twin = &mut self.rules[rule];
        let known = twin.clocks.values().any(|(_, v)| !matches!(v, Verdict::NoData(_)));
        twin.tried = tried || known;
        let applies = terms.stages.is_empty()
            || self.stage.as_ref().is_some_and(|stage| terms.stages.contains(stage));
        if !applies {
            twin.clocks.values_mut().for_each(|(clock, _)| *clock = Clock::default());
            twin.standing = RuleStanding::Inactive;
        } else if twin.tried {
            for (clock, verdict) in twin.clocks.values_mut() {
                clock.judge(terms, Judged { at, verdict: *verdict, fresh });
            }
            twin.standing = twin.stands(terms.quorum);
        }
    }

    /// What a condition says; over groups it must hold in every one.
    pub(crate) fn verdict(&self, cond: &Cond) -> Verdict {
        let mut groups: Vec<String> = Vec::new();
        let mut grouped = false;
        cond.for_each_signal(&mut |ix| {
            for ix in self.plan.signals_below(ix) {
                let is_grouped = !self.plan.signals[ix.0].by.is_empty();
                grouped |= is_grouped;
                groups.extend(self.readings[ix.0].keys().filter(|_| is_grouped).cloned());
            }
        });
        groups.extend((!grouped).then(|| ALL.to_owned()));
        groups.sort();
        groups.dedup();
        let reading = |group: &str| verdict(cond, &|signal| self.reading_in(signal, group));
        let verdicts: Vec<Verdict> = groups.iter().map(|group| reading(group)).collect();
        let absent = verdicts.iter().find(|verdict| matches!(verdict, Verdict::NoData(_)));
        match absent {
            _ if verdicts.is_empty() => Verdict::NoData(NoData::NoSeries),
            _ if verdicts.contains(&Verdict::Fails) => Verdict::Fails,
            Some(absent) => *absent,
            None => Verdict::Holds,
        }
    }

    fn verdict_in(&self, rule: &Rule, group: &str) -> Verdict {
        let reading = |signal: usize| self.reading_in(signal, group);
        match rule.given.as_ref().map(|given| verdict(&given.cond, &reading)) {
            Some(Verdict::Fails) => Verdict::NoData(NoData::EvidenceTooThin),
            Some(Verdict::NoData(why)) => Verdict::NoData(why),
            Some(Verdict::Holds) | None => verdict(&rule.when.cond, &reading),
        }
    }
}

impl RuleTwin {
    /// What enough of the groups have reached.
    fn stands(&self, quorum: Quorum) -> RuleStanding {
        let standings: Vec<_> = self.clocks.values().map(|(clock, _)| clock.standing()).collect();
        let needed = match quorum {
            Quorum::Any => 1,
            Quorum::All => standings.len().max(1),
            Quorum::AtLeast(groups) => groups as usize,
        };
        let firing = standings.iter().filter(|each| **each == RuleStanding::Firing).count();
        let begun = standings.iter().filter(|each| **each != RuleStanding::Inactive).count();
        match (firing >= needed, begun >= needed) {
            (true, _) => RuleStanding::Firing,
            (false, true) => RuleStanding::Pending,
            (false, false) => RuleStanding::Inactive,
        }
    }
}
