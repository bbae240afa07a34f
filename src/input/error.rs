//! What is wrong with the input as a whole, or with one partition.

use std::io;

use crate::input::object::fault::ObjectFault;
use crate::input::object::url::is_url;
use crate::kafka::KafkaError;
use crate::storage::StorageError;

/// What is wrong with the input as a whole, or with one partition. An `offset` is in bytes after decompression.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A path or glob of the job file matches nothing.
    #[error("no input: `{pattern}` matches no {}", if is_url(.pattern) { "object" } else { "file" })]
    NothingMatches { pattern: String },
    /// A glob has a syntax error.
    #[error("invalid glob `{pattern}`: {reason}")]
    Glob { pattern: String, reason: String },
    /// An address cannot be the one of objects, or this version cannot read any.
    #[error("cannot read `{address}`: {reason}")]
    Address { address: String, reason: String },
    /// The server does not say which object has a name.
    #[error("input `{partition}` has no ETag, which proves that it was not replaced")]
    NoEtag { partition: String },
    /// A bucket could not be listed, or an object not be examined.
    #[error(transparent)]
    Storage(StorageError),
    /// An object could not be read.
    #[error("cannot read input `{partition}` at byte {offset}")]
    Object { partition: String, offset: u64, source: StorageError },
    /// Another object has the name of the one that was read.
    #[error(
        "input `{partition}` was replaced: the checkpoint has read {offset} bytes of the object with ETag `{expected}`, \
         it now has ETag `{found}`"
    )]
    Replaced { partition: String, offset: u64, expected: String, found: String },
    /// An object was replaced since it was listed.
    #[error("input `{partition}` was replaced while it was read, at byte {offset}")]
    ReplacedInRun { partition: String, offset: u64 },
    /// Standard input is listed with something else.
    #[error("`-`, standard input, can only be read alone")]
    StdinNotAlone,
    /// The system or the decompressor failed.
    #[error("cannot read input `{partition}` at byte {offset}")]
    Read { partition: String, offset: u64, source: io::Error },
    /// The input does not have a partition of the checkpoint.
    #[error("input `{partition}` is gone: the checkpoint has read {offset} bytes of it")]
    Gone { partition: String, offset: u64 },
    /// A partition is shorter than its position; `found` is its size.
    #[error("input `{partition}` has shrunk: the checkpoint has read {offset} bytes of it, it has {found}")]
    Shrunk { partition: String, offset: u64, found: u64 },
    /// The bytes before the position are not the ones that were read.
    #[error(
        "input `{partition}` was replaced or changed: its first {offset} bytes are not those that the \
         checkpoint has read"
    )]
    Changed { partition: String, offset: u64 },
    /// The last line had no line end when it was read, and more than a line end was appended.
    #[error(
        "input `{partition}` has grown in its last line: it had no line end at byte {offset} when it \
         was read, and may have been incomplete"
    )]
    Lengthened { partition: String, offset: u64 },
    /// A file has become shorter since it was opened; `found` is where it ends now.
    #[error(
        "input `{partition}` was truncated while it was read: it had {expected} bytes, and now ends at byte {found}"
    )]
    CutShort { partition: String, expected: u64, found: u64 },
    /// The last record was inside quotes when it was read, and the file has grown.
    #[error(
        "input `{partition}` has grown in its last record: it was inside quotes at byte {offset} when it was read, and \
         was counted as a bad record"
    )]
    Unquoted { partition: String, offset: u64 },
    /// A followed file has become shorter, or has other bytes than were read.
    #[error("input `{partition}` was truncated or overwritten while it was followed: {offset} bytes of it were read")]
    Truncated { partition: String, offset: u64 },
    /// No file in the directory of a followed file begins with the bytes that were read.
    #[error(
        "input `{partition}` was rotated away: neither it nor a file beside it begins with the \
         {offset} bytes that the checkpoint has read"
    )]
    RotatedAway { partition: String, offset: u64 },
    /// A job without a key has no free task for another partition.
    #[error("no task is left for input `{partition}`: a job without a key follows at most {tasks} files")]
    TooMany { partition: String, tasks: u32 },
    /// A topic whose partitions are tasks has more of them than when the job began.
    #[error(
        "the topic has a new partition, `{partition}`: it had {tasks} when the job began, and keys may have moved to the new \
         one"
    )]
    PartitionAdded { partition: String, tasks: u32 },
    /// A topic could not be read.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The file with the settings of the Kafka client is unusable.
    #[error("cannot use the settings file `{path}`: {reason}")]
    SettingsFile { path: String, reason: String },
    /// Messages that were not read are gone; `found` is the first offset that the partition still has.
    #[error(
        "{} of `{partition}` are gone: the checkpoint has read up to offset {offset}, and the partition now begins at \
         offset {found}", count(.found - .offset)
    )]
    MessagesGone { partition: String, offset: u64, found: u64 },
    /// A partition has fewer messages than were read, or than the batch has; `found` is where it ends.
    #[error(
        "`{partition}` was truncated or made again: the job reads up to offset {offset}, and the partition ends at \
         offset {found}"
    )]
    TopicShrunk { partition: String, offset: u64, found: u64 },
    /// Another topic has the name of the one that was read.
    #[error(
        "the topic of `{partition}` was deleted and made again: the checkpoint has read the one with id `{expected}`, \
         it now has id `{found}`"
    )]
    TopicMadeAgain { partition: String, expected: String, found: String },
    /// The last message that was read is another one now.
    #[error("`{partition}` is not the one that was read: the message at offset {offset} has changed")]
    OtherMessage { partition: String, offset: u64 },
    /// The header line of a CSV file is unusable.
    #[error("input `{partition}`: {reason}")]
    Header { partition: String, reason: String },
    /// A CSV file does not have a column that the job names.
    #[error("input `{partition}`: {reason}")]
    NoColumn { partition: String, reason: String },
}

fn count(messages: u64) -> String {
    if messages == 1 { "1 message".to_owned() } else { format!("{messages} messages") }
}

impl InputError {
    /// Returns the error of a read at `offset` of `partition`.
    pub(super) fn read(partition: &str, offset: u64, source: io::Error) -> InputError {
        let partition = partition.to_owned();
        match source.downcast::<ObjectFault>() {
            Ok(ObjectFault::Replaced) => InputError::ReplacedInRun { partition, offset },
            Ok(ObjectFault::Storage(source)) => InputError::Object { partition, offset, source },
            Err(source) => InputError::Read { partition, offset, source },
        }
    }
}
