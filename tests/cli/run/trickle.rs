//! Standard input that pauses: what has arrived is applied.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use super::{checkpoints, until};
use crate::support::Env;

/// Returns the state of the store `s`, without the parts that depend on when checkpoints were made.
fn state(env: &Env) -> String {
    env.run(&["inspect", "s", "--state", "--limit", "0"]).expect(0).stdout
}

#[test]
fn what_has_arrived_is_applied_while_standard_input_pauses() {
    let quoted = "\"a\nb\",1\n";
    let cases = [
        ("json", "", "{\"k\":\"a\",\"v\":1}\n".to_owned(), "{\"k\":\"b\",\"v\":2}\n".to_owned()),
        // The record before the pause is as long as is allowed, and the block is longer.
        (
            "json",
            ", max_record_bytes: 20",
            "{\"k\":\"aaa\",\"v\":1}\n".to_owned(),
            "{\"k\":\"bbb\",\"v\":2}\n".to_owned(),
        ),
        ("csv", "", format!("k,v\n{quoted}"), quoted.replace('b', "c")),
    ];
    for (format, more, first, second) in cases {
        let env = Env::new();
        env.write(
            "job.yaml",
            format!(
                "job: j\ninput: {{files: '-', format: {format}{more}}}\nkey: k\nprocess: {{aggregate: {{n: count, s: sum(v)}}}}\n\
                 checkpoint: {{schedule: 100ms, store: s}}\n"
            ),
        );
        let mut command = env.command(&["run", "job.yaml"]);
        let mut run =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        let mut input = run.stdin.take().expect("piped");
        // A record that is not whole waits for its end.
        let (half, rest) = second.split_at(second.len() / 2);
        let begun = [&first, rest_of(&first), half].concat();
        input.write_all(begun.as_bytes()).expect("written");
        until("the records that have arrived are in a checkpoint", || {
            !checkpoints(&env.path("s")).is_empty() && state(&env).contains(" 2 ")
        });
        let arrived = state(&env);
        assert!(!arrived.contains('c') || format == "json", "{arrived}");
        input.write_all(rest.as_bytes()).expect("written");
        until("the record that was begun is in a checkpoint", || state(&env) != arrived);
        run.kill().expect("killed");
        run.wait().expect("waited");
        // The same input once more, and more of it at once.
        let whole = [&begun, rest, &second, rest_of(&first)].concat();
        env.run_with_input(&["run", "job.yaml"], whole.as_bytes()).expect(0);
        let resumed = state(&env);
        env.run(&["verify", "s", "--deep"]).expect(0);
        fs::remove_dir_all(env.path("s")).expect("removed");
        env.run_with_input(&["run", "job.yaml"], whole.as_bytes()).expect(0);
        assert_eq!(state(&env), resumed);
    }
}

/// Returns the records of `first` without the header line.
fn rest_of(first: &str) -> &str {
    first.strip_prefix("k,v\n").unwrap_or(first)
}
