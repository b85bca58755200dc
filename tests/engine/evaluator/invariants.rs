//! What holds for every rule and every history: the promises that the guard is trusted for.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rollguard::model::condition::{Compare, Cond, Num};
use rollguard::model::entry::RuleStanding::{Firing, Inactive};
use rollguard::model::group::MAX_GROUPS;
use rollguard::model::index::SignalIx;
use rollguard::model::plan::Plan;
use rollguard::model::reading::Reading;
use rollguard::model::rule::{OnNoData, Quorum, Rule, Share};
use rollguard::model::signal::{Aggregation, OverTime, Reduction, Signal, SignalKind};
use rollguard::model::time::Instant;

use crate::support::bed::{Bed, above, plan, rule, secs, selector, signal, target};

/// What a target does at one of its turns.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    High,
    Low,
    Fail,
    BadLine,
    Empty,
    Nan,
    /// No answer at all; time passes.
    Hang,
}

impl Turn {
    const fn page(self) -> &'static str {
        match self {
            Self::High => "g 9",
            Self::Low => "g 1",
            Self::Fail => "fail",
            Self::BadLine => "!g; g 9",
            Self::Empty => "",
            Self::Nan => "g NaN",
            Self::Hang => "-",
        }
    }
}

const BLIND: [Turn; 5] = [Turn::Fail, Turn::BadLine, Turn::Empty, Turn::Nan, Turn::Hang];

fn blind() -> impl Strategy<Value = Turn> {
    prop::sample::select(&BLIND[..])
}

fn mixed() -> impl Strategy<Value = Turn> {
    prop_oneof![6 => Just(Turn::High), 1 => Just(Turn::Low), 2 => blind()]
}

fn on_no_data() -> impl Strategy<Value = OnNoData> {
    prop_oneof![Just(OnNoData::Hold), Just(OnNoData::Clear)]
}

/// The time from one scrape to the next, in seconds: at the interval, now and then late, or at any
/// shorter one, since a target is sampled more often while a rule is near its limit.
fn gap() -> impl Strategy<Value = f64> {
    let millis = prop_oneof![2 => 1_000..1_400u64, 1 => Just(100), 1 => 1..1_000u64];
    millis.prop_map(|millis| millis as f64 / 1000.0)
}

/// A rule for each way of asking, all of which hold while the gauge is high.
fn bed(hold: Duration, on_no_data: OnNoData) -> Bed {
    let over = |over, window| SignalKind::Series {
        of: selector("g"),
        reduction: Reduction::Gauge { across: Some(Aggregation::Max), over },
        window,
    };
    let signals = vec![
        signal("last", over(OverTime::Last, Duration::ZERO)),
        signal("least", over(OverTime::Min, secs(5))),
        signal(
            "rate",
            SignalKind::Series { of: selector("g"), reduction: Reduction::Rate, window: secs(5) },
        ),
    ];
    let not_low = Cond::Compare(Num::Signal(SignalIx(0)), Compare::LessOrEqual, Num::Const(5.0));
    let conds = [
        above(0, 5.0),
        Cond::Not(Box::new(not_low)),
        above(1, 5.0),
        Cond::And(Box::new(above(0, 5.0)), Box::new(above(0, 2.0))),
        above(2, 0.0),
    ];
    let rules = conds
        .into_iter()
        .enumerate()
        .map(|(place, cond)| Rule { on_no_data, ..rule(&format!("r{place}"), cond, hold) });
    Bed::new(&plan(vec![target("a", secs(1))], signals, rules.collect()))
}

