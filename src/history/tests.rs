//! Journals of any course: counts add up, and nothing that is not on record is known.

use proptest::prelude::*;

use super::*;
use crate::model::deployment::Mode;
use crate::model::entry::{
    Attempt, AttemptEvent, Caller, DaemonEvent, Decision, DeploymentBegun, DeploymentEvent,
    Entering, Entry, Event, Refusal, RollbackEvent, RuleEvent, RuleEvidence, RuleStanding,
    StepResult, Trigger,
};
use crate::model::name::{DeploymentId, HookName, RuleName, ServiceName, StageName, Version};
use crate::model::rule::{About, Severity};
use crate::model::time::Timestamp;

/// 2026-10-26T07:33:20Z, a Monday.
const START: i64 = 1_793_000_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

fn version(name: &str) -> Version {
    Version::new(name).unwrap()
}

fn entry(millis: i64, id: &str, event: Event) -> Entry {
    Entry { at: at(millis), deployment: Some(DeploymentId::new(id).unwrap()), event }
}

fn begun(name: &str) -> Event {
    Event::Deployment(DeploymentEvent::Begun(Box::new(DeploymentBegun {
        service: ServiceName::new("api").unwrap(),
        version: version(name),
        good: Some(version("v0")),
        mode: Mode::Auto,
        signals: Vec::new(),
        holding: Vec::new(),
        baselines: Vec::new(),
        irreversible: false,
        forced: false,
        by: Caller::Guard,
    })))
}

fn evidence(since: Option<i64>) -> RuleEvidence {
    RuleEvidence {
        rule: RuleName::new("error-rate").unwrap(),
        when: "error_rate > 5%".to_owned(),
        given: None,
        state: RuleStanding::Firing,
        for_ms: 3_000,
        held_ms: 3_000,
        since: since.map(at),
        severity: Severity::Critical,
        signals: Vec::new(),
        comparisons: Vec::new(),
        share: None,
        quorum: None,
        groups: Vec::new(),
        about: About::default(),
    }
}

fn decided(trigger: Trigger) -> Event {
    Event::Rollback(RollbackEvent::Decided(Box::new(Decision {
        trigger,
        hook: HookName::new("rollback").unwrap(),
        version: version("v1"),
        good: Some(version("v0")),
        approval: None,
        cure: String::new(),
        rules: Vec::new(),
        signals: Vec::new(),
    })))
}

fn by_rule(since: Option<i64>) -> Event {
    decided(Trigger::Rule(Box::new(evidence(since))))
}

fn by_person() -> Event {
    decided(Trigger::Person { reason: "lost orders".to_owned(), by: Caller::Guard })
}

fn outcome() -> Event {
    let attempt = Attempt::of(HookName::new("rollback").unwrap(), 0, 1);
    Event::Attempt(AttemptEvent::Outcome {
        attempt,
        result: StepResult::Done,
        output: String::new(),
        took_ms: 1,
    })
}

fn cured() -> Event {
    Event::Rollback(RollbackEvent::Cured { signals: Vec::new(), took_ms: 1 })
}

fn failed() -> Event {
    Event::Rollback(RollbackEvent::Failed { why: "no cure".to_owned(), signals: Vec::new() })
}

fn refused(refusal: Refusal) -> Event {
    Event::Rule(RuleEvent::Refused { refusal, evidence: evidence(None) })
}

fn ended() -> Event {
    Event::Deployment(DeploymentEvent::Ended { reason: "enough".to_owned(), by: Caller::Guard })
}

fn index(entries: &[Entry]) -> Index {
    let mut index = Index::new(Filter::default(), MAX_KEPT);
    entries.iter().for_each(|entry| index.apply(entry));
    index
}

fn of(entries: &[Entry]) -> Stats {
    stats(&index(entries).deployments().collect::<Vec<_>>(), None)
}

/// A rollback by a rule: held since 1 s, decided at 4 s, stepped at 5 s, cured at 9 s.
fn rollback(id: &str) -> Vec<Entry> {
    vec![
        entry(0, id, begun("v1")),
        entry(4_000, id, by_rule(Some(1_000))),
        entry(5_000, id, outcome()),
        entry(9_000, id, cured()),
    ]
}

