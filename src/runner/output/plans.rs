//! Everything that a job writes as files that its checkpoints publish.

use crate::job::{JobSpec, OnError, OnLate};
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::OutputPlan;

/// The outputs of a job.
#[derive(Debug, Clone, Default)]
pub struct OutputPlans {
    /// The rows of `output:`.
    pub rows: Option<OutputPlan>,
    /// The dead letters, if they go to a bucket.
    pub dead: Option<OutputPlan>,
    /// The late records, if they go to a bucket.
    pub late: Option<OutputPlan>,
}

impl OutputPlans {
    pub fn new(job: &JobSpec) -> Result<OutputPlans, OutputError> {
        let dead = match &job.input.on_error {
            OnError::DeadLetter(path) => OutputPlan::of_lines(job, path)?,
            OnError::Fail | OnError::Skip => None,
        };
        let late = match job.window.as_ref().map(|window| &window.on_late) {
            Some(OnLate::DeadLetter(path)) => OutputPlan::of_lines(job, path)?,
            _ => None,
        };
        Ok(OutputPlans { rows: OutputPlan::new(job)?, dead, late })
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
