//! Drills for people: the table of one that is over, and a line about the last.

use std::time::Duration;

use crate::engine::durable::drills::{DrillStatus, DrillStep};
use crate::model::drill::DrillResult;
use crate::model::time::Timestamp;

use super::line::{WIDTH, after, clip, pad, paragraph, plain, right, span, took, width};

/// From the decision to the first step. For a rule that asks for no longer hold, detection to
/// action takes no more than this.
const TO_ACTION: Duration = Duration::from_secs(30);

/// The whole rollback takes no more than this.
const WHOLE: Duration = Duration::from_secs(300);

/// A procedure that was not exercised for longer than this is one that may have rotted.
pub const DRILL_EVERY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Columns of what a step does.
const STEP: usize = 44;

/// Columns of a number.
const CELL: usize = 10;

/// What no drill shows.
const NO_CURE: &str = "No cure was looked for: the rules see the guarded service, not the drill \
                       target. Where a step of the hook is a probe, that was run.";

/// A drill that is over, as a table.
pub fn drill(drill: &DrillStatus) -> String {
    let DrillStatus { hook, service, version, good, .. } = drill;
    let head = plain(&format!("{}: hook {hook} on {service}, {version} -> {good}", drill.drill));
    let titles = row("STEP", "ATTEMPTS", "TOOK", "RESULT");
    let step = |(at, step): (usize, &DrillStep)| {
        let what = clip(&plain(&format!("{} {}", at + 1, step.what)), STEP - 1);
        // Why it failed is said below, where there is room.
        let result = step.result.as_deref().unwrap_or("not over").split(':').next();
        row(&what, &step.attempts.to_string(), &took(step.took_ms), result.unwrap_or_default())
    };
    let mut steps: String = drill.steps.iter().enumerate().map(step).collect();
    if let Some(missing @ 1..) = (drill.of_steps as usize).checked_sub(drill.steps.len()) {
        steps += &format!("{missing} of {} steps were not begun\n", drill.of_steps);
    }
    let first = against("request to first step", drill.to_action_ms, TO_ACTION);
    let whole = against("whole hook", drill.took_ms, WHOLE);
    let result = drill.result.map_or("under way".to_owned(), |result| result.to_string());
    let why = after(": ", drill.why.as_deref().map(plain));
    let result = paragraph(&format!("{result}{why}"), 0) + &paragraph(NO_CURE, 0);
    format!("{}\n\n{titles}{steps}\n{first}{whole}\n{result}", clip(&head, WIDTH))
}

fn row(what: &str, attempts: &str, took: &str, result: &str) -> String {
    let row = format!("{}{}{}  ", pad(what, STEP), right(attempts, CELL), right(took, CELL));
    format!("{row}{}\n", clip(&plain(result), WIDTH - width(&row)))
}

/// A time and its target.
fn against(what: &str, millis: Option<u64>, target: Duration) -> String {
    let verdict = match millis {
        None => "not known",
        Some(millis) if Duration::from_millis(millis) <= target => "ok",
        Some(_) => "TOO LONG",
    };
    let time = right(&millis.map_or_else(|| "none".to_owned(), took), CELL);
    format!("{}{time}  target {}  {verdict}\n", pad(what, 24), pad(&span(target), 7))
}

/// The last drill in a line.
pub fn last_drill(drill: &DrillStatus, now: Timestamp) -> String {
    let ago = span(now.since(drill.begun));
    let DrillStatus { drill: id, hook, .. } = drill;
    match (drill.result, drill.took_ms) {
        (None, _) => format!("{id}: hook {hook} under way, begun {ago} ago"),
        (Some(result), millis) => {
            let in_time = after(" after ", millis.map(took));
            let why = drill.why.as_deref().filter(|_| result != DrillResult::Done);
            let why = after(": ", why.map(plain));
            format!("{id}: hook {hook} {result}{in_time}, {ago} ago{why}")
        }
    }
}

/// What is to be said where the procedure was not exercised for too long; `done`: when a drill
/// last ended well.
pub fn drill_warning(done: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let is_recent = |done: Timestamp| now.since(done) <= DRILL_EVERY;
    let since = match done {
        Some(done) if is_recent(done) => return None,
        Some(done) => format!("no drill ended well for {}", span(now.since(done))),
        None => "no drill ever ended well".to_owned(),
    };
    Some(format!("{since}; a procedure is exercised weekly: rollguard drill"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::{DeploymentId, HookName, ServiceName, Version};

    const BEGUN: Timestamp = Timestamp::from_millis(1_793_000_000_000);

    fn status() -> DrillStatus {
        let step = |what: &str, attempts, took_ms, result: &str| DrillStep {
            what: what.to_owned(),
            attempts,
            took_ms,
            result: Some(result.to_owned()),
        };
        let long = "/usr/local/bin/switch --service api-drill --to v1 --and-wait --for everything";
        DrillStatus {
            drill: DeploymentId::new("drill-3").unwrap(),
            hook: HookName::new("rollback").unwrap(),
            service: ServiceName::new("api-drill").unwrap(),
            version: Version::new("v2").unwrap(),
            good: Version::new("v1").unwrap(),
            begun: BEGUN,
            result: Some(DrillResult::Failed),
            why: Some("step 2 failed: exit status 1".to_owned()),
            took_ms: Some(301_000),
            to_action_ms: Some(4),
            of_steps: 3,
            steps: vec![
                step(long, 2, 1_500, "done"),
                step("probe", 3, 299_000, "failed: status 503, expected 200, and some more words"),
            ],
        }
    }

    #[test]
    fn a_drill_is_a_table_that_fits_a_terminal() {
        let text = drill(&status());
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for part in ["drill-3: hook rollback on api-drill, v2 -> v1", "1.5 s  done", "TOO LONG"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("1 of 3 steps were not begun"), "{text}");
        assert!(text.contains("failed: step 2 failed: exit status 1"), "{text}");
    }

    #[test]
    fn a_drill_that_is_a_week_old_is_warned_of_and_a_newer_one_is_not() {
        let after = |days: u64| BEGUN.after(Duration::from_secs(days * 24 * 3600));
        assert_eq!(drill_warning(Some(BEGUN), after(7)), None);
        let warning = drill_warning(Some(BEGUN), after(8)).unwrap();
        assert!(warning.starts_with("no drill ended well for 8"), "{warning}");
        assert!(drill_warning(None, BEGUN).unwrap().starts_with("no drill ever"));
        let line = last_drill(&status(), after(2));
        let expected = "drill-3: hook rollback failed after 301 s, 2";
        assert!(line.starts_with(expected) || line.contains("failed after 5"), "{line}");
    }
}
