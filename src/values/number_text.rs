//! Numbers of any size as text.

use crate::values::decimal::Decimal;

/// Returns the one spelling of a number that JSON can write in many ways: `1.50`, `15e-1` and `1.5` are all `1.5`.
///
/// A number that is too large or too fine for a [`Decimal`] gets its digits and an exponent: `12e30`.
pub fn canonical_number(text: &str) -> String {
    Decimal::parse(text.as_bytes()).map_or_else(|_| with_exponent(text), |number| number.to_string())
}

fn with_exponent(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // An exponent that does not fit is beyond all use, so its spelling stays.
    let Ok(exponent) = exponent.parse::<i64>() else { return text.to_owned() };
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let moved = (digits.len() - trimmed.len()) as i64 - fraction.len() as i64;
    format!("{sign}{}e{}", trimmed.trim_start_matches('0'), exponent.saturating_add(moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_canonical_spelling() {
        for (spellings, canonical) in [
            (&["1.5", "1.50", "15e-1", "0.15E+1"][..], "1.5"),
            (&["0", "-0", "0.0", "0e9"], "0"),
            (&["100000000000000000000", "1e20", "10.0e19"], "1e20"),
            (&["-1e-30", "-0.01e-28", "-10E-31"], "-1e-30"),
            (&["18446744073709551616", "18446744073709551616.0"], "18446744073709551616"),
            (&["1e99999999999999999999"], "1e99999999999999999999"),
        ] {
            for spelling in spellings {
                assert_eq!(canonical_number(spelling), canonical, "{spelling}");
            }
        }
    }
}
