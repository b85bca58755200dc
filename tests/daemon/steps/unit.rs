//! `via = "systemd-run"`, through the whole daemon. Where tests run there is no systemd that could
//! be asked, so small programs stand in for `systemd-run`, `systemctl` and `journalctl`: they start
//! the unit's program apart from everything, run `ExecStopPost=` after it, and keep a list of what
//! runs. What rollguard asks of the real ones is checked by the real ones, as far as they go
//! without a running systemd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::common::{real, wait_for};
use crate::support::world::{LONG, World};

/// Takes the unit's name, what is to be run after it and the command; forgets every other option.
const SYSTEMD_RUN: &str = r#"#!/bin/sh
printf '%s\n' "$@" > DIR/arguments
while [ "$1" != -- ]; do
    case "$1" in
        --unit=*) unit=${1#--unit=} ;;
        --property=ExecStopPost=*) post=${1#--property=ExecStopPost=} ;;
    esac
    shift
done
shift
setsid DIR/bin/manager "$unit" "$post" "$@" </dev/null >/dev/null 2>&1 &
until [ -e "DIR/units/$unit.ended" ]; do sleep 0.02; done
"#;

/// What the first process of a host does for a unit.
const MANAGER: &str = r#"#!/bin/sh
unit=$1 post=$2
shift 2
"$@" > "DIR/units/$unit.output" 2>&1 &
pid=$!
echo $pid > "DIR/units/$unit.pid"
wait $pid
status=$?
code=exited result=success
[ $status = 0 ] || result=exit-code
if [ $status -gt 128 ]; then code=killed result=signal status=$((status - 128)); fi
SERVICE_RESULT=$result EXIT_CODE=$code EXIT_STATUS=$status sh -c "$post"
rm "DIR/units/$unit.pid"
echo > "DIR/units/$unit.ended"
"#;

const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$@" >> DIR/asked
for unit; do :; done
pid=$(cat "DIR/units/$unit.pid" 2>/dev/null)
case "$1" in
    show) if [ "$pid" ]; then echo active; else echo inactive; fi ;;
    stop) kill -TERM "$pid" ;;
esac
"#;

