//! Stores in simulated object storage, where nothing is locked: two processes write at once, one of them stopped at each
//! of its calls while the other does all of its work; answers are lost, and requests arrive late.
//!
//! Whatever happens, every checkpoint that exists is whole, the latest one exists, the manifests form one chain, and what
//! a command reported as done is done.
//!
//! By default each pair tries a sample, chosen by `CKPT_SEED`; `CKPT_FAULTS=all` tries every call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ckpt::format::index;
use ckpt::format::layout::{self, ObjectKind, ObjectName};
use ckpt::format::manifest::{Parent, Routing, Trigger};
use ckpt::format::owner::Owner;
use ckpt::ops::finding::Severity;
use ckpt::ops::read::Snapshot;
use ckpt::ops::restore::{PositionChanges, plan_rollback};
use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::Storage;
use ckpt::store::{Store, StoreError};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::{SignedDuration, Timestamp};

use crate::crash::sampled;
use crate::support::interleaved::Stopped;
use crate::support::objects::{Client, Fate, Objects};
use crate::support::random::{Random, seed};
use crate::support::store_builder::StoreBuilder;
use crate::support::writers::{Process, text};

/// How many calls of each first writer are tried by default.
const SAMPLE: usize = 6;

/// The number of the latest checkpoint in the store that each test begins with.
const LATEST: u64 = 6;

const DAY: Duration = Duration::from_secs(86_400);

/// What is done to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// A run commits the next checkpoint, on top of the latest.
    Commit,
    /// A run that has read the latest checkpoint before anything else happened commits the next one three times.
    CommitThrice,
    /// Prunes all but the newest two, and deletes them at once.
    PruneAtOnce,
    /// The same, but they can be brought back for a day.
    PruneWithGrace,
    /// Prunes again two days later, which deletes what was pruned before.
    PruneLater,
    Undo,
    /// Pins checkpoint 3.
    Pin,
    /// Commits checkpoint 3 again.
    RollBack,
    /// Copies all checkpoints from elsewhere.
    CopyInto,
    Repair,
}

use Writer::{Commit, CommitThrice, CopyInto, Pin, PruneAtOnce, PruneLater, PruneWithGrace, Repair, RollBack, Undo};

const ALL: [Writer; 10] =
    [Commit, CommitThrice, PruneAtOnce, PruneWithGrace, PruneLater, Undo, Pin, RollBack, CopyInto, Repair];

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

impl Writer {
    fn work(self, place: Arc<dyn Storage>, elsewhere: &Objects) -> Result<(), String> {
        let (holder, later) = (format!("{self:?}"), now() + SignedDuration::from_hours(48));
        let now = if self == PruneLater { later } else { now() };
        let process = Process { places: vec![place], holder: &holder, now };
        match self {
            Commit => commit_times(process.places, &holder, 1),
            CommitThrice => commit_times(process.places, &holder, 3),
            PruneAtOnce => process.prune(Duration::ZERO),
            PruneWithGrace | PruneLater => process.prune(DAY),
            Undo => process.undo(),
            Pin => process.pin(Sequence(3)),
            RollBack => process.roll_back(Sequence(3)),
            CopyInto => process.copy_from(Arc::new(elsewhere.client(None))),
            Repair => process.repair(),
        }
    }
}

/// Opens the store as a run does, and commits the next checkpoints.
fn commit_times(places: Vec<Arc<dyn Storage>>, holder: &str, times: u32) -> Result<(), String> {
    let (store, _lock) = Store::open_for_writing(places, 1, holder).map_err(text)?;
    let mut latest = store.sequences().map_err(text)?.pop().ok_or("no checkpoint")?;
    for _ in 0..times {
        commit_after(&store, latest).map_err(text)?;
        latest = latest.next();
    }
    Ok(())
}

