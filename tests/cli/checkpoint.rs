//! `ckpt checkpoint`.

use std::fs;
use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};

use rustix::process::Signal;
use serde::Deserialize;

use super::run::{PATIENCE, checkpoints, counting, signal, until, wait};
use crate::support::Env;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    store: String,
    outcome: String,
    checkpoint: Option<u64>,
    time: String,
    new_bytes: u64,
    total_micros: u64,
    error: Option<String>,
}

/// Starts a job that reads standard input, with `more` in its `checkpoint`, and takes none on its own.
fn start(env: &Env, more: &str) -> (Child, ChildStdin) {
    counting(env, &format!("checkpoint: {{store: store, schedule: 300d{more}}}\n"));
    let text = env.read("job.yaml").replace("{files: data.jsonl}", "{files: '-', format: json}");
    env.write("job.yaml", text);
    let stderr = fs::File::create(env.path("stderr")).expect("created");
    let mut command = env.command(&["run", "job.yaml"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr).spawn().expect("started");
    let stdin = child.stdin.take().expect("piped");
    until("the job runs", || env.read("stderr").contains("counting: "));
    (child, stdin)
}

fn requests(env: &Env, store: &str) -> usize {
    fs::read_dir(env.path(store).join("requests")).map_or(0, Iterator::count)
}

#[test]
fn a_running_job_takes_a_checkpoint_on_request_and_reports_when_nothing_changed() {
    let env = Env::new();
    let (mut child, mut stdin) = start(&env, "");
    stdin.write_all("{\"k\":\"a\"}\n".repeat(300_000).as_bytes()).expect("written");
    let output = env.run(&["checkpoint", "store", "--wait", "1m"]).expect(0);
    assert!(output.stdout.starts_with("checkpoint 1: "), "{output}");
    assert_eq!(checkpoints(&env.path("store")), [1]);
    // What was handed out just before a cut is parsed after it, and then the next request has something to write.
    until("nothing is left to write", || {
        let output = env.run(&["checkpoint", "store", "--wait", "1m"]).expect(0);
        output.stdout.starts_with("no new checkpoint, because nothing has changed: the latest is ")
    });
    let output = env.run(&["checkpoint", "store", "--json"]).expect(0);
    let view: View = serde_json::from_str(&output.stdout).expect("an answer");
    assert_eq!((view.outcome.as_str(), view.error), ("elided", None));
    assert_eq!(requests(&env, "store"), 0);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, PATIENCE), 0);
    let output = env.run(&["list", "store"]).expect(0);
    assert!(output.stdout.contains("  request "), "{output}");
    env.run(&["verify", "store"]).expect(0);
}

#[test]
fn a_replica_can_be_asked_as_well_and_a_failure_is_reported() {
    let env = Env::new();
    let (mut child, mut stdin) = start(&env, ", replicas: [r], tolerate: 5");
    stdin.write_all(b"{\"k\":\"a\"}\n").expect("written");
    env.run(&["checkpoint", "r"]).expect(0);
    assert_eq!((requests(&env, "store"), requests(&env, "r")), (0, 0));
    fs::rename(env.path("r"), env.path("away")).expect("renamed");
    stdin.write_all("{\"k\":\"b\"}\n".repeat(300_000).as_bytes()).expect("written");
    let output = env.run(&["checkpoint", "store"]).expect(4);
    assert!(output.stderr.contains("error: the checkpoint failed\n  caused by: only 1 of 2 copies"), "{output}");
    fs::rename(env.path("away"), env.path("r")).expect("renamed");
    env.run(&["checkpoint", "store"]).expect(0);
    drop(stdin);
    assert_eq!(wait(&mut child, PATIENCE), 0, "{}", env.read("stderr"));
}

#[test]
fn without_a_running_job_there_is_nobody_to_ask() {
    let env = Env::new();
    let (mut child, stdin) = start(&env, "");
    signal(&child, Signal::STOP);
    let output = env.run(&["checkpoint", "store", "--wait", "200ms"]).expect(4);
    assert!(output.stderr.contains("did not answer within 200 ms"), "{output}");
    assert_eq!(requests(&env, "store"), 0, "the request was withdrawn");
    let asking = env.command(&["checkpoint", "store"]).stderr(Stdio::piped()).spawn().expect("started");
    until("the request exists", || requests(&env, "store") == 1);
    child.kill().expect("killed");
    child.wait().expect("waited");
    drop(stdin);
    let output = asking.wait_with_output().expect("waited");
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("ended without an answer"), "{said}");
    let output = env.run(&["checkpoint", "store"]).expect(4);
    assert!(output.stderr.starts_with("error: no job is running on `store`\n"), "{output}");
    env.run(&["checkpoint", "store@1"]).expect(2);
    env.run(&["checkpoint", "nowhere"]).expect(10);
}
