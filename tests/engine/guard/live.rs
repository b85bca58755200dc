//! The live version: compared before anything is done, part of the cure, and what arms.

use rollguard::engine::view::snapshot::GuardState;

use super::*;

const FILE: (&str, &str) = ("[target.api]", "live = { file = \"/srv/VERSION\" }\n[target.api]");
const DETECT: (&str, &str) =
    ("[target.api]", "arm = \"detect\"\nlive = { file = \"/srv/VERSION\" }\n[target.api]");
const METRIC: (&str, &str) = (
    "[target.api]",
    "live = { metric = \"app_info{job='api'}\", label = \"version\" }\n[target.api]",
);

#[track_caller]
fn check_live(changes: &[(&str, &str)], script: &str, expected: &str) {
    let mut bed = Bed::new(plan(changes));
    bed.live = Some(Live::unknown("nobody said"));
    let effects = bed.guard.live(bed.now, bed.asked, Live::unknown("nobody said"));
    bed.perform(effects);
    bed.play(script);
    assert_eq!(bed.log.join(", "), expected, "{script}");
}

/// A deployment that goes bad at second 7.
fn sick(live: &str) -> String {
    format!("0 live {live}; {BEGUN}; 7..20 sick")
}

#[test]
fn a_rollback_starts_only_while_the_judged_version_is_live() {
    let decided = "begun v2 over v1, compared, decided by slow, run 0.1";
    check_live(&[FILE], &sick("v2"), decided);
    let good = "begun v2 over v1, already at the good version (v1), \
                slow: already at the good version, notify tell, report not rolled back";
    check_live(&[FILE], &sick("v1"), good);
    let other = "begun v2 over v1, live version changed (v3), slow: live version changed, \
                 notify tell, report not rolled back";
    check_live(&[FILE], &sick("v3"), other);
}

#[test]
fn what_cannot_be_read_is_tried_again_for_a_while_and_then_refused() {
    let script = format!("0 live ?; {BEGUN}; 7..14 sick");
    check_live(&[FILE], &script, "begun v2 over v1");
    let refused = "begun v2 over v1, live version unknown (unknown: no such file), \
                   slow: live version unknown, notify tell, report not rolled back";
    check_live(&[FILE], &format!("{script}; 15..16 sick"), refused);
    // It goes on as soon as it is read, and nobody is told twice.
    let script = format!("{script}; 15..30 sick; 31 live v2; 32..33 sick");
    check_live(&[FILE], &script, &format!("{refused}, compared, decided by slow, run 0.1"));
    let script = format!("0 live ?; {BEGUN}; 7..12 sick; 12.1 live v2; 13 sick");
    check_live(&[FILE], &script, "begun v2 over v1, compared, decided by slow, run 0.1");
}

#[test]
fn nothing_hangs_on_a_reading_that_is_never_answered() {
    let script = format!("0 live never; {BEGUN}; 7..16 sick");
    let refused = "begun v2 over v1, live version unknown (unknown: no answer within its time), \
                   slow: live version unknown, notify tell, report not rolled back";
    check_live(&[FILE], &script, refused);
    // An answer to a question that is not waited for any more decides nothing.
    let mut bed = Bed::new(plan(&[FILE]));
    bed.play(&format!("{BEGUN}; 7..9 sick"));
    let late = bed.asked;
    bed.play("16 sick");
    let effects = bed.guard.live(bed.now, late - 1, Live::Version(Version::new("v2").unwrap()));
    assert_eq!(effects, []);
}

#[test]
fn it_is_rolled_back_without_a_reading_only_where_that_is_configured() {
    let proceed = (
        "[target.api]",
        "live = { file = \"/srv/VERSION\" }\nlive_unknown = \"proceed\"\n[target.api]",
    );
    let decided = "begun v2 over v1, compared, decided by slow, run 0.1";
    check_live(&[proceed], &sick("?"), decided);
    let good = "begun v2 over v1, already at the good version (v1), \
                slow: already at the good version, notify tell, report not rolled back";
    check_live(&[proceed], &sick("v1"), good);
}

#[test]
fn a_deployment_may_begin_before_its_version_is_live() {
    let script = format!("0 live v1; {BEGUN}; 7..12 sick; 12.5 live v2; 13..16 sick");
    let decided = "begun v2 over v1, already at the good version (v1), \
                   slow: already at the good version, notify tell, report not rolled back, \
                   compared, decided by slow, run 0.1";
    check_live(&[FILE], &script, decided);
}

