//! What a run prints, and where.

use serde::Deserialize;

use super::counting;
use crate::support::Env;

/// `ckpt run --json`, version 1: nothing more and nothing less.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    version: u32,
    job: String,
    ended: bool,
    resumed_from: Option<u64>,
    left_behind: Vec<u64>,
    latest: Option<u64>,
    records: u64,
    records_in_all: u64,
    records_per_second: u64,
    skipped: u64,
    skipped_in_all: u64,
    late: u64,
    late_in_all: u64,
    early: u64,
    input_bytes: u64,
    keys: u64,
    checkpoints: u64,
    checkpoint_bytes: u64,
    pruned: u64,
    restarts: u64,
    pause_micros_median: Option<u64>,
    pause_micros_p99: Option<u64>,
    pause_micros_max: Option<u64>,
    loading_seconds: f64,
    elapsed_seconds: f64,
    outputs: Vec<Published>,
    changes: Changes,
    #[allow(dead_code)]
    replicas_behind: Vec<String>,
    absent_fields: Vec<String>,
    bad_records: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    files: u64,
    rows: u64,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    path: String,
    sha256: String,
    bytes: u64,
    rows: u64,
}

fn prepared(records: usize) -> Env {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let lines: String = (0..records).map(|i| format!("{{\"k\":\"key {}\"}}\n", i % 10)).collect();
    env.write("data.jsonl", lines);
    env
}

#[test]
fn the_summary_as_json_has_the_documented_fields_and_the_right_numbers() {
    let env = prepared(1_000);
    let first = env.run(&["run", "job.yaml", "--json"]).expect(0);
    let summary: Summary = serde_json::from_str(&first.stdout).expect("the documented fields");
    assert_eq!((summary.version, summary.job.as_str(), summary.ended), (1, "counting", true));
    assert_eq!((summary.resumed_from, summary.latest, summary.left_behind.len()), (None, Some(1), 0));
    assert_eq!((summary.records, summary.records_in_all, summary.keys), (1_000, 1_000, 10));
    assert!(summary.absent_fields.is_empty() && summary.bad_records.is_empty());
    assert_eq!((summary.skipped, summary.skipped_in_all, summary.late, summary.late_in_all), (0, 0, 0, 0));
    assert_eq!(summary.early, 0);
    assert_eq!((summary.changes.files, summary.changes.rows, summary.changes.bytes), (0, 0, 0));
    assert_eq!(summary.input_bytes, env.read("data.jsonl").len() as u64);
    assert_eq!((summary.checkpoints, summary.pruned, summary.restarts), (1, 0, 0));
    assert!(summary.checkpoint_bytes > 1_000 && summary.records_per_second > 0);
    assert!(summary.pause_micros_median <= summary.pause_micros_p99);
    assert!(summary.pause_micros_p99 <= summary.pause_micros_max && summary.pause_micros_max.is_some());
    assert!(summary.loading_seconds >= 0.0 && summary.elapsed_seconds > 0.0);
    let [output] = &summary.outputs[..] else { panic!("{summary:?}") };
    let sum = env.shell("sha256sum out/counting.jsonl").expect(0).stdout;
    assert!(sum.starts_with(&output.sha256), "{sum}");
    assert_eq!((output.path.as_str(), output.rows), ("out/counting.jsonl", 10));
    assert_eq!(output.bytes, env.read("out/counting.jsonl").len() as u64);

    let second = env.run(&["run", "job.yaml", "--json"]).expect(0);
    let summary: Summary = serde_json::from_str(&second.stdout).expect("the documented fields");
    assert_eq!((summary.resumed_from, summary.latest, summary.checkpoints), (Some(1), Some(1), 0));
    assert_eq!((summary.records, summary.records_in_all, summary.keys), (0, 1_000, 10));
}

#[test]
fn standard_output_has_only_the_summary_and_standard_error_the_notes() {
    let env = prepared(1_000);
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(output.stderr, "counting: starts from scratch; checkpoints go to store\n");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[..2], ["counting: the input was read to its end", "  resumed from  nothing"]);
    assert!(lines[2].starts_with("  records       1,000 in "), "{output}");
    assert_eq!(lines[3], "  keys          10");
    assert!(lines[4].starts_with("  checkpoints   1, latest 1, "), "{output}");
    assert!(lines[5].starts_with("  output        out/counting.jsonl (10 rows, "), "{output}");
    assert_eq!(lines.len(), 6);
    let quiet = env.run(&["run", "job.yaml", "--quiet"]).expect(0);
    assert_eq!(quiet.stderr, "");
    assert!(quiet.stdout.starts_with("counting: "), "{quiet}");
}

#[test]
fn a_run_without_checkpoints_or_output_says_so() {
    let env = prepared(10);
    env.write("job.yaml", env.read("job.yaml").replace("store: store", "enabled: false").replace("output: out/\n", ""));
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(output.stderr, "counting: starts from scratch; checkpoints are disabled\n");
    assert!(output.stdout.ends_with("  keys          10\n  checkpoints   disabled\n"), "{output}");
}

#[test]
fn the_live_line_is_for_terminals() {
    let env = prepared(1_500_000);
    let seen = env.run_on_terminal(&["run", "job.yaml"]);
    assert_eq!(seen.status, 0, "{}", seen.text);
    let is_live = |text: &str| text.contains("checkpoint") && text.contains("%, ") && text.contains(" records, ");
    assert!(seen.text.split('\r').any(is_live), "{}", seen.text);
    // It disappears when the summary appears.
    let summary = seen.text.rfind("counting: the input was read to its end").expect("a summary");
    assert!(!seen.text[summary..].contains("%, "), "{}", seen.text);
    let env = prepared(1_500_000);
    let seen = env.run_on_terminal(&["run", "job.yaml", "--quiet"]);
    assert!(!seen.text.contains("%, "), "{}", seen.text);
    assert!(!env.run(&["run", "job.yaml"]).expect(0).stderr.contains('%'));
}
