//! What is declared is what is read: every key of `language.toml` is asked for where its table is
//! read, every secret is registered, and a renamed key is still read under its old name.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use toml::de::DeTable;

use crate::config::syntax::declaration::{self, TableDeclaration, declaration};
use crate::config::syntax::diagnostic::Color;
use crate::config::syntax::source::parse;
use crate::config::syntax::table::asked;
use crate::config::syntax::{Diagnostics, ReadContext, SourceFile, TomlTable};
use crate::config::{Compiled, compile};
use crate::model::secrecy::RegisteredSecret;
use crate::model::target::Secret;
use crate::ruletest::{basics, rehearsal};

/// A configuration in which every table stands, and a secret at every key that may hold one: each
/// in an environment variable of its own.
const ALL: &str = include_str!("../../../tests/fixtures/every_table.toml");

/// Each way to read the live version.
const LIVE: [&str; 5] = [
    r#"{ symlink = "/a" }"#,
    r#"{ file = "/a" }"#,
    r#"{ metric = 'a', label = "version" }"#,
    r#"{ http = "http://h", headers = { a = { env = "SECRET_LIVE_HEADERS" } } }"#,
    r#"{ run = ["a"] }"#,
];

const TEST: &str = r#"
config = "rollguard.toml"
[[test]]
name = "a"
series = [{ name = 'a', values = "1x9" }]
stages = [{ at = "1s", stage = "one" }]
expect = [{ at = "1s", signals = { gauge = 1 } }]
"#;

fn file(text: &str) -> SourceFile {
    SourceFile { path: "a.toml".into(), text: text.into() }
}

fn unwrap<T>(read: Result<T, Diagnostics>) -> T {
    read.unwrap_or_else(|wrong| panic!("{}", wrong.render(Color::Plain)))
}

fn compiled(live: &str) -> Compiled {
    // A baseline of another target needs one.
    let text = ALL.replace("LIVE", live).replace("rate.baseline", "other");
    unwrap(compile(&file(&text.replace("\nother = ", "\n# ")), &[]))
}

fn read_all() -> Vec<Compiled> {
    let all: Vec<_> = LIVE.into_iter().map(compiled).collect();
    unwrap(basics(&file(TEST)));
    unwrap(rehearsal(&file(TEST), &all[0].plan));
    all
}

#[test]
fn every_declared_key_is_read() {
    read_all();
    for from in ["before", "target"] {
        let target = if from == "target" { ", target = \"other\"" } else { "" };
        let text = format!(
            "[target.api]\nscrape = \"http://h\"\n[target.other]\nscrape = \"http://h\"\n\
             [deployment]\nservice = \"a\"\n[rule.r]\nwhen = \"s > 1\"\n\
             [signal.s]\ngauge = 'a'\ntarget = \"api\"\n\
             baseline = {{ from = \"{from}\"{target} }}\n"
        );
        unwrap(compile(&file(&text), &[]));
    }
    for table in declaration::names() {
        for key in &declaration(table).keys {
            // The tables of a whole file are found by their names.
            let is_table = ["main", "rules"].contains(&table) && key.default.is_none();
            assert!(is_table || asked::was(declaration(table), key.name), "{table} {}", key.name);
        }
    }
}

#[test]
fn every_secret_that_may_be_named_is_registered() {
    let document = DeTable::parse(include_str!("../language.toml")).unwrap();
    let may_be_secret = |kind: &str| {
        kind.split(" or ").any(|kind| ["secret", "secret text"].contains(&kind))
            || kind.ends_with("headers")
    };
    let mut declared = BTreeSet::new();
    for (table, tables) in document.get_ref().iter() {
        for (key, value) in
            tables.get_ref().as_table().unwrap()["keys"].get_ref().as_table().unwrap()
        {
            let kind = value.get_ref().as_table().unwrap()["type"].get_ref().as_str().unwrap();
            if may_be_secret(kind) {
                declared
                    .insert(format!("SECRET_{}_{}", table.get_ref(), key.get_ref()).to_uppercase());
            }
        }
    }
    let mut registered = BTreeSet::new();
    for secret in read_all().into_iter().flat_map(|compiled| compiled.plan.secrets) {
        let (RegisteredSecret::Text(secret) | RegisteredSecret::Url(secret)) = secret;
        let Secret::Env(name) = secret else { panic!("{secret:?}") };
        registered.insert(name);
    }
    assert_eq!(declared, registered);
}

#[test]
fn secrets_are_made_in_one_file() {
    let tables = [
        include_str!("channel.rs"),
        include_str!("header.rs"),
        include_str!("http_step.rs"),
        include_str!("live.rs"),
        include_str!("probe.rs"),
        include_str!("target.rs"),
        include_str!("url.rs"),
    ];
    let makes = |text: &&str| text.replace("RegisteredSecret::", "").contains("Secret::");
    assert!(!tables.iter().any(makes));
}

/// A table with a renamed key.
static RENAMED: LazyLock<TableDeclaration> = LazyLock::new(|| {
    let key = "already = { was = \"relative\", default = false }";
    let text = format!("[t]\ntitle = \"the table\"\n[t.keys]\n{key}\n");
    declaration::tables(text.leak()).remove("t").unwrap()
});

#[test]
fn a_renamed_key_is_read_under_its_old_name_for_a_release() {
    let check = |text: &str, value: bool, said: &str| {
        let cx = ReadContext::default();
        let tree = parse(&cx, 0, text);
        let table = TomlTable::root(&cx, 0, text, tree.get_ref(), &RENAMED);
        table.check_keys();
        assert_eq!(table.read("already"), Some(value), "{text}");
        let found = match cx.finish(Some(()), vec![file(text)]) {
            Ok(((), lints)) => lints,
            Err(errors) => errors,
        };
        let first = found.iter().next().map(|found| found.message.clone());
        assert_eq!(first.unwrap_or_default(), said, "{text}");
    };
    check("", false, "");
    check("already = true", true, "");
    check("relative = true", true, "`relative` is called `already` now");
    let both = "`relative` is the old name of `already`, which is there too";
    check("relative = false\nalready = true", true, both);
}
