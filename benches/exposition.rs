//! How fast a page is read, next to prometheus-parse.
//!
//! `cargo bench --bench exposition`. Three pages: one of a real node exporter (or, where none is
//! installed, a look-alike, and the table says so), 1.4 MB heavy with histograms, 50 MB. Each is
//! read with 0.1 %, 5 % and 100 % of its metrics selected. MB are 10^6 bytes; every number is the
//! median of runs after a warm-up, in one thread. That no line allocates is held by
//! `tests/memory/exposition.rs`, where counting does not disturb the clock. The contestant
//! folds the buckets of a histogram into one sample, so it counts fewer.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has to stop")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rollguard::exposition::{
    Format, Limits, Malformed, NameSet, Reader, Sample, Sink, Tally, Whole,
};

/// The size of the chunks that a scrape reads from its connection.
const CHUNK: usize = 16 << 10;

/// Looks at what a rule looks at, so that nothing is optimised away.
#[derive(Default)]
struct Sum {
    value: f64,
    labels: usize,
}

impl Sink for Sum {
    fn sample(&mut self, sample: Sample<'_>) {
        self.value += sample.value;
        self.labels += sample.labels.len();
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        panic!("{malformed:?}");
    }
}

struct Page {
    title: String,
    text: String,
    names: Vec<String>,
}

/// The same histograms in protobuf.
struct Binary {
    bytes: Vec<u8>,
    lines: usize,
}

fn main() {
    let pages =
        [node_page(), histograms(700, 1, "1.4 MB histograms"), histograms(1000, 26, "50 MB")];
    println!(
        "{:<26} {:>9} {:>9} {:>10} {:>10} {:>8} {:>8}",
        "page", "selected", "samples", "us", "MB/s", "ns/line", "ratio"
    );
    for page in &pages {
        let (found, contestant) = prometheus_parse(page);
        for share in [0.001, 0.05, 1.0] {
            let wanted = spread(&page.names, share);
            let names = NameSet::new(&wanted);
            ours(page, Some(&names), &format!("{:.1}%", share * 100.0), contestant);
        }
        ours(page, None, "no filter", contestant);
        row(&page.title, "p.-parse", found as u64, page, contestant, contestant);
    }
    in_protobuf(&pages[1]);
    names_do_not_matter(&pages[2]);
}

/// The page of histograms once more, in the format that a scrape asks for where a signal may read
/// native ones. Rates are those of its own bytes; `us` is to be held against the rows above.
fn in_protobuf(text: &Page) {
    let page = binary(text, 700);
    for share in [0.001, 0.05, 1.0] {
        let names = NameSet::new(spread(&text.names, share));
        let (tally, took) = median(page.bytes.len(), || {
            let limits = Limits { samples: u64::MAX, ..Limits::default() };
            let mut reader = Reader::new(Format::Protobuf, limits, Some(&names));
            let mut sum = Sum::default();
            for chunk in page.bytes.chunks(CHUNK) {
                reader.feed(chunk, &mut sum).unwrap();
            }
            black_box(sum.value);
            reader.finish(Whole::Yes, &mut sum).unwrap()
        });
        println!(
            "{:<26} {:>9} {:>9} {:>10.1} {:>10.0} {:>8.1}",
            format!("  in protobuf, {} KB", page.bytes.len() / 1000),
            format!("{:.1}%", share * 100.0),
            tally.samples,
            took.as_secs_f64() * 1e6,
            page.bytes.len() as f64 / 1e6 / took.as_secs_f64(),
            took.as_secs_f64() * 1e9 / page.lines as f64,
        );
    }
}

/// Encodes what [`histograms`] wrote with one series a family.
fn binary(page: &Page, families: usize) -> Binary {
    let mut bytes = Vec::new();
    for family in 0..families {
        let mut metric = Vec::new();
        for (name, value) in [
            ("method", "GET".to_owned()),
            ("route", "/api/v1/things/0/detail".to_owned()),
            ("status", "200".to_owned()),
            ("instance", format!("10.0.{family}.7:9090")),
        ] {
            let pair = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
            metric.extend(field(1, &pair));
        }
        let mut histogram = [number(1, 12 * (family as u64 * 31 + 1)), float(2, 17.0)].concat();
        for (at, bound) in
            [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0].into_iter().enumerate()
        {
            let count = (family as u64 * 31 + 1) * (at as u64 + 1);
            histogram.extend(field(3, &[number(1, count), float(2, bound)].concat()));
        }
        metric.extend(field(7, &histogram));
        let name = format!("app_svc{family:04}_request_duration_seconds");
        let head = [field(1, name.as_bytes()), field(2, b"How long requests took.")].concat();
        let message = [head, number(3, 4), field(4, &metric)].concat();
        varint(&mut bytes, message.len() as u64);
        bytes.extend(message);
    }
    Binary { bytes, lines: page.text.lines().count() }
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn number(field: u64, number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, field << 3);
    varint(&mut bytes, number);
    bytes
}

fn float(field: u8, number: f64) -> Vec<u8> {
    [[field << 3 | 1].as_slice(), &number.to_le_bytes()].concat()
}

fn field(field: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    varint(&mut bytes, payload.len() as u64);
    bytes.extend(payload);
    bytes
}

fn ours(page: &Page, names: Option<&NameSet>, selected: &str, contestant: Duration) {
    let (tally, took) = median(page.text.len(), || read(page, names));
    row(&page.title, selected, tally.samples, page, took, contestant);
}

