//! What all kinds of steps share: what counts as success, and how often it is tried.

use std::fs;
use std::time::Duration;

use rollguard::engine::effect::{Notice, NoticeStep, Order, Rerun};
use rollguard::model::entry::StepResult;
use rollguard::model::name::HookName;
use rollguard::model::step::{Action, Via};
use rollguard::notify::perform_notice;

use crate::support::bench::{Bench, SHORT, Server, failed, http, numbered, order, post};

fn sh(script: &str, ok_exit: &[u8]) -> Order {
    let argv = ["sh", "-c", script].map(str::to_owned).into();
    let (grace, ok_exit) = (SHORT, ok_exit.to_vec());
    order(Action::Run { argv, grace, ok_exit, via: Via::Child })
}

#[tokio::test]
async fn the_exit_statuses_that_the_step_names_mean_success_and_no_others() {
    let bench = Bench::new();
    for (number, (script, ok_exit, result)) in (1..).zip([
        ("exit 0", &[0][..], StepResult::Done),
        ("exit 3", &[0, 3], StepResult::Done),
        ("exit 3", &[0], failed("exit status 3")),
        ("exit 0", &[3], failed("exit status 0")),
        // What asks to be tried later is tried again like everything else.
        ("exit 75", &[0], failed("exit status 75")),
        ("kill -9 $$", &[0, 9, 137], failed("killed by signal 9")),
    ]) {
        let order = numbered(&sh(script, ok_exit), number);
        assert_eq!(bench.perform(&order).await.0, result, "{script} {ok_exit:?}");
    }
}

fn notice(order: Order, attempts: u32, timeout: Option<Duration>) -> Notice {
    let step = NoticeStep { order: order.clone(), attempts, backoff: Duration::from_millis(1) };
    let hook = HookName::new("page").unwrap();
    Notice { hook, deployment: order.deployment, steps: vec![step.clone(), step], timeout }
}

#[tokio::test]
async fn people_are_not_told_again_in_a_way_that_cannot_succeed() {
    let bench = Bench::new();
    let server = Server::saying("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n");
    let told = notice(http(post(&server.url), Rerun::Safe), 5, None);
    let why = perform_notice(&bench.executor, &told).await.unwrap_err();
    assert_eq!((why.as_str(), server.requests().len()), ("step 1: failed: status 410", 1));
}

#[tokio::test]
async fn people_are_told_within_the_time_of_the_hook_or_not_at_all() {
    let bench = Bench::new();
    let log = bench.path("log");
    let script = format!("echo >> {}; exec sleep 300", log.display());
    let told = notice(sh(&script, &[0]), 5, Some(SHORT));
    let why = perform_notice(&bench.executor, &told).await.unwrap_err();
    assert_eq!(why, "step 1: timed out");
    assert_eq!(fs::read_to_string(log).unwrap(), "\n");
}
