//! Quantiles, and the columns of state that show what sketches estimate.

use std::process::Command;

use crate::support::Env;

/// Writes requests whose durations are skewed and untidy, and the exact quantiles of each path.
const REQUESTS: &str = r#"
import csv, json, math, random
from decimal import Decimal as D
r = random.Random(11)
def duration(path):
    kind = r.random()
    if kind < 0.03: return ""
    if kind < 0.06: return r.choice(["0", "0.0", "-0"])
    if kind < 0.12: return "-%.3f" % r.lognormvariate(0, 2)
    if kind < 0.14: return r.choice(["1e3", "007", "99999999999999999999", "0.000000000000000001"])
    return "%.*f" % (r.randint(0, 6), r.lognormvariate(3 + len(path) / 4, 1.7))
rows = []
for i in range(9000):
    path = r.choice(["/", "/a", "/b/c", "/ü, x"] + ["/r%d" % (i % 400)])
    rows.append({"path": path, "ms": duration(path), "status": r.choice(["200", "500", "503"]), "ts": str(i * 10)})
for part in range(3):
    with open("requests-%d.csv" % part, "w", newline="", encoding="utf-8") as f:
        out = csv.DictWriter(f, rows[0].keys())
        out.writeheader()
        out.writerows(rows[part * 3000:part * 3000 + 3000])
def exact(values, q):
    values = sorted(values)
    return str(values[max(1, math.ceil(D(q) * len(values))) - 1]) if values else None
found = {}
for row in rows:
    of = found.setdefault(row["path"], ([], []))
    if row["ms"]:
        of[0].append(D(row["ms"]))
        if int(row["status"]) >= 500:
            of[1].append(D(row["ms"]))
with open("exact.json", "w") as f:
    json.dump({path: {
        "low": exact(all, "0"), "p05": exact(all, "0.05"), "p50": exact(all, "0.5"), "p99": exact(all, "0.99"),
        "top": exact(all, "1"), "bad": exact(bad, "0.9"),
    } for path, (all, bad) in found.items()}, f)
"#;

/// Compares an output with the exact quantiles: the error must be less than 0.8 %.
const COMPARE: &str = r#"
import json, sys
from decimal import Decimal as D
exact = json.load(open("exact.json"))
rows = [json.loads(line, parse_float=D, parse_int=D) for line in open("out/j.jsonl", encoding="utf-8")]
assert len(rows) == len(exact), (len(rows), len(exact))
for row in rows:
    for name, value in exact[row["path"]].items():
        if value is None:
            assert row[name] is None, (row, name)
            continue
        value = D(value)
        assert abs(row[name] - value) <= abs(value) * D("0.008"), (row["path"], name, row[name], value)
"#;

const JOB: &str = r#"job: j
input: {files: "requests-*.csv"}
key: path
process:
  aggregate:
    n: count
    p50: approx_quantile(ms, 0.5)
    bad: approx_quantile(ms, 0.9) where status >= 500
    p99: approx_quantile(ms, 0.99)
    low: approx_quantile(ms, 0)
    top: approx_quantile(ms, 1)
    p05: approx_quantile(ms, 0.05)
checkpoint: {store: store, records: 700}
output: out
"#;

#[test]
fn quantiles_of_skewed_records_are_within_the_stated_error_whatever_the_threads_and_stops() {
    let env = Env::new();
    env.write("requests.py", REQUESTS);
    env.write("compare.py", COMPARE);
    env.shell("python3 requests.py").expect(0);
    env.write("job.yaml", JOB);
    let run = |threads: &str| {
        env.run(&["run", "job.yaml", "--threads", threads]).expect(0);
        env.shell("python3 compare.py").expect(0);
        env.run(&["verify", "--deep", "store"]).expect(0);
        let output = env.read("out/j.jsonl");
        let state = env.run(&["inspect", "store", "--state", "--json", "--limit", "0"]).expect(0).stdout;
        let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
        env.shell("rm -r store out").expect(0);
        (output, state["rows"].clone())
    };
    let one = run("1");
    assert_eq!(run("3"), one);
    // Half of the input first, then the rest from its checkpoint.
    env.shell("mkdir later && mv requests-1.csv requests-2.csv later").expect(0);
    env.run(&["run", "job.yaml"]).expect(0);
    env.shell("mv later/* .").expect(0);
    assert_eq!(run("2"), one);
}

