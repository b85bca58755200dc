//! The reports of a deployment, in Markdown: each tells the whole story to someone who was not
//! there. Everything in them comes from the record; nothing is left out because it looks bad.

use std::time::Duration;

use crate::engine::effect::{Conclusion, Incident};
use crate::history::{DeploymentOutcome, Detail, Summary};
use crate::model::condition::Compare;
use crate::model::entry::{
    ApprovalEvent, AttemptEvent, Caller, Decision, Entry, Event, GroupEvidence, LiveEvent,
    RollbackEvent, RuleEvent, RuleEvidence, SignalEvidence, Trigger,
};
use crate::model::name::SignalName;
use crate::model::signal::Unit;
use crate::model::time::Timestamp;

use super::entry::event_in;
use super::history::{times, why};
use super::line::{caller, duration_ms, list, offset, plain, sections, span, span_ms, took};
use super::markdown::{
    block, bullets, code, code_cell, link, row, table_head, table_section, text,
};
use super::number::{Units, comparisons, number, readings, shown, unit_in};
use super::people;

/// The end of a step's output that a report shows, in bytes. The journal has all that was kept.
const MAX_OUTPUT: usize = 4 * 1024;

/// An incident, how it ended and its versions as Markdown.
struct Story<'a> {
    incident: &'a Incident,
    version: String,
    good: String,
}

/// The incident report.
pub fn report(incident: &Incident) -> String {
    let Incident { entries, begun, decision, units, .. } = incident;
    let good = decision.good.as_ref().map_or("(none known)", |good| good.as_str());
    let (version, good) = (text(decision.version.as_str()), text(good));
    let story = Story { incident, version, good };
    let foot = format!(
        "---\n\nWritten by rollguard from its journal, which has every entry in full. The hook was \
         {}. Times are UTC.\n",
        code(decision.hook.as_str())
    );
    sections([
        story.head(),
        story.what_now(),
        story.deciding_rule(),
        timeline(entries, *begun, story.decided(), units),
        signals(incident),
        other_rules(incident),
        steps(entries),
        story.cure(),
        refusals(entries),
        foot,
    ])
}

