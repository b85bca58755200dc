//! `rollguard demo`: the whole story on this machine, with no configuration. Everything in it is
//! real: an app, requests, a deployment, the daemon, its scrapes, a hook, a cure and a report.

#![expect(clippy::disallowed_methods, reason = "whether to colour is asked of the environment")]

pub(super) mod app;
mod children;
mod load;
mod place;
mod tell;
mod watch;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio::process::Child;
use tokio::sync::oneshot;

use self::children::{start_app, start_daemon, stop, switch_to};
use self::load::Load;
use self::place::{Place, Programs, Release};
use self::tell::{Format, Happening, Summary, Teller};
use self::watch::{Watch, WatchError};
use super::client::ClientError;
use super::exit;
use crate::clock::Clock;
use crate::engine::view::snapshot::{GuardState, RuleStatus};
use crate::model::entry::{AttemptEvent, Event, RollbackEvent, Trigger};
use crate::model::name::{DeploymentId, Version};
use crate::model::time::{Timestamp, format_duration};
use crate::render::Style;

/// How long the whole story may take. It takes about half of that.
const STORY_WITHIN: Duration = Duration::from_secs(30);

/// How long app and daemon may take to be there.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How long the old release is watched before the new one comes.
const HEALTHY_FOR: Duration = Duration::from_secs(2);

/// How long a report may take to be written once the verdict is there.
const REPORT_WITHIN: Duration = Duration::from_secs(3);

/// The pause between two looks at a file that is awaited.
const LOOK: Duration = Duration::from_millis(20);

/// How many lines of the report are shown: title, verdict and summary.
const OPENING: usize = 5;

/// How much of a child's log a failure shows: its last line says why it ended.
const LOG_END: usize = 400;

/// The deployment's id; the state directory is new, so it was never used.
const DEPLOYMENT: &str = "demo";

/// Watch a bad release be noticed and rolled back, here and now.
#[derive(Args)]
#[command(after_help = "\
Starts a small app on this machine, sends it requests, guards it, deploys a
release that fails one request in five, and shows how that is noticed and rolled
back. Needs no configuration, changes nothing outside a new directory in the
system's directory for temporary files, and takes about ten seconds.

Examples:
  rollguard demo
  rollguard demo --good
  rollguard demo --json | jq 'select(.event == \"recorded\").text'

Exit codes: 0 it did what it promises, 1 it did not.")]
pub(super) struct DemoArgs {
    /// Deploy a good release instead, which survives its bake
    #[arg(long)]
    good: bool,
    /// Print a JSON object a line: `offset_ms`, `event` and its fields
    #[arg(long)]
    json: bool,
}

/// Which story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// A bad release is rolled back.
    Bad,
    /// A good release bakes.
    Good,
}

/// Why the demo did not do what it promises.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("{0}")]
    Watch(#[from] WatchError),
    #[error("begin the deployment: {0}")]
    Begin(ClientError),
    #[error("the {what} was not there in time; it said: {said}")]
    NotReady { what: &'static str, said: String },
    #[error("the deployment ended as `{0}`")]
    WrongEnd(GuardState),
    #[error("the link points to {0}")]
    WrongRelease(String),
    #[error("the story took longer than {} s", STORY_WITHIN.as_secs())]
    TooSlow,
    #[error("it was interrupted")]
    Interrupted,
}

pub(super) fn run(args: &DemoArgs) -> ExitCode {
    let story = if args.good { Story::Good } else { Story::Bad };
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = if colour { Style::Health } else { Style::Plain };
    let format = if args.json { Format::Json } else { Format::Text(style) };
    let teller = Teller::new(format);
    let mut place = None;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(within_limits(story, teller, &mut place)),
        Err(source) => Err(DemoError::System { what: "start the runtime", source }),
    };
    let Err(error) = ended else { return ExitCode::from(exit::OK) };
    let directory = place.map(|place: Place| place.root().display().to_string());
    let failed = Happening::Failed { why: error.to_string(), directory };
    if let Err(unheard) = teller.tell(None, &failed) {
        complain(&format!("{error}; it cannot be told: {unheard}"));
    }
    ExitCode::from(exit::FAILED)
}

