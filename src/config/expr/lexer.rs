//! The tokens of a condition: cut, located and checked for their order before anything else sees
//! them. What leaves here is an expression that every parser reads the same way: it is short, it
//! is not deep, its parentheses match and no operator stands where an operand belongs.

use std::ops::Range;

use crate::model::signal::Unit;
use crate::model::time::parse_duration;

use crate::config::syntax::Diagnostic;

/// The longest condition in bytes. Nobody can judge at a glance whether a longer one is right.
pub(crate) const MAX_TEXT: usize = 4096;

/// The most tokens in a condition. A chain of operators becomes a tree as deep as it is long, and
/// everything that walks trees does so on the stack.
pub(crate) const MAX_TOKENS: usize = 512;

/// How deep parentheses and prefix operators may nest; ten times what people write.
pub(crate) const MAX_DEPTH: usize = 64;

/// A token of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ExprToken {
    /// A literal, its unit already applied.
    Number(f64, Option<Unit>),
    /// A signal or a function.
    Name(String),
    /// An operator between two operands.
    Binary(&'static str),
    /// `-`, before an operand or between two.
    Minus,
    /// `!`
    Not,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LocatedToken {
    pub(crate) token: ExprToken,
    pub(crate) span: Range<usize>,
}

/// The functions of the language.
pub(crate) const FUNCTIONS: [&str; 3] = ["min", "max", "abs"];

/// Cuts a condition into tokens and checks their order.
pub(crate) fn tokenize(text: &str) -> Result<Vec<LocatedToken>, Diagnostic> {
    if text.len() > MAX_TEXT {
        let message = format!("longer than {MAX_TEXT} bytes");
        return Err(
            Diagnostic::new(0..text.len(), message).help("give parts of it names with `expr`")
        );
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (token, len) = token_at(text, at)?;
        tokens.push(LocatedToken { token, span: at..at + len });
        at += len;
        if tokens.len() > MAX_TOKENS {
            let message = format!("more than {MAX_TOKENS} words");
            let error = Diagnostic::new(at - len..at, message);
            return Err(error.help("give parts of it names with `expr`"));
        }
    }
    check_order(text, &tokens)?;
    Ok(tokens)
}

fn token_at(text: &str, at: usize) -> Result<(ExprToken, usize), Diagnostic> {
    const BINARY: [&str; 11] = ["&&", "||", ">=", "<=", "==", "!=", ">", "<", "+", "*", "/"];
    let rest = &text[at..];
    if let Some(operator) = BINARY.into_iter().find(|operator| rest.starts_with(operator)) {
        return Ok((ExprToken::Binary(operator), operator.len()));
    }
    let one = |token| Ok((token, 1));
    match rest.as_bytes()[0] {
        b'-' => one(ExprToken::Minus),
        b'!' => one(ExprToken::Not),
        b'(' => one(ExprToken::Open),
        b')' => one(ExprToken::Close),
        b',' => one(ExprToken::Comma),
        b'0'..=b'9' => number(text, at),
        b'.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            Err(Diagnostic::new(at..at + 1, "a number starts with a digit").label("write `0.`"))
        }
        c if c.is_ascii_alphabetic() || c == b'_' => name(text, at),
        _ => Err(stranger(text, at)),
    }
}

