//! One suite that every storage passes: one function per promise of the trait. What only a disk can do to its
//! reader follows.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::Duration;

use ckpt::storage::local::LocalStorage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::storage::{Entry, EntryKind, FileSystem, Storage, StorageError, TEMPORARY_PREFIX};
use ckpt::values::relpath::RelPath;

macro_rules! promises {
    (
        everywhere { $($everywhere:ident)* }
        on_a_file_system { $($file_system:ident)* }
    ) => {
        file_systems! { $($everywhere)* $($file_system)* }

        mod simulated_objects {
            use crate::support::objects::Objects;

            $(#[test]
            fn $everywhere() {
                super::$everywhere(&Objects::default().client(None));
            })*
        }

        #[cfg(feature = "s3")]
        mod bucket {
            use ckpt::storage::remote::Bucket;

            use crate::support::bucket;

            $(#[test]
            fn $everywhere() {
                let Some(fresh) = bucket::Bucket::fresh() else { return };
                super::$everywhere(&Bucket::of(fresh.storage()));
            })*
        }
    };
}

macro_rules! file_systems {
    ($($promise:ident)*) => {
        mod local {
            use ckpt::storage::local::LocalStorage;

            $(#[test]
            fn $promise() {
                let dir = tempfile::tempdir().unwrap();
                super::$promise(&LocalStorage::new(dir.path().join("not/there/yet")));
            })*
        }

        mod simulated {
            use crate::support::simulated::Disk;

            $(#[test]
            fn $promise() {
                super::$promise(&Disk::new().calm());
            })*
        }

        mod memory {
            use ckpt::storage::memory::MemoryStorage;

            $(#[test]
            fn $promise() {
                super::$promise(&MemoryStorage::new());
            })*
        }
    };
}

