//! What a run checks and opens before it reads: paths and the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::FORMAT;
use crate::format::store_file::StoreFile;
use crate::job::JobSpec;
use crate::runner::error::{JobError, ResumeError, RunError};
use crate::runner::options::Options;
use crate::runner::output::plans::{OutputPlans, existing_lines};
use crate::runner::pipeline::paths::places;
use crate::runner::storage_opener::StorageOpener;
use crate::storage::Storage;
use crate::store::{Store, StoreError, StoreLock};
use crate::values::id::StoreId;
use crate::values::url::is_url;

/// Opens the job's store and its replicas for writing, or creates the store. Fails if the store should exist and does
/// not; a store of which only replicas are left is copied from one.
pub(crate) fn open_store(
    job: &JobSpec,
    options: &Options,
    outputs: &OutputPlans,
) -> Result<(Store, StoreLock), RunError> {
    let places = Places::of(job, &options.storages)?;
    let open = || match options.share {
        Some(_) => Store::open_for_group(Arc::clone(&places.storages[0]), &options.holder),
        None => Store::open_for_writing(places.storages.clone(), job.checkpoint.min_copies, &options.holder),
    };
    let (store, lock) = match open() {
        Err(StoreError::NoStore { place }) => {
            if let Some(missing) = missing_store(job, &place, outputs.published()?) {
                // Another worker may have made it meanwhile, and published what it has committed.
                return match options.share.is_some().then(open) {
                    Some(Ok((store, lock))) => Ok((store, lock)),
                    _ => Err(missing.into()),
                };
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
            match Store::create(places.storages[..1].to_vec(), file) {
                // Another worker was faster.
                Err(StoreError::StoreExists { .. }) if options.share.is_some() => {}
                created => drop(created?),
            }
            let opened = open()?;
            // The notes say only that the replicas were not stores before.
            opened.0.take_notes();
            opened
        }
        opened => opened?,
    };
    store.set_places(places.absolute)?;
    Ok((store, lock))
}

/// Returns why a run cannot do without the store that should be at `place`, if something is left of earlier runs:
/// `published`, a file that the job has published, or lines that it has left out.
pub(crate) fn missing_store(job: &JobSpec, place: &str, published: Option<String>) -> Option<ResumeError> {
    let place = place.to_owned();
    if let Some(output) = published {
        return Some(ResumeError::StoreMissing { place, output });
    }
    // A run that was killed before its first checkpoint may have written lines, but not before it made the store.
    existing_lines(job).map(|file| ResumeError::StoreOfLinesMissing { place, file: file.display().to_string() })
}

/// The places of a job's store and its replicas, which are different and do not hold another job's store.
pub(crate) struct Places {
    pub(crate) paths: Vec<PathBuf>,
    absolute: Vec<String>,
    storages: Vec<Arc<dyn Storage>>,
}

impl Places {
    pub(crate) fn of(job: &JobSpec, opener: &StorageOpener) -> Result<Places, RunError> {
        let paths = places(job);
        let absolute = absolute_places(&paths)?;
        let storages: Vec<Arc<dyn Storage>> = paths.iter().map(|path| opener.open(path)).collect();
        for storage in &storages {
            if let Ok(store) = Store::open(vec![Arc::clone(storage)])
                && store.file.job != job.job
            {
                let (expected, found) = (job.job.clone(), store.file.job.clone());
                return Err(ResumeError::OtherJob { place: store.place(), expected, found }.into());
            }
        }
        Ok(Places { paths, absolute, storages })
    }

    /// Opens the store as [`open_store`] does, without writing.
    pub(crate) fn examine(&self, job: &JobSpec) -> Result<Store, RunError> {
        Ok(Store::examine(self.storages.clone(), job.checkpoint.min_copies)?)
    }
}

/// Returns the paths in a form that is valid from anywhere: absolute, with symbolic links resolved as far as they
/// exist.
fn absolute_places(paths: &[PathBuf]) -> Result<Vec<String>, RunError> {
    let mut places: Vec<PathBuf> = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let place = if is_url(path) { path.clone() } else { absolute(path) };
        if let Some(first) = places.iter().position(|other| *other == place) {
            let shown = |number: usize| paths[number].display().to_string();
            return Err(StoreError::SamePlace { place: shown(number), other: shown(first) }.into());
        }
        places.push(place);
    }
    if places.len() == 1 {
        // A single place is not listed.
        return Ok(vec![places[0].display().to_string()]);
    }
    let text = |place: PathBuf| {
        place.into_os_string().into_string().map_err(|path| JobError::PlaceNotUtf8 { path: path.display().to_string() })
    };
    Ok(places.into_iter().map(text).collect::<Result<_, _>>()?)
}

fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(std::fs::canonicalize(above).ok()?.join(rest))
    });
    real.unwrap_or(path).components().collect()
}
