//! Groups: a signal that is read by labels has a reading for each combination of their values.

use std::fmt;
use std::sync::Arc;

/// The most groups of one signal on one target. A rule over groups is for instances, routes or
/// tenants that a person can be told of; more is a label that never stops inventing values.
pub const MAX_GROUPS: usize = 1000;

/// The longest text of a group, in bytes; what is longer is no name of anything.
const MAX_TEXT: usize = 1024;

/// One combination of the values of a signal's `by` labels, as text: `instance="a:1"`. Signals
/// that are not read by labels have one group, which is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Option<Arc<str>>);

impl Group {
    /// The group of everything.
    pub const ALL: Self = Self(None);

    /// All groups beyond [`MAX_GROUPS`], of which nothing is known but that there are some.
    pub fn others() -> Self {
        // No other text begins like this: each is that of a label.
        Self(Some("(others)".into()))
    }

    /// The group of a series, whose labels `label` answers. Values too long to be shown are cut.
    pub fn of<'a>(by: &[String], label: impl Fn(&str) -> &'a str) -> Self {
        if by.is_empty() {
            return Self::ALL;
        }
        let pairs: Vec<String> =
            by.iter().map(|name| format!("{name}={:?}", label(name))).collect();
        let mut text = pairs.join(",");
        if text.len() > MAX_TEXT {
            let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or_default());
        }
        Self(Some(text.into()))
    }

    /// Whether a series with this label may be of the group, which is by that label. Of a text that
    /// was cut nobody knows.
    pub fn may_have(&self, label: &str, value: &str) -> bool {
        let text = self.text().unwrap_or_default();
        // Cutting takes at most the rest of one character more.
        text.len() > MAX_TEXT - 4 || text.contains(&format!("{label}={value:?}"))
    }

    /// A group by its text, as [`Display`](fmt::Display) shows it.
    pub fn from_text(text: &str) -> Self {
        if text.is_empty() { Self::ALL } else { Self(Some(text.into())) }
    }

    /// The text; `None` for the group of everything.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().unwrap_or_default())
    }
}
