//! Stores with several replicas: one that disappears and comes back, and every difference that a crash or a lost disk
//! leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ckpt::format::layout::{self, ObjectKind};
use ckpt::format::manifest::ObjectRef;
use ckpt::format::store_file::StoreFile;
use ckpt::ops::read::Snapshot;
use ckpt::storage::local::LocalStorage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::storage::{Storage, StorageError};
use ckpt::store::{Store, StoreError, StoreLock, StoreNote};
use ckpt::values::digest::Digest;
use ckpt::values::id::{Sequence, StoreId};

use crate::support::failing::Failing;
use crate::support::store_builder::StoreBuilder;
use crate::support::tree;

/// Two directories, and a store that is built in them.
struct Pair {
    dir: tempfile::TempDir,
    builder: StoreBuilder,
    _lock: StoreLock,
}

fn local(path: &Path) -> Arc<dyn Storage> {
    Arc::new(LocalStorage::new(path))
}

impl Pair {
    fn new(min_copies: usize) -> Pair {
        let dir = tempfile::tempdir().expect("a directory");
        let mut builder = StoreBuilder::keyed(&dir.path().join("a"));
        let places = vec![local(&dir.path().join("a")), local(&dir.path().join("b"))];
        let (store, lock) = Store::open_for_writing(places, min_copies, "test").expect("opened");
        store.take_notes();
        builder.store = store;
        Pair { dir, builder, _lock: lock }
    }

    fn a(&self) -> PathBuf {
        self.dir.path().join("a")
    }

    fn b(&self) -> PathBuf {
        self.dir.path().join("b")
    }

    fn away(&self) -> PathBuf {
        self.dir.path().join("away")
    }

    fn commit(&mut self, clicks: i64) -> Sequence {
        let key = format!("key {clicks}");
        self.builder.commit(&[("ann", Some(clicks)), (&key, Some(1))])
    }

    /// Opens the store as the next run would. Drop this one first.
    fn reopen(dir: &Path, min_copies: usize) -> Result<(Store, StoreLock), StoreError> {
        Store::open_for_writing(vec![local(&dir.join("a")), local(&dir.join("b"))], min_copies, "next")
    }

    /// Ends the run and returns the directory.
    fn end(self) -> tempfile::TempDir {
        self.dir
    }
}

/// Returns the files that replicas have in common.
fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = tree(dir);
    files.retain(|name, _| !name.ends_with("lock"));
    files
}

