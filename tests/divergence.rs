//! Replicas that diverged: nothing is deleted, copied or healed across the fork.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ckpt::ops::copy::{self, CopyError};
use ckpt::ops::finding::{Finding, FindingCode, Severity};
use ckpt::ops::pin::{pin, unpin};
use ckpt::ops::repair;
use ckpt::ops::verify::{Depth, Report, verify};
use ckpt::storage::Storage;
use ckpt::storage::local::LocalStorage;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{PruneError, Request, apply, apply_undo, plan, plan_undo};
use ckpt::store::{Store, StoreError};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::support::failing::Failing;
use crate::support::store_builder::StoreBuilder;
use crate::support::tree;

/// Two replicas, `a` and `b`.
struct Pair {
    dir: tempfile::TempDir,
}

impl Pair {
    /// Makes two replicas that share checkpoints 1 and 2, and then have `own` and `other` more each.
    fn new(own: i64, other: i64) -> Pair {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, more) in [("a", own), ("b", other)] {
            let mut builder = StoreBuilder::keyed(&dir.path().join(name));
            builder.commit(&[("ann", Some(1)), ("bob", Some(2))]);
            builder.commit(&[("cyd", Some(3))]);
            for clicks in 1..=more {
                builder.commit(&[(name, Some(clicks))]);
            }
        }
        Pair { dir }
    }

    fn places(&self) -> Vec<Arc<dyn Storage>> {
        ["a", "b"].map(|name| self.place(name)).to_vec()
    }

    fn place(&self, name: &str) -> Arc<dyn Storage> {
        Arc::new(LocalStorage::new(self.dir.path().join(name)))
    }

    fn store(&self) -> Store {
        Store::open(self.places()).expect("opened")
    }

    /// The store at one of the places only.
    fn alone(&self, name: &str) -> Store {
        Store::open(vec![self.place(name)]).expect("opened")
    }

    /// Prunes all but the newest `count` checkpoints of one replica, for good.
    fn prune_alone(&self, name: &str, count: u64) {
        let store = self.alone(name);
        let plan = plan(&store, &last(count), now(), &Silent).expect("planned");
        apply(&store, &plan, "test", &Silent).expect("pruned");
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    /// The files of both, but the locks.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = tree(self.dir.path());
        files.retain(|name, _| !name.ends_with("lock"));
        files
    }

    fn verified(&self) -> Vec<Report> {
        verify(&self.store(), None, Depth::Deep, &Silent).expect("verified")
    }

    /// Verifies and repairs both, and returns the number of steps, and what cannot be repaired.
    fn repaired(&self) -> (usize, Vec<Finding>) {
        let store = self.store();
        let plan = repair::plan(&store, &self.verified());
        repair::apply(&store, &plan, &Silent);
        (plan.steps.len(), plan.hopeless.into_iter().map(|(_, finding)| finding).collect())
    }
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

fn last(count: u64) -> Request {
    let policy = Policy { last: count, ..Policy::default() };
    Request { policy, grace: Duration::ZERO, zone: TimeZone::UTC }
}

#[track_caller]
fn assert_diverged(error: &StoreError, number: u64) {
    let name = |place: &str| Path::new(place).file_name().expect("a name").to_owned();
    assert!(
        matches!(error, StoreError::Diverged { sequence, place, other, .. }
            if *sequence == Sequence(number) && name(place) == "a" && name(other) == "b"),
        "{error:?}"
    );
}

#[track_caller]
fn assert_prune_refused(pair: &Pair, number: u64) {
    let before = pair.files();
    for refused in [
        plan(&pair.store(), &last(1), now(), &Silent).expect_err("refused"),
        plan_undo(&pair.store(), &Silent).expect_err("refused"),
    ] {
        match refused {
            PruneError::Store(error) => assert_diverged(&error, number),
            other => panic!("{other:?}"),
        }
    }
    assert!(pair.files() == before);
}

fn damage(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.severity() == Severity::Damage).collect()
}

#[test]
fn nothing_is_pruned_or_pinned_across_a_fork() {
    for (own, other) in [(1, 1), (1, 2), (3, 1)] {
        let pair = Pair::new(own, other);
        pin(&pair.alone("b"), Sequence(3), Some("b needs this"), now(), "test").expect("pinned");
        assert_prune_refused(&pair, 3);
        let before = pair.files();
        assert_diverged(&pin(&pair.store(), Sequence(3), None, now(), "test").expect_err("refused"), 3);
        assert_diverged(&unpin(&pair.store(), Sequence(3), "test").expect_err("refused"), 3);
        assert!(pair.files() == before);
        pin(&pair.store(), Sequence(2), None, now(), "test").expect("both have this one");
        for name in ["a", "b"] {
            pair.prune_alone(name, 1);
            let reports = verify(&pair.alone(name), None, Depth::Deep, &Silent).expect("verified");
            assert!(reports[0].is_intact(), "{reports:?}");
        }
    }
}

