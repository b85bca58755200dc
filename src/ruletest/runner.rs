//! Plays a test from its first scrape to its last. Expectations are looked at while it goes on, so
//! that a day takes no more memory than a minute. Where one is not met the test is played a second
//! time for the readings around that instant: the core is deterministic, so they are the same.

use std::time::Duration;

use crate::engine::view::snapshot::{SignalStatus, Snapshot};
use crate::model::time::format_duration;

use super::check::{TestView, compare, is_met, rule, verdict_of};
use super::harness::Harness;
use super::result::{Aspect, CaseResult, Miss, Row, RuleRow};
use super::script::{Expectation, ExpectedFact, TestCase, When};

/// How many scrapes before an instant at which something went wrong are shown, and how many after.
const BEFORE: u32 = 3;
const AFTER: u32 = 2;

/// The most instants that are shown: with several targets something happens between two scrapes.
const MAX_ROWS: usize = 8;

/// Plays a test.
pub fn play(case: &TestCase) -> CaseResult {
    let mut watches: Vec<ExpectationCheck<'_>> =
        case.expects.iter().map(ExpectationCheck::new).collect();
    let scrapes = each_instant(case, |at, stage| {
        if watches.iter().any(|watch| watch.looks_at(at)) {
            let snapshot = stage.snapshot();
            let observed = TestView { snapshot: &snapshot, decisions: stage.decisions() };
            watches.iter_mut().for_each(|watch| watch.look(at, &observed));
        }
    });
    let mut missed: Vec<(&Expectation, Miss)> =
        watches.into_iter().filter_map(ExpectationCheck::miss).collect();
    if !missed.is_empty() {
        look_around(case, &mut missed);
    }
    let failures = missed.into_iter().map(|(_, miss)| miss).collect();
    let (name, line) = (case.name.clone(), case.line);
    CaseResult { name, line, virtual_ms: millis(case.end), scrapes, failures }
}

/// Calls `see` after everything that happens at each instant; answers the number of scrapes.
fn each_instant(case: &TestCase, mut see: impl FnMut(Duration, &Harness<'_>)) -> u64 {
    let mut stage = Harness::new(case);
    let mut stops: Vec<Duration> = Vec::new();
    for expect in &case.expects {
        let (from, to) = expect.when.reach();
        stops.extend([from, to]);
    }
    stops.sort_unstable();
    let mut at = Duration::ZERO;
    loop {
        stage.happen(at);
        see(at, &stage);
        let stop = stops[stops.partition_point(|stop| *stop <= at)..].first().copied();
        match stage.next().into_iter().chain(stop).min() {
            Some(next) if next <= case.end => at = next,
            Some(_) | None => return stage.scrapes(),
        }
    }
}

/// One expectation, while the test goes on.
struct ExpectationCheck<'c> {
    expect: &'c Expectation,
    state: CheckState,
}

enum CheckState {
    /// Nothing is known yet; whether it was met at the instant before.
    Open { before: bool },
    /// It is met, whatever comes.
    Met,
    /// It is not, whatever comes.
    Missed { at: Duration, why: String, aspects: Vec<Aspect> },
}

impl<'c> ExpectationCheck<'c> {
    const fn new(expect: &'c Expectation) -> Self {
        Self { expect, state: CheckState::Open { before: false } }
    }

    /// Whether what is seen at this instant matters.
    fn looks_at(&self, at: Duration) -> bool {
        let CheckState::Open { .. } = self.state else { return false };
        match self.expect.when {
            When::At(when) => at == when,
            When::Between(_, to) => at <= to,
            When::Throughout(from, to) => (from..=to).contains(&at),
        }
    }

    fn look(&mut self, at: Duration, observed: &TestView<'_>) {
        if !self.looks_at(at) {
            return;
        }
        let met = is_met(self.expect, observed);
        match self.expect.when {
            When::At(_) if met => self.state = CheckState::Met,
            When::At(_) => self.state = self.missed(at, "not as expected".to_owned(), observed),
            When::Throughout(_, to) if met && at == to => self.state = CheckState::Met,
            When::Throughout(..) if met => {}
            When::Throughout(..) => {
                let why = format!("not as expected at {}", instant(at));
                self.state = self.missed(at, why, observed);
            }
            When::Between(from, _) if at < from => self.look_before(at, met, observed),
            When::Between(from, to) => self.look_within(at, (from, to), met, observed),
        }
    }

