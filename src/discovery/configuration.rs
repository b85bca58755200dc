//! The whole file: what is sampled, what is done, what is judged, and what was seen and left out.

use std::time::Duration;

use super::config_writer::{ConfigSection, ConfigWriter, rule_table, signal_table};
use super::conventions::{LATENCY, LIBRARIES, REACHED, REQUESTS, fits};
use super::family::{MetricFamily, PageFamilies};
use super::gauges;
use super::latency;
use super::text::{COLUMNS, quoted_names, shown};
use super::traffic::{self, Candidate};
use crate::model::name::{ServiceName, TargetName};
use crate::model::time::format_duration;
use crate::toml_text::{Table, comment, selector_literal, string};

/// Sizes of pages up to which each interval is chosen: reading a page costs both sides.
const INTERVALS: [(u64, Duration); 2] =
    [(1 << 20, Duration::from_secs(1)), (8 << 20, Duration::from_secs(5))];

/// For pages larger than that.
const LONGEST: Duration = Duration::from_secs(15);

/// The window of rates; four intervals at least.
const WINDOW: Duration = Duration::from_secs(30);

/// How many families without samples are named.
const MAX_NAMED: usize = 5;

/// The target where the service's name is none for a target.
const TARGET: &str = "app";

/// What a person asked for.
#[derive(Clone, Copy, Debug)]
pub struct ConfigRequest<'a> {
    /// Where the page is.
    pub url: &'a str,
    /// The service that is guarded. Never a word from the page: hooks are given it.
    pub service: &'a ServiceName,
}

/// What the page says of requests, for a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestsFound {
    /// A share of failed requests.
    Errors,
    /// Requests, but not how they ended.
    RequestsAlone,
    /// Nothing that counts requests.
    NoRequests,
}

/// A configuration that fits the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// The file.
    pub text: String,
    /// What the page had.
    pub found: RequestsFound,
}

/// Writes the configuration.
pub fn configuration(families: &PageFamilies, request: ConfigRequest<'_>) -> Configuration {
    let service = request.service.as_str();
    let interval = interval(families.bytes);
    let window = format_duration(WINDOW.max(interval * 4));
    let mut writer = ConfigWriter::default();
    writer.heading("errors");
    let candidates = traffic::candidates(families, service);
    let traffic = traffic::write(&candidates, &window, &mut writer);
    writer.heading("latency");
    latency::write(families, service, traffic, &mut writer);
    writer.heading("what runs full, waits or grows");
    gauges::write(families, service, &mut writer);
    writer.heading("the page itself");
    alive(families, request, traffic, &mut writer);
    notes(families, &mut writer);
    let limit = traffic.and_then(Candidate::limit);
    let text = head(families, request, interval) + &hook(limit) + &writer.out;
    let found = match (&traffic, limit) {
        (Some(_), Some(_)) => RequestsFound::Errors,
        (Some(_), None) => RequestsFound::RequestsAlone,
        (None, _) => RequestsFound::NoRequests,
    };
    Configuration { text, found }
}

fn interval(bytes: u64) -> Duration {
    let fits = INTERVALS.iter().find(|(most, _)| bytes <= *most);
    fits.map_or(LONGEST, |(_, interval)| *interval)
}

fn target(service: &ServiceName) -> TargetName {
    TargetName::new(service.as_str())
        .or_else(|_| TargetName::new(TARGET))
        .expect("the constant is a target's name")
}

fn head(families: &PageFamilies, request: ConfigRequest<'_>, interval: Duration) -> String {
    let wrote = LIBRARIES.iter().find(|(name, _)| families.get(name).is_some());
    let wrote = wrote.map_or(String::new(), |(_, who)| format!(", written by {who}"));
    let origin = format!(
        "Written by `rollguard init` for {}: {} samples{wrote}. Read it, change what does not fit, \
         and check it with `rollguard check`. `#` without a space after it switches a line off; \
         take it away to switch the line on.",
        shown(request.url),
        families.samples,
    );
    let mode = "How much rollguard may do. `observe` says what it would do and acts only when it \
                is asked to; `notify` tells people; `auto` rolls back.";
    let deploy = "`rollguard deploy begin` starts the guarding of a release; for `bake` it is \
                  guarded, and for `warmup` after its start no rule fires.";
    let deployment = Table::new("deployment")
        .text("service", request.service.as_str())
        .text("arm", "deploy")
        .text("bake", "1h")
        .text("warmup", "15s");
    let target = Table::new(format!("target.{}", target(request.service)))
        .text("scrape", request.url)
        .text("interval", &format_duration(interval));
    let (origin, mode) = (comment(&origin, COLUMNS), comment(mode, COLUMNS));
    let deploy = comment(deploy, COLUMNS);
    format!(
        "{origin}\n{mode}mode = \"observe\"\n\n{deploy}{deployment}#then   = {}\n\n{target}",
        string("rollback")
    )
}

