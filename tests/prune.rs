//! Pruning: stopped at every storage call, on a full disk, next to a writer and over replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ckpt::format::layout::{self, ObjectKind, ObjectName};
use ckpt::format::manifest::Routing;
use ckpt::ops::pin::{pin, unpin};
use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::FileSystem as _;
use ckpt::storage::memory::MemoryStorage;
use ckpt::storage::{EntryKind, Storage};
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{Fate, LeftoverKind, Outcome, Plan, PruneError, Request, apply, apply_undo, plan, plan_undo};
use ckpt::store::records::history::EventKind;
use ckpt::store::{Store, StoreError};
use ckpt::values::digest::Digest;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use ckpt::values::relpath::RelPath;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::support::failing::Failing;
use crate::support::store_builder::StoreBuilder;

const DAY: Duration = Duration::from_secs(86_400);

fn path(text: &str) -> RelPath {
    RelPath::new(text).expect("plain")
}

/// The time at which the tests prune: after every checkpoint of the builder.
fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

fn last(count: u64, grace: Duration) -> Request {
    Request { policy: Policy { last: count, ..Policy::default() }, grace, zone: TimeZone::UTC }
}

/// Fills a store with eight checkpoints that share segments, fold bases and have a tombstone.
fn fill(builder: &mut StoreBuilder) {
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4)), ("xan", Some(9))]);
    builder.commit(&[("cyd", Some(30)), ("eve", Some(5))]);
    builder.commit(&[("dan", None), ("fay", Some(6))]);
    builder.commit(&[("ann", Some(7))]);
    builder.restart();
    builder.commit(&[("ann", Some(8)), ("gus", Some(1))]);
    builder.commit(&[("bob", Some(8))]);
    builder.restart();
    builder.commit(&[("cyd", Some(8))]);
    builder.commit(&[("eve", Some(9))]);
}

fn in_memory(replicas: usize) -> (StoreBuilder, Vec<MemoryStorage>) {
    let storages: Vec<MemoryStorage> = (0..replicas).map(|_| MemoryStorage::new()).collect();
    let all = storages.iter().map(|storage| Arc::new(storage.clone()) as Arc<dyn Storage>).collect();
    let mut builder = StoreBuilder::on(all, 8, 3, Routing::KeyHash);
    fill(&mut builder);
    (builder, storages)
}

/// An independent copy of a storage in memory.
fn copy(storage: &MemoryStorage) -> MemoryStorage {
    let copy = MemoryStorage::new();
    for (name, bytes) in files(storage) {
        copy.create(&path(&name), &bytes).expect("created");
    }
    copy
}

/// All files except locks.
fn files(storage: &MemoryStorage) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![None];
    while let Some(directory) = directories.pop() {
        for entry in storage.list(directory.as_ref()).expect("listed") {
            let name = directory.as_ref().map_or(entry.name.clone(), |directory| format!("{directory}/{}", entry.name));
            match entry.kind {
                EntryKind::Directory => directories.push(Some(path(&name))),
                _ if name.ends_with("lock") => {}
                _ => {
                    let bytes = storage.get(&path(&name), u64::MAX).expect("read");
                    files.insert(name, bytes.to_vec());
                }
            }
        }
    }
    files
}

/// The same without the history, which records every attempt.
fn content(storage: &MemoryStorage) -> BTreeMap<String, Vec<u8>> {
    files(storage).into_iter().filter(|(name, _)| !name.starts_with("history/")).collect()
}

fn open(storages: &[MemoryStorage]) -> Store {
    Store::open(storages.iter().map(|storage| Arc::new(storage.clone()) as Arc<dyn Storage>).collect())
        .expect("a store")
}

fn prune_at(store: &Store, request: &Request, now: Timestamp) -> Result<Outcome, PruneError> {
    let plan = plan(store, request, now, &Silent)?;
    apply(store, &plan, "a test", &Silent)
}

fn prune(store: &Store, request: &Request) -> Result<Outcome, PruneError> {
    prune_at(store, request, now())
}

