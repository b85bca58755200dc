//! What quarantine means for a deployment that begins: a version that was rolled back is not
//! deployed again by mistake, nor taken for a good one.

use crate::model::name::Version;

use crate::engine::command::{Force, Rejection};
use crate::engine::durable::quarantine::Quarantined;
use crate::engine::durable::state::Durable;

/// Whether a version that begins was rolled back before, and somebody insists on it.
///
/// # Errors
/// It was rolled back, and nobody insists.
pub(crate) fn admit(state: &Durable, version: &Version, force: Force) -> Result<bool, Rejection> {
    match (state.quarantine.of(version), force) {
        (None, _) => Ok(false),
        (Some(_), Force::Yes) => Ok(true),
        (Some(Quarantined { version, at, deployment, why }), Force::No) => {
            Err(Rejection::because(format!(
                "version {version} was rolled back at {at} (deployment {deployment}, {why}): \
                 deploy another, or insist with --force"
            )))
        }
    }
}

/// The last version that baked, unless it was rolled back.
pub(crate) fn good_by_default(state: &Durable) -> Option<Version> {
    state.good.clone().filter(|good| state.quarantine.of(good).is_none())
}

/// Describes the good version, for whoever begins a deployment.
pub(crate) fn describe_good(state: &Durable, good: Option<&Version>) -> String {
    let Some(good) = good else { return "no good version is known".to_owned() };
    let rolled_back = state.quarantine.of(good);
    let doubt = rolled_back.map(|known| format!(", which was rolled back at {}", known.at));
    format!("the good version is {good}{}", doubt.unwrap_or_default())
}
