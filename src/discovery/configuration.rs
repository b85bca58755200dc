//! The whole file: what is sampled, what is done, what is judged, and what was seen and left.

use std::time::Duration;

use crate::model::name::{ServiceName, TargetName};
use crate::model::target::ScrapeUrl;
use crate::model::time::format_duration;

use super::config_writer::{Active, Draft, Section, Table};
use super::conventions::{LATENCY, LIBRARIES, REACHED, REQUESTS, Side};
use super::family::{Families, Family};
use super::gauges::{self, Process};
use super::latency;
use super::text::{comment, selector_string, shown, string};
use super::traffic::{self, Traffic};

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
pub struct Asked<'a> {
    /// Where the page is.
    pub url: &'a ScrapeUrl,
    /// The service that is guarded. Never a word from the page: hooks are given it.
    pub service: &'a ServiceName,
}

/// What was found, for a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
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
    pub found: Found,
}

/// Writes the configuration.
#[must_use]
pub fn configuration(families: &Families, asked: Asked<'_>) -> Configuration {
    let service = asked.service.as_str();
    let interval = interval(families.bytes);
    let window = format_duration(WINDOW.max(interval * 4));
    let mut draft = Draft::default();
    draft.heading("errors");
    let candidates = traffic::candidates(families, service);
    let traffic = traffic::write(&candidates, &window, &mut draft);
    draft.heading("latency");
    latency::write(families, service, traffic.as_ref(), &mut draft);
    draft.heading("what runs full, waits or grows");
    gauges::write(families, service, &mut draft);
    draft.heading("the page itself");
    alive(families, asked, traffic.as_ref(), &mut draft);
    notes(families, &mut draft);
    let limit = traffic.as_ref().and_then(|traffic| traffic.limit);
    let text = head(families, asked, interval) + &hook(limit) + &draft.written();
    let found = match (&traffic, limit) {
        (Some(_), Some(_)) => Found::Errors,
        (Some(_), None) => Found::RequestsAlone,
        (None, _) => Found::NoRequests,
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

fn head(families: &Families, asked: Asked<'_>, interval: Duration) -> String {
    let wrote = LIBRARIES.iter().find(|(name, _)| families.get(name).is_some());
    let wrote = wrote.map_or(String::new(), |(_, who)| format!(", written by {who}"));
    let origin = format!(
        "Written by `rollguard init` for {}: {} samples{wrote}. Read it, change what does not fit, \
         and check it with `rollguard check`. `#` without a space after it switches a line off; \
         take it away to switch the line on.",
        shown(&asked.url.to_string()),
        families.samples,
    );
    let mode = "How much rollguard may do. `observe` says what it would do and acts only when it \
                is asked to; `notify` tells people; `auto` rolls back.";
    let deploy = "`rollguard deploy begin` starts the guarding of a release; for `bake` it is \
                  guarded, and for `warmup` after its start no rule fires.";
    let target = Table::new(format!("target.{}", target(asked.service)))
        .text("scrape", &asked.url.to_string())
        .text("interval", &format_duration(interval));
    let mut out = Draft::default();
    out.section(&Section {
        prose: vec![deploy.to_owned()],
        tables: vec![
            Table::new("deployment")
                .text("service", asked.service.as_str())
                .text("arm", "deploy")
                .text("bake", "1h")
                .text("warmup", "15s"),
        ],
        active: Active::Yes,
    });
    let out = out.written() + &format!("#then   = {}\n", string("rollback"));
    let mut sampled = Draft::default();
    sampled.section(&Section { prose: Vec::new(), tables: vec![target], active: Active::Yes });
    let sampled = sampled.written();
    let (origin, mode) = (comment(&origin), comment(mode));
    format!("{origin}\n{mode}mode = \"observe\"\n{out}{sampled}")
}

/// An example, switched off: only a person knows how this service goes back.
fn hook(limit: Option<f64>) -> String {
    let cure = match limit {
        Some(limit) => format!("error_rate < {limit}%"),
        None => "up > 0".to_owned(),
    };
    let prose = "How this service goes back to its good version only you know. Until there is a \
                 hook, rules tell people and `rollguard check` says that no hook follows them. \
                 Write the steps, switch on these lines and `then` above, and leave `observe` \
                 once you trust it. There is no shell; `{good}` is the last version that finished \
                 its bake, pinned when the release began.";
    let steps = "[{ run = [\"/usr/local/bin/switch-release\", \"{service}\", \"{good}\"], \
                 timeout = \"60s\" }]";
    let mut draft = Draft::default();
    let table = Table::new("hook.rollback")
        .raw("steps", steps)
        .raw("cure", format!("{{ when = {}, for = \"10s\", within = \"2m\" }}", string(&cure)));
    draft.section(&Section { prose: vec![prose.into()], tables: vec![table], active: Active::No });
    draft.written()
}

/// A page that does not answer: of a service it says that the service is gone.
fn alive(families: &Families, asked: Asked<'_>, traffic: Option<&Traffic>, draft: &mut Draft) {
    let proxy = traffic.is_some_and(|traffic| traffic.side == Side::Proxy);
    let own = gauges::process(families) == Process::Service && !proxy;
    let prose = if own {
        "A release that crashes has no page, and without a page nothing else here has a reading: \
         no data never rolls back by itself, this rule does. Where the way to the page breaks \
         more often than the service, make it a warning."
    } else {
        "This page is not the service's own, so that it is gone says little of the service: a \
         warning."
    };
    let name = draft.signal("up");
    let rule =
        Table::rule(&draft.rule("page-gone"), "no page for a minute", &format!("{name} < 1"));
    let rule = rule.text("for", "1m");
    let rule = if own { rule } else { rule.text("severity", "warning") };
    let up = Table::signal(&name, "whether the last scrape succeeded");
    let tables = vec![up.text("up", target(asked.service).as_str()), rule];
    draft.section(&Section { prose: vec![prose.to_owned()], tables, active: Active::Yes });
    REACHED.iter().filter_map(|name| families.get(name)).for_each(|family| reached(family, draft));
}

/// Whether the exporter reaches what it tells of.
fn reached(family: &Family, draft: &mut Draft) {
    let prose = format!(
        "`{}` says whether the exporter reaches what it tells of. A warning, as it may be the \
         exporter that fails.",
        shown(&family.name)
    );
    let name = draft.signal("reached");
    let signal = Table::signal(&name, "whether the exporter reaches what it tells of")
        .raw("gauge", selector_string(&family.name, &[]))
        .text("across", "min");
    let what = "the exporter did not reach it for a minute";
    let rule = Table::rule(&draft.rule("not-reached"), what, &format!("{name} < 1"));
    let tables = vec![signal, rule.text("for", "1m").text("severity", "warning")];
    draft.section(&Section { prose: vec![prose], tables, active: Active::Yes });
}

fn notes(families: &Families, draft: &mut Draft) {
    let known = |name: &&String| {
        let all = REQUESTS.iter().chain(LATENCY);
        all.into_iter().any(|convention| convention.name.fits(name))
    };
    let empty: Vec<_> = families.empty.iter().filter(known).collect();
    if !empty.is_empty() {
        let named = empty.iter().take(MAX_NAMED).map(|name| format!("`{}`", shown(name)));
        draft.note(&format!(
            "Declared on the page, but without a single sample yet: {}. Send the service a few \
             requests and write this file anew.",
            named.collect::<Vec<_>>().join(", ")
        ));
    }
    let own = gauges::process(families) == Process::Service;
    if own && families.get("process_start_time_seconds").is_some() {
        draft.note(
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
