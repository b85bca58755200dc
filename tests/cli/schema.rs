//! The JSON schemas of rollguard's files and the tables of options in its manual: both are made of
//! the declarations in src/config/language.toml, which the reader of these files reads by, too.
//! `ROLLGUARD_BLESS=1 cargo test --test cli schema::` makes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use toml::de::DeTable;

use rollguard::config::{DiagnosticLevel, Diagnostics, SourceFile, check_rules, compile, is_main};

const KINDS: [&str; 3] = ["main", "rules", "test"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

/// The declarations.
fn language() -> Value {
    let text = fs::read_to_string(path("src/config/language.toml")).unwrap();
    serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap()
}

/// Words of a list, none where it is not there.
fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|word| word.as_str().unwrap()).collect()
}

/// Makes the schemas of one kind of file, and notes which tables they refer to.
struct Generator<'l> {
    language: &'l Value,
    used: BTreeSet<String>,
}

impl Generator<'_> {
    fn refer(&mut self, table: &str) -> Value {
        self.used.insert(table.to_owned());
        json!({ "$ref": format!("#/definitions/{table}") })
    }

    /// What a value of a type may be, whatever else its key says.
    fn of_type(&mut self, name: &str, key: &Value) -> Value {
        if let Some((one, other)) = name.split_once(" or ") {
            return json!({ "anyOf": [self.of_type(one, key), self.of_type(other, key)] });
        }
        if let Some(element) = name.strip_prefix("list of ") {
            let mut list = json!({ "type": "array", "items": self.of_type(element, key) });
            add_count(&mut list, key, ["minItems", "maxItems"]);
            return list;
        }
        if let Some(table) = name.strip_prefix("table ") {
            return self.refer(table);
        }
        if let Some(kind) = name.strip_prefix("named ") {
            let names = match kind {
                "signal" => json!({ "pattern": "^[a-z_][a-z0-9_]*$", "maxLength": 128 }),
                "rule" => pattern("^[a-z0-9-]+$", 128),
                "hook" => {
                    let mut names = pattern(NAME, 128);
                    names["not"] = json!({ "enum": ["notify", "report"] });
                    names
                }
                _ => pattern(NAME, 128),
            };
            let tables = self.refer(kind);
            let mut all =
                json!({ "type": "object", "propertyNames": names, "additionalProperties": tables });
            add_count(&mut all, key, ["minProperties", "maxProperties"]);
            return all;
        }
        match name {
            "secret" => json!({ "anyOf": [self.refer("reference")] }),
            "secret text" => self.refer("secret"),
            "reply" => json!({ "anyOf": [{ "type": "string" }, self.refer("reply")] }),
            "headers" => {
                let reference = self.refer("reference");
                pairs(&pattern(HEADER, 0), &json!({ "anyOf": [text(), reference] }))
            }
            "sent headers" => {
                let secret = self.refer("secret");
                pairs(&pattern(HEADER, 0), &json!({ "anyOf": [text(), secret] }))
            }
            "choice" => json!({ "enum": key["words"] }),
            "integer" | "number" => {
                let mut number = json!({ "type": name });
                if let Some(range) = key["range"].as_array() {
                    (number["minimum"], number["maximum"]) = (range[0].clone(), range[1].clone());
                }
                number
            }
            _ => simple(name),
        }
    }

    /// What a key may hold.
    fn of_key(&mut self, key: &Value) -> Value {
        let kind = key["type"].as_str().unwrap();
        let mut schema = self.of_type(kind, key);
        if schema.get("$ref").is_some() {
            return schema;
        }
        let mut about = key["about"].as_str().unwrap().to_owned();
        if let Some(range) = range(key) {
            about.insert_str(about.len() - 1, &format!(", {range}"));
        }
        if let Some(otherwise) = key["otherwise"].as_str() {
            about = format!("{about} Default: {otherwise}.");
        }
        schema["description"] = json!(about);
        if let Some(default) = key.get("default") {
            schema["default"] = default.clone();
        }
        schema
    }

    /// A table and what its keys may hold.
    fn of_table(&mut self, name: &str) -> Value {
        let table = &self.language[name];
        let mut schema = json!({ "type": "object", "additionalProperties": false });
        if let Some(about) = table.get("about") {
            schema["description"] = about.clone();
        }
        if let Some(title) = table.get("schema_title") {
            schema["title"] = title.clone();
        }
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let mut dependencies = Map::new();
        for (name, key) in keys(self.language, name) {
            properties.insert(name.to_owned(), self.of_key(key));
            if key["required"] == true {
                required.push(name);
            }
            let depends = depends(table, name, key);
            dependencies.extend(depends.map(|depends| (name.to_owned(), depends)));
        }
        schema["properties"] = Value::Object(properties);
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if !dependencies.is_empty() {
            schema["dependencies"] = Value::Object(dependencies);
        }
        if let Some(either) = words(&table["at_most_one"]).first_chunk::<2>() {
            schema["not"] = json!({ "required": either });
        }
        let there = |key: &&str| json!({ "required": [key] });
        if let any @ [_, ..] = words(&table["any_of"]).as_slice() {
            schema["anyOf"] = any.iter().map(there).collect();
        }
        if let one @ [_, ..] = words(&table["one_of"]).as_slice() {
            let alone = |key: &&str| {
                let mut alone = there(key);
                if let Some(other) = words(&table["keys"][*key]["with"]).first() {
                    alone["not"] = there(other);
                }
                alone
            };
            schema["oneOf"] = one.iter().map(alone).collect();
        }
        schema
    }
}

