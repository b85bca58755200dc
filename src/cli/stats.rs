//! `rollguard stats`: how well deployments went, from the journal.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use super::out::{Ended, json, print};
use super::past::{Place, since};
use crate::clock::Clock;
use crate::engine::durable::drills::DrillStatus;
use crate::history::{By, Figures, Filter, Index, MAX_KEPT, Period, Stats, Summary, stats};
use crate::model::name::ServiceName;
use crate::model::time::Timestamp;
use crate::render;

#[derive(Args)]
#[command(next_line_help = true)]
#[command(after_help = "\
Change failure rate: (rolled back + rollback failed) / (those + baked). What was
ended, superseded or is under way has no verdict and is in neither number. A
time that is not known is `none`, never zero. Median and p95 are nearest ranks.
docs/journal.md has every definition and the fields of --json.

Examples:
  rollguard stats --since 30d
  rollguard stats --by month --json | jq .all.change_failure_rate

Exit codes: 0 ok, 1 the journal cannot be read, 78 nor can the configuration.")]
pub(super) struct StatsArgs {
    /// Only deployments that began since then: 30d, 2026-11-21 (UTC)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// Also for each week or month
    #[arg(long, value_parser = by())]
    by: Option<By>,
    /// Only deployments of this service
    #[arg(long, value_name = "NAME", value_parser = ServiceName::new)]
    service: Option<ServiceName>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

fn by() -> impl TypedValueParser<Value = By> {
    PossibleValuesParser::new(["week", "month"])
        .map(|by| if by == "week" { By::Week } else { By::Month })
}

#[derive(Serialize)]
struct StatsJson<'a> {
    last_drill: Option<&'a DrillStatus>,
    drill_overdue: bool,
    since: Option<Timestamp>,
    left_out: usize,
    all: &'a Figures,
    periods: &'a [Period],
}

pub(super) fn run(args: &StatsArgs) -> Ended {
    let since = args.since;
    let filter = Filter { since, deployment: None, service: args.service.clone() };
    let book = args.place.read(|| Index::new(filter.clone(), MAX_KEPT), Index::apply)?;
    let deployments: Vec<&Summary> = book.deployments().collect();
    let stats = stats(&deployments, args.by);
    let left_out = book.left_out();
    let (drills, now) = (book.drills(), Clock::start().wall());
    let warning = render::drill_warning(drills.done(), now);
    if args.json {
        let Stats { all, periods } = &stats;
        let last_drill = drills.last();
        let drill_overdue = warning.is_some();
        return print(&json(&StatsJson {
            last_drill,
            drill_overdue,
            since,
            left_out,
            all,
            periods,
        }));
    }
    let of = since.map_or("in all".to_owned(), |since| format!("since {since}"));
    let mut text = render::figures(&stats, &of);
    text.push('\n');
    if let Some(last) = drills.last() {
        text.push_str(&lines(&format!("last drill: {}", render::last_drill(last, now))));
    }
    text.push_str(&warning.map(|warning| lines(&warning)).unwrap_or_default());
    if left_out > 0 {
        text.push_str(&format!("\n{left_out} older ones are not counted\n"));
    }
    print(&text)
}

/// A text on as many lines as it takes.
fn lines(text: &str) -> String {
    render::wrap(text, render::WIDTH).into_iter().map(|line| format!("{line}\n")).collect()
}
