//! TOML values as JSON: what a probe expects of a document, and documents that are sent.

use serde_json::{Map, Number, Value};
use toml::de::DeValue;

use crate::model::hook::{Piece, Template};
use crate::model::step::Json;

use super::template::template;
use super::value::{TomlValue, all};

/// The value as JSON. Dates are refused: JSON has none.
pub(crate) fn json(value: TomlValue<'_>) -> Option<Value> {
    match value.toml() {
        DeValue::String(text) => plain(value, text),
        DeValue::Boolean(truth) => Some(Value::Bool(*truth)),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            read.ok().map(|n| Value::Number(n.into())).or_else(|| not_json(value))
        }
        DeValue::Float(number) => {
            let read = number.as_str().parse().ok().and_then(Number::from_f64);
            read.map(Value::Number).or_else(|| not_json(value))
        }
        DeValue::Datetime(_) => not_json(value),
        DeValue::Array(_) => value.each(json).map(Value::Array),
        DeValue::Table(_) => {
            let mut map = Map::new();
            for entry in value.entries()? {
                map.insert(entry.key.to_owned(), json(entry.value)?);
            }
            Some(Value::Object(map))
        }
    }
}

/// The value as JSON whose strings may hold placeholders. What is filled in stays within its
/// string; escaping is the writer's business.
pub(crate) fn json_with_texts(value: TomlValue<'_>) -> Option<Json<Template>> {
    match value.toml() {
        DeValue::String(text) if text.is_empty() => Some(Json::Text(Template::default())),
        DeValue::String(text) if text.trim().is_empty() => {
            Some(Json::Exactly(Value::String(text.to_string())))
        }
        DeValue::String(_) => value.parse(template).map(Json::Text),
        DeValue::Array(_) => value.each(json_with_texts).map(Json::List),
        DeValue::Table(_) => {
            let entries = value.entries()?.into_iter();
            let read =
                entries.map(|entry| Some((entry.key.to_owned(), json_with_texts(entry.value)?)));
            all(read).map(Json::Table)
        }
        DeValue::Boolean(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
            json(value).map(Json::Exactly)
        }
    }
}

/// A string without placeholders: deep within a document nobody would fill them in.
fn plain(value: TomlValue<'_>, text: &str) -> Option<Value> {
    let is_placeholder = |piece: &Piece| matches!(piece, Piece::Fill(_));
    if template(text).is_ok_and(|template| !template.0.iter().any(is_placeholder)) {
        return Some(Value::String(text.to_owned()));
    }
    let error = value.error("a placeholder is not filled in here");
    value.cx.refuse(error.help("let `pointer` lead to the string and `equals` be the string"))
}

fn not_json<T>(value: TomlValue<'_>) -> Option<T> {
    value.refuse("JSON has no such value")
}