impl Story<'_> {
    /// When the first entry of this kind was written.
    fn at(&self, is: fn(&Event) -> bool) -> Option<Timestamp> {
        self.incident.entries.iter().find(|entry| is(&entry.event)).map(|entry| entry.at)
    }

    fn decided(&self) -> Option<Timestamp> {
        self.at(|event| matches!(event, Event::Rollback(RollbackEvent::Decided(_))))
    }

    /// A rule's comparisons in a row: `error_rate 19.8% > 5%`.
    fn readings(&self, rule: &RuleEvidence) -> String {
        text(&readings(rule, &self.incident.units))
    }

    /// Why it went wrong or was refused, as it stands within a sentence.
    fn why(&self, otherwise: &str) -> String {
        let why = self.incident.why.as_deref();
        why.map_or(otherwise.to_owned(), |why| text(&sentence(why)))
    }

    fn head(&self) -> String {
        let Self { version, good, .. } = self;
        let title = match self.incident.ended {
            Conclusion::RolledBack => format!("{version} was rolled back to {good}"),
            Conclusion::Failed => format!("the rollback of {version} to {good} FAILED"),
            Conclusion::Underway => format!("the rollback of {version} to {good} is not over"),
            Conclusion::NotDone => format!("{version} is bad and was not rolled back"),
            Conclusion::Asked => {
                format!("{version} is bad, and a rollback to {good} awaits approval")
            }
        };
        let Incident { service, deployment, ended, begun, at, .. } = self.incident;
        let (service, ended, deployment) = (text(service), ended.word(), code(deployment.as_str()));
        format!(
            "# {service}: {title}\n\n**Verdict: {ended}.** Deployment {deployment}, begun {begun}, \
             reported {at}.\n\n{} {}\n",
            self.why_sentence(),
            self.when_sentence(),
        )
    }

    fn why_sentence(&self) -> String {
        let version = &self.version;
        match &self.incident.decision.trigger {
            Trigger::Rule(rule) => format!(
                "Rule {} fired against version {version}: {} had held for {} ({}).",
                code(rule.rule.as_str()),
                code(&rule.when),
                span_ms(rule.held_ms),
                self.readings(rule),
            ),
            Trigger::Person { reason, by } => {
                let person = match by {
                    Caller::Guard => "The guard".to_owned(),
                    Caller::Process { uid, .. } => format!("A person (user {uid})"),
                };
                let reason = text(reason.trim_end_matches('.'));
                format!("{person} said that version {version} must be rolled back: \"{reason}\".")
            }
        }
    }

    fn when_sentence(&self) -> String {
        if self.incident.ended == Conclusion::Asked {
            return "Nothing is done before a person approves.".to_owned();
        }
        let Some(decided) = self.decided() else {
            let why = self.incident.why.as_deref().unwrap_or("see the refusals below");
            return format!("Nothing was done, because the guard refused: {}.", text(why));
        };
        let after = span(decided.since(self.incident.begun));
        let step = self.at(|event| matches!(event, Event::Attempt(AttemptEvent::Intent { .. })));
        let start = match step.map(|step| step.since(decided)) {
            None => "no step was started".to_owned(),
            Some(Duration::ZERO) => "the first step started within a millisecond".to_owned(),
            Some(later) => format!("the first step started {} later", span(later)),
        };
        let cured = self.at(|event| matches!(event, Event::Rollback(RollbackEvent::Cured { .. })));
        let end = match (cured, &self.incident.why) {
            (Some(cured), _) => {
                format!("the cure was seen {} after the decision", span(cured.since(decided)))
            }
            (None, Some(_)) => format!("then the rollback failed: {}", self.why("")),
            (None, None) => "the cure has not been seen".to_owned(),
        };
        format!("It was decided {after} after the deployment began, {start}, and {end}.")
    }

    /// What is asked, and how it is answered.
    fn question(&self) -> String {
        let Self { version, good, .. } = self;
        let id = self.incident.deployment.as_str();
        let asked = self.incident.entries.iter().rev().find_map(|entry| {
            let Event::Approval(ApprovalEvent::Asked { until, default, .. }) = &entry.event else {
                return None;
            };
            let otherwise = people::otherwise(*default);
            Some(format!(" Without an answer before {until} {otherwise}."))
        });
        let approve = code(&format!("rollguard approve --deployment {id}"));
        let deny = code(&format!("rollguard deny --deployment {id} --reason \"...\""));
        format!(
            "**A person must decide.** {approve} brings {good} back; {deny} keeps {version}.{}",
            asked.unwrap_or_default()
        )
    }

    fn what_now(&self) -> String {
        let Self { version, good, .. } = self;
        let refused = || self.why("it was refused");
        let todo = match self.incident.ended {
            Conclusion::Asked => self.question(),
            Conclusion::RolledBack => format!(
                "Nothing is urgent: the hook's steps towards {good} are done, and the cure was \
                 seen. Find out why {version} was bad before it is deployed again."
            ),
            Conclusion::Failed => format!(
                "**A person is needed.** The rollback failed: {}. rollguard will not try a second \
                 time, so bring {good} back by hand, check the signals below, and see what each \
                 step printed.",
                self.why("its cure was not seen"),
            ),
            Conclusion::Underway => format!(
                "See with `rollguard status` how far the rollback to {good} is. Where no daemon \
                 answers, start it: it goes on where the record ends."
            ),
            Conclusion::NotDone if self.incident.decision.good.is_none() => format!(
                "**A person must decide.** The rule fires and rollguard does nothing: {}. No good \
                 version is known: bring one back by your own procedure, and begin the next \
                 deployment with `--good`.",
                refused(),
            ),
            Conclusion::NotDone => format!(
                "**A person must decide.** The rule fires and rollguard does nothing: {}. To roll \
                 back to {good}, run `rollguard rollback --reason \"...\"`, or use your own \
                 procedure.",
                refused(),
            ),
        };
        format!("## What to do now\n\n{todo}\n")
    }

    /// What was looked for after the steps, and on which readings it was seen.
    fn cure(&self) -> String {
        let wanted = &self.incident.decision.cure;
        if matches!(self.incident.ended, Conclusion::NotDone | Conclusion::Asked)
            || wanted.is_empty()
        {
            return String::new();
        }
        let seen = self.incident.entries.iter().find_map(|entry| {
            let Event::Rollback(RollbackEvent::Cured { signals, .. }) = &entry.event else {
                return None;
            };
            let readings = list(signals.iter().map(|signal| {
                let unit = unit_in(&self.incident.units, &signal.signal);
                let value = signal.value.map(|value| number(value, unit));
                let value = value.or(signal.no_data.clone()).unwrap_or_default();
                format!("{} {}", text(&signal.label()), text(&value))
            }));
            Some(format!("seen at {}, with {readings}", entry.at))
        });
        let seen = seen.unwrap_or("it was not seen".to_owned());
        format!("## The cure\n\n- wanted: {}\n- {seen}\n", code(wanted))
    }

    fn deciding_rule(&self) -> String {
        let Some(rule) = self.incident.decision.trigger.rule() else { return String::new() };
        let (approval, about) = (self.incident.decision.approval.as_ref(), &rule.about);
        // For how much of its time a rule must hold, where that is not all of it.
        let share = rule.share.map(|share| number(share, Some(Unit::Ratio)));
        let share = share.map(|share| format!(" for {share} of the time")).unwrap_or_default();
        let (hold, held) = (code(&duration_ms(rule.for_ms)), span_ms(rule.held_ms));
        let groups = |quorum| text(&format!("it takes {quorum}: {}", group_list(&rule.groups)));
        let facts = [
            ("when", Some(code(&rule.when))),
            ("given", rule.given.as_deref().map(code)),
            ("for", Some(format!("{hold}{share}, held {held}"))),
            ("readings", Some(self.readings(rule))),
            ("groups", rule.quorum.as_ref().map(groups)),
            ("holds since", rule.since.map(|since| since.to_string())),
            ("asked", approval.map(|yes| yes.asked.to_string())),
            ("approved", approval.map(|yes| text(&people::approved(yes)))),
            ("description", about.description.as_deref().map(text)),
            ("runbook", about.runbook.as_deref().map(link)),
            ("owner", about.owner.as_deref().map(text)),
        ];
        format!("## The deciding rule: {}\n\n{}", code(rule.rule.as_str()), bullets(facts))
    }
}

