//! `rollguard test`, run as a user runs it, and its parts against what they must agree with:
//! promtool for the notation, a sweep over every instant for what expectations mean.
//! `ROLLGUARD_BLESS=1 cargo test --test cli rules_test::` writes the golden files anew; read the
//! difference before committing it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use rollguard::config::{Color, SourceFile};
use rollguard::model::plan::Plan;
use rollguard::ruletest::{Point, TestCase, When, play, rehearsal, rules_alone};

const RULES: &str = r#"
[signal.errors]
ratio  = { of = 'requests_total{status="500"}', to = 'requests_total' }
window = "10s"
[signal.queue]
gauge  = 'queue'
across = "max"
[signal.p95]
quantile = 0.95
of       = 'took_seconds'
window   = "10s"
[rule.errors]
when = "errors > 5%"
for  = "20s"
[rule.queue]
when     = "queue > 10"
severity = "warning"
[rule.slow]
when = "p95 > 1s"
"#;

struct Place {
    directory: TempDir,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Self { directory }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollguard"));
        command.args(arguments).current_dir(self.directory.path()).output().unwrap()
    }
}

/// Exit code, standard output and standard error.
fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("ROLLGUARD_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(path).unwrap_or_default(), "{name}");
}

const FAILING: &str = r#"rules = ["app.toml"]

[[test]]
name   = "errors fire after 20 seconds, and what is shown where they do not"
series = [
  { name = 'requests_total{status="200"}', values = "0+80x60" },
  { name = 'requests_total{status="500"}', values = "0x10 20+20x49" },
  { name = 'queue', values = "3x19 failx3 99x37" },
]
expect = [
  { at = "5s", rule = "errors", state = "pending", signals = { errors = "5%", queue = 3 } },
  { between = ["32s", "34s"], rule = "errors", state = "firing", decision = "rollback" },
  { between = ["40s", "45s"], rule = "errors", state = "firing" },
  { until = "1m", rule = "queue", state = "inactive", colour = "green" },
  { at = "59s", rule = "slow", verdict = "holds", signals = { p95 = "2s" } },
]

[[test]]
name   = "a calm queue & an <odd> \"name\""
series = [{ name = 'queue', values = "3x19" }]
expect = [{ until = "19s", rule = "queue", state = "inactive", decision = "none" }]
"#;

fn failing() -> Place {
    Place::new(&[("app.toml", RULES), ("app.test.toml", FAILING)])
}

#[test]
fn a_failed_run_shows_what_was_expected_and_the_readings_around_it() {
    let (code, out, err) = said(failing().run(&["test", "app.test.toml"]));
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    golden("rules-test-failed.txt", &out);
    let wide = out.lines().filter(|line| line.chars().count() > 80).collect::<Vec<_>>();
    assert!(wide.is_empty(), "{wide:?}");
    assert!(out.ends_with("\n1 passed, 1 failed\n"));
}

/// What an independent reader makes of JUnit XML.
const JUNIT_READER: &str = r#"
import json, sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
suite = root.find("testsuite")
cases = [[c.get("name"), c.get("line"), c.get("time"),
          [f.text for f in c.findall("failure")]] for c in suite.findall("testcase")]
print(json.dumps([root.tag, dict(root.attrib), dict(suite.attrib), cases]))
"#;

#[test]
fn junit_is_read_by_others_as_it_is_meant() {
    let place = failing();
    let (code, ..) = said(place.run(&["test", "app.test.toml", "--junit", "report.xml"]));
    assert_eq!(code, Some(1));
    let report = place.directory.path().join("report.xml");
    let python = Command::new("python3").args(["-c", JUNIT_READER]).arg(&report).output().unwrap();
    let (code, out, err) = said(python);
    assert_eq!(code, Some(0), "{err}");
    let read: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(read[0], "testsuites");
    for attributes in [&read[1], &read[2]] {
        assert_eq!(attributes["tests"], "2");
        assert_eq!((&attributes["failures"], &attributes["errors"]), (&"1".into(), &"0".into()));
    }
    assert_eq!((&read[2]["name"], &read[2]["time"]), (&"app.test.toml".into(), &"79.000".into()));
    let cases = read[3].as_array().unwrap();
    assert_eq!((&cases[0][1], &cases[0][2]), (&"3".into(), &"60.000".into()));
    let failure = cases[0][3][0].as_str().unwrap();
    assert!(failure.contains("got         state inactive"), "{failure}");
    assert_eq!(cases[1][0], "a calm queue & an <odd> \"name\"");
    assert_eq!(cases[1][3], serde_json::json!([]));
}