/// Adds how many elements or tables there are.
fn add_count(schema: &mut Value, key: &Value, [least, most]: [&str; 2]) {
    if key["not_empty"] == true {
        schema[least] = json!(1);
    }
    for (end, bound) in [("least", least), ("most", most)] {
        if let Some(count) = key.get("count").and_then(|count| count.get(end)) {
            schema[bound] = count.clone();
        }
    }
}

/// The keys of a table with those of the one that it extends.
fn keys<'l>(language: &'l Value, table: &str) -> Vec<(&'l str, &'l Value)> {
    let own = language[table]["keys"].as_object().unwrap();
    let mut keys: Vec<_> = own.iter().map(|(name, key)| (name.as_str(), key)).collect();
    if let Some(base) = language[table]["extends"].as_str() {
        keys.extend(self::keys(language, base));
    }
    keys
}

/// What else must be there, or must not, where the key is.
fn depends(table: &Value, name: &str, key: &Value) -> Option<Value> {
    if key["alone"] == true {
        return Some(json!({ "maxProperties": 1 }));
    }
    if let Some(needs) = key.get("needs") {
        return Some(needs.clone());
    }
    let is_kind = words(&table["one_of"]).contains(&name);
    match words(&key["with"]).as_slice() {
        _ if is_kind || table.get("by").is_some() => None,
        [] => None,
        [one] => Some(json!([one])),
        several => {
            let several: Vec<_> = several.iter().map(|key| json!({ "required": [key] })).collect();
            Some(json!({ "anyOf": several }))
        }
    }
}

/// The range of a duration or a number, in words.
fn range(key: &Value) -> Option<String> {
    let range = key["range"].as_array()?;
    let show = |end: &Value| end.as_str().map_or(end.to_string(), str::to_owned);
    Some(format!("{} to {}", show(&range[0]), show(&range[1])))
}

const NAME: &str = "^[A-Za-z][A-Za-z0-9_-]*$";
const READING: &str = "^[a-z_][a-z0-9_]*(\\.(baseline|before))?(\\{[\\s\\S]*\\})?$";
const HEADER: &str = "^[-A-Za-z0-9!#$%&'*+.^_`|~]+$";

fn pattern(pattern: &str, most: usize) -> Value {
    match most {
        0 => json!({ "pattern": pattern }),
        most => json!({ "pattern": pattern, "maxLength": most }),
    }
}

fn text() -> Value {
    json!({ "type": "string", "pattern": "\\S" })
}

fn pairs(names: &Value, values: &Value) -> Value {
    json!({
        "type": "object",
        "maxProperties": 64,
        "propertyNames": names,
        "additionalProperties": values,
    })
}