/// Commits a checkpoint with the content of `latest`, as a run does: with tables of its own, and segments that both
/// share.
fn commit_after(store: &Store, latest: Sequence) -> Result<(), StoreError> {
    let read = |error: ckpt::ops::read::ReadError| StoreError::NoStore { place: error.to_string() };
    let snapshot = Snapshot::open(store, latest).map_err(read)?;
    let next = latest.next();
    static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
    let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
    let owner = Owner { checkpoint: None, attempt: Some(format!("{attempt:016x}-{next}")) };
    let mut manifest = snapshot.committed.manifest.clone();
    let index = store.put(&index::encode_of(&snapshot.index, &owner), ObjectKind::Parquet)?.object;
    manifest.totals.bytes = manifest.totals.bytes - manifest.tables.index.bytes + index.bytes;
    manifest.totals.new_bytes = index.bytes;
    manifest.totals.changed_keys = 0;
    manifest.sequence = next;
    manifest.parent = Some(Parent { sequence: latest, sha256: snapshot.committed.sha256 });
    manifest.trigger = Trigger::Schedule;
    manifest.restored_from = None;
    manifest.tables.index = index;
    let objects: Vec<ObjectName> = manifest.objects(&snapshot.index).iter().map(|object| object.object).collect();
    store.commit(&manifest, &objects).map(drop)
}

/// Makes a store of six checkpoints in object storage, each an hour later, and a copy elsewhere. The oldest of `pruned`
/// ones can be brought back.
fn built(is_pruned: bool) -> (Objects, Objects) {
    let objects = Objects::default();
    let mut builder = StoreBuilder::on(vec![Arc::new(objects.client(None))], 8, 3, Routing::KeyHash);
    let mut commit = |changes: &[(&str, Option<i64>)], is_new_base: bool| {
        objects.pass(3_600);
        if is_new_base {
            builder.restart();
        }
        builder.commit(changes);
    };
    commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4)), ("xan", Some(9))], false);
    commit(&[("cyd", Some(30)), ("eve", Some(5))], false);
    commit(&[("dan", None), ("fay", Some(6))], false);
    commit(&[("ann", Some(8)), ("gus", Some(1))], true);
    commit(&[("bob", Some(8))], false);
    commit(&[("eve", Some(9))], true);
    objects.pass(3_600);
    let elsewhere = objects.copied();
    if is_pruned {
        PruneWithGrace.work(Arc::new(objects.client(None)), &elsewhere).expect("pruned");
    }
    (objects, elsewhere)
}

/// Checks what holds at any time.
#[track_caller]
fn assert_whole(objects: &Objects, context: &str) {
    let store = Store::open(vec![Arc::new(objects.client(None))]).expect("opened");
    for report in verify(&store, None, Depth::Full, &Silent).expect("verified") {
        for finding in &report.findings {
            assert!(finding.severity() != Severity::Damage, "{context}: {finding:?}");
        }
    }
    let sequences = store.sequences().expect("listed");
    assert!(sequences.last() >= Some(&Sequence(LATEST)), "{context}: the latest checkpoint is gone");
}

/// Checks what the writers reported as done, and that the next ones find a store that they can use.
#[track_caller]
fn assert_done(objects: &Objects, elsewhere: &Objects, done: &[(Writer, &Result<(), String>)], context: &str) {
    assert_whole(objects, context);
    let store = Store::open(vec![Arc::new(objects.client(None))]).expect("opened");
    let sequences = store.sequences().expect("listed");
    let is_done = |wanted: Writer| done.iter().any(|(writer, outcome)| *writer == wanted && outcome.is_ok());
    let commits = done.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(writer, _)| match writer {
        Commit | RollBack => 1,
        CommitThrice => 3,
        _ => 0,
    });
    let commits: u64 = commits.sum();
    assert!(
        sequences.last().is_some_and(|latest| latest.0 >= LATEST + commits),
        "{context}: {commits} commits, {sequences:?}"
    );
    assert!(!is_done(Pin) || sequences.contains(&Sequence(3)), "{context}: a pinned checkpoint is gone");
    let was_pruned_since = done.iter().any(|(writer, _)| matches!(writer, PruneAtOnce | PruneWithGrace | PruneLater));
    assert!(
        !is_done(Undo) || was_pruned_since || sequences.contains(&Sequence(3)),
        "{context}: a checkpoint was not brought back"
    );
    objects.pass(100_000);
    for writer in [Commit, PruneLater, Commit] {
        let next = writer.work(Arc::new(objects.client(None)), elsewhere);
        next.unwrap_or_else(|error| panic!("{context}, then {writer:?}: {error}"));
        objects.pass(100_000);
    }
    assert_whole(objects, &format!("{context}, then a run and a prune"));
}

