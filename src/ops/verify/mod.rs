//! `ckpt verify`: proves that what was committed is still there, in every replica.
//!
//! Every checkpoint's own files are read first, which tells the objects that there must be. Then each object is looked
//! at once in each replica, however many checkpoints share it. A finding never stops the rest.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::format::layout::{self, ObjectName};
use crate::format::manifest::Manifest;
use crate::ops::finding::{Finding, FindingCode, Findings, Severity};
use crate::storage::{EntryKind, Storage};
use crate::store::records::history::Departures;
use crate::store::{Store, StoreError};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;
use crate::values::relpath::RelPath;

mod agreement;
mod choice;
mod compare;
mod needs;
mod objects;
mod pruned;
pub(super) mod records;
mod root;
mod rows;
mod surroundings;

pub use choice::{Choice, Sample, Seen};

use needs::Needs;
use objects::check_objects;
use records::Records;
use root::{Root, check_roots};
use rows::check_rows;
use surroundings::check_surroundings;

/// How closely is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Depth {
    /// Presence and size of every object; only manifests and the tables beside them are read.
    Quick,
    /// Every byte.
    #[default]
    Full,
    /// Every byte and every row.
    Deep,
}

/// What is verified, and how closely.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// This checkpoint; all, and whatever else lies in the store, when there is none.
    pub only: Option<Sequence>,
    /// How closely.
    pub depth: Depth,
    /// Which objects are read; the others are only looked for.
    pub choice: Choice<'a>,
}

/// What `verify` learned about one replica of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The replica.
    pub place: String,
    /// The checkpoints that were looked at, ascending.
    pub checkpoints: Vec<Sequence>,
    /// The different objects that they need.
    pub objects: u64,
    /// The bytes of objects that were read and hashed; with [`Depth::Deep`] shared ones count as often as they were
    /// read.
    pub read_bytes: u64,
    /// The objects that were left out of the reading by a [`Choice`].
    pub unread: u64,
    /// With [`Choice::Turn`], the objects that were read and are intact.
    pub intact: Vec<ObjectName>,
    /// With [`Choice::Turn`], the objects whose turn did not come.
    pub left: Vec<ObjectName>,
    /// What was found, the damage first, then by path.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Tells whether nothing is damaged.
    pub fn is_intact(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() < Severity::Damage)
    }

    /// Tells whether the replica has all that the others have, as far as it could be looked at.
    pub fn is_complete(&self) -> bool {
        let absent = [FindingCode::ReplicaBehind, FindingCode::ReplicaUnavailable];
        self.findings.iter().all(|finding| !absent.contains(&finding.code))
    }

    /// Returns the damaged checkpoints, ascending.
    pub fn damaged(&self) -> BTreeSet<Sequence> {
        let damage = self.findings.iter().filter(|finding| finding.severity() == Severity::Damage);
        damage.flat_map(|finding| finding.checkpoints.iter().copied()).collect()
    }

    /// Returns the newest checkpoint that is not damaged.
    pub fn newest_intact(&self) -> Option<Sequence> {
        let damaged = self.damaged();
        self.checkpoints.iter().copied().rev().find(|sequence| !damaged.contains(sequence))
    }
}

