//! Readings, sentence by sentence of the rule language.

use std::time::Duration;

use rollguard::model::condition::{Arith, Num};
use rollguard::model::index::{SignalIx, TargetIx};
use rollguard::model::reading::NoData;
use rollguard::model::reading::Reading::{self, AtLeast, Value};
use rollguard::model::scrape::Scrape;
use rollguard::model::signal::{Aggregation, OverTime, Reduction, SignalKind};
use rollguard::model::time::Instant;

use crate::support::bed::{Bed, page, plan, secs, selector, signal, target, wall};

const fn none(why: NoData) -> Reading {
    Reading::NoData(why)
}

const FILLING: Reading = none(NoData::WindowFilling);
const NO_SERIES: Reading = none(NoData::NoSeries);

/// Feeds one target, sampled each second, and compares the signal's reading after each page.
fn check(kind: SignalKind, steps: &[(u64, &str, Reading)]) {
    let plan = plan(vec![target("a", secs(1))], vec![signal("s", kind)], vec![]);
    let mut bed = Bed::new(&plan);
    for (second, page, expected) in steps {
        bed.feed(0, *second as f64, page);
        assert_eq!(bed.reading(0), *expected, "at {second} after {page:?}");
    }
}

fn increase(of: &str) -> SignalKind {
    SignalKind::Series { of: selector(of), reduction: Reduction::Increase, window: secs(10) }
}

fn ratio() -> SignalKind {
    let of = selector("c{status=~\"5..\"}");
    SignalKind::Series { of, reduction: Reduction::Ratio { to: selector("c") }, window: secs(10) }
}

fn gauge(across: Option<Aggregation>, over: OverTime) -> SignalKind {
    let window = if over == OverTime::Last { Duration::ZERO } else { secs(10) };
    let reduction = Reduction::Gauge { across, over };
    SignalKind::Series { of: selector("g"), reduction, window }
}

#[test]
fn a_rate_divides_by_the_time_between_the_samples_used() {
    let kind =
        SignalKind::Series { of: selector("c"), reduction: Reduction::Rate, window: secs(10) };
    let steps = [(0, "c 5", FILLING), (2, "c 9", Value(2.0)), (4, "c 25", Value(5.0))];
    check(kind, &steps);
}

#[test]
fn at_the_first_scrape_nothing_counts_in_full() {
    check(increase("c"), &[(0, "c 500", FILLING), (1, "c 503", Value(3.0))]);
}

#[test]
fn a_series_that_appears_on_a_target_that_was_scraped_counts_in_full() {
    let bad = "c{status=\"200\"} 10; c{status=\"500\"} 7";
    check(
        increase("c{status=\"500\"}"),
        &[(0, "c{status=\"200\"} 10", NO_SERIES), (1, bad, Value(7.0)), (2, bad, Value(7.0))],
    );
}

#[test]
fn a_series_that_appears_after_a_failed_scrape_counts_from_zero() {
    check(increase("c"), &[(0, "", NO_SERIES), (1, "fail", NO_SERIES), (2, "c 4", Value(4.0))]);
}

#[test]
fn a_decrease_is_a_reset() {
    check(increase("c"), &[(0, "c 50", FILLING), (1, "c 53", Value(3.0)), (2, "c 4", Value(7.0))]);
}

#[test]
fn a_series_that_disappears_contributes_what_it_gained_and_comes_back_from_where_it_was() {
    check(
        increase("c"),
        &[
            (0, "c{l=\"x\"} 5; c{l=\"y\"} 5", FILLING),
            (1, "c{l=\"x\"} 9; c{l=\"y\"} 5", Value(4.0)),
            (2, "c{l=\"y\"} 6", Value(5.0)),
            (3, "c{l=\"x\"} 10; c{l=\"y\"} 6", Value(6.0)),
        ],
    );
}

#[test]
fn a_restart_counts_from_zero_whatever_the_counters_have_reached_since() {
    let at = |start: &str, c: &str, other: &str| {
        format!("process_start_time_seconds {start}; c{{l=\"x\"}} {c}; c{{l=\"y\"}} {other}")
    };
    check(
        increase("c{l=\"x\"}"),
        &[
            (0, &at("100", "10", "5000"), FILLING),
            (1, &at("101.4", "20", "5000"), Value(10.0)),
            (2, &at("200", "30", "7"), Value(20.0)),
        ],
    );
    check(
        increase("c"),
        &[(0, &at("100", "10", "5000"), FILLING), (2, &at("200", "30", "7"), Value(37.0))],
    );
}

