//! Approximate quantiles of numbers: a DDSketch whose arithmetic is exact.

use std::ops::RangeInclusive;

use crate::format::ddsketch::{self, Counts, MAX_COUNT};
use crate::values::decimal::Decimal;

/// Counts numbers in buckets, and estimates their quantiles from the counts.
///
/// The size of a bucket is at most 1/128 of the numbers in it, so an estimate differs by less than 0.8 % from the exact
/// quantile. Only integers are used. The counts, and with them the bytes and the estimates, are therefore the same in
/// any order of the numbers and on any machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quantiles(Counts);

/// The number of buckets between a number and its double. They are of equal size.
const BUCKETS_PER_DOUBLE: i32 = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 7;

/// A number is its units divided by 10^18, which is 5^18 times 2^18.
const FIVES: u64 = 5u64.pow(Decimal::SCALE as u32);
const TWOS: i32 = Decimal::SCALE as i32;

/// The exponents of the units in a bucket, from that of a single unit to that of the largest number.
const EXPONENTS: RangeInclusive<i32> = -49..=77;

/// The number of bits of `FIVES`.
const FIVES_BITS: i32 = (u64::BITS - FIVES.leading_zeros()) as i32;

impl Quantiles {
    /// Counts `number`.
    pub fn update(&mut self, number: Decimal) {
        let units = number.units();
        match units.signum() {
            0 => self.0.zeros += 1,
            1 => self.0.positive.add(index_of(units.unsigned_abs())),
            _ => self.0.negative.add(index_of(units.unsigned_abs())),
        }
    }

    /// Estimates the smallest number that at least `quantile` of the numbers do not exceed. `quantile` is from 0 to 1.
    /// Returns `None` if no number was counted.
    pub fn estimate(&self, quantile: Decimal) -> Option<Decimal> {
        let count = i128::from(self.total()?);
        let one = Decimal::ONE.units();
        let rank = ((quantile.units() * count + one - 1) / one).max(1);
        let mut reached = 0;
        let mut is_it = |count: u64| {
            reached += i128::from(count);
            reached >= rank
        };
        let units = if let Some((index, _)) = self.0.negative.iter().rev().find(|(_, count)| is_it(*count)) {
            -typical_of(index)?
        } else if is_it(self.0.zeros) {
            0
        } else {
            let (index, _) = self.0.positive.iter().find(|(_, count)| is_it(*count))?;
            typical_of(index)?
        };
        Decimal::from_units(units)
    }

    /// Returns the sketch in the encoding that `docs/format.md` describes. Equal counts have equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        ddsketch::encode(&self.0)
    }

    /// Reads a sketch. Returns `None` unless `bytes` are what [`Quantiles::to_bytes`] returns for some numbers.
    pub fn from_bytes(bytes: &[u8]) -> Option<Quantiles> {
        let quantiles = Quantiles(ddsketch::decode(bytes)?);
        let mut buckets = quantiles.0.positive.indexes.iter().chain(&quantiles.0.negative.indexes);
        (buckets.all(|index| typical_of(*index).is_some())
            && quantiles.total().is_some()
            && quantiles.to_bytes() == bytes)
            .then_some(quantiles)
    }

    /// Returns how many numbers were counted. Returns `None` if there are none, or more than a sketch can have.
    fn total(&self) -> Option<u64> {
        let counts = self.0.positive.counts.iter().chain(&self.0.negative.counts);
        let total = counts.chain([&self.0.zeros]).try_fold(0u64, |total, count| total.checked_add(*count));
        total.filter(|total| (1..=MAX_COUNT).contains(total))
    }
}

/// Returns the index of the bucket of a number that is not zero: 128 times its binary logarithm, which is interpolated
/// linearly between powers of two.
fn index_of(units: u128) -> i16 {
    // Divided by FIVES, the leading bits have the exponent `bits` or one more.
    let surplus = (u128::BITS - units.leading_zeros()) as i32 - 1 - FIVES_BITS - BUCKET_BITS as i32;
    let leading = if surplus < 0 { units << -surplus } else { units >> surplus };
    let leading = leading as u64 / FIVES;
    let is_more = leading >= 2 << BUCKET_BITS;
    let exponent = surplus + BUCKET_BITS as i32 + i32::from(is_more) - TWOS;
    let within = (leading >> u32::from(is_more)) as i32 - BUCKETS_PER_DOUBLE;
    i16::try_from(exponent * BUCKETS_PER_DOUBLE + within).expect("a number has fewer than 128 bits")
}

