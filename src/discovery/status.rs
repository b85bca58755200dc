//! Which label says how a request ended, in which language, and which of its values are the
//! server's own failures. 4xx and their like are the clients' mistakes and no reason to go back.

use super::family::{LabelValues, MetricFamily};
use crate::toml_text::MatcherText;

/// How a status label speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    /// `500`, `503`.
    Code,
    /// `5xx`.
    Class,
    /// `5`, as Envoy writes the class.
    Digit,
    /// `SERVER_ERROR`, as Micrometer writes it.
    Outcome,
    /// `Internal`, as go-grpc-prometheus writes it.
    GrpcName,
    /// `INTERNAL`, as the specification writes it.
    GrpcUpper,
    /// `13`, as OpenTelemetry writes it.
    GrpcNumber,
}

use Language::{Class, Code, Digit, GrpcName, GrpcNumber, GrpcUpper, Outcome};

/// Status labels and what they may speak, the most telling first.
const LABELS: [(&str, &[Language]); 16] = [
    ("envoy_response_code", &[Code]),
    ("envoy_response_code_class", &[Digit]),
    ("http_response_status_code", &[Code]),
    ("http_status_code", &[Code]),
    ("response_code", &[Code]),
    ("outcome", &[Outcome]),
    ("status_code", &[Code, Class]),
    ("status", &[Code, Class]),
    ("code", &[Code, Class, GrpcName]),
    ("http_status", &[Code, Class]),
    ("status_class", &[Class]),
    ("grpc_code", &[GrpcName, GrpcUpper]),
    ("grpc_status", &[GrpcName, GrpcUpper]),
    ("statusCode", &[Code, GrpcUpper]),
    ("rpc_grpc_status_code", &[GrpcNumber]),
    ("rpc_response_status_code", &[GrpcUpper]),
];

/// What a label of outcomes says, in Micrometer's words.
const OUTCOMES: &str = "INFORMATIONAL|SUCCESS|REDIRECTION|CLIENT_ERROR|SERVER_ERROR|UNKNOWN";

/// Codes of gRPC that are the server's fault, as OpenTelemetry's conventions for servers count
/// them: unknown, deadline exceeded, not implemented, internal, unavailable, data loss.
const GRPC_NAMES: &str = "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss";
const GRPC_UPPER: &str = "UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS";
const GRPC_NUMBERS: &str = "2|4|12|13|14|15";

/// The codes that tell that a label speaks of gRPC.
const GRPC_USUAL: &str = "OK|Canceled|InvalidArgument|NotFound|PermissionDenied";

/// How failed requests are selected.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failing {
    /// Selects them.
    pub(super) matcher: MatcherText,
    /// Leaves out what is no request of its own, such as a sum over the others.
    pub(super) leave_out: Option<MatcherText>,
    /// The share of all requests so far; NaN where there were none.
    pub(super) share: f64,
}

/// How the family says that a request failed, if it does.
pub(super) fn failing(family: &MetricFamily) -> Option<Failing> {
    LABELS.iter().find_map(|(label, languages)| {
        let values = family.labels.get(*label).filter(|values| !values.more)?;
        let language = languages.iter().find(|language| language.is_spoken(values))?;
        Some(language.failing(label, values))
    })
}

impl Language {
    /// Whether the values are of this language; one word of it is enough, one that its failures
    /// would wrongly take in is too many.
    fn is_spoken(self, values: &LabelValues) -> bool {
        let mut seen = values.seen.keys();
        match self {
            Code => seen.any(|value| is_code(value)),
            Class => seen.any(|value| is_class(value)),
            Digit => seen.all(|value| of(value, "1|2|3|4|5")),
            Outcome => seen.all(|value| of(value, OUTCOMES)),
            GrpcName => {
                let word = |v: &String| !v.is_empty() && v.chars().all(char::is_alphabetic);
                seen.clone().all(word) && seen.any(|v| of(v, GRPC_USUAL) || of(v, GRPC_NAMES))
            }
            GrpcUpper => seen.any(|value| value == "OK" || of(value, GRPC_UPPER)),
            GrpcNumber => seen.all(|value| value.parse::<u8>().is_ok_and(|code| code <= 16)),
        }
    }

