//! How often targets are sampled, in virtual time: a guard and a source that does as it is told.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use rollguard::config::{Color, SourceFile, compile};
use rollguard::engine::Guard;
use rollguard::engine::command::{Command, Force, Terms};
use rollguard::engine::effect::{Effect, Outcome, Pace};
use rollguard::engine::view::snapshot::Snapshot;
use rollguard::model::entry::{Caller, Event, RollbackEvent, StepResult};
use rollguard::model::index::TargetIx;
use rollguard::model::name::Version;
use rollguard::model::plan::Plan;
use rollguard::model::scrape::{Failure, FailureClass, Page, Scrape};
use rollguard::model::time::{Instant, Moment, Timestamp};

const PERSON: Caller = Caller::Process { pid: Some(7), uid: 1000 };

/// How long readings must not have been near before the pace is relaxed, in milliseconds.
const CALM: u64 = 10_000;

/// How long a target that failed keeps its interval, in milliseconds.
const REST: u64 = 60_000;

/// What every test starts from; each says only what is different.
const BASE: &str = r#"
mode = "auto"
[deployment]
service = "shop"
bake = "1h"
warmup = "0s"
then = "rollback"
good = "v0"
[target.api]
scrape = "http://127.0.0.1:9000/metrics"
interval = "1s"
sharpen = "100ms"
[hook.rollback]
steps = [ { run = ["switch", "{good}"] } ]
cure = { when = "latency < 1", for = "5s", within = "60s" }
[signal.latency]
gauge = 'latency_seconds'
[rule.slow]
when = "latency > 2"
for = "30s"
"#;

fn plan(changes: &[(&str, &str)]) -> Arc<Plan> {
    let text = changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "nothing to change: {from}");
        text.replacen(from, to, 1)
    });
    let file = SourceFile { path: "pace.toml".to_owned(), text };
    let compiled = compile(&file, &[]);
    Arc::new(compiled.unwrap_or_else(|wrong| panic!("{}", wrong.render(Color::Plain))).plan)
}

/// What a target answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Latency(f64),
    Fails,
}
use Answer::{Fails, Latency};

/// A guard, and a source of its one target.
struct Bed {
    plan: Arc<Plan>,
    guard: Guard,
    now_ms: u64,
    next_ms: u64,
    interval_ms: u64,
    took_ms: u64,
    /// When another interval was asked for, and which, and why.
    paces: Vec<(u64, u64, Pace)>,
    decided: Option<u64>,
}

impl Bed {
    /// A deployment that is guarded from the start on.
    fn guarding(changes: &[(&str, &str)]) -> Self {
        let mut bed = Self::idle(changes);
        bed.begin("v1");
        bed
    }

    fn idle(changes: &[(&str, &str)]) -> Self {
        let plan = plan(changes);
        let guard = Guard::new(plan.clone(), &[]);
        let mut bed = Self {
            plan,
            guard,
            now_ms: 0,
            next_ms: 0,
            interval_ms: 1_000,
            took_ms: 3,
            paces: Vec::new(),
            decided: None,
        };
        let effects = bed.guard.start(bed.moment(), "test", 1);
        bed.perform(effects);
        bed
    }

    fn begin(&mut self, version: &str) {
        let version = Version::new(version).unwrap();
        self.command(Command::Begin { id: None, version, good: None, terms: Terms::default() });
    }

    fn command(&mut self, command: Command) {
        let (answer, effects) = self.guard.command(self.moment(), command, PERSON);
        answer.unwrap();
        self.perform(effects);
    }

