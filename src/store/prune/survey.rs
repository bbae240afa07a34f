//! Reads the contents of a store: the checkpoints with the objects that they need, and everything else.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use jiff::Timestamp;

use crate::format::index;
use crate::format::layout::{self, ObjectName};
use crate::format::manifest::{Manifest, ObjectRef};
use crate::store::error::StoreError;
use crate::store::prune::contents::Contents;
use crate::store::prune::error::PruneError;
use crate::store::root::Committed;
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::{Progress, Silent};
use crate::values::relpath::RelPath;

/// The objects of a store, each with a small number that stands for it.
#[derive(Debug, Default)]
pub(super) struct Objects {
    numbers: HashMap<ObjectName, u32>,
    pub(super) names: Vec<ObjectName>,
    /// The size in bytes; for a missing object the promised size.
    pub(super) bytes: Vec<u64>,
    /// Whether any replica has it.
    pub(super) exists: Vec<bool>,
}

impl Objects {
    /// Returns the number of an object, which is new if it is unknown.
    fn add(&mut self, name: ObjectName, bytes: u64, exists: bool) -> u32 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.bytes.push(bytes);
            self.exists.push(exists);
            u32::try_from(self.names.len() - 1).expect("a store has fewer than four billion objects")
        })
    }

    /// Returns the total size of objects.
    pub(super) fn sum(&self, numbers: impl IntoIterator<Item = u32>) -> u64 {
        numbers.into_iter().fold(0, |sum, number| sum.saturating_add(self.bytes[number as usize]))
    }
}

/// A checkpoint and the objects that it needs.
#[derive(Debug)]
pub(super) struct Surveyed {
    pub(super) sequence: Sequence,
    pub(super) sha256: Digest,
    pub(super) parent: Option<Sequence>,
    pub(super) restored_from: Option<Sequence>,
    /// Whether it publishes a file that is named after it, as with `emit: changes`.
    pub(super) has_changes: bool,
    /// Whether it says what belongs to the dead letters.
    pub(super) has_dead_letters: bool,
    pub(super) created: Timestamp,
    pub(super) keys: u64,
    /// The numbers of the objects that it needs, each once.
    pub(super) needs: Vec<u32>,
    /// Whether all of them exist.
    pub(super) is_whole: bool,
}

/// The contents of a store.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) objects: Objects,
    /// The checkpoints, ascending.
    pub(super) live: Vec<Surveyed>,
    pub(super) replicas: Vec<Contents>,
}

impl Survey {
    /// Lists all replicas. One that refuses is lost, and has no contents.
    pub(super) fn list(store: &Store) -> Result<Survey, PruneError> {
        let mut replicas: Vec<Contents> = Vec::new();
        for (index, storage) in store.storages().enumerate() {
            replicas.push(match Contents::list(storage) {
                Err(error) if error.is_refusal() => {
                    store.lose_unless_last(index, error)?;
                    Contents::default()
                }
                listed => listed?,
            });
        }
        let mut objects = Objects::default();
        for (name, entry) in replicas.iter().flat_map(|contents| &contents.objects) {
            objects.add(*name, entry.bytes, true);
        }
        Ok(Survey { objects, live: Vec::new(), replicas })
    }

    /// Lists all replicas and reads every checkpoint. Fails if it is unknown what one of them needs.
    pub(super) fn read(store: &Store, progress: &dyn Progress) -> Result<Survey, PruneError> {
        let mut survey = Survey::list(store)?;
        let sequences: Vec<Sequence> = survey.live_sequences().into_iter().collect();
        progress.start(sequences.len() as u64);
        survey.live = survey.checkpoints(store, &sequences, layout::checkpoint_dir, progress)?;
        Ok(survey)
    }

    /// Returns the committed checkpoints of all replicas.
    pub(super) fn live_sequences(&self) -> BTreeSet<Sequence> {
        self.replicas.iter().flat_map(|contents| contents.live.iter().copied()).collect()
    }

    /// Returns the pruned checkpoints of all replicas.
    pub(super) fn pruned(&self) -> BTreeSet<Sequence> {
        self.replicas.iter().flat_map(|contents| contents.pruned.iter().copied()).collect()
    }

