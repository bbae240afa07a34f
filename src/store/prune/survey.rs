//! Reads what a store holds: the checkpoints with what they need, and everything that lies around.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use crate::format::index;
use crate::format::layout::{self, CHECKPOINTS, DAMAGED, HISTORY, OBJECTS, ObjectName, PINS, PRUNED};
use crate::format::manifest::{Manifest, ObjectRef};
use crate::storage::{Entry, EntryKind, Storage, TEMPORARY_PREFIX};
use crate::store::prune::PruneError;
use crate::store::replica::{Replica, Root};
use crate::store::{Store, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;
use crate::values::relpath::RelPath;

/// The objects that lie in a store, each with a small number that stands for it.
#[derive(Debug, Default)]
pub(super) struct Objects {
    numbers: HashMap<ObjectName, u32>,
    pub(super) names: Vec<ObjectName>,
    /// The size in bytes; that which is promised for one that is not there.
    pub(super) bytes: Vec<u64>,
    /// Whether it is there, in any replica.
    pub(super) is_there: Vec<bool>,
}

impl Objects {
    /// Returns the number of an object.
    fn add(&mut self, name: ObjectName, bytes: u64, is_there: bool) -> u32 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.bytes.push(bytes);
            self.is_there.push(is_there);
            u32::try_from(self.names.len() - 1).expect("a store has fewer than four billion objects")
        })
    }

    /// Returns the sum of the sizes of objects.
    pub(super) fn sum(&self, numbers: impl IntoIterator<Item = u32>) -> u64 {
        numbers.into_iter().fold(0, |sum, number| sum.saturating_add(self.bytes[number as usize]))
    }
}

/// What is known of a checkpoint.
#[derive(Debug)]
pub(super) struct Surveyed {
    pub(super) sequence: Sequence,
    pub(super) sha256: Digest,
    pub(super) parent: Option<Sequence>,
    pub(super) created: Timestamp,
    pub(super) keys: u64,
    /// The numbers of the objects that it needs, each once.
    pub(super) needs: Vec<u32>,
    pub(super) is_whole: bool,
}

