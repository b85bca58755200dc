//! `rollguard deploy`: what a pipeline calls.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::client::{Client, ClientError, Daemon};
use super::out::{CommandError, Ended};
use super::{exit, out};
use crate::clock::Clock;
use crate::engine::command::{Command, Terms};
use crate::engine::view::snapshot::{DeploymentProgress, GuardState};
use crate::engine::view::stage::{StageProgress, StageStanding, StageStatus};
use crate::model::name::{DeploymentId, StageName, Version};
use crate::model::time::{Instant, format_duration, parse_duration};

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
    Begin {
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
    },
    /// Go to another stage, if the one before it has passed
    ///
    /// Going back is always allowed; asking again runs a hook again that failed.
    ///
    /// Where the configuration has no stages, every name is as good.
    ///
    /// Example: rollguard deploy stage canary-10
    Stage {
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
    },
    /// Stop guarding without a verdict
    ///
    /// Example: rollguard deploy end --reason "replaced by hand"
    End {
        /// The deployment [default: the current one]
        #[arg(value_parser = DeploymentId::new)]
        id: Option<DeploymentId>,
        /// Why; goes into the journal
        #[arg(long, default_value = "ended by the pipeline")]
        reason: String,
        #[command(flatten)]
        daemon: Daemon,
    },
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

pub(super) async fn run(command: DeployCommand) -> Ended {
    match command {
        DeployCommand::Begin { id, version, good, irreversible, force, json, daemon } => {
            let terms = Terms { irreversible, force: force.into() };
            let begin = Command::Begin { id, version, good, terms };
            let accepted = daemon.client().command(&begin).await?;
            if json {
                return out::print(&out::json_line(&accepted));
            }
            out::note(&accepted.message);
            out::print(&accepted.deployment.map(|id| format!("{id}\n")).unwrap_or_default())
        }
        DeployCommand::Stage { stage, force, id, daemon } => {
            daemon.client().order(&Command::Stage { id, stage, force: force.into() }).await
        }
        DeployCommand::End { reason, id, daemon } => {
            daemon.client().order(&Command::End { id, reason }).await
        }
        DeployCommand::Wait(args) => wait(args).await,
    }
}

/// What is waited for, how long, and for whom.
struct Wait {
    args: WaitArgs,
    client: Client,
    deployment: DeploymentId,
    clock: Clock,
    /// When to give up.
    end: Option<Instant>,
}

async fn wait(args: WaitArgs) -> Ended {
    let client = args.daemon.client();
    let deployment = match (args.id.clone(), client.status().await) {
        // A daemon that is ending may start anew.
        (Some(id), Ok(_) | Err(ClientError::Lost { .. })) => id,
        (_, Err(error)) => return Err(error.into()),
        (None, Ok(status)) => {
            let none = || CommandError::new(exit::REFUSED, "no deployment has begun");
            status.guard.deployment.ok_or_else(none)?.id
        }
    };
    let clock = Clock::start();
    let end = args.timeout.map(|timeout| clock.now().after(timeout));
    let wait = Wait { args, client, deployment, clock, end };
    match &wait.args.stage {
        Some(stage) => wait.for_stage(stage).await,
        None => wait.for_verdict().await,
    }
}

/// The exit code that a deployment's state stands for.
const fn exit_code(state: GuardState) -> u8 {
    match state {
        GuardState::Baked => exit::OK,
        GuardState::RolledBack => exit::ROLLED_BACK,
        GuardState::RollbackFailed => exit::ROLLBACK_FAILED,
        GuardState::Ended
        | GuardState::Idle
        | GuardState::Guarding
        | GuardState::AwaitingApproval
        | GuardState::RollingBack
        | GuardState::Verifying => exit::FAILED,
    }
}

impl Wait {
    async fn for_verdict(&self) -> Ended {
        let progress = match self.end {
            Some(end) => self.clock.before(end, self.verdict()).await.transpose()?,
            None => Some(self.verdict().await?),
        };
        let code = progress.as_ref().map_or(exit::FAILED, |progress| exit_code(progress.state));
        let progress = match progress {
            Some(progress) => progress,
            None => self.progress().await?,
        };
        if self.args.json {
            print_verdict(&progress);
            return Ok(code);
        }
        let why = progress.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let still = if progress.is_final { "" } else { "still " };
        out::note(&format!("deployment {}: {still}{}{why}", progress.deployment, progress.state));
        Ok(code)
    }

