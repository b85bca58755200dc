//! What a signal's window costs, counted, because everything is to be bounded.

use std::sync::Arc;
use std::time::Duration;

use rollguard::config::{SourceFile, compile};
use rollguard::engine::Evaluator;
use rollguard::model::index::TargetIx;
use rollguard::model::plan::Plan;
use rollguard::model::scrape::{Page, Scrape};
use rollguard::model::time::{Instant, Timestamp};
use stats_alloc::Region;

use crate::{ALLOCATOR, alone};

const BOUNDS: [&str; 14] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60",
    "+Inf",
];

fn plan(signal: &str) -> Arc<Plan> {
    let text = format!(
        "[deployment]\nservice = \"shop\"\n[target.a]\nscrape = \"http://localhost/metrics\"\n\
         interval = \"1s\"\n{signal}\n"
    );
    let main = SourceFile { path: "rollguard.toml".to_owned(), text };
    match compile(&main, &[]) {
        Ok(compiled) => Arc::new(compiled.plan),
        Err(wrong) => panic!("{wrong:?}"),
    }
}

/// The bytes that a judge holds after `seconds` of scrapes; the fewest of several runs, because
/// the test harness has threads of its own.
fn held(signal: &str, seconds: u64) -> usize {
    let plan = plan(signal);
    let once = || {
        let region = Region::new(ALLOCATOR);
        let mut judge = Evaluator::new(plan.clone());
        for second in 0..seconds {
            let at = Instant::from_millis(second * 1000);
            let mut page = Page::default();
            for (place, bound) in BOUNDS.iter().enumerate() {
                let value = (second * (place as u64 + 1)) as f64;
                page.push(&format!("h_bucket{{le=\"{bound}\"}}"), value, None);
            }
            let (target, took) = (TargetIx(0), Duration::ZERO);
            let wall = Timestamp::from_millis(1_700_000_000_000);
            judge.observe(&Scrape { target, at, wall, took, result: Ok(page) });
        }
        let change = region.change();
        drop(judge);
        change.bytes_allocated - change.bytes_deallocated
    };
    (0..3).map(|_| once()).min().unwrap()
}

#[test]
fn a_histogram_over_five_minutes_fits_in_64_kib_and_grows_no_further() {
    let _alone = alone();
    let p95 = "[signal.p95]\nquantile = 0.95\nof = 'h'\nwindow = \"5m\"";
    let without = held("", 700);
    let with = held(p95, 700);
    let cost = with - without;
    println!("13 finite buckets and +Inf, 5 min at 1 s: {cost} bytes");
    assert!(cost < 64 << 10, "{cost} bytes");
    let later = held(p95, 1400) - without;
    assert!(later <= cost + 1024, "{later} bytes after twice the time, {cost} before");
}
