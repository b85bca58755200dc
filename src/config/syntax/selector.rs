//! Selectors: `metric{label="v", label!~"re"}` as Prometheus reads them. It must never accept a
//! text that Prometheus would read otherwise.

use std::ops::Range;

use crate::model::selector::{Matcher, Selector, Test};

use super::diagnostic::Diagnostic;
use super::regex_budget::RegexBudget;

/// The most matchers of a selector; each is compared with every other. Series have a dozen labels.
const MAX_MATCHERS: usize = 64;

/// Reads a selector by itself.
pub(crate) fn selector(text: &str) -> Result<Selector, Diagnostic> {
    selector_within(text, &mut RegexBudget::default())
}

/// Reads a selector, whose regular expressions take some of the budget of all.
pub(crate) fn selector_within(
    text: &str,
    regexes: &mut RegexBudget,
) -> Result<Selector, Diagnostic> {
    let mut parser = SelectorParser { text, at: 0, regexes, metric: None, matchers: Vec::new() };
    parser.skip_space();
    parser.metric = parser.bare_name(":").map(|span| text[span].to_owned());
    parser.skip_space();
    if parser.eat("{") {
        parser.matchers()?;
    }
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.trailing());
    }
    let SelectorParser { metric, matchers, .. } = parser;
    let metric = metric.ok_or_else(|| {
        Diagnostic::new(0..text.len(), "a selector names a metric")
            .help("write it before the braces, as in `http_requests_total{status=\"500\"}`")
    })?;
    Ok(Selector { metric, matchers })
}

struct SelectorParser<'a> {
    text: &'a str,
    at: usize,
    regexes: &'a mut RegexBudget,
    metric: Option<String>,
    matchers: Vec<Matcher>,
}

impl SelectorParser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let there = self.rest().starts_with(symbol);
        self.at += if there { symbol.len() } else { 0 };
        there
    }

    /// The place of the next character, or of the end.
    fn here(&self) -> Range<usize> {
        self.at..self.at + self.rest().chars().next().map_or(0, char::len_utf8)
    }

    /// A name that needs no quotes, in which these characters are allowed besides letters.
    fn bare_name(&mut self, besides: &str) -> Option<Range<usize>> {
        let rest = self.rest();
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || besides.contains(c);
        let len = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        if len == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.at += len;
        Some(self.at - len..self.at)
    }

    fn matchers(&mut self) -> Result<(), Diagnostic> {
        loop {
            self.skip_space();
            if self.eat("}") {
                return Ok(());
            }
            self.matcher()?;
            if self.matchers.len() > MAX_MATCHERS {
                let message = format!("more than {MAX_MATCHERS} matchers");
                return Err(Diagnostic::new(self.here(), message));
            }
            self.skip_space();
            if !self.eat(",") && !self.rest().starts_with('}') {
                return Err(Diagnostic::new(
                    self.here(),
                    if self.rest().is_empty() {
                        "`{` is never closed"
                    } else {
                        "expected `,` or `}`"
                    },
                ));
            }
        }
    }

    fn matcher(&mut self) -> Result<(), Diagnostic> {
        let start = self.at;
        let quoted = self.rest().starts_with(['"', '\'', '`']);
        let label = if quoted {
            self.quoted()?
        } else {
            let name = self.bare_name("");
            let missing = || Diagnostic::new(self.here(), "expected a label's name");
            self.text[name.ok_or_else(missing)?].to_owned()
        };
        let name = start..self.at;
        self.skip_space();
        let Some(operator) = ["=~", "!~", "!=", "="].into_iter().find(|o| self.eat(o)) else {
            if quoted && self.rest().starts_with([',', '}']) {
                if self.metric.is_some() {
                    return Err(Diagnostic::new(name, "the metric is named twice"));
                }
                if label.is_empty() {
                    return Err(Diagnostic::new(name, "a metric's name is not empty"));
                }
                self.metric = Some(label);
                return Ok(());
            }
            let what = format!("expected `=`, `!=`, `=~` or `!~` after `{}`", label.escape_debug());
            return Err(Diagnostic::new(self.here(), what));
        };
        if label == "__name__" {
            let error = Diagnostic::new(name, "the metric is named before the braces");
            return Err(error.label("write `metric{…}`"));
        }
        self.skip_space();
        let value_start = self.at;
        if !self.rest().starts_with(['"', '\'', '`']) {
            return Err(Diagnostic::new(self.here(), "a label's value stands in quotes"));
        }
        let value = self.quoted()?;
        let test = self.test(operator, value, value_start..self.at)?;
        self.matchers.push(Matcher { label, test });
        Ok(())
    }

    /// A quoted text. In backquotes nothing is escaped.
    fn quoted(&mut self) -> Result<String, Diagnostic> {
        let start = self.at;
        let quote = self.rest().chars().next().unwrap_or_default();
        self.at += quote.len_utf8();
        let mut value = String::new();
        loop {
            let from = self.at;
            let Some(c) = self.rest().chars().next() else {
                return Err(Diagnostic::new(start..start + 1, "the quote is never closed"));
            };
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(value),
                '\\' if quote != '`' => {
                    let Some((meant, len)) = escaped(self.rest(), quote) else {
                        let span = from..self.here().end;
                        return Err(Diagnostic::new(span, "unknown escape in a label's value")
                            .help("write `\\\\` for a backslash"));
                    };
                    value.push(meant);
                    self.at += len;
                }
                '\n' if quote != '`' => {
                    return Err(Diagnostic::new(start..start + 1, "the quote is never closed"));
                }
                c => value.push(c),
            }
        }
    }

    fn trailing(&self) -> Diagnostic {
        match self.rest().chars().next() {
            Some('[') => Diagnostic::new(self.at..self.text.len(), "a selector has no range")
                .help("the signal's `window` says over how long"),
            _ => Diagnostic::new(self.here(), "the selector should end here"),
        }
    }

    fn test(
        &mut self,
        operator: &str,
        value: String,
        span: Range<usize>,
    ) -> Result<Test, Diagnostic> {
        let test = match operator {
            "=" => return Ok(Test::Equal(value)),
            "!=" => return Ok(Test::NotEqual(value)),
            "=~" => Test::Matches,
            _ => Test::NotMatches,
        };
        match self.regexes.compile(&value) {
            Some(Ok(regex)) => Ok(test(regex)),
            Some(Err(error)) => {
                let wrong = Diagnostic::new(span, "invalid regular expression");
                Err(wrong.label(error.to_string()))
            }
            None => {
                let message = "the regular expressions of all files are too large";
                let error = Diagnostic::new(span, message);
                Err(error.help("select by fewer, simpler or equal values"))
            }
        }
    }
}

