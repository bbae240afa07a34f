//! Signals: a last checkpoint, a checkpoint now, or the end at once.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::data::{clicks, json};
use super::{PATIENCE, checkpoints, counting, manifest, signal, until, wait};
use crate::support::Env;

/// Starts a run whose standard input is a pipe that stays open.
fn piped(env: &Env, arguments: &[&str]) -> Child {
    let mut command = env.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
}

fn said(child: Child) -> (String, String) {
    let output = child.wait_with_output().expect("waited");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr))
}

/// Returns whether the process already catches SIGUSR1, the last signal it starts to listen for.
fn catches_sigusr1(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(caught.trim(), 16).is_ok_and(|caught| caught & 1 << (10 - 1) != 0)
}

/// A job that counts the records of a thousand small files.
fn many_blocks(more: &str) -> Env {
    let env = Env::new();
    counting(&env, more);
    env.write("job.yaml", env.read("job.yaml").replace("data.jsonl", "'data/*.jsonl'"));
    let lines: String = (0..100).map(|i| format!("{{\"k\":\"key {i}\"}}\n")).collect();
    for i in 0..1_000 {
        env.write(&format!("data/{i:04}.jsonl"), &lines);
    }
    env
}

/// A job that reads standard input, fed enough that some blocks are applied.
fn reading_a_pipe(more: &str) -> (Env, Child, Vec<u8>) {
    let env = Env::new();
    env.write(
        "job.yaml",
        format!(
            "job: piped\ninput: {{files: '-', format: json}}\nkey: user.id\nprocess: {{aggregate: {{n: count}}}}\ncheckpoint: {{store: store{more}}}\noutput: out\n"
        ),
    );
    let mut child = piped(&env, &["run", "job.yaml"]);
    let bytes = json(&clicks(1, 10_000, 50)).bytes;
    child.stdin.as_mut().expect("piped").write_all(&bytes).expect("read");
    (env, child, bytes)
}

#[test]
fn sigterm_and_sigint_end_with_a_checkpoint_and_the_next_run_resumes() {
    for with in [Signal::TERM, Signal::INT] {
        let env = many_blocks("checkpoint: {store: store, schedule: 20ms}\n");
        let mut child = piped(&env, &["run", "job.yaml", "--json"]);
        until("the run listens for signals", || catches_sigusr1(&child));
        std::thread::sleep(Duration::from_millis(10));
        signal(&child, with);
        assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
        let (stdout, _) = said(child);
        assert!(stdout.contains("\"ended\":false"), "{stdout}");
        assert!(!env.path("out/counting.jsonl").exists());
        let last = *checkpoints(&env.path("store")).last().unwrap();
        let last = manifest(&env.path("store"), last);
        assert!(last.contains("trigger: shutdown\nended: false\n"), "{last}");
        let again = env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
        assert!(again.stderr.starts_with("counting: resumes from checkpoint "), "{again}");
        let mut expected: Vec<String> = (0..100).map(|i| format!("{{\"k\":\"key {i}\",\"n\":1000}}\n")).collect();
        expected.sort();
        assert_eq!(env.read("out/counting.jsonl"), expected.concat());
    }
}

#[test]
fn sigusr1_takes_a_checkpoint_now() {
    let (env, mut child, _) = reading_a_pipe(", schedule: 1h");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, Signal::USR1);
    // Meanwhile the reader waits for more.
    until("there is a checkpoint", || !checkpoints(&env.path("store")).is_empty());
    let first = manifest(&env.path("store"), 1);
    assert!(first.contains("trigger: signal\nended: false\n"), "{first}");
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
    assert_eq!(checkpoints(&env.path("store")), [1, 2]);
}

