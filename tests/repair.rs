//! Verification and repair over two replicas: each kind of damage to each file of either is found exactly there, and
//! healed exactly.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ckpt::format::index::{self, SegmentKind};
use ckpt::ops::finding::{FindingCode, Severity};
use ckpt::ops::repair::{Origin, RepairPlan, apply, plan};
use ckpt::ops::verify::{Choice, Depth, Options, ReadTimes, Report, Sample, verify, verify_with};
use ckpt::storage::Storage;
use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;

use crate::support::failing::Failing;
use crate::support::store_builder::StoreBuilder;
use crate::support::{self, clear_lock_texts};

mod unread;

/// The replicas.
const NAMES: [&str; 2] = ["a", "b"];

/// Creates a directory in memory, where the machine has such a place: tests here flush thousands of times.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    clear_lock_texts(support::tree(dir))
}

fn local(path: PathBuf) -> Arc<dyn Storage> {
    Arc::new(LocalStorage::new(path))
}

/// Builds a store with three checkpoints, deltas and a tombstone in two replicas.
fn pair(dir: &Path) {
    let mut builder = StoreBuilder::keyed(&dir.join("a"));
    let places = NAMES.map(|name| local(dir.join(name)));
    builder.store = Store::open_for_writing(places.to_vec(), 2, "test").expect("opened").0;
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4)), ("xan", Some(9))]);
    builder.commit(&[("cyd", Some(30)), ("eve", Some(5))]);
    builder.commit(&[("dan", None), ("fay", Some(6))]);
}

fn open(dir: &Path) -> Store {
    Store::open_available(NAMES.map(|name| local(dir.join(name))).to_vec(), 0, 2).expect("one can be opened")
}

fn verified(store: &Store) -> Vec<Report> {
    verify(store, None, Depth::Full, &Silent).expect("looked at")
}

/// Returns the damage as replica, code and path.
fn damage(reports: &[Report]) -> Vec<(String, FindingCode, String)> {
    let name =
        |report: &Report| Path::new(&report.place).file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    let findings = reports.iter().flat_map(|report| report.findings.iter().map(move |finding| (name(report), finding)));
    let damage = findings.filter(|(_, finding)| finding.severity() == Severity::Damage);
    damage.map(|(name, finding)| (name, finding.code, finding.path.clone())).collect()
}

/// Returns what a plan would write, as replica and path.
fn steps(plan: &RepairPlan) -> Vec<(String, String)> {
    let name = |place: &str| Path::new(place).file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    plan.steps.iter().map(|step| (name(&step.place), step.path.to_string())).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Delete,
    Truncate,
    Flip,
    Zero,
    Replace,
}

impl Damage {
    const ALL: [Damage; 5] = [Damage::Delete, Damage::Truncate, Damage::Flip, Damage::Zero, Damage::Replace];

    /// Damages a file; `other` is another one of its kind.
    fn strike(self, path: &Path, other: &[u8]) {
        let mut bytes = fs::read(path).expect("a file");
        match self {
            Damage::Delete => return fs::remove_file(path).expect("deleted"),
            Damage::Truncate => bytes.truncate(bytes.len() / 2),
            Damage::Flip => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            Damage::Zero => bytes.fill(0),
            Damage::Replace => bytes = other.to_vec(),
        }
        fs::write(path, bytes).expect("written");
    }
}

