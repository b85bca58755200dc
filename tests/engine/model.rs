//! The judge against its slow and obvious twin, on random plans and random histories: series that
//! appear, vanish, come back and reset, values that are no numbers, lines that cannot be read,
//! series written in different ways, restarts, targets that fail, hang and answer late.

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use rollguard::engine::Judge;
use rollguard::model::condition::{Arith, Compare, Cond, Extreme, Num};
use rollguard::model::place::{RuleIx, SignalIx, TargetIx};
use rollguard::model::plan::Plan;
use rollguard::model::reading::Reading;
use rollguard::model::rule::{OnNoData, Rule};
use rollguard::model::scrape::{Failure, FailureClass, MalformedLine, Page, Scrape};
use rollguard::model::signal::{Across, Over, Signal, SignalKind};
use rollguard::model::target::Target;
use rollguard::model::time::Instant;

use crate::oracle::{Attempt, Line, Oracle, Sample};
use crate::world::{given, plan, rule, secs, selector, signal, target, wall};

/// Histories judged, and scrapes in each. A page costs the twin a look at all pages before it.
const HISTORIES: u64 = 400;
const SCRAPES: usize = 60;

/// Splitmix64: small, and the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in a thousand times `per_mille`.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone()
    }
}

fn window(dice: &mut Dice) -> Duration {
    secs(dice.pick(&[2, 5, 10, 30]))
}

fn signals(dice: &mut Dice, targets: &[Target]) -> Vec<Signal> {
    let counter =
        ["c", "c{status=\"500\"}", "c{status=~\"5..\"}", "c{status!=\"500\",route=\"a\"}"];
    let one_target = ["c{target=\"a\"}", "c{zone!=\"z1\"}", "c{zone=\"\"}"];
    let mut kinds = vec![SignalKind::Value(3.0)];
    for text in [dice.pick(&counter), dice.pick(&counter), dice.pick(&one_target)] {
        let of = selector(text);
        kinds.push(SignalKind::Rate { of: of.clone(), window: window(dice) });
        kinds.push(SignalKind::Increase { of, window: window(dice) });
    }
    let of = selector("c{status=~\"5..\"}");
    kinds.push(SignalKind::Ratio { of, to: selector("c"), window: window(dice) });
    kinds.push(SignalKind::Mean { of: selector("h"), window: window(dice) });
    for q in [0.0, 0.5, 0.95, 1.0] {
        let window = Some(window(dice));
        kinds.push(SignalKind::Quantile { q, of: selector("h"), window });
    }
    kinds.push(SignalKind::Quantile { q: 0.5, of: selector("s"), window: None });
    let all = [Across::Sum, Across::Avg, Across::Min, Across::Max, Across::Count];
    let length = window(dice);
    for over in [Over::Last, Over::Avg(length), Over::Min(length), Over::Max(length)] {
        let across = dice.pick(&all);
        kinds.push(SignalKind::Gauge { of: selector("g"), across: Some(across), over });
    }
    let of = selector("g{target=\"a\",l=\"x\"}");
    kinds.push(SignalKind::Gauge { of, across: None, over: Over::Last });
    kinds.push(SignalKind::Up(dice.pick(targets).name.clone()));
    for _ in 0..4 {
        let mut operand =
            || Box::new(Num::Signal(SignalIx(dice.below(kinds.len() as u64) as usize)));
        let (left, right) = (operand(), operand());
        let op = dice.pick(&[Arith::Add, Arith::Sub, Arith::Mul, Arith::Div]);
        let extreme = dice.pick(&[Extreme::Min, Extreme::Max]);
        kinds.push(SignalKind::Expr(match dice.below(4) {
            0 => Num::Extreme(extreme, vec![*left, *right]),
            1 => Num::Neg(left),
            _ => Num::Arith(op, left, right),
        }));
    }
    let mut signals = Vec::new();
    for (place, kind) in kinds.into_iter().enumerate() {
        let stale = dice.chance(200).then(|| window(dice));
        signals.push(Signal { stale, ..signal(&format!("s{place}"), kind) });
    }
    signals
}

fn cond(dice: &mut Dice, signals: usize) -> Cond {
    let ops = [Compare::Greater, Compare::Less, Compare::GreaterOrEqual, Compare::LessOrEqual];
    let ops = [&ops[..], &[Compare::Equal, Compare::NotEqual, Compare::Greater]].concat();
    let signal = Num::Signal(SignalIx(dice.below(signals as u64) as usize));
    let limit = Num::Const(dice.pick(&[0.0, 0.0, 0.5, 1.0, 2.0, 10.0, 50.0]));
    let leaf = Cond::Compare(signal, dice.pick(&ops), limit);
    match dice.below(8) {
        0 => Cond::And(Box::new(leaf), Box::new(cond(dice, signals))),
        1 => Cond::Or(Box::new(leaf), Box::new(cond(dice, signals))),
        2 => Cond::Not(Box::new(leaf)),
        _ => leaf,
    }
}

