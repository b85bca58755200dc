//! `rollguard pause` and `rollguard resume`: a person switches automatic rollbacks off for a while.

use std::time::Duration;

use clap::Args;

use super::client::{ClientError, Daemon};
use super::out;
use crate::engine::command::DEFAULT_PAUSE;
use crate::model::time::parse_duration;
use crate::serve::api::{PauseRequest, ResumeRequest};

#[derive(Args)]
#[command(after_help = "\
Rules are still judged, shown and told of. What still fires at the end of the
pause is acted on then. `rollguard rollback` works all the while. No version
counts as good before the pause is over.

Example: rollguard pause --for 1h --reason \"moving the database\"")]
pub(super) struct PauseArgs {
    /// For how long, 1s to 24h [default: 30m]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    span: Option<Duration>,
    /// Why; goes to people, the journal and the status
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Args)]
#[command(after_help = "\
A rule that fires is acted on at once.

Example: rollguard resume --reason \"the database has moved\"")]
pub(super) struct ResumeArgs {
    /// Why; goes to people and the journal
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn pause(args: PauseArgs) -> Result<u8, ClientError> {
    let span = args.span.unwrap_or(DEFAULT_PAUSE);
    let for_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let request = PauseRequest { for_ms, reason: args.reason };
    out::accepted(&args.daemon.client().ask(&request).await?)
}

pub(super) async fn resume(args: ResumeArgs) -> Result<u8, ClientError> {
    out::accepted(&args.daemon.client().ask(&ResumeRequest { reason: args.reason }).await?)
}
