//! Scraping against servers that misbehave in every way that real ones do, and against a real
//! exporter. Servers run on loopback in threads of their own and speak raw bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rollguard::clock::Clock;
use rollguard::exposition::NameSet;
use rollguard::model::index::TargetIx;
use rollguard::model::name::TargetName;
use rollguard::model::scrape::{FailureClass, Page, Scrape};
use rollguard::model::target::{
    HttpPage, NativeHistograms, Scheme, ScrapeUrl, Secret, Target, TargetKind,
};
use rollguard::source::{Sources, scrape_once};

/// Far longer than anything here takes on the slowest machine.
const DEADLINE: Duration = Duration::from_secs(60);

const PAGE: &str = "# TYPE m counter\nm{code=\"200\"} 5\nm{code=\"500\"} 1\nother 3\n";

// ---- servers ----

struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

/// What a server does after it has answered.
#[derive(PartialEq)]
enum Then {
    Keep,
    Close,
}

/// A connection as a server's script sees it.
struct Visit<'a> {
    stream: &'a mut TcpStream,
    /// Which request on this connection, from 1.
    request: usize,
    /// Which connection, from 1.
    connection: usize,
}

impl Visit<'_> {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The client may be gone, which is what some of these tests are about.
        let _ = self.stream.write_all(bytes.as_ref());
    }

    fn answer(&mut self, head: &str, body: impl AsRef<[u8]>) {
        let length = body.as_ref().len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{head}\r\n");
        self.send([head.as_bytes(), body.as_ref()].concat());
    }
}

impl Server {
    /// Reads the head of each request and then plays the script.
    fn start(script: impl Fn(Visit<'_>) -> Then + Send + Sync + 'static) -> Self {
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = heads.clone();
        Self::raw(heads, move |stream, connection| {
            for request in 1.. {
                let Some(head) = read_head(stream) else { return };
                seen.lock().unwrap().push(head);
                if script(Visit { stream, request, connection }) == Then::Close {
                    return;
                }
            }
        })
    }

    /// Hands over each connection, unread, with its number.
    fn raw(
        heads: Arc<Mutex<Vec<String>>>,
        script: impl Fn(&mut TcpStream, usize) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, script) = (stream.unwrap(), script.clone());
                let connection = count.fetch_add(1, Ordering::SeqCst) + 1;
                std::thread::spawn(move || script(&mut stream, connection));
            }
        });
        Self { address, accepted, heads }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn target(&self, name: &str) -> Target {
        target(name, &self.address.ip().to_string(), self.address.port())
    }
}

