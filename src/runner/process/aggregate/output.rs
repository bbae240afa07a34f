//! The columns of the output, computed from those of the state.

use crate::values::value::{Column, ColumnType, Value};

/// A column of the output. It has the name of its aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputColumn {
    pub(super) name: String,
    pub(super) source: OutputSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputSource {
    /// The value of this column of the state.
    Plain(usize),
    /// One column divided by another.
    Mean { sum: usize, count: usize },
}

impl OutputSource {
    /// Returns the type of the values, given the columns of the state.
    pub(super) fn column_type(self, columns: &[Column]) -> ColumnType {
        match self {
            OutputSource::Plain(column) => columns[column].column_type,
            OutputSource::Mean { .. } => ColumnType::Number,
        }
    }
}

impl OutputColumn {
    /// Computes the value from the values of a row.
    pub(super) fn value(&self, row: &[Value]) -> Value {
        match self.source {
            OutputSource::Plain(column) => row[column].clone(),
            OutputSource::Mean { sum, count } => match (&row[sum], &row[count]) {
                (Value::Number(sum), Value::Int(count)) => {
                    u64::try_from(*count).ok().and_then(|count| sum.mean(count)).map_or(Value::Null, Value::Number)
                }
                _ => Value::Null,
            },
        }
    }
}
