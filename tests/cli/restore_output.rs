//! `ckpt restore --to DIR --as output`: the output of a job as it was at a checkpoint.

use std::fs;

use serde_json::Value;

use super::run::kill_slow_runs;
use crate::support::{Env, repository};

/// Reads the only file of the directory.
fn only_file(env: &Env, directory: &str) -> (String, Vec<u8>) {
    let files: Vec<_> =
        fs::read_dir(env.path(directory)).expect("readable").map(|file| file.expect("a file")).collect();
    assert_eq!(files.len(), 1, "{directory}");
    (files[0].file_name().to_string_lossy().into_owned(), fs::read(files[0].path()).expect("readable"))
}

/// Runs a job over more and more input, and keeps the output after each run. Returns what `--as output` must write.
fn outputs(env: &Env, job: &str, last: &str) -> Vec<(String, Vec<u8>)> {
    env.write("job.yaml", job);
    let line = |i: u32| {
        let city = if i.is_multiple_of(11) { "null".to_owned() } else { format!("\"c,{}\\\"\"", i % 13) };
        format!(
            "{{\"k\":\"k{}\",\"city\":{city},\"ms\":{},\"ts\":{},\"tags\":[{i}, \"\\u00e9\"]}}\n",
            i * i % 53,
            f64::from(i * 7 % 1000) / 8.0,
            i * 3
        )
    };
    let parts = [0..400, 400..900, 900..1000];
    let run = |(number, range): (usize, std::ops::Range<u32>)| {
        env.write(&format!("part-{number}.jsonl"), range.map(line).collect::<String>());
        env.run(&["run", "job.yaml"]).expect(0);
        only_file(env, last)
    };
    parts.into_iter().enumerate().map(run).collect()
}

const JOB: &str = "job: j\ninput: part-*.jsonl\nkey: k\nprocess:\n  aggregate:\n    n: count\n    mean: avg(ms)\n    \
    first: first(city by ts)\n    tags: last(tags)\n    cities: approx_distinct(city)\n    p50: approx_quantile(ms, 0.5)\n    \
    p99: approx_quantile(ms, 0.99) where n2 > 1\ncheckpoint: {store: store}\noutput: {files: out}\n";

#[test]
fn it_has_the_bytes_that_the_run_wrote_at_each_checkpoint() {
    let job = JOB.replace("key: k\n", "let: {n2: ms}\nkey: k\n");
    let having = "having: n > 5 && p50 < 60.0";
    for (name, job) in [
        ("json", job.clone()),
        ("csv", job.replace("{files: out}", &format!("{{files: out, format: csv, {having}}}"))),
        ("parquet", job.replace("{files: out}", "{files: out, format: parquet}")),
        ("windows", job.replace("checkpoint:", "  window: {time: ts, every: 10m}\ncheckpoint:")),
        ("keyless", job.replace("key: k\n", "")),
        ("several", job.replace("key: k\n", "key: [k, ts: int]\n")),
    ] {
        let env = Env::new();
        let expected = outputs(&env, &job, "out");
        for (number, expected) in (1..).zip(&expected) {
            let to = format!("at-{number}");
            env.run(&["restore", &format!("store@{number}"), "--to", &to, "--as", "output"]).expect(0);
            assert!(only_file(&env, &to) == *expected, "{name}: checkpoint {number}");
        }
    }
}

#[test]
fn a_job_that_writes_changes_or_nothing_has_a_final_output_too() {
    let job = JOB.replace("key: k\n", "let: {n2: ms}\nkey: k\n");
    let final_output = outputs(&Env::new(), &job, "out").pop().expect("three runs");
    for output in ["output: {files: changes, emit: changes}\n", ""] {
        let env = Env::new();
        let job = job.replace("output: {files: out}\n", output);
        env.write("empty/file", "");
        outputs(&env, &job, "empty");
        env.run(&["restore", "store", "--to", "at", "--as", "output"]).expect(0);
        assert!(only_file(&env, "at") == final_output, "{output}");
    }
}

#[test]
fn a_store_of_a_version_without_estimates_gives_the_output_of_its_run() {
    let env = Env::new();
    let from = "tests/data/golden/format-1/keyed";
    for file in repository::files(from) {
        let inner = file.strip_prefix(&format!("{from}/")).expect("the file is below");
        env.write(inner, fs::read(repository::path(&file)).expect("readable"));
    }
    env.run(&["restore", "store", "--to", "at", "--as", "output"]).expect(0);
    assert!(only_file(&env, "at") == only_file(&env, "out"));
}

/// A program that keeps how many records a key has, and the last of them.
const PROGRAM: &str = "import os, time
from samza import SamzaJob

class Last(SamzaJob):
    COLUMNS

    def process(self, data):
        if os.environ.get('SLOW') and data['n'] % 50 == 0:
            time.sleep(0.01)
        row = self.state.get(data['k']) or {'n': 0, 'last': None}
        self.state[data['k']] = {'n': row['n'] + 1, 'last': data}

if __name__ == '__main__':
    Last().run()
";

