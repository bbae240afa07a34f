//! The cache of what is read from buckets, as the options and the environment name it.

use std::env;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::cli::error::CliError;
use crate::cli::options::GlobalOptions;
use crate::storage::cache::{Cache, DEFAULT_MAX_BYTES};
use crate::values::units;

/// The variable that names the directory.
const DIR_VARIABLE: &str = "CKPT_CACHE";

/// The variable that says how much the cache may take.
const SIZE_VARIABLE: &str = "CKPT_CACHE_SIZE";

/// A cache that is opened with its first use.
#[derive(Debug, Default)]
pub(super) struct CacheChoice {
    dir: Option<PathBuf>,
    max_bytes: u64,
    opened: OnceLock<Result<Arc<Cache>, String>>,
}

impl CacheChoice {
    /// Returns the choice of the options, and of the environment where they say nothing.
    pub(super) fn new(options: &GlobalOptions) -> Result<CacheChoice, CliError> {
        let variable = || env::var_os(DIR_VARIABLE).map(PathBuf::from);
        let dir = options.cache.clone().or_else(variable).filter(|dir| !dir.as_os_str().is_empty());
        let size = env::var(SIZE_VARIABLE).ok().filter(|text| !text.is_empty());
        let max_bytes = match (options.cache_size, size) {
            (Some(bytes), _) => bytes,
            (None, Some(text)) => units::parse_bytes(&text).map_err(|error| {
                let message = format!("{SIZE_VARIABLE} is `{text}`, expected a size such as `5GiB`");
                CliError::usage(message).caused_by(&error)
            })?,
            (None, None) => DEFAULT_MAX_BYTES,
        };
        Ok(CacheChoice { dir, max_bytes, opened: OnceLock::new() })
    }

    /// Returns the cache, if there is one. If it cannot be used, the first call also returns why.
    pub(super) fn open(&self) -> (Option<Arc<Cache>>, Option<String>) {
        let Some(dir) = &self.dir else { return (None, None) };
        let is_first = self.opened.get().is_none();
        let opened = self.opened.get_or_init(|| {
            let opened = Cache::open(dir, self.max_bytes).map(Arc::new);
            opened.map_err(|error| format!("cache `{}` is not used: {error}", dir.display()))
        });
        match opened {
            Ok(cache) => (Some(Arc::clone(cache)), None),
            Err(reason) => (None, Some(reason.clone()).filter(|_| is_first)),
        }
    }
}
