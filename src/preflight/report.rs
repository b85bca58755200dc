//! The findings of a preflight as plain values. The field names are documented and stable.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How good or bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// It was seen to work.
    Ok,
    /// It may be in the way, or cannot be seen from here.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How good or bad it is.
    pub level: FindingLevel,
    /// What it is, in a line; it holds no secret.
    pub what: String,
    /// What is to be done, unless it is fine.
    pub remedy: Option<String>,
}

impl Finding {
    /// Something that works.
    pub fn ok(what: impl Into<String>) -> Self {
        Self { level: FindingLevel::Ok, what: what.into(), remedy: None }
    }

    /// Something that may be in the way.
    pub fn warn(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: FindingLevel::Warn, what: what.into(), remedy: Some(remedy.into()) }
    }

    /// Something that does not work.
    pub fn fail(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: FindingLevel::Fail, what: what.into(), remedy: Some(remedy.into()) }
    }
}

/// What was found about one hook, target or channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingGroup {
    /// What it is about: `hook rollback`.
    pub group: String,
    /// In the order of the checks.
    pub findings: Vec<Finding>,
}

/// Which process ran the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inside {
    /// The daemon: its user, its environment, its sandbox.
    Daemon,
    /// The command, which has those of whoever ran it.
    Command,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightReport {
    /// rollguard's own version.
    pub rollguard: String,
    /// Which process ran the checks.
    pub inside: Inside,
    /// The id of that process.
    pub pid: u32,
    /// The effective user of that process.
    pub uid: u32,
    /// The configuration that was checked.
    pub config: PathBuf,
    /// What was found.
    pub groups: Vec<FindingGroup>,
}

impl PreflightReport {
    /// The worst of all findings.
    pub fn worst(&self) -> FindingLevel {
        self.levels().max().unwrap_or(FindingLevel::Ok)
    }

    /// How many findings there are of a level.
    pub fn count(&self, wanted: FindingLevel) -> usize {
        self.levels().filter(|level| *level == wanted).count()
    }

    fn levels(&self) -> impl Iterator<Item = FindingLevel> {
        self.groups.iter().flat_map(|group| &group.findings).map(|finding| finding.level)
    }
}
