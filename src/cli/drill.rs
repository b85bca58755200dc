//! `rollguard drill`: a hook is run for real against the drill target, by the daemon, so that what
//! is tried is what a rollback would use: its user, its environment, its sandbox.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::client::{Client, ClientError, with_runtime};
use super::target_daemon::{TargetDaemon, bad_config};
use super::{exit, out};
use crate::clock::Clock;
use crate::engine::durable::drills::DrillStatus;
use crate::model::drill::{DrillResult, Reach};
use crate::model::name::{DeploymentId, HookName};
use crate::render;
use crate::serve::api::{DrillRequest, LastDrillRequest};

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

pub(super) fn run(args: DrillArgs) -> ExitCode {
    match args.daemon.socket() {
        Ok(socket) => with_runtime(drill(args, socket)),
        Err(error) => bad_config(&error),
    }
}

async fn drill(args: DrillArgs, socket: PathBuf) -> Result<u8, ClientError> {
    let client = Client::new(&socket);
    let reach = if args.for_real { Reach::ForReal } else { Reach::DrillTarget };
    let accepted = client.ask(&DrillRequest { hook: args.hook, reach }).await?;
    if !args.json {
        out::note(&accepted.message);
    }
    let none = || ClientError::Refused("the daemon does not say which drill it is".to_owned());
    let id = accepted.deployment.ok_or_else(none)?;
    let drill = end(&client, &id, Clock::start()).await?;
    if args.json {
        out::print_json(&drill)?;
    } else {
        out::print(&render::drill(&drill))?;
    }
    Ok(match drill.result {
        Some(DrillResult::Done) => exit::OK,
        Some(DrillResult::Failed | DrillResult::CalledOff) | None => exit::FAILED,
    })
}

/// Waits for the drill's end. Each step has a time limit, so it has one.
async fn end(client: &Client, id: &DeploymentId, clock: Clock) -> Result<DrillStatus, ClientError> {
    loop {
        let drill = client.ask(&LastDrillRequest).await?;
        let Some(drill) = drill.filter(|drill| drill.drill == *id) else {
            let why = format!("the daemon does not know {id} any more; see its journal");
            return Err(ClientError::Failed(why));
        };
        if drill.result.is_some() {
            return Ok(drill);
        }
        clock.sleep_until(clock.now().after(ASK_EVERY)).await;
    }
}