/// Something that lies in a replica and that no checkpoint needs.
#[derive(Debug, Clone)]
pub(super) struct Lying {
    /// Its path in the store, with what is no path shown as it is.
    pub(super) path: String,
    pub(super) entry: Entry,
    pub(super) kind: LyingKind,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LyingKind {
    /// A file or directory that was being written.
    Temporary,
    /// A damaged object that was set aside.
    SetAside,
    /// No part of a store.
    Foreign,
}

/// What lies in one replica.
#[derive(Debug)]
pub(super) struct Around {
    /// Checkpoints that are there.
    pub(super) live: BTreeSet<Sequence>,
    /// Checkpoints that were pruned and can be brought back.
    pub(super) pruned: BTreeSet<Sequence>,
    /// Objects by name.
    pub(super) objects: BTreeMap<ObjectName, Entry>,
    /// Everything else.
    pub(super) lying: Vec<Lying>,
    /// When the directory of the newest checkpoint was written, by the clock of the storage, where that is known.
    pub(super) newest_seconds: Option<i64>,
}

impl Around {
    /// Lists a replica.
    pub(super) fn list(storage: &dyn Storage) -> Result<Around, StoreError> {
        let mut lying = Vec::new();
        let directory = layout::directory;
        sort(storage.list(None)?, "", &mut lying, |entry| match entry.name.as_str() {
            layout::STORE_FILE
            | layout::REPLICAS_FILE
            | layout::LOCK_FILE
            | layout::PRUNE_LOCK_FILE
            | layout::OBJECTS_LOCK_FILE => entry.kind == EntryKind::File,
            CHECKPOINTS | PINS | HISTORY | PRUNED | DAMAGED | layout::REQUESTS | "objects" => {
                entry.kind == EntryKind::Directory
            }
            _ => false,
        });
        let mut sequences = |name: &'static str| -> Result<BTreeMap<Sequence, Entry>, StoreError> {
            let is_checkpoint =
                |entry: &Entry| entry.kind == EntryKind::Directory && entry.name.parse::<Sequence>().is_ok();
            let entries = sort(storage.list(Some(&directory(name)))?, name, &mut lying, is_checkpoint);
            Ok(entries.into_iter().filter_map(|entry| Some((entry.name.parse().ok()?, entry))).collect())
        };
        let live = sequences(CHECKPOINTS)?;
        let pruned = sequences(PRUNED)?;
        let is_file = |entry: &Entry| entry.kind == EntryKind::File;
        sort(storage.list(Some(&directory(PINS)))?, PINS, &mut lying, |entry| {
            is_file(entry) && layout::parse_pin(&entry.name).is_some()
        });
        sort(storage.list(Some(&directory(HISTORY)))?, HISTORY, &mut lying, |entry| {
            let is_known = layout::parse_event(&entry.name).is_some() || layout::parse_attempts(&entry.name).is_some();
            is_file(entry) && is_known
        });
        for entry in sort(storage.list(Some(&directory(DAMAGED)))?, DAMAGED, &mut lying, is_file) {
            lying.push(Lying { path: format!("{DAMAGED}/{}", entry.name), entry, kind: LyingKind::SetAside });
        }
        let objects_dir = directory(OBJECTS);
        let above = objects_dir.parent().expect("it has two names");
        sort(storage.list(Some(&above))?, above.as_str(), &mut lying, |entry| {
            entry.kind == EntryKind::Directory && entry.name == objects_dir.name()
        });
        let groups = sort(storage.list(Some(&objects_dir))?, OBJECTS, &mut lying, |entry| {
            let hexadecimal = entry.name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            entry.kind == EntryKind::Directory && entry.name.len() == 2 && hexadecimal
        });
        let listed = parallel::map(&groups, |group| {
            let path = objects_dir.join(&group.name).expect("two digits are plain");
            storage.list(Some(&path)).map(|entries| (path, entries))
        });
        let mut objects = BTreeMap::new();
        for listed in listed {
            let (path, entries) = listed?;
            let is_object = |entry: &Entry| is_file(entry) && entry.name.parse::<ObjectName>().is_ok();
            for entry in sort(entries, path.as_str(), &mut lying, is_object) {
                match entry.name.parse::<ObjectName>() {
                    Ok(name) if name.path().parent().as_ref() == Some(&path) => {
                        objects.insert(name, entry);
                    }
                    _ => {
                        let path = format!("{path}/{}", entry.name);
                        lying.push(Lying { path, entry, kind: LyingKind::Foreign });
                    }
                }
            }
        }
        let newest_seconds = live.last_key_value().and_then(|(_, entry)| entry.modified_seconds);
        let (live, pruned) = (live.into_keys().collect(), pruned.into_keys().collect());
        Ok(Around { live, pruned, objects, lying, newest_seconds })
    }
}

/// Returns the entries of a directory that belong there, and puts the others among what lies around.
fn sort(entries: Vec<Entry>, directory: &str, lying: &mut Vec<Lying>, belongs: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let (there, others): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(belongs);
    lying.extend(others.into_iter().map(|entry| {
        let path = if directory.is_empty() { entry.name.clone() } else { format!("{directory}/{}", entry.name) };
        let temporary = entry.name.starts_with(TEMPORARY_PREFIX) && entry.kind != EntryKind::Other;
        Lying { path, entry, kind: if temporary { LyingKind::Temporary } else { LyingKind::Foreign } }
    }));
    there
}

/// What a store holds.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) objects: Objects,
    /// The checkpoints, ascending.
    pub(super) live: Vec<Surveyed>,
    /// What lies in each replica.
    pub(super) around: Vec<Around>,
}

impl Survey {
    /// Lists all replicas.
    pub(super) fn list(store: &Store) -> Result<Survey, PruneError> {
        let around: Vec<Around> =
            store.replicas.iter().map(|storage| Around::list(storage.as_ref())).collect::<Result<_, _>>()?;
        let mut objects = Objects::default();
        for (name, entry) in around.iter().flat_map(|around| &around.objects) {
            objects.add(*name, entry.bytes, true);
        }
        Ok(Survey { objects, live: Vec::new(), around })
    }

    /// Lists all replicas and reads every checkpoint. Fails when what any of them needs can not be told.
    pub(super) fn read(store: &Store, progress: &dyn Progress) -> Result<Survey, PruneError> {
        let mut survey = Survey::list(store)?;
        let sequences: BTreeSet<Sequence> =
            survey.around.iter().flat_map(|around| around.live.iter().copied()).collect();
        let sequences: Vec<Sequence> = sequences.into_iter().collect();
        progress.start(sequences.len() as u64);
        survey.live = survey.checkpoints(store, &sequences, layout::checkpoint_dir, progress)?;
        Ok(survey)
    }

