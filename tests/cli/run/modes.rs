//! Modes, triggers, and checkpoints that fail.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::replicas::Live;
use super::{PATIENCE, checkpoints, counting, manifest, signal, until, wait};
use crate::support::Env;

/// Writes `count` records with a thousand different keys.
fn data(env: &Env, records: usize) {
    let line = |i: usize| format!("{{\"k\":\"k{}\"}}\n", i % 1_000);
    env.write("data.jsonl", (0..records).map(line).collect::<String>());
}

/// Returns the attempts in the log of the store as JSON.
fn log(env: &Env) -> Vec<Value> {
    let output = env.run(&["log", "store", "--json"]).expect(0);
    let view: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let entries = view["log"].as_array().expect("a list").iter();
    entries.filter(|entry| entry["cause"].is_string()).cloned().collect()
}

fn field<'a>(attempt: &'a Value, name: &str) -> &'a str {
    attempt[name].as_str().unwrap_or_default()
}

/// Returns the objects that checkpoint `number` needs.
fn objects(env: &Env, number: u64) -> BTreeSet<String> {
    let sums = env.read(&format!("store/checkpoints/{number:08}/SHA256SUMS"));
    sums.lines().filter(|line| line.contains("objects")).map(str::to_owned).collect()
}

/// Starts the job with standard input as its only partition, which stays open.
fn idle(env: &Env, checkpoint: &str) -> (Child, ChildStdin) {
    counting(env, &format!("checkpoint: {{store: store, {checkpoint}}}\n"));
    let text = env.read("job.yaml").replace("{files: data.jsonl}", "{files: '-', format: json}");
    env.write("job.yaml", text);
    let mut command = env.command(&["run", "job.yaml"]);
    let stderr = fs::File::create(env.path("stderr")).expect("created");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr).spawn().expect("started");
    let stdin = child.stdin.take().expect("piped");
    (child, stdin)
}

/// Runs the idle job until it has made its first checkpoint, on request.
fn make_one(env: &Env, checkpoint: &str) {
    let (mut child, stdin) = idle(env, checkpoint);
    until("the run listens", || env.path("store/store.yaml").exists());
    signal(&child, Signal::USR1);
    until("there is a checkpoint", || checkpoints(&env.path("store")).len() == 1);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, PATIENCE), 0);
    drop(stdin);
}

#[test]
fn scheduled_checkpoints_are_complete_share_nothing_and_are_taken_even_if_nothing_changed() {
    let env = Env::new();
    let (mut child, stdin) = idle(&env, "mode: scheduled, schedule: 100ms");
    until("there are three checkpoints", || checkpoints(&env.path("store")).len() >= 3);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, PATIENCE), 0);
    drop(stdin);
    let numbers = checkpoints(&env.path("store"));
    for pair in numbers.windows(2) {
        let shared: Vec<_> = objects(&env, pair[0]).intersection(&objects(&env, pair[1])).cloned().collect();
        assert_eq!(shared, Vec::<String>::new(), "{pair:?}");
    }
    let env = Env::new();
    data(&env, 20_000);
    counting(&env, "checkpoint: {store: store, mode: scheduled, schedule: 20ms}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    let numbers = checkpoints(&env.path("store"));
    let last = *numbers.last().expect("a checkpoint");
    assert!(manifest(&env.path("store"), last).contains("mode: scheduled\n"));
    let output = env.run(&["inspect", &format!("store@{last}"), "--objects"]).expect(0);
    assert!(!output.stdout.contains("delta"), "{output}");
    for number in &numbers[..numbers.len() - 1] {
        fs::remove_dir_all(env.path(&format!("store/checkpoints/{number:08}"))).expect("removed");
    }
    // Only its predecessor is missing.
    let verified = env.run(&["verify", &format!("store@{last}"), "--deep"]);
    let gaps = numbers.len().min(2) - 1;
    assert_eq!(verified.stdout.matches("damage: ").count(), gaps, "{verified}");
    assert_eq!(verified.stdout.matches("damage: chain-gap").count(), gaps, "{verified}");
    let before = env.read("out/counting.jsonl");
    fs::remove_file(env.path("out/counting.jsonl")).expect("removed");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/counting.jsonl"), before);
}