#[track_caller]
fn assert_equal(a: &Path, b: &Path) {
    let (a, b) = (content(a), content(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    assert!(a == b, "a file differs");
}

fn caught_up(notes: &[StoreNote]) -> Vec<(bool, u64)> {
    let caught_up = |note: &StoreNote| match note {
        StoreNote::CaughtUp { new, checkpoints, .. } => Some((*new, *checkpoints)),
        _ => None,
    };
    notes.iter().filter_map(caught_up).collect()
}

#[test]
fn a_replica_that_vanishes_is_reported_once_and_catches_up_when_it_is_back() {
    let mut pair = Pair::new(1);
    pair.commit(1);
    assert_equal(&pair.a(), &pair.b());
    fs::rename(pair.b(), pair.away()).expect("renamed");
    pair.commit(2);
    pair.commit(3);
    pair.builder.store.catch_up();
    let notes = pair.builder.store.take_notes();
    assert!(
        matches!(&notes[..], [StoreNote::Lost { place, .. }] if *place == pair.b().display().to_string()),
        "{notes:?}"
    );
    assert_eq!(pair.builder.store.lost().len(), 1);
    assert!(!pair.b().exists(), "a replica that was removed is not recreated");
    // Something else in its place is not a replica, whatever put it there.
    fs::create_dir(pair.b()).expect("created");
    pair.commit(4);
    pair.builder.store.catch_up();
    assert_eq!(fs::read_dir(pair.b()).expect("listed").count(), 0);
    fs::remove_dir(pair.b()).expect("removed");

    fs::rename(pair.away(), pair.b()).expect("renamed");
    pair.builder.store.catch_up();
    assert_eq!(caught_up(&pair.builder.store.take_notes()), [(false, 3)]);
    assert!(pair.builder.store.lost().is_empty());
    assert_equal(&pair.a(), &pair.b());
    pair.commit(5);
    assert_equal(&pair.a(), &pair.b());
}

#[test]
fn a_replica_that_diverged_while_it_was_away_is_refused_when_it_comes_back_and_reported_once() {
    let mut pair = Pair::new(1);
    pair.commit(1);
    fs::rename(pair.b(), pair.away()).expect("renamed");
    pair.commit(2);
    pair.builder.store.take_notes();
    let mut other = StoreBuilder::keyed(&pair.b());
    other.commit(&[("ann", Some(1)), ("key 1", Some(1))]);
    other.commit(&[("ann", Some(99))]);
    let before = content(&pair.b());
    for expected in [1, 0] {
        pair.builder.store.catch_up();
        let notes = pair.builder.store.take_notes();
        let is_refused = |note: &StoreNote| matches!(note, StoreNote::Lost { reason, .. } if reason.contains("have different checkpoints 2"));
        assert!(notes.len() == expected && notes.iter().all(is_refused), "{notes:?}");
        assert_eq!(pair.builder.store.lost().len(), 1);
    }
    pair.commit(3);
    let after = content(&pair.b());
    assert!(after == before, "nothing crosses the fork");
}

#[test]
fn the_first_replica_may_vanish_as_well() {
    let mut pair = Pair::new(1);
    pair.commit(1);
    fs::rename(pair.a(), pair.away()).expect("renamed");
    pair.commit(2);
    assert_eq!(pair.builder.store.latest().expect("read").map(|it| it.manifest.sequence), Some(Sequence(2)));
    fs::rename(pair.away(), pair.a()).expect("renamed");
    pair.builder.store.catch_up();
    assert_equal(&pair.a(), &pair.b());
}

#[test]
fn fewer_copies_than_required_are_an_error_that_names_the_replica() {
    let mut pair = Pair::new(2);
    pair.commit(1);
    fs::rename(pair.b(), pair.away()).expect("renamed");
    let error = pair.builder.store.put(b"more", ObjectKind::Yaml).expect_err("too few");
    match &error {
        StoreError::TooFewCopies { place, copies: 1, min_copies: 2, .. } => {
            assert_eq!(*place, pair.b().display().to_string())
        }
        error => panic!("{error:?}"),
    }
    assert!(error.to_string().starts_with("only 1 of 2 copies can be made: replica `"), "{error}");
}

#[test]
fn a_run_makes_unequal_replicas_equal_before_it_begins() {
    for lacking in ["a", "b"] {
        let mut pair = Pair::new(2);
        pair.commit(1);
        pair.commit(2);
        let third = pair.commit(3);
        let dir = pair.end();
        let before = content(&dir.path().join("a"));
        // Cut short after the objects were written, before the second commit.
        fs::remove_dir_all(dir.path().join(lacking).join(layout::checkpoint_dir(third).as_str())).expect("removed");
        let (store, _lock) = Pair::reopen(dir.path(), 2).expect("opened");
        assert_eq!(caught_up(&store.take_notes()), [(false, 1)]);
        assert_equal(&dir.path().join("a"), &dir.path().join("b"));
        assert!(content(&dir.path().join("a")) == before);
    }
}

#[test]
fn a_new_disk_and_a_lost_store_catch_up_from_the_other_replica() {
    for lost in ["a", "b"] {
        let mut pair = Pair::new(2);
        for clicks in 1..=4 {
            pair.commit(clicks);
        }
        let dir = pair.end();
        let before = content(&dir.path().join("a"));
        fs::remove_dir_all(dir.path().join(lost)).expect("removed");
        let (store, _lock) = Pair::reopen(dir.path(), 2).expect("opened");
        assert_eq!(caught_up(&store.take_notes()), [(true, 4)]);
        assert!(content(&dir.path().join(lost)) == before);
    }
}

#[test]
fn a_checkpoint_that_is_whole_nowhere_is_left_out_and_reported() {
    let mut pair = Pair::new(1);
    pair.commit(1);
    let second = pair.commit(2);
    pair.commit(3);
    let positions = pair.builder.store.manifest(second).expect("read").manifest.tables.positions;
    let dir = pair.end();
    fs::write(dir.path().join("a").join(positions.object.path().as_str()), b"x").expect("written");
    fs::remove_dir_all(dir.path().join("b")).expect("removed");
    let (store, _lock) = Pair::reopen(dir.path(), 1).expect("opened");
    let notes = store.take_notes();
    assert_eq!(caught_up(&notes), [(true, 2)]);
    assert!(
        notes.iter().any(|note| matches!(note, StoreNote::LeftOut { sequence, .. } if *sequence == second)),
        "{notes:?}"
    );
}

#[test]
fn directories_that_are_not_copies_of_each_other_are_refused() {
    let mut pair = Pair::new(2);
    pair.commit(1);
    let dir = pair.end();
    // Two runs, each with only one of the replicas.
    for (name, clicks) in [("a", 7), ("b", 8)] {
        let mut alone = StoreBuilder::keyed(&dir.path().join(format!("new {name}")));
        alone.store = Store::open(vec![local(&dir.path().join(name))]).expect("opened");
        let first = alone.store.manifest(Sequence(1)).expect("read");
        let mut draft = alone.draft(&[("ann", Some(clicks))]);
        draft.manifest.sequence = Sequence(2);
        draft.manifest.parent = Some(ckpt::format::manifest::Parent { sequence: Sequence(1), sha256: first.sha256 });
        alone.commit_draft(draft);
    }
    let error = Pair::reopen(dir.path(), 1).expect_err("refused");
    assert!(
        matches!(&error, StoreError::Diverged { sequence: Sequence(2), place, other, .. }
        if place.ends_with("/a") && other.ends_with("/b")),
        "{error:?}"
    );

    let other = StoreFile {
        format: 1,
        store: StoreId::new([9; 16]),
        job: "clicks".to_owned(),
        created: "2026-11-22T14:00:00Z".parse().expect("a time"),
    };
    Store::create(vec![local(&dir.path().join("c"))], other).expect("created");
    let places = ["a", "c"].map(|name| local(&dir.path().join(name)));
    let error = Store::open_for_writing(places.to_vec(), 1, "next").expect_err("refused");
    assert!(matches!(error, StoreError::Mismatch { field: "store", .. }), "{error:?}");

    std::os::unix::fs::symlink("a", dir.path().join("link")).expect("linked");
    let places = ["a", "link"].map(|name| local(&dir.path().join(name)));
    let error = Store::open_for_writing(places.to_vec(), 1, "next").expect_err("refused");
    assert!(matches!(error, StoreError::SamePlace { .. }), "{error:?}");
}

#[test]
fn a_place_that_cannot_be_read_is_not_mistaken_for_an_empty_one() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("b"), "a file").expect("written");
    let error = Pair::reopen(dir.path(), 1).expect_err("`b` may hold the store");
    assert!(matches!(error, StoreError::Storage(StorageError::NotADirectory { .. })), "{error:?}");
    assert!(!dir.path().join("a").exists());
}