promises! {
    everywhere {
        an_empty_storage_lists_nothing_and_has_nothing
        what_is_created_is_read_back
        create_refuses_a_taken_name_and_leaves_it_alone
        get_refuses_more_than_the_limit
        a_range_ends_where_the_file_does
        a_scan_hands_out_every_byte_in_order
        a_created_directory_holds_its_files
        create_dir_refuses_a_taken_name_and_leaves_it_alone
        create_dir_refuses_names_that_lead_out
        replace_puts_new_bytes_in_place_of_old
        list_is_sorted_and_not_deep
        delete_removes_one_file
        delete_all_removes_files_and_skips_missing_ones
        delete_dir_removes_a_directory_of_files
        sync_and_settle_may_be_called_at_any_time
        directories_are_listed_by_their_root
        directories_after_a_name_are_listed
        files_are_listed_at_any_depth
        of_many_threads_that_create_one_name_one_wins
        of_many_threads_that_create_one_directory_one_wins
    }
    on_a_file_system {
        what_does_not_exist_is_not_deleted
        a_directory_takes_a_name_as_a_file_does
        create_makes_directories_but_not_below_a_file
        get_refuses_a_directory
        a_directory_is_neither_replaced_nor_deleted_as_a_file
        append_adds_to_what_is_there
        rename_moves_files_and_directories
        rename_refuses_a_taken_name_and_a_missing_source
        a_lock_is_held_by_one_and_names_its_holder
    }
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn fs(storage: &dyn Storage) -> &dyn FileSystem {
    storage.file_system().expect("a file system")
}

fn read(storage: &dyn Storage, text: &str) -> Vec<u8> {
    storage.get(&path(text), 1 << 20).unwrap().to_vec()
}

fn names(storage: &dyn Storage, dir: Option<&str>) -> Vec<String> {
    let entries = storage.list(dir.map(path).as_ref()).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

fn an_empty_storage_lists_nothing_and_has_nothing(storage: &dyn Storage) {
    assert!(!storage.place().is_empty());
    assert!(names(storage, None).is_empty());
    assert!(names(storage, Some("a/b")).is_empty());
    let file = path("a/b");
    assert!(storage.get(&file, 10).unwrap_err().is_not_found());
    assert!(storage.get_range(&file, 0..1).unwrap_err().is_not_found());
    assert!(storage.size(&file).unwrap_err().is_not_found());
    let error = storage.get(&file, 10).unwrap_err().to_string();
    assert_eq!(error, format!("`{}/a/b` does not exist", storage.place()));
}

fn what_does_not_exist_is_not_deleted(storage: &dyn Storage) {
    let file = path("a/b");
    assert!(storage.delete(&file).unwrap_err().is_not_found());
    assert!(storage.delete_dir(&file).unwrap_err().is_not_found());
    storage.create(&file, b"1").unwrap();
    storage.delete(&file).unwrap();
    assert!(storage.delete(&file).unwrap_err().is_not_found());
    storage.create_dir(&path("d"), &[("one", b"1")]).unwrap();
    storage.delete_dir(&path("d")).unwrap();
    assert!(storage.delete_dir(&path("d")).unwrap_err().is_not_found());
}

fn a_directory_takes_a_name_as_a_file_does(storage: &dyn Storage) {
    storage.create_dir(&path("a/42"), &[("one", b"1")]).unwrap();
    storage.create(&path("a/43"), b"a file").unwrap();
    assert!(storage.create(&path("a"), b"second").unwrap_err().is_exists());
    assert!(storage.create_dir(&path("a/42"), &[("two", b"2")]).unwrap_err().is_exists());
    assert!(storage.create_dir(&path("a/43"), &[("two", b"2")]).unwrap_err().is_exists());
    assert_eq!(names(storage, Some("a")), ["42", "43"]);
    assert_eq!(names(storage, Some("a/42")), ["one"]);
}

fn a_directory_is_neither_replaced_nor_deleted_as_a_file(storage: &dyn Storage) {
    storage.create_dir(&path("a/42"), &[("one", b"1")]).unwrap();
    assert!(storage.replace(&path("a"), b"third").is_err(), "a file does not replace a directory");
    assert!(matches!(storage.delete(&path("a")), Err(StorageError::NotAFile { .. })));
    assert!(matches!(storage.list(Some(&path("a/42/one"))), Err(StorageError::NotADirectory { .. })));
    assert!(matches!(storage.delete_dir(&path("a/42/one")), Err(StorageError::NotADirectory { .. })));
    assert!(storage.delete_dir(&path("a")).is_err(), "it contains a directory");
    assert_eq!(read(storage, "a/42/one"), b"1");
}

fn directories_are_listed_by_their_root(storage: &dyn Storage) {
    assert!(storage.list_dirs(&path("a"), "root").unwrap().is_empty());
    storage.create_dir(&path("a/8"), &[("root", b"123"), ("other", b"1")]).unwrap();
    storage.create_dir(&path("a/42"), &[("root", b"12"), ("other", b"1")]).unwrap();
    storage.create(&path("a/file"), b"1").unwrap();
    let listed = storage.list_dirs(&path("a"), "root").unwrap();
    assert!(listed.iter().all(|entry| entry.kind == EntryKind::Directory));
    assert_eq!(listed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["42", "8"]);
}

fn directories_after_a_name_are_listed(storage: &dyn Storage) {
    for name in ["41", "42", "42-x", "8"] {
        storage.create_dir(&path(&format!("a/{name}")), &[("root", b"123"), ("other", b"1")]).unwrap();
    }
    for (after, expected) in [("", 4), ("41", 3), ("42", 2), ("42-x", 1), ("5", 1), ("8", 0)] {
        let mut all = storage.list_dirs(&path("a"), "root").unwrap();
        let listed = storage.list_dirs_after(&path("a"), "root", after).unwrap();
        assert_eq!(listed, all.split_off(4 - expected), "{after}");
    }
    assert!(storage.list_dirs_after(&path("none"), "root", "4").unwrap().is_empty());
}

fn files_are_listed_at_any_depth(storage: &dyn Storage) {
    for name in ["a/b/c", "a/d", "a/b/e/f", "ab"] {
        storage.create(&path(name), name.as_bytes()).unwrap();
    }
    let mut found = storage.list_deep(&path("a")).unwrap();
    found.sort();
    let found: Vec<(&str, u64)> = found.iter().map(|entry| (entry.name.as_str(), entry.bytes)).collect();
    assert_eq!(found, [("b/c", 5), ("b/e/f", 7), ("d", 3)]);
    assert!(storage.list_deep(&path("none")).unwrap().is_empty());
}

fn what_is_created_is_read_back(storage: &dyn Storage) {
    let large = vec![7; 3_000_000];
    storage.create(&path("a/b/c"), b"abc").unwrap();
    storage.create(&path("empty"), b"").unwrap();
    storage.create(&path("large"), &large).unwrap();
    assert_eq!(read(storage, "a/b/c"), b"abc");
    assert_eq!(read(storage, "empty"), b"");
    assert_eq!(storage.get(&path("large"), u64::MAX).unwrap(), large);
    assert_eq!(storage.size(&path("large")).unwrap(), 3_000_000);
    assert_eq!(names(storage, Some("a/b")), ["c"]);
}

fn create_refuses_a_taken_name_and_leaves_it_alone(storage: &dyn Storage) {
    storage.create(&path("a/file"), b"first").unwrap();
    assert!(storage.create(&path("a/file"), b"second").unwrap_err().is_exists());
    assert_eq!(read(storage, "a/file"), b"first");
    assert_eq!(names(storage, Some("a")), ["file"]);
}

fn create_makes_directories_but_not_below_a_file(storage: &dyn Storage) {
    storage.create(&path("file"), b"x").unwrap();
    let under = path("file/a/b");
    let refusals = [
        storage.create(&under, b"y"),
        storage.create_dir(&under, &[("c", b"y")]),
        storage.replace(&under, b"y"),
        storage.get(&under, 1).map(drop),
        storage.list(Some(&under)).map(drop),
        storage.delete(&under),
        storage.delete_dir(&under),
        fs(storage).lock(&under, "me").map(drop),
    ];
    for refused in refusals {
        match refused.unwrap_err() {
            StorageError::NotADirectory { path } => assert_eq!(path, format!("{}/file", storage.place())),
            error => panic!("{error:?}"),
        }
    }
    assert_eq!(read(storage, "file"), b"x");
}

fn get_refuses_more_than_the_limit(storage: &dyn Storage) {
    storage.create(&path("file"), b"12345").unwrap();
    assert_eq!(storage.get(&path("file"), 5).unwrap(), "12345");
    match storage.get(&path("file"), 4).unwrap_err() {
        StorageError::TooLarge { limit, found, .. } => assert_eq!((limit, found), (4, 5)),
        error => panic!("{error:?}"),
    }
}

fn get_refuses_a_directory(storage: &dyn Storage) {
    storage.create(&path("dir/file"), b"x").unwrap();
    for refused in [
        storage.get(&path("dir"), 10).map(drop),
        storage.get_range(&path("dir"), 0..1).map(drop),
        storage.size(&path("dir")).map(drop),
        storage.scan(&path("dir"), 10, &mut |_| {}).map(drop),
        fs(storage).lock(&path("dir"), "me").map(drop),
    ] {
        assert!(matches!(refused, Err(StorageError::NotAFile { .. })), "{refused:?}");
    }
}

fn a_range_ends_where_the_file_does(storage: &dyn Storage) {
    storage.create(&path("file"), b"0123456789").unwrap();
    let range = |from, to| storage.get_range(&path("file"), from..to).unwrap();
    assert_eq!(range(2, 5), "234");
    assert_eq!(range(8, 50), "89");
    assert_eq!(range(8, u64::MAX), "89");
    assert_eq!(range(10, 20), "");
    assert_eq!(range(500, u64::MAX), "");
    assert_eq!(range(5, 5), "");
    assert_eq!(range(5, 2), "");
}

fn a_scan_hands_out_every_byte_in_order(storage: &dyn Storage) {
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    storage.create(&path("file"), &bytes).unwrap();
    storage.create(&path("empty"), &[]).unwrap();
    let scan = |name: &str, limit| {
        let mut seen = Vec::new();
        storage.scan(&path(name), limit, &mut |piece| seen.extend_from_slice(piece)).map(|count| {
            assert_eq!(count, seen.len() as u64);
            seen
        })
    };
    assert!(scan("file", u64::MAX).unwrap() == bytes);
    assert!(scan("file", 2_000_001).unwrap() == bytes[..2_000_001]);
    assert!(scan("file", 0).unwrap().is_empty());
    assert!(scan("empty", 10).unwrap().is_empty());
    assert!(scan("missing", 10).unwrap_err().is_not_found());
}

fn a_created_directory_holds_its_files(storage: &dyn Storage) {
    storage.create_dir(&path("a/42"), &[("one", b"1"), ("two", b"22")]).unwrap();
    assert_eq!(read(storage, "a/42/one"), b"1");
    assert_eq!(read(storage, "a/42/two"), b"22");
    assert_eq!(names(storage, Some("a/42")), ["one", "two"]);
    assert_eq!(names(storage, Some("a")), ["42"]);
}

fn create_dir_refuses_a_taken_name_and_leaves_it_alone(storage: &dyn Storage) {
    storage.create_dir(&path("a/42"), &[("one", b"1"), ("two", b"2")]).unwrap();
    assert!(storage.create_dir(&path("a/42"), &[("one", b"2"), ("three", b"3")]).unwrap_err().is_exists());
    assert_eq!(names(storage, Some("a/42")), ["one", "two"]);
    assert_eq!(read(storage, "a/42/one"), b"1");
}

fn create_dir_refuses_names_that_lead_out(storage: &dyn Storage) {
    for name in ["", "..", ".", "../x", "x/y", "/x", "x\0"] {
        assert!(storage.create_dir(&path("a/42"), &[("good", b"1"), (name, b"2")]).is_err(), "{name:?}");
    }
    assert!(names(storage, Some("a/42")).is_empty());
}

fn replace_puts_new_bytes_in_place_of_old(storage: &dyn Storage) {
    storage.replace(&path("a/file"), b"the first").unwrap();
    storage.replace(&path("a/file"), b"second").unwrap();
    assert_eq!(read(storage, "a/file"), b"second");
    assert_eq!(names(storage, Some("a")), ["file"]);
}

fn append_adds_to_what_is_there(storage: &dyn Storage) {
    fs(storage).append(&path("a/log"), b"one\n").unwrap();
    fs(storage).append(&path("a/log"), b"two\n").unwrap();
    assert_eq!(read(storage, "a/log"), b"one\ntwo\n");
    fs(storage).append(&path("a/log"), b"").unwrap();
    assert_eq!(storage.size(&path("a/log")).unwrap(), 8);
    assert!(fs(storage).append(&path("a"), b"x").is_err());
    assert!(fs(storage).append(&path("a/log/below"), b"x").is_err());
    assert_eq!(names(storage, Some("a")), ["log"]);
}

fn rename_moves_files_and_directories(storage: &dyn Storage) {
    storage.create(&path("a/file"), b"x").unwrap();
    fs(storage).rename(&path("a/file"), &path("new/place/file")).unwrap();
    assert_eq!(read(storage, "new/place/file"), b"x");
    assert!(names(storage, Some("a")).is_empty());
    fs(storage).rename(&path("new"), &path("newer")).unwrap();
    assert_eq!(read(storage, "newer/place/file"), b"x");
    assert!(storage.get(&path("new/place/file"), 1).unwrap_err().is_not_found());
}

fn rename_refuses_a_taken_name_and_a_missing_source(storage: &dyn Storage) {
    storage.create(&path("file"), b"x").unwrap();
    storage.create(&path("taken"), b"y").unwrap();
    storage.create_dir(&path("dir"), &[("z", b"z")]).unwrap();
    for (from, to) in [("file", "taken"), ("file", "dir"), ("dir", "taken"), ("file", "file")] {
        assert!(fs(storage).rename(&path(from), &path(to)).unwrap_err().is_exists(), "{from} to {to}");
    }
    assert!(fs(storage).rename(&path("gone"), &path("b/new")).unwrap_err().is_not_found());
    assert!(fs(storage).rename(&path("gone/file"), &path("b/new")).unwrap_err().is_not_found());
    assert!(fs(storage).rename(&path("dir"), &path("dir/inside")).is_err());
    assert_eq!(read(storage, "file"), b"x");
    assert_eq!(read(storage, "taken"), b"y");
    assert_eq!(read(storage, "dir/z"), b"z");
}

fn list_is_sorted_and_not_deep(storage: &dyn Storage) {
    storage.create(&path("d/b"), b"12").unwrap();
    storage.create(&path("d/a-"), b"1").unwrap();
    storage.create(&path("d/a/deep"), b"123").unwrap();
    let mut entries = storage.list(Some(&path("d"))).unwrap();
    for entry in &mut entries {
        entry.modified_seconds = None;
    }
    let entry = |name: &str, kind, bytes| Entry { name: name.to_owned(), kind, bytes, modified_seconds: None };
    assert_eq!(
        entries,
        [entry("a", EntryKind::Directory, 0), entry("a-", EntryKind::File, 1), entry("b", EntryKind::File, 2)]
    );
    assert_eq!(names(storage, None), ["d"]);
}

fn delete_removes_one_file(storage: &dyn Storage) {
    storage.create(&path("a/one"), b"1").unwrap();
    storage.create(&path("a/two"), b"2").unwrap();
    storage.delete(&path("a/one")).unwrap();
    assert_eq!(names(storage, Some("a")), ["two"]);
    storage.create(&path("a/one"), b"again").unwrap();
    assert_eq!(read(storage, "a/one"), b"again");
}

fn delete_all_removes_files_and_skips_missing_ones(storage: &dyn Storage) {
    let all: Vec<RelPath> = (0..40).map(|number| path(&format!("a/{number}"))).collect();
    for path in all.iter().skip(1) {
        storage.create(path, b"1").unwrap();
    }
    storage.create(&path("a/other"), b"1").unwrap();
    storage.delete_all(&all).unwrap();
    assert_eq!(names(storage, Some("a")), ["other"]);
    storage.delete_all(&[]).unwrap();
}

fn delete_dir_removes_a_directory_of_files(storage: &dyn Storage) {
    storage.create_dir(&path("a/42"), &[("one", b"1"), ("two", b"2")]).unwrap();
    assert_eq!(read(storage, "a/42/two"), b"2");
    storage.delete_dir(&path("a/42")).unwrap();
    assert!(names(storage, Some("a")).is_empty());
    storage.create_dir(&path("a/42"), &[("three", b"3")]).unwrap();
}

fn sync_and_settle_may_be_called_at_any_time(storage: &dyn Storage) {
    storage.sync_dir(None).unwrap();
    storage.sync_dir(Some(&path("a/b"))).unwrap();
    storage.sync().unwrap();
    storage.create(&path("a/b/c"), b"1").unwrap();
    storage.create(&path("d"), b"1").unwrap();
    storage.sync().unwrap();
    storage.create_dir(&path("a/e"), &[("f", b"1")]).unwrap();
    storage.sync_dir(Some(&path("a/e"))).unwrap();
    storage.delete_dir(&path("a/e")).unwrap();
    storage.sync_dir(Some(&path("a"))).unwrap();
    storage.delete(&path("a/b/c")).unwrap();
    storage.delete_dir(&path("a/b")).unwrap();
    storage.sync().unwrap();
    storage.sync().unwrap();
}

fn a_lock_is_held_by_one_and_names_its_holder(storage: &dyn Storage) {
    let file = path("lock");
    let guard = fs(storage).lock(&file, "process 1 of a rather long name").unwrap();
    match fs(storage).lock(&file, "process 2").unwrap_err() {
        StorageError::Held { holder, .. } => assert_eq!(holder, "process 1 of a rather long name"),
        error => panic!("{error:?}"),
    }
    let other = fs(storage).lock(&path("other"), "process 2").unwrap();
    drop(guard);
    assert_eq!(names(storage, None), ["lock", "other"], "the file stays");
    let again = fs(storage).lock(&file, "process 3").unwrap();
    assert_eq!(read(storage, "lock"), b"process 3");
    drop((again, other));
}

fn of_many_threads_that_create_one_name_one_wins(storage: &dyn Storage) {
    for round in 0..20 {
        let file = path(&format!("a/{round}/file"));
        let winners: Vec<usize> = thread::scope(|scope| {
            let create = |number: usize| {
                let file = &file;
                scope.spawn(move || match storage.create(file, &[number as u8; 1000]) {
                    Ok(()) => Some(number),
                    Err(StorageError::Exists { .. }) => None,
                    Err(error) => panic!("{error:?}"),
                })
            };
            let threads: Vec<_> = (0..4).map(create).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1);
        assert_eq!(storage.get(&file, 1000).unwrap(), vec![winners[0] as u8; 1000]);
    }
}

fn of_many_threads_that_create_one_directory_one_wins(storage: &dyn Storage) {
    for round in 0..20 {
        let dir = path(&format!("a/{round}"));
        let winners: Vec<String> = thread::scope(|scope| {
            let create = |number: usize| {
                let dir = &dir;
                let name = number.to_string();
                let files: [(&str, Vec<u8>); 1] = [("root", name.clone().into_bytes())];
                scope.spawn(move || match storage.create_dir(dir, &[(files[0].0, &files[0].1)]) {
                    Ok(()) => Some(name),
                    Err(StorageError::Exists { .. }) => None,
                    Err(error) => panic!("{error:?}"),
                })
            };
            let threads: Vec<_> = (0..4).map(create).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1);
        assert_eq!(read(storage, &format!("{dir}/root")), winners[0].as_bytes());
    }
    assert_eq!(names(storage, Some("a")).len(), 20, "nothing is left over");
}

#[test]
fn a_clone_of_a_memory_storage_is_the_same_storage() {
    let storage = MemoryStorage::new();
    storage.clone().create(&path("a"), b"1").unwrap();
    assert_eq!(read(&storage, "a"), b"1");
}

/// Returns a storage with a file in `root/dir`, next to a directory outside it that has a file.
fn disk() -> (tempfile::TempDir, LocalStorage) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/secret"), "secret").unwrap();
    let storage = LocalStorage::new(dir.path().join("root"));
    storage.create(&path("dir/file"), b"x").unwrap();
    (dir, storage)
}

#[test]
fn a_fifo_or_device_is_neither_read_nor_waited_for() {
    let (_dir, storage) = disk();
    let fifo = storage.root().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o666), 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(storage.root().join("socket")).unwrap();
    symlink("/dev/zero", storage.root().join("device")).unwrap();
    let (send, done) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for name in ["fifo", "socket", "device"] {
            let file = path(name);
            for refused in [
                storage.get(&file, 10).map(drop),
                storage.get_range(&file, 0..10).map(drop),
                storage.size(&file).map(drop),
                storage.lock(&file, "me").map(drop),
            ] {
                assert!(matches!(refused, Err(StorageError::NotAFile { .. })), "{name}: {refused:?}");
            }
            let entries = storage.list(None).unwrap();
            assert_eq!(entries.iter().find(|entry| entry.name == name).unwrap().kind, EntryKind::Other);
        }
        send.send(()).unwrap();
    });
    done.recv_timeout(Duration::from_secs(20)).expect("nothing waits for a writer");
}

