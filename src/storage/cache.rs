//! Copies of files of object storage on this machine: found again only if their bytes are proven.
//!
//! A cache belongs to one user, and any number of processes share it. Everything in it may be deleted at any time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};

use crate::storage::TEMPORARY_PREFIX;
use crate::values::digest::Digest;
use crate::values::lock::lock;
use crate::values::random::random;

/// How many bytes a cache may take by default.
pub const DEFAULT_MAX_BYTES: u64 = 5 << 30;

/// Tells backups and the like that a directory can be left out: <https://bford.info/cachedir/>.
const TAG_FILE: &str = "CACHEDIR.TAG";
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# Copies of files of buckets, made by ckpt\n";

/// What a file takes on disk is a multiple of this.
const BLOCK_BYTES: u64 = 4096;

/// A copy that was used in the last hour counts as used now. That saves a write for each use.
const USE_SECONDS: i64 = 3600;

/// The length of the SHA-256 before the bytes of a file that is not named by it.
const SEAL_BYTES: usize = 32;

/// A directory with copies.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    max_bytes: u64,
    /// When it was opened, in seconds since 1970.
    opened: i64,
    usage: Mutex<Usage>,
}

/// What is in a cache, as far as this process knows: others write to it as well.
#[derive(Debug, Default)]
struct Usage {
    /// Nothing until it is counted.
    bytes: Option<u64>,
    /// How much was written since it was counted.
    new_bytes: u64,
}

/// What a copy is of, and how its bytes are proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKey {
    /// Bytes with this SHA-256.
    Content(Digest),
    /// What a server said that it has under a name and a tag, all of which this is the SHA-256 of.
    Named(Digest),
}

impl Cache {
    /// Opens the cache in `dir`, which is created if it does not exist. It takes up to `max_bytes`.
    ///
    /// Fails if `dir` cannot be written to, and with [`io::ErrorKind::PermissionDenied`] if other users can write to it:
    /// they could replace what the bucket says.
    pub fn open(dir: &Path, max_bytes: u64) -> io::Result<Cache> {
        make_dir(dir)?;
        let found = fs::metadata(dir)?;
        if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
            let reason = "other users can write to it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let mut tag =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join(TAG_FILE))?;
        tag.write_all(TAG)?;
        use_now(&tag)?;
        let opened = tag.metadata()?.mtime();
        Ok(Cache { dir: dir.to_owned(), max_bytes, opened, usage: Mutex::default() })
    }

    /// Returns whether there is a copy, which may be damaged.
    pub fn has(&self, key: CacheKey) -> bool {
        self.path(key).exists()
    }

    /// Returns the bytes of a copy. One that is damaged is deleted.
    pub fn get(&self, key: CacheKey) -> Option<Bytes> {
        let path = self.path(key);
        let mut file = File::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        // `read_to_end` would ask the system for the size and the place once more, and read again to see the end.
        let mut bytes = vec![0; usize::try_from(metadata.len()).ok()?];
        file.read_exact(&mut bytes).ok()?;
        let Some(bytes) = proven(key, bytes.into()) else {
            // Somebody may have replaced it meanwhile: a good copy that is gone is made again.
            let _ = fs::remove_file(&path);
            return None;
        };
        if metadata.mtime() < self.opened - USE_SECONDS {
            let _ = use_now(&file);
        }
        Some(bytes)
    }

    /// Keeps a copy if there is room. `bytes` must be what `key` promises.
    ///
    /// Does nothing if the directory cannot be written to: the next reader asks the server again.
    pub fn put(&self, key: CacheKey, bytes: &[u8]) {
        // One copy must not drive out most of the others.
        if bytes.len() as u64 <= self.max_bytes / 4 && self.make_room(bytes.len()).is_ok() {
            let _ = self.write(key, bytes);
        }
    }