fn numbers(store: &Store) -> Vec<u64> {
    store.sequences().expect("listed").into_iter().map(|sequence| sequence.0).collect()
}

/// Checks that every existing checkpoint is whole, in every replica.
#[track_caller]
fn assert_whole(store: &Store) {
    for report in verify(store, None, Depth::Deep, &Silent).expect("looked at") {
        assert!(report.is_intact(), "{:#?}", report.findings);
    }
}

fn removed(plan: &Plan) -> Vec<u64> {
    plan.removed().map(|checkpoint| checkpoint.sequence.0).collect()
}

#[test]
fn pruned_checkpoints_free_exactly_what_nothing_else_needs() {
    let (builder, storages) = in_memory(1);
    let request = last(2, Duration::ZERO);
    let plan = plan(&builder.store, &request, now(), &Silent).expect("planned");
    assert_eq!(removed(&plan), [1, 2, 3, 4, 5, 6]);
    let size = |files: &BTreeMap<String, Vec<u8>>| -> u64 {
        files.iter().filter(|(name, _)| name.starts_with("objects/")).map(|(_, bytes)| bytes.len() as u64).sum()
    };
    let before = size(&files(&storages[0]));
    let outcome = apply(&builder.store, &plan, "a test", &Silent).expect("pruned");
    assert_eq!(outcome.checkpoints, 6);
    assert_eq!(before - size(&files(&storages[0])), plan.removed_bytes());
    assert_eq!(outcome.freed_bytes, plan.removed_bytes());
    assert_eq!(numbers(&builder.store), [7, 8]);
    assert_whole(&builder.store);
    let again = super::prune::plan(&builder.store, &request, now(), &Silent).expect("planned");
    assert!(!again.has_work() && again.leftovers.is_empty(), "{again:?}");
}

#[test]
fn a_prune_stopped_at_any_call_leaves_a_whole_store_that_the_next_one_finishes() {
    for grace in [Duration::ZERO, DAY] {
        let (_, original) = in_memory(2);
        let request = last(2, grace);
        let run = |limit: u64| {
            let storages: Vec<MemoryStorage> = original.iter().map(copy).collect();
            // The second replica is behind: it lacks one checkpoint.
            let failing = Failing::new(storages[0].clone()).fail_after(limit);
            let counter = failing.clone();
            let other = failing.beside(storages[1].clone());
            let replicas: Vec<Arc<dyn Storage>> = vec![Arc::new(failing), Arc::new(other)];
            let outcome = Store::open(replicas).map_err(PruneError::from).and_then(|store| prune(&store, &request));
            (storages, outcome, counter.calls())
        };
        let (undisturbed, outcome, calls) = run(u64::MAX);
        outcome.expect("pruned");
        let expected: Vec<_> = undisturbed.iter().map(content).collect();
        assert!(calls > 40, "{calls}");
        for limit in 0..calls {
            let (storages, outcome, _) = run(limit);
            assert!(outcome.is_err() || storages.iter().map(content).collect::<Vec<_>>() == expected, "{limit}");
            let store = open(&storages);
            for number in [7, 8] {
                store.manifest(Sequence(number)).expect("kept");
            }
            assert_whole(&store);
            prune(&store, &request).expect("finished");
            let found: Vec<_> = storages.iter().map(content).collect();
            assert!(found == expected, "stopped after {limit} calls: {:?}", names_of(&found, &expected));
            assert_whole(&store);
            let departures = store.history().expect("read").departures();
            assert!((1..=6).all(|number| departures.of(Sequence(number)).is_some()), "{limit}");
        }
    }
}

/// The names that only one side has.
fn names_of(a: &[BTreeMap<String, Vec<u8>>], b: &[BTreeMap<String, Vec<u8>>]) -> Vec<String> {
    let names = |all: &[BTreeMap<String, Vec<u8>>]| -> BTreeSet<String> {
        all.iter().enumerate().flat_map(|(at, files)| files.keys().map(move |name| format!("{at}: {name}"))).collect()
    };
    names(a).symmetric_difference(&names(b)).cloned().collect()
}

