//! What `rollguard check` says: every fixture has a golden file with the diagnostics that it must
//! produce, word for word. `ROLLGUARD_BLESS=1 cargo test --test cli check::` writes them anew; read
//! the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use rollguard::cli::check::{Lints, check};
use rollguard::config::{
    Color, DiagnosticLevel, SourceFile, check_rules, compile, is_main, patterns,
};
use rollguard::ruletest::{basics, rehearsal, rules_alone};

const SEPARATOR: &str = "#--- ";

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().unwrap() == "toml").collect();
    paths.sort();
    paths
}

/// A fixture holds several files, each but the first below a line with its path.
fn split(name: &str, text: &str) -> Vec<SourceFile> {
    let mut parts = text.split(SEPARATOR);
    let first = SourceFile { path: name.to_owned(), text: parts.next().unwrap().to_owned() };
    let rest = parts.map(|part| {
        let (path, text) = part.split_once('\n').unwrap();
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    });
    std::iter::once(first).chain(rest).collect()
}

fn diagnose(name: &str, text: &str) -> String {
    let files = split(name, text);
    let found = if is_main(&files[0]) || files.len() > 1 {
        compile(&files[0], &files[1..]).map_or_else(|wrong| wrong, |compiled| compiled.lints)
    } else {
        check_rules(&files).map_or_else(|wrong| wrong, |checked| checked.lints)
    };
    found.render(Color::Plain)
}

#[test]
fn every_bad_file_is_answered_as_its_golden_file_says() {
    let bless = std::env::var_os("ROLLGUARD_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for path in fixtures() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let answer = diagnose(name, &fs::read_to_string(&path).unwrap());
        let golden = path.with_extension("stderr");
        if bless {
            fs::write(&golden, &answer).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != answer {
            wrong.push(format!("{name}:\n{answer}"));
        }
        assert!(!answer.is_empty(), "{name} is in order, a fixture must not be");
        seen.extend(answer.lines().filter(|l| l.starts_with("error: ")).map(str::to_owned));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 100, "only {} different errors are covered", seen.len());
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(name)
}

#[test]
fn every_shipped_file_is_in_order_and_free_of_lints() {
    let mut files: Vec<_> = fs::read_dir(shipped("")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".toml") && !name.ends_with(".test.toml")
    });
    assert!(files.len() >= 3);
    for file in files {
        let report = check(std::slice::from_ref(&file), Lints::Deny, Color::Plain);
        assert_eq!((report.err.as_str(), report.failed), ("", false), "{}", file.display());
    }
}

#[test]
fn every_profile_goes_with_every_other_shipped_file() {
    let packs = fs::read_dir(shipped("")).unwrap().map(|entry| entry.unwrap().path());
    let packs: Vec<_> = packs
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_main = name == "rollguard.example.toml";
            name.ends_with(".toml") && !name.ends_with(".test.toml") && !is_main
        })
        .collect();
    for profile in ["four-steps", "three-steps", "blue-green", "after-the-rollout"] {
        let profile = shipped(&format!("profiles/{profile}.toml"));
        let files = packs.iter().chain([&profile]).map(|path| SourceFile {
            path: path.display().to_string(),
            text: fs::read_to_string(path).unwrap(),
        });
        let files: Vec<_> = files.collect();
        let checked = check_rules(&files).unwrap_or_else(|wrong| {
            panic!("{}", wrong.render(Color::Plain));
        });
        assert_eq!(checked.lints.render(Color::Plain), "", "{}", profile.display());
    }
}

