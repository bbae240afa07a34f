//! Replicas that were cut off from each other without diverging: when they meet, they are made equal, and each stays
//! whole.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ckpt::ops::finding::{FindingCode, Severity};
use ckpt::ops::restore::{PositionChanges, apply_rollback, plan_rollback};
use ckpt::ops::verify::{Depth, verify};
use ckpt::ops::{copy, repair};
use ckpt::storage::Storage;
use ckpt::storage::local::LocalStorage;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{Request, apply, apply_undo, plan, plan_undo};
use ckpt::store::{Store, StoreError};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::support::failing::Failing;
use crate::support::store_builder::StoreBuilder;
use crate::support::tree;

mod behind;

/// Replicas that have committed the same checkpoints, up to some number.
struct Replicas {
    dir: tempfile::TempDir,
}

impl Replicas {
    /// Makes replicas with this many checkpoints each. Those in `branch` have another last checkpoint.
    fn new(counts: &[(&str, i64)], branch: &[&str]) -> Replicas {
        let dir = tempfile::tempdir().expect("a directory");
        for &(name, count) in counts {
            let mut builder = StoreBuilder::keyed(&dir.path().join(name));
            for clicks in 1..=count {
                let own = if branch.contains(&name) && clicks == count { 100 } else { clicks };
                builder.commit(&[("ann", Some(own)), (["bob", "cyd"][clicks as usize % 2], Some(own))]);
            }
        }
        Replicas { dir }
    }

    fn place(&self, name: &str) -> Arc<dyn Storage> {
        Arc::new(LocalStorage::new(self.dir.path().join(name)))
    }

    fn open(&self, names: &[&str]) -> Store {
        Store::open(names.iter().map(|name| self.place(name)).collect()).expect("opened")
    }

    fn prune(&self, names: &[&str], last: u64, grace: u64) {
        let store = self.open(names);
        let policy = Policy { last, ..Policy::default() };
        let request = Request { policy, grace: Duration::from_secs(grace), zone: TimeZone::UTC };
        let plan = plan(&store, &request, now(), &Silent).expect("planned");
        apply(&store, &plan, "test", &Silent).expect("pruned");
    }

    fn undo(&self, names: &[&str]) {
        let store = self.open(names);
        let plan = plan_undo(&store, &Silent).expect("planned");
        apply_undo(&store, &plan, "test", now(), &Silent).expect("brought back");
    }

    fn checkpoints(&self, name: &str) -> Vec<u64> {
        self.open(&[name]).sequences().expect("listed").into_iter().map(|sequence| sequence.0).collect()
    }

    fn repair(&self, names: &[&str]) {
        let store = self.open(names);
        let reports = verify(&store, None, Depth::Full, &Silent).expect("verified");
        for outcome in repair::apply(&store, &repair::plan(&store, &reports), &Silent) {
            outcome.result.expect("repaired");
        }
    }

    /// Returns the history of a replica, event by event.
    fn events(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(name).join("history")).expect("listed");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("listed").path()).collect();
        files.sort();
        files.into_iter().map(|path| fs::read_to_string(path).expect("read")).collect()
    }

    /// Checks that the replicas are intact, together and each by itself.
    #[track_caller]
    fn assert_intact(&self, names: &[&str]) {
        for store in std::iter::once(self.open(names)).chain(names.iter().map(|name| self.open(&[name]))) {
            for report in verify(&store, None, Depth::Deep, &Silent).expect("verified") {
                assert!(report.is_intact(), "{report:#?}");
            }
        }
    }
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

#[test]
fn a_prune_leaves_a_replica_that_is_behind_its_newest_checkpoint() {
    let replicas = Replicas::new(&[("a", 4), ("b", 2)], &[]);
    replicas.prune(&["a", "b"], 1, 0);
    assert_eq!((replicas.checkpoints("a"), replicas.checkpoints("b")), (vec![2, 4], vec![2]));
    replicas.assert_intact(&["a", "b"]);
}

#[test]
fn a_restore_gives_a_replica_the_objects_that_were_pruned_there() {
    let replicas = Replicas::new(&[("a", 3), ("b", 3)], &[]);
    replicas.prune(&["a"], 1, 0);
    let store = replicas.open(&["a", "b"]);
    let plan = plan_rollback(&store, Sequence(1), PositionChanges::default(), now()).expect("planned");
    apply_rollback(&store, &plan, "test", &Silent).expect("restored");
    assert_eq!((replicas.checkpoints("a"), replicas.checkpoints("b")), (vec![3, 4], vec![1, 2, 3, 4]));
    replicas.assert_intact(&["a", "b"]);
}