#[test]
fn a_plan_from_before_the_fork_is_not_applied() {
    let pair = Pair::new(2, 0);
    let store = pair.store();
    let plan = plan(&store, &last(1), now(), &Silent).expect("b is only behind");
    let other = Pair::new(0, 1);
    for (path, bytes) in tree(&other.path("b")) {
        let path = pair.path("b").join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        fs::write(path, bytes).expect("written");
    }
    let before = pair.files();
    let error = apply(&store, &plan, "test", &Silent).expect_err("refused");
    assert!(matches!(&error, PruneError::Store(StoreError::Diverged { .. })), "{error:?}");
    assert!(pair.files() == before);
}

#[test]
fn a_fork_is_known_after_one_side_has_pruned_the_number_at_which_they_part() {
    // The history names 3; the child of 3 names it too, unless it was pruned as well.
    for (more, without_history) in [(1, false), (3, false), (2, true)] {
        for pruned in ["a", "b"] {
            let pair = if pruned == "a" { Pair::new(more, 1) } else { Pair::new(1, more) };
            pair.prune_alone(pruned, 1);
            if without_history {
                fs::remove_dir_all(pair.path(&format!("{pruned}/history"))).expect("removed");
            }
            assert_prune_refused(&pair, 3);
            let before = pair.files();
            assert_diverged(&Store::open_for_writing(pair.places(), 1, "next").expect_err("refused"), 3);
            assert_diverged(&pair.store().make_equal().expect_err("refused"), 3);
            let (steps, hopeless) = pair.repaired();
            assert_eq!(steps, 0, "{hopeless:?}");
            assert!(hopeless.iter().any(|finding| finding.code == FindingCode::ReplicaDiverged), "{hopeless:?}");
            assert!(pair.files() == before);
        }
    }
}

#[test]
fn verify_names_both_branches_and_finds_nothing_else() {
    for (own, other, theirs, found) in [
        (1, 2, "checkpoint 3, where 3 has", "checkpoints 3 to 4, where 3 has"),
        (3, 1, "checkpoints 3 to 5, where", "checkpoint 3, where"),
    ] {
        let pair = Pair::new(own, other);
        let reports = pair.verified();
        assert!(damage(&reports[0]).is_empty() && reports[0].is_complete(), "{reports:?}");
        assert!(reports[1].is_complete(), "{reports:?}");
        let [finding] = damage(&reports[1])[..] else { panic!("{reports:?}") };
        assert_eq!(
            (finding.code, finding.path.as_str()),
            (FindingCode::ReplicaDiverged, "checkpoints/00000003/manifest.yaml")
        );
        assert_eq!(
            finding.expected.split("`: ").nth(1).map(|text| text.starts_with(theirs)),
            Some(true),
            "{finding:?}"
        );
        assert!(finding.found.starts_with(found), "{finding:?}");
        assert_eq!(finding.checkpoints.first(), Some(&Sequence(3)));
        // Only the common part is looked at.
        let reports = verify(&pair.store(), Some(Sequence(2)), Depth::Full, &Silent).expect("verified");
        assert!(reports.iter().all(Report::is_intact), "{reports:?}");
    }
}

#[test]
fn each_branch_explains_its_own_gaps() {
    let pair = Pair::new(2, 2);
    for name in ["a", "b"] {
        pair.prune_alone(name, 1);
    }
    let reports = pair.verified();
    let codes: Vec<_> = reports.iter().flat_map(damage).map(|finding| finding.code).collect();
    assert_eq!(codes, [FindingCode::ReplicaDiverged], "{reports:?}");
}

#[test]
fn a_repair_heals_what_is_shared_and_leaves_the_branches_alone() {
    for (own, other) in [(1, 1), (1, 2), (2, 1)] {
        let pair = Pair::new(own, other);
        let before = pair.files();
        let (steps, hopeless) = pair.repaired();
        assert_eq!((steps, hopeless.len()), (0, 1), "{hopeless:?}");
        assert!(pair.files() == before);

        for path in ["a/checkpoints/00000002/manifest.yaml", "b/checkpoints/00000001/SHA256SUMS"] {
            fs::write(pair.path(path), "x").expect("written");
        }
        // The other branch's file is not a copy of this one.
        fs::write(pair.path("a/checkpoints/00000003/manifest.yaml"), "x").expect("written");
        let (steps, _) = pair.repaired();
        assert_eq!(steps, 2);
        let after = pair.files();
        for (path, bytes) in &before {
            let expected = if path == "a/checkpoints/00000003/manifest.yaml" { b"x" } else { &bytes[..] };
            assert_eq!(after[path], expected, "{path}");
        }
    }
}

