//! `having`: only the rows that qualify are output, compared with what plain Python computes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::published::{changes, net};
use crate::support::Env;

/// Writes amounts that come and go, in parts, and the rows that qualify after each part.
const AMOUNTS: &str = r#"
import json, os, random
from decimal import Decimal as D
r = random.Random(3)
rows = {}
os.mkdir("parts")
os.mkdir("expected")
for part in range(8):
    with open("parts/data-%d.jsonl" % part, "w") as f:
        for i in range(3000):
            key = "k%d" % r.randint(0, 900)
            record = {"k": key, "op": r.choice("uuuuud"), "v": r.choice([None, "3.10", "-3.10", "0.1"])}
            f.write(json.dumps(record).replace('"3.10"', "3.10").replace('"-3.10"', "-3.10").replace('"0.1"', "0.1") + "\n")
            if record["op"] == "d":
                rows.pop(key, None)
            else:
                row = rows.setdefault(key, [0, None])
                row[0] += 1
                if record["v"]:
                    row[1] = (row[1] or D(0)) + D(record["v"])
    with open("expected/%d.jsonl" % part, "w") as f:
        for key in sorted(rows):
            n, v = rows[key]
            if v is not None and v >= D("0.3") and (n >= 5 or key == "k7"):
                f.write('{"k":"%s","n":%d,"v":%s}\n' % (key, n, format(v.normalize(), "f")))
"#;

const HAVING: &str = "v >= 0.1 + 0.2 && (n >= 5 || k == \"k7\")";

/// An environment with the amounts, and a job over the parts that were moved.
fn scene(emit: &str) -> Env {
    let env = Env::new();
    env.write("amounts.py", AMOUNTS);
    env.shell("python3 amounts.py").expect(0);
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: 'data-*.jsonl'\nkey: k\nprocess:\n  aggregate: {{n: count, v: sum(v)}}\n  delete: op == \"d\"\n\
             checkpoint: {{store: store}}\noutput:\n  files: out\n  emit: {emit}\n  having: {HAVING}\n"
        ),
    );
    env
}

#[test]
fn the_final_file_has_the_rows_that_qualify() {
    for format in ["json", "csv"] {
        let env = scene("final");
        env.write("job.yaml", env.read("job.yaml").replace("  emit: final\n", &format!("  format: {format}\n")));
        env.shell("mv parts/* .").expect(0);
        env.run(&["run", "job.yaml"]).expect(0);
        let expected = env.read("expected/7.jsonl");
        assert!(expected.lines().count() > 50);
        if format == "json" {
            assert_eq!(env.read("out/j.jsonl"), expected);
        } else {
            assert_eq!(env.read("out/j.csv").lines().count(), expected.lines().count() + 1);
        }
        let state = env.run(&["inspect", "store", "--json"]).expect(0).stdout;
        let state: Value = serde_json::from_str(&state).expect("JSON");
        assert!(state["keys"].as_u64().or(state["totals"]["keys"].as_u64()) > Some(500), "{state}");
    }
}