#[test]
fn times_are_those_between_the_entries() {
    let times = of(&rollback("d1")).all.times;
    let check = |spread: Spread, millis| assert_eq!(spread, Spread::of(vec![millis]));
    check(times.holding_to_decision, 3_000);
    check(times.begun_to_decision, 4_000);
    check(times.decision_to_last_step, 1_000);
    check(times.decision_to_cure, 5_000);
    check(times.holding_to_cure, 8_000);
}

#[test]
fn what_enters_a_stage_is_no_step_of_the_rollback() {
    let mut entries = rollback("d1");
    let Event::Attempt(AttemptEvent::Outcome { mut attempt, result, output, took_ms }) = outcome()
    else {
        panic!("it is an outcome");
    };
    attempt.entering = Some(Entering { stage: StageName::new("canary").unwrap(), time: 1 });
    let entered = AttemptEvent::Outcome { attempt, result, output, took_ms };
    entries.insert(3, entry(7_000, "d1", Event::Attempt(entered)));
    assert_eq!(of(&entries).all.times.decision_to_last_step, Spread::of(vec![1_000]));
}

#[test]
fn what_is_not_on_record_is_none_and_never_zero() {
    let nothing = of(&[]).all;
    assert_eq!(nothing.change_failure_rate, None);
    assert_eq!(nothing.times, Times::default());
    // A person decides without a rule, and the clock is set back before the cure is seen.
    let person = [
        entry(0, "d1", begun("v1")),
        entry(4_000, "d1", by_person()),
        entry(5_000, "d1", outcome()),
        entry(3_000, "d1", cured()),
    ];
    let all = of(&person).all;
    assert_eq!(all.times.begun_to_decision.count, 1);
    assert_eq!(all.times.holding_to_decision.median_ms, None);
    assert_eq!(all.times.decision_to_cure, Spread::default());
    assert_eq!(all.times.holding_to_cure, Spread::default());
    assert_eq!(all.change_failure_rate, Some(1.0));
}

#[test]
fn a_rollback_that_failed_has_no_time_to_roll_back() {
    let entries = [
        entry(0, "d1", begun("v1")),
        entry(4_000, "d1", by_rule(None)),
        entry(5_000, "d1", outcome()),
        entry(9_000, "d1", failed()),
    ];
    let all = of(&entries).all;
    assert_eq!((all.counts.rollback_failed, all.change_failure_rate), (1, Some(1.0)));
    assert_eq!(all.times.decision_to_last_step.count, 0);
}

#[test]
fn only_verdicts_count_for_the_failure_rate() {
    let mut entries = rollback("d1");
    let superseded =
        Event::Deployment(DeploymentEvent::Superseded { by: DeploymentId::new("d3").unwrap() });
    let rest = [
        entry(10_000, "d2", begun("v2")),
        entry(11_000, "d2", superseded),
        entry(11_000, "d3", begun("v3")),
        entry(12_000, "d3", ended()),
        entry(13_000, "d4", begun("v4")),
        entry(14_000, "d4", Event::Deployment(DeploymentEvent::Baked { version: version("v4") })),
        entry(15_000, "d5", begun("v5")),
    ];
    entries.extend(rest);
    let all = of(&entries).all;
    let expected = Counts {
        deployments: 5,
        baked: 1,
        rolled_back: 1,
        rollback_failed: 0,
        ended: 1,
        superseded: 1,
        under_way: 1,
    };
    assert_eq!((all.counts, all.change_failure_rate), (expected, Some(0.5)));
}

#[test]
fn a_version_that_a_person_rolls_back_after_its_bake_is_a_failure() {
    let baked = Event::Deployment(DeploymentEvent::Baked { version: version("v1") });
    let entries = [
        entry(0, "d1", begun("v1")),
        entry(5_000, "d1", baked),
        entry(6_000, "d1", by_person()),
        entry(7_000, "d1", outcome()),
        entry(8_000, "d1", cured()),
    ];
    let index = index(&entries);
    let summary = index.deployments().next().unwrap();
    assert_eq!((summary.ending, summary.baked), (DeploymentOutcome::RolledBack, Some(at(5_000))));
    let all = of(&entries).all;
    assert_eq!(all.change_failure_rate, Some(1.0));
    assert_eq!(all.hints.rolled_back_by_person.len(), 1);
}

