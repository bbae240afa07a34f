//! Files that were forged with care: every hash that the writer of a checkpoint computes is computed again.
//!
//! A checkpoint states most facts in several places, and `verify` compares them. A fact stated in one place only is
//! checked once a later checkpoint, a replica or a copy exists to contradict it: the newest checkpoint of a single
//! store is the only one that nothing vouches for.

use std::collections::BTreeSet;
use std::sync::Arc;

use ckpt::format::index::{self, IndexRow, SegmentKind};
use ckpt::format::layout::{self, MANIFEST_FILE, ObjectKind, ObjectName, SUMS_FILE};
use ckpt::format::manifest::{DeadLetter, Manifest, Mode, OlderCut, Output, Routing, Trigger};
use ckpt::format::positions::{self, MessagePosition, PositionRow, WorkerCommit};
use ckpt::format::rows::{Row, RowCodec};
use ckpt::format::segment::{SegmentReader, SegmentWriter};
use ckpt::ops::finding::Severity;
use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::Storage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::Store;
use ckpt::values::digest::Digest;
use ckpt::values::id::{Sequence, StoreId};
use ckpt::values::progress::Silent;
use ckpt::values::relpath::RelPath;
use ckpt::values::value::{ColumnType, Value};
use jiff::{SignedDuration, Timestamp};

use crate::support::store_builder::{Draft, StoreBuilder};

/// The checkpoint that is forged.
const FORGED: Sequence = Sequence(3);

/// What is changed in a checkpoint before its hashes are computed.
enum Forge {
    /// A field of the manifest; the rest stays.
    Manifest(fn(&mut Manifest)),
    /// A field of the index.
    Index(fn(&mut Vec<IndexRow>)),
    /// A field of the positions.
    Positions(fn(&mut Vec<PositionRow>)),
}

