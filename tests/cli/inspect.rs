//! `ckpt inspect`.

use serde::Deserialize;
use serde_json::Value;

use crate::support::Env;
use crate::support::headed::Headed;
use crate::support::store_builder::{JOB, StoreBuilder, with_three_checkpoints as env};

/// The words of each line.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn view<T: serde::de::DeserializeOwned>(env: &Env, arguments: &[&str]) -> T {
    let arguments: Vec<&str> = ["inspect", "--json"].into_iter().chain(arguments.iter().copied()).collect();
    let output = env.run(&arguments).expect(0);
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"))
}

#[test]
fn a_checkpoint_says_where_it_comes_from_and_what_it_holds() {
    let output = env().run(&["inspect", "s"]).expect(0);
    let expected = [
        "checkpoint 3 of job clicks",
        "store      s",
        "created    2026-11-22T14:30:00Z, 30m ago",
        "cause      schedule",
        "mode       elided",
        "input      9 records, 360 B in 1 partition, 0 ended",
        "cut        block 3 of 256 KiB",
        "tasks      8 in 3 shards, by key hash",
        "state      6 keys, 2 changed",
        "columns    clicks int, spent number, city text, pages sketch",
        "segments   2 bases, 3 deltas in 2 shards, at most 3 per shard",
        "took       pause 850 µs, snapshot 12 ms, write 310 ms",
    ];
    for line in expected {
        assert!(output.stdout.lines().any(|found| found == line), "{line}\n{output}");
    }
    assert!(output.stdout.contains("\nparent     2, manifest "), "{output}");
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 80), "{output}");
    assert_eq!(output.stderr, "");
}

#[test]
fn a_target_is_a_store_a_directory_a_number_or_a_time() {
    let env = env();
    for (target, number) in [
        ("s", 3),
        ("s@1", 1),
        ("s@latest", 3),
        ("s@latest~1", 2),
        ("s@35m ago", 2),
        ("s@2026-11-22T14:10", 1),
        ("s/checkpoints/00000002", 2),
    ] {
        let output = env.run(&["inspect", target]).expect(0);
        assert!(output.stdout.starts_with(&format!("checkpoint {number} of ")), "{target}\n{output}");
    }
    env.run(&["inspect", "s@4"]).expect(10);
    env.run(&["inspect", "s@5h ago"]).expect(10);
    env.run(&["inspect", "s@never"]).expect(2);
}

#[test]
fn state_is_the_rows_in_the_order_of_task_and_key() {
    let env = env();
    let output = env.run(&["inspect", "s", "--state"]).expect(0);
    let lines = words(&output.stdout);
    assert_eq!(lines[0], ["TASK", "KEY", "clicks", "spent", "city", "pages"]);
    let keys: Vec<(&str, &str)> = lines[1..].iter().map(|line| (line[1], line[2])).collect();
    let expected = [("ann", "1"), ("eve", "5"), ("cyd", "30"), ("xan", "9"), ("bob", "2"), ("fay", "6")];
    assert_eq!(keys, expected);
    assert!(output.stdout.contains("sketch of 8 bytes"), "{output}");
    let older = env.run(&["inspect", "s@1", "--state"]).expect(0);
    assert!(older.stdout.contains(" dan ") && !older.stdout.contains(" eve "), "{older}");
}

#[test]
fn state_can_be_narrowed_to_a_task_a_key_and_a_number_of_rows() {
    let env = env();
    let keys = |arguments: &[&str], status| {
        let arguments: Vec<&str> = ["inspect", "s", "--state"].into_iter().chain(arguments.iter().copied()).collect();
        let output = env.run(&arguments).expect(status);
        let keys: Vec<String> = words(&output.stdout)[1..].iter().map(|line| line[1].to_owned()).collect();
        (keys.join(" "), output.stderr)
    };
    let quiet = |keys: &str| (keys.to_owned(), String::new());
    assert_eq!(keys(&["--task", "4"], 0), quiet("cyd xan"));
    assert_eq!(keys(&["--task", "1"], 0), quiet(""));
    assert_eq!(keys(&["--key", "cyd"], 0), quiet("cyd"));
    assert_eq!(keys(&["--key", "cyd", "--task", "4"], 0), quiet("cyd"));
    assert_eq!(keys(&["--key", "dan"], 1), (String::new(), "there is no key `dan`\n".to_owned()));
    assert_eq!(keys(&["--key", "cyd", "--task", "5"], 1).0, "");
    assert_eq!(keys(&["--prefix", "c"], 0), quiet("cyd"));
    assert_eq!(keys(&["--prefix", ""], 0), quiet("ann eve cyd xan bob fay"));
    assert_eq!(keys(&["--prefix", "x", "--task", "5"], 0), quiet(""));
    assert_eq!(keys(&["--prefix", "cydx"], 0), quiet(""));
    assert_eq!(keys(&["--limit", "0"], 0), quiet("ann eve cyd xan bob fay"));
    assert_eq!(keys(&["--limit", "6"], 0), quiet("ann eve cyd xan bob fay"));
    let cut = "there are more rows: `--limit 0` shows all\n".to_owned();
    assert_eq!(keys(&["--limit", "2"], 0), ("ann eve".to_owned(), cut));
    env.run(&["inspect", "s", "--state", "--task", "8"]).expect(2);
}