    fn failing(self, label: &str, values: &LabelValues) -> Failing {
        let (op, value) = match self {
            Code => ("=~", five_hundreds(values)),
            Class => ("=", class_of_five(values)),
            Digit => ("=", "5"),
            Outcome => ("=", "SERVER_ERROR"),
            GrpcName => ("=~", GRPC_NAMES),
            GrpcUpper => ("=~", GRPC_UPPER),
            GrpcNumber => ("=~", GRPC_NUMBERS),
        };
        let matcher = MatcherText::new(label, op, value);
        let failed = |value: &str| match self == Code {
            true => is_code(value) && value.starts_with('5'),
            false => of(value, &matcher.value),
        };
        // nginx-vts counts every request once more under `total`.
        let sum = "total";
        let has_sum = self == Class && values.seen.contains_key(sum);
        let leave_out = has_sum.then(|| MatcherText::new(label, "!=", sum));
        let total = |counted: &dyn Fn(&str) -> bool| -> f64 {
            let counted = values.seen.iter().filter(|(value, _)| counted(value));
            counted.map(|(_, (_, total))| total).sum()
        };
        let share = total(&failed) / total(&|value| !has_sum || value != sum);
        Failing { matcher, leave_out, share }
    }
}

fn of(value: &str, alternatives: &str) -> bool {
    alternatives.split('|').any(|alternative| alternative == value)
}

fn is_code(value: &str) -> bool {
    value.len() == 3
        && value.starts_with(['1', '2', '3', '4', '5'])
        && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_class(value: &str) -> bool {
    matches!(value, "1xx" | "2xx" | "3xx" | "4xx" | "5xx" | "1XX" | "2XX" | "3XX" | "4XX" | "5XX")
}

/// The usual `5..`, unless that would take in something that is no code.
fn five_hundreds(values: &LabelValues) -> &'static str {
    let mut five = values.seen.keys().filter(|value| value.starts_with('5') && !is_code(value));
    if five.any(|value| value.chars().count() == 3) { "5[0-9][0-9]" } else { "5.." }
}

fn class_of_five(values: &LabelValues) -> &'static str {
    let upper = values.seen.keys().any(|value| is_class(value) && value.ends_with("XX"));
    if upper { "5XX" } else { "5xx" }
}

#[cfg(test)]
mod tests {
    use super::super::family::tests::families;
    use super::*;
    use crate::toml_text::selector;

    #[track_caller]
    fn check(label: &str, values: &[&str], expected: Option<&str>) {
        let line = |value: &&str| format!("m_total{{{label}=\"{value}\"}} 1\n");
        let page = families(&values.iter().map(line).collect::<String>());
        let found = failing(page.get("m_total").unwrap());
        let found = found.map(|found| selector("m", &[found.matcher], ", "));
        assert_eq!(found.as_deref(), expected, "{label} {values:?}");
    }

    #[test]
    fn a_status_label_is_known_by_its_name_and_what_it_says() {
        check("status", &["200", "404"], Some("m{status=~\"5..\"}"));
        check("status", &["200", "5xx", "UNKNOWN"], Some("m{status=~\"5[0-9][0-9]\"}"));
        check("code", &["2xx", "5xx", "other"], Some("m{code=\"5xx\"}"));
        check("status", &["2XX"], Some("m{status=\"5XX\"}"));
        check("outcome", &["SUCCESS"], Some("m{outcome=\"SERVER_ERROR\"}"));
        check("outcome", &["SUCCESS", "rejected"], None);
        check("envoy_response_code_class", &["2", "5"], Some("m{envoy_response_code_class=\"5\"}"));
        let names = format!("m{{grpc_code=~\"{GRPC_NAMES}\"}}");
        check("grpc_code", &["OK", "NotFound"], Some(&names));
        let numbers = format!("m{{rpc_grpc_status_code=~\"{GRPC_NUMBERS}\"}}");
        check("rpc_grpc_status_code", &["0", "13"], Some(&numbers));
        check("status", &["ok", "failed"], None);
        check("state", &["200"], None);
        check("code", &["1", "2"], None);
    }

    #[test]
    fn the_share_of_failures_leaves_out_a_sum_over_all() {
        let page = families(
            "m_total{code=\"2xx\"} 15\nm_total{code=\"5xx\"} 5\nm_total{code=\"total\"} 20\n",
        );
        let found = failing(page.get("m_total").unwrap()).unwrap();
        assert_eq!(found.share, 0.25);
        assert_eq!(found.leave_out, Some(MatcherText::new("code", "!=", "total")));
    }
}
