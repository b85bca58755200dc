//! The evaluator: takes in scrapes, keeps every signal's reading and every rule's state. It knows
//! nothing of deployments and never decides to act.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::model::condition::{Cond, Condition};
use crate::model::entry::{Frozen, RuleStanding};
use crate::model::group::Group;
use crate::model::index::{RuleIx, SignalIx, TargetIx};
use crate::model::name::{RuleName, StageName};
use crate::model::plan::Plan;
use crate::model::reading::{NoData, Reading, Telemetry, Verdict};
use crate::model::rule::{OnNoData, Quorum, Rule};
use crate::model::scrape::Scrape;
use crate::model::signal::Signal;
use crate::model::target::Target;
use crate::model::time::Instant;

use super::signals::{Inputs, Signals};
use super::state::{FiringTerms, GroupClocks, Judgement, RuleState};
use super::{condition, definition};
use crate::engine::ingest::target::TargetIngest;

/// How late a deadline may be kept. A turn of the loop takes milliseconds; a disk that hangs, or a
/// machine that stood still, takes longer than this.
const HELD_UP: Duration = Duration::from_secs(1);

/// Readings and rule states, and the windows behind them.
#[derive(Clone, Debug)]
pub struct Evaluator {
    plan: Arc<Plan>,
    targets: Vec<TargetIngest>,
    signals: Signals,
    rules: Vec<EvaluatedRule>,
    /// The stage that the deployment is in.
    stage: Option<StageName>,
}

/// A rule's state and its last verdict.
#[derive(Clone, Debug)]
pub(crate) struct EvaluatedRule {
    /// Its state over all groups.
    pub(crate) state: RuleState,
    /// What its condition says now.
    pub(crate) verdict: Verdict,
    /// When it last had a verdict on something freshly observed.
    pub(crate) judged: Option<Instant>,
    /// Samples for it were there once.
    seen: bool,
    /// Since when none of its readings is there.
    pub(crate) lost: Option<Instant>,
    /// Its clocks, one for each group.
    pub(crate) clocks: GroupClocks,
    terms: FiringTerms,
    /// The signals that it reads, directly and through others, and those that are sampled.
    signals: Vec<SignalIx>,
    sampled: Vec<SignalIx>,
    /// Those of them that are read by labels.
    grouped: Vec<SignalIx>,
    /// For each target whether it feeds the rule.
    pub(crate) fed_by: Vec<bool>,
    /// When the guard looked again, after a time in which it did not.
    resumed: Instant,
}

impl EvaluatedRule {
    fn new(plan: &Plan, rule: &Rule, signals: &Signals) -> Self {
        let read = plan.signals_of(rule);
        let those = |which: fn(&Signal) -> bool| -> Vec<SignalIx> {
            read.iter().copied().filter(|ix| which(plan.signal(*ix))).collect()
        };
        let grouped = those(|signal| !signal.by.is_empty());
        Self {
            state: RuleState::Inactive,
            verdict: Verdict::NoData(NoData::NeverScraped),
            judged: None,
            lost: None,
            seen: false,
            clocks: if grouped.is_empty() { GroupClocks::one() } else { GroupClocks::none() },
            terms: rule.into(),
            fed_by: signals.fed_by(plan.targets.len(), &read),
            sampled: those(|signal| signal.kind.is_sampled()),
            signals: read,
            grouped,
            resumed: Instant::ZERO,
        }
    }

    /// Before anybody has tried to look, absence means nothing, not even as a breach.
    fn is_untried(&self, targets: &[TargetIngest]) -> bool {
        let tried = |(target, fed): (&TargetIngest, &bool)| {
            *fed && target.last().is_some_and(|(at, _)| at >= self.resumed)
        };
        matches!(self.verdict, Verdict::NoData(_)) && !targets.iter().zip(&self.fed_by).any(tried)
    }
}

impl Evaluator {
    /// An evaluator that has seen nothing.
    pub fn new(plan: Arc<Plan>) -> Self {
        let targets = plan.targets.iter().map(|target| TargetIngest::new(&plan, target));
        let targets: Vec<TargetIngest> = targets.collect();
        let signals = Signals::new(&plan, &targets);
        let rules = plan.rules.iter().map(|rule| EvaluatedRule::new(&plan, rule, &signals));
        let rules: Vec<EvaluatedRule> = rules.collect();
        let mut evaluator = Self { plan, targets, signals, rules, stage: None };
        // Arithmetic over constants alone is fed by no scrape.
        evaluator.refresh(|_| true, Instant::ZERO);
        evaluator
    }

