//! `ckpt verify --repair`: puts good copies in the place of what is damaged or missing.
//!
//! What a file has to be is decided by witnesses. An object's name is the SHA-256 of its bytes. A manifest is spoken
//! for by the checkpoint after it, by the `SHA256SUMS` beside it, and by the other replicas. `SHA256SUMS` follows from
//! the manifest and the index. Where witnesses contradict each other nothing is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::format::index;
use crate::format::layout::{self, MANIFEST_FILE, ObjectName, SUMS_FILE};
use crate::format::limits::MAX_SUMS_BYTES;
use crate::format::manifest::{Manifest, ObjectRef};
use crate::format::store_file::StoreFile;
use crate::ops::finding::{Finding, FindingCode, Severity};
use crate::ops::read::index_problems;
use crate::ops::verify::records::is_whole;
use crate::ops::verify::{Report, checkpoint_directories, is_misplaced, is_of_store, places};
use crate::storage::{Storage, StorageError};
use crate::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::progress::Progress;
use crate::values::relpath::RelPath;
use crate::values::yaml;

/// What would be written, and what can not be healed.
#[derive(Debug, Clone, Default)]
pub struct RepairPlan {
    /// What would be written, in this order.
    pub steps: Vec<Step>,
    /// Damage of which there is no good copy: the replica, and what was found there.
    pub hopeless: Vec<(String, Finding)>,
}

/// One file or checkpoint that would be written.
#[derive(Debug, Clone)]
pub struct Step {
    /// The replica.
    pub place: String,
    /// The file, or the directory of a checkpoint, in it.
    pub path: RelPath,
    /// Where it comes from.
    pub origin: Origin,
    /// How many bytes would be written at most.
    pub bytes: u64,
    cure: Cure,
    target: Arc<dyn Storage>,
}

/// Where a good file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This replica has it.
    Copy(String),
    /// It follows from the manifest and the index.
    Made,
}

/// What is done.
#[derive(Debug, Clone)]
enum Cure {
    /// Write an object.
    Object(ObjectName),
    /// Write a checkpoint with all its objects.
    Checkpoint { objects: Vec<ObjectName>, sums: Bytes, manifest: Bytes },
    /// Write a file.
    File(Bytes),
}

/// A step, and why it failed if it did.
#[derive(Debug)]
pub struct Outcome {
    /// The step.
    pub step: Step,
    /// What the storage said.
    pub result: Result<(), StorageError>,
}

/// Plans to heal what `reports` say is damaged. They are what [`verify_with`](crate::ops::verify::verify_with) found in
/// `store` a moment ago.
///
/// Reads the good copies, and writes nothing.
pub fn plan(store: &Store, reports: &[Report]) -> RepairPlan {
    let replicas: Vec<Option<Replica>> = places(store)
        .into_iter()
        .map(|place| {
            let place = place.ok()?;
            let directories = checkpoint_directories(place.storage.as_ref()).ok()?;
            Some(Replica { storage: place.storage, directories: directories.into_iter().collect() })
        })
        .collect();
    let mut planner = Planner { store, reports, replicas, steps: BTreeMap::new() };
    planner.heal_store_files();
    for sequence in planner.affected() {
        planner.heal_checkpoint(sequence);
    }
    planner.heal_objects();
    planner.heal_records();
    let hopeless = planner.hopeless();
    let mut steps: Vec<Step> = planner.steps.into_values().collect();
    steps.sort_by(|a, b| (a.rank(), &a.place, &a.path).cmp(&(b.rank(), &b.place, &b.path)));
    RepairPlan { steps, hopeless }
}

/// Writes what `plan` says, and returns how each step ended. One that fails does not stop the others.
///
/// What stands in the place of a good file is moved into `damaged/`, and so kept. `progress` is told of bytes.
/// Interrupted anywhere, what was healed is healed, and the next repair goes on.
pub fn apply(store: &Store, plan: &RepairPlan, progress: &dyn Progress) -> Vec<Outcome> {
    progress.start(plan.steps.iter().map(|step| step.bytes).sum());
    let sources: Vec<Arc<dyn Storage>> = places(store).into_iter().flatten().map(|place| place.storage).collect();
    let mut outcomes = Vec::new();
    for step in &plan.steps {
        let result = step.apply(&sources).and_then(|()| step.target.sync());
        progress.advance(step.bytes);
        outcomes.push(Outcome { step: step.clone(), result });
    }
    outcomes
}

