//! Checkpoints in one and two replicas, in memory and on disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;

use ckpt::format::error::ManifestError;
use ckpt::format::layout::{self, ObjectKind};
use ckpt::format::manifest::{Manifest, Mode, ObjectRef, Parent, Routing, Tables, Timings, Totals, Trigger};
use ckpt::format::store_file::StoreFile;
use ckpt::storage::local::LocalStorage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::storage::{Storage, StorageError};
use ckpt::store::{Committed, Store, StoreError};
use ckpt::values::digest::Digest;
use ckpt::values::id::{Sequence, StoreId};
use ckpt::values::relpath::RelPath;
use ckpt::values::value::{Column, ColumnType};

/// Places to keep a store in. Each call with the same number returns the same place as another process would see it.
type Places<'a> = &'a (dyn Fn(usize) -> Arc<dyn Storage> + Sync);

macro_rules! on_every_storage {
    ($($behaviour:ident)*) => {
        mod local {
            use std::sync::Arc;

            use ckpt::storage::local::LocalStorage;

            $(#[test]
            fn $behaviour() {
                let dir = tempfile::tempdir().unwrap();
                super::$behaviour(&|number| Arc::new(LocalStorage::new(dir.path().join(number.to_string()))));
            })*
        }

        mod memory {
            use std::sync::Arc;

            use ckpt::storage::memory::MemoryStorage;

            $(#[test]
            fn $behaviour() {
                let places: [MemoryStorage; 3] = std::array::from_fn(|_| MemoryStorage::new());
                super::$behaviour(&|number| Arc::new(places[number].clone()));
            })*
        }
    };
}

