//! Stages: what a gate waits for, what enters a stage, and what is called off for a rollback.

use rollguard::engine::view::stage::{NoStage, StageStanding};

use super::*;

/// Two stages, of 10 and 5 seconds, the first with whatever else is said. Latency below 1 is fine.
fn staged(first: &str, deployment: &str) -> Arc<Plan> {
    let stages = format!(
        "[[stage]]\nname = \"canary\"\nhold = \"10s\"\nlimits = [\"latency < 1\"]\n{first}\n\
         [[stage]]\nname = \"full\"\nhold = \"5s\"\n\
         [hook.shift]\nsteps = [ {{ run = [\"shift\", \"{{stage}}\"], attempts = 2, \
         backoff = \"1s\", grace = \"2s\" }} ]\n[rule.slow]"
    );
    let deployment = format!("notify = \"tell\"\n{deployment}");
    plan(&[("[rule.slow]", &stages), ("notify = \"tell\"", &deployment)])
}

#[track_caller]
fn play(plan: Arc<Plan>, script: &str, expected: &str) -> Bed {
    let mut bed = Bed::new(plan);
    bed.play(script);
    assert_eq!(bed.log.join(", "), expected, "{script}");
    bed
}

fn standing(bed: &Bed, stage: &str) -> StageStanding {
    let shown = bed.snapshot().deployment.unwrap();
    shown.stages.iter().find(|known| known.stage.as_str() == stage).unwrap().standing
}

/// The answer to whoever waits for the first stage.
fn waited(bed: &Bed) -> (bool, StageStanding) {
    let (id, stage) = (bed.guard.deployment_id().unwrap(), StageName::new("canary").unwrap());
    let progress = bed.guard.stage_progress(bed.now, id, &stage).unwrap();
    (progress.is_final, progress.stage.standing)
}

const BEGUN: &str = "0..2 fine; 2.5 begin v2 good=v1";
const IN: &str = "begun v2 over v1, in stage canary";
const ENTERS: &str = "enter = \"shift\"";

#[test]
fn a_deployment_begins_in_the_first_stage_which_passes_once_it_was_clean_for_its_time() {
    // Warm-up is over at 5.5 s; ten seconds of it were seen by second 16.
    let bed = play(staged("", ""), &format!("{BEGUN}; 3..15 fine"), IN);
    assert_eq!((standing(&bed, "canary"), waited(&bed).0), (StageStanding::Watched, false));
    let bed =
        play(staged("", ""), &format!("{BEGUN}; 3..16 fine"), &format!("{IN}, passed canary"));
    assert_eq!(standing(&bed, "canary"), StageStanding::Passed);
    assert_eq!(waited(&bed), (true, StageStanding::Passed));
    assert_eq!(standing(&bed, "full"), StageStanding::Next);
}

#[test]
fn a_limit_that_is_not_met_starts_the_time_again() {
    let script = format!("{BEGUN}; 3..12 fine; 13 sick; 14..23 fine");
    play(staged("", ""), &script, IN);
    play(staged("", ""), &format!("{script}; 24 fine"), &format!("{IN}, passed canary"));
}

#[test]
fn time_without_data_passes_no_stage_and_starts_none_again() {
    let script = format!("{BEGUN}; 3..12 fine; 13..40 dark; 41..43 fine");
    let lost = format!("{IN}, telemetry lost, notify tell");
    let mut bed = Bed::new(staged("", ""));
    bed.play(&script);
    assert!(!bed.log.contains(&"passed canary".to_owned()), "{:?}", bed.log);
    assert!(lost.starts_with(IN));
    bed.play("44..46 fine");
    assert!(bed.log.contains(&"passed canary".to_owned()), "{:?}", bed.log);
}

#[test]
fn a_machine_that_stood_still_has_seen_nothing_meanwhile() {
    let mut bed = Bed::new(staged("", ""));
    bed.play(&format!("{BEGUN}; 3..7 fine"));
    // Nobody was there for a minute: no deadline was kept.
    bed.turn(Instant::from_millis(67_000));
    let effects = bed.act("fine");
    bed.perform(effects);
    assert!(!bed.log.contains(&"passed canary".to_owned()), "{:?}", bed.log);
}

#[test]
fn nobody_goes_on_before_a_stage_has_passed_unless_they_insist() {
    let refused = "(stage canary has not passed: clean for 4s of 10s; wait for it, or insist with \
                   --force)";
    let script = format!("{BEGUN}; 3..10 fine; 10.5 stage full");
    play(staged("", ""), &script, &format!("{IN}, {refused}"));
    let mut bed = play(
        staged("", ""),
        &format!("{BEGUN}; 3..10 fine; 10.5 stage full force"),
        &format!("{IN}, in stage full"),
    );
    bed.log.clear();
    bed.play("11..20 fine").expect("passed full");
    assert_eq!(standing(&bed, "canary"), StageStanding::Done);
    let unknown = "(there is no stage ful; the stages are canary, full)";
    play(staged("", ""), &format!("{BEGUN}; 3 stage ful"), &format!("{IN}, {unknown}"));
}

