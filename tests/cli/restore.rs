//! `ckpt restore`.

use std::collections::BTreeMap;
use std::fs;

use ckpt::format::rows::RowCodec;
use ckpt::format::segment::SegmentReader;
use ckpt::id::Sequence;
use ckpt::value::Value;
use serde::Deserialize;

use crate::support::Env;
use crate::support::store_builder::{StoreBuilder, three_checkpoints};

fn env() -> (Env, StoreBuilder) {
    let mut env = Env::new();
    env.at("2026-11-22T15:00:00.123456Z");
    let builder = three_checkpoints(&env.path("s"));
    (env, builder)
}

fn names(env: &Env, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(env.path(dir)).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_roll_back_is_a_new_checkpoint_with_the_old_content() {
    let (env, builder) = env();
    let before = env.run(&["inspect", "s@2", "--state"]).expect(0).stdout;
    let output = env.run(&["restore", "s@2"]).expect(0);
    assert_eq!(output.stdout, "committed checkpoint 4 with the content of checkpoint 2: 6 keys, 7 records\n");
    assert_eq!(output.stderr, "the next run applies 2 records again that checkpoint 3 had\n");
    let old = builder.store.manifest(Sequence(2)).expect("read").manifest;
    let new = builder.store.manifest(Sequence(4)).expect("read").manifest;
    assert_eq!(new.restored_from, Some(Sequence(2)));
    assert_eq!(new.created.to_string(), "2026-11-22T15:00:00.123Z");
    assert_eq!((new.tables, new.block, new.totals.records), (old.tables, old.block, old.totals.records));
    assert_eq!((new.totals.new_bytes, new.totals.changed_keys), (0, 0));
    assert_eq!(env.run(&["inspect", "s", "--state"]).expect(0).stdout, before);
    env.run(&["verify", "s", "--deep"]).expect(0);
    assert!(env.run(&["list", "s"]).expect(0).stdout.contains("restore of 2"));
}

#[test]
fn a_dry_run_changes_nothing() {
    let (env, _) = env();
    let output = env.run(&["restore", "s@2", "--dry-run"]).expect(0);
    assert!(output.stdout.starts_with("would commit checkpoint 4 with the content of checkpoint 2"), "{output}");
    let output = env.run(&["restore", "s@2", "--to", "out", "--dry-run"]).expect(0);
    assert!(output.stdout.starts_with("would write $DIR/out/state-00000.parquet\n"), "{output}");
    assert_eq!(names(&env, "s/checkpoints").len(), 3);
    assert_eq!(names(&env, "."), ["s"]);
}

#[test]
fn going_back_to_the_latest_or_to_a_store_is_wrong_usage() {
    let (env, _) = env();
    let output = env.run(&["restore", "s@latest"]).expect(2);
    assert!(
        output.stderr.starts_with("error: checkpoint 3 is the latest: there is nothing to roll back\n"),
        "{output}"
    );
    env.run(&["restore", "s"]).expect(2);
    env.run(&["restore", "s@9"]).expect(10);
    env.run(&["restore", "s@2", "--format", "csv"]).expect(2);
    assert_eq!(names(&env, "s/checkpoints").len(), 3);
}

#[test]
fn a_damaged_checkpoint_is_not_put_back() {
    let (env, _) = env();
    let path = env.run(&["inspect", "s@1", "--objects", "--json"]).expect(0).stdout;
    let view: serde_json::Value = serde_json::from_str(&path).expect("a view");
    let path = env.path("s").join(view["objects"][3]["path"].as_str().expect("a path"));
    fs::write(path, b"x").expect("written");
    for arguments in [
        &["restore", "s@1"][..],
        &["restore", "s@1", "--to", "out"],
        &["restore", "s", "--to", "out", "--format", "csv"],
    ] {
        let output = env.run(arguments).expect(12);
        assert!(output.stderr.contains("is damaged"), "{output}");
        assert_eq!(output.stdout, "");
    }
    assert_eq!(names(&env, "s/checkpoints").len(), 3);
    assert_eq!(names(&env, "."), ["s"], "nothing is left behind");
}

#[test]
fn a_damaged_latest_checkpoint_can_be_gone_back_from() {
    let (env, _) = env();
    env.write("s/checkpoints/00000003/manifest.yaml", "no manifest");
    env.run(&["restore", "s@2"]).expect(0);
    let output = env.run(&["verify", "s"]).expect(1);
    assert!(output.stdout.contains("NOT intact: checkpoint 3 damaged; newest intact: 4;"), "{output}");
}

#[test]
fn a_store_that_a_run_writes_to_is_busy() {
    let (env, builder) = env();
    let _lock = builder.store.lock("somebody else").expect("locked");
    let output = env.run(&["restore", "s@2"]).expect(11);
    assert!(output.stderr.contains("somebody else"), "{output}");
    env.run(&["restore", "s@2", "--to", "out"]).expect(0);
    env.run(&["restore", "s@2", "--dry-run"]).expect(0);
}

/// The rows of Parquet files, by task and key.
fn parquet_rows(env: &Env, builder: &StoreBuilder, dir: &str) -> BTreeMap<(u32, String), Vec<Value>> {
    let columns = builder.store.manifest(Sequence(1)).expect("read").manifest.columns;
    let codec = RowCodec::new(columns.clone());
    let mut rows = BTreeMap::new();
    for name in names(env, dir) {
        let bytes = fs::read(env.path(dir).join(name)).expect("a file");
        for batch in SegmentReader::open(bytes.into(), &columns).expect("a segment") {
            for row in batch.expect("rows").iter() {
                let key = String::from_utf8(row.key.to_vec()).expect("UTF-8");
                rows.insert((row.task, key), codec.unpack(row.value.expect("no tombstone")));
            }
        }
    }
    rows
}

#[test]
fn parquet_has_a_file_a_shard_with_all_live_rows() {
    let (env, builder) = env();
    env.run(&["restore", "s", "--to", "a/b/out"]).expect(0);
    assert_eq!(names(&env, "a/b"), ["out"]);
    assert_eq!(names(&env, "a/b/out"), ["state-00000.parquet", "state-00001.parquet"]);
    assert_eq!(&parquet_rows(&env, &builder, "a/b/out"), builder.state());
}

#[test]
fn lines_are_in_the_order_of_task_and_key() {
    let (env, builder) = env();
    env.run(&["restore", "s", "--to", "j", "--format", "jsonl"]).expect(0);
    env.run(&["restore", "s", "--to", "c", "--format", "csv"]).expect(0);
    let json = env.read("j/state.jsonl");
    assert_eq!(
        json.lines().next(),
        Some(r#"{"task":0,"key":"ann","clicks":1,"spent":1.25,"city":"city of ann","pages":"sketch of 3 bytes"}"#)
    );
    let keys = |text: &str| -> Vec<(u32, String)> {
        text.lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
                (row["task"].as_u64().expect("a task") as u32, row["key"].as_str().expect("a key").to_owned())
            })
            .collect()
    };
    assert_eq!(keys(&json), builder.state().keys().cloned().collect::<Vec<_>>());
    let csv = env.read("c/state.csv");
    assert_eq!(csv.lines().next(), Some("task,key,clicks,spent,city,pages"));
    assert_eq!(csv.lines().nth(4), Some("4,xan,9,9.25,,sketch of 3 bytes"));
    assert_eq!(csv.lines().count(), 7);
}

