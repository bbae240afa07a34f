//! Commands that keep copies of what they read from a bucket.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ckpt::format::layout::ObjectKind;
use ckpt::storage::cache::{Cache, DEFAULT_MAX_BYTES};
use ckpt::storage::remote::Bucket;
use ckpt::store::Store;

use crate::support::object_server::ObjectServer;
use crate::support::{AtEnd, Env, tree};

const SECRET: &str = "a-secret-that-is-nowhere-else";

/// The commands that use a cache.
const COMMANDS: [&str; 7] = [
    "list s3://data/store --json",
    "inspect s3://data/store@latest --state --limit 0 --json",
    "inspect s3://data/store@2 --positions --json",
    "diff s3://data/store@1 s3://data/store@latest --json",
    "log s3://data/store --json",
    "stats s3://data/store --json",
    "restore s3://data/store@latest --to restored --format jsonl --json",
];

/// A store in a bucket with three checkpoints of one job, one of them pruned.
fn scene() -> (Env, ObjectServer) {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    env.set("AWS_SECRET_ACCESS_KEY", SECRET).set("AWS_SESSION_TOKEN", SECRET).at("2026-11-22T15:00:00Z");
    env.write(
        "job.yaml",
        "job: counting\ninput: {files: [\"in/*.jsonl\"]}\nkey: k\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {store: \"s3://data/store\"}\n",
    );
    for number in 0..4 {
        let records = (0..200).map(|key| format!("{{\"k\":\"{}\"}}\n", key * (number + 1)));
        env.write(&format!("in/{number}.jsonl"), records.collect::<String>());
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env.run(&["pin", "s3://data/store@1"]).expect(0);
    env.run(&["pin", "s3://data/store@2"]).expect(0);
    env.run(&["prune", "s3://data/store", "--keep-last", "1", "--yes"]).expect(0);
    server.take_requests("");
    (env, server)
}

/// Returns what a command answers, with the files that it exports.
fn answer(env: &Env, command: &str) -> (String, Vec<Vec<u8>>) {
    let _ = fs::remove_dir_all(env.path("restored"));
    let output = env.run(&command.split(' ').collect::<Vec<_>>());
    assert!(output.status < 2 && output.stderr.is_empty(), "{command}: {output}");
    let files = if command.starts_with("restore") { tree(&env.path("restored")) } else { Default::default() };
    (output.stdout, files.into_values().collect())
}

fn answers(env: &Env) -> Vec<(String, Vec<Vec<u8>>)> {
    COMMANDS.iter().map(|command| answer(env, command)).collect()
}

fn copies(env: &Env) -> Vec<PathBuf> {
    let files = tree(&env.path("cache")).into_keys().filter(|name| name != "CACHEDIR.TAG");
    files.map(|name| env.path("cache").join(name)).collect()
}

#[test]
fn a_warm_cache_leaves_only_listings_sizes_and_what_has_no_name_in_them() {
    let (mut env, server) = scene();
    let right = answers(&env);
    server.take_requests("");
    env.set("CKPT_CACHE", "cache");
    assert!(answers(&env) == right);
    assert!(server.take_requests("GET").len() > 20);
    assert!(answers(&env) == right);
    let read = server.take_requests("GET");
    let is_known = |request: &String| ["store.yaml", "replicas.yaml"].iter().any(|name| request.ends_with(name));
    assert!(read.iter().all(is_known), "{read:?}");
    // The option means the same.
    env.unset("CKPT_CACHE");
    assert!(answer(&env, &format!("{} --cache cache", COMMANDS[1])) == right[1]);
    let read = server.take_requests("GET");
    assert!(read.iter().all(is_known), "{read:?}");
}

#[test]
fn damaged_copies_are_read_again() {
    let (mut env, server) = scene();
    env.set("CKPT_CACHE", "cache");
    let right = answers(&env);
    let good = tree(&env.path("cache"));
    for damage in [&b""[..], b"damage", &[0; 5000]] {
        copies(&env).iter().for_each(|path| fs::write(path, damage).expect("written"));
        assert!(answers(&env) == right);
        assert!(tree(&env.path("cache")) == good);
    }
    // One copy in the place of another.
    let all = copies(&env);
    let bytes: Vec<Vec<u8>> = all.iter().map(|path| fs::read(path).expect("read")).collect();
    let named = |path: &PathBuf| path.to_string_lossy().contains("cached-content");
    let mut objects: Vec<usize> = (0..all.len()).filter(|index| named(&all[*index])).collect();
    objects.rotate_left(1);
    let places = all.iter().filter(|path| named(path));
    places.zip(objects).for_each(|(path, other)| fs::write(path, &bytes[other]).expect("written"));
    server.take_requests("");
    assert!(answers(&env) == right);
    assert!(server.take_requests("GET store/objects/").len() > 3);
}

#[test]
fn what_the_bucket_has_now_is_listed_whatever_the_cache_has() {
    let (mut env, server) = scene();
    env.set("CKPT_CACHE", "cache");
    let right = answers(&env);
    let manifest = "store/checkpoints/00000002/manifest.yaml";
    let good = server.get(manifest);
    server.put(manifest, "damage");
    let output = env.run(&["list", "s3://data/store"]).expect(1);
    assert!(output.stderr.contains("checkpoint 2: "), "{output}");
    server.put(manifest, good);
    assert!(answers(&env) == right);
    server.delete(manifest);
    let output = env.run(&["list", "s3://data/store", "--json"]).expect(0);
    assert!(!output.stdout.contains("\"sequence\":2,"), "{output}");
}

#[test]
fn a_cache_proves_nothing_to_commands_that_prove_or_change_something() {
    let (mut env, server) = scene();
    env.set("CKPT_CACHE", "cache");
    answers(&env);
    let all = server.names();
    let objects: Vec<&String> = all.iter().filter(|name| name.starts_with("store/objects/")).collect();
    for name in objects.iter().step_by(8) {
        let good = server.get(name);
        server.put(name, vec![b'x'; good.len()]);
        let output = env.run(&["verify", "s3://data/store"]).expect(1);
        let path = name.strip_prefix("store/").expect("it is in the store");
        assert!(output.stdout.contains(&format!("damaged: `{path}`")), "{output}");
        server.put(name, good);
    }
    env.run(&["verify", "s3://data/store", "--deep"]).expect(0);
    // A run that resumes and a copy read everything in the bucket.
    server.take_requests("");
    env.write("in/9.jsonl", "{\"k\":\"new\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    assert!(server.take_requests("GET store/objects/").len() >= 3);
    env.run(&["copy", "s3://data/store@1", "--to", "copy"]).expect(0);
    assert!(server.take_requests("GET store/objects/").len() >= 3);
    for name in objects {
        server.put(name, "damage");
    }
    env.write("in/a.jsonl", "{\"k\":\"newer\"}\n");
    env.run(&["run", "job.yaml"]).expect(12);
    let output = env.run(&["copy", "s3://data/store@1", "--to", "other"]);
    assert!(output.status != 0, "{output}");
}

#[test]
fn a_cache_may_be_deleted_at_any_time_and_serves_several_processes() {
    let (mut env, _server) = scene();
    let right = answers(&env);
    env.set("CKPT_CACHE", "cache");
    let (env, right, has_ended) = (&env, &right, AtomicBool::new(false));
    thread::scope(|scope| {
        let _end = AtEnd(|| has_ended.store(true, Ordering::Relaxed));
        scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                let _ = fs::remove_dir_all(env.path("cache"));
                thread::yield_now();
            }
        });
        // Not the restore, which has one directory.
        let ask = move || {
            for (command, right) in COMMANDS.iter().zip(right).take(COMMANDS.len() - 1) {
                assert!(answer_of(env, command) == right.0, "{command}");
            }
        };
        let others: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        ask();
        others.into_iter().for_each(|other| other.join().expect("the same answers"));
    });
}

