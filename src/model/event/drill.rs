//! Events of drills.

use serde::{Deserialize, Serialize};

use super::meaning::{Level, Meaning};
use crate::model::drill::{DrillEnd, DrillStart};

/// The beginning or the end of a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum DrillEvent {
    /// A drill begins; its attempts and its end concern the id that it has here.
    #[serde(rename = "drill_begun")]
    Begun(DrillStart),
    /// A drill is over.
    #[serde(rename = "drill_done")]
    Done(DrillEnd),
}

impl DrillEvent {
    /// What anybody may ask of it.
    pub fn meaning(&self) -> Meaning {
        Meaning::of(Level::Info).aside()
    }
}
