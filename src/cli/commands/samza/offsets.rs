//! The offsets of the inputs of tasks.

use std::collections::BTreeSet;

use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::cli::text::or_dash;
use crate::cli::ui::Ui;
use crate::ops::samza::found::{Task, TaskCheckpoint};
use crate::samza::checkpoint::{Checkpoint, Version};
use crate::samza::marker::Marker;
use crate::samza::partition::StreamPartition;

/// Prints the offset of each input, of both versions side by side.
pub(super) fn show(tasks: &[Task], ui: &mut Ui) -> Result<(), CliError> {
    let versions = versions_of(tasks);
    let mut columns =
        vec![Column::name("TASK"), Column::text("SYSTEM"), Column::name("STREAM"), Column::number("PARTITION")];
    columns.extend(offset_columns(&versions));
    let mut table = Table::new(columns);
    for task in tasks {
        let partitions: BTreeSet<&StreamPartition> =
            task.checkpoints().flat_map(|found| found.checkpoint.inputs.keys()).collect();
        for partition in partitions {
            let of = |found: &TaskCheckpoint| {
                found.checkpoint.inputs.get(partition).map(|offset| offset.clone().unwrap_or_else(|| "none".to_owned()))
            };
            let mut cells = vec![
                task.name.clone(),
                partition.system.clone(),
                partition.stream.clone(),
                partition.partition.to_string(),
            ];
            cells.extend(offset_cells(task, &versions, true, of));
            table.row(cells);
        }
    }
    ui.table(&table)
}

/// Returns the versions that any of the tasks has.
pub(super) fn versions_of(tasks: &[Task]) -> Vec<Version> {
    let versions: BTreeSet<Version> =
        tasks.iter().flat_map(Task::checkpoints).map(|found| found.checkpoint.version).collect();
    versions.into_iter().collect()
}

/// Returns a column per version, and one for what differs if there are two.
pub(super) fn offset_columns(versions: &[Version]) -> Vec<Column> {
    match versions {
        [Version::V1, Version::V2] => vec![Column::name("V1"), Column::name("V2"), Column::text("")],
        _ => vec![Column::name("OFFSET")],
    }
}

/// Returns the cells of these columns. `of` returns what a checkpoint has; `in_both` tells whether both versions keep
/// it.
pub(super) fn offset_cells(
    task: &Task,
    versions: &[Version],
    in_both: bool,
    of: impl Fn(&TaskCheckpoint) -> Option<String>,
) -> Vec<String> {
    let [v1, v2] = [&task.v1, &task.v2].map(|found| found.as_ref().and_then(&of));
    if versions.len() < 2 {
        return vec![or_dash(v1.or(v2))];
    }
    let is_divided = in_both && task.v1.is_some() && task.v2.is_some() && v1 != v2;
    vec![or_dash(v1), or_dash(v2), if is_divided { "differs".to_owned() } else { String::new() }]
}

/// Prints the offsets as a Java properties file, in the form of Samza's checkpoint tool.
pub(super) fn show_properties(tasks: &[Task], version: Version, ui: &mut Ui) -> Result<(), CliError> {
    for task in tasks {
        let Some(used) = task.used(version) else { continue };
        for (partition, offset) in offsets(&used.checkpoint) {
            let StreamPartition { system, stream, partition } = partition;
            let (task, system, stream) = (escape_key(&task.name), escape_key(system), escape_key(stream));
            let line = format!("tasknames.{task}.systems.{system}.streams.{stream}.partitions.{partition}");
            ui.out_bytes(format!("{line}={}\n", escape_value(&offset)).as_bytes())?;
        }
    }
    Ok(())
}

/// Returns the offsets that the checkpoint has. In V1, those of changelogs are among them.
fn offsets(checkpoint: &Checkpoint) -> Vec<(&StreamPartition, String)> {
    let inputs = checkpoint.inputs.iter().filter_map(|(partition, offset)| Some((partition, offset.clone()?)));
    let changelogs = checkpoint.state.iter().filter_map(|state| match &state.marker {
        Marker::Changelog { partition, offset, id: Some(id) } => {
            Some((partition, format!("{id}:{}", offset.as_deref().unwrap_or("null"))))
        }
        _ => None,
    });
    inputs.chain(changelogs).collect()
}

/// Escapes a part of a key. Java ends a key at a space, a colon or an equals sign.
fn escape_key(text: &str) -> String {
    escape(text, |c| matches!(c, ' ' | ':' | '=' | '#' | '!'))
}

fn escape_value(text: &str) -> String {
    escape(text, |c| c == ' ')
}

fn escape(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped += "\\\\",
            c if is_special(c) => escaped.extend(['\\', c]),
            ' '..='~' => escaped.push(c),
            // A file of properties is in Latin-1; everything else is written as UTF-16.
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}")),
        }
    }
    escaped
}
