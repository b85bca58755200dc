//! `rollguard try`, the real binary against pages that the test serves on the loopback.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::common::{KillOnDrop, free_port, golden, wait_for};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// A page of the usual kinds. `N` is how often it was asked for.
const PAGE: &str = r#"# TYPE http_requests_total counter
http_requests_total{status="200",method="get"} N00970
http_requests_total{status="404",method="post"} N000
http_requests_total{status="500",method="post"} N0
# TYPE queue_length gauge
queue_length{queue="mail"} 7
queue_length{queue="jobs"} 9
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.1"} N0
http_request_duration_seconds_bucket{le="2.5"} N8
http_request_duration_seconds_bucket{le="+Inf"} N8
http_request_duration_seconds_sum N4
http_request_duration_seconds_count N8
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 0.1
rpc_seconds{quantile="0.99"} 0.4
rpc_seconds_sum 3
rpc_seconds_count 9
"#;

/// Serves a page from a thread of its own, which ends with the process.
struct Page {
    port: u16,
    asked: Arc<AtomicU64>,
}

impl Page {
    fn serve(text: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, text) = (Arc::new(AtomicU64::new(0)), text.to_owned());
        let page = Self { port, asked: asked.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                // Who asked may have gone.
                drop(answer(stream.unwrap(), &text.replace('N', &number.to_string())));
            }
        });
        page
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.port)
    }
}

fn answer(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{text}"
    )
}

/// A directory with files.
struct Place(TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let text = text.replace("DIR", place.0.path().to_str().unwrap());
            fs::write(place.0.path().join(name), text).unwrap();
        }
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollguard"));
        command.arg("try").args(arguments).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        told(&self.command(arguments).output().unwrap())
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        let json = serde_json::from_slice(&output.stdout);
        (output.status.code().unwrap(), json.unwrap_or_else(|_| panic!("{:?}", told(&output))))
    }
}

fn told(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8(text).unwrap())
}

/// What a signal of one selector over [`PAGE`] is told, beside whether the trial was good.
#[track_caller]
fn check(signal: &str, kind: &str, text: &str, hint: &str) {
    let page = Page::serve(PAGE);
    let rule = "[rule.r]\nwhen = \"s > 1\"\n";
    let place = Place::new(&[("r.toml", &format!("[signal.s]\n{signal}\n{rule}"))]);
    let (code, trial) = place.json(&["--url", &page.url(), "r.toml"]);
    let selectors = trial["signals"][0]["selectors"].as_array().unwrap();
    let problem = selectors.iter().map(|each| &each["problem"]).find(|each| !each.is_null());
    let problem = problem.unwrap_or_else(|| panic!("no problem: {trial:#}"));
    assert_eq!(
        (problem["kind"].as_str(), problem["text"].as_str(), problem["hint"].as_str()),
        (Some(kind), Some(text), Some(hint))
    );
    assert_eq!((code, &trial["ok"]), (1, &Value::Bool(false)));
}

#[test]
fn a_metric_that_is_not_there_is_answered_with_the_nearest() {
    check(
        "rate = 'http_request_total'\nwindow = \"1m\"",
        "no_metric",
        "page has no metric `http_request_total`",
        "did you mean `http_requests_total`?",
    );
    check(
        "rate = 'http_requests'\nwindow = \"1m\"",
        "no_metric",
        "page has no metric `http_requests`",
        "did you mean `http_requests_total`?",
    );
    check(
        "mean = 'http_request_duration'\nwindow = \"1m\"",
        "no_metric",
        "page has no metric `http_request_duration`",
        "did you mean `http_request_duration_seconds`?",
    );
    check(
        "gauge = 'nothing_like_it'",
        "no_metric",
        "page has no metric `nothing_like_it`",
        "look at the page: nothing on it has a similar name",
    );
}