/// Returns a file of every kind, by its path in a replica, and what it could be mistaken for.
fn targets(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let root = dir.join("a");
    let store = open(dir);
    let read = |path: &str| fs::read(root.join(path)).expect("a file");
    let mut targets = Vec::new();
    let manifests = [1, 2, 3].map(|number| store.manifest(Sequence(number)).expect("read").manifest);
    for (number, other) in [(1, 2), (2, 3), (3, 2)] {
        for name in ["manifest.yaml", "SHA256SUMS"] {
            let path = |number: u64| format!("checkpoints/{number:08}/{name}");
            targets.push((path(number), read(&path(other))));
        }
    }
    let path = |table: ckpt::format::manifest::ObjectRef| table.object.path().to_string();
    let tables = [2, 0].map(|number: usize| manifests[number].tables);
    for (one, other) in [(tables[0].index, tables[1].index), (tables[0].positions, tables[1].positions)] {
        targets.push((path(one), read(&path(other))));
    }
    targets.push((path(tables[0].job), b"job: other\n".to_vec()));
    let rows = index::decode(store.object(tables[0].index).expect("read")).expect("an index");
    let segment = |kind| rows.iter().find(|row| row.kind == kind).expect("there is one").object.path().to_string();
    targets.push((segment(SegmentKind::Base), read(&segment(SegmentKind::Delta))));
    targets.push((segment(SegmentKind::Delta), read(&segment(SegmentKind::Base))));
    let store_file = String::from_utf8(read("store.yaml")).expect("UTF-8");
    let id = store.file.store.to_string();
    targets.push(("store.yaml".to_owned(), store_file.replace(&id, &"0".repeat(id.len())).into_bytes()));
    targets
}

/// Removes the files in `damaged/`.
fn set_aside(files: &mut BTreeMap<String, Vec<u8>>) -> Vec<Vec<u8>> {
    let names: Vec<String> = files.keys().filter(|name| name.contains("/damaged/")).cloned().collect();
    names.iter().filter_map(|name| files.remove(name)).collect()
}

#[test]
fn each_kind_of_damage_to_each_file_of_either_replica_is_found_there_and_healed_exactly() {
    let whole = directory();
    pair(whole.path());
    let reports = verified(&open(whole.path()));
    assert!(reports.iter().all(|report| report.findings.is_empty()), "{reports:?}");
    let before = tree(whole.path());
    for (path, other) in targets(whole.path()) {
        for replica in NAMES {
            for damage_kind in Damage::ALL {
                let case = format!("{damage_kind:?} {path} in {replica}");
                let file = whole.path().join(replica).join(&path);
                damage_kind.strike(&file, &other);
                let struck = fs::read(&file).ok();
                assert_ne!(struck.as_ref(), before.get(&format!("{replica}/{path}")), "{case}: nothing is damaged");

                let store = open(whole.path());
                let reports = verified(&store);
                let found = damage(&reports);
                // When a manifest's list lost its last line, nothing in the replica vouches for the manifest: then both
                // are reported.
                assert!(!found.is_empty(), "{case}");
                for (name, code, place) in &found {
                    let same_checkpoint = path.starts_with("checkpoints/") && place[..20] == path[..20];
                    let is_there = name == replica && (*place == path || same_checkpoint);
                    let of_both = *code == FindingCode::ReplicaDiverged;
                    assert!(is_there || of_both, "{case}: {name} {code} {place}");
                }
                let plan = plan(&store, &reports);
                assert!(plan.hopeless.is_empty(), "{case}: {:?}", plan.hopeless);
                assert_eq!(steps(&plan), [(replica.to_owned(), path.clone())], "{case}");

                let outcomes = apply(&store, &plan, &Silent);
                assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{case}: {outcomes:?}");
                let reports = verified(&open(whole.path()));
                let notes: Vec<_> = reports.iter().flat_map(|report| &report.findings).map(|f| f.code).collect();
                let expected = if struck.is_some() { vec![FindingCode::ObjectSetAside] } else { Vec::new() };
                assert_eq!(notes, expected, "{case}");
                let mut after = tree(whole.path());
                assert_eq!(set_aside(&mut after), struck.into_iter().collect::<Vec<_>>(), "{case}");
                assert!(after == before, "{case}: another file changed");
                let _ = fs::remove_dir_all(whole.path().join(replica).join("damaged"));
            }
        }
    }
}

