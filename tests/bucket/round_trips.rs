//! How many requests a run waits for one after another.

use std::sync::Arc;
use std::time::Duration;

use ckpt::format::manifest::Routing;
use ckpt::storage::{Storage as _, remote};
use ckpt::values::relpath::RelPath;

use crate::support::Env;
use crate::support::object_server::{ObjectServer, Timed, rounds};
use crate::support::store_builder::StoreBuilder;

/// Runs a job with many keys on a store with `checkpoints` checkpoints, and returns the requests of its last commit:
/// from its first object until the run looks for the log of attempts.
fn requests_of_a_commit(tasks: u32, checkpoints: u32) -> Vec<Timed> {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    env.write(
        "job.yaml",
        format!(
            "job: counting\ninput: {{files: \"in/*.jsonl\"}}\nkey: k\ntasks: {tasks}\n\
             process: {{aggregate: {{n: count}}}}\ncheckpoint: {{store: \"s3://data/store\"}}\n"
        ),
    );
    let records: String = (0..500).map(|key| format!("{{\"k\":\"{key}\"}}\n")).collect();
    for number in 0..checkpoints {
        env.write(&format!("in/{number}.jsonl"), &records);
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env.write("in/last.jsonl", &records);
    // Long enough to tell what waits for an answer from what comes a little later.
    server.set_latency(Duration::from_millis(150));
    server.take_times();
    env.run(&["run", "job.yaml"]).expect(0);
    let mut times = server.take_times();
    let first = times.iter().position(|(name, ..)| name.starts_with("PUT store/objects/")).expect("an object");
    times.drain(..first);
    let logged = times.iter().position(|(name, ..)| name.starts_with("GET store/history/")).expect("a log of attempts");
    times.truncate(logged);
    times
}

#[test]
fn a_commit_takes_four_round_trips_whatever_it_has() {
    for (tasks, checkpoints) in [(1, 0), (1, 3), (8, 1), (64, 1)] {
        let requests = requests_of_a_commit(tasks, checkpoints);
        let puts = requests.iter().filter(|(name, ..)| name.starts_with("PUT store/objects/")).count();
        assert!(puts >= 4, "{requests:?}");
        let names: Vec<&String> = requests.iter().map(|(name, ..)| name).collect();
        let rounds = rounds(&requests);
        assert!(rounds <= 4, "{rounds} round trips with {tasks} tasks and {checkpoints} checkpoints: {names:#?}");
    }
}

#[test]
fn many_checkpoints_are_read_several_at_once() {
    const CHECKPOINTS: usize = 200;
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    let place = Arc::new(remote::Bucket::of(server.storage("store")));
    let mut builder = StoreBuilder::on(vec![place], 8, 2, Routing::KeyHash);
    for number in 0..CHECKPOINTS {
        builder.commit(&[("ann", Some(number as i64))]);
    }
    server.set_latency(Duration::from_millis(50));
    let commands = [&["list", "s3://data/store"][..], &["prune", "s3://data/store", "--keep-last", "1", "--dry-run"]];
    for command in commands {
        server.take_times();
        env.run(command).expect(0);
        let requests = server.take_times();
        let rounds = rounds(&requests);
        assert!(
            requests.len() > CHECKPOINTS && rounds < CHECKPOINTS / 4,
            "{command:?}: {rounds} of {}",
            requests.len()
        );
    }
}

#[test]
fn the_names_of_many_checkpoints_are_listed_several_pages_at_once() {
    let server = ObjectServer::start(&mut Env::new());
    // First without gaps, then with some, then far apart; and names that are not numbers.
    let numbers = (1..=2_500).chain((2_501..9_000).step_by(9)).chain([700_000, 12_345_678, 123_456_789]);
    let mut expected: Vec<String> = numbers.map(|number: u32| format!("{number:08}")).collect();
    expected.extend(["00000500-old", "0000050", "other"].map(str::to_owned));
    expected.sort_unstable();
    for name in &expected {
        server.put(&format!("store/checkpoints/{name}/manifest.yaml"), "x");
        server.put(&format!("store/checkpoints/{name}/SHA256SUMS"), "y");
    }
    server.put("store/checkpoints/00000007.txt", "x");
    server.put("store/history/1.yaml", "x");
    let storage = remote::Bucket::of(server.storage("store"));
    let directory = RelPath::new("checkpoints").expect("a path");
    let listed = || -> Vec<String> {
        let directories = storage.list_dirs(&directory, "manifest.yaml").expect("listed");
        directories.into_iter().map(|entry| entry.name).collect()
    };
    server.set_latency(Duration::from_millis(50));
    server.take_times();
    assert!(listed() == expected);
    let requests = server.take_times();
    let rounds = rounds(&requests);
    assert!(requests.len() >= 10 && rounds <= 9, "{rounds} of {}", requests.len());
    assert_eq!(storage.list_deep(&directory).expect("listed").len(), 2 * expected.len() + 1);
    server.set_latency(Duration::ZERO);
    server.ignore_start_after();
    assert!(listed() == expected, "a server that begins each listing with the first name");
}

#[test]
fn both_files_of_a_checkpoint_are_read_at_once() {
    let server = ObjectServer::start(&mut Env::new());
    let place = Arc::new(remote::Bucket::of(server.storage("store")));
    let mut builder = StoreBuilder::on(vec![place], 8, 2, Routing::KeyHash);
    let sequence = builder.commit(&[("ann", Some(1))]);
    server.set_latency(Duration::from_millis(150));
    server.take_times();
    builder.store.manifest(sequence).expect("a manifest");
    let requests = server.take_times();
    assert_eq!((requests.len(), rounds(&requests)), (2, 1), "{requests:?}");
}

#[test]
fn a_resume_and_a_log_read_several_files_at_once() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    env.write(
        "job.yaml",
        "job: counting\ninput: {files: \"in/*.jsonl\"}\nkey: k\ntasks: 64\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {store: \"s3://data/store\"}\n",
    );
    let records: String = (0..500).map(|key| format!("{{\"k\":\"{key}\"}}\n")).collect();
    for number in 0..12 {
        env.write(&format!("in/{number}.jsonl"), &records);
        env.run(&["run", "job.yaml", "--threads", "1"]).expect(0);
    }
    server.set_latency(Duration::from_millis(50));
    let requests = |command: &[&str], beginning: &str| {
        server.take_times();
        env.run(command).expect(0);
        let mut requests = server.take_times();
        requests.retain(|(name, ..)| name.starts_with(beginning));
        (requests.len(), rounds(&requests))
    };
    let (count, one_after_another) = requests(&["run", "job.yaml", "--threads", "1"], "GET store/objects/");
    assert!(count > 12 && one_after_another <= count / 3, "{one_after_another} of {count} objects");
    let (count, one_after_another) = requests(&["log", "s3://data/store"], "GET store/history/");
    // The runs, the attempts, and what else has happened.
    assert!(count >= 24 && one_after_another <= 5, "{one_after_another} of {count} files");
}