#[test]
fn a_matcher_that_excludes_everything_is_answered_with_the_values() {
    check(
        "rate = 'http_requests_total{status=\"501\"}'\nwindow = \"1m\"",
        "no_value",
        "status=\"501\" excludes every series of `http_requests_total`",
        "`status` is 500, 404 and 200",
    );
    check(
        "rate = 'http_requests_total{method=~\"post|put\",status=~\"2..\"}'\nwindow = \"1m\"",
        "no_value",
        "method=~\"post|put\" excludes every series of `http_requests_total` that the others \
         leave",
        "`method` is get",
    );
    check(
        "increase = 'http_request_duration_seconds_bucket{le=\"2\"}'\nwindow = \"1m\"",
        "no_value",
        "le=\"2\" excludes every series of `http_request_duration_seconds_bucket`",
        "`le` is 2.5, 0.1 and +Inf",
    );
    check(
        "ratio = { of = 'http_requests_total{stauts=\"500\"}', to = 'http_requests_total' }\n\
         window = \"1m\"",
        "no_label",
        "no series of `http_requests_total` has a label `stauts`",
        "its labels: status and method",
    );
}

#[test]
fn a_metric_of_another_kind_is_answered_with_what_to_use() {
    check(
        "quantile = 0.95\nof = 'rpc_seconds'",
        "other_kind",
        "`rpc_seconds` is a summary without the quantile 0.95",
        "it has 0.99 and 0.5",
    );
    check(
        "quantile = 0.95\nof = 'http_request_duration_seconds'",
        "other_kind",
        "`http_request_duration_seconds` is a histogram",
        "give the signal a `window`",
    );
    check(
        "rate = 'http_request_duration_seconds'\nwindow = \"1m\"",
        "other_kind",
        "`http_request_duration_seconds` is a histogram",
        "its observations are counted by `http_request_duration_seconds_count`",
    );
    check(
        "mean = 'queue_length'\nwindow = \"1m\"",
        "other_kind",
        "`queue_length` is a gauge",
        "`mean` needs a histogram or summary",
    );
    check(
        "quantile = 0.5\nof = 'queue_length'\nwindow = \"1m\"",
        "other_kind",
        "`queue_length` is neither a histogram nor a summary",
        "a quantile needs one of them; `gauge` takes the value as it is",
    );
}

const RULES: &str = r#"
[signal.requests]
increase = 'http_requests_total'
window   = "1m"

[signal.error_rate]
ratio  = { of = 'http_requests_total{status=~"5.."}', to = 'http_requests_total' }
window = "30s"

[signal.teapots]
ratio  = { of = 'http_requests_total{status="418"}', to = 'http_requests_total' }
window = "30s"

[signal.p50]
quantile = 0.5
of       = 'http_request_duration_seconds'
window   = "1m"

[signal.queue]
gauge  = 'queue_length'
across = "max"

[rule.error-rate]
when  = "error_rate > 5%"
given = "queue > 1"
for   = "2m"

[rule.slow]
when = "p50 > 2500ms || teapots > 50% || queue < 3"
for  = "1m"
"#;

fn configuration(targets: &str) -> String {
    format!(
        "state = \"DIR/state\"\ncontrol = \"DIR/control\"\nlisten = \"off\"\n\
         rules = [\"rules.toml\"]\n[deployment]\nservice = \"api\"\n{targets}"
    )
}

fn target(name: &str, url: &str) -> String {
    format!("[target.{name}]\nscrape = \"{url}\"\ninterval = \"100ms\"\n")
}

/// The text with what differs from run to run masked.
fn masked(text: &str, ports: &[(u16, &str)]) -> String {
    let mut text = text.to_owned();
    for (port, name) in ports {
        text = text.replace(&port.to_string(), name);
    }
    for (before, after) in
        [("took ", ","), ("after ", "\n"), ("watched for ", ":"), ("hold ", " so")]
    {
        text = mask(&text, before, after);
    }
    text
}

fn mask(text: &str, before: &str, after: &str) -> String {
    let mut parts = text.split(before);
    let mut masked = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(after).filter(|end| *end < 12 && part.starts_with(char::is_numeric));
        masked.push_str(before);
        masked.push_str(&end.map_or(part.to_owned(), |end| format!("TIME{}", &part[end..])));
    }
    masked
}