fn answer_of(env: &Env, command: &str) -> String {
    let output = env.run(&command.split(' ').collect::<Vec<_>>());
    assert!(output.status < 2, "{command}: {output}");
    output.stdout
}

#[test]
fn a_cache_is_bounded_private_and_without_secrets() {
    let (mut env, _server) = scene();
    env.set("CKPT_CACHE", "cache").set("CKPT_CACHE_SIZE", "64KiB");
    let right = answers(&env);
    assert!(answers(&env) == right);
    let sizes = copies(&env).into_iter().map(|path| fs::metadata(path).expect("a copy").len().next_multiple_of(4096));
    let size: u64 = sizes.sum();
    assert!(size > 8 << 10 && size <= 64 << 10, "{size}");
    env.set("CKPT_CACHE_SIZE", "1GiB");
    answers(&env);
    assert!(copies(&env).len() > 16);
    assert_eq!(fs::metadata(env.path("cache")).expect("a directory").mode() & 0o777, 0o700);
    for path in copies(&env) {
        assert_eq!(fs::metadata(&path).expect("a copy").mode() & 0o777, 0o600);
        let text = String::from_utf8_lossy(&fs::read(&path).expect("read")).into_owned();
        assert!(!text.contains(SECRET) && !path.to_string_lossy().contains(SECRET), "{}", path.display());
    }
}