#[test]
fn a_scheduled_time_that_passed_while_the_job_was_down_is_made_up_for_once() {
    let env = Env::new();
    data(&env, 1_000);
    let job = |schedule: &str| {
        counting(&env, &format!("checkpoint: {{store: store, mode: scheduled, schedule: {schedule}}}\n"));
        env.run(&["run", "job.yaml"]).expect(0);
        checkpoints(&env.path("store")).len()
    };
    // A cron schedule that fires once a year.
    assert_eq!(job("\"0 0 1 1 *\""), 1, "the end of the input");
    assert_eq!(job("\"0 0 1 1 *\""), 1, "nothing is due and nothing is new");
    thread::sleep(Duration::from_millis(1_000));
    // Eight or more were missed. Nothing is new, and the last checkpoint makes up for all of them.
    assert_eq!(job("125ms"), 2, "{:?}", log(&env));
    thread::sleep(Duration::from_millis(300));
    data(&env, 1_001);
    assert_eq!(job("125ms"), 3, "{:?}", log(&env));
    let causes: Vec<String> = log(&env).iter().map(|attempt| field(attempt, "cause").to_owned()).collect();
    assert_eq!(causes, ["end_of_input", "end_of_input", "end_of_input"]);
}

#[test]
fn a_run_that_goes_on_makes_up_for_a_missed_time_soon_after_its_start() {
    let mut env = Env::new();
    make_one(&env, "mode: scheduled, schedule: \"0 0 1 1 *\"");
    env.at("2099-01-01T00:30:00Z");
    let (mut child, stdin) = idle(&env, "mode: scheduled, schedule: 1h");
    until("there is another checkpoint", || checkpoints(&env.path("store")).len() == 2);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, PATIENCE), 0);
    drop(stdin);
    assert!(manifest(&env.path("store"), 2).contains("trigger: schedule"));
    assert_eq!(checkpoints(&env.path("store")), [1, 2], "stopping does not write the whole state again");
}

#[test]
fn a_checkpoint_of_the_future_does_not_delay_the_next_one() {
    let mut env = Env::new();
    env.at("2099-01-01T00:30:00Z");
    make_one(&env, "mode: scheduled, schedule: 1h");
    env.unset("CKPT_NOW");
    let (mut child, stdin) = idle(&env, "mode: scheduled, schedule: 100ms");
    until("there is another checkpoint", || checkpoints(&env.path("store")).len() >= 2);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, PATIENCE), 0);
    drop(stdin);
}

#[test]
fn a_number_of_records_triggers_a_checkpoint() {
    let env = Env::new();
    data(&env, 200_000);
    counting(&env, "checkpoint: {store: store, records: 30000}\n");
    env.run(&["run", "job.yaml", "--threads", "1"]).expect(0);
    let log = log(&env);
    assert!(log.len() > 1, "{log:?}");
    let (last, others) = log.split_last().expect("an attempt");
    assert_eq!(field(last, "cause"), "end_of_input");
    assert!(others.iter().all(|attempt| field(attempt, "cause") == "records"), "{log:?}");
    let output = env.run(&["list", "store"]).expect(0);
    assert!(output.stdout.contains("  records  "), "{output}");
}

#[test]
fn checkpoints_keep_a_minimum_pause_but_a_signal_does_not_wait() {
    let env = Env::new();
    let (mut child, stdin) = idle(&env, "mode: scheduled, schedule: 20ms, min_pause: 1h");
    until("there is a checkpoint", || checkpoints(&env.path("store")).len() == 1);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(checkpoints(&env.path("store")).len(), 1);
    signal(&child, Signal::USR1);
    until("there is another checkpoint", || checkpoints(&env.path("store")).len() == 2);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, PATIENCE), 0);
    drop(stdin);
    let causes: Vec<String> = log(&env).iter().map(|attempt| field(attempt, "cause").to_owned()).collect();
    assert_eq!(causes, ["schedule", "signal"]);
}

#[test]
fn a_run_survives_checkpoints_that_fail_and_the_next_one_has_everything() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store, replicas: [r], schedule: 20ms, tolerate: 1000000}\n");
    let live = Live::start(&env);
    live.more("store", 2);
    fs::rename(env.path("r"), env.path("away")).expect("renamed");
    let failures = || log(&env).iter().filter(|attempt| field(attempt, "outcome") == "failed").count();
    until("checkpoints have failed", || failures() >= 3);
    let before = checkpoints(&env.path("store")).len();
    fs::rename(env.path("away"), env.path("r")).expect("renamed");
    live.more("r", 2);
    assert!(checkpoints(&env.path("store")).len() > before);
    let (status, said) = live.end();
    assert_eq!(status, 0, "{said}");
    assert!(said.contains(" in a row, 1000000 tolerated): "), "{said}");
    assert!(said.contains("replica `r` has caught up"), "{said}");
    env.run(&["verify", "store", "--deep"]).expect(0);
    let output = env.run(&["verify", "store", "--json"]).expect(0);
    assert!(!output.stdout.contains("object-unused"), "{output}");
    // Every record is counted once.
    let rows = env.read("out/counting.jsonl");
    let counted: u64 = rows
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["n"].as_u64().expect("a number"))
        .sum();
    let inspected = env.run(&["inspect", "store@latest", "--json"]).expect(0);
    let records: Value = serde_json::from_str(&inspected.stdout).expect("JSON");
    assert!(inspected.stdout.contains(&format!("\"records\":{counted}")), "{counted}: {records}");
}

