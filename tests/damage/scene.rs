//! A store made by the real binary, with a file of every kind in two replicas.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;

use ckpt::format::index::{self, SegmentKind};
use ckpt::format::layout;
use ckpt::storage::Storage;
use ckpt::storage::local::LocalStorage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::Store;
use ckpt::values::id::Sequence;
use ckpt::values::relpath::RelPath;

use crate::support::objects::Objects;
use crate::support::{Env, clear_lock_texts, tree};

/// The files of one directory, by their relative paths.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A file of the store, and what may be mistaken for it.
pub struct Target {
    /// Its name in the table.
    pub name: &'static str,
    /// Its path in either replica; relative to the job's directory when it is outside.
    pub path: String,
    /// Another file of its kind next to it.
    pub other: Option<String>,
    /// The content of another valid file of its kind.
    pub bytes: Vec<u8>,
}

/// A store with checkpoints 1 to 6: the first was pruned and can be brought back, 3 and 4 are pinned, and the last run
/// was killed.
pub struct Scene {
    /// The job's directory: `a` and `b` are the replicas.
    pub env: Env,
    /// A file of every kind.
    pub targets: Vec<Target>,
}

/// The id of the unanswered request.
const REQUEST: &str = "0123456789abcdef0123456789abcdef";

impl Scene {
    pub fn new() -> Scene {
        let env = Env::in_memory();
        let job = "job: counting\ninput: {files: data.jsonl}\nkey: k\ntasks: 8\nprocess: {aggregate: {n: count}}\n\
            output: {files: out, emit: changes}\ncheckpoint: {store: a, replicas: [b], schedule: 1h}\n";
        env.write("job.yaml", job);
        let mut data: String = (0..600).map(|number| format!("{{\"k\":\"key {number:03}\"}}\n")).collect();
        for round in 0..6 {
            data += &(0..4 * round).map(|number| format!("{{\"k\":\"key {number:03}\"}}\n")).collect::<String>();
            env.write("data.jsonl", &data);
            env.run(&["run", "job.yaml", "--threads", "2"]).expect(0);
        }
        for number in [3, 4] {
            env.run(&["pin", &format!("a@{number}"), "--reason", "before the move"]).expect(0);
        }
        for keep in ["5", "4"] {
            env.run(&["prune", "a", "--keep-last", keep, "--yes"]).expect(0);
        }
        kill_a_run(&env, &data);
        let store = Store::open(vec![Arc::new(LocalStorage::new(env.path("a")))]).expect("opened");
        store.request(REQUEST, "a test", "2026-11-22T14:00:00Z".parse().expect("a time")).expect("written");
        fs::create_dir_all(env.path("b/requests")).expect("created");
        let request = layout::request(REQUEST);
        fs::copy(env.path("a").join(request.as_str()), env.path("b").join(request.as_str())).expect("copied");
        let targets = targets(&env, &store);
        Scene { env, targets }
    }

    /// Returns the files of replica `name`.
    pub fn files(&self, name: &str) -> Files {
        clear_lock_texts(tree(&self.env.path(name)))
    }
}

