//! Objects on a server that fails.

use std::time::Duration;

use super::objects::{job, lines, output, zstandard};
use crate::support::Env;
use crate::support::bucket::Bucket;
use crate::support::lossy::{Fate, Lossy};
use crate::support::object_server::{Fault, ObjectServer};
use ckpt::values::relpath::RelPath;

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

#[test]
fn one_fault_at_any_request_to_a_real_server_changes_nothing() {
    let Some(bucket) = Bucket::fresh() else { return };
    let mut env = Env::new();
    for (name, bytes) in
        [("a.jsonl", lines(1, 60_000).into_bytes()), ("b.jsonl.zst", zstandard(lines(2, 900).as_bytes()))]
    {
        bucket.storage().replace(&RelPath::new(name).expect("a path"), &bytes).expect("written");
        env.write(&format!("in/{name}"), bytes);
    }
    let proxy = Lossy::before(bucket.variable("AWS_ENDPOINT_URL"), |_| Fate::Pass);
    bucket.reach_from(&mut env);
    env.set("AWS_ENDPOINT_URL", &proxy.endpoint()).set("CKPT_BUCKET_TIMEOUT", "2s");
    job(&env, "files", "{files: \"in/*\", format: json}", "");
    env.run(&["run", "files.yaml"]).expect(0);
    job(&env, "objects", &format!("{{files: \"{}/*\", format: json}}", bucket.url), "");
    env.run(&["run", "objects.yaml"]).expect(0);
    let count = proxy.seen().len();
    assert!(count >= 4, "a listing and a request per MiB");
    for at in 0..count {
        for fate in [Fate::LoseAnswer, Fate::Cut(3), Fate::AnswerInstead(503, "SlowDown")] {
            env.shell("rm -r objects objects-out").expect(0);
            proxy.forget();
            let shown = format!("{fate:?} at {at}");
            proxy.decide(move |request| if request.earlier == at { fate.clone() } else { Fate::Pass });
            env.run(&["run", "objects.yaml"]).expect(0);
            assert_eq!(output(&env, "objects"), output(&env, "files"), "{shown}");
        }
    }
}