#[test]
fn going_back_is_always_allowed_and_a_stage_that_is_entered_again_is_watched_again() {
    let script = format!("{BEGUN}; 3..16 fine; 16.5 stage full; 17..18 fine; 18.5 stage canary");
    let expected = format!("{IN}, passed canary, in stage full, in stage canary");
    let mut bed = play(staged("", ""), &script, &expected);
    assert_eq!(waited(&bed), (false, StageStanding::Watched));
    bed.log.clear();
    bed.play("19..28 fine").expect("");
    bed.play("29 fine").expect("passed canary");
    // Who did not hear the answer asks again.
    bed.play("29.2 stage canary").expect("");
}

#[test]
fn a_rule_that_fires_at_a_gate_rolls_back_and_whoever_waits_is_told() {
    let script = format!("{BEGUN}; 3..8 fine; 9..11 sick");
    let mut bed = play(staged("", ""), &script, &format!("{IN}, decided by slow, run 0.1"));
    assert!(!waited(&bed).0, "the rollback is not over");
    bed.play("11.5 done; 12..20 fine");
    assert!(waited(&bed).0);
}

#[test]
fn a_version_only_counts_as_good_once_its_last_stage_has_passed() {
    let mut bed = Bed::new(staged("", ""));
    bed.play(&format!("{BEGUN}; 3..80 fine"));
    bed.expect(&format!("{IN}, passed canary"));
    let shown = bed.snapshot().deployment.unwrap();
    assert_eq!(shown.withheld.as_deref(), Some("the last stage, full, has not passed"));
    bed.play("80.5 stage full; 81..90 fine").expect("in stage full, passed full, baked v2");
}

#[test]
fn a_stage_that_passed_stays_passed_and_clean_time_is_counted_anew_after_a_restart() {
    let mut bed = Bed::new(staged("", ""));
    bed.play(&format!("{BEGUN}; 3..14 fine; 14.5 restart; 15..24 fine")).expect(IN);
    bed.play("25 fine; 25.5 restart; 26 fine").expect("passed canary");
    assert_eq!(waited(&bed), (true, StageStanding::Passed));
    bed.play("26.5 stage full").expect("in stage full");
}

#[test]
fn people_are_told_once_of_a_stage_that_takes_too_long() {
    let script = format!("{BEGUN}; 3..12 fine; 13..26 warm; 27 restart; 28..60 warm");
    let expected =
        format!("{IN}, overdue: clean for 0s of 10s, `latency < 1` is not met, notify tell");
    play(staged("within = \"20s\"", ""), &script, &expected);
}

#[test]
fn no_stage_passes_while_automatic_rollbacks_are_paused() {
    let script = format!("{BEGUN}; 3..4 fine; 4.5 pause 1m; 5..30 fine");
    let mut bed = Bed::new(staged("", ""));
    bed.play(&script);
    assert!(!bed.log.contains(&"passed canary".to_owned()), "{:?}", bed.log);
    bed.play("31 resume; 32 fine");
    assert_eq!(bed.log.last().unwrap(), "passed canary", "{:?}", bed.log);
}

#[test]
fn a_stages_time_begins_once_its_hook_is_done() {
    let script = format!("{BEGUN}; 3..20 fine; 20.5 done; 21..30 fine");
    let entered = format!("{IN}, enter canary.1 0.1, done, entered canary");
    play(staged(ENTERS, ""), &script, &entered);
    play(staged(ENTERS, ""), &format!("{script}; 31 fine"), &format!("{entered}, passed canary"));
}

#[test]
fn a_hook_that_fails_is_tried_again_and_then_only_when_it_is_asked_for() {
    let mut bed = Bed::new(staged(ENTERS, ""));
    bed.play(&format!("{BEGUN}; 3 failed; 4..6 fine; 7 failed; 8..9 fine"));
    let failed = "failed: exit status 1";
    bed.expect(&format!(
        "{IN}, enter canary.1 0.1, {failed}, enter canary.1 0.2, {failed}, \
         not entered: step 1 failed: exit status 1, notify tell"
    ));
    assert_eq!(waited(&bed), (true, StageStanding::NotEntered));
    bed.play("10 stage full");
    let why = "it was not entered: step 1 failed: exit status 1";
    bed.expect(&format!(
        "(stage canary has not passed: clean for 0s of 10s, {why}; wait for it, or insist with \
         --force)"
    ));
    bed.play("11 stage canary; 11.5 done")
        .expect("in stage canary, enter canary.1 0.3, done, entered canary");
}

