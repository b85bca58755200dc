//! What runs full, waits or grows. These say that a service suffers, not that the release is to
//! blame: their rules are warnings, which tell people and never roll back.

use super::config_writer::{Active, Draft, Section, Table};
use super::conventions::{LEVELS, Level, Measure, NO_LEVEL, Name, POOLS, Pool};
use super::family::{Families, Family, Kind};
use super::scope::Scope;
use super::text::{Match, percent, seconds, selector_string, shown};
use super::traffic::is_own;

/// How many pools and how many levels are written; a page with more has its own rules coming.
const MAX_EACH: usize = 6;

/// The highest limit on things that wait: what a condition still shows as digits.
const MOST_THINGS: f64 = 1e12;

/// The most memory that a process is believed to use, in bytes: 64 TiB.
const MOST_MEMORY: f64 = 7e13;

/// Memory is compared with twice what it is now, in steps of this many bytes.
const MEMORY_STEP: f64 = 64.0 * 1024.0 * 1024.0;

/// What the section says once for all of it.
const WARNINGS: &str = "Rules below are warnings: they tell people and never roll back, because \
                        load can do all of this as well as a release. Take `severity` away from \
                        the one that is to roll back.";

const NOTHING: &str = "Nothing on the page is known to run full, wait or grow.";

/// The process's own metrics.
const MEMORY: &str = "process_resident_memory_bytes";
const CPU: &str = "process_cpu_seconds_total";
const HOST_AVAILABLE: &str = "node_memory_MemAvailable_bytes";
/// One series for each server and state of it, 1 where it is in that state.
const SERVERS: &str = "haproxy_server_status";
const HOST_TOTAL: &str = "node_memory_MemTotal_bytes";

/// Whose process the process metrics are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// The service's.
    Service,
    /// That of an exporter, which nobody deploys.
    Exporter,
}

/// Whose process a page tells of.
pub(super) fn process(families: &Families) -> Process {
    let exporter = families.iter().any(|family| family.name.ends_with("exporter_build_info"));
    if exporter { Process::Exporter } else { Process::Service }
}

/// Writes everything that runs full, waits or grows.
pub(super) fn write(families: &Families, service: &str, draft: &mut Draft) {
    let process = process(families);
    let mut sections: Vec<Section> = Vec::new();
    sections.extend(pools(families, process, draft));
    sections.extend(levels(families, service, process, draft));
    sections.extend(servers(families, service, draft));
    sections.extend(host_memory(families, draft));
    if process == Process::Service {
        sections.extend(memory(families, draft));
        sections.extend(cpu(families, draft));
    }
    draft.note(if sections.is_empty() { NOTHING } else { WARNINGS });
    sections.iter().for_each(|section| draft.section(section));
    if process == Process::Exporter {
        draft.note("`process_*` and the runtime's metrics are the exporter's own and not used.");
    }
}

fn is_gauge(family: &Family) -> bool {
    matches!(family.kind, Kind::Gauge | Kind::Unknown) && family.series > 0
}

fn pairs(pair: Option<(&str, &str)>) -> Vec<Match> {
    pair.iter().map(|(label, value)| Match::new(label, "=", value)).collect()
}

/// The sum over the series that a matcher selects.
fn weight(family: &Family, pair: Option<(&str, &str)>) -> f64 {
    match pair {
        Some((label, value)) => family.labels.get(label).map_or(0.0, |all| all.weight(value)),
        None => family.total,
    }
}

fn pools(families: &Families, process: Process, draft: &mut Draft) -> Vec<Section> {
    let mut sections = Vec::new();
    for pool in POOLS {
        for used in families.iter().filter(|family| pool.used.fits(&family.name)) {
            let most = match pool.used {
                Name::Is(_) => pool.most.to_owned(),
                Name::Ends(end) => {
                    format!("{}{}", used.name.strip_suffix(end).unwrap_or(&used.name), pool.most)
                }
            };
            let foreign = process == Process::Exporter && used.name.starts_with("process_");
            let most = families.get(&most).filter(|most| is_gauge(most));
            let Some(most) = most.filter(|_| is_gauge(used) && !foreign) else { continue };
            if weight(most, pool.both) > 0.0 && sections.len() < MAX_EACH {
                sections.push(share(pool, used, most, draft));
            }
        }
    }
    sections
}