/// Letters, digits and `_`.
fn run(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn name(text: &str, at: usize) -> Result<(ExprToken, usize), Diagnostic> {
    let rest = &text[at..];
    let len = run(rest);
    let name = &rest[..len];
    if rest[len..].starts_with('.') {
        let end = at + len + 1 + run(&rest[len + 1..]);
        let what = &text[at..end];
        return match &text[at + len..end] {
            ".baseline" | ".before" => Ok((ExprToken::Name(what.to_owned()), end - at)),
            _ => Err(Diagnostic::new(at..end, format!("`{what}` is not a signal's name"))
                .help("a signal has a `.baseline` and a `.before`, nothing else")),
        };
    }
    let instead = match name {
        "and" | "AND" => "&&",
        "or" | "OR" => "||",
        "not" | "NOT" => "!",
        "true" | "false" => {
            let message = format!("`{name}` is not offered, a condition compares readings");
            return Err(Diagnostic::new(at..at + len, message));
        }
        _ => return Ok((ExprToken::Name(name.to_owned()), len)),
    };
    Err(Diagnostic::new(at..at + len, format!("`{name}` is not an operator"))
        .label(format!("write `{instead}`")))
}

fn number(text: &str, at: usize) -> Result<(ExprToken, usize), Diagnostic> {
    let rest = &text[at..];
    let error = |len: usize, message: String| Diagnostic::new(at..at + len, message);
    let digits = |from: usize| {
        rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| from + n)
    };
    let mut end = digits(0);
    if rest[end..].starts_with('.') {
        let after = digits(end + 1);
        if after == end + 1 {
            return Err(error(after, format!("`{}` is not a number", &rest[..after])));
        }
        end = after;
    }
    let exponent = rest[end..].strip_prefix(['e', 'E']).map(|e| e.trim_start_matches(['+', '-']));
    if let Some(exponent) = exponent.filter(|e| e.starts_with(|c: char| c.is_ascii_digit())) {
        end = digits(rest.len() - exponent.len());
    }
    let value: f64 = rest[..end].parse().map_err(|_| error(end, "not a number".into()))?;
    let unit_len = if rest[end..].starts_with('%') { 1 } else { run(&rest[end..]) };
    let len = end + unit_len;
    let written = &rest[..len];
    let (value, unit) = apply_unit(value, &rest[end..len], written).ok_or_else(|| {
        let message = format!("unknown unit `{}`", &rest[end..len]);
        Diagnostic::new(at + end..at + len, message)
            .help("units are %, ms, s, m, h, d, B, KB, MB, GB, TB, KiB, MiB, GiB and TiB")
    })?;
    if !value.is_finite() {
        return Err(error(len, format!("`{written}` is too large a number")));
    }
    Ok((ExprToken::Number(value, unit), len))
}

/// Reads a literal that stands alone.
pub(crate) fn literal(text: &str) -> Result<(f64, Option<Unit>), Diagnostic> {
    let error = || {
        Diagnostic::new(
            0..text.len(),
            format!("`{}` is not a number with a unit", text.escape_debug()),
        )
        .help("write a number, or one with a unit like \"500ms\", \"5%\" or \"64MiB\"")
    };
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(error());
    }
    match number(text, 0)? {
        (ExprToken::Number(value, unit), len) if len == text.len() => Ok((value, unit)),
        _ => Err(error()),
    }
}

fn apply_unit(value: f64, unit: &str, written: &str) -> Option<(f64, Option<Unit>)> {
    let (by, unit) = match unit {
        "" => return Some((value, None)),
        "%" => return Some((value / 100.0, Some(Unit::Ratio))),
        "ms" => return Some((value / 1000.0, Some(Unit::Seconds))),
        "s" => (1.0, Unit::Seconds),
        "m" => (60.0, Unit::Seconds),
        "h" => (3600.0, Unit::Seconds),
        "d" => (86_400.0, Unit::Seconds),
        "B" => (1.0, Unit::Bytes),
        "KB" | "kB" => (1e3, Unit::Bytes),
        "MB" => (1e6, Unit::Bytes),
        "GB" => (1e9, Unit::Bytes),
        "TB" => (1e12, Unit::Bytes),
        "KiB" => (1024.0, Unit::Bytes),
        "MiB" => (1_048_576.0, Unit::Bytes),
        "GiB" => (1_073_741_824.0, Unit::Bytes),
        "TiB" => (1_099_511_627_776.0, Unit::Bytes),
        // `1h30m`, as durations are written elsewhere.
        _ => {
            let duration = parse_duration(written).ok()?;
            return Some((duration.as_secs_f64(), Some(Unit::Seconds)));
        }
    };
    Some((value * by, Some(unit)))
}

