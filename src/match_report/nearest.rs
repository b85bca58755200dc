//! Nearest names and values: what was probably meant. Knows how Prometheus's names are made: a
//! namespace before them, a unit and `_total`, `_bucket`, `_count`, `_sum` behind them.

use crate::model::signal::Shape;

/// The most candidates that are offered. With more a person reads the page itself.
pub(super) const MAX_NEAR: usize = 3;

/// The most values of a label that are listed.
pub(super) const MAX_VALUES: usize = 6;

/// Characters of a name or value that are compared. Comparing takes the product of both lengths,
/// and a page may hold values of 64 KiB; what differs so late is not near.
const MAX_COMPARED: usize = 100;

/// Endings that say how a metric is kept.
const KEPT_AS: [&str; 5] = ["_total", "_bucket", "_count", "_sum", "_created"];

/// Endings that say what it measures.
const UNITS: [&str; 6] = ["_seconds", "_milliseconds", "_ms", "_bytes", "_ratio", "_percent"];

/// What is further than the best candidate by more than this is not offered beside it.
const MUCH_WORSE: usize = 1;

/// What is the same but for a unit and the way of keeping it counts as this far apart.
const SAME_STEM: usize = 1;

/// What is the same but for the namespace before it counts as this far apart.
const SAME_TAIL: usize = 2;

/// The metrics of a page that were probably meant by one that is not there, best first.
pub(super) fn metrics<'n>(
    metric: &str,
    shape: Shape,
    names: impl Iterator<Item = &'n str>,
) -> Vec<String> {
    let mut near: Vec<(usize, String)> = Vec::new();
    for name in names.filter_map(|name| usable(name, shape)) {
        if let Some(distance) = between(metric, name, shape)
            && near.iter().all(|(_, known)| known != name)
        {
            near.push((distance, name.to_owned()));
        }
    }
    near.sort();
    let best = near.first().map_or(0, |(distance, _)| *distance);
    let near = near.into_iter().take_while(|(distance, _)| *distance <= best + MUCH_WORSE);
    near.map(|(_, name)| name).take(MAX_NEAR).collect()
}

/// How a selector of this shape would name the metric; `None` where it cannot be meant.
fn usable(name: &str, shape: Shape) -> Option<&str> {
    match shape {
        Shape::Counter => (!name.ends_with("_created")).then_some(name),
        Shape::Gauge | Shape::Counted(_) | Shape::Age(_) => Some(name),
        Shape::Histogram(_) | Shape::Mean => {
            name.strip_suffix("_bucket").or_else(|| name.strip_suffix("_count"))
        }
        Shape::Summary(_) => name.strip_suffix("_count"),
    }
}

/// How far a name is from the wanted one; `None`: too far to have been meant.
fn between(metric: &str, name: &str, shape: Shape) -> Option<usize> {
    let (wanted, found) = (lower(metric), lower(name));
    let edits = strsim::damerau_levenshtein(&wanted, &found);
    let reach = (wanted.chars().count() / 4).max(2);
    let by_edits = (edits <= reach).then_some(edits);
    let same_stem = !stem(&wanted).is_empty() && stem(&wanted) == stem(&found);
    let by_stem = same_stem.then(|| SAME_STEM + unfit(&found, shape));
    let by_tail = (is_tail(&wanted, &found) || is_tail(&found, &wanted)).then_some(SAME_TAIL);
    [by_edits, by_stem, by_tail].into_iter().flatten().min()
}

/// How little a name's ending suits what is asked of it.
fn unfit(name: &str, shape: Shape) -> usize {
    let ending = KEPT_AS.iter().position(|ending| name.ends_with(ending));
    match (shape, ending) {
        (Shape::Counter, Some(0)) => 0,
        (Shape::Counter, Some(2)) => 1,
        (Shape::Counter, None) => 2,
        (Shape::Counter, Some(_)) => 3,
        (Shape::Gauge | Shape::Counted(_) | Shape::Age(_), Some(_)) => 2,
        (_, _) => 0,
    }
}

/// A name without its unit and what says how it is kept.
fn stem(name: &str) -> &str {
    let mut stem = name;
    while let Some(rest) = KEPT_AS.iter().chain(&UNITS).find_map(|end| stem.strip_suffix(end)) {
        stem = rest;
    }
    stem
}

