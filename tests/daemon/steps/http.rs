//! `http` steps against servers that do what they should not.

use std::fs;
use std::io::Write;
use std::time::Duration;

use rollguard::engine::effect::Rerun;
use rollguard::model::entry::StepResult;
use rollguard::model::step::{Action, Json, Method, ReplyTest, Wording};

use crate::support::bench::{Bench, SHORT, Server, failed, http, numbered, order, post, secret};
use crate::support::world::LONG;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";

fn unhealthy(pointer: &str, equals: &str) -> Option<(String, Json<String>)> {
    Some((pointer.to_owned(), Json::Text(equals.to_owned())))
}

#[tokio::test]
async fn a_request_is_sent_as_it_is_configured() {
    let server = Server::saying(OK);
    let bench = Bench::new();
    fs::write(bench.path("token"), "hunter2\n").unwrap();
    let mut call = post(&server.url);
    call.method = Method::Patch;
    call.content_type = "application/merge-patch+json".to_owned();
    call.headers = vec![
        ("authorization".to_owned(), secret("Bearer ", bench.path("token"))),
        ("x-key".to_owned(), Wording::Open("v2/rollback/0".to_owned())),
    ];
    call.expect.json = unhealthy("/status", "ok");
    let (result, output) = bench.perform(&http(call, Rerun::Never)).await;
    assert_eq!(result, StepResult::Done);
    assert_eq!(output, "status 200\n{\"status\":\"ok\"}");
    let [request] = server.requests().try_into().unwrap();
    let request = request.to_ascii_lowercase();
    assert!(request.starts_with("patch /hook http/1.1\r\n"), "{request}");
    for line in [
        "authorization: bearer hunter2\r\n",
        "x-key: v2/rollback/0\r\n",
        "content-type: application/merge-patch+json\r\n",
    ] {
        assert!(request.contains(line), "{line} is not in {request}");
    }
    assert!(request.ends_with("\r\n\r\n{\"summary\":\"a \\\"b\\\"\\nc\"}"), "{request}");
}

#[tokio::test]
async fn an_attempt_is_sent_once_whoever_asks() {
    let server = Server::saying(OK);
    let bench = Bench::new();
    let order = http(post(&server.url), Rerun::Never);
    let (one, two) = tokio::join!(bench.perform(&order), bench.perform(&order));
    let mut results = [one.0, two.0];
    results.sort_by_key(|result| *result == StepResult::Unknown);
    assert_eq!(results, [StepResult::Done, StepResult::Unknown]);
    assert_eq!(bench.perform(&order).await.0, StepResult::Unknown);
    assert_eq!(bench.inspect(&order).await, StepResult::Unknown);
    assert_eq!(server.requests().len(), 1);
    // What was looked for and never sent never will be.
    let second = numbered(&order, 2);
    assert_eq!(bench.inspect(&second).await, StepResult::NotStarted);
    assert_eq!(bench.perform(&second).await.0, StepResult::NotStarted);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_request_that_no_server_received_has_failed_and_says_so_to_the_next_guard() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bench = Bench::new();
    let order = http(post(&format!("http://{closed}/")), Rerun::Never);
    let (result, _) = bench.perform(&order).await;
    let StepResult::Failed(why) = result else { panic!("{result:?}") };
    assert!(why.contains("Connection refused"), "{why}");
    assert_eq!(bench.inspect(&order).await, StepResult::NotStarted);
}

#[tokio::test]
async fn a_secret_that_is_not_there_stops_the_request_before_it_is_claimed() {
    let server = Server::saying(OK);
    let bench = Bench::new();
    let mut call = post(&server.url);
    call.headers = vec![("authorization".to_owned(), secret("Bearer ", bench.path("absent")))];
    let order = http(call, Rerun::Never);
    let (result, _) = bench.perform(&order).await;
    let StepResult::Failed(why) = result else { panic!("{result:?}") };
    assert!(why.contains("authorization") && why.contains("absent"), "{why}");
    assert!(!bench.marker(&order).exists() && server.requests().is_empty());
}

