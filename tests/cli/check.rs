//! `ckpt check`: what a run would do, without doing it.

use std::fs;

use serde::Deserialize;

use crate::support::{Env, Output, tree};

const JOB: &str = "job: j\ninput: {files: data-*.jsonl, types: {v: number}}\nkey: k\ntasks: 8\nprocess: {aggregate: {n: count, m: max(v)}}\ncheckpoint: {store: store}\noutput: out\n";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct View {
    version: u32,
    job: String,
    would_run: bool,
    store: Option<String>,
    holder: Option<String>,
    workers_running: bool,
    checkpoint: Option<u64>,
    created: Option<String>,
    problems: Vec<String>,
    changes: Vec<Change>,
    first_records: u64,
    absent_fields: Vec<Absent>,
    inputs: Vec<Input>,
    files_to_read: u64,
    bytes_to_read: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Absent {
    field: String,
    key: String,
    near: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    change: String,
    effect: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    partition: String,
    state: String,
    offset: u64,
    unread_bytes: Option<u64>,
}

/// A job that has read two files to the end.
fn finished() -> Env {
    let mut env = Env::new();
    env.at("2026-11-22T14:00:00Z");
    env.write("job.yaml", JOB);
    env.write("data-1.jsonl", "{\"k\":\"a\",\"v\":1}\n");
    env.write("data-2.jsonl", "{\"k\":\"b\",\"v\":2}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    env
}

/// Runs the check, and makes sure that nothing was written.
#[track_caller]
fn check(env: &Env, status: i32) -> Output {
    let before = tree(env.dir());
    let output = env.run(&["check", "job.yaml"]).expect(status);
    assert!(tree(env.dir()) == before, "a check writes nothing");
    output
}

#[track_caller]
fn view(env: &Env, status: i32) -> View {
    serde_json::from_str(&env.run(&["check", "job.yaml", "--json"]).expect(status).stdout).expect("JSON")
}

#[test]
fn before_the_first_run_it_says_what_there_is_to_read() {
    let env = Env::new();
    env.write("job.yaml", JOB);
    env.write("data-1.jsonl", "{\"k\":\"a\"}\n");
    assert_eq!(
        check(&env, 0).stdout,
        "j: would start from scratch and read 1 file (10 B)\n  \
         store    store, no checkpoint yet\n\n\
         PARTITION     STATE  POSITION  UNREAD\n\
         data-1.jsonl  new           0    10 B\n"
    );
    let view = view(&env, 0);
    assert_eq!((view.version, view.job.as_str(), view.would_run, view.store.as_deref()), (1, "j", true, Some("store")));
    assert!(view.holder.is_none() && view.checkpoint.is_none() && view.created.is_none());
    fs::remove_file(env.path("data-1.jsonl")).unwrap();
    let output = check(&env, 1).stdout;
    assert!(
        output.starts_with("j: would not start\n") && output.contains("`data-*.jsonl` matches no file"),
        "{output}"
    );
}

#[test]
fn it_reports_what_would_happen_for_each_file_and_each_change() {
    let env = finished();
    assert!(check(&env, 0).stdout.starts_with("j: would resume from checkpoint 1; there is no new input\n"));
    fs::write(env.path("data-2.jsonl"), "{\"k\":\"b\",\"v\":2}\n{\"k\":\"c\",\"v\":3}\n").unwrap();
    env.write("data-3.jsonl", "{\"k\":\"d\",\"v\":4}\n");
    env.write("job.yaml", JOB.replace("tasks: 8", "tasks: 16").replace("n: count, m: max(v)", "m: max(v), all: count"));
    let output = check(&env, 0).stdout;
    for line in [
        "j: would resume from checkpoint 1 and read 2 files (32 B)\n",
        "  changed  `tasks` was 8, is now 16: the state is re-routed\n",
        "  changed  aggregate `n` (count) was removed: its values are dropped\n",
        "  changed  aggregate `all` is new: count: it starts empty\n",
        "data-1.jsonl  read         16     0 B\n",
        "data-2.jsonl  grown        16    16 B\n",
        "data-3.jsonl  new           0    16 B\n",
    ] {
        assert!(output.contains(line), "{line}{output}");
    }
    let found = view(&env, 0);
    assert_eq!((found.checkpoint, found.files_to_read, found.bytes_to_read), (Some(1), 2, 32));
    let changes: Vec<_> = found.changes.iter().map(|change| change.effect.as_str()).collect();
    assert_eq!(changes, ["reroutes", "drops", "starts_empty"], "{:?}", found.changes[0].change);
    let states: Vec<_> =
        found.inputs.iter().map(|input| (input.state.as_str(), input.offset, input.unread_bytes)).collect();
    assert_eq!(states, [("read", 16, Some(0)), ("grown", 16, Some(16)), ("new", 0, Some(16))]);
    assert_eq!(found.inputs[0].partition, "data-1.jsonl");
    // And the run does exactly that.
    env.run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn it_reports_everything_that_keeps_a_run_from_starting() {
    let env = finished();
    env.write("data-2.jsonl", env.read("data-2.jsonl") + "{\"k\":\"x\",\"v\":1}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    // It was not read to its end.
    env.run(&["restore", "store", "--seek", "data-2.jsonl=16"]).expect(0);
    env.write("data-1.jsonl", "{\"k\":\"x\",\"v\":1}\n");
    fs::remove_file(env.path("data-2.jsonl")).unwrap();
    env.write("job.yaml", JOB.replace("n: count", "n: count(v)"));
    let found = view(&env, 1);
    assert!(!found.would_run);
    assert_eq!(
        found.problems,
        [
            "does not fit the checkpoint: aggregate `n` was count, is now count(v)",
            "input `data-2.jsonl` is gone: the checkpoint has read 16 bytes of it",
            "input `data-1.jsonl` was replaced or changed: its first 16 bytes are not those that the checkpoint has read",
        ]
    );
    assert!(found.inputs.iter().all(|input| input.state == "bad"));
    env.run(&["run", "job.yaml"]).expect(2);
    env.write("job.yaml", JOB.replace("job: j", "job: k"));
    assert_eq!(view(&env, 1).problems[0], "`store` holds the checkpoints of job `j`, not of `k`");
    env.write("job.yaml", JOB.replace("tasks", "task"));
    let wrong = env.run(&["check", "job.yaml"]).expect(2);
    assert!(wrong.stderr.starts_with("error: job.yaml:4:1: unknown key `task`"), "{wrong}");
}

#[test]
fn a_store_that_is_in_use_is_reported_with_its_holder() {
    let env = finished();
    let lock = fs::OpenOptions::new().read(true).write(true).open(env.path("store/lock")).unwrap();
    lock.lock().unwrap();
    env.write("store/lock", "`ckpt run` of job j since 14:00");
    let found = view(&env, 1);
    assert_eq!(found.holder.as_deref(), Some("`ckpt run` of job j since 14:00"));
    assert_eq!(found.problems, ["the store is locked by `ckpt run` of job j since 14:00"]);
    assert!(!found.workers_running);
    lock.unlock().unwrap();
    lock.lock_shared().unwrap();
    let shared = view(&env, 1);
    assert!(shared.workers_running && shared.holder == found.holder);
    assert!(shared.problems[0].starts_with("workers of the job are running: "), "{:?}", shared.problems);
    drop(lock);
    assert!(view(&env, 0).holder.is_none(), "a killed run leaves its name behind, but holds nothing");
}

#[test]
fn rotated_files_of_a_followed_input_are_found() {
    let env = Env::new();
    env.write("job.yaml", "job: j\ninput: {files: logs/app.log, format: json, follow: true}\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: store}\n");
    env.write("logs/other", "");
    assert!(check(&env, 0).stdout.starts_with("j: would start from scratch; there is no new input\n"));
    // A bounded run leaves a position of the same kind.
    let bounded = env.read("job.yaml").replace(", follow: true", "");
    env.write("logs/app.log", "{\"k\":\"a\"}\n");
    env.write("bounded.yaml", bounded);
    env.run(&["run", "bounded.yaml"]).expect(0);
    env.write("logs/app.log", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n");
    fs::rename(env.path("logs/app.log"), env.path("logs/app.log.1")).unwrap();
    env.write("logs/app.log", "{\"k\":\"c\"}\n");
    let found = view(&env, 0);
    let mut states: Vec<_> = found.inputs.iter().map(|input| (input.partition.as_str(), input.unread_bytes)).collect();
    states.sort();
    assert_eq!(states, [("logs/app.log", Some(10)), ("logs/app.log.1", Some(10))]);
    fs::remove_file(env.path("logs/app.log.1")).unwrap();
    let gone = view(&env, 1);
    assert!(gone.problems[0].starts_with("input `logs/app.log` was rotated away: "), "{:?}", gone.problems);
}

/// A job with a replica, which has three checkpoints and a new record.
fn replicated() -> Env {
    let env = finished();
    env.write("job.yaml", JOB.replace("store: store", "store: store, replicas: [r]"));
    for record in ["{\"k\":\"c\",\"v\":3}\n", "{\"k\":\"d\",\"v\":4}\n"] {
        env.write("data-2.jsonl", env.read("data-2.jsonl") + record);
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env.write("data-2.jsonl", env.read("data-2.jsonl") + "{\"k\":\"e\",\"v\":5}\n");
    env
}

/// Lets the replica and the store continue apart.
fn diverge(env: &Env) {
    env.write("alone.yaml", JOB.replace("store: store", "store: r").replace("output: out", "output: out-r"));
    env.shell("cp -r out out-r && mv store away").expect(0);
    env.run(&["run", "alone.yaml"]).expect(0);
    env.shell("mv r r2 && mv away store").expect(0);
    env.write("alone.yaml", JOB);
    env.write("data-1.jsonl", env.read("data-1.jsonl") + "{\"k\":\"f\",\"v\":5}\n");
    env.run(&["run", "alone.yaml"]).expect(0);
    env.shell("mv r2 r").expect(0);
}

/// What is wrong, how it comes about, and the exit code of the check.
type Case = (&'static str, fn(&Env), i32);

fn shell(env: &Env, line: &str) {
    env.shell(line).expect(0);
}

#[test]
fn the_verdict_is_that_of_a_run_whatever_is_wrong_with_a_replica() {
    let cases: [Case; 12] = [
        ("both are intact", |_| {}, 0),
        ("the replica is new", |env| shell(env, "rm -r r"), 0),
        ("the store is lost", |env| shell(env, "rm -r store"), 0),
        ("they diverged", diverge, 1),
        ("the replica is another job's", |env| shell(env, "sed -i 's/^job: j/job: k/' r/store.yaml"), 1),
        ("the replica is a file", |env| shell(env, "rm -r r; touch r"), 1),
        ("the replica is the store", |env| shell(env, "rm -r r; ln -s store r"), 1),
        ("objects are gone in the store", |env| shell(env, "rm store/objects/sha256/*/*"), 0),
        ("objects are gone in both", |env| shell(env, "rm */objects/sha256/*/*"), 1),
        (
            "the manifest is damaged in the store",
            |env| shell(env, "echo x > store/checkpoints/00000003/manifest.yaml"),
            0,
        ),
        ("the list of replicas is damaged", |env| shell(env, "echo x > store/replicas.yaml"), 0),
        (
            "the list of replicas is of a later version",
            |env| shell(env, "sed -i 's/^format: 1/format: 9/' store/replicas.yaml"),
            1,
        ),
    ];
    for (case, damage, status) in cases {
        let env = replicated();
        damage(&env);
        let checked = env.run(&["check", "job.yaml"]);
        let ran = env.run(&["run", "job.yaml"]);
        assert_eq!((checked.status, ran.status == 0), (status, status == 0), "{case}: {checked}{ran}");
    }
}

#[test]
fn it_says_which_fields_the_first_records_do_not_have() {
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: j\ninput: data.jsonl\nwhere: user.contry == \"DE\"\nkey: user.id\nprocess:\n  aggregate:\n    n: count\n    \
         spent: sum(amout)\n    other: max(unheard)\n",
    );
    env.write("data.jsonl", "{\"user\":{\"id\":1,\"country\":\"DE\"},\"amount\":3}\n".repeat(2));
    let output = check(&env, 0);
    assert_eq!(
        output.stderr,
        "warning: job.yaml:3:8: none of the first 2 records has `user.contry`, did you mean `user.country`?\n\
         warning: job.yaml:8:12: none of the first 2 records has `amout`, did you mean `amount`?\n\
         warning: job.yaml:9:12: none of the first 2 records has `unheard`\n"
    );
    let seen = view(&env, 0);
    let absent: Vec<(&str, &str, Option<&str>)> =
        seen.absent_fields.iter().map(|one| (one.field.as_str(), one.key.as_str(), one.near.as_deref())).collect();
    assert_eq!(
        absent,
        [
            ("user.contry", "where", Some("user.country")),
            ("amout", "process.aggregate.spent", Some("amount")),
            ("unheard", "process.aggregate.other", None),
        ]
    );
    assert_eq!(seen.first_records, 2);
    // A run has seen the records, so it knows better.
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(check(&env, 0).stderr, "");
}

#[test]
fn it_says_which_fields_of_computed_ones_the_first_records_do_not_have() {
    let env = Env::new();
    let job = "job: j\ninput: data.jsonl\nlet:\n  paid: coalesce(amout, 0)\n  unused: nothing\nkey: user\nprocess:\n  \
               aggregate: {spent: sum(paid)}\n";
    env.write("job.yaml", job);
    env.write("data.jsonl", "{\"user\":\"a\",\"amount\":3}\n".repeat(2));
    let warning = "warning: job.yaml:4:3: none of the first 2 records has `amout`, did you mean `amount`?\n";
    assert_eq!(check(&env, 0).stderr, warning);
    let output = env.run(&["run", "job.yaml"]).expect(0);
    let warning = "warning: none of the 2 records has `amout`, which the job uses; it was null";
    assert!(output.stderr.contains(warning), "{output}");
    let csv = job.replace("data.jsonl", "data.csv").replace("job: j", "job: c");
    env.write("job.yaml", &csv);
    env.write("data.csv", "user,amount\na,3\n");
    let problem = "the header line has no column `amout`, did you mean `amount`?";
    assert!(view(&env, 1).problems[0].contains(problem));
    assert!(env.run(&["run", "job.yaml"]).expect(2).stderr.contains(problem));
    env.write("job.yaml", csv.replace("amout", "amount"));
    assert_eq!(check(&env, 0).stderr, "");
    env.run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn columns_that_a_csv_file_lacks_are_a_problem() {
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: j\ninput: data.csv\nwhere: contry == \"DE\"\nkey: usr\nprocess: {aggregate: {spent: sum(amout)}}\n",
    );
    env.write("data.csv", "user,amount,country\na,1,DE\n");
    let problems = view(&env, 1).problems;
    assert_eq!(
        problems,
        ["input `data.csv`: the header line has no column `usr`, did you mean `user`?; the header line has no column \
          `amout`, did you mean `amount`?; the header line has no column `contry`, did you mean `country`?"]
    );
    let run = env.run(&["run", "job.yaml"]).expect(2);
    assert!(run.stderr.contains(&problems[0]), "{run}");
    let mended = env.read("job.yaml").replace("usr", "user").replace("amout", "amount").replace("contry", "country");
    env.write("job.yaml", mended);
    assert_eq!(check(&env, 0).stderr, "");
}

#[test]
fn a_field_that_text_does_not_have_is_an_error_before_the_start() {
    let env = Env::new();
    env.write("a.log", "INFO done\n");
    env.write("job.yaml", "job: j\ninput: a.log\nwhere: lin.contains(\"INFO\")\nprocess: {aggregate: {n: count}}\n");
    let expected = "unknown field `lin`, did you mean `line`?";
    let problems = view(&env, 1).problems;
    assert!(problems[0].contains(expected) && problems[0].contains("job.yaml:3:8: "), "{problems:?}");
    let run = env.run(&["run", "job.yaml"]).expect(2);
    assert!(run.stderr.contains(expected), "{run}");
    assert!(!env.path("checkpoints").exists());
}

#[test]
fn a_run_warns_of_a_field_that_no_record_has_after_its_first_checkpoint() {
    let env = Env::new();
    env.write("data.jsonl", "{\"k\":\"a\",\"amount\":1}\n".repeat(400_000));
    env.write(
        "job.yaml",
        "job: j\ninput: data.jsonl\nkey: k\nprocess: {aggregate: {s: sum(amout)}}\ncheckpoint: {records: 1, schedule: 1h}\n",
    );
    let output = env.run(&["run", "job.yaml"]).expect(0);
    let first = output.stderr.find("warning: j: field `amout`, which the job uses, was in none of the ");
    let last = output.stderr.find("warning: none of the 400,000 records has `amout`, which the job uses; it was null");
    assert!(first.is_some() && first < last, "{output}");
}

#[test]
fn of_a_store_that_cannot_be_read_it_does_not_say_what_is_new() {
    let env = replicated();
    diverge(&env);
    let view = view(&env, 1);
    assert!(view.problems[0].contains("they are not copies of each other"), "{:?}", view.problems);
    assert_eq!((view.checkpoint, view.inputs.len(), view.files_to_read), (None, 0, 0));
    let output = check(&env, 1);
    assert!(output.stdout.starts_with("j: would not start\n  store    store\n  problem  "), "{output}");
}

#[test]
fn the_file_of_dead_letters_is_checked_as_a_run_does() {
    let env = finished();
    let job = |file: &str| {
        let input = format!("{{files: data-*.jsonl, types: {{v: number}}, on_error: {{dead_letter: {file}}}}}");
        env.write("job.yaml", JOB.replace("{files: data-*.jsonl, types: {v: number}}", &input));
    };
    job("bad.jsonl");
    env.write("data-3.jsonl", "{\"k\"\n{\"k\":\"c\",\"v\":3}\n");
    env.run(&["run", "job.yaml"]).expect(3);
    check(&env, 0);
    let lines = env.read("bad.jsonl");
    env.write("bad.jsonl", "");
    let short = view(&env, 1);
    assert!(short.problems[0].contains("`bad.jsonl` has 0 bytes, but the checkpoint counts "), "{:?}", short.problems);
    env.run(&["run", "job.yaml"]).expect(4);
    env.write("bad.jsonl", lines);
    env.write("notes.txt", "mine\n");
    job("notes.txt");
    let foreign = view(&env, 1);
    assert!(foreign.problems[0].contains("`notes.txt`: not a dead-letter file"), "{:?}", foreign.problems);
    env.run(&["run", "job.yaml"]).expect(2);
    assert_eq!(env.read("notes.txt"), "mine\n");
}