#[test]
fn a_checkpoint_that_a_replica_lacks_is_copied_whole() {
    for (number, code) in [(1, "checkpoint-missing"), (2, "checkpoint-missing"), (3, "replica-behind")] {
        let dir = directory();
        pair(dir.path());
        let before = tree(dir.path());
        let path = format!("b/checkpoints/{number:08}");
        fs::remove_dir_all(dir.path().join(&path)).expect("removed");
        // Remove one of its objects as well.
        let store = open(dir.path());
        let table = store.manifest(Sequence(number)).expect("a has it").manifest.tables.index;
        fs::remove_file(dir.path().join("b").join(table.object.path().as_str())).expect("removed");
        let reports = verified(&store);
        let codes: Vec<&str> = reports[1].findings.iter().map(|finding| finding.code.as_str()).collect();
        assert!(codes.contains(&code) && reports[0].findings.is_empty(), "{codes:?}");
        assert_eq!(reports[1].is_complete(), code != "replica-behind");
        let plan = plan(&store, &reports);
        assert_eq!((steps(&plan).len(), plan.hopeless.len()), (1, 0), "{plan:?}");
        apply(&store, &plan, &Silent).into_iter().for_each(|outcome| outcome.result.expect("healed"));
        assert!(tree(dir.path()) == before);
    }
}

#[test]
fn a_replica_that_is_entirely_damaged_is_healed_from_the_other() {
    let dir = directory();
    pair(dir.path());
    let before = tree(dir.path());
    for name in before.keys().filter(|name| name.starts_with("a/") && !name.ends_with("lock")) {
        fs::write(dir.path().join(name), b"x").expect("written");
    }
    let store = open(dir.path());
    let reports = verified(&store);
    // Without a manifest, there is no evidence that this is a replica.
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[1].findings[0].code, FindingCode::ReplicaUnavailable);
    let manifest = "a/checkpoints/00000003/manifest.yaml";
    fs::write(dir.path().join(manifest), &before[manifest]).expect("written");
    let store = open(dir.path());
    let plan = plan(&store, &verified(&store));
    assert!(plan.hopeless.is_empty(), "{:?}", plan.hopeless);
    apply(&store, &plan, &Silent).into_iter().for_each(|outcome| outcome.result.expect("healed"));
    let mut after = tree(dir.path());
    set_aside(&mut after);
    let differ: Vec<_> = before.keys().filter(|name| after.get(*name) != before.get(*name)).collect();
    assert!(after == before, "{differ:?}");
}

#[test]
fn without_a_replica_only_the_list_of_objects_is_rebuilt() {
    for number in [1, 3] {
        for damage_kind in [Damage::Delete, Damage::Truncate, Damage::Zero] {
            let dir = directory();
            pair(dir.path());
            fs::remove_dir_all(dir.path().join("b")).expect("removed");
            let before = tree(dir.path());
            let path = dir.path().join(format!("a/checkpoints/{number:08}/SHA256SUMS"));
            damage_kind.strike(&path, b"");
            let store = Store::open(vec![local(dir.path().join("a"))]).expect("opened");
            let plan = plan(&store, &verified(&store));
            assert_eq!(plan.steps.iter().map(|step| step.origin.clone()).collect::<Vec<_>>(), [Origin::Made]);
            apply(&store, &plan, &Silent).into_iter().for_each(|outcome| outcome.result.expect("healed"));
            let mut after = tree(dir.path());
            set_aside(&mut after);
            assert!(after == before, "{number} {damage_kind:?}");
        }
    }
    let whole = directory();
    pair(whole.path());
    for (path, other) in targets(whole.path()) {
        if path == "store.yaml" || path.ends_with("SHA256SUMS") {
            continue;
        }
        let dir = directory();
        pair(dir.path());
        Damage::Replace.strike(&dir.path().join("a").join(&path), &other);
        let before = tree(dir.path());
        let store = Store::open(vec![local(dir.path().join("a"))]).expect("opened");
        let plan = plan(&store, &verified(&store));
        assert!(plan.steps.is_empty() && plan.hopeless.len() == 1, "{path}: {plan:?}");
        assert_eq!(plan.hopeless[0].1.path, path);
        apply(&store, &plan, &Silent);
        assert!(tree(dir.path()) == before, "{path}");
    }
}