on_every_storage! {
    a_store_opens_as_it_was_created
    a_store_is_created_once
    what_is_no_store_is_not_opened
    replicas_of_different_stores_are_not_opened_together
    a_checkpoint_is_read_as_it_was_committed
    checkpoints_form_a_chain_and_the_newest_is_the_latest
    a_taken_number_is_not_committed_again
    of_two_that_commit_one_number_exactly_one_wins
    what_is_no_checkpoint_directory_is_passed_over
    a_manifest_of_another_store_job_or_number_is_refused
    a_changed_manifest_is_noticed_without_a_child
    a_missing_manifest_is_damage_and_a_missing_checkpoint_is_not
    a_newest_checkpoint_that_can_not_be_read_is_not_passed_over
    a_manifest_that_could_not_be_read_again_is_not_committed
    an_object_is_written_once
    a_damaged_object_is_refused_with_what_was_found
    a_damaged_object_is_set_aside_when_it_is_put_again
    damage_in_one_replica_is_read_from_the_other
    a_checkpoint_that_one_replica_lost_is_still_there
    damage_in_all_replicas_is_told_before_absence
    a_store_is_locked_by_one_run_that_is_named
    what_a_crash_between_steps_leaves_is_harmless
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn file(job: &str) -> StoreFile {
    StoreFile {
        format: 1,
        store: StoreId::new([7; 16]),
        job: job.to_owned(),
        created: "2026-11-22T14:00:00Z".parse().unwrap(),
    }
}

fn create(replicas: Vec<Arc<dyn Storage>>) -> Store {
    Store::create(replicas, file("clicks")).unwrap()
}

/// Writes the tables of checkpoint `sequence` to the store and returns a manifest that names them.
fn prepare(store: &Store, sequence: u64, parent: Option<&Committed>) -> Manifest {
    let put = |name: &str, kind| store.put(format!("{name} of {sequence}").as_bytes(), kind).unwrap().object;
    Manifest {
        format: 1,
        job: store.file.job.clone(),
        store: store.file.store.clone(),
        sequence: Sequence(sequence),
        parent: parent.map(|parent| Parent { sequence: parent.manifest.sequence, sha256: parent.sha256 }),
        created: "2026-11-22T14:00:00.125Z".parse().unwrap(),
        mode: Mode::Elided,
        trigger: Trigger::Schedule,
        ended: false,
        restored_from: None,
        worker: None,
        tasks: 64,
        shards: 8,
        routing: Routing::KeyHash,
        block: 10 * sequence,
        older_cuts: Vec::new(),
        block_bytes: 262_144,
        key: None,
        columns: vec![Column::new("clicks", ColumnType::Int)],
        timings: Timings::default(),
        totals: Totals::default(),
        outputs: Vec::new(),
        dead_letter: None,
        late_records: None,
        messages: None,
        tables: Tables {
            index: put("index", ObjectKind::Parquet),
            positions: put("positions", ObjectKind::Parquet),
            job: put("job", ObjectKind::Yaml),
        },
    }
}

fn commit(store: &Store, sequence: u64, parent: Option<&Committed>) -> Committed {
    store.commit(&prepare(store, sequence, parent), &[]).unwrap()
}

/// Changes one bit of the file at `path`.
fn flip(storage: &dyn Storage, path: &RelPath) {
    let mut bytes = storage.get(path, 1 << 20).unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    storage.replace(path, &bytes).unwrap();
}

fn names(storage: &dyn Storage, dir: &str) -> Vec<String> {
    storage.list(Some(&path(dir))).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn a_store_opens_as_it_was_created(places: Places) {
    create(vec![places(0), places(1)]);
    for replicas in [vec![places(0), places(1)], vec![places(1)]] {
        let store = Store::open(replicas).unwrap();
        assert_eq!(store.file, file("clicks"));
        assert_eq!(store.place(), store.replicas()[0].place());
        assert_eq!(store.sequences().unwrap(), []);
        assert_eq!(store.latest().unwrap(), None);
    }
}

fn a_store_is_created_once(places: Places) {
    create(vec![places(0)]);
    let error = Store::create(vec![places(0)], file("other")).unwrap_err();
    assert!(matches!(error, StoreError::StoreExists { .. }), "{error:?}");
    let error = Store::create(vec![places(1), places(0)], file("other")).unwrap_err();
    assert!(matches!(error, StoreError::StoreExists { .. }), "{error:?}");
    assert!(Store::open(vec![places(1)]).is_err(), "nothing is created when a later replica is taken");
    let created = thread::scope(|scope| {
        let create = |job: &'static str| scope.spawn(move || Store::create(vec![places(2)], file(job)));
        let threads = [create("a"), create("b"), create("c")];
        threads.into_iter().map(|thread| thread.join().unwrap()).filter_map(Result::ok).collect::<Vec<_>>()
    });
    assert_eq!(created.len(), 1);
    assert_eq!(Store::open(vec![places(2)]).unwrap().file, created[0].file);
}

fn what_is_no_store_is_not_opened(places: Places) {
    let error = Store::open(vec![places(0)]).unwrap_err();
    assert!(matches!(&error, StoreError::NoStore { place } if *place == places(0).place()), "{error:?}");
    create(vec![places(0)]);
    assert!(matches!(Store::open(vec![places(0), places(1)]), Err(StoreError::NoStore { .. })));
    let newer = file("clicks").to_yaml().replace("format: 1", "format: 2") + "new: true\n";
    places(0).replace(&path("store.yaml"), newer.as_bytes()).unwrap();
    match Store::open(vec![places(0)]).unwrap_err() {
        StoreError::Manifest { source: ManifestError::Format { found: 2 }, path } => {
            assert!(path.ends_with("store.yaml"))
        }
        error => panic!("{error:?}"),
    }
    for damaged in [vec![b'#'; 100_000], b"\0\xff".to_vec(), Vec::new()] {
        places(0).replace(&path("store.yaml"), &damaged).unwrap();
        assert!(matches!(Store::open(vec![places(0)]), Err(StoreError::Manifest { .. })));
        assert!(matches!(Store::create(vec![places(0)], file("new")), Err(StoreError::StoreExists { .. })));
    }
}

fn replicas_of_different_stores_are_not_opened_together(places: Places) {
    create(vec![places(0)]);
    Store::create(vec![places(1)], StoreFile { store: StoreId::new([8; 16]), ..file("clicks") }).unwrap();
    Store::create(vec![places(2)], file("views")).unwrap();
    for (other, field_expected) in [(1, "store"), (2, "job")] {
        match Store::open(vec![places(0), places(other)]).unwrap_err() {
            StoreError::Mismatch { path, field, .. } => {
                assert_eq!(field, field_expected);
                assert_eq!(path, format!("{}/store.yaml", places(other).place()));
            }
            error => panic!("{error:?}"),
        }
    }
}

fn a_checkpoint_is_read_as_it_was_committed(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let manifest = prepare(&store, 1, None);
    let committed = store.commit(&manifest, &[]).unwrap();
    assert_eq!(committed.manifest, manifest);
    for replicas in [vec![places(0), places(1)], vec![places(0)], vec![places(1)]] {
        let store = Store::open(replicas).unwrap();
        assert_eq!(store.sequences().unwrap(), [Sequence(1)]);
        assert_eq!(store.manifest(Sequence(1)).unwrap(), committed);
        assert_eq!(store.latest().unwrap().unwrap(), committed);
        assert_eq!(store.object(manifest.tables.index).unwrap(), "index of 1");
        assert_eq!(
            names(store.replicas()[0].storage().as_ref(), "checkpoints/00000001"),
            ["SHA256SUMS", "manifest.yaml"]
        );
    }
    let bytes = places(0).get(&path("checkpoints/00000001/manifest.yaml"), 10_000).unwrap();
    assert_eq!(committed.sha256, Digest::of(&bytes));
}

fn checkpoints_form_a_chain_and_the_newest_is_the_latest(places: Places) {
    let store = create(vec![places(0)]);
    let mut parent: Option<Committed> = None;
    for sequence in [1, 2, 3, 99_999_999, 100_000_000] {
        parent = Some(commit(&store, sequence, parent.as_ref()));
    }
    let numbers: Vec<u64> = store.sequences().unwrap().into_iter().map(|sequence| sequence.0).collect();
    assert_eq!(numbers, [1, 2, 3, 99_999_999, 100_000_000]);
    let mut newest = store.latest().unwrap().unwrap();
    assert_eq!(newest, parent.unwrap());
    let mut length = 1;
    while let Some(Parent { sequence, sha256 }) = newest.manifest.parent {
        newest = store.manifest(sequence).unwrap();
        assert_eq!(newest.sha256, sha256);
        length += 1;
    }
    assert_eq!(length, 5);
}

fn a_taken_number_is_not_committed_again(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let first = commit(&store, 1, None);
    let mut other = prepare(&store, 1, None);
    other.block = 999;
    let error = store.commit(&other, &[]).unwrap_err();
    assert!(matches!(error, StoreError::NumberTaken { sequence: Sequence(1) }), "{error:?}");
    assert_eq!(store.latest().unwrap().unwrap(), first);
    // Even when only the second replica still knows that it is taken.
    places(0).delete_dir(&path("checkpoints/00000001")).unwrap();
    assert!(matches!(store.commit(&other, &[]), Err(StoreError::NumberTaken { .. })));
    assert!(names(places(0).as_ref(), "checkpoints").is_empty());
}

fn of_two_that_commit_one_number_exactly_one_wins(places: Places) {
    let tables = prepare(&create(vec![places(0)]), 1, None);
    let mut parent: Option<Committed> = None;
    for sequence in 1..=100 {
        let start = Barrier::new(2);
        let results = thread::scope(|scope| {
            let race = |pause_micros: u64| {
                let (start, parent) = (&start, parent.as_ref());
                let mut manifest = Manifest { sequence: Sequence(sequence), ..tables.clone() };
                manifest.parent = parent.map(|it| Parent { sequence: it.manifest.sequence, sha256: it.sha256 });
                manifest.timings.pause_micros = pause_micros;
                scope.spawn(move || {
                    let store = Store::open(vec![places(0)]).unwrap();
                    start.wait();
                    store.commit(&manifest, &[])
                })
            };
            [race(1), race(2)].map(|thread| thread.join().unwrap())
        });
        let mut winners = Vec::new();
        for result in results {
            match result {
                Ok(committed) => winners.push(committed),
                Err(StoreError::NumberTaken { sequence: taken }) => assert_eq!(taken.0, sequence),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "checkpoint {sequence}");
        parent = winners.pop();
        assert_eq!(Store::open(vec![places(0)]).unwrap().latest().unwrap(), parent);
    }
    assert_eq!(names(places(0).as_ref(), "checkpoints").len(), 100, "the losers leave nothing");
}

fn what_is_no_checkpoint_directory_is_passed_over(places: Places) {
    let store = create(vec![places(0)]);
    commit(&store, 1, None);
    for name in ["2", "00000000", ".tmp-0011223344556677", "00000002.old", "latest", "99999999999999999999"] {
        places(0).create_dir(&path(&format!("checkpoints/{name}")), &[("manifest.yaml", b"x")]).unwrap();
    }
    places(0).create(&path("checkpoints/00000007"), b"a file").unwrap();
    assert_eq!(store.sequences().unwrap(), [Sequence(1)]);
    assert_eq!(store.latest().unwrap().unwrap().manifest.sequence, Sequence(1));
}

fn a_manifest_of_another_store_job_or_number_is_refused(places: Places) {
    let store = create(vec![places(0)]);
    let good = prepare(&store, 1, None);
    let other_store = Manifest { store: StoreId::new([9; 16]), ..good.clone() };
    let other_job = Manifest { job: "views".to_owned(), ..good.clone() };
    let other_number = Manifest { sequence: Sequence(3), ..good };
    for (number, (manifest, expected)) in
        (2..).zip([(other_store, "store"), (other_job, "job"), (other_number, "sequence")])
    {
        let yaml = manifest.to_yaml();
        let sums = layout::manifest_sum(Digest::of(yaml.as_bytes()));
        let files = [("manifest.yaml", yaml.as_bytes()), ("SHA256SUMS", sums.as_bytes())];
        places(0).create_dir(&layout::checkpoint_dir(Sequence(number)), &files).unwrap();
        match store.manifest(Sequence(number)).unwrap_err() {
            StoreError::Mismatch { field, .. } => assert_eq!(field, expected),
            error => panic!("{error:?}"),
        }
    }
}

fn a_changed_manifest_is_noticed_without_a_child(places: Places) {
    let store = create(vec![places(0)]);
    let committed = commit(&store, 1, None);
    let manifest = layout::manifest(Sequence(1));
    let yaml = committed.manifest.to_yaml();
    // It parses, so only its digest differs.
    let changed = yaml.replace("tasks: 64", "tasks: 65");
    places(0).replace(&manifest, changed.as_bytes()).unwrap();
    match store.manifest(Sequence(1)).unwrap_err() {
        StoreError::ManifestDamaged { path, expected, found } => {
            assert!(path.ends_with("checkpoints/00000001/manifest.yaml"), "{path}");
            assert_eq!((expected, found), (committed.sha256, Digest::of(changed.as_bytes())));
        }
        error => panic!("{error:?}"),
    }
    places(0).replace(&manifest, &[b'#'; 100_000]).unwrap();
    match store.manifest(Sequence(1)).unwrap_err() {
        StoreError::Manifest { source: ManifestError::TooLarge { found, .. }, .. } => assert_eq!(found, 100_000),
        error => panic!("{error:?}"),
    }
    places(0).replace(&manifest, yaml.as_bytes()).unwrap();
    assert_eq!(store.manifest(Sequence(1)).unwrap(), committed);
    let sums = layout::sums(Sequence(1));
    for damaged in ["", "\n", "half a line", &"\u{e9}".repeat(500)] {
        places(0).replace(&sums, damaged.as_bytes()).unwrap();
        let error = store.manifest(Sequence(1)).unwrap_err();
        assert!(matches!(&error, StoreError::SumsDamaged { path } if path.ends_with("SHA256SUMS")), "{error:?}");
    }
    places(0).delete(&sums).unwrap();
    assert!(store.manifest(Sequence(1)).unwrap_err().is_not_found());
}

fn a_missing_manifest_is_damage_and_a_missing_checkpoint_is_not(places: Places) {
    let store = create(vec![places(0), places(1)]);
    commit(&store, 1, None);
    match store.manifest(Sequence(2)).unwrap_err() {
        StoreError::NoCheckpoint { place, sequence } => assert_eq!((place, sequence), (store.place(), Sequence(2))),
        error => panic!("{error:?}"),
    }
    for number in [0, 1] {
        places(number).delete(&layout::manifest(Sequence(1))).unwrap();
    }
    match store.manifest(Sequence(1)).unwrap_err() {
        StoreError::Storage(StorageError::NotFound { path }) => assert!(path.ends_with("manifest.yaml"), "{path}"),
        error => panic!("{error:?}"),
    }
}

fn a_newest_checkpoint_that_can_not_be_read_is_not_passed_over(places: Places) {
    let store = create(vec![places(0)]);
    let first = commit(&store, 1, None);
    commit(&store, 2, Some(&first));
    flip(places(0).as_ref(), &layout::manifest(Sequence(2)));
    assert!(store.latest().is_err());
    assert_eq!(store.manifest(Sequence(1)).unwrap(), first);
}

fn a_manifest_that_could_not_be_read_again_is_not_committed(places: Places) {
    let store = create(vec![places(0)]);
    let good = prepare(&store, 1, None);
    let too_large = Manifest { columns: vec![Column::new("x".repeat(70_000), ColumnType::Int)], ..good.clone() };
    assert!(matches!(store.commit(&too_large, &[]), Err(StoreError::Manifest { .. })));
    let no_tasks = Manifest { tasks: 0, ..good.clone() };
    assert!(matches!(store.commit(&no_tasks, &[]), Err(StoreError::Manifest { .. })));
    let other_job = Manifest { job: "views".to_owned(), ..good };
    assert!(matches!(store.commit(&other_job, &[]), Err(StoreError::Mismatch { field: "job", .. })));
    assert_eq!(store.latest().unwrap(), None);
}

fn an_object_is_written_once(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let first = store.put(b"abc", ObjectKind::Parquet).unwrap();
    assert!(first.new);
    let again = store.put(b"abc", ObjectKind::Parquet).unwrap();
    assert_eq!((again.object, again.new), (first.object, false));
    assert!(store.put(b"abc", ObjectKind::Yaml).unwrap().new, "the kind is part of the name");
    assert_eq!(first.object.bytes, 3);
    for number in [0, 1] {
        assert_eq!(places(number).get(&first.object.object.path(), 3).unwrap(), "abc");
    }
    assert_eq!(store.object(first.object).unwrap(), "abc");
    let empty = store.put(b"", ObjectKind::Yaml).unwrap();
    assert_eq!(store.object(empty.object).unwrap(), "");
}

fn a_damaged_object_is_refused_with_what_was_found(places: Places) {
    let store = create(vec![places(0)]);
    let object = store.put(b"good bytes", ObjectKind::Parquet).unwrap().object;
    let stored = object.object.path();
    let changed: [(&[u8], bool); 4] =
        [(b"gone bytes", true), (b"good", true), (b"", true), (b"good bytes and more", false)];
    for (bytes, hashed) in changed {
        places(0).replace(&stored, bytes).unwrap();
        match store.object(object).unwrap_err() {
            StoreError::Damaged { path, expected, expected_bytes, found, found_bytes } => {
                assert!(path.ends_with(stored.as_str()));
                assert_eq!((expected, expected_bytes), (object.object.digest, 10));
                assert_eq!((found, found_bytes), (hashed.then(|| Digest::of(bytes)), bytes.len() as u64));
            }
            error => panic!("{error:?}"),
        }
    }
    // The right bytes, but the claimed size is wrong.
    places(0).replace(&stored, b"good bytes").unwrap();
    for bytes in [0, 9, 11, u64::MAX] {
        let error = store.object(ObjectRef { bytes, ..object }).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    }
    places(0).delete(&stored).unwrap();
    assert!(store.object(object).unwrap_err().is_not_found());
}

fn a_damaged_object_is_set_aside_when_it_is_put_again(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let object = store.put(b"good bytes", ObjectKind::Parquet).unwrap().object;
    let stored = object.object.path();
    for (number, damaged) in (1..).zip([&b"goof bytes"[..], b"good", b"good bytes and more"]) {
        places(1).replace(&stored, damaged).unwrap();
        assert!(store.put(b"good bytes", ObjectKind::Parquet).unwrap().new);
        assert_eq!(places(1).get(&stored, 10).unwrap(), "good bytes");
        assert_eq!(places(1).get(&layout::damaged(object.object, number), 100).unwrap(), damaged);
    }
    assert!(names(places(0).as_ref(), "damaged").is_empty());
    // Something else in its place, here a directory, is handled the same way.
    places(0).delete(&stored).unwrap();
    places(0).create(&stored.join("file").unwrap(), b"x").unwrap();
    store.put(b"good bytes", ObjectKind::Parquet).unwrap();
    assert_eq!(store.object(object).unwrap(), "good bytes");
}

fn damage_in_one_replica_is_read_from_the_other(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let committed = commit(&store, 1, None);
    let index = committed.manifest.tables.index;
    for first in [true, false] {
        let store = if first { store.clone() } else { Store::open(vec![places(1), places(0)]).unwrap() };
        let damaged = store.replicas()[0].storage().as_ref();
        for file in [layout::manifest(Sequence(1)), layout::sums(Sequence(1)), index.object.path()] {
            let good = damaged.get(&file, 1 << 20).unwrap();
            let read = || {
                assert_eq!(store.latest().unwrap().unwrap(), committed, "{file}");
                assert_eq!(store.object(index).unwrap(), "index of 1");
            };
            // The last line of the list is what covers the manifest: truncate it as well.
            damaged.replace(&file, &good[..good.len() - 5]).unwrap();
            read();
            flip(damaged, &file);
            read();
            damaged.delete(&file).unwrap();
            read();
            damaged.create(&file, &good).unwrap();
        }
    }
}

fn a_checkpoint_that_one_replica_lost_is_still_there(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let first = commit(&store, 1, None);
    let second = commit(&store, 2, Some(&first));
    places(0).delete_dir(&layout::checkpoint_dir(Sequence(2))).unwrap();
    places(1).delete_dir(&layout::checkpoint_dir(Sequence(1))).unwrap();
    assert_eq!(store.sequences().unwrap(), [Sequence(1), Sequence(2)]);
    assert_eq!(store.manifest(Sequence(1)).unwrap(), first);
    assert_eq!(store.latest().unwrap().unwrap(), second);
}

fn damage_in_all_replicas_is_told_before_absence(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let object = store.put(b"good bytes", ObjectKind::Parquet).unwrap().object;
    places(0).delete(&object.object.path()).unwrap();
    flip(places(1).as_ref(), &object.object.path());
    assert!(matches!(store.object(object), Err(StoreError::Damaged { .. })));
    places(1).delete(&object.object.path()).unwrap();
    match store.object(object).unwrap_err() {
        StoreError::Storage(StorageError::NotFound { path }) => assert!(path.starts_with(&places(0).place()), "{path}"),
        error => panic!("{error:?}"),
    }
}

fn a_store_is_locked_by_one_run_that_is_named(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let lock = store.lock("ckpt run, process 42").unwrap();
    assert_eq!(lock.guards.len(), 2);
    for replicas in [vec![places(0)], vec![places(1)]] {
        let place = replicas[0].place();
        match Store::open(replicas).unwrap().lock("another").unwrap_err() {
            StoreError::Busy { place: busy, holder } => {
                assert_eq!((busy, holder.as_str()), (place, "ckpt run, process 42"));
            }
            error => panic!("{error:?}"),
        }
    }
    // Reading still works.
    commit(&store, 1, None);
    assert!(Store::open(vec![places(0)]).unwrap().latest().unwrap().is_some());
    drop(lock);
    // A process that finds the second replica taken does not keep the first.
    let second = Store::open(vec![places(1)]).unwrap().lock("third").unwrap();
    assert!(matches!(store.lock("fourth"), Err(StoreError::Busy { .. })));
    drop(second);
    store.lock("fifth").unwrap();
}

fn what_a_crash_between_steps_leaves_is_harmless(places: Places) {
    let store = create(vec![places(0), places(1)]);
    let first = commit(&store, 1, None);
    let manifest = prepare(&store, 2, Some(&first));
    let (yaml, aside) = (manifest.to_yaml(), ".tmp-0011223344556677");
    let objects = manifest.tables.index.object.path().parent().unwrap();
    // Objects are written but not the checkpoint; an object or the directory is half written.
    places(0).create(&objects.join(aside).unwrap(), b"half an obj").unwrap();
    places(0).create_dir(&path("checkpoints").join(aside).unwrap(), &[("manifest.yaml", yaml.as_bytes())]).unwrap();
    let store = Store::open(vec![places(0), places(1)]).unwrap();
    assert_eq!(store.latest().unwrap().unwrap(), first);
    // The next run writes the same objects and takes the same number.
    let second = commit(&store, 2, Some(&first));
    assert_eq!(store.latest().unwrap().unwrap(), second);
    assert!(!store.put(b"index of 2", ObjectKind::Parquet).unwrap().new);
    // The first replica has committed, the second has not.
    places(1).delete_dir(&layout::checkpoint_dir(Sequence(2))).unwrap();
    let store = Store::open(vec![places(0), places(1)]).unwrap();
    assert_eq!(store.latest().unwrap().unwrap(), second);
    let third = commit(&store, 3, Some(&second));
    assert_eq!(Store::open(vec![places(1)]).unwrap().latest().unwrap().unwrap(), third);
}

#[test]
fn sha256sum_proves_a_checkpoint_without_ckpt() {
    if Command::new("sha256sum").arg("--version").output().is_err() {
        println!("skipped: this machine has no sha256sum");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = create(vec![Arc::new(LocalStorage::new(dir.path().join("store")))]);
    let manifest = prepare(&store, 1, None);
    let segments: Vec<_> =
        (0..20u8).map(|i| store.put(&[i; 100], ObjectKind::Parquet).unwrap().object.object).collect();
    store.commit(&manifest, &[&segments[..], &segments[..3]].concat()).unwrap();
    let checkpoint = dir.path().join("store/checkpoints/00000001");
    let check = || {
        let output = Command::new("sha256sum")
            .args(["--strict", "-c", "SHA256SUMS"])
            .env("LC_ALL", "C")
            .current_dir(&checkpoint)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (good, said) = check();
    assert!(good, "{said}");
    assert_eq!(said.lines().count(), 24, "each object once, three tables, and the manifest: {said}");
    assert_eq!(said.lines().last(), Some("manifest.yaml: OK"));
    let sums = fs::read_to_string(checkpoint.join("SHA256SUMS")).unwrap();
    let names: Vec<&str> =
        sums.lines().map(|line| Path::new(&line[66..]).file_name().unwrap().to_str().unwrap()).collect();
    assert!(names[..23].is_sorted(), "{names:?}");
    let listed: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
    assert!(segments.iter().all(|segment| listed.contains(&segment.to_string())));

    fs::write(checkpoint.join("../../").join(segments[5].path().as_str()), [6; 100]).unwrap();
    let (good, said) = check();
    assert!(!good);
    assert!(said.contains(&format!("{}.parquet: FAILED", segments[5].digest)), "{said}");
}

#[test]
fn a_store_survives_its_first_replica_being_a_symbolic_link() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("disk")).unwrap();
    std::os::unix::fs::symlink("disk", dir.path().join("link")).unwrap();
    let store = create(vec![Arc::new(LocalStorage::new(dir.path().join("link")))]);
    let committed = commit(&store, 1, None);
    let direct = Store::open(vec![Arc::new(LocalStorage::new(dir.path().join("disk")))]).unwrap();
    assert_eq!(direct.latest().unwrap().unwrap(), committed);
}

#[test]
fn an_object_that_is_a_symbolic_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(vec![Arc::new(LocalStorage::new(dir.path().join("store")))]);
    let object = store.put(b"good bytes", ObjectKind::Parquet).unwrap().object;
    let stored = dir.path().join("store").join(object.object.path().as_str());
    fs::rename(&stored, dir.path().join("outside")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("outside"), &stored).unwrap();
    assert!(matches!(store.object(object), Err(StoreError::Storage(StorageError::NotAFile { .. }))));
    assert!(store.put(b"good bytes", ObjectKind::Parquet).unwrap().new, "the link is moved out of the way");
    assert_eq!(store.object(object).unwrap(), "good bytes");
    assert!(fs::symlink_metadata(&stored).unwrap().is_file());
}

#[test]
fn errors_read_as_sentences() {
    let store = create(vec![Arc::new(MemoryStorage::new())]);
    let object = store.put(b"good bytes", ObjectKind::Yaml).unwrap().object;
    let digest = object.object.digest;
    let shown = format!("memory/{}", object.object.path());
    let said = |error: StoreError| error.to_string();
    store.replicas()[0].storage().replace(&object.object.path(), b"good bytes and more").unwrap();
    assert_eq!(
        said(store.object(object).unwrap_err()),
        format!("object `{shown}` is damaged: expected SHA-256 {digest} and 10 bytes, found 19 bytes")
    );
    store.replicas()[0].storage().replace(&object.object.path(), b"bad").unwrap();
    assert_eq!(
        said(store.object(object).unwrap_err()),
        format!(
            "object `{shown}` is damaged: expected SHA-256 {digest} and 10 bytes, found {} and 3 bytes",
            Digest::of(b"bad")
        )
    );
    assert_eq!(said(store.manifest(Sequence(7)).unwrap_err()), "`memory` has no checkpoint 00000007");
}