#[test]
fn a_main_file_is_checked_with_its_rules_and_counted() {
    let report = check(&[shipped("rollguard.example.toml")], Lints::Deny, Color::Plain);
    let read = ["rollguard.example.toml", "http.toml", "latency.toml"].map(shipped);
    let read: String = read.iter().map(|path| format!("read: {}\n", path.display())).collect();
    assert_eq!(report.out, format!("{read}ok: 1 target, 6 signals, 12 rules, 2 hooks\n"));
    // A rules file that the main file leads to is not checked a second time.
    let both = [shipped("rollguard.example.toml"), shipped("http.toml")];
    assert_eq!(check(&both, Lints::Deny, Color::Plain), report);
    let alone = check(&[shipped("http.toml")], Lints::Deny, Color::Plain);
    assert_eq!(alone.out, "ok: 2 signals, 5 rules\n");
}

#[test]
fn lints_pass_unless_they_are_denied() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("r.toml");
    let text =
        "[signal.q]\nquantile = 0.5\nof = 'a'\nwindow = \"1m\"\n[rule.r]\nwhen = \"q > 1\"\n";
    fs::write(&file, text).unwrap();
    let shown = check(std::slice::from_ref(&file), Lints::Show, Color::Plain);
    assert_eq!((shown.out.as_str(), shown.failed), ("ok: 1 signal, 1 rule (1 lint)\n", false));
    let denied = check(&[file], Lints::Deny, Color::Plain);
    assert!(denied.failed && denied.out.is_empty());
    assert!(denied.err.starts_with(&shown.err) && denied.err.ends_with("failed: 1 lint, denied\n"));
}

#[test]
fn color_is_only_in_what_was_asked_for_in_color() {
    let file = SourceFile { path: "a.toml".into(), text: "x = 1".into() };
    let wrong = check_rules(&[file]).unwrap_err();
    assert!(!wrong.render(Color::Plain).contains('\u{1b}'));
    assert!(wrong.render(Color::Ansi).contains('\u{1b}'));
}

#[test]
fn every_error_is_reported_before_every_lint() {
    let text = fs::read_to_string(fixtures().remove(0)).unwrap();
    let text = format!("{text}\n[rule.thin]\nwhen = \"error_rate > 1%\"\n");
    let wrong = check_rules(&[SourceFile { path: "a".into(), text }]).unwrap_err();
    let levels: Vec<_> = wrong.iter().map(|d| d.level).collect();
    assert!(levels.contains(&DiagnosticLevel::Error) && levels.is_sorted());
}

/// Anything that an operator's editor can save, and worse.
fn any_text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "[signal.",
        "[rule.",
        "[target.",
        "[hook.",
        "[deployment]",
        "x]",
        "\n",
        "\r\n",
        "=",
        "\"",
        "'",
        "\"\"\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ".",
        "rate",
        "ratio",
        "when",
        "for",
        "window",
        "steps",
        "run",
        "quantile",
        "of",
        "to",
        "gauge",
        "over",
        "\"30s\"",
        "'a{b=~\"c\"}'",
        "\"x > 5%\"",
        "0.95",
        "\\",
        "\u{feff}",
        "é",
        "\t",
        "#",
        "expr",
        "mode",
        "rules",
        "service",
        "1979-05-27",
        "true",
        "nan",
    ]);
    prop_oneof![
        prop::collection::vec(words, 0..60).prop_map(|words| words.concat()),
        "\\PC{0,200}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_every_answer_can_be_shown(text in any_text()) {
        let file = SourceFile { path: "any.toml".into(), text };
        if let Err(wrong) = check_rules(std::slice::from_ref(&file)) {
            prop_assert!(wrong.count(DiagnosticLevel::Error) > 0);
            prop_assert!(wrong.render(Color::Ansi).len() >= wrong.render(Color::Plain).len());
        }
        let _ = patterns(&file);
        let wrong = compile(&file, std::slice::from_ref(&file)).unwrap_err();
        prop_assert!(!wrong.render(Color::Plain).is_empty());
    }

    #[test]
    fn no_change_of_one_character_makes_it_panic(
        at in any::<prop::sample::Index>(),
        c in any::<char>(),
    ) {
        let text = include_str!("../../rules/rollguard.example.toml");
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        chars[at] = c;
        let file = SourceFile { path: "any.toml".into(), text: chars.into_iter().collect() };
        let rules = SourceFile {
            path: "http.toml".into(),
            text: include_str!("../../rules/http.toml").into(),
        };
        match compile(&file, &[rules]) {
            Ok(compiled) => prop_assert!(compiled.lints.render(Color::Plain).len() < 10_000),
            Err(wrong) => prop_assert!(!wrong.render(Color::Plain).is_empty()),
        }
    }
}