#[test]
fn the_end_of_a_grace_period_stopped_at_any_call_is_finished_by_the_next_prune() {
    let (_, original) = in_memory(1);
    prune(&open(&original), &last(2, DAY)).expect("pruned");
    let later = now() + SignedDuration::from_hours(25);
    let run = |limit: u64| {
        let storage = copy(&original[0]);
        let failing = Failing::new(storage.clone()).fail_after(limit);
        let counter = failing.clone();
        let outcome = Store::open(vec![Arc::new(failing)])
            .map_err(PruneError::from)
            .and_then(|store| prune_at(&store, &last(2, Duration::ZERO), later));
        (storage, outcome, counter.calls())
    };
    let (undisturbed, outcome, calls) = run(u64::MAX);
    assert_eq!(outcome.expect("pruned").expired, 6);
    for limit in 0..calls {
        let (storage, outcome, _) = run(limit);
        assert!(outcome.is_err() || content(&storage) == content(&undisturbed), "{limit}");
        let store = open(std::slice::from_ref(&storage));
        assert_whole(&store);
        prune_at(&store, &last(2, Duration::ZERO), later).expect("finished");
        assert!(content(&storage) == content(&undisturbed), "stopped after {limit} calls");
    }
}

#[test]
fn pruned_checkpoints_can_come_back_until_the_grace_period_is_over() {
    let (builder, storages) = in_memory(2);
    let store = &builder.store;
    let before: Vec<_> = storages.iter().map(content).collect();
    assert!(matches!(plan_undo(store, &Silent), Err(PruneError::NothingToUndo { .. })));
    prune(store, &last(4, DAY)).expect("pruned");
    prune_at(store, &last(2, DAY), now() + SignedDuration::from_hours(1)).expect("pruned");
    assert_eq!(numbers(store), [7, 8]);
    assert_whole(store);
    for expected in [vec![5, 6], vec![1, 2, 3, 4]] {
        let plan = plan_undo(store, &Silent).expect("planned");
        assert_eq!(plan.checkpoints.iter().map(|(sequence, _)| sequence.0).collect::<Vec<_>>(), expected);
        apply_undo(store, &plan, "a test", now(), &Silent).expect("brought back");
        assert_whole(store);
    }
    assert_eq!(storages.iter().map(content).collect::<Vec<_>>(), before);
    assert!(matches!(plan_undo(store, &Silent), Err(PruneError::NothingToUndo { .. })));
    let kinds: Vec<EventKind> = store.history().expect("read").events.iter().map(|event| event.event).collect();
    assert_eq!(kinds, [EventKind::Pruned, EventKind::Pruned, EventKind::Undone, EventKind::Undone]);

    prune(store, &last(2, DAY)).expect("pruned");
    let plan = plan(store, &last(2, DAY), now() + SignedDuration::from_hours(23), &Silent).expect("planned");
    assert!(plan.pruned.iter().all(|earlier| !earlier.is_due) && !plan.has_work());
    let outcome = prune_at(store, &last(2, DAY), now() + SignedDuration::from_hours(25)).expect("pruned");
    assert_eq!(outcome.expired, 6);
    assert!(matches!(plan_undo(store, &Silent), Err(PruneError::NothingToUndo { .. })));
}

#[test]
fn an_undo_stopped_at_any_call_is_finished_by_the_next() {
    let (_, original) = in_memory(1);
    let before = content(&original[0]);
    prune(&open(&original), &last(2, DAY)).expect("pruned");
    let undo = |storage: Arc<dyn Storage>| -> Result<(), PruneError> {
        let store = Store::open(vec![storage])?;
        apply_undo(&store, &plan_undo(&store, &Silent)?, "a test", now(), &Silent)
    };
    let counter = Failing::new(copy(&original[0]));
    undo(Arc::new(counter.clone())).expect("brought back");
    for limit in 0..counter.calls() {
        let storage = copy(&original[0]);
        undo(Arc::new(Failing::new(storage.clone()).fail_after(limit))).expect_err("stopped");
        assert_whole(&open(std::slice::from_ref(&storage)));
        match undo(Arc::new(storage.clone())) {
            Ok(()) | Err(PruneError::NothingToUndo { .. }) => {}
            Err(error) => panic!("{limit}: {error}"),
        }
        assert!(content(&storage) == before, "stopped after {limit} calls");
    }
}