#[test]
fn a_person_is_told_what_is_live_and_may_insist() {
    let script = format!("0 live v3; {BEGUN}; 7 rollback bad");
    let refused = "begun v2 over v1, rolling back deployment";
    let mut bed = Bed::new(plan(&[FILE]));
    bed.live = Some(Live::unknown("nobody said"));
    bed.play(&script);
    let log = bed.log.join(", ");
    assert!(!log.contains(refused), "{log}");
    let told = "begun v2 over v1, live version changed (v3), \
                (refused: live version changed; the live version is v3; \
                `rollback --force` does it all the same)";
    assert_eq!(log, told);
    bed.log.clear();
    bed.play("8 rollback bad force").expect("decided by a person, run 0.1");
}

#[test]
fn a_person_waits_and_is_overtaken_by_who_does_something_else() {
    let mut bed = Bed::new(plan(&[FILE]));
    bed.play(&format!("{BEGUN}; 7 rollback bad"));
    assert!(bed.guard.is_asked());
    bed.expect("begun v2 over v1");
    bed.play("7.1 rollback bad");
    let id = bed.guard.deployment_id().unwrap().clone();
    let asked = format!(
        "(a rollback of deployment {id} was asked for, and the live version is being read)"
    );
    bed.expect(&asked);
    bed.play("7.2 begin v3 good=v1");
    let overtaken = "superseded, begun v3 over v1, (something else was done while the live \
                     version was being read; look and ask again)";
    bed.expect(overtaken);
    bed.play("8 answer v2").expect("");
    bed.play("9 rollback bad; 9.1 answer v3");
    let id = bed.guard.deployment_id().unwrap().clone();
    let done = format!("compared, decided by a person, run 0.1, rolling back deployment {id}");
    bed.expect(&done);
}

#[test]
fn the_cure_needs_the_good_version_to_be_live() {
    let decided = "begun v2 over v1, compared, decided by slow, run 0.1, done";
    let script = format!("0 live v2; {BEGUN}; 7..9 sick; 9.5 live v1; 9.6 done; 10..20 fine");
    check_live(&[FILE], &script, &format!("{decided}, cured, report rolled back"));
    let script = format!("0 live v2; {BEGUN}; 7..9 sick; 9.6 done; 10..400 fine");
    let still = "gave up: the live version is still v2, 5m after the last step, notify page, \
                 report rollback failed";
    check_live(&[FILE], &script, &format!("{decided}, {still}"));
    let script = format!("0 live v2; {BEGUN}; 7..9 sick; 9.5 live ?; 9.6 done; 10..400 fine");
    let unknown = "gave up: the live version is unknown: no such file, 5m after the last step, \
                   notify page, report rollback failed";
    check_live(&[FILE], &script, &format!("{decided}, {unknown}"));
}

/// A rollback of two steps.
const STEPS: (&str, &str) = (
    "steps = [ { run = [\"switch\", \"{good}\"], attempts = 2, backoff = \"1s\" } ]",
    "steps = [ { run = [\"switch\", \"{good}\"] }, { run = [\"unlock\"] } ]",
);

#[test]
fn a_guard_that_was_restarted_compares_before_it_goes_on() {
    let begun = format!("0 live v2; {BEGUN}; 7..9 sick");
    let decided =
        "begun v2 over v1, compared, decided by slow, run 0.1, inspect 0.1, never started";
    let resume = |live: &str| format!("{begun}; 10 live {live}; 10.5 restart; 10.6 unstarted");
    check_live(&[FILE], &resume("v2"), &format!("{decided}, compared, run 0.2"));
    // Somebody else did it: what is left is to see whether it helped.
    let script = format!("{}; 11..20 fine", resume("v1"));
    let done = "already at the good version (v1), cured, report rolled back";
    check_live(&[FILE], &script, &format!("{decided}, {done}"));
    let other = "live version changed (v3), gave up: the live version is v3 now, \
                 neither v2 nor v1, notify page, report rollback failed";
    check_live(&[FILE], &resume("v3"), &format!("{decided}, {other}"));
    let script = format!("{}; 11..80 sick", resume("?"));
    let unknown = "live version unknown (unknown: no such file), gave up: the guard was \
                   restarted, and the live version is unknown: no such file, notify page, \
                   report rollback failed";
    check_live(&[FILE], &script, &format!("{decided}, {unknown}"));
}

