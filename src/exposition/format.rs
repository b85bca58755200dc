//! Which of the two text formats a page is in, by its content type.
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
}

impl Format {
    /// The format that a `Content-Type` header names; `None` means "not an exposition".
    ///
    /// Parameters and case do not matter. An absent header is passed as an empty string and means
    /// [`Format::Text`], as many small exporters send none.
    ///
    /// ```
    /// use rollguard::exposition::Format;
    /// let header = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    /// assert_eq!(Format::from_content_type(header), Some(Format::OpenMetrics));
    /// assert_eq!(Format::from_content_type("text/html"), None);
    /// ```
    #[must_use]
    pub fn from_content_type(header: &str) -> Option<Self> {
        let essence = header.split(';').next().unwrap_or_default().trim();
        if essence.is_empty() || essence.eq_ignore_ascii_case("text/plain") {
            Some(Self::Text)
        } else if essence.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn only_the_two_text_formats_are_expositions() {
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
            ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", None),
        ];
        for (header, expected) in rows {
            assert_eq!(Format::from_content_type(header), expected, "{header:?}");
        }
    }
}
