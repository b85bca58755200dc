//! A guarded service for tests of the whole daemon: a real server with a real Prometheus page, a
//! hook that really switches its release, and the real binary between them. Nothing waits for
//! luck: a test holds the hook at a place, looks, and lets it go.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::common::{KillOnDrop, real, wait_for};

pub(crate) const ROLLGUARD: &str = env!("CARGO_BIN_EXE_rollguard");

/// Longer than anything here takes; a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The id of the deployment that tests begin.
pub(crate) const ID: &str = "d1";

/// What the application says by ending so: it lacks its library.
const NO_LIBRARY: i32 = 77;

/// A configuration with everything short. `DIR` and `PORT` are filled in.
const CONFIG: &str = r#"
mode = "auto"
state = "DIR/state"
control = "DIR/control"
listen = "off"

[deployment]
service = "api"
bake = "1h"
warmup = "0s"
then = "rollback"
notify = "tell"

[target.api]
scrape = "http://127.0.0.1:PORT/metrics"
interval = "100ms"

[signal.error_rate]
ratio = { of = 'http_requests_total{status=~"5.."}', to = 'http_requests_total' }
window = "500ms"

[rule.error-rate]
when = "error_rate > 5%"
for = "200ms"

[hook.rollback]
steps = [
  { run = ["DIR/hook", "switch", "{good}"] },
]
cure = { when = "error_rate < 1%", for = "200ms", within = "50s" }
on_failure = "page"

[hook.page]
steps = [{ run = ["DIR/hook", "page"] }]

[hook.tell]
steps = [{ run = ["DIR/hook", "tell"] }]
"#;

/// A step: it can be held before and after what it does, notes each time that it does it, and the
/// step `switch` makes another release current, `fail` fails, `flaky` fails the first time. It ends
/// with the test's directory at the latest.
const HOOK: &str = r#"#!/bin/sh
dir=$(dirname "$0")
hold() {
    if [ -e "$dir/hold.$1" ]; then echo $$ > "$dir/held.$1"; fi
    while [ -e "$dir/hold.$1" ]; do sleep 0.01; done
}
hold "before-$1"
echo "$1 $ROLLGUARD_ATTEMPT" >> "$dir/effects"
cp "$dir/state/journal.jsonl" "$dir/journal.$1"
if [ "$1" = switch ]; then ln -sfn "$2" "$dir/current"; fi
hold "after-$1"
case "$1 $ROLLGUARD_ATTEMPT" in "fail "* | "flaky 1") exit 1 ;; esac
"#;

/// A server. It ends with the value.
pub(crate) struct App {
    child: Option<KillOnDrop>,
    pub(crate) port: u16,
}

impl App {
    /// Serves what the directory says; `None`: it cannot, and it has been said why.
    fn start(home: &Path) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/app.py");
        let mut command = Command::new(real("python3")?);
        command.arg(script).arg(home).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = KillOnDrop(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() && child.wait().unwrap().code() == Some(NO_LIBRARY) {
            // It says so itself where every real server must be there.
            real("the Python package prometheus_client");
            return None;
        }
        Some(Self { child: Some(child), port: line.trim().parse().unwrap() })
    }

