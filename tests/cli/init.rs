//! `rollguard init` as a person runs it: a page on the loopback in, a configuration out. Every page
//! of `tests/fixtures/pages` has a golden file, must pass `check`, must still pass it when all that
//! is switched off is switched on, and every signal must have a reading once the page grows.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use rollguard::cli::check::{Lints, check};
use rollguard::config::{Color, Compiled, SourceFile, compile};
use rollguard::discovery::{ConfigRequest, PageFamilies, configuration};
use rollguard::engine::Evaluator;
use rollguard::exposition::{Format, Limits, Malformed, Reader, Sample, Sink, Whole};
use rollguard::model::index::{SignalIx, TargetIx};
use rollguard::model::name::ServiceName;
use rollguard::model::reading::Reading;
use rollguard::model::scrape::{Page, Scrape};
use rollguard::model::selector::Test;
use rollguard::model::time::{Instant, Timestamp};

use crate::support::common::{KillOnDrop, free_port, golden, real, wait_for};

/// The page that a server in a thread answers every request with.
fn serve(page: &str, head: &str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut chunk = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => request.extend_from_slice(&chunk[..length]),
                }
            }
            // Whoever asked may have gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

const OK: &str = "200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8";

fn init(port: u16, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollguard"))
        .args(["init", &format!("http://127.0.0.1:{port}/metrics")])
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
fn written(port: u16, service: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rollguard.toml");
    let output = init(port, &["--service", service, "--output", file.to_str().unwrap()]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(output.stdout.is_empty());
    let report = check(std::slice::from_ref(&file), Lints::Show, Color::Plain);
    assert!(!report.failed, "{}", report.err);
    fs::read_to_string(file).unwrap()
}

fn compiled(text: &str) -> Compiled {
    let file = SourceFile { path: "init.toml".into(), text: text.to_owned() };
    compile(&file, &[]).unwrap_or_else(|wrong| panic!("{}\n{text}", wrong.render(Color::Plain)))
}

/// With everything switched on that is switched off.
fn switched_on(text: &str) -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(on).collect()
}

/// What every written file must hold to.
#[track_caller]
fn examine(text: &str) -> Compiled {
    let done = compiled(text);
    let lints: Vec<_> = done.lints.iter().map(|lint| lint.message.clone()).collect();
    let expected = |lint: &String| lint.starts_with("no hook follows rule");
    assert!(lints.iter().all(expected), "{lints:#?}\n{text}");
    let on = compiled(&switched_on(text));
    assert!(on.lints.is_empty(), "{}", on.lints.render(Color::Plain));
    assert!(on.plan.hooks.len() == 1 && done.plan.hooks.is_empty());
    let prose = text.lines().filter(|line| line.starts_with("# "));
    let wide: Vec<_> =
        prose.filter(|line| line.chars().count() > 80 && line.contains(' ')).collect();
    let broken = wide.iter().all(|line| line.split(' ').count() <= 2);
    assert!(broken, "{wide:#?}");
    done
}

struct Fill(Page);

impl Sink for Fill {
    fn sample(&mut self, sample: Sample<'_>) {
        self.0.push(sample.series, sample.value, None);
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        panic!("{malformed:?}");
    }

    fn kind(&mut self, family: &str, kind: &str) {
        self.0.push_kind(family, kind);
    }
}

fn page(text: &str) -> Page {
    let mut fill = Fill(Page::default());
    let mut reader = Reader::new(Format::Text, Limits::default(), None);
    reader.feed(text.as_bytes(), &mut fill).unwrap();
    let tally = reader.finish(Whole::Yes, &mut fill).unwrap();
    fill.0.bytes = tally.bytes;
    fill.0
}

/// The page a while later: what counts has doubled.
fn grown(text: &str) -> String {
    let kinds: Vec<(String, String)> = page(text).kinds().to_vec();
    let counters: HashSet<&str> =
        kinds.iter().filter(|(_, kind)| kind == "counter").map(|(name, _)| name.as_str()).collect();
    let grow = |line: &str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let counts = ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end));
        match line.rsplit_once(' ') {
            Some((series, value))
                if !line.starts_with('#') && (counts || counters.contains(name)) =>
            {
                format!("{series} {}\n", 2.0 * value.parse::<f64>().unwrap())
            }
            Some(_) | None => format!("{line}\n"),
        }
    };
    text.lines().map(grow).collect()
}