/// Groups of a rule, each with its state and for how long.
pub(super) fn group_list(groups: &[GroupEvidence]) -> String {
    let group = |group: &GroupEvidence| {
        format!("{} {} for {}", group.group, group.state, span_ms(group.held_ms))
    };
    groups.iter().map(group).collect::<Vec<_>>().join("; ")
}

/// A text that ends up within a sentence: without the full stop that it may end with.
fn sentence(text: &str) -> String {
    plain(text.trim_end_matches(['.', ' ', '\n']))
}

/// The report of a deployment for which nothing was decided: it baked, was ended, or is still
/// guarded. Empty where the journal does not know the deployment.
pub fn undecided(deployment: &Detail) -> String {
    let Some(summary) = deployment.summary() else { return String::new() };
    let entries = deployment.entries();
    let before = |signal: &SignalEvidence| {
        let value = signal.value.map(|value| number(value, None));
        let value = value.or_else(|| signal.no_data.clone()).unwrap_or("no data".to_owned());
        row(&[code_cell(&signal.label()), text(&value)])
    };
    let before: String = deployment.before().iter().map(before).collect();
    sections([
        undecided_head(summary, deployment.at()),
        timeline(entries, summary.begun, None, &[]),
        refusals(entries),
        table_section("Signals before", &["signal", "before"], &before),
        "---\n\nWritten by rollguard from its journal. Times are UTC.\n".to_owned(),
    ])
}

