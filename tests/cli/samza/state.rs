//! `ckpt samza inspect --state`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::env;
use crate::samza::totals;
use crate::support::{Env, Output};

const TOPIC: &str = "samza/totals/topic.jsonl";
const LOG: &str = "samza/totals/totals-log.jsonl";
const TEXT_AND_JSON: [&str; 4] = ["--key-serde", "string", "--value-serde", "json"];

fn inspect(env: &Env, words: &[&str]) -> Output {
    env.run(&[&["samza", "inspect", TOPIC, "--state", "--store", "totals"], words].concat())
}

#[test]
fn the_state_is_what_the_job_had_counted_up_to_its_checkpoint() {
    let env = env();
    let output = inspect(&env, &[&TEXT_AND_JSON[..], &["--changelog", LOG, "-n", "0", "--json"]].concat()).expect(0);
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let contents = document["contents"].as_array().expect("stores");
    assert_eq!(contents.len(), 2);
    for (partition, found) in (0..).zip(contents) {
        assert_eq!(found["task"], format!("Partition {partition}"));
        assert_eq!((&found["changelog"]["offset"], &found["cut"]), (&json!("149"), &json!(false)));
        let row = |row: &Value| (row["key"].as_str().expect("text").to_owned(), row["value"].clone());
        let rows: BTreeMap<String, Value> = found["rows"].as_array().expect("rows").iter().map(row).collect();
        // The job had applied 165 messages of each partition, and 150 at its last commit.
        assert_eq!(rows, totals(partition, 150));
        assert_ne!(rows, totals(partition, 165));
        assert_eq!(found["keys"], rows.len());
    }
}

#[test]
fn nothing_is_guessed_about_bytes() {
    let env = env();
    let raw = inspect(&env, &["--changelog", LOG, "-n", "1"]).expect(0);
    assert!(raw.stdout.contains("757365722d30  7b22636c69636b73223a38"), "{raw}");
    let wrong = inspect(&env, &["--changelog", LOG, "--key-serde", "string", "--value-serde", "long"]).expect(4);
    let message = "the value of key `user-0` in store `totals` of task `Partition 0` is not what the serde `long` writes: \
                   expected 8 bytes, found 25";
    assert!(wrong.stderr.contains(message), "{wrong}");
    assert!(wrong.stdout.is_empty());
    let unknown = inspect(&env, &["--changelog", LOG, "--key-serde", "avro"]).expect(2);
    assert!(unknown.stderr.contains("expected one of bytes, string, long, integer, json"), "{unknown}");
}

#[test]
fn a_dump_that_lacks_what_the_checkpoint_has_is_refused() {
    let env = env();
    let text = std::fs::read_to_string(env.path(LOG)).expect("readable");
    let lines: Vec<&str> = text.lines().collect();
    let of = |partition: u32| lines.iter().filter(move |line| line.contains(&format!("\"partition\":{partition},")));
    let short: Vec<&str> = of(0).copied().chain(of(1).take(120).copied()).collect();
    env.write("short.jsonl", short.join("\n"));
    let output = inspect(&env, &["--changelog", "short.jsonl"]).expect(4);
    let message = "the checkpoint of task `Partition 1` ends at offset 149 of its changelog `kafka.totals-log.1`, which \
                   ends at offset 119 in the dump";
    assert!(output.stderr.contains(message), "{output}");
    env.write("none.jsonl", "");
    let output = inspect(&env, &["--changelog", "none.jsonl"]).expect(4);
    assert!(output.stderr.contains("which has no messages in the dump"), "{output}");
    let twice = inspect(&env, &["--changelog", LOG, "--changelog", LOG]).expect(4);
    assert!(twice.stderr.contains("after offset 164") && twice.stderr.contains("only one dump"), "{twice}");
    env.write("torn.jsonl", &text[..text.len() - 20]);
    let torn = inspect(&env, &["--changelog", "torn.jsonl"]).expect(4);
    assert!(torn.stderr.contains("`torn.jsonl:330` is not a message that `kcat -J` printed"), "{torn}");
    inspect(&env, &["--changelog", "missing.jsonl"]).expect(10);
}

#[test]
fn a_key_whose_value_may_have_been_compacted_is_reported() {
    let env = env();
    let text = std::fs::read_to_string(env.path(LOG)).expect("readable");
    // What compaction leaves of partition 0, if it knows all messages: the last one of each key.
    let messages: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let is_last = |at: usize| {
        let same = |other: &Value| other["key"] == messages[at]["key"];
        messages[at]["partition"] != 0 || !messages[at + 1..].iter().any(same)
    };
    let left: Vec<String> = (0..messages.len()).filter(|at| is_last(*at)).map(|at| messages[at].to_string()).collect();
    env.write("compacted.jsonl", left.join("\n"));
    let words = [&TEXT_AND_JSON[..], &["--changelog", "compacted.jsonl"]].concat();
    let output = inspect(&env, &words).expect(3);
    assert!(output.stderr.contains("task `Partition 0`: 15 keys of store `totals` may be missing"), "{output}");
    assert!(!output.stderr.contains("`Partition 1`"), "{output}");
    let document: Value =
        serde_json::from_str(&inspect(&env, &[&words[..], &["--json"]].concat()).expect(3).stdout).unwrap();
    assert_eq!(document["contents"][0]["doubtful_keys"].as_array().map(Vec::len), Some(15));
    assert_eq!(document["contents"][1]["doubtful_keys"], json!([]));
}

#[test]
fn what_has_no_changelog_is_refused() {
    let env = env();
    let blobs =
        env.run(&["samza", "inspect", "samza/blobs/topic.jsonl", "--state", "--changelog", LOG, "--read-version", "2"]);
    assert!(blobs.expect(4).stderr.contains("is not in a changelog, but in the blob store"));
    let files = env.run(&["samza", "inspect", "samza/files", "--state", "--changelog", LOG]).expect(10);
    assert!(files.stderr.contains("no checkpoint names the changelog of a store"), "{files}");
    let other = env.run(&["samza", "inspect", TOPIC, "--state", "--store", "other", "--changelog", LOG]).expect(10);
    assert!(other.stderr.contains("no task has state in a store `other`"), "{other}");
    let unknown = env.run(&["samza", "inspect", TOPIC, "--state"]).expect(2);
    assert!(unknown.stderr.contains("name the brokers with `--brokers`"), "{unknown}");
    for words in [&["--store", "totals"][..], &["--read-version", "1"], &["--changelog", LOG]] {
        env.run(&[&["samza", "inspect", TOPIC][..], words].concat()).expect(2);
    }
}

#[test]
fn dumps_of_two_ids_of_a_job_are_not_mixed() {
    let env = env();
    let text = std::fs::read_to_string(env.path(TOPIC)).expect("readable");
    env.write("other.jsonl", text.replace("for_totals_1\"", "for_totals_2\""));
    for verb in ["inspect", "verify"] {
        let output = env.run(&["samza", verb, TOPIC, "other.jsonl"]).expect(2);
        let message = "the messages of the ids `1` and `2` of job `totals` cannot be told apart";
        assert!(output.stderr.contains(message), "{output}");
    }
    env.run(&["samza", "diff", TOPIC, "other.jsonl"]).expect(0);
}