#[test]
fn the_steps_that_are_left_are_run_unless_the_cure_is_seen_without_them() {
    let script =
        format!("0 live v2; {BEGUN}; 7..9 sick; 9.4 live v1; 9.5 done; 9.6 restart; 9.7 unstarted");
    let decided = "begun v2 over v1, compared, decided by slow, run 0.1, done, run 1.1, \
                   inspect 1.1, never started, already at the good version (v1)";
    let cured = format!("{script}; 10..15 fine");
    check_live(&[FILE, STEPS], &cured, &format!("{decided}, cured, report rolled back"));
    let sick = format!("{script}; 10..25 sick; 25.5 done; 26..30 fine");
    let all = format!("{decided}, run 1.2, done, cured, report rolled back");
    check_live(&[FILE, STEPS], &sick, &all);
}

#[test]
fn a_copied_state_directory_does_not_repeat_a_rollback() {
    let mut first = Bed::new(plan(&[FILE]));
    first.live = Some(Live::Version(Version::new("v2").unwrap()));
    first.play(&format!("{BEGUN}; 7..9 sick"));
    let journal = first.journal.clone();
    let runs = |bed: &Bed| bed.log.iter().filter(|word| word.starts_with("run")).count();
    assert_eq!(runs(&first), 1);
    // Every copy, from before the deployment to the middle of its rollback.
    for length in 0..journal.len() {
        let mut copy = Bed::new(plan(&[FILE]));
        copy.live = Some(Live::Version(Version::new("v1").unwrap()));
        copy.journal = journal[..length].to_vec();
        copy.play("10 restart; 11..40 sick");
        assert_eq!(runs(&copy), 0, "{length}: {:?}", copy.log);
    }
}

#[test]
fn a_change_of_the_live_version_arms_and_what_was_live_is_good() {
    let first = "0 live v1; 0..5 fine";
    check_live(&[DETECT], first, "v1 is live");
    let changed = format!("{first}; 5.5 live v2; 6..9 fine");
    check_live(&[DETECT], &changed, "v1 is live, v2 is live, begun v2 over v1");
    // What is read once only is being written.
    let glimpse = format!("{first}; 5.5 live v; 6 fine; 6.5 live v2; 7..9 fine");
    check_live(&[DETECT], &glimpse, "v1 is live, v2 is live, begun v2 over v1");
    let unknown = format!("{first}; 5.5 live ?; 6..20 fine; 20.5 live v1; 21..25 fine");
    check_live(&[DETECT], &unknown, "v1 is live");
    let good = ("[target.api]", "good = \"v0\"\n[target.api]");
    let over = "v1 is live, v2 is live, begun v2 over v0";
    check_live(&[DETECT, good], &changed, over);
}

#[test]
fn the_guards_own_rollback_is_no_deployment() {
    let script = "0 live v1; 0..5 fine; 5.5 live v2; 6..12 fine; 13..15 sick; 15.5 live v1; \
                  15.6 done; 16..40 fine";
    let told = "v1 is live, v2 is live, begun v2 over v1, compared, decided by slow, run 0.1, \
                done, cured, report rolled back, v1 is live";
    check_live(&[DETECT], script, told);
    // The next one is, and the one after a failed one does not go back to what failed.
    let next = format!("{script}; 40.5 live v3; 41..50 fine");
    check_live(&[DETECT], &next, &format!("{told}, v3 is live, begun v3 over v1"));
}

#[test]
fn a_failed_rollback_is_not_armed_for_when_it_takes_effect_later_nor_gone_back_to() {
    let script = "0 live v1; 0..5 fine; 5.5 live v2; 6..12 fine; 13..15 sick; 15.5 failed; \
                  16.5 failed; 17..20 sick";
    let told = "v1 is live, v2 is live, begun v2 over v1, compared, decided by slow, run 0.1, \
                failed: exit status 1, run 0.2, failed: exit status 1, \
                gave up: step 1 failed: exit status 1, notify page, report rollback failed";
    let late = format!("{script}; 20.5 live v1; 21..30 fine");
    check_live(&[DETECT], &late, &format!("{told}, v1 is live"));
    let next = format!("{script}; 20.5 live v3; 21..30 fine");
    check_live(&[DETECT], &next, &format!("{told}, v3 is live, begun v3 over v1"));
}

