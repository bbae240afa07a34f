//! Jobs of every kind with a `key:` of several fields: deletions, `having`, Python, the example.

use std::collections::BTreeMap;

use serde_json::Value;

use super::published::changes;
use crate::support::{Env, repository};

/// Writes change data in parts, and the rows that qualify after each part, as plain Python computes them.
const STOCK: &str = r#"
import json, os, random
r = random.Random(5)
rows = {}
os.mkdir("parts")
os.mkdir("expected")
for part in range(5):
    with open("parts/data-%d.jsonl" % part, "w") as f:
        for i in range(2000):
            shop = r.choice(["n\u00f6rd", "a,b", "", "7", 7])
            item = r.randint(-20, 60)
            op = r.choice("uuuud")
            f.write(json.dumps({"shop": shop, "item": r.choice(["%d", "%d.0", "%de0"]) % item, "op": op})
                .replace('"item": "', '"item": ').replace('", "op"', ', "op"') + "\n")
            key = (shop, item)
            if op == "d":
                rows.pop(key, None)
            else:
                rows[key] = rows.get(key, 0) + 1
    with open("expected/%d.jsonl" % part, "w", encoding="utf-8") as f:
        text = {json.dumps(list(key), ensure_ascii=False, separators=(",", ":")): key for key in rows}
        for name in sorted(text, key=str.encode):
            shop, item = text[name]
            n = rows[shop, item]
            if n >= 3 and item > 9 and shop != "7":
                row = {"shop": shop, "item": item, "n": n}
                f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
"#;

/// An environment with the change data, and a job over the parts that were moved.
fn stock(output: &str) -> Env {
    let env = Env::new();
    env.write("stock.py", STOCK);
    env.shell("python3 stock.py").expect(0);
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: 'data-*.jsonl'\nkey: [shop, item: int]\nprocess:\n  aggregate: {{n: count}}\n  \
             delete: op == \"d\"\ncheckpoint: {{store: store}}\noutput:\n  files: out\n  \
             having: n >= 3 && item > 9 && shop != \"7\"\n  {output}\n"
        ),
    );
    env
}

#[test]
fn records_delete_rows_by_all_parts_and_parts_decide_what_qualifies() {
    let env = stock("emit: final");
    for part in 0..5 {
        env.shell(&format!("mv parts/data-{part}.jsonl .")).expect(0);
        env.run(&["run", "job.yaml", "--threads", "2"]).expect(0);
        let expected = env.read(&format!("expected/{part}.jsonl"));
        assert!(expected.lines().count() > 30, "{expected}");
        assert_eq!(env.read("out/j.jsonl"), expected);
    }
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn the_changes_of_a_key_with_parts_give_the_rows_that_qualify() {
    let env = stock("emit: changes");
    for part in 0..5 {
        env.shell(&format!("mv parts/data-{part}.jsonl .")).expect(0);
        env.run(&["run", "job.yaml"]).expect(0);
        let mut rows: BTreeMap<String, Value> = BTreeMap::new();
        for line in changes(&env).concat() {
            let row: Value = serde_json::from_str(&line).expect("JSON");
            let key = format!("[{},{}]", row["shop"], row["item"]);
            let before = match row["op"].as_str() {
                Some("delete") => {
                    assert!(row["n"].is_null(), "{line}");
                    rows.remove(&key)
                }
                _ => rows.insert(key, row.clone()),
            };
            assert_eq!(before.is_none(), row["op"] == "insert", "{line}");
        }
        let found: Vec<&Value> = rows.values().map(|row| &row["n"]).collect();
        let expected: Vec<Value> = env
            .read(&format!("expected/{part}.jsonl"))
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["n"].clone())
            .collect();
        assert_eq!(found, expected.iter().collect::<Vec<_>>(), "part {part}");
    }
    assert!(changes(&env).concat().iter().any(|line| line.starts_with("{\"op\":\"delete\"")));
}

