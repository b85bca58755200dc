//! Reads alerting and recording rules from YAML as they stand in the files. Keys without a meaning
//! here are kept for notes. Expressions are not looked at.

use std::rc::Rc;

use super::spot::{FileChars, Spot};
use super::yaml::{Content, Node, YamlError, read};

/// The most rules of all files together: ten times the largest set that is published.
const MAX_RULES: usize = 20_000;

/// The longest expression in bytes. What is longer was written by a program.
const MAX_EXPR: usize = 16 << 10;

/// The text of an expression and the spot of each of its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct ExprText {
    pub(super) text: String,
    spots: Vec<Spot>,
}

impl ExprText {
    /// The spot of a byte; behind the last one that of the end.
    pub(super) fn spot(&self, at: usize) -> Spot {
        self.spots.get(at).or(self.spots.last()).copied().unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct AlertingRule {
    pub(super) name: String,
    pub(super) group: String,
    /// Where `alert:` names it.
    pub(super) spot: Spot,
    pub(super) expr: ExprText,
    /// `for`.
    pub(super) hold: Option<(String, Spot)>,
    /// `keep_firing_for`.
    pub(super) keep: Option<(String, Spot)>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) unknown_keys: Vec<String>,
}

/// The value of a label or an annotation.
pub(super) fn find<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[derive(Clone, Debug)]
pub(super) struct RecordingRule {
    pub(super) name: String,
    pub(super) expr: ExprText,
    /// Labels that it adds.
    pub(super) labels: Vec<String>,
}

/// Every rule of the files read so far.
#[derive(Debug, Default)]
pub(super) struct RuleFiles {
    pub(super) alerts: Vec<AlertingRule>,
    pub(super) records: Vec<RecordingRule>,
}

impl RuleFiles {
    /// Adds the rules of a file; `file` is its index.
    pub(super) fn read(&mut self, file: usize, text: &str) -> Result<(), YamlError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let chars = FileChars::new(file, text);
        for root in read(&chars, text)?.iter().filter(|root| !root.is_null()) {
            // A Kubernetes resource holds the groups in its `spec`.
            let root = root.get("spec").unwrap_or(root);
            let none = || wrong(root, "there is no `groups`, as a file of rules has");
            for group in list(root.get("groups").ok_or_else(none)?, "groups")? {
                self.group(group, &chars)?;
            }
        }
        Ok(())
    }

    fn group(&mut self, group: &Node, chars: &FileChars) -> Result<(), YamlError> {
        if group.map().is_none() {
            return Err(wrong(group, "a group is a mapping with `name` and `rules`"));
        }
        let name = group.get("name").map_or(Ok(String::new()), |name| text(name, "name"))?;
        let labels = pairs(group.get("labels"), "labels")?;
        let Some(rules) = group.get("rules") else { return Ok(()) };
        for rule in list(rules, "rules")? {
            if self.alerts.len() + self.records.len() >= MAX_RULES {
                return Err(wrong(rule, &format!("more than {MAX_RULES} rules")));
            }
            self.rule(rule, &name, &labels, chars)?;
        }
        Ok(())
    }

    fn rule(
        &mut self,
        rule: &Node,
        group: &str,
        group_labels: &[(String, String)],
        chars: &FileChars,
    ) -> Result<(), YamlError> {
        let expr = rule.get("expr").ok_or_else(|| wrong(rule, "a rule without `expr`"))?;
        let expr = expr_text(expr, chars)?;
        let mut labels = pairs(rule.get("labels"), "labels")?;
        labels.extend(group_labels.iter().cloned());
        if let Some(record) = rule.get("record") {
            let labels = labels.into_iter().map(|(name, _)| name).collect();
            self.records.push(RecordingRule { name: text(record, "record")?, expr, labels });
            return Ok(());
        }
        let alert = rule.get("alert");
        let alert = alert.ok_or_else(|| wrong(rule, "a rule with neither `alert` nor `record`"))?;
        self.alerts.push(AlertingRule {
            name: text(alert, "alert")?,
            group: group.to_owned(),
            spot: alert.spot,
            expr,
            hold: optional(rule, "for")?,
            keep: optional(rule, "keep_firing_for")?,
            labels,
            annotations: pairs(rule.get("annotations"), "annotations")?,
            unknown_keys: unknown_keys(rule),
        });
        Ok(())
    }
}

fn wrong(node: &Node, reason: &str) -> YamlError {
    YamlError { spot: node.spot, reason: reason.to_owned() }
}

fn list<'n>(node: &'n Node, what: &str) -> Result<&'n [Rc<Node>], YamlError> {
    match &node.content {
        Content::List(items) => Ok(items),
        Content::Scalar(..) if node.is_null() => Ok(&[]),
        Content::Scalar(..) | Content::Map(_) => {
            Err(wrong(node, &format!("`{what}` is not a list")))
        }
    }
}

fn text(node: &Node, what: &str) -> Result<String, YamlError> {
    let text = node.text().ok_or_else(|| wrong(node, &format!("`{what}` is not a text")))?;
    Ok(text.to_owned())
}

fn optional(rule: &Node, key: &str) -> Result<Option<(String, Spot)>, YamlError> {
    let node = rule.get(key).filter(|node| !node.is_null());
    node.map(|node| Ok((text(node, key)?, node.spot))).transpose()
}

fn expr_text(node: &Node, chars: &FileChars) -> Result<ExprText, YamlError> {
    let text = text(node, "expr")?;
    if text.len() > MAX_EXPR {
        return Err(wrong(node, &format!("an expression longer than {MAX_EXPR} bytes")));
    }
    Ok(ExprText { text, spots: node.spots(chars) })
}

/// Labels or annotations.
fn pairs(node: Option<&Node>, what: &str) -> Result<Vec<(String, String)>, YamlError> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let map = node.map().ok_or_else(|| wrong(node, &format!("`{what}` is not a mapping")))?;
    map.iter().map(|(key, value)| Ok((key.clone(), text(value, what)?))).collect()
}

fn unknown_keys(rule: &Node) -> Vec<String> {
    const KNOWN: [&str; 6] = ["alert", "expr", "for", "keep_firing_for", "labels", "annotations"];
    let keys = rule.map().unwrap_or_default().iter().map(|(key, _)| key.clone());
    keys.filter(|key| !KNOWN.contains(&key.as_str())).collect()
}
