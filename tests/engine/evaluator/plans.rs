//! Plans at random: every kind of signal over the series of [`super::service`], and rules
//! over them.

use std::sync::Arc;
use std::time::Duration;

use rollguard::model::condition::{Arith, Compare, Cond, Extreme, Num};
use rollguard::model::index::SignalIx;
use rollguard::model::name::StageName;
use rollguard::model::plan::Plan;
use rollguard::model::rule::{OnNoData, Quorum, Rule, Share};
use rollguard::model::signal::{
    AgeOf, Aggregation, OverTime, Reduction, Signal, SignalKind, Threshold,
};
use rollguard::model::target::Target;

use crate::support::bed::{given, plan, rule, secs, selector, signal, target};
use crate::support::dice::Dice;

fn window(dice: &mut Dice) -> Duration {
    secs(dice.pick(&[2, 5, 10, 30]))
}

fn sampled(dice: &mut Dice, targets: &[Target]) -> Vec<SignalKind> {
    let counter =
        ["c", "c{status=\"500\"}", "c{status=~\"5..\"}", "c{status!=\"500\",route=\"a\"}"];
    let one_target = ["c{target=\"a\"}", "c{zone!=\"z1\"}", "c{zone=\"\"}"];
    let mut kinds = vec![SignalKind::Value(3.0)];
    for text in [dice.pick(&counter), dice.pick(&counter), dice.pick(&one_target)] {
        let of = selector(text);
        kinds.push(SignalKind::Series {
            of: of.clone(),
            reduction: Reduction::Rate,
            window: window(dice),
        });
        kinds.push(SignalKind::Series { of, reduction: Reduction::Increase, window: window(dice) });
    }
    let of = selector("c{status=~\"5..\"}");
    kinds.push(SignalKind::Series {
        of,
        reduction: Reduction::Ratio { to: selector("c") },
        window: window(dice),
    });
    kinds.push(SignalKind::Series {
        of: selector("h"),
        reduction: Reduction::Mean,
        window: window(dice),
    });
    for q in [0.0, 0.5, 0.95, 1.0] {
        let window = window(dice);
        kinds.push(SignalKind::Series {
            of: selector("h"),
            reduction: Reduction::Quantile(q),
            window,
        });
    }
    kinds.push(SignalKind::Series {
        of: selector("s"),
        reduction: Reduction::Quantile(0.5),
        window: Duration::ZERO,
    });
    let all = [
        Aggregation::Sum,
        Aggregation::Avg,
        Aggregation::Min,
        Aggregation::Max,
        Aggregation::Count,
    ];
    let length = window(dice);
    for (over, window) in [
        (OverTime::Last, Duration::ZERO),
        (OverTime::Avg, length),
        (OverTime::Min, length),
        (OverTime::Max, length),
    ] {
        let across = dice.pick(&all);
        kinds.push(SignalKind::Series {
            of: selector("g"),
            reduction: Reduction::Gauge { across: Some(across), over },
            window,
        });
    }
    let of = selector("g{target=\"a\",l=\"x\"}");
    kinds.push(SignalKind::Series {
        of,
        reduction: Reduction::Gauge { across: None, over: OverTime::Last },
        window: Duration::ZERO,
    });
    kinds.push(SignalKind::Up(dice.pick(targets).name.clone()));
    for over in [OverTime::Median, OverTime::Stddev, OverTime::Delta, OverTime::Slope] {
        let across = Some(dice.pick(&all));
        let of = selector(dice.pick(&["g", "g{l=\"x\"}"]));
        kinds.push(SignalKind::Series {
            of,
            reduction: Reduction::Gauge { across, over },
            window: length,
        });
    }
    for text in ["c", "g", "c{status=~\"5..\"}", "t"] {
        let limit =
            Threshold { op: dice.pick(&[Compare::Greater, Compare::LessOrEqual]), than: 20.0 };
        let value = dice.chance(600).then_some(limit);
        kinds.push(SignalKind::Series {
            of: selector(text),
            reduction: Reduction::Count(value),
            window: Duration::ZERO,
        });
    }
    for (text, since) in [("g", AgeOf::Sample), ("c", AgeOf::Sample), ("t", AgeOf::Value)] {
        kinds.push(SignalKind::Series {
            of: selector(text),
            reduction: Reduction::Age(since),
            window: Duration::ZERO,
        });
    }
    kinds
}

/// Labels by which the signals of a plan may be read.
const BY: [&[&str]; 6] =
    [&["route"], &["status"], &["l"], &["route", "status"], &["target"], &["zone"]];

fn signals(dice: &mut Dice, targets: &[Target]) -> Vec<Signal> {
    let by: Vec<String> = dice.pick(&BY).iter().map(|name| (*name).to_owned()).collect();
    let grouped = dice.pick(&[0, 200, 500]);
    let mut signals: Vec<Signal> = Vec::new();
    for kind in sampled(dice, targets) {
        let stale = dice.chance(200).then(|| window(dice));
        let name = format!("s{}", signals.len());
        let may_be = kind.is_sampled() && !matches!(kind, SignalKind::Up(_));
        let by = if may_be && dice.chance(grouped) { by.clone() } else { Vec::new() };
        signals.push(Signal { stale, by, ..signal(&name, kind) });
    }
    for number in 0..10 {
        if number < 6 {
            computed(dice, &mut signals);
        } else {
            derived(dice, &mut signals);
        }
    }
    // What looks back may be computed with, too.
    (0..3).for_each(|_| computed(dice, &mut signals));
    signals
}

