//! `key:` with several fields: what becomes of untidy parts, compared with plain Python and DuckDB.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::Env;

/// Writes untidy records, and the rows that Python counts, in two steps.
const UNTIDY: &str = r#"
import collections, json, random
r = random.Random(11)
def text(value):
    return json.dumps(value, ensure_ascii=r.random() < 0.5), json.dumps(value, ensure_ascii=False)
texts = ["", "a", "7", "true", "null", 'a","b', "],[", "@", "\\", "tab\t", "line\n", "\x00\x1f\x7f", "größe", "\U0001f980", " a", "[1]"]
plain = ["7", "7.0", "-0", "1e3", "0.1", "12345678901234567890123", "true", "false"]
bad = ["null", "[]", '{"x":1}', None]
def part():
    if r.random() < 0.02:
        token = r.choice(bad)
        return token, None
    if r.random() < 0.6:
        return text(r.choice(texts))
    token = r.choice(plain)
    return token, token
counts, sums, skipped = collections.Counter(), collections.Counter(), 0
for step in (1, 2):
    with open("data/part-%d.jsonl" % step, "w", encoding="utf-8") as f:
        for n in range(4000):
            (a, key_a), (b, key_b) = part(), part()
            members = ['"n":%d' % n] + ['"%s":%s' % (name, token) for name, token in (("a", a), ("b", b)) if token is not None]
            r.shuffle(members)
            f.write("{" + ",".join(members) + "}\n")
            if key_a is None or key_b is None:
                skipped += 1
                continue
            counts[key_a, key_b] += 1
            sums[key_a, key_b] += n
    with open("expected-%d.jsonl" % step, "w", encoding="utf-8") as f:
        for a, b in sorted(counts, key=lambda key: ("[%s,%s]" % key).encode()):
            f.write('{"a":%s,"b":%s,"records":%d,"sum":%d}\n' % (a, b, counts[a, b], sums[a, b]))
print(skipped)
"#;

#[test]
fn untidy_parts_give_the_rows_that_python_counts() {
    let env = Env::new();
    env.write("data/part-0.jsonl", "");
    env.write("untidy.py", UNTIDY);
    let skipped = env.shell("python3 untidy.py && mv data/part-2.jsonl later.jsonl").expect(0).stdout;
    env.write(
        "job.yaml",
        "job: j\ninput: {files: 'data/*.jsonl', on_error: {dead_letter: bad.jsonl}}\nkey: [a, b]\n\
         process: {aggregate: {records: count, sum: sum(n)}}\noutput: out\n",
    );
    env.run(&["run", "job.yaml", "--threads", "2"]).expect(3);
    assert_eq!(env.read("out/j.jsonl"), env.read("expected-1.jsonl"));
    env.shell("mv later.jsonl data/part-2.jsonl").expect(0);
    env.run(&["run", "job.yaml", "--threads", "1"]).expect(3);
    let expected = env.read("expected-2.jsonl");
    assert_eq!(env.read("out/j.jsonl"), expected);
    assert_eq!(env.read("bad.jsonl").lines().count().to_string(), skipped.trim());
    env.run(&["verify", "--deep", "checkpoints/j"]).expect(0);
    // Other tasks, and other shards.
    let job = env.read("job.yaml");
    env.write("job.yaml", format!("{job}tasks: 3\n"));
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), expected);
    env.run(&["verify", "--deep", "checkpoints/j"]).expect(0);
    // What is exported is the same.
    env.run(&["restore", "checkpoints/j", "--to", "state", "--format", "jsonl"]).expect(0);
    let sorted = |text: &str| {
        let mut rows: Vec<String> =
            text.lines().map(|row| row.split_once("\"a\":").expect("a part").1.into()).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&env.read("state/state.jsonl")), sorted(&expected));
    // Each key is found by its parts.
    let state = env.run(&["inspect", "checkpoints/j", "--state", "--limit", "0", "--json"]).expect(0).stdout;
    let state: Value = serde_json::from_str(&state).expect("JSON");
    let rows = state["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), expected.lines().count());
    for row in rows.iter().step_by(37) {
        let list = row["key"].as_str().expect("text");
        let key: Value = serde_json::from_str(list).expect("a list");
        assert_eq!(key, json!([row["parts"]["a"], row["parts"]["b"]]));
        let inspect = ["inspect", "checkpoints/j", "--state", "--json", "--key"];
        let found = env.run(&[&inspect[..], &[list]].concat()).expect(0).stdout;
        let found: Value = serde_json::from_str(&found).expect("JSON");
        assert_eq!(found["rows"], json!([row]));
    }
}

