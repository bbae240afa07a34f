//! `ckpt restore`.

use std::collections::BTreeMap;
use std::fs;

use ckpt::format::rows::RowCodec;
use ckpt::format::segment::{SegmentReader, SegmentWriter};
use ckpt::ops::read::Snapshot;
use ckpt::values::digest::Digest;
use ckpt::values::id::Sequence;
use ckpt::values::value::Value;
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
fn a_rollback_is_a_new_checkpoint_with_the_old_content() {
    let (env, builder) = env();
    let before = env.run(&["inspect", "s@2", "--state"]).expect(0).stdout;
    let output = env.run(&["restore", "s@2"]).expect(0);
    assert_eq!(output.stdout, "committed checkpoint 4 with the content of checkpoint 2: 6 keys, 7 records\n");
    assert_eq!(output.stderr, "the next run will apply 2 records of checkpoint 3 again\n");
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
fn a_damaged_checkpoint_is_not_restored() {
    let (env, _) = env();
    let path = env.run(&["inspect", "s@1", "--objects", "--json"]).expect(0).stdout;
    let view: serde_json::Value = serde_json::from_str(&path).expect("a view");
    let path = env.path(view["objects"][3]["path"].as_str().expect("a path"));
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
fn a_shard_of_one_segment_is_exported_as_that_very_file() {
    let (env, builder) = env();
    env.run(&["restore", "s@1", "--to", "out"]).expect(0);
    let snapshot = Snapshot::open(&builder.store, Sequence(1)).expect("read");
    for chain in snapshot.chains() {
        let [base] = chain else { panic!("the first checkpoint has only bases") };
        let written = fs::read(env.path("out").join(format!("state-{:05}.parquet", base.shard))).expect("written");
        assert_eq!(Digest::of(&written), base.object.digest);
        // And this would be true if its rows were encoded again.
        let mut writer = SegmentWriter::new(snapshot.codec.columns());
        for batch in SegmentReader::open(written.into(), snapshot.codec.columns()).expect("a segment") {
            batch.expect("rows").iter().for_each(|row| writer.push(row));
        }
        assert_eq!(Digest::of(&writer.finish().0), base.object.digest);
    }
}

#[test]
fn a_rollback_from_a_damaged_latest_checkpoint_works() {
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
fn parquet_has_one_file_per_shard_with_all_live_rows() {
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
        Some(r#"{"task":0,"key":"ann","clicks":1,"spent":1.25,"city":"city of ann","pages":"sketch of 8 bytes"}"#)
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
    assert_eq!(csv.lines().nth(4), Some("4,xan,9,9.25,,sketch of 8 bytes"));
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
    seeks: Vec<SeekView>,
    forgotten: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct SeekView {
    partition: String,
    old_offset: u64,
    old_record: u64,
    offset: u64,
    record: u64,
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
    kept: bool,
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

#[test]
fn an_interrupted_restore_continues_where_it_was() {
    let (env, builder) = env();
    env.run(&["restore", "s", "--to", "out"]).expect(0);
    // What a kill leaves that comes when the first of the two files is complete.
    let first = fs::read(env.path("out/state-00000.parquet")).expect("a file");
    let modified = || fs::metadata(env.path("out/state-00000.parquet")).expect("a file").modified().expect("a time");
    let written = modified();
    let manifest = ckpt::values::digest::Digest::of(env.read("s/checkpoints/00000003/manifest.yaml").as_bytes());
    let cut_short = |purpose: &str, first: &[u8]| {
        let digest = ckpt::values::digest::Digest::of(first);
        let journal = format!("ckpt-restore-1 {manifest} {purpose}\n{digest} 2 {} state-00000.parquet\n", first.len());
        env.write("out.ckpt-restore.journal", journal);
        fs::rename(env.path("out"), env.path("out.ckpt-restore")).expect("renamed");
        env.write("out.ckpt-restore/state-00001.parquet", "torn");
    };
    cut_short("Parquet", &first);
    let output = env.run(&["restore", "s", "--to", "out"]).expect(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines[0].starts_with("kept $DIR/out/state-00000.parquet: 2 rows, "), "{output}");
    assert!(lines[1].starts_with("wrote $DIR/out/state-00001.parquet: 4 rows, "), "{output}");
    assert_eq!(modified(), written);
    assert_eq!(&parquet_rows(&env, &builder, "out"), builder.state());
    assert_eq!(names(&env, "."), ["out", "s"]);

    // Files that have changed since, or were written for another purpose, are rewritten.
    for (purpose, recorded) in [("Parquet", &b"other bytes"[..]), ("Csv", &first)] {
        cut_short(purpose, recorded);
        let text = env.run(&["restore", "s", "--to", "out", "--json"]).expect(0).stdout;
        let view: ExportView = serde_json::from_str(&text).expect("a view");
        assert!(view.files.iter().all(|file| !file.kept), "{view:?}");
        assert_eq!(&parquet_rows(&env, &builder, "out"), builder.state());
        assert_eq!(names(&env, "."), ["out", "s"]);
    }
    env.write("other.ckpt-restore/precious.txt", "mine");
    env.run(&["restore", "s", "--to", "other"]).expect(2);
    assert_eq!(env.read("other.ckpt-restore/precious.txt"), "mine");
}

/// A job with two input files that has run to its end, with one checkpoint, in `job/store`.
fn finished_job() -> Env {
    let env = Env::new();
    let job = "job: counting\ninput: {files: 'data/*.jsonl'}\nkey: k\ntasks: 8\nprocess: {aggregate: {n: count}}\n\
               checkpoint: {store: store}\noutput: out/\n";
    env.write("job/job.yaml", job);
    env.write("job/data/a.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"a\"}\n");
    env.write("job/data/b.jsonl", "{\"k\":\"c\"}\n");
    env.run(&["run", "job/job.yaml"]).expect(0);
    env
}

const OUTPUT: &str = "job/out/counting.jsonl";

#[test]
fn a_position_that_is_moved_back_is_applied_again_and_the_state_stays() {
    let env = finished_job();
    let arguments = ["restore", "job/store", "--seek", "data/a.jsonl=record:1", "--input-base", "job"];
    let planned = env.run(&[&arguments[..], &["--dry-run"]].concat()).expect(0);
    assert_eq!(
        planned.stdout,
        "would commit checkpoint 2 with the content of checkpoint 1: 3 keys, 2 records\n  \
         data/a.jsonl: from record 3 at byte 30 to record 1 at byte 10\n"
    );
    assert_eq!(names(&env, "job/store/checkpoints").len(), 1);
    let output = env.run(&arguments).expect(0);
    assert_eq!(output.stdout, planned.stdout.replace("would commit", "committed"));
    let warning = "warning: 2 records of `data/a.jsonl` will be applied twice: the state already includes them\n";
    assert_eq!((output.stderr.as_str(), planned.stderr.as_str()), (warning, warning));
    env.run(&["verify", "job/store", "--deep"]).expect(0);
    assert!(env.run(&["list", "job/store"]).expect(0).stdout.contains("restore of 1"));
    env.run(&["run", "job/job.yaml"]).expect(0);
    assert_eq!(env.read(OUTPUT), "{\"k\":\"a\",\"n\":3}\n{\"k\":\"b\",\"n\":2}\n{\"k\":\"c\",\"n\":1}\n");
}

#[test]
fn a_position_that_is_moved_forward_skips_records() {
    let env = finished_job();
    env.write("job/data/a.jsonl", env.read("job/data/a.jsonl") + "{\"k\":\"a\"}\nbroken\n{\"k\":\"a\"}\n");
    env.run(&["run", "job/job.yaml"]).expect(5);
    // Byte 47 is after the broken line.
    let output = env.shell("cd job && ckpt restore store --seek data/a.jsonl=47 --json").expect(0);
    assert_eq!(output.stderr, "warning: 2 records of `data/a.jsonl` will never be applied\n");
    let view: RollbackView = serde_json::from_str(&output.stdout).expect("a view");
    let seek = SeekView { partition: "data/a.jsonl".into(), old_offset: 30, old_record: 3, offset: 47, record: 5 };
    assert_eq!((view.sequence, view.restored_from, view.records, &view.seeks), (2, 1, 6, &vec![seek]));
    env.run(&["run", "job/job.yaml"]).expect(0);
    assert!(env.read(OUTPUT).starts_with("{\"k\":\"a\",\"n\":3}\n"));
    env.run(&["verify", "job/store", "--deep"]).expect(0);
}

#[test]
fn start_and_end_are_positions_of_any_number_of_inputs() {
    let env = finished_job();
    let seek = |a: &str, b: &str| {
        let (a, b) = (format!("data/a.jsonl={a}"), format!("data/b.jsonl={b}"));
        env.run(&["restore", "job/store", "--input-base", "job", "--seek", &a, "--seek", &b]).expect(0)
    };
    seek("start", "end");
    env.run(&["run", "job/job.yaml"]).expect(0);
    assert_eq!(env.read(OUTPUT), "{\"k\":\"a\",\"n\":4}\n{\"k\":\"b\",\"n\":2}\n{\"k\":\"c\",\"n\":1}\n");
    seek("end", "end");
    env.write("job/data/b.jsonl", "{\"k\":\"c\"}\n{\"k\":\"d\"}\n");
    env.run(&["run", "job/job.yaml"]).expect(0);
    assert!(env.read(OUTPUT).ends_with("{\"k\":\"c\",\"n\":1}\n{\"k\":\"d\",\"n\":1}\n"));
    env.run(&["verify", "job/store", "--deep"]).expect(0);
}

#[test]
fn an_invalid_position_is_refused_and_nothing_is_written() {
    let env = finished_job();
    let cases = [
        ("data/a.jsonl", 2, "expected PARTITION=POSITION"),
        ("data/a.jsonl=middle", 2, "expected PARTITION=POSITION"),
        ("data/a.jsonl=record:-1", 2, "expected PARTITION=POSITION"),
        ("data/c.jsonl=start", 2, "the checkpoint has no input `data/c.jsonl`\nhint: the nearest is `data/"),
        ("data/a.jsonl=15", 2, "has no record that begins at byte 15: the nearest begin at 10 and 20"),
        ("data/a.jsonl=record:4", 2, "has only 3 records in 30 bytes"),
        ("data/a.jsonl=31", 2, "has only 3 records in 30 bytes"),
    ];
    for (seek, status, words) in cases {
        let output = env.run(&["restore", "job/store", "--input-base", "job", "--seek", seek]).expect(status);
        assert!(output.stderr.contains(words), "{seek}\n{output}");
    }
    let output = env.run(&["restore", "job/store", "--seek", "data/a.jsonl=end"]).expect(4);
    assert!(output.stderr.contains("hint: set `--input-base` to the directory"), "{output}");
    env.run(&["restore", "job/store", "--to", "out", "--seek", "data/a.jsonl=end"]).expect(2);
    assert_eq!(names(&env, "job/store/checkpoints").len(), 1);
}
