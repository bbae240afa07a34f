//! What `ckpt log` says of runs: how each started and how it ended, whatever happened to it.

use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{PATIENCE, checkpoints, counting, signal, until, wait};
use crate::support::{Ending, Env};

const STORE: &str = "checkpoint: {store: store, schedule: 20ms}\n";

/// Returns the rows of `ckpt log` from the column CAUSE on, those of runs without how long they took.
fn rows(env: &Env) -> Vec<String> {
    let output = env.run(&["log", "store"]).expect(0);
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().skip(2).collect();
        let is_span = |word: &&&str| word.starts_with(|c: char| c.is_ascii_digit()) || word.len() <= 3;
        let spans = words[1..].iter().take_while(is_span).count();
        let skipped = if matches!(words[0], "run" | "verify") { spans } else { 0 };
        format!("{} {}", words[0], words[1 + skipped..].join(" "))
    };
    output.stdout.lines().skip(1).map(row).collect()
}

/// Returns the entries of `ckpt log --json` about runs.
fn entries(env: &Env, more: &[&str]) -> Vec<Value> {
    let output = env.run(&[&["log", "store", "--json"], more].concat()).expect(0);
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    document["log"].as_array().expect("entries").iter().filter(|entry| entry["run"].is_string()).cloned().collect()
}

/// Starts a run that reads standard input, which never ends, and waits for its first checkpoint.
fn endless(env: &Env) -> Ending {
    counting(env, STORE);
    let job = env.read("job.yaml").replace("output: out/\n", "");
    env.write("job.yaml", job.replace("files: data.jsonl", "files: 'data.jsonl', follow: true"));
    env.write("data.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n");
    start(env)
}

fn start(env: &Env) -> Ending {
    let before = checkpoints(&env.path("store")).len();
    let mut command = env.command(&["run", "job.yaml"]);
    let child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let mut child = Ending(child);
    until("the run has a checkpoint", || {
        checkpoints(&env.path("store")).len() > before || child.0.try_wait().is_ok_and(|end| end.is_some())
    });
    child
}

#[test]
fn runs_start_and_end_and_those_with_nothing_new_share_a_line() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n");
    for _ in 0..4 {
        env.run(&["run", "job.yaml"]).expect(0);
    }
    let found = rows(&env);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[0], "run started from scratch");
    assert!(found[1].starts_with("end of input ") && found[1].ends_with(" checkpoint 1"), "{found:?}");
    assert_eq!(found[2], "run ended: 2 records, latest checkpoint 1");
    assert!(found[3].starts_with("run found nothing new, 3 times until "), "{found:?}");
    // Programs get all of them.
    let entries = entries(&env, &[]);
    let events: Vec<&str> = entries.iter().filter_map(|entry| entry["event"].as_str()).collect();
    assert_eq!(events, ["started", "ended"].repeat(4));
    let last = &entries[entries.len() - 2];
    assert_eq!((&last["resumed_from"], &last["records"], &last["state"]), (&1.into(), &2.into(), &Value::Null));
    assert!(last["holder"].as_str().is_some_and(|holder| holder.starts_with("`ckpt run` of job counting, process ")));
    env.run(&["verify", "store"]).expect(0);
    let leftovers = env.run(&["prune", "store", "--keep-last", "1", "--dry-run", "--json"]).expect(0);
    assert!(leftovers.stdout.contains("\"leftovers\":[]"), "{leftovers}");
}

#[test]
fn a_killed_run_is_shown_as_running_and_then_as_killed() {
    let env = Env::new();
    let mut run = endless(&env);
    assert_eq!(rows(&env)[0], "run started from scratch; still running");
    assert!(entries(&env, &["--failed"]).is_empty());
    run.0.kill().expect("killed");
    run.0.wait().expect("waited");
    assert_eq!(rows(&env)[0], "run started from scratch; killed");
    let failed = entries(&env, &["--failed"]);
    assert_eq!((failed.len(), &failed[0]["state"]), (1, &"killed".into()), "{failed:?}");
    // While another run is running, too.
    env.write("data.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"c\"}\n");
    let run = start(&env);
    let found = rows(&env);
    assert_eq!(found[0], "run started from scratch; killed");
    let of_second = found.iter().filter(|row| row.ends_with("; still running")).count();
    assert_eq!(of_second, 1, "{found:?}");
    drop(run);
}

#[test]
fn a_stopped_run_says_so() {
    let env = Env::new();
    let mut run = endless(&env);
    signal(&run.0, Signal::TERM);
    assert_eq!(wait(&mut run.0, PATIENCE), 0);
    let found = rows(&env);
    assert_eq!(found[0], "run started from scratch");
    assert_eq!(found.last().map(String::as_str), Some("run stopped: 2 records, latest checkpoint 1"), "{found:?}");
}

