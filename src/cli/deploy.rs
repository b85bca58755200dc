//! `rollguard deploy`: what a pipeline calls.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::client::{Client, ClientError, Daemon, with_runtime};
use super::{exit, out};
use crate::clock::Clock;
use crate::engine::view::snapshot::{DeploymentProgress, GuardState};
use crate::engine::view::stage::{StageProgress, StageStanding, StageStatus};
use crate::model::name::{DeploymentId, StageName, Version};
use crate::model::time::{Instant, format_duration, parse_duration};
use crate::serve::BeginRequest;

/// How long `wait` bears a daemon that went away, where nobody says: a watchdog notices one that
/// hangs after 30 s, and a restart takes seconds.
const PATIENCE: &str = "45s";

/// The pause before a daemon that went away is asked again.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub(super) enum DeployCommand {
    /// Guard a deployment from now on; prints its id
    ///
    /// Example: id=$(rollguard deploy begin v42 --good v41)
    Begin(BeginArgs),
    /// Go to another stage, if the one before it has passed
    ///
    /// Going back is always allowed; asking again runs a hook again that failed.
    ///
    /// Without [[stage]] in the configuration every name is as good.
    ///
    /// Example: rollguard deploy stage canary-10
    Stage(StageArgs),
    /// Stop guarding without a verdict
    ///
    /// Example: rollguard deploy end --reason "replaced by hand"
    End(EndArgs),
    /// Wait until it baked (exit 0), was rolled back (3) or could not be (4)
    ///
    /// With --stage: until that stage was clean for its time, exit 0, too.
    ///
    /// Example: rollguard deploy wait "$id" --timeout 2h
    ///
    /// Example: rollguard deploy wait --stage canary-10 --timeout 1h
    Wait(WaitArgs),
}

#[derive(Args)]
pub(super) struct BeginArgs {
    /// The version that is deployed and judged
    #[arg(value_parser = Version::new)]
    version: Version,
    /// The version to go back to [default: `good`, else the last that baked]
    #[arg(long, value_name = "VERSION", value_parser = Version::new)]
    good: Option<Version>,
    /// Its id; at most one rollback runs for it [default: version and time]
    #[arg(long, value_parser = DeploymentId::new)]
    id: Option<DeploymentId>,
    /// Never roll it back automatically: going back may do more harm
    #[arg(long)]
    irreversible: bool,
    /// Even if the version was rolled back before
    #[arg(long)]
    force: bool,
    /// Print JSON: `deployment` and `message`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Args)]
pub(super) struct StageArgs {
    /// The stage
    #[arg(value_parser = StageName::new)]
    stage: StageName,
    /// Even if a stage before it has not passed
    #[arg(long)]
    force: bool,
    /// The deployment [default: the current one]
    #[arg(long, value_parser = DeploymentId::new)]
    id: Option<DeploymentId>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Args)]
pub(super) struct EndArgs {
    /// The deployment [default: the current one]
    #[arg(value_parser = DeploymentId::new)]
    id: Option<DeploymentId>,
    /// Why; goes into the journal
    #[arg(long, default_value = "ended by the pipeline")]
    reason: String,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Args)]
pub(super) struct WaitArgs {
    /// The deployment [default: the current one]
    #[arg(value_parser = DeploymentId::new)]
    id: Option<DeploymentId>,
    /// Wait for this stage only, and say how far it is
    #[arg(long, value_name = "NAME", value_parser = StageName::new)]
    stage: Option<StageName>,
    /// Give up waiting after this long, exit 1; the guard goes on
    #[arg(long, value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Bear a daemon that went away this long, then exit 6
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = PATIENCE)]
    patience: Duration,
    /// Print JSON: `deployment`, `state`, `final`, `why`; `stage` and more
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn run(command: DeployCommand) -> ExitCode {
    match command {
        DeployCommand::Begin(args) => with_runtime(begin(args)),
        DeployCommand::Stage(args) => with_runtime(stage(args)),
        DeployCommand::End(args) => with_runtime(end(args)),
        DeployCommand::Wait(args) => with_runtime(wait(args)),
    }
}

async fn begin(args: BeginArgs) -> Result<u8, ClientError> {
    let client = Client::new(&args.daemon.control);
    let BeginArgs { id, version, good, irreversible, force, .. } = args;
    let request = BeginRequest { id, version, good, irreversible, force };
    let accepted = client.begin_as(&request).await?;
    if args.json {
        out::print(&format!("{}\n", json(&accepted)))?;
    } else {
        out::note(&accepted.message);
        let id = accepted.deployment.map(|id| format!("{id}\n")).unwrap_or_default();
        out::print(&id)?;
    }
    Ok(exit::OK)
}

async fn stage(args: StageArgs) -> Result<u8, ClientError> {
    let accepted =
        Client::new(&args.daemon.control).stage(args.id, args.stage, args.force.into()).await?;
    out::note(&accepted.message);
    Ok(exit::OK)
}

async fn end(args: EndArgs) -> Result<u8, ClientError> {
    let accepted = Client::new(&args.daemon.control).end(args.id, args.reason).await?;
    out::note(&accepted.message);
    Ok(exit::OK)
}