/// How many of the rules in [`bed`] hold exactly while the gauge is high.
const INSTANT: [usize; 3] = [0, 1, 3];
const RULES: usize = 5;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 512,
        ..Default::default()
    })]

    #[test]
    fn no_data_alone_never_fires_a_rule(
        turns in prop::collection::vec((blind(), gap()), 1..80),
        seen in prop::option::of(Just(Turn::High)),
        hold in 1u64..20,
        on_no_data in on_no_data(),
    ) {
        // One look at a bad value, or none, and then nothing for as long as it takes.
        let mut bed = bed(secs(hold), on_no_data);
        let mut second = 0.0;
        for (turn, gap) in seen.map(|seen| (seen, 1.0)).into_iter().chain(turns) {
            bed.feed(0, second, turn.page());
            bed.feed(0, second + gap / 2.0, "-");
            second += gap;
            for rule in 0..RULES {
                prop_assert_ne!(bed.standing(rule), Firing, "rule {} at {}", rule, second);
            }
        }
    }

    #[test]
    fn a_rule_that_holds_fires_within_its_for_plus_one_interval(
        before in prop::collection::vec(mixed(), 0..40),
        hold in 0u64..20_000,
        gaps in prop::collection::vec(gap(), 64),
        on_no_data in on_no_data(),
    ) {
        let hold = Duration::from_millis(hold);
        let mut bed = bed(hold, on_no_data);
        let begin = before.len();
        for (second, turn) in before.into_iter().chain([Turn::Low]).enumerate() {
            bed.feed(0, second as f64, turn.page());
        }
        // From here on it is bad, seen at changing intervals of at most 1.4 seconds.
        let began = begin as f64 + 0.6;
        let mut second = began;
        let mut gaps = gaps.into_iter().cycle();
        while second <= began + hold.as_secs_f64() + 1.4 {
            bed.feed(0, second, "g 9");
            second += gaps.next().unwrap();
        }
        for rule in INSTANT {
            prop_assert_eq!(bed.standing(rule), Firing, "rule {}", rule);
        }
    }

    #[test]
    fn a_rule_never_fires_on_less_than_its_for_of_observed_time(
        turns in prop::collection::vec((mixed(), 1u64..3000, any::<bool>()), 1..120),
        hold in 1u64..20,
        on_no_data in on_no_data(),
    ) {
        let stale = 4.0;
        let mut bed = bed(secs(hold), on_no_data);
        let (mut second, mut fired) = (0.0, [false; RULES]);
        // The longest time that could have been observed: between two good looks that are near
        // enough for the first to count until the second, with nothing unreadable between them.
        let (mut observed, mut last): (f64, Option<f64>) = (0.0, None);
        for (turn, gap, passes) in turns {
            second += gap as f64 / 1000.0;
            if passes {
                bed.feed(0, second - 0.0005, "-");
            }
            bed.feed(0, second, turn.page());
            match turn {
                Turn::High => {
                    let gap = last.map_or(0.0, |last| second - last);
                    observed += if gap <= stale + 1e-6 { gap } else { 0.0 };
                    last = Some(second);
                }
                Turn::Low => (observed, last) = (0.0, None),
                Turn::BadLine | Turn::Empty | Turn::Nan => last = None,
                Turn::Fail | Turn::Hang => {}
            }
            for rule in INSTANT {
                let fires = bed.standing(rule) == Firing;
                let earned = turn == Turn::High && observed >= hold as f64 - 1e-6;
                prop_assert!(
                    !fires || fired[rule] || earned,
                    "rule {} fired on {} at {}", rule, observed, second
                );
                fired[rule] = fires;
                prop_assert!(turn != Turn::Low || bed.standing(rule) == Inactive);
            }
        }
    }
}

const INSTANCES: [&str; 3] = ["a", "b", "c"];

/// What an instance shows on a page: something bad, something good, or nothing.
fn shows() -> impl Strategy<Value = Option<bool>> {
    prop_oneof![5 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)]
}

fn grouped_page(shown: &[Option<bool>]) -> String {
    let lines = INSTANCES.iter().zip(shown).filter_map(|(instance, bad)| Some((instance, (*bad)?)));
    lines.map(|(i, bad)| format!("g{{i=\"{i}\"}} {};", if bad { 9 } else { 1 })).collect()
}

fn last() -> SignalKind {
    SignalKind::Series {
        of: selector("g"),
        reduction: Reduction::Gauge { across: Some(Aggregation::Max), over: OverTime::Last },
        window: Duration::ZERO,
    }
}

/// A rule over instances, each way.
fn grouped_bed(hold: Duration, share: Share, on_no_data: OnNoData) -> Bed {
    let signals = vec![Signal { by: vec!["i".to_owned()], ..signal("g", last()) }];
    let rules =
        QUORUMS.map(|quorum| Rule { quorum, share, on_no_data, ..rule("r", above(0, 5.0), hold) });
    Bed::new(&plan(vec![target("a", secs(1))], signals, rules.to_vec()))
}

const QUORUMS: [Quorum; 3] = [Quorum::Any, Quorum::AtLeast(2), Quorum::All];

