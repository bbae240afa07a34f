//! Finds out what the files below some paths are, and reads them and checkpoint topics.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::CURRENT;
use super::finding::{SamzaCode, SamzaFinding};
use super::found::{Found, LocalStore, Snapshot, Task, TaskCheckpoint, natural};
use super::listing::{Listed, Listing};
use super::messages::{self, Latest};
use super::topic::{self, TopicAddress};
use crate::kafka::KafkaError;
use crate::samza::checkpoint::{Checkpoint, Version};
use crate::samza::error::FormatError;
use crate::samza::names;
use crate::samza::offset_file::{OffsetFile, OffsetFileKind};
use crate::samza::properties;
use crate::samza::snapshot_index::SnapshotIndex;

/// What a file is.
enum Kind {
    Checkpoint(names::CheckpointFileName),
    Offsets(OffsetFileKind),
    /// The file that every directory of RocksDB has.
    Database,
    Dump,
    /// What the checkpoint tool prints and reads. It says what may come, so it counts only if the user names it.
    Properties,
    Index,
    /// A write of one of the others that was cut short.
    Temporary,
    /// Anything else: a blob, a file of RocksDB, or not of Samza.
    Other,
}

/// What a blob store of a test adds to the name of a blob that was deleted.
pub(super) const DELETED: &str = "-DELETED";

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A path that the user named.
    #[error("cannot read `{}`", path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Topic(#[from] KafkaError),
    /// The same task may be in both, and nothing in a checkpoint names the id.
    #[error("the messages of the ids `{first}` and `{second}` of job `{job}` cannot be told apart")]
    SeveralIds { job: String, first: String, second: String },
}

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    pub paths: Vec<PathBuf>,
    pub topics: Vec<TopicAddress>,
    /// The properties of librdkafka with which the topics are read.
    pub properties: Vec<(String, String)>,
}

/// Reads everything below the paths, then the topics. Fails only if one of these cannot be opened at all, or if a topic
/// cannot be read to its end.
pub fn read(sources: &Sources) -> Result<Found, ReadError> {
    let mut found = Found::default();
    for path in &sources.paths {
        found.listing.add(path).map_err(|source| ReadError::Path { path: path.clone(), source })?;
    }
    let listing = std::mem::take(&mut found.listing);
    let refused = listing.refused.iter().map(|(path, error)| (path.display().to_string(), error.to_string()));
    found.refused.extend(refused);
    let mut latest = Latest::new();
    for file in &listing.files {
        let kind = match Kind::of(file) {
            Ok(kind) => Ok(kind),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => Err(error),
        };
        if let Err(error) = kind.and_then(|kind| add(kind, file, &mut found, &mut latest)) {
            found.refused.push((file.shown(), error.to_string()));
        }
    }
    for address in &sources.topics {
        topic::read(address, &sources.properties, &mut found, &mut latest)?;
    }
    for (job, ids) in &found.ids {
        if let (Some(first), Some(second)) = (ids.first(), ids.iter().nth(1)) {
            return Err(ReadError::SeveralIds { job: job.clone(), first: first.clone(), second: second.clone() });
        }
    }
    found.findings.extend(incomplete(&listing, &found));
    found.listing = listing;
    found.tasks = tasks(latest);
    found.stores.sort_by_key(|store| (store.store.clone(), natural(&store.task), store.snapshot));
    found.snapshots.sort_by_key(|snapshot| {
        let owner = &snapshot.index.owner;
        (owner.store_name.clone(), natural(&owner.task_name), owner.checkpoint_id)
    });
    Ok(found)
}

impl Kind {
    fn of(file: &Listed) -> io::Result<Kind> {
        let name = file.name();
        if let Some(name) = names::parse_checkpoint_file(name) {
            return Ok(Kind::Checkpoint(name));
        }
        if let Some(kind) = OffsetFileKind::of(name) {
            return Ok(Kind::Offsets(kind));
        }
        if name == CURRENT {
            return Ok(Kind::Database);
        }
        if name.strip_suffix(".tmp").is_some_and(|name| OffsetFileKind::of(name).is_some()) {
            return Ok(Kind::Temporary);
        }
        if name.ends_with(DELETED) {
            return Ok(Kind::Other);
        }
        let head = file.head()?;
        let has = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
        Ok(if has(b"systemstreampartition-grouper-factory") {
            Kind::Dump
        } else if file.is_named && has(properties::PREFIX.as_bytes()) && has(b".partitions.") {
            Kind::Properties
        } else if name.starts_with("snapshot-index") || (head.starts_with(b"{") && has(b"\"snapshot-metadata\"")) {
            Kind::Index
        } else {
            Kind::Other
        })
    }
}

