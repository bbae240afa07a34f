//! `ckpt verify`: proves that what was committed is still there.
//!
//! Every checkpoint's own files are read first, which tells the objects that there must be. Then each object is looked at once, however many checkpoints
//! share it. A finding never stops the rest.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::{Digest, Hasher};
use crate::format::index::{self, IndexRow};
use crate::format::layout::{self, ObjectName};
use crate::format::manifest::{Manifest, ManifestError, ObjectRef, Parent, Routing};
use crate::format::positions::{self, PositionRow};
use crate::format::rows::{RowBatch, RowCodec};
use crate::id::Sequence;
use crate::ops::finding::{Finding, FindingCode, Severity};
use crate::ops::parallel;
use crate::ops::read::{ReadError, Snapshot, index_problems, objects_of};
use crate::progress::Progress;
use crate::relpath::RelPath;
use crate::storage::{Entry, EntryKind, Storage, StorageError, TEMPORARY_PREFIX};
use crate::store::{Committed, Store, StoreError};
use crate::yaml::{self, YamlError};

/// How much of an object is read at once, in bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// The most findings of one kind that are told of one object or checkpoint; a broken table could give millions.
const MOST_ALIKE: usize = 10;

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

/// What `verify` learned about one replica of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The replica.
    pub place: String,
    /// The checkpoints that were looked at, ascending.
    pub checkpoints: Vec<Sequence>,
    /// The different objects that they need.
    pub objects: u64,
    /// The bytes of objects that were read and hashed; with [`Depth::Deep`] shared ones count as often as they were read.
    pub read_bytes: u64,
    /// What was found, the damage first, then by path.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Tells whether nothing is damaged.
    pub fn is_intact(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() < Severity::Damage)
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
/// `progress` is told of bytes of objects. Fails only when a replica can not be looked at, or there is no such checkpoint.
pub fn verify(
    store: &Store,
    only: Option<Sequence>,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Vec<Report>, StoreError> {
    let alone = |replica| Store::new(store.file.clone(), vec![replica]);
    store.replicas.iter().map(|replica| verify_replica(&alone(replica.clone()), only, depth, progress)).collect()
}

fn verify_replica(
    store: &Store,
    only: Option<Sequence>,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Report, StoreError> {
    let storage = store.replicas[0].as_ref();
    let mut findings = Findings::default();
    let all = checkpoint_directories(storage)?;
    let sequences = match only {
        Some(sequence) if !all.contains(&sequence) => {
            return Err(StoreError::NoCheckpoint { place: store.place(), sequence });
        }
        Some(sequence) => vec![sequence],
        None => all.clone(),
    };
    let roots = parallel::map(&sequences, |&sequence| Root::read(storage, sequence));
    check_roots(store, storage, &sequences, &roots, &mut findings);
    let needs = Needs::read(store, &roots, depth, &mut findings);
    let chain_bytes: u64 = needs.chains.iter().map(DeepChain::bytes).fold(0, u64::saturating_add);
    progress.start(needs.objects.bytes().saturating_add(chain_bytes));
    let mut read_bytes = check_objects(storage, &needs.objects, depth, progress, &mut findings);
    if depth == Depth::Deep {
        read_bytes += check_rows(store, &roots, &needs.chains, progress, &mut findings);
    }
    if only.is_none() {
        check_surroundings(storage, &needs, &roots, &mut findings)?;
    }
    Ok(Report {
        place: store.place(),
        checkpoints: sequences,
        objects: needs.objects.uses.len() as u64,
        read_bytes,
        findings: findings.finish(),
    })
}

/// Gathers findings; the same one about several checkpoints is one finding.
#[derive(Default)]
struct Findings {
    found: BTreeMap<(FindingCode, String, String, String), BTreeSet<Sequence>>,
}

impl Findings {
    fn add(
        &mut self,
        code: FindingCode,
        path: impl ToString,
        expected: impl Into<String>,
        found: impl Into<String>,
        checkpoints: impl IntoIterator<Item = Sequence>,
    ) {
        let key = (code, path.to_string(), expected.into(), found.into());
        self.found.entry(key).or_default().extend(checkpoints);
    }

    fn append(&mut self, mut others: Findings) {
        for (key, checkpoints) in std::mem::take(&mut others.found) {
            self.found.entry(key).or_default().extend(checkpoints);
        }
    }

    fn has(&self, code: FindingCode, path: &RelPath) -> bool {
        let first = (code, path.as_str().to_owned(), String::new(), String::new());
        self.found.range(first..).next().is_some_and(|(key, _)| key.0 == code && key.1 == path.as_str())
    }

    fn finish(self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .found
            .into_iter()
            .map(|((code, path, expected, found), checkpoints)| Finding {
                code,
                path,
                expected,
                found,
                checkpoints: checkpoints.into_iter().collect(),
            })
            .collect();
        findings.sort_by(|a, b| {
            let order = |f: &Finding| (std::cmp::Reverse(f.severity()), f.path.clone(), f.code);
            order(a).cmp(&order(b))
        });
        findings
    }
}

/// Returns the numbers that directories in `checkpoints/` have, with a manifest or without.
fn checkpoint_directories(storage: &dyn Storage) -> Result<Vec<Sequence>, StoreError> {
    let directory = RelPath::new(layout::CHECKPOINTS).expect("a plain name");
    let entries = storage.list(Some(&directory))?;
    let directories = entries.iter().filter(|entry| entry.kind == EntryKind::Directory);
    let mut sequences: Vec<Sequence> = directories.filter_map(|entry| entry.name.parse().ok()).collect();
    sequences.sort_unstable();
    Ok(sequences)
}

/// The manifest of a checkpoint, as it is, and what `SHA256SUMS` says of it.
struct Root {
    sequence: Sequence,
    manifest: Result<Result<Manifest, ManifestError>, StorageError>,
    /// The SHA-256 of the manifest, whatever is in it.
    sha256: Option<Digest>,
    /// The SHA-256 that it should have.
    sums_sha256: Option<Digest>,
}

impl Root {
    fn read(storage: &dyn Storage, sequence: Sequence) -> Root {
        let bytes = storage.get(&layout::manifest(sequence), Manifest::MAX_BYTES);
        Root {
            sequence,
            sha256: bytes.as_ref().ok().map(|bytes| Digest::of(bytes)),
            manifest: bytes.map(|bytes| Manifest::from_yaml(&bytes)),
            sums_sha256: sums_sha256(storage, sequence),
        }
    }

    /// Returns the manifest if it can be read and is of this store and number.
    fn usable(&self, store: &Store) -> Option<&Manifest> {
        let manifest = self.manifest.as_ref().ok()?.as_ref().ok()?;
        misplaced(store, self.sequence, manifest).is_empty().then_some(manifest)
    }
}

/// Reads what `SHA256SUMS` says of the manifest: its last line.
fn sums_sha256(storage: &dyn Storage, sequence: Sequence) -> Option<Digest> {
    let path = layout::sums(sequence);
    let bytes = storage.size(&path).ok()?;
    let first = bytes.saturating_sub(layout::MANIFEST_SUM_BYTES + 1);
    layout::parse_manifest_sum(&storage.get_range(&path, first..bytes).ok()?)
}

/// A `SHA256SUMS` has a line of about 160 bytes an object; more than this is none.
const SUMS_MAX_BYTES: u64 = 1 << 30;

/// Returns the fields in which `manifest` names another place: the field, expected, found.
fn misplaced(store: &Store, sequence: Sequence, manifest: &Manifest) -> Vec<(&'static str, String, String)> {
    let mut wrong = Vec::new();
    if manifest.sequence != sequence {
        wrong.push(("sequence", sequence.0.to_string(), manifest.sequence.0.to_string()));
    }
    if manifest.store != store.file.store {
        wrong.push(("store", store.file.store.to_string(), manifest.store.to_string()));
    }
    if manifest.job != store.file.job {
        wrong.push(("job", store.file.job.clone(), manifest.job.clone()));
    }
    wrong
}

/// Checks manifests and the chain between them.
fn check_roots(store: &Store, storage: &dyn Storage, sequences: &[Sequence], roots: &[Root], findings: &mut Findings) {
    // What the child of each checkpoint says its manifest is.
    let mut promised: HashMap<Sequence, Digest> = HashMap::new();
    let parent_of = |root: &Root| root.usable(store).and_then(|manifest| manifest.parent);
    promised.extend(roots.iter().filter_map(parent_of).map(|parent| (parent.sequence, parent.sha256)));
    if let ([only], true) = (sequences, roots.len() == 1) {
        let child = Root::read(storage, Sequence(only.0.saturating_add(1)));
        promised.extend(parent_of(&child).map(|parent| (parent.sequence, parent.sha256)));
    }
    for root in roots {
        check_manifest(store, root, promised.get(&root.sequence).copied(), findings);
    }
    let known: HashMap<Sequence, &Root> = roots.iter().map(|root| (root.sequence, root)).collect();
    for root in roots {
        let Some(manifest) = root.usable(store) else { continue };
        let path = layout::manifest(root.sequence);
        match manifest.parent {
            None if root.sequence == Sequence::FIRST => {}
            None => {
                findings.add(FindingCode::ChainBroken, path, "a parent", "none", [root.sequence]);
            }
            Some(parent) if parent.sequence >= root.sequence => {
                let found = format!("parent {}", parent.sequence.0);
                let expected = format!("a parent before {}", root.sequence.0);
                findings.add(FindingCode::ChainBroken, path, expected, found, [root.sequence]);
            }
            Some(parent) => match known.get(&parent.sequence) {
                Some(parent_root) => check_link(root.sequence, parent, parent_root, findings),
                None => check_link(root.sequence, parent, &Root::read(storage, parent.sequence), findings),
            },
        }
    }
}

/// Checks one manifest by itself. `promised` is what its child says of it.
fn check_manifest(store: &Store, root: &Root, promised: Option<Digest>, findings: &mut Findings) {
    let path = layout::manifest(root.sequence);
    let mut add = |code, expected: &str, found: String| findings.add(code, &path, expected, found, [root.sequence]);
    match &root.manifest {
        Err(error) if error.is_not_found() => add(FindingCode::ManifestMissing, "a manifest", "nothing".into()),
        Err(error) => add(FindingCode::ManifestDamaged, "a manifest", causes(error)),
        Ok(Err(error)) => add(FindingCode::ManifestDamaged, "a manifest", causes(error)),
        Ok(Ok(manifest)) => {
            let wrong = misplaced(store, root.sequence, manifest);
            for (field, expected, found) in &wrong {
                add(FindingCode::ManifestMisplaced, &format!("{field} {expected}"), format!("{field} {found}"));
            }
            if let (true, Some(said), Some(sha256)) = (wrong.is_empty(), root.sums_sha256, root.sha256) {
                // When the checkpoint after it agrees with the manifest, it is SHA256SUMS that was changed.
                if said != sha256 && promised != Some(sha256) {
                    add(FindingCode::ManifestAltered, &format!("SHA-256 {said}"), format!("SHA-256 {sha256}"));
                }
            }
        }
    }
}

/// Checks that `parent` is what is there. A parent whose manifest has a finding of its own is not told twice.
fn check_link(sequence: Sequence, parent: Parent, there: &Root, findings: &mut Findings) {
    let path = layout::manifest(sequence);
    let expected = format!("parent {} with SHA-256 {}", parent.sequence.0, parent.sha256);
    let told = |code| findings.has(code, &layout::manifest(parent.sequence));
    let absent = matches!(&there.manifest, Err(error) if error.is_not_found());
    // Its own SHA256SUMS agrees with this link: the manifest was changed afterwards.
    let altered = there.sums_sha256 == Some(parent.sha256) && told(FindingCode::ManifestAltered);
    let others = [FindingCode::ManifestMissing, FindingCode::ManifestDamaged, FindingCode::ManifestMisplaced];
    if there.sha256 == Some(parent.sha256) || altered || others.into_iter().any(told) {
        return;
    }
    let (code, found) = match there.sha256 {
        Some(sha256) => (FindingCode::ChainBroken, format!("SHA-256 {sha256}")),
        None if absent => (FindingCode::ChainGap, "no such checkpoint".to_owned()),
        None => (FindingCode::ChainBroken, "a manifest that can not be read".to_owned()),
    };
    findings.add(code, path, expected, found, [sequence]);
}

/// Checkpoints whose tables are in memory at once.
const BODIES_AT_ONCE: usize = 256;

/// What the checkpoints need, as their manifests and indexes say.
#[derive(Default)]
struct Needs {
    objects: ObjectTable,
    /// Every different chain of segments once, when rows are to be read: checkpoints share those of shards in which nothing changed.
    chains: Vec<DeepChain>,
    /// Whether it is known of every checkpoint what it needs.
    complete: bool,
}

impl Needs {
    /// Reads and checks the index, the positions, the job definition and `SHA256SUMS` of each checkpoint.
    ///
    /// Objects that are missing or damaged are left to [`check_objects`], which looks at each once. Where the index can not be read, `SHA256SUMS` tells what
    /// is needed.
    fn read(store: &Store, roots: &[Root], depth: Depth, findings: &mut Findings) -> Needs {
        let mut needs = Needs { complete: true, ..Needs::default() };
        let mut places = HashMap::new();
        // Most checkpoints share one job definition.
        let jobs: Mutex<HashSet<ObjectName>> = Mutex::default();
        for (batch, roots) in roots.chunks(BODIES_AT_ONCE).enumerate() {
            let told: &Findings = findings;
            let bodies = parallel::map(roots, |root| Body::read(store, root, &jobs, told));
            for (place, (root, body)) in roots.iter().zip(bodies).enumerate() {
                findings.append(body.findings);
                needs.complete &= body.is_known;
                for (object, bytes) in body.objects {
                    needs.objects.add(object, bytes, root.sequence);
                }
                if let (Depth::Deep, Some(manifest)) = (depth, root.usable(store)) {
                    let user = batch * BODIES_AT_ONCE + place;
                    add_chains(&mut needs.chains, &mut places, user, manifest, &body.index, body.partitions);
                }
            }
        }
        needs
    }
}

/// What one checkpoint needs.
#[derive(Default)]
struct Body {
    findings: Findings,
    /// The objects and, where it is known, their sizes.
    objects: Vec<(ObjectName, Option<u64>)>,
    /// Whether these are all.
    is_known: bool,
    /// The index, if it fits the manifest.
    index: Vec<IndexRow>,
    /// The tasks of the partitions, for a job without a key.
    partitions: HashMap<String, u32>,
}

impl Body {
    /// Reads the tables of a checkpoint. `told` is what was found so far.
    fn read(store: &Store, root: &Root, jobs: &Mutex<HashSet<ObjectName>>, told: &Findings) -> Body {
        let mut body = Body::default();
        let mut index = None;
        if let Some(manifest) = root.usable(store) {
            let new_job = jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(manifest.tables.job.object);
            index = body.read_tables(store, root.sequence, manifest, new_job);
            let tables = [manifest.tables.index, manifest.tables.positions, manifest.tables.job];
            let objects = match &index {
                Some(index) => objects_of(manifest, index),
                None => tables.to_vec(),
            };
            body.objects = objects.into_iter().map(|object| (object.object, Some(object.bytes))).collect();
        }
        body.is_known = index.is_some();
        let altered = told.has(FindingCode::ManifestAltered, &layout::manifest(root.sequence));
        // An altered manifest has been told; the list is right about it.
        let sha256 = if altered { root.sums_sha256 } else { root.sha256 };
        body.check_sums(store.replicas[0].as_ref(), root.sequence, sha256);
        body.index = index.unwrap_or_default();
        body
    }

    /// Checks `SHA256SUMS` against the objects and the manifest, or takes the objects from it when they are not known.
    fn check_sums(&mut self, storage: &dyn Storage, sequence: Sequence, sha256: Option<Digest>) {
        let path = layout::sums(sequence);
        let bytes = match storage.get(&path, SUMS_MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                let found = if error.is_not_found() { "nothing".to_owned() } else { causes(&error) };
                return self.findings.add(FindingCode::SumsMissing, path, "a list of objects", found, [sequence]);
            }
        };
        let found = String::from_utf8_lossy(&bytes);
        match sha256 {
            Some(sha256) if self.is_known => {
                let expected = layout::sums_text(self.objects.iter().map(|(object, _)| *object), sha256);
                if *expected != *found {
                    let (expected, found) = first_difference(&expected, &found);
                    self.findings.add(FindingCode::SumsWrong, path, expected, found, [sequence]);
                }
            }
            _ => {
                let names = found.lines().filter_map(|line| line.rsplit('/').next()?.parse().ok());
                let listed: Vec<ObjectName> = names.collect();
                self.is_known = layout::parse_manifest_sum(&bytes).is_some();
                self.objects.extend(listed.into_iter().map(|object| (object, None)));
                self.objects.sort_by_key(|(object, bytes)| (*object, bytes.is_none()));
                self.objects.dedup_by_key(|(object, _)| *object);
            }
        }
    }

    /// Reads the index, the positions and the job definition, and returns the index.
    fn read_tables(
        &mut self,
        store: &Store,
        sequence: Sequence,
        manifest: &Manifest,
        job_too: bool,
    ) -> Option<Vec<IndexRow>> {
        let tables = manifest.tables;
        let findings = &mut self.findings;
        let mut wrong = |code, object: ObjectRef, expected: &str, found: String| {
            findings.add(code, object.object.path(), expected, found, [sequence]);
        };
        let mut index = None;
        if let Ok(bytes) = store.object(tables.index) {
            match index::decode(bytes) {
                Ok(rows) => {
                    for problem in index_problems(manifest, &rows).into_iter().take(MOST_ALIKE) {
                        wrong(FindingCode::IndexWrong, tables.index, "an index that fits the manifest", problem);
                    }
                    index = Some(rows);
                }
                Err(error) => wrong(FindingCode::ContentWrong, tables.index, "an index", causes(&error)),
            }
        }
        if let Ok(bytes) = store.object(tables.positions) {
            match positions::decode(bytes) {
                Ok(rows) => {
                    for problem in positions_problems(manifest, &rows).into_iter().take(MOST_ALIKE) {
                        let expected = "positions that fit the manifest";
                        wrong(FindingCode::PositionsWrong, tables.positions, expected, problem);
                    }
                    self.partitions = rows.into_iter().filter_map(|row| Some((row.partition, row.task?))).collect();
                }
                Err(error) => wrong(FindingCode::ContentWrong, tables.positions, "positions", causes(&error)),
            }
        }
        if job_too
            && let Ok(bytes) = store.object(tables.job)
            && let Err(error) = yaml_map(&bytes)
        {
            wrong(FindingCode::ContentWrong, tables.job, "a job definition", causes(&error));
        }
        index
    }
}

/// Returns what in `rows` contradicts `manifest`.
fn positions_problems(manifest: &Manifest, rows: &[PositionRow]) -> Vec<String> {
    let mut problems = Vec::new();
    for row in rows {
        if row.cut > manifest.block {
            problems.push(format!(
                "partition {:?}: cut {} is past the checkpoint's {}",
                row.partition, row.cut, manifest.block
            ));
        }
        match (manifest.routing, row.task) {
            (Routing::KeyHash, None) => {}
            (Routing::Partition, Some(task)) if task < manifest.tasks => {}
            (_, task) => problems.push(format!("partition {:?}: task {task:?}", row.partition)),
        }
    }
    let newest: Vec<&PositionRow> =
        rows.chunk_by(|a, b| a.partition == b.partition).filter_map(<[PositionRow]>::last).collect();
    let sum = |of: fn(&PositionRow) -> u64| newest.iter().fold(0u64, |sum, row| sum.saturating_add(of(row)));
    for (what, expected, found) in [
        ("partitions", manifest.totals.partitions, newest.len() as u64),
        ("bytes of input", manifest.totals.input_bytes, sum(|row| row.offset)),
        ("records", manifest.totals.records, sum(|row| row.record)),
    ] {
        if expected != found {
            problems.push(format!("expected {expected} {what} as the manifest says, found {found}"));
        }
    }
    problems
}

/// Returns the first line that is not the same in both, shortened.
fn first_difference(expected: &str, found: &str) -> (String, String) {
    let mut lines = (1.., expected.split_inclusive('\n'), found.split_inclusive('\n'));
    loop {
        let (number, a, b) = (lines.0.next().unwrap_or(0), lines.1.next(), lines.2.next());
        if a != b || (a.is_none() && b.is_none()) {
            let show = |line: Option<&str>| match line {
                Some(line) => format!("line {number} {:?}", line.chars().take(160).collect::<String>()),
                None => format!("no line {number}"),
            };
            return (show(a), show(b));
        }
    }
}

/// The objects that must be there, and who needs them.
#[derive(Default)]
struct ObjectTable {
    uses: BTreeMap<ObjectName, ObjectUse>,
    /// Objects for which two checkpoints name different sizes: the second size and who names it.
    torn: Vec<(ObjectName, u64, Sequence)>,
}

/// Who needs an object.
#[derive(Default)]
struct ObjectUse {
    /// Its size, unless only `SHA256SUMS` names it.
    bytes: Option<u64>,
    checkpoints: Vec<Sequence>,
}

impl ObjectTable {
    fn add(&mut self, object: ObjectName, bytes: Option<u64>, sequence: Sequence) {
        let known = self.uses.entry(object).or_default();
        match (known.bytes, bytes) {
            (Some(known), Some(bytes)) if known != bytes => return self.torn.push((object, bytes, sequence)),
            (None, bytes) => known.bytes = bytes,
            _ => {}
        }
        known.checkpoints.push(sequence);
    }

    fn bytes(&self) -> u64 {
        self.uses.values().filter_map(|known| known.bytes).fold(0, u64::saturating_add)
    }
}

/// Looks at every object once, and returns how many bytes were read.
fn check_objects(
    storage: &dyn Storage,
    objects: &ObjectTable,
    depth: Depth,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> u64 {
    let work: Vec<(&ObjectName, &ObjectUse)> = objects.uses.iter().collect();
    let outcomes =
        parallel::map(&work, |(object, known)| check_object(storage, **object, known.bytes, depth, progress));
    let mut read_bytes = 0;
    for ((object, known), outcome) in work.into_iter().zip(outcomes) {
        match outcome {
            Ok(bytes) => read_bytes += bytes,
            Err(problem) => {
                let checkpoints = known.checkpoints.iter().copied();
                findings.add(problem.code, object.path(), problem.expected, problem.found, checkpoints);
            }
        }
    }
    for (object, bytes, sequence) in &objects.torn {
        let expected = format!("{bytes} bytes, as checkpoint {} says", sequence.0);
        let other = objects.uses[object].bytes.unwrap_or_default();
        findings.add(
            FindingCode::ObjectSize,
            object.path(),
            expected,
            format!("{other} bytes, as another says"),
            [*sequence],
        );
    }
    read_bytes
}

/// What is wrong with an object.
struct Problem {
    code: FindingCode,
    expected: String,
    found: String,
}

/// Checks one object and returns how many of its bytes were read.
fn check_object(
    storage: &dyn Storage,
    object: ObjectName,
    expected_bytes: Option<u64>,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<u64, Problem> {
    let path = object.path();
    let refuse = |error: StorageError| {
        let expected = expected_bytes.map_or_else(|| "an object".to_owned(), |bytes| format!("{bytes} bytes"));
        let (code, found) = match error.is_not_found() {
            true => (FindingCode::ObjectMissing, "nothing".to_owned()),
            false => (FindingCode::ObjectUnreadable, causes(&error)),
        };
        Problem { code, expected, found }
    };
    let bytes = storage.size(&path).map_err(refuse)?;
    if let Some(expected) = expected_bytes.filter(|expected| *expected != bytes) {
        let (expected, found) = (format!("{expected} bytes"), format!("{bytes} bytes"));
        return Err(Problem { code: FindingCode::ObjectSize, expected, found });
    }
    if depth == Depth::Quick {
        progress.advance(bytes);
        return Ok(0);
    }
    let mut hasher = Hasher::new();
    let mut at = 0;
    while at < bytes {
        let piece = storage.get_range(&path, at..bytes.min(at + PIECE_BYTES)).map_err(refuse)?;
        if piece.is_empty() {
            let (expected, found) = (format!("{bytes} bytes"), format!("{at} bytes"));
            return Err(Problem { code: FindingCode::ObjectSize, expected, found });
        }
        hasher.update(&piece);
        at += piece.len() as u64;
        progress.advance(piece.len() as u64);
    }
    let digest = hasher.finish();
    if digest != object.digest {
        let expected = format!("SHA-256 {}", object.digest);
        return Err(Problem { code: FindingCode::ObjectDamaged, expected, found: format!("SHA-256 {digest}") });
    }
    Ok(bytes)
}

/// A shard's segments, and the checkpoints that have just these.
struct DeepChain {
    rows: Vec<IndexRow>,
    /// Positions in the list of checkpoints.
    users: Vec<usize>,
    /// The tasks of the partitions, for a job without a key.
    partitions: Arc<HashMap<String, u32>>,
}

impl DeepChain {
    fn bytes(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
    }
}

/// What tells chains apart: tasks, shard, routing with columns, and segments. All but the shard and the segments are the same in most stores.
type ChainKey = (u32, u32, String, Vec<ObjectName>);

/// Adds the chains of checkpoint `user`, each once.
fn add_chains(
    chains: &mut Vec<DeepChain>,
    places: &mut HashMap<ChainKey, usize>,
    user: usize,
    manifest: &Manifest,
    index: &[IndexRow],
    partitions: HashMap<String, u32>,
) {
    if !index_problems(manifest, index).is_empty() {
        return;
    }
    let columns = format!("{:?} {:?}", manifest.routing, manifest.columns);
    let partitions = Arc::new(partitions);
    for chain in index.chunk_by(|a, b| a.shard == b.shard) {
        let names = chain.iter().map(|row| row.object).collect();
        let place = *places.entry((manifest.tasks, chain[0].shard, columns.clone(), names)).or_insert_with(|| {
            chains.push(DeepChain { rows: chain.to_vec(), users: Vec::new(), partitions: partitions.clone() });
            chains.len() - 1
        });
        chains[place].users.push(user);
    }
}

/// What a segment holds, as its rows say.
#[derive(Debug, Clone, Default)]
struct Seen {
    rows: u64,
    tombstones: u64,
    smallest_key: Option<Vec<u8>>,
    largest_key: Option<Vec<u8>>,
    misrouted: u64,
    first_misrouted: Option<String>,
}

impl Seen {
    fn observe(&mut self, batch: &RowBatch, segment: &IndexRow, owner: impl Fn(&[u8]) -> Option<u32>) {
        for row in batch.iter() {
            self.rows += 1;
            self.tombstones += u64::from(row.value.is_none());
            if self.smallest_key.as_deref().is_none_or(|key| row.key < key) {
                self.smallest_key = Some(row.key.to_vec());
            }
            if self.largest_key.as_deref().is_none_or(|key| row.key > key) {
                self.largest_key = Some(row.key.to_vec());
            }
            if owner(row.key) != Some(row.task) || !(segment.first_task..=segment.last_task).contains(&row.task) {
                self.misrouted += 1;
                let key = String::from_utf8_lossy(row.key);
                self.first_misrouted.get_or_insert_with(|| {
                    format!("task {} for key {:?}", row.task, key.chars().take(80).collect::<String>())
                });
            }
        }
    }

    /// Tells in which counts the index is wrong: expected by the index, found.
    fn count_problems(&self, row: &IndexRow) -> Vec<(String, String)> {
        let text = |key: &Option<Vec<u8>>| String::from_utf8_lossy(key.as_deref().unwrap_or_default()).into_owned();
        let pairs = [
            ("rows", row.rows.to_string(), self.rows.to_string()),
            ("tombstones", row.tombstones.to_string(), self.tombstones.to_string()),
            ("smallest key", format!("{:?}", row.smallest_key), format!("{:?}", text(&self.smallest_key))),
            ("largest key", format!("{:?}", row.largest_key), format!("{:?}", text(&self.largest_key))),
        ];
        let differ = pairs.into_iter().filter(|(_, expected, found)| expected != found);
        differ.map(|(what, expected, found)| (format!("{what} {expected}"), format!("{what} {found}"))).collect()
    }
}

/// Reads every row of every different chain, and returns how many bytes were read.
fn check_rows(
    store: &Store,
    roots: &[Root],
    chains: &[DeepChain],
    progress: &dyn Progress,
    findings: &mut Findings,
) -> u64 {
    let outcomes = parallel::map(chains, |chain| {
        let mut findings = Findings::default();
        let live = check_chain(store, roots, chain, progress, &mut findings);
        (live, findings)
    });
    let mut read_bytes = 0;
    let mut keys: BTreeMap<usize, Option<u64>> = BTreeMap::new();
    for (chain, (live, found)) in chains.iter().zip(outcomes) {
        findings.append(found);
        if live.is_some() {
            read_bytes += chain.bytes();
        }
        for &user in &chain.users {
            let sum = keys.entry(user).or_insert(Some(0));
            *sum = sum.zip(live).map(|(sum, live)| sum.saturating_add(live));
        }
    }
    for (user, keys) in keys {
        let (Some(keys), Some(manifest)) = (keys, roots[user].usable(store)) else { continue };
        if keys != manifest.totals.keys {
            let path = layout::manifest(manifest.sequence);
            let expected = format!("{} keys as the manifest says", manifest.totals.keys);
            findings.add(FindingCode::TotalsWrong, path, expected, format!("{keys} keys"), [manifest.sequence]);
        }
    }
    read_bytes
}

/// Checks the rows of one chain and returns how many keys are live in it, or nothing when they could not be counted.
fn check_chain(
    store: &Store,
    roots: &[Root],
    chain: &DeepChain,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> Option<u64> {
    // All users route alike: the key of a chain has what routing depends on, and partitions keep their tasks.
    let root = &roots[*chain.users.first()?];
    let manifest = root.usable(store)?;
    let snapshot = Snapshot {
        committed: Committed { manifest: manifest.clone(), sha256: root.sha256? },
        index: Vec::new(),
        codec: RowCodec::new(manifest.columns.clone()),
    };
    let users = || chain.users.iter().map(|&user| roots[user].sequence);
    let seen = RefCell::new(vec![Seen::default(); chain.rows.len()]);
    let mut live = 0u64;
    let owner = |key: &[u8]| match manifest.routing {
        Routing::KeyHash => Some(index::task_of_key(key, manifest.tasks)),
        Routing::Partition => std::str::from_utf8(key).ok().and_then(|key| chain.partitions.get(key).copied()),
    };
    let inspect = |place: usize, batch: &RowBatch| seen.borrow_mut()[place].observe(batch, &chain.rows[place], owner);
    let outcome = snapshot.chain_rows(store, &chain.rows, progress, &inspect, |row| {
        live.add_assign(u64::from(row.value.is_some()));
        true
    });
    match outcome {
        Ok(()) => {}
        // The object itself has been told.
        Err(ReadError::Store(_)) => return None,
        Err(ReadError::Table { path, source }) => {
            findings.add(FindingCode::ContentWrong, path, "sorted rows of the state", causes(&source), users());
            return None;
        }
        Err(error) => {
            findings.add(FindingCode::ContentWrong, layout::manifest(root.sequence), "rows", causes(&error), users());
            return None;
        }
    }
    for (row, seen) in chain.rows.iter().zip(seen.into_inner()) {
        let path = row.object.path();
        for (expected, found) in seen.count_problems(row) {
            findings.add(FindingCode::CountWrong, &path, expected, found, users());
        }
        if let Some(first) = seen.first_misrouted {
            let found = format!("{} rows of others, the first with {first}", seen.misrouted);
            let expected = format!("rows of tasks {} to {} by their keys", row.first_task, row.last_task);
            findings.add(FindingCode::RowMisrouted, &path, expected, found, users());
        }
    }
    Some(live)
}

/// Looks for what is no part of the store.
fn check_surroundings(
    storage: &dyn Storage,
    needs: &Needs,
    roots: &[Root],
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let mut around = Surroundings { storage, findings };
    around.directory(None, |entry| match entry.name.as_str() {
        layout::STORE_FILE | layout::LOCK_FILE => entry.kind == EntryKind::File,
        layout::CHECKPOINTS | layout::DAMAGED | "objects" => entry.kind == EntryKind::Directory,
        _ => false,
    })?;
    let checkpoints = RelPath::new(layout::CHECKPOINTS).expect("a plain name");
    around.directory(Some(&checkpoints), |entry| {
        entry.kind == EntryKind::Directory && entry.name.parse::<Sequence>().is_ok()
    })?;
    for root in roots {
        around.directory(Some(&layout::checkpoint_dir(root.sequence)), |entry| {
            matches!(entry.name.as_str(), layout::MANIFEST_FILE | layout::SUMS_FILE)
        })?;
    }
    let objects_dir = RelPath::new(layout::OBJECTS).expect("a plain name");
    around.directory(objects_dir.parent().as_ref(), |entry| entry.name == objects_dir.name())?;
    let groups = around.directory(Some(&objects_dir), |entry| {
        let hexadecimal = entry.name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        entry.kind == EntryKind::Directory && entry.name.len() == 2 && hexadecimal
    })?;
    let damaged = RelPath::new(layout::DAMAGED).expect("a plain name");
    for entry in around.directory(Some(&damaged), |entry| entry.kind == EntryKind::File)? {
        let (path, found) = (format!("{damaged}/{}", entry.name), format!("a file of {} bytes", entry.bytes));
        around.findings.add(FindingCode::ObjectSetAside, path, "nothing", found, []);
    }
    for group in groups {
        let Ok(directory) = objects_dir.join(&group.name) else { continue };
        let entries = around.directory(Some(&directory), |entry| {
            entry.name.parse::<ObjectName>().is_ok() && entry.name.starts_with(&group.name)
        })?;
        for entry in entries.iter().filter(|_| needs.complete) {
            let Ok(name) = entry.name.parse::<ObjectName>() else { continue };
            if !needs.objects.uses.contains_key(&name) {
                let found = format!("{} bytes", entry.bytes);
                around.findings.add(FindingCode::ObjectUnused, name.path(), "a checkpoint that needs it", found, []);
            }
        }
    }
    Ok(())
}

/// Walks the directories of a store.
struct Surroundings<'a> {
    storage: &'a dyn Storage,
    findings: &'a mut Findings,
}

impl Surroundings<'_> {
    /// Lists a directory, notes what is not `expected` there, and returns what is.
    fn directory(
        &mut self,
        directory: Option<&RelPath>,
        expected: impl Fn(&Entry) -> bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let (expected, others): (Vec<Entry>, Vec<Entry>) =
            self.storage.list(directory)?.into_iter().partition(expected);
        for entry in others {
            let path = directory.map_or_else(|| entry.name.clone(), |directory| format!("{directory}/{}", entry.name));
            let code =
                if entry.name.starts_with(TEMPORARY_PREFIX) { FindingCode::Leftover } else { FindingCode::ForeignFile };
            let kind = match entry.kind {
                EntryKind::File => format!("a file of {} bytes", entry.bytes),
                EntryKind::Directory => "a directory".to_owned(),
                EntryKind::Other => "something that is no regular file".to_owned(),
            };
            self.findings.add(code, path, "nothing", kind, []);
        }
        Ok(expected)
    }
}

/// Checks that `bytes` are YAML with a map at the top.
fn yaml_map(bytes: &[u8]) -> Result<(), YamlError> {
    yaml::parse(yaml::decode(bytes)?)?.map("a job definition").map(drop)
}

/// Returns the message of `error` and of what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