/// Every signal has a reading after two scrapes of a page that grows.
#[track_caller]
fn has_readings(plan: rollguard::model::plan::Plan, text: &str) {
    let names: Vec<_> = plan.signals.iter().map(|signal| signal.name.clone()).collect();
    let mut judge = Evaluator::new(Arc::new(plan));
    for (second, text) in [(1, text.to_owned()), (2, grown(text))] {
        let at = Instant::ZERO.after(Duration::from_secs(second));
        let wall = Timestamp::from_millis(1_763_703_011_000 + second as i64 * 1000);
        let (target, took) = (TargetIx(0), Duration::from_millis(5));
        judge.observe(&Scrape { target, at, wall, took, result: Ok(page(&text)) });
    }
    for (ix, name) in names.iter().enumerate() {
        let reading = judge.reading(SignalIx(ix));
        assert!(!matches!(reading, Reading::NoData(_)), "{name}: {reading:?}");
    }
}

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pages");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "prom"));
    paths.sort();
    paths
}

#[test]
fn every_convention_becomes_a_file_that_passes_and_reads() {
    let paths = fixtures();
    assert!(paths.len() >= 20, "{paths:?}");
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        println!("{name}");
        let text = fs::read_to_string(&path).unwrap();
        let port = serve(&text, OK);
        let file = written(port, "shop").replace(&port.to_string(), "40000");
        golden(&format!("init/{name}.toml"), &file);
        let done = examine(&file);
        has_readings(done.plan, &text);
    }
}

/// What the signal of that name looks at: metric and matchers, as they are written.
#[track_caller]
fn looks_at(fixture: &str, service: &str, expected: &[&str]) {
    let path = format!("{}/tests/fixtures/pages/{fixture}.prom", env!("CARGO_MANIFEST_DIR"));
    let text = surveyed(&fs::read_to_string(path).unwrap(), service);
    for expected in expected {
        let found = text.lines().any(|line| !line.starts_with('#') && line.contains(expected));
        assert!(found, "{expected} is not in\n{text}");
    }
}

fn surveyed(text: &str, service: &str) -> String {
    let url = "http://h:9000/metrics";
    let service = ServiceName::new(service).unwrap();
    configuration(&PageFamilies::read(&page(text)), ConfigRequest { url, service: &service }).text
}

#[test]
fn each_convention_is_selected_as_a_person_would() {
    looks_at(
        "go-promhttp",
        "shop",
        &[
            "of = 'http_requests_total{handler!=\"/healthz\", code=~\"5..\"}'",
            "'go_sql_in_use_connections'",
            "error_rate > 5%",
            "p95 > 2500ms",
        ],
    );
    looks_at("no-types", "shop", &["of = 'http_requests_total{handler!=\"/healthz\", code=~"]);
    looks_at("python-flask", "shop", &["of = 'flask_http_request_total{status=~\"5..\"}'"]);
    looks_at(
        "python-starlette",
        "shop",
        &["starlette_requests_total{path!=\"/health\", status_code"],
    );
    looks_at("python-django", "shop", &["django_http_responses_total_by_status_total{status=~"]);
    looks_at(
        "node-prom-client",
        "shop",
        &["http_request_duration_seconds_count{status_code=~", "p95 > 1500ms"],
    );
    looks_at(
        "spring",
        "shop",
        &["outcome=\"SERVER_ERROR\"", "mean        = 'http_server_requests"],
    );
    looks_at("spring-percentiles", "shop", &["quantile    = 0.95"]);
    looks_at("spring-histogram", "shop", &["p95 > 2s", "hikaricp_connections_max"]);
    looks_at(
        "otel",
        "shop",
        &["http_server_request_duration_seconds_count{http_route!=\"/healthz\", http_response"],
    );
    looks_at("otel-old", "shop", &["http_server_duration_milliseconds", "p95_ms / 1000"]);
    looks_at(
        "actix",
        "shop",
        &["shop_http_requests_total{endpoint!=\"/metrics\", status=~\"5..\"}"],
    );
    looks_at("axum", "shop", &["axum_http_requests_total{status=~\"5..\"}"]);
    looks_at("grpc-go", "shop", &["grpc_server_handled_total{grpc_code=~\"Unknown|"]);
    looks_at("nginx-vts", "shop", &["{host=\"*\", code=\"5xx\"}", "{host=\"*\", code!=\"total\"}"]);
    looks_at("haproxy", "shop", &["{proxy=\"be_shop\", code=\"5xx\"}", "state=\"UP\""]);
    looks_at("haproxy", "blog", &["{proxy=\"be_blog\", code=\"5xx\"}"]);
    looks_at(
        "envoy",
        "x",
        &[
            "envoy_cluster_upstream_rq{envoy_cluster_name=\"service_cart\", envoy_resp",
            "p95 > 2500ms",
        ],
    );
}