#[test]
fn a_cache_that_cannot_be_used_is_a_warning() {
    let (env, _server) = scene();
    env.write("file", "in the way");
    env.shell("mkdir open && chmod 777 open").expect(0);
    let list = ["list", "s3://data/store"];
    let right = env.run(&list).expect(0).stdout;
    for (dir, reason) in [("file", "File exists"), ("open", "other users can write to it")] {
        let output = env.run(&[&list[..], &["--cache", dir]].concat()).expect(0);
        let warning = format!("warning: cache `{dir}` is not used: {reason}");
        assert!(output.stderr.starts_with(&warning) && output.stdout == right, "{output}");
    }
    let output = env.shell("CKPT_CACHE_SIZE=big ckpt list s3://data/store").expect(2);
    assert!(output.stderr.starts_with("error: CKPT_CACHE_SIZE is `big`"), "{output}");
}

#[test]
fn two_buckets_with_equal_names_on_different_servers_share_no_copies() {
    let (mut env, server) = scene();
    env.set("CKPT_CACHE", "cache");
    answers(&env);
    let mut other_env = Env::new();
    let other = ObjectServer::start(&mut other_env);
    other_env.at("2026-11-22T15:00:00Z").set("CKPT_CACHE", env.path("cache").to_str().expect("UTF-8"));
    server.names().iter().for_each(|name| other.put(name, server.get(name)));
    assert_eq!(answer_of(&other_env, COMMANDS[0]), answer_of(&env, COMMANDS[0]));
    let read = other.take_requests("GET store/checkpoints/");
    assert_eq!(read.len(), 6, "{read:?}");
}

#[test]
fn what_a_worker_is_about_to_commit_is_looked_for_in_the_bucket() {
    let (env, server) = scene();
    let cache = Arc::new(Cache::open(&env.path("cache"), DEFAULT_MAX_BYTES).expect("opened"));
    let place = Bucket::of(server.storage("store")).with_cache(&cache);
    let store = Store::open(vec![Arc::new(place)]).expect("a store");
    let put: Vec<_> = (0..40)
        .map(|number| store.put(format!("{number}").as_bytes(), ObjectKind::Parquet).expect("put").object)
        .collect();
    store.object(put[7]).expect("read, and copied");
    server.take_requests("");
    store.keep(&put, None).expect("all are there");
    let asked = server.take_requests("");
    assert!(asked.len() == 40 && asked.iter().all(|request| request.starts_with("HEAD ")), "{asked:?}");
    // No prune deletes what is as new as the latest checkpoint.
    store.keep(&put, store.sequences().expect("listed").pop()).expect("all are there");
    assert_eq!(server.take_requests("HEAD ").len(), 0);
    // As a prune does while a worker sleeps.
    server.delete(&format!("store/{}", put[7].object.path()));
    store.object(put[7]).expect("the copy");
    let error = store.keep(&put, None).expect_err("it is gone");
    assert!(error.is_not_found(), "{error}");
}