#[test]
fn more_failures_in_a_row_than_are_tolerated_end_the_run() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store, replicas: [r], schedule: 20ms, tolerate: 2}\n");
    let live = Live::start(&env);
    live.more("store", 1);
    fs::rename(env.path("r"), env.path("away")).expect("renamed");
    let (status, said) = live.fail();
    assert_eq!(status, 4, "{said}");
    assert!(said.contains("error: 3 checkpoints in a row failed, but the job tolerates only 2\n"), "{said}");
    assert!(said.contains("caused by: only 1 of 2 copies can be made: replica `r`: "), "{said}");
    // The checkpoint that was committed to only one replica exists all the same, without an attempt of its own.
    let attempts = log(&env).into_iter().filter(|attempt| attempt["number"].is_number());
    let outcomes: Vec<String> = attempts.map(|attempt| field(&attempt, "outcome").to_owned()).collect();
    assert!(outcomes.ends_with(&["failed", "failed", "failed"].map(str::to_owned)), "{outcomes:?}");
}

#[test]
fn shards_that_wait_are_shown_and_a_run_resumes_each_at_its_own_cut() {
    let env = Env::new();
    let input: String = (0..100_000).map(|i| format!("{{\"k\":\"k{}\"}}\n", i % 1_000)).collect();
    let classes = "[{name: first, tasks: 0-1, weight: 9}, {name: seldom, every: 4}]";
    let (mut child, mut stdin) =
        idle(&env, &format!("schedule: 15ms, mode: priority, budget: 1KiB, priorities: {classes}"));
    let job = |tasks: u32| {
        let text =
            env.read("job.yaml").replace("tasks: 8", "tasks: 16").replace("tasks: 16", &format!("tasks: {tasks}"));
        env.write("job.yaml", text);
    };
    // In small portions: a shard that has not changed when a cut is chosen is not left out.
    for lines in input.as_bytes().chunks(12_000) {
        stdin.write_all(lines).expect("written");
        thread::sleep(Duration::from_millis(4));
    }
    let is_behind = |number: u64| manifest(&env.path("store"), number).contains("older_cuts:\n");
    until("shards wait", || checkpoints(&env.path("store")).into_iter().any(is_behind));
    drop(stdin);
    assert_eq!(wait(&mut child, PATIENCE), 0);
    let calm = env.read("out/counting.jsonl");
    fs::remove_dir_all(env.path("out")).expect("removed");
    let behind = checkpoints(&env.path("store")).into_iter().rfind(|&number| is_behind(number)).expect("a checkpoint");
    let target = format!("store@{behind}");
    let output = env.run(&["inspect", &target]).expect(0);
    assert!(output.stdout.contains("\nclass      first: 2 shards, "), "{output}");
    assert!(output.stdout.contains("\nclass      seldom: 6 shards, "), "{output}");
    assert!(output.stdout.contains(" behind by at most "), "{output}");
    let output = env.run(&["inspect", &target, "--json"]).expect(0);
    let view: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(view["classes"][0]["name"], "first");
    assert!(view["older_cuts"][0]["shards"].is_array(), "{view}");
    env.run(&["verify", "store", "--deep"]).expect(0);
    // A restored checkpoint keeps its cuts.
    env.run(&["restore", &target]).expect(0);
    job(16);
    let output = env.run_with_input(&["run", "job.yaml"], input.as_bytes()).expect(2);
    assert!(output.stderr.contains("are at several cuts"), "{output}");
    job(8);
    let output = env.run_with_input(&["run", "job.yaml", "--json"], input.as_bytes()).expect(0);
    assert!(output.stdout.contains("\"records_in_all\":100000,"), "{output}");
    assert_eq!(env.read("out/counting.jsonl"), calm);
    let last = *checkpoints(&env.path("store")).last().expect("a checkpoint");
    assert!(!is_behind(last), "the last checkpoint takes everything");
    let text = manifest(&env.path("store"), last);
    assert!(text.contains("\n  records: 100000\n") && text.contains("mode: priority\n"), "{text}");
    assert!(text.contains(&format!("\n  input_bytes: {}\n", input.len())), "{text}");
}