#[tokio::test]
async fn what_was_received_and_not_answered_is_unknown_unless_it_may_be_sent_twice() {
    let silent = Server::start(|_, _| std::thread::sleep(LONG));
    let hangs_up = Server::start(|_, _| {});
    for (server, safe) in [
        (&silent, StepResult::TimedOut),
        (&hangs_up, failed("no answer: connection closed before message completed")),
    ] {
        let bench = Bench::new();
        let mut order = http(post(&server.url), Rerun::Never);
        order.timeout = SHORT;
        let (result, why) = bench.perform(&order).await;
        assert_eq!(result, StepResult::Unknown);
        assert!(why.starts_with("no answer"), "{why}");
        let mut again = numbered(&http(post(&server.url), Rerun::Safe), 2);
        again.timeout = SHORT;
        assert_eq!(bench.perform(&again).await.0, safe);
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_gigabyte_of_an_answer_is_neither_read_nor_kept() {
    let server = Server::start(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        let chunk = vec![b'x'; 1 << 20];
        while stream.write_all(&chunk).is_ok() {}
    });
    let bench = Bench::new();
    // The status is what was asked for.
    let (result, output) = bench.perform(&http(post(&server.url), Rerun::Never)).await;
    assert_eq!(result, StepResult::Done);
    assert_eq!(output, "status 200\nthe body is longer than 1048576 bytes");
    let mut call = post(&server.url);
    call.expect.text = Some(ReplyTest::Contains("x".to_owned()));
    let (result, _) = bench.perform(&numbered(&http(call, Rerun::Never), 2)).await;
    assert_eq!(result, failed("status 200, the body is longer than 1048576 bytes"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_answer_only_where_its_body_does_not_matter() {
    let server = Server::saying("HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n{\"status");
    let bench = Bench::new();
    let order = http(post(&server.url), Rerun::Never);
    assert_eq!(bench.perform(&order).await.0, StepResult::Done);
    let mut call = post(&server.url);
    call.expect.json = unhealthy("/status", "ok");
    let (result, _) = bench.perform(&numbered(&http(call, Rerun::Never), 2)).await;
    let StepResult::Failed(why) = result else { panic!("{result:?}") };
    assert!(why.starts_with("status 202, the body broke off"), "{why}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::saying(OK);
    let to = elsewhere.url.clone();
    let server = Server::start(move |_, stream| {
        let head = format!("HTTP/1.1 307 Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
    });
    let (result, _) = Bench::new().perform(&http(post(&server.url), Rerun::Safe)).await;
    let why = "status 307, a redirect is not followed".to_owned();
    assert_eq!(result, StepResult::Final(why));
    assert_eq!((server.requests().len(), elsewhere.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_server_may_ask_to_be_left_alone() {
    let server = Server::saying(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow",
    );
    let (result, output) = Bench::new().perform(&http(post(&server.url), Rerun::Never)).await;
    let put_off = StepResult::PutOff { why: "status 429".to_owned(), after_ms: 7000 };
    assert_eq!((result, output.as_str()), (put_off, "status 429\nslow"));
}

#[tokio::test]
async fn success_is_what_the_step_says_it_is() {
    const GONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n ok, gone";
    let bench = Bench::new();
    let mut number = 0;
    let mut check = async |server: Server, statuses: &[u16], text, result: StepResult| {
        let mut call = post(&server.url);
        call.expect.statuses = statuses.to_vec();
        call.expect.text = text;
        number += 1;
        let order = numbered(&http(call, Rerun::Never), number);
        assert_eq!(bench.perform(&order).await.0, result, "{number}");
    };
    let server = || Server::saying(GONE);
    check(server(), &[], None, StepResult::Final("status 404".to_owned())).await;
    check(server(), &[200, 404], None, StepResult::Done).await;
    let exactly = |text: &str| Some(ReplyTest::Exactly(text.to_owned()));
    check(server(), &[404], exactly("ok, gone"), StepResult::Done).await;
    let why = "status 404, the answer is \"ok, gone\", expected \"ok\"";
    check(server(), &[404], exactly("ok"), failed(why)).await;
    let prefix = Some(ReplyTest::Prefix("ok".to_owned()));
    check(server(), &[404], prefix, StepResult::Done).await;
    check(Server::saying(OK), &[202], None, failed("status 200")).await;
}

#[tokio::test]
async fn no_answer_and_no_error_tells_a_secret() {
    let bench = Bench::new();
    // Whatever it was asked it sends back, as JSON too.
    let echo = Server::start(|request, stream| {
        let body = format!("{{\"status\":{}}}\n{request}", serde_json::json!(request));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all((head + &body).as_bytes());
    });
    fs::write(bench.path("token"), "hunter\"2-token\n").unwrap();
    fs::write(bench.path("url"), format!("{}/hunter2-path?k=hunter2-key\n", echo.url)).unwrap();
    fs::write(bench.path("bad"), "not a url hunter2-bad\n").unwrap();
    let mut call = post("");
    call.url = secret("", bench.path("url"));
    call.headers = vec![("authorization".to_owned(), secret("Bearer ", bench.path("token")))];
    let mut judged = call.clone();
    judged.expect.json = unhealthy("/status", "ok");
    let mut text = call.clone();
    text.expect.text = Some(ReplyTest::Exactly("ok".to_owned()));
    let mut bad = call.clone();
    bad.url = secret("", bench.path("bad"));
    for (number, call) in (1..).zip([call, judged, text, bad]) {
        let order = numbered(&http(call, Rerun::Never), number);
        let (result, output) = bench.perform(&order).await;
        let said = format!("{result:?} {result} {output} {order:?}");
        assert!(!said.contains("hunter"), "{said}");
    }
    assert!(echo.requests()[0].contains("hunter2-path"));
    assert!(echo.requests()[0].contains("hunter\"2-token"));
}

#[tokio::test]
async fn a_probe_sends_its_headers_and_tells_no_secret() {
    let bench = Bench::new();
    let server = Server::start(|request, stream| {
        let status = if request.contains("Bearer hunter2") || request.contains("bearer hunter2") {
            "200 OK"
        } else {
            "401 Unauthorized"
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: 17\r\n\r\n{{\"who\":\"hunter2\"}}");
        let _ = stream.write_all(head.as_bytes());
    });
    fs::write(bench.path("token"), "hunter2\n").unwrap();
    let probe = |json, within| {
        let headers = vec![("authorization".to_owned(), secret("Bearer ", bench.path("token")))];
        order(Action::Probe { url: server.url.clone(), headers, status: None, json, within })
    };
    assert_eq!(bench.perform(&probe(None, LONG)).await.0, StepResult::Done);
    let other = Some(("/who".to_owned(), Json::Text("me".to_owned())));
    let (result, _) = bench.perform(&probe(other, Duration::ZERO)).await;
    assert_eq!(result, failed("last answer: /who is \"[secret]\", expected \"me\""));
}

#[tokio::test]
async fn a_port_is_probed_until_it_is_open() {
    let bench = Bench::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tcp = |within| order(Action::Tcp { address: address.clone(), within });
    assert_eq!(bench.perform(&tcp(LONG)).await.0, StepResult::Done);
    drop(listener);
    let (result, _) = bench.perform(&tcp(Duration::ZERO)).await;
    let StepResult::Failed(why) = result else { panic!("{result:?}") };
    assert!(why.contains("Connection refused"), "{why}");
    let opens = address.clone();
    let late = std::thread::spawn(move || {
        std::thread::sleep(SHORT);
        std::net::TcpListener::bind(opens).unwrap()
    });
    let (result, output) = bench.perform(&tcp(LONG)).await;
    assert_eq!(result, StepResult::Done, "{output}");
    drop(late.join());
}

#[tokio::test]
async fn a_pause_that_is_cut_short_is_not_done() {
    let bench = Bench::new();
    let mut pause = order(Action::Sleep(SHORT));
    assert_eq!(bench.perform(&pause).await.0, StepResult::Done);
    pause.timeout = Duration::from_millis(1);
    assert_eq!(bench.perform(&pause).await.0, StepResult::TimedOut);
}
