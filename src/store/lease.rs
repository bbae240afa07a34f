//! A lock for where there are none: an object that others respect for a minute after it was last written, or until its
//! holder is known to have died.
//!
//! Commits, prunes, undos, pins and restores are safe without it. It keeps two prunes from doing the same work, and it is
//! what a copy relies on: objects are named by their content, so an object that a copy writes may be one that a prune is
//! about to delete.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::system::uname;

use crate::storage::{LockGuard, Storage, StorageError, TEMPORARY_PREFIX};
use crate::values::random::random;
use crate::values::relpath::RelPath;

/// How long a lease counts after it was last written, in seconds by the clock of the server.
const LEASE_SECONDS: i64 = 60;

/// How often the holder writes it again.
const RENEWAL: Duration = Duration::from_secs(10);

/// The longest lease that is read, in bytes.
const MAX_BYTES: u64 = 4096;

/// Holds a lease until it is dropped.
#[derive(Debug)]
struct Lease {
    storage: Arc<dyn Storage>,
    path: RelPath,
    text: String,
    /// Ends the thread that renews the lease when it is dropped.
    renewal: Option<(Sender<()>, JoinHandle<()>)>,
}

impl LockGuard for Lease {}

/// Takes the lease at `path`, which is directly in the root. Fails with [`StorageError::Held`] if another process has it.
pub(super) fn take(
    storage: &Arc<dyn Storage>,
    path: &RelPath,
    holder: &str,
) -> Result<Box<dyn LockGuard>, StorageError> {
    // Two leases never have the same text.
    let text = format!("{holder}\n{:016x}\n", random());
    match storage.create(path, text.as_bytes()) {
        Err(error) if error.is_exists() => {}
        created => return created.map(|()| hold(storage, path, text)),
    }
    let found = storage.get(path, MAX_BYTES).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let holder = |found: &str| found.lines().next().unwrap_or("another process").to_owned();
    let is_dead = found.as_ref().is_ok_and(|found| is_dead(found));
    match (found, age(storage.as_ref(), path)?) {
        (Ok(found), Some(age)) if age <= LEASE_SECONDS && !is_dead => {
            Err(StorageError::Held { path: path.to_string(), holder: holder(&found) })
        }
        (Err(error), _) if !error.is_not_found() => Err(error),
        // Its holder died, or has just released it.
        _ => {
            storage.delete(path)?;
            match storage.create(path, text.as_bytes()) {
                Err(error) if error.is_exists() => {
                    Err(StorageError::Held { path: path.to_string(), holder: "another process".to_owned() })
                }
                created => created.map(|()| hold(storage, path, text)),
            }
        }
    }
}

fn hold(storage: &Arc<dyn Storage>, path: &RelPath, text: String) -> Box<dyn LockGuard> {
    let (stop, stopped) = bounded::<()>(0);
    let (place, name, content) = (Arc::clone(storage), path.clone(), text.clone());
    let renew = move || {
        while stopped.recv_timeout(RENEWAL) == Err(RecvTimeoutError::Timeout) {
            let _ = place.replace(&name, content.as_bytes());
        }
    };
    // Without a thread it ends after a minute.
    let thread = thread::Builder::new().name("lease".to_owned()).spawn(renew);
    let renewal = thread.ok().map(|thread| (stop, thread));
    Box::new(Lease { storage: Arc::clone(storage), path: path.clone(), text, renewal })
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.renewal.take() {
            drop(stop);
            let _ = thread.join();
        }
        if self.storage.get(&self.path, MAX_BYTES).is_ok_and(|found| found == self.text.as_bytes()) {
            let _ = self.storage.delete(&self.path);
        }
    }
}

/// Tells whether the process that `holder` names, `process NUMBER on HOST`, was on this machine and has ended.
fn is_dead(holder: &str) -> bool {
    is_alive(holder) == Some(false)
}

/// Tells whether a process exists that has the number of the one that `holder` names; nothing if that one is or was on
/// another machine.
pub(super) fn is_alive(holder: &str) -> Option<bool> {
    let (number, rest) = holder.split_once("process ")?.1.split_once(" on ")?;
    let host = rest.split([',', '\n']).next()?;
    let (own, number) = (uname(), number.parse().ok().and_then(Pid::from_raw)?);
    let is_here = own.nodename().to_bytes() == host.as_bytes();
    is_here.then(|| test_kill_process(number) != Err(Errno::SRCH))
}

/// Returns how long ago the file at `path` was written, in seconds by the clock of the server.
fn age(storage: &dyn Storage, path: &RelPath) -> Result<Option<i64>, StorageError> {
    let clock = RelPath::new(format!("{TEMPORARY_PREFIX}clock-{:016x}", random())).expect("the name is plain");
    storage.create(&clock, b"")?;
    let entries = storage.list(None)?;
    storage.delete(&clock)?;
    let modified =
        |name: &str| entries.iter().find(|entry| entry.name == name).and_then(|entry| entry.modified_seconds);
    Ok(modified(clock.as_str()).zip(modified(path.as_str())).map(|(now, then)| now - then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_machine_is_known_to_be_dead() {
        let host = uname().nodename().to_string_lossy().into_owned();
        let holder = |number: u32, host: &str| format!("`ckpt prune`, process {number} on {host}, since now\nx\n");
        // Larger than any number of a process.
        assert!(is_dead(&holder(1 << 30, &host)));
        assert!(!is_dead(&holder(std::process::id(), &host)));
        assert!(!is_dead(&holder(1 << 30, &format!("{host}2"))) && !is_dead("a test") && !is_dead(""));
    }
}
