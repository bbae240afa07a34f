//! What checkpoints need, according to their tables and `SHA256SUMS`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::format::index::{self, IndexRow};
use crate::format::layout::{self, ObjectName};
use crate::format::limits::MAX_SUMS_BYTES;
use crate::format::manifest::{Manifest, ObjectRef};
use crate::format::positions;
use crate::input;
use crate::job::definition::{self, DefinitionError, contradiction};
use crate::job::{JobSpec, Windows};
use crate::ops::finding::{FindingCode, Findings, Subject};
use crate::ops::read::index_problems;
use crate::ops::verify::agreement::{
    Whole, cut_problems, index_regressions, manifest_problems, parent_problems, positions_problems,
};
use crate::ops::verify::chains::{Chain, Chains};
use crate::ops::verify::line_ends;
use crate::ops::verify::object_table::ObjectTable;
use crate::ops::verify::options::Depth;
use crate::storage::Storage;
use crate::store::{RootRead, Store};
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::lock::lock;
use crate::values::parallel;
use crate::values::yaml;
use crate::values::yaml::YamlError;

/// The most findings of one kind that are reported about one object or checkpoint; a broken table could give millions.
const MAX_ALIKE: usize = 10;

/// Checkpoints whose tables are in memory at once.
pub(super) const BODIES_AT_ONCE: usize = 256;

/// What the checkpoints need, as their manifests and indexes say.
#[derive(Default)]
pub(super) struct Needs {
    pub(super) objects: ObjectTable,
    /// If rows are to be read, every different chain of segments once: checkpoints share those of unchanged shards.
    pub(super) chains: Vec<Chain>,
    /// Whether it is known what every checkpoint needs.
    pub(super) complete: bool,
    /// The checkpoints whose index cannot be read, so that nothing was compared with it.
    pub(super) uncompared: Vec<Sequence>,
}

impl Needs {
    /// Reads and checks the index, the positions, the job definition and `SHA256SUMS` of each checkpoint.
    ///
    /// Missing and damaged objects are left to `check_objects`, which checks each once. Where the index cannot be read,
    /// `SHA256SUMS` says what is needed.
    pub(super) fn read(store: &Store, roots: &[RootRead], depth: Depth, findings: &mut Findings) -> Needs {
        let mut needs = Needs { complete: true, ..Needs::default() };
        let mut chains = Chains::default();
        // The checkpoint before, which is usually the parent.
        let mut before: Option<(&Manifest, Vec<IndexRow>)> = None;
        // Most checkpoints share one job definition.
        let jobs = Jobs::default();
        for (batch, roots) in roots.chunks(BODIES_AT_ONCE).enumerate() {
            let known: &Findings = findings;
            let bodies = parallel::map_on(store.readers(), roots, |root| Body::read(store, root, &jobs, known));
            for (place, (root, mut body)) in roots.iter().zip(bodies).enumerate() {
                if let (Some(manifest), Some((parent, index))) = (root.usable(), &before) {
                    body.check_parent(manifest, Whole { manifest: parent, index });
                }
                findings.append(body.findings);
                needs.complete &= body.is_known;
                needs.uncompared.extend((!body.has_index).then_some(root.sequence));
                for (object, bytes) in body.objects {
                    needs.objects.add(object, bytes, root.sequence);
                }
                needs.objects.add_parts(root.usable(), &body.index);
                if let (Depth::Deep, Some(manifest)) = (depth, root.usable()) {
                    let user = batch * BODIES_AT_ONCE + place;
                    chains.add(user, manifest, &body.index, body.partitions, body.windows.as_ref());
                }
                // One that was altered says nothing about its child.
                let is_altered = findings.has(FindingCode::ManifestAltered, Subject::Manifest(root.sequence));
                let parent = root.usable().filter(|_| body.has_index && !is_altered);
                before = parent.map(|manifest| (manifest, body.index));
            }
        }
        needs.chains = chains.finish();
        needs
    }
}

/// A job definition, or what is wrong with it.
type ReadJob = Result<Arc<JobSpec>, (FindingCode, String)>;

/// The job definitions that were read, by their objects.
#[derive(Default)]
pub(super) struct Jobs(Mutex<HashMap<ObjectName, ReadJob>>);

