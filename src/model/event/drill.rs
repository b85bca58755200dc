//! Events of drills.

use serde::{Deserialize, Serialize};

use super::group::{EventGroup, Scope};
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

impl EventGroup for DrillEvent {
    fn scope(&self) -> Scope {
        Scope::Drill
    }

    fn is_story(&self) -> bool {
        false
    }
}
