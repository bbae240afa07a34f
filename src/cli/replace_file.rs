//! Files that commands write besides their output.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crate::cli::error::CliError;

/// Writes a file. After a crash, and for readers at any time, it is either the old or the new one, complete.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".tmp-{}", std::process::id()));
    let temporary = Path::new(&temporary);
    let write = || {
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    };
    write().map_err(|error| {
        // The first error is the one to report.
        let _ = fs::remove_file(temporary);
        CliError::io("write", path, &error)
    })
}
