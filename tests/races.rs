//! Two processes write to one store at the same time: one is stopped at each of its storage calls while the other does
//! all of its work.
//!
//! Whatever the order, every checkpoint in every place is whole afterwards, the latest one exists, a pinned
//! one is not pruned, and once the replicas have been made equal, nothing that was pruned is back.
//!
//! By default each pair tries a sample, chosen by `CKPT_SEED`; `CKPT_FAULTS=all` tries every call.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ckpt::format::manifest::Routing;
use ckpt::ops::finding::Severity;
use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::Storage;
use ckpt::store::Store;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::Timestamp;

use crate::crash::sampled;
use crate::support::interleaved::{Stopped, impatient};
use crate::support::random::{Random, seed};
use crate::support::simulated::Disk;
use crate::support::store_builder::StoreBuilder;
use crate::support::writers::{Process, text};

/// How many calls of each first writer are tried by default.
const SAMPLE: usize = 12;

type Places = Vec<Arc<dyn Storage>>;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

/// What is done to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// A run starts: it makes the replicas equal and leaves.
    CatchUp,
    /// Prunes all but the newest two.
    Prune {
        grace: Duration,
    },
    Undo,
    /// Pins checkpoint 3.
    Pin,
    /// Commits checkpoint 3 again.
    RollBack,
    /// Copies all checkpoints from elsewhere to the second place.
    CopyInto,
    Repair,
}

use Writer::{CatchUp, CopyInto, Pin, Prune, Repair, RollBack, Undo};

const AT_ONCE: Writer = Prune { grace: Duration::ZERO };
const WITH_GRACE: Writer = Prune { grace: Duration::from_secs(86_400) };

impl Writer {
    fn work(self, places: Places, elsewhere: &Disk) -> Result<(), String> {
        let process = Process { places, holder: &format!("{self:?}"), now: now() };
        match self {
            CatchUp => {
                let Process { places, holder, .. } = process;
                Store::open_for_writing_within(places, 1, holder, Duration::ZERO).map(drop).map_err(text)
            }
            Prune { grace } => process.prune(grace),
            Undo => process.undo(),
            Pin => process.pin(Sequence(3)),
            RollBack => process.roll_back(Sequence(3)),
            CopyInto => process.copy_from(Arc::new(elsewhere.calm())),
            Repair => process.repair(),
        }
    }
}

/// Makes a store with a replica that lacks the newest four of six checkpoints, and a copy of the store elsewhere.
fn built(pruned: bool) -> (Vec<Disk>, Disk) {
    let disk = Disk::new();
    let mut builder = StoreBuilder::on(vec![Arc::new(disk.calm())], 8, 3, Routing::KeyHash);
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4)), ("xan", Some(9))]);
    builder.commit(&[("cyd", Some(30)), ("eve", Some(5))]);
    let behind = disk.after_death();
    builder.commit(&[("dan", None), ("fay", Some(6))]);
    builder.restart();
    builder.commit(&[("ann", Some(8)), ("gus", Some(1))]);
    builder.commit(&[("bob", Some(8))]);
    builder.commit(&[("eve", Some(9))]);
    let disks = vec![disk.after_death(), behind];
    if pruned {
        let places = disks.iter().map(|disk| Arc::new(disk.calm()) as Arc<dyn Storage>).collect();
        WITH_GRACE.work(places, &disk).expect("pruned");
    }
    (disks, disk.after_death())
}

/// Fails if a checkpoint in any place is damaged.
#[track_caller]
fn assert_whole(store: &Store, context: &str) {
    for report in verify(store, None, Depth::Full, &Silent).expect("verified") {
        for finding in &report.findings {
            assert!(finding.severity() != Severity::Damage, "{context}: `{}`: {finding:?}", report.place);
        }
    }
}

