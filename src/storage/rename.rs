//! Renaming without replacing anything, on every kind of file system.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, RenameFlags};
use rustix::io::Errno;

/// How long another process may hold the lock of a directory on a file system that has only that.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Renames `from` to `to`, durably only once both directories are flushed. Fails if `to` is taken, whatever it is.
pub fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rename_new(CWD, from, CWD, to)?)
}

/// Renames without replacing anything. Fails with `EXIST`, or `NOTEMPTY` for a directory, if `to` is taken.
pub(crate) fn rename_new(
    from_dir: BorrowedFd<'_>,
    from: &Path,
    to_dir: BorrowedFd<'_>,
    to: &Path,
) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from_dir, from, to_dir, to, RenameFlags::NOREPLACE) {
        // File systems that do not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        result => return result,
    }
    let found = rustix::fs::statat(from_dir, from, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        match link(from_dir, from, to_dir, to) {
            // File systems without hard links, such as exFAT, or a file of another user.
            Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP) => {}
            result => return result,
        }
    }
    rename_locked(from_dir, from, to_dir, to)
}

/// Does what [`rename_new`] does for files: `link` refuses a taken name.
fn link(from_dir: BorrowedFd<'_>, from: &Path, to_dir: BorrowedFd<'_>, to: &Path) -> Result<(), Errno> {
    rustix::fs::linkat(from_dir, from, to_dir, to, AtFlags::empty())?;
    rustix::fs::unlinkat(from_dir, from, AtFlags::empty())
}

/// Does what [`rename_new`] does with calls that every system has: looks whether the name is taken, then renames, while
/// it holds a lock on the directory against others that do the same.
///
/// A crash leaves the old name or the new one, as with any rename: the lock ends with the process.
fn rename_locked(from_dir: BorrowedFd<'_>, from: &Path, to_dir: BorrowedFd<'_>, to: &Path) -> Result<(), Errno> {
    let is_locked = lock(to_dir)?;
    let renamed = match rustix::fs::statat(to_dir, to, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => rustix::fs::renameat(from_dir, from, to_dir, to),
        Err(error) => Err(error),
    };
    if is_locked {
        // It ends with the directory's descriptor too.
        let _ = rustix::fs::flock(to_dir, FlockOperation::Unlock);
    }
    renamed
}

/// Locks a directory, and returns whether its file system can do that.
fn lock(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    let deadline = Instant::now() + MAX_WAIT;
    loop {
        match rustix::fs::flock(dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            Err(Errno::AGAIN) => return Err(Errno::AGAIN),
            // Network file systems lock only what is open for writing, which a directory never is.
            Err(_) => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;

    use super::*;

    type Rename = fn(BorrowedFd<'_>, &Path, BorrowedFd<'_>, &Path) -> Result<(), Errno>;

    #[test]
    fn no_way_to_rename_replaces_anything() {
        let ways: [(Rename, &[&str]); 3] =
            [(rename_new, &["file", "dir"]), (link, &["file"]), (rename_locked, &["file", "dir"])];
        for (rename, sources) in ways {
            let dir = tempfile::tempdir().unwrap();
            for name in ["file", "taken"] {
                fs::write(dir.path().join(name), name).unwrap();
            }
            for name in ["dir", "full"] {
                fs::create_dir(dir.path().join(name)).unwrap();
                fs::write(dir.path().join(name).join("x"), name).unwrap();
            }
            let root = File::open(dir.path()).unwrap();
            let rename = |from: &str, to: &str| rename(root.as_fd(), from.as_ref(), root.as_fd(), to.as_ref());
            for from in sources {
                for to in ["taken", "full"] {
                    let refused = rename(from, to).unwrap_err();
                    assert!(matches!(refused, Errno::EXIST | Errno::NOTEMPTY), "{from} to {to}: {refused}");
                }
            }
            assert_eq!(fs::read_to_string(dir.path().join("taken")).unwrap(), "taken");
            assert_eq!(rename("gone", "other"), Err(Errno::NOENT));
            for from in sources {
                rename(from, &format!("new {from}")).unwrap();
                assert!(!dir.path().join(from).exists());
            }
            assert_eq!(fs::read_to_string(dir.path().join("new file")).unwrap(), "file");
        }
    }

    #[test]
    fn only_one_of_several_renames_to_a_name_succeeds_where_there_are_only_locks() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let done: usize = thread::scope(|scope| {
                let renames: Vec<_> = (0..4)
                    .map(|number| {
                        let (dir, from) = (dir.path(), format!("{round}-{number}"));
                        fs::write(dir.join(&from), &from).unwrap();
                        scope.spawn(move || {
                            let root = File::open(dir).unwrap();
                            rename_locked(root.as_fd(), from.as_ref(), root.as_fd(), format!("{round}").as_ref())
                        })
                    })
                    .collect();
                renames.into_iter().map(|rename| usize::from(rename.join().unwrap().is_ok())).sum()
            });
            assert_eq!(done, 1);
        }
    }
}