    fn write(&self, key: CacheKey, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(key);
        let dir = path.parent().expect("the path has a directory");
        make_dir(dir)?;
        let temporary = dir.join(format!("{TEMPORARY_PREFIX}{:016x}", random()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            if let CacheKey::Named(_) = key {
                file.write_all(Digest::of(bytes).as_bytes())?;
            }
            file.write_all(bytes)?;
            fs::rename(&temporary, &path)
        };
        // What a power failure leaves of it does not have its SHA-256, so nothing is flushed.
        write().inspect_err(|_| drop(fs::remove_file(&temporary)))
    }

    fn path(&self, key: CacheKey) -> PathBuf {
        let (kind, digest) = match key {
            CacheKey::Content(digest) => (Kind::Content, digest),
            CacheKey::Named(digest) => (Kind::Named, digest),
        };
        let name = digest.to_string();
        self.dir.join(kind.dir()).join(&name[..2]).join(name)
    }

    /// Deletes the copies that were not used for the longest time, until `bytes` more fit.
    fn make_room(&self, bytes: usize) -> io::Result<()> {
        let bytes = (bytes as u64).next_multiple_of(BLOCK_BYTES);
        let mut usage = lock(&self.usage);
        // Other processes write as well, so it is counted again now and then.
        let is_known = usage.new_bytes <= self.max_bytes / 8;
        let used = match usage.bytes.filter(|used| is_known && used + bytes <= self.max_bytes) {
            Some(used) => used,
            None => {
                usage.new_bytes = 0;
                self.evict(self.max_bytes.saturating_sub(bytes))?
            }
        };
        usage.bytes = Some(used + bytes);
        usage.new_bytes += bytes;
        Ok(())
    }

    /// Returns how much the copies take, after deleting some if they take more than `most`.
    fn evict(&self, most: u64) -> io::Result<u64> {
        let mut copies = self.copies()?;
        let mut used = copies.iter().map(|copy| copy.bytes).sum();
        if used <= most {
            return Ok(used);
        }
        copies.sort_unstable_by_key(|copy| copy.used);
        // Some more than needed: counting takes a while.
        let enough = most - most / 8;
        for copy in copies {
            if used <= enough {
                break;
            }
            match fs::remove_file(&copy.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => used -= copy.bytes,
            }
        }
        Ok(used)
    }

    /// Returns all copies, and deletes what processes left behind that were killed.
    fn copies(&self) -> io::Result<Vec<Copy>> {
        let mut copies = Vec::new();
        for kind in [Kind::Content, Kind::Named] {
            for dir in entries(&self.dir.join(kind.dir()))? {
                for entry in entries(&dir.path())? {
                    // It may be deleted by another process.
                    let Ok(metadata) = entry.metadata() else { continue };
                    let used = metadata.mtime();
                    if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX)
                        && used < self.opened - USE_SECONDS
                    {
                        let _ = fs::remove_file(entry.path());
                    } else if metadata.is_file() {
                        let bytes = metadata.len().next_multiple_of(BLOCK_BYTES);
                        copies.push(Copy { path: entry.path(), bytes, used });
                    }
                }
            }
        }
        Ok(copies)
    }
}

/// Whether a copy is named by its bytes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Content,
    Named,
}

impl Kind {
    /// Returns the directory of such copies. A store has none of that name, so a cache never deletes a file of a store.
    fn dir(self) -> &'static str {
        match self {
            Kind::Content => "cached-content",
            Kind::Named => "cached-names",
        }
    }
}

/// A copy as it is listed.
struct Copy {
    path: PathBuf,
    bytes: u64,
    /// When it was last used, in seconds since 1970.
    used: i64,
}

/// Returns the bytes of a copy without their seal, if they are what `key` promises.
fn proven(key: CacheKey, bytes: Bytes) -> Option<Bytes> {
    match key {
        CacheKey::Content(digest) => (Digest::of(&bytes) == digest).then_some(bytes),
        CacheKey::Named(_) => {
            let (seal, content) = bytes.split_at_checked(SEAL_BYTES)?;
            (seal == Digest::of(content).as_bytes()).then(|| bytes.slice(SEAL_BYTES..))
        }
    }
}

/// Creates a directory that only this user can use, with those above it.
fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Returns what is in a directory, nothing if it does not exist.
fn entries(dir: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn use_now(file: &File) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(rustix::fs::futimens(file, &Timestamps { last_access: now, last_modification: now })?)
}

#[cfg(test)]
mod tests;
