//! Exact decimal numbers: 128-bit fixed point with 18 decimal places.

mod arithmetic;

use std::cmp::Ordering;
use std::fmt;
use std::io::Write as _;

/// A number with 18 decimal places and a magnitude below 10^20, held exactly.
///
/// The inner integer is the number times 10^18. Sums never round; a result that does not fit is an error. Parquet and
/// Arrow call the type `decimal128(38, 18)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(i128);

/// Why a text cannot be a [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// It is not a decimal number as JSON writes them.
    #[error("is not a number")]
    NotANumber,
    /// The magnitude is 10^20 or more.
    #[error("is too large: a number's magnitude must be below 10^20")]
    TooLarge,
    /// A digit after the 18th decimal place is not zero.
    #[error("has more than 18 decimal places")]
    TooFine,
}

const ONE: i128 = 1_000_000_000_000_000_000;
const LIMIT: i128 = ONE * 100_000_000_000_000_000_000;

const POWERS: [i128; 19] = {
    let mut powers = [1i128; 19];
    let mut i = 1;
    while i < 19 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

impl Decimal {
    /// The number of decimal places.
    pub const SCALE: i8 = 18;
    /// The number of decimal digits in total.
    pub const PRECISION: u8 = 38;
    pub const ZERO: Decimal = Decimal(0);
    pub const ONE: Decimal = Decimal(ONE);

    /// Returns the number `units` / 10^18, or nothing if it is out of bounds.
    pub fn from_units(units: i128) -> Option<Decimal> {
        (-LIMIT < units && units < LIMIT).then_some(Decimal(units))
    }

    /// Returns the number times 10^18.
    pub fn units(self) -> i128 {
        self.0
    }

    /// Adds exactly. Returns nothing if the sum is out of bounds.
    #[inline]
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        Decimal::from_units(self.0.checked_add(other.0)?)
    }

    /// Divides by `count`, rounding half to even at the 18th decimal place. Returns nothing if `count` is zero.
    pub fn mean(self, count: u64) -> Option<Decimal> {
        let divisor = i128::from(count);
        if divisor == 0 {
            return None;
        }
        let quotient = self.0.div_euclid(divisor);
        let twice = self.0.rem_euclid(divisor) * 2;
        let up = twice > divisor || (twice == divisor && quotient % 2 != 0);
        Some(Decimal(quotient + i128::from(up)))
    }

    /// Rounds half to even at `places` decimal places (0 to 18). Returns nothing if the result is out of bounds.
    pub fn round(self, places: u8) -> Option<Decimal> {
        let step = POWERS[usize::from(18 - places.min(18))];
        let quotient = self.0.div_euclid(step);
        let twice = self.0.rem_euclid(step) * 2;
        let up = twice > step || (twice == step && quotient % 2 != 0);
        Decimal::from_units((quotient + i128::from(up)) * step)
    }

    /// Reads a number from text that is to be a number, and rounds it half to even to `places` decimal places, if any.
    ///
    /// Besides what JSON allows, a number may have white space around it, a leading `+`, leading zeros, and no digits
    /// on one side of its point. With `places`, it may have any number of decimal places: only the result must fit.
    #[inline]
    pub fn read(text: &str, places: Option<u8>) -> Result<Decimal, DecimalError> {
        match (Decimal::parse(text.as_bytes()), places) {
            (Ok(number), None) => Ok(number),
            (Ok(number), Some(places)) => number.round(places).ok_or(DecimalError::TooLarge),
            (Err(_), places) => Decimal::read_any(text.trim(), places),
        }
    }

    #[cold]
    fn read_any(text: &str, places: Option<u8>) -> Result<Decimal, DecimalError> {
        let (negative, digits) = split_sign(text.as_bytes());
        parse_any(negative, digits, &Reading { places, may_lack_digits: true })
    }

    /// Parses a number as JSON writes it: an optional sign, digits, an optional fraction, an optional exponent.
    ///
    /// Also accepts a leading `+` and leading zeros.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Decimal, DecimalError> {
        // The common case: at most 18 digits and a point, no exponent.
        let (negative, digits) = split_sign(text);
        if digits.is_empty() || digits.len() > 18 {
            return parse_any(negative, digits, &EXACT);
        }
        let mut number = 0u64;
        let mut places = None;
        for (i, &byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                number = number * 10 + u64::from(digit);
            } else if byte == b'.' && places.is_none() && i > 0 && i + 1 < digits.len() {
                places = Some(digits.len() - i - 1);
            } else {
                return parse_any(negative, digits, &EXACT);
            }
        }
        let units = i128::from(number) * POWERS[18 - places.unwrap_or(0)];
        Ok(Decimal(if negative { -units } else { units }))
    }
}