/// A character that the language does not use, and what to write instead.
fn stranger(text: &str, at: usize) -> Diagnostic {
    let c = text[at..].chars().next().unwrap_or(' ');
    let error = |message: &str| Diagnostic::new(at..at + c.len_utf8(), message);
    match c {
        '%' => error("`%` stands behind a number").label("write `5%`, without a space"),
        '=' => error("`=` is not a comparison").label("write `==`"),
        '&' => error("`&` is not an operator").label("write `&&`"),
        '|' => error("`|` is not an operator").label("write `||`"),
        ';' => error("a condition is a single expression").label("join both with `&&`"),
        '"' | '\'' => error("strings are not offered, a condition compares readings"),
        '{' | '}' => error("a selector does not stand in a condition")
            .help("define a [signal.NAME] with it and use the name here"),
        '^' => error("`^` is not offered").label("multiply instead"),
        _ => error(&format!("`{}` means nothing here", c.escape_debug())),
    }
}

/// An open parenthesis.
struct OpenGroup {
    /// Whether it holds the operands of a function.
    is_call: bool,
    span: Range<usize>,
    /// How many prefix operators wait for it and for those around it.
    prefixes: usize,
}

/// Checks that operands and operators alternate, that parentheses match and how deep they go.
fn check_order(text: &str, tokens: &[LocatedToken]) -> Result<(), Diagnostic> {
    let mut open: Vec<OpenGroup> = Vec::new();
    let mut operand_next = true;
    let mut prefixes = 0;
    for (index, located) in tokens.iter().enumerate() {
        let LocatedToken { token, span } = located;
        let is_call = index.checked_sub(1).is_some_and(|before| is_function(&tokens[before].token));
        match (token, operand_next) {
            (ExprToken::Number(..) | ExprToken::Name(_), true) => {
                check_call(located, tokens.get(index + 1))?;
                operand_next = false;
            }
            (ExprToken::Open, _) if operand_next || is_call => {
                open.push(OpenGroup { is_call, span: span.clone(), prefixes });
                operand_next = true;
            }
            (ExprToken::Close, false) => {
                open.pop().ok_or_else(|| Diagnostic::new(span.clone(), "`)` closes nothing"))?;
            }
            (ExprToken::Comma, false) if open.last().is_some_and(|group| group.is_call) => {
                operand_next = true;
            }
            (ExprToken::Binary(_) | ExprToken::Minus, false) => operand_next = true,
            (ExprToken::Minus | ExprToken::Not, true) => prefixes += 1,
            _ => return Err(misplaced(text, located, operand_next)),
        }
        if open.len() + prefixes > MAX_DEPTH {
            return Err(Diagnostic::new(span.clone(), format!("nested deeper than {MAX_DEPTH}")));
        }
        if !operand_next {
            prefixes = open.last().map_or(0, |group| group.prefixes);
        }
    }
    if let Some(group) = open.pop() {
        return Err(Diagnostic::new(group.span, "`(` is never closed"));
    }
    if operand_next {
        let end = tokens.last().map_or(0..text.len(), |located| located.span.clone());
        let message = "the condition ends where a signal or a number should follow";
        return Err(Diagnostic::new(end, message));
    }
    Ok(())
}

fn is_function(token: &ExprToken) -> bool {
    matches!(token, ExprToken::Name(name) if FUNCTIONS.contains(&name.as_str()))
}

/// Whether the token is the name of a signal.
pub(crate) fn is_signal(token: &ExprToken) -> bool {
    matches!(token, ExprToken::Name(name) if !FUNCTIONS.contains(&name.as_str()))
}

/// The names of signals in an expression, each once; nothing where it cannot be read.
pub(crate) fn mentioned(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for located in tokenize(text).unwrap_or_default() {
        if let ExprToken::Name(name) = located.token
            && !FUNCTIONS.contains(&name.as_str())
            && !all.contains(&name)
        {
            all.push(name);
        }
    }
    all
}

