//! What a run would do, without starting it. Writes nothing and keeps no lock.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::layout;
use crate::format::manifest::Manifest;
use crate::format::positions::{self, PositionRow};
use crate::input;
use crate::input::record::{Filter, FilterError};
use crate::input::{BlockReader, Compression, FollowReader, InputError, Partition, Position, ResumedPartitions};
use crate::job;
use crate::job::definition;
use crate::job::{Difference, Effect, FieldPath, JobSpec};
use crate::runner::check_names::{FirstRecords, first_records};
use crate::runner::error::{ResumeError, RunError};
use crate::runner::output::plans::OutputPlans;
use crate::runner::pipeline::field_types::with_types;
use crate::runner::pipeline::paths::check_paths;
use crate::runner::pipeline::prepare::Places;
use crate::runner::resumable::fits;
use crate::runner::resume::recover::recover;
use crate::runner::resume::undecided::take_undecided;
use crate::runner::storage_opener::StorageOpener;
use crate::storage::StorageError;
use crate::storage::local::holder;
use crate::store::{Committed, Store, StoreError, StoreNote};
use crate::values::error_chain::in_one_line;

/// What a run would find.
#[derive(Debug, Clone)]
pub struct Report {
    /// `None` if checkpoints are disabled.
    pub store: Option<String>,
    /// The run that holds the store, in its own words.
    pub holder: Option<String>,
    pub latest: Option<Box<Manifest>>,
    /// How the job file differs from the job that wrote the latest checkpoint.
    pub differences: Vec<Difference>,
    pub inputs: Vec<InputReport>,
    /// The reasons why a run could not start.
    pub problems: Vec<String>,
    /// What a run would report about the store and its replicas.
    pub notes: Vec<StoreNote>,
    /// What the first records say about the names in the job file, if the run would start from nothing.
    pub first_records: FirstRecords,
    /// What is wrong with `where:`, which would keep a run from starting too.
    pub filter: Option<FilterError>,
}

/// What a run would find of an input file.
#[derive(Debug, Clone)]
pub struct InputReport {
    pub partition: String,
    /// The position in the file, in bytes after decompression.
    pub offset: u64,
    pub state: InputState,
    /// The number of bytes that are still to be read, if that is known without reading them.
    pub unread_bytes: Option<u64>,
}

/// What a run would find of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputState {
    /// No checkpoint knows it.
    New,
    /// It was read in part.
    Unread,
    /// It is longer than when the checkpoint was made.
    Grown,
    /// It was read to its end.
    Read,
    /// It was renamed, and another file has or had its name.
    Rotated,
    /// It was read, and is gone.
    Gone,
    /// It cannot be read further. One of the problems says why.
    Bad,
}

impl InputState {
    pub fn name(self) -> &'static str {
        match self {
            InputState::New => "new",
            InputState::Unread => "unread",
            InputState::Grown => "grown",
            InputState::Read => "read",
            InputState::Rotated => "rotated",
            InputState::Gone => "gone",
            InputState::Bad => "bad",
        }
    }
}

impl Report {
    /// Returns whether a run would start.
    pub fn would_run(&self) -> bool {
        self.problems.is_empty() && self.filter.is_none()
    }

    /// Returns the number of files that are still to be read, and the minimum number of bytes.
    pub fn to_go(&self) -> (u64, u64) {
        let has_more = |input: &&InputReport| match input.state {
            InputState::Read | InputState::Gone | InputState::Bad => false,
            _ => input.unread_bytes != Some(0),
        };
        self.inputs
            .iter()
            .filter(has_more)
            .fold((0, 0), |(files, bytes), input| (files + 1, bytes + input.unread_bytes.unwrap_or(0)))
    }
}

/// Checks everything that a run of `job` checks before its first record, except for the state itself, which
/// `ckpt verify` checks.
///
/// What would keep a run from starting is in the report. Fails only if the store cannot be examined.
pub fn check(job: &JobSpec) -> Result<Report, RunError> {
    let mut report = Report {
        store: None,
        holder: None,
        latest: None,
        differences: Vec::new(),
        inputs: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
        first_records: FirstRecords::default(),
        filter: None,
    };
    let outputs = OutputPlans::new(job).unwrap_or_else(|error| {
        report.problems.push(in_one_line(&error));
        OutputPlans::default()
    });
    let mut filter_fields = Vec::new();
    if let Some(expression) = &job.filter {
        match Filter::of_input(expression, &job.input) {
            Ok(filter) => filter_fields = filter.fields().to_vec(),
            Err(error) => report.filter = Some(error),
        }
    }
    report.problems.extend(check_paths(job, &outputs).err().map(|error| in_one_line(&error)));
    let mut start = Vec::new();
    if job.checkpoint.enabled {
        start = check_store(job, &outputs, &mut report)?;
    }
    let mut unread =
        if job.input.follow { check_followed(job, &start, &mut report) } else { check_files(job, &start, &mut report) };
    unread.truncate(MAX_FIRST_FILES);
    check_first_records(job, &filter_fields, unread, &mut report);
    Ok(report)
}