/// Verifies checkpoint `only`, or all of `store` and whatever else lies in it, in each replica.
///
/// `progress` is told of bytes of objects. Fails only when no replica can be looked at, or there is no such checkpoint.
pub fn verify(
    store: &Store,
    only: Option<Sequence>,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Vec<Report>, StoreError> {
    verify_with(store, &Options { only, depth, choice: Choice::All }, progress)
}

/// Does the same with all the options. There is a report for each place of the store, in the order of
/// [`Store::replicas`], then of [`Store::unavailable`].
pub fn verify_with(store: &Store, options: &Options<'_>, progress: &dyn Progress) -> Result<Vec<Report>, StoreError> {
    // What is gone on purpose, by what any replica knows. A history that can not be read explains nothing.
    let departures = store.history().map(|history| history.departures()).unwrap_or_default();
    let mut replicas = Vec::new();
    for place in places(store) {
        replicas.push(place.and_then(|place| ReplicaCheck::begin(place, options, &departures)));
    }
    if replicas.iter().all(|replica| !matches!(replica, Ok(replica) if replica.exists)) {
        let Some(sequence) = options.only.filter(|_| replicas.iter().any(Result::is_ok)) else {
            return replicas.into_iter().map(|replica| replica.map(ReplicaCheck::finish)).collect();
        };
        return Err(StoreError::NoCheckpoint { place: store.place(), sequence });
    }
    let all_places: Vec<String> = store.replicas.iter().map(|storage| storage.place()).collect();
    let all_places = all_places.into_iter().chain(store.unavailable.iter().map(|absent| absent.storage.place()));
    let mut unavailable = Vec::new();
    let mut checks = Vec::new();
    for (position, (replica, place)) in replicas.into_iter().zip(all_places).enumerate() {
        match replica {
            Ok(check) => checks.push(check),
            Err(error) => unavailable.push((position, absent(place, &error))),
        }
    }
    compare::compare(&mut checks, &departures);
    check_objects(&mut checks, options, progress);
    for check in &mut checks {
        if options.depth == Depth::Deep {
            check.read_bytes += check_rows(
                &check.store,
                &check.roots,
                &check.needs.chains,
                &check.proven,
                progress,
                &mut check.findings,
            );
        }
        if options.only.is_none() {
            let waiting = check_surroundings(
                check.storage.as_ref(),
                &check.needs,
                &check.roots,
                &departures,
                &mut check.findings,
            )?;
            pruned::check_pruned(check.storage.as_ref(), &check.needs, waiting, options, &mut check.findings);
        }
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

/// Checks the small files beside the checkpoints, and which replica has which.
fn check_records(checks: &mut [ReplicaCheck]) -> Result<(), StoreError> {
    let mut records = Vec::new();
    for check in checks.iter_mut() {
        records.push((check.store.place(), Records::check(check.storage.as_ref(), &mut check.findings)?));
    }
    let all: Vec<(String, &Records)> = records.iter().map(|(place, records)| (place.clone(), records)).collect();
    for (check, (_, own)) in checks.iter_mut().zip(&records) {
        records::compare(own, &all, &mut check.findings);
    }
    Ok(())
}

/// A place of the store that can be looked at.
pub(super) struct Place {
    pub(super) storage: Arc<dyn Storage>,
    /// The store with no other replica.
    pub(super) store: Store,
    /// What is wrong with its `store.yaml`, when the rest can be looked at all the same.
    pub(super) store_file: Option<Arc<StoreError>>,
}

/// Returns every place of the store in the order of the reports, or why it can not be looked at.
pub(super) fn places(store: &Store) -> Vec<Result<Place, StoreError>> {
    let alone = |storage: &Arc<dyn Storage>| Store::new(store.file.clone(), vec![storage.clone()]);
    let place = |storage: &Arc<dyn Storage>, store_file: Option<Arc<StoreError>>| {
        let listed = storage.list(None)?;
        let is_there = |name: &str| listed.iter().any(|entry| entry.name == name);
        match store_file {
            // An empty directory, a disk that is not mounted, another store.
            Some(error) if !(is_there(layout::CHECKPOINTS) && is_of_store(storage.as_ref(), store)) => {
                Err(StoreError::Unusable { place: storage.place(), source: error })
            }
            store_file => Ok(Place { storage: storage.clone(), store: alone(storage), store_file }),
        }
    };
    let available = store.replicas.iter().map(|storage| place(storage, None));
    let others = store.unavailable.iter().map(|absent| place(&absent.storage, Some(absent.error.clone())));
    available.chain(others).collect()
}

/// Tells whether the checkpoints at `storage` are of `store`, whatever its `store.yaml` says.
pub(super) fn is_of_store(storage: &dyn Storage, store: &Store) -> bool {
    let sequences = checkpoint_directories(storage).unwrap_or_default();
    let read = |sequence| storage.get(&layout::manifest(sequence), Manifest::MAX_BYTES).ok();
    let manifests = sequences.into_iter().rev().filter_map(|sequence| Manifest::from_yaml(&read(sequence)?).ok());
    manifests.map(|manifest| manifest.store == store.file.store).next().unwrap_or(false)
}

/// Tells whether `manifest` names another store, job or number than those of its place.
pub(super) fn is_misplaced(store: &Store, sequence: Sequence, manifest: &Manifest) -> bool {
    !root::misplaced(store, sequence, manifest).is_empty()
}

/// Makes the report of a place that can not be looked at.
fn absent(place: String, error: &StoreError) -> Report {
    let mut findings = Findings::default();
    findings.add(FindingCode::ReplicaUnavailable, ".", "a replica", in_one_line(error), []);
    Report {
        place,
        checkpoints: Vec::new(),
        objects: 0,
        read_bytes: 0,
        unread: 0,
        intact: Vec::new(),
        left: Vec::new(),
        findings: findings.finish(),
    }
}

/// What is known of one replica while it is verified.
struct ReplicaCheck {
    storage: Arc<dyn Storage>,
    store: Store,
    /// Whether it has any of the checkpoints that are looked at, or all are.
    exists: bool,
    /// Every number that has a directory, looked at or not.
    all: Vec<Sequence>,
    only: Option<Sequence>,
    roots: Vec<Root>,
    needs: Needs,
    findings: Findings,
    read_bytes: u64,
    unread: u64,
    intact: Vec<ObjectName>,
    left: Vec<ObjectName>,
    /// With [`Depth::Deep`], the objects of which every byte was read and is right.
    proven: HashSet<ObjectName>,
}

impl ReplicaCheck {
    /// Reads what is beside the objects.
    fn begin(place: Place, options: &Options<'_>, departures: &Departures) -> Result<ReplicaCheck, StoreError> {
        let Place { storage, store, store_file } = place;
        let mut findings = Findings::default();
        let all = checkpoint_directories(storage.as_ref())?;
        let sequences = match options.only {
            Some(sequence) => all.iter().copied().filter(|&found| found == sequence).collect(),
            None => all.clone(),
        };
        if let Some(error) = store_file {
            let code = match *error {
                StoreError::NoStore { .. } => FindingCode::StoreFileMissing,
                _ => FindingCode::StoreFileDamaged,
            };
            let found = if code == FindingCode::StoreFileMissing { "nothing".to_owned() } else { in_one_line(&*error) };
            findings.add(code, layout::STORE_FILE, format!("store {}", store.file.store), found, []);
        }
        let roots = parallel::map(&sequences, |&sequence| Root::read(storage.as_ref(), sequence));
        check_roots(&store, storage.as_ref(), &sequences, &roots, departures, &mut findings);
        let needs = Needs::read(&store, &roots, options.depth, &mut findings);
        Ok(ReplicaCheck {
            exists: options.only.is_none() || !sequences.is_empty(),
            storage,
            store,
            all,
            only: options.only,
            roots,
            needs,
            findings,
            read_bytes: 0,
            unread: 0,
            intact: Vec::new(),
            left: Vec::new(),
            proven: HashSet::new(),
        })
    }

    fn finish(self) -> Report {
        let mut findings = self.findings.finish();
        for finding in &mut findings {
            finding.lost = self.needs.objects.lost(finding);
        }
        Report {
            place: self.store.place(),
            checkpoints: self.roots.iter().map(|root| root.sequence).collect(),
            objects: self.needs.objects.uses.len() as u64,
            read_bytes: self.read_bytes,
            unread: self.unread,
            intact: self.intact,
            left: self.left,
            findings,
        }
    }
}

/// Returns the numbers that directories in `checkpoints/` have, with a manifest or without.
pub(super) fn checkpoint_directories(storage: &dyn Storage) -> Result<Vec<Sequence>, StoreError> {
    let directory = RelPath::new(layout::CHECKPOINTS).expect("a plain name");
    let entries = storage.list(Some(&directory))?;
    let directories = entries.iter().filter(|entry| entry.kind == EntryKind::Directory);
    let mut sequences: Vec<Sequence> = directories.filter_map(|entry| entry.name.parse().ok()).collect();
    sequences.sort_unstable();
    Ok(sequences)
}
