//! Who asked for something, and who answered.

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

/// The answer to a rule that asked for a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A person gave it.
    Person {
        /// Who.
        by: Caller,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nobody did in time, so the default is done.
    TimeLimit,
}
