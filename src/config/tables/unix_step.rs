//! `unix` steps: lines that are sent to a socket, and what must be replied.

use crate::model::hook::{Placeholder, Template};
use crate::model::step::{Action, Connections, ReplyTest, UnixCall};

use super::secret::no_control;
use crate::config::syntax::{ErrorSink, TextError, TomlTable, TomlValue, template};

/// The most that a regular expression over a reply may take once compiled, in bytes; the same as
/// for a matcher.
const MAX_REGEX: usize = 64 * 1024;

/// `unix = { path, send, expect, connections }`
pub(crate) fn unix_action(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Action<Template>> {
    let table = TomlTable::of(value, "socket", sink)?;
    table.check_keys(sink);
    let path = table.read("path", sink, TomlValue::path);
    let send = table.read("send", sink, |value, sink| value.each(sink, line));
    // By default nothing: sockets of this kind say in words what is not well.
    let expect = table.read("expect", sink, reply);
    let words = [("each", Connections::Each), ("one", Connections::One)];
    let connections = table.read("connections", sink, |value, sink| value.choice(&words, sink));
    let call = UnixCall { path: path?, send: send?, expect: expect?, connections: connections? };
    Some(Action::Unix(Box::new(call)))
}

/// A command. What is filled in must not be able to become another one: names hold neither line
/// breaks nor `;`, but a reason is free text.
fn line(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Template> {
    value.parse(sink, |text| {
        no_control(text)?;
        let line = template(text)?;
        if line.names(Placeholder::Reason) {
            let at = text.find("{reason}").unwrap_or(0);
            let span = at..at + "{reason}".len();
            let error = TextError::new(span, "a reason is no part of a command");
            return Err(error.help("it is free text, and could hold a second command"));
        }
        Ok(line)
    })
}

/// What must be replied: a text, or `{ contains }`, `{ prefix }` or `{ matches }`.
pub(crate) fn reply(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<ReplyTest> {
    if let Some(text) = value.as_str() {
        return Some(ReplyTest::Exactly(text.trim().to_owned()));
    }
    let table = TomlTable::of(value, "reply", sink)?;
    if !table.check_keys(sink) {
        return None;
    }
    match (table.get("contains"), table.get("prefix"), table.get("matches")) {
        (Some(value), None, None) => value.string(sink).map(ReplyTest::Contains),
        (None, Some(value), None) => value.string(sink).map(ReplyTest::Prefix),
        (None, None, Some(value)) => value.parse(sink, regex),
        _ => {
            let message = "a reply is a text, or has one of `contains`, `prefix` and `matches`";
            sink.refuse(value.error(message))
        }
    }
}

fn regex(text: &str) -> Result<ReplyTest, TextError> {
    let built = regex_lite::RegexBuilder::new(text).size_limit(MAX_REGEX).build();
    let wrong = |error| TextError::new(0..text.len(), format!("not a regular expression: {error}"));
    built.map(ReplyTest::Matches).map_err(wrong)
}