/// Starts a run and kills it once it holds the store: its name stays in the lock.
fn kill_a_run(env: &Env, data: &str) {
    let mut child = env
        .command(&["run", "job.yaml", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let _ = child.stdin.as_mut().map(|stdin| stdin.write_all(data.as_bytes()));
    for _ in 0..10_000 {
        if fs::read(env.path("a/lock")).is_ok_and(|text| !text.is_empty())
            || child.try_wait().expect("waited").is_some()
        {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let _ = child.kill();
    child.wait().expect("waited");
    for name in ["a/lock", "b/lock"] {
        if fs::read(env.path(name)).expect("a lock").is_empty() {
            env.write(name, "a run that was killed later\n");
        }
    }
}

fn targets(env: &Env, store: &Store) -> Vec<Target> {
    let read = |path: &str| fs::read(env.path("a").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut targets = Vec::new();
    let mut alone = |name, path: &str, bytes: Vec<u8>| {
        targets.push(Target { name, path: path.to_owned(), other: None, bytes });
    };
    let text = |path: &str| String::from_utf8(read(path)).expect("text");
    let id = store.file.store.to_string();
    let other_store =
        ckpt::format::store_file::StoreFile { store: ckpt::values::id::StoreId::new([9; 16]), ..store.file.clone() };
    assert!(text("store.yaml").contains(&id));
    alone("store.yaml", "store.yaml", other_store.to_yaml().into_bytes());
    let places = vec!["/elsewhere/a".to_owned(), "/elsewhere/b".to_owned()];
    let other_places = ckpt::format::replicas_file::ReplicasFile { format: 1, min_copies: 1, places };
    alone("replicas.yaml", "replicas.yaml", other_places.to_yaml().into_bytes());
    let log = text("history/attempts-00000001.jsonl");
    let first = log.lines().next().expect("a line");
    alone("log of attempts", "history/attempts-00000001.jsonl", format!("{first}\n").into_bytes());
    alone("lock", "lock", b"somebody else\n".to_vec());
    let request = layout::request(REQUEST).to_string();
    alone("request", &request, text(&request).replace("a test", "A test").into_bytes());

    let newest = store.latest().expect("read").expect("there").manifest;
    let before = store.manifest(Sequence(newest.sequence.0 - 1)).expect("read").manifest;
    alone("job definition", newest.tables.job.object.path().as_str(), b"job: other\n".to_vec());
    let mut pair = |name, path: &RelPath, other: &RelPath| {
        let (path, other) = (path.to_string(), other.to_string());
        targets.push(Target { name, path, bytes: read(&other), other: Some(other) });
    };
    let (new, old) = (newest.sequence, before.sequence);
    pair("manifest, newest", &layout::manifest(new), &layout::manifest(old));
    pair("manifest, older", &layout::manifest(old), &layout::manifest(new));
    pair("SHA256SUMS, newest", &layout::sums(new), &layout::sums(old));
    pair("SHA256SUMS, older", &layout::sums(old), &layout::sums(new));
    pair("index", &newest.tables.index.object.path(), &before.tables.index.object.path());
    pair("positions", &newest.tables.positions.object.path(), &before.tables.positions.object.path());
    let rows = index::decode(store.object(newest.tables.index).expect("read")).expect("an index");
    for (name, kind) in [("base", SegmentKind::Base), ("delta", SegmentKind::Delta)] {
        let mut of_kind = rows.iter().filter(|row| row.kind == kind).map(|row| row.object.path());
        let (one, other) = (of_kind.next().expect("one"), of_kind.next().expect("another"));
        pair(name, &one, &other);
    }
    pair("pin", &layout::pin(Sequence(3)), &layout::pin(Sequence(4)));
    pair("event", &layout::event(1), &layout::event(2));
    let pruned = |number, name| layout::pruned_dir(Sequence(number)).join(name).expect("plain");
    pair("pruned manifest", &pruned(1, "manifest.yaml"), &pruned(2, "manifest.yaml"));
    pair("pruned SHA256SUMS", &pruned(1, "SHA256SUMS"), &pruned(2, "SHA256SUMS"));
    let listed = |number| {
        let (objects, _) = layout::parse_sums(&read(pruned(number, "SHA256SUMS").as_str())).expect("a list");
        objects
    };
    let kept: Vec<_> = store
        .sequences()
        .expect("listed")
        .into_iter()
        .flat_map(|sequence| layout::parse_sums(&read(layout::sums(sequence).as_str())).expect("a list").0)
        .collect();
    let only = |number| listed(number).into_iter().find(|object| !kept.contains(object)).expect("an object").path();
    pair("pruned object", &only(1), &only(2));
    targets
}

/// Copies files into memory.
pub fn in_memory(files: &Files) -> MemoryStorage {
    let storage = MemoryStorage::new();
    for (path, bytes) in files {
        storage.create(&RelPath::new(path).expect("a plain path"), bytes).expect("created");
    }
    storage
}

/// Makes a place of files.
pub type Place = fn(&Files) -> Arc<dyn Storage>;

/// Copies files into something like a directory.
pub fn on_disk(files: &Files) -> Arc<dyn Storage> {
    Arc::new(in_memory(files))
}

/// Copies files into simulated object storage.
pub fn in_bucket(files: &Files) -> Arc<dyn Storage> {
    let storage = Objects::default().client(None);
    for (path, bytes) in files {
        storage.create(&RelPath::new(path).expect("a plain path"), bytes).expect("created");
    }
    Arc::new(storage)
}

/// Returns the files of a storage.
pub fn files_of(storage: &dyn Storage) -> Files {
    fn walk(storage: &dyn Storage, directory: Option<&RelPath>, files: &mut Files) {
        for entry in storage.list(directory).expect("listed") {
            let path = directory.map_or_else(|| RelPath::new(&entry.name), |dir| dir.join(&entry.name)).expect("plain");
            match entry.kind {
                ckpt::storage::EntryKind::Directory => walk(storage, Some(&path), files),
                _ => drop(files.insert(path.to_string(), storage.get(&path, u64::MAX).expect("read").to_vec())),
            }
        }
    }
    let mut files = Files::new();
    walk(storage, None, &mut files);
    clear_lock_texts(files)
}
