//! The commands on the store of a job whose tasks are the partitions of a topic.

use serde_json::Value;

use crate::support::Env;
use crate::support::store_builder::{StoreBuilder, values};

fn three_partitions(env: &Env) -> StoreBuilder {
    let mut builder = StoreBuilder::partitioned(&env.path("s"));
    builder.commit(&[("0:ann", Some(1)), ("1:bob", Some(2)), ("2:cyd", Some(3)), ("2:dan", Some(4))]);
    builder.commit(&[("1:bob", Some(5)), ("2:dan", None)]);
    builder
}

fn json(env: &Env, arguments: &[&str], status: i32) -> Value {
    let output = env.run(&[arguments, &["--json"]].concat()).expect(status);
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// The codes of the findings.
fn codes(env: &Env) -> Vec<String> {
    let output = env.run(&["verify", "s", "--deep", "--json"]);
    let view: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let findings = view["targets"][0]["findings"].as_array().expect("a list");
    let codes = findings.iter().map(|finding| finding["code"].as_str().expect("a code").to_owned());
    codes.filter(|code| code != "object-unused").collect()
}

#[test]
fn keys_are_shown_found_and_compared_in_the_task_of_their_partition() {
    let env = Env::new();
    three_partitions(&env);
    env.run(&["verify", "s", "--deep"]).expect(0);
    let view = json(&env, &["inspect", "s"], 0);
    assert_eq!((&view["routing"], &view["tasks"], &view["shards"]), (&"keyed_partition".into(), &3.into(), &3.into()));
    let text = env.run(&["inspect", "s"]).expect(0).stdout;
    assert!(text.contains("3 in 3 shards, one per partition with its keys"), "{text}");
    let rows = |arguments: &[&str], status| {
        let view = json(&env, &[&["inspect", "s", "--state"], arguments].concat(), status);
        let rows = view["rows"].as_array().expect("a list").clone();
        rows.iter().map(|row| format!("{} {}", row["task"], row["key"].as_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[], 0), ["0 0:ann", "1 1:bob", "2 2:cyd"]);
    assert_eq!(rows(&["--key", "1:bob"], 0), ["1 1:bob"]);
    assert_eq!(rows(&["--task", "2"], 0), ["2 2:cyd"]);
    let positions = json(&env, &["inspect", "s", "--positions"], 0);
    let tasks = positions["positions"].as_array().expect("a list").iter().map(|row| row["task"].clone());
    assert_eq!(tasks.collect::<Vec<_>>(), [0, 1, 2]);
    let diff = env.run(&["diff", "s@1", "s@2"]).expect(1).stdout;
    assert!(diff.contains("0 added, 1 removed, 1 changed") && diff.contains("2 of 3 changed"), "{diff}");
    env.run(&["restore", "s", "--to", "out", "--format", "jsonl"]).expect(0);
}

#[test]
fn rows_and_positions_of_another_partition_are_found() {
    let env = Env::new();
    let mut builder = three_partitions(&env);
    let mut draft = builder.draft(&[]);
    draft.positions[0].task = Some(1);
    builder.commit_draft(draft);
    assert_eq!(codes(&env), ["positions-wrong"]);
    let env = Env::new();
    let mut builder = three_partitions(&env);
    builder.write_segment(0, &[((1, "1:eve".to_owned()), Some(values("1:eve", 1)))].into());
    let mut draft = builder.draft(&[]);
    draft.manifest.totals.keys += 1;
    builder.commit_draft(draft);
    assert_eq!(codes(&env), ["row-misrouted"]);
}
