//! From what the job file says to a place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::job::JobSpec;
use crate::runner::output::error::OutputError;
use crate::runner::output::place::directory::Directory;
use crate::runner::output::place::interface::OutputPlace;
use crate::values::url::is_url;

/// Returns the directory that the job file calls `files`, or the prefix in a bucket. Several workers may publish there if it
/// `is_shared`.
pub(crate) fn open(job: &JobSpec, files: &Path, is_shared: bool) -> Result<Arc<dyn OutputPlace>, OutputError> {
    if is_url(files) { open_url(files) } else { Ok(Arc::new(Directory::new(job.resolve(files), is_shared))) }
}

#[cfg(feature = "s3")]
fn open_url(url: &Path) -> Result<Arc<dyn OutputPlace>, OutputError> {
    Ok(Arc::new(super::bucket::Bucket::new(parse(url)?)?))
}

#[cfg(not(feature = "s3"))]
fn open_url(url: &Path) -> Result<Arc<dyn OutputPlace>, OutputError> {
    use crate::values::url::WITHOUT_S3;
    Err(OutputError::Place { reason: format!("`{}`: {WITHOUT_S3}", url.display()) })
}

/// Returns `files` as manifests name it: a directory as it is, and a URL in its one spelling.
pub(crate) fn tidy(files: &Path) -> Result<PathBuf, OutputError> {
    #[cfg(feature = "s3")]
    if is_url(files) {
        return Ok(PathBuf::from(parse(files)?.to_string()));
    }
    Ok(files.to_owned())
}

#[cfg(feature = "s3")]
fn parse(url: &Path) -> Result<crate::storage::bucket::BucketUrl, OutputError> {
    let parsed = url.to_string_lossy().parse();
    parsed.map_err(|error: crate::storage::bucket::BucketUrlError| OutputError::Place { reason: error.to_string() })
}
