//! Floats as Go writes them in the text format, for label values that a page in protobuf gives as
//! numbers: `le="0.005"` must be the same series on both pages.

use std::fmt::Write as _;

/// Where Go goes over to an exponent, for a float with as many digits as it needs
/// (`strconv.FormatFloat(x, 'g', -1, 64)`).
const PLAIN: std::ops::Range<i32> = -4..6;

/// Appends the shortest decimal that reads back as the same float.
pub(super) fn push(text: &mut String, value: f64) {
    if value.is_nan() {
        text.push_str("NaN");
    } else if value.is_infinite() {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value == 0.0 {
        text.push('0');
    } else {
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').expect("that is what `e` asks for");
        let exponent: i32 = exponent.parse().expect("an exponent is a whole number");
        let written = if PLAIN.contains(&exponent) {
            write!(text, "{value}")
        } else {
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(text, "{digits}e{sign}{:02}", exponent.abs())
        };
        written.expect("a string takes what is written to it");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_012_5, "1.25e-05"),
            (2.5, "2.5"),
            (100_000.0, "100000"),
            (123_456.5, "123456.5"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1e21, "1e+21"),
            (1e100, "1e+100"),
            (-2.5e-7, "-2.5e-07"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            let mut text = String::new();
            super::push(&mut text, value);
            assert_eq!(text, expected);
        }
    }
}
