//! `ckpt diff`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use ckpt::format::manifest::Routing;
use ckpt::values::value::{Column, ColumnType};

use crate::support::Env;
use crate::support::store_builder::{Change as Edit, StoreBuilder, with_three_checkpoints as env};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct KeyLine {
    version: u32,
    r#type: String,
    change: String,
    task: u32,
    key: String,
    old: Option<Value>,
    new: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct PositionLine {
    version: u32,
    r#type: String,
    partition: String,
    input_differs: bool,
    old: Option<Place>,
    new: Option<Place>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Place {
    offset: u64,
    record: u64,
    ended: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Total {
    version: u32,
    r#type: String,
    equal: bool,
    old: Side,
    new: Side,
    added: u64,
    removed: u64,
    changed: u64,
    tasks: u64,
    positions: Option<u64>,
    columns: Vec<Value>,
    job_differs: bool,
    same_layout: bool,
    bytes_read: u64,
    bytes_shared: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Side {
    store: String,
    job: String,
    sequence: u64,
    created: String,
    keys: u64,
    bytes: u64,
    records: u64,
}

/// Compares with `--json` and returns the lines for keys and positions, and the totals.
fn json(env: &Env, arguments: &[&str], status: i32) -> (Vec<KeyLine>, Vec<PositionLine>, Total) {
    let arguments: Vec<&str> = ["diff", "--json"].into_iter().chain(arguments.iter().copied()).collect();
    let output = env.run(&arguments).expect(status);
    let (mut keys, mut positions) = (Vec::new(), Vec::new());
    let lines: Vec<&str> = output.stdout.lines().collect();
    let (total, lines) = lines.split_last().expect("a last line");
    for line in lines {
        let value: Value = serde_json::from_str(line).expect(line);
        match value["type"].as_str() {
            Some("key") => keys.push(serde_json::from_str(line).expect(line)),
            _ => positions.push(serde_json::from_str(line).expect(line)),
        }
    }
    (keys, positions, serde_json::from_str(total).expect(total))
}

#[test]
fn the_summary_says_how_much_changed_and_where() {
    let output = env().run(&["diff", "s@1", "s"]).expect(1);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[0], "different");
    assert!(lines[1].starts_with("old        s@1, 2026-11-22T14:10:00Z, 5 keys, "), "{output}");
    assert!(lines[2].starts_with("new        s@3, 2026-11-22T14:30:00Z, 6 keys, "), "{output}");
    assert_eq!(
        lines[3..7],
        [
            "apart      20m later",
            "keys       2 added, 1 removed, 1 changed",
            "tasks      4 of 8 changed",
            "positions  1 of 1 partition differ: +160 bytes, +4 records",
        ]
    );
    assert!(lines[7].starts_with("read       "), "{output}");
    let words: Vec<Vec<&str>> = lines[8..].iter().map(|line| line.split_whitespace().collect()).collect();
    let expected: [&[&str]; 9] = [
        &[],
        &["PARTITION", "BYTES", "RECORDS", "OFFSET"],
        &["data/clicks.jsonl", "+160", "+4", "360"],
        &[],
        &["TASK", "ADDED", "REMOVED", "CHANGED"],
        &["0", "1", "0", "0"],
        &["3", "0", "1", "0"],
        &["4", "0", "0", "1"],
        &["5", "1", "0", "0"],
    ];
    assert_eq!(words, expected);
    assert_eq!(output.stderr, "");
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 80), "{output}");
}

#[test]
fn keys_are_listed_with_old_and_new_values_column_by_column() {
    let env = env();
    let output = env.run(&["diff", "s@1", "s@3", "--keys"]).expect(1);
    let expected = "\
--- s@1
+++ s@3
+ eve  (task 0)
  + clicks  5
  + spent   5.25
  + city    city of eve
  + pages   sketch of 8 bytes, SHA-256 0bc11351e49f
- dan  (task 3)
  - clicks  4
  - spent   4.25
  - city    city of dan
  - pages   sketch of 8 bytes, SHA-256 0bc11351e49f
~ cyd  (task 4)
  - clicks  3
  + clicks  30
  - spent   3.25
  + spent   30.25
+ fay  (task 5)
  + clicks  6
  + spent   6.25
  + city    city of fay
  + pages   sketch of 8 bytes, SHA-256 0bc11351e49f
";
    assert_eq!(output.stdout, expected);
    let back = env.run(&["diff", "s@3", "s@1", "--keys"]).expect(1).stdout;
    assert!(back.contains("\n+ dan  (task 3)\n  + clicks  4\n") && back.contains("\n- eve "), "{back}");
    assert!(back.contains("~ cyd  (task 4)\n  - clicks  30\n  + clicks  3\n"), "{back}");
}

#[test]
fn a_checkpoint_is_equal_to_itself_and_nothing_of_its_state_is_read() {
    let env = env();
    let output = env.run(&["diff", "s", "s@3"]).expect(0);
    assert!(output.stdout.starts_with("equal\n"), "{output}");
    assert!(output.stdout.contains("\nkeys       0 added, 0 removed, 0 changed\n"), "{output}");
    assert!(output.stdout.contains("\npositions  unchanged\n"), "{output}");
    assert_eq!(env.run(&["diff", "s", "s", "--keys"]).expect(0).stdout, "--- s@3\n+++ s@3\n");
    let (keys, positions, total) = json(&env, &["s", "s"], 0);
    assert!(keys.is_empty() && positions.is_empty() && total.equal);
    for object in segments(&env, 3) {
        fs::remove_file(object.path).expect("removed");
    }
    env.run(&["diff", "s", "s"]).expect(0);
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    shard: u64,
    level: u64,
    bytes: u64,
}

/// Returns the segments of a checkpoint.
fn segments(env: &Env, number: u64) -> Vec<Segment> {
    let output = env.run(&["inspect", &format!("s@{number}"), "--objects", "--json"]).expect(0);
    let view: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let objects = view["objects"].as_array().expect("a list").iter();
    let segments = objects.filter(|object| object["level"].is_u64());
    segments
        .map(|object| Segment {
            path: env.path(object["path"].as_str().expect("a path")),
            shard: object["shard"].as_u64().expect("a number"),
            level: object["level"].as_u64().expect("a number"),
            bytes: object["bytes"].as_u64().expect("a number"),
        })
        .collect()
}

fn table_bytes(env: &Env, number: u64) -> u64 {
    let output = env.run(&["inspect", &format!("s@{number}"), "--objects", "--json"]).expect(0);
    let view: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let objects = view["objects"].as_array().expect("a list").iter();
    let tables = objects.filter(|object| object["role"] == "index" || object["role"] == "positions");
    tables.map(|object| object["bytes"].as_u64().expect("a number")).sum()
}

#[test]
fn what_both_share_is_not_read_when_no_key_has_to_be_looked_up_there() {
    let env = Env::new();
    let mut builder = StoreBuilder::create(&env.path("s"), 1, 1, Routing::KeyHash);
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4))]);
    builder.commit(&[("bob", Some(20)), ("cyd", Some(30))]);
    builder.commit(&[("cyd", Some(31))]);
    builder.commit(&[("cyd", Some(32)), ("ann", Some(10))]);
    let chain = segments(&env, 4);
    assert_eq!(
        chain.iter().map(|segment| (segment.shard, segment.level)).collect::<Vec<_>>(),
        [(0, 0), (0, 1), (0, 2), (0, 3)]
    );
    let tables = |a, b| table_bytes(&env, a) + table_bytes(&env, b);
    // The old value of `cyd` is in the newest segment that both share: neither the base nor the delta below is needed.
    let (keys, _, total) = json(&env, &["s@2", "s@3"], 1);
    assert_eq!((keys.len(), total.changed), (1, 1));
    assert_eq!(total.bytes_read, tables(2, 3) + chain[1].bytes + chain[2].bytes);
    assert_eq!(total.bytes_shared, chain[0].bytes + chain[1].bytes);
    // `ann` sorts before the first key of both deltas: only the base is searched for it.
    let (_, _, total) = json(&env, &["s@3", "s@4"], 1);
    assert_eq!(total.changed, 2);
    assert_eq!(total.bytes_read, tables(3, 4) + chain[0].bytes + chain[2].bytes + chain[3].bytes);
    fs::remove_file(&chain[1].path).expect("removed");
    env.run(&["diff", "s@3", "s@4"]).expect(1);
    fs::remove_file(&chain[0].path).expect("removed");
    env.run(&["diff", "s@3", "s@4"]).expect(12);
    env.run(&["diff", "s@3", "s@4", "--key", "cyd"]).expect(1);
}