#[test]
fn an_undo_that_was_stopped_between_two_replicas_continues_and_so_does_one_with_both_names() {
    let (builder, storages) = in_memory(2);
    let before: Vec<_> = storages.iter().map(content).collect();
    for both in [false, true] {
        prune(&builder.store, &last(2, DAY)).expect("pruned");
        let sequence = Sequence(3);
        let (pruned, live) = (layout::pruned_dir(sequence), layout::checkpoint_dir(sequence));
        let files = ["manifest.yaml", "SHA256SUMS"].map(|name| {
            let bytes = storages[0].get(&pruned.join(name).expect("plain"), u64::MAX).expect("read");
            (name, bytes)
        });
        if both {
            storages[0].create_dir(&live, &files.each_ref().map(|(name, bytes)| (*name, &bytes[..]))).expect("created");
        } else {
            storages[0].rename(&pruned, &live).expect("renamed");
        }
        let plan = plan_undo(&builder.store, &Silent).expect("planned");
        apply_undo(&builder.store, &plan, "a test", now(), &Silent).expect("brought back");
        assert!(storages.iter().map(content).collect::<Vec<_>>() == before);
    }
}

#[test]
fn an_undo_that_would_be_incomplete_is_refused() {
    let (builder, storages) = in_memory(1);
    let store = &builder.store;
    let index = store.manifest(Sequence(3)).expect("read").manifest.tables.positions.object;
    prune(store, &last(2, DAY)).expect("pruned");
    let state = files(&storages[0]);
    storages[0].delete(&index.path()).expect("deleted");
    assert!(matches!(plan_undo(store, &Silent), Err(PruneError::ObjectsGone { sequence: Sequence(3), missing: 1 })));
    storages[0].create(&index.path(), &state[index.path().as_str()]).expect("created");
    storages[0].create_dir(&layout::checkpoint_dir(Sequence(2)), &[("x", b"x")]).expect("created");
    assert!(matches!(
        plan_undo(store, &Silent),
        Err(PruneError::Store(StoreError::NumberTaken { sequence: Sequence(2) }))
    ));
}

#[test]
fn when_any_checkpoint_cannot_be_read_nothing_is_deleted() {
    let (_, original) = in_memory(1);
    let all = files(&original[0]);
    let index = open(&original).manifest(Sequence(2)).expect("read").manifest.tables.index.object.path();
    let damages: [(&str, &str); 4] = [
        ("checkpoints/00000002/manifest.yaml", ""),
        ("checkpoints/00000002/SHA256SUMS", ""),
        ("checkpoints/00000008/manifest.yaml", ""),
        // A line of the list, and the index that would show what it should be.
        ("checkpoints/00000002/SHA256SUMS", index.as_str()),
    ];
    for (file, with) in damages {
        for keep in 1..=8 {
            let storage = copy(&original[0]);
            let bytes = match with {
                "" => b"format: 1\n".to_vec(),
                _ => all[file].iter().skip_while(|byte| **byte != b'\n').skip(1).copied().collect(),
            };
            storage.replace(&path(file), &bytes).expect("replaced");
            if !with.is_empty() {
                storage.replace(&path(with), b"x").expect("replaced");
            }
            let before = files(&storage);
            let refused = prune(&open(std::slice::from_ref(&storage)), &last(keep, Duration::ZERO));
            assert!(matches!(refused, Err(PruneError::Unreadable { .. })), "{file}: {refused:?}");
            assert_eq!(files(&storage), before);
        }
    }
}

