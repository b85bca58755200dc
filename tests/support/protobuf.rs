//! Pages in protobuf, written from the format's definition and not from the reader.

/// A message in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn number(mut self, field: u64, number: u64) -> Self {
        varint(&mut self.0, field << 3);
        varint(&mut self.0, number);
        self
    }

    pub(crate) fn signed(self, field: u64, number: i64) -> Self {
        self.number(field, zigzag(number))
    }

    pub(crate) fn float(mut self, field: u64, number: f64) -> Self {
        varint(&mut self.0, field << 3 | 1);
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        varint(&mut self.0, field << 3 | 2);
        varint(&mut self.0, bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(crate) fn message(self, field: u64, message: Self) -> Self {
        self.bytes(field, message.0)
    }

    /// As it stands on a page.
    pub(crate) fn delimited(self) -> Vec<u8> {
        let mut page = Vec::new();
        varint(&mut page, self.0.len() as u64);
        page.extend(self.0);
        page
    }
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    if number < 0 { (number.unsigned_abs() - 1) * 2 + 1 } else { number as u64 * 2 }
}

pub(crate) const COUNTER: u64 = 0;
pub(crate) const GAUGE: u64 = 1;
pub(crate) const SUMMARY: u64 = 2;
pub(crate) const UNTYPED: u64 = 3;
pub(crate) const HISTOGRAM: u64 = 4;

// Not every test file has all types.
const _: [u64; 5] = [COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM];

/// A family of that type.
pub(crate) fn family(name: &str, kind: u64, metrics: impl IntoIterator<Item = Message>) -> Message {
    let head = Message::default().bytes(1, name).bytes(2, "What it is.").number(3, kind);
    metrics.into_iter().fold(head, |family, metric| family.message(4, metric))
}

/// A metric with these labels; `what` stands in the field that its type has.
pub(crate) fn metric(
    labels: &[(&str, &str)],
    (field, what): (u64, Message),
    millis: Option<i64>,
) -> Message {
    let labelled = labels.iter().fold(Message::default(), |metric, (name, value)| {
        metric.message(1, Message::default().bytes(1, name).bytes(2, value))
    });
    let metric = labelled.message(field, what);
    millis.map_or(metric.clone(), |millis| metric.number(6, millis as u64))
}

/// How whole counts and their runs are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Packing {
    /// One field a number, as client_golang writes them.
    Apart,
    /// All in one field, as later encoders do.
    Packed,
}

/// A native histogram of whole observations, ready for field 7 of a metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Native {
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) zero_count: u64,
    /// By index, ascending.
    pub(crate) positive: Vec<(i32, u64)>,
    pub(crate) negative: Vec<(i32, u64)>,
    pub(crate) sum: f64,
}

impl Native {
    pub(crate) fn count(&self) -> u64 {
        self.zero_count + self.positive.iter().chain(&self.negative).map(|b| b.1).sum::<u64>()
    }

    pub(crate) fn message(&self, packing: Packing) -> Message {
        let message = Message::default()
            .number(1, self.count())
            .float(2, self.sum)
            .signed(5, self.schema.into())
            .float(6, self.zero_threshold)
            .number(7, self.zero_count);
        let message = side(message, &self.negative, (9, 10), packing);
        let message = side(message, &self.positive, (12, 13), packing);
        // A client marks a histogram without observations like this.
        if self.positive.is_empty() { message.message(12, span(0, 0)) } else { message }
    }
}

fn span(offset: i32, length: u64) -> Message {
    Message::default().signed(1, offset.into()).number(2, length)
}

fn side(
    mut message: Message,
    buckets: &[(i32, u64)],
    (spans, deltas): (u64, u64),
    packing: Packing,
) -> Message {
    let (mut next, mut start) = (0, 0);
    while start < buckets.len() {
        let run = buckets[start..].iter().zip(buckets[start].0..);
        let length = run.take_while(|(bucket, index)| bucket.0 == *index).count();
        message = message.message(spans, span(buckets[start].0 - next, length as u64));
        next = buckets[start].0 + length as i32;
        start += length;
    }
    let (mut last, mut packed) = (0, Vec::new());
    for (_, count) in buckets {
        let delta = *count as i64 - last;
        last = *count as i64;
        match packing {
            Packing::Apart => message = message.signed(deltas, delta),
            Packing::Packed => varint(&mut packed, zigzag(delta)),
        }
    }
    if packed.is_empty() { message } else { message.bytes(deltas, packed) }
}