const EXPORT: &str = "zip,size,new,amount\n01234,007,true,1\n1234,7.0,true,2\n1234, 7 ,false,3\n\"1,2\"\"3\",-0.50,true,4\n\
    1234,x,true,5\n1234,,true,6\n1234,7,maybe,7\n1234,7.5,true,8\n";

const TYPED_JOB: &str = "job: j\ninput: {files: e.csv, on_error: skip}\nkey: [zip, size: number, new: bool]\n\
    process: {aggregate: {n: count, amount: sum(amount)}}\n";

#[test]
fn declared_types_make_equal_values_one_part_and_others_bad_records() {
    let env = Env::new();
    env.write("e.csv", EXPORT);
    env.write("job.yaml", format!("{TYPED_JOB}output: {{files: out, format: csv}}\n"));
    let run = env.run(&["run", "job.yaml"]).expect(3);
    let reasons =
        ["the key field `size` is missing", "the key field `new` is the text `maybe`, expected the type bool"];
    for reason in reasons {
        assert!(run.to_string().contains(reason), "{reason}: {run}");
    }
    let expected = "zip,size,new,n,amount\n01234,7,true,1,1\n\"1,2\"\"3\",-0.5,true,1,4\n1234,7,false,1,3\n\
                    1234,7,true,1,2\n1234,7.5,true,1,8\n";
    assert_eq!(env.read("out/j.csv"), expected);
    let find = |keys: &[&str], code| {
        let given: Vec<&str> = keys.iter().flat_map(|key| ["--key", key]).collect();
        env.run(&[&["inspect", "checkpoints/j", "--state"], &given[..]].concat()).expect(code)
    };
    assert!(find(&["new=false", "zip=1234", "size=8"], 1).stderr.contains("there is no key"));
    assert!(find(&["new=false", "zip=1234", "size=7.0"], 0).stdout.contains("1234     7  false"));
    let wrong = find(&["zip=1234"], 2);
    assert!(
        wrong.stderr.contains("hint: name each part: `--key zip=VALUE --key size=VALUE --key new=VALUE`"),
        "{wrong}"
    );
    find(&["1234"], 2);
    find(&["[\"1234\"]"], 2);
}

