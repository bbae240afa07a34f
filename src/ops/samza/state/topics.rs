//! Reads changelogs, from brokers or from dumps.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::error::StateError;
use super::stores::TaskStore;
use crate::kafka::{Bounds, KafkaError, Topic};
use crate::ops::samza::listing::MOST_BYTES;
use crate::ops::samza::topic::{read_partition, settings};
use crate::samza::changelog::{Changelog, StoreContents};
use crate::samza::changelog_dump::PrintedMessage;
use crate::samza::serde::{Serde, StateValue, hex};

/// Where the changelogs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changelogs {
    /// On brokers, which are read with these properties of librdkafka.
    Topics { brokers: String, properties: Vec<(String, String)> },
    /// In dumps, each of one or several changelogs from their first messages on.
    Dumps(Vec<PathBuf>),
}

/// How the keys and the values of a store were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Serdes {
    pub key: Serde,
    pub value: Serde,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    pub key: StateValue,
    pub value: StateValue,
}

/// Reads the contents of a store, which are all in memory then: what its changelog has up to the checkpoint.
///
/// Fails if the changelog does not reach that far, or if its first messages were deleted, as retention does.
pub fn read(store: &TaskStore, changelogs: &Changelogs) -> Result<StoreContents, StateError> {
    let mut changelog = Changelog::new(store.last);
    match changelogs {
        Changelogs::Topics { brokers, properties } => read_topic(store, brokers, properties, &mut changelog)?,
        Changelogs::Dumps(paths) => {
            paths.iter().try_for_each(|path| read_dump(store, path, &mut changelog))?;
            if let Some(last) = store.last.filter(|last| *last >= changelog.next()) {
                let found = match changelog.next().checked_sub(1) {
                    Some(found) => format!("ends at offset {found} in the dump"),
                    None => "has no messages in the dump".to_owned(),
                };
                return Err(too_short(store, last, found));
            }
        }
    }
    Ok(changelog.finish())
}

impl Serdes {
    /// Returns a key for messages: as hexadecimal digits if its serde cannot read it.
    pub fn show_key(self, key: &[u8]) -> String {
        self.key.read(key).map_or_else(|_| hex(key), |key| key.to_string())
    }

    /// Reads a key and a value of `store` of `task`.
    pub fn read(self, task: &str, store: &str, key: &[u8], value: &[u8]) -> Result<StateRow, StateError> {
        let unreadable = |part, serde: Serde, key: String, reason| StateError::Unreadable {
            task: task.to_owned(),
            store: store.to_owned(),
            key,
            part,
            serde,
            reason,
        };
        let key_read = self.key.read(key).map_err(|reason| unreadable("bytes", self.key, hex(key), reason))?;
        let value = self.value.read(value);
        let value = value.map_err(|reason| unreadable("value", self.value, key_read.to_string(), reason))?;
        Ok(StateRow { key: key_read, value })
    }
}

fn too_short(store: &TaskStore, expected: u64, found: String) -> StateError {
    StateError::TooShort { task: store.task.clone(), changelog: store.changelog.to_string(), expected, found }
}

fn read_topic(
    store: &TaskStore,
    brokers: &str,
    properties: &[(String, String)],
    changelog: &mut Changelog,
) -> Result<(), StateError> {
    let partition = store.changelog.partition;
    let settings = settings(brokers, &store.changelog.stream, properties);
    let topic = Topic::open(&settings)?;
    if partition >= topic.partition_count()? {
        return Err(KafkaError::UnknownTopic { topic: store.changelog.to_string() }.into());
    }
    let Bounds(bounds) = topic.bounds(partition)?;
    // What was deleted may have been part of the state, even if the changelog was empty at the checkpoint.
    if bounds.start > 0 {
        let (task, changelog, first) = (store.task.clone(), store.changelog.to_string(), bounds.start);
        return Err(StateError::Deleted { task, changelog, first });
    }
    if let Some(last) = store.last.filter(|last| bounds.end <= *last) {
        return Err(too_short(store, last, format!("ends before offset {}", bounds.end)));
    }
    let mut failure = None;
    read_partition(&topic, &settings, partition, bounds, |message| {
        if failure.is_none() {
            let place = || format!("{}:{}", store.changelog, message.offset);
            failure = add(store, place, message.offset, message.key, message.value, changelog).err();
        }
    })?;
    failure.map_or(Ok(()), Err)
}

/// Adds a message that is at `place`.
fn add(
    store: &TaskStore,
    place: impl Fn() -> String,
    offset: u64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    changelog: &mut Changelog,
) -> Result<(), StateError> {
    let key = key.ok_or_else(|| StateError::NoKey { place: place() })?;
    changelog.add(offset, key, value).map_err(|error| {
        let (changelog, before) = (store.changelog.to_string(), error.before);
        StateError::NotAscending { place: place(), changelog, offset, before }
    })
}

/// Adds the messages of a dump that are in the changelog of `store`.
fn read_dump(store: &TaskStore, path: &Path, changelog: &mut Changelog) -> Result<(), StateError> {
    let refused = |source| StateError::Dump { path: path.to_owned(), source };
    let mut lines = BufReader::new(File::open(path).map_err(refused)?);
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = lines.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line).map_err(refused)?;
        if read == 0 {
            break;
        }
        let place = || format!("{}:{number}", path.display());
        if read as u64 == MOST_BYTES {
            let error = io::Error::new(io::ErrorKind::FileTooLarge, format!("line {number} is too long"));
            return Err(refused(error));
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let message = PrintedMessage::parse(text);
        let message = message.map_err(|source| StateError::BadLine { place: place(), source })?;
        if message.topic == store.changelog.stream && message.partition == store.changelog.partition {
            let (key, value) = (Some(message.key.as_bytes()), message.payload.as_deref().map(str::as_bytes));
            add(store, place, message.offset, key, value, changelog)?;
        }
    }
    Ok(())
}
