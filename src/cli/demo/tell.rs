//! What the demo tells: a line for people or a JSON object for programs, as it happens. Lines are
//! never wider than a terminal and never move the cursor.

use std::io::{self, Write};

use serde::Serialize;

use crate::engine::view::snapshot::GuardState;
use crate::model::entry::{
    AttemptEvent, DaemonEvent, DeploymentEvent, Entry, Event, RollbackEvent, RuleStanding,
    StepResult, Trigger,
};
use crate::model::name::{RuleName, SignalName};
use crate::render::{self, Paint, Style, WIDTH};

/// Columns of the offset at the left.
const OFFSET: usize = 9;

/// Cells of a bar.
const BAR: usize = 10;

/// Something that happened. The names of its fields are what `--json` prints.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Happening {
    /// App, users and guard are there.
    Ready {
        app: String,
        directory: String,
        config: String,
        requests_per_second: u32,
        rules: Vec<String>,
    },
    /// The bad or the good new release answers from here on.
    Deployed { deployment: String, version: String, good: String },
    /// What the guard reads.
    Reading(Reading),
    /// A rule's state changed.
    Rule { rule: RuleName, state: RuleStanding },
    /// The journal has an entry more.
    Recorded { entry: Box<Entry>, text: String },
    /// It ended as it should.
    Ended(Summary),
    /// It did not.
    Failed { why: String, directory: Option<String> },
}

/// What the guard reads of the rule that the demo is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Reading {
    pub(super) rule: RuleName,
    pub(super) signal: Option<SignalName>,
    pub(super) value: Option<f64>,
    pub(super) limit: Option<f64>,
    pub(super) state: RuleStanding,
    pub(super) guard: GuardState,
    pub(super) held_ms: u64,
    pub(super) for_ms: u64,
    /// The comparison for people.
    pub(super) text: String,
    /// From nothing to the limit; while the rule is pending, from there to firing: 0 to 1.
    pub(super) progress: f64,
    /// Other readings, for people.
    pub(super) also: String,
}

/// How it went.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    /// The state in which the deployment ended.
    pub(super) state: String,
    /// From the new release's first moment to the decision.
    pub(super) decided_after_ms: Option<i64>,
    /// Of that, how long the rule asks for.
    pub(super) rule_for_ms: Option<u64>,
    /// From the decision to the first step.
    pub(super) hook_after_ms: Option<i64>,
    /// From the decision to the cure.
    pub(super) cured_after_ms: Option<i64>,
    /// What the users asked since the deployment, and how much of it failed.
    pub(super) requests: u64,
    pub(super) failed_requests: u64,
    pub(super) report: Option<String>,
    pub(super) config: String,
    pub(super) journal: String,
    /// The first lines of the report.
    #[serde(skip)]
    pub(super) opening: Vec<String>,
}

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// A timeline for people.
    Text(Style),
    /// One JSON object a line.
    Json,
}

#[derive(Serialize)]
struct Stamped<'a> {
    /// Milliseconds since the new release was there; negative before.
    offset_ms: Option<i64>,
    #[serde(flatten)]
    happening: &'a Happening,
}

/// Standard output, told what happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller {
    format: Format,
}

