//! The output of a row that is written as it is.

use crate::shape::row_shape::RowOutput;
use crate::values::value::{Column, Value};

/// Writes the columns of the state, as programs have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRows(pub Vec<Column>);

impl RowOutput for StateRows {
    fn columns(&self) -> Vec<Column> {
        self.0.clone()
    }

    fn values(&self, row: &[Value]) -> Vec<Value> {
        row[..self.0.len()].to_vec()
    }
}
