//! `emit: changes`: one file per checkpoint, published by its commit and never otherwise.

use std::fs;

use super::published::{changes, names, net};
use super::{checkpoints, counting, files};
use crate::support::Env;

const CHANGES: &str = "checkpoint: {store: store}\n";

/// A job that has run twice: the second time with three more records.
fn twice(format: &str) -> Env {
    let env = Env::new();
    counting(&env, CHANGES);
    let job = env
        .read("job.yaml")
        .replace("output: out/", &format!("output: {{files: out, emit: changes, format: {format}}}"));
    env.write("job.yaml", job);
    let mut data = String::new();
    for keys in [["b", "a", "b"], ["c", "b", "c"]] {
        data += &keys.map(|key| format!("{{\"k\":\"{key}\"}}\n")).concat();
        env.write("data.jsonl", &data);
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env
}

#[test]
fn each_checkpoint_publishes_the_rows_that_changed_since_the_previous_one() {
    let env = twice("json");
    assert_eq!(names(&env), ["counting-00000001.jsonl", "counting-00000002.jsonl"]);
    let first = ["{\"op\":\"insert\",\"k\":\"a\",\"n\":1}", "{\"op\":\"insert\",\"k\":\"b\",\"n\":2}"];
    let second = ["{\"op\":\"update\",\"k\":\"b\",\"n\":3}", "{\"op\":\"insert\",\"k\":\"c\",\"n\":2}"];
    assert_eq!(changes(&env), [first, second]);
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!((checkpoints(&env.path("store")).len(), names(&env).len()), (2, 2), "nothing is new: {output}");
    let output = env.run(&["inspect", "store"]).expect(0);
    assert!(output.stdout.contains("out/counting-00000002.jsonl"), "{output}");
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn csv_and_parquet_have_the_same_rows() {
    let env = twice("csv");
    assert_eq!(env.read("out/counting-00000002.csv"), "op,k,n\nupdate,b,3\ninsert,c,2\n");
    let env = twice("parquet");
    assert_eq!(names(&env), ["counting-00000001.parquet", "counting-00000002.parquet"]);
    assert_eq!(&fs::read(env.path("out/counting-00000002.parquet")).unwrap()[..4], b"PAR1");
}

#[test]
fn a_publication_that_was_cut_short_is_finished_and_what_was_never_committed_is_not_seen() {
    let env = twice("json");
    let published = changes(&env);
    fs::rename(env.path("out/counting-00000002.jsonl"), env.path("out/.counting-00000002.jsonl.ckpt-00000002"))
        .unwrap();
    env.write("out/.counting-00000003.jsonl.ckpt-00000003", "torn");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(changes(&env), published);
    assert_eq!(files(&env.path("out")).len(), 2);
}

#[test]
fn a_staged_file_that_was_altered_is_an_error_until_its_bytes_are_back() {
    let env = twice("json");
    let (path, staged) = ("out/counting-00000002.jsonl", "out/.counting-00000002.jsonl.ckpt-00000002");
    let published = env.read(path);
    fs::remove_file(env.path(path)).unwrap();
    env.write(staged, "torn");
    for _ in 0..2 {
        let output = env.run(&["run", "job.yaml"]).expect(4);
        assert!(output.stderr.contains(&format!("error: cannot publish `{path}`: `{staged}` was altered")), "{output}");
        assert_eq!(env.read(staged), "torn");
    }
    env.write(staged, &published);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read(path), published);
    assert_eq!(files(&env.path("out")).len(), 2);
    // Or the job goes back to where it was before.
    fs::remove_file(env.path(path)).unwrap();
    env.write(staged, "torn");
    env.run(&["restore", "store@1"]).expect(0);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/counting-00000004.jsonl"), published);
}

#[test]
fn a_publication_is_finished_where_it_was_begun_when_the_output_has_moved() {
    let env = twice("json");
    fs::rename(env.path("out/counting-00000002.jsonl"), env.path("out/.counting-00000002.jsonl.ckpt-00000002"))
        .unwrap();
    env.write("job.yaml", env.read("job.yaml").replace("files: out,", "files: elsewhere,").replace("json}", "csv}"));
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(names(&env).len(), 2);
    assert!(files(&env.path("elsewhere")).is_empty());
}

#[test]
fn a_store_that_is_gone_is_an_error_while_its_files_of_changes_exist() {
    let env = twice("json");
    fs::remove_dir_all(env.path("store")).unwrap();
    let output = env.run(&["run", "job.yaml"]).expect(10);
    assert!(output.stderr.contains("the published output `out/counting-00000001.jsonl` exists"), "{output}");
}

#[test]
fn after_a_rollback_the_files_of_the_abandoned_checkpoints_are_withdrawn() {
    let env = twice("json");
    env.run(&["restore", "store@1"]).expect(0);
    assert_eq!(names(&env).len(), 2, "`restore` does not know where they are");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("moved to `out/counting-00000002.jsonl.withdrawn-00000002`"), "{output}");
    assert_eq!(names(&env), ["counting-00000001.jsonl", "counting-00000004.jsonl"]);
    let expected = net(&[changes(&env)[0].clone(), changes(&env)[1].clone()]);
    assert_eq!(expected.len(), 3);
    // Back to the checkpoint that was rolled back first: its file is part of the history again, that of checkpoint 4 is
    // not.
    env.run(&["restore", "store@2"]).expect(0);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(names(&env), ["counting-00000001.jsonl", "counting-00000002.jsonl"]);
    assert_eq!(net(&changes(&env)), expected);
}

#[test]
fn a_rollback_before_the_publication_was_finished_publishes_nothing_of_it() {
    let env = twice("json");
    let first = changes(&env)[0].clone();
    fs::rename(env.path("out/counting-00000002.jsonl"), env.path("out/.counting-00000002.jsonl.ckpt-00000002"))
        .unwrap();
    env.run(&["restore", "store@1"]).expect(0);
    env.write("data.jsonl", env.read("data.jsonl").lines().take(3).map(|line| format!("{line}\n")).collect::<String>());
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(changes(&env), [first]);
    // It is kept, in case the job is rolled forward.
    assert!(env.path("out/counting-00000002.jsonl.withdrawn-00000002").exists());
    assert_eq!(files(&env.path("out")).len(), 2);
}

#[test]
fn skipping_a_damaged_checkpoint_withdraws_its_file() {
    let env = twice("json");
    let sums = |number: u64| env.read(&format!("store/checkpoints/{number:08}/SHA256SUMS"));
    let (old, new) = (sums(1), sums(2));
    let own = new.lines().find(|line| line.contains("objects") && !old.contains(*line)).expect("an object of its own");
    fs::remove_file(env.path("store").join(own.split_once("../../").expect("a path").1)).unwrap();
    let output = env.run(&["run", "job.yaml", "--latest-good"]).expect(0);
    assert!(output.stderr.contains("moved to `out/counting-00000002.jsonl.withdrawn-00000002`"), "{output}");
    assert_eq!(names(&env), ["counting-00000001.jsonl", "counting-00000003.jsonl"]);
    assert_eq!(net(&changes(&env)).len(), 3);
}
