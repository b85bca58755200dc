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

/// What an operator sees.
const TEXT_FIRST: HeaderValue = HeaderValue::from_static(
    "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
);

/// What has native histograms, if the server speaks it.
const PROTOBUF_FIRST: HeaderValue = HeaderValue::from_static(concat!(
    "application/vnd.google.protobuf;",
    "proto=io.prometheus.client.MetricFamily;encoding=delimited,",
    "text/plain;version=0.0.4;q=0.7,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
));

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("rollguard/", env!("CARGO_PKG_VERSION")));

const TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// A request for the page, of which these names are wanted. `headers` are the configured ones and
/// win over the usual.
///
/// # Errors
/// Path or host cannot stand in a request.
pub(super) fn request(
    page: &HttpPage,
    timeout: Duration,
    names: Option<&NameSet>,
    is_local: bool,
    headers: HeaderMap,
) -> Result<Request<Full<Bytes>>, Failure> {
    let refuse = |what: &str| {
        failure(FailureClass::Broken, format_args!("failed to make a request: {what}"))
    };
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::try_from(page.url.path.as_str()).map_err(|_| refuse("not a path"))?;
    let host = HeaderValue::try_from(host(&page.url)).map_err(|_| refuse("not a host"))?;
    let accept = match page.native_histograms {
        NativeHistograms::Ask if names.is_some_and(NameSet::has_natives) => PROTOBUF_FIRST,
        NativeHistograms::Ask | NativeHistograms::Never => TEXT_FIRST,
    };
    // On this machine unpacking costs more than the page.
    let encodings = if is_local { "identity" } else { "gzip" };
    let map = request.headers_mut();
    map.insert(HOST, host);
    map.insert(USER_AGENT, AGENT);
    map.insert(ACCEPT, accept);
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