/// Whether the long name is the short one with a namespace before it.
fn is_tail(short: &str, long: &str) -> bool {
    let before = long.strip_suffix(stem(short)).or_else(|| long.strip_suffix(short));
    let before = before.or_else(|| stem(long).strip_suffix(stem(short)));
    stem(short).contains('_') && before.is_some_and(|before| before.ends_with('_'))
}

/// Texts, the nearest to `wanted` first; numbers by their difference.
pub(super) fn sorted(wanted: &str, mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values.dedup();
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let wanted_number = number(wanted);
    let wanted = lower(wanted);
    let key = |value: &String| match (wanted_number, number(value)) {
        (Some(wanted), Some(value)) => (value - wanted).abs(),
        (Some(_), None) => f64::INFINITY,
        #[expect(clippy::cast_precision_loss, reason = "at most MAX_COMPARED")]
        (None, _) => strsim::damerau_levenshtein(&wanted, &lower(value)) as f64,
    };
    // A distance is never negative, so that its bits are in the order of the numbers.
    values.sort_by_cached_key(|value| key(value).to_bits());
    values
}

fn lower(text: &str) -> String {
    text.chars().take(MAX_COMPARED).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: [&str; 9] = [
        "app_http_requests_total",
        "go_goroutines",
        "http_request_duration_seconds_bucket",
        "http_request_duration_seconds_count",
        "http_request_duration_seconds_sum",
        "jobs_processed_total",
        "process_resident_memory_bytes",
        "queue_length",
        "up",
    ];

    fn check(metric: &str, shape: Shape, expected: &[&str]) {
        assert_eq!(metrics(metric, shape, PAGE.into_iter()), expected, "{metric}");
    }

    #[test]
    fn endings_and_namespaces_are_known() {
        check("jobs_processed", Shape::Counter, &["jobs_processed_total"]);
        check("jobs_procesed_total", Shape::Counter, &["jobs_processed_total"]);
        check("http_requests_total", Shape::Counter, &["app_http_requests_total"]);
        check("process_resident_memory", Shape::Gauge, &["process_resident_memory_bytes"]);
        check("queue_lenght", Shape::Gauge, &["queue_length"]);
        check("something_else", Shape::Gauge, &[]);
    }

    #[test]
    fn a_histogram_is_named_by_its_base() {
        let base = ["http_request_duration_seconds"];
        let quantile = Shape::Histogram(0.95);
        check("http_request_duration", quantile, &base);
        check("http_request_duration_seconds_bucket", quantile, &base);
        check("http_request_duration_seconds_count", Shape::Mean, &base);
        let count = "http_request_duration_seconds_count";
        assert_eq!(
            metrics("http_request_duration_seconds", Shape::Counter, PAGE.into_iter())[0],
            count
        );
    }

    #[test]
    fn values_are_sorted_by_what_they_are() {
        let sorted = |wanted, values: &[&str]| {
            sorted(wanted, values.iter().map(|v| (*v).to_owned()).collect())
        };
        assert_eq!(sorted("0.3", &["+Inf", "0.1", "0.25", "1"]), ["0.25", "0.1", "1", "+Inf"]);
        assert_eq!(sorted("POSTS", &["delete", "get", "post"])[0], "post");
    }

    proptest! {
        #[test]
        fn any_name_is_compared_with_any_other(
            wanted in "\\PC{0,300}|[_a-z]{0,20}",
            names in prop::collection::vec(
                "\\PC{0,300}|[_a-z]{0,20}(_total|_bucket|_count)?", 0..9
            ),
            shape in 0..5_usize,
        ) {
            let shapes = [
                Shape::Counter, Shape::Gauge, Shape::Histogram(0.5), Shape::Summary(0.5),
                Shape::Mean,
            ];
            let near = metrics(&wanted, shapes[shape], names.iter().map(String::as_str));
            prop_assert!(near.len() <= MAX_NEAR);
            let count = names.iter().collect::<std::collections::BTreeSet<_>>().len();
            prop_assert_eq!(sorted(&wanted, names).len(), count);
        }
    }
}
