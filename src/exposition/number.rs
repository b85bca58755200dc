//! Values and timestamps.
//!
//! What Prometheus and the Python client both read: decimal numbers, `Inf` and `NaN` in any case.
//! No hexadecimal floats and no digit separators. A finite number that does not fit is refused, not
//! turned into an infinity: a rule would act on it.

use super::{Reason, Timestamp};

/// Nineteen digits always fit a `u64`; twenty may not.
const SURE_DIGITS: usize = 19;
const NANOS: u32 = 1_000_000_000;

/// A sample's value.
#[inline]
pub(super) fn value(token: &[u8]) -> Result<f64, Reason> {
    match whole(token) {
        // One rounding from an exact integer, as correct as parsing it as a float.
        Some(number) => Ok(number as f64),
        None => float(token),
    }
}

#[inline]
fn whole(token: &[u8]) -> Option<u64> {
    if token.is_empty() || token.len() > SURE_DIGITS {
        return None;
    }
    let mut number = 0_u64;
    for byte in token {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

fn float(token: &[u8]) -> Result<f64, Reason> {
    let value: f64 = fast_float2::parse(token).map_err(|_| Reason::BadValue)?;
    if value.is_infinite() && token.iter().any(u8::is_ascii_digit) {
        return Err(Reason::ValueOutOfRange);
    }
    Ok(value)
}

/// A timestamp of the text format: whole milliseconds.
pub(super) fn millis(token: &[u8]) -> Result<Timestamp, Reason> {
    let text = std::str::from_utf8(token).map_err(|_| Reason::BadTimestamp)?;
    text.parse().map(Timestamp::from_millis).map_err(|_| Reason::BadTimestamp)
}

/// A timestamp of OpenMetrics: seconds. Plain decimals are exact, cut off after nanoseconds; a
/// number with an exponent goes through a float.
pub(super) fn seconds(token: &[u8]) -> Result<Timestamp, Reason> {
    decimal_seconds(token).or_else(|| float_seconds(token)).ok_or(Reason::BadTimestamp)
}

fn decimal_seconds(token: &[u8]) -> Option<Timestamp> {
    let (negative, digits) = match token.split_first() {
        Some((sign @ (b'-' | b'+'), digits)) => (*sign == b'-', digits),
        _ => (false, token),
    };
    let dot = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
    let seconds = i64::try_from(whole(&digits[..dot])?).ok()?;
    let nanos = nanos(digits.get(dot + 1..).unwrap_or_default())?;
    match (negative, nanos) {
        (false, _) => Timestamp::new(seconds, nanos),
        (true, 0) => Timestamp::new(-seconds, 0),
        (true, _) => Timestamp::new(-seconds - 1, NANOS - nanos),
    }
}

fn nanos(fraction: &[u8]) -> Option<u32> {
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')))
}

fn float_seconds(token: &[u8]) -> Option<Timestamp> {
    // Beyond it, i64 seconds do not hold the value; it is 292 billion years.
    const END: f64 = 9.2e18;
    let value: f64 = fast_float2::parse(token).ok()?;
    if value.is_nan() || value.abs() >= END {
        return None;
    }
    let floor = value.floor();
    let nanos = ((value - floor) * f64::from(NANOS)).round();
    let (carry, nanos) = if nanos >= f64::from(NANOS) { (1, 0) } else { (0, nanos as u32) };
    Timestamp::new(floor as i64 + carry, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: &str, expected: Result<f64, Reason>) {
        let found = value(token.as_bytes());
        let same = match (found, expected) {
            (Ok(a), Ok(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
            (a, b) => a == b,
        };
        assert!(same, "{token:?}: {found:?}, expected {expected:?}");
    }

    #[test]
    fn values_are_those_of_prometheus_and_nothing_else() {
        for (token, expected) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("007", 7.0),
            ("+3", 3.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1e3),
            ("1E-3", 1e-3),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("9999999999999999999", 1e19),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            ("1e-999", 0.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
            ("NaN", f64::NAN),
            ("nan", f64::NAN),
        ] {
            check(token, Ok(expected));
        }
        for token in
            ["", "abc", "1_000", "0x1p-2", "0x10", "1e", "e5", ".", "--1", "1,5", "Na", "1f"]
        {
            check(token, Err(Reason::BadValue));
        }
        check("1e999", Err(Reason::ValueOutOfRange));
        check(&"9".repeat(400), Err(Reason::ValueOutOfRange));
    }

    #[test]
    fn short_integers_read_as_the_standard_library_reads_them() {
        let mut number = 1_u64;
        for _ in 0..100_000 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            let token = (number >> (number % 60)).to_string();
            check(&token, Ok(token.parse().unwrap()));
        }
    }

    #[test]
    fn timestamps_keep_every_digit_down_to_nanoseconds() {
        for (token, expected) in [
            ("1700000000", "1700000000"),
            ("1700000000.123456789", "1700000000.123456789"),
            ("1700000000.1234567899", "1700000000.123456789"),
            ("1.5", "1.5"),
            ("1.", "1"),
            ("-0.25", "-0.25"),
            ("-1.25", "-1.25"),
            ("-2", "-2"),
            ("1.7e9", "1700000000"),
            (".5", "0.5"),
            ("-15e-1", "-1.5"),
            ("9.9999999999999e-1", "1"),
        ] {
            assert_eq!(seconds(token.as_bytes()).unwrap().to_string(), expected, "{token}");
        }
        for token in
            ["", "abc", "NaN", "+Inf", "1e300", "1_0", "1.2.3", "1.-5", "99999999999999999999"]
        {
            assert_eq!(seconds(token.as_bytes()), Err(Reason::BadTimestamp), "{token}");
        }
    }

    #[test]
    fn milliseconds_are_whole_and_signed() {
        for (token, expected) in
            [("1500", "1.5"), ("-1500", "-1.5"), ("-1", "-0.001"), ("+2", "0.002"), ("0", "0")]
        {
            assert_eq!(millis(token.as_bytes()).unwrap().to_string(), expected, "{token}");
        }
        for token in ["1.5", "1e3", "", "abc", "9223372036854775808"] {
            assert_eq!(millis(token.as_bytes()), Err(Reason::BadTimestamp), "{token}");
        }
        let last = millis(i64::MAX.to_string().as_bytes()).unwrap();
        assert_eq!(last.as_millis(), i64::MAX);
        assert_eq!(millis(i64::MIN.to_string().as_bytes()).unwrap().as_millis(), i64::MIN);
    }
}