#[test]
fn targets_signals_and_rules_are_shown_with_what_they_see() {
    let (page, nobody) = (Page::serve(PAGE), free_port());
    let down = format!("http://127.0.0.1:{nobody}/metrics");
    let targets = target("api", &page.url()) + &target("web", &down);
    let rules = RULES.replace("'http_requests_total'\n", "'http_request_total'\n");
    let place = Place::new(&[("main.toml", &configuration(&targets)), ("rules.toml", &rules)]);
    let (code, said) = place.run(&["main.toml"]);
    assert_eq!(code, 1, "{said}");
    golden("try-trouble.txt", &masked(&said, &[(page.port, "PORT"), (nobody, "NOBODY")]));
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(!place.0.path().join("state").exists() && !place.0.path().join("control").exists());
}

#[test]
fn a_healthy_service_passes() {
    let page = Page::serve(PAGE);
    let files =
        [("main.toml", &*configuration(&target("api", &page.url()))), ("rules.toml", RULES)];
    let (code, said) = Place::new(&files).run(&["--config", "main.toml"]);
    assert_eq!(code, 0, "{said}");
    // How much was counted depends on how often the page was asked for.
    let said = mask(&masked(&said, &[(page.port, "PORT")]), "requests                    ", "\n");
    golden("try-healthy.txt", &said);
}

#[test]
fn a_metric_on_another_target_is_found_there() {
    let (api, web) = (Page::serve("up 1\n"), Page::serve(PAGE));
    let targets = target("api", &api.url()) + &target("web", &web.url());
    let rules = "[signal.s]\nrate = 'http_requests_total'\nwindow = \"1s\"\ntarget = \"api\"\n\
                 [rule.r]\nwhen = \"s > 1\"\n";
    let place = Place::new(&[("main.toml", &configuration(&targets)), ("rules.toml", rules)]);
    let (code, trial) = place.json(&["main.toml"]);
    let problem = &trial["signals"][0]["selectors"][0]["problem"];
    assert_eq!((code, problem["kind"].as_str()), (1, Some("other_target")), "{trial:#}");
    assert_eq!(problem["text"], "`http_requests_total` is on web, not on api");
}

#[test]
fn kinds_and_limits_that_only_the_page_shows_are_doubted() {
    let page = Page::serve(PAGE);
    let rules = "[signal.a]\nrate = 'queue_length'\nwindow = \"1m\"\n\
                 [signal.b]\ngauge = 'http_requests_total{status=\"200\"}'\n\
                 [signal.c]\nquantile = 0.5\nof = 'http_request_duration_seconds'\n\
                 window = \"1m\"\n\
                 [rule.r]\nwhen = \"a > 1 && b > 1 && c > 3s\"\n";
    let place = Place::new(&[("r.toml", rules)]);
    let (code, trial) = place.json(&["--url", &page.url(), "r.toml"]);
    let lints = [
        "signal a: `queue_length` is a gauge, and `rate` takes each fall for a restart; use \
         `gauge`",
        "signal b: `http_requests_total` is a counter, and `gauge` reads all that it ever \
         counted; use `rate` or `increase`",
        "rule r: the top bucket behind c ends at 2.5, so c is never seen to pass 3; choose a \
         lower limit, or give the histogram higher buckets",
    ];
    assert_eq!(trial["lints"], serde_json::json!(lints));
    assert_eq!(code, 0, "{trial:#}");
    assert_eq!(trial["rules"][0]["limits"][0]["signal"], "a");
    assert_eq!(trial["rules"][0]["limits"][0]["used"], 0.0);
}

#[test]
fn a_window_that_fills_says_how_long_it_takes() {
    let page = Page::serve(PAGE);
    let slow = format!("[target.api]\nscrape = \"{}\"\ninterval = \"1m\"\n", page.url());
    let rules = "[signal.s]\nincrease = 'http_requests_total'\nwindow = \"5m\"\n\
                 [rule.r]\nwhen = \"s > 1\"\n";
    let place = Place::new(&[("main.toml", &configuration(&slow)), ("rules.toml", rules)]);
    let (code, trial) = place.json(&["main.toml", "--for", "2s"]);
    let signal = &trial["signals"][0];
    assert_eq!((code, &signal["no_data"]), (0, &"window filling".into()), "{trial:#}");
    let needs = signal["needs_s"].as_f64().unwrap();
    assert!(needs > 50.0 && needs <= 60.0, "{needs}");
    assert!(signal["benign"].as_bool().unwrap());
}

