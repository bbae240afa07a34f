//! The output of a processor.

use std::sync::Arc;

use crate::runner::process::processor::Processor;
use crate::shape::RowOutput;
use crate::values::value::{Column, Value};

/// The output of the rows of a processor.
#[derive(Debug, Clone)]
pub struct ProcessorRows(pub Arc<dyn Processor>);

impl RowOutput for ProcessorRows {
    fn columns(&self) -> Vec<Column> {
        self.0.output_columns()
    }

    fn values(&self, row: &[Value]) -> Vec<Value> {
        self.0.output(&row[..self.0.columns().len()])
    }
}
