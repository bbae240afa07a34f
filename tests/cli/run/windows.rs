//! Windows by event time, late records, and keys that expire.

use super::published::{changes, names, net};
use crate::support::Env;

fn windowed(env: &Env, window: &str, output: &str) {
    env.write(
        "job.yaml",
        format!(
            "job: w\ninput: {{files: 'data-*.jsonl'}}\nkey: k\ntasks: 4\nprocess:\n  aggregate: {{n: count, sum: sum(v)}}\n  window: {{time: ts, {window}}}\n\
             checkpoint: {{store: store}}\n{output}"
        ),
    );
}

const CHANGES: &str = "output: {files: out, emit: changes}\n";

/// Writes a file of records: key, time and value.
fn data(env: &Env, name: &str, records: &[(&str, i64, i64)]) {
    let line = |(k, ts, v): &(&str, i64, i64)| format!("{{\"k\":\"{k}\",\"ts\":{ts},\"v\":{v}}}\n");
    env.write(name, records.iter().map(line).collect::<String>());
}

#[test]
fn a_closed_window_is_emitted_once_and_leaves_the_state() {
    let env = Env::new();
    windowed(&env, "every: 1m", CHANGES);
    data(&env, "data-1.jsonl", &[("a", 0, 1), ("b", 59, 2), ("a", 60, 4), ("a", 30, 8), ("a", 125, 16)]);
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    assert!(output.stdout.contains("\"keys\":0,"), "all windows close at the end: {output}");
    assert_eq!(
        changes(&env).concat(),
        [
            r#"{"k":"a","window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-01T00:01:00Z","n":2,"sum":9}"#,
            r#"{"k":"a","window_start":"1970-01-01T00:01:00Z","window_end":"1970-01-01T00:02:00Z","n":1,"sum":4}"#,
            r#"{"k":"a","window_start":"1970-01-01T00:02:00Z","window_end":"1970-01-01T00:03:00Z","n":1,"sum":16}"#,
            r#"{"k":"b","window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-01T00:01:00Z","n":1,"sum":2}"#,
        ]
    );
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(names(&env).len(), 1, "nothing is new");
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn records_of_windows_that_closed_at_the_end_are_late_when_input_is_added() {
    let env = Env::new();
    windowed(&env, "every: 1m, on_late: {dead_letter: late.jsonl}", CHANGES);
    data(&env, "data-1.jsonl", &[("a", 10, 1), ("a", 70, 1)]);
    env.run(&["run", "job.yaml"]).expect(0);
    data(&env, "data-2.jsonl", &[("a", 119, 1), ("a", 120, 1)]);
    let output = env.run(&["run", "job.yaml"]).expect(3);
    assert!(output.stderr.contains("warning: 1 late record was left out"), "{output}");
    let late = env.read("late.jsonl");
    assert!(late.starts_with(r#"{"partition":"data-2.jsonl","offset":0,"record":0,"reason":"is late: its window ended at 1970-01-01T00:02:00Z, and the watermark was at 1970-01-01T00:02:00Z","data":"#), "{late}");
    assert_eq!(late.lines().count(), 1);
    assert!(changes(&env)[1][0].contains("1970-01-01T00:02:00Z"), "{:?}", changes(&env));
    assert!(env.run(&["inspect", "store"]).expect(0).stdout.contains("late"));
}

#[test]
fn a_record_counts_in_all_sliding_windows_that_are_open() {
    let env = Env::new();
    windowed(&env, "every: 20s, length: 1m", CHANGES);
    data(&env, "data-1.jsonl", &[("a", 65, 1)]);
    env.run(&["run", "job.yaml"]).expect(0);
    let starts: Vec<String> = changes(&env).concat().iter().map(|line| line[25..44].to_owned()).collect();
    assert_eq!(starts, ["1970-01-01T00:00:20", "1970-01-01T00:00:40", "1970-01-01T00:01:00"]);
    // The watermark is at the end of the last of these, 2:00: of the windows that contain 1:45, those that end later
    // are open.
    data(&env, "data-2.jsonl", &[("a", 105, 1)]);
    env.run(&["run", "job.yaml"]).expect(0);
    let starts: Vec<String> = changes(&env)[1].iter().map(|line| line[25..44].to_owned()).collect();
    assert_eq!(starts, ["1970-01-01T00:01:20", "1970-01-01T00:01:40"]);
}

#[test]
fn a_late_record_ends_the_run_if_the_job_file_says_so() {
    let env = Env::new();
    windowed(&env, "every: 1m, on_late: fail", CHANGES);
    data(&env, "data-1.jsonl", &[("a", 10, 1)]);
    env.run(&["run", "job.yaml"]).expect(0);
    data(&env, "data-2.jsonl", &[("a", 200, 1), ("a", 11, 1)]);
    let output = env.run(&["run", "job.yaml", "--quiet"]).expect(5);
    assert!(
        output.stderr.starts_with("error: late record 1 of `data-2.jsonl` at byte 25: is late: its window ended at"),
        "{output}"
    );
    assert!(output.stderr.contains("hint: "), "{output}");
}

#[test]
fn with_one_output_at_the_end_every_window_is_in_it() {
    let env = Env::new();
    windowed(&env, "every: 1h", "output: {files: out, format: csv}\n");
    data(&env, "data-1.jsonl", &[("b", 7200, 1), ("a!", 0, 1), ("a", 0, 1), ("a", 3600, 1), ("b", 0, 5)]);
    for _ in 0..2 {
        env.run(&["run", "job.yaml"]).expect(0);
        assert_eq!(
            env.read("out/w.csv"),
            "k,window_start,window_end,n,sum\n\
             a,1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,1,1\n\
             a,1970-01-01T01:00:00Z,1970-01-01T02:00:00Z,1,1\n\
             a!,1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,1,1\n\
             b,1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,1,5\n\
             b,1970-01-01T02:00:00Z,1970-01-01T03:00:00Z,1,1\n"
        );
    }
    let state = env.run(&["inspect", "store", "--state", "--key", "b@1970-01-01T02:00:00Z"]).expect(0);
    assert!(state.stdout.contains("b@1970-01-01T02:00:00Z"), "{state}");
}

#[test]
fn files_that_are_read_later_are_not_late() {
    let env = Env::new();
    windowed(&env, "every: 1m", CHANGES);
    for file in 0..40 {
        data(&env, &format!("data-{file:02}.jsonl"), &[("a", file * 600, 1), ("a", (39 - file) * 600, 1)]);
    }
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(changes(&env).concat().len(), 40);
    assert!(changes(&env).concat().iter().all(|line| line.contains("\"n\":2")));
}

#[test]
fn the_example_with_windows_counts_every_click_once_or_keeps_it_as_late() {
    let env = Env::new();
    let examples = crate::support::repository::path("examples");
    env.write("countries.yaml", std::fs::read(examples.join("countries.yaml")).unwrap());
    for file in 0..4 {
        let name = format!("data/clicks-{file}.jsonl");
        env.write(&name, std::fs::read(examples.join(&name)).unwrap());
    }
    let output = env.run(&["run", "countries.yaml", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let rows: Vec<serde_json::Value> = changes(&env)
        .concat()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|row: &serde_json::Value| row.get("clicks").is_some())
        .collect();
    let clicks: u64 = rows.iter().map(|row| row["clicks"].as_u64().unwrap()).sum();
    assert_eq!(clicks + summary["late"].as_u64().unwrap(), summary["records"].as_u64().unwrap());
    let windows: std::collections::BTreeSet<_> =
        rows.iter().map(|row| (row["country"].to_string(), row["window_start"].to_string())).collect();
    assert!(rows.len() > 20 && windows.len() == rows.len(), "{} rows", rows.len());
    let inspected = env.run(&["inspect", "checkpoints/countries", "--positions"]).expect(0);
    assert!(inspected.stdout.contains("TIME") && inspected.stdout.contains("2026-"), "{inspected}");
    let inspected = env.run(&["inspect", "checkpoints/countries"]).expect(0);
    assert!(inspected.stdout.contains("watermark"), "{inspected}");
}

#[test]
fn a_bad_time_names_the_unit_that_it_may_be_in() {
    let env = Env::new();
    windowed(&env, "every: 1m", "");
    data(&env, "data-1.jsonl", &[("a", 1_795_356_000_123, 1)]);
    let output = env.run(&["run", "job.yaml", "--quiet"]).expect(5);
    assert!(output.stderr.contains("did you mean `unit: ms`?"), "{output}");
}

#[test]
fn a_key_without_records_expires_and_starts_over() {
    let env = Env::new();
    let job = "job: w\ninput: {files: 'data-*.jsonl'}\nkey: k\nprocess:\n  aggregate: {n: count}\n  ttl: 1h\n  time: ts\ncheckpoint: {store: store}\n";
    env.write("job.yaml", format!("{job}{CHANGES}"));
    data(&env, "data-1.jsonl", &[("a", 0, 1), ("b", 0, 1), ("a", 1_800, 1)]);
    env.run(&["run", "job.yaml"]).expect(0);
    data(&env, "data-2.jsonl", &[("c", 3_600, 1)]);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(changes(&env)[1], [r#"{"op":"delete","k":"b","n":null}"#, r#"{"op":"insert","k":"c","n":1}"#]);
    data(&env, "data-3.jsonl", &[("b", 9_000, 1)]);
    env.run(&["run", "job.yaml"]).expect(0);
    let left: Vec<String> = net(&changes(&env)).into_iter().map(|(key, row)| format!("{key} {}", row["n"])).collect();
    assert_eq!(left, ["b 1"]);
    let state = env.run(&["inspect", "store", "--state"]).expect(0);
    assert!(state.stdout.contains("9000000"), "the time of the latest record is part of the state: {state}");
    env.run(&["verify", "--deep", "store"]).expect(0);
}
