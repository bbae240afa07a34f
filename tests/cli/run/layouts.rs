//! Mode priority, and a state that is written in a new layout.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ckpt::format::index::{self, IndexRow};
use ckpt::format::layout::ObjectKind;
use ckpt::format::manifest::{Manifest, Tables};
use ckpt::format::rows::{Row, RowCodec};
use ckpt::format::segment::{SegmentReader, SegmentWriter};
use ckpt::ops::read::Snapshot;
use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;
use ckpt::values::id::Sequence;
use ckpt::values::value::{Column, Value};
use serde_json::Value as Json;

use super::{PATIENCE, checkpoints, manifest, until, wait};
use crate::support::Env;

/// Writes a job that reads standard input. Each checkpoint takes few of its shards.
fn job(env: &Env, tasks: u32, trigger: &str) {
    let aggregates = "{n: count, d: approx_distinct(v)}";
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: {{files: '-', format: json}}\nkey: k\ntasks: {tasks}\nprocess: {{aggregate: {aggregates}}}\n\
             checkpoint: {{store: store, {trigger}, mode: priority, budget: 1KiB}}\noutput: out\n"
        ),
    );
}

fn input() -> String {
    let line = |i: u32| format!("{{\"k\":\"k{}\",\"v\":{}}}\n", i % 1_000, i / 1_000 % 37);
    (0..200_000).map(line).collect()
}

fn is_behind(env: &Env, number: u64) -> bool {
    manifest(&env.path("store"), number).contains("older_cuts:\n")
}

