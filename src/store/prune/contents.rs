//! The contents of one replica.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::layout::{DAMAGED, MANIFEST_FILE, ObjectName};
use crate::storage::{Entry, EntryKind, Storage, StorageError};
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
        let mut live = lister.sequences(Directory::Checkpoints)?;
        let pruned = lister.sequences(Directory::Pruned)?;
        let newest_seconds = live.last_key_value().and_then(|(_, entry)| entry.modified_seconds);
        if storage.file_system().is_none() {
            live.retain(|sequence, _| !pruned.contains_key(sequence));
        }
        lister.list(Directory::Pins)?;
        lister.list(Directory::History)?;
        for entry in lister.list(Directory::Damaged)? {
            lister.strays.push(Stray { path: format!("{DAMAGED}/{}", entry.name), entry, kind: StrayKind::SetAside });
        }
        lister.list(Directory::AboveObjects)?;
        let objects = lister.objects()?;
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
        let entries = match directory.path() {
            // Only a directory with a manifest is a checkpoint there.
            Some(path) if self.storage.file_system().is_none() => {
                let entries = self.storage.list_dirs(&path, MANIFEST_FILE)?;
                self.sort(entries, Some(&path), |entry| directory.holds(entry))
            }
            _ => self.list(directory)?,
        };
        Ok(entries.into_iter().filter_map(|entry| Some((entry.name.parse().ok()?, entry))).collect())
    }

    fn objects(&mut self) -> Result<BTreeMap<ObjectName, Entry>, StorageError> {
        if self.storage.file_system().is_none() {
            return self.all_objects();
        }
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

    /// Lists the objects where one request lists all directories.
    fn all_objects(&mut self) -> Result<BTreeMap<ObjectName, Entry>, StorageError> {
        let above = Directory::Objects.path().expect("it is not the root");
        let object = |entry: &Entry| {
            let (_, name) = entry.name.split_once('/')?;
            let object: ObjectName = name.parse().ok()?;
            (object.path().as_str() == format!("{above}/{}", entry.name)).then_some(object)
        };
        let entries = self.storage.list_deep(&above)?;
        let entries = self.sort(entries, Some(&above), |entry| object(entry).is_some());
        Ok(entries.into_iter().filter_map(|entry| Some((object(&entry)?, entry))).collect())
    }

    /// Returns those of `entries` that belong in the directory at `path`, and adds the others to the strays.
    fn sort(&mut self, entries: Vec<Entry>, path: Option<&RelPath>, belongs: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let (belonging, others): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(belongs);
        self.strays.extend(others.into_iter().map(|entry| {
            let path = path.map_or_else(|| entry.name.clone(), |path| format!("{path}/{}", entry.name));
            let is_temporary = entry.has_temporary_name() && entry.kind != EntryKind::Other;
            Stray { path, entry, kind: if is_temporary { StrayKind::Temporary } else { StrayKind::Foreign } }
        }));
        belonging
    }
}