fn undecided_head(summary: &Summary, at: Timestamp) -> String {
    let (version, ended) = (text(summary.version.as_str()), summary.ending.word());
    let title = match summary.ending {
        DeploymentOutcome::Baked => format!("{version} baked and counts as good"),
        DeploymentOutcome::Ended => format!("the guarding of {version} ended without a verdict"),
        DeploymentOutcome::Superseded => format!("{version} was superseded without a verdict"),
        DeploymentOutcome::Guarding => format!("{version} is guarded"),
        // Nothing of this follows without a decision, unless the journal was archived in between.
        DeploymentOutcome::RollingBack
        | DeploymentOutcome::RolledBack
        | DeploymentOutcome::RollbackFailed => format!("{version}: {ended}"),
    };
    let good = summary.good.as_ref().map_or("(none known)", |good| good.as_str());
    let begun = format!("{} by {}, mode {}", summary.begun, caller(&summary.by), summary.mode);
    let facts = bullets([
        ("deployment", Some(code(summary.id.as_str()))),
        ("begun", Some(begun)),
        ("version to go back to", Some(text(good))),
        ("why", why(summary).map(|why| text(&why))),
        ("took", times(summary).map(|times| text(&times))),
    ]);
    let service = text(summary.service.as_str());
    format!("# {service}: {title}\n\n**Verdict: {ended}.** As of {at}.\n\n{facts}")
}

/// What happened when.
fn timeline(
    entries: &[Entry],
    begun: Timestamp,
    decided: Option<Timestamp>,
    units: Units<'_>,
) -> String {
    let titles = ["time (UTC)", "since begin", "since decision", "what"];
    let from = |at: Timestamp, origin: Timestamp| offset(at.as_millis() - origin.as_millis());
    let row = |entry: &Entry| {
        row(&[
            entry.at.to_string(),
            from(entry.at, begun),
            decided.map(|decided| from(entry.at, decided)).unwrap_or_default(),
            text(&event_in(&entry.event, units)),
        ])
    };
    let rows: String = entries.iter().map(row).collect();
    format!("## Timeline\n\n{}{rows}", table_head(&titles))
}

/// Every signal before the deployment, when it was decided and now.
fn signals(incident: &Incident) -> String {
    let titles = ["signal", "before", "at the decision", "now", "the release", "since then"];
    let Incident { before, after, decision, units, .. } = incident;
    // Read from a journal that tells of no end yet, there is no now.
    let listed = if after.is_empty() { &decision.signals } else { after };
    let shown = |reading: Option<&SignalEvidence>| match reading {
        Some(reading) => text(&shown(reading, unit_in(units, &reading.signal))),
        None => "unknown".to_owned(),
    };
    let cells = |signal: &SignalEvidence| {
        let [before, then, now] =
            [before, &decision.signals, after].map(|all| reading_of(all, signal));
        let moved = |from, to| moved(decision, &signal.signal, from, to).to_owned();
        row(&[
            code_cell(&signal.label()),
            shown(before),
            shown(then),
            shown(now),
            moved(before, then),
            moved(then, now),
        ])
    };
    let rows: String = listed.iter().map(cells).collect();
    format!(
        "## Signals\n\n{}{rows}\nWorse is a reading that moved towards the limit of a rule. The \
         last two columns compare the decision with what was before, and now with the decision.\n",
        table_head(&titles)
    )
}

/// The reading of the same signal and group among others.
pub(super) fn reading_of<'a>(
    all: &'a [SignalEvidence],
    of: &SignalEvidence,
) -> Option<&'a SignalEvidence> {
    all.iter().find(|reading| reading.signal == of.signal && reading.group == of.group)
}

/// Whether a reading moved towards the limit of a rule, or away from it.
fn moved(
    decision: &Decision,
    signal: &SignalName,
    from: Option<&SignalEvidence>,
    to: Option<&SignalEvidence>,
) -> &'static str {
    let value = |reading: Option<&SignalEvidence>| reading?.value;
    let (Some(before), Some(after)) = (value(from), value(to)) else { return "unknown" };
    match is_higher_worse(decision, signal) {
        _ if before.to_bits() == after.to_bits() => "same",
        None => "",
        Some(higher) if higher == (after > before) => "worse",
        Some(_) => "better",
    }
}