/// Runs the job with input in small portions, and returns a checkpoint after `since` in which some shards wait.
fn run_until_shards_wait(env: &Env, input: &str, since: u64) -> u64 {
    let mut command = env.command(&["run", "job.yaml"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("piped");
    // A shard that has not changed when a cut is chosen is not left out.
    for lines in input.as_bytes().chunks(30_000) {
        stdin.write_all(lines).expect("written");
        thread::sleep(Duration::from_millis(4));
    }
    let newer = || checkpoints(&env.path("store")).into_iter().filter(|number| *number > since);
    until("shards wait", || newer().any(|number| is_behind(env, number)));
    drop(stdin);
    assert_eq!(wait(&mut child, PATIENCE), 0);
    newer().rfind(|&number| is_behind(env, number)).expect("a checkpoint")
}

#[test]
fn a_state_in_a_new_layout_is_written_whole_whatever_the_priorities_choose() {
    let env = Env::new();
    let input = input();
    let first = &input[..=input[..input.len() / 3].rfind('\n').expect("a line")];
    job(&env, 8, "schedule: 15ms");
    env.run_with_input(&["run", "job.yaml"], first.as_bytes()).expect(0);
    let before = *checkpoints(&env.path("store")).last().expect("a checkpoint");
    assert!(!is_behind(&env, before), "the last checkpoint takes everything");
    let view = |number: u64| -> Json {
        let output = env.run(&["inspect", &format!("store@{number}"), "--json"]).expect(0);
        serde_json::from_str(&output.stdout).expect("JSON")
    };
    let cut = view(before)["block"].as_u64().expect("a cut");
    // The first checkpoint comes when shards that it does not choose have changed.
    job(&env, 16, "records: 1000");
    run_until_shards_wait(&env, &input, before);
    for number in checkpoints(&env.path("store")).into_iter().filter(|number| *number > before) {
        let view = view(number);
        let mut older = view["older_cuts"].as_array().into_iter().flatten();
        assert!(older.all(|older| older["block"].as_u64() >= Some(cut)), "no shard is at an older cut: {view}");
        assert!(view["totals"]["keys"] == 1_000, "{view}");
    }
    env.run(&["verify", "store", "--deep"]).expect(0);
    let found = env.read("out/j.jsonl");
    fs::remove_dir_all(env.path("store")).expect("removed");
    fs::remove_dir_all(env.path("out")).expect("removed");
    env.run_with_input(&["run", "job.yaml"], input.as_bytes()).expect(0);
    assert!(env.read("out/j.jsonl") == found);
}

/// Writes checkpoint `number` of the store `from` into the new store `to` as a version without estimates would have.
fn write_as_older_version(from: &Path, number: u64, to: &Path) {
    let storage = |path: &Path| Arc::new(LocalStorage::new(path.to_owned()));
    let old = Store::open(vec![storage(from)]).expect("a store");
    let snapshot = Snapshot::open(&old, Sequence(number)).expect("a checkpoint");
    let new = Store::create(vec![storage(to)], old.file.clone()).expect("created");
    let columns = snapshot.codec.columns();
    let kept: Vec<usize> = (0..columns.len()).filter(|&at| columns[at].estimate.is_none()).collect();
    let name = |at: usize| columns[at].name.trim_end_matches("_sketch");
    let columns_before: Vec<Column> = kept.iter().map(|&at| Column::new(name(at), columns[at].column_type)).collect();
    assert_eq!(columns_before.iter().map(|column| &*column.name).collect::<Vec<_>>(), ["n", "d"]);
    let codec = RowCodec::new(columns_before.clone());
    let segment = |row: &IndexRow| {
        let mut writer = SegmentWriter::new(&columns_before);
        let bytes = snapshot.object(&old, row.object_ref()).expect("a segment");
        for batch in SegmentReader::open(bytes, columns).expect("a segment") {
            for row in batch.expect("rows").iter() {
                let mut packed = Vec::new();
                if row.value.is_some() {
                    let values = snapshot.values(row);
                    codec.pack(&kept.iter().map(|&at| values[at].clone()).collect::<Vec<Value>>(), &mut packed);
                }
                writer.push(Row { value: row.value.map(|_| packed.as_slice()), ..row });
            }
        }
        let object = new.put(&writer.finish().0, ObjectKind::Parquet).expect("written").object;
        IndexRow { object: object.object, bytes: object.bytes, ..row.clone() }
    };
    let rows: Vec<IndexRow> = snapshot.index.iter().map(segment).collect();
    let put = |bytes: &[u8], kind| new.put(bytes, kind).expect("written").object;
    let tables = snapshot.manifest().tables;
    let tables = Tables {
        index: put(&index::encode(&rows), ObjectKind::Parquet),
        positions: put(&snapshot.object(&old, tables.positions).expect("positions"), ObjectKind::Parquet),
        job: put(snapshot.job(&old).expect("a job").as_bytes(), ObjectKind::Yaml),
    };
    let mut manifest = Manifest { columns: columns_before.clone(), tables, ..snapshot.manifest().clone() };
    (manifest.sequence, manifest.parent) = (Sequence::FIRST, None);
    let objects = manifest.objects(&rows);
    manifest.totals.bytes = objects.iter().map(|object| object.bytes).sum();
    manifest.totals.new_bytes = manifest.totals.bytes;
    let names: Vec<_> = objects.iter().map(|object| object.object).collect();
    new.commit(&manifest, &names).expect("committed");
}

#[test]
fn a_store_without_estimates_resumes_although_its_shards_are_at_several_cuts() {
    let env = Env::new();
    let input = input();
    job(&env, 8, "schedule: 15ms");
    let behind = run_until_shards_wait(&env, &input, 0);
    let calm = env.read("out/j.jsonl");
    write_as_older_version(&env.path("store"), behind, &env.path("older"));
    let check = env.run(&["verify", "older", "--deep"]);
    assert!(!check.stdout.contains("damage"), "{check}");
    fs::remove_dir_all(env.path("store")).expect("removed");
    fs::remove_dir_all(env.path("out")).expect("removed");
    fs::rename(env.path("older"), env.path("store")).expect("renamed");
    // What a run is asked to change needs all shards at one cut, as ever.
    job(&env, 16, "schedule: 15ms");
    let output = env.run_with_input(&["run", "job.yaml"], input.as_bytes()).expect(2);
    assert!(output.stderr.contains("are at several cuts"), "{output}");
    job(&env, 8, "schedule: 15ms");
    env.run_with_input(&["run", "job.yaml"], input.as_bytes()).expect(0);
    assert!(env.read("out/j.jsonl") == calm);
    env.run(&["verify", "store", "--deep"]).expect(0);
    let last = *checkpoints(&env.path("store")).last().expect("a checkpoint");
    assert!(!is_behind(&env, last) && manifest(&env.path("store"), last).contains("name: d_sketch"));
}
