//! Requests, and how many of them failed.

use super::config_writer::{ConfigSection, ConfigWriter, rule_table, signal_table};
use super::conventions::{Convention, REQUESTS, is_end};
use super::family::{FamilyKind, MetricFamily, PageFamilies};
use super::recognized::{Recognized, recognized};
use super::status::{Failing, failing};
use super::text::{percent, shown};
use crate::toml_text::{MatcherText, Table, selector_literal};

/// How many other counters are written out; nobody reads on.
const MAX_ALTERNATIVES: usize = 4;

/// The limits of a service that hardly ever fails, in per cent: what a release may do for two
/// minutes, and for half a minute.
const SUSTAINED: f64 = 5.0;
const SPIKE: f64 = 10.0;

/// The highest limit that is proposed, in per cent. A service that fails more is not to be judged
/// by this.
const MOST: f64 = 50.0;

/// A family that counts requests.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'f> {
    found: Recognized<'f>,
    /// The metric, as a selector names it, and what narrows it down to all requests.
    pub(super) metric: String,
    pub(super) matchers: Vec<MatcherText>,
    /// How it says that a request failed, if it does.
    failing: Option<Failing>,
}

/// Whether its samples count one for each request.
fn counts(family: &MetricFamily, convention: &Convention) -> bool {
    let times = ["_seconds", "_ms", "_milliseconds"].iter().any(|end| family.name.ends_with(end));
    match family.kind {
        FamilyKind::Counter => !times,
        // Without a count of its own there is nothing to select.
        FamilyKind::Histogram | FamilyKind::Summary => family.series > 0,
        FamilyKind::Gauge => false,
        // The page says nothing and the name does not end like a counter's: only a known one.
        FamilyKind::Unknown => !times && !is_end(convention.name),
    }
}

/// Everything on the page that counts requests, the best first.
pub(super) fn candidates<'f>(families: &'f PageFamilies, service: &str) -> Vec<Candidate<'f>> {
    let found = recognized(REQUESTS, families, service, |_, _| true).into_iter();
    let found = found.filter(|found| counts(found.family, found.convention));
    let all = found.map(|found| {
        let failing = failing(found.family);
        let leave_out = failing.iter().filter_map(|failing| failing.leave_out.clone());
        let matchers = found.scope.matchers.iter().cloned().chain(leave_out).collect();
        Candidate { metric: found.family.counting_metric(), matchers, failing, found }
    });
    // What is only called like a counter of requests is one if it says how they ended.
    let mut all: Vec<_> =
        all.filter(|one| one.failing.is_some() || !one.found.convention.is_vague()).collect();
    all.sort_by_key(|one| one.failing.is_none());
    all
}

impl Candidate<'_> {
    pub(super) fn by_proxy(&self) -> bool {
        self.found.convention.by_proxy
    }

    /// The limit on the share of failures in per cent, where it can be told.
    pub(super) fn limit(&self) -> Option<f64> {
        self.failing.as_ref().map(|failing| limit(failing.share))
    }

    /// What people call it.
    fn shown(&self) -> String {
        shown(&self.metric)
    }
}

/// Writes signals and rules of the best candidate, which it returns, and the others as comments.
pub(super) fn write<'c>(
    candidates: &'c [Candidate<'c>],
    window: &str,
    writer: &mut ConfigWriter,
) -> Option<&'c Candidate<'c>> {
    let Some((best, others)) = candidates.split_first() else {
        writer.note(
            "Nothing on the page counts requests by the conventions known here, so nothing is \
             said of errors. If something else on it does, name it in a `rate` and a `ratio` \
             and write a rule over them; `rollguard check` says what is wrong.",
        );
        return None;
    };
    if let Some(failing) = &best.failing {
        errors(best, failing, window, writer);
        for other in others.iter().take(MAX_ALTERNATIVES) {
            alternative(best, other, window, writer);
        }
    } else {
        writer.note(&format!(
            "`{}` counts requests, but no label of it says how they ended, so there is no share \
             of failures. Count them where their status is known, best in the service itself.",
            best.shown(),
        ));
    }
    Some(best)
}

/// The limit for a service that fails this often as it is.
fn limit(share: f64) -> f64 {
    let twice = (share * 200.0).ceil();
    if twice.is_nan() { SUSTAINED } else { twice.clamp(SUSTAINED, MOST) }
}

fn errors(best: &Candidate<'_>, failing: &Failing, window: &str, writer: &mut ConfigWriter) {
    let limit = limit(failing.share);
    let spike = (limit * 2.0).clamp(SPIKE, 2.0 * MOST - SPIKE);
    let prose = vec![what(best, failing), limits(failing.share, limit, spike)];
    let (names, mut tables) = signals(best, failing, window, writer);
    let rule = writer.rule("error-rate-spike");
    tables.push(failed(&rule, &names, (spike, "the"), ("30s", "30 seconds")));
    let rule = writer.rule("error-rate");
    tables.push(failed(&rule, &names, (limit, "the"), ("2m", "2 minutes")));
    writer.section(&ConfigSection { prose, tables, active: true });
}

