//! Which checkpoints a replica knows of: those that it has, their parents, and those that were pruned.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::layout::{self, PRUNED};
use crate::format::manifest::Manifest;
use crate::format::store_file::StoreFile;
use crate::store::error::StoreError;
use crate::store::records::history;
use crate::store::replica::Replica;
use crate::store::root::ManifestRead;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// The SHA-256 of each manifest; several candidates if its files contradict each other.
type Manifests = BTreeMap<Sequence, BTreeSet<Digest>>;

/// What a replica knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The checkpoints that it has, ascending.
    pub(super) listed: Vec<Sequence>,
    manifests: Manifests,
    /// Why a manifest could not be read, which may be intact.
    pub(super) unread: Option<StoreError>,
}

impl Known {
    /// Returns the SHA-256 of the manifest of checkpoint `sequence`, as a replica with the checkpoints `listed` knows
    /// it from two manifests at most.
    pub(super) fn at(
        file: &StoreFile,
        replica: &Replica,
        listed: &[Sequence],
        sequence: Sequence,
    ) -> Option<BTreeSet<Digest>> {
        let mut known = Known::default();
        let from = listed.partition_point(|&listed| listed < sequence);
        for &listed in listed[from..].iter().take(2).rev() {
            if let Ok(committed) = replica.manifest(file, listed) {
                known.learn(&committed.manifest, committed.sha256);
            }
        }
        known.manifests.remove(&sequence)
    }

    /// Tells whether the history of a replica names no checkpoint after its newest one, `newest`.
    pub(super) fn ends_at(replica: &Replica, newest: Sequence) -> bool {
        history::named_in(replica.storage().as_ref())
            .is_ok_and(|named| named.into_iter().all(|(sequence, _)| sequence <= newest))
    }

    /// Returns everything that a replica with the checkpoints `listed` knows.
    pub(super) fn read(file: &StoreFile, replica: &Replica, listed: Vec<Sequence>) -> Known {
        let live: BTreeSet<Sequence> = listed.iter().copied().collect();
        let mut known = Known { listed, ..Known::default() };
        let pruned = replica.sequences_in(PRUNED).unwrap_or_else(|error| {
            known.unread = Some(error);
            Vec::new()
        });
        let all: BTreeSet<Sequence> = live.iter().copied().chain(pruned).collect();
        for &sequence in all.iter().rev() {
            let directory =
                if live.contains(&sequence) { layout::checkpoint_dir(sequence) } else { layout::pruned_dir(sequence) };
            let root = replica.read_files(file, &directory, sequence).root;
            match (root.usable(), root.sha256) {
                (Some(manifest), Some(sha256)) if root.is_consistent() => known.learn(manifest, sha256),
                // One of its two files is damaged, and the other one may be right. If they agree, both are misplaced.
                (usable, sha256) => {
                    let listed = root.listed().filter(|_| root.listed() != sha256);
                    let candidates: BTreeSet<Digest> =
                        sha256.filter(|_| usable.is_some()).into_iter().chain(listed).collect();
                    if !candidates.is_empty() {
                        known.manifests.entry(sequence).or_insert(candidates);
                    } else if let ManifestRead::Unreadable(error) = root.manifest
                        && error.is_refusal()
                    {
                        known.unread = Some(error.into());
                    }
                }
            }
        }
        match history::named_in(replica.storage().as_ref()) {
            Ok(named) => {
                for (sequence, sha256) in named {
                    known.manifests.entry(sequence).or_insert_with(|| BTreeSet::from([sha256]));
                }
            }
            Err(error) => known.unread = Some(error.into()),
        }
        known
    }

    /// Adds what replicas know of each other: one that is behind another has its older checkpoints in common with it.
    pub(super) fn complete(all: &mut [Known]) {
        let count = all.len();
        for behind in (1..count).flat_map(|_| 0..count) {
            for ahead in (0..all.len()).filter(|&ahead| ahead != behind) {
                let Some(&newest) = all[behind].listed.last() else { continue };
                if all[behind].agrees(&all[ahead], newest) == Some(true) {
                    let theirs = all[ahead].manifests.range(..newest).map(|(sequence, of)| (*sequence, of.clone()));
                    for (sequence, candidates) in theirs.collect::<Vec<_>>() {
                        all[behind].manifests.entry(sequence).or_insert(candidates);
                    }
                }
            }
        }
    }

    /// Returns the SHA-256 of the manifest of checkpoint `sequence`.
    pub(super) fn of(&self, sequence: Sequence) -> Option<Digest> {
        self.manifests.get(&sequence)?.first().copied()
    }

    /// Returns whether two replicas know the same checkpoint `sequence`; nothing if one does not know it.
    fn agrees(&self, other: &Known, sequence: Sequence) -> Option<bool> {
        Some(!self.manifests.get(&sequence)?.is_disjoint(other.manifests.get(&sequence)?))
    }

    /// Returns the newest checkpoint that is the same in both.
    pub(super) fn newest_shared(&self, other: &Known) -> Option<Sequence> {
        let mut own = self.manifests.keys().rev().copied();
        own.find(|&sequence| self.agrees(other, sequence) == Some(true))
    }

    /// Returns the newest checkpoint that is the same in both and the first that differs, if the newest that both know
    /// differs.
    ///
    /// An older one may differ too, if it was damaged in one of them: what came afterwards proves that they are copies.
    pub(super) fn parting(&self, other: &Known) -> Option<(Option<Sequence>, Sequence)> {
        let mut first = None;
        for &sequence in self.manifests.keys().rev() {
            match self.agrees(other, sequence) {
                Some(true) => return Some((Some(sequence), first?)),
                Some(false) => first = Some(sequence),
                None => {}
            }
        }
        Some((None, first?))
    }

    /// Tells whether it is unknown if two replicas that are not known to part are copies of each other: the one that is
    /// ahead does not know the newest checkpoint of the other, and does not have it either.
    pub(super) fn is_unrelated(&self, other: &Known) -> bool {
        let (Some(newest), Some(other_newest)) = (self.listed.last(), other.listed.last()) else { return false };
        let (behind, ahead) = if newest < other_newest { (self, other) } else { (other, self) };
        let least = newest.min(other_newest);
        // If the one that is behind does not know its own newest checkpoint, that is damaged there.
        let is_known = behind.manifests.contains_key(least);
        let is_forgotten = !ahead.manifests.contains_key(least) && ahead.listed.binary_search(least).is_err();
        let is_unread = self.unread.is_some() || other.unread.is_some();
        (is_known && is_forgotten) || (is_unread && self.agrees(other, *least).is_none())
    }

    /// Adds what a manifest knows: itself and its parent. Children come first: a manifest that its child contradicts is
    /// damaged, and knows nothing.
    fn learn(&mut self, manifest: &Manifest, sha256: Digest) {
        let candidates = self.manifests.entry(manifest.sequence).or_insert_with(|| BTreeSet::from([sha256]));
        if !candidates.contains(&sha256) {
            return;
        }
        if let Some(parent) = manifest.parent.filter(|parent| parent.sequence < manifest.sequence) {
            self.manifests.entry(parent.sequence).or_insert_with(|| BTreeSet::from([parent.sha256]));
        }
    }
}