/// Tells whether two writers may meet once the lease of the first is over: a copy relies on it, see `docs/format.md`.
fn relies_on_the_lease(first: Writer, second: Writer) -> bool {
    let copies = |writer| matches!(writer, CopyInto | Repair);
    let prunes = |writer| matches!(writer, PruneAtOnce | PruneWithGrace | PruneLater | Undo);
    (copies(first) && prunes(second)) || (prunes(first) && copies(second))
}

/// Stops `first` at call number `at` for `pause` seconds, lets `second` do its work, and lets `first` continue. Returns
/// the calls of `first`.
fn race(first: Writer, second: Writer, at: u64, pause: i64) -> u64 {
    let (objects, elsewhere) = built([first, second].iter().any(|writer| matches!(writer, Undo | PruneLater)));
    let outcome = Arc::new(Mutex::new(Err("it was not stopped".to_owned())));
    let (other, source, done) = (objects.client(None), elsewhere.copied(), Arc::clone(&outcome));
    let server = objects.clone();
    let process = Stopped::at(at, move || {
        server.pass(pause);
        *done.lock().expect("not poisoned") = second.work(Arc::new(other), &source);
    });
    let own = first.work(process.open(objects.client(None)), &elsewhere);
    let other = outcome.lock().expect("not poisoned").clone();
    let context = format!("{first:?} ({own:?}) stopped at call {at} for {pause} s for {second:?} ({other:?})");
    assert_done(&objects, &elsewhere, &[(first, &own), (second, &other)], &context);
    process.calls()
}

fn beside_all(writers: &[Writer]) {
    let mut random = Random(seed(0x0b1e));
    for &first in writers {
        for second in ALL {
            let calls = race(first, second, u64::MAX, 0);
            for at in sampled(calls, SAMPLE, &mut random) {
                race(first, second, at, 0);
                if !relies_on_the_lease(first, second) {
                    race(first, second, at, 4_000);
                }
            }
        }
    }
}

#[test]
fn runs_beside_every_other_writer_leave_whole_checkpoints() {
    beside_all(&[Commit, CommitThrice]);
}

#[test]
fn prunes_beside_every_other_writer_leave_whole_checkpoints() {
    beside_all(&[PruneAtOnce, PruneWithGrace, PruneLater]);
}

#[test]
fn undos_and_pins_beside_every_other_writer_leave_whole_checkpoints() {
    beside_all(&[Undo, Pin]);
}

#[test]
fn rollbacks_beside_every_other_writer_leave_whole_checkpoints() {
    beside_all(&[RollBack]);
}

#[test]
fn copies_and_repairs_beside_every_other_writer_leave_whole_checkpoints() {
    beside_all(&[CopyInto, Repair]);
}

