//! Every row: order, routing and counts.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::causes::in_one_line;
use crate::format::index::{self, IndexRow};
use crate::format::keys::{self, KeyBatch};
use crate::format::layout::{self, ObjectName};
use crate::format::manifest::{Manifest, ObjectRef, Routing};
use crate::format::segment::SegmentReader;
use crate::ops::finding::{FindingCode, Findings};
use crate::ops::read::{ReadError, index_problems};
use crate::ops::verify::root::Root;
use crate::parallel;
use crate::progress::Progress;
use crate::store::{Store, StoreError};
use crate::value::Column;

/// A shard's segments, and the checkpoints that have just these.
pub(super) struct DeepChain {
    pub(super) rows: Vec<IndexRow>,
    /// Positions in the list of checkpoints.
    pub(super) users: Vec<usize>,
    /// The tasks of the partitions, for a job without a key.
    pub(super) partitions: Arc<HashMap<String, u32>>,
}

impl DeepChain {
    pub(super) fn bytes(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
    }

    /// Tells whether another index says the same of the same segments, whatever their cuts.
    fn says(&self, other: &[IndexRow]) -> bool {
        let counts = |row: &IndexRow| (row.level, row.kind, row.object, row.bytes, row.rows, row.tombstones);
        let tasks = |row: &IndexRow| (row.first_task, row.last_task);
        self.rows.len() == other.len()
            && self.rows.iter().zip(other).all(|(a, b)| {
                (counts(a), tasks(a)) == (counts(b), tasks(b))
                    && (&a.smallest_key, &a.largest_key) == (&b.smallest_key, &b.largest_key)
            })
    }
}

/// What tells chains apart: tasks, shard, routing with columns, and segments. All but the shard and the segments are the same in most stores.
pub(super) type ChainKey = (u32, u32, String, Vec<ObjectName>);

/// The different chains of all checkpoints.
#[derive(Default)]
pub(super) struct DeepChains {
    chains: Vec<DeepChain>,
    /// Where a chain is.
    places: HashMap<ChainKey, usize>,
    /// The task of each partition, by the number of tasks.
    tasks: HashMap<(u32, String), u32>,
}

impl DeepChains {
    /// Adds the chains of checkpoint `user`. One that is there is not added again, unless this checkpoint says
    /// something else of it.
    pub(super) fn add(
        &mut self,
        user: usize,
        manifest: &Manifest,
        index: &[IndexRow],
        partitions: HashMap<String, u32>,
    ) {
        if !index_problems(manifest, index).is_empty() {
            return;
        }
        let mut alike = true;
        for (partition, &task) in &partitions {
            alike &= *self.tasks.entry((manifest.tasks, partition.clone())).or_insert(task) == task;
        }
        let columns = format!("{:?} {:?}", manifest.routing, manifest.columns);
        let partitions = Arc::new(partitions);
        for chain in index.chunk_by(|a, b| a.shard == b.shard) {
            let names = chain.iter().map(|row| row.object).collect();
            let place = self.places.entry((manifest.tasks, chain[0].shard, columns.clone(), names));
            let place = *place.or_insert(self.chains.len());
            match self.chains.get_mut(place) {
                Some(known) if alike && known.says(chain) => known.users.push(user),
                _ => {
                    let (rows, partitions) = (chain.to_vec(), partitions.clone());
                    self.chains.push(DeepChain { rows, users: vec![user], partitions });
                }
            }
        }
    }

    /// Returns them.
    pub(super) fn finish(self) -> Vec<DeepChain> {
        self.chains
    }
}

/// What a segment holds, as its rows say.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) rows: u64,
    pub(super) tombstones: u64,
    pub(super) smallest_key: Option<Vec<u8>>,
    pub(super) largest_key: Option<Vec<u8>>,
    pub(super) misrouted: u64,
    pub(super) first_misrouted: Option<String>,
}

