//! `ckpt verify`: proves that what was committed is still there.
//!
//! Every checkpoint's own files are read first, which tells the objects that there must be. Then each object is looked at once, however many checkpoints
//! share it. A finding never stops the rest.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

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
    let alone = |replica| Store { file: store.file.clone(), replicas: vec![replica] };
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
    let bodies = read_bodies(store, &roots, &mut findings);
    check_sums(&roots, &bodies, &mut findings);

    let mut objects = ObjectTable::default();
    for (root, body) in roots.iter().zip(&bodies) {
        let Some(manifest) = root.usable(store) else { continue };
        let index = body.index.as_deref().unwrap_or_default();
        for object in objects_of(manifest, index) {
            objects.add(object, root.sequence);
        }
    }
    let chains = if depth == Depth::Deep { deep_chains(store, &roots, &bodies) } else { Vec::new() };
    let chain_bytes: u64 = chains.iter().map(DeepChain::bytes).sum();
    progress.start(objects.bytes().saturating_add(chain_bytes));
    let mut read_bytes = check_objects(storage, &objects, depth, progress, &mut findings);
    if depth == Depth::Deep {
        read_bytes += check_rows(store, &roots, &bodies, &chains, progress, &mut findings);
    }
    if only.is_none() {
        check_surroundings(storage, &objects, &roots, &bodies, &mut findings)?;
    }
    Ok(Report {
        place: store.place(),
        checkpoints: sequences,
        objects: objects.uses.len() as u64,
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

/// The two files in a checkpoint's directory, as they are.
struct Root {
    sequence: Sequence,
    manifest_bytes: Result<Bytes, StorageError>,
    manifest: Option<Result<Manifest, ManifestError>>,
    sha256: Option<Digest>,
    sums: Result<Bytes, StorageError>,
}

impl Root {
    fn read(storage: &dyn Storage, sequence: Sequence) -> Root {
        let manifest_bytes = storage.get(&layout::manifest(sequence), Manifest::MAX_BYTES);
        let bytes = manifest_bytes.as_ref().ok();
        Root {
            sequence,
            manifest: bytes.map(|bytes| Manifest::from_yaml(bytes)),
            sha256: bytes.map(|bytes| Digest::of(bytes)),
            manifest_bytes,
            sums: storage.get(&layout::sums(sequence), SUMS_MAX_BYTES),
        }
    }

    /// Returns the manifest if it can be read and is of this store and number.
    fn usable(&self, store: &Store) -> Option<&Manifest> {
        let manifest = self.manifest.as_ref()?.as_ref().ok()?;
        misplaced(store, self.sequence, manifest).is_empty().then_some(manifest)
    }

    /// Returns what `SHA256SUMS` says about the manifest.
    fn sums_manifest(&self) -> Option<Digest> {
        let text = std::str::from_utf8(self.sums.as_ref().ok()?).ok()?;
        let line = text.lines().find_map(|line| line.strip_suffix(layout::MANIFEST_FILE))?;
        line.strip_suffix("  ")?.parse().ok()
    }
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
    match (&root.manifest_bytes, &root.manifest) {
        (Err(error), _) if error.is_not_found() => add(FindingCode::ManifestMissing, "a manifest", "nothing".into()),
        (Err(error), _) => add(FindingCode::ManifestDamaged, "a manifest", causes(error)),
        (_, Some(Err(error))) => add(FindingCode::ManifestDamaged, "a manifest", causes(error)),
        (_, Some(Ok(manifest))) => {
            let wrong = misplaced(store, root.sequence, manifest);
            for (field, expected, found) in &wrong {
                add(FindingCode::ManifestMisplaced, &format!("{field} {expected}"), format!("{field} {found}"));
            }
            // When the child agrees with the manifest, it is SHA256SUMS that was changed.
            let said = root.sums_manifest();
            if let (true, Some(said), Some(sha256)) = (wrong.is_empty(), said, root.sha256) {
                if said != sha256 && promised != Some(sha256) {
                    add(FindingCode::ManifestAltered, &format!("SHA-256 {said}"), format!("SHA-256 {sha256}"));
                }
            }
        }
        (Ok(_), None) => {}
    }
}

/// Checks that `parent` is what is there. A parent whose manifest has a finding of its own is not told twice.
fn check_link(sequence: Sequence, parent: Parent, there: &Root, findings: &mut Findings) {
    let path = layout::manifest(sequence);
    let expected = format!("parent {} with SHA-256 {}", parent.sequence.0, parent.sha256);
    let told = |code| findings.has(code, &layout::manifest(parent.sequence));
    let absent = matches!(&there.manifest_bytes, Err(error) if error.is_not_found());
    // Its own SHA256SUMS agrees with this link: the manifest was changed afterwards.
    let altered = there.sums_manifest() == Some(parent.sha256) && told(FindingCode::ManifestAltered);
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

/// The tables of a checkpoint; nothing where one could not be read.
#[derive(Default)]
struct Body {
    index: Option<Vec<IndexRow>>,
    /// The tasks of the partitions, for a job without a key.
    partitions: HashMap<String, u32>,
}

/// Reads and checks the index, the positions and the job definition of each checkpoint.
///
/// Objects that are missing or damaged are left to [`check_objects`]: a table that several checkpoints share is read for each, and told once.
fn read_bodies(store: &Store, roots: &[Root], findings: &mut Findings) -> Vec<Body> {
    // Most checkpoints share one job definition.
    let jobs: Mutex<HashSet<ObjectName>> = Mutex::default();
    let read = parallel::map(roots, |root| {
        let mut findings = Findings::default();
        let Some(manifest) = root.usable(store) else { return (Body::default(), findings) };
        let new_job = jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(manifest.tables.job.object);
        let body = read_body(store, root.sequence, manifest, new_job, &mut findings);
        (body, findings)
    });
    read.into_iter()
        .map(|(body, found)| {
            findings.append(found);
            body
        })
        .collect()
}

fn read_body(store: &Store, sequence: Sequence, manifest: &Manifest, job_too: bool, findings: &mut Findings) -> Body {
    let tables = manifest.tables;
    let mut wrong = |code, object: ObjectRef, expected: &str, found: String| {
        findings.add(code, object.object.path(), expected, found, [sequence]);
    };
    let mut body = Body::default();
    if let Ok(bytes) = store.object(tables.index) {
        match index::decode(bytes) {
            Ok(rows) => {
                for problem in index_problems(manifest, &rows).into_iter().take(MOST_ALIKE) {
                    wrong(FindingCode::IndexWrong, tables.index, "an index that fits the manifest", problem);
                }
                body.index = Some(rows);
            }
            Err(error) => wrong(FindingCode::ContentWrong, tables.index, "an index", causes(&error)),
        }
    }
    if let Ok(bytes) = store.object(tables.positions) {
        match positions::decode(bytes) {
            Ok(rows) => {
                for problem in positions_problems(manifest, &rows).into_iter().take(MOST_ALIKE) {
                    wrong(FindingCode::PositionsWrong, tables.positions, "positions that fit the manifest", problem);
                }
                body.partitions = rows.into_iter().filter_map(|row| Some((row.partition, row.task?))).collect();
            }
            Err(error) => wrong(FindingCode::ContentWrong, tables.positions, "positions", causes(&error)),
        }
    }
    if job_too {
        if let Ok(bytes) = store.object(tables.job) {
            if let Err(error) = yaml_map(&bytes) {
                wrong(FindingCode::ContentWrong, tables.job, "a job definition", causes(&error));
            }
        }
    }
    body
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

/// Checks each `SHA256SUMS` against the manifest beside it and the index.
fn check_sums(roots: &[Root], bodies: &[Body], findings: &mut Findings) {
    for (root, body) in roots.iter().zip(bodies) {
        let path = layout::sums(root.sequence);
        let bytes = match &root.sums {
            Ok(bytes) => bytes,
            Err(error) => {
                let found = if error.is_not_found() { "nothing".to_owned() } else { causes(error) };
                findings.add(FindingCode::SumsMissing, path, "a list of objects", found, [root.sequence]);
                continue;
            }
        };
        let (Some(Ok(manifest)), Some(sha256), Some(index)) = (&root.manifest, root.sha256, &body.index) else {
            continue;
        };
        // An altered manifest has been told, and is what the list is right about.
        let altered = findings.has(FindingCode::ManifestAltered, &layout::manifest(root.sequence));
        let sha256 = if altered { root.sums_manifest().unwrap_or(sha256) } else { sha256 };
        let names = objects_of(manifest, index).into_iter().map(|object| object.object);
        let expected = layout::sums_text(names, sha256);
        if bytes.as_ref() != expected.as_bytes() {
            let found = String::from_utf8_lossy(bytes);
            let (expected, found) = first_difference(&expected, &found);
            findings.add(FindingCode::SumsWrong, path, expected, found, [root.sequence]);
        }
    }
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
    uses: BTreeMap<ObjectName, (u64, Vec<Sequence>)>,
    /// Objects for which two checkpoints name different sizes.
    torn: Vec<(ObjectRef, Sequence)>,
}

impl ObjectTable {
    fn add(&mut self, object: ObjectRef, sequence: Sequence) {
        let (bytes, sequences) = self.uses.entry(object.object).or_insert_with(|| (object.bytes, Vec::new()));
        if *bytes == object.bytes {
            sequences.push(sequence);
        } else {
            self.torn.push((object, sequence));
        }
    }

    fn bytes(&self) -> u64 {
        self.uses.values().fold(0, |sum, (bytes, _)| sum.saturating_add(*bytes))
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
    let work: Vec<(ObjectRef, &[Sequence])> = objects
        .uses
        .iter()
        .map(|(&object, (bytes, sequences))| (ObjectRef { object, bytes: *bytes }, sequences.as_slice()))
        .collect();
    let outcomes = parallel::map(&work, |(object, _)| {
        let outcome = check_object(storage, *object, depth, progress);
        if depth == Depth::Quick {
            progress.advance(object.bytes);
        }
        outcome
    });
    let mut read_bytes = 0;
    for ((object, sequences), outcome) in work.into_iter().zip(outcomes) {
        match outcome {
            Ok(bytes) => read_bytes += bytes,
            Err(problem) => {
                let all = sequences.iter().copied();
                findings.add(problem.code, object.object.path(), problem.expected, problem.found, all);
            }
        }
    }
    for (object, sequence) in &objects.torn {
        let (bytes, _) = objects.uses[&object.object];
        let expected = format!("{} bytes, as checkpoint {} says", object.bytes, sequence.0);
        let found = format!("{bytes} bytes, as others say");
        findings.add(FindingCode::ObjectSize, object.object.path(), expected, found, [*sequence]);
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
    object: ObjectRef,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<u64, Problem> {
    let path = object.object.path();
    let refuse = |error: StorageError| {
        if error.is_not_found() {
            let expected = format!("{} bytes", object.bytes);
            Problem { code: FindingCode::ObjectMissing, expected, found: "nothing".to_owned() }
        } else {
            let expected = format!("{} bytes", object.bytes);
            Problem { code: FindingCode::ObjectUnreadable, expected, found: causes(&error) }
        }
    };
    let bytes = storage.size(&path).map_err(refuse)?;
    if bytes != object.bytes {
        let (expected, found) = (format!("{} bytes", object.bytes), format!("{bytes} bytes"));
        return Err(Problem { code: FindingCode::ObjectSize, expected, found });
    }
    if depth == Depth::Quick {
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
    if digest != object.object.digest {
        let expected = format!("SHA-256 {}", object.object.digest);
        return Err(Problem { code: FindingCode::ObjectDamaged, expected, found: format!("SHA-256 {digest}") });
    }
    Ok(bytes)
}

/// A shard's segments, and the checkpoints that have just these.
struct DeepChain {
    rows: Vec<IndexRow>,
    /// Positions in the list of checkpoints.
    users: Vec<usize>,
}

impl DeepChain {
    fn bytes(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
    }
}

/// Returns every different chain once: checkpoints share the chains of shards in which nothing changed.
fn deep_chains(store: &Store, roots: &[Root], bodies: &[Body]) -> Vec<DeepChain> {
    let mut chains: Vec<DeepChain> = Vec::new();
    // The columns and the number of tasks decide how rows are read; they are the same in all checkpoints of most stores.
    let mut places: HashMap<(u32, u32, String, Vec<ObjectName>), usize> = HashMap::new();
    for (user, (root, body)) in roots.iter().zip(bodies).enumerate() {
        let (Some(manifest), Some(index)) = (root.usable(store), &body.index) else { continue };
        if !index_problems(manifest, index).is_empty() {
            continue;
        }
        for chain in index.chunk_by(|a, b| a.shard == b.shard) {
            let names = chain.iter().map(|row| row.object).collect();
            let key = (manifest.tasks, chain[0].shard, format!("{:?}", manifest.columns), names);
            let place = *places.entry(key).or_insert_with(|| {
                chains.push(DeepChain { rows: chain.to_vec(), users: Vec::new() });
                chains.len() - 1
            });
            chains[place].users.push(user);
        }
    }
    chains
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
    bodies: &[Body],
    chains: &[DeepChain],
    progress: &dyn Progress,
    findings: &mut Findings,
) -> u64 {
    let outcomes = parallel::map(chains, |chain| {
        let mut findings = Findings::default();
        let live = check_chain(store, roots, bodies, chain, progress, &mut findings);
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
    bodies: &[Body],
    chain: &DeepChain,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> Option<u64> {
    // All users route alike: shards of different jobs do not share segments that have rows, and partitions keep their tasks.
    let user = *chain.users.last()?;
    let (root, body) = (&roots[user], &bodies[user]);
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
        Routing::Partition => std::str::from_utf8(key).ok().and_then(|key| body.partitions.get(key).copied()),
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
    objects: &ObjectTable,
    roots: &[Root],
    bodies: &[Body],
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
    // Whether an object is needed can be told only if every checkpoint could.
    let complete = bodies.iter().all(|body| body.index.is_some());
    for group in groups {
        let Ok(directory) = objects_dir.join(&group.name) else { continue };
        let entries = around.directory(Some(&directory), |entry| {
            entry.name.parse::<ObjectName>().is_ok() && entry.name.starts_with(&group.name)
        })?;
        for entry in entries.iter().filter(|_| complete) {
            let Ok(name) = entry.name.parse::<ObjectName>() else { continue };
            if !objects.uses.contains_key(&name) {
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