#[test]
fn an_existing_file_is_kept_unless_forced_and_the_file_can_be_read_by_all() {
    let port = serve("up_total 1\n", OK);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("r.toml");
    let name = file.to_str().unwrap();
    fs::write(&file, "mine").unwrap();
    let refused = init(port, &["--output", name]);
    assert_eq!(refused.status.code(), Some(1));
    let err = String::from_utf8(refused.stderr).unwrap();
    assert!(err.contains("the file exists") && err.contains("--force"), "{err}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    // Through a link what it leads to is replaced, not the link.
    let link = directory.path().join("link.toml");
    symlink(&file, &link).unwrap();
    assert!(init(port, &["--force", "--output", link.to_str().unwrap()]).status.success());
    assert!(link.is_symlink() && fs::read_to_string(&file).unwrap().contains("[target.app]"));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "something was left behind");
    let odd = init(port, &["--force", "--output", "/dev/null"]);
    assert!(String::from_utf8(odd.stderr).unwrap().contains("it is not a file"));
    let private = directory.path().join("private.toml");
    let line = format!(
        "umask 077; exec {} init http://127.0.0.1:{port}/ --output {}",
        env!("CARGO_BIN_EXE_rollguard"),
        private.display()
    );
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    let shown = init(port, &["--output", "-"]);
    assert!(shown.status.success());
    assert!(String::from_utf8(shown.stdout).unwrap().contains("mode = \"observe\""));
}

#[test]
fn a_page_that_cannot_be_read_is_told_with_its_class_and_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("r.toml");
    let check = |port: u16, wanted: &str, hint: &str| {
        let output = init(port, &["--output", file.to_str().unwrap()]);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.starts_with("error: failed to ") && err.contains(wanted), "{err}");
        assert!(err.contains(&format!("\nhelp: {hint}")), "{err}");
        assert!(!file.exists());
    };
    check(free_port(), "connection refused", "is the service running");
    check(serve("", "404 Not Found"), "unexpected status: 404", "is the path right?");
    check(serve("<html>", "200 OK\r\nContent-Type: text/html"), "malformed", "is it a metrics");
    check(serve("# only a comment\n", OK), "it holds no sample", "is it a metrics page");
    let output = Command::new(env!("CARGO_BIN_EXE_rollguard"))
        .args(["init", "http://user:secret@h/metrics"])
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("a URL holds no user and password"), "{err}");
}

/// A page as a server in HTTP/1.0 gives it.
fn fetch(port: u16, path: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

fn spawn(program: &Path, arguments: &[&str]) -> KillOnDrop {
    let quiet = || Stdio::null();
    let child = Command::new(program).args(arguments).stdout(quiet()).stderr(quiet()).spawn();
    KillOnDrop(child.unwrap())
}

const START: Duration = Duration::from_secs(20);

#[test]
fn a_real_node_exporter_is_read_as_a_host() {
    let Some(program) = real("prometheus-node-exporter") else { return };
    let port = free_port();
    let _exporter = spawn(&program, &[&format!("--web.listen-address=127.0.0.1:{port}")]);
    let page = wait_for(START, "the exporter's page", || fetch(port, "/metrics"));
    let text = written(port, "host");
    assert!(text.contains("[rule.host-memory-low]"), "{text}");
    assert!(!text.contains("[rule.error-rate") && !text.contains("gauge       = 'process_"));
    has_readings(examine(&text).plan, &page);
}

#[test]
fn a_real_prometheus_is_judged_by_its_own_requests() {
    let Some(program) = real("prometheus") else { return };
    let directory = tempfile::tempdir().unwrap();
    let (config, data) = (directory.path().join("p.yml"), directory.path().join("data"));
    fs::write(&config, "global: {}\n").unwrap();
    let port = free_port();
    let _server = spawn(
        &program,
        &[
            &format!("--config.file={}", config.display()),
            &format!("--storage.tsdb.path={}", data.display()),
            &format!("--web.listen-address=127.0.0.1:{port}"),
        ],
    );
    wait_for(START, "prometheus to be ready", || fetch(port, "/-/ready"));
    for _ in 0..5 {
        fetch(port, "/api/v1/query?query=1").unwrap();
    }
    let page = fetch(port, "/metrics").unwrap();
    let text = written(port, "prometheus");
    assert!(text.contains("of = 'prometheus_http_requests_total{handler!="), "{text}");
    assert!(text.contains("of          = 'prometheus_http_request_duration_seconds"), "{text}");
    has_readings(examine(&text).plan, &page);
}

/// Text that wants out of whatever it is put into.
fn hostile() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "",
        "5xx",
        "500",
        "total",
        "'",
        "\"",
        "\\",
        "a'\n[rule.x]\nwhen = \"up < 2\"\n#",
        "\"}, {a=~\".*",
        "\n# x",
        "`",
        "*",
        "shop\u{202e}",
        "${x}",
        "{good}",
        "\u{0}\u{7f}\u{85}\u{feff}\u{2028}",
    ]);
    prop_oneof![nasty.prop_map(str::to_owned), any::<String>(), "\\PC{0,300}"]
}