/// What stands behind a backslash, as in Go, and how many bytes it takes.
pub(crate) fn escaped(rest: &str, quote: char) -> Option<(char, usize)> {
    let coded = |from: usize, len: usize, radix: u32| {
        let code = rest.get(from..from + len)?;
        let code = code.bytes().all(|b| b.is_ascii_hexdigit()).then_some(code)?;
        Some((char::from_u32(u32::from_str_radix(code, radix).ok()?)?, from + len))
    };
    let plain = match rest.chars().next()? {
        'x' => return coded(1, 2, 16).filter(|(c, _)| c.is_ascii()),
        'u' => return coded(1, 4, 16),
        'U' => return coded(1, 8, 16),
        '0'..='7' => return coded(0, 3, 8).filter(|(c, _)| c.is_ascii()),
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        c if c == quote || c == '\\' => c,
        _ => return None,
    };
    Some((plain, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(text: &str, labels: &[(&str, &str)]) -> bool {
        let find = |wanted: &str| {
            labels.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| *value)
        };
        selector(text).unwrap().accepts(find)
    }

    #[test]
    fn a_selector_means_what_it_means_to_prometheus() {
        let five = [("status", "503"), ("path", "/a\"b\\")];
        assert!(accepts("m", &five));
        assert!(accepts("m{}", &five));
        assert!(accepts(" m { status = \"503\" , } ", &five));
        assert!(accepts("m{status=~\"5..\"}", &five));
        assert!(!accepts("m{status=~\"50\"}", &five));
        assert!(!accepts("m{status=~\"4..|50\"}", &five));
        assert!(accepts("m{status!~'4..', status!='500'}", &five));
        assert!(accepts(r#"m{path="/a\"b\\"}"#, &five));
        assert!(accepts(r#"m{path=`/a"b\`}"#, &five));
        assert!(accepts("m{absent=\"\"}", &five));
        assert!(!accepts("m{absent!=\"\"}", &five));
        assert!(accepts(r#"m{"sta\x74us"='\u0035\060\U00000033'}"#, &five));
    }

    #[test]
    fn metrics_are_named_before_or_within_the_braces() {
        assert_eq!(selector("job:errors:rate5m{a='b'}").unwrap().metric, "job:errors:rate5m");
        assert_eq!(selector("{\"my.name\", a=\"b\"}").unwrap().metric, "my.name");
        assert_eq!(selector("{'my.name'}").unwrap().metric, "my.name");
    }

    #[test]
    fn what_is_not_a_selector_is_refused_where_it_goes_wrong() {
        let check = |text: &str, wrong: &str| {
            let error = selector(text).unwrap_err();
            assert_eq!(&text[error.span.start..error.span.end], wrong, "{text}: {}", error.message);
        };
        check("m{status=~\"5(\"}", "\"5(\"");
        check("m{status=~\"a)|(b\"}", "\"a)|(b\"");
        check("m{status~\"5\"}", "~");
        check("m{status=5}", "5");
        check("m{status=\"5\"", "");
        check("m{status=\"5}", "\"");
        check("m{\"a\" \"b\"}", "\"");
        check("m{a=\"b\" c=\"d\"}", "c");
        check("m[5m]", "[5m]");
        check("m{a=\"b\"} > 5", ">");
        check("5xx", "5");
        check("{__name__=\"m\"}", "__name__");
        check("m{\"n\"}", "\"n\"");
        check("{a=\"b\"}", "{a=\"b\"}");
        check("m{,}", ",");
        check("m{a=\"\\d\"}", "\\d");
    }
}