/// How a number is read.
struct Reading {
    /// Round to this number of decimal places.
    places: Option<u8>,
    /// Accept `.5` and `5.`.
    may_lack_digits: bool,
}

const EXACT: Reading = Reading { places: None, may_lack_digits: false };

#[inline]
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Parses what the fast path leaves: exponents, long numbers and errors.
#[cold]
fn parse_any(negative: bool, text: &[u8], reading: &Reading) -> Result<Decimal, DecimalError> {
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        None => (text, 0i64),
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        None => (mantissa, &b""[..]),
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
    };
    let digits = || whole.iter().chain(fraction);
    let lacks_digits = whole.is_empty() || (fraction.is_empty() && whole.len() < mantissa.len());
    if digits().next().is_none() || (lacks_digits && !reading.may_lack_digits) || !digits().all(u8::is_ascii_digit) {
        return Err(DecimalError::NotANumber);
    }
    // The digit at index i counts 10^(whole.len() - 1 - i + exponent), which is 10^18 times more in units of 10^-18.
    let first_power = whole.len() as i64 - 1 + exponent + 18;
    let last_power = reading.places.map_or(0, |places| 18 - i64::from(places.min(18)));
    let mut units = 0i128;
    // The digits below the last one that is kept, in comparison with a half.
    let mut rest = Ordering::Less;
    for (i, digit) in digits().enumerate().filter(|(_, digit)| **digit != b'0') {
        match first_power - i as i64 {
            power if power > 37 => return Err(DecimalError::TooLarge),
            power if power >= last_power => units += i128::from(digit - b'0') * 10i128.pow(power as u32),
            _ if reading.places.is_none() => return Err(DecimalError::TooFine),
            power if power == last_power - 1 => rest = digit.cmp(&b'5'),
            _ if rest.is_eq() => rest = Ordering::Greater,
            _ => {}
        }
        if units >= LIMIT {
            return Err(DecimalError::TooLarge);
        }
    }
    let step = 10i128.pow(last_power as u32);
    if rest.is_gt() || (rest.is_eq() && units / step % 2 == 1) {
        units += step;
    }
    Decimal::from_units(if negative { -units } else { units }).ok_or(DecimalError::TooLarge)
}

fn parse_exponent(text: &[u8]) -> Result<i64, DecimalError> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::NotANumber);
    }
    // Beyond a million only the sign matters; the mantissa may still be zero.
    let exponent = digits.iter().fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(1_000_000_000));
    Ok(if negative { -exponent } else { exponent })
}

