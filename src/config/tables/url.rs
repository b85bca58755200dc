//! URLs of pages and of other people's APIs. What is accepted here can be asked for as it is.

use crate::model::hook::Template;
use crate::model::target::{Scheme, ScrapeUrl};

use crate::config::syntax::{Diagnostic, SourceSpan, TomlValue, template};

const EXAMPLE: &str = "write one like \"https://alerts.example.com\", secrets in headers or a file";

/// An `http` or `https` URL of an API.
pub(crate) fn http_url(value: TomlValue<'_>) -> Option<String> {
    // The help of `scrape_url` is about pages that are scraped.
    let advise =
        |error: Diagnostic| Diagnostic { help: error.help.map(|_| EXAMPLE.to_owned()), ..error };
    value.parse(|url| scrape_url(url).map_err(advise).map(|_| url.to_owned()))
}

/// A URL to which the path of an API is appended.
pub(crate) fn base_url(value: TomlValue<'_>) -> Option<String> {
    let url = http_url(value)?;
    let Some(at) = url.find('?') else { return Some(url) };
    let error = Diagnostic::new(at..url.len(), "a path is appended to it, so it has no query");
    value.cx.refuse(value.error_within(error))
}

/// A URL with placeholders, checked as it would be with each of them filled in.
pub(crate) fn url_template(value: TomlValue<'_>) -> Option<Template> {
    value.parse(|text| {
        let url = template(text)?;
        // The places of the filled text are not those of the file, so the whole is underlined.
        let whole =
            |error: Diagnostic| Diagnostic { span: SourceSpan::new(0, 0..text.len()), ..error };
        scrape_url(&url.fill(|_| "0")).map_err(whole).map(|_| url)
    })
}

/// Takes an `http` or `https` URL apart.
pub(crate) fn scrape_url(text: &str) -> Result<ScrapeUrl, Diagnostic> {
    let whole = 0..text.len();
    let (scheme, start) = if text.starts_with("http://") {
        (Scheme::Http, 7)
    } else if text.starts_with("https://") {
        (Scheme::Https, 8)
    } else {
        return Err(Diagnostic::new(whole, "not an http or https URL")
            .help("write one like \"http://127.0.0.1:9000/metrics\""));
    };
    if let Some(at) = text.find(|c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(c)) {
        let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
        return Err(Diagnostic::new(at..end, "this character does not stand in a URL")
            .help("write it in per cent notation, a space as %20"));
    }
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |n| start + n);
    let authority = &text[start..end];
    if authority.contains('@') {
        return Err(Diagnostic::new(start..end, "a URL holds no user and password")
            .help("use `headers` with `authorization = { file = \"…\" }`"));
    }
    if let Some(at) = text.find('#') {
        return Err(Diagnostic::new(at..text.len(), "a fragment is never sent"));
    }
    let (host, port) = host_and_port(authority, scheme, start)?;
    let rest = &text[end..];
    let path = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    Ok(ScrapeUrl { scheme, host, port, path })
}

fn host_and_port(authority: &str, scheme: Scheme, at: usize) -> Result<(String, u16), Diagnostic> {
    let whole = at..at + authority.len();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let wrong = || Diagnostic::new(whole.clone(), "not an IPv6 address in brackets");
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or_else(wrong)?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if host.is_empty() || !host.bytes().all(letters) || (host.contains(':') && port.contains(':')) {
        return Err(Diagnostic::new(whole, "the URL names no host"));
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
        _ => Err(Diagnostic::new(whole, "not a port, 1 to 65535 is allowed")),
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
