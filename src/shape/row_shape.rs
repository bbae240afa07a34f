//! The columns of an output, and the values in them for a row of state.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::format::key_shape::KeyShape;
use crate::format::rows::{Change, RowCodec};
use crate::job::{JobSpec, WindowSpec, Windows};
use crate::shape::having::Having;
use crate::shape::task_key::{TASK_BYTES, shard_key, split_key};
use crate::values::units::shown;
use crate::values::value::{Column, ColumnType, Value};

/// Computes the output of a row of state.
pub trait RowOutput: fmt::Debug + Send + Sync {
    /// Returns the columns of the output, without the key.
    fn columns(&self) -> Vec<Column>;

    /// Returns the values in them for a row. Columns that the run adds to the state may follow in `row`.
    fn values(&self, row: &[Value]) -> Vec<Value>;
}

/// `having` cannot be computed for a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (the row of `{key}`)")]
pub struct HavingError {
    pub key: String,
    pub reason: String,
}

/// The columns of a job's output.
#[derive(Debug, Clone)]
pub struct RowShape {
    /// Computes the output of a row.
    pub output: Arc<dyn RowOutput>,
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
const KEY_COLUMN: &str = "key";

impl RowShape {
    /// Returns the shape of the output of `job`. `codec` packs the values of its rows.
    pub fn new(job: &JobSpec, output: Arc<dyn RowOutput>, codec: RowCodec, has_change: bool) -> RowShape {
        let mut shape = RowShape {
            output,
            codec,
            windows: job.window.as_ref().map(Windows::new),
            key_name: if job.exec.is_some() { KEY_COLUMN } else { job.key_names()[0] }.to_owned(),
            // The windows of a row are columns of their own.
            parts: job.key_shape().map(|shape| KeyShape { window: false, ..shape }),
            has_task: job.exec.is_some(),
            has_change,
            having: None,
        };
        let having = job.output.as_ref().and_then(|output| output.having.as_ref());
        shape.having = having.map(|expression| Having::new(expression, &shape.columns()));
        shape
    }

    pub fn columns(&self) -> Vec<Column> {
        let text = |name: &str| Column::new(name, ColumnType::Text);
        let mut columns: Vec<Column> = Vec::new();
        columns.extend(self.has_change.then(|| text(CHANGE_COLUMN)));
        columns.extend(self.has_task.then(|| Column::new(TASK_COLUMN, ColumnType::Int)));
        columns.extend(self.parts.as_ref().map_or_else(|| vec![text(&self.key_name)], KeyShape::columns));
        if self.windows.is_some() {
            columns.extend(WindowSpec::COLUMNS.map(text));
        }
        columns.extend(self.output.columns());
        columns
    }

    /// Returns how many columns have the key, with its task but without its window.
    pub fn key_columns(&self) -> usize {
        usize::from(self.has_task) + self.parts.as_ref().map_or(1, |parts| parts.columns().len())
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
            Some(packed) => values.extend(self.output.values(&self.codec.unpack(packed))),
            None => values.extend(self.output.columns().iter().map(|_| Value::Null)),
        }
        values
    }

    /// Returns the key that a row of a state table has in memory, which is what the functions of a shape take.
    pub fn row_key<'a>(&self, task: u32, key: &'a [u8]) -> Cow<'a, [u8]> {
        if self.has_task { shard_key(task, key).into() } else { key.into() }
    }

    /// Splits a key with its task, if it has one.
    fn split_task<'a>(&self, row_key: &'a [u8]) -> (Option<u32>, &'a [u8]) {
        if !self.has_task {
            return (None, row_key);
        }
        let (task, key) = split_key(row_key);
        (Some(task), key)
    }

    /// Returns the key that a state table has for `row_key`, as text.
    pub fn table_key(&self, row_key: &[u8]) -> String {
        String::from_utf8_lossy(self.split_task(row_key).1).into_owned()
    }

    /// Returns whether a row that has the output `values` is output.
    pub fn keeps(&self, row_key: &[u8], values: &[Value]) -> Result<bool, HavingError> {
        let Some(having) = &self.having else { return Ok(true) };
        having.keeps(values).map_err(|reason| HavingError { key: shown(&self.table_key(row_key)), reason })
    }

    /// Returns whether the key of a row has the parts that keys of the job have.
    pub fn fits(&self, row_key: &[u8]) -> bool {
        let key = self.windows.as_ref().and_then(|windows| windows.split(row_key)).map_or(row_key, |(key, _)| key);
        self.parts.as_ref().is_none_or(|parts| parts.split(key).is_some())
    }

    /// Returns the values of the key's columns.
    fn key_values(&self, key: &[u8]) -> Vec<Value> {
        match &self.parts {
            None => vec![Value::Text(String::from_utf8_lossy(key).into_owned())],
            Some(parts) => parts.split(key).expect("the caller composed or checked every key"),
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
