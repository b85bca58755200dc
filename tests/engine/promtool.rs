//! The judge against Prometheus itself, on histories where its words and ours mean the same:
//! counters and histograms without resets or gaps, with increases written as differences so that
//! extrapolation has no part in it, and thresholds held for a time.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use rollguard::model::entry::RuleStanding;
use rollguard::model::reading::Reading;
use rollguard::model::signal::{Across, Over, SignalKind};

use crate::model::Dice;
use crate::world::{Bed, above, plan, rule, secs, selector, signal, target};

/// Histories compared, unless ROLLGUARD_PROMTOOL_CASES says otherwise.
const CASES: u64 = 300;
/// Seconds of each history; one sample a second.
const LENGTH: u64 = 60;
const WINDOW: u64 = 20;
const BOUNDS: [&str; 4] = ["0.1", "0.5", "2.5", "+Inf"];
/// Buckets, then 200s, then 500s, then a gauge.
const SERIES: usize = BOUNDS.len() + 3;

type History = Vec<[f64; SERIES]>;

fn history(dice: &mut Dice) -> History {
    let mut rows = Vec::new();
    let mut row = [0.0; SERIES];
    row.iter_mut().for_each(|value| *value = dice.below(1000) as f64);
    for bucket in 1..BOUNDS.len() {
        row[bucket] += row[bucket - 1];
    }
    let busy = 1 + dice.below(6);
    for _ in 0..LENGTH {
        rows.push(row);
        let mut gained = 0.0;
        for bucket in row.iter_mut().take(BOUNDS.len()) {
            gained += if dice.chance(300) { dice.below(busy) as f64 } else { 0.0 };
            *bucket += gained;
        }
        row[BOUNDS.len()] += dice.below(5 * busy) as f64;
        row[BOUNDS.len() + 1] += dice.below(busy) as f64;
        row[BOUNDS.len() + 2] = if dice.chance(80) { 1.0 } else { 9.0 };
    }
    rows
}

fn name(series: usize) -> String {
    match series {
        4 => "c{status=\"200\"}".to_owned(),
        5 => "c{status=\"500\"}".to_owned(),
        6 => "g".to_owned(),
        bucket => format!("h_bucket{{le=\"{}\"}}", BOUNDS[bucket]),
    }
}

/// What the judge reads at the end: increase, ratio, rate, and three quantiles.
fn signals() -> Vec<SignalKind> {
    let (all, bad) = (selector("c"), selector("c{status=\"500\"}"));
    let window = secs(WINDOW);
    let quantile = |q| SignalKind::Quantile { q, of: selector("h"), window: Some(window) };
    vec![
        SignalKind::Gauge { of: selector("g"), across: Some(Across::Sum), over: Over::Last },
        SignalKind::Increase { of: all.clone(), window },
        SignalKind::Ratio { of: bad.clone(), to: all, window },
        SignalKind::Rate { of: bad, window },
        quantile(0.25),
        quantile(0.5),
        quantile(0.95),
    ]
}

fn expressions() -> Vec<String> {
    let gained = |series: &str| format!("sum({series} - {series} offset {WINDOW}s)");
    let (all, bad) = (gained("c"), gained("c{status=\"500\"}"));
    let buckets = format!("sum by (le) (h_bucket - h_bucket offset {WINDOW}s)");
    let quantile = |q: f64| format!("histogram_quantile({q}, {buckets})");
    vec![
        "sum(g)".to_owned(),
        all.clone(),
        format!("{bad} / {all}"),
        format!("{bad} / {WINDOW}"),
        quantile(0.25),
        quantile(0.5),
        quantile(0.95),
    ]
}

/// Plays a history; answers the last readings and, second by second, where the rule stands.
fn judged(rows: &History, hold: u64) -> (Vec<Reading>, Vec<RuleStanding>) {
    let kinds = signals();
    let count = kinds.len();
    let named = kinds.into_iter().map(|kind| signal("s", kind)).collect();
    let rule = rule("hot", above(0, 5.0), secs(hold));
    let mut bed = Bed::new(&plan(vec![target("a", secs(1))], named, vec![rule]));
    let mut standings = Vec::new();
    for (second, row) in rows.iter().enumerate() {
        let lines = row.iter().enumerate().map(|(place, v)| format!("{} {v};", name(place)));
        bed.feed(0, second as f64, &lines.collect::<String>());
        standings.push(bed.standing(0));
    }
    ((0..count).map(|place| bed.reading(place)).collect(), standings)
}

