//! Checkpoints that fail: what a failed attempt took is part of the next one, whichever storage call failed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ckpt::format::index::{SegmentKind, shard_of, task_of_key};
use ckpt::format::manifest::{Mode, Routing, Trigger};
use ckpt::format::row_batch::RowBatch;
use ckpt::format::rows::{Change, RowCodec};
use ckpt::format::store_file::StoreFile;
use ckpt::job::JobSpec;
use ckpt::ops::verify::{Depth, verify};
use ckpt::runner::checkpoint::checkpointer::Checkpointer;
use ckpt::runner::checkpoint::job_facts::JobFacts;
use ckpt::runner::lineage::Lineage;
use ckpt::runner::messages::{CheckpointOutcome, Cut, FrozenShard, PastInput, ThreadEvent};
use ckpt::runner::output::plan::OutputPlan;
use ckpt::runner::output::publisher::Publisher;
use ckpt::runner::resume::recover::recover;
use ckpt::runner::state::emitted::Emitted;
use ckpt::runner::state::frozen::FrozenRows;
use ckpt::storage::Storage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::records::line_log::Extent;
use ckpt::store::{Committed, Store};
use ckpt::values::id::{Sequence, StoreId};
use ckpt::values::progress::Silent;
use ckpt::values::value::{Column, ColumnType, Value};
use crossbeam_channel::unbounded;
use jiff::Timestamp;

use crate::support::Env;
use crate::support::failing::Failing;
use crate::support::in_process::shape_of_changes;

const TASKS: u32 = 8;
const SHARDS: u32 = 4;

/// What an attempt sets: keys and values.
type Changes = Vec<(String, i64)>;

/// Three attempts. The first takes all rows, the others only changes.
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

fn facts(timeout: Option<Duration>) -> JobFacts {
    let definition = "job: j\ninput: {files: data.jsonl}\nkey: k\ntasks: 8\nprocess: {aggregate: {n: count}}\n";
    JobFacts {
        job: "j".to_owned(),
        definition: definition.to_owned(),
        mode: Mode::Elided,
        tasks: TASKS,
        shards: SHARDS,
        routing: Routing::KeyHash,
        key: None,
        columns: columns(),
        share: None,
        batch: None,
        max_bad: None,
        block_bytes: 256 * 1024,
        timeout,
        run: "0123456789abcdef".to_owned(),
        encoders: 1,
    }
}

#[test]
fn a_checkpoint_that_no_run_could_resume_from_is_not_committed() {
    let storage = MemoryStorage::new();
    for (from, to) in
        [("n: count", "n: last(n)"), ("tasks: 8", "tasks: 9"), ("process", "proces"), ("key: k\ntasks: 8\n", "")]
    {
        let mut facts = facts(None);
        facts.definition = facts.definition.replace(from, to);
        let publisher =
            Publisher { changes: None, topic: None, shown: None, dead: None, late: None, names: Arc::default() };
        let results = play_all(Arc::new(storage.clone()), &attempts(), facts, publisher, |_, _| false);
        assert_eq!(results, "fff", "{from}");
        assert!(store(Arc::new(storage.clone())).sequences().expect("listed").is_empty());
    }
}

fn shard_of_key(key: &str) -> u32 {
    shard_of(task_of_key(key.as_bytes(), TASKS), TASKS, SHARDS)
}

/// Returns what the workers send for an attempt at `cut`.
fn snapshots(
    changes: &Changes,
    before: &BTreeMap<String, i64>,
    keys: &BTreeMap<String, i64>,
    cut: u64,
) -> Vec<FrozenShard> {
    let codec = RowCodec::new(columns());
    let shard = shard_of_key;
    let snapshot = |number: u32| {
        let mut rows = RowBatch::new();
        for (key, value) in changes.iter().rev().filter(|(key, _)| shard(key) == number) {
            let mut packed = Vec::new();
            codec.pack(&[Value::Int(*value)], &mut packed);
            let change = if before.contains_key(key) { Change::Update } else { Change::Insert };
            let write = |bytes: &mut Vec<u8>| bytes.extend_from_slice(&packed);
            rows.push_changed(task_of_key(key.as_bytes(), TASKS), key.as_bytes(), change, true, write);
        }
        let kind = if before.is_empty() { SegmentKind::Base } else { SegmentKind::Delta };
        let keys = keys.keys().filter(|key| shard(key) == number).count() as u64;
        let rows = FrozenRows { rows, kind, keys, emitted: Emitted::default() };
        FrozenShard { shard: number, cut, rows: Some(rows), pause_micros: 1, slot: None }
    };
    (0..SHARDS).map(snapshot).collect()
}

/// Makes all attempts on `storage`, and returns a letter for each result: `c` for committed, `f` for
/// failed, `l` for a commit that was found late.
fn play(storage: Arc<dyn Storage>, attempts: &[Changes], timeout: Option<Duration>) -> String {
    play_without(storage, attempts, timeout, |_, _| false)
}