#[test]
fn a_false_alarm_is_hinted_at() {
    let mut entries = rollback("d1");
    entries.extend([
        entry(20_000, "d2", begun("v1")),
        entry(30_000, "d2", Event::Deployment(DeploymentEvent::Baked { version: version("v1") })),
        entry(40_000, "d3", begun("v9")),
        entry(41_000, "d3", refused(Refusal::Observing)),
        entry(42_000, "d3", ended()),
    ]);
    let hints = of(&entries).all.hints;
    let ids = |names: &[&str]| -> Vec<DeploymentId> {
        names.iter().map(|name| DeploymentId::new(name).unwrap()).collect()
    };
    assert_eq!(hints.baked_later, ids(&["d1"]));
    assert_eq!(hints.ended_while_refused, ids(&["d3"]));
    assert_eq!(hints.rolled_back_by_person, ids(&[]));
}

#[test]
fn refusals_are_counted_by_reason() {
    let entries = [
        entry(0, "d1", begun("v1")),
        entry(1, "d1", refused(Refusal::NoData)),
        entry(2, "d1", refused(Refusal::Observing)),
        entry(3, "d2", begun("v2")),
        entry(4, "d2", refused(Refusal::NoData)),
    ];
    let reasons = of(&entries).all.refusals;
    let expected = [
        RefusalCount { reason: Refusal::NoData, count: 2, deployments: 2 },
        RefusalCount { reason: Refusal::Observing, count: 1, deployments: 1 },
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn an_index_keeps_the_newest_and_those_that_are_asked_for() {
    let mut entries: Vec<Entry> = Vec::new();
    for n in 0..6 {
        entries.push(entry(n * 1_000, &format!("d{n}"), begun("v1")));
    }
    // What comes later for one that made room changes nothing.
    entries.push(entry(9_000, "d0", cured()));
    entries.push(entry(9_000, "d5", cured()));
    let mut newest = Index::new(Filter::default(), 2);
    let since = Filter { since: Some(at(3_000)), ..Filter::default() };
    let mut late = Index::new(since, MAX_KEPT);
    entries.iter().for_each(|entry| newest.apply(entry));
    entries.iter().for_each(|entry| late.apply(entry));
    let ids = |index: &Index| -> Vec<String> {
        index.deployments().map(|summary| summary.id.to_string()).collect()
    };
    assert_eq!((ids(&newest), newest.left_out()), (vec!["d4".to_owned(), "d5".to_owned()], 4));
    assert_eq!(newest.deployments().next_back().unwrap().ending, DeploymentOutcome::RolledBack);
    assert_eq!(ids(&late), ["d3", "d4", "d5"]);
}

#[test]
fn a_detail_is_of_one_deployment_and_names_those_that_may_be_meant() {
    let mut entries = rollback("v1-a");
    entries.extend([entry(10_000, "v2-b", begun("v2")), entry(11_000, "v2-b", ended())]);
    let told = |which: Which| {
        let mut detail = Detail::new(which);
        entries.iter().for_each(|entry| detail.apply(entry));
        detail
    };
    let id = |name: &str| DeploymentId::new(name).unwrap();
    let first = told(Which::Id(id("v1-a")));
    assert_eq!(first.entries(), &entries[..4]);
    assert_eq!(first.incident().unwrap().ended.word(), "rolled back");
    let last = told(Which::Last);
    assert_eq!((last.entries(), last.incident()), (&entries[4..], None));
    let unknown = told(Which::Id(id("v2-c")));
    assert_eq!((unknown.summary(), unknown.nearest()[0]), (None, &id("v2-b")));
    let far = told(Which::Id(id("something-else")));
    assert_eq!((far.nearest().len(), far.newest()), (0, Some(&id("v2-b"))));
}

/// Any event of a deployment, in any order: also journals that no guard writes.
fn any_event() -> impl Strategy<Value = Event> {
    let since = proptest::option::of(-5_000..200_000_i64);
    prop_oneof![
        3 => Just(begun("v1")),
        2 => since.prop_map(by_rule),
        1 => Just(by_person()),
        2 => Just(outcome()),
        2 => Just(cured()),
        1 => Just(failed()),
        1 => Just(ended()),
        1 => Just(refused(Refusal::Observing)),
        1 => Just(refused(Refusal::NoData)),
        2 => Just(Event::Deployment(DeploymentEvent::Baked { version: version("v1") })),
        1 => Just(Event::Daemon(DaemonEvent::Stopped { by: Caller::Guard })),
    ]
}

fn any_course() -> impl Strategy<Value = Vec<Entry>> {
    let one = (0..2_000_000_000_i64, 0..5_u8, any_event());
    let one = one.prop_map(|(millis, id, event)| entry(millis, &format!("d{id}"), event));
    proptest::collection::vec(one, 0..40)
}

proptest! {
    #[test]
    fn counts_add_up_and_every_time_is_one_that_was_measured(entries in any_course()) {
        let index = index(&entries);
        let summaries: Vec<&Summary> = index.deployments().collect();
        for by in [By::Week, By::Month] {
            let Stats { all, periods } = stats(&summaries, Some(by));
            let Counts { deployments, baked, rolled_back, rollback_failed, .. } = all.counts;
            let without_verdict = all.counts.ended + all.counts.superseded + all.counts.under_way;
            prop_assert_eq!(deployments, summaries.len());
            prop_assert_eq!(
                deployments, baked + rolled_back + rollback_failed + without_verdict
            );
            prop_assert_eq!(all.change_failure_rate.is_none(), all.counts.judged() == 0);
            prop_assert!(all.change_failure_rate.is_none_or(|rate| (0.0..=1.0).contains(&rate)));
            prop_assert!(all.times.decision_to_cure.count <= summaries.len());
            let sum = |of: fn(&Figures) -> usize| -> usize {
                periods.iter().map(|period| of(&period.figures)).sum()
            };
            prop_assert_eq!(sum(|f| f.counts.deployments), deployments);
            prop_assert_eq!(sum(|f| f.counts.rolled_back), rolled_back);
            let decided = all.times.begun_to_decision.count;
            prop_assert_eq!(sum(|f| f.times.begun_to_decision.count), decided);
            prop_assert_eq!(sum(|f| f.hints.baked_later.len()), all.hints.baked_later.len());
            prop_assert!(periods.is_sorted_by(|a, b| a.period < b.period));
        }
    }

    #[test]
    fn a_small_index_is_the_end_of_a_large_one(entries in any_course(), room in 0..6_usize) {
        let large = index(&entries);
        let mut small = Index::new(Filter::default(), room);
        entries.iter().for_each(|entry| small.apply(entry));
        let kept = small.deployments().len();
        prop_assert!(kept <= room);
        // Of an id that comes back after it made room, the older one is gone in both.
        let ids = |index: &Index| -> Vec<(DeploymentId, Timestamp)> {
            index.deployments().map(|summary| (summary.id.clone(), summary.begun)).collect()
        };
        prop_assert_eq!(&ids(&small)[..], &ids(&large)[large.deployments().len() - kept..]);
        if room > 0 {
            prop_assert_eq!(small.left_out() + kept, large.deployments().len());
        }
    }

    #[test]
    fn any_course_is_told_within_a_terminal(entries in any_course()) {
        use crate::render::{Style, WIDTH};
        let index = index(&entries);
        let summaries: Vec<&Summary> = index.deployments().collect();
        let mut detail = Detail::new(Which::Last);
        entries.iter().for_each(|entry| detail.apply(entry));
        let told = [
            crate::render::history(index.deployments(), Style::Plain),
            crate::render::figures(&stats(&summaries, Some(By::Week)), "in all"),
            crate::render::detail(&detail, Style::Plain),
        ];
        for line in told.iter().flat_map(|text| text.lines()) {
            prop_assert!(line.chars().count() <= WIDTH, "{line}");
        }
        let markdown = crate::render::undecided(&detail);
        prop_assert_eq!(markdown.is_empty(), summaries.is_empty());
        if let Some(incident) = detail.incident() {
            prop_assert!(!crate::render::report(&incident).contains("was not rolled back"));
        }
    }
}