#[test]
fn sql_reads_the_parts_of_outputs_exports_and_segments() {
    let has_duckdb = |output: std::process::Output| output.status.success();
    if !Command::new("python3").args(["-c", "import duckdb"]).output().is_ok_and(has_duckdb) {
        let required = std::env::var_os("CKPT_REQUIRE_READER").is_some_and(|value| value == "1");
        assert!(!required, "CKPT_REQUIRE_READER=1, and `python3 -c 'import duckdb'` fails");
        return;
    }
    let env = Env::new();
    env.write("e.csv", EXPORT);
    env.write("job.yaml", format!("{TYPED_JOB}tasks: 1\noutput: {{files: out, format: parquet}}\n"));
    env.run(&["run", "job.yaml"]).expect(3);
    env.run(&["restore", "checkpoints/j", "--to", "state"]).expect(0);
    env.write(
        "read.py",
        "import duckdb, glob\nfrom decimal import Decimal\n\
         expected = [('01234', Decimal(7), True, 1), ('1,2\"3', Decimal('-0.5'), True, 1), ('1234', Decimal(7), False, 1),\n\
         \x20   ('1234', Decimal(7), True, 1), ('1234', Decimal('7.5'), True, 1)]\n\
         for table in ('out/j.parquet', 'state/*.parquet'):\n\
         \x20   described = duckdb.sql(f\"DESCRIBE SELECT * FROM '{table}'\").fetchall()\n\
         \x20   types = {name: kind for name, kind, *_ in described}\n\
         \x20   assert (types['zip'], types['size'], types['new']) == ('VARCHAR', 'DECIMAL(38,18)', 'BOOLEAN'), types\n\
         \x20   assert 'key' not in types\n\
         \x20   found = duckdb.sql(f\"SELECT zip, size, new, n FROM '{table}' ORDER BY zip, size, new\").fetchall()\n\
         \x20   assert found == expected, found\n\
         [segment] = [p for p in glob.glob('checkpoints/j/objects/sha256/*/*.parquet')\n\
         \x20   if 'deleted' in [c for c, *_ in duckdb.sql(f\"DESCRIBE SELECT * FROM '{p}'\").fetchall()]]\n\
         found = duckdb.sql(f'''SELECT key::JSON ->> 0, (key::JSON ->> 1)::DECIMAL(38,18), (key::JSON ->> 2)::BOOL, n\n\
         \x20   FROM '{segment}' ORDER BY ALL''').fetchall()\n\
         assert found == expected, found\n",
    );
    env.shell("python3 read.py").expect(0);
}

#[test]
fn windows_and_changes_have_the_parts_too() {
    let env = Env::new();
    let record = |a: &str, b: u32, time: &str| format!("{{\"a\":\"{a}\",\"b\":{b},\"t\":\"2026-11-22T14:{time}Z\"}}\n");
    env.write("a.jsonl", record("x@y", 1, "00:01") + &record("x@y", 2, "00:02") + &record("x@y", 1, "01:30"));
    env.write(
        "job.yaml",
        "job: j\ninput: a.jsonl\nkey: [a, b]\ntasks: 2\n\
         process: {aggregate: {n: count}, window: {time: t, every: 1m}}\noutput: {files: out}\n",
    );
    env.run(&["run", "job.yaml"]).expect(0);
    let row = |b: u32, minute: u32| {
        let end = minute + 1;
        format!(
            "{{\"a\":\"x@y\",\"b\":{b},\"window_start\":\"2026-11-22T14:0{minute}:00Z\",\
             \"window_end\":\"2026-11-22T14:0{end}:00Z\",\"n\":1}}\n"
        )
    };
    assert_eq!(env.read("out/j.jsonl"), row(1, 0) + &row(1, 1) + &row(2, 0));
    let key = ["--key", "a=x@y", "--key", "b=2", "--key", "window_start=2026-11-22T14:00:00Z"];
    let found = env.run(&[&["inspect", "checkpoints/j", "--state", "--json"], &key[..]].concat()).expect(0).stdout;
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["rows"][0]["key"], "[\"x@y\",2]@2026-11-22T14:00:00Z");
    assert_eq!(found["rows"][0]["parts"], json!({"a": "x@y", "b": 2, "window_start": "2026-11-22T14:00:00Z"}));
    env.run(&["verify", "--deep", "checkpoints/j"]).expect(0);
    env.run(&["restore", "checkpoints/j", "--to", "state", "--format", "csv"]).expect(0);
    assert!(env.read("state/state.csv").starts_with("task,a,b,window_start,n\n"));
    // The rows that changed, and how `diff` shows them.
    env.write("c.yaml", "job: c\ninput: 'a*.jsonl'\nkey: [a, b]\nprocess: {aggregate: {n: count}}\noutput: {files: out, emit: changes}\n");
    env.run(&["run", "c.yaml"]).expect(0);
    env.write("a2.jsonl", record("x@y", 1, "02:00") + &record("", 1, "02:00"));
    env.run(&["run", "c.yaml"]).expect(0);
    let changes = "{\"op\":\"insert\",\"a\":\"\",\"b\":1,\"n\":1}\n{\"op\":\"update\",\"a\":\"x@y\",\"b\":1,\"n\":3}\n";
    assert_eq!(env.read("out/c-00000002.jsonl"), changes);
    let diff = env.run(&["diff", "checkpoints/c@1", "checkpoints/c@2", "--keys"]).expect(1).stdout;
    assert!(diff.contains("\n+ a=\"\" b=1  (task ") && diff.contains("\n~ a=x@y b=1  (task "), "{diff}");
    for key in [&["--prefix", "[\"x@y\","][..], &["--key", "a=x@y", "--key", "b=1"], &["--key", "[\"x@y\", 1]"]] {
        for (verb, status) in
            [(&["diff", "checkpoints/c@1", "checkpoints/c@2"][..], 1), (&["inspect", "checkpoints/c", "--state"], 0)]
        {
            let printed = env.run(&[verb, key, &["--json"]].concat()).expect(status).stdout;
            let line: Value = serde_json::from_str(printed.lines().next().expect("a line")).expect("JSON");
            let row = if status == 0 { &line["rows"][0] } else { &line };
            assert_eq!((&row["key"], &row["parts"]), (&json!("[\"x@y\",1]"), &json!({"a": "x@y", "b": 1})), "{key:?}");
        }
    }
}