#[test]
fn a_list_of_objects_that_lost_a_line_is_not_trusted() {
    let (_, original) = in_memory(1);
    let lines = files(&original[0])["checkpoints/00000007/SHA256SUMS"].clone();
    let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    for gone in 0..lines.len() - 1 {
        let storage = copy(&original[0]);
        let rest: Vec<u8> =
            lines.iter().enumerate().filter(|(at, _)| *at != gone).flat_map(|(_, l)| l.to_vec()).collect();
        storage.replace(&layout::sums(Sequence(7)), &rest).expect("replaced");
        let store = open(std::slice::from_ref(&storage));
        prune(&store, &last(2, Duration::ZERO)).expect("pruned");
        storage.replace(&layout::sums(Sequence(7)), &lines.concat()).expect("replaced");
        assert_whole(&store);
    }
}

#[test]
fn the_newest_whole_checkpoint_stays_when_the_latest_lacks_an_object() {
    let (builder, storages) = in_memory(1);
    let object = builder.store.manifest(Sequence(8)).expect("read").manifest.tables.positions.object;
    storages[0].delete(&object.path()).expect("deleted");
    let plan = plan(&builder.store, &last(1, DAY), now(), &Silent).expect("planned");
    assert_eq!(removed(&plan), [1, 2, 3, 4, 5, 6]);
    assert!(!plan.checkpoints[7].is_whole);
}

#[test]
fn a_pin_keeps_its_checkpoint_even_if_it_is_set_after_the_plan() {
    let (builder, _) = in_memory(2);
    let store = &builder.store;
    pin(store, Sequence(2), Some("before the migration"), now(), "a test").expect("pinned");
    assert!(matches!(
        pin(store, Sequence(9), None, now(), "a test"),
        Err(StoreError::NoCheckpoint { sequence: Sequence(9), .. })
    ));
    let plan = plan(store, &last(2, DAY), now(), &Silent).expect("planned");
    assert_eq!(removed(&plan), [1, 3, 4, 5, 6]);
    pin(store, Sequence(4), None, now(), "a test").expect("pinned");
    assert!(matches!(apply(store, &plan, "a test", &Silent), Err(PruneError::Moved { .. })));
    prune(store, &last(2, DAY)).expect("pruned");
    assert_eq!(numbers(store), [2, 4, 7, 8]);
    assert!(unpin(store, Sequence(2), "a test").expect("unpinned"));
    prune(store, &last(2, DAY)).expect("pruned");
    assert_eq!(numbers(store), [4, 7, 8]);
}

#[test]
fn a_plan_that_no_longer_fits_changes_nothing() {
    let (mut builder, storages) = in_memory(1);
    let old = plan(&builder.store, &last(2, DAY), now(), &Silent).expect("planned");
    prune(&builder.store, &last(7, DAY)).expect("pruned");
    let before = files(&storages[0]);
    assert!(matches!(apply(&builder.store, &old, "a test", &Silent), Err(PruneError::Moved { .. })));
    assert_eq!(files(&storages[0]), before);
    // A commit does not stop the prune: what is newer than the plan stays.
    let old = plan(&builder.store, &last(2, Duration::ZERO), now(), &Silent).expect("planned");
    builder.commit(&[("zoe", Some(1))]);
    apply(&builder.store, &old, "a test", &Silent).expect("pruned");
    assert_eq!(numbers(&builder.store), [7, 8, 9]);
    assert_whole(&builder.store);
}

#[test]
fn two_prunes_do_not_run_at_the_same_time() {
    let (builder, _) = in_memory(1);
    let _lock = builder.store.lock_prune("somebody else").expect("locked");
    let refused = prune(&builder.store, &last(2, DAY));
    assert!(matches!(&refused, Err(PruneError::Store(StoreError::Busy { holder, .. })) if holder == "somebody else"));
}