/// Does the same, and leaves shards out of an attempt if `waits` says so.
fn play_without(
    storage: Arc<dyn Storage>,
    attempts: &[Changes],
    timeout: Option<Duration>,
    waits: fn(usize, u32) -> bool,
) -> String {
    let publisher =
        Publisher { changes: None, topic: None, shown: None, dead: None, late: None, names: Arc::default() };
    play_all(storage, attempts, facts(timeout), publisher, waits)
}

/// Does the same as [`play`] with a publisher.
fn play_with(
    storage: Arc<dyn Storage>,
    attempts: &[Changes],
    timeout: Option<Duration>,
    publisher: Publisher,
) -> String {
    play_all(storage, attempts, facts(timeout), publisher, |_, _| false)
}

fn play_all(
    storage: Arc<dyn Storage>,
    attempts: &[Changes],
    facts: JobFacts,
    publisher: Publisher,
    waits: fn(usize, u32) -> bool,
) -> String {
    let (snapshot_sender, snapshot_receiver) = unbounded();
    let (cut_sender, cuts) = unbounded();
    let (event_sender, events) = unbounded();
    let store = store(storage);
    store.replicas()[0].storage().list(None).expect("the first call is not counted");
    let checkpointer = Checkpointer::new(store, facts, Lineage::default(), publisher);
    let mut keys = BTreeMap::new();
    // What changed in each shard since it was last taken.
    let mut changed = vec![Vec::new(); SHARDS as usize];
    for (i, changes) in attempts.iter().enumerate() {
        let before = keys.clone();
        keys.extend(changes.iter().cloned());
        let number = 10 * (i as u64 + 1);
        for shard in 0..SHARDS {
            changed[shard as usize].extend(changes.iter().filter(|(key, _)| shard_of_key(key) == shard).cloned());
            let changes = if waits(i, shard) { Vec::new() } else { std::mem::take(&mut changed[shard as usize]) };
            // The newest value of a key counts.
            let changes: BTreeMap<String, i64> = changes.into_iter().collect();
            let changes: Changes = changes.into_iter().collect();
            let mut snapshot = snapshots(&changes, &before, &keys, number).swap_remove(shard as usize);
            if waits(i, shard) {
                snapshot.rows = None;
            }
            snapshot_sender.send(snapshot).expect("sent");
        }
        let cut = Cut {
            number,
            created: Timestamp::from_second(i as i64).expect("a time"),
            begun: Instant::now(),
            trigger: Trigger::Schedule,
            ended: false,
            positions: Vec::new(),
            past: PastInput::default(),
            skipped: 0,
            dead_lines: Vec::new(),
            outputs: Vec::new(),
            sequence: None,
        };
        cut_sender.send(cut).expect("sent");
    }
    drop((snapshot_sender, cut_sender));
    checkpointer.run(&snapshot_receiver, &cuts, &event_sender);
    let outcome = |event| match event {
        ThreadEvent::Checkpoint(CheckpointOutcome::Committed(_)) => Some('c'),
        ThreadEvent::Checkpoint(CheckpointOutcome::Failed(_)) => Some('f'),
        ThreadEvent::Checkpoint(CheckpointOutcome::Found(_)) => Some('l'),
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

/// Checks that each checkpoint holds everything that was set until then, and that no unneeded objects are left.
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
        // What fails at the end cannot always be cleaned up: a prune does it.
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

/// Returns a job that writes files of changes to `dir`, and its publisher.
fn publisher(dir: &Path) -> (OutputPlan, Publisher) {
    let text =
        "job: j\ninput: data.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\noutput: {files: out, emit: changes}\n";
    let job = JobSpec::parse(text, &dir.join("job.yaml")).expect("a job");
    let shape = shape_of_changes(&job, ColumnType::Text, columns(), false);
    let plan = OutputPlan::new(&job, false).expect("a place").expect("an output");
    (
        plan.clone(),
        Publisher {
            changes: Some((plan, shape)),
            topic: None,
            shown: None,
            dead: None,
            late: None,
            names: Arc::default(),
        },
    )
}

/// Returns the checkpoints whose files are in place.
fn in_place(plan: &OutputPlan) -> Vec<Sequence> {
    let names = plan.names(None).expect("listed");
    let mut sequences: Vec<Sequence> = names.iter().filter_map(|name| plan.sequence_of(name)).collect();
    sequences.sort_unstable();
    sequences
}

#[test]
fn the_published_files_are_those_of_the_checkpoints_whatever_call_failed() {
    let env = Env::in_memory();
    let calm = Failing::new(MemoryStorage::new());
    let calls_in_all = {
        let (_, publisher) = publisher(&env.path("calm"));
        assert_eq!(play_with(Arc::new(calm.clone()), &attempts(), None, publisher), "ccc");
        calm.calls()
    };
    let mut unpublished = 0;
    for calls in (1..calls_in_all).step_by(3) {
        for (count, late) in [(1, true), (12, false), (12, true)] {
            let context = format!("{calls} + {count}, {late}");
            let storage = MemoryStorage::new();
            let failing = Failing::new(storage.clone()).fail_between(calls, count);
            let failing = if late { failing.late() } else { failing };
            let (plan, publisher) = publisher(&env.path(&format!("{calls}-{count}-{late}")));
            let outcomes = play_with(Arc::new(failing), &attempts(), None, publisher);
            let store = store(Arc::new(storage));
            let mut sequences = store.sequences().expect("listed");
            if in_place(&plan) != sequences {
                // The commit of the last attempt happened although the call failed: the next start checks for it.
                assert!(outcomes.ends_with('f'), "{context}: {outcomes}");
                let last = *sequences.last().expect("a checkpoint");
                let manifest = store.manifest(last).expect("read").manifest;
                let mut staged = plan.staged_names().expect("listed");
                let recovered = plan.recover(&manifest.outputs[0], last, &mut staged).expect("recovered");
                assert!(recovered, "{context}: {outcomes}");
                unpublished += 1;
            }
            plan.remove_strays(plan.staged_names().expect("listed"), None).expect("removed");
            assert_eq!(in_place(&plan), sequences, "{context}: {outcomes}");
            let Some(last) = sequences.pop() else { continue };
            let mut rows: BTreeMap<String, i64> = BTreeMap::new();
            for sequence in sequences.into_iter().chain([last]) {
                let lines = std::fs::read_to_string(plan.shown(sequence)).expect("a file");
                for line in lines.lines() {
                    let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
                    let key = row["k"].as_str().expect("a key").to_owned();
                    let before = rows.insert(key, row["n"].as_i64().expect("a number"));
                    assert_eq!(before.is_none(), row["op"] == "insert", "{context}: {outcomes}: {line}");
                }
            }
            assert_eq!(rows, state(&store, store.manifest(last).expect("read")), "{context}: {outcomes}");
        }
    }
    assert!(unpublished > 0);
}

#[test]
fn an_attempt_that_takes_too_long_is_not_committed_and_leaves_nothing() {
    let storage = MemoryStorage::new();
    assert_eq!(play(Arc::new(storage.clone()), &attempts(), Some(Duration::ZERO)), "fff");
    let names: Vec<String> = storage.list(None).expect("listed").into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["history"]);
    let attempts = store(Arc::new(storage)).attempts(Extent::Whole).expect("read").attempts;
    let errors: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.error.as_deref())).collect();
    let error = Some("the checkpoint was not finished within 0 s");
    assert_eq!(errors, [(1, error), (2, error), (3, error)]);
}

