//! What people decide: approvals, pauses, the budget, quarantine and what is irreversible.

use rollguard::engine::view::snapshot::GuardState;
use rollguard::model::deployment::Unanswered;

use super::*;

/// People are asked, have 30 s, and what follows when none answers.
fn confirm(default: &str) -> [(&'static str, String); 2] {
    let asked =
        format!("notify = \"tell\"\nconfirm = {{ within = \"30s\", default = \"{default}\" }}");
    [("mode = \"auto\"", "mode = \"confirm\"".to_owned()), ("notify = \"tell\"", asked)]
}

fn confirming(default: &str) -> Arc<Plan> {
    let changes = confirm(default);
    plan(&changes.each_ref().map(|(from, to)| (*from, to.as_str())))
}

/// With a second rule.
fn confirming_two(default: &str) -> Arc<Plan> {
    let mut changes: Vec<_> = confirm(default).into();
    let worse = "[rule.worse]\nwhen = \"latency > 8\"\nfor = \"1s\"\n[rule.slow]".to_owned();
    changes.push(("[rule.slow]", worse));
    let changes: Vec<_> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    plan(&changes)
}

#[track_caller]
fn play(plan: Arc<Plan>, script: &str, expected: &str) -> Bed {
    let mut bed = Bed::new(plan);
    bed.play(script);
    assert_eq!(bed.log.join(", "), expected, "{script}");
    bed
}

const ASKED: &str = "begun v2 over v1, asked, notify tell, report awaiting approval";

#[test]
fn in_mode_confirm_a_rule_that_fires_asks_once_and_a_yes_rolls_back() {
    let expected = format!("{ASKED}, decided by slow, approved, run 0.1");
    let bed = play(confirming("deny"), &format!("{RUNNING}; 10..20 sick; 21 approve"), &expected);
    assert_eq!(bed.guard.state(), GuardState::RollingBack);
    let decision = bed.snapshot().deployment.unwrap().decision.unwrap();
    let approval = decision.approval.unwrap();
    assert_eq!(approval.answer, Answer::Person { by: PERSON, reason: None });
    assert_eq!(approval.holds, Some(true));
    assert_eq!(approval.asked.as_millis(), EPOCH_MS + 9_000);
}

#[test]
fn what_is_asked_is_shown_with_its_time_limit_and_whether_the_rule_still_holds() {
    let mut bed = Bed::new(confirming("rollback"));
    bed.play(RUNNING);
    let shown = bed.snapshot();
    assert_eq!(shown.state, GuardState::AwaitingApproval);
    let asked = shown.deployment.unwrap().approval.unwrap();
    assert_eq!((asked.rule.as_str(), asked.holds), ("slow", Some(true)));
    assert_eq!((asked.until.as_millis(), asked.default), (EPOCH_MS + 39_000, Unanswered::Rollback));
    assert_eq!(bed.refusal(), "awaiting approval");
    // It waits although the rule has cleared, and says so.
    bed.play("10..14 fine");
    assert_eq!(bed.snapshot().deployment.unwrap().approval.unwrap().holds, Some(false));
    bed.play("15 dark; 20 tick");
    assert_eq!(bed.snapshot().deployment.unwrap().approval.unwrap().holds, None);
    bed.play("20..21 fine; 22 approve");
    let approval = bed.snapshot().deployment.unwrap().decision.unwrap().approval.unwrap();
    assert_eq!(approval.holds, Some(false));
}

#[test]
fn without_an_answer_the_default_is_done_at_the_limit_and_not_before() {
    let kept = format!("{ASKED}, slow: denied by nobody, notify tell, report not rolled back");
    play(confirming("deny"), &format!("{RUNNING}; 10..38 sick; 38.9 tick"), ASKED);
    play(confirming("deny"), &format!("{RUNNING}; 10..38 sick; 39 tick"), &kept);
    play(confirming("rollback"), &format!("{RUNNING}; 10..38 sick; 38.9 tick"), ASKED);
    let rolled_back = format!("{ASKED}, decided by slow, by default, run 0.1");
    play(confirming("rollback"), &format!("{RUNNING}; 10..38 sick; 39 tick"), &rolled_back);
    // The configured default is done whether or not the rule still holds: it is on record.
    let bed = play(confirming("rollback"), &format!("{RUNNING}; 10..39 fine"), &rolled_back);
    let approval = bed.snapshot().deployment.unwrap().decision.unwrap().approval.unwrap();
    assert_eq!((approval.answer, approval.holds), (Answer::TimeLimit, Some(false)));
}

#[test]
fn a_no_keeps_this_version_until_the_rule_has_cleared_and_fires_again() {
    let denied = format!("{ASKED}, slow: denied, notify tell, report not rolled back");
    let script = format!("{RUNNING}; 10 deny; 11..20 sick");
    let bed = play(confirming("deny"), &script, &denied);
    assert_eq!(bed.refusal(), "denied");
    let again =
        format!("{denied}, slow: denial lifted, asked, notify tell, report awaiting approval");
    play(confirming("deny"), &format!("{script}; 21..22 fine; 23..25 sick"), &again);
}

#[test]
fn a_no_is_not_forgotten_by_a_restart_during_which_the_rule_held_on() {
    let denied = format!("{ASKED}, slow: denied, notify tell, report not rolled back");
    let script = format!("{RUNNING}; 10 deny; 11..20 sick; 20.5 restart; 21..30 sick");
    let bed = play(confirming("rollback"), &script, &denied);
    assert_eq!(bed.refusal(), "denied");
    // Nor is a short look at a good second taken for a rule that has cleared.
    let script = format!("{RUNNING}; 10 deny; 20.5 restart; 21 fine; 22..30 sick");
    play(confirming("rollback"), &script, &denied);
}

#[test]
fn another_rule_may_ask_after_a_no() {
    let mut bed = Bed::new(confirming_two("deny"));
    bed.play(&format!("{RUNNING}; 10..14 worst; 15 deny"));
    bed.expect(&format!(
        "{ASKED}, slow: denied, notify tell, report not rolled back, asked, notify tell, \
         report awaiting approval"
    ));
    let asked = bed.snapshot().deployment.unwrap().approval.unwrap();
    assert_eq!(asked.rule.as_str(), "worse");
}

#[test]
fn a_wait_survives_restarts_and_people_have_time_to_answer_after_one() {
    // People are asked again, and nobody could answer while the guard was down.
    let down = format!("{RUNNING}; 10 restart; 11..30 sick");
    let again = format!("{ASKED}, notify tell");
    let rolled_back = format!("{again}, decided by slow, by default, run 0.1");
    play(confirming("rollback"), &format!("{down}; 39.9 tick"), &again);
    play(confirming("rollback"), &format!("{down}; 40 tick"), &rolled_back);
    // Neither a guard that was down for long nor a wall clock that was put back changes that.
    for skew_ms in [490_000, -1_000_000] {
        let mut bed = Bed::new(confirming("rollback"));
        bed.play(RUNNING);
        bed.skew_ms = skew_ms;
        bed.play("10 restart; 39.9 tick").expect(&again);
        bed.play("40 tick").expect("decided by slow, by default, run 0.1");
    }
    let yes = format!("{again}, decided by slow, approved, run 0.1");
    play(confirming("deny"), &format!("{RUNNING}; 10 restart; 11 approve"), &yes);
}

#[test]
fn a_person_a_pipeline_and_a_newer_deployment_end_the_wait() {
    let script = |then: &str| format!("{RUNNING}; 10 {then}; 11..60 sick");
    let check = |then: &str, expected: &str| {
        play(confirming("rollback"), &script(then), &format!("{ASKED}, {expected}"));
    };
    check("rollback", "decided by a person, run 0.1");
    check("end", "ended");
    let superseded = "superseded, begun v3 over v1";
    play(
        confirming("rollback"),
        &format!("{RUNNING}; 10 begin v3 good=v1; 11..60 fine"),
        &format!("{ASKED}, {superseded}"),
    );
}

#[test]
fn nothing_counts_as_good_while_people_are_asked() {
    let plan = plan(&[
        ("mode = \"auto\"", "mode = \"confirm\""),
        ("notify = \"tell\"", "confirm = { within = \"10m\", default = \"deny\" }"),
    ]);
    let asked = "begun v2 over v1, asked, report awaiting approval";
    let bed = play(plan, &format!("{RUNNING}; 10..100 fine"), asked);
    let withheld = bed.snapshot().deployment.unwrap().withheld;
    assert_eq!(withheld.as_deref(), Some("a rollback awaits approval"));
}

#[test]
fn a_yes_is_looked_at_as_closely_as_a_persons_own_rollback() {
    let nothing = "(nothing awaits approval: no rule asks for a rollback of deployment ";
    let mut bed = Bed::new(confirming("deny"));
    bed.play("0 approve").expect("(no deployment has begun)");
    bed.play(&format!("{} id=d", &RUNNING[..31])).expect("begun v2 over v1");
    bed.play("3 approve; 3 deny").expect(&format!("{nothing}d), {nothing}d)"));
    bed.play("3..6 fine; 7..9 sick; 10 approve other");
    bed.expect(
        "asked, notify tell, report awaiting approval, \
         (deployment other is not the current one, d is)",
    );
    bed.play("11 approve d; 12 approve d");
    bed.expect("decided by slow, approved, run 0.1, (deployment d is being rolled back)");
}

#[test]
fn what_cannot_be_done_by_itself_is_not_done_on_nobodys_word() {
    let mut bed = Bed::new(confirming("rollback"));
    bed.play(RUNNING).expect(ASKED);
    bed.reload(10.0, plan(&[("mode = \"auto\"", "mode = \"observe\"")]));
    bed.play("39 tick");
    bed.expect("reloaded, lapsed: observing, notify tell, report not rolled back");
    bed.play("40..45 sick").expect("slow: observing, report not rolled back");
    // A person's word is another matter.
    let mut bed = Bed::new(confirming("rollback"));
    bed.play(RUNNING).expect(ASKED);
    bed.reload(10.0, plan(&[("mode = \"auto\"", "mode = \"observe\"")]));
    bed.play("38 approve").expect("reloaded, decided by slow, approved, run 0.1");
}

#[test]
fn a_pause_holds_rollbacks_back_and_what_still_fires_at_its_end_acts() {
    let script = "0..2 fine; 2.5 begin v2 good=v1; 3..5 fine; 5.5 pause 20s; 6 fine; 7..24 sick";
    let paused = "begun v2 over v1, paused, notify tell, slow: paused, notify tell, \
                  report not rolled back";
    let bed = play(plan(&[]), script, paused);
    assert_eq!(bed.refusal(), "paused");
    let shown = bed.snapshot().paused.unwrap();
    assert_eq!((shown.reason.as_str(), shown.by), ("work", PERSON));
    assert_eq!(shown.until.as_millis(), EPOCH_MS + 25_500);
    let over = format!("{paused}, pause over, notify tell, decided by slow, run 0.1");
    play(plan(&[]), &format!("{script}; 25..26 sick"), &over);
    let resumed = format!("{paused}, resumed, notify tell, decided by slow, run 0.1");
    play(plan(&[]), &format!("{script}; 24.5 resume"), &resumed);
    // What has cleared by then does not.
    let cleared = format!("{paused}, cleared slow, pause over, notify tell");
    play(plan(&[]), &format!("{script}; 25..30 fine"), &cleared);
}

#[test]
fn each_pause_tells_of_what_fires_in_it() {
    let script = "0..2 fine; 2.5 begin v2 good=v1; 3..5 fine; 5.5 pause 20s; 6 fine; 7..9 sick; \
                  10..30 fine; 31 pause 20s; 32..35 sick";
    let told = "paused, notify tell, slow: paused, notify tell, report not rolled back";
    let expected =
        format!("begun v2 over v1, {told}, cleared slow, pause over, notify tell, {told}");
    play(plan(&[]), script, &expected);
}

#[test]
fn a_pause_survives_restarts_and_newer_deployments_and_always_ends() {
    let begun = "0..2 fine; 2.5 pause 60s; 3 begin v2 good=v1; 3.5..6.5 fine; 10 restart";
    let start = "paused, begun v2 over v1";
    let refused = format!("{start}, slow: paused, notify tell, report not rolled back");
    play(plan(&[]), &format!("{begun}; 11..62 sick"), &refused);
    let over = format!("{refused}, pause over, notify tell, decided by slow, run 0.1");
    play(plan(&[]), &format!("{begun}; 11..63 sick"), &over);
    // A wall clock that was put back makes no pause longer.
    let mut bed = Bed::new(plan(&[]));
    bed.play("0..2 fine; 2.5 pause 60s");
    bed.skew_ms = -1_000_000;
    bed.play("10 restart; 69 tick").expect("paused");
    bed.play("70 tick").expect("pause over");
}

#[test]
fn a_person_rolls_back_while_paused_and_no_pause_begins_in_the_middle_of_something() {
    let paused = "begun v2 over v1, paused, notify tell";
    let script = format!("{BEGUN}; 7 pause 1h; 8 rollback; 9 pause 1h");
    let expected = format!("{paused}, decided by a person, run 0.1, (deployment v2-");
    let mut bed = Bed::new(plan(&[]));
    bed.play(&script);
    let log = bed.log.join(", ");
    assert!(log.starts_with(&expected) && log.ends_with("is being rolled back)"), "{log}");
    let mut bed = Bed::new(confirming("rollback"));
    bed.play(RUNNING).expect(ASKED);
    bed.play("10 pause 1h");
    assert!(bed.log[0].contains("awaits approval: answer first"), "{:?}", bed.log);
    let mut bed = Bed::new(plan(&[]));
    bed.play("0 pause 25h; 0 pause 0s; 0 resume");
    let length = "(a pause lasts 1s to 1d)";
    bed.expect(&format!("{length}, {length}, (automatic rollbacks are not paused)"));
}

#[test]
fn nothing_counts_as_good_in_a_pause_and_does_after_it_if_nothing_holds() {
    let script = format!("{BEGUN}; 7 pause 100s; 8..106 fine");
    let paused = "begun v2 over v1, paused, notify tell";
    play(plan(&[]), &script, paused);
    let baked = format!("{paused}, pause over, notify tell, baked v2");
    play(plan(&[]), &format!("{script}; 107..108 fine"), &baked);
}

/// A deployment that is rolled back by a rule, and its cure is seen; it takes 30 s.
fn bad_release(from: u32, version: &str) -> String {
    let at = |second: u32| from + second;
    format!(
        "{}..{} fine; {} begin {version} good=v1; {}..{} fine; {}..{} sick; {} done; {}..{} fine",
        from,
        at(2),
        at(2),
        at(3),
        at(7),
        at(8),
        at(10),
        at(10),
        at(11),
        at(20),
    )
}

const CURED: &str = "decided by slow, run 0.1, done, cured, report rolled back";

#[test]
fn beyond_the_budget_people_are_told_until_its_time_has_passed() {
    let mut bed = Bed::new(plan(&[]));
    bed.play(&bad_release(0, "v2")).expect(&format!("begun v2 over v1, {CURED}"));
    bed.play(&bad_release(100, "v3")).expect(&format!("begun v3 over v1, {CURED}"));
    assert_eq!(bed.snapshot().budget.spent, 2);
    bed.play("200..202 fine; 202 begin v4 good=v1; 203..207 fine; 208..230 sick");
    bed.expect("begun v4 over v1, slow: budget spent, notify tell, report not rolled back");
    assert_eq!(bed.refusal(), "budget spent");
    // A restart forgets nothing.
    bed.play("239 told; 240 restart; 241..250 sick").expect("notified");
    assert_eq!(bed.refusal(), "budget spent");
    // A day after the first there is one to spend.
    bed.play("86380..86409 sick").expect("telemetry lost, notify tell, telemetry back");
    bed.play("86410 sick").expect("decided by slow, run 0.1");
}

#[test]
fn a_persons_rollback_is_counted_and_never_stopped_by_the_budget() {
    let budget = "notify = \"tell\"\nbudget = { rollbacks = 1, per = \"1h\" }";
    let mut bed = Bed::new(plan(&[("notify = \"tell\"", budget)]));
    bed.play("0..2 fine; 2 begin v2 good=v1; 3 rollback; 4 done; 5..10 fine");
    assert_eq!(bed.snapshot().budget.spent, 1);
    bed.log.clear();
    bed.play("11 begin v3 good=v1; 12..16 fine; 17..20 sick; 21 rollback");
    bed.expect(
        "begun v3 over v1, slow: budget spent, notify tell, report not rolled back, \
         decided by a person, run 0.1",
    );
}

#[test]
fn a_version_that_was_rolled_back_is_not_deployed_again_unless_by_force() {
    let mut bed = Bed::new(plan(&[]));
    bed.play(&bad_release(0, "v2"));
    bed.log.clear();
    bed.play("30 begin v2 good=v1");
    let refused = bed.log.join("");
    assert!(refused.contains("version v2 was rolled back at 2023-11-14T22:13:30"), "{refused}");
    assert!(refused.contains("rule slow: latency > 2") && refused.contains("--force"), "{refused}");
    bed.log.clear();
    bed.play("31 restart; 31 begin v2 good=v1");
    assert_eq!(bed.log.join(""), refused, "a restart forgets it");
    bed.log.clear();
    bed.play("32 begin v2 good=v1 force; 33..100 fine").expect("begun v2 over v1, baked v2");
    assert!(bed.snapshot().deployment.unwrap().forced);
    assert_eq!(bed.snapshot().quarantine, []);
    bed.play("101 begin v3; 102 begin v2").expect("begun v3 over v2, superseded, begun v2 over v2");
}

#[test]
fn a_version_in_quarantine_is_never_the_good_one_by_default() {
    let mut bed = Bed::new(plan(&[]));
    bed.play("0..2 fine; 2 begin v2 good=v1; 3 rollback; 4 done; 5..10 fine");
    // A person insists on going back to it, and that turns out to be needed.
    bed.play("11 begin v3 good=v2; 12..80 fine; 81 rollback; 82 done; 83..90 fine");
    assert_eq!(bed.snapshot().good.unwrap().as_str(), "v2");
    bed.log.clear();
    bed.play("91 begin v5").expect("begun v5");
}

#[test]
fn what_is_irreversible_is_told_of_and_rolled_back_only_by_force() {
    let begun = "0..2 fine; 2.5 begin v2 good=v1 irreversible; 3..6 fine; 7..20 sick";
    let told = "begun v2 over v1, slow: irreversible, notify tell, report not rolled back";
    let mut bed = Bed::new(plan(&[]));
    bed.play(begun).expect(told);
    assert_eq!(bed.refusal(), "irreversible");
    bed.play("21 restart; 22..26 sick; 27 rollback");
    let log = bed.log.join("");
    assert!(log.contains("was begun as irreversible") && log.contains("--force"), "{log}");
    bed.log.clear();
    bed.play("28 rollback why force").expect("decided by a person, run 0.1");
    // Nor are people asked for what is not done on a yes.
    play(confirming("rollback"), begun, told);
}
