//! Checks the checkpoints of tasks.

use std::collections::BTreeMap;

use super::report::add;
use crate::ops::samza::finding::{SamzaCode, SamzaFinding};
use crate::ops::samza::found::{Found, Task, TaskCheckpoint};
use crate::samza::checkpoint::Offset;
use crate::samza::marker::Marker;
use crate::samza::partition::StreamPartition;

pub(super) fn check(found: &Found, findings: &mut Vec<SamzaFinding>) {
    for task in &found.tasks {
        check_task(task, findings);
    }
    for (path, groupers) in found.groupers.iter().filter(|(_, groupers)| groupers.len() > 1) {
        let names: Vec<&str> = groupers.iter().map(String::as_str).collect();
        let found = names.join(", ");
        findings.push(SamzaFinding::new(SamzaCode::GroupersDiffer, path, "one grouper for all messages", found));
    }
}

fn check_task(task: &Task, findings: &mut Vec<SamzaFinding>) {
    if let (Some(v1), Some(v2)) = (&task.v1, &task.v2)
        && task.is_divided()
    {
        let (expected, found) = first_difference(v1, v2);
        add(findings, SamzaCode::VersionsDiffer, (&v2.place, &task.name), expected, found);
    }
    let Some(v2) = &task.v2 else { return };
    if let Some(name) = ambiguous(&v2.checkpoint.inputs) {
        let code = if task.v1.is_some() { SamzaCode::NameDotted } else { SamzaCode::NameRefused };
        let found = format!("`{name}`, which Samza splits at every dot");
        add(findings, code, (&v2.place, &task.name), "streams without dots in their names", found);
    }
    for state in &v2.checkpoint.state {
        if let Marker::Unreadable { text } = &state.marker {
            let expected = format!("the position of store `{}` in its changelog", or_dash(state.store.as_deref()));
            add(findings, SamzaCode::MarkerDamaged, (&v2.place, &task.name), expected, format!("`{text}`"));
        }
    }
}

/// Returns the first partition whose key Samza does not read as it was meant.
pub(super) fn ambiguous(offsets: &BTreeMap<StreamPartition, Offset>) -> Option<&StreamPartition> {
    offsets.keys().find(|partition| partition.is_ambiguous())
}

/// Says what V1 has and what V2 has, of the first partition about which they disagree.
fn first_difference(v1: &TaskCheckpoint, v2: &TaskCheckpoint) -> (String, String) {
    let offsets = |found: &TaskCheckpoint| -> BTreeMap<StreamPartition, Offset> {
        let changelogs = found.checkpoint.changelogs().into_iter();
        let changelogs = changelogs.map(|(partition, offset)| (partition.clone(), offset.map(str::to_owned)));
        found.checkpoint.inputs.clone().into_iter().chain(changelogs).collect()
    };
    let (old, new) = (offsets(v1), offsets(v2));
    let differs = old.keys().chain(new.keys()).find(|partition| old.get(*partition) != new.get(*partition));
    let Some(partition) = differs else { return ("the same offsets".to_owned(), "others".to_owned()) };
    let say = |offsets: &BTreeMap<StreamPartition, Offset>, version: &str| match offsets.get(partition) {
        Some(offset) => format!("{partition} at {} ({version})", or_dash(offset.as_deref())),
        None => format!("no {partition} ({version})"),
    };
    (say(&old, "V1"), say(&new, "V2"))
}

fn or_dash(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}
