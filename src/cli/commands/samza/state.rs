//! The state of stores, as checkpoints name it.

use std::collections::BTreeSet;

use super::offsets::{offset_cells, offset_columns, versions_of};
use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::cli::ui::Ui;
use crate::ops::samza::found::{Task, TaskCheckpoint};
use crate::samza::checkpoint::StoreState;
use crate::samza::marker::Marker;

/// Prints where the state of each store is, of both versions side by side.
pub(super) fn show(tasks: &[Task], ui: &mut Ui) -> Result<(), CliError> {
    let versions = versions_of(tasks);
    let mut columns = vec![Column::name("TASK"), Column::name("STORE"), Column::name("KEPT IN")];
    columns.extend(offset_columns(&versions));
    let mut table = Table::new(columns);
    for task in tasks {
        let states: Vec<&StoreState> = task.checkpoints().flat_map(|found| &found.checkpoint.state).collect();
        let places: BTreeSet<String> = states.iter().map(|state| kept_in(&state.marker)).collect();
        for place in places {
            let store = states.iter().filter(|state| kept_in(&state.marker) == place).find_map(|s| s.store.as_deref());
            let of = |found: &TaskCheckpoint| {
                found
                    .checkpoint
                    .state
                    .iter()
                    .find(|state| kept_in(&state.marker) == place)
                    .map(|state| at(&state.marker))
            };
            let mut cells = vec![task.name.clone(), store.unwrap_or("-").to_owned(), place.clone()];
            // V1 has only changelogs.
            let in_both = states
                .iter()
                .any(|state| kept_in(&state.marker) == place && matches!(state.marker, Marker::Changelog { .. }));
            cells.extend(offset_cells(task, &versions, in_both, of));
            table.row(cells);
        }
    }
    ui.table(&table)
}

/// Names the changelog, or what else keeps the state. Only a changelog has a name in V1, which does not name stores.
fn kept_in(marker: &Marker) -> String {
    match marker {
        Marker::Changelog { partition, .. } => format!("changelog {partition}"),
        Marker::Snapshot { index } => format!("blob {index}"),
        Marker::Other { text } => text.clone(),
        Marker::Unreadable { .. } => "changelog that cannot be read".to_owned(),
    }
}

fn at(marker: &Marker) -> String {
    match marker {
        Marker::Changelog { offset, .. } => offset.clone().unwrap_or_else(|| "none".to_owned()),
        Marker::Snapshot { .. } | Marker::Other { .. } => "yes".to_owned(),
        Marker::Unreadable { text } => text.clone(),
    }
}
