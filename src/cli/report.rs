//! `rollguard report`: the whole story of one deployment, from the journal.

use clap::Args;
use serde::Serialize;

use super::out::{CommandError, Ended, json, print, style};
use super::past::Place;
use crate::history::{Detail, Summary, Which};
use crate::model::entry::Entry;
use crate::model::name::DeploymentId;
use crate::render;

#[derive(Args)]
#[command(next_line_help = true)]
#[command(after_help = "\
Reads the journal itself, with or without a daemon, and changes nothing. It
tells of deployments that baked, were ended or refused, too. The journal does
not say what signals measure, so readings have no units here. docs/journal.md
has the fields of --json.

Examples:
  rollguard report last
  rollguard report v2-20261121T070000.000Z --markdown > incident.md

Exit codes: 0 ok, 1 no such deployment, or the journal cannot be read.")]
pub(super) struct ReportArgs {
    /// The deployment's id, or `last`: the newest
    #[arg(value_name = "ID", value_parser = which)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print Markdown, as the daemon's incident report
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    place: Place,
}

fn which(text: &str) -> Result<Which, String> {
    if text == "last" {
        return Ok(Which::Last);
    }
    DeploymentId::new(text).map(Which::Id).map_err(|error| error.to_string())
}

#[derive(Serialize)]
struct ReportJson<'a> {
    deployment: &'a Summary,
    at: String,
    entries: &'a [Entry],
    left_out: usize,
}

pub(super) fn run(args: &ReportArgs) -> Ended {
    let detail = args.place.read(|| Detail::new(args.which.clone()), Detail::apply)?;
    let Some(deployment) = detail.summary() else {
        return Err(unknown(&detail, &args.which));
    };
    if args.json {
        let (entries, left_out) = (detail.entries(), detail.left_out());
        let at = detail.at().to_string();
        return print(&json(&ReportJson { deployment, at, entries, left_out }));
    }
    if !args.markdown {
        return print(&render::detail(&detail, style()));
    }
    let incident = detail.incident();
    print(
        &incident.map_or_else(|| render::undecided(&detail), |incident| render::report(&incident)),
    )
}

fn unknown(detail: &Detail, which: &Which) -> CommandError {
    let Which::Id(id) = which else {
        return CommandError::failed("failed to report: no deployment has begun");
    };
    let near: Vec<String> = detail.nearest().iter().map(|id| format!("\n  {id}")).collect();
    let hint = match (near.is_empty(), detail.newest()) {
        (false, _) => format!("did you mean{}", near.concat()),
        (true, Some(newest)) => format!("the newest is {newest}; see `rollguard history`"),
        (true, None) => "no deployment has begun".to_owned(),
    };
    CommandError::failed(format_args!(
        "failed to report: the journal has no deployment {id}\nhint: {hint}"
    ))
}
