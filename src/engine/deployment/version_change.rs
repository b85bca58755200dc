//! `arm = "detect"`: a change of the live version is a deployment. What was live when the guard
//! first looked is none, and neither is what the guard itself brings back.

use crate::model::deployment::Arm;
use crate::model::entry::{Caller, DeploymentEvent, LiveEvent};
use crate::model::live::Live;
use crate::model::name::Version;
use crate::model::time::Moment;

use crate::engine::command::{Force, Terms};
use crate::engine::durable::state::{Deployment, Phase};
use crate::engine::guard::Guard;

impl Guard {
    /// Looks at a reading. It counts when the one before said the same: a file that is just being
    /// written, or a service that is just being replaced, says something else.
    pub(crate) fn heed_change(&mut self, now: Moment, live: &Live) {
        if self.plan().deployment.arm != Arm::Detect {
            return;
        }
        let Live::Version(version) = live else {
            self.live.candidate = None;
            return;
        };
        let is_stable = self.live.candidate.as_ref() == Some(version);
        self.live.candidate = Some(version.clone());
        let known = self.log.state().live.clone();
        // During a rollback it changes by the guard's own doing.
        if is_stable && known.as_ref() != Some(version) && !self.is_rolling_back() {
            let stood = self.stood_until();
            self.record(now, LiveEvent::Seen { version: version.clone() });
            if let Some(before) = known {
                // What was seen since then may be its doing, although nobody knew of it.
                self.live.changed = Some(stood);
                self.change(now, &before, version);
                self.live.changed = None;
            }
        }
    }

    /// Follows a change of the live version.
    fn change(&mut self, now: Moment, before: &Version, version: &Version) {
        let current = self.log.state().current.as_ref();
        let good = current.and_then(|current| current.good.as_ref());
        let is_good = good == Some(version);
        match current.map(|current| &current.phase) {
            // What was said to come, has come.
            Some(Phase::Guarding) if current.is_some_and(|now| now.version == *version) => {}
            Some(Phase::Guarding) if is_good => {
                let reason = format!("the live version is the good version {version} again");
                self.check.give_up();
                self.record(now, DeploymentEvent::Ended { reason, by: Caller::Guard });
            }
            // The guard's own rollback, seen afterwards.
            Some(Phase::RolledBack | Phase::Failed(_))
                if is_good && current.is_some_and(|now| now.version == *before) => {}
            // There is nothing to go back to from what is good.
            Some(Phase::Baked | Phase::Ended(_)) | None if self.is_known_good(version) => {}
            Some(
                Phase::Guarding
                | Phase::RollingBack
                | Phase::RolledBack
                | Phase::Failed(_)
                | Phase::Baked
                | Phase::Ended(_),
            )
            | None => {
                let good = self.good_for(before, version);
                // It is live already, whether or not it was rolled back before.
                let terms = Terms { irreversible: false, force: Force::Yes };
                let begun = self.begin(now, None, version.clone(), good, terms, Caller::Guard);
                debug_assert!(begun.is_ok(), "no rollback is under way and the id is new");
            }
        }
    }

    fn is_known_good(&self, version: &Version) -> bool {
        let configured = self.plan().deployment.good.as_ref();
        configured.or(self.log.state().good.as_ref()) == Some(version)
    }

    /// The version to go back to: the configured one, the last that baked, or what was live
    /// before. What was not yet found good, or was rolled back, is none: then it is what that one
    /// would have gone back to. Only who wrote the configuration may name one in quarantine.
    fn good_for(&self, before: &Version, version: &Version) -> Option<Version> {
        let unproven = |current: &&Deployment| {
            current.version == *before
                && match current.phase {
                    Phase::Guarding | Phase::RollingBack | Phase::RolledBack | Phase::Failed(_) => {
                        true
                    }
                    Phase::Baked | Phase::Ended(_) => false,
                }
        };
        let previous = match self.log.state().current.as_ref().filter(unproven) {
            Some(current) => current.good.clone(),
            None => Some(before.clone()),
        };
        let previous = previous.filter(|version| self.log.state().quarantine.of(version).is_none());
        let named = [self.plan().deployment.good.clone(), self.good_by_default(), previous];
        named.into_iter().flatten().find(|good| good != version)
    }
}
