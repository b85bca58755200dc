//! Native histograms from the page to the reading.

use rollguard::model::reading::{NoData, Reading};

use crate::support::native::{bed, classic, feed, h, native, reads};
use crate::support::protobuf::{Message, Native, Packing};

#[test]
fn a_native_histogram_has_a_quantile_and_a_mean() {
    let mut bed = bed(1);
    feed(&mut bed, 0, 0, h(&[("x", native(&[(5, 100)]).message(Packing::Apart))]));
    assert_eq!(bed.reading(0), Reading::NoData(NoData::WindowFilling));
    let later = Native { sum: 16.0, ..native(&[(1, 10), (5, 100)]) };
    feed(&mut bed, 0, 1, h(&[("x", later.message(Packing::Apart))]));
    reads(&bed, 0, 2_f64.sqrt());
    reads(&bed, 1, 1.5);
    feed(&mut bed, 0, 2, h(&[("x", later.message(Packing::Apart))]));
    reads(&bed, 0, 2_f64.sqrt());
    feed(&mut bed, 0, 25, h(&[("x", later.message(Packing::Apart))]));
    feed(&mut bed, 0, 26, h(&[("x", later.message(Packing::Apart))]));
    assert_eq!(bed.reading(0), Reading::NoData(NoData::NoObservations));
}

#[test]
fn a_series_that_appears_while_its_target_was_scraped_started_at_nothing() {
    let mut bed = bed(1);
    let x = || ("x", native(&[(5, 100)]).message(Packing::Apart));
    feed(&mut bed, 0, 0, h(&[x()]));
    feed(&mut bed, 0, 1, h(&[x(), ("y", native(&[(3, 10)]).message(Packing::Apart))]));
    reads(&bed, 0, 32_f64.sqrt());
}

#[test]
fn a_page_that_cannot_be_believed_tells_nothing_and_the_next_one_all() {
    let mut bed = bed(1);
    let good = |count| h(&[("x", native(&[(1, count)]).message(Packing::Apart))]);
    feed(&mut bed, 0, 0, good(1));
    feed(&mut bed, 0, 1, good(2));
    let bad = native(&[(1, 3)]).message(Packing::Apart).signed(5, -53);
    feed(&mut bed, 0, 2, h(&[("x", bad)]));
    assert_eq!(bed.reading(0), Reading::NoData(NoData::Malformed(1)));
    assert_eq!(bed.reading(1), Reading::NoData(NoData::Malformed(1)));
    let twice = [2, 3].map(|count| ("x", native(&[(1, count)]).message(Packing::Apart)));
    feed(&mut bed, 0, 3, h(&twice));
    assert_eq!(bed.reading(0), Reading::NoData(NoData::Duplicate));
    feed(&mut bed, 0, 4, good(9));
    reads(&bed, 0, 2_f64.sqrt());
}

#[test]
fn where_a_page_has_both_the_native_one_counts() {
    let mut bed = bed(1);
    let both = |count| classic(native(&[(1, count)]).message(Packing::Apart), [0, count, count]);
    for count in 0..5 {
        feed(&mut bed, 0, count, h(&[("x", both(count))]));
    }
    reads(&bed, 0, 2_f64.sqrt());
}

#[test]
fn native_buckets_that_do_not_know_of_all_observations_are_not_taken_for_all() {
    // Native ones begin in the midst of the window: the classic ones have seen more.
    let mut bed = bed(1);
    let old = |count| classic(Message::default(), [0, count, count]);
    let both = |count| classic(native(&[(1, count)]).message(Packing::Apart), [0, count, count]);
    feed(&mut bed, 0, 0, h(&[("x", old(0))]));
    feed(&mut bed, 0, 1, h(&[("x", old(90))]));
    feed(&mut bed, 0, 2, h(&[("x", both(4))]));
    reads(&bed, 0, 5.5);
    // Once the window holds nothing else, they are all.
    (3..30).for_each(|second| feed(&mut bed, 0, second, h(&[("x", both(2 + second))])));
    reads(&bed, 0, 2_f64.sqrt());
}

#[test]
fn native_and_classic_histograms_without_anything_in_common_cannot_be_added() {
    let mut bed = bed(2);
    for count in 0..5 {
        feed(&mut bed, 0, count, h(&[("x", native(&[(9, count)]).message(Packing::Apart))]));
        feed(&mut bed, 1, count, h(&[("y", classic(Message::default(), [count; 3]))]));
    }
    assert_eq!(bed.reading(0), Reading::NoData(NoData::NoBuckets));
    // Their sums and counts can.
    reads(&bed, 1, 0.0);
}
