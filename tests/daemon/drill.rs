//! Drills through the real daemon: a hook is run step by step with what `[drill]` says, and never
//! in the way of a rollback.

use std::fs;
use std::process::Child;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::common::{KillOnDrop, wait_for};
use crate::support::world::{ID, LONG, World, wait_ended};

/// Behind the hooks of the common configuration: a drill target, and a hook for it.
const DRILL: (&str, &str) = (
    "[hook.tell]",
    r#"[drill]
service = "api-drill"
version = "v9"
good = "v8"
hook = "exercise"

[hook.exercise]
steps = [
  { run = ["DIR/hook", "exercise", "{service}", "{good}", "{deployment}"] },
  { sleep = "1ms" },
]

[hook.broken]
steps = [{ run = ["DIR/hook", "fail", "{service}"], attempts = 2, backoff = "10ms" }]

[hook.deaf]
steps = [{ run = ["DIR/deaf", "{service}"] }]

[hook.told]
steps = [{ run = ["DIR/told", "{service}"] }]

[hook.tell]"#,
);

fn world() -> Option<World> {
    World::new(&[DRILL])
}

/// Writes a program.
fn program(world: &World, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = world.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A drill in the background.
fn begin(world: &World, arguments: &[&str]) -> KillOnDrop {
    let arguments = [&["drill", "--json"], arguments].concat();
    KillOnDrop(world.command(&arguments).spawn().unwrap())
}

#[track_caller]
fn ended(child: &mut Child) -> (Option<i32>, Value) {
    let status = wait_ended(child, "the drill to end");
    let text = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    (status.code(), serde_json::from_str(&text).unwrap_or_default())
}

fn kinds(world: &World, drill: &str) -> Vec<String> {
    let journal = world.journal();
    let about = journal.iter().filter(|entry| entry["deployment"] == drill);
    about.map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_drill_runs_the_hook_step_by_step_times_it_and_is_on_record() {
    let Some(world) = world() else { return };
    let _daemon = world.start();
    let (code, said) = world.run(&["drill"]);
    assert_eq!(code, 0, "{said}");
    for part in ["drill-1: hook exercise on api-drill, v9 -> v8", "target 5m00s", "No cure was"] {
        assert!(said.contains(part), "no {part}: {said}");
    }
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert_eq!(world.effects(), ["exercise 1"]);
    let expected =
        ["drill_begun", "intent", "outcome", "intent", "outcome", "drill_done"].map(str::to_owned);
    assert_eq!(kinds(&world, "drill-1"), expected);
    let (code, drill) = ended(&mut begin(&world, &[]));
    assert_eq!(
        (code, &drill["result"], &drill["drill"]),
        (Some(0), &json!("done"), &json!("drill-2"))
    );
    assert_eq!(drill["steps"][0]["attempts"], 1, "{drill}");
    assert!(drill["took_ms"].is_u64() && drill["to_action_ms"].is_u64(), "{drill}");
    assert_eq!(world.status()["drill"], drill);
    assert!(world.run(&["status"]).1.contains("drill-2: hook exercise done"));
    let state = world.path("state");
    let stats = |more: &[&str]| {
        world.run(&[&["stats", "--state", state.to_str().unwrap()], more].concat()).1
    };
    assert!(stats(&[]).contains("last drill: drill-2: hook exercise done"), "{}", stats(&[]));
    let stats: Value = serde_json::from_str(&stats(&["--json"])).unwrap();
    assert_eq!((&stats["last_drill"], &stats["drill_overdue"]), (&drill, &json!(false)));
}

#[test]
fn a_step_knows_that_it_is_a_drill_and_gets_what_the_table_says() {
    let Some(world) = world() else { return };
    let out = world.path("told.txt");
    let script = format!("#!/bin/sh\ncat > {0}\nenv | grep ^ROLLGUARD_ >> {0}\n", out.display());
    program(&world, "told", &script);
    let _daemon = world.start();
    let (code, said) = world.run(&["drill", "--hook", "told"]);
    assert_eq!(code, 0, "{said}");
    let told = fs::read_to_string(out).unwrap();
    for part in [
        r#""occasion":"rollback","drill":true"#,
        r#""service":"api-drill","version":"v9","good":"v8""#,
        "ROLLGUARD_DRILL=1\n",
        "ROLLGUARD_DEPLOYMENT=drill-1\n",
        "ROLLGUARD_GOOD=v8\n",
    ] {
        assert!(told.contains(part), "no {part}: {told}");
    }
}

#[test]
fn a_step_that_fails_is_tried_as_often_as_in_a_rollback_and_fails_the_drill() {
    let Some(world) = world() else { return };
    let _daemon = world.start();
    let (code, drill) = ended(&mut begin(&world, &["--hook", "broken"]));
    assert_eq!((code, &drill["result"]), (Some(1), &json!("failed")), "{drill}");
    assert_eq!((&drill["steps"][0]["attempts"], world.effects().len()), (&json!(2), 2), "{drill}");
    let stats = world.run(&["stats", "--state", world.path("state").to_str().unwrap()]).1;
    assert!(stats.contains("no drill ever ended well"), "{stats}");
}

#[test]
fn what_would_act_on_the_guarded_service_is_refused_unless_a_person_insists() {
    let Some(world) = world() else { return };
    let _daemon = world.start();
    let refused = |arguments: &[&str], why: &str| {
        let (code, said) = world.run(&[&["drill"], arguments].concat());
        assert!(code == 5 && said.contains(why), "{code}: {said}");
    };
    refused(&["--hook", "rollback"], "step 1 of hook rollback names neither {service}");
    refused(&["--hook", "absent"], "no hook is called absent");
    assert_eq!(world.effects(), [""; 0]);
    let (code, said) = world.run(&["drill", "--hook", "rollback", "--for-real"]);
    assert_eq!((code, world.effects().len()), (0, 1), "{said}");
    world.hold("before-exercise");
    let mut drill = begin(&world, &[]);
    world.held("before-exercise");
    refused(&[], "drill-2 is under way");
    world.release("before-exercise");
    assert_eq!(ended(&mut drill).0, Some(0));
    let (code, said) = world.run(&["deploy", "begin", "v2", "--id", "drill-9"]);
    assert!(code == 5 && said.contains("one of a drill"), "{code}: {said}");
}

#[test]
fn without_a_table_or_on_the_guarded_service_there_is_no_drill() {
    let changes = [DRILL, (r#"service = "api-drill""#, r#"service = "api""#)];
    let Some(world) = World::new(&changes) else { return };
    let daemon = world.start();
    let (code, said) = world.run(&["drill"]);
    assert!(code == 5 && said.contains("api, is the guarded one"), "{code}: {said}");
    daemon.kill();
    world.configure(&[]);
    let daemon = world.start();
    let (code, said) = world.run(&["drill"]);
    assert!(code == 5 && said.contains("write [drill]"), "{code}: {said}");
    daemon.kill();
    assert_eq!(world.run(&["drill"]).0, 6);
    assert_eq!(kinds(&world, "drill-1"), [""; 0]);
}

#[test]
fn a_rollback_calls_a_drill_off_and_then_runs_once() {
    let Some(world) = world() else { return };
    let held = world.path("deaf.pid");
    let script = format!(
        "#!/bin/sh\ntrap '' TERM\necho $$ > {0}.new\nmv {0}.new {0}\nwhile :; do sleep 0.1; done\n",
        held.display()
    );
    program(&world, "deaf", &script);
    let _daemon = world.start();
    world.begin();
    let mut drill = begin(&world, &["--hook", "deaf"]);
    let pid: i32 =
        wait_for(LONG, "the drill to run", || fs::read_to_string(&held).ok()?.trim().parse().ok());
    world.switch("v2");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let (code, drill) = ended(&mut drill);
    assert_eq!((code, &drill["result"]), (Some(1), &json!("called_off")), "{drill}");
    assert!(drill["why"].as_str().unwrap().contains("a rollback must start"), "{drill}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{}", world.log());
    let order: Vec<Value> =
        world.journal().into_iter().map(|entry| entry["kind"].clone()).collect();
    let place = |kind: &str| order.iter().rposition(|known| *known == kind).unwrap();
    assert!(place("decided") < place("drill_done") && place("drill_done") < place("intent"));
    assert_eq!(world.count("switch"), 1);
}

#[test]
fn no_drill_begins_during_a_rollback() {
    let Some(world) = world() else { return };
    world.hold("before-switch");
    let _daemon = world.start();
    world.deploy();
    world.held("before-switch");
    let (code, said) = world.run(&["drill"]);
    assert!(code == 5 && said.contains("is being rolled back"), "{code}: {said}");
    world.release("before-switch");
    assert_eq!(world.verdict(), 3);
}

#[test]
fn a_drill_that_the_guards_death_interrupts_is_ended_by_the_next_one() {
    let Some(world) = world() else { return };
    world.hold("before-exercise");
    let daemon = world.start();
    let _drill = begin(&world, &[]);
    let pid = world.held_pid("before-exercise");
    daemon.kill();
    let _daemon = world.start();
    let done = world.wait_entry("drill_done");
    assert_eq!(done["data"]["result"], "called_off", "{done}");
    wait_for(LONG, "its program to be ended", || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    world.release("before-exercise");
    assert_eq!(world.run(&["drill", "--json"]).0, 0, "{}", world.log());
    assert_eq!(world.status()["drill"]["drill"], "drill-2");
}

#[test]
fn a_daemon_that_is_told_to_stop_ends_its_drill() {
    let Some(world) = world() else { return };
    world.hold("before-exercise");
    let daemon = world.start();
    let _drill = begin(&world, &[]);
    let pid = world.held_pid("before-exercise");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0), "{}", world.log());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(world.wait_entry("drill_done")["data"]["result"], "called_off");
}

#[test]
fn a_drill_does_not_keep_a_deployment_from_being_guarded() {
    let Some(world) = world() else { return };
    world.hold("before-exercise");
    let _daemon = world.start();
    let mut drill = begin(&world, &[]);
    world.held("before-exercise");
    world.begin();
    assert_eq!(world.status()["state"], "guarding");
    world.release("before-exercise");
    assert_eq!(ended(&mut drill).0, Some(0), "{}", world.log());
    assert_eq!(world.status()["deployment"]["id"], ID);
}

#[test]
fn wherever_the_guard_dies_a_drill_comes_to_its_end_and_no_attempt_runs_twice() {
    let begun = ["after:drill_begun", "before:intent", "after:intent"];
    for place in begun.into_iter().chain(["before:outcome", "before:drill_done"]) {
        let Some(world) = world() else { return };
        let daemon = world.start_with(&[("ROLLGUARD_CRASH_AT", place)]);
        assert_eq!(world.run(&["drill"]).0, 6, "{place}");
        assert!(!daemon.ended().success(), "{place}");
        let _daemon = world.start();
        let done = world.wait_entry("drill_done");
        assert_eq!(done["data"]["result"], "called_off", "{place}: {done}");
        assert!(world.count("exercise") <= 1, "{place}: {:?}", world.effects());
        assert_eq!(world.run(&["drill"]).0, 0, "{place}: {}", world.log());
        assert_eq!(world.entries("drill_done").len(), 2, "{place}");
    }
}
