//! From the text of a job file to a job, and back.

use std::path::Path;

use crate::input::record::Filter;
use crate::job::error::JobFileError;
use crate::job::given::Overrides;
use crate::job::model::JobSpec;
use crate::job::read::section::{Mistakes, node_of};
use crate::job::read::unknown_keys;
use crate::job::{fill, given, read, setting, write};
use crate::values::yaml;
use crate::values::yaml::{Node, YamlError};

impl JobSpec {
    /// Reads the job file `text` of the file `file`.
    ///
    /// The `where:` expression is not compiled here unless something else is wrong, too:
    /// [`crate::input::record::Filter`] does that, and [`JobFileError::about`] points at it.
    pub fn parse(text: &str, file: &Path) -> Result<JobSpec, JobFileError> {
        JobSpec::parse_with(text, file, &Overrides::NONE)
    }

    /// Reads the job file `text` of the file `file`, with what `overrides` put into it. The error has all mistakes.
    pub fn parse_with(text: &str, file: &Path, overrides: &Overrides<'_>) -> Result<JobSpec, JobFileError> {
        let base = file.parent().unwrap_or(Path::new(""));
        let fail = |error| JobFileError::new(file, overrides.settings, error);
        let mut root = yaml::parse(text).map_err(fail)?;
        override_with(&mut root, overrides).map_err(fail)?;
        let unknown = unknown_keys::repair(&mut root);
        match (YamlError::of_several(unknown), read::job(&root, base)) {
            (None, Ok(job)) => Ok(job),
            (unknown, job) => {
                let errors = unknown.into_iter().chain(job.err()).chain(filter_mistake(&root, text));
                Err(fail(YamlError::of_several(errors).expect("at least one of them is there")))
            }
        }
    }

    /// Reads `text`, the definition of a job in a checkpoint.
    pub(super) fn parse_definition(text: &str) -> Result<JobSpec, JobFileError> {
        let read = yaml::parse(text).and_then(|root| read::definition(&root));
        read.map_err(|error| JobFileError::new(Path::new("job definition"), &[], error))
    }

    /// Reads the job file with the content `bytes` of the file `file`.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<JobSpec, JobFileError> {
        JobSpec::from_bytes_with(bytes, file, &Overrides::NONE)
    }

    /// Reads the job file with the content `bytes` of the file `file`, with what `overrides` put into it.
    pub fn from_bytes_with(bytes: &[u8], file: &Path, overrides: &Overrides<'_>) -> Result<JobSpec, JobFileError> {
        let text = yaml::decode(bytes).map_err(|error| JobFileError::new(file, &[], error))?;
        JobSpec::parse_with(text, file, overrides)
    }

    /// Returns the job as a job file with every default filled in: the same text for the same job, with paths as
    /// written.
    ///
    /// [`JobSpec::parse`] turns it back into this job.
    pub fn definition(&self) -> String {
        write::write(self)
    }
}

/// Puts the settings, the input and the variables into the job file, in this order.
fn override_with(root: &mut Node, overrides: &Overrides<'_>) -> Result<(), YamlError> {
    let mut mistakes = Mistakes::default();
    for (setting, number) in overrides.settings.iter().zip(1..) {
        mistakes.take(setting::put(root, setting, number));
    }
    mistakes.take(given::put(root, overrides.input));
    mistakes.none()?;
    overrides.variables.map_or(Ok(()), |variables| fill::fill(root, variables))
}

/// Returns what is wrong with `where:`, for a file that has other mistakes as well.
fn filter_mistake(root: &Node, text: &str) -> Option<YamlError> {
    let node = node_of(root, "where", None)?;
    let error = Filter::new(&node.scalar()?.text).err()?;
    Some(JobFileError::mistake_of_filter(text, &error))
}