/// The rule on the share of failures.
fn failed(
    rule: &str,
    (requests, rate): &(String, String),
    (limit, which): (f64, &str),
    (hold, held): (&str, &str),
) -> Table {
    let description = format!("more than {limit}% of {which} requests failed for {held}");
    rule_table(rule, &description, &format!("{rate} > {limit}%"))
        .text("given", &format!("{requests} > 1"))
        .text("for", hold)
}

fn what(best: &Candidate<'_>, failing: &Failing) -> String {
    let who = if best.by_proxy() { "the proxy's count" } else { "the service's own count" };
    let label = &failing.matcher.label;
    let mut text = format!(
        "`{}` is {who} of requests; its label `{label}` says how they ended. Clients' mistakes \
         are not failures of the service and are not counted.",
        best.shown(),
    );
    if failing.leave_out.is_some() {
        text.push_str(" `total` is left out: it counts every request once more.");
    }
    text + &best.found.scope.remarks()
}

fn limits(share: f64, limit: f64, spike: f64) -> String {
    let seen = if share.is_nan() {
        "There were no requests yet".to_owned()
    } else {
        format!("Of all that it counted so far {} failed", percent(share))
    };
    let why = if limit > SUSTAINED { ", hence the high limits" } else { "" };
    format!(
        "{seen}{why}: a release is bad at {limit}% for two minutes, or at {spike}% for half a \
         minute. `given` is the evidence floor: below one request a second a single failure \
         decides, and there is no verdict. Raise it to what the service has at its quietest."
    )
}

/// The names of both signals, and their tables.
fn signals(
    Candidate { metric, matchers, found, .. }: &Candidate<'_>,
    failing: &Failing,
    window: &str,
    writer: &mut ConfigWriter,
) -> ((String, String), Vec<Table>) {
    let (requests, rate) = (writer.signal("requests"), writer.signal("error_rate"));
    let failed = [found.scope.matchers.as_slice(), std::slice::from_ref(&failing.matcher)].concat();
    let (of, to) = (selector_literal(metric, &failed), selector_literal(metric, matchers));
    let tables = vec![
        signal_table(&requests, "requests per second")
            .raw("rate", to.clone())
            .text("unit", "per_second")
            .text("window", window),
        signal_table(&rate, "share of requests that failed")
            .raw("ratio", format!("{{ of = {of}, to = {to} }}"))
            .text("window", window),
    ];
    ((requests, rate), tables)
}

fn alternative(
    best: &Candidate<'_>,
    other: &Candidate<'_>,
    window: &str,
    writer: &mut ConfigWriter,
) {
    let Some(failing) = &other.failing else {
        let text = "counts requests as well, without saying how they ended";
        return writer.note(&format!("`{}` {text}.", other.shown()));
    };
    let why = if !best.by_proxy() && other.by_proxy() {
        "it is a proxy's count, and the service's own is nearer"
    } else {
        "it may count the same requests once more, and the one above is the more usual name"
    };
    let prose = format!("`{}` also counts requests. It is switched off: {why}.", other.shown());
    let (names, mut tables) = signals(other, failing, window, writer);
    let limit = (limit(failing.share), "these");
    tables.push(failed(&writer.rule("error-rate"), &names, limit, ("2m", "2 minutes")));
    writer.section(&ConfigSection::new(prose, tables).off());
}

#[cfg(test)]
mod tests {
    use super::super::family::tests::families;
    use super::*;

    #[track_caller]
    fn check(page: &str, expected: &[&str]) {
        let page = families(page);
        let found: Vec<_> = candidates(&page, "app").iter().map(|one| one.metric.clone()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn calls_that_go_out_and_the_page_itself_are_never_the_traffic() {
        check("promhttp_metric_handler_requests_total{code=\"200\"} 9\n", &[]);
        check("rest_client_requests_total{code=\"200\"} 9\n", &[]);
        check("shop_http_client_requests_total{code=\"200\"} 9\n", &[]);
        check("http_client_requests_seconds_sum 1\nhttp_client_requests_seconds_count 1\n", &[]);
        check("grpc_client_handled_total{grpc_code=\"OK\"} 9\n", &[]);
        check("istio_requests_total{reporter=\"source\",response_code=\"200\"} 9\n", &[]);
        check("# TYPE a_requests_total gauge\na_requests_total{code=\"200\"} 9\n", &[]);
    }

    #[test]
    fn what_says_how_requests_ended_goes_before_what_does_not() {
        check(
            "http_requests_total{code=\"200\"} 1\nb_requests_total{code=\"200\"} 9\n\
             http_server_requests_seconds_sum 1\nhttp_server_requests_seconds_count 1\n",
            &["http_requests_total", "b_requests_total", "http_server_requests_seconds_count"],
        );
    }

    #[test]
    fn limits_are_above_what_the_service_does_as_it_is() {
        for (share, expected) in [(f64::NAN, 5.0), (0.0, 5.0), (0.04, 8.0), (0.9, 50.0)] {
            assert_eq!(limit(share), expected, "{share}");
        }
    }
}
