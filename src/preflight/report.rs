//! What was found, as plain values. The field names are documented and stable.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How good or bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
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
    pub level: Level,
    /// What it is, in a line; it holds no secret.
    pub what: String,
    /// What is to be done, unless it is fine.
    pub remedy: Option<String>,
}

impl Finding {
    /// Something that works.
    pub fn ok(what: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), remedy: None }
    }

    /// Something that may be in the way.
    pub fn warn(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, what: what.into(), remedy: Some(remedy.into()) }
    }

    /// Something that does not work.
    pub fn fail(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, what: what.into(), remedy: Some(remedy.into()) }
    }
}

/// What was found about one hook, target or channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What it is about: `hook rollback`.
    pub group: String,
    /// In the order of what was looked at.
    pub findings: Vec<Finding>,
}

/// Where it was looked from.
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
pub struct Report {
    /// rollguard's own version.
    pub rollguard: String,
    /// Where it was looked from.
    pub inside: Inside,
    /// The process that looked.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// The configuration that was looked at.
    pub config: PathBuf,
    /// What was found.
    pub groups: Vec<Group>,
}

impl Report {
    /// The worst of all findings.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.count_by().map(|(level, _)| level).max().unwrap_or(Level::Ok)
    }

    /// How many findings there are of a level.
    #[must_use]
    pub fn count(&self, wanted: Level) -> usize {
        self.count_by().filter(|(level, _)| *level == wanted).count()
    }

    fn count_by(&self) -> impl Iterator<Item = (Level, &Finding)> {
        let findings = self.groups.iter().flat_map(|group| &group.findings);
        findings.map(|finding| (finding.level, finding))
    }
}
