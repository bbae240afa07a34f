//! Output files and dead letters of several workers: each row and each line is in one of them, once, whatever happens to each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ckpt::format::manifest::{Manifest, Output};
#[cfg(feature = "s3")]
use ckpt::ops::read::ReadError;
#[cfg(feature = "s3")]
use ckpt::ops::restore::{PositionChanges, RestoreError, apply_rollback, plan_rollback};
#[cfg(feature = "s3")]
use ckpt::storage::bucket::BucketStorage;
use ckpt::storage::local::LocalStorage;
#[cfg(feature = "s3")]
use ckpt::storage::remote;
#[cfg(feature = "s3")]
use ckpt::store::Committed;
use ckpt::store::Store;
use ckpt::values::digest::Digest;
#[cfg(feature = "s3")]
use ckpt::values::id::Sequence;
#[cfg(feature = "s3")]
use ckpt::values::progress::Silent;
#[cfg(feature = "s3")]
use ckpt::values::relpath::RelPath;
#[cfg(feature = "s3")]
use jiff::Timestamp;
#[cfg(feature = "s3")]
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use super::keyed::Keyed;
use super::runs::{Rows, records, signal, state};
use super::workers::{self, Fate, NAMES, PARTITIONS, befall, end, finish, has_partitions, one_stops, start, until};
#[cfg(feature = "s3")]
use crate::support::bucket::Bucket;
use crate::support::kafka::{Broker, Sent};
use crate::support::random::Random;
use crate::support::{Ending, Env};

/// Messages each of which has a key of its own, so no later row makes up for one that is missing.
const ONCE: Keyed = Keyed { keys: 1_000_000, partitions: PARTITIONS };

/// Writes the job of workers that publish files of changes in `out`, and dead letters in `bad`.
fn job(env: &Env, broker: &Broker, topic: &str, store: &str) {
    workers::job(env, broker, topic, "job.yaml", "", store);
    let text = env.read("job.yaml").replace("format: json", "format: json, on_error: {dead_letter: bad/records.jsonl}");
    env.write("job.yaml", text + "output: {files: out, emit: changes}\n");
}

const TWO: Keyed = Keyed { keys: 1_000_000, partitions: 2 };

/// Sends messages that are not JSON, one to each partition.
fn send_bad(broker: &Broker, topic: &str, number: u64) {
    let values: Vec<String> = (0..PARTITIONS).map(|partition| format!("bad {number} {partition}")).collect();
    let sent = (0..).zip(&values).map(|(partition, value)| Sent {
        partition,
        key: Some("0"),
        value: Some(value),
        ..Sent::default()
    });
    broker.send(topic, sent);
}

/// Returns the manifests of all checkpoints, or none if there is no store yet.
fn manifests(env: &Env) -> Vec<Manifest> {
    let Ok(store) = Store::open(vec![Arc::new(LocalStorage::new(env.path("store")))]) else { return Vec::new() };
    let sequences = store.sequences().expect("listed");
    sequences.into_iter().map(|sequence| store.manifest(sequence).expect("read").manifest).collect()
}

/// Returns the names in a directory, hidden ones too. A directory that does not exist has none.
fn names(env: &Env, dir: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(env.path(dir)).into_iter().flatten();
    entries.map(|entry| entry.expect("listed").file_name().into_string().expect("text")).collect()
}

fn is_visible(name: &str) -> bool {
    !name.starts_with('.')
}