#[test]
fn sigterm_ends_a_run_whose_input_is_idle_with_a_checkpoint() {
    let (env, mut child, bytes) = reading_a_pipe(", schedule: 1h");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, Duration::from_secs(5)), 0);
    assert!(said(child).0.starts_with("piped: stopped; run it again to continue\n"));
    let last = manifest(&env.path("store"), 1);
    assert!(last.contains("trigger: shutdown\nended: false\n"), "{last}");
    let again = env.run_with_input(&["run", "--must-resume", "job.yaml"], &bytes).expect(0);
    assert!(again.stdout.contains("10,000 in total"), "{again}");
}

#[test]
fn sigterm_ends_a_run_whose_input_is_not_supplied_again() {
    let (env, mut child, bytes) = reading_a_pipe("");
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, PATIENCE), 0);
    env.run_with_input(&["run", "job.yaml"], &bytes).expect(0);
    let mut child = piped(&env, &["run", "job.yaml", "--json"]);
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, Duration::from_secs(5)), 0);
    let (stdout, _) = said(child);
    assert!(
        stdout.contains("\"ended\":false,\"resumed_from\":1,\"left_behind\":[],\"latest\":1,\"records\":0,"),
        "{stdout}"
    );
    assert_eq!(checkpoints(&env.path("store")), [1]);
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    for (second, status) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)] {
        let (env, mut child, bytes) = reading_a_pipe(", schedule: 1h");
        drop(child.stdin.take());
        assert_eq!(wait(&mut child, PATIENCE), 0);
        let mut child = piped(&env, &["run", "job.yaml"]);
        child.stdin.as_mut().expect("piped").write_all(&bytes.repeat(2)).expect("read");
        std::thread::sleep(Duration::from_millis(300));
        // The last checkpoint takes over objects that already exist, so it must wait for the lock.
        let lock = std::fs::File::create(env.path("store/objects.lock")).expect("created");
        lock.lock().expect("locked");
        signal(&child, Signal::INT);
        std::thread::sleep(Duration::from_millis(200));
        assert!(child.try_wait().expect("waited").is_none(), "the run is still taking its last checkpoint");
        signal(&child, second);
        assert_eq!(wait(&mut child, Duration::from_secs(2)), status);
    }
}

#[test]
fn a_signal_while_checkpoints_are_disabled_stops_without_one() {
    let env = many_blocks("checkpoint: {enabled: false}\n");
    let mut child = piped(&env, &["run", "job.yaml"]);
    until("the run listens for signals", || catches_sigusr1(&child));
    std::thread::sleep(Duration::from_millis(20));
    signal(&child, Signal::USR1);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
    assert!(said(child).0.contains("stopped; run it again to continue"));
    assert_eq!(super::files(&env.path("checkpoints")).len(), 0);
}

#[test]
fn a_stopped_run_that_left_out_records_says_so_as_a_finished_one_does() {
    for (input, warning) in [("not JSON\n", "1 bad record was skipped"), ("", "")] {
        let env = Env::new();
        env.write(
            "job.yaml",
            "job: j\ninput: {files: data.jsonl, follow: true, on_error: skip}\nkey: k\n\
             process: {aggregate: {n: count}}\ncheckpoint: {store: store, records: 1}\n",
        );
        for life in 1..=2 {
            let line = format!("{{\"k\":\"a\"}}\n{input}");
            env.write("data.jsonl", line.repeat(life));
            let mut child = piped(&env, &["run", "job.yaml"]);
            until("the lines were read", || {
                let last = checkpoints(&env.path("store")).last().copied();
                let records = format!("  records: {}\n", life * line.lines().count());
                last.is_some_and(|last| manifest(&env.path("store"), last).contains(&records))
            });
            signal(&child, Signal::TERM);
            assert_eq!(wait(&mut child, PATIENCE), if input.is_empty() { 0 } else { 3 });
            let (stdout, stderr) = said(child);
            assert!(stdout.contains("stopped; run it again to continue") && stderr.contains(warning), "{stderr}");
            let total = "1 bad record was skipped, 2 since the job began";
            assert_eq!(stderr.contains(total), life == 2 && !input.is_empty(), "{stderr}");
        }
    }
}
