//! What can be asked of every event, whatever its kind.

use crate::model::alert::StateChange;
use crate::model::name::DeploymentId;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The guard itself. Its entry may name a deployment, which was guarded at that time.
    Guard,
    /// The deployment that its entry names.
    Deployment,
    /// The drill whose id its entry names.
    Drill,
}

/// How much attention an event deserves in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything goes as it should.
    Info,
    /// Somebody should look at it.
    Warning,
    /// A person is needed.
    Error,
}

/// A group of kinds. The defaults are what is true of most kinds.
pub trait EventGroup {
    /// What the event is about.
    fn scope(&self) -> Scope {
        Scope::Deployment
    }

    /// How much attention it deserves.
    fn level(&self) -> Level {
        Level::Info
    }

    /// Whether it belongs to the story of its deployment. A report keeps what does, and drops the
    /// others first where there are too many entries.
    fn is_story(&self) -> bool {
        true
    }

    /// The change of state that people may be told of, where the entry names this deployment.
    fn alert(&self, _deployment: &DeploymentId) -> Option<StateChange> {
        None
    }
}