#[test]
fn rewriting_a_key_with_its_value_or_deleting_a_missing_key_is_not_a_difference() {
    let env = Env::new();
    let mut builder = StoreBuilder::keyed(&env.path("s"));
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4))]);
    let mut draft = builder.draft(&[("ann", Some(1)), ("zed", None), ("eve", None), ("dan", Some(4))]);
    let position = draft.positions[0].clone();
    draft.positions[0] = ckpt::format::positions::PositionRow {
        offset: 160,
        record: 4,
        fingerprint: ckpt::values::digest::Digest::of(&4u64.to_le_bytes()),
        ..position
    };
    builder.commit_draft(draft);
    assert_ne!(segments(&env, 1).len(), segments(&env, 2).len());
    let (keys, _, total) = json(&env, &["s@1", "s@2"], 0);
    assert!(keys.is_empty() && total.equal, "{total:?}");
}

/// Builds a store in several commits, the last of which is at a given position.
fn store_at(env: &Env, name: &str, tasks: u32, shards: u32, commits: &[&[Edit<'_>]], records: u64) {
    let mut builder = StoreBuilder::create(&env.path(name), tasks, shards, Routing::KeyHash);
    let (last, first) = commits.split_last().expect("a commit");
    for edits in first {
        builder.commit(edits);
    }
    let mut draft = builder.draft(last);
    draft.positions[0].offset = records * 40;
    draft.positions[0].record = records;
    draft.positions[0].fingerprint = ckpt::values::digest::Digest::of(&records.to_le_bytes());
    builder.commit_draft(draft);
}

#[test]
fn equal_content_is_equal_whatever_chains_shards_and_tasks_hold_it() {
    let env = Env::new();
    let whole: &[&[Edit<'_>]] = &[&[("ann", Some(1)), ("bob", Some(5)), ("cyd", Some(3)), ("xan", Some(9))]];
    let steps: &[&[Edit<'_>]] = &[
        &[("ann", Some(7)), ("bob", Some(2)), ("dan", Some(4)), ("xan", Some(8)), ("cyd", Some(3))],
        &[("bob", Some(5)), ("ann", Some(1))],
        &[("dan", None), ("xan", Some(9))],
    ];
    store_at(&env, "whole", 8, 3, whole, 77);
    store_at(&env, "steps", 8, 3, steps, 77);
    store_at(&env, "shards", 8, 5, steps, 77);
    store_at(&env, "tasks", 6, 2, steps, 77);
    let stores = ["whole", "steps", "shards", "tasks"];
    for old in stores {
        for new in stores {
            let output = env.run(&["diff", old, new]).expect(0);
            let same_layout = old == new || ["whole", "steps"].contains(&old) && ["whole", "steps"].contains(&new);
            assert_eq!(
                output.stderr.contains("the layouts differ, so everything was read: 8 tasks in "),
                !same_layout && old != "tasks",
                "{old} {new}: {output}"
            );
            let (_, _, total) = json(&env, &[old, new], 0);
            assert_eq!(total.same_layout, same_layout, "{old} {new}");
        }
    }
    store_at(&env, "further", 6, 2, &[whole[0], &[("bob", Some(6)), ("eve", Some(1)), ("cyd", None)]], 78);
    let (keys, positions, _) = json(&env, &["steps", "further"], 1);
    let mut found: Vec<(&str, &str)> = keys.iter().map(|line| (line.key.as_str(), line.change.as_str())).collect();
    assert!(keys.is_sorted_by_key(|line| (line.task, line.key.clone())), "{keys:?}");
    found.sort_unstable();
    assert_eq!(found, [("bob", "changed"), ("cyd", "removed"), ("eve", "added")]);
    let place = |offset, record| Some(Place { offset, record, ended: false });
    assert_eq!((&positions[0].old, &positions[0].new), (&place(3080, 77), &place(3120, 78)));
}

#[test]
fn partitions_are_compared_by_name() {
    let env = Env::new();
    let mut one = StoreBuilder::unkeyed(&env.path("one"));
    one.commit(&[("p0", Some(1)), ("p3", Some(2)), ("p5", Some(2))]);
    let mut two = StoreBuilder::unkeyed(&env.path("two"));
    two.commit(&[("p0", Some(1)), ("p3", Some(3)), ("p7", Some(2))]);
    two.commit(&[("p3", Some(3))]);
    let (keys, positions, _) = json(&env, &["one", "two"], 1);
    let keys: Vec<(u32, &str)> = keys.iter().map(|line| (line.task, line.change.as_str())).collect();
    assert_eq!(keys, [(3, "changed"), (5, "removed"), (7, "added")]);
    let moved: Vec<(&str, bool, bool)> =
        positions.iter().map(|line| (line.partition.as_str(), line.old.is_some(), line.new.is_some())).collect();
    assert_eq!(moved, [("p3", true, true), ("p5", true, false), ("p7", false, true)]);
    let output = env.run(&["diff", "one", "two"]).expect(1);
    for (partition, word) in [("p5", "gone"), ("p7", "new")] {
        let line = output.stdout.lines().find(|line| line.starts_with(partition)).expect("a line");
        assert!(line.ends_with(word), "{output}");
    }
    // By hash and by partition: a key that is not a partition is reported with its old task.
    let mut keyed = StoreBuilder::keyed(&env.path("keyed"));
    keyed.commit(&[("p0", Some(1)), ("ann", Some(2))]);
    let (keys, _, total) = json(&env, &["keyed", "one"], 1);
    let keys: Vec<(u32, &str, &str)> =
        keys.iter().map(|line| (line.task, line.key.as_str(), line.change.as_str())).collect();
    assert_eq!(keys, [(3, "p3", "added"), (5, "p5", "added"), (0, "ann", "removed")]);
    assert!(!total.same_layout);
}

#[test]
fn columns_are_compared_by_name_and_others_are_a_separate_difference() {
    let env = Env::new();
    for (name, columns) in [("one", &["a", "b"][..]), ("two", &["b", "a"]), ("three", &["b", "c"])] {
        let columns = columns.iter().map(|name| Column::new(*name, ColumnType::Int)).collect();
        let mut builder = StoreBuilder::keyed(&env.path(name)).with_columns(columns, |column, clicks| {
            ckpt::values::value::Value::Int(clicks * if column == "b" { 100 } else { 1 })
        });
        builder.commit(&[("ann", Some(1)), ("bob", Some(2))]);
    }
    env.run(&["diff", "one", "two"]).expect(0);
    let output = env.run(&["diff", "one", "three"]).expect(1);
    assert!(output.stdout.contains("\ncolumn     c int is new; its values were not compared\n"), "{output}");
    assert!(output.stdout.contains("\ncolumn     a int is gone; its values were not compared\n"), "{output}");
    assert!(output.stdout.contains("\nkeys       0 added, 0 removed, 0 changed\n"), "{output}");
    let (_, _, total) = json(&env, &["one", "three"], 1);
    let expected =
        serde_json::json!([{"name": "c", "old": null, "new": "int"}, {"name": "a", "old": "int", "new": null}]);
    assert_eq!(Value::Array(total.columns), expected);
}

#[test]
fn an_edited_job_definition_is_reported_but_is_not_a_difference() {
    let env = Env::new();
    let mut builder = StoreBuilder::keyed(&env.path("s"));
    builder.commit(&[("ann", Some(1))]);
    let mut draft = builder.draft(&[]);
    draft.job.extend_from_slice(b"# edited\n");
    builder.commit_draft(draft);
    let output = env.run(&["diff", "s@1", "s@2"]).expect(0);
    assert_eq!(output.stderr, "the job definitions differ: `ckpt inspect TARGET --job` prints them\n");
    assert!(json(&env, &["s@1", "s@2"], 0).2.job_differs);
}

#[test]
fn a_scope_compares_its_keys_and_nothing_else() {
    let env = env();
    let keys = |arguments: &[&str], status| {
        let (keys, positions, total) = json(&env, &[&["s@1", "s@3"], arguments].concat(), status);
        assert!(positions.is_empty() && total.positions.is_none() && total.equal == (status == 0));
        keys.into_iter().map(|line| line.key).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(&["--task", "3"], 1), "dan");
    assert_eq!(keys(&["--task", "1"], 0), "");
    assert_eq!(keys(&["--prefix", "c"], 1), "cyd");
    assert_eq!(keys(&["--prefix", "cyd"], 1), "cyd");
    assert_eq!(keys(&["--prefix", "cyda"], 0), "");
    assert_eq!(keys(&["--prefix", "bo"], 0), "");
    assert_eq!(keys(&["--prefix", "d", "--task", "3"], 1), "dan");
    assert_eq!(keys(&["--prefix", "d", "--task", "4"], 0), "");
    assert_eq!(keys(&["--key", "cyd"], 1), "cyd");
    assert_eq!(keys(&["--key", "c"], 0), "");
    assert_eq!(keys(&["--key", "cyd", "--task", "3"], 0), "");
    env.run(&["diff", "s@1", "s@3", "--key", "a", "--key", "b"]).expect(2);
    env.run(&["diff", "s@1", "s@3", "--key", "a", "--prefix", "b"]).expect(2);
    let output = env.run(&["diff", "s@1", "s@3", "--task", "8"]).expect(2);
    assert_eq!(output.stderr, "error: there is no task 8: tasks are 0 to 7\n");
}

#[test]
fn of_a_single_key_only_its_shard_is_read() {
    let env = Env::new();
    let records: String = (0..2_000).map(|key| format!("{{\"k\":\"key{key}\"}}\n")).collect();
    env.write("job.yaml", "job: j\ninput: a.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: s}\n");
    for times in [1, 2] {
        env.write("a.jsonl", records.repeat(times));
        env.run(&["run", "job.yaml"]).expect(0);
    }
    let read = |arguments: &[&str]| {
        let (keys, _, total) = json(&env, &[&["s@1", "s@2"], arguments].concat(), 1);
        assert_eq!(keys.iter().map(|line| line.key.as_str()).collect::<Vec<_>>(), ["key1234"]);
        total.bytes_read
    };
    let (one, all) = (read(&["--key", "key1234"]), read(&["--prefix", "key1234"]));
    assert!(one * 2 < all, "{one} of {all} bytes");
}

#[test]
fn totals_count_everything_whatever_is_listed() {
    let env = env();
    let output = env.run(&["diff", "s@1", "s@3", "--keys", "--limit", "1"]).expect(1);
    assert!(output.stdout.contains("+ eve ") && !output.stdout.contains("dan"), "{output}");
    assert_eq!(output.stderr, "3 more keys not shown: `--limit 0` shows all\n");
    let (keys, positions, total) = json(&env, &["s@1", "s@3", "-n", "2"], 1);
    assert_eq!((keys.len(), positions.len(), total.added, total.removed, total.changed), (2, 1, 2, 1, 1));
    let output = env.run(&["diff", "s@1", "s@3", "--stat", "-n", "1"]).expect(1);
    assert_eq!((output.stdout.lines().count(), output.stderr.lines().count()), (2, 1), "{output}");
    assert_eq!(env.run(&["diff", "s@1", "s@3", "--stat", "-n", "0"]).expect(1).stdout.lines().count(), 5);
}

#[test]
fn json_of_tasks_has_a_line_for_each_that_was_touched() {
    let output = env().run(&["diff", "s@1", "s@3", "--stat", "--json"]).expect(1);
    let lines: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(kinds, ["task", "task", "task", "task", "position", "total"]);
    let expected = serde_json::json!({"version": 1, "type": "task", "task": 0, "added": 1, "removed": 0, "changed": 0});
    assert_eq!(lines[0], expected);
}

#[test]
fn json_of_a_key_has_the_values_that_differ() {
    let (keys, _, total) = json(&env(), &["s@1", "s@3"], 1);
    let cyd = &keys[2];
    assert_eq!((cyd.key.as_str(), cyd.change.as_str(), cyd.task), ("cyd", "changed", 4));
    assert_eq!(cyd.old, Some(serde_json::json!({"clicks": 3, "spent": 3.25})));
    assert_eq!(cyd.new, Some(serde_json::json!({"clicks": 30, "spent": 30.25})));
    assert_eq!((keys[1].old.is_some(), &keys[1].new), (true, &None));
    assert_eq!((total.old.sequence, total.new.sequence, total.tasks, total.positions), (1, 3, 4, Some(1)));
}

#[test]
fn a_terminal_of_80_columns_shows_colors_and_says_the_same_without() {
    let mut env = env();
    for option in ["--stat", "--quiet"] {
        let seen = env.run_on_terminal(&["diff", "s@1", "s@3", option, "--quiet", "--color=never"]);
        assert!(seen.text.lines().all(|line| line.trim_end().chars().count() <= 80), "{}", seen.text);
    }
    let seen = env.run_on_terminal(&["diff", "s@1", "s@3", "--keys", "-q"]);
    for line in ["\u{1b}[31m- dan", "\u{1b}[32m+ eve", "\u{1b}[33m~ cyd", "\u{1b}[31m  - clicks  3\u{1b}[0m"] {
        assert!(seen.text.contains(line), "{line:?} {}", seen.text);
    }
    env.set("NO_COLOR", "1");
    assert!(!env.run_on_terminal(&["diff", "s@1", "s@3", "--keys", "-q"]).text.contains('\u{1b}'));
}

#[test]
fn control_characters_in_keys_and_values_never_reach_a_terminal() {
    let env = Env::new();
    let mut builder = StoreBuilder::keyed(&env.path("s"));
    builder.commit(&[("ann", Some(1))]);
    builder.commit(&[("a\u{1b}[2J\nb", Some(1))]);
    let output = env.run(&["diff", "s@1", "s@2", "--keys"]).expect(1);
    assert!(!output.stdout.contains('\u{1b}') && output.stdout.contains("+ a\\u{1b}[2J\\nb  (task "), "{output}");
}

#[test]
fn missing_or_damaged_things_have_their_own_exit_codes() {
    let env = env();
    env.run(&["diff", "s@1", "s@9"]).expect(10);
    env.run(&["diff", "s@1", "nowhere"]).expect(10);
    env.run(&["diff", "s@1"]).expect(2);
    env.run(&["diff", "s@1", "s@3", "--keys", "--stat"]).expect(2);
    let chain = segments(&env, 3);
    let newest = chain.last().expect("a segment");
    let mut bytes = fs::read(&newest.path).expect("read");
    bytes[20] ^= 1;
    fs::write(&newest.path, bytes).expect("written");
    let output = env.run(&["diff", "s@1", "s@3"]).expect(12);
    assert!(output.stderr.contains("is damaged") && output.stderr.contains("hint: `ckpt verify"), "{output}");
}

#[test]
fn a_reader_that_stops_early_ends_it_with_the_exit_code_of_a_difference() {
    let env = Env::new();
    let mut builder = StoreBuilder::keyed(&env.path("s"));
    builder.commit(&[("ann", Some(1))]);
    let names: Vec<String> = (0..20_000).map(|i| format!("key-{i}")).collect();
    let edits: Vec<Edit<'_>> = names.iter().map(|name| (name.as_str(), Some(1))).collect();
    builder.commit(&edits);
    let output = env.shell("{ ckpt diff s@1 s@2 --keys; echo $? >status; } | head -n 3; cat status");
    assert_eq!((output.stdout.lines().last(), output.stderr.as_str()), (Some("1"), ""), "{output}");
}

/// A job with every kind of aggregate whose state could depend on the course of the run.
fn job(store: &str, checkpoint: &str) -> String {
    format!(
        "job: visits\ninput: {{files: 'data/*.jsonl', format: json}}\nkey: user\ntasks: 16\nprocess:\n  aggregate:\n    \
         visits: count\n    spent: sum(amount)\n    mean: avg(amount)\n    first: first(page)\n    last: last(page)\n    \
         pages: approx_distinct(page)\ncheckpoint: {{store: {store}, {checkpoint}}}\n"
    )
}

/// Writes two partitions of made-up visits.
fn write_visits(env: &Env, records: u64) {
    for partition in 0..2u64 {
        let mut text = String::new();
        for i in 0..records {
            let n = (i * 2 + partition).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            text += &format!(
                "{{\"user\":\"u{}\",\"amount\":{}.{:02},\"page\":\"p{}\"}}\n",
                n % 500,
                n % 90,
                n % 100,
                n % 3_001
            );
        }
        env.write(&format!("data/visits-{partition}.jsonl"), text);
    }
}

#[test]
fn two_runs_of_one_job_are_equal_though_one_was_killed_and_checkpoints_came_at_other_times() {
    let env = Env::new();
    write_visits(&env, 200_000);
    env.write("one.yaml", job("one", "schedule: 1h"));
    env.write("two.yaml", job("two", "schedule: 20ms"));
    env.run(&["run", "one.yaml", "--quiet"]).expect(0);
    let mut killed = env.command(&["run", "two.yaml", "--quiet"]).spawn().expect("started");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !env.path("two/checkpoints/00000001/manifest.yaml").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill().expect("killed");
    killed.wait().expect("waited");
    let (_, positions, early) = json(&env, &["two", "one"], 1);
    assert!(early.added + early.changed > 0 && !positions.is_empty(), "it was killed on the way: {early:?}");
    env.run(&["run", "two.yaml", "--quiet", "--must-resume"]).expect(0);
    let output = env.run(&["diff", "one", "two"]).expect(0);
    assert!(output.stdout.starts_with("equal\n"), "{output}");
    let (_, _, total) = json(&env, &["one", "two"], 0);
    assert!(total.new.sequence > 1 && total.same_layout && total.job_differs, "{total:?}");
}

#[test]
fn the_examples_of_the_help_run() {
    let mut env = Env::new();
    // A checkpoint every ten minutes: the first at 14:10.
    env.at("2026-11-22T21:10:00Z");
    for store in ["checkpoints/clicks", "a/store", "b/store"] {
        fs::create_dir_all(env.path(store).parent().expect("a directory")).expect("created");
        let mut builder = StoreBuilder::keyed(&env.path(store));
        for clicks in 1..=42 {
            builder.commit(&[("us-ann", Some(clicks))]);
        }
    }
    let help = env.run(&["diff", "--help"]).expect(0).stdout;
    let examples: Vec<&str> = help.lines().map(str::trim).filter(|line| line.starts_with("ckpt diff ")).collect();
    let outputs: Vec<(i32, String)> = examples
        .iter()
        .map(|example| {
            let output = env.shell(example);
            assert_eq!(output.stderr, "", "{example}");
            (output.status, output.stdout.lines().next().unwrap_or_default().to_owned())
        })
        .collect();
    let expected = [
        (1, "different"),
        (1, "--- checkpoints/clicks@41"),
        (1, "TASK  ADDED  REMOVED  CHANGED"),
        (0, "both runs agree"),
    ];
    assert_eq!(outputs, expected.map(|(status, line)| (status, line.to_owned())));
}