impl Step {
    /// Returns when it is its turn: a checkpoint becomes whole when its objects are, and a store when its checkpoints
    /// are.
    fn rank(&self) -> u8 {
        match self.cure {
            Cure::Object(_) => 0,
            Cure::Checkpoint { .. } => 1,
            Cure::File(_) if self.path.as_str() != layout::STORE_FILE => 2,
            Cure::File(_) => 3,
        }
    }

    fn apply(&self, sources: &[Arc<dyn Storage>]) -> Result<(), StorageError> {
        let target = self.target.as_ref();
        match &self.cure {
            Cure::Object(object) => write_object(target, *object, sources),
            Cure::File(bytes) => write(target, &self.path, bytes, |number| layout::damaged_file(&self.path, number)),
            Cure::Checkpoint { objects, sums, manifest } => {
                for object in objects {
                    if read_object(target, *object).is_none() {
                        write_object(target, *object, sources)?;
                    }
                }
                target.sync()?;
                match target.create_dir(&self.path, &[(SUMS_FILE, sums), (MANIFEST_FILE, manifest)]) {
                    // A run was faster.
                    Err(StorageError::Exists { .. }) if is_same(target, &self.path, manifest) => Ok(()),
                    created => created,
                }
            }
        }
    }
}

/// Tells whether the checkpoint directory at `path` has the manifest `bytes`.
fn is_same(storage: &dyn Storage, path: &RelPath, bytes: &Bytes) -> bool {
    let manifest = layout::file_in(path, MANIFEST_FILE);
    storage.get(&manifest, Manifest::MAX_BYTES).is_ok_and(|found| found == bytes)
}

/// Writes a good copy of `object` from the first of `sources` that has one.
fn write_object(target: &dyn Storage, object: ObjectName, sources: &[Arc<dyn Storage>]) -> Result<(), StorageError> {
    let bytes = sources.iter().find_map(|source| read_object(source.as_ref(), object));
    let bytes = bytes.ok_or_else(|| StorageError::NotFound { path: object.path().to_string() })?;
    write(target, &object.path(), &bytes, |number| layout::damaged(object, number))
}

/// Moves what is at `path` aside, to the first of `names` that is free, and writes `bytes` in its place.
fn write(
    target: &dyn Storage,
    path: &RelPath,
    bytes: &[u8],
    names: impl Fn(u32) -> RelPath,
) -> Result<(), StorageError> {
    let mut number = 1;
    loop {
        match target.rename(path, &names(number)) {
            Err(StorageError::Exists { .. }) if number < u32::MAX => number += 1,
            Err(StorageError::NotFound { .. }) => break,
            renamed => break renamed?,
        }
    }
    match target.create(path, bytes) {
        // Somebody else was faster, with the same bytes.
        Err(StorageError::Exists { .. }) if target.get(path, bytes.len() as u64).is_ok_and(|found| found == bytes) => {
            Ok(())
        }
        created => created,
    }
}

/// Reads an object, if its bytes are what its name promises. Memory is bounded by the size of the file.
fn read_object(storage: &dyn Storage, object: ObjectName) -> Option<Bytes> {
    let size = storage.size(&object.path()).ok()?;
    let bytes = storage.get(&object.path(), size).ok()?;
    (Digest::of(&bytes) == object.digest).then_some(bytes)
}

/// A place that can be read.
struct Replica {
    storage: Arc<dyn Storage>,
    directories: BTreeSet<Sequence>,
}

/// The two files of a checkpoint as one replica has them.
struct Candidate {
    manifest: Option<(Bytes, Digest)>,
    /// The manifest, when it is one of this store and number.
    usable: Option<Manifest>,
    sums: Option<Bytes>,
    /// What the list says of the manifest.
    sums_sha256: Option<Digest>,
}

