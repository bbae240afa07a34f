//! From the text of a job file to a job, and back.

use std::path::Path;

use crate::job::error::JobFileError;
use crate::job::given;
use crate::job::given::GivenInput;
use crate::job::model::JobSpec;
use crate::job::{read, write};
use crate::values::yaml;

impl JobSpec {
    /// Reads the job file `text` of the file `file`.
    ///
    /// The `where:` expression is not compiled here: [`crate::input::record::Filter`] does that, and
    /// [`JobFileError::about`] points at it.
    pub fn parse(text: &str, file: &Path) -> Result<JobSpec, JobFileError> {
        JobSpec::parse_given(text, file, GivenInput::None)
    }

    /// Reads the job file `text` of the file `file`, with `input` instead of the input that it names.
    pub fn parse_given(text: &str, file: &Path, input: GivenInput<'_>) -> Result<JobSpec, JobFileError> {
        let base = file.parent().unwrap_or(Path::new(""));
        let mut root = yaml::parse(text).map_err(|error| JobFileError::new(file, error))?;
        given::put(&mut root, input)
            .and_then(|()| read::job(&root, base))
            .map_err(|error| JobFileError::new(file, error))
    }

    /// Reads `text`, the definition of a job in a checkpoint.
    pub(super) fn parse_definition(text: &str) -> Result<JobSpec, JobFileError> {
        let read = yaml::parse(text).and_then(|root| read::definition(&root));
        read.map_err(|error| JobFileError::new(Path::new("job definition"), error))
    }

    /// Reads the job file with the content `bytes` of the file `file`.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<JobSpec, JobFileError> {
        JobSpec::from_bytes_given(bytes, file, GivenInput::None)
    }

    /// Reads the job file with the content `bytes` of the file `file`, with `input` instead of the input that it names.
    pub fn from_bytes_given(bytes: &[u8], file: &Path, input: GivenInput<'_>) -> Result<JobSpec, JobFileError> {
        let text = yaml::decode(bytes).map_err(|error| JobFileError::new(file, error))?;
        JobSpec::parse_given(text, file, input)
    }

    /// Returns the job as a job file with every default filled in: the same text for the same job, with paths as
    /// written.
    ///
    /// [`JobSpec::parse`] turns it back into this job.
    pub fn definition(&self) -> String {
        write::write(self)
    }
}