impl fmt::Display for Decimal {
    /// Writes the shortest decimal notation, without trailing zeros or an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / ONE as u128, (magnitude % ONE as u128) as u64);
        let mut text = [0; Decimal::PRECISION as usize + 1];
        let mut rest = &mut text[..];
        let mut put = |part: fmt::Arguments<'_>| rest.write_fmt(part).expect("all digits and a point fit");
        // Numbers of 64 bits are written several times as fast.
        match u64::try_from(whole) {
            Ok(whole) => put(format_args!("{whole}")),
            Err(_) => put(format_args!("{whole}")),
        }
        if fraction != 0 {
            let (mut left, mut places) = (fraction, Decimal::SCALE as usize);
            while left.is_multiple_of(10) {
                (left, places) = (left / 10, places - 1);
            }
            put(format_args!(".{left:0places$}"));
        }
        let length = Decimal::PRECISION as usize + 1 - rest.len();
        f.pad_integral(self.0 >= 0, "", std::str::from_utf8(&text[..length]).expect("digits are ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, DecimalError> {
        Decimal::parse(text.as_bytes()).map(|number| number.to_string())
    }

    #[test]
    fn numbers_parse_exactly_and_print_shortest() {
        for (text, printed) in [
            ("0", "0"),
            ("-0", "0"),
            ("12.34", "12.34"),
            ("-12.340", "-12.34"),
            ("+7", "7"),
            ("007", "7"),
            ("0.000000000000000001", "0.000000000000000001"),
            ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("120e-1", "12"),
            ("0e999999999999", "0"),
            ("0.10000000000000000000000000", "0.1"),
            ("123456789012345678", "123456789012345678"),
            ("1767225610000", "1767225610000"),
        ] {
            assert_eq!(parse(text), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_or_does_not_fit_is_refused() {
        use DecimalError::*;
        for text in [
            "", "-", "+", ".", "1.", ".5", "1.2.3", "abc", "1e", "1e+", "0x10", "NaN", "1 ", " 1", "--1", "1_000",
            "\"1\"",
        ] {
            assert_eq!(parse(text), Err(NotANumber), "{text}");
        }
        assert_eq!(parse("100000000000000000000"), Err(TooLarge));
        assert_eq!(parse("1e400"), Err(TooLarge));
        assert_eq!(parse("1e-19"), Err(TooFine));
        assert_eq!(parse("0.1234567890123456789"), Err(TooFine));
    }

    #[test]
    fn text_that_is_to_be_a_number_may_be_spelled_in_more_ways() {
        let read = |text: &str| Decimal::read(text, None).map(|number| number.to_string());
        for (text, printed) in [
            ("5", "5"),
            (" 5\t", "5"),
            ("+1", "1"),
            ("-007", "-7"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("1e5", "100000"),
            ("1.E-1", "0.1"),
            (" +.5e1 ", "5"),
        ] {
            assert_eq!(read(text), Ok(printed.to_owned()), "{text}");
        }
        for text in [
            "", " ", ".", "+", "-.", "e5", ".e5", "1_000", "1,000", "0x10", "NaN", "inf", "1 000", "- 1", "1e", "1e1.5",
        ] {
            assert_eq!(read(text), Err(DecimalError::NotANumber), "{text}");
        }
    }

    #[test]
    fn rounding_takes_any_number_of_places_and_goes_by_the_exact_value() {
        let round = |text: &str, places| Decimal::read(text, Some(places)).map(|number| number.to_string());
        for (text, places, rounded) in [
            ("1.2345678901234567e-05", 6, "0.000012"),
            ("2.220446049250313e-16", 18, "0.000000000000000222"),
            ("0.0000000000000000005", 18, "0"),
            ("0.0000000000000000015", 18, "0.000000000000000002"),
            ("0.00000000000000000050000000000000000000001", 18, "0.000000000000000001"),
            ("2.5000000000000000000000000", 0, "2"),
            ("2.5000000000000000000000001", 0, "3"),
            ("3.5000000000000000000000000", 0, "4"),
            ("-2.5000000000000000000000001", 0, "-3"),
            ("-0.4999999999999999999999999", 0, "0"),
            ("0.0050000000000000000001", 2, "0.01"),
            ("0.1", 6, "0.1"),
            ("1e-400", 18, "0"),
            ("9.99999999999999999999999", 2, "10"),
        ] {
            assert_eq!(round(text, places), Ok(rounded.to_owned()), "{text} to {places}");
        }
        assert_eq!(round("99999999999999999999.99999999999999999999", 18), Err(DecimalError::TooLarge));
        assert_eq!(round("1e400", 2), Err(DecimalError::TooLarge));
    }

    #[test]
    fn sums_are_exact_and_overflow_is_seen() {
        let tenth = Decimal::parse(b"0.1").unwrap();
        let sum = (0..10).fold(Decimal::ZERO, |sum, _| sum.checked_add(tenth).unwrap());
        assert_eq!(sum.to_string(), "1");
        let most = Decimal::parse(b"99999999999999999999").unwrap();
        assert_eq!(most.checked_add(most), None);
    }

    #[test]
    fn means_and_rounding_go_half_to_even() {
        let number = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
        assert_eq!(number("1").mean(3).unwrap().to_string(), "0.333333333333333333");
        assert_eq!(number("-2").mean(3).unwrap().to_string(), "-0.666666666666666667");
        assert_eq!(number("1").mean(0), None);
        assert_eq!(number("2.5").round(0).unwrap().to_string(), "2");
        assert_eq!(number("3.5").round(0).unwrap().to_string(), "4");
        assert_eq!(number("-2.5").round(0).unwrap().to_string(), "-2");
        assert_eq!(number("1.005").round(2).unwrap().to_string(), "1");
        assert_eq!(number("1.23").round(18).unwrap().to_string(), "1.23");
        assert_eq!(number("99999999999999999999.9").round(0), None);
    }
}
