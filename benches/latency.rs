//! How long after the earliest moment at which a rule could be known to hold the real daemon
//! decides, and starts the hook: at a plain interval of a second, and with `sharpen = "100ms"`.
//!
//! The page's counters are exact functions of the time at which it is asked for, so that moment
//! can be computed. The error rate is 3%, beyond half of the limit of 5%, until it is 25%. Over a
//! window of length w it then exceeds the limit after w * (5% - 3%) / (25% - 3%), and the rule can
//! be known to hold after its `for` from there. Each run has another phase against the slots of
//! the target.
//!
//! `cargo bench --bench latency`; `RUNS=30` measures more often. A run takes eight seconds.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must say where")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

const WINDOW: f64 = 4.0;
const FOR: f64 = 1.0;
const LIMIT: f64 = 0.05;
const BEFORE: f64 = 0.03;
const AFTER: f64 = 0.25;
const REQUESTS_PER_SECOND: f64 = 1_000.0;

/// How long after its start at the earliest a release turns bad: the window is full by then.
const HEALTHY: f64 = 5.5;

/// A run that takes this long has failed.
const TOO_LONG: Duration = Duration::from_secs(60);

struct Stop(Child);

impl Drop for Stop {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Milliseconds from the earliest possible moment to the decision and to the hook's first act.
struct Run {
    decided: f64,
    hook: f64,
}

fn main() {
    let runs = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(12_u32);
    println!("{runs} runs each, in ms after the rule could be known to hold");
    println!("{:<32} {:>8} {:>8} {:>8}", "", "min", "median", "max");
    let seed = since_epoch(SystemTime::now()).fract();
    for (name, sharpen) in [("interval 1s", ""), ("with sharpen 100ms", "sharpen = \"100ms\"")] {
        // Spread evenly over the second, from a random start.
        let phase = |run: u32| (seed + f64::from(run) * 0.618_033_988_749_895).fract();
        let all: Vec<Run> = (0..runs).map(|run| measure(sharpen, phase(run))).collect();
        row(&format!("{name}: decided"), all.iter().map(|run| run.decided).collect());
        row(&format!("{name}: hook runs"), all.iter().map(|run| run.hook).collect());
    }
}

fn row(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (min, median, max) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    println!("{name:<32} {min:>8.0} {median:>8.0} {max:>8.0}");
}

fn measure(sharpen: &str, phase: f64) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let start = since_epoch(SystemTime::now());
    let turns_bad = start + HEALTHY + phase;
    let address = serve(start, turns_bad);
    let file = at.join("rollguard.toml");
    std::fs::write(&file, config(at, address, sharpen)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollguard"));
    command.arg("run").arg("--config").arg(&file).args(["--log", "error"]);
    let _child = Stop(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let earliest = turns_bad + WINDOW * (LIMIT - BEFORE) / (AFTER - BEFORE) + FOR;
    let began = SystemTime::now();
    let hook = loop {
        if let Ok(meta) = at.join("done").metadata() {
            break since_epoch(meta.modified().unwrap());
        }
        assert!(began.elapsed().unwrap() < TOO_LONG, "nothing was decided");
        std::thread::sleep(Duration::from_millis(10));
    };
    let after = |time: f64| (time - earliest) * 1000.0;
    Run { decided: after(decided(at)), hook: after(hook) }
}

fn config(at: &Path, address: SocketAddr, sharpen: &str) -> String {
    format!(
        r#"
mode = "auto"
state = "{at}/state"
control = "{at}/control.sock"
listen = "off"
[deployment]
service = "bench"
arm = "always"
version = "v2"
good = "v1"
bake = "1h"
warmup = "0s"
then = "rollback"
[target.page]
scrape = "http://{address}/metrics"
interval = "1s"
{sharpen}
[hook.rollback]
steps = [{{ run = ["/usr/bin/touch", "{at}/done"] }}]
[signal.error_rate]
ratio = {{ of = 'http_requests_total{{status=~"5.."}}', to = 'http_requests_total' }}
window = "{WINDOW}s"
[rule.error-rate]
when = "error_rate > {LIMIT}"
for = "{FOR}s"
"#,
        at = at.display()
    )
}

/// When the decision was put on record.
fn decided(at: &Path) -> f64 {
    let journal = std::fs::read_to_string(at.join("state/journal.jsonl")).unwrap();
    let entries = journal.lines().map(|line| serde_json::from_str(line).unwrap());
    let is_decision = |entry: &serde_json::Value| entry["kind"] == "decided";
    let decision = entries.into_iter().find(is_decision).unwrap();
    since_epoch(humantime::parse_rfc3339(decision["at"].as_str().unwrap()).unwrap())
}

fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Serves the counters as of the time at which they are asked for, on a thread for each connection.
fn serve(start: f64, turns_bad: f64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_all(&stream, start, turns_bad));
        }
    });
    address
}

fn answer_all(mut stream: &TcpStream, start: f64, turns_bad: f64) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() {
            let now = since_epoch(SystemTime::now());
            let all = (now - start) * REQUESTS_PER_SECOND;
            let after = (now - turns_bad).max(0.0) * REQUESTS_PER_SECOND;
            let bad = (all - after) * BEFORE + after * AFTER;
            let body = format!(
                "# TYPE http_requests_total counter\nhttp_requests_total{{status=\"200\"}} {}\n\
                 http_requests_total{{status=\"500\"}} {bad}\n",
                all - bad
            );
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4";
            let length = body.len();
            if write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").is_err() {
                return;
            }
        }
    }
}
