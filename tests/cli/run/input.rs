//! Input that is not what it was.

use std::fs;

use super::{counting, until};
use crate::support::Env;

const LINES: &str = "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"a\"}\n";

fn finished() -> Env {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let text = env.read("job.yaml").replace("data.jsonl", "'data*.jsonl'");
    env.write("job.yaml", text);
    env.write("data.jsonl", LINES);
    env.run(&["run", "job.yaml"]).expect(0);
    env
}

const HINT: &str = "hint: restore the input, or start over in a new store (`checkpoint: store:`): its records cannot be separated from the state\n";

#[track_caller]
fn fails(env: &Env, error: &str) {
    let output = env.run(&["run", "job.yaml", "--quiet"]).expect(4);
    assert_eq!((output.stdout.as_str(), output.stderr), ("", format!("error: {error}\n{HINT}")));
}

#[test]
fn input_that_was_changed_shrunk_or_removed_is_an_error_that_says_which() {
    let env = finished();
    env.write("data.jsonl", LINES.replace('b', "c"));
    fails(
        &env,
        "input `data.jsonl` was replaced or changed: its first 30 bytes are not those that the checkpoint has read",
    );
    env.write("data.jsonl", &LINES[..20]);
    fails(&env, "input `data.jsonl` has shrunk: the checkpoint has read 30 bytes of it, it has 20");
    fs::rename(env.path("data.jsonl"), env.path("data-2.jsonl")).unwrap();
    fails(&env, "input `data.jsonl` is gone: the checkpoint has read 30 bytes of it");
    fs::remove_file(env.path("data-2.jsonl")).unwrap();
    env.write("data.jsonl", LINES);
    env.run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn input_that_has_grown_is_read_further_and_files_may_be_added_before_and_after() {
    let env = finished();
    env.write("data.jsonl", LINES.to_owned() + "{\"k\":\"c\"}\n");
    env.write("data-0.jsonl", "{\"k\":\"a\"}\n");
    env.write("data9.jsonl", "{\"k\":\"d\"}");
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    assert!(output.stdout.contains("\"records\":3,\"records_in_all\":6,"), "{output}");
    let expected = "{\"k\":\"a\",\"n\":3}\n{\"k\":\"b\",\"n\":1}\n{\"k\":\"c\",\"n\":1}\n{\"k\":\"d\",\"n\":1}\n";
    assert_eq!(env.read("out/counting.jsonl"), expected);
    // The last line of this file had no line end, and was counted as it was: now that it is longer, it may be another
    // record.
    env.write("data9.jsonl", "{\"k\":\"d\"}{\"k\":\"d\"}\n");
    let lengthened = env.run(&["run", "job.yaml"]).expect(4);
    let message =
        "\nerror: input `data9.jsonl` has grown in its last line: it had no line end at byte 9 when it was read";
    assert!(lengthened.stderr.contains(message), "{lengthened}");
    // What followed it is a line end: the line was complete.
    env.write("data9.jsonl", "{\"k\":\"d\"}\n{\"k\":\"d\"}\n");
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    assert!(output.stdout.contains("\"records\":1,\"records_in_all\":7,"), "{output}");
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error_and_nothing_committed_is_lost() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store, schedule: 5ms}\n");
    let lines: String = (0..1_500_000).map(|i| format!("{{\"k\":\"key {}\"}}\n", i % 1000)).collect();
    env.write("data.jsonl", &lines);
    let mut child = env.command(&["run", "job.yaml"]).stderr(std::process::Stdio::piped()).spawn().expect("started");
    super::until("there is a checkpoint", || !super::checkpoints(&env.path("store")).is_empty());
    let file = fs::OpenOptions::new().write(true).open(env.path("data.jsonl")).unwrap();
    file.set_len(100).unwrap();
    let status = super::wait(&mut child, super::PATIENCE);
    let stderr = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(status == 4 && stderr.contains("error: "), "{status} {stderr}");
    env.write("data.jsonl", &lines);
    env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
    assert!(env.read("out/counting.jsonl").lines().all(|line| line.ends_with("\"n\":1500}")));
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_noticed_by_the_next_run() {
    let env = Env::new();
    let lines = |key: &str| (0..60_000).map(|i| format!("{{\"k\":\"{key}{}\",\"v\":1}}\n", i % 10)).collect::<String>();
    env.write("in.jsonl", lines("a"));
    env.write("other.jsonl", lines("b"));
    env.write(
        "job.yaml",
        "job: w\ninput: in.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {state_bytes: 1, schedule: 1ms}\n",
    );
    let mut run = env.command(&["run", "--quiet", "job.yaml"]).spawn().unwrap();
    // A checkpoint that was taken before the first block read nothing that could be missed.
    let has_read = |number: u64| {
        let path = env.path(&format!("checkpoints/w/checkpoints/{number:08}/manifest.yaml"));
        std::fs::read_to_string(path).is_ok_and(|manifest| !manifest.contains("  records: 0\n"))
    };
    until("a checkpoint has read something", || has_read(1) || has_read(2));
    std::fs::rename(env.path("other.jsonl"), env.path("in.jsonl")).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let next = env.run(&["run", "--quiet", "job.yaml"]).expect(4);
    assert!(next.stderr.starts_with("error: input `in.jsonl` was replaced or changed"), "{next}");
}

#[test]
fn a_job_that_would_read_what_it_writes_is_refused() {
    let env = Env::new();
    env.write("in.jsonl", "{\"k\":\"a\"}\n");
    let job = |rest: &str| format!("job: w\nkey: k\nprocess: {{aggregate: {{n: count}}}}\n{rest}");
    for (rest, message) in [
        ("input: '*.jsonl'\noutput: .\n", "cannot be both an input and the output of a job"),
        (
            "input: {files: '*.jsonl', on_error: {dead_letter: ./bad.jsonl}}\n",
            "cannot be both an input and the dead-letter file of a job",
        ),
        (
            "input: {files: in.jsonl, on_error: {dead_letter: out/w.jsonl}}\noutput: out\n",
            "cannot be both the output and the dead-letter file of a job",
        ),
    ] {
        env.write("job.yaml", job(rest));
        let refused = env.run(&["run", "job.yaml"]).expect(2);
        assert!(refused.stderr.contains(message), "{rest}: {refused}");
        assert!(!env.path("checkpoints").exists() && !env.path("w.jsonl").exists(), "{rest}");
    }
}