#[test]
fn a_key_without_routing_is_a_partition() {
    let env = Env::new();
    let mut builder = StoreBuilder::unkeyed(&env.path("s"));
    builder.commit(&[("p0", Some(1)), ("p3", Some(2)), ("p7", Some(3))]);
    let output = env.run(&["inspect", "s", "--state", "--key", "p3"]).expect(0);
    assert_eq!(words(&output.stdout)[1][..3], ["3", "p3", "2"]);
    env.run(&["inspect", "s", "--state", "--key", "p4"]).expect(1);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct StateView {
    sequence: u64,
    columns: Vec<Value>,
    cut: bool,
    rows: Vec<StateRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateRow {
    task: u32,
    key: String,
    values: serde_json::Map<String, Value>,
}

#[test]
fn json_of_state_has_typed_values() {
    let view: Headed<StateView> = view(&env(), &["s", "--state", "--limit", "4"]);
    assert_eq!((view.head.version, view.sequence, view.cut, view.rows.len()), (1, 3, true, 4));
    let row = &view.rows[3];
    assert_eq!((row.task, row.key.as_str()), (4, "xan"));
    let expected = serde_json::json!({"clicks": 9, "spent": 9.25, "city": null, "pages": "sketch of 8 bytes"});
    assert_eq!(Value::Object(row.values.clone()), expected);
}

#[test]
fn tasks_have_a_row_when_they_hold_keys_or_all_are_asked_for() {
    let env = env();
    let output = env.run(&["inspect", "s", "--tasks"]).expect(0);
    let lines = words(&output.stdout);
    assert_eq!(lines[0], ["TASK", "SHARD", "KEYS", "BYTES"]);
    assert_eq!(
        lines[1..].iter().map(|line| line[..3].to_vec()).collect::<Vec<_>>(),
        [["0", "0", "2"], ["4", "1", "2"], ["5", "1", "2"]]
    );
    let rows = |arguments: &[&str]| words(&env.run(arguments).expect(0).stdout).len() - 1;
    assert_eq!(rows(&["inspect", "s", "--tasks", "--all"]), 8);
    assert_eq!(rows(&["inspect", "s", "--tasks", "--all", "-n", "3"]), 3);
    assert_eq!(rows(&["inspect", "s", "--tasks", "-n", "2"]), 2);
}

#[test]
fn all_of_a_million_tasks_are_rows_only_when_asked_for() {
    let env = Env::new();
    let routing = ckpt::format::manifest::Routing::KeyHash;
    let mut builder = StoreBuilder::create(&env.path("s"), 1_000_000, 16, routing);
    builder.commit(&[("ann", Some(1)), ("bob", Some(2))]);
    let lines = |arguments: &[&str]| env.run(arguments).expect(0).stdout.lines().count();
    assert_eq!(lines(&["inspect", "s", "--tasks"]), 3);
    let view: Value = view(&env, &["s", "--tasks", "--all", "--limit", "0"]);
    assert_eq!(view["tasks"].as_array().map(Vec::len), Some(1_000_000));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct PositionsView {
    sequence: u64,
    positions: Vec<Position>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Position {
    partition: String,
    task: Option<u32>,
    cut: u64,
    offset: u64,
    record: u64,
    ended: bool,
    file_bytes: Option<u64>,
    fingerprint: String,
}

#[test]
fn positions_say_how_far_each_partition_is() {
    let env = env();
    let output = env.run(&["inspect", "s@2", "--positions"]).expect(0);
    assert_eq!(words(&output.stdout)[1], ["data/clicks.jsonl", "-", "280", "7", "1,000,000", "2"]);
    let view: Headed<PositionsView> = view(&env, &["s@2", "--positions"]);
    assert_eq!((view.positions[0].offset, view.positions[0].record, view.positions[0].ended), (280, 7, false));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct ObjectsView {
    sequence: u64,
    objects: Vec<Object>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Object {
    object: String,
    path: String,
    bytes: u64,
    role: String,
    shard: Option<u32>,
    level: Option<u32>,
    rows: Option<u64>,
    shared: Option<bool>,
}

#[test]
fn objects_are_shared_with_the_parent_or_new() {
    let env = env();
    let shares = |number: u64| {
        let view: Headed<ObjectsView> = view(&env, &[&format!("s@{number}"), "--objects"]);
        assert!(view.objects.iter().all(|object| env.path(&object.path).is_file()));
        view.objects.iter().map(|object| (object.role.clone(), object.shared)).collect::<Vec<_>>()
    };
    assert!(shares(1).iter().all(|(_, shared)| *shared == Some(false)));
    let expected = [
        ("index", false),
        ("positions", false),
        ("job", true),
        ("base", true),
        ("delta", true),
        ("base", true),
        ("delta", true),
        ("delta", false),
    ];
    assert_eq!(shares(3), expected.map(|(role, shared)| (role.to_owned(), Some(shared))));
    std::fs::remove_dir_all(env.path("s/checkpoints/00000002")).expect("removed");
    assert!(shares(3).iter().all(|(_, shared)| shared.is_none()));
}

#[test]
fn the_job_file_comes_out_as_it_went_in() {
    let env = env();
    assert_eq!(env.run(&["inspect", "s", "--job"]).expect(0).stdout, JOB);
    let view: Value = view(&env, &["s", "--job"]);
    assert_eq!(view["definition"], JOB);
}

#[test]
fn json_of_the_description_has_these_fields() {
    let view: serde_json::Map<String, Value> = view(&env(), &["s"]);
    let mut names: Vec<&str> = view.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names.join(" "),
        "bases block block_bytes classes columns created dead_letter deltas diverged ended ended_partitions filled_shards job \
         late_records longest_chain manifest_sha256 messages mode objects older_cuts outputs parent pin restored_from \
         routing sequence shards store tasks timings totals trigger version"
    );
    assert_eq!(view["version"], 1);
    assert_eq!(view["totals"]["keys"], 6);
}

#[test]
fn one_thing_is_asked_for_at_a_time() {
    let env = env();
    for arguments in
        [&["--state", "--tasks"][..], &["--job", "--objects"], &["--key", "a"], &["--task", "1"], &["--all"]]
    {
        let arguments: Vec<&str> = ["inspect", "s"].into_iter().chain(arguments.iter().copied()).collect();
        env.run(&arguments).expect(2);
    }
}

#[test]
fn damage_in_the_way_is_exit_code_12_and_names_the_object() {
    let env = env();
    for entry in walk(&env) {
        let mut bytes = std::fs::read(&entry).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&entry, bytes).expect("written");
    }
    for option in ["--state", "--tasks", "--positions", "--objects", "--job"] {
        let output = env.run(&["inspect", "s", option]).expect(12);
        assert!(output.stderr.contains("objects/sha256/") && output.stderr.contains("hint: `ckpt verify"), "{output}");
        assert_eq!(output.stdout, "");
    }
}

/// Returns every object.
fn walk(env: &Env) -> Vec<std::path::PathBuf> {
    let list = |dir: &std::path::Path| {
        std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    list(&env.path("s/objects/sha256")).iter().flat_map(|dir| list(dir)).collect()
}

#[test]
fn a_terminal_of_80_columns_is_not_too_narrow_and_color_is_only_for_it() {
    let mut env = env();
    for option in ["--state", "--tasks", "--positions", "--objects"] {
        let seen = env.run_on_terminal(&["inspect", "s", option, "--quiet", "--color=never"]);
        assert!(seen.text.lines().all(|line| line.trim_end().chars().count() <= 80), "{}", seen.text);
        assert!(seen.text.is_ascii() || seen.text.contains('…'), "{}", seen.text);
    }
    assert!(env.run_on_terminal(&["inspect", "s", "-q"]).text.contains("\u{1b}[1m"));
    assert!(!env.run(&["inspect", "s"]).stdout.contains('\u{1b}'));
    env.set("NO_COLOR", "1");
    assert!(!env.run_on_terminal(&["inspect", "s", "-q"]).text.contains('\u{1b}'));
}

#[test]
fn what_a_terminal_would_act_on_is_escaped_in_json_too() {
    let env = Env::new();
    env.write("in.jsonl", "{\"k\":\"\u{9b}31m\u{202e}\u{7f}\"}\n");
    env.write(
        "job.yaml",
        "job: j\ninput: in.jsonl\nkey: k\nprocess: {aggregate: {k2: last(k)}}\ncheckpoint: {store: s}\n",
    );
    env.run(&["run", "job.yaml"]).expect(0);
    let shown = env.run(&["inspect", "s", "--state", "--json"]).expect(0).stdout;
    assert_eq!(shown.matches(r"\u009b31m\u202e\u007f").count(), 2, "{shown}");
    assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{7f}']), "{shown}");
    let refused = env.run(&["inspect", "no\u{9b}31m", "--json"]).expect(10).stderr;
    assert!(refused.contains(r"no\u009b31m") && !refused.contains('\u{9b}'), "{refused}");
}
