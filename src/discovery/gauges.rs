//! What runs full, waits or grows. These say that a service suffers, not that the release is to
//! blame: their rules are warnings, which tell people and never roll back.

use super::config_writer::{Active, ConfigSection, ConfigWriter, rule_table, signal_table};
use super::conventions::{LEVELS, LevelConvention, LevelUnit, NO_LEVEL, Name, POOLS, Pool};
use super::family::{FamilyKind, MetricFamily, PageFamilies};
use super::recognized::is_own;
use super::scope::Scope;
use super::text::{percent, seconds, shown};
use crate::toml_text::{MatcherText, Table, selector_literal};

/// How many pools and how many levels are written; a page with more has its own rules coming.
const MAX_EACH: usize = 6;

/// The highest limit on things that wait: what a condition still shows as digits.
const MOST_THINGS: f64 = 1e12;

/// The most memory that a process is believed to use, in bytes: 64 TiB.
const MOST_MEMORY: f64 = 7e13;

/// Memory is compared with twice what it is now, in steps of so many mebibytes.
const MEMORY_STEP_MIB: f64 = 64.0;

/// What the section says once for all of it.
const WARNINGS: &str = "Rules below are warnings: they tell people and never roll back, because \
                        load can do all of this as well as a release. Take `severity` away from \
                        the one that is to roll back.";

const NOTHING: &str = "Nothing on the page is known to run full, wait or grow.";

/// The process's own metrics.
const MEMORY: &str = "process_resident_memory_bytes";
const CPU: &str = "process_cpu_seconds_total";
const HOST_AVAILABLE: &str = "node_memory_MemAvailable_bytes";
const HOST_TOTAL: &str = "node_memory_MemTotal_bytes";
/// One series for each server and state of it, 1 where it is in that state.
const SERVERS: &str = "haproxy_server_status";

/// Whose process the process metrics are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessOwner {
    Service,
    /// An exporter, which nobody deploys.
    Exporter,
}

/// Whose process a page tells of.
pub(super) fn process_owner(families: &PageFamilies) -> ProcessOwner {
    let exporter = families.iter().any(|family| family.name.ends_with("exporter_build_info"));
    if exporter { ProcessOwner::Exporter } else { ProcessOwner::Service }
}

/// Writes everything that runs full, waits or grows.
pub(super) fn write(families: &PageFamilies, service: &str, writer: &mut ConfigWriter) {
    let owner = process_owner(families);
    let mut sections: Vec<ConfigSection> = Vec::new();
    sections.extend(pools(families, owner, writer));
    sections.extend(levels(families, service, owner, writer));
    sections.extend(servers(families, service, writer));
    sections.extend(host_memory(families, writer));
    if owner == ProcessOwner::Service {
        sections.extend(memory(families, writer));
        sections.extend(cpu(families, writer));
    }
    writer.note(if sections.is_empty() { NOTHING } else { WARNINGS });
    sections.iter().for_each(|section| writer.section(section));
    if owner == ProcessOwner::Exporter {
        writer.note("`process_*` and the runtime's metrics are the exporter's own and not used.");
    }
}

/// Whether it is a gauge that tells of the service.
fn is_useful(family: &MetricFamily, owner: ProcessOwner) -> bool {
    let gauge = matches!(family.kind, FamilyKind::Gauge | FamilyKind::Unknown);
    let foreign = owner == ProcessOwner::Exporter && family.name.starts_with("process_");
    gauge && family.series > 0 && !foreign
}

fn matchers(pair: Option<(&str, &str)>) -> Vec<MatcherText> {
    pair.iter().map(|(label, value)| MatcherText::new(label, "=", value)).collect()
}

