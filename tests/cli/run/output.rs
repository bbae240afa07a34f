//! The output is published once the checkpoint that names it is committed, even after a crash in between.

use std::fs;

use super::{checkpoints, counting, files};
use crate::support::Env;

const ROWS: &str = "{\"k\":\"a\",\"n\":2}\n{\"k\":\"b\",\"n\":1}\n";

fn finished() -> Env {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"a\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/counting.jsonl"), ROWS);
    env
}

#[test]
fn a_publication_that_was_cut_short_is_finished_at_the_next_start() {
    let env = finished();
    fs::rename(env.path("out/counting.jsonl"), env.path("out/.counting.jsonl.ckpt-00000001")).unwrap();
    // This does not require reading the input: it need not even be whole.
    env.write("data.jsonl", "");
    env.run(&["run", "job.yaml"]).expect(4);
    assert_eq!(env.read("out/counting.jsonl"), ROWS);
    assert_eq!(files(&env.path("out")).len(), 1);
}

#[test]
fn an_output_that_was_deleted_is_recreated_without_a_checkpoint() {
    let env = finished();
    fs::remove_dir_all(env.path("out")).unwrap();
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    assert!(output.stdout.contains("\"records\":0,") && output.stdout.contains("\"checkpoints\":0,"), "{output}");
    assert_eq!(env.read("out/counting.jsonl"), ROWS);
    assert_eq!(checkpoints(&env.path("store")), [1]);
}

#[test]
fn staged_output_of_a_killed_run_is_removed_and_never_published() {
    let env = finished();
    for (number, content) in [(1, "torn"), (2, "{\"k\":\"a\",\"n\":9}\n")] {
        env.write(&format!("out/.counting.jsonl.ckpt-{number:08}"), content);
    }
    env.write("out/.counting.jsonl.ckpt-mine", "mine");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/counting.jsonl"), ROWS);
    assert_eq!(env.read("out/.counting.jsonl.ckpt-mine"), "mine");
    assert_eq!(files(&env.path("out")).len(), 2);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_before_anything_is_read() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    env.write("out", "a file");
    let output = env.run(&["run", "job.yaml", "--quiet"]).expect(4);
    assert_eq!(
        output.stderr,
        "error: cannot write output `out/counting.jsonl`\n  caused by: Not a directory (os error 20)\n"
    );
    assert!(checkpoints(&env.path("store")).is_empty());
    assert_eq!(env.read("out"), "a file");
}
