//! A journal entry in one line, for logs and timelines.

use crate::model::drill::DrillStart;
use crate::model::entry::{
    ApprovalEvent, Attempt, AttemptEvent, DaemonEvent, Decision, DeploymentBegun, DeploymentEvent,
    DrillEvent, Entry, Event, LiveEvent, NoticeEvent, Refusal, RollbackEvent, RuleEvent,
    RuleEvidence, StageEvent, Trigger,
};
use crate::model::live::Live;
use crate::model::name::Version;

use super::line::{after, caller, count, list, span_ms, text, took};
use super::number::{Units, readings};
use super::people;

/// When, which deployment and what, in one line without control characters.
pub fn entry(entry: &Entry) -> String {
    let deployment = after(" ", entry.deployment.as_ref());
    format!("{}{deployment} {}", entry.at, event(&entry.event))
}

/// What happened, in one line without control characters. A journal knows no units.
pub fn event(event: &Event) -> String {
    event_in(event, &[])
}

/// The same with readings in their units.
pub(super) fn event_in(event: &Event, units: Units<'_>) -> String {
    match event {
        Event::Daemon(event) => daemon(event),
        Event::Deployment(DeploymentEvent::Begun(begun)) => self::begun(begun),
        Event::Deployment(DeploymentEvent::Ended { reason, by }) => {
            format!("guarding ended by {}: {}", caller(by), text(reason))
        }
        Event::Deployment(DeploymentEvent::Superseded { by }) => {
            format!("superseded by deployment {by}")
        }
        Event::Deployment(DeploymentEvent::Baked { version }) => {
            format!("baked: {version} counts as good")
        }
        Event::Stage(event) => stage(event),
        Event::Rule(event) => of_rule(event, units),
        Event::Approval(event) => approval(event, units),
        Event::Pause(event) => people::pause(event),
        Event::Live(LiveEvent::Seen { version }) => format!("live version is {version}"),
        Event::Live(LiveEvent::Checked { live, judged, good, refusal }) => {
            compared(live, judged, good.as_ref(), *refusal)
        }
        Event::Rollback(RollbackEvent::Decided(decision)) => {
            let approved = after(", ", decision.approval.as_ref().map(people::approved));
            format!("decided: {}{approved}", because(decision, units))
        }
        Event::Rollback(RollbackEvent::Cured { took_ms, .. }) => {
            format!("cure seen {} after the decision", took(*took_ms))
        }
        Event::Rollback(RollbackEvent::Failed { why, .. }) => {
            format!("rollback failed: {}", text(why))
        }
        Event::Attempt(AttemptEvent::Intent { attempt, what }) => {
            format!("starting {}: {}", step(attempt), text(what))
        }
        Event::Attempt(AttemptEvent::Outcome { attempt, result, took_ms, .. }) => {
            // In no time nothing was run: an open attempt was settled by what is seen.
            let took = Some(*took_ms).filter(|took_ms| *took_ms > 0).map(took);
            format!("{} {}{}", step(attempt), text(&result.to_string()), after(" after ", took))
        }
        Event::Drill(DrillEvent::Begun(DrillStart { hook, steps, service, version, good, by })) => {
            let (steps, by) = (count(*steps as usize, "step"), caller(by));
            format!("drilling hook {hook}, {steps}, on {service} {version} -> {good}, said {by}")
        }
        Event::Drill(DrillEvent::Done(end)) => {
            let why = after(": ", end.why.as_deref().map(text));
            format!("drill {} after {}{why}", end.result, took(end.took_ms))
        }
        Event::Notice(event) => notice(event),
    }
}

fn daemon(event: &DaemonEvent) -> String {
    match event {
        DaemonEvent::Started { rollguard, pid } => {
            format!("rollguard {} started, process {pid}", text(rollguard))
        }
        DaemonEvent::Stopped { by } => format!("told to stop by {}", caller(by)),
        DaemonEvent::Reloaded { by, rules } => {
            format!("{} in force, loaded by {}", count(*rules, "rule"), caller(by))
        }
        DaemonEvent::ReloadRefused { by, errors, first } => {
            let (by, errors) = (caller(by), count(*errors, "error"));
            format!("new rules by {by} refused, {errors}, the first: {}", text(first))
        }
    }
}

