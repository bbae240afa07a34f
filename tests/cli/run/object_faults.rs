//! Objects on a server that fails.

use std::time::Duration;

use super::objects::{job, lines, output, zstandard};
use crate::support::Env;
use crate::support::object_server::{Fault, ObjectServer};

#[test]
fn bodies_that_are_cut_resets_and_throttling_change_nothing() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    let content = lines(1, 120_000);
    server.put("in/a.jsonl", content.clone());
    server.put("in/b.jsonl.zst", zstandard(content.as_bytes()));
    env.write("in/a.jsonl", &content);
    env.write("in/b.jsonl.zst", zstandard(content.as_bytes()));
    server.fail([
        Fault::Cut(0),
        Fault::Cut(1000),
        Fault::None,
        Fault::SlowDown,
        Fault::Cut(500_000),
        Fault::Reset,
        Fault::SlowDown,
        Fault::Cut(1),
    ]);
    job(&env, "objects", "{files: \"s3://data/in/*.jsonl*\", format: json}", "");
    job(&env, "files", "{files: \"in/*.jsonl*\", format: json}", "");
    env.run(&["run", "objects.yaml"]).expect(0);
    env.run(&["run", "files.yaml"]).expect(0);
    assert_eq!(output(&env, "objects"), output(&env, "files"));
    assert!(server.take_requests("GET").len() > 8, "every fault was met");
}

#[test]
fn a_refused_read_names_the_object_and_the_next_run_resumes() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    server.put("in/a.jsonl", lines(1, 150_000));
    job(&env, "refused", "\"s3://data/in/a.jsonl\"", ", schedule: 100ms");
    server.delay(Duration::from_millis(500));
    server.fail([Fault::None, Fault::None, Fault::Denied]);
    let refused = env.run(&["run", "refused.yaml"]).expect(4);
    assert!(refused.stderr.contains("cannot read input `s3://data/in/a.jsonl` at byte"), "{refused}");
    assert!(refused.stderr.contains("access denied"), "{refused}");
    let again = env.run(&["run", "refused.yaml"]).expect(0);
    assert!(again.stdout.contains("150,000 in total"), "{again}");
}
