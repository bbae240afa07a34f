//! The approximate number of distinct values, and what sketches estimate. Only this file knows the sketch crate.

use datasketches::hll::{HllSketch, HllType};

use crate::format::quantiles::Quantiles;
use crate::values::decimal::Decimal;
use crate::values::value::{ColumnType, Value};

/// An Apache DataSketches HyperLogLog sketch of 2^12 registers. Its standard error is 1.6 %; below about 100 values it
/// is exact.
#[derive(Debug, Clone)]
pub struct Sketch(HllSketch);

/// The binary logarithm of the number of registers.
const LOG_REGISTERS: u8 = 12;

/// The offset of the mode in the DataSketches format, and the modes whose entries come from a hash table.
const MODE_AT: usize = 7;
const MODE_MASK: u8 = 3;
const MODE_SET: u8 = 1;
const MODE_HLL: u8 = 2;
/// The offsets of these entries: the few values of a set, and the registers that do not fit into four bits, after the
/// others.
const SET_ENTRIES_AT: usize = 12;
const HLL_EXCEPTIONS_AT: usize = 40 + (1 << (LOG_REGISTERS - 1));
const ENTRY_BYTES: usize = 4;

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch(HllSketch::new(LOG_REGISTERS, HllType::Hll4).expect("4096 registers are within the crate's bounds"))
    }
}

impl Sketch {
    /// Counts `value`, unless it was counted before.
    pub fn update(&mut self, value: &[u8]) {
        self.0.update(value);
    }

    /// Returns the approximate number of distinct values that were counted.
    pub fn estimate(&self) -> i64 {
        self.0.estimate().round() as i64
    }

    /// Returns the sketch in the DataSketches format.
    ///
    /// The bytes depend only on the counted values and their order, not on how often the sketch was written and read in
    /// between. The format leaves the order of the entries in its hash tables open; here they are sorted.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.serialize();
        let entries_at = match bytes[MODE_AT] & MODE_MASK {
            MODE_SET => SET_ENTRIES_AT,
            MODE_HLL => HLL_EXCEPTIONS_AT,
            _ => bytes.len(),
        };
        if let Some(tail) = bytes.get_mut(entries_at..) {
            let (entries, _) = tail.as_chunks_mut::<ENTRY_BYTES>();
            entries.sort_unstable_by_key(|entry| u32::from_le_bytes(*entry));
        }
        bytes
    }

    /// Reads a sketch in the DataSketches format. Returns `None` if it is malformed or has another number of registers.
    pub fn from_bytes(bytes: &[u8]) -> Option<Sketch> {
        let sketch = HllSketch::deserialize(bytes).ok()?;
        (sketch.lg_config_k() == LOG_REGISTERS).then_some(Sketch(sketch))
    }
}

/// Returns what a sketch in a column of `column_type` estimates: a quantile, or the number of distinct values. Returns
/// `None` if the sketch is malformed.
pub fn estimate(column_type: ColumnType, bytes: &[u8], quantile: Option<Decimal>) -> Option<Value> {
    match column_type {
        ColumnType::Quantiles => Some(quantile_value(&Quantiles::from_bytes(bytes)?, quantile)),
        _ => Sketch::from_bytes(bytes).map(|sketch| Value::Int(sketch.estimate())),
    }
}

/// Returns whether a row may have the estimate `stored` beside a sketch that estimates `computed`.
///
/// Quantiles are defined exactly. Versions of the sketch library may differ in how they estimate a number of distinct
/// values, though by no more than the error of the sketch, so 2 % are allowed.
pub fn agrees(stored: &Value, computed: &Value) -> bool {
    match (stored, computed) {
        (Value::Int(stored), Value::Int(computed)) => {
            stored.abs_diff(*computed).saturating_mul(50) <= computed.unsigned_abs()
        }
        _ => stored == computed,
    }
}

/// Returns a quantile that a sketch estimates. Returns null if it is not said which one.
pub fn quantile_value(quantiles: &Quantiles, quantile: Option<Decimal>) -> Value {
    quantile.and_then(|quantile| quantiles.estimate(quantile)).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed and resumed runs rely on this: writing and reading a sketch at any moment changes nothing.
    #[test]
    fn writing_and_reading_a_sketch_does_not_change_how_it_continues() {
        for stop in [0, 1, 7, 8, 9, 100, 191, 192, 193, 500, 3_000, 9_999] {
            let mut straight = Sketch::default();
            let mut stopped = Sketch::default();
            for i in 0..10_000u32 {
                if i == stop {
                    stopped = Sketch::from_bytes(&stopped.to_bytes()).unwrap();
                }
                let value = format!("value {}", i % 7_000);
                straight.update(value.as_bytes());
                stopped.update(value.as_bytes());
            }
            assert_eq!(stopped.estimate(), straight.estimate(), "stopped at {stop}");
            assert_eq!(stopped.to_bytes(), straight.to_bytes(), "stopped at {stop}");
            assert!((6_600..7_400).contains(&straight.estimate()), "{}", straight.estimate());
        }
    }

    #[test]
    fn writing_and_reading_a_sketch_often_does_not_change_its_bytes() {
        for every in [1, 3, 50, 1_000, 20_000] {
            let mut straight = Sketch::default();
            let mut stopped = Sketch::default();
            for i in 0..60_000u32 {
                if i % every == 0 {
                    stopped = Sketch::from_bytes(&stopped.to_bytes()).unwrap();
                }
                straight.update(&i.to_le_bytes());
                stopped.update(&i.to_le_bytes());
                if i < 400 || i % 9_999 == 0 {
                    assert_eq!(stopped.to_bytes(), straight.to_bytes(), "every {every}, value {i}");
                }
            }
            assert_eq!(stopped.estimate(), straight.estimate());
        }
    }

    #[test]
    fn an_estimate_agrees_with_its_sketch_within_the_error_of_the_sketch() {
        let number = |text: &str| Value::Number(Decimal::parse(text.as_bytes()).unwrap());
        for (stored, computed, expected) in [
            (Value::Int(1_020), Value::Int(1_000), true),
            (Value::Int(1_021), Value::Int(1_000), false),
            (Value::Int(979), Value::Int(1_000), false),
            (Value::Int(i64::MIN), Value::Int(1_000), false),
            (Value::Int(49), Value::Int(48), false),
            (Value::Int(0), Value::Int(0), true),
            (Value::Null, Value::Int(0), false),
            (number("1.5"), number("1.50"), true),
            (number("1.5"), number("1.51"), false),
        ] {
            assert_eq!(agrees(&stored, &computed), expected, "{stored:?} {computed:?}");
        }
    }

    #[test]
    fn few_values_are_counted_exactly_and_foreign_bytes_are_refused() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.estimate(), 0);
        for i in 0..50 {
            sketch.update(&[i % 25]);
        }
        assert_eq!(sketch.estimate(), 25);
        assert!(Sketch::from_bytes(b"no sketch").is_none());
        assert!(Sketch::from_bytes(&[]).is_none());
    }
}
