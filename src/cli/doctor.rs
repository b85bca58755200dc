//! `rollguard doctor`: proves that a rollback has what it needs, from inside the daemon where one
//! runs. It changes nothing.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::client::{Client, ClientError, TargetDaemon, with_runtime};
use super::out::Ended;
use super::{exit, out};
use crate::clock::Clock;
use crate::facts::{Subject, examine};
use crate::load::{Loaded, load};
use crate::preflight::{Finding, FindingLevel, Inside, PreflightReport};
use crate::render;

#[derive(Args)]
#[command(next_line_help = true)]
#[command(after_help = "\
Looks at every hook's programs, sockets, hosts and secrets, every target and
channel, the state directory, and what the daemon's sandbox keeps hooks from
doing. Where a daemon runs it does the looking: its user, its environment and
its sandbox are what hooks get. Nothing is changed: servers get a connection and
no request, targets one scrape.

Whether a hook really works, `rollguard drill` shows. docs/doctor.md has it all.

Examples:
  rollguard doctor
  rollguard doctor --json | jq '.groups[].findings[] | select(.level != \"ok\")'

Exit codes: 0 nothing failed, 1 something did, 78 bad configuration.")]
pub(super) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: TargetDaemon,
}

pub(super) fn run(args: &DoctorArgs) -> Ended {
    with_runtime(doctor(args, load(&args.daemon.config)?))
}

async fn doctor(args: &DoctorArgs, loaded: Loaded) -> Ended {
    let client = Client::new(args.daemon.control.as_ref().unwrap_or(&loaded.places.control));
    // One that hangs is not waited for as long as a look may take.
    let asked = match client.status().await {
        Ok(_) => client.doctor().await,
        Err(error) => Err(error),
    };
    let mut report = match asked {
        Ok(report) => report,
        Err(error) => {
            let Loaded { plan, places, .. } = loaded;
            let (plan, config, inside) =
                (Arc::new(plan), args.daemon.config.clone(), Inside::Command);
            let said = vec![alone(&error)];
            examine(Subject { plan, places, config, inside, said }, Clock::start()).await
        }
    };
    let other = other_file(&report, &args.daemon.config);
    if let Some(first) = report.groups.first_mut() {
        first.findings.extend(other);
    }
    let people = || render::doctor(&report, out::style());
    out::print(&if args.json { out::json(&report) } else { people() })?;
    Ok(match report.worst() {
        FindingLevel::Ok | FindingLevel::Warn => exit::OK,
        FindingLevel::Fail => exit::FAILED,
    })
}

/// Why it is not looked from inside the daemon.
fn alone(error: &ClientError) -> Finding {
    let why = error.to_string();
    let why = why.lines().next().unwrap_or_default();
    if matches!(error, ClientError::Unreachable { .. }) {
        return Finding::warn(
            format!("{why}; what follows holds for you, not for the daemon"),
            "start it, then look again: its user and its sandbox are what hooks get",
        );
    }
    Finding::fail(why, "see its log; a daemon that does not answer guards nothing")
}

/// Whether the daemon runs by another file than the one that is meant.
fn other_file(report: &PreflightReport, meant: &Path) -> Option<Finding> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    (real(&report.config) != real(meant)).then(|| {
        let theirs = report.config.display();
        let what = format!("the daemon runs by {theirs}, not by {}", meant.display());
        Finding::warn(what, "name its file with --config, or its socket with --control")
    })
}