/// Every line of every fixture.
fn lines() -> Vec<String> {
    let texts = fixtures().into_iter().map(|path| fs::read_to_string(path).unwrap());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let mut lines: Vec<_> = lines.filter(|line| !line.starts_with(SEPARATOR)).collect();
    lines.sort();
    lines.dedup();
    lines
}

proptest! {
    #[test]
    fn no_mixture_of_lines_makes_it_panic(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(lines()), 0..3_u8), 1..8
        )
    ) {
        let file = fixtures().pop().unwrap().with_file_name("lint-unused-signal.toml");
        let full = fs::read_to_string(file);
        let full = full.unwrap() + "[signal.a]\nexpr = \"b + 1\"\n[signal.b]\nvalue = 1\n";
        let mut text: Vec<String> = full.lines().map(str::to_owned).collect();
        for (at, line, what) in changes {
            let at = at.index(text.len());
            match what {
                0 => text[at] = line,
                1 => text.insert(at, line),
                _ => drop(text.remove(at)),
            }
        }
        let file = SourceFile { path: "mixed.toml".into(), text: text.join("\n") };
        let found = compile(&file, &[]).map_or_else(|wrong| wrong, |compiled| compiled.lints);
        let shown = found.render(Color::Plain);
        prop_assert_eq!(shown.is_empty(), found.is_empty());
        let alone = check_rules(&[file]).map_or_else(|wrong| wrong, |checked| checked.lints);
        prop_assert!(!alone.render(Color::Plain).is_empty());
    }
}

/// What the reader of rule tests says of a text, which it must be able to show.
fn read_tests(text: String) -> usize {
    let rules = shipped("http.toml");
    let rules = SourceFile { path: "http.toml".into(), text: fs::read_to_string(rules).unwrap() };
    let basis = rules_alone(&[rules]).unwrap();
    let file = SourceFile { path: "any.test.toml".into(), text };
    let _ = basics(&file);
    rehearsal(&file, &basis).map_or_else(|wrong| wrong.render(Color::Ansi).len(), |_| 0)
}

/// Every line of every shipped file of tests, and some that stand in none of them.
fn lines_of_tests() -> Vec<String> {
    let files = fs::read_dir(shipped("")).unwrap().map(|entry| entry.unwrap().path());
    let tests = files.filter(|path| path.to_string_lossy().ends_with(".test.toml"));
    let texts = tests.map(|path| fs::read_to_string(path).unwrap());
    let mut lines: Vec<_> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let odd = [
        "interval = \"1ns\"",
        "interval = \"24h\"",
        "arm = \"never\"",
        "warmup = \"99999999999h\"",
        "stages = [{ at = \"5s\", stage = \"canary\" }, { at = \"1s\", stage = \"x\" }]",
        "series = [{ name = 'm', values = \"0+1x18446744073709551615\" }]",
        "series = [{ name = 'm{', values = \"_x99999999 stale fail\" }]",
        "expect = [{ between = [\"9s\", \"1s\"], rule = \"x\", state = \"firing\" }]",
        "expect = [{ never = [\"0s\", \"99999d\"], colour = \"red\" }]",
        "expect = []",
        "config = \"a.toml\"",
    ];
    lines.extend(odd.map(str::to_owned));
    lines.sort();
    lines.dedup();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_the_reader_of_tests_panic(text in any_text()) {
        prop_assert!(read_tests(text) < 4 << 20);
    }

    #[test]
    fn no_mixture_of_lines_makes_the_reader_of_tests_panic(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(lines_of_tests()), 0..3_u8), 1..8
        )
    ) {
        let full = fs::read_to_string(shipped("http.test.toml")).unwrap();
        let mut text: Vec<String> = full.lines().map(str::to_owned).collect();
        for (at, line, what) in changes {
            let at = at.index(text.len());
            match what {
                0 => text[at] = line,
                1 => text.insert(at, line),
                _ => drop(text.remove(at)),
            }
        }
        prop_assert!(read_tests(text.join("\n")) < 4 << 20);
    }
}