/// Shards that some attempts leave out.
fn waits(attempt: usize, shard: u32) -> bool {
    matches!((attempt, shard), (1, 0 | 1) | (2, 1 | 2))
}

#[test]
fn shards_that_wait_keep_their_own_cut_whatever_call_failed() {
    let mut attempts = attempts();
    attempts.push((100..120).map(|i| (format!("k{i:03}"), 3000)).collect());
    let calm = Failing::new(MemoryStorage::new());
    assert_eq!(play_without(Arc::new(calm.clone()), &attempts, None, waits), "cccc");
    for calls in 1..calm.calls() {
        let storage = MemoryStorage::new();
        let failing = Failing::new(storage.clone()).fail_between(calls, 9);
        let outcomes = play_without(Arc::new(failing), &attempts, None, waits);
        let store = store(Arc::new(storage.clone()));
        let mut sequences = store.sequences().expect("listed").into_iter();
        // The content of each shard when it was last taken, and the cut.
        let mut all = BTreeMap::new();
        let mut taken: Vec<(u64, BTreeMap<String, i64>)> = vec![(0, BTreeMap::new()); SHARDS as usize];
        for (i, outcome) in outcomes.chars().filter(|outcome| *outcome != 'l').enumerate() {
            all.extend(attempts[i].iter().cloned());
            for shard in (0..SHARDS).filter(|shard| !waits(i, *shard)) {
                let rows = all.iter().filter(|(key, _)| shard_of_key(key) == shard);
                taken[shard as usize] = (10 * (i as u64 + 1), rows.map(|(key, value)| (key.clone(), *value)).collect());
            }
            if outcome != 'c' {
                continue;
            }
            let committed = store.manifest(sequences.next().expect("a checkpoint")).expect("read");
            let context = format!("{calls}: {outcomes}, attempt {i}");
            let newest = committed.manifest.block;
            let mut cuts = vec![newest; SHARDS as usize];
            for older in &committed.manifest.older_cuts {
                older.shards.iter().for_each(|shard| cuts[*shard as usize] = older.block);
            }
            assert_eq!(cuts, taken.iter().map(|(cut, _)| *cut).collect::<Vec<_>>(), "{context}");
            let expected: BTreeMap<String, i64> = taken.iter().flat_map(|(_, rows)| rows.clone()).collect();
            assert_eq!(state(&store, committed), expected, "{context}");
        }
        for report in verify(&store, None, Depth::Deep, &Silent).expect("looked at") {
            assert!(report.is_intact(), "{calls}: {:?}", report.findings);
        }
    }
}