/// What the rules' limits say of a signal; `None` where none of them says anything, or they
/// disagree.
fn is_higher_worse(decision: &Decision, signal: &SignalName) -> Option<bool> {
    let all = decision.rules.iter().flat_map(|rule| comparisons(rule, |_| None));
    let mine = all.filter(|reading| reading.signal == Some(signal));
    let mut directions = mine.filter_map(|reading| match reading.op {
        Compare::Greater | Compare::GreaterOrEqual => Some(true),
        Compare::Less | Compare::LessOrEqual => Some(false),
        Compare::Equal | Compare::NotEqual => None,
    });
    let first = directions.next()?;
    directions.all(|other| other == first).then_some(first)
}

/// How every rule that did not decide stood.
fn other_rules(incident: &Incident) -> String {
    let rule_row = |rule: &RuleEvidence| {
        row(&[
            code_cell(rule.rule.as_str()),
            code_cell(&rule.when),
            rule.state.to_string(),
            format!("{} of {}", span_ms(rule.held_ms), duration_ms(rule.for_ms)),
            text(&readings(rule, &incident.units)),
        ])
    };
    let rows: String = others(&incident.decision).map(rule_row).collect();
    let titles = ["rule", "when", "state", "held", "readings"];
    table_section("The other rules at the decision", &titles, &rows)
}

/// The rules that did not decide.
pub(super) fn others(decision: &Decision) -> impl Iterator<Item = &RuleEvidence> {
    let deciding = decision.trigger.rule().map(|rule| &rule.rule);
    decision.rules.iter().filter(move |rule| Some(&rule.rule) != deciding)
}

/// What was done, attempt by attempt, and what each printed.
fn steps(entries: &[Entry]) -> String {
    let step = |entry: &Entry| {
        let Event::Attempt(event) = &entry.event else { return None };
        Some(match event {
            AttemptEvent::Intent { attempt, what } => format!(
                "\n### {}, step {}, attempt {}\n\n- action: {}\n",
                text(attempt.hook.as_str()),
                attempt.step + 1,
                attempt.number,
                code(what),
            ),
            AttemptEvent::Outcome { result, output, took_ms, .. } => {
                let (result, took) = (text(&result.to_string()), took(*took_ms));
                format!("- outcome: {result} after {took}\n{}", printed(output))
            }
        })
    };
    let steps: String = entries.iter().filter_map(step).collect();
    if steps.is_empty() { steps } else { format!("## Steps\n{steps}") }
}

fn printed(output: &str) -> String {
    if output.trim().is_empty() {
        return "- output: none\n".to_owned();
    }
    let start = output.len().saturating_sub(MAX_OUTPUT);
    let start = (start..).find(|at| output.is_char_boundary(*at)).unwrap_or(0);
    let part = if start == 0 { "output" } else { "the end of its output" };
    format!("- {part}:\n\n{}", block(&output[start..]))
}

