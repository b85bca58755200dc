//! Signals over several groups and targets: more groups than there is place for, targets that may
//! have them, and how often a baseline counts what several targets feed.

use std::time::Duration;

use rollguard::model::entry::RuleStanding;
use rollguard::model::group::{Group, MAX_GROUPS};
use rollguard::model::index::SignalIx;
use rollguard::model::name::{SignalName, TargetName};
use rollguard::model::reading::{NoData, Reading};
use rollguard::model::rule::{Quorum, Rule};
use rollguard::model::signal::{Aggregation, OverTime, Reduction, Signal, SignalKind};
use rollguard::model::time::Instant;

use crate::support::bed::{Bed, above, plan, rule, secs, selector, signal, target};

fn by(label: &str, signal: Signal) -> Signal {
    Signal { by: vec![label.to_owned()], ..signal }
}

fn queue(across: Option<Aggregation>) -> Signal {
    signal(
        "queue",
        SignalKind::Series {
            of: selector("queue"),
            reduction: Reduction::Gauge { across, over: OverTime::Last },
            window: Duration::ZERO,
        },
    )
}

/// A page of one series for each of these paths, and of a counter.
fn paths(paths: std::ops::Range<usize>, each: f64, errors: Option<f64>) -> String {
    let mut lines: Vec<String> =
        paths.map(|path| format!("queue{{path=\"/{path}\"}} {each}")).collect();
    lines.extend(errors.map(|errors| format!("errors_total {errors}")));
    lines.join(";")
}

#[test]
fn too_many_groups_do_not_make_a_counter_that_comes_back_count_its_life() {
    let errors = SignalKind::Series {
        of: selector("errors_total"),
        reduction: Reduction::Increase,
        window: secs(30),
    };
    let signals = vec![by("path", queue(None)), signal("errors", errors)];
    let mut bed = Bed::new(&plan(vec![target("api", secs(1))], signals, Vec::new()));
    for second in 0..20_u32 {
        let errors = (second % 5 != 4).then_some(1e6 + f64::from(second));
        bed.feed(0, f64::from(second), &paths(0..MAX_GROUPS + 10, 0.0, errors));
    }
    let Reading::Value(errors) = bed.reading(1) else { panic!("{:?}", bed.reading(1)) };
    assert!(errors <= 20.0, "{errors}");
}

#[test]
fn what_groups_beyond_the_most_do_is_not_known() {
    let with = |quorum| Rule { quorum, ..rule("all", above(0, 5.0), secs(0)) };
    let rules = vec![with(Quorum::All), with(Quorum::Any)];
    let mut bed =
        Bed::new(&plan(vec![target("api", secs(1))], vec![by("path", queue(None))], rules));
    let others = |bed: &Bed| bed.judge.reading_in(SignalIx(0), &Group::others());
    for second in 0..3 {
        bed.feed(0, f64::from(second), &paths(0..MAX_GROUPS + 1, 9.0, None));
        assert_eq!(others(&bed), Reading::NoData(NoData::TooManyGroups));
        assert_eq!(bed.standing(0), RuleStanding::Inactive);
        assert_eq!(bed.standing(1), RuleStanding::Firing);
    }
    // Those that are gone make place.
    for second in 3..9 {
        bed.feed(0, f64::from(second), &paths(2..MAX_GROUPS + 1, 9.0, None));
    }
    bed.feed(0, 9.0, &paths(2..MAX_GROUPS + 1, 9.0, None));
    assert_eq!(others(&bed), Reading::NoData(NoData::NoSeries));
    assert_eq!(bed.standing(0), RuleStanding::Firing);
}

#[test]
fn a_target_that_never_answered_has_no_share_of_what_its_labels_rule_out() {
    let mut targets = vec![target("a", secs(1)), target("b", secs(1))];
    for (target, instance) in targets.iter_mut().zip(["one", "two"]) {
        target.labels = vec![("instance".to_owned(), instance.to_owned())];
    }
    assert_eq!(targets[0].name, TargetName::new("a").unwrap());
    for label in ["target", "instance", "path"] {
        let rules = vec![rule("r", above(0, 5.0), secs(0))];
        let signals = vec![by(label, queue(Some(Aggregation::Avg)))];
        let mut bed = Bed::new(&plan(targets.clone(), signals, rules));
        (0..3).for_each(|second| bed.feed(0, f64::from(second), "queue{path=\"/\"} 9"));
        let expected = if label == "path" { RuleStanding::Inactive } else { RuleStanding::Firing };
        assert_eq!(bed.standing(0), expected, "{label}");
    }
}

#[test]
fn a_baseline_counts_one_reading_an_interval_however_many_targets_feed_it() {
    let targets = ["a", "b", "c"].map(|name| target(name, secs(1))).to_vec();
    let baseline = SignalKind::Baseline { of: SignalIx(0), window: secs(600), min_readings: 30 };
    let mut rested = signal("rested", baseline);
    rested.name = SignalName::new("queue").unwrap().baseline();
    let signals = vec![queue(Some(Aggregation::Sum)), rested];
    let mut bed = Bed::new(&plan(targets, signals, Vec::new()));
    for second in 0..20 {
        for target in 0..3 {
            bed.feed(target, f64::from(second) + 0.3 * target as f64, "queue 1");
        }
    }
    let frozen = bed.judge.baselines(Instant::ZERO.after(secs(20)));
    assert_eq!((frozen[0].readings, frozen[0].value), (20, None));
}
