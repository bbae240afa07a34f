//! The different chains of segments that checkpoints have.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::index::IndexRow;
use crate::format::key_shape::KeyShape;
use crate::format::layout::ObjectName;
use crate::format::manifest::{Manifest, Routing};
use crate::job::Windows;
use crate::ops::read::index_problems;
use crate::store::RootRead;

/// A shard's segments, and the checkpoints that have exactly these.
pub(super) struct Chain {
    pub(super) rows: Vec<IndexRow>,
    /// Indexes into the list of checkpoints.
    pub(super) users: Vec<usize>,
    /// The tasks of the partitions, for a job without a key.
    pub(super) partitions: Arc<HashMap<String, u32>>,
    /// The windows of the job, which its keys name.
    pub(super) windows: Option<Windows>,
}

impl Chain {
    pub(super) fn bytes(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
    }

    /// Tells whether a run refuses a key: it does not end with the start of a window, or lacks the parts that it should
    /// have.
    pub(super) fn refuses(&self, shape: Option<&KeyShape>, key: &[u8]) -> bool {
        self.has_no_window(key) || shape.is_some_and(|shape| shape.split(key).is_none())
    }

    pub(super) fn has_no_window(&self, key: &[u8]) -> bool {
        self.windows.as_ref().is_some_and(|windows| windows.split(key).is_none())
    }

    /// Tells whether another index says the same about the same segments, whatever their cuts.
    fn agrees_with(&self, other: &[IndexRow]) -> bool {
        let counts = |row: &IndexRow| (row.level, row.kind, row.object, row.bytes, row.rows, row.tombstones);
        let tasks = |row: &IndexRow| (row.first_task, row.last_task);
        self.rows.len() == other.len()
            && self.rows.iter().zip(other).all(|(a, b)| {
                (counts(a), tasks(a)) == (counts(b), tasks(b))
                    && (&a.smallest_key, &a.largest_key) == (&b.smallest_key, &b.largest_key)
            })
    }
}

/// What distinguishes chains: tasks, shard, routing with columns and windows, and segments. In most stores only the shard and the
/// segments differ.
type ChainKey = (u32, u32, String, Vec<ObjectName>);

/// The different chains of all checkpoints.
#[derive(Default)]
pub(super) struct Chains {
    chains: Vec<Chain>,
    /// The index of each chain.
    places: HashMap<ChainKey, usize>,
    /// The task of each partition, by the number of tasks.
    tasks: HashMap<(u32, String), u32>,
}

impl Chains {
    /// Adds the chains of checkpoint `user`. A known chain is not added again, unless this checkpoint says something
    /// else about it.
    pub(super) fn add(
        &mut self,
        user: usize,
        manifest: &Manifest,
        index: &[IndexRow],
        partitions: HashMap<String, u32>,
        windows: Option<&Windows>,
    ) {
        if !index_problems(manifest, index).is_empty() {
            return;
        }
        let mut alike = true;
        for (partition, &task) in &partitions {
            alike &= *self.tasks.entry((manifest.tasks, partition.clone())).or_insert(task) == task;
        }
        let columns = format!("{:?} {:?} {:?} {windows:?}", manifest.routing, manifest.key, manifest.columns);
        let partitions = Arc::new(partitions);
        for chain in index.chunk_by(|a, b| a.shard == b.shard) {
            let names = chain.iter().map(|row| row.object).collect();
            let place = self.places.entry((manifest.tasks, chain[0].shard, columns.clone(), names));
            let place = *place.or_insert(self.chains.len());
            match self.chains.get_mut(place) {
                Some(known) if alike && known.agrees_with(chain) => known.users.push(user),
                _ => {
                    let (rows, partitions, windows) = (chain.to_vec(), partitions.clone(), windows.cloned());
                    self.chains.push(Chain { rows, users: vec![user], partitions, windows });
                }
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Chain> {
        self.chains
    }
}

/// Groups chains, so that each chain of a group is a prefix of the group's first: they are read in one go. Returns
/// their indexes.
pub(super) fn group(roots: &[RootRead], chains: &[Chain]) -> Vec<Vec<usize>> {
    let mut longest_first: Vec<usize> = (0..chains.len()).collect();
    longest_first.sort_by_key(|&place| std::cmp::Reverse(chains[place].rows.len()));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut by_base: HashMap<(u32, ObjectName), Vec<usize>> = HashMap::new();
    for place in longest_first {
        let base = &chains[place].rows[0];
        let candidates = by_base.entry((base.shard, base.object)).or_default();
        let fits = |group: &&usize| is_prefix(roots, &chains[groups[**group][0]], &chains[place]);
        match candidates.iter().find(fits) {
            Some(&group) => groups[group].push(place),
            None => {
                candidates.push(groups.len());
                groups.push(vec![place]);
            }
        }
    }
    // In the order of the checkpoints.
    groups.sort_by_key(|group| group.iter().min().copied());
    groups
}

/// Tells whether `other` is a prefix of `chain`, and its rows mean the same.
fn is_prefix(roots: &[RootRead], chain: &Chain, other: &Chain) -> bool {
    let manifest = |chain: &Chain| chain.users.first().and_then(|&user| roots[user].usable());
    let (Some(one), Some(two)) = (manifest(chain), manifest(other)) else { return false };
    let alike = (one.tasks, one.routing, &one.key, &one.columns) == (two.tasks, two.routing, &two.key, &two.columns);
    alike
        && chain.windows == other.windows
        && chain.rows.starts_with(&other.rows)
        && (one.routing != Routing::Partition || chain.partitions == other.partitions)
}