/// The story, unless it takes too long or somebody ends it; its children end with it.
async fn within_limits(
    story: Story,
    teller: Teller,
    place: &mut Option<Place>,
) -> Result<(), DemoError> {
    let clock = Clock::start();
    let interrupted = interrupted().map_err(system("listen for signals"))?;
    tokio::select! {
        told = clock.before(clock.now().after(STORY_WITHIN), tell(story, teller, clock, place)) => {
            told.unwrap_or(Err(DemoError::TooSlow))
        }
        _ = interrupted => Err(DemoError::Interrupted),
    }
}

/// Resolves when the demo is told to end.
fn interrupted() -> io::Result<oneshot::Receiver<()>> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (interrupt, waiting) = oneshot::channel();
    // A thread of its own, because waiting for a signal blocks; it ends with the process.
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        signals.forever().next();
        drop(interrupt);
    })?;
    Ok(waiting)
}

async fn tell(
    story: Story,
    teller: Teller,
    clock: Clock,
    kept: &mut Option<Place>,
) -> Result<(), DemoError> {
    let releases = story.releases();
    let programs = Programs::find().map_err(system("find the programs of the hook"))?;
    let place = Place::create(&releases).map_err(system("make a directory"))?;
    let place = kept.insert(place).clone();
    let app = start_app(&place).map_err(system("start the app"))?;
    let port = port(&place, clock).await?;
    let load = Load::start(port, clock);
    place.configure(port, &programs).map_err(system("write the configuration"))?;
    let mut daemon = start_daemon(&place).map_err(system("start the daemon"))?;
    let mut watch = Watch::new(&place, clock, teller);
    let ready = async {
        tokio::select! {
            snapshot = watch.until_ready() => Some(snapshot),
            _ = daemon.wait() => None,
        }
    };
    let ready = clock.before(clock.now().after(READY_WITHIN), ready).await.flatten();
    let rules = ready.ok_or_else(|| not_ready("daemon", &place))?.rules;
    watch.tell(&introduction(&place, port, &rules))?;
    watch.look_for(HEALTHY_FOR).await?;
    let before = load.seen.totals();
    let deployed = deploy(&mut watch, &releases, &place, &programs).await?;
    let state = watch.until_over().await?;
    check(story, state, &place)?;
    let after = load.seen.totals();
    let report = report(story, &place, clock).await?;
    let mut summary = summary(&watch, deployed, state, &place);
    (summary.requests, summary.failed_requests) = (after.0 - before.0, after.1 - before.1);
    if let Some(text) = report {
        summary.report = Some(place.report(DEPLOYMENT).display().to_string());
        summary.opening = text.lines().take(OPENING).map(str::to_owned).collect();
    }
    end(app, daemon, clock).await;
    watch.tell(&Happening::Ended(summary))?;
    Ok(())
}

impl Story {
    fn releases(self) -> [Release; 2] {
        let release = |version: &str, error_share, latency_ms| Release {
            version: version.to_owned(),
            error_share,
            latency_ms,
        };
        let first = release("v1", 0.0, 20.0);
        match self {
            Self::Bad => [first, release("v2", 0.2, 200.0)],
            Self::Good => [first, release("v2", 0.0, 18.0)],
        }
    }

    const fn state(self) -> GuardState {
        match self {
            Self::Bad => GuardState::RolledBack,
            Self::Good => GuardState::Baked,
        }
    }

    const fn version(self) -> &'static str {
        match self {
            Self::Bad => "v1",
            Self::Good => "v2",
        }
    }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> DemoError {
    move |source| DemoError::System { what, source }
}

fn not_ready(what: &'static str, place: &Place) -> DemoError {
    let said = std::fs::read(place.log_path(what)).unwrap_or_default();
    let end = &said[said.len().saturating_sub(LOG_END)..];
    let said = crate::render::plain(&String::from_utf8_lossy(end));
    DemoError::NotReady { what, said }
}

fn introduction(place: &Place, port: u16, rules: &[RuleStatus]) -> Happening {
    let rule = |rule: &RuleStatus| {
        let hold = format_duration(Duration::from_millis(rule.evidence.for_ms));
        format!("{} for {hold}", rule.evidence.when)
    };
    Happening::Ready {
        app: format!("http://127.0.0.1:{port}/"),
        directory: place.root().display().to_string(),
        config: place.config().display().to_string(),
        requests_per_second: load::RATE,
        rules: rules.iter().map(rule).collect(),
    }
}

