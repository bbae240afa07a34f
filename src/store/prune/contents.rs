//! The contents of one replica.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::layout::{DAMAGED, ObjectName};
use crate::storage::{Entry, EntryKind, Storage, StorageError, TEMPORARY_PREFIX};
use crate::store::directory::Directory;
use crate::store::error::StoreError;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::relpath::RelPath;

/// The contents of one replica.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Committed checkpoints.
    pub(super) live: BTreeSet<Sequence>,
    /// Checkpoints that were pruned and can be brought back.
    pub(super) pruned: BTreeSet<Sequence>,
    pub(super) objects: BTreeMap<ObjectName, Entry>,
    pub(super) strays: Vec<Stray>,
    /// When the directory of the newest checkpoint was written, by the clock of the storage, if known.
    pub(super) newest_seconds: Option<i64>,
}

/// Something in a replica that no checkpoint needs, other than an object.
#[derive(Debug, Clone)]
pub(super) struct Stray {
    /// Its path in the store; its name may be one that no [`RelPath`] can have.
    pub(super) path: String,
    pub(super) entry: Entry,
    pub(super) kind: StrayKind,
}

/// What a stray is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StrayKind {
    /// A file or directory that was being written.
    Temporary,
    /// A damaged object that was replaced.
    SetAside,
    /// Not part of a store.
    Foreign,
}

impl Contents {
    /// Lists a replica.
    pub(super) fn list(storage: &dyn Storage) -> Result<Contents, StoreError> {
        let mut lister = Lister { storage, strays: Vec::new() };
        lister.list(Directory::Root)?;
        let live = lister.sequences(Directory::Checkpoints)?;
        let pruned = lister.sequences(Directory::Pruned)?;
        lister.list(Directory::Pins)?;
        lister.list(Directory::History)?;
        for entry in lister.list(Directory::Damaged)? {
            lister.strays.push(Stray { path: format!("{DAMAGED}/{}", entry.name), entry, kind: StrayKind::SetAside });
        }
        lister.list(Directory::AboveObjects)?;
        let objects = lister.objects()?;
        let newest_seconds = live.last_key_value().and_then(|(_, entry)| entry.modified_seconds);
        let (live, pruned) = (live.into_keys().collect(), pruned.into_keys().collect());
        Ok(Contents { live, pruned, objects, strays: lister.strays, newest_seconds })
    }
}

/// Lists the directories of a replica, and gathers what does not belong there.
struct Lister<'a> {
    storage: &'a dyn Storage,
    strays: Vec<Stray>,
}

impl Lister<'_> {
    /// Returns what belongs in a directory.
    fn list(&mut self, directory: Directory) -> Result<Vec<Entry>, StorageError> {
        let path = directory.path();
        let entries = self.storage.list(path.as_ref())?;
        Ok(self.sort(entries, path.as_ref(), |entry| directory.holds(entry)))
    }

    fn sequences(&mut self, directory: Directory) -> Result<BTreeMap<Sequence, Entry>, StorageError> {
        let entries = self.list(directory)?;
        Ok(entries.into_iter().filter_map(|entry| Some((entry.name.parse().ok()?, entry))).collect())
    }

    fn objects(&mut self) -> Result<BTreeMap<ObjectName, Entry>, StorageError> {
        let groups = self.list(Directory::Objects)?;
        let above = Directory::Objects.path().expect("it is not the root");
        let listed = parallel::map(&groups, |group| {
            let path = above.join(&group.name).expect("two digits are plain");
            self.storage.list(Some(&path)).map(|entries| (path, entries))
        });
        let mut objects = BTreeMap::new();
        for listed in listed {
            let (path, entries) = listed?;
            let object = |entry: &Entry| {
                let name: ObjectName = entry.name.parse().ok().filter(|_| entry.kind == EntryKind::File)?;
                (name.path().parent().as_ref() == Some(&path)).then_some(name)
            };
            let entries = self.sort(entries, Some(&path), |entry| object(entry).is_some());
            objects.extend(entries.into_iter().filter_map(|entry| Some((object(&entry)?, entry))));
        }
        Ok(objects)
    }

    /// Returns those of `entries` that belong in the directory at `path`, and adds the others to the strays.
    fn sort(&mut self, entries: Vec<Entry>, path: Option<&RelPath>, belongs: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let (belonging, others): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(belongs);
        self.strays.extend(others.into_iter().map(|entry| {
            let path = path.map_or_else(|| entry.name.clone(), |path| format!("{path}/{}", entry.name));
            let is_temporary = entry.name.starts_with(TEMPORARY_PREFIX) && entry.kind != EntryKind::Other;
            Stray { path, entry, kind: if is_temporary { StrayKind::Temporary } else { StrayKind::Foreign } }
        }));
        belonging
    }
}
