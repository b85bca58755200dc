//! `unix` steps against sockets that do what they should not.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rollguard::engine::effect::Rerun;
use rollguard::model::entry::StepResult;
use rollguard::model::step::{Connections, ReplyTest, UnixCall};

use crate::support::bench::{Bench, SHORT, failed, numbered, unix};
use crate::support::world::LONG;

fn call(path: &Path, send: &[&str], expect: ReplyTest) -> UnixCall<String> {
    let send = send.iter().map(|line| (*line).to_owned()).collect();
    UnixCall { path: path.to_owned(), send, expect, connections: Connections::Each }
}

fn nothing() -> ReplyTest {
    ReplyTest::Exactly(String::new())
}

/// A socket that answers one line and closes, as that of HAProxy does; it keeps what it was sent.
fn serve(
    path: &Path,
    answer: impl Fn(&str, &mut UnixStream) + Send + 'static,
) -> Arc<Mutex<Vec<String>>> {
    let listener = UnixListener::bind(path).unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let _ = BufReader::new(stream.try_clone().unwrap()).read_line(&mut line);
            kept.lock().unwrap().push(line.clone());
            answer(&line, &mut stream);
        }
    });
    lines
}

#[tokio::test]
async fn each_line_has_its_own_connection_and_silence_is_success() {
    let bench = Bench::new();
    let path = bench.path("s");
    let lines = serve(&path, |_, stream| stream.write_all(b"\n").unwrap());
    let order =
        unix(call(&path, &["set server be/blue state ready", "b"], nothing()), Rerun::Never);
    assert_eq!(bench.perform(&order).await.0, StepResult::Done);
    assert_eq!(*lines.lock().unwrap(), ["set server be/blue state ready\n", "b\n"]);
    // The attempt is used up.
    assert_eq!(bench.perform(&order).await.0, StepResult::Unknown);
    assert_eq!(bench.inspect(&order).await, StepResult::Unknown);
    assert_eq!(lines.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_reply_that_is_not_the_expected_one_fails_and_nothing_more_is_sent() {
    let bench = Bench::new();
    let path = bench.path("s");
    let lines = serve(&path, |_, stream| stream.write_all(b"No such server.\n").unwrap());
    let order = unix(call(&path, &["one", "two"], nothing()), Rerun::Never);
    let why = "`one`: the answer is \"No such server.\", expected nothing";
    assert_eq!(bench.perform(&order).await.0, failed(why));
    assert_eq!(lines.lock().unwrap().len(), 1);
    let tests = [
        ReplyTest::Contains("such".to_owned()),
        ReplyTest::Prefix("No ".to_owned()),
        ReplyTest::Matches(regex_lite::Regex::new("s[eu]rver").unwrap()),
        ReplyTest::Exactly("No such server.".to_owned()),
    ];
    for (number, test) in (2..).zip(tests) {
        let order = numbered(&unix(call(&path, &["x"], test), Rerun::Never), number);
        assert_eq!(bench.perform(&order).await.0, StepResult::Done, "{number}");
    }
}

#[tokio::test]
async fn a_line_never_becomes_two() {
    let bench = Bench::new();
    let path = bench.path("s");
    let lines = serve(&path, |_, _| {});
    for smuggled in ["show info\nshutdown", "a\r", "a\0b"] {
        let order = unix(call(&path, &[smuggled], nothing()), Rerun::Never);
        let refused = StepResult::Final("a line holds a control character".to_owned());
        assert_eq!(bench.perform(&order).await.0, refused);
    }
    assert!(lines.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_socket_that_never_answers_has_not_answered() {
    let bench = Bench::new();
    let path = bench.path("s");
    serve(&path, |_, stream| {
        let kept = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(LONG);
            drop(kept);
        });
    });
    let mut order = unix(call(&path, &["x"], nothing()), Rerun::Never);
    order.timeout = SHORT;
    assert_eq!(bench.perform(&order).await.0, StepResult::Unknown);
    let mut order = numbered(&unix(call(&path, &["x"], nothing()), Rerun::Safe), 2);
    order.timeout = SHORT;
    let why = "`x`: the reply did not end in time";
    assert_eq!(bench.perform(&order).await.0, failed(why));
}

#[tokio::test]
async fn a_socket_that_stays_open_has_answered_once_it_has_said_what_is_expected() {
    let bench = Bench::new();
    let path = bench.path("s");
    serve(&path, |_, stream| {
        stream.write_all(b"+OK\r\n").unwrap();
        let kept = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(LONG);
            drop(kept);
        });
    });
    let mut order = unix(call(&path, &["x"], ReplyTest::Exactly("+OK".into())), Rerun::Never);
    order.timeout = SHORT;
    assert_eq!(bench.perform(&order).await.0, StepResult::Done);
}

#[tokio::test]
async fn a_flood_is_not_read_to_its_end() {
    let bench = Bench::new();
    let path = bench.path("s");
    serve(&path, |_, stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    let order = unix(call(&path, &["x"], ReplyTest::Contains("x".into())), Rerun::Never);
    assert_eq!(bench.perform(&order).await.0, failed("`x`: the reply is longer than 65536 bytes"));
}

#[tokio::test]
async fn a_socket_that_is_not_there_was_certainly_sent_nothing() {
    let bench = Bench::new();
    let order = unix(call(&bench.path("absent"), &["x"], nothing()), Rerun::Never);
    let (result, _) = bench.perform(&order).await;
    let StepResult::Failed(why) = result else { panic!("{result:?}") };
    assert!(why.contains("No such file"), "{why}");
    assert_eq!(bench.inspect(&order).await, StepResult::NotStarted);
}
