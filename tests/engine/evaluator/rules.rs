//! Rule states, sentence by sentence of the rule language.

use std::time::Duration;

use rollguard::model::condition::{Arith, Num};
use rollguard::model::entry::RuleStanding::{self, Firing, Inactive, Pending};
use rollguard::model::index::SignalIx;
use rollguard::model::reading::{NoData, Reading};
use rollguard::model::rule::{OnNoData, Rule};
use rollguard::model::signal::{Aggregation, OverTime, Reduction, SignalKind};
use rollguard::model::target::Target;
use rollguard::model::time::Instant;

use crate::support::bed::{Bed, above, given, plan, rule, secs, selector, signal, target};

fn gauge(name: &str) -> SignalKind {
    SignalKind::Series {
        of: selector(name),
        reduction: Reduction::Gauge { across: None, over: OverTime::Last },
        window: Duration::ZERO,
    }
}

/// `g > 5` for ten seconds.
fn hot() -> Rule {
    rule("hot", above(0, 5.0), secs(10))
}

/// Feeds one target, sampled each second, and compares the rule's state after each page.
fn check(rule: Rule, steps: &[(u64, &str, RuleStanding)]) {
    let signals = vec![signal("g", gauge("g")), signal("n", gauge("n"))];
    let plan = plan(vec![target("a", secs(1))], signals, vec![rule]);
    let mut bed = Bed::new(&plan);
    for (second, page, expected) in steps {
        bed.feed(0, *second as f64, page);
        assert_eq!(bed.standing(0), *expected, "at {second} after {page:?}");
    }
}

/// The same page every second from one to before another.
fn each(
    from: u64,
    to: u64,
    page: &str,
    state: RuleStanding,
) -> impl Iterator<Item = (u64, &str, RuleStanding)> {
    (from..to).map(move |second| (second, page, state))
}

#[test]
fn a_rule_fires_when_it_held_for_its_time_and_not_before() {
    let steps = each(0, 10, "g 9", Pending).chain([(10, "g 9", Firing), (11, "g 1", Inactive)]);
    check(hot(), &steps.collect::<Vec<_>>());
}

#[test]
fn a_rule_without_a_time_fires_at_once() {
    check(Rule { hold: Duration::ZERO, ..hot() }, &[(0, "g 1", Inactive), (1, "g 9", Firing)]);
}

#[test]
fn one_missed_scrape_never_clears_a_rule() {
    let steps = each(0, 5, "g 9", Pending)
        .chain([(5, "fail", Pending)])
        .chain(each(6, 10, "g 9", Pending))
        .chain([(10, "g 9", Firing), (11, "fail", Firing), (12, "g 9", Firing)]);
    check(hot(), &steps.collect::<Vec<_>>());
}

#[test]
fn a_bad_line_stops_the_clock_and_clears_nothing() {
    let steps = each(0, 6, "g 9", Pending)
        .chain(each(6, 60, "!g", Pending))
        .chain(each(60, 65, "g 9", Pending))
        .chain([(65, "g 9", Firing)]);
    check(hot(), &steps.collect::<Vec<_>>());
}

#[test]
fn a_rule_without_data_for_long_returns_to_inactive() {
    let steps = each(0, 6, "g 9", Pending).chain(each(6, 66, "!g", Pending));
    check(hot(), &steps.chain([(66, "!g", Inactive)]).collect::<Vec<_>>());
}

#[test]
fn while_the_evidence_is_thin_nothing_is_said() {
    let rule = given(hot(), above(1, 1.0));
    let steps = each(0, 5, "g 9; n 0", Inactive).chain(each(5, 15, "g 9; n 2", Pending)).chain([
        (15, "g 9; n 2", Firing),
        (16, "g 9; n 0", Firing),
        (17, "g 1; n 2", Inactive),
    ]);
    check(rule, &steps.collect::<Vec<_>>());
}

#[test]
fn a_rule_keeps_firing_for_its_time() {
    let rule = Rule { keep_firing_for: secs(5), hold: Duration::ZERO, ..hot() };
    let steps = [(0, "g 9", Firing), (4, "g 1", Firing), (5, "g 1", Inactive)];
    check(rule, &steps);
}

#[test]
fn absence_clears_or_breaches_where_a_rule_says_so() {
    let clear = Rule { on_no_data: OnNoData::Clear, ..hot() };
    check(clear, &[(0, "g 9", Pending), (1, "!g", Inactive)]);
    let breach = Rule { on_no_data: OnNoData::Breach, ..hot() };
    let steps = each(0, 10, "!g", Pending).chain([(10, "!g", Firing), (11, "g 1", Inactive)]);
    check(breach, &steps.collect::<Vec<_>>());
}

