//! The app that the demo guards: it answers real requests, each in the way of the release that
//! `current` points to at that moment, and counts them on a real metrics page. It ends when
//! whoever started it does.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::net::unix::pipe;

use super::directory::Release;
use crate::cli::exit;
use crate::cli::out::{CommandError, Ended};
use crate::clock::Clock;
use crate::daemon::write_whole;
use crate::serve::accept::{Limits, Reply, accept, text as text_reply};

/// The demo's load, its guard and a curious person.
const LIMITS: Limits = Limits { clients: 256, head: Duration::from_secs(30), connection: None };

/// Upper bounds of the histogram's buckets, in seconds.
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0];

/// Steps of this size through the unit interval spread evenly for any number of them, so the app
/// needs no random numbers and every run looks alike.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_894_9;

#[derive(Args)]
pub(in crate::cli) struct AppArgs {
    /// The directory with `releases/` and `current`
    #[arg(long)]
    root: PathBuf,
    /// The file to write the port to
    #[arg(long)]
    port_file: PathBuf,
}

/// Runs the app until its standard input ends.
pub(in crate::cli) async fn run(args: AppArgs) -> Ended {
    let served = serve(args).await.map(|()| exit::OK);
    served.map_err(|error| CommandError::failed(format_args!("the app cannot serve: {error}")))
}

async fn serve(args: AppArgs) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    write_whole(&args.port_file, &listener.local_addr()?.port().to_string())?;
    let clock = Clock::start();
    let app = Arc::new(App { root: args.root, clock, counts: Mutex::default() });
    let answer = move |(), request| {
        let app = app.clone();
        async move { app.answer(&request).await }
    };
    let serving = accept(listener, LIMITS, clock, |_| (), answer);
    // It ends when the other end of it dies; the system sees to that.
    let mut stdin = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let parent_gone =
        async { while stdin.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {} };
    tokio::select! {
        () = serving => {}
        () = parent_gone => {}
    }
    Ok(())
}

struct App {
    root: PathBuf,
    clock: Clock,
    counts: Mutex<RequestCounts>,
}

/// What the metrics page tells.
#[derive(Default)]
struct RequestCounts {
    /// Requests by status.
    by_status: BTreeMap<u16, u64>,
    /// Requests not slower than each bound.
    buckets: [u64; BOUNDS.len()],
    /// All of them, and what they took together.
    count: u64,
    seconds: f64,
    /// Errors that the release owes.
    owed: f64,
}

impl App {
    async fn answer(&self, request: &Request<Incoming>) -> Reply {
        match request.uri().path() {
            "/" => self.work().await,
            "/metrics" => text_reply(StatusCode::OK, self.metrics()),
            "/health" => match Release::current(&self.root) {
                Ok(release) => {
                    let health = serde_json::json!({ "status": "ok", "version": release.version });
                    text_reply(StatusCode::OK, format!("{health}\n"))
                }
                Err(error) => text_reply(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
            },
            path => text_reply(StatusCode::NOT_FOUND, format!("nothing at {path}\n")),
        }
    }

    /// What users come for, in the way of the current release.
    async fn work(&self) -> Reply {
        let begun = self.clock.now();
        let (status, text) = match Release::current(&self.root) {
            Ok(release) => {
                let (status, takes) = self.counts().plan(&release);
                self.clock.sleep_until(begun.after(takes)).await;
                (status, format!("{} by {}\n", status.as_u16(), release.version))
            }
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        };
        self.counts().observe(status, self.clock.now().since(begun));
        text_reply(status, text)
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, RequestCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metrics(&self) -> String {
        let mut page = self.counts().page();
        if let Ok(release) = Release::current(&self.root) {
            page.push_str("# TYPE app_release_info gauge\n");
            page.push_str(&format!("app_release_info{{version=\"{}\"}} 1\n", release.version));
        }
        page
    }
}

impl RequestCounts {
    /// How the next request goes. Errors come at even distances, latencies spread evenly from a
    /// half to one and a half of the mean.
    fn plan(&mut self, release: &Release) -> (StatusCode, Duration) {
        self.owed += release.error_share;
        let status = if self.owed >= 1.0 {
            self.owed -= 1.0;
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        };
        let spread = 0.5 + (self.count as f64 * GOLDEN_RATIO).fract();
        (status, Duration::from_secs_f64(release.latency_ms.max(0.0) * spread / 1000.0))
    }

    fn observe(&mut self, status: StatusCode, took: Duration) {
        let seconds = took.as_secs_f64();
        *self.by_status.entry(status.as_u16()).or_default() += 1;
        for (bound, bucket) in BOUNDS.iter().zip(&mut self.buckets) {
            *bucket += u64::from(seconds <= *bound);
        }
        self.count += 1;
        self.seconds += seconds;
    }

    /// The metrics page, in the Prometheus text format.
    fn page(&self) -> String {
        let mut page = String::from("# TYPE http_requests_total counter\n");
        let mut line = |text: std::fmt::Arguments<'_>| {
            writeln!(page, "{text}").expect("writing to a string cannot fail");
        };
        for (status, count) in &self.by_status {
            line(format_args!("http_requests_total{{status=\"{status}\"}} {count}"));
        }
        line(format_args!("# TYPE http_request_duration_seconds histogram"));
        let name = "http_request_duration_seconds";
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            line(format_args!("{name}_bucket{{le=\"{bound}\"}} {bucket}"));
        }
        line(format_args!("{name}_bucket{{le=\"+Inf\"}} {}", self.count));
        line(format_args!("{name}_sum {}", self.seconds));
        line(format_args!("{name}_count {}", self.count));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(error_share: f64) -> Release {
        Release { version: "v2".to_owned(), error_share, latency_ms: 100.0 }
    }

    #[test]
    fn a_release_fails_exactly_its_share_of_requests() {
        let mut counts = RequestCounts::default();
        for _ in 0..1_000 {
            let (status, took) = counts.plan(&release(0.2));
            assert!((0.05..=0.15).contains(&took.as_secs_f64()), "{took:?}");
            counts.observe(status, took);
        }
        assert!((199..=201).contains(&counts.by_status[&500]), "{:?}", counts.by_status);
    }

    #[test]
    fn the_page_counts_every_request_once() {
        let mut counts = RequestCounts::default();
        counts.observe(StatusCode::OK, Duration::from_millis(120));
        counts.observe(StatusCode::INTERNAL_SERVER_ERROR, Duration::from_secs(2));
        let page = counts.page();
        let has = |line: &str| assert!(page.lines().any(|l| l == line), "{line} in {page}");
        has("http_requests_total{status=\"200\"} 1");
        has("http_requests_total{status=\"500\"} 1");
        has("http_request_duration_seconds_bucket{le=\"0.1\"} 0");
        has("http_request_duration_seconds_bucket{le=\"0.15\"} 1");
        has("http_request_duration_seconds_bucket{le=\"+Inf\"} 2");
        has("http_request_duration_seconds_count 2");
    }
}
