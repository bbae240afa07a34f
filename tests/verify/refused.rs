//! What the system refuses to read is not damaged: each kind of file and directory of a store, with each error.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use ckpt::ops::finding::Severity;
use ckpt::ops::verify::{Depth, Options, verify, verify_with};
use ckpt::storage::{Entry, FileSystem, LockGuard, Storage, StorageError};
use ckpt::store::Store;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use ckpt::values::relpath::RelPath;
use rustix::io::Errno;

use super::{built, calm};

/// Errors of the system that say nothing about the bytes of a file.
const REFUSALS: [Errno; 9] = [
    Errno::ACCESS,
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOMEM,
    Errno::INTR,
    Errno::STALE,
    Errno::ROFS,
    Errno::TIMEDOUT,
    Errno::NOTCONN,
];

/// Errors by which a disk says that it has lost the bytes.
const LOSSES: [Errno; 2] = [Errno::IO, Errno::BADMSG];

/// A storage that does not let one file or directory be read.
#[derive(Debug)]
struct Refusing {
    inner: Arc<dyn Storage>,
    path: String,
    error: Errno,
    /// How often it was to be read.
    asked: Arc<AtomicU64>,
}

impl Refusing {
    fn check(&self, action: &'static str, path: &str) -> Result<(), StorageError> {
        if path != self.path {
            return Ok(());
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Err(StorageError::Io { action, path: path.to_owned(), source: io::Error::from(self.error) })
    }
}

impl Storage for Refusing {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        self.check("read", path.as_str())?;
        self.inner.get(path, limit)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.check("read", path.as_str())?;
        self.inner.get_range(path, range)
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.check("read", path.as_str())?;
        self.inner.size(path)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        self.check("list", dir.map_or("", RelPath::as_str))?;
        self.inner.list(dir)
    }

    fn create(&self, path: &RelPath, _bytes: &[u8]) -> Result<(), StorageError> {
        panic!("`verify` writes `{path}`")
    }

    fn create_dir(&self, path: &RelPath, _files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        panic!("`verify` writes `{path}`")
    }

    fn replace(&self, path: &RelPath, _bytes: &[u8]) -> Result<(), StorageError> {
        panic!("`verify` writes `{path}`")
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        panic!("`verify` deletes `{path}`")
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        panic!("`verify` deletes `{path}`")
    }

    fn sync(&self) -> Result<(), StorageError> {
        panic!("`verify` flushes")
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        self.inner.file_system().map(|_| self as &dyn FileSystem)
    }
}

impl FileSystem for Refusing {
    fn rename(&self, from: &RelPath, _to: &RelPath) -> Result<(), StorageError> {
        panic!("`verify` renames `{from}`")
    }

    fn lock(&self, path: &RelPath, _holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        panic!("`verify` locks `{path}`")
    }
}

/// Returns every file and directory of a store.
fn paths(storage: &dyn Storage) -> BTreeSet<String> {
    let mut paths = BTreeSet::from([String::new()]);
    let mut waiting: Vec<Option<RelPath>> = vec![None];
    while let Some(directory) = waiting.pop() {
        for entry in storage.list(directory.as_ref()).expect("listed") {
            let name = directory.as_ref().map_or_else(|| RelPath::new(&entry.name), |above| above.join(&entry.name));
            let path = name.expect("a plain name");
            paths.insert(path.to_string());
            if entry.kind == ckpt::storage::EntryKind::Directory {
                waiting.push(Some(path));
            }
        }
    }
    paths
}

