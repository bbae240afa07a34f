//! Making directories and names durable, in a storage or outside of one: outputs, dead letters, exported files.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::io::Errno;

/// Creates `dir` and the directories above it that are missing, each flushed before the next one.
pub fn make_directory(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|above| !above.as_os_str().is_empty() && fs::metadata(above).is_err()).collect();
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => flush_name(path)?,
        }
    }
    // Something else may have the name, or a symbolic link to nothing.
    if dir.as_os_str().is_empty() || fs::metadata(dir)?.is_dir() { Ok(()) } else { Err(Errno::EXIST.into()) }
}

/// Creates an empty file at `path`. Removes what has the name, and never writes through a link.
pub fn create_replacing(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    File::create_new(path)
}

/// Flushes the names in `dir`.
pub fn flush_directory(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    flush_opened(File::open(dir)?.as_fd())
}

/// Flushes the name of `path`, which is in a directory that exists.
pub fn flush_name(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), flush_directory)
}

/// Flushes the names in an open directory.
pub(crate) fn flush_opened(dir: BorrowedFd<'_>) -> io::Result<()> {
    match rustix::fs::fsync(dir) {
        // File systems on which directories cannot be flushed, and need not be.
        Err(Errno::INVAL) => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_is_made_with_all_above_it_unless_something_else_has_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b/c");
        make_directory(&inner).unwrap();
        make_directory(&inner).unwrap();
        assert!(inner.is_dir());
        fs::write(dir.path().join("file"), "").unwrap();
        symlink("nothing", dir.path().join("link")).unwrap();
        let kind = |name: &str| make_directory(&dir.path().join(name)).unwrap_err().kind();
        assert_eq!(kind("file"), io::ErrorKind::AlreadyExists);
        assert_eq!(kind("file/x"), io::ErrorKind::NotADirectory);
        assert_eq!(kind("link"), io::ErrorKind::NotFound);
    }
}