fn rules(dice: &mut Dice, signals: usize) -> Vec<Rule> {
    let mut rules = Vec::new();
    for place in 0..12 {
        let mut rule = rule(&format!("r{place}"), cond(dice, signals), Duration::ZERO);
        rule.hold = Duration::from_millis(dice.pick(&[0, 1000, 3000, 3500, 10_000]));
        rule.keep_firing_for = secs(dice.pick(&[0, 0, 3, 20]));
        rule.on_no_data =
            dice.pick(&[OnNoData::Hold, OnNoData::Hold, OnNoData::Clear, OnNoData::Breach]);
        if dice.chance(300) {
            rule = given(rule, cond(dice, signals));
        }
        rules.push(rule);
    }
    rules
}

fn random_plan(dice: &mut Dice) -> Arc<Plan> {
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
    let rules = rules(dice, signals.len());
    plan(targets, signals, rules)
}

/// A process that is scraped.
struct Service {
    started: f64,
    series: Vec<Series>,
    next: Duration,
    /// How many of the next scrapes fail.
    failing: u64,
}

struct Series {
    metric: &'static str,
    labels: Vec<(&'static str, &'static str)>,
    value: f64,
    there: bool,
}

impl Service {
    fn new(dice: &mut Dice) -> Self {
        let mut series = Vec::new();
        let mut add = |metric, labels: &[(&'static str, &'static str)]| {
            let (value, there) = (dice.below(1000) as f64, dice.chance(700));
            series.push(Series { metric, labels: labels.to_vec(), value, there });
        };
        for status in ["200", "500", "503"] {
            add("c", &[("status", status), ("route", "a")]);
            add("c", &[("route", "b"), ("status", status)]);
        }
        for le in ["1", "2.5", "+Inf"] {
            add("h_bucket", &[("le", le)]);
            add("h_bucket", &[("le", le), ("route", "a")]);
        }
        for metric in ["h_sum", "h_count"] {
            add(metric, &[]);
        }
        for quantile in ["0.5", "0.9"] {
            add("s", &[("quantile", quantile)]);
        }
        for label in ["x", "y"] {
            add("g", &[("l", label)]);
        }
        let next = Duration::from_millis(dice.below(1000));
        Self { started: 1000.0, series, next, failing: 0 }
    }

    fn live(&mut self, dice: &mut Dice) {
        if dice.chance(20) {
            self.started += dice.pick(&[1.0, 1.4, -0.5, 50.0]);
        }
        let restart = dice.chance(15);
        if restart {
            self.started += 100.0;
        }
        for series in &mut self.series {
            if dice.chance(40) {
                series.there = !series.there;
            }
            if restart || dice.chance(10) {
                series.value = 0.0;
            }
            match series.metric {
                "g" | "s" => series.value = dice.below(100) as f64 - 20.0,
                "h_sum" => series.value += dice.below(50) as f64 / 8.0,
                _ if dice.chance(600) => series.value += dice.pick(&[1.0, 2.0, 5.0, 40.0]),
                _ => {}
            }
        }
    }

    fn page(&self, dice: &mut Dice, at: Instant) -> Vec<Line> {
        let mut lines = Vec::new();
        for series in self.series.iter().filter(|series| series.there) {
            let value = match dice.below(400) {
                0..3 => f64::NAN,
                3 => f64::INFINITY,
                4 => f64::NEG_INFINITY,
                _ => series.value,
            };
            let labels = series.labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            let stamp = dice.chance(30).then(|| wall(at).before(secs(dice.below(12))));
            let metric = series.metric.to_owned();
            let sample = Sample { metric, labels: labels.collect(), value, stamp };
            if dice.chance(3) {
                lines.push(Line::Bad(Some(series.metric.to_owned())));
                continue;
            }
            if dice.chance(8) {
                lines.push(Line::Sample(sample.clone()));
            }
            if dice.chance(2) {
                let value = value + 1.0;
                lines.push(Line::Sample(Sample { value, ..sample.clone() }));
            }
            lines.push(Line::Sample(sample));
        }
        if dice.chance(700) {
            for _ in 0..1 + u64::from(dice.chance(20)) {
                lines.push(Line::Sample(Sample {
                    metric: "process_start_time_seconds".to_owned(),
                    labels: BTreeMap::new(),
                    value: self.started + dice.pick(&[0.0, 0.0, 0.0, 0.3]),
                    stamp: None,
                }));
            }
        }
        if dice.chance(4) {
            lines.push(Line::Bad(None));
        }
        if dice.chance(50) {
            lines.reverse();
        }
        lines
    }
}