    /// Reads checkpoints and what they need, each from the first replica that has it whole.
    pub(super) fn checkpoints(
        &mut self,
        store: &Store,
        sequences: &[Sequence],
        directory: impl Fn(Sequence) -> RelPath + Sync,
        progress: &dyn Progress,
    ) -> Result<Vec<Surveyed>, PruneError> {
        let objects = &self.objects;
        let read = parallel::map(sequences, |&sequence| {
            let read = read_needs(store, &directory(sequence), sequence, objects);
            progress.advance(1);
            read.map_err(|source| PruneError::Unreadable { sequence, source: Box::new(source) })
        });
        let mut checkpoints = Vec::with_capacity(read.len());
        for read in read {
            let (manifest, sha256, needs) = read?;
            let (needs, is_whole) = match needs {
                Needs::There(numbers) => (numbers, true),
                Needs::Named(named) => {
                    let numbers: Vec<u32> =
                        named.iter().map(|object| self.objects.add(object.object, object.bytes, false)).collect();
                    let whole = |&number: &u32| self.objects.is_there[number as usize];
                    let is_whole = numbers.iter().all(whole);
                    (numbers, is_whole)
                }
            };
            checkpoints.push(Surveyed {
                sequence: manifest.sequence,
                sha256,
                parent: manifest.parent.map(|parent| parent.sequence),
                created: manifest.created,
                keys: manifest.totals.keys,
                needs,
                is_whole,
            });
        }
        Ok(checkpoints)
    }
}

/// What a checkpoint needs.
enum Needs {
    /// These, and all are there.
    There(Vec<u32>),
    /// These, of which some may not be there.
    Named(Vec<ObjectRef>),
}

/// Reads the two files of a checkpoint and tells what it needs.
///
/// `SHA256SUMS` tells it quickly. No hash vouches for its lines, so they are believed only when every object is there and
/// their sizes add up to what the manifest says; else the index tells it, whose hash is in the manifest.
fn read_needs(
    store: &Store,
    directory: &RelPath,
    sequence: Sequence,
    objects: &Objects,
) -> Result<(Manifest, Digest, Needs), StoreError> {
    let Root { committed, sums } = read_root(store, directory, sequence)?;
    let manifest = committed.manifest;
    let needs = match needs_of_sums(&manifest, &sums, objects) {
        Some(numbers) => Needs::There(numbers),
        None => Needs::Named(needs_of_index(store, &manifest)?),
    };
    Ok((manifest, committed.sha256, needs))
}

/// Reads the two files of a checkpoint from the first replica that has them whole.
pub(super) fn read_root(store: &Store, directory: &RelPath, sequence: Sequence) -> Result<Root, StoreError> {
    let mut worst: Option<StoreError> = None;
    for storage in &store.replicas {
        match Replica::new(storage.as_ref()).root(&store.file, directory, sequence) {
            Ok(root) => return Ok(root),
            // That it is not there says less than that it is damaged.
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
    let find =
        |name: &ObjectName| objects.numbers.get(name).copied().filter(|&number| objects.is_there[number as usize]);
    let numbers: Vec<u32> = names.iter().map(find).collect::<Option<_>>()?;
    let tables = [manifest.tables.index, manifest.tables.positions, manifest.tables.job];
    let has_tables = tables.iter().all(|table| names.binary_search(&table.object).is_ok());
    let adds_up = objects.sum(numbers.iter().copied()) == manifest.totals.bytes;
    (has_tables && adds_up).then_some(numbers)
}

fn needs_of_index(store: &Store, manifest: &Manifest) -> Result<Vec<ObjectRef>, StoreError> {
    let tables = [manifest.tables.index, manifest.tables.positions, manifest.tables.job];
    let rows = index::decode(store.object(tables[0])?)
        .map_err(|source| StoreError::Index { object: tables[0].object, source })?;
    let mut seen = HashSet::new();
    let all = tables.into_iter().chain(rows.iter().map(index::IndexRow::object_ref));
    Ok(all.filter(|object| seen.insert(object.object)).collect())
}