/// A field, its forged value, and the findings of `verify --deep` in the newest checkpoint; none when nothing
/// contradicts it.
type Case = (&'static str, Forge, &'static [&'static str]);

/// A store of two checkpoints in memory, and a third that is not committed.
struct Story {
    storage: MemoryStorage,
    builder: StoreBuilder,
    draft: Draft,
}

/// Makes the third checkpoint in priority mode, with everything in it that a manifest can have.
fn story() -> Story {
    let storage = MemoryStorage::new();
    let mut builder = StoreBuilder::on(vec![Arc::new(storage.clone())], 8, 3, Routing::KeyHash);
    let keys: Vec<String> = (0..24).map(|number| format!("k{number:02}")).collect();
    let all: Vec<(&str, Option<i64>)> = keys.iter().map(|key| (key.as_str(), Some(1))).collect();
    builder.commit(&all);
    builder.commit(&all[..12]);
    let before = builder.store.latest().expect("read").expect("there").manifest;
    let shard_of = |key: &str| index::shard_of(index::task_of_key(key.as_bytes(), 8), 8, 3);
    // The last shard waits: it has the cut of checkpoint 2.
    let changes: Vec<(&str, Option<i64>)> =
        all.iter().filter(|(key, _)| shard_of(key) < 2).map(|(key, _)| (*key, None)).take(3).collect();
    let mut draft = builder.draft(&changes);
    let old = positions::decode(builder.store.object(before.tables.positions).expect("read")).expect("positions");
    let moment =
        |minutes| "2026-11-22T14:00:00Z".parse::<Timestamp>().expect("a time") + SignedDuration::from_mins(minutes);
    draft.manifest.mode = Mode::Priority;
    draft.manifest.older_cuts =
        vec![OlderCut { block: before.block, created: moment(20), records: before.totals.records, shards: vec![2] }];
    draft.manifest.totals.late = 1;
    let name = |path: &str| DeadLetter { path: path.to_owned(), bytes: 7 };
    draft.manifest.dead_letter = Some(name("dead.jsonl"));
    draft.manifest.late_records = Some(name("late.jsonl"));
    let sha256 = Digest::of(b"rows");
    draft.manifest.outputs =
        vec![Output { path: "out/clicks.jsonl".to_owned(), sha256, bytes: 4, rows: 1, staged: None }];
    // A second file of the input, and its times.
    for rows in [old, std::mem::take(&mut draft.positions)] {
        for row in rows {
            let times = PositionRow { event_time: Some(5), watermark: Some(4), ..row };
            let other = PositionRow { partition: "data/more.jsonl".to_owned(), offset: 0, record: 0, ..times.clone() };
            draft.positions.extend([times, other]);
        }
    }
    draft.manifest.totals.partitions = 2;
    draft.manifest.totals.past_records = 0;
    Story { storage, builder, draft }
}

/// Writes what `draft` and `forge` make of a checkpoint, and returns its two files.
fn written(store: &Store, parent: &Manifest, draft: &Draft, forge: Option<&Forge>) -> (Vec<u8>, Vec<u8>) {
    let (mut manifest, mut rows, mut places) = (draft.manifest.clone(), draft.index.clone(), draft.positions.clone());
    match forge {
        Some(Forge::Index(change)) => change(&mut rows),
        Some(Forge::Positions(change)) => change(&mut places),
        _ => {}
    }
    let put = |bytes: &[u8], kind| store.put(bytes, kind).expect("put").object;
    manifest.tables.index = put(&index::encode(&rows), ObjectKind::Parquet);
    manifest.tables.positions = put(&positions::encode(&places), ObjectKind::Parquet);
    manifest.tables.job = put(&draft.job, ObjectKind::Yaml);
    let old = index::decode(store.object(parent.tables.index).expect("read")).expect("an index");
    let old: BTreeSet<ObjectName> = parent.objects(&old).into_iter().map(|object| object.object).collect();
    let objects = manifest.objects(&rows);
    manifest.totals.bytes = objects.iter().map(|object| object.bytes).sum();
    manifest.totals.new_bytes =
        objects.iter().filter(|object| !old.contains(&object.object)).map(|object| object.bytes).sum();
    if let Some(Forge::Manifest(change)) = forge {
        change(&mut manifest);
    }
    let text = manifest.to_yaml().into_bytes();
    let names = manifest.objects(&rows).into_iter().map(|object| object.object);
    let sums = layout::sums_text(names, Digest::of(&text));
    (text, sums.into_bytes())
}

/// Replaces the files of a checkpoint.
fn put_in_place(storage: &MemoryStorage, sequence: Sequence, (manifest, sums): &(Vec<u8>, Vec<u8>)) {
    let _ = storage.delete_dir(&layout::checkpoint_dir(sequence));
    let files: [(&str, &[u8]); 2] = [(SUMS_FILE, sums), (MANIFEST_FILE, manifest)];
    storage.create_dir(&layout::checkpoint_dir(sequence), &files).expect("created");
}

/// Returns the codes of the damage, each once, and the checkpoints that it affects.
fn damage(store: &Store, depth: Depth) -> (Vec<&'static str>, BTreeSet<Sequence>) {
    let reports = verify(store, None, depth, &Silent).expect("looked at");
    let findings = reports.iter().flat_map(|report| &report.findings);
    let damage: Vec<_> = findings.filter(|finding| finding.severity() == Severity::Damage).collect();
    let codes: BTreeSet<&str> = damage.iter().map(|finding| finding.code.as_str()).collect();
    (codes.into_iter().collect(), damage.iter().flat_map(|finding| finding.checkpoints.iter().copied()).collect())
}

/// Returns the row of the segment of checkpoint 3 in shard 0.
fn newest(rows: &mut [IndexRow]) -> &mut IndexRow {
    rows.iter_mut().rfind(|row| row.cut == 3).expect("a segment of checkpoint 3")
}

#[rustfmt::skip]
fn manifest_cases() -> Vec<Case> {
    use Forge::Manifest as M;
    vec![
        ("format", M(|m| m.format = 2), &["manifest-damaged"]),
        ("job", M(|m| m.job.push('x')), &["manifest-misplaced"]),
        ("store", M(|m| m.store = StoreId::new([9; 16])), &["manifest-misplaced"]),
        ("sequence", M(|m| m.sequence.0 += 1), &["manifest-misplaced"]),
        ("parent.sequence", M(|m| m.parent.as_mut().expect("one").sequence.0 -= 1), &["chain-broken"]),
        ("parent.sha256", M(|m| m.parent.as_mut().expect("one").sha256 = Digest::of(b"x")), &["chain-broken"]),
        ("created", M(|m| m.created += SignedDuration::from_secs(1)), &[]),
        ("mode", M(|m| m.mode = Mode::Elided), &[]),
        ("trigger", M(|m| m.trigger = Trigger::Records), &[]),
        ("trigger", M(|m| m.trigger = Trigger::EndOfInput), &["manifest-wrong"]),
        ("trigger", M(|m| m.trigger = Trigger::Restore), &["manifest-wrong"]),
        ("ended", M(|m| m.ended = true), &["manifest-wrong", "positions-wrong"]),
        ("restored_from", M(|m| m.restored_from = Some(Sequence(1))), &["manifest-wrong"]),
        ("worker", M(|m| m.worker = Some("a".to_owned())), &[]),
        ("tasks", M(|m| m.tasks += 1), &["index-wrong", "not-resumable"]),
        ("shards", M(|m| m.shards += 1), &["index-wrong"]),
        ("routing", M(|m| m.routing = Routing::Partition), &["not-resumable", "positions-wrong", "row-misrouted"]),
        ("routing", M(|m| m.routing = Routing::Program), &["manifest-wrong", "not-resumable"]),
        ("block", M(|m| m.block += 1), &["positions-wrong"]),
        ("block", M(|m| { m.older_cuts.clear(); m.block -= 1 }), &["index-wrong", "positions-wrong"]),
        ("older_cuts[].block", M(|m| m.older_cuts[0].block -= 1), &["index-wrong", "positions-wrong"]),
        ("older_cuts[].created", M(|m| m.older_cuts[0].created += SignedDuration::from_secs(1)), &[]),
        ("older_cuts[].records", M(|m| m.older_cuts[0].records -= 1), &["positions-wrong"]),
        ("older_cuts[].shards[]", M(|m| m.older_cuts[0].shards = vec![0, 1, 2]), &["index-wrong"]),
        // A shard that waits and one in which nothing changed look alike.
        ("older_cuts[].shards[]", M(|m| m.older_cuts[0].shards.clear()), &[]),
        ("block_bytes", M(|m| m.block_bytes += 1), &["not-resumable"]),
        ("columns[].name", M(|m| m.columns[0].name.push('x')), &["content-wrong", "not-resumable"]),
        ("columns[].type", M(|m| m.columns[0].column_type = ColumnType::Number), &["content-wrong", "not-resumable"]),
        ("timings.pause_micros", M(|m| m.timings.pause_micros += 1), &[]),
        ("timings.snapshot_micros", M(|m| m.timings.snapshot_micros += 1), &[]),
        ("timings.write_micros", M(|m| m.timings.write_micros += 1), &[]),
        ("totals.keys", M(|m| m.totals.keys += 1), &["totals-wrong"]),
        ("totals.changed_keys", M(|m| m.totals.changed_keys += 1), &[]),
        ("totals.bytes", M(|m| m.totals.bytes += 1), &["index-wrong"]),
        ("totals.new_bytes", M(|m| m.totals.new_bytes += 1), &["manifest-wrong"]),
        ("totals.partitions", M(|m| m.totals.partitions += 1), &["positions-wrong"]),
        ("totals.input_bytes", M(|m| m.totals.input_bytes += 1), &["positions-wrong"]),
        ("totals.records", M(|m| m.totals.records += 1), &["positions-wrong"]),
        ("totals.skipped", M(|m| m.totals.skipped += 1), &[]),
        ("totals.skipped", M(|m| m.totals.skipped = 1_000), &["manifest-wrong"]),
        ("totals.late", M(|m| m.totals.late += 1), &[]),
        ("totals.late", M(|m| m.totals.late = 1_000), &["manifest-wrong"]),
        ("totals.past_input_bytes", M(|m| m.totals.past_input_bytes += 1), &["positions-wrong"]),
        ("totals.past_records", M(|m| m.totals.past_records += 1), &["positions-wrong"]),
        ("outputs[].path", M(|m| m.outputs[0].path.push('x')), &[]),
        ("outputs[].sha256", M(|m| m.outputs[0].sha256 = Digest::of(b"x")), &[]),
        ("outputs[].bytes", M(|m| m.outputs[0].bytes += 1), &[]),
        ("outputs[].rows", M(|m| m.outputs[0].rows += 1), &[]),
        ("dead_letter.path", M(|m| m.dead_letter.as_mut().expect("one").path.push('x')), &[]),
        ("dead_letter.bytes", M(|m| m.dead_letter.as_mut().expect("one").bytes += 1), &[]),
        ("late_records.path", M(|m| m.late_records.as_mut().expect("one").path.push('x')), &[]),
        ("late_records.bytes", M(|m| m.late_records.as_mut().expect("one").bytes += 1), &[]),
        ("tables.index.object", M(|m| m.tables.index.object = m.tables.positions.object), &["object-size"]),
        ("tables.index.bytes", M(|m| m.tables.index.bytes += 1), &["object-size"]),
        ("tables.positions.object", M(|m| m.tables.positions.object = m.tables.index.object), &["index-wrong", "manifest-wrong", "object-size"]),
        ("tables.positions.bytes", M(|m| m.tables.positions.bytes += 1), &["index-wrong", "manifest-wrong", "object-size"]),
        ("tables.job.object", M(|m| m.tables.job.object.digest = Digest::of(b"x")), &["manifest-wrong", "object-missing"]),
        ("tables.job.bytes", M(|m| m.tables.job.bytes += 1), &["index-wrong", "object-size"]),
    ]
}

#[rustfmt::skip]
fn index_cases() -> Vec<Case> {
    use Forge::Index as I;
    vec![
        ("shard", I(|rows| rows.last_mut().expect("one").shard = 3), &["content-wrong"]),
        ("level", I(|rows| newest(rows).level += 1), &["content-wrong"]),
        ("first_task", I(|rows| newest(rows).first_task += 1), &["content-wrong"]),
        ("last_task", I(|rows| newest(rows).last_task += 1), &["content-wrong"]),
        ("cut", I(|rows| newest(rows).cut = 4), &["index-wrong"]),
        ("cut", I(|rows| rows[0].cut = 0), &["index-wrong"]),
        // A new object may be from a failed attempt, at any cut since the parent's.
        ("cut", I(|rows| newest(rows).cut = 2), &[]),
        ("kind", I(|rows| newest(rows).kind = SegmentKind::Base), &["content-wrong"]),
        ("object", I(|rows| { let other = (rows[0].object, rows[0].bytes); let row = newest(rows); (row.object, row.bytes) = other }), &["count-wrong", "row-misrouted", "totals-wrong"]),
        ("bytes", I(|rows| newest(rows).bytes += 1), &["object-size"]),
        ("rows", I(|rows| newest(rows).rows += 1), &["count-wrong"]),
        // From a shard in which nothing changed since the previous checkpoint.
        ("rows", I(|rows| rows.last_mut().expect("one").rows += 1), &["count-wrong"]),
        ("tombstones", I(|rows| newest(rows).tombstones -= 1), &["count-wrong"]),
        ("smallest_key", I(|rows| newest(rows).smallest_key = "a".to_owned()), &["count-wrong"]),
        ("largest_key", I(|rows| newest(rows).largest_key.push('x')), &["count-wrong"]),
        ("largest_key", I(|rows| rows[0].largest_key.push('x')), &["count-wrong"]),
    ]
}

fn commit() -> WorkerCommit {
    WorkerCommit { worker: "a".to_owned(), time: 5 }
}

fn message() -> MessagePosition {
    MessagePosition { topic_id: None, offset: 5, leader_epoch: None, proof_offset: None, batch_end: None }
}

#[rustfmt::skip]
fn positions_cases() -> Vec<Case> {
    use Forge::Positions as P;
    // The newest row of the first file.
    fn row(rows: &mut [PositionRow]) -> &mut PositionRow { &mut rows[2] }
    vec![
        ("partition", P(|rows| row(rows).partition.push('x')), &[]),
        ("task", P(|rows| row(rows).task = Some(1)), &["positions-wrong"]),
        ("cut", P(|rows| row(rows).cut -= 2), &["positions-wrong"]),
        ("offset", P(|rows| row(rows).offset += 1), &["positions-wrong"]),
        ("record", P(|rows| row(rows).record += 1), &["positions-wrong"]),
        // The sums are the same.
        ("record", P(|rows| { row(rows).record -= 1; rows[3].record += 1 }), &[]),
        ("ended", P(|rows| row(rows).ended = true), &[]),
        ("file_bytes", P(|rows| row(rows).file_bytes = Some(1)), &[]),
        ("fingerprint", P(|rows| row(rows).fingerprint = Digest::of(b"x")), &[]),
        ("event_time", P(|rows| row(rows).event_time = Some(6)), &[]),
        ("watermark", P(|rows| row(rows).watermark = Some(5)), &["positions-wrong"]),
        ("generation_of", P(|rows| row(rows).generation_of = Some("a".to_owned())), &[]),
        ("inode", P(|rows| row(rows).inode = Some(1)), &[]),
        ("etag", P(|rows| row(rows).etag = Some("a".to_owned())), &[]),
        ("message", P(|rows| row(rows).message = Some(message())), &[]),
        ("stored_fingerprint", P(|rows| row(rows).stored_fingerprint = Some(Digest::of(b"forged"))), &[]),
        ("committed", P(|rows| row(rows).committed = Some(commit())), &[]),
        // The positions of the shard that waits.
        ("cut", P(|rows| drop(rows.drain(..2))), &["positions-wrong"]),
        ("record", P(|rows| rows[0].record -= 1), &["positions-wrong"]),
    ]
}

/// Returns the names of all fields of a struct: it does not compile with one more or fewer.
macro_rules! fields {
    ($type:ident { $($field:ident),+ }) => {{
        let _ = |row: $type| { let $type { $($field),+ } = row; $(let _ = $field;)+ };
        BTreeSet::from([$(stringify!($field).to_owned()),+])
    }};
}

/// Returns the paths of the leaves of a document.
fn leaves(value: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(name, value)| leaves(value, &inner(name), found)),
        serde_json::Value::Array(list) => list.iter().for_each(|value| leaves(value, &format!("{path}[]"), found)),
        _ => drop(found.insert(path.to_owned())),
    }
}

