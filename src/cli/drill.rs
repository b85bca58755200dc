//! `rollguard drill`: a hook is run for real against the drill target, by the daemon, so that what
//! is tried is what a rollback would use: its user, its environment, its sandbox.

use std::time::Duration;

use clap::Args;

use super::client::{Client, TargetDaemon, with_runtime};
use super::out::{CommandError, Ended};
use super::{exit, out};
use crate::clock::Clock;
use crate::engine::command::Command;
use crate::engine::durable::drills::DrillStatus;
use crate::model::drill::{DrillResult, Reach};
use crate::model::name::{DeploymentId, HookName};
use crate::render;

/// How often the daemon is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);

#[derive(Args)]
#[command(next_line_help = true)]
#[command(after_help = "\
[drill] of the configuration says what the hook gets in a drill: `service`,
`version`, `good`, and perhaps which `hook`. The daemon runs it step by step as
in a rollback, with retries and time limits, and puts it into the journal. Steps
see ROLLGUARD_DRILL=1, and \"drill\": true on their standard input. No cure is
looked for: the rules see the guarded service and not the drill target.

Each step that changes something must name {service} or {deployment}, or it
would act on the guarded service: such a hook is refused without --for-real. A
rollback that must start calls the drill off. docs/drill.md has it all.

Examples:
  rollguard drill
  rollguard drill --hook rollback --json | jq .took_ms

Exit codes: 0 every step did what it should, 1 one did not, 5 refused, 6 the
daemon cannot be reached.")]
pub(super) struct DrillArgs {
    #[arg(long, value_name = "NAME", value_parser = HookName::new)]
    #[arg(help = "The hook [default: `hook` of [drill], else `then` of [deployment]]")]
    hook: Option<HookName>,
    /// Run it although a step names nothing that is other in a drill
    #[arg(long)]
    for_real: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: TargetDaemon,
}

pub(super) fn run(args: DrillArgs) -> Ended {
    let client = args.daemon.client()?;
    with_runtime(drill(args, client))
}

async fn drill(args: DrillArgs, client: Client) -> Ended {
    let reach = if args.for_real { Reach::ForReal } else { Reach::DrillTarget };
    let accepted = client.command(&Command::Drill { hook: args.hook, reach }).await?;
    if !args.json {
        out::note(&accepted.message);
    }
    let none = || CommandError::new(exit::REFUSED, "the daemon does not say which drill it is");
    let id = accepted.deployment.ok_or_else(none)?;
    let (drill, result) = end(&client, &id, Clock::start()).await?;
    out::print(&if args.json { out::json(&drill) } else { render::drill(&drill) })?;
    Ok(match result {
        DrillResult::Done => exit::OK,
        DrillResult::Failed | DrillResult::CalledOff => exit::FAILED,
    })
}

/// Waits for the drill's end. Each step has a time limit, so it has one.
async fn end(
    client: &Client,
    id: &DeploymentId,
    clock: Clock,
) -> Result<(DrillStatus, DrillResult), CommandError> {
    loop {
        let drill = client.last_drill().await?.filter(|drill| drill.drill == *id);
        let gone = || format!("the daemon does not know {id} any more; see its journal");
        let drill = drill.ok_or_else(|| CommandError::failed(gone()))?;
        if let Some(result) = drill.result {
            return Ok((drill, result));
        }
        clock.sleep_until(clock.now().after(ASK_EVERY)).await;
    }
}
