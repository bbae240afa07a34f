//! How records get their keys and find their tasks.

use std::sync::Arc;

use crate::input::partition_tasks::PartitionTasks;
use crate::input::record::{BadRecord, Field};
use crate::runner::pipeline::key_parts::KeyParts;

/// How a record finds its task.
#[derive(Debug)]
pub enum Route {
    /// By the hash of its key: the field at this index.
    Key(usize),
    /// By the hash of its key, which consists of the fields from this index on.
    Parts(usize, KeyParts),
    /// By its partition.
    Partition(Arc<PartitionTasks>),
}

/// What gives the records of a block their keys.
#[derive(Debug)]
pub(crate) enum BlockKeys<'p> {
    /// The field at this index.
    Field(usize),
    /// The fields from this index on. The key of the last record is kept for its memory.
    Parts(usize, &'p KeyParts, String),
    /// The name of the block's partition, which has this task.
    Partition(Arc<str>, u32),
}

impl<'p> BlockKeys<'p> {
    pub(crate) fn new(route: &'p Route, partition: u32) -> BlockKeys<'p> {
        match route {
            Route::Key(index) => BlockKeys::Field(*index),
            Route::Parts(first, parts) => BlockKeys::Parts(*first, parts, String::new()),
            Route::Partition(partition_tasks) => {
                let (name, task) = partition_tasks.entry(partition);
                BlockKeys::Partition(name, task)
            }
        }
    }

    /// Returns the key of a record, and its task if the key does not determine it.
    #[inline]
    pub(crate) fn of<'f>(&'f mut self, fields: &'f [Field<'_>]) -> Result<(&'f str, Option<u32>), BadRecord> {
        match self {
            BlockKeys::Field(index) => Ok((key_text(&fields[*index])?, None)),
            BlockKeys::Parts(first, parts, key) => {
                parts.compose(&fields[*first..*first + parts.len()], key)?;
                Ok((key, None))
            }
            BlockKeys::Partition(name, task) => Ok((name, Some(*task))),
        }
    }
}

#[inline]
fn key_text<'f>(field: &'f Field<'_>) -> Result<&'f str, BadRecord> {
    let refuse = |reason: &str| Err(BadRecord { reason: format!("the key {reason}") });
    match field {
        Field::Text(text) => Ok(text),
        Field::Number(text) => Ok(text),
        Field::Bool(true) => Ok("true"),
        Field::Bool(false) => Ok("false"),
        Field::Missing => refuse("field is missing or null"),
        Field::Json(_) => refuse("is an object or a list, expected text, a number or a bool"),
    }
}
