//! `ckpt copy`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ckpt::ops::copy::{Step, apply, plan};
use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::Store;
use ckpt::values::progress::Silent;
use serde::Deserialize;

use crate::support::failing::Failing;
use crate::support::store_builder::{StoreBuilder, three_checkpoints};
use crate::support::{Env, tree};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    dry_run: bool,
    store: String,
    to: String,
    created: bool,
    pins: Vec<u64>,
    checkpoints: Vec<Checkpoint>,
    objects: u64,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    sequence: u64,
    state: String,
    error: Option<String>,
}

fn env() -> (Env, StoreBuilder) {
    let mut env = Env::new();
    env.at("2026-11-22T15:00:00Z");
    let builder = three_checkpoints(&env.path("s"));
    (env, builder)
}

/// The bytes of every file below `dir` that is part of the store's content.
fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.expect("listed"));
    let files = files.filter(|entry| entry.file_type().is_file() && is_content(entry.path()));
    let name = |path: &Path| path.strip_prefix(dir).expect("below").display().to_string();
    files.map(|file| (name(file.path()), fs::read(file.path()).expect("readable"))).collect()
}

/// Returns whether a file is part of the content: locks, and records of what happened to a store, are not copied.
fn is_content(path: &Path) -> bool {
    path.extension().is_none_or(|ending| ending != "lock")
        && path.file_name().is_none_or(|name| name != "lock")
        && !path.components().any(|part| part.as_os_str() == "history")
}

fn states(env: &Env, arguments: &[&str], status: i32) -> (View, Vec<(u64, String)>) {
    let output = env.run(arguments).expect(status);
    let view: View = serde_json::from_str(&output.stdout).expect("a view");
    let states = view.checkpoints.iter().map(|one| (one.sequence, one.state.clone())).collect();
    (view, states)
}

fn all(state: &str) -> Vec<(u64, String)> {
    (1..=3).map(|sequence| (sequence, state.to_owned())).collect()
}

#[test]
fn a_store_is_copied_byte_for_byte_and_the_copy_is_a_store() {
    let (env, _) = env();
    let output = env.run(&["copy", "s", "--to", "a/copy"]).expect(0);
    assert!(output.stdout.starts_with("copied 3 checkpoints to a/copy, a new store: "), "{output}");
    assert_eq!(output.stderr, "");
    assert_eq!(content(&env.path("a/copy")), content(&env.path("s")));
    env.run(&["verify", "a/copy", "--deep"]).expect(0);
    env.run(&["restore", "a/copy@1"]).expect(0);
}

#[test]
fn only_what_is_missing_is_copied() {
    let (env, mut builder) = env();
    env.run(&["copy", "s@1", "s@3", "--to", "copy"]).expect(0);
    let output = env.run(&["verify", "copy"]).expect(0);
    assert!(output.stdout.contains("parent-gone"), "{output}");
    builder.commit(&[("ann", Some(10))]);
    let (view, found) = states(&env, &["copy", "s", "--to", "copy", "--dry-run", "--json"], 0);
    let state = |sequence: u64, state: &str| (sequence, state.to_owned());
    assert_eq!(found, [state(1, "present"), state(2, "copied"), state(3, "present"), state(4, "copied")]);
    // The second has an index and positions of its own; its segments are those of the third. The fourth has a segment
    // too.
    assert_eq!((view.dry_run, view.created, view.objects), (true, false, 5));
    let (again, found_again) = states(&env, &["copy", "s", "--to", "copy", "--json"], 0);
    assert_eq!((again.dry_run, again.objects, again.bytes, found_again), (false, 5, view.bytes, found));
    assert_eq!(content(&env.path("copy")), content(&env.path("s")));
    let output = env.run(&["copy", "s", "--to", "copy"]).expect(0);
    assert!(output.stdout.starts_with("copied 0 checkpoints to copy: 0 objects, 0 B"), "{output}");
    assert_eq!(output.stderr, "4 checkpoints already there\n");
}

#[test]
fn a_dry_run_writes_nothing() {
    let (env, _) = env();
    let output = env.run(&["copy", "s", "--to", "copy", "--dry-run"]).expect(0);
    let lines: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NUMBER", "WOULD", "BE", "OBJECTS", "BYTES"]);
    assert_eq!(lines[1][..2], ["1", "copied"]);
    assert!(output.stdout.contains("\nwould copy 3 checkpoints to copy, a new store: "), "{output}");
    assert!(!env.path("copy").exists());
}

#[test]
fn a_different_checkpoint_with_the_same_number_stops_the_copy_before_anything_is_written() {
    let (env, mut builder) = env();
    env.run(&["copy", "s", "--to", "copy"]).expect(0);
    builder.commit(&[("ann", Some(10))]);
    env.run(&["restore", "copy@1"]).expect(0);
    let before = content(&env.path("copy"));
    let output = env.run(&["copy", "s", "--to", "copy"]).expect(4);
    assert!(output.stderr.starts_with("error: checkpoint 4 differs in `copy`: its manifest has SHA-256 "), "{output}");
    assert_eq!(content(&env.path("copy")), before);
}

