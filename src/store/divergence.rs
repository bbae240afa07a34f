//! Replicas that diverged: two runs, each of which could reach only one of them.
//!
//! Every manifest names its parent by SHA-256, so two replicas that agree about one checkpoint agree about everything
//! before it. The newest checkpoint that both know decides. A replica also knows checkpoints that it no longer has:
//! from the manifests of their children, from `pruned/`, and from its history.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::layout::{self, PRUNED};
use crate::format::manifest::Manifest;
use crate::format::store_file::StoreFile;
use crate::store::error::StoreError;
use crate::store::records::history;
use crate::store::replica::Replica;
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Where two replicas part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The last checkpoint that both know to be the same, if any.
    pub shared: Option<Sequence>,
    /// The first number that they have given to different checkpoints.
    pub sequence: Sequence,
    /// In the order of the replicas.
    pub branches: [Branch; 2],
}

/// The SHA-256 of each manifest that a replica knows of; several candidates if its files contradict each other.
type Known = BTreeMap<Sequence, BTreeSet<Digest>>;

/// One side of a fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub place: String,
    /// The SHA-256 of the manifest of the checkpoint at which the branches part.
    pub sha256: Digest,
    /// The committed checkpoints that belong to this branch only, ascending.
    pub checkpoints: Vec<Sequence>,
}

impl Fork {
    /// Tells whether the two replicas may have different checkpoints with this number.
    pub fn divides(&self, sequence: Sequence) -> bool {
        Some(sequence) > self.shared
    }

    /// Tells whether this is the fork between two places.
    pub fn is_between(&self, one: &str, other: &str) -> bool {
        let [first, second] = [0, 1].map(|side| self.branches[side].place.as_str());
        (first, second) == (one, other) || (first, second) == (other, one)
    }

    /// Returns the error of work that would cross the fork.
    pub fn error(self) -> StoreError {
        let sequence = self.sequence;
        let [place, other] = self.branches.map(|branch| branch.place);
        StoreError::Diverged { sequence, place, other }
    }
}

impl Store {
    /// Returns where replicas of the store part.
    pub fn forks(&self) -> Vec<Fork> {
        forks(&self.file, &self.replicas)
    }

    /// Fails with [`StoreError::Diverged`] if two replicas diverged: whatever is done to both could destroy what
    /// only one of them has.
    pub fn check_undivided(&self) -> Result<(), StoreError> {
        self.forks().into_iter().next().map_or(Ok(()), |fork| Err(fork.error()))
    }

    /// Fails with [`StoreError::Diverged`] if two replicas may have different checkpoints `sequence`.
    pub fn check_undivided_at(&self, sequence: Sequence) -> Result<(), StoreError> {
        let fork = self.forks().into_iter().find(|fork| fork.divides(sequence));
        fork.map_or(Ok(()), |fork| Err(fork.error()))
    }
}

/// Returns where any two of `replicas` part. What cannot be read decides nothing.
pub fn forks(file: &StoreFile, replicas: &[Replica]) -> Vec<Fork> {
    let mut forks = Vec::new();
    for (index, other) in replicas.iter().enumerate().skip(1) {
        forks.extend(replicas[..index].iter().filter_map(|one| fork(file, one, other)));
    }
    forks
}

/// Returns where two replicas part. Reads few manifests unless they do, or have no checkpoint in common.
fn fork(file: &StoreFile, one: &Replica, other: &Replica) -> Option<Fork> {
    let pair = [one, other];
    let listed = pair.map(|replica| replica.sequences().unwrap_or_default());
    if let [Some(&newest), Some(&other_newest)] = [listed[0].last(), listed[1].last()] {
        let least = newest.min(other_newest);
        let known = [0, 1].map(|side| known_at(file, pair[side], &listed[side], least));
        if known[0].is_some() && known[0] == known[1] {
            return None;
        }
    }
    let known = [0, 1].map(|side| all_known(file, pair[side], &listed[side]));
    let (shared, sequence) = parting(&known[0], &known[1])?;
    let branch = |side: usize| Branch {
        place: pair[side].place(),
        sha256: *known[side][&sequence].first().expect("nothing is known without a candidate"),
        checkpoints: listed[side].iter().copied().filter(|&own| Some(own) > shared).collect(),
    };
    Some(Fork { shared, sequence, branches: [branch(0), branch(1)] })
}

/// Returns the newest checkpoint that is the same in both and the first that differs, if the newest that both know
/// differs.
///
/// An older one may differ too, if it was damaged in one of them: what came afterwards proves that they are copies.
fn parting(one: &Known, other: &Known) -> Option<(Option<Sequence>, Sequence)> {
    let mut first = None;
    for (&sequence, candidates) in one.iter().rev() {
        match other.get(&sequence) {
            Some(known) if !known.is_disjoint(candidates) => return Some((Some(sequence), first?)),
            Some(_) => first = Some(sequence),
            None => {}
        }
    }
    Some((None, first?))
}

/// Returns the SHA-256 of the manifest of checkpoint `sequence`, as a replica with the checkpoints `listed` knows it.
fn known_at(file: &StoreFile, replica: &Replica, listed: &[Sequence], sequence: Sequence) -> Option<BTreeSet<Digest>> {
    let mut known = Known::new();
    let from = listed.partition_point(|&listed| listed < sequence);
    for &listed in listed[from..].iter().take(2).rev() {
        if let Ok(committed) = replica.manifest(file, listed) {
            learn(&mut known, &committed.manifest, committed.sha256);
        }
    }
    known.remove(&sequence)
}

/// Returns every manifest that a replica with the checkpoints `listed` knows of.
fn all_known(file: &StoreFile, replica: &Replica, listed: &[Sequence]) -> Known {
    let mut known = Known::new();
    let live: BTreeSet<Sequence> = listed.iter().copied().collect();
    let pruned: BTreeSet<Sequence> = replica.sequences_in(PRUNED).unwrap_or_default().into_iter().collect();
    let all: BTreeSet<Sequence> = live.union(&pruned).copied().collect();
    for &sequence in all.iter().rev() {
        let directory =
            if live.contains(&sequence) { layout::checkpoint_dir(sequence) } else { layout::pruned_dir(sequence) };
        let root = replica.read_files(file, &directory, sequence).root;
        match (root.usable(), root.sha256) {
            (Some(manifest), Some(sha256)) if root.is_consistent() => learn(&mut known, manifest, sha256),
            // One of its two files is damaged, and the other one may be right. If they agree, both are misplaced.
            (usable, sha256) => {
                let listed = root.listed().filter(|_| root.listed() != sha256);
                let candidates: BTreeSet<Digest> =
                    sha256.filter(|_| usable.is_some()).into_iter().chain(listed).collect();
                if !candidates.is_empty() {
                    known.entry(sequence).or_insert(candidates);
                }
            }
        }
    }
    for (sequence, sha256) in history::named_in(replica.storage().as_ref()) {
        known.entry(sequence).or_insert_with(|| BTreeSet::from([sha256]));
    }
    known
}

/// Adds what a manifest knows: itself and its parent. Children come first: a manifest that its child contradicts is
/// damaged, and knows nothing.
fn learn(known: &mut Known, manifest: &Manifest, sha256: Digest) {
    let candidates = known.entry(manifest.sequence).or_insert_with(|| BTreeSet::from([sha256]));
    if !candidates.contains(&sha256) {
        return;
    }
    if let Some(parent) = manifest.parent.filter(|parent| parent.sequence < manifest.sequence) {
        known.entry(parent.sequence).or_insert_with(|| BTreeSet::from([parent.sha256]));
    }
}
