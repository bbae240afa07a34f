//! Replicas that are behind, and what they know from their histories alone.

use std::fs;

use ckpt::ops::finding::{FindingCode, Severity};
use ckpt::ops::restore::{PositionChanges, apply_rollback, plan_rollback};
use ckpt::ops::verify::{Depth, verify};
use ckpt::store::{Store, StoreError};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;

use super::{Replicas, now};
use crate::support::store_builder::StoreBuilder;

/// Makes replicas of which `a` and `b` diverged at checkpoint 3. `c` and `d` have the two checkpoints before, and know
/// from their histories what `b` and `a` had then.
fn behind_two_branches() -> Replicas {
    let replicas = Replicas::new(&[("b", 4), ("c", 2), ("d", 2)], &[]);
    let mut builder = StoreBuilder::keyed(&replicas.dir.path().join("a"));
    for clicks in [1, 2, 30, 40] {
        builder.commit(&[("ann", Some(clicks)), (["bob", "cyd"][clicks as usize % 2], Some(clicks))]);
    }
    replicas.prune(&["b", "c"], 1, 0);
    replicas.prune(&["a", "d"], 1, 0);
    for (name, expected) in [("a", vec![2, 4]), ("b", vec![2, 4]), ("c", vec![2]), ("d", vec![2])] {
        assert_eq!(replicas.checkpoints(name), expected, "{name}");
    }
    replicas
}

#[track_caller]
fn assert_apart(store: &Store) {
    for refused in [store.check_undivided(), store.make_equal()] {
        let error = refused.expect_err("they diverged");
        assert!(matches!(error, StoreError::Diverged { sequence: Sequence(3), .. }), "{error:?}");
    }
    let reports = verify(store, None, Depth::Full, &Silent).expect("verified");
    let damage = reports.iter().flat_map(|report| &report.findings).filter(|it| it.severity() == Severity::Damage);
    let codes: Vec<_> = damage.map(|finding| finding.code).collect();
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == FindingCode::ReplicaDiverged), "{codes:?}");
}

#[test]
fn a_replica_that_is_behind_is_of_the_branch_that_its_history_names() {
    let replicas = behind_two_branches();
    assert_apart(&replicas.open(&["a", "c"]));
    assert_apart(&replicas.open(&["d", "b"]));
    for (ahead, behind) in [("b", "c"), ("a", "d")] {
        replicas.assert_intact(&[ahead, behind]);
        replicas.open(&[ahead, behind]).make_equal().expect("copies of each other");
    }
}

#[test]
fn two_replicas_that_are_behind_different_branches_have_diverged() {
    let replicas = behind_two_branches();
    assert_apart(&replicas.open(&["c", "d"]));
    assert_eq!((replicas.checkpoints("c"), replicas.checkpoints("d")), (vec![2], vec![2]));
}

#[test]
fn a_number_that_the_history_names_is_not_given_again() {
    let replicas = Replicas::new(&[("b", 4), ("c", 2)], &[]);
    replicas.prune(&["b", "c"], 1, 86_400);
    replicas.undo(&["c"]);
    assert_eq!(replicas.checkpoints("c"), [1, 2]);
    let alone = replicas.open(&["c"]);
    assert_eq!(alone.newest_number().expect("read"), Some(Sequence(3)));
    let plan = plan_rollback(&alone, Sequence(1), PositionChanges::default(), now()).expect("planned");
    apply_rollback(&alone, &plan, "test", &Silent).expect("restored");
    assert_eq!(replicas.checkpoints("c"), [1, 2, 4]);
    replicas.assert_intact(&["c"]);
    let error = replicas.open(&["b", "c"]).check_undivided().expect_err("they diverged");
    assert!(matches!(error, StoreError::Diverged { sequence: Sequence(4), .. }), "{error:?}");
}

#[test]
fn readers_never_mix_branches_of_which_the_first_replica_has_neither() {
    let replicas = Replicas::new(&[("a", 2), ("b", 4), ("c", 3)], &["c"]);
    for (names, left_out, sequences) in
        [(["a", "b", "c"], "c", 4), (["a", "c", "b"], "b", 3), (["b", "a", "c"], "c", 4)]
    {
        let branch = replicas.open(&names).branch();
        let places: Vec<&str> = branch.not_read.iter().map(|(place, _)| place.as_str()).collect();
        assert!(places.len() == 1 && places[0].ends_with(left_out), "{names:?}: {places:?}");
        assert_eq!(branch.sequences().expect("listed").len(), sequences, "{names:?}");
        branch.check_undivided().expect("one branch");
    }
}

#[test]
fn a_replica_that_is_behind_gets_what_is_intact_and_later_the_rest() {
    let repair = |replicas: &Replicas| replicas.repair(&["a", "c"]);
    let catch_up = |replicas: &Replicas| replicas.open(&["a", "c"]).make_equal().expect("equal");
    for give in [repair, catch_up] {
        let replicas = Replicas::new(&[("a", 4), ("c", 1)], &[]);
        let index = replicas.open(&["a"]).manifest(Sequence(3)).expect("read").manifest.tables.index.object;
        let path = replicas.dir.path().join("a").join(index.path().as_str());
        let bytes = fs::read(&path).expect("read");
        fs::remove_file(&path).expect("deleted");
        give(&replicas);
        // The newest must not wait for an older one that is lost.
        assert_eq!(replicas.checkpoints("c"), [1, 2, 4]);
        let reports = verify(&replicas.open(&["a", "c"]), None, Depth::Full, &Silent).expect("verified");
        assert!(reports.iter().all(|report| !report.is_intact()), "{reports:#?}");
        fs::write(&path, bytes).expect("written");
        give(&replicas);
        assert_eq!(replicas.checkpoints("c"), [1, 2, 3, 4]);
        replicas.assert_intact(&["a", "c"]);
    }
}
