//! Where the judge differs from Prometheus by design: each test has both say their number, so that
//! neither side can change its mind unseen.

use std::time::Duration;

use rollguard::model::entry::RuleStanding::{Firing, Pending};
use rollguard::model::reading::{NoData, Reading};
use rollguard::model::signal::{Aggregation, OverTime, Reduction, SignalKind};

use crate::promtool::{ask, is_installed};
use crate::support::bed::{Bed, above, plan, rule, secs, selector, signal, target};

const LENGTH: u64 = 60;

/// What a series shows, second by second: `_` where its scrape failed, `-` where it is not there.
type Shows<'a> = (&'a str, &'a dyn Fn(u64) -> String);

/// Lets both see the same series; answers what ours reads at the end.
///
/// Prometheus is asked whether its expression comes to `theirs`, just after the last sample.
fn both(series: &[Shows<'_>], kind: SignalKind, (expression, theirs): (&str, f64)) -> Reading {
    let mut yaml = "- name: difference\n  interval: 1s\n  input_series:\n".to_owned();
    for (name, shows) in series {
        let values: Vec<String> = (0..LENGTH).map(|s| shows(s).replace('-', "_")).collect();
        let values = values.join(" ");
        yaml.push_str(&format!("  - series: '{name}'\n    values: '{values}'\n"));
    }
    let near = format!("abs(({expression}) - {theirs}) <= bool 1e-9");
    let near =
        if theirs.is_nan() { format!("({expression}) != bool ({expression})") } else { near };
    let end = LENGTH - 1;
    yaml.push_str(&format!("  promql_expr_test:\n  - expr: '{near}'\n    eval_time: {end}s1ms\n"));
    yaml.push_str("    exp_samples: [{labels: '{}', value: 1}]\n");
    ask(&yaml, "groups: []\n");
    let mut bed = Bed::new(&plan(vec![target("a", secs(1))], vec![signal("s", kind)], vec![]));
    for second in 0..LENGTH {
        let shown: Vec<(&str, String)> = series.iter().map(|(n, s)| (*n, s(second))).collect();
        if shown.iter().any(|(_, value)| value == "_") {
            bed.feed(0, second as f64, "fail");
            continue;
        }
        let there = shown.iter().filter(|(_, value)| value != "-");
        let page: String = there.map(|(name, value)| format!("{name} {value};")).collect();
        bed.feed(0, second as f64, &page);
    }
    bed.reading(0)
}

fn increase(of: &str) -> SignalKind {
    SignalKind::Series { of: selector(of), reduction: Reduction::Increase, window: secs(20) }
}

fn text(number: u64) -> String {
    number.to_string()
}

#[test]
fn one_error_is_one_error_and_not_a_little_more() {
    // Theirs estimates what a whole window would have had from what it saw of it, which is good
    // for graphs. A limit of "more than one" must not be passed by one.
    if is_installed() {
        let one = |second: u64| text(if second < 50 { 7 } else { 8 });
        let theirs = 20.0 / 19.0;
        let ours = both(&[("c", &one)], increase("c"), ("increase(c[20s])", theirs));
        assert_eq!(ours, Reading::Value(1.0));
    }
}

#[test]
fn a_series_that_appears_started_at_zero() {
    // The first errors of a bad release make a series that was not there: they are the ones that
    // matter most, and theirs does not count them.
    if is_installed() {
        let well = |second: u64| text(100 * second);
        let bad = |second: u64| if second < 50 { "-".to_owned() } else { text(7) };
        let series: [Shows<'_>; 2] = [("c{status=\"200\"}", &well), ("c{status=\"500\"}", &bad)];
        let of = "c{status=\"500\"}";
        let ours = both(&series, increase(of), (&format!("sum(increase({of}[20s]))"), 0.0));
        assert_eq!(ours, Reading::Value(7.0));
    }
}

#[test]
fn nothing_of_nothing_is_no_traffic() {
    // Theirs is NaN, which compares as false: the rule would say that all is well. Nobody knows.
    if is_installed() {
        let still = |_: u64| text(5);
        let (of, to) = (selector("c{status=\"500\"}"), selector("c"));
        let series: [Shows<'_>; 2] = [("c{status=\"200\"}", &still), ("c{status=\"500\"}", &still)];
        let theirs = "sum(increase(c{status=\"500\"}[20s])) / sum(increase(c[20s]))";
        let ratio = SignalKind::Series { of, reduction: Reduction::Ratio { to }, window: secs(20) };
        assert_eq!(both(&series, ratio, (theirs, f64::NAN)), Reading::NoData(NoData::NoTraffic));
    }
}

#[test]
fn a_window_begins_with_the_newest_sample_before_it() {
    // What happened while scrapes failed did happen. Theirs sees no increase, for its first
    // sample is the one after the gap; ours divides by the time since the one before it.
    if is_installed() {
        let jumps = |second: u64| match second {
            38..=39 => "_".to_owned(),
            _ => text(if second < 38 { 3 } else { 45 }),
        };
        let ours = both(&[("c", &jumps)], increase("c"), ("increase(c[20s])", 0.0));
        assert_eq!(ours, Reading::Value(42.0));
        let rate =
            SignalKind::Series { of: selector("c"), reduction: Reduction::Rate, window: secs(20) };
        let ours = both(&[("c", &jumps)], rate, ("rate(c[20s])", 0.0));
        assert_eq!(ours, Reading::Value(42.0 / 22.0));
    }
}

#[test]
fn a_quantile_beyond_the_largest_bound_is_at_least_that() {
    // Theirs says 2.5 seconds, and a rule of "less than 3" would take that for an answer.
    if is_installed() {
        let fast = |_: u64| text(1);
        let all = |second: u64| text(1 + second);
        let (one, top) = ("h_bucket{le=\"2.5\"}", "h_bucket{le=\"+Inf\"}");
        let of = selector("h");
        let quantile =
            SignalKind::Series { of, reduction: Reduction::Quantile(0.5), window: secs(20) };
        let theirs = "histogram_quantile(0.5, increase(h_bucket[20s]))";
        let ours = both(&[(one, &fast), (top, &all)], quantile, (theirs, 2.5));
        assert_eq!(ours, Reading::AtLeast(2.5));
    }
}

#[test]
fn a_counter_of_a_process_that_began_anew_while_scrapes_failed_counts_from_zero() {
    // It has passed where its predecessor was, so that its value alone shows no reset. That the
    // process began anew, and that another counter fell, does.
    if is_installed() {
        let gone = |second: u64| (50..=51).contains(&second);
        let passed = |second: u64| match second {
            _ if gone(second) => "_".to_owned(),
            _ => text(if second < 50 { 100 } else { 120 }),
        };
        let fell = |second: u64| match second {
            _ if gone(second) => "_".to_owned(),
            _ => text(if second < 50 { 80 } else { 3 }),
        };
        let began = |second: u64| match second {
            _ if gone(second) => "_".to_owned(),
            _ => text(if second < 50 { 1000 } else { 2000 }),
        };
        let series: [Shows<'_>; 3] = [
            ("c{status=\"200\"}", &passed),
            ("c{status=\"500\"}", &fell),
            ("process_start_time_seconds", &began),
        ];
        let theirs = ("sum(increase(c[19s2ms])) * 19 / 19.002", 23.0);
        assert_eq!(both(&series, increase("c"), theirs), Reading::Value(123.0));
    }
}

#[test]
fn a_gauge_rose_by_what_it_rose() {
    // As with counters, theirs is an estimate for the whole window.
    if is_installed() {
        let rises = |second: u64| text(3 * second);
        let over = OverTime::Delta;
        let delta = SignalKind::Series {
            of: selector("g"),
            reduction: Reduction::Gauge { across: Some(Aggregation::Sum), over },
            window: secs(20),
        };
        let ours = both(&[("g", &rises)], delta, ("delta(g[20s])", 60.0));
        assert_eq!(ours, Reading::Value(57.0));
    }
}

#[test]
fn a_rule_that_sees_nothing_waits_and_does_not_forget() {
    // A target that is restarted shows nothing for a while. Theirs begins again after it, so that
    // a service that breaks every few seconds never fires; ours goes on from where it was.
    if is_installed() {
        let dark = |second: u64| (6..=8).contains(&second);
        let values = (0..30).map(|second| if dark(second) { "stale" } else { "9" });
        let values = values.collect::<Vec<_>>().join(" ");
        let mut yaml = format!(
            "- name: waits\n  interval: 1s\n  input_series:\n  - series: 'g'\n    \
             values: '{values}'\n  promql_expr_test:\n"
        );
        for (second, state) in [(5, "pending"), (13, "pending"), (18, "pending"), (19, "firing")] {
            yaml.push_str(&format!(
                "  - expr: 'count(ALERTS{{alertstate=\"{state}\"}})'\n    \
                 eval_time: {second}s\n    exp_samples: [{{labels: '{{}}', value: 1}}]\n"
            ));
        }
        ask(
            &yaml,
            "groups:\n- name: hot\n  rules:\n  - alert: hot\n    expr: g > 5\n    for: 10s\n",
        );
        let of = selector("g");
        let kind = SignalKind::Series {
            of,
            reduction: Reduction::Gauge { across: Some(Aggregation::Sum), over: OverTime::Last },
            window: Duration::ZERO,
        };
        let rules = vec![rule("hot", above(0, 5.0), secs(10))];
        let mut bed = Bed::new(&plan(vec![target("a", secs(1))], vec![signal("g", kind)], rules));
        for second in 0..30 {
            bed.feed(0, second as f64, if dark(second) { "" } else { "g 9" });
            match second {
                // Seen to hold from 0 to 5 and from 9 on.
                5 | 13 => assert_eq!(bed.standing(0), Pending, "at {second}"),
                14.. => assert_eq!(bed.standing(0), Firing, "at {second}"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_rule_keeps_firing_from_when_it_was_last_seen_to_hold() {
    // Theirs counts from the first evaluation that did not hold, ours from the last that did: how
    // long a rule keeps firing does not depend on how often it is looked at.
    if is_installed() {
        let values = (0..30).map(|second| if second <= 10 { "9" } else { "1" });
        let values = values.collect::<Vec<_>>().join(" ");
        let mut yaml = format!(
            "- name: keeps\n  interval: 1s\n  input_series:\n  - series: 'g'\n    \
             values: '{values}'\n  promql_expr_test:\n"
        );
        for (second, firing) in [(10, 1), (14, 1), (15, 1), (16, 0)] {
            yaml.push_str(&format!(
                "  - expr: 'count(ALERTS{{alertstate=\"firing\"}}) or vector(0)'\n    \
                 eval_time: {second}s\n    exp_samples: [{{labels: '{{}}', value: {firing}}}]\n"
            ));
        }
        ask(
            &yaml,
            "groups:\n- name: hot\n  rules:\n  - alert: hot\n    expr: g > 5\n    for: 3s\n    \
             keep_firing_for: 5s\n",
        );
        let of = selector("g");
        let kind = SignalKind::Series {
            of,
            reduction: Reduction::Gauge { across: Some(Aggregation::Sum), over: OverTime::Last },
            window: Duration::ZERO,
        };
        let mut hot = rule("hot", above(0, 5.0), secs(3));
        hot.keep_firing_for = secs(5);
        let plan = plan(vec![target("a", secs(1))], vec![signal("g", kind)], vec![hot]);
        let mut bed = Bed::new(&plan);
        for second in 0..30 {
            bed.feed(0, second as f64, if second <= 10 { "g 9" } else { "g 1" });
            let fires = bed.standing(0) == Firing;
            assert_eq!(fires, (3..15).contains(&second), "at {second}");
        }
    }
}
