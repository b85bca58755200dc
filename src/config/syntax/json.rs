//! TOML values as JSON: what a probe expects of a document, and documents that are sent.

use serde_json::{Map, Number, Value};
use toml::de::DeValue;

use crate::model::hook::{Piece, Template};
use crate::model::step::Json;

use super::diagnostic::Diagnostic;
use super::errors::Sink;
use super::template::template;
use super::tree::{Entry, Item};

/// The value as JSON. Dates are refused: JSON has none.
pub(crate) fn json(item: Item<'_>, sink: &mut Sink) -> Option<Value> {
    match item.value() {
        DeValue::String(text) => plain(item, text, sink),
        DeValue::Boolean(truth) => Some(Value::Bool(*truth)),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            read.ok().map(|n| Value::Number(n.into())).or_else(|| not_json(item, sink))
        }
        DeValue::Float(number) => {
            let read = number.as_str().parse().ok().and_then(Number::from_f64);
            read.map(Value::Number).or_else(|| not_json(item, sink))
        }
        DeValue::Datetime(_) => not_json(item, sink),
        DeValue::Array(_) => {
            let items: Vec<_> = item.list(sink)?.into_iter().map(|i| json(i, sink)).collect();
            items.into_iter().collect::<Option<_>>().map(Value::Array)
        }
        DeValue::Table(_) => {
            let mut map = Map::new();
            for entry in item.section("the table", sink)?.entries() {
                map.insert(entry.key.to_owned(), json(entry.item, sink)?);
            }
            Some(Value::Object(map))
        }
    }
}

/// The value as JSON whose strings may hold placeholders. What is filled in stays within its
/// string; escaping is the writer's business.
pub(crate) fn json_with_texts(item: Item<'_>, sink: &mut Sink) -> Option<Json<Template>> {
    match item.value() {
        DeValue::String(text) if text.is_empty() => Some(Json::Text(Template::default())),
        DeValue::String(text) if text.trim().is_empty() => {
            Some(Json::Exactly(Value::String(text.to_string())))
        }
        DeValue::String(_) => item.text(sink)?.parse(sink, template).map(Json::Text),
        DeValue::Array(_) => {
            let items = item.list(sink)?.into_iter();
            let items: Vec<_> = items.map(|item| json_with_texts(item, sink)).collect();
            items.into_iter().collect::<Option<_>>().map(Json::List)
        }
        DeValue::Table(_) => {
            let entries = item.section("the table", sink)?.entries().into_iter();
            let read = |entry: Entry<'_>, sink: &mut Sink| {
                Some((entry.key.to_owned(), json_with_texts(entry.item, sink)?))
            };
            let entries: Vec<_> = entries.map(|entry| read(entry, sink)).collect();
            entries.into_iter().collect::<Option<_>>().map(Json::Table)
        }
        DeValue::Boolean(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
            json(item, sink).map(Json::Exactly)
        }
    }
}

/// A string without placeholders: deep within a document nobody would fill them in.
fn plain(item: Item<'_>, text: &str, sink: &mut Sink) -> Option<Value> {
    if template(text).is_ok_and(|template| !template.0.iter().any(is_placeholder)) {
        return Some(Value::String(text.to_owned()));
    }
    let message = "a placeholder is not filled in here";
    let error = Diagnostic::error(item.place(), message);
    sink.report(error.help("let `pointer` lead to the string and `equals` be the string"));
    None
}

const fn is_placeholder(piece: &Piece) -> bool {
    match piece {
        Piece::Fill(_) => true,
        Piece::Text(_) => false,
    }
}

fn not_json(item: Item<'_>, sink: &mut Sink) -> Option<Value> {
    sink.report(Diagnostic::error(item.place(), "JSON has no such value"));
    None
}
