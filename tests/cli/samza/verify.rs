//! `ckpt samza verify`.

use std::fs;

use serde::Deserialize;

use super::env;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    intact: bool,
    checkpoints: u64,
    stores: u64,
    snapshots: u64,
    blobs: u64,
    unchecked_snapshots: u64,
    read_bytes: u64,
    findings: Vec<Finding>,
    refused: Vec<Refused>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Finding {
    code: String,
    severity: String,
    path: String,
    task: Option<String>,
    expected: String,
    found: String,
    next_step: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Refused {
    path: String,
    error: String,
}

#[test]
fn intact_checkpoints_are_a_line() {
    let output = env().run(&["samza", "verify", "samza/files"]).expect(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("intact: 2 checkpoints, 238 B read\n", ""));
}

#[test]
fn a_torn_file_is_damage_with_its_place_and_task() {
    let env = env();
    let output = env.run(&["samza", "verify", "samza/killed"]).expect(1);
    let start = "damage: samza-checkpoint-damaged: `samza/killed/killed-Partition 0-checkpoints`\n  expected a V1 \
                 checkpoint\n  found an empty file\n  affects task `Partition 0`\n  next: ";
    assert!(output.stdout.starts_with(start), "{output}");
    assert!(output.stdout.ends_with("NOT intact: 0 B read\n"), "{output}");
    let view: View = serde_json::from_str(&env.run(&["samza", "verify", "samza/killed", "--json"]).expect(1).stdout)
        .expect("a view");
    assert_eq!((view.version, view.intact, view.findings.len()), (1, false, 1));
    assert_eq!(view.findings[0].task.as_deref(), Some("Partition 0"));
}

#[test]
fn snapshots_of_a_blob_store_that_was_not_given_are_not_called_intact() {
    let env = env();
    let output = env.run(&["samza", "verify", "samza/blobs/topic.jsonl"]).expect(0);
    assert!(output.stderr.contains("2 snapshots in a blob store not checked"), "{output}");
    let output = env.run(&["samza", "verify", "samza/blobs/topic.jsonl", "samza/blobs/blobs"]).expect(0);
    assert_eq!(output.stderr, "");
}

#[test]
fn blobs_with_other_ids_are_found_by_a_map() {
    let env = env();
    let directory = env.path("samza/blobs/blobs/blobs/1/Partition_0/counts");
    let mut map = serde_json::Map::new();
    fs::create_dir(env.path("moved")).expect("created");
    for (number, entry) in fs::read_dir(directory).expect("listed").enumerate() {
        let path = entry.expect("listed").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let to = if name.starts_with("snapshot-index") { name.clone() } else { number.to_string() };
        fs::copy(&path, env.path(&format!("moved/{to}"))).expect("copied");
        map.insert(format!("blobs/1/Partition_0/counts/{name}"), to.into());
    }
    env.run(&["samza", "verify", "moved"]).expect(1);
    env.write("moved/map.json", serde_json::to_string(&map).expect("JSON"));
    env.run(&["samza", "verify", "moved", "--blobs", "moved/map.json"]).expect(0);
    env.run(&["samza", "verify", "moved", "--quick", "--blobs", "moved/map.json"]).expect(0);
    env.write("moved/map.json", "[]");
    env.run(&["samza", "verify", "moved", "--blobs", "moved/map.json"]).expect(2);
}