/// Types that are made of nothing else.
fn simple(name: &str) -> Value {
    let string = |text: &str, most: usize| {
        let mut string = pattern(text, most);
        string["type"] = json!("string");
        string
    };
    match name {
        "string" | "boolean" => json!({ "type": name }),
        "positive number" => json!({ "type": "number", "minimum": 0 }),
        "true" => json!({ "const": true }),
        "never" => json!({ "const": "never" }),
        "json" => json!({}),
        "text" => text(),
        "word" => string("\\S", 256),
        "condition" => string("\\S", 4096),
        "path" => string("^/", 0),
        "pattern" => string("^([^*]*/)?[^/]+$", 0),
        "duration" => {
            let mut duration = string("^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$", 0);
            duration["minLength"] = json!(2);
            duration
        }
        "instants" => {
            json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": simple("duration") })
        }
        "size" => string("^[0-9]+(B|KB|KiB|MB|MiB)$", 0),
        "share" => json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0, "maximum": 1 },
            { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%?$" },
        ] }),
        "selector" => {
            string("^\\s*([A-Za-z_:][A-Za-z0-9_:]*\\s*(\\{[\\s\\S]*\\})?|\\{[\\s\\S]*\\})\\s*$", 0)
        }
        "readings" => json!({
            "type": "object",
            "propertyNames": pattern(READING, 0),
            "additionalProperties": { "type": ["number", "string"] },
        }),
        "labels" => {
            let reserved = ["__name__", "target", "le", "quantile"];
            pairs(&json!({ "minLength": 1, "not": { "enum": reserved } }), &text())
        }
        "hook name" | "target name" => string(NAME, 128),
        "rule name" => string("^[a-z0-9-]+$", 128),
        "stage name" => string("^[A-Za-z0-9][A-Za-z0-9_-]*$", 128),
        "service" => string("^[A-Za-z0-9._-]+$", 128),
        "version" => {
            string("^(?!/)(?!(.*/)?\\.\\.(/|$))[A-Za-z0-9._+:/@=][A-Za-z0-9._+:/@=-]*$", 128)
        }
        "url" => string("^https?://[^\\s#@]+$", 0),
        "events url" => string("^https?://[^\\s#@]+/v2/enqueue$", 0),
        "url template" => string("^https?://", 0),
        "address" => string("^[^/?#@]+:[^/?#@]+$", 0),
        "listen address" => string("^(off|.+:[0-9]+)$", 0),
        "pointer" => string("^(/([^~]|~[01])*)?$", 0),
        "variable" => string("^[A-Za-z_][A-Za-z0-9_]*$", 0),
        _ => panic!("`{name}` is no type of language.toml"),
    }
}

/// The schema of one kind of file, with the definitions that it needs.
fn schema(kind: &str) -> Value {
    let language = language();
    let mut generator = Generator { language: &language, used: BTreeSet::new() };
    let mut root = generator.of_table(if kind == "test" { "test_file" } else { kind });
    let mut definitions = Map::new();
    loop {
        let next = generator.used.iter().find(|name| !definitions.contains_key(*name)).cloned();
        let Some(name) = next else { break };
        let table = generator.of_table(&name);
        definitions.insert(name, table);
    }
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["definitions"] = Value::Object(definitions);
    root
}

/// Compares a file that is made of the declarations, or writes it anew.
fn is_made(name: &str, text: &str) {
    if std::env::var_os("ROLLGUARD_BLESS").is_some() {
        fs::write(path(name), text).unwrap();
    }
    assert!(fs::read_to_string(path(name)).unwrap() == text, "{name} is out of date");
}

#[test]
fn the_shipped_schemas_are_made_of_the_declarations() {
    for kind in KINDS {
        let text = serde_json::to_string_pretty(&schema(kind)).unwrap() + "\n";
        is_made(&format!("schema/{kind}.json"), &text);
    }
}

