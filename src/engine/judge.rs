//! The judge: takes in scrapes, keeps every signal's reading and every rule's state. It knows
//! nothing of deployments and never decides to act.

use std::sync::Arc;
use std::time::Duration;

use crate::model::condition::Cond;
use crate::model::entry::RuleStanding;
use crate::model::place::{RuleIx, SignalIx, TargetIx};
use crate::model::plan::Plan;
use crate::model::reading::{NoData, Reading, Verdict};
use crate::model::rule::{OnNoData, Rule};
use crate::model::scrape::Scrape;
use crate::model::signal::{Over, SignalKind};
use crate::model::time::Instant;

use super::condition;
use super::feed::Feed;
use super::over::OverWindow;
use super::readings::{self, Tracks};
use super::rule::{Judgement, State, Terms};
use super::same::same_signals;

/// How late a deadline may be kept. A turn of the loop takes milliseconds; a disk that hangs, or a
/// machine that stood still, takes longer than this.
const HELD_UP: Duration = Duration::from_secs(1);

/// Readings and rule states, and the windows behind them.
#[derive(Clone, Debug)]
pub struct Judge {
    plan: Arc<Plan>,
    feeds: Vec<Feed>,
    signals: Vec<SignalState>,
    rules: Vec<RuleState>,
}

#[derive(Clone, Debug)]
struct SignalState {
    /// Where its tracks are: target and place there.
    tracks: Vec<(usize, usize)>,
    over: Option<OverWindow>,
    reading: Reading,
    /// When its newest samples will be too old.
    expires: Option<Instant>,
    /// The targets that it depends on, directly or through other signals.
    fed_by: Vec<bool>,
    /// Those of them of which it asks whether they are up.
    asks_after: Vec<bool>,
    rules: Vec<usize>,
}

/// A rule's state and its last verdict.
#[derive(Clone, Debug)]
pub(crate) struct RuleState {
    pub(crate) state: State,
    pub(crate) verdict: Verdict,
    /// When it last had a verdict on something freshly observed.
    pub(crate) judged: Option<Instant>,
    terms: Terms,
    /// The targets that feed its signals.
    pub(crate) fed_by: Vec<bool>,
    /// When somebody was there to look again, after a time in which nobody was.
    resumed: Instant,
}

impl RuleState {
    /// Before anybody has tried to look, absence means nothing, not even as a breach.
    fn is_untried(&self, feeds: &[Feed]) -> bool {
        let newest = |feed: &Feed| feed.last.is_some_and(|(at, _)| at >= self.resumed);
        let tried = |(feed, fed): (&Feed, &bool)| *fed && newest(feed);
        matches!(self.verdict, Verdict::NoData(_)) && !feeds.iter().zip(&self.fed_by).any(tried)
    }
}

