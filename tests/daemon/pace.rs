//! How often the real daemon really asks.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::common::wait_for;
use crate::support::world::{LONG, World};

/// A page with one gauge, and when it was asked for.
struct Page {
    address: SocketAddr,
    gauge: Arc<Mutex<f64>>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Page {
    fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (gauge, asked) = (Arc::new(Mutex::new(0.0)), Arc::new(Mutex::new(Vec::new())));
        let page = Self { address, gauge: gauge.clone(), asked: asked.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (gauge, asked) = (gauge.clone(), asked.clone());
                std::thread::spawn(move || answer(&stream, &gauge, &asked));
            }
        });
        page
    }

    fn set(&self, value: f64) {
        *self.gauge.lock().unwrap() = value;
    }

    /// How long the last `count` requests were apart, once there are as many after the call.
    fn span(&self, count: usize) -> impl Fn() -> Option<Duration> {
        let (asked, before) = (self.asked.clone(), self.asked.lock().unwrap().len());
        move || {
            let asked = asked.lock().unwrap();
            let last = asked[before..].len().checked_sub(count)?;
            Some(asked[asked.len() - 1].duration_since(asked[before + last]))
        }
    }
}

fn answer(mut stream: &TcpStream, gauge: &Mutex<f64>, asked: &Mutex<Vec<Instant>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        if !line.is_empty() {
            continue;
        }
        asked.lock().unwrap().push(Instant::now());
        let body = format!("queue_length {}\n", *gauge.lock().unwrap());
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4";
        let length = body.len();
        if write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").is_err() {
            return;
        }
    }
}

#[test]
fn a_target_is_asked_more_often_near_the_limit_and_less_often_after_it() {
    let page = Page::serve();
    let address = format!("127.0.0.1:{}/", page.address.port());
    let ratio = "ratio = { of = 'http_requests_total{status=~\"5..\"}', \
                 to = 'http_requests_total' }\nwindow = \"500ms\"";
    let Some(world) = World::new(&[
        ("127.0.0.1:PORT/", &address),
        ("interval = \"100ms\"", "interval = \"1s\"\nsharpen = \"100ms\""),
        (ratio, "gauge = 'queue_length'"),
        ("error_rate > 5%", "error_rate > 2"),
    ]) else {
        return;
    };
    let _daemon = world.start();
    world.begin();
    let target = |status: &serde_json::Value| status["targets"][0].clone();
    assert_eq!(target(&world.status())["interval_ms"], 1_000);
    // Five requests at an interval of a second take four seconds.
    page.set(1.5);
    let five = page.span(5);
    let often = || five().filter(|span| *span < Duration::from_secs(2));
    wait_for(LONG, "the target to be asked more often", often);
    let shown = target(&world.shown("it to be said", |s| target(s)["sharpened"] == true));
    assert_eq!((&shown["interval_ms"], &shown["pace"]), (&100.into(), &"sharpened".into()));
    let said = world.run(&["status"]).1;
    assert!(said.contains("sharpened to 100ms"), "{said}");
    page.set(0.5);
    world.shown("the pace to be relaxed", |s| target(s)["sharpened"] == false);
    let five = page.span(5);
    let seldom = || five().filter(|span| *span > Duration::from_secs(3));
    wait_for(LONG, "the target to be asked less often", seldom);
    let log = world.log();
    assert_eq!(log.matches("sampled at another interval").count(), 2, "{log}");
    assert_eq!(world.entries("decided"), [] as [serde_json::Value; 0]);
}