#[test]
fn an_undo_brings_a_checkpoint_back_where_it_was_deleted_for_good() {
    let replicas = Replicas::new(&[("a", 3), ("b", 3)], &[]);
    replicas.prune(&["b"], 1, 0);
    replicas.prune(&["a"], 1, 86_400);
    replicas.undo(&["a", "b"]);
    assert_eq!((replicas.checkpoints("a"), replicas.checkpoints("b")), (vec![1, 2, 3], vec![1, 2, 3]));
    replicas.assert_intact(&["a", "b"]);
}

#[test]
fn what_one_replica_brought_back_alone_is_copied_to_the_others() {
    let replicas = Replicas::new(&[("a", 3), ("b", 3)], &[]);
    replicas.prune(&["a", "b"], 1, 86_400);
    replicas.undo(&["b"]);
    replicas.assert_intact(&["a", "b"]);
    replicas.open(&["a", "b"]).make_equal().expect("equal");
    assert_eq!((replicas.checkpoints("a"), replicas.checkpoints("b")), (vec![1, 2, 3], vec![1, 2, 3]));
    replicas.assert_intact(&["a", "b"]);
}

/// Makes two replicas of which `b` brought everything back and pruned it again, while `a` removed leftovers.
fn pruned_again_apart() -> Replicas {
    let replicas = Replicas::new(&[("a", 4), ("b", 4)], &[]);
    replicas.prune(&["a", "b"], 1, 86_400);
    replicas.undo(&["b"]);
    replicas.prune(&["a"], 1, 0);
    replicas.prune(&["b"], 1, 0);
    replicas
}

#[test]
fn a_checkpoint_that_was_pruned_again_stays_pruned_when_histories_are_merged() {
    let replicas = pruned_again_apart();
    let (own, others) = (replicas.events("a"), replicas.events("b"));
    assert_eq!((own.len(), others.len()), (2, 3), "{own:#?}\n{others:#?}");
    replicas.open(&["a", "b"]).make_equal().expect("equal");
    assert_eq!((replicas.checkpoints("a"), replicas.checkpoints("b")), (vec![4], vec![4]));
    assert_eq!(replicas.events("a"), replicas.events("b"));
    assert_eq!(replicas.events("a").len(), 4);
    replicas.assert_intact(&["a", "b"]);
}

/// Makes replicas equal with storages that stop after each call, and checks after each that every replica is intact by
/// itself, and that the next try makes them equal.
fn assert_intact_wherever_it_stops(story: impl Fn() -> Replicas) {
    let mut before = None;
    for calls in 0.. {
        let replicas = story();
        let stopping = Arc::new(Failing::new(LocalStorage::new(replicas.dir.path().join("a"))).fail_after(calls));
        let beside = stopping.beside(LocalStorage::new(replicas.dir.path().join("b")));
        let opened = Store::open(vec![stopping.clone(), Arc::new(beside)]);
        let done = opened.is_ok_and(|store| store.make_equal().is_ok());
        let left = Some(tree(replicas.dir.path()));
        if left != before {
            before = left;
            replicas.assert_intact(&["a", "b"]);
            replicas.open(&["a", "b"]).make_equal().expect("equal");
            assert_eq!(replicas.events("a"), replicas.events("b"), "stopped after {calls} calls");
            assert_eq!(replicas.checkpoints("a"), replicas.checkpoints("b"), "stopped after {calls} calls");
            replicas.assert_intact(&["a", "b"]);
        }
        if done && stopping.calls() < calls {
            return;
        }
    }
}

#[test]
fn a_merge_of_what_was_pruned_again_is_intact_wherever_it_stops() {
    assert_intact_wherever_it_stops(pruned_again_apart);
}

#[test]
fn a_merge_of_what_was_brought_back_is_intact_wherever_it_stops() {
    assert_intact_wherever_it_stops(|| {
        let replicas = Replicas::new(&[("a", 3), ("b", 3)], &[]);
        replicas.prune(&["a", "b"], 1, 86_400);
        replicas.undo(&["a"]);
        replicas
    });
}