/// Returns the types of the state's columns by name, in order.
fn columns(env: &Env) -> Vec<String> {
    let output = env.run(&["inspect", "store", "--json"]).expect(0);
    let view: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let columns = view["columns"].as_array().expect("columns").iter();
    columns.map(|column| format!("{} {}", column["name"], column["type"]).replace('"', "")).collect()
}

#[test]
fn quantiles_of_one_field_share_a_sketch_and_a_new_one_covers_all_records() {
    let env = Env::new();
    let lines = |range: std::ops::Range<u32>| -> String {
        range.map(|i| format!("{{\"k\":\"{}\",\"ms\":{}}}\n", i % 3, i * i % 997)).collect()
    };
    let job = |aggregates: &str| {
        env.write("job.yaml", format!("job: j\ninput: '*.jsonl'\nkey: k\nprocess: {{aggregate: {{{aggregates}}}}}\ncheckpoint: {{store: store}}\noutput: out\n"));
    };
    env.write("a.jsonl", lines(0..400));
    job("p50: 'approx_quantile(ms, 0.5)', p90: 'approx_quantile(ms, 0.9)', d: approx_distinct(ms)");
    env.run(&["run", "job.yaml"]).expect(0);
    let expected = ["p50 number", "p50_sketch quantiles", "p90 number", "d int", "d_sketch sketch"];
    assert_eq!(columns(&env), expected);
    // The sketch is that of `p50`, which the job no longer has. The other fraction is a change, too.
    env.write("b.jsonl", lines(400..800));
    job("p99: 'approx_quantile(ms, 0.99)', d: approx_distinct(ms), p90: 'approx_quantile(ms, 0.75)'");
    let resumed = env.run(&["run", "job.yaml"]).expect(0);
    assert!(!resumed.stderr.contains("`p99`"), "it covers all records: {resumed}");
    assert_eq!(columns(&env), ["p99 number", "p99_sketch quantiles", "d int", "d_sketch sketch", "p90 number"]);
    env.run(&["verify", "--deep", "store"]).expect(0);
    let found = env.read("out/j.jsonl");
    env.shell("rm -r store out").expect(0);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), found);
    // Another condition is another sketch, so it starts empty.
    job("p99: 'approx_quantile(ms, 0.99)', slow: 'approx_quantile(ms, 0.5) where ms > 100'");
    env.write("c.jsonl", lines(800..801));
    let changed = env.run(&["run", "job.yaml"]).expect(0);
    assert!(changed.stderr.contains("`slow`") && changed.stderr.contains("`p90`"), "{changed}");
    job("p99: 'approx_quantile(other, 0.99)'");
    env.run(&["run", "job.yaml"]).expect(2);
}

#[test]
fn what_is_not_a_number_is_a_bad_record_and_few_digits_are_kept() {
    let env = Env::new();
    env.write("a.csv", "k,ms\na,12.3456789\na,\na,inf\na,NaN\na,1e400\na,1e-19\nb,\n");
    let job = "job: j\ninput: {files: a.csv, on_error: {dead_letter: bad.jsonl}}\nkey: k\nprocess:\n  aggregate:\n    \
        p: approx_quantile(ms, 0.5)\n    r: approx_quantile(round(ms, 2), 0.5) where ms == null || double(ms) < 100.0\n\
        checkpoint: {store: store}\noutput: out\n";
    env.write("job.yaml", job);
    env.run(&["run", "job.yaml"]).expect(3);
    assert_eq!(env.read("bad.jsonl").lines().count(), 4, "{}", env.read("bad.jsonl"));
    assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"p\":12.34,\"r\":12.34}\n{\"k\":\"b\",\"p\":null,\"r\":null}\n");
    let table = env.run(&["inspect", "store", "--state"]).expect(0).stdout;
    assert!(table.contains("12.3") && !table.contains("sketch"), "{table}");
}

