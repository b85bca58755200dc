//! The reader against other readers: Python's prometheus_client on thousands of generated and
//! mutated pages, and prometheus-parse on the inputs where it is right.
//!
//! Every disagreement with Python is either a failure or one of the classes written down in
//! [`on_purpose`]: that list is the documentation of where the reader differs, and why.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use rollguard::exposition::{
    Format, Labels, Limits, Malformed, PageError, Reader, Reason, Sample, Sink, StrictReader,
    Tally, Whole,
};

/// Pages of each kind; one Python process reads them all in some seconds.
const PAGES: u64 = 6000;

#[derive(Debug, Clone, PartialEq)]
struct Row {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
    timestamp: Option<f64>,
    exemplar: Option<(BTreeMap<String, String>, f64, Option<f64>)>,
}

#[derive(Debug, Default)]
struct Found {
    rows: Vec<Row>,
    malformed: Vec<(u64, Reason)>,
}

impl Sink for Found {
    fn sample(&mut self, sample: Sample<'_>) {
        let own = |labels: Labels<'_>| {
            labels.iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
        };
        let seconds = |timestamp: rollguard::exposition::Timestamp| timestamp.as_seconds();
        self.rows.push(Row {
            name: sample.name.into_owned(),
            labels: own(sample.labels),
            value: sample.value,
            timestamp: sample.timestamp.map(seconds),
            exemplar: sample.exemplar.map(|exemplar| {
                (own(exemplar.labels), exemplar.value, exemplar.timestamp.map(seconds))
            }),
        });
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        self.malformed.push((malformed.line, malformed.reason));
    }
}

fn lenient(format: Format, page: &str) -> (Found, Result<Tally, PageError>) {
    let mut found = Found::default();
    let mut reader = Reader::new(format, Limits::default(), None);
    let tally = reader
        .feed(page.as_bytes(), &mut found)
        .and_then(|()| reader.finish(Whole::Yes, &mut found));
    (found, tally)
}

fn strict(page: &str) -> (Found, Result<Tally, PageError>) {
    let mut found = Found::default();
    let mut reader = StrictReader::new(Limits::default());
    let tally = reader.feed(page.as_bytes(), &mut found).and_then(|()| reader.finish(&mut found));
    (found, tally)
}

/// SplitMix64: a page is a function of its seed, which a failure prints.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "3.25",
    "1e9",
    "1E-3",
    "+Inf",
    "-Inf",
    "Inf",
    "NaN",
    "nan",
    "+5",
    ".5",
    "5.",
    "123456789012345678901",
    "9007199254740993",
    "0.1",
    "1.7976931348623157e308",
    "5e-324",
    "-0",
];
const TEXTS: &[&str] = &[
    "",
    "a",
    "GET",
    "/u/{id}",
    "/x} 1e9 ",
    "/q?a=1,code=500,b",
    "x\\\"y",
    "C:\\\\dir",
    "l1\\nl2",
    "é",
    "漢字",
    " # {t=\\\"1\\\"} 5",
    "\\\\",
    "\\t",
    "a b  c",
    "500",
    ",",
    "=",
    "{",
    "}",
    "#",
];

fn text_line(random: &mut Random, name: &str) -> String {
    let gap = |random: &mut Random| if random.one_in(12) { " " } else { "" };
    let mut labels: Vec<String> = Vec::new();
    for label in ["code", "path", "le", "\"l.x\"", "_x"] {
        if random.one_in(2) {
            let (before, after) = (gap(random), gap(random));
            labels.push(format!("{label}{before}={after}\"{}\"", random.pick(TEXTS)));
        }
    }
    let quoted = random.one_in(8);
    if quoted {
        labels.insert(random.below(labels.len() + 1), format!("\"{name}.x\""));
    }
    let mut line = if quoted { String::new() } else { name.to_owned() };
    if !labels.is_empty() || random.one_in(4) {
        let comma = if labels.is_empty() || !random.one_in(8) { "" } else { "," };
        let (a, b) = (gap(random), gap(random));
        line += &format!(
            "{a}{{{b}{}{comma}{}}}",
            labels.join([",", ", "][random.below(2)]),
            gap(random)
        );
    }
    line += &format!("{} {}", gap(random), random.pick(VALUES));
    if random.one_in(4) {
        line += &format!("{} {}", gap(random), random.pick(&["1700000000123", "-1500", "0", "7"]));
    }
    line + random.pick(&["", "", "", " ", "\r", "\t"])
}

