//! `ckpt restore`: puts an old checkpoint's content back, or writes it out.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::format::index::IndexRow;
use crate::format::layout::{self, ObjectKind, ObjectName};
use crate::format::manifest::{Manifest, ObjectRef, Parent, Timings, Totals, Trigger};
use crate::format::positions::{self, PositionRow};
use crate::format::segment::{SegmentReader, SegmentWriter};
use crate::ops::read::{ReadError, Selection, Snapshot};
use crate::storage::Storage;
use crate::store::{Committed, Store, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;
use crate::values::rows_text::{JsonLines, invalid_json, push_csv, push_csv_header};
use crate::values::value::Value;

mod aside;

use aside::Aside;

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
    /// The checkpoint has no position for the partition.
    #[error("the checkpoint has no input `{partition}`")]
    NoPartition {
        /// The partition.
        partition: String,
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
    /// Another restore is writing there.
    #[error("`{}` is being written by another restore", .path.display())]
    InProgress {
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
        /// What was tried: `create`, `write`, `flush`, `rename`, `remove`, `lock`, `read`.
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
    /// The positions that are chosen by hand.
    pub seeks: Vec<Seek>,
    /// The positions table, when it is another one.
    positions: Option<Vec<u8>>,
}

/// A position that is chosen by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seek {
    /// The position that the old checkpoint has.
    pub old: PositionRow,
    /// The position that the new one will have.
    pub new: PositionRow,
}

/// Plans to commit, at `now`, a checkpoint with the content of checkpoint `sequence`.
///
/// Each of `positions` takes the place of the one that the old checkpoint has for its partition; its task and its cut are those of the old one. The state
/// stays as it is. The latest checkpoint may be damaged, as long as its manifest is there to be named as the parent.
/// Fails with [`RestoreError::AlreadyLatest`] when `sequence` is the latest and no position is given, and with [`RestoreError::NoPartition`] for one of a
/// partition that the checkpoint does not have.
pub fn plan_rollback(
    store: &Store,
    sequence: Sequence,
    positions: Vec<PositionRow>,
    now: Timestamp,
) -> Result<RollbackPlan, RestoreError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let own = Parent { sequence, sha256: snapshot.committed.sha256 };
    let latest = latest(store)?.unwrap_or(own);
    if latest.sequence == sequence && positions.is_empty() {
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
    let mut plan = RollbackPlan { manifest, snapshot, latest, latest_manifest, seeks: Vec::new(), positions: None };
    if !positions.is_empty() {
        plan.seek(store, positions)?;
    }
    Ok(plan)
}

impl RollbackPlan {
    /// Puts `positions` in the place of those of the old checkpoint.
    fn seek(&mut self, store: &Store, positions: Vec<PositionRow>) -> Result<(), RestoreError> {
        let mut rows = self.snapshot.positions(store)?;
        for position in positions {
            let mut of_partition = rows.iter_mut().filter(|row| row.partition == position.partition).peekable();
            if of_partition.peek().is_none() {
                return Err(RestoreError::NoPartition { partition: position.partition });
            }
            for row in of_partition {
                let kept = row.clone();
                let (event_time, watermark) = (kept.event_time, kept.watermark);
                let new = PositionRow { task: kept.task, cut: kept.cut, event_time, watermark, ..position.clone() };
                self.seeks.push(Seek { old: std::mem::replace(row, new.clone()), new });
            }
            // Where there are several cuts, what counts for people is the newest position.
            self.seeks.dedup_by(|newer, older| {
                let is_same = newer.new.partition == older.new.partition;
                if is_same {
                    std::mem::swap(newer, older);
                }
                is_same
            });
        }
        let bytes = positions::encode(&rows);
        let name = ObjectName { digest: Digest::of(&bytes), kind: ObjectKind::Parquet };
        let object = ObjectRef { object: name, bytes: bytes.len() as u64 };
        let manifest = &mut self.manifest;
        if object != manifest.tables.positions {
            manifest.totals.new_bytes = object.bytes;
        }
        manifest.tables.positions = object;
        manifest.ended = rows.iter().all(|row| row.ended);
        // Where there are several cuts, the newest row of a partition comes last.
        let newest = rows.chunk_by(|a, b| a.partition == b.partition).filter_map(<[PositionRow]>::last);
        let sum = |of: fn(&PositionRow) -> u64| newest.clone().map(of).fold(0, u64::saturating_add);
        let totals = &mut manifest.totals;
        totals.input_bytes = sum(|row| row.offset).saturating_add(totals.past_input_bytes);
        totals.records = sum(|row| row.record).saturating_add(totals.past_records);
        for cut in &mut manifest.older_cuts {
            let records = rows.iter().filter(|row| row.cut == cut.block).map(|row| row.record);
            cut.records = records.fold(totals.past_records, u64::saturating_add);
        }
        manifest.totals.bytes = manifest.objects(&self.snapshot.index).iter().map(|object| object.bytes).sum();
        self.positions = Some(bytes);
        Ok(())
    }
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
    // A run that died may have left the latest checkpoint in some places only: they would lack it for ever behind the new one.
    store.make_equal()?;
    // The objects are old ones, of a checkpoint that a prune might remove just now.
    let _prune_lock = store.lock_prune(holder)?;
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
    if let Some(positions) = &plan.positions {
        store.put(positions, ObjectKind::Parquet)?;
    }
    let objects = plan.manifest.objects(&plan.snapshot.index);
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
    /// Whether an earlier attempt has written it.
    pub kept: bool,
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
///
/// Parquet files that an earlier attempt at the same plan has completed before it was cut short are kept, after their bytes were verified; the one file of
/// the other formats is written anew. When the system fails, the completed files stay for the next attempt.
pub fn apply_export(
    store: &Store,
    plan: &ExportPlan,
    progress: &dyn Progress,
) -> Result<Vec<ExportedFile>, RestoreError> {
    let purpose = format!("{} {:?}", plan.snapshot.committed.sha256, plan.format);
    let mut aside = Aside::open(&plan.directory, &purpose)?;
    let written = match plan.format {
        ExportFormat::Parquet => export_shards(store, plan, &aside, progress),
        ExportFormat::JsonLines | ExportFormat::Csv => {
            export_rows(store, plan, &aside, progress).map(|file| vec![file])
        }
    };
    if let (Err(RestoreError::Io { .. }), ExportFormat::Parquet) = (&written, plan.format) {
        aside.keep();
    }
    let files = written?;
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

/// Writes a Parquet file for each shard that holds rows.
fn export_shards(
    store: &Store,
    plan: &ExportPlan,
    aside: &Aside,
    progress: &dyn Progress,
) -> Result<Vec<ExportedFile>, RestoreError> {
    let chains: Vec<&[IndexRow]> = plan.snapshot.chains().collect();
    progress.start(chains.iter().copied().flatten().map(|row| row.bytes).sum());
    let files = parallel::map(&chains, |chain| {
        let name = shard_file(chain[0].shard);
        if let Some(file) = aside.completed(&name) {
            progress.advance(chain.iter().map(|row| row.bytes).sum());
            return Ok(file);
        }
        let (bytes, digest, rows) = shard_table(store, &plan.snapshot, chain, progress)?;
        let path = aside.path.join(&name);
        let mut file = aside.create(&name)?;
        file.write_all(&bytes).map_err(io_error("write", &path))?;
        file.sync_all().map_err(io_error("flush", &path))?;
        let file = ExportedFile { name, rows, bytes: bytes.len() as u64, kept: false };
        aside.record(&file, digest)?;
        Ok(file)
    });
    files.into_iter().collect()
}

/// Returns the Parquet file of one shard's rows, its SHA-256, and how many rows they are.
fn shard_table(
    store: &Store,
    snapshot: &Snapshot,
    chain: &[IndexRow],
    progress: &dyn Progress,
) -> Result<(Bytes, Digest, u64), RestoreError> {
    let columns = snapshot.codec.columns();
    if let [base] = chain {
        let bytes = store.object(base.object_ref())?;
        let table = SegmentReader::open(bytes.clone(), columns)
            .map_err(|source| ReadError::Table { path: base.object.path().to_string(), source })?;
        // Rows have one encoding: writing these anew would give the same file.
        if base.tombstones == 0 && table.rows() == base.rows && table.owner().is_none() {
            progress.advance(base.bytes);
            return Ok((bytes, base.object.digest, base.rows));
        }
    }
    let mut writer = SegmentWriter::new(columns);
    snapshot.chain_rows(store, chain, progress, |row| {
        if row.value.is_some() {
            writer.push(row);
        }
        true
    })?;
    let (bytes, stats) = writer.finish();
    let digest = Digest::of(&bytes);
    Ok((bytes.into(), digest, stats.rows))
}

/// Writes all rows into one text file, in the order of task and key.
fn export_rows(
    store: &Store,
    plan: &ExportPlan,
    aside: &Aside,
    progress: &dyn Progress,
) -> Result<ExportedFile, RestoreError> {
    let name = plan.files[0].clone();
    let path = aside.path.join(&name);
    let mut file = BufWriter::with_capacity(1 << 20, aside.create(&name)?);
    let mut line = Vec::new();
    let columns = plan.snapshot.codec.columns();
    let names = || ["task", "key"].into_iter().chain(columns.iter().map(|column| column.name.as_str()));
    let json_lines = JsonLines::new(names());
    if plan.format == ExportFormat::Csv {
        push_csv_header(names(), &mut line);
    }
    let (mut rows, mut bytes) = (0, line.len() as u64);
    let mut failed = file.write_all(&line).err().map(io_error("write", &path));
    plan.snapshot.rows(store, &Selection::default(), progress, |row| {
        line.clear();
        let values = plan.snapshot.values(row);
        let key = || String::from_utf8_lossy(row.key).into_owned();
        let head = [Value::Int(row.task.into()), Value::Text(key())];
        let all = head.iter().chain(&values);
        let outcome = match plan.format {
            ExportFormat::Csv => {
                push_csv(all, &mut line);
                Ok(())
            }
            ExportFormat::JsonLines | ExportFormat::Parquet => {
                json_lines.push(all, &mut line);
                invalid_json(&values).map_or(Ok(()), Err)
            }
        };
        let outcome = outcome
            .map_err(|column| RestoreError::Value { task: row.task, key: key(), column: columns[column].name.clone() })
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
    Ok(ExportedFile { name, rows, bytes, kept: false })
}
