//! `arm = "detect"`: a change of the live version is a deployment. What was live when the guard
//! first looked is none, and neither is what the guard itself brings back.

use crate::model::{deployment::Arm, entry::LiveEvent, live::Live, name::Version};

use crate::engine::context::{Cx, ReadCx};
use crate::engine::durable::deployment::{Deployment, Phase};
use crate::engine::policy::quarantine;

/// What was read once, and is believed when it is read again: a file that is just being written,
/// or a service that is just being replaced, says something else.
#[derive(Debug, Default)]
pub(crate) struct VersionChange {
    candidate: Option<Version>,
}

/// What follows from a change of the live version.
#[derive(Debug)]
pub(crate) enum ChangeStep {
    /// Nothing: it was expected, or there is nothing to go back to from it.
    Nothing,
    /// The deployment at hand ends: its good version is live again.
    End,
    /// A deployment of the version that is live begins, with this one to go back to.
    Begin { version: Version, good: Option<Version> },
}

impl VersionChange {
    /// Forgets what was read once.
    pub(crate) fn reset(&mut self) {
        self.candidate = None;
    }

    /// Forgets what was read once, unless it is read again.
    pub(crate) fn confirm(&mut self, live: &Live) {
        if self.candidate.as_ref() != live.version() {
            self.candidate = None;
        }
    }

    /// Takes in a reading. Returns what follows from the change that it shows for certain.
    pub(crate) fn heed(&mut self, cx: &mut Cx<'_>, live: &Live) -> ChangeStep {
        if cx.plan().deployment.arm != Arm::Detect {
            return ChangeStep::Nothing;
        }
        let Live::Version(version) = live else {
            self.candidate = None;
            return ChangeStep::Nothing;
        };
        let is_stable = self.candidate.as_ref() == Some(version);
        self.candidate = Some(version.clone());
        let known = cx.state().live.clone();
        // During a rollback it changes by the guard's own doing.
        let rolling_back = cx.current().is_some_and(|of| of.phase == Phase::RollingBack);
        if !is_stable || known.as_ref() == Some(version) || rolling_back {
            return ChangeStep::Nothing;
        }
        cx.record(LiveEvent::Seen { version: version.clone() });
        known.map_or(ChangeStep::Nothing, |before| follow(cx.read(), &before, version))
    }
}

/// What follows from a change.
fn follow(cx: ReadCx<'_>, before: &Version, version: &Version) -> ChangeStep {
    let current = cx.current();
    let is_good = current.and_then(|current| current.good.as_ref()) == Some(version);
    match current.map(|current| &current.phase) {
        // What was said to come, has come.
        Some(Phase::Guarding) if current.is_some_and(|of| of.version == *version) => {
            ChangeStep::Nothing
        }
        Some(Phase::Guarding) if is_good => ChangeStep::End,
        // The guard's own rollback, seen afterwards.
        Some(Phase::RolledBack | Phase::Failed(_))
            if is_good && current.is_some_and(|of| of.version == *before) =>
        {
            ChangeStep::Nothing
        }
        // There is nothing to go back to from what is good.
        Some(Phase::Baked | Phase::Ended(_)) | None if is_known_good(cx, version) => {
            ChangeStep::Nothing
        }
        Some(_) | None => {
            ChangeStep::Begin { version: version.clone(), good: good_for(cx, before, version) }
        }
    }
}

fn is_known_good(cx: ReadCx<'_>, version: &Version) -> bool {
    let configured = cx.plan().deployment.good.as_ref();
    configured.or(cx.state().good.as_ref()) == Some(version)
}

/// The version to go back to: the configured one, the last that baked, or what was live before.
/// What was not yet found good, or was rolled back, is none: then it is what that one would have
/// gone back to. Only who wrote the configuration may name one in quarantine.
fn good_for(cx: ReadCx<'_>, before: &Version, version: &Version) -> Option<Version> {
    let unproven = |current: &&Deployment| {
        current.version == *before
            && match current.phase {
                Phase::Guarding | Phase::RollingBack | Phase::RolledBack | Phase::Failed(_) => true,
                Phase::Baked | Phase::Ended(_) => false,
            }
    };
    let previous = match cx.current().filter(unproven) {
        Some(current) => current.good.clone(),
        None => Some(before.clone()),
    };
    let previous = previous.filter(|version| cx.state().quarantine.of(version).is_none());
    let by_default = quarantine::good_by_default(cx.state());
    let named = [cx.plan().deployment.good.clone(), by_default, previous];
    named.into_iter().flatten().find(|good| good != version)
}