#[test]
fn time_that_nobody_watched_never_counts() {
    check(hot(), &[(0, "g 9", Pending), (60, "g 9", Pending), (64, "g 9", Pending)]);
}

#[test]
fn a_failed_scrape_counts_for_those_who_ask_about_that_target_only() {
    let targets = vec![target("a", secs(1)), target("b", secs(1))];
    let kinds = [gauge("g{target=\"a\"}"), SignalKind::Up(targets[1].name.clone())];
    let signals = kinds.map(|kind| signal("s", kind));
    let sum = Num::Arith(
        Arith::Add,
        Box::new(Num::Signal(SignalIx(0))),
        Box::new(Num::Signal(SignalIx(1))),
    );
    let signals = [&signals[..], &[signal("sum", SignalKind::Expr(sum))]].concat();
    let rule = rule("hot", above(2, 5.0), secs(3));
    let mut bed = Bed::new(&plan(targets, signals, vec![rule]));
    bed.feed(1, 0.0, "");
    for (second, page) in [(0.1, "g 9"), (1.1, "fail"), (2.1, "fail"), (3.2, "fail")] {
        bed.feed(0, second, page);
        assert_eq!(bed.standing(0), Pending, "at {second}");
    }
}

#[test]
fn no_rule_asks_to_be_woken_again_and_again() {
    let breach = Rule { on_no_data: OnNoData::Breach, hold: Duration::ZERO, ..hot() };
    let signals = vec![signal("g", gauge("g"))];
    let mut bed = Bed::new(&plan(vec![target("a", secs(1))], signals, vec![breach]));
    bed.feed(0, 0.0, "g 9");
    for second in [10.0, 20.0] {
        bed.feed(0, second, "-");
        assert_eq!(bed.standing(0), Firing);
        assert_eq!(bed.judge.deadline(), None);
    }
}

#[test]
fn absence_is_a_breach_from_the_first_attempt_on_and_not_before() {
    let breach = Rule { on_no_data: OnNoData::Breach, hold: Duration::ZERO, ..hot() };
    let signals = vec![signal("g", gauge("g"))];
    let mut bed = Bed::new(&plan(vec![target("a", secs(1))], signals, vec![breach]));
    bed.feed(0, 0.0, "-");
    assert_eq!(bed.standing(0), Inactive, "nobody has tried yet");
    bed.feed(0, 1.0, "fail");
    assert_eq!(bed.standing(0), Firing);
}

#[test]
fn a_late_answer_does_not_shorten_how_long_a_rule_keeps_firing() {
    let rule = Rule { keep_firing_for: secs(5), hold: Duration::ZERO, ..hot() };
    let targets = vec![target("a", secs(1)), target("b", secs(5))];
    let kind = SignalKind::Series {
        of: selector("g"),
        reduction: Reduction::Gauge { across: Some(Aggregation::Max), over: OverTime::Last },
        window: Duration::ZERO,
    };
    let mut bed = Bed::new(&plan(targets, vec![signal("g", kind)], vec![rule]));
    bed.feed(1, 1.0, "g 1");
    bed.feed(0, 14.0, "g 9");
    bed.feed(1, 10.0, "g 1");
    bed.feed(0, 15.0, "g 1");
    bed.feed(0, 18.0, "g 1");
    assert_eq!(bed.standing(0), Firing);
}

#[test]
fn a_reload_keeps_what_is_unchanged_and_never_makes_a_jump() {
    let increase = |metric: &str| SignalKind::Series {
        of: selector(metric),
        reduction: Reduction::Increase,
        window: secs(10),
    };
    let targets = vec![target("a", secs(1))];
    let signals = vec![signal("g", gauge("g")), signal("c", increase("c"))];
    let calm = rule("calm", above(1, 50.0), Duration::ZERO);
    let before = plan(targets.clone(), signals.clone(), vec![hot(), calm]);
    // Signals and rules change places, one of each is new, and one rule says something else.
    let signals = [vec![signal("d", increase("d"))], signals].concat();
    let hot = Rule { when: rule("hot", above(1, 5.0), secs(10)).when, ..hot() };
    let new = rule("new", above(0, 50.0), Duration::ZERO);
    let calm = rule("calm", above(2, 40.0), Duration::ZERO);
    let mut after = plan(targets, signals, vec![new, calm, hot]);
    let text = before.rules[0].when.text.clone();
    std::sync::Arc::make_mut(&mut after).rules[2].when.text = text;

    let mut bed = Bed::new(&before);
    for second in 0..6 {
        bed.feed(0, f64::from(second), &format!("g 9; c {}", 1000 + second));
    }
    bed.judge = bed.judge.reloaded(after, Instant::from_millis(5500));
    assert_eq!(bed.standing(2), Pending);
    assert_eq!(bed.reading(2), Reading::Value(5.0));
    for second in 6..10 {
        bed.feed(0, f64::from(second), &format!("g 9; c {}; d 9000", 1000 + second));
        assert_eq!([0, 1, 2].map(|rule| bed.standing(rule)), [Inactive, Inactive, Pending]);
    }
    assert_eq!(bed.reading(0), Reading::Value(0.0), "new to us is not new");
    assert_eq!(bed.reading(2), Reading::Value(9.0));
    bed.feed(0, 10.0, "g 9; c 1010; d 9000");
    assert_eq!(bed.standing(2), Firing, "it has held since second 0");
}

