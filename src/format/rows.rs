//! Rows of state in memory: a task, a key, and a value packed into bytes.
//!
//! The packing is private to a process and never written to a store. Each value has exactly one packing, so equal bytes
//! are equal values.

use crate::values::decimal::Decimal;
use crate::values::value::{Column, ColumnType, Estimate, Value};

/// Packs and unpacks the values of rows that have certain columns.
///
/// A packed value is a bitmap of the columns that have a value (one bit per column, lowest first, in whole bytes), the
/// fixed part (8 bytes for an integer, 16 for a number, 1 for a bool, 4 for the length of anything else; little-endian;
/// zeros for a missing value), then the bytes of the text, JSON and sketch columns one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowCodec {
    columns: Vec<Column>,
    offsets: Vec<usize>,
    fixed_bytes: usize,
    estimates: Vec<RowEstimate>,
}

/// A column whose values a sketch in another column decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowEstimate {
    pub column: usize,
    pub sketch: usize,
    pub quantile: Option<Decimal>,
}

impl RowCodec {
    pub fn new(columns: Vec<Column>) -> RowCodec {
        let mut offset = columns.len().div_ceil(8);
        let offsets = columns
            .iter()
            .map(|column| {
                let at = offset;
                offset += match column.column_type {
                    ColumnType::Int => 8,
                    ColumnType::Number => 16,
                    ColumnType::Bool => 1,
                    ColumnType::Text | ColumnType::Json | ColumnType::Sketch | ColumnType::Quantiles => 4,
                };
                at
            })
            .collect();
        let estimate = |(column, described): (usize, &Column)| {
            let Estimate { sketch, quantile } = described.estimate.as_ref()?;
            let sketch = columns.iter().position(|column| column.name == *sketch)?;
            Some(RowEstimate { column, sketch, quantile: *quantile })
        };
        let estimates = columns.iter().enumerate().filter_map(estimate).collect();
        RowCodec { columns, offsets, fixed_bytes: offset, estimates }
    }

    /// Returns the columns whose values sketches decide.
    pub fn estimates(&self) -> &[RowEstimate] {
        &self.estimates
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the size of the bitmap and the fixed part, which is the whole packed value if every column has a fixed
    /// size.
    pub fn fixed_bytes(&self) -> usize {
        self.fixed_bytes
    }

    /// Returns the offset of the fixed part of column `index`.
    pub fn offset(&self, index: usize) -> usize {
        self.offsets[index]
    }

    /// Returns whether all packed values have the same size.
    pub fn is_fixed(&self) -> bool {
        self.columns.iter().all(|column| column.column_type.is_fixed())
    }

    /// Returns whether column `index` of `packed` has a value.
    pub fn has(packed: &[u8], index: usize) -> bool {
        packed[index / 8] & (1 << (index % 8)) != 0
    }

    /// Appends the packing of `values`, one for each column, to `packed`.
    ///
    /// # Panics
    ///
    /// Panics if a value does not have the type of its column: the caller has checked that.
    pub fn pack(&self, values: &[Value], packed: &mut Vec<u8>) {
        assert_eq!(values.len(), self.columns.len(), "one value per column");
        let start = packed.len();
        packed.resize(start + self.fixed_bytes, 0);
        for (index, value) in values.iter().enumerate() {
            let at = start + self.offsets[index];
            match (self.columns[index].column_type, value) {
                (_, Value::Null) => continue,
                (ColumnType::Text, Value::Text(text)) | (ColumnType::Json, Value::Json(text)) => {
                    put_variable(packed, at, text.as_bytes());
                }
                (ColumnType::Sketch | ColumnType::Quantiles, Value::Sketch(bytes)) => put_variable(packed, at, bytes),
                (_, value) => {
                    self.put_fixed(&mut packed[start..], index, value);
                    continue;
                }
            }
            packed[start + index / 8] |= 1 << (index % 8);
        }
    }

    /// Sets the value of a column that has a fixed size in `packed`, the packing of a row.
    ///
    /// # Panics
    ///
    /// Panics if the value does not have the type of its column.
    pub fn put_fixed(&self, packed: &mut [u8], index: usize, value: &Value) {
        let at = self.offsets[index];
        match (self.columns[index].column_type, value) {
            (_, Value::Null) => {
                let end = self.offsets.get(index + 1).copied().unwrap_or(self.fixed_bytes);
                packed[at..end].fill(0);
                packed[index / 8] &= !(1 << (index % 8));
                return;
            }
            (ColumnType::Int, Value::Int(number)) => packed[at..at + 8].copy_from_slice(&number.to_le_bytes()),
            (ColumnType::Number, Value::Number(number)) => {
                packed[at..at + 16].copy_from_slice(&number.units().to_le_bytes());
            }
            (ColumnType::Bool, Value::Bool(yes)) => packed[at] = u8::from(*yes),
            (column_type, value) => panic!("a {column_type:?} column cannot hold {value:?}"),
        }
        packed[index / 8] |= 1 << (index % 8);
    }

    /// Unpacks what [`RowCodec::pack`] packed.
    pub fn unpack(&self, packed: &[u8]) -> Vec<Value> {
        let mut rest = &packed[self.fixed_bytes..];
        let mut variable = |at: usize| {
            let length = u32::from_le_bytes(packed[at..at + 4].try_into().expect("four bytes")) as usize;
            let (bytes, after) = rest.split_at(length);
            rest = after;
            bytes.to_vec()
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("packed text is UTF-8");
        (0..self.columns.len())
            .map(|index| {
                let at = self.offsets[index];
                if !RowCodec::has(packed, index) {
                    return Value::Null;
                }
                match self.columns[index].column_type {
                    ColumnType::Int => Value::Int(int_at(packed, at)),
                    ColumnType::Number => Value::Number(number_at(packed, at)),
                    ColumnType::Bool => Value::Bool(packed[at] != 0),
                    ColumnType::Text => Value::Text(text(variable(at))),
                    ColumnType::Json => Value::Json(text(variable(at))),
                    ColumnType::Sketch | ColumnType::Quantiles => Value::Sketch(variable(at)),
                }
            })
            .collect()
    }
}

/// Returns the integer packed at `at`.
#[inline]
pub fn int_at(packed: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(packed[at..at + 8].try_into().expect("eight bytes"))
}

/// Returns the number packed at `at`.
#[inline]
pub fn number_at(packed: &[u8], at: usize) -> Decimal {
    let units = i128::from_le_bytes(packed[at..at + 16].try_into().expect("sixteen bytes"));
    Decimal::from_units(units).expect("packed numbers are within bounds")
}

fn put_variable(packed: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a value is below 4 GiB");
    packed[at..at + 4].copy_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(bytes);
}

/// One row, borrowed from a [`RowBatch`](crate::format::row_batch::RowBatch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The task that owns the key.
    pub task: u32,
    /// The key, UTF-8.
    pub key: &'a [u8],
    /// The packed value, or nothing for a tombstone, which says that the key was deleted.
    pub value: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// Returns the key that rows are sorted by.
    pub fn sort_key(&self) -> (u32, &'a [u8]) {
        (self.task, self.key)
    }
}

/// How a row changed since the previous cut. It is known while a checkpoint is made, and never written to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Change {
    /// It did not change.
    #[default]
    None,
    /// It is new.
    Insert,
    /// It existed, with this value or another.
    Update,
    /// It no longer exists.
    Delete,
}

