//! Commands on a store one of whose replicas cannot be written to: they do their work in the others, and say what that
//! one keeps.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ckpt::format::layout;
use ckpt::ops::pin::{pin, unpin};
use ckpt::ops::repair;
use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::Storage;
use ckpt::storage::local::LocalStorage;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{Request, apply, apply_undo, plan, plan_undo};
use ckpt::store::{Store, StoreError, StoreNote};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::support::refusing::Refusing;
use crate::support::store_builder::three_checkpoints;
use crate::support::{Env, tree};

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

fn local(path: &Path) -> LocalStorage {
    LocalStorage::new(path)
}

/// Two equal replicas, `a` and `b`.
fn pair() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    ["a", "b"].iter().for_each(|name| drop(three_checkpoints(&dir.path().join(name))));
    dir
}

/// How replica `b` cannot be written to.
#[derive(Debug, Clone, Copy)]
enum Away {
    Gone,
    ReadOnly,
    /// Only the lock files can be written to.
    NotAllowed,
}

impl Away {
    fn open(self, dir: &Path) -> Store {
        let b: Arc<dyn Storage> = match self {
            Away::Gone => {
                fs::rename(dir.join("b"), dir.join("c")).expect("renamed");
                Arc::new(local(&dir.join("b")))
            }
            Away::ReadOnly => Arc::new(Refusing::new(local(&dir.join("b")), io::ErrorKind::ReadOnlyFilesystem, false)),
            Away::NotAllowed => Arc::new(Refusing::new(local(&dir.join("b")), io::ErrorKind::PermissionDenied, true)),
        };
        Store::open_available(vec![Arc::new(local(&dir.join("a"))), b], 0, 1).expect("opened")
    }
}

/// Calls `act` with the store for each way in which replica `b` can be away. Only `a` is changed, and the store says why.
#[track_caller]
fn in_each_way(prepare: impl Fn(&Path), act: impl Fn(&Store), check: impl Fn(&Path)) {
    for away in [Away::Gone, Away::ReadOnly, Away::NotAllowed] {
        let dir = pair();
        prepare(dir.path());
        let files = |name: &str| -> BTreeMap<String, Vec<u8>> {
            let mut files = tree(&dir.path().join(name));
            files.retain(|name, _| !name.ends_with("lock"));
            files
        };
        let (before, store) = (files("b"), away.open(dir.path()));
        act(&store);
        let kept = if matches!(away, Away::Gone) { "c" } else { "b" };
        assert!(files(kept) == before, "{away:?}: the replica is as it was");
        let reasons = store.take_away();
        assert!(matches!(&reasons[..], [(place, _)] if place.ends_with("/b")), "{away:?}: {reasons:?}");
        check(&dir.path().join("a"));
    }
}

fn exists(store: &Path, number: u64) -> bool {
    store.join(layout::checkpoint_dir(Sequence(number)).as_str()).exists()
}

fn prune(store: &Store, grace: Duration) {
    let request = Request { policy: Policy { last: 1, ..Policy::default() }, grace, zone: TimeZone::UTC };
    let plan = plan(store, &request, now(), &Silent).expect("planned");
    assert_eq!(apply(store, &plan, "test", &Silent).expect("pruned").checkpoints, 2);
}

#[test]
fn a_prune_does_what_it_can_where_a_replica_is_away() {
    for grace in [Duration::ZERO, Duration::from_secs(60)] {
        in_each_way(|_| {}, |store| prune(store, grace), |a| assert!(!exists(a, 1) && !exists(a, 2) && exists(a, 3)));
    }
}

#[test]
fn an_undo_does_what_it_can_where_a_replica_is_away() {
    let pruned = |dir: &Path| {
        let places = ["a", "b"].map(|name| Arc::new(local(&dir.join(name))) as Arc<dyn Storage>);
        prune(&Store::open(places.to_vec()).expect("opened"), Duration::from_secs(60));
    };
    let undo = |store: &Store| {
        let plan = plan_undo(store, &Silent).expect("planned");
        apply_undo(store, &plan, "test", now(), &Silent).expect("undone");
    };
    in_each_way(pruned, undo, |a| assert!(exists(a, 1) && exists(a, 2)));
}