fn share() -> impl Strategy<Value = Share> {
    prop::sample::select(&[0.05, 0.3, 0.5, 0.8, 0.99][..])
        .prop_map(|share| Share::new(share).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 256,
        ..Default::default()
    })]

    #[test]
    fn the_clock_of_a_group_never_helps_another(
        turns in prop::collection::vec(prop::array::uniform3(shows()), 1..80),
        hold in 1u64..12,
        on_no_data in on_no_data(),
    ) {
        let mut bed = grouped_bed(secs(hold), Share::ALL, on_no_data);
        // For how long each instance was bad at every look, and whether its last look was near.
        let (mut bad, mut near, mut fired) = ([0; 3], [false; 3], [false; 3]);
        for (second, shown) in turns.into_iter().enumerate() {
            bed.feed(0, second as f64, &grouped_page(&shown));
            for instance in 0..3 {
                match shown[instance] {
                    Some(true) => bad[instance] += u64::from(near[instance]),
                    Some(false) => bad[instance] = 0,
                    None => {}
                }
                near[instance] = shown[instance] == Some(true);
            }
            let earned = bad.iter().filter(|bad| **bad >= hold).count();
            for (place, quorum) in QUORUMS.into_iter().enumerate() {
                let fires = bed.standing(place) == Firing;
                let needed = if quorum == Quorum::AtLeast(2) { 2 } else { 1 };
                let new = fires && !fired[place];
                prop_assert!(!new || earned >= needed, "{:?} on {:?} at {}", quorum, bad, second);
                // Every instance that is there has to be bad for all of them to be.
                let one_is_well = shown.contains(&Some(false));
                prop_assert!(quorum != Quorum::All || !fires || !one_is_well);
                fired[place] = fires;
            }
        }
    }

    #[test]
    fn no_data_alone_never_fires_a_rule_with_a_share_or_a_quorum(
        turns in prop::collection::vec(blind(), 1..80),
        seen in prop::option::of(Just(Turn::High)),
        hold in 1u64..20,
        share in share(),
        on_no_data in on_no_data(),
    ) {
        for share in [share, Share::ALL] {
            let mut bed = grouped_bed(secs(hold), share, on_no_data);
            for (second, turn) in seen.into_iter().chain(turns.clone()).enumerate() {
                bed.feed(0, second as f64, &turn.page().replace("g ", "g{i=\"a\"} "));
                bed.feed(0, second as f64 + 0.5, "-");
                for rule in 0..QUORUMS.len() {
                    prop_assert_ne!(bed.standing(rule), Firing, "rule {} at {}", rule, second);
                }
            }
        }
    }

    #[test]
    fn a_share_never_fires_on_less_than_its_for_observed_nor_on_less_than_its_share_held(
        turns in prop::collection::vec((mixed(), 1u64..3000, any::<bool>()), 1..120),
        hold in 1u64..20,
        share in share(),
    ) {
        let base = bed(secs(hold), OnNoData::Hold);
        let mut rules = base.judge.plan().rules.clone();
        rules.iter_mut().for_each(|rule| rule.share = share);
        let mut bed = Bed::new(&Arc::new(Plan { rules, ..(**base.judge.plan()).clone() }));
        let (mut second, mut fired) = (0.0, [false; RULES]);
        // Each stretch between two looks that are near, and whether it was bad at both.
        let mut observed: Vec<(f64, bool)> = Vec::new();
        let mut last: Option<(f64, bool)> = None;
        for (turn, gap, passes) in turns {
            second += gap as f64 / 1000.0;
            if passes {
                bed.feed(0, second - 0.0005, "-");
            }
            bed.feed(0, second, turn.page());
            let bad = match turn {
                Turn::High => Some(true),
                Turn::Low => Some(false),
                Turn::BadLine | Turn::Empty | Turn::Nan => {
                    last = None;
                    None
                }
                Turn::Fail | Turn::Hang => None,
            };
            if let Some(bad) = bad {
                let near = last.filter(|(when, _)| second - when <= 4.0 + 1e-6);
                observed.extend(near.map(|(when, before)| (second - when, bad && before)));
                last = Some((second, bad));
            }
            let (mut whole, mut held) = (0.0, 0.0);
            for (time, bad) in observed.iter().rev() {
                let inside = time.min(hold as f64 - whole);
                whole += inside;
                held += if *bad { inside } else { 0.0 };
            }
            let earned = whole >= hold as f64 - 1e-6 && held >= share.get() * hold as f64 - 1e-6;
            for rule in INSTANT {
                let fires = bed.standing(rule) == Firing;
                prop_assert!(
                    !fires || fired[rule] || earned,
                    "rule {} fired on {} of {} at {}", rule, held, whole, second
                );
                fired[rule] = fires;
            }
        }
    }

    #[test]
    fn a_frozen_baseline_is_what_it_was_until_the_next_is_frozen(
        turns in prop::collection::vec((0u64..100, 0u64..8), 1..120),
        by in any::<bool>(),
    ) {
        // Plans that say the same of what was frozen, in another order and with other rules.
        let by = if by { vec!["i".to_owned()] } else { Vec::new() };
        let [one, two] = [false, true].map(|moved| baseline_plan(&by, moved));
        let place = |plan: &Plan| {
            let named = |signal: &Signal| signal.name.as_str() == "x.baseline";
            SignalIx(plan.signals.iter().position(named).unwrap())
        };
        let mut bed = Bed::new(&one);
        let mut frozen: Option<Vec<_>> = None;
        for (second, (value, what)) in turns.into_iter().enumerate() {
            let at = Instant::from_millis(second as u64 * 1000);
            match what {
                0 => {
                    let measured = bed.judge.baselines(at);
                    bed.judge.freeze(&measured, at);
                    frozen = Some(bed.judge.readings(place(bed.judge.plan())).to_vec());
                }
                1 => bed.judge = bed.judge.reloaded(one.clone(), at),
                2 => bed.judge = bed.judge.reloaded(two.clone(), at),
                3 => bed.feed(0, second as f64, "fail"),
                _ => bed.feed(0, second as f64, &format!("g{{i=\"a\"}} {value}; g{{i=\"b\"}} 1")),
            }
            let ix = place(bed.judge.plan());
            for (group, reading) in frozen.iter().flatten() {
                if let Reading::Value(_) = reading {
                    prop_assert_eq!(bed.judge.reading_in(ix, group), *reading, "at {}", second);
                }
            }
        }
    }

    #[test]
    fn an_earlier_reading_is_of_a_window_ago_and_no_older_than_that_and_its_samples_may_be(
        turns in prop::collection::vec((1u64..9000, 0u64..4), 1..80),
        window in 1u64..20,
    ) {
        // The gauge shows when it was read.
        let before = SignalKind::Before { of: SignalIx(0), window: secs(window) };
        let signals = vec![signal("x", last()), signal("x.before", before)];
        let mut bed = Bed::new(&plan(vec![target("a", secs(1))], signals, Vec::new()));
        let mut now = 0.0;
        for (gap, what) in turns {
            now += gap as f64 / 1000.0;
            match what {
                0 => bed.feed(0, now, "fail"),
                1 => bed.feed(0, now, "-"),
                _ => bed.feed(0, now, &format!("g {now}")),
            }
            if let Reading::Value(then) = bed.reading(1) {
                let ago = now - then;
                prop_assert!(ago >= window as f64 - 1e-6, "{} s ago", ago);
                prop_assert!(ago <= window as f64 + 4.0 + 1e-6, "{} s ago", ago);
            }
        }
    }
}

