//! `[target.NAME]`: what is scraped. Sizes, headers and URLs are read here.

use std::time::Duration;

use crate::model::name::TargetName;
use crate::model::target::{NativeHistograms, Scheme, ScrapeUrl, Secret, Target};

use super::named::Declared;
use crate::config::syntax::diagnostic::{Diagnostic, Place};
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Fault, Item, Section};

/// The shortest interval. Below it scraping costs the guarded service more than it tells.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The longest interval. Beyond it a guard comes too late for every purpose.
pub(crate) const MAX_INTERVAL: Duration = Duration::from_secs(300);

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// The largest page that may be allowed, and the default: ten times the largest page of a sane
/// service, and what can be read within one interval.
const MAX_BODY: u64 = 64 << 20;

/// The most labels or headers of a target; nobody writes more by hand.
const MAX_PAIRS: usize = 64;

const KEYS: [&str; 9] = [
    "scrape",
    "interval",
    "sharpen",
    "timeout",
    "labels",
    "headers",
    "ca_file",
    "max_body",
    "native_histograms",
];

/// Reads one target.
pub(crate) fn target(declared: &Declared<'_>, sink: &mut Sink) -> Option<Target> {
    let section = &declared.section;
    section.only(&KEYS, &[], sink);
    let name = TargetName::new(declared.name)
        .map_err(|e| sink.report(Diagnostic::error(declared.place.clone(), e.to_string())))
        .ok();
    let url = section.required("scrape", sink).and_then(|item| {
        let text = item.text(sink)?;
        text.parse(sink, scrape_url)
    });
    let interval = section.or("interval", DEFAULT_INTERVAL, |item| {
        item.duration_within(MIN_INTERVAL, MAX_INTERVAL, sink)
    });
    let sharpen = section.opt("sharpen", |item| sharpen(item, interval, sink));
    let timeout = section.opt("timeout", |item| {
        let most = interval.unwrap_or(MAX_INTERVAL);
        let timeout = item.duration_within(Duration::from_millis(1), MAX_INTERVAL, sink)?;
        if timeout <= most {
            return Some(timeout);
        }
        let error = Diagnostic::error(item.place(), "the timeout is longer than the interval");
        sink.report(error.help("a scrape must end before the next one starts"));
        None
    });
    let labels = section.or("labels", Vec::new(), |item| labels(item, sink));
    let headers = section.or("headers", Vec::new(), |item| headers(item, sink));
    let ca_file = section.opt("ca_file", |item| item.path(sink));
    let max_body = section.or("max_body", MAX_BODY, |item| size(item, sink));
    let native_histograms = section.or("native_histograms", NativeHistograms::Ask, |item| {
        let ask = item.boolean(sink)?;
        Some(if ask { NativeHistograms::Ask } else { NativeHistograms::Never })
    });
    let (interval, url) = (interval?, url?);
    if let (Some(Some(_)), Scheme::Http) = (&ca_file, url.scheme) {
        let place = section.get("ca_file").map_or(declared.place.clone(), |item| item.place());
        sink.report(Diagnostic::error(place, "`ca_file` has no meaning for an http page"));
        return None;
    }
    let (sharpen, timeout) = (sharpen?, timeout?.unwrap_or(interval * 4 / 5));
    let (labels, headers, ca_file, max_body) = (labels?, headers?, ca_file?, max_body?);
    let (name, native_histograms) = (name?, native_histograms?);
    Some(Target {
        name,
        url,
        interval,
        sharpen,
        timeout,
        labels,
        headers,
        ca_file,
        max_body,
        native_histograms,
    })
}

/// The interval while something is about to be decided. It may be shorter than the timeout: a slow
/// page is waited for all the same, and sampled less often.
fn sharpen(item: Item<'_>, interval: Option<Duration>, sink: &mut Sink) -> Option<Duration> {
    let sharpen = item.duration_within(MIN_INTERVAL, MAX_INTERVAL, sink)?;
    if interval.is_none_or(|interval| sharpen < interval) {
        return Some(sharpen);
    }
    let error = Diagnostic::error(item.place(), "`sharpen` is not shorter than the interval");
    sink.report(error.help("it is the interval while a rule is near its limit; leave it out"));
    None
}

