//! Finds everything in a replica that is not part of the store.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::format::layout::{self, DAMAGED, ObjectName};
use crate::ops::finding::{FindingCode, Findings};
use crate::ops::verify::needs::Needs;
use crate::ops::verify::pruned::Pruned;
use crate::storage::{Entry, EntryKind, Storage};
use crate::store::records::history::Departures;
use crate::store::{Directory, RootRead, StoreError};
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// Finds everything that is not part of the store, and returns the pruned checkpoints that can be brought back.
pub(super) fn find_strays(
    storage: &dyn Storage,
    needs: &Needs,
    roots: &[RootRead],
    departures: &Departures,
    findings: &mut Findings,
) -> Result<Vec<Pruned>, StoreError> {
    let mut strays = Strays { storage, findings, listed: BTreeMap::new() };
    strays.look_below(Directory::Checkpoints)?;
    for directory in [
        Directory::Root,
        Directory::Checkpoints,
        Directory::Pins,
        Directory::History,
        Directory::Requests,
        Directory::AboveObjects,
    ] {
        strays.list(directory)?;
    }
    strays.look_below(Directory::Pruned)?;
    let pruned = strays.list(Directory::Pruned)?;
    let pruned = pruned.iter().filter_map(|entry| entry.name.parse::<Sequence>().ok());
    let pruned = pruned.filter(|sequence| !departures.is_expired(*sequence)).map(|sequence| {
        let named = departures.of(sequence).and_then(|departure| departure.sha256);
        Pruned::read(storage, sequence, named, strays.findings)
    });
    let pruned: Vec<Pruned> = pruned.collect();
    let pruned_dirs = pruned.iter().map(|pruned| layout::pruned_dir(pruned.sequence));
    for directory in pruned_dirs.chain(roots.iter().map(|root| layout::checkpoint_dir(root.sequence))) {
        strays
            .sort(Some(&directory), |entry| matches!(entry.name.as_str(), layout::MANIFEST_FILE | layout::SUMS_FILE))?;
    }
    for entry in strays.list(Directory::Damaged)? {
        let (path, found) = (format!("{DAMAGED}/{}", entry.name), format!("a file of {} bytes", entry.bytes));
        strays.findings.add(FindingCode::ObjectSetAside, path.as_str(), "nothing", found, []);
    }
    let waiting: HashSet<ObjectName> = pruned.iter().flat_map(|pruned| pruned.objects.iter().copied()).collect();
    strays.find_unused(needs, &waiting)?;
    Ok(pruned)
}

/// Walks the directories of a store, and reports what does not belong there.
struct Strays<'a> {
    storage: &'a dyn Storage,
    findings: &'a mut Findings,
    /// The entries of directories that were listed together with others, by their paths.
    listed: BTreeMap<String, BTreeSet<Entry>>,
}

impl Strays<'_> {
    /// Lists all directories below `directory` at once in object storage, where each costs a request otherwise.
    fn look_below(&mut self, directory: Directory) -> Result<(), StoreError> {
        let Some(above) = directory.path().filter(|_| self.storage.file_system().is_none()) else { return Ok(()) };
        self.listed.entry(above.to_string()).or_default();
        for file in self.storage.list_deep(&above)? {
            let (mut path, mut name) = (above.to_string(), file.name.as_str());
            while let Some((first, below)) = name.split_once('/') {
                let entry =
                    Entry { name: first.to_owned(), kind: EntryKind::Directory, bytes: 0, modified_seconds: None };
                self.listed.entry(path.clone()).or_default().insert(entry);
                (path, name) = (format!("{path}/{first}"), below);
            }
            let name = name.to_owned();
            self.listed.entry(path).or_default().insert(Entry { name, ..file });
        }
        Ok(())
    }

    /// Lists a directory, reports what does not belong in it, and returns the rest.
    fn list(&mut self, directory: Directory) -> Result<Vec<Entry>, StoreError> {
        self.sort(directory.path().as_ref(), |entry| directory.holds(entry))
    }

    /// Does the same with the directory at `path`, in which entries belong if `belongs` says so.
    fn sort(&mut self, path: Option<&RelPath>, belongs: impl Fn(&Entry) -> bool) -> Result<Vec<Entry>, StoreError> {
        let entries = match path.and_then(|path| self.listed.remove(path.as_str())) {
            Some(listed) => listed.into_iter().collect(),
            None => self.storage.list(path)?,
        };
        let (belonging, others): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(&belongs);
        // A link, say, in place of a directory of the store is not foreign: reading the directory fails.
        let replaced = |entry: &Entry| {
            entry.kind == EntryKind::Other && belongs(&Entry { kind: EntryKind::Directory, ..entry.clone() })
        };
        for entry in others.into_iter().filter(|entry| !replaced(entry)) {
            let path = path.map_or_else(|| entry.name.clone(), |path| format!("{path}/{}", entry.name));
            let code = if entry.has_temporary_name() { FindingCode::Leftover } else { FindingCode::ForeignFile };
            let found = match entry.kind {
                EntryKind::File => format!("a file of {} bytes", entry.bytes),
                EntryKind::Directory => "a directory".to_owned(),
                EntryKind::Other => "not a regular file".to_owned(),
            };
            self.findings.add(code, path.as_str(), "nothing", found, []);
        }
        Ok(belonging)
    }

    /// Reports objects that neither a checkpoint nor a pruned one, whose objects are `waiting`, needs.
    fn find_unused(&mut self, needs: &Needs, waiting: &HashSet<ObjectName>) -> Result<(), StoreError> {
        self.look_below(Directory::Objects)?;
        let above = Directory::Objects.path().expect("it is not the root");
        for group in self.list(Directory::Objects)? {
            let Ok(directory) = above.join(&group.name) else { continue };
            let entries = self.sort(Some(&directory), |entry| {
                entry.name.parse::<ObjectName>().is_ok() && entry.name.starts_with(&group.name)
            })?;
            for entry in entries.iter().filter(|_| needs.complete) {
                let Ok(object) = entry.name.parse::<ObjectName>() else { continue };
                if !needs.objects.uses.contains_key(&object) && !waiting.contains(&object) {
                    let found = format!("{} bytes", entry.bytes);
                    self.findings.add(FindingCode::ObjectUnused, object, "a checkpoint that needs it", found, []);
                }
            }
        }
        Ok(())
    }
}
