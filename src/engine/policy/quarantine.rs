//! What quarantine means for a deployment that begins: a version that was rolled back is not
//! deployed again by mistake, nor taken for a good one.

use crate::model::name::Version;

use crate::engine::command::{Force, Rejection};
use crate::engine::guard::Guard;

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
