//! Selectors: `metric{label="v", label!~"re"}` as Prometheus reads them. It must never accept a
//! text that Prometheus would read otherwise.

use std::ops::Range;

use regex_lite::{Regex, RegexBuilder};

use crate::model::selector::{Matcher, Selector, Test};

use super::tree::Fault;

/// The most memory that one compiled regular expression may take. A hundred alternatives need a
/// tenth of it; `(a{100}){100}` needs more. A file may hold thousands of them.
const MAX_REGEX_BYTES: usize = 1 << 17;

/// What compiled expressions are counted as: a code of three letters fits into the first, a dozen
/// words into the second. The compiler does not say how large an expression became.
const REGEX_STEPS: [usize; 3] = [1 << 11, 1 << 14, MAX_REGEX_BYTES];

/// How much the regular expressions of all files may take: four thousand small ones, or 64 of the
/// largest, of which each takes a third of a millisecond to compile.
const MAX_ALL_REGEXES: usize = 1 << 23;

/// The most matchers of a selector; each is compared with every other. Series have a dozen labels.
const MAX_MATCHERS: usize = 64;

/// How deep a regular expression may nest; far beyond what people write, far below what would
/// exhaust the stack.
const MAX_REGEX_DEPTH: u32 = 50;

/// How much the regular expressions that are still to come may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_ALL_REGEXES)
    }
}

/// Reads a selector by itself.
pub(crate) fn selector(text: &str) -> Result<Selector, Fault> {
    selector_within(text, &mut Room::default())
}

/// Reads a selector, whose regular expressions take some of the room that all of them have.
pub(crate) fn selector_within(text: &str, room: &mut Room) -> Result<Selector, Fault> {
    let mut reader = Reader { text, at: 0, room };
    reader.skip_space();
    let mut metric = reader.bare_name(Bare::Metric).map(|span| text[span].to_owned());
    let mut matchers = Vec::new();
    reader.skip_space();
    if reader.eat("{") {
        reader.matchers(&mut metric, &mut matchers)?;
    }
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.trailing());
    }
    match metric {
        Some(metric) => Ok(Selector { metric, matchers }),
        None => Err(Fault::new(0..text.len(), "a selector names a metric")
            .help("write it before the braces, as in `http_requests_total{status=\"500\"}`")),
    }
}

/// An expression anchored at both ends, in the smallest of the steps that it fits into. The outer
/// `None` means that there is no room for it.
fn anchored(pattern: &str, room: &mut Room) -> Option<Result<Regex, regex_lite::Error>> {
    let mut built = None;
    for step in REGEX_STEPS {
        let left = room.0.checked_sub(step)?;
        let regex = anchored_within(pattern, step);
        let done = regex.is_ok() || step == MAX_REGEX_BYTES;
        built = Some(regex);
        if done {
            room.0 = left;
            break;
        }
    }
    built
}

fn anchored_within(pattern: &str, bytes: usize) -> Result<Regex, regex_lite::Error> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(bytes)
            .nest_limit(MAX_REGEX_DEPTH)
            .dot_matches_new_line(true)
            .build()
    };
    // On its own first: `a)|(b` must not become valid by what is put around it.
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}

/// Which names need no quotes.
#[derive(Clone, Copy, PartialEq)]
enum Bare {
    /// `:` is allowed.
    Metric,
    Label,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    room: &'a mut Room,
}