fn text_page(random: &mut Random) -> String {
    let mut lines = Vec::new();
    for family in 0..1 + random.below(4) {
        let name = random.pick(&["m", "http_requests_total", "job:err:rate5m", "_n"]);
        if random.one_in(2) {
            lines.push(format!("# HELP {name}{family} Some \\\\ text\\n {{a=\"b\"}}"));
        }
        if random.one_in(2) {
            let kind = random.pick(&["gauge", "histogram", "summary", "untyped"]);
            lines.push(format!("# TYPE {name}{family} {kind}"));
        }
        for _ in 0..random.below(4) {
            lines.push(text_line(random, &format!("{name}{family}")));
        }
        if random.one_in(6) {
            lines.push(random.pick(&["", "# a comment", " ", "#"]).to_owned());
        }
    }
    mutate_some_line(random, &mut lines, |line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.join("\n") + random.pick(&["\n", ""])
}

/// Changes up to three characters of one line, so that a disagreement has one cause.
fn mutate_some_line(random: &mut Random, lines: &mut [String], may: impl Fn(&str) -> bool) {
    let candidates: Vec<usize> = (0..lines.len()).filter(|&i| may(&lines[i])).collect();
    if candidates.is_empty() || random.one_in(3) {
        return;
    }
    let line = &mut lines[candidates[random.below(candidates.len())]];
    for _ in 0..1 + random.below(3) {
        let mut chars: Vec<char> = line.chars().collect();
        let structure: Vec<char> = "{}\",=\\ #:_15ane.+-\t".chars().collect();
        let at = random.below(chars.len() + 1);
        let new = structure[random.below(structure.len())];
        match random.below(4) {
            0 if at < chars.len() => chars[at] = new,
            1 if at < chars.len() => drop(chars.remove(at)),
            2 if at + 1 < chars.len() => chars.swap(at, at + 1),
            _ => chars.insert(at, new),
        }
        *line = chars.into_iter().collect();
    }
}

fn open_page(random: &mut Random) -> String {
    let mut lines = Vec::new();
    for family in 0..1 + random.below(3) {
        family_lines(random, family, &mut lines);
    }
    match random.below(12) {
        0 => drop(lines.remove(random.below(lines.len()))),
        1 => lines.insert(random.below(lines.len()), String::new()),
        2 => {
            let line = lines[random.below(lines.len())].clone();
            lines.insert(random.below(lines.len()), line);
        }
        3 => {
            let (a, b) = (random.below(lines.len()), random.below(lines.len()));
            lines.swap(a, b);
        }
        _ => {}
    }
    if !random.one_in(20) {
        lines.push("# EOF".to_owned());
    }
    if random.one_in(20) {
        lines.push(random.pick(&["m 1", "", "# EOF", "# HELP m x"]).to_owned());
    }
    if random.one_in(2) {
        mutate_some_line(random, &mut lines, |line| !line.is_empty());
    }
    lines.join("\n") + random.pick(&["\n", "\n", ""])
}

fn family_lines(random: &mut Random, family: usize, lines: &mut Vec<String>) {
    let kind = random.pick(&[
        "counter",
        "gauge",
        "histogram",
        "summary",
        "info",
        "stateset",
        "unknown",
        "",
    ]);
    let name = format!("{}{family}", random.pick(&["m", "job:x", "req_seconds"]));
    if random.one_in(2) {
        lines.push(format!("# HELP {name} Some \\\\ text\\n {{a=\"b\"}}"));
    }
    if !kind.is_empty() {
        lines.push(format!("# TYPE {name} {kind}"));
    }
    if random.one_in(8) {
        lines.push(format!("# UNIT {name} {}", random.pick(&["seconds", "", "seconds0", "bytes"])));
    }
    for group in 0..1 + random.below(2) {
        let labels = format!("g=\"{group}{}\"", random.pick(TEXTS));
        let time = random.pick(&["", "", " 1.5", " 1700000000.123456789", " 0", " -1", " 1e3"]);
        let exemplar =
            random.pick(&["", "", " # {t=\"x\"} 1", " # {} 1 2.5", " # {a=\"\",b=\"c d\"} .5 1e3"]);
        let mut put = |suffix: &str, label: &str, value: &str, exemplar: &str| {
            let comma = if label.is_empty() { "" } else { "," };
            lines.push(format!("{name}{suffix}{{{labels}{comma}{label}}} {value}{time}{exemplar}"));
        };
        match kind {
            "counter" => {
                put("_total", "", random.pick(&["0", "1", "2.5", "+Inf", "-1"]), exemplar);
                put("_created", "", "1.5", "");
            }
            "histogram" => {
                put("_bucket", "le=\"0.5\"", "1", exemplar);
                put("_bucket", random.pick(&["le=\"1\"", "le=\"1e1\"", "le=\"-1\""]), "2", "");
                put("_bucket", "le=\"+Inf\"", random.pick(&["3", "3.5", "1"]), exemplar);
                put("_count", "", "3", "");
                put("_sum", "", "4.5", "");
            }
            "summary" => {
                put("", "quantile=\"0.5\"", random.pick(&["1", "NaN", "-1"]), "");
                put("", random.pick(&["quantile=\"1\"", "quantile=\"1.5\"", ""]), "2", "");
                put("_sum", "", "1", "");
                put("_count", "", "2", "");
            }
            "info" => put("_info", "v=\"1\"", random.pick(&["1", "1", "1.0", "2"]), ""),
            "stateset" => {
                put("", &format!("\"{name}\"=\"on\""), random.pick(&["1", "0", "2"]), "");
                put("", &format!("\"{name}\"=\"off\""), "0", "");
            }
            _ => put("", "", random.pick(VALUES), ""),
        }
    }
}

/// `None` if Python's client is not there, which is said; a failure if it is required.
fn python_is_there() -> Option<()> {
    let check = Command::new("python3").args(["-c", "import prometheus_client"]).output();
    let reason = match check {
        Ok(output) if output.status.success() => return Some(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => format!("python3: {error}"),
    };
    let required = std::env::var_os("ROLLGUARD_REQUIRE_REAL").is_some_and(|value| value == "1");
    assert!(!required, "python's prometheus_client is required: {reason}");
    eprintln!("skipped: python's prometheus_client is not there: {reason}");
    None
}

/// What Python says about the pages.
fn ask_python(pages: &[(char, String)]) -> Vec<serde_json::Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/exposition.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut bytes = Vec::new();
    for (kind, page) in pages {
        bytes.push(*kind as u8);
        bytes.extend(u32::try_from(page.len()).unwrap().to_be_bytes());
        bytes.extend(page.as_bytes());
    }
    let writer = thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), pages.len(), "python read all pages");
    answers
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

