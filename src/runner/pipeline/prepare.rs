//! What a run checks and opens before it reads: paths and the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::FORMAT;
use crate::format::store_file::StoreFile;
use crate::input;
use crate::job::{JobSpec, OnError, OnLate};
use crate::runner::error::{JobError, ResumeError, RunError};
use crate::runner::options::Options;
use crate::runner::output::plan::OutputPlan;
use crate::storage::Storage;
use crate::store::{Store, StoreError, StoreLock};
use crate::values::id::{Sequence, StoreId};

/// Refuses a job that would read what it writes, or write two outputs to the same file.
pub(crate) fn check_paths(job: &JobSpec, output: Option<&OutputPlan>) -> Result<(), RunError> {
    let dead_letter = match &job.input.on_error {
        OnError::DeadLetter(path) => Some((path.as_path(), "the dead-letter file")),
        OnError::Fail | OnError::Skip => None,
    };
    let late = match job.window.as_ref().map(|window| &window.on_late) {
        Some(OnLate::DeadLetter(path)) => Some((path.as_path(), "the file of late records")),
        _ => None,
    };
    let same = |path: &Path, first, second| -> Result<(), RunError> {
        Err(JobError::SamePath { path: path.display().to_string(), first, second }.into())
    };
    let is_input = |path: &Path| input::is_input(&job.input, &job.base, path);
    if let Some(output) = output
        && is_input(Path::new(&output.name(Sequence::FIRST)))
    {
        return same(&output.path(Sequence::FIRST), "an input", "the output");
    }
    for (path, what) in dead_letter.into_iter().chain(late) {
        if output.is_some_and(|output| output.publishes(&job.resolve(path))) {
            return same(path, "the output", what);
        }
        if is_input(path) {
            return same(path, "an input", what);
        }
    }
    match (dead_letter, late) {
        (Some((dead, first)), Some((late, second))) if dead.components().eq(late.components()) => {
            same(late, first, second)
        }
        _ => Ok(()),
    }
}

/// Opens the job's store and its replicas for writing, or creates the store. Fails if the store should exist and does
/// not; a store of which only replicas are left is copied from one.
pub(crate) fn open_store(
    job: &JobSpec,
    options: &Options,
    output: Option<&OutputPlan>,
) -> Result<(Store, StoreLock), RunError> {
    let checkpoint = &job.checkpoint;
    let paths: Vec<PathBuf> =
        std::iter::once(&checkpoint.store).chain(&checkpoint.replicas).map(|path| job.resolve(path)).collect();
    let absolute = absolute_places(&paths)?;
    let places: Vec<Arc<dyn Storage>> = paths.iter().map(|path| options.storages.open(path)).collect();
    for place in &places {
        if let Ok(store) = Store::open(vec![Arc::clone(place)])
            && store.file.job != job.job
        {
            let (expected, found) = (job.job.clone(), store.file.job.clone());
            return Err(ResumeError::OtherJob { place: store.place(), expected, found }.into());
        }
    }
    let open = || Store::open_for_writing(places.clone(), checkpoint.min_copies, &options.holder);
    let (store, lock) = match open() {
        Err(StoreError::NoStore { place }) => {
            if let Some(published) = output.and_then(OutputPlan::published) {
                return Err(ResumeError::StoreMissing { place, output: published.display().to_string() }.into());
            }
            if options.must_resume {
                return Err(ResumeError::NothingToResume { place }.into());
            }
            let file = StoreFile {
                format: FORMAT,
                store: StoreId::new(options.random),
                job: job.job.clone(),
                created: options.clock.now(),
            };
            Store::create(places[..1].to_vec(), file)?;
            let opened = open()?;
            // The notes say only that the replicas were not stores before.
            opened.0.take_notes();
            opened
        }
        opened => opened?,
    };
    store.set_places(absolute)?;
    Ok((store, lock))
}

/// Returns the paths in a form that is valid from anywhere: absolute, with symbolic links resolved as far as they
/// exist.
fn absolute_places(paths: &[PathBuf]) -> Result<Vec<String>, RunError> {
    let mut places: Vec<String> = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let real = path.ancestors().find_map(|above| {
            let rest = path.strip_prefix(above).ok()?;
            Some(std::fs::canonicalize(above).ok()?.join(rest))
        });
        let place = real.unwrap_or(path).display().to_string();
        let place = place.trim_end_matches('/').to_owned();
        if let Some(first) = places.iter().position(|other| *other == place) {
            let shown = |number: usize| paths[number].display().to_string();
            return Err(StoreError::SamePlace { place: shown(number), other: shown(first) }.into());
        }
        places.push(place);
    }
    Ok(places)
}