/// Stops `first` at call number `at`, lets `second` do its work, and lets `first` continue. Returns the calls of `first`.
fn race(first: Writer, second: Writer, at: u64) -> u64 {
    let (before, elsewhere) = built(first == Undo || second == Undo);
    let disks: Vec<Disk> = before.iter().map(Disk::after_death).collect();
    let outcome = Arc::new(Mutex::new(Err("it was not stopped".to_owned())));
    let (others, source, done) = (disks.clone(), elsewhere.after_death(), Arc::clone(&outcome));
    let process = Stopped::at(at, move || {
        let places = others.iter().map(|disk| impatient(disk.calm())).collect();
        *done.lock().expect("not poisoned") = second.work(places, &source);
    });
    let own = first.work(disks.iter().map(|disk| process.open(disk.calm())).collect(), &elsewhere);
    let other = outcome.lock().expect("not poisoned").clone();
    let context = format!("{first:?} ({own:?}) stopped at call {at} for {second:?} ({other:?})");

    let disks: Vec<Disk> = disks.iter().map(Disk::after_death).collect();
    let places = || disks.iter().map(|disk| Arc::new(disk.calm()) as Arc<dyn Storage>).collect::<Places>();
    let store = Store::open(places()).expect("opened");
    assert_whole(&store, &context);
    let sequences = store.sequences().expect("listed");
    assert!(sequences.contains(&Sequence(6)), "{context}: the latest checkpoint is gone");
    let is_pinned = [(first, &own), (second, &other)].iter().any(|(writer, done)| *writer == Pin && done.is_ok());
    assert!(!is_pinned || sequences.contains(&Sequence(3)), "{context}: a pinned checkpoint is gone");

    // The next run makes the replicas equal, and the next prune finishes what was interrupted or refused.
    CatchUp.work(places(), &elsewhere).unwrap_or_else(|error| panic!("{context}, then a run: {error}"));
    AT_ONCE.work(places(), &elsewhere).unwrap_or_else(|error| panic!("{context}, then a prune: {error}"));
    assert_whole(&store, &format!("{context}, then a run and a prune"));
    let pins: BTreeSet<Sequence> = store.pins().expect("read").into_keys().collect();
    let newest = store.sequences().expect("listed").into_iter().rev().take(2);
    let expected: Vec<Sequence> = newest.chain(pins).collect::<BTreeSet<_>>().into_iter().collect();
    for replica in store.replicas() {
        let mut found = replica.sequences().expect("listed");
        // A replica that never had a pinned checkpoint does not get it.
        let expected: Vec<Sequence> = expected.iter().copied().filter(|it| found.contains(it)).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{context}: what was pruned is back in `{}`", replica.place());
    }
    process.calls()
}

fn race_everywhere(first: Writer, second: Writer, random: &mut Random) {
    let calls = race(first, second, u64::MAX);
    let stops = sampled(calls, SAMPLE, random);
    for &at in &stops {
        race(first, second, at);
    }
    println!("{first:?} beside {second:?}: stopped at {} of {calls} calls", stops.len());
}

/// Tries each of `writers` beside a prune, and a prune beside each of them.
fn beside_a_prune(writers: &[Writer]) {
    let mut random = Random(seed(0x0ace));
    for &writer in writers {
        for prune in [AT_ONCE, WITH_GRACE] {
            race_everywhere(writer, prune, &mut random);
            race_everywhere(prune, writer, &mut random);
        }
    }
}

#[test]
fn catching_up_a_replica_beside_a_prune_leaves_whole_checkpoints_and_brings_none_back() {
    beside_a_prune(&[CatchUp]);
}

#[test]
fn a_copy_into_a_store_beside_a_prune_leaves_whole_checkpoints() {
    beside_a_prune(&[CopyInto]);
}

#[test]
fn an_undo_and_a_pin_beside_a_prune_leave_whole_checkpoints() {
    beside_a_prune(&[Undo, Pin]);
}

#[test]
fn a_rollback_beside_a_prune_leaves_whole_checkpoints() {
    beside_a_prune(&[RollBack]);
}

#[test]
fn a_repair_beside_a_prune_leaves_whole_checkpoints() {
    beside_a_prune(&[Repair]);
}

#[test]
fn two_prunes_beside_each_other_leave_whole_checkpoints() {
    beside_a_prune(&[AT_ONCE]);
}

#[test]
fn catching_up_a_replica_beside_a_repair_a_copy_and_an_undo_leaves_whole_checkpoints() {
    let mut random = Random(seed(0x0ace));
    for other in [Repair, CopyInto, Undo, Pin] {
        race_everywhere(CatchUp, other, &mut random);
        race_everywhere(other, CatchUp, &mut random);
    }
}
