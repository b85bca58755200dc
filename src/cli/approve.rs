//! `rollguard approve` and `rollguard deny`: a person answers a rule that asks for a rollback.

use clap::Args;

use super::client::{ClientError, Daemon};
use super::out;
use crate::model::name::DeploymentId;
use crate::serve::api::{ApproveRequest, DenyRequest};

#[derive(Args)]
#[command(after_help = "\
In mode `confirm` a rule that fires asks before it rolls back; `rollguard
status` shows what it asks, on what evidence, and until when. Name the
deployment, lest another be rolled back than the one that you looked at.

Example: rollguard approve --deployment v42-20261026T073320.000Z")]
pub(super) struct ApproveArgs {
    /// The deployment [default: the current]
    #[arg(long, value_name = "ID", value_parser = DeploymentId::new)]
    deployment: Option<DeploymentId>,
    /// Why; goes into the journal and the report
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Args)]
#[command(after_help = "\
The deployment goes on being guarded. The same rule asks again only after it
cleared and fired anew; other rules may ask at once.

Example: rollguard deny --reason \"the load test does this, not the release\"")]
pub(super) struct DenyArgs {
    /// Why; goes into the journal and the report
    #[arg(long)]
    reason: String,
    /// The deployment [default: the current]
    #[arg(long, value_name = "ID", value_parser = DeploymentId::new)]
    deployment: Option<DeploymentId>,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn approve(args: ApproveArgs) -> Result<u8, ClientError> {
    let request = ApproveRequest { id: args.deployment, reason: args.reason };
    out::accepted(&args.daemon.client().ask(&request).await?)
}

pub(super) async fn deny(args: DenyArgs) -> Result<u8, ClientError> {
    let request = DenyRequest { id: args.deployment, reason: args.reason };
    out::accepted(&args.daemon.client().ask(&request).await?)
}
