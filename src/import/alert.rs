//! Alerts and recording rules, as the files hold them. Keys that mean nothing here are kept as
//! notes; what an expression says is not looked at.

use std::rc::Rc;
use std::time::Duration;

use super::place::{Chars, Spot};
use super::yaml::{Node, Text, Value, YamlError, read};

/// The most rules of all files together: ten times the largest set that is published.
const MAX_RULES: usize = 20_000;

/// The longest expression in bytes. What is longer was written by a program.
pub(super) const MAX_EXPR: usize = 16 << 10;

/// An expression's text and where each of its characters stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    pub(super) text: String,
    pub(super) spots: Vec<Spot>,
}

/// An alerting rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Alert {
    pub(super) name: String,
    pub(super) group: String,
    /// Where `alert:` names it.
    pub(super) spot: Spot,
    pub(super) expr: Source,
    pub(super) hold: Option<(String, Spot)>,
    pub(super) keep: Option<(String, Spot)>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) annotations: Vec<(String, String)>,
    /// Keys that are not known.
    pub(super) unknown: Vec<(String, Spot)>,
}

/// A recording rule.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) expr: Source,
    /// Labels that it adds.
    pub(super) labels: Vec<String>,
}

/// Every rule of some files.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) alerts: Vec<Alert>,
    pub(super) records: Vec<Record>,
}

impl Rules {
    /// Adds the rules of a file, the `file`th.
    pub(super) fn read(&mut self, file: usize, text: &str) -> Result<(), YamlError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let chars = Chars::new(file, text);
        for document in read(&chars, text)? {
            if !document.is_null() {
                self.document(&document, &chars)?;
            }
        }
        Ok(())
    }

    /// A file of groups, or a Kubernetes resource that holds one.
    fn document(&mut self, root: &Node, chars: &Chars) -> Result<(), YamlError> {
        let root = root.get("spec").map_or(root, |spec| spec);
        let Some(groups) = root.get("groups") else {
            return Err(wrong(root, "there is no `groups`, as a file of rules has"));
        };
        for group in list(groups, "groups")? {
            self.group(group, chars)?;
        }
        Ok(())
    }

    fn group(&mut self, group: &Node, chars: &Chars) -> Result<(), YamlError> {
        if !matches!(group.value, Value::Map(_)) {
            return Err(wrong(group, "a group is a mapping with `name` and `rules`"));
        }
        let name = match group.get("name") {
            Some(name) => text(name, "name")?.value.clone(),
            None => String::new(),
        };
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
        shared: &[(String, String)],
        chars: &Chars,
    ) -> Result<(), YamlError> {
        let Some(expr) = rule.get("expr") else {
            return Err(wrong(rule, "a rule without `expr`"));
        };
        let expr = source(expr, chars)?;
        let labels = pairs(rule.get("labels"), "labels")?;
        if let Some(record) = rule.get("record") {
            let name = text(record, "record")?.value.clone();
            let labels = labels.into_iter().chain(shared.iter().cloned()).map(|(name, _)| name);
            self.records.push(Record { name, expr, labels: labels.collect() });
            return Ok(());
        }
        let Some(alert) = rule.get("alert") else {
            return Err(wrong(rule, "a rule with neither `alert` nor `record`"));
        };
        let mut all = labels;
        all.extend(shared.iter().cloned());
        self.alerts.push(Alert {
            name: text(alert, "alert")?.value.clone(),
            group: group.to_owned(),
            spot: alert.spot,
            expr,
            hold: scalar(rule, "for")?,
            keep: scalar(rule, "keep_firing_for")?,
            labels: all,
            annotations: pairs(rule.get("annotations"), "annotations")?,
            unknown: unknown(rule),
        });
        Ok(())
    }
}

fn wrong(node: &Node, reason: &str) -> YamlError {
    YamlError { spot: node.spot, reason: reason.to_owned() }
}

fn list<'n>(node: &'n Node, what: &str) -> Result<&'n [Rc<Node>], YamlError> {
    match &node.value {
        Value::List(items) => Ok(items),
        Value::Text(text) if text.is_null() => Ok(&[]),
        Value::Text(_) | Value::Map(_) => Err(wrong(node, &format!("`{what}` is not a list"))),
    }
}

fn text<'n>(node: &'n Node, what: &str) -> Result<&'n Text, YamlError> {
    node.text().ok_or_else(|| wrong(node, &format!("`{what}` is not a text")))
}

fn scalar(rule: &Node, key: &str) -> Result<Option<(String, Spot)>, YamlError> {
    let Some(node) = rule.get(key).filter(|node| !node.is_null()) else { return Ok(None) };
    Ok(Some((text(node, key)?.value.clone(), node.spot)))
}

fn source(node: &Node, chars: &Chars) -> Result<Source, YamlError> {
    let text = text(node, "expr")?;
    if text.value.len() > MAX_EXPR {
        return Err(wrong(node, &format!("an expression longer than {MAX_EXPR} bytes")));
    }
    Ok(Source { text: text.value.clone(), spots: text.spots(chars) })
}

/// Labels or annotations.
fn pairs(node: Option<&Rc<Node>>, what: &str) -> Result<Vec<(String, String)>, YamlError> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let Value::Map(entries) = &node.value else {
        return Err(wrong(node, &format!("`{what}` is not a mapping")));
    };
    let pair = |(key, value): &(Rc<Node>, Rc<Node>)| {
        Ok((text(key, what)?.value.clone(), text(value, what)?.value.clone()))
    };
    entries.iter().map(pair).collect()
}

fn unknown(rule: &Node) -> Vec<(String, Spot)> {
    const KNOWN: [&str; 6] = ["alert", "expr", "for", "keep_firing_for", "labels", "annotations"];
    let Value::Map(entries) = &rule.value else { return Vec::new() };
    let names = entries.iter().filter_map(|(key, _)| Some((key.text()?.value.clone(), key.spot)));
    names.filter(|(name, _)| !KNOWN.contains(&name.as_str())).collect()
}

/// A duration as Prometheus writes it: `1h30m`, `5m`, `1w`, `0`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let (mut millis, mut next) = (0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = UNITS.iter().position(|(name, _)| *name == &after[..letters])?;
        if unit < next {
            return None;
        }
        next = unit + 1;
        millis = millis.checked_add(count.checked_mul(UNITS[unit].1)?)?;
        rest = &after[letters..];
    }
    (!text.trim().is_empty()).then(|| Duration::from_millis(millis))
}