/// A reader that takes files away as soon as it sees them.
#[derive(Default)]
struct Reader {
    /// How the names in manifests begin.
    base: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Reader {
    fn take(&mut self, env: &Env) {
        for dir in ["out", "bad"] {
            for name in names(env, dir).into_iter().filter(|name| is_visible(name)) {
                let path = format!("{dir}/{name}");
                let bytes = fs::read(env.path(&path)).expect("read");
                fs::remove_file(env.path(&path)).expect("removed");
                self.add(BTreeMap::from([(path, bytes)]));
            }
        }
    }

    /// Adds files that were not seen before.
    #[track_caller]
    fn add(&mut self, files: BTreeMap<String, Vec<u8>>) {
        for (path, bytes) in files {
            assert!(self.files.insert(path.clone(), bytes).is_none(), "{path} was published twice");
        }
    }

    /// Proves that it has got exactly what the checkpoints have published.
    #[track_caller]
    fn has_all(&self, outputs: &[Output]) {
        let found: BTreeMap<&str, Digest> =
            self.files.iter().map(|(path, bytes)| (path.as_str(), Digest::of(bytes))).collect();
        let expected: BTreeMap<&str, Digest> =
            outputs.iter().map(|output| (output.path.as_str(), output.sha256)).collect();
        assert_eq!(found, expected);
    }

    /// Returns the rows in all files of changes, in order.
    fn rows(&self) -> Vec<serde_json::Value> {
        self.lines("out/")
    }

    fn lines(&self, beginning: &str) -> Vec<serde_json::Value> {
        let beginning = format!("{}{beginning}", self.base);
        let files = self.files.iter().filter(|(path, _)| path.starts_with(&beginning));
        let lines = files.flat_map(|(_, bytes)| bytes.split_inclusive(|byte| *byte == b'\n'));
        lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
    }

    /// Returns the last value of each key.
    fn latest(&self) -> Rows {
        let number = |row: &serde_json::Value, name: &str| row[name].to_string().parse().expect("a number");
        let key = |row: &serde_json::Value| row["user"].as_str().expect("a key").to_owned();
        self.rows().iter().map(|row| (key(row), (number(row, "n"), number(row, "total")))).collect()
    }

    /// Proves that each bad message is in the dead letters once, those of a partition in their order.
    #[track_caller]
    fn has_each_bad_message(&self, count: u64) {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in self.lines("bad/") {
            let text = |name: &str| line[name].as_str().expect("text").to_owned();
            found.entry(text("partition")).or_default().push(text("data"));
        }
        let found: Vec<Vec<String>> = found.into_values().collect();
        let of = |partition| (0..count).map(|number| format!("bad {number} {partition}")).collect();
        assert_eq!(found, (0..PARTITIONS).map(of).collect::<Vec<Vec<String>>>());
    }
}

/// Returns the name under which the rows of a checkpoint were staged.
fn staged_name(manifest: &Manifest, base: &str) -> Option<String> {
    let beginning = format!("{base}out/");
    let output = manifest.outputs.iter().find(|output| output.path.starts_with(&beginning))?;
    let id = output.staged.expect("it was made by a worker");
    Some(format!(".{}.ckpt-{}-{id}", &output.path[beginning.len()..], manifest.sequence))
}

/// Sends messages one by one until a worker has committed a checkpoint and not published its file: the worker is stopped there,
/// after `wait`. Returns it, and the others, with the manifest.
fn stop_before_publishing(
    env: &Env,
    mut running: Vec<(&'static str, Ending)>,
    mut send: impl FnMut(),
    wait: impl Fn(),
    is_staged: impl Fn(&Manifest) -> bool,
) -> (Ending, Vec<(&'static str, Ending)>, Manifest) {
    let mut next = manifests(env).len() + 1;
    for _ in 0..400 {
        send();
        let path = env.path(&format!("store/checkpoints/{next:08}/manifest.yaml"));
        let begun = Instant::now();
        while !path.exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "a checkpoint is made");
        }
        let manifest = Manifest::from_yaml(&fs::read(&path).expect("read")).expect("a manifest");
        let name = manifest.worker.clone().expect("it was made by a worker");
        let at = running.iter().position(|(known, _)| *known == name).expect("it runs");
        wait();
        signal(&running[at].1.0, Signal::STOP);
        std::thread::sleep(Duration::from_millis(2));
        if is_staged(&manifest) {
            let (_, stopped) = running.remove(at);
            return (stopped, running, manifest);
        }
        signal(&running[at].1.0, Signal::CONT);
        next = manifests(env).len() + 1;
    }
    panic!("every worker has published before it could be stopped");
}

/// Starts two workers, each of which gets one of two partitions.
fn start_two(env: &Env) -> Vec<(&'static str, Ending)> {
    let running: Vec<(&str, Ending)> = ["a", "b"].into_iter().map(|name| (name, start(env, name))).collect();
    until(env, "both have a partition", || has_partitions(env, &["a", "b"]));
    running
}

/// Proves that what was staged is gone, but for what shows that the workers share the directories.
#[track_caller]
fn is_tidy(env: &Env) {
    for dir in ["out", "bad"] {
        let hidden: Vec<String> = names(env, dir).into_iter().filter(|name| !is_visible(name)).collect();
        assert!(hidden.iter().all(|name| name.contains(".ckpt-worker-")), "{hidden:?}");
    }
}

#[test]
fn workers_that_come_and_go_publish_each_row_and_each_dead_letter_once() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "store");
    let mut running = NAMES.map(|name| Some(start(&env, name)));
    let (mut random, mut reader, mut sent) = (Random(13), Reader::default(), 0);
    for turn in 0..24 {
        // Workers that commit at the same time are all but sure.
        for _ in 0..8 {
            ONCE.send(broker, &topic, sent, sent + 60);
            sent += 60;
            std::thread::sleep(Duration::from_millis(random.below(150)));
            reader.take(&env);
        }
        send_bad(broker, &topic, turn);
        befall(&env, &mut running, [Fate::Killed, Fate::Killed, Fate::Ended, Fate::Stopped], &mut random);
    }
    finish(&env, running, sent + 24 * PARTITIONS);
    // What the killed ones have staged, the next one removes.
    let last = start(&env, "a");
    until(&env, "it has begun", || env.read("stderr-a").contains("resumes"));
    end(&env, last);
    reader.take(&env);
    is_tidy(&env);
    let outputs: Vec<Output> = manifests(&env).into_iter().flat_map(|manifest| manifest.outputs).collect();
    reader.has_all(&outputs);
    let rows = reader.rows();
    assert!(rows.iter().all(|row| row["op"] == "insert"), "each key has one message");
    assert_eq!(rows.len() as u64, sent);
    assert_eq!(reader.latest(), ONCE.expected(sent));
    assert_eq!(state(&env), ONCE.expected(sent));
    reader.has_each_bad_message(24);
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn another_worker_publishes_what_one_that_was_killed_has_committed() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    job(&env, broker, &topic, "store");
    let running = start_two(&env);
    let mut more = TWO.in_turn(broker, &topic);
    let is_staged =
        |manifest: &Manifest| staged_name(manifest, "").is_some_and(|name| env.path(&format!("out/{name}")).exists());
    let (mut killed, others, manifest) = stop_before_publishing(&env, running, || _ = more(1), || {}, is_staged);
    killed.0.kill().expect("killed");
    killed.0.wait().expect("waited");
    let file = env.path(&manifest.outputs[0].path);
    assert!(is_staged(&manifest) && !file.exists());
    more(2);
    until(&env, "the other one commits", || manifests(&env).len() as u64 > manifest.sequence.0);
    assert!(!is_staged(&manifest) && file.exists());
    let total = more(10);
    until(&env, "all is applied", || records(&env) == total);
    others.into_iter().for_each(|(_, worker)| end(&env, worker));
    let mut reader = Reader::default();
    reader.take(&env);
    reader.has_all(&manifests(&env).into_iter().flat_map(|manifest| manifest.outputs).collect::<Vec<_>>());
    assert_eq!(reader.latest(), TWO.expected(total));
}

