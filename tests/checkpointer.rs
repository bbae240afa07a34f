//! Checkpoints that fail: what an attempt took is part of the next one, whatever call of the storage failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ckpt::format::index::{SegmentKind, shard_of, task_of_key};
use ckpt::format::manifest::{Mode, Routing, StoreFile, Trigger};
use ckpt::format::rows::{RowBatch, RowCodec};
use ckpt::id::StoreId;
use ckpt::ops::verify::{Depth, verify};
use ckpt::progress::Silent;
use ckpt::runner::checkpointer::{Checkpointer, Cut, Facts, Lineage, Outcome};
use ckpt::runner::emit::Emitted;
use ckpt::runner::publisher::Publisher;
use ckpt::runner::recover::recover;
use ckpt::runner::run::Event;
use ckpt::runner::state::Snapshot;
use ckpt::runner::worker::ShardSnapshot;
use ckpt::storage::Storage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::{Committed, Store};
use ckpt::value::{Column, ColumnType, Value};
use crossbeam_channel::unbounded;
use jiff::Timestamp;

use crate::support::failing::Failing;

const TASKS: u32 = 8;
const SHARDS: u32 = 4;

/// What an attempt sets: keys and values.
type Changes = Vec<(String, i64)>;

/// Three attempts. The first takes all rows, the others what changed.
fn attempts() -> Vec<Changes> {
    let rows = |numbers: std::ops::Range<i64>, value: i64| numbers.map(|i| (format!("k{i:03}"), value + i)).collect();
    vec![rows(0..200, 0), rows(0..40, 1000), rows(30..50, 2000)]
}

fn store(storage: Arc<dyn Storage>) -> Store {
    let created = Timestamp::UNIX_EPOCH;
    let file = StoreFile { format: 1, store: StoreId::new([1; 16]), job: "j".to_owned(), created };
    Store::new(file, vec![storage])
}

fn columns() -> Vec<Column> {
    vec![Column::new("n", ColumnType::Int)]
}

fn facts(timeout: Option<Duration>) -> Facts {
    let definition = "job: j\ninput: {files: data.jsonl}\nkey: k\ntasks: 8\nprocess: {aggregate: {n: count}}\n";
    Facts {
        job: "j".to_owned(),
        definition: definition.to_owned(),
        mode: Mode::Elided,
        tasks: TASKS,
        shards: SHARDS,
        routing: Routing::KeyHash,
        columns: columns(),
        block_bytes: 256 * 1024,
        timeout,
        run: "0123456789abcdef".to_owned(),
    }
}

/// Returns what the workers send for an attempt at `cut`.
fn snapshots(changes: &Changes, keys: &BTreeMap<String, i64>, cut: u64, is_first: bool) -> Vec<ShardSnapshot> {
    let codec = RowCodec::new(columns());
    let shard = |key: &str| shard_of(task_of_key(key.as_bytes(), TASKS), TASKS, SHARDS);
    let snapshot = |number: u32| {
        let mut rows = RowBatch::new();
        for (key, value) in changes.iter().rev().filter(|(key, _)| shard(key) == number) {
            let mut packed = Vec::new();
            codec.pack(&[Value::Int(*value)], &mut packed);
            rows.push(task_of_key(key.as_bytes(), TASKS), key.as_bytes(), Some(&packed));
        }
        let kind = if is_first { SegmentKind::Base } else { SegmentKind::Delta };
        let keys = keys.keys().filter(|key| shard(key) == number).count() as u64;
        let snapshot = Snapshot { rows, kind, keys, emitted: Emitted::default() };
        ShardSnapshot { shard: number, cut, snapshot, pause_micros: 1 }
    };
    (0..SHARDS).map(snapshot).collect()
}