impl Seen {
    pub(super) fn observe(&mut self, batch: &KeyBatch, segment: &IndexRow, owner: impl Fn(u32, &[u8]) -> Option<u32>) {
        self.rows += batch.len() as u64;
        self.tombstones += batch.tombstones() as u64;
        for (task, rows) in batch.runs() {
            // Within a task keys ascend.
            let (smallest, largest) = (batch.key(rows.start), batch.key(rows.end - 1));
            if self.smallest_key.as_deref().is_none_or(|key| smallest < key) {
                self.smallest_key = Some(smallest.to_vec());
            }
            if self.largest_key.as_deref().is_none_or(|key| largest > key) {
                self.largest_key = Some(largest.to_vec());
            }
            let is_of_segment = (segment.first_task..=segment.last_task).contains(&task);
            for key in rows.map(|row| batch.key(row)) {
                if !is_of_segment || owner(task, key) != Some(task) {
                    self.misrouted += 1;
                    self.first_misrouted.get_or_insert_with(|| {
                        let key = String::from_utf8_lossy(key);
                        format!("task {task} for key {:?}", key.chars().take(80).collect::<String>())
                    });
                }
            }
        }
    }

    /// Tells in which counts the index is wrong: expected by the index, found.
    pub(super) fn count_problems(&self, row: &IndexRow) -> Vec<(String, String)> {
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
///
/// `intact` are objects of which every byte has just been proven.
pub(super) fn check_rows(
    store: &Store,
    roots: &[Root],
    chains: &[DeepChain],
    intact: &HashSet<ObjectName>,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> u64 {
    let outcomes = parallel::map(chains, |chain| {
        let mut findings = Findings::default();
        let live = check_chain(store, roots, chain, intact, progress, &mut findings);
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
pub(super) fn check_chain(
    store: &Store,
    roots: &[Root],
    chain: &DeepChain,
    intact: &HashSet<ObjectName>,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> Option<u64> {
    // All users route alike: the key of a chain has what routing depends on, and partitions keep their tasks.
    let root = &roots[*chain.users.first()?];
    let manifest = root.usable(store)?;
    let users = || chain.users.iter().map(|&user| roots[user].sequence);
    let seen = RefCell::new(vec![Seen::default(); chain.rows.len()]);
    let owner = |task: u32, key: &[u8]| match manifest.routing {
        Routing::Program => Some(task),
        Routing::KeyHash => Some(index::task_of_key(key, manifest.tasks)),
        Routing::Partition => std::str::from_utf8(key).ok().and_then(|key| chain.partitions.get(key).copied()),
    };
    let inspect = |place: usize, batch: &KeyBatch| seen.borrow_mut()[place].observe(batch, &chain.rows[place], owner);
    let outcome = count_live_keys(store, &manifest.columns, chain, intact, progress, &inspect);
    let live = match outcome {
        Ok(live) => live,
        // The object itself has been told.
        Err(ReadError::Store(_)) => return None,
        Err(ReadError::Table { path, source }) => {
            findings.add(FindingCode::ContentWrong, path, "sorted rows of the state", in_one_line(&source), users());
            return None;
        }
        Err(error) => {
            findings.add(
                FindingCode::ContentWrong,
                layout::manifest(root.sequence),
                "rows",
                in_one_line(&error),
                users(),
            );
            return None;
        }
    };
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

/// Hands the keys of every segment of `chain`, named by its place in it, to `inspect`, and counts the keys that are live in all of it.
fn count_live_keys(
    store: &Store,
    columns: &[Column],
    chain: &DeepChain,
    intact: &HashSet<ObjectName>,
    progress: &dyn Progress,
    inspect: &dyn Fn(usize, &KeyBatch),
) -> Result<u64, ReadError> {
    let table_error =
        |place: usize, source| ReadError::Table { path: chain.rows[place].object.path().to_string(), source };
    let failed = Cell::new(0);
    let failed = &failed;
    let mut sources = Vec::with_capacity(chain.rows.len());
    for (place, row) in chain.rows.iter().enumerate() {
        let bytes = read_object(store, row.object_ref(), intact)?;
        progress.advance(row.bytes);
        let reader = SegmentReader::open(bytes, columns).map_err(|source| table_error(place, source))?;
        sources.push(reader.into_keys().inspect(move |batch| match batch {
            Ok(batch) => inspect(place, batch),
            Err(_) => failed.set(place),
        }));
    }
    let base = sources.remove(0);
    keys::count_live(base, sources).map_err(|source| table_error(failed.get(), source))
}

/// Reads an object whose bytes need no proof when it is one of `intact`.
fn read_object(store: &Store, object: ObjectRef, intact: &HashSet<ObjectName>) -> Result<Bytes, StoreError> {
    if intact.contains(&object.object)
        && let [replica] = store.replicas.as_slice()
        && let Ok(bytes) = replica.get(&object.object.path(), object.bytes)
        && bytes.len() as u64 == object.bytes
    {
        return Ok(bytes);
    }
    store.object(object)
}
