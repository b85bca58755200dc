//! Who asked for something.

use serde::{Deserialize, Serialize};

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// The guard itself.
    Guard,
    /// A process of this host.
    Process {
        /// Its id, where the system tells it.
        pid: Option<i32>,
        /// Its user.
        uid: u32,
    },
}
