//! What runs full, waits or grows. These say that a service suffers, not that the release is to
//! blame: their rules are warnings, which tell people and never roll back.

use super::config_writer::{ConfigSection, ConfigWriter, rule_table, signal_table};
use super::conventions::{LEVELS, LevelConvention, LevelUnit, NO_LEVEL, POOLS, Pool, fits, is_end};
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

/// Whether the process metrics are about an exporter, which nobody deploys.
pub(super) fn is_of_exporter(families: &PageFamilies) -> bool {
    families.iter().any(|family| family.name.ends_with("exporter_build_info"))
}

/// Writes everything that runs full, waits or grows.
pub(super) fn write(families: &PageFamilies, service: &str, writer: &mut ConfigWriter) {
    let exporter = is_of_exporter(families);
    let mut sections: Vec<ConfigSection> = Vec::new();
    sections.extend(
        pools(families, exporter).map(|(pool, used, most)| one_pool(pool, used, most, writer)),
    );
    sections.extend(
        levels(families, exporter).map(|(level, family)| one_level(level, family, service, writer)),
    );
    sections.extend(servers(families, service, writer));
    sections.extend(host_memory(families, writer));
    if !exporter {
        sections.extend(memory(families, writer));
        sections.extend(cpu(families, writer));
    }
    writer.note(if sections.is_empty() { NOTHING } else { WARNINGS });
    sections.iter().for_each(|section| writer.section(section));
    if exporter {
        writer.note("`process_*` and the runtime's metrics are the exporter's own and not used.");
    }
}

/// Whether it is a gauge that tells of the service.
fn is_useful(family: &MetricFamily, exporter: bool) -> bool {
    let gauge = matches!(family.kind, FamilyKind::Gauge | FamilyKind::Unknown);
    let foreign = exporter && family.name.starts_with("process_");
    gauge && family.series > 0 && !foreign
}

fn matchers(pair: Option<(&str, &str)>) -> Vec<MatcherText> {
    pair.into_iter().map(|(label, value)| MatcherText::new(label, "=", value)).collect()
}

/// The sum over the series that a matcher selects.
fn weight(family: &MetricFamily, pair: Option<(&str, &str)>) -> f64 {
    match pair {
        Some((label, value)) => family.labels.get(label).map_or(0.0, |all| all.weight(value)),
        None => family.total,
    }
}

/// A section whose rule is switched off if it would hold as things are.
fn section(quiet: bool, prose: String, tables: Vec<Table>) -> ConfigSection {
    if quiet {
        return ConfigSection::new(prose, tables);
    }
    let off = " It is switched off: as things are, its rule would hold already.";
    ConfigSection::new(prose + off, tables).off()
}

fn sentence(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_ascii_uppercase() + rest
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

/// A warning about what has held for five minutes.
fn warning(name: &str, what: &str, when: &str) -> Table {
    let description = format!("{what} for 5 minutes");
    rule_table(name, &description, when).text("for", "5m").text("severity", "warning")
}

/// Each pool on the page, with the gauges of what is in use and what there is.
fn pools(
    families: &PageFamilies,
    exporter: bool,
) -> impl Iterator<Item = (&'static Pool, &MetricFamily, &MetricFamily)> {
    let of_row = move |pool: &'static Pool| {
        let used = families.iter().filter(|family| fits(pool.used, &family.name));
        used.filter(move |family| is_useful(family, exporter)).filter_map(move |used| {
            // Of a whole name nothing is left.
            let prefix = used.name.strip_suffix(pool.used).unwrap_or(&used.name);
            let most = families.get(&format!("{prefix}{}", pool.most))?;
            let useful = is_useful(most, false) && weight(most, pool.both) > 0.0;
            useful.then_some((pool, used, most))
        })
    };
    POOLS.iter().flat_map(of_row).take(MAX_EACH)
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
    let prefix = writer.signal(pool.signal);
    let [in_use, max, part] = ["used", "max", "use"].map(|end| format!("{prefix}_{end}"));
    let tables = vec![
        lasting(gauge(&in_use, what, (&used.name, &only), "sum")),
        gauge(&max, "the most that there can be", (&most.name, &both), "sum"),
        share(&part, "share of it that is in use", &in_use, &max),
        warning(
            &writer.rule(&format!("{}-exhausted", pool.signal.replace('_', "-"))),
            &format!("more than {limit}% of the {what} in use"),
            &format!("{part} > {limit}%"),
        ),
    ];
    section(now < f64::from(*limit) / 100.0, prose, tables)
}

