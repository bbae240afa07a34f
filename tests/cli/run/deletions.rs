//! `delete`: change data, compared with what plain Python computes.

use serde_json::Value;

use super::published::{changes, net};
use crate::support::Env;

/// Writes the untidy changes of a table and what Python makes of them. A record that deletes has no valid amount.
const CHANGES: &str = r#"
import json, os, random
r = random.Random(5)
rows = {}
os.mkdir("parts")
for part in range(10):
    f = open("parts/changes-%d.jsonl" % part, "w", encoding="utf-8")
    for i in range(part * 4000, part * 4000 + 4000):
        key = r.choice(["k%d" % r.randint(0, 3000), "é %d" % r.randint(0, 40)])
        op = r.choice(["c", "u", "u", "d", None])
        record = {"id": key, "op": op, "amount": "deleted" if op == "d" else r.choice([1, 2.5, -0.1]), "ts": 1000 + i // 10}
        if op is None:
            del record["op"]
        f.write(json.dumps(record, ensure_ascii=r.random() < 0.5) + "\n")
        if op == "d":
            rows.pop(key, None)
        else:
            row = rows.setdefault(key, {"n": 0, "sum": 0})
            row["n"] += 1
            row["sum"] += round(record["amount"] * 10)
with open("expected.jsonl", "w", encoding="utf-8") as f:
    for key in sorted(rows, key=lambda key: key.encode()):
        total = rows[key]["sum"]
        text = ("-" if total < 0 else "") + str(abs(total) // 10) + (".%d" % (abs(total) % 10) if total % 10 else "")
        f.write('{"id":%s,"n":%d,"spent":%s}\n' % (json.dumps(key, ensure_ascii=False), rows[key]["n"], text))
"#;

/// An environment with the changes, and a job over them.
fn scene(process: &str, checkpoint: &str, output: &str) -> Env {
    let env = Env::new();
    env.write("changes.py", CHANGES);
    env.shell("python3 changes.py").expect(0);
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: changes-*.jsonl\nkey: id\nprocess:\n  aggregate: {{n: count, spent: sum(amount)}}\n  \
             delete: op == \"d\"\n{process}checkpoint: {{store: store{checkpoint}}}\noutput: {output}\n"
        ),
    );
    env
}

/// Kills a few runs, and finishes the last one.
fn run_with_kills(env: &Env) {
    for seconds in ["0.05", "0.1", "0.2"] {
        env.shell(&format!("timeout -s KILL {seconds} ckpt run job.yaml --threads 3"));
    }
    env.run(&["run", "job.yaml", "--threads", "2"]).expect(0);
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn change_data_gives_what_python_computes_whatever_is_killed() {
    for (process, checkpoint) in [
        ("", ", records: 2000"),
        ("  ttl: 100000s\n  time: ts\n", ", records: 2000"),
        ("", ", records: 2000, mode: priority, budget: 4KiB, priorities: [{key: 'key.startsWith(\"k1\")', weight: 9}]"),
    ] {
        let env = scene(process, checkpoint, "out");
        env.shell("mv parts/* .").expect(0);
        run_with_kills(&env);
        assert!(env.read("out/j.jsonl") == env.read("expected.jsonl"), "{process}{checkpoint}");
    }
}

#[test]
fn the_files_of_changes_delete_what_was_deleted() {
    let env = scene("", ", records: 2000", "{files: out, emit: changes}");
    for part in 0..10 {
        env.shell(&format!("mv parts/changes-{part}.jsonl .")).expect(0);
        env.shell("timeout -s KILL 0.03 ckpt run job.yaml");
        env.run(&["run", "job.yaml"]).expect(0);
    }
    let files = changes(&env);
    let deleted = files.iter().flatten().filter(|line| line.starts_with("{\"op\":\"delete\"")).count();
    assert!(files.len() >= 10 && deleted > 1000, "{} files, {deleted} deleted", files.len());
    let left = net(&files);
    let expected = env.read("expected.jsonl");
    assert_eq!(left.len(), expected.lines().count());
    for line in expected.lines() {
        let mut row: Value = serde_json::from_str(line).expect("a JSON object");
        let Value::String(id) = row["id"].take() else { panic!("{line}") };
        let found = &left[&id];
        assert_eq!((&found["n"], &found["spent"]), (&row["n"], &row["spent"]), "{line}");
    }
}

#[test]
fn a_job_that_cannot_delete_says_why() {
    let env = Env::new();
    env.write("a.jsonl", "{\"k\":1,\"op\":7}\n");
    for (job, message) in [
        ("process: {aggregate: {n: count}, delete: 'op == 1'}", "job.yaml:3:42: `delete` needs `key`"),
        (
            "key: k\nprocess: {exec: [cat], delete: 'op == 1'}",
            "job.yaml:4:32: `delete` and `exec` cannot be used together",
        ),
        (
            "key: k\nprocess: {aggregate: {n: count}, delete: 'op == 1', window: {time: t, every: 1m}}",
            "job.yaml:4:42: `delete` and `window` cannot be used together",
        ),
        ("key: k\nprocess: {aggregate: {n: count}, delete: op ==}", "job.yaml:4:47: the expression is incomplete"),
    ] {
        env.write("job.yaml", format!("job: j\ninput: a.jsonl\n{job}\n"));
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert!(output.stderr.contains(message), "{message}\n{output}");
    }
    let job = "job: j\ninput: a.jsonl\nkey: k\nprocess: {aggregate: {n: count}, delete: EXPR}\ncheckpoint: {enabled: false}\n";
    env.write("job.yaml", job.replace("EXPR", "pp == 'd'"));
    let output = env.run(&["check", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("`pp`"), "{output}");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("`pp`"), "{output}");
    env.write("job.yaml", job.replace("EXPR", "op.startsWith('d')"));
    let output = env.run(&["run", "job.yaml"]).expect(5);
    assert!(output.stderr.contains("`delete` fails: "), "{output}");
}