    /// The targets that feed any of these signals.
    pub(crate) fn fed_by(&self, signals: &[SignalIx]) -> Vec<bool> {
        self.signals.fed_by(self.targets.len(), signals)
    }

    /// An evaluator of another plan that keeps what is known: the series and windows of unchanged
    /// targets and signals, and the states of unchanged rules.
    #[must_use]
    pub fn reloaded(self, plan: Arc<Plan>, at: Instant) -> Self {
        let mut next = Self::new(plan.clone());
        let unchanged = definition::unchanged(&self.plan, &plan);
        let old_plan = self.plan.clone();
        next.targets.iter_mut().for_each(|target| target.begin(at));
        for (ingest, target) in self.targets.into_iter().zip(&old_plan.targets) {
            if let Some(place) = plan.targets.iter().position(|t| t == target) {
                next.targets[place].inherit(ingest, |signal| unchanged[signal.0]);
            }
        }
        next.signals.inherit(self.signals, &plan, &unchanged);
        next.stage = self.stage;
        for (rule, state) in plan.rules.iter().zip(&mut next.rules) {
            let named =
                old_plan.rules.iter().zip(&self.rules).find(|(old, _)| old.name == rule.name);
            if let Some((old, before)) = named
                && is_same_condition(old, rule)
                && state.signals.iter().all(|signal| unchanged[signal.0].is_some())
            {
                (state.state, state.clocks) = (before.state, before.clocks.clone());
                (state.seen, state.lost) = (before.seen, before.lost);
            }
        }
        next.refresh(|_| true, at);
        next.rejudge(|_| true, at, Judgement::Again);
        let Self { rules, targets, .. } = &mut next;
        let untried = rules.iter_mut().filter(|rule| rule.is_untried(targets));
        untried.for_each(interrupt);
        next
    }

    /// Takes in a scrape and judges every rule that it can move.
    pub fn observe(&mut self, scrape: &Scrape) {
        let target = scrape.target.0;
        if target >= self.targets.len() || self.is_late(scrape) {
            return;
        }
        self.catch_up(scrape.at);
        self.targets[target].take(scrape);
        let fresh = self.signals.fed(scrape);
        self.refresh(|signal| fresh[signal], scrape.at);
        let is_fresh = |rule: &EvaluatedRule| rule.signals.iter().any(|signal| fresh[signal.0]);
        let touched: Vec<bool> = self.rules.iter().map(is_fresh).collect();
        self.rejudge(|rule| touched[rule], scrape.at, Judgement::Fresh);
        if scrape.result.is_err() {
            // A rule for which absence counts sees it here for the first time.
            let plan = self.plan.clone();
            let breach = |rule: usize| plan.rules[rule].on_no_data == OnNoData::Breach;
            self.rejudge(|rule| breach(rule) && !touched[rule], scrape.at, Judgement::Again);
        }
    }

    /// Whether it is no newer than what was taken in from its target, or was begun before its
    /// target was. It would look like counters that fell and were set back, and what it says was
    /// over before what is known.
    pub(crate) fn is_late(&self, scrape: &Scrape) -> bool {
        self.targets.get(scrape.target.0).is_some_and(|target| target.is_late(scrape))
    }

    /// Lets the time before a scrape pass, deadline by deadline, as if each had been kept. The
    /// caller may have been held up, and time that nobody watched must not count.
    fn catch_up(&mut self, at: Instant) {
        let mut next = self.deadline();
        while let Some(deadline) = next.filter(|deadline| *deadline < at) {
            self.advance(deadline);
            next = self.deadline().filter(|next| *next > deadline);
        }
    }

