//! Exporting: writes the state of a checkpoint to files.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::format::index::IndexRow;
use crate::format::key_shape::KeyShape;
use crate::format::parquet::values::ValuesWriter;
use crate::format::rows::Row;
use crate::format::segment::{SegmentFooter, SegmentWriter};
use crate::ops::read::{Selection, Snapshot, key_values};
use crate::ops::restore::error::RestoreError;
use crate::ops::restore::exported_file::ExportedFile;
use crate::ops::restore::job_output::JobOutput;
use crate::ops::restore::segment_copy::SegmentCopy;
use crate::ops::restore::target::Target;
use crate::store::Store;
use crate::values::digest::{Digest, Hasher};
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;
use crate::values::rows_text::{JsonLines, invalid_json, push_csv, push_csv_header};
use crate::values::value::{Column, ColumnType, Value};

/// The format of exported state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// One Parquet file per shard, with the columns `task`, `key` or its parts, and those of the state.
    Parquet,
    /// One file, with one JSON object per line. Of a sketch only what it estimates is written.
    JsonLines,
    /// One file with a header line. Of a sketch only what it estimates is written.
    Csv,
    /// The file that the job's output would be.
    Output,
}

/// An export that has not been applied.
#[derive(Debug, Clone)]
pub struct ExportPlan {
    pub snapshot: Snapshot,
    /// The directory that the files will be in, or the URL of a prefix of a bucket.
    pub directory: PathBuf,
    pub format: ExportFormat,
    /// Their names.
    pub files: Vec<String>,
}

/// Plans to write the state of checkpoint `sequence` into `directory`, or below the prefix of a bucket that it names.
/// That must be empty or not exist.
pub fn plan_export(
    store: &Store,
    sequence: Sequence,
    directory: &Path,
    format: ExportFormat,
) -> Result<ExportPlan, RestoreError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let files: Vec<String> = match format {
        ExportFormat::Parquet => shards(&snapshot).into_iter().map(|(shard, _)| shard_file(shard)).collect(),
        ExportFormat::JsonLines => vec!["state.jsonl".to_owned()],
        ExportFormat::Csv => vec!["state.csv".to_owned()],
        ExportFormat::Output => vec![JobOutput::of(store, &snapshot)?.file_name],
    };
    let directory = Target::find(directory, &files)?;
    Ok(ExportPlan { snapshot, directory, format, files })
}

/// Writes the files of `plan`. A new directory gets its name once everything in it is complete and flushed; until then
/// it has another name, beside the target. Into an existing directory, complete files are moved. Below the prefix of a
/// bucket, each file is there once it is complete, and `_SUCCESS` once all are.
///
/// Files that an interrupted attempt at the same plan has completed are verified and kept. If the system fails, the
/// completed files are kept for the next attempt.
pub fn apply_export(
    store: &Store,
    plan: &ExportPlan,
    progress: &dyn Progress,
) -> Result<Vec<ExportedFile>, RestoreError> {
    let purpose = format!("{} {:?}", plan.snapshot.committed.sha256, plan.format);
    let mut target = Target::open(&plan.directory, &plan.files, &purpose)?;
    let written = match plan.format {
        ExportFormat::Parquet => export_shards(store, plan, &target, progress),
        ExportFormat::JsonLines | ExportFormat::Csv => {
            export_rows(store, plan, &target, progress).map(|file| vec![file])
        }
        ExportFormat::Output => export_output(store, plan, &target, progress).map(|file| vec![file]),
    };
    let placed = written.and_then(|files| target.put_in_place(&plan.files).map(|()| files));
    if let Err(RestoreError::Io { .. } | RestoreError::Bucket(_)) = &placed {
        target.keep();
    }
    placed
}

/// Returns the shards that get a file, each with its segments. A state without rows has a file too, with its columns.
fn shards(snapshot: &Snapshot) -> Vec<(u32, &[IndexRow])> {
    let shards: Vec<_> = snapshot.chains().map(|chain| (chain[0].shard, chain)).collect();
    if shards.is_empty() { vec![(0, &[])] } else { shards }
}