#[test]
fn an_exporter_that_starts_anew_does_not_make_counters_jump_that_go_on() {
    let at = |start: u32, value: u32| format!("process_start_time_seconds {start}; c {value}");
    check(
        increase("c"),
        &[
            (0, &at(100, 1_000_000), FILLING),
            (1, &at(200, 1_000_003), Value(3.0)),
            (2, &at(200, 4), Value(7.0)),
        ],
    );
}

#[test]
fn samples_that_are_not_numbers_are_no_samples_and_infinite_ones_are_refused() {
    check(
        increase("c"),
        &[
            (0, "c 1", FILLING),
            (1, "c NaN", Value(0.0)),
            (2, "c 4", Value(3.0)),
            (3, "c +Inf", none(NoData::NotFinite)),
            (4, "c 5", Value(4.0)),
        ],
    );
}

#[test]
fn a_ratio_without_traffic_is_no_data_and_without_errors_is_zero() {
    check(
        ratio(),
        &[
            (0, "c{status=\"200\"} 5", FILLING),
            (1, "c{status=\"200\"} 5", none(NoData::NoTraffic)),
            (2, "c{status=\"200\"} 8", Value(0.0)),
            (3, "c{status=\"200\"} 8; c{status=\"500\"} 1", Value(0.25)),
        ],
    );
}

#[test]
fn a_bad_line_is_no_data_and_recovers_without_a_jump() {
    check(
        increase("c"),
        &[
            (0, "c 100", FILLING),
            (1, "c 101", Value(1.0)),
            (2, "!c", none(NoData::Malformed(7))),
            (3, "c 103; c{l=\"x\"} 900", Value(3.0)),
            (4, "!; c 104", none(NoData::Malformed(7))),
            (5, "c 105; !d", Value(5.0)),
        ],
    );
}

#[test]
fn a_series_that_stands_twice_with_two_values_is_no_data_and_recovers_without_a_jump() {
    check(
        increase("c"),
        &[
            (0, "c{a=\"1\",b=\"2\"} 100", FILLING),
            (1, "c{a=\"1\",b=\"2\"} 101; c{b=\"2\", a=\"1\"} 101", Value(1.0)),
            (2, "c{a=\"1\",b=\"2\"} 102; c{b=\"2\", a=\"1\"} 9", none(NoData::Duplicate)),
            (3, "c{ b=\"2\",a=\"1\" } 103", Value(3.0)),
        ],
    );
}

#[test]
fn one_missed_scrape_changes_no_reading_and_a_long_silence_does() {
    check(
        increase("c"),
        &[
            (0, "c 1", FILLING),
            (1, "c 2", Value(1.0)),
            (2, "fail", Value(1.0)),
            (5, "-", Value(1.0)),
            (6, "-", none(NoData::Stale)),
            (7, "c 3", Value(2.0)),
        ],
    );
}

#[test]
fn a_quantile_is_of_the_observations_within_the_window() {
    let kind = SignalKind::Series {
        of: selector("h"),
        reduction: Reduction::Quantile(0.5),
        window: secs(10),
    };
    let bucket = |le: &str, count: u32| format!("h_bucket{{le=\"{le}\"}} {count};");
    let at = |one: u32, two: u32, all: u32| {
        [bucket("1", one), bucket("2", two), bucket("+Inf", all)].concat()
    };
    check(
        kind,
        &[
            (0, &at(900, 900, 900), FILLING),
            (1, &at(900, 900, 900), none(NoData::NoObservations)),
            (2, &at(900, 904, 904), Value(1.5)),
            (3, &at(900, 904, 914), AtLeast(2.0)),
            (4, "h_bucket{le=\"1\"} 990; !h_bucket", none(NoData::Malformed(7))),
        ],
    );
}

#[test]
fn a_mean_is_of_the_observations_within_the_window() {
    let kind =
        SignalKind::Series { of: selector("h"), reduction: Reduction::Mean, window: secs(10) };
    check(
        kind,
        &[
            (0, "h_sum 100; h_count 10", FILLING),
            (1, "h_sum 100; h_count 10", none(NoData::NoObservations)),
            (2, "h_sum 103; h_count 12", Value(1.5)),
        ],
    );
}

#[test]
fn several_gauges_need_a_word_that_makes_them_one() {
    let two = "g{l=\"x\"} 4; g{l=\"y\"} 8";
    let check = |across, expected| check(gauge(across, OverTime::Last), &[(0, two, expected)]);
    check(None, none(NoData::SeveralSeries(2)));
    check(Some(Aggregation::Sum), Value(12.0));
    check(Some(Aggregation::Avg), Value(6.0));
    check(Some(Aggregation::Min), Value(4.0));
    check(Some(Aggregation::Max), Value(8.0));
    check(Some(Aggregation::Count), Value(2.0));
}

