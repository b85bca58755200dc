//! What holds for every rule and every history: the promises that the guard is trusted for.

use std::time::Duration;

use proptest::prelude::*;
use rollguard::model::condition::{Compare, Cond, Num};
use rollguard::model::entry::RuleStanding::{Firing, Inactive};
use rollguard::model::place::SignalIx;
use rollguard::model::rule::{OnNoData, Rule};
use rollguard::model::signal::{Across, Over, SignalKind};

use crate::world::{Bed, above, plan, rule, secs, selector, signal, target};

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
    let over = |over| SignalKind::Gauge { of: selector("g"), across: Some(Across::Max), over };
    let signals = vec![
        signal("last", over(Over::Last)),
        signal("least", over(Over::Min(secs(5)))),
        signal("rate", SignalKind::Rate { of: selector("g"), window: secs(5) }),
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
                    observed += if gap <= stale { gap } else { 0.0 };
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
