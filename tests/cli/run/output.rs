//! The output is published once the checkpoint that names it is committed, even after a crash in between.

use std::collections::BTreeMap;
use std::fmt::Write as _;
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

/// A key that begins as the others do: some agree in many more bytes, and some are the beginning of others.
fn similar_key(number: usize) -> String {
    match number % 4 {
        0 => format!("user-{number:08}"),
        1 => format!("user-{number}"),
        2 => format!("user-{}", "x".repeat(number / 4 % 40)),
        _ => format!("user-0000000{number}/é"),
    }
}

#[test]
fn the_output_is_sorted_by_key_and_the_same_with_any_number_of_threads() {
    let env = Env::new();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let mut data = String::new();
    for key in (0..50_000).map(similar_key) {
        writeln!(data, "{{\"k\":\"{key}\"}}").unwrap();
        *expected.entry(key).or_default() += 1;
    }
    env.write("data.jsonl", data);
    let json: String = expected.iter().map(|(key, n)| format!("{{\"k\":\"{key}\",\"n\":{n}}}\n")).collect();
    let odd: Vec<&String> = expected.iter().filter(|(_, n)| **n == 1).map(|(key, _)| key).collect();
    let odd: String = std::iter::once("k,n\n".to_owned()).chain(odd.iter().map(|key| format!("{key},1\n"))).collect();
    for (format, having, expected) in
        [("json", "", Some(json)), ("csv", ", having: n == 1", Some(odd)), ("parquet", "", None)]
    {
        let mut outputs: Vec<Vec<u8>> = expected.into_iter().map(String::into_bytes).collect();
        for threads in ["1", "2", "4"] {
            let job = format!(
                "job: j\ninput: {{files: data.jsonl}}\nkey: k\nprocess: {{aggregate: {{n: count}}}}\n\
                 checkpoint: {{store: {format}-{threads}}}\noutput: {{files: out, format: {format}{having}}}\n"
            );
            env.write("job.yaml", job);
            env.run(&["run", "job.yaml", "--threads", threads]).expect(0);
            outputs.push(fs::read(env.path(&format!("out/j.{}", format.replace("json", "jsonl")))).unwrap());
            fs::remove_dir_all(env.path("out")).unwrap();
        }
        assert!(outputs.windows(2).all(|two| two[0] == two[1]), "{format}");
    }
}