    /// Reads checkpoints and what they need, each from the first replica that has it intact.
    pub(super) fn checkpoints(
        &mut self,
        store: &Store,
        sequences: &[Sequence],
        directory: impl Fn(Sequence) -> RelPath + Sync,
        progress: &dyn Progress,
    ) -> Result<Vec<Surveyed>, PruneError> {
        let objects = &self.objects;
        let read = parallel::map_on(store.readers(), sequences, |&sequence| {
            let read = read_needs(store, &directory(sequence), sequence, objects);
            progress.advance(1);
            read.map_err(|source| PruneError::Unreadable { sequence, source: Box::new(source) })
        });
        let mut checkpoints = Vec::with_capacity(read.len());
        for read in read {
            let (manifest, sha256, needs) = read?;
            let (needs, is_whole) = match needs {
                Needs::Existing(numbers) => (numbers, true),
                Needs::Named(named) => {
                    let numbers: Vec<u32> =
                        named.iter().map(|object| self.objects.add(object.object, object.bytes, false)).collect();
                    let exists = |&number: &u32| self.objects.exists[number as usize];
                    let is_whole = numbers.iter().all(exists);
                    (numbers, is_whole)
                }
            };
            let number = format!("-{}", manifest.sequence);
            checkpoints.push(Surveyed {
                sequence: manifest.sequence,
                sha256,
                parent: manifest.parent.map(|parent| parent.sequence),
                restored_from: manifest.restored_from,
                has_changes: manifest.outputs.iter().any(|output| output.path.contains(&number)),
                has_dead_letters: manifest.dead_letter.is_some() || manifest.late_records.is_some(),
                created: manifest.created,
                keys: manifest.totals.keys,
                needs,
                is_whole,
            });
        }
        Ok(checkpoints)
    }
}

/// Returns the objects that checkpoints need.
pub(super) fn objects_of(store: &Store, sequences: &[Sequence]) -> Result<HashSet<ObjectName>, PruneError> {
    if sequences.is_empty() {
        return Ok(HashSet::new());
    }
    let mut survey = Survey { objects: Objects::default(), live: Vec::new(), replicas: Vec::new() };
    let read = survey.checkpoints(store, sequences, layout::checkpoint_dir, &Silent)?;
    let names = read.iter().flat_map(|checkpoint| &checkpoint.needs);
    Ok(names.map(|&number| survey.objects.names[number as usize]).collect())
}

/// What a checkpoint needs.
enum Needs {
    /// These, and all exist.
    Existing(Vec<u32>),
    /// These, some of which may be missing.
    Named(Vec<ObjectRef>),
}

/// Reads the two files of a checkpoint and returns what it needs.
///
/// `SHA256SUMS` is the fast way. No hash vouches for its lines, so they are believed only if every object exists and
/// their sizes add up to what the manifest says; otherwise the index counts, whose hash is in the manifest.
fn read_needs(
    store: &Store,
    directory: &RelPath,
    sequence: Sequence,
    objects: &Objects,
) -> Result<(Manifest, Digest, Needs), StoreError> {
    let (committed, sums) = read_whole(store, directory, sequence)?;
    let manifest = committed.manifest;
    let needs = match needs_of_sums(&manifest, &sums, objects) {
        Some(numbers) => Needs::Existing(numbers),
        None => Needs::Named(needs_of_index(store, &manifest)?),
    };
    Ok((manifest, committed.sha256, needs))
}

/// Returns the objects that the checkpoint in `directory` needs, each once.
pub(super) fn objects_needed(
    store: &Store,
    directory: &RelPath,
    sequence: Sequence,
) -> Result<Vec<ObjectRef>, StoreError> {
    needs_of_index(store, &read_whole(store, directory, sequence)?.0.manifest)
}

/// Reads the two files of a checkpoint from the first replica that has them intact.
fn read_whole(store: &Store, directory: &RelPath, sequence: Sequence) -> Result<(Committed, Bytes), StoreError> {
    let mut worst: Option<StoreError> = None;
    for replica in &store.replicas {
        match replica.read_files(&store.file, directory, sequence).whole(replica) {
            Ok(whole) => return Ok(whole),
            // A missing file says less than a damaged one.
            Err(error) if worst.as_ref().is_none_or(StoreError::is_not_found) => {
                worst = Some(worst.filter(|_| error.is_not_found()).unwrap_or(error));
            }
            Err(_) => {}
        }
    }
    Err(worst.expect("a store has at least one replica"))
}

fn needs_of_sums(manifest: &Manifest, sums: &[u8], objects: &Objects) -> Option<Vec<u32>> {
    let (names, _) = layout::parse_sums(sums)?;
    let find = |name: &ObjectName| objects.numbers.get(name).copied().filter(|&number| objects.exists[number as usize]);
    let numbers: Vec<u32> = names.iter().map(find).collect::<Option<_>>()?;
    let has_tables = manifest.own_objects().all(|own| names.binary_search(&own.object).is_ok());
    let adds_up = objects.sum(numbers.iter().copied()) == manifest.totals.bytes;
    (has_tables && adds_up).then_some(numbers)
}

fn needs_of_index(store: &Store, manifest: &Manifest) -> Result<Vec<ObjectRef>, StoreError> {
    let table = manifest.tables.index;
    let rows =
        index::decode(store.object(table)?).map_err(|source| StoreError::Index { object: table.object, source })?;
    let mut seen = HashSet::new();
    let all = manifest.own_objects().chain(rows.iter().map(index::IndexRow::object_ref));
    Ok(all.filter(|object| seen.insert(object.object)).collect())
}
