//! `rollguard try`: samples the real targets and judges the real rules, for a moment, and shows
//! what each of them sees. It changes nothing: no journal, no hook, no socket.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::check::DEFAULT_FILE;
use super::client::with_runtime;
use super::out::{CommandError, Ended};
use super::try_watch::{TELL_EVERY, watch};
use super::{exit, out};
use crate::clock::Clock;
use crate::config::target_at;
use crate::load::{LoadError, is_main_file, load, load_rules_for};
use crate::match_report;
use crate::model::name::TargetName;
use crate::model::plan::Plan;
use crate::model::signal::SignalKind;
use crate::model::target::Target;
use crate::model::time::parse_duration;
use crate::render;

/// What the page of `--url` is called.
const PAGE: &str = "page";

#[derive(Args)]
#[command(after_help = "\
Samples the targets, judges the rules, and shows what each target, signal and
rule sees. Changes nothing, runs no hook, and may be used while the daemon runs.
Rules files are tried alone, on the configuration's targets or on one page.

Examples:
  rollguard try
  rollguard try --for 1m rules.d/http.toml
  rollguard try --url http://127.0.0.1:9000/metrics http.toml
  rollguard try --json | jq '.signals[] | select(.value == null)'

--json prints `ok`, `watched_s`, `longest_window_s`, `problems`, `lints`, and
  targets  target, url, up, failure {class, detail}, hint, scrapes,
           failed_scrapes, took_s, samples, wanted_samples, malformed,
           first_malformed, bytes
  signals  signal, value, at_least, no_data, unit, description, benign, needs_s,
           by, groups {group, value, at_least, no_data}, group_count,
           selectors {key, selector, series {target, count},
           problem {kind, text, hint, candidates}}
  rules    as `status --json`, and limits (of `when`) and floors (of `given`)
           {signal, unit, reading, op, limit, used, holds}, by_group,
           group_count

Exit codes: 0 every target answers and every signal has a reading, or has none
because there is no traffic or its window fills; 1 a target failed, a selector
matches nothing or a signal has no reading; 78 bad configuration.")]
pub(super) struct TryArgs {
    /// Rules files to try instead of those of the configuration
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Configuration [default: /etc/rollguard/rollguard.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sample this long [default: two scrapes of every target]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    span: Option<Duration>,
    /// Try the rules files on this page, without a configuration
    #[arg(long, conflicts_with = "config", requires = "files")]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TryArgs) -> Ended {
    with_runtime(try_out(plan(args)?, args))
}

/// What is to be tried.
fn plan(args: &TryArgs) -> Result<Plan, CommandError> {
    if let Some(url) = &args.url {
        let name = TargetName::new(PAGE).expect("a constant that is a name");
        let page = target_at(name, url);
        let page =
            page.map_err(|why| CommandError::new(exit::USAGE, format_args!("--url {url}: {why}")))?;
        return on_one_page(&args.files, page);
    }
    let (config, files) = sorted(args)?;
    let plan = load(&config).map(|loaded| loaded.plan).map_err(|error| {
        let unnamed = args.files.is_empty() && args.config.is_none();
        let hinted = unnamed && !matches!(error, LoadError::Wrong(_));
        let mut failure = CommandError::from(error);
        if hinted {
            failure.text += "\nhint: `--config FILE`, or `--url URL` with rules files alone";
        }
        failure
    })?;
    if files.is_empty() { Ok(plan) } else { Ok(load_rules_for(&files, &plan.targets)?) }
}

/// Which of the named files is the configuration.
fn sorted(args: &TryArgs) -> Result<(PathBuf, Vec<PathBuf>), CommandError> {
    let (mut config, mut rules) = (args.config.clone(), Vec::new());
    for file in &args.files {
        if !is_main_file(file)? {
            rules.push(file.clone());
        } else if config.is_none() {
            config = Some(file.clone());
        } else {
            let why = format!("{} is a second configuration", file.display());
            return Err(CommandError::new(exit::USAGE, why));
        }
    }
    Ok((config.unwrap_or_else(|| Path::new(DEFAULT_FILE).to_owned()), rules))
}

/// Rules files on a page that no configuration names: whatever target they ask for, this is it.
fn on_one_page(files: &[PathBuf], page: Target) -> Result<Plan, CommandError> {
    let mut plan = load_rules_for(files, &[])?;
    for signal in &mut plan.signals {
        if let SignalKind::Up(target) = &mut signal.kind {
            *target = page.name.clone();
        }
        for selector in signal.kind.selectors_mut() {
            selector.matchers.retain(|matcher| matcher.label != "target");
        }
    }
    plan.targets = vec![page];
    Ok(plan)
}

async fn try_out(plan: Plan, args: &TryArgs) -> Ended {
    let clock = Clock::start();
    let failed =
        |error| CommandError::failed(format_args!("interrupts cannot be listened for: {error}"));
    let terminal = std::io::stderr().is_terminal();
    let every = (terminal && !args.json).then_some(TELL_EVERY);
    let (evaluator, targets, pages) = watch(plan, args.span, clock, every).await.map_err(failed)?;
    let now = clock.moment();
    let watched = now.at.since(crate::model::time::Instant::ZERO);
    let trial = match_report::match_report(&evaluator, targets, &pages, now, watched);
    let people = || render::match_report(&trial, out::style());
    out::print(&if args.json { out::json(&trial) } else { people() })?;
    Ok(if trial.ok { exit::OK } else { exit::FAILED })
}
