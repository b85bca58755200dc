//! Plays a test from its first scrape to its last. Expectations are looked at while it goes on, so
//! that a day takes no more memory than a minute. Where one is not met the test is played a second
//! time for the readings around that instant: the core is deterministic, so they are the same.

use std::time::Duration;

use crate::engine::view::snapshot::{SignalStatus, Snapshot};
use crate::model::time::{format_duration, millis};

use super::check::{TestView, compare, is_final, rule, verdict_of};
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
    let watch = |expect| ExpectationCheck { expect, before: false, settled: None };
    let mut watches: Vec<_> = case.expects.iter().map(watch).collect();
    let scrapes = each_instant(case, |at, stage| {
        let mut view = None;
        for watch in watches.iter_mut().filter(|watch| watch.looks_at(at)) {
            watch.look(at, view.get_or_insert_with(|| stage.view()));
        }
    });
    let mut missed: Vec<_> = watches.into_iter().filter_map(ExpectationCheck::end).collect();
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
    let stops = case.expects.iter().flat_map(|expect| expect.when.reach());
    let mut stops: Vec<Duration> = stops.collect();
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
    /// Whether it was met at the instant before.
    before: bool,
    /// What is certain, whatever comes: it is met, or missed.
    settled: Option<Option<Miss>>,
}

impl<'c> ExpectationCheck<'c> {
    /// Whether what is seen at this instant matters.
    fn looks_at(&self, at: Duration) -> bool {
        self.settled.is_none()
            && match self.expect.when {
                When::At(when) => at == when,
                When::Between(_, to) => at <= to,
                When::Throughout(from, to) => (from..=to).contains(&at),
            }
    }

    fn look(&mut self, at: Duration, observed: &TestView<'_>) {
        let aspects = compare(self.expect, observed);
        let met = aspects.iter().all(|aspect| aspect.met);
        let why = match self.expect.when {
            When::Throughout(_, to) if met && at < to => return,
            When::Between(from, _) if at < from && !(met && is_final(self.expect)) => {
                self.before = met;
                return;
            }
            When::Between(from, _) if at < from => format!("too early, at {}", format_duration(at)),
            When::Between(from, _) if self.before => {
                format!("it was so already before {}", format_duration(from))
            }
            When::At(_) | When::Throughout(..) | When::Between(..) if met => {
                self.settled = Some(None);
                return;
            }
            When::At(_) => "not as expected".to_owned(),
            When::Throughout(..) => format!("not as expected at {}", format_duration(at)),
            When::Between(_, to) if at < to => return,
            When::Between(..) => "it never became so".to_owned(),
        };
        self.settled = Some(Some(self.miss(at, why, aspects)));
    }

    fn miss(&self, at: Duration, why: String, aspects: Vec<Aspect>) -> Miss {
        let Expectation { line, when, rule, .. } = self.expect;
        let (line, when, rule, at_ms) = (*line, when.to_string(), rule.clone(), millis(at));
        Miss { line, when, rule, at_ms, why, aspects, around: Vec::new() }
    }

    fn end(mut self) -> Option<(&'c Expectation, Miss)> {
        let settled = self.settled.take();
        let miss = settled.unwrap_or_else(|| {
            // Every time lies within the test, so each was looked at.
            let why = "the test ended before that".to_owned();
            Some(self.miss(self.expect.when.reach()[1], why, Vec::new()))
        });
        Some((self.expect, miss?))
    }
}

/// Plays the test again for the readings around what went wrong.
fn look_around(case: &TestCase, missed: &mut [(&Expectation, Miss)]) {
    let interval = case.plan.targets.iter().map(|target| target.interval).max();
    let interval = interval.unwrap_or(Duration::from_secs(1));
    let (before, after) = (millis(interval * BEFORE), millis(interval * AFTER));
    each_instant(case, |at, stage| {
        let mut view = None;
        for (expect, miss) in &mut *missed {
            let window = miss.at_ms.saturating_sub(before)..=miss.at_ms.saturating_add(after);
            if window.contains(&millis(at)) {
                let view = view.get_or_insert_with(|| stage.view());
                miss.around.push(row(at, expect, &view.snapshot));
            }
        }
    });
    for (_, miss) in missed {
        let rows = &mut miss.around;
        rows.dedup_by_key(|row| row.at_ms);
        let here = rows.iter().position(|row| row.at_ms >= miss.at_ms).unwrap_or(0);
        let first = (here + AFTER as usize + 1).saturating_sub(MAX_ROWS);
        miss.around = miss.around.drain(..).skip(first).take(MAX_ROWS).collect();
    }
}

fn row(at: Duration, expect: &Expectation, snapshot: &Snapshot) -> Row {
    let rule = expect.rule.as_ref().and_then(|name| rule(snapshot, name));
    let told = rule.map(|rule| RuleRow {
        state: rule.evidence.state,
        held_ms: rule.evidence.held_ms,
        verdict: verdict_of(rule),
        no_data: rule.no_data.clone(),
    });
    let named = |signal: &&SignalStatus| {
        let name = &signal.reading.signal;
        let asked = expect
            .facts
            .iter()
            .any(|fact| matches!(fact, ExpectedFact::Signal(asked, _) if asked.signal == *name));
        asked || rule.is_some_and(|rule| rule.evidence.signals.iter().any(|s| s.signal == *name))
    };
    let mut signals: Vec<_> = snapshot.signals.iter().filter(named).cloned().collect();
    if signals.is_empty() {
        signals.clone_from(&snapshot.signals);
    }
    Row { at_ms: millis(at), rule: told, signals }
}