impl Reader<'_> {
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

    fn bare_name(&mut self, bare: Bare) -> Option<Range<usize>> {
        let rest = self.rest();
        let inside =
            |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && bare == Bare::Metric);
        let len = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        if len == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.at += len;
        Some(self.at - len..self.at)
    }

    fn matchers(
        &mut self,
        metric: &mut Option<String>,
        matchers: &mut Vec<Matcher>,
    ) -> Result<(), Fault> {
        loop {
            self.skip_space();
            if self.eat("}") {
                return Ok(());
            }
            self.matcher(metric, matchers)?;
            if matchers.len() > MAX_MATCHERS {
                let message = format!("more than {MAX_MATCHERS} matchers");
                return Err(Fault::new(self.here(), message));
            }
            self.skip_space();
            if !self.eat(",") && !self.rest().starts_with('}') {
                let what = if self.rest().is_empty() {
                    "`{` is never closed"
                } else {
                    "expected `,` or `}`"
                };
                return Err(Fault::new(self.here(), what));
            }
        }
    }

    fn matcher(
        &mut self,
        metric: &mut Option<String>,
        matchers: &mut Vec<Matcher>,
    ) -> Result<(), Fault> {
        let start = self.at;
        let quoted = self.rest().starts_with(['"', '\'', '`']);
        let label = if quoted {
            self.quoted()?
        } else {
            let name = self.bare_name(Bare::Label);
            let missing = || Fault::new(self.here(), "expected a label's name");
            self.text[name.ok_or_else(missing)?].to_owned()
        };
        let name = start..self.at;
        self.skip_space();
        let Some(operator) = ["=~", "!~", "!=", "="].into_iter().find(|o| self.eat(o)) else {
            if quoted && self.rest().starts_with([',', '}']) {
                return set_metric(metric, label, name);
            }
            let what = format!("expected `=`, `!=`, `=~` or `!~` after `{}`", label.escape_debug());
            return Err(Fault::new(self.here(), what));
        };
        if label == "__name__" {
            let fault = Fault::new(name, "the metric is named before the braces");
            return Err(fault.label("write `metric{…}`"));
        }
        self.skip_space();
        let value_start = self.at;
        if !self.rest().starts_with(['"', '\'', '`']) {
            return Err(Fault::new(self.here(), "a label's value stands in quotes"));
        }
        let value = self.quoted()?;
        let test = test(operator, value, value_start..self.at, self.room)?;
        matchers.push(Matcher { label, test });
        Ok(())
    }

    /// A quoted text. In backquotes nothing is escaped.
    fn quoted(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let quote = self.rest().chars().next().unwrap_or_default();
        self.at += quote.len_utf8();
        let mut value = String::new();
        loop {
            let from = self.at;
            let Some(c) = self.rest().chars().next() else {
                return Err(Fault::new(start..start + 1, "the quote is never closed"));
            };
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(value),
                '\\' if quote != '`' => {
                    let escaped = self.escape(quote);
                    let wrong =
                        || Fault::new(from..self.here().end, "unknown escape in a label's value");
                    value
                        .push(escaped.ok_or_else(|| wrong().help("write `\\\\` for a backslash"))?);
                }
                '\n' if quote != '`' => {
                    return Err(Fault::new(start..start + 1, "the quote is never closed"));
                }
                c => value.push(c),
            }
        }
    }

    /// What stands behind a backslash, as in Go.
    fn escape(&mut self, quote: char) -> Option<char> {
        let c = self.rest().chars().next()?;
        let digits = |this: &mut Self, from: usize, len: usize, radix: u32| {
            let code = this.rest().get(from..from + len)?;
            let code = code.bytes().all(|b| b.is_ascii_hexdigit()).then_some(code)?;
            let c = char::from_u32(u32::from_str_radix(code, radix).ok()?)?;
            this.at += from + len;
            Some(c)
        };
        let c = match c {
            'x' => return digits(self, 1, 2, 16).filter(char::is_ascii),
            'u' => return digits(self, 1, 4, 16),
            'U' => return digits(self, 1, 8, 16),
            '0'..='7' => return digits(self, 0, 3, 8).filter(char::is_ascii),
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            c if c == quote => c,
            _ => return None,
        };
        self.at += 1;
        Some(c)
    }

    fn trailing(&self) -> Fault {
        match self.rest().chars().next() {
            Some('[') => Fault::new(self.at..self.text.len(), "a selector has no range")
                .help("the signal's `window` says over how long"),
            _ => Fault::new(self.here(), "the selector should end here"),
        }
    }
}

fn set_metric(metric: &mut Option<String>, name: String, span: Range<usize>) -> Result<(), Fault> {
    if metric.is_some() {
        return Err(Fault::new(span, "the metric is named twice"));
    }
    if name.is_empty() {
        return Err(Fault::new(span, "a metric's name is not empty"));
    }
    *metric = Some(name);
    Ok(())
}

fn test(operator: &str, value: String, span: Range<usize>, room: &mut Room) -> Result<Test, Fault> {
    let full = || {
        let message = "the regular expressions of all files are too large";
        Fault::new(span.clone(), message).help("select by fewer, simpler or equal values")
    };
    let mut regex = |value: &str| {
        anchored(value, room).ok_or_else(full)?.map_err(|error| {
            Fault::new(span.clone(), "invalid regular expression").label(error.to_string())
        })
    };
    Ok(match operator {
        "=~" => Test::Matches(regex(&value)?),
        "!~" => Test::NotMatches(regex(&value)?),
        "!=" => Test::NotEqual(value),
        _ => Test::Equal(value),
    })
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
            let fault = selector(text).unwrap_err();
            assert_eq!(&text[fault.span], wrong, "{text}: {}", fault.message);
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
