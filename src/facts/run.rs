//! All checks of a plan, side by side, each within its time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{files, network, programs};
use crate::clock::Clock;
use crate::hook::client::Client;
use crate::live_version::Reader;
use crate::load::{Places, load};
use crate::model::live::{Live, LiveSettings, LiveUnknown};
use crate::model::plan::Plan;
use crate::model::step::Via;
use crate::model::target::Target;
use crate::preflight::{Check, Checks, Finding, Group, Inside, Report, Sandbox, Standing, checks};
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
pub async fn examine(subject: Subject, clock: Clock) -> Report {
    let Subject { plan, places, config, inside, mut said } = subject;
    let look = Arc::new(Look::new(clock));
    said.push(look.standing.sandbox.as_ref().map_or_else(no_proc, Sandbox::describe));
    said.extend(blocking(move || files::places(&places)).await);
    if inside == Inside::Daemon {
        said.extend(programs::supervisor());
        let (file, plan) = (config.clone(), plan.clone());
        said.push(on_disk(file, plan).await);
    }
    let mut groups = vec![Group { group: "daemon".to_owned(), findings: said }];
    groups.extend(look.all(checks(&plan)).await);
    let (pid, uid) = (std::process::id(), look.standing.uid);
    let rollguard = env!("CARGO_PKG_VERSION").to_owned();
    Report { rollguard, inside, pid, uid, config, groups }
}

fn no_proc() -> Finding {
    Finding::warn("the sandbox cannot be seen: /proc is not readable", "mount /proc")
}

/// Whether the files on disk say what is in force.
async fn on_disk(config: PathBuf, plan: Arc<Plan>) -> Finding {
    let shown = config.display().to_string();
    let same = timeout(EACH, tokio::task::spawn_blocking(move || is_same(&config, &plan))).await;
    match same {
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

fn is_same(config: &Path, plan: &Plan) -> Result<bool, crate::load::LoadError> {
    Ok(load(config)?.plan == *plan)
}

/// What every check shares.
#[derive(Debug)]
struct Look {
    clock: Clock,
    client: Client,
    standing: Standing,
    room: Semaphore,
}

impl Look {
    fn new(clock: Clock) -> Self {
        let (client, standing) = (Client::default(), programs::standing());
        Self { clock, client, standing, room: Semaphore::new(AT_ONCE) }
    }

    async fn all(self: &Arc<Self>, all: Vec<Checks>) -> Vec<Group> {
        let mut running = JoinSet::new();
        let mut found: Vec<Vec<Option<Vec<Finding>>>> = Vec::new();
        let mut names = Vec::new();
        for (group, Checks { group: name, checks }) in all.into_iter().enumerate() {
            found.push(vec![None; checks.len()]);
            names.push(name);
            for (place, check) in checks.into_iter().enumerate() {
                let look = self.clone();
                running.spawn(async move { (group, place, look.one(check).await) });
            }
        }
        let collect = async {
            while let Some(done) = running.join_next().await {
                if let Ok((group, place, findings)) = done {
                    found[group][place] = Some(findings);
                }
            }
        };
        // What is not there by then is said to be missing.
        let _ = timeout(WHOLE, collect).await;
        let groups = names.into_iter().zip(found);
        groups
            .map(|(group, found)| {
                let findings =
                    found.into_iter().flat_map(|found| found.unwrap_or_else(|| vec![late()]));
                Group { group, findings: findings.collect() }
            })
            .collect()
    }

    async fn one(&self, check: Check) -> Vec<Finding> {
        let Ok(_place) = self.room.acquire().await else { return Vec::new() };
        timeout(EACH, self.look(check)).await.unwrap_or_else(|_| vec![late()])
    }

    async fn look(&self, check: Check) -> Vec<Finding> {
        match check {
            Check::Said(finding) => vec![finding],
            Check::Program { program, paths, via } => self.program(program, paths, via).await,
            Check::Secret { what, secret } => {
                vec![blocking(move || files::secret(&what, &secret)).await]
            }
            Check::Server { url, on_failure } => {
                vec![network::server(&self.client, url, on_failure, EACH).await]
            }
            Check::Address(address) => vec![network::address(&address).await],
            Check::Socket(path) => vec![network::socket(&path).await],
            Check::Scrape(target) => vec![self.scrape(*target).await],
            Check::Live(settings) => vec![live(&settings).await],
        }
    }

    async fn program(&self, program: String, paths: Vec<PathBuf>, via: Via) -> Vec<Finding> {
        let mut standing = self.standing.clone();
        let mut found = Vec::new();
        if via == Via::SystemdRun {
            // A unit of its own has neither the sandbox nor the environment of this one.
            (standing.sandbox, standing.home) = (None, true);
            found.extend(programs::systemd_run(standing.uid).await);
        }
        found.extend(blocking(move || programs::program(&program, &paths, &standing)).await);
        found
    }

    async fn scrape(&self, target: Target) -> Finding {
        let scrape = scrape_once(&target, None, self.clock).await;
        let took = scrape.took.as_millis();
        match scrape.result {
            Ok(page) => {
                let samples = page.samples().count();
                Finding::ok(format!("{} answers in {took} ms with {samples} samples", target.url))
            }
            Err(failure) => Finding::fail(
                format!("{}: {}", target.url, failure.detail),
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
