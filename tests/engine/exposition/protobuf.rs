//! Pages in protobuf against the text of the same page, and against everything that can be wrong.

use proptest::prelude::*;
use rollguard::exposition::{
    Format, Limits, Malformed, NameSet, PageError, Reader, Reason, Sample, Sink, Tally, Whole,
};
use rollguard::model::native::NativeHistogram;

use crate::support::protobuf::{
    self, COUNTER, GAUGE, HISTOGRAM, Message, Packing, SUMMARY, UNTYPED, family, metric,
};

/// Everything the sink is told; lines, which the two formats do not share, left out.
#[derive(Debug, Default, Clone, PartialEq)]
struct Notes {
    samples: Vec<String>,
    natives: Vec<(String, NativeHistogram, Option<i64>)>,
    malformed: Vec<(Option<String>, Reason, u64)>,
}

impl Sink for Notes {
    fn sample(&mut self, sample: Sample<'_>) {
        let labels: Vec<_> = sample.labels.iter().collect();
        let Sample { name, value, timestamp, series, .. } = sample;
        self.samples.push(format!("{series} {name:?} {labels:?} {value:?} {timestamp:?}"));
    }

    fn native(&mut self, found: Sample<'_>, histogram: NativeHistogram) {
        let millis = found.timestamp.map(|time| time.as_millis());
        self.natives.push((found.series.to_owned(), histogram, millis));
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        assert!(malformed.line > 0 && malformed.column > 0);
        let name = malformed.name.map(|name| name.into_owned());
        self.malformed.push((name, malformed.reason, malformed.line));
    }
}

type Read = (Notes, Result<Tally, PageError>);

fn read<'a>(
    format: Format,
    names: Option<&NameSet>,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    whole: Whole,
) -> Read {
    let mut notes = Notes::default();
    let mut reader = Reader::new(format, Limits::default(), names);
    for chunk in chunks {
        if let Err(error) = reader.feed(chunk, &mut notes) {
            return (notes, Err(error));
        }
    }
    let tally = reader.finish(whole, &mut notes);
    (notes, tally)
}

fn plain(page: &[u8]) -> Read {
    read(Format::Protobuf, None, [page], Whole::Yes)
}

// ---- pages of both kinds ----

/// A family, to be written in either format.
#[derive(Debug, Clone)]
struct Family {
    name: &'static str,
    what: What,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Counter,
    Gauge,
    Untyped,
    Summary,
    Histogram,
    Native,
}

#[derive(Debug, Clone)]
struct Row {
    labels: Vec<(&'static str, String)>,
    values: Vec<(f64, u32)>,
    native: protobuf::Native,
    packing: Packing,
    millis: Option<i64>,
}

const LABELS: [&str; 4] = ["method", "path", "_x1", "dotted.name"];

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-1000..1000_i32).prop_map(|x| f64::from(x) / 8.0),
        any::<f64>(),
        prop::sample::select(vec![0.005, 0.01, 0.25, 1.0, 1e6, 1e-7, 123_456_789.0, f64::NAN]),
    ]
}

fn native() -> impl Strategy<Value = protobuf::Native> {
    let side = || {
        prop::collection::btree_map(-30..30_i32, 0..9_u64, 0..8)
            .prop_map(|map| map.into_iter().collect::<Vec<_>>())
    };
    let zero = (prop_oneof![Just(0.0), Just(1e-9), Just(0.3)], 0..5_u64);
    (-4..=8_i32, zero, side(), side(), number()).prop_map(
        |(schema, zero, positive, negative, sum)| {
            let (zero_threshold, zero_count) = zero;
            protobuf::Native { schema, zero_threshold, zero_count, positive, negative, sum }
        },
    )
}