#[test]
fn symbolic_links_inside_lead_nowhere() {
    let (dir, storage) = disk();
    symlink("../outside", storage.root().join("link")).unwrap();
    symlink("../../outside/secret", storage.root().join("dir/link")).unwrap();
    symlink("file", storage.root().join("dir/inner")).unwrap();
    for name in ["dir/link", "dir/inner"] {
        assert!(matches!(storage.get(&path(name), 10), Err(StorageError::NotAFile { .. })));
    }
    let through = path("link/secret");
    for refused in [
        storage.get(&through, 10).map(drop),
        storage.create(&path("link/new"), b"x"),
        storage.create(&path("link/a/b"), b"x"),
        storage.create_dir(&path("link/new"), &[("x", b"x")]),
        storage.replace(&through, b"x"),
        storage.rename(&through, &path("stolen")),
        storage.rename(&path("dir/file"), &path("link/file")),
        storage.delete(&through),
        storage.list(Some(&path("link"))).map(drop),
        storage.delete_dir(&path("link")),
        storage.lock(&path("link/lock"), "me").map(drop),
    ] {
        match refused.unwrap_err() {
            StorageError::Link { path } => assert!(path.ends_with("root/link"), "{path}"),
            error => panic!("{error:?}"),
        }
    }
    let outside: Vec<_> = fs::read_dir(dir.path().join("outside")).unwrap().collect();
    assert_eq!(outside.len(), 1);
    // The link itself may be replaced, moved out of the way or deleted.
    storage.replace(&path("dir/link"), b"mine").unwrap();
    storage.delete(&path("dir/inner")).unwrap();
    storage.rename(&path("link"), &path("aside")).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("outside/secret")).unwrap(), "secret");
    assert_eq!(read(&storage, "dir/file"), b"x");
}

