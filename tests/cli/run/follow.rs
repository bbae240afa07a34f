//! `follow: true`: files that grow, rotate and appear while the job runs, and while it is down.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::data::Random;
use super::{checkpoints, manifest, signal, until, wait};
use crate::support::Env;

/// Writes a job that follows `files`, with `more` at its end.
pub(super) fn job(env: &Env, files: &str, more: &str) {
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: {{files: {files}, format: json, follow: true}}\nprocess: {{aggregate: {{n: count, total: sum(i)}}}}\ncheckpoint: {{store: store, schedule: 30ms}}\n{more}"
        ),
    );
}

pub(super) fn start(env: &Env) -> Child {
    let stderr = fs::File::create(env.path("stderr")).expect("created");
    env.command(&["run", "job.yaml"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("started")
}

/// Ends a run with a checkpoint.
#[track_caller]
pub(super) fn stop(env: &Env, mut child: Child) {
    // Before it has printed something it does not listen for signals.
    until("the run has started", || env.read("stderr").contains("j: "));
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0, "{}", env.read("stderr"));
}

pub(super) fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

/// Returns numbered lines from `first` up to, but not including, `end`.
pub(super) fn lines(first: u64, end: u64) -> String {
    (first..end).map(|i| format!("{{\"k\":\"{}\",\"i\":{i}}}\n", i % 7)).collect()
}

/// The number of records of the latest checkpoint.
pub(super) fn records(env: &Env) -> u64 {
    let store = env.path("store");
    let Some(latest) = checkpoints(&store).pop() else { return 0 };
    let text = manifest(&store, latest);
    text.lines().find_map(|line| line.strip_prefix("  records: ")).expect("a total").parse().expect("a number")
}

#[track_caller]
pub(super) fn until_applied(env: &Env, child: &mut Child, count: u64) {
    let begun = Instant::now();
    while records(env) < count {
        assert!(child.try_wait().expect("waited").is_none(), "{}", env.read("stderr"));
        if begun.elapsed() > Duration::from_secs(20) {
            let positions = env.run(&["inspect", "store", "--positions"]);
            let files = env.shell("ls -li --full-time logs; tail -n 1 logs/*");
            panic!("{} of {count} records are applied\n{positions}\n{files}", records(env));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The state of the latest checkpoint: count and total of each key.
pub(super) fn state(env: &Env) -> BTreeMap<String, (u64, u64)> {
    let _ = fs::remove_dir_all(env.path("state"));
    env.run(&["restore", "store", "--to", "state", "--format", "jsonl"]).expect(0);
    let mut rows = BTreeMap::new();
    for file in super::files(&env.path("state")) {
        for line in fs::read_to_string(file).expect("read").lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let number = |name: &str| row[name].to_string().trim_matches('"').parse().expect("a number");
            rows.insert(row["key"].as_str().expect("a key").to_owned(), (number("n"), number("total")));
        }
    }
    rows
}

/// The state after the lines from 0 up to, but not including, `end`, each once.
pub(super) fn expected(end: u64) -> BTreeMap<String, (u64, u64)> {
    let mut rows: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for i in 0..end {
        let row = rows.entry((i % 7).to_string()).or_default();
        *row = (row.0 + 1, row.1 + i);
    }
    rows
}

#[test]
fn torn_lines_are_counted_once_and_files_that_appear_are_read() {
    let env = Env::new();
    job(&env, "'logs/*.log'", "key: k\n");
    fs::create_dir(env.path("logs")).unwrap();
    let mut child = start(&env);
    let all = lines(0, 30);
    let (first, rest) = all.split_at(333);
    append(&env.path("logs/a.log"), first);
    until_applied(&env, &mut child, first.matches('\n').count() as u64);
    append(&env.path("logs/a.log"), rest);
    append(&env.path("logs/b.log"), &lines(30, 40));
    until_applied(&env, &mut child, 40);
    append(&env.path("logs/a.log"), "{\"k\":\"torn\"");
    std::thread::sleep(Duration::from_millis(300));
    stop(&env, child);
    assert_eq!(state(&env), expected(40));
    let last = manifest(&env.path("store"), *checkpoints(&env.path("store")).last().unwrap());
    assert!(last.contains("ended: false\n"), "{last}");
    // The torn line is completed while the job is down.
    append(&env.path("logs/a.log"), ",\"i\":7}\n");
    let mut child = start(&env);
    until_applied(&env, &mut child, 41);
    stop(&env, child);
    assert_eq!(state(&env)["torn"], (1, 7));
    env.run(&["verify", "--deep", "store"]).expect(0);
}

/// Renames `app.log.2` to `app.log.3`, `app.log.1` to `app.log.2`, `app.log` to `app.log.1`, and compressed ones alike.
pub(super) fn rotate(dir: &Path, name: &str, keep: usize) {
    for number in (1..keep).rev() {
        for ending in ["", ".gz"] {
            let renamed = dir.join(format!("{name}.{}{ending}", number + 1));
            let _ = fs::rename(dir.join(format!("{name}.{number}{ending}")), renamed);
        }
    }
    let _ = fs::rename(dir.join(name), dir.join(format!("{name}.1")));
}

#[test]
fn rotations_while_it_runs_and_while_it_is_down_lose_and_duplicate_nothing() {
    for (files, more) in [("logs/app.log", "key: k\n"), ("'logs/app.log*'", "key: k\n")] {
        let env = Env::new();
        job(&env, files, more);
        let (dir, log) = (env.path("logs"), env.path("logs/app.log"));
        fs::create_dir(&dir).unwrap();
        append(&log, &lines(0, 10));
        let mut child = start(&env);
        until_applied(&env, &mut child, 10);
        // The old file gets lines after it was renamed, and after the new one exists.
        rotate(&dir, "app.log", 9);
        append(&dir.join("app.log.1"), &lines(10, 15));
        append(&log, &lines(15, 20));
        append(&dir.join("app.log.1"), &lines(20, 25));
        until_applied(&env, &mut child, 25);
        // Three rotations, faster than anyone looks.
        for i in 5..8 {
            rotate(&dir, "app.log", 9);
            append(&log, &lines(5 * i, 5 * i + 5));
        }
        until_applied(&env, &mut child, 40);
        stop(&env, child);
        assert_eq!(state(&env), expected(40), "{files}");
        // The same while it is down, and once with nothing new.
        append(&log, &lines(40, 45));
        for i in 9..12 {
            rotate(&dir, "app.log", 9);
            append(&log, &lines(5 * i, 5 * i + 5));
        }
        let mut child = start(&env);
        until_applied(&env, &mut child, 60);
        stop(&env, child);
        assert_eq!(state(&env), expected(60), "{files}");
        rotate(&dir, "app.log", 9);
        let mut child = start(&env);
        std::thread::sleep(Duration::from_millis(1500));
        append(&log, &lines(60, 70));
        until_applied(&env, &mut child, 70);
        stop(&env, child);
        assert_eq!(state(&env), expected(70), "{files}");
        env.run(&["verify", "--deep", "store"]).expect(0);
    }
}

#[test]
fn a_partition_keeps_its_name_across_rotations_and_new_ones_become_tasks() {
    let env = Env::new();
    job(&env, "'logs/*.log'", "");
    let dir = env.path("logs");
    fs::create_dir(&dir).unwrap();
    append(&dir.join("a.log"), &lines(0, 10));
    let mut child = start(&env);
    until_applied(&env, &mut child, 10);
    rotate(&dir, "a.log", 3);
    append(&dir.join("a.log"), &lines(10, 20));
    for name in ["b", "c", "d"] {
        append(&dir.join(format!("{name}.log")), &lines(0, 5));
    }
    until_applied(&env, &mut child, 35);
    stop(&env, child);
    let rotated = state(&env);
    assert_eq!(rotated["logs/a.log"], (20, 190));
    assert_eq!((rotated.len(), rotated["logs/c.log"]), (4, (5, 10)));
    // All files of a partition disappear; its task and its row stay.
    fs::remove_file(dir.join("a.log.1")).unwrap();
    rotate(&dir, "a.log", 3);
    let mut child = start(&env);
    append(&dir.join("b.log"), &lines(5, 10));
    until_applied(&env, &mut child, 40);
    stop(&env, child);
    fs::remove_file(dir.join("a.log.1")).unwrap();
    let mut child = start(&env);
    append(&dir.join("b.log"), &lines(10, 20));
    until_applied(&env, &mut child, 50);
    append(&dir.join("a.log"), &lines(20, 30));
    until_applied(&env, &mut child, 60);
    stop(&env, child);
    assert_eq!(state(&env)["logs/a.log"], (30, 435));
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn files_that_exist_at_the_start_do_not_make_each_other_late() {
    let env = Env::new();
    let job = "job: j\ninput: {files: '*.log', format: json, follow: true}\nkey: k\nprocess: {aggregate: {n: count}, window: {time: ts, every: 1m, late: 0s}}\ncheckpoint: {store: store, schedule: 30ms}\noutput: {files: out, emit: changes}\n";
    env.write("job.yaml", job);
    append(
        &env.path("a.log"),
        "{\"k\":\"a\",\"ts\":\"2026-11-22T10:00:01Z\"}\n{\"k\":\"a\",\"ts\":\"2026-11-22T10:09:01Z\"}\n",
    );
    append(&env.path("b.log"), "{\"k\":\"b\",\"ts\":\"2026-11-22T10:00:02Z\"}\n");
    let mut child = start(&env);
    until_applied(&env, &mut child, 3);
    stop(&env, child);
    let last = manifest(&env.path("store"), *checkpoints(&env.path("store")).last().unwrap());
    assert!(!last.contains("late"), "{last}");
    append(&env.path("b.log"), "{\"k\":\"b\",\"ts\":\"2026-11-22T10:08:02Z\"}\n");
    let mut child = start(&env);
    until_applied(&env, &mut child, 4);
    stop(&env, child);
    let rows: String = super::files(&env.path("out")).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let (a, b) = (
        rows.find("{\"k\":\"a\",\"window_start\":\"2026-11-22T10:00:00Z\""),
        rows.find("{\"k\":\"b\",\"window_start\":\"2026-11-22T10:00:00Z\""),
    );
    assert!(a.is_some() && b.is_some() && rows.lines().count() == 2, "{rows}");
}

#[test]
fn input_that_cannot_be_followed_is_an_error_that_says_why() {
    let env = Env::new();
    job(&env, "logs/app.log", "key: k\n");
    let (dir, log) = (env.path("logs"), env.path("logs/app.log"));
    fs::create_dir(&dir).unwrap();
    append(&log, &lines(0, 10));
    let mut child = start(&env);
    until_applied(&env, &mut child, 10);
    fs::write(&log, "").unwrap();
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 4);
    let said = env.read("stderr");
    assert!(
        said.contains("error: input `logs/app.log` was truncated or overwritten while it was followed: "),
        "{said}"
    );
    let down = env.run(&["run", "job.yaml"]).expect(4);
    assert!(down.stderr.contains("error: input `logs/app.log` has shrunk"), "{down}");
    fs::write(&log, lines(0, 10)).unwrap();
    append(&log, &lines(10, 20));
    // The old file exists under another name; then it is gone, along with lines that were never read.
    fs::rename(&log, dir.join("app.log.1")).unwrap();
    fs::write(&log, "").unwrap();
    let mut child = start(&env);
    until_applied(&env, &mut child, 20);
    stop(&env, child);
    append(&log, &lines(20, 30));
    let mut child = start(&env);
    until_applied(&env, &mut child, 30);
    stop(&env, child);
    // A rotated file that was read completely may disappear; the one that was being written may not.
    fs::remove_file(dir.join("app.log.1")).unwrap();
    let mut child = start(&env);
    append(&log, &lines(30, 31));
    until_applied(&env, &mut child, 31);
    stop(&env, child);
    assert_eq!(state(&env), expected(31));
    fs::write(dir.join("other"), "{}\n").unwrap();
    fs::rename(dir.join("other"), &log).unwrap();
    let away = env.run(&["run", "job.yaml"]).expect(4);
    assert!(
        away.stderr.contains("error: input `logs/app.log` was rotated away: neither it nor a file beside it"),
        "{away}"
    );
    fs::remove_file(&log).unwrap();
    let gone = env.run(&["run", "job.yaml"]).expect(4);
    assert!(gone.stderr.contains("error: input `logs/app.log` is gone: "), "{gone}");
}

/// Compresses the file, if it exists.
pub(super) fn compress(path: &Path) {
    if path.exists() {
        let status = Command::new("gzip").arg(path).status().expect("started");
        assert!(status.success(), "{status}");
    }
}

/// Writes numbered lines from 1 in torn pieces to `app.log`, until told to stop. Now and then the file is rotated, and a
/// rotated one is compressed. Returns the number of lines.
pub(super) fn write_and_rotate(dir: PathBuf, done: &AtomicBool, seed: u64) -> u64 {
    let mut random = Random(seed);
    let mut count = 1;
    let log = dir.join("app.log");
    while !done.load(Ordering::Relaxed) {
        let end = count + 1 + random.below(40);
        let text = lines(count, end);
        count = end;
        // Nobody writes to a rotated file now.
        if random.below(8) == 0 {
            compress(&dir.join(format!("app.log.{}", 1 + random.below(3))));
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&log).expect("opened");
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random.below(rest.len() as u64) as usize);
            file.write_all(piece).expect("written");
            // A writer keeps writing to its file for a while after it was renamed.
            if random.below(60) == 0 {
                rotate(&dir, "app.log", 2000);
            }
            rest = after;
            std::thread::sleep(Duration::from_micros(random.below(1500)));
        }
    }
    count
}
