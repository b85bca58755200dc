//! Which format a page is in, by its content type.
//!
//! A page of any other type is not an exposition: an HTML error page may well contain a line that
//! reads as a sample, so the scrape has to fail before a byte is looked at.

/// The format of a metrics page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4: timestamps are whole milliseconds, no end marker.
    Text,
    /// OpenMetrics text 1.0: timestamps are seconds, the page ends with `# EOF`.
    OpenMetrics,
    /// Prometheus protobuf: `io.prometheus.client.MetricFamily`, each preceded by its length. The
    /// only one that carries native histograms.
    Protobuf,
}

impl Format {
    /// The format that a `Content-Type` header names; `None` means "not an exposition".
    ///
    /// Of the text formats parameters do not matter; case never does. Of protobuf they say which
    /// message and encoding it is, and any but the delimited one of Prometheus is refused. An
    /// absent header is passed as an empty string and means [`Format::Text`], as many small
    /// exporters send none.
    ///
    /// ```
    /// use rollguard::exposition::Format;
    /// let header = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    /// assert_eq!(Format::from_content_type(header), Some(Format::OpenMetrics));
    /// assert_eq!(Format::from_content_type("text/html"), None);
    /// ```
    pub fn from_content_type(header: &str) -> Option<Self> {
        let essence = header.split(';').next().unwrap_or_default().trim();
        if essence.is_empty() || essence.eq_ignore_ascii_case("text/plain") {
            Some(Self::Text)
        } else if essence.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else if essence.eq_ignore_ascii_case("application/vnd.google.protobuf") {
            is_delimited_family(header).then_some(Self::Protobuf)
        } else {
            None
        }
    }
}

fn is_delimited_family(header: &str) -> bool {
    let is = |name: &str, expected: &str| {
        let mut values = header.split(';').skip(1).filter_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
        });
        let value = values.next();
        value.is_some_and(|value| value.eq_ignore_ascii_case(expected)) && values.next().is_none()
    };
    is("proto", "io.prometheus.client.MetricFamily") && is("encoding", "delimited")
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn only_the_text_formats_and_delimited_protobuf_are_expositions() {
        const FAMILY: &str = "application/vnd.google.protobuf; \
            proto=io.prometheus.client.MetricFamily; encoding=";
        let [delimited, compact, text] =
            ["delimited; escaping=underscores", "compact-text", "text"]
                .map(|e| FAMILY.to_owned() + e);
        let rows = [
            ("", Some(Format::Text)),
            ("text/plain", Some(Format::Text)),
            ("Text/Plain; version=0.0.4; charset=utf-8", Some(Format::Text)),
            (" text/plain ;version=1.0.0; escaping=underscores", Some(Format::Text)),
            ("application/openmetrics-text", Some(Format::OpenMetrics)),
            ("application/openmetrics-text;version=0.0.1", Some(Format::OpenMetrics)),
            ("text/html; charset=utf-8", None),
            ("application/json", None),
            ("text/plainer", None),
            (&delimited, Some(Format::Protobuf)),
            (
                "Application/vnd.google.protobuf;encoding=\"Delimited\";Proto=\
              io.prometheus.client.MetricFamily",
                Some(Format::Protobuf),
            ),
            (&compact, None),
            (&text, None),
            ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", None),
            ("application/vnd.google.protobuf; proto=other.Message; encoding=delimited", None),
            ("application/vnd.google.protobuf", None),
        ];
        for (header, expected) in rows {
            assert_eq!(Format::from_content_type(header), expected, "{header:?}");
        }
    }
}