impl Change {
    /// Returns the change that `self` and then `later` add up to. An inserted row that is deleted again was never
    /// there: [`Change::None`].
    pub fn then(self, later: Change) -> Change {
        match (self, later) {
            (before, Change::None) => before,
            (Change::None, later) => later,
            (Change::Insert, Change::Delete) => Change::None,
            (Change::Insert, _) => Change::Insert,
            (Change::Delete, Change::Insert | Change::Update) => Change::Update,
            (Change::Update | Change::Delete, Change::Delete) => Change::Delete,
            (Change::Update, _) => Change::Update,
        }
    }

    /// Returns the name that files of changes use.
    pub fn name(self) -> &'static str {
        match self {
            Change::None => "none",
            Change::Insert => "insert",
            Change::Update => "update",
            Change::Delete => "delete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        use ColumnType::*;
        [Int, Number, Text, Bool, Json, Sketch, Int, Text, Int, Quantiles]
            .into_iter()
            .enumerate()
            .map(|(i, column_type)| Column::new(format!("c{i}"), column_type))
            .collect()
    }

    #[test]
    fn a_value_unpacks_to_what_was_packed() {
        let codec = RowCodec::new(columns());
        let full = vec![
            Value::Int(-7),
            Value::Number(Decimal::parse(b"-12.34").unwrap()),
            Value::Text("å\u{0}b".to_owned()),
            Value::Bool(true),
            Value::Json("[1,{}]".to_owned()),
            Value::Sketch(vec![0, 255]),
            Value::Int(i64::MAX),
            Value::Text(String::new()),
            Value::Int(0),
            Value::Sketch(Vec::new()),
        ];
        let mut packed = Vec::new();
        for hole in 0..=full.len() {
            let mut values = full.clone();
            if let Some(value) = values.get_mut(hole) {
                *value = Value::Null;
            }
            packed.clear();
            codec.pack(&values, &mut packed);
            assert_eq!(codec.unpack(&packed), values);
        }
        assert!(!codec.is_fixed());
        assert!(RowCodec::new(vec![Column::new("n", ColumnType::Int)]).is_fixed());
    }

    #[test]
    fn two_changes_of_a_row_are_one() {
        use Change::{Delete, Insert, None, Update};
        for (first, second, both) in [
            (Insert, Update, Insert),
            (Insert, Delete, None),
            (Update, Update, Update),
            (Update, Delete, Delete),
            (Delete, Insert, Update),
            (None, Insert, Insert),
            (None, Delete, Delete),
            (Insert, None, Insert),
            (Delete, None, Delete),
        ] {
            assert_eq!(first.then(second), both, "{first:?} {second:?}");
        }
    }
}
