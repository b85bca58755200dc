//! What must hold for every page, however it is made and however it arrives.

use proptest::prelude::*;
use rollguard::exposition::{
    Format, Limits, Malformed, NameSet, PageError, Reader, Sample, Sink, StrictReader, Tally, Whole,
};

/// Everything the sink is told, in words.
#[derive(Debug, Default, Clone, PartialEq)]
struct Notes {
    samples: Vec<(String, String)>,
    malformed: Vec<(Option<String>, String)>,
}

impl Sink for Notes {
    fn sample(&mut self, sample: Sample<'_>) {
        let labels: Vec<_> = sample.labels.iter().collect();
        let exemplar = sample.exemplar.map(|exemplar| {
            let labels: Vec<_> = exemplar.labels.iter().collect();
            format!("{labels:?} {:?} {:?}", exemplar.value, exemplar.timestamp)
        });
        let Sample { value, timestamp, line, series, .. } = sample;
        let words = format!("{line} {labels:?} {value:?} {timestamp:?} {exemplar:?} {series:?}");
        self.samples.push((sample.name.into_owned(), words));
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        let words = format!("{malformed:?}");
        assert!(malformed.text.chars().count() <= Malformed::EXCERPT_BYTES);
        self.malformed.push((malformed.name.map(|name| name.into_owned()), words));
    }
}

type Read = (Notes, Result<Tally, PageError>);

fn read<'a>(
    format: Format,
    limits: Limits,
    names: Option<&NameSet>,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    whole: Whole,
) -> Read {
    let mut notes = Notes::default();
    let mut reader = Reader::new(format, limits, names);
    for chunk in chunks {
        if let Err(error) = reader.feed(chunk, &mut notes) {
            return (notes, Err(error));
        }
    }
    let tally = reader.finish(whole, &mut notes);
    (notes, tally)
}

fn plain(page: &[u8]) -> Read {
    read(Format::Text, Limits::default(), None, [page], Whole::Yes)
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Text), Just(Format::OpenMetrics)]
}

fn whole() -> impl Strategy<Value = Whole> {
    prop_oneof![Just(Whole::Yes), Just(Whole::Unknown), Just(Whole::No)]
}

/// A line in which everything can be wrong, and mostly something is.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("m"),
        Just("m_total"),
        Just("n"),
        Just("{"),
        Just("}"),
        Just("\""),
        Just("\\"),
        Just("="),
        Just(","),
        Just(" "),
        Just("\t"),
        Just("a=\"1\""),
        Just("b=\"2\","),
        Just("{a=\"1\",b=\"x\"} 1"),
        Just("1"),
        Just("-2.5"),
        Just("NaN"),
        Just("#"),
        Just(" # {t=\"1\"} 1 2"),
        Just("# EOF"),
        Just("{\"m.n\"} 1"),
        Just("\r"),
        Just("é"),
        Just("\u{0}"),
        Just("__name__=\"x\""),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// Lines that share beginnings, as those of a family do, some of them mangled.
fn line() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just("a=\"1\""),
        Just("a=\"2\""),
        Just("a=\"12\""),
        Just("a=\"1,\""),
        Just("b=\"x,y\""),
        Just("b=\"\\\"}\""),
        Just("\"c.d\"=\"\""),
        Just("le=\"+Inf\""),
        Just("le=\"0.5\""),
        Just("a\\\\=\"1\""),
        Just("\"e\\\\\"=\"\"")
    ];
    let name = prop_oneof![Just("m"), Just("m_total"), Just("n"), Just("")];
    let tail = prop_oneof![
        Just("} 1"),
        Just("} 2.5"),
        Just(",} NaN 7"),
        Just("}"),
        Just("} x"),
        Just(" 1")
    ];
    let labels = prop::collection::vec(label, 0..5);
    let good = (name, labels, tail)
        .prop_map(|(name, labels, tail)| format!("{name}{{{}{tail}", labels.join(",")));
    prop_oneof![8 => good, 2 => soup()]
}

