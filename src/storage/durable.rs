//! Files and directories outside of a storage that have to last: outputs, dead letters, what is restored. So do their names.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes `dir` and what is missing above it, for good.
pub fn make_directory(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|above| !above.as_os_str().is_empty() && fs::metadata(above).is_err()).collect();
    fs::create_dir_all(dir)?;
    missing.into_iter().try_for_each(flush_name)
}

/// Creates an empty file at `path` in the place of what is there: never another file that a link of that name leads to.
pub fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    File::create_new(path)
}

/// Makes the names in `dir` last.
pub fn flush_directory(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir).and_then(|dir| dir.sync_all())
}

/// Makes the name of `path` last, which is in a directory that is there.
pub fn flush_name(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), flush_directory)
}