    fn moment(&self) -> Moment {
        let at = Instant::from_millis(self.now_ms);
        Moment { at, wall: Timestamp::from_millis(i64::try_from(self.now_ms).unwrap()) }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Pace { target, interval, pace } => {
                    assert_eq!(target, TargetIx(0));
                    self.interval_ms = u64::try_from(interval.as_millis()).unwrap();
                    self.next_ms = self.now_ms + self.interval_ms;
                    self.paces.push((self.now_ms, self.interval_ms, pace));
                }
                Effect::Append(entry) => {
                    if let Event::Rollback(RollbackEvent::Decided(_)) = entry.event {
                        self.decided = Some(self.now_ms);
                    }
                }
                Effect::Run(order) => {
                    let (deployment, attempt) = (order.deployment, order.attempt);
                    let (result, took) = (StepResult::Done, Duration::ZERO);
                    let output = String::new();
                    let outcome = Outcome { deployment, attempt, result, output, took };
                    let effects = self.guard.settle(self.moment(), &outcome);
                    self.perform(effects);
                }
                Effect::Inspect { .. }
                | Effect::CallOff { .. }
                | Effect::GoAlong(_)
                | Effect::Notify(_)
                | Effect::Tell(_)
                | Effect::Drill(_)
                | Effect::Report(_)
                | Effect::ReadLive { .. } => {}
            }
        }
    }

    /// Samples until then.
    fn see(&mut self, until_ms: u64, mut answer: impl FnMut(u64) -> Answer) -> &mut Self {
        while self.next_ms <= until_ms {
            self.now_ms = self.next_ms;
            self.scrape(answer(self.next_ms));
            // Where no other interval was asked for.
            let missed = self.took_ms / self.interval_ms;
            self.next_ms = self.next_ms.max(self.now_ms + self.interval_ms * (missed + 1));
        }
        self
    }

    fn scrape(&mut self, answer: Answer) {
        let Moment { at, wall } = self.moment();
        let result = match answer {
            Latency(latency) => {
                let mut page = Page::default();
                page.push("latency_seconds", latency, None);
                Ok(page)
            }
            Fails => Err(Failure { class: FailureClass::TimedOut, detail: String::new() }),
        };
        let took = Duration::from_millis(self.took_ms);
        let scrape = Scrape { target: TargetIx(0), at, wall, took, result };
        let effects = self.guard.observe(self.moment(), &scrape);
        self.perform(effects);
    }

    fn steadily(&mut self, until_ms: u64, latency: f64) -> &mut Self {
        self.see(until_ms, |_| Latency(latency))
    }

    fn snapshot(&self) -> Snapshot {
        self.guard.snapshot(self.moment())
    }

    #[track_caller]
    fn asked_for(&self, paces: &[(u64, u64, Pace)]) {
        assert_eq!(self.paces, paces);
    }
}

#[test]
fn a_target_is_sharpened_while_a_reading_is_beyond_half_of_its_limit_and_relaxed_after_a_calm() {
    let mut bed = Bed::guarding(&[]);
    bed.steadily(5_000, 0.9).asked_for(&[]);
    bed.steadily(7_000, 1.1).asked_for(&[(6_000, 100, Pace::Sharpened)]);
    let shown = &bed.snapshot().targets[0];
    assert_eq!((shown.interval_ms, shown.sharpened, shown.pace), (100, true, Pace::Sharpened));
    bed.steadily(7_000 + CALM + 5_000, 0.9);
    bed.asked_for(&[(6_000, 100, Pace::Sharpened), (7_000 + CALM, 1_000, Pace::Plain)]);
    let shown = &bed.snapshot().targets[0];
    assert_eq!((shown.interval_ms, shown.sharpened, shown.pace), (1_000, false, Pace::Plain));
}

#[test]
fn readings_that_hover_about_half_of_a_limit_do_not_change_the_pace_again_and_again() {
    let mut bed = Bed::guarding(&[]);
    bed.see(300_000, |at| Latency(if at / 3_000 % 3 == 0 { 1.1 } else { 0.9 }));
    assert_eq!(bed.paces.len(), 1, "{:?}", bed.paces);
}

#[test]
fn a_pending_rule_is_near_even_while_its_reading_is_not_known() {
    let mut bed = Bed::guarding(&[]);
    bed.steadily(2_000, 3.0);
    let sharpened = bed.paces.clone();
    assert_eq!(sharpened.len(), 1);
    bed.see(2_000 + CALM * 2, |_| Latency(f64::NAN));
    bed.asked_for(&sharpened);
}

#[test]
fn a_target_that_no_near_rule_needs_keeps_its_interval() {
    let other = "[target.api]\nscrape = \"http://127.0.0.1:9001/metrics\"\n\
                 labels = { part = \"a\" }\n[target.other]";
    let mut bed = Bed::guarding(&[
        ("[target.api]", other),
        ("'latency_seconds'", "'latency_seconds{part=\"a\"}'"),
    ]);
    // The one that could be sharpened is the other one, and nothing reads it.
    bed.steadily(5_000, 3.0).asked_for(&[]);
}

