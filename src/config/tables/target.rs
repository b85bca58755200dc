//! `[target.NAME]`: what is scraped.

use std::time::Duration;

use crate::model::name::TargetName;
use crate::model::target::{HttpPage, NativeHistograms, Scheme, Target, TargetKind};

use super::header::{headers, pairs};
use super::url::scrape_url;
use crate::config::syntax::{Diagnostic, TomlTable, TomlValue};

/// The interval where neither a target nor who asks for one says it.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

const MAX_BODY: u64 = HttpPage::MAX_BODY;

/// The time that a scrape may take unless it is said.
fn default_timeout(interval: Duration) -> Duration {
    interval * 4 / 5
}

/// Reads one target.
pub(crate) fn target(table: &TomlTable<'_>) -> Option<Target> {
    table.check_keys();
    let name = table.own_name();
    let kind = page(table).map(TargetKind::Page);
    let interval = table.read("interval");
    let within =
        |value: TomlValue<'_>, is_allowed: fn(&Duration, &Duration) -> bool, what, help: &str| {
            let time = value.duration()?;
            if interval.is_none_or(|interval| is_allowed(&time, &interval)) {
                return Some(time);
            }
            value.cx.refuse(value.error(what).help(help))
        };
    // It may be shorter than the timeout: a slow page is waited for all the same, and sampled less
    // often.
    let sharpen = table.opt("sharpen", |value| {
        let help = "it is the interval while a rule is near its limit; leave it out";
        within(value, Duration::lt, "`sharpen` is not shorter than the interval", help)
    });
    let timeout = table.opt("timeout", |value| {
        let help = "a scrape must end before the next one starts";
        within(value, Duration::le, "the timeout is longer than the interval", help)
    });
    let labels = table.opt("labels", labels);
    let interval = interval?;
    Some(Target {
        name: name?,
        kind: kind?,
        interval,
        sharpen: sharpen?,
        timeout: timeout?.unwrap_or(default_timeout(interval)),
        labels: labels?.unwrap_or_default(),
    })
}

/// Reads what a metrics page over HTTP has of its own.
fn page(table: &TomlTable<'_>) -> Option<HttpPage> {
    let url = table.read_with("scrape", |value| value.parse(scrape_url));
    let headers = table.opt("headers", headers);
    let read = table.all(["ca_file", "native_histograms"]);
    let max_body = table.read_with("max_body", size);
    let url = url?;
    if let (Some(file), Scheme::Http) = (table.get("ca_file"), url.scheme) {
        return file.refuse("`ca_file` has no meaning for an http page");
    }
    let (headers, max_body) = (headers?.unwrap_or_default(), max_body?);
    let (ca_file, native) = read?;
    let native_histograms = if native { NativeHistograms::Ask } else { NativeHistograms::Never };
    Some(HttpPage { url, headers, ca_file, max_body, native_histograms })
}

/// A target of this name for a page at a URL, everything else as it is by default.
///
/// # Errors
/// What is wrong with the URL, and what to write instead.
pub fn target_at(name: TargetName, url: &str) -> Result<Target, String> {
    let url = scrape_url(url).map_err(|error| match error.help {
        Some(help) => format!("{}; {help}", error.message),
        None => error.message,
    })?;
    Ok(Target {
        name,
        kind: TargetKind::Page(HttpPage::new(url)),
        sharpen: None,
        interval: DEFAULT_INTERVAL,
        timeout: default_timeout(DEFAULT_INTERVAL),
        labels: Vec::new(),
    })
}

/// Pairs of a label's name and its value.
pub(crate) fn labels(value: TomlValue<'_>) -> Option<Vec<(String, String)>> {
    /// Given by the guard or by the page's own format.
    const RESERVED: [&str; 4] = ["__name__", "target", "le", "quantile"];
    pairs(value, |entry| {
        if RESERVED.contains(&entry.key) {
            let message = format!("the label `{}` is given by rollguard or by the page", entry.key);
            return value.cx.refuse(entry.key_error(message));
        }
        if entry.key.is_empty() {
            return value.cx.refuse(entry.key_error("a label's name is not empty"));
        }
        entry.value.string()
    })
}

/// A size: `64KiB`, `8MiB`, `1048576B`.
fn size(value: TomlValue<'_>) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("KiB", 1 << 10), ("MiB", 1 << 20), ("KB", 1_000), ("MB", 1_000_000), ("B", 1)];
    if value.as_str().is_none() {
        return value.expected("a size like \"64KiB\" or \"8MiB\"");
    }
    value.parse(|text| {
        let error = |message: &str| Diagnostic::new(0..text.len(), message);
        let size = UNITS.iter().find_map(|(unit, size)| {
            let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
            count.checked_mul(*size)
        });
        match size {
            Some(size @ 1..=MAX_BODY) => Ok(size),
            Some(_) => Err(error("out of range, 1B to 64MiB is allowed")),
            None => Err(error("not a size").help("write one like \"64KiB\" or \"8MiB\"")),
        }
    })
}
