//! The reader of pages in protobuf on arbitrary bytes.
//!
//! `cargo fuzz run protobuf`. The first byte says how the page is cut into chunks; the rest is the
//! page. It must not panic, chunking must not matter, a selection must be a part of the whole, and
//! what it gives as a series the reader of text must read as the same series.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollguard::model::native::NativeHistogram;
use rollguard::exposition::{
    Format, Limits, Malformed, NameSet, PageError, Reader, Sample, Sink, Tally, Whole,
};

#[derive(Debug, Default, Clone, PartialEq)]
struct Notes {
    samples: Vec<(String, String)>,
    natives: Vec<String>,
    malformed: Vec<String>,
    series: Vec<String>,
}

impl Sink for Notes {
    fn sample(&mut self, sample: Sample<'_>) {
        let labels: Vec<_> = sample.labels.iter().collect();
        let Sample { value, timestamp, line, series, .. } = sample;
        self.series.push(series.to_owned());
        let words = format!("{line} {labels:?} {value:?} {timestamp:?} {series:?}");
        self.samples.push((sample.name.into_owned(), words));
    }

    fn native(&mut self, sample: Sample<'_>, histogram: NativeHistogram) {
        let Sample { series, timestamp, .. } = sample;
        self.natives.push(format!("{series} {histogram:?} {timestamp:?}"));
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        self.malformed.push(format!("{malformed:?}"));
    }
}

fn read<'a>(
    format: Format,
    names: Option<&NameSet>,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Notes, Result<Tally, PageError>) {
    let mut notes = Notes::default();
    let mut reader = Reader::new(format, Limits::default(), names);
    for chunk in chunks {
        if let Err(error) = reader.feed(chunk, &mut notes) {
            return (notes, Err(error));
        }
    }
    let tally = reader.finish(Whole::Yes, &mut notes);
    (notes, tally)
}

fuzz_target!(|data: &[u8]| {
    let [size, page @ ..] = data else { return };
    let (all, tally) = read(Format::Protobuf, None, [page]);
    let chunks = page.chunks(usize::from(*size).max(1));
    let failed = tally.is_err();
    assert_eq!(read(Format::Protobuf, None, chunks), (all.clone(), tally));
    if failed {
        return;
    }
    let text: String = all.series.iter().map(|series| format!("{series} 1\n")).collect();
    let (back, _) = read(Format::Text, None, [text.as_bytes()]);
    assert_eq!(back.series, all.series);

    let names = NameSet::new(["m", "m_bucket"]);
    let (some, _) = read(Format::Protobuf, Some(&names), [page]);
    let wanted = |sample: &&(String, String)| sample.0 == "m" || sample.0 == "m_bucket";
    assert_eq!(
        some.samples.iter().collect::<Vec<_>>(),
        all.samples.iter().filter(wanted).collect::<Vec<_>>()
    );
});
