//! The offsets of the inputs of tasks.

use std::collections::BTreeSet;

use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::cli::text::or_dash;
use crate::cli::ui::Ui;
use crate::ops::samza::found::{Task, TaskCheckpoint};
use crate::samza::checkpoint::Version;
use crate::samza::partition::StreamPartition;
use crate::samza::properties;

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
        for (partition, offset) in properties::offsets(&used.checkpoint) {
            ui.out_bytes(properties::line(&task.name, partition, &offset).as_bytes())?;
        }
    }
    Ok(())
}