fn share(pool: &Pool, used: &Family, most: &Family, draft: &mut Draft) -> Section {
    let both = pairs(pool.both);
    let only = [both.clone(), pairs(pool.only_used)].concat();
    let now = weight(used, pool.only_used.or(pool.both)) / weight(most, pool.both);
    let limit = f64::from(pool.limit) / 100.0;
    let mut prose = format!(
        "{}: `{}` of `{}`; now {}.",
        sentence(pool.what),
        shown(&used.name),
        shown(&most.name),
        percent(now)
    );
    if used.series > 1 && pool.both.is_none() {
        prose.push_str(" There are several; their sum is watched.");
    }
    let active = switched(now < limit, &mut prose);
    let prefix = draft.signal(pool.signal);
    let names = [format!("{prefix}_used"), format!("{prefix}_max"), format!("{prefix}_use")];
    // The least within two minutes: a peak, or a heap before its collection, is no shortage.
    let first = Table::signal(&names[0], pool.what)
        .raw("gauge", selector_string(&used.name, &only))
        .text("across", "sum")
        .text("over", "min")
        .text("window", "2m");
    let second = Table::signal(&names[1], "the most that there can be")
        .raw("gauge", selector_string(&most.name, &both))
        .text("across", "sum");
    let third = Table::signal(&names[2], "share of it that is in use")
        .text("expr", &format!("{} / {}", names[0], names[1]))
        .text("unit", "ratio");
    let rule = warning(
        &draft.rule(&format!("{}-exhausted", pool.signal.replace('_', "-"))),
        &format!("more than {}% of the {} in use for 5 minutes", pool.limit, pool.what),
        &format!("{} > {}%", names[2], pool.limit),
    );
    Section { prose: vec![prose], tables: vec![first, second, third, rule], active }
}