async fn wait(args: WaitArgs) -> Result<u8, ClientError> {
    let client = Client::new(&args.daemon.control);
    let id = match (args.id, client.status().await) {
        // It is ending, perhaps to start anew.
        (Some(id), Ok(_) | Err(ClientError::Lost { .. })) => id,
        (_, Err(error)) => return Err(error),
        (None, Ok(status)) => {
            let none = || ClientError::Refused("no deployment has begun".to_owned());
            status.guard.deployment.ok_or_else(none)?.id
        }
    };
    let clock = Clock::start();
    let end = args.timeout.map(|timeout| clock.now().after(timeout));
    if let Some(stage) = &args.stage {
        let form = if args.json { Form::Json } else { Form::Text };
        let clocks = (clock, end, args.patience);
        return wait_stage(&client, &id, stage, clocks, form).await;
    }
    let verdict = verdict(&client, &id, clock, args.patience);
    let progress = match end {
        Some(end) => clock.before(end, verdict).await.transpose()?,
        None => Some(verdict.await?),
    };
    let Some(progress) = progress else {
        let guard = client.status().await?.guard;
        let withheld = guard.deployment.filter(|current| current.id == id);
        let why = withheld.and_then(|current| current.withheld);
        let why = why.map(|why| format!("the bake is over, but withheld: {why}"));
        let state = guard.state;
        let progress = DeploymentProgress { deployment: id, state, is_final: false, why };
        show(&progress, args.json);
        return Ok(exit::FAILED);
    };
    show(&progress, args.json);
    Ok(match progress.state {
        GuardState::Baked => exit::OK,
        GuardState::RolledBack => exit::ROLLED_BACK,
        GuardState::RollbackFailed => exit::ROLLBACK_FAILED,
        GuardState::Ended
        | GuardState::Idle
        | GuardState::Guarding
        | GuardState::AwaitingApproval
        | GuardState::RollingBack
        | GuardState::Verifying => exit::FAILED,
    })
}

/// Asks until the deployment will not change any more. The daemon, which was there, may go away for
/// a while: it is restarted and resumes.
async fn verdict(
    client: &Client,
    id: &DeploymentId,
    clock: Clock,
    patience: Duration,
) -> Result<DeploymentProgress, ClientError> {
    loop {
        match client.wait(id).await {
            Ok(progress) if progress.is_final => return Ok(progress),
            Ok(_) => {}
            Err(error) => come_back(client, clock, clock.now().after(patience), error).await?,
        }
    }
}

/// Waits until the daemon answers again.
async fn come_back(
    client: &Client,
    clock: Clock,
    until: Instant,
    gone: ClientError,
) -> Result<(), ClientError> {
    let mut last = gone;
    loop {
        if !last.is_away() || clock.now() >= until {
            return Err(last);
        }
        clock.sleep_until(clock.now().after(PAUSE)).await;
        match client.status().await {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
}

/// For whom something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// People.
    Text,
    /// Programs.
    Json,
}

/// Waits for a stage, and says how far it is whenever that is news.
async fn wait_stage(
    client: &Client,
    id: &DeploymentId,
    stage: &StageName,
    (clock, end, patience): (Clock, Option<Instant>, Duration),
    form: Form,
) -> Result<u8, ClientError> {
    let mut last: Option<StageProgress> = None;
    loop {
        let asked = match end {
            Some(end) => clock.before(end, client.wait_stage(id, stage)).await,
            None => Some(client.wait_stage(id, stage).await),
        };
        let is_late = asked.is_none() || end.is_some_and(|end| clock.now() >= end);
        let asked = match asked {
            Some(Ok(asked)) => Some(asked),
            Some(Err(error)) => {
                come_back(client, clock, clock.now().after(patience), error).await?;
                None
            }
            None => None,
        };
        if asked.is_some() && asked != last {
            if let Some(progress) = asked.as_ref().filter(|_| form == Form::Text) {
                out::note(&stage_line(progress));
            }
            last = asked;
        }
        let is_final = last.as_ref().is_some_and(|progress| progress.is_final);
        if is_final || is_late {
            return Ok(stage_verdict(last, id, form));
        }
    }
}

fn stage_line(progress: &StageProgress) -> String {
    let StageStatus { stage, standing, clean_ms, hold_ms, why } = &progress.stage;
    let span = |ms: u64| format_duration(Duration::from_secs(ms / 1000));
    let clean = match standing {
        StageStanding::Watched => format!(", clean for {} of {}", span(*clean_ms), span(*hold_ms)),
        StageStanding::Done
        | StageStanding::Passed
        | StageStanding::Entering
        | StageStanding::NotEntered
        | StageStanding::Next => String::new(),
    };
    let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let guarding = progress.state == GuardState::Guarding;
    let state = if guarding { String::new() } else { format!(", deployment {}", progress.state) };
    format!("stage {stage}: {standing}{clean}{state}{why}")
}

fn stage_verdict(last: Option<StageProgress>, id: &DeploymentId, form: Form) -> u8 {
    let Some(progress) = last else {
        out::note(&format!("deployment {id}: the daemon did not answer in time"));
        return exit::FAILED;
    };
    // The exit code is the verdict, and it holds whether or not this can be printed.
    if form == Form::Json
        && let Err(error) = out::print(&format!("{}\n", json(&progress)))
    {
        out::note(&format!("error: {error}"));
    }
    match progress.state {
        GuardState::Baked => exit::OK,
        GuardState::Guarding if progress.is_final && progress.stage.standing.is_over() => exit::OK,
        GuardState::RolledBack => exit::ROLLED_BACK,
        GuardState::RollbackFailed => exit::ROLLBACK_FAILED,
        GuardState::Guarding
        | GuardState::Ended
        | GuardState::Idle
        | GuardState::AwaitingApproval
        | GuardState::RollingBack
        | GuardState::Verifying => exit::FAILED,
    }
}

fn show(progress: &DeploymentProgress, as_json: bool) {
    if as_json {
        // The exit code is the verdict, and it holds whether or not this can be printed.
        if let Err(error) = out::print(&format!("{}\n", json(progress))) {
            out::note(&format!("error: {error}"));
        }
        return;
    }
    let why = progress.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let still = if progress.is_final { "" } else { "still " };
    out::note(&format!("deployment {}: {still}{}{why}", progress.deployment, progress.state));
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data with string keys always serializes")
}