/// Returns the number in units that stands for those in a bucket: the one with the fewest digits, and of these the one
/// that is nearest to the middle. Returns `None` if no number can be in the bucket.
fn typical_of(index: i16) -> Option<i128> {
    let exponent = i32::from(index).div_euclid(BUCKETS_PER_DOUBLE) + TWOS - BUCKET_BITS as i32;
    if !EXPONENTS.contains(&exponent) {
        return None;
    }
    let leading = i128::from(i32::from(index).rem_euclid(BUCKETS_PER_DOUBLE) + BUCKETS_PER_DOUBLE);
    let bound = |leading: i128| match leading * i128::from(FIVES) {
        units if exponent < 0 => (units >> -exponent) + i128::from(units & ((1 << -exponent) - 1) != 0),
        units => units << exponent,
    };
    let limit = 10i128.pow(u32::from(Decimal::PRECISION));
    let (first, last) = (bound(leading), bound(leading + 1).min(limit) - 1);
    if first > last {
        return None;
    }
    let steps = (0..=last.ilog10()).rev().map(|digits| 10i128.pow(digits));
    let multiples = |step: i128| ((first + step - 1) / step * step, last / step * step);
    let (step, (lowest, highest)) =
        steps.map(|step| (step, multiples(step))).find(|(_, (lowest, highest))| lowest <= highest)?;
    let middle = first + (last - first) / 2;
    Some(((middle + step / 2) / step * step).clamp(lowest, highest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    fn sketch(numbers: impl IntoIterator<Item = Decimal>) -> Quantiles {
        let mut sketch = Quantiles::default();
        numbers.into_iter().for_each(|number| sketch.update(number));
        sketch
    }

    #[test]
    fn whole_numbers_below_256_and_short_numbers_are_exact() {
        for n in -255..=255 {
            let number = number(&n.to_string());
            assert_eq!(sketch([number]).estimate(Decimal::ONE), Some(number));
        }
        for text in ["0.001", "0.25", "-1.5", "1000", "20000", "0.000000000000000001", "99999999999999999999"] {
            let found = sketch([number(text)]).estimate(Decimal::ZERO).unwrap();
            let error = (found.units() - number(text).units()).abs();
            assert!(error * 128 < number(text).units().abs(), "{text}: {found}");
        }
        assert_eq!(sketch([number("1000")]).estimate(Decimal::ONE), Some(number("1000")));
        assert_eq!(sketch([number("0.25")]).estimate(Decimal::ONE), Some(number("0.25")));
        assert_eq!(sketch([]).estimate(Decimal::ONE), None);
    }

    #[test]
    fn a_quantile_is_the_first_number_that_enough_numbers_do_not_exceed() {
        let numbers = sketch((-2..=7).map(|n| number(&n.to_string())));
        for (quantile, estimate) in
            [("0", "-2"), ("0.1", "-2"), ("0.100000000000000001", "-1"), ("0.3", "0"), ("0.5", "2"), ("1", "7")]
        {
            assert_eq!(numbers.estimate(number(quantile)), Some(number(estimate)), "{quantile}");
        }
    }

    #[test]
    fn an_index_is_128_times_the_interpolated_logarithm() {
        for (text, index) in [("1", 0), ("2", 128), ("1.5", 64), ("0.5", -128), ("3", 192), ("1024", 1280)] {
            assert_eq!(index_of(number(text).units().unsigned_abs()), index, "{text}");
        }
        assert_eq!(index_of(1), -7661);
        assert_eq!(index_of(10u128.pow(38) - 1), 8493);
        for index in i16::MIN..=i16::MAX {
            let typical = typical_of(index);
            assert!(typical.is_none_or(|units| index_of(units.unsigned_abs()) == index), "{index}: {typical:?}");
            assert!(typical.is_none() || (-7661..=8493).contains(&index), "{index}: {typical:?}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let all = sketch(["1", "2", "-3", "0", "1e9"].map(number)).to_bytes();
        assert!(Quantiles::from_bytes(&all).is_some());
        let bytes = sketch(["1", "2", "1e9"].map(number)).to_bytes();
        assert!(Quantiles::from_bytes(&bytes).is_some());
        for length in 0..bytes.len() {
            assert!(Quantiles::from_bytes(&bytes[..length]).is_none(), "{length} bytes");
        }
        assert!(Quantiles::from_bytes(&[&bytes[..], &[0]].concat()).is_none());
        assert!(Quantiles::from_bytes(b"not a sketch").is_none());
        assert!(Quantiles::from_bytes(&Quantiles::default().to_bytes()).is_none(), "nothing was counted");
    }

    fn any_number() -> impl Strategy<Value = Decimal> {
        (-(10i128.pow(38) - 1)..10i128.pow(38), 0..127u32)
            .prop_map(|(units, shift)| Decimal::from_units(units >> shift).unwrap())
    }

    proptest! {
        #[test]
        fn the_bytes_are_the_same_in_any_order_and_the_error_is_below_a_128th(
            mut numbers in prop::collection::vec(any_number(), 1..200),
            percent in 0..=100i128,
        ) {
            let straight = sketch(numbers.iter().copied());
            let mut resumed = Quantiles::default();
            for number in numbers.iter().rev() {
                resumed.update(*number);
                resumed = Quantiles::from_bytes(&resumed.to_bytes()).unwrap();
            }
            prop_assert_eq!(straight.to_bytes(), resumed.to_bytes());
            numbers.sort_unstable();
            let rank = (percent * numbers.len() as i128 + 99) / 100;
            let exact = numbers[(rank.max(1) - 1) as usize].units();
            let quantile = Decimal::from_units(percent * Decimal::ONE.units() / 100).unwrap();
            let error = (straight.estimate(quantile).unwrap().units() - exact).abs();
            prop_assert!(error * 128 <= exact.abs(), "{} of {}", error, exact);
        }

        #[test]
        fn a_number_and_the_one_that_stands_for_it_are_in_one_bucket(number in any_number()) {
            prop_assume!(number != Decimal::ZERO);
            let index = index_of(number.units().unsigned_abs());
            prop_assert_eq!(index_of(typical_of(index).unwrap().unsigned_abs()), index);
        }
    }
}