#[test]
fn a_run_alone_publishes_what_a_worker_has_committed_and_continues() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "store");
    let worker = start(&env, "a");
    ONCE.send(broker, &topic, 0, 600);
    send_bad(broker, &topic, 0);
    until(&env, "the first are applied", || records(&env) == 600 + PARTITIONS);
    end(&env, worker);
    // As it is when the worker dies between its commit and the publication.
    let last = manifests(&env).pop().expect("a checkpoint");
    for output in &last.outputs {
        let (dir, name) = output.path.split_once('/').expect("a directory");
        let staged = format!("{dir}/.{name}.ckpt-{}-{}", last.sequence, output.staged.expect("made by a worker"));
        fs::rename(env.path(&output.path), env.path(&staged)).expect("renamed");
    }
    assert!(!last.outputs.is_empty());
    env.write("job.yaml", env.read("job.yaml").replace("kafka: {", "kafka: {until: latest, "));
    ONCE.send(broker, &topic, 600, 1_200);
    send_bad(broker, &topic, 1);
    env.run(&["run", "job.yaml"]).expect(3);
    is_tidy(&env);
    let of_run_alone = env.read("bad/records.jsonl");
    assert_eq!(of_run_alone.lines().count() as u64, PARTITIONS);
    fs::remove_file(env.path("bad/records.jsonl")).expect("removed");
    let mut reader = Reader::default();
    reader.take(&env);
    reader.has_all(&manifests(&env).into_iter().flat_map(|manifest| manifest.outputs).collect::<Vec<_>>());
    assert_eq!(reader.latest(), ONCE.expected(1_200));
    reader.has_each_bad_message(1);
    // Its file of dead letters is none that workers can continue.
    env.write("bad/records.jsonl", of_run_alone);
    env.write("job.yaml", env.read("job.yaml").replace("until: latest, ", ""));
    let refused = env.run(&["run", "job.yaml", "--worker", "a"]).expect(2);
    assert!(refused.stderr.contains("several workers cannot continue `bad/records.jsonl`"), "{refused}");
    assert!(refused.stderr.contains("name another file"), "{refused}");
    env.write("job.yaml", env.read("job.yaml").replace("bad/records", "bad/others"));
    let worker = start(&env, "a");
    ONCE.send(broker, &topic, 1_200, 1_300);
    until(&env, "the rest is applied", || records(&env) == 1_300 + 2 * PARTITIONS);
    end(&env, worker);
    reader.take(&env);
    assert_eq!(reader.latest(), ONCE.expected(1_300));
}