fn row() -> impl Strategy<Value = Row> {
    let label = prop_oneof![Just("GET".to_owned()), Just("a\\b\n\"c\"".to_owned()), ".{0,6}"];
    let labels = prop::collection::btree_map(0..LABELS.len(), label, 0..4);
    let labels =
        labels.prop_map(|map| map.into_iter().map(|(at, value)| (LABELS[at], value)).collect());
    let values = prop::collection::vec((number(), 0..1_000_000_u32), 1..6);
    let packing = prop_oneof![Just(Packing::Apart), Just(Packing::Packed)];
    let millis = prop::option::of(-5_000_000_000..5_000_000_000_000_i64);
    (labels, values, native(), packing, millis).prop_map(
        |(labels, values, native, packing, millis)| Row { labels, values, native, packing, millis },
    )
}

fn families() -> impl Strategy<Value = Vec<Family>> {
    let name = prop_oneof![Just("m"), Just("a:total"), Just("h_seconds"), Just("dotted.metric")];
    let what = prop::sample::select(vec![
        What::Counter,
        What::Gauge,
        What::Untyped,
        What::Summary,
        What::Histogram,
        What::Native,
    ]);
    let family = (name, what, prop::collection::vec(row(), 0..4))
        .prop_map(|(name, what, rows)| Family { name, what, rows });
    prop::collection::vec(family, 0..5)
}

fn encode(families: &[Family]) -> Vec<u8> {
    families.iter().flat_map(|each| family_message(each).delimited()).collect()
}

fn family_message(each: &Family) -> Message {
    let (kind, field) = match each.what {
        What::Counter => (COUNTER, 3),
        What::Gauge => (GAUGE, 2),
        What::Untyped => (UNTYPED, 5),
        What::Summary => (SUMMARY, 4),
        What::Histogram | What::Native => (HISTOGRAM, 7),
    };
    let rows = each.rows.iter().map(|row| {
        let labels: Vec<_> = row.labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
        metric(&labels, (field, body(each.what, row)), row.millis)
    });
    family(each.name, kind, rows)
}

fn body(what: What, row: &Row) -> Message {
    let (value, count) = row.values[0];
    let head = Message::default().number(1, count.into()).float(2, value);
    match what {
        What::Counter | What::Gauge | What::Untyped => Message::default().float(1, value),
        What::Summary => row.values[1..].iter().fold(head, |message, (quantile, count)| {
            let at = Message::default().float(1, *quantile).float(2, f64::from(*count));
            message.message(3, at)
        }),
        What::Histogram => row.values[1..].iter().fold(head, |message, (bound, count)| {
            let bucket = Message::default().number(1, (*count).into()).float(2, *bound);
            message.message(3, bucket)
        }),
        What::Native => row.native.message(row.packing),
    }
}

/// Floats as Go writes them, the slow way.
fn go(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        0.0 => "0".to_owned(),
        _ if (1e-4..1e6).contains(&value.abs()) => format!("{value}"),
        _ => {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').expect("that is what `e` asks for");
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
    }
}

fn line(text: &mut String, name: &str, row: &Row, extra: Option<(&str, f64)>, value: f64) {
    let quoted = |text: &str| {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    };
    let word = |name: &str| if name.contains('.') { quoted(name) } else { name.to_owned() };
    let mut inner: Vec<String> = row
        .labels
        .iter()
        .map(|(name, value)| format!("{}={}", word(name), quoted(value)))
        .collect();
    inner.extend(extra.map(|(name, value)| format!("{name}=\"{}\"", go(value))));
    if name.contains('.') {
        inner.insert(0, quoted(name));
    } else {
        text.push_str(name);
    }
    if !inner.is_empty() {
        text.push_str(&format!("{{{}}}", inner.join(",")));
    }
    text.push_str(&format!(" {value:e}"));
    text.push_str(&row.millis.map_or("\n".to_owned(), |millis| format!(" {millis}\n")));
}

fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for Family { name, what, rows } in families {
        for row in rows {
            let (value, count) = row.values[0];
            let count = f64::from(count);
            let suffixed = |suffix| format!("{name}{suffix}");
            let (values, count, value) = if matches!(what, What::Native) {
                (&row.values[..0], row.native.count() as f64, row.native.sum)
            } else {
                (&row.values[1..], count, value)
            };
            match what {
                What::Counter | What::Gauge | What::Untyped => {
                    line(&mut text, name, row, None, value);
                    continue;
                }
                What::Summary => {
                    for (quantile, at) in values {
                        let extra = Some(("quantile", *quantile));
                        line(&mut text, name, row, extra, f64::from(*at));
                    }
                }
                What::Histogram | What::Native => {
                    for (bound, at) in values {
                        let extra = Some(("le", *bound));
                        line(&mut text, &suffixed("_bucket"), row, extra, f64::from(*at));
                    }
                    if !values.iter().any(|(bound, _)| *bound == f64::INFINITY) {
                        let extra = Some(("le", f64::INFINITY));
                        line(&mut text, &suffixed("_bucket"), row, extra, count);
                    }
                }
            }
            line(&mut text, &suffixed("_sum"), row, None, value);
            line(&mut text, &suffixed("_count"), row, None, count);
        }
    }
    text
}

proptest! {
    #[test]
    fn a_page_in_protobuf_gives_the_samples_of_the_same_page_in_text(families in families()) {
        let (found, tally) = plain(&encode(&families));
        let (expected, _) = read(Format::Text, None, [text(&families).as_bytes()], Whole::Yes);
        prop_assert_eq!(&found.samples, &expected.samples);
        prop_assert!(found.malformed.is_empty(), "{:?}", found.malformed);
        prop_assert_eq!(tally.unwrap().samples, found.samples.len() as u64);
        let rows = families.iter().filter(|f| matches!(f.what, What::Native)).flat_map(|f| &f.rows);
        let rows: Vec<&Row> = rows.collect();
        prop_assert_eq!(rows.len(), found.natives.len());
        for (row, (_, histogram, millis)) in rows.iter().zip(&found.natives) {
            let parts = histogram.parts();
            let full = |side: &[(i32, u64)]| -> Vec<(i32, f64)> {
                side.iter().filter(|b| b.1 > 0).map(|b| (b.0, b.1 as f64)).collect()
            };
            prop_assert_eq!(&parts.positive, &full(&row.native.positive));
            prop_assert_eq!(&parts.negative, &full(&row.native.negative));
            prop_assert_eq!(parts.schema, row.native.schema);
            prop_assert_eq!(parts.zero_threshold, row.native.zero_threshold);
            prop_assert_eq!(*millis, row.millis);
        }
    }

    #[test]
    fn how_a_page_is_cut_into_chunks_does_not_matter(
        families in families(), size in 1..50_usize, flips in flips()
    ) {
        let mut page = encode(&families);
        spoil(&mut page, &flips);
        let chunked = read(Format::Protobuf, None, page.chunks(size), Whole::Yes);
        let (expected, tally) = plain(&page);
        prop_assert_eq!(format!("{:?}", chunked.0), format!("{expected:?}"));
        prop_assert_eq!(chunked.1, tally);
    }

    #[test]
    fn a_selection_is_a_part_of_the_whole(families in families()) {
        let page = encode(&families);
        let (all, _) = plain(&page);
        let names = NameSet::new(["m", "h_seconds_bucket", "dotted.metric_sum"])
            .with_natives(["h_seconds"]);
        let (some, _) = read(Format::Protobuf, Some(&names), [page.as_slice()], Whole::Yes);
        let wanted = |sample: &&String| {
            ["\"m\"", "\"h_seconds_bucket\"", "\"dotted.metric_sum\""]
                .iter().any(|name| sample.contains(&format!(" {name} [")))
        };
        let expected: Vec<&String> = all.samples.iter().filter(wanted).collect();
        prop_assert_eq!(some.samples.iter().collect::<Vec<_>>(), expected);
        let natives = all.natives.iter().filter(|(series, ..)| series.starts_with("h_seconds"));
        prop_assert_eq!(some.natives.len(), natives.count());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        families in families(),
        flips in flips(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut page = encode(&families);
        spoil(&mut page, &flips);
        let _ = (plain(&page), plain(&noise));
    }

    #[test]
    fn a_page_that_is_cut_anywhere_but_between_two_families_is_lost(families in families()) {
        let page = encode(&families);
        let mut ends = vec![0];
        for each in &families {
            ends.push(ends[ends.len() - 1] + family_message(each).delimited().len());
        }
        for length in 0..page.len() {
            let (_, tally) = plain(&page[..length]);
            prop_assert_eq!(tally.is_ok(), ends.contains(&length), "at {}", length);
        }
        for whole in [Whole::Unknown, Whole::No] {
            let (_, tally) = read(Format::Protobuf, None, [page.as_slice()], whole);
            let expected = (whole != Whole::No).then_some(false);
            prop_assert_eq!(tally.map(|tally| tally.whole).ok(), expected);
        }
    }
}

fn flips() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)
}