fn copy(store: &Store, sequence: Sequence, object: ObjectRef) -> Result<Vec<u8>, StoreError> {
    store.copy_object_of(sequence, object, Vec::new, |copy, piece| copy.extend_from_slice(piece))
}

#[test]
fn what_is_read_from_another_replica_is_verified_and_reported() {
    let mut pair = Pair::new(2);
    pair.commit(1);
    let latest = pair.commit(2);
    let snapshot = Snapshot::open(&pair.builder.store, latest).expect("read");
    assert!(pair.builder.store.take_notes().is_empty());
    for object in snapshot.objects() {
        let path = pair.a().join(object.object.path().as_str());
        fs::write(&path, vec![b'x'; object.bytes as usize]).expect("written");
        let bytes = pair.builder.store.object(object).expect("the other has it");
        assert_eq!(Digest::of(&bytes), object.object.digest);
        let notes = pair.builder.store.take_notes();
        let [StoreNote::FellBack { path: told, place, .. }] = &notes[..] else { panic!("{notes:?}") };
        assert_eq!((told.as_str(), place.as_str()), (path.to_str().expect("UTF-8"), pair.b().to_str().expect("UTF-8")));
        let copied = copy(&pair.builder.store, latest, object).expect("the other has it");
        assert_eq!(Digest::of(&copied), object.object.digest);
        assert_eq!(pair.builder.store.take_notes(), notes);
        // Longer than it should be, and cut off: nothing of it stays in the copy.
        for damaged in [[&bytes[..], b"z"].concat(), bytes[..bytes.len() - 1].to_vec()] {
            fs::write(&path, damaged).expect("written");
            assert_eq!(copy(&pair.builder.store, latest, object).expect("the other has it"), bytes);
            assert_eq!(pair.builder.store.take_notes().len(), 1);
        }
        // Damaged in both: there is no better copy.
        fs::write(pair.b().join(object.object.path().as_str()), b"y").expect("written");
        assert!(matches!(pair.builder.store.object(object), Err(StoreError::Damaged { .. })));
        assert!(matches!(copy(&pair.builder.store, latest, object), Err(StoreError::Damaged { .. })));
    }
    fs::remove_file(pair.a().join(layout::manifest(latest).as_str())).expect("removed");
    assert_eq!(pair.builder.store.latest().expect("the other has it").map(|it| it.manifest.sequence), Some(latest));
    assert_eq!(pair.builder.store.take_notes().len(), 1);
    // A replica that is merely behind is not reported every time.
    fs::remove_dir_all(pair.a().join(layout::checkpoint_dir(latest).as_str())).expect("removed");
    pair.builder.store.latest().expect("the other has it");
    assert!(pair.builder.store.take_notes().is_empty());
    let lags = pair.builder.store.lags();
    assert_eq!(
        lags.iter().map(|lag| (lag.newest, lag.behind)).collect::<Vec<_>>(),
        [(Some(Sequence(1)), Some(1)), (Some(Sequence(2)), Some(0))]
    );
}

