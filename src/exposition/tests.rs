//! The reader as its callers see it: pages in, what the sink was told out.

use std::fmt::Write;

use super::*;

/// Writes down what it is told, one line each.
#[derive(Debug, Default, Clone, PartialEq)]
struct Notes(String);

impl Sink for Notes {
    fn sample(&mut self, sample: Sample<'_>) {
        let Sample { name, labels, value, timestamp, exemplar, line, .. } = sample;
        let show = |labels: Labels<'_>| {
            let pairs: Vec<_> = labels
                .iter()
                .map(|(name, value)| format!("{name}={value}").replace('\n', "⏎"))
                .collect();
            pairs.join("|")
        };
        write!(self.0, "{line} {name}[{}] {value:?}", show(labels)).unwrap();
        if let Some(timestamp) = timestamp {
            write!(self.0, " @{timestamp}").unwrap();
        }
        if let Some(Exemplar { labels, value, timestamp }) = exemplar {
            write!(self.0, " #[{}] {value:?}", show(labels)).unwrap();
            if let Some(timestamp) = timestamp {
                write!(self.0, " @{timestamp}").unwrap();
            }
        }
        self.0.push('\n');
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        let Malformed { line, column, reason, name, .. } = malformed;
        let name = name.as_deref().unwrap_or("?");
        writeln!(self.0, "{line}:{column} {name}: {reason}").unwrap();
    }
}

/// Writes down types alone.
#[derive(Default)]
struct Kinds(Vec<String>);