#[test]
fn a_write_without_an_answer_leaves_whole_checkpoints_whatever_became_of_it() {
    let mut random = Random(seed(0x0105));
    for writer in ALL {
        let work = |fate: Option<(u64, Fate)>| {
            let (objects, elsewhere) = built(matches!(writer, Undo | PruneLater));
            let client: Client = objects.client(fate);
            let own = writer.work(Arc::new(client.clone()), &elsewhere);
            let context = format!("{writer:?} ({own:?}) with {fate:?}");
            assert_whole(&objects, &context);
            // Another run continues before a late request arrives, and one after.
            let next = Commit.work(Arc::new(objects.client(None)), &elsewhere);
            next.unwrap_or_else(|error| panic!("{context}, then a run: {error}"));
            objects.settle();
            assert_done(&objects, &elsewhere, &[(writer, &own)], &context);
            client.writes()
        };
        let writes = work(None);
        for at in sampled(writes, SAMPLE, &mut random) {
            for fate in [Fate::Lost, Fate::Unanswered, Fate::Late(1), Fate::Late(4), Fate::Late(u64::MAX)] {
                work(Some((at, fate)));
            }
        }
    }
}

#[test]
fn of_two_runs_one_continues_and_the_other_says_who_has_the_store() {
    let (objects, _) = built(false);
    let open = |holder: &str| Store::open_for_writing(vec![Arc::new(objects.client(None))], 1, holder);
    let (slow, _slow_lock) = open("the slow run").expect("opened");
    let (fast, _fast_lock) = open("the fast run").expect("opened");
    commit_after(&fast, Sequence(LATEST)).expect("committed");
    match commit_after(&slow, Sequence(LATEST)) {
        Err(StoreError::Overtaken { sequence, holder, .. }) => {
            assert_eq!((sequence, holder.as_str()), (Sequence(LATEST + 1), "the fast run"));
        }
        other => panic!("{other:?}"),
    }
    commit_after(&fast, Sequence(LATEST + 1)).expect("the other one continues");
}

#[test]
fn a_run_that_slept_until_its_number_was_pruned_does_not_commit() {
    let (before, elsewhere) = built(false);
    for at in 0..calls_of_a_commit(&before.copied()) {
        let objects = before.copied();
        let (server, source) = (objects.clone(), elsewhere.copied());
        let sleeper = Stopped::at(at, move || {
            let place = || Arc::new(server.client(None)) as Arc<dyn Storage>;
            for _ in 0..4 {
                Commit.work(place(), &source).expect("committed");
                server.pass(3_600);
            }
            PruneAtOnce.work(place(), &source).expect("pruned");
        });
        let store = Store::open(vec![sleeper.open(objects.client(None))]).expect("opened");
        let outcome = commit_after(&store, Sequence(LATEST)).map_err(text);
        let context = format!("stopped at call {at}: {outcome:?}");
        assert_whole(&objects, &context);
        let store = Store::open(vec![Arc::new(objects.client(None))]).expect("opened");
        let latest = store.sequences().expect("listed").pop();
        assert!(latest >= Some(Sequence(LATEST + 4)), "{context}: {latest:?}");
    }
}

#[test]
fn a_pin_beside_a_rollback_to_the_same_checkpoint_stays() {
    let (mut pinned, mut lost) = (0, 0);
    for at in 0..race(RollBack, Pin, u64::MAX, 0) {
        let (objects, elsewhere) = built(false);
        let outcome = Arc::new(Mutex::new(Err("it was not stopped".to_owned())));
        let (server, source, done) = (objects.clone(), elsewhere.copied(), Arc::clone(&outcome));
        let process = Stopped::at(at, move || {
            server.pass(4_000);
            *done.lock().expect("not poisoned") = Pin.work(Arc::new(server.client(None)), &source);
        });
        let _ = RollBack.work(process.open(objects.client(None)), &elsewhere);
        if outcome.lock().expect("not poisoned").is_ok() {
            let store = Store::open(vec![Arc::new(objects.client(None))]).expect("opened");
            pinned += 1;
            lost += u32::from(!store.pins().expect("listed").contains_key(&Sequence(3)));
        }
    }
    // A pin that comes between the last look at the own one and its deletion is lost: buckets delete without conditions.
    assert!(pinned > 20 && lost <= 1, "{lost} of {pinned} pins were lost");
}

