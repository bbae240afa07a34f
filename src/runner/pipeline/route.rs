//! How records get their keys and find their tasks.

use std::sync::Arc;

use crate::input::partition_tasks::PartitionTasks;
use crate::input::record::{BadRecord, Field};
use crate::job::FieldPath;
use crate::runner::pipeline::key_parts::KeyParts;
use crate::values::units::shown;

/// How a record finds its task.
#[derive(Debug)]
pub enum Route {
    /// By the hash of its key.
    Key(KeyPlace),
    /// By the hash of its key, which consists of the fields from this index on.
    Parts(usize, KeyParts),
    /// By its partition.
    Partition(Arc<PartitionTasks>),
    /// By its partition, which has several keys.
    KeyedPartition {
        key: KeyPlace,
        /// The index of the key of the message, if the key of the job is another field, which must be equal to it.
        message_key: Option<usize>,
        tasks: Arc<PartitionTasks>,
    },
}

/// The field that is the key.
#[derive(Debug)]
pub struct KeyPlace {
    /// Its index among the fields of a record.
    pub index: usize,
    pub field: FieldPath,
}

/// What gives the records of a block their keys.
#[derive(Debug)]
pub(crate) enum BlockKeys<'p> {
    Field(&'p KeyPlace),
    /// The fields from this index on. The key of the last record is kept for its memory.
    Parts(usize, &'p KeyParts, String),
    /// The name of the block's partition, which has this task.
    Partition(Arc<str>, u32),
    /// The field of a record in a partition with this task. If there is an index, the key of the message there must be
    /// equal to it.
    InPartition(&'p KeyPlace, Option<usize>, u32),
}

impl<'p> BlockKeys<'p> {
    pub(crate) fn new(route: &'p Route, partition: u32) -> BlockKeys<'p> {
        match route {
            Route::Key(place) => BlockKeys::Field(place),
            Route::Parts(first, parts) => BlockKeys::Parts(*first, parts, String::new()),
            Route::Partition(partition_tasks) => {
                let (name, task) = partition_tasks.entry(partition);
                BlockKeys::Partition(name, task)
            }
            Route::KeyedPartition { key, message_key, tasks } => {
                BlockKeys::InPartition(key, *message_key, tasks.entry(partition).1)
            }
        }
    }

    /// Returns the key of a record, and its task if the key does not determine it.
    #[inline]
    pub(crate) fn of<'f>(&'f mut self, fields: &'f [Field<'_>]) -> Result<(&'f str, Option<u32>), BadRecord> {
        match self {
            BlockKeys::Field(place) => Ok((place.text(fields)?, None)),
            BlockKeys::Parts(first, parts, key) => {
                parts.compose(&fields[*first..*first + parts.len()], key)?;
                Ok((key, None))
            }
            BlockKeys::Partition(name, task) => Ok((name, Some(*task))),
            BlockKeys::InPartition(place, message_key, task) => {
                let key = place.text(fields)?;
                if let Some(message_key) = message_key {
                    check_message_key(key, &fields[*message_key])?;
                }
                Ok((key, Some(*task)))
            }
        }
    }
}

impl KeyPlace {
    /// Returns the key among the `fields` of a record.
    #[inline]
    fn text<'f>(&self, fields: &'f [Field<'_>]) -> Result<&'f str, BadRecord> {
        let refuse = |reason: &str| Err(BadRecord { reason: format!("the key field `{}` {reason}", self.field) });
        match &fields[self.index] {
            Field::Text(text) => Ok(text),
            Field::Number(text) => Ok(text),
            Field::Bool(true) => Ok("true"),
            Field::Bool(false) => Ok("false"),
            Field::Missing => refuse("is missing or null"),
            Field::Json(_) => refuse("is an object or a list, expected text, a number or a bool"),
        }
    }
}

/// Fails if the key of a message, by which its producer has chosen the partition, is not `key`.
fn check_message_key(key: &str, message_key: &Field<'_>) -> Result<(), BadRecord> {
    let found = match message_key {
        Field::Text(found) if found == key => return Ok(()),
        Field::Text(found) => format!("the key of its message is `{}`", shown(found)),
        _ => "its message has no key".to_owned(),
    };
    let reason = format!("the key is `{}`, but {found}: with `tasks: partitions` they must be equal", shown(key));
    Err(BadRecord { reason })
}