/// A table of the manual: the keys of a table, or some of them, in the order of their declaration.
fn manual_table(table: &str, only: &str) -> String {
    let text = fs::read_to_string(path("src/config/language.toml")).unwrap();
    let document = DeTable::parse(&text).unwrap();
    let declared = document.get_ref()[table].get_ref().as_table().unwrap();
    let mut order: Vec<_> = declared["keys"].get_ref().as_table().unwrap().keys().collect();
    order.sort_by_key(|key| key.span().start);
    let language = language();
    let one_of = words(&language[table]["one_of"]);
    let common = |key: &Value| key.get("with").is_none();
    let mut lines = vec![
        "| key | type | default | range | meaning |".to_owned(),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    for name in order.into_iter().map(|key| AsRef::<str>::as_ref(key.get_ref())) {
        let key = &language[table]["keys"][name];
        let is_meant = match only {
            "kinds" => one_of.contains(&name),
            "options" => !one_of.contains(&name) || !common(key),
            "common" => !one_of.contains(&name) && common(key),
            _ => true,
        };
        if is_meant {
            lines.push(manual_line(name, key));
        }
    }
    lines.join("\n")
}

fn manual_line(name: &str, key: &Value) -> String {
    let kind = match key["type"].as_str().unwrap() {
        "choice" => code(&words(&key["words"])),
        kind if kind.starts_with("choice or ") => {
            let other = spoken(kind.trim_start_matches("choice or "));
            format!("{} or {other}", code(&words(&key["words"])))
        }
        kind => kind.split(" or ").map(spoken).collect::<Vec<_>>().join(" or "),
    };
    let default = match (key.get("default"), key["otherwise"].as_str()) {
        (_, Some(otherwise)) => otherwise.to_owned(),
        (Some(default), None) => format!("`{default}`"),
        (None, None) if key["required"] == true => "must be said".to_owned(),
        (None, None) => "none".to_owned(),
    };
    let count = key.get("count").map(|count| match (count.get("least"), count.get("most")) {
        (Some(least), Some(most)) => format!("{least} to {most} of them"),
        (None, Some(most)) => format!("{most} of them at most"),
        (Some(least), None) => format!("{least} of them at least"),
        (None, None) => String::new(),
    });
    let limits: Vec<_> = range(key).into_iter().chain(count).collect();
    let mut about = key["about"].as_str().unwrap().to_owned();
    let beside = |list: &Value, what: &str| match words(list).as_slice() {
        [] => String::new(),
        words => format!(" {what} {}.", code(words)),
    };
    about += &beside(&key["needs"], "Needs");
    about += &beside(&key["with"], "Goes with");
    let cells = [format!("`{name}`"), kind, default, limits.join("; "), about];
    format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// A type as people say it.
fn spoken(kind: &str) -> String {
    match kind {
        "duration" => "time".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "`true` `false`".to_owned(),
        "true" | "never" => format!("`{kind}`"),
        "url" => "URL".to_owned(),
        "url template" => "URL with placeholders".to_owned(),
        "secret text" => "secret".to_owned(),
        "sent headers" => "headers".to_owned(),
        "json" => "any".to_owned(),
        _ if kind.starts_with("table ") => "table".to_owned(),
        _ if kind.starts_with("list of table ") => "list of tables".to_owned(),
        _ if kind.starts_with("list of ") => format!("{}s", kind.trim_end_matches('s')),
        _ => kind.to_owned(),
    }
}

fn code(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_tables_of_options_in_the_manual_are_made_of_the_declarations() {
    let mut tables = 0;
    for entry in fs::read_dir(path("docs")).unwrap() {
        let name = format!("docs/{}", entry.unwrap().file_name().to_str().unwrap());
        let mut rest = fs::read_to_string(path(&name)).unwrap();
        let mut made = String::new();
        while let Some((before, after)) = rest.split_once("<!-- keys of ") {
            let (mark, after) = after.split_once(" -->").unwrap();
            let (_, after) = after.split_once("<!-- end of keys -->").unwrap();
            let (table, only) = mark.split_once(' ').unwrap_or((mark, ""));
            let table = manual_table(table, only);
            made += &format!("{before}<!-- keys of {mark} -->\n{table}\n<!-- end of keys -->");
            rest = after.to_owned();
            tables += 1;
        }
        is_made(&name, &(made + &rest));
    }
    assert!(tables >= 8, "only {tables} tables are made");
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
    found.iter().filter(|d| d.level == DiagnosticLevel::Error).map(|d| d.message.clone()).collect()
}

#[test]
fn the_configuration_that_has_every_table_is_in_order() {
    assert_eq!(errors(&with("", "")), Vec::<String>::new());
}

/// The places of [`ALL`] and the tables that stand there.
const PLACES: [(&str, &str); 10] = [
    ("root", "main"),
    ("stage", "stage"),
    ("deployment", "deployment"),
    ("target", "target"),
    ("run", "step"),
    ("probe", "step"),
    ("socket", "socket"),
    ("cure", "cure"),
    ("statuspage", "statuspage"),
    ("rule", "rule"),
];

#[test]
fn a_default_changes_nothing_where_it_is_written() {
    let language = language();
    let plan = |text: &str| {
        let file = SourceFile { path: "a.toml".into(), text: text.into() };
        let compiled =
            compile(&file, &[]).map_err(|wrong| wrong.render(rollguard::config::Color::Plain));
        compiled.map(|compiled| (compiled.settings, compiled.plan))
    };
    let mut seen = 0;
    for (place, table) in PLACES {
        for (key, declared) in keys(&language, table) {
            let with = words(&declared["with"]);
            let is_foreign = !with.is_empty() && !with.contains(&place);
            let Some(default) = declared.get("default").filter(|_| !is_foreign) else { continue };
            if key == "rules" {
                continue;
            }
            // A share means something only beside a time.
            let needs = if key == "share" { "for = \"1m\"\n" } else { "" };
            let without = plan(&self::with(place, needs)).unwrap();
            let changed = plan(&self::with(place, &format!("{needs}{key} = {default}")));
            assert_eq!(changed.as_ref().ok(), Some(&without), "{place} {key} {changed:?}");
            seen += 1;
        }
    }
    assert!(seen >= 18, "only {seen} defaults were tried");
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