const JOURNALCTL: &str = r#"#!/bin/sh
for argument; do case "$argument" in --unit=*) unit=${argument#--unit=} ;; esac; done
cat "DIR/units/$unit.output"
"#;

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
const UNIT: &str = r#"{ run = ["DIR/hook", "switch", "{good}"], via = "systemd-run" },"#;

/// A host with stand-ins for systemd, and the environment in which they are found.
fn host(step: &str) -> Option<(World, String)> {
    let world = World::new(&[(STEP, step)])?;
    fs::create_dir(world.path("bin")).unwrap();
    fs::create_dir(world.path("units")).unwrap();
    let dir = world.path("");
    let dir = dir.to_str().unwrap().trim_end_matches('/');
    for (name, text) in [
        ("systemd-run", SYSTEMD_RUN),
        ("manager", MANAGER),
        ("systemctl", SYSTEMCTL),
        ("journalctl", JOURNALCTL),
    ] {
        let file = world.path("bin").join(name);
        fs::write(&file, text.replace("DIR", dir)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{dir}/bin:{}", std::env::var("PATH").unwrap());
    Some((world, path))
}

fn arguments(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("arguments")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_step_in_a_unit_of_its_own_gets_all_that_a_child_gets() {
    let script = r#"{ run = [
        "sh", "-c", "cat > DIR/document; echo \"$ROLLGUARD_GOOD $1\"; exec DIR/hook switch v1",
        "sh", "$HOME $$ %n",
    ], via = "systemd-run", ok_exit = [0, 9] },"#;
    let Some((world, path)) = host(script) else { return };
    let _daemon = world.start_with(&[("PATH", &path)]);
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let outcome = &world.entries("outcome")[0]["data"];
    assert_eq!(outcome["result"], "done", "{outcome}");
    assert_eq!(outcome["output"], "v1 $HOME $$ %n\n");
    let document = fs::read_to_string(world.path("document")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["good"], &document["attempt"]), (&"v1".into(), &1.into()));
    assert_eq!(world.effects(), ["switch 1"]);
    let arguments = arguments(&world);
    assert!(arguments.contains(&"--unit=rollguard-d1-rollback-0-1.service".to_owned()));
    // Nothing that is the hook's is on a command line that systemd would expand.
    assert!(!arguments.iter().any(|argument| argument.contains("HOME")), "{arguments:?}");
}

#[test]
fn a_unit_outlives_the_guard_and_its_true_result_is_learnt() {
    for (script, verdict, result) in [
        (UNIT, 3, serde_json::json!("done")),
        (
            r#"{ run = ["sh", "-c", "DIR/hook switch v1; exit 3"], via = "systemd-run" },"#,
            4,
            serde_json::json!({ "failed": "exit status 3" }),
        ),
    ] {
        for ends_before in [true, false] {
            let Some((world, path)) = host(script) else { return };
            world.hold("after-switch");
            let daemon = world.start_with(&[("PATH", &path)]);
            world.deploy();
            world.held("after-switch");
            daemon.kill();
            if ends_before {
                world.release("after-switch");
                let ended = world.path("units").join("rollguard-d1-rollback-0-1.service.ended");
                wait_for(LONG, "the unit to end", || ended.exists().then_some(()));
            }
            let _daemon = world.start_with(&[("PATH", &path)]);
            if !ends_before {
                world.release("after-switch");
            }
            assert_eq!(world.verdict(), verdict, "{}", world.log());
            assert_eq!(world.entries("outcome")[0]["data"]["result"], result);
            assert_eq!(world.count("switch"), 1);
        }
    }
}

#[test]
fn a_unit_that_never_ends_is_stopped() {
    let script = r#"{ run = ["sh", "-c", "echo begun; exec sleep 300"],
        via = "systemd-run", timeout = "300ms", grace = "100ms" },"#;
    let Some((world, path)) = host(script) else { return };
    let _daemon = world.start_with(&[("PATH", &path)]);
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    let outcome = &world.entries("outcome")[0]["data"];
    assert_eq!((&outcome["result"], &outcome["output"]), (&"timed_out".into(), &"begun\n".into()));
    let asked = fs::read_to_string(world.path("asked")).unwrap();
    assert!(asked.contains("stop --no-block rollguard-d1-rollback-0-1.service"), "{asked}");
    let arguments = arguments(&world);
    for limit in ["RuntimeMaxSec=300ms", "TimeoutStopSec=100ms"] {
        assert!(arguments.contains(&format!("--property={limit}")), "{arguments:?}");
    }
}

#[test]
fn a_unit_that_cannot_be_started_is_a_failure_and_never_starts_later() {
    let Some((world, path)) = host(UNIT) else { return };
    fs::write(world.path("bin/systemd-run"), "#!/bin/sh\necho 'no bus' >&2\nexit 1\n").unwrap();
    let _daemon = world.start_with(&[("PATH", &path)]);
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    let result = &world.entries("outcome")[0]["data"]["result"];
    assert!(result["failed"].as_str().unwrap().ends_with(": no bus"), "{result}");
    let marker = world.path("state/steps/d1/rollback,0,1");
    let late = world.command(&["exec-unit", marker.to_str().unwrap()]).output().unwrap();
    assert_eq!(late.status.code(), Some(119));
    assert_eq!(world.count("switch"), 0);
}

#[test]
fn the_real_systemd_understands_what_it_is_asked() {
    let (Some(run), Some(analyze)) = (real("systemd-run"), real("systemd-analyze")) else { return };
    let Some((world, path)) = host(UNIT) else { return };
    let _daemon = world.start_with(&[("PATH", &path)]);
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let arguments = arguments(&world);
    // Every option is one that it knows; without a bus it gets no further.
    let nowhere = "unix:path=/nonexistent/bus";
    let output = Command::new(run)
        .args(&arguments)
        .env("DBUS_SYSTEM_BUS_ADDRESS", nowhere)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let no_bus = ["connect to bus", "not been booted", "connect to system"];
    assert!(no_bus.iter().any(|why| said.contains(why)), "{said}");
    // Every property is one that it knows, with a value that it understands.
    let at = arguments.iter().position(|argument| argument == "--").unwrap();
    let properties = arguments.iter().filter_map(|a| a.strip_prefix("--property="));
    let properties: String = properties.map(|property| format!("{property}\n")).collect();
    let unit = world.path("rollguard-step.service");
    let start = arguments[at + 1..].join(" ");
    fs::write(&unit, format!("[Service]\nExecStart={start}\n{properties}")).unwrap();
    let output = Command::new(analyze).args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("rollguard-step"), "{said}");
}
