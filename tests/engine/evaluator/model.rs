//! The judge against its slow and obvious twin, on random plans and random histories.

use std::env;
use std::thread;
use std::time::Duration;

use rollguard::engine::Evaluator;
use rollguard::model::entry::Frozen;
use rollguard::model::group::Group;
use rollguard::model::index::{RuleIx, SignalIx};
use rollguard::model::name::StageName;
use rollguard::model::plan::Plan;
use rollguard::model::reading::Reading;
use rollguard::model::time::Instant;

use crate::support::dice::Dice;

use super::oracle::{Measured, Oracle};
use super::plans::random_plan;
use super::service::{history, scrape};

/// Histories judged.
const HISTORIES: u64 = 150;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

fn agree(found: Reading, expected: Reading) -> bool {
    match (found, expected) {
        (Reading::Value(a), Reading::Value(b)) | (Reading::AtLeast(a), Reading::AtLeast(b)) => {
            close(a, b)
        }
        (Reading::NoData(a), Reading::NoData(b)) => a == b,
        (Reading::Value(_) | Reading::AtLeast(_) | Reading::NoData(_), _) => false,
    }
}

fn text(group: &Group) -> String {
    group.text().unwrap_or_default().to_owned()
}

fn compare(plan: &Plan, judge: &Evaluator, oracle: &Oracle, context: &str) {
    for (place, signal) in plan.signals.iter().enumerate() {
        let ix = SignalIx(place);
        let (found, expected) = (judge.readings(ix), oracle.readings(place));
        let same = found.len() == expected.len()
            && found.iter().zip(expected).all(|((group, reading), (own, expected))| {
                text(group) == *own && agree(*reading, *expected)
            });
        assert!(same, "{signal:?} reads {found:?}, should read {expected:?}; {context}");
        let (found, expected) = (judge.reading(ix), oracle.reading_in(place, ""));
        assert!(
            agree(found, expected),
            "{signal:?} reads {found:?} where it has no group, should {expected:?}; {context}"
        );
    }
    for (place, rule) in plan.rules.iter().enumerate() {
        let (found, expected) = (judge.standing(RuleIx(place)), oracle.standing(place));
        assert_eq!(found, expected, "{rule:?}; {context}");
        let (found, expected) = (judge.verdict(&rule.when.cond), oracle.verdict(&rule.when.cond));
        assert_eq!(found, expected, "{rule:?}; {context}");
    }
    assert_eq!(judge.deadline(), oracle.deadline(), "{context}");
}

fn measured(frozen: &[Frozen]) -> Vec<Measured> {
    let each = |frozen: &Frozen| Measured {
        signal: frozen.signal.to_string(),
        group: frozen.group.clone().unwrap_or_default(),
        value: frozen.value,
        readings: frozen.readings,
        needed: frozen.needed,
    };
    frozen.iter().map(each).collect()
}

/// Arms, goes over to a stage, reloads what is as it was, or does nothing.
fn turn(dice: &mut Dice, judge: &mut Evaluator, oracle: &mut Oracle, at: Instant) -> &'static str {
    match dice.below(40) {
        0 => {
            let (found, expected) = (judge.baselines(at), oracle.measure(at));
            let same = |(a, b): (&Measured, &Measured)| {
                let near = a.value.zip(b.value).is_none_or(|(a, b)| close(a, b));
                let value = a.value.and(b.value);
                near && Measured { value, ..a.clone() } == Measured { value, ..b.clone() }
                    && a.value.is_some() == b.value.is_some()
            };
            let measured = measured(&found);
            assert!(
                measured.len() == expected.len() && measured.iter().zip(&expected).all(same),
                "{measured:?} at {at:?} in {:?}, should have {expected:?}",
                judge.plan().signals
            );
            judge.freeze(&found, at);
            oracle.freeze(expected, at);
            "froze"
        }
        1..=2 => {
            let stage = dice.pick(&[None, Some("canary"), Some("half"), Some("all")]);
            let stage = stage.map(|name| StageName::new(name).unwrap());
            judge.enter(stage.clone(), at);
            oracle.enter(stage, at);
            "entered a stage"
        }
        3 => {
            *judge = judge.clone().reloaded(judge.plan().clone(), at);
            oracle.reload(at);
            "reloaded"
        }
        _ => "",
    }
}

/// Plays one history; answers how many steps were compared.
fn play(seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let plan = random_plan(&mut dice);
    let (mut judge, mut oracle) = (Evaluator::new(plan.clone()), Oracle::new(plan.clone()));
    let mut steps = 0;
    let mut now = Instant::ZERO;
    let keeps_deadlines = dice.chance(500);
    for (arrival, target, attempt) in history(&mut dice, &plan) {
        let due = judge.deadline().filter(|due| *due <= arrival && *due >= now);
        let random = (arrival.after(Duration::ZERO), dice.chance(150));
        let due = due.filter(|_| keeps_deadlines);
        for at in due.into_iter().chain(random.1.then_some(random.0)) {
            judge.advance(at);
            oracle.advance(at);
            now = at;
            steps += 1;
            let context = format!("seed {seed}, time passed until {at:?}");
            compare(&plan, &judge, &oracle, &context);
            let next = judge.deadline();
            assert!(next.is_none_or(|next| next > at), "{context}: then {next:?}");
        }
        let turned = turn(&mut dice, &mut judge, &mut oracle, now);
        if !turned.is_empty() {
            let context = format!("seed {seed}, {turned} at {now:?}");
            compare(&plan, &judge, &oracle, &context);
        }
        judge.observe(&scrape(target, &attempt, Duration::ZERO, &mut dice));
        let context = format!("seed {seed}, scrape {attempt:?} of {target} at {arrival:?}");
        oracle.observe(target, attempt);
        steps += 1;
        compare(&plan, &judge, &oracle, &context);
        now = arrival;
    }
    steps
}

#[test]
fn every_reading_and_state_agrees_with_one_worked_out_from_the_full_history() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("ROLLGUARD_SEED") {
        play(seed);
        return;
    }
    let histories = number("ROLLGUARD_HISTORIES").unwrap_or(HISTORIES);
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = |first| (first..histories).step_by(threads as usize).map(play).sum::<u64>();
    let steps: u64 = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|first| scope.spawn(move || share(first))).collect();
        all.into_iter().map(|thread| thread.join().expect("its histories agree")).sum()
    });
    println!("{steps} steps of {histories} histories");
}
