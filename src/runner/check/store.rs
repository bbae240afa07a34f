//! Whether the store can be resumed from.

use crate::format::layout;
use crate::format::positions::{self, PositionRow};
use crate::job;
use crate::job::definition;
use crate::job::{Difference, Effect, JobSpec};
use crate::runner::check::report::Report;
use crate::runner::error::{ResumeError, RunError};
use crate::runner::output::plans::OutputPlans;
use crate::runner::output::topic::look;
use crate::runner::pipeline::field_types::with_types;
use crate::runner::pipeline::prepare::{Places, missing_store};
use crate::runner::resumable::fits;
use crate::runner::resume::recover::recover;
use crate::runner::resume::undecided::take_undecided;
use crate::runner::storage_opener::StorageOpener;
use crate::storage::StorageError;
use crate::storage::local::holder;
use crate::store::{Committed, Store, StoreError};
use crate::values::error_chain::in_one_line;

/// Finds the latest checkpoint and checks whether the job fits it. Returns its positions, or `None` if they cannot be read.
pub(super) fn check_store(
    job: &JobSpec,
    outputs: &OutputPlans,
    report: &mut Report,
) -> Result<Option<Vec<PositionRow>>, RunError> {
    let place = job.resolve(&job.checkpoint.store).display().to_string();
    report.store = Some(place.clone());
    // A place that cannot be reached is a problem already.
    let published = outputs.published().unwrap_or_default();
    let store = match Places::of(job, &StorageOpener::default()).and_then(|places| Ok((places.examine(job)?, places))) {
        Ok((store, places)) => {
            let found = places.paths.iter().find_map(|path| holder(&path.join(layout::LOCK_FILE)).ok()?);
            // Only workers share the lock.
            report.are_workers_running = found.as_ref().is_some_and(|holder| holder.is_shared);
            report.holder = found.map(|holder| holder.name);
            store
        }
        Err(RunError::Store(StoreError::NoStore { .. })) => {
            report.problems.extend(missing_store(job, &place, published).map(|missing| missing.to_string()));
            check_topic(job, None, report);
            return Ok(Some(Vec::new()));
        }
        // One of the problems says so.
        Err(RunError::Store(StoreError::Storage(StorageError::NotADirectory { .. }))) if !report.would_run() => {
            return Ok(None);
        }
        Err(error @ RunError::Store(StoreError::Storage(_))) => return Err(error),
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Ok(None);
        }
    };
    match &report.holder {
        Some(_) if report.are_workers_running => report.problems.push(
            "workers of the job are running: another one can join them with `--worker`; a run without it needs the store \
             for itself"
                .to_owned(),
        ),
        Some(holder) => report.problems.push(format!("the store is locked by {holder}")),
        None => {}
    }
    let start = check_latest(job, &store, published, report);
    if start.is_some() {
        check_topic(job, Some(&store), report);
    }
    report.notes = store.take_notes();
    Ok(start)
}

/// Checks whether the job fits the latest checkpoint of `store`. Returns its positions, or `None` if they cannot be read.
fn check_latest(
    job: &JobSpec,
    store: &Store,
    published: Option<String>,
    report: &mut Report,
) -> Option<Vec<PositionRow>> {
    let committed = match store.latest_present() {
        Ok(Some(committed)) => committed,
        Ok(None) => {
            let missing = |output| ResumeError::CheckpointsMissing { place: store.place(), output }.to_string();
            report.problems.extend(published.map(missing));
            return Some(Vec::new());
        }
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return None;
        }
    };
    report.latest = Some(Box::new(committed.manifest.clone()));
    let definition = match old_job(store, &committed, job) {
        Ok(definition) => definition,
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return None;
        }
    };
    report.differences = job::differences(&definition, &with_types(job, &definition));
    let unfit = report.differences.iter().filter(|difference| difference.effect() == Effect::Unfit);
    report.problems.extend(unfit.map(|difference| format!("does not fit the checkpoint: {difference}")));
    let table = committed.manifest.tables.positions;
    let rows = store.object(table).map_err(RunError::from);
    let rows = rows.and_then(|bytes| positions::decode(bytes).map_err(RunError::table(table.object)));
    match rows {
        Ok(rows) => Some(newest(&rows, committed.manifest.older_cuts.len() + 1)),
        Err(error) => {
            report.problems.push(in_one_line(&error));
            None
        }
    }
}

/// Checks whether the topic of the output exists, and what it has.
fn check_topic(job: &JobSpec, store: Option<&Store>, report: &mut Report) {
    let chain = store.map(|store| (store, report.latest.as_deref()));
    match look(job, chain) {
        Ok(unsent) => {
            report.problems.extend(unsent.as_ref().and_then(|unsent| unsent.unclear.clone()));
            report.unsent = unsent;
        }
        Err(error) => report.problems.push(in_one_line(&error)),
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
