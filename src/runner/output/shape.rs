//! The columns of an output, and the values in them for a row of state.

use std::sync::Arc;

use crate::format::key_shape::KeyShape;
use crate::format::rows::{Change, RowCodec};
use crate::job::{WindowSpec, Windows};
use crate::runner::output::error::OutputError;
use crate::runner::output::having::Having;
use crate::runner::process::exec::mirror::{TASK_BYTES, split_key};
use crate::runner::process::processor::Processor;
use crate::values::units::shown;
use crate::values::value::{Column, ColumnType, Value};

/// The columns of a job's output.
#[derive(Debug, Clone)]
pub struct RowShape {
    /// Computes the output of a row.
    pub processor: Arc<dyn Processor>,
    /// How the values of rows are packed.
    pub codec: RowCodec,
    /// The windows, if each row belongs to one.
    pub windows: Option<Windows>,
    /// The name of the key column.
    pub key_name: String,
    /// What a key consists of, if it has several parts. Each is a column then.
    pub parts: Option<KeyShape>,
    /// Whether a column with the task precedes the key, which then begins with its task, as the keys in the shards of a
    /// program do.
    pub has_task: bool,
    /// Whether the first column says how the row changed.
    pub has_change: bool,
    /// Which rows are output; all of them without it.
    pub having: Option<Having>,
}

/// The name of the column that says how a row changed.
pub const CHANGE_COLUMN: &str = "op";
/// The names of the columns with the task and the key of a program's state, as in its tables.
const TASK_COLUMN: &str = "task";
pub const KEY_COLUMN: &str = "key";

impl RowShape {
    pub fn columns(&self) -> Vec<Column> {
        let text = |name: &str| Column::new(name, ColumnType::Text);
        let mut columns: Vec<Column> = Vec::new();
        columns.extend(self.has_change.then(|| text(CHANGE_COLUMN)));
        columns.extend(self.has_task.then(|| Column::new(TASK_COLUMN, ColumnType::Int)));
        columns.extend(self.parts.as_ref().map_or_else(|| vec![text(&self.key_name)], KeyShape::columns));
        if self.windows.is_some() {
            columns.extend(WindowSpec::COLUMNS.map(text));
        }
        columns.extend(self.processor.output_columns());
        columns
    }

    /// Returns the output for a row, one value per column. Only the key columns of a deleted row have values.
    pub fn values(&self, change: Change, row_key: &[u8], packed: Option<&[u8]>) -> Vec<Value> {
        // More than most rows need.
        let mut values = Vec::with_capacity(8);
        values.extend(self.has_change.then(|| Value::Text(change.name().to_owned())));
        let (task, row_key) = self.split_task(row_key);
        values.extend(task.map(|task| Value::Int(task.into())));
        match self.windows.as_ref().map(|windows| (windows, windows.split(row_key))) {
            None => values.extend(self.key_values(row_key)),
            Some((_, None)) => values.extend(self.key_values(row_key).into_iter().chain([Value::Null, Value::Null])),
            Some((windows, Some((key, start)))) => {
                let moment = |millis| Value::Text(windows.stamp(millis));
                values.extend(self.key_values(key));
                values.extend([moment(start), moment(windows.end(start))]);
            }
        }
        match packed {
            Some(packed) => {
                // Columns that the run adds to the state follow the processor's.
                let row = self.codec.unpack(packed);
                values.extend(self.processor.output(&row[..self.processor.columns().len()]));
            }
            None => values.extend(self.processor.output_columns().iter().map(|_| Value::Null)),
        }
        values
    }

    /// Splits a key with its task, if it has one.
    fn split_task<'a>(&self, row_key: &'a [u8]) -> (Option<u32>, &'a [u8]) {
        if !self.has_task {
            return (None, row_key);
        }
        let (task, key) = split_key(row_key);
        (Some(task), key)
    }

    /// Returns whether a row that has the output `values` is output.
    pub fn keeps(&self, row_key: &[u8], values: &[Value]) -> Result<bool, OutputError> {
        let Some(having) = &self.having else { return Ok(true) };
        having.keeps(values).map_err(|reason| {
            let key = shown(&String::from_utf8_lossy(row_key));
            OutputError::Having { key, reason }
        })
    }

    /// Returns the values of the key's columns.
    fn key_values(&self, key: &[u8]) -> Vec<Value> {
        match &self.parts {
            None => vec![Value::Text(String::from_utf8_lossy(key).into_owned())],
            Some(parts) => parts.split(key).expect("the run composed or checked every key"),
        }
    }

    /// Returns the sort key of a row: its key, then its window.
    #[inline]
    pub fn order_of<'a>(&self, row_key: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        if self.has_task {
            // Two tasks may have the same key.
            let (task, key) = row_key.split_at(TASK_BYTES);
            return (key, task);
        }
        match &self.windows {
            None => (row_key, &[]),
            Some(_) => match memchr::memrchr(b'@', row_key) {
                Some(at) => row_key.split_at(at),
                None => (row_key, &[]),
            },
        }
    }
}