#[test]
fn a_page_of_before_a_reload_says_nothing_of_a_target_that_the_reload_changed() {
    let signals = vec![signal("g", gauge("g"))];
    let with = |target: Target| plan(vec![target], signals.clone(), vec![hot()]);
    let moved = Target { timeout: secs(9), ..target("a", secs(1)) };
    let mut bed = Bed::new(&with(target("a", secs(1))));
    bed.feed(0, 0.0, "g 9");
    bed.judge = bed.judge.reloaded(with(moved), Instant::from_millis(5500));
    bed.feed(0, 5.0, "g 9");
    assert!(matches!(bed.reading(0), Reading::NoData(_)), "it was asked for under the other plan");
    bed.feed(0, 6.0, "g 9");
    assert_eq!(bed.reading(0), Reading::Value(9.0));
}

#[test]
fn a_rule_whose_target_is_new_since_a_reload_does_not_ask_to_be_woken_again_and_again() {
    let breach = Rule { on_no_data: OnNoData::Breach, ..hot() };
    let signals = vec![signal("g", gauge("g"))];
    let with =
        |seconds| plan(vec![target("a", secs(seconds))], signals.clone(), vec![breach.clone()]);
    let mut bed = Bed::new(&with(1));
    bed.feed(0, 0.0, "fail");
    assert_eq!(bed.standing(0), Pending);
    bed.judge = bed.judge.reloaded(with(60), Instant::from_millis(500));
    bed.feed(0, 30.0, "-");
    assert_eq!(bed.standing(0), Pending, "nobody has tried yet");
    assert_eq!(bed.judge.deadline(), None);
    // Nor does that time count.
    bed.feed(0, 31.0, "fail");
    assert_eq!(bed.standing(0), Pending);
    bed.feed(0, 41.0, "fail");
    assert_eq!(bed.standing(0), Firing);
}

#[test]
fn a_baseline_of_arithmetic_is_of_what_it_was_computed_from() {
    // Restarted over plans in which `e` is twice `x`: `x` reads `metric`, and may have moved.
    let twice = |metric: &str, moved: bool| {
        let of = selector(metric);
        let x = signal(
            "x",
            SignalKind::Series {
                of,
                reduction: Reduction::Gauge { across: None, over: OverTime::Last },
                window: Duration::ZERO,
            },
        );
        let other = signal("other", SignalKind::Value(7.0));
        let mut signals = if moved { vec![other, x] } else { vec![x, other] };
        let x = Box::new(Num::Signal(SignalIx(usize::from(moved))));
        let two = Box::new(Num::Const(2.0));
        signals.push(signal("e", SignalKind::Expr(Num::Arith(Arith::Mul, two, x))));
        let of = SignalIx(2);
        let kind = SignalKind::Baseline { of, window: secs(10), min_readings: 2 };
        signals.push(signal("e.baseline", kind));
        plan(vec![target("a", secs(1))], signals, Vec::new())
    };
    let mut before = Bed::new(&twice("g", false));
    (0..5).for_each(|second| before.feed(0, f64::from(second), "g 4; h 4000"));
    let at = Instant::from_millis(5000);
    let frozen = before.judge.baselines(at);
    for (metric, moved, expected) in [
        ("g", false, Reading::Value(8.0)),
        ("g", true, Reading::Value(8.0)),
        ("h", false, Reading::NoData(NoData::NotFrozen)),
        ("h", true, Reading::NoData(NoData::NotFrozen)),
    ] {
        let mut after = Bed::new(&twice(metric, moved));
        after.judge.freeze(&frozen, at);
        assert_eq!(after.reading(3), expected, "{metric} {moved}");
    }
}