fn of_rule(event: &RuleEvent, units: Units<'_>) -> String {
    match event {
        RuleEvent::SetAside { evidence } => {
            format!("rule {} set aside: it held before the deployment", evidence.rule)
        }
        RuleEvent::Refused { refusal, evidence } => {
            format!("nothing done, {refusal}: {}", rule(evidence, units))
        }
        RuleEvent::Cleared { rule } => format!("rule {rule} has cleared"),
        RuleEvent::TelemetryLost { rules: _, why } => text(why),
        RuleEvent::TelemetryBack { rules } => text(&format!("seen again by {}", list(rules))),
    }
}

fn approval(event: &ApprovalEvent, units: Units<'_>) -> String {
    match event {
        ApprovalEvent::Asked { decision, until, default } => {
            format!("asking {}: {}", people::limit(*until, *default), because(decision, units))
        }
        ApprovalEvent::Denied { rule, answer } => {
            format!("rule {rule} denied by {}", people::answered(answer))
        }
        ApprovalEvent::DenialLifted { rule } => {
            format!("rule {rule} was denied and does not hold any more: it may ask anew")
        }
        ApprovalEvent::Lapsed { rule, why } => {
            format!("nobody answered rule {rule}, and nothing is done: {}", text(why))
        }
    }
}

fn notice(event: &NoticeEvent) -> String {
    match event {
        NoticeEvent::HookBegun { hook, on } => format!("hook {hook} goes along, {on}"),
        NoticeEvent::Notified { hook, failure: None } => format!("people told by hook {hook}"),
        NoticeEvent::Notified { hook, failure: Some(why) } => {
            format!("people could not be told by hook {hook}: {}", text(why))
        }
        NoticeEvent::Told { channel, change, failure, .. } => {
            let was = if failure.is_none() { "was" } else { "could not be" };
            let why = after(": ", failure.as_deref().map(text));
            format!("{channel} {was} told: {}{why}", change.word())
        }
    }
}

fn stage(event: &StageEvent) -> String {
    match event {
        StageEvent::Staged { stage, enter, forced, by } => {
            let forced = if *forced { ", insisting" } else { "" };
            let hook = after(", entered by hook ", enter.as_ref());
            format!("in stage {stage}, said {}{forced}{hook}", caller(by))
        }
        StageEvent::Entered { stage, took_ms } => {
            format!("stage {stage} was entered in {}", took(*took_ms))
        }
        StageEvent::NotEntered { stage, why } => {
            format!("stage {stage} was not entered: {}", text(why))
        }
        StageEvent::Passed { stage, took_ms } => {
            format!("stage {stage} passed, {} after it was asked for", took(*took_ms))
        }
        StageEvent::Overdue { stage, why } => {
            format!("stage {stage} has not passed in time: {}", text(why))
        }
    }
}

/// ``nothing done, live version changed: live v3, judged v2, good v1``
fn compared(
    live: &Live,
    judged: &Version,
    good: Option<&Version>,
    refusal: Option<Refusal>,
) -> String {
    let read = match live {
        Live::Version(version) => format!("live {version}"),
        Live::Unknown(why) => format!("live version unknown ({})", text(why)),
    };
    let what = refusal
        .map_or("live version compared".to_owned(), |refusal| format!("nothing done, {refusal}"));
    format!("{what}: {read}, judged {judged}{}", after(", good ", good))
}

fn begun(begun: &DeploymentBegun) -> String {
    let DeploymentBegun { service, version, good, irreversible, forced, by, .. } = begun;
    let good = good.as_ref().map_or("no good version".into(), |v| format!("good {v}"));
    let irreversible = if *irreversible { ", IRREVERSIBLE" } else { "" };
    let forced = if *forced { ", by force: it was rolled back before" } else { "" };
    format!("guarding {service} {version}, {good}{irreversible}{forced}, begun by {}", caller(by))
}

/// From where to where, with what and why.
fn because(decision: &Decision, units: Units<'_>) -> String {
    let by = match &decision.trigger {
        Trigger::Rule(evidence) => rule(evidence, units),
        Trigger::Person { reason, by } => format!("{} said so: {}", caller(by), text(reason)),
    };
    let good = after(" to ", decision.good.as_ref());
    format!("from {}{good} with hook {}, {by}", decision.version, decision.hook)
}

