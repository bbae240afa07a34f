//! `ckpt samza diff`.

use serde::Deserialize;

use super::env;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct View {
    version: u32,
    equal: bool,
    differences: Vec<Difference>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    task: String,
    kind: String,
    name: String,
    a: Option<String>,
    b: Option<String>,
}

#[test]
fn equal_checkpoints_are_equal_and_the_way_they_are_kept_does_not_count() {
    let env = env();
    let output = env.run(&["samza", "diff", "samza/topic/topic.jsonl", "samza/topic/topic.txt"]).expect(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("equal\n", ""));
    env.run(&["samza", "diff", "samza/blobs/blobs", "samza/blobs/blobs"]).expect(0);
}

#[test]
fn an_offset_that_moved_is_shown_with_its_distance() {
    let env = env();
    env.shell("cp -r samza/files new && sed -i 's/\"99\"/\"142\"/' 'new/files-Partition 1-checkpoints'").expect(0);
    let output = env.run(&["samza", "diff", "samza/files", "new"]).expect(1);
    let expected = "TASK         WHAT                      A   B    CHANGE\n\
                    Partition 1  input kafka.page-views.1  99  142     +43\n1 difference\n";
    assert_eq!(output.stdout, expected);
    let view: View =
        serde_json::from_str(&env.run(&["samza", "diff", "samza/files", "new", "--json"]).expect(1).stdout)
            .expect("a view");
    assert_eq!((view.version, view.equal, view.differences.len()), (1, false, 1));
    assert_eq!(
        view.differences[0],
        Difference {
            task: "Partition 1".to_owned(),
            kind: "input".to_owned(),
            name: "kafka.page-views.1".to_owned(),
            a: Some("99".to_owned()),
            b: Some("142".to_owned()),
        }
    );
}

#[test]
fn state_markers_and_tasks_of_one_side_count() {
    let env = env();
    let arguments = ["samza", "diff", "samza/files", "samza/topic/topic.jsonl", "--json"];
    let view: View = serde_json::from_str(&env.run(&arguments).expect(1).stdout).expect("a view");
    let kinds: Vec<&str> = view.differences.iter().map(|difference| difference.kind.as_str()).collect();
    assert_eq!(kinds, ["state", "state"]);
    env.shell("cp -r samza/files new && rm 'new/files-Partition 1-checkpoints'").expect(0);
    let output = env.run(&["samza", "diff", "samza/files", "new"]).expect(1);
    assert!(output.stdout.contains("Partition 1  checkpoint "), "{output}");
}

#[test]
fn what_cannot_be_read_cannot_be_equal() {
    let env = env();
    let output = env.run(&["samza", "diff", "samza/killed", "samza/killed"]).expect(12);
    assert!(output.stderr.contains("cannot compare `samza/killed`"), "{output}");
}

#[test]
fn offsets_for_the_checkpoint_tool_are_compared_with_the_tasks_that_they_name() {
    let env = env();
    let properties = env.run(&["samza", "inspect", "samza/topic/topic.jsonl", "--properties"]).expect(0).stdout;
    env.write("same.properties", &properties);
    let output = env.run(&["samza", "diff", "samza/topic/topic.jsonl", "same.properties"]).expect(0);
    assert_eq!(output.stdout, "equal\n");
    // All offsets of a task are replaced, and those of other tasks are not.
    let line = "tasknames.Partition\\ 1.systems.kafka.streams.page-views.partitions.1=49\n";
    env.write("new.properties", format!("# from the start of the day\n{line}"));
    let output = env.run(&["samza", "diff", "samza/topic/topic.jsonl", "new.properties"]).expect(1);
    let expected = "TASK         WHAT                            A   B   CHANGE\n\
                    Partition 1  input kafka.page-views.1        99  49     -50\n\
                    Partition 1  state kafka.counts-changelog.1  39  -\n2 differences\n";
    assert_eq!(output.stdout, expected);
    let output = env.run(&["samza", "diff", "new.properties", "samza/files"]).expect(1);
    assert!(output.stdout.contains("+50") && output.stdout.ends_with("1 difference\n"), "{output}");
    env.write("wrong.properties", format!("{line}job.name=views\n"));
    let output = env.run(&["samza", "diff", "samza/files", "wrong.properties"]).expect(12);
    assert!(output.stderr.contains("the key `job.name` is not that of an offset at byte"), "{output}");
}
