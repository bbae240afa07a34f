//! Aggregates with a condition, compared with what plain Python computes.

use crate::support::Env;

/// Writes untidy orders and what Python makes of them. `n/a` is only in amounts that no condition is true for.
const ORDERS: &str = r#"
import collections, csv, json, random
from decimal import Decimal as D
r = random.Random(23)
rows = []
for i in range(6000):
    country = r.choice(["DE", "AT", "fr", "", "a, b"])
    rows.append({
        "shop": r.choice("abcdefg") + r.choice(["", "ß", " x"]),
        "country": country,
        "status": r.choice(["200", "404", "500", "503.5", "", "5e2"]),
        "amount": "n/a" if country == "fr" else r.choice(["19.99", "-0.10", "3", "", "1e2", "007"]),
        "ts": str(r.randint(0, 10**6)),
    })
for part in range(3):
    with open("orders-%d.csv" % part, "w", newline="") as f:
        out = csv.DictWriter(f, rows[0].keys())
        out.writeheader()
        out.writerows(rows[part * 2000:part * 2000 + 2000])
found = {}
for row in rows:
    one = found.setdefault(row["shop"], {"n": 0, "failed": 0, "priced": 0, "spent": None, "mean": [D(0), 0], "latest": None, "early": None, "pages": set()})
    one["n"] += 1
    failed = row["status"] != "" and float(row["status"]) >= 500
    one["failed"] += failed
    if row["country"] in ("DE", "AT"):
        if row["amount"]:
            one["priced"] += 1
            one["spent"] = (one["spent"] or D(0)) + D(row["amount"])
    if failed and row["country"] == "DE" and row["amount"]:
        one["mean"][0] += D(row["amount"])
        one["mean"][1] += 1
    if failed:
        one["latest"] = max(one["latest"] or D(0), D(row["ts"]))
        if row["country"] and (one["early"] is None or D(row["ts"]) < one["early"][0]):
            one["early"] = (D(row["ts"]), row["country"])
    if row["country"] == "a, b":
        one["pages"].add(row["status"] or None)
with open("expected.jsonl", "w", encoding="utf-8") as f:
    for shop in sorted(found, key=lambda shop: shop.encode()):
        one = found[shop]
        mean = one["mean"][0] / one["mean"][1] if one["mean"][1] else None
        mean = None if mean is None else format(mean.quantize(D("1e-18")).normalize(), "f")
        def number(value):
            return "null" if value is None else format(D(value).normalize(), "f")
        f.write('{"shop":%s,"n":%d,"failed":%d,"priced":%d,"spent":%s,"mean":%s,"latest":%s,"early":%s,"pages":%d}\n' % (
            json.dumps(shop, ensure_ascii=False), one["n"], one["failed"], one["priced"], number(one["spent"]),
            mean or "null", number(one["latest"]), json.dumps(one["early"] and one["early"][1]), len(one["pages"] - {None})))
"#;

const JOB: &str = r#"job: j
input: {files: "orders-*.csv", types: {country: text, ts: number}}
key: shop
process:
  aggregate:
    n: count
    failed: count where status != null && status >= 500
    priced: count(amount) where country in ["DE", "AT"]
    spent: sum(amount) where country in ["DE", "AT"]
    mean: avg(amount) where status != null && status >= 500 && country == "DE"
    latest: max(ts) where status != null && status >= 500
    early: first(country by ts) where status != null && status >= 500
    pages: approx_distinct(status) where country == "a, b"
checkpoint: {store: store, records: 500}
output: out
"#;

#[test]
fn conditions_over_untidy_records_give_what_python_computes() {
    let env = Env::new();
    env.write("orders.py", ORDERS);
    env.shell("python3 orders.py").expect(0);
    env.write("job.yaml", JOB);
    for threads in ["1", "3"] {
        env.run(&["run", "job.yaml", "--threads", threads]).expect(0);
        assert_eq!(env.read("out/j.jsonl"), env.read("expected.jsonl"));
        env.run(&["verify", "--deep", "store"]).expect(0);
        env.shell("rm -r store out").expect(0);
    }
}

