//! What the daemon costs: CPU for each scrape and resident memory, at one target with 1,000,
//! 10,000 and 100,000 series each second and one rule, and with a rule for each of 1,000 series.
//! Where Prometheus is installed it is measured beside it on the same page, with the same rules,
//! keeping everything and keeping only what the one rule needs.
//!
//! `cargo bench --bench daemon`; `SECONDS=60` measures for longer.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must say where")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a process used.
#[derive(Clone, Copy)]
struct Cost {
    cpu_ms_per_scrape: f64,
    resident_mb: f64,
}

/// What there is to do each second.
#[derive(Clone, Copy)]
struct Load {
    series: usize,
    rules: usize,
    megabytes: f64,
}

struct Stop(Child);

impl Drop for Stop {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn main() {
    let seconds = std::env::var("SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    let prometheus = installed("prometheus");
    println!("one target, one scrape a second, {seconds} s each after 5 s");
    println!(
        "{:>9} {:>9} {:>6}  {:<24} {:>12} {:>9}",
        "series", "page MB", "rules", "", "CPU ms/scrape", "RSS MB"
    );
    for (series, rules) in [(1_000, 1_000), (1_000, 1), (10_000, 1), (100_000, 1)] {
        let page = page(series);
        let load = Load { series, rules, megabytes: page.len() as f64 / 1e6 };
        let address = serve(page);
        let ours = rollguard(address, load, seconds);
        row(load, "rollguard", ours, ours);
        if prometheus {
            row(load, "prometheus", prometheus_cost(address, load, seconds, ""), ours);
        }
        if prometheus && rules == 1 {
            let keep = "  metric_relabel_configs:\n  - source_labels: [__name__]\n    \
                        regex: http_requests_total\n    action: keep\n";
            let kept = prometheus_cost(address, load, seconds, keep);
            row(load, "prometheus, relabelled", kept, ours);
        }
    }
    if !prometheus {
        println!("prometheus is not installed, so there is nothing to compare with");
    }
}

fn row(load: Load, who: &str, cost: Cost, ours: Cost) {
    let Load { series, rules, megabytes } = load;
    let Cost { cpu_ms_per_scrape: cpu, resident_mb: resident } = cost;
    let ratio = if who == "rollguard" {
        String::new()
    } else {
        format!(
            "  {:.1} x CPU, {:.1} x memory",
            cpu / ours.cpu_ms_per_scrape,
            resident / ours.resident_mb
        )
    };
    println!(
        "{series:>9} {megabytes:>9.2} {rules:>6}  {who:<24} {cpu:>12.3} {resident:>9.1}{ratio}"
    );
}

/// A page of counters as applications have them, and the two that the rule needs.
fn page(series: usize) -> String {
    let mut page = String::from("# TYPE http_requests_total counter\n");
    page.push_str("http_requests_total{status=\"200\"} 123456\n");
    page.push_str("http_requests_total{status=\"500\"} 12\n");
    for index in 0..series.saturating_sub(2) {
        let (family, member) = place(index);
        if member == 0 {
            writeln!(page, "# HELP app_family_{family}_total Work done.").unwrap();
            writeln!(page, "# TYPE app_family_{family}_total counter").unwrap();
        }
        writeln!(
            page,
            "app_family_{family}_total{{instance=\"i-{member:04}\",zone=\"eu-1\",\
             kind=\"worker\"}} {}",
            index * 7919 % 1_000_003
        )
        .unwrap();
    }
    page
}

/// A series' family, of 50, and its place there.
const fn place(index: usize) -> (usize, usize) {
    (index / 50, index % 50)
}

/// Serves the page to whoever asks, on a thread for each connection.
fn serve(page: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n",
        page.len()
    );
    let answer: Arc<[u8]> = [head.as_bytes(), page.as_bytes()].concat().into();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || answer_all(&stream, &answer));
        }
    });
    address
}

fn answer_all(mut stream: &TcpStream, answer: &[u8]) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() && stream.write_all(answer).is_err() {
            return;
        }
    }
}

fn rollguard(address: SocketAddr, load: Load, seconds: u64) -> Cost {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let mut config = format!(
        r#"
mode = "auto"
state = "{at}/state"
control = "{at}/control.sock"
listen = "off"
[deployment]
service = "bench"
arm = "always"
bake = "30d"
then = "rollback"
[target.page]
scrape = "http://{address}/metrics"
interval = "1s"
[hook.rollback]
steps = [{{ run = ["/bin/true"] }}]
[signal.error_rate]
ratio = {{ of = 'http_requests_total{{status=~"5.."}}', to = 'http_requests_total' }}
window = "30s"
[rule.error-rate]
when = "error_rate > 5%"
for = "2m"
"#,
        at = at.display()
    );
    for index in 1..load.rules {
        let (family, member) = place(index);
        write!(
            config,
            "[signal.s{index}]\nrate = 'app_family_{family}_total{{instance=\"i-{member:04}\"}}'\n\
             window = \"30s\"\n[rule.r{index}]\nwhen = \"s{index} > 5\"\nfor = \"2m\"\n"
        )
        .unwrap();
    }
    let file = at.join("rollguard.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollguard"));
    command.arg("run").arg("--config").arg(&file).args(["--log", "error"]);
    measure(command, seconds)
}

fn prometheus_cost(address: SocketAddr, load: Load, seconds: u64, relabelling: &str) -> Cost {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let mut rules = String::from(
        "groups:\n- name: bench\n  interval: 1s\n  rules:\n  - alert: ErrorRate\n    expr: \
                 sum(rate(http_requests_total{status=~\"5..\"}[30s])) / \
                 sum(rate(http_requests_total[30s])) > 0.05\n    for: 2m\n",
    );
    for index in 1..load.rules {
        let (family, member) = place(index);
        write!(
            rules,
            "  - alert: R{index}\n    expr: \
             rate(app_family_{family}_total{{instance=\"i-{member:04}\"}}[30s]) > 5\n    for: 2m\n"
        )
        .unwrap();
    }
    std::fs::write(at.join("rules.yml"), rules).unwrap();
    let config = format!(
        "global:\n  scrape_interval: 1s\nrule_files: [rules.yml]\nscrape_configs:\n\
         - job_name: page\n  static_configs:\n  - targets: ['{address}']\n{}",
        relabelling
    );
    std::fs::write(at.join("prometheus.yml"), config).unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", at.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", at.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", free_port()))
        .arg("--log.level=error");
    measure(command, seconds)
}

fn measure(mut command: Command, seconds: u64) -> Cost {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut child = Stop(child);
    std::thread::sleep(Duration::from_secs(5));
    let (before, from) = (cpu_ms(child.0.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, elapsed) = (cpu_ms(child.0.id()), from.elapsed().as_secs_f64());
    assert!(child.0.try_wait().unwrap().is_none(), "it ended while it was measured");
    let resident_mb = resident_mb(child.0.id());
    Cost { cpu_ms_per_scrape: (after - before) / elapsed, resident_mb }
}

/// CPU time so far, of all threads, from the scheduler's own account in nanoseconds: the ticks of
/// /proc/PID/stat are a hundred times too coarse.
fn cpu_ms(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let time = |path: &Path| -> f64 {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0)
    };
    tasks.flatten().map(|task| time(&task.path())).sum::<f64>() / 1e6
}

fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024.0 / 1e6
}

fn installed(program: &str) -> bool {
    let mut probe = Command::new(program);
    probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
