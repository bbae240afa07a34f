//! `ckpt restore --to` below a prefix of a bucket.

use std::sync::Arc;

use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;

use super::{Scene, path};
use crate::support::store_builder::three_checkpoints;
use crate::support::tree;

fn scene() -> Option<Scene> {
    let scene = Scene::new("")?;
    three_checkpoints(&scene.env.path("s"));
    Some(scene)
}

#[test]
fn a_prefix_gets_the_files_that_a_directory_gets_and_success_last() {
    let Some(scene) = scene() else { return };
    for format in ["parquet", "jsonl", "csv"] {
        let to = format!("{}/{format}", scene.bucket.url);
        let restore = |to: &str, dry: bool| {
            let mut arguments = vec!["restore", "s", "--to", to, "--format", format];
            arguments.extend(dry.then_some("--dry-run"));
            scene.env.run(&arguments)
        };
        let planned = restore(&to, true).expect(0);
        assert!(planned.stdout.contains(&format!("would write {to}/state")), "{planned}");
        assert!(scene.names(format).is_empty());
        let wrote = restore(&to, false).expect(0);
        assert!(wrote.stdout.contains(&format!("wrote {to}/state")), "{wrote}");
        restore(format, false).expect(0);
        let mut objects = scene.objects(format);
        assert_eq!(objects.remove("_SUCCESS"), Some(Vec::new()));
        assert_eq!(objects, tree(&scene.env.path(format)), "{format}");
        let again = restore(&to, false).expect(2);
        assert!(again.stderr.contains("is not empty: it has `_SUCCESS`"), "{again}");
    }
}

#[test]
fn only_an_interrupted_restore_of_the_same_is_continued() {
    let Some(scene) = scene() else { return };
    let to = format!("{}/out", scene.bucket.url);
    let out = scene.storage("out");
    scene.env.run(&["restore", "s", "--to", &to, "--format", "csv"]).expect(0);
    let whole = scene.objects("out");
    let store = Store::open(vec![Arc::new(LocalStorage::new(scene.env.path("s")))]).expect("a store");
    let latest = *store.sequences().expect("listed").last().expect("a checkpoint");
    let purpose = format!("{} Csv", store.manifest(latest).expect("read").sha256);
    out.delete(&path("_SUCCESS")).unwrap();
    let refused = scene.env.run(&["restore", "s", "--to", &to, "--format", "csv"]).expect(2);
    assert!(refused.stderr.contains("is not empty: it has `state.csv`"), "{refused}");
    out.replace(&path("_ckpt-restore"), purpose.as_bytes()).unwrap();
    out.replace(&path("state.csv"), b"old").unwrap();
    for other in ["jsonl", "parquet"] {
        scene.env.run(&["restore", "s", "--to", &to, "--format", other]).expect(2);
    }
    scene.env.run(&["restore", "s@1", "--to", &to, "--format", "csv"]).expect(2);
    scene.env.run(&["restore", "s", "--to", &to, "--format", "csv"]).expect(0);
    assert_eq!(scene.objects("out"), whole);
}

#[test]
fn a_store_is_not_written_into() {
    let Some(scene) = scene() else { return };
    scene.storage("x").replace(&path("store.yaml"), b"x").unwrap();
    let refused = scene.env.run(&["restore", "s", "--to", &format!("{}/x/out", scene.bucket.url)]).expect(2);
    assert!(refused.stderr.contains("is in the store"), "{refused}");
}
