//! What judging costs: time for a scrape, time for a reload, memory for a histogram.
//!
//! `cargo bench --bench judge`. Figures are medians of a hundred scrapes.

#![expect(clippy::unwrap_used, reason = "in what the bench shares with the tests")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use rollguard::engine::Evaluator;
use rollguard::model::index::TargetIx;
use rollguard::model::plan::Plan;
use rollguard::model::scrape::{Page, Scrape};
use rollguard::model::signal::{Reduction, SignalKind};
use rollguard::model::time::Instant;

#[path = "../tests/support/bed.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod bed;

use bed::{above, plan, rule, secs, selector, signal, target, wall};

const SIGNALS: usize = 1000;
const BUCKETS: usize = 20;
const SCRAPES: u64 = 400;

fn ratios(rules: usize) -> Arc<Plan> {
    let signals = (0..SIGNALS).map(|place| {
        let selector = |label: &str| selector(&format!("m{}_total{label}", place / 10));
        let route = format!("{{route=\"r{}\"}}", place % 10);
        let of = selector(&format!("{{route=\"r{}\",status=\"500\"}}", place % 10));
        let kind = SignalKind::Series {
            of,
            reduction: Reduction::Ratio { to: selector(&route) },
            window: secs(300),
        };
        signal(&format!("s{place}"), kind)
    });
    let rules =
        (0..rules).map(|place| rule(&format!("r{place}"), above(place % SIGNALS, 0.9), secs(60)));
    plan(vec![target("a", secs(1))], signals.collect(), rules.collect())
}

fn histograms() -> Arc<Plan> {
    let signals = (0..SIGNALS).map(|place| {
        let of = selector(&format!("h{place}"));
        let kind =
            SignalKind::Series { of, reduction: Reduction::Quantile(0.95), window: secs(300) };
        signal(&format!("s{place}"), kind)
    });
    plan(vec![target("a", secs(1))], signals.collect(), vec![])
}

fn ratio_page(page: &mut Page, second: u64) {
    for place in 0..SIGNALS {
        let (status, value) = if place % 2 == 0 { ("200", 7 * second) } else { ("500", second) };
        let (metric, route) = (place / 10, place % 10);
        let series = format!("m{metric}_total{{route=\"r{route}\",status=\"{status}\"}}");
        page.push(&series, value as f64, None);
    }
}

fn histogram_page(page: &mut Page, second: u64) {
    for place in 0..SIGNALS {
        for bucket in 1..BUCKETS {
            let series = format!("h{place}_bucket{{le=\"{bucket}\"}}");
            page.push(&series, (second * bucket as u64) as f64, None);
        }
        page.push(&format!("h{place}_bucket{{le=\"+Inf\"}}"), (second * 20) as f64, None);
    }
}

/// Feeds a judge one page a second; answers it and the median time of a scrape once the windows
/// are full.
fn fed(plan: &Arc<Plan>, fill: fn(&mut Page, u64)) -> (Evaluator, Duration) {
    let mut judge = Evaluator::new(plan.clone());
    let mut times = Vec::new();
    for second in 1..=SCRAPES {
        let at = Instant::from_millis(second * 1000);
        let mut page = Page::default();
        fill(&mut page, second);
        let took = Duration::ZERO;
        let scrape = Scrape { target: TargetIx(0), at, wall: wall(at), took, result: Ok(page) };
        let start = Clock::now();
        judge.observe(&scrape);
        times.push(start.elapsed());
    }
    let last = &mut times[SCRAPES as usize - 100..];
    last.sort();
    let median = last[50];
    (judge, median)
}

fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

fn main() {
    println!("{:<58} {:>12}", "1,000 ratio signals over one page of 1,000 series", "");
    for rules in [0, 1000, 10_000] {
        let plan = ratios(rules);
        let (judge, time) = fed(&plan, ratio_page);
        let per_rule = time.as_nanos() / rules.max(1) as u128;
        println!("  {rules:>6} rules: a scrape {time:>26.1?} {per_rule:>12} ns a rule");
        let start = Clock::now();
        let next = judge.reloaded(plan, Instant::from_millis(SCRAPES * 1000 + 500));
        println!("  {rules:>6} rules: a reload {:>26.1?}", start.elapsed());
        drop(next);
    }
    let plan = histograms();
    let before = resident();
    let (judge, time) = fed(&plan, histogram_page);
    let each = resident().saturating_sub(before) / SIGNALS as u64;
    println!("1,000 histograms of 20 buckets, 5 min at 1 s: a scrape {time:.1?}, {each} B each");
    drop(judge);
}