fn read(page: &Page, names: Option<&NameSet>) -> Tally {
    let limits = Limits { samples: u64::MAX, ..Limits::default() };
    let mut reader = Reader::new(Format::Text, limits, names);
    let mut sum = Sum::default();
    for chunk in page.text.as_bytes().chunks(CHUNK) {
        reader.feed(chunk, &mut sum).unwrap();
    }
    let tally = reader.finish(Whole::Yes, &mut sum).unwrap();
    black_box((sum.value, sum.labels));
    tally
}

/// The contestant wants an iterator of owned lines.
fn prometheus_parse(page: &Page) -> (usize, Duration) {
    let lines = || page.text.lines().map(|line| Ok(line.to_owned()));
    median(page.text.len() * 30, || prometheus_parse::Scrape::parse(lines()).unwrap().samples.len())
}

/// 4 and 4,000 names, none of them on the page: only the filter is paid for.
fn names_do_not_matter(page: &Page) {
    println!("\nthe filter alone, no name of the page wanted:");
    for count in [4, 40, 400, 4000] {
        let wanted = (0..count).map(|i| format!("app_svc{i:04}_request_duration_seconds_buckeT"));
        let names = NameSet::new(wanted);
        let (_, took) = median(page.text.len(), || read(page, Some(&names)));
        println!("{count:>5} names: {:>8.0} MB/s", megabytes(page, took));
    }
}

fn row(title: &str, selected: &str, samples: u64, page: &Page, took: Duration, other: Duration) {
    let lines = page.text.lines().count() as f64;
    println!(
        "{title:<26} {selected:>9} {samples:>9} {:>10.1} {:>10.0} {:>8.1} {:>7.1}x",
        took.as_secs_f64() * 1e6,
        megabytes(page, took),
        took.as_secs_f64() * 1e9 / lines,
        other.as_secs_f64() / took.as_secs_f64(),
    );
}

fn megabytes(page: &Page, took: Duration) -> f64 {
    page.text.len() as f64 / 1e6 / took.as_secs_f64()
}

/// The median of 5 to 201 runs, fewer the more work there is, after a fifth as many to warm up.
fn median<T>(work: usize, mut run: impl FnMut() -> T) -> (T, Duration) {
    let runs = (1_000_000_000 / work).clamp(5, 201);
    let mut result = run();
    for _ in 0..runs / 5 {
        result = run();
    }
    let mut took: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            result = black_box(run());
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    (result, took[runs / 2])
}

/// A share of the names, spread evenly, at least one.
fn spread(names: &[String], share: f64) -> Vec<&String> {
    let count = ((names.len() as f64 * share).round() as usize).max(1);
    (0..count).map(|i| &names[i * names.len() / count]).collect()
}

fn names_of(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Families of histograms, `series` label sets each, as a service with many routes exposes them.
fn histograms(families: usize, series: usize, title: &str) -> Page {
    let mut text = Vec::new();
    for family in 0..families {
        let name = format!("app_svc{family:04}_request_duration_seconds");
        writeln!(text, "# HELP {name} How long requests took.\n# TYPE {name} histogram").unwrap();
        for i in 0..series {
            let labels = format!(
                concat!(
                    r#"method="GET",route="/api/v1/things/{}/detail","#,
                    r#"status="200",instance="10.0.{}.7:9090""#
                ),
                i, family
            );
            for (count, le) in [
                "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
                "+Inf",
            ]
            .iter()
            .enumerate()
            {
                let value = (family * 31 + i * 7 + 1) * (count + 1);
                writeln!(text, r#"{name}_bucket{{{labels},le="{le}"}} {value}"#).unwrap();
            }
            writeln!(text, "{name}_sum{{{labels}}} {}.{i:03}", family * 17 + 1).unwrap();
            writeln!(text, "{name}_count{{{labels}}} {}", (family * 31 + i * 7 + 1) * 12).unwrap();
        }
    }
    let text = String::from_utf8(text).unwrap();
    Page { title: title.to_owned(), names: names_of(&text), text }
}

fn node_page() -> Page {
    let (text, title) = match scraped_node_page() {
        Some(text) => (text, "node exporter"),
        None => (lookalike(), "node look-alike"),
    };
    let title = format!("{title} {} KB", text.len() / 1000);
    Page { title, names: names_of(&text), text }
}

/// The page of a node exporter that is started for it on a free loopback port.
fn scraped_node_page() -> Option<String> {
    let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let address = format!("127.0.0.1:{port}");
    let mut child = ["prometheus-node-exporter", "node_exporter"].iter().find_map(|program| {
        Command::new(program)
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null())
            .spawn()
            .ok()
    })?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut page = None;
    while page.is_none() && Instant::now() < deadline {
        page = get(&address);
    }
    child.kill().ok();
    child.wait().ok();
    page
}

fn get(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    body.contains("node_").then(|| body.to_owned())
}

fn lookalike() -> String {
    let mut text = String::new();
    for family in 0..250 {
        let name = format!("node_subsystem{family:03}_bytes_total");
        text += &format!("# HELP {name} Some counter of the host.\n# TYPE {name} counter\n");
        for device in 0..2 {
            text += &format!("{name}{{device=\"sd{device}\"}} {}.5e+09\n", family + device);
        }
    }
    text
}
