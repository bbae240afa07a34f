//! `ckpt samza inspect --state --rocksdb`. `tests/samza_directories.rs` has the rows themselves.

use super::env;
#[cfg(feature = "rocksdb")]
use serde_json::{Value, json};

const STORES: &str = "samza/rocks/stores";
const WORDS: [&str; 7] = ["--state", "--rocksdb", "--key-serde", "string", "--value-serde", "json", "--json"];

#[test]
#[cfg(not(feature = "rocksdb"))]
fn without_the_feature_a_directory_is_refused_with_the_command_that_builds_it() {
    println!("left out: the tests of RocksDB directories need `--features rocksdb`, see CONTRIBUTING.md");
    let refused = env().run(&[&["samza", "inspect", STORES][..], &WORDS].concat()).expect(2);
    assert!(refused.stderr.contains("cargo build --release --features rocksdb"), "{refused}");
    assert!(refused.stdout.is_empty());
}

#[test]
fn the_option_needs_state_and_a_directory_with_rows() {
    let env = env();
    let refused = env.run(&["samza", "inspect", STORES, "--rocksdb"]).expect(2);
    assert!(refused.stderr.contains("need `--state`"), "{refused}");
    env.run(&["samza", "inspect", STORES, "--state", "--rocksdb", "--changelog", "x"]).expect(2);
    let none = env.run(&["samza", "inspect", "samza/topic/stores", "--state", "--rocksdb"]).expect(10);
    assert!(none.stderr.contains("found no RocksDB directory"), "{none}");
    let other = ["samza", "inspect", STORES, "--state", "--rocksdb", "--store", "other"];
    let other = env.run(&other).expect(10);
    assert!(other.stderr.contains("found no RocksDB directory of a store `other`"), "{other}");
}

#[test]
fn a_store_without_positions_is_listed() {
    let env = env();
    let output = env.run(&["samza", "inspect", "samza/written/stores/logged"]).expect(0);
    assert!(output.stdout.contains("1 local store"), "{output}");
    env.run(&["samza", "verify", "samza/written/stores/logged"]).expect(0);
}

#[test]
#[cfg(feature = "rocksdb")]
fn each_directory_is_shown_with_the_checkpoint_that_it_names() {
    let env = env();
    let more = ["--store", "totals", "--task", "Partition 0", "-n", "1"];
    let output = env.run(&[&["samza", "inspect", STORES][..], &WORDS, &more].concat()).expect(0);
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let directories = document["directories"].as_array().expect("directories");
    assert_eq!(directories.len(), 2, "{document}");
    let (in_use, snapshot) = (&directories[0], &directories[1]);
    assert_eq!((&in_use["snapshot"], &in_use["checkpoint"]), (&Value::Null, &snapshot["snapshot"]));
    assert_eq!((&snapshot["checkpoint"], &snapshot["cut"]), (&snapshot["snapshot"], &json!(true)));
    assert_eq!(snapshot["rows"], json!([{"key": "user-0", "value": {"clicks": 19, "spent": 7900}}]));
    assert_ne!(in_use["rows"], snapshot["rows"]);
    assert_eq!(snapshot["unused_tables"], json!([]));

    let place = snapshot["path"].as_str().expect("a path");
    let words = ["samza", "inspect", place, "--state", "--rocksdb", "--key-serde", "string", "-n", "1"];
    let table = env.run(&words).expect(0);
    assert!(table.stdout.contains("snapshot  user-0") && table.stderr.contains("there are more rows"), "{table}");
    let extra = format!("{place}/000099.sst");
    std::fs::write(env.path(&extra), b"").expect("written");
    let left_over = env.run(&words).expect(3);
    assert!(left_over.stderr.contains("the manifest does not name all tables, such as `000099.sst`"), "{left_over}");
    let manifest = format!("{place}/MANIFEST-000009");
    let bytes = std::fs::read(env.path(&manifest)).expect("readable");
    std::fs::write(env.path(&manifest), &bytes[..bytes.len() - 1]).expect("written");
    let torn = env.run(&words).expect(4);
    assert!(torn.stderr.contains("is damaged: it ends in the middle of a record") && torn.stdout.is_empty(), "{torn}");
}