    /// Asks until the deployment will not change any more. The daemon, which was there, may go away
    /// for a while: it is restarted and resumes.
    async fn verdict(&self) -> Result<DeploymentProgress, ClientError> {
        loop {
            match self.client.wait::<DeploymentProgress>(&self.deployment, None).await {
                Ok(progress) if progress.is_final => return Ok(progress),
                Ok(_) => {}
                Err(error) => self.come_back(error).await?,
            }
        }
    }

    /// How far the deployment is when nobody waits any longer.
    async fn progress(&self) -> Result<DeploymentProgress, ClientError> {
        let guard = self.client.status().await?.guard;
        let current = guard.deployment.filter(|current| current.id == self.deployment);
        let why = current.and_then(|current| current.withheld);
        let why = why.map(|why| format!("the bake is over, but withheld: {why}"));
        let (deployment, state) = (self.deployment.clone(), guard.state);
        Ok(DeploymentProgress { deployment, state, is_final: false, why })
    }

    /// Waits until the daemon answers again.
    async fn come_back(&self, gone: ClientError) -> Result<(), ClientError> {
        let until = self.clock.now().after(self.args.patience);
        let mut last = gone;
        loop {
            if !last.is_away() || self.clock.now() >= until {
                return Err(last);
            }
            self.clock.sleep_until(self.clock.now().after(PAUSE)).await;
            match self.client.status().await {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
    }

    /// Waits for a stage, and says how far it is whenever that is news.
    async fn for_stage(&self, stage: &StageName) -> Ended {
        let mut last: Option<StageProgress> = None;
        loop {
            let asked = self.client.wait(&self.deployment, Some(stage));
            let asked = match self.end {
                Some(end) => self.clock.before(end, asked).await,
                None => Some(asked.await),
            };
            let is_late = asked.is_none() || self.end.is_some_and(|end| self.clock.now() >= end);
            match asked {
                Some(Ok(progress)) if last.as_ref() != Some(&progress) => {
                    if !self.args.json {
                        out::note(&stage_line(&progress));
                    }
                    last = Some(progress);
                }
                Some(Ok(_)) | None => {}
                Some(Err(error)) => self.come_back(error).await?,
            }
            if is_late || last.as_ref().is_some_and(|progress| progress.is_final) {
                return Ok(self.stage_verdict(last));
            }
        }
    }

    fn stage_verdict(&self, last: Option<StageProgress>) -> u8 {
        let Some(progress) = last else {
            let id = &self.deployment;
            out::note(&format!("deployment {id}: the daemon did not answer in time"));
            return exit::FAILED;
        };
        if self.args.json {
            print_verdict(&progress);
        }
        let passed = progress.is_final && progress.stage.standing.is_over();
        if passed && progress.state == GuardState::Guarding {
            return exit::OK;
        }
        exit_code(progress.state)
    }
}

fn stage_line(progress: &StageProgress) -> String {
    let StageStatus { stage, standing, clean_ms, hold_ms, why } = &progress.stage;
    let span = |ms: u64| format_duration(Duration::from_secs(ms / 1000));
    let watched = *standing == StageStanding::Watched;
    let clean = watched.then(|| format!(", clean for {} of {}", span(*clean_ms), span(*hold_ms)));
    let clean = clean.unwrap_or_default();
    let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let guarding = progress.state == GuardState::Guarding;
    let state = if guarding { String::new() } else { format!(", deployment {}", progress.state) };
    format!("stage {stage}: {standing}{clean}{state}{why}")
}

/// Prints what was waited for. The exit code is the verdict, and it holds whether or not this can
/// be printed.
fn print_verdict(progress: &impl Serialize) {
    if let Err(error) = out::print(&out::json_line(progress)) {
        out::note(&error.text);
    }
}
