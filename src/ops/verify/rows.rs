//! Every row: order, routing and counts.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::format::index::{self, IndexRow};
use crate::format::layout::{self, ObjectName};
use crate::format::manifest::{Manifest, ObjectRef, Routing};
use crate::format::segment::SegmentReader;
use crate::format::segment::keys;
use crate::format::segment::keys::KeyBatch;
use crate::ops::finding::{FindingCode, Findings};
use crate::ops::read::{ReadError, index_problems};
use crate::ops::verify::root::Root;
use crate::store::{Store, StoreError};
use crate::values::error_chain::in_one_line;
use crate::values::parallel;
use crate::values::progress::Progress;
use crate::values::value::Column;

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
    let groups = group(store, roots, chains);
    let outcomes = parallel::map(&groups, |group| {
        let all: Vec<&DeepChain> = group.iter().map(|&place| &chains[place]).collect();
        let check = |chains: &[&DeepChain]| check_chains(store, roots, chains, intact, progress);
        // What is wrong in one chain must not hide what a shorter one holds.
        let (checked, read) = check(&all).map_or_else(
            |_| {
                let alone = |chain: &&DeepChain| match check(&[chain]) {
                    Ok(checked) => (checked, chain.bytes()),
                    Err(findings) => (vec![(None, findings)], 0),
                };
                let alone: Vec<_> = all.iter().map(alone).collect();
                let read = alone.iter().fold(0u64, |sum, (_, read)| sum.saturating_add(*read));
                (alone.into_iter().flat_map(|(checked, _)| checked).collect(), read)
            },
            |checked| (checked, all[0].bytes()),
        );
        (checked, read)
    });
    let mut read_bytes = 0u64;
    let mut outcome_of: Vec<Option<(Option<u64>, Findings)>> = chains.iter().map(|_| None).collect();
    for (group, (checked, read)) in groups.iter().zip(outcomes) {
        read_bytes = read_bytes.saturating_add(read);
        for (&place, outcome) in group.iter().zip(checked) {
            outcome_of[place] = Some(outcome);
        }
    }
    let mut keys: BTreeMap<usize, Option<u64>> = BTreeMap::new();
    for (chain, outcome) in chains.iter().zip(outcome_of) {
        let (live, found) = outcome.expect("every chain is in a group");
        findings.append(found);
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

/// Puts chains together of which each is the beginning of the first: these are read in one go. Returns their places in the list.
fn group(store: &Store, roots: &[Root], chains: &[DeepChain]) -> Vec<Vec<usize>> {
    let mut longest_first: Vec<usize> = (0..chains.len()).collect();
    longest_first.sort_by_key(|&place| std::cmp::Reverse(chains[place].rows.len()));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut by_base: HashMap<(u32, ObjectName), Vec<usize>> = HashMap::new();
    for place in longest_first {
        let base = &chains[place].rows[0];
        let candidates = by_base.entry((base.shard, base.object)).or_default();
        let fits = |group: &&usize| begins(store, roots, &chains[groups[**group][0]], &chains[place]);
        match candidates.iter().find(fits) {
            Some(&group) => groups[group].push(place),
            None => {
                candidates.push(groups.len());
                groups.push(vec![place]);
            }
        }
    }
    // In the order of the checkpoints, as they were found.
    groups.sort_by_key(|group| group.iter().min().copied());
    groups
}

/// Tells whether `other` is the beginning of `chain`, and its rows mean the same.
fn begins(store: &Store, roots: &[Root], chain: &DeepChain, other: &DeepChain) -> bool {
    let manifest = |chain: &DeepChain| chain.users.first().and_then(|&user| roots[user].usable(store));
    let (Some(one), Some(two)) = (manifest(chain), manifest(other)) else { return false };
    let alike = (one.tasks, one.routing, &one.columns) == (two.tasks, two.routing, &two.columns);
    alike
        && chain.rows.starts_with(&other.rows)
        && (one.routing != Routing::Partition || chain.partitions == other.partitions)
}

/// Checks the rows of chains of which each is the beginning of the first. Returns for each how many keys are live in it, or nothing when they could not be
/// counted, and what was found; an error is what was found in the first when it could not be gone through.
fn check_chains(
    store: &Store,
    roots: &[Root],
    chains: &[&DeepChain],
    intact: &HashSet<ObjectName>,
    progress: &dyn Progress,
) -> Result<Vec<(Option<u64>, Findings)>, Findings> {
    let mut findings = Findings::default();
    let longest = chains[0];
    let first_user = longest.users.first().map(|&user| &roots[user]);
    // All users route alike: the key of a chain has what routing depends on, and partitions keep their tasks.
    let Some((root, manifest)) = first_user.and_then(|root| Some((root, root.usable(store)?))) else {
        return Err(findings);
    };
    let users = |chain: &DeepChain| chain.users.iter().map(|&user| roots[user].sequence).collect::<Vec<_>>();
    let seen = RefCell::new(vec![Seen::default(); longest.rows.len()]);
    let owner = |task: u32, key: &[u8]| match manifest.routing {
        Routing::Program => Some(task),
        Routing::KeyHash => Some(index::task_of_key(key, manifest.tasks)),
        Routing::Partition => std::str::from_utf8(key).ok().and_then(|key| longest.partitions.get(key).copied()),
    };
    let inspect = |place: usize, batch: &KeyBatch| seen.borrow_mut()[place].observe(batch, &longest.rows[place], owner);
    let live = match count_live_keys(store, &manifest.columns, longest, intact, progress, &inspect) {
        Ok(live) => live,
        Err(error) => {
            let users = users(longest);
            match error {
                // The object itself has been told.
                ReadError::Store(_) => {}
                ReadError::Table { path, source } => {
                    let found = in_one_line(&source);
                    findings.add(FindingCode::ContentWrong, path, "sorted rows of the state", found, users);
                }
                error => {
                    let path = layout::manifest(root.sequence);
                    findings.add(FindingCode::ContentWrong, path, "rows", in_one_line(&error), users);
                }
            }
            return Err(findings);
        }
    };
    // The others count in the whole of what is to be done too.
    progress.advance(chains[1..].iter().fold(0, |sum, chain| sum.saturating_add(chain.bytes())));
    let seen = seen.into_inner();
    let outcome = |chain: &&DeepChain| {
        let mut findings = Findings::default();
        for (row, seen) in chain.rows.iter().zip(&seen) {
            let path = row.object.path();
            for (expected, found) in seen.count_problems(row) {
                findings.add(FindingCode::CountWrong, &path, expected, found, users(chain));
            }
            if let Some(first) = &seen.first_misrouted {
                let found = format!("{} rows of others, the first with {first}", seen.misrouted);
                let expected = format!("rows of tasks {} to {} by their keys", row.first_task, row.last_task);
                findings.add(FindingCode::RowMisrouted, &path, expected, found, users(chain));
            }
        }
        (Some(live[chain.rows.len() - 1]), findings)
    };
    Ok(chains.iter().map(outcome).collect())
}

/// Hands the keys of every segment of `chain`, named by its place in it, to `inspect`, and counts the keys that are live in its base, in that and the first
/// delta, and so on.
fn count_live_keys(
    store: &Store,
    columns: &[Column],
    chain: &DeepChain,
    intact: &HashSet<ObjectName>,
    progress: &dyn Progress,
    inspect: &dyn Fn(usize, &KeyBatch),
) -> Result<Vec<u64>, ReadError> {
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
