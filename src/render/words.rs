//! Phrases that several pages share: who asked, how long something took, how many there are.

use std::time::Duration;

use crate::model::entry::Caller;
use crate::model::time::format_duration;

use super::line::{clip, plain, span};

/// The most columns of a text from elsewhere (a reason, a failure, a command) within a line.
const MAX_TEXT: usize = 200;

/// Puts a text that comes from elsewhere on one line of bounded length.
pub(super) fn text(from_elsewhere: &str) -> String {
    clip(&plain(from_elsewhere), MAX_TEXT)
}

/// Who asked for something.
pub(super) fn caller(caller: &Caller) -> String {
    match caller {
        Caller::Guard => "the guard".to_owned(),
        Caller::Process { pid: Some(pid), uid } => format!("process {pid} of user {uid}"),
        Caller::Process { pid: None, uid } => format!("a process of user {uid}"),
    }
}

/// A span that is recorded in milliseconds.
pub(super) fn span_ms(millis: u64) -> String {
    span(Duration::from_millis(millis))
}

/// The same as the configuration writes it.
pub(super) fn duration_ms(millis: u64) -> String {
    format_duration(Duration::from_millis(millis))
}

/// A time that something took. No time at all reads as less than the clock can tell.
pub(super) fn took(millis: u64) -> String {
    if millis == 0 { "under 1 ms".to_owned() } else { span_ms(millis) }
}

/// A number and what is counted, in the plural where it takes one: `1 rule`, `2 rules`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Names in a row, separated by commas.
pub(super) fn list<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    names.join(", ")
}

/// The same; `None` where there are none.
pub(super) fn names<T: ToString>(names: impl IntoIterator<Item = T>) -> Option<String> {
    Some(list(names)).filter(|names| !names.is_empty())
}

/// How many more there are than are named, as the end of a list; empty where all of them are.
pub(super) fn more(number: usize) -> String {
    if number == 0 { String::new() } else { format!(" and {number} more") }
}

/// The text with `before` in front of it; empty where there is none.
pub(super) fn after(before: &str, text: Option<impl std::fmt::Display>) -> String {
    text.map(|text| format!("{before}{text}")).unwrap_or_default()
}

/// The parts of a page that are not empty, with an empty line between them.
pub(super) fn sections(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}