fn shard_file(shard: u32) -> String {
    format!("state-{shard:05}.parquet")
}

/// Writes a Parquet file for each shard that has segments.
fn export_shards(
    store: &Store,
    plan: &ExportPlan,
    target: &Target,
    progress: &dyn Progress,
) -> Result<Vec<ExportedFile>, RestoreError> {
    let shards = shards(&plan.snapshot);
    progress.start(plan.snapshot.index.iter().map(|row| row.bytes).sum());
    let files = parallel::map_on(store.object_readers(), &shards, |(shard, chain)| {
        let name = shard_file(*shard);
        if let Some(file) = target.completed(&name) {
            progress.advance(chain.iter().map(|row| row.bytes).sum());
            return Ok(file);
        }
        if let Some(file) = copy_base(store, &plan.snapshot, chain, &name, target)? {
            progress.advance(file.bytes);
            return Ok(file);
        }
        let (bytes, digest, rows) = shard_table(store, &plan.snapshot, chain, progress)?;
        let mut writer = target.create(&name)?;
        writer.write(&bytes)?;
        let file = ExportedFile { name, rows, bytes: bytes.len() as u64, kept: false };
        writer.complete(&file, digest)?;
        Ok(file)
    });
    files.into_iter().collect()
}

/// Copies the segment of a shard that has only a base, without tombstones: rows have one encoding, so writing them again
/// would give the same file. Returns nothing if that is not so.
fn copy_base(
    store: &Store,
    snapshot: &Snapshot,
    chain: &[IndexRow],
    name: &str,
    target: &Target,
) -> Result<Option<ExportedFile>, RestoreError> {
    let ([base], None) = (chain, &snapshot.manifest().key) else { return Ok(None) };
    if base.tombstones != 0 {
        return Ok(None);
    }
    let begin = || SegmentCopy::begin(target, name, base.bytes);
    let (file, end) = snapshot.copy_object(store, base.object_ref(), begin, SegmentCopy::append)?.finish()?;
    match SegmentFooter::read(end, snapshot.codec.columns()) {
        Ok(footer) if footer.rows == base.rows && footer.owner.is_none() => {}
        _ => return Ok(None),
    }
    let copied = ExportedFile { name: name.to_owned(), rows: base.rows, bytes: base.bytes, kept: false };
    file.complete(&copied, base.object.digest)?;
    Ok(Some(copied))
}