#[test]
fn a_condition_that_cannot_be_computed_makes_the_record_bad() {
    let env = Env::new();
    env.write("a.jsonl", "{\"k\":1,\"s\":500}\n{\"k\":1}\n{\"k\":1,\"s\":\"x\",\"v\":\"n/a\"}\n");
    env.write(
        "job.yaml",
        "job: j\ninput: {files: a.jsonl, on_error: {dead_letter: bad.jsonl}}\nkey: k\nprocess:\n  aggregate:\n    \
         n: count where s >= 500\n    v: sum(v) where false\ncheckpoint: {enabled: false}\noutput: out\n",
    );
    env.run(&["run", "job.yaml"]).expect(3);
    assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"1\",\"n\":1,\"v\":null}\n");
    let bad = env.read("bad.jsonl");
    assert_eq!(bad.matches("the condition of `n` fails: cannot apply `>=`").count(), 2, "{bad}");
}

#[test]
fn mistakes_in_conditions_are_reported_at_their_place() {
    let env = Env::new();
    env.write("a.csv", "k,status\n1,2\n");
    env.write(
        "job.yaml",
        "job: j\ninput: {files: a.log, pattern: common}\nkey: host\nprocess:\n  aggregate:\n    a: count where status >=\n    \
         b: 'sum(bytes) where statu > 1'\n    c: count where lowr(path) == \"x\"\n    d: count where\n",
    );
    let output = env.run(&["run", "job.yaml"]).expect(2);
    for message in [
        "job.yaml:6:29: the expression is incomplete",
        "job.yaml:7:26: unknown field `statu`, did you mean `status`?",
        "job.yaml:8:24: unknown function `lowr`, did you mean `lower`?",
        "job.yaml:9:19: expected a condition such as `status >= 500`, found the end",
    ] {
        assert!(output.stderr.contains(message), "{message}\n{output}");
    }
}

#[test]
fn fields_of_conditions_are_watched_and_csv_must_have_them() {
    let env = Env::new();
    env.write("a.jsonl", "{\"k\":1,\"status\":500}\n");
    env.write(
        "job.yaml",
        "job: j\ninput: a.jsonl\nkey: k\nprocess:\n  aggregate:\n    n: count where statsu == 500\n\
         checkpoint: {store: store}\n",
    );
    let output = env.run(&["check", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("job.yaml:6:8: "), "{output}");
    assert!(output.stderr.contains("`statsu`") && output.stderr.contains("`status`"), "{output}");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("`statsu`"), "{output}");
    env.write("a.csv", "k,status\n1,2\n");
    env.write("job.yaml", env.read("job.yaml").replace("a.jsonl", "a.csv").replace("store: store", "store: other"));
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("`statsu`"), "{output}");
}

#[test]
fn another_condition_does_not_fit_the_state() {
    let env = Env::new();
    env.write("a.jsonl", "{\"k\":1,\"s\":5}\n");
    let job = |aggregate: &str, computed: &str| {
        env.write(
            "job.yaml",
            format!(
                "job: j\ninput: a.jsonl\nlet: {{t: {computed}}}\nkey: k\nprocess: {{aggregate: {{n: '{aggregate}'}}}}\n\
                 checkpoint: {{store: store}}\n"
            ),
        );
    };
    job("count where t > 1", "s + 1");
    env.run(&["run", "job.yaml"]).expect(0);
    for (aggregate, computed, message) in [
        ("count where t > 2", "s + 1", "aggregate `n` was count where t > 1, is now count where t > 2"),
        ("count", "s + 1", "aggregate `n` was count where t > 1, is now count"),
        ("count where t > 1", "s + 2", "the computed field `t` was `s + 1`, is now `s + 2`"),
    ] {
        job(aggregate, computed);
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert!(output.stderr.contains(message), "{message}\n{output}");
    }
    job(" count  where t > 1 ", "s + 1");
    env.run(&["run", "job.yaml"]).expect(0);
}