/// What one checkpoint needs.
#[derive(Default)]
pub(super) struct Body {
    pub(super) findings: Findings,
    /// The objects and, where it is known, their sizes.
    pub(super) objects: Vec<(ObjectName, Option<u64>)>,
    /// Whether these are all.
    pub(super) is_known: bool,
    /// The index, if it can be read.
    pub(super) index: Vec<IndexRow>,
    has_index: bool,
    /// The tasks of the partitions, for a job without a key.
    pub(super) partitions: HashMap<String, u32>,
    /// The windows of the job.
    windows: Option<Windows>,
}

impl Body {
    /// Reads the tables of a checkpoint. `known` are the findings so far.
    pub(super) fn read(store: &Store, root: &RootRead, jobs: &Jobs, known: &Findings) -> Body {
        let mut body = Body::default();
        let mut index = None;
        if let Some(manifest) = root.usable() {
            body.add_all(FindingCode::ManifestWrong, manifest, manifest_problems(manifest));
            index = body.read_tables(store, root.sequence, manifest);
            body.check_job(store, manifest, jobs);
            let objects = match &index {
                Some(index) => manifest.objects(index),
                None => manifest.own_objects().collect(),
            };
            body.objects = objects.into_iter().map(|object| (object.object, Some(object.bytes))).collect();
        }
        body.is_known = index.is_some();
        let altered = known.has(FindingCode::ManifestAltered, Subject::Manifest(root.sequence));
        // An altered manifest has a finding of its own; the list is right about it.
        let sha256 = if altered { root.listed() } else { root.sha256 };
        body.check_sums(store.replicas()[0].storage().as_ref(), root.sequence, sha256);
        body.has_index = index.is_some();
        body.index = index.unwrap_or_default();
        body
    }

    /// Adds findings about `manifest` itself.
    fn add_all(&mut self, code: FindingCode, manifest: &Manifest, problems: Vec<String>) {
        for problem in problems.into_iter().take(MAX_ALIKE) {
            let subject = Subject::Manifest(manifest.sequence);
            self.findings.add(code, subject, "a manifest that fits its checkpoint", problem, [manifest.sequence]);
        }
    }

    /// Checks the manifest and the index against `parent`, if that is the checkpoint's parent.
    fn check_parent(&mut self, manifest: &Manifest, parent: Whole<'_>) {
        if !self.has_index || manifest.parent.is_none_or(|named| named.sequence != parent.manifest.sequence) {
            return;
        }
        let index = std::mem::take(&mut self.index);
        let child = Whole { manifest, index: &index };
        self.add_all(FindingCode::ManifestWrong, manifest, parent_problems(child, parent));
        for problem in index_regressions(child, parent).into_iter().take(MAX_ALIKE) {
            let (index, expected) = (manifest.tables.index.object, "an index that continues the parent's");
            self.findings.add(FindingCode::IndexWrong, index, expected, problem, [manifest.sequence]);
        }
        self.index = index;
    }

    /// Checks `SHA256SUMS` against the objects and the manifest, or takes the objects from it if they are unknown.
    pub(super) fn check_sums(&mut self, storage: &dyn Storage, sequence: Sequence, sha256: Option<Digest>) {
        let path = layout::sums(sequence);
        let bytes = match storage.get(&path, MAX_SUMS_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if self.findings.is_refusal(&error) => return,
            // In object storage it follows the manifest, and its writer may have died in between.
            Err(error) if error.is_not_found() && storage.file_system().is_none() && self.is_known => return,
            Err(error) => {
                let found = if error.is_not_found() { "nothing".to_owned() } else { in_one_line(&error) };
                return self.findings.add(FindingCode::SumsMissing, &path, "a checksum list", found, [sequence]);
            }
        };
        let found = String::from_utf8_lossy(&bytes);
        match sha256 {
            Some(sha256) if self.is_known => {
                let expected = layout::sums_text(self.objects.iter().map(|(object, _)| *object), sha256);
                if *expected != *found {
                    let (expected, found) = first_difference(&expected, &found);
                    let found = line_ends::explain(found, &bytes, |original| layout::parse_sums(original).is_some());
                    self.findings.add(FindingCode::SumsWrong, &path, expected, found, [sequence]);
                }
            }
            _ => {
                let names = found.lines().filter_map(|line| line.rsplit('/').next()?.parse().ok());
                let listed: Vec<ObjectName> = names.collect();
                self.is_known = layout::parse_manifest_sum(&bytes).is_some();
                if !self.is_known {
                    let found = format!("not a checksum list ({} bytes)", bytes.len());
                    let found = line_ends::explain(found, &bytes, |original| layout::parse_sums(original).is_some());
                    self.findings.add(FindingCode::SumsWrong, &path, "a checksum list", found, [sequence]);
                }
                self.objects.extend(listed.into_iter().map(|object| (object, None)));
                self.objects.sort_by_key(|(object, bytes)| (*object, bytes.is_none()));
                self.objects.dedup_by_key(|(object, _)| *object);
            }
        }
    }