    /// Lets time pass until now. Where that is long after the deadline the caller was held up, and
    /// what nobody looked for is not absent.
    pub(crate) fn wake(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| now.since(deadline) > HELD_UP) {
            for rule in &mut self.rules {
                interrupt(rule);
                rule.resumed = now;
            }
        }
        self.advance(now);
    }

    /// Lets time pass: samples become too old, holds run out.
    pub fn advance(&mut self, at: Instant) {
        let expired = self.signals.expired(at);
        if expired.contains(&true) {
            self.refresh(|signal| expired[signal], at);
        }
        self.rejudge(|_| true, at, Judgement::Again);
    }

    fn refresh(&mut self, which: impl Fn(usize) -> bool, at: Instant) {
        let inputs = Inputs { plan: &self.plan, targets: &self.targets, at };
        self.signals.refresh(inputs, which);
    }

    fn rejudge(
        &mut self,
        which: impl Fn(usize) -> bool,
        at: Instant,
        how: fn(Verdict) -> Judgement,
    ) {
        let Self { plan, targets, signals, rules, stage, .. } = self;
        for (index, state) in rules.iter_mut().enumerate().filter(|(rule, _)| which(*rule)) {
            let rule = &plan.rules[index];
            read(state, rule, signals, at);
            if !applies(rule, stage.as_ref()) {
                state.clocks.reset();
                state.state = RuleState::Inactive;
                continue;
            }
            if matches!(how(state.verdict), Judgement::Fresh(Verdict::Holds | Verdict::Fails)) {
                state.judged = Some(at);
            }
            if !state.is_untried(targets) {
                state.clocks.judge(&state.terms, at, how);
                state.state = state.clocks.state(rule.quorum, state.state, at);
            }
        }
    }

    /// Goes over to a stage: rules that are not for it rest, and those that are only for it begin.
    pub fn enter(&mut self, stage: Option<StageName>, at: Instant) {
        self.stage = stage;
        self.rejudge(|_| true, at, Judgement::Again);
    }

    /// Whether a rule is judged in the stage that the deployment is in.
    pub fn applies(&self, rule: RuleIx) -> bool {
        applies(self.plan.rule(rule), self.stage.as_ref())
    }

    /// The baselines as they are at `at`, to be frozen.
    pub fn baselines(&self, at: Instant) -> Vec<Frozen> {
        self.signals.measure(&self.plan, at)
    }

    /// Freezes baselines until others are.
    pub fn freeze(&mut self, frozen: &[Frozen], at: Instant) {
        self.signals.freeze(&self.plan, frozen);
        let plan = self.plan.clone();
        let is_baseline = |ix: usize| plan.signals[ix].kind.looks_back().is_some();
        self.refresh(is_baseline, at);
        self.rejudge(|_| true, at, Judgement::Again);
    }

    /// What a condition says of the readings as they are.
    ///
    /// Over signals that are read by labels it must hold in every group.
    pub fn verdict(&self, cond: &Cond) -> Verdict {
        let mut grouped = self.plan.reached(|add| cond.for_each_signal(&mut |ix| add(ix)));
        grouped.retain(|ix| !self.plan.signal(*ix).by.is_empty());
        if grouped.is_empty() {
            return condition::verdict(cond, &|signal| self.reading(signal));
        }
        let mut clocks = GroupClocks::none();
        clocks.set(self.signals.in_groups(&grouped, |group| {
            condition::verdict(cond, &|ix| self.reading_in(ix, group))
        }));
        clocks.verdict(Quorum::All, Verdict::NoData(NoData::NoSeries))
    }

    /// A signal's reading over everything.
    pub fn reading(&self, signal: SignalIx) -> Reading {
        self.signals.reading(signal)
    }

    /// A signal's reading in a group; one that is not read by labels has the same in all.
    pub fn reading_in(&self, signal: SignalIx, group: &Group) -> Reading {
        self.signals.reading_in(signal, group)
    }

    /// A signal's readings in the order of their groups; one that is not read by labels has one.
    pub fn readings(&self, signal: SignalIx) -> &[(Group, Reading)] {
        self.signals.groups(signal)
    }

    /// A rule's state as a word.
    pub fn standing(&self, rule: RuleIx) -> RuleStanding {
        self.rules[rule.0].state.standing()
    }

    /// A rule's state and verdict.
    pub(crate) fn rule(&self, rule: RuleIx) -> &EvaluatedRule {
        &self.rules[rule.0]
    }

    /// Whether a rule's condition holds as far as can be seen now. One that fires may do so for a
    /// while after that, and for longer while nothing is seen.
    pub(crate) fn holds_now(&self, rule: RuleIx) -> bool {
        self.counts_as_holding(rule, self.rule(rule).verdict)
    }

    /// Whether a rule fires for what holds as far as can be seen now.
    pub(crate) fn fires_now(&self, rule: RuleIx) -> bool {
        let holds = |verdict| self.counts_as_holding(rule, verdict);
        let clocks = &self.rule(rule).clocks;
        self.holds_now(rule) && clocks.fires_now(self.plan.rule(rule).quorum, holds)
    }

    fn counts_as_holding(&self, rule: RuleIx, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Holds => true,
            Verdict::Fails => false,
            Verdict::NoData(_) if self.rule(rule).is_untried(&self.targets) => false,
            Verdict::NoData(_) => self.plan.rule(rule).on_no_data == OnNoData::Breach,
        }
    }

    /// Samples for these rules were there once, though this evaluator never saw them.
    pub(crate) fn note_seen(&mut self, rules: &[RuleName]) {
        for (rule, state) in self.plan.rules.iter().zip(&mut self.rules) {
            state.seen |= rules.contains(&rule.name);
        }
    }

    /// The plan that is judged by.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The groups in which a rule is not inactive.
    pub(crate) fn active_groups(&self) -> HashSet<&Group> {
        let clocks = self.rules.iter().flat_map(|rule| rule.clocks.iter());
        let active = clocks.filter(|known| known.clock.state() != RuleState::Inactive);
        active.map(|known| &known.group).collect()
    }

    /// Whether a scrape is news to a condition: it fed one of its signals.
    pub fn is_news(&self, scrape: &Scrape, cond: &Cond) -> bool {
        let mut news = false;
        cond.for_each_signal(&mut |signal| news |= self.signals.is_fed(signal, scrape));
        news
    }

    /// When time alone may change something.
    pub fn deadline(&self) -> Option<Instant> {
        let tried = self.rules.iter().filter(|rule| !rule.is_untried(&self.targets));
        let holds = tried.filter_map(|rule| rule.clocks.deadline(&rule.terms));
        self.signals.deadline().into_iter().chain(holds).min()
    }

    /// A target that some rule needs and that has not answered for too long, or never.
    pub fn blind(&self, rule: RuleIx, at: Instant) -> Option<TargetIx> {
        let fed_by = &self.rule(rule).fed_by;
        let mut targets = self.plan.targets.iter().zip(&self.targets).zip(fed_by);
        let is_silent = |((target, ingest), fed): ((&Target, &TargetIngest), &bool)| {
            *fed && ingest.last_success().is_none_or(|last| at.since(last) > target.stale())
        };
        targets.position(is_silent).map(TargetIx)
    }
}

