//! Hooks as real programs and probes of real servers, through the real binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rollguard::engine::effect::{Notice, NoticeStep, Order, Rerun};
use rollguard::hook::marker::{self, Marker, Process};
use rollguard::hook::{Executor, SUBCOMMAND};
use rollguard::journal::steps_dir;
use rollguard::model::entry::{Attempt, StepResult};
use rollguard::model::name::{DeploymentId, HookName};
use rollguard::model::step::{Action, Json, Via};
use rollguard::notify::{MAX_WAITING, Notifier, NotifyError, Told, perform_notice};
use tempfile::TempDir;

const ROLLGUARD: &str = env!("CARGO_BIN_EXE_rollguard");
/// Longer than anything here takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

struct Bench {
    temp: TempDir,
    executor: Executor,
}

impl Bench {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let executor = Executor::new(temp.path(), ROLLGUARD.into());
        Self { temp, executor }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn marker(&self, order: &Order) -> PathBuf {
        marker::path(&steps_dir(self.temp.path()), &order.deployment, &order.attempt)
    }

    async fn perform(&self, order: &Order) -> (StepResult, String) {
        let outcome = self.executor.perform(order).await;
        assert_eq!((&outcome.deployment, &outcome.attempt), (&order.deployment, &order.attempt));
        (outcome.result, outcome.output)
    }

    async fn inspect(&self, order: &Order, timeout: Duration) -> (StepResult, String) {
        let outcome = self.executor.inspect(&order.deployment, &order.attempt, timeout).await;
        assert_eq!((&outcome.deployment, &outcome.attempt), (&order.deployment, &order.attempt));
        (outcome.result, outcome.output)
    }
}

fn deployment(id: &str) -> DeploymentId {
    DeploymentId::new(id).unwrap()
}

fn order(action: Action<String>) -> Order {
    Order {
        deployment: deployment("v2-20261121T070000Z"),
        attempt: Attempt::of(HookName::new("rollback").unwrap(), 0, 1),
        action,
        rerun: Rerun::Never,
        timeout: LONG,
        env: vec![("ROLLGUARD_GOOD".to_owned(), "v1".to_owned())],
        document: "{\"document\":true}".to_owned(),
    }
}

fn run(argv: &[&str]) -> Order {
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    order(Action::Run { argv, grace: SHORT, ok_exit: vec![0], via: Via::Child })
}

fn sh(script: &str) -> Order {
    run(&["sh", "-c", script])
}

fn numbered(order: &Order, number: u32) -> Order {
    let mut order = order.clone();
    order.attempt.number = number;
    order
}

