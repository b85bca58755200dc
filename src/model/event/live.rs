//! Events of the version that is live.

use serde::{Deserialize, Serialize};

use super::meaning::{Level, Meaning};
use crate::model::live::Live;
use crate::model::name::Version;
use crate::model::refusal::Refusal;

/// What was read as the live version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum LiveEvent {
    /// The live version was compared before something was done.
    #[serde(rename = "live_checked")]
    Checked {
        /// What was read.
        live: Live,
        /// The version that is judged.
        judged: Version,
        /// The version to go back to.
        good: Option<Version>,
        /// Why nothing was done; `None`: it was done.
        refusal: Option<Refusal>,
    },
    /// Another version is live than was known before.
    #[serde(rename = "live_seen")]
    Seen {
        /// Which one.
        version: Version,
    },
}

impl LiveEvent {
    /// What anybody may ask of it.
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::Checked { refusal: Some(_), .. } => Meaning::of(Level::Warning),
            Self::Checked { refusal: None, .. } => Meaning::of(Level::Info),
            Self::Seen { .. } => Meaning::of(Level::Info).aside(),
        }
    }
}
