//! Objects that are replaced or deleted between runs and during one.

use std::process::Stdio;
use std::time::Duration;

use super::objects::{gzip, job, lines, output, zstandard};
use super::{PATIENCE, checkpoints, manifest, until, wait};
use crate::support::Env;
use crate::support::object_server::{Fault, ObjectServer};

/// Runs the job `name` until it has a checkpoint in the middle of the input, and kills it.
fn kill_in_the_middle(env: &Env, server: &ObjectServer, name: &str) {
    server.delay(Duration::from_millis(700));
    let mut command = env.command(&["run", &format!("{name}.yaml")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let store = env.path(name);
    let has_records = |number: &u64| !manifest(&store, *number).contains(" records: 0\n");
    until("a checkpoint has records", || checkpoints(&store).last().is_some_and(has_records));
    child.kill().expect("killed");
    wait(&mut child, PATIENCE);
    server.delay(Duration::ZERO);
    server.take_requests("");
}

const OFTEN: &str = ", schedule: 100ms";

#[test]
fn a_killed_run_resumes_in_the_middle_of_objects() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    for (name, bytes) in [
        ("a.jsonl", lines(1, 150_000).into_bytes()),
        ("b.jsonl.gz", gzip(lines(2, 100_000).as_bytes())),
        ("c.jsonl.zst", zstandard(lines(3, 100_000).as_bytes())),
    ] {
        server.put(&format!("in/{name}"), bytes.clone());
        env.write(&format!("in/{name}"), bytes);
    }
    job(&env, "objects", "{files: \"s3://data/in/*.jsonl*\", format: json}", OFTEN);
    job(&env, "files", "{files: \"in/*.jsonl*\", format: json}", "");
    kill_in_the_middle(&env, &server, "objects");
    let again = env.run(&["run", "objects.yaml"]).expect(0);
    assert!(!again.stdout.contains("resumed from  nothing"), "{again}");
    assert!(again.stdout.contains("350,000 in total"), "{again}");
    env.run(&["run", "files.yaml"]).expect(0);
    assert_eq!(output(&env, "objects"), output(&env, "files"));
    // What was read to its end takes no request any more.
    server.take_requests("");
    env.run(&["run", "objects.yaml"]).expect(0);
    assert_eq!(server.take_requests("GET"), [""; 0]);
}

#[test]
fn an_object_that_was_replaced_between_runs_is_an_error_until_it_is_let_go() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    server.put("in/a.jsonl", lines(1, 50_000));
    server.put("in/b.jsonl", lines(2, 60_000));
    job(&env, "replaced", "\"s3://data/in/*.jsonl\"", OFTEN);
    kill_in_the_middle(&env, &server, "replaced");
    // The same size, and the same beginning.
    let changed = lines(1, 50_000).replace("1-49999", "x-49999");
    server.put("in/a.jsonl", changed);
    for command in ["run", "check"] {
        let refused = env.run(&[command, "replaced.yaml"]);
        let text = format!("{}{}", refused.stdout, refused.stderr);
        assert!(text.contains("`s3://data/in/a.jsonl` was replaced: the checkpoint has read"), "{refused}");
        assert_eq!(refused.status, if command == "run" { 4 } else { refused.status }, "{refused}");
        assert_ne!(refused.status, 0);
    }
    server.put("in/a.jsonl", lines(1, 50_000));
    env.run(&["run", "replaced.yaml"]).expect(0);
    // An object that was read to its end is proven, too.
    server.put("in/b.jsonl", lines(2, 60_001));
    let refused = env.run(&["run", "replaced.yaml"]).expect(4);
    assert!(refused.stderr.contains("--forget PARTITION"), "{refused}");
    env.run(&["restore", "replaced", "--forget", "s3://data/in/b.jsonl"]).expect(0);
    let again = env.run(&["run", "replaced.yaml"]).expect(0);
    assert!(again.stdout.contains("60,001"), "{again}");
}

#[test]
fn a_position_in_an_object_can_be_chosen() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    for (name, bytes) in [("a.jsonl", lines(1, 1000).into_bytes()), ("b.jsonl.gz", gzip(lines(2, 1000).as_bytes()))] {
        server.put(&format!("in/{name}"), bytes);
    }
    job(&env, "sought", "{files: \"s3://data/in/*\", format: json}", "");
    env.run(&["run", "sought.yaml"]).expect(0);
    for name in ["a.jsonl", "b.jsonl.gz"] {
        env.run(&["restore", "sought", "--seek", &format!("s3://data/in/{name}=record:900")]).expect(0);
        let again = env.run(&["run", "sought.yaml"]).expect(0);
        assert!(again.stdout.contains("records       100 in"), "{again}");
    }
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_an_error() {
    for ignores_conditions in [false, true] {
        let mut env = Env::new();
        let server = ObjectServer::start(&mut env);
        server.put("in/a.jsonl", lines(1, 100_000));
        if ignores_conditions {
            server.ignore_conditions();
        }
        server.fail([Fault::None, Fault::Replace(lines(2, 100_000).into_bytes())]);
        job(&env, "replaced", "\"s3://data/in/a.jsonl\"", "");
        let refused = env.run(&["run", "replaced.yaml"]).expect(4);
        assert!(refused.stderr.contains("`s3://data/in/a.jsonl` was replaced while it was read, at byte"), "{refused}");
        assert!(!env.path("replaced-out").join("counting.jsonl").exists());
    }
}

#[test]
fn an_object_that_was_read_may_be_deleted_and_another_may_not() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    server.put("in/a.jsonl", lines(1, 1000));
    server.put("in/b.jsonl", lines(2, 1000));
    job(&env, "gone", "\"s3://data/in/*.jsonl\"", "");
    env.run(&["run", "gone.yaml"]).expect(0);
    server.delete("in/a.jsonl");
    let noted = env.run(&["run", "gone.yaml"]).expect(0);
    assert!(noted.stderr.contains("input `s3://data/in/a.jsonl` is gone; it was read before"), "{noted}");
    // It keeps its ETag: the same object is known again, and another one is an error.
    server.put("in/a.jsonl", lines(1, 1000));
    server.put("in/c.jsonl", lines(3, 10));
    let again = env.run(&["run", "gone.yaml"]).expect(0);
    assert!(again.stdout.contains("2,010 in total"), "{again}");
    server.put("in/a.jsonl", lines(7, 1000));
    env.run(&["run", "gone.yaml"]).expect(4);
    // A copy under a new name would be read twice.
    server.delete("in/a.jsonl");
    server.put("in/z.jsonl", lines(1, 1000));
    let refused = env.run(&["run", "gone.yaml"]).expect(4);
    assert!(refused.stderr.contains("input `s3://data/in/a.jsonl` is gone"), "{refused}");
}

#[test]
fn an_object_that_is_gone_before_it_was_read_to_its_end_follows_on_gone() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    server.put("in/a.jsonl", lines(1, 50_000));
    server.put("in/b.jsonl", lines(2, 60_000));
    job(&env, "lost", "\"s3://data/in/*.jsonl\"", OFTEN);
    kill_in_the_middle(&env, &server, "lost");
    server.delete("in/b.jsonl");
    let refused = env.run(&["run", "lost.yaml"]).expect(4);
    assert!(refused.stderr.contains("`s3://data/in/b.jsonl` is gone: the checkpoint has read"), "{refused}");
    job(&env, "lost", "{files: \"s3://data/in/*.jsonl\", on_gone: warn}", OFTEN);
    let warned = env.run(&["run", "lost.yaml"]).expect(0);
    assert!(warned.stderr.contains("`s3://data/in/b.jsonl` is gone: what it had after byte"), "{warned}");
}