/// A target of this name for a page at a URL, everything else as it is by default.
///
/// # Errors
/// What is wrong with the URL, and what to write instead.
pub fn target_at(name: TargetName, url: &str) -> Result<Target, String> {
    let url = scrape_url(url).map_err(|fault| match fault.help {
        Some(help) => format!("{}; {help}", fault.message),
        None => fault.message,
    })?;
    Ok(Target {
        name,
        url,
        sharpen: None,
        native_histograms: NativeHistograms::Ask,
        interval: DEFAULT_INTERVAL,
        timeout: DEFAULT_INTERVAL * 4 / 5,
        labels: Vec::new(),
        headers: Vec::new(),
        ca_file: None,
        max_body: MAX_BODY,
    })
}

/// Pairs of a label's name and its value.
pub(crate) fn labels(item: Item<'_>, sink: &mut Sink) -> Option<Vec<(String, String)>> {
    /// Given by the guard or by the page's own format.
    const RESERVED: [&str; 4] = ["__name__", "target", "le", "quantile"];
    let mut labels = Some(Vec::new());
    for entry in item.section("labels", sink)?.entries() {
        let wrong = if RESERVED.contains(&entry.key) {
            Some(format!("the label `{}` is given by rollguard or by the page", entry.key))
        } else if entry.key.is_empty() {
            Some("a label's name is not empty".to_owned())
        } else {
            None
        };
        if let Some(message) = wrong {
            sink.report(Diagnostic::error(entry.key_place(), message));
            labels = None;
            continue;
        }
        let value = entry.item.string(sink);
        labels = labels.zip(value).map(|(mut labels, value)| {
            labels.push((entry.key.to_owned(), value));
            labels
        });
    }
    labels.filter(|labels| few(labels.len(), item.place(), sink))
}

fn few(count: usize, place: Place, sink: &mut Sink) -> bool {
    if count > MAX_PAIRS {
        sink.report(Diagnostic::error(
            place,
            format!("{count} are too many, {MAX_PAIRS} is the most"),
        ));
    }
    count <= MAX_PAIRS
}

pub(crate) fn headers(item: Item<'_>, sink: &mut Sink) -> Option<Vec<(String, Secret)>> {
    let mut headers = Some(Vec::new());
    for entry in item.section("headers", sink)?.entries() {
        if !is_header_name(entry.key) {
            let message = format!("`{}` is not a header's name", entry.key.escape_debug());
            sink.report(Diagnostic::error(entry.key_place(), message));
            headers = None;
            continue;
        }
        let value = secret(entry.item, sink);
        headers = headers.zip(value).map(|(mut headers, value)| {
            headers.push((entry.key.to_owned(), value));
            headers
        });
    }
    headers.filter(|headers| few(headers.len(), item.place(), sink))
}

/// Whether it is a token of HTTP.
pub(crate) fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

/// A literal, `{ file = "…" }` or `{ env = "…" }`.
fn secret(item: Item<'_>, sink: &mut Sink) -> Option<Secret> {
    if !item.is_table() {
        let text = item.text(sink)?;
        if text.value.chars().any(char::is_control) {
            let message = "a header's value holds no line breaks or other control characters";
            sink.report(Diagnostic::error(text.place(), message));
            return None;
        }
        return Some(Secret::Literal(text.value.to_owned()));
    }
    let message = "a header is a string, `{ file = \"…\" }` or `{ env = \"…\" }`";
    reference(item, "the header", message, sink)
}

/// `{ file = "…" }` or `{ env = "…" }`; `title` is how messages call it, `otherwise` what they say
/// where it is neither.
pub(crate) fn reference(
    item: Item<'_>,
    title: &str,
    otherwise: &str,
    sink: &mut Sink,
) -> Option<Secret> {
    let section = item.section(title, sink)?;
    if !section.only(&["file", "env"], &[], sink) {
        return None;
    }
    secret_source(&section, item, otherwise, sink)
}

/// `file = "…"` or `env = "…"` of a table; `otherwise` is said where it has neither or both.
pub(crate) fn secret_source(
    section: &Section<'_>,
    item: Item<'_>,
    otherwise: &str,
    sink: &mut Sink,
) -> Option<Secret> {
    match (section.get("file"), section.get("env")) {
        (Some(file), None) => file.path(sink).map(Secret::File),
        (None, Some(env)) => env.text(sink)?.parse(sink, |name| {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.bytes().all(word) && !name.starts_with(|c: char| c.is_ascii_digit()) {
                Ok(Secret::Env(name.to_owned()))
            } else {
                Err(Fault::new(0..name.len(), "not the name of an environment variable"))
            }
        }),
        (Some(_), Some(_)) | (None, None) => {
            sink.report(Diagnostic::error(item.place(), otherwise));
            None
        }
    }
}