/// Makes all attempts on `storage`, and returns what became of each, `c`, `f` or `l` for one that was found late.
fn play(storage: Arc<dyn Storage>, attempts: &[Changes], timeout: Option<Duration>) -> String {
    let (snapshot_sender, snapshot_receiver) = unbounded();
    let (cut_sender, cuts) = unbounded();
    let (event_sender, events) = unbounded();
    let store = store(storage);
    store.replicas[0].list(None).expect("the first call is not counted");
    let publisher = Publisher { changes: None, late: None, partitions: Vec::new().into() };
    let checkpointer = Checkpointer::new(store, facts(timeout), Vec::new().into(), Lineage::default(), None, publisher);
    let mut keys = BTreeMap::new();
    for (i, changes) in attempts.iter().enumerate() {
        keys.extend(changes.iter().cloned());
        let number = 10 * (i as u64 + 1);
        for snapshot in snapshots(changes, &keys, number, i == 0) {
            snapshot_sender.send(snapshot).expect("sent");
        }
        let cut = Cut {
            number,
            created: Timestamp::from_second(i as i64).expect("a time"),
            begun: Instant::now(),
            trigger: Trigger::Schedule,
            ended: false,
            standings: Vec::new(),
            tasks: None,
            skipped: 0,
            watermark: None,
            dead_lines: Vec::new(),
            outputs: Vec::new(),
            sequence: None,
        };
        cut_sender.send(cut).expect("sent");
    }
    drop((snapshot_sender, cut_sender));
    checkpointer.run(&snapshot_receiver, &cuts, &event_sender);
    let outcome = |event| match event {
        Event::Checkpoint(Outcome::Committed(_)) => Some('c'),
        Event::Checkpoint(Outcome::Failed(_)) => Some('f'),
        Event::Checkpoint(Outcome::Found(_)) => Some('l'),
        _ => None,
    };
    events.try_iter().filter_map(outcome).collect()
}

fn state(store: &Store, committed: Committed) -> BTreeMap<String, i64> {
    let codec = RowCodec::new(columns());
    let mut rows = BTreeMap::new();
    for shard in recover(store, committed, 1).expect("recovered").shards {
        shard.for_each(|key, packed| {
            let [Value::Int(value)] = codec.unpack(packed)[..] else { panic!("one column") };
            rows.insert(String::from_utf8(key.to_vec()).expect("text"), value);
        });
    }
    rows
}

/// Makes sure that each checkpoint holds all that was set until then, and that there is nothing that none needs.
fn check(storage: &MemoryStorage, outcomes: &str, context: &str) {
    let store = store(Arc::new(storage.clone()));
    let mut sequences = store.sequences().expect("listed").into_iter();
    let mut expected = BTreeMap::new();
    let mut attempts = attempts().into_iter();
    for outcome in outcomes.chars() {
        if outcome != 'l' {
            expected.extend(attempts.next().expect("an attempt"));
        }
        if outcome == 'c' {
            let committed = store.manifest(sequences.next().expect("a checkpoint")).expect("read");
            assert_eq!(state(&store, committed), expected, "{context}: {outcomes}");
        } else if outcome == 'l' {
            sequences.next().expect("a checkpoint");
        }
    }
    let last = outcomes.chars().last();
    assert!(last == Some('f') || sequences.next().is_none(), "{context}: {outcomes}");
    for report in verify(&store, None, Depth::Deep, &Silent).expect("looked at") {
        assert!(report.is_intact(), "{context}: {:?}", report.findings);
        let unused = report.findings.iter().find(|finding| finding.path.starts_with("objects/"));
        // What fails at the end can not always be cleaned up: a prune does it.
        assert!(last == Some('f') || unused.is_none(), "{context}: {outcomes}: {unused:?}");
    }
}

#[test]
fn what_an_attempt_took_is_in_the_next_one_whatever_call_failed() {
    let calm = Failing::new(MemoryStorage::new());
    assert_eq!(play(Arc::new(calm.clone()), &attempts(), None), "ccc");
    let mut failed = 0;
    for calls in 1..calm.calls() {
        for count in [1, 12] {
            for late in [false, true] {
                let storage = MemoryStorage::new();
                let failing = Failing::new(storage.clone()).fail_between(calls, count);
                let failing = if late { failing.late() } else { failing };
                let outcomes = play(Arc::new(failing), &attempts(), None);
                assert_eq!(outcomes.replace('l', "").len(), 3, "{outcomes}");
                failed += usize::from(outcomes.contains('f'));
                check(&storage, &outcomes, &format!("{calls} + {count}, {late}"));
            }
        }
    }
    assert!(failed > 50, "{failed}");
}

#[test]
fn an_attempt_that_takes_too_long_is_not_committed_and_leaves_nothing() {
    let storage = MemoryStorage::new();
    assert_eq!(play(Arc::new(storage.clone()), &attempts(), Some(Duration::ZERO)), "fff");
    let names: Vec<String> = storage.list(None).expect("listed").into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["history"]);
    let attempts = store(Arc::new(storage)).attempts().expect("read").attempts;
    let errors: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.error.as_deref())).collect();
    let error = Some("the checkpoint was not done within 0 s");
    assert_eq!(errors, [(1, error), (2, error), (3, error)]);
}