/// Returns the Parquet file of one shard's rows, its SHA-256, and how many rows they are.
fn shard_table(
    store: &Store,
    snapshot: &Snapshot,
    chain: &[IndexRow],
    progress: &dyn Progress,
) -> Result<(Bytes, Digest, u64), RestoreError> {
    let columns = snapshot.codec.columns();
    if let Some(shape) = &snapshot.manifest().key {
        return shard_table_of_parts(store, snapshot, shape, chain, progress);
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

/// Writes the file that the job's output would be.
fn export_output(
    store: &Store,
    plan: &ExportPlan,
    target: &Target,
    progress: &dyn Progress,
) -> Result<ExportedFile, RestoreError> {
    match target.completed(&plan.files[0]) {
        Some(file) => Ok(file),
        None => JobOutput::of(store, &plan.snapshot)?.write(store, &plan.snapshot, target, progress),
    }
}

/// The same with a column for each part of the key.
fn shard_table_of_parts(
    store: &Store,
    snapshot: &Snapshot,
    shape: &KeyShape,
    chain: &[IndexRow],
    progress: &dyn Progress,
) -> Result<(Bytes, Digest, u64), RestoreError> {
    let mut columns = vec![Column::new("task", ColumnType::Int)];
    columns.extend(shape.columns());
    columns.extend_from_slice(snapshot.codec.columns());
    let mut writer = ValuesWriter::new(&columns);
    let (mut bytes, mut rows, mut failed) = (Vec::new(), 0, None);
    snapshot.chain_rows(store, chain, progress, |row| {
        if row.value.is_none() {
            return true;
        }
        match head_values(Some(shape), row) {
            Ok(mut values) => {
                values.extend(snapshot.values(row));
                writer.push(&values);
                bytes.append(&mut writer.take_bytes());
                rows += 1;
            }
            Err(error) => failed = Some(error),
        }
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    bytes.append(&mut writer.finish());
    let digest = Digest::of(&bytes);
    Ok((bytes.into(), digest, rows))
}

/// Returns the values that precede those of the state: the task, and the key or its parts.
fn head_values(shape: Option<&KeyShape>, row: Row<'_>) -> Result<Vec<Value>, RestoreError> {
    let text = || String::from_utf8_lossy(row.key).into_owned();
    let task = Value::Int(row.task.into());
    let Some(shape) = shape else { return Ok(vec![task, Value::Text(text())]) };
    let has_text = || shape.columns().iter().any(|column| column.column_type == ColumnType::Text);
    if shape.split(row.key).is_none() && !has_text() {
        return Err(RestoreError::Key { task: row.task, key: text() });
    }
    Ok([task].into_iter().chain(key_values(Some(shape), row.key)).collect())
}

/// Writes all rows into one text file, in the order of task and key.
fn export_rows(
    store: &Store,
    plan: &ExportPlan,
    target: &Target,
    progress: &dyn Progress,
) -> Result<ExportedFile, RestoreError> {
    let name = plan.files[0].clone();
    if let Some(file) = target.completed(&name) {
        return Ok(file);
    }
    let mut sha256 = Hasher::new();
    let mut writer = target.create(&name)?;
    let mut line = Vec::new();
    let columns = plan.snapshot.codec.columns();
    let shape = plan.snapshot.manifest().key.as_ref();
    let key = shape.map_or_else(|| vec![Column::new("key", ColumnType::Text)], KeyShape::columns);
    let is_written: Vec<bool> = columns.iter().map(|column| !column.is_estimated(columns)).collect();
    let columns: Vec<&Column> = columns.iter().zip(&is_written).filter(|(_, yes)| **yes).map(|(one, _)| one).collect();
    let names =
        || ["task"].into_iter().chain(key.iter().chain(columns.iter().copied()).map(|column| column.name.as_str()));
    let json_lines = JsonLines::new(names());
    if plan.format == ExportFormat::Csv {
        push_csv_header(names(), &mut line);
    }
    sha256.update(&line);
    let (mut rows, mut bytes) = (0, line.len() as u64);
    let mut failed = writer.write(&line).err();
    plan.snapshot.rows(store, &Selection::default(), progress, |row| {
        line.clear();
        let all = plan.snapshot.values(row).into_iter().zip(&is_written);
        let values: Vec<Value> = all.filter(|(_, yes)| **yes).map(|(value, _)| value).collect();
        let head = match head_values(shape, row) {
            Ok(head) => head,
            Err(error) => {
                failed = failed.take().or(Some(error));
                return false;
            }
        };
        let key = || String::from_utf8_lossy(row.key).into_owned();
        let all = head.iter().chain(&values);
        let outcome = match plan.format {
            ExportFormat::Csv => {
                push_csv(all, &mut line);
                Ok(())
            }
            ExportFormat::JsonLines | ExportFormat::Parquet | ExportFormat::Output => {
                json_lines.push(all, &mut line);
                invalid_json(&values).map_or(Ok(()), Err)
            }
        };
        let outcome = outcome
            .map_err(|column| RestoreError::Value { task: row.task, key: key(), column: columns[column].name.clone() })
            .and_then(|()| writer.write(&line));
        sha256.update(&line);
        rows += 1;
        bytes += line.len() as u64;
        failed = failed.take().or(outcome.err());
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let file = ExportedFile { name, rows, bytes, kept: false };
    writer.complete(&file, sha256.finish())?;
    Ok(file)
}