#[test]
fn writing_to_a_hard_link_does_not_reach_its_other_name() {
    let (dir, storage) = disk();
    let other = dir.path().join("outside/secret");
    for name in ["lock", "log"] {
        fs::hard_link(&other, storage.root().join(name)).unwrap();
    }
    let first = storage.lock(&path("lock"), "me").unwrap();
    match storage.lock(&path("lock"), "you") {
        Err(StorageError::Held { holder, .. }) => assert_eq!(holder, "me"),
        other => panic!("{other:?}"),
    }
    drop(first);
    storage.append(&path("log"), b" line").unwrap();
    storage.append(&path("log"), b" and another").unwrap();
    assert_eq!(read(&storage, "log"), b"secret line and another");
    assert_eq!(fs::read(&other).unwrap(), b"secret");
    assert_eq!(names(&storage, None), ["dir", "lock", "log"]);
}

#[test]
fn only_one_process_gets_a_lock_that_has_a_hard_link() {
    let (dir, storage) = disk();
    let other = dir.path().join("outside/secret");
    for round in 0..50 {
        fs::hard_link(&other, storage.root().join(format!("lock{round}"))).unwrap();
        let held: Vec<_> = thread::scope(|scope| {
            let take = || storage.lock(&path(&format!("lock{round}")), "somebody").ok();
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).collect()
        });
        assert_eq!(held.iter().flatten().count(), 1, "round {round}");
    }
    assert_eq!(fs::read(&other).unwrap(), b"secret");
}

