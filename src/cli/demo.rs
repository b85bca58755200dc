//! `rollguard demo`: the whole story on this machine, with no configuration. Everything in it is
//! real: an app, requests, a deployment, the daemon, its scrapes, a hook, a cure and a report.

pub(super) mod app;
mod children;
mod directory;
mod load;
mod tell;
mod watch;

use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::children::{start_app, start_daemon, stop};
use self::directory::{DemoDirectory, Release, programs};
use self::load::Load;
use self::tell::{DemoEvent, DemoSummary, OutputFormat, failed};
use self::watch::GuardWatch;
use super::interrupts::Interrupts;
use super::out::Ended;
use super::{exit, out};
use crate::clock::Clock;
use crate::engine::command::{Command, Terms};
use crate::engine::view::snapshot::{GuardState, RuleStatus};
use crate::model::entry::{AttemptEvent, Event, RollbackEvent, Trigger};
use crate::model::name::{DeploymentId, Version};
use crate::model::time::{Timestamp, format_duration};

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

pub(super) async fn run(args: DemoArgs) -> Ended {
    let teller = if args.json { OutputFormat::Json } else { OutputFormat::Text(out::style()) };
    let mut directory = None;
    let Err(why) = within_limits(args.good, teller, &mut directory).await else {
        return Ok(exit::OK);
    };
    let directory = directory.map(|directory: DemoDirectory| directory.root.display().to_string());
    if let Err(unheard) = teller.tell(None, &DemoEvent::Failed { why: why.clone(), directory }) {
        out::note(&format!("error: {why}; it cannot be told: {unheard}"));
    }
    Ok(exit::FAILED)
}

/// The story, unless it takes too long or somebody ends it; its children end with it.
async fn within_limits(
    good: bool,
    teller: OutputFormat,
    directory: &mut Option<DemoDirectory>,
) -> Result<(), String> {
    let clock = Clock::start();
    let interrupts = Interrupts::of(&[SIGINT, SIGTERM, SIGHUP]);
    let mut interrupts = interrupts.map_err(failed("listen for signals"))?;
    let end = clock.now().after(STORY_WITHIN);
    tokio::select! {
        told = clock.before(end, tell(good, teller, clock, directory)) => told.unwrap_or_else(|| {
            Err(format!("the story took longer than {} s", STORY_WITHIN.as_secs()))
        }),
        () = interrupts.next() => Err("it was interrupted".to_owned()),
    }
}

async fn tell(
    good: bool,
    teller: OutputFormat,
    clock: Clock,
    kept: &mut Option<DemoDirectory>,
) -> Result<(), String> {
    let releases = releases(good);
    let programs = programs().map_err(failed("find the programs of the hook"))?;
    let directory = DemoDirectory::create(&releases).map_err(failed("make a directory"))?;
    let directory = kept.insert(directory).clone();
    let mut app = start_app(&directory).map_err(failed("start the app"))?;
    let port = found(clock, READY_WITHIN, || {
        std::fs::read_to_string(directory.at("port")).ok()?.parse().ok()
    });
    let port: u16 = port.await.ok_or_else(|| not_ready("app", &directory))?;
    let load = Load::start(port, clock);
    directory.configure(port, programs).map_err(failed("write the configuration"))?;
    let mut daemon = start_daemon(&directory).map_err(failed("start the daemon"))?;
    let mut watch = GuardWatch::new(&directory, clock, teller);
    let ready = async {
        tokio::select! {
            snapshot = watch.until_ready() => Some(snapshot),
            _ = daemon.wait() => None,
        }
    };
    let ready = clock.before(clock.now().after(READY_WITHIN), ready).await.flatten();
    let rules = ready.ok_or_else(|| not_ready("daemon", &directory))?.rules;
    watch.tell(&introduction(&directory, port, &rules))?;
    watch.look_for(HEALTHY_FOR).await?;
    let before = load.totals();
    let deployed = deploy(&mut watch, &releases, &directory).await?;
    let state = watch.until_over().await?;
    check_end(good, state, &directory)?;
    let after = load.totals();
    let report = report(good, &directory, clock).await?;
    let requests = [after[0] - before[0], after[1] - before[1]];
    let summary = summary(&watch, deployed, state, &directory, requests, report);
    stop(daemon, clock).await;
    // The app ends when its standard input does.
    drop(app.stdin.take());
    stop(app, clock).await;
    watch.tell(&DemoEvent::Ended(summary))
}