/// A series as some exporter or other would write it.
fn written(sample: &Sample, dice: &mut Dice) -> String {
    let mut labels: Vec<String> = sample
        .labels
        .iter()
        .map(|(name, value)| match dice.below(12) {
            0 => format!(" {name}=\"{value}\""),
            1 => format!("{name} = \"{value}\" "),
            _ => format!("{name}=\"{value}\""),
        })
        .collect();
    if dice.chance(50) {
        labels.reverse();
    }
    let comma = if dice.chance(20) && !labels.is_empty() { "," } else { "" };
    match labels.is_empty() && dice.chance(900) {
        true => sample.metric.clone(),
        false => format!("{}{{{}{comma}}}", sample.metric, labels.join(",")),
    }
}

fn scrape(target: usize, attempt: &Attempt, took: Duration, dice: &mut Dice) -> Scrape {
    let result = match &attempt.lines {
        None => Err(Failure { class: FailureClass::Refused, detail: String::new() }),
        Some(lines) => {
            let mut page = Page::default();
            for line in lines {
                match line {
                    Line::Sample(s) => page.push(&written(s, dice), s.value, s.stamp),
                    Line::Bad(name) => page.push_malformed(MalformedLine {
                        line: 7,
                        name: name.clone(),
                        reason: "bad value".to_owned(),
                    }),
                }
            }
            Ok(page)
        }
    };
    Scrape { target: TargetIx(target), at: attempt.at, wall: attempt.wall, took, result }
}

/// The next scrapes of all targets, in the order in which their answers arrive.
fn history(dice: &mut Dice, plan: &Plan) -> Vec<(Instant, usize, Attempt)> {
    let mut services: Vec<Service> = plan.targets.iter().map(|_| Service::new(dice)).collect();
    let mut arrivals = Vec::new();
    for _ in 0..SCRAPES {
        let place = (0..services.len()).min_by_key(|place| services[*place].next).unwrap();
        let (service, target) = (&mut services[place], &plan.targets[place]);
        let at = Instant::ZERO.after(service.next);
        service.live(dice);
        if dice.chance(50) {
            service.failing = dice.below(8);
        }
        let fails = service.failing > 0;
        service.failing = service.failing.saturating_sub(1);
        let lines = (!fails).then(|| service.page(dice, at));
        let late = if dice.chance(150) { dice.below(1000) } else { dice.below(20) };
        let took = target.interval.mul_f64(late as f64 / 1001.0);
        let silent = if dice.chance(20) { secs(dice.below(15)) } else { Duration::ZERO };
        let silent = if dice.chance(4) { secs(90) } else { silent };
        service.next += target.interval + silent;
        arrivals.push((at.after(took), place, Attempt { at, wall: wall(at), lines }));
    }
    arrivals.sort_by_key(|(arrival, ..)| *arrival);
    arrivals
}

fn agree(found: Reading, expected: Reading) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
    match (found, expected) {
        (Reading::Value(a), Reading::Value(b)) | (Reading::AtLeast(a), Reading::AtLeast(b)) => {
            close(a, b)
        }
        (Reading::NoData(a), Reading::NoData(b)) => a == b,
        (Reading::Value(_) | Reading::AtLeast(_) | Reading::NoData(_), _) => false,
    }
}

fn compare(plan: &Plan, judge: &Judge, oracle: &Oracle, context: &str) {
    for (place, signal) in plan.signals.iter().enumerate() {
        let (found, expected) = (judge.reading(SignalIx(place)), oracle.reading(place));
        assert!(
            agree(found, expected),
            "{} reads {found:?}, should read {expected:?}: {:?}; {context}",
            signal.name,
            signal.kind
        );
    }
    for (place, rule) in plan.rules.iter().enumerate() {
        let (found, expected) = (judge.standing(RuleIx(place)), oracle.standing(place));
        assert_eq!(found, expected, "{rule:?}; {context}");
    }
}

/// Plays one history; answers how many steps were compared.
fn play(seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let plan = random_plan(&mut dice);
    let (mut judge, mut oracle) = (Judge::new(plan.clone()), Oracle::new(plan.clone()));
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
            steps += 1;
            let context = format!("seed {seed}, time passed until {at:?}");
            compare(&plan, &judge, &oracle, &context);
            let next = judge.deadline();
            assert!(next.is_none_or(|next| next > at), "{context}: then {next:?}");
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
    let steps: u64 = (0..histories).map(play).sum();
    println!("{steps} steps of {histories} histories");
}
