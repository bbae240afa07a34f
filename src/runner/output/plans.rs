//! Everything that a job writes as files that its checkpoints publish.

use std::path::{Path, PathBuf};

use crate::format::manifest::{DeadLetter, Manifest};
use crate::job::JobSpec;
use crate::runner::output::dead_letter::DeadLetterFile;
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::OutputPlan;
use crate::values::url::is_url;

/// The outputs of a job.
#[derive(Debug, Clone, Default)]
pub struct OutputPlans {
    /// The rows of `output:`.
    pub rows: Option<OutputPlan>,
    /// The dead letters, if each checkpoint has a file of its own with them.
    pub dead: Option<OutputPlan>,
    /// The late records, if each checkpoint has a file of its own with them.
    pub late: Option<OutputPlan>,
}

impl OutputPlans {
    /// Returns those of a run of `job`, or of several workers if they are shared.
    pub fn new(job: &JobSpec, is_shared: bool) -> Result<OutputPlans, OutputError> {
        let plan = |path: Option<&Path>| path.map_or(Ok(None), |path| OutputPlan::of_lines(job, path, is_shared));
        let (dead, late) = (plan(job.dead_letters())?, plan(job.late_records())?);
        Ok(OutputPlans { rows: OutputPlan::new(job, is_shared)?, dead, late })
    }

    pub fn iter(&self) -> impl Iterator<Item = &OutputPlan> {
        [&self.rows, &self.dead, &self.late].into_iter().flatten()
    }

    /// Returns a file that the job has published, if there is one.
    pub fn published(&self) -> Result<Option<String>, OutputError> {
        for plan in self.iter() {
            if let Some(published) = plan.published()? {
                return Ok(Some(published));
            }
        }
        Ok(None)
    }
}

/// A file to which checkpoints append lines.
#[derive(Debug)]
pub struct LineFile<'a> {
    /// The file as the job file names it.
    pub path: &'a Path,
    /// Returns what a manifest says about this file.
    pub part: fn(&Manifest) -> Option<&DeadLetter>,
}

/// Returns the files of `job`, not the objects, that get its dead letters and its late records.
pub fn line_files(job: &JobSpec) -> impl Iterator<Item = LineFile<'_>> {
    let dead = job.dead_letters().map(|path| LineFile { path, part: |manifest| manifest.dead_letter.as_ref() });
    let late = job.late_records().map(|path| LineFile { path, part: |manifest| manifest.late_records.as_ref() });
    [dead, late].into_iter().flatten().filter(|file| !is_url(file.path))
}

/// Returns a file with lines of an earlier run of `job`, if there is one.
pub fn existing_lines(job: &JobSpec) -> Option<PathBuf> {
    line_files(job).map(|file| job.resolve(file.path)).find(|path| DeadLetterFile::has_lines(path))
}