#[test]
fn the_root_may_be_a_symbolic_link() {
    let (dir, _) = disk();
    symlink("root", dir.path().join("link")).unwrap();
    let storage = LocalStorage::new(dir.path().join("link"));
    assert_eq!(read(&storage, "dir/file"), b"x");
    assert_eq!(names(&storage, None), ["dir"]);
    storage.create(&path("dir/new"), b"y").unwrap();
    storage.sync().unwrap();
    assert_eq!(names(&storage, Some("dir")), ["file", "new"]);
}

#[test]
fn a_root_that_is_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let storage = LocalStorage::new(dir.path().join("file"));
    assert!(matches!(storage.list(None), Err(StorageError::NotADirectory { .. })));
    assert!(matches!(storage.get(&path("a"), 1), Err(StorageError::NotADirectory { .. })));
    assert!(matches!(storage.create(&path("a"), b"x"), Err(StorageError::NotADirectory { .. })));
}

#[test]
fn names_that_are_not_utf8_are_listed_and_do_no_harm() {
    use std::os::unix::ffi::OsStrExt;
    let (_dir, storage) = disk();
    for name in [b"bad\xfe", b"bad\xff"] {
        fs::write(storage.root().join("dir").join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    assert_eq!(names(&storage, Some("dir")), ["bad\\xfe", "bad\\xff", "file"]);
    storage.delete_dir(&path("dir")).unwrap();
    assert!(names(&storage, None).is_empty());
}

#[test]
fn the_lock_of_a_dead_process_is_taken_over() {
    let (_dir, storage) = disk();
    let file = storage.root().join("lock");
    fs::write(&file, "process 1, which was killed, and had much to say about itself").unwrap();
    let guard = storage.lock(&path("lock"), "process 2").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "process 2");
    let other = LocalStorage::new(storage.root());
    assert!(matches!(other.lock(&path("lock"), "process 3"), Err(StorageError::Held { .. })));
    // A lock that another program took names no holder, and its file may contain anything.
    drop(guard);
    fs::write(&file, b"\xff\x1b[2J\n").unwrap();
    let foreign = fs::File::open(&file).unwrap();
    foreign.lock().unwrap();
    match other.lock(&path("lock"), "process 3").unwrap_err() {
        StorageError::Held { holder, .. } => assert_eq!(holder, "\u{fffd} [2J"),
        error => panic!("{error:?}"),
    }
    fs::write(&file, "").unwrap();
    match other.lock(&path("lock"), "process 3").unwrap_err() {
        StorageError::Held { holder, .. } => assert_eq!(holder, "another process"),
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_child_process_does_not_keep_a_lock() {
    let (_dir, storage) = disk();
    let guard = storage.lock(&path("lock"), "me").unwrap();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    drop(guard);
    let again = storage.lock(&path("lock"), "me again");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(again.is_ok(), "{again:?}");
}

#[test]
fn temporary_files_of_a_dead_writer_are_recognized_and_harmless() {
    let (_dir, storage) = disk();
    fs::write(storage.root().join("dir/.tmp-0011223344556677"), "half").unwrap();
    fs::create_dir(storage.root().join("dir/.tmp-8899aabbccddeeff")).unwrap();
    storage.create(&path("dir/new"), b"x").unwrap();
    let entries = names(&storage, Some("dir"));
    let aside: Vec<_> = entries.iter().filter(|name| name.starts_with(TEMPORARY_PREFIX)).collect();
    assert_eq!(aside.len(), 2, "{entries:?}");
}

#[test]
fn a_sparse_file_of_enormous_size_is_refused_by_its_size() {
    let (_dir, storage) = disk();
    let file = fs::File::create(storage.root().join("sparse")).unwrap();
    file.set_len(1 << 42).unwrap();
    assert!(matches!(storage.get(&path("sparse"), 1000), Err(StorageError::TooLarge { .. })));
    assert_eq!(storage.get_range(&path("sparse"), (1 << 42) - 5..u64::MAX).unwrap().len(), 5);
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_and_stays_unchanged() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, storage) = disk();
    let set = |mode| fs::set_permissions(storage.root().join("dir"), fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    if fs::write(storage.root().join("dir/probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let refused = [
        storage.create(&path("dir/new"), b"x"),
        storage.create_dir(&path("dir/new"), &[("x", b"x")]),
        storage.replace(&path("dir/file"), b"y"),
        storage.delete(&path("dir/file")),
    ];
    set(0o755);
    for refused in refused {
        assert!(matches!(refused, Err(StorageError::Io { .. })), "{refused:?}");
    }
    assert_eq!(read(&storage, "dir/file"), b"x");
    assert_eq!(names(&storage, Some("dir")), ["file"]);
    assert!(Path::new(&storage.place()).ends_with("root"));
}
