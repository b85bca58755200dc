//! The JSON schemas of rollguard's files: made of schema/language.json, and held against the reader
//! of these files key by key. `ROLLGUARD_BLESS=1 cargo test --test cli schema::` makes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use rollguard::config::{Diagnostics, Level, SourceFile, check_rules, compile, is_main};

const KINDS: [&str; 3] = ["main", "rules", "test"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn language() -> Value {
    read("schema/language.json")
}

/// The definition that a reference names.
fn referred<'l>(language: &'l Value, reference: &str) -> (&'l str, &'l Value) {
    let name = reference.strip_prefix("#/definitions/").unwrap();
    let (name, definition) =
        language["definitions"].as_object().unwrap().get_key_value(name).unwrap();
    (name, definition)
}

/// A schema in which every reference to a text, a list or a condition is replaced by what it refers
/// to: draft-07 forbids keys beside a reference, and editors show the description that stands
/// there. References to tables stay, their names are collected.
fn resolve(schema: &Value, language: &Value, used: &mut BTreeSet<String>) -> Value {
    match schema {
        Value::Object(map) => {
            let mut new = Map::new();
            if let Some(reference) = map.get("$ref") {
                let (name, definition) = referred(language, reference.as_str().unwrap());
                if definition["type"] == "object" && map.len() == 1 {
                    used.insert(name.to_owned());
                    return schema.clone();
                }
                new = resolve(definition, language, used).as_object().unwrap().clone();
            }
            for (key, value) in map.iter().filter(|(key, _)| *key != "$ref") {
                // What stands in a default is a value and no schema.
                let literal = ["default", "enum", "const", "required"].contains(&key.as_str());
                let value = if literal { value.clone() } else { resolve(value, language, used) };
                new.insert(key.clone(), value);
            }
            Value::Object(new)
        }
        Value::Array(all) => all.iter().map(|each| resolve(each, language, used)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// The schema of one kind of file, with the definitions that it needs.
fn schema(kind: &str) -> Value {
    let language = language();
    let mut used = BTreeSet::new();
    let mut root = resolve(&language["roots"][kind], &language, &mut used);
    let mut definitions = Map::new();
    while let Some(name) = used.iter().find(|name| !definitions.contains_key(*name)).cloned() {
        let definition = resolve(&language["definitions"][&name], &language, &mut used);
        definitions.insert(name, definition);
    }
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["definitions"] = Value::Object(definitions);
    root
}

#[test]
fn the_shipped_schemas_are_made_of_the_language() {
    for kind in KINDS {
        let name = format!("schema/{kind}.json");
        let text = serde_json::to_string_pretty(&schema(kind)).unwrap() + "\n";
        if std::env::var_os("ROLLGUARD_BLESS").is_some() {
            fs::write(path(&name), &text).unwrap();
        }
        assert!(fs::read_to_string(path(&name)).unwrap() == text, "{name} is out of date");
    }
}

#[test]
fn the_command_prints_the_shipped_schemas() {
    for kind in KINDS {
        let output = Command::new(env!("CARGO_BIN_EXE_rollguard")).args(["schema", kind]).output();
        let text = fs::read(path(&format!("schema/{kind}.json"))).unwrap();
        assert!(output.unwrap().stdout == text, "rollguard schema {kind}");
    }
}

#[test]
fn every_key_has_a_description_and_every_table_refuses_other_keys() {
    fn look(schema: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            if schema.get("additionalProperties") != Some(&json!(false)) {
                wrong.push(format!("{at}: other keys are allowed"));
            }
            for (key, property) in properties {
                let described = property["description"].is_string() || property["$ref"].is_string();
                if !described {
                    wrong.push(format!("{at}/{key}: no description"));
                }
            }
        }
        match schema {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| look(value, &format!("{at}/{key}"), wrong));
            }
            Value::Array(all) => all.iter().for_each(|each| look(each, at, wrong)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut wrong = Vec::new();
    KINDS.iter().for_each(|kind| look(&schema(kind), kind, &mut wrong));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A configuration in which every table stands; `@NAME@` is where a key of it may be added.
const ALL: &str = r#"
@root@
[deployment]
service = "api"
confirm = { within = "1m", default = "deny"@confirm@ }
budget = { rollbacks = 2, per = "24h"@budget@ }
@deployment@
[drill]
service = "api-drill"
version = "v1"
good = "v0"
@drill@
[target.api]
scrape = "http://127.0.0.1:9000/metrics"
headers = { a = { @header@ } }
@target@
[hook.rollback]
steps = [
  { run = ["switch", "{good}"]@run@ },
  { probe = { http = "http://h/", json = { pointer = "", equals = 1@json@ }@http@ }@probe@ },
  { http = { method = "GET", url = "http://h/", headers = { a = { @secret@ } }, expect = { status = 200, json = { pointer = "", equals = 1@answer@ }, text = { @reply@ }@expect@ }@request@ }@sent@ },
  { unix = { path = "/s", send = ["x"]@socket@ }@line@ },
  { sleep = "1s"@pause@ },
]
cure = { when = "s < 1"@cure@ }
@hook@
[notify.one]
slack = { url = { env = "A" }@slack@ }
@channel@
[notify.two]
pagerduty = { routing_key = { @reference@ }@pagerduty@ }
[notify.three]
opsgenie = { key = { env = "A" }@opsgenie@ }
[notify.four]
alertmanager = { urls = ["http://h"]@alertmanager@ }
[notify.five]
grafana = { url = "http://h", token = { env = "A" }@grafana@ }
[notify.six]
statuspage = { key = { env = "A" }, page = "p", public = true@statuspage@ }
[notify.seven]
webhook = { url = "http://h"@webhook@ }
[notify.eight]
cloudevent = { url = "http://h"@cloudevent@ }
[signal.s]
ratio = { of = 'a', to = 'b'@ratio@ }
window = "1m"
by = ["route"]
@signal@
[rule.r]
when = "s > 1"
given = "s > 0"
then = "rollback"
@rule@
[[stage]]
name = "one"
hold = "1m"
@stage@
"#;

/// The places of [`ALL`] and the tables of the schema that they stand for.
const TABLES: [(&str, &[&str]); 35] = [
    ("stage", &["/definitions/stage"]),
    ("root", &["/roots/main"]),
    ("deployment", &["/definitions/deployment"]),
    ("confirm", &["/definitions/deployment/properties/confirm"]),
    ("budget", &["/definitions/deployment/properties/budget"]),
    ("drill", &["/definitions/drill"]),
    ("target", &["/definitions/target"]),
    ("header", &["/definitions/reference"]),
    ("hook", &["/definitions/hook"]),
    ("run", &["/definitions/step"]),
    ("probe", &["/definitions/step"]),
    ("http", &["/definitions/step/properties/probe"]),
    ("json", &["/definitions/step/properties/probe/properties/json"]),
    ("sent", &["/definitions/step"]),
    ("line", &["/definitions/step"]),
    ("pause", &["/definitions/step"]),
    ("request", &["/definitions/request"]),
    ("secret", &["/definitions/secret"]),
    ("expect", &["/definitions/request/properties/expect"]),
    ("answer", &["/definitions/request/properties/expect/properties/json"]),
    ("reply", &["/definitions/reply/anyOf/1"]),
    ("socket", &["/definitions/socket"]),
    ("cure", &["/definitions/hook/properties/cure"]),
    ("ratio", &["/definitions/signal/properties/ratio"]),
    ("reference", &["/definitions/reference"]),
    ("channel", &["/definitions/channel"]),
    ("slack", &["/definitions/slack"]),
    ("pagerduty", &["/definitions/pagerduty"]),
    ("opsgenie", &["/definitions/opsgenie"]),
    ("alertmanager", &["/definitions/alertmanager"]),
    ("grafana", &["/definitions/grafana"]),
    ("statuspage", &["/definitions/statuspage"]),
    ("webhook", &["/definitions/webhook"]),
    ("cloudevent", &["/definitions/cloudevent"]),
    ("rule", &["/definitions/rule"]),
];

/// [`ALL`] with something written at one place.
fn with(place: &str, key: &str) -> String {
    let mut text = ALL.to_owned();
    while let Some((before, rest)) = text.split_once('@') {
        let (name, after) = rest.split_once('@').unwrap();
        // Within braces a comma stands before it.
        let inline = before.ends_with(|c: char| c != '\n' && c != ' ');
        let comma = if inline { ", " } else { "" };
        let written = match name {
            _ if name == place => format!("{comma}{key}"),
            "header" | "reference" | "secret" => "env = \"A\"".to_owned(),
            "reply" => "contains = \"a\"".to_owned(),
            _ => String::new(),
        };
        text = format!("{before}{written}{after}");
    }
    text
}

fn found(text: &str) -> Diagnostics {
    let file = SourceFile { path: "a.toml".into(), text: text.into() };
    if is_main(&file) {
        compile(&file, &[]).map_or_else(|wrong| wrong, |compiled| compiled.lints)
    } else {
        check_rules(&[file]).map_or_else(|wrong| wrong, |checked| checked.lints)
    }
}

fn errors(text: &str) -> Vec<String> {
    let found = found(text);
    found.iter().filter(|d| d.level == Level::Error).map(|d| d.message.clone()).collect()
}

/// The keys that the reader says it knows where it found one that it does not.
fn known(text: &str) -> BTreeSet<String> {
    let found = found(text);
    let help = found.iter().find(|d| d.message.starts_with("unknown key `zz`"));
    let help = help.unwrap_or_else(|| panic!("{text}\n{found:?}")).help.clone().unwrap();
    let keys = help.strip_prefix("known keys: ").unwrap();
    keys.split(", ").map(str::to_owned).collect()
}

/// The keys of a table of the schema.
fn keys(language: &Value, table: &str) -> BTreeSet<String> {
    let table = language.pointer(table).unwrap();
    table["properties"].as_object().unwrap().keys().cloned().collect()
}

/// Keys of the language that the reader calls not available; they are in the schema all the same.
fn is_later(place: &str, key: &str) -> bool {
    let message = format!("`{key}` is not available in this version");
    errors(&with(place, &format!("{key} = 1"))).contains(&message)
}

#[test]
fn the_configuration_that_has_every_table_is_in_order() {
    assert_eq!(errors(&with("", "")), Vec::<String>::new());
}

#[test]
fn the_schema_has_exactly_the_keys_that_the_reader_has() {
    let language = language();
    // A table may stand at several places, of which each has a part of its keys.
    let mut read: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (place, tables) in TABLES {
        let known = known(&with(place, "zz = 1"));
        tables.iter().for_each(|table| read.entry(table).or_default().extend(known.clone()));
        for table in tables {
            for key in keys(&language, table) {
                if is_later(place, &key) {
                    read.entry(table).or_default().insert(key);
                }
            }
        }
    }
    for (table, read) in read {
        assert_eq!(keys(&language, table), read, "{table}");
    }
}

#[test]
fn the_schema_has_exactly_the_keys_of_live_that_the_reader_has() {
    let known = known(&with("deployment", "live = { zz = 1 }"));
    assert_eq!(keys(&language(), "/definitions/live"), known);
}

/// The kinds of signals, each with what it needs to be in order.
const SIGNALS: [(&str, &str); 11] = [
    ("rate", "rate = 'a'\nwindow = \"1m\""),
    ("increase", "increase = 'a'\nwindow = \"1m\""),
    ("ratio", "ratio = { of = 'a', to = 'b' }\nwindow = \"1m\""),
    ("quantile", "quantile = 0.9\nof = 'a'\nwindow = \"1m\""),
    ("mean", "mean = true\nof = 'a'\nwindow = \"1m\""),
    ("gauge", "gauge = 'a'"),
    ("count", "count = 'a'"),
    ("age", "age = 'a'"),
    ("up", "up = \"api\""),
    ("value", "value = 1"),
    ("expr", "expr = \"other + 1\""),
];

/// Options of signals, each with a value that is right.
const OPTIONS: [(&str, &str); 13] = [
    ("description", "\"x\""),
    ("unit", "\"count\""),
    ("of", "'a'"),
    ("window", "\"1m\""),
    ("target", "\"api\""),
    ("labels", "{ a = \"b\" }"),
    ("stale", "\"1m\""),
    ("across", "\"sum\""),
    ("over", "\"last\""),
    ("by", "[\"instance\"]"),
    ("timestamp", "true"),
    ("baseline", "{ from = \"before\" }"),
    ("value", "\"> 0\""),
];

fn signal(body: &str) -> String {
    format!("[signal.other]\ngauge = 'g'\n[signal.s]\n{body}\n[rule.r]\nwhen = \"s + other > 1\"\n")
}

fn is_unavailable(text: &str) -> bool {
    errors(text).iter().any(|message| message.ends_with("is not available in this version"))
}

#[test]
fn the_schema_has_exactly_the_keys_of_signals_that_the_reader_has() {
    let mut read: BTreeSet<String> = SIGNALS.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    for (_, body) in SIGNALS {
        let text = signal(&format!("{body}\nzz = 1"));
        if !is_unavailable(&text) {
            read.extend(known(&text));
        }
    }
    let offered = keys(&language(), "/definitions/signal");
    let missing: Vec<_> = read.difference(&offered).collect();
    assert!(missing.is_empty(), "the schema lacks {missing:?}");
    for key in offered.difference(&read) {
        let text = signal(&format!("gauge = 'a'\n{key} = 1"));
        assert!(is_unavailable(&text), "the reader does not know {key}");
    }
    let nothing = found("[signal.s]\n[rule.r]\nwhen = \"s > 1\"\n");
    let help = nothing.iter().find_map(|d| d.help.as_deref()?.strip_prefix("give it one of "));
    for kind in help.unwrap().split(", ") {
        assert!(SIGNALS.iter().any(|(known, _)| *known == kind), "{kind} is not looked at here");
    }
}

#[test]
fn the_schema_has_exactly_the_words_that_the_reader_has() {
    let cases = [
        ("root", "mode", "/roots/main", ""),
        ("deployment", "arm", "/definitions/deployment", ""),
        ("rule", "severity", "/definitions/rule", ""),
        ("rule", "on_no_data", "/definitions/rule", ""),
        ("signal", "unit", "/definitions/signal", ""),
        ("signal", "across", "/definitions/signal", "gauge = 'a'"),
        ("signal", "over", "/definitions/signal", "gauge = 'a'\nwindow = \"1m\""),
    ];
    for (place, key, table, before) in cases {
        let write = |word: &str| match before {
            "" => with(place, &format!("{key} = \"{word}\"")),
            body => signal(&format!("{body}\n{key} = \"{word}\"")),
        };
        let messages = errors(&write("zz"));
        let list = messages.iter().find_map(|m| m.strip_prefix("`zz` is none of ")).unwrap();
        let mut read: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();
        let language = language();
        let words = language.pointer(table).unwrap()["properties"][key]["enum"].as_array().unwrap();
        let words: BTreeSet<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        read.extend(words.iter().filter(|word| is_unavailable(&write(word))));
        assert_eq!(words, read, "{table} {key}");
    }
}

#[test]
fn what_the_schema_calls_a_default_changes_nothing_where_it_is_written() {
    let language = language();
    let plan = |text: &str| {
        let file = SourceFile { path: "a.toml".into(), text: text.into() };
        let compiled =
            compile(&file, &[]).map_err(|wrong| wrong.render(rollguard::config::Color::Plain));
        compiled.map(|compiled| (compiled.settings, compiled.plan))
    };
    let mut seen = 0;
    for (place, tables) in TABLES {
        for (key, property) in
            language.pointer(tables[0]).unwrap()["properties"].as_object().unwrap()
        {
            // Options of another kind of step are tried there.
            let foreign = tables[0] == "/definitions/step"
                && !known(&with(place, "zz = 1")).contains(key.as_str());
            let Some(default) = property.get("default").filter(|_| !foreign) else { continue };
            if key == "rules" || is_later(place, key) {
                continue;
            }
            // A share means something only beside a time.
            let needs = if key == "share" { "for = \"1m\"\n" } else { "" };
            let without = plan(&with(place, needs)).unwrap();
            let changed = plan(&with(place, &format!("{needs}{key} = {default}")));
            assert_eq!(
                changed.as_ref().ok(),
                Some(&without),
                "{place} {key} {default} {changed:?}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 18, "only {seen} defaults were tried");
}

/// What the validator says of texts; `None` if it is not there, which is said.
fn validate(all: &[(&str, Vec<String>)]) -> Option<Vec<Vec<Option<String>>>> {
    let check = Command::new("python3").args(["-c", "import jsonschema, tomllib"]).output();
    if !check.as_ref().is_ok_and(|output| output.status.success()) {
        let required = std::env::var_os("ROLLGUARD_REQUIRE_REAL").is_some_and(|value| value == "1");
        assert!(!required, "python's jsonschema is required: {check:?}");
        eprintln!("skipped: python's jsonschema is not there");
        return None;
    }
    let mut child = Command::new("python3")
        .arg(path("tests/oracle/schema.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let schema = |kind: &str| read(&format!("schema/{kind}.json"));
    let lines: Vec<_> = all
        .iter()
        .map(|(kind, texts)| json!({ "schema": schema(kind), "texts": texts }).to_string() + "\n")
        .collect();
    let writer = std::thread::spawn(move || input.write_all(lines.concat().as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), all.len());
    Some(answers)
}

/// Texts, each with the kind of file that it is and whether it must be accepted.
struct Case {
    name: String,
    kind: &'static str,
    text: String,
    accepted: bool,
}

fn judge(cases: &[Case]) {
    let all: Vec<_> = KINDS
        .iter()
        .map(|kind| {
            let texts = cases.iter().filter(|case| case.kind == *kind);
            (*kind, texts.map(|case| case.text.clone()).collect::<Vec<_>>())
        })
        .collect();
    let Some(answers) = validate(&all) else { return };
    let mut wrong = Vec::new();
    for (kind, answers) in KINDS.iter().zip(answers) {
        let cases: Vec<_> = cases.iter().filter(|case| case.kind == *kind).collect();
        assert_eq!(cases.len(), answers.len());
        for (case, answer) in cases.iter().zip(answers) {
            if answer.is_none() != case.accepted {
                wrong.push(format!("{}: {answer:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn kind_of(file: &SourceFile) -> &'static str {
    match file.path.ends_with(".test.toml") {
        true => "test",
        false if is_main(file) => "main",
        false => "rules",
    }
}

/// What is wrong in a way that an editor can see.
fn is_seen(message: &str) -> bool {
    ["unknown key", "expected a ", "has no meaning for `"].iter().any(|m| message.starts_with(m))
        || ["` is none of `", "` has no meaning for `"].iter().any(|m| message.contains(m))
        || message.starts_with("not a duration")
}

#[test]
fn every_shipped_file_and_every_fixture_is_judged_by_the_schema_as_by_the_reader() {
    let mut cases = Vec::new();
    let mut files: Vec<_> =
        fs::read_dir(path("rules")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let source = SourceFile { path: file.display().to_string(), text };
        let kind = kind_of(&source);
        cases.push(Case { name: source.path, kind, text: source.text, accepted: true });
    }
    let shipped = cases.len();
    assert!(shipped >= 3);
    for entry in fs::read_dir(path("tests/fixtures/check")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        // Several files in one: each alone would be judged differently by the reader.
        if text.contains("#--- ") {
            continue;
        }
        let source = SourceFile { path: name.clone(), text };
        let errors = errors(&source.text);
        let accepted = errors.is_empty();
        if accepted || errors.iter().any(|message| is_seen(message)) {
            let kind = kind_of(&source);
            cases.push(Case { name, kind, text: source.text, accepted });
        }
    }
    assert!(cases.len() - shipped >= 20, "only {} fixtures were judged", cases.len() - shipped);
    judge(&cases);
}

#[test]
fn an_option_is_refused_by_the_schema_where_it_has_no_meaning_for_the_reader() {
    let mut cases = Vec::new();
    for (kind, body) in SIGNALS {
        for (option, value) in OPTIONS {
            if body.contains(&format!("{option} =")) {
                continue;
            }
            let text = signal(&format!("{body}\n{option} = {value}"));
            let errors = errors(&text);
            let foreign = errors.iter().any(|message| is_seen(message));
            if is_unavailable(&text) || !(errors.is_empty() || foreign) {
                continue;
            }
            let name = format!("{option} of {kind}: {errors:?}");
            cases.push(Case { name, kind: "rules", text, accepted: errors.is_empty() });
        }
    }
    assert!(cases.len() >= 60, "only {} were judged", cases.len());
    judge(&cases);
}

#[test]
fn tests_of_rules_are_judged_by_the_schema() {
    let good = r#"
rules = ["http.toml"]
[[test]]
name     = "a 20% burst trips after two minutes"
interval = "1s"
series   = [
  { name = 'http_requests_total{status="200"}', values = "0+80x600" },
  { name = 'http_requests_total{status="500"}', values = "0+0x60 20+20x540" },
]
arm      = "0s"
expect   = [
  { at = "1m", rule = "error-rate", state = "inactive", signals = { error_rate = 0.0 } },
  { between = ["2m58s", "3m4s"], rule = "error-rate", state = "firing", decision = "rollback" },
]
"#;
    let changes = [
        ("arm      =", "armed    ="),
        ("state = \"inactive\"", "state = \"idle\""),
        ("at = \"1m\"", "at = 60"),
        ("at = \"1m\", ", ""),
        ("[\"2m58s\", \"3m4s\"]", "[\"2m58s\"]"),
        ("rules = [\"http.toml\"]", ""),
        ("interval = \"1s\"", "interval = 1"),
    ];
    let case = |text: String, accepted| Case { name: text.clone(), kind: "test", text, accepted };
    let mut cases = vec![case(good.to_owned(), true)];
    for (from, to) in changes {
        assert!(good.contains(from), "{from}");
        cases.push(case(good.replacen(from, to, 1), false));
    }
    judge(&cases);
}