impl Teller {
    pub(super) const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Tells one thing; `offset_ms` is the time since the new release was there.
    pub(super) fn tell(self, offset_ms: Option<i64>, happening: &Happening) -> io::Result<()> {
        let failed =
            matches!((self.format, happening), (Format::Text(_), Happening::Failed { .. }));
        let mut out: Box<dyn Write> =
            if failed { Box::new(io::stderr().lock()) } else { Box::new(io::stdout().lock()) };
        match self.format {
            Format::Json => {
                let line = serde_json::to_string(&Stamped { offset_ms, happening })?;
                writeln!(out, "{line}")?;
            }
            Format::Text(style) => {
                for line in lines(style, offset_ms, happening) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        out.flush()
    }
}

fn lines(style: Style, offset_ms: Option<i64>, happening: &Happening) -> Vec<String> {
    let at = offset_ms.map_or_else(|| "before".to_owned(), render::offset);
    let at = format!("{at:>OFFSET$}  ");
    let line = |paint, text: &str| render::line(style, &[(Paint::Dim, &at), (paint, text)]);
    match happening {
        Happening::Ready { app, directory, config: _, requests_per_second, rules } => vec![
            render::line(style, &[(Paint::Bold, "rollguard demo"), (Paint::Plain, INTRO)]),
            String::new(),
            format!("  app    {app}, release v1, {requests_per_second} requests a second"),
            format!("  files  {directory}"),
            format!("  rules  {}", rules.join(", ")),
            String::new(),
        ],
        Happening::Deployed { version, good, .. } => vec![line(
            Paint::Bold,
            &format!("DEPLOY  {version} answers now; the good version is {good}"),
        )],
        Happening::Reading(reading) => vec![reading.line(style, &at)],
        Happening::Rule { rule, state } => match state {
            RuleStanding::Pending => vec![line(Paint::Yellow, &format!("PENDING rule {rule}"))],
            RuleStanding::Inactive => vec![line(Paint::Green, &format!("CLEAR   rule {rule}"))],
            // The decision says so, with its reasons.
            RuleStanding::Firing => Vec::new(),
        },
        Happening::Recorded { entry, text } => {
            recorded(&entry.event, text).iter().map(|(paint, text)| line(*paint, text)).collect()
        }
        Happening::Ended(summary) => summary.lines(style),
        Happening::Failed { why, directory } => {
            let mut lines = wrapped("", &format!("error: the demo failed: {why}"));
            let files = directory.iter().map(|directory| format!("its files are in {directory}"));
            lines.extend(files);
            lines
        }
    }
}

const INTRO: &str = ": a real app, real requests, a real guard; nothing is acted";

impl Reading {
    fn line(&self, style: Style, at: &str) -> String {
        let doing = match self.guard {
            GuardState::RollingBack | GuardState::Verifying => format!("{}  ", self.guard),
            GuardState::Idle
            | GuardState::Guarding
            | GuardState::AwaitingApproval
            | GuardState::RolledBack
            | GuardState::RollbackFailed
            | GuardState::Baked
            | GuardState::Ended => String::new(),
        };
        let (paint, doing) = match self.state {
            RuleStanding::Inactive => (Paint::Green, doing),
            RuleStanding::Pending => {
                let seconds = |millis: u64| millis as f64 / 1000.0;
                let (held, hold) = (seconds(self.held_ms), seconds(self.for_ms));
                (Paint::Yellow, format!("held {held:.1} s of {hold:.0} s  {doing}"))
            }
            RuleStanding::Firing => (Paint::Red, doing),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10")]
        let full = (self.progress.clamp(0.0, 1.0) * BAR as f64).round() as usize;
        let (full, empty) = ("#".repeat(full), "·".repeat(BAR - full));
        render::line(
            style,
            &[
                (Paint::Dim, at),
                (Paint::Plain, &format!("{:<23} [", self.text)),
                (paint, &full),
                (Paint::Dim, &empty),
                (Paint::Plain, &format!("] {doing}")),
                (Paint::Dim, &self.also),
            ],
        )
    }
}

/// An entry of the journal, as the demo's reader needs it.
fn recorded(event: &Event, text: &str) -> Vec<(Paint, String)> {
    match event {
        // Said by the demo itself, or of no interest to its reader.
        Event::Daemon(DaemonEvent::Started { .. })
        | Event::Daemon(DaemonEvent::Stopped { .. })
        | Event::Deployment(DeploymentEvent::Begun(_)) => Vec::new(),
        Event::Rollback(RollbackEvent::Decided(decision)) => {
            let good = decision.good.as_ref().map_or("?", |good| good.as_str());
            let fires = match &decision.trigger {
                Trigger::Rule(rule) => {
                    let text =
                        format!("FIRING  rule {}: {} held long enough", rule.rule, rule.when);
                    vec![(Paint::Red, text)]
                }
                Trigger::Person { .. } => Vec::new(),
            };
            let text = format!("DECIDED back to {good} with hook {}, once", decision.hook);
            [fires, vec![(Paint::Red, text)]].concat()
        }
        Event::Attempt(AttemptEvent::Intent { attempt, .. }) => {
            let what = text.split_once(": ").map_or(text, |(_, what)| what);
            vec![(Paint::Plain, format!("STEP {}  {what}", attempt.step + 1))]
        }
        Event::Attempt(AttemptEvent::Outcome {
            attempt,
            result: StepResult::Done,
            took_ms,
            ..
        }) => {
            vec![(Paint::Plain, format!("STEP {}  done in {took_ms} ms", attempt.step + 1))]
        }
        Event::Rollback(RollbackEvent::Cured { .. }) => {
            vec![(Paint::Green, format!("CURED   {text}"))]
        }
        Event::Deployment(DeploymentEvent::Baked { .. }) => {
            vec![(Paint::Green, format!("BAKED   {text}"))]
        }
        Event::Rollback(RollbackEvent::Failed { .. }) => {
            vec![(Paint::Red, format!("FAILED  {text}"))]
        }
        Event::Daemon(_)
        | Event::Deployment(_)
        | Event::Stage(_)
        | Event::Rule(_)
        | Event::Approval(_)
        | Event::Pause(_)
        | Event::Live(_)
        | Event::Attempt(_)
        | Event::Drill(_)
        | Event::Notice(_) => vec![(Paint::Plain, text.to_owned())],
    }
}

impl Summary {
    fn lines(&self, style: Style) -> Vec<String> {
        let seconds = |millis: i64| format!("{:.2} s", millis as f64 / 1000.0);
        let head = format!(
            "The new release {}.",
            match self.report {
                Some(_) => "was bad and is gone",
                None => "was good and stays",
            }
        );
        let mut lines = vec![String::new(), render::line(style, &[(Paint::Bold, &head)])];
        let mut fact = |name: &str, value: String| {
            lines.push(format!("  {name:<16} {value}").trim_end().to_owned())
        };
        if let (Some(after), Some(hold)) = (self.decided_after_ms, self.rule_for_ms) {
            let hold = hold as f64 / 1000.0;
            let detail = format!(
                "{} after it was there ({hold:.0} s of it the rule's own `for`)",
                seconds(after)
            );
            fact("noticed", detail);
        }
        if let Some(after) = self.hook_after_ms {
            let after = if after == 0 { "under 1".to_owned() } else { after.to_string() };
            fact("hook started", format!("{after} ms after the decision"));
        }
        if let Some(after) = self.cured_after_ms {
            fact("cure seen", format!("{} after the decision, in the metrics", seconds(after)));
        }
        let (requests, failed) = (self.requests, self.failed_requests);
        fact("users saw", format!("{failed} errors in {requests} requests since the deployment"));
        if let Some(report) = &self.report {
            fact("incident report", String::new());
            lines.push(format!("  {report}"));
            lines.push(String::new());
            lines.extend(self.opening.iter().flat_map(|line| wrapped("  | ", line)));
        }
        lines.extend([
            String::new(),
            "The configuration is yours to read and to change:".to_owned(),
            format!("  {}", self.config),
            "Check it and run it yourself, with its target and hook pointed at your service:"
                .to_owned(),
            format!("  rollguard check {}", self.config),
            format!("  rollguard run --config {}", self.config),
        ]);
        lines
    }
}

/// The text on lines of a terminal's width, each with the same beginning.
fn wrapped(beginning: &str, text: &str) -> Vec<String> {
    let lines = render::wrap(&render::plain(text), WIDTH - beginning.len());
    lines.into_iter().map(|line| format!("{beginning}{line}").trim_end().to_owned()).collect()
}