    /// An instant before the time at which it should become so.
    fn look_before(&mut self, at: Duration, met: bool, observed: &TestView<'_>) {
        self.state = CheckState::Open { before: met };
        if met && self.expect.is_final() {
            let why = format!("too early, at {}", instant(at));
            self.state = self.missed(at, why, observed);
        }
    }

    fn look_within(
        &mut self,
        at: Duration,
        (from, to): (Duration, Duration),
        met: bool,
        observed: &TestView<'_>,
    ) {
        let CheckState::Open { before } = self.state else { return };
        if before {
            let why = format!("it was so already before {}", format_duration(from));
            self.state = self.missed(at, why, observed);
        } else if met {
            self.state = CheckState::Met;
        } else if at == to {
            self.state = self.missed(at, "it never became so".to_owned(), observed);
        }
    }

    fn missed(&self, at: Duration, why: String, observed: &TestView<'_>) -> CheckState {
        CheckState::Missed { at, why, aspects: compare(self.expect, observed) }
    }

    fn miss(self) -> Option<(&'c Expectation, Miss)> {
        let expect = self.expect;
        let (at, why, aspects) = match self.state {
            CheckState::Met => return None,
            CheckState::Missed { at, why, aspects } => (at, why, aspects),
            // Every time lies within the test, so each was looked at.
            CheckState::Open { .. } => {
                (expect.when.reach().1, "the test ended before that".to_owned(), Vec::new())
            }
        };
        let (when, rule) = (expect.when.to_string(), expect.rule.clone());
        let (line, around) = (expect.line, Vec::new());
        Some((expect, Miss { line, when, rule, at_ms: millis(at), why, aspects, around }))
    }
}

/// Plays the test again for the readings around what went wrong.
fn look_around(case: &TestCase, missed: &mut [(&Expectation, Miss)]) {
    let interval = case.plan.targets.iter().map(|target| target.interval).max();
    let interval = interval.unwrap_or(Duration::from_secs(1));
    let wanted: Vec<(u64, u64)> = missed
        .iter()
        .map(|(_, miss)| {
            let from = miss.at_ms.saturating_sub(millis(interval * BEFORE));
            (from, miss.at_ms.saturating_add(millis(interval * AFTER)))
        })
        .collect();
    let mut rows: Vec<Vec<Row>> = vec![Vec::new(); missed.len()];
    each_instant(case, |at, stage| {
        let near = |(from, to): &(u64, u64)| (*from..=*to).contains(&millis(at));
        if !wanted.iter().any(near) {
            return;
        }
        let snapshot = stage.snapshot();
        for (((expect, _), window), rows) in missed.iter().zip(&wanted).zip(&mut rows) {
            if near(window) {
                rows.push(row(at, expect, &snapshot));
            }
        }
    });
    for ((_, miss), mut rows) in missed.iter_mut().zip(rows) {
        rows.dedup_by_key(|row| row.at_ms);
        let here = rows.iter().position(|row| row.at_ms >= miss.at_ms).unwrap_or(0);
        let first = (here + AFTER as usize + 1).saturating_sub(MAX_ROWS);
        miss.around = rows.into_iter().skip(first).take(MAX_ROWS).collect();
    }
}

fn row(at: Duration, expect: &Expectation, snapshot: &Snapshot) -> Row {
    let rule = expect.rule.as_ref().and_then(|name| rule(snapshot, name));
    let told = rule.map(|rule| RuleRow {
        state: rule.evidence.state,
        held_ms: rule.evidence.held_ms,
        verdict: verdict_of(rule).to_owned(),
        no_data: rule.no_data.clone(),
    });
    let named = |signal: &&SignalStatus| {
        let name = &signal.reading.signal;
        let asked = expect
            .facts
            .iter()
            .any(|fact| matches!(fact, ExpectedFact::Signal(asked, ..) if asked == name));
        asked || rule.is_some_and(|rule| rule.evidence.signals.iter().any(|s| s.signal == *name))
    };
    let mut signals: Vec<_> = snapshot.signals.iter().filter(named).cloned().collect();
    if signals.is_empty() {
        signals.clone_from(&snapshot.signals);
    }
    Row { at_ms: millis(at), rule: told, signals }
}

fn instant(at: Duration) -> String {
    format_duration(Duration::from_millis(millis(at)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