#[test]
fn replicas_that_contradict_each_other_are_named_and_left_alone() {
    let dir = directory();
    pair(dir.path());
    // A newest checkpoint that was replaced with care: nothing shows which one was committed.
    let change = |name: &str, number: u64| {
        let path = dir.path().join(format!("{name}/checkpoints/{number:08}/manifest.yaml"));
        let text = fs::read_to_string(&path).expect("read").replace("pause_micros: 850", "pause_micros: 851");
        fs::write(&path, &text).expect("written");
        let path = dir.path().join(format!("{name}/checkpoints/{number:08}/SHA256SUMS"));
        let list = fs::read_to_string(&path).expect("read");
        let (objects, _) = list.trim_end().rsplit_once('\n').expect("lines");
        let sum = ckpt::values::digest::Digest::of(text.as_bytes());
        fs::write(&path, format!("{objects}\n{sum}  manifest.yaml\n")).expect("written");
    };
    change("b", 3);
    let store = open(dir.path());
    let reports = verified(&store);
    let manifest = |number: u64| format!("checkpoints/{number:08}/manifest.yaml");
    assert_eq!(damage(&reports), [("b".to_owned(), FindingCode::ReplicaDiverged, manifest(3))]);
    let found = plan(&store, &reports);
    assert_eq!((found.steps.len(), found.hopeless.len()), (0, 1), "{found:?}");

    // For an older one, the next checkpoint shows which is right.
    let dir = directory();
    pair(dir.path());
    let before = tree(dir.path());
    let change = |number: u64| {
        let path = dir.path().join(format!("a/{}", manifest(number)));
        let text = fs::read_to_string(&path).expect("read").replace("pause_micros: 850", "pause_micros: 851");
        fs::write(&path, &text).expect("written");
        let path = dir.path().join(format!("a/checkpoints/{number:08}/SHA256SUMS"));
        let list = fs::read_to_string(&path).expect("read");
        let (objects, _) = list.trim_end().rsplit_once('\n').expect("lines");
        let sum = ckpt::values::digest::Digest::of(text.as_bytes());
        fs::write(&path, format!("{objects}\n{sum}  manifest.yaml\n")).expect("written");
    };
    change(2);
    let store = open(dir.path());
    let found = plan(&store, &verified(&store));
    assert_eq!(
        steps(&found),
        [("a".to_owned(), "checkpoints/00000002/SHA256SUMS".to_owned()), ("a".to_owned(), manifest(2))]
    );
    assert!(found.hopeless.is_empty(), "{:?}", found.hopeless);
    apply(&store, &found, &Silent).into_iter().for_each(|outcome| outcome.result.expect("healed"));
    let mut after = tree(dir.path());
    set_aside(&mut after);
    assert!(after == before);
}