#[test]
fn nothing_is_written_to_what_is_not_a_copy_of_the_store() {
    let (env, _) = env();
    StoreBuilder::keyed(&env.path("other"));
    let file = env.read("other/store.yaml");
    env.write("other/store.yaml", file.replace("07070707", "08080808"));
    env.write("renamed/store.yaml", file.replace("job: clicks", "job: views"));
    env.write("full/precious.txt", "mine");
    for (to, words) in [
        ("other", "error: `other` is not a copy of this store: its store is 0808"),
        ("renamed", "error: `renamed` is not a copy of this store: its job is views, expected clicks"),
        ("full", "error: `full` is neither a store nor empty: it holds `precious.txt`"),
    ] {
        let before = content(&env.path(to));
        let output = env.run(&["copy", "s", "--to", to]).expect(2);
        assert!(output.stderr.starts_with(words), "{output}");
        assert_eq!(content(&env.path(to)), before);
    }
    env.run(&["copy", "nothing", "--to", "copy"]).expect(10);
    env.run(&["copy", "s@9", "--to", "copy"]).expect(10);
    env.run(&["copy", "s", "other", "--to", "copy"]).expect(2);
    assert!(!env.path("copy").exists());
}

#[test]
fn a_damaged_checkpoint_is_left_out_and_reported() {
    let (env, _) = env();
    env.write("s/checkpoints/00000001/manifest.yaml", "format: 1\n\u{1b}[2J");
    let text = env.run(&["inspect", "s@3", "--objects", "--json"]).expect(0).stdout;
    let view: serde_json::Value = serde_json::from_str(&text).expect("a view");
    let objects: Vec<&str> =
        view["objects"].as_array().expect("objects").iter().filter_map(|o| o["path"].as_str()).collect();
    let older = env.read("s/checkpoints/00000002/SHA256SUMS");
    let own = objects.iter().find(|path| !older.contains(*path)).expect("an object of its own");
    let good = fs::read(env.path(own)).expect("readable");
    fs::write(env.path(own), vec![0; good.len()]).expect("written");
    let (view, states) = states(&env, &["copy", "s", "--to", "copy", "--json"], 3);
    let names: Vec<&str> = states.iter().map(|(_, state)| state.as_str()).collect();
    assert_eq!(names, ["damaged", "copied", "damaged"]);
    assert!(view.checkpoints[2].error.as_ref().is_some_and(|error| error.contains("is damaged")), "{view:?}");
    env.run(&["verify", "copy@2"]).expect(0);
    assert!(!env.path("copy/checkpoints/00000003").exists());
    fs::write(env.path(own), good).expect("written");
    let output = env.run(&["copy", "s@3", "--to", "copy"]).expect(0);
    assert!(output.stdout.starts_with("copied 1 checkpoint to copy: "), "{output}");
}

#[test]
fn damaged_objects_that_an_interrupted_copy_left_are_moved_out_of_the_way() {
    let (env, _) = env();
    env.run(&["copy", "s", "--to", "copy"]).expect(0);
    let objects: Vec<String> =
        content(&env.path("copy")).into_keys().filter(|name| name.starts_with("objects")).collect();
    for sequence in 1..=3 {
        fs::remove_dir_all(env.path(&format!("copy/checkpoints/{sequence:08}"))).expect("removed");
    }
    env.write(&format!("copy/{}", objects[0]), "torn");
    env.run(&["copy", "s", "--to", "copy"]).expect(0);
    env.run(&["verify", "copy", "--deep"]).expect(0);
    assert_eq!(fs::read_dir(env.path("copy/damaged")).expect("a directory").count(), 1);
}