#[test]
fn workers_whose_output_is_not_in_one_place_stop() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    let store = env.path("store").display().to_string();
    job(&env, broker, &topic, &store);
    let worker = start(&env, "a");
    TWO.send(broker, &topic, 0, 100);
    until(&env, "the first are applied", || records(&env) == 100);
    end(&env, worker);
    // The same job on another machine, where `out` is another directory.
    fs::create_dir(env.path("other")).expect("created");
    env.write("other/job.yaml", env.read("job.yaml"));
    let refused = env.run(&["run", "other/job.yaml", "--worker", "b"]).expect(4);
    assert!(refused.stderr.contains("writes its output here: `"), "{refused}");
    let sign = refused.stderr.split('`').find(|part| part.contains("other/out/.")).expect("a file").to_owned();
    assert!(refused.stderr.contains(&format!("create the empty file `{sign}`")), "{refused}");
    // With another job file, a worker publishes elsewhere, and those that cannot publish its files stop.
    let mut a = start(&env, "a");
    until(&env, "a has partitions", || has_partitions(&env, &["a"]));
    env.write("job.yaml", env.read("job.yaml").replace("files: out", "files: elsewhere"));
    let mut b = start(&env, "b");
    until(&env, "b has partitions", || has_partitions(&env, &["b"]));
    let told = one_stops(&env, [&mut a, &mut b], |round| TWO.send(broker, &topic, 50 * round + 100, 50 * round + 150));
    assert!(told.contains("which is not an output of this worker"), "{told}");
    assert!(told.contains("run all workers with the same job file"), "{told}");
}

