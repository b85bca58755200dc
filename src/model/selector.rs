//! Which series a signal looks at: `metric{label="v", label!="v", label=~"re", label!~"re"}`, with
//! Prometheus's meaning. Reading the text is `config`'s business; matching is here.

use regex_lite::Regex;

use super::target::Target;

/// A metric name and matchers, all of which must agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The metric's name.
    pub metric: String,
    /// Matchers over the series' labels and its target's own labels.
    pub matchers: Vec<Matcher>,
}

/// One condition on one label. An absent label equals the empty string.
#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    /// The label's name.
    pub label: String,
    /// The condition on its value.
    pub test: Test,
}

/// A condition on a label's value.
#[derive(Clone, Debug)]
pub enum Test {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored at both ends when it was compiled.
    Matches(Regex),
    /// `!~`, anchored at both ends when it was compiled.
    NotMatches(Regex),
}

impl Test {
    /// Whether the value passes.
    pub fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::NotEqual(unwanted) => value != unwanted,
            Self::Matches(regex) => regex.is_match(value),
            Self::NotMatches(regex) => !regex.is_match(value),
        }
    }
}

impl Test {
    /// As a selector writes it.
    pub const fn operator(&self) -> &'static str {
        match self {
            Self::Equal(_) => "=",
            Self::NotEqual(_) => "!=",
            Self::Matches(_) => "=~",
            Self::NotMatches(_) => "!~",
        }
    }

    /// What it compares with, without the anchors that every expression gets.
    pub fn text(&self) -> &str {
        match self {
            Self::Equal(value) | Self::NotEqual(value) => value,
            Self::Matches(regex) | Self::NotMatches(regex) => {
                let text = regex.as_str();
                text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$")).unwrap_or(text)
            }
        }
    }
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        (self.operator(), self.text()) == (other.operator(), other.text())
    }
}

impl Selector {
    /// Whether a series of this metric with these labels is selected. `label` answers the value of
    /// a label, `""` where the series does not have it.
    pub fn accepts<'a>(&self, label: impl Fn(&str) -> &'a str) -> bool {
        self.matchers.iter().all(|matcher| matcher.test.accepts(label(&matcher.label)))
    }

    /// Whether it can match any series of a target, going by the labels that the target gives to
    /// all of them.
    pub fn may_match(&self, target: &Target) -> bool {
        self.matchers.iter().all(|Matcher { label, test }| {
            target.own_label(label).is_none_or(|value| test.accepts(value))
        })
    }

    /// The same selection over another metric: `latency` to `latency_bucket`.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self { metric: format!("{}{suffix}", self.metric), matchers: self.matchers.clone() }
    }
}