/// The sum over the series that a matcher selects.
fn weight(family: &MetricFamily, pair: Option<(&str, &str)>) -> f64 {
    match pair {
        Some((label, value)) => family.labels.get(label).map_or(0.0, |all| all.weight(value)),
        None => family.total,
    }
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

/// A signal over the series of a gauge, put together.
fn gauge(
    name: &str,
    what: &str,
    (metric, matchers): (&str, &[MatcherText]),
    across: &str,
) -> Table {
    let of = selector_literal(metric, matchers);
    signal_table(name, what).raw("gauge", of).text("across", across)
}

/// The least within two minutes: a peak is no shortage, and neither is a heap before its
/// collection or a queue that empties at times.
fn lasting(signal: Table) -> Table {
    signal.text("over", "min").text("window", "2m")
}

/// A signal that is the share of one signal in another.
fn share(name: &str, what: &str, of: &str, to: &str) -> Table {
    signal_table(name, what).text("expr", &format!("{of} / {to}")).text("unit", "ratio")
}

fn warning(name: &str, hold: &str, description: &str, when: &str) -> Table {
    rule_table(name, description, when).text("for", hold).text("severity", "warning")
}

fn pools(
    families: &PageFamilies,
    owner: ProcessOwner,
    writer: &mut ConfigWriter,
) -> Vec<ConfigSection> {
    let mut sections = Vec::new();
    for pool in POOLS {
        let is_used =
            |family: &&MetricFamily| pool.used.fits(&family.name) && is_useful(family, owner);
        for used in families.iter().filter(is_used) {
            let most = match pool.used {
                Name::Is(_) => pool.most.to_owned(),
                Name::Ends(end) => {
                    format!("{}{}", used.name.strip_suffix(end).unwrap_or(&used.name), pool.most)
                }
            };
            let most = families.get(&most).filter(|most| is_useful(most, ProcessOwner::Service));
            let Some(most) = most.filter(|most| weight(most, pool.both) > 0.0) else { continue };
            if sections.len() < MAX_EACH {
                sections.push(one_pool(pool, used, most, writer));
            }
        }
    }
    sections
}

fn one_pool(
    pool: &Pool,
    used: &MetricFamily,
    most: &MetricFamily,
    writer: &mut ConfigWriter,
) -> ConfigSection {
    let Pool { what, limit, .. } = pool;
    let both = matchers(pool.both);
    let only = [both.clone(), matchers(pool.only_used)].concat();
    let now = weight(used, pool.only_used.or(pool.both)) / weight(most, pool.both);
    let mut prose = format!(
        "{}: `{}` of `{}`; now {}.",
        sentence(what),
        shown(&used.name),
        shown(&most.name),
        percent(now)
    );
    if used.series > 1 && pool.both.is_none() {
        prose.push_str(" There are several; their sum is watched.");
    }
    let active = switched(now < f64::from(*limit) / 100.0, &mut prose);
    let prefix = writer.signal(pool.signal);
    let [in_use, max, part] = ["used", "max", "use"].map(|end| format!("{prefix}_{end}"));
    let tables = vec![
        lasting(gauge(&in_use, what, (&used.name, &only), "sum")),
        gauge(&max, "the most that there can be", (&most.name, &both), "sum"),
        share(&part, "share of it that is in use", &in_use, &max),
        warning(
            &writer.rule(&format!("{}-exhausted", pool.signal.replace('_', "-"))),
            "5m",
            &format!("more than {limit}% of the {what} in use for 5 minutes"),
            &format!("{part} > {limit}%"),
        ),
    ];
    ConfigSection::new(prose, tables).switched(active)
}

fn levels(
    families: &PageFamilies,
    service: &str,
    owner: ProcessOwner,
    writer: &mut ConfigWriter,
) -> Vec<ConfigSection> {
    let mut sections = Vec::new();
    for level in LEVELS {
        for family in families.iter().filter(|family| level.name.fits(&family.name)) {
            let bound = family.name.split('_').any(|part| NO_LEVEL.contains(&part));
            let named = matches!(level.name, Name::Is(_));
            let known = named || (family.kind == FamilyKind::Gauge && is_own(level.name, family));
            let fits = is_useful(family, owner) && known && !bound;
            if fits && sections.len() < MAX_EACH {
                sections.push(one_level(level, family, service, writer));
            }
        }
    }
    sections
}

fn one_level(
    level: &LevelConvention,
    family: &MetricFamily,
    service: &str,
    writer: &mut ConfigWriter,
) -> ConfigSection {
    let mut scope = Scope::default();
    if let Some(label) = level.scope {
        scope.backend(label, family, service);
    }
    let chosen = scope.matchers.first();
    let now = chosen.map_or(family.total, |one| weight(family, Some((&one.label, &one.value))));
    let (limit, limit_shown, unit, across) = match level.unit {
        LevelUnit::Things => {
            let limit = level.limit.max((2.0 * now).ceil().min(MOST_THINGS));
            (limit, limit.to_string(), "count", "sum")
        }
        LevelUnit::Seconds => (level.limit, seconds(level.limit), "seconds", "max"),
        LevelUnit::Share => (level.limit, percent(level.limit), "ratio", "max"),
    };
    let mut prose = format!("{}: `{}`.", sentence(level.what), shown(&family.name));
    prose += &scope.remarks();
    let active = switched(now < limit, &mut prose);
    let name = writer.signal(level.signal);
    let signal = gauge(&name, level.what, (&family.name, &scope.matchers), across);
    let rule = warning(
        &writer.rule(&format!("{}-high", level.signal.replace('_', "-"))),
        "5m",
        &format!("{} above {limit_shown} for 5 minutes", level.what),
        &format!("{name} > {limit_shown}"),
    );
    let tables = vec![lasting(signal).text("unit", unit), rule];
    ConfigSection::new(prose, tables).switched(active)
}

/// How many of a proxy's servers are up.
fn servers(
    families: &PageFamilies,
    service: &str,
    writer: &mut ConfigWriter,
) -> Option<ConfigSection> {
    let family = families.get(SERVERS).filter(|family| family.labels.contains_key("state"))?;
    let mut scope = Scope::default();
    scope.backend("proxy", family, service);
    let mut prose = "The servers behind the proxy by its own health checks. A release takes some \
                     of them away on purpose: keep the limit below what is left then."
        .to_owned();
    prose += &scope.remarks();
    let (servers, servers_up) = family.labels.get("state")?.seen.get("UP")?;
    let active = switched(servers_up / *servers as f64 >= 0.5, &mut prose);
    let states = [scope.matchers, matchers(Some(("state", "UP")))].concat();
    let [up, all, part] =
        ["servers_up", "servers", "servers_share"].map(|name| writer.signal(name));
    let tables = vec![
        gauge(&up, "servers that are up", (SERVERS, &states), "sum"),
        gauge(&all, "servers that there are", (SERVERS, &states), "count"),
        share(&part, "share of the servers that are up", &up, &all),
        warning(
            &writer.rule("servers-down"),
            "1m",
            "less than half of the servers up for a minute",
            &format!("{part} < 50%"),
        ),
    ];
    Some(ConfigSection::new(prose, tables).switched(active))
}

fn host_memory(families: &PageFamilies, writer: &mut ConfigWriter) -> Option<ConfigSection> {
    let total = families.get(HOST_TOTAL).filter(|total| total.total > 0.0)?;
    let now = families.get(HOST_AVAILABLE)?.total / total.total;
    let mut prose = format!("The host's memory; now {} of it is available.", percent(now));
    let active = switched(now > 0.05, &mut prose);
    let [available, all, part] =
        ["host_available", "host_memory", "host_free"].map(|name| writer.signal(name));
    let tables = vec![
        gauge(&available, "memory that is available", (HOST_AVAILABLE, &[]), "sum"),
        gauge(&all, "memory that there is", (HOST_TOTAL, &[]), "sum"),
        share(&part, "share of the host's memory that is available", &available, &all),
        warning(
            &writer.rule("host-memory-low"),
            "5m",
            "less than 5% of the host's memory available for 5 minutes",
            &format!("{part} < 5%"),
        ),
    ];
    Some(ConfigSection::new(prose, tables).switched(active))
}

fn memory(families: &PageFamilies, writer: &mut ConfigWriter) -> Option<ConfigSection> {
    let family = families.get(MEMORY)?;
    let believed = (0.0..=MOST_MEMORY).contains(&family.total);
    if !believed || !is_useful(family, ProcessOwner::Service) {
        return None;
    }
    let steps = (2.0 * family.total / (MEMORY_STEP_MIB * 1024.0 * 1024.0)).ceil().max(1.0);
    let prose = "Resident memory of the process. The page does not say what it may use, so the \
                 limit is twice what it uses now: put the limit of its container or unit here.";
    let [used, limit] = ["memory", "memory_limit"].map(|name| writer.signal(name));
    let tables = vec![
        lasting(gauge(&used, "resident memory", (MEMORY, &[]), "sum")).text("unit", "bytes"),
        signal_table(&limit, "what it may use")
            .text("value", &format!("{}MiB", steps * MEMORY_STEP_MIB)),
        warning(
            &writer.rule("memory-high"),
            "5m",
            "more than 90% of the memory limit used for 5 minutes",
            &format!("{used} > 0.9 * {limit}"),
        ),
    ];
    Some(ConfigSection::new(prose, tables))
}

fn cpu(families: &PageFamilies, writer: &mut ConfigWriter) -> Option<ConfigSection> {
    families.get(CPU)?;
    let prose = "Processor time of the process. How much it may use the page does not say: switch \
                 this on with the number of processors that it has.";
    let name = writer.signal("cpu");
    let tables = vec![
        signal_table(&name, "processors in use")
            .raw("rate", selector_literal(CPU, &[]))
            .text("window", "1m"),
        warning(
            &writer.rule("cpu-high"),
            "5m",
            "more than 2 processors in use for 5 minutes",
            &format!("{name} > 2"),
        ),
    ];
    Some(ConfigSection::new(prose, tables).switched(Active::No))
}
