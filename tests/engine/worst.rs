//! How long `check` takes for the worst files that it reads: each is as large as a file may be, and
//! made so that some part of the reader has as much to do as possible. That they end and how much
//! they say is asserted, and in a release build that no file takes more than a tenth of a second of
//! the processor; it takes minutes in a debug build. Run
//! `cargo test --release --test engine worst:: -- --ignored --nocapture`.

use std::fmt::Write;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use rollguard::config::{Color, SourceFile, check_rules, compile, is_main};

/// The largest file that is read.
const MAX_FILE: usize = 256 << 10;

/// As much of a text as a file may hold.
fn fill(start: &str, part: impl Fn(usize) -> String) -> String {
    let mut text = start.to_owned();
    for number in 0.. {
        let next = part(number);
        if text.len() + next.len() > MAX_FILE {
            break;
        }
        text.push_str(&next);
    }
    text
}

fn around(start: &str, middle: &str, end: &str) -> String {
    format!("{start}{middle}{end}")
}

fn near_names() -> String {
    let mut text = String::new();
    for n in 0..4_000 {
        writeln!(text, "[signal.requests_per_second_of_{n:05}]\ngauge = 'g'").expect("a string");
    }
    let rules = |n: usize| {
        format!("[rule.r{n}]\nwhen = \"requests_per_sekond_of_{:05} > 1\"\n", n % 99_999)
    };
    fill(&text, rules)
}

fn long_near_names() -> String {
    let long = "n".repeat(40);
    let mut text = String::new();
    for n in 0..2_500 {
        writeln!(text, "[signal.{long}_{n:05}]\ngauge = 'g'").expect("a string");
    }
    fill(&text, |n| format!("[rule.r{n}]\nthen = \"n\"\nwhen = \"m{long}_{n:05} > 1\"\n"))
}

fn chain(length: usize) -> String {
    let mut text = String::from("[signal.s0]\ngauge = 'm'\n");
    for n in (1..length).rev() {
        writeln!(text, "[signal.s{n}]\nexpr = \"s{} + 1\"", n - 1).expect("a string");
    }
    text.push_str("[rule.r]\nwhen = \"s1 > 1\"\n");
    text
}

/// Rules over the end of a chain: everything that is below a rule is looked at for each.
fn rules_over_a_chain() -> String {
    let mut text = chain(4_000);
    for n in 0..4_000 {
        writeln!(text, "[rule.r{n}]\nwhen = \"s3999 > 1\"").expect("a string");
    }
    text
}

/// Each signal is computed from the one before it, twice: a tree of them has 2^4000 leaves.
fn doubling() -> String {
    let mut text = String::from("[signal.s0]\ngauge = 'm'\n");
    for n in 1..4_000 {
        let before = n - 1;
        writeln!(text, "[signal.s{n}]\nexpr = \"s{before} + s{before}\"").expect("a string");
    }
    text.push_str("[rule.r]\nwhen = \"s3999 > 1\"\n");
    text
}

/// Every comparison is with a baseline, beside something absolute about another signal.
fn rules_over_baselines() -> String {
    let text = "[signal.a]\ngauge = 'a'\n[signal.a.baseline]\n[signal.b]\ngauge = 'b'\n";
    let bare = "&&a>a.baseline".repeat(30);
    fill(text, |n| format!("[rule.r{n}]\nwhen = \"b>1{bare}\"\n"))
}

/// A chain of which every signal's earlier reading is named.
fn looking_back() -> String {
    let mut text = String::from("[signal.s0]\nrate = 'm'\nwindow = \"1m\"\n");
    for n in 1..2_000 {
        writeln!(text, "[signal.s{n}]\nexpr = \"s{0} + s{0}.before\"", n - 1).expect("a string");
    }
    for n in 0..2_000 {
        writeln!(text, "[rule.r{n}]\nwhen = \"s{n}.before > 1\"").expect("a string");
    }
    text
}

fn circles() -> String {
    let mut text = String::new();
    for n in 0..4_000 {
        let next = (n + 1) % 4_000;
        let far = (n + 7) % 4_000;
        writeln!(text, "[signal.s{n}]\nexpr = \"s{next} + s{far}\"").expect("a string");
    }
    text
}