fn labels(value: &serde_json::Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn python_rows(answer: &serde_json::Value) -> Vec<Row> {
    let rows = answer["samples"].as_array().unwrap().iter();
    rows.map(|row| Row {
        name: row[0].as_str().unwrap().to_owned(),
        labels: labels(&row[1]),
        value: number(&row[2]),
        timestamp: row[3].is_string().then(|| number(&row[3])),
        exemplar: row[4].is_array().then(|| {
            (
                labels(&row[4][0]),
                number(&row[4][1]),
                row[4][2].is_string().then(|| number(&row[4][2])),
            )
        }),
    })
    .collect()
}

/// Equal, with NaN equal to itself and timestamps equal to a microsecond in this century.
fn same(ours: &Row, python: &Row) -> bool {
    let value = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    let time = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs().max(1.0) / 1e3,
        (a, b) => a == b,
    };
    let exemplar = match (&ours.exemplar, &python.exemplar) {
        (Some(a), Some(b)) => a.0 == b.0 && value(a.1, b.1) && time(a.2, b.2),
        (a, b) => a.is_none() && b.is_none(),
    };
    ours.name == python.name
        && ours.labels == python.labels
        && value(ours.value, python.value)
        && time(ours.timestamp, python.timestamp)
        && exemplar
}

/// What one of the two says about a page that the other accepts.
enum Objection<'a> {
    /// Ours, and the line it is about.
    Ours(Reason, &'a str),
    /// Python's message.
    Python(&'a str),
}

/// Why a disagreement is deliberate; `None` is a failure of the test.
fn on_purpose(format: Format, objection: &Objection<'_>) -> Option<&'static str> {
    match (format, objection) {
        (_, Objection::Ours(Reason::ValueOutOfRange, _)) => {
            Some("a finite number is not read as an infinity; Prometheus refuses it, too")
        }
        (_, Objection::Ours(Reason::MissingEquals | Reason::BadLabelName, line))
            if line.contains(':') =>
        {
            Some("label names hold no colon; Prometheus refuses it, too")
        }
        (Format::Text, Objection::Ours(Reason::BadLabelName, line))
            if line.contains("{,") || line.contains(", ,") =>
        {
            Some("no comma without a label before it; Prometheus refuses it, too")
        }
        (Format::Text, Objection::Ours(Reason::MissingQuote, line)) if line.contains('=') => {
            Some("python skips a label without a value")
        }
        (Format::Text, Objection::Ours(Reason::BadName, line)) if line.contains('{') => {
            Some("python does not look at a name in front of braces")
        }
        (Format::Text, Objection::Ours(Reason::BadValue, line)) if line.contains('{') => {
            Some("python takes a space into a name in front of braces")
        }
        (Format::Text, Objection::Ours(Reason::TrailingText | Reason::BadTimestamp, _)) => {
            Some("python reads the last word, a float, as timestamp and skips those before it")
        }
        (Format::Text, Objection::Python(message)) if message.contains("__") => {
            Some("reserved label names harm nobody; Prometheus reads them, too")
        }
        (Format::OpenMetrics, Objection::Ours(Reason::Strict("duplicate series"), _)) => {
            Some("python drops duplicates silently")
        }
        (
            Format::OpenMetrics,
            Objection::Ours(Reason::Strict("parts must be separated by exactly one space"), line),
        ) if !line.contains("} ") || line.contains("  ") => {
            Some("python skips the byte behind the braces, whatever it is, and a second space")
        }
        (Format::OpenMetrics, Objection::Ours(Reason::BadValue, line)) if !line.contains("} ") => {
            Some("python skips the byte behind the braces, whatever it is")
        }
        (Format::OpenMetrics, Objection::Ours(Reason::BadTimestamp, line))
            if line.ends_with('"') =>
        {
            Some("python skips quotes in a timestamp")
        }
        (Format::OpenMetrics, Objection::Python(message)) if message.starts_with("Attr") => {
            Some("python cannot compare 1e3 with 1.5 seconds")
        }
        (_, Objection::Ours(..) | Objection::Python(_)) => None,
    }
}

/// Compares the readers page by page; the seed of a page is its index.
fn compare(format: Format, generate: fn(&mut Random) -> String) {
    let kind = match format {
        Format::Text => 't',
        Format::OpenMetrics => 'o',
        Format::Protobuf => panic!("python reads no protobuf"),
    };
    let pages: Vec<_> = (0..PAGES).map(|seed| (kind, generate(&mut Random(seed)))).collect();
    let Some(()) = python_is_there() else { return };
    let answers = ask_python(&pages);
    let (mut accepted, mut refused) = (0, 0);
    let mut differences = BTreeMap::new();
    for (seed, ((_, page), answer)) in pages.iter().zip(&answers).enumerate() {
        match judge(format, page, answer) {
            Ok(true) => accepted += 1,
            Ok(false) => refused += 1,
            Err(Some(why)) => *differences.entry(why).or_insert(0) += 1,
            Err(None) => panic!("seed {seed} of {format:?}:\n{page}\npython: {answer}"),
        }
    }
    println!("{format:?}: both accept {accepted}, both refuse {refused}, {differences:#?}");
    assert!(accepted > PAGES / 8 && refused > PAGES / 8, "the pages are worth comparing");
}

/// Whether both accept, in agreement; or why they disagree.
fn judge(
    format: Format,
    page: &str,
    answer: &serde_json::Value,
) -> Result<bool, Option<&'static str>> {
    let (found, tally) = match format {
        Format::Text | Format::Protobuf => lenient(format, page),
        Format::OpenMetrics => strict(page),
    };
    let error = answer["error"].as_str();
    match (found.malformed.first(), error) {
        (None, None) if tally.is_ok() => {
            let rows = python_rows(answer);
            let (relaxed, _) = lenient(format, page);
            let agree = |rows: &[Row]| {
                rows.len() == found.rows.len()
                    && rows.iter().zip(&found.rows).all(|(a, b)| same(b, a))
            };
            if agree(&rows) && agree(&relaxed.rows) { Ok(true) } else { Err(None) }
        }
        (None, Some(error)) if tally.is_ok() => Err(on_purpose(format, &Objection::Python(error))),
        (_, Some(_)) => Ok(false),
        (Some(&(line, reason)), None) => {
            let line = page.split('\n').nth(line as usize - 1).unwrap();
            Err(on_purpose(format, &Objection::Ours(reason, line)))
        }
        (None, None) => Err(None),
    }
}

#[test]
fn text_pages_read_as_python_reads_them() {
    compare(Format::Text, text_page);
}

#[test]
fn openmetrics_pages_are_judged_as_python_judges_them() {
    compare(Format::OpenMetrics, open_page);
}

#[test]
fn pages_that_prometheus_client_writes_are_clean() {
    let Some(()) = python_is_there() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/written.py");
    let written = |arguments: &[&str]| {
        let output = Command::new("python3").arg(script).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (text, open) = (written(&["text"]), written(&[]));
    for (page, (found, tally)) in [
        (&text, lenient(Format::Text, &text)),
        (&open, lenient(Format::OpenMetrics, &open)),
        (&open, strict(&open)),
    ] {
        assert_eq!(found.malformed, [], "{page}");
        assert_eq!(tally.unwrap().samples, found.rows.len() as u64, "{page}");
        let forged = found.rows.iter().filter(|row| row.name == "http_requests_total");
        let values: Vec<f64> = forged.map(|row| row.value).collect();
        assert_eq!(values, [3.0, 1.0], "{page}");
    }
    assert!(open.contains("# {trace_id="), "the page has an exemplar: {open}");
}
