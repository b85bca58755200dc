//! Runs all checks of a plan side by side, each within its time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{files, network, programs};
use crate::clock::Clock;
use crate::live_version::Reader;
use crate::load::{Places, load};
use crate::model::live::{Live, LiveSettings, LiveUnknown};
use crate::model::plan::Plan;
use crate::model::step::Via;
use crate::model::target::Target;
use crate::net::client::Client;
use crate::preflight::{
    CheckGroup, Finding, FindingGroup, Inside, PreflightCheck, PreflightReport, ProcessContext,
    Sandbox, checks,
};
use crate::source::scrape_once;

/// How long one check may take. What takes longer is too slow for a rollback, too.
const EACH: Duration = Duration::from_secs(10);

/// How long all checks may take together: enough for hundreds of hosts that do not answer.
pub const WHOLE: Duration = Duration::from_secs(60);

/// How many checks run at the same time: enough that silent hosts do not add up, few enough not to
/// be felt by what is sampled.
const AT_ONCE: usize = 16;

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The configuration in force.
    pub plan: Arc<Plan>,
    /// Where things are kept.
    pub places: Places,
    /// Its main file.
    pub config: PathBuf,
    /// Where it is looked from.
    pub inside: Inside,
    /// What is known already of the daemon.
    pub said: Vec<Finding>,
}

/// Looks at everything.
pub async fn examine(subject: Subject, clock: Clock) -> PreflightReport {
    let Subject { plan, places, config, inside, mut said } = subject;
    let (client, context) = (Client::default(), programs::context());
    let examiner = Arc::new(Examiner { clock, client, context, room: Semaphore::new(AT_ONCE) });
    said.push(examiner.context.sandbox.as_ref().map_or_else(no_proc, Sandbox::describe));
    said.extend(blocking(move || files::places(&places)).await);
    if inside == Inside::Daemon {
        said.extend(programs::supervisor());
        let (file, plan) = (config.clone(), plan.clone());
        said.push(on_disk(file, plan).await);
    }
    let mut groups = vec![FindingGroup { group: "daemon".to_owned(), findings: said }];
    groups.extend(examiner.all(checks(&plan)).await);
    let (pid, uid) = (std::process::id(), examiner.context.uid);
    let rollguard = env!("CARGO_PKG_VERSION").to_owned();
    PreflightReport { rollguard, inside, pid, uid, config, groups }
}

fn no_proc() -> Finding {
    Finding::warn("the sandbox cannot be seen: /proc is not readable", "mount /proc")
}

/// Whether the files on disk say what is in force.
async fn on_disk(config: PathBuf, plan: Arc<Plan>) -> Finding {
    let shown = config.display().to_string();
    let same = move || load(&config).map(|loaded| loaded.plan == *plan);
    match timeout(EACH, tokio::task::spawn_blocking(same)).await {
        Ok(Ok(Ok(true))) => Finding::ok(format!("{shown} is what is in force")),
        Ok(Ok(Ok(false))) => Finding::warn(
            format!("{shown} or a rules file was changed, and is not in force"),
            "systemctl reload rollguard",
        ),
        Ok(Ok(Err(error))) => Finding::fail(
            format!("failed to {error}; what was loaded before is in force"),
            format!("rollguard check {shown}"),
        ),
        Ok(Err(_)) | Err(_) => Finding::fail(
            format!("{shown} cannot be read within {} s", EACH.as_secs()),
            "see what its file system does",
        ),
    }
}

/// What every check needs.
#[derive(Debug)]
struct Examiner {
    clock: Clock,
    client: Client,
    context: ProcessContext,
    room: Semaphore,
}

impl Examiner {
    /// Runs the checks of all groups side by side.
    async fn all(self: &Arc<Self>, all: Vec<CheckGroup>) -> Vec<FindingGroup> {
        let end = self.clock.now().after(WHOLE);
        let start = |check| {
            let examiner = self.clone();
            tokio::spawn(async move { examiner.one(check).await })
        };
        let started: Vec<(String, Vec<JoinHandle<_>>)> = all
            .into_iter()
            .map(|CheckGroup { group, checks }| (group, checks.into_iter().map(start).collect()))
            .collect();
        let mut groups = Vec::new();
        for (group, checks) in started {
            let mut findings = Vec::new();
            for mut check in checks {
                let found = self.clock.before(end, &mut check).await;
                check.abort();
                findings.extend(found.and_then(Result::ok).unwrap_or_else(|| vec![late()]));
            }
            groups.push(FindingGroup { group, findings });
        }
        groups
    }

    async fn one(&self, check: PreflightCheck) -> Vec<Finding> {
        let _place = self.room.acquire().await.expect("the semaphore is never closed");
        timeout(EACH, self.run(check)).await.unwrap_or_else(|_| vec![late()])
    }

    async fn run(&self, check: PreflightCheck) -> Vec<Finding> {
        vec![match check {
            PreflightCheck::Program { program, paths, via } => {
                return self.program(program, paths, via).await;
            }
            PreflightCheck::Said(finding) => finding,
            PreflightCheck::Secret { what, secret } => {
                blocking(move || files::secret(&what, &secret)).await
            }
            PreflightCheck::Server { url, on_failure } => {
                network::server(&self.client, url, on_failure, EACH).await
            }
            PreflightCheck::Address(address) => network::address(&address).await,
            PreflightCheck::Socket(path) => network::socket(&path).await,
            PreflightCheck::Scrape(target) => self.scrape(*target).await,
            PreflightCheck::Live(settings) => live(&settings).await,
        }]
    }

    async fn program(&self, program: String, paths: Vec<PathBuf>, via: Via) -> Vec<Finding> {
        let mut context = self.context.clone();
        let mut found = Vec::new();
        if via == Via::SystemdRun {
            // A unit of its own has neither the sandbox nor the environment of this one.
            (context.sandbox, context.home) = (None, true);
            found.extend(programs::systemd_run(context.uid).await);
        }
        found.extend(blocking(move || programs::program(&program, &paths, &context)).await);
        found
    }

    async fn scrape(&self, target: Target) -> Finding {
        let scrape = scrape_once(&target, None, self.clock).await;
        let took = scrape.took.as_millis();
        match scrape.result {
            Ok(page) => {
                let samples = page.samples().count();
                Finding::ok(format!("{} answers in {took} ms with {samples} samples", target.kind))
            }
            Err(failure) => Finding::fail(
                format!("{}: {}", target.kind, failure.detail),
                "see it with: rollguard try; without it, its rules see nothing",
            ),
        }
    }
}

async fn live(settings: &LiveSettings) -> Finding {
    match Reader::default().read(settings).await {
        Live::Version(version) => Finding::ok(format!("{version} is live")),
        live @ Live::Unknown(_) => {
            let what = format!("the live version is {live}");
            let remedy = match settings.unknown {
                LiveUnknown::Refuse => "until it is known, no rollback starts",
                LiveUnknown::Proceed => "until it is known, nothing keeps a rollback from starting",
            };
            Finding::fail(what, remedy)
        }
    }
}

fn late() -> Finding {
    let what = format!("not seen within {} s", EACH.as_secs());
    Finding::fail(what, "what is this slow now will be in a rollback, too")
}

/// Work that may wait for a disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("a look that panics aborts")
}