/// The most files whose first records are read.
const MAX_FIRST_FILES: usize = 64;

/// Compares the names in the job file with the first records of `unread`, files that a run would read.
fn check_first_records(job: &JobSpec, filter: &[FieldPath], unread: Vec<Partition>, report: &mut Report) {
    if unread.is_empty() {
        return;
    }
    match first_records(job, filter, unread) {
        Ok(found) if report.latest.is_none() => report.first_records = found,
        // Earlier runs may have seen what the first records of the new files do not have.
        Ok(_) => {}
        Err(error) => {
            let problem = in_one_line(&error);
            if !report.problems.contains(&problem) {
                report.problems.push(problem);
            }
        }
    }
}

/// Finds the latest checkpoint and checks whether the job fits it. Returns its positions.
fn check_store(job: &JobSpec, outputs: &OutputPlans, report: &mut Report) -> Result<Vec<PositionRow>, RunError> {
    let place = job.resolve(&job.checkpoint.store).display().to_string();
    report.store = Some(place.clone());
    // A place that cannot be reached is a problem already.
    let published = outputs.published().unwrap_or_default();
    let store = match Places::of(job, &StorageOpener::default()).and_then(|places| Ok((places.examine(job)?, places))) {
        Ok((store, places)) => {
            report.holder = places.paths.iter().find_map(|path| holder(&path.join(layout::LOCK_FILE)).ok()?);
            store
        }
        Err(RunError::Store(StoreError::NoStore { .. })) => {
            let missing = |output| ResumeError::StoreMissing { place, output }.to_string();
            report.problems.extend(published.map(missing));
            return Ok(Vec::new());
        }
        // One of the problems says so.
        Err(RunError::Store(StoreError::Storage(StorageError::NotADirectory { .. }))) if !report.would_run() => {
            return Ok(Vec::new());
        }
        Err(error @ RunError::Store(StoreError::Storage(_))) => return Err(error),
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Ok(Vec::new());
        }
    };
    if let Some(holder) = &report.holder {
        report.problems.push(format!("the store is locked by {holder}"));
    }
    let start = check_latest(job, &store, published, report);
    report.notes = store.take_notes();
    Ok(start)
}

/// Checks whether the job fits the latest checkpoint of `store`. Returns its positions.
fn check_latest(job: &JobSpec, store: &Store, published: Option<String>, report: &mut Report) -> Vec<PositionRow> {
    let committed = match store.latest_present() {
        Ok(Some(committed)) => committed,
        Ok(None) => {
            let missing = |output| ResumeError::CheckpointsMissing { place: store.place(), output }.to_string();
            report.problems.extend(published.map(missing));
            return Vec::new();
        }
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Vec::new();
        }
    };
    report.latest = Some(Box::new(committed.manifest.clone()));
    let definition = match old_job(store, &committed, job) {
        Ok(definition) => definition,
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Vec::new();
        }
    };
    report.differences = job::differences(&definition, &with_types(job, &definition));
    let unfit = report.differences.iter().filter(|difference| difference.effect() == Effect::Unfit);
    report.problems.extend(unfit.map(|difference| format!("does not fit the checkpoint: {difference}")));
    let table = committed.manifest.tables.positions;
    let rows = store.object(table).map_err(RunError::from);
    let rows = rows.and_then(|bytes| positions::decode(bytes).map_err(RunError::table(table.object)));
    match rows {
        Ok(rows) => newest(&rows, committed.manifest.older_cuts.len() + 1),
        Err(error) => {
            report.problems.push(in_one_line(&error));
            Vec::new()
        }
    }
}

/// Returns the job that wrote a checkpoint. If `job` has other types, fields that have no value in the state have none.
/// Only the state shows that, so it is read.
fn old_job(store: &Store, committed: &Committed, job: &JobSpec) -> Result<JobSpec, RunError> {
    let mut definition = definition::definition(store, committed)?;
    fits(&committed.manifest, &definition)?;
    let differences = job::differences(&definition, &with_types(job, &definition));
    if differences.iter().any(|difference| matches!(difference, Difference::FieldType { .. })) {
        take_undecided(&mut definition, &recover(store, committed.clone(), 1)?);
    }
    Ok(definition)
}

/// Returns the newest row of each partition. The rows must be sorted by partition and cut. A partition that some shards
/// have not applied up to there, at one of `cuts`, was not read to its end.
fn newest(rows: &[PositionRow], cuts: usize) -> Vec<PositionRow> {
    let newest = rows.chunk_by(|a, b| a.partition == b.partition).filter_map(|rows| {
        let row = rows.last()?;
        let is_applied = row.offset == 0 || (rows.len() == cuts && rows.iter().all(|older| older.offset >= row.offset));
        Some(PositionRow { ended: row.ended && is_applied, inode: row.inode.filter(|_| is_applied), ..row.clone() })
    });
    newest.collect()
}

