//! The reader allocates for its own buffers, once, and never for a line.

use rollguard::exposition::{Format, Limits, Malformed, NameSet, Reader, Sample, Sink};
use stats_alloc::Region;

use crate::{ALLOCATOR, alone};

#[derive(Default)]
struct Sum(f64);

impl Sink for Sum {
    fn sample(&mut self, sample: Sample<'_>) {
        self.0 += sample.value;
        for (name, value) in sample.labels.iter() {
            self.0 += (name.len() + value.len()) as f64;
        }
    }

    fn malformed(&mut self, malformed: Malformed<'_>) {
        panic!("{malformed:?}");
    }
}

fn page(families: usize) -> String {
    let mut page = String::new();
    for family in 0..families {
        page += "# HELP something about it\n";
        for le in ["0.1", "1", "+Inf"] {
            page += &format!(
                "m_bucket{{path=\"/a\",n=\"{family:04}\",le=\"{le}\"}} 1.5 1700000000000\n"
            );
            page += &format!("other{family:04}_total{{path=\"/a\",le=\"{le}\"}} 1\n");
        }
    }
    page
}

/// Allocations and reallocations for reading the page in small chunks; the fewest of several runs,
/// because the test harness has threads of its own.
fn allocations(page: &str, names: Option<&NameSet>) -> usize {
    let once = || {
        let region = Region::new(ALLOCATOR);
        let mut reader = Reader::new(Format::Text, Limits::default(), names);
        let mut sum = Sum::default();
        for chunk in page.as_bytes().chunks(100) {
            reader.feed(chunk, &mut sum).expect("the page is within the limits");
        }
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..20).map(|_| once()).min().expect("twenty runs")
}

#[test]
fn a_hundred_times_the_lines_cost_no_more_allocations() {
    let _alone = alone();
    let (short, long) = (page(10), page(1000));
    let nothing = NameSet::new(["nothing"]);
    let some = NameSet::new(["m_bucket"]);
    for names in [Some(&nothing), Some(&some), None] {
        let (few, many) = (allocations(&short, names), allocations(&long, names));
        assert_eq!(few, many);
        assert!(few <= 20, "only buffers: {few}");
    }
}
