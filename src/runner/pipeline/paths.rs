//! Whether the paths that a job names can be used together.

use std::path::{Path, PathBuf};

use crate::input;
use crate::job::JobSpec;
use crate::runner::error::{JobError, RunError};
use crate::runner::output::plan::OutputPlan;
use crate::runner::output::plans::OutputPlans;
use crate::storage::real_path::real_path;
use crate::store::enclosing::{enclosing_store, outer_store};
use crate::values::id::Sequence;
use crate::values::url::is_url;

/// Refuses a job that would read what it writes, write two outputs to the same file, or write into a store.
pub(crate) fn check_paths(job: &JobSpec, outputs: &OutputPlans) -> Result<(), RunError> {
    let output = outputs.rows.as_ref();
    let dead_letter = job.dead_letters().map(|path| (path, "the dead-letter file"));
    let late = job.late_records().map(|path| (path, "the file of late records"));
    let same = |path: &Path, first, second| -> Result<(), RunError> {
        Err(JobError::SamePath { path: path.display().to_string(), first, second }.into())
    };
    let is_input = |path: &Path| input::is_input(&job.input, &job.base, path);
    if let Some(output) = output
        && is_input(Path::new(&output.name(Sequence::FIRST)))
    {
        return same(Path::new(&output.shown(Sequence::FIRST)), "an input", "the output");
    }
    let lines = [(dead_letter, &outputs.dead), (late, &outputs.late)];
    for ((path, what), plan) in lines.into_iter().filter_map(|(file, plan)| Some((file?, plan))) {
        let collides = |output: &OutputPlan| match plan {
            Some(plan) => output.collides_with(plan),
            None => output.publishes(&job.resolve(path)),
        };
        if output.is_some_and(collides) {
            return same(path, "the output", what);
        }
        if is_input(path) || plan.as_ref().is_some_and(|plan| is_input(Path::new(&plan.name(Sequence::FIRST)))) {
            return same(path, "an input", what);
        }
    }
    match (dead_letter, late) {
        (Some((dead, first)), Some((late, second))) if dead.components().eq(late.components()) => {
            return same(late, first, second);
        }
        _ => {}
    }
    let directory = output.and_then(|output| output.place.directory());
    let directory = directory.map(|directory| (directory.to_owned(), "the output"));
    let files = dead_letter.into_iter().chain(late).filter(|(path, _)| !is_url(path));
    let files = files.map(|(path, what)| (job.resolve(path), what));
    check_stores(job, directory.into_iter().chain(files))?;
    for (plan, what) in [&outputs.rows, &outputs.dead, &outputs.late].into_iter().zip(WRITTEN) {
        plan.as_ref().map_or(Ok(()), |plan| check_bucket(job, plan, what))?;
    }
    Ok(())
}

/// Refuses an output in a store that is in a bucket.
fn check_bucket(job: &JobSpec, plan: &OutputPlan, what: &'static str) -> Result<(), RunError> {
    if plan.place.directory().is_some() {
        return Ok(());
    }
    let place = plan.place.shown("");
    let path = place.trim_end_matches('/').to_owned();
    let own = places(job).into_iter().find(|store| is_url(store) && Path::new(&path).starts_with(store));
    let store = match own {
        Some(store) => Some(store.display().to_string()),
        None => plan.place.enclosing_store().map_err(plan.at(Sequence::FIRST))?,
    };
    store.map_or(Ok(()), |store| Err(JobError::InStore { what, path, store }.into()))
}

/// What a job writes, in the order of [`OutputPlans`].
const WRITTEN: [&str; 3] = ["the output", "the dead-letter file", "the file of late records"];

/// Refuses a store that is a file or in another store, and any of `written` in a store, even in one that the run will
/// create.
fn check_stores(job: &JobSpec, written: impl Iterator<Item = (PathBuf, &'static str)>) -> Result<(), RunError> {
    let in_store = |path: &Path, what, store: PathBuf| -> Result<(), RunError> {
        let [path, store] = [path, &store].map(|path| path.display().to_string());
        Err(JobError::InStore { what, path, store }.into())
    };
    let places = if job.checkpoint.enabled { places(job) } else { Vec::new() };
    // A path that cannot be resolved cannot be written to either.
    let is_in = |path: &Path, place: &Path| {
        if is_url(path) || is_url(place) {
            return path.starts_with(place);
        }
        real_path(path).ok().zip(real_path(place).ok()).is_some_and(|(path, place)| path.starts_with(place))
    };
    // With replicas, a place that cannot be used is lost, which is not a mistake in the job file.
    if let [store] = &places[..]
        && !is_url(store)
        && let Some(file) = store.ancestors().find(|above| above.exists()).filter(|above| !above.is_dir())
    {
        return Err(JobError::StoreNotADirectory { path: file.display().to_string() }.into());
    }
    for (number, place) in places.iter().enumerate() {
        let what = if number == 0 { "the store" } else { "a replica" };
        let mut others = places.iter().filter(|other| is_in(place, other) && !is_in(other, place));
        if let Some(store) = outer_store(place).or_else(|| others.next().cloned()) {
            return in_store(place, what, store);
        }
    }
    for (path, what) in written {
        let own = || places.iter().find(|place| is_in(&path, place)).cloned();
        if let Some(store) = enclosing_store(&path).or_else(own) {
            return in_store(&path, what, store);
        }
    }
    Ok(())
}

/// Returns the directories of the job's store and its replicas.
pub(super) fn places(job: &JobSpec) -> Vec<PathBuf> {
    std::iter::once(&job.checkpoint.store).chain(&job.checkpoint.replicas).map(|path| job.resolve(path)).collect()
}
