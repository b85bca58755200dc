//! What `rollguard import prometheus` makes of rule files: golden files for what is written and for
//! what is said, places that are exact however YAML writes an expression, and no input that panics.
//! `ROLLGUARD_BLESS=1 cargo test --test engine import::` writes the golden files anew; read the
//! difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use rollguard::config::{Color, SourceFile, check_rules};
use rollguard::import::{Imported, Options, TargetOf, prometheus};

fn options(targets: &[(Option<&str>, &str)]) -> Options {
    let of = |(job, target): &(Option<&str>, &str)| TargetOf {
        job: job.map(str::to_owned),
        target: (*target).to_owned(),
    };
    Options {
        drop_labels: vec!["job".to_owned(), "instance".to_owned()],
        targets: targets.iter().map(of).collect(),
    }
}

fn import(text: &str, options: &Options) -> Imported {
    prometheus(&[SourceFile { path: "rules.yml".into(), text: text.into() }], options).unwrap()
}

fn alert(expr: &str) -> String {
    let expr = expr.replace('\'', "''");
    format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: '{expr}'\n")
}

/// Checks what was written, unless nothing was.
#[track_caller]
fn check(imported: &Imported) {
    if imported.report.imported.is_empty() {
        return;
    }
    let file = SourceFile { path: "imported.toml".into(), text: imported.toml.clone() };
    if let Err(wrong) = check_rules(&[file]) {
        panic!("{}\n{}", wrong.render(Color::Plain), imported.toml);
    }
}

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().unwrap() == "yml").collect();
    paths.sort();
    paths
}