/// A store in memory with one checkpoint in both of its two replicas, before a second one is committed.
fn in_memory() -> (StoreBuilder, [MemoryStorage; 2]) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = StoreBuilder::keyed(dir.path());
    let memory = [MemoryStorage::new(), MemoryStorage::new()];
    let places: Vec<Arc<dyn Storage>> = memory.iter().map(|it| Arc::new(it.clone()) as Arc<dyn Storage>).collect();
    builder.store = Store::create(places, builder.store.file.clone()).expect("created");
    builder.commit(&[("ann", Some(1)), ("bob", Some(2))]);
    (builder, memory)
}

fn memory_content(
    storage: &MemoryStorage,
    dir: Option<&ckpt::values::relpath::RelPath>,
    files: &mut BTreeMap<String, Vec<u8>>,
) {
    for entry in storage.list(dir).expect("listed") {
        let path = match dir {
            None => ckpt::values::relpath::RelPath::new(entry.name).expect("plain"),
            Some(dir) => dir.join(&entry.name).expect("plain"),
        };
        match entry.kind {
            ckpt::storage::EntryKind::Directory => memory_content(storage, Some(&path), files),
            _ if path.as_str().ends_with("lock") => {}
            _ => drop(files.insert(path.to_string(), storage.get(&path, 1 << 20).expect("read").to_vec())),
        }
    }
}

