//! What a guard still had to tell when it died, what nobody was told of, and what came too late to
//! be evidence.

use std::time::Duration;

use rollguard::model::index::TargetIx;
use rollguard::model::scrape::{Page, Scrape};
use rollguard::model::time::Instant;

use super::{Bed, plan};

#[test]
fn a_guard_that_died_before_its_page_was_on_record_pages_when_it_is_started_again() {
    let mut bed = Bed::new(plan(&[]));
    bed.play("0..3 fine; 3 begin v2 good=v1; 4..9 sick; 9 failed; 11 failed; 11.5 told");
    let done = std::mem::take(&mut bed.log).join(", ");
    assert!(done.ends_with("notify page, report rollback failed, notified"), "{done}");
    // It is on record that people know.
    bed.play("12 restart; 13 sick").expect("");
    // Now it dies between the two.
    let failed = bed.journal.iter().position(|entry| entry_is(entry, "failed")).unwrap();
    bed.journal.truncate(failed + 1);
    bed.play("14 restart").expect("notify page");
    bed.play("15 restart").expect("notify page");
    bed.play("16 told; 17 restart; 18 sick").expect("notified");
}

#[test]
fn a_guard_that_died_before_a_refusal_was_told_tells_it_when_it_is_started_again() {
    let mut bed = Bed::new(plan(&[("mode = \"auto\"", "mode = \"notify\"")]));
    bed.play("0..3 fine; 3 begin v2 good=v1; 4..9 sick");
    let done = std::mem::take(&mut bed.log).join(", ");
    assert!(done.contains("slow: notify only, notify tell"), "{done}");
    bed.play("10 restart").expect("notify tell");
    bed.play("11 told; 12 restart").expect("notified");
    // What is over by then is not told.
    let told = bed.journal.iter().position(|entry| entry_is(entry, "notified")).unwrap();
    bed.journal.truncate(told);
    bed.play("13 end; 14 restart").expect("ended");
}

#[test]
fn what_was_told_once_and_is_only_observed_now_does_not_clear() {
    let told = ("mode = \"auto\"", "mode = \"notify\"");
    let mut bed = Bed::new(plan(&[told]));
    bed.play("0..3 fine; 3 begin v2 good=v1; 4..9 sick; 10 fine");
    let done = std::mem::take(&mut bed.log).join(", ");
    assert!(done.ends_with("cleared slow"), "{done}");
    bed.reload(11.0, plan(&[("mode = \"auto\"", "mode = \"observe\"")]));
    bed.play("12..16 sick; 17..20 fine").expect("reloaded, slow: observing");
}

fn entry_is(entry: &rollguard::model::entry::Entry, kind: &str) -> bool {
    serde_json::to_value(&entry.event).unwrap()["kind"] == kind
}

/// A page of a slot that is long past, as if it had been held up on its way.
fn late(bed: &mut Bed, second: f64, errors: f64) {
    let at = Instant::ZERO.after(Duration::from_secs_f64(second));
    let mut page = Page::default();
    page.push("errors_total", errors, None);
    let (wall, took) = (bed.now.wall, Duration::ZERO);
    let scrape = Scrape { target: TargetIx(0), at, wall, took, result: Ok(page) };
    let effects = bed.guard.observe(bed.now, &scrape);
    bed.perform(effects);
}

#[test]
fn a_page_that_comes_after_a_newer_one_or_twice_is_no_reset_of_its_counters() {
    let signal = "[signal.latency]\ngauge = 'latency_seconds'";
    let rate = "[signal.latency]\nrate = 'errors_total'\nwindow = \"4s\"";
    let mut bed = Bed::new(plan(&[(signal, rate)]));
    for second in 2..20 {
        bed.set(f64::from(second));
        late(&mut bed, f64::from(second), 1000.0 + f64::from(second));
        if second == 3 {
            bed.play("3 begin v2 good=v1");
        }
        // Told twice, and told late.
        late(&mut bed, f64::from(second), 1000.0 + f64::from(second));
        late(&mut bed, f64::from(second) - 2.0, 998.0 + f64::from(second));
    }
    bed.expect("begun v2 over v1");
}
