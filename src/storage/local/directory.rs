//! System calls on names in an open directory.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::storage::TEMPORARY_PREFIX;
use crate::storage::durable::flush_opened;
use crate::values::random::random;

/// For reading whatever has the name, without waiting for a writer.
pub(crate) const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// For opening a directory.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// For writing a new file.
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens `path` below `root` without following any symbolic link.
pub(crate) fn open_beneath(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        match rustix::fs::openat2(
            root,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        ) {
            // Kernels before 5.6, and sandboxes that refuse the call.
            Err(Errno::NOSYS | Errno::PERM) => {}
            result => return result,
        }
    }
    open_step_by_step(root, path, flags)
}

/// Does what [`open_beneath`] does with one call per name.
fn open_step_by_step(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let (parent, name) = path.rsplit_once('/').map_or((None, path), |(parent, name)| (Some(parent), name));
    let mut opened = None;
    for way in parent.into_iter().flat_map(|parent| parent.split('/')) {
        let from = opened.as_ref().map_or(root, OwnedFd::as_fd);
        opened = Some(rustix::fs::openat(from, way, DIRECTORY, Mode::empty())?);
    }
    let from = opened.as_ref().map_or(root, OwnedFd::as_fd);
    rustix::fs::openat(from, name, flags, Mode::empty())
}

/// Returns a name that no other call returns, in this process or in another.
pub(crate) fn temporary_name() -> String {
    // A name that is taken after all is refused when it is created.
    format!("{TEMPORARY_PREFIX}{:016x}", random())
}

/// Writes and flushes a new file.
pub(crate) fn write_new(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::from(rustix::fs::openat(dir, name, NEW, Mode::from_raw_mode(0o666))?);
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes and flushes a new directory.
pub(crate) fn write_new_directory(parent: BorrowedFd<'_>, name: &str, files: &[(&str, &[u8])]) -> io::Result<()> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777))?;
    let dir = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
    for (name, bytes) in files {
        write_new(dir.as_fd(), name, bytes)?;
    }
    flush_opened(dir.as_fd())
}

/// Removes what [`write_new_directory`] left behind, as far as possible.
pub(crate) fn remove_directory(parent: BorrowedFd<'_>, name: &str, files: &[(&str, &[u8])]) {
    if let Ok(dir) = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        for (name, _) in files {
            let _ = rustix::fs::unlinkat(&dir, *name, AtFlags::empty());
        }
        let _ = rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn opening_step_by_step_refuses_what_opening_at_once_refuses() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), "x").unwrap();
        symlink("b", dir.path().join("a/link")).unwrap();
        symlink("file", dir.path().join("a/b/link")).unwrap();
        let root = File::open(dir.path()).unwrap();
        for open in [open_beneath, open_step_by_step] {
            assert!(open(root.as_fd(), "a/b/file", READ).is_ok());
            assert!(open(root.as_fd(), "a", READ).is_ok());
            assert_eq!(open(root.as_fd(), "a/c/file", READ).unwrap_err(), Errno::NOENT);
            for refused in ["a/link/file", "a/b/link", "a/b/file/x"] {
                let error = open(root.as_fd(), refused, READ).unwrap_err();
                assert!(matches!(error, Errno::LOOP | Errno::NOTDIR), "{refused}: {error}");
            }
        }
    }
}