#[test]
fn without_sharpen_nothing_is_asked_for() {
    let mut bed = Bed::guarding(&[("sharpen = \"100ms\"", "")]);
    bed.steadily(10_000, 3.0).asked_for(&[]);
}

#[test]
fn a_warning_and_what_is_only_observed_sharpen_as_well() {
    let observed = ("mode = \"auto\"", "mode = \"observe\"");
    let warning = ("for = \"30s\"", "for = \"30s\"\nseverity = \"warning\"");
    for change in [observed, warning] {
        let mut bed = Bed::guarding(&[change]);
        bed.steadily(0, 3.0).asked_for(&[(0, 100, Pace::Sharpened)]);
    }
}

#[test]
fn nothing_is_sharpened_while_nothing_is_guarded() {
    let mut bed = Bed::idle(&[]);
    bed.steadily(5_000, 1.5).asked_for(&[]);
    bed.begin("v1");
    bed.asked_for(&[(5_000, 100, Pace::Sharpened)]);
    bed.command(Command::End { id: None, reason: "enough".to_owned() });
    bed.steadily(5_000 + CALM * 2, 1.5);
    bed.asked_for(&[(5_000, 100, Pace::Sharpened), (5_000 + CALM, 1_000, Pace::Plain)]);
}

#[test]
fn a_rule_that_was_set_aside_sharpens_nothing() {
    let mut bed = Bed::idle(&[("warmup = \"0s\"", "warmup = \"2s\"")]);
    bed.steadily(40_000, 3.0).begin("v1");
    bed.steadily(40_000 + CALM * 3, 3.0);
    let relaxed = bed.paces.last().unwrap();
    assert_eq!((relaxed.1, relaxed.2), (1_000, Pace::Plain), "{:?}", bed.paces);
}

#[test]
fn while_a_cure_is_verified_its_targets_are_sharpened_however_healthy_they_are() {
    let cure = "cure = { when = \"latency < 1\", for = \"5s\", within = \"60s\" }";
    for change in [(cure, cure), (cure, "")] {
        let mut bed = Bed::guarding(&[change]);
        bed.steadily(1_000, 0.1).asked_for(&[]);
        bed.command(Command::Rollback {
            id: None,
            reason: "a person says so".to_owned(),
            force: Force::No,
        });
        bed.asked_for(&[(1_000, 100, Pace::Sharpened)]);
    }
}

#[test]
fn a_target_is_never_sampled_more_often_than_it_can_answer() {
    for (took_ms, expected) in [(3, 100), (50, 100), (51, 200), (100, 200), (180, 400)] {
        let mut bed = Bed::guarding(&[]);
        bed.took_ms = took_ms;
        bed.steadily(0, 1.5);
        assert_eq!(bed.interval_ms, expected, "with scrapes of {took_ms} ms");
    }
    let mut bed = Bed::guarding(&[]);
    bed.took_ms = 500;
    bed.steadily(20_000, 1.5).asked_for(&[]);
    assert_eq!(bed.snapshot().targets[0].pace, Pace::Slow);
}

#[test]
fn a_slow_page_blunts_the_pace_until_it_is_forgotten() {
    let mut bed = Bed::guarding(&[]);
    bed.steadily(3_000, 1.5);
    bed.took_ms = 130;
    bed.steadily(3_100, 1.5);
    assert_eq!((bed.interval_ms, bed.paces.last().unwrap().2), (400, Pace::Slow));
    bed.took_ms = 3;
    bed.steadily(12_000, 1.5);
    assert_eq!((bed.interval_ms, bed.paces.last().unwrap().2), (100, Pace::Sharpened));
}

#[test]
fn a_target_that_fails_while_sharpened_is_left_in_peace_for_a_while() {
    let mut bed = Bed::guarding(&[]);
    bed.steadily(2_000, 1.5).asked_for(&[(0, 100, Pace::Sharpened)]);
    bed.see(2_100, |_| Fails);
    let failed = (2_100, 1_000, Pace::Failing);
    assert_eq!(bed.paces.last(), Some(&failed));
    assert_eq!(bed.snapshot().targets[0].pace, Pace::Failing);
    bed.steadily(2_100 + REST - 1_000, 1.5);
    assert_eq!(bed.paces.last(), Some(&failed));
    bed.steadily(2_100 + REST + 1_100, 1.5);
    assert_eq!((bed.interval_ms, bed.paces.last().unwrap().2), (100, Pace::Sharpened));
}