fn page() -> impl Strategy<Value = String> {
    (prop::collection::vec(line(), 0..20), prop_oneof![Just("\n"), Just("")])
        .prop_map(|(lines, end)| lines.join("\n") + end)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        format in format(),
        whole in whole(),
    ) {
        let _ = read(format, Limits::default(), None, [bytes.as_slice()], whole);
        let mut strict = StrictReader::new(Limits::default());
        if strict.feed(&bytes, &mut Notes::default()).is_ok() {
            let _ = strict.finish(&mut Notes::default());
        }
    }

    #[test]
    fn chunks_of_any_size_read_as_one(
        page in page(),
        cuts in prop::collection::vec(1_usize..40, 1..8),
        format in format(),
        whole in whole(),
    ) {
        let one = read(format, Limits::default(), None, [page.as_bytes()], whole);
        let mut chunks = Vec::new();
        let mut rest = page.as_bytes();
        for &cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, tail) = rest.split_at(cut.min(rest.len()));
            chunks.push(chunk);
            rest = tail;
        }
        prop_assert_eq!(read(format, Limits::default(), None, chunks, whole), one);
    }

    #[test]
    fn selecting_names_is_filtering_what_reading_everything_finds(page in page()) {
        let wanted = ["m", "m.n"];
        let names = NameSet::new(wanted);
        let (all, _) = plain(page.as_bytes());
        let (some, tally) =
            read(Format::Text, Limits::default(), Some(&names), [page.as_bytes()], Whole::Yes);
        let samples: Vec<_> =
            all.samples.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect();
        let tally = tally.unwrap();
        prop_assert_eq!(tally.samples, samples.len() as u64);
        prop_assert_eq!(tally.malformed, some.malformed.len() as u64);
        prop_assert_eq!(some.samples, samples);
        // Of the malformed lines, those that may be about a selected metric. A line that begins
        // with a digit is about none.
        for (name, words) in all.malformed {
            let about = name.as_deref().is_some_and(|name| wanted.contains(&name));
            let reported = some.malformed.iter().any(|(_, other)| *other == words);
            prop_assert!(reported || !about, "{}", words);
            prop_assert!(!reported || about || name.is_none(), "{}", words);
        }
    }

    #[test]
    fn the_line_before_changes_nothing(page in page()) {
        let (together, _) = plain(page.as_bytes());
        let mut alone = Notes::default();
        for (index, line) in page.split('\n').enumerate() {
            let padded = format!("{}{line}", "\n".repeat(index));
            let (notes, _) = plain(padded.as_bytes());
            alone.samples.extend(notes.samples);
            alone.malformed.extend(notes.malformed);
        }
        // `# EOF` is a comment in the text format, so no line depends on another.
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn limits_are_honoured(
        page in page(),
        body_bytes in 0_u64..200,
        line_bytes in 0_usize..40,
        labels in 0_usize..4,
        samples in 0_u64..6,
    ) {
        let limits = Limits { body_bytes, line_bytes, labels, samples };
        let (notes, tally) = read(Format::Text, limits, None, [page.as_bytes()], Whole::Yes);
        prop_assert!(notes.samples.len() as u64 <= samples);
        let longest = page.split('\n').map(str::len).max().unwrap_or(0);
        match tally {
            Ok(_) => prop_assert!(page.len() as u64 <= body_bytes && longest <= line_bytes),
            Err(PageError::BodyTooLarge { .. }) => prop_assert!(page.len() as u64 > body_bytes),
            Err(PageError::LineTooLong { .. }) => prop_assert!(longest > line_bytes),
            Err(PageError::TooManySamples { .. }) => {
                prop_assert!(plain(page.as_bytes()).0.samples.len() as u64 > samples);
            }
            Err(PageError::TooManyLabels { .. }) => {}
            Err(PageError::Truncated { .. }) => prop_assert!(false, "the page is whole"),
            Err(PageError::TooManyBuckets { .. } | PageError::NotDelimited { .. }) => {
                prop_assert!(false, "the page is text");
            }
        }
    }

    #[test]
    fn a_page_cut_anywhere_yields_no_sample_that_the_whole_page_lacks(
        page in page(),
        at in any::<prop::sample::Index>(),
    ) {
        let bytes = page.as_bytes();
        let cut = &bytes[..at.index(bytes.len() + 1)];
        let (whole, _) = plain(bytes);
        let (part, tally) = read(Format::Text, Limits::default(), None, [cut], Whole::Unknown);
        prop_assert!(whole.samples.starts_with(&part.samples));
        // Without a trailing newline nothing proves the page whole, except the end marker.
        prop_assert!(tally.is_ok_and(|tally| !tally.whole || tally.eof));
    }

    #[test]
    fn any_label_value_survives_being_written_and_read(
        values in prop::collection::vec(any::<String>(), 1..5),
    ) {
        let escape = |text: &str| {
            text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
        };
        let pairs: Vec<_> =
            values.iter().enumerate().map(|(i, v)| format!("l{i}=\"{}\"", escape(v))).collect();
        struct Values(Vec<String>);
        impl Sink for Values {
            fn sample(&mut self, sample: Sample<'_>) {
                self.0 = sample.labels.iter().map(|(_, value)| value.into_owned()).collect();
            }
            fn malformed(&mut self, malformed: Malformed<'_>) {
                panic!("{malformed:?}");
            }
        }
        let mut found = Values(Vec::new());
        let mut reader = Reader::new(Format::Text, Limits::default(), None);
        reader.feed(format!("m{{{}}} 1\n", pairs.join(",")).as_bytes(), &mut found).unwrap();
        prop_assert_eq!(found.0, values);
    }

    /// Where prometheus-parse is right: no commas, braces, equals signs or escapes in values, no
    /// spaces around labels, plain numbers, millisecond timestamps, no types.
    #[test]
    fn plain_pages_read_as_prometheus_parse_reads_them(
        rows in prop::collection::vec(
            (
                "[a-z_][a-z0-9_]{0,12}",
                prop::collection::btree_map(
                    "[a-z][a-z0-9_]{0,6}",
                    "[a-zA-Z0-9/:. #é-]{0,10}",
                    0..4,
                ),
                any::<i32>().prop_map(|n| f64::from(n) / 16.0),
                prop::option::of(0_i64..4_000_000_000_000),
            ),
            0..12,
        ),
    ) {
        let mut page = String::new();
        for (name, labels, value, time) in &rows {
            let pairs: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
            let inner = pairs.join(",");
            let braces = if inner.is_empty() { inner } else { format!("{{{inner}}}") };
            let time = time.map_or(String::new(), |time| format!(" {time}"));
            page += &format!("{name}{braces} {value}{time}\n");
        }
        let lines = page.lines().map(|line| Ok(line.to_owned()));
        let theirs = prometheus_parse::Scrape::parse(lines).unwrap();
        type Row = (String, Vec<(String, String)>, f64, Option<i64>);
        struct Rows(Vec<Row>);
        impl Sink for Rows {
            fn sample(&mut self, sample: Sample<'_>) {
                let labels = sample.labels.iter();
                let mut labels: Vec<_> =
                    labels.map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
                labels.sort_unstable();
                let time = sample.timestamp.map(|time| time.as_millis());
                self.0.push((sample.name.into_owned(), labels, sample.value, time));
            }
            fn malformed(&mut self, malformed: Malformed<'_>) {
                panic!("{malformed:?}");
            }
        }
        let mut ours = Rows(Vec::new());
        let mut reader = Reader::new(Format::Text, Limits::default(), None);
        reader.feed(page.as_bytes(), &mut ours).unwrap();
        prop_assert_eq!(ours.0.len(), theirs.samples.len());
        for (ours, theirs) in ours.0.iter().zip(&theirs.samples) {
            prop_assert_eq!(&ours.0, &theirs.metric);
            let mut labels: Vec<_> =
                theirs.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            labels.sort_unstable();
            prop_assert_eq!(&ours.1, &labels);
            prop_assert_eq!(&theirs.value, &prometheus_parse::Value::Untyped(ours.2));
            if let Some(time) = ours.3 {
                prop_assert_eq!(time, theirs.timestamp.timestamp_millis());
            }
        }
    }
}
