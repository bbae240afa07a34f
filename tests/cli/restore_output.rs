//! `ckpt restore --to DIR --as output`: the output of a job as it was at a checkpoint.

use std::fs;

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