#[test]
fn a_full_disk_is_pruned_without_grace_and_refuses_with_it() {
    let (_, original) = in_memory(1);
    for room in 0..4 {
        let storage = copy(&original[0]);
        let full = |storage: &MemoryStorage| {
            Store::open(vec![Arc::new(Failing::new(storage.clone()).room(room)) as Arc<dyn Storage>]).expect("a store")
        };
        if room == 0 {
            let before = content(&storage);
            let refused = prune(&full(&storage), &last(2, DAY));
            assert!(matches!(refused, Err(PruneError::NoRoom { .. })), "{refused:?}");
            assert_eq!(content(&storage), before);
        }
        let store = full(&storage);
        prune(&store, &last(2, Duration::ZERO)).expect("pruned");
        assert_eq!(numbers(&store), [7, 8]);
        assert_whole(&store);
        let departures = store.history().expect("read").departures();
        assert!((1..=6).all(|number| departures.of(Sequence(number)).is_some()));
    }
}

#[test]
fn a_prune_on_a_full_disk_stopped_at_any_call_leaves_a_whole_store() {
    let (_, original) = in_memory(1);
    let run = |limit: u64| {
        let storage = copy(&original[0]);
        let failing = Failing::new(storage.clone()).room(0).fail_after(limit);
        let counter = failing.clone();
        let outcome = Store::open(vec![Arc::new(failing)])
            .map_err(PruneError::from)
            .and_then(|store| prune(&store, &last(2, Duration::ZERO)));
        (storage, outcome.is_ok(), counter.calls())
    };
    let (undisturbed, _, calls) = run(u64::MAX);
    for limit in 0..calls {
        let (storage, done, _) = run(limit);
        let store = open(std::slice::from_ref(&storage));
        for report in verify(&store, None, Depth::Deep, &Silent).expect("looked at") {
            // The directory that was deleted to make room may be gone before that is recorded.
            let lost: Vec<_> = report.damaged().into_iter().collect();
            assert!(lost.is_empty() || lost == [Sequence(1)], "{limit}: {:#?}", report.findings);
        }
        assert!(!done || content(&storage) == content(&undisturbed));
        prune(&store, &last(2, Duration::ZERO)).expect("finished");
        assert!(content(&storage) == content(&undisturbed), "{limit}");
    }
}

#[test]
fn replicas_that_are_behind_are_pruned_too() {
    let (_, storages) = in_memory(3);
    storages[1].delete_dir(&layout::checkpoint_dir(Sequence(2))).expect("deleted");
    storages[2].delete_dir(&layout::checkpoint_dir(Sequence(8))).expect("deleted");
    let store = open(&storages);
    prune(&store, &last(2, Duration::ZERO)).expect("pruned");
    for (storage, expected) in storages.iter().zip([vec![7, 8], vec![7, 8], vec![7]]) {
        let alone = open(std::slice::from_ref(storage));
        assert_eq!(numbers(&alone), expected);
        assert_whole(&alone);
    }
    let objects = |storage: &MemoryStorage| -> Vec<String> {
        files(storage).into_keys().filter(|name| name.starts_with("objects/")).collect()
    };
    assert_eq!(objects(&storages[0]), objects(&storages[2]), "objects that a replica is about to get are kept");
}

/// Makes a file or directory look as if it was written `hours` hours ago.
fn age(path: &Path, hours: u64) {
    let time = SystemTime::now() - Duration::from_secs(3600 * hours);
    File::open(path)
        .and_then(|file| file.set_modified(time))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Makes everything in a store look `hours` hours old.
fn age_all(directory: &Path, hours: u64) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            age_all(&entry.path(), hours);
        }
        age(&entry.path(), hours);
    }
}

/// A store on disk whose files are a hundred hours old.
fn on_disk() -> (tempfile::TempDir, StoreBuilder) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = StoreBuilder::keyed(&dir.path().join("s"));
    fill(&mut builder);
    age_all(&dir.path().join("s"), 100);
    age_all(&dir.path().join("s/checkpoints"), 99);
    (dir, builder)
}