/// Everything that was not done, and why.
fn refusals(entries: &[Entry]) -> String {
    let refusal = |entry: &Entry| {
        let (rule, why) = match &entry.event {
            Event::Rule(RuleEvent::Refused { refusal, evidence }) => {
                (Some(&evidence.rule), refusal.to_string())
            }
            Event::Rule(RuleEvent::SetAside { evidence }) => {
                (Some(&evidence.rule), "set aside: it held before the deployment began".to_owned())
            }
            Event::Approval(ApprovalEvent::Denied { rule, answer }) => {
                (Some(rule), format!("denied by {}", people::answered(answer)))
            }
            Event::Approval(ApprovalEvent::Lapsed { rule, why }) => {
                (Some(rule), format!("nobody answered, and its default could not be done: {why}"))
            }
            Event::Live(LiveEvent::Checked { live, refusal: Some(why), .. }) => {
                (None, format!("{why}: {live}"))
            }
            Event::Daemon(_)
            | Event::Deployment(_)
            | Event::Stage(_)
            | Event::Rule(_)
            | Event::Approval(_)
            | Event::Pause(_)
            | Event::Live(_)
            | Event::Rollback(_)
            | Event::Attempt(_)
            | Event::Drill(_)
            | Event::Notice(_) => return None,
        };
        let rule = rule.map_or("live version".to_owned(), |rule| code_cell(rule.as_str()));
        Some(row(&[entry.at.to_string(), rule, text(&why)]))
    };
    let rows: String = entries.iter().filter_map(refusal).collect();
    table_section("Refusals", &["time (UTC)", "rule", "why nothing was done"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::deployment::Mode;
    use crate::model::entry::{
        Attempt, DeploymentBegun, DeploymentEvent, Refusal, RuleStanding, StepResult,
    };
    use crate::model::name::{DeploymentId, HookName, RuleName, ServiceName, Version};
    use crate::model::rule::{About, Severity};
    use crate::model::time::Timestamp;
    use crate::render::tests::{BEGUN, rule, signal};

    fn after(millis: u64) -> Timestamp {
        BEGUN.after(Duration::from_millis(millis))
    }

    fn decision() -> Decision {
        let signals = [signal("error_rate", 0.198), signal("requests", 203.0)];
        let mut cause = rule("error_rate > 5%", &signals, &[(0.198, ">", 0.05)]);
        (cause.state, cause.held_ms, cause.since) = (RuleStanding::Firing, 3_000, Some(after(900)));
        cause.about = About {
            description: Some("too many | errors".to_owned()),
            runbook: Some("https://wiki.example/errors".to_owned()),
            owner: Some("api team".to_owned()),
        };
        let mut other = rule("p95 > 1s", &[signal("p95", 0.412)], &[(0.412, ">", 1.0)]);
        other.rule = RuleName::new("p95-slow").unwrap();
        other.severity = Severity::Warning;
        Decision {
            trigger: Trigger::Rule(Box::new(cause.clone())),
            hook: HookName::new("rollback").unwrap(),
            version: Version::new("v2").unwrap(),
            good: Some(Version::new("v1").unwrap()),
            approval: None,
            cure: "error_rate < 1% for 10s, within 2m of the last step".to_owned(),
            rules: vec![cause, other],
            signals: vec![signals[0].clone(), signals[1].clone(), signal("p95", 0.412)],
        }
    }

    fn entries(ending: Event) -> Vec<Entry> {
        let attempt = |step| Attempt::of(HookName::new("rollback").unwrap(), step, 1);
        let begun = Event::Deployment(DeploymentEvent::Begun(Box::new(DeploymentBegun {
            baselines: Vec::new(),
            service: ServiceName::new("api").unwrap(),
            version: Version::new("v2").unwrap(),
            good: Some(Version::new("v1").unwrap()),
            mode: Mode::Auto,
            signals: Vec::new(),
            holding: Vec::new(),
            irreversible: false,
            forced: false,
            by: Caller::Process { pid: Some(7), uid: 1000 },
        })));
        let outcome = Event::Attempt(AttemptEvent::Outcome {
            attempt: attempt(0),
            result: StepResult::Done,
            output: "switched\n```\n# not a heading\n\x1b[31m".to_owned(),
            took_ms: 8,
        });
        let what = "mv -T .current.new current | x".to_owned();
        let events = [
            (0, begun),
            (3_900, Event::Rollback(RollbackEvent::Decided(Box::new(decision())))),
            (3_906, Event::Attempt(AttemptEvent::Intent { attempt: attempt(0), what })),
            (3_915, outcome),
            (6_400, ending),
        ];
        let deployment = Some(DeploymentId::new("d1").unwrap());
        let entry = |(at, event)| Entry { at: after(at), deployment: deployment.clone(), event };
        events.into_iter().map(entry).collect()
    }

    fn incident(ended: Conclusion, why: Option<&str>, ending: Event) -> Incident {
        let name = |name| SignalName::new(name).unwrap();
        Incident {
            deployment: DeploymentId::new("d1").unwrap(),
            service: "api".to_owned(),
            begun: BEGUN,
            at: after(6_400),
            ended,
            why: why.map(str::to_owned),
            decision: decision(),
            before: vec![
                signal("error_rate", 0.001),
                signal("requests", 200.0),
                signal("p95", 0.05),
            ],
            after: vec![
                signal("error_rate", 0.004),
                signal("requests", 201.0),
                signal("p95", 0.051),
            ],
            units: vec![
                (name("error_rate"), Unit::Ratio),
                (name("requests"), Unit::PerSecond),
                (name("p95"), Unit::Seconds),
            ],
            entries: entries(ending),
        }
    }

    #[test]
    fn a_rollback_that_helped_is_told_like_this() {
        let cured = Event::Rollback(RollbackEvent::Cured {
            signals: vec![signal("error_rate", 0.004)],
            took_ms: 2_500,
        });
        let golden = include_str!("../../tests/golden/report-rolled-back.md");
        assert_eq!(report(&incident(Conclusion::RolledBack, None, cured)), golden);
    }

    #[test]
    fn a_rollback_that_failed_says_why_and_what_a_person_must_do() {
        let why = "the cure `error_rate < 1%` was not seen within 15s";
        let failed =
            Event::Rollback(RollbackEvent::Failed { why: why.to_owned(), signals: Vec::new() });
        let text = report(&incident(Conclusion::Failed, Some(why), failed));
        assert!(text.starts_with("# api: the rollback of v2 to v1 FAILED\n"), "{text}");
        assert!(text.contains("**A person is needed.**"), "{text}");
        assert!(text.contains("bring v1 back by hand"), "{text}");
        assert!(text.contains("the cure \\`error_rate \\< 1%\\` was not seen within 15s"));
    }

    #[test]
    fn a_refusal_is_told_with_its_reason() {
        let mut refused = incident(
            Conclusion::NotDone,
            Some("observing"),
            Event::Deployment(DeploymentEvent::Baked { version: Version::new("v2").unwrap() }),
        );
        let rule = decision().rules[0].clone();
        refused.entries.truncate(1);
        let refusal =
            Event::Rule(RuleEvent::Refused { refusal: Refusal::Observing, evidence: rule });
        refused.entries.push(Entry { at: after(3_900), deployment: None, event: refusal });
        let text = report(&refused);
        assert!(text.starts_with("# api: v2 is bad and was not rolled back\n"), "{text}");
        assert!(text.contains("Nothing was done, because the guard refused: observing."));
        assert!(text.contains("## Refusals"), "{text}");
        assert!(!text.contains("## Steps"), "{text}");
    }

    #[test]
    fn without_a_good_version_no_command_is_advised_that_would_be_refused() {
        let ended =
            Event::Deployment(DeploymentEvent::Baked { version: Version::new("v2").unwrap() });
        let mut refused = incident(Conclusion::NotDone, Some("no good version"), ended);
        refused.decision.good = None;
        let text = report(&refused);
        assert!(text.contains("No good version is known: bring one back by your own"), "{text}");
        assert!(!text.contains("rollguard rollback"), "{text}");
    }

    #[test]
    fn a_person_s_reason_is_quoted_and_stays_text() {
        let mut told = incident(
            Conclusion::RolledBack,
            None,
            Event::Rollback(RollbackEvent::Cured { signals: Vec::new(), took_ms: 1 }),
        );
        let by = Caller::Process { pid: None, uid: 0 };
        told.decision.trigger = Trigger::Person { reason: "**fire** <b>".to_owned(), by };
        let text = report(&told);
        assert!(text.contains("\"\\*\\*fire\\*\\* \\<b>\""), "{text}");
        assert!(!text.contains("## The deciding rule"), "{text}");
    }

    #[test]
    fn what_a_step_printed_cannot_leave_its_fence() {
        let cured = Event::Rollback(RollbackEvent::Cured { signals: Vec::new(), took_ms: 2_500 });
        let text = report(&incident(Conclusion::RolledBack, None, cured));
        let start = text.find("````text\n").unwrap();
        assert!(text[start..].contains("# not a heading\n"), "{text}");
        assert!(text[start + 8..].contains("\n````\n") && !text.contains('\x1b'), "{text}");
    }
}