#[test]
fn pins_are_set_and_removed_where_a_replica_is_away() {
    let is_pinned = |a: &Path| a.join(layout::pin(Sequence(2)).as_str()).exists();
    let set = |store: &Store| drop(pin(store, Sequence(2), None, now(), "test").expect("pinned"));
    in_each_way(|_| {}, set, |a| assert!(is_pinned(a)));
    let pinned = |dir: &Path| {
        let places = ["a", "b"].map(|name| Arc::new(local(&dir.join(name))) as Arc<dyn Storage>);
        set(&Store::open(places.to_vec()).expect("opened"));
    };
    in_each_way(pinned, |store| assert!(unpin(store, Sequence(2), "test").expect("done")), |a| assert!(!is_pinned(a)));
}

#[test]
fn a_replica_that_can_only_be_read_heals_the_others() {
    for away in [Away::ReadOnly, Away::NotAllowed] {
        let dir = pair();
        let objects: Vec<String> = tree(&dir.path().join("a/objects")).into_keys().collect();
        fs::remove_file(dir.path().join("a/objects").join(&objects[0])).expect("removed");
        let store = away.open(dir.path());
        let reports = verify(&store, None, Depth::Full, &Silent).expect("verified");
        let _lock = store.lock_prune("test").expect("one of them can be locked");
        let plan = repair::plan(&store, &reports);
        repair::apply(&store, &plan, &Silent).into_iter().for_each(|outcome| outcome.result.expect("healed"));
        assert_eq!((plan.steps.len(), plan.hopeless.len()), (1, 0), "{away:?}");
        assert!(dir.path().join("a/objects").join(&objects[0]).exists(), "{away:?}");
    }
}

#[test]
fn where_nothing_can_be_written_at_all_that_is_an_error() {
    let dir = pair();
    let places: Vec<Arc<dyn Storage>> = ["a", "b"]
        .map(|name| {
            let inner = local(&dir.path().join(name));
            Arc::new(Refusing::new(inner, io::ErrorKind::ReadOnlyFilesystem, false)) as Arc<dyn Storage>
        })
        .to_vec();
    let store = Store::open(places).expect("opened");
    let error = pin(&store, Sequence(2), None, now(), "test").expect_err("refused");
    assert!(matches!(error, StoreError::Storage(_)), "{error:?}");
}

#[test]
fn a_checkpoint_that_the_system_refuses_to_read_leaves_no_gap_in_a_replica() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = three_checkpoints(&dir.path().join("a"));
    fs::create_dir(dir.path().join("b")).expect("created");
    builder.commit(&[("gus", Some(7))]);
    let refused = layout::manifest(Sequence(2));
    let a = crate::support::interleaved::unreadable(local(&dir.path().join("a")), refused);
    let (store, _lock) =
        Store::open_for_writing(vec![a, Arc::new(local(&dir.path().join("b")))], 1, "test").expect("opened");
    let notes = store.take_notes();
    assert!(matches!(&notes[..], [StoreNote::Lost { place, .. }] if place.ends_with("/b")), "{notes:?}");
    assert!(!exists(&dir.path().join("b"), 3), "nothing newer was copied either");
}

#[test]
fn an_object_that_only_its_owner_may_renew_is_written_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = three_checkpoints(&dir.path().join("a"));
    builder.store =
        Store::open(vec![crate::support::interleaved::not_owned(local(&dir.path().join("a")))]).expect("opened");
    builder.commit(&[("gus", Some(7))]);
    let reports = verify(&builder.store, None, Depth::Full, &Silent).expect("verified");
    assert!(reports[0].findings.is_empty(), "{:?}", reports[0].findings);
}

#[test]
fn each_command_says_what_a_replica_that_is_away_keeps() {
    let env = Env::new();
    let job = "job: counting\ninput: {files: data.jsonl}\nkey: k\nprocess: {aggregate: {n: count}}\n\
               checkpoint: {store: a, replicas: [b], min_copies: 1}\n";
    env.write("job.yaml", job);
    let mut data = String::new();
    for key in ["x", "y", "z"] {
        data += &format!("{{\"k\":\"{key}\"}}\n");
        env.write("data.jsonl", &data);
        env.run(&["run", "job.yaml"]).expect(0);
    }
    fs::rename(env.path("b"), env.path("c")).expect("renamed");
    for (command, keeps) in [
        (&["pin", "a@1"][..], "does not get the pin"),
        (&["unpin", "a@1"], "keeps a pin that it has"),
        (&["prune", "a", "--keep-last", "2", "--yes"], "keeps what is pruned elsewhere"),
        (&["prune", "a", "--undo", "--yes"], "does not get the checkpoints back"),
    ] {
        let output = env.run(command).expect(0);
        assert!(output.stderr.contains(&format!("b` cannot be used and {keeps}: ")), "{output}");
    }
}
