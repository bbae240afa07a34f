//! `ckpt workers`, on stores that no broker is needed for. `tests/kafka/workers.rs` has those of real workers.

use ckpt::format::positions::{MessagePosition, WorkerCommit};
use serde::Deserialize;

use crate::support::Env;
use crate::support::store_builder::{Draft, StoreBuilder, with_three_checkpoints};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    store: String,
    job: String,
    diverged: Vec<serde_json::Value>,
    sequence: u64,
    created: String,
    age_seconds: i64,
    workers: Vec<Worker>,
    tasks: Vec<Task>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Worker {
    worker: String,
    owns: Vec<u32>,
    newest_age_seconds: Option<i64>,
    oldest_age_seconds: Option<i64>,
    lag: Option<u64>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    task: u32,
    partition: Option<String>,
    worker: Option<String>,
    committed: Option<String>,
    age_seconds: Option<i64>,
    topic_offset: Option<u64>,
    records: u64,
    lag: Option<u64>,
}

/// Makes the position of `partition` one that `worker` has committed at `time`.
fn commit_of(draft: &mut Draft, partition: &str, worker: &str, time: &str) {
    let row = draft.positions.iter_mut().find(|row| row.partition == partition).expect("it was read");
    let time = time.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    row.committed = Some(WorkerCommit { worker: worker.to_owned(), time });
    row.message = Some(MessagePosition {
        topic_id: None,
        offset: row.record,
        leader_epoch: None,
        proof_offset: None,
        batch_end: None,
    });
}

/// Makes the store `s` of a job of the workers `a` and `b`, whose third partition nobody has read.
fn env() -> Env {
    let mut env = Env::new();
    env.at("2026-11-22T14:20:30Z");
    let mut builder = StoreBuilder::partitioned(&env.path("s"));
    builder.commit(&[("0:ann", Some(1))]);
    let mut draft = builder.draft(&[("0:ann", Some(2)), ("1:bob", Some(1))]);
    draft.manifest.worker = Some("b".to_owned());
    commit_of(&mut draft, "clicks/0", "a", "2026-11-22T14:12:00Z");
    commit_of(&mut draft, "clicks/1", "b", "2026-11-22T14:20:00Z");
    builder.commit_draft(draft);
    env
}

#[test]
fn the_tasks_are_shown_by_the_worker_that_committed_them_last() {
    let env = env();
    let output = env.run(&["workers", "s"]).expect(0);
    assert_eq!(
        output.stdout,
        "checkpoint 2 of job clicks, 30s ago\n\
         WORKER  TASKS  LAST COMMIT  OLDEST TASK  PARTITIONS\n\
         a           1       8m ago       8m ago  0\n\
         b           1      30s ago      30s ago  1\n\
         -           1            -            -  2\n"
    );
    assert_eq!(output.stderr, "");
    let output = env.run(&["workers", "s", "--tasks"]).expect(0);
    assert_eq!(
        output.stdout,
        "checkpoint 2 of job clicks, 30s ago\n\
         TASK  PARTITION  WORKER  LAST COMMIT  TOPIC OFFSET  RECORDS\n\
         \u{20}  0  clicks/0   a            8m ago             2        2\n\
         \u{20}  1  clicks/1   b           30s ago             1        1\n\
         \u{20}  2  -          -                 -             -        0\n"
    );
}

#[test]
fn programs_get_the_same_as_json() {
    let view: View =
        serde_json::from_str(&env().run(&["workers", "s", "--json"]).expect(0).stdout).expect("the fields");
    assert_eq!((view.sequence, view.age_seconds, view.job.as_str()), (2, 30, "clicks"));
    let worker = |worker: &str, owns: u32, age: i64| Worker {
        worker: worker.to_owned(),
        owns: vec![owns],
        newest_age_seconds: Some(age),
        oldest_age_seconds: Some(age),
        lag: None,
    };
    assert_eq!(view.workers, [worker("a", 0, 510), worker("b", 1, 30)]);
    let third = Task {
        task: 2,
        partition: None,
        worker: None,
        committed: None,
        age_seconds: None,
        topic_offset: None,
        records: 0,
        lag: None,
    };
    assert_eq!(view.tasks.len(), 3);
    assert_eq!(view.tasks[2], third);
    assert_eq!(view.tasks[1].committed.as_deref(), Some("2026-11-22T14:20:00Z"));
}

#[test]
fn other_commands_name_the_worker_too() {
    let env = env();
    let list = env.run(&["list", "s"]).expect(0).stdout;
    assert!(list.contains("WORKER") && list.lines().any(|line| line.ends_with(" b")), "{list}");
    let inspect = env.run(&["inspect", "s"]).expect(0).stdout;
    assert!(inspect.contains("\nworker     b\n"), "{inspect}");
    let positions = env.run(&["inspect", "s", "--positions"]).expect(0).stdout;
    assert!(positions.contains("WORKER") && positions.contains(" a\n"), "{positions}");
    for arguments in
        [&["list", "s", "--json"][..], &["inspect", "s", "--json"], &["inspect", "s", "--positions", "--json"]]
    {
        let view = env.run(arguments).expect(0).stdout;
        assert!(view.contains("\"worker\":\"b\""), "{view}");
    }
    // A restore has no worker, but the tasks stay as they were committed.
    env.run(&["restore", "s@1"]).expect(0);
    env.run(&["restore", "s@2"]).expect(0);
    assert!(!env.run(&["inspect", "s"]).expect(0).stdout.contains("worker"));
    assert!(env.run(&["workers", "s"]).expect(0).stdout.contains("\nb           1      30s ago"));
    env.run(&["verify", "s", "--deep"]).expect(0);
}

#[test]
fn if_nobody_can_say_how_far_behind_the_tasks_are_the_rest_is_shown() {
    // No broker listens where the job has them, or this build cannot ask.
    let output = env().run(&["workers", "s", "--lag"]).expect(3);
    assert!(output.stdout.contains("LAG") && output.stdout.contains("\nb           1      30s ago"), "{output}");
    assert!(output.stderr.starts_with("warning: the lag is unknown: "), "{output}");
}

#[test]
fn a_job_without_workers_says_so() {
    let output = with_three_checkpoints().run(&["workers", "s"]).expect(1);
    assert_eq!(output.stdout, "checkpoint 3 of job clicks, 30m ago\n");
    assert!(output.stderr.starts_with("the job has no workers: its tasks are not the partitions"), "{output}");
    let output = env().run(&["workers", "s@1"]).expect(1);
    assert!(output.stderr.starts_with("no worker has committed anything"), "{output}");
    let mut env = Env::new();
    env.at("2026-11-22T15:00:00Z");
    StoreBuilder::partitioned(&env.path("s"));
    env.run(&["workers", "s"]).expect(10);
}
