//! What is outside does not reach further than it should: targets, hooks, pagers, strangers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::common::wait_for;
use crate::support::world::{LONG, World};

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;

fn script(world: &World, name: &str, text: &str) {
    fs::write(world.path(name), text).unwrap();
    fs::set_permissions(world.path(name), fs::Permissions::from_mode(0o755)).unwrap();
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path));
        }
        files.push(path);
    }
    files
}

#[test]
fn no_data_alone_never_fires() {
    // The second rule is what says that the target is dead, and shows that time was given.
    let changes = [
        ("for = \"200ms\"", "for = \"1s\""),
        (
            "[hook.rollback]",
            "[signal.up]\nup = \"api\"\n[rule.dead]\nwhen = \"up < 1\"\nfor = \"2s\"\n\
             then = \"notify\"\n[hook.rollback]",
        ),
    ];
    let Some(mut world) = World::new(&changes) else { return };
    let _daemon = world.start();
    world.deploy();
    world.shown("the rule to be pending", |status| {
        World::rule(status, "error-rate")["state"] == "pending"
    });
    world.app.kill();
    let refused = world.wait_entry("refused");
    assert_eq!(refused["data"]["evidence"]["rule"], "dead");
    let status = world.status();
    let rule = World::rule(&status, "error-rate");
    assert_eq!((&rule["state"], &rule["refusal"]), (&"pending".into(), &"no_data".into()));
    assert_eq!(status["state"], "guarding");
    assert_eq!(world.entries("decided"), [] as [Value; 0]);
    assert_eq!(world.count("switch"), 0);
}

#[test]
fn a_target_that_hangs_does_not_delay_what_another_decides() {
    let Some(world) = World::new(&[]) else { return };
    let slow = world.app("slow");
    fs::write(world.path("slow/hang"), "").unwrap();
    let slow = format!(
        "[target.slow]\nscrape = \"http://127.0.0.1:{}/metrics\"\ninterval = \"5m\"\n\
         timeout = \"5m\"\n[target.api]",
        slow.port
    );
    world.configure(&[("[target.api]", &slow)]);
    let _daemon = world.start();
    world.begin();
    world.switch("v2");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let status = world.status();
    let targets = status["targets"].as_array().unwrap();
    let up = |name: &str| &targets.iter().find(|target| target["name"] == name).unwrap()["up"];
    // It was asked before the decision and has not answered since.
    assert_eq!((up("slow"), up("api")), (&Value::Null, &Value::Bool(true)));
}

#[test]
fn a_step_that_does_not_end_is_ended_with_everything_it_started() {
    let step = r#"{ run = ["DIR/stubborn"], timeout = "300ms", grace = "300ms" },"#;
    let Some(world) = World::new(&[(STEP, step)]) else { return };
    // Both ignore the request to end, and the grandchild would outlive its parent.
    let stubborn = "#!/bin/sh\ntrap '' TERM\ndir=$(dirname \"$0\")\n\
                    (while [ -d \"$dir\" ]; do sleep 0.05; done) &\n\
                    echo $! > \"$dir/grandchild\"\necho $$ > \"$dir/child\"\nwait\n\
                    while [ -d \"$dir\" ]; do sleep 0.05; done\n";
    script(&world, "stubborn", stubborn);
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    assert_eq!(world.entries("outcome")[0]["data"]["result"], "timed_out");
    for name in ["child", "grandchild"] {
        let pid = fs::read_to_string(world.path(name)).unwrap();
        let process = Path::new("/proc").join(pid.trim());
        wait_for(LONG, name, || (!process.exists()).then_some(()));
    }
    wait_for(LONG, "the page", || (world.effects() == ["page 1"]).then_some(()));
}

#[test]
fn nothing_sampled_reaches_argv_or_a_path() {
    let step = r#"{ run = ["DIR/dump", "{service}", "{version}", "{good}", "{deployment}",
        "{stage}", "{rule}", "{reason}", "{key}", "{attempt}"] }, { run = ["DIR/hook", "switch",
        "{good}"] },"#;
    let Some(world) = World::new(&[(STEP, step)]) else { return };
    let dump = "#!/bin/sh\ndir=$(dirname \"$0\")\ncat > \"$dir/document\"\n\
                tr '\\0' '\\n' < /proc/$$/cmdline > \"$dir/argv\"\n\
                tr '\\0' '\\n' < /proc/$$/environ > \"$dir/environment\"\n";
    script(&world, "dump", dump);
    let pwned = world.path("pwned").display().to_string();
    let evil = format!("EVIL$(touch {pwned})`touch {pwned}`\";'\n../../EVIL\n; touch {pwned} #");
    fs::write(world.path("path"), evil).unwrap();
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    for name in ["argv", "environment", "state/reports/d1.md", "log"] {
        let text = fs::read_to_string(world.path(name)).unwrap();
        assert!(!text.is_empty() && !text.contains("EVIL"), "{name}: {text}");
    }
    let argv = fs::read_to_string(world.path("argv")).unwrap();
    let argv: Vec<_> = argv.lines().skip(2).collect();
    let reason = "error_rate > 5%";
    let key = "d1/rollback/0";
    assert_eq!(argv, ["api", "v2", "v1", "d1", "", "error-rate", reason, key, "1"]);
    let document = fs::read_to_string(world.path("document")).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["rule"]["rule"], "error-rate");
    let paths = files_below(&world.path(""));
    assert!(paths.iter().all(|path| !path.to_string_lossy().contains("EVIL")), "{paths:?}");
    assert!(!world.path("pwned").exists());
}

#[test]
fn a_failing_notification_never_delays_a_rollback() {
    let early = "[rule.early]\nwhen = \"error_rate > 1%\"\nthen = \"notify\"\n[hook.rollback]";
    let Some(world) = World::new(&[("[hook.rollback]", early)]) else { return };
    world.hold("before-tell");
    let _daemon = world.start();
    world.deploy();
    world.held("before-tell");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!((world.effects(), world.entries("notified").len()), (vec!["switch 1".into()], 0));
    world.release("before-tell");
    world.wait_entry("notified");
    assert_eq!(world.effects(), ["switch 1", "tell 1"]);
}
