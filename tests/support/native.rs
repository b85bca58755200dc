//! Pages with histograms in protobuf, and an evaluator that reads them.

use std::time::Duration;

use rollguard::exposition::{Format, Limits, Malformed, Reader, Sample, Sink, Whole};
use rollguard::model::index::TargetIx;
use rollguard::model::native::NativeHistogram;
use rollguard::model::reading::Reading;
use rollguard::model::scrape::{MalformedLine, Page, Scrape};
use rollguard::model::signal::{Reduction, SignalKind};
use rollguard::model::time::{Instant, Timestamp};

use super::bed::{Bed, plan, secs, selector, signal, target, wall};
use super::protobuf::{HISTOGRAM, Message, Native, family, metric};

struct Filler(Page);

impl Sink for Filler {
    fn sample(&mut self, sample: Sample<'_>) {
        let timestamp = sample.timestamp.map(|time| Timestamp::from_millis(time.as_millis()));
        self.0.push(sample.series, sample.value, timestamp);
    }

    fn native(&mut self, found: Sample<'_>, histogram: NativeHistogram) {
        let timestamp = found.timestamp.map(|time| Timestamp::from_millis(time.as_millis()));
        self.0.push_native(found.series, histogram, timestamp);
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        let name = malformed.name.map(|name| name.into_owned());
        let reason = malformed.reason.to_string();
        self.0.push_malformed(MalformedLine { line: malformed.line, name, reason });
    }
}

pub(crate) fn page(families: impl IntoIterator<Item = Message>) -> Page {
    let bytes: Vec<u8> = families.into_iter().flat_map(Message::delimited).collect();
    let mut filler = Filler(Page::default());
    let mut reader = Reader::new(Format::Protobuf, Limits::default(), None);
    reader.feed(&bytes, &mut filler).unwrap();
    filler.0.bytes = reader.finish(Whole::Yes, &mut filler).unwrap().bytes;
    filler.0
}

pub(crate) fn feed(bed: &mut Bed, number: usize, second: u64, families: Vec<Message>) {
    let at = Instant::ZERO.after(secs(second));
    let (result, took) = (Ok(page(families)), Duration::ZERO);
    bed.judge.observe(&Scrape { target: TargetIx(number), at, wall: wall(at), took, result });
}

pub(crate) fn bed(targets: usize) -> Bed {
    let kinds = [
        SignalKind::Series {
            of: selector("h"),
            reduction: Reduction::Quantile(0.5),
            window: secs(20),
        },
        SignalKind::Series { of: selector("h"), reduction: Reduction::Mean, window: secs(20) },
    ];
    let signals = kinds.into_iter().zip(["p50", "mean"]).map(|(kind, name)| signal(name, kind));
    let targets = ["a", "b"][..targets].iter().map(|name| target(name, secs(1))).collect();
    Bed::new(&plan(targets, signals.collect(), Vec::new()))
}

pub(crate) fn native(positive: &[(i32, u64)]) -> Native {
    Native { positive: positive.to_vec(), sum: 1.0, ..Native::default() }
}

/// Buckets up to 1 and 10, and all.
pub(crate) fn classic(message: Message, [one, ten, all]: [u64; 3]) -> Message {
    [(1.0, one), (10.0, ten), (f64::INFINITY, all)].into_iter().fold(
        message.number(1, all),
        |message, (bound, count)| {
            message.message(3, Message::default().number(1, count).float(2, bound))
        },
    )
}

pub(crate) fn h(rows: &[(&str, Message)]) -> Vec<Message> {
    let rows = rows.iter().map(|(s, what)| metric(&[("s", *s)], (7, what.clone()), None));
    vec![family("h", HISTOGRAM, rows)]
}

#[track_caller]
pub(crate) fn reads(bed: &Bed, signal: usize, expected: f64) {
    let Reading::Value(value) = bed.reading(signal) else { panic!("{:?}", bed.reading(signal)) };
    assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
}