#[test]
fn after_kills_it_is_the_output_of_a_run_over_the_input_up_to_there() {
    let aggregates =
        "{n: count, first: first(n), last: last(text), p: 'approx_quantile(n, 0.9)', d: approx_distinct(n)}";
    let program = |columns: &str| PROGRAM.replace("COLUMNS", columns);
    let typed = program("columns = {'n': int, 'last': 'json'}");
    let exec = "exec: [python3, program.py]";
    for (name, script, process, output) in [
        ("aggregates", String::new(), format!("aggregate: {aggregates}"), "format: csv, having: n > 2 && p < 9000.0"),
        ("program", program("pass"), exec.to_owned(), "format: json"),
        ("columns", typed, format!("{exec}\n  columns: {{n: int, last: json}}"), "format: parquet, having: n != 3"),
    ] {
        let mut env = Env::new();
        env.write("program.py", &script);
        let line = |i: u64| {
            let text = format!("t{}{}", i % 13, " of many".repeat(12));
            format!("{{\"k\":\"k{}\",\"n\":{i},\"text\":\"{text}\"}}\n", i * i % 89)
        };
        let data: String = (0..12_000).map(line).collect();
        env.write("data.jsonl", &data);
        env.write(
            "job.yaml",
            format!(
                "job: j\ninput: data.jsonl\nkey: k\ntasks: 8\nprocess:\n  {process}\n\
                 checkpoint: {{store: s, schedule: 50ms, records: 2000}}\noutput: {{files: out, emit: final, {output}}}\n"
            ),
        );
        kill_slow_runs(&mut env, &["run", "job.yaml"]);
        env.run(&["run", "job.yaml"]).expect(0);
        let list: Value = serde_json::from_str(&env.run(&["list", "s", "--json"]).expect(0).stdout).expect("JSON");
        let numbers = list["checkpoints"].as_array().expect("a list").iter();
        let numbers: Vec<u64> = numbers.map(|one| one["sequence"].as_u64().expect("a number")).collect();
        for number in &numbers {
            let at = format!("s@{number}");
            env.run(&["restore", &at, "--to", &format!("at-{number}"), "--as", "output"]).expect(0);
            let positions = env.run(&["inspect", &at, "--positions", "--json"]).expect(0).stdout;
            let positions: Value = serde_json::from_str(&positions).expect("JSON");
            let bytes = positions["positions"][0]["offset"].as_u64().expect("a position");
            let cut = format!("cut-{number}");
            env.write(&format!("{cut}/program.py"), &script);
            env.write(&format!("{cut}/data.jsonl"), &data[..bytes as usize]);
            env.write(&format!("{cut}/job.yaml"), env.read("job.yaml"));
            env.run(&["run", &format!("{cut}/job.yaml")]).expect(0);
            let expected = only_file(&env, &format!("{cut}/out"));
            assert!(only_file(&env, &format!("at-{number}")) == expected, "{name}: checkpoint {number} of {numbers:?}");
        }
    }
}

#[test]
fn what_does_not_follow_from_the_state_is_refused() {
    let env = Env::new();
    env.write("a.jsonl", "{\"k\":1,\"v\":0}\n");
    let job = |more: &str| {
        let aggregates = "process: {aggregate: {n: count, v: last(v)}}";
        env.write(
            "job.yaml",
            format!("job: j\ninput: a.jsonl\nkey: k\n{aggregates}\ncheckpoint: {{store: store}}\n{more}"),
        );
    };
    job("");
    env.run(&["run", "job.yaml"]).expect(0);
    for options in
        [&["--as", "output"][..], &["--to", "x", "--as", "output", "--format", "csv"], &["--to", "x", "--as", "state"]]
    {
        env.run(&[&["restore", "store"][..], options].concat()).expect(2);
    }
    let planned = env.run(&["restore", "store", "--to", "x", "--as", "output", "--dry-run"]).expect(0);
    assert!(planned.stdout.contains("/x/j.jsonl"), "{planned}");
    // A row for which `having` cannot be computed would have ended the run.
    env.write("a.jsonl", "{\"k\":1,\"v\":0}\n{\"k\":1,\"v\":0}\n");
    job("output: {files: out, emit: changes, having: n < 2 || 1 / v > 0}\n");
    let run = env.run(&["run", "job.yaml"]);
    assert_ne!(run.status, 0, "{run}");
    assert!(!env.path("x").exists());
}

#[test]
fn an_output_that_is_not_in_the_state_is_refused() {
    let env = Env::new();
    env.write("data.jsonl", "{\"k\":\"a\",\"ts\":1,\"n\":1}\n{\"k\":\"b\",\"ts\":900,\"n\":2}\n");
    env.write("program.py", PROGRAM.replace("COLUMNS", "pass"));
    let window = "aggregate: {n: count}, window: {time: ts, every: 1m}";
    for (process, output, reason) in [
        ("exec: [python3, program.py]", "output: out", "it is the rows that the program emitted"),
        (window, "output: {files: out, emit: changes}", "windows leave the state when they close"),
        (window, "", "windows leave the state when they close"),
    ] {
        env.shell("rm -rf s").expect(0);
        env.write(
            "job.yaml",
            format!("job: j\ninput: data.jsonl\nkey: k\nprocess: {{{process}}}\ncheckpoint: {{store: s}}\n{output}\n"),
        );
        env.run(&["run", "job.yaml"]).expect(0);
        let refused = env.run(&["restore", "s", "--to", "x", "--as", "output"]).expect(2);
        let expected = format!("the job's output at checkpoint 1 does not follow from its state: {reason}");
        assert!(refused.stderr.contains(&expected), "{refused}");
        assert!(refused.stderr.contains("leave out `--as output`"), "{refused}");
        assert!(!env.path("x").exists());
    }
}
