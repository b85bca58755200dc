//! Imported rules against the alerts that they were, on random histories and in the words that mean
//! the same to both: windows that are full, counters far from zero, traffic above every floor, and
//! limits that no reading meets exactly, since sums are rounded in another order.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use rollguard::config::{SourceFile, compile};
use rollguard::engine::Evaluator;
use rollguard::import::{Options, prometheus};
use rollguard::model::entry::RuleStanding;
use rollguard::model::index::{RuleIx, TargetIx};
use rollguard::model::scrape::{Page, Scrape};
use rollguard::model::time::{Instant, Timestamp};

/// Histories compared, unless ROLLGUARD_PROMTOOL_CASES says otherwise.
const CASES: u64 = 40;
/// Seconds of each history; one sample a second.
const LENGTH: usize = 90;
/// Windows are full and nothing holds until then.
const QUIET: usize = 25;

/// Name, expression, seconds of `for`. The gauge `g` has two series, `u` and `v` have one each.
const ALERTS: [(&str, &str, u64); 20] = [
    ("any-above", "g > 5", 0),
    ("any-below", "100 - g * 2 < 85", 0),
    ("constant-first", "5 < u", 4),
    ("sum-above", "sum(g) > 8", 3),
    ("mean-below", "avg(g) < 1.6003", 2),
    ("least", "min(g) > 4", 2),
    ("both", "u > 5 and v > 5", 3),
    ("either", "u > 7 or v < 1", 3),
    ("quotient", "u / (v + 1) > 2", 2),
    ("highest-seen", "max_over_time(u[9500ms]) > 8", 5),
    ("mean-seen", "avg_over_time(u[9500ms]) > 4.2003", 2),
    ("error-ratio", "sum(rate(c{s=\"5\"}[20s])) / sum(rate(c[20s])) > 0.2003", 3),
    ("success", "100 * sum(increase(c{s=\"2\"}[20s])) / sum(increase(c[20s])) < 75.03", 3),
    ("error-rate", "sum(rate(c{s=\"5\"}[20s])) * 60 > 200.3", 5),
    ("any-zero", "g == 0", 0),
    ("many-above", "count(g > 4) >= 2", 2),
    ("few-above", "count(g > 4) < 2", 2),
    ("by-outcome", "sum by (s) (rate(c[20s])) > 12.003", 0),
    ("slow", "histogram_quantile(0.9, sum by (le) (rate(h_bucket[20s]))) > 0.7003", 4),
    ("mean-slow", "sum(rate(h_sum[20s])) / sum(rate(h_count[20s])) > 0.6003", 4),
];

/// Series in the order of a row.
const SERIES: [&str; 11] = [
    "g{i=\"1\"}",
    "g{i=\"2\"}",
    "u",
    "v",
    "c{s=\"2\"}",
    "c{s=\"5\"}",
    "h_bucket{le=\"0.5\"}",
    "h_bucket{le=\"1\"}",
    "h_bucket{le=\"+Inf\"}",
    "h_sum",
    "h_count",
];

type Row = [f64; SERIES.len()];

struct Dice(u64);

impl Dice {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn below(&mut self, end: u64) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 33) % end) as f64
    }
}

/// Quiet, then in stretches good and bad.
fn history(dice: &mut Dice) -> Vec<Row> {
    let mut row: Row = [3.0; SERIES.len()];
    row[4..].fill(1e6);
    let mut rows = Vec::new();
    let mut bad = 0.0;
    for second in 0..LENGTH {
        if second >= QUIET {
            if dice.below(12) < 1.0 {
                bad = dice.below(2);
            }
            for gauge in &mut row[..4] {
                if dice.below(4) < 1.0 {
                    *gauge = dice.below(6) + 4.0 * bad;
                }
            }
        }
        let failed = dice.below(2) + bad * dice.below(6);
        row[4] += 10.0 + dice.below(3);
        row[5] += failed;
        let (fast, medium, slow) = (8.0, dice.below(2), failed);
        row[6] += fast;
        row[7] += fast + medium;
        row[8] += fast + medium + slow;
        row[9] += fast * 0.25 + medium * 0.75 + slow * 2.0;
        row[10] += fast + medium + slow;
        rows.push(row);
    }
    rows
}

fn alerts() -> String {
    let mut yaml = "groups:\n- name: g\n  rules:\n".to_owned();
    for (name, expr, hold) in ALERTS {
        writeln!(yaml, "  - alert: {name}\n    expr: {expr}\n    for: {hold}s").unwrap();
        writeln!(yaml, "    labels: {{severity: critical}}").unwrap();
    }
    yaml
}

