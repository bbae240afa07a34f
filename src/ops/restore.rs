//! `ckpt restore`: puts an old checkpoint's content back, or writes it out.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::format::index::IndexRow;
use crate::format::layout::{self, ObjectName};
use crate::format::manifest::{Manifest, Parent, Timings, Totals, Trigger};
use crate::format::rows::Row;
use crate::format::segment::SegmentWriter;
use crate::id::Sequence;
use crate::ops::parallel;
use crate::ops::read::{ReadError, Selection, Snapshot};
use crate::progress::Progress;
use crate::storage::Storage;
use crate::store::{Committed, Store, StoreError};
use crate::value::{Column, Value};

/// Why a checkpoint could not be put back or written out.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The checkpoint could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is what the job would resume from anyway.
    #[error("checkpoint {} is the latest: there is nothing to roll back", .sequence.0)]
    AlreadyLatest {
        /// The checkpoint.
        sequence: Sequence,
    },
    /// Another checkpoint was committed after the plan was made.
    #[error("checkpoint {} was committed meanwhile", .latest.0)]
    Moved {
        /// The checkpoint.
        latest: Sequence,
    },
    /// The target has something in it, or is no directory.
    #[error("`{}` exists and is no empty directory", .path.display())]
    TargetTaken {
        /// The target.
        path: PathBuf,
    },
    /// A value can not be written in the format.
    #[error("column `{column}` of key {key:?} in task {task} is no JSON text")]
    Value {
        /// The task.
        task: u32,
        /// The key.
        key: String,
        /// The column.
        column: String,
    },
    /// The system said no.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// What was tried: `create`, `write`, `flush`, `rename`, `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<StoreError> for RestoreError {
    fn from(error: StoreError) -> RestoreError {
        RestoreError::Read(error.into())
    }
}

/// A roll back that has not been done.
#[derive(Debug, Clone)]
pub struct RollbackPlan {
    /// The manifest that would be committed.
    pub manifest: Manifest,
    /// Every object of the old checkpoint.
    pub snapshot: Snapshot,
    /// The checkpoint that the job would otherwise resume from.
    pub latest: Parent,
    /// What that one says; nothing when its manifest is damaged.
    pub latest_manifest: Option<Manifest>,
}

/// Plans to commit, at `now`, a checkpoint with the content of checkpoint `sequence`.
///
/// The latest checkpoint may be damaged, as long as its manifest is there to be named as the parent.
/// Fails with [`RestoreError::AlreadyLatest`] when `sequence` is the latest.
pub fn plan_rollback(store: &Store, sequence: Sequence, now: Timestamp) -> Result<RollbackPlan, RestoreError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let latest = latest(store)?.unwrap_or(Parent { sequence, sha256: snapshot.committed.sha256 });
    if latest.sequence == sequence {
        return Err(RestoreError::AlreadyLatest { sequence });
    }
    let old = snapshot.manifest();
    let milliseconds = now.as_millisecond();
    let manifest = Manifest {
        sequence: latest.sequence.next(),
        parent: Some(latest),
        created: Timestamp::from_millisecond(milliseconds).unwrap_or(now),
        trigger: Trigger::Restore,
        restored_from: Some(sequence),
        timings: Timings::default(),
        totals: Totals { changed_keys: 0, new_bytes: 0, ..old.totals },
        outputs: Vec::new(),
        ..old.clone()
    };
    let latest_manifest = store.manifest(latest.sequence).ok().map(|committed| committed.manifest);
    Ok(RollbackPlan { manifest, snapshot, latest, latest_manifest })
}

/// Commits what `plan` says, after every byte of the old checkpoint has been verified.
///
/// Takes the store for writing; `holder` says who does. Fails with [`RestoreError::Moved`] when the plan is out of date.
pub fn apply_rollback(
    store: &Store,
    plan: &RollbackPlan,
    holder: &str,
    progress: &dyn Progress,
) -> Result<Committed, RestoreError> {
    let _lock = store.lock(holder)?;
    match latest(store)? {
        Some(found) if found != plan.latest => return Err(RestoreError::Moved { latest: found.sequence }),
        _ => {}
    }
    let objects = plan.snapshot.objects();
    progress.start(objects.iter().map(|object| object.bytes).sum());
    let outcomes = parallel::map(&objects, |object| {
        let outcome = store.object(*object).map(drop);
        progress.advance(object.bytes);
        outcome
    });
    outcomes.into_iter().collect::<Result<(), StoreError>>()?;
    let names: Vec<ObjectName> = objects.iter().map(|object| object.object).collect();
    Ok(store.commit(&plan.manifest, &names)?)
}