#[test]
fn a_sample_with_an_old_timestamp_of_its_own_is_stale() {
    check(
        gauge(None, OverTime::Last),
        &[
            (9, "g 1 @3", Value(1.0)),
            (10, "g 1 @5", none(NoData::Stale)),
            (11, "g 2 @0", Value(2.0)),
        ],
    );
}

#[test]
fn arithmetic_over_constants_is_known_from_the_start() {
    let twice =
        Num::Arith(Arith::Mul, Box::new(Num::Signal(SignalIx(0))), Box::new(Num::Const(2.0)));
    let signals =
        vec![signal("limit", SignalKind::Value(5.0)), signal("double", SignalKind::Expr(twice))];
    let mut bed = Bed::new(&plan(vec![target("a", secs(1))], signals, vec![]));
    assert_eq!(bed.reading(1), Value(10.0));
    bed.feed(0, 1.0, "g 1");
    assert_eq!(bed.reading(1), Value(10.0));
}

#[test]
fn every_target_of_a_signal_may_fall_silent_at_its_own_time() {
    let mut of = signal("s", increase("c"));
    of.stale = Some(secs(4));
    let mut bed =
        Bed::new(&plan(vec![target("a", secs(1)), target("b", secs(1))], vec![of], vec![]));
    for second in 0..3 {
        bed.feed(0, f64::from(second), "c 1");
        bed.feed(1, f64::from(second), "c 1");
    }
    bed.feed(1, 5.0, "c 3");
    assert_eq!(bed.reading(0), Value(2.0));
    bed.feed(1, 7.0, "c 4");
    assert_eq!(bed.reading(0), AtLeast(3.0), "the first target is silent");
    bed.feed(0, 12.0, "-");
    assert_eq!(bed.reading(0), none(NoData::Stale), "both are silent");
}

/// Feeds two targets, sampled each second, and compares the signal's reading after each page.
fn check_two(kind: SignalKind, steps: &[(usize, u64, &str, Reading)]) {
    let targets = vec![target("a", secs(1)), target("b", secs(1))];
    let mut bed = Bed::new(&plan(targets, vec![signal("s", kind)], vec![]));
    for (target, second, page, expected) in steps {
        bed.feed(*target, *second as f64, page);
        assert_eq!(bed.reading(0), *expected, "at {second} after {page:?} of {target}");
    }
}

#[test]
fn the_largest_quantile_of_those_that_answer_is_a_lower_bound() {
    let kind = SignalKind::Series {
        of: selector("s"),
        reduction: Reduction::Quantile(0.5),
        window: Duration::ZERO,
    };
    let page = "s{quantile=\"0.5\"} 3; s{quantile=\"0.9\"} 9";
    check_two(
        kind,
        &[
            (0, 0, page, AtLeast(3.0)),
            (1, 1, "s{quantile=\"0.5\"} 4", Value(4.0)),
            (0, 9, page, AtLeast(3.0)),
            (0, 10, "s{quantile=\"0.5\"} NaN", none(NoData::Stale)),
        ],
    );
}

#[test]
fn a_target_that_never_answered_leaves_a_gap() {
    check_two(
        increase("c"),
        &[
            (0, 0, "c 1", FILLING),
            (0, 1, "c 3", AtLeast(2.0)),
            (1, 1, "fail", AtLeast(2.0)),
            (1, 2, "d 1", Value(2.0)),
        ],
    );
    check_two(
        gauge(Some(Aggregation::Sum), OverTime::Last),
        &[(0, 0, "g 1", none(NoData::NeverScraped)), (1, 1, "g 2", Value(3.0))],
    );
}

#[test]
fn a_start_time_that_stands_twice_shows_no_restart() {
    let two = |a: u32, b: u32, c: u32| {
        format!("process_start_time_seconds {a}; process_start_time_seconds {b}; c {c}")
    };
    check(
        increase("c"),
        &[(0, &two(100, 200, 5000), FILLING), (1, &two(200, 100, 5001), Value(1.0))],
    );
}