const MAIN: &str = "\
[deployment]
service = \"shop\"
arm = \"always\"
warmup = \"0s\"
bake = \"1h\"
[target.a]
scrape = \"http://127.0.0.1:1/metrics\"
interval = \"1s\"
";

/// Each rule's place, the judge, and whether each rule fires, second by second.
fn judged(rows: &[Row]) -> Vec<[bool; ALERTS.len()]> {
    let input = SourceFile { path: "rules.yml".into(), text: alerts() };
    let drop_labels = vec!["job".to_owned(), "instance".to_owned()];
    let options = Options { drop_labels, targets: Vec::new() };
    let imported = prometheus(&[input], &options).unwrap();
    assert_eq!(imported.report.summary.not_imported, 0, "{}", imported.report.render());
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
    let compiled = compile(&file("main.toml", MAIN), &[file("imported.toml", &imported.toml)]);
    let plan = compiled.unwrap_or_else(|wrong| {
        panic!("{}\n{}", wrong.render(rollguard::config::Color::Plain), imported.toml)
    });
    let plan = std::sync::Arc::new(plan.plan);
    let place = |name: &str| plan.rules.iter().position(|r| r.name.as_str() == name).unwrap();
    let places = ALERTS.map(|(name, _, _)| RuleIx(place(name)));
    let mut judge = Evaluator::new(plan.clone());
    let mut fired = Vec::new();
    for (second, row) in rows.iter().enumerate() {
        let mut page = Page::default();
        SERIES.iter().zip(row).for_each(|(series, value)| page.push(series, *value, None));
        let at = Instant::ZERO.after(Duration::from_secs(second as u64));
        let wall =
            Timestamp::from_millis(1_700_000_000_000 + 1000 * i64::try_from(second).unwrap());
        let target = TargetIx(0);
        judge.observe(&Scrape { target, at, wall, took: Duration::ZERO, result: Ok(page) });
        fired.push(places.map(|rule| judge.standing(rule) == RuleStanding::Firing));
    }
    fired
}

/// How often the rules of a case fired, so that agreement is not on silence.
fn case(yaml: &mut String, number: u64) -> usize {
    let rows = history(&mut Dice(number));
    let fired = judged(&rows);
    writeln!(yaml, "- name: case {number}\n  interval: 1s\n  input_series:").unwrap();
    for (at, series) in SERIES.iter().enumerate() {
        let values: Vec<String> = rows.iter().map(|row| row[at].to_string()).collect();
        writeln!(yaml, "  - series: '{series}'\n    values: '{}'", values.join(" ")).unwrap();
    }
    writeln!(yaml, "  promql_expr_test:").unwrap();
    for (second, fired) in fired.iter().enumerate().skip(QUIET) {
        let alerts = "group by (alertname) (ALERTS{alertstate=\"firing\"})";
        writeln!(yaml, "  - expr: {alerts}\n    eval_time: {second}s\n    exp_samples:").unwrap();
        for ((name, _, _), _) in ALERTS.iter().zip(fired).filter(|(_, fired)| **fired) {
            writeln!(yaml, "    - {{labels: '{{alertname=\"{name}\"}}', value: 1}}").unwrap();
        }
    }
    fired.iter().flatten().filter(|fired| **fired).count()
}

#[test]
fn imported_rules_fire_when_the_alerts_that_they_were_fire() {
    if Command::new("promtool").arg("--version").output().is_err() {
        let real = env::var("ROLLGUARD_REQUIRE_REAL").is_ok_and(|value| value == "1");
        assert!(!real, "promtool is not installed");
        println!("skipped: promtool is not installed");
        return;
    }
    let cases = env::var("ROLLGUARD_PROMTOOL_CASES").map_or(CASES, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut yaml = "rule_files: [rules.yml]\nevaluation_interval: 1s\ntests:\n".to_owned();
    let firing: usize = (0..cases).map(|number| case(&mut yaml, number)).sum();
    fs::write(directory.path().join("tests.yml"), yaml).unwrap();
    fs::write(directory.path().join("rules.yml"), alerts()).unwrap();
    let promtool = Command::new("promtool")
        .args(["test", "rules", "tests.yml"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = [promtool.stdout, promtool.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let start: String = said.chars().take(4000).collect();
    assert!(promtool.status.success(), "promtool disagrees:\n{start}");
    println!("{firing} seconds of firing in {cases} histories");
    assert!(firing > 100, "the histories are too quiet to tell anything: {firing}");
}