#[test]
fn a_run_that_fails_says_why_in_full() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let long = "x".repeat(150);
    env.write("data.jsonl", format!("{{\"k\":\"a\"}}\nno record {long}\n"));
    let output = env.run(&["run", "job.yaml", "-q"]).expect(5);
    let message = output.stderr.lines().next().and_then(|line| line.strip_prefix("error: ")).expect("an error");
    let failed = entries(&env, &["--failed"]);
    assert_eq!((failed.len(), &failed[0]["event"]), (1, &"failed".into()), "{failed:?}");
    let error = failed[0]["error"].as_str().expect("a reason");
    assert!(error.starts_with(message), "{error}\n{message}");
    // On a terminal it is wrapped, and nothing is missing.
    let seen = env.run_on_terminal(&["log", "store", "--failed", "--color", "never"]).text;
    let words = |text: &str| text.split_whitespace().collect::<String>();
    assert!(words(&seen).contains(&words(&format!("failed: {error}"))), "{seen}");
    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines.len() > 2 && lines.iter().all(|line| line.trim_end().chars().count() <= 80), "{seen}");
}

#[test]
fn going_back_to_an_older_checkpoint_is_in_the_log() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let mut data = String::new();
    for key in ["a", "b"] {
        data += &format!("{{\"k\":\"{key}\"}}\n");
        env.write("data.jsonl", &data);
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env.write("store/checkpoints/00000002/manifest.yaml", "no manifest");
    env.run(&["run", "job.yaml"]).expect(12);
    env.run(&["run", "job.yaml", "--latest-good"]).expect(0);
    env.run(&["run", "job.yaml", "--set", "tasks=16"]).expect(0);
    let found = rows(&env);
    let place =
        |text: &str| found.iter().rposition(|row| row.contains(text)).unwrap_or_else(|| panic!("{text}: {found:?}"));
    let order = [
        place("run started from scratch"),
        place("run failed: cannot resume from checkpoint 2, the latest: "),
        place("run started, resumed from checkpoint 1 (1 record)"),
        place("run went back to checkpoint 1: skipped 2, damaged"),
        place("run started, resumed from checkpoint 3 (2 records)"),
        place("run re-routed 2 keys from 8 to 16 tasks"),
    ];
    assert!(order.is_sorted(), "{found:?}");
}

#[test]
fn restarts_after_a_program_has_failed_are_runs_of_their_own() {
    let env = Env::new();
    env.write("p.sh", "exit 3\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    env.write(
        "job.yaml",
        "job: j\ninput: data.jsonl\nkey: k\nprocess: {exec: [sh, p.sh], restarts: 1, backoff: 1ms}\ncheckpoint: {store: store}\n",
    );
    env.run(&["run", "job.yaml"]).expect(4);
    let found = rows(&env);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!((found[0].as_str(), found[2].as_str()), ("run started from scratch", "run restarted from scratch"));
    for row in [&found[1], &found[3]] {
        assert!(row.starts_with("run failed: program `p.sh` of worker "), "{found:?}");
    }
    let entries = entries(&env, &[]);
    assert!(entries.iter().all(|entry| entry["run"] == entries[0]["run"]));
    assert_eq!((&entries[0]["restart"], &entries[3]["restart"]), (&0.into(), &1.into()));
}

#[test]
fn a_repair_is_in_the_log() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store, replicas: [copy]}\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("store/checkpoints/00000001/manifest.yaml", "no manifest");
    env.run(&["verify", "store", "--repair"]).expect(0);
    assert_eq!(rows(&env).last().map(String::as_str), Some("verify repaired 1 file"));
    env.run(&["verify", "store"]).expect(0);
}

#[test]
fn a_full_disk_is_the_reason_of_the_failure_and_does_not_make_it_worse() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: disk/store, replicas: [store], min_copies: 2}\n");
    let lines: String = (0..60_000).map(|key| format!("{{\"k\":\"{key:016x}\"}}\n")).collect();
    env.write("data.jsonl", lines);
    std::fs::create_dir(env.path("disk")).expect("created");
    let line = "unshare -m sh -c 'mount -t tmpfs -o size=100k none disk && ckpt run job.yaml -q'";
    if env.shell("unshare -m sh -c 'mount -t tmpfs none disk'").status != 0 {
        return;
    }
    let output = env.shell(line).expect(4);
    assert!(output.stderr.contains("No space left on device"), "{output}");
    let found = rows(&env);
    let last = found.last().expect("a row");
    assert!(last.starts_with("run failed: ") && last.contains("No space left on device"), "{found:?}");
}

#[test]
fn followed_the_log_prints_what_happens_and_nothing_twice() {
    use std::io::{BufRead as _, BufReader};
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    let mut command = env.command(&["log", "store", "--follow", "--json", "-n", "1"]);
    let mut follower = Ending(command.stdout(Stdio::piped()).spawn().expect("started"));
    let mut lines = BufReader::new(follower.0.stdout.take().expect("piped")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("a line").expect("readable");
        serde_json::from_str(&line).expect("JSON")
    };
    let first = next();
    assert_eq!((&first["version"], &first["event"]), (&1.into(), &"ended".into()), "{first}");
    env.write("data.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    std::thread::sleep(Duration::from_millis(1_200));
    env.run(&["prune", "store", "--keep-last", "1", "--yes"]).expect(0);
    let found: Vec<Value> = (0..4).map(|_| next()).collect();
    let shown: Vec<&str> =
        found.iter().map(|entry| entry["event"].as_str().or(entry["outcome"].as_str()).expect("one")).collect();
    assert_eq!(shown, ["started", "committed", "ended", "pruned"], "{found:#?}");
}
