//! A metrics page as `support/app.py` serves it, from a thread: a test that starts hundreds of
//! worlds has no time for hundreds of interpreters.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use crate::support::world::App;

/// How many requests the service has in a second.
const RATE: f64 = 1000.0;

/// What the service has counted.
struct Counted {
    at: Instant,
    good: f64,
    bad: f64,
}

/// Serves what the directory says for as long as the test runs.
#[expect(clippy::unnecessary_wraps, reason = "stands in for a server that may be missing")]
pub(crate) fn serve(home: &Path) -> Option<App> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let home = home.to_owned();
    let counted = Arc::new(Mutex::new(Counted { at: Instant::now(), good: 0.0, bad: 0.0 }));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (home, counted) = (home.clone(), counted.clone());
            thread::spawn(move || answer(stream, &home, &counted));
        }
    });
    Some(App::elsewhere(port))
}

/// Answers request after request of one connection.
fn answer(mut stream: TcpStream, home: &Path, counted: &Mutex<Counted>) {
    loop {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Ok(_) | Err(_) => return,
            }
        }
        let body = page(home, &mut counted.lock().unwrap());
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn page(home: &Path, counted: &mut Counted) -> String {
    let now = Instant::now();
    let requests = (now - counted.at).as_secs_f64() * RATE;
    counted.at = now;
    let release = fs::read_link(home.join("current")).unwrap_or_default();
    let bad = if release.ends_with("v2") { requests / 4.0 } else { 0.0 };
    counted.bad += bad;
    counted.good += requests - bad;
    format!(
        "# TYPE http_requests_total counter\nhttp_requests_total{{status=\"200\"}} {:.0}\n\
         http_requests_total{{status=\"500\"}} {:.0}\n",
        counted.good, counted.bad
    )
}
