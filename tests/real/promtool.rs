//! The judge against Prometheus itself, on random histories where its words and ours mean the same:
//! with resets, missed scrapes and series that appear later, read just after a sample and over a
//! window that begins with one. [`crate::differences`] has where the two differ, and why.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use rollguard::model::entry::RuleStanding;
use rollguard::model::reading::Reading;
use rollguard::model::rule::Rule;
use rollguard::model::signal::{Aggregation, OverTime, Reduction, SignalKind};

use crate::support::bed::{Bed, above, plan, rule, secs, selector, signal, target};
use crate::support::dice::Dice;

/// Histories played, unless ROLLGUARD_PROMTOOL_CASES says otherwise. Each is fifteen cases: one for
/// each expression, and one for the rule.
const HISTORIES: u64 = 700;
/// Seconds of each history; one scrape a second.
const LENGTH: u64 = 60;
/// From the first to the last sample that is read.
const WINDOW: u64 = 19;
/// When readings are compared; where a history has no sample then, or none a window before, or a
/// series that was not there yet, they are not.
const INSTANTS: [u64; 5] = [25, 33, 41, 50, 59];
const BOUNDS: [&str; 4] = ["0.1", "0.5", "2.5", "+Inf"];
/// Buckets, then 200s, then 500s, a gauge, and the gauge of the rule.
const SERIES: [&str; 8] = [
    "h_bucket{le=\"0.1\"}",
    "h_bucket{le=\"0.5\"}",
    "h_bucket{le=\"2.5\"}",
    "h_bucket{le=\"+Inf\"}",
    "c{status=\"200\"}",
    "c{status=\"500\"}",
    "g",
    "a",
];
const GAUGE: usize = 6;
const ALERT: usize = 7;

/// What one page says; `None` is a failed scrape or, within, a series that is not there.
type Row = Option<[Option<f64>; SERIES.len()]>;

struct Case {
    rows: Vec<Row>,
    /// When each series appears.
    begins: [u64; SERIES.len()],
    hold: u64,
    keep: u64,
}

fn case(dice: &mut Dice) -> Case {
    let mut totals = [0.0; SERIES.len()];
    totals.iter_mut().for_each(|total| *total = 1.0 + dice.below(1000) as f64);
    for bucket in 1..BOUNDS.len() {
        totals[bucket] += totals[bucket - 1];
    }
    let mut begins = [0; SERIES.len()];
    let late = dice.chance(300);
    begins.iter_mut().for_each(|begin| *begin = if late { dice.below(12) } else { 0 });
    begins[ALERT] = 0;
    let (hold, keep) = (dice.below(12), dice.pick(&[0, 0, 1, 4]));
    let (busy, resets) = (1 + dice.below(6), dice.pick(&[0, 20, 60]));
    // A rule that keeps firing would do so on what Prometheus goes on seeing while a scrape fails.
    let failures = if keep > 0 { 0 } else { dice.pick(&[0, 60, 150]) };
    let (mut rows, mut before): (Vec<Row>, _) = (Vec::new(), totals);
    for second in 0..LENGTH {
        if dice.chance(resets) {
            totals[..GAUGE].iter_mut().for_each(|total| *total = 1.0);
        }
        let mut gained = 0.0;
        for total in totals.iter_mut().take(BOUNDS.len()) {
            gained += if dice.chance(300) { dice.below(busy) as f64 } else { 0.0 };
            *total += gained;
        }
        totals[BOUNDS.len()] += dice.below(5 * busy) as f64;
        totals[BOUNDS.len() + 1] += dice.below(busy) as f64;
        totals[GAUGE] = dice.below(120) as f64 - 20.0;
        totals[ALERT] = if dice.chance(80) { 1.0 } else { 9.0 };
        let mut row = totals;
        if dice.chance(100) {
            // The scrape raced a write: the larger buckets are still those of a second ago.
            let from = dice.below(BOUNDS.len() as u64) as usize;
            row[from..BOUNDS.len()].copy_from_slice(&before[from..BOUNDS.len()]);
        }
        before = totals;
        let missed = rows.iter().rev().take_while(|row| row.is_none()).count();
        let fails = missed < 2 && second > 0 && dice.chance(failures);
        let mut place = 0;
        let shown = row.map(|value| {
            place += 1;
            (second >= begins[place - 1]).then_some(value)
        });
        rows.push((!fails).then_some(shown));
    }
    Case { rows, begins, hold, keep }
}

impl Case {
    /// Whether both read the same samples of some series at an instant.
    fn is_comparable(&self, second: u64, series: &[usize]) -> bool {
        let there = |second: u64| self.rows[second as usize].is_some();
        let begun = series.iter().all(|series| self.begins[*series] + WINDOW <= second);
        there(second) && there(second - WINDOW) && begun
    }
}