/// Adds a baseline and an earlier reading of some signal that has none yet.
fn derived(dice: &mut Dice, signals: &mut Vec<Signal>) {
    let of = SignalIx(dice.below(signals.len() as u64) as usize);
    let Signal { name, by, kind, .. } = signals[of.0].clone();
    let constant = matches!(kind, SignalKind::Value(_));
    if constant || name.is_derived() || signals.iter().any(|signal| signal.name == name.before()) {
        return;
    }
    let min_readings = dice.pick(&[0, 1, 3, 10]) as u32;
    let baseline = SignalKind::Baseline { of, window: window(dice), min_readings };
    let before = SignalKind::Before { of, window: window(dice) };
    for (name, kind) in [(name.baseline(), baseline), (name.before(), before)] {
        signals.push(Signal { by: by.clone(), ..signal(name.as_str(), kind) });
    }
}

/// Adds arithmetic over other signals; it is read by their labels.
fn computed(dice: &mut Dice, signals: &mut Vec<Signal>) {
    let kind = {
        let mut operand =
            || Box::new(Num::Signal(SignalIx(dice.below(signals.len() as u64) as usize)));
        let (left, right) = (operand(), operand());
        let op = dice.pick(&[Arith::Add, Arith::Sub, Arith::Mul, Arith::Div]);
        let extreme = dice.pick(&[Extreme::Min, Extreme::Max]);
        SignalKind::Expr(match dice.below(5) {
            0 => Num::Extreme(extreme, vec![*left, *right]),
            1 => Num::Neg(left),
            2 => Num::Abs(left),
            _ => Num::Arith(op, left, right),
        })
    };
    let mut by = Vec::new();
    kind.for_each_signal(&mut |inner| {
        by = [std::mem::take(&mut by), signals[inner.0].by.clone()].into_iter().max().unwrap();
    });
    let name = format!("e{}", signals.len());
    signals.push(Signal { by, ..signal(&name, kind) });
}

/// Whether a signal, or one that it is computed from, is found with rounding.
fn is_rounded(signals: &[Signal], ix: SignalIx) -> bool {
    let kind = &signals[ix.0].kind;
    let mut rounded = matches!(
        kind,
        SignalKind::Series {
            reduction: Reduction::Gauge {
                over: OverTime::Slope | OverTime::Stddev | OverTime::Avg,
                ..
            },
            ..
        }
    );
    kind.for_each_signal(&mut |inner| rounded = rounded || is_rounded(signals, inner));
    rounded
}

fn cond(dice: &mut Dice, signals: &[Signal]) -> Cond {
    let ops = [Compare::Greater, Compare::Less, Compare::GreaterOrEqual, Compare::LessOrEqual];
    let ops = [&ops[..], &[Compare::Equal, Compare::NotEqual, Compare::Greater]].concat();
    let ix = SignalIx(dice.below(signals.len() as u64) as usize);
    let limit = dice.pick(&[0.0, 0.0, 0.5, 1.0, 2.0, 10.0, 50.0]);
    // What is found by different formulas may be rounded to either side of a plain number.
    let shift = if is_rounded(signals, ix) { 0.0137 } else { 0.0 };
    let (signal, limit) = (Num::Signal(ix), Num::Const(limit + shift));
    let leaf = Cond::Compare(signal, dice.pick(&ops), limit);
    match dice.below(8) {
        0 => Cond::And(Box::new(leaf), Box::new(cond(dice, signals))),
        1 => Cond::Or(Box::new(leaf), Box::new(cond(dice, signals))),
        2 => Cond::Not(Box::new(leaf)),
        _ => leaf,
    }
}

fn rules(dice: &mut Dice, signals: &[Signal]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for place in 0..12 {
        let mut rule = rule(&format!("r{place}"), cond(dice, signals), Duration::ZERO);
        rule.hold = Duration::from_millis(dice.pick(&[0, 1000, 3000, 3500, 10_000]));
        rule.keep_firing_for = secs(dice.pick(&[0, 0, 3, 20]));
        if dice.chance(400) {
            rule.share = Share::new(dice.pick(&[0.1, 0.5, 0.8, 0.95])).unwrap();
        }
        rule.quorum = dice.pick(&[Quorum::Any, Quorum::All, Quorum::AtLeast(2)]);
        let stages = dice.pick(&[&[][..], &[], &[], &["canary"], &["canary", "half"]]);
        rule.stages = stages.iter().map(|name| StageName::new(name).unwrap()).collect();
        rule.on_no_data =
            dice.pick(&[OnNoData::Hold, OnNoData::Hold, OnNoData::Clear, OnNoData::Breach]);
        if dice.chance(300) {
            rule = given(rule, cond(dice, signals));
        }
        rules.push(rule);
    }
    rules
}

pub(crate) fn random_plan(dice: &mut Dice) -> Arc<Plan> {
    let count = dice.pick(&[1, 1, 2, 3]);
    let mut targets: Vec<Target> = ["a", "b", "d"][..count]
        .iter()
        .map(|name| target(name, Duration::from_millis(dice.pick(&[500, 1000, 2000]))))
        .collect();
    for target in &mut targets {
        if dice.chance(300) {
            target.labels.push(("zone".to_owned(), dice.pick(&["z1", "z2"]).to_owned()));
        }
    }
    let signals = signals(dice, &targets);
    let mut rules = rules(dice, &signals);
    let unruly = plan(targets.clone(), signals.clone(), rules.clone());
    for rule in &mut rules {
        let read = unruly.signals_of(rule);
        // A quorum is for rules over groups.
        if read.iter().all(|ix| unruly.signal(*ix).by.is_empty()) {
            rule.quorum = Quorum::Any;
        }
    }
    plan(targets, signals, rules)
}