/// Numbers that a page may hold, and that no limit should be made of.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        prop::sample::select(vec![0.0, -1.0, 1e-12, 1e-7, 0.3, 2.0, 1e9, 1e300, f64::MAX]),
        prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0]),
    ]
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Families of every kind with hostile names before known ends, and hostile values of every label
/// that is looked at.
fn hostile_page(names: &[String], values: &[String], numbers: &[f64]) -> Page {
    const METRICS: [(&str, &[&str]); 9] = [
        ("_http_requests_total", &["status", "handler"]),
        ("_requests_total", &["code", "path"]),
        ("_queue_depth", &["queue"]),
        ("haproxy_backend_http_responses_total", &["proxy", "code"]),
        ("haproxy_backend_current_queue", &["proxy"]),
        ("haproxy_server_status", &["proxy", "state"]),
        ("envoy_cluster_upstream_rq", &["envoy_cluster_name", "envoy_response_code"]),
        ("nginx_vts_server_requests_total", &["host", "code"]),
        ("hikaricp_connections_active", &["pool"]),
    ];
    let mut page = Page::default();
    let mut push = |metric: &str, labels: &[&str]| {
        page.push_kind(metric, if metric.ends_with("depth") { "gauge" } else { "counter" });
        for (at, value) in values.iter().enumerate() {
            let pair = |label: &&str| format!("{label}=\"{}\"", escaped(value));
            let mut pairs: Vec<_> = labels.iter().map(pair).collect();
            if at == 0 && labels.len() > 1 {
                pairs[1] = format!("{}=\"503\"", labels[1]);
            }
            let series = format!("{{\"{}\",{}}}", escaped(metric), pairs.join(","));
            let number = numbers.get(at).copied().unwrap_or(1.0);
            page.push(&series, number, None);
        }
    };
    for (metric, labels) in METRICS {
        push(metric, labels);
        for name in names {
            push(&format!("{name}{metric}"), labels);
        }
    }
    for (at, number) in numbers.iter().enumerate() {
        let of = |name: &str| format!("process_{name}{{at=\"{at}\"}}");
        for name in ["resident_memory_bytes", "open_fds", "max_fds", "cpu_usage"] {
            page.push(&of(name), *number, None);
        }
        let bucket = format!("grpc_server_handling_seconds_bucket{{le=\"{number}\"}}");
        page.push(&bucket, at as f64 * 10.0, None);
        page.push("grpc_server_handling_seconds_count", 40.0, None);
        for end in ["sum", "count"] {
            page.push(
                &format!("rpc_server_duration_milliseconds_{end}{{at=\"{at}\"}}"),
                *number,
                None,
            );
        }
    }
    page
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_stands_on_a_page_the_file_passes_and_selects_only_what_is_meant(
        names in prop::collection::vec(hostile(), 0..3),
        values in prop::collection::vec(hostile(), 1..5),
        numbers in prop::collection::vec(number(), 0..5),
    ) {
        const OURS: [&str; 4] = ["5xx", "5XX", "5", "UP"];
        let page = hostile_page(&names, &values, &numbers);
        let families = PageFamilies::read(&page);
        let url = "http://h:1/m";
        let service = ServiceName::new("shop").unwrap();
        let text = configuration(&families, ConfigRequest { url, service: &service }).text;
        let plan = examine(&text).plan;
        let all = compiled(&switched_on(&text)).plan;
        prop_assert_eq!(plan.targets.len(), 1);
        prop_assert_eq!(plan.targets[0].kind.to_string(), url);
        prop_assert_eq!((all.targets.len(), all.hooks.len()), (1, 1));
        let selections = all.signals.iter().flat_map(|signal| signal.kind.selections());
        for selector in selections.map(|each| each.selector) {
            let base = selector.metric.strip_suffix("_count").unwrap_or(&selector.metric);
            let family = families.get(&selector.metric).or(families.get(base));
            prop_assert!(family.is_some(), "{selector:?}");
            for matcher in &selector.matchers {
                let seen = &family.unwrap().labels[&matcher.label].seen;
                match &matcher.test {
                    Test::Equal(value) => {
                        prop_assert!(seen.contains_key(value) || OURS.contains(&value.as_str()));
                    }
                    Test::NotEqual(value) => {
                        prop_assert!(value == "total" || value.starts_with('/'));
                    }
                    Test::Matches(regex) => prop_assert!(regex.as_str().starts_with("^(?:5")),
                    Test::NotMatches(_) => prop_assert!(false, "{selector:?}"),
                }
            }
        }
    }
}
