//! `ckpt samza inspect`.

use serde::Deserialize;
use serde_json::Value;

use super::env;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    tasks: Vec<Task>,
    stores: Vec<Value>,
    snapshots: Vec<Value>,
    unreadable: Vec<Value>,
    refused: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    job: Option<String>,
    task: String,
    v1: Option<Checkpoint>,
    v2: Option<Checkpoint>,
    differ: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    path: String,
    written: Option<String>,
    age_seconds: Option<i64>,
    checkpoint: Option<String>,
    inputs: Vec<Offset>,
    state: Vec<State>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offset {
    system: String,
    stream: String,
    partition: u32,
    offset: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    store: Option<String>,
    backend: Option<String>,
    changelog: Option<Offset>,
    snapshot_index: Option<String>,
    marker: Option<String>,
}

fn view(arguments: &[&str]) -> View {
    let arguments = [&["samza", "inspect", "--json"], arguments].concat();
    serde_json::from_str(&env().run(&arguments).expect(0).stdout).expect("a view")
}

#[test]
fn both_versions_of_a_topic_are_shown_side_by_side() {
    let view = view(&["samza/topic/topic.jsonl"]);
    assert_eq!((view.version, view.tasks.len()), (1, 2));
    for (number, task) in view.tasks.iter().enumerate() {
        assert_eq!((task.job.as_deref(), task.task.as_str()), (Some("topic"), format!("Partition {number}").as_str()));
        let (v1, v2) = (task.v1.as_ref().expect("V1"), task.v2.as_ref().expect("V2"));
        assert!(!task.differ && v1.inputs == v2.inputs && v1.checkpoint == v2.checkpoint, "{task:?}");
        assert_eq!((v1.inputs[0].stream.as_str(), v1.inputs[0].offset.as_deref()), ("page-views", Some("99")));
        assert!(v1.state[0].store.is_none() && v2.state[0].store.as_deref() == Some("counts"));
        assert_eq!(v1.state[0].changelog, v2.state[0].changelog);
    }
}

#[test]
fn a_dump_of_the_console_consumer_says_the_same_as_one_of_kcat() {
    let [kcat, console] = ["samza/topic/topic.jsonl", "samza/topic/topic.txt"].map(|path| view(&[path]));
    assert_eq!(kcat.tasks.len(), console.tasks.len());
    for (one, other) in kcat.tasks.iter().zip(&console.tasks) {
        assert_eq!(one.task, other.task);
        let contents = |found: &Option<Checkpoint>| {
            let found = found.as_ref().expect("both versions");
            (found.checkpoint.clone(), format!("{:?} {:?}", found.inputs, found.state))
        };
        assert_eq!(contents(&one.v1), contents(&other.v1));
        assert_eq!(contents(&one.v2), contents(&other.v2));
    }
}

#[test]
fn where_the_versions_disagree_it_says_so() {
    let env = env();
    let text = env.read("samza/topic/topic.jsonl");
    env.write("old.jsonl", text.replace(r#"kafka.page-views.0\":\"99"#, r#"kafka.page-views.0\":\"98"#));
    let output = env.run(&["samza", "inspect", "old.jsonl"]).expect(0);
    assert!(output.stdout.contains("V1 and V2, differ") && output.stdout.contains("differs"), "{output}");
}

#[test]
fn checkpoint_files_have_the_job_and_the_task_in_their_names() {
    let output = env().run(&["samza", "inspect", "samza/by-stream"]).expect(0);
    let row = "SystemStreamPartition [kafka, users, 1]       kafka   users               1  99";
    assert!(output.stdout.lines().any(|line| line == row), "{output}");
    let view = view(&["samza/by-stream", "--task", "SystemStreamPartition [kafka, users, 1]"]);
    assert_eq!((view.tasks.len(), view.tasks[0].job.as_deref()), (1, Some("by-stream")));
    let output = env().run(&["samza", "inspect", "samza/by-stream", "--task", "x"]).expect(10);
    assert!(output.stderr.contains("there is no task `x`"), "{output}");
}

#[test]
fn a_stream_with_dots_is_read_as_it_was_meant() {
    let view = view(&["samza/dotted/topic.jsonl"]);
    let v2 = view.tasks[0].v2.as_ref().expect("V2");
    let streams: Vec<&str> = v2.inputs.iter().map(|input| input.stream.as_str()).collect();
    assert_eq!(streams, ["site.page.views", "v1.2"]);
}

#[test]
fn properties_are_in_the_form_of_the_checkpoint_tool() {
    let env = env();
    let output = env.run(&["samza", "inspect", "samza/files", "--properties"]).expect(0);
    let line =
        |task: u32| format!("tasknames.Partition\\ {task}.systems.kafka.streams.page-views.partitions.{task}=99\n");
    assert_eq!(output.stdout, line(0) + &line(1));
    let arguments = ["samza", "inspect", "samza/topic/topic.jsonl", "--properties"];
    let output = env.run(&arguments).expect(0);
    assert!(output.stdout.contains("streams.counts-changelog.partitions.0=1795"), "{output}");
    let output = env.run(&[&arguments[..], &["--read-version", "2"]].concat()).expect(0);
    assert_eq!(output.stdout, line(0) + &line(1));
    env.run(&[&arguments[..], &["--json"]].concat()).expect(2);
}

#[test]
fn what_cannot_be_read_is_a_warning_and_the_rest_is_shown() {
    let output = env().run(&["samza", "inspect", "samza/killed", "samza/files"]).expect(3);
    assert!(output.stderr.contains("is not a V1 checkpoint: an empty file"), "{output}");
    assert!(output.stdout.starts_with("2 tasks\n"), "{output}");
}

#[test]
fn local_stores_and_snapshots_are_listed() {
    let view = view(&["samza/blobs", "samza/topic/stores"]);
    assert_eq!((view.stores.len(), view.snapshots.len()), (8, 2));
    let output = env().run(&["samza", "inspect", "samza/blobs", "samza/topic/stores"]).expect(0);
    assert!(output.stdout.contains("8 local stores"), "{output}");
}