/// A size: `64KiB`, `8MiB`, `1048576B`.
fn size(item: Item<'_>, sink: &mut Sink) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("KiB", 1 << 10), ("MiB", 1 << 20), ("KB", 1_000), ("MB", 1_000_000), ("B", 1)];
    if item.value().as_str().is_none() {
        return item.expected("a size like \"64KiB\" or \"8MiB\"", sink);
    }
    item.text(sink)?.parse(sink, |text| {
        let whole = 0..text.len();
        let read = UNITS.iter().find_map(|(unit, size)| {
            let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
            count.checked_mul(*size)
        });
        match read {
            Some(1..=MAX_BODY) => Ok(read.unwrap_or(MAX_BODY)),
            Some(_) => Err(Fault::new(whole, "out of range, 1B to 64MiB is allowed")),
            None => {
                Err(Fault::new(whole, "not a size").help("write one like \"64KiB\" or \"8MiB\""))
            }
        }
    })
}

/// Takes an `http` or `https` URL apart.
pub(crate) fn scrape_url(text: &str) -> Result<ScrapeUrl, Fault> {
    let whole = 0..text.len();
    let (scheme, start) = if text.starts_with("http://") {
        (Scheme::Http, 7)
    } else if text.starts_with("https://") {
        (Scheme::Https, 8)
    } else {
        return Err(Fault::new(whole, "not an http or https URL")
            .help("write one like \"http://127.0.0.1:9000/metrics\""));
    };
    if let Some(at) = text.find(|c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(c)) {
        let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
        return Err(Fault::new(at..end, "this character does not stand in a URL")
            .help("write it in per cent notation, a space as %20"));
    }
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |n| start + n);
    let authority = &text[start..end];
    if authority.contains('@') {
        return Err(Fault::new(start..end, "a URL holds no user and password")
            .help("use `headers` with `authorization = { file = \"…\" }`"));
    }
    if let Some(at) = text.find('#') {
        return Err(Fault::new(at..text.len(), "a fragment is never sent"));
    }
    let (host, port) = host_and_port(authority, scheme, start)?;
    let rest = &text[end..];
    let path = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    Ok(ScrapeUrl { scheme, host, port, path })
}

fn host_and_port(authority: &str, scheme: Scheme, at: usize) -> Result<(String, u16), Fault> {
    let whole = at..at + authority.len();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let wrong = || Fault::new(whole.clone(), "not an IPv6 address in brackets");
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or_else(wrong)?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if host.is_empty() || !host.bytes().all(letters) || (host.contains(':') && port.contains(':')) {
        return Err(Fault::new(whole, "the URL names no host"));
    }
    let default = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    if port.is_empty() && !authority.ends_with(':') {
        return Ok((host.to_owned(), default));
    }
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(port @ 1..) if digits => Ok((host.to_owned(), port)),
        _ => Err(Fault::new(whole, "not a port, 1 to 65535 is allowed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_put_together_again() {
        let check = |text: &str, shown: &str| {
            assert_eq!(scrape_url(text).unwrap().to_string(), shown, "{text}");
        };
        check("http://127.0.0.1:9000/metrics", "http://127.0.0.1:9000/metrics");
        check("https://example", "https://example:443/");
        check("http://[::1]:9000/m?a=b", "http://[::1]:9000/m?a=b");
        check("http://h?x=1", "http://h:80/?x=1");
    }

    #[test]
    fn what_is_not_a_url_of_a_page_is_refused() {
        let bad = [
            "",
            "ftp://h",
            "http://",
            "http:///m",
            "http://h:0/",
            "http://h:99999",
            "http://h:/",
            "http://u:p@h/",
            "http://h/#f",
            "http://h/a b",
            "http://h/{x}",
            "http://[::1/",
            "http://[x]/",
            "http://a:1:2/",
            "http://h\r\nx: y",
            "http://h:+80/",
            "http://[::1]80/",
        ];
        for text in bad {
            assert!(scrape_url(text).is_err(), "{text}");
        }
    }
}