#[test]
fn no_checkpoint_is_copied_across_a_fork() {
    let pair = Pair::new(2, 1);
    pair.prune_alone("a", 1);
    let before = pair.files();
    let error = copy::plan(&pair.alone("a"), &[Sequence(4)], pair.place("b")).expect_err("refused");
    assert!(matches!(error, CopyError::Diverged { sequence: Sequence(3), .. }), "{error:?}");
    let error = copy::plan(&pair.store(), &[Sequence(4)], pair.place("new")).expect_err("refused");
    assert!(
        matches!(&error, CopyError::SourceDiverged(error) if matches!(**error, StoreError::Diverged { .. })),
        "{error:?}"
    );
    assert!(pair.files() == before);
}

#[test]
fn a_replica_that_is_only_behind_has_not_diverged() {
    for (more, keep) in [(2, 4), (3, 1)] {
        let pair = Pair::new(more, 0);
        pair.prune_alone("a", keep);
        pair.store().check_undivided().expect("one history");
        plan(&pair.store(), &last(1), now(), &Silent).expect("planned");
        let (_, hopeless) = pair.repaired();
        assert!(hopeless.is_empty(), "{hopeless:?}");
        Store::open_for_writing(pair.places(), 2, "next").expect("equal");
    }
}

#[test]
fn a_damaged_event_does_not_make_a_fork() {
    let pair = Pair::new(3, 0);
    pair.prune_alone("a", 1);
    let path = pair.path("a/history/00000001.yaml");
    let text = fs::read_to_string(&path).expect("read");
    let digest = text.split("sha256: ").nth(2).and_then(|rest| rest.lines().next()).expect("a digest").to_owned();
    fs::write(&path, text.replace(&digest, &digest.chars().rev().collect::<String>())).expect("written");
    // Nothing else shows whether they are copies of each other, so that is said, and nothing is done.
    let error = pair.store().check_undivided().expect_err("unknown");
    assert!(matches!(error, StoreError::Unrelated { .. }), "{error:?}");
}

#[test]
fn an_event_that_is_not_read_keeps_its_replica_out_of_the_merged_history() {
    let pair = Pair::new(2, 0);
    let graceful = Request { grace: Duration::from_secs(86_400), ..last(2) };
    let store = pair.alone("a");
    apply(&store, &plan(&store, &graceful, now(), &Silent).expect("planned"), "test", &Silent).expect("pruned");
    fs::remove_dir_all(pair.path("b")).expect("removed");
    let copied = Command::new("cp").arg("-r").args([pair.path("a"), pair.path("b")]).status().expect("cp runs");
    assert!(copied.success());
    // Each brings both back, and prunes another one.
    for (name, kept, second) in [("a", 1, 1), ("b", 2, 2)] {
        let (store, time) = (pair.alone(name), now() + SignedDuration::from_secs(second));
        let undo = plan_undo(&store, &Silent).expect("planned");
        apply_undo(&store, &undo, "test", time, &Silent).expect("undone");
        pin(&store, Sequence(kept), None, time, "test").expect("pinned");
        let plan = plan(&store, &last(2), time, &Silent).expect("planned");
        apply(&store, &plan, "test", &Silent).expect("pruned");
    }
    let history = || -> BTreeMap<String, Vec<u8>> {
        let is_event = |name: &String| name.contains("/history/0");
        pair.files().into_iter().filter(|(name, _)| is_event(name)).collect()
    };
    let before = history();
    assert_eq!(before.len(), 6, "{:?}", before.keys());
    let checkpoints =
        || -> Vec<String> { pair.files().into_keys().filter(|name| name.contains("/checkpoints/")).collect() };
    let kept = checkpoints();
    let places = || -> Vec<Arc<dyn Storage>> {
        let refusing = Failing::new(LocalStorage::new(pair.path("b"))).refuse("history/00000003.yaml");
        vec![pair.place("a"), Arc::new(refusing)]
    };
    // The other replica has an event with that number. It says nothing about what this one has pruned.
    let store = Store::open(places()).expect("opened");
    for error in
        [store.history().expect_err("refused"), verify(&store, None, Depth::Deep, &Silent).expect_err("refused")]
    {
        let path = error.refusal().expect("a refusal").path();
        assert!(path.ends_with("history/00000003.yaml"), "{error:?}");
    }
    drop(Store::open_for_writing(places(), 1, "test").expect("opened"));
    assert_eq!(history().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "nothing was decided");
    assert_eq!(checkpoints(), kept, "what one of them has pruned did not come back");
    drop(Store::open_for_writing(pair.places(), 2, "test").expect("opened"));
    let reports = pair.verified();
    assert!(reports.iter().all(|report| damage(report).is_empty()), "{reports:#?}");
}