/// Returns the newest checkpoint by its directory, with the SHA-256 of its manifest as it is, damaged or not.
fn latest(store: &Store) -> Result<Option<Parent>, StoreError> {
    let Some(sequence) = store.sequences()?.pop() else { return Ok(None) };
    if let Ok(committed) = store.manifest(sequence) {
        return Ok(Some(Parent { sequence, sha256: committed.sha256 }));
    }
    // A replica that is behind does not have it.
    let read = |storage: &Arc<dyn Storage>| storage.get(&layout::manifest(sequence), Manifest::MAX_BYTES);
    let mut damaged = store.replicas.iter().map(read);
    let bytes = damaged.find(|read| !matches!(read, Err(error) if error.is_not_found()));
    let bytes = bytes.unwrap_or_else(|| read(&store.replicas[0]))?;
    Ok(Some(Parent { sequence, sha256: Digest::of(&bytes) }))
}

/// What state is written out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// A Parquet file a shard, with the columns `task`, `key` and those of the state.
    Parquet,
    /// One file, a JSON object a line. A sketch is only the number of its bytes.
    JsonLines,
    /// One file with a header line. A sketch is only the number of its bytes.
    Csv,
}

/// Files that have not been written.
#[derive(Debug, Clone)]
pub struct ExportPlan {
    /// The checkpoint.
    pub snapshot: Snapshot,
    /// The directory that the files will be in.
    pub directory: PathBuf,
    /// What they will be.
    pub format: ExportFormat,
    /// Their names.
    pub files: Vec<String>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedFile {
    /// Its name in the directory.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// Plans to write the state of checkpoint `sequence` into `directory`, which must be empty or not be there.
pub fn plan_export(
    store: &Store,
    sequence: Sequence,
    directory: &Path,
    format: ExportFormat,
) -> Result<ExportPlan, RestoreError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let directory = free_directory(directory)?;
    let files = match format {
        ExportFormat::Parquet => snapshot.chains().map(|chain| shard_file(chain[0].shard)).collect(),
        ExportFormat::JsonLines => vec!["state.jsonl".to_owned()],
        ExportFormat::Csv => vec!["state.csv".to_owned()],
    };
    Ok(ExportPlan { snapshot, directory, format, files })
}

/// Writes what `plan` says. The directory is put in place when everything in it is whole and on disk; until then it has another name beside it.
pub fn apply_export(
    store: &Store,
    plan: &ExportPlan,
    progress: &dyn Progress,
) -> Result<Vec<ExportedFile>, RestoreError> {
    let aside = Aside::create(&plan.directory)?;
    let files = match plan.format {
        ExportFormat::Parquet => export_shards(store, plan, &aside.path, progress)?,
        ExportFormat::JsonLines | ExportFormat::Csv => vec![export_rows(store, plan, &aside.path, progress)?],
    };
    aside.put_in_place(&plan.directory)?;
    Ok(files)
}

/// Returns `directory`, through symbolic links, if nothing is there or it is an empty directory.
fn free_directory(directory: &Path) -> Result<PathBuf, RestoreError> {
    let taken = || RestoreError::TargetTaken { path: directory.to_owned() };
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(taken()),
            None => fs::canonicalize(directory).map_err(io_error("read", directory)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(directory) {
            // A symbolic link to nowhere.
            Ok(_) => Err(taken()),
            Err(_) => std::path::absolute(directory).map_err(io_error("read", directory)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(taken()),
        Err(error) => Err(io_error("read", directory)(error)),
    }
}

fn shard_file(shard: u32) -> String {
    format!("state-{shard:05}.parquet")
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RestoreError + 'a {
    move |source| RestoreError::Io { action, path: path.to_owned(), source }
}

/// A directory that is being filled beside the place where it will be; removed unless it gets there.
struct Aside {
    path: PathBuf,
}

impl Aside {
    /// Creates a new directory beside `directory`, and those above it.
    fn create(directory: &Path) -> Result<Aside, RestoreError> {
        let parent = parent_of(directory);
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        let mut attempt = 0;
        loop {
            let mut name = directory.file_name().unwrap_or_default().to_owned();
            name.push(format!(".tmp-{}-{attempt}", std::process::id()));
            let path = parent.join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Aside { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
                Err(error) => return Err(io_error("create", &path)(error)),
            }
        }
    }

    /// Makes the directory last and renames it to `directory`, where at most an empty directory may be.
    fn put_in_place(self, directory: &Path) -> Result<(), RestoreError> {
        flush_directory(&self.path)?;
        if let Err(error) = fs::rename(&self.path, directory) {
            return Err(match error.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                    RestoreError::TargetTaken { path: directory.to_owned() }
                }
                _ => io_error("rename", &self.path)(error),
            });
        }
        flush_directory(parent_of(directory))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After the rename there is nothing of this name. Otherwise the first error is the one to tell.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn parent_of(directory: &Path) -> &Path {
    directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn flush_directory(path: &Path) -> Result<(), RestoreError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error("flush", path))
}

/// Writes a Parquet file for each shard that holds rows.
fn export_shards(
    store: &Store,
    plan: &ExportPlan,
    directory: &Path,
    progress: &dyn Progress,
) -> Result<Vec<ExportedFile>, RestoreError> {
    let chains: Vec<&[IndexRow]> = plan.snapshot.chains().collect();
    progress.start(chains.iter().copied().flatten().map(|row| row.bytes).sum());
    let files = parallel::map(&chains, |chain| {
        let mut writer = SegmentWriter::new(plan.snapshot.codec.columns());
        plan.snapshot.chain_rows(store, chain, progress, &|_, _| (), |row| {
            if row.value.is_some() {
                writer.push(row);
            }
            true
        })?;
        let (bytes, stats) = writer.finish();
        let name = shard_file(chain[0].shard);
        let path = directory.join(&name);
        let mut file = File::create_new(&path).map_err(io_error("create", &path))?;
        file.write_all(&bytes).map_err(io_error("write", &path))?;
        file.sync_all().map_err(io_error("flush", &path))?;
        Ok(ExportedFile { name, rows: stats.rows, bytes: bytes.len() as u64 })
    });
    files.into_iter().collect()
}

/// Writes all rows into one text file, in the order of task and key.
fn export_rows(
    store: &Store,
    plan: &ExportPlan,
    directory: &Path,
    progress: &dyn Progress,
) -> Result<ExportedFile, RestoreError> {
    let name = plan.files[0].clone();
    let path = directory.join(&name);
    let mut file = BufWriter::with_capacity(1 << 20, File::create_new(&path).map_err(io_error("create", &path))?);
    let mut line = Vec::new();
    let columns = plan.snapshot.codec.columns();
    if plan.format == ExportFormat::Csv {
        csv_header(columns, &mut line);
    }
    let (mut rows, mut bytes) = (0, line.len() as u64);
    let mut failed = file.write_all(&line).err().map(io_error("write", &path));
    plan.snapshot.rows(store, &Selection::default(), progress, |row| {
        line.clear();
        let values = plan.snapshot.values(row);
        let outcome = match plan.format {
            ExportFormat::Csv => {
                csv_line(row, &values, &mut line);
                Ok(())
            }
            ExportFormat::JsonLines | ExportFormat::Parquet => json_line(columns, row, &values, &mut line),
        };
        let outcome = outcome
            .map_err(|column| RestoreError::Value {
                task: row.task,
                key: String::from_utf8_lossy(row.key).into_owned(),
                column: columns[column].name.clone(),
            })
            .and_then(|()| file.write_all(&line).map_err(io_error("write", &path)));
        rows += 1;
        bytes += line.len() as u64;
        failed = failed.take().or(outcome.err());
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let file = file.into_inner().map_err(|error| io_error("write", &path)(error.into_error()))?;
    file.sync_all().map_err(io_error("flush", &path))?;
    Ok(ExportedFile { name, rows, bytes })
}

/// Appends a row as one line of JSON; fails with the number of the column whose value is no JSON.
fn json_line(columns: &[Column], row: Row<'_>, values: &[Value], line: &mut Vec<u8>) -> Result<(), usize> {
    let text = |text: &str| serde_json::to_string(text).expect("text is always JSON");
    line.extend_from_slice(format!("{{\"task\":{},\"key\":", row.task).as_bytes());
    line.extend_from_slice(text(&String::from_utf8_lossy(row.key)).as_bytes());
    for (place, (column, value)) in columns.iter().zip(values).enumerate() {
        line.push(b',');
        line.extend_from_slice(text(&column.name).as_bytes());
        line.push(b':');
        let json = match value {
            Value::Json(json) => one_line_json(json).ok_or(place)?,
            other => other.to_json(),
        };
        line.extend_from_slice(json.as_bytes());
    }
    line.extend_from_slice(b"}\n");
    Ok(())
}

/// Returns `json` without line ends, or nothing when it is no JSON text. In JSON these can only stand between tokens.
fn one_line_json(json: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(json).ok()?;
    Some(json.replace(['\n', '\r'], " "))
}

fn csv_header(columns: &[Column], line: &mut Vec<u8>) {
    line.extend_from_slice(b"task,key");
    for column in columns {
        line.push(b',');
        csv_text(&column.name, line);
    }
    line.push(b'\n');
}

fn csv_line(row: Row<'_>, values: &[Value], line: &mut Vec<u8>) {
    line.extend_from_slice(row.task.to_string().as_bytes());
    line.push(b',');
    csv_text(&String::from_utf8_lossy(row.key), line);
    for value in values {
        line.push(b',');
        match value {
            Value::Null => {}
            Value::Sketch(bytes) => line.extend_from_slice(format!("sketch of {} bytes", bytes.len()).as_bytes()),
            other => csv_text(&other.to_string(), line),
        }
    }
    line.push(b'\n');
}

/// Appends a field, in quotes where RFC 4180 wants them, and where it is empty: without quotes that is a missing value.
fn csv_text(text: &str, line: &mut Vec<u8>) {
    if text.is_empty() || text.contains([',', '"', '\r', '\n']) {
        line.push(b'"');
        line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        line.push(b'"');
    } else {
        line.extend_from_slice(text.as_bytes());
    }
}