/// A number as promtool is to find it; `None` where the two differ by design.
fn expected(reading: Reading) -> Option<f64> {
    match reading {
        // Prometheus, too, answers the highest finite bound, without saying that it is one.
        Reading::Value(value) | Reading::AtLeast(value) => Some(value),
        Reading::NoData(_) => None,
    }
}

fn case(yaml: &mut String, alerts: &mut String, number: u64, dice: &mut Dice) -> u64 {
    let rows = history(dice);
    let hold = 1 + dice.below(12);
    let (readings, standings) = judged(&rows, hold);
    let mut checks = 0;
    writeln!(yaml, "- name: case {number}\n  interval: 1s\n  input_series:").unwrap();
    for series in 0..SERIES {
        let values: Vec<String> = rows.iter().map(|row| row[series].to_string()).collect();
        let (series, values) = (name(series), values.join(" "));
        writeln!(yaml, "  - series: '{series}'\n    values: '{values}'").unwrap();
    }
    let end = LENGTH - 1;
    writeln!(yaml, "  promql_expr_test:").unwrap();
    for (expression, reading) in expressions().iter().zip(readings) {
        // promtool compares exactly: ours must be the same to nine digits.
        if let Some(value) = expected(reading) {
            let near = format!("abs(({expression}) - {value:e}) <= bool {:e}", 1e-9 + value * 1e-9);
            writeln!(yaml, "  - expr: {near}\n    eval_time: {end}s").unwrap();
            writeln!(yaml, "    exp_samples: [{{labels: '{{}}', value: 1}}]").unwrap();
            checks += 1;
        }
    }
    for (second, standing) in standings.iter().enumerate() {
        let state = match standing {
            RuleStanding::Inactive => "",
            RuleStanding::Pending => "pending",
            RuleStanding::Firing => "firing",
        };
        let alert = format!("ALERTS{{alertname=\"hot{hold}\"}}");
        writeln!(yaml, "  - expr: {alert}\n    eval_time: {second}s\n    exp_samples:").unwrap();
        if !state.is_empty() {
            let labels = format!("ALERTS{{alertname=\"hot{hold}\", alertstate=\"{state}\"}}");
            writeln!(yaml, "    - labels: '{labels}'\n      value: 1").unwrap();
        }
        checks += 1;
    }
    let rule = format!("alert: hot{hold}\n    expr: g > 5\n    for: {hold}s");
    if !alerts.contains(&format!("{rule}\n")) {
        writeln!(alerts, "  - {rule}").unwrap();
    }
    checks
}

#[test]
fn readings_and_states_agree_with_prometheus_where_their_words_mean_the_same() {
    if Command::new("promtool").arg("--version").output().is_err() {
        let real = env::var("ROLLGUARD_REQUIRE_REAL").is_ok_and(|value| value == "1");
        assert!(!real, "promtool is not installed");
        println!("skipped: promtool is not installed");
        return;
    }
    let cases = env::var("ROLLGUARD_PROMTOOL_CASES").map_or(CASES, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let (mut yaml, mut alerts) = (String::new(), String::new());
    let mut checks = 0;
    for number in 0..cases {
        checks += case(&mut yaml, &mut alerts, number, &mut Dice(number));
    }
    let head = "rule_files: [rules.yml]\nevaluation_interval: 1s\ntests:\n";
    fs::write(directory.path().join("tests.yml"), head.to_owned() + &yaml).unwrap();
    let groups = format!("groups:\n- name: hot\n  rules:\n{alerts}");
    fs::write(directory.path().join("rules.yml"), groups).unwrap();
    let promtool = Command::new("promtool")
        .args(["test", "rules", "tests.yml"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = [promtool.stdout, promtool.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let start: String = said.chars().take(4000).collect();
    assert!(promtool.status.success(), "promtool disagrees:\n{start}");
    println!("{checks} checks of {cases} histories");
}