/// Names and texts, each with a file of the worst of its kind.
fn worst() -> Vec<(&'static str, String)> {
    let many = MAX_FILE / 2 - 100;
    let rule = "[rule.r]\nwhen = \"";
    let simple = "[signal.a]\ngauge = 'g'\n";
    vec![
        ("10,000 rules", fill(simple, |n| format!("[rule.r{n}]\nwhen = \"a > 1\"\n"))),
        ("10,000 signals", fill("", |n| format!("[signal.s{n}]\ngauge = 'g'\n"))),
        ("nested arrays", around("x = ", &"[".repeat(many), &"]".repeat(many))),
        ("arrays that are never closed", "x = ".to_owned() + &"[".repeat(many * 2)),
        ("nested tables", around("x = ", &"{a=".repeat(many / 2), &"}".repeat(many / 2))),
        ("a key of many parts", fill("a", |_| ".a".to_owned()) + "=1"),
        ("heads of many parts", fill("", |n| format!("[a.b.c.d.e.f.g.h{n}]\n"))),
        ("a long condition", fill(rule, |_| "a+".to_owned()) + "\""),
        ("a condition of parentheses", fill(rule, |_| "(".to_owned()) + "\""),
        ("a condition of spaces", fill(rule, |_| " ".to_owned()) + "\""),
        ("a condition of escapes", fill(rule, |_| "\\u0061".to_owned()) + "\""),
        (
            "long conditions",
            fill(simple, |n| format!("[rule.r{n}]\nwhen = \"a{} > 1\"\n", "+a".repeat(250))),
        ),
        (
            "wrong conditions",
            fill(simple, |n| format!("[rule.r{n}]\nwhen = \"a{} > b\"\n", "+a".repeat(250))),
        ),
        (
            "a long selector",
            fill("[signal.a]\nrate = 'm{", |_| "a=\"b\",".to_owned()) + "}'\nwindow = \"1m\"\n",
        ),
        (
            "a long regular expression",
            fill("[signal.a]\nrate = 'm{a=~\"", |_| "a|".to_owned()) + "\"}'\nwindow = \"1m\"\n",
        ),
        (
            "a large regular expression",
            fill("", |n| {
                format!(
                    "[signal.s{n}]\nrate = 'm{{a=~\"((a{{90}}){{90}}|b){{9}}\"}}'\nwindow=\"1m\"\n"
                )
            }),
        ),
        (
            "many regular expressions",
            fill("[signal.a]\nrate = 'm{", |_| "a=~\"((a{60}){60})\",".to_owned())
                + "}'\nwindow = \"1m\"\n",
        ),
        (
            "classes of characters",
            fill("", |n| {
                format!("[signal.s{n}]\nrate = 'm{{a=~\"[\\\\w\\\\W]{{30}}\"}}'\nwindow = \"1m\"\n")
            }),
        ),
        ("unknown keys", fill("[rule.r]\n", |n| format!("whem{n} = 1\n"))),
        ("unknown keys of the file", fill("", |n| format!("signol{n} = 1\n"))),
        ("a long unknown key", around("[rule.r]\n", &"w".repeat(MAX_FILE - 100), " = 1\n")),
        (
            "a long unknown signal",
            around("[signal.a]\ngauge = 'g'\n[rule.r]\nwhen = \"", &"w".repeat(4_000), " > 1\"\n"),
        ),
        (
            "a long wrong word",
            around(
                "[rule.r]\nwhen = \"a > 1\"\nseverity = \"",
                &"w".repeat(MAX_FILE - 100),
                "\"\n",
            ),
        ),
        ("names that are nearly right", near_names()),
        ("long names that are nearly right", long_near_names()),
        ("rules over baselines", rules_over_baselines()),
        ("looking back over a chain", looking_back()),
        (
            "many conditions of many words",
            fill(simple, |n| format!("[rule.r{n}]\nwhen = \"a{} > 1\"\n", "+a".repeat(100))),
        ),
        (
            "many comparisons",
            fill(simple, |n| format!("[rule.r{n}]\nwhen = \"a>1{}\"\n", "&&a>1".repeat(100))),
        ),
        (
            "expressions with short names",
            fill("[signal.b]\ngauge = 'g'\n", |n| {
                format!("[signal.s{n}]\nexpr = \"b{}\"\n", "*b".repeat(110))
            }),
        ),
        ("one name many times", fill("", |_| "[signal.a]\ngauge = 'g'\n".to_owned())),
        ("one key many times", fill("[rule.r]\n", |_| "when = \"a > 1\"\n".to_owned())),
        ("lines that are not TOML", fill("", |_| "= =\n".to_owned())),
        ("quotes that are not closed", fill("", |_| "a = \"\n".to_owned())),
        ("heads that are not TOML", fill("", |_| "[rule.\nx = 1\n".to_owned())),
        ("one line of many errors", fill("", |_| "=".to_owned())),
        ("a chain of signals", chain(4_000)),
        ("a chain of too many signals", chain(7_000)),
        ("rules over a chain", rules_over_a_chain()),
        ("a chain that doubles", doubling()),
        ("circles of signals", circles()),
        ("a list of numbers", fill("[signal.a]\nlabels = [", |_| "1,".to_owned()) + "]"),
        (
            "many labels",
            fill("[signal.a]\ngauge = 'g'\nlabels = {", |n| format!("a{n} = 1, ")) + "}",
        ),
        ("comments", fill("", |_| "#\n".to_owned())),
        ("one long comment", fill("#", |_| "é".to_owned())),
        ("line breaks", fill("", |_| "\r\n".to_owned())),
        ("zero bytes", fill("", |_| "\0".to_owned())),
    ]
}