impl Sink for Kinds {
    fn sample(&mut self, _: Sample<'_>) {}

    fn malformed(&mut self, _: Malformed<'_>) {}

    fn kind(&mut self, family: &str, kind: &str) {
        self.0.push(format!("{family}={kind}"));
    }
}

#[test]
fn types_are_told_of_a_page_that_is_read_whole_and_only_then() {
    let page = b"# TYPE a counter\n#TYPE  b\tgauge \r\n# TYPE \"c.d\" histogram\n# TYPE e\n\
                 # TYPE \"f\\\"\" gauge\n# HELP g TYPE h counter\n# TYPES i gauge\n\
                 # TYPE \xff gauge\n";
    let kinds = |names: Option<&NameSet>| {
        let mut kinds = Kinds::default();
        let mut reader = Reader::new(Format::Text, Limits::default(), names);
        reader.feed(page, &mut kinds).unwrap();
        reader.finish(Whole::Yes, &mut kinds).unwrap();
        kinds.0
    };
    assert_eq!(kinds(None), ["a=counter", "b=gauge", "c.d=histogram"]);
    assert_eq!(kinds(Some(&NameSet::new(["a"]))), Vec::<String>::new());
}

fn read(
    format: Format,
    limits: Limits,
    names: Option<&NameSet>,
    chunks: &[&[u8]],
    whole: Whole,
) -> (String, Result<Tally, PageError>) {
    let mut notes = Notes::default();
    let mut reader = Reader::new(format, limits, names);
    for chunk in chunks {
        if let Err(error) = reader.feed(chunk, &mut notes) {
            return (notes.0, Err(error));
        }
    }
    let tally = reader.finish(whole, &mut notes);
    (notes.0, tally)
}

/// Reads a whole page with every metric selected and compares what the sink was told.
#[track_caller]
fn check(format: Format, page: &[u8], expected: &str) {
    let (notes, tally) = read(format, Limits::default(), None, &[page], Whole::Yes);
    let shown = String::from_utf8_lossy(page);
    assert_eq!(notes.trim_end(), expected.trim_end(), "{shown}");
    let tally = tally.unwrap();
    let malformed = notes.lines().filter(|line| line.split(' ').next().unwrap().contains(':'));
    assert_eq!(tally.malformed, malformed.count() as u64, "{shown}");
    assert_eq!(tally.samples + tally.malformed, notes.lines().count() as u64, "{shown}");
}

#[track_caller]
fn text(page: &str, expected: &str) {
    check(Format::Text, page.as_bytes(), expected);
}

#[track_caller]
fn open(page: &str, expected: &str) {
    check(Format::OpenMetrics, page.as_bytes(), expected);
}

#[test]
fn a_label_value_can_forge_neither_a_value_nor_a_label() {
    text(r#"m{code="500",path="/x} 1e9 "} 3"#, "1 m[code=500|path=/x} 1e9 ] 3.0");
    text(r#"m{code="200",path="/q?a,code=500,b"} 3"#, "1 m[code=200|path=/q?a,code=500,b] 3.0");
    text(r#"m_bucket{le="1",path="/x,le=+Inf,y"} 3"#, "1 m_bucket[le=1|path=/x,le=+Inf,y] 3.0");
    text(r#"m{a="x # {t=\"1\"} 5"} 3"#, "1 m[a=x # {t=\"1\"} 5] 3.0");
}

#[test]
fn everything_that_prometheus_writes_is_read() {
    text(r#"m{a="x,y",b="z"} 1"#, "1 m[a=x,y|b=z] 1.0");
    text(r#"m{path="/q?a=1",b="z"} 1"#, "1 m[path=/q?a=1|b=z] 1.0");
    text(r#"m{route="/u/{id}"} 1"#, "1 m[route=/u/{id}] 1.0");
    text(r#"m{a="x\"y",b="C:\\dir"} 1"#, r#"1 m[a=x"y|b=C:\dir] 1.0"#);
    text(r#"m{a="l1\nl2"} 1"#, "1 m[a=l1⏎l2] 1.0");
    text("job:err:rate5m 0.2", "1 job:err:rate5m[] 0.2");
    text(r#"m{a="1",} 1"#, "1 m[a=1] 1.0");
    text(r#"m{a=""} 1"#, "1 m[a=] 1.0");
    text("m 1 1700000000500", "1 m[] 1.0 @1700000000.5");
    text("m 1 -1500", "1 m[] 1.0 @-1.5");
    text("m +Inf\nm -Inf\nm NaN\nm 1e-3", "1 m[] inf\n2 m[] -inf\n3 m[] NaN\n4 m[] 0.001");
    text("m 1\r\nm 2\r\n\r\n", "1 m[] 1.0\n2 m[] 2.0");
    text("# HELP m x\n# TYPE m counter\n#\n# UNIT\n\nm 1\n", "6 m[] 1.0");
    text(r#"m{a="é漢#"} 1"#, "1 m[a=é漢#] 1.0");
    open("m_total 1 1700000000.123456789\n# EOF\n", "1 m_total[] 1.0 @1700000000.123456789");
    open("m_created 1.7e9\n# EOF", "1 m_created[] 1700000000.0");
}

#[test]
fn spaces_may_stand_where_prometheus_lets_them() {
    for page in [
        r#"m{a="1", b="2"} 1"#,
        r#"m {a="1",b="2"} 1"#,
        r#"m{a = "1" , b="2",} 1"#,
        "  m\t{\ta=\"1\"\t,b\t=\t\"2\"\t,\t}\t1\t",
        r#"m{a="1",b="2"}1"#,
        "m{a=\"1\",b=\"2\"}   1 \t\r",
    ] {
        text(page, "1 m[a=1|b=2] 1.0");
    }
    for page in ["m{} 1", "m{ } 1", "m {} 1", "m\t1", "m   1  ", "  m 1"] {
        text(page, "1 m[] 1.0");
    }
}

#[test]
fn names_may_be_quoted() {
    text(r#"{"my.name",a="b"} 1"#, "1 my.name[a=b] 1.0");
    text(r#"{"my.name"} 1"#, "1 my.name[] 1.0");
    text(r#"{ "my.name" , } 1"#, "1 my.name[] 1.0");
    text(r#"{a="b","my.name"} 1"#, "1 my.name[a=b] 1.0");
    text(r#"m{"l.x"="b"} 1"#, "1 m[l.x=b] 1.0");
    text(r#"{"a \"b\" é{}","l\\"="v"} 1"#, r#"1 a "b" é{}[l\=v] 1.0"#);
}

#[test]
fn exemplars_are_read_in_both_formats() {
    let page = r##"m_bucket{le="1"} 3 # {trace_id="x\"}#"} 0.5 1.25"##;
    let expected = r##"1 m_bucket[le=1] 3.0 #[trace_id=x"}#] 0.5 @1.25"##;
    text(page, expected);
    open(page, expected);
    open("m 3 12.5 # {} 1", "1 m[] 3.0 @12.5 #[] 1.0");
    text("m 3 12500 # {} 1", "1 m[] 3.0 @12.5 #[] 1.0");
}

#[test]
fn a_malformed_line_is_located_and_does_not_lose_the_rest() {
    for (line, expected) in [
        ("5xx_total 3", "1:1 ?: not a metric name"),
        ("mé 1", "1:2 m: not a metric name"),
        ("m\u{a0}1", "1:2 m: not a metric name"),
        ("\u{feff}m 1", "1:1 ?: not a metric name"),
        ("a.b 1", "1:2 a: not a metric name"),
        ("=m 1", "1:1 ?: not a metric name"),
        ("\"m\" 1", "1:1 ?: not a metric name"),
        ("<html>", "1:1 ?: not a metric name"),
        ("m", "1:2 m: no value"),
        ("m ", "1:2 m: no value"),
        ("m{}", "1:4 m: no value"),
        ("m abc", "1:3 m: not a number"),
        ("m 1_000", "1:3 m: not a number"),
        ("m 0x1p-2", "1:3 m: not a number"),
        ("m 1e999", "1:3 m: number out of range"),
        ("m 1 2 3", "1:7 m: text after the sample"),
        ("m 1 abc", "1:5 m: not a timestamp"),
        ("m 1 1700000000.5", "1:5 m: not a timestamp"),
        ("m 1 2,", "1:5 m: not a timestamp"),
        (r#"m{a="1" 1"#, "1:9 m: expected , or } after the label"),
        (r#"m{a="1""#, "1:2 m: unterminated braces"),
        (r#"m{a="1","#, "1:2 m: unterminated braces"),
        ("m{", "1:2 m: unterminated braces"),
        (r#"m{a="1} 1"#, "1:5 m: unterminated quote"),
        (r#"m{a="1\"} 1"#, "1:5 m: unterminated quote"),
        (r#"m{a="1\"#, "1:5 m: unterminated quote"),
        ("m{a=1} 1", "1:5 m: expected a quoted label value"),
        ("m{a=} 1", "1:5 m: expected a quoted label value"),
        ("m{a} 1", "1:4 m: expected = after the label name"),
        ("m{1a=\"\"} 1", "1:3 m: not a label name"),
        ("m{a:b=\"\"} 1", "1:4 m: expected = after the label name"),
        ("m{=\"\"} 1", "1:3 m: not a label name"),
        ("m{\"\"=\"\"} 1", "1:3 m: not a label name"),
        ("m{,} 1", "1:3 m: not a label name"),
        ("m{a=\"\",,} 1", "1:8 m: not a label name"),
        ("m{a=\"\",a=\"\"} 1", "1:8 m: duplicate label name"),
        ("m{a=\"\",\"a\"=\"\"} 1", "1:8 m: duplicate label name"),
        (r#"m{"a\\"="","b"="","a\\"=""} 1"#, "1:19 m: duplicate label name"),
        (r#"m{"\\x"="","a\x"="","\\x"=""} 1"#, "1:21 m: duplicate label name"),
        ("m{__name__=\"n\"} 1", "1:3 m: the label name __name__ is reserved"),
        ("{__name__=\"n\"} 1", "1:2 ?: the label name __name__ is reserved"),
        ("m{\"n\"} 1", "1:3 m: a second metric name"),
        ("{\"m\",\"n\"} 1", "1:6 m: a second metric name"),
        ("{\"\"} 1", "1:2 ?: not a label name"),
        ("{m} 1", "1:3 ?: expected = after the label name"),
        ("{a=\"b\"} 1", "1:1 ?: no metric name"),
        ("{} 1", "1:1 ?: no metric name"),
        ("m{} 1 # x", "1:9 m: not an exemplar"),
        ("m{} 1 # {a=\"b\"}", "1:16 m: no value"),
        ("m{} 1 # {\"n\"} 1", "1:13 m: expected = after the label name"),
        ("m{} 1 # {} 1 2 3", "1:16 m: text after the sample"),
        ("m{} 1 # {} 1 x", "1:14 m: not a timestamp"),
    ] {
        text(line, expected);
        let second = expected.replacen("1:", "2:", 1);
        text(&format!("ok 1\n{line}\nok 3"), &format!("1 ok[] 1.0\n{second}\n3 ok[] 3.0"));
    }
}

#[test]
fn invalid_utf8_loses_its_line_only_and_only_if_the_line_is_selected() {
    check(Format::Text, b"m{a=\"\xff\"} 1\nm 2", "1:6 m: invalid UTF-8\n2 m[] 2.0");
    check(Format::Text, b"# HELP m \xff\nm 2", "2 m[] 2.0");
    let names = NameSet::new(["m"]);
    let page: &[u8] = b"n{a=\"\xff\"} 1\n{\"n\",a=\"\xff\"} 1\n{\"\xff\"} 1\nm 2\n";
    let (notes, _) = read(Format::Text, Limits::default(), Some(&names), &[page], Whole::Yes);
    assert_eq!(notes, "4 m[] 2.0\n");
}

#[test]
fn lines_of_other_metrics_are_not_validated() {
    let names = NameSet::new(["m", "my.name"]);
    let page =
        b"n{{{\nmm 1 2 3 4\nm_ x\n5m 1\n{\"n\" x\n{\"n\"} x\n{\"my.name\"} 1\nm{ 1\n{x\n\"m\" 1\n";
    let (notes, _) = read(Format::Text, Limits::default(), Some(&names), &[page], Whole::Yes);
    let expected = "7 my.name[] 1.0\n8:4 m: not a label name\n\
                    9:3 ?: expected = after the label name\n\
                    10:1 ?: not a metric name\n";
    assert_eq!(notes, expected);
}

#[test]
fn a_page_past_a_limit_fails_whole() {
    let limits = Limits { body_bytes: 40, line_bytes: 20, labels: 2, samples: 3 };
    let rows: [(&str, Result<u64, PageError>); 8] = [
        ("m 1\nm 2\nm 3\n", Ok(3)),
        ("m 1\nm 2\nm 3\nm 4\n", Err(PageError::TooManySamples { limit: 3 })),
        ("m{a=\"\",b=\"\"} 1\n", Ok(1)),
        ("m{a=\"\",b=\"\",c=\"\"} 1", Err(PageError::TooManyLabels { line: 1, limit: 2 })),
        ("m 12345678901234567.", Ok(1)),
        ("m 1\nm 123456789012345678", Ok(2)),
        ("m 1\n#2345678901234567890x", Err(PageError::LineTooLong { line: 2, limit: 20 })),
        (
            "m 1\n\n\n                  \n                 ",
            Err(PageError::BodyTooLarge { limit: 40 }),
        ),
    ];
    for (page, expected) in rows {
        for size in [1, 3, 100] {
            let chunks: Vec<_> = page.as_bytes().chunks(size).collect();
            let (_, tally) = read(Format::Text, limits, None, &chunks, Whole::Yes);
            assert_eq!(tally.map(|tally| tally.samples), expected, "{page:?} by {size}");
        }
    }
}

#[test]
fn after_an_error_every_call_returns_that_error() {
    let limits = Limits { samples: 0, ..Limits::default() };
    let mut reader = Reader::new(Format::Text, limits, None);
    let error = Err(PageError::TooManySamples { limit: 0 });
    assert_eq!(reader.feed(b"m 1\n", &mut Notes::default()), error);
    assert_eq!(reader.feed(b"\n", &mut Notes::default()), error);
    let finished = reader.finish(Whole::Yes, &mut Notes::default());
    assert_eq!(finished.map(|_| ()), error);
}

#[test]
fn a_last_line_without_newline_counts_only_on_a_whole_page() {
    use Format::{OpenMetrics, Text};
    let cut = |bytes| Err(PageError::Truncated { bytes });
    let names = NameSet::new(["n", "my.name"]);
    let rows = [
        (Text, "n 12345", Whole::Yes, "1 n[] 12345.0\n", Ok(true)),
        (Text, "n 123", Whole::Unknown, "1:6 n: truncated line\n", Ok(false)),
        (Text, "n 123\n", Whole::Unknown, "1 n[] 123.0\n", Ok(false)),
        (Text, "n 123\n", Whole::No, "1 n[] 123.0\n", cut(6)),
        (Text, "o 123", Whole::Unknown, "", Ok(false)),
        (Text, "my", Whole::Unknown, "1:3 ?: truncated line\n", Ok(false)),
        (Text, "n", Whole::Unknown, "1:2 ?: truncated line\n", Ok(false)),
        (Text, "{\"o", Whole::Unknown, "1:4 ?: truncated line\n", Ok(false)),
        (Text, "# HEL", Whole::Unknown, "", Ok(false)),
        (Text, "n 1\n# EOF", Whole::Unknown, "1 n[] 1.0\n", Ok(true)),
        (Text, "# EOF\nn 1\n", Whole::Unknown, "2 n[] 1.0\n", Ok(false)),
        (OpenMetrics, "n 1\n# EOF\n", Whole::Unknown, "1 n[] 1.0\n", Ok(true)),
        (OpenMetrics, "n 1\n# EOF", Whole::No, "1 n[] 1.0\n", Ok(true)),
        (OpenMetrics, "n 1\n", Whole::Unknown, "1 n[] 1.0\n", cut(4)),
        (OpenMetrics, "n 1\n", Whole::Yes, "1 n[] 1.0\n", Ok(true)),
        (OpenMetrics, "n 1\n# EO", Whole::No, "1 n[] 1.0\n1:9", cut(8)),
        (OpenMetrics, "# EOF\nn 1\no 1\n\n", Whole::Yes, "2:1 n: text after # EOF\n", Ok(true)),
    ];
    for (format, page, whole, expected, result) in rows {
        let chunks = [page.as_bytes()];
        let (notes, tally) = read(format, Limits::default(), Some(&names), &chunks, whole);
        assert_eq!(notes, expected.trim_end_matches("1:9"), "{page:?}");
        assert_eq!(tally.map(|tally| tally.whole), result, "{page:?} {whole:?}");
    }
}

#[test]
fn series_is_the_text_of_the_page_up_to_the_value() {
    struct Series(Vec<String>);
    impl Sink for Series {
        fn sample(&mut self, sample: Sample<'_>) {
            self.0.push(sample.series.to_owned());
        }
        fn malformed(&mut self, malformed: Malformed<'_>) {
            panic!("{malformed:?}");
        }
    }
    let mut series = Series(Vec::new());
    let mut reader = Reader::new(Format::Text, Limits::default(), None);
    reader.feed(b"m 1\n m\t{ a=\"}\" }  2\n{\"q\"}3\nm\t1\n", &mut series).unwrap();
    assert_eq!(series.0, ["m", "m\t{ a=\"}\" }", "{\"q\"}", "m"]);
}

#[test]
fn an_excerpt_is_short_and_cut_between_characters() {
    struct Excerpt(String);
    impl Sink for Excerpt {
        fn sample(&mut self, _: Sample<'_>) {}
        fn malformed(&mut self, malformed: Malformed<'_>) {
            self.0 = malformed.text.into_owned();
        }
    }
    for padding in 0..4 {
        let line = format!("m{}{}\n", "x".repeat(padding), "漢".repeat(100));
        let mut excerpt = Excerpt(String::new());
        let mut reader = Reader::new(Format::Text, Limits::default(), None);
        reader.feed(line.as_bytes(), &mut excerpt).unwrap();
        assert!(line.starts_with(&excerpt.0) && excerpt.0.len() <= Malformed::EXCERPT_BYTES);
        assert!(excerpt.0.len() > Malformed::EXCERPT_BYTES - 4);
    }
}

#[test]
fn debug_output_of_a_timestamp_says_what_the_page_says() {
    for (millis, seconds) in
        [(0, "0"), (1, "0.001"), (-1, "-0.001"), (1500, "1.5"), (-1500, "-1.5")]
    {
        assert_eq!(Timestamp::from_millis(millis).to_string(), seconds);
        assert_eq!(Timestamp::from_millis(millis).as_millis(), millis);
    }
    assert_eq!(Timestamp::new(1, 1_000_000_000), None);
}