/// Checks the files and objects. Returns the files that have unread records. Reading objects would cost requests.
fn check_files(job: &JobSpec, start: &[PositionRow], report: &mut Report) -> Vec<Partition> {
    let created = report.latest.as_ref().map(|latest| latest.created).unwrap_or_default();
    let listed = match ResumedPartitions::list(&job.input, &job.base, start, created.into()) {
        Ok(listed) => listed,
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Vec::new();
        }
    };
    let is_file = |partition: &&Partition| matches!(partition.source, input::Source::File(_));
    let mut unread = Vec::new();
    let missing: Vec<&PositionRow> = listed.missing(&job.input).collect();
    for row in &missing {
        report.unreadable(row, &InputError::Gone { partition: row.partition.clone(), offset: row.offset });
    }
    let by_name: HashMap<&str, &PositionRow> = start.iter().map(|row| (row.partition.as_str(), row)).collect();
    for partition in &listed.partitions {
        let Some(&row) = by_name.get(partition.name.as_str()) else {
            let unread_bytes = partition.file_bytes.filter(|_| partition.compression == Compression::None);
            let (offset, state) = (0, InputState::New);
            report.inputs.push(InputReport { partition: partition.name.clone(), offset, state, unread_bytes });
            unread.extend(Some(partition).filter(is_file).cloned());
            continue;
        };
        // What standard input will contain is unknown until it is read.
        let proven = match partition.source {
            input::Source::Stdin => None,
            input::Source::Gone => {
                if !missing.iter().any(|row| row.partition == partition.name) {
                    let (offset, state) = (row.offset, InputState::Gone);
                    report.inputs.push(InputReport {
                        partition: partition.name.clone(),
                        offset,
                        state,
                        unread_bytes: Some(0),
                    });
                }
                continue;
            }
            input::Source::File(_) | input::Source::Object(_) => {
                let alone: Arc<[Partition]> = Arc::new([partition.clone()]);
                Some(BlockReader::new(&job.input, alone, std::slice::from_ref(row), row.cut))
            }
        };
        match proven {
            Some(Err(error)) => report.unreadable(row, &error),
            Some(Ok(reader)) => {
                let ended = reader.positions().first().is_some_and(|position| position.ended);
                let is_plain = partition.compression == Compression::None;
                let state = if ended {
                    InputState::Read
                } else if partition.file_bytes > row.file_bytes {
                    InputState::Grown
                } else {
                    InputState::Unread
                };
                let size = partition.file_bytes.filter(|_| is_plain);
                unread.extend(Some(partition).filter(|partition| !ended && is_file(partition)).cloned());
                let unread_bytes = if ended { Some(0) } else { size.map(|size| size.saturating_sub(row.offset)) };
                report.inputs.push(InputReport {
                    partition: partition.name.clone(),
                    offset: row.offset,
                    state,
                    unread_bytes,
                });
            }
            None => report.inputs.push(InputReport {
                partition: partition.name.clone(),
                offset: row.offset,
                state: InputState::Unread,
                unread_bytes: None,
            }),
        }
    }
    unread
}

/// Checks followed files. Returns those that have unread records.
fn check_followed(job: &JobSpec, start: &[PositionRow], report: &mut Report) -> Vec<Partition> {
    let last = report.latest.as_ref().filter(|latest| latest.restored_from.is_none());
    let since = last.map(|latest| latest.created.into());
    let reader = FollowReader::new(&job.input, &job.base, start, 0, None, since);
    let positions = reader.and_then(|mut reader| reader.look());
    let positions = match positions {
        Ok(positions) => positions,
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Vec::new();
        }
    };
    let mut with_unread = Vec::new();
    for Position { partition, generation_of, inode, offset, .. } in positions {
        let size = partition.file_bytes.unwrap_or(0);
        let row = start.iter().find(|row| row.inode == inode && row.offset == offset);
        let unread = size.saturating_sub(offset);
        let state = match row {
            None if generation_of.is_none() => InputState::New,
            _ if generation_of.is_some() && unread > 0 => InputState::Rotated,
            _ if unread == 0 => InputState::Read,
            Some(row) if row.file_bytes.is_some_and(|bytes| size > bytes) => InputState::Grown,
            _ => InputState::Unread,
        };
        report.inputs.push(InputReport {
            partition: partition.name.clone(),
            offset,
            state,
            unread_bytes: Some(unread),
        });
        if unread > 0 && generation_of.is_none() {
            with_unread.push(Partition::clone(&partition));
        }
    }
    with_unread
}

impl Report {
    fn unreadable(&mut self, row: &PositionRow, error: &InputError) {
        self.problems.push(in_one_line(error));
        let (partition, offset) = (row.partition.clone(), row.offset);
        self.inputs.push(InputReport { partition, offset, state: InputState::Bad, unread_bytes: None });
    }
}