/// ``rule error-rate `error_rate > 5%` held 3 s: error_rate 19.8% > 5%``
fn rule(evidence: &RuleEvidence, units: Units<'_>) -> String {
    let (hold, readings) = (span_ms(evidence.held_ms), text(&readings(evidence, units)));
    format!("rule {} `{}` held {hold}: {readings}", evidence.rule, text(&evidence.when))
}

/// The hook, its step from 1 and the attempt, where it is not the first.
fn step(Attempt { hook, step, number, entering }: &Attempt) -> String {
    let stage = entering.as_ref().map(|entering| format!("{}: ", entering.stage));
    let attempt = after(", attempt ", Some(number).filter(|number| **number != 1));
    format!("{}{hook} step {}{attempt}", stage.unwrap_or_default(), step + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::{Caller, StepResult};
    use crate::model::name::{DeploymentId, HookName, Version};
    use crate::render::tests::{BEGUN, rule as evidence, signal};

    fn attempt(number: u32) -> Attempt {
        Attempt::of(HookName::new("rollback").unwrap(), 0, number)
    }

    fn decision() -> Decision {
        let mut rule =
            evidence("error_rate > 5%", &[signal("error_rate", 0.2)], &[(0.2, ">", 0.05)]);
        rule.held_ms = 3_000;
        Decision {
            trigger: Trigger::Rule(Box::new(rule)),
            hook: HookName::new("rollback").unwrap(),
            version: Version::new("v2").unwrap(),
            good: Some(Version::new("v1").unwrap()),
            approval: None,
            cure: "error_rate < 1% for 10s, within 2m of the last step".to_owned(),
            rules: Vec::new(),
            signals: Vec::new(),
        }
    }

    #[test]
    fn an_entry_says_when_where_and_what() {
        let deployment = DeploymentId::new("d1").unwrap();
        let entry = super::entry(&Entry {
            at: BEGUN,
            deployment: Some(deployment),
            event: Event::Rollback(RollbackEvent::Decided(Box::new(decision()))),
        });
        let expected = "2026-10-26T07:33:20.000Z d1 decided: from v2 to v1 with hook rollback, \
             rule error-rate `error_rate > 5%` held 3 s: error_rate 0.2 > 0.05";
        assert_eq!(entry, expected);
    }

    #[test]
    fn a_comparison_names_what_is_live_and_what_should_be() {
        let version = |text| Version::new(text).unwrap();
        let line = |live, refusal| {
            let (judged, good) = (version("v2"), Some(version("v1")));
            event(&Event::Live(LiveEvent::Checked { live, judged, good, refusal }))
        };
        assert_eq!(
            line(Live::Version(version("v2")), None),
            "live version compared: live v2, judged v2, good v1"
        );
        assert_eq!(
            line(Live::unknown("no such file"), Some(Refusal::LiveVersionUnknown)),
            "nothing done, live version unknown: live version unknown (no such file), \
             judged v2, good v1"
        );
        let seen = Event::Live(LiveEvent::Seen { version: version("v3") });
        assert_eq!(event(&seen), "live version is v3");
    }

    #[test]
    fn an_outcome_names_step_attempt_result_and_time() {
        let outcome = |number, result| {
            let output = "secret\nlines".to_owned();
            event(&Event::Attempt(AttemptEvent::Outcome {
                attempt: attempt(number),
                result,
                output,
                took_ms: 412,
            }))
        };
        assert_eq!(outcome(1, StepResult::Done), "rollback step 1 done after 0.4 s");
        assert_eq!(
            outcome(2, StepResult::Failed("exit\nstatus 1".into())),
            "rollback step 1, attempt 2 failed: exit status 1 after 0.4 s"
        );
    }

    #[test]
    fn what_comes_from_elsewhere_stays_on_the_line_and_is_bounded() {
        let by = Caller::Process { pid: Some(7), uid: 0 };
        let reason = format!("a\x1b[2J\nb{}", "x".repeat(1_000));
        let line = event(&Event::Deployment(DeploymentEvent::Ended { reason, by }));
        assert!(line.starts_with("guarding ended by process 7 of user 0: a [2J bxxx"), "{line}");
        assert!(line.chars().count() < 260 && !line.contains(char::is_control), "{line}");
    }
}
