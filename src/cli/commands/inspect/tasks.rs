//! `ckpt inspect --tasks`: the tasks of a checkpoint.

use schemars::JsonSchema;
use serde::Serialize;

use super::head::{Head, note_cut};
use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::cli::ui::Ui;
use crate::ops::inspect::{Excerpt, TaskUse};
use crate::values::units::Count;

/// Prints the tasks.
pub(super) fn show(head: Head, tasks: &Excerpt<TaskUse>, ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        let views = tasks.rows.iter().map(|task| TaskView {
            task: task.task,
            shard: task.shard,
            keys: task.keys,
            state_bytes: task.state_bytes,
        });
        return ui.json(&TasksView { head, cut: tasks.cut, tasks: views.collect() });
    }
    let mut table = Table::new(["TASK", "SHARD", "KEYS", "BYTES"].map(Column::number));
    for task in &tasks.rows {
        table.row([
            task.task.to_string(),
            task.shard.to_string(),
            Count(task.keys).to_string(),
            Count(task.state_bytes).to_string(),
        ]);
    }
    ui.table(&table)?;
    note_cut(tasks.cut, "tasks", ui);
    Ok(())
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TasksView {
    #[serde(flatten)]
    head: Head,
    /// Whether the limit left tasks out.
    cut: bool,
    tasks: Vec<TaskView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TaskView {
    task: u32,
    shard: u32,
    keys: u64,
    state_bytes: u64,
}
