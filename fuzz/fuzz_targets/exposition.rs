//! The reader of metrics pages on arbitrary bytes.
//!
//! `cargo fuzz run exposition`. The first bytes choose the format and how the page is cut into
//! chunks; the rest is the page. It must not panic, chunking must not matter, a line must read the
//! same whatever stands before it, and a selection must be a part of the whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollguard::exposition::{
    Format, Limits, Malformed, NameSet, PageError, Reader, Sample, Sink, StrictReader, Tally, Whole,
};

#[derive(Debug, Default, PartialEq)]
struct Notes {
    samples: Vec<(String, String)>,
    malformed: Vec<String>,
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
    let [choice, size, page @ ..] = data else { return };
    let format = if choice & 1 == 0 { Format::Text } else { Format::OpenMetrics };
    let (one, tally) = read(format, None, [page]);
    let chunks = page.chunks(usize::from(*size).max(1));
    let failed = tally.is_err();
    assert_eq!(read(format, None, chunks), (one, tally));
    // A page past a limit ends early; many lines make the next step slow and no more telling.
    if failed || page.split(|&byte| byte == b'\n').count() > 64 {
        return;
    }

    let (mut all, _) = read(Format::Text, None, [page]);
    let mut alone = Notes::default();
    for (index, line) in page.split(|&byte| byte == b'\n').enumerate() {
        let padded = [vec![b'\n'; index].as_slice(), line].concat();
        let (notes, _) = read(Format::Text, None, [padded.as_slice()]);
        alone.samples.extend(notes.samples);
        alone.malformed.extend(notes.malformed);
    }
    assert_eq!(alone, all);

    let names = NameSet::new(["m", "a.b"]);
    let (some, _) = read(Format::Text, Some(&names), [page]);
    all.samples.retain(|(name, _)| name == "m" || name == "a.b");
    assert_eq!(some.samples, all.samples);

    let mut strict = StrictReader::new(Limits::default());
    if strict.feed(page, &mut Notes::default()).is_ok() {
        let _ = strict.finish(&mut Notes::default());
    }
});