#[test]
fn old_leftovers_are_deleted_and_foreign_files_stay() {
    let (dir, builder) = on_disk();
    let root = dir.path().join("s");
    let object = |text: &str| builder.store.put(text.as_bytes(), ObjectKind::Parquet).expect("put").object.object;
    let (old, new) = (object("old"), object("new"));
    age(&root.join(old.path().as_str()), 50);
    for (name, hours) in [
        ("checkpoints/.tmp-1/manifest.yaml", 50),
        ("objects/sha256/00/.tmp-2", 50),
        ("objects/sha256/00/.tmp-3", 1),
        ("objects/sha256/00/note.txt", 500),
        ("objects/sha256/00/.tmp-link", 500),
        ("note.txt", 500),
        ("damaged/x.parquet.1", 500),
        ("checkpoints/old/manifest.yaml", 500),
        (".tmp-\u{1b}[2J", 500),
    ] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        if name.ends_with("link") {
            std::os::unix::fs::symlink("/etc/hostname", &path).expect("linked");
            continue;
        }
        fs::write(&path, "x").expect("written");
        age(&path, hours);
    }
    age(&root.join("checkpoints/.tmp-1"), 50);
    let now = Timestamp::now();
    let all = Request { policy: Policy { all: true, ..Policy::default() }, ..last(1, DAY) };
    let plan = plan(&builder.store, &all, now, &Silent).expect("planned");
    let of = |kind: LeftoverKind, fate: Fate| -> Vec<String> {
        let some = plan.leftovers.iter().filter(|leftover| (leftover.kind, leftover.fate) == (kind, fate));
        some.map(|leftover| leftover.path.clone()).collect()
    };
    assert_eq!(of(LeftoverKind::Object, Fate::Remove), [old.path().to_string()]);
    assert_eq!(of(LeftoverKind::Object, Fate::Wait), [new.path().to_string()]);
    assert_eq!(
        of(LeftoverKind::Temporary, Fate::Remove),
        ["checkpoints/.tmp-1", "objects/sha256/00/.tmp-2"],
        "a name that no writer gives to its files is not a leftover"
    );
    assert_eq!(of(LeftoverKind::Temporary, Fate::Wait), ["objects/sha256/00/.tmp-3"]);
    assert_eq!(of(LeftoverKind::SetAside, Fate::Leave), ["damaged/x.parquet.1"]);
    assert_eq!(
        of(LeftoverKind::Foreign, Fate::Leave),
        [".tmp-\u{1b}[2J", "checkpoints/old", "note.txt", "objects/sha256/00/.tmp-link", "objects/sha256/00/note.txt"]
    );
    let outcome = apply(&builder.store, &plan, "a test", &Silent).expect("pruned");
    assert_eq!((outcome.objects, outcome.temporary, outcome.checkpoints), (1, 2, 0));
    let gone =
        [old.path().as_str(), "checkpoints/.tmp-1", "objects/sha256/00/.tmp-2"].map(|name| root.join(name).exists());
    assert_eq!(gone, [false; 3]);
    for stays in [new.path().as_str(), "note.txt", "objects/sha256/00/.tmp-3", "damaged/x.parquet.1", "checkpoints/old"]
    {
        assert!(root.join(stays).exists(), "{stays}");
    }
    let none = Request { grace: Duration::ZERO, ..all };
    prune_at(&builder.store, &none, now).expect("pruned");
    assert!(!root.join(new.path().as_str()).exists() && !root.join("objects/sha256/00/.tmp-3").exists());
    assert!(root.join("note.txt").exists() && root.join("objects/sha256/00/note.txt").exists());
    assert_whole(&builder.store);
}