    /// A server that is not a process of its own.
    pub(crate) const fn elsewhere(port: u16) -> Self {
        Self { child: None, port }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A host with a service, its hook and rollguard's files.
pub(crate) struct World {
    temp: TempDir,
    pub(crate) app: App,
}

impl World {
    /// A host on which release v1 runs, with [`CONFIG`] changed; `None`: skip the test.
    pub(crate) fn new(changes: &[(&str, &str)]) -> Option<Self> {
        Self::around(App::start, changes)
    }

    /// The same around another server, which serves what a directory says.
    pub(crate) fn around(
        app: impl FnOnce(&Path) -> Option<App>,
        changes: &[(&str, &str)],
    ) -> Option<Self> {
        let temp = tempfile::tempdir().unwrap();
        symlink("v1", temp.path().join("current")).unwrap();
        let world = Self { app: app(temp.path())?, temp };
        let hook = world.path("hook");
        fs::write(&hook, HOOK).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        world.configure(changes);
        Some(world)
    }

    /// Another server; its files are in the directory `name`.
    pub(crate) fn app(&self, name: &str) -> App {
        let home = self.path(name);
        fs::create_dir(&home).unwrap();
        App::start(&home).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Writes [`CONFIG`], changed.
    pub(crate) fn configure(&self, changes: &[(&str, &str)]) {
        self.configure_as("config.toml", changes);
    }

    pub(crate) fn configure_as(&self, file: &str, changes: &[(&str, &str)]) {
        let text = changes.iter().fold(CONFIG.to_owned(), |text, (old, new)| {
            assert!(text.contains(old), "the configuration has no {old}");
            text.replacen(old, new, 1)
        });
        let text = text.replace("DIR", self.temp.path().to_str().unwrap());
        fs::write(self.path(file), text.replace("PORT", &self.app.port.to_string())).unwrap();
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, environment: &[(&str, &str)]) -> Daemon {
        let mut daemon = self.spawn(environment);
        let pid = Value::from(daemon.child.id());
        wait_for(LONG, "the daemon to answer", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {}", self.log());
            let output = self.cli(&["status", "--json"]);
            let status: Option<Value> = serde_json::from_slice(&output.stdout).ok();
            status.filter(|status| status["pid"] == pid)
        });
        daemon
    }

    /// Starts the daemon. All of them write to one log.
    pub(crate) fn spawn(&self, environment: &[(&str, &str)]) -> Daemon {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(ROLLGUARD);
        command.arg("run").arg("--config").arg(self.path("config.toml"));
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Daemon { child: KillOnDrop(command.spawn().unwrap()) }
    }

    /// A command of the binary, which speaks to this host's daemon.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(ROLLGUARD);
        command.args(arguments).env("ROLLGUARD_CONTROL", self.path("control"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The exit code of a command, and everything that it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = self.cli(arguments);
        (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    pub(crate) fn status(&self) -> Value {
        let output = self.cli(&["status", "--json"]);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("no status: {output:?}\n{}", self.log()))
    }

    /// Waits until the status is as wanted.
    #[track_caller]
    pub(crate) fn shown(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_for(LONG, what, || Some(self.status()).filter(&is_so))
    }

    /// A rule of a status.
    pub(crate) fn rule<'a>(status: &'a Value, name: &str) -> &'a Value {
        let rules = status["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["rule"] == name).unwrap()
    }

    /// Begins the deployment of v2, once v1 was seen to be healthy.
    #[track_caller]
    pub(crate) fn begin(&self) {
        self.shown("the first reading", |status| status["signals"][0]["value"] == 0.0);
        let (code, said) = self.run(&["deploy", "begin", "v2", "--good", "v1", "--id", ID]);
        assert_eq!(code, 0, "{said}");
    }

    /// Makes another release current.
    pub(crate) fn switch(&self, release: &str) {
        let new = self.path("current.new");
        symlink(release, &new).unwrap();
        fs::rename(new, self.path("current")).unwrap();
    }

    /// Begins the deployment of v2 and makes it current: it fails every fourth request.
    #[track_caller]
    pub(crate) fn deploy(&self) {
        self.begin();
        self.switch("v2");
    }

    /// How `deploy wait` ends.
    pub(crate) fn verdict(&self) -> i32 {
        self.run(&["deploy", "wait", ID, "--timeout", "50s"]).0
    }

    /// The whole records of the journal, in order.
    pub(crate) fn journal(&self) -> Vec<Value> {
        records(&fs::read_to_string(self.path("state/journal.jsonl")).unwrap_or_default())
    }

    /// The kinds of the journal's records that concern a deployment.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let about = |entry: &Value| !entry["deployment"].is_null();
        let journal = self.journal();
        let kinds = journal.iter().filter(|entry| about(entry)).map(|entry| &entry["kind"]);
        kinds.map(|kind| kind.as_str().unwrap().to_owned()).collect()
    }

    /// The records of a kind.
    pub(crate) fn entries(&self, kind: &str) -> Vec<Value> {
        let of_kind = |entry: &Value| entry["kind"] == kind;
        self.journal().into_iter().filter(of_kind).collect()
    }

    /// Waits for a record of a kind.
    #[track_caller]
    pub(crate) fn wait_entry(&self, kind: &str) -> Value {
        wait_for(LONG, kind, || self.entries(kind).pop())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// What hooks did, a line each: the step and the attempt's number.
    pub(crate) fn effects(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("effects")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often a step took effect.
    pub(crate) fn count(&self, step: &str) -> usize {
        let is_step = |line: &&String| line.split(' ').next() == Some(step);
        self.effects().iter().filter(is_step).count()
    }

    /// Holds hooks that come to this place from now on.
    pub(crate) fn hold(&self, place: &str) {
        fs::write(self.path(&format!("hold.{place}")), "").unwrap();
    }

    /// Waits until a hook is held there.
    #[track_caller]
    pub(crate) fn held(&self, place: &str) {
        self.held_pid(place);
    }

    /// The same, and its process.
    #[track_caller]
    pub(crate) fn held_pid(&self, place: &str) -> i32 {
        let file = self.path(&format!("held.{place}"));
        let pid = || fs::read_to_string(&file).ok()?.trim().parse().ok();
        wait_for(LONG, &format!("a hook to be held at {place}"), pid)
    }

    /// Lets go on who is held there, and whoever comes.
    pub(crate) fn release(&self, place: &str) {
        fs::remove_file(self.path(&format!("hold.{place}"))).unwrap();
        drop(fs::remove_file(self.path(&format!("held.{place}"))));
    }
}

/// The whole records of a journal's text, in order.
pub(crate) fn records(text: &str) -> Vec<Value> {
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A daemon. It is killed with the value.
pub(crate) struct Daemon {
    pub(crate) child: KillOnDrop,
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(i32::try_from(self.pid()).unwrap(), signal);
    }

    /// Ends it as nothing can be prepared for.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ends by itself.
    #[track_caller]
    pub(crate) fn ended(mut self) -> ExitStatus {
        wait_ended(&mut self.child, "the daemon to end")
    }
}

/// Waits for a process to end.
#[track_caller]
pub(crate) fn wait_ended(child: &mut Child, what: &str) -> ExitStatus {
    wait_for(LONG, what, || child.try_wait().unwrap())
}

pub(crate) fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}