#[test]
fn json_has_the_documented_fields() {
    let (code, out, _) = said(failing().run(&["test", "app.test.toml", "--json"]));
    assert_eq!(code, Some(1));
    let read: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&read["passed"], &read["failed"]), (&1.into(), &1.into()));
    let tests = &read["files"][0]["tests"];
    assert_eq!(tests[0]["virtual_ms"], 60_000);
    let failures = tests[0]["failures"].as_array().unwrap();
    let lines: Vec<_> = failures.iter().map(|f| f["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [11, 12, 13, 14, 15]);
    assert_eq!(failures[0]["aspects"][0]["what"], "state");
    assert_eq!(failures[0]["aspects"][0]["expected"], "pending");
    assert_eq!(failures[0]["aspects"][0]["got"], "inactive");
    assert_eq!(failures[0]["aspects"][2]["met"], true);
    assert_eq!(failures[0]["around"][0]["rule"]["state"], "inactive");
    assert_eq!(failures[0]["around"][3]["at_ms"], 5_000);
    assert_eq!(tests[1]["failures"], serde_json::json!([]));
}

#[test]
fn the_shipped_rules_fire_and_stay_quiet_as_their_tests_say() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let place = Place::new(&[]);
    let (code, out, err) = said(place.run(&["test", rules.to_str().unwrap()]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let expected = fs::read_dir(&rules).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.ends_with(".toml") && !name.ends_with(".test.toml") && !name.contains("example")
    });
    assert!(out.matches("\nok").count() + 1 >= expected.count(), "a pack has no tests:\n{out}");
}