#[test]
fn a_repair_that_is_stopped_at_any_call_is_finished_by_the_next() {
    let whole = directory();
    pair(whole.path());
    let before = tree(whole.path());
    let strike = |dir: &Path| {
        let targets = targets(dir);
        for (path, other) in targets.iter().filter(|(path, _)| path != "store.yaml") {
            Damage::Replace.strike(&dir.join("b").join(path), other);
        }
        fs::remove_dir_all(dir.join("b/checkpoints/00000001")).expect("removed");
    };
    for stop in 0.. {
        let dir = directory();
        pair(dir.path());
        strike(dir.path());
        let reports = verified(&open(dir.path()));
        let stopping = Arc::new(Failing::new(LocalStorage::new(dir.path().join("b"))).fail_after(stop));
        let places = vec![local(dir.path().join("a")), stopping.clone()];
        let store = Store::open_available(places, 0, 2).expect("opened");
        let outcomes = apply(&store, &plan(&store, &reports), &Silent);
        let done = stopping.calls() <= stop && outcomes.iter().all(|outcome| outcome.result.is_ok());
        let store = open(dir.path());
        let reports = verified(&store);
        let rest = plan(&store, &reports);
        assert!(rest.hopeless.is_empty(), "stopped at {stop}: {:?}", rest.hopeless);
        assert!(!done || rest.steps.is_empty(), "{rest:?}");
        apply(&store, &rest, &Silent).into_iter().for_each(|outcome| outcome.result.expect("healed"));
        let mut after = tree(dir.path());
        set_aside(&mut after);
        // A stop between two writes may leave files that were moved out of the way, and nothing else.
        assert!(after == before, "stopped at {stop}");
        if done {
            break;
        }
    }
}

#[test]
fn a_daily_sample_reads_every_object_once_in_its_period() {
    let dir = directory();
    pair(dir.path());
    let store = open(dir.path());
    let all: u64 = verified(&store).iter().map(|report| report.objects).sum();
    let mut read = 0;
    for day in 20_000..20_007 {
        let options = Options { choice: Choice::Sample(Sample { parts: 7, day }), ..Options::default() };
        let reports = verify_with(&store, &options, &Silent).expect("looked at");
        assert!(reports.iter().all(Report::is_intact));
        read += reports.iter().map(|report| report.objects - report.unread).sum::<u64>();
    }
    assert_eq!(read, all);
}

#[test]
fn what_was_read_least_recently_is_next_in_whichever_replica_it_is() {
    let dir = directory();
    pair(dir.path());
    let store = open(dir.path());
    let all: u64 = verified(&store).iter().map(|report| report.objects).sum();
    let mut seen = ReadTimes::default();
    let mut day = 0;
    let mut read = 0;
    while read < all {
        let left = std::sync::atomic::AtomicI64::new(3);
        let enough = || left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) <= 0;
        let options = Options { choice: Choice::Turn { read_times: &seen, enough: &enough }, ..Options::default() };
        let reports = verify_with(&store, &options, &Silent).expect("looked at");
        day += 1;
        for report in &reports {
            let times = seen.places.entry(report.place.clone()).or_default();
            for object in &report.intact {
                assert_eq!(times.insert(*object, day), None, "nothing is read twice before everything is read once");
                read += 1;
            }
        }
    }
    assert_eq!(day, (all as i64 + 2) / 3);
}

#[test]
fn a_damaged_segment_costs_its_rows_since_the_first_checkpoint_that_needs_it() {
    let dir = directory();
    pair(dir.path());
    let store = Store::open(vec![local(dir.path().join("a"))]).expect("opened");
    let table = store.manifest(Sequence(3)).expect("read").manifest.tables.index;
    let rows = index::decode(store.object(table).expect("read")).expect("an index");
    for row in rows {
        let path = dir.path().join("a").join(row.object.path().as_str());
        let good = fs::read(&path).expect("read");
        fs::write(&path, b"x").expect("written");
        let reports = verified(&store);
        let [finding] = &reports[0].findings[..] else { panic!("{reports:?}") };
        let lost = ckpt::ops::finding::Lost::Rows {
            first_task: row.first_task,
            last_task: row.last_task,
            rows: row.rows,
            smallest_key: row.smallest_key,
            largest_key: row.largest_key,
        };
        assert_eq!(finding.lost, Some(lost));
        // A segment has been needed since the checkpoint of its cut.
        assert_eq!(finding.checkpoints.first(), Some(&Sequence(row.cut)));
        assert_eq!(reports[0].newest_intact(), row.cut.checked_sub(1).filter(|it| *it > 0).map(Sequence));
        fs::write(&path, good).expect("written");
    }
}
