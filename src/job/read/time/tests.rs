use crate::job::FieldPath;
use std::path::Path;

use super::*;
use crate::job::{Difference, differences};

fn job(process: &str, rest: &str) -> std::result::Result<JobSpec, String> {
    let text = format!("job: a\ninput: b.jsonl\nprocess:\n  aggregate: {{n: count}}\n{process}{rest}");
    JobSpec::parse(&text, Path::new("job.yaml")).map_err(|error| error.to_string())
}

const KEY: &str = "key: user\n";

#[test]
fn windows_and_expiry_end_up_where_they_belong_and_in_the_definition() {
    let window = "  window: {time: at.ts, every: 1m, length: 5m, late: 10s, unit: ms, on_late: {dead_letter: late.jsonl}, ahead: 1d}\n";
    let read = job(window, "key: user\noutput: {files: out, emit: changes, format: parquet}\n").unwrap();
    assert_eq!(
        read.window,
        Some(WindowSpec {
            time: EventTime {
                field: FieldPath { names: vec!["at".into(), "ts".into()] },
                unit: TimeUnit::Milliseconds
            },
            every_millis: 60_000,
            length_millis: 300_000,
            late_millis: 10_000,
            on_late: OnLate::DeadLetter("late.jsonl".into()),
            ahead_millis: 86_400_000,
        })
    );
    let short = job("  window: {time: ts, every: 1d}\n", "key: user\noutput: out\n").unwrap();
    let window = short.window.as_ref().unwrap();
    assert_eq!((window.length_millis, window.late_millis), (86_400_000, 0));
    let ttl = job("  ttl: 30d\n  time: ts\n", "").unwrap();
    let spec = ttl.ttl.as_ref().unwrap();
    assert_eq!((spec.ttl_millis, spec.ahead_millis), (30 * 86_400_000, 366 * 86_400_000));
    let near = job("  ttl: 30d\n  time: ts\n  ahead: 90m\n", "").unwrap();
    assert_eq!(near.ttl.as_ref().unwrap().ahead_millis, 90 * 60_000);
    for job in [&read, &short, &ttl, &near] {
        let definition = job.definition();
        assert_eq!(JobSpec::parse(&definition, Path::new("job.yaml")).as_ref(), Ok(job), "{definition}");
    }
}

#[test]
fn what_cannot_be_combined_is_rejected_with_what_to_do() {
    let changes = "key: user\noutput: {files: out, emit: changes}\n";
    let mut wrong = Vec::new();
    for (process, rest, expected) in [
        ("  window: {every: 1m}\n", KEY, "5:11: missing key `time` in `process.window`: the field that says when"),
        ("  window: {time: ts}\n", KEY, "5:11: missing key `every` in `process.window`"),
        ("  window: {time: ts, every: 1m}\n", "", "5:11: `window` needs `key`"),
        ("  window: {time: ts, every: 0s}\n", KEY, "5:29: expected a duration of whole milliseconds"),
        ("  window: {time: ts, every: 1m, length: 90s}\n", KEY, "5:41: expected a multiple of `every`, which is 1m"),
        ("  window: {time: ts, every: 1s, length: 1d}\n", KEY, "5:41: expected at most 1000 times `every`"),
        ("  window: {time: ts, every: 1m, unit: m}\n", KEY, "5:39: unknown unit `m`"),
        (
            "  window: {time: ts, every: 1m, late: 1s}\n",
            "key: user\noutput: out\n",
            "5:39: `late`, `on_late` and `ahead` need `output: emit: changes`",
        ),
        ("  window: {time: ts, every: 1m, on_late: dead_letter}\n", KEY, "5:42: `dead_letter` needs a file"),
        (
            "  window: {time: ts, every: 1m, on_late: {dead_letter: l}}\n",
            "key: user\ncheckpoint: {enabled: false}\n",
            "5:42: late records are written with each checkpoint",
        ),
        ("  window: {time: ts, every: 1m}\n", "key: window_end\n", "5:11: `window` adds a column `window_end`"),
        ("  ttl: 30d\n", KEY, "4:3: missing key `time` in `process`"),
        ("  time: ts\n", KEY, "5:9: `time`, `unit` and `ahead` in `process` need `ttl`"),
        (
            "  ttl: 30d\n  time: ts\n  window: {time: ts, every: 1m}\n",
            KEY,
            "5:8: `ttl` and `window` cannot be used together",
        ),
        (
            "",
            "checkpoint: {enabled: false}\noutput: {files: out, emit: changes}\n",
            "6:28: `emit: changes` publishes rows with each checkpoint",
        ),
        ("", "key: op\noutput: {files: out, emit: changes}\n", "6:28: `emit: changes` adds a column `op`"),
    ] {
        let error = job(process, rest).expect_err(process);
        if !error.starts_with(&format!("job.yaml:{expected}")) {
            wrong.push(format!("{error}\nEXPECTED {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let named = "job: a\ninput: b.jsonl\nkey: k\nprocess:\n  aggregate: {event_time: count}\n  ttl: 1d\n  time: ts\n";
    let error = JobSpec::parse(named, Path::new("job.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("job.yaml:6:8: `ttl` adds a column `event_time`"), "{error}");
    assert!(job("  window: {time: ts, every: 1m, late: 10s}\n", changes).is_ok());
    assert!(job("  window: {time: ts, every: 1m, late: 10s}\n", KEY).is_ok(), "without an output windows still close");
}

#[test]
fn state_depends_on_the_bounds_of_windows_and_not_on_late_records() {
    let window = |window: &str| job(&format!("  window: {{{window}}}\n"), KEY).unwrap();
    let old = window("time: ts, every: 1m");
    assert!(differences(&old, &window("time: ts, every: 1m, length: 1m, late: 5s, on_late: fail")).is_empty());
    let changes = |old: &JobSpec, new: &JobSpec| -> Vec<String> {
        differences(old, new).iter().map(Difference::to_string).collect()
    };
    assert_eq!(
        changes(&old, &window("time: ts, every: 1m, length: 2m, unit: ms")),
        ["`window` was 1m every 1m by ts in s, is now 2m every 1m by ts in ms"]
    );
    assert_eq!(changes(&old, &job("", KEY).unwrap()), ["`window` (1m every 1m by ts in s) was removed"]);
    let ttl = |ttl: &str| job(&format!("  ttl: {ttl}\n  time: ts\n"), KEY).unwrap();
    assert!(differences(&ttl("1d"), &ttl("2d\n  ahead: 1d")).is_empty());
    assert_eq!(changes(&job("", KEY).unwrap(), &ttl("1d")), ["`ttl` was added"]);
}