impl Judge {
    /// A judge that has seen nothing.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let feeds: Vec<Feed> =
            (0..plan.targets.len()).map(|target| Feed::new(&plan, TargetIx(target))).collect();
        let mut judge = Self { plan: plan.clone(), feeds, signals: Vec::new(), rules: Vec::new() };
        for index in 0..plan.signals.len() {
            let signal = judge.signal_state(SignalIx(index));
            judge.signals.push(signal);
        }
        for rule in &plan.rules {
            let fed_by = judge.fed_by(&plan.signals_of(rule));
            let verdict = Verdict::NoData(NoData::NeverScraped);
            let rule = RuleState {
                state: State::Inactive,
                verdict,
                judged: None,
                terms: rule.into(),
                fed_by,
                resumed: Instant::ZERO,
            };
            judge.rules.push(rule);
        }
        for (index, rule) in plan.rules.iter().enumerate() {
            for signal in plan.signals_of(rule) {
                judge.signals[signal.0].rules.push(index);
            }
        }
        // No scrape will ever be news to arithmetic over constants alone.
        judge.refresh(|_| true, Instant::ZERO);
        judge
    }

    fn signal_state(&self, ix: SignalIx) -> SignalState {
        let kind = &self.plan.signal(ix).kind;
        let mut tracks = Vec::new();
        for (target, feed) in self.feeds.iter().enumerate() {
            let places = feed.tracks.iter().enumerate().filter(|(_, track)| track.signal == ix);
            tracks.extend(places.map(|(place, _)| (target, place)));
        }
        let mut fed_by = vec![false; self.feeds.len()];
        tracks.iter().for_each(|(target, _)| fed_by[*target] = true);
        let mut asks_after = vec![false; self.feeds.len()];
        if let SignalKind::Up(name) = kind
            && let Some(target) = self.plan.targets.iter().position(|t| t.name == *name)
        {
            (fed_by[target], asks_after[target]) = (true, true);
        }
        if let SignalKind::Expr(expr) = kind {
            expr.for_each_signal(&mut |inner| {
                add(&mut fed_by, &self.signals[inner.0].fed_by);
                add(&mut asks_after, &self.signals[inner.0].asks_after);
            });
        }
        let over = match kind {
            SignalKind::Gauge { over, .. } if *over != Over::Last => {
                let targets = tracks.iter().map(|(target, _)| &self.plan.targets[*target]);
                let spacing = targets.filter(|t| t.sharpen.is_some()).map(|t| t.interval).max();
                Some(OverWindow::new(*over, spacing.unwrap_or_default()))
            }
            SignalKind::Gauge { .. } | SignalKind::Rate { .. } | SignalKind::Increase { .. } => {
                None
            }
            SignalKind::Ratio { .. } | SignalKind::Quantile { .. } | SignalKind::Mean { .. } => {
                None
            }
            SignalKind::Up(_) | SignalKind::Value(_) | SignalKind::Expr(_) => None,
        };
        let reading = Reading::NoData(NoData::NeverScraped);
        SignalState { tracks, over, reading, expires: None, fed_by, asks_after, rules: Vec::new() }
    }

    /// The targets that feed any of these signals.
    pub(crate) fn fed_by(&self, signals: &[SignalIx]) -> Vec<bool> {
        let mut fed_by = vec![false; self.feeds.len()];
        for signal in signals {
            add(&mut fed_by, &self.signals[signal.0].fed_by);
        }
        fed_by
    }

    /// A judge of another plan that keeps what is known: the series and windows of unchanged
    /// targets and signals, and the states of unchanged rules.
    #[must_use]
    pub fn reloaded(self, plan: Arc<Plan>, at: Instant) -> Self {
        let mut next = Self::new(plan.clone());
        let same = same_signals(&self.plan, &plan);
        let old_plan = self.plan.clone();
        for (feed, target) in self.feeds.into_iter().zip(&old_plan.targets) {
            if let Some(place) = plan.targets.iter().position(|t| t == target) {
                next.feeds[place].inherit(feed, |signal| same[signal].map(|before| before.0));
            }
        }
        for (signal, before) in same.iter().enumerate() {
            if let Some(before) = before {
                next.signals[signal].over = self.signals[before.0].over.clone();
            }
        }
        for (rule, state) in plan.rules.iter().zip(&mut next.rules) {
            let named = old_plan.rules.iter().position(|old| old.name == rule.name);
            let unchanged = named.filter(|before| {
                let signals = plan.signals_of(rule);
                alike(&old_plan.rules[*before], rule)
                    && signals.iter().all(|signal| same[signal.0].is_some())
            });
            if let Some(before) = unchanged {
                state.state = self.rules[before].state;
            }
        }
        next.refresh(|_| true, at);
        next.rejudge(|_| true, at, Judgement::Again);
        let Self { rules, feeds, .. } = &mut next;
        let untried = rules.iter_mut().filter(|rule| rule.is_untried(feeds));
        untried.for_each(|rule| rule.state.interrupt());
        next
    }

    /// Takes in a scrape and judges every rule that it can move.
    pub fn observe(&mut self, scrape: &Scrape) {
        let target = scrape.target.0;
        if target >= self.feeds.len() {
            return;
        }
        self.catch_up(scrape.at);
        self.feeds[target].take(scrape);
        let fresh: Vec<bool> =
            (0..self.signals.len()).map(|ix| self.is_fed(SignalIx(ix), scrape)).collect();
        self.refresh(|signal| fresh[signal], scrape.at);
        let mut touched = vec![false; self.rules.len()];
        for (_, signal) in self.signals.iter().enumerate().filter(|(ix, _)| fresh[*ix]) {
            signal.rules.iter().for_each(|rule| touched[*rule] = true);
        }
        self.rejudge(|rule| touched[rule], scrape.at, Judgement::Fresh);
        if scrape.result.is_err() {
            // Those for whom absence counts have a first sight of it here.
            let plan = self.plan.clone();
            let breach = |rule: usize| plan.rules[rule].on_no_data == OnNoData::Breach;
            self.rejudge(|rule| breach(rule) && !touched[rule], scrape.at, Judgement::Again);
        }
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
                rule.state.interrupt();
                rule.resumed = now;
            }
        }
        self.advance(now);
    }

    /// Lets time pass: samples become too old, holds run out.
    pub fn advance(&mut self, at: Instant) {
        let expired: Vec<bool> =
            self.signals.iter().map(|s| s.expires.is_some_and(|time| time < at)).collect();
        if expired.contains(&true) {
            self.refresh(|signal| expired[signal], at);
        }
        self.rejudge(|_| true, at, Judgement::Again);
    }

    /// Reads signals anew; those computed from others come after them in the plan.
    fn refresh(&mut self, which: impl Fn(usize) -> bool, at: Instant) {
        let plan = self.plan.clone();
        let mut changed = vec![false; self.signals.len()];
        for index in 0..self.signals.len() {
            let mut due = which(index);
            if let SignalKind::Expr(expr) = &plan.signals[index].kind {
                expr.for_each_signal(&mut |inner| due |= changed[inner.0]);
            }
            if due {
                changed[index] = true;
                let (reading, expires) = self.read(SignalIx(index), at);
                self.signals[index].reading = reading;
                self.signals[index].expires = expires.filter(|expires| *expires >= at);
            }
        }
    }

    fn read(&mut self, ix: SignalIx, at: Instant) -> (Reading, Option<Instant>) {
        let plan = self.plan.clone();
        let kind = &plan.signal(ix).kind;
        let signal = &self.signals[ix.0];
        let tracks: Tracks<'_> =
            signal.tracks.iter().map(|(feed, track)| &self.feeds[*feed].tracks[*track]).collect();
        // What is silent already has expired; the others still may.
        let expiries = tracks.iter().filter_map(|track| track.expires());
        let expires = expiries.filter(|expires| *expires >= at).min();
        let sampled = tracks.iter().filter_map(|track| track.last_close()).max();
        let reading = match kind {
            SignalKind::Value(value) => Reading::Value(*value),
            SignalKind::Up(_) => return self.read_up(ix, at),
            SignalKind::Expr(expr) => {
                condition::number(expr, &|inner| self.signals[inner.0].reading)
            }
            SignalKind::Quantile { .. } if !readings::has_buckets(&tracks) => {
                readings::summary_quantile(&tracks, at)
            }
            SignalKind::Gauge { across, .. } => readings::across(*across, &tracks, at),
            SignalKind::Rate { .. }
            | SignalKind::Increase { .. }
            | SignalKind::Ratio { .. }
            | SignalKind::Mean { .. }
            | SignalKind::Quantile { .. } => readings::over_counters(kind, &tracks, at),
        };
        let reading = match (reading, &mut self.signals[ix.0].over) {
            // As of the newest sample: looking again adds nothing.
            (now, Some(window)) => readings::over_time(window, now, sampled.unwrap_or(at)),
            (now, None) => now,
        };
        (reading, expires)
    }

    fn read_up(&self, ix: SignalIx, at: Instant) -> (Reading, Option<Instant>) {
        let signal = &self.signals[ix.0];
        let target = signal.fed_by.iter().position(|fed| *fed);
        let Some((target, feed)) = target.map(|t| (&self.plan.targets[t], &self.feeds[t])) else {
            return (Reading::NoData(NoData::NoSeries), None);
        };
        let stale = self.plan.signal(ix).stale.unwrap_or_else(|| target.stale());
        match feed.last {
            None => (Reading::NoData(NoData::NeverScraped), None),
            Some((when, _)) if at.since(when) > stale => (Reading::NoData(NoData::Stale), None),
            Some((when, Ok(()))) => (Reading::Value(1.0), Some(when.after(stale))),
            Some((when, Err(()))) => (Reading::Value(0.0), Some(when.after(stale))),
        }
    }

    fn rejudge(&mut self, which: impl Fn(usize) -> bool, at: Instant, how: Wrap) {
        for index in (0..self.rules.len()).filter(|rule| which(*rule)) {
            let verdict = self.judge_rule(&self.plan.rules[index]);
            let feeds = &self.feeds;
            let rule = &mut self.rules[index];
            rule.verdict = verdict;
            if matches!(how(verdict), Judgement::Fresh(Verdict::Holds | Verdict::Fails)) {
                rule.judged = Some(at);
            }
            if !rule.is_untried(feeds) {
                rule.state.judge(&rule.terms, at, how(verdict));
            }
        }
    }

    fn judge_rule(&self, rule: &Rule) -> Verdict {
        match rule.given.as_ref().map(|given| self.verdict(&given.cond)) {
            Some(Verdict::Fails) => Verdict::NoData(NoData::EvidenceTooThin),
            Some(Verdict::NoData(why)) => Verdict::NoData(why),
            Some(Verdict::Holds) | None => self.verdict(&rule.when.cond),
        }
    }

    /// What a condition says of the readings as they are.
    #[must_use]
    pub fn verdict(&self, cond: &Cond) -> Verdict {
        condition::verdict(cond, &|signal| self.reading(signal))
    }

    /// A signal's reading.
    #[must_use]
    pub fn reading(&self, signal: SignalIx) -> Reading {
        self.signals[signal.0].reading
    }

    /// A rule's state as a word.
    #[must_use]
    pub fn standing(&self, rule: RuleIx) -> RuleStanding {
        self.rules[rule.0].state.standing()
    }

    /// A rule's state and verdict.
    pub(crate) fn rule(&self, rule: RuleIx) -> &RuleState {
        &self.rules[rule.0]
    }

    /// Whether a rule's condition holds as far as can be seen now. One that fires may do so for a
    /// while after that, and for longer while nothing is seen.
    pub(crate) fn holds_now(&self, rule: RuleIx) -> bool {
        let state = self.rule(rule);
        match state.verdict {
            Verdict::Holds => true,
            Verdict::Fails => false,
            Verdict::NoData(_) if state.is_untried(&self.feeds) => false,
            Verdict::NoData(_) => self.plan.rule(rule).on_no_data == OnNoData::Breach,
        }
    }

    /// The plan that is judged by.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Whether a scrape is news to a condition: it fed one of its signals.
    #[must_use]
    pub fn is_news(&self, scrape: &Scrape, cond: &Cond) -> bool {
        let mut news = false;
        cond.for_each_signal(&mut |signal| news |= self.is_fed(signal, scrape));
        news
    }

    /// Whether a scrape fed a signal. A failed one is news only to those who ask whether the
    /// target is up.
    fn is_fed(&self, signal: SignalIx, scrape: &Scrape) -> bool {
        let signal = &self.signals[signal.0];
        let targets = if scrape.result.is_ok() { &signal.fed_by } else { &signal.asks_after };
        targets[scrape.target.0]
    }

    /// When time alone may change something.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        // A sample is too old once more than `stale` has passed.
        let just_after = |time: Instant| time.after(Duration::from_nanos(1));
        let expiries = self.signals.iter().filter_map(|signal| signal.expires.map(just_after));
        let tried = self.rules.iter().filter(|rule| !rule.is_untried(&self.feeds));
        let holds = tried.filter_map(|rule| rule.state.deadline(&rule.terms, rule.verdict));
        expiries.chain(holds).min()
    }

    /// A target that some rule needs and that has not answered for too long, or never.
    #[must_use]
    pub fn blind(&self, rule: RuleIx, at: Instant) -> Option<TargetIx> {
        let fed_by = &self.rules[rule.0].fed_by;
        let silent = |(ix, target): &(usize, &crate::model::target::Target)| {
            let last = self.feeds[*ix].last_success;
            fed_by[*ix] && last.is_none_or(|last| at.since(last) > target.stale())
        };
        self.plan.targets.iter().enumerate().find(silent).map(|(ix, _)| TargetIx(ix))
    }
}

/// Marks a verdict as fresh or not.
type Wrap = fn(Verdict) -> Judgement;

/// Adds the targets that `more` marks to those of `all`.
fn add(all: &mut [bool], more: &[bool]) {
    all.iter_mut().zip(more).for_each(|(all, more)| *all |= more);
}

/// Whether two rules of one name are the same sentence, so that a reload may keep the state.
fn alike(old: &Rule, new: &Rule) -> bool {
    let text = |rule: &Rule| -> (String, Option<String>) {
        (rule.when.text.clone(), rule.given.as_ref().map(|given| given.text.clone()))
    };
    text(old) == text(new) && Terms::from(old) == Terms::from(new)
}