const MAIN: &str = "[deployment]\nservice = \"api\"\nthen = \"h\"\n\
                    [target.api]\nscrape = \"http://h/\"\n\
                    [hook.h]\nsteps = [{ run = [\"x\"] }]\n";

/// What this thread has had of the processor: other work on the machine does not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.expect("counts from zero"), nanos.expect("less than a second"))
}

/// How long the longer of the two ways to check a file takes, shown as `check` does, and how much
/// is shown.
fn answer(text: &str) -> (Duration, usize) {
    let file = SourceFile { path: "a.toml".to_owned(), text: text.to_owned() };
    let main = SourceFile { path: "main.toml".to_owned(), text: MAIN.to_owned() };
    let began = processor_time();
    let is_main = is_main(&file);
    let alone = check_rules(std::slice::from_ref(&file)).map_or_else(|e| e, |c| c.lints);
    let alone = alone.render(Color::Plain).len();
    let between = processor_time();
    let whole = compile(&main, &[file]).map_or_else(|e| e, |c| c.lints);
    let whole = whole.render(Color::Plain).len();
    let ended = processor_time();
    assert!(!is_main);
    ((between - began).max(ended - between), alone.max(whole))
}

/// What is shown is bounded: a hundred diagnostics, each of which quotes one line.
const MAX_SHOWN: usize = 4 << 20;

/// What a check may take of the processor, whatever the file says: nobody notices a tenth of a
/// second, and a guard that reads its rules anew must not miss a scrape.
const MAX_TIME: Duration = Duration::from_millis(100);

#[test]
#[ignore = "times mean something in a release build only"]
fn how_long_the_worst_files_take() {
    let only = std::env::var("WORST").unwrap_or_default();
    let mut times = Vec::new();
    for (name, text) in worst().into_iter().filter(|(name, _)| name.contains(&only)) {
        assert!(text.len() <= MAX_FILE + 100, "{name}");
        let (time, shown) = answer(&text);
        assert!(shown <= MAX_SHOWN, "{name}: {shown}");
        times.push((time, name, text.len(), shown));
    }
    times.sort();
    for (time, name, size, shown) in times.iter().rev() {
        println!("{:>8.1} ms  {size:>8} B  {shown:>8} B shown  {name}", time.as_secs_f64() * 1e3);
    }
    if !cfg!(debug_assertions) {
        let slow: Vec<_> = times.iter().filter(|(time, ..)| *time > MAX_TIME).collect();
        assert!(slow.is_empty(), "{} files take too long", slow.len());
    }
}
