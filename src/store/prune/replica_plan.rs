//! What is done in one replica, and what follows from its contents.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::format::layout::ObjectName;
use crate::storage::{Entry, EntryKind};
use crate::store::prune::contents::{Contents, StrayKind};
use crate::store::prune::leftovers::{Fate, Leftover, LeftoverKind};
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// What is done in one replica.
#[derive(Debug)]
pub(super) struct ReplicaPlan {
    /// All checkpoints.
    pub(super) live: BTreeSet<Sequence>,
    /// The removed checkpoints that it has, ascending.
    pub(super) remove: Vec<Sequence>,
    /// The pruned checkpoints whose grace period is over, ascending.
    pub(super) due: Vec<Sequence>,
    /// All pruned checkpoints.
    pub(super) pruned: BTreeSet<Sequence>,
    /// Objects that may be deleted before the checkpoints are renamed, each with its size.
    pub(super) leftover_objects: BTreeMap<ObjectName, u64>,
    /// Objects that are deleted after that, each with its size.
    pub(super) removed_objects: BTreeMap<ObjectName, u64>,
    /// Temporary files and directories that are deleted.
    pub(super) temporary: Vec<Temporary>,
    /// When the newest checkpoint was written, in seconds since 1970, if known: a running job may need anything newer.
    pub(super) newest_seconds: Option<i64>,
}

/// A temporary file or directory.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) path: RelPath,
    pub(super) is_directory: bool,
    /// 0 for a directory.
    pub(super) bytes: u64,
    pub(super) modified_seconds: Option<i64>,
}

/// What is decided about the whole store.
#[derive(Clone, Copy)]
pub(super) struct Decision<'a> {
    /// The checkpoints that are removed.
    pub(super) removed: &'a BTreeSet<Sequence>,
    /// The pruned checkpoints whose grace period is over.
    pub(super) due: &'a BTreeSet<Sequence>,
    /// The objects that are kept.
    pub(super) needed_objects: &'a HashSet<ObjectName>,
    /// The objects that are removed with checkpoints.
    pub(super) removed_objects: &'a HashSet<ObjectName>,
    pub(super) grace: Duration,
    pub(super) now: Timestamp,
}

impl Decision<'_> {
    /// Returns the objects in a replica that are neither kept nor removed with a checkpoint.
    fn unneeded<'c>(&'c self, contents: &'c Contents) -> impl Iterator<Item = (&'c ObjectName, &'c Entry)> {
        let is_unneeded =
            |name: &ObjectName| !self.needed_objects.contains(name) && !self.removed_objects.contains(name);
        contents.objects.iter().filter(move |(name, _)| is_unneeded(name))
    }

    /// Tells whether something was written before the grace period began. Without a known age it is new.
    fn is_old(&self, modified_seconds: Option<i64>) -> bool {
        let grace = i64::try_from(self.grace.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let age = |modified| self.now.as_second().saturating_sub(modified);
        grace == 0 || modified_seconds.is_some_and(|modified| age(modified) >= grace)
    }

    /// Returns the leftovers in the replica at `place`, by path.
    pub(super) fn leftovers(&self, place: &str, contents: &Contents) -> Vec<Leftover> {
        let leftover = |path: String, entry: &Entry, kind: LeftoverKind| Leftover {
            place: place.to_owned(),
            path,
            kind,
            bytes: entry.bytes,
            age_seconds: entry.modified_seconds.map(|seconds| self.now.as_second().saturating_sub(seconds)),
            fate: match kind {
                LeftoverKind::SetAside | LeftoverKind::Foreign => Fate::Leave,
                _ if self.is_old(entry.modified_seconds) => Fate::Remove,
                _ => Fate::Wait,
            },
        };
        let objects = self.unneeded(contents);
        let objects = objects.map(|(name, entry)| leftover(name.path().to_string(), entry, LeftoverKind::Object));
        let strays = contents.strays.iter().map(|stray| {
            let kind = match stray.kind {
                StrayKind::Temporary => LeftoverKind::Temporary,
                StrayKind::SetAside => LeftoverKind::SetAside,
                StrayKind::Foreign => LeftoverKind::Foreign,
            };
            leftover(stray.path.clone(), &stray.entry, kind)
        });
        let mut leftovers: Vec<Leftover> = objects.chain(strays).collect();
        leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        leftovers
    }

    /// Returns what is done in a replica with these contents.
    pub(super) fn plan(&self, contents: &Contents) -> ReplicaPlan {
        let old_objects = self.unneeded(contents).filter(|(_, entry)| self.is_old(entry.modified_seconds));
        let temporary = contents.strays.iter().filter(|stray| stray.kind == StrayKind::Temporary);
        let temporary = temporary.filter(|stray| self.is_old(stray.entry.modified_seconds)).filter_map(|stray| {
            Some(Temporary {
                path: RelPath::new(stray.path.clone()).ok()?,
                is_directory: stray.entry.kind == EntryKind::Directory,
                bytes: stray.entry.bytes,
                modified_seconds: stray.entry.modified_seconds,
            })
        });
        let removed_objects = contents.objects.iter().filter(|(name, _)| self.removed_objects.contains(name));
        ReplicaPlan {
            live: contents.live.clone(),
            remove: contents.live.intersection(self.removed).copied().collect(),
            due: contents.pruned.intersection(self.due).copied().collect(),
            pruned: contents.pruned.clone(),
            leftover_objects: old_objects.map(|(name, entry)| (*name, entry.bytes)).collect(),
            removed_objects: removed_objects.map(|(name, entry)| (*name, entry.bytes)).collect(),
            temporary: temporary.collect(),
            newest_seconds: contents.newest_seconds,
        }
    }
}