/// Whether a rule is judged in a stage.
fn applies(rule: &Rule, stage: Option<&StageName>) -> bool {
    rule.stages.is_empty() || stage.is_some_and(|stage| rule.stages.contains(stage))
}

/// What a rule looked at is gone: the time until it is seen again does not count.
fn interrupt(rule: &mut EvaluatedRule) {
    rule.clocks.interrupt();
    rule.state.interrupt();
}

/// Takes over what the readings say now.
fn read(known: &mut EvaluatedRule, rule: &Rule, signals: &Signals, at: Instant) {
    known.verdict = verdict_of(rule, &|ix| signals.reading(ix));
    if known.grouped.is_empty() {
        known.clocks.set_only(known.verdict);
    } else {
        let none = match known.verdict {
            Verdict::NoData(why) => Verdict::NoData(why),
            Verdict::Holds | Verdict::Fails => Verdict::NoData(NoData::NoSeries),
        };
        let verdict_in = |group: &Group| verdict_of(rule, &|ix| signals.reading_in(ix, group));
        known.clocks.set(signals.in_groups(&known.grouped, verdict_in));
        known.verdict = known.clocks.verdict(rule.quorum, none);
    }
    let telemetry = known.sampled.iter().map(|ix| signals.telemetry(*ix));
    let (least, most) = (telemetry.clone().min(), telemetry.max());
    known.seen |= least == Some(Telemetry::There);
    let lost = match least {
        None | Some(Telemetry::There) => false,
        Some(Telemetry::Absent | Telemetry::Lost) => known.seen || most == Some(Telemetry::Lost),
    };
    known.lost = if lost { known.lost.or(Some(at)) } else { None };
}

fn verdict_of(rule: &Rule, reading: &impl Fn(SignalIx) -> Reading) -> Verdict {
    match rule.given.as_ref().map(|given| condition::verdict(&given.cond, reading)) {
        Some(Verdict::Fails) => Verdict::NoData(NoData::EvidenceTooThin),
        Some(Verdict::NoData(why)) => Verdict::NoData(why),
        Some(Verdict::Holds) | None => condition::verdict(&rule.when.cond, reading),
    }
}

/// Whether two rules of one name say the same, so that a reload may keep the state.
fn is_same_condition(old: &Rule, new: &Rule) -> bool {
    let text = |condition: &Condition| condition.text.clone();
    let all = |rule: &Rule| {
        (text(&rule.when), rule.given.as_ref().map(text), FiringTerms::from(rule), rule.quorum)
    };
    all(old) == all(new) && old.stages == new.stages
}