/// Waits until no worker has the lock that a commit needs for a moment: the others would wait for one that is stopped.
#[cfg(feature = "s3")]
fn wait_for_lock(env: &Env) {
    let lock = fs::File::open(env.path("store/objects.lock")).expect("there was a commit");
    flock(&lock, FlockOperation::LockExclusive).expect("locked");
    flock(&lock, FlockOperation::Unlock).expect("unlocked");
}

/// Directs the output of the job to a bucket. Returns how the names of its objects begin.
#[cfg(feature = "s3")]
fn move_to_bucket(env: &mut Env, bucket: &Bucket) -> String {
    bucket.reach_from(env);
    let url = bucket.url.to_string();
    let text = env.read("job.yaml").replace("files: out", &format!("files: '{url}/out'"));
    env.write("job.yaml", text.replace("bad/records", &format!("{url}/bad/records")));
    url + "/"
}

/// Returns the objects of the output that are not hidden, by their names in manifests. Removes them if `takes`.
#[cfg(feature = "s3")]
fn objects(bucket: &Bucket, takes: bool) -> BTreeMap<String, Vec<u8>> {
    let mut objects = BTreeMap::new();
    for dir in ["out", "bad"] {
        let url = format!("{}/{dir}", bucket.url);
        let storage =
            BucketStorage::with_settings(url.parse().expect("an address"), &bucket.settings()).expect("a client");
        for name in storage.names("").expect("listed").into_iter().filter(|name| is_visible(name)) {
            let path = RelPath::new(&name).expect("a name");
            let bytes = storage.get(&path, 1 << 20).expect("an object").to_vec();
            if takes {
                storage.delete(&path).expect("deleted");
            }
            objects.insert(format!("{url}/{name}"), bytes);
        }
    }
    objects
}

#[test]
#[cfg(feature = "s3")]
fn a_worker_that_wakes_up_before_it_publishes_does_not_publish_again_what_another_has() {
    let (Some(broker), Some(bucket)) = (Broker::shared(), Bucket::fresh()) else { return };
    let (mut env, topic) = (Env::new(), broker.topic(2));
    job(&env, broker, &topic, "store");
    let base = move_to_bucket(&mut env, &bucket);
    let storage = bucket.storage();
    let running = start_two(&env);
    let mut more = TWO.in_turn(broker, &topic);
    let exists = |name: &str| storage.exists(&RelPath::new(name).expect("a name")).expect("answered");
    let is_staged =
        |manifest: &Manifest| staged_name(manifest, &base).is_some_and(|name| exists(&format!("out/{name}")));
    let (asleep, others, manifest) = stop_before_publishing(
        &env,
        running,
        || _ = more(1),
        || wait_for_lock(&env),
        |manifest| is_staged(manifest) && !objects(&bucket, false).contains_key(&manifest.outputs[0].path),
    );
    more(2);
    until(&env, "the other one commits", || manifests(&env).len() as u64 > manifest.sequence.0);
    assert!(!is_staged(&manifest));
    let mut reader = Reader { base: base.clone(), ..Reader::default() };
    reader.add(objects(&bucket, true));
    assert!(reader.files.contains_key(&manifest.outputs[0].path), "the other one has published it");
    signal(&asleep.0, Signal::CONT);
    std::thread::sleep(Duration::from_secs(2));
    let total = more(10);
    until(&env, "all is applied", || records(&env) == total);
    end(&env, asleep);
    others.into_iter().for_each(|(_, worker)| end(&env, worker));
    reader.add(objects(&bucket, true));
    reader.has_all(&manifests(&env).into_iter().flat_map(|manifest| manifest.outputs).collect::<Vec<_>>());
    assert_eq!(reader.latest(), TWO.expected(total));
    assert_eq!(reader.rows().len() as u64, total);
}