#[test]
fn a_copy_that_is_stopped_at_any_call_is_whole_and_the_next_one_continues() {
    let env = Env::new();
    let builder = three_checkpoints(&env.path("s"));
    let sequences = builder.store.sequences().expect("listed");
    let copy = |to: Failing<MemoryStorage>| -> Result<usize, ()> {
        let plan = plan(&builder.store, &sequences, Arc::new(to)).map_err(drop)?;
        let copied = apply(&builder.store, &plan, jiff::Timestamp::UNIX_EPOCH, "a test", &Silent).map_err(drop)?;
        assert!(copied.unreadable.is_empty());
        Ok(copied.checkpoints.len())
    };
    let whole = Failing::new(MemoryStorage::new());
    assert_eq!(copy(whole.clone()), Ok(3));
    let mut continued = [0; 4];
    for stop in 0..whole.calls() {
        let place = MemoryStorage::new();
        // A stop while the store is being created, or just after its last checkpoint was, may go unnoticed.
        let stopped = copy(Failing::new(place.clone()).fail_after(stop));
        if let Ok(store) = Store::open(vec![Arc::new(place.clone())]) {
            let reports = verify(&store, None, Depth::Deep, &Silent).expect("verified");
            assert!(reports.iter().all(|report| report.is_intact()), "{stop}: {reports:?}");
        }
        let copied = copy(Failing::new(place.clone())).expect("continued");
        assert!(stopped.is_err() || copied == 0, "{stop}");
        continued[copied] += 1;
        let store = Store::open(vec![Arc::new(place.clone())]).expect("a store");
        assert_eq!(store.sequences().expect("listed"), sequences);
        let plan = plan(&builder.store, &sequences, Arc::new(place)).expect("planned");
        assert!(plan.steps.values().all(|step| matches!(step, Step::Present)));
    }
    assert!(continued[1..].iter().all(|count| *count > 0), "{continued:?}");
}

#[test]
fn json_says_what_was_done() {
    let (env, _) = env();
    let (view, states) = states(&env, &["copy", "s", "--to", "copy", "--json"], 0);
    assert_eq!(
        (view.version, view.dry_run, view.created, view.store.as_str(), view.to.as_str()),
        (1, false, true, "s", "copy")
    );
    assert_eq!(states, all("copied"));
    assert!(view.checkpoints.iter().all(|one| one.error.is_none()) && view.bytes > 0);
}

#[test]
fn a_copy_into_a_store_is_refused_and_a_wrong_path_is_not_damage() {
    let (env, _) = env();
    env.run(&["copy", "s", "--to", "other"]).expect(0);
    env.write("file", "x");
    std::os::unix::fs::symlink("s/objects", env.path("link")).expect("linked");
    let before = tree(env.dir());
    for target in ["s/inside", "s/objects/x", "other/new/deep", "link/x", "new/../s/x", "link/../x"] {
        let output = env.run(&["copy", "s", "--to", target]).expect(2);
        assert!(output.stderr.contains("` is in the store `$DIR/"), "{target}: {output}");
    }
    for target in ["file", "file/below"] {
        let output = env.run(&["copy", "s", "--to", target]).expect(2);
        assert!(output.stderr.contains("file` is not a directory"), "{target}: {output}");
    }
    assert_eq!(tree(env.dir()), before);
}

#[test]
fn a_copy_somebody_writes_to_is_busy() {
    let (env, mut builder) = env();
    env.run(&["copy", "s", "--to", "copy"]).expect(0);
    builder.commit(&[("ann", Some(10))]);
    let copy = Store::open(vec![Arc::new(ckpt::storage::local::LocalStorage::new(env.path("copy")))]).expect("opened");
    let _lock = copy.lock("somebody else").expect("locked");
    let output = env.run(&["copy", "s", "--to", "copy"]).expect(11);
    assert!(output.stderr.contains("somebody else"), "{output}");
    // Reading takes no lock: a store that a run is writing to can be copied.
    let _lock = builder.store.lock("a run").expect("locked");
    env.run(&["copy", "s", "--to", "another"]).expect(0);
}

#[test]
fn pins_are_copied_with_their_checkpoints_and_later() {
    let (env, _) = env();
    env.run(&["pin", "s@2", "--reason", "before the move"]).expect(0);
    let copy = |more: &[&str]| -> View {
        let output = env.run(&[&["copy", "s", "--to", "c", "--json"], more].concat()).expect(0);
        serde_json::from_str(&output.stdout).expect("one document")
    };
    assert_eq!(copy(&["--dry-run"]).pins, [2]);
    assert_eq!(copy(&[]).pins, [2]);
    assert_eq!(env.read("c/pins/00000002.yaml"), env.read("s/pins/00000002.yaml"));
    assert!(copy(&[]).pins.is_empty());
    // The checkpoints are there already.
    env.run(&["pin", "s@1"]).expect(0);
    assert_eq!(copy(&[]).pins, [1]);
    assert!(env.path("c/pins/00000001.yaml").exists());
}

#[test]
fn the_root_of_a_file_system_can_be_a_copy() {
    let (env, _) = env();
    fs::create_dir_all(env.path("disk/lost+found")).expect("made");
    env.run(&["copy", "s", "--to", "disk"]).expect(0);
    let output = env.run(&["verify", "disk"]).expect(0);
    assert!(!output.stdout.contains("lost+found"), "{output}");
    env.run(&["prune", "disk", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(0);
    assert!(env.path("disk/lost+found").is_dir());
    // A file of that name is something else.
    env.write("other/lost+found", "x");
    env.run(&["copy", "s", "--to", "other"]).expect(2);
}
