//! The values of columns that have no fixed size: text, JSON and sketches.

use crate::format::quantiles::Quantiles;
use crate::format::sketch::{Sketch, quantile_value};
use crate::values::decimal::Decimal;
use crate::values::value::{ColumnType, Value};

/// The value of a column that has no fixed size.
#[derive(Debug, Clone)]
pub(crate) enum Variable {
    /// Text or JSON.
    Bytes(Box<[u8]>),
    /// A sketch, ready to count.
    Sketch(Box<Sketch>),
    /// A sketch of quantiles, ready to count.
    Quantiles(Box<Quantiles>),
}

impl Variable {
    /// Reads a value from its bytes in a checkpoint. Returns `None` for a sketch that cannot be read.
    pub(crate) fn from_bytes(column_type: ColumnType, bytes: &[u8]) -> Option<Variable> {
        match column_type {
            ColumnType::Sketch => Sketch::from_bytes(bytes).map(|sketch| Variable::Sketch(Box::new(sketch))),
            ColumnType::Quantiles => Quantiles::from_bytes(bytes).map(|counts| Variable::Quantiles(Box::new(counts))),
            _ => Some(Variable::Bytes(bytes.into())),
        }
    }

    /// Returns what a sketch estimates: the number of distinct values, or a quantile.
    pub(crate) fn estimate(&self, quantile: Option<Decimal>) -> Value {
        match self {
            Variable::Bytes(_) => Value::Null,
            Variable::Sketch(sketch) => Value::Int(sketch.estimate()),
            Variable::Quantiles(quantiles) => quantile_value(quantiles, quantile),
        }
    }
}

/// The values of the variable columns of all rows of a shard.
///
/// A row holds the number of the slot of its value plus one, so that zeros mean no value.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    pub(super) slots: Vec<Variable>,
    free: Vec<u32>,
}

impl Variables {
    /// Stores a value and returns its slot plus one.
    pub(crate) fn push(&mut self, variable: Variable) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = variable;
            return slot + 1;
        }
        self.slots.push(variable);
        u32::try_from(self.slots.len()).expect("a shard holds fewer than 2^32 texts and sketches")
    }

    pub(crate) fn get(&self, slot_plus_one: u32) -> &Variable {
        &self.slots[slot_plus_one as usize - 1]
    }

    pub(crate) fn get_mut(&mut self, slot_plus_one: u32) -> &mut Variable {
        &mut self.slots[slot_plus_one as usize - 1]
    }

    /// Drops a value and frees its slot.
    pub(crate) fn remove(&mut self, slot_plus_one: u32) {
        *self.get_mut(slot_plus_one) = Variable::Bytes(Box::default());
        self.free.push(slot_plus_one - 1);
    }
}