/// Each level on the page.
fn levels(
    families: &PageFamilies,
    exporter: bool,
) -> impl Iterator<Item = (&'static LevelConvention, &MetricFamily)> {
    let of_row = move |level: &'static LevelConvention| {
        let is_known = move |family: &MetricFamily| {
            let bound = family.name.split('_').any(|part| NO_LEVEL.contains(&part));
            let own = family.kind == FamilyKind::Gauge && is_own(level.name, family);
            is_useful(family, exporter) && (!is_end(level.name) || own) && !bound
        };
        let named = families.iter().filter(|family| fits(level.name, &family.name));
        named.filter(move |family| is_known(family)).map(move |family| (level, family))
    };
    LEVELS.iter().flat_map(of_row).take(MAX_EACH)
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
    let prose = format!("{}: `{}`.", sentence(level.what), shown(&family.name)) + &scope.remarks();
    let name = writer.signal(level.signal);
    let signal = gauge(&name, level.what, (&family.name, &scope.matchers), across);
    let rule = warning(
        &writer.rule(&format!("{}-high", level.signal.replace('_', "-"))),
        &format!("{} above {limit_shown}", level.what),
        &format!("{name} > {limit_shown}"),
    );
    section(now < limit, prose, vec![lasting(signal).text("unit", unit), rule])
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
    let prose = "The servers behind the proxy by its own health checks. A release takes some of \
                 them away on purpose: keep the limit below what is left then.";
    let prose = prose.to_owned() + &scope.remarks();
    let (servers, servers_up) = family.labels.get("state")?.seen.get("UP")?;
    let states = [scope.matchers, matchers(Some(("state", "UP")))].concat();
    let [up, all, part] =
        ["servers_up", "servers", "servers_share"].map(|name| writer.signal(name));
    let down = "less than half of the servers up for a minute";
    let tables = vec![
        gauge(&up, "servers that are up", (SERVERS, &states), "sum"),
        gauge(&all, "servers that there are", (SERVERS, &states), "count"),
        share(&part, "share of the servers that are up", &up, &all),
        rule_table(&writer.rule("servers-down"), down, &format!("{part} < 50%"))
            .text("for", "1m")
            .text("severity", "warning"),
    ];
    Some(section(servers_up / *servers as f64 >= 0.5, prose, tables))
}

fn host_memory(families: &PageFamilies, writer: &mut ConfigWriter) -> Option<ConfigSection> {
    let total = families.get(HOST_TOTAL).filter(|total| total.total > 0.0)?;
    let now = families.get(HOST_AVAILABLE)?.total / total.total;
    let prose = format!("The host's memory; now {} of it is available.", percent(now));
    let [available, all, part] =
        ["host_available", "host_memory", "host_free"].map(|name| writer.signal(name));
    let low = "less than 5% of the host's memory available";
    let tables = vec![
        gauge(&available, "memory that is available", (HOST_AVAILABLE, &[]), "sum"),
        gauge(&all, "memory that there is", (HOST_TOTAL, &[]), "sum"),
        share(&part, "share of the host's memory that is available", &available, &all),
        warning(&writer.rule("host-memory-low"), low, &format!("{part} < 5%")),
    ];
    Some(section(now > 0.05, prose, tables))
}

fn memory(families: &PageFamilies, writer: &mut ConfigWriter) -> Option<ConfigSection> {
    let family = families.get(MEMORY)?;
    let believed = (0.0..=MOST_MEMORY).contains(&family.total);
    if !believed || !is_useful(family, false) {
        return None;
    }
    let steps = (2.0 * family.total / (MEMORY_STEP_MIB * 1024.0 * 1024.0)).ceil().max(1.0);
    let prose = "Resident memory of the process. The page does not say what it may use, so the \
                 limit is twice what it uses now: put the limit of its container or unit here.";
    let [used, limit] = ["memory", "memory_limit"].map(|name| writer.signal(name));
    let high = "more than 90% of the memory limit used";
    let tables = vec![
        lasting(gauge(&used, "resident memory", (MEMORY, &[]), "sum")).text("unit", "bytes"),
        signal_table(&limit, "what it may use")
            .text("value", &format!("{}MiB", steps * MEMORY_STEP_MIB)),
        warning(&writer.rule("memory-high"), high, &format!("{used} > 0.9 * {limit}")),
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
        warning(&writer.rule("cpu-high"), "more than 2 processors in use", &format!("{name} > 2")),
    ];
    Some(ConfigSection::new(prose, tables).off())
}