#[test]
fn a_series_first_seen_infinite_counts_from_where_it_becomes_finite() {
    check(
        increase("c{l=\"x\"}"),
        &[
            (0, "c 1", NO_SERIES),
            (1, "c 1; c{l=\"x\"} +Inf", none(NoData::NotFinite)),
            (2, "c 1; c{l=\"x\"} 9000", Value(0.0)),
            (3, "c 1; c{l=\"x\"} 9003", Value(3.0)),
        ],
    );
}

#[test]
fn one_absurd_value_is_forgotten_with_its_window() {
    let normal = |second: u64| format!("c {second}; g {second}");
    let avg = gauge(None, OverTime::Avg);
    for (kind, absurd) in [(increase("c"), "1.8e19"), (increase("c"), "1.7e308"), (avg, "1.7e308")]
    {
        let mut steps: Vec<(u64, String)> = (0..60).map(|at| (at, normal(at))).collect();
        steps[5].1 = format!("c {absurd}; g {absurd}");
        steps[7].1 = steps[5].1.clone();
        let mut bed = Bed::new(&plan(vec![target("a", secs(1))], vec![signal("s", kind)], vec![]));
        steps.iter().for_each(|(second, page)| bed.feed(0, *second as f64, page));
        let expected = if bed.reading(0).value() > Some(20.0) { 54.5 } else { 10.0 };
        assert_eq!(bed.reading(0), Value(expected));
    }
}

#[test]
fn a_reload_adds_no_sample() {
    let avg = gauge(None, OverTime::Avg);
    let plan = plan(vec![target("a", secs(1))], vec![signal("s", avg)], vec![]);
    let mut bed = Bed::new(&plan);
    bed.feed(0, 0.0, "g 1");
    bed.feed(0, 1.0, "g 4");
    assert_eq!(bed.reading(0), Value(2.5));
    bed.judge = bed.judge.reloaded(plan, Instant::from_millis(1500));
    assert_eq!(bed.reading(0), Value(2.5));
    bed.feed(0, 2.0, "g 4");
    assert_eq!(bed.reading(0), Value(3.0));
}

#[test]
fn series_that_differ_by_a_label_that_the_target_overrides_are_not_the_same() {
    let mut canary = target("a", secs(1));
    canary.labels = vec![("role".to_owned(), "canary".to_owned())];
    let of = selector("c{role=\"canary\", target=\"a\"}");
    let kind = SignalKind::Series { of, reduction: Reduction::Increase, window: secs(10) };
    let mut bed = Bed::new(&plan(vec![canary], vec![signal("s", kind)], vec![]));
    bed.feed(0, 0.0, "c{role=\"x\"} 10; c{role=\"y\"} 20; c{target=\"z\"} 30");
    bed.feed(0, 1.0, "c{role=\"x\"} 11; c{role=\"y\"} 22; c{target=\"z\"} 34");
    assert_eq!(bed.reading(0), Value(7.0));
}

#[test]
fn a_page_that_may_be_cut_does_not_show_that_a_series_is_new() {
    let plan = plan(vec![target("a", secs(1))], vec![signal("s", increase("c"))], vec![]);
    let check = |pages: &[(&str, u64)], expected: Reading| {
        let mut bed = Bed::new(&plan);
        for (second, (text, bytes)) in pages.iter().enumerate() {
            let at = Instant::ZERO.after(secs(second as u64));
            let mut page = page(text, at);
            (page.may_lack_series, page.bytes) = (true, *bytes);
            let (target, took) = (TargetIx(0), Duration::ZERO);
            bed.judge.observe(&Scrape { target, at, wall: wall(at), took, result: Ok(page) });
        }
        assert_eq!(bed.reading(0), expected, "{pages:?}");
    };
    let both = "c{code=\"200\"} 5000; c{code=\"500\"} 700";
    check(&[("c{code=\"200\"} 5000", 9), (both, 9)], Value(0.0));
    // No two in a row are cut at the same place.
    let one = "c{code=\"200\"} 5000";
    check(&[(one, 9), (one, 9), (both, 9)], Value(700.0));
    // An empty one never shows anything.
    check(&[("", 0), ("", 0), (both, 9), (both, 9)], Value(0.0));
}

#[test]
fn many_bad_lines_of_one_metric_say_nothing_of_another() {
    let bad = "!other;".repeat(1000);
    let pages = [format!("{bad} c 5"), format!("{bad} c 7")];
    let steps = [(0, pages[0].as_str(), FILLING), (1, pages[1].as_str(), Value(2.0))];
    check(increase("c"), &steps);
    let unnamed = format!("{bad}! ; c 9");
    check(increase("c"), &[(0, unnamed.as_str(), none(NoData::Malformed(7)))]);
}