#[test]
fn what_a_running_job_may_need_stays_whatever_the_grace_period() {
    let (dir, builder) = on_disk();
    let root = dir.path().join("s");
    let run = builder.store.lock("`ckpt run`").expect("locked");
    // New objects, and old ones that a run finds in place: one that nothing needs, and one that disappears only with a
    // checkpoint.
    let new = builder.store.put(b"new", ObjectKind::Parquet).expect("put").object.object;
    let idle = ObjectName { digest: Digest::of(b"idle"), kind: ObjectKind::Parquet };
    let taken = ObjectName { digest: Digest::of(b"taken"), kind: ObjectKind::Parquet };
    for (name, bytes) in [(idle, &b"idle"[..]), (taken, b"taken")] {
        builder.store.put(bytes, ObjectKind::Parquet).expect("put");
        age(&root.join(name.path().as_str()), 500);
    }
    let shared = builder.store.manifest(Sequence(1)).expect("read").manifest.tables.positions;
    let plan = plan(&builder.store, &last(1, Duration::ZERO), Timestamp::now(), &Silent).expect("planned");
    builder.store.put(b"taken", ObjectKind::Parquet).expect("put");
    let bytes = builder.store.object(shared).expect("read");
    builder.store.put(&bytes, ObjectKind::Parquet).expect("put");
    fs::write(root.join("checkpoints/.tmp-now"), "x").expect("written");
    let outcome = apply(&builder.store, &plan, "a test", &Silent).expect("pruned");
    let there = |name: ObjectName| root.join(name.path().as_str()).exists();
    assert_eq!([there(new), there(taken), there(shared.object), there(idle)], [true, true, true, false]);
    assert_eq!(outcome.spared, 3);
    assert_eq!(numbers(&builder.store), [8]);
    assert_whole(&builder.store);
    drop(run);
    let outcome = prune_at(&builder.store, &last(1, Duration::ZERO), Timestamp::now()).expect("pruned");
    assert_eq!([there(new), there(taken), there(shared.object)], [false; 3]);
    assert_eq!((outcome.spared, outcome.temporary), (0, 1));
    assert!(builder.store.lock("`ckpt run`").is_ok(), "the store is free again");
}

#[test]
fn a_note_in_a_checkpoint_directory_is_not_deleted() {
    let (dir, builder) = on_disk();
    let root = dir.path().join("s");
    fs::write(root.join("checkpoints/00000002/note.txt"), "mine").expect("written");
    prune(&builder.store, &last(2, DAY)).expect("pruned");
    assert!(root.join("pruned/00000002/note.txt").exists());
    let outcome = prune_at(&builder.store, &last(2, DAY), now() + SignedDuration::from_hours(30)).expect("pruned");
    assert_eq!((outcome.left, outcome.expired), (vec![root.join("pruned/00000002/note.txt").display().to_string()], 5));
    assert!(root.join("pruned/00000002/note.txt").exists());
    assert_whole(&builder.store);
}

#[test]
fn pruned_checkpoints_without_history_get_their_grace_period_from_now() {
    let (builder, storages) = in_memory(1);
    prune(&builder.store, &last(2, DAY)).expect("pruned");
    storages[0].delete(&layout::event(1)).expect("deleted");
    let hours = |hours| now() + SignedDuration::from_hours(hours);
    let outcome = prune_at(&builder.store, &last(2, DAY), hours(50)).expect("pruned");
    assert_eq!(outcome.expired, 0);
    let plan = plan(&builder.store, &last(2, DAY), hours(60), &Silent).expect("planned");
    assert!(plan.pruned.iter().all(|earlier| earlier.pruned == Some(hours(50)) && !earlier.is_due));
    assert_eq!(prune_at(&builder.store, &last(2, DAY), hours(75)).expect("pruned").expired, 6);
}

#[test]
fn a_policy_that_makes_no_sense_changes_nothing() {
    let (builder, storages) = in_memory(1);
    let before = files(&storages[0]);
    for policy in [Policy::default(), Policy { bytes: Some(1), ..Policy::default() }] {
        let refused = prune(&builder.store, &Request { policy, ..last(0, DAY) });
        assert!(matches!(refused, Err(PruneError::Policy(_))), "{refused:?}");
    }
    assert_eq!(files(&storages[0]), before);
}
