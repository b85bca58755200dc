//! Quarantine: the versions that were rolled back. A version leaves it by surviving a bake.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::entry::Decision;
use crate::model::name::{DeploymentId, Version};
use crate::model::time::Timestamp;

/// How many versions are remembered. Whoever rolls back once a day forgets the first after most of
/// a year; by then nobody deploys it by mistake.
const MAX_VERSIONS: usize = 256;

/// The most characters of a reason that are kept for whoever deploys the version again.
const MAX_WHY: usize = 200;

/// Versions that were rolled back, the latest last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Quarantine(VecDeque<Quarantined>);

impl Quarantine {
    /// Remembers a version that is rolled back.
    pub(crate) fn add(&mut self, deployment: &DeploymentId, at: Timestamp, decision: &Decision) {
        self.lift(&decision.version);
        if self.0.len() >= MAX_VERSIONS {
            self.0.pop_front();
        }
        let reason: String = decision.trigger.reason().chars().take(MAX_WHY).collect();
        let why = match decision.trigger.rule() {
            Some(rule) => format!("rule {}: {reason}", rule.rule),
            None => format!("a person said so: {reason}"),
        };
        let (version, deployment) = (decision.version.clone(), deployment.clone());
        self.0.push_back(Quarantined { version, at, deployment, why });
    }

    /// Forgets a version.
    pub(crate) fn lift(&mut self, version: &Version) {
        self.0.retain(|known| known.version != *version);
    }

    /// What is known of a version.
    pub(crate) fn of(&self, version: &Version) -> Option<&Quarantined> {
        self.0.iter().find(|known| known.version == *version)
    }

    /// All of them, the latest last.
    pub(crate) fn all(&self) -> Vec<Quarantined> {
        self.0.iter().cloned().collect()
    }
}

/// A version that was rolled back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The version.
    pub version: Version,
    /// When that was decided.
    pub at: Timestamp,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Why.
    pub why: String,
}
