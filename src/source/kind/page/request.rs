//! The request for a metrics page, as Prometheus would send it, except that the text format comes
//! first: it is what an operator sees with curl, so names, `le` values and the set of series are
//! those that the rules were written for. OpenMetrics renames counters, writes `le="1.0"` for
//! `le="1"` and adds `_created` series and exemplars that no rule reads; it is taken where a
//! server speaks nothing else. Protobuf has the names, values and series of the text format and
//! native histograms besides; it is asked for, before text, where a signal could use those.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Request, Uri};

use crate::exposition::NameSet;
use crate::model::scrape::{Failure, FailureClass};
use crate::model::target::{HttpPage, NativeHistograms, Scheme, ScrapeUrl};
use crate::source::failure::failure;

const TEXT_FIRST: HeaderValue = HeaderValue::from_static(
    "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
);

const PROTOBUF_FIRST: HeaderValue = HeaderValue::from_static(concat!(
    "application/vnd.google.protobuf;",
    "proto=io.prometheus.client.MetricFamily;encoding=delimited,",
    "text/plain;version=0.0.4;q=0.7,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
));

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("rollguard/", env!("CARGO_PKG_VERSION")));

const TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// Whether the page may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// Not on this machine: unpacking costs more than the page.
    Never,
    /// Across a network.
    Gzip,
}

/// Which formats are asked for, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formats {
    /// What an operator sees.
    TextFirst,
    /// What has native histograms, if the server speaks it.
    ProtobufFirst,
}

impl Formats {
    /// What to ask for where these names are wanted.
    pub(super) fn suiting(page: &HttpPage, names: Option<&NameSet>) -> Self {
        match page.native_histograms {
            NativeHistograms::Ask if names.is_some_and(NameSet::has_natives) => Self::ProtobufFirst,
            NativeHistograms::Ask | NativeHistograms::Never => Self::TextFirst,
        }
    }

    const fn accept(self) -> HeaderValue {
        match self {
            Self::TextFirst => TEXT_FIRST,
            Self::ProtobufFirst => PROTOBUF_FIRST,
        }
    }
}

/// A request for the page. `headers` are the configured ones and win over the usual.
///
/// # Errors
/// Path or host cannot stand in a request.
pub(super) fn request(
    page: &HttpPage,
    timeout: Duration,
    formats: Formats,
    compression: Compression,
    headers: HeaderMap,
) -> Result<Request<Full<Bytes>>, Failure> {
    let refuse = |what: &str| {
        failure(FailureClass::Broken, format_args!("failed to make a request: {what}"))
    };
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::try_from(page.url.path.as_str()).map_err(|_| refuse("not a path"))?;
    let host = HeaderValue::try_from(host(&page.url)).map_err(|_| refuse("not a host"))?;
    let encodings = match compression {
        Compression::Never => "identity",
        Compression::Gzip => "gzip",
    };
    let map = request.headers_mut();
    map.insert(HOST, host);
    map.insert(USER_AGENT, AGENT);
    map.insert(ACCEPT, formats.accept());
    map.insert(ACCEPT_ENCODING, HeaderValue::from_static(encodings));
    let seconds = timeout.as_secs_f64().to_string();
    map.insert(TIMEOUT, HeaderValue::try_from(seconds).expect("digits and a point"));
    // `extend` replaces what is there and keeps repeated headers of the argument.
    map.extend(headers);
    Ok(request)
}

/// The host, with the port where it is not the scheme's own.
fn host(url: &ScrapeUrl) -> String {
    let usual = match url.scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    if url.port == usual { host } else { format!("{host}:{}", url.port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_names_the_port_unless_it_is_the_usual_one() {
        let check = |scheme, name: &str, port, expected: &str| {
            let url = ScrapeUrl { scheme, host: name.into(), port, path: "/".into() };
            assert_eq!(host(&url), expected);
        };
        check(Scheme::Http, "api", 80, "api");
        check(Scheme::Http, "api", 9100, "api:9100");
        check(Scheme::Https, "api", 443, "api");
        check(Scheme::Https, "api", 80, "api:80");
        check(Scheme::Http, "::1", 9100, "[::1]:9100");
    }
}
