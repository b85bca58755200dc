//! Whether an answer is what a step expects, for HTTP, probes and sockets alike. What is shown of
//! an answer holds no secret, is short and drives no terminal.

use serde_json::Value;

use crate::model::step::ReplyTest;
use crate::net::redact::{Secrets, neutral};

/// How much of an unexpected answer is shown, in characters: a line or two.
const MAX_SHOWN: usize = 200;

/// Compares a JSON document at one place. The error shows no secret.
pub(super) fn check_json(
    body: &[u8],
    pointer: &str,
    expected: &Value,
    secrets: &Secrets,
) -> Result<(), String> {
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    match document.pointer(pointer) {
        Some(found) if same(found, expected) => Ok(()),
        Some(found) => Err(format!(
            "{pointer} is {}, expected {}",
            shown(found, secrets),
            shown(expected, secrets)
        )),
        None => Err(format!("{pointer} is missing, expected {}", shown(expected, secrets))),
    }
}

/// Equal as JSON means it, which has one kind of number: `1` is `1.0`.
fn same(found: &Value, expected: &Value) -> bool {
    found == expected
        || found.as_f64().zip(expected.as_f64()).is_some_and(|(found, expected)| found == expected)
}

/// A value, shortened only once no secret is in it: a part of one could not be told any more.
fn shown(value: &Value, secrets: &Secrets) -> String {
    let text = neutral(&secrets.hide(&value.to_string()));
    shortened(&text, MAX_SHOWN)
}

/// Compares a reply with what is expected; the error shows both, the reply shortened once no secret
/// is in it.
pub(super) fn check_text(reply: &str, test: &ReplyTest, secrets: &Secrets) -> Result<(), String> {
    if test.accepts(reply) {
        return Ok(());
    }
    let said = shortened(secrets.hide(reply).trim(), MAX_SHOWN);
    let said = if said.is_empty() { "nothing".to_owned() } else { format!("{said:?}") };
    Err(format!("the answer is {said}, expected {test}"))
}

/// The text, or so many characters of it and an ellipsis.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_answer_is_compared_at_its_place() {
        let check = |expected: Value, why: Option<&str>| {
            let body = br#"{"status":"starting","replicas":2,"a/b":[true,null]}"#;
            let pointer = match &expected {
                Value::Number(_) => "/replicas",
                Value::Bool(_) => "/a~1b/0",
                Value::Null => "/nothing",
                Value::String(_) | Value::Array(_) | Value::Object(_) => "/status",
            };
            assert_eq!(
                check_json(body, pointer, &expected, &Secrets::default()).err().as_deref(),
                why
            );
        };
        check(json!("starting"), None);
        check(json!("ok"), Some("/status is \"starting\", expected \"ok\""));
        check(json!(2), None);
        check(json!(2.0), None);
        check(json!(3), Some("/replicas is 2, expected 3"));
        check(json!(true), None);
        check(json!(null), Some("/nothing is missing, expected null"));
    }

    #[test]
    fn what_a_stranger_answers_is_shown_shortened_and_harmless() {
        let value = json!("\u{1b}[31m\u{202E}".repeat(100));
        let text = shown(&value, &Secrets::default());
        assert_eq!(text.chars().count(), MAX_SHOWN + 1);
        assert!(!text.contains(['\u{1b}', '\u{202E}']), "{text}");
    }

    #[test]
    fn a_body_that_is_not_json_says_so() {
        let why = check_json(b"<html>", "/status", &json!("ok"), &Secrets::default()).unwrap_err();
        assert!(why.starts_with("the body is not JSON"), "{why}");
    }
}