/// What the judge reads, how Prometheus says it, and of which series it is made. Prometheus takes
/// the millisecond before the first and the one after the last sample for part of an increase.
fn expressions() -> Vec<(SignalKind, String, Vec<usize>)> {
    let window = secs(WINDOW);
    let all = vec![4, 5];
    let range = format!("[{WINDOW}s2ms]");
    let part = format!("{WINDOW} / {WINDOW}.002");
    let increase = |series: &str| format!("sum by (case) (increase({series}{range}))");
    let bad = "c{status=\"500\"}";
    let mut list = vec![
        (
            SignalKind::Series { of: selector("c"), reduction: Reduction::Increase, window },
            format!("{} * {part}", increase("c")),
            all.clone(),
        ),
        (
            SignalKind::Series { of: selector(bad), reduction: Reduction::Increase, window },
            format!("{} * {part}", increase(bad)),
            vec![5],
        ),
        (
            SignalKind::Series { of: selector("c"), reduction: Reduction::Rate, window },
            format!("sum by (case) (rate(c{range}))"),
            all.clone(),
        ),
        (
            SignalKind::Series {
                of: selector(bad),
                reduction: Reduction::Ratio { to: selector("c") },
                window,
            },
            format!("{} / {}", increase(bad), increase("c")),
            all,
        ),
    ];
    for q in [0.25, 0.5, 0.95] {
        let buckets = format!("sum by (case, le) (increase(h_bucket{range}))");
        let kind =
            SignalKind::Series { of: selector("h"), reduction: Reduction::Quantile(q), window };
        list.push((kind, format!("histogram_quantile({q}, {buckets})"), vec![0, 1, 2, 3]));
    }
    // Of a gauge's window only the end belongs to it.
    let length = secs(WINDOW + 1);
    for (over, function) in [
        (OverTime::Avg, "avg_over_time(g"),
        (OverTime::Min, "min_over_time(g"),
        (OverTime::Max, "max_over_time(g"),
        (OverTime::Stddev, "stddev_over_time(g"),
        (OverTime::Median, "quantile_over_time(0.5, g"),
        (OverTime::Slope, "deriv(g"),
        (OverTime::Delta, "delta(g"),
    ] {
        let part = if over == OverTime::Delta { format!("* {part}") } else { String::new() };
        let kind = SignalKind::Series {
            of: selector("g"),
            reduction: Reduction::Gauge { across: Some(Aggregation::Sum), over },
            window: length,
        };
        list.push((kind, format!("sum by (case) ({function}{range})) {part}"), vec![GAUGE]));
    }
    list
}

/// What the judge reads at each instant, and second by second where its rule stands.
type Judged = (Vec<(u64, Vec<Reading>)>, Vec<RuleStanding>);

fn judged(case: &Case, kinds: &[SignalKind]) -> Judged {
    let mut signals: Vec<_> = kinds.iter().map(|kind| signal("s", kind.clone())).collect();
    let alert = SignalKind::Series {
        of: selector("a"),
        reduction: Reduction::Gauge { across: None, over: OverTime::Last },
        window: Duration::ZERO,
    };
    signals.push(signal("a", alert));
    // Prometheus keeps firing from the first time that it did not hold, ours from the last that
    // it did, which here is a second before.
    let keep_firing_for = secs(if case.keep > 0 { case.keep + 1 } else { 0 });
    let hot = rule("hot", above(kinds.len(), 5.0), secs(case.hold));
    let rules = vec![Rule { keep_firing_for, ..hot }];
    let mut bed = Bed::new(&plan(vec![target("a", secs(1))], signals, rules));
    let (mut readings, mut standings) = (Vec::new(), Vec::new());
    for (second, row) in case.rows.iter().enumerate() {
        let page = row.map(|row| {
            let there = SERIES.iter().zip(row).filter_map(|(name, value)| Some((name, value?)));
            there.map(|(name, value)| format!("{name} {value};")).collect::<String>()
        });
        bed.feed(0, second as f64, page.as_deref().unwrap_or("fail"));
        standings.push(bed.standing(0));
        if INSTANTS.contains(&(second as u64)) {
            let all = (0..kinds.len()).map(|place| bed.reading(place)).collect();
            readings.push((second as u64, all));
        }
    }
    (readings, standings)
}

/// A series as promtool takes it.
fn series(yaml: &mut String, name: &str, labels: &str, values: impl Iterator<Item = Option<f64>>) {
    let values: Vec<String> =
        values.map(|value| value.map_or("_".to_owned(), |v| v.to_string())).collect();
    let (name, own) = name.split_once('{').unwrap_or((name, "}"));
    let comma = if own == "}" { "" } else { "," };
    let own = own.strip_suffix('}').unwrap();
    let values = values.join(" ");
    writeln!(yaml, "  - series: '{name}{{{own}{comma}{labels}}}'\n    values: '{values}'").unwrap();
}

