//! `rollguard rollback`, `approve`, `deny`, `pause` and `resume`: what a person decides.

use std::time::Duration;

use clap::Subcommand;

use super::client::Daemon;
use super::out::Ended;
use crate::engine::command::{Command, DEFAULT_PAUSE};
use crate::model::name::DeploymentId;
use crate::model::time::parse_duration;

#[derive(Subcommand)]
pub(super) enum OrderCommand {
    /// Roll the current deployment back: a person says so
    #[command(after_help = "\
Works in every mode, while paused, beyond the budget, and while a rule awaits
approval. Where `live` is configured, the live version is compared first:
refused (exit 5) unless it is the judged one.
`rollguard deploy wait` tells how it ended.

Example: rollguard rollback --reason \"customers report lost orders\"")]
    Rollback {
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
    },
    /// Say yes to the rule that asks for a rollback
    #[command(after_help = "\
In mode `confirm` a rule that fires asks before it rolls back; `rollguard
status` shows what it asks, on what evidence, and until when. Name the
deployment, lest another be rolled back than the one that you looked at.

Example: rollguard approve --deployment v42-20261026T073320.000Z")]
    Approve {
        /// The deployment [default: the current]
        #[arg(long, value_name = "ID", value_parser = DeploymentId::new)]
        deployment: Option<DeploymentId>,
        /// Why; goes into the journal and the report
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Say no to the rule that asks for a rollback
    #[command(after_help = "\
The deployment goes on being guarded. The same rule asks again only after it
cleared and fired anew; other rules may ask at once.

Example: rollguard deny --reason \"the load test does this, not the release\"")]
    Deny {
        /// Why; goes into the journal and the report
        #[arg(long)]
        reason: String,
        /// The deployment [default: the current]
        #[arg(long, value_name = "ID", value_parser = DeploymentId::new)]
        deployment: Option<DeploymentId>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Roll nothing back automatically for a while
    #[command(after_help = "\
Rules are still judged, shown and told of. What still fires at the end of the
pause is acted on then. `rollguard rollback` works all the while. No version
counts as good before the pause is over.

Example: rollguard pause --for 1h --reason \"moving the database\"")]
    Pause {
        /// For how long, 1s to 24h [default: 30m]
        #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
        span: Option<Duration>,
        /// Why; goes to people, the journal and the status
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// End the pause
    #[command(after_help = "\
A rule that fires is acted on at once.

Example: rollguard resume --reason \"the database has moved\"")]
    Resume {
        /// Why; goes to people and the journal
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        daemon: Daemon,
    },
}

pub(super) async fn run(command: OrderCommand) -> Ended {
    let (command, daemon) = match command {
        OrderCommand::Rollback { reason, deployment: id, force, daemon } => {
            (Command::Rollback { id, reason, force: force.into() }, daemon)
        }
        OrderCommand::Approve { deployment: id, reason, daemon } => {
            (Command::Approve { id, reason }, daemon)
        }
        OrderCommand::Deny { reason, deployment: id, daemon } => {
            (Command::Deny { id, reason }, daemon)
        }
        OrderCommand::Pause { span, reason, daemon } => {
            (Command::Pause { span: span.unwrap_or(DEFAULT_PAUSE), reason }, daemon)
        }
        OrderCommand::Resume { reason, daemon } => (Command::Resume { reason }, daemon),
    };
    daemon.client().order(&command).await
}