/// The port that the app listens on, once it says so.
async fn port(place: &Place, clock: Clock) -> Result<u16, DemoError> {
    let says = async {
        loop {
            let text = std::fs::read_to_string(place.port_file());
            if let Some(port) = text.ok().and_then(|text| text.parse().ok()) {
                return port;
            }
            clock.sleep_until(clock.now().after(LOOK)).await;
        }
    };
    let port = clock.before(clock.now().after(READY_WITHIN), says).await;
    port.ok_or_else(|| not_ready("app", place))
}

/// What a pipeline does: switch to the new release, and have it guarded.
async fn deploy(
    watch: &mut Watch,
    [good, new]: &[Release; 2],
    place: &Place,
    programs: &Programs,
) -> Result<Timestamp, DemoError> {
    switch_to(&new.version, place, programs).await.map_err(system("switch to the new release"))?;
    let deployed = watch.deployed();
    let version = |release: &Release| {
        Version::new(&release.version).expect("the demo's releases have names of versions")
    };
    let id = DeploymentId::new(DEPLOYMENT).expect("a constant that is an id");
    let begun = watch.client().begin(Some(id), version(new), Some(version(good))).await;
    begun.map_err(DemoError::Begin)?;
    let told = Happening::Deployed {
        deployment: DEPLOYMENT.to_owned(),
        version: new.version.clone(),
        good: good.version.clone(),
    };
    watch.tell_at(deployed, &told)?;
    Ok(deployed)
}

/// Whether the story ended as it should: what the guard says, and what the link says.
fn check(story: Story, state: GuardState, place: &Place) -> Result<(), DemoError> {
    if state != story.state() {
        return Err(DemoError::WrongEnd(state));
    }
    let release = std::fs::read_link(place.current()).map_err(system("read the link"))?;
    if release.ends_with(story.version()) {
        return Ok(());
    }
    Err(DemoError::WrongRelease(release.display().to_string()))
}

/// The report of a bad release, once it is written.
async fn report(story: Story, place: &Place, clock: Clock) -> Result<Option<String>, DemoError> {
    if story == Story::Good {
        return Ok(None);
    }
    let end = clock.now().after(REPORT_WITHIN);
    loop {
        match std::fs::read_to_string(place.report(DEPLOYMENT)) {
            Ok(text) => return Ok(Some(text)),
            Err(source) if clock.now() > end => {
                return Err(DemoError::System { what: "read the report", source });
            }
            Err(_) => clock.sleep_until(clock.now().after(LOOK)).await,
        }
    }
}

/// The times, from the journal.
fn summary(watch: &Watch, deployed: Timestamp, state: GuardState, place: &Place) -> Summary {
    let at = |is: fn(&Event) -> bool| {
        let entry = watch.entries.iter().find(|entry| is(&entry.event));
        entry.map(|entry| entry.at.as_millis())
    };
    let decided = at(|event| matches!(event, Event::Rollback(RollbackEvent::Decided(_))));
    let started = at(|event| matches!(event, Event::Attempt(AttemptEvent::Intent { .. })));
    let cured = at(|event| matches!(event, Event::Rollback(RollbackEvent::Cured { .. })));
    let since_decision = |at: Option<i64>| Some(at? - decided?);
    let rule_for_ms = watch.entries.iter().find_map(|entry| {
        let Event::Rollback(RollbackEvent::Decided(decision)) = &entry.event else { return None };
        let Trigger::Rule(rule) = &decision.trigger else { return None };
        Some(rule.for_ms)
    });
    Summary {
        state: state.to_string(),
        decided_after_ms: decided.map(|at| at - deployed.as_millis()),
        rule_for_ms,
        hook_after_ms: since_decision(started),
        cured_after_ms: since_decision(cured),
        requests: 0,
        failed_requests: 0,
        report: None,
        config: place.config().display().to_string(),
        journal: place.journal().display().to_string(),
        opening: Vec::new(),
    }
}

async fn end(mut app: Child, daemon: Child, clock: Clock) {
    stop(daemon, clock).await;
    // Its standard input ends, and so does the app.
    drop(app.stdin.take());
    stop(app, clock).await;
}

#[expect(clippy::print_stderr, reason = "a command's errors go to standard error")]
fn complain(message: &str) {
    eprintln!("error: {message}");
}