/// A rule that would hold as things are is written and switched off.
fn switched(fits: bool, prose: &mut String) -> Active {
    if fits {
        return Active::Yes;
    }
    prose.push_str(" It is switched off: as things are, its rule would hold already.");
    Active::No
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn warning(name: &str, description: &str, when: &str) -> Table {
    Table::rule(name, description, when).text("for", "5m").text("severity", "warning")
}

fn levels(families: &Families, service: &str, process: Process, draft: &mut Draft) -> Vec<Section> {
    let mut sections = Vec::new();
    for level in LEVELS {
        for family in families.iter().filter(|family| level.name.fits(&family.name)) {
            let bound = family.name.split('_').any(|part| NO_LEVEL.contains(&part));
            let foreign = process == Process::Exporter && family.name.starts_with("process_");
            let named = matches!(level.name, Name::Is(_));
            let known = named || (family.kind == Kind::Gauge && is_own(level.name, family));
            let fits = is_gauge(family) && known && !bound && !foreign;
            if fits && sections.len() < MAX_EACH {
                sections.push(one_level(level, family, service, draft));
            }
        }
    }
    sections
}

fn one_level(level: &Level, family: &Family, service: &str, draft: &mut Draft) -> Section {
    let mut scope = Scope::default();
    if let Some(label) = level.scope {
        scope.backend(label, family, service);
    }
    let chosen = scope.matchers.first();
    let now = chosen.map_or(family.total, |one| weight(family, Some((&one.label, &one.value))));
    let limit = match level.unit {
        Measure::Things => level.limit.max((2.0 * now).ceil().min(MOST_THINGS)),
        Measure::Seconds | Measure::Share => level.limit,
    };
    let (limit_shown, unit) = match level.unit {
        Measure::Things => (limit.to_string(), "count"),
        Measure::Seconds => (seconds(limit), "seconds"),
        Measure::Share => (percent(limit), "ratio"),
    };
    let mut prose = format!("{}: `{}`.", sentence(level.what), shown(&family.name));
    scope.remarks.iter().for_each(|remark| prose.push_str(&format!(" {remark}")));
    let active = switched(now < limit, &mut prose);
    let name = draft.signal(level.signal);
    // The least within two minutes: a queue that empties at times keeps up.
    let signal = Table::signal(&name, level.what)
        .raw("gauge", selector_string(&family.name, &scope.matchers))
        .text("across", if level.unit == Measure::Things { "sum" } else { "max" })
        .text("over", "min")
        .text("window", "2m")
        .text("unit", unit);
    let rule = warning(
        &draft.rule(&format!("{}-high", level.signal.replace('_', "-"))),
        &format!("{} above {limit_shown} for 5 minutes", level.what),
        &format!("{name} > {limit_shown}"),
    );
    Section { prose: vec![prose], tables: vec![signal, rule], active }
}

/// How many of a proxy's servers are up.
fn servers(families: &Families, service: &str, draft: &mut Draft) -> Option<Section> {
    let family = families.get(SERVERS).filter(|family| family.labels.contains_key("state"))?;
    let mut scope = Scope::default();
    scope.backend("proxy", family, service);
    let mut prose = "The servers behind the proxy by its own health checks. A release takes some \
                     of them away on purpose: keep the limit below what is left then."
        .to_owned();
    scope.remarks.iter().for_each(|remark| prose.push_str(&format!(" {remark}")));
    let all = family.labels.get("state")?.seen.get("UP")?;
    let active = switched(all.1 / all.0 as f64 >= 0.5, &mut prose);
    let up = [scope.matchers.clone(), pairs(Some(("state", "UP")))].concat();
    let names = ["servers_up", "servers", "servers_share"].map(|name| draft.signal(name));
    let gauge = |name: &str, what: &str, across: &str| {
        let signal = Table::signal(name, what);
        signal.raw("gauge", selector_string(SERVERS, &up)).text("across", across)
    };
    let share = Table::signal(&names[2], "share of the servers that are up")
        .text("expr", &format!("{} / {}", names[0], names[1]))
        .text("unit", "ratio");
    let rule = Table::rule(
        &draft.rule("servers-down"),
        "less than half of the servers up for a minute",
        &format!("{} < 50%", names[2]),
    );
    let tables = vec![
        gauge(&names[0], "servers that are up", "sum"),
        gauge(&names[1], "servers that there are", "count"),
        share,
        rule.text("for", "1m").text("severity", "warning"),
    ];
    Some(Section { prose: vec![prose], tables, active })
}

fn host_memory(families: &Families, draft: &mut Draft) -> Option<Section> {
    let total = families.get(HOST_TOTAL).filter(|total| total.total > 0.0)?;
    let available = families.get(HOST_AVAILABLE)?;
    let now = available.total / total.total;
    let mut prose = format!("The host's memory; now {} of it is available.", percent(now));
    let active = switched(now > 0.05, &mut prose);
    let names = ["host_available", "host_memory", "host_free"].map(|name| draft.signal(name));
    let gauge = |name: &str, what: &str, family: &Family| {
        let signal = Table::signal(name, what);
        signal.raw("gauge", selector_string(&family.name, &[])).text("across", "sum")
    };
    let share = Table::signal(&names[2], "share of the host's memory that is available")
        .text("expr", &format!("{} / {}", names[0], names[1]))
        .text("unit", "ratio");
    let rule = warning(
        &draft.rule("host-memory-low"),
        "less than 5% of the host's memory available for 5 minutes",
        &format!("{} < 5%", names[2]),
    );
    let tables = vec![
        gauge(&names[0], "memory that is available", available),
        gauge(&names[1], "memory that there is", total),
        share,
        rule,
    ];
    Some(Section { prose: vec![prose], tables, active })
}

fn memory(families: &Families, draft: &mut Draft) -> Option<Section> {
    let family = families.get(MEMORY).filter(|family| is_gauge(family))?;
    let believed = (0.0..=MOST_MEMORY).contains(&family.total);
    let family = believed.then_some(family)?;
    let steps = (2.0 * family.total / MEMORY_STEP).ceil().max(1.0);
    let mebibytes = (steps * MEMORY_STEP / (1024.0 * 1024.0)) as u64;
    let prose =
        "Resident memory of the process. The page does not say what it may use, so the limit \
                 is twice what it uses now: put the limit of its container or unit here."
            .to_owned();
    let names = ["memory", "memory_limit"].map(|name| draft.signal(name));
    let tables = vec![
        Table::signal(&names[0], "resident memory")
            .raw("gauge", selector_string(MEMORY, &[]))
            .text("across", "sum")
            .text("over", "min")
            .text("window", "2m")
            .text("unit", "bytes"),
        Table::signal(&names[1], "what it may use").text("value", &format!("{mebibytes}MiB")),
        warning(
            &draft.rule("memory-high"),
            "more than 90% of the memory limit used for 5 minutes",
            &format!("{} > 0.9 * {}", names[0], names[1]),
        ),
    ];
    Some(Section { prose: vec![prose], tables, active: Active::Yes })
}

fn cpu(families: &Families, draft: &mut Draft) -> Option<Section> {
    let family = families.get(CPU)?;
    let prose = "Processor time of the process. How much it may use the page does not say: switch \
                 this on with the number of processors that it has."
        .to_owned();
    let name = draft.signal("cpu");
    let tables = vec![
        Table::signal(&name, "processors in use")
            .raw("rate", selector_string(&family.name, &[]))
            .text("window", "1m"),
        warning(
            &draft.rule("cpu-high"),
            "more than 2 processors in use for 5 minutes",
            &format!("{name} > 2"),
        ),
    ];
    Some(Section { prose: vec![prose], tables, active: Active::No })
}
