//! What lies in a store and is no part of it.

use std::collections::HashSet;

use crate::format::layout::{self, ObjectName};
use crate::ops::finding::{FindingCode, Findings};
use crate::ops::verify::needs::Needs;
use crate::ops::verify::pruned::Pruned;
use crate::ops::verify::root::Root;
use crate::storage::{Entry, EntryKind, Storage, TEMPORARY_PREFIX};
use crate::store::StoreError;
use crate::store::records::history::Departures;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// Looks for what is no part of the store, and returns the checkpoints that were pruned and can be brought back.
pub(super) fn check_surroundings(
    storage: &dyn Storage,
    needs: &Needs,
    roots: &[Root],
    departures: &Departures,
    findings: &mut Findings,
) -> Result<Vec<Pruned>, StoreError> {
    let mut around = Surroundings { storage, findings };
    around.directory(None, |entry| match entry.name.as_str() {
        layout::STORE_FILE
        | layout::REPLICAS_FILE
        | layout::LOCK_FILE
        | layout::PRUNE_LOCK_FILE
        | layout::OBJECTS_LOCK_FILE => entry.kind == EntryKind::File,
        layout::CHECKPOINTS
        | layout::DAMAGED
        | layout::PINS
        | layout::HISTORY
        | layout::PRUNED
        | layout::REQUESTS
        | "objects" => entry.kind == EntryKind::Directory,
        _ => false,
    })?;
    let checkpoints = RelPath::new(layout::CHECKPOINTS).expect("a plain name");
    around.directory(Some(&checkpoints), |entry| {
        entry.kind == EntryKind::Directory && entry.name.parse::<Sequence>().is_ok()
    })?;
    let is_file = |entry: &Entry| entry.kind == EntryKind::File;
    let pins = RelPath::new(layout::PINS).expect("a plain name");
    around.directory(Some(&pins), |entry| is_file(entry) && layout::parse_pin(&entry.name).is_some())?;
    let history = RelPath::new(layout::HISTORY).expect("a plain name");
    around.directory(Some(&history), |entry| {
        let is_known = layout::parse_event(&entry.name).is_some() || layout::parse_attempts(&entry.name).is_some();
        is_file(entry) && is_known
    })?;
    let pruned = RelPath::new(layout::PRUNED).expect("a plain name");
    let pruned = around.directory(Some(&pruned), |entry| {
        entry.kind == EntryKind::Directory && entry.name.parse::<Sequence>().is_ok()
    })?;
    let pruned = pruned.iter().filter_map(|entry| entry.name.parse::<Sequence>().ok()).map(|sequence| {
        let named = departures.of(sequence).and_then(|departure| departure.sha256);
        Pruned::read(storage, sequence, named)
    });
    let pruned: Vec<Pruned> = pruned.collect();
    for sequence in pruned.iter().map(|pruned| pruned.sequence) {
        around.directory(Some(&layout::pruned_dir(sequence)), |entry| {
            matches!(entry.name.as_str(), layout::MANIFEST_FILE | layout::SUMS_FILE)
        })?;
    }
    let waiting: HashSet<ObjectName> = pruned.iter().flat_map(|pruned| pruned.objects.iter().copied()).collect();
    let requests = RelPath::new(layout::REQUESTS).expect("a plain name");
    around.directory(Some(&requests), |entry| {
        let is_known = layout::parse_request(&entry.name).or_else(|| layout::parse_answer(&entry.name)).is_some();
        is_file(entry) && is_known
    })?;
    for root in roots {
        around.directory(Some(&layout::checkpoint_dir(root.sequence)), |entry| {
            matches!(entry.name.as_str(), layout::MANIFEST_FILE | layout::SUMS_FILE)
        })?;
    }
    let objects_dir = RelPath::new(layout::OBJECTS).expect("a plain name");
    around.directory(objects_dir.parent().as_ref(), |entry| entry.name == objects_dir.name())?;
    let groups = around.directory(Some(&objects_dir), |entry| {
        let hexadecimal = entry.name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        entry.kind == EntryKind::Directory && entry.name.len() == 2 && hexadecimal
    })?;
    let damaged = RelPath::new(layout::DAMAGED).expect("a plain name");
    for entry in around.directory(Some(&damaged), |entry| entry.kind == EntryKind::File)? {
        let (path, found) = (format!("{damaged}/{}", entry.name), format!("a file of {} bytes", entry.bytes));
        around.findings.add(FindingCode::ObjectSetAside, path, "nothing", found, []);
    }
    for group in groups {
        let Ok(directory) = objects_dir.join(&group.name) else { continue };
        let entries = around.directory(Some(&directory), |entry| {
            entry.name.parse::<ObjectName>().is_ok() && entry.name.starts_with(&group.name)
        })?;
        for entry in entries.iter().filter(|_| needs.complete) {
            let Ok(name) = entry.name.parse::<ObjectName>() else { continue };
            if !needs.objects.uses.contains_key(&name) && !waiting.contains(&name) {
                let found = format!("{} bytes", entry.bytes);
                around.findings.add(FindingCode::ObjectUnused, name.path(), "a checkpoint that needs it", found, []);
            }
        }
    }
    Ok(pruned)
}

/// Walks the directories of a store.
pub(super) struct Surroundings<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) findings: &'a mut Findings,
}

impl Surroundings<'_> {
    /// Lists a directory, notes what is not `expected` there, and returns what is.
    pub(super) fn directory(
        &mut self,
        directory: Option<&RelPath>,
        expected: impl Fn(&Entry) -> bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let (expected, others): (Vec<Entry>, Vec<Entry>) =
            self.storage.list(directory)?.into_iter().partition(expected);
        for entry in others {
            let path = directory.map_or_else(|| entry.name.clone(), |directory| format!("{directory}/{}", entry.name));
            let code =
                if entry.name.starts_with(TEMPORARY_PREFIX) { FindingCode::Leftover } else { FindingCode::ForeignFile };
            let kind = match entry.kind {
                EntryKind::File => format!("a file of {} bytes", entry.bytes),
                EntryKind::Directory => "a directory".to_owned(),
                EntryKind::Other => "something that is no regular file".to_owned(),
            };
            self.findings.add(code, path, "nothing", kind, []);
        }
        Ok(expected)
    }
}
