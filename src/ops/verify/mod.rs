//! `ckpt verify`: proves that what was committed is still there.
//!
//! Every checkpoint's own files are read first, which tells the objects that there must be. Then each object is looked at once, however many checkpoints
//! share it. A finding never stops the rest.

use std::collections::BTreeSet;

use crate::format::layout;
use crate::id::Sequence;
use crate::ops::finding::{Finding, Findings, Severity};
use crate::ops::parallel;
use crate::progress::Progress;
use crate::relpath::RelPath;
use crate::storage::{EntryKind, Storage};
use crate::store::{Store, StoreError};

mod needs;
mod objects;
mod root;
mod rows;
mod surroundings;

use needs::Needs;
use objects::check_objects;
use root::{Root, check_roots};
use rows::{DeepChain, check_rows};
use surroundings::check_surroundings;

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

/// Returns the numbers that directories in `checkpoints/` have, with a manifest or without.
fn checkpoint_directories(storage: &dyn Storage) -> Result<Vec<Sequence>, StoreError> {
    let directory = RelPath::new(layout::CHECKPOINTS).expect("a plain name");
    let entries = storage.list(Some(&directory))?;
    let directories = entries.iter().filter(|entry| entry.kind == EntryKind::Directory);
    let mut sequences: Vec<Sequence> = directories.filter_map(|entry| entry.name.parse().ok()).collect();
    sequences.sort_unstable();
    Ok(sequences)
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