/// Returns the files of the checkpoints that led to the latest one.
#[cfg(feature = "s3")]
fn history(manifests: Vec<Manifest>) -> Vec<Output> {
    let mut next = manifests.last().map(|last| last.sequence);
    let mut outputs = Vec::new();
    for manifest in manifests.into_iter().rev() {
        if next == Some(manifest.sequence) {
            next = manifest.restored_from.or(manifest.parent.map(|parent| parent.sequence));
            outputs.extend(manifest.outputs);
        }
    }
    outputs
}

/// Restores a checkpoint whether workers run or not: one may start when the command has just asked the brokers.
#[cfg(feature = "s3")]
fn restore_beside_workers(bucket: &Bucket, sequence: Sequence) -> Result<Committed, RestoreError> {
    let url = format!("{}/store", bucket.url).parse().expect("an address");
    let storage = BucketStorage::with_settings(url, &bucket.settings()).expect("a client");
    let store = Store::open(vec![Arc::new(remote::Bucket::of(storage))])?;
    let plan = plan_rollback(&store, sequence, PositionChanges::default(), Timestamp::now())?;
    apply_rollback(&store, &plan, "a restore", &Silent)
}

#[test]
#[cfg(feature = "s3")]
fn workers_and_a_restore_in_a_bucket_leave_the_files_of_the_history() {
    let (Some(broker), Some(bucket)) = (Broker::shared(), Bucket::fresh()) else { return };
    let (mut env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    let store = format!("{}/store", bucket.url);
    job(&env, broker, &topic, &store);
    let base = move_to_bucket(&mut env, &bucket);
    let applied = |env: &Env| {
        let view = env.run(&["inspect", &store, "--json"]).stdout;
        let view: serde_json::Value = serde_json::from_str(&view).unwrap_or_default();
        (view["totals"]["records"].as_u64().unwrap_or_default(), view["sequence"].as_u64().unwrap_or_default())
    };
    let mut running = NAMES.map(|name| Some(start(&env, name)));
    ONCE.send(broker, &topic, 0, 60);
    until(&env, "they have begun", || applied(&env).0 == 60);
    let (mut random, mut sent) = (Random(17), 60);
    for turn in 0..8 {
        for _ in 0..4 {
            ONCE.send(broker, &topic, sent, sent + 60);
            sent += 60;
            std::thread::sleep(Duration::from_millis(random.below(400)));
        }
        send_bad(broker, &topic, turn);
        if matches!(turn, 3 | 5) {
            // Also forward, to a checkpoint that was rolled back.
            until(&env, "a restore is not overtaken by a worker", || {
                let (_, latest) = applied(&env);
                let to = if turn == 3 { latest / 2 } else { latest - 2 };
                match restore_beside_workers(&bucket, Sequence(to.max(1))) {
                    Err(RestoreError::Moved { .. }) => false,
                    Err(RestoreError::Read(ReadError::Store(error))) if error.is_taken() => false,
                    other => other.is_ok_and(|committed| committed.manifest.restored_from == Some(Sequence(to.max(1)))),
                }
            });
        }
        befall(&env, &mut running, [Fate::Killed, Fate::Killed, Fate::Ended, Fate::Stopped], &mut random);
    }
    if running.iter().all(Option::is_none) {
        running[0] = Some(start(&env, NAMES[0]));
    }
    until(&env, "all is applied", || applied(&env).0 == sent + 8 * PARTITIONS);
    running.into_iter().flatten().for_each(|worker| end(&env, worker));
    env.run(&["copy", &store, "--to", "store"]).expect(0);
    let mut reader = Reader { base, ..Reader::default() };
    let withdrawn = |path: &str| path.contains(".withdrawn-");
    reader.add(objects(&bucket, false).into_iter().filter(|(path, _)| !withdrawn(path)).collect());
    reader.has_all(&history(manifests(&env)));
    assert_eq!(reader.rows().len() as u64, sent);
    assert_eq!(reader.latest(), ONCE.expected(sent));
    assert_eq!(state(&env), ONCE.expected(sent));
    reader.has_each_bad_message(8);
}