/// Commits a checkpoint while replica `failing` stops after `calls` calls, and returns how many were made, and whether
/// it was committed.
fn commit_with_a_stop(failing: usize, calls: u64) -> (u64, bool, [MemoryStorage; 2]) {
    let (mut builder, memory) = in_memory();
    let stopping = Failing::new(memory[failing].clone()).fail_after(calls);
    let mut places: Vec<Arc<dyn Storage>> = memory.iter().map(|it| Arc::new(it.clone()) as Arc<dyn Storage>).collect();
    places[failing] = Arc::new(stopping.clone());
    builder.store = Store::new(builder.store.file.clone(), places);
    let committed =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.commit(&[("ann", Some(5))]))).is_ok();
    (stopping.calls(), committed, memory)
}

#[test]
fn stopped_at_any_call_in_any_replica_the_next_run_finds_both_equal() {
    for failing in [0, 1] {
        let (calls, committed, _) = commit_with_a_stop(failing, u64::MAX);
        assert!(committed && calls >= 8, "{calls}");
        for stop in 0..calls {
            let (_, committed, memory) = commit_with_a_stop(failing, stop);
            assert!(!committed, "both copies are required");
            let places = || memory.iter().map(|it| Arc::new(it.clone()) as Arc<dyn Storage>).collect();
            // The next run is stopped as well, at every call; after the one that follows, both are equal.
            for stop in 0.. {
                let mut stopping: Vec<Arc<dyn Storage>> = places();
                let storage = Failing::new(memory[failing].clone()).fail_after(stop);
                stopping[failing] = Arc::new(storage.clone());
                drop(Store::open_for_writing(stopping, 1, "stopped"));
                if storage.calls() <= stop {
                    break;
                }
            }
            let (store, _lock) = Store::open_for_writing(places(), 2, "next").expect("opened");
            let latest = store.latest().expect("whole").expect("a checkpoint").manifest.sequence;
            assert!(latest == Sequence(1) || latest == Sequence(2));
            let snapshot = Snapshot::open(&store, latest).expect("whole");
            assert!(snapshot.objects().into_iter().all(|object| store.object(object).is_ok()));
            let content = |number: usize| {
                let mut files = BTreeMap::new();
                memory_content(&memory[number], None, &mut files);
                // Objects of a checkpoint that was never committed may be in one replica only.
                files.retain(|name, _| !name.starts_with("objects/") || latest == Sequence(2));
                files
            };
            assert!(content(0) == content(1), "stopped at call {stop} of replica {failing}");
            assert!(store.take_notes().iter().all(|note| !matches!(note, StoreNote::FellBack { .. })));
        }
    }
}

#[test]
fn a_list_of_places_that_was_not_read_is_neither_none_nor_written_again() {
    let pair = Pair::new(1);
    let places = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    pair.builder.store.set_places(places(["/x", "/y"])).expect("written");
    let path = pair.dir.path().join("a/replicas.yaml");
    let before = fs::read(&path).expect("it exists");
    let stopping = |calls| Failing::new(LocalStorage::new(pair.dir.path().join("a"))).fail_between(calls, 1);
    let store = |storage: Failing<LocalStorage>| Store::new(pair.builder.store.file.clone(), vec![Arc::new(storage)]);
    let error = Store::places(&store(stopping(0)).replicas()[0]).expect_err("not read");
    assert!(error.is_inconclusive(), "{error:?}");
    for list in [places(["/x", "/z"]), vec!["/x".to_owned()]] {
        store(stopping(0)).set_places(list).expect_err("not read");
        assert_eq!(fs::read(&path).expect("it exists"), before);
    }
    store(stopping(9)).set_places(places(["/x", "/z"])).expect("written");
    assert_ne!(fs::read(&path).expect("it exists"), before);
}