fn read_head(stream: &TcpStream) -> Option<String> {
    let mut head = String::new();
    let mut reader = BufReader::with_capacity(1, stream);
    loop {
        match reader.read_line(&mut head) {
            Ok(0) | Err(_) => return None,
            Ok(_) if head.ends_with("\r\n\r\n") => return Some(head),
            Ok(_) => {}
        }
    }
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

fn good() -> Server {
    Server::start(|mut visit| {
        visit.answer("Content-Type: text/plain; version=0.0.4\r\n", PAGE);
        Then::Keep
    })
}

// ---- targets ----

fn target(name: &str, host: &str, port: u16) -> Target {
    let scheme = Scheme::Http;
    let url = ScrapeUrl { scheme, host: host.to_owned(), port, path: "/metrics?a=b".to_owned() };
    Target {
        name: TargetName::new(name).unwrap(),
        kind: TargetKind::Page(HttpPage { max_body: 1 << 20, ..HttpPage::new(url) }),
        interval: DEADLINE,
        sharpen: None,
        timeout: DEADLINE,
        labels: Vec::new(),
    }
}

/// The page of a target.
fn page_of(target: &mut Target) -> &mut HttpPage {
    let TargetKind::Page(page) = &mut target.kind;
    page
}

fn names() -> Arc<NameSet> {
    Arc::new(NameSet::new(["m", "m2"]))
}

async fn scrape(target: &Target) -> Scrape {
    scrape_once(target, Some(&names()), Clock::start()).await
}

fn samples(page: &Page) -> Vec<(&str, f64)> {
    page.samples().map(|sample| (sample.series, sample.value)).collect()
}

const GOOD: [(&str, f64); 2] = [("m{code=\"200\"}", 5.0), ("m{code=\"500\"}", 1.0)];

#[track_caller]
fn assert_good(scrape: &Scrape) {
    assert_eq!(samples(scrape.result.as_ref().unwrap()), GOOD);
}

#[track_caller]
fn assert_failed(scrape: &Scrape, class: FailureClass, words: &str) {
    let failure = scrape.result.as_ref().unwrap_err();
    assert_eq!(failure.class, class, "{}", failure.detail);
    assert!(failure.detail.contains(words), "{words:?} not in {:?}", failure.detail);
    assert!(failure.detail.chars().count() <= 200);
}

/// Scrapes a server that plays `script` once a request, with plenty of time.
async fn scrape_script(script: impl Fn(Visit<'_>) -> Then + Send + Sync + 'static) -> Scrape {
    scrape(&Server::start(script).target("api")).await
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

// ---- whole pages ----

#[tokio::test]
async fn the_wanted_samples_of_a_page_are_taken_and_the_rest_is_counted_only_in_bytes() {
    let scrape = scrape(&good().target("api")).await;
    assert_good(&scrape);
    let page = scrape.result.unwrap();
    assert_eq!((page.sample_count, page.malformed_count), (2, 0));
    assert_eq!(page.bytes, PAGE.len() as u64);
}

#[tokio::test]
async fn the_request_is_what_a_server_of_metrics_expects() {
    let server = good();
    let mut target = server.target("api");
    target.timeout = Duration::from_millis(30_500);
    page_of(&mut target).headers = vec![("X-Scope".into(), Secret::Literal("a".into()))];
    assert_good(&scrape(&target).await);
    let head = server.heads.lock().unwrap()[0].to_ascii_lowercase();
    let port = server.address.port();
    let agent = format!("user-agent: rollguard/{}", env!("CARGO_PKG_VERSION"));
    for line in [
        "get /metrics?a=b http/1.1",
        &format!("host: 127.0.0.1:{port}"),
        &agent,
        concat!(
            "accept: text/plain;version=0.0.4,",
            "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
        ),
        "accept-encoding: identity",
        "x-prometheus-scrape-timeout-seconds: 30.5",
        "x-scope: a",
    ] {
        assert!(head.lines().any(|l| l == line), "{line} not in {head}");
    }
}

#[tokio::test]
async fn protobuf_is_asked_for_only_where_a_native_histogram_is_wanted_and_allowed() {
    // A family `m` of one counter at 5.
    const FAMILY: &[u8] = b"\x12\n\x01m\x18\x00\"\x0b\x1a\x09\x09\0\0\0\0\0\0\x14\x40";
    let server = Server::start(|mut visit| {
        let head = "Content-Type: application/vnd.google.protobuf; \
                    proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n";
        visit.answer(head, FAMILY);
        Then::Keep
    });
    let with = NameSet::new(["m", "h"]).with_natives(["h"]);
    let mut target = server.target("api");
    let ask = async |target: &Target, names: &NameSet| {
        let scrape = scrape_once(target, Some(names), Clock::start()).await;
        let head = server.heads.lock().unwrap().last().unwrap().to_ascii_lowercase();
        (scrape, head)
    };
    let (scrape, head) = ask(&target, &with).await;
    let page = scrape.result.unwrap();
    assert_eq!(page.samples().map(|s| (s.series, s.value)).collect::<Vec<_>>(), [("m", 5.0)]);
    let protobuf = concat!(
        "\r\naccept: application/vnd.google.protobuf;proto=io.prometheus.client.metricfamily;",
        "encoding=delimited,text/plain;version=0.0.4;q=0.7,",
        "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1\r\n"
    );
    assert!(head.contains(protobuf), "{head}");
    assert!(!ask(&target, &NameSet::new(["m", "h"])).await.1.contains("protobuf"));
    page_of(&mut target).native_histograms = NativeHistograms::Never;
    assert!(!ask(&target, &with).await.1.contains("protobuf"));
}

#[tokio::test]
async fn a_secret_is_read_for_every_scrape_and_never_told() {
    let server = Server::start(|mut visit| {
        visit.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        Then::Keep
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let mut target = server.target("api");
    page_of(&mut target).headers = vec![("Authorization".into(), Secret::File(path.clone()))];
    for secret in ["hunter2", "hunter3"] {
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        let scrape = scrape(&target).await;
        assert_failed(&scrape, FailureClass::Status, "403 Forbidden");
        assert!(!format!("{scrape:?}").contains("hunter"));
        let heads = server.heads.lock().unwrap();
        assert!(heads.last().unwrap().contains(&format!("authorization: {secret}\r\n")));
    }
    std::fs::remove_file(&path).unwrap();
    let scrape = scrape(&target).await;
    assert_failed(&scrape, FailureClass::Broken, "failed to set header Authorization");
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_chunked_page_is_whole_with_its_last_chunk_wherever_the_chunks_are_cut() {
    for size in [1, 7, 1_000] {
        let scrape = scrape_script(move |mut visit| {
            visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for chunk in PAGE.as_bytes().chunks(size) {
                visit.send(format!("{:x}\r\n", chunk.len()));
                visit.send([chunk, b"\r\n"].concat());
            }
            visit.send("0\r\nX-Trailer: 1\r\n\r\n");
            Then::Keep
        })
        .await;
        assert_good(&scrape);
    }
}

#[tokio::test]
async fn without_a_length_the_last_line_counts_only_if_it_is_ended() {
    for (body, malformed) in [("m 1\nm2 12", 1), ("m 1\n", 0)] {
        let scrape = scrape_script(move |mut visit| {
            visit.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}"));
            Then::Close
        })
        .await;
        let page = scrape.result.unwrap();
        assert_eq!(samples(&page), [("m", 1.0)]);
        assert_eq!(page.malformed_count, malformed);
        assert!(page.may_lack_series);
    }
}

#[tokio::test]
async fn a_length_that_is_too_short_never_makes_a_value_of_half_a_number() {
    let scrape = scrape_script(|mut visit| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nm 1\nm2 12345\n");
        Then::Close
    })
    .await;
    let page = scrape.result.unwrap();
    assert_eq!(samples(&page), [("m", 1.0)]);
    assert_eq!(page.malformed()[0].name.as_deref(), Some("m2"));
    assert!(page.may_lack_series);
}

#[tokio::test]
async fn malformed_lines_are_kept_with_their_place_and_metric() {
    let scrape = scrape_script(|mut visit| {
        visit.answer("", "m 1\nm{code=\"2\n m2 x\n");
        Then::Keep
    })
    .await;
    let page = scrape.result.unwrap();
    assert_eq!(page.malformed_count, 2);
    let lines: Vec<_> = page.malformed().iter().map(|m| (m.line, m.name.as_deref())).collect();
    assert_eq!(lines, [(2, Some("m")), (3, Some("m2"))]);
    assert!(page.malformed()[1].reason.starts_with("not a number"), "{page:?}");
}

// ---- compression ----

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

async fn scrape_gzip(body: Vec<u8>) -> Scrape {
    scrape_script(move |mut visit| {
        visit.answer("Content-Encoding: gzip\r\n", &body);
        Then::Keep
    })
    .await
}

#[tokio::test]
async fn a_compressed_page_is_unpacked_also_in_members() {
    assert_good(&scrape_gzip(gzip(PAGE)).await);
    let (front, back) = PAGE.split_at(25);
    let scrape = scrape_gzip([gzip(front), gzip(back)].concat()).await;
    assert_good(&scrape);
    assert_eq!(scrape.result.unwrap().bytes, PAGE.len() as u64);
}

#[tokio::test]
async fn broken_compression_is_malformed_wherever_it_breaks() {
    let packed = gzip(PAGE);
    for cut in 0..packed.len() {
        let scrape = scrape_gzip(packed[..cut].to_vec()).await;
        assert_failed(&scrape, FailureClass::Malformed, "failed to unpack the page");
    }
    let mut wrong = packed;
    let crc = wrong.len() - 8;
    wrong[crc] ^= 1;
    assert_failed(&scrape_gzip(wrong).await, FailureClass::Malformed, "failed to unpack");
    assert_failed(&scrape_gzip(PAGE.into()).await, FailureClass::Malformed, "failed to unpack");
    let scrape = scrape_script(|mut visit| {
        visit.answer("Content-Encoding: br\r\n", "x");
        Then::Close
    });
    assert_failed(&scrape.await, FailureClass::Malformed, "compressed in a way");
}

#[tokio::test]
async fn a_bomb_is_cut_off_at_the_limit() {
    let bomb = gzip("other 1\n".repeat(4 << 20));
    assert!(bomb.len() < 1 << 20, "the limit must be passed by what is unpacked");
    let scrape = scrape_gzip(bomb).await;
    assert_failed(&scrape, FailureClass::TooLarge, "more than 1048576 bytes");
}

// ---- answers that are no pages ----

#[tokio::test]
async fn what_is_not_a_whole_metrics_page_fails_with_its_class() {
    use FailureClass::{Broken, Malformed, Status, TooLarge};
    let head = "HTTP/1.1 200 OK\r\n";
    let huge_head = format!("{head}X-Huge: {}\r\n\r\n", "x".repeat(1 << 20));
    let huge_line = format!("m{{path=\"{}\"}} 1\n", "x".repeat(100 << 10));
    let long = |n: usize, body: &str| format!("{head}Content-Length: {n}\r\n\r\n{body}");
    let html = "<html>\nm 1\n</html>\n";
    let chunk = format!("{:x}\r\n{PAGE}\r\n", PAGE.len());
    let rows: Vec<(&str, String, FailureClass, &str)> = vec![
        ("not found", "HTTP/1.1 404 Not Found\r\n\r\n".into(), Status, "404 Not Found"),
        ("error", "HTTP/1.1 500 x\r\nContent-Length: 4\r\n\r\nm 1\n".into(), Status, "500"),
        ("empty", "HTTP/1.1 204 No Content\r\n\r\n".into(), Status, "204"),
        (
            "redirect",
            "HTTP/1.1 301 x\r\nLocation: /secret\r\n\r\n".into(),
            Status,
            "301 Moved Permanently, redirects are not followed",
        ),
        (
            "html",
            format!("{head}Content-Type: text/html; x=y\r\nContent-Length: 20\r\n\r\n{html}"),
            Malformed,
            "content type `text/html` is not",
        ),
        ("other protocol", "SSH-2.0-OpenSSH_9.2\r\n".into(), Malformed, "answer"),
        ("nothing", String::new(), Broken, "closed before"),
        ("half a head", head.into(), Broken, "closed before"),
        ("huge head", huge_head, TooLarge, "too large"),
        ("length too long", long(PAGE.len() + 1, PAGE), Malformed, "to its end"),
        ("announced too much", long(1 << 21, ""), TooLarge, "more than 1048576"),
        ("huge line", long(huge_line.len(), &huge_line), Malformed, "line 1"),
        (
            "no last chunk",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}"),
            Malformed,
            "to its end",
        ),
        (
            "bad chunk",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{PAGE}"),
            Malformed,
            "to its end",
        ),
        (
            "open metrics without end",
            format!(
                "{head}Content-Type: application/openmetrics-text\r\nConnection: close\r\n\r\nm 1\n"
            ),
            Malformed,
            "truncated",
        ),
        (
            "too much",
            format!("{head}\r\n{}", "other 1\n".repeat(1 << 18)),
            TooLarge,
            "1048576 bytes",
        ),
    ];
    for (what, bytes, class, words) in rows {
        println!("{what}");
        let scrape = scrape_script(move |mut visit| {
            visit.send(&bytes);
            Then::Close
        });
        assert_failed(&scrape.await, class, words);
    }
}

#[tokio::test]
async fn more_selected_samples_than_a_page_may_have_are_too_large() {
    let server = Server::start(|mut visit| {
        visit.answer("", "m 1\n".repeat(200_001));
        Then::Keep
    });
    let scrape = scrape(&server.target("api")).await;
    assert_failed(&scrape, FailureClass::TooLarge, "200000 selected samples");
}

#[tokio::test]
async fn a_reset_within_the_page_is_a_broken_connection() {
    let server = Server::raw(Arc::default(), |stream, _| {
        // What is left unread makes the system reset the connection on closing.
        stream.read_exact(&mut [0; 8]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nm 1\n").unwrap();
    });
    let scrape = scrape(&server.target("api")).await;
    assert_failed(&scrape, FailureClass::Broken, "");
}

// ---- servers that take their time ----

#[tokio::test]
async fn whatever_takes_too_long_is_timed_out_and_says_what_it_was() {
    let silent = Server::raw(Arc::default(), |_, _| hang());
    let mute = Server::start(|_| hang());
    let head = Server::start(|mut visit| {
        visit.send("HTTP/1.1 200 OK\r\nX-Slow: ");
        loop {
            visit.send("x");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let body = Server::start(|mut visit| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        loop {
            visit.send("m");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let all = [
        (silent, "get an answer"),
        (mute, "get an answer"),
        (head, "get an answer"),
        (body, "bytes of the page within 300ms"),
    ];
    for (server, words) in all {
        let mut target = server.target("api");
        target.timeout = Duration::from_millis(300);
        assert_failed(&scrape(&target).await, FailureClass::TimedOut, words);
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let scrape = scrape(&target("api", "127.0.0.1", port)).await;
    assert_failed(&scrape, FailureClass::Refused, &format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_resolved() {
    let mut target = target("api", "nonexistent.invalid", 80);
    target.timeout = Duration::from_secs(2);
    assert_failed(&scrape(&target).await, FailureClass::Dns, "resolve nonexistent.invalid");
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // `localhost` is `::1` first where there is IPv6, and nobody listens there.
    let server = good();
    assert_good(&scrape(&target("api", "localhost", server.address.port())).await);
}

// ---- kept connections ----

fn fast(server: &Server, name: &str) -> Target {
    Target { interval: Duration::from_millis(100), ..server.target(name) }
}

async fn take(sources: &mut Sources, count: usize) -> Vec<Scrape> {
    let mut scrapes = Vec::new();
    while scrapes.len() < count {
        let next = tokio::time::timeout(DEADLINE, sources.next());
        scrapes.push(next.await.expect("a scrape in time"));
    }
    scrapes
}

#[tokio::test]
async fn one_connection_serves_all_scrapes_of_a_target() {
    let server = good();
    let mut sources = Sources::start(&[fast(&server, "api")], &[names()], Clock::start());
    let scrapes = take(&mut sources, 5).await;
    scrapes.iter().for_each(assert_good);
    assert!(scrapes.is_sorted_by_key(|scrape| scrape.at));
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_page_that_turns_out_to_be_large_costs_one_more_connection_and_no_more() {
    let page = format!("{PAGE}{}", "other 1\n".repeat(100_000));
    let server = Server::start(move |mut visit| {
        visit.answer("", &page);
        Then::Keep
    });
    let mut sources = Sources::start(&[fast(&server, "api")], &[names()], Clock::start());
    take(&mut sources, 5).await.iter().for_each(assert_good);
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_under_the_request_is_no_failure() {
    let server = Server::start(|mut visit| {
        if visit.request == 2 {
            return Then::Close;
        }
        visit.answer("", PAGE);
        Then::Keep
    });
    let mut sources = Sources::start(&[fast(&server, "api")], &[names()], Clock::start());
    take(&mut sources, 5).await.iter().for_each(assert_good);
    assert!(server.accepted() >= 5, "{}", server.accepted());
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_while_idle_is_no_failure() {
    let server = Server::start(|mut visit| {
        visit.answer("", PAGE);
        Then::Close
    });
    let mut sources = Sources::start(&[fast(&server, "api")], &[names()], Clock::start());
    take(&mut sources, 5).await.iter().for_each(assert_good);
}

#[tokio::test]
async fn an_answer_that_has_begun_is_never_asked_for_again() {
    let server = Server::start(|mut visit| {
        match (visit.connection, visit.request) {
            (1, 2) => visit.send("HT"),
            _ => visit.answer("", PAGE),
        }
        if (visit.connection, visit.request) == (1, 2) { Then::Close } else { Then::Keep }
    });
    let mut sources = Sources::start(&[fast(&server, "api")], &[names()], Clock::start());
    let scrapes = take(&mut sources, 3).await;
    assert_good(&scrapes[0]);
    assert_failed(&scrapes[1], FailureClass::Broken, "closed before");
    assert_good(&scrapes[2]);
}

#[tokio::test]
async fn a_fresh_connection_that_is_closed_at_once_is_not_tried_again() {
    let server = Server::start(|_| Then::Close);
    let scrape = scrape(&server.target("api")).await;
    assert_failed(&scrape, FailureClass::Broken, "closed before");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_target_recovers_when_its_server_does() {
    let server = Server::start(|mut visit| {
        match visit.connection {
            1 => visit.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
            2 => return Then::Close,
            _ => visit.answer("", PAGE),
        }
        Then::Keep
    });
    let mut sources = Sources::start(&[fast(&server, "api")], &[names()], Clock::start());
    let scrapes = take(&mut sources, 3).await;
    assert_failed(&scrapes[0], FailureClass::Status, "503");
    assert_failed(&scrapes[1], FailureClass::Broken, "");
    assert_good(&scrapes[2]);
}

// ---- slots, reloads ----

#[tokio::test]
async fn targets_that_hang_or_drip_do_not_disturb_another() {
    let hanging = Server::raw(Arc::default(), |_, _| hang());
    let dripping = Server::start(|mut visit| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        loop {
            visit.send("m");
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let server = good();
    let fine = fast(&server, "fine");
    // The others have all the time there is: had one of them to end first, this would, too late.
    let targets = [hanging.target("hanging"), dripping.target("dripping"), fine];
    let mut sources = Sources::start(&targets, &[names(), names(), names()], Clock::start());
    until("connecting", || hanging.accepted() + dripping.accepted() == 2).await;
    let scrapes = take(&mut sources, 12).await;
    assert!(scrapes.iter().all(|scrape| scrape.target == TargetIx(2)));
    scrapes.iter().for_each(assert_good);
    assert!(scrapes.is_sorted_by_key(|scrape| scrape.at));
}

#[tokio::test]
async fn a_slow_taker_costs_slots_which_are_counted_and_gets_no_backlog() {
    let server = good();
    let mut sources = Sources::start(&[fast(&server, "api")], &[names()], Clock::start());
    take(&mut sources, 1).await;
    let before = server.heads.lock().unwrap().len();
    // Seven slots pass.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let asked = server.heads.lock().unwrap().len() - before;
    assert!(asked <= 1, "{asked} scrapes that nobody takes");
    let scrapes = take(&mut sources, 3).await;
    scrapes.iter().for_each(assert_good);
    let stats = sources.stats();
    assert_eq!(stats[0].name.as_str(), "api");
    assert!(stats[0].skipped >= 1, "{stats:?}");
}

#[tokio::test]
async fn a_reload_keeps_an_unchanged_target_s_connection_and_gives_it_its_new_place_and_names() {
    let (kept, gone, new) = (good(), good(), good());
    let before = [fast(&gone, "gone"), fast(&kept, "kept")];
    let mut sources = Sources::start(&before, &[names(), names()], Clock::start());
    until("first scrapes", || kept.accepted() + gone.accepted() == 2).await;
    take(&mut sources, 4).await;

    let after = [fast(&kept, "kept"), fast(&new, "new")];
    let other = Arc::new(NameSet::new(["other"]));
    sources.replace(&after, &[other, names()]);
    assert_eq!(sources.stats().len(), 2);
    let asked = gone.heads.lock().unwrap().len();
    let mut seen = [0, 0];
    while seen.iter().any(|count| *count < 3) {
        let scrape = take(&mut sources, 1).await.remove(0);
        seen[scrape.target.0] += 1;
        match scrape.target {
            TargetIx(0) => assert_eq!(samples(&scrape.result.unwrap()), [("other", 3.0)]),
            TargetIx(_) => assert_good(&scrape),
        }
    }
    assert_eq!((kept.accepted(), new.accepted()), (1, 1));
    assert!(gone.heads.lock().unwrap().len() <= asked + 1);
}

#[tokio::test]
async fn another_interval_holds_from_the_next_slot_on() {
    let server = good();
    let mut sources = Sources::start(&[server.target("api")], &[names()], Clock::start());
    assert_good(&take(&mut sources, 1).await[0]);
    sources.set_interval(TargetIx(0), Duration::from_millis(100));
    // At the old interval this would end after the deadline.
    take(&mut sources, 5).await.iter().for_each(assert_good);
}

#[tokio::test]
async fn dropping_the_sources_ends_the_scraping() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = closed.clone();
    let server = Server::raw(Arc::default(), move |stream, _| {
        while let Some(_head) = read_head(stream) {
            let mut visit = Visit { stream, request: 1, connection: 1 };
            visit.answer("", PAGE);
        }
        count.fetch_add(1, Ordering::SeqCst);
    });
    let mut sources = Sources::start(&[fast(&server, "api")], &[names()], Clock::start());
    take(&mut sources, 1).await;
    drop(sources);
    until("closing", || closed.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn with_no_targets_there_is_no_scrape_and_no_panic() {
    let mut sources = Sources::start(&[], &[], Clock::start());
    let next = tokio::time::timeout(Duration::from_millis(20), sources.next());
    assert!(next.await.is_err());
    let server = good();
    sources.replace(&[fast(&server, "api")], &[names()]);
    assert_good(&take(&mut sources, 1).await[0]);
}

// ---- TLS ----

/// Whether a program that a test needs may be missing.
fn missing(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return false;
    }
    let required = std::env::var("ROLLGUARD_REQUIRE_REAL").is_ok_and(|value| value == "1");
    assert!(!required, "{program} is not installed and ROLLGUARD_REQUIRE_REAL is 1");
    eprintln!("skipped: {program} is not installed");
    true
}

/// An authority and a certificate for 127.0.0.1 signed by it, as files in `dir`.
fn certificates(dir: &Path) {
    let run = |args: &str| {
        let output =
            Command::new("openssl").args(args.split(' ')).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority"));
    run(&format!("req -x509 {key} -keyout other.key -out other.pem -subj /CN=other"));
    run(&format!(
        "req -x509 {key} -keyout leaf.key -out leaf.pem -subj /CN=leaf -CA ca.pem -CAkey ca.key \
         -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    ));
}

async fn tls_server(dir: PathBuf) -> SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

    let chain = vec![CertificateDer::from_pem_file(dir.join("leaf.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(dir.join("leaf.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tls.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PAGE.len());
            tls.write_all(answer.as_bytes()).await.unwrap();
            tls.write_all(PAGE.as_bytes()).await.unwrap();
            tls.shutdown().await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_is_verified_against_the_authorities_named() {
    if missing("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let address = tls_server(dir.path().to_owned()).await;
    let mut target = target("api", "127.0.0.1", address.port());
    page_of(&mut target).url.scheme = Scheme::Https;
    page_of(&mut target).ca_file = Some(dir.path().join("ca.pem"));
    assert_good(&scrape(&target).await);

    page_of(&mut target).ca_file = Some(dir.path().join("other.pem"));
    assert_failed(&scrape(&target).await, FailureClass::Tls, "shake hands");
    page_of(&mut target).ca_file = Some(dir.path().join("absent.pem"));
    assert_failed(&scrape(&target).await, FailureClass::Tls, "absent.pem");
    page_of(&mut target).ca_file = Some(dir.path().join("ca.key"));
    assert_failed(&scrape(&target).await, FailureClass::Tls, "failed to find certificate");
    page_of(&mut target).ca_file = None;
    assert_failed(&scrape(&target).await, FailureClass::Tls, "");
    page_of(&mut target).ca_file = Some(dir.path().join("ca.pem"));
    page_of(&mut target).url.host = "localhost".to_owned();
    assert_failed(&scrape(&target).await, FailureClass::Tls, "shake hands with localhost");
}

#[tokio::test]
async fn a_renewed_authority_is_read_after_a_failed_handshake() {
    if missing("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let address = tls_server(dir.path().to_owned()).await;
    let mut target = target("api", "127.0.0.1", address.port());
    page_of(&mut target).url.scheme = Scheme::Https;
    target.interval = Duration::from_millis(100);
    let file = dir.path().join("used.pem");
    std::fs::copy(dir.path().join("other.pem"), &file).unwrap();
    page_of(&mut target).ca_file = Some(file.clone());
    let mut sources = Sources::start(&[target], &[names()], Clock::start());
    assert_failed(&take(&mut sources, 1).await[0], FailureClass::Tls, "shake hands");
    std::fs::copy(dir.path().join("ca.pem"), &file).unwrap();
    // One scrape may have begun before the file was renewed.
    assert_good(take(&mut sources, 3).await.last().unwrap());
}

#[tokio::test]
async fn a_server_without_tls_fails_the_handshake() {
    if missing("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let server = Server::raw(Arc::default(), |stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let mut target = server.target("api");
    page_of(&mut target).url.scheme = Scheme::Https;
    page_of(&mut target).ca_file = Some(dir.path().join("ca.pem"));
    assert_failed(&scrape(&target).await, FailureClass::Tls, "shake hands");
}

// ---- a real exporter ----

struct Exporter(Child);

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn every_sample_of_a_real_exporter_is_read() {
    if missing("prometheus-node-exporter") {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _exporter = Exporter(
        Command::new("prometheus-node-exporter")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    until("listening", || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    let mut exporter = target("node", "127.0.0.1", port);
    page_of(&mut exporter).url.path = "/metrics".into();
    let live = scrape_once(&exporter, None, Clock::start()).await.result.unwrap();
    assert!(live.samples().any(|s| s.series.starts_with("node_exporter_build_info{")));
    assert_eq!(live.malformed_count, 0);

    // The same bytes twice, so that the counts can be compared.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, page) = answer.split_once("\r\n\r\n").unwrap();
    let lines = page.lines().filter(|line| !line.starts_with('#')).count();
    assert!(lines > 100, "{lines}");
    let page = page.to_owned();
    let server = Server::start(move |mut visit| {
        visit.answer("", &page);
        Then::Keep
    });
    let whole = scrape_once(&server.target("node"), None, Clock::start()).await.result.unwrap();
    assert_eq!(whole.sample_count, lines as u64);
    assert_eq!(whole.samples().count(), lines);
}