/// A signal with a baseline and a rule that needs it; `moved` says the same in another order.
fn baseline_plan(by: &[String], moved: bool) -> Arc<Plan> {
    let x = Signal { by: by.to_vec(), ..signal("x", last()) };
    let other = signal("other", SignalKind::Value(1.0));
    let mut signals = if moved { vec![other, x] } else { vec![x] };
    let of = SignalIx(signals.len() - 1);
    let kind = SignalKind::Baseline { of, window: secs(10), min_readings: 2 };
    signals.push(Signal { by: by.to_vec(), ..signal("x.baseline", kind) });
    let limit = if moved { 7.0 } else { 5.0 };
    let rules = vec![rule("r", above(of.0 + 1, limit), secs(3))];
    plan(vec![target("a", secs(1))], signals, rules)
}

#[test]
fn groups_are_no_more_than_are_kept_apart() {
    let signals = vec![Signal { by: vec!["i".to_owned()], ..signal("g", last()) }];
    let rules = vec![rule("r", above(0, 5.0), secs(3))];
    let mut bed = Bed::new(&plan(vec![target("a", secs(1))], signals, rules));
    for second in 0..4 {
        let names = (0..600).map(|name| format!("g{{i=\"{second}-{name}\"}} 9;"));
        bed.feed(0, f64::from(second), &names.collect::<String>());
        // And one for all those that are not.
        assert!(bed.judge.readings(SignalIx(0)).len() <= MAX_GROUPS + 1, "at {second}");
    }
}