/// A function is called, a signal is not.
fn check_call(located: &LocatedToken, next: Option<&LocatedToken>) -> Result<(), Diagnostic> {
    let ExprToken::Name(name) = &located.token else { return Ok(()) };
    let called = next.is_some_and(|next| next.token == ExprToken::Open);
    if called == is_function(&located.token) {
        return Ok(());
    }
    let error = |message| Diagnostic::new(located.span.clone(), message);
    if !called {
        return Err(error(format!("`{name}` is a function")).label(format!("write `{name}(…)`")));
    }
    let error = error(format!("unknown function `{name}`"));
    let error = error.suggest(name, FUNCTIONS);
    Err(if error.label.is_some() { error } else { error.help("functions are min, max and abs") })
}

fn misplaced(text: &str, located: &LocatedToken, operand_next: bool) -> Diagnostic {
    let LocatedToken { token, span } = located;
    if *token == ExprToken::Comma && !operand_next {
        let message = "`,` stands only between the operands of `min` and `max`";
        return Diagnostic::new(span.clone(), message);
    }
    let wanted = if operand_next { "a signal, a number or `(`" } else { "an operator" };
    let found = &text[span.clone()];
    Diagnostic::new(span.clone(), format!("expected {wanted}, found `{found}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_carry_their_unit() {
        let check = |text: &str, value: f64, unit| {
            assert_eq!(literal(text), Ok((value, unit)), "{text}");
        };
        check("5%", 0.05, Some(Unit::Ratio));
        check("90%", 0.9, Some(Unit::Ratio));
        check("250ms", 0.25, Some(Unit::Seconds));
        check("2s", 2.0, Some(Unit::Seconds));
        check("5m", 300.0, Some(Unit::Seconds));
        check("1.5h", 5400.0, Some(Unit::Seconds));
        check("1h30m", 5400.0, Some(Unit::Seconds));
        check("10KiB", 10_240.0, Some(Unit::Bytes));
        check("64MiB", 67_108_864.0, Some(Unit::Bytes));
        check("1GB", 1e9, Some(Unit::Bytes));
        check("1e3", 1000.0, None);
        check("1.5e-3", 0.0015, None);
        check("0.5", 0.5, None);
    }

    #[test]
    fn what_is_not_a_literal_is_refused() {
        for text in
            ["", "x", "5 %", "5parsecs", "1.", "1e999", "0x10", "1_000", "5%%", "-5", "1.2.3"]
        {
            assert!(literal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_alternates_and_closes_passes() {
        let ok = ["a", "-a", "--a", "!(a)", "(a)", "min(a, b)", "a+-b", "a - -b", "max(a,(b))"];
        for text in ok {
            assert!(tokenize(text).is_ok(), "{text}");
        }
        let bad = [
            "",
            " ",
            "a b",
            "a +",
            "+ a",
            "(a",
            "a)",
            "()",
            "min()",
            "min(,a)",
            "min(a,)",
            "a, b",
            "(a, b)",
            "min a",
            "a(b)",
            "5(3)",
            "a 5",
            "a !b",
            "* a",
            "a ** b",
            "min((a, b))",
            "a = b",
            "a; b",
            "a % b",
            "a ^ b",
            "a & b",
            "\"a\"",
            "a.median",
            "a.b.c",
            "é",
            "\0",
            "// a",
            "a //b",
        ];
        for text in bad {
            assert!(tokenize(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_however_it_is_written() {
        let at_most = |n: usize| "(".repeat(n) + "a" + &")".repeat(n);
        assert!(tokenize(&at_most(MAX_DEPTH)).is_ok());
        assert!(tokenize(&at_most(MAX_DEPTH + 1)).is_err());
        assert!(tokenize(&("-".repeat(MAX_DEPTH) + "a")).is_ok());
        assert!(tokenize(&("-".repeat(MAX_DEPTH + 1) + "a")).is_err());
        assert!(tokenize(&at_most(100_000)).is_err());
        assert!(tokenize(&"abs(".repeat(100_000)).is_err());
    }
}
