//! Cuts an expression into tokens with their places. Comments and white space are left out.

use std::sync::LazyLock;
use std::time::Duration;

use regex_lite::Regex;

use crate::config::syntax::selector::escaped;
use crate::import::rule_files::ExprText;
use crate::import::spot::{Flaw, Spot};

/// The most tokens of an expression. A chain of operators becomes a tree as deep as it is long, and
/// whatever walks trees does so on the stack.
const MAX_TOKENS: usize = 2048;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum PromToken {
    Number(f64),
    Duration(Duration),
    Text(String),
    /// A metric, a label, a function or a keyword.
    Name(String),
    Symbol(String),
    /// Nothing is left.
    End,
}

/// A name, a number with its unit, a text in quotes or a symbol. A metric's name may hold `:`;
/// `[5m:1m]` is no name, as it starts with a digit.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    let token = r#"(?sx) ^ (?:
        (?<name> [A-Za-z_] [A-Za-z0-9_:]* )
        | (?<number> 0[xX][0-9a-fA-F]*
            | \.?[0-9] [0-9.]* (?: [eE][+-]?[0-9]+ | [A-Za-z][A-Za-z0-9]* )? )
        | (?<text> " (?: \\. | [^"\\] )* " | ' (?: \\. | [^'\\] )* ' | ` [^`]* ` )
        | (?<symbol> [=!]~ | [=!<>]= | [(){}\[\],=<>+*/%^@:-] ) )"#;
    Regex::new(token).expect("a constant that is a regular expression")
});

/// Cuts an expression; the last token is its end.
pub(super) fn tokens(source: &ExprText) -> Result<Vec<(PromToken, Spot)>, Flaw> {
    let mut tokens = Vec::new();
    let mut rest = source.text.trim_start();
    loop {
        while let Some(comment) = rest.strip_prefix('#') {
            rest = comment.trim_start_matches(|c| c != '\n').trim_start();
        }
        let spot = source.spot(source.text.len() - rest.len());
        if rest.is_empty() {
            tokens.push((PromToken::End, spot));
            return Ok(tokens);
        }
        if tokens.len() >= MAX_TOKENS {
            return Err(Flaw::new(spot, format!("it is longer than {MAX_TOKENS} words"), ""));
        }
        let (token, len) = token(rest).map_err(|(at, why)| {
            Flaw::new(source.spot(source.text.len() - rest.len() + at), why, "")
        })?;
        tokens.push((token, spot));
        rest = rest[len..].trim_start();
    }
}

/// The first token and its length; else what is wrong, and where.
fn token(rest: &str) -> Result<(PromToken, usize), (usize, String)> {
    let Some(found) = TOKEN.captures(rest) else {
        let c = rest.chars().next().unwrap_or_default();
        return Err((
            0,
            match c {
                '"' | '\'' | '`' => "the quote is never closed".to_owned(),
                _ => format!("`{}` means nothing to PromQL", c.escape_debug()),
            },
        ));
    };
    let token = if let Some(name) = found.name("name") {
        match name.as_str().to_ascii_lowercase().as_str() {
            "inf" => PromToken::Number(f64::INFINITY),
            "nan" => PromToken::Number(f64::NAN),
            _ => PromToken::Name(name.as_str().to_owned()),
        }
    } else if let Some(written) = found.name("number") {
        let wrong = || (0, format!("`{}` is not a number", written.as_str()));
        number(written.as_str()).ok_or_else(wrong)?
    } else if let Some(text) = found.name("text") {
        PromToken::Text(unquoted(text.as_str())?)
    } else {
        PromToken::Symbol(found[0].to_owned())
    };
    Ok((token, found[0].len()))
}

fn number(text: &str) -> Option<PromToken> {
    if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        #[expect(clippy::cast_precision_loss, reason = "as every number of PromQL")]
        return u64::from_str_radix(digits, 16).ok().map(|value| PromToken::Number(value as f64));
    }
    let value = text.parse().ok().map(PromToken::Number);
    value.or_else(|| duration(text).map(PromToken::Duration))
}

/// A text without its quotes. In backquotes nothing is escaped.
fn unquoted(text: &str) -> Result<String, (usize, String)> {
    let (mut value, mut at) = (String::new(), 1);
    while at + 1 < text.len() {
        let c = text[at..].chars().next().unwrap_or_default();
        at += c.len_utf8();
        if c != '\\' || text.starts_with('`') {
            value.push(c);
            continue;
        }
        let rest = &text[at..];
        let Some((meant, len)) = escaped(rest, '"').or_else(|| escaped(rest, '\'')) else {
            let is_code = rest.starts_with(|c| "xuU01234567".contains(c));
            let unknown = "unknown escape; write `\\\\` for a backslash";
            let why = if is_code { "an escape that is not a character" } else { unknown };
            return Err((at, why.to_owned()));
        };
        value.push(meant);
        at += len;
    }
    Ok(value)
}

/// A duration as Prometheus writes it: `1h30m`, `5m`, `1w`, `0`. Units come from large to small,
/// each once.
pub(in crate::import) fn duration(text: &str) -> Option<Duration> {
    const DAY: u64 = 86_400_000;
    const UNITS: [u64; 7] = [365 * DAY, 7 * DAY, DAY, 3_600_000, 60_000, 1_000, 1];
    static DURATION: LazyLock<Regex> = LazyLock::new(|| {
        let units = ["y", "w", "d", "h", "m", "s", "ms"].map(|unit| format!("(?:([0-9]+){unit})?"));
        Regex::new(&format!("^{}$", units.concat())).expect("constants that are an expression")
    });
    let text = text.trim();
    if matches!(text, "" | "0") {
        return (text == "0").then_some(Duration::ZERO);
    }
    let written = DURATION.captures(text)?;
    let millis = written.iter().skip(1).zip(UNITS).try_fold(0_u64, |sum, (count, unit)| {
        let count: u64 = count.map_or(Ok(0), |count| count.as_str().parse()).ok()?;
        sum.checked_add(count.checked_mul(unit)?)
    });
    millis.map(Duration::from_millis)
}