fn releases(good: bool) -> [Release; 2] {
    let release = |version: &str, error_share, latency_ms| Release {
        version: version.to_owned(),
        error_share,
        latency_ms,
    };
    let (error_share, latency_ms) = if good { (0.0, 18.0) } else { (0.2, 200.0) };
    [release("v1", 0.0, 20.0), release("v2", error_share, latency_ms)]
}

/// Checks that it ended as it should: what the guard says, and where the link points to.
fn check_end(good: bool, state: GuardState, directory: &DemoDirectory) -> Result<(), String> {
    let (expected, version) =
        if good { (GuardState::Baked, "v2") } else { (GuardState::RolledBack, "v1") };
    if state != expected {
        return Err(format!("the deployment ended as `{state}`"));
    }
    let release = std::fs::read_link(directory.at("current")).map_err(failed("read the link"))?;
    if release.ends_with(version) {
        return Ok(());
    }
    Err(format!("the link points to {}", release.display()))
}

/// Looks again and again until something is found.
async fn found<T>(clock: Clock, within: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
    let looks = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            clock.sleep_until(clock.now().after(LOOK)).await;
        }
    };
    clock.before(clock.now().after(within), looks).await
}

fn not_ready(what: &str, directory: &DemoDirectory) -> String {
    let said = std::fs::read(directory.at(&format!("{what}.log"))).unwrap_or_default();
    let end = &said[said.len().saturating_sub(LOG_END)..];
    let said = crate::render::plain(&String::from_utf8_lossy(end));
    format!("the {what} was not there in time; it said: {said}")
}

fn introduction(directory: &DemoDirectory, port: u16, rules: &[RuleStatus]) -> DemoEvent {
    let rule = |rule: &RuleStatus| {
        let hold = format_duration(Duration::from_millis(rule.evidence.for_ms));
        format!("{} for {hold}", rule.evidence.when)
    };
    DemoEvent::Ready {
        app: format!("http://127.0.0.1:{port}/"),
        directory: directory.root.display().to_string(),
        config: directory.config().display().to_string(),
        requests_per_second: load::RATE,
        rules: rules.iter().map(rule).collect(),
    }
}

/// Does what a pipeline does: switches to the new release and has it guarded.
async fn deploy(
    watch: &mut GuardWatch,
    [good, new]: &[Release; 2],
    directory: &DemoDirectory,
) -> Result<Timestamp, String> {
    directory.switch_to(new).map_err(failed("switch to the new release"))?;
    let deployed = watch.deployed();
    let version = |release: &Release| {
        Version::new(&release.version).expect("the demo's releases have names of versions")
    };
    let id = DeploymentId::new(DEPLOYMENT).expect("a constant that is an id");
    let (id, terms) = (Some(id), Terms::default());
    let begin = Command::Begin { id, version: version(new), good: Some(version(good)), terms };
    watch.client.command(&begin).await.map_err(failed("begin the deployment"))?;
    let told = DemoEvent::Deployed {
        deployment: DEPLOYMENT.to_owned(),
        version: new.version.clone(),
        good: good.version.clone(),
    };
    watch.tell_at(deployed, &told)?;
    Ok(deployed)
}

/// The report of a bad release, once it is written.
async fn report(
    good: bool,
    directory: &DemoDirectory,
    clock: Clock,
) -> Result<Option<String>, String> {
    if good {
        return Ok(None);
    }
    let read = || std::fs::read_to_string(directory.report(DEPLOYMENT));
    let written = found(clock, REPORT_WITHIN, || read().ok()).await;
    written.map_or_else(read, Ok).map(Some).map_err(failed("read the report"))
}

/// How it went. The times come from the journal.
fn summary(
    watch: &GuardWatch,
    deployed: Timestamp,
    state: GuardState,
    directory: &DemoDirectory,
    [requests, failed_requests]: [u64; 2],
    report: Option<String>,
) -> DemoSummary {
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
    DemoSummary {
        state: state.to_string(),
        decided_after_ms: decided.map(|at| at - deployed.as_millis()),
        rule_for_ms,
        hook_after_ms: since_decision(started),
        cured_after_ms: since_decision(cured),
        requests,
        failed_requests,
        report: report.as_ref().map(|_| directory.report(DEPLOYMENT).display().to_string()),
        config: directory.config().display().to_string(),
        journal: directory.journal().display().to_string(),
        opening: report
            .iter()
            .flat_map(|text| text.lines())
            .take(OPENING)
            .map(str::to_owned)
            .collect(),
    }
}
