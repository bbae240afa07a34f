//! A row that is open for change.

#![warn(missing_docs)]

use crate::format::quantiles::Quantiles;
use crate::format::rows::{RowCodec, int_at, number_at};
use crate::format::sketch::Sketch;
use crate::runner::state::rows::{put_u32, u32_at};
use crate::runner::state::variables::{Variable, Variables};
use crate::values::decimal::Decimal;
use crate::values::value::ColumnType;

/// One row, open for change.
#[derive(Debug)]
pub struct RowMut<'a> {
    /// The bitmap and the fixed part of the row's value. Where a packed value has the length of a variable column, this
    /// has the slot of the column's value in the shard.
    pub packed: &'a mut [u8],
    variables: &'a mut Variables,
    codec: &'a RowCodec,
}

impl<'a> RowMut<'a> {
    #[inline]
    pub(super) fn new(packed: &'a mut [u8], variables: &'a mut Variables, codec: &'a RowCodec) -> RowMut<'a> {
        RowMut { packed, variables, codec }
    }
}

impl RowMut<'_> {
    /// Returns the offset of the fixed part of `column` in the packed value.
    #[inline]
    pub fn offset(&self, column: usize) -> usize {
        self.codec.offset(column)
    }

    /// Returns whether `column` has a value.
    #[inline]
    pub fn has(&self, column: usize) -> bool {
        RowCodec::has(self.packed, column)
    }

    /// Records that `column` has a value.
    #[inline]
    pub fn set_present(&mut self, column: usize) {
        self.packed[column / 8] |= 1 << (column % 8);
    }

    /// Returns the integer in `column`, or 0 if it has no value.
    ///
    /// # Panics
    ///
    /// Like the other accessors of a single type, if the column has another type.
    pub fn int(&self, column: usize) -> i64 {
        int_at(self.packed, self.typed_offset(column, ColumnType::Int))
    }

    /// Sets `column` to an integer.
    pub fn set_int(&mut self, column: usize, number: i64) {
        let at = self.typed_offset(column, ColumnType::Int);
        self.packed[at..at + 8].copy_from_slice(&number.to_le_bytes());
        self.set_present(column);
    }

    /// Returns the number in `column`, or 0 if it has no value.
    pub fn number(&self, column: usize) -> Decimal {
        number_at(self.packed, self.typed_offset(column, ColumnType::Number))
    }

    /// Sets `column` to a number.
    pub fn set_number(&mut self, column: usize, number: Decimal) {
        let at = self.typed_offset(column, ColumnType::Number);
        self.packed[at..at + 16].copy_from_slice(&number.units().to_le_bytes());
        self.set_present(column);
    }

    /// Returns the text in `column`, or `None` if it has no value.
    pub fn text(&self, column: usize) -> Option<&str> {
        let at = self.typed_offset(column, ColumnType::Text);
        self.get(column, at, ColumnType::Text).map(|text| std::str::from_utf8(text).expect("text is UTF-8"))
    }

    /// Sets `column` to a text.
    pub fn set_text(&mut self, column: usize, text: &str) {
        let at = self.typed_offset(column, ColumnType::Text);
        self.set(column, at, ColumnType::Text, text.as_bytes());
    }

    /// Returns the offset of the fixed part of `column`, which must have the type `column_type`.
    fn typed_offset(&self, column: usize, column_type: ColumnType) -> usize {
        let found = self.codec.columns()[column].column_type;
        assert_eq!(found, column_type, "the type of column {column}");
        self.codec.offset(column)
    }

    /// Returns the value of `column` without its length. The fixed part of the column is at `at`.
    pub fn get(&self, column: usize, at: usize, column_type: ColumnType) -> Option<&[u8]> {
        if !self.has(column) {
            return None;
        }
        Some(match fixed_size(column_type) {
            Some(size) => &self.packed[at..at + size],
            None => match self.variables.get(u32_at(self.packed, at)) {
                Variable::Bytes(bytes) => bytes,
                Variable::Sketch(_) | Variable::Quantiles(_) => &[],
            },
        })
    }

    /// Sets `column` to the value `new`, which is packed without its length.
    pub fn set(&mut self, column: usize, at: usize, column_type: ColumnType, new: &[u8]) {
        if let Some(size) = fixed_size(column_type) {
            self.packed[at..at + size].copy_from_slice(&new[..size]);
        } else if self.has(column) {
            *self.variables.get_mut(u32_at(self.packed, at)) = Variable::Bytes(new.into());
        } else {
            let slot = self.variables.push(Variable::Bytes(new.into()));
            put_u32(self.packed, at, slot);
        }
        self.set_present(column);
    }

    /// Removes the value of `column`, which must not be a sketch.
    pub fn clear(&mut self, column: usize) {
        if !self.has(column) {
            return;
        }
        let at = self.codec.offset(column);
        match fixed_size(self.codec.columns()[column].column_type) {
            Some(size) => self.packed[at..at + size].fill(0),
            None => {
                self.variables.remove(u32_at(self.packed, at));
                put_u32(self.packed, at, 0);
            }
        }
        self.packed[column / 8] &= !(1 << (column % 8));
    }

    /// Returns the sketch in `column`, after adding an empty one if it has no value.
    pub fn sketch(&mut self, column: usize, at: usize) -> &mut Sketch {
        if !self.has(column) {
            let slot = self.variables.push(Variable::Sketch(Box::default()));
            put_u32(self.packed, at, slot);
            self.set_present(column);
        }
        match self.variables.get_mut(u32_at(self.packed, at)) {
            Variable::Sketch(sketch) => sketch,
            Variable::Bytes(_) | Variable::Quantiles(_) => unreachable!("a sketch column holds sketches"),
        }
    }

    /// Returns the sketch of quantiles in `column`, after adding an empty one if it has no value.
    pub fn quantiles(&mut self, column: usize, at: usize) -> &mut Quantiles {
        if !self.has(column) {
            let slot = self.variables.push(Variable::Quantiles(Box::default()));
            put_u32(self.packed, at, slot);
            self.set_present(column);
        }
        match self.variables.get_mut(u32_at(self.packed, at)) {
            Variable::Quantiles(quantiles) => quantiles,
            Variable::Bytes(_) | Variable::Sketch(_) => unreachable!("a column of quantiles holds nothing else"),
        }
    }
}

fn fixed_size(column_type: ColumnType) -> Option<usize> {
    match column_type {
        ColumnType::Int => Some(8),
        ColumnType::Number => Some(16),
        ColumnType::Bool => Some(1),
        ColumnType::Text | ColumnType::Json | ColumnType::Sketch | ColumnType::Quantiles => None,
    }
}
