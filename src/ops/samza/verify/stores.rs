//! Checks the files with the positions of local stores.

use std::collections::BTreeMap;

use super::report::add;
use super::tasks::ambiguous;
use crate::ops::samza::finding::{SamzaCode, SamzaFinding};
use crate::ops::samza::found::LocalStore;
use crate::samza::checkpoint::{Checkpoint, Offset};
use crate::samza::marker::Marker;
use crate::samza::offset_file::{OffsetFile, OffsetFileKind};
use crate::samza::partition::StreamPartition;

pub(super) fn check(stores: &[LocalStore], findings: &mut Vec<SamzaFinding>) {
    for store in stores {
        check_checkpoint(store, findings);
        check_offsets(store, findings);
    }
}

fn check_checkpoint(store: &LocalStore, findings: &mut Vec<SamzaFinding>) {
    let Some(OffsetFile::Checkpoint(checkpoint)) = store.files.get(&OffsetFileKind::Checkpoint) else { return };
    if let (Some(named), Some(id)) = (store.snapshot, checkpoint.id)
        && named != id
    {
        let place = (store.place.as_str(), store.task.as_str());
        add(findings, SamzaCode::StoreMisplaced, place, format!("checkpoint {named}"), format!("checkpoint {id}"));
    }
    if let (Some(position), Some(OffsetFile::Offsets(offsets))) =
        (changelog(checkpoint, &store.store), store.files.get(&OffsetFileKind::Offset))
        && offsets.get(position.0).is_some_and(|offset| offset != position.1)
    {
        let offset = offsets.get(position.0).and_then(Option::as_deref);
        differ(store, ("CHECKPOINT-V2", position.1.as_deref()), ("OFFSET-v2", offset), findings);
    }
}

/// Returns the position in the changelog of `store`.
fn changelog<'a>(checkpoint: &'a Checkpoint, store: &str) -> Option<(&'a StreamPartition, &'a Offset)> {
    let state = checkpoint.state.iter().find(|state| state.store.as_deref() == Some(store))?;
    match &state.marker {
        Marker::Changelog { partition, offset, .. } => Some((partition, offset)),
        _ => None,
    }
}

fn check_offsets(store: &LocalStore, findings: &mut Vec<SamzaFinding>) {
    let Some(OffsetFile::Offsets(offsets)) = store.files.get(&OffsetFileKind::Offset) else { return };
    if let Some(name) = ambiguous(offsets) {
        let place = (store.place.as_str(), store.task.as_str());
        let found = format!("`{name}`, which Samza splits at every dot");
        add(findings, SamzaCode::NameDotted, place, "streams without dots in their names", found);
    }
    match (store.files.get(&OffsetFileKind::OldOffset), only(offsets)) {
        (Some(OffsetFile::Bare(old)), Some(new)) if new != Some(old) => {
            differ(store, ("OFFSET-v2", new), ("OFFSET", Some(old)), findings);
        }
        (Some(OffsetFile::Offsets(old)), new) if old != offsets => {
            differ(store, ("OFFSET-v2", new.flatten()), ("OFFSET", only(old).flatten()), findings);
        }
        _ => {}
    }
}

/// Returns the offset if there is one partition.
fn only(offsets: &BTreeMap<StreamPartition, Offset>) -> Option<Option<&str>> {
    let mut all = offsets.values();
    all.next().filter(|_| offsets.len() == 1).map(|offset| offset.as_deref())
}

fn differ(
    store: &LocalStore,
    (file, offset): (&str, Option<&str>),
    (other, found): (&str, Option<&str>),
    findings: &mut Vec<SamzaFinding>,
) {
    let say = |offset: Option<&str>, file: &str| format!("offset {} ({file})", offset.unwrap_or("-"));
    let place = (store.place.as_str(), store.task.as_str());
    add(findings, SamzaCode::OffsetsDiffer, place, say(offset, file), say(found, other));
}