#[test]
fn keys_that_look_like_syntax_stay_keys() {
    let env = Env::new();
    let mut builder = StoreBuilder::keyed(&env.path("s"));
    builder.commit(&[
        ("a,b", Some(1)),
        ("say \"no\"", Some(2)),
        ("two\nlines", Some(3)),
        ("", Some(4)),
        ("å🦀", Some(5)),
    ]);
    env.run(&["restore", "s", "--to", "c", "--format", "csv"]).expect(0);
    env.run(&["restore", "s", "--to", "j", "--format", "jsonl"]).expect(0);
    let csv = env.read("c/state.csv");
    for cell in ["\"a,b\"", "\"say \"\"no\"\"\"", "\"two\nlines\"", ",\"\",", "å🦀"] {
        assert!(csv.contains(cell), "{cell}: {csv}");
    }
    assert_eq!(env.read("j/state.jsonl").lines().count(), 5);
    let output = env.run(&["inspect", "s", "--state", "--key", "two\nlines"]).expect(0);
    assert!(output.stdout.contains("two\\nlines"), "{output}");
    let output = env.run(&["inspect", "s", "--state", "--key", ""]).expect(0);
    assert_eq!(output.stdout.lines().count(), 2);
}

#[test]
fn a_target_that_holds_something_is_left_alone() {
    let (env, _) = env();
    env.write("full/file", "x");
    env.write("file", "x");
    fs::create_dir(env.path("empty")).expect("created");
    std::os::unix::fs::symlink("empty", env.path("link")).expect("linked");
    std::os::unix::fs::symlink("nowhere", env.path("dangling")).expect("linked");
    for target in ["full", "file", "s", "dangling", "file/below"] {
        let output = env.run(&["restore", "s", "--to", target]);
        assert!([2, 4].contains(&output.status), "{target}\n{output}");
    }
    assert_eq!(names(&env, "full"), ["file"]);
    env.run(&["restore", "s", "--to", "link"]).expect(0);
    assert_eq!(names(&env, "empty").len(), 2);
    assert_eq!(names(&env, "."), ["dangling", "empty", "file", "full", "link", "s"]);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct RollbackView {
    version: u32,
    dry_run: bool,
    store: String,
    sequence: u64,
    restored_from: u64,
    parent: u64,
    keys: u64,
    records: u64,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct ExportView {
    version: u32,
    dry_run: bool,
    store: String,
    sequence: u64,
    directory: String,
    keys: u64,
    files: Vec<FileView>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct FileView {
    name: String,
    rows: Option<u64>,
    bytes: Option<u64>,
}

#[test]
fn json_says_what_was_done_or_would_be() {
    let (env, _) = env();
    for dry_run in [true, false] {
        let run = |arguments: &[&str]| {
            let mut arguments = arguments.to_vec();
            arguments.extend(dry_run.then_some("--dry-run"));
            env.run(&arguments).expect(0).stdout
        };
        let text = run(&["restore", "s@3", "--to", "out", "--json"]);
        let view: ExportView = serde_json::from_str(&text).expect("a view");
        assert_eq!((view.version, view.dry_run, view.sequence, view.keys), (1, dry_run, 3, 6));
        let rows: Vec<Option<u64>> = view.files.iter().map(|file| file.rows).collect();
        assert_eq!(rows, if dry_run { [None, None] } else { [Some(2), Some(4)] });
        let view: RollbackView = serde_json::from_str(&run(&["restore", "s@1", "--json"])).expect("a view");
        assert_eq!((view.version, view.dry_run), (1, dry_run));
        assert_eq!((view.sequence, view.restored_from, view.parent), (4, 1, 3));
    }
}