#[test]
fn windows_have_quantiles_of_their_own_and_files_of_changes_show_them() {
    let env = Env::new();
    let line = |i: u32| format!("{{\"k\":\"x\",\"ms\":{},\"ts\":{i}}}\n", i % 60 + 1 + i / 60 * 100);
    env.write("a.jsonl", (0..180).map(line).collect::<String>());
    env.write(
        "job.yaml",
        "job: j\ninput: a.jsonl\nkey: k\nprocess:\n  aggregate: {p50: 'approx_quantile(ms, 0.5)', d: approx_distinct(ms)}\n  \
         window: {time: ts, every: 1m}\ncheckpoint: {store: store}\noutput: {files: out, emit: changes}\n",
    );
    env.run(&["run", "job.yaml"]).expect(0);
    let rows = env.shell("cat out/*.jsonl").expect(0).stdout;
    let found: Vec<&str> = rows.lines().map(|row| &row[row.find("\"p50\"").expect("a quantile")..]).collect();
    assert_eq!(found, ["\"p50\":30,\"d\":60}", "\"p50\":130,\"d\":60}", "\"p50\":230,\"d\":60}"]);
}

#[test]
fn sql_and_exports_read_estimates_as_columns() {
    let env = Env::new();
    env.write("requests.py", REQUESTS);
    env.shell("python3 requests.py").expect(0);
    env.write("job.yaml", JOB.replace("    n: count\n", "    n: count\n    statuses: approx_distinct(status)\n"));
    env.run(&["run", "job.yaml"]).expect(0);
    env.run(&["restore", "store", "--to", "csv", "--format", "csv"]).expect(0);
    let csv = env.read("csv/state.csv");
    assert_eq!(csv.lines().next(), Some("task,key,n,statuses,p50,bad,p99,low,top,p05"));
    assert!(!csv.contains("sketch"), "{csv}");
    if !Command::new("python3").args(["-c", "import duckdb"]).output().is_ok_and(|found| found.status.success()) {
        assert!(std::env::var_os("CKPT_REQUIRE_READER").is_none(), "`python3 -c 'import duckdb'` fails");
        return;
    }
    env.run(&["restore", "store", "--to", "parquet"]).expect(0);
    // `quantile_disc` is the exact quantile that ours estimates.
    let compare = r#"
import duckdb
state = "read_parquet('parquet/*.parquet')"
types = {name: kind for name, kind, *_ in duckdb.sql(f"DESCRIBE SELECT * FROM {state}").fetchall()}
assert types["statuses"] == "BIGINT" and types["p99"] == "DECIMAL(38,18)" and types["p50_sketch"] == "BLOB", types
exact = """(SELECT path, count(DISTINCT status) AS statuses, quantile_disc(ms, 0.99) AS p99, quantile_disc(ms, 0.05) AS p05
    FROM read_csv('requests-*.csv', types={'ms': 'DECIMAL(38,18)'}) GROUP BY path)"""
near = "(s.{0} IS NULL AND e.{0} IS NULL OR abs(s.{0}::DOUBLE - e.{0}::DOUBLE) <= 0.008 * abs(e.{0}::DOUBLE))"
query = f"""SELECT count(*), count(*) FILTER (s.statuses = e.statuses AND {near.format("p99")} AND {near.format("p05")})
    FROM {state} s JOIN {exact} e ON s.key = e.path"""
found = duckdb.sql(query).fetchall()[0]
assert found[0] == found[1] > 300, found
"#;
    env.write("compare.py", compare);
    env.shell("python3 compare.py").expect(0);
}