#[test]
fn a_rollback_begins_only_once_the_hook_that_enters_a_stage_is_gone() {
    let script = format!("{BEGUN}; 3..8 fine; 9..11 sick");
    let called = format!("{IN}, enter canary.1 0.1, decided by slow, call off 0.1");
    let mut bed = play(staged(ENTERS, ""), &script, &called);
    assert_eq!(bed.snapshot().state.to_string(), "rolling back");
    assert!(bed.guard.has_steps_to_run());
    bed.log.clear();
    bed.play("12..13 sick; 13.5 off; 13.6 done; 14 done; 15..20 fine");
    bed.expect("called off, run 0.1, done, cured, report rolled back");
}

#[test]
fn a_hook_that_no_kill_ends_delays_a_rollback_only_so_long() {
    let script = format!("{BEGUN}; 3..8 fine; 9..41 sick");
    let called = format!("{IN}, enter canary.1 0.1, decided by slow, call off 0.1");
    let mut bed = play(staged(ENTERS, ""), &script, &called);
    bed.log.clear();
    // The grace period of two seconds and half a minute.
    bed.play("42..44 sick").expect("unknown, nobody saw its end, run 0.1");
}

#[test]
fn a_guard_that_is_killed_while_it_calls_off_does_so_again() {
    let script = format!("{BEGUN}; 3..8 fine; 9..11 sick; 11.5 restart");
    let called = format!("{IN}, enter canary.1 0.1, decided by slow, call off 0.1, call off 0.1");
    let mut bed = play(staged(ENTERS, ""), &script, &called);
    bed.log.clear();
    bed.play("12 unknown").expect("unknown, nobody saw its end, run 0.1");
}

#[test]
fn a_guard_that_is_killed_while_a_stage_is_entered_finds_out_what_became_of_it() {
    let script = format!("{BEGUN}; 3 restart; 4 unknown");
    let inspected = format!("{IN}, enter canary.1 0.1, inspect 0.1, unknown, nobody saw its end");
    let why = "it was interrupted, nobody knows whether it took effect, and its step is not \
               `idempotent`";
    let mut bed =
        play(staged(ENTERS, ""), &script, &format!("{inspected}, not entered: {why}, notify tell"));
    bed.log.clear();
    bed.play("5 stage canary").expect("in stage canary, enter canary.1 0.2");
    bed.play("6 restart; 7 unstarted").expect("inspect 0.2, never started, enter canary.1 0.3");
}

#[test]
fn an_interrupted_step_that_may_be_run_again_is() {
    let first = "enter = \"again\"\n[hook.again]\nsteps = [ { run = [\"x\"], idempotent = true } ]";
    let script = format!("{BEGUN}; 3 restart; 4 unknown; 5 done");
    let expected = format!(
        "{IN}, enter canary.1 0.1, inspect 0.1, unknown, nobody saw its end, enter canary.1 0.2, \
         done, entered canary"
    );
    play(staged(first, ""), &script, &expected);
}

#[test]
fn whoever_goes_elsewhere_waits_until_the_hook_under_way_is_gone() {
    let second = "[[stage]]\nname = \"half\"\nhold = \"5s\"\nenter = \"shift\"";
    let script = format!("{BEGUN}; 3 done; 4 stage half force; 4.2 stage canary; 5 fine; 5.5 off");
    let expected = format!(
        "{IN}, enter canary.1 0.1, done, entered canary, in stage half, enter half.1 0.1, \
         in stage canary, call off 0.1, called off, enter canary.2 0.1"
    );
    play(staged(&format!("{ENTERS}\n{second}"), ""), &script, &expected);
}

#[test]
fn a_deployment_that_takes_anothers_place_waits_for_its_hook_too() {
    let script = format!("{BEGUN}; 3 fine; 4 begin v3 good=v1; 5 fine; 6 off");
    let expected = format!(
        "{IN}, enter canary.1 0.1, superseded, call off 0.1, begun v3 over v1, in stage canary, \
         called off, enter canary.1 0.1"
    );
    play(staged(ENTERS, ""), &script, &expected);
}