#[test]
fn what_the_system_refuses_to_read_is_an_error_and_no_finding() {
    let (builder, disks) = built(1);
    let inner = calm(&disks).remove(0);
    let mut never_asked = BTreeSet::new();
    let all = paths(inner.as_ref());
    assert!(all.len() > 30, "a file of every kind: {all:?}");
    let scopes = [(None, Depth::Quick), (None, Depth::Full), (None, Depth::Deep), (Some(Sequence(4)), Depth::Full)];
    let try_all = std::env::var("CKPT_FAULTS").is_ok_and(|faults| faults == "all");
    for (number, path) in all.iter().enumerate() {
        let mut asked_ever = 0;
        for (turn, (only, depth)) in scopes.into_iter().enumerate() {
            let one = (number + turn) % REFUSALS.len();
            for error in if try_all { &REFUSALS[..] } else { &REFUSALS[one..=one] } {
                let asked = Arc::new(AtomicU64::new(0));
                let refusing =
                    Refusing { inner: inner.clone(), path: path.clone(), error: *error, asked: asked.clone() };
                let store = Store::new(builder.store.file.clone(), vec![Arc::new(refusing)]);
                let context = format!("`{path}` {error:?} {only:?} {depth:?}");
                let options = Options { only, depth, ..Options::default() };
                let refused = match verify_with(&store, &options, &Silent) {
                    Err(error) => error.refusal().cloned(),
                    Ok(reports) => {
                        // What was read is reported all the same, and nothing of it is damaged.
                        assert!(!reports[0].is_damaged(), "{context}: {:?}", reports[0].findings);
                        reports[0].refused.clone()
                    }
                };
                let asked = asked.load(Ordering::Relaxed);
                asked_ever += asked;
                assert_eq!(refused.as_ref().map(StorageError::path), Some(path.as_str()).filter(|_| asked > 0));
                assert_eq!(verify(&store, only, depth, &Silent).is_ok(), asked == 0, "{context}");
            }
        }
        if asked_ever == 0 {
            never_asked.insert(path.as_str());
        }
    }
    // Nothing depends on the content of the locks, and the store file was read when the store was opened.
    let expected = ["lock", "objects.lock", "prune.lock"].into_iter().filter(|path| all.contains(*path));
    assert_eq!(never_asked, expected.collect(), "each other file is read");
}

#[test]
fn a_file_that_a_failing_disk_does_not_return_is_damaged() {
    let (builder, disks) = built(1);
    let inner = calm(&disks).remove(0);
    for path in paths(inner.as_ref()) {
        if !path.starts_with("objects/sha256/") && !path.starts_with("checkpoints/0") || !path.contains('.') {
            continue;
        }
        for error in LOSSES {
            let refusing = Refusing { inner: inner.clone(), path: path.clone(), error, asked: Arc::default() };
            let store = Store::new(builder.store.file.clone(), vec![Arc::new(refusing)]);
            let reports = verify(&store, None, Depth::Full, &Silent).unwrap_or_else(|error| panic!("{path}: {error}"));
            let found = reports[0].findings.iter().find(|finding| finding.path == path);
            assert_eq!(found.map(|finding| finding.severity()), Some(Severity::Damage), "{path}: {error:?}");
        }
    }
}

#[test]
fn what_one_replica_refuses_decides_nothing_about_the_other() {
    let (builder, disks) = built(2);
    let [first, second] = <[Arc<dyn Storage>; 2]>::try_from(calm(&disks)).expect("two");
    let objects: Vec<String> = paths(first.as_ref()).into_iter().filter(|path| path.ends_with(".parquet")).collect();
    let (damaged, refused) = (&objects[0], objects.last().expect("an object"));
    disks[1].damage(damaged, Some(b"damaged"));
    let refusing = Refusing { inner: first, path: refused.clone(), error: Errno::ACCESS, asked: Arc::default() };
    let store = Store::new(builder.store.file.clone(), vec![Arc::new(refusing), second]);
    let reports = verify_with(&store, &Options::default(), &Silent).expect("verified");
    assert_eq!(reports[0].refused.as_ref().map(StorageError::path), Some(refused.as_str()));
    assert!(!reports[0].is_intact() && !reports[0].is_damaged(), "{:?}", reports[0].findings);
    assert!(reports[1].refused.is_none() && reports[1].is_damaged(), "{:?}", reports[1].findings);
    let paths: BTreeSet<&str> = reports[1].findings.iter().map(|finding| finding.path.as_str()).collect();
    assert!(paths.contains(damaged.as_str()) && !paths.contains(refused.as_str()), "{paths:?}");
}