fn spoil(page: &mut [u8], flips: &[(prop::sample::Index, u8)]) {
    if !page.is_empty() {
        flips.iter().for_each(|(at, byte)| page[at.index(page.len())] = *byte);
    }
}

// ---- what must be refused ----

fn one() -> protobuf::Native {
    protobuf::Native { positive: vec![(1, 2)], sum: 3.0, ..protobuf::Native::default() }
}

fn native_family(message: Message) -> Message {
    family("h", HISTOGRAM, [metric(&[], (7, message), None)])
}

#[track_caller]
fn spoils(family: Message, reason: Reason) {
    let after = protobuf::family("m", GAUGE, [metric(&[], (2, Message::default()), None)]);
    let page = [family.delimited(), after.delimited()].concat();
    let (found, tally) = plain(&page);
    assert!(tally.is_ok(), "{tally:?}");
    let names: Vec<_> = found.malformed.iter().map(|(name, ..)| name.as_deref()).collect();
    for name in ["h", "h_bucket", "h_sum", "h_count"] {
        assert!(names.contains(&Some(name)) || names.contains(&None), "{name} of {names:?}");
    }
    assert!(
        found.malformed.iter().all(|(_, found, line)| (*found, *line) == (reason, 1)),
        "{found:?}"
    );
    assert_eq!(found.samples.len(), 1, "{found:?}");
    assert!(found.natives.is_empty(), "{found:?}");
}

#[test]
fn a_native_histogram_of_another_kind_or_in_contradiction_spoils_its_metric_alone() {
    let (found, _) = plain(&native_family(one().message(Packing::Apart)).delimited());
    assert_eq!((found.natives.len(), found.malformed.len()), (1, 0));
    let bad = |message: Message| spoils(native_family(message), Reason::BadHistogram);
    let good = || one().message(Packing::Apart);
    bad(good().signed(5, -53));
    bad(good().signed(5, 9));
    bad(good().signed(13, 1));
    bad(good().number(1, 3));
    bad(good().number(7, 1));
    bad(good().signed(13, -3).message(12, Message::default().number(2, 1)));
    bad(good().float(14, 1.0));
    bad(good().float(6, f64::NAN));
    bad(good().message(12, Message::default().signed(1, -1)));
    bad(good().message(12, Message::default().number(2, u64::MAX)));
    bad(one().message(Packing::Apart).message(12, Message::default().signed(1, i64::MIN)));
    let far = protobuf::Native { positive: vec![(i32::MAX - 2, 1)], ..one() };
    bad(far.message(Packing::Apart));
}