#[test]
fn who_goes_back_by_hand_ends_the_deployment_and_who_goes_on_begins_another() {
    let begun = "0 live v1; 0..5 fine; 5.5 live v2; 6..9 fine";
    let told = "v1 is live, v2 is live, begun v2 over v1";
    let back = format!("{begun}; 9.5 live v1; 10..30 fine");
    check_live(&[DETECT], &back, &format!("{told}, v1 is live, ended"));
    let on = format!("{begun}; 9.5 live v3; 10..13 fine");
    // v2 was not found good yet.
    let over = format!("{told}, v3 is live, superseded, begun v3 over v1");
    check_live(&[DETECT], &on, &over);
}

#[test]
fn a_change_while_the_guard_was_away_is_seen_when_it_is_back() {
    let script =
        "0 live v1; 0..5 fine; 6 live v2; 6.1 restart; 7..10 fine; 11 restart; 12..15 fine";
    check_live(&[DETECT], script, "v1 is live, v2 is live, begun v2 over v1");
    let back =
        "0 live v1; 0..5 fine; 5.5 live v2; 6..9 fine; 9.1 live v1; 9.2 restart; 10..13 fine";
    let ended = "v1 is live, v2 is live, begun v2 over v1, v1 is live, ended";
    check_live(&[DETECT], back, ended);
}

#[test]
fn what_a_pipeline_announced_is_not_armed_for_again() {
    let script = "0 live v1; 0..5 fine; 5.5 begin v2; 6..8 fine; 8.5 live v2; 9..15 fine";
    check_live(&[DETECT], script, "v1 is live, begun v2, v2 is live");
}

impl Bed {
    /// A page that tells the version, or none.
    fn page_of(&mut self, second: f64, latency: f64, series: &[(&str, f64)]) -> &mut Self {
        self.set(second);
        let mut page = Page::default();
        page.push("latency_seconds", latency, None);
        series.iter().for_each(|(series, value)| page.push(series, *value, None));
        let effects = self.scrape_page(Ok(page));
        self.perform(effects);
        self
    }
}

#[test]
fn a_label_of_a_sampled_series_tells_it() {
    let v2 = ("app_info{job=\"api\",version=\"v2\"}", 1.0);
    let bad = |series: &[(&str, f64)]| {
        let mut bed = Bed::new(plan(&[METRIC]));
        bed.play(BEGUN);
        for second in 7..=12 {
            bed.page_of(f64::from(second), 5.0, series);
        }
        bed.log.join(", ")
    };
    let decided = "begun v2 over v1, compared, decided by slow, run 0.1";
    assert_eq!(bad(&[v2]), decided);
    // What is 0 does not count, nor does what is of another job or another metric.
    let old = ("app_info{job=\"api\",version=\"v1\"}", 0.0);
    let other = ("app_info{job=\"web\",version=\"v7\"}", 1.0);
    let longer = ("app_info_total{job=\"api\",version=\"v7\"}", 1.0);
    assert_eq!(bad(&[old, other, longer, v2]), decided);
    let v1 = ("app_info{job=\"api\",version=\"v1\"}", 1.0);
    assert!(bad(&[v1]).contains("already at the good version (v1)"));
    // Two at once are none.
    assert_eq!(bad(&[v1, v2]), "begun v2 over v1");
    assert_eq!(bad(&[]), "begun v2 over v1");
    assert_eq!(bad(&[("app_info{job=\"api\"}", 1.0)]), "begun v2 over v1");
}

#[test]
fn the_status_shows_the_live_version_or_why_it_is_unknown() {
    let mut bed = Bed::new(plan(&[FILE]));
    let live = bed.snapshot().live.unwrap();
    assert_eq!((live.version, live.unknown.as_deref()), (None, Some("it was not read yet")));
    bed.live = Some(Live::Version(Version::new("v2").unwrap()));
    bed.play("0 answer v2; 1 fine");
    let live = bed.snapshot().live.unwrap();
    assert_eq!((live.version.unwrap().as_str(), live.age_s), ("v2", Some(1.0)));
    assert_eq!(Bed::new(plan(&[])).snapshot().live, None);
}