    /// Reads the index and the positions, and returns the index.
    pub(super) fn read_tables(
        &mut self,
        store: &Store,
        sequence: Sequence,
        manifest: &Manifest,
    ) -> Option<Vec<IndexRow>> {
        let tables = manifest.tables;
        let findings = &mut self.findings;
        let mut read = |table: ObjectRef| store.object(table).inspect_err(|error| findings.note_refusal(error)).ok();
        let (index_bytes, positions_bytes) = (read(tables.index), read(tables.positions));
        let mut wrong = |code, object: ObjectRef, expected: &str, found: String| {
            findings.add(code, object.object, expected, found, [sequence]);
        };
        let mut index = None;
        if let Some(bytes) = index_bytes {
            match index::decode(bytes) {
                Ok(rows) => {
                    let problems = index_problems(manifest, &rows).into_iter().chain(cut_problems(manifest, &rows));
                    for problem in problems.take(MAX_ALIKE) {
                        wrong(FindingCode::IndexWrong, tables.index, "an index that fits the manifest", problem);
                    }
                    index = Some(rows);
                }
                Err(error) => wrong(FindingCode::ContentWrong, tables.index, "an index", in_one_line(&error)),
            }
        }
        if let Some(bytes) = positions_bytes {
            match positions::decode(bytes) {
                Ok(rows) => {
                    for problem in positions_problems(manifest, &rows).into_iter().take(MAX_ALIKE) {
                        let expected = "positions that fit the manifest";
                        wrong(FindingCode::PositionsWrong, tables.positions, expected, problem);
                    }
                    self.partitions =
                        rows.iter().filter_map(|row| Some((row.logical().to_owned(), row.task?))).collect();
                }
                Err(error) => wrong(FindingCode::ContentWrong, tables.positions, "positions", in_one_line(&error)),
            }
        }
        index
    }

    /// Checks that a run accepts the job definition, and that it fits `manifest`.
    fn check_job(&mut self, store: &Store, manifest: &Manifest, jobs: &Jobs) {
        let sequence = manifest.sequence;
        let object = manifest.tables.job.object;
        let known = lock(&jobs.0).get(&object).cloned();
        let job = known.or_else(|| {
            let read = store.object(manifest.tables.job).inspect_err(|error| self.findings.note_refusal(error));
            let job = read_job(&read.ok()?, sequence);
            lock(&jobs.0).insert(object, job.clone());
            Some(job)
        });
        match job {
            Some(Ok(job)) => {
                self.windows = job.window.as_ref().map(Windows::new);
                if let Some(problem) = contradiction(manifest, &job, input::BLOCK_BYTES) {
                    let (subject, expected) = (Subject::Manifest(sequence), "a manifest that fits its job definition");
                    self.findings.add(FindingCode::NotResumable, subject, expected, problem, [sequence]);
                }
            }
            Some(Err((code, found))) => self.findings.add(code, object, "a job definition", found, [sequence]),
            None => {}
        }
    }
}

fn read_job(bytes: &[u8], sequence: Sequence) -> ReadJob {
    definition::parse(bytes, sequence).map(Arc::new).map_err(|error| match yaml_map(bytes) {
        Err(error) => (FindingCode::ContentWrong, in_one_line(&error)),
        Ok(()) => (FindingCode::NotResumable, without_sequence(&error)),
    })
}

/// Describes `error` alike for all checkpoints that share the definition.
fn without_sequence(error: &DefinitionError) -> String {
    match error {
        DefinitionError::Malformed { source, .. } => in_one_line(source),
        DefinitionError::Store(_) | DefinitionError::NotText { .. } => "not UTF-8".to_owned(),
    }
}

/// Returns the first line that differs, shortened.
pub(super) fn first_difference(expected: &str, found: &str) -> (String, String) {
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

/// Checks that `bytes` are YAML with a map at the top.
pub(super) fn yaml_map(bytes: &[u8]) -> Result<(), YamlError> {
    yaml::parse(yaml::decode(bytes)?)?.map("a job definition").map(drop)
}
