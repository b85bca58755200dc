//! The control socket's API: where requests go, and what the answers hold. Server and client both
//! use this declaration. What goes to `COMMANDS` is a
//! [`Command`](crate::engine::command::Command); all else is asked with GET.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::durable::drills::DrillStatus;
use crate::engine::view::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::preflight::PreflightReport;

/// How long a waiting client is kept before it is told to ask again.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// A question to the daemon, which answers with an `A`.
pub(crate) struct Question<A> {
    /// Where it is asked.
    pub(crate) path: &'static str,
    answer: PhantomData<A>,
}

const fn at<A>(path: &'static str) -> Question<A> {
    Question { path, answer: PhantomData }
}

/// The status.
pub(crate) const STATUS: Question<Status> = at("/v1/status");

/// The newest drill.
pub(crate) const DRILL: Question<Option<DrillStatus>> = at("/v1/drill");

/// Whether everything that a rollback needs is there.
pub(crate) const DOCTOR: Question<PreflightReport> = at("/v1/doctor");

/// Waits until a deployment, or a stage of it, will not change any more.
pub(crate) const WAIT: &str = "/v1/wait";

/// The guard is to do something. It is answered once that is on record.
pub(crate) const COMMANDS: &str = "/v1/commands";

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: String,
}

/// What the status says: the guard and the daemon around it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// rollguard's own version.
    pub rollguard: String,
    /// The daemon's process id.
    pub pid: u32,
    /// When the daemon started.
    pub started: Timestamp,
    /// When its loop last finished a turn.
    pub turned: Timestamp,
    /// The configuration file.
    pub config: PathBuf,
    /// Why the newest configuration is not in force.
    pub reload_error: Option<String>,
    /// Scrape slots passed over since the start, over all targets.
    pub skipped_slots: u64,
    /// The guard.
    #[serde(flatten)]
    pub guard: Snapshot,
}