/// Writes what Prometheus is given of a case, with what ours says of it as series, too. Answers
/// how many of its expressions, and whether its rule, are compared anywhere.
fn write_case(yaml: &mut String, number: u64, case: &Case) -> u64 {
    let expressions = expressions();
    let kinds: Vec<SignalKind> = expressions.iter().map(|(kind, ..)| kind.clone()).collect();
    let (readings, standings) = judged(case, &kinds);
    let labels = format!("case=\"{number}\",hold=\"{}\",keep=\"{}\"", case.hold, case.keep);
    for (place, name) in SERIES.iter().enumerate() {
        series(yaml, name, &labels, case.rows.iter().map(|row| row.and_then(|row| row[place])));
    }
    let mut cases = 1;
    for (place, (_, _, made_of)) in expressions.iter().enumerate() {
        let at = |second: u64| {
            let (_, all) = readings.iter().find(|(instant, _)| *instant == second)?;
            let comparable = case.is_comparable(second, made_of);
            // Prometheus, too, answers the highest finite bound, without saying that it is one.
            all[place].value().filter(|_| comparable)
        };
        let want: Vec<Option<f64>> = (0..LENGTH).map(at).collect();
        cases += u64::from(want.iter().any(Option::is_some));
        series(yaml, &format!("want{place}"), &format!("case=\"{number}\""), want.into_iter());
    }
    let states = standings.iter().zip(&case.rows).map(|(standing, row)| {
        let state = match standing {
            RuleStanding::Inactive => 0.0,
            RuleStanding::Pending => 1.0,
            RuleStanding::Firing => 2.0,
        };
        // While a scrape fails Prometheus goes on with the last sample, and ours waits.
        Some(if row.is_some() { state } else { -1.0 })
    });
    series(yaml, "want_state", &format!("case=\"{number}\""), states);
    cases
}

/// What Prometheus is asked: for all cases in which it differs, of which there are to be none.
fn write_questions(yaml: &mut String) {
    writeln!(yaml, "  promql_expr_test:").unwrap();
    for second in INSTANTS {
        for (place, (_, expression, _)) in expressions().iter().enumerate() {
            let want = format!("sum by (case) (last_over_time(want{place}[500ms]))");
            let apart = format!("abs(({expression}) - {want}) > 1e-9 + 1e-9 * abs({want})");
            let nan = format!("(({expression}) != ({expression})) and {want}");
            let missing = format!("{want} unless ({expression})");
            let all = format!("({apart}) or ({nan}) or ({missing})").replace('\'', "\"");
            writeln!(yaml, "  - expr: '{all}'\n    eval_time: {second}s1ms").unwrap();
        }
    }
    for second in 0..LENGTH {
        let found = "max by (case) (ALERTS{alertstate=\"firing\"} * 2 or \
            ALERTS{alertstate=\"pending\"})";
        let want = "sum by (case) (want_state)";
        let apart = format!("(({want}) >= 0 != {found}) or (({want}) > 0 unless {found})");
        let all = format!("{apart} or ({found} unless ({want}) != 0)");
        writeln!(yaml, "  - expr: '{all}'\n    eval_time: {second}s").unwrap();
    }
}

fn alerts() -> String {
    let mut rules = "groups:\n- name: hot\n  rules:\n".to_owned();
    for (hold, keep) in (0..12).flat_map(|hold| [0, 1, 4].map(|keep| (hold, keep))) {
        let expression = format!("a{{hold=\"{hold}\",keep=\"{keep}\"}} > 5");
        writeln!(rules, "  - alert: hot\n    expr: '{expression}'\n    for: {hold}s").unwrap();
        writeln!(rules, "    keep_firing_for: {keep}s").unwrap();
    }
    rules
}

/// Whether promtool is there to be asked; where it must be, it is.
pub(crate) fn is_installed() -> bool {
    let installed = Command::new("promtool").arg("--version").output().is_ok();
    let required = env::var("ROLLGUARD_REQUIRE_REAL").is_ok_and(|value| value == "1");
    assert!(installed || !required, "promtool is not installed");
    if !installed {
        println!("skipped: promtool is not installed");
    }
    installed
}

/// Lets Prometheus play tests and alerting rules of its own language.
pub(crate) fn ask(tests: &str, rules: &str) {
    let directory = tempfile::tempdir().unwrap();
    let head = "rule_files: [rules.yml]\nevaluation_interval: 1s\ntests:\n";
    fs::write(directory.path().join("tests.yml"), head.to_owned() + tests).unwrap();
    fs::write(directory.path().join("rules.yml"), rules).unwrap();
    let promtool = Command::new("promtool")
        .args(["test", "rules", "tests.yml"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = [promtool.stdout, promtool.stderr].concat();
    let start: String = String::from_utf8_lossy(&said).chars().take(4000).collect();
    assert!(promtool.status.success(), "promtool disagrees:\n{start}");
}

#[test]
fn readings_and_states_agree_with_prometheus_where_their_words_mean_the_same() {
    if !is_installed() {
        return;
    }
    let number = |name: &str| env::var(name).map(|text| text.parse::<u64>().unwrap());
    let histories = number("ROLLGUARD_PROMTOOL_CASES").unwrap_or(HISTORIES);
    let mut yaml = "- name: all\n  interval: 1s\n  input_series:\n".to_owned();
    let mut cases = 0;
    for number in 0..histories {
        cases += write_case(&mut yaml, number, &case(&mut Dice(number)));
    }
    write_questions(&mut yaml);
    ask(&yaml, &alerts());
    println!("{cases} cases of {histories} histories");
}