#[test]
fn what_two_rollbacks_write_is_never_the_same_object() {
    let (objects, _) = built(false);
    let store = Store::open(vec![Arc::new(objects.client(None))]).expect("opened");
    let plan = || {
        let forget = vec![partition_of(&store, Sequence(3))];
        let changes = PositionChanges { seeks: Vec::new(), forget };
        plan_rollback(&store, Sequence(3), changes, now()).expect("planned").manifest.tables.positions
    };
    assert_ne!(plan(), plan());
}

#[test]
fn an_object_that_gets_no_answer_is_not_taken_for_missing() {
    let (objects, elsewhere) = built(false);
    let open = |places: &[&Objects]| {
        let places = places.iter().map(|place| Arc::new(place.client(None)) as Arc<dyn Storage>);
        Store::open(places.collect()).expect("opened")
    };
    let needed = Snapshot::open(&open(&[&objects]), Sequence(LATEST)).expect("read").committed.manifest.tables.index;
    let (object, name) = (needed.object, needed.object.path());

    // One that is missing is copied from the other replica.
    objects.client(None).delete(&name).expect("deleted");
    open(&[&objects, &elsewhere]).take_over(&[object]).expect("copied");
    open(&[&objects]).object(needed).expect("copied");

    objects.client(None).delete(&name).expect("deleted");
    elsewhere.silence(&name);
    open(&[&objects, &elsewhere]).take_over(&[object]).expect_err("unknown in one replica, missing in the other");
    let error = open(&[&elsewhere]).take_over(&[object]).expect_err("unknown in the only replica");
    assert!(error.is_inconclusive(), "{error}");
}

#[test]
fn what_is_put_while_others_commit_is_kept_or_known_to_be_pruned() {
    // A prune spares five minutes, and a look is needed after one.
    for (seconds, is_pruned) in [(0, false), (59, false), (60, false), (300, false), (301, true), (3_600, true)] {
        let (objects, elsewhere) = built(false);
        let store = Store::open(vec![Arc::new(objects.client(None))]).expect("opened");
        let since = Sequence(LATEST).next();
        commit_after(&store, Sequence(LATEST)).expect("committed");
        let put = store.put(b"what no checkpoint names", ObjectKind::Yaml).expect("put").object;
        objects.pass(seconds);
        commit_after(&store, since).expect("committed");
        PruneAtOnce.work(Arc::new(objects.client(None)), &elsewhere).expect("pruned");
        assert_eq!(store.object(put).is_err(), is_pruned, "after {seconds} s");
        match store.keep(&[put], Some(since)) {
            Ok(()) => assert!(!is_pruned, "after {seconds} s"),
            Err(error) => assert!(is_pruned && error.is_not_found(), "after {seconds} s: {error}"),
        }
        // A checkpoint that does not exist any more proves nothing, and neither does one that was written again.
        assert_eq!(store.keep(&[put], Some(Sequence(3))).is_err(), is_pruned, "after {seconds} s");
        let (place, name) = (objects.client(None), layout::manifest(since));
        objects.pass(1);
        place.replace(&name, &place.get(&name, u64::MAX).expect("read")).expect("written");
        assert_eq!(store.keep(&[put], Some(since)).is_err(), is_pruned, "after {seconds} s");
    }
}

/// Returns a partition that a checkpoint has a position in.
fn partition_of(store: &Store, sequence: Sequence) -> String {
    let positions = Snapshot::open(store, sequence).and_then(|snapshot| snapshot.positions(store));
    positions.expect("read").pop().expect("a partition").partition
}

/// Returns how many calls a commit makes.
fn calls_of_a_commit(objects: &Objects) -> u64 {
    let process = Stopped::at(u64::MAX, || {});
    let store = Store::open(vec![process.open(objects.client(None))]).expect("opened");
    commit_after(&store, Sequence(LATEST)).expect("committed");
    process.calls()
}