#[test]
fn the_example_that_the_help_shows_passes() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/http.toml");
    let (_, help, _) = said(Place::new(&[]).run(&["test", "--help"]));
    let wide = help.lines().filter(|line| line.chars().count() > 80).collect::<Vec<_>>();
    assert!(wide.is_empty(), "{wide:?}");
    let start = help.find("  rules = [").unwrap();
    let example = &help[start..help.find("\nValues, ").unwrap()];
    let files = [("http.toml", &*fs::read_to_string(rules).unwrap()), ("x.test.toml", example)];
    let (code, out, err) = said(Place::new(&files).run(&["test", "x.test.toml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
}

#[test]
fn every_rule_of_a_shipped_pack_has_a_test_that_fires_it_and_one_that_does_not() {
    for pack in ["http", "latency"] {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let read = |name: &str| fs::read_to_string(rules.join(name)).unwrap();
        let (pack, tests) = (read(&format!("{pack}.toml")), read(&format!("{pack}.test.toml")));
        for rule in pack.lines().filter_map(|line| line.strip_prefix("[rule.")) {
            let rule = format!("rule = \"{}\"", rule.trim_end_matches(']'));
            let about = |wanted: &[&str]| {
                let has = |line: &&str| wanted.iter().any(|word| line.contains(word));
                tests.lines().filter(|line| line.contains(&rule)).filter(has).count()
            };
            assert!(about(&["\"firing\""]) > 0, "nothing fires {rule}");
            assert!(about(&["until", "\"inactive\""]) > 0, "nothing keeps {rule} quiet");
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_is_78_and_the_others_are_played_all_the_same() {
    let good = "rules = [\"app.toml\"]\n[[test]]\nname = \"n\"\n\
                series = [{ name = 'queue', values = \"1x9\" }]\n\
                expect = [{ at = \"9s\", rule = \"queue\", state = \"inactive\" }]\n";
    let files = [("app.toml", RULES), ("a.test.toml", "tset = 1\n"), ("b.test.toml", good)];
    let place = Place::new(&files);
    let (code, out, err) = said(place.run(&["test", "."]));
    assert_eq!(
        (code, out.as_str()),
        (Some(78), "ok    ./b.test.toml: 1 test\n1 passed, 0 failed\n")
    );
    assert!(err.contains("the file names no rules to test"), "{err}");
    for (path, problem) in [("none.test.toml", "read none.test.toml"), ("/proc", "find tests")] {
        let (code, _, err) = said(place.run(&["test", path]));
        assert_eq!(code, Some(78), "{err}");
        assert!(err.contains(problem), "{err}");
    }
    assert_eq!(said(place.run(&["test"])).0, Some(2));
    // `check rules.d/*.toml` reaches test files as well.
    let (code, out, err) = said(place.run(&["check", "app.toml", "b.test.toml"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("ok: 1 test\n"), "{out}");
    assert_eq!(said(place.run(&["check", "a.test.toml"])).0, Some(78));
}

fn basis() -> Plan {
    rules_alone(&[SourceFile { path: "app.toml".into(), text: RULES.into() }]).unwrap()
}

fn cases(text: &str) -> Result<Vec<TestCase>, String> {
    let file = SourceFile { path: "app.test.toml".into(), text: text.into() };
    rehearsal(&file, &basis()).map_err(|wrong| wrong.render(Color::Plain))
}

/// A test of one gauge.
fn queue(values: &str, rest: &str, expect: &str) -> String {
    format!(
        "[[test]]\nname = \"n\"\n{rest}\nseries = [{{ name = 'queue', values = \"{values}\" }}]\n\
         expect = [{expect}]\n"
    )
}

fn check(values: &str, rest: &str, expect: &str) -> Vec<String> {
    let cases = cases(&queue(values, rest, expect)).unwrap_or_else(|wrong| panic!("{wrong}"));
    play(&cases[0]).failures.into_iter().map(|miss| miss.why).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn every_mistake_has_its_place_and_where_there_is_one_a_suggestion() {
    let queued = |rest: &str, expect: &str| queue("1x9", rest, expect);
    let at = |what: &str| queued("", &format!("{{ at = \"5s\", {what} }}"));
    let series = |text: &str| {
        format!(
            "[[test]]\nname = \"n\"\nseries = [{text}]\n\
             expect = [{{ at = \"0s\", colour = \"green\" }}]\n"
        )
    };
    let wrong = [
        at("rule = \"queu\", state = \"firing\""),
        at("rule = \"queue\", state = \"fireing\""),
        at("state = \"firing\""),
        at("signals = { qeue = 1 }"),
        at("signals = { errors = \"5s\" }"),
        at("signals = { errors = \"five\" }"),
        at("rule = \"queue\", refusal = \"observng\""),
        at("rule = \"queue\""),
        at("colour = \"gren\""),
        at("colour = \"green\", tolerance = -1"),
        at("color = \"green\""),
        queued("", "{ at = \"11s\", colour = \"green\" }"),
        queued("", "{ at = \"1s\", until = \"2s\", colour = \"green\" }"),
        queued("", "{ between = [\"3s\", \"2s\"], colour = \"green\" }"),
        queued("", "{ between = [\"3s\"], colour = \"green\" }"),
        queued("", "{ from = \"3s\", colour = \"green\" }"),
        queued("", ""),
        queued("arm = \"latr\"", "{ at = \"1s\", colour = \"green\" }"),
        queued("interval = \"1ms\"", "{ at = \"1s\", colour = \"green\" }"),
        queued(
            "stages = [{ at = \"2s\", stage = \"b\" }, { at = \"1s\", stage = \"a\" }]",
            "{ at = \"1s\", colour = \"green\" }",
        ),
        series("{ name = 'queu', values = \"1\" }"),
        series("{ name = 'queue{a=~\"b\"}', values = \"1\" }"),
        series("{ name = 'queue{target=\"b\"}', values = \"1\" }"),
        series("{ name = 'queue', values = \"1 fail:timeot\" }"),
        series("{ name = 'queue', values = \"{{schema:1}}\" }"),
        series("{ name = 'queue', values = \"0+80\" }"),
        series("{ name = 'queue', values = \"\" }"),
        series("{ name = 'queue', values = \"1\" }, { name = 'queue{}', values = \"1\" }"),
        series(
            "{ name = 'queue', values = \"fail\" }, \
             { name = 'queue{a=\"b\"}', values = \"fail:dns\" }",
        ),
        series(""),
        format!("{0}{0}", queued("", "{ at = \"1s\", colour = \"green\" }")),
        "[test]\nname = \"n\"\n".to_owned(),
        "[[test]\n".to_owned(),
        String::new(),
    ];
    let mut all = String::new();
    for text in wrong {
        let said = cases(&text).expect_err(&text);
        write!(all, "{said}").unwrap();
    }
    golden("rules-test-mistakes.txt", &all);
}

#[test]
fn too_many_samples_are_refused_and_a_day_is_not() {
    let expect = "{ at = \"24h\", rule = \"queue\", state = \"inactive\" }";
    assert_eq!(check("1x86400", "", expect), NONE);
    let many: Vec<_> = (0..300)
        .map(|n| format!("{{ name = 'queue{{n=\"{n}\"}}', values = \"1x86400\" }}"))
        .collect();
    let text =
        format!("[[test]]\nname = \"n\"\nseries = [{}]\nexpect = [{expect}]\n", many.join(", "));
    let wrong = cases(&text).unwrap_err();
    assert!(wrong.contains("25920300 samples in 1d are too many"), "{wrong}");
}

#[test]
fn nothing_is_decided_before_the_deployment_begins_or_in_its_warm_up() {
    let never = "{ at = \"9s\", rule = \"queue\", state = \"firing\", \
                 refusal = \"guard not armed\", decision = \"none\" }";
    assert_eq!(check("99x9", "arm = \"never\"", never), NONE);
    let expect = "{ at = \"9s\", rule = \"queue\", refusal = \"warming up\" }, \
                  { between = [\"13s\", \"13s\"], rule = \"queue\", decision = \"notify\" }";
    let rest = "arm = \"3s\"\nwarmup = \"10s\"";
    assert_eq!(check("1x4 99x20", rest, expect), NONE);
    // What held before it began is not its doing.
    let aside = "{ at = \"20s\", rule = \"queue\", state = \"firing\", \
                 refusal = \"set aside\", decision = \"none\", colour = \"yellow\" }";
    assert_eq!(check("99x24", rest, aside), NONE);
}

#[test]
fn scrapes_fail_as_the_values_say_and_absent_series_are_absent() {
    let stale = "{ at = \"9s\", rule = \"queue\", verdict = \"no data\", reason = \"stale\" }";
    assert_eq!(check("1x2 fail:timeoutx9", "", stale), NONE);
    let gone = "{ at = \"9s\", signals = { queue = \"no data: no matching series\" } }";
    assert_eq!(check("1x2 _x9", "", gone), NONE);
    assert_eq!(check("1x2 stale _x9", "", gone), NONE);
    assert_eq!(check("1x2 _x2 stale 4x9", "", "{ at = \"9s\", signals = { queue = 4 } }"), NONE);
}

#[test]
fn a_series_that_appears_on_the_second_page_started_at_0() {
    let text = "[[test]]\nname = \"n\"\nseries = [\n\
        { name = 'requests_total{status=\"200\"}', values = \"0+80x9\" },\n\
        { name = 'requests_total{status=\"500\"}', values = \"_ 20x8\" },\n]\n\
        expect = [{ at = \"1s\", signals = { errors = \"20%\" } }]\n";
    assert_eq!(play(&cases(text).unwrap()[0]).failures, []);
}

#[test]
fn stages_groups_and_baselines_are_those_of_the_daemon() {
    let rules = r#"
[signal.queue]
gauge  = 'queue'
across = "max"
by     = ["instance"]
[signal.load]
gauge  = 'load'
[signal.load.baseline]
from         = "before"
window       = "10s"
min_readings = 5
[rule.queue]
when   = "queue > 10"
stages = ["canary"]
quorum = 2
[rule.load]
when = "load > 2 * load.baseline && load > 5"
"#;
    let tests = r#"
rules = ["app.toml"]
[[test]]
name   = "a rule of a stage is quiet in every other"
arm    = "10s"
stages = [{ at = "20s", stage = "canary" }, { at = "30s", stage = "full" }]
series = [
  { name = 'queue{instance="a"}', values = "1x12 99x40" },
  { name = 'queue{instance="b"}', values = "1x12 99x40" },
  { name = 'load', values = "4x30 9x20" },
]
expect = [
  { at = "15s", signals = { 'queue{instance="a"}' = 99, "load.baseline" = 4 } },
  { from = "13s", until = "19s", rule = "queue", refusal = "not in this stage" },
  { between = ["20s", "21s"], rule = "queue", state = "firing", decision = "rollback" },
  { between = ["31s", "32s"], rule = "load", state = "firing" },
]
"#;
    let place = Place::new(&[("app.toml", rules), ("m.test.toml", tests)]);
    let (code, out, err) = said(place.run(&["test", "m.test.toml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
}

#[test]
fn a_configuration_brings_its_targets_mode_and_warm_up() {
    let main = r#"
mode  = "observe"
rules = ["app.toml"]
[deployment]
service = "shop"
then    = "rollback"
warmup  = "2s"
[target.stable]
scrape = "http://127.0.0.1:1/metrics"
labels = { role = "old" }
[target.canary]
scrape   = "http://127.0.0.1:2/metrics"
interval = "2s"
[signal.old_queue]
gauge  = 'queue{role="old"}'
[signal.canary_queue]
gauge  = 'queue{target="canary"}'
[signal.canary_up]
up = "canary"
[rule.down]
when = "canary_up < 1"
[rule.old]
when = "old_queue > 1 && canary_queue > 1"
[hook.rollback]
steps = [{ run = ["/bin/false", "{good}"] }]
"#;
    let tests = r#"
config = "main.toml"
[[test]]
name   = "one target fails, the other answers"
series = [
  { name = 'queue', target = "stable", values = "0 5x29" },
  { name = 'queue', target = "canary", values = "0 7x3 fail:dnsx11" },
]
expect = [
  { at = "8s", signals = { old_queue = 5, canary_queue = 7, canary_up = 1, queue = 7 } },
  { at = "8s", rule = "old", state = "firing", refusal = "observing", decision = "none" },
  { between = ["10s", "10s"], rule = "down", state = "firing", decision = "none", colour = "red" },
  { at = "1s", rule = "old", refusal = "warming up" },
  { between = ["2s", "2s"], rule = "old", state = "firing" },
  { at = "30s", signals = { old_queue = 5, canary_queue = "no data: stale", canary_up = 0 } },
]
[[test]]
name     = "a target without series answers, and nothing stands on its page"
interval = "500ms"
series   = [{ name = 'queue', target = "stable", values = "5x30" }]
expect   = [
  { at = "15s", signals = { canary_up = 1, canary_queue = "no data: no matching series" } },
  { at = "15s", signals = { queue = 5 } },
]
"#;
    let files = [("app.toml", RULES), ("main.toml", main), ("m.test.toml", tests)];
    let (code, out, err) = said(Place::new(&files).run(&["test", "m.test.toml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let acting = main.replace("observe", "auto").replace("warmup  = \"2s\"", "warmup  = \"0s\"");
    let tests = r#"
config = "main.toml"
[[test]]
name   = "the hook's steps count as done"
series = [
  { name = 'queue', target = "stable", values = "5x30" },
  { name = 'queue', target = "canary", values = "7x15" },
]
expect = [
  { at = "0s", rule = "old", state = "firing", decision = "rollback", colour = "red" },
  { at = "30s", rule = "old", refusal = "already rolled back" },
]
[[test]]
name   = "which target is meant is not said"
series = [{ name = 'queue', values = "5x30" }]
expect = [{ at = "0s", colour = "red" }]
"#;
    let files = [("app.toml", RULES), ("main.toml", &acting), ("m.test.toml", tests)];
    let (code, _, err) = said(Place::new(&files).run(&["test", "m.test.toml"]));
    assert_eq!(code, Some(78));
    assert!(err.contains("known are canary, stable") || err.contains("known are stable, canary"));
    let first = tests.split("[[test]]\nname   = \"which").next().unwrap();
    let files = [("app.toml", RULES), ("main.toml", &acting), ("m.test.toml", first)];
    let (code, out, err) = said(Place::new(&files).run(&["test", "m.test.toml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
}

#[test]
fn in_mode_confirm_a_rule_asks_and_without_an_answer_its_default_is_decided() {
    let main = r#"
mode  = "confirm"
rules = ["app.toml"]
[deployment]
service = "shop"
then    = "rollback"
warmup  = "0s"
confirm = { within = "10s", default = "rollback" }
[target.api]
scrape = "http://127.0.0.1:1/metrics"
[rule.full]
when = "queue > 1"
[hook.rollback]
steps = [{ run = ["/bin/false", "{good}"] }]
"#;
    let tests = r#"
config = "main.toml"
[[test]]
name   = "people are asked"
series = [{ name = 'queue', values = "5x30" }]
expect = [
  { at = "0s", rule = "full", state = "firing", decision = "ask", colour = "red" },
  { at = "9s", rule = "full", decision = "ask", refusal = "awaiting approval" },
  { between = ["10s", "10s"], rule = "full", decision = "rollback" },
]
"#;
    let files = [("app.toml", RULES), ("main.toml", main), ("m.test.toml", tests)];
    let (code, out, err) = said(Place::new(&files).run(&["test", "m.test.toml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let denied = main.replace("\"rollback\" }", "\"deny\" }");
    let denied = [("app.toml", RULES), ("main.toml", denied.as_str()), ("m.test.toml", tests)];
    assert_eq!(said(Place::new(&denied).run(&["test", "m.test.toml"])).0, Some(1));
}

#[test]
fn targets_are_made_from_the_series_where_there_is_no_configuration() {
    let text = "[[test]]\nname = \"n\"\nseries = [\n\
        { name = 'queue', values = \"1x9\", target = \"a\" },\n\
        { name = 'queue', values = \"99x4 failx5\", target = \"b\" },\n]\n\
        expect = [{ at = \"4s\", rule = \"queue\", state = \"firing\", \
        signals = { queue = 99 } }]\n";
    let case = cases(text).unwrap().remove(0);
    let names: Vec<_> = case.plan.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(play(&case).failures, []);
}

/// When the rule of `queue("1xA 99xB 1xC")` fires: at scrape A+1.
const QUIET: u64 = 7;
const LAST: u64 = 20;

fn verdict_of(expect: &str) -> bool {
    check("1x6 99x5 1x8", "", expect).is_empty()
}

#[test]
fn an_expectation_holds_exactly_where_a_look_at_every_instant_says_so() {
    let firing: Vec<bool> = (0..=LAST)
        .map(|at| {
            verdict_of(&format!("{{ at = \"{at}s\", rule = \"queue\", state = \"firing\" }}"))
        })
        .collect();
    let expected: Vec<bool> = (0..=LAST).map(|at| (QUIET..13).contains(&at)).collect();
    assert_eq!(firing, expected);
    for from in 0..=LAST {
        for to in from..=LAST {
            let within = |state: &str| {
                let when = format!("between = [\"{from}s\", \"{to}s\"]");
                format!("{{ {when}, rule = \"queue\", state = \"{state}\" }}")
            };
            let fires = from <= QUIET && QUIET <= to;
            assert_eq!(verdict_of(&within("firing")), fires, "firing {from} {to}");
            // Becoming inactive again: not so just before, then so.
            let was = from.checked_sub(1).is_none_or(|before| firing[before as usize]);
            let clears = was && (from..=to).any(|at| !firing[at as usize]);
            assert_eq!(verdict_of(&within("inactive")), clears, "inactive {from} {to}");
            let when = format!("from = \"{from}s\", until = \"{to}s\"");
            let always = format!("{{ {when}, rule = \"queue\", state = \"inactive\" }}");
            let quiet = (from..=to).all(|at| !firing[at as usize]);
            assert_eq!(verdict_of(&always), quiet, "until {from} {to}");
        }
    }
}

#[test]
fn a_decision_that_comes_too_early_fails() {
    let expect = "{ between = [\"8s\", \"9s\"], rule = \"queue\", decision = \"notify\" }";
    assert_eq!(check("1x6 99x5", "", expect), ["too early, at 7s"]);
    let expect = "{ between = [\"8s\", \"9s\"], signals = { queue = 99 } }";
    assert_eq!(check("1x6 99x5", "", expect), ["it was so already before 8s"]);
}

#[test]
fn until_without_from_begins_when_the_deployment_does() {
    let expect = "{ until = \"12s\", signals = { queue = 99 } }";
    let case = cases(&queue("1x6 99x5", "arm = \"8s\"", expect)).unwrap().remove(0);
    assert_eq!(case.expects[0].when, When::Throughout(secs(8), secs(12)));
    assert_eq!(play(&case).failures, []);
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

proptest! {
    #[test]
    fn whatever_stands_in_a_test_file_is_answered(
        text in "[a-z_ .=\"'\\[\\]{}0-9+x:,\n]{0,200}",
        values in "[0-9a-z+x_ :.-]{0,30}",
    ) {
        let _ = cases(&text);
        let _ = cases(&queue(&values, "", "{ at = \"1s\", colour = \"green\" }"));
    }
}

/// Notations, as people and machines write them.
fn notation() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        (-1000..1000_i32).prop_map(|n| n.to_string()),
        (-1000..1000_i32).prop_map(|n| format!("{}", f64::from(n) / 8.0)),
        (1..9_i32, 0..3_i32).prop_map(|(n, e)| format!("{n}e{e}")),
    ];
    let sign = prop_oneof![Just("+"), Just("-")];
    let times = 0..6_u32;
    let part = prop_oneof![
        number.clone(),
        (number.clone(), times.clone()).prop_map(|(a, n)| format!("{a}x{n}")),
        (number, sign, 0..500_u32, times.clone())
            .prop_map(|(a, sign, b, n)| format!("{a}{sign}{b}x{n}")),
        Just("_".to_owned()),
        (1..6_u32).prop_map(|n| format!("_x{n}")),
        Just("stale".to_owned()),
    ];
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.join(" "))
}

#[test]
fn the_notation_means_what_it_means_to_promtool() {
    if Command::new("promtool").arg("--version").output().is_err() {
        let real = std::env::var("ROLLGUARD_REQUIRE_REAL").is_ok_and(|value| value == "1");
        assert!(!real, "promtool is not installed");
        println!("skipped: promtool is not installed");
        return;
    }
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut yaml = "evaluation_interval: 1s\ntests:\n".to_owned();
    let mut checks = 0;
    for number in 0..200 {
        let text = notation().new_tree(&mut runner).unwrap().current();
        // One page at the end that does not have the series: nothing may stand there.
        let case = cases(&queue(&format!("{text} _"), "", "{ at = \"0s\", colour = \"unknown\" }"));
        let case = case.unwrap_or_else(|wrong| panic!("{text}: {wrong}")).remove(0);
        let values = &case.pages[0][0].1;
        writeln!(yaml, "- name: case {number}\n  interval: 1s\n  input_series:").unwrap();
        writeln!(yaml, "  - series: m\n    values: '{text}'\n  promql_expr_test:").unwrap();
        for at in 0..values.count() {
            // Only a sample of this very instant.
            writeln!(yaml, "  - expr: m and timestamp(m) == {at}\n    eval_time: {at}s").unwrap();
            if let Point::Sample(value) = values.at(at) {
                writeln!(yaml, "    exp_samples: [{{labels: m, value: {value:e}}}]").unwrap();
            }
            checks += 1;
        }
    }
    let place = Place::new(&[("tests.yml", &yaml)]);
    let promtool = Command::new("promtool")
        .args(["test", "rules", "tests.yml"])
        .current_dir(place.directory.path())
        .output()
        .unwrap();
    let (code, out, err) = said(promtool);
    let start: String = (out + &err).chars().take(3000).collect();
    assert_eq!(code, Some(0), "promtool disagrees:\n{start}");
    assert!(checks > 500, "{checks}");
}