#[test]
fn a_verification_lists_all_directories_at_once_and_finds_what_does_not_belong_in_them() {
    const CHECKPOINTS: usize = 60;
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    let place = Arc::new(remote::Bucket::of(server.storage("store")));
    let mut builder = StoreBuilder::on(vec![place], 8, 2, Routing::KeyHash);
    for number in 0..CHECKPOINTS {
        builder.commit(&[("ann", Some(number as i64))]);
    }
    let strays = [
        "checkpoints/00000007/notes",
        "checkpoints/00000007/deep/notes",
        "checkpoints/other/manifest.yaml",
        "objects/sha256/0a/notes",
        "objects/sha256/zz/notes",
        "objects/md5/0a/notes",
        "pruned/notes",
    ];
    strays.iter().for_each(|name| server.put(&format!("store/{name}"), "x"));
    server.take_requests("");
    let output = env.run(&["verify", "s3://data/store", "--json"]).expect(0);
    let listings = server.take_requests("LIST");
    assert!(listings.len() < CHECKPOINTS, "{listings:#?}");
    let document: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let findings = document["targets"][0]["findings"].as_array().expect("findings");
    let mut found: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["code"] == "foreign-file")
        .filter_map(|finding| finding["path"].as_str()?.strip_prefix("s3://data/store/"))
        .collect();
    found.sort_unstable();
    let expected = [
        "checkpoints/00000007/deep",
        "checkpoints/00000007/notes",
        "checkpoints/other",
        "objects/md5",
        "objects/sha256/0a/notes",
        "objects/sha256/zz",
        "pruned/notes",
    ];
    assert_eq!(found, expected, "{output}");
}
