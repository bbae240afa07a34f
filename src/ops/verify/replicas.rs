//! Verifies every replica of a store, and compares them.

use crate::ops::verify::bare::{find_bare, report_bare};
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
use crate::ops::verify::second_look::{list_again, settle};
use crate::ops::verify::strays::find_strays;
use crate::store::records::history::Departures;
use crate::store::{Fork, Replica, Store, StoreError, forks};
use crate::values::id::Sequence;
use crate::values::progress::Progress;

/// Verifies checkpoint `only`, or all of `store` and everything else in it, in each replica.
///
/// `progress` counts bytes of objects. Fails if no replica can be verified, if there is no such checkpoint, or if the
/// system refuses to read a file.
pub fn verify(
    store: &Store,
    only: Option<Sequence>,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Vec<Report>, StoreError> {
    let mut reports = verify_with(store, &Options { only, depth, choice: Choice::All }, progress)?;
    reports.iter_mut().find_map(|report| report.refused.take()).map_or(Ok(reports), |refused| Err(refused.into()))
}

/// Does the same with all the options. There is one report for each place of the store, in the order of
/// [`Store::replicas`], then of [`Store::unavailable`]. If the system refuses to read a file, the rest is verified all
/// the same, and the report says so.
///
/// Others may write to the store meanwhile: what is reported was so at the end.
pub fn verify_with(store: &Store, options: &Options<'_>, progress: &dyn Progress) -> Result<Vec<Report>, StoreError> {
    let found = places(store);
    let readable: Vec<Replica> = found.iter().flatten().map(|place| place.replica.clone()).collect();
    // What cannot be read is reported where it is.
    let forks = forks(&store.file, &readable).unwrap_or_default();
    let explanations = Explanations { store, forks: &forks };
    let mut replicas = Vec::new();
    for place in found {
        replicas.push(match place {
            Ok(place) => {
                let departures = explanations.of(&place.store)?;
                ReplicaCheck::begin(place, options, departures)
            }
            Err(error) => Err(error),
        });
    }
    let no_checkpoint = |sequence| StoreError::NoCheckpoint { place: store.place(), sequence };
    if replicas.iter().all(|replica| !matches!(replica, Ok(replica) if replica.exists)) {
        let Some(sequence) = options.only.filter(|_| replicas.iter().any(Result::is_ok)) else {
            return replicas.into_iter().map(|replica| replica.map(ReplicaCheck::finish)).collect();
        };
        return Err(no_checkpoint(sequence));
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
    check_objects(&mut checks, options, progress);
    for check in &mut checks {
        check_content(check, options, progress)?;
    }
    list_again(&mut checks, &forks)?;
    for check in &mut checks {
        let bare = find_bare(check)?;
        let later = explanations.of(&check.store)?;
        check.departures = std::mem::take(&mut check.departures).or(later);
        report_bare(check, &bare);
        settle(check);
    }
    if let Some(sequence) = options.only.filter(|_| checks.iter().all(|check| check.roots.is_empty())) {
        return Err(no_checkpoint(sequence));
    }
    compare::compare(&mut checks, &forks);
    if options.only.is_none() {
        compare::find_lost(&mut checks, &forks)?;
        check_records(&mut checks)?;
    }
    let mut reports: Vec<Report> = checks.into_iter().map(ReplicaCheck::finish).collect();
    compare::find_copies(&mut reports);
    for (position, report) in unavailable {
        reports.insert(position.min(reports.len()), report);
    }
    Ok(reports)
}

/// What explains missing checkpoints.
struct Explanations<'a> {
    store: &'a Store,
    /// Where replicas diverged.
    forks: &'a [Fork],
}

impl Explanations<'_> {
    /// Returns what was removed on purpose from `replica`, as far as any replica knows; but one branch of a fork knows
    /// nothing about the other.
    fn of(&self, replica: &Store) -> Result<Departures, StoreError> {
        let departures = |store: &Store| match store.history() {
            Err(error) if error.is_inconclusive() => Err(error),
            // A history that is damaged explains nothing.
            history => Ok(history.unwrap_or_default().departures()),
        };
        let all = departures(if self.forks.is_empty() { self.store } else { replica })?;
        // What was brought back in one of them is still gone from the others.
        let own = replica.place();
        let is_apart = |other: &Replica| self.forks.iter().any(|fork| fork.is_between(&own, &other.place()));
        let mut others = self.store.replicas().iter().filter(|other| !is_apart(other));
        others.try_fold(all, |all, other| {
            let alone = Store::new(self.store.file.clone(), vec![other.storage().clone()]);
            Ok(all.or(departures(&alone)?))
        })
    }
}

/// Checks the rows of one replica, if they are to be read, and everything in it but its checkpoints.
fn check_content(check: &mut ReplicaCheck, options: &Options<'_>, progress: &dyn Progress) -> Result<(), StoreError> {
    let ReplicaCheck { replica, store, roots, needs, findings, proven, departures, .. } = check;
    if options.depth == Depth::Deep {
        check.read_bytes += check_rows(store, roots, &needs.chains, proven, progress, findings);
    }
    if options.only.is_none() {
        let storage = replica.storage().as_ref();
        match find_strays(storage, needs, roots, departures, findings) {
            Ok(pruned) => check_pruned(storage, needs, pruned, options, findings)?,
            Err(error) if error.is_inconclusive() => findings.note_refusal(&error),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Checks the small files beside the checkpoints, and which replica has which.
fn check_records(checks: &mut [ReplicaCheck]) -> Result<(), StoreError> {
    let mut records = Vec::new();
    for check in checks.iter_mut() {
        let found = match Records::check(check.replica.storage().as_ref(), &mut check.findings) {
            Err(error) if check.findings.is_refusal(&error) => None,
            found => Some((check.replica.place(), found?)),
        };
        records.push(found);
    }
    let all: Vec<(String, &Records)> = records.iter().flatten().map(|(place, found)| (place.clone(), found)).collect();
    for (check, own) in checks.iter_mut().zip(&records) {
        if let Some((_, own)) = own {
            records::compare(own, &all, &mut check.findings);
        }
    }
    Ok(())
}