#[test]
fn another_key_is_refused_and_a_list_of_one_field_is_the_field() {
    let env = Env::new();
    env.write("a.jsonl", "{\"a\":1,\"b\":2}\n");
    let job = |key: &str| format!("job: j\ninput: a.jsonl\nkey: {key}\nprocess: {{aggregate: {{n: count}}}}\n");
    env.write("job.yaml", job("[a, b]"));
    env.run(&["run", "job.yaml"]).expect(0);
    for (key, shown) in [("[b, a]", "[b, a]"), ("a", "a"), ("[a, {b: int}]", "[a, b: int]")] {
        env.write("job.yaml", job(key));
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert!(output.stderr.contains(&format!("the key was `[a, b]`, is now `{shown}`")), "{output}");
    }
    env.write("job.yaml", job("a").replace("job: j", "job: k"));
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("job.yaml", job("[a]").replace("job: j", "job: k"));
    env.run(&["run", "job.yaml", "--must-resume"]).expect(0);
}

#[test]
fn a_program_is_told_the_fields_and_gets_the_records_of_a_key_in_one_task() {
    let env = Env::new();
    env.write("a.jsonl", (0..60).map(|n| format!("{{\"a\":{},\"b\":\"{}\"}}\n", n % 3, n % 2)).collect::<String>());
    env.write(
        "p.py",
        "import json, sys\nseen = {}\nfor line in sys.stdin:\n    m = json.loads(line)\n    \
         answer = {'type': 'done', 'number': m.get('number')}\n    if m['type'] == 'hello':\n        \
         print('key', m['key'], file=sys.stderr)\n    elif m['type'] == 'start':\n        \
         print('{\"type\":\"ready\"}', flush=True)\n    elif m['type'] == 'batch':\n        \
         for task, _, record in m['records']:\n            \
         assert seen.setdefault((record['a'], record['b']), task) == task\n        \
         answer['changed'] = [[t, '%s %s' % k, 1] for k, t in seen.items()]\n        \
         print(json.dumps(answer), flush=True)\n    elif 'number' in m:\n        \
         print(json.dumps(answer), flush=True)\n",
    );
    env.write("job.yaml", "job: j\ninput: a.jsonl\nkey: [a, b]\nprocess: {exec: [python3, p.py]}\n");
    let output = env.run(&["run", "job.yaml", "--threads", "1"]).expect(0);
    assert!(output.to_string().contains("key ['a', 'b']"), "{output}");
    let state = env.run(&["inspect", "checkpoints/j", "--state", "--json"]).expect(0).stdout;
    let state: Value = serde_json::from_str(&state).expect("JSON");
    assert_eq!(state["rows"].as_array().expect("rows").len(), 6);
    assert!(state["rows"][0].get("parts").is_none(), "the keys of a program are its own");
    env.run(&["verify", "--deep", "checkpoints/j"]).expect(0);
}