#[test]
fn an_interrupt_ends_it_with_what_was_seen_so_far() {
    let page = Page::serve(PAGE);
    let files =
        [("main.toml", &*configuration(&target("api", &page.url()))), ("rules.toml", RULES)];
    let place = Place::new(&files);
    let child = KillOnDrop(place.command(&["main.toml", "--for", "1h"]).spawn().unwrap());
    wait_for(LONG, "some scrapes", || (page.asked.load(Ordering::SeqCst) >= 5).then_some(()));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let mut child = child;
    let status = wait_for(LONG, "the command to end", || child.try_wait().unwrap());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut said).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("\nok: watched for ") && said.contains("error_rate"), "{said}");
}

#[test]
fn what_cannot_be_tried_is_refused() {
    let page = Page::serve(PAGE);
    let place = Place::new(&[("r.toml", "[rule.r]\nwhen = \"eror > 1\"\n")]);
    let (code, said) = place.run(&["--url", &page.url(), "r.toml"]);
    assert!(code == 78 && said.contains("r.toml:2:"), "{code} {said}");
    let (code, said) = place.run(&["--config", "gone.toml"]);
    assert!(code == 78 && said.contains("failed to read gone.toml"), "{code} {said}");
    let (code, said) = place.run(&["--url", &page.url()]);
    assert!(code == 2 && said.contains("<FILE>"), "{code} {said}");
    let (code, said) = place.run(&["--url", "localhost:9000", "r.toml"]);
    assert!(code == 2 && said.contains("not an http or https URL"), "{code} {said}");
    assert_eq!(page.asked.load(Ordering::SeqCst), 0);
}

#[test]
fn rules_for_a_named_target_can_be_tried_on_any_page() {
    let page = Page::serve(PAGE);
    let rules = "[signal.s]\ngauge = 'queue_length'\nacross = \"sum\"\ntarget = \"api\"\n\
                 [signal.alive]\nup = \"api\"\n\
                 [rule.r]\nwhen = \"s > 100 || alive < 1\"\n";
    let (code, trial) = Place::new(&[("r.toml", rules)]).json(&["--url", &page.url(), "r.toml"]);
    assert_eq!(code, 0, "{trial:#}");
    assert_eq!(
        (&trial["signals"][0]["value"], &trial["signals"][1]["value"]),
        (&16.0.into(), &1.0.into())
    );
    assert_eq!(trial["rules"][0]["limits"][0]["used"], 0.16);
}

#[test]
fn groups_and_baselines_are_shown() {
    let page = Page::serve(PAGE);
    let rules = "[signal.s]\nincrease = 'http_requests_total'\nwindow = \"1m\"\nby = [\"status\"]\n\
                 [signal.n]\ncount = 'queue_length'\nvalue = \"> 100\"\n\
                 [signal.q]\ngauge = 'queue_length{queue=\"mail\"}'\n\
                 [signal.q.baseline]\nmin_readings = 2\n\
                 [rule.r]\nwhen = \"s > 1000000 && n >= 0\"\n\
                 [rule.b]\nwhen = \"q > 2 * q.baseline && q > 10\"\n";
    let place = Place::new(&[("r.toml", rules)]);
    let (code, trial) = place.json(&["--url", &page.url(), "r.toml"]);
    assert_eq!(code, 0, "{trial:#}");
    let signal = |name: &str| {
        let signals = trial["signals"].as_array().unwrap();
        signals.iter().find(|signal| signal["signal"] == name).unwrap().clone()
    };
    let groups = signal("s")["groups"].as_array().unwrap().clone();
    let names: Vec<&str> = groups.iter().map(|group| group["group"].as_str().unwrap()).collect();
    assert_eq!(names, ["status=\"200\"", "status=\"404\"", "status=\"500\""]);
    assert_eq!((&signal("s")["group_count"], &signal("n")["value"]), (&3.into(), &0.0.into()));
    assert_eq!(signal("q.baseline")["value"], 7.0);
    let by_group = &trial["rules"][0]["by_group"];
    assert_eq!(
        (&by_group[0]["group"], &trial["rules"][0]["group_count"]),
        (&names[0].into(), &3.into())
    );
    let said = place.run(&["--url", &page.url(), "r.toml"]).1;
    assert!(said.contains("3 groups by status\n  status=\"200\""), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
}
