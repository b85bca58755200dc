//! What people decide, and are asked to, in words.

use crate::engine::durable::quarantine::Quarantined;
use crate::engine::durable::state::Pause;
use crate::engine::view::snapshot::{BudgetStatus, DeploymentStatus};
use crate::model::deployment::Unanswered;
use crate::model::entry::{Answer, Approval, Caller, PauseEvent};
use crate::model::time::Timestamp;

use super::line::{after, caller, clip, duration_ms, more, names, span, text};

/// Columns that a name may take within a sentence.
const NAME: usize = 24;

/// The most versions in quarantine that a status names.
const MAX_VERSIONS: usize = 3;

/// Who answered, and why.
pub(super) fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Person { by, reason } => caller(by) + &after(": ", reason.as_deref().map(text)),
        Answer::TimeLimit => "the time limit, nobody answered".to_owned(),
    }
}

/// Who agreed to a rollback, and what the rule said by then.
pub(super) fn approved(approval: &Approval) -> String {
    let holds = match approval.holds {
        Some(true) => "still held",
        Some(false) => "did not hold any more",
        None => "could not be judged",
    };
    format!("approved by {}; by then the rule {holds}", answered(&approval.answer))
}

/// What is done when nobody answers.
pub(super) const fn otherwise(default: Unanswered) -> &'static str {
    match default {
        Unanswered::Rollback => "it is rolled back",
        Unanswered::Deny => "it stays",
    }
}

/// Until when people are asked, and what is done then.
pub(super) fn limit(until: Timestamp, default: Unanswered) -> String {
    format!("until {until}, else {}", otherwise(default))
}

/// The beginning or the end of a pause.
pub(super) fn pause(event: &PauseEvent) -> String {
    let on = "automatic rollbacks are on again";
    match event {
        PauseEvent::Paused { until, reason, by } => {
            format!("automatic rollbacks PAUSED until {until} by {}: {}", caller(by), text(reason))
        }
        PauseEvent::Resumed { by: Caller::Guard, .. } => format!("{on}: the pause is over"),
        PauseEvent::Resumed { by, reason } => {
            format!("{on}, said {}{}", caller(by), after(": ", reason.as_deref().map(text)))
        }
    }
}

/// The pause, for the first line of a status.
pub(super) fn paused(pause: &Pause, now: Timestamp) -> String {
    let Pause { until, by, reason, .. } = pause;
    let rest = span(until.since(now));
    format!(
        "nothing is rolled back automatically for {rest}, until {until} ({}: {}); \
         `rollguard resume` ends it",
        caller(by),
        text(reason)
    )
}

/// What is special about how a deployment was begun.
pub(super) fn terms(deployment: &DeploymentStatus) -> Option<String> {
    let irreversible = "irreversible: not rolled back without `rollguard rollback --force`";
    let forced = "begun by force: this version was rolled back before";
    match (deployment.irreversible, deployment.forced) {
        (true, true) => Some(format!("{irreversible}; {forced}")),
        (true, false) => Some(irreversible.to_owned()),
        (false, true) => Some(forced.to_owned()),
        (false, false) => None,
    }
}

/// How much of the budget is left.
pub(super) fn budget(budget: BudgetStatus) -> String {
    let BudgetStatus { rollbacks, per_ms, spent } = budget;
    let per = duration_ms(per_ms);
    let left = if spent >= rollbacks { ", SPENT: people are told only" } else { "" };
    format!("{spent} of {rollbacks} rollbacks in {per}{left}")
}