#[test]
fn a_class_has_all_records_with_the_same_parts_in_one_task() {
    let env = Env::new();
    let record = |n: usize| format!("{{\"a\":\"x{}\",\"b\":{}}}\n", n % 5, n % 7);
    env.write("a.jsonl", (0..700).map(record).collect::<String>());
    env.write(
        "job.py",
        "import json\nfrom samza import SamzaJob\n\nclass Pairs(SamzaJob):\n    def setup(self):\n        \
         self.configs.update(input='a*.jsonl', key=['a', {'b': 'int'}], tasks=16, output='out')\n\n    \
         def process(self, data):\n        key = json.dumps([data['a'], data['b']])\n        \
         self.state[key] = self.state.get(key, 0) + 1\n        \
         if self.state[key] == 40:\n            self.emit({'key': key})\n\n\
         if __name__ == '__main__':\n    Pairs().run()\n",
    );
    env.run(&["run", "job.py", "--threads", "2"]).expect(0);
    env.write("a2.jsonl", (700..1400).map(record).collect::<String>());
    let output = env.run(&["run", "job.py", "--threads", "1"]).expect(0);
    assert!(output.stdout.contains("resumed from  checkpoint 1"), "{output}");
    // Each pair is in one task only, with all of its records.
    let state = env.run(&["inspect", "checkpoints/job", "--state", "--limit", "0", "--json"]).expect(0).stdout;
    let state: Value = serde_json::from_str(&state).expect("JSON");
    let rows = state["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 35);
    assert!(rows.iter().all(|row| row["values"]["value"] == 40), "{state}");
    assert_eq!(env.shell("cat out/*.jsonl").expect(0).stdout.lines().count(), 35);
    env.run(&["verify", "--deep", "checkpoints/job"]).expect(0);
}

/// What `examples/errors.yaml` outputs, as plain Python computes it.
const ERRORS: &str = r#"
import collections, gzip, json, re
quoted = r'"(?:[^"\\]|\\.)*"'
line_form = re.compile(r'(\S+) \S+ \S.*? \[([^\]]+)\] "\S+ (.*?) HTTP/\S+" (\d+) \S+ ' + quoted + " " + quoted)
months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
rows = collections.defaultdict(lambda: [0, set(), ""])
for line in gzip.open("data/access.log-20261024.gz", "rt", encoding="utf-8"):
    found = line_form.fullmatch(line.rstrip("\n"))
    if not found or int(found.group(4)) < 400:
        continue
    host, stamp, path, status = found.groups()
    day, month, year, zone = stamp[:2], months.index(stamp[3:6]) + 1, stamp[7:11], stamp[21:]
    time = "%s-%02d-%sT%s%s:%s" % (year, month, day, stamp[12:20], zone[:3], zone[3:])
    row = rows["[%s,%s]" % (json.dumps(path, ensure_ascii=False), status)]
    row[0] += 1
    row[1].add(host)
    row[2] = max(row[2], time)
for key in sorted(rows, key=str.encode):
    path, status = json.loads(key)
    requests, hosts, last = rows[key]
    row = {"path": path, "status": status, "requests": requests, "hosts": len(hosts), "last_seen": last}
    print(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
"#;

#[test]
fn the_example_counts_the_failed_requests_of_each_path_and_status() {
    let env = Env::new();
    let examples = repository::path("examples");
    for file in ["errors.yaml", "data/access.log-20261024.gz"] {
        env.write(file, std::fs::read(examples.join(file)).expect("an example"));
    }
    env.write("errors.py", ERRORS);
    let expected = env.shell("python3 errors.py").expect(0).stdout;
    env.run(&["check", "errors.yaml"]).expect(0);
    env.run(&["run", "errors.yaml"]);
    assert_eq!(env.read("out/errors.jsonl"), expected);
    assert!(expected.lines().count() > 5, "{expected}");
}
