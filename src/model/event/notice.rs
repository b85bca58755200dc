//! Events of people and systems being told, and of hooks that only go along.

use serde::{Deserialize, Serialize};

use super::meaning::{Level, Meaning};
use crate::model::channel::Change;
use crate::model::deployment::Milestone;
use crate::model::name::{ChannelName, HookName};

/// Whom a hook or a channel told of something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum NoticeEvent {
    /// A hook that only goes along is about to be run, once.
    HookBegun {
        /// Which one.
        hook: HookName,
        /// At what.
        on: Milestone,
    },
    /// People were told, or could not be.
    Notified {
        /// The hook that told them.
        hook: HookName,
        /// Why it failed, where it did.
        failure: Option<String>,
    },
    /// A channel was told of a change, or could not be.
    Told {
        /// The channel.
        channel: ChannelName,
        /// What changed.
        change: Change,
        /// The `seq` of the record that it was about.
        news: u64,
        /// Whether something stands open there since.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        opened: bool,
        /// What the other system calls what it made of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// Why it failed, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
}

impl NoticeEvent {
    /// What anybody may ask of it.
    pub fn meaning(&self) -> Meaning {
        let failure = match self {
            Self::HookBegun { .. } => &None,
            Self::Notified { failure, .. } | Self::Told { failure, .. } => failure,
        };
        Meaning::of(if failure.is_some() { Level::Warning } else { Level::Info }).aside()
    }
}
