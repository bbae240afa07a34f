//! Verifies every replica of a store, and compares them.

use std::sync::Arc;

use crate::ops::verify::check::ReplicaCheck;
use crate::ops::verify::choice::Choice;
use crate::ops::verify::compare;
use crate::ops::verify::objects::check_objects;
use crate::ops::verify::options::{Depth, Options};
use crate::ops::verify::places::places;
use crate::ops::verify::pruned::check_pruned;
use crate::ops::verify::records::{self, Records};
use crate::ops::verify::report::Report;
use crate::ops::verify::rows::check_rows;
use crate::ops::verify::strays::find_strays;
use crate::store::records::history::Departures;
use crate::store::{Replica, Store, StoreError, forks};
use crate::values::id::Sequence;
use crate::values::progress::Progress;

/// Verifies checkpoint `only`, or all of `store` and everything else in it, in each replica.
///
/// `progress` counts bytes of objects. Fails only if no replica can be verified, or there is no such checkpoint.
pub fn verify(
    store: &Store,
    only: Option<Sequence>,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Vec<Report>, StoreError> {
    verify_with(store, &Options { only, depth, choice: Choice::All }, progress)
}

/// Does the same with all the options. There is one report for each place of the store, in the order of
/// [`Store::replicas`], then of [`Store::unavailable`].
pub fn verify_with(store: &Store, options: &Options<'_>, progress: &dyn Progress) -> Result<Vec<Report>, StoreError> {
    // A history that cannot be read explains nothing.
    let departures = |store: &Store| store.history().map(|history| history.departures()).unwrap_or_default();
    let found = places(store);
    let readable: Vec<Replica> = found.iter().flatten().map(|place| place.replica.clone()).collect();
    // What cannot be read is reported where it is.
    let forks = forks(&store.file, &readable).unwrap_or_default();
    let known: Vec<(String, Departures)> =
        found.iter().flatten().map(|place| (place.replica.place(), departures(&place.store))).collect();
    let mut replicas = Vec::new();
    for place in found {
        replicas.push(place.and_then(|place| {
            // What was removed on purpose, as far as any replica knows; but one branch of a fork knows nothing about
            // the other.
            let own = place.replica.place();
            let is_apart = |other: &str| forks.iter().any(|fork| fork.is_between(&own, other));
            let known = known.iter().filter(|(other, _)| !is_apart(other));
            let departures = known.fold(Departures::default(), |all, (_, departures)| all.and(departures));
            ReplicaCheck::begin(place, options, Arc::new(departures))
        }));
    }
    if replicas.iter().all(|replica| !matches!(replica, Ok(replica) if replica.exists)) {
        let Some(sequence) = options.only.filter(|_| replicas.iter().any(Result::is_ok)) else {
            return replicas.into_iter().map(|replica| replica.map(ReplicaCheck::finish)).collect();
        };
        return Err(StoreError::NoCheckpoint { place: store.place(), sequence });
    }
    let all_places = store.replicas().iter().map(Replica::place);
    let all_places = all_places.chain(store.unavailable.iter().map(|absent| absent.storage.place()));
    let mut unavailable = Vec::new();
    let mut checks = Vec::new();
    for (position, (replica, place)) in replicas.into_iter().zip(all_places).enumerate() {
        match replica {
            Ok(check) => checks.push(check),
            Err(error) => unavailable.push((position, Report::unavailable(place, &error))),
        }
    }
    compare::compare(&mut checks, &forks);
    check_objects(&mut checks, options, progress);
    for check in &mut checks {
        check_content(check, options, progress)?;
    }
    if options.only.is_none() {
        check_records(&mut checks)?;
    }
    let mut reports: Vec<Report> = checks.into_iter().map(ReplicaCheck::finish).collect();
    compare::find_copies(&mut reports);
    for (position, report) in unavailable {
        reports.insert(position.min(reports.len()), report);
    }
    Ok(reports)
}

/// Checks the rows of one replica, if they are to be read, and everything in it but its checkpoints.
fn check_content(check: &mut ReplicaCheck, options: &Options<'_>, progress: &dyn Progress) -> Result<(), StoreError> {
    let ReplicaCheck { replica, store, roots, needs, findings, proven, departures, .. } = check;
    if options.depth == Depth::Deep {
        check.read_bytes += check_rows(store, roots, &needs.chains, proven, progress, findings);
    }
    if options.only.is_none() {
        let storage = replica.storage().as_ref();
        let pruned = find_strays(storage, needs, roots, departures, findings)?;
        check_pruned(storage, needs, pruned, options, findings);
    }
    Ok(())
}

/// Checks the small files beside the checkpoints, and which replica has which.
fn check_records(checks: &mut [ReplicaCheck]) -> Result<(), StoreError> {
    let mut records = Vec::new();
    for check in checks.iter_mut() {
        let storage = check.replica.storage().as_ref();
        records.push((check.replica.place(), Records::check(storage, &mut check.findings)?));
    }
    let all: Vec<(String, &Records)> = records.iter().map(|(place, records)| (place.clone(), records)).collect();
    for (check, (_, own)) in checks.iter_mut().zip(&records) {
        records::compare(own, &all, &mut check.findings);
    }
    Ok(())
}