/// An example, switched off: only a person knows how this service goes back.
fn hook(limit: Option<f64>) -> String {
    let cure = limit.map_or("up > 0".to_owned(), |limit| format!("error_rate < {limit}%"));
    let prose = "How this service goes back to its good version only you know. Until there is a \
                 hook, rules tell people and `rollguard check` says that no hook follows them. \
                 Write the steps, switch on these lines and `then` above, and leave `observe` \
                 once you trust it. There is no shell; `{good}` is the last version that finished \
                 its bake, pinned when the release began.";
    let steps = "[{ run = [\"/usr/local/bin/switch-release\", \"{service}\", \"{good}\"], \
                 timeout = \"60s\" }]";
    let mut writer = ConfigWriter::default();
    let table = Table::new("hook.rollback")
        .raw("steps", steps)
        .raw("cure", format!("{{ when = {}, for = \"10s\", within = \"2m\" }}", string(&cure)));
    writer.section(&ConfigSection::new(prose, vec![table]).off());
    writer.out
}

/// A page that does not answer: of a service it says that the service is gone.
fn alive(
    families: &PageFamilies,
    request: ConfigRequest<'_>,
    traffic: Option<&Candidate<'_>>,
    writer: &mut ConfigWriter,
) {
    let proxy = traffic.is_some_and(Candidate::by_proxy);
    let own = !gauges::is_of_exporter(families) && !proxy;
    let prose = if own {
        "A release that crashes has no page, and without a page nothing else here has a reading: \
         no data never rolls back by itself, this rule does. Where the way to the page breaks \
         more often than the service, make it a warning."
    } else {
        "This page is not the service's own, so that it is gone says little of the service: a \
         warning."
    };
    let name = writer.signal("up");
    let rule =
        rule_table(&writer.rule("page-gone"), "no page for a minute", &format!("{name} < 1"));
    let rule = rule.text("for", "1m").optional("severity", (!own).then_some("warning"));
    let up = signal_table(&name, "whether the last scrape succeeded");
    let tables = vec![up.text("up", target(request.service).as_str()), rule];
    writer.section(&ConfigSection::new(prose, tables));
    REACHED.iter().filter_map(|name| families.get(name)).for_each(|family| reached(family, writer));
}

/// Whether the exporter reaches what it tells of.
fn reached(family: &MetricFamily, writer: &mut ConfigWriter) {
    let prose = format!(
        "`{}` says whether the exporter reaches what it tells of. A warning, as it may be the \
         exporter that fails.",
        shown(&family.name)
    );
    let name = writer.signal("reached");
    let signal = signal_table(&name, "whether the exporter reaches what it tells of")
        .raw("gauge", selector_literal(&family.name, &[]))
        .text("across", "min");
    let what = "the exporter did not reach it for a minute";
    let rule = rule_table(&writer.rule("not-reached"), what, &format!("{name} < 1"));
    let tables = vec![signal, rule.text("for", "1m").text("severity", "warning")];
    writer.section(&ConfigSection::new(prose, tables));
}

fn notes(families: &PageFamilies, writer: &mut ConfigWriter) {
    let known = |name: &&String| REQUESTS.iter().chain(LATENCY).any(|row| fits(row.name, name));
    let empty = families.empty.iter().filter(known).map(String::as_str);
    let empty = quoted_names(empty.take(MAX_NAMED));
    if !empty.is_empty() {
        writer.note(&format!(
            "Declared on the page, but without a single sample yet: {empty}. Send the service a \
             few requests and write this file anew."
        ));
    }
    let own = !gauges::is_of_exporter(families);
    if own && families.get("process_start_time_seconds").is_some() {
        writer.note(
            "`process_start_time_seconds` needs no rule: rollguard sees by it that the process \
             started anew and counts its counters from 0.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pages_are_read_less_often() {
        assert_eq!(interval(100 << 10), Duration::from_secs(1));
        assert_eq!(interval(2 << 20), Duration::from_secs(5));
        assert_eq!(interval(60 << 20), Duration::from_secs(15));
    }

    #[test]
    fn a_service_whose_name_is_no_target_s_gets_another_target() {
        let check = |service: &str, expected: &str| {
            assert_eq!(target(&ServiceName::new(service).unwrap()).as_str(), expected);
        };
        check("api-2", "api-2");
        check("api.example", "app");
        check("2fast", "app");
    }
}
