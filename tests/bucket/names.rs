//! Names in a bucket: none is altered, and a listing has each of them once.

use std::thread;

use ckpt::storage::EntryKind;
use ckpt::values::relpath::RelPath;

use super::path;
use crate::support::bucket::Bucket;

/// Names that encodings of URLs, of XML and of paths treat in their own ways.
const ODD: &[&str] = &[
    "a b", "a+b", "a%20b", "a%2Fb", "a=b&c=d", "a?b#c", "key=1", ".hidden", ".tmp-1", "~", "'", "\"", "<x>", "&amp;",
    "ü", "日本", "e\u{301}", "*", "[a]", "{b}", "a\\b", "a:b", "@", "a,b;c", "^`|", "...", "-", "%", "%%41", "100%",
];

#[test]
fn odd_names_are_kept_as_they_are() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    let names: Vec<&str> = ODD.iter().copied().filter(|name| RelPath::new(*name).is_ok()).collect();
    for name in &names {
        storage.create(&path(&format!("dir {name}/{name}")), name.as_bytes()).unwrap();
        storage.replace(&path(name), name.as_bytes()).unwrap();
    }
    for name in &names {
        let inside = path(&format!("dir {name}/{name}"));
        assert_eq!(storage.get(&inside, 100).unwrap(), name.as_bytes(), "{name}");
        assert_eq!(storage.get_range(&path(name), 0..1).unwrap(), name.as_bytes()[..1], "{name}");
        assert_eq!(storage.size(&inside).unwrap(), name.len() as u64, "{name}");
        assert!(storage.create(&inside, b"other").unwrap_err().is_exists(), "{name}");
        let dir = path(&format!("dir {name}"));
        let listed: Vec<String> = storage.list(Some(&dir)).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(listed, [*name]);
    }
    let mut expected: Vec<String> = names.iter().flat_map(|name| [(*name).to_owned(), format!("dir {name}")]).collect();
    expected.sort_unstable();
    let listed = storage.list(None).unwrap();
    assert_eq!(listed.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>(), expected);
    assert!(listed.iter().all(|entry| (entry.kind == EntryKind::Directory) == entry.name.starts_with("dir ")));
    for name in &names {
        storage.delete(&path(name)).unwrap();
        storage.delete(&path(&format!("dir {name}/{name}"))).unwrap();
    }
    assert!(storage.list(None).unwrap().is_empty());
}

#[test]
fn a_listing_of_several_pages_has_every_name_once() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    let name = |number: usize| format!("d/{number:05}{}", if number.is_multiple_of(10) { "/deep" } else { "" });
    thread::scope(|scope| {
        for thread in 0..4 {
            let storage = &storage;
            scope.spawn(move || {
                (thread..2100).step_by(4).for_each(|n| storage.replace(&path(&name(n)), b"x").unwrap());
            });
        }
    });
    let listed = storage.list(Some(&path("d"))).unwrap();
    assert_eq!(listed.len(), 2100);
    assert!(listed.iter().enumerate().all(|(number, entry)| entry.name == format!("{number:05}")));
    let directories = listed.iter().filter(|entry| entry.kind == EntryKind::Directory).count();
    assert_eq!(directories, 210);
    let mut deep = Vec::new();
    storage.list_deep(Some(&path("d")), &mut |entry| deep.push(entry)).unwrap();
    assert_eq!((deep.len(), deep[0].name.as_str(), deep[1].name.as_str()), (2100, "00000/deep", "00001"));
    assert!(deep.iter().all(|entry| entry.bytes == 1 && entry.modified_seconds.is_some()));
}

#[test]
fn a_name_that_begins_like_another_is_not_below_it() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    for name in ["a/x", "ab/y", "a.z", "a"] {
        storage.replace(&path(name), b"x").unwrap();
    }
    let names =
        |dir: Option<&RelPath>| storage.list(dir).unwrap().into_iter().map(|entry| entry.name).collect::<Vec<_>>();
    assert_eq!(names(Some(&path("a"))), ["x"]);
    assert_eq!(names(None), ["a", "a", "a.z", "ab"]);
    assert!(names(Some(&path("x"))).is_empty());
}