#[test]
fn every_file_becomes_what_its_golden_files_say_and_passes_check() {
    let bless = std::env::var_os("ROLLGUARD_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in fixtures() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let input = SourceFile { path: name.clone(), text };
        let imported = prometheus(&[input], &options(&[(Some("node"), "host")])).unwrap();
        check(&imported);
        let report = imported.report.render();
        for line in report.lines() {
            let place = line.split(' ').next().unwrap().len();
            assert!(line.chars().count() <= 80.max(place), "wider than 80 columns: {line}");
        }
        for (extension, found) in [("toml", &imported.toml), ("report", &report)] {
            let golden = path.with_extension(extension);
            if bless {
                fs::write(&golden, found).unwrap();
            }
            if fs::read_to_string(&golden).unwrap_or_default() != *found {
                wrong.push(format!("{name}: {extension}\n{found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same expression, written in every way that YAML has, with a mark where the flaw is.
#[test]
fn a_place_is_exact_however_yaml_writes_the_expression() {
    for written in [
        "sum(a) + @irate(b[5m]) > 1",
        "'sum(a{x=''y''}) + @irate(b[5m]) > 1'",
        r#""sum(a{x=\"\u00e9\x41\"}) +\n @irate(b[5m]) > 1""#,
        "|\n      sum(a) # é\n        + @irate(b[5m])\n      > 1",
        ">-\n      sum(a)\n      + @irate(b[5m])\n      > 1",
        "|2-\n      sum(a)\n      + @irate(b[5m]) > 1",
        "sum(a)\n      + @irate(b[5m]) > 1",
        "!!str |\n      sum(a)\n        + @irate(b[5m])\n      > 1",
        "&x >2 # é\n\n      sum(a)\n        + @irate(b[5m])\n      > 1",
        "|\n\n      sum(a)\n\n      + @irate(b[5m])\n      > 1",
        "!!str &x   sum(a) + @irate(b[5m]) > 1",
        "\"sum(a) \\\n      + @irate(b[5m]) > 1\"",
        "@irate(b[5m]) > 1",
    ] {
        let head = "# é\ngroups:\n- name: g\n  rules:\n  - alert: A\n    expr: ";
        let marked = format!("{head}{written}\n");
        let at = marked.find('@').unwrap();
        let line = marked[..at].matches('\n').count() + 1;
        let column = marked[..at].rsplit('\n').next().unwrap().chars().count() + 1;
        let report = import(&marked.replace('@', ""), &options(&[])).report;
        let found: Vec<_> =
            report.not_imported.iter().map(|m| (m.place.line, m.place.column)).collect();
        assert_eq!(found, [(line, column)], "{written}\n{}", report.render());
    }
}

#[test]
fn what_does_not_fit_is_marked_where_it_stands() {
    for marked in [
        "a > 1 @unless b > 2",
        "sum(rate(a[5m])) / @on(x) sum(rate(b[5m])) > 1",
        "a > @bool 1",
        "sum(a) @/ b > 1",
        "a[5m] @offset 1h > 1",
        "a @[1h:5m] > 1",
        "histogram_quantile(0.9, @sum(rate(a_bucket[5m]))) > 1",
        "histogram_quantile(@2, rate(a_bucket[5m])) > 1",
        "sum @without (x) (a) > 1",
        "@stddev(a) > 1",
        "a > @NaN",
        "a @^ 2 > 1",
        "rate(@a[25h]) > 1",
        "rate(@a) > 1",
        "sum(@{x=\"y\"}) > 1",
        "sum(@{__name__=~\"a.*\"}) > 1",
        "@sum(a)",
        "1 @> 2",
        "(a @> 1) + 2 > 3",
        "sum(rate(a[5m]) > 1@",
        "a > 1 @}",
        "a{x=@5} > 1",
    ] {
        let report = import(&alert(&marked.replace('@', "")), &options(&[])).report;
        let head = "    expr: '".len();
        let wanted = (5, head + marked.find('@').unwrap() + 1);
        let first = report.not_imported.first().unwrap_or_else(|| panic!("{marked} was imported"));
        assert_eq!((first.place.line, first.place.column), wanted, "{marked}: {}", first.why);
        assert!(!first.instead.is_empty());
    }
}

/// The condition, and what is asked before it.
#[track_caller]
fn becomes(expr: &str, when: &str, given: Option<&str>, also: &[&str]) {
    let imported = import(&alert(expr), &options(&[(Some("api"), "web")]));
    check(&imported);
    assert!(imported.report.not_imported.is_empty(), "{expr}:\n{}", imported.report.render());
    let toml = &imported.toml;
    let value = |key: &str| {
        let line = toml.lines().find(|line| line.split(' ').next() == Some(key))?;
        let text = line.split_once("= ")?.1;
        Some(text.trim_matches(['"', '\'']).to_owned())
    };
    assert_eq!(value("when").as_deref(), Some(when), "{expr}:\n{toml}");
    assert_eq!(value("given").as_deref(), given, "{expr}:\n{toml}");
    for part in also {
        assert!(toml.contains(part), "{expr} lacks {part}:\n{toml}");
    }
}

#[test]
fn a_comparison_of_single_series_never_becomes_one_of_their_sum() {
    becomes("g > 5", "g_max > 5", None, &["across = \"max\""]);
    becomes("5 > g", "g_min < 5", None, &["across = \"min\""]);
    becomes("100 - g * 2 > 5", "100 - g_min * 2 > 5", None, &[]);
    becomes("g > 14.4 * 0.5", "g_max > 14.4 * 0.5", None, &[]);
    becomes("g > 5 and h > 5", "g > 5 && h > 5", None, &["gauge = \"g\"\n\n"]);
    becomes("g > 5 or h < 5", "g_max > 5 || h_min < 5", None, &[]);
    becomes("g / h > 5", "g / h > 5", None, &[]);
    becomes("rate(c_total[5m]) > 5", "c_rate > 5", Some("c_count < 2"), &[]);
    becomes("increase(c_total[5m]) > 0", "c_increase > 0", None, &[]);
    becomes("sum(rate(c_total[5m])) > 5", "c_rate > 5", None, &[]);
}

#[test]
fn shares_and_quantiles_get_the_floor_that_follows_from_their_limit() {
    let ratio = "sum(rate(bad_total[5m])) / sum(rate(all_total[5m]))";
    let floor = Some("all_increase >= 20");
    becomes(&format!("{ratio} > 0.05"), "bad_per_all > 5%", floor, &[]);
    becomes(&format!("{ratio} >= 0.05"), "bad_per_all >= 5%", Some("all_increase >= 21"), &[]);
    becomes(&format!("100 * {ratio} > 5"), "100 * bad_per_all > 5", floor, &[]);
    becomes(&format!("1 - {ratio} > 0.05"), "1 - bad_per_all > 0.05", floor, &[]);
    becomes(&format!("{ratio} < 0.95"), "bad_per_all < 95%", floor, &[]);
    becomes(&format!("{ratio} > 1.5"), "bad_per_all > 150%", None, &["no evidence floor"]);
    becomes(
        "histogram_quantile(0.95, sum by (le) (rate(h_seconds_bucket[5m]))) > 0.25",
        "h_p95 > 250ms",
        Some("h_seconds_count_increase >= 20"),
        &[],
    );
}

#[test]
fn what_only_scraping_adds_is_left_out_or_becomes_a_target_and_is_said() {
    let text = "sum(rate(c_total{job=\"db\",x=\"y\"}[5m])) > 1";
    becomes(text, "c_rate > 1", None, &["left out, not on the page: job=\"db\"", "'c_total{x="]);
    let text = "sum(rate(c_total{job=\"api\"}[5m])) > 1";
    becomes(text, "c_rate > 1", None, &["target = \"web\""]);
    becomes("up{job=\"api\"} == 0", "web_up == 0", None, &["up = \"web\""]);
    let report = import(&alert("up == 0"), &options(&[])).report;
    assert!(report.not_imported[0].instead.contains("--target"));
    let both = "sum(rate(c{job=\"api\"}[5m])) / sum(rate(c{job=\"db\"}[5m])) > 1";
    let report = import(&alert(both), &options(&[])).report;
    assert!(report.not_imported[0].why.contains("differ only by labels"), "{}", report.render());
    assert_eq!(
        import(&alert(both), &options(&[(Some("api"), "web")])).report.summary.not_imported,
        0
    );
    let kept = Options { drop_labels: Vec::new(), targets: Vec::new() };
    assert!(import(&alert(text), &kept).toml.contains("c_total{job=\"api\"}"));
}

#[test]
fn signals_that_are_the_same_are_one_and_names_are_unique() {
    let rule = |name: &str, expr: &str| format!("  - alert: {name}\n    expr: {expr}\n");
    let text = format!(
        "groups:\n- name: g\n  rules:\n{}{}{}{}",
        rule("HTTPErrors", "sum(rate(c_total[5m])) > 1"),
        rule("HTTPErrors", "sum(rate(c_total[5m])) > 2"),
        rule("'5xx Rate!'", "sum(rate(c_total[1m])) > 2"),
        rule("é", "max(min) > 2"),
    );
    let imported = import(&text, &options(&[]));
    check(&imported);
    let names: Vec<_> = imported.report.imported.iter().map(|kept| kept.rule.as_str()).collect();
    assert_eq!(names, ["http-errors", "http-errors-2", "5xx-rate", "alert"]);
    assert_eq!(imported.toml.matches("[signal.").count(), 3);
}

#[test]
fn recorded_series_are_replaced_unless_that_would_change_what_is_meant() {
    let text = |record: &str, alert: &str| {
        format!(
            "groups:\n- name: g\n  rules:\n  - record: r:x\n    expr: {record}\n  - alert: A\n    \
             expr: {alert}\n"
        )
    };
    let why = |record: &str, alert: &str| {
        let report = import(&text(record, alert), &options(&[])).report;
        report.not_imported.first().map(|misfit| misfit.why.clone())
    };
    assert_eq!(why("sum(rate(c[5m]))", "r:x > 1"), None);
    assert!(why("sum(rate(c[5m]))", "r:x{a=\"b\"} > 1").unwrap().contains("matched by `a`"));
    assert!(why("sum(rate(c[5m]))", "rate(r:x[5m]) > 1").unwrap().contains("looks back"));
    assert!(why("r:x + 1", "r:x > 1").unwrap().contains("on itself"));
}

#[test]
fn what_is_not_a_file_of_rules_is_refused_with_its_place() {
    let wrong = |text: &str| {
        let input = SourceFile { path: "x".into(), text: text.into() };
        let error = prometheus(&[input], &options(&[])).unwrap_err();
        (error.spot.line, error.spot.column, error.reason)
    };
    assert_eq!(wrong("a: [1, 2\n").0, 2);
    assert_eq!(wrong("groups:\n- name: g\n  rules:\n  - alert: A\n").0, 4);
    assert_eq!(wrong("groups: 5\n"), (1, 9, "`groups` is not a list".to_owned()));
    assert_eq!(wrong("x: 5\n").2, "there is no `groups`, as a file of rules has");
    assert_eq!(wrong("groups: []\ngroups: []\n"), (2, 1, "the key `groups` is there twice".into()));
    for open in [" [", " {a: ", "\n- - "] {
        let reason = wrong(&format!("groups:{open}{}", open.trim_start().repeat(50_000))).2;
        assert!(reason.contains("deeper") || reason.contains("recursion"), "{reason}");
    }
}

#[test]
fn expressions_of_any_depth_and_length_are_answered() {
    for expr in [
        format!("{}1{} > 1", "(".repeat(5000), ")".repeat(5000)),
        format!("{}a > 1", "-".repeat(5000)),
        format!("a{} > 1", " + 1".repeat(2000)),
        format!("{}a{} > 1", "sum(".repeat(500), ")".repeat(500)),
        format!("a{} > 1", "[1m:1s]".repeat(500)),
        format!("a{} > 1", " ^ 2".repeat(500)),
        format!("a > 1{}", " and a > 1".repeat(300)),
    ] {
        let imported = import(&alert(&expr), &options(&[]));
        check(&imported);
        assert_eq!(imported.report.summary.not_imported, 1, "{}", imported.report.render());
    }
}

proptest! {
    /// Every fixture with a stretch of it replaced: whatever comes of it, what is written passes
    /// `check`, and every place is in the file.
    #[test]
    fn no_input_panics_and_all_that_is_written_passes_check(
        file in 0_usize..4,
        from in 0.0_f64..1.0,
        len in 0_usize..40,
        by in "[-+*/^(){}\\[\\]\"'a-z0-9 .:%,=<>~!#&|\n\\\\é]{0,12}",
    ) {
        let path = &fixtures()[file];
        let text: Vec<char> = fs::read_to_string(path).unwrap().chars().collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below len")]
        let from = (from * text.len() as f64) as usize;
        let to = (from + len).min(text.len());
        let by = by.chars();
        let text: String =
            text[..from].iter().copied().chain(by).chain(text[to..].iter().copied()).collect();
        let lines = text.lines().count() + 1;
        let input = SourceFile { path: "x.yml".into(), text };
        match prometheus(&[input], &options(&[(None, "web")])) {
            Ok(imported) => {
                check(&imported);
                for misfit in &imported.report.not_imported {
                    prop_assert!((1..=lines).contains(&misfit.place.line));
                }
                prop_assert!(!imported.report.json(None).is_empty());
            }
            Err(error) => prop_assert!(error.spot.line <= lines + 1),
        }
    }

    #[test]
    fn no_expression_panics(expr in "[-+*/^(){}\\[\\]\"a-z0-9 .:%,=<>~!@#&|é]{0,60}") {
        check(&import(&alert(&expr), &options(&[])));
    }
}
