//! Tells the story as it happens: a line for people or a JSON object for programs. Lines are never
//! wider than a terminal and never move the cursor.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::engine::view::snapshot::GuardState;
use crate::model::entry::{
    AttemptEvent, DaemonEvent, Decision, DeploymentEvent, Entry, Event, RollbackEvent,
    RuleStanding, StepResult, Trigger,
};
use crate::model::name::{RuleName, SignalName};
use crate::render::{self, Paint, Style, WIDTH};

/// Columns of the offset at the left.
const OFFSET: usize = 9;

/// Cells of a bar.
const BAR: usize = 10;

const INTRO: &str = ": a real app, real requests, a real guard; nothing is acted";

/// Something that happened. The names of its fields are what `--json` prints.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum DemoEvent {
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
    Reading(GuardReading),
    /// A rule's state changed.
    Rule { rule: RuleName, state: RuleStanding },
    /// The journal has an entry more.
    Recorded { entry: Box<Entry>, text: String },
    /// It ended as it should.
    Ended(DemoSummary),
    /// It did not.
    Failed { why: String, directory: Option<String> },
}

/// What the guard reads of the rule that the demo is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct GuardReading {
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
pub(super) struct DemoSummary {
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
pub(super) enum OutputFormat {
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
    event: &'a DemoEvent,
}

impl OutputFormat {
    /// Tells one thing; `offset_ms` is the time since the new release was there.
    pub(super) fn tell(self, offset_ms: Option<i64>, event: &DemoEvent) -> io::Result<()> {
        let text: String = match self {
            Self::Json => serde_json::to_string(&Stamped { offset_ms, event })? + "\n",
            Self::Text(style) => {
                let lines = lines(style, offset_ms, event);
                lines.into_iter().map(|line| line + "\n").collect()
            }
        };
        let for_people = matches!(self, Self::Text(_));
        let mut out: Box<dyn Write> = if for_people && matches!(event, DemoEvent::Failed { .. }) {
            Box::new(io::stderr().lock())
        } else {
            Box::new(io::stdout().lock())
        };
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// Puts what failed before its reason, for `map_err`.
pub(super) fn failed<E: Display>(what: &'static str) -> impl Fn(E) -> String {
    move |why| format!("{what}: {why}")
}

fn lines(style: Style, offset_ms: Option<i64>, event: &DemoEvent) -> Vec<String> {
    let at = offset_ms.map_or_else(|| "before".to_owned(), render::offset);
    let at = format!("{at:>OFFSET$}  ");
    let line = |paint, text: &str| render::line(style, &[(Paint::Dim, &at), (paint, text)]);
    match event {
        DemoEvent::Ready { app, directory, config: _, requests_per_second, rules } => vec![
            render::line(style, &[(Paint::Bold, "rollguard demo"), (Paint::Plain, INTRO)]),
            String::new(),
            format!("  app    {app}, release v1, {requests_per_second} requests a second"),
            format!("  files  {directory}"),
            format!("  rules  {}", rules.join(", ")),
            String::new(),
        ],
        DemoEvent::Deployed { version, good, .. } => {
            let text = format!("DEPLOY  {version} answers now; the good version is {good}");
            vec![line(Paint::Bold, &text)]
        }
        DemoEvent::Reading(reading) => vec![reading.line(style, &at)],
        DemoEvent::Rule { rule, state } => match state {
            RuleStanding::Pending => vec![line(Paint::Yellow, &format!("PENDING rule {rule}"))],
            RuleStanding::Inactive => vec![line(Paint::Green, &format!("CLEAR   rule {rule}"))],
            // The decision says so, with its reasons.
            RuleStanding::Firing => Vec::new(),
        },
        DemoEvent::Recorded { entry, text } => {
            recorded(&entry.event, text).iter().map(|(paint, text)| line(*paint, text)).collect()
        }
        DemoEvent::Ended(summary) => summary.lines(style),
        DemoEvent::Failed { why, directory } => {
            let mut lines = wrapped("", &format!("error: the demo failed: {why}"));
            lines.extend(directory.iter().map(|files| format!("its files are in {files}")));
            lines
        }
    }
}

impl GuardReading {
    fn line(&self, style: Style, at: &str) -> String {
        let acting = matches!(self.guard, GuardState::RollingBack | GuardState::Verifying);
        let doing = if acting { format!("{}  ", self.guard) } else { String::new() };
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
        let pieces = [
            (Paint::Dim, at),
            (Paint::Plain, &*format!("{:<23} [", self.text)),
            (paint, &*"#".repeat(full)),
            (Paint::Dim, &*"·".repeat(BAR - full)),
            (Paint::Plain, &*format!("] {doing}")),
            (Paint::Dim, &*self.also),
        ];
        render::line(style, &pieces)
    }
}

/// An entry of the journal, as the demo's reader needs it.
fn recorded(event: &Event, text: &str) -> Vec<(Paint, String)> {
    let (paint, text) = match event {
        // Said by the demo itself, or of no interest to its reader.
        Event::Daemon(DaemonEvent::Started { .. } | DaemonEvent::Stopped { .. })
        | Event::Deployment(DeploymentEvent::Begun(_)) => return Vec::new(),
        Event::Rollback(RollbackEvent::Decided(decision)) => return decided(decision),
        Event::Attempt(AttemptEvent::Intent { attempt, .. }) => {
            let what = text.split_once(": ").map_or(text, |(_, what)| what);
            (Paint::Plain, format!("STEP {}  {what}", attempt.step + 1))
        }
        Event::Attempt(AttemptEvent::Outcome {
            attempt,
            result: StepResult::Done,
            took_ms,
            ..
        }) => (Paint::Plain, format!("STEP {}  done in {took_ms} ms", attempt.step + 1)),
        Event::Rollback(RollbackEvent::Cured { .. }) => (Paint::Green, format!("CURED   {text}")),
        Event::Deployment(DeploymentEvent::Baked { .. }) => {
            (Paint::Green, format!("BAKED   {text}"))
        }
        Event::Rollback(RollbackEvent::Failed { .. }) => (Paint::Red, format!("FAILED  {text}")),
        Event::Daemon(_)
        | Event::Deployment(_)
        | Event::Stage(_)
        | Event::Rule(_)
        | Event::Approval(_)
        | Event::Pause(_)
        | Event::Live(_)
        | Event::Attempt(_)
        | Event::Drill(_)
        | Event::Notice(_) => (Paint::Plain, text.to_owned()),
    };
    vec![(paint, text)]
}

/// The rule that fired, and the decision.
fn decided(decision: &Decision) -> Vec<(Paint, String)> {
    let good = decision.good.as_ref().map_or("?", |good| good.as_str());
    let decided = format!("DECIDED back to {good} with hook {}, once", decision.hook);
    let fires = match &decision.trigger {
        Trigger::Rule(rule) => {
            Some(format!("FIRING  rule {}: {} held long enough", rule.rule, rule.when))
        }
        Trigger::Person { .. } => None,
    };
    fires.into_iter().chain([decided]).map(|text| (Paint::Red, text)).collect()
}

impl DemoSummary {
    fn lines(&self, style: Style) -> Vec<String> {
        let seconds = |millis: i64| format!("{:.2} s", millis as f64 / 1000.0);
        let bad = self.report.is_some();
        let end = if bad { "was bad and is gone" } else { "was good and stays" };
        let head = format!("The new release {end}.");
        let mut lines = vec![String::new(), render::line(style, &[(Paint::Bold, &head)])];
        let mut fact = |name: &str, value: String| {
            lines.push(format!("  {name:<16} {value}").trim_end().to_owned())
        };
        if let (Some(after), Some(hold)) = (self.decided_after_ms, self.rule_for_ms) {
            let (after, hold) = (seconds(after), hold as f64 / 1000.0);
            let detail =
                format!("{after} after it was there ({hold:.0} s of it the rule's own `for`)");
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
            lines.extend([format!("  {report}"), String::new()]);
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
