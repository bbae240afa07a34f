//! Products, quotients and whole parts of exact numbers.

use super::{Decimal, ONE};

impl Decimal {
    /// Subtracts exactly. Returns nothing if the difference is out of bounds.
    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        Decimal::from_units(self.0.checked_sub(other.0)?)
    }

    /// Multiplies, rounding half to even at the 18th decimal place. Returns nothing if the product is out of bounds.
    pub fn checked_mul(self, other: Decimal) -> Option<Decimal> {
        let product = wide_product(self.0.unsigned_abs(), other.0.unsigned_abs());
        let units = rounded_quotient(product, ONE.unsigned_abs())?;
        signed(units, (self.0 < 0) != (other.0 < 0))
    }

    /// Divides, rounding half to even at the 18th decimal place. Returns nothing if `other` is zero or the quotient is
    /// out of bounds.
    pub fn checked_div(self, other: Decimal) -> Option<Decimal> {
        if other.0 == 0 {
            return None;
        }
        let dividend = wide_product(self.0.unsigned_abs(), ONE.unsigned_abs());
        let units = rounded_quotient(dividend, other.0.unsigned_abs())?;
        signed(units, (self.0 < 0) != (other.0 < 0))
    }

    /// Returns what is left of a division whose quotient is cut to an integer. It has the sign of `self`. Returns
    /// nothing if `other` is zero.
    pub fn checked_rem(self, other: Decimal) -> Option<Decimal> {
        self.0.checked_rem(other.0).map(Decimal)
    }

    /// Returns the largest integer that is not larger. Returns nothing if it is out of bounds.
    pub fn floor(self) -> Option<Decimal> {
        Decimal::from_units(self.0.div_euclid(ONE) * ONE)
    }

    /// Returns the smallest integer that is not smaller. Returns nothing if it is out of bounds.
    pub fn ceil(self) -> Option<Decimal> {
        self.negated().floor().map(Decimal::negated)
    }

    /// Returns the number without its sign.
    pub fn abs(self) -> Decimal {
        Decimal(self.0.abs())
    }

    /// Returns the number with the other sign.
    pub fn negated(self) -> Decimal {
        Decimal(-self.0)
    }
}

fn signed(units: u128, is_negative: bool) -> Option<Decimal> {
    let units = i128::try_from(units).ok()?;
    Decimal::from_units(if is_negative { -units } else { units })
}

/// Returns the product as its upper and lower 128 bits.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    let low_half = |number: u128| number & u128::from(u64::MAX);
    let (a_high, a_low, b_high, b_low) = (a >> 64, low_half(a), b >> 64, low_half(b));
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 64);
    let other_middle = a_low * b_high + low_half(middle);
    (a_high * b_high + (middle >> 64) + (other_middle >> 64), (other_middle << 64) | low_half(low))
}

/// Divides, rounding half to even. Returns nothing if the quotient does not fit. The divisor is below 2^127.
fn rounded_quotient((high, low): (u128, u128), divisor: u128) -> Option<u128> {
    if high >= divisor {
        return None;
    }
    let (mut rest, mut quotient) = (high, 0u128);
    if high == 0 {
        (quotient, rest) = (low / divisor, low % divisor);
    } else {
        for bit in (0..128).rev() {
            rest = (rest << 1) | (low >> bit & 1);
            quotient <<= 1;
            if rest >= divisor {
                rest -= divisor;
                quotient |= 1;
            }
        }
    }
    let twice = rest * 2;
    let up = twice > divisor || (twice == divisor && quotient % 2 == 1);
    quotient.checked_add(u128::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn arithmetic_is_exact_or_rounds_half_to_even() {
        let shown = |result: Option<Decimal>| result.map_or("none".to_owned(), |result| result.to_string());
        for (a, b, product, quotient, rest) in [
            ("19.99", "3", "59.97", "6.663333333333333333", "1.99"),
            ("-10", "4", "-40", "-2.5", "-2"),
            ("0.000000001", "0.0000000005", "0", "2", "0"),
            ("0.000000003", "0.0000000005", "0.000000000000000002", "6", "0"),
            ("99999999999999999999", "2", "none", "49999999999999999999.5", "1"),
            ("99999999999999999999.5", "0.1", "9999999999999999999.95", "none", "0"),
            ("12345678901234567.123456789", "8100.5", "none", "1524063811028.278146220207271156", "2253.123456789"),
            ("5", "0", "0", "none", "none"),
        ] {
            let (a, b) = (number(a), number(b));
            let found = [shown(a.checked_mul(b)), shown(a.checked_div(b)), shown(a.checked_rem(b))];
            assert_eq!(found, [product, quotient, rest], "{a} and {b}");
        }
        for (text, floor, ceil) in [("-0.5", "-1", "0"), ("2", "2", "2"), ("2.000000000000000001", "2", "3")] {
            let number = number(text);
            assert_eq!([shown(number.floor()), shown(number.ceil())], [floor, ceil]);
        }
    }
}
