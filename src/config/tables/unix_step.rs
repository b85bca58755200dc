//! `unix` steps: lines that are sent to a socket, and what must be replied.

use crate::model::hook::{Placeholder, Template};
use crate::model::step::{Action, ReplyTest, UnixCall};

use super::secret::no_control;
use crate::config::syntax::{Diagnostic, FromToml, TomlTable, TomlValue, template};

/// The most that a regular expression over a reply may take once compiled, in bytes; the same as
/// for a matcher.
const MAX_REGEX: usize = 64 * 1024;

/// `unix = { path, send, expect, connections }`
pub(crate) fn unix_action(value: TomlValue<'_>) -> Option<Action<Template>> {
    let table = TomlTable::of(value, "socket")?;
    let send = table.read_with("send", |value| value.each(line));
    // By default nothing: sockets of this kind say in words what is not well.
    let (path, expect, connections) = table.all(["path", "expect", "connections"])?;
    Some(Action::Unix(Box::new(UnixCall { path, send: send?, expect, connections })))
}

/// A command. What is filled in must not be able to become another one: names hold neither line
/// breaks nor `;`, but a reason is free text.
fn line(value: TomlValue<'_>) -> Option<Template> {
    value.parse(|text| {
        no_control(text)?;
        let line = template(text)?;
        if line.names(Placeholder::Reason) {
            let at = text.find("{reason}").unwrap_or(0);
            let span = at..at + "{reason}".len();
            let error = Diagnostic::new(span, "a reason is no part of a command");
            return Err(error.help("it is free text, and could hold a second command"));
        }
        Ok(line)
    })
}

/// What must be replied: a text, or `{ contains }`, `{ prefix }` or `{ matches }`.
impl FromToml for ReplyTest {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self::Exactly(text.trim().to_owned()));
        }
        let table = TomlTable::unchecked(value, "reply")?;
        if !table.check_keys() {
            return None;
        }
        match (table.get("contains"), table.get("prefix"), table.get("matches")) {
            (Some(value), None, None) => value.string().map(Self::Contains),
            (None, Some(value), None) => value.string().map(Self::Prefix),
            (None, None, Some(value)) => value.parse(regex),
            _ => {
                value.refuse("a reply is a text, or has one of `contains`, `prefix` and `matches`")
            }
        }
    }
}

fn regex(text: &str) -> Result<ReplyTest, Diagnostic> {
    let built = regex_lite::RegexBuilder::new(text).size_limit(MAX_REGEX).build();
    let wrong =
        |error| Diagnostic::new(0..text.len(), format!("not a regular expression: {error}"));
    built.map(ReplyTest::Matches).map_err(wrong)
}
