//! What a run would do, without starting it. Writes nothing and keeps no lock.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use crate::format::manifest::Manifest;
use crate::format::positions::{self, PositionRow};
use crate::input;
use crate::input::record::Filter;
use crate::input::{BlockReader, Compression, FollowReader, InputError, Partition, Position};
use crate::job;
use crate::job::definition;
use crate::job::{Difference, Effect, JobSpec};
use crate::runner::error::{ResumeError, RunError};
use crate::runner::output::plan::OutputPlan;
use crate::runner::pipeline::field_types::with_types;
use crate::runner::pipeline::prepare::check_paths;
use crate::runner::resumable::fits;
use crate::runner::resume::recover::recover;
use crate::runner::resume::undecided::take_undecided;
use crate::storage::Storage;
use crate::storage::local::LocalStorage;
use crate::store::{Committed, Store, StoreError};
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
            InputState::Bad => "bad",
        }
    }
}

impl Report {
    /// Returns whether a run would start.
    pub fn would_run(&self) -> bool {
        self.problems.is_empty()
    }

    /// Returns the number of files that are still to be read, and the minimum number of bytes.
    pub fn to_go(&self) -> (u64, u64) {
        let has_more = |input: &&InputReport| match input.state {
            InputState::Read | InputState::Bad => false,
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
    };
    let output = OutputPlan::new(job);
    if let Some(expression) = &job.filter {
        report.problems.extend(Filter::new(expression).err().map(|reason| format!("`where`: {reason}")));
    }
    report.problems.extend(check_paths(job, output.as_ref()).err().map(|error| in_one_line(&error)));
    let mut start = Vec::new();
    if job.checkpoint.enabled {
        start = check_store(job, output.as_ref(), &mut report)?;
    }
    if job.input.follow {
        check_followed(job, &start, &mut report);
    } else {
        check_files(job, &start, &mut report);
    }
    Ok(report)
}

/// Finds the latest checkpoint and checks whether the job fits it. Returns its positions.
fn check_store(job: &JobSpec, output: Option<&OutputPlan>, report: &mut Report) -> Result<Vec<PositionRow>, RunError> {
    let path = job.resolve(&job.checkpoint.store);
    let place = path.display().to_string();
    report.store = Some(place.clone());
    let published = output.and_then(OutputPlan::published).map(|path| path.display().to_string());
    let paths = std::iter::once(&job.checkpoint.store).chain(&job.checkpoint.replicas);
    let places: Vec<Arc<dyn Storage>> =
        paths.map(|path| Arc::new(LocalStorage::new(job.resolve(path))) as Arc<dyn Storage>).collect();
    let opened = places.iter().map(|place| Store::open(vec![Arc::clone(place)])).find(Result::is_ok);
    let store = match opened.unwrap_or_else(|| Store::open(places[..1].to_vec())) {
        Err(StoreError::NoStore { .. }) => {
            let missing = |output| ResumeError::StoreMissing { place, output }.to_string();
            report.problems.extend(published.map(missing));
            return Ok(Vec::new());
        }
        opened => opened?,
    };
    if store.file.job != job.job {
        let (expected, found) = (job.job.clone(), store.file.job.clone());
        report.problems.push(ResumeError::OtherJob { place, expected, found }.to_string());
        return Ok(Vec::new());
    }
    report.holder = holder(&path.join(crate::format::layout::LOCK_FILE));
    if let Some(holder) = &report.holder {
        report.problems.push(format!("the store is locked by {holder}"));
    }
    let committed = match store.latest() {
        Ok(Some(committed)) => committed,
        Ok(None) => {
            let missing = |output| ResumeError::CheckpointsMissing { place, output }.to_string();
            report.problems.extend(published.map(missing));
            return Ok(Vec::new());
        }
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Ok(Vec::new());
        }
    };
    report.latest = Some(Box::new(committed.manifest.clone()));
    let definition = match old_job(&store, &committed, job) {
        Ok(definition) => definition,
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Ok(Vec::new());
        }
    };
    report.differences = job::differences(&definition, &with_types(job, &definition));
    let unfit = report.differences.iter().filter(|difference| difference.effect() == Effect::Unfit);
    report.problems.extend(unfit.map(|difference| format!("does not fit the checkpoint: {difference}")));
    let table = committed.manifest.tables.positions;
    let rows = store.object(table).map_err(RunError::from);
    let rows = rows.and_then(|bytes| positions::decode(bytes).map_err(RunError::table(table.object)));
    match rows {
        Ok(rows) => Ok(newest(rows)),
        Err(error) => {
            report.problems.push(in_one_line(&error));
            Ok(Vec::new())
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

/// Returns the newest row of each partition. The rows must be sorted by partition and cut.
fn newest(rows: Vec<PositionRow>) -> Vec<PositionRow> {
    rows.chunk_by(|a, b| a.partition == b.partition).filter_map(<[PositionRow]>::last).cloned().collect()
}

/// Returns who holds the lock file at `path`, in its own words. The lock is tried only briefly, in shared mode.
fn holder(path: &std::path::Path) -> Option<String> {
    // Opening a pipe would wait for its writer.
    if !std::fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let mut text = String::new();
    (&mut file).take(4096).read_to_string(&mut text).ok()?;
    let is_held = !text.is_empty() && matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock));
    is_held.then(|| text.trim().to_owned())
}

fn check_files(job: &JobSpec, start: &[PositionRow], report: &mut Report) {
    let listed = match input::partitions(&job.input, &job.base) {
        Ok(listed) => {
            let is_known = |name: &str| start.iter().any(|row| row.partition == name);
            input::one_per_file(listed, &job.base, is_known)
        }
        Err(error) => {
            report.problems.push(in_one_line(&error));
            Vec::new()
        }
    };
    for row in start.iter().filter(|row| !listed.iter().any(|partition| partition.name == row.partition)) {
        // A rotated file that was read to its end may be gone.
        if row.ended && row.generation_of.is_some() {
            continue;
        }
        report.unreadable(row, &InputError::Gone { partition: row.partition.clone(), offset: row.offset });
    }
    for partition in listed {
        let Some(row) = start.iter().find(|row| row.partition == partition.name) else {
            let unread_bytes = partition.file_bytes.filter(|_| partition.compression == Compression::None);
            let (offset, state) = (0, InputState::New);
            report.inputs.push(InputReport { partition: partition.name, offset, state, unread_bytes });
            continue;
        };
        // What standard input will contain is unknown until it is read.
        let proven = match partition.source {
            input::Source::Stdin => None,
            input::Source::File(_) => {
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
                let unread_bytes = if ended { Some(0) } else { size.map(|size| size.saturating_sub(row.offset)) };
                report.inputs.push(InputReport { partition: partition.name, offset: row.offset, state, unread_bytes });
            }
            None => report.inputs.push(InputReport {
                partition: partition.name,
                offset: row.offset,
                state: InputState::Unread,
                unread_bytes: None,
            }),
        }
    }
}

fn check_followed(job: &JobSpec, start: &[PositionRow], report: &mut Report) {
    let reader = FollowReader::new(&job.input, &job.base, start, 0, None);
    let positions = reader.and_then(|mut reader| reader.look());
    let positions = match positions {
        Ok(positions) => positions,
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return;
        }
    };
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
    }
}

impl Report {
    fn unreadable(&mut self, row: &PositionRow, error: &InputError) {
        self.problems.push(in_one_line(error));
        let (partition, offset) = (row.partition.clone(), row.offset);
        self.inputs.push(InputReport { partition, offset, state: InputState::Bad, unread_bytes: None });
    }
}