fn failed(why: &str) -> StepResult {
    StepResult::Failed(why.to_owned())
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The process whose id a hook has printed last.
fn printed(output: &str) -> Process {
    let pid = output.trim().lines().last().and_then(|line| line.parse().ok());
    Process::with_id(pid.unwrap_or_else(|| panic!("no process id in {output:?}"))).unwrap()
}

fn kill(pid: i32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn a_hook_gets_arguments_variables_document_and_directory() {
    let bench = Bench::new();
    let script = "cat; echo; echo \"$1|$2|$ROLLGUARD_GOOD|$(pwd)\"; echo oops >&2; echo end";
    let order = run(&["sh", "-c", script, "sh", "$(id) ; *", "--help"]);
    let (result, output) = bench.perform(&order).await;
    assert_eq!(result, StepResult::Done);
    assert_eq!(output, "{\"document\":true}\n$(id) ; *|--help|v1|/\noops\nend\n");
}

#[tokio::test]
async fn what_is_called_off_has_ended_by_the_time_that_this_is_said() {
    let bench = Bench::new();
    let (running, gone) = (bench.path("running"), bench.path("gone"));
    let trap = format!("trap 'sleep 0.02; echo > {}; exit' TERM", gone.display());
    let script =
        format!("{trap}; sleep 60 & echo > {}; while :; do sleep 0.01; done", running.display());
    let order = sh(&script);
    let (outcome, other) = tokio::join!(bench.perform(&order), async {
        until("it to run", || running.exists()).await;
        bench.executor.stop(&order.deployment, &order.attempt).await
    });
    assert_eq!((outcome.0, other), (StepResult::CalledOff, None));
    assert!(gone.exists(), "it was not given its time to end");
    // What was not begun never will be, and what waits does not any more.
    let second = numbered(&order, 2);
    let off = bench.executor.stop(&second.deployment, &second.attempt).await.unwrap();
    assert_eq!(off.result, StepResult::NotStarted);
    assert_eq!(bench.perform(&second).await.0, StepResult::NotStarted);
    let third = Order { attempt: numbered(&order, 3).attempt, ..self::order(Action::Sleep(LONG)) };
    let (outcome, _) = tokio::join!(bench.perform(&third), async {
        tokio::task::yield_now().await;
        bench.executor.stop(&third.deployment, &third.attempt).await
    });
    assert_eq!(outcome.0, StepResult::CalledOff);
}

#[tokio::test]
async fn a_hook_that_does_nothing_is_done() {
    let bench = Bench::new();
    assert_eq!(bench.perform(&run(&["true"])).await, (StepResult::Done, String::new()));
}

#[tokio::test]
async fn a_hook_that_fails_says_how() {
    let check = async |script: &str, why: &str| {
        let (result, output) = Bench::new().perform(&sh(script)).await;
        assert_eq!((result, output.as_str()), (failed(why), "so far\n"), "{script}");
    };
    check("echo so far; exit 3", "exit status 3").await;
    check("echo so far; kill -9 $$", "killed by signal 9").await;
    // Statuses that our own binary uses mean nothing special when they are the program's.
    check("echo so far; exit 119", "exit status 119").await;
    check("echo so far; exit 127", "exit status 127").await;
}

#[tokio::test]
async fn a_hook_that_cannot_be_started_says_why() {
    let bench = Bench::new();
    let plain = bench.path("plain");
    fs::write(&plain, "#!/nowhere/interpreter\n").unwrap();
    let check = async |number: u32, program: &Path, says: [&str; 2]| {
        let order = numbered(&run(&[program.to_str().unwrap(), "x"]), number);
        let (result, _) = bench.perform(&order).await;
        let StepResult::Failed(why) = result else { panic!("{result:?}") };
        let begin = format!("could not start `{}`: ", program.display());
        assert!(why.starts_with(&begin) && says.iter().all(|says| why.contains(says)), "{why}");
        // It provably never ran.
        assert_eq!(bench.inspect(&order, LONG).await.0, StepResult::NotStarted);
    };
    check(1, Path::new("no-such-program"), ["No such file", "is it installed"]).await;
    check(2, &plain, ["Permission denied", "is it executable"]).await;
    check(3, bench.temp.path(), ["Permission denied", "is it executable"]).await;
    Command::new("chmod").arg("+x").arg(&plain).status().unwrap();
    check(4, &plain, ["No such file", "what its first line names"]).await;
}

#[tokio::test]
async fn a_document_that_is_never_read_blocks_nothing() {
    for script in ["exit 0", "exec <&-; exit 0", "head -c 10 >/dev/null"] {
        let mut order = sh(script);
        order.document = "x".repeat(1024 * 1024);
        assert_eq!(Bench::new().perform(&order).await.0, StepResult::Done, "{script}");
    }
}

#[tokio::test]
async fn a_document_larger_than_a_pipe_arrives_whole() {
    let mut order = sh("wc -c");
    order.document = "x".repeat(1024 * 1024);
    let (result, output) = Bench::new().perform(&order).await;
    assert_eq!((result, output.trim()), (StepResult::Done, "1048576"));
}

#[tokio::test]
async fn a_gigabyte_of_output_is_drained_and_not_kept() {
    let peak = || -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let before = peak();
    let script = "echo begin; head -c 1000000000 /dev/zero; echo end";
    let (result, output) = Bench::new().perform(&sh(script)).await;
    assert_eq!(result, StepResult::Done);
    assert!(output.starts_with("begin\n") && output.ends_with("end\n"));
    assert!(output.len() < 32 * 1024, "{}", output.len());
    assert!(peak() < before + 64 * 1024, "{before} KiB before, {} KiB after", peak());
}

#[tokio::test]
async fn what_a_successful_hook_left_running_is_left_alone_and_not_waited_for() {
    let bench = Bench::new();
    let begun = Instant::now();
    let (result, output) = bench.perform(&sh("sleep 300 & echo $!")).await;
    assert_eq!(result, StepResult::Done);
    assert!(begun.elapsed() < LONG);
    let left = printed(&output);
    assert!(left.is_alive());
    kill(left.pid);
}

#[tokio::test]
async fn what_a_failed_hook_left_running_is_ended() {
    let bench = Bench::new();
    let script = "(trap '' TERM; sleep 300 & echo $!; wait) & sleep 0.2; exit 3";
    let (result, output) = bench.perform(&sh(script)).await;
    assert_eq!(result, failed("exit status 3"));
    let pid: i32 = output.trim().parse().unwrap();
    until("the grandchild ends", || Process::with_id(pid).is_err_or_dead()).await;
}

/// A process id that is gone cannot be made into a [`Process`].
trait Gone {
    fn is_err_or_dead(&self) -> bool;
}

impl Gone for std::io::Result<Process> {
    fn is_err_or_dead(&self) -> bool {
        self.as_ref().map_or(true, |process| !process.is_alive())
    }
}

#[tokio::test]
async fn a_hook_that_never_ends_is_ended_with_all_that_it_started() {
    for script in ["sleep 300 & echo $!; wait", "trap '' TERM; sleep 300 & echo $!; wait; wait"] {
        let mut order = sh(script);
        order.timeout = Duration::from_millis(500);
        let (result, output) = Bench::new().perform(&order).await;
        assert_eq!(result, StepResult::TimedOut, "{script}");
        let pid: i32 = output.trim().parse().unwrap();
        until("the grandchild ends", || Process::with_id(pid).is_err_or_dead()).await;
    }
}

/// Leaves the group and the parents, tells its id in the file and goes on as long as it can; `$1`
/// is what it does about TERM.
const DAEMON: &str = "setsid sh -c 'trap \"$1\" TERM; echo $$ >> PIDS; \
                      while :; do sleep 0.05; done' sh \"$1\" & ";

/// The processes whose ids are in the file, once there are so many.
async fn told(pids: &Path, count: usize) -> Vec<Process> {
    let read = || fs::read_to_string(pids).unwrap_or_default();
    until("they tell their ids", || read().lines().count() >= count).await;
    // One that is gone has no start that could be read: that is what is wanted.
    read().lines().filter_map(|line| Process::with_id(line.parse().unwrap()).ok()).collect()
}

#[tokio::test]
async fn what_left_the_group_of_a_hook_that_failed_or_never_ends_is_ended_too() {
    let waits = "until [ $(wc -l < PIDS) -ge 3 ]; do sleep 0.02; done; ";
    for (end, result) in [("exit 3", failed("exit status 3")), ("sleep 300", StepResult::TimedOut)]
    {
        for (trap, name) in [("exit", "obeys"), ("", "ignores")] {
            let bench = Bench::new();
            let pids = bench.path("pids");
            fs::write(&pids, "").unwrap();
            // One that has a parent, one that has none, one of which another was the parent.
            let script = format!(
                "daemon() {{ {DAEMON} }}; daemon \"$1\"; (daemon \"$1\") & \
                 setsid sh -c '(setsid sh -c \"trap \\\"$1\\\" TERM; echo \\$\\$ >> PIDS; \
                 while :; do sleep 0.05; done\" &) & exit' sh \"$1\"; {waits}{end}"
            )
            .replace("PIDS", pids.to_str().unwrap());
            let mut order = run(&["sh", "-c", &script, "sh", trap]);
            order.timeout = if end == "exit 3" { LONG } else { Duration::from_secs(5) };
            let (was, _) = bench.perform(&order).await;
            assert_eq!(was, result, "{end}, {name}");
            let told = told(&pids, 3).await;
            assert!(told.iter().all(|process| !process.is_alive()), "{end}, {name}: {told:?}");
        }
    }
}

#[tokio::test]
async fn a_child_without_its_environment_is_ended_with_its_parent() {
    let bench = Bench::new();
    let pids = bench.path("pids");
    let script = format!(
        "setsid env -i PATH=\"$PATH\" sh -c 'echo $$ >> {0}; exec sleep 300' & \
         until [ -s {0} ]; do sleep 0.02; done; sleep 300",
        pids.display()
    );
    let mut order = sh(&script);
    order.timeout = Duration::from_secs(3);
    assert_eq!(bench.perform(&order).await.0, StepResult::TimedOut);
    assert!(told(&pids, 1).await.iter().all(|process| !process.is_alive()));
}

#[tokio::test]
async fn what_another_attempt_left_running_is_left_alone() {
    let bench = Bench::new();
    let pids = bench.path("pids");
    let service = DAEMON.replace("PIDS", pids.to_str().unwrap());
    let wait = format!("until [ -s {} ]; do sleep 0.02; done", pids.display());
    let order = run(&["sh", "-c", &format!("{service} {wait}"), "sh", "exit"]);
    assert_eq!(bench.perform(&order).await.0, StepResult::Done);
    let service = told(&pids, 1).await.remove(0);
    // The next attempt of the same step fails, and so does another hook's.
    assert_eq!(bench.perform(&numbered(&sh("exit 1"), 2)).await.0, failed("exit status 1"));
    let other = Bench::new();
    assert_eq!(other.perform(&sh("exit 1")).await.0, failed("exit status 1"));
    assert!(service.is_alive());
    kill(service.pid);
}

#[tokio::test]
async fn a_hook_that_closes_its_streams_is_bounded_like_any_other() {
    for (script, expected) in [
        ("exec >&- 2>&-; sleep 0.2; exit 0", StepResult::Done),
        ("exec <&- >&- 2>&-; sleep 0.2; exit 3", failed("exit status 3")),
        ("echo first; exec <&- >&- 2>&-; sleep 300", StepResult::TimedOut),
        ("exec <&-; trap '' TERM; while :; do sleep 0.05; done", StepResult::TimedOut),
    ] {
        let mut order = sh(script);
        if expected == StepResult::TimedOut {
            order.timeout = Duration::from_secs(1);
        }
        let (result, output) = Bench::new().perform(&order).await;
        assert_eq!(result, expected, "{script}");
        assert_eq!(output, if script.starts_with("echo") { "first\n" } else { "" }, "{script}");
    }
}

#[tokio::test]
async fn a_hook_that_prints_without_end_is_bounded_in_time_and_output() {
    for script in ["yes", "trap '' TERM; (trap '' TERM; setsid yes) & yes; yes"] {
        let mut order = sh(script);
        order.timeout = Duration::from_secs(1);
        let (result, output) = Bench::new().perform(&order).await;
        assert_eq!(result, StepResult::TimedOut, "{script}");
        assert!(output.starts_with("y\ny\n") && output.contains("bytes left out"), "{script}");
        assert!(output.len() < 32 * 1024, "{}", output.len());
    }
}

#[tokio::test]
#[ignore = "adopts every orphan of its process: run by the next test"]
async fn as_the_first_process() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let mut order = sh("sleep 300 & sleep 300 & wait");
    if let Action::Run { grace, .. } = &mut order.action {
        *grace = LONG * 10;
    }
    order.timeout = SHORT;
    let bench = Bench::new();
    let performed = tokio::time::timeout(LONG, bench.perform(&order)).await;
    assert_eq!(performed.unwrap().0, StepResult::TimedOut);
}

#[tokio::test]
async fn orphans_that_nobody_else_buries_are_not_waited_for() {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hooks::as_the_first_process"])
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_hook_that_is_asked_to_end_has_its_grace_and_its_last_words() {
    let script = "trap 'sleep 0.3; echo cleaned; exit 0' TERM; while :; do sleep 0.05; done";
    let mut order = sh(script);
    if let Action::Run { grace, .. } = &mut order.action {
        *grace = LONG;
    }
    order.timeout = Duration::from_millis(500);
    let (result, output) = Bench::new().perform(&order).await;
    assert_eq!(result, StepResult::TimedOut);
    assert!(output.ends_with("cleaned\n"), "{output}");
}

#[tokio::test]
async fn two_guards_that_race_for_an_attempt_start_it_once() {
    let bench = Bench::new();
    let other = Executor::new(bench.temp.path(), ROLLGUARD.into());
    let log = bench.path("log");
    for number in 1..=20 {
        let order = numbered(&sh(&format!("echo {number} >> {}", log.display())), number);
        let (one, two) = tokio::join!(bench.executor.perform(&order), other.perform(&order));
        let done = [one, two].into_iter().filter(|outcome| match &outcome.result {
            StepResult::Done => true,
            StepResult::Unknown => false,
            unexpected @ (StepResult::Failed(_)
            | StepResult::Final(_)
            | StepResult::PutOff { .. }
            | StepResult::TimedOut
            | StepResult::CalledOff
            | StepResult::NotStarted) => {
                panic!("{unexpected:?}")
            }
        });
        assert_eq!(done.count(), 1);
    }
    let expected: String = (1..=20).map(|number| format!("{number}\n")).collect();
    assert_eq!(fs::read_to_string(&log).unwrap(), expected);
}

#[tokio::test]
async fn an_attempt_that_was_inspected_never_starts() {
    let bench = Bench::new();
    let order = sh(&format!("echo >> {}", bench.path("log").display()));
    for _ in 0..2 {
        assert_eq!(bench.inspect(&order, LONG).await.0, StepResult::NotStarted);
    }
    assert_eq!(bench.perform(&order).await.0, StepResult::NotStarted);
    assert!(!bench.path("log").exists());
    assert_eq!(bench.perform(&numbered(&order, 2)).await.0, StepResult::Done);
}

#[tokio::test]
async fn an_attempt_that_has_run_is_unknown_to_a_guard_that_missed_its_end() {
    let bench = Bench::new();
    let order = sh("exit 0");
    assert_eq!(bench.perform(&order).await.0, StepResult::Done);
    let (result, found) = bench.inspect(&order, LONG).await;
    assert_eq!(result, StepResult::Unknown);
    assert!(found.contains("has ended"), "{found}");
}

#[tokio::test]
async fn a_marker_that_is_cut_off_counts_as_started() {
    let bench = Bench::new();
    let order = sh(&format!("echo >> {}", bench.path("log").display()));
    let marker = bench.marker(&order);
    fs::create_dir_all(marker.parent().unwrap()).unwrap();
    fs::write(&marker, "started 47").unwrap();
    assert_eq!(bench.inspect(&order, LONG).await.0, StepResult::Unknown);
    assert_eq!(bench.perform(&order).await.0, StepResult::Unknown);
    assert!(!bench.path("log").exists());
}

#[tokio::test]
async fn an_attempt_without_a_marker_is_not_started() {
    let bench = Bench::new();
    fs::write(steps_dir(bench.temp.path()), "a file where the directory must be").unwrap();
    let (result, _) = bench.perform(&sh("exit 0")).await;
    let StepResult::Failed(why) = result else { panic!("{result:?}") };
    assert!(why.contains("could not start"), "{why}");
    assert_eq!(bench.inspect(&sh("exit 0"), LONG).await.0, StepResult::Unknown);
}

#[tokio::test]
async fn a_success_that_did_not_pass_through_our_binary_is_none() {
    let temp = tempfile::tempdir().unwrap();
    let check = async |exe: &str| {
        let outcome = Executor::new(temp.path(), exe.into()).perform(&sh("exit 0")).await;
        let StepResult::Failed(why) = outcome.result else { panic!("{outcome:?}") };
        assert!(why.starts_with("could not start `sh`: "), "{why}");
    };
    check("/bin/true").await;
    check("/nowhere/rollguard").await;
}

const STATE: &str = "ROLLGUARD_TEST_STATE";
const SCRIPT: &str = "ROLLGUARD_TEST_SCRIPT";
const DEPLOYMENT: &str = "ROLLGUARD_TEST_DEPLOYMENT";

#[tokio::test]
#[ignore = "a guard to be killed: run by `guard`"]
async fn the_guard() {
    let variable = |name| std::env::var(name).unwrap();
    let executor = Executor::new(Path::new(&variable(STATE)), ROLLGUARD.into());
    let deployment = deployment(&variable(DEPLOYMENT));
    executor.perform(&Order { deployment, ..sh(&variable(SCRIPT)) }).await;
}

/// A guard of its own process, which performs an order and can be killed.
fn guard(bench: &Bench, order: &Order) -> Child {
    let Action::Run { argv, .. } = &order.action else { panic!("{order:?}") };
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hooks::the_guard"])
        .env(STATE, bench.temp.path())
        .env(SCRIPT, &argv[2])
        .env(DEPLOYMENT, order.deployment.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn an_attempt_whose_guard_is_gone_is_not_started() {
    let bench = Bench::new();
    let order = sh("");
    marker::prepare(&steps_dir(bench.temp.path()), &order.deployment).unwrap();
    let log = bench.path("log");
    let status = Command::new(ROLLGUARD)
        .args([SUBCOMMAND, bench.marker(&order).to_str().unwrap()])
        .args(["1", "--", "touch", log.to_str().unwrap()])
        .status();
    assert_eq!(status.unwrap().code(), Some(118));
    assert!(!log.exists());
    let (result, found) = bench.inspect(&order, LONG).await;
    assert_eq!(result, StepResult::NotStarted);
    assert!(found.contains("the guard that ordered this is gone"), "{found}");
    assert_eq!(bench.perform(&order).await.0, StepResult::NotStarted);
}

#[tokio::test]
async fn a_hook_that_outlives_its_guard_is_waited_for() {
    let bench = Bench::new();
    let gate = bench.path("gate");
    let order = sh(&format!("until [ -e {} ]; do sleep 0.02; done", gate.display()));
    let mut guard = guard(&bench, &order);
    until("the hook has taken over", || has_become_sh(&bench.marker(&order))).await;
    guard.kill().unwrap();
    guard.wait().unwrap();
    // Polled second, when the hook has been found running.
    let open = async { fs::write(&gate, "").unwrap() };
    let ((result, found), ()) = tokio::join!(bench.inspect(&order, LONG), open);
    assert_eq!(result, StepResult::Unknown);
    assert!(found.contains("was still running") && found.contains("ended after"), "{found}");
}

fn has_become_sh(marker: &Path) -> bool {
    let Ok(Some(Marker::Started { process: Some(process), .. })) = marker::read(marker) else {
        return false;
    };
    fs::read_to_string(format!("/proc/{}/comm", process.pid)).is_ok_and(|comm| comm == "sh\n")
}

#[tokio::test]
async fn a_hook_that_outlives_its_guard_for_too_long_is_ended_with_its_group() {
    let bench = Bench::new();
    let pids = bench.path("pids");
    let order = sh(&format!("sleep 300 & echo $! > {}; wait", pids.display()));
    let mut guard = guard(&bench, &order);
    until("the hook starts", || fs::read_to_string(&pids).is_ok_and(|text| text.ends_with('\n')))
        .await;
    guard.kill().unwrap();
    guard.wait().unwrap();
    let (result, found) = bench.inspect(&order, SHORT).await;
    assert_eq!(result, StepResult::Unknown);
    assert!(found.contains("after 200ms and was ended"), "{found}");
    let pid: i32 = fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
    until("the grandchild ends", || Process::with_id(pid).is_err_or_dead()).await;
}

#[tokio::test]
async fn what_left_the_group_of_a_hook_that_outlives_its_guard_for_too_long_is_ended_too() {
    let bench = Bench::new();
    let pids = bench.path("pids");
    let order = sh(&format!(
        "setsid sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 0.05; done' & sleep 300",
        pids.display()
    ));
    let mut guard = guard(&bench, &order);
    let stray = told(&pids, 1).await.remove(0);
    guard.kill().unwrap();
    guard.wait().unwrap();
    let (result, found) = bench.inspect(&order, SHORT).await;
    assert_eq!(result, StepResult::Unknown);
    assert!(found.contains("after 200ms and was killed"), "{found}");
    assert!(!stray.is_alive());
}

/// Enough to hit the guard before, in and after the start of its hook.
const ROUNDS: u32 = 100;

#[tokio::test]
async fn a_guard_killed_at_any_instant_starts_an_attempt_at_most_once() {
    let bench = Bench::new();
    let log = bench.path("log");
    let (mut never, mut unknown) = (0, 0);
    for round in 0..ROUNDS {
        let script = format!("echo {round} >> {}", log.display());
        let order = Order { deployment: deployment(&format!("v{round}")), ..sh(&script) };
        let mut guard = guard(&bench, &order);
        // The instant moves through the whole start, however long that takes here: every other
        // round from the guard's beginning, every other from the marker's directory on.
        if round % 2 == 0 {
            let steps = steps_dir(bench.temp.path()).join(order.deployment.as_str());
            until("the guard is about to start it", || steps.exists()).await;
        }
        std::thread::sleep(Duration::from_micros(u64::from(round) * 100));
        guard.kill().unwrap();
        guard.wait().unwrap();
        match bench.inspect(&order, LONG).await.0 {
            StepResult::NotStarted => never += 1,
            StepResult::Unknown => unknown += 1,
            unexpected @ (StepResult::Done
            | StepResult::Failed(_)
            | StepResult::Final(_)
            | StepResult::PutOff { .. }
            | StepResult::CalledOff
            | StepResult::TimedOut) => panic!("{unexpected:?}"),
        }
        // Another start by the next guard does nothing, whatever was found.
        let again = bench.perform(&order).await.0;
        assert!(matches!(again, StepResult::NotStarted | StepResult::Unknown), "{again:?}");
    }
    let log = fs::read_to_string(&log).unwrap_or_default();
    println!("never started {never}, unknown {unknown}, ran {}", log.lines().count());
    let mut ran: Vec<&str> = log.lines().collect();
    ran.sort_unstable();
    assert!(ran.windows(2).all(|pair| pair[0] != pair[1]), "twice: {ran:?}");
    assert!(ran.len() <= unknown, "{ran:?}");
}

#[tokio::test]
async fn forgetting_keeps_what_is_current_and_what_is_running() {
    let bench = Bench::new();
    let gate = bench.path("gate");
    let of = |id: &str, script: &str| Order { deployment: deployment(id), ..sh(script) };
    let (old, current) = (of("old", "exit 0"), of("current", "exit 0"));
    let script = format!("until [ -e {} ]; do sleep 0.02; done", gate.display());
    let running = of("running", &script);
    bench.executor.forget_all_but(&current.deployment).unwrap();
    bench.perform(&old).await;
    bench.perform(&current).await;
    let forget = async {
        until("it runs", || has_become_sh(&bench.marker(&running))).await;
        bench.executor.forget_all_but(&current.deployment).unwrap();
        assert!(!bench.marker(&old).exists());
        assert!(bench.marker(&current).exists());
        assert!(bench.marker(&running).exists());
        fs::write(&gate, "").unwrap();
    };
    let ((result, _), ()) = tokio::join!(bench.perform(&running), forget);
    assert_eq!(result, StepResult::Done);
    bench.executor.forget_all_but(&current.deployment).unwrap();
    assert!(!bench.marker(&running).exists());
    // Its directory is gone: whatever was left of a start finds no place for its marker.
    let status = Command::new(ROLLGUARD)
        .args([SUBCOMMAND, bench.marker(&old).to_str().unwrap()])
        .args([&std::process::id().to_string(), "--", "true"])
        .status();
    assert_eq!(status.unwrap().code(), Some(118));
}

mod probes {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives the next answer at each request, and the last one for ever.
    async fn serve(answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut asked = 0;
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let answer = answers[asked.min(answers.len() - 1)];
                asked += 1;
                tokio::spawn(async move {
                    let _ = socket.read(&mut [0; 4096]).await;
                    let _ = socket.write_all(answer.as_bytes()).await;
                    if answer.is_empty() || answer.contains("Content-Length: 9999") {
                        let endless = vec![b'x'; 64 * 1024];
                        while !answer.is_empty() && socket.write_all(&endless).await.is_ok() {}
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        url
    }

    fn probe(url: &str, within: Duration) -> Order {
        let url = url.to_owned();
        order(Action::Probe { url, headers: Vec::new(), status: None, json: None, within })
    }

    fn expecting(url: &str, status: Option<u16>, json: Option<(&str, serde_json::Value)>) -> Order {
        let json = json.map(|(pointer, value)| (pointer.to_owned(), Json::Exactly(value)));
        let (url, headers, within) = (url.to_owned(), Vec::new(), Duration::ZERO);
        order(Action::Probe { url, headers, status, json, within })
    }

    const DOWN: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    const UP: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const MOVED: &str = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    const STARTING: &str = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"status\":\"starting\"}";
    const READY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";
    const ENDLESS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";

    #[tokio::test]
    async fn a_probe_asks_until_the_answer_is_the_expected_one() {
        let url = serve(&[DOWN, DOWN, UP]).await;
        let (result, output) = Bench::new().perform(&probe(&url, LONG)).await;
        assert_eq!(result, StepResult::Done);
        assert!(output.starts_with("asked 3 times in "), "{output}");

        let mut order = expecting(&serve(&[STARTING, READY]).await, None, None);
        if let Action::Probe { json, within, .. } = &mut order.action {
            *json = Some(("/status".to_owned(), Json::Text("ok".to_owned())));
            *within = LONG;
        }
        assert_eq!(Bench::new().perform(&order).await.0, StepResult::Done);
    }

    #[tokio::test]
    async fn a_probe_that_fails_says_what_came_last() {
        let bench = Bench::new();
        let check = async |order: Order, why: &str| {
            assert_eq!(bench.perform(&order).await.0, failed(why));
        };
        let status = |code| (Some(code), None);
        for (answers, (code, json), why) in [
            (&[DOWN], (None, None), "last answer: status 503"),
            (&[MOVED], (None, None), "last answer: status 302"),
            (&[UP], status(204), "last answer: status 200"),
            (
                &[STARTING],
                (None, Some(("/status", json!("ok")))),
                "last answer: /status is \"starting\", expected \"ok\"",
            ),
            (
                &[ENDLESS],
                (None, Some(("/status", json!("ok")))),
                "last answer: the body is longer than 1048576 bytes",
            ),
        ] {
            check(expecting(&serve(answers).await, code, json), why).await;
        }
        let (result, output) = bench.perform(&probe(&serve(&[DOWN]).await, SHORT)).await;
        assert_eq!(result, failed("last answer: status 503"));
        assert!(output.starts_with("asked 2 times in "), "{output}");
    }

    #[tokio::test]
    async fn a_probe_that_gets_no_answer_says_why() {
        let bench = Bench::new();
        let check = async |url: &str, says: &str| {
            let mut order = probe(url, Duration::ZERO);
            order.timeout = Duration::from_secs(2);
            let (result, _) = bench.perform(&order).await;
            let StepResult::Failed(why) = result else { panic!("{result:?}") };
            assert!(why.contains(says), "{url}: {why}");
        };
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        check(&format!("http://{closed}/"), "no answer: Connection refused").await;
        check(&serve(&[""]).await, "no answer within 2s").await;
        check("ftp://127.0.0.1/", "only http and https").await;
        check("127.0.0.1:80", "not a URL").await;
    }

    #[tokio::test]
    async fn a_probe_over_tls_of_a_server_without_it_fails_and_does_not_panic() {
        let url = serve(&[UP]).await.replace("http://", "https://");
        let (result, _) = Bench::new().perform(&probe(&url, Duration::ZERO)).await;
        let StepResult::Failed(why) = result else { panic!("{result:?}") };
        assert!(why.starts_with("no "), "{why}");
    }

    #[tokio::test]
    async fn a_probe_leaves_no_marker() {
        let bench = Bench::new();
        let order = probe(&serve(&[UP]).await, LONG);
        bench.perform(&order).await;
        assert!(!bench.marker(&order).exists());
        assert_eq!(bench.inspect(&order, LONG).await.0, StepResult::NotStarted);
    }
}

mod notices {
    use tokio::sync::mpsc;

    use super::*;

    fn notice(script: &str, attempts: u32) -> Notice {
        let order = sh(script);
        let step = NoticeStep { order, attempts, backoff: Duration::from_millis(1) };
        let hook = HookName::new("page").unwrap();
        Notice {
            hook,
            deployment: deployment("v2-20261121T070000Z"),
            steps: vec![step],
            timeout: None,
        }
    }

    /// A hook that fails until it is tried for the `n`th time.
    fn works_at(bench: &Bench, n: u32) -> String {
        let log = bench.path("log");
        let log = log.display();
        format!("echo >> {log}; [ $(wc -l < {log}) -ge {n} ]")
    }

    #[tokio::test]
    async fn a_step_is_tried_as_often_as_it_says() {
        let bench = Bench::new();
        let works = notice(&works_at(&bench, 3), 3);
        assert_eq!(perform_notice(&bench.executor, &works).await, Ok(()));
        let bench = Bench::new();
        let fails = notice(&works_at(&bench, 3), 2);
        let why = perform_notice(&bench.executor, &fails).await.unwrap_err();
        assert_eq!(why, "step 1: failed: exit status 1");
        assert_eq!(fs::read_to_string(bench.path("log")).unwrap(), "\n\n");
    }

    #[tokio::test]
    async fn the_first_step_that_fails_is_the_last() {
        let bench = Bench::new();
        let mut notice = notice("exit 1", 1);
        let mut second = notice.steps[0].clone();
        second.order = sh(&works_at(&bench, 1));
        second.order.attempt.step = 1;
        notice.steps.push(second);
        assert!(perform_notice(&bench.executor, &notice).await.is_err());
        assert!(!bench.path("log").exists());
    }

    #[tokio::test]
    async fn notices_are_told_in_order_and_one_too_many_is_refused_without_waiting() {
        let temp = tempfile::tempdir().unwrap();
        let executor = Arc::new(Executor::new(temp.path(), ROLLGUARD.into()));
        let (told, mut results) = mpsc::channel(MAX_WAITING);
        let notifier = Notifier::start(executor, told);
        // The worker takes none before this task waits: the runtime has one thread.
        for number in 0..MAX_WAITING {
            let mut notice = notice(&format!("exit {}", number % 2), 1);
            notice.steps[0].order.attempt.number = u32::try_from(number).unwrap();
            notifier.push(notice).unwrap();
        }
        let refused = notifier.push(notice("exit 0", 1)).unwrap_err();
        assert_eq!(refused, NotifyError::Full(HookName::new("page").unwrap()));
        notifier.finish().await;
        for number in 0..MAX_WAITING {
            let Told { failure, .. } = results.recv().await.unwrap();
            let why = (number % 2 == 1).then(|| "step 1: failed: exit status 1".to_owned());
            assert_eq!(failure, why, "{number}");
        }
        assert!(results.recv().await.is_none());
    }
}
