//! Quarantine: the versions that were rolled back, so that none is deployed again by mistake or
//! taken for a good one. A version leaves it by surviving a bake. It is durable state and changes
//! only by journal entries.

use std::collections::VecDeque;

use crate::model::entry::Decision;
use crate::model::name::{DeploymentId, Version};
use crate::model::time::Timestamp;

use crate::engine::command::{Force, Rejection};
use crate::engine::guard::Guard;
use crate::engine::view::snapshot::Quarantined;

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

impl Guard {
    /// Whether a version that begins was rolled back before, and somebody insists on it.
    ///
    /// # Errors
    /// It was, and nobody does.
    pub(crate) fn admit(&self, version: &Version, force: Force) -> Result<bool, Rejection> {
        match (self.log.state().quarantine.of(version), force) {
            (None, _) => Ok(false),
            (Some(_), Force::Yes) => Ok(true),
            (Some(known), Force::No) => Err(Rejection::Quarantined(Box::new(known.clone()))),
        }
    }

    /// The last version that baked, unless it was rolled back.
    pub(crate) fn good_by_default(&self) -> Option<Version> {
        let good = self.log.state().good.clone();
        good.filter(|good| self.log.state().quarantine.of(good).is_none())
    }

    /// The good version, for whoever begins a deployment.
    pub(crate) fn describe_good(&self, good: Option<&Version>) -> String {
        let Some(good) = good else { return "no good version is known".to_owned() };
        let rolled_back = self.log.state().quarantine.of(good);
        let doubt = rolled_back.map(|known| format!(", which was rolled back at {}", known.at));
        format!("the good version is {good}{}", doubt.unwrap_or_default())
    }
}