impl Candidate {
    fn sha256(&self) -> Option<Digest> {
        self.manifest.as_ref().map(|(_, sha256)| *sha256)
    }

    fn is_consistent(&self) -> bool {
        self.usable.is_some() && self.sums_sha256.is_some() && self.sums_sha256 == self.sha256()
    }
}

/// What a checkpoint's files have to be.
struct Truth {
    manifest: Bytes,
    /// The replica that has it.
    from: usize,
    /// Its objects, sorted by name, when its index can be read.
    objects: Option<Vec<ObjectRef>>,
    /// Its list of objects, and where from.
    sums: Option<(Bytes, Origin)>,
}

struct Planner<'a> {
    store: &'a Store,
    reports: &'a [Report],
    /// One for each report, where it can be read.
    replicas: Vec<Option<Replica>>,
    steps: BTreeMap<(usize, RelPath), Step>,
}

impl Planner<'_> {
    fn readable(&self) -> impl Iterator<Item = (usize, &Replica)> {
        self.replicas.iter().enumerate().filter_map(|(number, replica)| Some((number, replica.as_ref()?)))
    }

    fn place(&self, number: usize) -> String {
        self.reports[number].place.clone()
    }

    fn add(&mut self, number: usize, path: RelPath, origin: Origin, bytes: u64, cure: Cure) {
        let Some(replica) = &self.replicas[number] else { return };
        let target = replica.storage.clone();
        let step = Step { place: self.place(number), path: path.clone(), origin, bytes, cure, target };
        self.steps.entry((number, path)).or_insert(step);
    }

    fn heal_store_files(&mut self) {
        let path = layout::store_file();
        // One that is as it was written, of this store.
        let whole = self.readable().find_map(|(number, replica)| {
            let bytes = replica.storage.get(&path, Manifest::MAX_BYTES).ok()?;
            let file = StoreFile::from_yaml(&bytes).ok().filter(|_| StoreFile::is_whole(&bytes))?;
            let own = &self.store.file;
            // Its own checkpoints have to say so too: both may be of another store.
            let is_own = (&file.store, &file.job) == (&own.store, &own.job);
            (is_own && is_of_store(replica.storage.as_ref(), self.store)).then_some((number, bytes))
        });
        let Some((from, bytes)) = whole else { return };
        for (number, report) in self.reports.iter().enumerate() {
            let wrong = [FindingCode::StoreFileMissing, FindingCode::StoreFileDamaged];
            if report.findings.iter().any(|finding| wrong.contains(&finding.code)) {
                let origin = Origin::Copy(self.place(from));
                self.add(number, path.clone(), origin, bytes.len() as u64, Cure::File(bytes.clone()));
            }
        }
    }

    /// Heals the small files that another replica has as they were written, and what was pruned.
    fn heal_records(&mut self) {
        use FindingCode::*;
        let codes = [
            ReplicasFileDamaged,
            ReplicasFileDiffers,
            PinDamaged,
            PinMissing,
            EventDamaged,
            EventMissing,
            PrunedDamaged,
        ];
        let reports = self.reports;
        for (number, report) in reports.iter().enumerate() {
            for finding in report.findings.iter().filter(|finding| codes.contains(&finding.code)) {
                let Ok(path) = RelPath::new(&finding.path) else { continue };
                if let Ok(object) = path.name().parse() {
                    self.heal_object(number, object);
                    continue;
                }
                let good = self.readable().find_map(|(other, replica)| {
                    let bytes = replica.storage.get(&path, yaml::MAX_BYTES as u64).ok()?;
                    let is_good = other != number && !self.is_found(other, &path);
                    (is_good && is_whole(&path, &bytes) != Some(false)).then_some((other, bytes))
                });
                if let Some((from, bytes)) = good {
                    let origin = Origin::Copy(self.place(from));
                    self.add(number, path, origin, bytes.len() as u64, Cure::File(bytes));
                }
            }
        }
    }

    /// Returns the checkpoints whose own files are in question.
    fn affected(&self) -> BTreeSet<Sequence> {
        use FindingCode::*;
        let own_files = [
            ManifestMissing,
            ManifestDamaged,
            ManifestMisplaced,
            ManifestAltered,
            SumsMissing,
            SumsWrong,
            CheckpointMissing,
            ReplicaBehind,
            ReplicaDiverged,
            ChainBroken,
        ];
        let mut affected = BTreeSet::new();
        for (number, report) in self.reports.iter().enumerate() {
            for finding in report.findings.iter().filter(|finding| own_files.contains(&finding.code)) {
                affected.extend(&finding.checkpoints);
                if finding.code == ChainBroken {
                    affected.extend(finding.checkpoints.iter().filter_map(|&child| self.parent(number, child)));
                }
            }
        }
        affected
    }

    /// Returns the parent that the manifest of `child` in replica `number` names.
    fn parent(&self, number: usize, child: Sequence) -> Option<Sequence> {
        Some(self.candidate(number, child)?.usable?.parent?.sequence)
    }

    /// Reads the files of checkpoint `sequence` in replica `number`.
    fn candidate(&self, number: usize, sequence: Sequence) -> Option<Candidate> {
        let storage = self.replicas[number].as_ref()?.storage.as_ref();
        let manifest = storage.get(&layout::manifest(sequence), Manifest::MAX_BYTES).ok();
        let manifest = manifest.map(|bytes| (bytes.clone(), Digest::of(&bytes)));
        let parsed = manifest.as_ref().and_then(|(bytes, _)| Manifest::from_yaml(bytes).ok());
        let sums = storage.get(&layout::sums(sequence), MAX_SUMS_BYTES).ok();
        Some(Candidate {
            usable: parsed.filter(|manifest| !is_misplaced(self.store, sequence, manifest)),
            sums_sha256: sums.as_ref().and_then(|sums| layout::parse_manifest_sum(sums)),
            manifest,
            sums,
        })
    }

    /// Returns what the manifests of the checkpoints after `sequence` say its SHA-256 is, each different answer once.
    fn promises(&self, sequence: Sequence) -> BTreeSet<Digest> {
        let mut promises = BTreeSet::new();
        for (number, replica) in self.readable() {
            let Some(&child) = replica.directories.iter().find(|&&other| other > sequence) else { continue };
            let Some(candidate) = self.candidate(number, child).filter(Candidate::is_consistent) else { continue };
            let parent = candidate.usable.and_then(|manifest| manifest.parent);
            promises.extend(parent.filter(|parent| parent.sequence == sequence).map(|parent| parent.sha256));
        }
        promises
    }

    /// Decides what the files of a checkpoint have to be; nothing when nobody knows, or witnesses contradict each
    /// other.
    fn truth(&self, sequence: Sequence) -> Option<Truth> {
        let candidates: Vec<(usize, Candidate)> =
            self.readable().filter_map(|(number, _)| Some((number, self.candidate(number, sequence)?))).collect();
        let usable = |candidate: &Candidate| candidate.usable.is_some();
        let promises = self.promises(sequence);
        let consistent: BTreeSet<Digest> = candidates
            .iter()
            .filter(|(_, candidate)| candidate.is_consistent())
            .filter_map(|(_, candidate)| candidate.sha256())
            .collect();
        let listed: BTreeSet<Digest> = candidates.iter().filter_map(|(_, candidate)| candidate.sums_sha256).collect();
        // The strongest kind of witness that there is decides, if all of its kind agree.
        let witnesses = [promises, consistent, listed].into_iter().find(|witnesses| !witnesses.is_empty());
        let is_alone = witnesses.is_none();
        let witnesses = witnesses.unwrap_or_else(|| {
            let found = candidates.iter().filter(|(_, candidate)| usable(candidate));
            found.filter_map(|(_, candidate)| candidate.sha256()).collect()
        });
        let [sha256] = witnesses.into_iter().collect::<Vec<_>>()[..] else { return None };
        let (from, candidate) =
            candidates.iter().find(|(_, candidate)| usable(candidate) && candidate.sha256() == Some(sha256))?;
        let manifest = candidate.usable.as_ref()?;
        let rows = self.find_object(manifest.tables.index.object).and_then(|(_, bytes)| index::decode(bytes).ok());
        if is_alone && rows.as_ref().is_none_or(|rows| !index_problems(manifest, rows).is_empty()) {
            // Nobody speaks for the manifest, and it does not even fit its index.
            return None;
        }
        let objects = rows.map(|rows| manifest.objects(&rows));
        let sums = match &objects {
            Some(objects) => {
                let text = layout::sums_text(objects.iter().map(|object| object.object), sha256);
                Some((Bytes::from(text), Origin::Made))
            }
            None => candidates.iter().find_map(|(number, candidate)| {
                let is_whole =
                    candidate.sums_sha256 == Some(sha256) && !self.is_found(*number, &layout::sums(sequence));
                is_whole.then(|| Some((candidate.sums.clone()?, Origin::Copy(self.place(*number)))))?
            }),
        };
        let (bytes, _) = candidate.manifest.clone()?;
        Some(Truth { manifest: bytes, from: *from, objects, sums })
    }

    /// Tells whether there is a finding about `path` in replica `number`.
    fn is_found(&self, number: usize, path: &RelPath) -> bool {
        self.reports[number].findings.iter().any(|finding| finding.path == path.as_str())
    }

    /// Returns a good copy of an object, and the replica that has it.
    fn find_object(&self, object: ObjectName) -> Option<(usize, Bytes)> {
        self.readable().find_map(|(number, replica)| Some((number, read_object(replica.storage.as_ref(), object)?)))
    }

    fn heal_checkpoint(&mut self, sequence: Sequence) {
        let Some(truth) = self.truth(sequence) else { return };
        let numbers: Vec<usize> = self.readable().map(|(number, _)| number).collect();
        for number in numbers {
            let is_there = self.replicas[number].as_ref().is_some_and(|it| it.directories.contains(&sequence));
            match is_there {
                true => self.heal_files(number, sequence, &truth),
                false => self.heal_absence(number, sequence, &truth),
            }
        }
    }

    /// Heals a checkpoint that a replica has a directory of.
    fn heal_files(&mut self, number: usize, sequence: Sequence, truth: &Truth) {
        let Some(candidate) = self.candidate(number, sequence) else { return };
        let is_known =
            candidate.usable.is_some() && candidate.manifest.as_ref().is_some_and(|(b, _)| *b == truth.manifest);
        if !is_known {
            let (path, origin) = (layout::manifest(sequence), Origin::Copy(self.place(truth.from)));
            let bytes = truth.manifest.len() as u64;
            self.add(number, path, origin, bytes, Cure::File(truth.manifest.clone()));
        }
        if let Some((sums, origin)) = &truth.sums
            && candidate.sums.as_ref() != Some(sums)
        {
            let path = layout::sums(sequence);
            self.add(number, path, origin.clone(), sums.len() as u64, Cure::File(sums.clone()));
        }
        // Verification did not know all objects of a checkpoint whose files are damaged.
        for object in truth.objects.iter().flatten() {
            self.heal_object(number, object.object);
        }
    }

    /// Heals a checkpoint that a replica lacks, if it should have it.
    fn heal_absence(&mut self, number: usize, sequence: Sequence, truth: &Truth) {
        let absent = [FindingCode::CheckpointMissing, FindingCode::ReplicaBehind];
        let is_told = |finding: &&Finding| absent.contains(&finding.code) && finding.checkpoints.contains(&sequence);
        if !self.reports[number].findings.iter().any(|finding| is_told(&finding)) {
            return;
        }
        let (Some(objects), Some((sums, _))) = (&truth.objects, &truth.sums) else { return };
        if objects.iter().any(|object| self.find_object(object.object).is_none()) {
            return;
        }
        let bytes = objects.iter().map(|object| object.bytes).fold(0, u64::saturating_add);
        let names = objects.iter().map(|object| object.object).collect();
        let cure = Cure::Checkpoint { objects: names, sums: sums.clone(), manifest: truth.manifest.clone() };
        self.add(number, layout::checkpoint_dir(sequence), Origin::Copy(self.place(truth.from)), bytes, cure);
    }

    fn heal_objects(&mut self) {
        use FindingCode::{ObjectDamaged, ObjectMissing, ObjectSize, ObjectUnreadable};
        let codes = [ObjectMissing, ObjectSize, ObjectDamaged, ObjectUnreadable];
        let reports = self.reports;
        for (number, report) in reports.iter().enumerate() {
            for finding in report.findings.iter().filter(|finding| codes.contains(&finding.code)) {
                let name = finding.path.rsplit('/').next().and_then(|name| name.parse().ok());
                if let Some(object) = name {
                    self.heal_object(number, object);
                }
            }
        }
    }

    /// Heals an object unless it is intact.
    fn heal_object(&mut self, number: usize, object: ObjectName) {
        let Some(replica) = &self.replicas[number] else { return };
        if self.steps.contains_key(&(number, object.path())) || read_object(replica.storage.as_ref(), object).is_some()
        {
            return;
        }
        if let Some((from, bytes)) = self.find_object(object) {
            let origin = Origin::Copy(self.place(from));
            self.add(number, object.path(), origin, bytes.len() as u64, Cure::Object(object));
        }
    }

    /// Returns the findings that no step heals.
    fn hopeless(&self) -> Vec<(String, Finding)> {
        let mut hopeless = Vec::new();
        for (number, report) in self.reports.iter().enumerate() {
            for finding in &report.findings {
                let matters = finding.severity() == Severity::Damage || finding.code == FindingCode::ReplicaBehind;
                if matters && !self.is_healed(number, finding) {
                    hopeless.push((report.place.clone(), finding.clone()));
                }
            }
        }
        hopeless
    }

    fn is_healed(&self, number: usize, finding: &Finding) -> bool {
        let has_step = |number: usize, path: RelPath| self.steps.contains_key(&(number, path));
        let touches = |number: usize, sequence: Sequence| {
            let paths = [layout::manifest(sequence), layout::sums(sequence), layout::checkpoint_dir(sequence)];
            paths.into_iter().any(|path| has_step(number, path))
        };
        let sequences = &finding.checkpoints;
        match finding.code {
            FindingCode::ReplicaBehind => sequences.iter().all(|&sequence| touches(number, sequence)),
            // Of two that contradict each other, the other one may be wrong.
            FindingCode::ReplicaDiverged => {
                sequences.iter().any(|&sequence| (0..self.reports.len()).any(|other| touches(other, sequence)))
            }
            FindingCode::ChainBroken => sequences.iter().any(|&child| {
                touches(number, child) || self.parent(number, child).is_some_and(|parent| touches(number, parent))
            }),
            // The parent itself is named.
            FindingCode::ChainGap | FindingCode::ManifestAltered | FindingCode::SumsWrong => {
                sequences.iter().any(|&sequence| touches(number, sequence))
            }
            _ => {
                // What a damaged manifest says of an object is wrong with the manifest, when the object is what its name promises or is not needed at all.
                let is_misjudged = || !sequences.is_empty() && sequences.iter().all(|&it| touches(number, it));
                RelPath::new(finding.path.clone()).is_ok_and(|path| has_step(number, path))
                    || (is_misjudged()
                        && (self.is_object_good(number, &finding.path)
                            || !sequences.iter().any(|&it| self.may_need(it, &finding.path))))
            }
        }
    }

    /// Tells whether checkpoint `sequence` needs the object at `path`, or that can not be told.
    fn may_need(&self, sequence: Sequence, path: &str) -> bool {
        let objects = self.truth(sequence).and_then(|truth| truth.objects);
        objects.is_none_or(|objects| objects.iter().any(|object| object.object.path().as_str() == path))
    }

    /// Tells whether `path` is an object whose bytes are what its name promises.
    fn is_object_good(&self, number: usize, path: &str) -> bool {
        let name = path.rsplit('/').next().and_then(|name| name.parse::<ObjectName>().ok());
        let replica = self.replicas[number].as_ref();
        name.zip(replica).is_some_and(|(object, replica)| read_object(replica.storage.as_ref(), object).is_some())
    }
}
