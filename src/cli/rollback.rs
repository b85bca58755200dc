//! `rollguard rollback`: a person orders a rollback.

use clap::Args;

use super::client::{ClientError, Daemon};
use super::out;
use crate::model::name::DeploymentId;
use crate::serve::api::RollbackRequest;

#[derive(Args)]
#[command(after_help = "\
Works in every mode, while paused, beyond the budget, and while a rule awaits
approval. Where `live` is configured, the live version is compared first:
refused (exit 5) unless it is the judged one.
`rollguard deploy wait` tells how it ended.

Example: rollguard rollback --reason \"customers report lost orders\"")]
pub(super) struct RollbackArgs {
    /// Why; goes to the hook, the journal and the report
    #[arg(long)]
    reason: String,
    /// The deployment, lest another be rolled back [default: the current]
    #[arg(long, value_name = "ID", value_parser = DeploymentId::new)]
    deployment: Option<DeploymentId>,
    /// Even if begun as irreversible, or if another version is live
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn run(args: RollbackArgs) -> Result<u8, ClientError> {
    let RollbackArgs { deployment: id, reason, force, daemon } = args;
    out::accepted(&daemon.client().ask(&RollbackRequest { id, reason, force }).await?)
}
