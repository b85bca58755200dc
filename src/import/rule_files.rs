//! Reads alerting and recording rules from YAML as they stand in the files. Keys without a meaning
//! here are kept for notes. Expressions are not looked at.

use std::rc::Rc;

use super::spot::Spot;
use super::yaml::{Content, Node, YamlError, read};

/// The most rules of all files together: ten times the largest set that is published.
const MAX_RULES: usize = 20_000;

/// The longest expression in bytes. What is longer was written by a program.
const MAX_EXPR: usize = 16 << 10;

/// The keys of an alert that mean something here.
const KEYS: [&str; 6] = ["alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

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
        for root in read(file, text)?.iter().filter(|root| !root.is_null()) {
            // A Kubernetes resource holds the groups in its `spec`.
            let root = root.get("spec").unwrap_or(root);
            let none = || wrong(root, "there is no `groups`, as a file of rules has");
            for group in list(root.get("groups").ok_or_else(none)?, "groups")? {
                if group.map().is_none() {
                    return Err(wrong(group, "a group is a mapping with `name` and `rules`"));
                }
                let name =
                    group.get("name").map_or(Ok(String::new()), |name| text_of(name, "name"))?;
                let labels = pairs(group, "labels")?;
                for rule in group.get("rules").map_or(Ok(&[][..]), |rules| list(rules, "rules"))? {
                    self.rule(rule, &name, &labels)?;
                }
            }
        }
        Ok(())
    }

    fn rule(
        &mut self,
        rule: &Node,
        group: &str,
        group_labels: &[(String, String)],
    ) -> Result<(), YamlError> {
        if self.alerts.len() + self.records.len() >= MAX_RULES {
            return Err(wrong(rule, &format!("more than {MAX_RULES} rules")));
        }
        let expr = rule.get("expr").ok_or_else(|| wrong(rule, "a rule without `expr`"))?;
        let text = text_of(expr, "expr")?;
        if text.len() > MAX_EXPR {
            return Err(wrong(expr, &format!("an expression longer than {MAX_EXPR} bytes")));
        }
        let expr = ExprText { text, spots: expr.spots() };
        let mut labels = pairs(rule, "labels")?;
        labels.extend(group_labels.iter().cloned());
        if let Some(record) = rule.get("record") {
            let labels = labels.into_iter().map(|(name, _)| name).collect();
            self.records.push(RecordingRule { name: text_of(record, "record")?, expr, labels });
            return Ok(());
        }
        let alert = rule.get("alert");
        let alert = alert.ok_or_else(|| wrong(rule, "a rule with neither `alert` nor `record`"))?;
        let keys = rule.map().unwrap_or_default().iter().map(|(key, _)| key);
        self.alerts.push(AlertingRule {
            name: text_of(alert, "alert")?,
            group: group.to_owned(),
            spot: alert.spot,
            expr,
            hold: optional(rule, "for")?,
            keep: optional(rule, "keep_firing_for")?,
            labels,
            annotations: pairs(rule, "annotations")?,
            unknown_keys: keys.filter(|key| !KEYS.contains(&&***key)).cloned().collect(),
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

fn text_of(node: &Node, what: &str) -> Result<String, YamlError> {
    let text = node.text().ok_or_else(|| wrong(node, &format!("`{what}` is not a text")))?;
    Ok(text.to_owned())
}

fn optional(rule: &Node, key: &str) -> Result<Option<(String, Spot)>, YamlError> {
    let node = rule.get(key).filter(|node| !node.is_null());
    node.map(|node| Ok((text_of(node, key)?, node.spot))).transpose()
}

/// Labels or annotations.
fn pairs(of: &Node, what: &str) -> Result<Vec<(String, String)>, YamlError> {
    let Some(node) = of.get(what).filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let map = node.map().ok_or_else(|| wrong(node, &format!("`{what}` is not a mapping")))?;
    map.iter().map(|(key, value)| Ok((key.clone(), text_of(value, what)?))).collect()
}