#[test]
fn the_files_of_changes_give_the_rows_that_qualify_after_each_checkpoint() {
    let env = scene("changes");
    for part in 0..8 {
        env.shell(&format!("mv parts/data-{part}.jsonl .")).expect(0);
        env.shell("timeout -s KILL 0.03 ckpt run job.yaml");
        env.run(&["run", "job.yaml"]).expect(0);
        // A change is an error where it is not possible, such as an insert of an existing row.
        let rows = net(&changes(&env));
        let expected = env.read(&format!("expected/{part}.jsonl"));
        assert_eq!(rows.len(), expected.lines().count(), "part {part}");
        for line in expected.lines() {
            let row: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(rows[row["k"].as_str().expect("text")]["v"], row["v"], "{line}");
        }
    }
    let all = changes(&env).concat();
    assert!(all.iter().filter(|line| line.contains("\"delete\"")).count() > 50);
    // Nothing that qualifies is changed by a record of a row that does not.
    let files = changes(&env).len();
    env.write("data-9.jsonl", "{\"k\":\"new\",\"v\":9}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(changes(&env).len(), files);
}

#[test]
fn after_another_having_every_row_that_changes_is_updated_or_deleted() {
    let env = Env::new();
    let job = |having: &str| {
        env.write(
            "job.yaml",
            format!(
                "job: j\ninput: 'data-*.jsonl'\nkey: k\nprocess: {{aggregate: {{n: count}}}}\ncheckpoint: {{store: store}}\n\
                 output: {{files: out, emit: changes, having: {having}}}\n"
            ),
        );
    };
    job("n >= 2");
    env.write("data-0.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"b\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    job("n >= 3");
    env.write("data-1.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"c\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    let expected = [
        vec!["{\"op\":\"insert\",\"k\":\"b\",\"n\":2}"],
        vec!["{\"op\":\"delete\",\"k\":\"a\",\"n\":null}", "{\"op\":\"update\",\"k\":\"b\",\"n\":3}"],
    ];
    assert_eq!(changes(&env), expected);
}

#[test]
fn windows_are_written_if_they_qualify_when_they_close() {
    let env = Env::new();
    env.write("a.jsonl", (0..100).map(|n| format!("{{\"k\":\"{}\",\"t\":{}}}\n", n % 3, n * n)).collect::<String>());
    env.write(
        "job.yaml",
        "job: j\ninput: a.jsonl\nkey: k\nprocess: {aggregate: {n: count}, window: {time: t, every: 10m}}\n\
         checkpoint: {store: store}\noutput: {files: out, emit: changes, having: 'n > 3 && window_start < \"1970-01-01T01\"'}\n",
    );
    env.run(&["run", "job.yaml"]).expect(0);
    let window = |start: &str, end: &str| {
        format!("\"window_start\":\"1970-01-01T{start}:00Z\",\"window_end\":\"1970-01-01T{end}:00Z\"")
    };
    let first = window("00:00", "00:10");
    let expected = [9, 8, 8].iter().enumerate().map(|(k, n)| format!("{{\"k\":\"{k}\",{first},\"n\":{n}}}"));
    let second = window("00:10", "00:20");
    let found = changes(&env).concat();
    assert!(expected.clone().all(|line| found.contains(&line)), "{found:?}");
    assert!(found.len() < 10 && !found.contains(&second), "{found:?}");
}

#[test]
fn a_having_that_cannot_be_computed_is_reported() {
    let env = Env::new();
    env.write("a.jsonl", "{\"k\":\"a\",\"v\":1}\n{\"k\":\"b\",\"v\":null}\n");
    let job = |having: &str, emit: &str| {
        env.write(
            "job.yaml",
            format!(
                "job: j\ninput: a.jsonl\nkey: k\nprocess:\n  aggregate: {{v: sum(v), m: count where k == \"b\"}}\n\
                 checkpoint: {{store: store}}\noutput:\n  files: out\n  emit: {emit}\n  having: {having}\n"
            ),
        );
    };
    for (having, message) in [
        ("v >", "job.yaml:10:14: the expression is incomplete"),
        ("vv > 1", "job.yaml:10:11: unknown field `vv`, expected one of `k`, `v`, `m`"),
        ("op == \"x\"", "job.yaml:10:11: unknown field `op`"),
    ] {
        job(having, "final");
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert!(output.stderr.contains(message), "{message}\n{output}");
    }
    for emit in ["final", "changes"] {
        job("1 / m > 0.5", emit);
        let output = env.run(&["run", "job.yaml"]).expect(4);
        assert!(output.stderr.contains("`having` fails: `/`: division by zero (the row of `a`)"), "{output}");
    }
    job("v > 0.5", "final");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"v\":1,\"m\":0}\n");
    env.write(
        "job.yaml",
        "job: j\ninput: a.jsonl\nkey: k\nprocess: {exec: [cat]}\noutput: {files: out, having: k == 1}\n",
    );
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("`having` cannot be used with `emit: rows`: the program decides"), "{output}");
}

/// A program whose state is how many records each key has, and their sum. It forgets a key that has enough.
const PROGRAM: &str = "from samza import SamzaJob

class Sums(SamzaJob):
    columns = {'n': int, 'v': int}

    def process(self, data):
        row = self.state.get(data['k']) or {'n': 0, 'v': 0}
        row = {'n': row['n'] + 1, 'v': row['v'] + data['v']}
        if row['v'] < 90:
            self.state[data['k']] = row
        else:
            self.state.pop(data['k'], None)

if __name__ == '__main__':
    Sums().run()
";

#[test]
fn the_state_of_a_program_with_columns_is_chosen_by_them() {
    let env = Env::new();
    env.write("program.py", PROGRAM);
    let job = |emit: &str, columns: &str, having: &str| {
        env.write(
            "job.yaml",
            format!(
                "job: j\ninput: data-*.jsonl\nkey: k\nprocess:\n  exec: [python3, program.py]\n{columns}\
                 checkpoint: {{store: {emit}}}\noutput:\n  files: out-{emit}\n  emit: {emit}\n  having: {having}\n"
            ),
        );
    };
    let mut state: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut shown: BTreeMap<String, Value> = BTreeMap::new();
    for part in 1..5 {
        let records: Vec<_> = (0..400).map(|i| (format!("k{}", (i * i + part) % 97), i % 7)).collect();
        for (key, v) in &records {
            let row = state.entry(key.clone()).or_default();
            *row = (row.0 + 1, row.1 + v);
            if row.1 >= 90 {
                state.remove(key);
            }
        }
        let expected = state.iter().filter(|(key, (n, v))| *n >= 6 && *v != 30 && *key != "k7");
        let expected: BTreeMap<_, _> = expected.map(|(key, (n, v))| (key.clone(), json!({"n": n, "v": v}))).collect();
        assert!(!expected.is_empty() && expected.len() < state.len());
        env.write(
            &format!("data-{part}.jsonl"),
            records.iter().map(|(k, v)| format!("{{\"k\":\"{k}\",\"v\":{v}}}\n")).collect::<String>(),
        );
        for emit in ["final", "changes"] {
            job(emit, "  columns: {n: int, v: int}\n", "n >= 6 && v != 30 && key != \"k7\" && task >= 0");
            env.run(&["run", "job.yaml"]).expect(0);
        }
        let row = |line: &str| -> (String, Map<String, Value>) {
            let mut row: Map<String, Value> = serde_json::from_str(line).expect("an object");
            assert!(row.remove("task").is_some_and(|task| task.is_u64()), "{line}");
            (row.remove("key").expect("a key").as_str().expect("text").to_owned(), row)
        };
        let found: BTreeMap<_, _> = env.read("out-final/j.jsonl").lines().map(row).collect();
        assert_eq!(json!(found), json!(expected), "part {part}");
        for line in env.read(&format!("out-changes/j-{part:08}.jsonl")).lines() {
            let (key, mut row) = row(line);
            let op = row.remove("op").expect("what happened");
            let before = if op == "delete" { shown.remove(&key) } else { shown.insert(key, row.into()) };
            assert_eq!(before.is_none(), op == "insert", "{line}");
        }
        assert_eq!(shown, expected, "part {part}");
    }
    job("final", "  columns: {n: int, v: int}\n", "m > 1");
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("unknown field `m`, expected one of `task`, `key`, `n`, `v`"), "{output}");
    job("final", "", "value > 1");
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("`having` needs `columns` in `process`"), "{output}");
}