#[test]
fn counts_in_floats_are_read_and_need_not_add_up() {
    let message = Message::default()
        .float(4, 7.5)
        .float(2, 9.0)
        .message(12, Message::default().signed(1, 1).number(2, 2))
        .float(14, 2.5)
        .float(14, 4.5);
    let (found, _) = plain(&native_family(message).delimited());
    assert_eq!(found.malformed, []);
    assert_eq!(found.natives[0].1.parts().positive, [(1, 2.5), (2, 4.5)]);
    assert!(found.samples[0].starts_with("h_bucket{le=\"+Inf\"} "), "{found:?}");
    assert!(found.samples[0].contains(" 7.5 "), "{found:?}");
}

#[test]
fn a_metric_that_is_not_of_its_familys_type_or_is_cut_spoils_every_name_it_may_have() {
    let counter = || metric(&[], (3, Message::default().float(1, 1.0)), None);
    spoils(family("h", HISTOGRAM, [counter()]), Reason::BadFamily);
    spoils(family("h", 6, []), Reason::BadFamily);
    spoils(family("h", COUNTER, [Message(vec![0x0a, 9])]), Reason::BadMessage);
    let late = Message::default().message(4, counter()).bytes(1, "h");
    let (found, _) = plain(&late.delimited());
    assert_eq!(found.malformed[0], (None, Reason::MissingName, 1));
    assert!(found.samples.is_empty());
    let twice = metric(&[("le", "1")], (7, one().message(Packing::Apart)), None);
    spoils(family("h", HISTOGRAM, [twice]), Reason::DuplicateLabel);
}

#[test]
fn a_broken_field_of_a_family_spoils_it_and_the_next_is_found_by_its_length() {
    let broken = |bytes: &[u8]| {
        let mut message = Message::default().bytes(1, "h").number(3, HISTOGRAM);
        message.0.extend(bytes);
        message
    };
    spoils(broken(&[0x22, 0x7f]), Reason::BadMessage);
    spoils(broken(&[0xff]), Reason::BadMessage);
    spoils(broken(&[0x23]), Reason::BadMessage);
    spoils(broken(&[0x21, 0, 0, 0, 0, 0, 0, 0, 0]), Reason::BadMessage);
}

#[test]
fn what_is_no_delimited_protobuf_fails_as_a_page() {
    let (_, tally) = plain(&[0xff; 20]);
    assert_eq!(tally, Err(PageError::NotDelimited { at: 0 }));
    // However it comes, and wherever it begins.
    let late = [&Message::default().delimited()[..], &[0xff; 20]].concat();
    for size in 1..late.len() {
        let (_, tally) = read(Format::Protobuf, None, late.chunks(size), Whole::Yes);
        assert_eq!(tally, Err(PageError::NotDelimited { at: 1 }), "in chunks of {size}");
    }
    let (_, tally) = plain(b"<html>an error page, far longer than its first byte says</html>");
    assert!(tally.is_err(), "{tally:?}");
    let limits = Limits { line_bytes: 4, samples: 1, ..Limits::default() };
    let check = |page: Message, expected| {
        let mut reader = Reader::new(Format::Protobuf, limits, None);
        let fed = reader.feed(&page.delimited(), &mut Notes::default());
        assert_eq!(fed, Err(expected));
    };
    let large = Message::default().bytes(1, "m").bytes(4, vec![0; 65]);
    check(large, PageError::LineTooLong { line: 1, limit: 64 });
    let two = [(); 2].map(|()| metric(&[], (2, Message::default()), None));
    check(family("m", GAUGE, two), PageError::TooManySamples { limit: 1 });
}

#[test]
fn an_unwanted_family_is_passed_over_without_a_look_inside() {
    let mut message = Message::default().bytes(1, "other");
    message.0.extend([0xff; 100]);
    let names = NameSet::new(["m"]);
    let page = message.delimited();
    let (found, tally) = read(Format::Protobuf, Some(&names), page.chunks(7), Whole::Yes);
    assert_eq!((found, tally.unwrap().lines), (Notes::default(), 1));
}