/// The latest versions that were rolled back.
pub(super) fn quarantine(all: &[Quarantined]) -> Option<String> {
    let newest = all.iter().rev().take(MAX_VERSIONS);
    let names = names(newest.map(|known| clip(known.version.as_str(), NAME)));
    names.map(|names| names + &more(all.len().saturating_sub(MAX_VERSIONS)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::view::snapshot::{ApprovalStatus, GuardState, Snapshot};
    use crate::model::deployment::Mode;
    use crate::model::entry::{
        ApprovalEvent, Decision, Event, PauseEvent, Refusal, RollbackEvent, RuleStanding, Trigger,
    };
    use crate::model::name::{DeploymentId, HookName, RuleName, Version};
    use crate::render::line::{Style, WIDTH, width};
    use crate::render::status::status;
    use crate::render::tests::{BEGUN, snapshot};
    use crate::render::{Vitals, event, metrics};

    const PERSON: Caller = Caller::Process { pid: Some(7), uid: 1000 };

    fn name(text: &str) -> RuleName {
        RuleName::new(text).unwrap()
    }

    fn after(minutes: u64) -> Timestamp {
        BEGUN.after(Duration::from_secs(60 * minutes))
    }

    fn pause(reason: &str) -> Pause {
        Pause { since: BEGUN, until: after(30), by: PERSON, reason: reason.to_owned() }
    }

    fn asking(holds: Option<bool>, default: Unanswered) -> Snapshot {
        let mut seen = snapshot();
        (seen.mode, seen.state, seen.at) = (Mode::Confirm, GuardState::AwaitingApproval, after(2));
        let (rule, hook) = (name("error-rate"), HookName::new("rollback").unwrap());
        let (asked, until) = (BEGUN, after(10));
        let approval = ApprovalStatus { rule, holds, hook, asked, until, default };
        seen.deployment.as_mut().unwrap().approval = Some(approval);
        seen.rules[0].evidence.state = RuleStanding::Firing;
        seen.rules[0].refusal = Some(Refusal::AwaitingApproval);
        seen
    }

    fn narrow(snapshot: &Snapshot) -> String {
        let text = status(snapshot, Style::Plain);
        text.lines().for_each(|line| assert!(width(line) <= WIDTH, "{line}"));
        text
    }

    /// As read, whatever the lines.
    fn flat(snapshot: &Snapshot) -> String {
        narrow(snapshot).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_question_is_the_first_thing_that_a_status_says() {
        let text = narrow(&asking(Some(true), Unanswered::Rollback));
        let expected = "\
RED      api: awaiting approval, version v2, good version v1
now      rule error-rate asked for a rollback 2m00s ago, and still holds
to do    decide: `rollguard approve` brings v1 back, `rollguard deny --reason
         ...` keeps v2; without an answer in 8m00s it is rolled back
";
        assert!(text.starts_with(expected), "{text}");
        let text = flat(&asking(Some(false), Unanswered::Deny));
        assert!(text.contains("and does NOT hold any more"), "{text}");
        assert!(text.contains("in 8m00s it stays"), "{text}");
        assert!(flat(&asking(None, Unanswered::Deny)).contains("cannot be judged now"));
    }

    #[test]
    fn a_pause_stands_above_everything_and_no_reason_breaks_the_page() {
        let mut seen = snapshot();
        seen.paused = Some(pause("moving the database"));
        let expected = "PAUSED nothing is rolled back automatically for 29m48s, until \
                        2026-10-26T08:03:20.000Z (process 7 of user 1000: moving the database); \
                        `rollguard resume` ends it GREEN api";
        assert!(flat(&seen).starts_with(expected), "{}", flat(&seen));
        seen.paused = Some(pause(&"x\u{1b}[2J\n".repeat(300)));
        assert!(!narrow(&seen).contains('\u{1b}'));
    }

    #[test]
    fn what_limits_rollguard_is_shown_once_there_is_something_to_show() {
        let mut seen = snapshot();
        let text = narrow(&seen);
        assert!(!text.contains("budget") && !text.contains("rolled back: "), "{text}");
        seen.budget.spent = 2;
        let known = |version: &str| Quarantined {
            version: Version::new(version).unwrap(),
            at: BEGUN,
            deployment: DeploymentId::new("d1").unwrap(),
            why: "rule error-rate: error_rate > 5%".to_owned(),
        };
        seen.quarantine = ["v1", "v2", "v3", "v4"].map(known).into();
        let deployment = seen.deployment.as_mut().unwrap();
        (deployment.irreversible, deployment.forced) = (true, true);
        let text = flat(&seen);
        let budget = "2 of 2 rollbacks in 1d, SPENT: people are told only";
        assert!(text.contains(budget), "{text}");
        assert!(text.contains("rolled back: v4, v3, v2 and 1 more"), "{text}");
        assert!(text.contains("irreversible: not rolled back without"), "{text}");
    }

    fn vitals() -> Vitals {
        Vitals { started: BEGUN, turned: BEGUN, reload_ok: true, skipped_slots: 0 }
    }

    #[test]
    fn metrics_tell_a_pause_a_question_and_a_spent_budget() {
        let mut seen = asking(None, Unanswered::Deny);
        seen.paused = Some(pause("work"));
        seen.budget.spent = 1;
        let page = metrics(&seen, vitals());
        let lines = [
            "rollguard_state{state=\"awaiting_approval\"} 1",
            "rollguard_paused 1",
            "rollguard_pause_end_timestamp_seconds 1793001800",
            "rollguard_approval_end_timestamp_seconds 1793000600",
            "rollguard_budget_rollbacks 2",
            "rollguard_budget_rollbacks_spent 1",
            "rollguard_irreversible 0",
            "rollguard_quarantined_versions 0",
        ];
        lines
            .iter()
            .for_each(|line| assert!(page.contains(&format!("{line}\n")), "{line}\n{page}"));
        let page = metrics(&snapshot(), vitals());
        assert!(page.contains("rollguard_paused 0\n"), "{page}");
        assert!(!page.contains("\nrollguard_pause_end_timestamp_seconds "), "{page}");
    }

    #[test]
    fn entries_say_who_decided_what_and_why() {
        let reason = Some("the load test".to_owned());
        let said = Answer::Person { by: PERSON, reason };
        let rule = name("error-rate");
        let check = |happened: Event, expected: &str| assert_eq!(event(&happened), expected);
        check(
            Event::Approval(ApprovalEvent::Denied { rule: rule.clone(), answer: said.clone() }),
            "rule error-rate denied by process 7 of user 1000: the load test",
        );
        check(
            Event::Approval(ApprovalEvent::Denied {
                rule: rule.clone(),
                answer: Answer::TimeLimit,
            }),
            "rule error-rate denied by the time limit, nobody answered",
        );
        check(
            Event::Pause(PauseEvent::Paused {
                until: BEGUN,
                reason: "work".to_owned(),
                by: PERSON,
            }),
            "automatic rollbacks PAUSED until 2026-10-26T07:33:20.000Z by process 7 of user 1000: \
             work",
        );
        check(
            Event::Pause(PauseEvent::Resumed { reason: None, by: Caller::Guard }),
            "automatic rollbacks are on again: the pause is over",
        );
        check(
            Event::Approval(ApprovalEvent::Lapsed { rule, why: "observing".to_owned() }),
            "nobody answered rule error-rate, and nothing is done: observing",
        );
        let decision = Decision {
            trigger: Trigger::Person { reason: "bad".to_owned(), by: PERSON },
            hook: HookName::new("rollback").unwrap(),
            version: Version::new("v2").unwrap(),
            good: None,
            approval: Some(Approval { answer: said, asked: BEGUN, holds: Some(false) }),
            cure: String::new(),
            rules: Vec::new(),
            signals: Vec::new(),
        };
        let approved = ", approved by process 7 of user 1000: the load test; by then the rule did \
                        not hold any more";
        assert!(
            event(&Event::Rollback(RollbackEvent::Decided(Box::new(decision)))).ends_with(approved)
        );
    }
}