#[test]
fn a_target_that_does_not_answer_is_not_asked_more_often() {
    let down = [
        ("gauge = 'latency_seconds'", "up = \"api\""),
        ("latency > 2", "latency < 1"),
        (", for = \"5s\"", ""),
    ];
    let mut bed = Bed::guarding(&down);
    bed.see(20_000, |_| Fails).asked_for(&[]);
    bed.see(21_000, |_| Latency(0.0));
    assert_eq!(bed.paces.len(), 1, "it answers again: {:?}", bed.paces);
}

#[test]
fn after_a_reload_what_is_near_is_asked_for_again() {
    let mut bed = Bed::guarding(&[]);
    bed.steadily(1_500, 1.5).asked_for(&[(0, 100, Pace::Sharpened)]);
    let effects = bed.guard.reload(bed.moment(), bed.plan.clone(), PERSON);
    bed.perform(effects);
    bed.asked_for(&[(0, 100, Pace::Sharpened), (1_500, 100, Pace::Sharpened)]);
    let blunt = plan(&[("sharpen = \"100ms\"", "")]);
    let effects = bed.guard.reload(bed.moment(), blunt, PERSON);
    bed.perform(effects);
    assert_eq!(bed.paces.len(), 2, "a target of a new plan starts at its interval");
    assert_eq!(bed.snapshot().targets[0].interval_ms, 1_000);
}

#[test]
fn when_nothing_is_decided_any_more_every_target_gets_its_interval_back() {
    let mut bed = Bed::guarding(&[]);
    bed.steadily(1_000, 1.5);
    let effects = bed.guard.journal_lost(bed.moment());
    bed.perform(effects);
    bed.steadily(20_000, 1.5);
    bed.asked_for(&[(0, 100, Pace::Sharpened), (1_000, 1_000, Pace::Plain)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_rule_near_its_limit_is_decided_within_its_for_and_one_sharpened_interval(
        phase in 0_u64..1_000, bad_from in 2_000_u64..30_000, hold in 0_u64..8_000,
    ) {
        let mut bed = Bed::guarding(&[("for = \"30s\"", &format!("for = \"{hold}ms\""))]);
        bed.next_ms = phase;
        bed.see(60_000, |at| Latency(if at < bad_from { 1.5 } else { 3.0 }));
        let latest = bad_from + hold.div_ceil(100) * 100 + 100;
        let decided = bed.decided.unwrap();
        prop_assert!((bad_from + hold..=latest).contains(&decided), "{} > {}", decided, latest);
    }

    #[test]
    fn whatever_is_seen_the_pace_keeps_its_bounds_and_changes_neither_what_holds_nor_too_often(
        seen in prop::collection::vec((prop_oneof![
            3 => Just(Latency(0.1)), 2 => Just(Latency(1.2)), 2 => Just(Latency(2.5)),
            1 => Just(Latency(f64::NAN)), 1 => Just(Fails),
        ], 500_u64..8_000, 1_u64..700), 1..40),
        hold in 1_u64..20,
    ) {
        let mut bed = Bed::guarding(&[("for = \"30s\"", &format!("for = \"{hold}s\""))]);
        // The longest time for which it can have been seen to hold without interruption: from one
        // bad sample to the next, where they are near enough to each other.
        let (mut observed, mut last) = (0, None::<u64>);
        let mut until = 0;
        for (answer, lasts, took_ms) in seen {
            until += lasts;
            bed.took_ms = took_ms;
            bed.see(until, |at| {
                match answer {
                    Latency(latency) if latency > 2.0 => {
                        let gap = last.map_or(0, |last| at - last);
                        observed += if gap <= 3_800 { gap } else { 0 };
                        last = Some(at);
                    }
                    Latency(latency) if latency.is_nan() => last = None,
                    Latency(_) => (observed, last) = (0, None),
                    Fails => {}
                }
                answer
            });
            prop_assert!((100..=1_000).contains(&bed.interval_ms));
            if let Some(decided) = bed.decided {
                prop_assert!(observed >= hold * 1_000, "decided at {} on {}", decided, observed);
                return Ok(());
            }
        }
        for pair in bed.paces.windows(2) {
            let [(before, from, _), (after, to, _)] = pair else { unreachable!() };
            prop_assert_ne!(from, to, "asked for what is");
            prop_assert!(after - before >= 100);
        }
    }
}