#[test]
fn deep_nesting_is_refused_and_overflows_nothing() {
    const DEEP: usize = 100_000;
    let texts = [
        format!("[rule.r]\nwhen = \"{}a{} > 1\"\n", "(".repeat(DEEP), ")".repeat(DEEP)),
        format!("[rule.r]\nwhen = \"{}a > 1\"\n", "!".repeat(DEEP)),
        format!("[signal.a]\nexpr = \"{}a\"\n", "-".repeat(DEEP)),
        format!("x = {}{}\n", "[".repeat(DEEP), "]".repeat(DEEP)),
        format!("x = {}1{}\n", "{a=".repeat(DEEP), "}".repeat(DEEP)),
        format!("{} = 1\n", vec!["a"; DEEP].join(".")),
        format!("[signal.a]\nrate = 'm{{l=~\"{}\"}}'\nwindow = \"1m\"\n", "(".repeat(DEEP)),
        format!(
            "[signal.a]\nrate = 'm{{l=~\"{}{}\"}}'\nwindow = \"1m\"\n",
            "(".repeat(DEEP),
            ")".repeat(DEEP)
        ),
    ];
    for text in texts {
        let start: String = text.chars().take(40).collect();
        let file = SourceFile { path: "deep.toml".into(), text };
        let wrong = check_rules(&[file]).expect_err(&start);
        assert!(wrong.render(Color::Plain).len() < 100_000, "{start}");
    }
}

#[test]
fn a_long_chain_of_expressions_is_sorted_and_overflows_nothing() {
    let mut text = String::from("[signal.s0]\ngauge = 'm'\n");
    for n in (1..4_000).rev() {
        text.push_str(&format!("[signal.s{n}]\nexpr = \"s{} + 1\"\n", n - 1));
    }
    text.push_str("[rule.r]\nwhen = \"s3999 > 1\"\n");
    let file = SourceFile { path: "chain.toml".into(), text: text.clone() };
    assert_eq!(check_rules(&[file]).unwrap().signals, 4_000);
    let file = SourceFile { path: "chain.toml".into(), text: text + "[signal.t]\nvalue = 1\n" };
    let wrong = check_rules(&[file]).unwrap_err();
    assert!(wrong.iter().any(|d| d.message == "more than 4000 tables [signal.NAME]"));
}

/// The blocks of a document with a mark.
fn marked<'d>(document: &'d str, mark: &str) -> Vec<&'d str> {
    let begin = format!("```{mark}\n");
    let blocks = document.split(begin.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_examples_of_the_live_version_are_in_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/live-version.md");
    let document = fs::read_to_string(path).unwrap();
    let (main, others) = (marked(&document, "toml main"), marked(&document, "toml live"));
    assert_eq!((main.len(), others.len()), (1, 5));
    let line = main[0].lines().find(|line| line.starts_with("live ")).unwrap();
    let all = others.into_iter().map(|live| main[0].replace(line, live));
    for text in all.chain([main[0].to_owned()]) {
        let file = SourceFile { path: "main.toml".into(), text };
        let lints = compile(&file, &[])
            .unwrap_or_else(|wrong| panic!("{}", wrong.render(Color::Plain)))
            .lints;
        assert_eq!(lints.iter().count(), 0, "{}", lints.render(Color::Plain));
    }
}