#[test]
fn every_forged_field_is_found_if_anything_else_in_the_store_depends_on_it() {
    let Story { draft, builder, .. } = story();
    let complete =
        Manifest { restored_from: Some(Sequence(1)), worker: Some("a".to_owned()), ..draft.manifest.clone() };
    let complete = Manifest {
        totals: ckpt::format::manifest::Totals { past_input_bytes: 1, past_records: 1, ..complete.totals },
        ..complete
    };
    let mut manifest_fields = BTreeSet::new();
    leaves(&serde_json::to_value(&complete).expect("a document"), "", &mut manifest_fields);
    drop(builder);
    let index_fields = fields!(IndexRow {
        shard,
        level,
        first_task,
        last_task,
        cut,
        kind,
        object,
        bytes,
        rows,
        tombstones,
        smallest_key,
        largest_key
    });
    let position_fields = fields!(PositionRow {
        partition,
        task,
        cut,
        offset,
        record,
        ended,
        file_bytes,
        fingerprint,
        event_time,
        watermark,
        generation_of,
        inode,
        etag,
        stored_fingerprint,
        message,
        committed
    });
    let cases = [
        ("manifest", manifest_fields, manifest_cases()),
        ("index", index_fields, index_cases()),
        ("positions", position_fields, positions_cases()),
    ];
    let Story { storage, builder, draft } = story();
    let store = &builder.store;
    let parent = store.latest().expect("read").expect("there").manifest;
    let genuine = written(store, &parent, &draft, None);
    put_in_place(&storage, FORGED, &genuine);
    assert_eq!(damage(store, Depth::Deep).0, [""; 0], "before");
    let mut wrong = Vec::new();
    for (file, fields, cases) in cases {
        let named: BTreeSet<String> = cases.iter().map(|(field, ..)| (*field).to_owned()).collect();
        assert_eq!(named, fields, "{file}");
        for (number, (field, forge, expected)) in cases.iter().enumerate() {
            let forged = written(store, &parent, &draft, Some(forge));
            assert_ne!(forged, genuine, "{file} {field}");
            put_in_place(&storage, FORGED, &forged);
            let (found, checkpoints) = damage(store, Depth::Deep);
            if found != *expected || checkpoints != expected.iter().map(|_| FORGED).collect() {
                wrong.push(format!("{file} {field} ({number}): {found:?} of {checkpoints:?}, expected {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_nothing_contradicts_is_found_once_a_later_checkpoint_or_a_replica_contradicts_it() {
    let Story { storage, builder, draft } = story();
    let store = &builder.store;
    let parent = store.latest().expect("read").expect("there").manifest;
    let genuine = written(store, &parent, &draft, None);
    put_in_place(&storage, FORGED, &genuine);
    // A replica that has the original.
    let other = story();
    put_in_place(&other.storage, FORGED, &written(&other.builder.store, &parent, &other.draft, None));
    let pair: Vec<Arc<dyn Storage>> = vec![Arc::new(storage.clone()), Arc::new(other.storage.clone())];
    let pair = Store::new(store.file.clone(), pair);
    assert_eq!(damage(&pair, Depth::Full).0, [""; 0], "two copies before");
    // A checkpoint after it, in which nothing changed.
    let mut child = store.latest().expect("read").expect("there");
    let link = child.manifest.parent.as_mut().expect("one");
    (link.sequence, link.sha256) = (FORGED, child.sha256);
    child.manifest.sequence = FORGED.next();
    child.manifest.totals.new_bytes = 0;
    let text = child.manifest.to_yaml().into_bytes();
    let list = String::from_utf8(genuine.1.clone()).expect("text");
    let (objects, _) = list.trim_end().rsplit_once('\n').expect("lines");
    let child = (text.clone(), format!("{objects}\n{}", layout::manifest_sum(Digest::of(&text))).into_bytes());
    put_in_place(&storage, FORGED.next(), &child);
    assert_eq!(damage(store, Depth::Full).0, [""; 0], "a child before");
    let mut silent = 0;
    for (field, forge, expected) in manifest_cases().into_iter().chain(index_cases()).chain(positions_cases()) {
        let forged = written(store, &parent, &draft, Some(&forge));
        storage.delete_dir(&layout::checkpoint_dir(FORGED.next())).expect("deleted");
        put_in_place(&storage, FORGED, &forged);
        let by_replica = damage(&pair, Depth::Full).0;
        put_in_place(&storage, FORGED.next(), &child);
        let by_child = damage(store, Depth::Full).0;
        assert!(!by_replica.is_empty() && !by_child.is_empty(), "{field}");
        if expected.is_empty() {
            silent += 1;
            assert_eq!(by_replica, ["replica-diverged"], "{field}");
            assert!(by_child.contains(&"chain-broken"), "{field}: {by_child:?}");
        }
    }
    assert!(silent > 10, "{silent}");
}

/// Makes a segment in which one row differs, with statistics that match.
fn with_another_value(store: &Store, manifest: &Manifest, row: &IndexRow) -> (Vec<u8>, IndexRow) {
    let codec = RowCodec::new(manifest.columns.clone());
    let bytes = store.object(row.object_ref()).expect("read");
    let mut writer = SegmentWriter::new(codec.columns());
    let mut is_changed = false;
    for batch in SegmentReader::open(bytes, codec.columns()).expect("a segment") {
        for old in batch.expect("rows").iter() {
            let mut packed = old.value.map(<[u8]>::to_vec);
            if let (Some(value), false) = (old.value, is_changed) {
                let mut values = codec.unpack(value);
                values[0] = Value::Int(1_000_000);
                is_changed = true;
                packed = Some(Vec::new());
                codec.pack(&values, packed.as_mut().expect("just made"));
            }
            writer.push(Row { task: old.task, key: old.key, value: packed.as_deref() });
        }
    }
    assert!(is_changed);
    let (bytes, stats) = writer.finish();
    let object = ObjectName { digest: Digest::of(&bytes), kind: ObjectKind::Parquet };
    let forged = IndexRow {
        object,
        bytes: bytes.len() as u64,
        rows: stats.rows,
        tombstones: stats.tombstones,
        smallest_key: stats.smallest_key,
        largest_key: stats.largest_key,
        ..row.clone()
    };
    (bytes, forged)
}

#[test]
fn rows_that_were_changed_together_with_their_statistics_are_found_by_every_hash_above_them() {
    let read = |storage: &MemoryStorage, path: &RelPath| storage.get(path, 1 << 20).expect("read");
    let Story { storage, builder, draft } = story();
    let store = &builder.store;
    let parent = store.latest().expect("read").expect("there").manifest;
    let genuine = written(store, &parent, &draft, None);
    put_in_place(&storage, FORGED, &genuine);
    let manifest = store.manifest(FORGED).expect("read").manifest;
    let place = draft.index.iter().position(|row| row.level == 0).expect("a base");
    let (segment, row) = with_another_value(store, &manifest, &draft.index[place]);
    let old = &draft.index[place];
    assert_eq!((row.rows, &row.smallest_key, &row.largest_key), (old.rows, &old.smallest_key, &old.largest_key));

    // The segment alone, in place of the old one: its name is its hash.
    let path = old.object.path();
    let whole = read(&storage, &path);
    storage.replace(&path, &segment).expect("replaced");
    let codes = damage(store, Depth::Full).0;
    assert!(codes == ["object-damaged"] || codes == ["object-size"], "{codes:?}");
    storage.replace(&path, &whole).expect("replaced");

    // Under its right name, with an index that says so, in place of the old one: the index's name is its hash.
    store.put(&segment, ObjectKind::Parquet).expect("put");
    let mut rows = draft.index.clone();
    rows[place] = row;
    let index = index::encode(&rows);
    let path = manifest.tables.index.object.path();
    let whole = read(&storage, &path);
    storage.replace(&path, &index).expect("replaced");
    let codes = damage(store, Depth::Full).0;
    assert!(codes == ["object-damaged"] || codes == ["object-size"], "{codes:?}");
    storage.replace(&path, &whole).expect("replaced");

    // With a manifest that names this index: `SHA256SUMS` has its hash.
    let forged = Draft {
        index: rows,
        manifest: draft.manifest.clone(),
        positions: draft.positions.clone(),
        job: draft.job.clone(),
    };
    let (text, sums) = written(store, &parent, &forged, None);
    put_in_place(&storage, FORGED, &(text.clone(), genuine.1.clone()));
    assert!(damage(store, Depth::Full).0.contains(&"manifest-altered"));
    // With `SHA256SUMS` as well, the index of the previous checkpoint knows that a segment with this cut existed.
    put_in_place(&storage, FORGED, &(text, sums));
    assert_eq!(damage(store, Depth::Full).0, ["index-wrong"]);
    // With another cut, nothing in the newest checkpoint of a single store contradicts it.
    let mut forged = forged;
    forged.index[place].cut = 2;
    put_in_place(&storage, FORGED, &written(store, &parent, &forged, None));
    assert_eq!(damage(store, Depth::Deep).0, [""; 0]);
    // A checkpoint made from it later names the forged one; one made from it before names the genuine one.
    let Story { storage, builder, draft } = story();
    let store = &builder.store;
    let two = store.manifest(Sequence(2)).expect("read").manifest;
    let rows = index::decode(store.object(two.tables.index).expect("read")).expect("an index");
    let (segment, row) = with_another_value(store, &two, &rows[0]);
    store.put(&segment, ObjectKind::Parquet).expect("put");
    put_in_place(&storage, FORGED, &written(store, &two, &draft, None));
    let places = positions::decode(store.object(two.tables.positions).expect("read")).expect("positions");
    let mut forged = Draft { manifest: two.clone(), index: rows, positions: places, job: draft.job.clone() };
    forged.index[0] = IndexRow { cut: 2, ..row };
    let one = store.manifest(Sequence(1)).expect("read").manifest;
    put_in_place(&storage, Sequence(2), &written(store, &one, &forged, None));
    let (codes, checkpoints) = damage(store, Depth::Full);
    assert!(codes.contains(&"chain-broken") && checkpoints == [FORGED].into(), "{codes:?} {checkpoints:?}");
}