const ASKED: &str = "begun v2 over v1, compared, asked, notify tell, report awaiting approval";

fn confirming(default: &str) -> Bed {
    let confirm = format!("confirm = {{ within = \"30s\", default = \"{default}\" }}\n{}", FILE.1);
    let mode = ("mode = \"auto\"", "mode = \"confirm\"");
    let mut bed = Bed::new(plan(&[mode, (FILE.0, &confirm)]));
    bed.live = Some(Live::unknown("nobody said"));
    bed
}

#[test]
fn people_are_asked_only_while_the_judged_version_is_live() {
    confirming("deny").play(&sick("v2")).expect(ASKED);
    let good = "begun v2 over v1, already at the good version (v1), \
                slow: already at the good version, notify tell, report not rolled back";
    confirming("deny").play(&sick("v1")).expect(good);
}

#[test]
fn a_yes_is_done_only_while_the_judged_version_is_live_and_may_be_said_again() {
    let mut bed = confirming("deny");
    bed.play(&format!("{}; 20.5 live v3; 21 approve", sick("v2")));
    let refused = "(refused: live version changed; the live version is v3; \
                   `rollback --force` does it all the same)";
    bed.expect(&format!("{ASKED}, live version changed (v3), {refused}"));
    assert_eq!(bed.snapshot().state, GuardState::AwaitingApproval);
    bed.play("22 live v2; 23 approve").expect(
        "compared, decided by slow, approved, run 0.1, \
         rolling back deployment v2-20231114T221322.500Z",
    );
    // Whether the rule that asked still fires is of no importance to it.
    let mut bed = confirming("deny");
    bed.play(&format!("{}; 21..24 fine; 25 approve", sick("v2")));
    let rolling = "rolling back deployment v2-20231114T221322.500Z";
    bed.expect(&format!("{ASKED}, compared, decided by slow, approved, run 0.1, {rolling}"));
}

#[test]
fn a_no_after_a_yes_counts_as_long_as_nothing_is_done() {
    let mut bed = confirming("deny");
    bed.play(&format!("{}; 20.5 live never; 21 approve; 21.5 deny", sick("v2"))).log.clear();
    bed.play("22 answer v2; 23..30 sick").expect("");
    assert_eq!(bed.refusal(), "denied");
}

#[test]
fn who_waits_while_another_configuration_comes_into_force_is_told() {
    let mut bed = confirming("deny");
    bed.play(&format!("{}; 20.5 live never; 21 approve", sick("v2"))).log.clear();
    bed.reload(21.5, plan(&[("mode = \"auto\"", "mode = \"observe\"")]));
    bed.expect(
        "reloaded, (something else was done while the live version was being read; \
         look and ask again)",
    );
}

#[test]
fn what_nobody_answered_is_done_by_default_only_while_the_judged_version_is_live() {
    let mut bed = confirming("rollback");
    bed.play(&format!("{}; 21..38 sick; 40 tick", sick("v2")));
    bed.expect(&format!("{ASKED}, compared, decided by slow, by default, run 0.1"));
    let mut bed = confirming("rollback");
    bed.play(&format!("{}; 21 live v1; 22..38 sick; 40 tick", sick("v2")));
    let told = "already at the good version, notify tell, report not rolled back";
    let lapsed = format!("already at the good version (v1), lapsed: {told}, slow: {told}");
    bed.expect(&format!("{ASKED}, {lapsed}"));
}

#[test]
fn what_is_detected_never_goes_back_to_what_was_rolled_back() {
    let mut bed = Bed::new(plan(&[DETECT]));
    bed.live = Some(Live::unknown("nobody said"));
    bed.play("0 live v1; 0..4 fine; 5 live v2; 5..9 fine; 10 rollback bad; 10.5 live v1");
    bed.play("11 done; 12..40 fine");
    assert_eq!(bed.snapshot().state, GuardState::RolledBack);
    bed.play("41 live v2; 41..45 fine; 46 end enough; 47 live v3; 47..52 fine");
    let begun: Vec<&String> = bed.log.iter().filter(|line| line.starts_with("begun")).collect();
    assert_eq!(begun, ["begun v2 over v1", "begun v2 over v1", "begun v3"]);
}