/// Reads a file and adds what is in it.
fn add(kind: Kind, file: &Listed, found: &mut Found, latest: &mut Latest) -> io::Result<()> {
    let place = file.shown();
    match kind {
        Kind::Dump => return messages::read(file, found, latest),
        Kind::Temporary => {
            found.findings.push(SamzaFinding::new(SamzaCode::Leftover, place, "no such file", "a temporary file"));
            return Ok(());
        }
        Kind::Database => {
            local_store(file, found).has_database = true;
            return Ok(());
        }
        Kind::Other => return Ok(()),
        Kind::Checkpoint(_) | Kind::Offsets(_) | Kind::Properties | Kind::Index => {}
    }
    let bytes = file.contents()?;
    found.read_bytes += bytes.len() as u64;
    let fault = |code, what: &str, error: &FormatError| {
        let found = if bytes.is_empty() { "an empty file".to_owned() } else { error.to_string() };
        SamzaFinding::new(code, &place, what, found)
    };
    match kind {
        Kind::Checkpoint(name) => match Checkpoint::parse_v1(&bytes) {
            Ok(checkpoint) => {
                let key = (name.job, name.task, Version::V1);
                latest.insert(key, TaskCheckpoint { checkpoint, place, written: file.modified });
            }
            Err(error) => {
                found.findings.push(fault(SamzaCode::CheckpointDamaged, "a V1 checkpoint", &error).of(&name.task));
            }
        },
        Kind::Properties => match properties::parse(&bytes) {
            Ok(tasks) => {
                found.changes_some = true;
                for (task, checkpoint) in tasks {
                    let place = place.clone();
                    latest.insert(
                        (None, task, Version::V1),
                        TaskCheckpoint { checkpoint, place, written: file.modified },
                    );
                }
            }
            Err(error) => found.findings.push(fault(SamzaCode::PropertiesDamaged, "a file of offsets", &error)),
        },
        Kind::Offsets(kind) => {
            let store = local_store(file, found);
            match OffsetFile::parse(kind, &bytes) {
                Ok(contents) => drop(store.files.insert(kind, contents)),
                Err(error) => {
                    let task = store.task.clone();
                    found.findings.push(fault(SamzaCode::OffsetsDamaged, kind.file_name(), &error).of(&task));
                }
            }
        }
        Kind::Index => match SnapshotIndex::parse(&bytes) {
            Ok(index) => found.snapshots.push(Snapshot { path: file.path.clone(), place, index }),
            Err(error) => found.findings.push(fault(SamzaCode::IndexDamaged, "a snapshot index", &error)),
        },
        Kind::Dump | Kind::Temporary | Kind::Database | Kind::Other => {}
    }
    Ok(())
}

/// Returns the store whose directory has `file`, which it adds if it is not known yet.
fn local_store<'a>(file: &Listed, found: &'a mut Found) -> &'a mut LocalStore {
    let directory = file.path.parent().unwrap_or(Path::new(""));
    let place = directory.display().to_string();
    // The files of a directory follow each other.
    if found.stores.last().is_none_or(|store| store.place != place) {
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let names = names::parse_store_directory(&name(Some(directory)));
        found.stores.push(LocalStore {
            store: name(directory.parent()),
            place,
            task: names.task,
            snapshot: names.snapshot,
            files: BTreeMap::new(),
            has_database: false,
            written: None,
        });
    }
    let store = found.stores.last_mut().expect("just added");
    store.written = store.written.max(file.modified);
    store
}

/// Finds snapshots of local stores that have no positions.
fn incomplete(listing: &Listing, found: &Found) -> Vec<SamzaFinding> {
    let known = |place: &str| found.stores.iter().any(|store| store.place == place && !store.files.is_empty());
    let unknown = listing.directories.iter().filter_map(|directory| {
        let name = names::parse_store_directory(directory.file_name()?.to_str()?);
        let place = directory.display().to_string();
        (name.snapshot.is_some() && !known(&place)).then(|| {
            let expected = "CHECKPOINT-V2 or OFFSET-v2";
            SamzaFinding::new(SamzaCode::StoreIncomplete, place, expected, "neither").of(&name.task)
        })
    });
    unknown.collect()
}

fn tasks(latest: Latest) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for ((job, name, version), checkpoint) in latest {
        if tasks.last().is_none_or(|task| task.job != job || task.name != name) {
            tasks.push(Task { job, name, v1: None, v2: None });
        }
        let task = tasks.last_mut().expect("just added");
        match version {
            Version::V1 => task.v1 = Some(checkpoint),
            Version::V2 => task.v2 = Some(checkpoint),
        }
    }
    tasks.sort_by_cached_key(|task| (task.job.clone(), natural(&task.name)));
    tasks
}
