//! Services at random: series that appear, vanish, come back and reset, values that are no
//! numbers, lines that cannot be read, series written in different ways, restarts, targets that
//! fail, hang and answer late.

use std::collections::BTreeMap;
use std::time::Duration;

use rollguard::model::index::TargetIx;
use rollguard::model::plan::Plan;
use rollguard::model::scrape::{Failure, FailureClass, MalformedLine, Page, Scrape};
use rollguard::model::time::Instant;

use super::oracle::{Attempt, Line, Sample};
use crate::support::bed::{secs, wall};
use crate::support::dice::Dice;

/// Scrapes in a history. A page costs the twin a look at all pages before it.
const SCRAPES: usize = 60;

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
            add("t", &[("l", label), ("route", "a")]);
        }
        let next = Duration::from_millis(dice.below(1000));
        Self { started: 1000.0, series, next, failing: 0 }
    }

    fn live(&mut self, dice: &mut Dice, at: Instant) {
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
                "t" if dice.chance(200) => {
                    let second = wall(at).as_millis().div_euclid(1000) as f64;
                    series.value = second + 3.0 - dice.below(20) as f64;
                }
                "t" => {}
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

pub(crate) fn scrape(target: usize, attempt: &Attempt, took: Duration, dice: &mut Dice) -> Scrape {
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
pub(crate) fn history(dice: &mut Dice, plan: &Plan) -> Vec<(Instant, usize, Attempt)> {
    let mut services: Vec<Service> = plan.targets.iter().map(|_| Service::new(dice)).collect();
    let mut arrivals = Vec::new();
    for _ in 0..SCRAPES {
        let place = (0..services.len()).min_by_key(|place| services[*place].next).unwrap();
        let (service, target) = (&mut services[place], &plan.targets[place]);
        let at = Instant::ZERO.after(service.next);
        service.live(dice, at);
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