#[test]
fn a_repair_copies_what_one_replica_brought_back_alone_with_its_history() {
    let replicas = Replicas::new(&[("a", 3), ("b", 3)], &[]);
    replicas.prune(&["a", "b"], 1, 86_400);
    replicas.undo(&["a"]);
    replicas.repair(&["a", "b"]);
    assert_eq!((replicas.checkpoints("a"), replicas.checkpoints("b")), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_eq!(replicas.events("b"), replicas.events("a"));
    replicas.assert_intact(&["a", "b"]);
}

#[test]
fn a_repair_leaves_out_an_event_whose_checkpoint_it_cannot_copy() {
    let replicas = Replicas::new(&[("a", 3), ("b", 3)], &[]);
    replicas.prune(&["a", "b"], 1, 86_400);
    let explained = replicas.events("b");
    replicas.undo(&["a"]);
    let lost = replicas.open(&["a"]).manifest(Sequence(2)).expect("read").manifest.tables.index.object;
    for name in ["a", "b"] {
        fs::remove_file(replicas.dir.path().join(name).join(lost.path().as_str())).expect("deleted");
    }
    replicas.repair(&["a", "b"]);
    assert_eq!(replicas.events("b"), explained);
    let reports = verify(&replicas.open(&["b"]), None, Depth::Full, &Silent).expect("verified");
    let gaps = reports[0].findings.iter().filter(|finding| finding.code == FindingCode::ChainGap);
    assert_eq!(gaps.count(), 0, "{reports:#?}");
}

#[test]
fn replicas_that_were_pruned_apart_exchange_their_histories() {
    let replicas = Replicas::new(&[("a", 4), ("b", 4)], &[]);
    replicas.prune(&["a"], 3, 0);
    replicas.prune(&["b"], 2, 0);
    replicas.prune(&["b"], 1, 0);
    replicas.assert_intact(&["a", "b"]);
    let store = replicas.open(&["a", "b"]);
    store.make_equal().expect("equal");
    store.make_equal().expect("equal again");
    assert_eq!(replicas.events("a"), replicas.events("b"));
    assert_eq!(replicas.open(&["a"]).history().expect("read").events.len(), 3);
    assert_eq!((replicas.checkpoints("a"), replicas.checkpoints("b")), (vec![2, 3, 4], vec![4]));
    let reports = verify(&replicas.open(&["a", "b"]), None, Depth::Full, &Silent).expect("verified");
    let codes: Vec<_> = reports.iter().flat_map(|report| &report.findings).map(|finding| finding.code).collect();
    assert!(codes.iter().all(|code| *code == FindingCode::ParentGone), "{codes:?}");
    replicas.assert_intact(&["a", "b"]);
}

#[test]
fn replicas_of_which_nothing_shows_that_they_are_copies_are_refused() {
    let replicas = Replicas::new(&[("a", 5), ("b", 2)], &[]);
    let source = replicas.open(&["a"]);
    let plan = copy::plan(&source, &[Sequence(5)], replicas.place("c")).expect("planned");
    copy::apply(&source, &plan, now(), "test", &Silent).expect("copied");
    let store = replicas.open(&["b", "c"]);
    let error = store.check_undivided().expect_err("unknown");
    assert!(matches!(error, StoreError::Unrelated { .. }), "{error:?}");
    let reports = verify(&store, None, Depth::Full, &Silent).expect("verified");
    let damage = reports.iter().flat_map(|report| &report.findings).filter(|it| it.severity() == Severity::Damage);
    assert_eq!(damage.map(|finding| finding.code).collect::<Vec<_>>(), [FindingCode::ReplicaUnrelated]);
    // A third replica may know both.
    replicas.open(&["b", "c", "a"]).check_undivided().expect("copies of each other");
}

#[test]
fn what_cannot_be_read_never_hides_a_fork() {
    let replicas = Replicas::new(&[("a", 3), ("b", 3)], &["b"]);
    let mut opened = 0;
    for call in 0..60 {
        for count in [1, 2, 3, 100] {
            let broken = Failing::new(LocalStorage::new(replicas.dir.path().join("b"))).fail_between(call, count);
            if let Ok(store) = Store::open(vec![replicas.place("a"), Arc::new(broken)]) {
                opened += 1;
                let error = store.check_undivided().expect_err("they diverged");
                assert!(matches!(error, StoreError::Diverged { .. } | StoreError::Storage(_)), "{call}: {error:?}");
            }
        }
    }
    assert!(opened > 60, "{opened}");
}