#[test]
fn hooks_go_along_once_for_each_thing_that_happens() {
    let along = "on_begin = \"a\"\non_stage = \"b\"\non_trip = \"c\"\non_commit = \"d\"";
    let hooks: String = ["a", "b", "c", "d"]
        .map(|hook| format!("[hook.{hook}]\nsteps = [ {{ run = [\"{hook}\"] }} ]\n"))
        .concat();
    let planned = || staged(&hooks, along);
    let script =
        format!("{BEGUN}; 3..16 fine; 16.5 restart; 17 stage full; 18..80 fine; 81 restart");
    let begun = format!("{IN}, on_stage, along b, on_begin, along a");
    let expected = format!(
        "{begun}, passed canary, in stage full, on_stage, along b, passed full, baked v2, \
         on_commit, along d"
    );
    play(planned(), &script, &expected);
    let script = format!("{BEGUN}; 3..8 fine; 9..11 sick; 11.5 restart");
    // The rollback's first step does not wait for it.
    let tripped = "decided by slow, run 0.1, on_trip, along c, inspect 0.1";
    play(planned(), &script, &format!("{begun}, {tripped}"));
}

#[test]
fn without_stages_in_the_configuration_names_are_free_and_nobody_can_wait_for_one() {
    let mut bed = Bed::new(plan(&[]));
    bed.play(&format!("{BEGUN}; 3 stage anything; 4 stage else"));
    bed.expect("begun v2 over v1, in stage anything, in stage else");
    let (id, stage) = (bed.guard.deployment_id().unwrap(), StageName::new("canary").unwrap());
    assert_eq!(bed.guard.stage_progress(bed.now, id, &stage), Err(NoStage::None));
}

/// A stage whose hook has 20 seconds and is tried often.
fn limited() -> Arc<Plan> {
    plan(&[(
        "[rule.slow]",
        "[[stage]]\nname = \"canary\"\nhold = \"10s\"\nlimits = [\"latency < 1\"]\n\
         enter = \"shift\"\n[hook.shift]\ntimeout = \"20s\"\n\
         steps = [ { run = [\"shift\"], attempts = 9, backoff = \"3s\", idempotent = true } ]\n\
         [rule.slow]",
    )])
}

#[test]
fn the_time_limit_of_a_stages_hook_survives_a_restart_after_which_the_clock_was_set_back() {
    let mut bed = Bed::new(limited());
    bed.play("0..2 fine; 2.5 begin v2 good=v1; 4 failed; 12 tick");
    bed.skew_ms = -3_600_000;
    bed.play("12.5 restart; 13 unstarted; 14 failed; 20 failed");
    // The records before the restart cover 2.5 to 7, so 15.5 seconds are left at 12.5.
    bed.play("29 failed");
    assert!(!bed.guard.has_steps_to_run(), "{}", bed.log.join(", "));
    assert!(bed.log.iter().any(|line| line.starts_with("not entered")), "{:?}", bed.log);
}

#[test]
fn restarts_do_not_extend_the_time_limit_while_the_clock_is_behind_what_is_on_record() {
    let mut bed = Bed::new(limited());
    bed.play("0..2 fine; 2.5 begin v2 good=v1; 4 failed; 12 tick");
    bed.skew_ms = -3_600_000;
    bed.play("12.5 restart; 13 unstarted; 14 failed; 20 failed; 24 restart; 25 failed; 28 failed");
    assert!(!bed.guard.has_steps_to_run(), "{}", bed.log.join(", "));
}

#[test]
fn a_hook_that_names_the_good_version_enters_no_stage_where_none_is_known() {
    let needs_good = |first: &str| {
        let steps = "steps = [ { run = [\"shift\", \"{good}\"] } ]";
        plan(&[("[rule.slow]", &format!("{first}[hook.shift]\n{steps}\n[rule.slow]"))])
    };
    let stage = "[[stage]]\nname = \"canary\"\nhold = \"10s\"\nlimits = [\"latency < 1\"]\n\
                 enter = \"shift\"\n";
    let script = "0..2 fine; 2.5 begin v2";
    let refused = "begun v2, in stage canary, not entered: no good version, \
                   notify tell";
    play(needs_good(stage), script, refused);
    let known = "begun v2 over v1, in stage canary, enter canary.1 0.1";
    play(needs_good(stage), &format!("{script} good=v1"), known);
}

#[test]
fn a_hook_that_goes_along_and_names_the_good_version_is_not_run_where_none_is_known() {
    let along = plan(&[
        ("notify = \"tell\"", "notify = \"tell\"\non_begin = \"shift\""),
        ("[rule.slow]", "[hook.shift]\nsteps = [ { run = [\"shift\", \"{good}\"] } ]\n[rule.slow]"),
    ]);
    play(along.clone(), "0..2 fine; 2.5 begin v2", "begun v2, notified");
    let known = "begun v2 over v1, on_begin, along shift";
    play(along, "0..2 fine; 2.5 begin v2 good=v1", known);
}
